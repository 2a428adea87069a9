"""What a statement's text says: its kind, the tables it mentions, its placeholders. All of it frozen; every place is a span of `Statement.text`."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from lakesql.sql.outline import Query, fold
from lakesql.sql.tokens import Span


class Kind(enum.Enum):
    """What a statement asks for, with the fields of Statement that matter to it beside mentions and placeholders."""

    QUERY = "query"
    EXPLAIN = "explain"
    """EXPLAIN [ANALYZE] [VERBOSE] [FORMAT f] query: rendered with the engine's own options."""
    EXPLAIN_PRUNING = "explain pruning"
    """EXPLAIN PRUNING [(FORMAT json)] query: json; renders as the query alone."""
    DESCRIBE = "describe"
    """DESCRIBE [TABLE] [EXTENDED] t: one mention; extended."""
    DESCRIBE_HISTORY = "describe history"
    """DESCRIBE HISTORY t [LIMIT n]: one mention; limit."""
    DESCRIBE_QUERY = "describe query"
    """DESCRIBE [QUERY] query: renders as `DESCRIBE query`."""
    CHECK_CHANGES = "check changes"
    """CHECK CHANGES t FROM VERSION a [TO VERSION b]: one mention, with its changes; none for all that the table tells."""
    SHOW_TABLES = "show tables"
    """SHOW TABLES [IN a.b] [LIKE 'p%']: argument, like."""
    SHOW_SCHEMAS = "show schemas"
    """SHOW SCHEMAS | DATABASES [IN a] [LIKE 'p%']: argument, like."""
    SHOW_CATALOGS = "show catalogs"
    """SHOW CATALOGS [LIKE 'p%']: like."""
    SHOW_COLUMNS = "show columns"
    """SHOW COLUMNS FROM | IN t: one mention."""
    SHOW_SETTINGS = "show settings"
    """SHOW name | ALL: argument, None for all."""
    SET = "set"
    """SET name = value: argument, value."""
    CREATE_VIEW = "create view"
    """CREATE [OR REPLACE] [TEMP] VIEW v [(columns)] AS query: view; body is the query's text; renders as the query alone."""
    DROP_VIEW = "drop view"
    """DROP VIEW [IF EXISTS] v: view."""
    CONSUMER = "consumer"
    """CREATE, ADVANCE, RESET, DROP CONSUMER, SHOW CONSUMERS: consumer, like; one mention or none."""
    TAIL = "tail"
    """TAIL t ...: one mention; tail."""
    SHOW_SNAPSHOTS = "show snapshots"
    """SHOW SNAPSHOTS [IN a.b] [LIKE 'p%']: argument, like."""
    RESET = "reset"
    """RESET name | ALL: argument, None for all."""
    WRITE = "write"
    """Anything that changes tables or files: COPY, INSERT, UPDATE, DELETE, MERGE, CREATE TABLE, DROP, ... verb names it."""
    OTHER = "other"
    """Anything else; verb is its first word."""


class AtKind(enum.Enum):
    """Whether an AS OF clause names a version or a time."""

    VERSION = "version"
    TIMESTAMP = "timestamp"


@dataclass(frozen=True)
class AtClause:
    """A version or time a mention asks for.

    text: a literal's content (quotes removed, `TIMESTAMP '...'` and `DATE '...'` too), else the expression for the engine, placeholders in the engine's
    spelling. is_literal: whether it is one; quoted: whether it was a string.
    """

    kind: AtKind
    text: str
    is_literal: bool
    quoted: bool
    span: Span


@dataclass(frozen=True)
class ChangesClause:
    """`CHANGES FROM VERSION a [EXCLUSIVE] [TO VERSION b [EXCLUSIVE]] [WITH (option = value, ...)]`, or with TIMESTAMP. end: None for the latest version.

    consumer: of `CHANGES SINCE CONSUMER 'name' ...`, which has no start. options: names in lower case; values are text, numbers as written, booleans, or tuples
    of names. of_states: the bounds are states, as in Snowflake's clause: after the last commit nothing has changed, where a range that begins there is an
    error.
    """

    start: AtClause | None
    end: AtClause | None
    start_exclusive: bool
    end_exclusive: bool
    options: tuple[tuple[str, str | bool | tuple[str, ...]], ...]
    span: Span
    of_states: bool = False
    consumer: str | None = None


