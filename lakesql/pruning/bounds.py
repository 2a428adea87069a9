"""What a format offers for pruning: bounds of its columns, one entry per candidate.

Bounds are untrusted: a lower bound above the upper one, or a null count above the row count, is taken as unknown by `ranges`, never as a proof.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lakesql.predicate import ColumnPath

Mask = npt.NDArray[np.bool_]
"""One boolean per candidate."""


@dataclass(frozen=True)
class Bounds:
    """Bounds of one column over all candidates; every array has one entry per candidate.

    lower, upper: arrays of the column's logical type. Null is unknown, not "no value". They are bounds, not values: text may be cut (lower sorts at or
    before the true minimum, upper at or after the true maximum, by UTF-8 bytes). NaN is never in them, but for a constant. null_count: int64, null =
    unknown. row_count: int64, physical rows, null = unknown. nan_count: int64 or None; None where NaN may hide in any candidate (only asked for
    floating-point columns). null_count_exact: False where only the two extremes of null_count mean something (0 = no nulls, row_count = only nulls);
    pruning asks for no more than those. constant: every row of a candidate has the value `lower` (= upper), or null where lower is null: a partition value.
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

    def narrow(self, mask: Mask) -> Bounds:
        """The bounds of the candidates where mask is true, in their order."""
        chosen = pa.array(mask)

        def filtered(array: pa.Array) -> pa.Array:
            return solid(array).filter(chosen)

        return replace(
            self,
            lower=filtered(self.lower),
            upper=filtered(self.upper),
            null_count=filtered(self.null_count),
            row_count=filtered(self.row_count),
            nan_count=None if self.nan_count is None else filtered(self.nan_count),
        )


def solid(array: pa.Array | pa.ChunkedArray) -> pa.Array:
    """The values in one piece and in a layout that every Arrow kernel takes: no dictionary, no views."""
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_string_view(array.type):
        return array.cast(pa.large_string())
    return array.cast(pa.large_binary()) if pa.types.is_binary_view(array.type) else array


class Candidates(Protocol):
    """What is tested: files, or manifests by their summaries."""

    def __len__(self) -> int: ...

    def bounds(self, column: ColumnPath) -> Bounds | None:
        """Bounds of a column (or struct field), None where there are none. Asked once per column and prune; may decode lazily."""
        ...


@runtime_checkable
class Narrowable(Protocol):
    """Candidates whose bounds cost something to decode, such as statistics kept as JSON text.

    `prune` asks for the bounds of partition columns first, then narrows to the candidates still alive and asks the narrowed ones for the rest.
    """

    def narrow(self, mask: Mask) -> Candidates:
        """The candidates where mask is true, in their order; decodes nothing yet. The result may be Narrowable in turn."""
        ...


@dataclass(frozen=True)
class TableBounds:
    """Candidates in memory: bounds that are there already, by column.

    >>> counts = pa.array([1, 1])
    >>> files = TableBounds({("day",): Bounds(pa.array([1, 2]), pa.array([1, 2]), counts, counts, constant=True)}, 2)
    >>> files.narrow(np.array([False, True])).bounds(("day",)).lower.to_pylist()
    [2]
    """

    columns: Mapping[ColumnPath, Bounds]
    length: int

    def __len__(self) -> int:
        return self.length

    def bounds(self, column: ColumnPath) -> Bounds | None:
        """The column's bounds, None where it has none."""
        return self.columns.get(column)

    def narrow(self, mask: Mask) -> TableBounds:
        """The candidates where mask is true."""
        return TableBounds({column: bounds.narrow(mask) for column, bounds in self.columns.items()}, int(np.count_nonzero(mask)))
