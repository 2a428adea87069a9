"""Paths of the log: decoded once, one spelling per file, nothing outside the table by stealth; and tables that were moved."""

from __future__ import annotations

from urllib.parse import quote, unquote

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.delta.log_maker import Log, add, metadata, protocol, remove
from lakesql.errors import MetadataError
from lakesql.formats.delta.moved import Moved
from lakesql.formats.delta.paths import full_paths, is_absolute, normal_path, percent_decoded
from lakesql.storage import MemoryStorage
from lakesql.table import Latest, ScanRequest

ROOT = "/lake/t"


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("part-1.parquet", "part-1.parquet"),
        ("p=a%252Fb%2520c/f", "p=a%2Fb%20c/f"),
        ("a+b", "a+b"),
        ("100%", "100%"),
        ("%4", "%4"),
        ("%zz", "%zz"),
        ("%C3%A9", "é"),
        ("é%C3%A9", "éé"),
        ("p=10:30/x:y", "p=10:30/x:y"),
        ("a..b/..c", "a..b/..c"),
        ("/elsewhere/f", "/elsewhere/f"),
        ("file:/elsewhere/f", "/elsewhere/f"),
        ("file:///elsewhere/f", "/elsewhere/f"),
        ("FILE://localhost/elsewhere//f", "/elsewhere/f"),
        ("file:///elsewhere/with%20space", "/elsewhere/with space"),
        ("file:/lake/t/p=1/f", "p=1/f"),
        ("/lake/t/f", "f"),
        ("/lake/tt/f", "/lake/tt/f"),
        ("s3a://bucket/x", "s3://bucket/x"),
        ("s3://bucket/a%20b", "s3://bucket/a b"),
        ("abfss://c@a.dfs.core.windows.net/x", "abfss://c@a.dfs.core.windows.net/x"),
    ],
)
def test_normal_paths(text: str, normal: str) -> None:
    assert normal_path(text, ROOT, source="a commit") == normal


@pytest.mark.parametrize("text", ["", "..", "../x", "a/../../b", "%2e%2e/x", "a%00b", "%2Fetc/passwd", "%ff%fe"])
def test_paths_that_are_none(text: str) -> None:
    with pytest.raises(MetadataError, match="a commit"):
        normal_path(text, ROOT, source="a commit")


def test_a_bucket_as_root() -> None:
    root = "s3://bucket/lake/t"
    assert normal_path("s3a://bucket/lake/t/f", root, source="") == "f"
    # In an object store a doubled slash is part of the key.
    assert normal_path("s3://bucket/lake/t//f", root, source="") == "s3://bucket/lake/t//f"
    assert full_paths(pa.array(["f", "s3://other/g"]), root).to_pylist() == ["s3://bucket/lake/t/f", "s3://other/g"]


def test_which_are_absolute() -> None:
    assert is_absolute(pa.array(["f", "/f", "s3://b/f", "p=a://b/f", "a:b"])).to_pylist() == [False, True, True, False, False]


@settings(deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1), min_size=1))
def test_decoding_is_urllibs(names: list[str]) -> None:
    texts = pa.array([quote(name, safe="") for name in names])
    assert percent_decoded(texts, source="").to_pylist() == names
    assert percent_decoded(pa.array([None, *names])[1:], source="").to_pylist() == [_once(name) for name in names]


def _once(name: str) -> str:
    return unquote(name, errors="strict")


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.text("aé%25F+", max_size=6)), max_size=8))
def test_decoding_keeps_nulls_and_slices(names: list[str | None]) -> None:
    texts = pa.array(["skip", *names], pa.string())[1:]
    try:
        expected = [None if n is None else unquote(n, errors="strict") for n in names]
    except UnicodeDecodeError:
        with pytest.raises(MetadataError):
            percent_decoded(texts, source="")
        return
    assert percent_decoded(texts, source="").to_pylist() == expected


def test_one_file_under_three_spellings() -> None:
    log = Log().create(add("/some/where/f%20g"), add("h")).commit(remove("file:/some/where/f%20g")).commit(remove("file:///lake/t/h"))
    assert (log.paths(0), log.paths(1), log.paths(2)) == (["/some/where/f g", "h"], ["h"], [])


def test_an_encoded_path_in_a_commit_strikes_out_of_a_checkpoint() -> None:
    log = Log().create().checkpoint(0, protocol(), metadata(), add("p=a%20b/f"), add("g"))
    log.commit(remove("p=a%20b/f"))
    assert log.paths() == ["g"]


def test_scans_give_paths_as_storage_names_them() -> None:
    log = Log().create(add("p=a%252Fb/f.parquet"), add("g"))
    files = log.table.snapshot(Latest()).scan(ScanRequest(("id",))).files
    assert files["path"].to_pylist() == ["/lake/t/p=a%2Fb/f.parquet", "/lake/t/g"]


# Moved tables --------------------------------------------------------------------------------------------------------------------------------------


def places(storage: MemoryStorage, root: str, *paths: str, size: int = 3) -> list[str]:
    found: list[str] = Moved(storage, root).places(pa.array(paths), pa.array([size] * len(paths))).to_pylist()
    return found


def test_a_file_at_its_named_place_stays() -> None:
    storage = MemoryStorage({"/old/source/f": "abc", "/new/source/f": "abc"})
    assert places(storage, "/new/clone", "/old/source/f") == ["/old/source/f"]


def test_a_clone_and_its_source_moved_together() -> None:
    storage = MemoryStorage({"/new/lake/source/p=1/f": "abc", "/new/lake/source/p=2/g": "abc", "/new/lake/clone/_delta_log/0": ""})
    found = places(storage, "/new/lake/clone", "/tmp/old/source/p=1/f", "/tmp/old/source/p=2/g", "/tmp/old/source/p=3/gone")
    assert found == ["/new/lake/source/p=1/f", "/new/lake/source/p=2/g", "/new/lake/source/p=3/gone"]


def test_a_table_with_its_own_absolute_paths_moved() -> None:
    storage = MemoryStorage({"/new/t/f": "abc"})
    assert places(storage, "/new/t", "s3://old/t/f") == ["/new/t/f"]


def test_a_file_of_another_size_is_another_file() -> None:
    storage = MemoryStorage({"/new/lake/source/f": "abcd"})
    assert places(storage, "/new/lake/clone", "/old/source/f") == ["/old/source/f"]


def test_what_was_found_for_one_file_is_not_looked_for_again() -> None:
    storage = MemoryStorage({f"/new/source/f{i}": "abc" for i in range(1000)})
    sizes: list[str] = []
    whole = storage.size
    storage.size = lambda path: (sizes.append(path), whole(path))[1]  # type: ignore[method-assign,func-returns-value]
    moved = Moved(storage, "/new/clone")
    paths = pa.array([f"/old/source/f{i}" for i in range(1000)])
    assert moved.places(paths, pa.array([3] * 1000)).to_pylist() == [f"/new/source/f{i}" for i in range(1000)]
    assert moved.place("/old/source/deletion_vector_x.bin") == "/new/source/deletion_vector_x.bin"
    assert moved.named("/new/source/f7") == "/old/source/f7"
    assert len(sizes) < 20


def test_a_moved_clone_is_read_where_it_lies() -> None:
    log = Log("/new/lake/clone").create(add("file:/tmp/lake/source/f", size=3), add("own"))
    log.storage.files["/new/lake/source/f"] = b"abc"
    files = log.table.snapshot(Latest()).scan(ScanRequest(("id",))).files
    assert files["path"].to_pylist() == ["/new/lake/source/f", "/new/lake/clone/own"]
