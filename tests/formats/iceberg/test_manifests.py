"""Manifest lists and manifests: what is inherited, what is missing, what is damaged, what is kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lakesql.errors import MetadataError, MissingFileError
from lakesql.formats.iceberg.manifest import Manifests
from lakesql.storage import LocalStorage, MemoryStorage
from lakesql.table import Latest

from .reading import names, opened, read, scanned, where
from .table_maker import ADDED, DELETED, EXISTING, TableMaker

LONG = [("id", "long")]


def entry(file: dict[str, Any], status: int = ADDED, **over: Any) -> dict[str, Any]:
    return {"status": status, "snapshot_id": 101, "data_file": file, **over}


def test_sequence_numbers_are_inherited_by_added_entries_alone(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, LONG)
    old, new = maker.data_file({"id": [1]}), maker.data_file({"id": [2]})
    maker.sequence = 9
    maker.snapshot(101, [maker.manifest([entry(old, EXISTING, sequence_number=3, file_sequence_number=4), entry(new)])])
    entries = scanned(tmp_path).entries
    assert entries.column("sequence_number").to_pylist() == [3, 9]
    assert entries.column("file_sequence_number").to_pylist() == [4, 9]


def test_deleted_entries_are_no_part_of_the_snapshot(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, LONG)
    files = [maker.data_file({"id": [n]}) for n in range(3)]
    maker.snapshot(101, [maker.manifest([entry(files[0]), entry(files[1], DELETED), entry(files[2], EXISTING)])])
    assert read(tmp_path, ["id"]) == [(0,), (2,)]


@pytest.mark.parametrize("counts", [None, 0, 1])
def test_null_counts_are_no_proof_that_a_manifest_is_empty(tmp_path: Path, counts: int | None) -> None:
    maker = TableMaker(tmp_path, LONG)
    manifest = maker.manifest([entry(maker.data_file({"id": [1]}))], added_files_count=counts, existing_files_count=0 if counts is not None else None)
    maker.snapshot(101, [manifest])
    assert len(read(tmp_path, ["id"])) == (0 if counts == 0 else 1)


def test_manifests_of_version_1_in_a_table_of_version_2(tmp_path: Path) -> None:
    """No content, no sequence numbers: data, number 0, hence older than every delete."""
    maker = TableMaker(tmp_path, LONG)
    maker.sequence = 5
    v1 = maker.manifest([entry(maker.data_file({"id": [1, 2]}))], version=1, sequence_number=None, content=0)
    v1["content"] = 0
    deletes = maker.manifest([entry(maker.equality_deletes({"id": [2]}, [1]))], content=1)
    maker.snapshot(101, [v1, deletes])
    assert scanned(tmp_path).entries.column("sequence_number").to_pylist() == [0]
    assert read(tmp_path, ["id"]) == [(1,)]


def test_columns_that_a_writer_leaves_out(tmp_path: Path) -> None:
    """BigQuery writes neither snapshot_id nor the two sequence numbers, though the table is of version 2."""

    def without(schema: dict[str, Any]) -> None:
        schema["fields"] = [f for f in schema["fields"] if f["name"] not in ("snapshot_id", "sequence_number", "file_sequence_number")]

    maker = TableMaker(tmp_path, LONG)
    maker.sequence = 5
    maker.snapshot(101, [maker.manifest([entry(maker.data_file({"id": [1]}))], edit=without)])
    entries = scanned(tmp_path).entries
    assert entries.column("sequence_number").to_pylist() == [5]
    assert entries.column("snapshot_id").to_pylist() == [101]


def _renamed(old: str, new: str) -> Callable[[dict[str, Any]], None]:
    def edit(schema: dict[str, Any]) -> None:
        for field in schema["fields"]:
            if field["name"] == old:
                field["name"] = new
            for branch in field["type"] if isinstance(field["type"], list) else [field["type"]]:
                if isinstance(branch, dict) and "fields" in branch:
                    edit(branch)

    return edit


def test_fields_are_found_by_id_and_partition_names_may_be_mangled(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, [("id", "long"), ("a-b", "string")], partition=[("a-b", "identity")])
    file = maker.data_file({"id": [1], "a-b": ["x"]}, partition=["x"])
    manifest = maker.manifest([entry(file)], edit=_renamed("a-b", "a_x2Db"))
    maker.snapshot(101, [manifest])
    assert names(scanned(tmp_path, where("a-b", "=", "y"))) == []
    assert names(scanned(tmp_path, where("a-b", "=", "x"))) == ["file-1"]


def test_no_header_keys_at_all(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, [("id", "long"), ("p", "int")], partition=[("p", "identity")])
    maker.snapshot(101, [maker.manifest([entry(maker.data_file({"id": [1], "p": [7]}, partition=[7]))], header={})])
    assert read(tmp_path, ["id", "p"], where("p", "=", 7, pa.int32())) == [(1, 7)]
    assert names(scanned(tmp_path, where("p", "=", 8, pa.int32()))) == []


def test_header_keys_that_lie(tmp_path: Path) -> None:
    """Spec and schema come from the table's metadata: writers have put other things there."""
    maker = TableMaker(tmp_path, LONG)
    header = {"schema": b"nonsense", "partition-spec": b'{"spec-id": 9}', "partition-spec-id": b"9", "format-version": b"x", "content": b"deletes"}
    maker.snapshot(101, [maker.manifest([entry(maker.data_file({"id": [1]}))], header=header)])
    assert read(tmp_path, ["id"]) == [(1,)]


