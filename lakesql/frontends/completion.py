"""What could stand at a place of an unfinished statement: text and cursor -> Context, a value that names the kinds wanted and the relations in scope.

    complete_context("SELECT o. FROM orders o", 9)   Context(9, "", (Columns((Source("o", Ref(("orders",))),)),))

Nothing here knows a catalog: `completion_sources.py` turns a Context into candidates. Tokens after the cursor count, so that columns are known while FROM still
follows. The text need not parse: structure is read from tokens, and what cannot be told is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from lakesql.errors import SqlError
from lakesql.frontends.completion_scope import Source, TableRef, sources_at
from lakesql.sql.tokens import Token, TokenKind, tokenize, words


@dataclass(frozen=True)
class Tables:
    """Tables, views and schemas. within: the parts of a name that stand before the cursor."""

    within: tuple[str, ...] = ()


@dataclass(frozen=True)
class SystemTables:
    """What may follow the `$` of a table; quoted: whether a double quote is open."""

    table: TableRef
    quoted: bool = False


@dataclass(frozen=True)
class Columns:
    """Columns of relations. qualified: the name before the dot has been taken care of."""

    sources: tuple[Source, ...]
    qualified: bool = False


@dataclass(frozen=True)
class Aliases:
    """The names of relations, for a qualifier."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class Versions:
    """Snapshot ids, tags and branches of a table."""

    table: TableRef
    quoted: bool = False


@dataclass(frozen=True)
class Times:
    """Commit times of a table."""

    table: TableRef
    quoted: bool = False


@dataclass(frozen=True)
class Functions:
    """Functions of the engine; tables: those that give rows."""

    tables: bool = False


@dataclass(frozen=True)
class Settings:
    """Settings of the session; of: the one whose values are wanted."""

    of: str | None = None


@dataclass(frozen=True)
class Keywords:
    """Words of the grammar that may come next, or a few together."""

    words: tuple[str, ...]


@dataclass(frozen=True)
class Paths:
    """Files and directories, inside single quotes."""


Want = Tables | SystemTables | Columns | Aliases | Versions | Times | Functions | Settings | Keywords | Paths


@dataclass(frozen=True)
class Context:
    """What is wanted. start: where the text to be replaced begins; prefix: that text, without quotes; quote: the quote that is open before it, or ""."""

    start: int
    prefix: str
    wants: tuple[Want, ...] = ()
    quote: str = ""


def _phrases(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(","))


_STATEMENTS = _phrases(
    "SELECT, WITH, EXPLAIN, EXPLAIN ANALYZE, EXPLAIN PRUNING, DESCRIBE, DESCRIBE HISTORY, SHOW TABLES, SHOW SCHEMAS, SHOW CATALOGS, SHOW COLUMNS FROM, "
    "SHOW ALL, SET, CREATE VIEW, DROP VIEW, VALUES"
)
_AFTER_TABLE = _phrases(
    "WHERE, JOIN, LEFT JOIN, CROSS JOIN, GROUP BY, ORDER BY, LIMIT, VERSION AS OF, TIMESTAMP AS OF, FOR VERSION AS OF, FOR SYSTEM_TIME AS OF, "
    "CHANGES FROM VERSION, UNION ALL, ON, USING, AS"
)
_OPERATORS = _phrases(
    "AND, OR, NOT, IN, LIKE, ILIKE, BETWEEN, IS NULL, IS NOT NULL, AS, ASC, DESC, NULLS LAST, FROM, WHERE, GROUP BY, HAVING, ORDER BY, LIMIT, THEN, ELSE, "
    "END, WHEN"
)
_EXPRESSION = _phrases("CASE WHEN, CAST(, DATE, TIMESTAMP, INTERVAL, NULL, TRUE, FALSE, NOT, EXISTS, DISTINCT")

