"""Iceberg's metadata tables: their columns, their rows, and what they do not open."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lakesql.errors import UnknownTableError
from lakesql.storage import MemoryStorage
from lakesql.table import At, Latest

from .reading import NOW, opened, version
from .table_maker import TableMaker

US = dt.UTC


@pytest.fixture
def maker(tmp_path: Path) -> TableMaker:
    """Two partitions of one spec, then one of another, a position delete, an equality delete, a file deleted, a branch and a tag."""
    made = TableMaker(tmp_path / "t", [("id", "long"), ("p", "int"), ("x", "double")], partition=[("p", "identity")])
    first = [made.data_file({"id": [n, n + 1], "p": [n, n], "x": [1.5, None]}, partition=[n]) for n in (1, 2)]
    made.commit(first)
    made.refs |= {"keep": {"snapshot-id": 101, "type": "tag", "max-ref-age-ms": 5}, "dev": {"snapshot-id": 101, "type": "branch", "min-snapshots-to-keep": 2}}
    made.partition_by([("id", "bucket[4]")])
    made.commit([made.data_file({"id": [7], "p": [9], "x": [float("nan")]}, partition=[3])])
    deletes = [
        made.position_deletes([(first[0]["file_path"], 0), (first[0]["file_path"], 1)], partition=[1], spec_id=0),
        made.equality_deletes({"id": [7]}, [1], partition=[3]),
    ]
    made.commit(deletes, operation="delete")
    return made


def table(maker: TableMaker, name: str, at: At = NOW) -> list[dict[str, Any]]:
    relation = opened(maker.root).metadata(name, at)
    found = relation.load()
    assert found.schema.equals(relation.schema)
    rows: list[dict[str, Any]] = found.to_pylist()
    return rows


NAMES = [
    "snapshots",
    "history",
    "refs",
    "metadata_log_entries",
    "schema",
    "properties",
    "specs",
    "files",
    "data_files",
    "delete_files",
    "entries",
    "manifests",
    "partitions",
    "position_deletes",
    "all_files",
    "all_data_files",
    "all_delete_files",
    "all_entries",
    "all_manifests",
]


def test_names(maker: TableMaker) -> None:
    opened_ = opened(maker.root)
    assert set(opened_.metadata_names) == set(NAMES)
    assert opened_.metadata("FILES", Latest()).schema.names[0] == "content"
    with pytest.raises(UnknownTableError, match='no metadata table "fils"') as caught:
        opened_.metadata("fils", Latest())
    assert 'did you mean "files"' in str(caught.value)


@pytest.mark.parametrize("name", NAMES)
def test_every_one_of_a_table_without_snapshots(tmp_path: Path, name: str) -> None:
    maker = TableMaker(tmp_path, [("id", "long"), ("p", "int")], partition=[("p", "identity")], properties={"a": "b"})
    maker.write()
    rows = table(maker, name)
    assert len(rows) == {"metadata_log_entries": 1, "schema": 2, "properties": 1, "specs": 1}.get(name, 0)


@pytest.mark.parametrize("name", ["snapshots", "history", "refs", "metadata_log_entries", "schema", "properties", "specs"])
def test_what_opens_no_manifest(maker: TableMaker, name: str) -> None:
    storage = MemoryStorage({str(p): p.read_bytes() for p in maker.root.rglob("*") if p.suffix in (".json", ".text")})
    assert opened(maker.root, storage).metadata(name, Latest()).load() is not None
    assert not [p for p in storage.reads if p.endswith(".avro")]


@pytest.mark.parametrize("name", ["manifests", "all_manifests"])
def test_what_opens_manifest_lists_alone(maker: TableMaker, name: str) -> None:
    for file in (maker.root / "metadata").glob("manifest-*"):
        file.unlink()
    assert len(table(maker, name)) == {"manifests": 4, "all_manifests": 7}[name]


def test_making_one_reads_nothing_but_the_metadata_file(maker: TableMaker) -> None:
    for file in (maker.root / "metadata").glob("*.avro"):
        file.unlink()
    for name in NAMES:
        assert len(opened(maker.root).metadata(name, Latest()).schema) > 0


def test_snapshots_and_history(maker: TableMaker) -> None:
    maker.current = 102
    maker.log.append({"timestamp-ms": maker.log[-1]["timestamp-ms"] + 1, "snapshot-id": 102})
    maker.write()
    assert [(r["snapshot_id"], r["parent_id"], r["operation"]) for r in table(maker, "snapshots")] == [
        (101, None, "append"),
        (102, 101, "append"),
        (103, 102, "delete"),
    ]
    first = table(maker, "snapshots")[0]
    assert first["committed_at"] == dt.datetime(2023, 11, 14, 22, 14, 20, tzinfo=US)
    assert first["manifest_list"].endswith(".avro")
    assert [(r["snapshot_id"], r["is_current_ancestor"]) for r in table(maker, "history")] == [(101, True), (102, True), (103, False), (102, True)]


def test_refs(maker: TableMaker) -> None:
    rows = {r["name"]: r for r in table(maker, "refs")}
    assert {n: (r["type"], r["snapshot_id"]) for n, r in rows.items()} == {"keep": ("TAG", 101), "dev": ("BRANCH", 101), "main": ("BRANCH", 103)}
    assert (rows["keep"]["max_reference_age_in_ms"], rows["dev"]["min_snapshots_to_keep"]) == (5, 2)


def test_metadata_log(maker: TableMaker) -> None:
    maker.metadata_log = [{"timestamp-ms": 1_600_000_000_000, "metadata-file": "a"}, {"timestamp-ms": 1_700_000_060_000, "metadata-file": "b"}]
    maker.write()
    rows = table(maker, "metadata_log_entries")
    assert [(r["file"].rsplit("/", 1)[-1], r["latest_snapshot_id"], r["latest_schema_id"], r["latest_sequence_number"]) for r in rows] == [
        ("a", None, None, None),
        ("b", 101, 0, 1),
        ("v3.metadata.json", 103, 0, 3),
    ]


def test_files(maker: TableMaker) -> None:
    rows = sorted(table(maker, "files"), key=lambda r: (r["content"], r["file_path"]))
    assert [(r["content"], r["spec_id"], r["record_count"], r["partition"]) for r in rows] == [
        (0, 0, 2, {"p": 1, "id_bucket": None}),
        (0, 0, 2, {"p": 2, "id_bucket": None}),
        (0, 1, 1, {"p": None, "id_bucket": 3}),
        (1, 0, 2, {"p": 1, "id_bucket": None}),
        (2, 1, 1, {"p": None, "id_bucket": 3}),
    ]
    assert (rows[0]["file_format"], rows[4]["equality_ids"]) == ("PARQUET", [1])
    assert dict(rows[0]["lower_bounds"])[1] == (1).to_bytes(8, "little")
    assert rows[0]["readable_metrics"]["id"] == {
        "column_size": 10,
        "value_count": 2,
        "null_value_count": 0,
        "nan_value_count": None,
        "lower_bound": 1,
        "upper_bound": 2,
    }
    assert rows[2]["readable_metrics"]["x"] == {
        "column_size": 10,
        "value_count": 1,
        "null_value_count": 0,
        "nan_value_count": 1,
        "lower_bound": None,
        "upper_bound": None,
    }
    assert len(table(maker, "data_files")) == 3
    assert len(table(maker, "delete_files")) == 2
    assert len(table(maker, "files", version(101))) == 2
    assert len(table(maker, "files", version("keep"))) == 2


def test_all_files_and_entries(maker: TableMaker) -> None:
    kept = maker.manifests
    maker.manifests = [
        maker.manifest(
            [
                {
                    "status": 2,
                    "snapshot_id": 104,
                    "sequence_number": 1,
                    "file_sequence_number": 1,
                    "data_file": maker.data_file({"id": [1], "p": [1]}, partition=[0]),
                }
            ],
            snapshot_id=104,
        )
    ]
    maker.sequence += 1
    maker.snapshot(104, maker.manifests)
    assert table(maker, "files") == []
    assert [(r["status"], r["snapshot_id"], r["sequence_number"], r["data_file"]["record_count"]) for r in table(maker, "entries")] == [(2, 104, 1, 1)]
    assert len(kept) == 4
    assert len(table(maker, "all_files")) == 5
    assert len(table(maker, "all_data_files")) == 3
    assert len(table(maker, "all_delete_files")) == 2
    assert len(table(maker, "all_entries")) == 6
    assert "spec_id" not in table(maker, "entries")[0]["data_file"]


def test_manifests(maker: TableMaker) -> None:
    rows = table(maker, "manifests")
    counts = sorted((r["content"], r["partition_spec_id"], r["added_data_files_count"], r["added_delete_files_count"]) for r in rows)
    assert counts == [(0, 0, 2, 0), (0, 1, 1, 0), (1, 0, 0, 1), (1, 1, 0, 1)]
    summaries = {(r["content"], r["partition_spec_id"]): r["partition_summaries"] for r in rows}
    assert summaries[0, 0] == [{"contains_null": False, "contains_nan": None, "lower_bound": "1", "upper_bound": "2"}]
    assert len(table(maker, "manifests", version(101))) == 1
    assert sorted(r["reference_snapshot_id"] for r in table(maker, "all_manifests")) == [101, 102, 102, 103, 103, 103, 103]


@pytest.mark.parametrize(
    ("type_", "transform", "stored", "expected"),
    [
        ("date", "day", 19000, "2022-01-08"),
        ("date", "month", 650, "2024-03"),
        ("date", "year", -1, "1969"),
        ("timestamp", "hour", 5, "1970-01-01-05"),
        ("string", "truncate[2]", "é", "é"),
        ("boolean", "identity", True, "true"),
        ("timestamp", "identity", 1, "1970-01-01T00:00:00.000001"),
        ("binary", "identity", b"\x01\xff", "Af8="),
    ],
)
def test_summaries_in_words(tmp_path: Path, type_: str, transform: str, stored: Any, expected: str) -> None:
    maker = TableMaker(tmp_path, [("id", "long"), ("x", type_)], partition=[("x", transform)])
    maker.commit([maker.data_file({"id": [1]}, partition=[stored])])
    summary = table(maker, "manifests")[0]["partition_summaries"][0]
    assert (summary["lower_bound"], summary["upper_bound"]) == (expected, expected)


def test_partitions(maker: TableMaker) -> None:
    rows = sorted(table(maker, "partitions"), key=str)
    keys = (
        "spec_id",
        "record_count",
        "file_count",
        "position_delete_record_count",
        "position_delete_file_count",
        "equality_delete_record_count",
        "equality_delete_file_count",
        "last_updated_snapshot_id",
    )
    assert {str(r["partition"]): tuple(r[k] for k in keys) for r in rows} == {
        "{'p': 1, 'id_bucket': None}": (0, 2, 1, 2, 1, 0, 0, 103),
        "{'p': 2, 'id_bucket': None}": (0, 2, 1, 0, 0, 0, 0, 101),
        "{'p': None, 'id_bucket': 3}": (1, 1, 1, 0, 0, 1, 1, 103),
    }
    assert rows[0]["last_updated_at"].tzinfo is not None
    assert len(table(maker, "partitions", version(101))) == 2


def test_partitions_of_an_unpartitioned_table_and_expired_snapshots(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, [("id", "long")])
    maker.commit([maker.data_file({"id": [1, 2]}), maker.data_file({"id": [3]})])
    (row,) = table(maker, "partitions")
    assert (row["record_count"], row["file_count"], row["last_updated_snapshot_id"]) == (3, 2, 101)
    assert "partition" not in row
    maker.commit([maker.data_file({"id": [4]})])
    maker.snapshots = maker.snapshots[1:]
    maker.write()
    assert table(maker, "partitions")[0]["last_updated_snapshot_id"] == 102


def test_position_deletes(maker: TableMaker) -> None:
    rows = table(maker, "position_deletes")
    assert sorted((r["pos"], r["partition"]["p"], r["spec_id"], r["row"]) for r in rows) == [(0, 1, 0, None), (1, 1, 0, None)]
    assert table(maker, "position_deletes", version(102)) == []


def test_position_deletes_of_vectors(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, [("id", "long")], version=3)
    data = maker.data_file({"id": [1, 2, 3]})
    maker.commit([data])
    maker.commit([maker.vector(data, [0, 2])])
    rows = table(maker, "position_deletes")
    assert [(r["file_path"], r["pos"], r["content_offset"]) for r in rows] == [(data["file_path"], 0, 4), (data["file_path"], 2, 4)]


def test_schema_specs_and_properties(maker: TableMaker) -> None:
    maker.properties["write.format"] = "x"
    maker.evolve(
        [
            ("id", "long"),
            {"id": 2, "name": "p", "type": "long", "required": True, "doc": "a word"},
            ("l", {"type": "list", "element-id": 50, "element": "int", "element-required": False}),
        ]
    )
    maker.write()
    assert [(r["position"], r["name"], r["type"], r["nullable"], r["field_id"], r["comment"]) for r in table(maker, "schema")] == [
        (0, "id", "long", True, 1, None),
        (1, "p", "long", False, 2, "a word"),
        (2, "l", "list<int>", True, 4, None),
    ]
    assert [r["name"] for r in table(maker, "schema", version(101))] == ["id", "p", "x"]
    assert table(maker, "properties") == [{"name": "write.format", "value": "x"}]
    assert [(r["spec_id"], r["is_default"], r["name"], r["transform"], r["source_ids"]) for r in table(maker, "specs")] == [
        (0, False, "p", "identity", [2]),
        (1, True, "id_bucket", "bucket[4]", [1]),
    ]


def test_bounds_that_are_no_text(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, [("s", "string"), ("u", "uuid")])
    over = {"lower_bounds": [{"key": 1, "value": b"\xff\xfe"}, {"key": 2, "value": b"short"}], "upper_bounds": []}
    maker.commit([maker.data_file({"s": ["a"]}, **over)])
    metrics = table(maker, "files")[0]["readable_metrics"]
    assert metrics["s"]["lower_bound"] == "��"
    assert metrics["u"]["lower_bound"] is None
    assert opened(tmp_path).metadata("files", Latest()).schema.field("readable_metrics").type.field("u").type.field("lower_bound").type == pa.binary(16)
