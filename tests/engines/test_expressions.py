"""What reaches pruning: each SQL predicate, bound by DataFusion, as a predicate; or the reason it is not used."""

from __future__ import annotations

import pyarrow as pa
import pytest

from lakesql.engines.datafusion.engine import DataFusionEngine
from lakesql.predicate import Opaque

SCHEMA = pa.schema(
    [
        ("id", pa.int32()),
        ("big", pa.int64()),
        ("s", pa.string()),
        ("f", pa.float64()),
        ("ts", pa.timestamp("us", tz="UTC")),
        ("wall", pa.timestamp("us")),
        ("d", pa.date32()),
        ("dec", pa.decimal128(10, 2)),
        ("st", pa.struct([("a", pa.int64()), ("in", pa.struct([("b", pa.string())]))])),
        ("ok", pa.bool_()),
        ("b", pa.binary()),
    ]
)


def predicates(engine: DataFusionEngine, where: str) -> list[str]:
    bound = engine.bind(f"SELECT count(*) FROM t WHERE {where}", {"t": SCHEMA}, {})
    return [f"({p.reason})" if isinstance(p, Opaque) else str(p) for p in bound.scans["t"].predicates]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("id = 3", ["id = 3"]),
        ("3 < id", ["id > 3"]),
        ("id <> 3", ["id <> 3"]),
        ("id BETWEEN 1 AND 2", ["id >= 1", "id <= 2"]),
        ("NOT (id = 3 OR s LIKE 'ab%')", ["id <> 3", "s NOT LIKE 'ab%'"]),
        ("id IN (1, 2, 3, 4)", ["id IN (1, 2, 3, 4)"]),
        ("id NOT IN (1, 2, 3, 4)", ["id NOT IN (1, 2, 3, 4)"]),
        ("s IN ('a', 'b')", ["s = 'a' OR s = 'b'"]),
        ("s LIKE 'ab%'", ["s LIKE 'ab%'"]),
        ("s LIKE 'ab'", ["s = 'ab'"]),
        (r"s LIKE 'a\_b%'", [r"s LIKE 'a\_b%'"]),
        ("s LIKE 'a_b%'", ["s LIKE 'a%'", "(the pattern beyond its fixed beginning)"]),
        ("s ILIKE 'a%'", ["(a pattern that ignores case is not used for pruning)"]),
        ("starts_with(s, 'x')", ["s LIKE 'x%'"]),
        ("s IS NULL", ["s IS NULL"]),
        ("s IS NOT NULL", ["s IS NOT NULL"]),
        ("ok", ["ok = TRUE"]),
        ("NOT ok", ["ok <> TRUE"]),
        ("ok IS NOT TRUE", ["ok IS NULL OR ok <> TRUE"]),
        ("st.a > 5", ["st.a > 5"]),
        ("st['in']['b'] = 'x'", ["st.in.b = 'x'"]),
        ("d < DATE '2026-01-02'", ["d < DATE '2026-01-02'"]),
        ("CAST(ts AS DATE) = DATE '2026-01-02'", ["CAST(ts AS date32[day]) = DATE '2026-01-02'"]),
        ("date_trunc('day', ts) >= '2026-01-02'", ["date_trunc('day', ts) >= TIMESTAMP '2026-01-02 00:00:00.000000Z'"]),
        ("CAST(id AS BIGINT) = 5000000000", ["CAST(id AS int64) = 5000000000"]),
        ("dec = 1.25", ["dec = 1.25"]),
        ("f > 1.5", ["f > 1.5"]),
        ("b = X'AB'", ["b = X'AB'"]),
        ("id IS DISTINCT FROM 3", ["id IS NULL OR id IS NOT NULL AND id <> 3"]),
        ("id IN (SELECT 3)", []),
        ("length(s) = 3", ["(function character_length is not used for pruning)"]),
        ("id + 1 = 3", ["(an expression (BinaryExpr) over columns is not used for pruning)"]),
        ("id = big", ["(both sides read columns)"]),
        ("CAST(s AS INT) = 3", ["(a cast from string_view to int32 may change the order)"]),
    ],
)
def test_predicates(engine: DataFusionEngine, where: str, expected: list[str]) -> None:
    assert [
        p.replace(" OR id IS NOT NULL AND ", " OR id IS NOT NULL AND ").replace("(id IS NOT NULL AND id <> 3)", "id IS NOT NULL AND id <> 3")
        for p in predicates(engine, where)
    ] == expected


