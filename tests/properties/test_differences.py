"""DIFF(a, b) is the exact difference of two states: on random histories of every format, for pairs of versions in both directions, and for two tables.

What it must be is computed from the two states as plain reads give them, in plain Python. LAKESQL_PROPERTY_TABLES=n tries n histories instead of the usual
number, other ones at every run.
"""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import deltalake
import pytest
from formats.iceberg.random_tables import Spec, specs
from formats.iceberg.random_tables import write as write_iceberg
from formats.iceberg.test_changes import ids
from formats.paimon.random_tables import ENGINES, World
from hypothesis import HealthCheck, Phase, given, settings

import lakesql
from lakesql.changes import DELETE, INSERT, POSTIMAGE, PREIMAGE

from .histories import History, histories, write
from .test_changes_properties import columns_at, rows_of
from .test_rows_same_with_pruning import connections

ASKED = os.environ.get("LAKESQL_PROPERTY_TABLES")
HISTORIES, TABLES, WORLDS = int(ASKED or 6), int(ASKED or 3), int(ASKED or 1)
STEPS, PAIRS = 7, 6
Rows = Counter[tuple[str, ...]]
Changes = Counter[tuple[str, tuple[str, ...]]]


def tried(count: int) -> settings:
    """How many examples, the same ones at every run unless others are asked for."""
    phases = [Phase.generate] if ASKED is None else list(Phase)
    return settings(max_examples=count, derandomize=ASKED is None, phases=phases, deadline=None, database=None, suppress_health_check=list(HealthCheck))


def difference(connection: Any, text: str, names: Sequence[str], rest: str = "") -> Changes:
    """What `FROM text` gives: (change type, row) and how often."""
    found = connection.execute(f"SELECT _change_type, {', '.join(names)} FROM {text} {rest}").fetch_arrow_table()
    return Counter((row[0], row[1:]) for row in rows_of(found))


def expected(before: Rows, after: Rows, key: Sequence[int] = ()) -> Changes:
    """The difference, with images where one row alone of a key went and one came."""
    sides = ((DELETE, before - after), (INSERT, after - before))
    found: Changes = Counter({(word, row): n for word, rows in sides for row, n in rows.items()})
    if not key:
        return found
    keys = [Counter[tuple[str, ...]]() for _ in sides]
    for counts, (_, rows) in zip(keys, sides, strict=True):
        for row, n in rows.items():
            counts[tuple(row[k] for k in key)] += n
    paired = {k for k in keys[0] if keys[0][k] == keys[1][k] == 1 and "None" not in k}
    images = {DELETE: PREIMAGE, INSERT: POSTIMAGE}
    return Counter({(images[w] if tuple(row[k] for k in key) in paired else w, row): n for (w, row), n in found.items()})


def leads(before: Rows, after: Rows, changes: Changes) -> bool:
    """Whether the changes take the one state to the other, images in pairs."""
    taken = Counter({row: n for (word, row), n in changes.items() if word in (DELETE, PREIMAGE)})
    added = Counter({row: n for (word, row), n in changes.items() if word in (INSERT, POSTIMAGE)})
    images = [sum(n for (w, _), n in changes.items() if w == word) for word in (PREIMAGE, POSTIMAGE)]
    return before + added == after + taken and images[0] == images[1]


def filtered(changes: Changes, place: int, keeps: Callable[[str], bool]) -> Changes:
    """The changes whose row has a wanted value in a column."""
    return Counter({k: n for k, n in changes.items() if keeps(k[1][place])})


def state(connection: Any, text: str, columns: Sequence[str], had: Sequence[str]) -> Rows:
    """The rows of a state, null in columns that it has not."""
    selected = ", ".join(c if c in had else f"NULL AS {c}" for c in columns)
    return Counter(rows_of(connection.execute(f"SELECT {selected} FROM {text}").fetch_arrow_table()))


def test_of_delta_versions(tmp_path: Path) -> None:
    numbers, seen = itertools.count(), Counter[str]()

    @tried(HISTORIES)
    @given(histories)
    def law(history: History) -> None:
        place = tmp_path / str(next(numbers))
        write(history, place)
        with connections(place) as both:
            versions = range(deltalake.DeltaTable(place).version() + 1)
            had = {v: columns_at(both[1], v) for v in versions}
            for number, (a, b) in enumerate(itertools.permutations(versions, 2)):
                columns = had[b]
                before, after = (state(both[1], f"t VERSION AS OF {v}", columns, had[v]) for v in (a, b))
                key = [columns.index("id")] if number % 2 else []
                wanted, id_ = expected(before, after, key), str(number % 6)
                seen.update(word for word, _ in wanted)
                told = f"{history}\n{a} to {b}"
                for connection in both:
                    assert difference(connection, f"DIFF(t, {a}, {b}{', key => id' * len(key)})", columns) == wanted, told
                text = f"DIFF(t, {a}, {b}{', key => (id)' * len(key)})"
                some = filtered(wanted, columns.index("id"), lambda value: value == id_)  # noqa: B023 (called here)
                assert difference(both[0], text, columns, f"WHERE id = {id_}") == some, told
                cursor = both[0].execute(f"SELECT count(*) FROM {text} WHERE id = {id_}")
                assert cursor.fetchone()[0] == some.total(), told
                seen["dropped files"] += cursor.scan_stats.files_kept < cursor.scan_stats.files_total

    law()
    assert {INSERT, DELETE, PREIMAGE, POSTIMAGE, "dropped files"} <= {w for w, n in seen.items() if n}