_TABLE_WORDS = words("FROM JOIN DESCRIBE DESC HISTORY COLUMNS TABLE TAIL DIFF EXTENDED")
_EXPRESSION_WORDS = words("SELECT WHERE ON AND OR NOT HAVING BY QUALIFY CASE WHEN THEN ELSE BETWEEN LIKE ILIKE DISTINCT LIMIT OFFSET USING ALL IN IS")
_SYMBOLS_BEFORE_OPERAND = words("= < > <= >= <> != + - * / % || ( , [ => ==")


@dataclass(frozen=True)
class _Place:
    """A statement's tokens around the cursor. before: those that end before the word at the cursor; word: that word's start and text, quote included."""

    tokens: tuple[Token, ...]
    before: tuple[Token, ...]
    start: int
    word: str
    after: tuple[Token, ...] = field(default=())


def complete_context(text: str, cursor: int) -> Context:
    """What may stand at the cursor, which is a number of characters from the text's beginning.

    An open string gives versions, times or paths where those can stand, else nothing; comments give nothing.
    """
    place = _place(text, cursor)
    if place is None:
        return Context(cursor, "")
    quote = place.word[:1] if place.word[:1] in ("'", '"', "`") else ""
    wants = tuple(_wants(place, quote))
    start, prefix = place.start + len(quote), place.word[len(quote) :]
    if any(isinstance(w, Settings) and w.of is None for w in wants) and len(place.before) > 1:
        start, prefix = place.before[1].start, text[place.before[1].start : cursor]
    if any(isinstance(w, SystemTables) for w in wants):
        table, dollar, rest = prefix.partition("$")
        if dollar:
            start, prefix = start + len(table) + 1, rest
    return Context(start, prefix, wants, quote)


# Where the cursor is ---------------------------------------------------------------------------------------------------------------------------------


def _place(text: str, cursor: int) -> _Place | None:
    """The statement at the cursor; None inside a comment or a place that cannot be told."""
    head, tail = text[:cursor], text[cursor:]
    opened = _open_text(head)
    if opened is None:
        return None
    start, word = opened
    if start is None:
        start = cursor
        while start > 0 and (head[start - 1].isalnum() or head[start - 1] in "_$@"):
            start -= 1
        word = head[start:]
    before = _tokens(text[:start])
    if word[:1] in ('"', "`", "'"):
        closing = tail.find(word[0])
        newline = tail.find("\n")
        rest = tail[closing + 1 :] if closing >= 0 and (newline < 0 or closing < newline) else tail
    else:
        rest = tail.lstrip("_$") if not tail[:1].isalnum() else tail[_word_length(tail) :]
    offset = len(text) - len(rest)
    after = tuple(t._replace(start=t.start + offset, end=t.end + offset) for t in _tokens(rest))
    first = max((i + 1 for i, t in enumerate(before) if t.key == ";"), default=0)
    last = next((i for i, t in enumerate(after) if t.key == ";"), len(after))
    before, after = before[first:], after[:last]
    marker = Token(TokenKind.WORD, "\0", start, cursor, "\0")
    return _Place((*before, marker, *after), before, start, word, after)


def _word_length(text: str) -> int:
    return next((i for i, c in enumerate(text) if not (c.isalnum() or c in "_$")), len(text))


def _open_text(head: str) -> tuple[int | None, str] | None:
    """Where a string or quoted identifier begins that is open at the end, and its text; (None, "") where none is; None in a comment."""
    try:
        tokens = tokenize(head + " ").tokens
    except SqlError as error:
        position = error.position or 0
        if head[position : position + 1] in ("'", '"', "`"):
            return position, head[position:]
        return None
    end = tokens[-2].end if len(tokens) > 1 else 0
    comment = head.find("--", end)
    if comment >= 0 and "\n" not in head[comment:]:
        return None
    return None, ""


def _tokens(text: str) -> tuple[Token, ...]:
    """The tokens of a part of a statement, as far as they can be told."""
    try:
        return tokenize(text).tokens[:-1]
    except SqlError as error:
        cut = error.position or 0
        return tokenize(text[:cut]).tokens[:-1] if cut < len(text) else ()


# What it wants ---------------------------------------------------------------------------------------------------------------------------------------


