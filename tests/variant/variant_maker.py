"""Variants made by hand: Python values as the bytes of Parquet's variant encoding, for tests of what reads them."""

from __future__ import annotations

import datetime as dt
import decimal
import struct
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Sized:
    """A number in a type that its Python value does not tell: type id and the bytes after the header."""

    type_id: int
    body: bytes


def encode(value: Any, *, wide: bool = False) -> tuple[bytes, bytes]:
    """metadata and value. wide: every size in four bytes, where one would do."""
    names = sorted(_names(value))
    width = 4 if wide else 1
    metadata = bytes([1 | (width - 1) << 6]) + len(names).to_bytes(width, "little")
    ends = [0]
    for name in names:
        ends.append(ends[-1] + len(name.encode()))
    metadata += b"".join(end.to_bytes(width, "little") for end in ends) + "".join(names).encode()
    return metadata, _value(value, {n: i for i, n in enumerate(names)}, wide)


def column(values: Sequence[Any], *, wide: bool = False) -> pa.Array:
    """An unshredded variant column; None is a null of the column, `...` a variant null."""
    rows = [None if v is None else dict(zip(("metadata", "value"), encode(None if v is ... else v, wide=wide), strict=True)) for v in values]
    return pa.array(rows, pa.struct([("metadata", pa.binary()), ("value", pa.binary())]))


def _names(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*(_names(v) for v in value.values())) if value else set()
    if isinstance(value, list):
        return set().union(*(_names(v) for v in value)) if value else set()
    return set()


def _value(value: Any, ids: dict[str, int], wide: bool) -> bytes:
    match value:
        case None:
            return bytes([0])
        case bool():
            return bytes([(1 if value else 2) << 2])
        case int():
            return _integer(value)
        case float():
            return _primitive(7, struct.pack("<d", value))
        case str():
            raw = value.encode()
            return bytes([1 | len(raw) << 2]) + raw if len(raw) < 64 and not wide else _primitive(16, len(raw).to_bytes(4, "little") + raw)
        case bytes():
            return _primitive(15, len(value).to_bytes(4, "little") + value)
        case decimal.Decimal():
            sign, digits, exponent = value.as_tuple()
            assert isinstance(exponent, int)
            unscaled = int("".join(map(str, digits))) * (-1 if sign else 1)
            size, type_id = (4, 8) if abs(unscaled) < 10**9 else (8, 9) if abs(unscaled) < 10**18 else (16, 10)
            return _primitive(type_id, bytes([-exponent]) + unscaled.to_bytes(size, "little", signed=True))
        case dt.datetime():
            since = (value if value.tzinfo else value.replace(tzinfo=dt.UTC)) - EPOCH
            return _primitive(12 if value.tzinfo else 13, struct.pack("<q", since // dt.timedelta(microseconds=1)))
        case dt.date():
            return _primitive(11, struct.pack("<i", (value - EPOCH.date()).days))
        case dt.time():
            return _primitive(17, struct.pack("<q", (value.hour * 3600 + value.minute * 60 + value.second) * 10**6 + value.microsecond))
        case uuid.UUID():
            return _primitive(20, value.bytes)
        case Sized():
            return _primitive(value.type_id, value.body)
        case dict():
            order = sorted(value)
            return _container([_value(value[k], ids, wide) for k in order], [ids[k] for k in order], wide)
        case list():
            return _container([_value(v, ids, wide) for v in value], None, wide)
    raise TypeError(type(value))


def _integer(value: int) -> bytes:
    for type_id, size in ((3, 1), (4, 2), (5, 4), (6, 8)):
        if -(1 << 8 * size - 1) <= value < 1 << 8 * size - 1:
            return _primitive(type_id, value.to_bytes(size, "little", signed=True))
    raise OverflowError(value)


def _primitive(type_id: int, body: bytes) -> bytes:
    return bytes([type_id << 2]) + body


def _container(members: list[bytes], ids: list[int] | None, wide: bool) -> bytes:
    ends = [0]
    for member in members:
        ends.append(ends[-1] + len(member))
    large = wide or len(members) > 255
    width = 4 if wide else max(1, (ends[-1].bit_length() + 7) // 8)
    id_width = 4 if wide else max(1, (max(ids, default=0).bit_length() + 7) // 8) if ids is not None else 1
    if ids is None:
        header = 3 | (width - 1) << 2 | large << 4
    else:
        header = 2 | (width - 1) << 2 | (id_width - 1) << 4 | large << 6
    out = bytes([header]) + len(members).to_bytes(4 if large else 1, "little")
    out += b"".join(i.to_bytes(id_width, "little") for i in ids or [])
    return out + b"".join(e.to_bytes(width, "little") for e in ends) + b"".join(members)
