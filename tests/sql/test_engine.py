"""Rendered text, run: names that are found, literals that mean what they say, columns that are called what they should be."""

from __future__ import annotations

import pyarrow as pa
import pytest

from lakesql import sql
from lakesql.errors import SqlError

from .lake import ROWS, Engine


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine()


@pytest.mark.parametrize(
    ("where", "ids"),
    [
        # decimals
        ("d = -2342342.23423", [1]),
        ("-2342342.23423 = d", [1]),
        ("d <> -2342342.23423", [2]),
        ("(d) = (-2342342.23423)", [1]),
        ("d BETWEEN -2342342.23423 AND -2342342.23423", [1]),
        ("d NOT BETWEEN -2342342.23423 AND -2342342.23423", [2]),
        ("NOT d BETWEEN -2342342.23423 AND 1.4", [2]),
        ("d IN (-2342342.23423, 7.25)", [1]),
        ("d NOT IN (-2342342.23423, 7.25)", [2]),
        ("d > -2342342.234231 AND d < -2342342.234229", [1]),
        ("d IS DISTINCT FROM 1.5", [1, 3]),
        ("d IS NOT DISTINCT FROM -2342342.23423", [1]),
        ("d <=> 1.5", [2]),
        ("d > +1.49999", [2]),
        ("d = 1.5e0", [2]),
        ("d < 1e400 AND d > -1e400", [1, 2]),
        ("d > 1e-100", [2]),
        ("d < 99999999999999999999", [1, 2]),
        ("d > -99999999999999999999", [1, 2]),
        ("CASE d WHEN -2342342.23423 THEN true ELSE false END", [1]),
        ("CASE WHEN d = -2342342.23423 THEN id END = 1", [1]),
        ("abs(d) = 2342342.23423", [1]),
        ("-d = 2342342.23423", [1]),
        ("d * 2 = -4684684.46846", [1]),
        ("(d - 1) * 3 = -7027029.70269", [1]),
        ("d / 4 = -585585.5585575", [1]),
        ("d * id = -2342342.23423", [1]),
        ("round(d, 3) = -2342342.234", [1]),
        ("coalesce(d, 99999999999) = 99999999999.0", [3]),
        ("coalesce(d, 99999999999) < 999999999999999999999.5", [1, 2, 3]),
        ("greatest(d, 5) = 5.0", [1, 2, 3]),
        ("(SELECT min(d) FROM u) = d AND (SELECT min(d) FROM u) = -2342342.23423", [1]),
        ("wide > 0.5", [1, 2]),
        ("wide = 99999999999999999999999999999999999999", [1]),
        ("wide > 1.1234567890123456789012345678901234567", [1]),
        ("wide > 1e-100", [1, 2]),
        # doubles stay doubles
        ("f = 1.5", [1]),
        ("f > 1e299", [2, 3]),
        # timestamps
        ("ts < TIMESTAMP '0001-01-02'", [1]),
        ("ts < '0001-01-02'", [1]),
        ("ts > DATE '1600-01-01'", [2, 3]),
        ("ts >= TIMESTAMP '9999-12-31 23:59:59.999999'", [3]),
        ("ts = CAST('9999-12-31 23:59:59.999999' AS TIMESTAMP)", [3]),
        ("ts = '9999-12-31T23:59:59.999999'::timestamp", [3]),
        ("ts = to_timestamp('9999-12-31T23:59:59.999999')", [3]),
        ("ts IN ('2020-01-01 12:00:00', '0001-01-01')", [1, 2]),
        ("ts BETWEEN '0001-01-01' AND DATE '2021-01-01'", [1, 2]),
        ("ts = TIMESTAMP '2020-01-01 12:00:00Z'", [2]),
        ("ts = TIMESTAMP '2020-01-01 14:00:00+02:00'", [2]),
        ("ts < now()", [1, 2]),
        ("ts + INTERVAL '1' DAY < '0001-01-03' AND id = 1", [1]),
        ("dt + INTERVAL '1' DAY = TIMESTAMP '2020-01-02 00:00:00'", [2]),
        ("dt - 1 < TIMESTAMP '2019-12-31 12:00:00' AND id = 2", [2]),
        ("(SELECT max(ts) FROM u) > '9999-12-31' AND id = 1", [1]),
        ("tz < TIMESTAMP '0001-01-02'", [1]),
        ("tz > '1600-01-01'", [2, 3]),
        ("tz > DATE '1600-01-01'", [2, 3]),
        ("tz = TIMESTAMP WITH TIME ZONE '2020-01-01 14:00:00+02:00'", [2]),
        ("tz = TIMESTAMP '2020-01-01 14:00:00+02:00'", [2]),
        ("tz = CAST('9999-12-31T23:59:59.999999Z' AS TIMESTAMP WITH TIME ZONE)", [3]),
        ("tz = TIMESTAMPTZ '2020-01-01 12:00:00'", [2]),
        ("ns > '0001-01-01'", [1, 2, 3]),
        ("ns < TIMESTAMP '9999-12-31'", [1, 2, 3]),
        ("ns = '2020-01-01 12:00:00'", [2]),
        ("ns = TIMESTAMP '2020-01-01 12:00:00.000000000'", [2]),
        ("date_trunc('day', ts) = '2020-01-01'", [2]),
        # dates
        ("dt > TIMESTAMP '1600-01-01 00:00:00'", [2, 3]),
        ("dt > TIMESTAMP '2019-12-31 12:00:00'", [2, 3]),
        ("dt < TIMESTAMP '2020-01-01 00:00:00.000001'", [1, 2]),
        ("dt IN (TIMESTAMP '2020-01-01', TIMESTAMP '2020-01-01 12:00:00', DATE '0001-01-01')", [1, 2]),
        ("dt = '9999-12-31'", [3]),
        ("dt < ts", [2, 3]),
        ("ts >= dt", [1, 2, 3]),
        ("dt < tz", [2, 3]),
        ("CAST(dt AS TIMESTAMP) = '9999-12-31'", [3]),
        ("dt::timestamp < '0001-01-02'", [1]),
        ("CAST(ts AS DATE) < TIMESTAMP '0001-01-01 00:00:01'", [1]),
        ("date_trunc('day', ts) < '0001-01-02'", [1]),
        ("CAST(id AS DECIMAL(10, 2)) = 1.00", [1]),
        # times of day
        ("tm < TIME '06:30'", [1]),
        ("tm = TIME '23:59:59.999999'", [3]),
        ("tm = CAST('06:30:00' AS TIME)", [2]),
        ("CAST(ts AS TIME) = TIME '12:00'", [2]),
        # names
        ("OP = 'insert'", [1]),
        ("t.Op = 'insert'", [1]),
        ("\"Op\" = 'insert' AND `Op` = 'insert'", [1]),
        ("ST.c.x = 2", [2]),
        ("st.C['X'] = 2", [2]),
        ("(st).c.X = 2", [2]),
        ("xs[1].name = 'b'", [2]),
        ("EXISTS (SELECT 1 FROM u WHERE u.OP = T.op AND D = 1.5)", [2]),
        ("op IN (SELECT OP FROM u WHERE u.d = -2342342.23423)", [1]),
        # the rest
        ("CAST('ab' AS BINARY) = X'6162' AND id::long = 1", [1]),
    ],
)
def test_rows(engine: Engine, where: str, ids: list[int]) -> None:
    assert sorted(engine.rows(f"SELECT id FROM t WHERE {where}")["id"].to_pylist()) == ids


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("SELECT OP, iD FROM t", ["Op", "id"]),
        ("SELECT Op AS op FROM t", ["op"]),
        ("SELECT op FROM (SELECT OP AS op FROM t) x", ["op"]),
        ("SELECT OP FROM (SELECT op FROM t) x", ["Op"]),
        ("WITH x AS (SELECT op, id FROM t) SELECT OP FROM x ORDER BY Id", ["Op"]),
        ("WITH x(a, B) AS (SELECT op, id FROM t) SELECT A, b FROM x", ["a", "b"]),
        ("SELECT x.op, X.ID FROM t x", ["Op", "id"]),
        ("SELECT op FROM t UNION ALL SELECT OP FROM t ORDER BY OP", ["Op"]),
        ("SELECT a.op FROM t a JOIN t b USING (OP)", ["Op"]),
        ("SELECT op, count(*) AS n FROM t GROUP BY OP HAVING max(Op) > '' ORDER BY Op", ["Op", "n"]),
        ("SELECT row_number() OVER (PARTITION BY op ORDER BY OP DESC ROWS UNBOUNDED PRECEDING) AS n FROM t", ["n"]),
        ("SELECT st.b, st.C.X, t.st.c.id FROM t", ["b", "X", "id"]),
        ("SELECT st['b'], st['C']['X'] FROM t", ["b", "X"]),
        ("SELECT id, st.c.id FROM t", ["id", "st.C.id"]),
        ("SELECT st.b AS x FROM t", ["x"]),
        ("SELECT b + 1 AS n FROM (SELECT st.b FROM t) x", ["n"]),
        ("SELECT st.b, count(*) AS n FROM t GROUP BY st.b ORDER BY st.b", ["b", "n"]),
        ("SELECT lake.shop.t.op, shop.t.ID FROM lake.shop.t", ["Op", "id"]),
        ("SELECT a.t.id, b.t.op FROM a.t JOIN b.t ON a.t.id = b.t.id", ["id", "Op"]),
        ('SELECT "t$files".id FROM "t$files"', ["id"]),
        ("SELECT Dir.id FROM 'some/Dir' WHERE dir.op IS NULL", ["id"]),
        ('SELECT orders.id FROM "Orders"', ["id"]),
        ("SELECT offset FROM (SELECT id AS offset FROM t) x", ["offset"]),
        ("FROM t SELECT OP WHERE Id = 1", ["Op"]),
        ("SELECT id FROM t ORDER BY id OFFSET 1 ROWS FETCH NEXT 1 ROW ONLY", ["id"]),
    ],
)
def test_names(engine: Engine, text: str, names: list[str]) -> None:
    assert engine.rows(text).column_names == names


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        # Columns of a subquery count by place, whether or not they have names.
        ("SELECT a FROM (SELECT f * 1, d FROM t) x(a, b) WHERE a = 1.5", [1.5]),
        ("SELECT id FROM (SELECT id, f * 1, d FROM t) x(id, a, b) WHERE b = -2342342.23423", [1]),
        ("SELECT n FROM (SELECT id AS n, sum(d) OVER (PARTITION BY id ORDER BY id) AS s FROM t) x WHERE s = -2342342.23423", [1]),
        ("SELECT op FROM t GROUP BY OP HAVING sum(d) = -2342342.23423 AND avg(d) = -2342342.23423", ["insert"]),
        ("SELECT id FROM t GROUP BY id HAVING max(ts) FILTER (WHERE id > 0) > '9999-01-01'", [3]),
        # A WITH query and a table may share a name.
        ("WITH t AS (SELECT 1 AS n) SELECT s.t.id FROM t JOIN s.t ON t.n = s.t.id", [1]),
        ("WITH RECURSIVE r(N) AS (SELECT id FROM t WHERE id = 1 UNION ALL SELECT n + 1 FROM r WHERE N < 3) SELECT n FROM r ORDER BY N", [1, 2, 3]),
        ("SELECT (SELECT max(u.ID) FROM u WHERE u.op = t.OP) AS m FROM t WHERE OP IS NOT NULL ORDER BY ID", [1, 2]),
        ("SELECT x.id FROM t x JOIN u y USING (ID) WHERE x.d = 1.5 ORDER BY y.OP", [2]),
    ],
)
def test_scopes(engine: Engine, text: str, rows: list[object]) -> None:
    assert engine.rows(text).column(0).to_pylist() == rows


