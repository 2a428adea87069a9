"""A Paimon table at a place: its states by number, name and time, the other tables it holds, and its metadata tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

import lakesql.changes as feeds
from lakesql.changes import ChangesRequest, Identity
from lakesql.errors import ConfigError, SqlError, UnknownTableError, UnsupportedFeatureError, did_you_mean
from lakesql.formats.paimon.audit_log import Form, PaimonLog
from lakesql.formats.paimon.change_feed import PaimonChanges, told_alone
from lakesql.formats.paimon.change_range import CommitRange, Commits, resolve
from lakesql.formats.paimon.entries import Manifests
from lakesql.formats.paimon.fallback import FallbackSnapshot
from lakesql.formats.paimon.incremental import asks, increment_of
from lakesql.formats.paimon.metadata import METADATA
from lakesql.formats.paimon.options import Options
from lakesql.formats.paimon.points import Point, branch_of, point_of
from lakesql.formats.paimon.schemas import Schemas, SchemaSet
from lakesql.formats.paimon.snapshot import PaimonSnapshot, Place, View, row_tracking_refused
from lakesql.formats.paimon.snapshots import SnapshotFile, Timeline
from lakesql.kept import Kept
from lakesql.location import join
from lakesql.relation import Batches
from lakesql.storage import Storage
from lakesql.table import At, AtTime, AtVersion, Latest

_BRANCH = "branch_"
_VIEWS = {"ro": View(top_only=True), "row_tracking": View(tracked=True)}
_STATES_KEPT = 8
_LOGS = {"audit_log": Form.AUDIT_LOG, "binlog": Form.BINLOG}


class PaimonTable:
    """See Table."""

    format = "paimon"

    def __init__(self, storage: Storage, location: str, options: Mapping[str, str]) -> None:
        self._reading = _Reading(MappingProxyType(dict(options)))
        self._shared = _Shared(storage, location)

    @property
    def location(self) -> str:
        """See Table."""
        return self._shared.location

    def with_options(self, options: Mapping[str, str], time_zone: str = "UTC") -> PaimonTable:
        """See Table: Paimon's own options, such as `scan.snapshot-id`, `scan.tag-name`, `scan.timestamp`, `scan.watermark`, `branch`."""
        return self._with(replace(self._reading, given=MappingProxyType({**self._reading.given, **options}), time_zone=time_zone))

    def view(self, name: str) -> PaimonTable | None:
        """See Table: `branch_NAME`, `ro` (what is fully compacted), `row_tracking` (with row ids and numbers among the columns)."""
        if name.startswith(_BRANCH):
            return self.with_options({"branch": name.removeprefix(_BRANCH)}, self._reading.time_zone)
        log = _LOGS.get(name.lower())
        if log is not None:
            return self._with(replace(self._reading, log=log))
        found = _VIEWS.get(name.lower())
        return None if found is None else self._with(replace(self._reading, view=found))

    def snapshot(self, at: At) -> PaimonSnapshot | FallbackSnapshot | PaimonLog:
        """See Table."""
        if self._reading.log is not Form.PLAIN or asks(self._options(self._shared.location).values):
            return self._log(at)
        current = self._snapshot(at)
        fallback, primary = current.options.fallback_branch, current.options.primary_branch
        other = fallback or primary
        if other is None or other == (current.point.branch or "main"):
            return current
        beside = self._of_branch(other, current)
        return FallbackSnapshot(current, beside, current) if fallback is None else FallbackSnapshot(current, current, beside)

    def changes(self, request: ChangesRequest) -> PaimonChanges:
        """See Table."""
        if self._reading.log is not Form.PLAIN or asks(self._reading.given):
            raise SqlError("this table is one of changes already", hint="CHANGES goes with the table itself, without options that ask for changes")
        shared = self._shared
        commits, versions, schemas, branch = self._range(request)
        timeline, options = commits.timeline, self._options(commits.timeline.root)
        newest = commits.latest is None or versions.end is None or versions.end.id == commits.latest.id
        schema = schemas.latest() if newest or versions.end is None else schemas.get(versions.end.schema_id)

        def of(commit: SnapshotFile | None, view: View) -> PaimonSnapshot:
            return PaimonSnapshot(shared.place, Point(commit, timeline, True, branch), schemas, options, view, schema)

        return PaimonChanges(commits, versions, request, schemas, of(versions.end, View()), of)

    def commits(self, request: ChangesRequest) -> feeds.Commits:
        """See Table."""
        _, versions, _, _ = self._range(request)
        return feeds.Commits(tuple(str(i) for i in versions.ids), from_first=versions.first == 1)

    def _range(self, request: ChangesRequest) -> tuple[Commits, CommitRange, SchemaSet, str | None]:
        """What a range means: the table's commits, those of the range, its schemas, and the branch that it is of."""
        timeline, branch = self._timeline()
        commits, schemas = Commits(timeline, timeline.latest()), self._shared.schemas(timeline.root).now()
        self._check_one_branch(self._options(timeline.root), branch)
        return commits, resolve(commits, request, lambda commit: told_alone(schemas, commit)), schemas, branch

    def identity(self) -> Identity:
        """See Table: when the oldest schema that is left was written; a branch has positions of its own."""
        timeline, branch = Timeline(self._shared.storage, self._shared.location), self._options(self._shared.location).text("branch")
        is_main = branch is None or branch == "main"
        root = timeline.root if branch is None or is_main else branch_of(timeline, branch).root
        made = self._shared.schemas(root).now().all()[0].time_ms
        return Identity(self.location if is_main else f"{self.location}${_BRANCH}{branch}", "" if made is None else str(made))

    def consumers(self) -> list[tuple[str, str]]:
        """See Table: the files below `consumer/`, which Flink keeps."""
        rows = self.metadata("consumers", Latest()).load().to_pylist()
        return [(r["consumer_id"], str(r["next_snapshot_id"])) for r in rows]

    def metadata(self, name: str, at: At) -> Batches:
        """See Table."""
        wanted = name.lower()
        make = METADATA.get(wanted)
        if make is None:
            raise UnknownTableError(
                f'Paimon tables have no metadata table "{name}"', hint=did_you_mean(name, self.metadata_names), candidates=self.metadata_names
            )
        return make(self._snapshot(at))

    @property
    def metadata_names(self) -> tuple[str, ...]:
        """See Table."""
        return (*METADATA, *_VIEWS, *_LOGS)

    def schema_states(self) -> list[tuple[str, int | None, dict[str, str]]]:
        """See Table: the schemas that are there."""
        found = []
        for schema in self._snapshot(Latest()).schemas.all():
            fields: Any = (schema.raw or {}).get("fields") or []
            when = None if schema.time_ms is None else schema.time_ms * 1000
            found.append((f"schema {schema.id}", when, {str(f["id"]): str(f["name"]) for f in fields}))
        return found

    def _snapshot(self, at: At) -> PaimonSnapshot:
        """One branch's state."""
        shared, reading = self._shared, self._reading
        timeline = Timeline(shared.storage, shared.location)
        point = point_of(timeline, at, self._options(shared.location), reading.given, reading.time_zone)
        return self._state(point)

    def _log(self, at: At) -> PaimonLog:
        """Paimon's own tables of changes: of a state, or of what options ask for."""
        shared, reading = self._shared, self._reading
        timeline, branch = self._timeline()
        options = self._options(timeline.root)
        self._check_one_branch(options, branch)
        if not asks(options.values):
            state = self._snapshot(at)
            return PaimonLog(state, reading.log, None, lambda commit: state)
        if isinstance(at, AtVersion) or (isinstance(at, AtTime) and not at.or_latest):
            raise ConfigError(f"an option asks for changes, and AS OF {at} for a state of a table; give one")
        commits = Commits(timeline, timeline.latest())
        schemas = shared.schemas(timeline.root).now()

        def of(commit: SnapshotFile | None) -> PaimonSnapshot:
            return PaimonSnapshot(shared.place, Point(commit, timeline, True, branch), schemas, options, View(), schemas.latest())

        return PaimonLog(of(commits.latest), reading.log, increment_of(commits, options, reading.time_zone), of)

    def _check_one_branch(self, options: Options, branch: str | None) -> None:
        """Refuses a table whose partitions come from two branches: neither's changes are the table's. Raises UnsupportedFeatureError."""
        other = options.fallback_branch or options.primary_branch
        if other is not None and other != (branch or "main"):
            raise UnsupportedFeatureError(
                f"partitions of {self.location} come from two branches, {branch or 'main'} and {other}; lakesql does not put their changes together",
                feature="changes of tables with a fallback branch",
                hint=f'the changes of "t$branch_{other}" can be read by themselves',
            )

    def _timeline(self) -> tuple[Timeline, str | None]:
        """The snapshots of the branch that is read, and its name; None for main."""
        timeline = Timeline(self._shared.storage, self._shared.location)
        name = self._options(self._shared.location).text("branch")
        return (timeline, None) if name in (None, "main") else (branch_of(timeline, name or ""), name)

    def _of_branch(self, name: str, current: PaimonSnapshot) -> PaimonSnapshot:
        """Another branch as it was when the current one was as it is read."""
        timeline = branch_of(Timeline(self._shared.storage, self._shared.location), name)
        if not current.point.travelled or current.point.snapshot is None:
            return self._state(Point(timeline.latest(), timeline, branch=name))
        time_ms = current.point.snapshot.time_ms
        ids = [i for i in timeline.ids() if timeline.get(i).time_ms <= time_ms]
        return self._state(Point(timeline.get(ids[-1]) if ids else None, timeline, bool(ids), name))

    def _state(self, point: Point) -> PaimonSnapshot:
        shared, reading = self._shared, self._reading
        schemas = shared.schemas(point.timeline.root).now()
        key = (point.timeline.root, point.branch, point.travelled, tuple(sorted(reading.given.items())), reading.view)
        known = shared.states.get(key)
        if known is not None and known.point.snapshot == point.snapshot and known.schemas == schemas:
            return known
        snapshot = PaimonSnapshot(shared.place, point, schemas, self._options(point.timeline.root), reading.view)
        if reading.view.tracked and not snapshot.options.row_tracking:
            raise row_tracking_refused(self.location)
        shared.states.put(key, snapshot)
        return snapshot

    def _options(self, root: str) -> Options:
        """The options in force: of the newest schema below `root`, and of the read."""
        latest = self._shared.schemas(root).now().latest()
        return Options(MappingProxyType(dict(latest.options))).given(self._reading.given)

    def _with(self, reading: _Reading) -> PaimonTable:
        other = object.__new__(PaimonTable)
        other._reading, other._shared = reading, self._shared
        return other


@dataclass(frozen=True)
class _Reading:
    """How a table is read. given: options of the read, beside the table's own; time_zone: of instants without one among them; log: as which of Paimon's
    tables of changes.
    """

    given: Mapping[str, str] = field(default_factory=dict)
    time_zone: str = "UTC"
    view: View = field(default_factory=View)
    log: Form = Form.PLAIN


@dataclass(frozen=True, eq=False)
class _Shared:
    """What is kept between reads of one table, however it is read."""

    storage: Storage
    location: str

    @cached_property
    def place(self) -> Place:
        """The table's folder and its manifests."""
        return Place(self.storage, self.location, Manifests(self.storage, join(self.location, "manifest")))

    def schemas(self, root: str) -> Schemas:
        """The schemas of the table or of a branch."""
        return self._schemas.setdefault(root, Schemas(self.storage, root))

    @cached_property
    def _schemas(self) -> dict[str, Schemas]:
        return {}

    @cached_property
    def states(self) -> Kept[PaimonSnapshot]:
        """The states opened last, by the way they are read; each may be out of date."""
        return Kept(_STATES_KEPT)
