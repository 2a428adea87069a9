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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lakesql import errors
from lakesql.errors import DataError, Error, InterfaceError, InternalError, NotSupportedError, ProgrammingError
from lakesql.frontends.typecodes import ColumnDescription, describe
from lakesql.frontends.values import python_rows
from lakesql.session import Session

if TYPE_CHECKING:
    from lakesql.config import Config
    from lakesql.result import PinnedSnapshot, Result, ScanStats

Parameters = Sequence[Any] | Mapping[str, Any]

_ROWS_AT_A_TIME = 4096
"""Rows made into Python objects in one go: few enough that fetchone stays cheap on huge batches."""


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
    with _mapped():
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
        except BaseException:
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
        with _mapped():
            self.session.cancel()

    def close(self) -> None:
        """Closes the connection and its cursors."""
        with self._lock:
            session, self._open = self._open, None
            cursors = list(self._cursors)
        if session is not None:
            with _mapped():
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


class Cursor:
    """Executes statements, one at a time, and gives their rows. Not to be shared by threads; `cancel` alone may come from another."""

    def __init__(self, connection: Connection, session: Session) -> None:
        self.connection = connection
        self.arraysize = 1
        self._session = session
        self._closed = False
        self._next_row = 0
        self._no_result()

    # Executing -----------------------------------------------------------------------------------------------------------------------------------

    def execute(self, operation: str, parameters: Parameters | None = None) -> Cursor:
        """Executes one statement and returns the cursor itself. Rows of the statement before are dropped."""
        self._check_open()
        if not isinstance(operation, str):
            raise ProgrammingError(f"a statement is a str, not {type(operation).__name__}")
        self._drop_result()
        with _mapped():
            self._take(self._session.execute(operation, parameters))
        return self

    def executemany(self, operation: str, seq_of_parameters: Iterable[Parameters]) -> Cursor:
        """Executes a statement once for each of the parameters.

        Raises NotSupportedError for a statement that returns rows: PEP 249 leaves unsaid whose rows they would be.
        """
        for parameters in seq_of_parameters:
            self.execute(operation, parameters)
            if self.description is not None:
                self._drop_result()
                raise NotSupportedError("executemany is for statements that return no rows", hint="call execute for each of the parameters")
        return self

    def cancel(self) -> None:
        """Stops the statement whose rows are being taken; the call that takes them raises QueryCancelledError. From any thread."""
        self._check_open()
        result = self._result
        if result is not None:
            with _mapped():
                result.close()

    # Fetching ------------------------------------------------------------------------------------------------------------------------------------

    def fetchone(self) -> tuple[Any, ...] | None:
        """The next row, None after the last."""
        self._check_result()
        if self._next_row == len(self._rows) and not self._make_rows():
            return None
        row = self._rows[self._next_row]
        self._next_row += 1
        return row

    def fetchmany(self, size: int | None = None) -> list[tuple[Any, ...]]:
        """The next rows: `size` of them, or `arraysize`; fewer at the end."""
        self._check_result()
        wanted = self.arraysize if size is None else size
        if wanted < 0:
            raise ProgrammingError(f"cannot fetch {wanted} rows")
        rows: list[tuple[Any, ...]] = []
        while len(rows) < wanted and (self._next_row < len(self._rows) or self._make_rows()):
            taken = self._rows[self._next_row : self._next_row + wanted - len(rows)]
            self._next_row += len(taken)
            rows += taken
        return rows

    def fetchall(self) -> list[tuple[Any, ...]]:
        """All rows that are left."""
        self._check_result()
        rows: list[tuple[Any, ...]] = []
        while self._next_row < len(self._rows) or self._make_rows():
            rows += self._rows[self._next_row :]
            self._next_row = len(self._rows)
        return rows

    def fetch_arrow_table(self) -> pa.Table:
        """All rows that are left, as a pyarrow table."""
        schema = self._check_result().schema
        return pa.Table.from_batches(list(self._arrow_batches()), schema=schema)

    def fetch_record_batch(self) -> pa.RecordBatchReader:
        """The rows that are left, as a pyarrow reader that streams them."""
        return pa.RecordBatchReader.from_batches(self._check_result().schema, self._arrow_batches())

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self.fetch_record_batch().__arrow_c_stream__(requested_schema)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        self._check_result()
        return self

    def __next__(self) -> tuple[Any, ...]:
        row = self.fetchone()
        if row is None:
            raise StopIteration
        return row

    # About the last statement --------------------------------------------------------------------------------------------------------------------

    @property
    def description(self) -> list[ColumnDescription] | None:
        """One entry of seven fields per column; None where the last statement returned no rows, or before any."""
        return None if self._description is None else list(self._description)

    @property
    def rowcount(self) -> int:
        """How many rows the last statement returned; -1 until the last of them has been taken."""
        return self._row_count if self._drained else -1

    @property
    def rownumber(self) -> int | None:
        """The 0-based number of the next row in the result; None without a result."""
        return None if self._description is None else self._row_count - self._pending.num_rows - (len(self._rows) - self._next_row)

    @property
    def snapshots(self) -> tuple[PinnedSnapshot, ...]:
        """Which version of which table the last statement read."""
        return self._last().snapshots

    @property
    def scan_stats(self) -> ScanStats:
        """What the last statement's scans found, kept and dropped: files, rows, bytes."""
        return self._last().scan_stats

    @property
    def notices(self) -> tuple[str, ...]:
        """What the last statement had to say beside its rows."""
        return self._last().notices

    # The rest of PEP 249 -------------------------------------------------------------------------------------------------------------------------

    def setinputsizes(self, sizes: Sequence[Any]) -> None:
        """Does nothing, as PEP 249 allows."""
        self._check_open()

    def setoutputsize(self, size: int, column: int | None = None) -> None:
        """Does nothing, as PEP 249 allows."""
        self._check_open()

    @property
    def closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        """Stops what runs and drops its rows."""
        if not self._closed:
            self._drop_result()
            self._closed = True

    def __enter__(self) -> Cursor:
        self._check_open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    # Inside --------------------------------------------------------------------------------------------------------------------------------------

    def _no_result(self) -> None:
        self._result: Result | None = None
        self._batches: Iterator[pa.RecordBatch] = iter(())
        self._description: list[ColumnDescription] | None = None
        self._pending = pa.RecordBatch.from_arrays([], [])  # rows of the current batch that are not yet Python objects
        self._rows: list[tuple[Any, ...]] = []  # Python rows, which stand in _made too until they are given away
        self._made = self._pending
        self._next_row = 0
        self._row_count = 0  # rows the engine has given so far
        self._drained = False

    def _drop_result(self) -> None:
        result = self._result
        self._no_result()
        if result is not None:
            with _mapped():
                result.close()

    def _take(self, result: Result) -> None:
        self._result = result
        if result.returns_rows:
            self._description = describe(result.schema)
            self._batches = iter(result)

    def _next_batch(self) -> bool:
        """Whether there is a further batch with rows, now in _pending."""
        with _mapped():
            for batch in self._batches:
                if batch.num_rows:
                    self._pending = batch
                    self._row_count += batch.num_rows
                    return True
        self._drained = True
        return False

    def _make_rows(self) -> bool:
        """Whether there are further rows, now in _rows."""
        if not self._pending.num_rows and not self._next_batch():
            return False
        with _mapped():
            made = self._pending.slice(0, _ROWS_AT_A_TIME)
            self._rows = python_rows(made)
        self._made, self._next_row = made, 0
        self._pending = self._pending.slice(_ROWS_AT_A_TIME)
        return True

    def _arrow_batches(self) -> Iterator[pa.RecordBatch]:
        """The rows not yet given, each batch marked as given when it is."""
        result = self._result
        while self._result is result:
            if self._next_row < len(self._rows):
                batch, self._next_row = self._made.slice(self._next_row), len(self._rows)
            elif self._pending.num_rows or self._next_batch():
                batch, self._pending = self._pending, self._pending.slice(self._pending.num_rows)
            else:
                return
            yield batch
        raise InterfaceError("the cursor was closed, or has executed another statement, while its rows were being read")

    def _check_open(self) -> None:
        if self._closed or self.connection.closed:
            raise InterfaceError(f"the {'cursor' if self._closed else 'connection'} is closed")

    def _check_result(self) -> Result:
        self._check_open()
        if self._result is None:
            raise ProgrammingError("there are no rows to fetch: nothing has been executed")
        if self._description is None:
            raise ProgrammingError("there are no rows to fetch: the last statement returns none")
        return self._result

    def _last(self) -> Result:
        self._check_open()
        if self._result is None:
            raise ProgrammingError("nothing has been executed")
        return self._result


@contextmanager
def _mapped() -> Iterator[None]:
    """Lets only classes of lakesql.errors out, and what is no error of anybody's, such as KeyboardInterrupt."""
    try:
        yield
    except Error:
        raise
    except pa.ArrowException as error:
        raise DataError(f"the rows cannot be read: {error}") from error
    except Exception as error:
        raise InternalError(f"{type(error).__name__}: {error}", hint="this is a fault of lakesql: please report it") from error
