"""Deletion vectors: what the log says of one -> the positions of a data file's deleted rows.

A vector is a Roaring bitmap of row positions, inside the log (`i`), in a file of the table (`u`) or in a file anywhere (`p`); one file may hold many.
Everything that says what it should be is compared with what it is: a wrong vector shows deleted rows or hides living ones. Source: PROTOCOL.md, "Deletion
Vectors" and "Deletion Vector Format".
"""

from __future__ import annotations

import struct
import uuid
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyroaring

from lakesql.errors import AccessDeniedError, DataFileError, MissingFileError, StorageError, UnsupportedFeatureError
from lakesql.formats.delta import z85
from lakesql.formats.delta.paths import normal_path
from lakesql.storage import CachedStorage, Storage, read_immutable

PORTABLE_MAGIC = 1681511377
NATIVE_MAGIC = 1681511376
MAX_BYTES = 1 << 30
"""Bytes a vector may have: a bitmap of 2^31 rows takes a quarter of it."""
MAX_POSITIONS = 1 << 28
"""Rows of one data file that may be deleted; their positions take eight bytes each."""
_WHOLE_FILE_BYTES = 16 << 20
"""Vectors that end within so many bytes are cut out of the whole file, which the storage keeps; writers pack a file to 2 MB."""

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class DvDescriptor:
    """The fields of `deletionVector` in an add, as the log has them. offset: None where the log gives none."""

    storage_type: str
    path_or_inline: str
    offset: int | None
    size_bytes: int
    cardinality: int


def decode(descriptor: DvDescriptor, *, table_root: str, storage: Storage, physical_rows: int | None, resolve: Callable[[str], str] | None = None) -> Positions:
    """The positions of deleted rows, from 0, ascending, in the order of rows in the file before any filter.

    table_root: where the table (not its clone's source) lies. physical_rows: rows of the data file, None where the log does not say; a position beyond them
    is an error. resolve: where an absolute path of a vector lies now, for tables that were moved. A vector of cardinality 0 is empty, whatever else it says,
    and is not read.

    Raises DataFileError, naming the file, where the vector is not what the log or its own checksum says; MissingFileError for a file that is gone;
    UnsupportedFeatureError for another kind of storage.
    """
    if descriptor.cardinality == 0:
        return np.empty(0, np.int64)
    if descriptor.storage_type == "i":
        name = f"the inline deletion vector {descriptor.path_or_inline[:24]!r}"
        blob = _inline(descriptor, name)
    else:
        path = file_path(descriptor, table_root, resolve)
        name = f'deletion vector "{path}" at byte {_offset(descriptor)}'
        blob = _stored(descriptor, path, name, storage)
    return _positions(blob, descriptor.cardinality, physical_rows, name)


def file_path(descriptor: DvDescriptor, table_root: str, resolve: Callable[[str], str] | None = None) -> str:
    """The file that holds a vector of storage type `u` or `p`, as storage names it. Errors as for `decode`."""
    text = descriptor.path_or_inline
    if descriptor.storage_type == "p":
        path = normal_path(text, table_root, source="a deletion vector in the log")
        absolute = path.startswith("/") or "://" in path
        return (resolve(path) if resolve else path) if absolute else f"{table_root.rstrip('/')}/{path}"
    if descriptor.storage_type == "u":
        prefix, encoded = text[:-20], text[-20:]
        try:
            name = uuid.UUID(bytes=z85.decode(encoded))
        except ValueError as error:
            raise DataFileError(f"deletion vector {text[:60]!r} of table {table_root} names no file: expected a Z85 UUID in its last 20 characters") from error
        if prefix.strip("/") != prefix or ".." in prefix.split("/"):
            raise DataFileError(f"deletion vector {text[:60]!r} of table {table_root} leads out of the table's folder")
        return "/".join(part for part in (table_root.rstrip("/"), prefix, f"deletion_vector_{name}.bin") if part)
    raise UnsupportedFeatureError(
        f"deletion vectors of storage type {descriptor.storage_type[:20]!r} are not supported; known are u, p and i",
        feature=f"deletion vector storage type {descriptor.storage_type[:20]}",
        hint="read a version from before the feature that brings them was switched on",
    )


def unique_id(storage_type: pa.Array, path_or_inline: pa.Array, offset: pa.Array) -> pa.Array:
    """What tells two vectors of one data file apart, for many files at once; null without a vector.

    Source: PROTOCOL.md, "Derived Fields": storageType, pathOrInlineDv, and "@" with the offset where there is one.
    """
    at = pc.binary_join_element_wise("@", pc.cast(offset, pa.string()), "")
    return pc.binary_join_element_wise(storage_type, path_or_inline, pc.fill_null(at, ""), "")


def _inline(descriptor: DvDescriptor, name: str) -> bytes:
    try:
        blob = z85.decode(descriptor.path_or_inline)
    except ValueError as error:
        raise DataFileError(f"{name} is not Z85 text: {error}") from error
    if not 0 <= descriptor.size_bytes <= len(blob):
        raise DataFileError(f"{name} has {len(blob)} bytes; the log says {descriptor.size_bytes}")
    return blob[: descriptor.size_bytes]


