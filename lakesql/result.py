"""What a statement gives back: rows that stream, the versions it read, and what was pruned."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from lakesql.errors import InterfaceError
from lakesql.table import ScanReport

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class PinnedSnapshot:
    """A version of a table that a statement read. name: as the statement wrote it. committed_at: UTC, None where the format does not say or datetime cannot
    hold it.
    """

    name: str
    location: str
    format: str
    version: str
    committed_at: datetime | None


@dataclass(frozen=True)
class TableScanStats:
    """What one table's scan found and kept; counts as in table.ScanReport. planned_s: seconds spent on opening, pruning and planning it."""

    name: str
    report: ScanReport

    @property
    def files_total(self) -> int:
        return self.report.total_files

    @property
    def files_kept(self) -> int:
        return self.report.kept_files

    @property
    def dropped_by_partition(self) -> int:
        return self.report.dropped_by_partition

    @property
    def dropped_by_statistics(self) -> int:
        return self.report.dropped_by_statistics

    @property
    def bytes_total(self) -> int | None:
        return self.report.total_bytes

    @property
    def bytes_kept(self) -> int | None:
        return self.report.kept_bytes

    @property
    def rows_total(self) -> int | None:
        return self.report.total_rows

    @property
    def rows_kept(self) -> int | None:
        return self.report.kept_rows


@dataclass(frozen=True)
class ScanStats:
    """The sums over a statement's tables; a sum is None where a part is not known."""

    tables: tuple[TableScanStats, ...] = ()

    @property
    def files_total(self) -> int:
        return sum(t.files_total for t in self.tables)

    @property
    def files_kept(self) -> int:
        return sum(t.files_kept for t in self.tables)

    @property
    def dropped_by_partition(self) -> int:
        return sum(t.dropped_by_partition for t in self.tables)

    @property
    def dropped_by_statistics(self) -> int:
        return sum(t.dropped_by_statistics for t in self.tables)

    @property
    def bytes_total(self) -> int | None:
        return _sum(t.bytes_total for t in self.tables)

    @property
    def bytes_kept(self) -> int | None:
        return _sum(t.bytes_kept for t in self.tables)

    @property
    def rows_total(self) -> int | None:
        return _sum(t.rows_total for t in self.tables)

    @property
    def rows_kept(self) -> int | None:
        return _sum(t.rows_kept for t in self.tables)


@dataclass(frozen=True)
class ScanProgress:
    """How far a running statement has come, over all its tables: files opened (a file read in parts may count for each), bytes and rows read so far."""

    files_read: int
    bytes_read: int
    rows_read: int


@dataclass
class Result:
    """One statement's answer. Rows come once, by iterating or through reader(); errors raised while they stream are lakesql errors.

    returns_rows: False for statements such as SET, whose schema is empty. progress: how far it has come, None where nothing counts; from any thread.
    """

    schema: pa.Schema
    batches: Iterable[pa.RecordBatch]
    snapshots: tuple[PinnedSnapshot, ...] = ()
    scan_stats: ScanStats = field(default_factory=ScanStats)
    notices: tuple[str, ...] = ()
    returns_rows: bool = True
    on_close: Callable[[], None] = lambda: None
    on_left_out: Callable[[], None] = lambda: None
    progress: Callable[[], ScanProgress | None] = lambda: None
    _taken: bool = False

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        if self._taken:
            raise InterfaceError("the rows of this result have been taken already")
        self._taken = True
        return iter(self.batches)

    def reader(self) -> pa.RecordBatchReader:
        """The rows as a pyarrow reader that streams; it can be taken once."""
        return pa.RecordBatchReader.from_batches(self.schema, iter(self))

    def table(self) -> pa.Table:
        """All rows at once."""
        return pa.Table.from_batches(list(self), schema=self.schema)

    def close(self) -> None:
        """Stops the statement where it still runs; from any thread, more than once."""
        self.on_close()

    def leave_out(self) -> None:
        """Says that rows were taken that nobody was given, so that no consumer moves past them; from any thread, more than once."""
        self.on_left_out()


def of_table(table: pa.Table, **extra: object) -> Result:
    """A result of rows already in memory."""
    return Result(table.schema, table.to_batches(), **extra)  # type: ignore[arg-type]


def nothing(*notices: str) -> Result:
    """The result of a statement that gives no rows."""
    return Result(pa.schema([]), (), notices=notices, returns_rows=False)


def instant(us: int | None) -> datetime | None:
    """Microseconds UTC as a datetime; None beyond the years 1 to 9999."""
    if us is None:
        return None
    try:
        return _EPOCH + timedelta(microseconds=us)
    except OverflowError:
        return None


def _sum(parts: Iterable[int | None]) -> int | None:
    total = 0
    for part in parts:
        if part is None:
            return None
        total += part
    return total
