"""The changes of a range of versions, as a Snapshot of `table.py`: its files are those that commits brought in, took away or recorded changes in.

    recorded      a commit with change files; one without, where the table records changes: whole files came and went
    derived       else; where rows both came and went, the multiset difference of the two, told apart by all columns (`changes.difference`)

The feed has the columns of the range's last version, followed by identity. Source: Delta protocol, "Change Data Files", "Reader Requirements for Change Data
Feed"; design of change feeds in docs/changes.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lakesql import changes
from lakesql.changes import COLUMNS, COMMIT_TIMESTAMP, ChangesRequest, Mode, difference, feed_schema, key_columns, upserts
from lakesql.errors import Error, ExpiredVersionError, MissingFileError, SqlError
from lakesql.formats.delta.change_actions import CommitFiles
from lakesql.formats.delta.change_check import told_by
from lakesql.formats.delta.change_epochs import Epochs
from lakesql.formats.delta.change_files import Kind, Pieces, Walk
from lakesql.formats.delta.change_range import VersionRange
from lakesql.formats.delta.change_rows import FeedRows
from lakesql.formats.delta.change_scan import Told, scan_pieces
from lakesql.formats.delta.relate import ROW_ID
from lakesql.formats.delta.replay import READING_THREADS, ActiveFiles, State, in_parallel
from lakesql.formats.delta.snapshot import DeltaSnapshot, removed_in
from lakesql.relation import Col, Project, Relation, Value
from lakesql.table import FileSet, ScanRequest


class DeltaChanges:
    """See Snapshot and `Table.changes`. end: the range's last version, or the table's latest where the range is empty. latest: columns that the table had not
    yet at the range's end can be named all the same, and are null.

    Making one reads the range's commits and the state before it; no data file.
    """

    def __init__(self, end: DeltaSnapshot, latest: DeltaSnapshot, versions: VersionRange, request: ChangesRequest) -> None:
        self._end = end
        self._versions = versions
        self._request = request
        self.location = end.source.location
        self.schema: pa.Schema = feed_schema(end.schema, self.location)
        self.hidden: pa.Schema = _later(end, latest)
        self._key = key_columns(request.key, end.schema) if request.key is not None else ()

    @property
    def version(self) -> str:
        """See Snapshot: the range's first and last version."""
        return str(self._versions)

    @property
    def committed_at_us(self) -> int | None:
        """See Snapshot: when the last version was committed."""
        return self._end.committed_at_us

    @property
    def notices(self) -> tuple[str, ...]:
        """See Snapshot."""
        return self._end.notices

    def scan(self, request: ScanRequest) -> FileSet:
        """See Snapshot."""
        times = self._times if COMMIT_TIMESTAMP in request.columns else None
        told, before = self._told, self._before
        log_files = len(self._commits) + (before.log_files.get() if before is not None else 0)
        return scan_pieces(self._end.source, told, request, times, self._partition_columns, log_files)

    def relate(self, files: FileSet, columns: Sequence[str]) -> Relation:
        """See Snapshot."""
        later = [f for f in self.hidden if f.name in columns]
        names = [c for c in columns if c in self._end.schema.names]
        times = self._times if COMMIT_TIMESTAMP in columns else None
        rows = FeedRows(self._end, self._told, files.files, times, self._partition_columns, split_updates=self._request.updates is False)
        compared = self._end.schema.names
        parts = [rows.settled(names)]
        mode = Mode.RAW if self._request.mode is Mode.RAW else Mode.NET
        told = self._told
        for key, chosen in (((), told.open & ~told.paired), (self._key or (ROW_ID,), told.open & told.paired)):
            inner = [*compared, ROW_ID] if key == (ROW_ID,) else compared
            found = rows.of(rows.kept(chosen), inner)
            if found is not None:
                parts.append(rows.only(difference(found, inner, mode, key), names))
        relation = rows.union(parts, names)
        shown = (*names, *COLUMNS.names)
        if self._request.mode is Mode.UPSERTS:
            relation = upserts(relation, shown)
        if not later:
            return relation
        nulls = [Value(pa.scalar(None, f.type)) for f in later]
        return Project(relation, (*shown, *(f.name for f in later)), (*(Col(n) for n in shown), *nulls))

    def explain_missing(self, error: MissingFileError) -> Error:
        """See Snapshot: why a file that the changes are told by is not there."""
        states = self._end.states
        latest = states.at(None).version
        path = self._end.named(error.path)
        removed = removed_in(states, path, self._versions.first - 1, latest)
        if removed is None and not path.startswith("_change_data/"):
            return self._end.explain_missing(error)
        left = f"it left the table in version {removed}" if removed is not None else "it was a change file"
        return ExpiredVersionError(
            f"changes of versions {self.version} can no longer be told: the file {error.path} is gone (vacuumed); {left}",
            hint="ask for a range that begins later, or for mode = 'net', which needs fewer files",
        )

    def told(self, files: FileSet) -> changes.Told:
        """See table.py."""
        return told_by(self._told, self._versions, self._times, self._end, np.asarray(files.files["piece"]), has_key=bool(self._key))

    # What is told by which files -----------------------------------------------------------------------------------------------------------------

    @cached_property
    def _commits(self) -> list[CommitFiles]:
        listed, states = self._versions.listing.commits, self._end.states
        return in_parallel(lambda v: states.commit_files(v, listed[v]), list(self._versions.versions), READING_THREADS)

    @cached_property
    def _before(self) -> State | None:
        """The state before the range; None where there is none, or the log does not tell it any more."""
        if self._versions.first == 0:
            return None
        try:
            return self._end.states.at(self._versions.first - 1)
        except ExpiredVersionError:
            return None

    @cached_property
    def _epochs(self) -> Epochs:
        state = self._before or self._end.states.at(min(self._versions.first, self._end.state.version))
        return Epochs((state.version, state.metadata, state.protocol), self._commits, self.location)

    @cached_property
    def _told(self) -> Told:
        """The pieces, and how each is to be taken."""
        partitioned = bool(self._end.state.metadata.partition_columns)
        before: ActiveFiles | None = () if self._versions.first == 0 else None if self._before is None else self._before.files.get()
        walk = Walk(self._commits, before, self._end.states.log, partitioned)
        if self._request.mode is not Mode.RAW:
            return self._together(walk.net())
        return self._apart(walk.raw(c.version for c in self._commits if c.cdc.num_rows))

    def _together(self, pieces: Pieces) -> Told:
        """Of a range as a whole: rows on both sides, or on one. Vectors far apart may differ both ways, whatever their numbers say."""
        everywhere = np.ones(len(pieces.kinds), bool)
        open_ = everywhere & (_two_sided(pieces, everywhere) or bool((pieces.kinds == Kind.MOVED).any()))
        paired = open_ & self._pairs(pieces, everywhere)
        return self._checked(Told(pieces, open_, paired, by_commit=False, all_shown=self._request.mode is not Mode.UPSERTS))

    def _apart(self, pieces: Pieces) -> Told:
        """Of each commit by itself."""
        open_, paired = np.zeros(len(pieces.kinds), bool), np.zeros(len(pieces.kinds), bool)
        for version in np.unique(pieces.versions).tolist():
            inside = pieces.versions == version
            if (pieces.kinds[inside] == Kind.RECORDED).any() or self._epochs.at(version).records_changes or not _two_sided(pieces, inside):
                continue
            open_ |= inside
            if self._pairs(pieces, inside):
                paired |= inside
        return self._checked(Told(pieces, open_, paired, by_commit=True))

    def _pairs(self, pieces: Pieces, inside: npt.NDArray[np.bool_]) -> bool:
        """Whether rows of these pieces, some gone and some come, are paired by their identity. Raises SqlError where that is asked for and not known."""
        if self._request.updates is False or self._key or not _two_sided(pieces, inside):
            return bool(self._key) and self._request.updates is not False
        versions = np.unique(pieces.versions[inside]).tolist()
        tracked = all(self._epochs.at(v).features.row_tracking for v in {*versions, *(v - 1 for v in versions if v > 0)})
        known = tracked and self._end.features.row_tracking and not pieces.files.take(np.flatnonzero(inside)).column("baseRowId").null_count
        if not known and self._request.updates:
            raise SqlError(
                f"updates = true, but nothing tells which rows of {self.location} are one in version {versions[0]}",
                hint="name the columns that identify a row: WITH (key = (id), updates = true); tables with row tracking or recorded changes need no key",
            )
        return bool(known)

    def _checked(self, told: Told) -> Told:
        for epoch in np.unique(told.pieces.epochs).tolist():
            self._epochs.check(epoch, self._end.table_schema)
        return told

    @cached_property
    def _partition_columns(self) -> dict[int, frozenset[str]]:
        """For each epoch with files, the columns of the feed that were partition columns in it."""
        named = {c.physical_name: c.name for c in self._end.table_schema.columns}
        epochs = np.unique(self._told.pieces.epochs).tolist()
        return {e: frozenset(named[p] for p in self._epochs.at(e).partition_columns if p in named) for e in epochs}

    @cached_property
    def _times(self) -> dict[int, int]:
        """The commit time of every version of the range, microseconds UTC."""
        versions = list(self._versions.versions)
        return dict(zip(versions, self._end.timeline.times(versions, self._versions.listing, self._end.features), strict=True))


