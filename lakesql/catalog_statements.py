"""Statements about names and settings: SHOW, DESCRIBE, SET, views. None of them opens a data file or plans a query."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lakesql import change_check, formats, sql
from lakesql.errors import Error, InternalError, SqlError, did_you_mean
from lakesql.result import PinnedSnapshot, Result, instant, nothing, of_table
from lakesql.settings import DOCS
from lakesql.table import AtTime, Latest
from lakesql.type_names import sql_type

if TYPE_CHECKING:
    from lakesql.session import Session


def run(session: Session, statement: sql.Statement, parameters: Mapping[str, Any]) -> Result:
    """The answer to a statement of one of these kinds. Errors that know no place get that of what the statement is about."""
    with sql.at(statement, sql.subject(statement)):
        return _run(session, statement, parameters)


def _run(session: Session, statement: sql.Statement, parameters: Mapping[str, Any]) -> Result:
    match statement.kind:
        case sql.Kind.SHOW_TABLES:
            return of_table(_tables(session, statement.argument, statement.like))
        case sql.Kind.SHOW_SCHEMAS:
            return of_table(_schemas(session, statement.like))
        case sql.Kind.SHOW_CATALOGS:
            return of_table(pa.table({"catalog": _kept(session.catalogs.catalogs, statement.like)}, schema=_texts("catalog")))
        case sql.Kind.DESCRIBE | sql.Kind.SHOW_COLUMNS:
            return _describe(session, statement, parameters)
        case sql.Kind.CHECK_CHANGES:
            return change_check.check(session, statement, parameters)
        case sql.Kind.DESCRIBE_HISTORY:
            return _history(session, statement, parameters)
        case sql.Kind.SHOW_SETTINGS:
            return of_table(_settings(session, statement.argument))
        case sql.Kind.SET:
            session.settings.set(statement.argument or "", statement.value or "")
            return nothing()
        case sql.Kind.RESET:
            session.settings.reset(statement.argument)
            return nothing()
        case sql.Kind.SHOW_SNAPSHOTS:
            return of_table(_snapshots(session, statement.argument, statement.like))
        case sql.Kind.DROP_VIEW:
            assert statement.view is not None
            session.drop_view(statement.view.name, missing_ok=statement.view.if_exists)
            return nothing()
        case _:
            raise InternalError(f"no one answers statements of kind {statement.kind}")


def _tables(session: Session, within: str | None, like: str | None) -> pa.Table:
    rows = []
    for catalog, entry in session.catalogs.tables(within):
        if like is None or _matches(entry.name, like):
            format_ = entry.format or formats.recognise(session.catalogs.storage, entry.location).format
            rows.append((catalog, entry.schema, entry.name, format_, entry.location or None))
    if within is not None and not rows and like is None:
        known = {*session.catalogs.catalogs, *(n for c, s in session.catalogs.schemas() for n in (s, f"{c}.{s}"))}
        if within.lower() not in (n.lower() for n in known):
            raise SqlError(f'there is no catalog or schema "{within}"', hint=did_you_mean(within, known))
    schema = _texts("catalog", "schema", "table", "format", "location")
    return pa.Table.from_arrays([pa.array([r[i] for r in rows], pa.string()) for i in range(5)], schema=schema)


def _snapshots(session: Session, within: str | None, like: str | None) -> pa.Table:
    """Which version of each table the session reads now, and how long before the session's instant it was committed."""
    as_of = session.settings.as_of
    rows: list[dict[str, Any]] = []
    for catalog, entry in session.catalogs.tables(within):
        if like is not None and not _matches(entry.name, like):
            continue
        row: dict[str, Any] = {"catalog": catalog, "schema": entry.schema, "table": entry.name}
        try:
            table = session.catalogs.resolve([catalog, entry.schema, entry.name])
            snapshot = table.snapshot(as_of or Latest())
            row |= {"format": table.format, "version": snapshot.version or None, "committed_at": instant(snapshot.committed_at_us)}
            if isinstance(as_of, AtTime):
                row["as_of"] = instant(as_of.instant_us)
                if snapshot.committed_at_us is not None:
                    row["skew_seconds"] = (as_of.instant_us - snapshot.committed_at_us) / 1e6
        except Error as error:
            row["problem"] = error.message
        rows.append(row)
    return pa.Table.from_pylist(rows, schema=_SNAPSHOTS)


