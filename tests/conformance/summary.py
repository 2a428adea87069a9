"""The suite's closing summary: passed, failed and listed gaps for every format, and with `--conformance-report` for every feature word.

`tests/conftest.py` takes the hook from here: where tests are spread over processes, the one that sums up reads no conftest below it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import pytest

_OUTCOMES = ("passed", "failed", "gaps")


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    by_format: dict[str, Counter[str]] = defaultdict(Counter)
    by_feature: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for outcome, reports in (("passed", ("passed",)), ("failed", ("failed", "error")), ("gaps", ("xfailed",))):
        for report in (r for name in reports for r in terminalreporter.stats.get(name, ())):
            properties = dict(getattr(report, "user_properties", ()))
            if "format" in properties:
                by_format[properties["format"]][outcome] += 1
                for word in properties["features"]:
                    by_feature[properties["format"], word][outcome] += 1
    if not by_format:
        return
    terminalreporter.section("conformance")
    _table(terminalreporter, [(name, counts) for name, counts in sorted(by_format.items())])
    if config.getoption("conformance_report"):
        terminalreporter.line("")
        _table(terminalreporter, [(f"{format_}:{word}", counts) for (format_, word), counts in sorted(by_feature.items())])


def _table(terminalreporter: Any, rows: list[tuple[str, Counter[str]]]) -> None:
    width = max(len(name) for name, _ in rows)
    terminalreporter.line(f"{'':{width}} {'reads':>7} " + " ".join(f"{o:>7}" for o in _OUTCOMES))
    for name, counts in rows:
        terminalreporter.line(f"{name:{width}} {counts.total():7} " + " ".join(f"{counts[o]:7}" for o in _OUTCOMES))