def _two_sided(pieces: Pieces, inside: npt.NDArray[np.bool_]) -> bool:
    """Whether rows may have both gone and come. A deletion vector that grew took rows away alone, as far as it is the old one with rows added."""
    kinds = pieces.kinds[inside]
    shrunk = False
    if (kinds == Kind.MOVED).any():
        moved = np.flatnonzero(inside & (pieces.kinds == Kind.MOVED))
        new = pc.fill_null(pc.struct_field(pieces.files.take(moved).column("deletionVector"), "cardinality"), 0)
        old = pc.fill_null(pc.struct_field(pieces.old_vectors.take(pa.array(moved)), "cardinality"), 0)
        shrunk = bool(pc.any(pc.less_equal(new, old)).as_py())
    gone = (kinds == Kind.DELETE).any() or (kinds == Kind.MOVED).any()
    return bool(gone and ((kinds == Kind.INSERT).any() or shrunk))


def _later(end: DeltaSnapshot, latest: DeltaSnapshot) -> pa.Schema:
    """The columns of the latest version that the range's last one has not, under whatever name."""
    known = {c.physical_name for c in end.table_schema.columns}
    taken = {n.lower() for n in (*end.schema.names, *COLUMNS.names)}
    columns = zip(latest.schema, latest.table_schema.columns, strict=True)
    return pa.schema([f for f, c in columns if c.physical_name not in known and f.name.lower() not in taken])
