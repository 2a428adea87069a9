"""Tables that pyiceberg writes, with the writer committing between two reads; and pyiceberg's own answers beside ours."""

from __future__ import annotations

import datetime as dt
import warnings
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import lakesql
from lakesql.table import Latest

from .reading import opened, read, scanned, version, where

pyiceberg = pytest.importorskip("pyiceberg")

pytestmark = pytest.mark.filterwarnings("ignore")  # pyiceberg's own


@pytest.fixture
def catalog(tmp_path: Path) -> Any:
    """A catalog of tables on disk."""
    from pyiceberg.catalog.sql import SqlCatalog

    made = SqlCatalog("test", uri=f"sqlite:///{tmp_path}/catalog.db", warehouse=f"file://{tmp_path}/warehouse")
    made.create_namespace("ns")
    yield made
    made.engine.dispose()


def location(table: Any) -> str:
    """The metadata file the catalog has for a table."""
    return str(table.metadata_location).removeprefix("file://")


def rows(count: int, start: int = 0) -> pa.Table:
    numbers = list(range(start, start + count))
    return pa.table(
        {
            "id": pa.array(numbers, pa.int64()),
            "city": pa.array([None if n % 7 == 0 else f"city {n % 5} with a long name é{n}" for n in numbers], pa.string()),
            "day": pa.array([dt.date(1969, 12, 25) + dt.timedelta(days=n % 20) for n in numbers], pa.date32()),
            "at": pa.array([dt.datetime(1970, 1, 1) + dt.timedelta(hours=n * 7 - 40) for n in numbers], pa.timestamp("us")),
            "price": pa.array([None if n % 9 == 0 else Decimal(n * 17 - 500) / 100 for n in numbers], pa.decimal128(9, 2)),
            "x": pa.array([float("nan") if n % 11 == 0 else n / 3 for n in numbers], pa.float64()),
            "flag": pa.array([n % 3 == 0 for n in numbers], pa.bool_()),
            "blob": pa.array([bytes([n % 256, 255]) for n in numbers], pa.binary()),
        }
    )


def partitioned(catalog: Any, name: str, **transforms: str) -> Any:
    """A table with these transforms, by column."""
    from pyiceberg.partitioning import PartitionField, PartitionSpec
    from pyiceberg.transforms import parse_transform

    schema = catalog._convert_schema_if_needed(rows(1).schema)
    from pyiceberg.schema import assign_fresh_schema_ids

    fresh = assign_fresh_schema_ids(schema)
    fields = [PartitionField(fresh.find_field(c).field_id, 1000 + n, parse_transform(t), f"{c}_{n}") for n, (c, t) in enumerate(transforms.items())]
    return catalog.create_table(f"ns.{name}", schema=fresh, partition_spec=PartitionSpec(*fields))


def test_commits_between_two_reads(catalog: Any) -> None:
    table = catalog.create_table("ns.t", schema=rows(1).schema)
    table.append(rows(10))
    first = location(table)
    with lakesql.connect(tables={"t": str(Path(first).parents[1])}) as connection:
        for total in (10, 15, 20):
            cursor = connection.cursor()
            cursor.execute("SELECT count(*), max(id) FROM t")
            assert cursor.fetchone() == (total, total - 1)
            table.append(rows(5, total))
    assert len(read(opened(first), ["id"])) == 10


TRANSFORMS: list[dict[str, str]] = [
    {"city": "identity"},
    {"day": "identity", "flag": "identity"},
    {"day": "month"},
    {"at": "day"},
    {"at": "hour"},
    {"at": "year", "id": "bucket[4]"},
    {"id": "truncate[10]"},
    {"city": "truncate[3]"},
    {"price": "truncate[50]"},
    {"blob": "truncate[1]"},
    {"city": "bucket[3]"},
    {"price": "bucket[3]"},
    {"day": "bucket[3]"},
    {"at": "bucket[3]"},
    {"blob": "bucket[3]"},
]


@pytest.mark.parametrize("transforms", TRANSFORMS, ids=str)
def test_transforms_as_pyiceberg_writes_them(catalog: Any, transforms: dict[str, str]) -> None:
    """No file that holds a matching row is left out, and most others are."""
    table = partitioned(catalog, "t", **transforms)
    table.append(rows(60))
    table.append(rows(60, 60))
    opened_ = opened(location(table))
    everything = rows(120)
    dropped = total = 0
    for column in transforms:
        for value in everything[column].unique().to_pylist()[::7]:
            for operator in ("=", "<", ">=", "<>"):
                if value is None and operator in ("<", ">="):
                    continue
                predicate = where(column, operator, value, everything.schema.field(column).type)
                files = scanned(opened_, predicate)
                dropped += files.report.total_files - files.report.kept_files
                total += files.report.total_files
                matching = _matching(everything, column, operator, value)
                got = {r[0] for r in read(opened_, ["id"], predicate)}
                assert matching <= got, (column, operator, value)
    assert dropped > 0
    assert total > 0


