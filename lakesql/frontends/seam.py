"""The edge of the DB-API: what may leave it, and what becomes of the rest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from lakesql.errors import DataError, Error, InternalError, SqlError


@contextmanager
def mapped(query: str | None = None) -> Iterator[None]:
    """Lets only classes of lakesql.errors out, and what is no error of anybody's, such as KeyboardInterrupt. query: what is executed, for the error."""
    try:
        yield
    except Error as error:
        _tell(error, query)
        raise
    except pa.ArrowException as error:
        raise _tell(DataError(f"the rows cannot be read: {error}"), query) from error
    except Exception as error:
        raise _tell(InternalError(f"{type(error).__name__}: {error}", hint="this is a fault of lakesql: please report it"), query) from error


def _tell(error: Error, query: str | None) -> Error:
    """The error with what was executed. Its place, which counts from the statement's first token, becomes one in that."""
    if query is None or error.query is not None:
        return error
    error.query = query
    if isinstance(error, SqlError) and error.sql is not None and error.position is not None:
        start = query.find(error.sql)
        if start > 0:
            SqlError.__init__(
                error, error.message, sql=query, position=start + error.position, length=error.length, hint=error.hint, candidates=error.candidates
            )
    elif error.position is not None:
        error.position += len(query) - len(query.lstrip())
    return error
