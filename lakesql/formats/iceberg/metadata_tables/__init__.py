"""Iceberg's own metadata tables: `"t$name"` -> rows, loaded when the statement runs. Source: Iceberg documentation, "Queries", Inspecting tables; Java's
MetadataTableType.

    log.py         history, snapshots, refs, metadata_log_entries: from the metadata file alone
    shape.py       schema, properties, specs: from the metadata file alone
    manifests.py   manifests, all_manifests: from manifest lists
    files.py       files, entries and their all_ forms: from manifests
    partitions.py  partitions: from manifests
    positions.py   position_deletes: from delete files

files, data_files, delete_files, entries, manifests, partitions and position_deletes are of the snapshot that AS OF names; the others are of the table as it
is now, whatever AS OF says. All of them use the table's current schema for bounds, and have no rows where there is no snapshot.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from lakesql.formats.iceberg.metadata_tables import files, log, manifests, partitions, positions, shape
from lakesql.relation import Batches
from lakesql.table import At

if TYPE_CHECKING:
    from lakesql.formats.iceberg.table import IcebergTable

METADATA_TABLES: dict[str, Callable[[IcebergTable, At], Batches]] = {
    "snapshots": log.snapshots,
    "history": log.history,
    "refs": log.refs,
    "metadata_log_entries": log.metadata_log_entries,
    "schema": shape.schema,
    "properties": shape.properties,
    "specs": shape.specs,
    "files": files.files,
    "data_files": files.data_files,
    "delete_files": files.delete_files,
    "entries": files.entries,
    "manifests": manifests.manifests,
    "partitions": partitions.partitions,
    "position_deletes": positions.position_deletes,
    "all_files": files.all_files,
    "all_data_files": files.all_data_files,
    "all_delete_files": files.all_delete_files,
    "all_entries": files.all_entries,
    "all_manifests": manifests.all_manifests,
}
"""What makes each table's rows."""
