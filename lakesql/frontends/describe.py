"""What there is to say of a table beside its columns: for the shell's `\\d+`. Reads metadata only."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from lakesql.errors import Error
from lakesql.frontends.footer import size_text
from lakesql.result import instant
from lakesql.table import Latest, ScanRequest, Table

_SHOWN_PROPERTIES = 30


def table_details(table: Table) -> list[str]:
    """Format and version, current snapshot, files, rows, bytes, deletes, partitioning, sort order, properties. Raises what opening the table raises."""
    return list(_lines(table))


def _lines(table: Table) -> Iterator[str]:
    snapshot = table.snapshot(Latest())
    report = snapshot.scan(ScanRequest(())).report
    properties = {str(r["name"]): str(r["value"]) for r in _rows(table, "properties")}
    yield f"location: {table.location}"
    yield f"format: {table.format}{_format_version(table)}"
    committed = instant(snapshot.committed_at_us)
    time = "" if committed is None else f" of {committed.isoformat(sep=' ', timespec='milliseconds').replace('+00:00', 'Z')}"
    yield f"snapshot: {snapshot.version}{time}"
    rows = "not told by metadata" if report.total_rows is None else f"{report.total_rows:,}"
    size = "unknown" if report.total_bytes is None else size_text(report.total_bytes)
    yield f"files: {report.total_files:,}, rows: {rows}, bytes: {size}"
    for word, what in (("delete_files", "delete files"), ("deletion_vectors", "deletion vectors")):
        if word in table.metadata_names:
            yield f"{what}: {len(_rows(table, word)):,}"
    yield f"partitioned by: {', '.join(_partitioning(table)) or 'nothing'}"
    keys = [str(r["name"]) for r in _rows(table, "schema") if r.get("key_position") is not None]
    if keys:
        yield f"primary key: {', '.join(keys)}"
    if hasattr(table, "sort_order"):
        yield f"sort order: {table.sort_order or 'none'}"
    for name, value in list(properties.items())[:_SHOWN_PROPERTIES]:
        yield f"property {name} = {value}"


def _rows(table: Table, word: str) -> list[dict[str, Any]]:
    """A metadata table's rows; none where the table has no such thing, or cannot tell."""
    if word not in table.metadata_names:
        return []
    try:
        rows: list[dict[str, Any]] = table.metadata(word, Latest()).load().to_pylist()
    except Error:
        return []
    return rows


def _format_version(table: Table) -> str:
    protocol = next(iter(_rows(table, "protocol")), {})
    if "min_reader_version" in protocol:
        return f", reader version {protocol['min_reader_version']}, writer version {protocol.get('min_writer_version')}"
    version = getattr(table, "format_version", None)
    return f", version {version}" if version else ""


def _partitioning(table: Table) -> list[str]:
    specs = [r for r in _rows(table, "specs") if r.get("is_default") and r.get("name")]
    if specs:
        return [r["name"] if r["transform"] == "identity" else f"{r['transform']} as {r['name']}" for r in specs]
    detail = next(iter(_rows(table, "detail")), {})
    if detail:
        return [str(name) for name in detail.get("partition_columns") or ()]
    schemas = _rows(table, "schemas")
    return [str(name) for name in json.loads(schemas[-1]["partition_keys"])] if schemas else []
