"""Every place where a table can stand, and none where it cannot."""

from __future__ import annotations

import pytest

from lakesql.errors import SqlError
from lakesql.sql import AtKind, Mention, Replacement, parse, render


def names(sql: str) -> list[str]:
    return [str(m) for m in parse(sql).mentions]


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("SELECT * FROM t", ["t"]),
        ("SELECT * FROM lake.shop.orders", ["lake.shop.orders"]),
        ('SELECT * FROM "Lake"."sh.op".`or"ders`', ['Lake.sh.op.or"ders']),
        ("SELECT * FROM a . b", ["a.b"]),
        ("SELECT * FROM 'some/dir'", ["'some/dir'"]),
        ("SELECT * FROM a, b x, c AS y", ["a", "b", "c"]),
        ("SELECT * FROM a JOIN b ON a.i = b.i LEFT OUTER JOIN c USING (i) CROSS JOIN d NATURAL JOIN e", ["a", "b", "c", "d", "e"]),
        ("SELECT * FROM a LEFT SEMI JOIN b ON a.i = b.i LEFT ANTI JOIN c ON a.i = c.i FULL JOIN d ON true", ["a", "b", "c", "d"]),
        ("SELECT * FROM a x RIGHT JOIN (b y JOIN c z ON y.i = z.i) ON x.i = y.i", ["a", "b", "c"]),
        ("SELECT * FROM ((a JOIN b ON true) JOIN c ON true), d", ["a", "b", "c", "d"]),
        ("SELECT * FROM (SELECT * FROM a) x, LATERAL (SELECT * FROM b WHERE b.i = x.i) y", ["a", "b"]),
        ("SELECT * FROM ((SELECT * FROM a) UNION (SELECT * FROM b)) x JOIN c ON true", ["a", "b", "c"]),
        ("SELECT * FROM ((SELECT * FROM a) x JOIN b ON true)", ["a", "b"]),
        ("FROM a SELECT i WHERE EXISTS (FROM b)", ["a", "b"]),
        ("FROM a, b WHERE a.i = b.i", ["a", "b"]),
        ("TABLE a", ["a"]),
        ("TABLE a UNION ALL TABLE b", ["a", "b"]),
        ("SELECT i FROM a UNION SELECT i FROM b EXCEPT (SELECT i FROM c INTERSECT SELECT i FROM d) ORDER BY 1", ["a", "b", "c", "d"]),
        (
            "SELECT (SELECT max(i) FROM b), EXISTS (SELECT 1 FROM c) FROM a WHERE i IN (SELECT i FROM d) AND i > ALL (SELECT i FROM e)",
            ["b", "c", "a", "d", "e"],
        ),
        ("SELECT * FROM a WHERE ((SELECT max(i) FROM b) + 1) > i", ["a", "b"]),
        ("SELECT * FROM a WHERE i IN ((SELECT i FROM b) UNION SELECT i FROM c)", ["a", "b", "c"]),
        ("SELECT CASE WHEN i IN (SELECT i FROM b) THEN (SELECT 1 FROM c) ELSE f((SELECT i FROM d)) END FROM a", ["b", "c", "d", "a"]),
        ("SELECT * FROM a GROUP BY (SELECT 1 FROM b) HAVING max(i) > (SELECT 1 FROM c) ORDER BY (SELECT 1 FROM d) LIMIT (SELECT 1 FROM e)", list("abcde")),
        ("SELECT * FROM a JOIN b ON a.i = (SELECT max(i) FROM c)", ["a", "b", "c"]),
        ("SELECT array(SELECT i FROM b) FROM a", ["b", "a"]),
        ("VALUES ((SELECT max(i) FROM a))", ["a"]),
        ("EXPLAIN SELECT * FROM a", ["a"]),
        ("EXPLAIN ANALYZE VERBOSE WITH x AS (SELECT * FROM a) SELECT * FROM x", ["a"]),
        ("DESCRIBE a.b", ["a.b"]),
        ("CREATE VIEW v AS SELECT * FROM a", ["a"]),
        ("COPY (SELECT * FROM a) TO 'x'", ["a"]),
        ("SELECT i FROM a WINDOW w AS (PARTITION BY i) ORDER BY (SELECT 1 FROM b)", ["a", "b"]),
    ],
)
def test_tables(sql: str, tables: list[str]) -> None:
    assert names(sql) == tables


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT EXTRACT(year FROM d), SUBSTRING(s FROM 2 FOR 3), TRIM(BOTH 'x' FROM s), TRIM(s FROM s), OVERLAY(s PLACING 'x' FROM 1), POSITION('x' IN s)",
        "SELECT a IS DISTINCT FROM b, a IS NOT DISTINCT FROM c",
        "SELECT * FROM generate_series(1, 10) AS g(i), UNNEST([1, 2]) AS u, LATERAL flatten(x) f",
        "SELECT * FROM (VALUES (1), (2)) AS v(a)",
        "WITH a AS (SELECT 1), b AS (SELECT * FROM a) SELECT * FROM b, a",
        "WITH RECURSIVE a AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM a WHERE n < 5) SELECT * FROM a",
        "WITH a AS (SELECT 1) SELECT * FROM (SELECT * FROM a) x WHERE EXISTS (SELECT 1 FROM A)",
        'WITH "A" AS (SELECT 1) SELECT * FROM "A"',
        "WITH a AS (SELECT 1) TABLE a",
        "SELECT 'FROM t', \"FROM t\", $$ FROM t $$ -- FROM t\n /* FROM t */",
        "SELECT INTERVAL '1' DAY",
    ],
)
def test_no_table(sql: str) -> None:
    assert names(sql) == []


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("WITH a AS (SELECT * FROM a) SELECT * FROM a", ["a"]),  # not recursive: the one inside is the table
        ("WITH a AS (SELECT * FROM b), b AS (SELECT * FROM c) SELECT * FROM a, b", ["b", "c"]),
        ("SELECT * FROM (WITH a AS (SELECT 1) SELECT * FROM a) x, a", ["a"]),
        ("WITH x AS (WITH y AS (SELECT * FROM a) SELECT * FROM y) SELECT * FROM x, y", ["a", "y"]),
        ('WITH "A" AS (SELECT 1) SELECT * FROM A', ["A"]),
        ("WITH a AS (SELECT 1) SELECT * FROM s.a", ["s.a"]),
        ("WITH RECURSIVE r AS (SELECT * FROM a UNION ALL SELECT r.* FROM r JOIN b ON true) SELECT * FROM r", ["a", "b"]),
    ],
)
def test_with_names_hide_tables_in_their_scope(sql: str, tables: list[str]) -> None:
    assert names(sql) == tables


