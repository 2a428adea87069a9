"""How rows come out of a running statement: in order, all of them, those before an error too, and none after close()."""

from __future__ import annotations

import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakesql.engines.datafusion.engine import DataFusionEngine
from lakesql.engines.datafusion.stream import Stream
from lakesql.errors import Error, QueryCancelledError
from lakesql.relation import Files

SCHEMA = pa.schema([("a", pa.int64())])
MANY = 200_000


def started(engine: DataFusionEngine, sql: str) -> Stream:
    return engine.run(sql, {}, engine.bind(sql, {}, {}), {})


def test_every_batch_in_order(engine: DataFusionEngine) -> None:
    batches = list(started(engine, f"SELECT value FROM generate_series(1, {MANY}) ORDER BY value"))
    assert len(batches) > 16  # more than come along in one trip
    assert [v for b in batches for v in b.column(0).to_pylist()] == list(range(1, MANY + 1))


def test_rows_before_an_error_are_given(engine: DataFusionEngine) -> None:
    rows = started(engine, f"SELECT 1 / (value - {MANY}) AS v FROM generate_series(1, {MANY + 1}) LIMIT {MANY + 1}")
    given: list[int] = []
    with pytest.raises(Error, match=r"(?i)divide by zero"):
        given.extend(batch.num_rows for batch in rows)
    assert 0 < sum(given) < MANY


def test_nothing_comes_after_close(engine: DataFusionEngine) -> None:
    rows = started(engine, f"SELECT value FROM generate_series(1, {MANY * 100})")
    batches = iter(rows)
    next(batches)
    rows.close()
    with pytest.raises(QueryCancelledError):
        next(batches)
    rows.close()


def test_closed_by_another_thread(engine: DataFusionEngine) -> None:
    rows = started(engine, "SELECT count(*) FROM generate_series(1, 2000000000) a WHERE a.value % 7 = 3")
    threading.Timer(0.2, rows.close).start()
    with pytest.raises(QueryCancelledError):
        list(rows)


def test_a_plan_runs_more_than_once(engine: DataFusionEngine) -> None:
    sql = "SELECT sum(value) AS s FROM generate_series(1, 10)"
    prepared = engine.prepare(sql, {}, engine.bind(sql, {}, {}), {})
    assert prepared.repeatable
    assert [next(iter(prepared.run())).to_pylist() for _ in range(3)] == [[{"s": 55}]] * 3


@pytest.mark.parametrize(("files", "spread"), [(0, True), (1, False), (3, True)])
def test_little_is_read_by_one_thread(engine: DataFusionEngine, tmp_path: Path, files: int, spread: bool) -> None:
    """A statement without files may be any amount of work."""
    paths = [tmp_path / f"{number}.parquet" for number in range(files)]
    for path in paths:
        pq.write_table(pa.table({"a": [1, 2]}), path)
    table = pa.table({"path": [str(p) for p in paths], "size_bytes": [p.stat().st_size for p in paths]})
    source, relations = ("t", {"t": Files(table, SCHEMA)}) if files else ("(SELECT value AS a FROM generate_series(1, 9))", {})
    sql = f"EXPLAIN SELECT a, count(*) FROM {source} GROUP BY a"
    rows = engine.run(sql, relations, engine.bind(sql, dict.fromkeys(relations, SCHEMA), {}), {})
    plan = str(pa.Table.from_batches(list(rows), schema=rows.schema).to_pylist()[-1])
    assert ("RepartitionExec" in plan) == spread


def test_progress_counts_files_bytes_and_rows(engine: DataFusionEngine, tmp_path: Path) -> None:
    for i in range(3):
        pq.write_table(pa.table({"a": range(1000)}), tmp_path / f"{i}.parquet")
    paths = [str(tmp_path / f"{i}.parquet") for i in range(3)]
    sizes = [Path(p).stat().st_size for p in paths]
    sql = "SELECT a FROM t WHERE a >= 0"
    files = Files(pa.table({"path": paths, "size_bytes": pa.array(sizes, pa.int64())}), SCHEMA)
    rows = engine.run(sql, {"t": files}, engine.bind(sql, {"t": SCHEMA}, {}), {})
    assert rows.progress() is None
    assert sum(b.num_rows for b in rows) == 3000
    opened, read, given = rows.progress() or (0, 0, 0)
    assert opened >= 3
    assert 0 < read <= sum(sizes)
    assert given == 3000
