"""What kind of statement a text is, and what it says beside its query."""

from __future__ import annotations

from typing import Any

import pytest

from lakesql.errors import SqlError
from lakesql.sql import Kind, Replacement, View, parse, parse_script, render


@pytest.mark.parametrize(
    ("sql", "kind", "fields"),
    [
        ("SELECT 1", Kind.QUERY, {}),
        ("(SELECT 1) UNION (SELECT 2)", Kind.QUERY, {}),
        ("WITH a AS (SELECT 1) SELECT * FROM a", Kind.QUERY, {}),
        ("VALUES (1), (2)", Kind.QUERY, {}),
        ("TABLE t", Kind.QUERY, {}),
        ("FROM t", Kind.QUERY, {}),
        ("EXPLAIN SELECT 1", Kind.EXPLAIN, {}),
        ("explain analyze verbose format tree SELECT 1", Kind.EXPLAIN, {}),
        ("EXPLAIN PRUNING SELECT 1", Kind.EXPLAIN_PRUNING, {"json": False}),
        ("EXPLAIN PRUNING (FORMAT JSON) SELECT 1", Kind.EXPLAIN_PRUNING, {"json": True}),
        ("EXPLAIN PRUNING (FORMAT text) (SELECT 1)", Kind.EXPLAIN_PRUNING, {"json": False}),
        ("EXPLAIN PRUNING FROM t", Kind.EXPLAIN_PRUNING, {"json": False}),
        ("DESCRIBE t", Kind.DESCRIBE, {"extended": False}),
        ("DESC TABLE EXTENDED a.b", Kind.DESCRIBE, {"extended": True}),
        ("DESCRIBE t VERSION AS OF 3", Kind.DESCRIBE, {}),
        ("DESCRIBE history", Kind.DESCRIBE, {}),
        ("DESCRIBE HISTORY t", Kind.DESCRIBE_HISTORY, {"limit": None}),
        ("DESCRIBE HISTORY a.t LIMIT 5", Kind.DESCRIBE_HISTORY, {"limit": 5}),
        ("DESCRIBE SELECT * FROM t", Kind.DESCRIBE_QUERY, {}),
        ("DESCRIBE QUERY SELECT * FROM t", Kind.DESCRIBE_QUERY, {}),
        ("SHOW TABLES", Kind.SHOW_TABLES, {"argument": None, "like": None}),
        ("SHOW TABLES IN lake.shop LIKE 'o%'", Kind.SHOW_TABLES, {"argument": "lake.shop", "like": "o%"}),
        ("show tables from shop", Kind.SHOW_TABLES, {"argument": "shop"}),
        ("SHOW TABLES 'o%'", Kind.SHOW_TABLES, {"like": "o%"}),
        ("SHOW SCHEMAS IN lake", Kind.SHOW_SCHEMAS, {"argument": "lake"}),
        ("SHOW DATABASES", Kind.SHOW_SCHEMAS, {}),
        ("SHOW CATALOGS LIKE 'l%'", Kind.SHOW_CATALOGS, {"like": "l%"}),
        ("SHOW COLUMNS FROM a.t", Kind.SHOW_COLUMNS, {}),
        ("SHOW ALL", Kind.SHOW_SETTINGS, {"argument": None}),
        ("SHOW lakesql.prune", Kind.SHOW_SETTINGS, {"argument": "lakesql.prune"}),
        ("SET prune = false", Kind.SET, {"argument": "prune", "value": "false"}),
        ("SET lakesql.time_zone TO 'Europe/Berlin'", Kind.SET, {"argument": "lakesql.time_zone", "value": "Europe/Berlin"}),
        ("SET TIME ZONE 'UTC'", Kind.SET, {"argument": "time_zone", "value": "UTC"}),
        ("SET x = 1 GB", Kind.SET, {"argument": "x", "value": "1 GB"}),
        ("CREATE VIEW v AS SELECT 1", Kind.CREATE_VIEW, {"view": View("v", "SELECT 1")}),
        ('create or replace temp view "V" as FROM t', Kind.CREATE_VIEW, {"view": View("V", "FROM t", replace=True)}),
        ("CREATE VIEW V(a, B) AS SELECT 1, 2", Kind.CREATE_VIEW, {"view": View("v", 'SELECT * FROM (SELECT 1, 2) AS "v" ("a", "b")')}),
        ("DROP VIEW IF EXISTS V", Kind.DROP_VIEW, {"view": View("v", if_exists=True)}),
        ("COPY (SELECT * FROM t) TO 'x.parquet'", Kind.WRITE, {"verb": "COPY"}),
        ("COPY t TO 'x.parquet'", Kind.WRITE, {"verb": "COPY"}),
        ("INSERT INTO t VALUES (1)", Kind.WRITE, {"verb": "INSERT"}),
        ("UPDATE t SET a = 1", Kind.WRITE, {"verb": "UPDATE"}),
        ("DELETE FROM t", Kind.WRITE, {"verb": "DELETE"}),
        ("MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN DELETE", Kind.WRITE, {"verb": "MERGE"}),
        ("CREATE TABLE t (a int)", Kind.WRITE, {"verb": "CREATE"}),
        ("CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION 'x'", Kind.WRITE, {"verb": "CREATE"}),
        ("DROP TABLE t", Kind.WRITE, {"verb": "DROP"}),
        ("TRUNCATE TABLE t", Kind.WRITE, {"verb": "TRUNCATE"}),
        ("OPTIMIZE t", Kind.WRITE, {"verb": "OPTIMIZE"}),
        ("BEGIN", Kind.OTHER, {"verb": "BEGIN"}),
        ("USE shop", Kind.OTHER, {"verb": "USE"}),
        ("42", Kind.OTHER, {"verb": "42"}),
    ],
)
def test_kind(sql: str, kind: Kind, fields: dict[str, Any]) -> None:
    statement = parse(f"-- a comment\n{sql} ; ")
    assert statement.kind is kind
    assert statement.text == sql
    assert {name: getattr(statement, name) for name in fields} == fields


