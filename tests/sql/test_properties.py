"""Laws of the text stage, on random texts: blanks and case mean nothing, strings are not read, only SqlError comes out, literals compare as they should."""

from __future__ import annotations

import itertools
import operator
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakesql import sql
from lakesql.errors import SqlError
from lakesql.sql.tokens import TokenKind, tokenize

from .lake import ROWS, Engine

TEXTS = (
    "SELECT o.id, c.name FROM lake.shop.orders VERSION AS OF 12 AS o JOIN crm.customers c ON o.c = c.id WHERE o.day = '2026-01-03' AND c.city LIKE 'S%'",
    "WITH a AS (SELECT * FROM t FOR SYSTEM_TIME AS OF current_timestamp() - INTERVAL '1' DAY x), b(n) AS (TABLE u) SELECT * FROM a, b, \"t$files\" f",
    "SELECT id, CASE WHEN d IS DISTINCT FROM 1.5 THEN EXTRACT(year FROM ts) ELSE 0 END AS n FROM t WHERE a IN (1)",
    "SELECT * FROM t CHANGES FROM VERSION 1 EXCLUSIVE TO VERSION 'b' WITH (mode = 'net', key = (a, b)) x",
    "FROM (SELECT st.b, count(*) FILTER (WHERE id > 0) OVER (PARTITION BY op ORDER BY ts DESC) FROM 'a/b' GROUP BY st.b) x",
    'TABLE t UNION ALL (SELECT 1 FROM u@v3 LIMIT 5) EXCEPT SELECT a FROM "v"@v4 x',
    "SELECT * EXCEPT (ts), xs[1].name, id::decimal(10, 2) FROM t AT (TIMESTAMP => '2026-01-01') WHERE id IN (SELECT id FROM u WHERE u.d = t.d)",
    "EXPLAIN SELECT TRIM(BOTH 'x' FROM op), f(DISTINCT a, n => 1) FROM t LEFT JOIN LATERAL (SELECT max(ts) FROM s.u WHERE u.i = t.id) y ON true",
)
BLANKS = (" ", "\n", "\t", " /* FROM x */", " -- FROM y\n", " /* 'a */ ", "\n--\n")


def mentions(text: str) -> list[Any]:
    """What a text says of its tables, blanks aside."""
    return [
        (
            m.name,
            m.path,
            m.metadata,
            m.alias,
            m.at and (m.at.kind, m.at.is_literal, re.sub(r"\s|--[^\n]*\n|/\*.*?\*/", "", m.at.text).upper()),
            m.changes and (m.changes.start.text, m.changes.end and m.changes.end.text, m.changes.start_exclusive, m.changes.options),
        )
        for m in sql.parse(text).mentions
    ]


@given(text=st.sampled_from(TEXTS), data=st.data())
@settings(max_examples=150)
def test_blanks_and_comments_mean_nothing(text: str, data: st.DataObject) -> None:
    tokens = tokenize(text).tokens[:-1]
    parts = [tokens[0].text]
    for before, token in itertools.pairwise(tokens):
        touching = token.start == before.end
        needed = [""] if touching else []
        parts += [data.draw(st.sampled_from([*needed, *BLANKS]) if not token.text.startswith("@") else st.just("")), token.text]
    assert mentions("".join(parts)) == mentions(text)


@given(text=st.sampled_from(TEXTS), data=st.data())
@settings(max_examples=100)
def test_case_of_words_means_nothing(text: str, data: st.DataObject) -> None:
    parts, end = [], 0
    for token in tokenize(text).tokens[:-1]:
        change = data.draw(st.sampled_from([str.upper, str.lower, str.swapcase])) if token.kind is TokenKind.WORD else str
        parts += [text[end : token.start], change(token.text)]
        end = token.end

    def folded(found: list[Any]) -> list[Any]:
        return [(m[0] and tuple(n.lower() for n in m[0]), *m[1:]) for m in found]

    assert folded(mentions("".join(parts))) == folded(mentions(text))


@given(content=st.text(max_size=40))
def test_strings_are_never_read(content: str) -> None:
    string = "'" + content.replace("'", "''") + "'"
    name = '"' + (content.replace('"', '""') or "x") + '"'
    text = f"SELECT {string} AS {name} FROM t /* {content.replace('*', '').replace('/', '')} */ WHERE {name} = {string}"
    statement = sql.parse(text)
    (mention,) = statement.mentions
    rendered = sql.render(statement, {mention: sql.Replacement("__t")}, schemas={mention: pa.schema([("a", pa.timestamp("us"))])})
    assert rendered.text == text.replace("FROM t /*", 'FROM __t AS "t" /*')
    assert statement.placeholders == ()


KEYWORDS = """
    SELECT FROM WHERE WITH AS OF VERSION TIMESTAMP FOR AT CHANGES TO JOIN LEFT ON USING UNION ALL GROUP ORDER BY LIMIT CASE WHEN THEN ELSE END CAST INTERVAL
    TABLE VALUES LATERAL EXISTS IN BETWEEN AND OR NOT IS DISTINCT EXPLAIN PRUNING DESCRIBE SHOW SET CREATE VIEW COPY EXTRACT DATE TIME OVER FILTER EXCEPT
"""
SYMBOLS = "( ( ) ) [ ] { } , , . . * + - = < > :: : => ;"
OTHERS = ("'x'", "'2026-01-01'", '"Op"', "`a`", "1", "1.5", "?", "$1", ":a", "t$files", "t@v3", "/*+ OPTIONS('a'='b') */", "-- c\n")
VOCABULARY = (*KEYWORDS.split(), *SYMBOLS.split(), *["t", "u", "id", "st", "Op", "d", "ts", "dt", "ns"], *OTHERS)
STARTS = ("", "SELECT", "SELECT * FROM t", "SELECT a FROM t WHERE", "WITH a AS (")
STYLES = (
    "'{}'",
    "TIMESTAMP '{}'",
    "CAST('{}' AS TIMESTAMP)",
    "'{}'::timestamp",
    "TIMESTAMP WITH TIME ZONE '{}'",
    "TIMESTAMP '{}Z'",
    "to_timestamp('{}')",
)


