"""TAIL: the changes of one commit after another, each whole and in order, for as long as someone takes them.

    look      Table.commits       position -> the versions that follow it; none: wait, and look again
    read      a statement         SELECT * FROM t CHANGES FROM VERSION v TO VERSION v WHERE ...
    give      Committed           one commit's rows; the position is after it once they are taken

A store that does not answer is asked again, later and later; a version that expired ends the tail or is passed over, as `on_expired` says, and is named either
way. Rows of a commit are held back until they are all there, up to a size, so that a commit can be read again when its store fails in the middle.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lakesql import sql
from lakesql.changes import ChangesRequest, Commits, Edge
from lakesql.consumer_statements import start_position
from lakesql.consumer_store import Position
from lakesql.consumers import Read, identity_of, location_of, lost_after
from lakesql.errors import (
    AccessDeniedError,
    CatalogAccessError,
    CatalogError,
    ChangedColumnsError,
    Error,
    ExpiredVersionError,
    MissingFileError,
    NotSupportedError,
    QueryCancelledError,
    RecreatedTableError,
    SqlError,
    StorageError,
    did_you_mean,
)
from lakesql.result import Result
from lakesql.table import AtVersion, Latest, Table

if TYPE_CHECKING:
    from lakesql.session import Session

_HELD_BYTES = 64 << 20
"""Rows of one commit that are held back until all are there."""

_LONGEST_WAIT_SECONDS = 60.0
_ON_EXPIRED = ("stop", "skip")

Options = tuple[tuple[str, str | bool | tuple[str, ...]], ...]


@dataclass(frozen=True)
class Committed:
    """One commit's changes. rows: to be taken before the next commit is asked for; schema: theirs."""

    version: str
    schema: pa.Schema
    rows: Iterator[pa.RecordBatch]


