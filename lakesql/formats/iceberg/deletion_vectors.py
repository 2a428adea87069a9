"""Deletion vectors: a blob in a Puffin file -> the positions of a data file's deleted rows. Source: Iceberg puffin spec, "deletion-vector-v1 blob type".

The manifest says where the blob is; the file's footer is not needed and not read, and so bare blobs and files of other names serve as well. What the blob
says of itself is compared with what it is: a wrong vector shows deleted rows or hides living ones.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyroaring

from lakesql.errors import AccessDeniedError, DataFileError, MissingFileError, StorageError
from lakesql.storage import CachedStorage, Storage, read_immutable

MAGIC = b"\xd1\xd3\x39\x64"
MAX_BYTES = 1 << 30
"""Bytes a vector may have: a bitmap of 2^31 rows takes a quarter of it."""
MAX_POSITIONS = 1 << 28
"""Rows of one data file that may be deleted; their positions take eight bytes each."""
_WHOLE_FILE_BYTES = 16 << 20
"""Vectors that end within so many bytes are cut out of the whole file, which the storage keeps: writers put many into one."""
_FRAME_BYTES = 12
"""Length, magic and checksum."""

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Vector:
    """A deletion vector as its manifest has it. path: where storage has the file; cardinality: its number of positions; offset, length: of the blob in the
    file.
    """

    path: str
    offset: int | None
    length: int | None
    cardinality: int | None
    data_file: str


def decode(vector: Vector, storage: Storage) -> Positions:
    """The positions of deleted rows, from 0, ascending, in the order of rows in the data file before any filter.

    Raises DataFileError, naming the file, where the blob is not what the manifest or its own checksum says; MissingFileError for a file that is gone.
    """
    name = f'deletion vector "{vector.path}" at byte {vector.offset} (of data file {vector.data_file})'
    if vector.offset is None or vector.length is None:
        raise DataFileError(f"{name}: the manifest does not say where in the file it is")
    if not (_FRAME_BYTES <= vector.length <= MAX_BYTES and 0 <= vector.offset < 2**48):
        raise DataFileError(f"{name}: the manifest gives it {vector.length:,} bytes; expected {_FRAME_BYTES} to {MAX_BYTES:,}")
    blob = _blob(storage, vector.path, vector.offset, vector.length, name)
    (stated,) = struct.unpack_from(">I", blob)
    if stated != vector.length - 8:
        raise DataFileError(f"{name}: the blob gives itself {stated:,} bytes, the manifest {vector.length - 8:,}")
    if blob[4:8] != MAGIC:
        raise DataFileError(f"{name} begins with {blob[4:8].hex()}; expected {MAGIC.hex()}")
    (checksum,) = struct.unpack_from(">I", blob, vector.length - 4)
    if zlib.crc32(blob[4:-4]) != checksum:
        raise DataFileError(f"{name}: its checksum does not match; the file is damaged", hint="restore the file, or read a snapshot from before the delete")
    return _positions(blob[8:-4], vector.cardinality, name)


def _blob(storage: Storage, path: str, offset: int, length: int, name: str) -> bytes:
    try:
        if isinstance(storage, CachedStorage) and offset + length <= _WHOLE_FILE_BYTES:
            data = read_immutable(storage, path)
            if offset + length <= len(data):
                return data[offset : offset + length]
            raise DataFileError(f"{name}: the file is cut off: it has {len(data):,} bytes, and the vector ends at {offset + length:,}")
        return storage.read_range(path, offset, length)
    except MissingFileError as error:
        raise MissingFileError(
            f'a delete file of the snapshot is missing: there is no file "{path}"', path=path, hint="without it deleted rows would come back; restore the file"
        ) from error
    except AccessDeniedError:
        raise
    except StorageError as error:
        size_bytes = storage.size(path)
        if size_bytes is not None and size_bytes < offset + length:
            raise DataFileError(f"{name}: the file is cut off: it has {size_bytes:,} bytes, and the vector ends at {offset + length:,}") from error
        raise


def _positions(bitmap_bytes: bytes, cardinality: int | None, name: str) -> Positions:
    """The bitmap's positions. Nothing is spread out before its number is known to be right: a run of a few bytes can stand for billions."""
    try:
        bitmap = pyroaring.BitMap64.deserialize(bitmap_bytes)
        count, last = len(bitmap), bitmap.max() if bitmap else 0
    except (ValueError, MemoryError, OverflowError) as error:
        raise DataFileError(f"{name} does not hold a Roaring bitmap: {error}") from error
    if cardinality is not None and cardinality >= 0 and count != cardinality:
        raise DataFileError(f"{name} lists {count:,} rows; the manifest says {cardinality:,}")
    if count > MAX_POSITIONS or last >= 2**63:
        raise DataFileError(f"{name} lists {count:,} rows up to {last:,}; at most {MAX_POSITIONS:,} are read")
    return np.frombuffer(bitmap.to_array(), np.uint64).view(np.int64) if count else np.empty(0, np.int64)
