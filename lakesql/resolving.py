"""Steps 2 and 3 of a statement's life: the tables that its text mentions, found and opened at the states it names, and the text as the engine is given it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from lakesql import changes, diffing, sql, travel
from lakesql.catalogs import Catalogs, TableEntry
from lakesql.consumers import Consumers
from lakesql.errors import NotSupportedError, SqlError, UnknownTableError
from lakesql.inserts import Inserts
from lakesql.relation import Batches, Relation
from lakesql.settings import Settings
from lakesql.table import At, AtTime, AtVersion, Latest, Snapshot, Table

CHANGES = "changes"
"""`"t$changes"`: every change that a table tells."""


@dataclass(frozen=True)
class Source:
    """A mention of a statement, resolved. engine_name: what the engine's text calls it; snapshot: None for a metadata table, whose rows are `relation`.
    is_feed: it is a range of changes.
    """

    mention: sql.Mention
    engine_name: str
    table: Table
    schema: pa.Schema
    snapshot: Snapshot | None = None
    relation: Relation | None = None
    is_feed: bool = False


@dataclass(frozen=True)
class Pinned:
    """What one statement has opened: a table mentioned twice at one state is opened once. entries: see Catalogs.resolve_within."""

    snapshots: dict[tuple[str, str, tuple[tuple[str, str], ...], At], Snapshot] = field(default_factory=dict)
    entries: dict[str, TableEntry] = field(default_factory=dict)

    def snapshot(self, table: Table, inside: str, options: tuple[tuple[str, str], ...], at: At) -> Snapshot:
        """The table's snapshot at a state. inside: what the mention names within the table."""
        key = (table.location, inside, options, at)
        if key not in self.snapshots:
            self.snapshots[key] = table.snapshot(at)
        return self.snapshots[key]


