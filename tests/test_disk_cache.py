"""Metadata files kept in a folder: by many at once, whole or not at all, within a size."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

from lakesql.disk_cache import DiskCache
from lakesql.errors import ConfigError
from lakesql.storage import CachedStorage, Entry, MemoryStorage, read_immutable, read_kept
from lakesql.stores import Stores


def identity(path: str) -> str | None:
    return None if path.startswith("/") else path


def cache(folder: Path, limit_bytes: int = 1 << 20) -> DiskCache:
    return DiskCache(str(folder), limit_bytes, identity)


def test_files_are_there_for_the_next_one(tmp_path: Path) -> None:
    cache(tmp_path).put("s3://b/m", None, b"content")
    assert cache(tmp_path).get("s3://b/m") == b"content"
    assert cache(tmp_path).get("s3://b/n") is None
    assert DiskCache(str(tmp_path), 1 << 20, lambda path: f"{path} of another endpoint").get("s3://b/m") is None


def test_numbered_names_are_kept_by_size_and_time(tmp_path: Path) -> None:
    first, second = Entry("s3://b/1.json", 3, 100), Entry("s3://b/1.json", 3, 200)
    kept = cache(tmp_path)
    kept.put(first.path, first, b"old")
    assert (kept.get(first.path, first), kept.get(second.path, second), kept.get(first.path)) == (b"old", None, None)


@pytest.mark.parametrize("damage", ["cut", "bit", "empty", "other"])
def test_what_is_damaged_is_thrown_away(tmp_path: Path, damage: str) -> None:
    kept = cache(tmp_path)
    kept.put("s3://b/m", None, b"content")
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    kept.put("s3://b/other", None, b"content")
    (other,) = set(tmp_path.iterdir()) - {file}
    file.write_bytes({"cut": whole[:-1], "bit": whole[:-1] + bytes([whole[-1] ^ 1]), "empty": b"", "other": other.read_bytes()}[damage])
    assert kept.get("s3://b/m") is None
    assert not file.exists()


def test_the_folder_stays_within_its_size(tmp_path: Path) -> None:
    kept = cache(tmp_path, 10_000)
    for number in range(30):
        kept.put(f"s3://b/{number}", None, bytes(1000))
        time.sleep(0.005)  # what is used last is told by the clock of the file system
        assert kept.get("s3://b/0") is not None  # asked for each time, so it stays
        assert sum(f.stat().st_size for f in tmp_path.iterdir()) <= 10_000
    assert kept.get("s3://b/29") is not None
    assert kept.get("s3://b/5") is None
    kept.put("s3://b/large", None, bytes(2501))
    assert kept.get("s3://b/large") is None


def test_what_a_dead_process_left_is_removed(tmp_path: Path) -> None:
    old, new = tmp_path / ".unfinished-old", tmp_path / ".unfinished-new"
    for file, age in ((old, 7200), (new, 0)):
        file.write_bytes(bytes(100))
        os.utime(file, (time.time() - age, time.time() - age))
    kept = cache(tmp_path, 4000)
    for number in range(5):
        kept.put(f"s3://b/{number}", None, bytes(950))
    assert (old.exists(), new.exists()) == (False, True)


def test_many_processes_at_once(tmp_path: Path) -> None:
    """All read and write the same few names in a folder too small for them: what is found is whole."""
    program = """
import sys
from lakesql.disk_cache import DiskCache
kept = DiskCache(sys.argv[1], 40_000, lambda path: path)
for round in range(60):
    for name in range(12):
        content = kept.get(f"s3://b/{name}")
        assert content is None or content == bytes([name]) * 6000, name
        kept.put(f"s3://b/{name}", None, bytes([name]) * 6000)
"""
    running = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path)]) for _ in range(4)]
    assert [process.wait() for process in running] == [0] * 4
    assert not [f for f in tmp_path.iterdir() if f.name.startswith(".")]


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be kept"):
        cache(tmp_path / "file" / "folder")
    kept = cache(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.warns(RuntimeWarning, match="not kept"):
        kept.put("s3://b/m", None, b"content")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kept.put("s3://b/m", None, b"content")
    assert kept.get("s3://b/m") is None


def test_storage_asks_the_folder_before_the_store(tmp_path: Path) -> None:
    inner = MemoryStorage({"s3://b/m": b"content", "/local": b"local"})
    for number in range(2):
        storage = CachedStorage(inner, shelf=cache(tmp_path))
        assert read_immutable(storage, "s3://b/m") == read_kept(storage, "s3://b/m") == b"content"
        assert read_kept(storage, "/local") == b"local"
        assert storage.read("s3://b/m") == b"content"
        assert inner.reads == {"s3://b/m": number + 2, "/local": number + 1}


def test_identity_leaves_out_credentials_and_local_files() -> None:
    stores = Stores()
    assert stores.identity("/lake/t") is None
    stores.lend("s3://b/t", {"access_key_id": "A", "secret_access_key": "secret", "endpoint": "http://one", "region": "r"})
    one = stores.identity("s3://b/t/m.avro")
    assert one is not None
    assert "secret" not in one
    stores.lend("s3://b/t", {"access_key_id": "B", "secret_access_key": "other", "endpoint": "http://one", "region": "r"})
    assert stores.identity("s3://b/t/m.avro") == one
    stores.lend("s3://b/t", {"access_key_id": "B", "secret_access_key": "other", "endpoint": "http://two", "region": "r"})
    assert stores.identity("s3://b/t/m.avro") != one
