"""Rows under a schema: columns by field id, through every change a schema can make; constants, defaults, hidden columns."""

from __future__ import annotations

import datetime as dt
import json
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import lakesql
from lakesql.errors import MetadataError, UnsupportedFeatureError
from lakesql.relation import ColumnMatch, FileFormat, Files, Project, Relation, Union, WithoutPositions, default_of
from lakesql.table import Latest, ScanRequest

from .reading import opened, read, scanned, version, where
from .table_maker import ID, TableMaker


def test_renamed_swapped_dropped_and_added_again(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, [("a", "int"), ("b", "int"), ("c", "int")])
    maker.commit([maker.data_file({"a": [1], "b": [2], "c": [3]})])
    maker.evolve([{"id": 2, "name": "a", "type": "int"}, {"id": 1, "name": "b", "type": "int"}, {"id": 4, "name": "c", "type": "int"}])
    maker.commit([maker.data_file({"a": [20], "b": [10], "c": [40]})])
    assert read(tmp_path, ["a", "b", "c"]) == [(2, 1, None), (20, 10, 40)]
    assert read(tmp_path, ["a", "b", "c"], at=version(101)) == [(1, 2, 3)]


def test_reordered_and_widened(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, [("a", "int"), ("b", "float"), ("c", "decimal(5, 2)")])
    maker.commit([maker.data_file({"a": [1], "b": [1.5], "c": [None]})])
    maker.evolve([("c", "decimal(9, 2)"), ("a", "long"), ("b", "double")])
    assert read(tmp_path, ["c", "a", "b"]) == [(None, 1, 1.5)]
    assert opened(tmp_path).snapshot(version(101)).schema.field("a").type == pa.int32()


def test_nested_fields_by_id(tmp_path: Path) -> None:
    inner = {"type": "struct", "fields": [{"id": 11, "name": "x", "type": "int"}, {"id": 12, "name": "y", "type": "int"}]}
    maker = TableMaker(tmp_path, [{"id": 1, "name": "s", "type": inner}])
    maker.commit([maker.data_file({"s": [{"x": 1, "y": 2}, None]})])
    changed = {
        "type": "struct",
        "fields": [
            {"id": 12, "name": "x", "type": "long"},
            {"id": 13, "name": "z", "type": "int", "initial-default": 7},
            {"id": 11, "name": "w", "type": "int"},
        ],
    }
    maker.evolve([{"id": 1, "name": "s", "type": changed}])
    maker.write()
    assert read(tmp_path, ["s"]) == [(None,), ({"x": 2, "z": 7, "w": 1},)]


def test_defaults_of_columns_that_files_lack(tmp_path: Path) -> None:
    """Not of columns that are there and null; of all types, in structs, and `{}` for a struct that is there."""
    maker = TableMaker(tmp_path, [("id", "long")], version=3)
    maker.commit([maker.data_file({"id": [1]})])
    struct_ = {"type": "struct", "fields": [{"id": 31, "name": "a", "type": "int", "initial-default": 5}, {"id": 32, "name": "b", "type": "string"}]}
    added: list[tuple[str, Any, Any, Any]] = [
        ("i", "int", -7, -7),
        ("b", "boolean", True, True),
        ("d", "decimal(9, 3)", "-1.250", Decimal("-1.250")),
        ("day", "date", "1969-12-31", dt.date(1969, 12, 31)),
        ("t", "time", "00:00:00.012345", dt.time(0, 0, 0, 12345)),
        ("ts", "timestamp", "1960-01-02T03:04:05.000006", dt.datetime(1960, 1, 2, 3, 4, 5, 6)),
        ("tz", "timestamptz", "2024-02-29T23:59:59.999999+00:00", dt.datetime(2024, 2, 29, 23, 59, 59, 999999, tzinfo=dt.UTC)),
        ("u", "uuid", "f79c3e09-677c-4bbd-a479-3f349cb785e7", bytes.fromhex("f79c3e09677c4bbda4793f349cb785e7")),
        ("f", "fixed[2]", "0A0b", b"\x0a\x0b"),
        ("s", "string", "", ""),
        ("st", struct_, {}, {"a": 5, "b": None}),
        ("l", {"type": "list", "element-id": 41, "element": "int", "element-required": False}, [1, None], [1, None]),
    ]
    columns = [{"id": 100 + n, "name": name, "type": type_, "initial-default": raw} for n, (name, type_, raw, _) in enumerate(added)]
    maker.evolve([("id", "long"), *columns])
    maker.commit([maker.data_file({"id": [2], **{name: [None] for name, *_ in added}})])
    wanted = [name for name, *_ in added]
    assert read(tmp_path, ["id", *wanted]) == [(1, *(value for *_, value in added)), (2, *(None for _ in added))]
    assert read(tmp_path, ["id"], where("i", "=", -7, pa.int32())) == [(1,)]  # a bound of a file without the column proves nothing


