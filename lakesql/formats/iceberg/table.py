"""An Iceberg table at a place: its newest metadata, its snapshots by id, name and time, and its metadata tables.

Metadata files are read anew for every statement, since that is how new commits are seen; a file whose bytes are those of last time is not parsed again.
Source: Iceberg table spec, "Table Metadata and Snapshots".
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import orjson

from lakesql.changes import ChangesRequest, Commits, Edge, Identity
from lakesql.errors import ConfigError, NoSuchVersionError, SqlError, UnknownTableError, did_you_mean
from lakesql.formats.iceberg import metadata_file
from lakesql.formats.iceberg.change_feed import IcebergChanges
from lakesql.formats.iceberg.change_range import commits, resolve
from lakesql.formats.iceberg.manifest import manifests_of
from lakesql.formats.iceberg.metadata import TableMetadata, parse_metadata
from lakesql.formats.iceberg.metadata_tables import METADATA_TABLES
from lakesql.formats.iceberg.places import Places, normal_path
from lakesql.formats.iceberg.snapshot import IcebergSnapshot
from lakesql.formats.iceberg.travel import Choice, choose
from lakesql.relation import Batches
from lakesql.storage import Storage
from lakesql.table import At, AtTime, AtVersion, Latest, Table

_SNAPSHOTS_KEPT = 16


def _instant(text: str) -> AtVersion | AtTime:
    return AtTime(int(text) * 1000, f"{text} ms") if text.isdigit() and len(text) < 16 else AtVersion(f"at_timestamp_{text}")


_VIEWS: Mapping[str, Callable[[str], AtVersion | AtTime]] = {
    "branch_": lambda name: AtVersion(name, quoted=True),
    "tag_": lambda name: AtVersion(name, quoted=True),
    "snapshot_id_": AtVersion,
    "at_timestamp_": _instant,
}
"""Names of states, as Spark spells them behind a table's name."""
_OPTIONS = {"snapshot-id": "snapshot_id_", "as-of-timestamp": "at_timestamp_", "branch": "branch_", "tag": "tag_"}
"""Scan options that name a state, by what they are called behind a table's name."""


