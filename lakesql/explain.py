"""EXPLAIN PRUNING: what each scan of a statement was given, what its metadata proved, and what is left to read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from lakesql.engines import BoundScan
from lakesql.predicate import Opaque
from lakesql.result import PinnedSnapshot
from lakesql.table import FileSet

SHOWN_DROPS = 20


@dataclass(frozen=True)
class ScanExplanation:
    """One table of the statement: its version, what was pushed to it, and the files its scan kept. answered: no data file will be opened."""

    snapshot: PinnedSnapshot
    scan: BoundScan
    files: FileSet
    schema: pa.Schema
    answered: bool


def as_text(scans: Sequence[ScanExplanation]) -> pa.Table:
    """One line of text per row, in one column `plan`."""
    lines = [line for scan in scans for line in (*_lines(scan), "")]
    return pa.table({"plan": pa.array(lines[:-1] or ["the statement reads no lake table"], pa.string())})


def as_json(scans: Sequence[ScanExplanation]) -> pa.Table:
    """One row with one JSON text: an array with an object per table, every dropped file included."""
    return pa.table({"plan": pa.array([json.dumps([_object(s) for s in scans], indent=2, ensure_ascii=False)], pa.string())})


def _lines(explained: ScanExplanation) -> list[str]:
    facts = _object(explained, SHOWN_DROPS)
    snapshot, files, rows, size = explained.snapshot, facts["files"], facts["rows"], facts["bytes"]
    when = f", committed {snapshot.committed_at:%Y-%m-%d %H:%M:%S.%f}".rstrip("0").rstrip(".") + " UTC" if snapshot.committed_at else ""
    lines = [f"{snapshot.name}: {snapshot.format} version {snapshot.version}{when}", f"  location    {snapshot.location}"]
    lines.append(f"  columns     {', '.join(facts['columns']) or '(none)'} ({len(facts['columns'])} of {len(explained.schema)})")
    lines += _labelled("predicates", facts["predicates"] or ["(none)"])
    lines += _labelled("not used", [f"{u['predicate']}: {u['reason']}" for u in facts["unused"]])
    skipped = f", {facts['metadata_files_skipped']} skipped by their summaries" if facts["metadata_files_skipped"] else ""
    lines.append(f"  metadata    {_number(facts['metadata_files'])} {_plural('file', facts['metadata_files'])} read{skipped}")
    lines.append(f"  data files  {_number(files['total'])} {explained.files.report.scope}")
    lines.append(f"              {_number(files['dropped_by_partition'])} dropped by partition")
    lines.append(f"              {_number(files['dropped_by_statistics'])} dropped by statistics")
    lines.append(f"              {_number(files['kept'])} kept" + _answered(explained))
    lines.append(f"  rows        {_number(rows['kept'])} of {_number(rows['total'])} before predicates are applied to rows")
    lines.append(f"  bytes       {_size(size['kept'])} of {_size(size['total'])}")
    dropped = files["dropped_by_partition"] + files["dropped_by_statistics"]
    if facts["dropped"]:
        more = f", the first {len(facts['dropped'])}" if dropped > len(facts["dropped"]) else ""
        lines.append(f"  dropped     {dropped} {_plural('file', dropped)}{more}:")
        lines += [f"    {d['path']}: {d['predicate']} against {d['bound']}" for d in facts["dropped"]]
    return lines


def _answered(explained: ScanExplanation) -> str:
    if not explained.answered:
        return ""
    where = "in delete files and the metadata" if explained.files.live_rows.null_count else "in the metadata"
    return f", none of which is opened: the answer is {where}"


def _object(explained: ScanExplanation, drops: int | None = None) -> dict[str, Any]:
    report, snapshot = explained.files.report, explained.snapshot
    root = snapshot.location.rstrip("/") + "/"
    used = [p for p in explained.scan.predicates if not isinstance(p, Opaque)]
    return {
        "table": snapshot.name,
        "format": snapshot.format,
        "location": snapshot.location,
        "version": snapshot.version,
        "committed_at": snapshot.committed_at.isoformat() if snapshot.committed_at else None,
        "columns": list(explained.scan.columns),
        "predicates": [str(p) for p in used],
        "unused": [{"predicate": p.text, "reason": p.reason} for p in explained.scan.predicates if isinstance(p, Opaque)]
        + [{"predicate": text, "reason": reason} for text, reason in report.unused],
        "metadata_files": report.metadata_files,
        "metadata_files_skipped": report.metadata_skipped,
        "files": {
            "total": report.total_files,
            "dropped_by_partition": report.dropped_by_partition,
            "dropped_by_statistics": report.dropped_by_statistics,
            "kept": report.kept_files,
        },
        "rows": {"total": report.total_rows, "kept": report.kept_rows},
        "bytes": {"total": report.total_bytes, "kept": report.kept_bytes},
        "answered_from_metadata": explained.answered,
        "dropped": [{"path": d.path.removeprefix(root), "predicate": d.predicate, "bound": d.bound} for d in report.drops(drops)],
    }


def _labelled(label: str, lines: Sequence[str]) -> list[str]:
    return [f"  {label if i == 0 else '':<12}{line}" for i, line in enumerate(lines)]


def _plural(noun: str, count: int) -> str:
    return noun if count == 1 else noun + "s"


def _number(count: int | None) -> str:
    return "unknown" if count is None else f"{count:,}"


def _size(size_bytes: int | None) -> str:
    """Bytes in the largest binary unit that leaves a whole part.

    >>> _size(1536)
    '1.5 KiB'
    """
    if size_bytes is None:
        return "unknown"
    value, unit = float(size_bytes), 0
    while value >= 1024 and unit < 5:
        value, unit = value / 1024, unit + 1
    return f"{size_bytes:,} B" if unit == 0 else f"{value:.1f} {('B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB')[unit]}"
