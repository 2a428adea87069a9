"""Avro records one by one in Python: for small files that the fast decoder refuses.

It refuses whole numbers of more than 64 bits, which some writers put where the schema says long; here they are null, as no such number can be meant.
Everything is checked against the bytes that are there, and the caller's limit on size keeps this from being slow.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pyarrow as pa

from lakesql.avro.container import Content, Header, blocks_of

MAX_BYTES = 4 << 20
"""Files up to this size are worth it."""
_MAX_PLAIN_BYTES = 64 << 20
_MAX_DEPTH = 64


class Unreadable(Exception):
    """The bytes are no such records."""


def records(content: Content, header: Header) -> list[dict[str, Any]]:
    """Every record, by the writer's names. Raises Unreadable."""
    named: dict[str, Any] = {}
    found: list[dict[str, Any]] = []
    for count, body in blocks_of(content, header):
        reader = _Reader(_plain(body, header.codec), named)
        found += [reader.value(header.schema, 0) for _ in range(count)]
        if reader.at != len(reader.data):
            raise Unreadable("records do not fill their block")
    return found


def _plain(body: bytes, codec: str) -> bytes:
    try:
        match codec:
            case "null":
                return body
            case "deflate":
                return zlib.decompressobj(-15).decompress(body, _MAX_PLAIN_BYTES)
            case "zstandard":
                with pa.input_stream(pa.py_buffer(body), compression="zstd") as stream:
                    plain: bytes = stream.read(_MAX_PLAIN_BYTES)
                return plain
    except (zlib.error, pa.ArrowException, OSError) as error:
        raise Unreadable(str(error)) from error
    raise Unreadable(f"codec {codec}")


class _Reader:
    """Values in Avro's binary encoding, one after another."""

    def __init__(self, data: bytes, named: dict[str, Any]) -> None:
        self.data = data
        self.at = 0
        self._named = named

    def value(self, schema: Any, depth: int) -> Any:
        """The next value of this type."""
        if depth > _MAX_DEPTH:
            raise Unreadable("nested too deep")
        if isinstance(schema, list):
            index = self._long()
            if index is None or not 0 <= index < len(schema):
                raise Unreadable(f"branch {index} of a union of {len(schema)}")
            return self.value(schema[index], depth + 1)
        if isinstance(schema, str):
            return self.value(self._named[schema], depth + 1) if schema in self._named else self._primitive(schema)
        kind = schema.get("type")
        if isinstance(kind, (dict, list)) or kind in self._named:
            return self.value(kind, depth + 1)
        if kind in ("record", "fixed", "enum"):
            self._named[schema["name"]] = schema
        match kind:
            case "record":
                return {field["name"]: self.value(field["type"], depth + 1) for field in schema["fields"]}
            case "array":
                return self._items(lambda: self.value(schema["items"], depth + 1))
            case "map":
                return self._items(lambda: (self._bytes().decode("utf-8", "replace"), self.value(schema["values"], depth + 1)))
            case "fixed":
                return self._logical(self._take(schema["size"]), schema)
            case "enum":
                index = self._long()
                return schema["symbols"][index] if index is not None and 0 <= index < len(schema["symbols"]) else None
            case _:
                return self._logical(self._primitive(kind), schema)

    def _primitive(self, kind: Any) -> Any:
        match kind:
            case "null":
                return None
            case "boolean":
                return self._take(1) != b"\0"
            case "int" | "long":
                return self._long()
            case "float":
                return struct.unpack("<f", self._take(4))[0]
            case "double":
                return struct.unpack("<d", self._take(8))[0]
            case "bytes":
                return self._bytes()
            case "string":
                return self._bytes().decode("utf-8", "replace")
        raise Unreadable(f"type {kind!r}")

    def _logical(self, value: Any, schema: Mapping[str, Any]) -> Any:
        if schema.get("logicalType") == "decimal" and isinstance(value, bytes):
            return Decimal(int.from_bytes(value, "big", signed=True)).scaleb(-schema.get("scale", 0))
        return value

    def _items(self, item: Any) -> list[Any]:
        found: list[Any] = []
        while True:
            count = self._long()
            if count == 0:
                return found
            if count is None or abs(count) > len(self.data) + 1:
                raise Unreadable("more items than bytes")
            if count < 0:
                self._long()
            found += [item() for _ in range(abs(count))]

    def _long(self) -> int | None:
        """A whole number; None for one of more than 64 bits."""
        number, shift = 0, 0
        while True:
            byte = self._take(1)[0]
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
            if shift > 70:
                raise Unreadable("a number without end")
        signed = (number >> 1) ^ -(number & 1)
        return signed if -(2**63) <= signed < 2**63 else None

    def _bytes(self) -> bytes:
        length = self._long()
        if length is None or length < 0:
            raise Unreadable(f"a text of {length} bytes")
        return self._take(length)

    def _take(self, length: int) -> bytes:
        end = self.at + length
        if end > len(self.data):
            raise Unreadable("the data ends within a record")
        taken = self.data[self.at : end]
        self.at = end
        return taken
