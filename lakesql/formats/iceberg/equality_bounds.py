"""Which equality delete files can hit no kept data file, by the bounds of their key columns.

Only key columns count: other columns of an equality delete file describe one old version of the row, so bounds on them prove nothing. A delete file is left
out where one key column's values lie outside those of all data files in its scope, or where one side has only nulls and the other none.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lakesql.formats.iceberg.candidates import metric_bounds
from lakesql.formats.iceberg.entries import Entries
from lakesql.formats.iceberg.single_values import has_bounds
from lakesql.formats.iceberg.types import Primitive
from lakesql.pruning import Bounds

if TYPE_CHECKING:
    from lakesql.formats.iceberg.scan import Source

Mask = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

_FEW_DELETES = 2
"""With so few delete files, their bounds are not worth decoding."""


def may_meet(source: Source, kept: Entries, scope: Ints, deletes: Entries, delete_scope: Ints, ids: tuple[int, ...]) -> Mask:
    """For each delete file whether it may hit a data file of its scope. scope, delete_scope: numbers, equal where the one concerns the other."""
    meets = np.ones(len(deletes), np.bool_)
    if len(deletes) <= _FEW_DELETES:
        return meets
    for id_ in ids:
        field = next((s.by_id[id_] for s in source.metadata.newest_schemas if id_ in s.by_id), None)
        if field is None or not isinstance(field.type, Primitive) or not has_bounds(field.type.arrow) or pa.types.is_floating(field.type.arrow):
            continue
        if any(id_ in s.by_id and s.by_id[id_].default is not None for s in source.metadata.newest_schemas):
            continue  # files without the column have its default, which no bounds tell
        data = _checked(metric_bounds(kept.metrics(source.manifests, id_), kept, field.type))
        keys = _checked(metric_bounds(deletes.metrics(source.manifests, id_), deletes, field.type))
        meets &= _overlap(_by_scope(data, scope, delete_scope), keys, delete_scope)
    return meets


def _checked(bounds: Bounds) -> Bounds:
    """The bounds, unknown where the lower is above the upper: in uuids of writers that sort signed, or damaged."""
    inverted = pc.fill_null(pc.greater(bounds.lower, bounds.upper), False)
    unknown = pa.scalar(None, bounds.lower.type)
    return replace(bounds, lower=pc.if_else(inverted, unknown, bounds.lower), upper=pc.if_else(inverted, unknown, bounds.upper))


class _Scoped:
    """What is known of a column over all data files of each scope. lower, upper: null where one file's is unknown; some_null: one file may have nulls."""

    def __init__(self, scopes: Ints, lower: pa.Array, upper: pa.Array, some_null: Mask) -> None:
        self.scopes = scopes
        self.lower = lower
        self.upper = upper
        self.some_null = some_null


def _by_scope(data: Bounds, scope: Ints, wanted: Ints) -> _Scoped:
    table = pa.table({"scope": pa.array(scope), "lower": data.lower, "upper": data.upper, "nulls": data.null_count})
    table = table.append_column("no_lower", data.lower.is_null()).append_column("no_upper", data.upper.is_null())
    table = table.append_column("maybe_null", pc.fill_null(pc.not_equal(data.null_count, 0), True))
    table = table.filter(pc.is_in(table["scope"], value_set=pa.array(np.unique(wanted))))
    grouped = table.group_by("scope").aggregate([("lower", "min"), ("upper", "max"), ("no_lower", "any"), ("no_upper", "any"), ("maybe_null", "any")])
    grouped = grouped.sort_by("scope").combine_chunks()
    lower, upper = grouped["lower_min"].combine_chunks(), grouped["upper_max"].combine_chunks()
    lower = pc.if_else(grouped["no_lower_any"].combine_chunks(), pa.scalar(None, lower.type), lower)
    upper = pc.if_else(grouped["no_upper_any"].combine_chunks(), pa.scalar(None, upper.type), upper)
    return _Scoped(grouped["scope"].to_numpy(), lower, upper, grouped["maybe_null_any"].to_numpy())


def _overlap(data: _Scoped, keys: Bounds, delete_scope: Ints) -> Mask:
    """Whether a key may equal a value: their ranges touch, or both may be null."""
    place = np.searchsorted(data.scopes, delete_scope)
    known = (
        (place < len(data.scopes)) & (data.scopes[np.minimum(place, max(len(data.scopes) - 1, 0))] == delete_scope)
        if len(data.scopes)
        else np.zeros(len(delete_scope), np.bool_)
    )
    at = pa.array(np.where(known, place, 0), pa.int64(), mask=~known)
    lower, upper = data.lower.take(at), data.upper.take(at)
    apart = pc.or_(pc.fill_null(pc.less(keys.upper, lower), False), pc.fill_null(pc.greater(keys.lower, upper), False))
    some_null = np.where(known, data.some_null[np.where(known, place, 0)], True) if len(data.scopes) else np.ones(len(delete_scope), np.bool_)
    key_null = pc.fill_null(pc.not_equal(keys.null_count, 0), True).to_numpy(zero_copy_only=False)
    meets: Mask = ~np.asarray(apart) | (some_null & key_null)
    return meets
