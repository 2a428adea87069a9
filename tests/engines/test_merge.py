"""Deletes and merges by key against the same done in Python."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from lakesql.engines.datafusion.engine import DataFusionEngine
from lakesql.relation import Batches, LatestByKey, Relation, Run, WithoutKeys
from lakesql.storage import LocalStorage

ENGINE = DataFusionEngine(LocalStorage(), target_partitions=1)
ROWS = pa.schema([("k", pa.int64()), ('K"{2}', pa.string()), ("seq", pa.int64()), ("v", pa.int64()), ("gone", pa.bool_())])
Row = tuple[int | None, str | None, int | None, int, bool]


def table(rows: list[Row]) -> pa.Table:
    return pa.Table.from_arrays([pa.array([r[i] for r in rows], ROWS.field(i).type) for i in range(len(ROWS))], schema=ROWS)


def run(relation: Relation) -> list[Row]:
    sql = "SELECT * FROM t"
    rows = ENGINE.run(sql, {"t": relation}, ENGINE.bind(sql, {"t": ROWS}, {}), {})
    return sorted((tuple(r.values()) for r in pa.Table.from_batches(list(rows), schema=rows.schema).to_pylist()), key=repr)


KEY = (st.one_of(st.none(), st.integers(0, 3)), st.sampled_from([None, "a"]))
ROW = st.tuples(*KEY, st.one_of(st.none(), st.integers(0, 3)), st.integers(0, 99), st.booleans())


@settings(max_examples=80, deadline=None)
@given(rows=st.lists(ROW, max_size=12), deletes=st.lists(ROW, max_size=6), newer=st.booleans())
def test_without_keys(rows: list[Row], deletes: list[Row], newer: bool) -> None:
    on = ("k", 'K"{2}')
    relation = WithoutKeys(Batches.of(table(rows)), Batches.of(table(deletes)), on, ("seq", "seq") if newer else None)

    def hit(row: Row) -> bool:
        return any(d[:2] == row[:2] and (not newer or (d[2] is not None and row[2] is not None and d[2] > row[2])) for d in deletes)

    assert run(relation) == sorted((r for r in rows if not hit(r)), key=repr)


@settings(max_examples=120, deadline=None)
@given(runs=st.lists(st.lists(ROW, max_size=5), min_size=1, max_size=4), ordered=st.sampled_from([None, True, False]), unique=st.booleans())
def test_latest_by_key(runs: list[list[Row]], ordered: bool | None, unique: bool) -> None:
    runs = [list({r[:2]: r for r in rows}.values()) for rows in runs]
    relation = LatestByKey(
        tuple(Run(Batches.of(table(rows)), age) for age, rows in enumerate(runs)),
        ("k", 'K"{2}'),
        () if ordered is None else (("seq", ordered),),
        "gone",
        frozenset(range(len(runs))) if unique else frozenset(),
    )
    newest: dict[tuple[object, ...], tuple[tuple[object, ...], Row]] = {}
    for age, rows in enumerate(runs):
        for row in rows:
            seq = () if ordered is None else (row[2] is not None, (row[2] or 0) * (1 if ordered else -1))
            rank = (*seq, age)
            if row[:2] not in newest or rank > newest[row[:2]][0]:
                newest[row[:2]] = (rank, row)
    assert run(relation) == sorted((row for _, row in newest.values() if not row[4]), key=repr)


def test_without_floating_point_keys() -> None:
    rows = pa.table({"f": [0.0, -0.0, float("nan"), 1.5, None]})
    for deleted, left in ((-0.0, 4), (0.0, 4), (float("nan"), 4), (1.5, 4), (None, 4), (2.0, 5)):
        node = WithoutKeys(Batches.of(rows), Batches.of(pa.table({"f": pa.array([deleted], pa.float64())})), ("f",))
        sql = "SELECT f FROM t"
        got = ENGINE.run(sql, {"t": node}, ENGINE.bind(sql, {"t": rows.schema}, {}), {})
        values = pa.Table.from_batches(list(got), schema=got.schema).column("f").to_pylist()
        assert len(values) == left
        assert repr(deleted) not in [repr(v) for v in values]
