"""A snapshot's manifests + what a statement needs -> the files that may hold such rows. Reads metadata alone.

    manifest lists      manifests whose partitions, buckets or levels hold nothing wanted stay unread
    live files          of the manifests read (entries.py); what reads do not see is left out: level 0 of some tables, postponed buckets
    buckets             by the hash of a pinned bucket key
    files               append tables: by all predicates. Primary keys: by those on key columns, which all versions of a row share; by others only where a
    file's rows are not merged with
                        those of others, or where they rule out every file of a bucket

What is merged with what is settled here too (sections.py), since it says whether a file's rows are known to be the table's. Source: Paimon,
KeyValueFileStoreScan, AppendOnlyFileStoreScan, PrimaryKeyFileStoreTable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakesql.formats.paimon.buckets import BucketKey
from lakesql.formats.paimon.deletion_vectors import vectors_of
from lakesql.formats.paimon.entries import Indices, Manifests, Mask, Selection
from lakesql.formats.paimon.index_files import index_proofs
from lakesql.formats.paimon.manifests import read_index_manifest
from lakesql.formats.paimon.options import MergeEngine, Options
from lakesql.formats.paimon.paths import Paths, formats_of
from lakesql.formats.paimon.schemas import TableSchema
from lakesql.formats.paimon.sections import sections
from lakesql.formats.paimon.snapshots import SnapshotFile
from lakesql.formats.paimon.statistics import Described, FileBounds, file_bounds, manifest_bounds, partition_values
from lakesql.location import join
from lakesql.predicate import ColumnPath, Predicate, columns_of, conjuncts
from lakesql.pruning import Bounds, Verdict, prune
from lakesql.table import Drop, FileSet, ScanReport, ScanRequest

RAW, MERGED, MIXED = 0, 1, 2
"""How a file's rows become the table's: as they are; merged, with all newer runs above its bulk; merged, in any order."""


@dataclass(frozen=True, eq=False)
class Source:
    """The table a scan is of, at one snapshot; None where it has none. top_only: the read-optimised view, of fully compacted files alone;
    above_level_0: of all that has been compacted.
    """

    described: Described
    options: Options
    paths: Paths
    manifests: Manifests
    snapshot: SnapshotFile | None
    top_only: bool = False
    above_level_0: bool = False

    @property
    def schema(self) -> TableSchema:
        """The schema that the rows are read as."""
        return self.described.schema

    @property
    def has_key(self) -> bool:
        """Whether rows are found by a primary key, of which there is one version each."""
        return bool(self.schema.primary_keys)

    @property
    def hides_level_0(self) -> bool:
        """Whether what has not been compacted yet is left out."""
        return self.options.hides_level_0 or self.above_level_0

    @property
    def merges(self) -> bool:
        """Whether rows of several files may have to be merged into one."""
        return self.has_key and not self.options.hides_level_0 and not self.top_only


@dataclass(frozen=True, eq=False)
class Listed:
    """Live files that a read sees, before predicates on them. lists: manifest lists and manifests read; skipped: manifests left unread; skipped_files: what
    those add to the table.
    """

    files: Selection
    lists: int
    skipped: int
    skipped_files: int


def scan(source: Source, request: ScanRequest) -> FileSet:
    """The files that may hold wanted rows, with everything that is known of them."""
    predicates = [p for whole in request.predicates for p in conjuncts(whole)] if request.prune else []
    return scan_files(source, live_files(source, predicates), request)


def scan_files(source: Source, listed: Listed, request: ScanRequest) -> FileSet:
    """As scan, of files that are listed already: of files that are merged with each other all or none."""
    predicates = [p for whole in request.predicates for p in conjuncts(whole)] if request.prune else []
    trial = _Trial(source, listed.files)
    if predicates:
        trial.by_bucket(predicates)
        trial.by_statistics(predicates)
        trial.by_index(predicates)
    return file_set(source, listed, trial, request)


# Manifests -----------------------------------------------------------------------------------------------------------------------------------------


def live_files(source: Source, predicates: Sequence[Predicate] = (), *, every_bucket: bool = False) -> Listed:
    """The files of the snapshot, of manifests that may matter to the predicates. every_bucket: postponed ones too, which reads do not see."""
    if source.snapshot is None:
        return Listed(Selection(()), 0, 0, 0)
    lists = manifest_lists(source)
    added, deleted = (lists[n].combine_chunks() for n in ("_NUM_ADDED_FILES", "_NUM_DELETED_FILES"))
    count = lists.num_rows
    levels = _wanted_levels(source, lists)
    kept = levels & _wanted_partitions(source, lists, predicates)
    files = source.manifests.live(lists["_FILE_NAME"].filter(pa.array(kept)).to_pylist())
    skipped = pa.array(levels & ~kept)
    balance: int = pc.sum(pc.subtract(added, deleted).filter(skipped)).as_py() or 0
    return Listed(files if every_bucket else _visible(source, files), 2 + int(kept.sum()), count - int(kept.sum()), max(balance, 0))


def manifest_lists(source: Source) -> pa.Table:
    """The manifests of the snapshot, as rows of manifest lists."""
    assert source.snapshot is not None
    names = (source.snapshot.base_manifest_list, source.snapshot.delta_manifest_list)
    return pa.concat_tables([source.manifests.manifest_list(n) for n in names])


def _wanted_levels(source: Source, lists: pa.Table) -> Mask:
    """Manifests that have files of a level that reads see."""
    least, most = (lists[n].combine_chunks() for n in ("_MIN_LEVEL", "_MAX_LEVEL"))
    if source.has_key and source.top_only:
        unwanted = pc.or_(pc.less(most, source.options.top_level), pc.greater(least, source.options.top_level))
    elif source.has_key and source.hides_level_0:
        unwanted = pc.equal(most, 0)
    else:
        return np.ones(lists.num_rows, bool)
    return ~np.asarray(pc.fill_null(unwanted, False))


def _wanted_partitions(source: Source, lists: pa.Table, predicates: Sequence[Predicate]) -> Mask:
    if not source.schema.partition_keys or not predicates:
        return np.ones(lists.num_rows, bool)
    return prune(_ManifestBounds(lists, source.schema), predicates, partition_columns=partition_columns(source)).keep


@dataclass(frozen=True, eq=False)
class _ManifestBounds:
    """Manifests as pruning asks for them."""

    lists: pa.Table
    schema: TableSchema

    def __len__(self) -> int:
        return int(self.lists.num_rows)

    def bounds(self, column: ColumnPath) -> Bounds | None:
        """See pruning.Candidates."""
        return manifest_bounds(self.lists, self.schema, column[0]) if len(column) == 1 else None


def partition_columns(source: Source) -> frozenset[ColumnPath]:
    """The partition columns, as pruning names them."""
    return frozenset((name,) for name in source.schema.partition_keys)


def _visible(source: Source, files: Selection) -> Selection:
    """The files that reads see: none of postponed buckets; of some tables only what has been compacted."""
    if not source.has_key or not len(files):
        return files
    levels = files.numbers("_LEVEL")
    seen = files.numbers("_BUCKET") >= 0
    if source.top_only:
        seen &= levels == source.options.top_level
    elif source.hides_level_0:
        seen &= levels > 0
    return files.narrow(seen)


# Files ---------------------------------------------------------------------------------------------------------------------------------------------


class _Trial:
    """The files still looked at, and why the others are not."""

    def __init__(self, source: Source, files: Selection) -> None:
        self.source = source
        self.files = files
        self.all = files
        self.rows: Indices = np.arange(len(files), dtype=np.int64)
        self.dropped_by_partition = 0
        self.dropped_by_statistics = 0
        self.all_match = True
        self.unusable: dict[tuple[str, str], None] = {}
        self._reasons: list[tuple[Indices, Verdict | tuple[str, str] | list[tuple[str, str]]]] = []

    def by_bucket(self, predicates: Sequence[Predicate]) -> None:
        """Leaves out buckets that a pinned bucket key cannot be in."""
        source = self.source
        if not len(self.files) or source.options.bucket in (0, -1):
            return
        key = BucketKey(source.schema.bucket_key, source.options.bucket_function)
        pinned = key.pinned(predicates)
        if pinned is None:
            return
        known = np.isin(self.files.numbers("_SCHEMA_ID"), self._schemas_with_key(key))
        keep = pinned.keep(self.files.numbers("_BUCKET", -1), self.files.numbers("_TOTAL_BUCKETS", -1)) | ~known
        names = ", ".join(c.name for c in key.columns)
        self.dropped_by_partition += self._narrow(keep, (f"bucket key ({names})", "another bucket"))

    def by_statistics(self, predicates: Sequence[Predicate]) -> None:
        """Leaves out files, or whole buckets, that hold no wanted row."""
        source = self.source
        if not source.has_key:
            self._prune(predicates, keys=False)
            return
        if not source.merges:
            self._prune(predicates, keys=True)
            return
        keys = frozenset((f.name,) for f in source.schema.trimmed_primary_key) | partition_columns(source)
        on_keys = [p for p in predicates if columns_of(p) <= keys]
        others = [p for p in predicates if not columns_of(p) <= keys]
        self._prune(on_keys, keys=True)
        if others:
            self.all_match = False
            self._prune_values(others)

    def by_index(self, predicates: Sequence[Predicate]) -> None:
        """Leaves out files whose own indexes prove that they hold no wanted row, where rows are not merged with those of others."""
        source = self.source
        if not source.options.reads_file_indexes or not len(self.files):
            return
        proofs = index_proofs(source.paths, self.files, source.described, predicates)
        if proofs is None:
            return
        whole = _merging(source, self.files, self.groups)[0] == RAW
        dropped = [i for i in proofs if whole[i]]
        if dropped:
            keep = np.ones(len(self.files), bool)
            keep[dropped] = False
            self._reasons.append((self.rows[~keep], [proofs[i] for i in dropped]))
            self.dropped_by_statistics += len(dropped)
            self.files, self.rows = self.files.narrow(keep), self.rows[keep]

    def drops(self, limit: int | None) -> list[Drop]:
        """See ScanReport.drops."""
        found: list[tuple[int, tuple[str, str]]] = []
        for rows, why in self._reasons:
            chosen = rows[:limit]
            if isinstance(why, Verdict):
                reasons = why.reasons(np.flatnonzero(~why.keep)[:limit].tolist())
            else:
                reasons = why[:limit] if isinstance(why, list) else [why] * len(chosen)
            found += zip(chosen.tolist(), reasons, strict=True)
        found = sorted(found, key=lambda f: f[0])[:limit]
        paths = self.source.paths.data_files(self.all.take(np.array([i for i, _ in found], np.int64))).to_pylist() if found else []
        return [Drop(path, predicate, bound) for path, (_, (predicate, bound)) in zip(paths, found, strict=True)]

    def _schemas_with_key(self, key: BucketKey) -> list[int]:
        """Schemas whose bucket key has the types of today's, so that its hashes are those of today's literals."""
        ids = np.unique(self.files.numbers("_SCHEMA_ID")).tolist()
        wanted = [(c.id, c.type.bare) for c in key.columns]
        return [i for i in ids if all((f := self.source.described.schema_of(i).by_id.get(id_)) is not None and f.type.bare == type_ for id_, type_ in wanted)]

    def _prune(self, predicates: Sequence[Predicate], *, keys: bool) -> None:
        if not predicates:
            return
        verdict = prune(FileBounds(self.files, self.source.described, keys), predicates, partition_columns=partition_columns(self.source))
        self.all_match &= bool(verdict.all_match[verdict.keep].all())
        self.unusable.update(dict.fromkeys(verdict.unusable))
        self.dropped_by_partition += verdict.dropped_by_partition
        self.dropped_by_statistics += verdict.dropped_by_statistics
        self._narrow(verdict.keep, verdict)

    def _prune_values(self, predicates: Sequence[Predicate]) -> None:
        """By columns outside the key. Files that are merged with each other are kept as long as one of them may hold a wanted row: dropping one would bring
        back older versions of its rows. What some engines make of several rows is in none of them, so their files are kept.
        """
        if not len(self.files):
            return
        found = sections(self.files, self.groups, self.source.described)
        verdict = prune(FileBounds(self.files, self.source.described), predicates, partition_columns=partition_columns(self.source))
        self.unusable.update(dict.fromkeys(verdict.unusable))
        keep = verdict.keep.copy()
        if self.source.options.merge_engine in (MergeEngine.DEDUPLICATE, MergeEngine.FIRST_ROW):
            some = np.zeros(len(keep) + 1, bool)
            some[found.number[verdict.keep]] = True
            keep |= some[found.number]
        else:
            keep |= ~found.alone
        self.dropped_by_statistics += self._narrow(keep, replace(verdict, keep=keep))

    @property
    def groups(self) -> Indices:
        """For each file the number of its bucket."""
        return buckets_of(self.files)

    def _narrow(self, keep: Mask, why: Verdict | tuple[str, str]) -> int:
        dropped = int(np.count_nonzero(~keep))
        if dropped:
            self._reasons.append((self.rows[~keep], why))
            self.files, self.rows = self.files.narrow(keep), self.rows[keep]
        return dropped


def buckets_of(files: Selection) -> Indices:
    """For each file the number of its bucket, counted over all partitions."""
    if not len(files):
        return np.zeros(0, np.int64)
    pairs = np.stack([files.partitions[1], files.numbers("_BUCKET")])
    numbers: Indices = np.unique(pairs, axis=1, return_inverse=True)[1].reshape(-1)
    return numbers


# What is known of the files that are kept ----------------------------------------------------------------------------------------------------------


def file_set(source: Source, listed: Listed, trial: _Trial, request: ScanRequest) -> FileSet:
    """The kept files with all that `relate.py` needs, and what happened to the others."""
    files = trial.files
    vectors = file_vectors(source, files)
    table = file_table(source, files, trial.groups, vectors)
    rows = files.column("_ROW_COUNT")
    deleted = pc.if_else(vectors.is_valid(), pc.struct_field(vectors, "cardinality"), pa.scalar(0, pa.int64()))
    live = pc.subtract(rows, deleted)
    live = pc.if_else(pc.greater_equal(live, 0), live, pa.scalar(None, pa.int64()))
    if source.has_key:
        exact = pc.and_not(pc.equal(table["merge"].combine_chunks(), RAW), table["takes_back"].combine_chunks())
        live = pc.if_else(exact, live, pa.scalar(None, pa.int64()))
    sizes = files.column("_FILE_SIZE")
    total = len(trial.all)
    whole = total == len(files) and not listed.skipped_files
    report = ScanReport(
        metadata_files=listed.lists,
        metadata_skipped=listed.skipped,
        total_files=total + listed.skipped_files,
        dropped_by_partition=trial.dropped_by_partition + listed.skipped_files,
        dropped_by_statistics=trial.dropped_by_statistics,
        kept_files=len(files),
        total_bytes=_sum(sizes) if whole else None if listed.skipped_files else _sum(trial.all.column("_FILE_SIZE")),
        kept_bytes=_sum(sizes),
        total_rows=_sum(live) if whole else None,
        kept_rows=_sum(live),
        unused=tuple(trial.unusable),
        drops=trial.drops,
    )
    values = partition_values(files, source.schema)
    return FileSet(
        files=table,
        constants=pa.table(values) if values else pa.table({}),
        live_rows=live,
        all_match=trial.all_match and (request.prune or not request.predicates),
        report=report,
        extremes=lambda column: _extremes(source, files, column, live, vectors),
    )


def file_vectors(source: Source, files: Selection) -> pa.Array:
    """The deletion vector of each file, null without one."""
    name = source.snapshot.index_manifest if source.snapshot is not None else None
    if name is None or not len(files):
        return vectors_of(
            pa.table({"_INDEX_TYPE": pa.array([], pa.string())}), lambda t: t, files.column("_PARTITION"), files.column("_BUCKET"), files.column("_FILE_NAME")
        )
    index = read_index_manifest(source.paths.storage, join(source.paths.manifests, name))
    return vectors_of(index, source.paths.index_files, files.column("_PARTITION"), files.column("_BUCKET"), files.column("_FILE_NAME"))


def file_table(source: Source, files: Selection, groups: Indices, vectors: pa.Array) -> pa.Table:
    """One row per file: path, size_bytes, and what `relate.py` reads."""
    merge, bulk, distinct, section = _merging(source, files, groups)
    return pa.table(
        {
            "path": source.paths.data_files(files),
            "size_bytes": files.column("_FILE_SIZE"),
            "partition": files.column("_PARTITION"),
            "format": formats_of(files.column("_FILE_NAME")),
            "schema_id": files.column("_SCHEMA_ID"),
            "row_count": files.column("_ROW_COUNT"),
            "group": pa.array(groups),
            "section": pa.array(section),
            "total_buckets": files.column("_TOTAL_BUCKETS"),
            "merge": pa.array(merge, pa.int8()),
            "bulk": pa.array(bulk),
            "distinct": pa.array(distinct),
            "takes_back": pa.array(_may_take_back(files) & source.has_key),
            "vector": vectors,
            "first_row_id": files.column("_FIRST_ROW_ID"),
            "least_sequence": files.column("_MIN_SEQUENCE_NUMBER"),
            "most_sequence": files.column("_MAX_SEQUENCE_NUMBER"),
            "is_appended": pc.equal(files.column("_FILE_SOURCE"), 0),
        }
    )


def _may_take_back(files: Selection) -> Mask:
    """Files that may hold rows that take back others. Manifests say how many do; of files that no compaction wrote that is not relied upon, since pypaimon
    (2.1) counts none whatever it writes.
    """
    counted = np.asarray(pc.fill_null(pc.equal(files.column("_DELETE_ROW_COUNT"), 0), False))
    may: Mask = ~counted | (files.numbers("_LEVEL") == 0)
    return may


def _merging(source: Source, files: Selection, groups: Indices) -> tuple[Indices, Mask, Mask, Indices]:
    """How each file's rows become the table's, whether the file is bulk, whether numbers tell the versions of its keys apart, and the number of the section
    that it is read with.
    """
    count = len(files)
    merge: Indices = np.full(count, RAW, np.int64)
    bulk: Mask = np.zeros(count, bool)
    distinct: Mask = np.ones(count, bool)
    section: Indices = np.arange(count, dtype=np.int64)
    if not source.merges or not count:
        return merge, bulk, distinct, section
    levels, sizes = files.numbers("_LEVEL"), np.bincount(groups)
    low, high = np.full(len(sizes), 2**31), np.full(len(sizes), -1)
    np.minimum.at(low, groups, levels)
    np.maximum.at(high, groups, levels)
    one_run: Mask = (sizes == 1) | ((low == high) & (low > 0))
    suspects = np.flatnonzero(~one_run[groups])
    if len(suspects):
        found = sections(files.take(suspects), groups[suspects], source.described)
        merge[suspects] = np.where(found.alone, RAW, np.where(found.settled, MERGED, MIXED))
        bulk[suspects], distinct[suspects] = found.bulk, found.distinct
        section[suspects] = count + found.number
    return merge, bulk, distinct, section


def _extremes(source: Source, files: Selection, name: str, live: pa.Array, vectors: pa.Array) -> tuple[pa.Array, pa.Array, pa.Array] | None:
    """See FileSet.extremes."""
    field = source.schema.by_name.get(name)
    if field is None or live.null_count:
        return None
    if name in source.schema.partition_keys:
        values = partition_values(files, source.schema)[name]
        return values, values, pc.if_else(values.is_null(), live, pa.scalar(0, pa.int64()))
    bounds = file_bounds(files, source.described, field, exact=vectors.null_count == len(vectors))
    if not bounds.exact or bounds.null_count.null_count:
        return None
    bare = pc.equal(bounds.null_count, bounds.row_count)
    known = pc.or_(pc.and_(bounds.lower.is_valid(), bounds.upper.is_valid()), bare)
    return (bounds.lower, bounds.upper, bounds.null_count) if pc.all(known).as_py() is not False else None


def _sum(values: pa.Array) -> int | None:
    """The sum, None where a value is unknown."""
    if values.null_count:
        return None
    total: int = pc.sum(values).as_py() or 0
    return total
