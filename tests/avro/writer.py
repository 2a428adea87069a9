"""Writes Avro containers record by record, whole or damaged: the tests' own writer, so that no Avro library is needed."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

SYNC = bytes(range(16))


def container(schema: Any, records: Iterable[Any], *, codec: str = "null", metadata: Mapping[str, bytes] | None = None, per_block: int = 100) -> bytes:
    """A file of these records, so many to a block."""
    rows = [encoded(schema, record) for record in records]
    blocks = [(len(rows[at : at + per_block]), b"".join(rows[at : at + per_block])) for at in range(0, len(rows), per_block)]
    return header(schema, codec=codec, metadata=metadata) + b"".join(block(count, body, codec) for count, body in blocks)


def header(schema: Any, *, codec: str = "null", metadata: Mapping[str, bytes] | None = None) -> bytes:
    """Everything before the first block."""
    entries = {"avro.schema": json.dumps(schema).encode(), "avro.codec": codec.encode(), **(metadata or {})}
    body = b"".join(counted(key.encode()) + counted(value) for key, value in entries.items())
    return b"Obj\x01" + varint(len(entries)) + body + b"\0" + SYNC


def block(count: int, body: bytes, codec: str = "null") -> bytes:
    """A block with its sync marker."""
    squeezed = compressed(body, codec)
    return varint(count) + varint(len(squeezed)) + squeezed + SYNC


def compressed(body: bytes, codec: str) -> bytes:
    """A block's content as the codec has it."""
    match codec:
        case "deflate":
            squeeze = zlib.compressobj(6, zlib.DEFLATED, -15)
            return squeeze.compress(body) + squeeze.flush()
        case "snappy":
            return pa.compress(body, codec="snappy", asbytes=True) + struct.pack(">I", zlib.crc32(body))
        case "zstandard":
            return pa.compress(body, codec="zstd", asbytes=True)
    return body


def encoded(schema: Any, value: Any, named: dict[str, Any] | None = None) -> bytes:
    """A value in Avro's binary encoding. A union is written by the first branch that fits: null for None, else the first other."""
    named = {} if named is None else named
    if isinstance(schema, list):
        index = next(i for i, branch in enumerate(schema) if (branch == "null") == (value is None))
        return varint(index) + encoded(schema[index], value, named)
    kind = schema["type"] if isinstance(schema, dict) else schema
    if isinstance(kind, (dict, list)):
        return encoded(kind, value, named)
    if kind in named:
        return encoded(named[kind], value, named)
    if isinstance(schema, dict) and "name" in schema and kind in ("record", "fixed", "enum"):
        named[schema["name"]] = schema
    match kind:
        case "null":
            return b""
        case "boolean":
            return b"\x01" if value else b"\0"
        case "int" | "long":
            return varint(value)
        case "float":
            return struct.pack("<f", value)
        case "double":
            return struct.pack("<d", value)
        case "string":
            return counted(value.encode())
        case "bytes":
            return counted(value)
        case "fixed":
            return bytes(value)
        case "record":
            return b"".join(encoded(field["type"], value.get(field["name"]), named) for field in schema["fields"])
        case "array":
            return _items([encoded(schema["items"], item, named) for item in value])
        case "map":
            return _items([counted(key.encode()) + encoded(schema["values"], item, named) for key, item in value.items()])
    raise AssertionError(f"the test writer knows no {kind}")


def _items(items: Sequence[bytes]) -> bytes:
    return (varint(len(items)) if items else b"") + b"".join(items) + b"\0"


def counted(value: bytes) -> bytes:
    """Bytes after their number."""
    return varint(len(value)) + value


def varint(value: int) -> bytes:
    """A zigzag number."""
    number, out = value << 1 if value >= 0 else (-value << 1) - 1, bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
