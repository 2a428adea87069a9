"""DIFF as a statement and as a relation: its tables, states, keys and options, and errors at their places."""

from __future__ import annotations

from typing import Any

import pytest

from lakesql.errors import SqlError
from lakesql.sql import AtKind, Kind, Mention, parse

V, T = AtKind.VERSION, AtKind.TIMESTAMP


def first(sql: str) -> Mention:
    found: Mention = parse(sql).mentions[0]
    return found


def told(mention: Mention) -> tuple[str, Any, str, Any]:
    """Both tables with their states."""
    assert mention.diff is not None
    states = [None if m.at is None else (m.at.kind, m.at.text) for m in (mention, mention.diff.other)]
    return str(mention), states[0], str(mention.diff.other), states[1]


STATEMENTS = [
    ("DIFF t VERSION 3, VERSION 7", ("t", (V, "3"), "t", (V, "7"))),
    ("diff t version 3, version 7;", ("t", (V, "3"), "t", (V, "7"))),
    ("DIFF t VERSION AS OF 3, t VERSION AS OF 7", ("t", (V, "3"), "t", (V, "7"))),
    ("DIFF t@v3, t@v7", ("t", (V, "3"), "t", (V, "7"))),
    ("DIFF a.b.t VERSION 'x', VERSION tag1", ("a.b.t", (V, "x"), "a.b.t", (V, "tag1"))),
    ("DIFF t TIMESTAMP '2026-01-01', TIMESTAMP '2026-02-01'", ("t", (T, "2026-01-01"), "t", (T, "2026-02-01"))),
    ("DIFF t VERSION 3, u VERSION 7", ("t", (V, "3"), "u", (V, "7"))),
    ("DIFF t, u", ("t", None, "u", None)),
    ("DIFF t, u VERSION 2", ("t", None, "u", (V, "2"))),
    ("DIFF 'some/dir' VERSION 1, 'other/dir'", ("'some/dir'", (V, "1"), "'other/dir'", None)),
    ("DIFF t VERSION 3", ("t", (V, "3"), "t", None)),
    ("DIFF version VERSION 3, timestamp", ("version", (V, "3"), "timestamp", None)),
    ("DIFF stat VERSION 3, VERSION 4", ("stat", (V, "3"), "stat", (V, "4"))),
    ("DIFF t AT (VERSION => 3), FOR SYSTEM_TIME AS OF '2026-01-01'", ("t", (V, "3"), "t", (T, "2026-01-01"))),
]


@pytest.mark.parametrize("following", ["", " ON (a, B)", " WHERE a = 1", " ORDER BY a LIMIT 3", " UNION ALL SELECT * FROM u", " STAT"])
@pytest.mark.parametrize(("sql", "wanted"), STATEMENTS)
def test_statements(sql: str, wanted: Any, following: str) -> None:
    statement = parse(sql.rstrip(";") + following)
    assert statement.kind is Kind.QUERY
    assert told(statement.mentions[0]) == wanted
    diff = statement.mentions[0].diff
    assert diff is not None
    assert diff.options == ((("key", ("a", "b")),) if "ON" in following.split() else ())
    assert diff.stat == ("STAT" in following)


RELATIONS = [
    ("DIFF(t, 3, 7)", ("t", (V, "3"), "t", (V, "7"))),
    ("diff(t, 3)", ("t", (V, "3"), "t", None)),
    ("DIFF('db.t', 'tag1', 'tag2')", ("db.t", (V, "tag1"), "db.t", (V, "tag2"))),
    ("DIFF(t, u)", ("t", None, "u", None)),
    ("DIFF(t, 3, u, 7)", ("t", (V, "3"), "u", (V, "7"))),
    ("DIFF(t, u, 7)", ("t", None, "u", (V, "7"))),
    ("DIFF(t VERSION 3, VERSION 7)", ("t", (V, "3"), "t", (V, "7"))),
    ("DIFF(t VERSION 3, u VERSION 7)", ("t", (V, "3"), "u", (V, "7"))),
    ("DIFF(t, TIMESTAMP '2026-01-01', DATE '2026-02-01')", ("t", (T, "2026-01-01"), "t", (T, "2026-02-01"))),
    ("DIFF(t, now() - INTERVAL '1' DAY, now())", ("t", (T, "now() - INTERVAL '1' DAY"), "t", (T, "now()"))),
    ("DIFF('a/b', 1, 'c/d', 2)", ("'a/b'", (V, "1"), "'c/d'", (V, "2"))),
    ('DIFF("T", 3, $v)', ("T", (V, "3"), "T", (V, "$v"))),
]