def _stored(descriptor: DvDescriptor, path: str, name: str, storage: Storage) -> bytes:
    """The bitmap out of its file, its frame checked: a big-endian size before it, a big-endian CRC-32 after."""
    offset, size = _offset(descriptor), descriptor.size_bytes
    if not (0 < size <= MAX_BYTES and 0 < offset < 2**48):
        raise DataFileError(f"{name}: the log gives it {size:,} bytes; expected 1 to {MAX_BYTES:,}, behind the file's version byte")
    try:
        version, frame = _frame(storage, path, offset, size + 8)
    except (MissingFileError, AccessDeniedError):
        raise
    except StorageError as error:
        file_bytes = storage.size(path)
        if file_bytes is not None and file_bytes < offset + size + 8:
            raise DataFileError(f"{name}: the file is cut off: it has {file_bytes:,} bytes, and the vector ends at {offset + size + 8:,}") from error
        raise
    if version is not None and version != 1:
        raise DataFileError(f"{name}: the file has format version {version}; expected 1")
    (stated,), (checksum,) = struct.unpack_from(">I", frame), struct.unpack_from(">I", frame, size + 4)
    blob = frame[4:-4]
    if stated != size:
        raise DataFileError(f"{name}: the file gives it {stated:,} bytes, the log {size:,}")
    if zlib.crc32(blob) != checksum:
        raise DataFileError(f"{name}: its checksum does not match; the file is damaged", hint="restore the file, or read a version from before the delete")
    return blob


def _frame(storage: Storage, path: str, offset: int, length: int) -> tuple[int | None, bytes]:
    """The file's version byte (None where it is not at hand) and `length` bytes from `offset`."""
    if isinstance(storage, CachedStorage) and offset + length <= _WHOLE_FILE_BYTES:
        data = read_immutable(storage, path)
        if offset + length > len(data):
            raise StorageError(f'"{path}" ends early')
        return data[0], data[offset : offset + length]
    if offset == 1:
        data = storage.read_range(path, 0, 1 + length)
        return data[0], data[1:]
    return None, storage.read_range(path, offset, length)


def _offset(descriptor: DvDescriptor) -> int:
    """Behind the version byte where the log gives none: 0, which the protocol names, would be that byte itself."""
    return 1 if descriptor.offset is None else descriptor.offset


def _positions(blob: bytes, cardinality: int, physical_rows: int | None, name: str) -> Positions:
    """The bitmap's positions. Nothing is spread out before its number is known to be right: a run of a few bytes can stand for billions."""
    if not 0 < cardinality <= MAX_POSITIONS:
        raise DataFileError(f"{name}: the log gives it {cardinality:,} rows; expected 1 to {MAX_POSITIONS:,}")
    magic = struct.unpack_from("<I", blob)[0] if len(blob) >= 4 else None
    try:
        if magic == PORTABLE_MAGIC:
            bitmap = pyroaring.BitMap64.deserialize(blob[4:])
        elif magic == NATIVE_MAGIC:
            bitmap = _native(blob, cardinality)
        else:
            raise DataFileError(f"{name} begins with {magic}; expected {PORTABLE_MAGIC} (portable) or {NATIVE_MAGIC} (native), little-endian")
        count, last = len(bitmap), bitmap.max() if bitmap else 0
    except (ValueError, IndexError, MemoryError, OverflowError, struct.error) as error:
        raise DataFileError(f"{name} does not hold a Roaring bitmap: {error}") from error
    if count != cardinality:
        raise DataFileError(f"{name} lists {count:,} rows; the log says {cardinality:,}")
    if last >= (2**63 if physical_rows is None else physical_rows):
        rows = "2^63" if physical_rows is None else f"{physical_rows:,}"
        raise DataFileError(f"{name} lists row {last:,} of a data file with {rows} rows at most, the first being 0")
    return np.frombuffer(bitmap.to_array(), np.uint64).view(np.int64)


def _native(blob: bytes, cardinality: int) -> pyroaring.BitMap64:
    """Spark's older form: a count, then 32-bit bitmaps with their lengths; the place of each is the upper half of its positions."""
    (count,) = struct.unpack_from("<I", blob, 4)
    at, merged = 8, pyroaring.BitMap64()
    for high in range(count):
        (length,) = struct.unpack_from("<I", blob, at)  # ends the loop by an error where `count` is more than the blob holds
        part = pyroaring.BitMap.deserialize(blob[at + 4 : at + 4 + length])
        if len(part) > cardinality - len(merged):
            raise ValueError(f"more than {cardinality:,} rows, which the log gives it")
        merged |= pyroaring.BitMap64(np.frombuffer(part.to_array(), np.uint32).astype(np.uint64) + np.uint64(high << 32))
        at += 4 + length
    return merged
