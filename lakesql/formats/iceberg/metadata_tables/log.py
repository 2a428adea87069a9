"""What happened to the table, from its metadata file alone: no manifest is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lakesql.formats.iceberg.metadata import TableMetadata
from lakesql.formats.iceberg.metadata_tables.rows import INSTANT, TEXTS, instant, lazily, long
from lakesql.relation import Batches
from lakesql.table import At

if TYPE_CHECKING:
    from lakesql.formats.iceberg.table import IcebergTable


def snapshots(table: IcebergTable, at: At) -> Batches:
    """Every snapshot that is kept, staged ones too, in the order they were made."""
    fields = [
        ("committed_at", INSTANT),
        ("snapshot_id", pa.int64()),
        ("parent_id", pa.int64()),
        ("operation", pa.string()),
        ("manifest_list", pa.string()),
        ("summary", TEXTS),
    ]

    def make() -> list[tuple[Any, ...]]:
        return [
            (
                instant(s.timestamp_ms),
                long(s.id),
                long(s.parent_id),
                s.operation,
                s.manifest_list,
                None if s.summary is None else [(k, v) for k, v in s.summary.items() if k != "operation"],
            )
            for s in table.current_metadata().snapshots
        ]

    return lazily(fields, make)


def history(table: IcebergTable, at: At) -> Batches:
    """Which snapshot became current when, rolled back ones too. is_current_ancestor: it is part of the history of today's."""
    fields = [("made_current_at", INSTANT), ("snapshot_id", pa.int64()), ("parent_id", pa.int64()), ("is_current_ancestor", pa.bool_())]

    def make() -> list[tuple[Any, ...]]:
        metadata = table.current_metadata()
        ancestors = set(metadata.ancestors(metadata.current_snapshot_id))
        rows = []
        for entry in metadata.snapshot_log:
            found = metadata.snapshot(entry.snapshot_id)
            rows.append((instant(entry.timestamp_ms), long(entry.snapshot_id), long(found.parent_id) if found else None, entry.snapshot_id in ancestors))
        return rows

    return lazily(fields, make)


def refs(table: IcebergTable, at: At) -> Batches:
    """Branches and tags."""
    fields = [
        ("name", pa.string()),
        ("type", pa.string()),
        ("snapshot_id", pa.int64()),
        ("max_reference_age_in_ms", pa.int64()),
        ("min_snapshots_to_keep", pa.int32()),
        ("max_snapshot_age_in_ms", pa.int64()),
    ]

    def make() -> list[tuple[Any, ...]]:
        found = table.current_metadata().refs.values()
        return [(r.name, r.kind.upper(), long(r.snapshot_id), long(r.max_ref_age_ms), r.min_snapshots_to_keep, long(r.max_snapshot_age_ms)) for r in found]

    return lazily(fields, make)


def metadata_log_entries(table: IcebergTable, at: At) -> Batches:
    """The table's metadata files that are still remembered, the current one last, each with the snapshot that was current then."""
    fields = [
        ("timestamp", INSTANT),
        ("file", pa.string()),
        ("latest_snapshot_id", pa.int64()),
        ("latest_schema_id", pa.int32()),
        ("latest_sequence_number", pa.int64()),
    ]

    def make() -> list[tuple[Any, ...]]:
        metadata = table.current_metadata()
        entries = [*metadata.metadata_log, (metadata.last_updated_ms, metadata.path)]
        return [(instant(ms), file, *_current_at(metadata, ms)) for ms, file in entries]

    return lazily(fields, make)


def _current_at(metadata: TableMetadata, ms: int) -> tuple[int | None, int | None, int | None]:
    """Id, schema and sequence number of the snapshot that the log says was current."""
    logged = [e for e in metadata.snapshot_log if e.timestamp_ms <= ms]
    if not logged:
        return None, None, None
    id_ = max(logged, key=lambda e: e.timestamp_ms).snapshot_id
    found = metadata.snapshot(id_)
    return (long(id_), None, None) if found is None else (long(id_), found.schema_id, found.sequence_number)