def bound(engine: DataFusionEngine, sql: str, *names: str) -> dict[str, list[str]]:
    result = engine.bind(sql, dict.fromkeys(names, SCHEMA), {})
    return {n: [str(p) for p in scan.predicates] for n, scan in result.scans.items()}


def test_predicates_travel(engine: DataFusionEngine) -> None:
    assert bound(engine, "SELECT * FROM a JOIN b ON a.id = b.id WHERE a.id = 3", "a", "b")["b"] == ["id = 3"]
    assert bound(engine, "WITH c AS (SELECT id AS k, s FROM a) SELECT * FROM c WHERE k > 3", "a")["a"] == ["id > 3"]
    assert bound(engine, "SELECT * FROM (SELECT id FROM a UNION ALL SELECT id FROM b) WHERE id > 3", "a", "b") == {"a": ["id > 3"], "b": ["id > 3"]}
    assert bound(engine, "SELECT id, count(*) FROM a GROUP BY id HAVING id > 3", "a")["a"] == ["id > 3"]
    assert bound(engine, "SELECT * FROM a WHERE id > 3 AND d > (SELECT max(d) FROM b WHERE id = 1)", "a", "b") == {"a": ["id > 3"], "b": ["id = 1"]}
    assert bound(engine, "SELECT * FROM a LEFT JOIN b ON a.id = b.id AND b.s = 'x' WHERE a.id = 3", "a", "b")["a"] == ["id = 3"]


def test_a_table_scanned_twice_keeps_what_both_scans_share(engine: DataFusionEngine) -> None:
    got = engine.bind(
        "WITH c AS (SELECT * FROM t WHERE d > DATE '2026-01-01') SELECT (SELECT max(id) FROM c WHERE s = 'x'), (SELECT min(big) FROM c WHERE s = 'y')",
        {"t": SCHEMA},
        {},
    )
    assert [str(p) for p in got.scans["t"].predicates] == ["d > DATE '2026-01-01'"]
    assert set(got.scans["t"].columns) >= {"id", "big"}


def test_columns_are_those_the_statement_reads(engine: DataFusionEngine) -> None:
    assert engine.bind("SELECT s FROM t WHERE id > 3", {"t": SCHEMA}, {}).scans["t"].columns == ("id", "s")
    assert engine.bind("SELECT count(*) FROM t", {"t": SCHEMA}, {}).scans["t"].columns == ()


@pytest.mark.parametrize(
    ("select", "extremes"),
    [
        ("min(id), max(d), count(*), count(s)", {"id", "d", "s"}),
        ("count(*)", set()),
        ("min(id), sum(id)", None),
        ("count(DISTINCT id)", None),
        ("max(id) FILTER (WHERE id > 3)", None),
        ("max(id + 1)", None),
        ("*", None),
    ],
)
def test_extremes(engine: DataFusionEngine, select: str, extremes: set[str] | None) -> None:
    got = engine.bind(f"SELECT {select} FROM t", {"t": SCHEMA}, {}).scans["t"].only_extremes
    assert got == (None if extremes is None else frozenset(extremes))


def test_floats_that_statistics_must_not_decide(engine: DataFusionEngine) -> None:
    assert engine.bind("SELECT f FROM t", {"t": SCHEMA}, {}).hints.sensitive["t"] == frozenset()
    assert engine.bind("SELECT id FROM t WHERE f > 1", {"t": SCHEMA}, {}).hints.sensitive["t"] == {"f"}
    assert engine.bind("SELECT id FROM t ORDER BY f LIMIT 1", {"t": SCHEMA}, {}).hints.sensitive["t"] == {"f"}
    assert engine.bind("SELECT max(f) FROM t", {"t": SCHEMA}, {}).hints.sensitive["t"] == {"f"}
    assert engine.bind("SELECT sum(f) FROM t", {"t": SCHEMA}, {}).hints.sensitive["t"] == frozenset()


def test_parameters_become_literals(engine: DataFusionEngine) -> None:
    got = engine.bind("SELECT s FROM t WHERE id = $1 AND s = $name", {"t": SCHEMA}, {"1": 3, "name": "it's"})
    assert [str(p) for p in got.scans["t"].predicates] == ["id = 3", "s = 'it''s'"]
