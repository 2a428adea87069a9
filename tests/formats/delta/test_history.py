"""The history of a table, as its commits tell it."""

from __future__ import annotations

import datetime as dt
import json

import pyarrow as pa
import pytest

from formats.delta.corpus_log import commits, delta_tables
from lakesql.errors import MetadataError
from lakesql.formats.delta.history import history_rows

COLUMNS = [
    "version",
    "timestamp",
    "userId",
    "userName",
    "operation",
    "operationParameters",
    "job",
    "notebook",
    "clusterId",
    "readVersion",
    "isolationLevel",
    "isBlindAppend",
    "operationMetrics",
    "userMetadata",
    "engineInfo",
]


def row(data: bytes | str) -> dict[str, object]:
    table = history_rows([(7, data.encode() if isinstance(data, str) else data, 1_700_000_000_000_001)])
    (found,) = table.to_pylist()
    assert found.pop("version") == 7
    assert found.pop("timestamp") == dt.datetime(2023, 11, 14, 22, 13, 20, 1, tzinfo=dt.UTC)
    return {name: value for name, value in found.items() if value is not None}


def test_columns_and_types() -> None:
    schema = history_rows([]).schema
    assert schema.names == COLUMNS
    assert schema.field("version").type == schema.field("readVersion").type == pa.int64()
    assert schema.field("timestamp").type == pa.timestamp("us", "UTC")
    assert schema.field("isBlindAppend").type == pa.bool_()
    assert all(f.type == pa.string() for f in schema if f.name not in ("version", "readVersion", "timestamp", "isBlindAppend"))


def test_rows_stand_in_the_order_given() -> None:
    table = history_rows([(2, b'{"commitInfo":{"operation":"B"}}', 20), (1, b'{"commitInfo":{"operation":"A"}}', 10)])
    assert table.column("version").to_pylist() == [2, 1]
    assert table.column("operation").to_pylist() == ["B", "A"]


def test_sparks_commit() -> None:
    assert row(
        '{"commitInfo":{"timestamp":1,"userId":"u","userName":"n","operation":"WRITE","operationParameters":{"mode":"Append","partitionBy":"[\\"m\\"]"},"readVersion":0,'
        '"isolationLevel":"Serializable","isBlindAppend":true,"operationMetrics":{"numFiles":"1"},"job":{"jobId":"3"},"notebook":{"notebookId":"4"},"clusterId":"c",'
        '"userMetadata":"hi","engineInfo":"Spark","txnId":"x"}}\n{"add":{"path":"a"}}\n'
    ) == {
        "userId": "u",
        "userName": "n",
        "operation": "WRITE",
        "operationParameters": '{"mode":"Append","partitionBy":"[\\"m\\"]"}',
        "readVersion": 0,
        "isolationLevel": "Serializable",
        "isBlindAppend": True,
        "operationMetrics": '{"numFiles":"1"}',
        "job": '{"jobId":"3"}',
        "notebook": '{"notebookId":"4"}',
        "clusterId": "c",
        "userMetadata": "hi",
        "engineInfo": "Spark",
    }


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ({"operationParameters": {"auto": False, "by": ["a"], "n": None}}, {"operationParameters": '{"auto":false,"by":["a"],"n":null}'}),
        ({"operationParameters": "free text"}, {"operationParameters": '"free text"'}),
        ({"operationMetrics": {"num_added_rows": 5, "time": 1.5}}, {"operationMetrics": '{"num_added_rows":5,"time":1.5}'}),
        ({"isBlindAppend": "True", "readVersion": "12", "userId": 7}, {"isBlindAppend": True, "readVersion": 12, "userId": "7"}),
        ({"isBlindAppend": 1, "readVersion": 1.5, "operation": None}, {}),
        ({"readVersion": True}, {}),
        ({"readVersion": 2**63}, {}),
        ({"userMetadata": {"a": [1]}, "engineInfo": ["x"]}, {"userMetadata": '{"a":[1]}', "engineInfo": '["x"]'}),
        ({"operation": "MERGE ü 日本"}, {"operation": "MERGE ü 日本"}),
        ({}, {}),
    ],
)
def test_what_writers_put_down_instead(info: dict[str, object], expected: dict[str, object]) -> None:
    assert row(json.dumps({"commitInfo": info})) == expected
    assert row(json.dumps({"commitInfo": info}, indent=2) + '\n{"add":{"path":"a"}}') == expected


@pytest.mark.parametrize(
    "data",
    [
        b'{"add":{"path":"a"}}',
        b'{"add":{"path":"\\"commitInfo\\""}}',
        b'{"commitInfo":null}',
        b'{"commitInfo":[1]}',
        b'{"add":{"commitInfo":{"operation":"no"}}}',
    ],
)
def test_a_commit_without_information(data: bytes) -> None:
    assert row(data) == {}


def test_information_in_any_line() -> None:
    lines = [b'{"add":{"path":"%d","tags":{"a":"\\"commitInfo\\""}}}' % i for i in range(1000)]
    assert row(b"\n".join([*lines, b'{"commitInfo":{"operation":"LATE"}}', *lines])) == {"operation": "LATE"}


def test_numbers_json_does_not_have() -> None:
    assert row(b'{"commitInfo":{"operationMetrics":{"a":NaN,"b":' + b"1" * 30 + b"}}}") == {"operationMetrics": '{"a":null,"b":' + "1" * 30 + "}"}


@pytest.mark.parametrize("data", [b'{"commitInfo":{"a":', b'{"commitInfo" {}}', b'{"commitInfo":{"a":"\xff"}}'])
def test_a_damaged_commit_is_named(data: bytes) -> None:
    with pytest.raises(MetadataError, match=r"commit 7, line 1"):
        row(data)


def test_every_commit_of_the_corpus() -> None:
    named = 0
    for table in delta_tables():
        found = list(commits(table))
        rows = history_rows((c.version, c.data, c.version) for c in found).to_pylist()
        for commit, told in zip(found, rows, strict=True):
            info = next((a["commitInfo"] for a in commit.actions if a.get("commitInfo")), {})
            assert told["operation"] == info.get("operation")
            assert (told["operationParameters"] and json.loads(told["operationParameters"])) == info.get("operationParameters")
            assert (told["operationMetrics"] and json.loads(told["operationMetrics"])) == info.get("operationMetrics")
            named += "operation" in info
    assert named > 400