def test_of_iceberg_snapshots(tmp_path: Path) -> None:
    numbers, seen = itertools.count(), Counter[str]()

    @tried(TABLES)
    @given(specs(partitioned=True, deletes=True, damaged=False))
    def law(spec: Spec) -> None:
        place = tmp_path / str(next(numbers))
        write_iceberg(spec, place)
        names = spec.schema.names
        with connections(place) as both:
            for number, (a, b) in enumerate(itertools.permutations(ids(both[1]), 2)):
                before, after = (state(both[1], f"t VERSION AS OF {v}", names, names) for v in (a, b))
                told = f"{spec}\n{a} to {b}"
                options, key = [("", []), (", updates => false", []), (", key => (rid)", [0])][number % 3]
                found = [difference(c, f"DIFF(t, {a}, {b}{options})", names) for c in both]
                assert found[0] == found[1], told
                if options:
                    assert found[0] == expected(before, after, key), told
                assert leads(before, after, found[0]), told
                seen.update(word for word, _ in found[0])
                some = filtered(found[0], 0, lambda value: int(value) < 3)
                assert difference(both[0], f"DIFF(t, {a}, {b}{options})", names, "WHERE rid < 3") == some, told

    law()
    assert {INSERT, DELETE} <= seen.keys()


@pytest.mark.parametrize("flavour", ENGINES)
@pytest.mark.parametrize("seed", range(WORLDS))
def test_of_paimon_snapshots(flavour: str, seed: int, tmp_path: Path) -> None:
    random = Random(f"differences {flavour} {seed}")
    world = World(tmp_path, random, flavour)
    while len(world.states) < STEPS:
        world.step()
    if flavour in ("append", "deletion vectors"):
        world._delete_positions()
    read = total = 0
    with connections(tmp_path) as both:
        pairs = list(itertools.permutations(world.states, 2))
        chosen = pairs if ASKED else [(world.states[-2], world.states[-1]), *random.sample(pairs, PAIRS)]
        for number, (a, b) in enumerate(chosen):
            names = [c.name for c in b.columns]
            before, after = (Counter(tuple(repr(r[n]) for n in names) for r in s.named(b.columns)) for s in (a, b))
            keyed = [] if world.appends else [names.index(n) for n in ("k", "j", "p") if n in names]
            wanted = expected(before, after, keyed)
            if keyed:  # null is a partition like others, and so part of keys that nothing pairs
                assert leads(before, after, wanted)
            told = f"{flavour} {seed}: {a.snapshot} to {b.snapshot}"
            for connection in both if number % 4 == 0 else both[:1]:
                assert difference(connection, f"DIFF(t, {a.snapshot}, {b.snapshot})", names) == wanted, told
            key = random.randrange(40)
            some = filtered(wanted, names.index("k"), lambda value: int(value) < key)  # noqa: B023 (called here)
            cursor = both[0].execute(f"SELECT count(*) FROM DIFF(t, {a.snapshot}, {b.snapshot}) WHERE k < {key}")
            assert cursor.fetchone()[0] == some.total(), told
            whole = both[0].execute(f"DIFF t VERSION {a.snapshot}, VERSION {b.snapshot}")
            whole.fetchall()
            read += whole.scan_stats.files_kept
            total += sum(both[0].execute(f'SELECT count(*) FROM "t$files" VERSION AS OF {s.snapshot}').fetchone()[0] for s in (a, b))
    assert read < total


def test_of_two_tables(tmp_path: Path) -> None:
    numbers = itertools.count()

    @tried(HISTORIES)
    @given(histories, histories)
    def law(one: History, other: History) -> None:
        places = [tmp_path / str(next(numbers)) for _ in range(2)]
        for history, place in zip((one, other), places, strict=True):
            write(history, place)
        tables = {"t": str(places[0]), "u": str(places[1])}
        with lakesql.connect(tables=tables) as connection:
            columns, had = (connection.execute(f"SELECT * FROM {n} LIMIT 0").fetch_arrow_table().column_names for n in ("u", "t"))
            before, after = state(connection, "t", columns, had), state(connection, "u", columns, columns)
            for key in ([], [columns.index("id")]):
                wanted = expected(before, after, key)
                assert difference(connection, f"DIFF(t, u{', key => id' * len(key)})", columns) == wanted
                some = filtered(wanted, columns.index("id"), lambda value: value == "2")
                assert difference(connection, f"DIFF(t, u{', key => id' * len(key)})", columns, "WHERE id = 2") == some
            assert difference(connection, "DIFF(t, 0, t)", had) == difference(connection, "DIFF(t, 0, t)", had, "WHERE true")

    law()
