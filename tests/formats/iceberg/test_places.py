"""Tables that were moved: paths of the old place, in every spelling, are found at the new one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow as pa
import pytest

from lakesql.errors import MissingFileError
from lakesql.formats.iceberg.places import Places, normal_path
from lakesql.storage import LocalStorage, MemoryStorage

from .reading import opened, read, scanned
from .table_maker import TableMaker

LOCATIONS = [
    "/nowhere/t",
    "file:/nowhere/t",
    "file:///nowhere/t",
    "hdfs://nn:8020/nowhere/t",
    "s3://bucket/nowhere/t",
    "s3a://bucket/nowhere/t",
    "gs://b/t",
    "abfss://c@a.dfs.core.windows.net/t",
    "data/persistent/t",
    "./data/t",
    "/nowhere/with space/ü/t",
]


@pytest.mark.parametrize("location", LOCATIONS)
def test_a_moved_table(tmp_path: Path, location: str) -> None:
    maker = TableMaker(tmp_path / "here", [("id", "long")], location=location)
    data = maker.data_file({"id": [1, 2, 3]}, name="data/a b/ü=%20/one.parquet")
    maker.commit([data])
    maker.commit([maker.position_deletes([(data["file_path"], 0)])])
    assert read(tmp_path / "here", ["id"]) == [(2,), (3,)]
    assert read(tmp_path / "here", ["_file"])[0] == (data["file_path"],)


@pytest.mark.parametrize("prefix", ["file:", "file://", "hdfs://nn:8020"])
def test_deletes_that_name_data_files_under_another_prefix(tmp_path: Path, prefix: str) -> None:
    """They would be lost without a word."""
    maker = TableMaker(tmp_path / "here", [("id", "long")], location="/nowhere/t", version=3)
    data = [maker.data_file({"id": [n, n + 1]}) for n in (1, 3)]
    maker.commit(data)
    maker.commit([maker.position_deletes([(prefix + data[0]["file_path"], 0)]), maker.vector({**data[1], "file_path": prefix + data[1]["file_path"]}, [1])])
    assert read(tmp_path / "here", ["id"]) == [(2,), (3,)]


def test_deletes_at_the_same_place_but_spelled_otherwise(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, [("id", "long")])
    data = maker.data_file({"id": [1, 2]})
    maker.commit([data])
    maker.commit([maker.position_deletes([("file:" + data["file_path"], 0)])])
    assert read(tmp_path, ["id"]) == [(2,)]


def test_files_that_did_not_come_along(tmp_path: Path) -> None:
    """A copy of the metadata alone, its data still at the old place."""
    maker = TableMaker(tmp_path / "old", [("id", "long")])
    maker.commit([maker.data_file({"id": [1]})])
    shutil.copytree(tmp_path / "old" / "metadata", tmp_path / "new" / "metadata")
    assert read(tmp_path / "new", ["id"]) == [(1,)]
    assert scanned(tmp_path / "new").files["path"].to_pylist() == [str(tmp_path / "old/data/file-1.parquet")]


def test_a_copy_reads_its_own_files(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path / "old", [("id", "long")])
    maker.commit([maker.data_file({"id": [1]})])
    shutil.copytree(tmp_path / "old", tmp_path / "new")
    assert scanned(tmp_path / "new").files["path"].to_pylist() == [str(tmp_path / "new/data/file-1.parquet")]


def test_files_outside_the_location(tmp_path: Path) -> None:
    """Found by the end of their path below the new place; or where they are."""
    maker = TableMaker(tmp_path / "wh" / "t", [("id", "long")], location="mr/src/test-table")
    inside = maker.data_file({"id": [1]}) | {"file_path": "/elsewhere/mr/src/test-table/data/file-1.parquet"}
    beside = maker.data_file({"id": [2]}, name="../imported/x=1/f.parquet") | {"file_path": "hdfs://nn/warehouse/imported/x=1/f.parquet"}
    absolute = maker.data_file({"id": [3]}, name="../../far.parquet") | {"file_path": f"file:{tmp_path}/far.parquet"}
    maker.commit([inside, beside, absolute])
    assert read(tmp_path / "wh" / "t", ["id"]) == [(1,), (2,), (3,)]


def test_a_missing_file_is_named_at_its_new_place(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path / "here", [("id", "long")], location="s3://bucket/t")
    maker.commit([maker.data_file({"id": [1]})])
    (tmp_path / "here/data/file-1.parquet").unlink()
    with pytest.raises(MissingFileError, match=str(tmp_path / "here/data/file-1.parquet")):
        read(tmp_path / "here", ["id"])


def test_a_table_at_its_place_looks_for_nothing() -> None:
    """Planning must not touch data files: no request is made for a table that was not moved."""
    storage = MemoryStorage({})
    storage.size = lambda path: pytest.fail(f"looked for {path}")  # type: ignore[method-assign, assignment]
    for root, location in (("s3://b/t", "s3a://b/t"), ("/lake/t", "file:///lake/t"), ("/lake/t", "file:/lake/t/")):
        places = Places(storage, root, location.rstrip("/"))
        paths = pa.array([f"{location.rstrip('/')}/data/{n}.parquet" for n in range(3)] + [None])
        assert places.resolve_all(paths).to_pylist() == [f"{root}/data/{n}.parquet" for n in range(3)] + [None]


def test_many_files_take_few_looks(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path / "here", [("id", "long")], location="/nowhere/t")
    maker.commit([maker.data_file({"id": [n]}) for n in range(30)])
    storage = LocalStorage()
    looked: list[str] = []
    size = storage.size
    storage.size = lambda path: looked.append(path) or size(path)  # type: ignore[method-assign, func-returns-value, assignment]
    scanned(opened(tmp_path / "here", storage))
    assert len([p for p in looked if "/data/" in p]) == 1


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/a/b", "/a/b"),
        ("file:/a/b", "/a/b"),
        ("file:///a/b", "/a/b"),
        ("file://host/a/b", "/host/a/b"),
        ("FILE:/a", "/a"),
        ("hdfs://h:1/a", "/a"),
        ("dbfs:/a", "/a"),
        ("s3n://b/a", "s3://b/a"),
        ("gcs://b/a", "gs://b/a"),
        ("./a", "a"),
        ("a/b:c", "a/b:c"),
        ("/a/b:c://d", "/a/b:c://d"),
    ],
)
def test_normal_paths(path: str, expected: str) -> None:
    assert normal_path(path) == expected
    mixed = Places(MemoryStorage({}), "/x", "/x").resolve_all(pa.array([path, "/other", path]))
    assert mixed.to_pylist() == [expected, "/other", expected]
    assert Places(MemoryStorage({}), "/x", "/x").resolve_all(pa.array([path, path])).to_pylist() == [expected] * 2