def survives(text: str) -> None:
    """Parses and renders, or says in an SqlError why not; and every place of the engine's text has one in the user's."""
    try:
        statement = sql.parse(text)
        known = dict.fromkeys(statement.mentions, ROWS.schema)
        replacements = {m: sql.Replacement("__t") for m in statement.mentions}
        rendered = sql.render(statement, replacements, schemas=known, hidden=dict.fromkeys(statement.mentions, ("_row_id",)))
    except SqlError as error:
        str(error)
        return
    places = [rendered.to_source(i) for i in range(len(rendered.text) + 1)]
    assert all(0 <= place <= len(statement.text) for place in places)
    assert places == sorted(places)


@given(
    words=st.lists(st.sampled_from(VOCABULARY), max_size=30), start=st.sampled_from(("", "SELECT", "SELECT * FROM t", "SELECT a FROM t WHERE", "WITH a AS ("))
)
@settings(max_examples=1500, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_any_words_parse_or_are_an_sql_error(words: list[str], start: str) -> None:
    survives(" ".join([start, *words]))
    survives("".join([start, " ", *words]))


@given(text=st.text(max_size=60))
@settings(max_examples=500, deadline=None)
def test_any_text_parses_or_is_an_sql_error(text: str) -> None:
    survives(text)
    survives(f"SELECT {text} FROM t")
    sql.is_complete(text)


OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@st.composite
def decimals(draw: st.DrawFn) -> tuple[int, int, list[Decimal], str]:
    """A type, values of it, and a literal near one of them or anywhere."""
    precision = draw(st.integers(1, 38))
    scale = draw(st.integers(0, precision))
    unscaled = st.integers(-(10**precision) + 1, 10**precision - 1)
    values = [Decimal(f"{n}e-{scale}") for n in draw(st.lists(unscaled, min_size=1, max_size=4))]
    near = format(draw(st.sampled_from(values)), "f")
    tail = draw(st.text("0123456789", max_size=12))
    literal = draw(
        st.one_of(
            st.just(near),
            st.just(f"{near}{tail}" if "." in near else f"{near}.{tail}0"),
            st.builds(lambda a, b: f"{a}.{b}", st.integers(-(10**40), 10**40), st.integers(0, 10**20)),
            st.builds(lambda a, e: f"{a}e{e}", st.integers(-99, 99), st.integers(-90, 90)),
        )
    )
    return precision, scale, values, literal


@given(case=decimals(), symbol=st.sampled_from(sorted(OPERATORS)), flip=st.booleans())
@settings(max_examples=120, deadline=None)
def test_decimal_literals_compare_exactly(case: tuple[int, int, list[Decimal], str], symbol: str, flip: bool) -> None:
    precision, scale, values, literal = case
    rows = pa.table({"d": pa.array(values, pa.decimal128(precision, scale))})
    engine = Engine(rows=rows)
    sides = (literal, "d") if flip else ("d", literal)
    found = engine.rows(f"SELECT d FROM t WHERE {sides[0]} {symbol} {sides[1]}")["d"].to_pylist()
    compare, constant = OPERATORS[symbol], Decimal(literal)
    expected = [v for v in values if (compare(constant, v) if flip else compare(v, constant))]
    assert sorted(found) == sorted(expected)


@given(
    values=st.lists(st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)), min_size=1, max_size=4),
    other=st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)),
    use_value=st.booleans(),
    symbol=st.sampled_from(sorted(OPERATORS)),
    column=st.sampled_from(("ts", "tz", "dt")),
    style=st.sampled_from(STYLES),
)
@settings(max_examples=150, deadline=None)
def test_timestamp_literals_compare_exactly(values: list[datetime], other: datetime, use_value: bool, symbol: str, column: str, style: str) -> None:
    literal = values[0] if use_value else other
    if column == "dt" and style == "'{}'":
        style = "TIMESTAMP '{}'"  # beside a date a plain string is a date
    days = [v.replace(hour=0, minute=0, second=0, microsecond=0) for v in values]
    rows = pa.table(
        {
            "ts": pa.array(values, pa.timestamp("us")),
            "tz": pa.array([v.replace(tzinfo=UTC) for v in values], pa.timestamp("us", tz="UTC")),
            "dt": pa.array([v.date() for v in values], pa.date32()),
            "n": pa.array(range(len(values)), pa.int64()),
        }
    )
    text = style.format(literal.isoformat(" "))
    found = Engine(rows=rows).rows(f"SELECT n FROM t WHERE {column} {symbol} {text}")["n"].to_pylist()
    compared = days if column == "dt" else values
    assert sorted(found) == [i for i, v in enumerate(compared) if OPERATORS[symbol](v, literal)]


@pytest.mark.parametrize("step", [timedelta(microseconds=1), timedelta(seconds=1), timedelta(days=1)])
def test_the_ends_of_time(step: timedelta) -> None:
    first, last = datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999)
    engine = Engine()
    assert engine.rows(f"SELECT id FROM t WHERE ts < '{first + step}'")["id"].to_pylist() == [1]
    assert engine.rows(f"SELECT id FROM t WHERE tz > TIMESTAMP '{last - step}'")["id"].to_pylist() == [3]
