"""Two versions of one Delta table, to be compared: Comparison of `table.py`.

A file has the same rows in both under the same deletion vector; under another, its rows differ where the vectors do. Columns are one by physical names; of two
types the wider counts, whichever version has it. Rows are known by row ids where both versions track rows. Source: Delta protocol, "Column Mapping", "Type
Widening", "Row Tracking".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakesql.errors import UnsupportedFeatureError
from lakesql.formats.delta.actions import vector_ids
from lakesql.formats.delta.change_epochs import widens
from lakesql.formats.delta.relate import ROW_ID, Layout, rows_hidden
from lakesql.formats.delta.schema import ColumnInfo, TableSchema
from lakesql.relation import Relation, Union
from lakesql.table import FileSet, Mask, Snapshot

if TYPE_CHECKING:
    from lakesql.formats.delta.snapshot import DeltaSnapshot


@dataclass(frozen=True)
class DeltaComparison:
    """See Comparison."""

    before: DeltaSnapshot
    after: DeltaSnapshot

    def differing(self, before: FileSet, after: FileSet) -> tuple[Mask, Mask]:
        """See Comparison."""
        left, right = _marks(before), _marks(after)
        return ~np.asarray(pc.is_in(left, value_set=right)), ~np.asarray(pc.is_in(right, value_set=left))

    def identity(self, before: FileSet, after: FileSet) -> tuple[str, ...]:
        """See Comparison."""
        tracked = all(s.features.row_tracking and ROW_ID in s.hidden.names and ROW_ID not in s.schema.names for s in (self.before, self.after))
        return (ROW_ID,) if tracked and not any(f.files["base_row_id"].null_count for f in (before, after)) else ()

    def narrowed(self, files: FileSet, mask: Mask) -> FileSet:
        """See Comparison."""
        chosen = pa.array(mask)
        constants = files.constants.filter(chosen) if files.constants.num_columns else files.constants
        return replace(files, files=files.files.filter(chosen), constants=constants, live_rows=files.live_rows.filter(chosen))

    def rows(self, state: Snapshot, files: FileSet, others: FileSet, columns: Sequence[str]) -> Relation:
        """See Comparison: of a file that both states have, the rows that the other's deletion vector hides and its own does not."""
        own = self.before if state is self.before else self.after
        there = pc.index_in(_flat(files.files["path"]), value_set=_flat(others.files["path"]))
        moved = np.asarray(there.is_valid())
        if not moved.any():
            return own.relate(files, columns)
        vectors = _flat(others.files["deletion_vector"]).take(there.filter(pa.array(moved)))
        layout = Layout(own.table_schema, own.features, frozenset(p.name for p in own.partitions), tuple(columns))
        both = self.narrowed(files, moved)
        found = rows_hidden(layout, both.files, both.constants, vectors, own.decode)
        return found if moved.all() else Union((own.relate(self.narrowed(files, ~moved), columns), found))


def comparison(before: DeltaSnapshot, after: DeltaSnapshot) -> DeltaComparison:
    """Two versions under the second's columns. Raises UnsupportedFeatureError for a column that was made anew with a type of another kind."""
    known = {c.physical_name: n for n, c in enumerate(before.table_schema.columns)}
    logical, physical, columns = [], [], []
    for n, column in enumerate(after.table_schema.columns):
        fields = after.table_schema.logical.field(n), after.table_schema.physical.field(n)
        place = known.get(column.physical_name)
        other = None if place is None else before.table_schema.columns[place]
        if other is not None and _is_wider(other, column, before, after):
            column = replace(column, logical_type=other.logical_type, physical_type=other.physical_type, variant=other.variant, void=other.void)
            fields = fields[0].with_type(other.logical_type), fields[1].with_type(other.physical_type)
        logical.append(fields[0])
        physical.append(fields[1])
        columns.append(column)
    schema = TableSchema(pa.schema(logical), pa.schema(physical), tuple(columns))
    return DeltaComparison(before.with_schema(schema), after.with_schema(schema))


def _is_wider(other: ColumnInfo, column: ColumnInfo, before: DeltaSnapshot, after: DeltaSnapshot) -> bool:
    """Whether the first version's type of a column holds more than the second's."""
    if widens(other.physical_type, column.physical_type):
        return False
    if not pa.types.is_nested(other.physical_type) and widens(column.physical_type, other.physical_type):
        return True
    raise UnsupportedFeatureError(
        f'column "{column.name}" of {after.source.location} is {other.physical_type} in version {before.version} and {column.physical_type} in version '
        f"{after.version}: no type holds the values of both",
        feature="differences across a change of type that is no widening",
        hint="compare queries that cast it: SELECT ... EXCEPT ALL SELECT ...",
    )


def _marks(files: FileSet) -> pa.Array:
    """A file and its deletion vector, as one text."""
    vectors = pc.fill_null(vector_ids(files.files["deletion_vector"]), "")
    return pc.binary_join_element_wise(_flat(files.files["path"]), vectors, "\n")


def _flat(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
