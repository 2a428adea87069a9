"""Which files are merged: key ranges compared as values, runs by level, bulks that are older than all else."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lakesql.formats.paimon.sections import Sections, sections
from lakesql.table import Latest, ScanRequest

from .reading import rows_of, table_at
from .table_maker import DataFile, TableMaker


def found(maker: TableMaker) -> tuple[list[str], Sections]:
    """The live files by name, and their sections."""
    source = table_at(maker.root).snapshot(Latest()).source
    from lakesql.formats.paimon.scan import live_files

    files = live_files(source).files
    return files.column("_FILE_NAME").to_pylist(), sections(files, np.zeros(len(files), np.int64), source.described)


def maker_of(tmp_path: Path, type_: str) -> TableMaker:
    return TableMaker(tmp_path, {"k": type_, "v": "INT"}, ["k"])


@pytest.mark.parametrize(
    ("type_", "ranges", "together"),
    [
        ("INT", [(-5, -1), (0, 3), (3, 4), (9, 9)], [[0], [1, 2], [3]]),
        ("INT", [(1, 100), (2, 3), (50, 60), (101, 101)], [[0, 1, 2], [3]]),
        ("BIGINT", [(-(2**63), -1), (0, 2**63 - 1)], [[0], [1]]),
        ("STRING", [("", "a"), ("a long text that is not inline", "b"), ("b", "c"), ("z", "é")], [[0], [1, 2], [3]]),
        ("DOUBLE", [(-1.5, -0.5), (0.0, 1.0), (float("nan"), float("nan")), (2.0, 3.0)], [[0], [1], [2], [3]]),
        ("DATE", [(dt.date(1969, 1, 1), dt.date(1970, 1, 1)), (dt.date(1970, 1, 2), dt.date(2000, 1, 1))], [[0], [1]]),
        ("BOOLEAN", [(False, False), (True, True)], [[0], [1]]),
    ],
)
def test_ranges_are_compared_as_values(tmp_path: Path, type_: str, ranges: Sequence[tuple[Any, Any]], together: list[list[int]]) -> None:
    maker = maker_of(tmp_path, type_)
    files = [maker.write([{"k": k, "v": 0} for k in dict.fromkeys(r)]) for r in ranges]
    maker.commit(files)
    listed, result = found(maker)
    by_section: dict[int, list[int]] = {}
    for name, number in zip(listed, result.number.tolist(), strict=True):
        by_section.setdefault(number, []).append(next(i for i, f in enumerate(files) if f.name == name))
    assert sorted(sorted(s) for s in by_section.values()) == together
    assert {listed[i] for i in np.flatnonzero(result.alone)} == {files[s[0]].name for s in together if len(s) == 1}


def test_the_bulk_is_the_highest_level(tmp_path: Path) -> None:
    maker = maker_of(tmp_path, "INT")
    top = [maker.write([{"k": 1, "v": 0}, {"k": 5, "v": 0}], level=5), maker.write([{"k": 6, "v": 0}, {"k": 9, "v": 0}], level=5)]
    newer = [maker.write([{"k": 2, "v": 0}, {"k": 8, "v": 0}], level=1), maker.write([{"k": 3, "v": 0}])]
    maker.commit([*top, *newer])
    listed, result = found(maker)
    assert {listed[i] for i in np.flatnonzero(result.bulk)} == {f.name for f in top}
    assert result.settled.all()
    assert result.distinct.all()


def test_a_bulk_that_is_not_older(tmp_path: Path) -> None:
    """Numbers that overlap: a writer of its own, or a clock that went back."""
    maker = maker_of(tmp_path, "INT")
    maker.commit([maker.write([{"k": 1, "v": 7}], level=5, sequence=[9]), maker.write([{"k": 1, "v": 8}], sequence=[3])])
    _, result = found(maker)
    assert not result.settled.any()
    assert rows_of(tmp_path) == [{"k": 1, "v": 7}]


def test_numbers_that_occur_twice(tmp_path: Path) -> None:
    """Of rows with one number, those that add are newer."""
    maker = maker_of(tmp_path, "INT")
    maker.commit([maker.write([{"k": 1, "v": 7}], sequence=[3], kinds=[0]), maker.write([{"k": 1, "v": 8}], sequence=[3], kinds=[3])])
    _, result = found(maker)
    assert not result.distinct.any()
    assert rows_of(tmp_path) == [{"k": 1, "v": 7}]


def test_keys_that_cannot_be_compared_are_merged_with_all(tmp_path: Path) -> None:
    maker = maker_of(tmp_path, "INT")
    one, two = maker.write([{"k": 1, "v": 7}], level=5), maker.write([{"k": 9, "v": 8}], meta={"_MIN_KEY": b"", "_MAX_KEY": b""})
    maker.commit([one, two])
    _, result = found(maker)
    assert not result.alone.any()
    assert rows_of(tmp_path, "SELECT * FROM t ORDER BY k") == [{"k": 1, "v": 7}, {"k": 9, "v": 8}]


def test_keys_made_wider(tmp_path: Path) -> None:
    maker = maker_of(tmp_path, "INT")
    old = maker.write([{"k": 1, "v": 7}], level=5)
    maker.evolve([("key", "BIGINT", 0), ("v", "INT", 1)])
    maker.primary_keys = ["key"]
    maker.evolve([("key", "BIGINT", 0), ("v", "INT", 1)])
    new, far = maker.write([{"key": 1, "v": 8}]), maker.write([{"key": 2**40, "v": 9}])
    maker.commit([old, new, far])
    assert rows_of(tmp_path, "SELECT * FROM t ORDER BY key") == [{"key": 1, "v": 8}, {"key": 2**40, "v": 9}]


def test_buckets_are_merged_apart(tmp_path: Path) -> None:
    """Dynamic buckets of one partition, and one key in two partitions."""
    maker = TableMaker(tmp_path, {"p": "STRING", "k": "INT NOT NULL", "v": "INT"}, ["p", "k"], ["p"])
    files: list[DataFile] = []
    for partition in ("a", "b"):
        files += [maker.write([{"p": partition, "k": 1, "v": v}]) for v in (1, 2)]
    maker.commit(files)
    assert rows_of(tmp_path, "SELECT * FROM t ORDER BY p") == [{"p": p, "k": 1, "v": 2} for p in "ab"]
    found_files = table_at(tmp_path).snapshot(Latest()).scan(ScanRequest(("p", "k", "v")))
    assert sorted(found_files.files["group"].to_pylist()) == [0, 0, 1, 1]
