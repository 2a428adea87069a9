"""Predicate x bounds -> the files that may hold a matching row, and the reason for every other. Vectorised; does no I/O.

A verdict has three values for each candidate: no row matches, some may (or nothing is known), every row does. Only a proof drops: missing or cut bounds, NaN and casts that
may fail keep. What is tested may be data files or manifests: anything with bounds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from lakesql.predicate import ColumnPath


@dataclass(frozen=True)
class Bounds:
    """Bounds of one column over all candidates; every array has one entry per candidate.

    lower, upper: arrays of the column's logical type. Null is unknown, not "no value". They are bounds, not values: text may be cut (lower sorts at or before the true
    minimum, upper at or after the true maximum, by UTF-8 bytes). NaN is never in them. null_count: int64, null = unknown. row_count: int64, physical rows, null =
    unknown. nan_count: int64 or None; None where NaN may hide in any candidate (only asked for floating-point columns). null_count_exact: False where only the two extremes of
    null_count mean something (0 = no nulls, row_count = only nulls). constant: every row of a candidate has the value `lower` (= upper), or null where lower is null: a partition value.
    exact: lower and upper are values that occur among the rows before deletes.
    """

    lower: pa.Array
    upper: pa.Array
    null_count: pa.Array
    row_count: pa.Array
    nan_count: pa.Array | None = None
    null_count_exact: bool = True
    constant: bool = False
    exact: bool = False


class Candidates(Protocol):
    """What is tested: files, or manifests by their summaries."""

    def __len__(self) -> int: ...

    def bounds(self, column: ColumnPath) -> Bounds | None:
        """Bounds of a column (or struct field), None where there are none. Asked once per column and prune; may decode lazily."""
        ...
