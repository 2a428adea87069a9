"""From the engine's text back to the user's."""

from __future__ import annotations

import pytest

from lakesql import sql
from lakesql.errors import SqlError, UnknownColumnError
from lakesql.sql import Span

from .lake import Engine

TEXT = """EXPLAIN PRUNING
SELECT Op, nothing
FROM lake.shop.orders VERSION AS OF 12
WHERE d = -1.5 AND price > ?"""


def test_every_character_that_stays_is_found_again() -> None:
    statement, rendered = Engine().render(TEXT)
    for word in ("SELECT", "nothing", "FROM", "WHERE", "AND price"):
        assert rendered.to_source(rendered.text.index(word)) == statement.text.index(word)
    assert rendered.to_source(rendered.text.index("__t") + 1) == statement.text.index("lake.shop")
    assert rendered.to_source(rendered.text.index("CAST") + 3) == statement.text.index("-1.5")
    assert rendered.to_source(len(rendered.text)) == len(statement.text) - 1  # inside the placeholder, which became longer


def test_line_and_column_of_the_engine() -> None:
    statement, rendered = Engine().render("SELECT *\nFROM shop.orders AS o\nWHERE o.id ==== 1")
    line = rendered.text.split("\n")[2]
    position = sql.source_position(rendered, 3, line.index("====") + 1)
    assert position == statement.text.index("====")
    assert sql.error_position(f"SQL error: at Line: 3, Column: {line.index('====') + 1}", rendered) == position
    assert sql.error_position("no place", rendered) is None
    assert sql.source_position(rendered, 0, 0) is None
    assert sql.source_position(rendered, 9, 1) is None
    assert sql.source_position(rendered, 1, 999) is not None


def test_the_engines_own_complaint_lands_on_the_users_text() -> None:
    engine = Engine()
    statement, rendered = engine.render("SELECT id\nFROM a.very.long_name VERSION AS OF 3 WHERE id = 1 !! 2")
    with pytest.raises(Exception, match="Line: 2") as caught:
        engine.run(rendered.text)
    position = sql.error_position(str(caught.value), rendered)
    assert position is not None
    assert statement.text[position:].startswith("!!")


@pytest.mark.parametrize(
    ("name", "found"),
    [("nothing", "nothing"), ("t.nothing", "nothing"), ('t."Op"', "Op"), ("op", "Op"), ("ORDERS", "orders"), ("absent", None), ("price", "price")],
)
def test_locate(name: str, found: str | None) -> None:
    statement = sql.parse(TEXT)
    span = sql.locate(statement, name)
    assert (None if span is None else span.of(statement.text)) == found


def test_identifiers() -> None:
    names = sql.identifiers(sql.parse("SELECT _Row_Id, \"Other\", 'text' FROM t -- comment"))
    assert {"_row_id", "other", "t"} <= names
    assert not {"text", "comment", "'text'"} & names


def test_at_gives_a_place_to_errors_without_one() -> None:
    statement = sql.parse("SELECT *\nFROM nowhere")
    with pytest.raises(UnknownColumnError) as caught, sql.at(statement, statement.mentions[0].name_span):
        raise UnknownColumnError("no such thing", hint="look again", candidates=["a"])
    assert (caught.value.line, caught.value.column) == (2, 6)
    assert str(caught.value) == "no such thing\nLINE 2: FROM nowhere\n             ^^^^^^^\nhint: look again"
    assert caught.value.candidates == ("a",)
    with pytest.raises(SqlError) as kept, sql.at(statement, Span(0, 1)):
        raise SqlError("placed", sql="abc", position=2)
    assert kept.value.column == 3
