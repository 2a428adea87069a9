"""Versions, times and ranges of changes after a table's name."""

from __future__ import annotations

from typing import Any

import pytest

from lakesql.errors import SqlError
from lakesql.sql import AtClause, AtKind, ChangesClause, Mention, parse

VERSION, TIMESTAMP = AtKind.VERSION, AtKind.TIMESTAMP
FOLLOWING = ["", " AS x", " x", " x WHERE a = 1", " JOIN u ON true", ", u", " WHERE a = 1", " GROUP BY a", " ORDER BY a LIMIT 3", " UNION SELECT * FROM u"]


def first(sql: str) -> Mention:
    return parse(sql).mentions[0]


@pytest.mark.parametrize("following", FOLLOWING)
@pytest.mark.parametrize(
    ("clause", "kind", "text", "quoted"),
    [
        (" VERSION AS OF 3", VERSION, "3", False),
        (" version as of 3", VERSION, "3", False),
        (" FOR VERSION AS OF 3", VERSION, "3", False),
        (" FOR SYSTEM_VERSION AS OF 3", VERSION, "3", False),
        (" SYSTEM_VERSION AS OF 3", VERSION, "3", False),
        (" VERSION AS OF 'main'", VERSION, "main", True),
        (" VERSION AS OF 'it''s'", VERSION, "it's", True),
        (" VERSION AS OF dev", VERSION, "dev", True),
        (" VERSION AS OF -1", VERSION, "-1", False),
        (" TIMESTAMP AS OF '2026-01-31'", TIMESTAMP, "2026-01-31", True),
        (" FOR TIMESTAMP AS OF '2026-01-31'", TIMESTAMP, "2026-01-31", True),
        (" FOR SYSTEM_TIME AS OF '2026-01-31'", TIMESTAMP, "2026-01-31", True),
        (" TIMESTAMP AS OF 1700000000", TIMESTAMP, "1700000000", False),
        (" TIMESTAMP AS OF TIMESTAMP '2026-01-31 12:00:00'", TIMESTAMP, "2026-01-31 12:00:00", True),
        (" FOR SYSTEM_TIME AS OF DATE '2026-01-31'", TIMESTAMP, "2026-01-31", True),
        (" AT (VERSION => 3)", VERSION, "3", False),
        (" AT(VERSION => 'tag')", VERSION, "tag", True),
        (" AT (TIMESTAMP => '2026-01-31')", TIMESTAMP, "2026-01-31", True),
        ("@v3", VERSION, "3", False),
        ("@20260131120000000", TIMESTAMP, "20260131120000000", True),
    ],
)
def test_literal_points(clause: str, kind: AtKind, text: str, quoted: bool, following: str) -> None:
    for table in ("t", '"t"', "a.b.t", "'some/dir'"):
        sql = f"SELECT * FROM {table}{clause}{following}"
        mention = first(sql)
        at = mention.at
        assert at is not None
        assert (at.kind, at.text, at.quoted, at.is_literal) == (kind, text, quoted, True)
        assert at.span.of(sql) == clause.strip()
        assert mention.span.of(sql) == f"{table}{clause}"
        assert mention.name_span.of(sql) == table
        assert mention.alias == ("x" if " x" in following else None)


