"""Hashes of Java's objects, which decide in which order aggregate functions give what they keep in hash maps and sets.

A hash comes with bytes that are equal where Java finds the values equal. Values are as Arrow gives them to Python. Source: Paimon, BinaryRow, BinaryString,
Decimal, Timestamp; OpenJDK, the classes of java.lang, BigDecimal.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from decimal import Context, Decimal
from typing import Any

import pyarrow as pa

from lakesql.formats.paimon.buckets import FIXED, bare, encode, murmur3, signed
from lakesql.formats.paimon.types import DataType, arrow_type

Digest = Callable[[tuple[Any, ...]], tuple[bytes, int]]

_32, _64 = 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF
_DIGITS = Context(prec=80)
_IN_ROWS = (*FIXED, "DECIMAL", "TIMESTAMP", "TIMESTAMP_LTZ", "CHAR", "VARCHAR", "BINARY", "VARBINARY")


def row_hash(types: Sequence[DataType]) -> Digest | None:
    """Of rows as BinaryRow, by their values; None for types whose bytes are not known."""
    if any(t.is_nested or t.root not in _IN_ROWS for t in types):
        return None

    def digest(values: tuple[Any, ...]) -> tuple[bytes, int]:
        raw = encode([_number(v, t) for v, t in zip(values, types, strict=True)], types, reserves=True)
        assert raw is not None
        return raw, murmur3(raw)

    return digest


def value_hash(type_: DataType) -> Digest | None:
    """Of single values; None for types whose values Java compares one by one, as it does nested ones and bytes."""
    make = _VALUES.get(type_.root)
    if make is None:
        return None

    def digest(values: tuple[Any, ...]) -> tuple[bytes, int]:
        value = _number(values[0], type_)
        if value is None:
            return b"", 0
        hash_ = make(value, type_)
        return b"=" + (struct.pack("<d", value) if isinstance(value, float) else repr(value).encode()), signed(hash_ & _32)

    return digest


def _number(value: Any, type_: DataType) -> Any:
    """Instants, dates and times as their numbers."""
    wanted = arrow_type(type_)
    return bare(pa.scalar(value, wanted)) if value is not None and pa.types.is_temporal(wanted) else value


def _long(value: int, _: DataType) -> int:
    return (value ^ value >> 32) & _32


def _double(value: float, type_: DataType) -> int:
    bits = 0x7FF8000000000000 if value != value else int.from_bytes(struct.pack(">d", value))
    return _long(bits, type_)


def _float(value: float, _: DataType) -> int:
    return 0x7FC00000 if value != value else int.from_bytes(struct.pack(">f", value))


def _decimal(value: Decimal, type_: DataType) -> int:
    scale = type_.scale or 0
    unscaled = int(value.scaleb(scale, _DIGITS))
    hash_, rest = 0, abs(unscaled)
    for word in range((rest.bit_length() + 31) // 32 - 1, -1, -1):
        hash_ = (31 * hash_ + (rest >> 32 * word & _32)) & _32
    return 31 * (-hash_ if unscaled < 0 else hash_) + scale


def _timestamp(value: int, type_: DataType) -> int:
    precision = type_.precision or 0
    per_ms = 1 if precision <= 3 else 1000 if precision <= 6 else 1_000_000
    millis, part = divmod(value, per_ms)
    return 31 * _long(millis, type_) + part * (1_000_000 // per_ms if per_ms > 1 else 0)


_VALUES: dict[str, Callable[[Any, DataType], int]] = {
    "BOOLEAN": lambda v, _: 1231 if v else 1237,
    **dict.fromkeys(("TINYINT", "SMALLINT", "INT", "DATE", "TIME"), lambda v, _: int(v)),
    "BIGINT": _long,
    "FLOAT": _float,
    "DOUBLE": _double,
    "DECIMAL": _decimal,
    "TIMESTAMP": _timestamp,
    "TIMESTAMP_LTZ": _timestamp,
    **dict.fromkeys(("CHAR", "VARCHAR"), lambda v, _: murmur3(v.encode())),
}
