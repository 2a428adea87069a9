"""A table opened for programs that scan it themselves: steps 2, 3, 5 and 6 of a statement's life without a statement.

The table, a range of its changes, or a metadata table is resolved as SQL would resolve it, pinned, and asked for files by columns and predicates.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lakesql import answers, sql
from lakesql.catalogs import Catalogs
from lakesql.config import Config, load_config
from lakesql.consumers import ConsumerFeed, Consumers
from lakesql.engines import BoundScan, open_engine
from lakesql.errors import Error, MissingFileError, NotSupportedError, ParameterError, RecreatedTableError, UnknownTableError
from lakesql.location import absolute
from lakesql.predicate import Predicate
from lakesql.relation import Col, Project, Relation
from lakesql.resolving import Resolver, Source
from lakesql.result import PinnedSnapshot, instant
from lakesql.settings import Settings
from lakesql.storage import Storage
from lakesql.table import AtVersion, Latest, ScanRequest, Table

Point = str | int | datetime | date
Range = str | tuple[Point, Point | None]


@dataclass(frozen=True)
class Reference:
    """What was asked for. ref: a path or a name; version, at, changes: as `lakesql.dataset` takes them; target: absolute; config: as it was loaded; pinned: the
    version that was found, "" before and where there is none; made: what tells the table that was found from another made at its place later.
    """

    ref: str
    version: str | int | None
    at: Point | None
    changes: Range | None
    target: str | None
    config: Config
    pinned: str = ""
    made: str = ""

    @classmethod
    def of(cls, ref: str, version: str | int | None, at: Point | None, changes: Range | None, target: str | None, config: str | Config | None) -> Reference:
        """Raises ConfigError, ParameterError."""
        if sum(x is not None for x in (version, at, changes)) > 1:
            raise ParameterError("version, at and changes name one state each: give one of them")
        loaded = config if isinstance(config, Config) else load_config(target, config)
        return cls(absolute(ref) if is_path(ref) else ref, version, at, changes, None if target is None else absolute(target), loaded)

    @property
    def text(self) -> str:
        """The statement that reads it."""
        named = sql_text(self.ref) if is_path(self.ref) else self.ref if '"' in self.ref else ".".join(map(sql.quoted, self.ref.split(".")))
        return f"SELECT * FROM {named}{self._clause()}"

    def _clause(self) -> str:
        if self.changes is not None:
            if isinstance(self.changes, str):
                return f" CHANGES {self.changes}"
            start, end = self.changes
            until = f" TO {_point(end)}" if end is not None else f" TO {_point(_version(self.pinned))}" if self.pinned else ""
            return f" CHANGES FROM {_point(start)}{until}"
        if self.version is not None:
            return f" VERSION AS OF {_literal(self.version)}"
        return "" if self.at is None else f" TIMESTAMP AS OF {_literal(self.at)}"


def is_path(ref: str) -> bool:
    """Whether a reference is a path and not a name."""
    return "/" in ref or "\\" in ref or ref.startswith(".")


def sql_text(value: str) -> str:
    """A text as SQL has it."""
    doubled = value.replace("'", "''")
    return f"'{doubled}'"


def _version(text: str) -> str | int:
    return int(text) if re.fullmatch(r"-?\d{1,19}", text) else text


def _literal(value: Point) -> str:
    if isinstance(value, datetime | date):
        return sql_text(value.isoformat())
    return str(value) if isinstance(value, int) else sql_text(value)


def _point(value: Point) -> str:
    return f"{'TIMESTAMP' if isinstance(value, datetime | date) else 'VERSION'} {_literal(value)}"


class Opened:
    """One table at one state. reference: as it was opened, pinned."""

    def __init__(self, reference: Reference, source: Source, storage: Storage) -> None:
        self.reference = reference
        self.storage = storage
        self._source = source
        snapshot = source.snapshot
        committed = None if snapshot is None else instant(snapshot.committed_at_us)
        version = "" if snapshot is None else snapshot.version
        self.snapshot = PinnedSnapshot(str(source.mention), source.table.location, source.table.format, version, committed)

    @classmethod
    def open(cls, reference: Reference) -> Opened:
        """The table; of a reference that is pinned, at the very version. Raises UnknownTableError, NotATableError, NoSuchVersionError, ExpiredVersionError,
        RecreatedTableError, MetadataError, UnsupportedFeatureError.
        """
        catalogs = Catalogs.for_target(reference.target, config=reference.config)
        settings = Settings.of(reference.config)

        def evaluate(expression: str, parameters: Mapping[str, Any]) -> pa.Scalar:
            engine = open_engine(reference.config.engine.name, storage=catalogs.storage, time_zone=settings.time_zone)  # few references have any
            return engine.evaluate(expression, parameters)

        resolver = Resolver(catalogs, settings, evaluate, Consumers(settings))
        source = _resolved(resolver, reference)
        reference = _same_table(reference, source.table)
        if reference.changes is not None and not isinstance(reference.changes, str) and reference.changes[1] is None and not reference.pinned:
            reference = replace(reference, pinned=source.table.snapshot(Latest()).version)
            source = _resolved(resolver, reference)
        elif source.snapshot is not None and not source.is_feed and source.snapshot.version != reference.pinned:
            if reference.pinned:
                return cls(reference, _at(source, reference.pinned), catalogs.storage)
            reference = replace(reference, pinned=source.snapshot.version)
        return cls(reference, source, catalogs.storage)

    @property
    def schema(self) -> pa.Schema:
        """The table's columns."""
        return self._source.schema

    @property
    def known(self) -> pa.Schema:
        """The columns that can be named: the table's, then hidden ones."""
        snapshot = self._source.snapshot
        return self.schema if snapshot is None else pa.schema([*self.schema, *(f for f in snapshot.hidden if f.name not in self.schema.names)])

    def count(self) -> int | None:
        """How many rows there are, where metadata and delete files tell. Raises as `scan`."""
        if self._source.snapshot is None:
            return None
        try:
            files = self._source.snapshot.scan(ScanRequest(()))
            live = files.live_rows if not files.live_rows.null_count else None if files.count_rows is None else files.count_rows()
        except MissingFileError as error:
            raise self.explained(error) from error
        return None if live is None else int(pc.sum(live, min_count=0).as_py())

    def scan(self, columns: Sequence[str], predicates: Sequence[Predicate]) -> Relation:
        """How the rows that may satisfy the predicates come about, with at least these columns.

        Raises MissingFileError, MetadataError, UnsupportedFeatureError.
        """
        if self._source.snapshot is None:
            assert self._source.relation is not None
            return self._source.relation
        try:
            files = self._source.snapshot.scan(ScanRequest(tuple(columns), tuple(predicates)))
            wanted = pa.schema([self.known.field(n) for n in columns])
            known = answers.from_metadata(files, BoundScan(tuple(columns), tuple(predicates)), wanted)
            relation = known if known is not None else self._source.snapshot.relate(files, columns)
        except MissingFileError as error:
            raise self.explained(error) from error
        return Project(relation, tuple(columns), tuple(Col(n) for n in columns))

    def explained(self, error: MissingFileError) -> Error:
        """A missing file in the words of the table's format."""
        explain = getattr(self._source.snapshot, "explain_missing", None)
        found: Error = error if explain is None else explain(error)
        return found


