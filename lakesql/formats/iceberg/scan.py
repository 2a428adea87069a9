"""A snapshot and what a statement needs -> the data files that may hold such rows. Reads manifests alone.

    manifests   by the summaries of their partition values; those left are decoded
    files       by their partition tuples, each by its own spec
    files       by the metrics of the columns that predicates name, of the files still left
    deletes     those that may concern a file that is kept (deletes.py)

Source: Iceberg table spec, "Scan Planning".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lakesql.errors import UnsupportedFeatureError
from lakesql.formats.iceberg.buckets import with_buckets
from lakesql.formats.iceberg.candidates import FileCandidates, PartitionCandidates, Partitioning, SummaryCandidates
from lakesql.formats.iceberg.delete_rows import count_deleted
from lakesql.formats.iceberg.deletes import Deletes, find_deletes
from lakesql.formats.iceberg.entries import Entries, Rows
from lakesql.formats.iceberg.manifest import ManifestFile, Manifests
from lakesql.formats.iceberg.manifest_list import DATA, DELETES
from lakesql.formats.iceberg.manifest_list import Manifests as ManifestRows
from lakesql.formats.iceberg.metadata import TableMetadata
from lakesql.formats.iceberg.partition_bounds import cast_or_none
from lakesql.formats.iceberg.places import Places
from lakesql.formats.iceberg.schema import Schema
from lakesql.formats.iceberg.types import Primitive
from lakesql.predicate import ColumnPath, Predicate, columns_of
from lakesql.pruning import Verdict, prune
from lakesql.storage import Storage
from lakesql.table import Drop, FileSet, ScanReport, ScanRequest

FORMATS = ("parquet", "avro", "orc")

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Source:
    """The table a scan is of. schema: the one that is read; manifest_rows: the snapshot's manifests, empty for a table without a snapshot."""

    storage: Storage
    places: Places
    metadata: TableMetadata
    schema: Schema
    manifests: Manifests
    manifest_rows: ManifestRows

    @property
    def partitioning(self) -> Partitioning:
        """The table's specs as the schema sees them."""
        return Partitioning(self.schema, self.metadata.newest_schemas)

    def files_of(self, rows: ManifestRows) -> list[ManifestFile]:
        """The manifests as their entries need them. Raises MetadataError for a spec that is not there."""
        names = ("path", "manifest_length", "content", "partition_spec_id", "sequence_number", "added_snapshot_id", "first_row_id")
        columns = [rows.column(name).to_pylist() for name in names]
        schemas = self.metadata.newest_schemas
        return [
            ManifestFile(path, length, content, self.metadata.spec(spec, f'manifest "{path}"'), sequence, added, first_row, schemas)
            for path, length, content, spec, sequence, added, first_row in zip(*columns, strict=True)
        ]


@dataclass(frozen=True)
class IcebergFiles(FileSet):
    """Kept files and what `relate.py` must know beside. entries: the same files, in the same order; deletes: what concerns them."""

    entries: Entries = field(default_factory=lambda: Entries(()), repr=False, compare=False)
    deletes: Deletes | None = field(default=None, repr=False, compare=False)


def scan(source: Source, request: ScanRequest) -> IcebergFiles:
    """The files that may hold wanted rows, with everything that is known of them."""
    pruner = _Pruner(source, request.predicates if request.prune else ())
    data = source.manifest_rows.of_content(DATA)
    data = data.where(data.may_have_live_files)
    wanted = pruner.manifests(data)
    entries = Entries.read(source.manifests, source.files_of(wanted), columns=pruner.metric_columns)
    kept = pruner.files(entries)
    deletes = find_deletes(source, kept.entries, pruner.delete_manifests(source.manifest_rows.of_content(DELETES), kept.entries))
    return _file_set(source, request, kept, deletes, _Unread.of(data, wanted), len(wanted))


