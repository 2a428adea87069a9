"""The changes of a range of snapshots, as a Snapshot of `table.py`.

    recorded      a snapshot with a changelog, of any producer: its rows say themselves what they are
    nothing       compactions, where reads see what is not compacted; snapshots of tables whose changelog is written by compactions, but for overwrites
    derived       else: the state before and the state after, each as a read gives it, compared in the files in which they differ

Rows are one by the primary key, or by row ids where the table has them. What an overwrite did where compactions write the changelog is told by what those had
announced before it and after. Source: Paimon, IncrementalDeltaStartingScanner, DataTableStreamScan; docs/changes.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakesql.changes import (
    CHANGE_TYPE,
    COLUMNS,
    COMMIT_TIMESTAMP,
    COMMIT_VERSION,
    DELETE,
    INSERT,
    POSTIMAGE,
    PREIMAGE,
    ChangesRequest,
    Mode,
    Source,
    Told,
    difference,
    feed_schema,
    key_columns,
    upserts,
)
from lakesql.errors import Error, ExpiredVersionError, InternalError, MissingFileError, SqlError
from lakesql.formats.paimon.change_check import expiry
from lakesql.formats.paimon.change_files import Differing, added_alone, chosen, chosen_records, differing, recorded
from lakesql.formats.paimon.change_range import CommitRange, Commits
from lakesql.formats.paimon.merging import KIND
from lakesql.formats.paimon.relate import ROW_ID, Reader, Wanted
from lakesql.formats.paimon.schemas import SchemaSet
from lakesql.formats.paimon.snapshot import PaimonSnapshot, View
from lakesql.formats.paimon.snapshots import SnapshotFile
from lakesql.predicate import Predicate, columns_of
from lakesql.pruning import Bounds, TableBounds, prune
from lakesql.relation import Batches, Col, Mapped, Project, Relation, Union, Value, WithKeys
from lakesql.table import FileSet, ScanReport, ScanRequest

BY_COMPACTION = ("lookup", "full-compaction")
"""Changelog producers that leave it to compactions."""

_RECORDED = "recorded"
_FEW = 4
"""Keys of changed files are looked at by themselves where these have at most one of so many rows."""
_WORDS = pa.array([INSERT, PREIMAGE, POSTIMAGE, DELETE])
_PLAIN_WORDS = pa.array([INSERT, DELETE, INSERT, DELETE])


@dataclass(frozen=True, eq=False)
class _Side:
    """Files of one state whose rows came or went, or files of a changelog. word: what their rows are; files: those that are kept;
    changed: how many there were. keys: relation of the only keys that may have changed, None where they are not looked at by themselves.
    """

    commit: SnapshotFile
    snapshot: PaimonSnapshot
    word: str
    files: FileSet
    changed: int
    keys: Relation | None = None


@dataclass(frozen=True)
class ChangeFiles(FileSet):
    """The files of all sides. sides: in the order of `files`; open: commits whose rows both came and went."""

    sides: tuple[_Side, ...] = field(default=(), repr=False, compare=False)
    open: frozenset[int] = field(default=frozenset(), repr=False, compare=False)


class PaimonChanges:
    """See Snapshot and `Table.changes`. end: the state at the range's end; of: a state, seen in some way, in the columns of that one."""

    def __init__(
        self,
        commits: Commits,
        versions: CommitRange,
        request: ChangesRequest,
        schemas: SchemaSet,
        end: PaimonSnapshot,
        of: Callable[[SnapshotFile, View], PaimonSnapshot],
    ) -> None:
        self._commits = commits
        self._versions = versions
        self._request = request
        self._schemas = schemas
        self._of = of
        self._end = end
        self._location = end.place.root
        self.schema: pa.Schema = feed_schema(end.table_schema.arrow, self._location)
        self.hidden: pa.Schema = _later(end, schemas)
        self._key = key_columns(request.key, end.table_schema.arrow) if request.key is not None else ()
        if request.updates and not self._identity:
            raise SqlError(
                f"updates = true, but nothing tells which rows of {self._location} are one: the table has neither a primary key nor row ids",
                hint="name the columns that identify a row: WITH (key = (id), updates = true)",
            )

    @property
    def version(self) -> str:
        """See Snapshot: the first and the last snapshot of the range."""
        branch = self._end.point.branch
        return str(self._versions) if branch is None else f"{branch}@{self._versions}"

    @property
    def committed_at_us(self) -> int | None:
        """See Snapshot: when the last one was committed."""
        return self._end.committed_at_us

    def scan(self, request: ScanRequest) -> ChangeFiles:
        """See Snapshot."""
        own = tuple(p for p in request.predicates if not any(path[0] in COLUMNS.names for path in columns_of(p)))
        sides: list[_Side] = []
        metadata_files = 0
        for commit, pair in self._steps(request):
            found, read = self._sides(commit, pair, ScanRequest(request.columns, own, request.prune))
            sides += found
            metadata_files += read
        if request.prune:
            sides = _of_types(sides, request.predicates)
        kept = [s for s in sides if s.files.files.num_rows]
        open_ = _open(kept)
        files = _file_set(kept, open_, sides, metadata_files)
        return files if self._request.mode is not Mode.UPSERTS else replace(files, live_rows=pa.nulls(files.files.num_rows, pa.int64()))

    def relate(self, files: FileSet, columns: Sequence[str]) -> Relation:
        """See Snapshot."""
        if not isinstance(files, ChangeFiles):
            raise InternalError("a Paimon change feed was given files of another")
        every = [f.name for f in self._end.table_schema.fields]
        names = [c for c in columns if c in every]
        later = [f for f in self.hidden if f.name in columns]
        identity = self._identity
        inner = [*every, ROW_ID] if identity == (ROW_ID,) else every
        parts = [self._rows(s, names) for s in files.sides if s.commit.id not in files.open]
        compared = [self._rows(s, inner) for s in files.sides if s.commit.id in files.open]
        shown = (*names, *COLUMNS.names)
        if compared:
            mode = Mode.RAW if self._request.mode is Mode.RAW else Mode.NET
            parts.append(Project(difference(_union(compared), inner, mode, identity), shown, tuple(Col(n) for n in shown)))
        if not parts:
            return Batches.of(pa.schema([*(self._end.table_schema.arrow.field(n) for n in names), *COLUMNS, *later]).empty_table())
        relation = _union(parts)
        if self._request.mode is Mode.UPSERTS:
            relation = upserts(relation, shown)
        nulls = [Value(pa.scalar(None, f.type)) for f in later]
        return Project(relation, (*shown, *(f.name for f in later)), (*(Col(n) for n in shown), *nulls)) if later else relation

    def explain_missing(self, error: MissingFileError) -> Error:
        """See Snapshot."""
        gone = next((i for i in (self._versions.first - 1, *self._versions.ids) if i > 0 and self._commits.timeline.find(i) is None), None)
        if gone is None:
            return self._end.explain_missing(error)
        return ExpiredVersionError(
            f"changes of snapshots {self.version} can no longer be told: snapshot {gone} has expired, and the file {error.path} is gone",
            hint="ask for a range that begins later",
        )

    def told(self, files: FileSet) -> Told:
        """See table.py."""
        if not isinstance(files, ChangeFiles):
            raise InternalError("a Paimon change feed was given files of another")
        sources = []
        for side in files.sides:
            compared = Source.IDENTITY if self._identity else Source.COMPARED
            sources.append(Source.RECORDED if side.word == _RECORDED else compared if side.commit.id in files.open else Source.FILES)
        raw = self._request.mode is Mode.RAW
        recorded_alone = frozenset(s.commit.id for s in files.sides if s.word == _RECORDED)
        at_us, what = expiry(self._commits, self._versions, self._end.options, recorded_alone, raw=raw)
        of = [s.commit.id for s in files.sides for _ in range(s.files.files.num_rows)]
        return Told(tuple(self._versions.ids), pa.array(of, pa.int64()), tuple(dict.fromkeys(sources)), at_us, what)

    # Commits -------------------------------------------------------------------------------------------------------------------------------------

    @cached_property
    def _identity(self) -> tuple[str, ...]:
        """The columns by which rows that are left over are paired; none where they are not."""
        schema = self._end.table_schema
        if self._request.updates is False or self._key:
            return self._key
        return schema.primary_keys or ((ROW_ID,) if self._end.options.row_tracking and ROW_ID not in schema.by_name else ())

    def _steps(self, request: ScanRequest) -> list[tuple[SnapshotFile, Differing | tuple[PaimonSnapshot | None, PaimonSnapshot]]]:
        """The commits of the range that may have changed something, each with its changelog, or the two states to compare."""
        if self._request.mode is not Mode.RAW:
            return self._ends()
        commits = [self._commits.get(i) for i in self._versions.ids]
        return [(c, step) for c in (_of_versions(commits, request) if request.prune else commits) if (step := self._step(c)) is not None]

    def _ends(self) -> list[tuple[SnapshotFile, Differing | tuple[PaimonSnapshot | None, PaimonSnapshot]]]:
        if not self._versions.ids:
            return []
        last = self._commits.state(self._versions.last)
        if last is None:
            raise self._gone(self._versions.last)
        return [(last, (self._before(self._versions.first, View()), self._of(last, View())))]

    def _step(self, commit: SnapshotFile) -> Differing | tuple[PaimonSnapshot | None, PaimonSnapshot] | None:
        if commit.changelog_manifest_list is not None:
            return recorded(self._end.source, commit.changelog_manifest_list)
        if commit.commit_kind == "ANALYZE":
            return None
        producer = producer_of(self._schemas, commit)
        if producer in BY_COMPACTION:
            if commit.commit_kind != "OVERWRITE":
                return None
            view = View(above_level_0=True) if producer == "lookup" else View(top_only=True)
            return self._before(commit.id, view), self._of(commit, view)
        if commit.commit_kind == "COMPACT" and not self._compactions_show:
            return None
        after = self._of(commit, View())
        if commit.id > 1 and self._commits.state(commit.id - 1) is None:
            alone = added_alone(after)
            if alone is not None:
                return alone
        if self._commits.snapshot(commit.id) is None and self._commits.state(commit.id) is None:
            raise self._gone(commit.id)
        return self._before(commit.id, View()), after

    @property
    def _compactions_show(self) -> bool:
        """Whether rows come and go by compactions: where reads see nothing before them, or where they let rows expire."""
        options = self._end.options
        hidden = options.hides_level_0 or options.bucket == -2 or options.text("record-level.expire-time") is not None
        return bool(self._end.table_schema.primary_keys) and hidden

    def _before(self, id_: int, view: View) -> PaimonSnapshot | None:
        """The state before a commit."""
        if id_ <= 1:
            return None
        found = self._commits.state(id_ - 1)
        if found is None:
            raise self._gone(id_ - 1, of=id_)
        return self._of(found, view)

    def _gone(self, id_: int, of: int | None = None) -> ExpiredVersionError:
        ids = self._commits.timeline.ids()
        what = f"snapshot {id_}" if of is None else f"snapshot {of} can no longer be told: the state before it, snapshot {id_},"
        left = f"the oldest that is left is {ids[0]}" if ids else "none is left"
        return ExpiredVersionError(f"changes of {what} has expired in {self._location}; {left}", hint="ask for a range that begins later")

    # Files ---------------------------------------------------------------------------------------------------------------------------------------

    def _sides(self, commit: SnapshotFile, step: Differing | tuple[PaimonSnapshot | None, PaimonSnapshot], request: ScanRequest) -> tuple[list[_Side], int]:
        """The files of a commit that may hold wanted rows."""
        if isinstance(step, Differing) and commit.changelog_manifest_list is not None:
            files = chosen_records(self._end.source, step.come, request)
            return [_Side(commit, self._end, _RECORDED, files, len(step.come))], step.metadata_files
        before, after = (None, self._of(commit, View())) if isinstance(step, Differing) else step
        found = step if isinstance(step, Differing) else differing(before, after)
        if len(found.gone) and len(found.come):
            shared = {*self._identity, *(after.table_schema.partition_keys if not self._identity else ())}
            told = request.predicates if not self._identity else tuple(p for p in request.predicates if {path[0] for path in columns_of(p)} <= shared)
            request = replace(request, predicates=told)
        keys = _keys(after, found, request)
        sides = []
        for snapshot, moved, word in ((before, found.gone, DELETE), (after, found.come, INSERT)):
            if snapshot is not None and len(moved):
                sides.append(_Side(commit, snapshot, word, chosen(snapshot, moved, request), len(moved), keys))
        return sides, found.metadata_files

    def _rows(self, side: _Side, names: Sequence[str]) -> Relation:
        """The rows of a side, as names and COLUMNS."""
        told = {COMMIT_VERSION: side.commit.id, COMMIT_TIMESTAMP: side.commit.time_ms * 1000}
        values = [Value(pa.scalar(told[f.name], f.type)) for f in COLUMNS if f.name in told]
        if side.word != _RECORDED:
            rows = _of_keys(side, names)
            word: Value | Mapped = Value(pa.scalar(side.word))
        else:
            wanted = Wanted(tuple(n for n in names if n != ROW_ID), keyed=True, kinds=True, retracts=True)
            rows = Reader(side.snapshot.source, wanted.columns).rows(side.files.files, side.files.constants, wanted)
            word = Mapped(Col(KIND), _plain_words if self._request.updates is False else _words, pa.string())
        return Project(rows, (*names, *COLUMNS.names), (*(Col(n) for n in names), word, *values))


