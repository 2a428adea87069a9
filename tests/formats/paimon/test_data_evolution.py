"""Row ids, files that hold some columns of other files' rows, and large values in files of their own."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakesql.errors import DataFileError, MetadataError, UnsupportedFeatureError
from lakesql.formats.paimon.blobs import NULL, OLDER, read_blobs
from lakesql.predicate import Column, Compare, Op
from lakesql.storage import MemoryStorage
from lakesql.table import Latest, ScanRequest

from .reading import rows_of, table_at
from .table_maker import DataFile, TableMaker

EVOLVING = {"bucket": "-1", "row-tracking.enabled": "true", "data-evolution.enabled": "true"}


def evolving(tmp_path: Path, columns: dict[str, Any] | None = None, partition_keys: Sequence[str] = ()) -> TableMaker:
    return TableMaker(tmp_path, columns or {"a": "INT", "b": "STRING", "c": "INT"}, partition_keys=partition_keys, options=dict(EVOLVING))


def part(maker: TableMaker, rows: Sequence[dict[str, Any]], first: int, sequence: int, columns: Sequence[str] | None = None) -> DataFile:
    """A file with some columns of the rows from an id on, as of a snapshot."""
    file = maker.write(rows, meta={"_FIRST_ROW_ID": first, "_MIN_SEQUENCE_NUMBER": sequence, "_MAX_SEQUENCE_NUMBER": sequence})
    if columns is None:
        return file
    [path] = maker.root.rglob(file.name)
    pq.write_table(pq.read_table(path, partitioning=None).select(list(columns)), path)
    bounds = maker._bounds(rows, [maker.field(c) for c in columns])
    return file.changed({"_WRITE_COLS": list(columns), "_VALUE_STATS": bounds, "_VALUE_STATS_COLS": list(columns)})


def whole(count: int, start: int = 0) -> list[dict[str, Any]]:
    return [{"a": start + n, "b": f"b{start + n}", "c": -(start + n)} for n in range(count)]


def test_the_newest_file_with_a_column_counts(tmp_path: Path) -> None:
    maker = evolving(tmp_path)
    maker.commit([part(maker, whole(3), 0, 1), part(maker, whole(2, 10), 3, 1)])
    maker.commit([part(maker, [{"b": "new"}] * 3, 0, 2, ["b"])])
    maker.commit([part(maker, [{"b": "newer", "c": 7}] * 3, 0, 3, ["c", "b"])])
    maker.commit([part(maker, [{"c": 9}] * 3, 0, 4, ["c"])])
    old = [{"a": 10, "b": "b10", "c": -10}, {"a": 11, "b": "b11", "c": -11}]
    assert rows_of(tmp_path, "SELECT * FROM t ORDER BY a") == [*({"a": n, "b": "newer", "c": 9} for n in range(3)), *old]
    assert rows_of(tmp_path, "SELECT * FROM t VERSION AS OF 2 ORDER BY a") == [*({"a": n, "b": "new", "c": -n} for n in range(3)), *old]
    assert rows_of(tmp_path, "SELECT count(*) AS n FROM t") == [{"n": 5}]
    assert rows_of(tmp_path, "SELECT b FROM t WHERE a = 1 AND c = 9") == [{"b": "newer"}]


def test_only_the_bounds_of_the_file_that_counts_prune(tmp_path: Path) -> None:
    """And groups stay whole: a file of a group without the wanted value gives other columns."""
    maker = evolving(tmp_path)
    base, update = part(maker, whole(3), 0, 1), part(maker, [{"c": 100}] * 3, 0, 2, ["c"])
    other = part(maker, whole(3, 50), 3, 1)
    maker.commit([base, update, other])
    snapshot = table_at(tmp_path).snapshot(Latest())

    def kept(value: int) -> list[str]:
        found = snapshot.scan(ScanRequest(("a", "b", "c"), (Compare(Column(("c",)), Op.EQ, pa.scalar(value)),)))
        return sorted(Path(p).name for p in found.files["path"].to_pylist())

    assert kept(100) == sorted([base.name, update.name])
    assert kept(-1) == []
    assert kept(-51) == [other.name]
    assert rows_of(tmp_path, "SELECT a FROM t WHERE c = 100 ORDER BY a") == [{"a": n} for n in range(3)]


def test_columns_that_no_file_has(tmp_path: Path) -> None:
    maker = evolving(tmp_path)
    maker.commit([part(maker, [{"a": 1, "c": 2}], 0, 1, ["a", "c"])])
    assert rows_of(tmp_path) == [{"a": 1, "b": None, "c": 2}]
    assert rows_of(tmp_path, "SELECT b FROM t WHERE b IS NULL") == [{"b": None}]
    assert rows_of(tmp_path, "SELECT a FROM t WHERE b = 'x'") == []


def test_columns_that_changed(tmp_path: Path) -> None:
    """Each file has the schema it was written with; a name in its list is of that."""
    maker = evolving(tmp_path)
    base = part(maker, whole(2), 0, 1)
    maker.evolve([("a", "INT", 0), ("renamed", "STRING", 1), ("c", "BIGINT", 2), ("b", "INT", None)])
    maker.commit([base, part(maker, [{"renamed": "x", "b": 5}] * 2, 0, 2, ["renamed", "b"])])
    assert rows_of(tmp_path, "SELECT * FROM t ORDER BY a") == [{"a": n, "renamed": "x", "c": -n, "b": 5} for n in range(2)]


def test_vectors_are_under_the_name_of_the_oldest_file(tmp_path: Path) -> None:
    maker = evolving(tmp_path)
    base, update = part(maker, whole(4), 0, 1), part(maker, [{"c": 100 + n} for n in range(4)], 0, 2, ["c"])
    maker.commit([base, update], vectors={"a": (base, [0, 2])})
    assert rows_of(tmp_path, "SELECT a, c FROM t ORDER BY a") == [{"a": 1, "c": 101}, {"a": 3, "c": 103}]
    assert rows_of(tmp_path, "SELECT c FROM t ORDER BY c") == [{"c": 101}, {"c": 103}]
    assert rows_of(tmp_path, "SELECT count(*) AS n FROM t") == [{"n": 2}]


def test_partitions(tmp_path: Path) -> None:
    maker = evolving(tmp_path, {"p": "STRING", "a": "INT", "c": "INT"}, ["p"])
    files = [part(maker, [{"p": p, "a": n, "c": 0}], n, 1) for n, p in enumerate("xy")]
    updates = [part(maker, [{"p": p, "c": 5 + n}], n, 2, ["c"]) for n, p in enumerate("xy")]
    maker.commit([*files, *updates])
    assert rows_of(tmp_path, "SELECT * FROM t ORDER BY p") == [{"p": "x", "a": 0, "c": 5}, {"p": "y", "a": 1, "c": 6}]
    assert rows_of(tmp_path, "SELECT a FROM t WHERE p = 'y'") == [{"a": 1}]


def test_files_of_a_group_have_the_same_rows(tmp_path: Path) -> None:
    maker = evolving(tmp_path)
    maker.commit([part(maker, whole(3), 0, 1), part(maker, [{"c": 1}] * 2, 0, 2, ["c"])])
    with pytest.raises(MetadataError, match="do not have the same rows"):
        rows_of(tmp_path)


# Row ids -------------------------------------------------------------------------------------------------------------------------------------------


def test_row_ids_and_numbers(tmp_path: Path) -> None:
    """Not in SELECT *; told by the file and the row's place, or written down in files that were rewritten."""
    maker = TableMaker(tmp_path, {"a": "INT"}, options={"bucket": "-1", "row-tracking.enabled": "true"})
    maker.commit([part(maker, [{"a": n} for n in (7, 8)], 10, 3)])
    rewritten = maker.write([{"a": 9}, {"a": 10}], meta={"_FIRST_ROW_ID": 50, "_MAX_SEQUENCE_NUMBER": 6})
    [path] = tmp_path.rglob(rewritten.name)
    table = pq.read_table(path).append_column("_ROW_ID", pa.array([4, None], pa.int64())).append_column("_SEQUENCE_NUMBER", pa.array([None, 2], pa.int64()))
    pq.write_table(table, path)
    maker.commit([rewritten])
    wanted = [(7, 10, 3), (8, 11, 3), (9, 4, 6), (10, 51, 2)]
    named = [{"a": a, "_ROW_ID": i, "_SEQUENCE_NUMBER": s} for a, i, s in wanted]
    assert rows_of(tmp_path, "SELECT * FROM t ORDER BY a") == [{"a": a} for a, _, _ in wanted]
    assert rows_of(tmp_path, "SELECT a, _ROW_ID, _SEQUENCE_NUMBER FROM t ORDER BY a") == named
    assert rows_of(tmp_path, 'SELECT * FROM "t$row_tracking" ORDER BY a') == named
    assert rows_of(tmp_path, "SELECT a FROM t WHERE _ROW_ID = 11") == [{"a": 8}]


