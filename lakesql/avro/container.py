"""The frame of an Avro object container: its header, and the blocks behind it, checked without decoding a record.

The decoder takes a file that was cut off, or whose sync markers differ, for a shorter one; so the frame is walked here first, which costs a few microseconds
a block. Source: Avro specification, "Object Container Files".
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import orjson
import pyarrow as pa

from lakesql.errors import MetadataError, UnsupportedFeatureError
from lakesql.location import is_local
from lakesql.storage import Storage, missing, read_kept

MAGIC = b"Obj\x01"
CODECS = ("null", "deflate", "snappy", "zstandard", "bzip2", "xz")
MAX_HEADER_BYTES = 16 << 20
MAX_DEPTH = 64
"""Levels of nesting a schema may have; deeper ones are refused as hostile."""

WRAPPED = "record"
"""The field that stands for the whole record where records are a union with null."""

_SYNC_BYTES = 16
_FIRST_READ_BYTES = 64 << 10
_MAX_ENTRIES = 10_000
_MAX_ROWS_PER_BYTE = 1 << 16
"""More records than this for each byte of a block are no data, whatever the codec: they would fill memory, not files."""


V = TypeVar("V")


@dataclass(frozen=True)
class Header:
    """What a container says of itself. schema: the writer's record, as parsed JSON; metadata: the other entries, as bytes; size_bytes: where the first block
    starts. wrapped: records are given as a union with null, as old writers of Paimon do. schema_text: the schema as it stands in the file.
    """

    schema: Any
    metadata: Mapping[str, bytes]
    codec: str
    sync: bytes
    size_bytes: int
    wrapped: bool = False
    schema_text: bytes = field(default=b"", repr=False)

    @property
    def stored(self) -> Any:
        """What the bytes are: the schema, or where it is wrapped a record whose one field is the union. A record takes no bytes beyond those of its fields."""
        if not self.wrapped:
            return self.schema
        return {"type": "record", "name": "lakesql_wrapped", "fields": [{"name": WRAPPED, "type": ["null", self.schema]}]}


class Content:
    """A file's bytes: local files are read piece by piece, others are fetched whole, since every read of those is a request. immutable: as `decode.read` has
    it.
    """

    def __init__(self, storage: Storage, path: str, immutable: bool = False) -> None:
        self.path = path
        self._file: pa.NativeFile | None = None
        self._bytes = b""
        if is_local(path):
            size = storage.size(path)
            if size is None:
                raise missing(path)
            self.size_bytes = size
            self._file = storage.open(path)
        else:
            self._bytes = read_kept(storage, path) if immutable else storage.read(path)
            self.size_bytes = len(self._bytes)

    def __enter__(self) -> Content:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def read(self, offset: int, length: int) -> bytes:
        """length bytes from offset, fewer at the end of the file."""
        if self._file is None:
            return self._bytes[offset : offset + length]
        try:
            self._file.seek(offset)
            content: bytes = self._file.read(length)
        except (OSError, ValueError) as error:
            raise MetadataError(f'cannot read {length:,} bytes at {offset:,} of "{self.path}": {error}') from error
        return content


def header_of(content: Content) -> Header:
    """The header of a container. Raises MetadataError where the file is none, or is cut off; UnsupportedFeatureError for a codec that is not read."""
    path = content.path
    start = content.read(0, _FIRST_READ_BYTES)
    if not start.startswith(MAGIC):
        what = "is empty" if not start else "is no Avro file" if start[:4] != b"AGS1" else "is encrypted"
        if start.startswith(b"AGS1"):
            raise UnsupportedFeatureError(f'"{path}" {what}; lakesql reads no encrypted files', feature="encrypted metadata")
        raise MetadataError(f'"{path}" {what}: expected it to begin with {MAGIC!r}, found {start[:4]!r}')
    while True:
        try:
            return _header(start, path)
        except _TooShort as error:
            if len(start) >= content.size_bytes:
                raise MetadataError(f'"{path}" is cut off within its header: it has {content.size_bytes:,} bytes') from error
            if len(start) >= MAX_HEADER_BYTES:
                raise MetadataError(f'"{path}" has a header of more than {MAX_HEADER_BYTES:,} bytes') from error
            start = content.read(0, len(start) * 8)


def row_count(content: Content, header: Header) -> int:
    """The number of records in all blocks, which must fill the file to its last byte. Raises MetadataError otherwise."""
    return sum(count for count, _, _ in _blocks(content, header))


def blocks_of(content: Content, header: Header) -> Iterator[tuple[int, bytes]]:
    """Every block: how many records it has, and its bytes as they are stored. Raises MetadataError as `row_count`."""
    return ((count, content.read(start, size)) for count, start, size in _blocks(content, header))


def _blocks(content: Content, header: Header) -> Iterator[tuple[int, int, int]]:
    """Every block: its number of records, where its body is, and its size."""
    path, end = content.path, content.size_bytes
    at = header.size_bytes
    window, start = b"", at
    while at < end:
        if not start <= at <= start + len(window) - 20:
            window, start = content.read(at, 64), at
        try:
            count, place = _long(window, at - start)
            size, place = _long(window, place)
        except _TooShort as error:
            raise _cut_off(path, at, end) from error
        body = start + place
        if count < 0 or size < 0 or count > max(size, 1) * _MAX_ROWS_PER_BYTE:
            raise MetadataError(f'"{path}": the block at byte {at:,} has {count:,} records in {size:,} bytes; it is damaged')
        if body + size + _SYNC_BYTES > end:
            raise _cut_off(path, at, end)
        window, start = content.read(body + size, 64), body + size
        if window[:_SYNC_BYTES] != header.sync:
            raise MetadataError(f'"{path}": the block at byte {at:,} does not end with the sync marker of the header; it is damaged')
        yield count, body, size
        at = body + size + _SYNC_BYTES


def header_bytes(header: Header, schema: Any) -> bytes:
    """The header with another schema, which must describe the same bytes."""
    entries = {"avro.schema": orjson.dumps(schema), "avro.codec": header.codec.encode()}
    body = b"".join(_text(key.encode()) + _text(value) for key, value in entries.items())
    return MAGIC + _varint(len(entries)) + body + b"\0" + header.sync


class Known(Generic[V]):
    """What was worked out for a key before: files of one table share few schemas. All is forgotten when there is too much of it; threads may do work twice."""

    def __init__(self, limit: int = 512) -> None:
        self._limit = limit
        self._values: dict[Hashable, V] = {}

    def get(self, key: Hashable, make: Callable[[], V]) -> V:
        """The value for the key; errors are not remembered."""
        found = self._values.get(key)
        if found is None:
            found = make()
            if len(self._values) >= self._limit:
                self._values.clear()
            self._values[key] = found
        return found


_parsed: Known[tuple[Any, bool]] = Known()


class _TooShort(Exception):
    """The bytes at hand end within what is being read."""


def _header(content: bytes, path: str) -> Header:
    at = len(MAGIC)
    entries: dict[str, bytes] = {}
    while True:
        count, at = _long(content, at)
        if count == 0:
            break
        if count < 0:  # a block that gives its size as well
            _, at = _long(content, at)
            count = -count
        if count + len(entries) > _MAX_ENTRIES:
            raise MetadataError(f'"{path}" has {count:,} entries in its header; it is no table metadata')
        for _ in range(count):
            key, at = _counted(content, at, path)
            value, at = _counted(content, at, path)
            entries[key.decode("utf-8", "replace")] = value
    sync = content[at : at + _SYNC_BYTES]
    if len(sync) < _SYNC_BYTES:
        raise _TooShort
    codec = entries.pop("avro.codec", b"null").decode("utf-8", "replace")
    if codec not in CODECS:
        raise UnsupportedFeatureError(
            f'"{path}" is compressed with {codec[:40]!r}; Avro files are read with {", ".join(CODECS)}', feature=f"Avro codec {codec[:40]}"
        )
    text = entries.pop("avro.schema", None)
    if text is None:
        raise MetadataError(f'"{path}" has no avro.schema in its header')
    schema, wrapped = _parsed.get(text, lambda: _schema(text, path))
    return Header(schema, entries, codec, sync, at + _SYNC_BYTES, wrapped, text)


def _schema(text: bytes, path: str) -> tuple[Any, bool]:
    """The schema of records, and whether those are a union with null."""
    try:
        schema = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise MetadataError(f'"{path}": the avro.schema in its header is no JSON: {error}') from error
    wrapped = isinstance(schema, list) and len(schema) == 2 and schema[0] == "null"
    schema = schema[1] if wrapped else schema
    if not isinstance(schema, dict) or schema.get("type") != "record":
        raise MetadataError(f'"{path}" holds no records: its schema is {text[:60].decode("utf-8", "replace")!r}')
    _check_depth(schema, 0, path)
    return schema, wrapped


def _check_depth(schema: Any, depth: int, path: str) -> None:
    if depth > 4 * MAX_DEPTH:
        raise MetadataError(f'"{path}": its schema is nested more than {MAX_DEPTH} levels deep')
    for child in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        _check_depth(child, depth + 1, path)


def _counted(content: bytes, at: int, path: str) -> tuple[bytes, int]:
    """Bytes preceded by their number."""
    length, at = _long(content, at)
    if not 0 <= length <= MAX_HEADER_BYTES:
        raise MetadataError(f'"{path}": a text in its header has {length:,} bytes; the file is damaged')
    if at + length > len(content):
        raise _TooShort
    return content[at : at + length], at + length


def _long(content: bytes, at: int) -> tuple[int, int]:
    """A zigzag number and the place behind it; one of more than ten bytes counts as cut off, as its end is not where it should be."""
    number, shift = 0, 0
    for place in range(at, at + 10):
        if place >= len(content):
            break
        byte = content[place]
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (number >> 1) ^ -(number & 1), place + 1
        shift += 7
    raise _TooShort


def _varint(value: int) -> bytes:
    number, out = value << 1, bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _text(value: bytes) -> bytes:
    return _varint(len(value)) + value


def _cut_off(path: str, at: int, size_bytes: int) -> MetadataError:
    return MetadataError(
        f'"{path}" is cut off: the block at byte {at:,} goes beyond its end at {size_bytes:,}', hint="the file was not written or copied whole"
    )
