"""What is offered at a place of an unfinished statement: the pure context, and menus over the sample lake and over doubles that are slow or large."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lakesql import sample
from lakesql.frontends import completion as want
from lakesql.frontends.completion import complete_context
from lakesql.frontends.completion_menu import Candidate, Menu
from lakesql.frontends.completion_names import ColumnName, FunctionName, SessionNames, TableName, VersionName
from lakesql.frontends.completion_scope import TableRef
from lakesql.session import Session


def at_bar(text: str) -> want.Context:
    """The context where the text has a bar."""
    return complete_context(text.replace("|", "", 1), text.index("|"))


def table_names(text: str) -> list[tuple[str, ...]]:
    """The tables whose columns are wanted at the bar."""
    found = next((w for w in at_bar(text).wants if isinstance(w, want.Columns)), None)
    assert found is not None, at_bar(text)
    return [s.table.name for s in found.sources if s.table is not None]


@pytest.mark.parametrize(
    ("text", "tables"),
    [
        ("SELECT o.| FROM orders o", [("orders",)]),
        ("SELECT o.| FROM shop.orders AS o JOIN items i ON true", [("shop", "orders")]),
        ("SELECT orders.am| FROM orders", [("orders",)]),
        ("SELECT shop.orders.| FROM shop.orders", [("shop", "orders")]),
        ("SELECT | FROM a, b x LEFT JOIN c ON true", [("a",), ("b",), ("c",)]),
        ("SELECT * FROM a WHERE EXISTS (SELECT 1 FROM b WHERE b.x = a.|)", [("a",)]),
        ("SELECT * FROM a WHERE x IN (SELECT | FROM b)", [("b",), ("a",)]),
        ("SELECT | FROM a UNION ALL SELECT y FROM b", [("a",)]),
        ("SELECT x FROM a UNION ALL SELECT | FROM b", [("b",)]),
        ("SELECT 1 FROM z; SELECT | FROM a; SELECT 1 FROM y", [("a",)]),
        ("WITH w AS (SELECT | FROM b) SELECT * FROM w, a", [("b",)]),
        ("SELECT * FROM a GROUP BY | ORDER BY 1", [("a",)]),
        ("SELECT * FROM a JOIN b ON |", [("a",), ("b",)]),
        ("SELECT extract(year FROM |) FROM a", [("a",)]),
        ('SELECT count(*) FROM a WHERE x AND "|', [("a",)]),
        ("SELECT * FROM a VERSION AS OF 3 o WHERE o.|", [("a",)]),
    ],
)
def test_columns_of_the_relations_in_scope(text: str, tables: list[tuple[str, ...]]) -> None:
    assert table_names(text) == tables


@pytest.mark.parametrize(
    ("text", "outputs"),
    [
        ("WITH w AS (SELECT a, b + 1 AS c FROM t) SELECT w.| FROM w", ["a", "c"]),
        ("WITH w(p, q) AS (SELECT a, b FROM t) SELECT | FROM w", ["a", "b"]),
        ("SELECT s.| FROM (SELECT a x, sum(b) AS y FROM t GROUP BY 1) s", ["x", "y"]),
        ("WITH v AS (SELECT a FROM t), w AS (SELECT a z FROM v) SELECT | FROM w", ["z"]),
        ("SELECT | FROM (VALUES (1, 2), (3, 4)) v", ["column1", "column2"]),
    ],
)
def test_columns_of_derived_relations(text: str, outputs: list[str]) -> None:
    found = next(w for w in at_bar(text).wants if isinstance(w, want.Columns))
    assert [o.name for o in found.sources[0].outputs] == outputs


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("SELECT * FROM |", want.Tables()),
        ("SELECT * FROM a, |", want.Tables()),
        ("SELECT * FROM a JOIN shop.|", want.Tables(("shop",))),
        ("DESCRIBE |", want.Tables()),
        ("SELECT * FROM orders$|", want.SystemTables(TableRef(("orders",)))),
        ('SELECT * FROM "orders$sn|', want.SystemTables(TableRef(("orders",)), quoted=True)),
        ("SELECT * FROM orders.|", want.SystemTables(TableRef(("orders",)))),
        ("SELECT * FROM orders FOR VERSION AS OF |", want.Versions(TableRef(("orders",)))),
        ("SELECT * FROM shop.orders VERSION AS OF '|", want.Versions(TableRef(("shop", "orders")), quoted=True)),
        ("SELECT * FROM orders o CHANGES FROM VERSION 1 TO VERSION |", want.Versions(TableRef(("orders",)))),
        ("SELECT * FROM orders TIMESTAMP AS OF '|", want.Times(TableRef(("orders",)), quoted=True)),
        ("SELECT * FROM '|", want.Paths()),
        ("SET |", want.Settings()),
        ("SET lakesql.prune = |", want.Settings("lakesql.prune")),
    ],
)
def test_other_kinds(text: str, wanted: want.Want) -> None:
    assert wanted in at_bar(text).wants


@pytest.mark.parametrize("text", ["SELECT 'a|", "SELECT 1 -- x|", "SELECT /* |"])
def test_nothing_inside_strings_and_comments(text: str) -> None:
    assert at_bar(text).wants == ()


def test_no_text_is_too_broken() -> None:
    """Every place of every beginning and end of a statement has an answer."""
    text = 'WITH w(a, b) AS (SELECT x.y, f(z) AS k FROM "t$files" x VERSION AS OF 3 JOIN u USING (i)) '
    text += "SELECT CASE WHEN a > 'q;' THEN b END FROM w, ((SELECT 1)) /* c */"
    for cut in range(len(text) + 1):
        for piece in (text[:cut], text[cut:]):
            for cursor in range(0, len(piece) + 1, 7):
                assert complete_context(piece, cursor).start <= cursor


# Menus ---------------------------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lake() -> Iterator[Menu]:
    session = Session.open(str(sample.lake()))
    session.execute("CREATE VIEW late AS SELECT day, slot AS place FROM impressions")
    menu = Menu(SessionNames(session))
    yield menu
    menu.close()
    session.close()


def offered(menu: Menu, text: str, kind: str | None = None) -> list[Candidate]:
    found = menu.complete(text.replace("|", "", 1), text.index("|"), patience_seconds=20)
    return [c for c in found if kind is None or c.kind == kind]


def test_columns_after_an_alias_are_typed_and_only_its_own(lake: Menu) -> None:
    """Statement 7."""
    found = offered(lake, "SELECT i.| FROM impressions i JOIN users u ON true")
    assert {c.kind for c in found} == {"column"}
    assert ("day", "DATE") in {(c.text, c.about) for c in found}
    assert "handle" not in {c.text for c in found}
    through = offered(lake, "WITH w AS (SELECT day AS d, slot FROM impressions) SELECT w.| FROM w")
    assert [(c.text, c.about) for c in through] == [("d", "DATE"), ("slot", "INT")]
    assert [c.text for c in offered(lake, "SELECT | FROM (SELECT * FROM late) x", "column")] == ["day", "place"]


def test_once_known_a_menu_takes_no_time(lake: Menu) -> None:
    offered(lake, "SELECT i.| FROM impressions i")
    assert lake.complete("SELECT i. FROM impressions i", 9, patience_seconds=0)


def test_system_tables_of_the_tables_format(lake: Menu) -> None:
    """Statement 8."""
    delta = {c.text for c in offered(lake, "SELECT * FROM impressions$|", "system")}
    iceberg = {c.text for c in offered(lake, "SELECT * FROM items$|", "system")}
    assert {"snapshots", "tombstones"} <= delta
    assert {"snapshots", "refs", "manifests"} <= iceberg
    assert "refs" not in delta
    assert "tombstones" not in iceberg
    (quoted,) = offered(lake, 'SELECT * FROM "items$ref|', "system")
    assert (quoted.text, quoted.about) == ('refs"', "system")


def test_versions_with_their_times_and_operations(lake: Menu) -> None:
    """Statement 9."""
    found = {c.text: c.about for c in offered(lake, "SELECT * FROM users FOR VERSION AS OF |")}
    assert found["'day-1'"].endswith("tag")
    assert found["12"].startswith("2026-11-24 01:56:56.603Z")
    assert found["12"].endswith("COMPACT")
    branches = {c.text: c.about for c in offered(lake, "SELECT * FROM items FOR VERSION AS OF |")}
    assert branches["'main'"].endswith("branch")
    times = offered(lake, "SELECT * FROM users TIMESTAMP AS OF '|")
    assert times[0].text == "2026-11-24 01:56:56.603Z'"


def test_tables_functions_settings_and_keywords(lake: Menu) -> None:
    tables = {c.text: c for c in offered(lake, "SELECT * FROM |")}
    assert tables["late"].about == "view"
    assert {"clips", "lake", "users"} <= tables.keys()
    assert "users" in {c.text for c in offered(lake, "SELECT * FROM clips.|", "table")}
    (function,) = [c for c in offered(lake, "SELECT date_tr|", "function") if c.label == "date_trunc"]
    assert (function.text, function.about.startswith("date_trunc(")) == ("date_trunc(", True)
    assert [c.text for c in offered(lake, "SET lakesql.pru|")] == ["lakesql.prune"]
    assert [c.text for c in offered(lake, "SET lakesql.prune = |")] == ["on", "off"]
    assert offered(lake, "sel|")[0].text == "select"
    assert offered(lake, "SEL|")[0].text == "SELECT"


def test_paths_in_quotes(lake: Menu, tmp_path: Path) -> None:
    (tmp_path / "orders").mkdir()
    (tmp_path / "other.csv").write_text("")
    assert [c.text for c in offered(lake, f"SELECT * FROM '{tmp_path}/o|")] == [f"{tmp_path}/orders/", f"{tmp_path}/other.csv"]
    assert offered(lake, "SELECT * FROM 's3://bucket/|") == []


def test_an_unknown_table_offers_no_columns(lake: Menu) -> None:
    assert offered(lake, "SELECT n.| FROM nosuch n", "column") == []


class SlowNames:
    """A catalog of many tables that answers only when it is let."""

    def __init__(self, columns: int) -> None:
        self.let = threading.Event()
        self.count = columns

    def tables(self) -> list[TableName]:
        self.let.wait()
        return [TableName("c", "s", f"table_{i}", "delta") for i in range(1000)]

    def columns(self, ref: TableRef) -> list[ColumnName]:
        self.let.wait()
        return [ColumnName(f"column_{i}", "INT") for i in range(self.count)]

    def system_tables(self, ref: TableRef) -> list[str]:
        return []

    def versions(self, ref: TableRef) -> list[VersionName]:
        return []

    def functions(self) -> list[FunctionName]:
        self.let.wait()
        return []

    def settings(self) -> list[tuple[str, str]]:
        return []

    def setting_values(self, name: str) -> list[str]:
        return []


def test_a_catalog_that_does_not_answer_is_not_waited_for() -> None:
    """Statement 10: menus stay quick while metadata loads, and what came late is told."""
    names, changed = SlowNames(100_000), threading.Event()
    menu = Menu(names, on_change=changed.set)
    started = time.monotonic()
    assert menu.complete("SELECT t.c FROM table_1 t", 10) == []
    assert time.monotonic() - started < 5
    names.let.set()
    assert changed.wait(20)
    found = menu.complete("SELECT t.column_9999 FROM table_1 t", 20, patience_seconds=20)
    assert found[0].text == "column_9999"
    assert len(found) == 11
    menu.close()


@pytest.mark.parametrize("name", ["Order", "a b", "select", 'q"x'])
def test_names_are_quoted_where_they_must_be(name: str) -> None:
    names = SlowNames(0)
    names.let.set()
    names.columns = lambda ref: [ColumnName(name, "INT")]  # type: ignore[method-assign]
    menu = Menu(names)
    (column,) = offered(menu, "SELECT t.| FROM t")
    assert column.text == '"' + name.replace('"', '""') + '"'
    menu.close()
