"""What is said of a statement that has ended: rows, time, what was read and what pruning saved, which snapshots. For people as a line, for programs as JSON.

3 rows, 0.42 s, read 3 of 240 files (200 by partition, 37 by statistics skipped), 12.0 MiB, orders@8123
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lakesql.hidden import hidden

if TYPE_CHECKING:
    from lakesql.result import Result, ScanProgress


@dataclass(frozen=True)
class TableFacts:
    """One table that a statement read. version: "" for tables of metadata; committed_at: ISO 8601 in UTC, None where nothing says. Counts of files, which are
    None where no scan was planned; skipped ones by what proved them useless.
    unused: predicates that pruning could not use, with the reason."""

    name: str
    format: str
    version: str
    committed_at: str | None = None
    files_total: int | None = None
    files_kept: int | None = None
    skipped_by_partition: int = 0
    skipped_by_statistics: int = 0
    bytes_total: int | None = None
    bytes_kept: int | None = None
    unused: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Facts:
    """A statement that has ended. rows: that it gave, None where it gives none; complete: False where it was stopped before its last row; files_read,
    bytes_read: what scans opened and read, None where nothing counted."""

    rows: int | None
    elapsed_seconds: float
    tables: tuple[TableFacts, ...] = ()
    complete: bool = True
    files_read: int | None = None
    bytes_read: int | None = None


def tables_of(result: Result) -> tuple[TableFacts, ...]:
    """The tables of a result, in the order of its snapshots."""
    unread = list(result.scan_stats.tables)
    found = []
    for snapshot in result.snapshots:
        scan = next((s for s in unread if s.name == snapshot.name), None)
        committed = None if snapshot.committed_at is None else snapshot.committed_at.isoformat().replace("+00:00", "Z")
        facts = TableFacts(hidden(snapshot.name), snapshot.format, snapshot.version, committed)
        if scan is not None:
            unread.remove(scan)
            counts = (
                scan.files_total,
                scan.files_kept,
                scan.dropped_by_partition,
                scan.dropped_by_statistics,
                scan.bytes_total,
                scan.bytes_kept,
                scan.report.unused,
            )
            facts = TableFacts(hidden(snapshot.name), snapshot.format, snapshot.version, committed, *counts)
        found.append(facts)
    return tuple(found)


def facts_of(tables: tuple[TableFacts, ...], rows: int | None, elapsed_seconds: float, progress: ScanProgress | None, *, complete: bool = True) -> Facts:
    """The facts of a statement. Files that were read in parts are counted once: no more are read than were kept."""
    kept = sum(t.files_kept or 0 for t in tables)
    files = None if progress is None else min(progress.files_read, kept)
    return Facts(rows, elapsed_seconds, tables, complete, files, None if progress is None else progress.bytes_read)


def footer_line(facts: Facts) -> str:
    """The line for people."""
    parts = []
    if facts.rows is not None:
        parts.append(f"{facts.rows:,}{'' if facts.complete else '+'} row{'' if facts.rows == 1 else 's'}")
    parts.append(f"{facts.elapsed_seconds:.2f} s")
    scanned = [t for t in facts.tables if t.files_total is not None]
    total = sum(t.files_total or 0 for t in scanned)
    if total:
        kept = sum(t.files_kept or 0 for t in scanned)
        read = kept if facts.files_read is None else facts.files_read
        skipped = [
            f"{count:,} by {reason}"
            for reason in ("partition", "statistics")
            if (count := sum(t.skipped_by_partition if reason == "partition" else t.skipped_by_statistics for t in scanned))
        ]
        parts.append(f"read {read:,} of {total:,} files" + (f" ({', '.join(skipped)} skipped)" if skipped else ""))
        size = _bytes(facts, scanned)
        if size is not None:
            parts.append(size_text(size))
    parts += dict.fromkeys(f"{t.name}@{t.version}" if t.version else t.name for t in facts.tables)
    return ", ".join(parts)


def footer_json(facts: Facts) -> str:
    """The same as one line of JSON; see docs/cli.md for its keys."""
    scanned = [t for t in facts.tables if t.files_total is not None]
    return json.dumps(
        {
            "rows": facts.rows,
            "complete": facts.complete,
            "elapsed_s": round(facts.elapsed_seconds, 6),
            "files_total": sum(t.files_total or 0 for t in scanned),
            "files_kept": sum(t.files_kept or 0 for t in scanned),
            "files_read": facts.files_read,
            "skipped_by_partition": sum(t.skipped_by_partition for t in scanned),
            "skipped_by_statistics": sum(t.skipped_by_statistics for t in scanned),
            "bytes_read": facts.bytes_read,
            "tables": [
                {
                    "name": t.name,
                    "format": t.format,
                    "version": t.version,
                    "committed_at": t.committed_at,
                    "files_total": t.files_total,
                    "files_kept": t.files_kept,
                    "skipped_by_partition": t.skipped_by_partition,
                    "skipped_by_statistics": t.skipped_by_statistics,
                    "bytes_total": t.bytes_total,
                    "bytes_kept": t.bytes_kept,
                }
                for t in facts.tables
            ],
        },
        ensure_ascii=False,
    )


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


def _bytes(facts: Facts, scanned: Sequence[TableFacts]) -> int | None:
    """Bytes that were read; where nothing counted, those of the kept files."""
    if facts.bytes_read is not None:
        return facts.bytes_read
    sizes = [t.bytes_kept for t in scanned]
    return None if None in sizes else sum(s or 0 for s in sizes)
