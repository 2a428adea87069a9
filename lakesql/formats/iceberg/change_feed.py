"""The changes of a range of snapshots, as a Snapshot of `table.py`: for each snapshot the rows that it has and its parent has not, and the other way round.

Only files in which the two differ are read, each with the deletes that concern it in that snapshot, so every kind of delete is followed. Snapshots of operation
`replace` change no rows. What differs is told by the multiset difference of `changes.difference`; rows are one by their row ids where all their files have
them. Source: Iceberg table spec, "Snapshots", "Row Lineage"; Spark's `create_changelog_view` for carry-over rows, net changes and update images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakesql import changes
from lakesql.changes import (
    CHANGE_TYPE,
    COLUMNS,
    COMMIT_TIMESTAMP,
    COMMIT_VERSION,
    DELETE,
    INSERT,
    ChangesRequest,
    Mode,
    Source,
    difference,
    feed_schema,
    key_columns,
    upserts,
)
from lakesql.errors import Error, ExpiredVersionError, InternalError, MissingFileError, SqlError
from lakesql.formats.iceberg.change_check import expiry
from lakesql.formats.iceberg.change_files import added_by, differing, narrowed
from lakesql.formats.iceberg.hidden import ROW_ID
from lakesql.formats.iceberg.metadata import SnapshotInfo, TableMetadata
from lakesql.formats.iceberg.scan import IcebergFiles
from lakesql.formats.iceberg.schema import Schema
from lakesql.formats.iceberg.snapshot import IcebergSnapshot
from lakesql.formats.iceberg.travel import Choice
from lakesql.predicate import Predicate, columns_of
from lakesql.pruning import Bounds, TableBounds, prune
from lakesql.relation import Batches, Col, Project, Relation, Union, Value
from lakesql.table import Drop, FileSet, ScanReport, ScanRequest

_REPLACE, _APPEND = "replace", "append"
_MILLISECOND_US = 1000


@dataclass(frozen=True)
class _Step:
    """Two snapshots to compare. before: None where there was none, or where it is gone; added_alone: and what `info` added is all that counts."""

    before: IcebergSnapshot | None
    after: IcebergSnapshot
    info: SnapshotInfo
    added_alone: bool


@dataclass(frozen=True)
class _Side:
    """Files of one snapshot whose rows came or went. drops: those that predicates left out."""

    step: _Step
    snapshot: IcebergSnapshot
    files: IcebergFiles
    word: str
    drops: Callable[[], list[Drop]] = field(default=list, repr=False, compare=False)


@dataclass(frozen=True)
class ChangeFiles(FileSet):
    """The files of all sides. sides: in the order of `files`; open: steps whose rows both came and went, by the snapshot's id."""

    sides: tuple[_Side, ...] = field(default=(), repr=False, compare=False)
    open: frozenset[int] = field(default=frozenset(), repr=False, compare=False)


