"""One version of a Delta table: Snapshot of `table.py`. Source: Delta protocol, "Snapshots"."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from lakesql.errors import Error, ExpiredVersionError, MetadataError, MissingFileError, UnsupportedFeatureError
from lakesql.formats.delta.comparison import DeltaComparison, comparison
from lakesql.formats.delta.deletion_vectors import DvDescriptor, decode
from lakesql.formats.delta.features import Features, check_protocol
from lakesql.formats.delta.log import Delta, list_log
from lakesql.formats.delta.moved import Moved
from lakesql.formats.delta.relate import HIDDEN, ROW_COMMIT_VERSION, ROW_ID, Layout, relation_of
from lakesql.formats.delta.replay import State
from lakesql.formats.delta.scan import Source, scan
from lakesql.formats.delta.schema import ColumnInfo, TableSchema, parse_schema
from lakesql.formats.delta.selection import Selection
from lakesql.formats.delta.states import States
from lakesql.formats.delta.timeline import Timeline
from lakesql.formats.delta.variants import with_text
from lakesql.relation import Relation
from lakesql.table import FileSet, ScanRequest, Snapshot


@dataclass(frozen=True)
class Place:
    """What all snapshots of a table share."""

    states: States
    timeline: Timeline
    moved: Moved

    @property
    def location(self) -> str:
        """Where the table is."""
        return self.states.location


class DeltaSnapshot:
    """See Snapshot. Making one checks the protocol and reads the schema; files come when they are asked for."""

    def __init__(self, place: Place, state: State) -> None:
        self._place = place
        self.state = state
        where = f"{place.states.log}, version {state.version}"
        self.features: Features = check_protocol(state.protocol, state.metadata.configuration, version=state.version, location=place.location)
        self.table_schema: TableSchema = parse_schema(state.metadata.schema_string, source=where, mapping=self.features.column_mapping)
        self.partitions: tuple[ColumnInfo, ...] = tuple(self._partition(name, where) for name in state.metadata.partition_columns)
        self.schema: pa.Schema = _schema_of(self.table_schema)
        self.hidden: pa.Schema = HIDDEN

    @property
    def version(self) -> str:
        """See Snapshot."""
        return str(self.state.version)

    @cached_property
    def committed_at_us(self) -> int | None:
        """See Snapshot."""
        return self._place.timeline.committed_at_us(self.state.version, self.features)

    @property
    def notices(self) -> tuple[str, ...]:
        """See Snapshot: what the user should know of the protocol."""
        return self.features.warnings

    @property
    def states(self) -> States:
        """The table's log."""
        return self._place.states

    @property
    def timeline(self) -> Timeline:
        """The table's commit times."""
        return self._place.timeline

    @property
    def files(self) -> Selection:
        """All active files."""
        return Selection.of(self.state.files.get())

    @property
    def source(self) -> Source:
        """What scans need to know of the table."""
        return Source(self._place.location, self._place.states.log, self.table_schema, self.features, self.partitions, self._place.moved)

    def scan(self, request: ScanRequest) -> FileSet:
        """See Snapshot."""
        self._check_columns(request.columns)
        return scan(self.source, self.files, request, self.state.log_files.get())

    def relate(self, files: FileSet, columns: Sequence[str]) -> Relation:
        """See Snapshot."""
        self._check_columns(columns)
        layout = Layout(self.table_schema, self.features, frozenset(p.name for p in self.partitions), tuple(columns))
        return relation_of(layout, files.files, files.constants, self.decode)

    def comparison(self, before: Snapshot) -> DeltaComparison | None:
        """See Snapshot: of versions of one log."""
        return comparison(before, self) if isinstance(before, DeltaSnapshot) and before.states.log == self.states.log else None

    def with_schema(self, schema: TableSchema) -> DeltaSnapshot:
        """This version's rows in the columns of another's, which are one by their physical names."""
        if schema.logical.equals(self.table_schema.logical, check_metadata=True) and schema.physical.equals(self.table_schema.physical):
            return self
        names = {c.physical_name: c for c in schema.columns}
        other = copy(self)
        other.table_schema = schema
        other.partitions = tuple(names[p.physical_name] for p in self.partitions if p.physical_name in names)
        other.schema = _schema_of(schema)
        return other

    def explain_missing(self, error: MissingFileError) -> Error:
        """See Snapshot: why a data file or deletion vector that this version needs is not there."""
        location, version = self._place.location, self.state.version
        inside = error.path.startswith(f"{location}/")
        if not inside and not self._place.moved.is_used:
            return error
        latest = self._place.states.at(None).version
        removed = removed_in(self._place.states, self.named(error.path), version, latest)
        if removed is not None:
            return ExpiredVersionError(
                f"data files of version {version} are gone (vacuumed): {error.path} left the table in version {removed} and has been deleted since",
                hint=f"versions from {removed} on do not need this file; the latest is {latest}",
            )
        hint = "files were deleted outside Delta, or the table was copied in part; FSCK REPAIR TABLE, in the engine that writes it, makes the log agree"
        if not inside:
            hint = "the file lies outside the table's folder, as those of a shallow clone's source do: VACUUM of the source deletes files that the clone needs"
        return MissingFileError(f"a data file that the log names is missing: {error.path} (version {version} of {location})", path=error.path, hint=hint)

    def named(self, path: str) -> str:
        """The normal form of a file's path as `paths.py` has it."""
        return self._place.moved.named(path).removeprefix(f"{self._place.location}/")

    def _partition(self, name: str, where: str) -> ColumnInfo:
        info = self.table_schema.column(name)
        if info is None:
            raise MetadataError(f'{where}: partition column "{name}" is not in the schema; it has {", ".join(self.table_schema.logical.names[:20])}')
        return info

    def _check_columns(self, columns: Sequence[str]) -> None:
        for name in columns:
            if name in (ROW_ID, ROW_COMMIT_VERSION) and not self.features.row_tracking and name not in self.schema.names:
                raise UnsupportedFeatureError(
                    f"row tracking is not enabled in version {self.version} of {self._place.location}, so there is no column {name}",
                    feature="row ids without row tracking",
                    hint="tables have row ids from the version on where delta.enableRowTracking is true",
                )

    def decode(self, vector: DvDescriptor, physical_rows: int | None) -> np.ndarray:
        """The positions that a deletion vector of this table deletes."""
        return decode(vector, table_root=self._place.location, storage=self._place.states.storage, physical_rows=physical_rows, resolve=self._place.moved.place)


def _schema_of(schema: TableSchema) -> pa.Schema:
    """The columns as users see them."""
    return pa.schema([_described(f, c) for f, c in zip(with_text(schema.logical), schema.columns, strict=True)])


def _described(field: pa.Field, column: ColumnInfo) -> pa.Field:
    """The field with its comment, where it has one, as `comment` in the metadata."""
    comment = column.metadata.get("comment")
    return field.with_metadata({**(field.metadata or {}), b"comment": comment.encode()}) if isinstance(comment, str) and comment else field


def removed_in(states: States, path: str, version: int, latest: int) -> int | None:
    """The first version above `version` in which the file, given by its normal path, is no longer part of the table; None where it still is, as far as the
    commits that are left tell. A deletion vector's file counts as removed with the first newer version, since later ones need not use it.
    """
    if path.endswith(".bin"):
        return version + 1 if version < latest else None
    listing = list_log(states.storage, states.log, version + 1, latest)
    for number in sorted(listing.commits):
        change = states.change(Delta(number, number, listing.commits[number]))
        if any(p == path for p, _ in change.keys) and all(p != path for p, _ in change.add_keys):
            return number
    return None
