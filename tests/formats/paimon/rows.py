"""An encoder of BinaryRow, written from Paimon's BinaryRowWriter and apart from the reader it tests; values of every type for hypothesis."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from decimal import Context, Decimal
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from lakesql.formats.paimon.types import DataType, parse_type

SIZES = {"BOOLEAN": "B", "TINYINT": "b", "SMALLINT": "h", "INT": "i", "DATE": "i", "TIME": "i", "BIGINT": "q", "FLOAT": "f", "DOUBLE": "d"}


def type_of(text: str) -> DataType:
    """A type as a schema spells it."""
    return parse_type(text, "test")


def row(values: Sequence[Any], types: Sequence[DataType]) -> bytes:
    """A row with its arity in front. Timestamps are (milliseconds, nanoseconds within one), dates and times numbers, decimals unscaled integers."""
    arity = len(types)
    header = ((arity + 63 + 8) // 64) * 8
    body = bytearray(header + 8 * arity)

    def append(piece: bytes) -> int:
        at = len(body)
        body.extend(piece + bytes(-len(piece) % 8))
        return at

    for i, (value, type_) in enumerate(zip(values, types, strict=True)):
        slot = header + 8 * i
        wide_decimal = type_.root == "DECIMAL" and type_.precision > 18
        wide_timestamp = type_.root.startswith("TIMESTAMP") and type_.precision > 3
        if value is None:
            body[(i + 8) // 8] |= 1 << ((i + 8) % 8)
            if wide_decimal or wide_timestamp:
                struct.pack_into("<q", body, slot, append(bytes(16 if wide_decimal else 8)) << 32)
        elif type_.root in SIZES:
            struct.pack_into("<" + SIZES[type_.root], body, slot, value)
        elif wide_decimal:
            size = 1
            while not -(1 << (8 * size - 1)) <= value < 1 << (8 * size - 1):
                size += 1
            struct.pack_into("<q", body, slot, append(value.to_bytes(size, "big", signed=True).ljust(16, b"\0")) << 32 | size)
        elif type_.root == "DECIMAL":
            struct.pack_into("<q", body, slot, value)
        elif wide_timestamp:
            struct.pack_into("<q", body, slot, append(struct.pack("<q", value[0])) << 32 | value[1])
        elif type_.root.startswith("TIMESTAMP"):
            struct.pack_into("<q", body, slot, value[0])
        else:
            raw = value.encode() if isinstance(value, str) else value
            if len(raw) <= 7:
                body[slot : slot + 8] = raw.ljust(7, b"\0") + bytes([0x80 | len(raw)])
            else:
                struct.pack_into("<Q", body, slot, append(raw) << 32 | len(raw))
    return struct.pack(">i", arity) + bytes(body)


def expected(value: Any, type_: DataType) -> Any:
    """What the reader is to make of a value, as pyarrow's `as_py` or raw number gives it."""
    if value is None:
        return None
    if type_.root == "BOOLEAN":
        return bool(value)
    if type_.root == "DECIMAL":
        return Decimal(value).scaleb(-type_.scale, Context(prec=80))
    if type_.root.startswith("TIMESTAMP"):
        millis, nanos = value
        return millis if type_.precision <= 3 else millis * 1000 + nanos // 1000 if type_.precision <= 6 else millis * 1_000_000 + nanos
    return value


def plain(array: pa.Array) -> list[Any]:
    """An array's values as `expected` has them."""
    if pa.types.is_temporal(array.type):
        return [v.value if v.is_valid else None for v in array]
    return array.to_pylist()


def _ints(bits: int) -> st.SearchStrategy[int]:
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def values_of(type_: DataType) -> st.SearchStrategy[Any]:
    """Values of a type in the form `row` takes, nulls included."""
    match type_.root:
        case "BOOLEAN":
            some: st.SearchStrategy[Any] = st.integers(0, 1)
        case "TINYINT" | "SMALLINT" | "INT" | "BIGINT" | "DATE":
            some = _ints({"TINYINT": 8, "SMALLINT": 16, "BIGINT": 64}.get(type_.root, 32))
        case "TIME":
            some = st.integers(0, 86_399_999)
        case "FLOAT":
            some = st.floats(width=32, allow_nan=False)
        case "DOUBLE":
            some = st.floats(allow_nan=False)
        case "DECIMAL":
            some = st.integers(-(10**type_.precision) + 1, 10**type_.precision - 1)
        case "TIMESTAMP" | "TIMESTAMP_LTZ":
            most = 9_000_000_000_000 if type_.precision > 6 else 253_402_300_799_999
            some = st.tuples(st.integers(-most, most), st.integers(0, 999_999) if type_.precision > 3 else st.just(0))
        case "CHAR" | "VARCHAR":
            some = st.text(st.characters(codec="utf-8"), max_size=20)
        case _:
            some = st.binary(max_size=20)
    return st.none() | some


TYPES = [
    type_of(t)
    for t in (
        *(
            "BOOLEAN",
            "TINYINT",
            "SMALLINT",
            "INT",
            "BIGINT",
            "FLOAT",
            "DOUBLE",
            "DATE",
            "TIME(3)",
            "STRING",
            "CHAR(4)",
            "VARCHAR(9)",
            "BYTES",
            "BINARY(3)",
            "VARBINARY(9)",
        ),
        *("DECIMAL(1, 0)", "DECIMAL(18, 4)", "DECIMAL(19, 0)", "DECIMAL(38, 10)"),
        *(f"{t}({p})" for t in ("TIMESTAMP", "TIMESTAMP_LTZ") for p in (0, 3, 4, 6, 7, 9)),
    )
]
"""One type of every layout there is."""