def _matching(table: pa.Table, column: str, operator: str, value: Any) -> set[int]:
    def holds(v: Any) -> bool:
        if value is None:
            return (v is None) == (operator == "=")
        if v is None:
            return False
        return bool({"=": v == value, "<": v < value, ">=": v >= value, "<>": v != value}[operator])

    return {n for n, v in zip(table["id"].to_pylist(), table[column].to_pylist(), strict=True) if holds(v)}


def test_evolution(catalog: Any) -> None:
    from pyiceberg.types import LongType, StringType

    table = catalog.create_table("ns.t", schema=pa.schema([("id", pa.int32()), ("name", pa.string())]))
    table.append(pa.table({"id": pa.array([1], pa.int32()), "name": ["a"]}))
    with table.update_schema() as update:
        update.update_column("id", field_type=LongType())
        update.rename_column("name", "title")
        update.add_column("more", StringType())
    with table.update_spec() as spec:
        spec.add_field("title", "truncate[2]", "t2")
    table.append(pa.table({"id": pa.array([2**40], pa.int64()), "title": ["bcd"], "more": ["x"]}))
    with table.update_schema() as update:
        update.delete_column("more")
    table.append(pa.table({"id": pa.array([3], pa.int64()), "title": [None]}, schema=pa.schema([("id", pa.int64()), ("title", pa.string())])))
    opened_ = opened(location(table))
    assert read(opened_, ["id", "title"]) == [(1, "a"), (3, None), (2**40, "bcd")]
    first = table.history()[0].snapshot_id
    assert read(opened_, ["id", "name"], at=version(first)) == [(1, "a")]
    assert len(scanned(opened_, where("title", "=", "zz")).files) == 0


def test_deletes_and_overwrites(catalog: Any) -> None:
    from pyiceberg.expressions import EqualTo, LessThan

    table = catalog.create_table("ns.t", schema=rows(1).schema)
    table.append(rows(30))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table.delete(LessThan("id", 5))
        table.overwrite(rows(3, 100), overwrite_filter=EqualTo("id", 10))
    ids = [r[0] for r in read(opened(location(table)), ["id"])]
    assert ids == [n for n in range(5, 30) if n != 10] + [100, 101, 102]
    snapshots = opened(location(table)).metadata("snapshots", Latest()).load()
    assert snapshots["snapshot_id"].to_pylist() == [s.snapshot_id for s in table.snapshots()]


def test_branches_and_tags(catalog: Any) -> None:
    table = catalog.create_table("ns.t", schema=rows(1).schema)
    table.append(rows(3))
    with table.manage_snapshots() as manage:
        manage.create_tag(table.current_snapshot().snapshot_id, "first")
        manage.create_branch(table.current_snapshot().snapshot_id, "side")
    table.append(rows(2, 3))
    table.append(rows(1, 50), branch="side")
    opened_ = opened(location(table))
    assert [len(read(opened_, ["id"], at=version(n))) for n in ("main", "first", "side")] == [5, 3, 4]


@pytest.mark.parametrize("name", ["files", "entries", "manifests", "partitions", "refs", "history"])
def test_metadata_tables_say_what_pyiceberg_says(catalog: Any, name: str) -> None:
    """Column by column, where both have the column."""
    table = partitioned(catalog, "t", day="month", flag="identity")
    table.append(rows(40))
    table.append(rows(10, 40))
    theirs = getattr(table.inspect, name)()
    ours = opened(location(table)).metadata(name, Latest()).load()
    shared = [
        c
        for c in theirs.column_names
        if c in ours.column_names
        and c
        not in (
            "readable_metrics",
            "data_file",
            "partition_summaries",
            "split_offsets",
            "lower_bounds",
            "upper_bounds",
            "value_counts",
            "column_sizes",
            "null_value_counts",
            "nan_value_counts",
        )
    ]
    assert len(shared) >= 3

    def plain(found: pa.Table) -> list[str]:
        return sorted(str([_plain(found[c][i].as_py()) for c in shared]) for i in range(found.num_rows))

    assert plain(ours) == plain(theirs)


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.replace(tzinfo=None).isoformat(timespec="milliseconds")
    if isinstance(value, dict):
        return [_plain(v) for v in value.values()]
    return value


def test_counts_and_extremes_by_sql(catalog: Any) -> None:
    table = partitioned(catalog, "t", day="identity")
    table.append(rows(100))
    with lakesql.connect(tables={"t": str(Path(location(table)).parents[1])}) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT day, count(*) FROM t GROUP BY day ORDER BY day LIMIT 2")
        assert cursor.fetchall() == [(dt.date(1969, 12, 25), 5), (dt.date(1969, 12, 26), 5)]
        cursor.execute("SELECT min(price), max(price), count(price), max(x) FROM t WHERE id < 50")
        least, most, count, greatest = cursor.fetchone()
        assert (least, most, count) == (Decimal("-4.83"), Decimal("3.33"), 44)
        assert greatest != greatest
