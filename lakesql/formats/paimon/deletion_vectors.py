"""Deletion vectors: index manifest entries -> which vector a data file has; index files -> the positions of deleted rows.

An index file holds many vectors: a version byte, then for each its size (big-endian), a magic number, a Roaring bitmap and a CRC-32 of magic and bitmap.
The magic tells bitmaps of 32 bits from those of 64, and with it what the entry's length counts: the size alone for 32 bits, eight bytes more for 64.
Positions are physical, from 0, before any filter. What a vector says is compared with what it should be: a wrong one shows deleted rows or hides living
ones. Source: Paimon, DeletionVectorsIndexFile, BitmapDeletionVector, Bitmap64DeletionVector.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyroaring

from lakesql.errors import DataFileError, MetadataError, MissingFileError
from lakesql.storage import Storage, read_immutable

KIND = "DELETION_VECTORS"
"""`_INDEX_TYPE` of index files that hold deletion vectors."""

VECTOR = pa.struct([("path", pa.string()), ("offset", pa.int64()), ("length", pa.int64()), ("cardinality", pa.int64())])
"""Where a data file's vector is, and how many rows it deletes; cardinality null where the entry does not say."""

POSITIONS = pa.schema([("path", pa.string()), ("position", pa.int64())])

_MAGIC_32, _MAGIC_64 = 1581511376, 1681511377
_MOST_POSITIONS = 1 << 28
_VERSION = 1

Positions = npt.NDArray[np.int64]


def vectors_of(index: pa.Table, index_path: Callable[[pa.Table], pa.Array], partitions: pa.Array, buckets: pa.Array, names: pa.Array) -> pa.Array:
    """The vector of each data file as VECTOR, null for files without one.

    index: entries of an index manifest; index_path: the paths of its index files. partitions, buckets, names: of the data files, as manifests have them.
    """
    holders = index.filter(pc.equal(index["_INDEX_TYPE"], KIND)).combine_chunks()
    nothing = pa.nulls(len(names), VECTOR)
    if not holders.num_rows or not len(names):
        return nothing
    ranges = holders["_DELETIONS_VECTORS_RANGES"].combine_chunks()
    parents = pc.list_parent_indices(ranges)
    listed = ranges.flatten()
    if not len(listed):
        return nothing
    data_file, offset, length, cardinality = listed.flatten()
    paths = index_path(holders).take(parents)
    held = _keys(holders["_PARTITION"].combine_chunks().take(parents), holders["_BUCKET"].combine_chunks().take(parents), data_file)
    if len(pc.unique(held)) != len(held):
        raise MetadataError("an index manifest gives a data file two deletion vectors")
    at = pc.index_in(_keys(partitions, buckets, names), held)
    found = pa.StructArray.from_arrays([paths, offset.cast(pa.int64()), length.cast(pa.int64()), cardinality], fields=list(VECTOR))
    return found.take(at)


def positions(storage: Storage, paths: Sequence[str], vectors: pa.Array, row_counts: Sequence[int]) -> pa.Table:
    """All deleted positions of data files, as POSITIONS. paths, vectors, row_counts: of each file, vectors without null. Raises as decode."""
    codes, found = [], []
    for number, (vector, rows) in enumerate(zip(vectors.to_pylist(), row_counts, strict=True)):
        deleted = decode(storage, vector["path"], vector["offset"], vector["length"], vector["cardinality"], rows)
        codes.append(np.full(len(deleted), number, np.int32))
        found.append(deleted)
    if not codes:
        return POSITIONS.empty_table()
    where = pa.DictionaryArray.from_arrays(pa.array(np.concatenate(codes)), pa.array(list(paths), pa.string())).cast(pa.string())
    return pa.table([where, pa.array(np.concatenate(found), pa.int64())], schema=POSITIONS)


def decode(storage: Storage, path: str, offset: int, length: int, cardinality: int | None, rows: int) -> Positions:
    """The positions of deleted rows, ascending.

    offset, length, cardinality: as the index manifest says; rows: of the data file. Raises DataFileError, naming the index file, where the vector is not
    what metadata or its own checksum says; MissingFileError for a file that is gone.
    """
    name = f'deletion vector "{path}" at byte {offset}'
    try:
        content = read_immutable(storage, path)
    except MissingFileError as error:
        raise MissingFileError(f'index file "{path}" with deletion vectors is not there', path=path, hint="without it deleted rows would come back") from error
    if not content or content[0] != _VERSION:
        raise DataFileError(f"{name}: the file has version {content[0] if content else None}; lakesql reads version {_VERSION}")
    if not 1 <= offset <= len(content) - 12:
        raise DataFileError(f"{name}: the file has {len(content):,} bytes", hint="the index file was cut off, or does not belong to this table")
    (size,) = struct.unpack_from(">i", content, offset)
    if not 4 <= size <= len(content) - offset - 8:
        raise DataFileError(f"{name}: it says that it has {size:,} bytes, and the file ends before")
    body = content[offset + 4 : offset + 4 + size]
    (checksum,) = struct.unpack_from(">I", content, offset + 4 + size)
    if zlib.crc32(body) != checksum:
        raise DataFileError(f"{name}: its checksum does not match; the file is damaged")
    return _positions(body, length, cardinality, rows, name)


def _positions(body: bytes, length: int, cardinality: int | None, rows: int, name: str) -> Positions:
    is_32 = struct.unpack_from(">i", body)[0] == _MAGIC_32
    is_64 = struct.unpack_from("<i", body)[0] == _MAGIC_64
    if not is_32 and not is_64:
        raise DataFileError(f"{name} begins with {body[:4].hex()}; expected {_MAGIC_32:x} or, for 64 bits, the bytes of {_MAGIC_64:x} reversed")
    if length != (len(body) if is_32 else len(body) + 8):
        raise DataFileError(f"{name} has {len(body):,} bytes; the index manifest gives it a length of {length:,}, which is not that of such a vector")
    try:
        bitmap = pyroaring.BitMap.deserialize(body[4:]) if is_32 else pyroaring.BitMap64.deserialize(body[4:])
        count, last = len(bitmap), bitmap.max() if bitmap else -1
    except (ValueError, IndexError, MemoryError, OverflowError) as error:
        raise DataFileError(f"{name} does not hold a Roaring bitmap: {error}") from error
    # Nothing is spread out before its number is known to be right: a run of a few bytes can stand for billions.
    if count > _MOST_POSITIONS:
        raise DataFileError(f"{name} lists {count:,} rows; lakesql reads up to {_MOST_POSITIONS:,} of one file")
    if cardinality is not None and count != cardinality:
        raise DataFileError(f"{name} lists {count:,} rows; the index manifest says {cardinality:,}")
    if last >= rows:
        raise DataFileError(f"{name} lists row {last:,} of a data file with {rows:,} rows, the first being 0")
    return np.frombuffer(bitmap.to_array(), np.uint32 if is_32 else np.uint64).astype(np.int64)


def _keys(partitions: pa.Array, buckets: pa.Array, names: pa.Array) -> pa.Array:
    """What tells data files apart, as bytes."""
    parts = [partitions.cast(pa.binary()), buckets.cast(pa.string()).cast(pa.binary()), names.cast(pa.binary())]
    return pc.binary_join_element_wise(*parts, b"/")
