"""Arrow types under the names SQL gives them: in table headers, and as the type codes of a cursor's description.

    decimal128(10, 2)          DECIMAL(10,2)             base name DECIMAL
    timestamp[us]              TIMESTAMP                 other units: TIMESTAMP(0), (3), (9)
    timestamp[us, tz=UTC]      TIMESTAMPTZ
    list<item: int64>          BIGINT[]                  base name ARRAY
    struct<a: int64>           STRUCT(a BIGINT)          base name STRUCT
    map<string, int64>         MAP(VARCHAR, BIGINT)      base name MAP

What a type encodes (dictionary, run-end, views, 64-bit offsets) has no name in SQL and shows none here.
"""

from __future__ import annotations

import pyarrow as pa
from pyarrow import types as is_

_NAMES: dict[pa.DataType, str] = {
    pa.null(): "NULL",
    pa.bool_(): "BOOLEAN",
    pa.int8(): "TINYINT",
    pa.int16(): "SMALLINT",
    pa.int32(): "INTEGER",
    pa.int64(): "BIGINT",
    pa.uint8(): "UTINYINT",
    pa.uint16(): "USMALLINT",
    pa.uint32(): "UINTEGER",
    pa.uint64(): "UBIGINT",
    pa.float16(): "HALF",
    pa.float32(): "REAL",
    pa.float64(): "DOUBLE",
    pa.date32(): "DATE",
    pa.date64(): "DATE",
}
_DIGITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}
DIGITS_BY_DEFAULT = 6
"""Fractional digits of a TIMESTAMP or TIME that names none: microseconds."""


def sql_type_name(type_: pa.DataType) -> str:
    """The type as SQL writes it, parameters and nested fields included."""
    type_ = plain_type(type_)
    base = base_type_name(type_)
    if is_.is_decimal(type_):
        return f"{base}({type_.precision},{type_.scale})"
    if base in ("TIMESTAMP", "TIMESTAMPTZ", "TIME"):
        digits = _DIGITS[type_.unit]
        return base if digits == DIGITS_BY_DEFAULT else f"{base}({digits})"
    if base == "ARRAY":
        return f"{sql_type_name(type_.value_type)}[]"
    if base == "STRUCT":
        return f"STRUCT({', '.join(f'{f.name} {sql_type_name(f.type)}' for f in type_)})"
    if base == "MAP":
        return f"MAP({sql_type_name(type_.key_type)}, {sql_type_name(type_.item_type)})"
    return base


def base_type_name(type_: pa.DataType) -> str:
    """The type's name without parameters; `ARRAY`, `STRUCT` or `MAP` for nested types."""
    type_ = plain_type(type_)
    if type_ in _NAMES:
        return _NAMES[type_]
    if is_uuid(type_):
        return "UUID"
    if is_text(type_):
        return "VARCHAR"
    if is_bytes(type_):
        return "BLOB"
    if is_.is_decimal(type_):
        return "DECIMAL"
    if is_.is_timestamp(type_):
        return "TIMESTAMP" if type_.tz is None else "TIMESTAMPTZ"
    if is_.is_time(type_):
        return "TIME"
    if is_.is_duration(type_) or is_.is_interval(type_):
        return "INTERVAL"
    if is_list(type_):
        return "ARRAY"
    if is_.is_struct(type_):
        return "STRUCT"
    if is_.is_map(type_):
        return "MAP"
    return str(type_).upper()


def plain_type(type_: pa.DataType) -> pa.DataType:
    """The type of the values, without their encoding: dictionaries, run ends, extensions (but UUIDs)."""
    while True:
        if is_.is_dictionary(type_) or is_.is_run_end_encoded(type_):
            type_ = type_.value_type
        elif isinstance(type_, pa.BaseExtensionType) and not is_uuid(type_):
            type_ = type_.storage_type
        else:
            return type_


def is_uuid(type_: pa.DataType) -> bool:
    """Whether values are UUIDs: Arrow's canonical extension over 16 bytes."""
    return isinstance(type_, pa.UuidType)


def is_text(type_: pa.DataType) -> bool:
    """Whether values are text, in any layout."""
    return bool(is_.is_string(type_) or is_.is_large_string(type_) or is_.is_string_view(type_))


def is_bytes(type_: pa.DataType) -> bool:
    """Whether values are bytes, in any layout."""
    return bool(is_.is_binary(type_) or is_.is_large_binary(type_) or is_.is_binary_view(type_) or is_.is_fixed_size_binary(type_))


def is_list(type_: pa.DataType) -> bool:
    """Whether values are lists, in any layout; maps are none."""
    return bool(is_.is_list(type_) or is_.is_large_list(type_) or is_.is_fixed_size_list(type_) or is_.is_list_view(type_) or is_.is_large_list_view(type_))


def is_number(type_: pa.DataType) -> bool:
    """Whether values are integers, floats or decimals."""
    return bool(is_.is_integer(type_) or is_.is_floating(type_) or is_.is_decimal(type_))
