"""Positions of named consumers: rows of one SQLite file on this machine, shared by every process of its user.

Each change is a transaction of its own that holds the file's write lock from its beginning, and asks that the position is still the one that was read: a
number drawn anew with every change (`stamp`) tells. The file is its owner's alone.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from lakesql.errors import ConfigError, ConsumerConflictError, OperationalError
from lakesql.location import is_local

_WAIT_SECONDS = 30.0
_TABLE = """CREATE TABLE IF NOT EXISTS positions (
    consumer TEXT NOT NULL, place TEXT NOT NULL, location TEXT NOT NULL, format TEXT NOT NULL, made TEXT NOT NULL, version TEXT, included INTEGER NOT NULL,
    advanced_us INTEGER NOT NULL, stamp INTEGER NOT NULL, PRIMARY KEY (consumer, place)) WITHOUT ROWID"""
_COLUMNS = "consumer, place, location, format, made, version, included, advanced_us, stamp"
NEVER = 0
"""The stamp of a position that is not there yet."""


@dataclass(frozen=True)
class Position:
    """Where a consumer stands in a table.

    place, made: see changes.Identity; location: where the table is opened. version: None before the first version; included: whether that version is still to
    be read. advanced_us: when it came there, microseconds UTC. stamp: of the position that this one follows, or NEVER.
    """

    consumer: str
    place: str
    location: str
    format: str
    made: str
    version: str | None
    included: bool
    advanced_us: int = 0
    stamp: int = NEVER

    def __str__(self) -> str:
        if self.version is None:
            return "earliest"
        return f"before {self.version}" if self.included else self.version


class ConsumerStore:
    """The file at `path`, made with its folder when something is first written. Safe for several threads and processes."""

    def __init__(self, path: str) -> None:
        self.path = path

    def get(self, consumer: str, place: str) -> Position | None:
        """A consumer's position in the table at a place. Raises OperationalError where the file cannot be read."""
        return next(iter(self._read("WHERE consumer = ? AND place = ?", (consumer, place))), None)

    def all(self, consumer: str | None = None) -> list[Position]:
        """Every position, or those of one consumer, in order of consumer and place."""
        return self._read("", ()) if consumer is None else self._read("WHERE consumer = ?", (consumer,))

    def move(self, positions: Sequence[Position]) -> list[Position]:
        """Makes all of these the current ones, or none; gives them with their new stamps.

        Raises ConsumerConflictError where one does not follow the position that is there, ConfigError where the file would lie within one of the tables.
        """
        for position in positions:
            if is_local(position.location) and os.path.realpath(self.path).startswith(os.path.join(os.path.realpath(position.location), "")):
                raise ConfigError(
                    f'positions of consumers are kept in "{self.path}", within the table at {position.location}',
                    hint="SET lakesql.consumers = 'FILE' names another",
                )
        moved: list[Position] = []
        if not positions:
            return moved
        with self._writing() as database:
            for p in positions:
                self._check(database, p)
                row = (p.consumer, p.place, p.location, p.format, p.made, p.version, int(p.included), time.time_ns() // 1000, secrets.randbits(62) + 1)
                database.execute(f"INSERT OR REPLACE INTO positions ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
                moved.append(_position(row))
        return moved

    def drop(self, positions: Sequence[Position]) -> None:
        """Forgets these."""
        with self._writing() as database:
            database.executemany("DELETE FROM positions WHERE consumer = ? AND place = ?", [(p.consumer, p.place) for p in positions])

    def _check(self, database: sqlite3.Connection, new: Position) -> None:
        row = database.execute(f"SELECT {_COLUMNS} FROM positions WHERE consumer = ? AND place = ?", (new.consumer, new.place)).fetchone()
        if (NEVER if row is None else row[-1]) == new.stamp:
            return
        now = "it was dropped" if row is None else f"it now stands at {_position(row)}"
        raise ConsumerConflictError(
            f'consumer "{new.consumer}" was moved in {new.location} since its position was read: {now}',
            hint="someone else reads with this consumer; read again from where it stands now, or use a name of your own",
        )

    def _read(self, where: str, parameters: tuple[str, ...]) -> list[Position]:
        if not os.path.exists(self.path):
            return []
        with self._opened() as database:
            try:
                return [_position(r) for r in database.execute(f"SELECT {_COLUMNS} FROM positions {where} ORDER BY consumer, place", parameters)]
            except sqlite3.OperationalError as error:
                if "no such table" in str(error):  # the file was made, and nothing written yet
                    return []
                raise

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that holds the file's write lock from its beginning."""
        self._make()
        with self._opened() as database:
            database.execute("BEGIN IMMEDIATE")
            try:
                database.execute(_TABLE)
                yield database
            except BaseException:  # whatever it is, Ctrl-C too: no transaction stays open, and it goes on
                database.execute("ROLLBACK")
                raise
            database.execute("COMMIT")

    def _make(self) -> None:
        try:
            os.makedirs(os.path.dirname(self.path) or ".", mode=0o700, exist_ok=True)
            with suppress(FileExistsError):
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))  # SQLite would make it readable by others
        except OSError as error:
            raise ConfigError(
                f'cannot keep positions of consumers in "{self.path}": {error.strerror}', hint="SET lakesql.consumers = 'FILE' names another"
            ) from error

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        try:
            database = sqlite3.connect(self.path, timeout=_WAIT_SECONDS, isolation_level=None)
            try:
                yield database
            finally:
                database.close()
        except sqlite3.Error as error:
            raise OperationalError(
                f'the file of consumers "{self.path}" did not answer: {error}', hint="SET lakesql.consumers = 'FILE' names another"
            ) from error


def _position(row: Sequence[object]) -> Position:
    consumer, place, location, format_, made, version, included, advanced_us, stamp = row
    return Position(
        str(consumer),
        str(place),
        str(location),
        str(format_),
        str(made),
        None if version is None else str(version),
        bool(included),
        int(str(advanced_us)),
        int(str(stamp)),
    )
