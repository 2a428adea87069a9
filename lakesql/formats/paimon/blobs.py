"""Blob files: one column of large values, read whole when a query asks for the column.

    records       magic number (little-endian), the value, the record's length, a CRC-32 of all before it
    lengths       of the records, as differences in zigzag varints; -1 stands for null, -2 for a value that an older file holds
    5 bytes       how long the lengths are, and the version

Source: Paimon, BlobFormatWriter, BlobFileMeta, DeltaVarintCompressor.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
import numpy.typing as npt

from lakesql.errors import DataFileError, UnsupportedFeatureError
from lakesql.storage import Storage

NULL, OLDER = -1, -2
_MAGIC, _VERSION, _FRAME_BYTES = 1481511375, 1, 16


def read_blobs(storage: Storage, path: str, rows: int) -> list[bytes | int]:
    """The values of a blob file, NULL or OLDER where there is none. rows: how many metadata promises. Raises DataFileError, MissingFileError,
    UnsupportedFeatureError.
    """
    content = storage.read(path)
    if len(content) < 5:
        raise DataFileError(f"{path} is cut off: a blob file has 5 bytes at least, not {len(content)}")
    (index_bytes,), version = struct.unpack_from("<i", content, len(content) - 5), content[-1]
    if version != _VERSION:
        raise UnsupportedFeatureError(
            f"{path} is a blob file of version {version}; lakesql reads version {_VERSION}", feature=f"blob files of version {version}"
        )
    end = len(content) - 5 - index_bytes
    if index_bytes < 0 or end < 0:
        raise DataFileError(f"{path}: the lengths of its records take {index_bytes:,} bytes, which it does not have")
    lengths = _lengths(content[end : len(content) - 5], path)
    if len(lengths) != rows:
        raise DataFileError(f"{path} holds {len(lengths):,} records; the manifest says {rows:,}")
    values: list[bytes | int] = []
    at = 0
    for length in lengths.tolist():
        if length in (NULL, OLDER):
            values.append(length)
            continue
        if not _FRAME_BYTES <= length <= end - at:
            raise DataFileError(f"{path}: the record at byte {at:,} has a length of {length:,}; the file is damaged")
        values.append(_value(content[at : at + length], path, at))
        at += length
    if at != end:
        raise DataFileError(f"{path}: its records take {at:,} bytes of {end:,}; the file is damaged")
    return values


def _value(record: bytes, path: str, at: int) -> bytes:
    (magic,), (length, checksum) = struct.unpack_from("<i", record), struct.unpack_from("<qI", record, len(record) - 12)
    if magic != _MAGIC or length != len(record) or zlib.crc32(record[:-4]) != checksum:
        raise DataFileError(f"{path}: the record at byte {at:,} is damaged: its frame does not fit it")
    return record[4:-12]


def _lengths(content: bytes, path: str) -> npt.NDArray[np.int64]:
    found, number, shift = [], 0, 0
    for byte in content:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            found.append((number >> 1) ^ -(number & 1))
            number, shift = 0, 0
        elif shift > 63:
            raise DataFileError(f"{path}: the lengths of its records are no numbers; the file is damaged")
    if shift or any(abs(f) >= 1 << 62 for f in found):
        raise DataFileError(f"{path}: the lengths of its records are no numbers; the file is damaged")
    return np.cumsum(np.array(found, np.int64))