@dataclass(frozen=True)
class DiffClause:
    """`DIFF t [state], [u] [state] [ON (key)] [WITH (option = value, ...)]`, or `DIFF(t, ...)` as a relation: what the mention of t with its state is compared
    with.

    other: the second state, with its table's name. stat: the difference in numbers is asked for. options: as those of ChangesClause.
    """

    other: Mention
    stat: bool
    options: tuple[tuple[str, str | bool | tuple[str, ...]], ...]
    span: Span


class Action(enum.Enum):
    """What a statement does with named consumers."""

    CREATE = "create"
    ADVANCE = "advance"
    RESET = "reset"
    DROP = "drop"
    SHOW = "show"


@dataclass(frozen=True)
class StartClause:
    """Where reading changes begins: `FROM VERSION a`, `TO VERSION a`, `EARLIEST`, `LATEST`. point: None for the two words; exclusive: after it."""

    point: AtClause | None
    exclusive: bool = False
    latest: bool = False


@dataclass(frozen=True)
class ConsumerClause:
    """A statement about consumers. name: "" for SHOW; start: where it is to stand, None where that is not said; if_exists: or IF NOT EXISTS."""

    action: Action
    name: str = ""
    start: StartClause | None = None
    if_exists: bool = False


@dataclass(frozen=True)
class TailClause:
    """`TAIL t [FROM ... | SINCE CONSUMER 'name'] [WHERE condition] [WITH (...)]`. table: its name and alias as written, condition: for the engine, placeholders
    in the engine's spelling.
    """

    table: str
    alias: str
    start: StartClause | None
    consumer: str | None
    condition: str | None
    options: tuple[tuple[str, str | bool | tuple[str, ...]], ...]


@dataclass(frozen=True)
class Mention:
    """A place in the text where a table stands, or a difference of which this is the first table.

    span: from its name to the end of its last clause, which is its alias only where a clause follows that. name: its parts, quotes removed, without
    `$metadata` and `@version`; quoted: whether each was. path: instead of a name, the text of `FROM 'some/dir'`. metadata: what follows the first `$` of
    the last part (`branch_x$snapshots` whole). clauses: the parts of span that are no SQL of the engine's. options: of a hint `/*+ OPTIONS('k'='v') */`.
    alias: quotes removed and, where it had none, in lower case.
    """

    span: Span
    name_span: Span
    name: tuple[str, ...] | None
    quoted: tuple[bool, ...]
    path: str | None = None
    metadata: str | None = None
    at: AtClause | None = None
    changes: ChangesClause | None = None
    options: tuple[tuple[str, str], ...] = ()
    alias: str | None = None
    alias_span: Span | None = None
    clauses: tuple[Span, ...] = ()
    diff: DiffClause | None = None

    @property
    def own_name(self) -> str:
        """What columns are qualified with where no alias is given: the last part with its `$metadata`, in lower case unless it was quoted; a path's last
        folder."""
        suffix = "" if self.metadata is None else f"${self.metadata}"
        if self.name is None:
            return ((self.path or "").rstrip("/").rsplit("/", 1)[-1] or "table") + suffix
        return self.name[-1] + suffix if self.quoted[-1] else fold(self.name[-1] + suffix)

    def __str__(self) -> str:
        suffix = "" if self.metadata is None else f"${self.metadata}"
        return (".".join(self.name) if self.name is not None else f"'{self.path}'") + suffix


@dataclass(frozen=True)
class Placeholder:
    """A parameter's place. key: its number in text order for `?`, the number or name for the others; style: the character it begins with."""

    span: Span
    key: str
    style: str


@dataclass(frozen=True)
class View:
    """The view a statement makes or drops: its name, in lower case unless quoted; query: what it stands for, as a query by itself that gives the columns
    the names it lists."""

    name: str
    query: str = ""
    replace: bool = False
    if_exists: bool = False


@dataclass(frozen=True)
class Statement:
    """One statement. text: as given, from its first token to its last; offset: where that begins in what was parsed; body: the part the engine is given.

    outline: the structure of its query, for the rewrites.
    """

    text: str
    kind: Kind
    body: Span
    mentions: tuple[Mention, ...] = ()
    placeholders: tuple[Placeholder, ...] = ()
    verb: str = ""
    argument: str | None = None
    value: str | None = None
    like: str | None = None
    limit: int | None = None
    json: bool = False
    extended: bool = False
    view: View | None = None
    offset: int = 0
    consumer: ConsumerClause | None = None
    tail: TailClause | None = None
    outline: Query | None = field(default=None, repr=False, compare=False)
