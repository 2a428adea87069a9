"""The life of a statement: the one module that sees every stage.

    1. parse     sql.parse                 text -> Statement: kind, table mentions, placeholders
    2. resolve   resolving.Resolver        mention -> Table, by the catalogs
    3. open      Table.snapshot            Table + AS OF -> Snapshot (pinned: one version per table and statement), or the relation of a metadata table;
                 Table.changes             Table + CHANGES -> Snapshot of the rows of a range of changes
                 differences.Difference    two Snapshots -> Snapshot of the rows in which they differ
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

import difflib
import threading
import weakref
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lakesql import answers, catalog_statements, consumer_statements, explain, renames, sql, tailing, travel
from lakesql.catalogs import Catalogs, TableEntry
from lakesql.config import Config, load_config
from lakesql.consumers import ConsumerFeed, Consumers, tracked
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
from lakesql.resolving import Resolver, Source
from lakesql.result import PinnedSnapshot, Result, ScanProgress, ScanStats, TableScanStats, instant, nothing
from lakesql.settings import Settings
from lakesql.table import FileSet, ScanRequest


@dataclass(frozen=True)
class _Scan:
    """A source, bound and pruned."""

    source: Source
    scan: BoundScan
    files: FileSet
    relation: Relation
    answered: bool


_VERBS = ("SELECT", "WITH", "VALUES", "DIFF", "TAIL", "EXPLAIN", "DESCRIBE", "SHOW", "SET", "RESET", "CHECK", "ADVANCE", "CREATE", "DROP")
_STATEMENTS = (
    "there are SELECT, WITH, VALUES, DIFF, TAIL, EXPLAIN, DESCRIBE, SHOW, SET, RESET, CHECK CHANGES, CREATE and DROP VIEW or CONSUMER, ADVANCE CONSUMER"
)

_FILES_KEPT = 20_000
"""Plans over more files are not kept: their lists are large, and reading that many files takes longer than planning."""


class Session:
    """Runs statements, one after another or from several threads: each has its own names in the engine."""

    def __init__(
        self,
        catalogs: Catalogs,
        engine: Engine,
        settings: Settings,
        *,
        allow_write: bool = False,
        timeout_seconds: float | None = None,
    ) -> None:
        self.catalogs = catalogs
        self.settings = settings
        self.consumers = Consumers(settings)
        host_table = None if engine.host is None else engine.host.table
        self.resolver = Resolver(catalogs, settings, engine.evaluate, self.consumers, host_table=host_table)
        self._engine = engine
        self._allow_write = allow_write
        self._timeout_seconds = timeout_seconds
        self._views_made = 0
        self._kept: Kept[Ready] = Kept(PLANS_KEPT)
        self._running: set[Rows] = set()
        self._tails: weakref.WeakSet[tailing.Tail] = weakref.WeakSet()
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
        context: Any = None,
    ) -> Session:
        """A session on what `target` names (a table, a directory of tables, a lakesql.toml, or None), on `tables` by name, and on the configuration.

        context: a session of the engine's own kind that is another program's, to plan in; its tables can be named next to those of lakes.

        Raises ConfigError, NotATableError, AmbiguousTableError.
        """
        loaded = load_config(target, config)
        catalogs = Catalogs.for_target(target, tables=tables or {}, config=loaded)
        zone = loaded.session.time_zone
        settings = Settings.of(loaded, travel.at_default(as_of if as_of is not None else loaded.session.as_of, zone))
        options = loaded.engine
        opened = open_engine(
            engine or options.name,
            storage=catalogs.storage,
            memory_limit_bytes=options.memory_limit_bytes,
            target_partitions=options.target_partitions,
            batch_size=options.batch_size,
            time_zone=settings.time_zone,
            allow_write=options.allow_write,
            context=context,
        )
        return cls(catalogs, opened, settings, allow_write=options.allow_write, timeout_seconds=options.timeout_seconds)

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
                with sql.at(statement, sql.Span(0, len("CREATE"))):
                    return self._create_view(statement)
            case sql.Kind.WRITE:
                with sql.at(statement, sql.Span(0, len(statement.verb))):
                    return self._write(statement, bound)
            case sql.Kind.CONSUMER:
                with sql.at(statement, sql.subject(statement)):
                    return consumer_statements.run(self, statement, bound)
            case sql.Kind.TAIL:
                with sql.at(statement, sql.subject(statement)):
                    return tailing.run(self, statement, bound)
            case sql.Kind.OTHER:
                raise SqlError(
                    f"no statement begins with {statement.verb}",
                    sql=statement.text,
                    position=0,
                    length=len(statement.verb),
                    hint=_close_verb(statement.verb) or _STATEMENTS,
                )
            case _:
                return catalog_statements.run(self, statement, bound)

    def planned(self, text: str, parameters: Sequence[Any] | Mapping[str, Any] | None = None) -> Ready | Result:
        """One statement, planned but not run: for whoever runs it by the engine itself. What needs no engine has its result at once.

        Raises as `execute` does, but for what only reading files can tell.
        """
        statement = sql.parse(text)
        if statement.kind is sql.Kind.TAIL:
            raise NotSupportedError("TAIL has no end, and cannot be planned as one query", hint="t CHANGES FROM VERSION a is what changed since a")
        if statement.kind not in (sql.Kind.QUERY, sql.Kind.EXPLAIN, sql.Kind.DESCRIBE_QUERY):
            return self.execute(text, parameters)
        return self._ready(statement, sql.bind_parameters(statement, parameters))

    def close(self) -> None:
        """Stops what still runs, and lets go of catalogs."""
        self.cancel()
        self.catalogs.close()

    def cancel(self) -> None:
        """Stops the statements that run now; from any thread. Their rows end in QueryCancelledError."""
        with self._lock:
            running, tails = list(self._running), list(self._tails)
        for rows in running:
            rows.close()
        for tail in tails:
            tail.stop()

    def stop_with(self, tail: tailing.Tail) -> None:
        """Has `cancel` stop this one too, for as long as someone holds it."""
        with self._lock:
            self._tails.add(tail)

    # Queries -------------------------------------------------------------------------------------------------------------------------------------

    def _ready(self, statement: sql.Statement, parameters: Mapping[str, Any], key: Hashable | None = None) -> Ready:
        """Steps 2 to 7; what comes of them is kept under the key where it may be used again."""
        plan = self._plan(statement, parameters)
        relations = {**{s.source.engine_name: s.relation for s in plan.scans}, **plan.metadata}
        try:
            with _placed(statement, plan.rendered):
                prepared = self._engine.prepare(plan.rendered.text, relations, plan.bound, parameters)
        except MissingFileError as error:
            raise self._explained(error, plan.sources) from error
        stats = ScanStats(tuple(TableScanStats(_name(s.source.mention), s.files.report) for s in plan.scans))
        ready = Ready(statement, parameters, plan.sources, prepared, tuple(_pinned(s) for s in plan.sources), stats, plan.notices)
        if key is not None and prepared.repeatable and _is_state(plan.sources) and stats.files_total <= _FILES_KEPT and not reads_clock(plan.rendered.text):
            self._kept.put(key, ready)
        return ready

    def _is_current(self, ready: Ready) -> bool:
        """Whether every table still has the snapshot that was planned for. What is wrong with a table is said when the statement is planned again."""
        entries: dict[str, TableEntry] = {}
        try:
            for source in ready.sources:
                table, _, metadata = self.resolver.named(source.mention, entries)
                if metadata is not None or table.snapshot(self.resolver.at_of(source.mention, ready.parameters, table)) is not source.snapshot:
                    return False
        except Error:
            return False
        return True

    def _start(self, ready: Ready) -> Result:
        """Step 8."""
        feeds = [s.snapshot for s in ready.sources if isinstance(s.snapshot, ConsumerFeed)]
        noted = self.consumers.begin(feeds) if feeds and ready.statement.kind in (sql.Kind.QUERY, sql.Kind.WRITE) else None
        try:
            rows = ready.prepared.run()
        except MissingFileError as error:
            raise self._explained(error, ready.sources) from error
        with self._lock:
            self._running.add(rows)
        batches = self._streamed(rows, ready.sources)
        if noted is not None:
            batches = tracked(batches, noted[0])
        return Result(
            rows.schema,
            _readable(batches, ready.sources) if ready.statement.kind is sql.Kind.EXPLAIN else batches,
            snapshots=ready.snapshots,
            scan_stats=ready.scan_stats,
            notices=ready.notices,
            on_close=rows.close,
            on_left_out=(lambda: None) if noted is None else noted[1],
            progress=lambda: _progress(rows),
        )

    def _streamed(self, rows: Rows, sources: Sequence[Source]) -> Iterator[pa.RecordBatch]:
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
        sources, rendered = self.resolver.resolve(statement, parameters)
        try:
            with _placed(statement, rendered):
                bound = self._engine.bind(rendered.text, {s.engine_name: s.schema for s in sources}, parameters)
        except UnknownColumnError as error:
            renames.explain(error, [s.table for s in sources])
            raise
        scans, metadata = [], {}
        for source in sources:
            if source.snapshot is None:
                assert source.relation is not None
                metadata[source.engine_name] = source.relation
            else:
                scans.append(self._scan(source, bound.scans[source.engine_name]))
        return _Plan(rendered, sources, tuple(scans), metadata, bound, _notices(sources))

    def _scan(self, source: Source, scan: BoundScan) -> _Scan:
        assert source.snapshot is not None
        files = source.snapshot.scan(ScanRequest(scan.columns, scan.predicates, prune=self.settings.prune))
        known = answers.from_metadata(files, scan, source.schema) if self.settings.prune else None
        relation = known if known is not None else _whole(source.snapshot.relate(files, scan.columns), scan.columns, source.schema)
        return _Scan(source, scan, files, relation, answered=known is not None)

    # Views ---------------------------------------------------------------------------------------------------------------------------------------

    def _create_view(self, statement: sql.Statement) -> Result:
        """Keeps the query's text under the name; the view lives as long as the session and sees new commits."""
        assert statement.view is not None
        name = statement.view.name
        if name in self.resolver.views and not statement.view.replace:
            raise SqlError(f'view "{name}" is there already', hint="CREATE OR REPLACE VIEW replaces it")
        if statement.placeholders:
            raise ParameterError("a view has no parameters")
        self._plan(statement, {})  # whatever is wrong with the query is said now
        self.resolver.views[name] = statement
        self._views_made += 1
        return nothing()

    def drop_view(self, name: str, *, missing_ok: bool) -> None:
        """Forgets a view. Raises UnknownTableError."""
        if name not in self.resolver.views and not missing_ok:
            raise UnknownTableError(f'there is no view "{name}"', hint=did_you_mean(name, self.resolver.views))
        self.resolver.views.pop(name, None)
        self._views_made += 1

    def functions(self) -> tuple[tuple[str, str, str, str], ...]:
        """The engine's functions: name, kind, how they are called, what they do. Empty where the engine does not say."""
        return getattr(self._engine, "functions", tuple)()

    @property
    def views(self) -> tuple[str, ...]:
        """The names of the session's views."""
        return tuple(self.resolver.views)

    # Writing -------------------------------------------------------------------------------------------------------------------------------------

    def _write(self, statement: sql.Statement, parameters: Mapping[str, Any]) -> Result:
        if not self._allow_write:
            raise NotSupportedError(
                f"lakesql reads: {statement.verb} is turned off",
                hint="[engine] allow_write = true in lakesql.toml lets COPY TO and CREATE EXTERNAL TABLE through; lakes are never written",
            )
        return self._start(self._ready(statement, parameters))

    # Errors --------------------------------------------------------------------------------------------------------------------------------------

    def _explained(self, error: MissingFileError, sources: Sequence[Source]) -> Error:
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
    sources: tuple[Source, ...]
    scans: tuple[_Scan, ...]
    metadata: Mapping[str, Relation]
    bound: Bound
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ready:
    """A statement that only has to be run, and what its result will say of it."""

    statement: sql.Statement
    parameters: Mapping[str, Any]
    sources: tuple[Source, ...]
    prepared: Prepared
    snapshots: tuple[PinnedSnapshot, ...]
    scan_stats: ScanStats
    notices: tuple[str, ...]


