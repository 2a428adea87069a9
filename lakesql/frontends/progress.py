"""One line on the screen about a statement that takes over a second, wiped when it ends.

3.2 s · 41 of 240 files · 120.4 MiB of 1.2 GiB · 1.4M rows/s · 200 skipped · about 25 s left
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

from lakesql.frontends.footer import TableFacts, size_text

if TYPE_CHECKING:
    from lakesql.result import ScanProgress

FIRST_SECONDS = 1.0
_EACH_SECONDS = 0.25
_LEAST_SHARE = 0.02


class ProgressLine:
    """Writes to a terminal only. `show` may be called as often as one likes."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream if stream is not None and stream.isatty() else None
        self._shown = False
        self._last = 0.0

    @property
    def is_on(self) -> bool:
        """Whether there is a terminal to write to."""
        return self._stream is not None

    def show(self, elapsed_seconds: float, tables: Sequence[TableFacts] | None, progress: ScanProgress | None) -> None:
        """Writes the line anew, if it is time."""
        if self._stream is None or elapsed_seconds < FIRST_SECONDS or time.monotonic() - self._last < _EACH_SECONDS:
            return
        self._last, self._shown = time.monotonic(), True
        columns = shutil.get_terminal_size().columns
        with contextlib.suppress(OSError, ValueError):
            columns = os.get_terminal_size(self._stream.fileno()).columns
        self._stream.write("\r\x1b[2K" + progress_text(elapsed_seconds, tables, progress)[: max(1, columns - 1)])
        self._stream.flush()

    def leave(self) -> None:
        """Leaves no trace, and writes nothing more."""
        self.wipe()
        self._stream = None

    def wipe(self) -> None:
        """Takes the line away until it is shown again."""
        if self._shown and self._stream is not None:
            self._stream.write("\r\x1b[2K")
            self._stream.flush()
        self._shown = False


def progress_text(elapsed_seconds: float, tables: Sequence[TableFacts] | None, progress: ScanProgress | None) -> str:
    """The words of the line. tables: None while the statement is being planned.

    >>> from lakesql.result import ScanProgress
    >>> progress_text(2.0, [TableFacts("t", "delta", "3", None, 10, 4, 5, 1, 100, 40)], ScanProgress(2, 20, 3000))
    '2.0 s · 2 of 4 files · 20 B of 40 B · 1,500 rows/s · 6 skipped · about 2 s left'
    """
    parts = [f"{elapsed_seconds:.1f} s"]
    if tables is None or progress is None:
        return " · ".join([*parts, "planning"] if tables is None else parts)
    kept = sum(t.files_kept or 0 for t in tables)
    size = sum(t.bytes_kept or 0 for t in tables)
    skipped = sum(t.skipped_by_partition + t.skipped_by_statistics for t in tables)
    if kept:
        parts.append(f"{min(progress.files_read, kept):,} of {kept:,} files")
    if size:
        parts.append(f"{size_text(min(progress.bytes_read, size))} of {size_text(size)}")
    if progress.rows_read:
        parts.append(f"{progress.rows_read / elapsed_seconds:,.0f} rows/s")
    if skipped:
        parts.append(f"{skipped:,} skipped")
    share = min(progress.bytes_read / size, 1.0) if size else 0.0
    if _LEAST_SHARE < share < 1:
        parts.append(f"about {elapsed_seconds * (1 / share - 1):.0f} s left")
    return " · ".join(parts)
