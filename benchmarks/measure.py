"""Times and tables: medians of repeated runs, engines in turn so that none has a quieter machine than another."""

from __future__ import annotations

import math
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


@dataclass
class Row:
    """One line of results: a subject, milliseconds by engine, and a remark. Engines without a time could not answer."""

    subject: str
    milliseconds: dict[str, float] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def medians(runs: dict[str, Callable[[], object]], *, warm_up: int, repetitions: int) -> dict[str, float]:
    """The median time of each, in milliseconds. Every repetition runs all of them, one after the other."""
    for _ in range(warm_up):
        for run in runs.values():
            run()
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repetitions):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            times[name].append((time.perf_counter() - start) * 1000)
    return {name: statistics.median(taken) for name, taken in times.items()}


def table(title: str, rows: Sequence[Row], base: str) -> str:
    """A Markdown table: the base's milliseconds, then every other engine's and, in brackets, its time over the base's (above 1: slower than the base)."""
    names = [base, *dict.fromkeys(name for row in rows for name in row.milliseconds if name != base)]
    lines = [f"| {title} | {' | '.join(f'{n} ms' for n in names)} | |", "|" + " --- |" * (len(names) + 2)]
    for row in rows:
        first = row.milliseconds.get(base, math.nan)
        cells = [_cell(row.milliseconds.get(name), None if name == base else first) for name in names]
        lines.append(f"| {row.subject} | {' | '.join(cells)} | {'; '.join(row.remarks)} |")
    return "\n".join(lines)


def _cell(milliseconds: float | None, base: float | None) -> str:
    if milliseconds is None:
        return "-"
    text = f"{milliseconds:,.1f}" if milliseconds < 100 else f"{milliseconds:,.0f}"
    return text if base is None or math.isnan(base) else f"{text} ({milliseconds / base:.2f}x)"


def progress(text: str) -> None:
    """A word on stderr, where results do not go."""
    print(f"  {text}", file=sys.stderr, flush=True)