SHOWN = [n for n in ROWS.column_names if n != "_row_id"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("SELECT * FROM t", SHOWN),
        ("SELECT *, _row_id FROM t", [*SHOWN, "_row_id"]),
        ("SELECT t.*, _ROW_ID AS r FROM t", [*SHOWN, "r"]),
        ("SELECT * EXCEPT (ts, d) FROM t WHERE _row_id > 0", [n for n in SHOWN if n not in ("ts", "d")]),
        ("SELECT * EXCLUDE (OP) FROM t", [n for n in SHOWN if n != "Op"]),
        ("SELECT * EXCLUDE id FROM t", SHOWN[1:]),
        ("SELECT * EXCEPT (_row_id) FROM t", SHOWN),
        ("SELECT * REPLACE (id + 1 AS id) FROM t", SHOWN),
        ("TABLE t", SHOWN),
        ("FROM t", SHOWN),
        ("SELECT * FROM (SELECT * FROM t) x", SHOWN),
        ("WITH x AS (TABLE t) SELECT * FROM x", SHOWN),
        ("SELECT * FROM (SELECT *, _row_id FROM t) x", [*SHOWN, "_row_id"]),
        ("SELECT a.*, b.id AS other FROM t a JOIN t b ON a._row_id = b._row_id", [*SHOWN, "other"]),
        ("SELECT count(*) AS n, 2 * id AS m FROM t GROUP BY id", ["n", "m"]),
        ("SELECT * FROM t, (SELECT 1 AS one) x", [*SHOWN, "one"]),
    ],
)
def test_hidden_columns(engine: Engine, text: str, names: list[str]) -> None:
    assert engine.rows(text, hidden=["_row_id"]).column_names == names


