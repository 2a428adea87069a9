"""PEP 249's type objects and constructors, and the type codes of a cursor's description."""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING, NamedTuple

from lakesql.frontends.types import base_type_name, plain_type

if TYPE_CHECKING:
    import pyarrow as pa

Date = dt.date
Time = dt.time
Timestamp = dt.datetime
Binary = bytes


class TypeGroup:
    """One of PEP 249's type objects: equal to every type code of its group."""

    def __init__(self, name: str, *type_names: str) -> None:
        self._name = name
        self.type_names = frozenset(type_names)

    def __eq__(self, other: object) -> bool:
        return other in self.type_names if isinstance(other, TypeCode) else self is other

    def __hash__(self) -> int:
        return hash(self._name)

    def __repr__(self) -> str:
        return self._name


class TypeCode(str):
    """The type of a column: its SQL name without parameters, as text, equal to its type object; `arrow` is the whole Arrow type.

    TypeCode(pa.decimal128(10, 2)) is "DECIMAL", == NUMBER, and .arrow.precision is 10.
    """

    arrow: pa.DataType
    __slots__ = ("arrow",)

    def __new__(cls, arrow: pa.DataType) -> TypeCode:
        code = super().__new__(cls, base_type_name(arrow))
        code.arrow = arrow
        return code

    def __eq__(self, other: object) -> bool:
        return other == self if isinstance(other, TypeGroup) else str.__eq__(self, other) is True

    def __hash__(self) -> int:
        return str.__hash__(self)

    def __reduce__(self) -> tuple[type[TypeCode], tuple[pa.DataType]]:
        return TypeCode, (self.arrow,)


STRING = TypeGroup("STRING", "VARCHAR", "UUID")
BINARY = TypeGroup("BINARY", "BLOB")
NUMBER = TypeGroup(
    "NUMBER", "BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "HALF", "REAL", "DOUBLE", "DECIMAL"
)
DATETIME = TypeGroup("DATETIME", "DATE", "TIME", "TIMESTAMP", "TIMESTAMPTZ", "INTERVAL")
ROWID = TypeGroup("ROWID")


class ColumnDescription(NamedTuple):
    """What PEP 249 says of a column of a result."""

    name: str
    type_code: TypeCode
    display_size: int | None
    internal_size: int | None
    precision: int | None
    scale: int | None
    null_ok: bool


def describe(schema: pa.Schema) -> list[ColumnDescription]:
    """The description of a result with this schema. precision and scale: of decimals; fractional digits of times and timestamps are their scale."""
    return [_describe(field) for field in schema]


def DateFromTicks(ticks: float) -> dt.date:
    """The local date at this number of seconds since the epoch."""
    return dt.date(*time.localtime(ticks)[:3])


def TimeFromTicks(ticks: float) -> dt.time:
    """The local time of day at this number of seconds since the epoch."""
    return dt.time(*time.localtime(ticks)[3:6])


def TimestampFromTicks(ticks: float) -> dt.datetime:
    """The local date and time at this number of seconds since the epoch."""
    return dt.datetime(*time.localtime(ticks)[:6])


_FRACTION_DIGITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}


def _describe(field: pa.Field) -> ColumnDescription:
    type_ = plain_type(field.type)
    code = TypeCode(field.type)
    precision = scale = None
    if code == "DECIMAL":
        precision, scale = type_.precision, type_.scale
    elif code in ("TIMESTAMP", "TIMESTAMPTZ", "TIME"):
        scale = _FRACTION_DIGITS[type_.unit]
    return ColumnDescription(field.name, code, None, None, precision, scale, field.nullable)
