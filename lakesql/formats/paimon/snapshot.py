"""One state of a Paimon table: Snapshot of `table.py`."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace

import pyarrow as pa

from lakesql.errors import Error, ExpiredVersionError, MissingFileError, UnsupportedFeatureError
from lakesql.formats.paimon import data_evolution
from lakesql.formats.paimon.comparison import PaimonComparison, comparison
from lakesql.formats.paimon.entries import Manifests
from lakesql.formats.paimon.merging import check_functions
from lakesql.formats.paimon.options import Options
from lakesql.formats.paimon.paths import Paths
from lakesql.formats.paimon.points import Point
from lakesql.formats.paimon.relate import ROW_TRACKING, relation_of
from lakesql.formats.paimon.scan import Source, scan
from lakesql.formats.paimon.schemas import SchemaSet, TableSchema
from lakesql.formats.paimon.statistics import Described
from lakesql.relation import Relation
from lakesql.storage import Storage
from lakesql.table import FileSet, ScanRequest, Snapshot


@dataclass(frozen=True)
class Place:
    """What all states of a table share. root: its folder."""

    storage: Storage
    root: str
    manifests: Manifests


@dataclass(frozen=True)
class View:
    """Another way to see a state. top_only: fully compacted files alone (`t$ro`); tracked: with row ids and numbers among the columns (`t$row_tracking`);
    above_level_0: all that has been compacted.
    """

    top_only: bool = False
    tracked: bool = False
    above_level_0: bool = False


class PaimonSnapshot:
    """See Snapshot. Making one reads the schema and refuses what is not supported; files come when they are asked for."""

    def __init__(self, place: Place, point: Point, schemas: SchemaSet, options: Options, view: View = View(), schema: TableSchema | None = None) -> None:
        """schema: which the rows are read as, instead of the state's own."""
        self.place, self.point, self.schemas, self.options = place, point, schemas, options
        latest = schemas.latest()
        travelled = point.snapshot is not None and point.travelled
        own = schemas.get(point.snapshot.schema_id) if point.snapshot is not None and travelled else latest
        self.table_schema = own if schema is None else schema
        options.check_readable(place.root)
        check_functions(self.table_schema, options)
        described = Described(self.table_schema, schemas.get)
        paths = Paths(place.storage, place.root, self.table_schema, options)
        self.source = Source(described, options, paths, place.manifests, point.snapshot, view.top_only, view.above_level_0)
        tracked = [f for f in ROW_TRACKING if options.row_tracking and f.name not in self.table_schema.by_name]
        self.schema: pa.Schema = pa.schema([*self.table_schema.arrow, *(tracked if view.tracked else ())])
        self.hidden: pa.Schema = pa.schema(() if view.tracked else tracked)

    @property
    def version(self) -> str:
        """See Snapshot: the snapshot's number, 0 before the first; that of a branch is `branch@number`."""
        number = str(self.point.snapshot.id) if self.point.snapshot is not None else "0"
        return number if self.point.branch is None else f"{self.point.branch}@{number}"

    @property
    def committed_at_us(self) -> int | None:
        """See Snapshot."""
        return None if self.point.snapshot is None else self.point.snapshot.time_ms * 1000

    def scan(self, request: ScanRequest) -> FileSet:
        """See Snapshot."""
        try:
            return data_evolution.scan(self.source, request) if self.evolves else scan(self.source, request)
        except MissingFileError as error:
            raise self.explain_missing(error) from error

    def relate(self, files: FileSet, columns: Sequence[str]) -> Relation:
        """See Snapshot."""
        relate = data_evolution.relation_of if self.evolves else relation_of
        return relate(self.source, files.files, files.constants, columns)

    @property
    def evolves(self) -> bool:
        """Whether files may hold some columns of other files' rows."""
        return self.options.data_evolution and not self.table_schema.primary_keys

    def comparison(self, before: Snapshot) -> PaimonComparison | None:
        """See Snapshot: of states that are read in one way. Branches number schemas and columns for themselves: they are one while columns are the same."""
        if not isinstance(before, PaimonSnapshot) or before.place.root != self.place.root or before.hidden.names != self.hidden.names:
            return None
        if before.options.of_rows != self.options.of_rows or before.source.top_only != self.source.top_only:
            return None
        if before.point.timeline.root != self.point.timeline.root and before.table_schema.fields != self.table_schema.fields:
            return None
        return comparison(before, self)

    def with_schema(self, schema: TableSchema) -> PaimonSnapshot:
        """This state's rows in the columns of another, which are one by their field ids."""
        if schema.fields == self.table_schema.fields:
            return self
        other = copy(self)
        other.table_schema = schema
        other.source = replace(self.source, described=Described(schema, self.schemas.get))
        tracked = [f for f in self.schema if f.name not in self.table_schema.by_name]
        other.schema = pa.schema([*schema.arrow, *tracked])
        return other

    def explain_missing(self, error: MissingFileError) -> Error:
        """See Snapshot: whether the snapshot expired, or its table lost a file."""
        snapshot, root = self.point.snapshot, self.place.root
        if snapshot is None:
            return error
        if self.place.storage.size(snapshot.file.path) is None:
            return ExpiredVersionError(
                f"snapshot {snapshot.id} of {root} expired while it was read: {error.path} is gone",
                hint="read a newer version, or a tag, which keeps its files",
            )
        kind = "metadata" if error.path.startswith(self.source.paths.manifests) else "data"
        return MissingFileError(
            f"a {kind} file of snapshot {snapshot.id} of {root} is missing: {error.path}",
            path=error.path,
            hint="files were deleted outside Paimon, or the table was copied in part",
        )


def row_tracking_refused(root: str) -> UnsupportedFeatureError:
    """The error for row ids of a table that has none."""
    return UnsupportedFeatureError(
        f"{root} has no row ids: row tracking is not enabled", feature="row ids without row tracking", hint="row-tracking.enabled = true gives them"
    )