class IcebergChanges:
    """See Snapshot and `Table.changes`. chosen: the snapshots of the range, oldest first; end: the state at its end."""

    def __init__(
        self, metadata: TableMetadata, chosen: Sequence[SnapshotInfo], end: Choice, request: ChangesRequest, of: Callable[[Choice], IcebergSnapshot]
    ) -> None:
        self._metadata = metadata
        self._chosen = chosen
        self._request = request
        self._of = of
        self._schema = end.schema
        self._end = of(end)
        self.notices = end.notices
        self.schema: pa.Schema = feed_schema(self._end.schema, metadata.location)
        self.hidden: pa.Schema = _later(end.schema, metadata.schema)
        self._key = key_columns(request.key, self._end.schema) if request.key is not None else ()

    @property
    def version(self) -> str:
        """See Snapshot: the first and the last snapshot of the range."""
        return f"{self._chosen[0].id} to {self._chosen[-1].id}" if self._chosen else f"after {self._end.version}"

    @property
    def committed_at_us(self) -> int | None:
        """See Snapshot: when the last one was committed."""
        return self._end.committed_at_us

    def scan(self, request: ScanRequest) -> ChangeFiles:
        """See Snapshot."""
        own = tuple(p for p in request.predicates if not any(path[0] in COLUMNS.names for path in columns_of(p)))
        steps = self._steps()
        if request.prune and self._request.mode is Mode.RAW:
            steps = _of_versions(steps, request)
        sides: list[_Side] = []
        total = metadata_files = 0
        for step in steps:
            found, changed, read = _sides(step, request.columns, own, prune=request.prune and not self._may_pair)
            sides += found
            total += changed
            metadata_files += read
        kept = [s for s in sides if s.files.files.num_rows]
        files = _file_set(kept, _open(kept), total, metadata_files, lambda limit: [d for s in sides for d in s.drops()][:limit])
        if self._request.mode is not Mode.UPSERTS:
            return files
        return replace(files, live_rows=pa.nulls(files.files.num_rows, pa.int64()))  # of rows that went nothing is shown

    def relate(self, files: FileSet, columns: Sequence[str]) -> Relation:
        """See Snapshot."""
        if not isinstance(files, ChangeFiles):
            raise InternalError("an Iceberg change feed was given files of another")
        names = [c for c in columns if c in self._end.schema.names]
        later = [f for f in self.hidden if f.name in columns]
        compared = self._end.schema.names
        mode = Mode.RAW if self._request.mode is Mode.RAW else Mode.NET
        parts = [_rows(s, names) for s in files.sides if s.step.info.id not in files.open]
        groups: dict[tuple[str, ...], list[_Side]] = {}
        for side in files.sides:
            if side.step.info.id in files.open:
                groups.setdefault(self._identity([s for s in files.sides if s.step is side.step]), []).append(side)
        for key, sides in groups.items():
            inner = [*compared, ROW_ID] if key == (ROW_ID,) else compared
            told = difference(_union([_rows(s, inner) for s in sides]), inner, mode, key)
            parts.append(Project(told, (*names, *COLUMNS.names), tuple(Col(n) for n in (*names, *COLUMNS.names))))
        if not parts:
            return Batches.of(pa.schema([*(self._end.schema.field(n) for n in names), *COLUMNS, *later]).empty_table())
        relation, shown = _union(parts), (*names, *COLUMNS.names)
        if self._request.mode is Mode.UPSERTS:
            relation = upserts(relation, shown)
        nulls = [Value(pa.scalar(None, f.type)) for f in later]
        return Project(relation, (*shown, *(f.name for f in later)), (*(Col(n) for n in shown), *nulls)) if later else relation

    def explain_missing(self, error: MissingFileError) -> Error:
        """See Snapshot."""
        return self._end.explain_missing(error)

    def told(self, files: FileSet) -> changes.Told:
        """See table.py."""
        if not isinstance(files, ChangeFiles):
            raise InternalError("an Iceberg change feed was given files of another")
        of = [s.step.info.id for s in files.sides for _ in range(s.files.files.num_rows)]
        sources = []
        for side in files.sides:
            alone = side.step.info.id not in files.open
            known = not alone and self._identity([s for s in files.sides if s.step is side.step]) == (ROW_ID,)
            sources.append(Source.FILES if alone else Source.IDENTITY if known else Source.COMPARED)
        at_us, what = expiry(self._metadata, self._chosen, raw=self._request.mode is Mode.RAW)
        return changes.Told(tuple(s.id for s in self._chosen), pa.array(of, pa.int64()), tuple(dict.fromkeys(sources)), at_us, what)

    @property
    def _may_pair(self) -> bool:
        """Whether rows may be paired, so that both images of an update must be read whatever they hold."""
        if self._request.updates is False:
            return False
        return bool(self._key) or ROW_ID in self._end.hidden.names

    def _identity(self, sides: list[_Side]) -> tuple[str, ...]:
        """By what the rows of a step are one. Raises SqlError where that is asked for and not known."""
        if self._request.updates is False or self._key:
            return self._key
        known = ROW_ID in self._end.hidden.names and all(not s.files.entries.column("first_row_id").null_count for s in sides)
        if not known and self._request.updates:
            raise SqlError(
                f"updates = true, but nothing tells which rows of {self._metadata.location} are one in snapshot {sides[0].step.info.id}",
                hint="name the columns that identify a row: WITH (key = (id), updates = true); tables of format version 3 need no key",
            )
        return (ROW_ID,) if known else ()

    def _steps(self) -> list[_Step]:
        """What is compared: each snapshot with its parent, or the range's two ends."""
        if not self._chosen:
            return []
        if self._request.mode is not Mode.RAW:
            return [self._step(self._chosen[0], self._chosen[-1])] if any(s.operation != _REPLACE for s in self._chosen) else []
        return [self._step(s, s) for s in self._chosen if s.operation != _REPLACE]

    def _step(self, first: SnapshotInfo, last: SnapshotInfo) -> _Step:
        parent = None if first.parent_id is None else self._metadata.snapshot(first.parent_id)
        if first.parent_id is not None and parent is None and (first is not last or first.operation != _APPEND):
            raise ExpiredVersionError(
                f"changes of snapshot {first.id} can no longer be told: the state before it, snapshot {first.parent_id}, has expired ({self._metadata.path})",
                hint="ask for a range that begins later",
            )
        before = None if parent is None else self._of(Choice(parent, self._schema))
        return _Step(before, self._of(Choice(last, self._schema)), last, added_alone=first.parent_id is not None and parent is None)


def _later(end: Schema, current: Schema) -> pa.Schema:
    """The columns of the current schema that the range's has not, under whatever name."""
    known = {f.id for f in end.fields}
    taken = {n.lower() for n in (*end.arrow.names, *COLUMNS.names)}
    columns = zip(current.arrow, current.fields, strict=True)
    return pa.schema([a.remove_metadata() for a, f in columns if f.id not in known and a.name.lower() not in taken])


