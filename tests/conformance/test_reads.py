"""Every read of every case of the corpus, one test each: `format/case/n`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from lakesql import errors

from .cases import Case, Read
from .gaps import Gap, gap_of
from .harness import ENGINES, Connections, WrongRefusal, WrongRows, suite

SUITE = suite()


def _parameters() -> Iterator[Any]:
    for engine in ENGINES:
        for case, read in SUITE.reads_of(engine):
            id_ = read.id if engine == ENGINES[0] else f"{read.id}@{engine}"
            gap = gap_of(case, read, engine)
            yield pytest.param(case, read, engine, id=id_, marks=() if gap is None else (_expected_failure(gap),))


def _expected_failure(gap: Gap) -> pytest.MarkDecorator:
    raises = (errors.Error, WrongRefusal, *((WrongRows,) if gap.answers else ()))
    return pytest.mark.xfail(reason=f"{gap.kind}: {gap.reason}", raises=raises, strict=True)


@pytest.fixture(scope="session")
def connections(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connections]:
    opened = Connections(tmp_path_factory.mktemp("cases"))
    yield opened
    opened.close()


@pytest.mark.parametrize(("case", "read", "engine"), list(_parameters()))
def test_read(case: Case, read: Read, engine: str, connections: Connections, record_property: Any) -> None:
    record_property("format", case.format)
    record_property("features", list(case.features))
    connections.check(case, read, engine)


@pytest.mark.parametrize("format_", SUITE.waiting)
def test_format_waits(format_: str) -> None:
    cases, reads = SUITE.waiting[format_]
    pytest.skip(f"{format_.upper()} IS NOT READ YET: {cases} cases with {reads:,} reads wait for it")


def test_whole_corpus() -> None:
    if not SUITE.whole:
        pytest.skip(f"THE CORPUS IS NOT HERE (LAKESQL_CORPUS, or ../shared/corpus beside the checkout): only the {len(SUITE.cases)} bundled cases ran")
    assert len(SUITE.cases) >= 580
