"""Types out of schema JSON and as Arrow, and schema files."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest

from lakesql.errors import MetadataError, NotATableError, UnsupportedFeatureError
from lakesql.formats.paimon.json_files import JsonFile
from lakesql.formats.paimon.schemas import Schemas, parse_schema
from lakesql.formats.paimon.types import FIELD_ID, arrow_field, arrow_type, parse_field, parse_type
from lakesql.storage import MemoryStorage

# Types ---------------------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spelled", "text", "arrow"),
    [
        ("INT NOT NULL", "INT NOT NULL", pa.int32()),
        ("INTEGER", "INT", pa.int32()),
        ("TINYINT", "TINYINT", pa.int8()),
        ("SMALLINT", "SMALLINT", pa.int16()),
        ("BIGINT", "BIGINT", pa.int64()),
        ("FLOAT", "FLOAT", pa.float32()),
        ("DOUBLE PRECISION", "DOUBLE", pa.float64()),
        ("BOOLEAN", "BOOLEAN", pa.bool_()),
        ("STRING", "STRING", pa.string()),
        ("VARCHAR(2147483647)", "STRING", pa.string()),
        ("varchar(10) not null", "VARCHAR(10) NOT NULL", pa.string()),
        ("CHAR", "CHAR(1)", pa.string()),
        ("BYTES", "BYTES", pa.binary()),
        ("BINARY(4)", "BINARY(4)", pa.binary()),
        ("VARBINARY(2147483647)", "BYTES", pa.binary()),
        ("DECIMAL", "DECIMAL(10, 0)", pa.decimal128(10, 0)),
        ("DECIMAL(38,18)", "DECIMAL(38, 18)", pa.decimal128(38, 18)),
        ("NUMERIC(5)", "DECIMAL(5, 0)", pa.decimal128(5, 0)),
        ("DATE", "DATE", pa.date32()),
        ("TIME", "TIME(0)", pa.time32("ms")),
        ("TIME(9)", "TIME(9)", pa.time32("ms")),
        ("TIMESTAMP", "TIMESTAMP(6)", pa.timestamp("us")),
        ("TIMESTAMP(0)", "TIMESTAMP(0)", pa.timestamp("ms")),
        ("TIMESTAMP(3)", "TIMESTAMP(3)", pa.timestamp("ms")),
        ("TIMESTAMP(6) WITHOUT TIME ZONE", "TIMESTAMP(6)", pa.timestamp("us")),
        ("TIMESTAMP(7)", "TIMESTAMP(7)", pa.timestamp("ns")),
        ("TIMESTAMP(3) WITH LOCAL TIME ZONE", "TIMESTAMP(3) WITH LOCAL TIME ZONE", pa.timestamp("ms", tz="UTC")),
        ("TIMESTAMP_LTZ(9) NOT NULL", "TIMESTAMP(9) WITH LOCAL TIME ZONE NOT NULL", pa.timestamp("ns", tz="UTC")),
        ("VARIANT", "VARIANT", pa.string()),
        ("BLOB", "BLOB", pa.large_binary()),
    ],
)
def test_atomic_types(spelled: str, text: str, arrow: pa.DataType) -> None:
    found = parse_type(spelled, "test")
    assert str(found) == text
    assert arrow_type(found) == arrow
    assert str(parse_type(text, "test")) == text


def test_nested_types() -> None:
    json_ = {
        "type": "ROW NOT NULL",
        "nullable": False,  # an addition of Python's writer
        "fields": [
            {"id": 7, "name": "a", "type": {"type": "ARRAY", "element": "INT NOT NULL", "nullable": True}},
            {"id": 8, "name": "m", "type": {"type": "MAP NOT NULL", "key": "STRING", "value": "TIMESTAMP_LTZ(3)"}},
            {"id": 9, "name": "s", "type": {"type": "MULTISET", "element": "STRING"}},
            {"id": 10, "name": "v", "type": {"type": "VECTOR", "element": "FLOAT", "length": 3}},
        ],
    }
    found = parse_type(json_, "test")
    assert not found.nullable
    assert [c.id for c in found.children] == [7, 8, 9, 10]
    arrow = arrow_type(found)
    assert arrow.field("a").type == pa.list_(pa.field("element", pa.int32()))
    assert arrow.field("m").type == pa.map_(pa.string(), pa.timestamp("ms", tz="UTC"))
    assert arrow.field("s").type == pa.map_(pa.string(), pa.int32())
    assert arrow.field("v").type == pa.list_(pa.field("element", pa.float32()), 3)
    assert (
        str(found)
        == "ROW<`a` ARRAY<INT NOT NULL>, `m` MAP<STRING, TIMESTAMP(3) WITH LOCAL TIME ZONE> NOT NULL, `s` MULTISET<STRING>, `v` VECTOR<FLOAT, 3>> NOT NULL"
    )


def test_fields_in_arrow() -> None:
    """Nullable whatever the type says, since writers store nulls in NOT NULL columns."""
    field = arrow_field(parse_field({"id": 3, "name": "x", "type": "INT NOT NULL", "description": "an x"}, "test", lambda: 0))
    assert field.nullable
    assert field.metadata == {FIELD_ID: b"3", b"comment": b"an x"}


@pytest.mark.parametrize("spelled", ["GEOMETRY", "INT(3)", "TIME(3) WITH LOCAL TIME ZONE", "TIMESTAMP(3) WITH TIME ZONE", "STRING(3)", "DECIMAL(1,2,3)", ""])
def test_types_that_are_not_known(spelled: str) -> None:
    with pytest.raises(UnsupportedFeatureError, match="does not know the type"):
        parse_type(spelled, '"schema-0", field "x"')


@pytest.mark.parametrize(
    ("spelled", "message"),
    [
        ("DECIMAL(39, 0)", "from 1 to 38"),
        ("DECIMAL(5, 6)", "from 0 to 5"),
        ("TIMESTAMP(10)", "from 0 to 9"),
        ({"type": "ROW", "fields": []}, "fields of a ROW"),
        ({"type": "VECTOR", "element": "INT", "length": 0}, "length of a VECTOR"),
        ({"type": "ARRAY"}, "element: a type is"),
        (7, "a type is text or an object"),
        ({"type": "ROW", "fields": [{"id": "x", "name": "a", "type": "INT"}]}, "the id of field"),
        ({"type": "ROW", "fields": [{"id": 1, "type": "INT"}]}, "an object with a name"),
    ],
)
def test_types_that_make_no_sense(spelled: Any, message: str) -> None:
    with pytest.raises(MetadataError, match=message):
        parse_type(spelled, "test")


def test_types_that_nest_without_end() -> None:
    nested: Any = "INT"
    for _ in range(100):
        nested = {"type": "ARRAY", "element": nested}
    with pytest.raises(MetadataError, match="nest more than"):
        parse_type(nested, "test")


# Schema files --------------------------------------------------------------------------------------------------------------------------------------


def schema(**changes: Any) -> dict[str, Any]:
    """A schema's content with some keys changed; None takes one away."""
    content = {
        "version": 3,
        "id": 0,
        "fields": [{"id": 0, "name": "k", "type": "INT NOT NULL"}, {"id": 4, "name": "p", "type": "STRING"}],
        "highestFieldId": 4,
        "partitionKeys": ["p"],
        "primaryKeys": ["p", "k"],
        "options": {"bucket": "2"},
        "comment": "some table",
        "timeMillis": 1_700_000_000_000,
    }
    return {k: v for k, v in {**content, **changes}.items() if v is not None}


