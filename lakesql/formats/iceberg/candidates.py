"""What pruning asks of manifests and of files: bounds by column, from partition summaries, partition tuples and metrics. Each spec the table ever had speaks
for its own files.

SummaryCandidates    manifests of one spec, by the summaries in the manifest list
PartitionCandidates  files of one spec, by their partition tuples
FileCandidates       files of all specs, by both tuples and metrics, which are decoded for the columns asked for
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lakesql.formats.iceberg.buckets import Bucketed, bucket_path
from lakesql.formats.iceberg.entries import Entries, concat
from lakesql.formats.iceberg.manifest import Manifests
from lakesql.formats.iceberg.manifest_list import Manifests as ManifestRows
from lakesql.formats.iceberg.manifest_list import summaries
from lakesql.formats.iceberg.metrics import ColumnMetrics
from lakesql.formats.iceberg.partition_bounds import bucket_bounds, summary_bounds, tells_order, tighter, value_bounds
from lakesql.formats.iceberg.schema import Schema
from lakesql.formats.iceberg.single_values import decode, has_bounds
from lakesql.formats.iceberg.spec import Kind, PartitionField, PartitionSpec, value_type
from lakesql.formats.iceberg.types import Primitive
from lakesql.predicate import ColumnPath
from lakesql.pruning import Bounds


@dataclass(frozen=True)
class PartitionColumn:
    """A partition field that says something of a column. path: the column, or what its bucket is called; source: the column's type, None for a bucket.
    position: in the spec; type: of the field's values.
    """

    path: ColumnPath
    field: PartitionField
    position: int
    type: pa.DataType
    source: pa.DataType | None


@dataclass(frozen=True)
class Partitioning:
    """The specs of a table, as a schema's columns see them."""

    schema: Schema
    schemas: tuple[Schema, ...]

    def columns(self, spec: PartitionSpec) -> list[PartitionColumn]:
        """What a spec says of the schema's columns."""
        found = []
        for position, field in enumerate(spec.fields):
            path = self.schema.path_of(field.source_id) if field.source_id is not None else None
            column = self.schema.find(path) if path else None
            type_ = value_type(field, self.schemas)
            if path is None or column is None or type_ is None or not isinstance(column.type, Primitive):
                continue
            if field.transform.kind is Kind.BUCKET:
                found.append(PartitionColumn(bucket_path(path, field.transform.parameter), field, position, type_, None))
                found.append(PartitionColumn(path, field, position, type_, column.type.arrow))
            elif tells_order(field.transform):
                found.append(PartitionColumn(path, field, position, type_, column.type.arrow))
        return found

    def paths(self, specs: Iterable[PartitionSpec]) -> frozenset[ColumnPath]:
        """Every column, and bucket, that one of the specs says something of."""
        return frozenset(c.path for spec in specs for c in self.columns(spec))

    def buckets(self, specs: Iterable[PartitionSpec]) -> Mapping[ColumnPath, tuple[Bucketed, ...]]:
        """By column, how it is bucketed in one of the specs."""
        found: dict[ColumnPath, dict[ColumnPath, Bucketed]] = {}
        for spec in specs:
            for field in spec.fields:
                path = self.schema.path_of(field.source_id) if field.source_id is not None else None
                column = self.schema.find(path) if path else None
                if path is not None and column is not None and field.transform.kind is Kind.BUCKET and isinstance(column.type, Primitive):
                    bucketed = Bucketed(path, bucket_path(path, field.transform.parameter), field.transform.parameter, column.type.arrow)
                    found.setdefault(path, {})[bucketed.path] = bucketed
        return {path: tuple(by_path.values()) for path, by_path in found.items()}

    def identities(self, spec: PartitionSpec) -> dict[str, PartitionColumn]:
        """The columns of which every file of the spec has one value, by name."""
        return {c.path[0]: c for c in self.columns(spec) if c.field.transform.kind is Kind.IDENTITY and len(c.path) == 1}


class SummaryCandidates:
    """See the module."""

    def __init__(self, manifests: ManifestRows, columns: Sequence[PartitionColumn]) -> None:
        self._manifests = manifests
        self._columns = columns

    def __len__(self) -> int:
        return len(self._manifests)

    def bounds(self, column: ColumnPath) -> Bounds | None:
        """See pruning.Candidates."""
        return _merged(self._bounds(c) for c in self._columns if c.path == column)

    def _bounds(self, column: PartitionColumn) -> Bounds | None:
        found = summaries(self._manifests, column.position)
        lower, upper = decode(found["lower_bound"], column.type), decode(found["upper_bound"], column.type)
        return summary_bounds(column.field.transform, lower, upper, found, column.source)