@dataclass(frozen=True)
class _Unread:
    """Manifests left out by their summaries, and the live files they say they list."""

    manifests: int
    files: int

    @staticmethod
    def of(rows: ManifestRows, wanted: ManifestRows) -> _Unread:
        """What is in the one and not in the other; a count that is null is taken for none, here where it is for show."""
        return _Unread(len(rows) - len(wanted), _listed(rows) - _listed(wanted))


def _listed(rows: ManifestRows) -> int:
    counts = [pc.sum(rows.column(name)).as_py() or 0 for name in ("added_files_count", "existing_files_count")]
    return int(sum(counts))


@dataclass(frozen=True)
class _Kept:
    """Files that are left. total: how many were looked at; by_partition: the verdict of each spec with the place of its files; by_metrics: of those left by
    them.
    """

    entries: Entries
    looked_at: Entries
    rows: Rows
    by_partition: tuple[tuple[Rows, Verdict], ...] = ()
    by_metrics: tuple[Rows, Verdict] | None = None


class _Pruner:
    """The predicates of one scan, as each stage tests them."""

    def __init__(self, source: Source, predicates: Sequence[Predicate]) -> None:
        self._source = source
        self._partitioning = source.partitioning
        specs = source.metadata.specs.values()
        self._predicates = [with_buckets(p, self._partitioning.buckets(specs)) for p in predicates]
        self._columns = frozenset[ColumnPath]().union(*(columns_of(p) for p in self._predicates)) if self._predicates else frozenset[ColumnPath]()
        self._partition_paths = self._partitioning.paths(specs)

    @property
    def is_active(self) -> bool:
        """Whether there is anything to prune by."""
        return bool(self._predicates)

    @property
    def metric_columns(self) -> list[int]:
        """Field ids of the columns whose metrics the predicates will ask for."""
        return sorted(
            f.id for path in self._columns if (f := self._source.schema.find(path)) is not None and isinstance(f.type, Primitive) and self._needs_metrics(path)
        )

    def _needs_metrics(self, path: ColumnPath) -> bool:
        """Whether a column's bounds are not known from partition values alone."""
        specs = self._source.metadata.specs.values()
        return not all(path[0] in self._partitioning.identities(s) and len(path) == 1 for s in specs)

    def manifests(self, rows: ManifestRows) -> ManifestRows:
        """The manifests that may list a wanted file, by their summaries."""
        if not self._columns & self._partition_paths or not len(rows):
            return rows
        spec_ids = rows.column("partition_spec_id").to_numpy()
        keep = np.ones(len(rows), np.bool_)
        for spec_id in np.unique(spec_ids).tolist():
            columns = self._partitioning.columns(self._source.metadata.spec(spec_id, f'manifest list "{rows.source}"'))
            chosen = spec_ids == spec_id
            if columns:
                candidates = SummaryCandidates(rows.where(chosen), columns)
                keep[chosen] = prune(candidates, self._predicates, partition_columns=frozenset(c.path for c in columns)).keep
        return rows.where(keep)

    def delete_manifests(self, rows: ManifestRows, kept: Entries) -> ManifestRows:
        """The manifests of delete files that may concern a kept file: none older than the oldest of those, none of other partitions."""
        if not len(rows) or not len(kept):
            return rows.where(np.zeros(len(rows), np.bool_))
        oldest = pc.min(kept.column("sequence_number")).as_py()
        recent = np.asarray(pc.greater_equal(rows.column("sequence_number"), oldest))
        return self.manifests(rows.where(recent & rows.may_have_live_files))

    def files(self, entries: Entries) -> _Kept:
        """The files that may hold a wanted row."""
        everything = np.arange(len(entries), dtype=np.int64)
        if not self.is_active or not len(entries):
            return _Kept(entries, entries, everything)
        keep, verdicts = self._by_partition(entries)
        rows = everything[keep]
        left = entries.narrow(keep)
        if not len(left):
            return _Kept(left, entries, rows, tuple(verdicts))
        verdict = prune(FileCandidates(left, self._source.manifests, self._partitioning), self._predicates, partition_columns=self._constant_paths(left))
        return _Kept(left.narrow(verdict.keep), entries, rows[verdict.keep], tuple(verdicts), (rows, verdict))

    def _by_partition(self, entries: Entries) -> tuple[Mask, list[tuple[Rows, Verdict]]]:
        keep = np.ones(len(entries), np.bool_)
        verdicts = []
        if self._columns & self._partition_paths:
            spec_ids = entries.spec_ids.to_numpy(zero_copy_only=False)
            for spec in entries.specs:
                columns = self._partitioning.columns(spec)
                paths = frozenset(c.path for c in columns)
                if paths & self._columns:
                    rows = np.flatnonzero(spec_ids == spec.id)
                    verdict = prune(PartitionCandidates(entries.of_spec(spec.id), columns), self._predicates, partition_columns=paths)
                    keep[rows] = verdict.keep
                    verdicts.append((rows, verdict))
        return keep, verdicts

    def _constant_paths(self, entries: Entries) -> frozenset[ColumnPath]:
        sets = [frozenset((name,) for name in self._partitioning.identities(spec)) for spec in entries.specs]
        return frozenset.intersection(*sets) if sets else frozenset()


