"""Active files + what a statement needs -> the files that may hold such rows. Reads the log alone.

Partition values first, statistics of what is left then (`pruning.prune` asks in that order). Private columns of `FileSet.files`, for `relate.py`:
deletion_vector, physical_rows, base_row_id, row_commit_version.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lakesql.formats.delta.features import Features
from lakesql.formats.delta.file_bounds import (
    Column,
    deleted_rows,
    has_deletion_vectors,
    partition_values,
    physical_rows,
    physical_rows_if_cheap,
    statistics,
)
from lakesql.formats.delta.moved import Moved
from lakesql.formats.delta.paths import full_paths, is_absolute
from lakesql.formats.delta.schema import ColumnInfo, TableSchema
from lakesql.formats.delta.selection import Selection
from lakesql.predicate import ColumnPath, Predicate, columns_of
from lakesql.pruning import Bounds, Verdict, prune
from lakesql.table import Drop, FileSet, ScanReport, ScanRequest

_EXACT = (pa.types.is_integer, pa.types.is_date)
"""Types whose statistics are values of the column; texts, timestamps, decimals and floats may have been cut or rounded."""


@dataclass(frozen=True)
class Source:
    """The table a scan is of, at one version. partitions: the partition columns in the order of the log; log: for messages."""

    location: str
    log: str
    schema: TableSchema
    features: Features
    partitions: tuple[ColumnInfo, ...]
    moved: Moved

    def column(self, path: ColumnPath) -> Column | None:
        """The column of statistics for a logical path, None where there can be none."""
        physical = self.schema.physical_path(path)
        if physical is None:
            return None
        type_ = self.schema.column(path[0]).logical_type  # type: ignore[union-attr]  # physical_path found it
        for name in path[1:]:
            type_ = type_.field(name).type if type_.get_field_index(name) >= 0 else _same_but_case(type_, name)
        return physical, type_

    def partition(self, name: str) -> ColumnInfo | None:
        """The partition column of that name."""
        return next((p for p in self.partitions if p.name == name), None)


def scan(source: Source, files: Selection, request: ScanRequest, log_files: int) -> FileSet:
    """The files that may hold wanted rows, with everything that is known of them."""
    candidates = FileCandidates(source, files, wanted_statistics(source, request.predicates))
    verdict = prune(candidates, request.predicates, partition_columns=partition_paths(source)) if request.prune and request.predicates else None
    return file_set(source, files, verdict, request, log_files)


def partition_paths(source: Source) -> frozenset[ColumnPath]:
    """The partition columns, as pruning names them."""
    return frozenset((p.name,) for p in source.partitions)


def file_set(source: Source, files: Selection, verdict: Verdict | None, request: ScanRequest, log_files: int) -> FileSet:
    """What is known of the files that the verdict keeps; None keeps all."""
    kept = files if verdict is None else files.narrow(verdict.keep)
    paths = places(source, kept)
    rows, sizes = physical_rows(kept), kept.column("size")
    live = _live(rows, deleted_rows(kept))
    table = pa.table(
        {
            "path": paths,
            "size_bytes": sizes,
            "deletion_vector": kept.column("deletionVector"),
            "physical_rows": rows,
            "base_row_id": kept.column("baseRowId"),
            "row_commit_version": kept.column("defaultRowCommitVersion"),
        }
    )
    constants = {p.name: _values(source, kept, p) for p in source.partitions}
    return FileSet(
        files=table,
        constants=pa.table(constants, schema=pa.schema([(p.name, p.logical_type) for p in source.partitions])),
        live_rows=live,
        all_match=bool(verdict.all_match[verdict.keep].all()) if verdict is not None else not request.predicates,
        report=_report(source, files, kept, sizes, live, verdict, log_files),
        extremes=lambda column: _extremes(source, kept, column, live),
    )


class FileCandidates:
    """Files as pruning asks for them."""

    def __init__(self, source: Source, files: Selection, together: Sequence[Column]) -> None:
        self._source = source
        self._files = files
        self._together = together

    def __len__(self) -> int:
        return len(self._files)

    def bounds(self, column: ColumnPath) -> Bounds | None:
        """See pruning.Candidates."""
        partition = self._source.partition(column[0]) if len(column) == 1 else None
        if partition is not None:
            return _constant(_values(self._source, self._files, partition))
        wanted = self._source.column(column)
        if wanted is None or not _has_bounds(wanted[1]):
            return None
        found = statistics(self._files, wanted, self._together)
        if self._source.features.collations and pa.types.is_string(wanted[1]):
            # The order of the collation is not that of the bytes.
            unknown = pa.nulls(len(self._files), wanted[1])
            return Bounds(unknown, unknown, found.null_count, found.row_count, null_count_exact=found.null_count_exact)
        return found

    def narrow(self, mask: npt.NDArray[np.bool_]) -> FileCandidates:
        """See pruning.Narrowable."""
        return FileCandidates(self._source, self._files.narrow(mask), self._together)


def wanted_statistics(source: Source, predicates: Sequence[Predicate]) -> list[Column]:
    """The columns of statistics that the predicates will ask for."""
    paths = sorted({path for predicate in predicates for path in columns_of(predicate)})
    columns = [source.column(path) for path in paths if source.partition(path[0]) is None]
    return [c for c in columns if c is not None and _has_bounds(c[1])]


def _has_bounds(type_: pa.DataType) -> bool:
    """Whether statistics of the type are looked at: leaves but void."""
    return not pa.types.is_nested(type_) and not pa.types.is_null(type_)


def _values(source: Source, files: Selection, partition: ColumnInfo) -> pa.Array:
    where = f"{source.log}, an add action"
    return partition_values(files, partition.physical_name, partition.logical_type, column=partition.name, source=where)


def _constant(values: pa.Array) -> Bounds:
    """Bounds of a column with one value per file. How many rows a file has does not matter: all are null or none is."""
    one = pa.array(np.ones(len(values), np.int64))
    return Bounds(values, values, values.is_null().cast(pa.int64()), one, constant=True)


def live_rows(files: Selection) -> pa.Array:
    """The rows of each file after its deletes: int64, null where unknown."""
    return _live(physical_rows(files), deleted_rows(files))


def _live(rows: pa.Array, deleted: pa.Array) -> pa.Array:
    """Rows after deletes; a file that claims more deletes than rows says nothing."""
    live = pc.subtract(rows, deleted)
    return pc.if_else(pc.greater_equal(live, 0), live, pa.scalar(None, pa.int64()))


def places(source: Source, files: Selection) -> pa.Array:
    """The files' paths as storage names them, absolute ones where they lie now."""
    paths = files.column("path")
    absolute = is_absolute(paths)
    placed = full_paths(paths, source.location)
    if not pc.any(absolute).as_py():
        return placed
    return pc.replace_with_mask(placed, absolute, source.moved.places(paths.filter(absolute), files.column("size").filter(absolute)))


