"""Avro files -> Arrow: what is asked for, found by name or by id, in any codec, from any storage."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lakesql import avro
from lakesql.errors import MetadataError, MissingFileError, UnsupportedFeatureError
from lakesql.storage import LocalStorage, MemoryStorage

from .writer import container

ROWS = {
    "type": "record",
    "name": "r",
    "fields": [
        {"name": "id", "type": "int", "field-id": 1},
        {"name": "text", "type": ["null", "string"], "field-id": 2},
        {
            "name": "inner",
            "field-id": 3,
            "type": [
                "null",
                {
                    "type": "record",
                    "name": "inner",
                    "fields": [{"name": "a", "type": "long", "field-id": 4}, {"name": "b", "type": ["string", "null"], "field-id": 5}],
                },
            ],
        },
        {"name": "items", "field-id": 6, "type": ["null", {"type": "array", "items": ["null", "int"], "element-id": 7}]},
        {
            "name": "pairs",
            "field-id": 8,
            "type": {
                "type": "array",
                "logicalType": "map",
                "items": {
                    "type": "record",
                    "name": "kv",
                    "fields": [{"name": "key", "type": "int", "field-id": 9}, {"name": "value", "type": "bytes", "field-id": 10}],
                },
            },
        },
        {"name": "named", "field-id": 11, "type": {"type": "map", "values": ["null", "double"]}},
        {"name": "day", "field-id": 12, "type": ["null", {"type": "int", "logicalType": "date"}]},
        {"name": "at", "field-id": 13, "type": {"type": "long", "logicalType": "timestamp-micros", "adjust-to-utc": False}},
        {"name": "price", "field-id": 14, "type": {"type": "fixed", "name": "dec", "size": 4, "logicalType": "decimal", "precision": 9, "scale": 2}},
    ],
}


def row(number: int) -> dict[str, Any]:
    return {
        "id": number,
        "text": None if number % 3 == 0 else f"é{number}",
        "inner": None if number % 4 == 0 else {"a": number * 10, "b": None if number % 2 else "b"},
        "items": None if number % 5 == 0 else [number, None],
        "pairs": [{"key": k, "value": bytes([k])} for k in range(number % 3)],
        "named": {"x": 1.5, "y": None} if number % 2 else {},
        "day": None if number == 1 else number,
        "at": number * 1_000_000,
        "price": (number * 100 - 5).to_bytes(4, "big", signed=True),
    }


WANTED = pa.schema(
    [
        ("text", pa.string()),
        ("id", pa.int64()),
        ("inner", pa.struct([("b", pa.string()), ("gone", pa.int32())])),
        ("items", pa.list_(pa.int64())),
        ("pairs", pa.map_(pa.int32(), pa.binary())),
        ("named", pa.map_(pa.string(), pa.float64())),
        ("day", pa.date32()),
        ("at", pa.timestamp("us")),
        ("price", pa.decimal128(12, 2)),
        ("absent", pa.list_(pa.int32())),
    ]
)


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage()


def written(folder: Path, content: bytes, name: str = "rows.avro") -> str:
    path = folder / name
    path.write_bytes(content)
    return str(path)


@pytest.mark.parametrize("codec", ["null", "deflate", "snappy", "zstandard"])
def test_all_kinds_of_fields(storage: LocalStorage, tmp_path: Path, codec: str) -> None:
    path = written(tmp_path, container(ROWS, map(row, range(250)), codec=codec))
    table = avro.read(storage, path, WANTED)
    assert table.schema == WANTED
    assert table.num_rows == 250
    assert table["id"].to_pylist() == list(range(250))
    got = table.slice(5, 1).to_pylist()[0]
    assert got["text"] == "é5"
    assert got["inner"] == {"b": None, "gone": None}
    assert got["items"] is None
    assert got["pairs"] == [(0, b"\0"), (1, b"\x01")]
    assert got["named"] == [("x", 1.5), ("y", None)]
    assert got["at"].isoformat() == "1970-01-01T00:00:05"
    assert got["price"] == Decimal("4.95")
    assert got["absent"] is None
    assert table["inner"][4].as_py() is None
    assert table["day"][1].as_py() is None
    assert table["day"][3].as_py().isoformat() == "1970-01-04"


def test_fields_by_id_whatever_their_names(storage: LocalStorage, tmp_path: Path) -> None:
    def field(name: str, type_: pa.DataType, id_: int) -> pa.Field:
        return pa.field(name, type_, metadata={"PARQUET:field_id": str(id_)})

    wanted = pa.schema([field("text", pa.int32(), 1), field("s", pa.struct([field("a", pa.string(), 5)]), 3), field("id", pa.string(), 99)])
    path = written(tmp_path, container(ROWS, map(row, range(3))))
    table = avro.read(storage, path, wanted, avro.Match.ID)
    assert table.to_pylist() == [{"text": 0, "s": None, "id": None}, {"text": 1, "s": {"a": None}, "id": None}, {"text": 2, "s": {"a": "b"}, "id": None}]


def test_names_where_a_file_has_no_ids(storage: LocalStorage, tmp_path: Path) -> None:
    schema = {"type": "record", "name": "r", "fields": [{"name": "Breed_x20Name", "type": "string"}]}
    wanted = pa.schema([pa.field("Breed Name", pa.string(), metadata={"PARQUET:field_id": "1"})])
    table = avro.read(storage, written(tmp_path, container(schema, [{"Breed_x20Name": "Rex"}])), wanted, avro.Match.ID)
    assert table.to_pylist() == [{"Breed Name": "Rex"}]


def test_a_record_without_fields_takes_no_bytes(storage: LocalStorage, tmp_path: Path) -> None:
    """apache/datafusion#25022: every manifest of an unpartitioned Iceberg table has one."""
    empty = {"type": "record", "name": "r102", "fields": []}
    file = {"type": "record", "name": "r2", "fields": [{"name": "partition", "type": empty}, {"name": "size", "type": "int"}]}
    schema = {"type": "record", "name": "e", "fields": [{"name": "none", "type": "r0"}, {"name": "n", "type": "long"}, {"name": "file", "type": file}]}
    schema["fields"][0]["type"] = {**empty, "name": "r0"}
    records = [{"none": {}, "n": n, "file": {"partition": {}, "size": n * 2}} for n in range(7)]
    path = written(tmp_path, container(schema, records, codec="deflate"))
    wanted = pa.schema([("n", pa.int64()), ("file", pa.struct([("partition", pa.struct([("day", pa.date32())])), ("size", pa.int64())]))])
    table = avro.read(storage, path, wanted)
    assert table["n"].to_pylist() == list(range(7))
    assert table["file"].to_pylist() == [{"partition": None, "size": n * 2} for n in range(7)]


