"""The metadata tables: what each says of a small table, and that every table of the corpus has all of them."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pyarrow as pa
import pytest

from formats.delta.corpus_log import delta_tables
from formats.delta.log_maker import LOG, ROOT, START_US, Log, add, metadata, parquet, protocol, remove, schema_text, vector
from lakesql.errors import Error, MetadataError, UnknownTableError
from lakesql.formats.delta.metadata import METADATA, type_text
from lakesql.formats.delta.table import DeltaTable
from lakesql.relation import Batches
from lakesql.storage import LocalStorage
from lakesql.table import AtVersion, Latest

UTC = dt.UTC
START = dt.datetime.fromtimestamp(START_US / 1e6, UTC)
HOUR = dt.timedelta(hours=1)


def rows(log: Log, name: str, version: int | None = None) -> list[dict[str, Any]]:
    relation = log.table.metadata(name, Latest() if version is None else AtVersion(str(version)))
    assert isinstance(relation, Batches)
    table = relation.load()
    assert table.schema == relation.schema
    table.validate(full=True)
    found: list[dict[str, Any]] = table.to_pylist()
    return found


def by_day() -> Log:
    log = Log().commit(protocol(), metadata(schema_text(id="long", day="date"), ["day"], delta__appendOnly="false"))
    bounds = {"numRecords": 10, "minValues": {"id": 1}, "maxValues": {"id": 9}, "nullCount": {"id": 0}}
    day = {"day": "2024-01-01"}
    log.commit({"commitInfo": {"operation": "WRITE"}}, add("day=1/a", partition=day, stats=json.dumps(bounds)), add("day=1/b", partition=day, rows=5))
    return log.commit(
        {"commitInfo": {"operation": "DELETE"}},
        remove("day=1/b", size=100),
        add("c", partition={"day": None}, rows=3, dv=vector("ab^-aqEH.-t@S}K{vb[*k^", 2), size=7),
    )


def test_names() -> None:
    table = by_day().table
    assert table.metadata_names == tuple(METADATA)
    with pytest.raises(UnknownTableError, match='no metadata table "file"') as caught:
        table.metadata("file", Latest())
    assert 'did you mean "files"?' in str(caught.value)
    assert isinstance(table.metadata("FILES", Latest()), Batches)


def test_nothing_is_loaded_before_it_is_asked_for() -> None:
    log = by_day().checkpoint(2, protocol(), metadata(schema_text(id="long", day="date"), ["day"]), add("c"))
    table = log.table
    for name in table.metadata_names:
        table.metadata(name, Latest())
    assert log.storage.reads.get(f"{LOG}/{0:020}.json", 0) == 0


def test_files() -> None:
    (c, a) = sorted(rows(by_day(), "files"), key=lambda r: r["size_bytes"])
    assert a == {
        "path": f"{ROOT}/day=1/a",
        "size_bytes": 100,
        "partition": {"day": dt.date(2024, 1, 1)},
        "live_rows": 10,
        "physical_rows": 10,
        "deleted_rows": 0,
        "deletion_vector": None,
        "modified_at": START,
        "base_row_id": None,
        "default_row_commit_version": None,
        "clustering_provider": None,
        "tags": None,
        "bounds": {"id": {"lower": 1, "upper": 9, "null_count": 0}},
    }
    assert (c["path"], c["partition"], c["live_rows"], c["deleted_rows"]) == (f"{ROOT}/c", {"day": None}, 1, 2)
    assert c["deletion_vector"] == "uab^-aqEH.-t@S}K{vb[*k^@1"
    assert [r["path"] for r in rows(by_day(), "files", 1)] == [f"{ROOT}/day=1/a", f"{ROOT}/day=1/b"]


def test_partitions() -> None:
    found = rows(by_day(), "partitions", 1)
    assert found == [{"partition": {"day": dt.date(2024, 1, 1)}, "files": 2, "size_bytes": 200, "live_rows": 15, "last_modified": START}]
    assert {str(r["partition"]["day"]): r["live_rows"] for r in rows(by_day(), "partitions")} == {"2024-01-01": 10, "None": 1}
    assert rows(Log().create(add("f")), "partitions") == [{"files": 1, "size_bytes": 100, "live_rows": None, "last_modified": START}]
    assert rows(Log().create(), "partitions") == []


def test_deletion_vectors() -> None:
    assert rows(by_day(), "deletion_vectors") == [
        {
            "path": f"{ROOT}/c",
            "storage_type": "u",
            "vector_path": f"{ROOT}/ab/deletion_vector_d2c639aa-8816-431a-aaf6-d3fe2512ff61.bin",
            "offset": 1,
            "size_bytes": 40,
            "cardinality": 2,
            "physical_rows": 3,
        }
    ]
    assert rows(by_day(), "deletion_vectors", 1) == []


def test_history_and_snapshots_newest_first() -> None:
    assert [(r["version"], r["timestamp"], r["operation"]) for r in rows(by_day(), "history")] == [
        (2, START + 2 * HOUR, "DELETE"),
        (1, START + HOUR, "WRITE"),
        (0, START, None),
    ]
    assert [r["version"] for r in rows(by_day(), "history", 1)] == [1, 0]
    found = rows(by_day(), "snapshots")
    assert found[0] == {
        "version": 2,
        "committed_at": START + 2 * HOUR,
        "operation": "DELETE",
        "added_files": 1,
        "removed_files": 1,
        "change_files": 0,
        "added_rows": 1,
        "added_bytes": 7,
        "removed_bytes": 100,
        "data_change": True,
        "schema_change": False,
    }
    assert (found[1]["added_rows"], found[1]["removed_bytes"], found[2]["schema_change"]) == (15, 0, True)


def test_history_reaches_back_to_the_oldest_commit_left() -> None:
    log = by_day().file(f"{1:020}.checkpoint.parquet", parquet([protocol(), metadata(schema_text(id="long", day="date"), ["day"])])).drop(0)
    assert [r["version"] for r in rows(log, "history")] == [2, 1]


def test_a_commit_that_only_arranges_data_anew() -> None:
    log = Log().create(add("a", rows=1)).commit(remove("a", dataChange=False), add("b", rows=1, dataChange=False))
    found = rows(log, "snapshots")[0]
    assert (found["data_change"], found["removed_bytes"]) == (False, None)


def test_schema_and_its_history() -> None:
    schema = {
        "type": "struct",
        "fields": [
            {"name": "id", "type": "long", "nullable": False, "metadata": {"comment": "key"}},
            {
                "name": "s",
                "type": {"type": "struct", "fields": [{"name": "a", "type": "decimal(3,1)", "nullable": True, "metadata": {}}]},
                "nullable": True,
                "metadata": {},
            },
            {"name": "p", "type": "string", "nullable": True, "metadata": {}},
        ],
    }
    log = Log().create().commit(metadata(json.dumps(schema), ["p"]))
    found = rows(log, "schema")
    assert [(r["position"], r["name"], r["type"], r["nullable"], r["comment"], r["partition_position"]) for r in found] == [
        (0, "id", "bigint", False, "key", None),
        (1, "s", "struct<a:decimal(3,1)>", True, None, None),
        (2, "p", "string", True, None, 0),
    ]
    assert [r["name"] for r in rows(log, "schema", 0)] == ["id"]
    assert [(r["version"], r["partition_columns"]) for r in rows(log, "schema_history")] == [(1, ["p"]), (0, [])]


@pytest.mark.parametrize(
    ("type_", "text"),
    [
        ("integer", "int"),
        ({"type": "map", "keyType": "string", "valueType": {"type": "array", "elementType": "short", "containsNull": True}}, "map<string,array<smallint>>"),
        ({"type": "variant"}, "variant"),
    ],
)
def test_types_as_text(type_: Any, text: str) -> None:
    assert type_text(type_) == text


def test_properties_protocol_features_detail() -> None:
    log = by_day().commit(protocol(features=["deletionVectors"]))
    assert rows(log, "properties") == [{"name": "delta.appendOnly", "value": "false"}]
    assert rows(log, "features") == [{"feature": "deletionVectors", "reader": True, "writer": True}]
    assert rows(log, "features", 2) == []
    assert rows(log, "protocol")[0]["reader_features"] == ["deletionVectors"]
    (detail,) = rows(log, "detail")
    assert (detail["id"], detail["files"], detail["live_rows"], detail["partition_columns"], detail["created_at"]) == ("a-table", 2, 11, ["day"], START)


def test_transactions_and_domains() -> None:
    log = Log().create({"txn": {"appId": "a", "version": 4, "lastUpdated": START_US // 1000}}, {"txn": {"appId": "b", "version": "x"}})
    log.commit({"domainMetadata": {"domain": "d", "configuration": "{}", "removed": False}})
    assert rows(log, "transactions") == [{"app_id": "a", "version": 4, "last_updated": START}, {"app_id": "b", "version": None, "last_updated": None}]
    assert rows(log, "domain_metadata") == [{"domain": "d", "configuration": "{}"}]


@pytest.mark.parametrize(
    ("columns", "names"),
    [([["id"], ["day", "x"]], ["id", "day.x"]), (["id", "day"], ["id", "day"]), ([{"physicalName": ["id"]}], ["id"]), ("nonsense", []), (None, [])],
)
def test_clustering_columns_in_every_writing(columns: Any, names: list[str]) -> None:
    text = json.dumps({"clusteringColumns": columns})
    (detail,) = rows(Log().create({"domainMetadata": {"domain": "delta.clustering", "configuration": text, "removed": False}}), "detail")
    assert detail["clustering_columns"] == names


def test_tombstones() -> None:
    log = Log().create(add("a"), add("b"), add("c")).commit(remove("a", size=5), remove("b")).commit(add("b")).commit(remove("c"))
    found = {r["path"]: r for r in rows(log, "tombstones")}
    assert sorted(found) == [f"{ROOT}/a", f"{ROOT}/c"]
    assert found[f"{ROOT}/a"] == {"version": 1, "path": f"{ROOT}/a", "removed_at": START, "size_bytes": 5, "data_change": True}
    assert len(rows(log, "tombstones", 1)) == 2


def test_log_files_and_checkpoints() -> None:
    log = Log().create(add("a")).commit(add("b")).file(f"{1:020}.crc", "{}").checkpoint(1, protocol(), metadata(), add("a"), add("b"))
    log.commit(add("c")).file(f"{1:020}.{2:020}.compacted.json", json.dumps(add("x")))
    assert [(r["version"], r["kind"]) for r in rows(log, "log_files")] == [
        (0, "commit"),
        (2, "compacted"),
        (1, "checkpoint"),
        (1, "checksum"),
        (1, "commit"),
        (2, "commit"),
    ]
    (checkpoint,) = rows(log, "checkpoints")
    assert (checkpoint["version"], checkpoint["kind"], checkpoint["files"]) == (1, "classic", 1)
    assert rows(log, "checkpoints", 0) == []


def test_cdc_files() -> None:
    log = Log().create(add("a")).commit(remove("a"), {"cdc": {"path": "_change_data/x%20y", "size": 9, "partitionValues": {}, "dataChange": False}})
    assert rows(log, "cdc_files") == [{"version": 1, "committed_at": START + HOUR, "path": f"{ROOT}/_change_data/x y", "size_bytes": 9}]


def test_checksum() -> None:
    log = by_day().file(f"{2:020}.crc", json.dumps({"numFiles": 2, "tableSizeBytes": 1, "numDeletionVectorsOpt": 1, "numDeletedRecordsOpt": 2}))
    assert [(r["name"], r["recorded"], r["found"], r["agrees"]) for r in rows(log, "checksum")] == [
        ("numFiles", 2, 2, True),
        ("tableSizeBytes", 1, 107, False),
        ("numDeletionVectorsOpt", 1, 1, True),
        ("numDeletedRecordsOpt", 2, 2, True),
    ]
    assert rows(log, "checksum", 1) == []
    with pytest.raises(MetadataError, match="is not JSON"):
        rows(by_day().file(f"{2:020}.crc", "{"), "checksum")


def test_every_table_of_the_corpus_has_them() -> None:
    loaded = 0
    for folder in delta_tables():
        table = DeltaTable(LocalStorage(), str(folder), {})
        try:
            table.snapshot(Latest())
        except Error:
            continue
        for name in table.metadata_names:
            relation = table.metadata(name, Latest())
            assert isinstance(relation, Batches)
            found = relation.load()
            assert found.schema.equals(relation.schema), (folder, name)
            found.validate(full=True)
            loaded += 1
        files = table.metadata("files", Latest())
        assert isinstance(files, Batches)
        assert pa.types.is_string(files.schema.field("path").type)
    assert loaded > 1000
