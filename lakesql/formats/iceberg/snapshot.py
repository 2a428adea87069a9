"""One snapshot of an Iceberg table, under the schema it is read with: Snapshot of `table.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import pyarrow as pa

from lakesql.errors import Error, ExpiredVersionError, InternalError, MissingFileError
from lakesql.formats.iceberg.comparison import IcebergComparison, comparison
from lakesql.formats.iceberg.hidden import hidden_schema
from lakesql.formats.iceberg.manifest import Manifests
from lakesql.formats.iceberg.manifest_list import SCHEMA, read_manifests
from lakesql.formats.iceberg.manifest_list import Manifests as ManifestRows
from lakesql.formats.iceberg.metadata import TableMetadata
from lakesql.formats.iceberg.places import Places
from lakesql.formats.iceberg.relate import relation_of
from lakesql.formats.iceberg.scan import IcebergFiles, Source, scan
from lakesql.formats.iceberg.schema import Schema
from lakesql.formats.iceberg.travel import Choice
from lakesql.relation import Relation
from lakesql.storage import Storage
from lakesql.table import FileSet, ScanRequest, Snapshot

_MILLISECOND_US = 1000


class IcebergSnapshot:
    """See Snapshot. Making one opens no manifest and no manifest list; those come when files are asked for."""

    def __init__(
        self, storage: Storage, places: Places, metadata: TableMetadata, manifests: Manifests, choice: Choice, newest: Callable[[], TableMetadata]
    ) -> None:
        """newest: the table's metadata as it is by then, asked for when a file is missing."""
        self._storage = storage
        self._places = places
        self._manifests = manifests
        self._newest = newest
        self.metadata = metadata
        self.info = choice.snapshot
        self.table_schema = choice.schema
        self.notices = choice.notices
        self.schema: pa.Schema = choice.schema.arrow
        self.hidden: pa.Schema = hidden_schema(metadata)

    @property
    def version(self) -> str:
        """See Snapshot: the snapshot's id; empty for a table without one."""
        return "" if self.info is None else str(self.info.id)

    @property
    def committed_at_us(self) -> int | None:
        """See Snapshot."""
        return None if self.info is None else self.info.timestamp_ms * _MILLISECOND_US

    @cached_property
    def manifest_rows(self) -> ManifestRows:
        """The snapshot's manifests, as its list has them."""
        if self.info is None:
            return ManifestRows(SCHEMA.empty_table().append_column("path", pa.array([], pa.string())), "")
        return read_manifests(self._storage, self._places, self.info, self.metadata.path)

    @property
    def source(self) -> Source:
        """What scans need to know of the table."""
        return Source(self._storage, self._places, self.metadata, self.table_schema, self._manifests, self.manifest_rows)

    def scan(self, request: ScanRequest) -> IcebergFiles:
        """See Snapshot."""
        try:
            return scan(self.source, request)
        except MissingFileError as error:
            raise MissingFileError(f"{error.message} (snapshot {self.version} of {self._places.root})", path=error.path, hint=error.hint) from error

    def relate(self, files: FileSet, columns: Sequence[str]) -> Relation:
        """See Snapshot."""
        if not isinstance(files, IcebergFiles):
            raise InternalError("an Iceberg snapshot was given files of another one")
        return relation_of(self.source, files, columns)

    def comparison(self, before: Snapshot) -> IcebergComparison | None:
        """See Snapshot: of snapshots of one table, on any branch."""
        if not isinstance(before, IcebergSnapshot) or (before._places.root, before.metadata.uuid) != (self._places.root, self.metadata.uuid):
            return None
        return comparison(before, self)

    def with_schema(self, schema: Schema) -> IcebergSnapshot:
        """This snapshot's rows in the columns of another, which are one by their field ids."""
        if schema == self.table_schema:
            return self
        return IcebergSnapshot(self._storage, self._places, self.metadata, self._manifests, Choice(self.info, schema, self.notices), self._newest)

    def explain_missing(self, error: MissingFileError) -> Error:
        """See Snapshot: why a data or delete file that this snapshot needs is not there."""
        location = self._places.root
        newest = self._newest()
        if self.info is not None and newest.snapshot(self.info.id) is None:
            return ExpiredVersionError(
                f"files of snapshot {self.version} are gone: it has expired, and {error.path} has been deleted since",
                hint="the table's metadata does not list the snapshot any more; ask for a later one",
            )
        return MissingFileError(
            f"a file of the snapshot is missing: {error.path} (snapshot {self.version} of {location})",
            path=error.path,
            hint="files were deleted outside Iceberg, or the table was copied in part; snapshots that do not need the file can be read",
        )