def _wants(place: _Place, quote: str) -> list[Want]:
    before = place.before
    previous = before[-1] if before else None
    if previous is None:
        return [Keywords(_STATEMENTS)]
    version = _version_wants(place, quote)
    if version is not None:
        return version
    if quote == "'":
        return [Paths()] if previous.key in _TABLE_WORDS or (previous.key == "," and _in_from(before)) else []
    found = _setting_wants(before) if before[0].key in ("SET", "SHOW") else None
    if found is not None:
        return found
    if previous.key == ".":
        return _dotted(place)
    if _wants_table(before):
        return _table_wants(place, quote)
    if previous.key in _SYMBOLS_BEFORE_OPERAND or previous.key in _EXPRESSION_WORDS or previous.key == "FROM":
        return _expression_wants(place)
    if previous.key == "AS" or before[0].key in ("SHOW", "SET"):
        return [Keywords(_following(before))] if before[0].key in ("SHOW", "CREATE") else []
    return [Keywords(_following(before))]


def _table_wants(place: _Place, quote: str) -> list[Want]:
    word = place.word.lstrip("\"'`")
    table, dollar, _ = word.partition("$")
    if dollar and table:
        return [SystemTables(TableRef((table,)), quoted=quote == '"')]
    return [Tables(), Functions(tables=True), Keywords(("SELECT",))] if place.before[-1].key == "(" else [Tables()]


def _dotted(place: _Place) -> list[Want]:
    """After `a.b.`: parts of a table's name where a table is wanted, else columns of what the name means."""
    before = place.before
    names: list[str] = []
    index = len(before) - 1
    while index >= 1 and before[index].key == "." and before[index - 1].is_name:
        names.insert(0, before[index - 1].value)
        index -= 2
    if not names:
        return []
    if _wants_table(before[: index + 1]):
        word = place.word.lstrip("\"'`")
        table, dollar, _ = word.partition("$")
        if dollar and table:
            return [SystemTables(TableRef((*names, table)))]
        return [Tables(tuple(names)), SystemTables(TableRef(tuple(names)))]
    sources = [s for s in sources_at(place.tokens, len(before)) if s.is_called(names)]
    return [Columns(tuple(sources[:1]), qualified=True)] if sources else []


def _expression_wants(place: _Place) -> list[Want]:
    sources = sources_at(place.tokens, len(place.before))
    names = tuple(dict.fromkeys(s.name for s in sources if s.name))
    first = place.before[-1].key
    found: Sequence[str] = (*{"(": ("SELECT",), "SELECT": ("*",)}.get(first, ()), *_EXPRESSION)
    return [Columns(tuple(sources)), Aliases(names), Functions(), Keywords(tuple(found))]


def _setting_wants(before: Sequence[Token]) -> list[Want] | None:
    first = before[0].key
    if len(before) > 1 and before[-1].key == ".":
        return [Settings()]
    if first == "SET" and len(before) == 1:
        return [Settings()]
    if first == "SHOW" and len(before) == 1:
        return [Settings(), Keywords(("TABLES", "SCHEMAS", "CATALOGS", "COLUMNS FROM", "ALL"))]
    if first == "SET" and before[-1].key in ("=", "TO"):
        return [Settings("".join(t.text for t in before[1:-1]))]
    return None


def _version_wants(place: _Place, quote: str) -> list[Want] | None:
    """Versions or times, where the words before the cursor ask for one."""
    keys = [t.key for t in place.before]
    kind: str | None = None
    if keys[-2:] == ["AS", "OF"] and len(keys) > 2:
        kind = keys[-3]
        end = len(keys) - 4 if len(keys) > 3 and keys[-4] == "FOR" else len(keys) - 3
    elif keys[-1] in ("VERSION", "TIMESTAMP") and len(keys) > 1 and keys[-2] in ("FROM", "TO"):
        kind = keys[-1]
        end = next((i - 1 for i in range(len(keys) - 1, 0, -1) if keys[i - 1] in ("CHANGES", "BETWEEN")), 0)
        if end <= 0:
            return None
    elif keys[-1] == "=>" and keys[-2:-1] and keys[-2] in ("VERSION", "TIMESTAMP") and keys[-4:-2] == ["AT", "("]:
        kind, end = keys[-2], len(keys) - 4
    if kind is None or kind not in ("VERSION", "SYSTEM_VERSION", "TIMESTAMP", "SYSTEM_TIME"):
        return None
    table = _table_before(place.before[:end])
    if table is None:
        return None
    is_version = kind.endswith("VERSION")
    return [Versions(table, bool(quote)) if is_version else Times(table, bool(quote))]


