"""Which metadata file is read, and what is wrong with those that are not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lakesql.errors import MetadataError, MissingFileError, NotATableError, UnsupportedFeatureError
from lakesql.formats.iceberg import metadata_file
from lakesql.storage import LocalStorage
from lakesql.table import Latest

from .reading import opened, read
from .table_maker import TableMaker


@pytest.fixture
def maker(tmp_path: Path) -> TableMaker:
    made = TableMaker(tmp_path / "t", [("id", "long")])
    made.commit([made.data_file({"id": [1]})])
    made.commit([made.data_file({"id": [2]})])
    return made


def newest(maker: TableMaker) -> str:
    return metadata_file.newest(LocalStorage(), str(maker.root)).rsplit("/", 1)[-1]


def test_the_hint(maker: TableMaker) -> None:
    assert newest(maker) == "v2.metadata.json"


@pytest.mark.parametrize("hint", ["1", "1\n", "", "7", "nonsense", "v1"])
def test_a_hint_that_is_stale_empty_or_wrong(maker: TableMaker, hint: str) -> None:
    (maker.root / "metadata" / "version-hint.text").write_text(hint)
    assert newest(maker) == "v2.metadata.json"


def test_no_hint_and_ten_versions(maker: TableMaker) -> None:
    """v9 sorts behind v10 as text."""
    (maker.root / "metadata" / "version-hint.text").unlink()
    maker.write(name="v9.metadata.json", hint=None)
    maker.write(name="v10.metadata.json", hint=None)
    assert newest(maker) == "v10.metadata.json"


def test_a_version_behind_a_gap_is_not_probed_but_listed(maker: TableMaker) -> None:
    maker.write(name="v4.metadata.json", hint="2")
    assert newest(maker) == "v2.metadata.json"
    (maker.root / "metadata" / "version-hint.text").unlink()
    assert newest(maker) == "v4.metadata.json"


@pytest.mark.parametrize("name", ["v3.gz.metadata.json", "v3.metadata.json.gz", "v3.metadata.json"])
def test_gzip_by_its_first_bytes_whatever_the_name(maker: TableMaker, name: str) -> None:
    maker.write(name=name, compressed=True, hint="3")
    assert newest(maker) == name
    assert read(maker.root, ["id"]) == [(1,), (2,)]


def test_names_of_catalogs(maker: TableMaker) -> None:
    for name in ("00003-5d2c.metadata.json", "00011-aa.metadata.json", "00009-ff.metadata.json"):
        maker.write(name=name, hint=None)
    (maker.root / "metadata" / "version-hint.text").unlink()
    assert newest(maker) == "00011-aa.metadata.json"


def test_two_files_of_one_number(maker: TableMaker) -> None:
    for name in ("00003-a.metadata.json", "00003-b.metadata.json"):
        maker.write(name=name, hint=None)
    (maker.root / "metadata" / "version-hint.text").unlink()
    with pytest.raises(MetadataError, match=r"00003-a\.metadata\.json, 00003-b\.metadata\.json") as caught:
        newest(maker)
    assert "name the right one" in str(caught.value)
    (maker.root / "metadata" / "version-hint.text").write_text("00003-b")  # some writers put the file's stem there
    assert newest(maker) == "00003-b.metadata.json"


@pytest.mark.parametrize("name", ["v2.gz.metadata.json", "v2.metadata.json.gz"])
def test_a_version_that_is_there_plain_and_compressed(maker: TableMaker, name: str) -> None:
    """Two writers that do not compress alike may both have made it."""
    (maker.root / "metadata" / name).write_bytes(b"")
    with pytest.raises(MetadataError, match="2 metadata files of version 2") as caught:
        newest(maker)
    assert name in str(caught.value)
    maker.commit([])
    assert newest(maker) == "v3.metadata.json"


def test_a_metadata_file_names_its_state(maker: TableMaker) -> None:
    first = maker.root / "metadata" / "v1.metadata.json"
    assert read(opened(first), ["id"]) == [(1,)]
    with pytest.raises(MissingFileError, match=r"v7\.metadata\.json"):
        opened(maker.root / "metadata" / "v7.metadata.json").current_metadata()


def test_new_commits_are_seen_and_old_states_kept(maker: TableMaker) -> None:
    table = opened(maker.root)
    assert read(table, ["id"]) == [(1,), (2,)]
    maker.commit([maker.data_file({"id": [3]})])
    assert read(table, ["id"]) == [(1,), (2,), (3,)]


def test_a_table_made_anew_under_the_same_names(maker: TableMaker) -> None:
    """What is remembered of the old one must not show."""
    table = opened(maker.root)
    assert read(table, ["id"]) == [(1,), (2,)]
    for file in [*maker.root.glob("*/*")]:
        file.unlink()
    again = TableMaker(maker.root, [("id", "long"), ("name", "string")])
    again.commit([again.data_file({"id": [7], "name": ["x"]}, name="data/other.parquet")])
    again.commit([again.data_file({"id": [8], "name": ["y"]}, name="data/another.parquet")])
    assert read(table, ["id", "name"]) == [(7, "x"), (8, "y")]


def test_no_table(tmp_path: Path) -> None:
    with pytest.raises(NotATableError, match="no metadata file"):
        opened(tmp_path).current_metadata()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"not json", b'{"format-version": 2}', b'{"format-version": "2"}', b"\x1f\x8b\x08damaged"])
def test_what_is_no_metadata(maker: TableMaker, content: bytes) -> None:
    (maker.root / "metadata" / "v2.metadata.json").write_bytes(content)
    with pytest.raises(MetadataError, match=r"v2\.metadata\.json"):
        opened(maker.root).current_metadata()


def test_cut_off(maker: TableMaker) -> None:
    file = maker.root / "metadata" / "v2.metadata.json"
    file.write_bytes(file.read_bytes()[:-30])
    with pytest.raises(MetadataError, match="no complete JSON"):
        opened(maker.root).current_metadata()
    maker.write(compressed=True)
    file.write_bytes(file.read_bytes()[:-30])
    with pytest.raises(MetadataError, match="is cut off"):
        opened(maker.root).current_metadata()


@pytest.mark.parametrize("version", [0, 4, 9])
def test_format_versions(maker: TableMaker, version: int) -> None:
    maker.write(raw={**maker.metadata(), "format-version": version})
    with pytest.raises(UnsupportedFeatureError, match=f"format version {version} is not supported"):
        opened(maker.root).current_metadata()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"current-schema-id": 5}, "current schema 5 is not there"),
        (
            {"schemas": [{"type": "struct", "schema-id": 0, "fields": [{"id": 1, "name": "a", "type": "int"}, {"id": 1, "name": "b", "type": "int"}]}]},
            "one field id, 1",
        ),
        (
            {"schemas": [{"type": "struct", "schema-id": 0, "fields": [{"id": 1, "name": "a", "type": "int"}, {"id": 2, "name": "a", "type": "int"}]}]},
            "of one name: a",
        ),
        ({"schemas": [{"type": "struct", "schema-id": 0, "fields": [{"name": "a", "type": "int"}]}]}, "without name or id"),
        ({"snapshots": [{"timestamp-ms": 1}]}, "snapshot-id is missing"),
        ({"refs": {"main": {"type": "stick", "snapshot-id": 1}}}, "expected a branch or a tag"),
        ({"partition-specs": [{"spec-id": 0, "fields": [{"name": "x", "transform": "identity"}]}]}, "no source-id"),
        ({"location": None}, "location is missing"),
    ],
)
def test_fields_that_are_wrong(maker: TableMaker, change: dict[str, object], words: str) -> None:
    maker.write(raw={**maker.metadata(), **change})
    with pytest.raises(MetadataError, match=words):
        opened(maker.root).current_metadata()


def test_types_that_are_not_known_name_the_column(maker: TableMaker) -> None:
    raw = maker.metadata()
    raw["schemas"] = [{"type": "struct", "schema-id": 0, "fields": [{"id": 1, "name": "where", "type": "hyperpoint"}]}]
    maker.write(raw=raw)
    with pytest.raises(UnsupportedFeatureError, match="type hyperpoint is not supported: column where"):
        opened(maker.root).current_metadata()


def test_nesting_beyond_reason(maker: TableMaker) -> None:
    deep: object = "int"
    for level in range(200):
        deep = {"type": "list", "element-id": 1000 + level, "element": deep, "element-required": False}
    raw = maker.metadata()
    raw["schemas"] = [{"type": "struct", "schema-id": 0, "fields": [{"id": 1, "name": "deep", "type": deep}]}]
    maker.write(raw=raw)
    with pytest.raises(MetadataError, match="nested more than 64 levels"):
        opened(maker.root).current_metadata()


def test_version_1_with_one_schema_and_a_bare_spec(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, [("id", "long"), ("p", "string")], partition=[("p", "identity")], version=1)
    maker.commit([maker.data_file({"id": [1], "p": ["x"]}, partition=["x"])])
    raw = maker.metadata()
    for key in ("schemas", "current-schema-id", "partition-specs", "default-spec-id", "refs", "last-partition-id", "sort-orders", "default-sort-order-id"):
        del raw[key]
    del raw["schema"]["schema-id"], raw["snapshots"][0]["schema-id"], raw["snapshots"][0]["summary"]
    for field in raw["partition-spec"]:
        del field["field-id"]
    maker.write(raw=raw)
    table = opened(tmp_path)
    assert table.current_metadata().specs[0].fields[0].id == 1000
    assert table.current_metadata().refs["main"].snapshot_id == 101
    assert read(table, ["id", "p"]) == [(1, "x")]


def test_a_table_without_snapshots(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, [("id", "long")])
    for current in (-1, None):
        maker.write(raw={**maker.metadata(), "current-snapshot-id": current})
        snapshot = opened(tmp_path).snapshot(Latest())
        assert (snapshot.version, snapshot.committed_at_us) == ("", None)
        assert read(tmp_path, ["id"]) == []


def test_an_encrypted_table_says_so(maker: TableMaker) -> None:
    raw = maker.metadata()
    raw["snapshots"][-1]["key-id"] = "k1"
    maker.write(raw=raw)
    with pytest.raises(UnsupportedFeatureError, match="encrypted"):
        read(maker.root, ["id"])


def test_field_orders_and_blanks_in_types(tmp_path: Path) -> None:
    columns = [
        ("a", "decimal(9, 2)"),
        ("b", "decimal(9,2)"),
        ("c", "fixed[16]"),
        ("d", "geometry(OGC:CRS84)"),
        ("e", "geography(OGC:CRS84, vincenty)"),
        ("f", "variant"),
        ("g", "unknown"),
    ]
    maker = TableMaker(tmp_path, columns, version=3)
    maker.write()
    schema = opened(tmp_path).current_metadata().schema.arrow
    assert [str(t) for t in schema.types] == ["decimal128(9, 2)", "decimal128(9, 2)", "fixed_size_binary[16]", "binary", "binary", "string", "null"]
    assert schema.field("e").metadata[b"geo.edges"] == b"vincenty"
    assert json.loads(schema.field("a").metadata[b"PARQUET:field_id"]) == 1
