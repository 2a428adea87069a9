"""A running statement: record batches pulled through an event loop of our own, so that waiting for one can be interrupted.

DataFusion's blocking calls do not notice Ctrl-C or another thread's wish to cancel. Awaiting a batch in a background loop and dropping the stream does: the
caller is free at once. What keeps running for a while is a join that has already begun a batch (a known limit of the engine).
"""

from __future__ import annotations

import asyncio
import atexit
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from functools import cache
from typing import Any

import pyarrow as pa

from lakesql.engines.datafusion.faults import translate
from lakesql.errors import DataFileError, Error, QueryCancelledError

_MOMENT_SECONDS = 0.002
_AT_ONCE = 8
"""What follows a batch within a moment comes along with it, at most so many: a trip through the loop costs 0.2 ms, and many results are one batch."""
_FAREWELL_SECONDS = 1.0
_LAST_WORDS_SECONDS = 0.02
"""How long an engine thread may take to come out of a call into the loop; without it 10 of 30 processes crashed as they ended."""


class PlannedFrame:
    """A statement planned over its tables (`engines.Prepared`), which may be run more than once.

    frame: the statement as a DataFrame. require: looks for the data files again, as planning did, and returns a line for each whose size is not what the
    metadata says; suspects: those lines as planning found them.
    """

    def __init__(self, frame: Any, schema: pa.Schema, suspects: Sequence[str], require: Callable[[], Sequence[str]], *, repeatable: bool) -> None:
        self.repeatable = repeatable
        self.frame = frame
        self._schema = schema
        self._suspects: Sequence[str] | None = suspects
        self._require = require

    def run(self) -> Stream:
        """See Prepared. Files were looked for just now where this is the first time."""
        suspects, self._suspects = self._suspects, None
        return Stream(self.frame, self._schema, self._require() if suspects is None else suspects)


class Stream:
    """Rows of one statement (`engines.Rows`). May be iterated once; close() stops it and may be called from any thread, more than once."""

    def __init__(self, frame: Any, schema: pa.Schema, suspects: Sequence[str] = ()) -> None:
        self._suspects = suspects
        self.schema = schema
        self._frame = frame
        self._stream: Any = None
        self._ahead: asyncio.Task[pa.RecordBatch | None] | None = None
        self._pending: Future[tuple[list[pa.RecordBatch], bool]] | None = None
        self._started = False
        self._closed = threading.Event()
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        ended = False
        while not ended:
            batches, ended = self._next()
            for batch in batches:
                if self._closed.is_set():
                    raise QueryCancelledError("the statement was cancelled")
                if batch.num_rows:
                    yield as_schema(batch, self.schema)
        self._stream = None

    def close(self) -> None:
        self._closed.set()
        with self._lock:
            pending, ahead = self._pending, self._ahead
            self._stream = self._ahead = None
        if pending is not None:
            pending.cancel()
        if ahead is not None:
            _loop().call_soon_threadsafe(ahead.cancel)

    def progress(self) -> tuple[int, int, int] | None:
        """Files opened, bytes and rows read by the scans so far; None before the first batch was asked for. From any thread."""
        if not self._started:
            return None
        files = read = rows = 0
        for step, metrics in self._frame.execution_plan().collect_metrics():
            if step.lstrip().startswith("DataSourceExec"):
                for metric in metrics.metrics():
                    value = metric.value
                    if isinstance(value, int):
                        files += value if metric.name == "files_opened" else 0
                        read += value if metric.name == "bytes_scanned" else 0
                        rows += value if metric.name == "output_rows" else 0
        return files, read, rows

    def _next(self) -> tuple[list[pa.RecordBatch], bool]:
        """The next batches, and whether there are no more."""
        with self._lock:
            if self._closed.is_set():
                raise QueryCancelledError("the statement was cancelled")
            self._pending = pending = asyncio.run_coroutine_threadsafe(self._pull(), _loop())
        try:
            return pending.result()
        except (CancelledError, asyncio.CancelledError) as error:
            raise QueryCancelledError("the statement was cancelled") from error
        except KeyboardInterrupt:
            self.close()
            raise
        except Exception as error:  # datafusion-python raises bare Exception and ValueError
            raise naming(translate(error), self._suspects) from error

    async def _pull(self) -> tuple[list[pa.RecordBatch], bool]:
        found: list[pa.RecordBatch] = []
        if self._stream is None:
            self._stream = self._frame.execute_stream()
            self._started = True
        while len(found) < _AT_ONCE:
            self._ahead = ahead = self._ahead or asyncio.ensure_future(_next_of(self._stream))
            try:
                if found and not ahead.done():
                    await asyncio.wait((ahead,), timeout=_MOMENT_SECONDS)
                if found and (not ahead.done() or ahead.cancelled() or ahead.exception() is not None):
                    break  # rows that came before an error are given before it is raised
                batch = await ahead
            except asyncio.CancelledError:
                ahead.cancel()
                raise
            self._ahead = None
            if batch is None:
                return found, True
            found.append(batch)
        return found, False


async def _next_of(stream: Any) -> pa.RecordBatch | None:
    try:
        return (await stream.__anext__()).to_pyarrow()
    except StopAsyncIteration:
        return None


def naming(error: Error, suspects: Sequence[str]) -> Error:
    """The error with the files most likely at fault: the engine's own message names none."""
    if not isinstance(error, DataFileError) or not suspects:
        return error
    more = f" (and {len(suspects) - 3} more)" if len(suspects) > 3 else ""
    return DataFileError(f"{error.message}; {'; '.join(suspects[:3])}{more}", hint=error.hint)


def as_schema(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The batch with its columns in the types of `schema`: text and bytes that the engine keeps as views become plain ones."""
    columns = [c if c.type == f.type else c.cast(f.type) for c, f in zip(batch.columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=schema) if columns else batch


@cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="lakesql-engine", daemon=True)
    thread.start()
    atexit.register(_stop, loop, thread)
    return loop


def _stop(loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    """Ends the loop before the interpreter goes: an engine thread that hands it a batch later would bring the process down with it."""
    loop.call_soon_threadsafe(loop.stop)
    thread.join(_FAREWELL_SECONDS)
    time.sleep(_LAST_WORDS_SECONDS)
