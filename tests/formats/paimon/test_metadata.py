"""The metadata tables, of tables made for them and by name."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

import lakesql
from lakesql.errors import UnknownTableError
from lakesql.formats.paimon.metadata import METADATA
from lakesql.table import Latest

from .reading import rows_of, table_at
from .table_maker import DataFile, TableMaker


def made(tmp_path: Path) -> tuple[TableMaker, list[DataFile]]:
    """A primary-key table of two partitions: three files, one of level 0, two snapshots, a tag, a branch, a consumer, statistics."""
    options = {"bucket": "2", "merge-engine": "aggregation", "fields.v.aggregate-function": "sum", "fields.v.ignore-retract": "true"}
    maker = TableMaker(tmp_path, {"p": "STRING", "k": "INT NOT NULL", "v": "INT", "s": "STRING"}, ["p", "k"], ["p"], options)
    rows = [{"p": "x", "k": 1, "v": 5, "s": None}, {"p": "x", "k": 3, "v": None, "s": "z"}]
    first = maker.write(rows, level=5, meta={"_CREATION_TIME": None})
    second = maker.write([{"p": "x", "k": 2, "v": 7, "s": "a"}], bucket=1, kinds=[3])
    third = maker.write([{"p": "y", "k": 9, "v": 0, "s": "a"}])
    maker.commit([first, second], watermark=77)
    maker.tag("one")
    maker.evolve([("p", "STRING", 0), ("k", "INT NOT NULL", 1), ("v", "INT", 2), ("s", "STRING", 3), ("w", "INT", None)])
    maker.commit([third], kind="COMPACT", statistics="stat-1")
    (tmp_path / "consumer").mkdir(parents=True)
    (tmp_path / "consumer" / "consumer-someone").write_text('{"nextSnapshot": 2}')
    (tmp_path / "statistics").mkdir()
    found = {"snapshotId": 2, "schemaId": 1, "mergedRecordCount": 3, "mergedRecordSize": 30, "colStats": {"v": {"colId": 2, "distinctCount": 2}}}
    (tmp_path / "statistics" / "stat-1").write_text(json.dumps(found))
    (tmp_path / "branch" / "branch-dev" / "schema").mkdir(parents=True)
    (tmp_path / "branch" / "branch-dev" / "schema" / "schema-0").write_text((tmp_path / "schema" / "schema-0").read_text())
    return maker, [first, second, third]


def of(tmp_path: Path, name: str, columns: str = "*") -> list[dict[str, Any]]:
    return rows_of(tmp_path, f'SELECT {columns} FROM "t${name}"')


def test_snapshots(tmp_path: Path) -> None:
    made(tmp_path)
    found = of(tmp_path, "snapshots", "snapshot_id, schema_id, commit_kind, commit_user, commit_time, watermark, base_manifest_list IS NULL AS no_list")
    assert found == [
        {
            "snapshot_id": n,
            "schema_id": n - 1,
            "commit_kind": kind,
            "commit_user": "test",
            "commit_time": dt.datetime(2023, 11, 14, 22, 13, 20 + n, tzinfo=dt.UTC),
            "watermark": mark,
            "no_list": False,
        }
        for n, kind, mark in ((1, "APPEND", 77), (2, "COMPACT", None))
    ]
    assert [r["version"] for r in of(tmp_path, "history")] == [2, 1]


def test_schemas(tmp_path: Path) -> None:
    made(tmp_path)
    found = of(tmp_path, "schemas")
    assert [r["schema_id"] for r in found] == [0, 1]
    assert json.loads(found[0]["primary_keys"]) == ["p", "k"]
    assert [f["name"] for f in json.loads(found[1]["fields"])] == ["p", "k", "v", "s", "w"]
    columns = of(tmp_path, "schema", "name, type, nullable, field_id, partition_position, key_position")
    assert columns[1] == {"name": "k", "type": "INT NOT NULL", "nullable": False, "field_id": 1, "partition_position": None, "key_position": 1}
    assert columns[0]["partition_position"] == 0


def test_options(tmp_path: Path) -> None:
    made(tmp_path)
    assert {"key": "bucket", "value": "2"} in of(tmp_path, "options")
    assert {"name": "bucket", "value": "2"} in of(tmp_path, "properties")


def test_files(tmp_path: Path) -> None:
    """All of them, levels that reads do not see too."""
    _, (first, second, third) = made(tmp_path)
    found = {Path(r["file_path"]).name: r for r in of(tmp_path, "files")}
    assert set(found) == {first.name, second.name, third.name}
    row = found[first.name]
    assert (row["partition"], row["bucket"], row["level"], row["record_count"], row["file_format"]) == ("{x}", 0, 5, 2, "parquet")
    assert (row["min_key"], row["max_key"]) == ("[1]", "[3]")
    assert row["null_value_counts"] == "{k=0, p=0, s=1, v=1, w=2}"
    assert row["min_value_stats"] == "{k=1, p=x, s=z, v=5, w=null}"
    assert (row["file_source"], row["deleteRowCount"], found[second.name]["deleteRowCount"]) == ("APPEND", 0, 1)
    assert {r["bucket"] for r in of(tmp_path, "file_key_ranges")} == {0, 1}


def test_partitions_and_buckets(tmp_path: Path) -> None:
    made(tmp_path)
    assert (
        of(tmp_path, "partitions", "partition, record_count, file_count, total_buckets, deleted_record_count")
        == [
            {"partition": "p=x", "record_count": 3, "file_count": 2, "total_buckets": 2, "deleted_record_count": 1},
            {"partition": "p=y", "record_count": 1, "file_count": 1, "total_buckets": 2, "deleted_record_count": 0},
        ]
        or of(tmp_path, "partitions", "partition")[0]["partition"] == "{x}"
    )
    assert [(r["bucket"], r["record_count"]) for r in of(tmp_path, "buckets")] == [(0, 2), (1, 1), (0, 1)]


def test_manifests(tmp_path: Path) -> None:
    maker, _ = made(tmp_path)
    found = of(tmp_path, "manifests")
    assert [(r["file_name"], r["num_added_files"], r["num_deleted_files"]) for r in found] == [
        (m["_FILE_NAME"], m["_NUM_ADDED_FILES"], 0) for m in maker.manifests
    ]


def test_tags_branches_and_consumers(tmp_path: Path) -> None:
    made(tmp_path)
    tag = tmp_path / "tag" / "tag-one"
    tag.write_text(json.dumps({**json.loads(tag.read_text()), "tagCreateTime": [2024, 1, 2, 3, 4, 5, 600_000_000], "tagTimeRetained": 86400.0}))
    [row] = of(tmp_path, "tags")
    assert (row["tag_name"], row["snapshot_id"], row["create_time"], row["time_retained"]) == (
        "one",
        1,
        dt.datetime(2024, 1, 2, 3, 4, 5, 600_000),
        "PT86400.0S",
    )
    assert [r["branch_name"] for r in of(tmp_path, "branches")] == ["dev"]
    assert of(tmp_path, "consumers") == [{"consumer_id": "someone", "next_snapshot_id": 2}]


def test_the_table_s_own_consumers_are_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    made(tmp_path / "t")
    with lakesql.connect(str(tmp_path / "t")) as lake:
        assert lake.execute("SHOW CONSUMERS").fetchall() == []
        (row,) = lake.execute("SHOW CONSUMERS ON t LIKE 'some%'").fetch_arrow_table().to_pylist()
        expected = ("someone", "paimon", "before 2", "2", 1)
        assert (row["consumer"], row["kept_by"], row["position"], row["latest_version"], row["lag"]) == expected
        assert (tmp_path / "t" / "consumer" / "consumer-someone").read_text() == '{"nextSnapshot": 2}'


def test_statistics(tmp_path: Path) -> None:
    made(tmp_path)
    [row] = of(tmp_path, "statistics")
    assert (row["snapshot_id"], row["mergedRecordCount"], json.loads(row["colstat"])["v"]["distinctCount"]) == (2, 3, 2)
    assert rows_of(tmp_path, 'SELECT * FROM "t$statistics" VERSION AS OF 1') == []


def test_aggregation_fields(tmp_path: Path) -> None:
    made(tmp_path)
    found = {r["field_name"]: r for r in of(tmp_path, "aggregation_fields")}
    assert (found["v"]["function"], found["v"]["function_options"]) == ("[sum]", "[fields.v.ignore-retract=true]")
    assert found["s"]["function"] == "[]"


def test_table_indexes(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, {"k": "INT"}, options={"bucket": "-1"})
    file = maker.write([{"k": 1}, {"k": 2}])
    maker.commit([file], vectors={"a": (file, [1])})
    [row] = of(tmp_path, "table_indexes")
    assert row["index_type"] == "DELETION_VECTORS"
    assert (row["dv_ranges"][0]["f0"], row["dv_ranges"][0]["_CARDINALITY"]) == (file.name, 1)


@pytest.mark.parametrize("name", METADATA)
def test_every_table_of_a_table_without_snapshots(tmp_path: Path, name: str) -> None:
    TableMaker(tmp_path, {"k": "INT"}, options={"bucket": "-1"})
    found = of(tmp_path, name)
    assert found == [] or name in ("schemas", "schema", "options", "properties")


def test_names(tmp_path: Path) -> None:
    made(tmp_path)
    table = table_at(tmp_path)
    assert {"files", "snapshots", "ro", "row_tracking"} <= set(table.metadata_names)
    assert len(of(tmp_path, "FILES")) == 3
    with pytest.raises(UnknownTableError, match='no metadata table "file"'):
        table.metadata("file", Latest())
    assert {"audit_log", "binlog"} <= set(table.metadata_names)
    assert all(table.view(name) is not None for name in ("audit_log", "BINLOG"))


def test_of_an_older_snapshot(tmp_path: Path) -> None:
    made(tmp_path)
    assert len(rows_of(tmp_path, 'SELECT * FROM "t$files" VERSION AS OF 1')) == 2
    assert len(rows_of(tmp_path, "SELECT * FROM \"t$files\" /*+ OPTIONS('scan.snapshot-id'='1') */")) == 2
