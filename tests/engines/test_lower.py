"""Every node of the relation algebra, run by DataFusion over small Parquet files."""

from __future__ import annotations

import math
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakesql.engines.datafusion.engine import DataFusionEngine
from lakesql.engines.datafusion.lower import UNION_LIMIT, as_views, engine_name
from lakesql.errors import DataFileError, MissingFileError
from lakesql.relation import (
    Batches,
    CastTo,
    Col,
    ColumnMatch,
    Counted,
    Files,
    Filter,
    FirstNonNull,
    Project,
    Relabel,
    Sum,
    Union,
    Value,
    WithoutPositions,
    with_default,
)

from .conftest import Runner

IDS = pa.schema([("id", pa.int64())])


def write(folder: Path, name: str, table: pa.Table, **options: object) -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, **options)
    return str(path)


def files(*paths: str) -> pa.Table:
    return pa.table(
        {"path": pa.array(paths, pa.string()), "size_bytes": pa.array([Path(p).stat().st_size if Path(p).exists() else 0 for p in paths], pa.int64())}
    )


def three(folder: Path) -> list[str]:
    return [write(folder, f"f{i}.parquet", pa.table({"id": pa.array(range(i * 10, i * 10 + 10), pa.int64())})) for i in range(3)]


def test_many_files_are_one_scan(tmp_path: Path, run: Runner, engine: DataFusionEngine) -> None:
    paths = three(tmp_path)
    assert run("SELECT count(*) AS n, sum(id) AS s FROM t", {"t": (IDS, Files(files(*paths), IDS))}).to_pylist() == [{"n": 30, "s": 435}]
    plan = engine.frame(Files(files(*paths), IDS)).execution_plan().display_indent()
    assert plan.count("DataSourceExec") == 1


@pytest.mark.parametrize("name", ["a b.parquet", "p%20q.parquet", "x=é&?#[1]*+:~.c000", '{q}|"^.parquet', "d=1/%2F.parquet"])
def test_any_file_name(tmp_path: Path, run: Runner, name: str) -> None:
    path = write(tmp_path, name, pa.table({"id": [1, 2]}))
    other = write(tmp_path, "plain.parquet", pa.table({"id": [3]}))
    schema = pa.schema([("id", pa.int64()), ("f", pa.string()), ("r", pa.int64())])
    relation = Files(files(path, other), IDS, file_path="f", row_index="r")
    assert sorted(run("SELECT * FROM t", {"t": (schema, relation)}).to_pylist(), key=lambda r: r["id"]) == [
        {"id": 1, "f": path, "r": 0},
        {"id": 2, "f": path, "r": 1},
        {"id": 3, "f": other, "r": 0},
    ]
    assert engine_name(path) == path[1:]


@pytest.mark.parametrize("groups", [1, 2, UNION_LIMIT, UNION_LIMIT + 1])
def test_constants_of_files(tmp_path: Path, run: Runner, groups: int) -> None:
    """As literals where few files differ, by a join where many do: the same rows."""
    count = UNION_LIMIT + 3
    paths = [write(tmp_path, f"f{i}.parquet", pa.table({"id": [i, i]})) for i in range(count)]
    day = pa.array([None if i % groups == 0 else f"d{i % groups}" for i in range(count)], pa.string())
    price = pa.array([None if i % groups == 0 else Decimal(i % groups) for i in range(count)], pa.decimal128(5, 2))
    relation = Files(files(*paths), IDS, constants=pa.table({"day": day, "price": price}))
    schema = pa.schema([*IDS, ("day", pa.string()), ("price", pa.decimal128(5, 2))])
    got = run("SELECT DISTINCT id, day, price FROM t ORDER BY id", {"t": (schema, relation)})
    assert got.column("day").to_pylist() == day.to_pylist()
    assert got.column("price").to_pylist() == price.to_pylist()
    assert run("SELECT count(*) AS n FROM t WHERE day IS NULL", {"t": (schema, relation)}).to_pylist() == [
        {"n": 2 * sum(i % groups == 0 for i in range(count))}
    ]


