"""What every Storage promises, as tests to subclass. A subclass gives a `storage` fixture and a `root`, under which `FILES` are."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakesql.errors import MissingFileError, StorageError
from lakesql.storage import Storage


def parquet() -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"x": list(range(1000))}), sink, row_group_size=100)
    return sink.getvalue().to_pybytes()


FILES: dict[str, bytes] = {
    "t/_delta_log/00000000000000000000.json": b"zero",
    "t/_delta_log/00000000000000000001.json": b"one",
    "t/_delta_log/00000000000000000002.json": b"two",
    "t/_delta_log/00000000000000000010.checkpoint.parquet": parquet(),
    "t/_delta_log/_last_checkpoint": b"{}",
    "t/_delta_log/_sidecars/a.parquet": b"side",
    "t/.hidden": b"h",
    "t/a-b": b"file before the folder a",
    "t/a.json": b"also before it",
    "t/a/x": b"in a",
    "t/a0": b"after it",
    "t/empty": b"",
    "t/p=a%2Fb/c d#?*+é[1].parquet": b"special",
    "t/Ünï/x": b"last in bytes",
}


class StorageContract:
    root: str

    def names(self, storage: Storage, folder: str, **after: str) -> list[str]:
        return [e.name + "/" * e.is_folder for e in storage.list(f"{self.root}/{folder}", **after)]

    def test_a_listing_is_in_byte_order_and_folders_sort_with_their_slash(self, storage: Storage) -> None:
        assert self.names(storage, "t") == [".hidden", "_delta_log/", "a-b", "a.json", "a/", "a0", "empty", "p=a%2Fb/", "Ünï/"]

    def test_a_trailing_slash_changes_nothing(self, storage: Storage) -> None:
        assert self.names(storage, "t/") == self.names(storage, "t")
        assert [e.path for e in storage.list(f"{self.root}/t/a/")] == [f"{self.root}/t/a/x"]

    def test_a_listing_starts_after_a_name(self, storage: Storage) -> None:
        after = "00000000000000000001.json"
        assert self.names(storage, "t/_delta_log", start_after=after) == [
            "00000000000000000002.json",
            "00000000000000000010.checkpoint.parquet",
            "_last_checkpoint",
            "_sidecars/",
        ]

    @pytest.mark.parametrize(
        ("after", "expected"),
        [
            ("a", ["a-b", "a.json", "a0", "empty", "p=a%2Fb/", "Ünï/"]),
            ("a-b", ["a.json", "a0", "empty", "p=a%2Fb/", "Ünï/"]),
            ("p=a%2Fb", ["Ünï/"]),
            ("b", ["empty", "p=a%2Fb/", "Ünï/"]),
            ("Ünï", []),
        ],
    )
    def test_a_listing_may_start_after_any_name(self, storage: Storage, after: str, expected: list[str]) -> None:
        assert self.names(storage, "t", start_after=after) == expected

    def test_entries_tell_sizes_paths_and_times(self, storage: Storage) -> None:
        entries = {e.name: e for e in storage.list(f"{self.root}/t")}
        assert entries["a-b"].size_bytes == len(FILES["t/a-b"])
        assert entries["a-b"].path == f"{self.root}/t/a-b"
        assert entries["a-b"].modified_us > 1_600_000_000_000_000
        assert entries["a"].is_folder
        assert (entries["a"].size_bytes, entries["a"].modified_us) == (0, 0)

    def test_a_missing_folder_and_a_file_list_nothing(self, storage: Storage) -> None:
        assert self.names(storage, "nowhere") == []
        assert self.names(storage, "t/a-b") == []
        assert self.names(storage, "t/_delta_log/0000000000000000000") == []

    def test_every_file_reads_whole(self, storage: Storage) -> None:
        for name, content in FILES.items():
            assert storage.read(f"{self.root}/{name}") == content
            assert storage.size(f"{self.root}/{name}") == len(content)

    def test_ranges(self, storage: Storage) -> None:
        path = f"{self.root}/t/a.json"
        assert storage.read_range(path, 0, 4) == b"also"
        assert storage.read_range(path, 5, 9) == b"before it"
        assert storage.read_range(path, 14, 0) == b""

    @pytest.mark.parametrize(("offset", "length"), [(0, 15), (14, 1), (100, 3), (-1, 3), (3, -1), (0, 1 << 62)])
    def test_a_range_that_is_not_there_is_an_error_that_says_so(self, storage: Storage, offset: int, length: int) -> None:
        with pytest.raises(StorageError, match=r"cannot read .* bytes at .*a\.json.*14 bytes"):
            storage.read_range(f"{self.root}/t/a.json", offset, length)

    def test_a_missing_file_is_named(self, storage: Storage) -> None:
        path = f"{self.root}/t/missing.json"
        assert storage.size(path) is None
        assert storage.size(f"{self.root}/t") is None
        for ask in (lambda: storage.read(path), lambda: storage.read_range(path, 0, 1), lambda: storage.open(path)):
            with pytest.raises(MissingFileError) as caught:
                ask()
            assert caught.value.path == path
            assert path in str(caught.value)

    def test_an_open_file_serves_columnar_readers(self, storage: Storage) -> None:
        with storage.open(f"{self.root}/t/_delta_log/00000000000000000010.checkpoint.parquet") as file:
            assert isinstance(file, pa.NativeFile)
            reader = pq.ParquetFile(file)
            assert reader.num_row_groups == 10
            assert reader.read_row_group(7).column("x")[0].as_py() == 700
        with storage.open(f"{self.root}/t/a.json") as file:
            file.seek(5)
            assert file.read(6) == b"before"
            assert file.read() == b" it"
            assert file.size() == 14
