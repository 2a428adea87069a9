"""Change feeds, for every format: what a range of changes may be asked for, and how the rows of single commits become the feed that was asked for.

A format says which files a commit took from the table and brought into it, and how their rows come about; this module says what those rows amount to.

    raw       each commit by itself: what the format recorded, else the multiset difference of the rows taken away and the rows added
    net       the whole range at once: that difference over all commits
    upserts   of net, the rows added alone
    appends   of raw, the rows inserted alone

Columns of a feed: the table's own as they are at the range's end, then COLUMNS.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from lakesql.errors import SqlError, UnknownColumnError, UnsupportedFeatureError, did_you_mean
from lakesql.relation import Col, Filter, OneOf, Project, Relation, RowChanges
from lakesql.table import AtTime, AtVersion

CHANGE_TYPE, COMMIT_VERSION, COMMIT_TIMESTAMP = "_change_type", "_commit_version", "_commit_timestamp"
COLUMNS = pa.schema([(CHANGE_TYPE, pa.string()), (COMMIT_VERSION, pa.int64()), (COMMIT_TIMESTAMP, pa.timestamp("us", "UTC"))])
"""What a feed appends to the table's columns: one of the four words below; the commit, and when it was made."""

INSERT, DELETE, PREIMAGE, POSTIMAGE = "insert", "delete", "update_preimage", "update_postimage"


APPENDS = "appends"
"""The mode that shows inserted rows alone, each commit by itself."""


class Mode(enum.Enum):
    """How the commits of a range are put together; see the module."""

    RAW = "raw"
    NET = "net"
    UPSERTS = "upserts"


@dataclass(frozen=True)
class Edge:
    """One end of a range. exclusive: the version itself, or what was committed at that very instant, does not belong to it."""

    at: AtVersion | AtTime
    exclusive: bool = False


@dataclass(frozen=True)
class ChangesRequest:
    """A range of changes, as a statement asks for it.

    start: None for as far back as the table tells. end: None for the latest version. key: columns that identify a row, None for what the format knows of
    identity. updates: whether a row taken away and one added that are one row are given as its images before and after; None: where their identity is known.
    appends: of what is told, inserted rows alone are shown (`inserts.py`); formats need not look.
    """

    start: Edge | None = None
    end: Edge | None = None
    mode: Mode = Mode.RAW
    key: tuple[str, ...] | None = None
    updates: bool | None = None
    appends: bool = False


class Source(enum.Enum):
    """What changes are told by. Those of COMPARED are known by comparing rows alone: what went and came equal within a version does not show."""

    RECORDED = "recorded"
    IDENTITY = "row identity"
    FILES = "files"
    COMPARED = "files compared"


@dataclass(frozen=True)
class Told:
    """What a format says of a feed without reading data, for CHECK CHANGES.

    versions: those of the range, oldest first. of: for each file of a scan the version whose changes need it. sources: what its rows are told by, none twice.
    expires_at_us: the first instant at which clean-up may take away what the range needs, None where nothing does; expires: what it is, and by which setting.
    """

    versions: tuple[int, ...]
    of: pa.Array
    sources: tuple[Source, ...]
    expires_at_us: int | None = None
    expires: str | None = None


@dataclass(frozen=True)
class Commits:
    """The versions that a range of changes means, oldest first. from_first: whether the first of them is the table's very first."""

    versions: tuple[str, ...]
    from_first: bool = False


@dataclass(frozen=True)
class Identity:
    """Which table it is. place: where, whichever of its states or branches is named; made: what tells it from another table made there later, "" where the
    format has nothing that does.
    """

    place: str
    made: str


def request_of(start: Edge | None, end: Edge | None, options: Sequence[tuple[str, str | bool | tuple[str, ...]]]) -> ChangesRequest:
    """The request that a clause with these options (`WITH (name = value, ...)`) makes. Raises SqlError."""
    given: dict[str, str | bool | tuple[str, ...]] = {}
    for name, value in options:
        if name not in ("mode", "key", "updates"):
            raise SqlError(f'changes have no option "{name}"', hint=did_you_mean(name, ("mode", "key", "updates")))
        if name in given:
            raise SqlError(f'the option "{name}" is given twice')
        given[name] = value
    mode, key, updates = given.get("mode", Mode.RAW.value), given.get("key"), given.get("updates")
    modes = (*(m.value for m in Mode), APPENDS)
    if not isinstance(mode, str) or mode.lower() not in modes:
        raise SqlError(f"mode is {mode!r}; expected {', '.join(map(repr, modes))}")
    appends = mode.lower() == APPENDS
    if not isinstance(updates, bool | None):
        raise SqlError(f"updates is {updates!r}; expected true or false")
    if isinstance(key, str):
        key = (key,)
    if not isinstance(key, tuple | None):
        raise SqlError(f"key is {key!r}; expected columns in brackets, as in key = (a, b)")
    if key is not None and updates is False:
        raise SqlError("key says what updates are told by, and updates = false asks for none")
    return ChangesRequest(start, end, Mode.RAW if appends else Mode(mode.lower()), key, updates, appends)


def feed_schema(table: pa.Schema, location: str) -> pa.Schema:
    """The columns of a feed over a table of this schema. Raises UnsupportedFeatureError where the table has one of their names."""
    taken = {name.lower() for name in table.names}
    for name in COLUMNS.names:
        if name in taken:
            raise UnsupportedFeatureError(
                f'the table at {location} has a column "{name}" of its own, which a change feed needs for itself', feature="change feeds over such a column"
            )
    return pa.schema([*table, *COLUMNS])


def key_columns(key: Sequence[str], table: pa.Schema) -> tuple[str, ...]:
    """The columns of a key as the table spells them. Raises UnknownColumnError."""
    found = []
    for name in key:
        matching = [n for n in table.names if n == name] or [n for n in table.names if n.lower() == name.lower()]
        if len(matching) != 1:
            raise UnknownColumnError(f'no column "{name}" to be a key: the table has {", ".join(table.names[:20])}', candidates=table.names)
        found.append(matching[0])
    return tuple(found)


def difference(rows: Relation, columns: Sequence[str], mode: Mode, key: tuple[str, ...]) -> Relation:
    """What rows taken away and added amount to.

    rows: `columns` (all that a row is told apart by; key among them), then COLUMNS with `insert` or `delete`. In raw mode rows of one commit meet, else all.
    key: columns by which what is left is paired; empty for none. Output: as the input.
    """
    within = (COMMIT_VERSION, COMMIT_TIMESTAMP)
    if mode is Mode.RAW:
        return RowChanges(rows, tuple(columns), CHANGE_TYPE, within, (), key)
    return RowChanges(rows, tuple(columns), CHANGE_TYPE, (), within, key)


def upserts(rows: Relation, names: Sequence[str]) -> Relation:
    """Of a feed's rows, those added. names: the columns wanted, among them `_change_type`."""
    return only(rows, names, (INSERT, POSTIMAGE))


def only(rows: Relation, names: Sequence[str], words: Sequence[str]) -> Relation:
    """Of a feed's rows, those of some change types. names: the columns wanted, among them `_change_type`."""
    wanted = OneOf(Col(CHANGE_TYPE), pa.array(list(words)))
    flag = "is wanted"
    while flag in names:
        flag += "'"
    kept = Filter(Project(rows, (*names, flag), (*(Col(n) for n in names), wanted)), flag)
    return Project(kept, tuple(names), tuple(Col(n) for n in names))
