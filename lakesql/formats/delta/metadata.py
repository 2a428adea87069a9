"""The metadata tables: `"t$name"` -> rows about the table at one version, loaded when the query runs.

Here are the list of names and the tables that need no file list; `metadata_log.py` has those about commits and log files, `metadata_files.py` those about
data files.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pyarrow as pa

from lakesql.formats.delta.json_lines import decode
from lakesql.formats.delta.metadata_files import deletion_vectors, detail_of_files, files, partitions
from lakesql.formats.delta.metadata_log import cdc_files, checkpoints, checksum, history, log_files, schema_history, snapshots, tombstones
from lakesql.formats.delta.snapshot import DeltaSnapshot
from lakesql.relation import Batches

TEXTS = pa.list_(pa.string())
PROPERTIES = pa.map_(pa.string(), pa.string())
INSTANT = pa.timestamp("us", tz="UTC")


def schema(snapshot: DeltaSnapshot) -> Batches:
    """One row per column, in order. type: as Spark writes it; field_id: of column mapping; partition_position: from 0; metadata: the field's, JSON text."""
    fields = pa.schema(
        [
            ("position", pa.int32()),
            ("name", pa.string()),
            ("type", pa.string()),
            ("nullable", pa.bool_()),
            ("field_id", pa.int64()),
            ("physical_name", pa.string()),
            ("comment", pa.string()),
            ("partition_position", pa.int32()),
            ("metadata", pa.string()),
        ]
    )

    def rows() -> list[dict[str, Any]]:
        raw = decode(snapshot.state.metadata.schema_string)["fields"]
        partition_names = [p.name for p in snapshot.partitions]
        return [
            {
                "position": position,
                "name": column.name,
                "type": type_text(field["type"]),
                "nullable": field.get("nullable") is not False,
                "field_id": _integer(column.metadata.get("delta.columnMapping.id")),
                "physical_name": column.physical_name,
                "comment": _text(column.metadata.get("comment")),
                "partition_position": partition_names.index(column.name) if column.name in partition_names else None,
                "metadata": orjson.dumps(dict(column.metadata)).decode(),
            }
            for position, (column, field) in enumerate(zip(snapshot.table_schema.columns, raw, strict=True))
        ]

    return _rows(fields, rows)


def properties(snapshot: DeltaSnapshot) -> Batches:
    """The table's properties (metaData.configuration), by name."""
    configuration = sorted(snapshot.state.metadata.configuration.items())
    return _rows(pa.schema([("name", pa.string()), ("value", pa.string())]), lambda: [{"name": n, "value": v} for n, v in configuration])


def protocol(snapshot: DeltaSnapshot) -> Batches:
    """One row: the versions and features that readers and writers must know."""
    fields = pa.schema([("min_reader_version", pa.int32()), ("min_writer_version", pa.int32()), ("reader_features", TEXTS), ("writer_features", TEXTS)])
    raw = snapshot.state.protocol
    keys = ("minReaderVersion", "minWriterVersion", "readerFeatures", "writerFeatures")
    return _rows(fields, lambda: [dict(zip(fields.names, (raw.get(k) for k in keys), strict=True))])


def features(snapshot: DeltaSnapshot) -> Batches:
    """One row per table feature, and whom it binds."""
    readers, writers = (snapshot.state.protocol.get(k) or () for k in ("readerFeatures", "writerFeatures"))
    names = sorted({*readers, *writers})
    return _rows(
        pa.schema([("feature", pa.string()), ("reader", pa.bool_()), ("writer", pa.bool_())]),
        lambda: [{"feature": n, "reader": n in readers, "writer": n in writers} for n in names],
    )


def detail(snapshot: DeltaSnapshot) -> Batches:
    """One row: the table as DESCRIBE DETAIL has it."""
    fields = pa.schema(
        [
            ("format", pa.string()),
            ("id", pa.string()),
            ("name", pa.string()),
            ("description", pa.string()),
            ("location", pa.string()),
            ("created_at", INSTANT),
            ("last_modified", INSTANT),
            ("version", pa.int64()),
            ("partition_columns", TEXTS),
            ("clustering_columns", TEXTS),
            ("files", pa.int64()),
            ("size_bytes", pa.int64()),
            ("live_rows", pa.int64()),
            ("properties", PROPERTIES),
            ("min_reader_version", pa.int32()),
            ("min_writer_version", pa.int32()),
            ("table_features", TEXTS),
        ]
    )

    def rows() -> list[dict[str, Any]]:
        state, raw = snapshot.state, snapshot.state.protocol
        created_ms = state.metadata.created_ms
        return [
            {
                "format": "delta",
                "id": state.metadata.id,
                "name": state.metadata.name,
                "description": state.metadata.description,
                "location": snapshot.source.location,
                "created_at": None if created_ms is None else created_ms * 1000,
                "last_modified": snapshot.committed_at_us,
                "version": state.version,
                "partition_columns": [p.name for p in snapshot.partitions],
                "clustering_columns": _clustering_columns(snapshot),
                **detail_of_files(snapshot),
                "properties": sorted(state.metadata.configuration.items()),
                "min_reader_version": raw.get("minReaderVersion"),
                "min_writer_version": raw.get("minWriterVersion"),
                "table_features": sorted({*(raw.get("readerFeatures") or ()), *(raw.get("writerFeatures") or ())}),
            }
        ]

    return _rows(fields, rows)


