"""Answers from metadata: rows that are known without opening a data file.

A scan that reads only columns with one value per file (partition columns, or none) has rows that their numbers describe: `count(*)`, `GROUP BY day`, `SELECT
DISTINCT day`. One that reads only least and greatest values and counts is served by rows that have the same. Both become `Counted`, which the engine runs
the statement over as over any relation, so nothing of the statement is rewritten; where a number is not known, the files are read. Numbers that delete files
alone can tell are asked for when the statement is run (`Deferred`).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakesql.engines import BoundScan
from lakesql.relation import Counted, Deferred, Relation, distinct_rows
from lakesql.table import FileSet

_EXTREME_GROUPS_LIMIT = 64


def from_metadata(files: FileSet, scan: BoundScan, schema: pa.Schema) -> Relation | None:
    """A relation of `schema` that gives the statement the same answer as reading the files would, or None where metadata does not suffice."""
    constant = set(files.constants.column_names)
    needed = [c for c in scan.columns if c not in constant]
    known = [c for c in scan.columns if c in constant]
    if files.live_rows.null_count:
        count_rows = files.count_rows
        if needed or count_rows is None:
            return None
        return Deferred(schema, lambda: _counted(files.constants.select(known), count_rows(), schema))
    if not needed:
        return _counted(files.constants.select(known), files.live_rows, schema)
    codes, groups, rows = _by_group(files.constants.select(known), files.live_rows)
    if scan.only_extremes is None or not set(needed) <= scan.only_extremes or not files.all_match or len(rows) > _EXTREME_GROUPS_LIMIT:
        return None
    return _extremes(files, needed, codes, groups, rows, schema)


def _counted(constants: pa.Table, live_rows: pa.Array, schema: pa.Schema) -> Counted:
    _, groups, rows = _by_group(constants, live_rows)
    return Counted(schema, groups, pa.array(rows))


def _by_group(constants: pa.Table, live_rows: pa.Array) -> tuple[np.ndarray, pa.Table, np.ndarray]:
    """For each file the number of its group, those that have the same constants; one row per group; and how many rows each group has."""
    codes, groups, count = distinct_rows(constants, len(live_rows))
    rows = np.zeros(count, dtype=np.int64)
    np.add.at(rows, codes, live_rows.to_numpy(zero_copy_only=False))
    return codes, groups, rows


def _extremes(files: FileSet, needed: list[str], codes: np.ndarray, groups: pa.Table, rows: np.ndarray, schema: pa.Schema) -> Relation | None:
    """Per group: one row with every column's least value, rows with the greatest, and nulls for the rest, so that min, max, count(column) and count(*) are
    right.
    """
    known = {}
    for name in needed:
        bounds = files.extremes(name)
        if bounds is None:
            return None
        known[name] = bounds
    pieces: list[pa.Table] = []
    counts: list[int] = []
    for group, total in enumerate(rows.tolist()):
        inside = pa.array(codes == group)
        limits = {name: limit for name, bounds in known.items() if (limit := _limits(bounds, inside, total)) is not None}
        if len(limits) < len(known):
            return None
        edges = sorted({0, min(1, total), total} | {limit.values for limit in limits.values()})
        for start, end in itertools.pairwise(edges):
            columns = {n: _one(groups.column(n)[group], groups.schema.field(n).type) for n in groups.column_names}
            for name, limit in limits.items():
                value = None if start >= limit.values else limit.least if start == 0 else limit.greatest
                columns[name] = _one(value, schema.field(name).type)
            pieces.append(pa.table(columns))
            counts.append(end - start)
    if not pieces:
        return Counted(schema, pa.schema([schema.field(n) for n in (*groups.column_names, *needed)]).empty_table(), pa.array([], pa.int64()))
    return Counted(schema, pa.concat_tables(pieces), pa.array(counts, pa.int64()))


@dataclass(frozen=True)
class _Limits:
    """A column over one group: its extremes and how many values are not null."""

    least: pa.Scalar
    greatest: pa.Scalar
    values: int


def _limits(bounds: tuple[pa.Array, pa.Array, pa.Array], inside: pa.Array, total: int) -> _Limits | None:
    lower, upper, nulls = (b.filter(inside) for b in bounds)
    if nulls.null_count:
        return None
    values = total - (pc.sum(nulls).as_py() or 0)
    least, greatest = pc.min(lower), pc.max(upper)
    if values < 0 or (values > 0 and not (least.is_valid and greatest.is_valid)):
        return None
    return _Limits(least, greatest, values)


def _one(value: pa.Scalar | None, type_: pa.DataType) -> pa.Array:
    return pa.nulls(1, type_) if value is None or not value.is_valid else pa.repeat(value, 1).cast(type_)
