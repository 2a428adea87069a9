"""What the command line says on standard error: errors, notices, statistics. Never a character that a terminal would obey."""

from __future__ import annotations

import contextlib
import re
import traceback
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TextIO

from lakesql.errors import Error, InterfaceError

if TYPE_CHECKING:
    from lakesql.result import PinnedSnapshot, Result, TableScanStats

_OBEYED = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class Words:
    """Writes to standard error, one line or block at a time. That it cannot be written to is nobody's error."""

    def __init__(self, stderr: TextIO | None, *, quiet: bool = False, debug: bool = False) -> None:
        self._stderr = stderr
        self.quiet = quiet
        self.debug = debug

    def say(self, text: str) -> None:
        """Text that must be seen."""
        if self._stderr is not None:
            with contextlib.suppress(OSError, ValueError):
                self._stderr.write(_OBEYED.sub(lambda m: m[0].encode("unicode_escape", "surrogatepass").decode(), text) + "\n")
                self._stderr.flush()

    def notice(self, text: str) -> None:
        """Text that --quiet leaves out."""
        if not self.quiet:
            self.say(f"note: {text}")

    def error(self, error: BaseException, place: str | None = None) -> None:
        """An error: its SQLSTATE, message, marked SQL and hint; with debug its traceback comes first. place: of the statement, None where it is plain."""
        if self.debug:
            self.say("".join(traceback.format_exception(error)).rstrip())
        where = "" if place is None else f"{place}: "
        if isinstance(error, Error):
            code = "" if isinstance(error, InterfaceError) else f" {error.sqlstate}"  # what is wrong with a command line has no SQLSTATE
            self.say(f"{where}error{code}: {error}")
        else:
            text = f"internal error: {type(error).__name__}: {error}\nhint: this is a fault of lakesql: please report it with the output of --debug"
            self.say(where + text)

    def stats(self, result: Result, elapsed_seconds: float) -> None:
        """One line per table that was read."""
        lines = list(_table_lines(result.snapshots, result.scan_stats.tables)) or ["no table was read"]
        for line in lines:
            self.say(f"{line}, {elapsed_seconds:.3f} s")


def _table_lines(snapshots: Iterable[PinnedSnapshot], scans: Iterable[TableScanStats]) -> Iterator[str]:
    unread = list(scans)
    for snapshot in snapshots:
        scan = next((s for s in unread if s.name == snapshot.name), None)
        committed = "" if snapshot.committed_at is None else f" of {snapshot.committed_at.isoformat().replace('+00:00', 'Z')}"
        head = f"{snapshot.name}: {snapshot.format} version {snapshot.version}{committed}" if snapshot.version else f"{snapshot.name}: metadata"
        if scan is None:
            yield head
            continue
        unread.remove(scan)
        dropped = f"{scan.dropped_by_partition:,} dropped by partition, {scan.dropped_by_statistics:,} by statistics"
        yield f"{head}, {scan.files_kept:,} of {scan.files_total:,} files ({dropped}){_bytes_words(scan)}"


def _bytes_words(scan: TableScanStats) -> str:
    if scan.bytes_kept is None or scan.bytes_total is None:
        return ""
    return f", {size_text(scan.bytes_kept)} of {size_text(scan.bytes_total)}"


def size_text(size_bytes: int) -> str:
    """A size as people read it.

    >>> size_text(900), size_text(12_582_912)
    ('900 B', '12.0 MiB')
    """
    size = float(size_bytes)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB", "PiB"):
        if size < 1024 or unit == "PiB":
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    raise AssertionError("unreachable")