def test_a_file_without_rows(storage: LocalStorage, tmp_path: Path) -> None:
    assert avro.read(storage, written(tmp_path, container(ROWS, [])), WANTED) == WANTED.empty_table()


def test_rows_are_counted_where_no_field_is_read(storage: LocalStorage, tmp_path: Path) -> None:
    table = avro.read(storage, written(tmp_path, container(ROWS, map(row, range(5)))), pa.schema([("absent", pa.int32())]))
    assert table.num_rows == 5


def test_many_files_keep_their_order(storage: LocalStorage, tmp_path: Path) -> None:
    paths = [written(tmp_path, container(ROWS, map(row, range(n)), codec="deflate"), f"f {n}%20[x]?.avro") for n in (3, 0, 250, 1)]
    tables = avro.read_all(storage, paths, pa.schema([("id", pa.int32())]))
    assert [t.num_rows for t in tables] == [3, 0, 250, 1]
    assert tables[2]["id"].to_pylist() == list(range(250))


def test_files_of_an_object_store() -> None:
    storage = MemoryStorage({"s3://bucket/rows.avro": container(ROWS, map(row, range(3)))})
    assert avro.read(storage, "s3://bucket/rows.avro", pa.schema([("id", pa.int32())]))["id"].to_pylist() == [0, 1, 2]
    assert storage.reads == {"s3://bucket/rows.avro": 1}


