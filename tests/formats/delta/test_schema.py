"""The table schema in both its forms."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.delta.corpus_log import commits, delta_tables
from formats.delta.unhurried import unhurried
from lakesql.errors import Error, MetadataError, UnsupportedFeatureError
from lakesql.formats.delta.features import check_protocol
from lakesql.formats.delta.schema import MAX_DEPTH, ColumnMapping, TableSchema, parse_schema
from lakesql.formats.delta.types import VARIANT, can_widen


def column(name: str, type_: Any, **metadata: Any) -> dict[str, Any]:
    return {"name": name, "type": type_, "nullable": False, "metadata": {k.replace("__", "."): v for k, v in metadata.items()}}


def mapped(name: str, type_: Any, id_: int, physical: str | None = None) -> dict[str, Any]:
    return column(name, type_, delta__columnMapping__id=id_, delta__columnMapping__physicalName=physical or f"col-{id_}")


def struct(*fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "struct", "fields": list(fields)}


def array(element: Any) -> dict[str, Any]:
    return {"type": "array", "elementType": element, "containsNull": False}


def map_(key: Any, value: Any) -> dict[str, Any]:
    return {"type": "map", "keyType": key, "valueType": value, "valueContainsNull": False}


def parse(*fields: dict[str, Any], mapping: ColumnMapping = ColumnMapping.NONE) -> TableSchema:
    return parse_schema(json.dumps(struct(*fields)), source="version 3", mapping=mapping)


def parse_type(type_: Any) -> pa.DataType:
    return parse(column("c", type_)).logical.field("c").type


@pytest.mark.parametrize(
    ("name", "type_"),
    [
        ("string", pa.string()),
        ("long", pa.int64()),
        ("integer", pa.int32()),
        ("short", pa.int16()),
        ("byte", pa.int8()),
        ("float", pa.float32()),
        ("double", pa.float64()),
        ("boolean", pa.bool_()),
        ("binary", pa.binary()),
        ("date", pa.date32()),
        ("timestamp", pa.timestamp("us", "UTC")),
        ("timestamp_ntz", pa.timestamp("us")),
        ("void", pa.null()),
        ("null", pa.null()),
        ("decimal", pa.decimal128(10, 0)),
        ("decimal(38,18)", pa.decimal128(38, 18)),
        ("decimal( 5 , 5 )", pa.decimal128(5, 5)),
        ("char(3)", pa.string()),
        ("varchar(10)", pa.string()),
        ("string collate UTF8_LCASE", pa.string()),
        ("interval year to month", pa.int32()),
        ("interval month", pa.int32()),
        ("interval day to second", pa.int64()),
        ("interval hour", pa.int64()),
        ("geometry(SRID:0)", pa.binary()),
        ("geography", pa.binary()),
        ("variant", VARIANT),
        ({"type": "variant"}, VARIANT),
        ({"type": "long"}, pa.int64()),
        (array("long"), pa.list_(pa.field("element", pa.int64()))),
        (map_("string", "decimal"), pa.map_(pa.field("key", pa.string(), nullable=False), pa.field("value", pa.decimal128(10, 0)))),
        ({"type": "udt", "class": "org.apache.spark.ml.linalg.VectorUDT", "sqlType": array("double")}, pa.list_(pa.field("element", pa.float64()))),
        (struct(), pa.struct([])),
        (struct(column("a", "void"), column("b", "byte")), pa.struct([("a", pa.null()), ("b", pa.int8())])),
    ],
)
def test_types(name: Any, type_: pa.DataType) -> None:
    assert parse_type(name).equals(type_)


def test_everything_is_nullable() -> None:
    schema = parse(column("s", struct(column("a", array(map_("string", struct(column("b", "long"))))))))

    def check(field: pa.Field) -> None:
        assert field.nullable or field.name in ("key", "entries", "key_value"), field
        for i in range(field.type.num_fields):
            check(field.type.field(i))

    for field in (*schema.logical, *schema.physical):
        check(field)


def test_notes_that_arrow_does_not_hold() -> None:
    schema = parse(
        column("g", "geography(OGC:CRS84, vincenty)"),
        column("h", "geometry(SRID:4326)"),
        column("v", "variant"),
        column("i", "interval day to hour"),
        column("m", map_("string", "geometry(SRID:0)")),
        column("e", "geography(OGC:CRS84)"),
    )
    for each in (schema.logical, schema.physical):
        assert each.field("g").metadata == {
            b"delta.type": b"geography(OGC:CRS84, vincenty)",
            b"geo.encoding": b"WKB",
            b"geo.crs": b"OGC:CRS84",
            b"geo.edges": b"vincenty",
        }
        assert each.field("h").metadata[b"geo.crs"] == b"SRID:4326"
        assert each.field("v").metadata == {b"delta.type": b"variant"}
        assert each.field("i").metadata == {b"delta.type": b"interval day to hour"}
        assert each.field("m").type.item_field.metadata[b"geo.crs"] == b"SRID:0"
        assert each.field("e").metadata[b"geo.edges"] == b"spherical"


def test_void_and_variant_are_marked() -> None:
    schema = parse(
        column("v", "void"),
        column("s", struct(column("v", "void"))),
        column("a", array("variant")),
        column("m", map_("string", "variant")),
        column("j", "variant"),
        column("twin", struct(column("metadata", "binary"), column("value", "binary"))),
    )
    assert [c.name for c in schema.columns if c.void] == ["v"]
    assert [c.name for c in schema.columns if c.variant] == ["a", "m", "j"]


NESTED = (
    mapped("Id", "long", 1),
    mapped("s", struct(mapped("a", "long", 3), mapped("b.c", array(struct(mapped("x", "date", 7))), 4)), 2),
    mapped("m", map_("string", struct(mapped("y", "string", 6))), 5),
)


@pytest.mark.parametrize("mapping", [ColumnMapping.NAME, ColumnMapping.ID])
def test_column_mapping_at_every_depth(mapping: ColumnMapping) -> None:
    schema = parse(*NESTED, mapping=mapping)
    assert schema.physical.names == ["col-1", "col-2", "col-5"]
    assert [f.name for f in schema.physical.field("col-2").type] == ["col-3", "col-4"]
    assert schema.physical.field("col-2").type.field("col-4").type.value_type.field(0).name == "col-7"
    assert schema.physical.field("col-5").type.item_type.field(0).name == "col-6"
    assert schema.logical.field("s").type.field("b.c").type.value_type.field(0).name == "x"
    ids = {b"PARQUET:field_id": b"7"}
    assert schema.logical.field("s").type.field("b.c").type.value_type.field(0).metadata == ids
    assert schema.physical.field("col-2").type.field("col-4").type.value_type.field(0).metadata == (ids if mapping is ColumnMapping.ID else None)


def test_without_mapping_names_stay_and_ids_are_ignored() -> None:
    schema = parse(*NESTED)
    assert schema.logical.equals(schema.physical, check_metadata=True)
    assert schema.logical.names == ["Id", "s", "m"]
    assert schema.logical.field("Id").metadata is None


def test_paths() -> None:
    schema = parse(*NESTED, mapping=ColumnMapping.NAME)
    assert schema.physical_path(("id",)) == ("col-1",)
    assert schema.physical_path(("s", "b.c")) == ("col-2", "col-4")
    assert schema.physical_path(("S", "A")) == ("col-2", "col-3")
    assert schema.physical_path(("s", "b", "c")) is None
    assert schema.physical_path(("s", "b.c", "x")) is None
    assert schema.physical_path(("m", "y")) is None
    assert schema.physical_path(("nope",)) is None
    assert schema.physical_path(()) is None
    assert schema.column("ID") is schema.columns[0]
    assert schema.column("nope") is None
    assert schema.columns[0].metadata["delta.columnMapping.id"] == 1


@pytest.mark.parametrize(
    ("fields", "mapping", "message"),
    [
        ((column("a", "long"), column("A", "long")), ColumnMapping.NONE, "two columns have one name, but for case: a"),
        ((column("s", struct(column("x", "long"), column("X", "long"))),), ColumnMapping.NONE, "column s: two columns have one name"),
        ((column("a", "long"),), ColumnMapping.NAME, "column a: column mapping is on, and its delta.columnMapping.physicalName is None"),
        ((column("a", "long", delta__columnMapping__physicalName="p"),), ColumnMapping.ID, "column a: .*delta.columnMapping.id is None"),
        ((mapped("a", "long", 1, "p"), mapped("b", "long", 2, "p")), ColumnMapping.NAME, "two columns have one physical name: p"),
        ((mapped("a", "long", 1, "p"), mapped("b", "long", 1, "q")), ColumnMapping.ID, "column b: .*1 is that of column a as well"),
        ((mapped("a", "long", -1),), ColumnMapping.ID, "id is -1"),
        ((column("a", "decimal(39,1)"),), ColumnMapping.NONE, r"column a: its type is decimal\(39,1\); a decimal has 1 to 38 digits"),
        ((column("a", "decimal(3,4)"),), ColumnMapping.NONE, "column a: its type is"),
        ((column("a", "decimal(3,-4)"),), ColumnMapping.NONE, "column a: its type is"),
        ((column("a", 7),), ColumnMapping.NONE, "column a: its type is '7'"),
        ((column("a", None),), ColumnMapping.NONE, "column a: its type is 'None'"),
        ((column("a", {"type": "array"}),), ColumnMapping.NONE, "column a.element: its type is 'None'"),
        ((column("a", {"type": "struct"}),), ColumnMapping.NONE, "column a: a struct's fields are 'None'"),
        ((5,), ColumnMapping.NONE, "a field has no name"),
        (({"name": 3, "type": "long"},), ColumnMapping.NONE, "a field has no name"),
        (({"name": "a", "type": "long", "metadata": [1]},), ColumnMapping.NONE, "column a: its metadata is"),
        ((column("a", "long", delta__typeChanges="x"),), ColumnMapping.NONE, "column a: its delta.typeChanges is"),
    ],
)
def test_what_is_no_schema(fields: tuple[Any, ...], mapping: ColumnMapping, message: str) -> None:
    with pytest.raises(MetadataError, match=rf"^version 3: .*{message}"):
        parse(*fields, mapping=mapping)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '"struct"', '{"type":"struct"}', '{"type":"array","fields":[]}', "\x00", '{"type":' * 100_000])
def test_text_that_is_no_schema(text: str) -> None:
    with pytest.raises(MetadataError, match=r"^version 3: "):
        parse_schema(text, source="version 3", mapping=ColumnMapping.NONE)


def test_a_table_without_a_schema() -> None:
    with pytest.raises(MetadataError, match=r"the table metadata has no schema"):
        parse_schema(None, source="version 3", mapping=ColumnMapping.NONE)  # type: ignore[arg-type]
    assert parse().columns == ()


@pytest.mark.parametrize("name", ["timestamp_nanos", "interval", "geometry(1,2,3)", "object", "money(3)", ""])
def test_an_unknown_type_is_refused_by_name_and_column(name: str) -> None:
    with pytest.raises(UnsupportedFeatureError, match=r"is not supported: column s.element.x, version 3") as caught:
        parse(column("s", array(struct(column("x", name)))))
    assert caught.value.feature == f"type {name}"


def test_hostile_nesting() -> None:
    text = '{"type":"array","elementType":' * 5000 + '"long"' + "}" * 5000
    with pytest.raises(MetadataError):
        parse_schema('{"type":"struct","fields":[{"name":"a","type":' + text + "}]}", source="version 3", mapping=ColumnMapping.NONE)
    deep: Any = "long"
    for _ in range(MAX_DEPTH - 1):
        deep = array(deep)
    parse_type(deep)
    with pytest.raises(MetadataError, match=rf"nested more than {MAX_DEPTH} levels deep"):
        parse_type(array(array(deep)))


@pytest.mark.parametrize(
    ("old", "new", "allowed"),
    [
        ("byte", "short", True),
        ("byte", "long", True),
        ("short", "integer", True),
        ("integer", "long", True),
        ("long", "integer", False),
        ("float", "double", True),
        ("double", "float", False),
        ("byte", "double", True),
        ("integer", "double", True),
        ("long", "double", False),
        ("date", "timestamp_ntz", True),
        ("date", "timestamp", False),
        ("timestamp_ntz", "timestamp", False),
        ("decimal(10,2)", "decimal(20,5)", True),
        ("decimal(10,2)", "decimal(12,4)", True),
        ("decimal(10,2)", "decimal(12,5)", False),
        ("decimal(10,2)", "decimal(9,2)", False),
        ("decimal(10,2)", "decimal(11,1)", False),
        ("byte", "decimal(10,0)", True),
        ("byte", "decimal(4,1)", True),
        ("byte", "decimal(3,1)", False),
        ("integer", "decimal(11,1)", True),
        ("integer", "decimal(10,1)", False),
        ("long", "decimal(20,0)", True),
        ("long", "decimal(21,1)", True),
        ("long", "decimal(10,0)", False),
        ("void", "string", True),
        ("string", "long", False),
        ("string", "binary", False),
        ("float", "decimal(38,0)", False),
        ("byte", "float", False),
        ("long", "string", False),
    ],
)
def test_type_changes(old: str, new: str, allowed: bool) -> None:
    assert can_widen(old, new) is allowed
    field = column("c", array(new), delta__typeChanges=[{"fromType": old, "toType": new, "fieldPath": "element"}])
    if allowed:
        parse(field)
    else:
        with pytest.raises(UnsupportedFeatureError, match=r"the change of column c.element from .* is not supported: version 3") as caught:
            parse(field)
        assert old in str(caught.value)
        assert new in str(caught.value)


def test_every_change_is_looked_at_and_nested_ones_too() -> None:
    fine, bad = {"fromType": "byte", "toType": "short", "tableVersion": 2}, {"fromType": {"type": "struct"}, "toType": "long"}
    parse(column("c", "short", delta__typeChanges=[fine]))
    with pytest.raises(UnsupportedFeatureError, match=r"column s.c"):
        parse(column("s", struct(column("c", "long", delta__typeChanges=[fine, bad]))))


def test_a_wide_schema() -> None:
    fields = [mapped(f"c{i}", ["long", "string", "decimal(10,2)", array("date")][i % 4], i) for i in range(2000)]
    text = json.dumps(struct(*fields))
    schema = parse_schema(text, source="version 3", mapping=ColumnMapping.ID)
    paths = [schema.physical_path((f"c{i}",)) for i in range(2000)]
    assert paths[7] == ("col-7",)


def test_every_schema_of_the_corpus() -> None:
    seen = set()
    for table in delta_tables():
        for commit in commits(table):
            if commit.protocol is None or commit.metadata is None or "schemaString" not in commit.metadata:
                continue
            try:
                features = check_protocol(commit.protocol, commit.metadata.get("configuration") or {}, version=commit.version, location=str(table))
            except Error:
                continue
            text = commit.metadata["schemaString"]
            schema = parse_schema(text, source=str(table), mapping=features.column_mapping)
            assert schema.logical.names == [f["name"] for f in json.loads(text)["fields"]]
            assert len(schema.physical.names) == len(schema.columns)
            seen.add(text)
    assert len(seen) > 120


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["struct", "array", "map", "long", "decimal(3,1)", "void", "a", "A", "name"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "fields", "name", "metadata", "elementType", "keyType", "valueType", "delta.typeChanges"]), inner, max_size=5
        )
    ),
    max_leaves=20,
)


@unhurried
@given(JSON_VALUES)
def test_no_json_breaks_it(value: Any) -> None:
    for mapping in ColumnMapping:
        try:
            schema = parse_schema(json.dumps({"type": "struct", "fields": [value, {"name": "c", "type": value}]}), source="version 3", mapping=mapping)
        except Error as error:
            told = str(error)
        else:
            told = f"version 3: {len(schema.columns)} columns"
        assert "version 3" in told
