"""A statement's work in one line: `3 rows, 0.42 s, read 3 of 240 files (200 by partition, 37 by statistics skipped), 12.0 MiB, orders@8123`."""

from __future__ import annotations

from lakesql.frontends.words import size_text
from lakesql.result import PinnedSnapshot, ScanStats


def footer(row_count: int, elapsed_seconds: float, stats: ScanStats, snapshots: tuple[PinnedSnapshot, ...], *, more: bool = False) -> str:
    """The line below a result. more: there may be further rows, which were not taken."""
    rows = f"{row_count:,}{'+' if more else ''} row{'' if row_count == 1 and not more else 's'}"
    return ", ".join((rows, f"{elapsed_seconds:.2f} s", *scanned(stats), *states(snapshots)))


def progress(elapsed_seconds: float, row_count: int, stats: ScanStats | None, snapshots: tuple[PinnedSnapshot, ...]) -> str:
    """The line while a statement runs. stats: None while it is planned."""
    if stats is None:
        return f"planning, {elapsed_seconds:.1f} s"
    rows = (f"{row_count:,} rows so far",) if row_count else ()
    return ", ".join((f"running, {elapsed_seconds:.1f} s", *rows, *(s.replace("read ", "reading ", 1) for s in scanned(stats)), *states(snapshots)))


def scanned(stats: ScanStats) -> tuple[str, ...]:
    """Files and bytes; nothing where no table was read."""
    if not stats.tables:
        return ()
    skipped = [f"{count:,} by {why}" for count, why in ((stats.dropped_by_partition, "partition"), (stats.dropped_by_statistics, "statistics")) if count]
    files = f"read {stats.files_kept:,} of {stats.files_total:,} files" + (f" ({', '.join(skipped)} skipped)" if skipped else "")
    return (files,) if stats.bytes_kept is None else (files, size_text(stats.bytes_kept))


def states(snapshots: tuple[PinnedSnapshot, ...]) -> tuple[str, ...]:
    """`orders@8123`, each once; metadata tables by their names alone."""
    return tuple(dict.fromkeys(f"{s.name}@{s.version}" if s.version else s.name for s in snapshots))
