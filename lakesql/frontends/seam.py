"""The edge of the DB-API: what may leave it, and what becomes of the rest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from lakesql.errors import DataError, Error, InternalError


@contextmanager
def mapped() -> Iterator[None]:
    """Lets only classes of lakesql.errors out, and what is no error of anybody's, such as KeyboardInterrupt."""
    try:
        yield
    except Error:
        raise
    except pa.ArrowException as error:
        raise DataError(f"the rows cannot be read: {error}") from error
    except Exception as error:
        raise InternalError(f"{type(error).__name__}: {error}", hint="this is a fault of lakesql: please report it") from error