def test_a_default_that_is_no_value(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, [{"id": 1, "name": "i", "type": "int", "initial-default": "many"}], version=3)
    maker.write()
    snapshot = opened(tmp_path).snapshot(Latest())
    with pytest.raises(MetadataError, match="initial-default of column i is 'many', which is no int"):
        snapshot.relate(snapshot.scan(ScanRequest(("i",))), ["i"])


# Files without ids ---------------------------------------------------------------------------------------------------------------------------------------


def test_name_mapping_for_files_without_ids_alone(tmp_path: Path) -> None:
    mapping = [{"field-id": 1, "names": ["id", "identity"]}, {"field-id": 2, "names": ["a.b"]}, {"names": ["ignored"]}, {"field-id": 3, "names": []}]
    maker = TableMaker(tmp_path, [("id", "long"), ("a.b", "string"), ("c", "int")], properties={"schema.name-mapping.default": json.dumps(mapping)})
    foreign = pa.table({"identity": [1], "a.b": ["x"], "c": [9], "ignored": [0]})
    maker.commit([maker.data_file(foreign, metrics=()), maker.data_file({"id": [2], "a.b": ["y"], "c": [5]})])
    assert read(tmp_path, ["id", "a.b", "c"]) == [(1, "x", None), (2, "y", 5)]


@pytest.mark.parametrize("text", ["{", "5", '[{"names": 3}]', '[{"field-id": 1, "names": ["a"], "fields": 5}]'])
def test_a_mapping_that_is_none(tmp_path: Path, text: str) -> None:
    maker = TableMaker(tmp_path, [("id", "long")], properties={"schema.name-mapping.default": text})
    maker.commit([maker.data_file({"id": [1]})])
    with pytest.raises(MetadataError, match=r"schema\.name-mapping\.default"):
        read(tmp_path, ["id"])


def test_columns_by_position_where_there_is_no_mapping(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, [("id", "long"), ("s", "string")])
    maker.commit([maker.data_file(pa.table({"whatever": [1], "name": ["x"]}), metrics=())])
    maker.evolve([("s", "string"), ("id", "long"), ("more", "int")])
    maker.write()
    assert read(tmp_path, ["s", "id", "more"]) == [("x", 1, None)]


# Constants -----------------------------------------------------------------------------------------------------------------------------------------------


def test_identity_values_for_columns_that_files_lack(tmp_path: Path) -> None:
    """As tables migrated from Hive have it; exact, and by the spec of the file, not by the current one."""
    maker = TableMaker(tmp_path, [("id", "long"), ("x", "double"), ("s", "string")], partition=[("x", "identity"), ("s", "identity")])
    maker.commit([maker.data_file({"id": [1]}, partition=[2.222, "p=1/%2F"]), maker.data_file({"id": [2]}, partition=[None, None])])
    maker.partition_by([("s", "truncate[1]")])
    maker.commit([maker.data_file({"id": [3]}, partition=["z"]), maker.data_file({"id": [4], "x": [1.5], "s": ["zz"]}, partition=["z"])])
    assert read(tmp_path, ["id", "x", "s"]) == [(1, 2.222, "p=1/%2F"), (2, None, None), (3, None, None), (4, 1.5, "zz")]


