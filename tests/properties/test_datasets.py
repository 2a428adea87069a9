"""Random predicates over tables with deletes and merges: every program that scans the dataset finds the rows that lakesql's SQL finds."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from datafusion import SessionConfig, SessionContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lakesql
from lakesql import sample

duckdb = pytest.importorskip("duckdb")
polars = pytest.importorskip("polars")

TABLES = ("impressions", "items", "users")


class Hosts:
    """The programs, each with the sample lake's tables of one format each."""

    def __init__(self) -> None:
        lake = str(sample.lake())
        self.datasets = {name: lakesql.dataset(name, target=lake) for name in TABLES}
        self.lakesql = lakesql.connect(lake)
        self.duckdb = duckdb.connect()
        self.datafusion = SessionContext(SessionConfig().with_target_partitions(4))
        for name, found in self.datasets.items():
            self.duckdb.register(name, found)
            self.datafusion.register_dataset(name, found)

    def close(self) -> None:
        self.lakesql.close()
        self.duckdb.close()


@pytest.fixture(scope="module")
def hosts() -> Iterator[Hosts]:
    made = Hosts()
    yield made
    made.close()


def _sql(value: Any) -> str:
    if isinstance(value, dt.date):
        return f"DATE '{value}'"
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value)


@st.composite
def conditions(draw: st.DrawFn, schema: pa.Schema, values: dict[str, list[Any]]) -> str:
    """A condition over columns whose values are numbers, dates or texts, with some of their own values."""
    name = draw(st.sampled_from(sorted(values)))
    some = st.sampled_from(values[name])
    kind = draw(st.sampled_from(["compare", "in", "null", "between"]))
    if kind == "compare":
        leaf = f'"{name}" {draw(st.sampled_from(["=", "<>", "<", "<=", ">", ">="]))} {_sql(draw(some))}'
    elif kind == "in":
        leaf = f'"{name}" IN ({", ".join(map(_sql, draw(st.lists(some, min_size=1, max_size=4))))})'
    elif kind == "between":
        leaf = f'"{name}" BETWEEN {_sql(draw(some))} AND {_sql(draw(some))}'
    else:
        leaf = f'"{name}" IS NULL'
    leaf = f"NOT ({leaf})" if kind != "in" and draw(st.booleans()) else leaf  # DataFusion and Polars make NOT IN what pyarrow finds true of nulls
    if draw(st.integers(0, 2)) == 0:
        return leaf
    return f"({leaf}) {draw(st.sampled_from(['AND', 'OR']))} ({draw(conditions(schema, values))})"


def _values(table: pa.Table) -> dict[str, list[Any]]:
    kept = [f.name for f in table.schema if pa.types.is_integer(f.type) or pa.types.is_string(f.type) or pa.types.is_date(f.type)]
    return {name: [v for v in table[name].unique().to_pylist() if v is not None][:12] for name in kept if table[name].null_count < len(table)}


@pytest.mark.parametrize("name", TABLES)
def test_all_find_the_same_rows(hosts: Hosts, name: str) -> None:
    found = hosts.datasets[name]
    key = found.schema.names[0]
    values = _values(found.to_table())

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(conditions(found.schema, values))
    def agree(where: str) -> None:
        text = f'SELECT "{key}" FROM {name} WHERE {where}'
        wanted = sorted(row[0] for row in hosts.lakesql.execute(text).fetchall())
        assert sorted(row[0] for row in hosts.duckdb.execute(text).fetchall()) == wanted
        assert sorted(pa.Table.from_batches(hosts.datafusion.sql(text).collect(), pa.schema([found.schema.field(key)])).column(0).to_pylist()) == wanted
        lazy = polars.SQLContext({name: polars.scan_pyarrow_dataset(found)}).execute(text)
        assert sorted(lazy.collect()[key].to_list()) == wanted

    agree()