class IcebergTable:
    """See Table. Thread-safe."""

    format = "iceberg"

    def __init__(self, storage: Storage, location: str, options: Mapping[str, str]) -> None:
        """location: the table's folder, or a metadata file, which then is the state that is read.

        options: `place`, "moved" where files are looked for beside the metadata that names them elsewhere (the default), "as-written" where they are where the
        metadata says, as for tables whose catalog says where they are.
        """
        place = options.get("place", "moved")
        if place not in ("moved", "as-written"):
            raise ConfigError(f'place is moved or as-written, not "{place}"')
        self._is_in_place = place == "as-written"
        self.location = location
        self._storage = storage
        self._root = metadata_file.table_root(location)
        self._lock = threading.Lock()
        self._parsed: tuple[str, bytes, TableMetadata] | None = None
        self._places: tuple[str, Places] | None = None
        self._snapshots: OrderedDict[tuple[int, int | None, int], IcebergSnapshot] = OrderedDict()

    def snapshot(self, at: At) -> IcebergSnapshot:
        """See Table."""
        return self.at(self.current_metadata(), at)

    def changes(self, request: ChangesRequest) -> IcebergChanges:
        """See Table."""
        metadata = self.current_metadata()
        chosen, end = resolve(metadata, request)
        return IcebergChanges(metadata, chosen, end, request, lambda choice: self.of(metadata, choice))

    def commits(self, request: ChangesRequest) -> Commits:
        """See Table."""
        chosen = commits(self.current_metadata(), request)
        # Writers that expire a snapshot may let its children forget their parent; sequence numbers begin with 1, and are 0 in format version 1.
        return Commits(tuple(str(s.id) for s in chosen), bool(chosen) and chosen[0].parent_id is None and chosen[0].sequence_number <= 1)

    def identity(self) -> Identity:
        """See Table: the table's UUID, which tables of format version 1 may lack."""
        return Identity(self._root, self.current_metadata().uuid or "")

    def metadata(self, name: str, at: At) -> Batches:
        """See Table."""
        make = METADATA_TABLES.get(name.lower())
        if make is None:
            raise UnknownTableError(f'Iceberg tables have no metadata table "{name}"', hint=did_you_mean(name, METADATA_TABLES), candidates=METADATA_TABLES)
        return make(self, at)

    def view(self, name: str) -> Table | None:
        """See Table: a branch (`branch_x`), a tag (`tag_x`), a snapshot (`snapshot_id_n`) or an instant in ms (`at_timestamp_n`), as Spark names them."""
        kind, number = next(((k, name[len(k) :]) for k in _VIEWS if name.startswith(k)), (None, ""))
        if kind is None or not number:
            return None
        return _Pinned(self, _VIEWS[kind](number), name)

    def with_options(self, options: Mapping[str, str], time_zone: str) -> Table:
        """See Table: one of `snapshot-id`, `as-of-timestamp` (ms), `branch`, `tag`, as Spark and Flink take them. Raises SqlError for others, or several."""
        unknown = [name for name in options if name not in _OPTIONS]
        if unknown:
            raise SqlError(f'Iceberg tables have no scan option "{unknown[0]}"', hint=did_you_mean(unknown[0], _OPTIONS))
        if len(options) != 1:
            raise SqlError(f"{', '.join(options)} name several states of one table", hint="give one of them")
        ((name, value),) = options.items()
        return _Pinned(self, _VIEWS[_OPTIONS[name]](value), f"{_OPTIONS[name]}{value}")

    @property
    def metadata_names(self) -> tuple[str, ...]:
        """See Table."""
        return tuple(METADATA_TABLES)

    @property
    def format_version(self) -> int:
        """The version of the specification that the table follows."""
        return self.current_metadata().format_version

    @property
    def sort_order(self) -> str | None:
        """How writers are asked to sort, as SQL would say it; None where they are not. Source: Iceberg table spec, Sorting."""
        metadata = self.current_metadata()
        raw = orjson.loads(metadata_file.read(self._storage, metadata.path))
        order: Mapping[str, Any] = next((o for o in raw.get("sort-orders") or () if o.get("order-id") == raw.get("default-sort-order-id")), {})
        names = {id_: ".".join(f.name for f in chain) for id_, chain in metadata.schema.chains.items()}
        parts = []
        for field in order.get("fields") or ():
            name, transform = names.get(field.get("source-id"), f"field {field.get('source-id')}"), field.get("transform", "identity")
            nulls = str(field.get("null-order", "")).replace("-", " ")
            parts.append(f"{name if transform == 'identity' else f'{transform}({name})'} {field.get('direction', 'asc')} {nulls}".rstrip())
        return ", ".join(parts) or None

    def schema_states(self) -> list[tuple[str, int | None, dict[str, str]]]:
        """See Table: the schemas in the metadata, with the times of their first snapshots."""
        metadata = self.current_metadata()
        began: dict[int, int] = {}
        for snapshot in metadata.raw_snapshots.values():
            id_, time_ms = snapshot.get("schema-id"), snapshot.get("timestamp-ms")
            if isinstance(id_, int) and isinstance(time_ms, int):
                began[id_] = min(time_ms * 1000, began.get(id_, time_ms * 1000))
        return [(f"schema {s.id}", began.get(s.id), {str(f.id): f.name for f in s.fields}) for s in reversed(metadata.newest_schemas)]

    def current_metadata(self) -> TableMetadata:
        """The newest metadata. Raises NotATableError, MetadataError, MissingFileError, UnsupportedFeatureError."""
        path = metadata_file.newest(self._storage, self.location)
        content = metadata_file.read(self._storage, path)
        with self._lock:
            known = self._parsed
        if known is not None and known[0] == path and known[1] == content:
            return known[2]
        parsed = parse_metadata(content, path)
        with self._lock:
            self._parsed = (path, content, parsed)
            self._snapshots.clear()
        return parsed

    def at(self, metadata: TableMetadata, at: At) -> IcebergSnapshot:
        """The snapshot `at` means in this state of the metadata."""
        choice = choose(metadata, at)
        if choice.notices:
            return self.of(metadata, choice)
        key = (id(metadata), None if choice.snapshot is None else choice.snapshot.id, choice.schema.id)
        with self._lock:
            known = self._snapshots.get(key)
        if known is None:
            known = self.of(metadata, choice)
            with self._lock:
                self._snapshots[key] = known
                while len(self._snapshots) > _SNAPSHOTS_KEPT:
                    self._snapshots.popitem(last=False)
        return known

    def of(self, metadata: TableMetadata, choice: Choice) -> IcebergSnapshot:
        """A snapshot, chosen already."""
        return IcebergSnapshot(self._storage, self.places(metadata), metadata, manifests_of(self._storage), choice, self.current_metadata)

    def places(self, metadata: TableMetadata) -> Places:
        """Where the table's files are."""
        with self._lock:
            if self._places is None or self._places[0] != metadata.location:
                root = normal_path(metadata.location) if self._is_in_place else self._root
                self._places = (metadata.location, Places(self._storage, root, metadata.location))
            return self._places[1]

    @property
    def storage(self) -> Storage:
        """What the table is read through."""
        return self._storage


class _Pinned:
    """A table at one state: what `t.branch_x` or `"t$branch_x"` names. A branch moves with its commits."""

    format = "iceberg"
    names_state = True

    def __init__(self, table: IcebergTable, at: AtVersion | AtTime, name: str) -> None:
        self._table = table
        self._at = at
        self._name = name
        self.location = f"{table.location}${name}"  # another than the table's: a statement may read both

    def snapshot(self, at: At) -> IcebergSnapshot:
        """See Table. Raises NoSuchVersionError where another state is asked for on top."""
        if not isinstance(at, Latest):
            raise NoSuchVersionError(f"{self._at} of the table is named already; it has no {at}", hint="name the state either in the table's name or by AS OF")
        return self._table.snapshot(self._at)

    def changes(self, request: ChangesRequest) -> IcebergChanges:
        """See Table: of the history that leads to this state, where no other end is named."""
        return self._table.changes(self._ended(request))

    def commits(self, request: ChangesRequest) -> Commits:
        """See Table."""
        return self._table.commits(self._ended(request))

    def identity(self) -> Identity:
        """See Table: a branch has positions of its own."""
        found = self._table.identity()
        return Identity(f"{found.place}${self._name}", found.made)

    def metadata(self, name: str, at: At) -> Batches:
        """See Table."""
        return self._table.metadata(name, self._at if isinstance(at, Latest) else at)

    def view(self, name: str) -> Table | None:
        """See Table: a state has no states."""
        return None

    @property
    def metadata_names(self) -> tuple[str, ...]:
        """See Table."""
        return self._table.metadata_names

    def _ended(self, request: ChangesRequest) -> ChangesRequest:
        return request if request.end is not None else replace(request, end=Edge(self._at))
