"""Places: where in the user's text a name stands, or an engine's complaint belongs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from lakesql.errors import Error, OperationalError, SqlError
from lakesql.sql.edits import Rendered
from lakesql.sql.outline import fold
from lakesql.sql.statement import Statement
from lakesql.sql.tokens import Span, TokenKind, tokenize

_ENGINE_PLACE = re.compile(r"Line: (\d+), Column: (\d+)")


def identifiers(statement: Statement) -> frozenset[str]:
    """Every word and quoted identifier of a statement, in lower case: all names it can be reading, and more."""
    return frozenset(token.value.lower() for token in tokenize(statement.text).tokens if token.is_name)


def locate(statement: Statement, name: str) -> Span | None:
    """Where a name stands first, for carets: the last part of a dotted one, exactly, else without regard to case. None where it does not stand at all."""
    last = name.replace('"', "").rsplit(".", 1)[-1]
    tokens = [t for t in tokenize(statement.text).tokens if t.is_name]
    for token in tokens:
        if (token.value if token.kind is TokenKind.QUOTED else fold(token.text)) == last:
            return token.span
    return next((t.span for t in tokens if t.value.casefold() == last.casefold()), None)


def subject(statement: Statement) -> Span:
    """What a statement that is no query is about: the table, view or setting it names, else its first word."""
    if statement.mentions:
        return statement.mentions[0].name_span
    name = statement.argument if statement.view is None else statement.view.name
    return (locate(statement, name) if name else None) or Span(0, len(statement.text.split()[0]))


def error_position(message: str, rendered: Rendered) -> int | None:
    """The place in the user's text for the "Line: x, Column: y" of an engine's message; None where it has none."""
    found = _ENGINE_PLACE.search(message)
    return source_position(rendered, int(found[1]), int(found[2])) if found is not None else None


def source_position(rendered: Rendered, line: int, column: int) -> int | None:
    """The place in the user's text for a line and column, from 1, of the engine's; None for line 0, which is the engine's word for not known."""
    if line < 1:
        return None
    start = 0
    for _ in range(line - 1):
        start = rendered.text.find("\n", start) + 1
        if start == 0:
            return None
    return rendered.to_source(min(start + max(column - 1, 0), len(rendered.text)))


@contextmanager
def at(statement: Statement, span: Span) -> Iterator[None]:
    """Gives errors that know no place this one, but for those of a store, whose place is not in the text."""
    try:
        yield
    except SqlError as error:
        if error.sql is None:
            place(error, statement, span)
        raise
    except Error as error:
        if error.position is None and not isinstance(error, OperationalError):
            error.query, error.position = statement.text, span.start
        raise


def place(error: SqlError, statement: Statement, span: Span) -> None:
    """Tells an error where in a statement it belongs."""
    SqlError.__init__(
        error,
        error.message,
        sql=statement.text,
        position=span.start,
        length=span.end - span.start,
        hint=error.hint,
        candidates=error.candidates,
    )
