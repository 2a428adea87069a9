"""Position deletes, equality deletes and deletion vectors: which rows of which files they hit."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.orc as orc
import pytest
from avro.writer import container

import lakesql
from lakesql.errors import DataFileError, MetadataError, MissingFileError, UnsupportedFeatureError
from lakesql.storage import CachedStorage, LocalStorage
from lakesql.table import Latest, ScanRequest

from .reading import opened, read, scanned, version, where
from .reference import rows
from .table_maker import ID, TableMaker

COLUMNS = [("id", "long"), ("p", "int")]


@pytest.fixture
def maker(tmp_path: Path) -> TableMaker:
    return TableMaker(tmp_path, COLUMNS, partition=[("p", "identity")])


def file(maker: TableMaker, *ids: int, p: int = 1, **over: Any) -> dict[str, Any]:
    return maker.data_file({"id": list(ids), "p": [p] * len(ids)}, partition=[p] if maker.specs[-1]["fields"] else None, **over)


def ids(maker: TableMaker) -> list[int]:
    return [r[0] for r in read(maker.root, ["id"])]


# Position deletes ----------------------------------------------------------------------------------------------------------------------------------------


def test_positions_count_from_the_start_of_the_file(maker: TableMaker) -> None:
    """Whatever is pruned within it: row groups of two rows, and a predicate that leaves the last."""
    data = file(maker, *range(10), row_group_size=2)
    maker.commit([data])
    maker.commit([maker.position_deletes([(data["file_path"], 0), (data["file_path"], 9), (data["file_path"], 9)], partition=[1])])
    assert ids(maker) == list(range(1, 9))
    assert read(maker.root, ["id", "_pos"], where("id", ">=", 8)) == [(n, n) for n in range(1, 9)]


def test_a_position_delete_file_is_read_once(maker: TableMaker) -> None:
    """By a storage that keeps files; what it deletes depends on the files of each statement all the same."""
    first, second = file(maker, 1, 2), file(maker, 11, 12)
    maker.commit([first, second])
    deletes = maker.position_deletes([(first["file_path"], 0), (second["file_path"], 1)], partition=[1], metrics=False, name="data/deletes-once.parquet")
    maker.commit([deletes])
    inner = LocalStorage()
    opens: list[str] = []
    original = inner.open
    inner.open = lambda path: opens.append(path) or original(path)  # type: ignore[method-assign, func-returns-value, assignment]
    table = opened(maker.root, CachedStorage(inner))
    for predicates, left in (((), [2, 11]), ((where("id", ">", 10),), [11]), ((where("id", "<", 10),), [2]), ((), [2, 11])):
        assert read(table, ["id"], *predicates) == [(n,) for n in left]
    assert len([p for p in opens if p.endswith("deletes-once.parquet")]) == 1


@pytest.mark.parametrize("cached", [False, True])
def test_rows_deleted_by_position_are_counted_once(maker: TableMaker, cached: bool) -> None:
    """Named twice in one file, in two, beyond the end of the data file, below its start: without opening data files."""
    first, second = file(maker, *range(10)), file(maker, *range(5), p=2)
    maker.commit([first, second])
    name = first["file_path"]
    maker.commit([maker.position_deletes([(name, 3), (name, 1), (name, 3), (name, 10), (name, -1)], partition=[1])])
    maker.commit([maker.position_deletes([(name, 1), (name, 2), (second["file_path"], 0)], partition=[1], metrics=False)])
    storage = CachedStorage(LocalStorage()) if cached else LocalStorage()
    for _ in range(2):
        files = scanned(opened(maker.root, storage))
        assert sorted(files.live_rows.to_pylist(), key=str) == [5, None]
        assert files.count_rows is not None
        assert sorted(files.count_rows().to_pylist()) == [5, 7]


def test_counts_by_sql_open_delete_files_and_no_data_file(maker: TableMaker) -> None:
    data = [file(maker, *range(10)), file(maker, *range(5), p=2)]
    maker.commit(data)
    maker.commit([maker.position_deletes([(data[0]["file_path"], 3)], partition=[1])])
    with lakesql.connect(tables={"t": str(maker.root)}) as connection:
        cursor = connection.cursor()
        cursor.execute("EXPLAIN PRUNING SELECT count(*) FROM t")
        assert any("the answer is in delete files and the metadata" in line for (line,) in cursor.fetchall())
        for each in data:
            Path(each["file_path"]).unlink()
        for sql, rows in (("SELECT count(*) FROM t", [(14,)]), ("SELECT p, count(*) FROM t GROUP BY p ORDER BY p", [(1, 9), (2, 5)])):
            assert cursor.execute(sql).fetchall() == rows


def test_equality_deletes_are_not_counted(maker: TableMaker) -> None:
    data = file(maker, 1, 2)
    maker.commit([data])
    maker.commit([maker.position_deletes([(data["file_path"], 0)], partition=[1]), maker.equality_deletes({"id": [2]}, [1], partition=[1])])
    assert scanned(maker.root).count_rows is None
    assert ids(maker) == []


def test_a_delete_of_the_same_commit_hits(maker: TableMaker) -> None:
    """Data and deletes may have one sequence number: positions are deleted then, keys are not."""
    data = file(maker, 1, 2)
    maker.commit([data, maker.position_deletes([(data["file_path"], 0)], partition=[1]), maker.equality_deletes({"id": [2]}, [1], partition=[1])])
    assert ids(maker) == [2]


def test_a_delete_older_than_the_file_does_not_hit(maker: TableMaker) -> None:
    maker.commit([maker.position_deletes([(maker.path("data/later.parquet"), 0)], partition=[1])])
    maker.commit([file(maker, 1, 2, name="data/later.parquet")])
    assert ids(maker) == [1, 2]
    assert scanned(maker.root).live_rows.to_pylist() == [2]


def test_the_data_sequence_number_counts_not_the_files(maker: TableMaker) -> None:
    """Compaction writes new files with old data sequence numbers: deletes between the two still hit."""
    data = file(maker, 1, 2)
    maker.sequence = 5
    compacted = maker.manifest([{"status": 0, "snapshot_id": 101, "sequence_number": 2, "file_sequence_number": 5, "data_file": data}])
    deletes = maker.manifest(
        [
            {
                "status": 0,
                "snapshot_id": 100,
                "sequence_number": 3,
                "file_sequence_number": 3,
                "data_file": maker.equality_deletes({"id": [2]}, [1], partition=[1]),
            }
        ],
        content=1,
    )
    maker.snapshot(101, [compacted, deletes])
    assert ids(maker) == [1]


def test_another_partition_is_not_hit(maker: TableMaker) -> None:
    """A path in a file of another partition names nothing, however well it matches."""
    data = file(maker, 1, 2)
    maker.commit([data])
    maker.commit([maker.position_deletes([(data["file_path"], 0), ("elsewhere", 1)], partition=[2])])
    assert ids(maker) == [1, 2]


def test_a_file_named_by_its_manifest_entry(maker: TableMaker) -> None:
    first, second = file(maker, 1, 2), file(maker, 3, 4)
    maker.commit([first, second])
    maker.commit([maker.position_deletes([(first["file_path"], 0)], partition=[1], referenced_data_file=first["file_path"])])
    files = scanned(maker.root)
    assert dict(zip([p[-14:] for p in files.files["path"].to_pylist()], files.live_rows.to_pylist(), strict=True)) == {
        "file-1.parquet": None,
        "file-2.parquet": 2,
    }
    assert ids(maker) == [2, 3, 4]


def test_a_file_named_by_equal_bounds(maker: TableMaker) -> None:
    first, second = file(maker, 1, 2), file(maker, 3, 4)
    maker.commit([first, second])
    maker.commit([maker.position_deletes([(first["file_path"], 1)], partition=[1])])
    assert sorted(map(str, scanned(maker.root).live_rows.to_pylist())) == ["2", "None"]
    assert ids(maker) == [1, 3, 4]


def test_a_large_delete_file_of_a_partition(maker: TableMaker) -> None:
    data = file(maker, *range(100))
    maker.commit([data])
    strange = [(maker.path(f"data/gone-{n}.parquet"), n) for n in range(5000)]
    maker.commit([maker.position_deletes([*strange, *((data["file_path"], n) for n in range(0, 100, 2))], partition=[1], metrics=False)])
    assert ids(maker) == list(range(1, 100, 2))


def test_null_paths_name_nothing(maker: TableMaker) -> None:
    data = file(maker, 1, 2)
    maker.commit([data])
    maker.commit([maker.position_deletes([(data["file_path"], 1), (None, 0)], partition=[1], metrics=False)])  # type: ignore[list-item]
    assert ids(maker) == [1]


@pytest.mark.parametrize("form", ["avro", "orc"])
def test_delete_files_of_other_formats(maker: TableMaker, form: str) -> None:
    data = file(maker, 1, 2, 3)
    maker.commit([data])
    made = maker.position_deletes([], partition=[1], metrics=False, file_format=form.upper(), name=f"data/deletes.{form}", record_count=2)
    target = maker.root / "data" / f"deletes.{form}"
    listed = [{"file_path": data["file_path"], "pos": n} for n in (0, 2)]
    if form == "avro":
        fields = [{"name": "file_path", "type": "string", "field-id": 2147483546}, {"name": "pos", "type": "long", "field-id": 2147483545}]
        target.write_bytes(container({"type": "record", "name": "d", "fields": fields}, listed))
    else:
        orc.write_table(pa.Table.from_pylist(listed), target)
    maker.commit([made])
    assert ids(maker) == [2]


@pytest.mark.parametrize("where_", ["missing", "cut off", "columns", "no positions", "format"])
def test_delete_files_that_cannot_be_read(maker: TableMaker, where_: str) -> None:
    """Rows must not come back, so nothing is given."""
    data = file(maker, 1, 2)
    maker.commit([data])
    over: dict[str, Any] = {"file_format": "LANCE"} if where_ == "format" else {}
    made = maker.position_deletes(
        [(data["file_path"], 0), (data["file_path"], None)] if where_ == "no positions" else [(data["file_path"], 0)],
        partition=[1],
        name="data/d.parquet",
        **over,
    )  # type: ignore[list-item]
    target = maker.root / "data" / "d.parquet"
    if where_ == "missing":
        target.unlink()
    elif where_ == "cut off":
        target.write_bytes(target.read_bytes()[:-20])
    elif where_ == "columns":
        maker.data_file(pa.table({"a": pa.array([1])}, schema=pa.schema([pa.field("a", pa.int64(), metadata={ID: "9"})])), name="data/d.parquet", partition=[1])
    maker.commit([made])
    kinds = {"missing": MissingFileError, "format": UnsupportedFeatureError}
    with pytest.raises(kinds.get(where_, DataFileError), match=r"d\.parquet") as caught:
        ids(maker)
    if where_ == "missing":
        assert "deleted rows would come back" in str(caught.value)


# Equality deletes ----------------------------------------------------------------------------------------------------------------------------------------


def test_keys_hit_older_rows_of_their_partition(maker: TableMaker) -> None:
    maker.commit([file(maker, 1, 2), file(maker, 1, 2, p=2)])
    maker.commit([maker.equality_deletes({"id": [1]}, [1], partition=[1]), file(maker, 1)])
    assert sorted(read(maker.root, ["id", "p"])) == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert len(read(maker.root, ["id"], at=version(101))) == 4


@pytest.mark.parametrize("kind", ["no fields", "void fields"])
def test_a_spec_without_partitions_is_global(maker: TableMaker, kind: str) -> None:
    maker.commit([file(maker, 1, 2), file(maker, 1, 2, p=2)])
    maker.partition_by([] if kind == "no fields" else [("p", "void")])
    maker.commit([maker.equality_deletes({"id": [1]}, [1], partition=[] if kind == "no fields" else [None])])
    assert ids(maker) == [2, 2]


def test_tuples_of_two_specs_are_not_alike(tmp_path: Path) -> None:
    """Specs 0 and 1 have one value each, and it is 1: they are two partitions."""
    maker = TableMaker(tmp_path, COLUMNS, partition=[("p", "identity")])
    maker.commit([file(maker, 1, 2)])
    maker.partition_by([("id", "identity")])
    maker.commit([maker.equality_deletes({"id": [1]}, [1], partition=[1])])
    assert ids(maker) == [1, 2]


def test_nulls_and_columns_that_are_not_selected(maker: TableMaker) -> None:
    maker.evolve([*COLUMNS, ("s", "string")])
    maker.commit([maker.data_file({"id": [1, 2, 3], "p": [1] * 3, "s": ["x", None, "y"]}, partition=[1])])
    maker.commit([maker.equality_deletes({"s": [None, "y"]}, [3], partition=[1])])
    assert read(maker.root, ["id"]) == [(1,)]
    assert read(maker.root, ["p", "s", "id"]) == [(1, "x", 1)]


def test_floats_as_keys(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, [("id", "long"), ("x", "double")])
    nan = float("nan")
    maker.commit([maker.data_file({"id": [1, 2, 3, 4, 5], "x": [nan, 0.0, -0.0, 1.5, None]})])
    maker.commit([maker.equality_deletes({"x": [nan, -0.0]}, [2])])
    assert ids(maker) == [2, 4, 5]


def test_several_key_sets_and_extra_columns(maker: TableMaker) -> None:
    """Only the columns of equality_ids are compared; others describe one old version of the row."""
    maker.evolve([*COLUMNS, ("s", "string")])
    maker.commit([maker.data_file({"id": [1, 2, 3, 4], "p": [1] * 4, "s": ["a", "b", "c", "d"]}, partition=[1])])
    maker.commit([maker.equality_deletes({"id": [1], "s": ["something else"]}, [1], partition=[1])])
    maker.commit([maker.equality_deletes({"s": ["b"]}, [3], partition=[1]), maker.equality_deletes({"id": [3, 4], "s": ["c", "no"]}, [3, 1], partition=[1])])
    assert ids(maker) == [4]


def test_keys_in_structs(tmp_path: Path) -> None:
    """A null struct makes its fields null."""
    struct_ = {
        "type": "struct",
        "fields": [{"id": 11, "name": "a", "type": "int", "required": False}, {"id": 12, "name": "b", "type": "string", "required": False}],
    }
    maker = TableMaker(tmp_path, [("id", "long"), {"id": 10, "name": "s", "required": False, "type": struct_}])
    maker.commit([maker.data_file({"id": [1, 2, 3], "s": [{"a": 1, "b": "x"}, None, {"a": 2, "b": None}]})])
    narrow = pa.schema([pa.field("s", pa.struct([pa.field("a", pa.int32(), metadata={ID: "11"})]), metadata={ID: "10"})])
    maker.commit([maker.equality_deletes(pa.Table.from_pylist([{"s": {"a": 2}}, {"s": None}], schema=narrow), [11])])
    assert read(tmp_path, ["id", "s"]) == [(1, {"a": 1, "b": "x"})]
    assert ids(maker) == [1]


def test_a_key_that_was_dropped_renamed_or_widened(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, [("id", "int"), ("s", "string")])
    maker.commit([maker.data_file({"id": [1, 2, 3], "s": ["a", "b", "c"]})])
    maker.commit([maker.equality_deletes({"id": [1]}, [1]), maker.equality_deletes({"s": ["b"]}, [2])])
    maker.evolve([{"id": 1, "name": "renamed", "required": False, "type": "long"}])
    maker.commit([maker.data_file({"renamed": [2**40]})])
    maker.commit([maker.equality_deletes({"renamed": [2**40]}, [1])])
    assert read(tmp_path, ["renamed"]) == [(3,)]
    assert read(tmp_path, ["id", "s"], at=version(102)) == [(3, "c")]


def test_a_key_added_later_is_null_or_its_default_before(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, [("id", "long")], version=3)
    maker.commit([maker.data_file({"id": [1, 2]})])
    maker.evolve([("id", "long"), {"id": 2, "name": "k", "required": False, "type": "int", "initial-default": 7}, ("n", "int")])
    maker.commit([maker.data_file({"id": [3, 4], "k": [7, 8], "n": [None, 1]})])
    for _ in range(3):  # more than few, so that bounds are looked at
        maker.commit([maker.equality_deletes({"id": [1], "k": [7]}, [1, 2]), maker.equality_deletes({"id": [3], "n": [None]}, [1, 3])])
    assert ids(maker) == [2, 4]


@pytest.mark.parametrize("equality_ids", [None, []])
def test_no_key_columns(maker: TableMaker, equality_ids: Any) -> None:
    maker.commit([file(maker, 1)])
    maker.commit([maker.equality_deletes({"id": [1]}, [1], partition=[1]) | {"equality_ids": equality_ids}])
    with pytest.raises(MetadataError, match="names no columns to compare"):
        ids(maker)


def test_a_key_no_schema_has(maker: TableMaker) -> None:
    maker.commit([file(maker, 1)])
    maker.commit([maker.equality_deletes({"id": [1]}, [99], partition=[1])])
    with pytest.raises(MetadataError, match="field 99, which no schema"):
        ids(maker)


def test_deletes_that_can_hit_nothing_are_not_read(tmp_path: Path) -> None:
    """By bounds of their key columns; a bound of another column proves nothing."""
    maker = TableMaker(tmp_path, [("id", "long"), ("s", "string")])
    maker.commit([maker.data_file({"id": [10, 20], "s": ["a", None]})])
    far = [maker.equality_deletes({"id": [n], "s": ["a"]}, [1], name=f"data/far-{n}.parquet") for n in (1, 2, 30, 40)]
    near = maker.equality_deletes({"id": [20], "s": ["zzz"]}, [1], name="data/near.parquet")
    null = maker.equality_deletes({"id": [99], "s": [None]}, [2], name="data/null.parquet")
    maker.commit([*far, near, null])
    deletes = scanned(tmp_path).deletes
    assert deletes is not None
    assert [p.rsplit("/", 1)[-1] for e in deletes.equality for p in e.files.source_path.to_pylist()] == ["near.parquet", "null.parquet"]
    for gone in far:
        Path(gone["file_path"]).unlink()
    assert ids(maker) == [10]


# Deletion vectors ----------------------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def v3(tmp_path: Path) -> TableMaker:
    return TableMaker(tmp_path, COLUMNS, partition=[("p", "identity")], version=3)


def test_a_vector_takes_the_place_of_position_deletes(v3: TableMaker) -> None:
    data = file(v3, *range(6))
    v3.commit([data])
    v3.commit([v3.position_deletes([(data["file_path"], 0), (data["file_path"], 1)], partition=[1])])
    v3.commit([v3.vector(data, [1, 5])])
    assert ids(v3) == [0, 2, 3, 4]
    assert scanned(v3.root).live_rows.to_pylist() == [4]


def test_equality_deletes_apply_on_top_of_a_vector(v3: TableMaker) -> None:
    data = file(v3, *range(4))
    v3.commit([data])
    v3.commit([v3.vector(data, [0]), v3.equality_deletes({"id": [2]}, [1], partition=[1])])
    assert ids(v3) == [1, 3]
    assert scanned(v3.root).live_rows.to_pylist() == [None]


def test_counts_with_vectors_come_from_metadata(v3: TableMaker) -> None:
    data = [file(v3, *range(5)), file(v3, *range(7))]
    v3.commit(data)
    v3.commit([v3.vector(data[1], [0, 6])])
    assert scanned(v3.root).live_rows.to_pylist() == [5, 5]


@pytest.mark.parametrize("cached", [False, True])
def test_many_vectors_in_one_file_of_any_name(v3: TableMaker, cached: bool) -> None:
    """A range of the file is read, whatever stands around it: no Puffin footer is needed."""
    data = [file(v3, *range(4)) for _ in range(3)]
    v3.commit(data)
    vectors = [v3.vector(d, [n]) for n, d in enumerate(data)]
    blobs = [Path(v["file_path"]).read_bytes()[4:-4] for v in vectors]
    (v3.root / "data" / "all.bin").write_bytes(b"".join(blobs))
    for number, vector in enumerate(vectors):
        vector |= {"file_path": v3.path("data/all.bin"), "content_offset": sum(map(len, blobs[:number]))}
    v3.commit(vectors)
    storage = CachedStorage(LocalStorage()) if cached else LocalStorage()
    assert sorted(r[0] for r in read(opened(v3.root, storage), ["id"])) == [0, 0, 1, 1, 2, 2, 3, 3, 3]


def test_positions_beyond_32_bits(v3: TableMaker) -> None:
    data = file(v3, 1, 2)
    v3.commit([data])
    v3.commit([v3.vector(data, [1, 2**33], record_count=2)])
    assert ids(v3) == [1]


def _damaged(blob: bytes, kind: str) -> bytes:
    match kind:
        case "length":
            return struct.pack(">I", 5) + blob[4:]
        case "magic":
            return blob[:4] + b"PUFF" + blob[8:]
        case "checksum":
            return blob[:-1] + bytes([blob[-1] ^ 1])
        case "content":
            return blob[:12] + bytes([blob[12] ^ 1]) + blob[13:]
    return blob


@pytest.mark.parametrize(
    ("kind", "over", "words"),
    [
        ("length", {}, "the blob gives itself 5 bytes"),
        ("magic", {}, "expected d1d33964"),
        ("checksum", {}, "checksum does not match"),
        ("content", {}, "checksum does not match"),
        ("", {"record_count": 3}, "lists 2 rows; the manifest says 3"),
        ("", {"content_size_in_bytes": 9}, "the manifest gives it 9 bytes"),
        ("", {"content_size_in_bytes": 2**40}, "the manifest gives it"),
        ("", {"content_offset": 10_000}, "is cut off"),
        ("", {"content_offset": None}, "does not say where"),
    ],
)
@pytest.mark.parametrize("cached", [False, True])
def test_vectors_that_are_not_what_they_say(v3: TableMaker, kind: str, over: dict[str, Any], words: str, cached: bool) -> None:
    data = file(v3, *range(5))
    v3.commit([data])
    vector = v3.vector(data, [0, 3], **over)
    place = Path(vector["file_path"])
    place.write_bytes(b"PFA1" + _damaged(place.read_bytes()[4:-4], kind) + b"PFA1")
    v3.commit([vector])
    storage = CachedStorage(LocalStorage()) if cached else LocalStorage()
    with pytest.raises(DataFileError, match=words) as caught:
        read(opened(v3.root, storage), ["id"])
    assert place.name in str(caught.value)


def test_a_vector_that_is_gone(v3: TableMaker) -> None:
    data = file(v3, 1)
    v3.commit([data])
    vector = v3.vector(data, [0])
    v3.commit([vector])
    Path(vector["file_path"]).unlink()
    with pytest.raises(MissingFileError, match="delete file of the snapshot is missing"):
        ids(v3)


def test_vectors_that_contradict_each_other(v3: TableMaker) -> None:
    data = file(v3, 1, 2)
    v3.commit([data])
    v3.commit([v3.vector(data, [0]), v3.vector(data, [1])])
    with pytest.raises(MetadataError, match="more than one deletion vector"):
        ids(v3)


def test_a_vector_without_its_data_file_or_older_than_it(v3: TableMaker) -> None:
    data = file(v3, 1, 2)
    old = v3.manifest([{"status": 0, "snapshot_id": 1, "sequence_number": 1, "data_file": v3.vector(data, [0])}], content=1)
    v3.sequence = 3
    new = v3.manifest([{"status": 1, "snapshot_id": 101, "sequence_number": 3, "data_file": data}], snapshot_id=101)
    v3.snapshot(101, [new, {**old, "sequence_number": 3}])
    with pytest.raises(MetadataError, match="older than the file"):
        ids(v3)
    nameless = v3.manifest([{"status": 1, "snapshot_id": 102, "data_file": v3.vector(data, [0], referenced_data_file=None)}], content=1)
    v3.snapshot(102, [new, nameless])
    with pytest.raises(MetadataError, match="names no data file"):
        ids(v3)


def test_vectors_of_files_that_are_not_kept_are_not_read(v3: TableMaker) -> None:
    data = [file(v3, 1, 2), file(v3, 3, 4, p=2)]
    v3.commit(data)
    vectors = [v3.vector(d, [0]) for d in data]
    v3.commit(vectors)
    Path(vectors[1]["file_path"]).unlink()
    snapshot = opened(v3.root).snapshot(Latest())
    files = snapshot.scan(ScanRequest(("id",), (where("p", "=", 1, pa.int32()),)))
    assert rows(snapshot.relate(files, ["id"]), LocalStorage())["id"].to_pylist() == [2]