def transactions(snapshot: DeltaSnapshot) -> Batches:
    """The last version that each application says it has written (txn)."""
    fields = pa.schema([("app_id", pa.string()), ("version", pa.int64()), ("last_updated", INSTANT)])

    def rows() -> list[dict[str, Any]]:
        found = snapshot.state.others.get().txns
        return [
            {"app_id": app, "version": _integer(txn.get("version")), "last_updated": _milliseconds(txn.get("lastUpdated"))}
            for app, txn in sorted(found.items())
        ]

    return _rows(fields, rows)


def domain_metadata(snapshot: DeltaSnapshot) -> Batches:
    """Metadata domains in force, with their configuration as text."""
    fields = pa.schema([("domain", pa.string()), ("configuration", pa.string())])
    return _rows(
        fields,
        lambda: [{"domain": name, "configuration": _text(d.get("configuration"))} for name, d in sorted(snapshot.state.others.get().domains.items())],
    )


METADATA: dict[str, Callable[[DeltaSnapshot], Batches]] = {
    "cdc_files": cdc_files,
    "checkpoints": checkpoints,
    "checksum": checksum,
    "deletion_vectors": deletion_vectors,
    "detail": detail,
    "domain_metadata": domain_metadata,
    "features": features,
    "files": files,
    "history": history,
    "log_files": log_files,
    "partitions": partitions,
    "properties": properties,
    "protocol": protocol,
    "schema": schema,
    "schema_history": schema_history,
    "snapshots": snapshots,
    "tombstones": tombstones,
    "transactions": transactions,
}
"""Every metadata table, by name."""


def type_text(type_: Any) -> str:
    """A Delta type as Spark writes it in one line.

    >>> type_text({"type": "array", "elementType": {"type": "struct", "fields": [{"name": "a", "type": "long"}]}, "containsNull": True})
    'array<struct<a:bigint>>'
    """
    if not isinstance(type_, dict):
        return _SPARK_NAMES.get(type_, str(type_))
    match type_.get("type"):
        case "struct":
            return "struct<" + ",".join(f"{f['name']}:{type_text(f['type'])}" for f in type_["fields"]) + ">"
        case "array":
            return f"array<{type_text(type_['elementType'])}>"
        case "map":
            return f"map<{type_text(type_['keyType'])},{type_text(type_['valueType'])}>"
        case other:
            return type_text(other)


_SPARK_NAMES = {"long": "bigint", "integer": "int", "short": "smallint", "byte": "tinyint"}


def _rows(fields: pa.Schema, make: Callable[[], list[dict[str, Any]]]) -> Batches:
    return Batches(fields, lambda: pa.Table.from_pylist(make(), schema=fields))


def _clustering_columns(snapshot: DeltaSnapshot) -> list[str]:
    """Logical names, dotted. Writers give lists of name parts, plain names, or objects; always physical names."""
    domains = snapshot.state.others.get().domains
    text = next((domains[d].get("configuration") for d in ("delta.clustering", "delta.liquid") if d in domains), None)
    try:
        columns = decode(text)["clusteringColumns"] if isinstance(text, str) else []
    except (ValueError, LookupError, TypeError):
        return []
    logical = {c.physical_name: c.name for c in snapshot.table_schema.columns}
    found = []
    for column in columns if isinstance(columns, list) else []:
        parts = column.get("physicalName") if isinstance(column, dict) else column
        names = [str(p) for p in parts] if isinstance(parts, list) else [str(parts)]
        found.append(".".join([logical.get(names[0], names[0]), *names[1:]]))
    return found


def _integer(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63 else None


def _milliseconds(value: Any) -> int | None:
    number = _integer(value)
    return number * 1000 if number is not None and abs(number) < 2**53 else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
