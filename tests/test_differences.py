"""DIFF: what is read and what is not, keys and pairs, columns that changed or differ, two tables, numbers, and what is refused."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import deltalake
import pyarrow as pa
import pytest
from formats.iceberg.table_maker import TableMaker
from formats.paimon.random_tables import World
from properties.histories import SCHEMA, _hide, _replace

import lakesql
from lakesql import errors
from lakesql.matching import common_type


def rows(*ids: int) -> pa.Table:
    """A row for each id."""
    return pa.Table.from_pylist([{"id": i, "v": float(i), "p": "a"} for i in ids], schema=SCHEMA)


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Any]:
    """`t`, a Delta table: version 0 has ids 0 to 2 in one file, 1 adds 3, 4, 4 and 5 in another, 2 hides 1 by a deletion vector, 3 changes one of the
    rows with 4 and moves the other; `u`, an Iceberg table with ids 2 to 6 as int, and one more column.
    """
    place = tmp_path / "t"
    deltalake.write_deltalake(place, rows(0, 1, 2))
    deltalake.write_deltalake(place, rows(3, 4, 4, 5), mode="append")
    _hide(place, 1)
    _replace(place, 4)
    maker = TableMaker(tmp_path / "u", [("id", "int"), ("v", "double"), ("w", "string")])
    maker.commit([maker.data_file({"id": [2, 3, 4, 4, 5, 6], "v": [2.0, 3.0, 4.0, 9.75, 5.0, 6.0], "w": [None, None, None, None, None, "x"]})])
    maker.write()
    with lakesql.connect(tables={"t": str(place), "u": str(tmp_path / "u")}) as connection:
        yield connection


def answer(lake: Any, text: str) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = sorted(lake.execute(text).fetchall(), key=repr)
    return found


def test_files_that_both_states_have_are_not_read(lake: Any) -> None:
    for a, b, wanted, kept in (
        (0, 1, [(3, "insert"), (4, "insert"), (4, "insert"), (5, "insert")], 1),
        (1, 0, [(3, "delete"), (4, "delete"), (4, "delete"), (5, "delete")], 1),
        (1, 2, [(1, "delete")], 2),
        (2, 1, [(1, "insert")], 2),
        (2, 3, [(4, "delete"), (4, "insert")], 3),
        (2, 2, [], 0),
    ):
        cursor = lake.execute(f"SELECT id, _change_type FROM DIFF(t, {a}, {b})")
        assert sorted(cursor.fetchall()) == wanted, (a, b)
        assert cursor.scan_stats.files_kept == kept, (a, b)
        assert cursor.snapshots[0].version == f"{a} to {b}"


def test_columns_are_the_tables_and_the_change_type(lake: Any) -> None:
    assert lake.execute("DIFF t VERSION 0, VERSION 1").fetch_arrow_table().column_names == [*SCHEMA.names, "_change_type"]


def test_keys_pair_rows(lake: Any) -> None:
    images = [(4, 4.0, "update_preimage"), (4, 9.75, "update_postimage")]
    for text in ("DIFF(t, 2, 3, key => id)", "DIFF(t, 2, 3, key => (id))", "DIFF(t, 2, 3 ON (Id))", "DIFF(t VERSION 2, t VERSION 3 ON (id))"):
        assert answer(lake, f"SELECT id, v, _change_type FROM {text}") == images, text
    cursor = lake.execute("DIFF t VERSION 2, VERSION 3 ON (id) WHERE v > 100")
    assert (cursor.fetchall(), cursor.scan_stats.files_kept) == ([], 3)
    cursor = lake.execute("DIFF t VERSION 2, VERSION 3 ON (id) WHERE id > 100")
    assert (cursor.fetchall(), cursor.scan_stats.files_kept) == ([], 1)  # the file that was made by hand has no statistics
    with pytest.raises(errors.UnknownColumnError, match='no column "x" to be a key'):
        lake.execute("DIFF t VERSION 2, VERSION 3 ON (x)")
    with pytest.raises(errors.SqlError, match="nothing tells which rows"):
        lake.execute("DIFF t VERSION 2, VERSION 3 WITH (updates = true)")
    with pytest.raises(errors.SqlError, match="updates = false asks for none"):
        lake.execute("DIFF t VERSION 2, VERSION 3 ON (id) WITH (updates = false)")


def test_of_two_tables_columns_are_matched_by_name(lake: Any) -> None:
    cursor = lake.execute("SELECT * FROM DIFF(t, u) ORDER BY id, _change_type")
    assert cursor.fetchall() == [
        (0, 0.0, None, "delete"),
        (6, 6.0, "x", "insert"),
    ]
    assert cursor.description[0][0] == "id"
    assert cursor.snapshots[0].version.startswith("3 to u ")
    assert any("left out: p, s, l" in n for n in cursor.notices)
    assert answer(lake, "SELECT id, _change_type FROM DIFF(u, t, 0) WHERE id < 4") == [
        *((0, "insert"), (1, "insert"), (2, "delete"), (2, "insert"), (3, "delete"))  # `u` has no column p
    ]
    assert lake.execute("SELECT id FROM DIFF(u, t, 0) LIMIT 0").fetch_arrow_table().schema.field("id").type == pa.int64()


def test_columns_without_a_common_type_are_refused_by_name(lake: Any, tmp_path: Path) -> None:
    maker = TableMaker(tmp_path / "s", [("id", "string")])
    maker.commit([maker.data_file({"id": ["1"]})])
    maker.write()
    with pytest.raises(errors.UnsupportedFeatureError, match='column "id" is int64 in t and string in '):
        lake.execute(f"DIFF t, '{tmp_path / 's'}'")
    assert ("column", "id", None, None, None, None, "BIGINT to VARCHAR") in answer(lake, f"DIFF STAT t, '{tmp_path / 's'}'")


def test_columns_of_one_iceberg_table_are_followed_by_identity(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path / "t", [("id", "int"), ("old", "string")])
    first = maker.commit([maker.data_file({"id": [1, 2], "old": ["a", "b"]})])
    renamed = {**maker.schemas[-1]["fields"][1], "name": "new"}
    maker.evolve([("id", "long"), renamed, ("more", "int")])
    second = maker.commit([maker.data_file({"id": [2**40], "new": ["c"], "more": [7]})])
    maker.write()
    with lakesql.connect(tables={"t": str(tmp_path / "t")}) as lake:
        assert answer(lake, f"DIFF t VERSION {first}, VERSION {second}") == [(2**40, "c", 7, "insert")]
        assert answer(lake, f"DIFF t VERSION {second}, VERSION {first}") == [(2**40, "c", "delete")]
        told = {row[1]: row[6] for row in answer(lake, f"DIFF t VERSION {first}, VERSION {second} STAT") if row[0] == "column"}
        assert told == {"id": "INT to BIGINT", "new": "renamed from old", "more": "added INT"}


def test_rows_with_ids(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path / "t", [("id", "long"), ("v", "string")], version=3)
    first = maker.commit([maker.data_file({"id": [1, 2, 3], "v": ["a", "b", "b"]})])
    fields = [*maker.arrow(), pa.field("_row_id", pa.int64(), metadata={"PARQUET:field_id": "2147483540"})]
    kept = pa.table([[1, 2, 3], ["x", "b", "c"], [0, 1, 2]], schema=pa.schema(fields))
    second = maker.commit([maker.data_file(kept)], keep=False, operation="overwrite")
    third = maker.commit([maker.data_file({"id": [1, 2, 3], "v": ["x", "b", "c"]})], keep=False, operation="overwrite")
    maker.write()
    with lakesql.connect(tables={"t": str(tmp_path / "t")}) as lake:
        images = [(1, "a", "update_preimage"), (1, "x", "update_postimage"), (3, "b", "update_preimage"), (3, "c", "update_postimage")]
        assert answer(lake, f"DIFF t VERSION {first}, VERSION {second}") == images
        assert answer(lake, f"DIFF t VERSION {second}, VERSION {third}") == []  # all rows were written anew, with ids of their own
        assert len(answer(lake, f"DIFF t VERSION {first}, VERSION {third}")) == 4
        words = {row[2] for row in answer(lake, f"DIFF t VERSION {first}, VERSION {second} WITH (updates = false)")}
        assert words == {"delete", "insert"}
        cursor = lake.execute(f"DIFF t VERSION {first}, VERSION {second} WHERE v = 'c'")
        assert cursor.fetchall() == [(3, "c", "update_postimage")]


def test_branches_share_files(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path / "t", [("id", "long")])
    fork = maker.commit([maker.data_file({"id": [1]})])
    maker.commit([maker.data_file({"id": [2]})])
    maker.refs["side"] = {"type": "branch", "snapshot-id": fork}
    maker.write()
    with lakesql.connect(tables={"t": str(tmp_path / "t")}) as lake:
        for text in ("t.branch_side, t", "t VERSION 'side', t", "t VERSION side, VERSION 'main'"):
            cursor = lake.execute(f"DIFF {text}")
            assert (cursor.fetchall(), cursor.scan_stats.files_kept) == ([(2, "insert")], 1), text


def test_branches_of_paimon_share_files(tmp_path: Path) -> None:
    world = World(tmp_path / "t", Random(7), "deduplicate")
    while len(world.states) < 3:
        world._write()
    for folder in ("schema", "snapshot"):
        shutil.copytree(tmp_path / "t" / folder, tmp_path / "t" / "branch" / "branch-dev" / folder)
    while len(world.states) < 5:
        world._write()
    with lakesql.connect(tables={"t": str(tmp_path / "t")}) as lake:
        wanted = answer(lake, f"DIFF t VERSION {world.states[2].snapshot}, t")
        cursor = lake.execute('DIFF "t$branch_dev", t')
        assert sorted(cursor.fetchall(), key=repr) == wanted
        assert {row[-1] for row in wanted} > {"update_preimage", "update_postimage"}
        assert cursor.scan_stats.files_kept == lake.execute(f"DIFF t VERSION {world.states[2].snapshot}, t").scan_stats.files_kept


def test_numbers_come_from_metadata(lake: Any) -> None:
    found = {row[0]: row[2:6] for row in answer(lake, "DIFF STAT t VERSION 0, VERSION 2")}
    assert found["rows"] == (3, 6, 4, 1)
    assert found["files"] == (1, 2, 1, 0)
    cursor = lake.execute("SELECT item, added FROM DIFF_STAT(t, 0, 2) WHERE item = 'files'")
    assert (cursor.fetchall(), cursor.scan_stats.files_total) == ([("files", 1)], 0)
    with pytest.raises(errors.SqlError, match="takes no key"):
        lake.execute("DIFF STAT t VERSION 0, VERSION 2 ON (id)")


def test_a_difference_is_a_relation(lake: Any) -> None:
    joined = "SELECT d.id, n.v FROM DIFF(t, 0, 1) AS d JOIN t AS n ON n.id = d.id WHERE d._change_type = 'insert' AND d.id > 4"
    assert answer(lake, joined) == [(5, 5.0)]
    lake.execute("CREATE VIEW came AS DIFF t VERSION 0, VERSION 1")
    assert lake.execute("SELECT count(*) FROM came WHERE _change_type = 'insert'").fetchone() == (4,)
    assert lake.execute("SELECT count(*) FROM DIFF(t, 0, ?)", [1]).fetchone() == (4,)
    assert lake.execute("SELECT count(*) FROM table_changes('t', ?, ?)", [1, 1]).fetchone() == (4,)
    assert lake.execute("WITH x AS (SELECT id FROM DIFF(t, 0, 1)) SELECT max(id) FROM x").fetchone() == (5,)


def test_what_a_difference_cannot_be_of(lake: Any) -> None:
    lake.execute("CREATE VIEW w AS SELECT 1 AS a")
    for text, words in (
        ("DIFF w, t", '"w" is a view'),
        ('DIFF "t$files", t', "has no states to compare"),
        ("DIFF t VERSION 0, VERSION 99", "no such version 99"),
        ("DIFF t VERSION 0, VERSION 1 WITH (mode = 'net')", 'no option "mode"'),
        ("DIFF t VERSION 0, VERSION 1 WITH (updates = 3)", "updates is '3'"),
    ):
        with pytest.raises(lakesql.Error, match=words):
            lake.execute(text)


def test_pruning_of_a_difference_is_explained(lake: Any) -> None:
    plan = lake.execute("EXPLAIN PRUNING DIFF t VERSION 0, VERSION 1 WHERE id > 100").fetch_arrow_table()[0].to_pylist()
    assert plan[0].startswith("t: delta version 0 to 1, committed ")
    assert any("1 that one state has and the other has not" in line for line in plan)
    assert any("id > 100 against id in [3, 5]" in line for line in plan)


@pytest.mark.parametrize(
    ("left", "right", "wanted"),
    [
        (pa.int16(), pa.int64(), pa.int64()),
        (pa.uint32(), pa.int32(), pa.int64()),
        (pa.uint64(), pa.int64(), None),
        (pa.int32(), pa.float32(), pa.float64()),
        (pa.int64(), pa.float64(), None),
        (pa.decimal128(10, 2), pa.decimal128(9, 4), pa.decimal128(12, 4)),
        (pa.decimal128(38, 0), pa.decimal128(38, 2), None),
        (pa.date32(), pa.timestamp("us"), pa.timestamp("us")),
        (pa.timestamp("us"), pa.timestamp("us", "UTC"), None),
        (pa.timestamp("ms", "UTC"), pa.timestamp("us", "UTC"), pa.timestamp("us", "UTC")),
        (pa.binary(4), pa.binary(), pa.binary()),
        (pa.string(), pa.binary(), None),
        (pa.list_(pa.field("element", pa.int32())), pa.list_(pa.field("item", pa.int32())), pa.list_(pa.field("item", pa.int32()))),
        (pa.list_(pa.int32()), pa.list_(pa.int64()), None),
        (pa.struct([("a", pa.int32())]), pa.struct([("b", pa.int32())]), None),
        (pa.null(), pa.string(), pa.string()),
    ],
)
def test_common_types(left: pa.DataType, right: pa.DataType, wanted: pa.DataType | None) -> None:
    assert common_type(left, right) == wanted
    if not pa.types.is_nested(left):
        assert common_type(right, left) == wanted
