"""Named consumers: reading what came after a position that is kept on this machine, and moving it to what was read.

    reading     SELECT ... t CHANGES SINCE CONSUMER 'x'     the range is pinned: from the position to the latest version there is when the statement begins
    fetched     its last row is taken                       the session's `begin` and `complete` say so
    moved       ADVANCE CONSUMER 'x'                        to exactly that version, if the position is still the one that was read from

Reading changes no position: what was read and not advanced is read again. `consumer_store.py` keeps the positions, `consumer_statements.py` answers the
statements.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from lakesql.changes import ChangesRequest, Commits, Edge, Identity
from lakesql.consumer_store import NEVER, ConsumerStore, Position
from lakesql.errors import ConsumerError, Error, ExpiredVersionError, MissingFileError, NoSuchVersionError, NotSupportedError, RecreatedTableError, SqlError
from lakesql.relation import Relation
from lakesql.settings import Settings
from lakesql.table import AtVersion, FileSet, ScanRequest, Snapshot, Table

_EMPTY_TRIES = 5


class ConsumerFeed:
    """A feed that a consumer reads, as a Snapshot. moved: the position once all of it is read; None where there was nothing to read."""

    def __init__(self, feed: Snapshot, consumer: str, moved: Position | None, notices: tuple[str, ...]) -> None:
        self._feed = feed
        self.consumer = consumer
        self.moved = moved
        self.notices: tuple[str, ...] = (*getattr(feed, "notices", ()), *notices)

    @property
    def version(self) -> str:
        """See Snapshot."""
        return self._feed.version

    @property
    def committed_at_us(self) -> int | None:
        """See Snapshot."""
        return self._feed.committed_at_us

    @property
    def schema(self) -> pa.Schema:
        """See Snapshot."""
        return self._feed.schema

    @property
    def hidden(self) -> pa.Schema:
        """See Snapshot."""
        return self._feed.hidden

    def scan(self, request: ScanRequest) -> FileSet:
        """See Snapshot."""
        return self._feed.scan(request)

    def relate(self, files: FileSet, columns: Sequence[str]) -> Relation:
        """See Snapshot."""
        return self._feed.relate(files, columns)

    def explain_missing(self, error: MissingFileError) -> Error:
        """See Snapshot."""
        explain: Callable[[MissingFileError], Error] | None = getattr(self._feed, "explain_missing", None)
        return error if explain is None else explain(error)


@dataclass
class Read:
    """What a statement, or a tail, has read for one consumer. moved: the positions it leads to; is_complete: whether its rows were taken to the last; on_moved:
    of a tail, which goes on: told when the consumer was moved. is_left_out: whether rows were taken that nobody was given.
    """

    moved: tuple[Position, ...]
    is_complete: bool = False
    is_left_out: bool = False
    on_moved: Callable[[Position], None] | None = None


class Consumers:
    """The consumers of one session."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._reads: dict[str, Read] = {}
        self._lock = threading.Lock()

    @property
    def store(self) -> ConsumerStore:
        """The file that the settings name now."""
        return ConsumerStore(self._settings.consumers)

    # Reading -------------------------------------------------------------------------------------------------------------------------------------

    def feed(self, consumer: str, table: Table, request: ChangesRequest, read: Callable[[ChangesRequest], Snapshot]) -> ConsumerFeed:
        """The changes after the consumer's position, up to the request's end, or to the latest version there is.

        Raises RecreatedTableError, ExpiredVersionError where versions after the position are gone, NoSuchVersionError where the table does not have it.
        """
        position = self.position(consumer, table)
        notices = () if position.stamp != NEVER else (f'consumer "{consumer}" has no position yet: all that the table still tells is read',)
        for _ in range(_EMPTY_TRIES):
            commits = self.following(position, table, request)
            if commits.versions:
                first, last = commits.versions[0], commits.versions[-1]
                feed = read(replace(request, start=Edge(AtVersion(first)), end=Edge(AtVersion(last))))
                return ConsumerFeed(feed, consumer, replace(position, version=last, included=False), notices)
            if position.version is not None:
                here = AtVersion(position.version)
                start, end = Edge(here, exclusive=not position.included), Edge(here, exclusive=position.included)
                return ConsumerFeed(read(replace(request, start=start, end=end)), consumer, None, notices)
            feed = read(replace(request, start=None))
            if not commits_of(table, replace(request, start=None)).versions:  # still none, so the feed has none
                return ConsumerFeed(feed, consumer, None, notices)
        raise ConsumerError(f'consumer "{consumer}" cannot begin to read {table.location}: commits came and went meanwhile')

    def position(self, consumer: str, table: Table) -> Position:
        """Where the consumer stands; before everything that the table tells, where it has no position yet. Raises RecreatedTableError."""
        identity = identity_of(table)
        kept = self.store.get(consumer, identity.place)
        if kept is None:
            return Position(consumer, identity.place, location_of(table), table.format, identity.made, None, included=True)
        if kept.made != identity.made:
            raise RecreatedTableError(
                f'the table at {table.location} was made anew since consumer "{consumer}" read it: it is {identity.made or "without id"}, and the position, '
                f"{kept}, is of {kept.made or 'one without id'}",
                hint=f"RESET CONSUMER '{consumer}' reads the new table from its beginning",
            )
        return kept

    def following(self, position: Position, table: Table, request: ChangesRequest) -> Commits:
        """The versions after a position that are in the request's range. Its errors say which consumer it is, what was lost, and what can be done."""
        start = None if position.version is None else Edge(AtVersion(position.version), exclusive=not position.included)
        try:
            commits = commits_of(table, replace(request, start=start))
        except (ExpiredVersionError, NoSuchVersionError) as error:
            raise self._misplaced(error, position, table) from error
        if position.version is None and position.stamp != NEVER and commits.versions and not commits.from_first:
            lost = ExpiredVersionError(f"the first version that can still be told is {commits.versions[0]}")
            raise self._misplaced(lost, position, table)
        return commits

    def _misplaced(self, error: Error, position: Position, table: Table) -> Error:
        kind = type(error)
        lost = ""
        if isinstance(error, ExpiredVersionError):
            lost = f"; what was changed {lost_after(position, table)} is lost to it"
        message = f'consumer "{position.consumer}" stands at {position} in {position.location}: {error.message}{lost}'
        return kind(
            message, hint=f"RESET CONSUMER '{position.consumer}' goes on with what is left, RESET CONSUMER '{position.consumer}' TO LATEST with what comes"
        )

    # What was read -------------------------------------------------------------------------------------------------------------------------------

    def begin(self, feeds: Sequence[ConsumerFeed]) -> tuple[Callable[[], None], Callable[[], None]]:
        """Notes that a statement with these feeds runs, in place of what was read before with the same consumers. The first is to be called when its
        last row is taken, the second where rows that were taken are not given to anybody.

        Raises SqlError where it reads one table twice with one consumer, up to different versions.
        """
        reads: dict[str, Read] = {}
        for feed in feeds:
            read = reads.setdefault(feed.consumer, Read(()))
            same = [p for p in read.moved if feed.moved is not None and p.place == feed.moved.place]
            if same and same[0] != feed.moved:
                raise SqlError(f'consumer "{feed.consumer}" reads one table up to two versions, {same[0]} and {feed.moved}')
            if feed.moved is not None and not same:
                read.moved = (*read.moved, feed.moved)
        with self._lock:
            self._reads |= reads

        def complete() -> None:
            for read in reads.values():
                read.is_complete = True

        def leave_out() -> None:
            for read in reads.values():
                read.is_left_out = True

        return complete, leave_out

    def note(self, consumer: str, read: Read) -> None:
        """What a tail reads, which goes on changing."""
        with self._lock:
            self._reads[consumer] = read

    def advance(self, consumer: str, place: str | None = None) -> list[Position]:
        """Moves to what was last read: of the table at a place, None for all. Gives the new positions, none where there was nothing to read.

        Raises ConsumerError where nothing was read, or not to its end; ConsumerConflictError.
        """
        with self._lock:
            read = self._reads.get(consumer)
        if read is None:
            raise ConsumerError(
                f'consumer "{consumer}" has read nothing in this connection that it could advance to',
                hint=f"SELECT * FROM t CHANGES SINCE CONSUMER '{consumer}' first, or say ADVANCE CONSUMER '{consumer}' TO VERSION b",
            )
        if not read.is_complete or read.is_left_out:
            raise ConsumerError(
                f'the last read of consumer "{consumer}" was not fetched to its end', hint="fetch all of its rows, or read again; nothing was moved"
            )
        wanted = [p for p in read.moved if place is None or p.place == place]
        moved = self.store.move(wanted)
        with self._lock:
            read.moved = tuple(p for p in read.moved if p not in wanted)
            if read.on_moved is not None:
                for position in moved:
                    read.on_moved(position)
            elif not read.moved and self._reads.get(consumer) is read:
                del self._reads[consumer]
        return moved

    def move(self, position: Position) -> Position:
        """Moves one position. Raises ConsumerConflictError."""
        return self.store.move([position])[0]


