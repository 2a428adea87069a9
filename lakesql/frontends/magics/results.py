"""What a cell gives back: rows that are taken when somebody wants them, and shown as HTML and text.

A result that is shown has taken batches until it had the rows to show, which is one batch of all but the smallest. What is left streams from the same
statement when `to_arrow` and its kin ask for it, and is kept: nothing runs twice, and every way of reading gives the same rows. A result that nobody holds any
more stops its statement.
"""

from __future__ import annotations

import io
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lakesql.errors import InterfaceError, NotSupportedError
from lakesql.frontends.footer import facts_of, footer_line, tables_of
from lakesql.frontends.magics import summary
from lakesql.frontends.magics.waiting import Clock, wait_for
from lakesql.frontends.render import FORMATS, PLAN, Screen, html, renderer
from lakesql.frontends.render.cells import visible
from lakesql.frontends.seam import mapped
from lakesql.frontends.values import python_rows
from lakesql.result import PinnedSnapshot, Result, ScanStats

if TYPE_CHECKING:
    import pandas
    import polars

    from lakesql.frontends.magics.progress import Progress

_PLAN_LINES = 10_000
"""A plan is shown whole."""

TEXT_COLUMNS = 120
"""How wide the text of a result is, where no terminal says how wide it is."""


class QueryResult:
    """The rows of one statement. snapshots: the versions it read, which `--as-of` takes; stats: what its scans found and left out.

    placed: asked when it is displayed, and may say that it has displayed the bundle itself. new_progress: makes a line of progress for rows that are taken
    later; None for none.
    """

    def __init__(self, sql: str, result: Result, clock: Clock, *, limit: int, text_columns: int = TEXT_COLUMNS, is_plan: bool = False) -> None:
        self.sql = sql
        self.snapshots: tuple[PinnedSnapshot, ...] = result.snapshots
        self.stats: ScanStats = result.scan_stats
        self.notices: tuple[str, ...] = result.notices
        self.schema: pa.Schema = result.schema
        self.returns_rows = result.returns_rows
        self.placed: Callable[[dict[str, str]], bool] = lambda bundle: False
        self.new_progress: Callable[[], Progress] | None = None
        self._limit = _PLAN_LINES if is_plan else limit
        self._text_columns = text_columns
        self._is_plan = is_plan
        self._kept: list[pa.RecordBatch] = []
        self._rows_kept = 0
        self._ended = False
        self._closed = False
        self._failure: BaseException | None = None
        self._clock = clock
        self._seconds = clock.elapsed_seconds
        self._batches = iter(result)
        self._tables = tables_of(result)
        self._scanned = result.progress
        self._stop = weakref.finalize(self, _let_go, result)
        self._lock = threading.RLock()

    # Taking rows ---------------------------------------------------------------------------------------------------------------------------------

    def take(self, rows: int | None, progress: Progress | None = None) -> None:
        """Takes batches until there are so many rows, None for all. What fails, or is stopped, ends the statement; rows that were taken stay.

        Raises what the statement raises, QueryTimeoutError and KeyboardInterrupt.
        """
        with self._lock:
            if self._has(rows):
                return
            if self._failure is not None:
                raise self._failure
            if self._closed:
                raise InterfaceError("the result was closed before all its rows were taken", hint="run the statement again")
            progress = progress or self._progress()
            started = time.monotonic()
            try:
                wait_for(lambda: self._pull(rows), self._clock, tick=(lambda: None) if progress is None else lambda: progress.renew(self))
            except BaseException as error:
                self.close()
                self._failure = error if isinstance(error, Exception) else None
                if progress is not None:
                    progress.clear()
                raise
            finally:
                self._seconds += time.monotonic() - started
            if progress is not None:
                progress.finished(self)

    @property
    def rows_shown(self) -> int:
        """How many rows must be there for a display that can say whether there are more."""
        return self._limit + 1

    @property
    def row_count(self) -> int:
        """How many rows have been taken; all of them once `is_complete`."""
        return self._rows_kept

    @property
    def is_complete(self) -> bool:
        """Whether all rows have been taken."""
        return self._ended

    @property
    def elapsed_seconds(self) -> float:
        """Seconds spent on planning and taking rows."""
        return self._seconds

    def to_arrow(self) -> pa.Table:
        """All rows as a pyarrow Table."""
        self.take(None)
        return pa.Table.from_batches(self._kept, schema=self.schema)

    def to_pandas(self, **options: Any) -> pandas.DataFrame:
        """All rows as a pandas DataFrame. options: of pyarrow's Table.to_pandas."""
        table = self.to_arrow()
        try:
            frame: pandas.DataFrame = table.to_pandas(**options)
        except ImportError as error:
            raise NotSupportedError("pandas is not installed", hint="pip install pandas; to_arrow needs nothing more") from error
        return frame

    def to_polars(self) -> polars.DataFrame:
        """All rows as a polars DataFrame."""
        try:
            import polars  # a choice of the user's
        except ImportError as error:
            raise NotSupportedError("polars is not installed", hint="pip install polars; to_arrow needs nothing more") from error
        frame = polars.from_arrow(self.to_arrow())
        assert isinstance(frame, polars.DataFrame)
        return frame

    @property
    def plot(self) -> Any:
        """pandas' plots of all rows: `res.plot.bar(x="day")`."""
        return self.to_pandas().plot

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        """The rows as tuples of Python objects, batch by batch."""
        number = 0
        progress = self._progress()
        while True:
            if number == len(self._kept):
                self.take(self._rows_kept + 1, progress)
            if number == len(self._kept):
                return
            with mapped():
                rows = python_rows(self._kept[number])
            number += 1
            yield from rows

    def close(self) -> None:
        """Stops the statement where it still runs. Rows that were taken stay."""
        self._closed = True
        self._stop()

    def _progress(self) -> Progress | None:
        """A new line of progress; None outside of the thread that runs cells."""
        return self.new_progress() if self.new_progress is not None and threading.current_thread() is threading.main_thread() else None

    def _has(self, rows: int | None) -> bool:
        return self._ended or (rows is not None and self._rows_kept >= rows)

    def _pull(self, rows: int | None) -> None:
        with mapped():
            while not self._has(rows) and not self._closed:
                batch = next(self._batches, None)
                if self._closed:
                    return  # by somebody who did not wait
                if batch is None:
                    self._ended = True
                elif batch.num_rows:
                    self._kept.append(batch)
                    self._rows_kept += batch.num_rows

    # Showing -------------------------------------------------------------------------------------------------------------------------------------

    @property
    def footer(self) -> str:
        """The statement's work in one line."""
        return footer_line(facts_of(self._tables, self._rows_kept, self._seconds, self._scanned(), complete=self._ended))

    def progress_line(self, elapsed_seconds: float) -> str:
        """What it does now, in one line."""
        return summary.progress(elapsed_seconds, self._rows_kept, self._tables, self._scanned())

    def bundle(self) -> dict[str, str]:
        """The result by MIME type."""
        rows = self._head()
        capped = not self._ended or rows.num_rows < self._rows_kept
        notes = [visible(note) for note in (*([self._cap_note(rows.num_rows)] if capped else []), *(f"note: {n}" for n in self.notices))]
        below = "\n".join((*notes, visible(self.footer)))
        with mapped():
            text = self._text(rows)
            shown = html.preformatted(text, notes, self.footer) if self._is_plan else html.table(self.schema, rows, notes, self.footer)
        return {"text/html": shown, "text/plain": text + below}

    def _head(self) -> pa.Table:
        if not self._closed:
            self.take(self.rows_shown)
        with self._lock:
            return pa.Table.from_batches(self._kept, schema=self.schema).slice(0, self._limit)

    def _cap_note(self, shown: int) -> str:
        if self._ended:
            return f"first {shown:,} of {self._rows_kept:,} rows"
        return f"first {shown:,} rows; there are more, which were not fetched: to_arrow(), to_pandas() and to_polars() give all"

    def _text(self, rows: pa.Table) -> str:
        out = io.BytesIO()
        table = renderer(PLAN if self._is_plan else FORMATS["table"], out, Screen(self._text_columns, max(1, self._limit)))
        table.begin(self.schema)
        for batch in rows.to_batches():
            table.write(batch)
        table.end()
        return out.getvalue().decode()

    def __repr__(self) -> str:
        return self.bundle()["text/plain"] if self.returns_rows else "no rows"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return self.bundle()

    def _ipython_display_(self) -> None:
        """Where the cell's progress line stands, the result takes its place; anywhere else IPython shows it as it shows all."""
        if not self.returns_rows:
            return
        if not self.placed(self.bundle()):
            raise NotImplementedError


def _let_go(result: Result) -> None:
    result.close()