def _file_set(source: Source, request: ScanRequest, kept: _Kept, deletes: Deletes, unread: _Unread, read: int) -> IcebergFiles:
    entries, kept_deletes = _once(kept.entries, deletes)
    formats = entries.column("file_format")
    strange = pc.filter(formats, pc.invert(pc.is_in(formats, pa.array(FORMATS, pa.string()))))
    if len(strange):
        name = strange[0].as_py()[:40]
        raise UnsupportedFeatureError(f"data files of format {name} are not supported ({source.metadata.path})", feature=f"{name} data files")
    counts, sizes = entries.column("record_count"), entries.column("file_size_in_bytes")
    live = kept_deletes.live_rows(counts)
    by_metrics = kept.by_metrics
    all_match = not request.predicates if by_metrics is None else bool(by_metrics[1].all_match[by_metrics[1].keep].all())
    if by_metrics is None and len(entries) == 0:
        all_match = True
    return IcebergFiles(
        files=pa.table({"path": kept_deletes.paths, "size_bytes": sizes}),
        constants=_constants(source, entries),
        live_rows=live,
        all_match=all_match,
        report=_report(source, kept, sizes, counts, live, unread, read + deletes.manifests_read),
        count_rows=_count_rows(source, kept_deletes, counts, live),
        entries=entries,
        deletes=kept_deletes,
    )


def _count_rows(source: Source, deletes: Deletes, counts: pa.Array, live: pa.Array) -> Callable[[], pa.Array] | None:
    """See FileSet.count_rows: where only deletes by position must be read, and writers counted the rows of all files."""
    if not live.null_count or counts.null_count or pc.any(pc.less(counts, 0)).as_py() or any(e.hit.any() for e in deletes.equality):
        return None
    storage, places, rows = source.storage, source.places, counts.to_numpy(zero_copy_only=False)
    return lambda: pa.array(rows - count_deleted(storage, places, deletes, rows))


def _once(entries: Entries, deletes: Deletes) -> tuple[Entries, Deletes]:
    """Without what is listed twice: the spec leaves open what that means, and rows must not come twice."""
    suspects = _alike(entries)
    paths = deletes.paths.take(pa.array(suspects))
    if pc.count_distinct(paths).as_py() == len(paths):
        return entries, deletes
    encoded = pc.dictionary_encode(paths).indices.to_numpy()
    first = np.ones(len(entries), np.bool_)
    first[suspects] = False
    first[suspects[np.unique(encoded, return_index=True)[1]]] = True
    return entries.narrow(first), deletes.narrow(first)