@pytest.mark.parametrize(
    "word",
    [
        "any",
        "case",
        "cluster",
        "end",
        "explain",
        "fetch",
        "group",
        "having",
        "interval",
        "into",
        "join",
        "limit",
        "offset",
        "order",
        "struct",
        "top",
        "trim",
        "user",
        "values",
        "view",
        "where",
    ],
)
def test_columns_whose_names_are_keywords_to_the_engine(word: str) -> None:
    engine = Engine(rows=pa.table({word: [41, 42], "n": [1, 2]}))
    assert engine.rows(f"SELECT n, {word} FROM t WHERE {word} = 42 ORDER BY {word}").to_pylist() == [{"n": 2, word: 42}]
    assert engine.rows(f"SELECT max({word}) AS m, t.{word} FROM t WHERE n IN (1, 2) AND {word} < 42 GROUP BY {word}").to_pylist() == [{"m": 41, word: 41}]
    assert engine.rows(f"SELECT {word} + 1 AS m FROM (SELECT {word} FROM t) x WHERE x.{word} > 41")["m"].to_pylist() == [43]


def test_hidden_columns_of_several_tables(engine: Engine) -> None:
    _, rendered = engine.render("SELECT * FROM t a JOIN t b ON a.id = b.id", hidden=["_row_id"])
    assert 'SELECT "a".* EXCEPT ("_row_id"), "b".* EXCEPT ("_row_id") FROM' in rendered.text
    with pytest.raises(SqlError, match='cannot leave out "_row_id"'):
        engine.render("SELECT * FROM t a JOIN t b USING (id)", hidden=["_row_id"])


