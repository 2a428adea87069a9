"""Tokens: where strings, names, comments and statements begin and end."""

from __future__ import annotations

import pytest

from lakesql.errors import SqlError
from lakesql.sql import is_complete, split
from lakesql.sql.tokens import TokenKind, tokenize


def texts(sql: str) -> list[str]:
    return [t.text for t in tokenize(sql).tokens[:-1]]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("a.b", ["a", ".", "b"]),
        ("'it''s'", ["'it''s'"]),
        ("'a\\'", ["'a\\'"]),
        ("E'a\\'b' c", ["E'a\\'b'", "c"]),
        ("X'AB' x'ab' N'a' U&'\\0041'", ["X'AB'", "x'ab'", "N'a'", "U&'\\0041'"]),
        ("$$it's$$ $q$a$$b$q$", ["$$it's$$", "$q$a$$b$q$"]),
        ('"a""b" `c`', ['"a""b"', "`c`"]),
        ("1 1.5 .5 1. 1e5 1.5E-3 0x1F", ["1", "1.5", ".5", "1.", "1e5", "1.5E-3", "0x1F"]),
        ("a.5", ["a", ".", "5"]),
        ("a<=>b->>'c'::int", ["a", "<=>", "b", "->>", "'c'", "::", "int"]),
        ("/* a /* b */ c */ d -- e\nf", ["d", "f"]),
        ("t$snapshots t@v3 #x", ["t$snapshots", "t@v3", "#x"]),
        ("größe Ärger", ["größe", "Ärger"]),
        ("a\u00a0b", ["a", "b"]),
    ],
)
def test_cuts_as_the_engine_does(sql: str, expected: list[str]) -> None:
    assert texts(sql) == expected


@pytest.mark.parametrize(
    ("sql", "places"),
    [
        ("SELECT ? FROM t WHERE a = ?", ["?", "?"]),
        ("SELECT $1, $name, :name", ["$1", "$name", ":name"]),
        ("SELECT '?', \"?\", `:a` -- ? :b\n /* $1 */", []),
        ("SELECT a::int, b :: date", []),
        ("SELECT a[1:2], a[b:c]", []),
        ("SELECT a->'b', a->>'b', a @? 'c', a ?| 'd', f(a)?&'e'", []),
        ("SELECT ?||'x', ? || ?", ["?", "?", "?"]),
        ("SELECT $$ ? $$, $a$ :x $a$", []),
        ("LIMIT :n OFFSET :m", [":n", ":m"]),
        ("WHERE a=:n AND b IN(:m)", [":n", ":m"]),
    ],
)
def test_placeholders(sql: str, places: list[str]) -> None:
    assert [t.text for t in tokenize(sql).tokens if t.kind is TokenKind.PLACEHOLDER] == places


def test_hints_are_kept_by_the_token_that_follows() -> None:
    tokens = tokenize("FROM t /*+ OPTIONS('a'='b') */ x /* plain */ y")
    assert {tokens.tokens[i].text: [h.text for h in hints] for i, hints in tokens.hints.items()} == {"x": ["/*+ OPTIONS('a'='b') */"]}


@pytest.mark.parametrize(
    ("sql", "line", "column", "word"),
    [
        ("SELECT 'abc", 1, 8, "string"),
        ("SELECT 1;\nSELECT 'abc", 2, 8, "string"),
        ("SELECT $$abc", 1, 8, "string"),
        ("SELECT E'a\\'", 1, 8, "string"),
        ('SELECT\n  "abc', 2, 3, "identifier"),
        ("SELECT `a", 1, 8, "identifier"),
        ('SELECT ""', 1, 8, "empty"),
        ("SELECT 1 /* a /* b */", 1, 10, "comment"),
    ],
)
def test_what_does_not_end_is_an_error_where_it_begins(sql: str, line: int, column: int, word: str) -> None:
    with pytest.raises(SqlError, match=word) as caught:
        tokenize(sql)
    assert (caught.value.line, caught.value.column) == (line, column)


@pytest.mark.parametrize(
    ("sql", "statements"),
    [
        ("", []),
        (" ;; -- nothing\n ; ", []),
        ("a", ["a"]),
        ("-- first\na;\n\nb ; c", ["a", "b", "c"]),
        ("SELECT ';' ; SELECT \";\"", ["SELECT ';'", 'SELECT ";"']),
        ("a /* ; */ b; c", ["a /* ; */ b", "c"]),
        ("/*+ x */ a /*+ y */ /* z */; b /*+ c */ -- d", ["a /*+ y */", "b /*+ c */"]),
    ],
)
def test_split(sql: str, statements: list[str]) -> None:
    assert [s.of(sql) for s in split(sql)] == statements


@pytest.mark.parametrize(
    ("sql", "complete"),
    [
        ("SELECT 1;", True),
        ("SELECT 1; -- so", True),
        ("SELECT 1", False),
        ("SELECT ';", False),
        ("SELECT 1 -- ;", False),
        ("SELECT /* ;", False),
        ("", False),
        (";", True),
    ],
)
def test_is_complete(sql: str, complete: bool) -> None:
    assert is_complete(sql) is complete
