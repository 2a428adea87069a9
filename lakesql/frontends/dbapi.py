"""PEP 249 over a session: connect, Connection, Cursor.

Where PEP 249 leaves a choice:

- `threadsafety` is 2: threads may share a connection, not a cursor. `paramstyle` is `qmark`: `execute("... WHERE id = ?", [7])`; a mapping binds `:name` and
  `$name`.
- Nothing is ever written, so every statement stands alone: `commit` does nothing, `rollback` is NotSupportedError.
- Rows stream. `rowcount` is -1 until the last row has been taken, then exact. `description` is None for statements that return no rows, and fetching after
  one is ProgrammingError, as it is before any.
- `close` may be called again and again; anything else after it is InterfaceError. A connection or cursor left open when it is garbage is closed, with
  ResourceWarning for the connection.
- Every error is a class of `lakesql.errors`, whose root classes are PEP 249's.

`values.py` says which Python object each SQL type becomes. Rows may also be taken as Arrow, by `fetch_arrow_table`, `fetch_record_batch`, or by handing the
cursor to anything that knows the Arrow PyCapsule interface; all ways take from one stream, and each row is given once.
"""

from __future__ import annotations

import threading
import warnings
import weakref
from collections.abc import Mapping
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lakesql import errors
from lakesql.errors import InterfaceError, NotSupportedError
from lakesql.frontends import adbc
from lakesql.frontends.cursor import Cursor
from lakesql.frontends.seam import mapped
from lakesql.frontends.statements import Parameters
from lakesql.session import Session

if TYPE_CHECKING:
    from lakesql.config import Config


def connect(
    target: str | None = None,
    *,
    tables: Mapping[str, str] | None = None,
    as_of: str | int | datetime | None = None,
    engine: str | None = None,
    config: str | Config | None = None,
) -> Connection:
    """A connection to lakehouse tables.

    target: a table, a directory of tables, or a lakesql.toml, as a path or URL. tables: more of them, by the name SQL gives them. as_of: a version or an
    instant at which every table is read, unless the statement says otherwise. engine: "datafusion", if nothing else is configured. config: a configuration,
    or the path of one. Raises ConfigError, NotATableError, AmbiguousTableError.
    """
    with mapped():
        return Connection(Session.open(target, tables=tables, as_of=as_of, engine=engine, config=config))


class Connection:
    """A session in PEP 249's words. Threads may share it. As a context manager it closes itself."""

    Warning = errors.Warning
    Error = errors.Error
    InterfaceError = errors.InterfaceError
    DatabaseError = errors.DatabaseError
    DataError = errors.DataError
    OperationalError = errors.OperationalError
    IntegrityError = errors.IntegrityError
    InternalError = errors.InternalError
    ProgrammingError = errors.ProgrammingError
    NotSupportedError = errors.NotSupportedError

    def __init__(self, session: Session) -> None:
        self._open: Session | None = session
        self._cursors: weakref.WeakSet[Cursor] = weakref.WeakSet()
        self._lock = threading.Lock()

    @property
    def session(self) -> Session:
        """The session behind it. Raises InterfaceError once closed."""
        if self._open is None:
            raise InterfaceError("the connection is closed")
        return self._open

    @property
    def closed(self) -> bool:
        return self._open is None

    def cursor(self) -> Cursor:
        """A new cursor."""
        made = Cursor(self, self.session)
        with self._lock:
            self._cursors.add(made)
        return made

    def execute(self, operation: str, parameters: Parameters | None = None) -> Cursor:
        """A new cursor on which the statement has been executed."""
        cursor = self.cursor()
        try:
            return cursor.execute(operation, parameters)
        except BaseException:  # an interrupt too: nobody else has the cursor to close it
            cursor.close()
            raise

    def commit(self) -> None:
        """Nothing is pending, ever."""
        _ = self.session

    def rollback(self) -> None:
        """Raises NotSupportedError: there are no transactions."""
        _ = self.session
        raise NotSupportedError("lakesql has no transactions to roll back: it only reads")

    def cancel(self) -> None:
        """Stops every statement of the connection that runs now, which then raises QueryCancelledError; from any thread."""
        with mapped():
            self.session.cancel()

    interrupt = adbc_cancel = cancel

    def adbc_get_info(self) -> dict[str | int, Any]:
        """What the driver is, by ADBC's names."""
        _ = self.session
        return adbc.info()

    def adbc_get_objects(
        self,
        *,
        depth: str = "all",
        catalog_filter: str | None = None,
        db_schema_filter: str | None = None,
        table_name_filter: str | None = None,
        column_name_filter: str | None = None,
    ) -> pa.RecordBatchReader:
        """Catalogs, schemas, tables and columns in ADBC's layout. depth: all, catalogs, db_schemas, tables or columns; filters: LIKE patterns."""
        with mapped():
            found = adbc.objects(self.session, depth, catalog_filter, db_schema_filter, table_name_filter, column_name_filter)
        return found.to_reader()

    def adbc_get_table_schema(self, table_name: str, *, catalog_filter: str | None = None, db_schema_filter: str | None = None) -> pa.Schema:
        """The Arrow schema of a table's rows, without reading any."""
        with mapped():
            return adbc.table_schema(self.session, table_name, catalog_filter, db_schema_filter)

    def adbc_get_table_types(self) -> list[str]:
        """The kinds of tables there are."""
        return ["TABLE"]

    def close(self) -> None:
        """Closes the connection and its cursors."""
        with self._lock:
            session, self._open = self._open, None
            cursors = list(self._cursors)
        if session is not None:
            with mapped():
                for cursor in cursors:
                    cursor.close()
                session.close()

    def __enter__(self) -> Connection:
        _ = self.session
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_open", None) is not None:
            warnings.warn("a lakesql connection was never closed", ResourceWarning, source=self, stacklevel=2)
            self.close()
