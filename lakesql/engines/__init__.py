"""Engines: Relation -> the engine's own plan -> rows, and before that, SQL text -> what each scan needs.

An engine knows nothing of formats, versions or catalogs. It is asked twice for every statement: `bind`, with schemas only, to learn which columns and
predicates reach each scan; then `run`, with a relation for each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from lakesql.errors import ConfigError, did_you_mean
from lakesql.predicate import Predicate
from lakesql.relation import Relation


@dataclass(frozen=True)
class BoundScan:
    """What a statement needs of one of its tables, after the engine's optimiser.

    columns: names, in the table's order. predicates: conjuncts every row must satisfy to matter; where the table is scanned more than once, those common to
    all scans.
    only_extremes: the statement reads nothing but min, max and count of these columns (and count(*)), ungrouped, so that rows with the same extremes and
    counts serve as well; None where it reads more.
    """

    columns: tuple[str, ...]
    predicates: tuple[Predicate, ...] = ()
    only_extremes: frozenset[str] | None = None


@dataclass(frozen=True)
class Bound:
    """A statement bound to schemas. scans: by table name as `bind` was given it. hints: what the engine wants to know again in `run`; nobody else looks at
    it.
    """

    scans: Mapping[str, BoundScan]
    hints: Any = None


class Rows(Protocol):
    """A running statement. Iterating gives record batches of `schema`; close() stops the work and may be called from any thread."""

    @property
    def schema(self) -> pa.Schema: ...
    def __iter__(self) -> Iterator[pa.RecordBatch]: ...
    def close(self) -> None: ...

    # May also offer
    #   progress() -> tuple[int, int, int] | None            files opened, bytes and rows read by scans so far; None before it has begun. From any thread.


class Prepared(Protocol):
    """A statement planned over relations. repeatable: it may be kept and run again, over the same files; those that hold much in memory are not. frame: it, in
    the engine's own terms, for those who asked for that engine.
    """

    @property
    def repeatable(self) -> bool: ...
    @property
    def frame(self) -> Any: ...

    def run(self) -> Rows:
        """Starts it. Raises MissingFileError where a file has gone."""
        ...


class Host(Protocol):
    """The session that an engine was set into: another program's, with tables of its own."""

    def table(self, parts: Sequence[str]) -> tuple[str, pa.Schema] | None:
        """The table that a name means there, as the engine's text names it and with its columns; None for none. parts: in the case in which they are meant."""
        ...


class Engine(Protocol):
    """Plans and runs SQL over relations. Raises SqlError and its kind, EngineError, MissingFileError, DataFileError, QueryCancelledError.

    host: the session it was set into, None for one of its own.
    """

    @property
    def host(self) -> Host | None: ...

    def bind(self, sql: str, tables: Mapping[str, pa.Schema], parameters: Mapping[str, Any]) -> Bound:
        """What `sql`, which calls its tables by the names in `tables`, needs of each. Reads no file."""
        ...

    def prepare(self, sql: str, relations: Mapping[str, Relation], bound: Bound, parameters: Mapping[str, Any]) -> Prepared:
        """Plans `sql` over the relations."""
        ...

    def run(self, sql: str, relations: Mapping[str, Relation], bound: Bound, parameters: Mapping[str, Any]) -> Rows:
        """Plans `sql` over the relations and starts it."""
        ...

    def evaluate(self, expression: str, parameters: Mapping[str, Any]) -> pa.Scalar:
        """The value of an expression that reads no table."""
        ...


def _datafusion(**options: Any) -> Engine:
    from lakesql.engines.datafusion.engine import DataFusionEngine  # the engine takes most of a second to import

    return DataFusionEngine(**options)


ENGINES: Mapping[str, Callable[..., Engine]] = {"datafusion": _datafusion}


def open_engine(name: str, **options: Any) -> Engine:
    """The engine of that name. Raises ConfigError with the names there are."""
    if name not in ENGINES:
        raise ConfigError(f'no engine is called "{name}"', hint=did_you_mean(name, ENGINES))
    return ENGINES[name](**options)
