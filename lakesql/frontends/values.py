"""Arrow values as Python objects: what `fetchone`, `fetchmany` and `fetchall` give. Columns are converted whole, a batch at a time.

| SQL | Python |
|---|---|
| NULL | None |
| BOOLEAN, integers, REAL, DOUBLE | bool, int, float |
| DECIMAL | decimal.Decimal, with the scale of the type |
| VARCHAR | str |
| BLOB | bytes |
| UUID | uuid.UUID |
| DATE, TIME | datetime.date, datetime.time |
| TIMESTAMP | datetime.datetime without a time zone |
| TIMESTAMPTZ | datetime.datetime in the type's time zone, in UTC where that is not known on this machine |
| INTERVAL | datetime.timedelta where the type counts time alone, else pyarrow.MonthDayNano (months, days, nanoseconds) |
| lists | list |
| STRUCT | dict |
| MAP | list of (key, value) pairs, because keys may be values no dict can have; `dict(pairs)` where they are not |

The rule for what Python's types cannot hold exactly: numpy's can, and give it. A DATE or TIMESTAMP outside the years 1 to 9999, or one with nanoseconds that
are no whole microseconds, is a numpy.datetime64 (in UTC where it has a time zone); such a TIME or duration is a numpy.timedelta64. No value is ever rounded;
the one number that numpy keeps for "not a time" (the least of 64 bits) is a DataError.
"""

from __future__ import annotations

import datetime as dt
import itertools
import zoneinfo
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types as is_

from lakesql.errors import DataError
from lakesql.frontends.types import is_list, sql_type_name

_MICROSECONDS = {"s": 1_000_000, "ms": 1_000, "us": 1}
_EPOCH = dt.datetime(1970, 1, 1)


def python_rows(batch: pa.RecordBatch) -> list[tuple[Any, ...]]:
    """One tuple per row."""
    if not batch.num_columns:
        return [()] * batch.num_rows
    return list(zip(*(python_values(column) for column in batch.columns), strict=True))


def python_values(values: pa.Array) -> list[Any]:
    """One object per value, None for null."""
    type_ = values.type
    if is_.is_dictionary(type_):
        return python_values(values.dictionary_decode())
    if is_.is_run_end_encoded(type_):
        return python_values(pc.run_end_decode(values))
    if isinstance(values, pa.ExtensionArray) and not isinstance(type_, pa.UuidType):
        return python_values(values.storage)
    if is_.is_timestamp(type_):
        return _timestamps(values)
    if is_.is_date(type_):
        return _with_nulls(values, np.asarray(values.cast(pa.date32()).cast(pa.int32()).fill_null(0)).astype("datetime64[D]"), "D")
    if is_.is_time(type_):
        return _times(values)
    if is_.is_duration(type_):
        return _with_nulls(values, np.asarray(values.cast(pa.int64()).fill_null(0)).astype(f"timedelta64[{type_.unit}]"), type_.unit)
    if is_list(type_):
        return _split(values, pc.list_value_length(values), python_values(pc.list_flatten(values)))
    if is_.is_map(type_):
        return _maps(values)
    if is_.is_struct(type_):
        return _structs(values)
    return list(values.to_pylist())


def _with_nulls(values: pa.Array, numbers: np.ndarray[Any, Any], unit: str) -> list[Any]:
    """numpy's dates or durations as Python objects where those are exact, as numpy's own where they are not; None where `values` is null."""
    if (np.isnat(numbers) & np.asarray(values.is_valid())).any():
        raise DataError(f"a value of type {sql_type_name(values.type)} is too far in the past for Python and numpy", hint="CAST the column to VARCHAR")
    objects: list[Any] = numbers.tolist()  # what does not fit comes as an int
    if unit == "ns":
        whole = numbers.astype(np.int64) % 1000 == 0
        in_microseconds = numbers.astype(numbers.dtype.str.replace("ns", "us")).tolist()
        objects = [micro if exact else nano for micro, exact, nano in zip(in_microseconds, whole.tolist(), numbers, strict=True)]
    if any(type(value) is int for value in objects):
        objects = [number if type(value) is int else value for value, number in zip(objects, numbers, strict=True)]
    if values.null_count:
        objects = [value if valid else None for value, valid in zip(objects, values.is_valid().to_pylist(), strict=True)]
    return objects


def _timestamps(values: pa.Array) -> list[Any]:
    unit, zone = values.type.unit, values.type.tz
    moments = _with_nulls(values, np.asarray(values.cast(pa.int64()).fill_null(0)).astype(f"datetime64[{unit}]"), unit)
    if zone is None:
        return moments
    utc = dt.UTC
    aware = [value.replace(tzinfo=utc) if isinstance(value, dt.datetime) else value for value in moments]
    here = _zone(zone)
    return aware if here is utc else [_in_zone(value, here) for value in aware]


def _in_zone(value: Any, zone: dt.tzinfo) -> Any:
    try:
        return value.astimezone(zone) if isinstance(value, dt.datetime) else value
    except OverflowError:  # within a day of year 1 or 9999: the same instant in UTC
        return value


def _zone(name: str) -> dt.tzinfo:
    """The time zone of an Arrow type: an IANA name or an offset such as `+02:00`."""
    if name[0] in "+-" and len(name) == 6:
        minutes = int(name[1:3]) * 60 + int(name[4:6])
        return dt.timezone(dt.timedelta(minutes=-minutes if name[0] == "-" else minutes))
    if name.upper() in ("UTC", "Z", "ETC/UTC"):
        return dt.UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return dt.UTC


def _times(values: pa.Array) -> list[Any]:
    unit = values.type.unit
    counts = values.cast(pa.int32() if unit in ("s", "ms") else pa.int64()).to_pylist()
    if unit == "ns":
        return [None if c is None else np.timedelta64(c, "ns") if c % 1000 else (_EPOCH + dt.timedelta(microseconds=c // 1000)).time() for c in counts]
    factor = _MICROSECONDS[unit]
    return [None if c is None else (_EPOCH + dt.timedelta(microseconds=c * factor)).time() for c in counts]


def _split(values: pa.Array, lengths: pa.Array, items: list[Any]) -> list[Any]:
    ends = list(itertools.accumulate(lengths.fill_null(0).to_pylist()))
    lists: list[Any] = [items[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    if values.null_count:
        return [value if valid else None for value, valid in zip(lists, values.is_valid().to_pylist(), strict=True)]
    return lists


def _maps(values: pa.Array) -> list[Any]:
    entry = pa.struct([pa.field("key", values.type.key_type, nullable=False), pa.field("value", values.type.item_type)])
    entries = values.cast(pa.list_(entry))
    flat = pc.list_flatten(entries)
    pairs = list(zip(python_values(flat.field(0)), python_values(flat.field(1)), strict=True))
    return _split(values, pc.list_value_length(entries), pairs)


def _structs(values: pa.Array) -> list[Any]:
    names = [field.name for field in values.type]
    if not names:
        return list(values.to_pylist())
    children = [python_values(child) for child in values.flatten()]
    structs: list[Any] = [dict(zip(names, row, strict=True)) for row in zip(*children, strict=True)]
    if values.null_count:
        return [value if valid else None for value, valid in zip(structs, values.is_valid().to_pylist(), strict=True)]
    return structs