def test_a_column_hidden_in_one_table_shows_in_another() -> None:
    statement = sql.parse("SELECT * FROM a JOIN b ON a.id = b.id")
    a, b = statement.mentions
    replacements = {a: sql.Replacement("__a"), b: sql.Replacement("__b")}
    rendered = sql.render(statement, replacements, schemas={a: ROWS.schema, b: ROWS.schema}, hidden={a: ["_row_id"]})
    assert rendered.text.startswith('SELECT "a".* EXCEPT ("_row_id"), "b".* FROM')


def test_naive_literals_beside_instants_are_in_the_sessions_zone() -> None:
    berlin = Engine("Europe/Berlin")
    assert berlin.rows("SELECT id FROM t WHERE tz = TIMESTAMP '2020-01-01 13:00:00'")["id"].to_pylist() == [2]
    assert berlin.rows("SELECT id FROM t WHERE tz = '2020-01-01 13:00:00'")["id"].to_pylist() == [2]
    assert berlin.rows("SELECT id FROM t WHERE tz = '2020-01-01 12:00:00Z'")["id"].to_pylist() == [2]
    assert berlin.rows("SELECT id FROM t WHERE ts = TIMESTAMP '2020-01-01 12:00:00'")["id"].to_pylist() == [2]


@pytest.mark.parametrize(
    ("text", "given", "count"),
    [
        ("SELECT id FROM t WHERE id = ? OR op = ?", [1, "Update"], 2),
        ("SELECT id FROM t WHERE id = $2 AND $1", [True, 3], 1),
        ("SELECT xs[1:2], id::int FROM t WHERE id = $1", [3], 1),
        ("SELECT ? || '?' AS \"?\" FROM t LIMIT ?", ["a", 1], 1),
    ],
)
def test_parameters(engine: Engine, text: str, given: list[object], count: int) -> None:
    assert engine.rows(text, given).num_rows == count


def test_a_view_gives_its_columns_to_what_reads_it(engine: Engine) -> None:
    view = sql.parse("CREATE VIEW V AS SELECT d, Op AS Kind, st.b FROM t").view
    assert view is not None
    _, inner = engine.render(view.query)
    outer = sql.parse("SELECT KIND, B, V.d FROM v WHERE d = -2342342.23423")
    rendered = sql.render(outer, {outer.mentions[0]: sql.Replacement(f"({inner})", view.name, inner.columns)})
    assert engine.run(rendered.text).to_pylist() == [{"kind": "insert", "b": 1, "d": ROWS["d"][0].as_py()}]


def test_a_view_names_its_columns(engine: Engine) -> None:
    view = sql.parse('CREATE VIEW v(A, "B") AS SELECT d, op FROM t').view
    assert view is not None
    assert engine.rows(view.query).column_names == ["a", "B"]


@pytest.mark.parametrize("verb", ["EXPLAIN", "EXPLAIN ANALYZE", "EXPLAIN VERBOSE", "EXPLAIN FORMAT tree", "DESCRIBE"])
def test_the_engines_own_statements(engine: Engine, verb: str) -> None:
    assert engine.rows(f"{verb} SELECT op FROM t").num_rows > 0


def test_without_schemas_nothing_but_tables_changes() -> None:
    text = "SELECT Op, st.B, d = 1.5 FROM lake.t WHERE ts < '0001-01-01' AND x.y IS NULL"
    statement = sql.parse(text)
    rendered = sql.render(statement, {statement.mentions[0]: sql.Replacement("__t")})
    assert rendered.text == text.replace("lake.t", '__t AS "t"')