def test_numbers_of_a_row_group(tmp_path: Path) -> None:
    """The newest over all of its files."""
    maker = evolving(tmp_path)
    maker.commit([part(maker, whole(2), 0, 1), part(maker, [{"c": 1}] * 2, 0, 4, ["c"])])
    assert rows_of(tmp_path, "SELECT _ROW_ID, _SEQUENCE_NUMBER FROM t ORDER BY 1") == [{"_ROW_ID": n, "_SEQUENCE_NUMBER": 4} for n in (0, 1)]


def test_tables_without_row_ids(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, {"a": "INT"}, options={"bucket": "-1"})
    maker.commit([maker.write([{"a": 1}])])
    with pytest.raises(UnsupportedFeatureError, match="row tracking is not enabled"):
        rows_of(tmp_path, 'SELECT * FROM "t$row_tracking"')


# Large values --------------------------------------------------------------------------------------------------------------------------------------


def varint(number: int) -> bytes:
    number = (number << 1) ^ (number >> 63)
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def blob_file(values: Sequence[bytes | int]) -> bytes:
    """A file of values; NULL and OLDER stand for themselves."""
    body, lengths = bytearray(), []
    for value in values:
        if isinstance(value, int):
            lengths.append(value)
            continue
        record = struct.pack("<i", 1481511375) + value + struct.pack("<q", len(value) + 16)
        body += record + struct.pack("<I", zlib.crc32(record))
        lengths.append(len(value) + 16)
    index = b"".join(varint(b - a) for a, b in zip([0, *lengths], lengths, strict=False))
    return bytes(body) + index + struct.pack("<i", len(index)) + b"\1"


