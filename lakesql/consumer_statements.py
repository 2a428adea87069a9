"""Statements about named consumers: CREATE, ADVANCE, RESET, DROP, SHOW. None of them opens a data file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lakesql import sql
from lakesql.changes import ChangesRequest, Edge
from lakesql.consumer_store import NEVER, Position
from lakesql.consumers import commits_of, identity_of, location_of
from lakesql.errors import ConsumerError, Error, NoSuchVersionError, did_you_mean
from lakesql.result import Result, instant, nothing, of_table
from lakesql.table import AtVersion, Latest, Table

if TYPE_CHECKING:
    from lakesql.session import Session

_SHOWN = pa.schema(
    [
        ("consumer", pa.string()),
        ("kept_by", pa.string()),
        ("table", pa.string()),
        ("format", pa.string()),
        ("position", pa.string()),
        ("committed_at", pa.timestamp("us", "UTC")),
        ("latest_version", pa.string()),
        ("lag", pa.int64()),
        ("advanced_at", pa.timestamp("us", "UTC")),
        ("problem", pa.string()),
    ]
)
"""SHOW CONSUMERS. position: as Position writes it; committed_at: when that version was made; lag: how many versions follow; problem: why that is not known."""


def run(session: Session, statement: sql.Statement, parameters: Mapping[str, Any]) -> Result:
    """The answer to a statement about consumers."""
    clause = statement.consumer
    assert clause is not None
    table = _table(session, statement)
    match clause.action:
        case sql.Action.SHOW:
            return of_table(_shown(session, table, statement.like))
        case sql.Action.CREATE:
            assert table is not None
            return _create(session, clause, table, parameters)
        case sql.Action.ADVANCE if clause.start is None:
            moved = session.consumers.advance(clause.name, None if table is None else identity_of(table).place)
            return _told(clause.name, moved, "stays where it is: there was nothing to read")
        case sql.Action.ADVANCE:
            return _advance(session, clause, table, parameters)
        case sql.Action.RESET:
            return _reset(session, clause, table, parameters)
        case sql.Action.DROP:
            return _drop(session, clause, table)


def start_position(session: Session, start: sql.StartClause | None, table: Table, parameters: Mapping[str, Any], base: Position) -> Position:
    """The position that a clause names, resolved to a version now, so that what expires later is missed. start: None for the earliest.

    Raises NoSuchVersionError, ExpiredVersionError.
    """
    if start is not None and start.latest:
        latest = table.snapshot(Latest()).version
        return replace(base, version=latest or None, included=not latest)
    edge = None if start is None or start.point is None else Edge(session.resolver.point(start.point, parameters), start.exclusive)
    versions = commits_of(table, ChangesRequest(edge)).versions
    if versions:
        return replace(base, version=versions[0], included=True)
    if edge is not None:  # nothing after it yet
        latest = table.snapshot(Latest()).version
        return replace(base, version=latest or None, included=not latest)
    return replace(base, version=None, included=True)


def _create(session: Session, clause: sql.ConsumerClause, table: Table, parameters: Mapping[str, Any]) -> Result:
    identity = identity_of(table)
    kept = session.consumers.store.get(clause.name, identity.place)
    if kept is not None:
        if clause.if_exists:
            return nothing(f'consumer "{clause.name}" is there already, at {kept}')
        raise ConsumerError(f'consumer "{clause.name}" is there already, at {kept}', hint="RESET CONSUMER moves it, CREATE CONSUMER IF NOT EXISTS leaves it")
    base = Position(clause.name, identity.place, location_of(table), table.format, identity.made, None, included=True)
    return _told(clause.name, [session.consumers.move(start_position(session, clause.start, table, parameters, base))])


def _advance(session: Session, clause: sql.ConsumerClause, table: Table | None, parameters: Mapping[str, Any]) -> Result:
    """To a version that is named: the position's own, or one that follows it."""
    assert clause.start is not None
    assert clause.start.point is not None
    table = table or _only_table(session, clause)
    position = session.consumers.position(clause.name, table)
    at = session.resolver.point(clause.start.point, parameters)
    version = table.snapshot(at).version
    if version == position.version and not position.included:
        return _told(clause.name, [position])
    versions = session.consumers.following(position, table, ChangesRequest(end=Edge(AtVersion(version)))).versions
    if not versions or versions[-1] != version:
        raise NoSuchVersionError(
            f'consumer "{clause.name}" stands at {position}, which version {version} does not follow', hint="RESET CONSUMER ... TO VERSION moves it anywhere"
        )
    return _told(clause.name, [session.consumers.move(replace(position, version=version, included=False))])


