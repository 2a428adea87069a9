"""The life of a statement: the one module that sees every stage.

    1. parse     sql.parse                 text -> Statement: kind, table mentions, placeholders
    2. resolve   catalogs.Catalogs         mention -> Table
    3. open      Table.snapshot            Table + AS OF -> Snapshot (pinned: one version per table and statement), or the relation of a metadata table;
                Table.changes         Table + CHANGES -> Snapshot of the rows of a range of changes
       render    sql.render                Statement + schemas -> the engine's text
    4. bind      Engine.bind               text + schemas -> per table: columns, predicates
    5. scan      Snapshot.scan             Snapshot + columns + predicates -> FileSet (pruned)
    6. relate    Snapshot.relate           FileSet -> Relation, or answers.from_metadata where no data file is needed
    7. lower     Engine.prepare            Relation -> the engine's plan, under the name the text uses
    8. run       Prepared.run              text -> record batches

Change a step, change this list. The same text over the same snapshots goes from step 3 to step 8 (`kept_plans.py`). Statements about names and settings (SHOW,
DESCRIBE, SET, views) end before step 4 and live in `catalog_statements.py`.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lakesql import answers, catalog_statements, changes, explain, sql, travel
from lakesql.catalogs import Catalogs, TableEntry
from lakesql.config import Config, load_config
from lakesql.engines import Bound, BoundScan, Engine, Prepared, Rows, open_engine
from lakesql.errors import (
    Error,
    MissingFileError,
    NotSupportedError,
    ParameterError,
    QueryCancelledError,
    QueryTimeoutError,
    SqlError,
    UnknownColumnError,
    UnknownTableError,
    did_you_mean,
)
from lakesql.kept import Kept
from lakesql.kept_plans import PLANS_KEPT, key_of, reads_clock
from lakesql.relation import Col, Project, Relation, Value
from lakesql.result import PinnedSnapshot, Result, ScanStats, TableScanStats, instant, nothing
from lakesql.settings import Settings
from lakesql.table import At, AtTime, AtVersion, FileSet, Latest, ScanRequest, Snapshot, Table

CHANGES = "changes"
"""`"t$changes"`: every change that a table tells."""


@dataclass(frozen=True)
class _Source:
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
class _Scan:
    """A source, bound and pruned."""

    source: _Source
    scan: BoundScan
    files: FileSet
    relation: Relation
    answered: bool


_FILES_KEPT = 20_000
"""Plans over more files are not kept: their lists are large, and reading that many files takes longer than planning."""


@dataclass(frozen=True)
class _Pinned:
    """What one statement has opened: a table mentioned twice at one state is opened once. entries: see Catalogs.resolve_within."""

    snapshots: dict[tuple[str, str, tuple[tuple[str, str], ...], At], Snapshot] = field(default_factory=dict)
    entries: dict[str, TableEntry] = field(default_factory=dict)

    def snapshot(self, table: Table, inside: str, options: tuple[tuple[str, str], ...], at: At) -> Snapshot:
        """The table's snapshot at a state. inside: what the mention names within the table."""
        key = (table.location, inside, options, at)
        if key not in self.snapshots:
            self.snapshots[key] = table.snapshot(at)
        return self.snapshots[key]


