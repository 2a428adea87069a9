"""Do two Arrow tables hold the same rows? The corpus' own rule, in a copy that needs no corpus (`test_judge` holds the two together).

Column names count, in order; rows are a multiset unless order is asked for. Integers, decimals and floats compare by value (NaN equals NaN, widths may differ),
timestamps as instants or as wall-clock times but never one for the other, text and binary by content, nested values recursively.
"""

from __future__ import annotations

import datetime as dt
import decimal
import math
from collections import Counter
from typing import Any

import pyarrow as pa

_NANOSECONDS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}


def difference(actual: pa.Table, expected: pa.Table, *, ordered: bool = False) -> str | None:
    """None where both hold the same rows, else one line that says how they differ."""
    if actual.column_names != expected.column_names:
        return f"columns {actual.column_names} instead of {expected.column_names}"
    if actual.schema.types == expected.schema.types and actual.equals(expected):
        return None
    got, want = _rows(actual), _rows(expected)
    if ordered:
        if got == want:
            return None
        at = next((i for i, (a, b) in enumerate(zip(got, want, strict=False)) if a != b), min(len(got), len(want)))
        return f"row {at} differs: {got[at : at + 1]} instead of {want[at : at + 1]} ({len(got)} rows, expected {len(want)})"
    extra, missing = Counter(got) - Counter(want), Counter(want) - Counter(got)
    if not extra and not missing:
        return None
    return (
        f"{len(got)} rows, expected {len(want)}; {extra.total()} unexpected, e.g. {next(iter(extra), None)}; "
        f"{missing.total()} missing, e.g. {next(iter(missing), None)}"
    )


def _rows(table: pa.Table) -> list[tuple[Any, ...]]:
    columns = [[plain(value, field.type) for value in table.column(i)] for i, field in enumerate(table.schema)]
    return list(zip(*columns, strict=True)) if columns else [()] * table.num_rows


def plain(value: pa.Scalar, type_: pa.DataType) -> Any:
    """A hashable form in which equal values of different widths are equal."""
    if not value.is_valid:
        return None
    if pa.types.is_dictionary(type_):
        return plain(value.value, type_.value_type)
    if isinstance(value, pa.ExtensionScalar):
        return plain(value.value, type_.storage_type)
    if pa.types.is_timestamp(type_):
        return ("instant" if type_.tz else "wall", value.value * _NANOSECONDS[type_.unit])
    if pa.types.is_time(type_):
        return ("time", value.value * _NANOSECONDS[type_.unit])
    if pa.types.is_struct(type_):
        return tuple((field.name, plain(value[field.name], field.type)) for field in type_)
    if pa.types.is_map(type_):
        return frozenset((plain(pair[0], type_.key_type), plain(pair[1], type_.item_type)) for pair in value.values)
    if pa.types.is_list(type_) or pa.types.is_large_list(type_) or pa.types.is_fixed_size_list(type_) or pa.types.is_list_view(type_):
        return tuple(plain(item, type_.value_type) for item in value.values)
    return _leaf(value.as_py())


def _leaf(value: Any) -> Any:
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else value
    if isinstance(value, decimal.Decimal):
        return value.normalize()
    if isinstance(value, (bool, dt.date, int, str, bytes)):
        return value
    return repr(value)