def _sides(step: _Step, columns: tuple[str, ...], predicates: tuple[Predicate, ...], *, prune: bool) -> tuple[list[_Side], int, int]:
    """The files of either snapshot that may hold wanted rows the other has not; how many there are whatever they hold; metadata files read."""
    every = ScanRequest(columns)
    after = step.after.scan(every)
    if step.before is None:
        new = added_by(after, step.info.id) if step.added_alone else np.ones(after.files.num_rows, bool)
        sides = [(step.after, after, new, INSERT)]
    else:
        before = step.before.scan(every)
        gone, new = differing(before, after)
        sides = [(step.before, before, gone, DELETE), (step.after, after, new, INSERT)]
    found = []
    for snapshot, files, mask, word in sides:
        if prune and predicates:
            wanted = pc.filter(files.files["path"], pa.array(mask)).combine_chunks()
            pruned = snapshot.scan(ScanRequest(columns, predicates))
            left = np.asarray(pc.is_in(pruned.files["path"], value_set=wanted))
            found.append(_Side(step, snapshot, narrowed(pruned, left), word, partial(_drops, pruned, frozenset(wanted.to_pylist()))))
        else:
            found.append(_Side(step, snapshot, narrowed(files, mask), word))
    return found, sum(int(m.sum()) for _, _, m, _ in sides), sum(f.report.metadata_files for _, f, _, _ in sides)


def _drops(files: IcebergFiles, wanted: frozenset[str]) -> list[Drop]:
    """What was left out of these files."""
    return [d for d in files.report.drops(None) if d.path in wanted]


def _of_versions(steps: list[_Step], request: ScanRequest) -> list[_Step]:
    """The steps whose snapshot the predicates on version and time allow."""
    ids = pa.array([s.info.id for s in steps], pa.int64())
    times = pa.array([s.info.timestamp_ms * _MILLISECOND_US for s in steps], COLUMNS.field(COMMIT_TIMESTAMP).type)
    none, one = pa.array([0] * len(steps), pa.int64()), pa.array([1] * len(steps), pa.int64())
    bounds = TableBounds({(COMMIT_VERSION,): Bounds(ids, ids, none, one), (COMMIT_TIMESTAMP,): Bounds(times, times, none, one)}, len(steps))
    keep = prune(bounds, request.predicates).keep if steps and request.predicates else np.ones(len(steps), bool)
    return [s for s, k in zip(steps, keep.tolist(), strict=True) if k]


def _open(sides: list[_Side]) -> frozenset[int]:
    """The snapshots in which rows both came and went."""
    words: dict[int, set[str]] = {}
    for side in sides:
        words.setdefault(side.step.info.id, set()).add(side.word)
    return frozenset(id_ for id_, found in words.items() if len(found) > 1)


def _file_set(sides: list[_Side], open_: frozenset[int], total: int, metadata_files: int, drops: Callable[[int | None], list[Drop]]) -> ChangeFiles:
    schema = pa.schema([("path", pa.string()), ("size_bytes", pa.int64())])
    files = pa.concat_tables([schema.empty_table(), *(s.files.files.select(schema.names).cast(schema) for s in sides)])
    nothing = pa.nulls(0, pa.int64())
    live = [s.files.live_rows if s.step.info.id not in open_ else pa.nulls(s.files.files.num_rows, pa.int64()) for s in sides]
    rows = pa.concat_arrays([nothing, *(r.combine_chunks() if isinstance(r, pa.ChunkedArray) else r for r in live)])
    kept = files.num_rows
    return ChangeFiles(
        files=files,
        constants=pa.table({}),
        live_rows=rows,
        all_match=False,
        report=ScanReport(
            metadata_files=metadata_files,
            metadata_skipped=0,
            total_files=total,
            dropped_by_partition=0,
            dropped_by_statistics=total - kept,
            kept_files=kept,
            kept_bytes=None if files["size_bytes"].null_count else pc.sum(files["size_bytes"]).as_py() or 0,
            kept_rows=None if rows.null_count else pc.sum(rows).as_py() or 0,
            scope="changed in the range",
            drops=drops,
        ),
        sides=tuple(sides),
        open=open_,
    )


def _rows(side: _Side, names: Sequence[str]) -> Relation:
    """The rows of a side, as names and COLUMNS."""
    info = side.step.info
    told = {CHANGE_TYPE: side.word, COMMIT_VERSION: info.id, COMMIT_TIMESTAMP: info.timestamp_ms * _MILLISECOND_US}
    values = tuple(Value(pa.scalar(told[f.name], f.type)) for f in COLUMNS)
    return Project(side.snapshot.relate(side.files, names), (*names, *COLUMNS.names), (*(Col(n) for n in names), *values))


def _union(parts: Sequence[Relation]) -> Relation:
    return parts[0] if len(parts) == 1 else Union(tuple(parts))