@pytest.mark.parametrize("codec", ["null", "deflate", "snappy", "zstandard"])
def test_codecs(tmp_path: Path, codec: str) -> None:
    maker = TableMaker(tmp_path, LONG)
    maker.snapshot(101, [maker.manifest([entry(maker.data_file({"id": [n]})) for n in range(3)], codec=codec)])
    assert len(read(tmp_path, ["id"])) == 3


def test_manifests_listed_by_the_metadata_itself(tmp_path: Path) -> None:
    """Version 1 without a manifest list: the spec is in each manifest's header."""
    maker = TableMaker(tmp_path, [("id", "long"), ("p", "int")], version=1)
    first = maker.manifest([entry(maker.data_file({"id": [1], "p": [7]}))])
    maker.partition_by([("p", "identity")])
    second = maker.manifest([entry(maker.data_file({"id": [2], "p": [8]}, partition=[8]))])
    maker.snapshot(101, None, listed=[first["manifest_path"], second["manifest_path"]])
    assert read(tmp_path, ["id", "p"]) == [(1, 7), (2, 8)]
    assert names(scanned(tmp_path, where("p", "=", 9, pa.int32()))) == []
    assert scanned(tmp_path).entries.column("snapshot_id").to_pylist() == [101, 101]


def test_a_list_without_rows(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, LONG)
    maker.snapshot(101, [])
    assert read(tmp_path, ["id"]) == []


# Row ids -------------------------------------------------------------------------------------------------------------------------------------------------


def test_row_ids_count_the_entries_before(tmp_path: Path) -> None:
    """A deleted entry counts nothing, one with its own id neither; entries are counted before any is pruned."""
    maker = TableMaker(tmp_path, LONG, version=3)
    files = [maker.data_file({"id": [n * 10, n * 10 + 1]}) for n in range(4)]
    files[2]["first_row_id"] = 500
    rows = [entry(files[0]), entry(files[1], DELETED), entry(files[2]), entry(files[3])]
    maker.snapshot(101, [maker.manifest(rows, first_row_id=100)])
    assert scanned(tmp_path).entries.column("first_row_id").to_pylist() == [100, 500, 102]
    assert read(tmp_path, ["id", "_row_id"], where("id", ">=", 30)) == [(30, 102), (31, 103)]


def test_without_a_first_row_id_in_the_list_there_are_none(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, LONG, version=3)
    file = maker.data_file({"id": [1]}, first_row_id=7)
    maker.snapshot(101, [maker.manifest([entry(file)], first_row_id=None)])
    assert read(tmp_path, ["id", "_row_id", "_last_updated_sequence_number"]) == [(1, None, None)]


def test_one_manifest_in_two_lists(tmp_path: Path) -> None:
    """After an upgrade two lists may give a manifest different first row ids: what is kept of it must not know of either."""
    maker = TableMaker(tmp_path, LONG, version=3)
    manifest = maker.manifest([entry(maker.data_file({"id": [1]}))], first_row_id=None)
    maker.snapshot(101, [manifest])
    maker.snapshot(102, [{**manifest, "first_row_id": 40}])
    table = opened(tmp_path)
    from .reading import version

    assert read(table, ["_row_id"], at=version(101)) == [(None,)]
    assert read(table, ["_row_id"], at=version(102)) == [(40,)]
    assert read(table, ["_row_id"], at=version(101)) == [(None,)]


# Damage --------------------------------------------------------------------------------------------------------------------------------------------------


