"""Answers from metadata equal answers from rows, or are not given."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakesql import answers
from lakesql.engines.datafusion.engine import DataFusionEngine
from lakesql.relation import Batches, Counted
from lakesql.storage import LocalStorage
from lakesql.table import FileSet, ScanReport

ENGINE = DataFusionEngine(LocalStorage(), target_partitions=1)
SCHEMA = pa.schema([("day", pa.string()), ("id", pa.int64()), ("unread", pa.float64())])
File = tuple[str | None, list[int | None]]


def file_set(files: list[File], *, known: bool = True, exact: bool = True, all_match: bool = True, later: bool = False) -> FileSet:
    values = [[v for v in rows if v is not None] for _, rows in files]
    lower = pa.array([min(v) if v else None for v in values], pa.int64())
    upper = pa.array([max(v) if v else None for v in values], pa.int64())
    nulls = pa.array([len(rows) - len(v) for (_, rows), v in zip(files, values, strict=True)], pa.int64())
    return FileSet(
        pa.table({"path": pa.array([f"f{i}" for i in range(len(files))], pa.string()), "size_bytes": pa.array([1] * len(files), pa.int64())}),
        pa.table({"day": pa.array([day for day, _ in files], pa.string())}),
        pa.array([len(rows) if known and not later else None for _, rows in files], pa.int64()),
        all_match,
        ScanReport(1, 0, len(files), 0, 0, len(files)),
        extremes=lambda column: (lower, upper, nulls) if exact and column == "id" else None,
        count_rows=(lambda: pa.array([len(rows) for _, rows in files], pa.int64())) if later else None,
    )


def rows_of(files: list[File]) -> pa.Table:
    pairs = [(day, id_) for day, rows in files for id_ in rows]
    return pa.table(
        {"day": pa.array([p[0] for p in pairs], pa.string()), "id": pa.array([p[1] for p in pairs], pa.int64()), "unread": pa.nulls(len(pairs), pa.float64())}
    )


def answer(sql: str, files: list[File], **kind: bool) -> tuple[list[dict[str, object]] | None, list[dict[str, object]]]:
    """What metadata answers (None: nothing), and what the rows do."""

    def run(relation: Batches | Counted) -> list[dict[str, object]]:
        rows = ENGINE.run(sql, {"t": relation}, bound, {})
        return pa.Table.from_batches(list(rows), schema=rows.schema).to_pylist()

    bound = ENGINE.bind(sql, {"t": SCHEMA}, {})
    known = answers.from_metadata(file_set(files, **kind), bound.scans["t"], SCHEMA)
    return None if known is None else run(known), run(Batches.of(rows_of(files)))  # type: ignore[arg-type]


FILES = st.lists(st.tuples(st.sampled_from(["a", "b", None]), st.lists(st.one_of(st.none(), st.integers(-5, 5)), max_size=4)), max_size=6)
ANSWERED = [
    "SELECT count(*) AS n FROM t",
    "SELECT day, count(*) AS n FROM t GROUP BY day ORDER BY day",
    "SELECT DISTINCT day FROM t ORDER BY day",
    "SELECT count(*) AS n, max(day) AS d FROM t WHERE day IS NOT NULL",
    "SELECT min(id) AS lo, max(id) AS hi FROM t",
    "SELECT min(id) AS lo, count(*) AS n, count(id) AS c, count(day) AS d FROM t",
]


@pytest.mark.parametrize("sql", ANSWERED)
@settings(max_examples=60, deadline=None)
@given(files=FILES)
def test_metadata_answers_as_rows_do(sql: str, files: list[File]) -> None:
    known, rows = answer(sql, files)
    assert known is not None
    assert known == rows


@settings(max_examples=30, deadline=None)
@given(files=FILES)
def test_what_delete_files_tell_is_asked_for_when_the_statement_runs(files: list[File]) -> None:
    for sql in ANSWERED[:3]:
        known, rows = answer(sql, files, later=True)
        assert known == rows
    assert answer(ANSWERED[4], [("a", [1])], later=True)[0] is None


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT sum(id) AS s FROM t",
        "SELECT id FROM t",
        "SELECT min(id) AS lo FROM t WHERE id > 3",
        "SELECT day, min(id) FROM t GROUP BY day",
        "SELECT max(unread) FROM t",
    ],
)
def test_what_needs_rows_reads_files(sql: str) -> None:
    assert answer(sql, [("a", [1, 2])], all_match=False)[0] is None


def test_unknown_counts_and_bounds_read_files() -> None:
    assert answer("SELECT count(*) AS n FROM t", [("a", [1])], known=False)[0] is None
    assert answer("SELECT min(id) AS n FROM t", [("a", [1])], exact=False)[0] is None
