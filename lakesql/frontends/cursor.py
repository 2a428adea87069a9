"""PEP 249's cursor: executes statements and gives their rows, as Python objects or as Arrow, from one stream. `dbapi.py` says what lakesql chose where PEP
249 leaves a choice."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lakesql.errors import Error, InterfaceError, NotSupportedError, ProgrammingError, QueryCancelledError
from lakesql.frontends.seam import mapped
from lakesql.frontends.statements import Parameters, statements_of
from lakesql.frontends.typecodes import ColumnDescription, describe
from lakesql.frontends.values import python_rows

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

    from lakesql.frontends.dbapi import Connection
    from lakesql.result import PinnedSnapshot, Result, ScanStats
    from lakesql.session import Session

_ROWS_AT_A_TIME = 4096
"""Rows made into Python objects in one go: few enough that fetchone stays cheap on huge batches."""


class Cursor:
    """Executes statements, one at a time, and gives their rows. Not to be shared by threads; `cancel` alone may come from another."""

    def __init__(self, connection: Connection, session: Session) -> None:
        self.connection = connection
        self.arraysize = 1
        self._session = session
        self._closed = False
        self._cancelled = False
        self._next_row = 0
        self._no_result()

    # Executing -----------------------------------------------------------------------------------------------------------------------------------

    def execute(self, operation: str, parameters: Parameters | None = None) -> Cursor:
        """Executes the statements of a text and returns the cursor itself. Rows of the statement before are dropped.

        The rows are those of the first statement; `nextset` goes on to the next. All are planned here, so what is wrong with any of them is said here.
        """
        self._check_open()
        if not isinstance(operation, str):
            raise ProgrammingError(f"a statement is a str, not {type(operation).__name__}")
        self._drop_result()
        self._cancelled = False
        results: deque[Result] = deque()
        try:
            with mapped(operation):
                given = statements_of(operation, parameters)
            for text, values, start in given:
                with mapped(operation, start):
                    results.append(self._session.execute(text, values))
                    if self._cancelled:
                        raise QueryCancelledError("the statement was cancelled")
        except BaseException:  # whatever it is, Ctrl-C too: statements that have begun are stopped, and it goes on
            for result in results:
                result.close()
            raise
        self._take(results.popleft(), results, operation)
        return self

    def nextset(self) -> bool | None:
        """Goes on to the rows of the next statement of the text, dropping what is left of this one's: True, or None where there is none."""
        self._check_open()
        if self._result is None:
            raise ProgrammingError("nothing has been executed")
        query, following = self._query, self._following.copy()
        self._following.clear()
        self._drop_result()
        if not following:
            return None
        self._take(following.popleft(), following, query)
        return True

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
        self._cancelled = True
        for result in (self._result, *self._following):
            if result is not None:
                with mapped():
                    result.close()

    interrupt = adbc_cancel = cancel

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

    fetch_arrow = to_arrow_table = fetch_arrow_table
    to_arrow_reader = fetch_record_batch

    def fetch_df(self) -> pd.DataFrame:
        """All rows that are left, as a pandas DataFrame; needs pandas."""
        with mapped():
            return self.fetch_arrow_table().to_pandas()

    def fetch_polars(self) -> pl.DataFrame:
        """All rows that are left, as a polars DataFrame; needs polars."""
        import polars as pl  # only who asks for it needs it

        with mapped():
            frame = pl.from_arrow(self.fetch_arrow_table())
        assert isinstance(frame, pl.DataFrame)
        return frame

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

    def adbc_ingest(self, *_: Any, **__: Any) -> int:
        """Raises NotSupportedError: ADBC's way to write a table."""
        raise NotSupportedError("lakesql only reads: it ingests nothing")

    def adbc_execute_schema(self, operation: str, parameters: Parameters | None = None) -> pa.Schema:
        """The schema of a statement's rows. It is planned, and none of its rows are read."""
        schema = self.execute(operation, parameters)._check_result().schema
        self._drop_result()
        return schema

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
        self._query: str | None = None
        self._following: deque[Result] = deque()
        self._batches: Iterator[pa.RecordBatch] = iter(())
        self._description: list[ColumnDescription] | None = None
        self._pending = pa.RecordBatch.from_arrays([], [])  # rows of the current batch that are not yet Python objects
        self._rows: list[tuple[Any, ...]] = []  # Python rows, which stand in _made too until they are given away
        self._made = self._pending
        self._next_row = 0
        self._row_count = 0  # rows the engine has given so far
        self._drained = False
        self._fault: Error | None = None  # what the rows broke off with

    def _drop_result(self) -> None:
        dropped = (self._result, *self._following)
        self._no_result()
        for result in dropped:
            if result is not None:
                with mapped():
                    result.close()

    def _take(self, result: Result, following: deque[Result], query: str | None) -> None:
        self._result, self._following, self._query = result, following, query
        if result.returns_rows:
            self._description = describe(result.schema)
            self._batches = iter(result)

    def _next_batch(self) -> bool:
        """Whether there is a further batch with rows, now in _pending. Rows that broke off never look as if they had ended: each call says so again."""
        if self._fault is not None:
            raise self._fault
        try:
            with mapped(self._query):
                for batch in self._batches:
                    if batch.num_rows:
                        self._pending = batch
                        self._row_count += batch.num_rows
                        return True
        except Error as error:
            self._fault = error
            raise
        self._drained = True
        return False

    def _make_rows(self) -> bool:
        """Whether there are further rows, now in _rows."""
        if not self._pending.num_rows and not self._next_batch():
            return False
        with mapped():
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