def _keys(snapshot: PaimonSnapshot, found: Differing, request: ScanRequest) -> Relation | None:
    """The keys of the files that differ, where what they are merged with has many more rows."""
    if found.changed is None or not len(found.gone) or not len(found.come):
        return None
    rows, all_rows = (sum(f.numbers("_ROW_COUNT").sum() for f in files) for files in ((found.changed,), (found.gone, found.come)))
    if rows * _FEW > all_rows:
        return None
    schema = snapshot.table_schema
    names = _key_names(snapshot)
    told = tuple(p for p in request.predicates if {path[0] for path in columns_of(p)} <= set(schema.primary_keys))
    files = chosen_records(snapshot.source, found.changed, replace(request, predicates=told))
    return Reader(snapshot.source, names).rows(files.files, files.constants, Wanted(names, retracts=True))


def _key_names(snapshot: PaimonSnapshot) -> tuple[str, ...]:
    """What tells a row that is merged from all others of the table, but for its bucket."""
    schema = snapshot.table_schema
    return (*schema.partition_keys, *(f.name for f in schema.trimmed_primary_key if f.name not in schema.partition_keys))


def _of_keys(side: _Side, names: Sequence[str]) -> Relation:
    """The rows of a state's files, of keys that may have changed."""
    if side.keys is None:
        return side.snapshot.relate(side.files, names)
    on = _key_names(side.snapshot)
    every = tuple(dict.fromkeys((*names, *on)))
    return WithKeys(side.snapshot.relate(side.files, every), side.keys, on)


