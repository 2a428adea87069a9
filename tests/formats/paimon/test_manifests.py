"""Manifests of every kind of file, of old and new writers, whole and damaged."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.orc as orc
import pyarrow.parquet as pq
import pytest
from avro.writer import container

from lakesql.errors import DataFileError, Error, ExpiredVersionError, MetadataError, MissingFileError, UnsupportedFeatureError
from lakesql.formats.paimon.manifests import ENTRY, INDEX, LIST, read_index_manifest, read_list, read_manifests
from lakesql.storage import LocalStorage
from lakesql.table import Latest

from .reading import rows_of, table_at
from .table_maker import TableMaker

STORAGE = LocalStorage()


def made(tmp_path: Path) -> TableMaker:
    """A partitioned table of two snapshots, with a deletion vector."""
    maker = TableMaker(tmp_path, {"p": "STRING", "k": "INT", "s": "STRING"}, partition_keys=["p"], options={"bucket": "-1"})
    one, two = maker.write([{"p": "x", "k": n, "s": "a text of some length"} for n in range(3)]), maker.write([{"p": "y", "k": 9, "s": None}])
    maker.commit([one, two])
    maker.commit([], [two], vectors={"a": (one, [1])})
    return maker


def rewritten(folder: Path, write: Callable[[pa.Table, Path], None]) -> None:
    """Every manifest and list of a table as another kind of file, nested as Paimon has it."""
    for path in folder.iterdir():
        if path.name.startswith("manifest-list"):
            table = read_list(STORAGE, str(path))
        elif path.name.startswith("index-manifest"):
            table = read_index_manifest(STORAGE, str(path))
        else:
            [flat] = read_manifests(STORAGE, [str(path)])
            head = [n for n in ENTRY.names if n in ("_VERSION", "_KIND", "_PARTITION", "_BUCKET", "_TOTAL_BUCKETS")]
            rest = [n for n in ENTRY.names if n not in head]
            file = pa.StructArray.from_arrays([flat[n].combine_chunks() for n in rest], names=rest)
            table = flat.select(head).append_column("_FILE", file)
        write(table.append_column("_UNKNOWN", pa.array(["ignored"] * len(table), pa.string())), path)


@pytest.mark.parametrize("write", [lambda t, p: pq.write_table(t, p), lambda t, p: orc.write_table(t, str(p))], ids=["parquet", "orc"])
def test_manifests_of_older_kinds(tmp_path: Path, write: Callable[[pa.Table, Path], None]) -> None:
    """The first bytes decide: Paimon wrote them as ORC or Parquet where it was told to."""
    made(tmp_path)
    wanted, earlier = rows_of(tmp_path, "SELECT * FROM t ORDER BY k"), rows_of(tmp_path, "SELECT * FROM t VERSION AS OF 1 ORDER BY k")
    assert ([r["k"] for r in wanted], [r["k"] for r in earlier]) == ([0, 2], [0, 1, 2, 9])
    rewritten(tmp_path / "manifest", write)
    assert rows_of(tmp_path, "SELECT * FROM t ORDER BY k") == wanted
    assert rows_of(tmp_path, "SELECT * FROM t VERSION AS OF 1 ORDER BY k") == earlier
    assert rows_of(tmp_path, "SELECT k FROM t WHERE k = 2") == [{"k": 2}]


def _without(schema: Any, *names: str) -> Any:
    return {**schema, "fields": [f for f in schema["fields"] if f["name"] not in names]}


@pytest.mark.parametrize("codec", ["null", "deflate", "snappy", "zstandard"])
def test_fields_that_writers_of_old_versions_lack(tmp_path: Path, codec: str) -> None:
    """Found by name, null where they are not there; the record of each row a union with null, as in files of 2024."""
    from .table_maker import _ENTRY, _FILE, _LIST, _entry

    maker = TableMaker(tmp_path, {"k": "INT"}, options={"bucket": "-1"})
    file = maker.write([{"k": 1}])
    maker.commit([file])
    old = _without(_FILE, "_DELETE_ROW_COUNT", "_EMBEDDED_FILE_INDEX", "_FILE_SOURCE", "_VALUE_STATS_COLS", "_EXTERNAL_PATH", "_FIRST_ROW_ID", "_WRITE_COLS")
    entry = {**_ENTRY, "fields": [f if f["name"] != "_FILE" else {"name": "_FILE", "type": ["null", old]} for f in _ENTRY["fields"]]}
    content = container(["null", entry], [_entry(0, file)], codec=codec)
    (tmp_path / "manifest" / maker.manifests[0]["_FILE_NAME"]).write_bytes(content)
    lists = container(["null", _without(_LIST, "_MIN_BUCKET", "_MAX_BUCKET", "_MIN_LEVEL", "_MAX_LEVEL")], maker.manifests, codec=codec)
    snapshot = json.loads((tmp_path / "snapshot" / "snapshot-1").read_text())
    (tmp_path / "manifest" / snapshot["deltaManifestList"]).write_bytes(lists)
    assert rows_of(tmp_path) == [{"k": 1}]
    assert rows_of(tmp_path, "SELECT k FROM t WHERE k = 2") == []
    [table] = read_manifests(STORAGE, [str(tmp_path / "manifest" / maker.manifests[0]["_FILE_NAME"])])
    assert table.schema == ENTRY
    assert table["_EXTERNAL_PATH"].to_pylist() == [None]


# Bad input -----------------------------------------------------------------------------------------------------------------------------------------


def _paths(maker: TableMaker) -> dict[str, Path]:
    """One file of each kind."""
    snapshot = json.loads((maker.root / "snapshot" / f"snapshot-{maker.snapshot_id}").read_text())
    manifest = maker.root / "manifest"
    return {
        "list": manifest / snapshot["baseManifestList"],
        "manifest": manifest / maker.manifests[0]["_FILE_NAME"],
        "index manifest": manifest / snapshot["indexManifest"],
        "index": next((maker.root / "index").iterdir()),
        "data": next(p for p in maker.root.rglob("*.parquet") if "p=x" in str(p)),
        "snapshot": maker.root / "snapshot" / f"snapshot-{maker.snapshot_id}",
        "schema": maker.root / "schema" / "schema-0",
    }


KINDS = ("list", "manifest", "index manifest", "index", "data", "snapshot", "schema")


@pytest.mark.parametrize("kind", KINDS)
def test_missing_files(tmp_path: Path, kind: str) -> None:
    """Never fewer rows. Without its newest snapshot a table's newest is the one before."""
    path = _paths(maker := made(tmp_path))[kind]
    path.unlink()
    if kind == "snapshot":
        assert len(rows_of(tmp_path)) == 4
        with pytest.raises(Error, match="does not exist"):
            rows_of(tmp_path, f"SELECT * FROM t VERSION AS OF {maker.snapshot_id}")
        return
    with pytest.raises(Error) as refusal:
        rows_of(tmp_path)
    assert path.name in str(refusal.value) or kind == "schema"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", [0, 3, 20, -30, -1])
