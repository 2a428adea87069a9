"""A Delta table at a place: versions by number and by time, and its metadata tables. Source: Delta protocol."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from lakesql.changes import ChangesRequest, Commits, Edge, Identity
from lakesql.errors import ConfigError, NoSuchVersionError, UnknownTableError, did_you_mean
from lakesql.formats.delta.change_feed import DeltaChanges
from lakesql.formats.delta.change_range import Bounds, VersionRange
from lakesql.formats.delta.metadata import METADATA
from lakesql.formats.delta.metadata_log import schema_history
from lakesql.formats.delta.moved import Moved
from lakesql.formats.delta.snapshot import DeltaSnapshot, Place
from lakesql.formats.delta.states import States
from lakesql.formats.delta.timeline import Clock, Timeline
from lakesql.kept import Kept
from lakesql.relation import Relation
from lakesql.storage import Storage
from lakesql.table import At, AtTime, AtVersion, Latest

_SNAPSHOTS_KEPT = 8
_COMMIT_TIMES = "commit_times"


class DeltaTable:
    """See Table. options: commit_times (see Clock). Raises ConfigError for others."""

    format = "delta"

    def __init__(self, storage: Storage, location: str, options: Mapping[str, str]) -> None:
        self.location = location
        states = States(storage, location)
        self._place = Place(states, Timeline(storage, states.log, _clock(options)), Moved(storage, location))
        self._snapshots: Kept[DeltaSnapshot] = Kept(_SNAPSHOTS_KEPT)

    def snapshot(self, at: At) -> DeltaSnapshot:
        """See Table."""
        match at:
            case Latest():
                return self._at(None)
            case AtVersion():
                return self._at(self._number(at))
            case AtTime():
                latest = self._at(None)
                return self._at(self._place.timeline.version_at(at, latest.state.version, latest.features))

    def changes(self, request: ChangesRequest) -> DeltaChanges:
        """See Table."""
        latest = self._at(None)
        versions = self._versions(request, latest)
        end = self._at(versions.last) if 0 <= versions.last < latest.state.version else latest
        return DeltaChanges(end, latest, versions, request)

    def commits(self, request: ChangesRequest) -> Commits:
        """See Table."""
        found = self._versions(request, self._at(None))
        return Commits(tuple(str(v) for v in found.versions), found.first == 0)

    def identity(self) -> Identity:
        """See Table: the id in the table's metadata, which every table gets when it is made."""
        return Identity(self.location, self._at(None).state.metadata.id)

    def view(self, name: str) -> None:
        """See table.Table: Delta tables hold no others."""
        return

    def metadata(self, name: str, at: At) -> Relation:
        """See Table."""
        make = METADATA.get(name.lower())
        if make is None:
            raise UnknownTableError(f'Delta tables have no metadata table "{name}"', hint=did_you_mean(name, METADATA), candidates=METADATA)
        return make(self.snapshot(at))

    @property
    def metadata_names(self) -> tuple[str, ...]:
        """See Table."""
        return tuple(METADATA)

    def schema_states(self) -> list[tuple[str, int | None, dict[str, str]]]:
        """See Table: from the commits that set the schema, where columns are mapped and so can be renamed."""
        found = []
        for row in reversed(schema_history(self._at(None)).load().to_pylist()):
            fields = (json.loads(row["schema"] or "{}") or {}).get("fields") or []
            ids = {
                str(f.get("metadata", {}).get("delta.columnMapping.id")): str(f["name"]) for f in fields if "delta.columnMapping.id" in f.get("metadata", {})
            }
            when = row["committed_at"]
            found.append((f"version {row['version']}", None if when is None else int(when.timestamp() * 1_000_000), ids))
        return found

    def _versions(self, request: ChangesRequest, latest: DeltaSnapshot) -> VersionRange:
        bounds = Bounds(self._place.states.storage, self._place.states.log, self._place.timeline, latest.state.version, latest.features)
        return bounds.resolve(request, self._edge(request.start), self._edge(request.end))

    def _at(self, version: int | None) -> DeltaSnapshot:
        state = self._place.states.at(version)
        return self._snapshots.of(id(state), lambda: DeltaSnapshot(self._place, state))

    def _edge(self, edge: Edge | None) -> int | None:
        return self._number(edge.at) if edge is not None and isinstance(edge.at, AtVersion) else None

    def _number(self, at: AtVersion) -> int:
        if re.fullmatch(r"\d{1,19}", at.text.strip()):
            return int(at.text)
        latest = self._at(None).version
        raise NoSuchVersionError(
            f'no such version "{at.text}": versions of a Delta table are numbers, the latest is {latest}', hint="Delta tables have no tags or branches"
        )


def _clock(options: Mapping[str, str]) -> Clock:
    for name in options:
        if name != _COMMIT_TIMES:
            raise ConfigError(f'reading Delta tables has no option "{name}"', hint=did_you_mean(name, [_COMMIT_TIMES]))
    value = options.get(_COMMIT_TIMES, Clock.FILE.value)
    try:
        return Clock(value)
    except ValueError as error:
        raise ConfigError(f'{_COMMIT_TIMES} is "{value}"; expected {" or ".join(c.value for c in Clock)}') from error
