"""CHECK CHANGES: what can still be told, from what, at which cost and for how long, without a look at data."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa
import pytest
from formats.iceberg.table_maker import TableMaker

import lakesql
from lakesql import errors

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def rows(*ids: int) -> pa.Table:
    return pa.table({"id": pa.array(ids, pa.int64())})


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A Delta table: version 0 and 1 add a file each, 2 rewrites one without a row, 3 takes all away and adds others."""
    place = tmp_path / "t"
    retention = {"delta.deletedFileRetentionDuration": "interval 2 hours", "delta.logRetentionDuration": "interval 1 day 12 hours"}
    deltalake.write_deltalake(place, rows(0, 1), configuration=retention)
    deltalake.write_deltalake(place, rows(2, 3), mode="append")
    deltalake.DeltaTable(place).delete("id = 1")
    deltalake.write_deltalake(place, rows(8, 9), mode="overwrite")
    return place


@pytest.fixture
def lake(place: Path) -> Iterator[Any]:
    with lakesql.connect(tables={"t": str(place)}) as connection:
        yield connection


def answer(lake: Any, text: str) -> dict[str, Any]:
    """The one row of the answer."""
    cursor = lake.execute(text)
    (found,) = cursor.fetch_arrow_table().to_pylist()
    return found  # type: ignore[no-any-return]


def time_of(place: Path, version: int) -> dt.datetime:
    """When a version was committed, by the time of its file."""
    us = (place / "_delta_log" / f"{version:020}.json").stat().st_mtime_ns // 1_000_000 * 1000
    return EPOCH + dt.timedelta(microseconds=us)


def test_what_a_range_takes(lake: Any, place: Path) -> None:
    found = answer(lake, "CHECK CHANGES t FROM VERSION 0")
    assert (found["answerable"], found["reason"], found["versions"]) == (True, None, "0 to 3")
    assert (found["source"], found["exact"], found["files"], found["missing_files"]) == ("files, files compared", False, 7, 0)
    assert found["bytes"] == lake.execute("SELECT * FROM t CHANGES FROM VERSION 0").scan_stats.bytes_kept
    assert found["expires_first"].startswith("files that left the table, or recorded changes, in version ")
    assert found["expires_first"].endswith("(delta.deletedFileRetentionDuration = interval 2 hours)")
    only = answer(lake, "CHECK CHANGES t FROM VERSION 1 TO VERSION 1")
    assert (only["source"], only["exact"], only["files"]) == ("files", True, 1)
    found = answer(lake, "CHECK CHANGES t FROM VERSION 3 EXCLUSIVE")
    assert (found["answerable"], found["versions"], found["files"], found["expires_at"]) == (True, "after 3", 0, None)


def test_what_expires_first(lake: Any, place: Path) -> None:
    deltalake.write_deltalake(place, rows(10), mode="append")
    found = answer(lake, "CHECK CHANGES t FROM VERSION 4")
    assert found["expires_first"] == "commit 4 (delta.logRetentionDuration = interval 1 day 12 hours)"
    assert abs(found["expires_at"] - time_of(place, 4) - dt.timedelta(hours=36)) < dt.timedelta(seconds=1)


def test_recorded_changes(tmp_path: Path) -> None:
    place = tmp_path / "t"
    deltalake.write_deltalake(place, rows(0, 1), configuration={"delta.enableChangeDataFeed": "true"})
    deltalake.DeltaTable(place).update({"id": "7"}, predicate="id = 1")
    with lakesql.connect(tables={"t": str(place)}) as lake:
        found = answer(lake, "CHECK CHANGES t FROM VERSION 1")
        assert (found["source"], found["exact"]) == ("recorded", True)
        assert answer(lake, "CHECK CHANGES t FROM VERSION 1 WITH (mode = 'net')")["source"] == "files compared"