def test_truncated_files(tmp_path: Path, kind: str, length: int) -> None:
    path = _paths(made(tmp_path))[kind]
    raw = path.read_bytes()
    path.write_bytes(raw[:length] if length else b"")
    with pytest.raises((MetadataError, DataFileError, MissingFileError, UnsupportedFeatureError)):
        rows_of(tmp_path)


def test_a_snapshot_that_expires_while_it_is_read(tmp_path: Path) -> None:
    """Its file is gone with those it names: an error of its own, and not fewer rows."""
    paths = _paths(made(tmp_path))
    snapshot = table_at(tmp_path).snapshot(Latest())
    for kind in ("snapshot", "list"):
        paths[kind].unlink()
    from lakesql.table import ScanRequest

    with pytest.raises(ExpiredVersionError, match="expired while it was read"):
        snapshot.scan(ScanRequest(("k",)))


def _list(**changes: Any) -> bytes:
    from .table_maker import _LIST, _nothing

    meta = {"_VERSION": 2, "_FILE_NAME": "m", "_FILE_SIZE": 1, "_NUM_ADDED_FILES": 1, "_NUM_DELETED_FILES": 0, "_PARTITION_STATS": _nothing(), "_SCHEMA_ID": 0}
    rest = dict.fromkeys(("_MIN_BUCKET", "_MAX_BUCKET", "_MIN_LEVEL", "_MAX_LEVEL"))
    return container(_LIST, [{**meta, **rest, **changes}])


