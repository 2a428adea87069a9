"""Column types, the values worth trying in them, and how SQL spells each value.

A literal has two spellings that mean the same: `plain`, as a user writes it, which leaves the engine to find its type; and `typed`, which names the type
outright. The second is for the oracle, an engine without lakesql.
"""

from __future__ import annotations

import datetime as dt
import decimal
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

UTC = dt.UTC


@dataclass(frozen=True)
class Literal:
    """One value in both spellings."""

    plain: str
    typed: str


NULL = Literal("NULL", "NULL")


@dataclass(frozen=True)
class Kind:
    """A column type.

    values: what rows hold; probes: literals around them that no row needs to hold; literal: how a value is spelled; can_partition: which values deltalake can
    write as a partition (it breaks negative decimals, escapes bytes as no other writer does, and makes names too long for a directory).
    """

    name: str
    type: pa.DataType
    values: tuple[Any, ...]
    probes: tuple[Any, ...]
    literal: Callable[[Any], Literal]
    can_partition: Callable[[Any], bool] = lambda value: True

    @property
    def has_order(self) -> bool:
        """Whether `<` makes sense on it."""
        return not (pa.types.is_nested(self.type) or pa.types.is_boolean(self.type))


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _cast(type_: str) -> Callable[[Any], Literal]:
    return lambda value: Literal(str(value), f"arrow_cast({_text(str(value))}, '{type_}')")


def _integer(value: int) -> Literal:
    typed = f"arrow_cast('{value}', 'Int64')"
    return Literal(typed if value == -(2**63) else str(value), typed)


def _float(value: float) -> Literal:
    typed = f"arrow_cast('{value!r}', 'Float64')"
    return Literal(repr(value) if math.isfinite(value) else f"CAST('{value!r}' AS DOUBLE)", typed)


def _decimal(value: decimal.Decimal) -> Literal:
    text = format(value, "f")
    scale = len(text.partition(".")[2])
    return Literal(text, f"arrow_cast('{text}', 'Decimal128({max(20, len(text.lstrip('-')) - (scale > 0))}, {scale})')")


def _string(value: str) -> Literal:
    return Literal(_text(value), f"arrow_cast({_text(value)}, 'Utf8')")


def _binary(value: bytes) -> Literal:
    return Literal(f"X'{value.hex()}'", f"arrow_cast(X'{value.hex()}', 'Binary')")


def _date(value: dt.date) -> Literal:
    return Literal(f"DATE '{value}'", f"arrow_cast('{value}', 'Date32')")


def _instant(value: dt.datetime) -> Literal:
    text = value.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ")
    return Literal(f"TIMESTAMP '{text}Z'", f"arrow_cast('{text}Z', 'Timestamp(Microsecond, Some(\"UTC\"))')")


def _wall(value: dt.datetime) -> Literal:
    text = value.isoformat(sep=" ")
    return Literal(f"TIMESTAMP '{text}'", f"arrow_cast('{text}', 'Timestamp(Microsecond, None)')")


def _boolean(value: bool) -> Literal:
    return Literal(str(value).upper(), str(value).upper())


def _integers(bits: int) -> tuple[int, ...]:
    return (-(2 ** (bits - 1)), -2, -1, 0, 1, 2, 7, 100, 2 ** (bits - 1) - 1)


LONG = "lakehouse " * 8
STRINGS = ("", "a", "A", "ab", "abc", "b", "it's", "100%", "a_b", "a\\b", " ", "é", "ß", "日本", "\U0010ffff", "\x7f", LONG, LONG + "a", LONG + "\U0010ffff")
DATES = (dt.date(1, 1, 1), dt.date(1582, 10, 14), dt.date(1969, 12, 31), dt.date(1970, 1, 1), dt.date(2024, 2, 29), dt.date(2024, 3, 1), dt.date(9999, 12, 31))
WALLS = (
    dt.datetime(1, 1, 2),
    dt.datetime(1600, 1, 1),
    dt.datetime(1969, 12, 31, 23, 59, 59, 999999),
    dt.datetime(1970, 1, 1),
    dt.datetime(2024, 2, 29, 12, 34, 56, 789000),
    dt.datetime(2024, 2, 29, 12, 34, 56, 789123),
    dt.datetime(2024, 2, 29, 12, 34, 56, 789999),
    dt.datetime(2024, 3, 1),
    dt.datetime(9999, 12, 31, 23, 59, 59, 999999),
)
FLOATS = (math.nan, math.inf, -math.inf, -0.0, 0.0, 0.5, -0.5, 0.1, 1e10, -1e10)
D = decimal.Decimal
MONEY = (D("-9999999.99"), D("-0.01"), D("0.00"), D("0.01"), D("1.50"), D("12.34"), D("9999999.99"))
WIDE = (D("-9999999999999999999999999999.9999999999"), D("-1.0000000001"), D("0E-10"), D("1.0000000001"), D("9999999999999999999999999999.9999999999"))

KINDS = (
    Kind("byte", pa.int8(), _integers(8), (-129, 3, 128, 1000), _integer),
    Kind("short", pa.int16(), _integers(16), (3, 40000), _integer),
    Kind("int", pa.int32(), _integers(32), (3, 2**31, -(2**31) - 1), _integer),
    Kind("long", pa.int64(), _integers(64), (3, 2**53 + 1), _integer),
    Kind("float", pa.float32(), (*FLOATS, 3.4028234663852886e38, 1.401298464324817e-45), (0.25, 1e39, 3.0), _float),
    Kind("double", pa.float64(), (*FLOATS, 1.7976931348623157e308, 5e-324, 1e300), (0.25, 3.0), _float, lambda value: value in FLOATS),
    Kind("money", pa.decimal128(9, 2), MONEY, (D("0.005"), D("2"), D("12345678.9")), _decimal, lambda value: value >= 0),
    Kind("wide", pa.decimal128(38, 10), WIDE, (D("0.5"), D("3")), _decimal, lambda value: value >= 0),
    Kind("bool", pa.bool_(), (True, False), (), _boolean),
    Kind("string", pa.string(), STRINGS, ("aa", "zz", "lakehouse", LONG[:40]), _string),
    Kind("binary", pa.binary(), (b"", b"\x00", b"a", b"ab", b"\x7f", b"\xff", b"\xff\xff"), (b"b",), _binary, lambda value: value == b""),
    Kind("date", pa.date32(), DATES, (dt.date(2024, 1, 1), dt.date(1900, 1, 1)), _date),
    Kind("instant", pa.timestamp("us", "UTC"), tuple(w.replace(tzinfo=UTC) for w in WALLS), (dt.datetime(2024, 1, 1, tzinfo=UTC),), _instant),
    Kind("wall", pa.timestamp("us"), WALLS, (dt.datetime(2024, 1, 1), dt.datetime(2024, 2, 29, 12, 34, 56, 789500)), _wall),
)
BY_NAME = {kind.name: kind for kind in KINDS}

STRUCT = pa.struct([("n", pa.int32()), ("s", pa.string())])
LIST = pa.list_(pa.int32())