def only(sql: str) -> Mention:
    (mention,) = parse(sql).mentions
    return mention


def test_a_mention_knows_its_place_and_its_alias() -> None:
    sql = 'SELECT * FROM "Shop".orders VERSION AS OF 3 AS Big WHERE 1 = 1'
    mention = only(sql)
    assert mention.name == ("Shop", "orders")
    assert mention.quoted == (True, False)
    assert mention.name_span.of(sql) == '"Shop".orders'
    assert mention.span.of(sql) == '"Shop".orders VERSION AS OF 3'
    assert [c.of(sql) for c in mention.clauses] == ["VERSION AS OF 3"]
    assert mention.alias == "big"
    assert mention.alias_span is not None
    assert mention.alias_span.of(sql) == "Big"


@pytest.mark.parametrize(
    ("table", "name", "path", "metadata"),
    [
        ('"t$snapshots"', ("t",), None, "snapshots"),
        ("t$snapshots", ("t",), None, "snapshots"),
        ('"t$branch_x$snapshots"', ("t",), None, "branch_x$snapshots"),
        ('a.b."t$files"', ("a", "b", "t"), None, "files"),
        ('"$x"', ("$x",), None, None),
        ('"t$"', ("t",), None, None),
        ("'a/b$files'", None, "a/b", "files"),
        ("'s3://b/t/'", None, "s3://b/t/", None),
        ("'a$b/c'", None, "a$b/c", None),
    ],
)
def test_metadata_tables(table: str, name: tuple[str, ...] | None, path: str | None, metadata: str | None) -> None:
    mention = only(f"SELECT * FROM {table} x")
    assert (mention.name, mention.path, mention.metadata, mention.alias) == (name, path, metadata, "x")