def tracked(batches: Iterator[Any], complete: Callable[[], None]) -> Iterator[Any]:
    """The batches; says so when the last was taken and another asked for."""
    yield from batches
    complete()


def commits_of(table: Table, request: ChangesRequest) -> Commits:
    """The versions of a range. Raises NotSupportedError for a format that does not tell, else as Table.changes."""
    offered: Callable[[ChangesRequest], Commits] | None = getattr(table, "commits", None)
    if offered is None:
        raise NotSupportedError(
            f"commits of {table.format} tables are not followed yet", hint="CHANGES FROM VERSION a reads a range, where the format has feeds"
        )
    return offered(request)


def identity_of(table: Table) -> Identity:
    """Which table it is. Raises NotSupportedError for a format that does not tell."""
    offered: Callable[[], Identity] | None = getattr(table, "identity", None)
    if offered is None:
        raise NotSupportedError(f"{table.format} tables have no consumers yet", hint="CHANGES FROM VERSION a reads a range, where the format has feeds")
    return offered()


def location_of(table: Table) -> str:
    """Where the table is, without the branch or state that is named of it."""
    return table.location.partition("$")[0]


def lost_after(position: Position, table: Table) -> str:
    """Which changes can no longer be told, in words: `after version 3 and before version 9`."""
    try:
        left = commits_of(table, ChangesRequest()).versions
    except Error:
        left = ()
    parts = []
    if position.version is not None:
        parts.append(f"from version {position.version} on" if position.included else f"after version {position.version}")
    parts += [f"before version {left[0]}"] if left else [] if parts else ["so far"]
    return " and ".join(parts)
