"""Per-file statistics -> bounds of one column, for every file at once, from either of the two forms a log keeps them in.

`stats_parsed` is a struct column of checkpoints, `stats` a JSON text. Both hold numRecords, minValues, maxValues, nullCount and tightBounds, the middle three
keyed by physical names, structs nested. What is missing, of another type or out of range is unknown. Source: PROTOCOL.md, "Per-file Statistics".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lakesql.formats.delta.bound_values import bounded, outward
from lakesql.formats.delta.stats_json import Leaf, read_leaves
from lakesql.pruning import Bounds

Path = tuple[str, ...]
"""A column and struct fields below it, by physical names."""


def struct_bounds(stats: pa.ChunkedArray | pa.StructArray, path: Path, type_: pa.DataType, *, deletion_vectors: pa.Array) -> Bounds | None:
    """Bounds out of `stats_parsed`, which may hold any part of its fields; None where it says nothing of the column for any file.

    type_: the column's logical type now; statistics of a narrower one, from before the column was widened, are cast. deletion_vectors: boolean, whether the
    file has one.

    Lower and upper are safe, not true: see `bound_values`. exact is claimed for integers and dates alone, where no file has a deletion vector or says that
    its bounds are wide. NaN may hide in any file, as not all writers count it. null_count_exact is False as soon as one file has a deletion vector or wide
    bounds.
    """
    array = stats.combine_chunks() if isinstance(stats, pa.ChunkedArray) else stats
    if isinstance(array, pa.ChunkedArray):  # a column without chunks
        array = pa.array([], stats.type)
    raw = _Raw(
        rows=_child(array, ("numRecords",)),
        lower=_child(array, ("minValues", *path)),
        upper=_child(array, ("maxValues", *path)),
        nulls=_child(array, ("nullCount", *path)),
        tight=_child(array, ("tightBounds",)),
    )
    return _bounds(raw, type_, deletion_vectors)


def json_bounds(texts: pa.Array | pa.ChunkedArray, path: Path, type_: pa.DataType, *, deletion_vectors: pa.Array) -> Bounds | None:
    """Bounds out of `stats` texts; null and empty texts are files without statistics. Otherwise as `struct_bounds`.

    Parsing takes about a second per million texts of a kilobyte: ask for the columns a predicate names, together by `json_bounds_of` where there are several.
    """
    return json_bounds_of(texts, [(path, type_)], deletion_vectors=deletion_vectors)[0]


def json_bounds_of(texts: pa.Array | pa.ChunkedArray, columns: Sequence[tuple[Path, pa.DataType]], *, deletion_vectors: pa.Array) -> list[Bounds | None]:
    """`json_bounds` of several columns in one pass over the texts."""
    wanted = dict.fromkeys(leaf for path, type_ in columns for leaf in _leaves(path, type_).values())
    values = dict(zip(wanted, read_leaves(texts, list(wanted)), strict=True))
    return [_bounds(_Raw(**{name: _finite(values[leaf]) for name, leaf in _leaves(path, type_).items()}), type_, deletion_vectors) for path, type_ in columns]


def num_records_json(texts: pa.Array | pa.ChunkedArray) -> pa.Array:
    """numRecords of every text: int64, physical rows, null where unknown."""
    return _counts(read_leaves(texts, [Leaf(("numRecords",), pa.int64())])[0])


@dataclass(frozen=True)
class _Raw:
    """Leaves of the statistics as they were found; None where there is no such leaf."""

    rows: pa.Array | None = None
    lower: pa.Array | None = None
    upper: pa.Array | None = None
    nulls: pa.Array | None = None
    tight: pa.Array | None = None


def _leaves(path: Path, type_: pa.DataType) -> dict[str, Leaf]:
    """What to read of a text for one column, by the name it has in _Raw."""
    leaves = {"rows": Leaf(("numRecords",), pa.int64()), "tight": Leaf(("tightBounds",), pa.bool_())}
    if not pa.types.is_struct(type_):  # a struct's null counts are those of its fields
        leaves["nulls"] = Leaf(("nullCount", *path), pa.int64())
    if bounded(type_):
        json_type = _json_type(type_)
        leaves["lower"] = Leaf(("minValues", *path), json_type, ROUND_FLOOR)
        leaves["upper"] = Leaf(("maxValues", *path), json_type, ROUND_CEILING)
    return leaves


def _json_type(type_: Any) -> pa.DataType:
    """The type to read a bound in, before it is made safe. Decimals get room for digits beyond their scale, which are rounded later."""
    if pa.types.is_integer(type_):
        return pa.int64()
    if pa.types.is_boolean(type_) or pa.types.is_floating(type_):
        return type_
    if pa.types.is_decimal(type_):
        return pa.decimal128(38, max(type_.scale, 37 - (type_.precision - type_.scale)))
    return pa.string()


def _bounds(raw: _Raw, type_: pa.DataType, deletion_vectors: pa.Array) -> Bounds | None:
    count = len(deletion_vectors)
    unknown = pa.nulls(count, type_)
    rows = _counts(raw.rows) if raw.rows is not None else pa.nulls(count, pa.int64())
    nulls = _counts(raw.nulls) if raw.nulls is not None else pa.nulls(count, pa.int64())
    impossible = pc.fill_null(pc.greater(nulls, rows), False)
    nulls = pc.if_else(impossible, pa.scalar(None, pa.int64()), nulls)
    lower = outward(raw.lower, type_, upper=False) if raw.lower is not None else unknown
    upper = outward(raw.upper, type_, upper=True) if raw.upper is not None else unknown
    if lower.null_count == upper.null_count == nulls.null_count == count:
        return None
    tight = _all_tight(raw.tight) and not pc.any(deletion_vectors).as_py()
    return Bounds(
        lower=lower,
        upper=upper,
        null_count=nulls,
        row_count=rows,
        null_count_exact=tight,
        exact=tight and (pa.types.is_integer(type_) or pa.types.is_date(type_)),
    )


def _all_tight(tight: pa.Array | None) -> bool:
    """Whether no file says that its bounds are wide; a file that says nothing has tight ones."""
    if tight is None or not pa.types.is_boolean(tight.type):
        return True
    return pc.all(tight).as_py() is not False


def _counts(values: pa.Array) -> pa.Array:
    """Counts as int64; null for what is none."""
    if not pa.types.is_integer(values.type):
        return pa.nulls(len(values), pa.int64())
    counts = outward(values, pa.int64(), upper=False)
    return pc.if_else(pc.greater_equal(counts, 0), counts, pa.scalar(None, pa.int64()))


def _finite(values: pa.Array) -> pa.Array:
    """JSON has no infinity: a float that is infinite was too large a number."""
    if not pa.types.is_floating(values.type):
        return values
    return pc.if_else(pc.is_finite(values), values, pa.scalar(None, values.type))


def _child(array: pa.Array, path: Path) -> pa.Array | None:
    """A leaf below a struct column, null where a struct above it is; None where there is no such leaf, or names do not tell which."""
    type_, place = array.type, []
    for name in path:
        index = type_.get_field_index(name) if pa.types.is_struct(type_) else -1
        if index < 0:
            return None
        place.append(index)
        type_ = type_.field(index).type
    return None if pa.types.is_struct(type_) else pc.struct_field(array, place)
