"""The metadata tables: `"t$name"` -> rows about the table at one snapshot, loaded when the query runs.

Here are the list of names and the tables made of JSON files; `metadata_files.py` has those made of manifests. Names and columns are Paimon's, whose
instants without a zone are given in UTC; history, schema and properties are those that every format has. Source: Paimon, package
org.apache.paimon.table.system.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import orjson
import pyarrow as pa

from lakesql.formats.paimon.json_files import JsonFile
from lakesql.formats.paimon.metadata_files import buckets, file_indexes, file_key_ranges, files, manifests, partitions, table_indexes
from lakesql.formats.paimon.options import MergeEngine
from lakesql.formats.paimon.schemas import TableSchema
from lakesql.formats.paimon.snapshot import PaimonSnapshot
from lakesql.formats.paimon.snapshots import SnapshotFile, Timeline
from lakesql.location import join
from lakesql.relation import Batches

INSTANT = pa.timestamp("ms", tz="UTC")


def snapshots(snapshot: PaimonSnapshot) -> Batches:
    """One row per snapshot there is, oldest first."""
    fields = _fields(
        *(("snapshot_id", pa.int64()), ("schema_id", pa.int64()), ("commit_user", pa.string()), ("commit_identifier", pa.int64())),
        *(("commit_kind", pa.string()), ("commit_time", INSTANT), ("base_manifest_list", pa.string()), ("delta_manifest_list", pa.string())),
        *(("changelog_manifest_list", pa.string()), ("total_record_count", pa.int64()), ("delta_record_count", pa.int64())),
        *(
            ("changelog_record_count", pa.int64()),
            ("watermark", pa.int64()),
            ("next_row_id", pa.int64()),
            ("operation", pa.string()),
            ("writer_version", pa.string()),
        ),
    )

    def row(s: SnapshotFile) -> dict[str, Any]:
        return {
            "snapshot_id": s.id,
            "schema_id": s.schema_id,
            "commit_user": s.commit_user,
            "commit_identifier": s.commit_identifier,
            "commit_kind": s.commit_kind,
            "commit_time": s.time_ms,
            "base_manifest_list": s.base_manifest_list,
            "delta_manifest_list": s.delta_manifest_list,
            "changelog_manifest_list": s.changelog_manifest_list,
            "total_record_count": s.total_record_count,
            "delta_record_count": s.delta_record_count,
            "changelog_record_count": s.changelog_record_count,
            "watermark": s.watermark,
            "next_row_id": s.next_row_id,
            "operation": s.file.optional_text("operation"),
            "writer_version": s.file.optional_text("writerVersion"),
        }

    return _rows(fields, lambda: map(row, snapshot.point.timeline.all()))


def history(snapshot: PaimonSnapshot) -> Batches:
    """One row per snapshot, newest first: what every format tells of its versions."""
    fields = _fields(
        ("version", pa.int64()),
        ("timestamp", INSTANT),
        ("operation", pa.string()),
        ("user", pa.string()),
        ("schema_id", pa.int64()),
        ("row_count_change", pa.int64()),
    )

    def row(s: SnapshotFile) -> dict[str, Any]:
        return {
            "version": s.id,
            "timestamp": s.time_ms,
            "operation": s.file.optional_text("operation") or s.commit_kind,
            "user": s.commit_user,
            "schema_id": s.schema_id,
            "row_count_change": s.delta_record_count,
        }

    return _rows(fields, lambda: map(row, reversed(list(snapshot.point.timeline.all()))))


def schemas(snapshot: PaimonSnapshot) -> Batches:
    """One row per schema, oldest first; fields, keys and options as JSON text."""
    fields = _fields(
        *(("schema_id", pa.int64()), ("fields", pa.string()), ("partition_keys", pa.string()), ("primary_keys", pa.string()), ("options", pa.string())),
        *(("comment", pa.string()), ("update_time", INSTANT)),
    )

    def row(s: TableSchema) -> dict[str, Any]:
        raw = s.raw or {}
        return {
            "schema_id": s.id,
            "fields": _json(raw.get("fields")),
            "partition_keys": _json(s.partition_keys),
            "primary_keys": _json(s.primary_keys),
            "options": _json(raw.get("options") or {}),
            "comment": s.comment,
            "update_time": s.time_ms,
        }

    return _rows(fields, lambda: map(row, snapshot.schemas.all()))


def schema(snapshot: PaimonSnapshot) -> Batches:
    """One row per column, in order. partition_position, key_position: from 0."""
    fields = _fields(
        *(("position", pa.int32()), ("name", pa.string()), ("type", pa.string()), ("nullable", pa.bool_()), ("field_id", pa.int64()), ("comment", pa.string())),
        *(("partition_position", pa.int32()), ("key_position", pa.int32())),
    )
    table = snapshot.table_schema

    def rows() -> Iterator[dict[str, Any]]:
        for position, column in enumerate(table.fields):
            yield {
                "position": position,
                "name": column.name,
                "type": str(column.type),
                "nullable": column.type.nullable,
                "field_id": column.id,
                "comment": column.description,
                "partition_position": table.partition_keys.index(column.name) if column.name in table.partition_keys else None,
                "key_position": table.primary_keys.index(column.name) if column.name in table.primary_keys else None,
            }

    return _rows(fields, rows)


def options(snapshot: PaimonSnapshot) -> Batches:
    """The table's options, by name."""
    found = sorted((snapshot.schemas.latest().raw or {}).get("options", {}).items())  # type: ignore[attr-defined]
    return _rows(_fields(("key", pa.string()), ("value", pa.string())), lambda: ({"key": k, "value": str(v)} for k, v in found))


