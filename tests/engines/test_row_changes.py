"""RowChanges and AtPositions as the engine runs them: which rows cancel, which are left, which are told as updates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakesql.relation import AtPositions, Batches, Files, RowChanges

from .conftest import Runner

Row = tuple[Any, ...]


def changes(run: Runner, type_: pa.DataType, rows: list[Row], **options: Any) -> list[Row]:
    """What (change, commit, id, value) rows amount to, as text, sorted."""
    table = pa.table(
        {
            "id": pa.array([r[2] for r in rows], pa.int64()),
            "x": pa.array([r[3] for r in rows], type_),
            "change": [r[0] for r in rows],
            "commit": pa.array([r[1] for r in rows], pa.int64()),
        }
    )
    within = options.pop("within", ("commit",))
    node = RowChanges(Batches.of(table), ("id", "x"), "change", within, () if within else ("commit",), **options)
    schema = pa.schema([table.schema.field(n) for n in ("id", "x", "change", "commit")])
    found = run("SELECT * FROM t", {"t": (schema, node)})
    assert found.column_names == ["id", "x", "change", "commit"]
    return sorted(zip(found["change"].to_pylist(), found["commit"].to_pylist(), found["id"].to_pylist(), map(repr, found["x"].to_pylist()), strict=True))


@pytest.mark.parametrize(
    ("type_", "value", "other"),
    [
        (pa.int64(), 1, None),
        (pa.float64(), float("nan"), 1.0),
        (pa.float64(), 0.0, -0.0),
        (pa.float32(), -0.0, 0.0),
        (pa.string(), "", None),
        (pa.binary(), b"", None),
        (pa.decimal128(10, 2), None, 1),
        (pa.timestamp("us", "UTC"), 5, None),
        (pa.struct([("a", pa.float64())]), {"a": 0.0}, {"a": -0.0}),
        (pa.struct([("a", pa.int64())]), {"a": None}, None),
        (pa.list_(pa.int64()), [], None),
        (pa.list_(pa.struct([("a", pa.string())])), [{"a": None}], [None]),
        (pa.map_(pa.string(), pa.int64()), [("a", 1)], []),
        (pa.null(), None, None),
    ],
)
def test_equal_rows_cancel(run: Runner, type_: pa.DataType, value: Any, other: Any) -> None:
    rows = [("delete", 1, 1, value), ("insert", 1, 1, value), ("insert", 1, 2, other), ("delete", 1, 3, value), ("insert", 2, 3, value)]
    shown = {id_: repr(pa.array([v], type_)[0].as_py()) for id_, v in ((2, other), (3, value))}
    assert changes(run, type_, rows) == [("delete", 1, 3, shown[3]), ("insert", 1, 2, shown[2]), ("insert", 2, 3, shown[3])]
    if type_ != pa.null():
        before_and_after = [("delete", 1, 1, value), ("insert", 1, 1, other)]
        assert [r[0] for r in changes(run, type_, before_and_after)] == ["delete", "insert"]
        assert [r[0] for r in changes(run, type_, before_and_after, key=("id",))] == ["update_postimage", "update_preimage"]


def test_rows_cancel_one_for_one(run: Runner) -> None:
    rows = [("delete", 1, 1, 5)] * 5 + [("insert", 1, 1, 5)] * 2
    assert changes(run, pa.int64(), rows) == [("delete", 1, 1, "5")] * 3
    assert changes(run, pa.int64(), rows, key=("id",)) == [("delete", 1, 1, "5")] * 3


def test_rows_of_several_commits_meet_where_the_range_is_one(run: Runner) -> None:
    rows = [("insert", 1, 1, 5), ("delete", 2, 1, 5), ("insert", 3, 1, 6), ("insert", 4, 2, 7), ("insert", 5, 2, 7)]
    assert changes(run, pa.int64(), rows, within=()) == [("insert", 3, 1, "6"), ("insert", 5, 2, "7"), ("insert", 5, 2, "7")]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([("delete", 1, 1, 5), ("insert", 1, 1, 6)], ["update_postimage", "update_preimage"]),
        ([("delete", 1, 1, 5), ("insert", 2, 1, 6)], ["delete", "insert"]),
        ([("delete", 1, 1, 5), ("insert", 1, 1, 6), ("insert", 1, 1, 7)], ["delete", "insert", "insert"]),
        ([("delete", 1, 1, 5), ("insert", 1, 1, 5), ("insert", 1, 1, 7)], ["insert"]),
        ([("delete", 1, None, 5), ("insert", 1, None, 6)], ["delete", "insert"]),
    ],
)
def test_pairs(run: Runner, rows: list[Row], words: list[str]) -> None:
    assert [r[0] for r in changes(run, pa.int64(), rows, key=("id",))] == words


def test_names_stand_for_themselves(run: Runner) -> None:
    table = pa.table({'a"{b}': [1, 1, 2], "Change {": ["delete", "insert", "insert"], "f{}": [0.0, 0.0, -0.0]})
    node = RowChanges(Batches.of(table), ('a"{b}', "f{}"), "Change {", key=('a"{b}',))
    schema = pa.schema([table.schema.field(n) for n in ('a"{b}', "f{}", "Change {")])
    assert run("SELECT * FROM t", {"t": (schema, node)}).to_pylist() == [{'a"{b}': 2, "f{}": -0.0, "Change {": "insert"}]


def test_rows_at_positions(run: Runner, tmp_path: Path) -> None:
    paths = [str(tmp_path / f"{n} a.parquet") for n in range(2)]
    for n, path in enumerate(paths):
        pq.write_table(pa.table({"id": range(n * 10, n * 10 + 10)}), path, row_group_size=3)
    files = Files(
        pa.table({"path": paths, "size_bytes": pa.array([None, None], pa.int64())}),
        pa.schema([("id", pa.int64())]),
        constants=pa.table({"part": ["x", "y"]}),
        file_path="path of file",
        row_index="index",
    )
    positions = pa.table({"path": [paths[0], paths[1], paths[0]], "position": [0, 9, 4], "told": ["a", "b", "c"]})
    node = AtPositions(files, Batches.of(positions), "path of file", "index")
    schema = pa.schema([("id", pa.int64()), ("part", pa.string()), ("path of file", pa.string()), ("index", pa.int64()), ("told", pa.string())])
    found = run("SELECT id, part, told FROM t ORDER BY id", {"t": (schema, node)}).to_pylist()
    assert [tuple(r.values()) for r in found] == [(0, "x", "a"), (4, "x", "c"), (19, "y", "b")]
    assert run("SELECT id FROM t WHERE id > 3 AND told = 'c'", {"t": (schema, node)}).to_pylist() == [{"id": 4}]