def test_a_column_in_the_file_comes_before_the_tuple(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, [("id", "long"), ("p", "int")], partition=[("p", "identity")])
    maker.commit([maker.data_file({"id": [1], "p": [7]}, partition=[8])])
    assert read(tmp_path, ["p"]) == [(7,)]


def test_a_null_in_the_tuple_comes_before_a_default(tmp_path: Path) -> None:
    columns = [("id", "long"), {"id": 2, "name": "p", "type": "int", "initial-default": 5}]
    maker = TableMaker(tmp_path, columns, partition=[("p", "identity")], version=3)
    maker.commit([maker.data_file({"id": [1]}, partition=[None])])
    assert read(tmp_path, ["id", "p"]) == [(1, None)]


def test_constants_are_those_of_all_specs(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, [("id", "long"), ("p", "int"), ("q", "int")], partition=[("p", "identity"), ("q", "identity")])
    maker.commit([maker.data_file({"id": [1], "p": [1], "q": [2]}, partition=[1, 2])])
    assert scanned(tmp_path).constants.to_pylist() == [{"p": 1, "q": 2}]
    maker.partition_by([("p", "identity")])
    maker.commit([maker.data_file({"id": [2], "p": [3], "q": [4]}, partition=[3])])
    assert sorted(r["p"] for r in scanned(tmp_path).constants.to_pylist()) == [1, 3]
    assert scanned(tmp_path).constants.column_names == ["p"]
    assert scanned(tmp_path, where("p", "=", 1, pa.int32())).constants.to_pylist() == [{"p": 1, "q": 2}]


def test_a_widened_identity_column(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, [("id", "long"), ("p", "int")], partition=[("p", "identity")])
    maker.commit([maker.data_file({"id": [1], "p": [7]}, partition=[7])])
    maker.evolve([("id", "long"), ("p", "long")])
    maker.commit([maker.data_file({"id": [2], "p": [2**40]}, partition=[2**40])])
    assert scanned(tmp_path).constants.schema.field("p").type == pa.int64()
    assert read(tmp_path, ["p"], where("p", "=", 7)) == [(7,)]
    assert scanned(tmp_path, at=version(101)).constants.schema.field("p").type == pa.int32()


# Hidden columns ------------------------------------------------------------------------------------------------------------------------------------------


def test_hidden_columns(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, [("id", "long"), ("p", "int")], partition=[("p", "identity")], version=3)
    first = maker.data_file({"id": [1, 2], "p": [7, 7]}, partition=[7])
    maker.commit([first])
    maker.partition_by([("id", "bucket[4]")])
    maker.commit([maker.data_file({"id": [3], "p": [8]}, partition=[2])])
    hidden = ["_file", "_pos", "_spec_id", "_partition", "_row_id", "_last_updated_sequence_number"]
    assert opened(tmp_path).snapshot(Latest()).hidden.names == hidden
    assert read(tmp_path, ["id", *hidden[1:]]) == [
        (1, 0, 0, {"p": 7, "id_bucket": None}, 0, 1),
        (2, 1, 0, {"p": 7, "id_bucket": None}, 1, 1),
        (3, 0, 1, {"p": None, "id_bucket": 2}, 2, 2),
    ]
    assert read(tmp_path, ["_file"])[0] == (first["file_path"],)


def test_row_ids_that_were_written_down(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, [("id", "long")], version=3)
    columns = [
        pa.field("id", pa.int64(), metadata={ID: "1"}),
        pa.field("_row_id", pa.int64(), metadata={ID: "2147483540"}),
        pa.field("x", pa.int64(), metadata={ID: "2147483539"}),
    ]
    written = pa.table([[1, 2], [77, None], [None, 3]], schema=pa.schema(columns))
    maker.commit([maker.data_file(written, metrics=["id"])])
    maker.commit([maker.data_file(written, metrics=["id"], first_row_id=None)])
    assert read(tmp_path, ["id", "_row_id", "_last_updated_sequence_number"]) == [(1, 77, 1), (1, 77, 2), (2, 1, 3), (2, 3, 3)]