def test_a_manifest_that_is_gone_or_cut_off(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, LONG)
    manifest = maker.manifest([entry(maker.data_file({"id": [n]})) for n in range(50)])
    maker.snapshot(101, [manifest])
    place = Path(manifest["manifest_path"])
    whole = place.read_bytes()
    place.write_bytes(whole[:-40])
    with pytest.raises(MetadataError, match=rf"{place.name}.* is cut off"):
        read(tmp_path, ["id"])
    place.unlink()
    with pytest.raises(MissingFileError, match=rf"manifest of the snapshot is missing: .*{place.name}.*snapshot 101"):
        read(tmp_path, ["id"])


def test_entries_that_are_none(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, LONG)
    maker.snapshot(101, [maker.manifest([entry(maker.data_file({"id": [1]}), 7)], added_files_count=None)])
    with pytest.raises(MetadataError, match="not 0, 1 or 2"):
        read(tmp_path, ["id"])


def test_a_spec_that_is_not_there(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, LONG)
    maker.snapshot(101, [maker.manifest([entry(maker.data_file({"id": [1]}))], partition_spec_id=4)])
    with pytest.raises(MetadataError, match=r"partition spec 4, which .* does not have; it has 0"):
        read(tmp_path, ["id"])


def test_a_file_listed_twice_is_read_once(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, LONG)
    file = maker.data_file({"id": [1]})
    maker.snapshot(101, [maker.manifest([entry(file), entry(maker.data_file({"id": [2]}))]), maker.manifest([entry(file)])])
    assert read(tmp_path, ["id"]) == [(1,), (2,)]
    files = scanned(tmp_path)
    assert (len(files.files), files.live_rows.to_pylist()) == (2, [1, 1])


# Kept ----------------------------------------------------------------------------------------------------------------------------------------------------


def in_memory(root: Path) -> MemoryStorage:
    return MemoryStorage({str(p): p.read_bytes() for p in root.rglob("*") if p.is_file()})


def test_a_manifest_is_read_once(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, LONG)
    maker.commit([maker.data_file({"id": [1]})])
    maker.commit([maker.data_file({"id": [2]})])
    table = opened(tmp_path, storage := LocalStorage())
    opens: list[str] = []
    original = storage.open
    storage.open = lambda path: opens.append(path) or original(path)  # type: ignore[method-assign, func-returns-value, assignment]
    for value in range(3):
        table.snapshot(Latest()).scan(_request(where("id", "=", value)))
    manifests = [p for p in opens if "/manifest-" in p]
    assert len(manifests) == len(set(manifests)) == 2


def _request(*predicates: Any) -> Any:
    from lakesql.table import ScanRequest

    return ScanRequest(("id",), predicates)


def test_what_is_kept_stays_within_its_limit(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, LONG)
    for n in range(6):
        maker.commit([maker.data_file({"id": [n]})])
    table = opened(tmp_path)
    source = table.snapshot(Latest()).source
    files = source.files_of(source.manifest_rows)
    unlimited = Manifests(table.storage)
    unlimited.entries(files, columns=[1])
    limit = unlimited.nbytes // 8
    limited = Manifests(table.storage, entries_bytes=limit, maps_bytes=limit)
    assert [m.rows for m in limited.entries(files, columns=[1])] == [1] * 6
    assert limited.metrics(files, 1)[5].lower.to_pylist() == [(0).to_bytes(8, "little")]
    assert limited.nbytes <= 3 * limit


def test_entries_hold_no_memory_but_their_own(tmp_path: Path) -> None:
    """What the decoder gives is one allocation of its own; metrics decoded with entries would live as long as they."""
    maker = TableMaker(tmp_path, LONG)
    maker.commit([maker.data_file({"id": [n]}) for n in range(50)])
    table = opened(tmp_path)
    source = table.snapshot(Latest()).source
    before = pa.total_allocated_bytes()
    (raw,) = Manifests(table.storage).entries(source.files_of(source.manifest_rows), columns=[1])
    assert pa.total_allocated_bytes() - before >= sum(a.nbytes for a in raw.columns.values()) > 0


def test_objects_in_a_store(tmp_path: Path) -> None:
    """Manifests of an object store come through the storage; planning reads no data file."""
    maker = TableMaker(tmp_path / "t", LONG, location="s3://bucket/t")
    maker.commit([maker.data_file({"id": [1]})])
    storage = MemoryStorage({f"s3://bucket/t/{p.relative_to(tmp_path / 't')}": p.read_bytes() for p in (tmp_path / "t").rglob("*") if p.is_file()})
    files = scanned(opened("s3://bucket/t", storage), where("id", "=", 1))
    assert files.files["path"].to_pylist() == ["s3://bucket/t/data/file-1.parquet"]
    assert not [p for p in storage.reads if p.endswith(".parquet")]