def _table_before(tokens: Sequence[Token]) -> TableRef | None:
    """The table whose name ends a list of tokens, an alias after it aside."""
    for end in (len(tokens), len(tokens) - 1, len(tokens) - 2):
        if end < 1:
            break
        last = tokens[end - 1]
        if last.kind is TokenKind.STRING:
            return TableRef((), last.value)
        index = end - 1
        names: list[str] = []
        while index >= 0 and tokens[index].is_name:
            names.insert(0, tokens[index].value)
            if index == 0 or tokens[index - 1].key != ".":
                break
            index -= 2
        if names and (index == 0 or tokens[index - 1].key in _TABLE_WORDS or (tokens[index - 1].key in (",", "(") and _in_from(tokens[:index]))):
            return TableRef(tuple(names))
    return None


def _wants_table(before: Sequence[Token]) -> bool:
    if not before:
        return False
    key = before[-1].key
    if key == "FROM":
        return not _in_call_from(before)
    if key in ("DESCRIBE", "DESC", "HISTORY", "TAIL", "DIFF", "EXTENDED"):
        return before[0].key in ("DESCRIBE", "DESC", "TAIL", "DIFF")
    return key in ("JOIN", "TABLE", "VIEW") or (key == "IN" and [t.key for t in before[:2]] == ["SHOW", "COLUMNS"]) or (key in (",", "(") and _in_from(before))


def _in_call_from(before: Sequence[Token]) -> bool:
    """Whether a FROM stands in the brackets of EXTRACT, SUBSTRING, TRIM and the like."""
    depth = 0
    for i in range(len(before) - 1, -1, -1):
        key = before[i].key
        depth += 1 if key == ")" else -1 if key == "(" else 0
        if depth < 0:
            return i > 0 and before[i - 1].key in ("EXTRACT", "SUBSTRING", "TRIM", "OVERLAY") and before[i + 1].key != "SELECT"
    return False


def _in_from(before: Sequence[Token]) -> bool:
    """Whether the last token of these stands between FROM and the clause that follows it, brackets of its own level aside."""
    depth = 0
    for token in reversed(before[:-1] if before and before[-1].key in (",", "(") else before):
        if token.key == ")":
            depth += 1
        elif token.key == "(":
            depth -= 1
            if depth < 0:
                return False
        elif depth == 0 and token.key in ("FROM", "JOIN"):
            return True
        elif depth == 0 and token.key in _EXPRESSION_WORDS | {"GROUP", "ORDER", "VALUES"}:
            return False
    return False


def _following(before: Sequence[Token]) -> tuple[str, ...]:
    first = before[0].key
    if first == "SHOW":
        return ("IN", "FROM", "LIKE")
    if first in ("DESCRIBE", "DESC") and len(before) == 1:
        return ("HISTORY", "EXTENDED", "SELECT")
    if first == "EXPLAIN" and all(t.key in ("EXPLAIN", "ANALYZE", "VERBOSE", "PRUNING") for t in before):
        return ("ANALYZE", "PRUNING", "VERBOSE", "SELECT", "WITH")
    if first in ("CREATE", "DROP"):
        return ("VIEW", "OR REPLACE VIEW", "AS SELECT") if first == "CREATE" else ("VIEW", "IF EXISTS")
    return _AFTER_TABLE if _in_from((*before, before[-1])) else _OPERATORS
