"""A session that answers from memory, so that front ends are tested without tables or an engine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from lakesql.errors import QueryCancelledError, SqlError
from lakesql.result import PinnedSnapshot, Result, nothing


class FakeSession:
    """Answers statements by their text: a table, a result, None, an error to raise, or a function of the parameters that gives one of those.

    `log` keeps what was asked.
    """

    def __init__(self, answers: dict[str, Any] | None = None) -> None:
        self.answers = answers or {}
        self.log: list[tuple[str, Any]] = []
        self.closed = False
        self.cancelled = threading.Event()

    def execute(self, text: str, parameters: Any = None) -> Result:
        self.log.append((text, parameters))
        if text not in self.answers:
            raise SqlError(f'the double knows no "{text}"', sql=text, position=0)
        answer = self.answers[text]
        if callable(answer):
            answer = answer(parameters)
        if isinstance(answer, BaseException):
            raise answer
        if answer is None:
            return nothing()
        return answer if isinstance(answer, Result) else result_of(answer)

    def cancel(self) -> None:
        self.cancelled.set()

    def close(self) -> None:
        self.cancel()
        self.closed = True

    def endless(self, batch: pa.RecordBatch) -> Result:
        """A result that repeats a batch until it is cancelled."""

        def batches() -> Iterator[pa.RecordBatch]:
            while not self.cancelled.is_set():
                yield batch
            raise QueryCancelledError("cancelled")

        return Result(batch.schema, batches(), on_close=self.cancel)

    def stuck(self, batch: pa.RecordBatch) -> Result:
        """A result whose first batch never comes, unless it is cancelled."""

        def batches() -> Iterator[pa.RecordBatch]:
            self.cancelled.wait(30)
            yield from ()
            raise QueryCancelledError("cancelled")

        return Result(batch.schema, batches(), on_close=self.cancel)


def result_of(table: pa.Table, batch_rows: int = 2, **extra: Any) -> Result:
    """A result of a table's rows, in small batches, with one snapshot."""
    return Result(table.schema, iter(table.to_batches(max_chunksize=batch_rows)), **{"snapshots": (PinnedSnapshot("t", "/t", "delta", "7", None),), **extra})


def failing_after(table: pa.Table, error: BaseException) -> Result:
    """A result that gives a table's rows, and then fails."""

    def batches() -> Iterator[pa.RecordBatch]:
        yield from table.to_batches()
        raise error

    return Result(table.schema, batches())