def properties(snapshot: PaimonSnapshot) -> Batches:
    """The table's options under the names that every format has."""
    found = sorted(snapshot.options.values.items())
    return _rows(_fields(("name", pa.string()), ("value", pa.string())), lambda: ({"name": k, "value": v} for k, v in found))


def tags(snapshot: PaimonSnapshot) -> Batches:
    """One row per tag, by name."""
    fields = _fields(
        *(("tag_name", pa.string()), ("snapshot_id", pa.int64()), ("schema_id", pa.int64()), ("commit_time", INSTANT), ("record_count", pa.int64())),
        *(("create_time", pa.timestamp("ms")), ("time_retained", pa.string())),
    )

    def rows() -> Iterator[dict[str, Any]]:
        for name in snapshot.point.timeline.tag_names():
            tag = snapshot.point.timeline.tag(name)
            if tag is None:
                continue
            retained = tag.file.content.get("tagTimeRetained")
            yield {
                "tag_name": name,
                "snapshot_id": tag.id,
                "schema_id": tag.schema_id,
                "commit_time": tag.time_ms,
                "record_count": tag.total_record_count,
                "create_time": _local_time(tag.file.content.get("tagCreateTime")),
                "time_retained": None if retained is None else f"PT{retained}S",
            }

    return _rows(fields, rows)


