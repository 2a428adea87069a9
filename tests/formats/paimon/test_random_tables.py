"""Every snapshot of random tables reads as a model says, whatever is asked of it: all rows, some by filters, counts, by the newest schema and by old ones.

LAKESQL_PROPERTY_TABLES=n tries n tables a flavour, as in tests/properties.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any

import pytest

import lakesql

from .random_tables import ENGINES, KEYS, TEXTS, Column, State, World

TABLES = int(os.environ.get("LAKESQL_PROPERTY_TABLES") or 2)
STEPS = 12
Row = Mapping[str, Any]


@pytest.mark.parametrize("flavour", ENGINES)
@pytest.mark.parametrize("seed", range(TABLES))
def test_every_snapshot(flavour: str, seed: int, tmp_path: Path) -> None:
    random = Random(f"{flavour} {seed}")
    world = World(tmp_path, random, flavour)
    while len(world.states) < STEPS:
        world.step()
    with lakesql.connect(tables={"t": str(tmp_path)}) as connection, connection.cursor() as cursor:

        def rows(sql: str) -> list[dict[str, Any]]:
            cursor.execute(sql)
            found: list[dict[str, Any]] = cursor.fetch_arrow_table().to_pylist()
            return found

        for state in world.states:
            check(rows, f"t VERSION AS OF {state.snapshot}", state.named(), state.columns, random)
        newest = world.states[-1]
        check(rows, "t", newest.named(world.columns), world.columns, random)


def check(rows: Callable[[str], list[dict[str, Any]]], table: str, wanted: list[dict[str, Any]], columns: Any, random: Random) -> None:
    """All rows, those of two filters, two columns, and counts."""
    assert in_order(rows(f"SELECT * FROM {table}")) == in_order(wanted)
    assert rows(f"SELECT count(*) AS n FROM {table}") == [{"n": len(wanted)}]
    for _ in range(2):
        sql, keeps = some_filter(columns, random)
        named = random.sample([c.name for c in columns], 2)
        kept = [{n: r[n] for n in named} for r in wanted if keeps(r)]
        assert in_order(rows(f"SELECT {', '.join(named)} FROM {table} WHERE {sql}")) == in_order(kept), sql
        assert rows(f"SELECT count(*) AS n FROM {table} WHERE {sql}") == [{"n": len(kept)}], sql


def in_order(rows: list[dict[str, Any]]) -> list[str]:
    """Rows in an order of their own."""
    return sorted(repr(sorted(r.items())) for r in rows)


def some_filter(columns: list[Column], random: Random) -> tuple[str, Callable[[Row], bool]]:
    """A condition in SQL and in Python."""
    key, text, number = random.choice(KEYS), random.choice(TEXTS[:3]), random.randint(-9, 9)
    other = random.choice([c for c in columns if c.name not in ("k", "j")])
    literal: Any = random.choice(TEXTS) if other.type == "STRING" else number
    shown = f"'{literal}'" if isinstance(literal, str) else str(literal)
    name = other.name
    return random.choice(
        [
            (f"k = {key}", lambda r: r["k"] == key),
            (f"k = {key} AND j = '{text}'", lambda r: r["k"] == key and r["j"] == text),
            (f"j = '{text}' AND k IN ({key}, {key + 1}, 7)", lambda r: r["j"] == text and r["k"] in (key, key + 1, 7)),
            (f"k > {key}", lambda r: r["k"] > key),
            (f"{name} = {shown}", lambda r: r[name] == literal),
            (f"{name} > {shown}", lambda r: r[name] is not None and r[name] > literal),
            (f"{name} <> {shown}", lambda r: r[name] is not None and r[name] != literal),
            (f"{name} IS NULL", lambda r: r[name] is None),
            (f"{name} IS NOT NULL AND k < {key}", lambda r: r[name] is not None and r["k"] < key),
            (f"k = {key} OR {name} = {shown}", lambda r: r["k"] == key or r[name] == literal),
        ]
    )


def test_filters_skip_files(tmp_path: Path) -> None:
    """The filters above do leave files unread."""
    world = World(tmp_path, Random(5), "deduplicate")
    while len(world.states) < STEPS:
        world.step()
    assert isinstance(world.states[-1], State)