@pytest.mark.parametrize("following", FOLLOWING)
@pytest.mark.parametrize(
    ("clause", "kind", "text"),
    [
        ("TIMESTAMP AS OF current_timestamp() - INTERVAL '1' DAY", TIMESTAMP, "current_timestamp() - INTERVAL '1' DAY"),
        ("FOR SYSTEM_TIME AS OF now() - INTERVAL '1 hour'", TIMESTAMP, "now() - INTERVAL '1 hour'"),
        ("TIMESTAMP AS OF '2026-01-31' - INTERVAL '1' DAY", TIMESTAMP, "'2026-01-31' - INTERVAL '1' DAY"),
        ("TIMESTAMP AS OF CAST('2026-01-31' AS DATE)", TIMESTAMP, "CAST('2026-01-31' AS DATE)"),
        ("TIMESTAMP AS OF '2026-01-31'::date", TIMESTAMP, "'2026-01-31'::date"),
        ("TIMESTAMP AS OF CURRENT_TIMESTAMP", TIMESTAMP, "CURRENT_TIMESTAMP"),
        ("VERSION AS OF 1 + 2", VERSION, "1 + 2"),
        ("VERSION AS OF ?", VERSION, "$1"),
        ("VERSION AS OF :v", VERSION, "$v"),
        ("AT (TIMESTAMP => date_trunc('day', $1))", TIMESTAMP, "date_trunc('day', $1)"),
    ],
)
def test_expressions(clause: str, kind: AtKind, text: str, following: str) -> None:
    sql = f"SELECT * FROM t {clause}{following}"
    at = first(sql).at
    assert at is not None
    assert (at.kind, at.text, at.is_literal) == (kind, text, False)
    assert at.span.of(sql) == clause


def test_placeholders_count_through_clauses() -> None:
    statement = parse("SELECT ? FROM t VERSION AS OF ? JOIN u VERSION AS OF ? ON a = ?")
    assert [m.at.text for m in statement.mentions if m.at is not None] == ["$2", "$3"]
    assert [p.key for p in statement.placeholders] == ["1", "2", "3", "4"]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM t AS x FOR SYSTEM_TIME AS OF '2026-01-31' WHERE true",
        "SELECT * FROM t x TIMESTAMP AS OF '2026-01-31' WHERE true",
        "SELECT * FROM t FOR TIMESTAMP AS OF '2026-01-31' AS x WHERE true",
    ],
)
def test_the_alias_may_stand_on_either_side(sql: str) -> None:
    mention = first(sql)
    assert mention.alias == "x"
    assert mention.at is not None
    assert mention.at.text == "2026-01-31"


@pytest.mark.parametrize("alias", ["version", "timestamp", "changes", "at", "AS version", "AS at(a, b)"])
def test_the_words_are_aliases_too(alias: str) -> None:
    mention = first(f"SELECT * FROM t {alias} WHERE true")
    assert mention.at is None
    assert mention.changes is None
    assert mention.alias == alias.removeprefix("AS ").partition("(")[0]


def point(kind: AtKind, text: str, quoted: bool) -> tuple[Any, ...]:
    return (kind, text, quoted)


def seen(clause: AtClause | None) -> tuple[Any, ...] | None:
    return None if clause is None else (clause.kind, clause.text, clause.quoted)


@pytest.mark.parametrize("following", FOLLOWING)
@pytest.mark.parametrize(
    ("text", "start", "end", "exclusive", "options"),
    [
        ("CHANGES FROM VERSION 1 TO VERSION 3", point(VERSION, "1", False), point(VERSION, "3", False), (False, False), ()),
        ("CHANGES FROM VERSION 1 EXCLUSIVE TO VERSION 3 EXCLUSIVE", point(VERSION, "1", False), point(VERSION, "3", False), (True, True), ()),
        ("changes from version 'a' inclusive to version 'b' inclusive", point(VERSION, "a", True), point(VERSION, "b", True), (False, False), ()),
        ("CHANGES FROM VERSION 1", point(VERSION, "1", False), None, (False, False), ()),
        ("CHANGES FROM VERSION 1 EXCLUSIVE", point(VERSION, "1", False), None, (True, False), ()),
        (
            "CHANGES FROM TIMESTAMP '2026-01-01' TO TIMESTAMP '2026-01-02'",
            point(TIMESTAMP, "2026-01-01", True),
            point(TIMESTAMP, "2026-01-02", True),
            (False, False),
            (),
        ),
        ("CHANGES FROM VERSION 1 TO TIMESTAMP '2026-01-02'", point(VERSION, "1", False), point(TIMESTAMP, "2026-01-02", True), (False, False), ()),
        (
            "CHANGES FROM VERSION 1 TO VERSION 3 WITH (mode = 'raw', key = (a, \"B\", C), updates = true, x = 3)",
            point(VERSION, "1", False),
            point(VERSION, "3", False),
            (False, False),
            (("mode", "raw"), ("key", ("a", "B", "c")), ("updates", True), ("x", "3")),
        ),
    ],
)
def test_changes(text: str, start: Any, end: Any, exclusive: tuple[bool, bool], options: Any, following: str) -> None:
    sql = f"SELECT * FROM a.t {text}{following}"
    mention = first(sql)
    changes = mention.changes
    assert isinstance(changes, ChangesClause)
    assert (seen(changes.start), seen(changes.end)) == (start, end)
    assert (changes.start_exclusive, changes.end_exclusive) == exclusive
    assert changes.options == options
    assert changes.span.of(sql) == text
    assert mention.span.of(sql) == f"a.t {text}"
    assert mention.alias == ("x" if " x" in following else None)