class Resolver:
    """What the names in a session's statements mean. evaluate: the value of an expression that reads no table; host_table: the tables of another program's
    session, see engines.Host; views: the session's own, each the statement that made it. Tables for which a mention names no state are at settings.as_of.
    """

    def __init__(
        self,
        catalogs: Catalogs,
        settings: Settings,
        evaluate: Callable[[str, Mapping[str, Any]], pa.Scalar],
        consumers: Consumers,
        *,
        host_table: Callable[[Sequence[str]], tuple[str, pa.Schema] | None] | None = None,
    ) -> None:
        self._consumers = consumers
        self.views: dict[str, sql.Statement] = {}
        self._catalogs = catalogs
        self._settings = settings
        self._evaluate = evaluate
        self._host_table = host_table
        self._names = itertools.count(1)

    def resolve(self, statement: sql.Statement, parameters: Mapping[str, Any]) -> tuple[tuple[Source, ...], sql.Rendered]:
        """Steps 2 and 3: the statement's sources, and its text for the engine. Views are replaced by their own text, resolved alike."""
        pinned = Pinned()
        sources: list[Source] = []
        rendered = self._render(statement, parameters, pinned, sources, ())
        return tuple(sources), rendered

    def _render(self, statement: sql.Statement, parameters: Mapping[str, Any], pinned: Pinned, sources: list[Source], within: tuple[str, ...]) -> sql.Rendered:
        """The engine's text; adds to `sources`. within: the views it stands in."""
        used = sql.identifiers(statement)
        replacements: dict[sql.Mention, sql.Replacement] = {}
        local: list[Source] = []
        schemas: dict[sql.Mention, pa.Schema] = {}
        for mention in statement.mentions:
            view = self.view_of(mention) if mention.diff is None else None
            hosted = self._hosted(statement, mention) if view is None and mention.diff is None else None
            if hosted is not None:
                replacements[mention], schemas[mention] = sql.Replacement(hosted[0]), hosted[1]
            elif view is None:
                source = self._source(statement, mention, parameters, pinned, used)
                local.append(source)
                replacements[mention] = sql.Replacement(source.engine_name)
            elif view in within:
                raise SqlError(f'view "{view}" reads itself')
            else:
                inner = self._render(self.views[view], {}, pinned, sources, (*within, view))
                replacements[mention] = sql.Replacement(f"({inner.text})", alias=view, columns=inner.columns)
        sources.extend(local)
        schemas.update((s.mention, s.schema) for s in local)
        hidden = {s.mention: [n for n in s.snapshot.hidden.names if n in s.schema.names] for s in local if s.snapshot is not None}
        return sql.render(statement, replacements, schemas=schemas, hidden=hidden)

    def _hosted(self, statement: sql.Statement, mention: sql.Mention) -> tuple[str, pa.Schema] | None:
        """The table of the host's that a mention means, as its text names it and with its columns; None where it means one of a lake. Raises SqlError where it
        could mean either.
        """
        plain = mention.at is None and mention.changes is None and mention.metadata is None and not mention.options
        if self._host_table is None or mention.name is None or not plain:
            return None
        hosted = self._host_table([n if q else n.lower() for n, q in zip(mention.name, mention.quoted, strict=True)])
        if hosted is not None:
            with suppress(UnknownTableError):
                entry = self._catalogs.find(mention.name)
                error = SqlError(
                    f'"{mention}" could be the table at {entry.location} or one of the session itself',
                    hint="name it with its catalog and schema, or the lake's by its path in single quotes",
                )
                sql.place(error, statement, mention.name_span)
                raise error
        return hosted

    def _source(self, statement: sql.Statement, mention: sql.Mention, parameters: Mapping[str, Any], pinned: Pinned, used: frozenset[str]) -> Source:
        name = f"__lakesql_{next(self._names)}"
        with sql.at(statement, mention.name_span):
            if mention.diff is not None:
                table, found = diffing.opened(self, mention, parameters, pinned)
                if isinstance(found, Batches):
                    return Source(mention, name, table, found.schema, relation=found)
                return Source(mention, name, table, found.schema, snapshot=found, is_feed=True)
            table, inside, metadata = self.named(mention, pinned.entries)
            feed = self.changes_of(mention, table, metadata, parameters, pinned)
            if feed is not None:
                return Source(mention, name, table, _visible(feed, used), snapshot=feed, is_feed=True)
            at = self.at_of(mention, parameters, table)
            if metadata is not None:
                relation = table.metadata(metadata, at)
                return Source(mention, name, table, relation.schema, relation=relation)
            snapshot = pinned.snapshot(table, inside, mention.options, at)
        return Source(mention, name, table, _visible(snapshot, used), snapshot=snapshot)

    def changes_of(
        self, mention: sql.Mention, table: Table, metadata: str | None, parameters: Mapping[str, Any], pinned: Pinned | None = None
    ) -> Snapshot | None:
        """The changes that a mention asks for: `t CHANGES ...`, or `"t$changes"` for as far back as they go; None where it asks for none.

        table, metadata: as table_of has them. pinned: the statement's snapshots, so that an open end is the version that its other mentions see. Raises
        SqlError, NoSuchVersionError, ExpiredVersionError, and NotSupportedError for a format without feeds.
        """
        whole = metadata is not None and metadata.lower() == CHANGES
        if mention.changes is None and not whole:
            return None
        if mention.changes is not None and metadata is not None:
            raise SqlError(f'"{mention}" has no changes: it is itself a table of metadata or of changes')
        request = self._requested(mention, table, parameters, pinned or Pinned())

        def read(wanted: changes.ChangesRequest) -> Snapshot:
            found: Snapshot = table.changes(wanted)  # type: ignore[attr-defined]  # _requested has looked
            return Inserts(found) if wanted.appends else found

        consumer = None if mention.changes is None else mention.changes.consumer
        return read(request) if consumer is None else self._consumers.feed(consumer, table, request, read)

    def requested(self, mention: sql.Mention, table: Table, parameters: Mapping[str, Any]) -> changes.ChangesRequest:
        """The range of changes that a mention of a table names, all of them where it names none; what it means to the table is not looked at."""
        request = self._requested(mention, table, parameters, Pinned())
        if mention.changes is None or mention.changes.consumer is None:
            return request
        position = self._consumers.position(mention.changes.consumer, table)
        return replace(request, start=None if position.version is None else changes.Edge(AtVersion(position.version), exclusive=not position.included))

    def _requested(self, mention: sql.Mention, table: Table, parameters: Mapping[str, Any], pinned: Pinned) -> changes.ChangesRequest:
        if not hasattr(table, "changes"):
            raise NotSupportedError(f"changes of {table.format} tables are not read yet", hint="VERSION AS OF reads the table before and after them")
        clause = mention.changes
        last = mention.at if clause is None else clause.end
        until = self._settings.as_of if last is None else self._point(last, parameters)
        if until is None or isinstance(until, Latest):
            latest = pinned.snapshot(table, "", mention.options, Latest())
            until = AtVersion(latest.version) if latest.version else None
        end = None if until is None else changes.Edge(until, clause is not None and clause.end_exclusive)
        start = None if clause is None or clause.start is None else self._start(clause, clause.start, parameters)
        return changes.request_of(start, end, () if clause is None else clause.options)

    def _start(self, clause: sql.ChangesClause, start: sql.AtClause, parameters: Mapping[str, Any]) -> changes.Edge:
        at = self._point(start, parameters)
        return changes.Edge(replace(at, or_latest=True) if clause.of_states and isinstance(at, AtTime) else at, clause.start_exclusive)

    def table_of(self, mention: sql.Mention) -> tuple[Table, str | None]:
        """The table a mention names, and which of its metadata tables is meant, if one is: `"t$x"` and `t.x` alike.

        Raises UnknownTableError, NotATableError, AmbiguousTableError, UnsupportedFeatureError.
        """
        table, _, metadata = self.named(mention, {})
        return table, metadata

    def named(self, mention: sql.Mention, entries: dict[str, TableEntry]) -> tuple[Table, str, str | None]:
        """As `table_of`; and between the two, all that the name says of what is inside the table, "" for nothing."""
        rest: tuple[str, ...] = ()
        if mention.path is not None:
            table = self._catalogs.open_path(mention.path)
        else:
            table, rest = self._catalogs.resolve_within(mention.name or (), entries)
        if mention.options:
            table = _with_options(table, mention, self._settings.time_zone)
        inside = "$".join((*rest, *(() if mention.metadata is None else (mention.metadata,))))
        first, _, inner = inside.partition("$")
        view = table.view(first) if inside else None
        if view is None:
            return table, inside, inside or None
        within = view.view(inner) if inner else None  # such as the audit log of a branch
        return (view, inside, inner or None) if within is None else (within, inside, None)

    def at_of(self, mention: sql.Mention, parameters: Mapping[str, Any], table: Table) -> At:
        """The state a mention of a table names: its own clause, else the session's where the name itself says no state, else the latest."""
        if mention.at is not None:
            return self._point(mention.at, parameters)
        as_of = self._settings.as_of
        return Latest() if as_of is None or getattr(table, "names_state", False) else as_of

    def point(self, clause: sql.AtClause, parameters: Mapping[str, Any]) -> AtVersion | AtTime:
        """The version or time that a clause names."""
        return self._point(clause, parameters)

    def _point(self, clause: sql.AtClause, parameters: Mapping[str, Any]) -> AtVersion | AtTime:
        """The version or time that a clause names."""
        if clause.kind is sql.AtKind.VERSION:
            text = clause.text if clause.is_literal else _as_text(self._evaluate(clause.text, parameters), clause.text)
            return travel.at_version(text, quoted=clause.quoted)
        if clause.is_literal:
            return travel.at_time(clause.text, self._settings.time_zone) if clause.quoted else travel.at_seconds(clause.text)
        return travel.at_expression(clause.text, lambda e: self._evaluate(e, parameters), self._settings.time_zone)

    def view_of(self, mention: sql.Mention) -> str | None:
        """The session's view that a mention names, None where it names none."""
        if mention.name is None or len(mention.name) != 1 or mention.metadata is not None:
            return None
        name = mention.name[0]
        return name if name in self.views else name.lower() if name.lower() in self.views and not mention.quoted[0] else None


def _visible(snapshot: Snapshot, used: frozenset[str]) -> pa.Schema:
    """The snapshot's columns, and those hidden ones that a statement with these identifiers reads."""
    return pa.schema([*snapshot.schema, *(f for f in snapshot.hidden if f.name.lower() in used and f.name not in snapshot.schema.names)])


def _with_options(table: Table, mention: sql.Mention, time_zone: str) -> Table:
    """The table, as a hint's scan options have it."""
    with_options = getattr(table, "with_options", None)
    if with_options is None:
        raise NotSupportedError(f"{table.format} tables take no scan options", hint="VERSION AS OF and TIMESTAMP AS OF name a state of any table")
    changed: Table = with_options(dict(mention.options), time_zone)
    return changed


def _as_text(value: pa.Scalar, text: str) -> str:
    if not value.is_valid:
        raise SqlError(f"{text} is NULL, not a version")
    return str(value.as_py())