def branches(snapshot: PaimonSnapshot) -> Batches:
    """One row per branch, by name. create_time: when its first schema was written."""
    root = Timeline(snapshot.place.storage, snapshot.place.root)

    def rows() -> Iterator[dict[str, Any]]:
        for name in root.branch_names():
            found = sorted(snapshot.place.storage.list(join(root.root, "branch", f"branch-{name}", "schema")), key=lambda e: e.modified_us)
            yield {"branch_name": name, "create_time": found[0].modified_us // 1000 if found else None}

    return _rows(_fields(("branch_name", pa.string()), ("create_time", INSTANT)), rows)


def consumers(snapshot: PaimonSnapshot) -> Batches:
    """One row per consumer: the first snapshot that it has not read yet."""
    folder = join(snapshot.point.timeline.root, "consumer")

    def rows() -> Iterator[dict[str, Any]]:
        for entry in snapshot.place.storage.list(folder, start_after="consumer-"):
            if not entry.is_folder and entry.name.startswith("consumer-"):
                read = JsonFile.read(snapshot.place.storage, entry.path)
                yield {"consumer_id": entry.name.removeprefix("consumer-"), "next_snapshot_id": read.number("nextSnapshot")}

    return _rows(_fields(("consumer_id", pa.string()), ("next_snapshot_id", pa.int64())), rows)


def statistics(snapshot: PaimonSnapshot) -> Batches:
    """What ANALYZE left for the snapshot: one row, or none."""
    fields = _fields(
        ("snapshot_id", pa.int64()), ("schema_id", pa.int64()), ("mergedRecordCount", pa.int64()), ("mergedRecordSize", pa.int64()), ("colstat", pa.string())
    )
    name = snapshot.point.snapshot.statistics if snapshot.point.snapshot is not None else None

    def rows() -> Iterator[dict[str, Any]]:
        if name is not None:
            found = JsonFile.read(snapshot.place.storage, join(snapshot.place.root, "statistics", name))
            yield {
                "snapshot_id": found.number("snapshotId"),
                "schema_id": found.number("schemaId"),
                "mergedRecordCount": found.optional_number("mergedRecordCount"),
                "mergedRecordSize": found.optional_number("mergedRecordSize"),
                "colstat": _json(found.content.get("colStats") or {}),
            }

    return _rows(fields, rows)


def aggregation_fields(snapshot: PaimonSnapshot) -> Batches:
    """One row per column: its aggregate function and that function's options, in brackets as Paimon lists them."""
    fields = _fields(
        ("field_name", pa.string()), ("field_type", pa.string()), ("function", pa.string()), ("function_options", pa.string()), ("comment", pa.string())
    )
    given = snapshot.options

    def rows() -> Iterator[dict[str, Any]]:
        if not snapshot.table_schema.primary_keys or given.merge_engine not in (MergeEngine.AGGREGATION, MergeEngine.PARTIAL_UPDATE):
            return
        for column in snapshot.table_schema.fields:
            prefix = f"fields.{column.name}."
            own = given.text(f"{prefix}aggregate-function")
            others = [f"{k}={v}" for k, v in given.values.items() if k.startswith(prefix) and k != f"{prefix}aggregate-function"]
            yield {
                "field_name": column.name,
                "field_type": str(column.type),
                "function": f"[{own}]" if own is not None else "[]",
                "function_options": f"[{', '.join(others)}]",
                "comment": column.description,
            }

    return _rows(fields, rows)


METADATA: dict[str, Callable[[PaimonSnapshot], Batches]] = {
    "aggregation_fields": aggregation_fields,
    "branches": branches,
    "buckets": buckets,
    "consumers": consumers,
    "file_indexes": file_indexes,
    "file_key_ranges": file_key_ranges,
    "files": files,
    "history": history,
    "manifests": manifests,
    "options": options,
    "partitions": partitions,
    "properties": properties,
    "schema": schema,
    "schemas": schemas,
    "snapshots": snapshots,
    "statistics": statistics,
    "table_indexes": table_indexes,
    "tags": tags,
}
"""Every metadata table, by name."""


def _fields(*fields: tuple[str, pa.DataType]) -> pa.Schema:
    return pa.schema(list(fields))


def _rows(fields: pa.Schema, rows: Callable[[], Any]) -> Batches:
    return Batches(fields, lambda: pa.Table.from_pylist(list(rows()), schema=fields))


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _local_time(value: Any) -> datetime | None:
    """A Java LocalDateTime as Jackson writes it: a list of numbers from the year on, or text."""
    try:
        if isinstance(value, list) and 3 <= len(value) <= 7:
            parts = [int(v) for v in value]
            return datetime(*parts[:6], microsecond=parts[6] // 1000 if len(parts) == 7 else 0)  # type: ignore[misc, arg-type]
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except (ValueError, TypeError):
        return None