def producer_of(schemas: SchemaSet, commit: SnapshotFile) -> str:
    """What writes the changelog of a table, as it was at a commit."""
    return schemas.get(commit.schema_id).options.get("changelog-producer", "none").strip().lower()


def told_alone(schemas: SchemaSet, commit: SnapshotFile) -> bool:
    """Whether a commit's changes can be told without the state before it, as far as that is known without its manifests."""
    schema = schemas.get(commit.schema_id)
    evolves = schema.options.get("data-evolution.enabled", "").lower() == "true"
    return commit.changelog_manifest_list is not None or (not schema.primary_keys and not evolves and commit.commit_kind == "APPEND")


def _words(kinds: pa.Array) -> pa.Array:
    return _WORDS.take(kinds)


def _plain_words(kinds: pa.Array) -> pa.Array:
    return _PLAIN_WORDS.take(kinds)


def _later(end: PaimonSnapshot, schemas: SchemaSet) -> pa.Schema:
    """The columns of the newest schema that the range's has not, under whatever name."""
    known = end.table_schema.by_id
    taken = {n.lower() for n in (*end.table_schema.by_name, *COLUMNS.names)}
    latest = schemas.latest()
    return pa.schema([a.remove_metadata() for a, f in zip(latest.arrow, latest.fields, strict=True) if f.id not in known and f.name.lower() not in taken])


