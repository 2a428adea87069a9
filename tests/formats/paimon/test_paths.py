"""Paths of data files as writers build them, values as Java spells them, and tables that were moved."""

from __future__ import annotations

import datetime as dt
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lakesql.errors import UnsupportedFeatureError
from lakesql.formats.paimon.paths import escaped, formats_of, is_blank
from lakesql.formats.paimon.types import arrow_type
from lakesql.formats.paimon.values import cast_text, double_text, legacy_text

from .reading import rows_of
from .rows import type_of
from .table_maker import TableMaker


@pytest.mark.parametrize(
    ("type_", "value", "legacy", "cast"),
    [
        ("STRING", "a b/c", "a b/c", "a b/c"),
        ("BOOLEAN", True, "true", "true"),
        ("TINYINT", -1, "-1", "-1"),
        ("BIGINT", 2**40, str(2**40), str(2**40)),
        ("DATE", dt.date(2024, 1, 1), "19723", "2024-01-01"),
        ("DATE", dt.date(1969, 12, 31), "-1", "1969-12-31"),
        ("TIME(3)", dt.time(0, 0, 1), "1000", "00:00:01.0"),
        ("TIMESTAMP(3)", dt.datetime(2024, 1, 1), "2024-01-01T00:00", "2024-01-01 00:00:00.000"),
        ("TIMESTAMP(3)", dt.datetime(2024, 1, 1, 0, 0, 1, 500_000), "2024-01-01T00:00:01.500", "2024-01-01 00:00:01.500"),
        ("TIMESTAMP(6)", dt.datetime(2024, 1, 1, 0, 0, 0, 1), "2024-01-01T00:00:00.000001", "2024-01-01 00:00:00.000001"),
        ("TIMESTAMP(0)", dt.datetime(1969, 12, 31, 23, 59, 59), "1969-12-31T23:59:59", "1969-12-31 23:59:59"),
        ("DECIMAL(10, 2)", Decimal("1.50"), "1.50", "1.50"),
        ("DECIMAL(38, 10)", Decimal("1E-10"), "0.0000000001", "0.0000000001"),
        ("DOUBLE", 1e10, "1.0E10", "1.0E10"),
        ("DOUBLE", 123.0, "123.0", "123.0"),
        ("FLOAT", 0.1, "0.1", "0.1"),
    ],
)
def test_values_in_paths(type_: str, value: Any, legacy: str, cast: str) -> None:
    described = type_of(type_)
    scalar = pa.scalar(value, arrow_type(described))
    assert legacy_text(scalar, described) == legacy
    assert cast_text(scalar, described) == cast


@pytest.mark.parametrize(
    ("value", "text"),
    [(1e7, "1.0E7"), (9_999_999.0, "9999999.0"), (0.001, "0.001"), (0.0009, "9.0E-4"), (-1.5, "-1.5"), (5e-324, "4.9E-324"), (float("-inf"), "-Infinity")],
)
def test_doubles(value: float, text: str) -> None:
    assert double_text(value) == text or (value == 5e-324 and double_text(value) == "5.0E-324")


def test_escapes() -> None:
    assert escaped("a b/c=d:%") == "a b%2Fc%3Dd%3A%25"
    assert escaped("\x00\x1f\x7f\"#'*?\\{}[]^") == "%00%1F%7F%22%23%27%2A%3F%5C%7B%7D%5B%5D%5E"
    assert escaped("é ~+&<>|") == "é ~+&<>|"


def test_blanks() -> None:
    assert [is_blank(t) for t in ("", " ", "\t\n", "\u2003", "\xa0", "a")] == [True, True, True, True, False, False]


def test_formats() -> None:
    names = ["data-1.parquet", "d.zstd.parquet", "d.orc", "d.json.gz", "d.csv.zst", "d.PARQUET", "noextension", "x.blob"]
    assert formats_of(pa.array(names)).to_pylist() == ["parquet", "parquet", "orc", "json", "csv", "parquet", "", "blob"]