def _extremes(source: Source, files: Selection, name: str, live: pa.Array) -> tuple[pa.Array, pa.Array, pa.Array] | None:
    """See FileSet.extremes."""
    partition = source.partition(name)
    if partition is not None:
        values = _values(source, files, partition)
        return values, values, pc.if_else(values.is_null(), live, pa.scalar(0, pa.int64()))
    column = source.column((name,))
    if column is None or not any(is_kind(column[1]) for is_kind in _EXACT) or has_deletion_vectors(files):
        return None
    bounds = statistics(files, column)
    if not bounds.exact or not bounds.null_count_exact:
        return None
    bare = pc.equal(bounds.null_count, bounds.row_count)
    known = pc.or_(pc.and_(bounds.lower.is_valid(), bounds.upper.is_valid()), pc.fill_null(bare, False))
    if bounds.null_count.null_count or not pc.all(known).as_py():
        return None
    return bounds.lower, bounds.upper, bounds.null_count


def _report(source: Source, files: Selection, kept: Selection, kept_sizes: pa.Array, live: pa.Array, verdict: Verdict | None, log_files: int) -> ScanReport:
    total = len(files)
    all_kept = len(kept) == total
    total_sizes = kept_sizes if all_kept else files.column("size")
    total_live = live if all_kept else _live(rows, deleted_rows(files)) if (rows := physical_rows_if_cheap(files)) is not None else None
    return ScanReport(
        metadata_files=log_files,
        metadata_skipped=0,
        total_files=total,
        dropped_by_partition=verdict.dropped_by_partition if verdict else 0,
        dropped_by_statistics=verdict.dropped_by_statistics if verdict else 0,
        kept_files=len(kept),
        total_bytes=_sum(total_sizes),
        kept_bytes=_sum(kept_sizes),
        total_rows=None if total_live is None else _sum(total_live),
        kept_rows=_sum(live),
        unused=verdict.unusable if verdict else (),
        drops=lambda limit: _drops(source, files, verdict, limit) if verdict else [],
    )


def _drops(source: Source, files: Selection, verdict: Verdict, limit: int | None) -> list[Drop]:
    dropped = np.flatnonzero(~verdict.keep)[:limit]
    paths = full_paths(files.take(dropped).column("path"), source.location).to_pylist()
    return [Drop(path, predicate, bound) for path, (predicate, bound) in zip(paths, verdict.reasons(dropped.tolist()), strict=True)]


def _sum(values: pa.Array) -> int | None:
    """The sum, None where a value is unknown."""
    if values.null_count:
        return None
    total: int = pc.sum(values).as_py() or 0
    return total


def _same_but_case(type_: pa.DataType, name: str) -> pa.DataType:
    return next(type_.field(i).type for i in range(type_.num_fields) if type_.field(i).name.lower() == name.lower())