VALUES = [b"", b"x" * 300, NULL, OLDER, b"last"]


def test_blobs() -> None:
    assert read_blobs(MemoryStorage({"f": blob_file(VALUES)}), "f", 5) == VALUES
    assert read_blobs(MemoryStorage({"f": blob_file([])}), "f", 0) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"abc", "is cut off"),
        (blob_file(VALUES)[:-1], "blob file of version|lengths"),
        (blob_file(VALUES)[:-5] + struct.pack("<i", 10**6) + b"\1", "which it does not have"),
        (blob_file(VALUES)[:-5] + struct.pack("<i", -1) + b"\1", "which it does not have"),
        (blob_file(VALUES[:3]), "holds 3 records; the manifest says 5"),
        (b"X" + blob_file(VALUES), "takes|take|damaged"),
        (blob_file(VALUES).replace(b"last", b"lost"), "is damaged"),
    ],
)
def test_damaged_blobs(content: bytes, message: str) -> None:
    with pytest.raises((DataFileError, UnsupportedFeatureError), match=message):
        read_blobs(MemoryStorage({"f": content}), "f", 5)


def test_blobs_of_another_version() -> None:
    with pytest.raises(UnsupportedFeatureError, match="version 2"):
        read_blobs(MemoryStorage({"f": blob_file(VALUES)[:-1] + b"\2"}), "f", 5)


def test_blobs_in_files_of_their_own(tmp_path: Path) -> None:
    """Several cover the rows of one; a newer value may say that the older one stays."""
    maker = evolving(tmp_path, {"a": "INT", "x": "BLOB"})

    def blobs(values: Sequence[bytes | int], first: int, sequence: int) -> DataFile:
        name = f"data-{first}-{sequence}.blob"
        (tmp_path / "bucket-0" / name).write_bytes(blob_file(values))
        meta = {"_FILE_NAME": name, "_ROW_COUNT": len(values), "_WRITE_COLS": ["x"], "_VALUE_STATS_COLS": []}
        return part(maker, [{"a": 0}] * len(values), first, sequence).changed(meta)

    base = part(maker, [{"a": n} for n in range(5)], 0, 1, ["a"])
    maker.commit([base, blobs([b"0", b"1", NULL], 0, 1), blobs([b"3", b"4"], 3, 1), blobs([OLDER, b"new", OLDER, NULL, OLDER], 0, 2)])
    assert rows_of(tmp_path, "SELECT a, x FROM t ORDER BY a") == [{"a": n, "x": x} for n, x in enumerate([b"0", b"new", None, None, b"4"])]
    assert rows_of(tmp_path, "SELECT a FROM t WHERE a > 3") == [{"a": 4}]
    assert rows_of(tmp_path, "SELECT count(*) AS n FROM t") == [{"n": 5}]
    assert rows_of(tmp_path, "SELECT count(x) AS n FROM t") == [{"n": 3}]


def test_blobs_whose_rows_no_file_has(tmp_path: Path) -> None:
    maker = evolving(tmp_path, {"a": "INT", "x": "BLOB"})
    file = part(maker, [{"a": 0}], 0, 1)
    maker.commit([file.changed({"_FILE_NAME": "data-1.blob", "_WRITE_COLS": ["x"]})])
    with pytest.raises(MetadataError, match="no file has the rows that data-1"):
        rows_of(tmp_path)
