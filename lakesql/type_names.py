"""Arrow types as SQL names them."""

from __future__ import annotations

import pyarrow as pa


def sql_type(type_: pa.DataType) -> str:
    """A type as SQL names it.

    >>> sql_type(pa.list_(pa.struct([("a", pa.int32())])))
    'ARRAY<STRUCT<a: INT>>'
    """
    t = pa.types
    if type_ in _NAMES:
        return _NAMES[type_]
    if t.is_decimal(type_):
        return f"DECIMAL({type_.precision}, {type_.scale})"
    if t.is_timestamp(type_):
        unit = "" if type_.unit == "us" else {"s": "(0)", "ms": "(3)", "ns": "(9)"}[type_.unit]
        return f"TIMESTAMP{unit}" + (" WITH TIME ZONE" if type_.tz else "")
    if t.is_time(type_):
        return "TIME"
    if t.is_fixed_size_binary(type_):
        return f"BINARY({type_.byte_width})"
    if t.is_struct(type_):
        return "STRUCT<" + ", ".join(f"{type_.field(i).name}: {sql_type(type_.field(i).type)}" for i in range(type_.num_fields)) + ">"
    if t.is_list(type_) or t.is_large_list(type_):
        return f"ARRAY<{sql_type(type_.value_type)}>"
    if t.is_fixed_size_list(type_):
        return f"ARRAY<{sql_type(type_.value_type)}>({type_.list_size})"
    if t.is_map(type_):
        return f"MAP<{sql_type(type_.key_type)}, {sql_type(type_.item_type)}>"
    return str(type_).upper()


_NAMES = {
    pa.bool_(): "BOOLEAN",
    pa.int8(): "TINYINT",
    pa.int16(): "SMALLINT",
    pa.int32(): "INT",
    pa.int64(): "BIGINT",
    pa.float32(): "FLOAT",
    pa.float64(): "DOUBLE",
    pa.string(): "VARCHAR",
    pa.large_string(): "VARCHAR",
    pa.string_view(): "VARCHAR",
    pa.binary(): "BINARY",
    pa.large_binary(): "BINARY",
    pa.binary_view(): "BINARY",
    pa.date32(): "DATE",
    pa.null(): "NULL",
}
