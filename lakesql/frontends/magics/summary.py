"""A running statement in one line; what is said at its end is `frontends/footer.py`'s."""

from __future__ import annotations

from lakesql.frontends.footer import TableFacts, size_text
from lakesql.result import ScanProgress


def progress(elapsed_seconds: float, row_count: int, tables: tuple[TableFacts, ...], scanned: ScanProgress | None) -> str:
    """`running, 3.2 s, read 12 of 240 files, 37 skipped, 1.2 MiB of 40.0 MiB, orders@8123`. tables: none while the statement is planned."""
    parts = [f"running, {elapsed_seconds:.1f} s"]
    if row_count:
        parts.append(f"{row_count:,} rows so far")
    kept, total = sum(t.files_kept or 0 for t in tables), sum(t.files_total or 0 for t in tables)
    if total:
        read = "" if scanned is None else f"read {min(scanned.files_read, kept):,} of "
        parts.append(f"{read}{kept:,} files" + (f", {total - kept:,} skipped" if total > kept else ""))
    sizes = [t.bytes_kept for t in tables if t.files_total is not None]
    if scanned is not None and sizes:
        whole = "" if None in sizes else f" of {size_text(sum(s or 0 for s in sizes))}"
        parts.append(f"{size_text(scanned.bytes_read)}{whole}")
    return ", ".join((*parts, *dict.fromkeys(f"{t.name}@{t.version}" if t.version else t.name for t in tables)))