def test_versions_of_lists(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_bytes(_list())
    assert read_list(STORAGE, str(path)).schema == LIST
    path.write_bytes(_list(_VERSION=3))
    with pytest.raises(UnsupportedFeatureError, match="entries of version 3; lakesql reads manifest lists of version 2"):
        read_list(STORAGE, str(path))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"_VERSION": 1}, UnsupportedFeatureError, "entries of version 1; lakesql reads manifests of version 2"),
        ({"_KIND": 2}, MetadataError, "an entry is of kind 2"),
        ({"_PARTITION": b"\0\0"}, MetadataError, "partition"),
        ({"_PARTITION": b"\0\0\0\7" + bytes(16)}, MetadataError, "partition"),
    ],
)
def test_entries_that_are_refused(tmp_path: Path, change: dict[str, Any], error: type[Exception], message: str) -> None:
    from .table_maker import _ENTRY, _entry

    maker = TableMaker(tmp_path, {"p": "STRING", "k": "INT"}, partition_keys=["p"], options={"bucket": "-1"})
    file = maker.write([{"p": "x", "k": 1}])
    maker.commit([file])
    (tmp_path / "manifest" / maker.manifests[0]["_FILE_NAME"]).write_bytes(container(_ENTRY, [{**_entry(0, file), **change}]))
    with pytest.raises(error, match=message):
        rows_of(tmp_path)


def test_index_manifests_of_another_version(tmp_path: Path) -> None:
    from .table_maker import _INDEX

    maker = made(tmp_path)
    path = _paths(maker)["index manifest"]
    entry = dict.fromkeys(("_DELETIONS_VECTORS_RANGES",)) | {
        "_VERSION": 2,
        "_KIND": 0,
        "_PARTITION": b"",
        "_BUCKET": 0,
        "_INDEX_TYPE": "HASH",
        "_FILE_NAME": "x",
        "_FILE_SIZE": 0,
        "_ROW_COUNT": 0,
    }
    path.write_bytes(container(_INDEX, [entry]))
    with pytest.raises(UnsupportedFeatureError, match="index manifests of version 1"):
        rows_of(tmp_path)
    path.write_bytes(container(_INDEX, [{**entry, "_VERSION": 1, "_KIND": 1}]))
    assert read_index_manifest(STORAGE, str(path)).num_rows == 0
    assert read_index_manifest(STORAGE, str(path)).schema == INDEX


@pytest.mark.parametrize("name", ["data-1.json", "data-1.csv.gz", "data-1.lance", "data-1.row", "data-1"])
def test_data_files_that_are_not_read(tmp_path: Path, name: str) -> None:
    maker = TableMaker(tmp_path, {"k": "INT"}, options={"bucket": "-1"})
    maker.commit([maker.write([{"k": 1}]).changed({"_FILE_NAME": name})])
    with pytest.raises(UnsupportedFeatureError, match=f"{name} is a"):
        rows_of(tmp_path)


def test_what_a_file_is_tells_its_name(tmp_path: Path) -> None:
    """Not the table's option, which is for new files."""
    maker = TableMaker(tmp_path, {"k": "INT"}, options={"bucket": "-1", "file.format": "lance"})
    one, two = maker.write([{"k": 1}]), maker.write([{"k": 2}])
    folder = tmp_path / "bucket-0"
    (folder / one.name).rename(folder / "data-1.zstd.parquet")
    orc.write_table(pq.read_table(folder / two.name), str(folder / "data-2.orc.zst"))
    maker.commit([one.changed({"_FILE_NAME": "data-1.zstd.parquet"}), two.changed({"_FILE_NAME": "data-2.orc.zst"})])
    assert rows_of(tmp_path, "SELECT k FROM t ORDER BY k") == [{"k": 1}, {"k": 2}]
