"""Two states of one Paimon table, to be compared: Comparison of `table.py`.

What has the same rows in both is a section: the files whose keys are merged with one another, one file alone where nothing is merged, or the files that hold
columns of the same rows. It has them where its files are the same ones under the same deletion vectors. Columns are one by their field ids; of two types the
newer counts, since Paimon casts old values to new types. Rows are known by the primary key, else by row ids where rows are tracked. Source: Paimon,
MergeFileSplitRead, SchemaEvolutionUtil.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakesql.formats.paimon.entries import Indices
from lakesql.formats.paimon.relate import ROW_ID
from lakesql.table import FileSet, Mask

if TYPE_CHECKING:
    from lakesql.formats.paimon.snapshot import PaimonSnapshot


@dataclass(frozen=True)
class PaimonComparison:
    """See Comparison."""

    before: PaimonSnapshot
    after: PaimonSnapshot

    def differing(self, before: FileSet, after: FileSet) -> tuple[Mask, Mask]:
        """See Comparison."""
        left, right = _marks(before), _marks(after)
        sections = _sections(before), _sections(after)
        return _apart(left, right, *sections), _apart(right, left, *sections[::-1])

    def identity(self, before: FileSet, after: FileSet) -> tuple[str, ...]:
        """See Comparison."""
        keys = [set(s.table_schema.primary_keys) for s in (self.before, self.after)]
        if self.after.source.has_key:
            return self.after.table_schema.primary_keys if keys[0] == keys[1] else ()
        known = ROW_ID in (*self.after.hidden.names, *self.after.schema.names) and ROW_ID not in self.after.table_schema.by_name
        return (ROW_ID,) if known and not any(f.files["first_row_id"].null_count for f in (before, after)) else ()

    def narrowed(self, files: FileSet, mask: Mask) -> FileSet:
        """See Comparison."""
        chosen = pa.array(mask)
        constants = files.constants.filter(chosen) if files.constants.num_columns else files.constants
        return replace(files, files=files.files.filter(chosen), constants=constants, live_rows=files.live_rows.filter(chosen))


def comparison(before: PaimonSnapshot, after: PaimonSnapshot) -> PaimonComparison:
    """Two states under the second's columns."""
    first, second = before.table_schema, after.table_schema
    newer = first.by_id if first.id > second.id and before.point.timeline.root == after.point.timeline.root else {}
    fields = tuple(replace(f, type=newer[f.id].type) if f.id in newer and not newer[f.id].type.same(f.type) else f for f in second.fields)
    return PaimonComparison(before.with_schema(replace(second, fields=fields)), after.with_schema(replace(second, fields=fields)))


def _marks(files: FileSet) -> pa.Array:
    """A file and its deletion vector, as one text."""
    vectors = _flat(files.files["vector"])
    told = [pc.fill_null(pc.struct_field(vectors, n).cast(pa.string()), "") for n in ("path", "offset")]
    return pc.binary_join_element_wise(_flat(files.files["path"]), *told, "\n")


def _sections(files: FileSet) -> Indices:
    """The number of each file's section, from 0 without gaps."""
    return np.unique(files.files["section"].to_numpy(), return_inverse=True)[1].reshape(-1)


def _apart(here: pa.Array, there: pa.Array, sections: Indices, others: Indices) -> Mask:
    """The files of sections that are no section there."""
    count = int(sections.max(initial=-1)) + 1
    places = pc.index_in(here, value_set=there)
    found = np.asarray(pc.fill_null(places, -1))
    other = np.where(found >= 0, others[np.maximum(found, 0)] if len(others) else -1, -1)
    least, most = np.full(count, len(others) + 1), np.full(count, -1)
    np.minimum.at(least, sections, other)
    np.maximum.at(most, sections, other)
    sizes, other_sizes = np.bincount(sections, minlength=count), np.bincount(others, minlength=1)
    same = (least == most) & (least >= 0)
    same[same] = sizes[same] == other_sizes[least[same]]
    apart: Mask = ~same[sections]
    return apart


def _flat(values: pa.ChunkedArray) -> pa.Array:
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