@pytest.mark.parametrize(
    ("table", "own"),
    [("a.Orders", "orders"), ('a."Orders"', "Orders"), ('"t$files"', "t$files"), ("'a/b/Dir'", "Dir"), ("'a/b$files'", "b$files"), ("'/'", "table")],
)
def test_own_name(table: str, own: str) -> None:
    assert only(f"FROM {table}").own_name == own


def test_options() -> None:
    sql = "SELECT * FROM t /*+ OPTIONS('scan.mode'='latest', 'a' = 'it''s', b=1) */ AS x, u /*+ BROADCAST(u) */"
    first, second = parse(sql).mentions
    assert first.options == (("scan.mode", "latest"), ("a", "it's"), ("b", "1"))
    assert (first.alias, second.options) == ("x", ())
    assert only("SELECT * FROM t VERSION AS OF 1 /*+ OPTIONS('a'='b') */ WHERE true").options == (("a", "b"),)
    with pytest.raises(SqlError, match="cannot be read"):
        parse("SELECT * FROM t /*+ OPTIONS('a') */")


def test_table_changes() -> None:
    statement = parse("SELECT * FROM table_changes('t', 1, 2 + 3) c JOIN TABLE_CHANGES('s.\"U\"', '2026-01-31') ON true, table_changes('a/b', 0), range(1)")
    first, second, third = statement.mentions
    assert (first.name, first.alias, str(first)) == (("t",), "c", "t")
    assert first.span.of(statement.text) == first.name_span.of(statement.text) == "table_changes('t', 1, 2 + 3)"
    assert first.changes is not None
    assert first.changes.end is not None
    assert (first.changes.start.text, first.changes.start.kind, first.changes.end.text) == ("1", AtKind.VERSION, "2 + 3")
    assert (second.name, second.quoted) == (("s", "U"), (False, True))
    assert second.changes is not None
    assert (second.changes.start.kind, second.changes.end) == (AtKind.TIMESTAMP, None)
    assert (third.path, third.own_name) == ("a/b", "b")
    rendered = render(statement, {m: Replacement(f"__t{n}") for n, m in enumerate(statement.mentions)}).text
    assert rendered == 'SELECT * FROM __t0 c JOIN __t1 AS "U" ON true, __t2 AS "b", range(1)'


@pytest.mark.parametrize(
    "call", ["table_changes(t, 1)", "table_changes('t')", "table_changes('t', 1, 2, 3)", "table_changes('a b', 1)", "table_changes('', 1)"]
)
def test_table_changes_that_cannot_be_read(call: str) -> None:
    with pytest.raises(SqlError):
        parse(f"SELECT * FROM {call}")


def test_words_that_are_also_columns() -> None:
    sql = "SELECT offset, timestamp, date, value, key, partition, day, end, first, left, full FROM t WHERE date < x AND y > 'z' AND window = 1 ORDER BY limit"
    assert names(sql) == ["t"]


@pytest.mark.parametrize(
    ("sql", "column"),
    [
        ("SELECT * FROM t TABLESAMPLE BERNOULLI (10)", 17),
        ("SELECT * FROM t x TABLESAMPLE (10 PERCENT)", 19),
        ("SELECT * FROM t SAMPLE 0.1", 17),
        ("SELECT * FROM t PARTITION (p)", 17),
        ("SELECT a FROM t GROUP BY a WITH ROLLUP", 28),
        ("SELECT * FROM t PREWHERE a = 1", 17),
        ("SELECT * ILIKE 'a%' FROM t", 10),
        ("SELECT a INTO x FROM t", 10),
        ("SELECT * FROM t SETTINGS a = 1", 26),
        ("SELECT * FROM t WITH (nolock)", 17),
        ("SELECT * FROM t FORMAT json", 24),
    ],
)
def test_what_the_engine_would_read_and_ignore_is_refused(sql: str, column: int) -> None:
    with pytest.raises(SqlError) as caught:
        parse(sql)
    assert caught.value.column == column
