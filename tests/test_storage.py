"""Local files, the double for tests, and the cache."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from storage_contract import FILES, StorageContract

from lakesql.errors import AccessDeniedError, ConfigError, MetadataError, MissingFileError, StorageError, UnsupportedFeatureError
from lakesql.location import Kind, absolute, engine_url, join, place
from lakesql.object_storage import RangedFile
from lakesql.storage import CachedStorage, Entry, LocalStorage, MemoryStorage, read_immutable
from lakesql.store_options import SECRETS, Options
from lakesql.stores import Stores, engine_store, for_path


def write(root: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)


class TestLocal(StorageContract):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> LocalStorage:
        self.root = str(tmp_path)
        write(tmp_path, FILES)
        return LocalStorage()


class TestRouter(StorageContract):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> Stores:
        self.root = str(tmp_path)
        write(tmp_path, FILES)
        return Stores()


class TestMemory(StorageContract):
    @pytest.fixture
    def storage(self) -> MemoryStorage:
        self.root = "/mem"
        storage = MemoryStorage({f"/mem/{name}": content for name, content in FILES.items()})
        storage.modified_us = dict.fromkeys(storage.files, 1_700_000_000_000_000)
        return storage


class TestCached(StorageContract):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> CachedStorage:
        self.root = str(tmp_path)
        write(tmp_path, FILES)
        return CachedStorage(LocalStorage())


# Local disks -------------------------------------------------------------------------------------------------------------------------------------------


def test_links_are_followed_and_dangling_ones_left_out(tmp_path: Path) -> None:
    write(tmp_path, {"real/x": b"12345"})
    (tmp_path / "file").symlink_to("real/x")
    (tmp_path / "folder").symlink_to("real")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "self").symlink_to("self")
    entries = {e.name: (e.size_bytes, e.is_folder) for e in LocalStorage().list(str(tmp_path))}
    assert entries == {"file": (5, False), "folder": (0, True), "real": (0, True)}
    assert LocalStorage().read(str(tmp_path / "folder/x")) == b"12345"


def test_a_link_to_itself_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "self").symlink_to("self")
    with pytest.raises(StorageError, match="self"):
        LocalStorage().read(str(tmp_path / "self"))
    with pytest.raises(StorageError, match="self"):
        list(LocalStorage().list(str(tmp_path / "self")))


def test_names_that_are_not_text_are_left_out(tmp_path: Path) -> None:
    write(tmp_path, {"good": b""})
    os.close(os.open(os.fsencode(str(tmp_path)) + b"/bad\xff", os.O_CREAT | os.O_WRONLY))
    assert [e.name for e in LocalStorage().list(str(tmp_path))] == ["good"]


@pytest.mark.parametrize("name", ["nul\0in it", "surrogate\udcff\ud800", "x" * 300])
def test_impossible_names_are_errors_of_ours(tmp_path: Path, name: str) -> None:
    path = f"{tmp_path}/{name}"
    for ask in (LocalStorage().read, LocalStorage().size, LocalStorage().open, lambda p: list(LocalStorage().list(p))):
        with pytest.raises(StorageError):
            ask(path)


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    for ask in (LocalStorage().read, LocalStorage().open, lambda p: LocalStorage().read_range(p, 0, 1)):
        with pytest.raises(StorageError, match=r"directory|no regular file"):
            ask(str(tmp_path))


def test_a_pipe_under_a_file_s_name_does_not_hang_the_reader(tmp_path: Path) -> None:
    pipe = str(tmp_path / "00000000000000000000.json")
    os.mkfifo(pipe)
    for ask in (LocalStorage().read, LocalStorage().open):
        with pytest.raises(StorageError, match="no regular file"):
            ask(pipe)
    with pytest.raises(StorageError, match="no regular file"):
        LocalStorage().read("/dev/zero")


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (errno.EACCES, AccessDeniedError),
        (errno.EPERM, AccessDeniedError),
        (errno.EIO, StorageError),
        (errno.ENOENT, MissingFileError),
        (errno.ESTALE, StorageError),
    ],
)
def test_errors_of_the_system_become_ours(monkeypatch: pytest.MonkeyPatch, code: int, expected: type[StorageError]) -> None:
    def fail(*args: Any, **options: Any) -> Any:
        raise OSError(code, os.strerror(code))

    storage = LocalStorage()
    for function in ("open", "stat", "scandir"):
        monkeypatch.setattr(os, function, fail)
    asks = [storage.read, storage.open] + ([] if expected is MissingFileError else [storage.size, lambda p: list(storage.list(p))])
    for ask in asks:
        with pytest.raises(expected) as caught:
            ask("/lake/file")
        assert type(caught.value) is expected
        assert "/lake/file" in str(caught.value)
        assert isinstance(caught.value.__cause__, OSError)


def test_a_file_too_large_to_be_metadata_is_not_read(tmp_path: Path) -> None:
    huge = tmp_path / "huge.json"
    with huge.open("wb") as file:
        file.truncate(3 << 30)  # a hole: takes no space
    with pytest.raises(MetadataError, match=r"huge\.json.*3,221,225,472 bytes.*2,147,483,648") as caught:
        LocalStorage().read(str(huge))
    assert "metadata_file_limit" in str(caught.value)
    assert LocalStorage().read_range(str(huge), 5, 2) == b"\0\0"


def test_the_size_limit_is_the_caller_s() -> None:
    with pytest.raises(MetadataError, match="4 bytes"):
        MemoryStorage({"/a": b"four"}, file_limit_bytes=3).read("/a")


def test_local_files_are_found_by_their_engine_url(tmp_path: Path) -> None:
    import datafusion
    import pyarrow as pa
    import pyarrow.parquet as pq

    context = datafusion.SessionContext()
    for name in (
        "a b/c%20d.parquet",
        "p=a%2Fb/x.parquet",
        "Ünï/é#?*+&[1]{2}.parquet",
        "t=2020-01-01 00%3A00%3A00/z.parquet",
        "\"q'u;o,t\\e.parquet",
        "a:b@c!$().parquet",
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        pq.write_table(pa.table({"x": [name]}), str(path))
        assert context.read_parquet(engine_url(str(path))).to_pydict() == {"x": [name]}


# The cache ---------------------------------------------------------------------------------------------------------------------------------------------


def test_an_immutable_file_is_read_once() -> None:
    inner = MemoryStorage({"/a": b"abc"})
    cached = CachedStorage(inner)
    assert [read_immutable(cached, "/a") for _ in range(3)] == [b"abc"] * 3
    assert inner.reads == {"/a": 1}
    assert cached.cached_bytes == 3
    assert cached.read("/a") == b"abc"
    assert inner.reads == {"/a": 2}  # `read` makes no assumption


def test_a_storage_without_a_cache_reads_each_time() -> None:
    inner = MemoryStorage({"/a": b"abc"})
    assert read_immutable(inner, "/a") + read_immutable(inner, "/a") == b"abcabc"
    assert inner.reads == {"/a": 2}


def test_a_numbered_file_is_cached_by_its_size_and_time() -> None:
    """A table dropped and made anew has the same names with other content."""
    inner = MemoryStorage({"/0.json": b"old"})
    cached = CachedStorage(inner)
    old, new = Entry("/0.json", 3, 1), Entry("/0.json", 3, 2)
    assert [read_immutable(cached, "/0.json", old) for _ in range(2)] == [b"old", b"old"]
    assert inner.reads == {"/0.json": 1}
    inner.files["/0.json"] = b"new"
    assert [read_immutable(cached, "/0.json", new) for _ in range(2)] == [b"new", b"new"]
    assert inner.reads == {"/0.json": 2}
    inner.files["/0.json"] = b"changed since the listing"
    assert read_immutable(cached, "/0.json", Entry("/0.json", 5, 3)) == b"changed since the listing"
    assert cached.cached_bytes == 6


def test_the_least_used_files_leave_first() -> None:
    inner = MemoryStorage({f"/{n}": bytes(100) for n in "abcdef"})
    cached = CachedStorage(inner, limit_bytes=450)
    for name in "abcd":
        cached.read_immutable(f"/{name}")
    cached.read_immutable("/a")
    cached.read_immutable("/e")
    assert cached.cached_bytes == 400
    inner.reads.clear()
    for name in "acde":
        cached.read_immutable(f"/{name}")
    assert inner.reads == {}
    cached.read_immutable("/b")
    assert inner.reads == {"/b": 1}


def test_a_large_file_does_not_push_out_the_small_ones() -> None:
    inner = MemoryStorage({"/small": bytes(10), "/large": bytes(300)})
    cached = CachedStorage(inner, limit_bytes=1000)
    cached.read_immutable("/small")
    for _ in range(2):
        assert len(cached.read_immutable("/large")) == 300
    assert inner.reads == {"/small": 1, "/large": 2}
    assert cached.cached_bytes == 10


def test_a_cache_of_nothing_and_a_missing_file() -> None:
    cached = CachedStorage(MemoryStorage({"/a": b"abc"}), limit_bytes=0)
    assert cached.read_immutable("/a") == b"abc"
    assert cached.cached_bytes == 0
    with pytest.raises(MissingFileError):
        cached.read_immutable("/b")


def test_threads_share_a_cache_and_its_count_stays_right() -> None:
    inner = MemoryStorage({f"/{n}": bytes(n) for n in range(1, 60)})
    cached = CachedStorage(inner, limit_bytes=500)
    start = threading.Barrier(8)

    def work(seed: int) -> None:
        start.wait()
        for step in range(300):
            n = (seed * 31 + step * 7) % 59 + 1
            assert len(cached.read_immutable(f"/{n}")) == n

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(work, seed) for seed in range(8)]:
            done.result()
    assert cached.cached_bytes == sum(len(content) for content in cached._files.values()) <= 500


def test_a_ranged_file_stays_inside_its_file() -> None:
    asked: list[tuple[int, int]] = []

    def read_range(offset: int, length: int) -> bytes:
        asked.append((offset, length))
        return b"0123456789"[offset : offset + length]

    file = RangedFile(read_range, 10)
    assert file.seek(-3, os.SEEK_END) == 7
    assert file.read(100) == b"789"
    assert file.read(5) == b""
    file.seek(100)
    assert file.read() == b""
    assert file.seek(2) == 2
    buffer = bytearray(3)
    assert file.readinto(buffer) == 3
    assert bytes(buffer) == b"234"
    assert file.seek(1, os.SEEK_CUR) == 6
    assert asked == [(7, 3), (2, 3)]


def test_the_double_counts_and_denies() -> None:
    storage = MemoryStorage({"/t/a": "text"})
    storage.denied.add("/t/a")
    for ask in (storage.read, storage.size, storage.open):
        with pytest.raises(AccessDeniedError, match="/t/a"):
            ask("/t/a")
    list(storage.list("/t/"))
    assert storage.lists == {"/t": 1}


# Locations ---------------------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/lake/t", "/lake/t"),
        ("/lake/t/", "/lake/t"),
        ("t", "/base/t"),
        ("../t//u/./", "/t/u"),
        (".", "/base"),
        ("~/t", "/home/me/t"),
        ("a%20b", "/base/a%20b"),
        ("file:///a%20b/", "/a b"),
        ("file:/a/b", "/a/b"),
        ("FILE://localhost/a%C3%A9", "/aé"),
        ("s3://bucket/a%20b/", "s3://bucket/a%20b"),
        ("s3a://bucket", "s3a://bucket"),
        (Path("file:/odd"), "/base/file:/odd"),
    ],
)
def test_what_users_write_becomes_a_location(monkeypatch: pytest.MonkeyPatch, text: Any, expected: str) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert absolute(text, base="/base") == expected


def test_a_relative_path_starts_at_the_working_directory_or_a_bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute("t") == str(tmp_path / "t")
    assert absolute("t/", base="s3://bucket/lake") == "s3://bucket/lake/t"
    assert join("s3://bucket/lake/", "a", "b") == "s3://bucket/lake/a/b"


@pytest.mark.parametrize("text", ["", "  ", "a\0b", 3, None, "file://host/x"])
def test_what_can_be_no_location_is_refused(text: Any) -> None:
    with pytest.raises(ConfigError):
        absolute(text)


@pytest.mark.parametrize(
    ("path", "kind", "bucket", "account", "key", "store"),
    [
        ("/lake/t", Kind.LOCAL, "", "", "/lake/t", "file://"),
        ("s3://b/k/e y", Kind.S3, "b", "", "k/e y", "s3://b"),
        ("s3n://b", Kind.S3, "b", "", "", "s3://b"),
        ("S3A://b/k", Kind.S3, "b", "", "k", "s3://b"),
        ("gs://b/k", Kind.GCS, "b", "", "k", "gs://b"),
        ("az://c/k", Kind.AZURE, "c", "", "k", "az://c"),
        ("abfss://c@acme.dfs.core.windows.net/k", Kind.AZURE, "c", "acme", "k", "az://acme.c"),
        ("wasbs://c@acme.blob.core.windows.net/k", Kind.AZURE, "c", "acme", "k", "az://acme.c"),
    ],
)
def test_places(path: str, kind: Kind, bucket: str, account: str, key: str, store: str) -> None:
    at = place(path)
    assert (at.kind, at.bucket, at.account, at.key, at.store) == (kind, bucket, account, key, store)
    assert at.root + at.key in (path, path + "/")


def test_engine_urls_have_one_spelling_and_are_encoded() -> None:
    assert engine_url("s3a://b/a b/c=é%.parquet") == "s3://b/a%20b/c%3D%C3%A9%25.parquet"
    assert engine_url("abfss://c@acme.dfs.core.windows.net/k") == "az://acme.c/k"
    assert engine_url("/a b") == "file:///a%20b"


def test_unknown_schemes_and_urls_without_buckets_are_refused() -> None:
    with pytest.raises(UnsupportedFeatureError, match="hdfs://") as caught:
        place("hdfs://host/x")
    assert caught.value.feature == "hdfs:// paths"
    for bad in ("s3:///key", "s3://user:pass@bucket/key"):
        with pytest.raises(ConfigError) as refused:
            place(bad)
        assert "pass" not in str(refused.value).replace("path", "")


# Options -----------------------------------------------------------------------------------------------------------------------------------------------


def test_options_never_show_their_secrets() -> None:
    options = Options({key: f"hidden-{key}" for key in SECRETS} | {"region": "eu-1"})
    for shown in (repr(options), str(options), f"{options}", f"{[options]}"):
        assert "hidden" not in shown
        assert "eu-1" in shown
    assert options.masked("x hidden-secret_access_key y hidden-session_token") == "x *** y ***"
    assert options == Options(dict(options))
    assert hash(options) == hash(Options(dict(options)))
    assert Options({"allow_http": "true"}).flag("allow_http")
    assert not Options({"allow_http": "false"}).flag("allow_http")


def test_local_paths_need_no_engine_store() -> None:
    assert engine_store(CachedStorage(Stores()), "/lake/t") is None
    assert engine_store(MemoryStorage(), "s3://b/k") is None
    assert isinstance(for_path("/lake"), LocalStorage)


def test_an_option_the_store_does_not_have_is_refused() -> None:
    with pytest.raises(ConfigError, match='no option "regoin"'):
        for_path("s3://b/k", {"regoin": "x"})
    with pytest.raises(ConfigError, match='no option "region"'):
        for_path("/lake", {"region": "x"})


def test_catalogs_and_configuration_load_no_engine_and_no_cloud_library() -> None:
    code = "import sys, lakesql.catalogs, lakesql.sample; print([m for m in ('datafusion', 'obstore', 'prompt_toolkit') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
