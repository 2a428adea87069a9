"""Single values in JSON -> Arrow scalars: what columns hold in files written before they were added. Source: Iceberg table spec, "Default values", Appendix
D, JSON.
"""

from __future__ import annotations

import datetime as dt
import re
import uuid
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa

from lakesql.errors import MetadataError
from lakesql.formats.iceberg.types import UNKNOWN, VARIANT, Field, ListOf, MapOf, Primitive, Struct, arrow_type

_MICROSECONDS = re.compile(r"(\.\d{6})\d+")


def initial_default(field: Field, source: str) -> pa.Scalar | None:
    """The value of a field that a file does not have; None where that is null. Raises MetadataError for a default that is no value of the type.

    A struct whose default is `{}` is there, and each of its fields has its own default.
    """
    if field.default is None or (isinstance(field.type, Primitive) and field.type.name in (UNKNOWN, VARIANT)):
        return None
    try:
        value = _value(field.default, field)
        return pa.scalar(value, arrow_type(field.type))
    except (ValueError, TypeError, KeyError, AttributeError, InvalidOperation, OverflowError, pa.ArrowException) as error:
        raise MetadataError(f"{source}: the initial-default of column {field.name} is {str(field.default)[:60]!r}, which is no {field.type}") from error


def _value(raw: Any, field: Field) -> Any:
    """The value in Python, as pyarrow takes it."""
    if raw is None:
        return None
    match field.type:
        case Struct(fields):
            return {f.name: _value(raw.get(str(f.id), f.default), f) for f in fields}
        case ListOf(element):
            return [_value(item, element) for item in raw]
        case MapOf(key, value):
            return [(_value(k, key), _value(v, value)) for k, v in zip(raw["keys"], raw["values"], strict=True)]
        case Primitive(name, arrow):
            return _primitive(raw, name, arrow)


def _primitive(raw: Any, name: str, type_: pa.DataType) -> Any:
    if name == "boolean":
        return _of(raw, bool)
    if name in ("int", "long"):
        return _of(raw, int)
    if name in ("float", "double"):
        return float(raw)
    if name == "string":
        return _of(raw, str)
    if pa.types.is_decimal(type_):
        return Decimal(_of(raw, str))
    if name == "uuid":
        return uuid.UUID(_of(raw, str)).bytes
    if pa.types.is_binary(type_) or pa.types.is_fixed_size_binary(type_):
        return bytes.fromhex(_of(raw, str))
    spelled = _of(raw, str)
    if pa.types.is_timestamp(type_) and type_.tz is None and re.search(r"(Z|[+-]\d\d:\d\d)$", spelled):
        raise ValueError("a zone where there should be none")
    if pa.types.is_time(type_):
        return dt.time.fromisoformat(spelled)
    if type_ == pa.timestamp("us", getattr(type_, "tz", None)):
        spelled = _MICROSECONDS.sub(r"\1", spelled)
    return pa.scalar(spelled).cast(type_)


def _of(raw: Any, kind: type) -> Any:
    if not isinstance(raw, kind) or (isinstance(raw, bool) and kind is not bool):
        raise TypeError(f"expected {kind.__name__}")
    return raw