def test_the_header_alone(storage: LocalStorage, tmp_path: Path) -> None:
    path = written(tmp_path, container(ROWS, map(row, range(3)), codec="deflate", metadata={"partition-spec-id": b"7", "long": b"x" * 100_000}))
    header = avro.read_header(storage, path)
    assert (header.codec, header.metadata["partition-spec-id"], len(header.metadata["long"])) == ("deflate", b"7", 100_000)
    assert set(avro.field_ids(header.schema)) >= {1, 2, 3, 4, 5, 6, 8, 9, 10, 14}


def test_a_schema_made_from_the_header(storage: LocalStorage, tmp_path: Path) -> None:
    path = written(tmp_path, container(ROWS, map(row, range(2))))
    table = avro.read(storage, path, lambda header: pa.schema([(header.schema["fields"][0]["name"], pa.int32())]))
    assert table.column_names == ["id"]


def test_missing_and_foreign_files(storage: LocalStorage, tmp_path: Path) -> None:
    with pytest.raises(MissingFileError):
        avro.read(storage, str(tmp_path / "none.avro"), WANTED)
    with pytest.raises(MetadataError, match="is no Avro file"):
        avro.read(storage, written(tmp_path, b"PAR1 and more"), WANTED)
    with pytest.raises(MetadataError, match="is empty"):
        avro.read(storage, written(tmp_path, b""), WANTED)
    with pytest.raises(UnsupportedFeatureError, match="is encrypted"):
        avro.read(storage, written(tmp_path, b"AGS1" + bytes(100)), WANTED)
    with pytest.raises(UnsupportedFeatureError, match="compressed with 'lz9'"):
        avro.read(storage, written(tmp_path, container(ROWS, [], codec="lz9")), WANTED)


def test_values_and_shapes_that_do_not_fit(storage: LocalStorage, tmp_path: Path) -> None:
    path = written(tmp_path, container(ROWS, map(row, range(300))))
    with pytest.raises(MetadataError, match="field id does not hold values of int8"):
        avro.read(storage, path, pa.schema([("id", pa.int8())]))
    with pytest.raises(MetadataError, match=r"field inner is struct<.* where int32 was expected"):
        avro.read(storage, path, pa.schema([("inner", pa.int32())]))


@pytest.mark.parametrize("codec", ["null", "deflate", "zstandard"])
def test_numbers_of_more_than_64_bits_are_null(storage: LocalStorage, tmp_path: Path, codec: str) -> None:
    """Seen in a manifest list, whose writer chose snapshot ids beyond long."""
    records = [{**row(n), "at": 9876543210123456789 if n == 1 else n} for n in range(3)]
    path = written(tmp_path, container(ROWS, records, codec=codec))
    table = avro.read(storage, path, WANTED)
    assert [None if v is None else v.microsecond for v in table["at"].to_pylist()] == [0, None, 2]
    whole = avro.read(storage, written(tmp_path, container(ROWS, [{**r, "at": 5} for r in records])), WANTED)
    assert table.drop_columns(["at"]).equals(whole.drop_columns(["at"]))


def test_two_schemas_that_differ_in_ids_alone(storage: LocalStorage, tmp_path: Path) -> None:
    """Arrow says they are equal; what was found out for the one must not be taken for the other."""
    path = written(tmp_path, container(ROWS, [row(1)]))
    swapped = [pa.schema([pa.field("a", pa.int64(), metadata={"PARQUET:field_id": id_})]) for id_ in ("1", "99")]
    assert [avro.read(storage, path, s, avro.Match.ID)["a"].to_pylist() for s in swapped] == [[1], [None]]