@pytest.mark.parametrize(
    ("type_", "value", "legacy", "folder"),
    [
        ("DATE", dt.date(2024, 1, 1), None, "19723"),
        ("DATE", dt.date(2024, 1, 1), "false", "2024-01-01"),
        ("STRING", "a/b c", None, "a%2Fb c"),
        ("STRING", "", None, "__DEFAULT_PARTITION__"),
        ("STRING", None, "false", "__DEFAULT_PARTITION__"),
        ("TIMESTAMP(3)", dt.datetime(2024, 1, 1), None, "2024-01-01T00%3A00"),
        ("BOOLEAN", True, None, "true"),
    ],
)
def test_folders_of_partitions(tmp_path: Path, type_: str, value: Any, legacy: str | None, folder: str) -> None:
    options = {"bucket": "-1", **({"partition.legacy-name": legacy} if legacy else {})}
    maker = TableMaker(tmp_path, {"p": type_, "k": "INT"}, partition_keys=["p"], options=options)
    maker._folder = lambda row, bucket: tmp_path / f"p={folder}" / f"bucket-{bucket}"  # type: ignore[method-assign]
    maker.commit([maker.write([{"p": value, "k": 1}])])
    assert rows_of(tmp_path) == [{"p": value, "k": 1}]


def test_other_folders(tmp_path: Path) -> None:
    options = {"bucket": "-1", "data-file.path-directory": "/data/", "partition.default-name": "nothing"}
    maker = TableMaker(tmp_path, {"p": "STRING", "k": "INT"}, partition_keys=["p"], options=options)
    maker._folder = lambda row, bucket: tmp_path / "data" / "p=nothing" / f"bucket-{bucket}"  # type: ignore[method-assign]
    maker.commit([maker.write([{"p": None, "k": 1}])])
    assert rows_of(tmp_path) == [{"p": None, "k": 1}]


def test_partitions_whose_paths_cannot_be_told(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, {"p": "BYTES", "k": "INT"}, partition_keys=["p"], options={"bucket": "-1"})
    maker._folder = lambda row, bucket: tmp_path / "p=x" / f"bucket-{bucket}"  # type: ignore[method-assign]
    maker.commit([maker.write([{"p": b"x", "k": 1}])])
    with pytest.raises(UnsupportedFeatureError, match="cannot be told"):
        rows_of(tmp_path)


def test_a_table_that_was_moved(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path / "here", {"k": "INT"}, options={"bucket": "-1"})
    maker.commit([maker.write([{"k": 1}])])
    shutil.move(tmp_path / "here", tmp_path / "there")
    assert rows_of(tmp_path / "there") == [{"k": 1}]


def test_files_elsewhere(tmp_path: Path) -> None:
    """Named by their whole path, which is followed; and where nothing is there any more, looked for beside the table that was moved with them."""
    maker = TableMaker(tmp_path / "w" / "t", {"k": "INT"}, options={"bucket": "-1"})
    file = maker.write([{"k": 1}])
    outside = tmp_path / "w" / "external" / "bucket-0"
    outside.mkdir(parents=True)
    (tmp_path / "w" / "t" / "bucket-0" / file.name).rename(outside / file.name)
    maker.commit([file.changed({"_EXTERNAL_PATH": f"file:{outside}/{file.name}"})])
    assert rows_of(tmp_path / "w" / "t") == [{"k": 1}]
    shutil.move(tmp_path / "w", tmp_path / "moved")
    assert rows_of(tmp_path / "moved" / "t") == [{"k": 1}]


def test_index_files_beside_the_data(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, {"k": "INT"}, options={"bucket": "-1", "index-file-in-data-file-dir": "true"})
    file = maker.write([{"k": 1}, {"k": 2}])
    maker.commit([file], vectors={"a": (file, [0])})
    for path in (tmp_path / "index").iterdir():
        path.rename(tmp_path / "bucket-0" / path.name)
    assert rows_of(tmp_path) == [{"k": 2}]
