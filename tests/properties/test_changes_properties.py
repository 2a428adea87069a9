"""A version and the changes after it are the next version: on random histories of Delta tables, for every pair of versions and every way to ask.

LAKESQL_PROPERTY_TABLES=n tries n histories instead of the usual number, other ones at every run, and makes what fails as small as can be.
"""

from __future__ import annotations

import itertools
import os
from collections import Counter
from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa
from hypothesis import HealthCheck, Phase, given, settings

from lakesql.changes import DELETE, INSERT, POSTIMAGE, PREIMAGE

from .histories import IDS, History, histories, write
from .test_rows_same_with_pruning import connections

ASKED = os.environ.get("LAKESQL_PROPERTY_TABLES")
HISTORIES = int(ASKED or 6)
Rows = Counter[tuple[str, ...]]

tried = settings(
    max_examples=HISTORIES,
    derandomize=ASKED is None,
    phases=[Phase.generate] if ASKED is None else list(Phase),
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
OPTIONS = ("", "WITH (updates = false)", "WITH (key = (id))", "WITH (mode = 'net')", "WITH (mode = 'net', key = (id))")


def test_a_version_and_its_changes_are_the_next_version(tmp_path: Path) -> None:
    numbers, seen = itertools.count(), Counter[str]()

    @tried
    @given(histories)
    def law(history: History) -> None:
        place = tmp_path / str(next(numbers))
        write(history, place)
        latest = deltalake.DeltaTable(place).version()
        with connections(place) as both:
            turn = itertools.cycle(OPTIONS)
            for a, b in itertools.combinations(range(latest + 1), 2):
                columns = columns_at(both[1], b)
                before, after = states(both[1], a, b, columns)
                for options in OPTIONS if b == a + 1 else ("", next(turn)):
                    feeds = [feed(connection, a, b, columns, options) for connection in both]
                    told = f"{history}\n{a} to {b} {options}"
                    assert feeds[0] == feeds[1], told
                    check(before, after, feeds[0], told, net="net" in options, paired=options != OPTIONS[1])
                    seen.update(word for word, _ in feeds[0].elements())
                    if (a + b) % 3 == 0:
                        check_predicates(both, a, b, columns, options, feeds[0], told, seen)
            upserts = feed(both[0], 0, latest, columns_at(both[1], latest), "WITH (mode = 'upserts')")
            net = feed(both[0], 0, latest, columns_at(both[1], latest), "WITH (mode = 'net')")
            assert upserts == Counter({k: n for k, n in net.items() if k[0] in (INSERT, POSTIMAGE)})

    law()
    assert {INSERT, DELETE, PREIMAGE, POSTIMAGE} <= seen.keys()
    assert seen["dropped files"] >= HISTORIES, f"too few statements dropped a file: {seen}"


def check(before: Rows, after: Rows, changes: Counter[Any], told: str, *, net: bool, paired: bool) -> None:
    """The changes lead from one state to the other; net, they are no more than that takes."""
    taken: Rows = Counter()
    added: Rows = Counter()
    for (word, row), count in changes.items():
        assert paired or word in (INSERT, DELETE), told
        (added if word in (INSERT, POSTIMAGE) else taken)[row] += count
    assert before + added == after + taken, told
    assert not net or (added, taken) == (after - before, before - after), told
    assert sum(n for (w, _), n in changes.items() if w == PREIMAGE) == sum(n for (w, _), n in changes.items() if w == POSTIMAGE), told


def check_predicates(both: tuple[Any, Any], a: int, b: int, columns: list[str], options: str, whole: Counter[Any], told: str, seen: Counter[str]) -> None:
    """A predicate on a feed gives those of its rows that satisfy it, whatever was pruned."""
    id_ = (a + b) % len(IDS)
    at = columns.index("id")
    filtered = Counter({k: n for k, n in whole.items() if k[1][at] == str(id_)})
    for connection in both:
        assert feed(connection, a, b, columns, options, f"WHERE id = {id_}") == filtered, told
    words = Counter({k: n for k, n in whole.items() if k[0] == DELETE})
    assert feed(both[0], a, b, columns, options, f"WHERE _change_type = '{DELETE}'") == words, told
    cursor = both[0].execute(f"SELECT count(*) FROM t CHANGES FROM VERSION {a} EXCLUSIVE TO VERSION {b} {options} WHERE id = {id_}")
    assert cursor.fetchone()[0] == filtered.total(), told
    seen["dropped files"] += cursor.scan_stats.files_kept < cursor.scan_stats.files_total


def feed(connection: Any, a: int, b: int, columns: list[str], options: str, where: str = "") -> Counter[Any]:
    """Changes of the versions above a up to b: (change type, row) and how often."""
    names = ", ".join(columns)
    text = f"SELECT _change_type, {names} FROM t CHANGES FROM VERSION {a} EXCLUSIVE TO VERSION {b} {options} {where}"
    return Counter((row[0], row[1:]) for row in rows_of(connection.execute(text).fetch_arrow_table()))


def states(connection: Any, a: int, b: int, columns: list[str]) -> tuple[Rows, Rows]:
    """The rows of both versions in the columns of the second, those the first lacks being null."""
    had = columns_at(connection, a)
    selected = ", ".join(c if c in had else f"NULL AS {c}" for c in columns)
    before = connection.execute(f"SELECT {selected} FROM t VERSION AS OF {a}").fetch_arrow_table()
    after = connection.execute(f"SELECT {', '.join(columns)} FROM t VERSION AS OF {b}").fetch_arrow_table()
    return Counter(rows_of(before)), Counter(rows_of(after))


def columns_at(connection: Any, version: int) -> list[str]:
    """The table's columns at a version."""
    names: list[str] = connection.execute(f"SELECT * FROM t VERSION AS OF {version} LIMIT 0").fetch_arrow_table().column_names
    return names


def rows_of(table: pa.Table) -> list[tuple[str, ...]]:
    """Values as text that tells nulls, NaN and signed zeros apart; the change type as it is."""
    columns = [[value if name == "_change_type" else repr(value) for value in table[name].to_pylist()] for name in table.column_names]
    return list(zip(*columns, strict=True))
