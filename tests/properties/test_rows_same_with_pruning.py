"""Pruning changes no rows: on random tables and predicates, with pruning on and off, and against an engine that never saw a statistic.

LAKESQL_PROPERTY_TABLES=n tries n tables a flavour instead of the usual number, other ones at every run, and makes what fails as small as can be (which takes
minutes).
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datafusion
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import lakesql

from .predicates import Sql, predicates, sql
from .tables import Spec, specs, write

PER_TABLE = 20
ASKED = os.environ.get("LAKESQL_PROPERTY_TABLES")
TABLES = int(ASKED or 15)

FLAVOURS = {
    "plain": {"partitioned": False, "vectors": False, "damaged": False},
    "partitioned": {"partitioned": True, "vectors": False, "damaged": False},
    "damaged-statistics": {"partitioned": False, "vectors": False, "damaged": True},
    "deletion-vectors": {"partitioned": True, "vectors": True, "damaged": True},
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
    extremes = ", ".join(f"min({c.name}), max({c.name}), count({c.name})" for c in spec.columns if c.kind.has_order)
    values = ", ".join(["rid", *(c.name for c in spec.columns)])
    shapes = itertools.cycle(["SELECT rid FROM t", f"SELECT {values} FROM t", "SELECT count(*) FROM t", f"SELECT {extremes or 'count(rid)'} FROM t"])
    statements = [sql(shape, " WHERE ", where) for shape, where in zip(shapes, wheres, strict=False)]
    return spec, [*statements, sql("SELECT count(*) FROM t"), sql(f"SELECT {extremes or 'count(rid)'} FROM t")]


@pytest.mark.parametrize("flavour", FLAVOURS)
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
    assert seen["same"] >= TABLES * PER_TABLE * 0.85, f"too few pairs could be compared: {seen}"
    assert seen["dropped files"] >= TABLES * PER_TABLE * 0.1, f"too few statements dropped a file: {seen}"


@contextlib.contextmanager
def connections(place: Path) -> Iterator[tuple[Any, Any]]:
    """Two connections to the table, the second with pruning switched off."""
    with lakesql.connect(tables={"t": str(place)}) as pruning, lakesql.connect(tables={"t": str(place)}) as reading_all:
        reading_all.execute("SET lakesql.prune = 'off'")
        yield pruning, reading_all


def oracle(rows: pa.Table) -> datafusion.SessionContext:
    """An engine with the rows in memory as `t`."""
    context = datafusion.SessionContext(datafusion.SessionConfig({"datafusion.execution.target_partitions": "1"}))
    context.register_record_batches("t", [rows.to_batches() or [pa.RecordBatch.from_pylist([], schema=rows.schema)]])
    return context


def compared(statement: Sql, pruning: Any, reading_all: Any, engine: datafusion.SessionContext, seen: Counter[str]) -> None:
    """Asserts that all three agree, and counts.

    Where the oracle cannot compute the statement, the first two agree on the rows, or fail; `date_trunc` of an extreme in a row that is deleted or pruned may
    fail too.
    """
    try:
        expected = rows_of(engine.sql(statement.text(typed=True)).to_arrow_table())
    except Exception:  # the engine's own limits (overflow in a cast, say) are no subject here, and it has no class of its own for them
        expected = None
    text = statement.text(typed=False)
    whole, total, kept = answer(reading_all, text)
    assert total == kept, f"{text}\n{total - kept} files were dropped with pruning off"
    pruned, total, kept = answer(pruning, text)
    seen["dropped files"] += kept < total
    told = f"{text}\npruning: {pruned}\nall files: {whole}\noracle: {expected}\nasked as: {statement.text(typed=True)}"
    if isinstance(whole, lakesql.Error):
        assert expected is None or "out of range" in str(whole), told
        assert isinstance(pruned, lakesql.Error) or expected is None or pruned == expected, told
        seen["refused"] += 1
    else:
        assert pruned == whole, told
        assert expected is None or whole == expected, told
        seen["same"] += expected is not None


def answer(connection: Any, text: str) -> tuple[list[tuple[str, ...]] | lakesql.Error, int, int]:
    """The rows, or the error of the engine; then how many files the table has, and how many were kept."""
    try:
        cursor = connection.execute(text)
        return rows_of(cursor.fetch_arrow_table()), cursor.scan_stats.files_total, cursor.scan_stats.files_kept
    except lakesql.Error as error:
        return error, 0, 0


def rows_of(table: pa.Table) -> list[tuple[str, ...]]:
    """Rows in one order, values as text that tells nulls, NaN and signed zeros apart."""
    return sorted(zip(*([repr(value) for value in column.to_pylist()] for column in table.columns), strict=True))