def _reset(session: Session, clause: sql.ConsumerClause, table: Table | None, parameters: Mapping[str, Any]) -> Result:
    table = table or _only_table(session, clause)
    identity = identity_of(table)
    kept = session.consumers.store.get(clause.name, identity.place)
    stamp = NEVER if kept is None else kept.stamp
    base = Position(clause.name, identity.place, location_of(table), table.format, identity.made, None, included=True, stamp=stamp)
    return _told(clause.name, [session.consumers.move(start_position(session, clause.start, table, parameters, base))])


def _drop(session: Session, clause: sql.ConsumerClause, table: Table | None) -> Result:
    place = None if table is None else identity_of(table).place
    kept = [p for p in _known(session, clause.name, missing_ok=clause.if_exists) if place is None or p.place == place]
    if kept:
        session.consumers.store.drop(kept)
    elif not clause.if_exists:
        raise ConsumerError(f'consumer "{clause.name}" has no position in this table')
    return nothing()


def _shown(session: Session, table: Table | None, like: str | None) -> pa.Table:
    place = None if table is None else identity_of(table).place
    rows = [_row(session, p, table) for p in session.consumers.store.all() if place is None or p.place == place]
    if table is not None:
        rows += [_own_row(table, name, following) for name, following in getattr(table, "consumers", tuple)()]
    if like is not None:
        pattern = re.compile("".join(".*" if c == "%" else "." if c == "_" else re.escape(c) for c in like), re.IGNORECASE | re.DOTALL)
        rows = [r for r in rows if pattern.fullmatch(str(r["consumer"]))]
    return pa.Table.from_pylist(rows, schema=_SHOWN)


def _row(session: Session, position: Position, table: Table | None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "consumer": position.consumer,
        "kept_by": "lakesql",
        "table": position.place,
        "format": position.format,
        "position": str(position),
        "advanced_at": instant(position.advanced_us),
    }
    try:
        table = table or _opened(session, position)
        row["latest_version"] = table.snapshot(Latest()).version or None
        session.consumers.position(position.consumer, table)  # says whether it is still the same table
        row["lag"] = len(session.consumers.following(position, table, ChangesRequest()).versions)
        row["committed_at"] = None if position.included else _committed(table, position.version)
    except Error as error:
        row["problem"] = error.message
    return row


def _own_row(table: Table, name: str, following: str) -> dict[str, Any]:
    """A consumer that the table itself keeps: it stands before the version it would read next."""
    latest = table.snapshot(Latest()).version
    row: dict[str, Any] = {"consumer": name, "kept_by": table.format, "table": table.location, "format": table.format, "position": f"before {following}"}
    row["latest_version"] = latest or None
    if latest.isdecimal() and following.isdecimal():
        row["lag"] = max(0, int(latest) - int(following) + 1)
    return row


def _committed(table: Table, version: str | None) -> datetime | None:
    if version is None:
        return None
    try:
        return instant(table.snapshot(AtVersion(version)).committed_at_us)
    except Error:  # the version has expired; what follows it has not
        return None


def _table(session: Session, statement: sql.Statement) -> Table | None:
    if not statement.mentions:
        return None
    mention = statement.mentions[0]
    with sql.at(statement, mention.name_span):
        table, metadata = session.resolver.table_of(mention)
        if metadata is not None:
            raise ConsumerError(f'"{mention}" is a metadata table, which has no commits of its own')
    return table


def _only_table(session: Session, clause: sql.ConsumerClause) -> Table:
    """The one table that the consumer has a position in. Raises ConsumerError for none or several."""
    kept = _known(session, clause.name, missing_ok=False)
    if len(kept) > 1:
        places = ", ".join(p.place for p in kept)
        raise ConsumerError(
            f'consumer "{clause.name}" has positions in several tables: {places}', hint=f"{clause.action.name} CONSUMER '{clause.name}' ON t names one"
        )
    return _opened(session, kept[0])


def _known(session: Session, name: str, *, missing_ok: bool) -> list[Position]:
    kept = session.consumers.store.all(name)
    if not kept and not missing_ok:
        hint = did_you_mean(name, {p.consumer for p in session.consumers.store.all()}) or f"CREATE CONSUMER '{name}' ON t makes one"
        raise ConsumerError(f'there is no consumer "{name}"', hint=hint)
    return kept


def _opened(session: Session, position: Position) -> Table:
    """The position's table, by where it is."""
    table = session.catalogs.open_path(position.location, position.format)
    inside = position.place.partition("$")[2]
    view = table.view(inside) if inside else table
    if view is None:
        raise ConsumerError(f'the table at {position.location} has no "{inside}" any more')
    return view


def _told(name: str, moved: list[Position], otherwise: str = "") -> Result:
    return nothing(*(f'consumer "{name}" stands at {p} in {p.place}' for p in moved), *(() if moved or not otherwise else (f'consumer "{name}" {otherwise}',)))