class Tail:
    """Follows one table. say: told, in words, what cannot be told in rows; follow: False ends at the latest version.

    commits() gives each commit; once the next one is asked for, `position` is after the one before. Raises what statements raise, and RecreatedTableError.
    """

    def __init__(self, session: Session, statement: sql.Statement, parameters: Mapping[str, Any], say: Callable[[str], None]) -> None:
        clause = statement.tail
        assert clause is not None
        self._session = session
        self._clause = clause
        self._parameters = parameters
        self._say = say
        self._stopped = threading.Event()
        self._given, self._on_expired, self.follow = _split(clause.options)
        self._mention = statement.mentions[0]
        with sql.at(statement, self._mention.name_span):
            self._table = self._opened()
            self._identity = identity_of(self._table)
        self.read = Read((), is_complete=True, on_moved=self._advanced)
        self.position = self._begin()
        self.schema = self._schema()

    def commits(self) -> Iterator[Committed]:
        """The commits after the position, as they come."""
        while not self._stopped.is_set():
            for version in self._retried(self._versions) or ():
                committed = self._retried(lambda v=version: self._committed(v))  # type: ignore[misc]
                if self._stopped.is_set():
                    return
                if committed is not None:
                    yield committed
                    self.passed(version)
            if not self.follow:
                return
            self._stopped.wait(self._session.settings.poll_interval_seconds)

    def stop(self) -> None:
        """Ends it, from any thread."""
        self._stopped.set()

    @property
    def is_stopped(self) -> bool:
        return self._stopped.is_set()

    @property
    def resume(self) -> str:
        """Where a later TAIL goes on: `FROM VERSION 7 EXCLUSIVE`."""
        if self.position.version is None:
            return "FROM EARLIEST"
        return f"FROM VERSION {_literal(self.position.version)}{'' if self.position.included else ' EXCLUSIVE'}"

    # Where it stands -----------------------------------------------------------------------------------------------------------------------------

    def _begin(self) -> Position:
        clause, session = self._clause, self._session
        if clause.consumer is not None:
            position = session.consumers.position(clause.consumer, self._table)
            session.consumers.note(clause.consumer, self.read)
            return position
        start = clause.start or sql.StartClause(None, latest=True)
        base = Position("", self._identity.place, location_of(self._table), self._table.format, self._identity.made, None, included=True)
        return start_position(session, start, self._table, self._parameters, base)

    def _versions(self) -> tuple[str, ...]:
        """What follows the position now."""
        found = identity_of(self._table)
        if found.made != self._identity.made:
            raise RecreatedTableError(
                f"the table at {self._table.location} was made anew while it was followed: it is {found.made or 'without id'}, and was {self._identity.made}",
                hint="TAIL ... FROM EARLIEST reads the new table from its beginning",
            )
        try:
            return (
                self._session.consumers.following(self.position, self._table, ChangesRequest()).versions
                if self._clause.consumer
                else self._following().versions
            )
        except ExpiredVersionError as error:
            if self._on_expired == "stop":
                raise
            return self._skipped(error)

    def _following(self) -> Commits:
        start = None if self.position.version is None else Edge(AtVersion(self.position.version), exclusive=not self.position.included)
        commits: Commits = self._table.commits(ChangesRequest(start))  # type: ignore[attr-defined]
        return commits

    def _skipped(self, error: ExpiredVersionError) -> tuple[str, ...]:
        """What is left after versions that have expired. Raises the error where nothing is."""
        left: tuple[str, ...] = self._table.commits(ChangesRequest()).versions  # type: ignore[attr-defined]
        if not left:
            raise error
        lost = lost_after(self.position, self._table)
        self._say(f"changes {lost} were lost: {error.message}; going on with version {left[0]}")
        return left

    def passed(self, version: str) -> None:
        """The rows of this commit were taken."""
        if version == self.position.version and not self.position.included:
            return
        self.position = replace(self.position, version=version, included=False)
        if self._clause.consumer is not None:
            self.read.moved = (self.position,)

    def advanced(self) -> None:
        """Moves the consumer, where there is one, to the commit whose rows were taken last; to be called when they are safe.

        Raises ConsumerConflictError.
        """
        if self._clause.consumer is not None and self.read.moved:
            self._session.consumers.advance(self._clause.consumer)

    def _advanced(self, position: Position) -> None:
        """The consumer was moved by this session: what comes next follows that."""
        self.position = replace(self.position, stamp=position.stamp)
        self.read.moved = tuple(replace(p, stamp=position.stamp) for p in self.read.moved)

    # One commit ----------------------------------------------------------------------------------------------------------------------------------

    def _committed(self, version: str) -> Committed | None:
        """One commit's rows, all of them held where they are few; None where it has expired and is passed over."""
        try:
            result = self._select(version, version)
            batches = iter(result)
            held: list[pa.RecordBatch] = []
            size = 0
            for batch in batches:
                held.append(batch)
                size += batch.nbytes
                if size > _HELD_BYTES:
                    return Committed(version, result.schema, _chained(held, batches))
        except ExpiredVersionError as error:
            if self._on_expired == "stop":
                raise
            self._say(f"the changes of version {version} were lost: {error.message}")
            self.passed(version)
            return None
        return Committed(version, result.schema, iter(held))

    def _schema(self) -> pa.Schema:
        """The columns as they are now; and what is wrong with the statement is said before the first row."""
        latest = self._table.snapshot(Latest()).version
        if not latest:
            raise NotSupportedError(f"the table at {self._table.location} has no version yet", hint="TAIL it once something was committed")
        result = self._select(latest, latest, exclusive=True)
        result.close()
        return result.schema

    def _select(self, first: str, last: str, *, exclusive: bool = False) -> Result:
        clause = self._clause
        start = f"FROM VERSION {_literal(first)}{' EXCLUSIVE' if exclusive else ''}"
        text = f"SELECT * FROM {clause.table} CHANGES {start} TO VERSION {_literal(last)} {_with(self._given)} {clause.alias}"
        where = "" if clause.condition is None else f" WHERE {clause.condition}"
        text += where
        wanted = {p.key for p in sql.parse(text).placeholders}  # of the condition; those of the start were used already
        return self._session.execute(text, {k: v for k, v in self._parameters.items() if k in wanted} or None)

    def _opened(self) -> Table:
        table, metadata = self._session.resolver.table_of(self._mention)
        if metadata is not None:
            raise SqlError(f'"{self._mention}" is a metadata table, which has no commits of its own')
        return table

    # A store that does not answer ----------------------------------------------------------------------------------------------------------------

    def _retried(self, attempt: Callable[[], Any]) -> Any:
        """What the attempt gives, in the end."""
        wait = self._session.settings.poll_interval_seconds
        since = 0.0
        while True:
            try:
                found = attempt()
            except Error as error:
                if not _is_passing(error) or self._stopped.is_set():
                    raise
                since = since or time.monotonic()
                self._say(f"{error.message}; trying again in {wait:g} s")
                if self._stopped.wait(wait):
                    return None
                wait = min(wait * 2, max(_LONGEST_WAIT_SECONDS, self._session.settings.poll_interval_seconds))
                continue
            if since:
                self._say(f"the store answers again, after {time.monotonic() - since:.1f} s")
            return found


