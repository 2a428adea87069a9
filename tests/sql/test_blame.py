"""Complaints of the engine that name no place: raised for real over the sample lake, and found in the text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import lakesql


@pytest.fixture(scope="module")
def lake() -> Iterator[lakesql.Connection]:
    with lakesql.connect(str(Path(__file__).parents[2] / "catalog")) as opened:
        yield opened


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("SELECT 1, cuont(*) FROM impressions", lakesql.UnknownFunctionError, "cuont"),
        ("SELECT 1, row_number() FROM impressions", lakesql.SqlError, "row_number"),
        ("SELECT 1 FROM impressions a, impressions b WHERE slot = 1", lakesql.SqlError, "slot ="),
        ("SELECT day, slot FROM impressions GROUP BY day", lakesql.SqlError, "slot FROM"),
        ("SELECT 1, abs('x', 'y')", lakesql.SqlError, "abs("),
        ("SELECT day, sum(count(slot)) FROM impressions", lakesql.SqlError, "count("),
        ("SELECT 1 UNION SELECT 1, 2", lakesql.SqlError, "UNION"),
        ("SELECT slot FROM impressions HAVING slot > 1", lakesql.SqlError, "HAVING"),
        ("SELECT slot FROM impressions LIMIT 'a'", lakesql.SqlError, "LIMIT"),
        ("SELECT slot, device.nope FROM impressions", lakesql.UnknownColumnError, "nope"),
        ("SELECT 1, NOT 'a'", lakesql.SqlError, "NOT"),
        ("SELECT 1, 'a' LIKE 1", lakesql.SqlError, "LIKE"),
        ("SELECT * FROM impressions WHERE day = 'xx'", lakesql.EngineError, "'xx'"),
        ("SELECT cast(1 AS foo)", lakesql.NotSupportedError, "foo"),
        ("SELECT * FROM impressions JOIN impressions", lakesql.SqlError, "impressions JOIN"),
        ("SELECT * FROM impressions VERSION AS OF 99", lakesql.NoSuchVersionError, "impressions V"),
    ],
    ids=str,
)
def test_the_place_is_found(lake: lakesql.Connection, text: str, kind: type[lakesql.Error], words: str) -> None:
    with pytest.raises(kind) as caught:
        lake.execute(text).fetchall()
    assert caught.value.position == text.index(words)


def test_what_cannot_be_found_points_nowhere(lake: lakesql.Connection) -> None:
    with pytest.raises(lakesql.EngineError) as caught:
        lake.execute("SELECT 1/0").fetchall()
    assert caught.value.position is None


def test_a_misspelled_verb(lake: lakesql.Connection) -> None:
    with pytest.raises(lakesql.SqlError, match='did you mean "SELECT"') as caught:
        lake.execute("SELCT 1")
    assert caught.value.position == 0