def _of_versions(commits: list[SnapshotFile], request: ScanRequest) -> list[SnapshotFile]:
    """The commits that the predicates on version and time allow."""
    if not commits or not request.predicates:
        return commits
    ids = pa.array([c.id for c in commits], pa.int64())
    times = pa.array([c.time_ms * 1000 for c in commits], COLUMNS.field(COMMIT_TIMESTAMP).type)
    keep = prune(TableBounds({(COMMIT_VERSION,): _same(ids), (COMMIT_TIMESTAMP,): _same(times)}, len(commits)), request.predicates).keep
    return [c for c, k in zip(commits, keep.tolist(), strict=True) if k]


def _of_types(sides: list[_Side], predicates: Sequence[Predicate]) -> list[_Side]:
    """The sides whose rows may be of a wanted type: those of commits that only added or only took away are of one."""
    both = _open([s for s in sides if s.files.files.num_rows])
    words = [None if s.word == _RECORDED or s.commit.id in both else s.word for s in sides]
    if not sides or not predicates:
        return sides
    keep = prune(TableBounds({(CHANGE_TYPE,): _same(pa.array(words, pa.string()))}, len(sides)), predicates).keep
    return [s for s, k in zip(sides, keep.tolist(), strict=True) if k]


def _same(values: pa.Array) -> Bounds:
    """Bounds of a column with one value each, unknown where it is null."""
    return Bounds(values, values, pa.array(np.zeros(len(values), np.int64)), pa.array(np.ones(len(values), np.int64)))