def test_files_that_are_gone_are_an_answer(lake: Any, place: Path) -> None:
    removes = [json.loads(line) for line in (place / "_delta_log" / f"{2:020}.json").read_text().splitlines()]
    (path,) = (a["remove"]["path"] for a in removes if "remove" in a)
    (place / path).unlink()
    found = answer(lake, "CHECK CHANGES t FROM VERSION 0")
    assert (found["answerable"], found["missing_files"], found["answerable_from"]) == (False, 2, "3")
    assert "is gone (vacuumed)" in found["reason"]
    assert answer(lake, f"CHECK CHANGES t FROM VERSION {found['answerable_from']}")["answerable"]
    with pytest.raises(errors.ExpiredVersionError):
        lake.execute("SELECT * FROM t CHANGES FROM VERSION 0").fetchall()


def test_ranges_that_cannot_be_answered(lake: Any, place: Path) -> None:
    deltalake.DeltaTable(place, version=1).create_checkpoint()
    for version in (0, 1):
        (place / "_delta_log" / f"{version:020}.json").unlink()
    found = answer(lake, "CHECK CHANGES t FROM VERSION 1")
    assert not found["answerable"]
    assert "can no longer be told" in found["reason"]
    assert found["files"] is None
    assert found["answerable_from"] == "2"
    assert answer(lake, "CHECK CHANGES t FROM VERSION 2")["answerable"]
    for text, words in (("FROM VERSION 99", "no such version 99"), ("FROM VERSION 3 TO VERSION 2", "before it begins")):
        found = answer(lake, f"CHECK CHANGES t {text}")
        assert (found["answerable"], found["answerable_from"]) == (False, None)
        assert words in found["reason"]


def test_spellings(lake: Any) -> None:
    wanted = answer(lake, "CHECK CHANGES t FROM VERSION 1 TO VERSION 2")
    for text in ("t CHANGES FROM VERSION 1 TO VERSION 2", "table_changes('t', 1, 2)", "t CHANGES FROM VERSION 0 EXCLUSIVE TO VERSION 2"):
        assert answer(lake, f"CHECK CHANGES {text}") == wanted, text
    assert answer(lake, "CHECK CHANGES t") == answer(lake, 'CHECK CHANGES "t$changes"') == answer(lake, "CHECK CHANGES t FROM VERSION 0")
    cursor = lake.execute("CHECK CHANGES t FROM VERSION 1 TO VERSION 2")
    assert [(s.name, s.version) for s in cursor.snapshots] == [("t", "1 to 2")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("CHECK CHANGES", "expected a table"),
        ("CHECK CHANGES t FROM 3", "expected VERSION or TIMESTAMP after FROM"),
        ("CHECK CHANGES t TO VERSION 3", "expected nothing more after the range"),
        ("CHECK CHANGES t VERSION AS OF 1", "names no range of changes"),
        ("CHECK CHANGES t VERSION AS OF 1 FROM VERSION 1", "one version, time or range"),
        ('CHECK CHANGES "t$files"', "names no range of changes"),
        ("CHECK CHANGES t FROM VERSION 1 WITH (mode = 'x')", "mode is 'x'"),
    ],
)
def test_errors(lake: Any, text: str, message: str) -> None:
    with pytest.raises(errors.SqlError, match=message):
        lake.execute(text)


def test_of_iceberg_snapshots(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path / "t", [("id", "long")])
    ids = [maker.commit([maker.data_file({"id": [n]})]) for n in range(2)]
    ids.append(maker.commit([maker.data_file({"id": [0, 7]})], keep=False, operation="overwrite"))
    maker.properties["history.expire.max-snapshot-age-ms"] = "1000"
    maker.write()
    with lakesql.connect(tables={"t": str(tmp_path / "t")}) as lake:
        found = answer(lake, f"CHECK CHANGES t FROM VERSION {ids[2]}")
        assert (found["answerable"], found["source"], found["exact"], found["files"]) == (True, "files compared", False, 3)
        assert found["expires_first"].startswith(f"snapshot {ids[1]} (history.expire.max-snapshot-age-ms = 1000)")
        assert answer(lake, f"CHECK CHANGES t FROM VERSION {ids[2]} EXCLUSIVE")["files"] == 0
        maker.refs["kept"] = {"type": "tag", "snapshot-id": ids[1]}
        maker.write()
        assert answer(lake, f"CHECK CHANGES t FROM VERSION {ids[2]}")["expires_at"] is None