@pytest.mark.parametrize(
    ("sql", "rendered"),
    [
        ("EXPLAIN ANALYZE SELECT 1", "EXPLAIN ANALYZE SELECT 1"),
        ("EXPLAIN PRUNING (FORMAT json) SELECT 1", "SELECT 1"),
        ("EXPLAIN PRUNING /* so */ SELECT 1", "SELECT 1"),
        ("DESCRIBE QUERY SELECT 1", "DESCRIBE SELECT 1"),
        ("DESC SELECT 1", "DESCRIBE SELECT 1"),
        ("CREATE VIEW v AS SELECT 1", "SELECT 1"),
        ("COPY (SELECT a FROM t) TO 'x'", "COPY (SELECT a FROM __t AS \"t\") TO 'x'"),
    ],
)
def test_what_the_engine_is_given(sql: str, rendered: str) -> None:
    statement = parse(sql)
    assert render(statement, {m: Replacement("__t") for m in statement.mentions}).text == rendered


@pytest.mark.parametrize(
    ("sql", "message", "column"),
    [
        ("", "no statement", None),
        ("  -- nothing\n;", "no statement", 1),
        ("SELECT 1; SELECT 2", "a second begins", 11),
        ("SELECT 1 )", "ends before", 10),
        ("SELECT (1", "no closing \\)", 8),
        ("SELECT f(1, [2)", 'expected \\] for the "\\["', 15),
        ("SELECT * FROM", "expected a table", 14),
        ("SELECT * FROM (SELECT 1", 'expected \\) for the "\\("', 15),
        ("SELECT * FROM t JOIN", "expected a table", 21),
        ("WITH a AS SELECT 1", "expected \\(", 11),
        ("WITH a AS (SELECT 1) INSERT INTO t SELECT 1", "expected a query", 22),
        ("EXPLAIN PRUNING t", "expected a query after EXPLAIN PRUNING", 17),
        ("EXPLAIN PRUNING (FORMAT xml) SELECT 1", "no format xml", 25),
        ("EXPLAIN INSERT INTO t VALUES (1)", "expected a query to explain", 9),
        ("DESCRIBE HISTORY t LIMIT x", "whole number", 26),
        ("DESCRIBE t x y", "nothing more", 14),
        ("SHOW", "what to show", 5),
        ("SHOW COLUMNS t", "expected FROM", 14),
        ("SET x 1", "expected =", 7),
        ("SET x =", "expected a value", 8),
        ("CREATE VIEW v AS INSERT", "expected a query after AS", 18),
        ("CREATE VIEW a.b AS SELECT 1", "one part", 15),
        ("CREATE VIEW v AS SELECT ?", "no parameters", 25),
        ("CREATE VIEW IF NOT EXISTS v AS SELECT 1", "OR REPLACE", 20),
    ],
)
def test_errors_say_where(sql: str, message: str, column: int | None) -> None:
    with pytest.raises(SqlError, match=message) as caught:
        parse(sql)
    assert caught.value.column == column


def test_script() -> None:
    text = "-- one\nSELECT 1;\n SET a = 1;\n"
    statements = parse_script(text)
    assert [(s.kind, s.text) for s in statements] == [(Kind.QUERY, "SELECT 1"), (Kind.SET, "SET a = 1")]
    assert all(text[s.offset :].startswith(s.text) for s in statements)
    assert parse_script(" ; -- nothing") == []


def test_brackets_nest_only_so_deep() -> None:
    assert parse("SELECT " + "(" * 50 + "1" + ")" * 50).kind is Kind.QUERY
    for deep in ("SELECT " + "(" * 3000 + "1" + ")" * 3000, "SELECT * FROM " + "(" * 3000 + "t", "(" * 3000, "(SELECT " * 3000, "SELECT f(" * 300):
        with pytest.raises(SqlError, match="nested more than"):
            parse(deep)