def parsed(**changes: Any) -> Any:
    return parse_schema(JsonFile.parse("schema/schema-0", json.dumps(schema(**changes)).encode()))


def test_a_schema() -> None:
    found = parsed(unknown="ignored")
    assert (found.id, found.partition_keys, found.primary_keys, found.comment) == (0, ("p",), ("p", "k"), "some table")
    assert [f.name for f in found.trimmed_primary_key] == ["k"]
    assert [f.name for f in found.bucket_key] == ["k"]
    assert found.arrow.names == ["k", "p"]


def test_a_key_of_partition_columns_alone_is_not_trimmed() -> None:
    assert [f.name for f in parsed(primaryKeys=["p"]).trimmed_primary_key] == ["p"]


def test_what_old_versions_leave_out() -> None:
    """Without a version it is 1, which has one bucket; both that and version 2 write ORC."""
    first = parsed(version=None, options={})
    assert first.options == {"bucket": "1", "file.format": "orc"}
    assert parsed(version=2, options={"bucket": "3"}).options == {"bucket": "3", "file.format": "orc"}
    assert parsed(version=1, options={"bucket": "3", "file.format": "avro"}).options == {"bucket": "3", "file.format": "avro"}
    assert parsed(options={}).options == {}


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"version": 4}, UnsupportedFeatureError, "has version 4"),
        ({"fields": "k INT"}, MetadataError, "fields must be a list"),
        ({"fields": [{"id": 0, "name": "k", "type": "INT"}] * 2}, MetadataError, 'two columns are called "k"'),
        ({"fields": [{"id": 0, "name": "k", "type": "INT"}, {"id": 0, "name": "p", "type": "INT"}]}, MetadataError, "two columns have the same id"),
        ({"primaryKeys": ["x"]}, MetadataError, 'primaryKeys names "x"'),
        ({"partitionKeys": ["x"]}, MetadataError, 'partitionKeys names "x"'),
        ({"partitionKeys": "p"}, MetadataError, "partitionKeys must be a list of texts"),
        ({"options": ["a"]}, MetadataError, "options must be an object"),
        ({"id": "0"}, MetadataError, "id must be a whole number"),
        ({"fields": [{"id": 0, "name": "k", "type": "INT"}, {"id": 1, "name": "p", "type": {"type": "ARRAY", "element": "INT"}}]}, MetadataError, "is of type"),
    ],
)
def test_schemas_that_are_refused(changes: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        parsed(**changes)


def test_a_bucket_key_that_is_no_column() -> None:
    with pytest.raises(MetadataError, match='bucket-key names "x"'):
        _ = parsed(options={"bucket-key": "k,x"}).bucket_key


def _stored(*ids: int, **more: str) -> MemoryStorage:
    return MemoryStorage({f"t/schema/schema-{i}": json.dumps(schema(id=i)) for i in ids} | {f"t/schema/{n}": c for n, c in more.items()})


def test_the_newest_schema_has_the_highest_number() -> None:
    storage = _stored(0, 9, 10)
    storage.files["t/schema/schema-11-a-temporary.tmp"] = b""
    found = Schemas(storage, "t").now()
    assert found.latest().id == 10
    assert [s.id for s in found.all()] == [0, 9, 10]
    with pytest.raises(MetadataError, match="no schema 5 in t/schema; there are 0 to 10"):
        found.get(5)


def test_without_a_schema() -> None:
    with pytest.raises(NotATableError, match="has no schema"):
        Schemas(MemoryStorage({"t/snapshot/LATEST": "1"}), "t").now()


def test_a_schema_with_another_number() -> None:
    storage = MemoryStorage({"t/schema/schema-1": json.dumps(schema(id=0))})
    with pytest.raises(MetadataError, match="says that it is schema 0"):
        Schemas(storage, "t").now().latest()


@pytest.mark.parametrize(("content", "message"), [("", "is empty"), ('{"id": 0', "is no JSON"), ("[]", "holds list")])
def test_damaged_schemas(content: str, message: str) -> None:
    with pytest.raises(MetadataError, match=message):
        Schemas(MemoryStorage({"t/schema/schema-0": content}), "t").now().latest()


def test_a_schema_that_changed_is_read_again() -> None:
    """A table that is dropped and made anew counts from 0 again."""
    storage = _stored(0)
    schemas = Schemas(storage, "t")
    assert schemas.now().latest().comment == "some table"
    storage.files["t/schema/schema-0"] = json.dumps(schema(comment="another")).encode()
    storage.modified_us["t/schema/schema-0"] = 5
    assert schemas.now().latest().comment == "another"