def _alike(entries: Entries) -> Rows:
    """Files that have as many rows and bytes as another: the only ones that can be listed twice. Numbers are told apart sooner than paths."""
    sizes, rows = (pc.fill_null(entries.column(n), -1).to_numpy(zero_copy_only=False) for n in ("file_size_in_bytes", "record_count"))
    with np.errstate(over="ignore"):
        marks = sizes * np.int64(1_000_003) + rows
    order = np.argsort(marks, kind="stable")
    same = marks[order][1:] == marks[order][:-1]
    found: Rows = np.sort(order[np.concatenate((same, [False])) | np.concatenate(([False], same))]) if len(order) else order
    return found


def _constants(source: Source, entries: Entries) -> pa.Table:
    """Columns of which each kept file has one value: those that every spec among them has by identity."""
    partitioning = source.partitioning
    specs = entries.specs or tuple(source.metadata.specs.values())
    names = [f.name for f in source.schema.fields if all(f.name in partitioning.identities(spec) for spec in specs)]
    columns = {}
    for name in names:
        type_ = source.schema.arrow.field(name).type
        pieces = []
        for spec in entries.specs:
            column = partitioning.identities(spec)[name]
            values = cast_or_none(entries.of_spec(spec.id).partition(column.field.id, column.type), type_)
            if values is None:
                break
            pieces.append(values)
        else:
            columns[name] = pa.chunked_array(pieces, type_)
    return pa.table(columns)


def _report(source: Source, kept: _Kept, sizes: pa.Array, counts: pa.Array, live: pa.Array, unread: _Unread, read: int) -> ScanReport:
    by_partition = sum(int(np.count_nonzero(~v.keep)) for _, v in kept.by_partition)
    by_metrics = int(np.count_nonzero(~kept.by_metrics[1].keep)) if kept.by_metrics else 0
    everything = kept.looked_at
    all_kept = len(everything) == len(sizes) and not unread.manifests
    no_deletes = not len(source.manifest_rows.of_content(DELETES))
    return ScanReport(
        metadata_files=1 + 1 + read if source.manifest_rows.source else 1,
        metadata_skipped=unread.manifests,
        total_files=len(everything) + unread.files,
        dropped_by_partition=by_partition + unread.files,
        dropped_by_statistics=by_metrics,
        kept_files=len(sizes),
        total_bytes=_sum(sizes) if all_kept else None if unread.manifests else _sum(everything.column("file_size_in_bytes")),
        kept_bytes=_sum(sizes),
        total_rows=_sum(live) if all_kept else _sum(everything.column("record_count")) if no_deletes and not unread.manifests else None,
        kept_rows=_sum(live),
        unused=_unused(kept),
        drops=lambda limit: _drops(source, kept, limit),
    )


def _unused(kept: _Kept) -> tuple[tuple[str, str], ...]:
    """Predicates that neither partition values nor metrics could decide."""
    if kept.by_metrics is not None:
        return kept.by_metrics[1].unusable
    return kept.by_partition[0][1].unusable if kept.by_partition else ()


def _drops(source: Source, kept: _Kept, limit: int | None) -> list[Drop]:
    """What was left out, in the order of the manifests."""
    stages = [*kept.by_partition, *([kept.by_metrics] if kept.by_metrics else [])]
    found: list[tuple[int, Verdict, int]] = []
    for rows, verdict in stages:
        inside = np.flatnonzero(~verdict.keep)
        found += [(int(rows[i]), verdict, int(i)) for i in (inside if limit is None else inside[:limit])]
    found.sort(key=lambda drop: drop[0])
    chosen = found[:limit]
    paths = source.places.resolve_all(kept.looked_at.take(np.array([row for row, _, _ in chosen], np.int64)).column("file_path")).to_pylist()
    reasons = [verdict.reasons([place])[0] for _, verdict, place in chosen]
    return [Drop(path, predicate, bound) for path, (predicate, bound) in zip(paths, reasons, strict=True)]


def _sum(values: pa.Array) -> int | None:
    """The sum, None where a value is unknown."""
    if values.null_count:
        return None
    total: int = pc.sum(values).as_py() or 0
    return total