@pytest.mark.parametrize(
    ("sql", "message", "column"),
    [
        ("SELECT * FROM t VERSION AS OF", "expected a version", 30),
        ("SELECT * FROM t VERSION AS OF WHERE a = 1", "expected a version", 31),
        ("SELECT * FROM t TIMESTAMP AS OF )", "expected a timestamp", 33),
        ("SELECT * FROM t VERSION AS OF 1 VERSION AS OF 2", "one version", 33),
        ("SELECT * FROM t VERSION AS OF 1 CHANGES FROM VERSION 2", "one version", 33),
        ("SELECT * FROM t@v1 VERSION AS OF 2", "one version", 20),
        ("SELECT * FROM t AT (VERSION => 1", "expected \\)", 33),
        ("SELECT * FROM t FOR SYSTEM_TIME BETWEEN 1 AND 2", "expected AS OF", 33),
        ("SELECT * FROM t CHANGES FROM VERSION 1 TO 3", "expected VERSION or TIMESTAMP", 43),
        ("SELECT * FROM t CHANGES FROM VERSION 1 WITH (mode)", "expected = after the option mode", 50),
        ("SELECT * FROM t CHANGES FROM VERSION 1 WITH (mode = )", "option's value", 53),
        ("SELECT * FROM t CHANGES FROM VERSION 1 WITH (a = 1 b = 2)", "expected , or \\)", 52),
        ("SELECT * FROM t CHANGES (INFORMATION => ALL) AT (VERSION => 1)", "INFORMATION is DEFAULT or APPEND_ONLY", 41),
        ("SELECT * FROM t CHANGES (INFORMATION => DEFAULT)", "expected AT \\(...\\) or BEFORE", 49),
        ("SELECT * FROM t CHANGES (INFORMATION => DEFAULT) AT (STATEMENT => 'x')", "lakes know no statements", 54),
        ("SELECT * FROM t CHANGES (INFORMATION => DEFAULT) AT (STREAM => 'x')", "lakes know no streams", 54),
        ("SELECT * FROM t CHANGES (INFORMATION => DEFAULT) AT (DAY => 1)", "expected TIMESTAMP, OFFSET or VERSION", 54),
        ("SELECT * FROM t CHANGES (INFORMATION => DEFAULT) AT (OFFSET => )", "expected a number of seconds", 64),
        ("SELECT * FROM t CHANGES (INFORMATION => DEFAULT) AT (VERSION => 1 2)", "expected \\) after the version", 67),
        ("SELECT * FROM hudi_table_changes('t', 1)", "Hudi tables are not read yet", 15),
        ("SELECT * FROM TABLE(system.table_changes('t'))", "needs the version", 45),
        ("SELECT * FROM TABLE(system.table_changes(table => 't'))", 'no argument "table"', 42),
        ("SELECT * FROM TABLE(system.table_changes('t', 1, 2, 3))", "too many arguments", 53),
        ("SELECT * FROM TABLE(system.table_changes(1, 2))", "needs a table's name", 46),
        ("SELECT * FROM TABLE(system.table_changes('t' 1))", "expected , or \\)", 46),
        ("SELECT * FROM t VERSION AS OF (SELECT max(v) FROM u)", "cannot come from a query", 31),
        ("SELECT * FROM t TIMESTAMP AS OF coalesce(1, CAST((TABLE u) AS DATE))", "cannot come from a query", 33),
        ("WITH x AS (SELECT 1) SELECT * FROM x VERSION AS OF 1", "no versions", 38),
    ],
)
def test_errors(sql: str, message: str, column: int) -> None:
    with pytest.raises(SqlError, match=message) as caught:
        parse(sql)
    assert caught.value.column == column