_SNAPSHOTS = pa.schema(
    [
        *((n, pa.string()) for n in ("catalog", "schema", "table", "format", "version")),
        ("committed_at", pa.timestamp("us", "UTC")),
        ("as_of", pa.timestamp("us", "UTC")),
        ("skew_seconds", pa.float64()),
        ("problem", pa.string()),
    ]
)
"""SHOW SNAPSHOTS. as_of: the session's instant, null for none; skew_seconds: from the commit to it; problem: why the table has no such state."""


def _schemas(session: Session, like: str | None) -> pa.Table:
    pairs = sorted({(c, s) for c, s in session.catalogs.schemas() if like is None or _matches(s, like)})
    return pa.table({"catalog": [p[0] for p in pairs], "schema": [p[1] for p in pairs]}, schema=_texts("catalog", "schema"))


def _describe(session: Session, statement: sql.Statement, parameters: Mapping[str, Any]) -> Result:
    """One row per column: its name, type, whether it may be null, and a comment where the table has one."""
    mention = _mention(statement)
    table, metadata = session.resolver.table_of(mention)
    feed = session.resolver.changes_of(mention, table, metadata, parameters)
    if metadata is not None and feed is None:
        schema, pinned = table.metadata(metadata, session.resolver.at_of(mention, parameters, table)).schema, tuple[PinnedSnapshot, ...]()
    else:
        snapshot = feed or table.snapshot(session.resolver.at_of(mention, parameters, table))
        schema = snapshot.schema
        pinned = (PinnedSnapshot(str(mention), table.location, table.format, snapshot.version, instant(snapshot.committed_at_us)),)
    rows = pa.table(
        {
            "column_name": schema.names,
            "data_type": [sql_type(f.type) for f in schema],
            "is_nullable": [("YES" if f.nullable else "NO") for f in schema],
            "comment": [_comment(f) for f in schema],
        },
        schema=_texts("column_name", "data_type", "is_nullable", "comment"),
    )
    return of_table(rows, snapshots=pinned)


def _history(session: Session, statement: sql.Statement, parameters: Mapping[str, Any]) -> Result:
    mention = _mention(statement)
    if mention.changes is not None:
        raise SqlError("DESCRIBE HISTORY is about all commits; it takes no range of changes", sql=statement.text)
    table, _ = session.resolver.table_of(mention)
    relation = table.metadata("history", session.resolver.at_of(mention, parameters, table))
    rows = relation.load()
    return of_table(rows if statement.limit is None else rows.slice(0, statement.limit))


def _settings(session: Session, name: str | None) -> pa.Table:
    values = session.settings.values()
    names = list(values) if name is None or name.lower() == "all" else [name]
    keys = [n if n in values else f"lakesql.{n}" for n in names]
    shown = {k: session.settings.get(k) for k in keys}
    columns = {"name": list(shown), "value": list(shown.values()), "description": [DOCS[k.lower()] for k in shown]}
    return pa.table(columns, schema=_texts("name", "value", "description"))


def _comment(field: pa.Field) -> str | None:
    text = (field.metadata or {}).get(b"comment")
    return None if text is None else text.decode("utf-8", "replace")


def _mention(statement: sql.Statement) -> sql.Mention:
    if len(statement.mentions) != 1:
        raise SqlError("name one table to describe", sql=statement.text)
    return statement.mentions[0]


def _kept(names: Iterable[str], like: str | None) -> list[str]:
    return sorted(n for n in names if like is None or _matches(n, like))


def _matches(name: str, like: str) -> bool:
    pattern = "".join(".*" if c == "%" else "." if c == "_" else re.escape(c) for c in like)
    return re.fullmatch(pattern, name, re.IGNORECASE | re.DOTALL) is not None


def _texts(*names: str) -> pa.Schema:
    return pa.schema([pa.field(n, pa.string()) for n in names])
