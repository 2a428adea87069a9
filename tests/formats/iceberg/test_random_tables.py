"""Pruning changes no rows of Iceberg tables: on random tables, specs and predicates, with pruning on and off, and against an engine that never saw a bound.

LAKESQL_PROPERTY_TABLES=n tries n tables a flavour, as in tests/properties.
"""

from __future__ import annotations

import itertools
import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from properties.predicates import Sql, predicates, sql
from properties.test_rows_same_with_pruning import compared, connections, oracle

from .random_tables import Spec, specs, write

PER_TABLE = 20
ASKED = os.environ.get("LAKESQL_PROPERTY_TABLES")
TABLES = int(ASKED or 15)

FLAVOURS = {
    "plain": {"partitioned": False, "deletes": False, "damaged": False},
    "partitioned": {"partitioned": True, "deletes": False, "damaged": True},
    "metrics": {"partitioned": False, "deletes": False, "damaged": True},
    "deletes": {"partitioned": True, "deletes": True, "damaged": True},
}

tried = settings(
    max_examples=TABLES,
    derandomize=ASKED is None,
    phases=[Phase.generate] if ASKED is None else list(Phase),
    deadline=None,
    database=None,
    print_blob=False,
    suppress_health_check=list(HealthCheck),
)


@st.composite
def cases(draw: st.DrawFn, **flavour: bool) -> tuple[Spec, list[Sql]]:
    """A table and twenty statements about it: rows, counts and extremes."""
    spec = draw(specs(**flavour))
    wheres = draw(st.lists(predicates(spec.columns, spec.nested), min_size=PER_TABLE, max_size=PER_TABLE))
    values = ", ".join(["rid", *(c.name for c in spec.columns)])
    extremes = ", ".join(f"min({c.name}), max({c.name}), count({c.name})" for c in spec.columns if c.kind.has_order) or "count(rid)"
    shapes = itertools.cycle(["SELECT rid FROM t", f"SELECT {values} FROM t", "SELECT count(*) FROM t", f"SELECT {extremes} FROM t"])
    statements = [sql(shape, " WHERE ", where) for shape, where in zip(shapes, wheres, strict=False)]
    groups = sql(f"SELECT {spec.columns[0].name}, count(*) FROM t GROUP BY {spec.columns[0].name}")
    return spec, [*statements, sql("SELECT count(*) FROM t"), groups]


@pytest.mark.parametrize("flavour", ["plain", "partitioned", "metrics", "deletes"])
def test_rows_same_with_pruning(flavour: str, tmp_path: Path) -> None:
    numbers, seen = itertools.count(), Counter[str]()

    @tried
    @given(cases(**FLAVOURS[flavour]))
    def law(case: tuple[Spec, list[Sql]]) -> None:
        spec, statements = case
        place = tmp_path / str(next(numbers))
        write(spec, place)
        with connections(place) as (pruning, reading_all):
            engine = oracle(spec.live())
            for statement in statements:
                compared(statement, pruning, reading_all, engine, seen)

    law()
    assert seen["same"] >= TABLES * PER_TABLE * 0.8, f"too few pairs could be compared: {seen}"
    assert seen["dropped files"] >= TABLES * PER_TABLE * 0.1, f"too few statements dropped a file: {seen}"
