"""Deletion vectors of both widths: rows they delete, and everything that can be wrong with them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyroaring
import pytest

from lakesql.errors import DataFileError, Error, MetadataError, MissingFileError
from lakesql.formats.paimon.deletion_vectors import decode
from lakesql.storage import MemoryStorage

from .reading import rows_of
from .table_maker import TableMaker, vector_bytes


def index_file(body: bytes, **wrong: Any) -> MemoryStorage:
    """An index file with one vector at byte 1. wrong: its version, size, checksum."""
    size, checksum = wrong.get("size", len(body)), wrong.get("checksum", zlib.crc32(body))
    return MemoryStorage({"index": bytes([wrong.get("version", 1)]) + struct.pack(">i", size) + body + struct.pack(">I", checksum)})


NARROW, WIDE = vector_bytes([0, 7, 70_000]), vector_bytes([0, 7, 70_000, 2**33], wide=True)


def test_positions() -> None:
    assert decode(index_file(NARROW), "index", 1, len(NARROW), 3, 10**6).tolist() == [0, 7, 70_000]
    assert decode(index_file(WIDE), "index", 1, len(WIDE) + 8, 4, 2**34).tolist() == [0, 7, 70_000, 2**33]
    assert decode(index_file(NARROW), "index", 1, len(NARROW), None, 10**6).tolist() == [0, 7, 70_000]


@pytest.mark.parametrize(
    ("storage", "offset", "length", "cardinality", "rows", "message"),
    [
        (index_file(NARROW, version=2), 1, len(NARROW), 3, 10**6, "has version 2; lakesql reads version 1"),
        (MemoryStorage({"index": b""}), 1, len(NARROW), 3, 10**6, "has version None"),
        (index_file(NARROW), 500, len(NARROW), 3, 10**6, "the file has"),
        (index_file(NARROW), -1, len(NARROW), 3, 10**6, "the file has"),
        (index_file(NARROW, size=10**6), 1, len(NARROW), 3, 10**6, "ends before"),
        (index_file(NARROW, size=-5), 1, len(NARROW), 3, 10**6, "ends before"),
        (index_file(NARROW, checksum=1), 1, len(NARROW), 3, 10**6, "checksum does not match"),
        (index_file(b"\1\2\3\4" + NARROW[4:]), 1, len(NARROW), 3, 10**6, "begins with 01020304"),
        (index_file(NARROW), 1, len(NARROW) + 8, 3, 10**6, "not that of such a vector"),
        (index_file(WIDE), 1, len(WIDE), 4, 2**34, "not that of such a vector"),
        (index_file(NARROW[:10]), 1, 10, 3, 10**6, "does not hold a Roaring bitmap"),
        (index_file(NARROW), 1, len(NARROW), 4, 10**6, "lists 3 rows; the index manifest says 4"),
        (index_file(NARROW), 1, len(NARROW), 3, 70_000, "lists row 70,000 of a data file with 70,000 rows"),
    ],
)
def test_damage(storage: MemoryStorage, offset: int, length: int, cardinality: int | None, rows: int, message: str) -> None:
    with pytest.raises(DataFileError, match=message):
        decode(storage, "index", offset, length, cardinality, rows)


def test_a_run_of_billions_is_not_spread_out() -> None:
    bitmap = pyroaring.BitMap()
    bitmap.add_range(0, 2**32)
    body = struct.pack(">i", 1581511376) + bitmap.serialize()
    with pytest.raises(DataFileError, match="lists 4,294,967,296 rows"):
        decode(index_file(body), "index", 1, len(body), None, 2**33)


def test_an_index_file_that_is_gone() -> None:
    with pytest.raises(MissingFileError, match="is not there"):
        decode(MemoryStorage(), "index", 1, len(NARROW), 3, 10)


# In tables -----------------------------------------------------------------------------------------------------------------------------------------


def appended(tmp_path: Path, count: int = 10) -> tuple[TableMaker, Any]:
    maker = TableMaker(tmp_path, {"k": "INT", "v": "INT"}, options={"bucket": "-1"})
    file = maker.write([{"k": n, "v": n % 3} for n in range(count)])
    maker.commit([file])
    return maker, file


@pytest.mark.parametrize("wide", [False, True])
def test_positions_are_those_before_any_filter(tmp_path: Path, wide: bool) -> None:
    maker, file = appended(tmp_path)
    maker.commit([], vectors={"a": (file, [1, 4, 9])}, wide=wide, kind="OVERWRITE")
    assert [r["k"] for r in rows_of(tmp_path, "SELECT k FROM t ORDER BY k")] == [0, 2, 3, 5, 6, 7, 8]
    assert [r["k"] for r in rows_of(tmp_path, "SELECT k FROM t WHERE v = 1 ORDER BY k")] == [7]
    assert rows_of(tmp_path, "SELECT count(*) AS n FROM t") == [{"n": 7}]
    assert rows_of(tmp_path, "SELECT count(*) AS n FROM t VERSION AS OF 1") == [{"n": 10}]


def test_both_widths_in_one_table(tmp_path: Path) -> None:
    maker, file = appended(tmp_path)
    other = maker.write([{"k": 100, "v": 0}, {"k": 101, "v": 0}])
    maker.commit([other], vectors={"a": (file, range(10))})
    assert sorted(r["k"] for r in rows_of(tmp_path)) == [100, 101]
    maker.commit([], vectors={"a": (file, range(10)), "b": (other, [0])}, wide=True)
    assert rows_of(tmp_path, "SELECT k FROM t") == [{"k": 101}]


def test_every_row_deleted(tmp_path: Path) -> None:
    maker, file = appended(tmp_path, 3)
    maker.commit([], vectors={"a": (file, [0, 1, 2])})
    assert rows_of(tmp_path) == []
    assert rows_of(tmp_path, "SELECT count(*) AS n, max(k) AS m FROM t") == [{"n": 0, "m": None}]


def test_an_unknown_number_of_deleted_rows(tmp_path: Path) -> None:
    """Older writers do not say how many; then rows are counted."""
    maker, file = appended(tmp_path)
    maker.commit([], vectors={"a": (file, [1, 2])}, counted=False)
    assert rows_of(tmp_path, "SELECT count(*) AS n FROM t") == [{"n": 8}]


def test_vectors_of_files_that_are_not_read(tmp_path: Path) -> None:
    """Of files that are gone, or of another bucket with a file of that name."""
    maker, file = appended(tmp_path)
    other = maker.write([{"k": 50, "v": 0}])
    maker.commit([other], [file], vectors={"a": (file, [1])})
    assert rows_of(tmp_path, "SELECT k FROM t") == [{"k": 50}]


def _break(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]), DataFileError, "checksum"),
        (lambda raw: raw[: len(raw) // 2], DataFileError, "ends before|the file has"),
        (lambda raw: b"", DataFileError, "version None"),
        (lambda raw: b"\2" + raw[1:], DataFileError, "version 2"),
    ],
)
def test_damaged_index_files(tmp_path: Path, change: Callable[[bytes], bytes], error: type[Error], message: str) -> None:
    maker, file = appended(tmp_path)
    maker.commit([], vectors={"a": (file, [1, 2])})
    [index] = (tmp_path / "index").iterdir()
    _break(index, change)
    with pytest.raises(error, match=message):
        rows_of(tmp_path)


def test_a_missing_index_file(tmp_path: Path) -> None:
    maker, file = appended(tmp_path)
    maker.commit([], vectors={"a": (file, [1, 2])})
    for index in (tmp_path / "index").iterdir():
        index.unlink()
    with pytest.raises(MissingFileError):
        rows_of(tmp_path)


def test_two_vectors_of_one_file(tmp_path: Path) -> None:
    maker, file = appended(tmp_path)
    maker.commit([], vectors={"a": (file, [1]), "b": (file, [2])})
    with pytest.raises(MetadataError, match="two deletion vectors"):
        rows_of(tmp_path)
