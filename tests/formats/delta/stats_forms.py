"""Statistics in both forms, made for tests, and the bounds that come of them."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pyarrow as pa

from lakesql.formats.delta.stats import json_bounds, struct_bounds
from lakesql.pruning import Bounds

UTC, WALL = pa.timestamp("us", "UTC"), pa.timestamp("us")
DECIMAL = pa.decimal128(10, 2)


def text(lower: Any = None, upper: Any = None, nulls: Any = 0, rows: Any = 10, **more: Any) -> str:
    stats = {"numRecords": rows, "minValues": {"c": lower}, "maxValues": {"c": upper}, "nullCount": {"c": nulls}, **more}
    return json.dumps(stats)


def none_deleted(count: int) -> pa.Array:
    return pa.array([False] * count, pa.bool_())


def from_json(texts: list[str | None], type_: pa.DataType, path: tuple[str, ...] = ("c",)) -> Bounds | None:
    bounds = json_bounds(pa.array(texts, pa.string()), path, type_, deletion_vectors=none_deleted(len(texts)))
    if bounds is not None:
        well_formed(bounds, type_, len(texts))
    return bounds


def from_struct(rows: list[Any], leaf: pa.DataType, type_: pa.DataType) -> Bounds | None:
    """Bounds out of a struct column whose minimum and maximum have the type `leaf`; rows: (lower, upper, nulls, rows, tight) or None."""
    fields = [("minValues", pa.struct([("c", leaf)])), ("maxValues", pa.struct([("c", leaf)])), ("nullCount", pa.struct([("c", pa.int64())]))]
    struct_type = pa.struct([("numRecords", pa.int64()), *fields, ("tightBounds", pa.bool_())])
    values = [r and {"numRecords": r[3], "minValues": {"c": r[0]}, "maxValues": {"c": r[1]}, "nullCount": {"c": r[2]}, "tightBounds": r[4]} for r in rows]
    bounds = struct_bounds(pa.array(values, struct_type), ("c",), type_, deletion_vectors=none_deleted(len(rows)))
    if bounds is not None:
        well_formed(bounds, type_, len(rows))
    return bounds


def well_formed(bounds: Bounds, type_: pa.DataType, count: int) -> None:
    for array, expected in ((bounds.lower, type_), (bounds.upper, type_), (bounds.null_count, pa.int64()), (bounds.row_count, pa.int64())):
        assert array.type == expected
        assert len(array) == count
        array.validate(full=True)
    assert bounds.nan_count is None


def pairs(bounds: Bounds | None) -> list[tuple[Any, Any]]:
    assert bounds is not None
    return list(zip(bounds.lower.to_pylist(), bounds.upper.to_pylist(), strict=True))


def micros(moment: str) -> int:
    return (dt.datetime.fromisoformat(moment).replace(tzinfo=dt.UTC) - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)


def instants(bounds: Bounds | None) -> tuple[int, int]:
    assert bounds is not None
    return bounds.lower.view(pa.int64())[0].as_py(), bounds.upper.view(pa.int64())[0].as_py()