def test_a_column_of_the_table_hides_a_hidden_one(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, [("id", "long"), ("_file", "string"), ("_POS", "int")])
    maker.commit([maker.data_file({"id": [1], "_file": ["mine"], "_POS": [5]})])
    assert read(tmp_path, ["id", "_file", "_POS", "_pos"]) == [(1, "mine", 5, 0)]


def test_no_row_ids_before_version_3(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, [("id", "long")])
    maker.commit([maker.data_file({"id": [1]})])
    assert "_row_id" not in opened(tmp_path).snapshot(Latest()).hidden.names
    assert "_partition" not in opened(tmp_path).snapshot(Latest()).hidden.names


# The relation --------------------------------------------------------------------------------------------------------------------------------------------


def nodes(relation: Relation) -> list[Relation]:
    below: tuple[Relation, ...] = relation.inputs if isinstance(relation, Union) else (relation.input,) if hasattr(relation, "input") else ()
    return [relation, *(n for b in below for n in nodes(b))]


def related(root: Path, columns: list[str]) -> list[Relation]:
    snapshot = opened(root).snapshot(Latest())
    return nodes(snapshot.relate(snapshot.scan(ScanRequest(tuple(columns))), columns))


def test_nothing_is_read_that_is_not_asked_for(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, [("id", "long"), ("a", "string"), ("u", "unknown")], version=3)
    data = [maker.data_file({"id": [1], "a": ["x"]}), maker.data_file({"id": [2], "a": ["y"]})]
    maker.commit(data)
    (project, files) = related(tmp_path, ["a", "u"])
    assert isinstance(project, Project)
    assert isinstance(files, Files)
    assert (files.schema.names, files.match, files.constants, files.file_path, files.row_index) == (["a"], ColumnMatch.BY_ID, None, None, None)
    maker.commit([maker.vector(data[0], [0])])
    kinds = [type(n) for n in related(tmp_path, ["a"])]
    assert kinds == [Union, Project, Files, Project, WithoutPositions, Files] or kinds == [Union, Project, WithoutPositions, Files, Project, Files]
    assert read(tmp_path, ["a", "u"]) == [("y", None)]


def test_formats_are_read_side_by_side_and_strange_ones_refused(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, [("id", "long")])
    maker.commit([maker.data_file({"id": [1]}), maker.data_file({"id": [2]}, file_format="orc"), maker.data_file({"id": [3]}, file_format="Avro")])
    assert {n.format for n in related(tmp_path, ["id"]) if isinstance(n, Files)} == {FileFormat.PARQUET, FileFormat.ORC, FileFormat.AVRO}
    maker.commit([maker.data_file({"id": [4]}, file_format="lance")])
    with pytest.raises(UnsupportedFeatureError, match="format lance"):
        scanned(tmp_path)


def test_defaults_travel_with_the_schema(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, [{"id": 1, "name": "x", "type": "double", "initial-default": 0.1}], version=3)
    maker.commit([])
    (_, files) = related(tmp_path, ["x"])
    assert isinstance(files, Files)
    default = default_of(files.schema.field("x"))
    assert default is not None
    assert math.isclose(default.as_py(), 0.1)


def test_paths_beside_constants_and_deletes(tmp_path: Path) -> None:
    """A union of scans, in each of which the source tells name and position: an expression over the name could not be pushed down to it."""
    maker = TableMaker(tmp_path, [("id", "long"), ("p", "long")], partition=[("p", "identity")])
    files = [maker.data_file({"id": [10 * n, 10 * n + 1], "p": [n, n]}, partition=[n], name=f"data/{n}.parquet") for n in range(3)]
    maker.commit(files)
    maker.commit([maker.position_deletes([(f["file_path"], 0)], partition=[n]) for n, f in enumerate(files)])
    expected = [({"p": n}, files[n]["file_path"], 1, 10 * n + 1) for n in range(3)]
    with lakesql.connect(tables={"t": str(tmp_path)}) as connection:
        for order in ("id", "_file", "_pos, id"):
            assert connection.execute(f"SELECT _partition, _file, _pos, id FROM t ORDER BY {order}").fetchall() == expected