class Session:
    """Runs statements, one after another or from several threads: each has its own names in the engine."""

    def __init__(
        self,
        catalogs: Catalogs,
        engine: Engine,
        settings: Settings,
        *,
        as_of: At | None = None,
        allow_write: bool = False,
        timeout_seconds: float | None = None,
    ) -> None:
        self.catalogs = catalogs
        self.settings = settings
        self._engine = engine
        self._as_of = as_of
        self._allow_write = allow_write
        self._timeout_seconds = timeout_seconds
        self._views: dict[str, sql.Statement] = {}
        self._views_made = 0
        self._kept: Kept[_Ready] = Kept(PLANS_KEPT)
        self._names = itertools.count(1)
        self._running: set[Rows] = set()
        self._lock = threading.Lock()

    @classmethod
    def open(
        cls,
        target: str | None = None,
        *,
        tables: Mapping[str, str] | None = None,
        as_of: str | int | datetime | None = None,
        engine: str | None = None,
        config: str | Config | None = None,
    ) -> Session:
        """A session on what `target` names (a table, a directory of tables, a lakesql.toml, or None), on `tables` by name, and on the configuration.

        Raises ConfigError, NotATableError, AmbiguousTableError.
        """
        loaded = load_config(target, config)
        catalogs = Catalogs.for_target(target, tables=tables or {}, config=loaded)
        settings = Settings.of(loaded)
        options = loaded.engine
        opened = open_engine(
            engine or options.name,
            storage=catalogs.storage,
            memory_limit_bytes=options.memory_limit_bytes,
            target_partitions=options.target_partitions,
            batch_size=options.batch_size,
            time_zone=settings.time_zone,
            allow_write=options.allow_write,
        )
        default = travel.at_default(as_of if as_of is not None else loaded.session.as_of, settings.time_zone)
        return cls(catalogs, opened, settings, as_of=default, allow_write=options.allow_write, timeout_seconds=options.timeout_seconds)

    def execute(self, text: str, parameters: Sequence[Any] | Mapping[str, Any] | None = None) -> Result:
        """Runs one statement. Rows stream: errors of single files and values come while they are taken.

        Raises SqlError and its kind, NoSuchVersionError, ExpiredVersionError, MetadataError, StorageError, UnsupportedFeatureError.
        """
        key = key_of(text, parameters, (self._views_made, *self.settings.values().values()))
        ready = None if key is None else self._kept.get(key)
        if ready is not None and key is not None:
            if self._is_current(ready):
                return self._start(ready)
            self._kept.drop(key)
        statement = sql.parse(text)
        bound = sql.bind_parameters(statement, parameters)
        match statement.kind:
            case sql.Kind.QUERY:
                return self._start(self._ready(statement, bound, key))
            case sql.Kind.EXPLAIN | sql.Kind.DESCRIBE_QUERY:
                return self._start(self._ready(statement, bound))
            case sql.Kind.EXPLAIN_PRUNING:
                return self._explain_pruning(statement, bound)
            case sql.Kind.CREATE_VIEW:
                return self._create_view(statement)
            case sql.Kind.WRITE:
                return self._write(statement, bound)
            case sql.Kind.OTHER:
                raise SqlError(
                    f"no statement begins with {statement.verb}",
                    sql=statement.text,
                    position=0,
                    length=len(statement.verb),
                    hint="there are SELECT, WITH, VALUES, EXPLAIN, DESCRIBE, SHOW, SET, CREATE VIEW and DROP VIEW",
                )
            case _:
                return catalog_statements.run(self, statement, bound)

    def close(self) -> None:
        """Stops what still runs, and lets go of catalogs."""
        self.cancel()
        self.catalogs.close()

    def cancel(self) -> None:
        """Stops the statements that run now; from any thread. Their rows end in QueryCancelledError."""
        with self._lock:
            running = list(self._running)
        for rows in running:
            rows.close()

    # Queries -------------------------------------------------------------------------------------------------------------------------------------

    def _ready(self, statement: sql.Statement, parameters: Mapping[str, Any], key: Hashable | None = None) -> _Ready:
        """Steps 2 to 7; what comes of them is kept under the key where it may be used again."""
        plan = self._plan(statement, parameters)
        relations = {**{s.source.engine_name: s.relation for s in plan.scans}, **plan.metadata}
        try:
            with _placed(statement, plan.rendered):
                prepared = self._engine.prepare(plan.rendered.text, relations, plan.bound, parameters)
        except MissingFileError as error:
            raise self._explained(error, plan.sources) from error
        stats = ScanStats(tuple(TableScanStats(_name(s.source.mention), s.files.report) for s in plan.scans))
        ready = _Ready(statement, parameters, plan.sources, prepared, tuple(_pinned(s) for s in plan.sources), stats, plan.notices)
        if key is not None and prepared.repeatable and _is_state(plan.sources) and stats.files_total <= _FILES_KEPT and not reads_clock(plan.rendered.text):
            self._kept.put(key, ready)
        return ready

    def _is_current(self, ready: _Ready) -> bool:
        """Whether every table still has the snapshot that was planned for. What is wrong with a table is said when the statement is planned again."""
        entries: dict[str, TableEntry] = {}
        try:
            for source in ready.sources:
                table, _, metadata = self._named(source.mention, entries)
                if metadata is not None or table.snapshot(self.at_of(source.mention, ready.parameters, table)) is not source.snapshot:
                    return False
        except Error:
            return False
        return True

    def _start(self, ready: _Ready) -> Result:
        """Step 8."""
        try:
            rows = ready.prepared.run()
        except MissingFileError as error:
            raise self._explained(error, ready.sources) from error
        with self._lock:
            self._running.add(rows)
        batches = self._streamed(rows, ready.sources)
        return Result(
            rows.schema,
            _readable(batches, ready.sources) if ready.statement.kind is sql.Kind.EXPLAIN else batches,
            snapshots=ready.snapshots,
            scan_stats=ready.scan_stats,
            notices=ready.notices,
            on_close=rows.close,
        )

    def _streamed(self, rows: Rows, sources: Sequence[_Source]) -> Iterator[pa.RecordBatch]:
        watch = _Watch(rows, self._timeout_seconds)
        try:
            yield from rows
        except MissingFileError as error:
            raise self._explained(error, sources) from error
        except QueryCancelledError as error:
            if watch.expired:
                raise QueryTimeoutError(f"the statement ran longer than {self._timeout_seconds:g} s", hint="raise [engine] timeout, or ask for less") from error
            raise
        finally:
            watch.stop()
            with self._lock:
                self._running.discard(rows)

    def _explain_pruning(self, statement: sql.Statement, parameters: Mapping[str, Any]) -> Result:
        plan = self._plan(statement, parameters)
        scans = [explain.ScanExplanation(_pinned(s.source), s.scan, s.files, s.source.schema, s.answered) for s in plan.scans]
        table = explain.as_json(scans) if statement.json else explain.as_text(scans)
        return Result(table.schema, table.to_batches(), snapshots=tuple(_pinned(s) for s in plan.sources), notices=plan.notices)

    def _plan(self, statement: sql.Statement, parameters: Mapping[str, Any]) -> _Plan:
        """Steps 2 to 6."""
        sources, rendered = self._resolve(statement, parameters)
        with _placed(statement, rendered):
            bound = self._engine.bind(rendered.text, {s.engine_name: s.schema for s in sources}, parameters)
        scans, metadata = [], {}
        for source in sources:
            if source.snapshot is None:
                assert source.relation is not None
                metadata[source.engine_name] = source.relation
            else:
                scans.append(self._scan(source, bound.scans[source.engine_name]))
        return _Plan(rendered, sources, tuple(scans), metadata, bound, _notices(sources))

    def _scan(self, source: _Source, scan: BoundScan) -> _Scan:
        assert source.snapshot is not None
        files = source.snapshot.scan(ScanRequest(scan.columns, scan.predicates, prune=self.settings.prune))
        known = answers.from_metadata(files, scan, source.schema) if self.settings.prune else None
        relation = known if known is not None else _whole(source.snapshot.relate(files, scan.columns), scan.columns, source.schema)
        return _Scan(source, scan, files, relation, answered=known is not None)

    # Resolving -----------------------------------------------------------------------------------------------------------------------------------

    def _resolve(self, statement: sql.Statement, parameters: Mapping[str, Any]) -> tuple[tuple[_Source, ...], sql.Rendered]:
        """Steps 2 and 3: the statement's sources, and its text for the engine. Views are replaced by their own text, resolved alike."""
        pinned = _Pinned()
        sources: list[_Source] = []
        rendered = self._render(statement, parameters, pinned, sources, ())
        return tuple(sources), rendered

    def _render(
        self, statement: sql.Statement, parameters: Mapping[str, Any], pinned: _Pinned, sources: list[_Source], within: tuple[str, ...]
    ) -> sql.Rendered:
        """The engine's text; adds to `sources`. within: the views it stands in."""
        used = sql.identifiers(statement)
        replacements: dict[sql.Mention, sql.Replacement] = {}
        local: list[_Source] = []
        for mention in statement.mentions:
            view = self._view_of(mention)
            if view is None:
                source = self._source(statement, mention, parameters, pinned, used)
                local.append(source)
                replacements[mention] = sql.Replacement(source.engine_name)
            elif view in within:
                raise SqlError(f'view "{view}" reads itself')
            else:
                inner = self._render(self._views[view], {}, pinned, sources, (*within, view))
                replacements[mention] = sql.Replacement(f"({inner.text})", alias=view, columns=inner.columns)
        sources.extend(local)
        schemas = {s.mention: s.schema for s in local}
        hidden = {s.mention: [n for n in s.snapshot.hidden.names if n in s.schema.names] for s in local if s.snapshot is not None}
        return sql.render(statement, replacements, schemas=schemas, hidden=hidden)

    def _source(self, statement: sql.Statement, mention: sql.Mention, parameters: Mapping[str, Any], pinned: _Pinned, used: frozenset[str]) -> _Source:
        name = f"__lakesql_{next(self._names)}"
        with sql.at(statement, mention.name_span):
            table, inside, metadata = self._named(mention, pinned.entries)
            feed = self.changes_of(mention, table, metadata, parameters, pinned)
            if feed is not None:
                return _Source(mention, name, table, _visible(feed, used), snapshot=feed, is_feed=True)
            at = self.at_of(mention, parameters, table)
            if metadata is not None:
                relation = table.metadata(metadata, at)
                return _Source(mention, name, table, relation.schema, relation=relation)
            snapshot = pinned.snapshot(table, inside, mention.options, at)
        return _Source(mention, name, table, _visible(snapshot, used), snapshot=snapshot)

    def changes_of(
        self, mention: sql.Mention, table: Table, metadata: str | None, parameters: Mapping[str, Any], pinned: _Pinned | None = None
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
        read = getattr(table, "changes", None)
        if read is None:
            raise NotSupportedError(f"changes of {table.format} tables are not read yet", hint="VERSION AS OF reads the table before and after them")
        clause = mention.changes
        last = mention.at if clause is None else clause.end
        until = self._as_of if last is None else self._point(last, parameters)
        if until is None or isinstance(until, Latest):
            latest = (pinned or _Pinned()).snapshot(table, "", mention.options, Latest())
            until = AtVersion(latest.version) if latest.version else None
        end = None if until is None else changes.Edge(until, clause is not None and clause.end_exclusive)
        start = None if clause is None else changes.Edge(self._point(clause.start, parameters), clause.start_exclusive)
        request = changes.request_of(start, end, () if clause is None else clause.options)
        found: Snapshot = read(request)
        return found

    def table_of(self, mention: sql.Mention) -> tuple[Table, str | None]:
        """The table a mention names, and which of its metadata tables is meant, if one is: `"t$x"` and `t.x` alike.

        Raises UnknownTableError, NotATableError, AmbiguousTableError, UnsupportedFeatureError.
        """
        table, _, metadata = self._named(mention, {})
        return table, metadata

    def _named(self, mention: sql.Mention, entries: dict[str, TableEntry]) -> tuple[Table, str, str | None]:
        """As `table_of`; and between the two, all that the name says of what is inside the table, "" for nothing."""
        rest: tuple[str, ...] = ()
        if mention.path is not None:
            table = self.catalogs.open_path(mention.path)
        else:
            table, rest = self.catalogs.resolve_within(mention.name or (), entries)
        if mention.options:
            table = _with_options(table, mention, self.settings.time_zone)
        inside = "$".join((*rest, *(() if mention.metadata is None else (mention.metadata,))))
        first, _, inner = inside.partition("$")
        view = table.view(first) if inside else None
        return (table, inside, inside or None) if view is None else (view, inside, inner or None)

    def at_of(self, mention: sql.Mention, parameters: Mapping[str, Any], table: Table) -> At:
        """The state a mention of a table names: its own clause, else the session's where the name itself says no state, else the latest."""
        if mention.at is not None:
            return self._point(mention.at, parameters)
        return Latest() if self._as_of is None or getattr(table, "names_state", False) else self._as_of

    def _point(self, clause: sql.AtClause, parameters: Mapping[str, Any]) -> AtVersion | AtTime:
        """The version or time that a clause names."""
        if clause.kind is sql.AtKind.VERSION:
            text = clause.text if clause.is_literal else _as_text(self._engine.evaluate(clause.text, parameters), clause.text)
            return travel.at_version(text, quoted=clause.quoted)
        if clause.is_literal:
            return travel.at_time(clause.text, self.settings.time_zone) if clause.quoted else travel.at_seconds(clause.text)
        return travel.at_expression(clause.text, lambda e: self._engine.evaluate(e, parameters), self.settings.time_zone)

    # Views ---------------------------------------------------------------------------------------------------------------------------------------

    def _view_of(self, mention: sql.Mention) -> str | None:
        if mention.name is None or len(mention.name) != 1 or mention.metadata is not None:
            return None
        name = mention.name[0]
        return name if name in self._views else name.lower() if name.lower() in self._views and not mention.quoted[0] else None

    def _create_view(self, statement: sql.Statement) -> Result:
        """Keeps the query's text under the name; the view lives as long as the session and sees new commits."""
        assert statement.view is not None
        name = statement.view.name
        if name in self._views and not statement.view.replace:
            raise SqlError(f'view "{name}" is there already', hint="CREATE OR REPLACE VIEW replaces it")
        if statement.placeholders:
            raise ParameterError("a view has no parameters")
        self._plan(statement, {})  # whatever is wrong with the query is said now
        self._views[name] = statement
        self._views_made += 1
        return nothing()

    def drop_view(self, name: str, *, missing_ok: bool) -> None:
        """Forgets a view. Raises UnknownTableError."""
        if name not in self._views and not missing_ok:
            raise UnknownTableError(f'there is no view "{name}"', hint=did_you_mean(name, self._views))
        self._views.pop(name, None)
        self._views_made += 1

    @property
    def views(self) -> tuple[str, ...]:
        """The names of the session's views."""
        return tuple(self._views)

    # Writing -------------------------------------------------------------------------------------------------------------------------------------

    def _write(self, statement: sql.Statement, parameters: Mapping[str, Any]) -> Result:
        if not self._allow_write:
            raise NotSupportedError(
                f"lakesql reads: {statement.verb} is turned off",
                hint="[engine] allow_write = true in lakesql.toml lets COPY TO and CREATE EXTERNAL TABLE through; lakes are never written",
            )
        return self._start(self._ready(statement, parameters))

    # Errors --------------------------------------------------------------------------------------------------------------------------------------

    def _explained(self, error: MissingFileError, sources: Sequence[_Source]) -> Error:
        """A missing data file, in the words of the format whose table names it."""
        for source in sources:
            explain_missing = getattr(source.snapshot, "explain_missing", None)
            if explain_missing is not None:
                explained: Error = explain_missing(error)
                if explained is not error:
                    return explained
        return error


@dataclass(frozen=True)
class _Plan:
    """Steps 2 to 6 of a statement. metadata: relations of metadata tables, by their engine names."""

    rendered: sql.Rendered
    sources: tuple[_Source, ...]
    scans: tuple[_Scan, ...]
    metadata: Mapping[str, Relation]
    bound: Bound
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Ready:
    """A statement that only has to be run, and what its result will say of it."""

    statement: sql.Statement
    parameters: Mapping[str, Any]
    sources: tuple[_Source, ...]
    prepared: Prepared
    snapshots: tuple[PinnedSnapshot, ...]
    scan_stats: ScanStats
    notices: tuple[str, ...]


@contextmanager
def _placed(statement: sql.Statement, rendered: sql.Rendered) -> Iterator[None]:
    """Gives the engine's complaints their place in the user's text: the parser's own line and column, or where the name stands that is unknown."""
    try:
        yield
    except SqlError as error:
        if error.sql is None:
            span = None
            if error.engine_position is not None:
                position = sql.source_position(rendered, *error.engine_position)
                span = None if position is None else sql.Span(position, position + 1)
            elif isinstance(error, UnknownColumnError | UnknownTableError):
                span = sql.locate(statement, error.name)
            if span is not None:
                sql.place(error, statement, span)
        raise


class _Watch:
    """Stops a statement's rows once their time is up. seconds: None for as long as it takes."""

    def __init__(self, rows: Rows, seconds: float | None) -> None:
        self.expired = False
        self._rows = rows
        self._timer = None if seconds is None else threading.Timer(seconds, self._expire)
        if self._timer is not None:
            self._timer.daemon = True
            self._timer.start()

    def stop(self) -> None:
        """The rows have ended by themselves."""
        if self._timer is not None:
            self._timer.cancel()

    def _expire(self) -> None:
        self.expired = True
        self._rows.close()


def _readable(batches: Iterator[pa.RecordBatch], sources: Sequence[_Source]) -> Iterator[pa.RecordBatch]:
    """The engine's plans in the statement's own names: tables by what the statement calls them, scans of files as such."""
    names = {s.engine_name: str(s.mention) for s in sources}
    for batch in batches:
        columns = []
        for values in batch.columns:
            if pa.types.is_string(values.type):
                # The longest first: __lakesql_1 begins __lakesql_12.
                for engine_name in sorted(names, key=len, reverse=True):
                    values = pc.replace_substring(values, engine_name, names[engine_name])
                values = pc.replace_substring(values, "?table?", "files")
            columns.append(values)
        yield pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def _whole(relation: Relation, columns: Sequence[str], schema: pa.Schema) -> Relation:
    """The relation with every column of `schema`, so that the statement's names mean what they meant when it was bound; those it does not read are null."""
    read = set(columns)
    expressions = tuple(Col(f.name) if f.name in read else Value(pa.scalar(None, f.type)) for f in schema)
    return Project(relation, tuple(schema.names), expressions)


def _is_state(sources: Sequence[_Source]) -> bool:
    """Whether all that a statement reads are tables at some state: neither metadata tables nor changes, which are put together anew each time."""
    return all(s.snapshot is not None and not s.is_feed for s in sources)


def _pinned(source: _Source) -> PinnedSnapshot:
    snapshot = source.snapshot
    version = snapshot.version if snapshot is not None else ""
    committed = instant(snapshot.committed_at_us) if snapshot is not None else None
    return PinnedSnapshot(_name(source.mention), source.table.location, source.table.format, version, committed)


def _visible(snapshot: Snapshot, used: frozenset[str]) -> pa.Schema:
    """The snapshot's columns, and those hidden ones that a statement with these identifiers reads."""
    return pa.schema([*snapshot.schema, *(f for f in snapshot.hidden if f.name.lower() in used and f.name not in snapshot.schema.names)])


def _name(mention: sql.Mention) -> str:
    """The table as the statement names it, without its clauses."""
    return str(mention)


def _with_options(table: Table, mention: sql.Mention, time_zone: str) -> Table:
    """The table, as a hint's scan options have it."""
    with_options = getattr(table, "with_options", None)
    if with_options is None:
        raise NotSupportedError(f"{table.format} tables take no scan options", hint="VERSION AS OF and TIMESTAMP AS OF name a state of any table")
    changed: Table = with_options(dict(mention.options), time_zone)
    return changed


def _notices(sources: Sequence[_Source]) -> tuple[str, ...]:
    """What formats say of the snapshots that were opened, each once."""
    return tuple(dict.fromkeys(f"{s.mention}: {notice}" for s in sources for notice in getattr(s.snapshot, "notices", ())))


def _as_text(value: pa.Scalar, text: str) -> str:
    if not value.is_valid:
        raise SqlError(f"{text} is NULL, not a version")
    return str(value.as_py())