def _open(sides: Sequence[_Side]) -> frozenset[int]:
    """The commits in which rows both came and went."""
    words: dict[int, set[str]] = {}
    for side in sides:
        words.setdefault(side.commit.id, set()).add(side.word)
    return frozenset(id_ for id_, found in words.items() if len(found) > 1)


def _file_set(sides: list[_Side], open_: frozenset[int], every: list[_Side], metadata_files: int) -> ChangeFiles:
    schema = pa.schema([("path", pa.string()), ("size_bytes", pa.int64())])
    files = pa.concat_tables([schema.empty_table(), *(s.files.files.select(schema.names).cast(schema) for s in sides)])
    live = [s.files.live_rows if s.commit.id not in open_ else pa.nulls(s.files.files.num_rows, pa.int64()) for s in sides]
    rows = pa.concat_arrays([pa.nulls(0, pa.int64()), *live])
    total, kept = sum(s.changed for s in every), files.num_rows
    constants = pa.table({})
    if sides and not open_ and all(s.word != _RECORDED for s in sides):
        constants = pa.concat_tables([_constants(s) for s in sides])
    return ChangeFiles(
        files=files,
        constants=constants,
        live_rows=rows,
        all_match=False,
        report=ScanReport(
            metadata_files=metadata_files,
            metadata_skipped=0,
            total_files=total,
            dropped_by_partition=sum(s.files.report.dropped_by_partition for s in every),
            dropped_by_statistics=total - kept - sum(s.files.report.dropped_by_partition for s in every),
            kept_files=kept,
            kept_bytes=None if files["size_bytes"].null_count else pc.sum(files["size_bytes"]).as_py() or 0,
            kept_rows=None if rows.null_count else pc.sum(rows).as_py() or 0,
            scope="changed in the range",
            drops=lambda limit: [d for s in every for d in s.files.report.drops(limit)][:limit],
        ),
        sides=tuple(sides),
        open=open_,
    )


def _constants(side: _Side) -> pa.Table:
    """What is the same in all rows of a file: partition columns, and the feed's own."""
    told = {CHANGE_TYPE: side.word, COMMIT_VERSION: side.commit.id, COMMIT_TIMESTAMP: side.commit.time_ms * 1000}
    count = side.files.files.num_rows
    own = {n: side.files.constants[n] for n in side.files.constants.column_names}
    return pa.table({**own, **{f.name: pa.repeat(pa.scalar(told[f.name], f.type), count) for f in COLUMNS}})


def _union(parts: Sequence[Relation]) -> Relation:
    return parts[0] if len(parts) == 1 else Union(tuple(parts))
