"""A Paimon table at a place: its states by number, name and time, its views, and its metadata tables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from lakesql.errors import UnknownTableError, UnsupportedFeatureError, did_you_mean
from lakesql.formats.paimon.entries import Manifests
from lakesql.formats.paimon.options import Options
from lakesql.formats.paimon.points import Point, point_of
from lakesql.formats.paimon.schemas import Schemas
from lakesql.formats.paimon.snapshot import PaimonSnapshot, Place, View, row_tracking_refused
from lakesql.formats.paimon.snapshots import Timeline
from lakesql.location import join
from lakesql.relation import Relation
from lakesql.storage import Storage
from lakesql.table import At, ScanRequest

_BRANCH = re.compile(r"branch_([^$]+)(?:\$(.+))?", re.DOTALL)
_VIEWS = {"ro": View(top_only=True), "row_tracking": View(tracked=True)}
_LATER = ("audit_log", "binlog")


class PaimonTable:
    """See Table."""

    format = "paimon"

    def __init__(self, storage: Storage, location: str, options: Mapping[str, str], time_zone: str = "UTC", shared: _Shared | None = None) -> None:
        self.location = location
        self._storage = storage
        self._given = dict(options)
        self._time_zone = time_zone
        self._shared = shared or _Shared(storage, location)

    def with_options(self, options: Mapping[str, str], time_zone: str = "UTC") -> PaimonTable:
        """See Table."""
        return PaimonTable(self._storage, self.location, {**self._given, **options}, time_zone, self._shared)

    def snapshot(self, at: At) -> PaimonSnapshot:
        """See Table."""
        return self._snapshot(at, View(), None)

    def view(self, name: str, at: At) -> PaimonSnapshot | None:
        """See Table: `ro`, `row_tracking`, `branch_NAME` and those of branches."""
        branch, rest = _split(name)
        if rest is None:
            return self._snapshot(at, View(), branch)
        found = _VIEWS.get(rest.lower())
        if found is None:
            return None
        snapshot = self._snapshot(at, found, branch)
        if found.tracked and not snapshot.options.row_tracking:
            raise row_tracking_refused(self.location)
        return snapshot

    def metadata(self, name: str, at: At) -> Relation:
        """See Table."""
        seen = self.view(name, at)
        if seen is not None:
            return seen.relate(seen.scan(ScanRequest(tuple(seen.schema.names))), seen.schema.names)
        wanted = (_split(name)[1] or "").lower()
        if wanted in _LATER:
            raise UnsupportedFeatureError(f"t${wanted} is a change feed; lakesql does not read those yet", feature=f"${wanted}")
        raise UnknownTableError(
            f'Paimon tables have no metadata table "{name}"', hint=did_you_mean(wanted, self.metadata_names), candidates=self.metadata_names
        )

    @property
    def metadata_names(self) -> tuple[str, ...]:
        """See Table."""
        return tuple(_VIEWS)

    def _snapshot(self, at: At, view: View, branch: str | None) -> PaimonSnapshot:
        timeline = Timeline(self._storage, self.location)
        given = {**self._given, **({"branch": branch} if branch else {})}
        schemas = self._shared.schemas(self.location).now()
        options = Options(MappingProxyType(dict(schemas.latest().options))).given(given)
        point = point_of(timeline, at, options, self._time_zone)
        return self._state(point, options, given, view)

    def _state(self, point: Point, options: Options, given: Mapping[str, str], view: View) -> PaimonSnapshot:
        """The state at a point, which may be on a branch with schemas and options of its own."""
        schemas = self._shared.schemas(point.timeline.root).now()
        if point.branch is not None:
            options = Options(MappingProxyType(dict(schemas.latest().options))).given(given)
        return PaimonSnapshot(self._shared.place, point, schemas, options, view)


class _Shared:
    """What is kept between reads of one table, whatever options they have."""

    def __init__(self, storage: Storage, location: str) -> None:
        self.place = Place(storage, location, Manifests(storage, join(location, "manifest")))
        self._storage = storage
        self._schemas: dict[str, Schemas] = {}

    def schemas(self, root: str) -> Schemas:
        """The schemas of the table or of a branch."""
        return self._schemas.setdefault(root, Schemas(self._storage, root))


def _split(name: str) -> tuple[str | None, str | None]:
    """A name behind `t$` as a branch and what is asked of it."""
    found = _BRANCH.fullmatch(name)
    return (found[1], found[2]) if found else (None, name)