def run(session: Session, statement: sql.Statement, parameters: Mapping[str, Any]) -> Result:
    """TAIL as a statement: rows of one schema, in which the tail begins. Its notices grow while it runs.

    Where a commit changes the columns, it ends in ChangedColumnsError, before that commit's first row. ADVANCE CONSUMER moves to the last
    commit whose rows were all taken.
    """
    results: list[Result] = []

    def say(text: str) -> None:  # nothing is said before the rows begin
        for result in results:
            result.notices = (*result.notices, text)

    tail = Tail(session, statement, parameters, say)
    results.append(Result(tail.schema, _rows(tail), on_close=tail.stop))
    session.stop_with(tail)
    return results[0]


def _rows(tail: Tail) -> Iterator[pa.RecordBatch]:
    for committed in tail.commits():
        check_columns(tail, committed)
        yield from committed.rows
    if tail.is_stopped:
        raise QueryCancelledError(f"the tail was stopped; {tail.resume} goes on with it")


def check_columns(tail: Tail, committed: Committed) -> None:
    """Raises ChangedColumnsError where a commit's columns are not those in which the tail began."""
    if committed.schema.equals(tail.schema):
        return
    before, now = (dict(zip(s.names, s.types, strict=True)) for s in (tail.schema, committed.schema))
    told = [f"{n} is {now[n]}, was {before[n]}" for n in now if n in before and now[n] != before[n]]
    told += [f"{n} is new" for n in now if n not in before] + [f"{n} is gone" for n in before if n not in now]
    raise ChangedColumnsError(
        f"the columns changed in version {committed.version}: {', '.join(told) or 'their order'}",
        hint=f"TAIL ... {tail.resume} goes on with the columns as they are now",
    )


def _split(options: Options) -> tuple[Options, str, bool]:
    """Options for the feed, and TAIL's own: on_expired and follow. Raises SqlError."""
    own = dict(o for o in options if o[0] in ("on_expired", "follow"))
    on_expired, follow = own.get("on_expired", "stop"), own.get("follow", True)
    if on_expired not in _ON_EXPIRED:
        raise SqlError(f"on_expired is {on_expired!r}; expected {' or '.join(map(repr, _ON_EXPIRED))}", hint=did_you_mean(str(on_expired), _ON_EXPIRED))
    if not isinstance(follow, bool):
        raise SqlError(f"follow is {follow!r}; expected true or false")
    return tuple(o for o in options if o[0] not in own), str(on_expired), follow


def _is_passing(error: Error) -> bool:
    """Whether the same may work later."""
    return isinstance(error, StorageError | CatalogError) and not isinstance(error, MissingFileError | AccessDeniedError | CatalogAccessError)


def _chained(held: list[pa.RecordBatch], rest: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield from held
    held.clear()
    yield from rest


def _literal(version: str) -> str:
    return version if version.isdecimal() else "'" + version.replace("'", "''") + "'"


def _with(options: Options) -> str:
    """Options as a clause writes them."""
    texts = []
    for name, value in options:
        if isinstance(value, bool):
            texts.append(f"{name} = {str(value).lower()}")
        elif isinstance(value, tuple):
            texts.append(f"{name} = ({', '.join(sql.quoted(v) for v in value)})")
        else:
            texts.append(f"{name} = '{value}'")
    return f"WITH ({', '.join(texts)})" if texts else ""