def test_describe_takes_a_version() -> None:
    mention = first("DESCRIBE t VERSION AS OF 3")
    assert mention.at is not None
    assert mention.at.text == "3"


@pytest.mark.parametrize("following", FOLLOWING)
@pytest.mark.parametrize(
    ("clause", "start", "end", "exclusive", "mode"),
    [
        ("(INFORMATION => DEFAULT) AT (VERSION => 3)", (VERSION, "3"), None, True, "net"),
        ("(information => default) before (version => 3) end (version => 'x')", (VERSION, "3"), (VERSION, "x"), False, "net"),
        (
            "(INFORMATION => APPEND_ONLY) AT(TIMESTAMP => '2026-01-31') END(TIMESTAMP => now())",
            (TIMESTAMP, "2026-01-31"),
            (TIMESTAMP, "now()"),
            True,
            "appends",
        ),
        ("(INFORMATION => DEFAULT) AT (OFFSET => -60*5)", (TIMESTAMP, "to_timestamp(date_part('epoch', now()) + (-60*5))"), None, True, "net"),
    ],
)
def test_snowflake_s_changes(clause: str, start: Any, end: Any, exclusive: bool, mode: str, following: str) -> None:
    mention = first(f"SELECT * FROM t CHANGES {clause}{following}")
    changes = mention.changes
    assert changes is not None
    assert (changes.start.kind, changes.start.text) == start
    assert (None if changes.end is None else (changes.end.kind, changes.end.text)) == end
    assert (changes.start_exclusive, changes.end_exclusive, changes.options, changes.of_states) == (exclusive, False, (("mode", mode),), True)
    assert mention.alias == ("x" if "x" in following.split() else None)


@pytest.mark.parametrize("following", FOLLOWING)
@pytest.mark.parametrize(
    ("call", "name", "start", "end"),
    [
        ("TABLE(system.table_changes('t', 1, 2))", "t", "1", "2"),
        ("TABLE(system.table_changes('s', 't', 1))", "s.t", "1", None),
        ("TABLE(cat.system.table_changes('s', 't', 1, 2))", "cat.s.t", "1", "2"),
        ("system.table_changes('s.t', $a)", "s.t", "$a", None),
        ("TABLE(system.table_changes(schema_name => 's', table_name => 't', start_snapshot_id => 1, end_snapshot_id => 2))", "s.t", "1", "2"),
        ("TABLE(system.table_changes(since_version => 0, table_name => 't'))", "t", "0", None),
    ],
)
def test_trino_s_changes(call: str, name: str, start: str, end: str | None, following: str) -> None:
    mention = first(f"SELECT * FROM {call}{following}")
    changes = mention.changes
    assert changes is not None
    assert (str(mention), changes.start.text, None if changes.end is None else changes.end.text) == (name, start, end)
    assert (changes.start_exclusive, changes.end_exclusive) == (True, False)
    assert mention.alias == ("x" if "x" in following.split() else None)


def test_spark_s_changes_in_table_brackets() -> None:
    changes = first("SELECT * FROM TABLE(table_changes('t', 1, 2)) AS x").changes
    assert changes is not None
    assert (changes.start.text, changes.start_exclusive) == ("1", False)
