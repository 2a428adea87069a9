"""What a session can name, for completion: tables, columns, versions, functions. Every answer is plain data, so that it may come from another process.

The functions block - catalogs and stores are asked - and open no data file. `completion_menu.py` calls them in the background.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from lakesql import settings, sql
from lakesql.errors import Error
from lakesql.frontends.completion_scope import TableRef
from lakesql.frontends.describe import table_details
from lakesql.sql.outline import quoted
from lakesql.table import Latest

if TYPE_CHECKING:
    from lakesql.session import Session

VERSIONS_LIMIT = 200
"""The newest commits that are offered."""


class TableName(NamedTuple):
    """A table or view: catalog and schema are "" where it has none."""

    catalog: str
    schema: str
    name: str
    format: str


class ColumnName(NamedTuple):
    """A column and its type as SQL names it."""

    name: str
    type: str


class VersionName(NamedTuple):
    """A version that can be named. kind: snapshot, tag or branch; time: of its commit, ISO 8601, "" where nothing says; operation: likewise."""

    text: str
    kind: str
    time: str
    operation: str


class FunctionName(NamedTuple):
    """A function. kind: SCALAR, AGGREGATE, WINDOW or TABLE; signature: how it is called."""

    name: str
    kind: str
    signature: str
    description: str


class SessionNames:
    """The names of a session of this process."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def tables(self) -> list[TableName]:
        """Every table and view. A catalog that fails leaves out its own."""
        found = [TableName("", "", view, "view") for view in self._session.views]
        try:
            found += (TableName(catalog, e.schema, e.name, e.format or "table") for catalog, e in self._session.catalogs.tables())
        except Error:
            return found
        return found

    def columns(self, ref: TableRef) -> list[ColumnName]:
        """The columns of a table, a metadata table or a view. Raises what DESCRIBE raises."""
        text = table_text(ref)
        is_view = len(ref.name) == 1 and ref.name[0] in self._session.views
        rows = self._session.execute(f"DESCRIBE SELECT * FROM {text}" if is_view else f"DESCRIBE {text}").table()
        return [ColumnName(str(name), str(kind)) for name, kind in zip(rows.column(0).to_pylist(), rows.column(1).to_pylist(), strict=True)]

    def system_tables(self, ref: TableRef) -> list[str]:
        """The metadata tables of a table. Raises UnknownTableError and its kind."""
        table = self._table(ref)
        names = list(table.metadata_names)
        return [*names, "changes"] if hasattr(table, "changes") and "changes" not in names else names

    def versions(self, ref: TableRef) -> list[VersionName]:
        """Branches and tags, then snapshots, the newest first. Raises UnknownTableError and its kind."""
        table = self._table(ref)
        names = table.metadata_names
        snapshots = _snapshots(table.metadata("snapshots", Latest()).load()) if "snapshots" in names else []
        by_id = {v.text: v for v in snapshots}
        found = []
        for word, name_column, kind in (("refs", "name", ""), ("tags", "tag_name", "tag"), ("branches", "branch_name", "branch")):
            if word in names:
                for row in table.metadata(word, Latest()).load().to_pylist():
                    commit = by_id.get(str(row.get("snapshot_id")))
                    time = commit.time if commit is not None else _time(row.get("commit_time") or row.get("create_time"))
                    found.append(VersionName(str(row[name_column]), kind or str(row["type"]).lower(), time, commit.operation if commit else ""))
        return [*found, *snapshots[:VERSIONS_LIMIT]]

    def details(self, ref: TableRef) -> list[str]:
        """What is to be said of a table beside its columns, a line each. Raises what opening it raises."""
        return table_details(self._table(ref))

    def functions(self) -> list[FunctionName]:
        """The engine's functions, each once."""
        return [FunctionName(*f) for f in self._session.functions()]

    def settings(self) -> list[tuple[str, str]]:
        """Settings and what they mean."""
        return list(settings.DOCS.items())

    def setting_values(self, name: str) -> list[str]:
        """Texts that a setting may be given, where they are few."""
        return ["on", "off"] if name.lower().endswith("prune") else ["'UTC'"] if name.lower().endswith("time_zone") else []

    def _table(self, ref: TableRef) -> Any:
        mention = sql.parse(f"DESCRIBE {table_text(TableRef(ref.name, ref.path))}").mentions[0]
        return self._session.resolver.table_of(mention)[0]


def table_text(ref: TableRef) -> str:
    """The table as a statement names it."""
    name = "'" + ref.path.replace("'", "''") + "'" if ref.path is not None else ".".join(quoted(part) for part in ref.name)
    return name if ref.at is None else f"{name} {ref.at}"


def _snapshots(rows: pa.Table) -> list[VersionName]:
    """The rows of a table of snapshots, in any format's columns, the newest first."""
    names = rows.column_names
    ids = next((n for n in ("version", "snapshot_id", "instant") if n in names), names[0])
    times = next((n for n in ("committed_at", "commit_time", "timestamp") if n in names), None)
    found = [
        VersionName(str(row[ids]), "snapshot", _time(row[times]) if times else "", next(_operations(row), ""))
        for row in rows.select([n for n in (ids, times, "operation", "commit_kind") if n in names]).to_pylist()
    ]
    return sorted(found, key=lambda v: v.time, reverse=True)


def _operations(row: dict[str, Any]) -> Iterator[str]:
    return (str(row[n]) for n in ("operation", "commit_kind") if row.get(n))


def _time(value: Any) -> str:
    if value is None:
        return ""
    text: str = value.isoformat(sep=" ", timespec="milliseconds") if hasattr(value, "isoformat") else str(value)
    return text.replace("+00:00", "Z")
