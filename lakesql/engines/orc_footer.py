"""What pyarrow does not tell of an ORC file: the time zone each stripe was written in, and whether a column has nulls.

Just so much of the format is read: postscript, footer and stripe footers, protobuf messages in chunks that may be compressed. Anything that is not
understood is None: the caller goes on without. Source: ORC specification v1, "File Tail", "Stripe Footer".
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

_NONE, _ZLIB, _SNAPPY, _LZ4, _ZSTD = 0, 1, 2, 4, 5
_MOST_BYTES = 256 << 20
_MAP = 11
_MOST_MILLIS = (2**63 - 1) // 1_000_000 - 86_400_000

Fields = dict[int, list["int | bytes"]]


@dataclass(frozen=True)
class Stripe:
    """The rows of a stripe, and the zone its writer was in, by name; None where it does not say."""

    rows: int
    zone: str | None


@dataclass(frozen=True)
class OrcFooter:
    """stripes: in order. null_keys: whether a map of the file has, as its statistics say, a key that is null. beyond_ns: whether a timestamp is outside the
    years that 64 bits of nanoseconds reach.
    """

    stripes: tuple[Stripe, ...]
    null_keys: bool
    beyond_ns: bool


def read_footer(file: pa.NativeFile) -> OrcFooter | None:
    """The footer of a file that is open. None where it cannot be made out, which is for its proper reader to say."""
    try:
        return _read(file)
    except (_NotUnderstood, IndexError, ValueError, OSError, zlib.error, struct.error, pa.ArrowException):
        return None


class _NotUnderstood(Exception):
    """Bytes that are not what they should be."""


def _read(file: pa.NativeFile) -> OrcFooter:
    size = file.size()
    tail = _at(file, max(size - 1024, 0), min(size, 1024))
    length = tail[-1]
    postscript = _message(tail[-1 - length : -1])
    compression = _number(postscript, 2)
    footer_bytes = _number(postscript, 1)
    footer = _message(_plain(_at(file, size - 1 - length - footer_bytes, footer_bytes), compression))
    stripes = []
    for raw in footer.get(3, []):
        stripe = _message(_bytes(raw))
        at = _number(stripe, 1) + _number(stripe, 2) + _number(stripe, 3)
        inner = _message(_plain(_at(file, at, _number(stripe, 4)), compression))
        zone = inner.get(3)
        stripes.append(Stripe(_number(stripe, 5), _bytes(zone[0]).decode() if zone else None))
    return OrcFooter(tuple(stripes), _null_keys(footer), _beyond_ns(footer))


def _null_keys(footer: Fields) -> bool:
    """Whether the statistics of a map's keys, the first of its two columns, tell of nulls."""
    statistics = footer.get(7, [])
    for raw in footer.get(4, []):
        type_ = _message(_bytes(raw))
        children = _packed(type_.get(2, []))
        if _number(type_, 1) == _MAP and children and children[0] < len(statistics) and _number(_message(_bytes(statistics[children[0]])), 10):
            return True
    return False


def _beyond_ns(footer: Fields) -> bool:
    for raw in footer.get(7, []):
        for timestamps in _message(_bytes(raw)).get(9, []):
            bounds = _message(_bytes(timestamps))
            millis = [v >> 1 ^ -(v & 1) for n in (1, 2, 3, 4) for v in bounds.get(n, []) if isinstance(v, int)]
            if any(abs(m) > _MOST_MILLIS for m in millis):
                return True
    return False


def _at(file: pa.NativeFile, offset: int, length: int) -> bytes:
    if offset < 0 or not 0 <= length <= _MOST_BYTES or offset + length > file.size():
        raise _NotUnderstood
    file.seek(offset)
    content: bytes = file.read(length)
    return content


# Chunks --------------------------------------------------------------------------------------------------------------------------------------------


def _plain(content: bytes, compression: int) -> bytes:
    """The content of a section, its chunks unpacked."""
    if compression == _NONE:
        return content
    at, parts, size = 0, [], 0
    while at + 3 <= len(content):
        header = int.from_bytes(content[at : at + 3], "little")
        chunk = content[at + 3 : at + 3 + (header >> 1)]
        at += 3 + (header >> 1)
        part = chunk if header & 1 else _unpacked(chunk, compression)
        size += len(part)
        if size > _MOST_BYTES:
            raise _NotUnderstood
        parts.append(part)
    return b"".join(parts)


def _unpacked(chunk: bytes, compression: int) -> bytes:
    if compression == _ZLIB:
        return zlib.decompressobj(-15).decompress(chunk, _MOST_BYTES)
    if compression == _ZSTD:
        with pa.CompressedInputStream(pa.BufferReader(chunk), "zstd") as stream:
            found: bytes = stream.read(_MOST_BYTES)
        return found
    if compression == _SNAPPY:
        size, _ = _varint(chunk, 0)
        if size > _MOST_BYTES:
            raise _NotUnderstood
        plain: bytes = pa.Codec("snappy").decompress(chunk, size, asbytes=True)
        return plain
    if compression == _LZ4:
        return _lz4(chunk)
    raise _NotUnderstood


def _lz4(chunk: bytes) -> bytes:
    """A raw block: literals and matches in turn."""
    out, at = bytearray(), 0

    def more(length: int) -> int:
        nonlocal at
        if length == 15:
            while True:
                length += chunk[at]
                at += 1
                if chunk[at - 1] != 255:
                    break
        return length

    while at < len(chunk):
        token = chunk[at]
        at += 1
        literals = more(token >> 4)
        out += chunk[at : at + literals]
        at += literals
        if at >= len(chunk):
            break
        back = chunk[at] | chunk[at + 1] << 8
        at += 2
        length = more(token & 15) + 4
        if not 0 < back <= len(out) or len(out) + length > _MOST_BYTES:
            raise _NotUnderstood
        for _ in range(length):
            out.append(out[-back])
    return bytes(out)


# Messages ------------------------------------------------------------------------------------------------------------------------------------------


def _message(content: bytes) -> Fields:
    """The fields of a protobuf message, by number; of those it has several times, all."""
    fields: Fields = {}
    for number, value in _entries(content):
        fields.setdefault(number, []).append(value)
    return fields


def _entries(content: bytes) -> Iterator[tuple[int, int | bytes]]:
    at = 0
    while at < len(content):
        key, at = _varint(content, at)
        match key & 7:
            case 0:
                value, at = _varint(content, at)
                yield key >> 3, value
            case 2:
                length, at = _varint(content, at)
                if at + length > len(content):
                    raise _NotUnderstood
                yield key >> 3, content[at : at + length]
                at += length
            case 1:
                at += 8
            case 5:
                at += 4
            case _:
                raise _NotUnderstood


def _packed(values: list[int | bytes]) -> list[int]:
    """Repeated numbers, packed or not."""
    found: list[int] = []
    for value in values:
        if isinstance(value, int):
            found.append(value)
            continue
        at = 0
        while at < len(value):
            number, at = _varint(value, at)
            found.append(number)
    return found


def _varint(content: bytes, at: int) -> tuple[int, int]:
    number, shift = 0, 0
    while shift < 70:
        byte = content[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7
    raise _NotUnderstood


def _number(fields: Fields, number: int) -> int:
    value = fields.get(number, [0])[-1]
    if not isinstance(value, int):
        raise _NotUnderstood
    return value


def _bytes(value: int | bytes) -> bytes:
    if not isinstance(value, bytes):
        raise _NotUnderstood
    return value