def _resolved(resolver: Resolver, reference: Reference) -> Source:
    statement = sql.parse(reference.text)
    if len(statement.mentions) != 1:
        raise UnknownTableError(f'"{reference.ref}" names no one table')
    sources, _ = resolver.resolve(statement, {})
    if len(sources) != 1:
        raise UnknownTableError(f'"{reference.ref}" names no one table')
    if isinstance(sources[0].snapshot, ConsumerFeed):
        raise NotSupportedError("a dataset has no consumer's position to move", hint="read from the position with SQL, or name versions")
    return sources[0]


def _same_table(reference: Reference, table: Table) -> Reference:
    """The reference with what tells the table from others. Raises RecreatedTableError where it had been found to be another."""
    identity = getattr(table, "identity", None)
    made = "" if identity is None else identity().made
    if reference.made and made != reference.made:
        raise RecreatedTableError(
            f"the table at {table.location} is not the one that was opened: it was made anew since", hint="open it anew; the old one's rows are gone"
        )
    return replace(reference, made=made)


def _at(source: Source, version: str) -> Source:
    """The source at another version of its table, by the version's own name."""
    snapshot = source.table.snapshot(AtVersion(version))
    return Source(source.mention, source.engine_name, source.table, snapshot.schema, snapshot=snapshot)
