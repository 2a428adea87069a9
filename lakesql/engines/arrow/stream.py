"""Rows as parts that can be read apart, and their batches, several parts at once.

A part is read at most by one thread at a time, and each time it is read anew. Batches have the stream's columns; texts may be dictionaries in them, and a
stream without columns has batches with the column NUMBERED, since a batch without any has no rows.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import pyarrow as pa

NUMBERED = "__lakesql_rows"
"""The column of batches whose stream has none."""

_QUEUED = 6
_WAIT_S = 0.1

T = TypeVar("T")


@dataclass(frozen=True)
class Part:
    """Some of a stream's rows. path: the data file they are in, where that is one."""

    read: Callable[[], Iterator[pa.RecordBatch]]
    path: str | None = None


@dataclass(frozen=True)
class Stream:
    """A relation's rows. schema: its columns."""

    schema: pa.Schema
    parts: tuple[Part, ...]

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All batches, in no order."""
        return batches_of(self.parts)

    def table(self) -> pa.Table:
        """All rows, in memory, in plain types."""
        found = [conforming(b, self.schema) for b in self.batches()]
        if not len(self.schema):
            return pa.Table.from_batches(found) if found else pa.table({NUMBERED: pa.array([], pa.int8())})
        return pa.Table.from_batches(found, schema=self.schema)

    def each(self, change: Callable[[pa.RecordBatch], pa.RecordBatch], schema: pa.Schema | None = None) -> Stream:
        """The stream whose batches are those of this one, changed one by one; schema: of what they become."""
        return Stream(self.schema if schema is None else schema, tuple(Part(_changed(p, change), p.path) for p in self.parts))


def _changed(part: Part, change: Callable[[pa.RecordBatch], pa.RecordBatch]) -> Callable[[], Iterator[pa.RecordBatch]]:
    return lambda: map(change, part.read())


def held(table: pa.Table) -> Stream:
    """The rows of a table."""
    return Stream(table.schema, (Part(lambda: iter(table.to_batches())),) if table.num_rows else ())


class Once(Generic[T]):
    """A value that is made when it is first asked for, by one thread, and kept."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: list[T] = []
        self._lock = threading.Lock()

    def __call__(self) -> T:
        with self._lock:
            if not self._made:
                self._made.append(self._make())
            return self._made[0]


def batches_of(parts: Sequence[Part]) -> Iterator[pa.RecordBatch]:
    """The batches of all parts, as many parts at once as there are processors; at most a few batches wait to be taken."""
    workers = min(os.cpu_count() or 1, len(parts))
    if workers <= 1:
        for part in parts:
            yield from part.read()
        return
    crew = _Crew(parts, workers)
    try:
        yield from crew
    finally:
        crew.stop()


class _Crew:
    """Threads that read parts, and what they have read."""

    def __init__(self, parts: Sequence[Part], workers: int) -> None:
        self._parts = iter(parts)
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._queue: queue.Queue[pa.RecordBatch | Exception | None] = queue.Queue(_QUEUED)
        self._workers = workers
        for number in range(workers):
            threading.Thread(target=self._work, name=f"lakesql-scan-{number}", daemon=True).start()

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        ended = 0
        while ended < self._workers:
            found = self._queue.get()
            if found is None:
                ended += 1
            elif isinstance(found, Exception):
                raise found
            else:
                yield found

    def stop(self) -> None:
        """Nobody takes batches any more."""
        self._stopped.set()

    def _work(self) -> None:
        try:
            while (part := self._next()) is not None:
                for batch in part.read():
                    if not self._give(batch):
                        return
        except Exception as error:
            self._give(error)
        finally:
            self._give(None)

    def _next(self) -> Part | None:
        with self._lock:
            return None if self._stopped.is_set() else next(self._parts, None)

    def _give(self, found: pa.RecordBatch | Exception | None) -> bool:
        while not self._stopped.is_set():
            try:
                self._queue.put(found, timeout=_WAIT_S)
            except queue.Full:
                continue
            return True
        return False


def conforming(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The batch in the plain types of `schema`."""
    if not len(schema) or batch.schema.equals(schema):
        return batch
    columns = [c if c.type == f.type else c.cast(f.type) for c, f in ((batch.column(f.name), f) for f in schema)]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def batch_of(arrays: Sequence[pa.Array], names: Sequence[str], count: int) -> pa.RecordBatch:
    """A batch of these columns; where there are none, of so many rows all the same."""
    if not names:
        return pa.RecordBatch.from_arrays([pa.nulls(count, pa.int8())], names=[NUMBERED])
    return pa.RecordBatch.from_arrays(list(arrays), names=list(names))


def gathered(batches: Iterator[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of at least `rows`, but for the last."""
    waiting: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        waiting.append(batch)
        count += batch.num_rows
        if count >= rows:
            yield from _joined(waiting)
            waiting, count = [], 0
    yield from _joined(waiting)


def _joined(batches: list[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    if len(batches) <= 1:
        yield from batches
    else:
        yield from pa.Table.from_batches(batches).unify_dictionaries().combine_chunks().to_batches()


def taken(table: pa.Table, rows: np.ndarray) -> pa.Table:
    """Rows of a table by their numbers."""
    return table.take(pa.array(rows, pa.int64()))