class PartitionCandidates:
    """See the module."""

    def __init__(self, entries: Entries, columns: Sequence[PartitionColumn]) -> None:
        self._entries = entries
        self._columns = columns

    def __len__(self) -> int:
        return len(self._entries)

    def bounds(self, column: ColumnPath) -> Bounds | None:
        """See pruning.Candidates."""
        return _merged(self._bounds(c) for c in self._columns if c.path == column)

    def _bounds(self, column: PartitionColumn) -> Bounds | None:
        values = self._entries.partition(column.field.id, column.type)
        if column.source is None:
            return bucket_bounds(values)
        return value_bounds(column.field.transform, values, column.source)


class FileCandidates:
    """See the module."""

    def __init__(self, entries: Entries, manifests: Manifests, partitioning: Partitioning) -> None:
        self._entries = entries
        self._manifests = manifests
        self._partitioning = partitioning

    def __len__(self) -> int:
        return len(self._entries)

    def bounds(self, column: ColumnPath) -> Bounds | None:
        """See pruning.Candidates."""
        from_partitions = self._from_partitions(column)
        if from_partitions is not None and from_partitions.constant:
            return from_partitions
        from_metrics = self._from_metrics(column)
        if from_metrics is None or from_partitions is None:
            return from_metrics or from_partitions
        return tighter(from_metrics, from_partitions)

    def narrow(self, mask: npt.NDArray[np.bool_]) -> FileCandidates:
        """See pruning.Narrowable."""
        return FileCandidates(self._entries.narrow(mask), self._manifests, self._partitioning)

    def _from_metrics(self, column: ColumnPath) -> Bounds | None:
        field = self._partitioning.schema.find(column)
        if field is None or not isinstance(field.type, Primitive) or not has_bounds(field.type.arrow):
            return None
        found = self._entries.metrics(self._manifests, field.id)
        return metric_bounds(found, self._entries, field.type)

    def _from_partitions(self, column: ColumnPath) -> Bounds | None:
        """Bounds by the files' tuples, each by its own spec; None where no spec says anything."""
        pieces, known = [], False
        for spec in self._entries.specs:
            group = self._entries.of_spec(spec.id)
            found = PartitionCandidates(group, [c for c in self._partitioning.columns(spec) if c.path == column]).bounds(column)
            known = known or found is not None
            pieces.append((found, len(group)))
        if not known:
            return None
        type_ = next(b.lower.type for b, _ in pieces if b is not None)
        if len(pieces) == 1:
            return pieces[0][0]
        unknown = [b if b is not None else _nothing(length, type_) for b, length in pieces]
        return Bounds(
            concat([b.lower for b in unknown], type_),
            concat([b.upper for b in unknown], type_),
            concat([b.null_count for b in unknown], pa.int64()),
            concat([b.row_count for b in unknown], pa.int64()),
            constant=all(b.constant for b in unknown),
            null_count_exact=False,
        )


def metric_bounds(found: ColumnMetrics, entries: Entries, type_: Primitive) -> Bounds:
    """Bounds of a column from its metrics. A record count below zero is one that the writer did not know; bounds of nanoseconds are none in ORC files, where
    Java writes microseconds.
    """
    record_count = entries.column("record_count")
    rows = pc.if_else(pc.less(record_count, 0), pa.scalar(None, pa.int64()), record_count)
    nulls = pc.if_else(pc.less(found.null_count, 0), pa.scalar(None, pa.int64()), found.null_count)
    fits = pc.fill_null(pc.equal(found.value_count, rows), True)  # values counted otherwise than rows, as in lists, say nothing of rows
    nulls = pc.if_else(pc.or_(fits, pc.equal(nulls, 0)), nulls, pa.scalar(None, pa.int64()))
    lower, upper = decode(found.lower, type_.arrow), decode(found.upper, type_.arrow)
    if type_.name.startswith(("geometry", "geography")):
        lower = upper = pa.nulls(len(rows), type_.arrow)
    if pa.types.is_timestamp(type_.arrow) and type_.arrow.unit == "ns":
        is_orc = pc.equal(entries.column("file_format"), "orc")
        lower, upper = (pc.if_else(is_orc, pa.scalar(None, type_.arrow), b) for b in (lower, upper))
    nans = found.nan_count if pa.types.is_floating(type_.arrow) else None
    return Bounds(lower, upper, nulls, rows, nan_count=nans)


def _nothing(length: int, type_: pa.DataType) -> Bounds:
    unknown = pa.nulls(length, pa.int64())
    return Bounds(pa.nulls(length, type_), pa.nulls(length, type_), unknown, unknown)


def _merged(found: Iterable[Bounds | None]) -> Bounds | None:
    """What several partition fields say of one column."""
    merged: Bounds | None = None
    for bounds in found:
        if bounds is not None:
            merged = bounds if merged is None else tighter(merged, bounds)
    return merged
