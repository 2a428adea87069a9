"""The edge of the DB-API: what may leave it, and what becomes of the rest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from lakesql.errors import DataError, Error, InternalError, SqlError
from lakesql.hidden import hidden
from lakesql.sql import split


@contextmanager
def mapped(query: str | None = None, start: int = 0) -> Iterator[None]:
    """Lets only classes of lakesql.errors out, and what is no error of anybody's, such as KeyboardInterrupt.

    query: what is executed, which the error then tells; start: where the statement begins in it that is run now, or before.
    """
    try:
        yield
    except Error as error:
        _tell(error, query, start)
        raise
    except pa.ArrowException as error:
        raise _tell(DataError(f"the rows cannot be read: {error}"), query, start) from error
    except Exception as error:
        raise _tell(InternalError(f"{type(error).__name__}: {error}", hint="this is a fault of lakesql: please report it"), query, start) from error


def _tell(error: Error, query: str | None, start: int) -> Error:
    """The error with what was executed. Its place, which counts from its statement's first token, becomes one in that.

    Where the text of a view is at fault, that is the error's query, and the place is in it.
    """
    if query is None:
        return error
    text = error.sql if isinstance(error, SqlError) else error.query
    if text is None or text == query:
        error.query = hidden(query)
        return error
    span = next((s for s in split(query) if s.start >= start and s.of(query) == text), None)
    if span is None:
        error.query = hidden(text)
        return error
    error.query = hidden(query)
    if isinstance(error, SqlError):
        error.move_to(query, span.start)
    elif error.position is not None:
        error.position += span.start
    return error