@contextmanager
def _placed(statement: sql.Statement, rendered: sql.Rendered) -> Iterator[None]:
    """Gives the engine's complaints their place in the user's text: the parser's own line and column, or where what they name stands."""
    try:
        yield
    except Error as error:
        sql.place_engines(error, statement, rendered)
        raise


def _close_verb(verb: str) -> str | None:
    """The beginning that was meant, where one is close."""
    close = difflib.get_close_matches(verb, _VERBS, n=1, cutoff=0.7)
    return f'did you mean "{close[0]}"?' if close else None


def _progress(rows: Rows) -> ScanProgress | None:
    counted = getattr(rows, "progress", None)
    counts = None if counted is None else counted()
    return None if counts is None else ScanProgress(*counts)


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


def _readable(batches: Iterator[pa.RecordBatch], sources: Sequence[Source]) -> Iterator[pa.RecordBatch]:
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


def _is_state(sources: Sequence[Source]) -> bool:
    """Whether all that a statement reads are tables at some state: neither metadata tables nor changes, which are put together anew each time."""
    return all(s.snapshot is not None and not s.is_feed for s in sources)


def _pinned(source: Source) -> PinnedSnapshot:
    snapshot = source.snapshot
    version = snapshot.version if snapshot is not None else ""
    committed = instant(snapshot.committed_at_us) if snapshot is not None else None
    return PinnedSnapshot(_name(source.mention), source.table.location, source.table.format, version, committed)


def _name(mention: sql.Mention) -> str:
    """The table as the statement names it, without its clauses."""
    return str(mention)


def _notices(sources: Sequence[Source]) -> tuple[str, ...]:
    """What formats say of the snapshots that were opened, each once."""
    return tuple(dict.fromkeys(f"{s.mention}: {notice}" for s in sources for notice in getattr(s.snapshot, "notices", ())))