def test_missing_columns_are_null_and_narrow_ones_widen(tmp_path: Path, run: Runner) -> None:
    old = write(tmp_path, "old.parquet", pa.table({"id": pa.array([1], pa.int8()), "s": [{"a": 1}]}))
    new = write(tmp_path, "new.parquet", pa.table({"id": pa.array([2], pa.int64()), "s": [{"a": 2, "b": "x"}], "z": [1.5]}))
    schema = pa.schema([("id", pa.int64()), ("s", pa.struct([("a", pa.int64()), ("b", pa.string())])), ("z", pa.float64())])
    got = run("SELECT * FROM t ORDER BY id", {"t": (schema, Files(files(old, new), schema))})
    assert got.to_pylist() == [{"id": 1, "s": {"a": 1, "b": None}, "z": None}, {"id": 2, "s": {"a": 2, "b": "x"}, "z": 1.5}]


def test_a_file_that_is_gone(tmp_path: Path, run: Runner) -> None:
    paths = three(tmp_path)
    Path(paths[1]).unlink()
    with pytest.raises(MissingFileError) as caught:
        run("SELECT * FROM t", {"t": (IDS, Files(files(*paths), IDS))})
    assert caught.value.path == paths[1]


@pytest.mark.parametrize("damage", ["empty", "cut", "text"])
def test_a_damaged_file(tmp_path: Path, run: Runner, damage: str) -> None:
    path = three(tmp_path)[0]
    whole = Path(path).read_bytes()
    Path(path).write_bytes({"empty": b"", "cut": whole[: len(whole) // 2], "text": b"not parquet at all, not at all"}[damage])
    with pytest.raises(DataFileError):
        run("SELECT * FROM t", {"t": (IDS, Files(files(path), IDS))})


# Columns found by id ---------------------------------------------------------------------------------------------------------------------------------


def with_id(name: str, type_: pa.DataType, id_: int) -> pa.Field:
    return pa.field(name, type_, metadata={"PARQUET:field_id": str(id_)})


def test_columns_are_found_by_id_at_every_depth(tmp_path: Path, run: Runner) -> None:
    held = pa.schema(
        [
            with_id("old_name", pa.int32(), 1),
            with_id("s", pa.struct([with_id("x", pa.int32(), 3), with_id("y", pa.string(), 4)]), 2),
            with_id("l", pa.list_(with_id("element", pa.struct([with_id("k", pa.int64(), 7)]), 6)), 5),
        ]
    )
    first = write(tmp_path, "first.parquet", pa.Table.from_pylist([{"old_name": 1, "s": {"x": 5, "y": "a"}, "l": [{"k": 9}]}], schema=held))
    renamed = pa.schema([with_id("name", pa.int64(), 1)])
    second = write(tmp_path, "second.parquet", pa.Table.from_pylist([{"name": 2}], schema=renamed))
    wanted = pa.schema(
        [
            with_id("name", pa.int64(), 1),
            with_id("s", pa.struct([with_id("Y", pa.string(), 4), with_id("x", pa.int64(), 30)]), 2),
            with_id("l", pa.list_(with_id("element", pa.struct([with_id("key", pa.int64(), 7)]), 6)), 5),
            with_id("old_name", pa.int32(), 99),
        ]
    )
    plain = pa.schema(
        [
            ("name", pa.int64()),
            ("s", pa.struct([("Y", pa.string()), ("x", pa.int64())])),
            ("l", pa.list_(pa.struct([("key", pa.int64())]))),
            ("old_name", pa.int32()),
        ]
    )
    got = run("SELECT * FROM t ORDER BY name", {"t": (plain, Files(files(first, second), wanted, match=ColumnMatch.BY_ID))})
    assert got.to_pylist() == [
        {"name": 1, "s": {"Y": "a", "x": None}, "l": [{"key": 9}], "old_name": None},
        {"name": 2, "s": None, "l": None, "old_name": None},
    ]


def test_files_without_ids(tmp_path: Path, run: Runner) -> None:
    path = write(tmp_path, "f.parquet", pa.table({"id": [1]}))
    wanted = pa.schema([with_id("id", pa.int64(), 1)])
    with pytest.raises(DataFileError, match="no field ids"):
        run("SELECT * FROM t", {"t": (IDS, Files(files(path), wanted, match=ColumnMatch.BY_ID))})
    assert run("SELECT * FROM t", {"t": (IDS, Files(files(path), wanted, match=ColumnMatch.BY_ID, fallback_by_name=True))}).to_pylist() == [{"id": 1}]


def test_a_column_without_an_id_among_columns_with_ids(tmp_path: Path, run: Runner) -> None:
    """Row ids that a writer put down have a name alone."""
    held = pa.schema([with_id("old", pa.int64(), 1), pa.field("_row-id", pa.int64())])
    path = write(tmp_path, "f.parquet", pa.table({"old": [5], "_row-id": [77]}, schema=held))
    wanted = pa.schema([with_id("id", pa.int64(), 1), pa.field("_row-id", pa.int64())])
    plain = pa.schema([("id", pa.int64()), ("_row-id", pa.int64())])
    assert run("SELECT * FROM t", {"t": (plain, Files(files(path), wanted, match=ColumnMatch.BY_ID))}).to_pylist() == [{"id": 5, "_row-id": 77}]


# Deletes ---------------------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 3])
def test_positions_are_dropped_before_any_filter(tmp_path: Path, run: Runner, count: int) -> None:
    paths = [write(tmp_path, f"f{i}.parquet", pa.table({"id": pa.array(range(100))}), row_group_size=10) for i in range(count)]
    deletes = pa.table({"path": [p for p in paths for _ in range(3)], "position": pa.array([0, 55, 99] * count, pa.int64())})
    node = WithoutPositions(Files(files(*paths), IDS, file_path="f", row_index="r"), Batches.of(deletes), "f", "r")
    relation = Project(node, ("id",), (Col("id"),))
    assert run("SELECT count(*) AS n, min(id) AS lo, max(id) AS hi FROM t", {"t": (IDS, relation)}).to_pylist() == [{"n": 97 * count, "lo": 1, "hi": 98}]
    assert run("SELECT id FROM t WHERE id BETWEEN 54 AND 56 ORDER BY id", {"t": (IDS, relation)}).column("id").to_pylist() == sorted([54, 56] * count)


def test_deletes_from_files(tmp_path: Path, run: Runner) -> None:
    paths = three(tmp_path)
    deletes = pa.table({"path": [paths[2]], "position": pa.array([4], pa.int64())})
    deletes_schema = pa.schema([("path", pa.string()), ("position", pa.int64())])
    delete_file = write(tmp_path, "deletes.parquet", deletes)
    node = WithoutPositions(Files(files(*paths), IDS, file_path="f", row_index="r"), Files(files(delete_file), deletes_schema), "f", "r")
    assert run("SELECT sum(id) AS s FROM t", {"t": (IDS, Project(node, ("id",), (Col("id"),)))}).to_pylist() == [{"s": 435 - 24}]


# Expressions and operators -----------------------------------------------------------------------------------------------------------------------------


def test_expressions(run: Runner) -> None:
    held = pa.table({"A.b": [1, None], "s": [{"x": 1}, None], 'q"': pa.array([5, 6], pa.int32())})
    wanted_struct = pa.struct([("renamed", pa.int64())])
    relation = Project(
        Batches.of(held),
        ("a", "S", "c", "d", "n"),
        (
            FirstNonNull((Col("A.b"), Value(pa.scalar(7, pa.int64())))),
            Relabel(Col("s"), wanted_struct),
            CastTo(Col('q"'), pa.int64()),
            Sum(CastTo(Col('q"'), pa.int64()), Value(pa.scalar(10, pa.int64()))),
            Value(pa.scalar(None, pa.decimal128(4, 1))),
        ),
    )
    schema = pa.schema([("a", pa.int64()), ("S", wanted_struct), ("c", pa.int64()), ("d", pa.int64()), ("n", pa.decimal128(4, 1))])
    got = run("SELECT * FROM t ORDER BY c", {"t": (schema, relation)})
    assert got.to_pylist() == [{"a": 1, "S": {"renamed": 1}, "c": 5, "d": 15, "n": None}, {"a": 7, "S": None, "c": 6, "d": 16, "n": None}]
    assert got.schema == schema


def test_union_and_filter(run: Runner) -> None:
    left, right = pa.table({"id": [1, 2], "ok": [True, False]}), pa.table({"id": [2, 3], "ok": [True, None]})
    relation = Filter(Union((Batches.of(left), Batches.of(right))), "ok")
    assert run("SELECT id FROM t ORDER BY id", {"t": (left.schema, relation)}).column("id").to_pylist() == [1, 2]


@pytest.mark.parametrize("groups", [0, 1, UNION_LIMIT, UNION_LIMIT + 5])
def test_counted(run: Runner, groups: int) -> None:
    schema = pa.schema([("day", pa.int32()), ("unread", pa.string())])
    counts = [0 if i == 1 else 10_000 + i for i in range(groups)]
    relation = Counted(schema, pa.table({"day": pa.array(range(groups), pa.int32())}), pa.array(counts, pa.int64()))
    assert run("SELECT count(*) AS n FROM t", {"t": (schema, relation)}).to_pylist() == [{"n": sum(counts)}]
    got = run("SELECT day, count(*) AS n FROM t WHERE day <> 2 GROUP BY day ORDER BY day", {"t": (schema, relation)})
    assert got.to_pylist() == [{"day": i, "n": n} for i, n in enumerate(counts) if n and i != 2]


# NaN -----------------------------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("SELECT d FROM t WHERE f = 1.0", [2]),
        ("SELECT d FROM t WHERE f > 5", [1, 4]),
        ("SELECT d FROM t WHERE f <> 1.0 ORDER BY d", [1, 3, 4]),
        ("SELECT d FROM t ORDER BY f DESC, d LIMIT 2", [1, 4]),
    ],
)
def test_nan_is_in_no_statistic(tmp_path: Path, run: Runner, sql: str, rows: list[int]) -> None:
    """DataFusion reads a file whose least and greatest value are equal as that constant, and drops row groups by statistics that leave NaN out."""
    first = write(tmp_path, "first.parquet", pa.table({"f": [math.copysign(math.nan, -1.0), 1.0], "d": [1, 2]}))
    second = write(tmp_path, "second.parquet", pa.table({"f": [0.5, math.nan], "d": [3, 4]}))
    schema = pa.schema([("f", pa.float64()), ("d", pa.int64())])
    got = run(sql, {"t": (schema, Files(files(first, second), schema))})
    assert sorted(got.column("d").to_pylist()) == rows
    top = run("SELECT max(f) AS m FROM t", {"t": (schema, Files(files(first, second), schema))}).column("m")[0].as_py()
    assert math.isnan(top)


@pytest.mark.parametrize(
    ("sql", "rows", "helped"),
    [
        ("SELECT d FROM t ORDER BY n DESC NULLS LAST, d LIMIT 3", [5, 6, 4], True),
        ("SELECT d FROM t ORDER BY n DESC, d LIMIT 3", [2, 5, 6], True),
        ("SELECT d FROM t WHERE d <> 5 ORDER BY n, d LIMIT 2 OFFSET 1", [3, 4], True),
        ("SELECT d FROM t ORDER BY n, d", [1, 3, 4, 5, 6, 2], False),
        ("SELECT d FROM t ORDER BY f DESC, d LIMIT 2", [1, 4], False),
    ],
)
def test_the_first_rows_of_an_order(tmp_path: Path, run: Runner, engine: DataFusionEngine, sql: str, rows: list[int], helped: bool) -> None:
    """Statistics say which files to begin with; files of one value, and of one value and nulls, are no less read."""
    nan = math.nan
    parts = [
        pa.table({"n": [1, None], "d": [1, 2], "f": [nan, 1.0]}),
        pa.table({"n": [1, 2], "d": [3, 4], "f": [0.5, nan]}),
        pa.table({"n": [7, 7], "d": [5, 6], "f": [0.5, 0.5]}),
    ]
    paths = [write(tmp_path, f"{k}.parquet", part) for k, part in enumerate(parts)]
    schema = pa.schema([("n", pa.int64()), ("d", pa.int64()), ("f", pa.float64())])
    assert engine.bind(sql, {"t": schema}, {}).hints.statistics_help is helped
    assert run(sql, {"t": (schema, Files(files(*paths), schema))}).column("d").to_pylist() == rows


def test_views_are_only_for_the_engine(tmp_path: Path, run: Runner) -> None:
    schema = pa.schema([("s", pa.string()), ("b", pa.binary()), ("l", pa.list_(pa.string()))])
    path = write(tmp_path, "f.parquet", pa.table({"s": ["x"], "b": [b"y"], "l": [["z"]]}, schema=schema))
    assert as_views(schema).types[:2] == [pa.string_view(), pa.binary_view()]
    assert run("SELECT * FROM t", {"t": (schema, Files(files(path), schema))}).schema == schema


def test_a_struct_field_through_a_union_with_deletes(tmp_path: Path, run: Runner) -> None:
    """The rule that pushes a struct's field towards the files trips over this plan; the statement must not."""
    held = pa.table({"col-1": [1, 2], "col-2": [{"o": "x"}, {"o": "y"}]})
    paths = [write(tmp_path, f"f{i}.parquet", held) for i in range(3)]
    physical = pa.schema([("col-1", pa.int64()), ("col-2", pa.struct([("o", pa.string())]))])
    logical = pa.struct([("os", pa.string())])
    days = pa.table({"day": pa.array([1, 2], pa.int32())})
    deletes = Batches.of(pa.table({"path": [paths[2]], "position": pa.array([0], pa.int64())}))
    marked = WithoutPositions(Files(files(*paths[1:]), physical, constants=days, file_path="f", row_index="r"), deletes, "f", "r")
    clean = Files(files(paths[0]), physical, constants=days.slice(0, 1))
    renamed = (Col("day"), Col("col-1"), Relabel(Col("col-2"), logical))
    relation = Union(tuple(Project(i, ("day", "id", "device"), renamed) for i in (clean, marked)))
    schema = pa.schema([("day", pa.int32()), ("id", pa.int64()), ("device", logical)])
    got = run("SELECT device['os'] AS os, count(*) AS n FROM t WHERE day >= 1 GROUP BY device['os'] ORDER BY os", {"t": (schema, relation)})
    assert got.to_pylist() == [{"os": "x", "n": 2}, {"os": "y", "n": 3}]
    assert [r["id"] for r in run("SELECT id FROM t WHERE device['os'] = 'y'", {"t": (schema, relation)}).to_pylist()] == [2, 2, 2]


@pytest.mark.parametrize("deletes", [False, True])
def test_a_struct_field_beside_a_column_that_hides_its_own_input(tmp_path: Path, run: Runner, deletes: bool) -> None:
    """DataFusion's rules that move field access down give the hidden column instead, so they are off where a statement reaches into structs."""
    schema = pa.schema([("a", pa.int64()), ("s", pa.struct([("b", pa.int64())]))])
    path = write(tmp_path, "f.parquet", pa.table({"a": [1, 2, 3], "s": [{"b": 10}, {"b": 20}, {"b": 30}]}))
    gone = Batches.of(pa.table({"path": [path], "position": pa.array([2], pa.int64())}))
    marked = WithoutPositions(Files(files(path), schema, file_path="f", row_index="r"), gone, "f", "r")
    relation = Project(marked, ("a", "s"), (Col("a"), Col("s"))) if deletes else Files(files(path), schema)
    got = run("SELECT a, s['b'] AS f FROM (SELECT -a AS a, s FROM t) WHERE a < -1", {"t": (schema, relation)})
    assert got.to_pylist() == [{"a": -2, "f": 20}, *([] if deletes else [{"a": -3, "f": 30}])]


@pytest.mark.parametrize("run", ["datafusion"], indirect=True)  # what counts rows without having them
def test_more_rows_than_memory_has_bits(run: Runner) -> None:
    schema = pa.schema([("day", pa.int32())])
    relation = Counted(schema, pa.table({"day": pa.array([1, 2], pa.int32())}), pa.array([950_000_000_000, 7], pa.int64()))
    assert run("SELECT count(*) AS n, max(day) AS d FROM t", {"t": (schema, relation)}).to_pylist() == [{"n": 950_000_000_007, "d": 2}]


@pytest.mark.parametrize("unit", ["us", "ns"])
def test_int96_in_the_unit_that_is_asked_for(tmp_path: Path, run: Runner, unit: str) -> None:
    written = pa.array([1_767_225_600_000_000_001, None], pa.timestamp("ns"))
    path = write(tmp_path, "f.parquet", pa.table({"ts": written}), use_deprecated_int96_timestamps=True)
    schema = pa.schema([("ts", pa.timestamp(unit))])
    got = run("SELECT * FROM t WHERE ts IS NOT NULL", {"t": (schema, Files(files(path), schema))}).column("ts")
    assert [v.value for v in got] == [1_767_225_600_000_000 if unit == "us" else 1_767_225_600_000_000_001]


def test_structs_of_which_a_file_holds_nothing_or_less(tmp_path: Path, run: Runner) -> None:
    """Fields added inside structs, with and without defaults, also where the file has none of the struct's fields."""
    inner = pa.struct([with_id("x", pa.string(), 4)])
    held = pa.schema([with_id("id", pa.int64(), 1), with_id("s", pa.struct([with_id("n", inner, 3)]), 2)])
    path = write(
        tmp_path, "f.parquet", pa.Table.from_pylist([{"id": 1, "s": {"n": {"x": "a"}}}, {"id": 2, "s": {"n": None}}, {"id": 3, "s": None}], schema=held)
    )
    seven = with_default(with_id("d", pa.int32(), 6), pa.scalar(7, pa.int32()))
    wanted = pa.schema(
        [
            with_id("id", pa.int64(), 1),
            with_id("s", pa.struct([with_id("b", pa.int32(), 9), with_id("n", pa.struct([with_id("y", pa.bool_(), 5), seven]), 3)]), 2),
        ]
    )
    plain = pa.schema([("id", pa.int64()), ("s", pa.struct([("b", pa.int32()), ("n", pa.struct([("y", pa.bool_()), ("d", pa.int32())]))]))])
    got = run("SELECT * FROM t ORDER BY id", {"t": (plain, Files(files(path), wanted, match=ColumnMatch.BY_ID))})
    assert got.column("s").to_pylist() == [{"b": None, "n": {"y": None, "d": 7}}, {"b": None, "n": None}, None]


def test_a_required_field_of_a_struct_that_is_null(tmp_path: Path, run: Runner) -> None:
    """DataFusion takes the field from under the struct without the struct's nulls."""
    required = pa.field("a", pa.int64(), nullable=False)
    structs = pa.StructArray.from_arrays([pa.array([1, 0, 3])], fields=[required], mask=pa.array([False, True, False]))
    lists = pa.ListArray.from_arrays(pa.array([0, 2, 2, 3], pa.int32()), structs)
    path = write(tmp_path, "f.parquet", pa.table({"id": [1, 2, 3], "s": structs, "l": lists}))
    schema = pa.schema([("id", pa.int64()), ("s", pa.struct([("a", pa.int64())])), ("l", pa.list_(pa.struct([("a", pa.int64())])))])
    tables = {"t": (schema, Files(files(path), schema))}
    assert run("SELECT id, s['a'] AS a FROM t ORDER BY id", tables).column("a").to_pylist() == [1, None, 3]
    assert run("SELECT id FROM t WHERE s['a'] IS NULL", tables).column("id").to_pylist() == [2]
    assert run("SELECT e['a'] AS a FROM (SELECT id, unnest(l) AS e FROM t) WHERE id = 1", tables).column("a").to_pylist() == [1, None]
    assert run("SELECT count(*) AS n FROM t WHERE s IS NULL", tables).column("n").to_pylist() == [1]
