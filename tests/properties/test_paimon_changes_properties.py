"""A version and the changes after it are the next version: on random histories of Paimon tables of every merge engine, raw and net, pruned or not.

What a version holds is told by the model of tests/formats/paimon/random_tables.py, by field id, so columns that were renamed in the range count too.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from formats.paimon.random_tables import ENGINES, Column, State, World

from lakesql.changes import DELETE, INSERT, POSTIMAGE
from lakesql.formats.paimon import change_feed

from .test_changes_properties import ASKED, Rows, check
from .test_rows_same_with_pruning import connections

TABLES = int(ASKED or 1)
STEPS = 4
OPTIONS = ("", "WITH (updates = false)", "WITH (mode = 'net')", "WITH (key = (k, j))", "WITH (mode = 'net', updates = false)")


@pytest.mark.parametrize("flavour", ENGINES)
@pytest.mark.parametrize("seed", range(TABLES))
def test_a_version_and_its_changes_are_the_next_version(flavour: str, seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path, Random(f"changes {flavour} {seed}"), flavour)
    while len(world.states) < STEPS:
        world.step()
    states = {s.snapshot: s for s in world.states}
    latest = world.states[-1].snapshot
    turn, dropped = itertools.cycle(OPTIONS), 0
    with connections(tmp_path) as both:
        for a, b in itertools.combinations(range(latest + 1), 2):
            columns = world.columns if b == latest else list(states[b].columns)
            before, after = (rows_at(states.get(v), columns) for v in (a, b))
            monkeypatch.setattr(change_feed, "_FEW", 4 * (a % 2))  # at 0 keys are always looked at by themselves
            for options in OPTIONS if b == a + 1 else (next(turn),):
                if "key" in options and flavour == "append":
                    continue  # nothing makes them unique there
                told = f"{flavour} {seed}: {a} to {b} {options}"
                feeds = [feed(c, a, b, columns, options) for c in both]
                assert feeds[0] == feeds[1], told
                check(before, after, feeds[0], told, net="net" in options, paired="updates = false" not in options)
                if (a + b) % 3 == 1:
                    dropped += check_predicate(both, a, b, columns, options, feeds[0], told)
        net = feed(both[0], 0, latest, world.columns, "WITH (mode = 'net')")
        upserts = feed(both[0], 0, latest, world.columns, "WITH (mode = 'upserts')")
        assert upserts == Counter({k: n for k, n in net.items() if k[0] in (INSERT, POSTIMAGE)})
    assert dropped or flavour in ("deletion vectors", "first-row"), "no statement dropped a file"


def check_predicate(both: tuple[Any, Any], a: int, b: int, columns: Sequence[Column], options: str, whole: Counter[Any], told: str) -> int:
    """A predicate on a feed gives those of its rows that satisfy it. Returns how many statements left files unread."""
    dropped = 0
    names = [c.name for c in columns]
    for sql, keeps in ((f"k = {(a + b) % 40}", lambda r: r["k"] == (a + b) % 40), ("v > 5", lambda r: r["v"] is not None and r["v"] > 5)):
        if "v" not in names:
            continue
        wanted = Counter({k: n for k, n in whole.items() if keeps(dict(zip(names, k[1], strict=True)))})
        for connection in both:
            assert feed(connection, a, b, columns, options, f"WHERE {sql}") == wanted, f"{told} {sql}"
        cursor = both[0].execute(f"SELECT count(*) FROM t CHANGES FROM VERSION {a} EXCLUSIVE TO VERSION {b} {options} WHERE {sql}")
        assert cursor.fetchone()[0] == wanted.total(), f"{told} {sql}"
        dropped += cursor.scan_stats.files_kept < cursor.scan_stats.files_total
    deletes = Counter({k: n for k, n in whole.items() if k[0] == DELETE})
    assert feed(both[0], a, b, columns, options, f"WHERE _change_type = '{DELETE}'") == deletes, told
    count = both[0].execute(f"SELECT count(*) FROM t CHANGES FROM VERSION {a} EXCLUSIVE TO VERSION {b} {options}").fetchone()[0]
    assert count == whole.total(), told
    return dropped


def feed(connection: Any, a: int, b: int, columns: Sequence[Column], options: str, where: str = "") -> Counter[Any]:
    """Changes of the versions above a up to b: (change type, row) and how often."""
    names = ", ".join(f'"{c.name}"' for c in columns)
    text = f"SELECT _change_type, {names} FROM t CHANGES FROM VERSION {a} EXCLUSIVE TO VERSION {b} {options} {where}"
    table = connection.execute(text).fetch_arrow_table()
    return Counter((row[0], tuple(row[1:])) for row in zip(*(c.to_pylist() for c in table.columns), strict=True))


def rows_at(state: State | None, columns: Sequence[Column]) -> Rows:
    """The rows of a version in the columns of another; there are none before the first."""
    rows: list[Mapping[str, Any]] = [] if state is None else state.named(columns)
    return Counter(tuple(r[c.name] for c in columns) for r in rows)