@pytest.mark.parametrize("following", ["", " AS x", " x", " x WHERE a = 1", " d JOIN u ON true", ", u"])
@pytest.mark.parametrize(("sql", "wanted"), RELATIONS)
def test_relations(sql: str, wanted: Any, following: str) -> None:
    mention = first(f"SELECT * FROM {sql}{following}")
    assert told(mention) == wanted
    assert mention.alias == {"": None, " AS x": "x", " x": "x", " x WHERE a = 1": "x", " d JOIN u ON true": "d", ", u": None}[following]


def test_options() -> None:
    for text in ("DIFF(t, 1, 2, key => (a, B), updates => true)", "DIFF(t, 1, 2 ON (a, b) WITH (updates = true))"):
        mention = first(f"SELECT * FROM {text}")
        assert mention.diff is not None
        assert mention.diff.options == (("key", ("a", "b")), ("updates", True))
    assert first("SELECT * FROM DIFF_STAT(t, 1, 2)").diff.stat  # type: ignore[union-attr]
    assert first("DIFF STAT 'a/b', t").diff.stat  # type: ignore[union-attr]


def test_diff_is_a_name_too() -> None:
    for sql in ("SELECT diff FROM diff", "SELECT * FROM (diff)", "SELECT diff(a) FROM t AS diff", "SELECT * FROM s.diff", "SELECT * FROM diff AS stat"):
        assert parse(sql).mentions[0].diff is None, sql


def test_statements_that_hold_one() -> None:
    for sql, kind in (
        ("EXPLAIN PRUNING DIFF t VERSION 1, VERSION 2", Kind.EXPLAIN_PRUNING),
        ("EXPLAIN DIFF t VERSION 1, VERSION 2", Kind.EXPLAIN),
        ("DESCRIBE DIFF t VERSION 1, VERSION 2", Kind.DESCRIBE_QUERY),
        ("CREATE VIEW v AS DIFF t VERSION 1, VERSION 2", Kind.CREATE_VIEW),
    ):
        statement = parse(sql)
        assert (statement.kind, told(statement.mentions[0])) == (kind, ("t", (V, "1"), "t", (V, "2"))), sql


@pytest.mark.parametrize(
    ("sql", "message", "column"),
    [
        ("DIFF t", "only one is named", 6),
        ("DIFF t VERSION 1,", "expected a table to compare, found", 17),
        ("DIFF t VERSION 1, VERSION 2, VERSION 3", 'the query ends before ","', 27),
        ("DIFF t VERSION 1, VERSION 2 ON id", "expected ( before a list of names", 31),
        ("DIFF t VERSION (SELECT 1), VERSION 2", "cannot come from a query", 15),
        ("SELECT * FROM DIFF(t)", "only one is named", 20),
        ("SELECT * FROM DIFF(3, 7)", "expected a table to compare", 19),
        ("SELECT * FROM DIFF(t, 1, 2, 3)", "one too many", 28),
        ("SELECT * FROM DIFF(t, u, w)", "a third table", 25),
        ("SELECT * FROM DIFF(t, 1, 2, u)", "a table has one state", 29),
        ("SELECT * FROM DIFF(t, 1, 2", "expected , or )", 18),
        ("SELECT * FROM DIFF(t, 1, 2 WHERE a)", "expected , or )", 27),
        ("SELECT * FROM DIFF(t, *)", "expected a version, an instant or a table", 22),
        ("WITH x AS (SELECT 1) SELECT * FROM DIFF(x, t)", "WITH query, which has no states", 40),
        ("SELECT * FROM DIFF('a b', 1, 2)", "expected a table's name or path", 19),
    ],
)
def test_errors(sql: str, message: str, column: int) -> None:
    with pytest.raises(SqlError) as caught:
        parse(sql)
    assert message in caught.value.message
    assert caught.value.position == column
