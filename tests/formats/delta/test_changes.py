"""Change feeds of Delta tables as a statement sees them: ranges and their errors, columns, pruning, identities, what is gone."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, Field, write_deltalake

import lakesql
from lakesql import errors

HOUR_S = 3600
FIRST_S = 1_767_225_600  # 2026-01-01 00:00:00 UTC


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Versions 0 to 4: three rows, three more, an update, a delete, a compaction; an hour apart, the first at the new year."""
    write_deltalake(tmp_path / "t", rows(1, 2, 3))
    write_deltalake(tmp_path / "t", rows(11, 12, 13), mode="append")
    DeltaTable(tmp_path / "t").update({"v": "'new'"}, predicate="id = 2")
    DeltaTable(tmp_path / "t").delete("id = 12")
    DeltaTable(tmp_path / "t").optimize.compact()
    clocked(tmp_path / "t")
    return tmp_path / "t"


def rows(*ids: int) -> pa.Table:
    return pa.table({"id": pa.array(ids, pa.int64()), "v": [f"v{i}" for i in ids]})


def clocked(place: Path) -> None:
    for commit in (place / "_delta_log").glob("*.json"):
        when = FIRST_S + int(commit.stem) * HOUR_S
        os.utime(commit, (when, when))


@pytest.fixture
def connection(place: Path) -> Iterator[Any]:
    with lakesql.connect(tables={"t": str(place)}) as opened:
        yield opened


def changes(connection: Any, clause: str, columns: str = "_change_type, _commit_version, id") -> list[Any]:
    return sorted(tuple(r.values()) for r in connection.execute(f"SELECT {columns} FROM t {clause}").fetch_arrow_table().to_pylist())


FEED = [
    ("delete", 2, 2),
    ("delete", 3, 12),
    ("insert", 0, 1),
    ("insert", 0, 2),
    ("insert", 0, 3),
    ("insert", 1, 11),
    ("insert", 1, 12),
    ("insert", 1, 13),
    ("insert", 2, 2),
]


@pytest.mark.parametrize(
    ("clause", "first", "last"),
    [
        ("CHANGES FROM VERSION 0", 0, 4),
        ("CHANGES FROM VERSION 1 TO VERSION 2", 1, 2),
        ("CHANGES FROM VERSION 1 EXCLUSIVE TO VERSION 3 EXCLUSIVE", 2, 2),
        ("CHANGES FROM VERSION 2 TO VERSION 99", 2, 4),
        ("CHANGES FROM VERSION 4 EXCLUSIVE", 5, 4),
        ("CHANGES FROM VERSION 2 TO VERSION 2 EXCLUSIVE", 2, 1),
        ("CHANGES FROM TIMESTAMP '2025-12-01'", 0, 4),
        ("CHANGES FROM TIMESTAMP '2026-01-01 01:00:00' TO TIMESTAMP '2026-01-01 02:00:00'", 1, 2),
        ("CHANGES FROM TIMESTAMP '2026-01-01 01:00:00' EXCLUSIVE TO TIMESTAMP '2026-01-01 02:00:00' EXCLUSIVE", 2, 1),
        ("CHANGES FROM TIMESTAMP '2026-01-01 01:10:00' TO TIMESTAMP '2026-01-01 01:20:00'", 2, 1),
        ("CHANGES FROM VERSION 1 TO TIMESTAMP '2030-01-01'", 1, 4),
        ("CHANGES FROM TIMESTAMP '2026-01-01 04:00:00' EXCLUSIVE", 5, 4),
    ],
)
def test_ranges(connection: Any, clause: str, first: int, last: int) -> None:
    cursor = connection.execute(f"SELECT _change_type, _commit_version, id FROM t {clause}")
    assert sorted(tuple(r.values()) for r in cursor.fetch_arrow_table().to_pylist()) == [r for r in FEED if first <= r[1] <= last]
    assert cursor.snapshots[0].version == (f"{first} to {last}" if first <= last else f"after {last}")


@pytest.mark.parametrize("table", ["table_changes('t', 1, 2)", "table_changes('t', TIMESTAMP '2026-01-01 01:00:00', '2026-01-01 02:00:00')", '"t$changes"'])
def test_other_names_of_a_range(connection: Any, table: str) -> None:
    found = connection.execute(f"SELECT c._change_type, c._commit_version, c.id FROM {table} AS c WHERE c._commit_version BETWEEN 1 AND 2").fetch_arrow_table()
    assert sorted(tuple(r.values()) for r in found.to_pylist()) == [r for r in FEED if 1 <= r[1] <= 2]


def test_all_changes_end_where_the_session_does(place: Path) -> None:
    with lakesql.connect(tables={"t": str(place)}, as_of=1) as pinned:
        assert pinned.execute('SELECT count(*) FROM "t$changes"').fetchone() == (6,)
        assert pinned.execute("SELECT count(*) FROM t CHANGES FROM VERSION 1").fetchone() == (3,)


@pytest.mark.parametrize(
    ("clause", "error", "text"),
    [
        ("CHANGES FROM VERSION 5", errors.NoSuchVersionError, "no such version 5 .* latest is 4"),
        ("CHANGES FROM VERSION 3 TO VERSION 2", errors.NoSuchVersionError, "from version 3 to version 2.*before it begins"),
        ("CHANGES FROM VERSION 3 EXCLUSIVE TO VERSION 2", errors.NoSuchVersionError, "before it begins"),
        ("CHANGES FROM VERSION 'main'", errors.NoSuchVersionError, 'no such version "main"'),
        ("CHANGES FROM TIMESTAMP '2030-01-01'", errors.NoSuchVersionError, "the last commit, version 4, was made at 2026-01-01 04:00"),
        ("CHANGES FROM TIMESTAMP '2025-01-01' TO TIMESTAMP '2025-02-01'", errors.NoSuchVersionError, "version 0, was made at 2026-01-01 00:00"),
        ("CHANGES FROM TIMESTAMP '2026-01-01 01:20:00' TO TIMESTAMP '2026-01-01 01:10:00'", errors.NoSuchVersionError, "before it begins"),
        ("CHANGES FROM VERSION 1 WITH (mode = 'nett')", errors.SqlError, "'raw', 'net', 'upserts'"),
        ("CHANGES FROM VERSION 1 WITH (keys = (id))", errors.SqlError, 'no option "keys"'),
        ("CHANGES FROM VERSION 1 WITH (key = (id), updates = false)", errors.SqlError, "updates = false"),
        ("CHANGES FROM VERSION 1 WITH (key = (nope))", errors.UnknownColumnError, '"nope".*id, v'),
        ("CHANGES FROM VERSION 1 WITH (updates = true)", errors.SqlError, "which rows .* are one in version 2"),
    ],
)
def test_ranges_that_cannot_be_answered(connection: Any, clause: str, error: type[errors.Error], text: str) -> None:
    with pytest.raises(error, match=text):
        changes(connection, clause)


def test_one_statement_sees_one_latest_version(connection: Any, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit between the opening of two mentions is seen by neither."""
    from lakesql.formats.delta.table import DeltaTable as Opened

    read = Opened.changes

    def late(self: Any, request: Any) -> Any:
        write_deltalake(place, rows(99), mode="append")
        return read(self, request)

    monkeypatch.setattr(Opened, "changes", late)
    text = "SELECT a.id FROM t CHANGES FROM VERSION 1 a JOIN t CHANGES FROM VERSION 1 b ON a.id = b.id JOIN t ON t.id = a.id WHERE a.id > 13"
    cursor = connection.execute(text)
    assert (cursor.fetchall(), [s.version for s in cursor.snapshots]) == ([], ["1 to 4", "1 to 4", "4"])


def test_ways_to_ask(connection: Any) -> None:
    words = "_change_type, id, v"
    assert changes(connection, "CHANGES FROM VERSION 2 WITH (key = (id))", words) == [
        ("delete", 12, "v12"),
        ("update_postimage", 2, "new"),
        ("update_preimage", 2, "v2"),
    ]
    assert changes(connection, "CHANGES FROM VERSION 1 WITH (mode = 'net', key = (ID))", words) == [
        ("insert", 11, "v11"),
        ("insert", 13, "v13"),
        ("update_postimage", 2, "new"),
        ("update_preimage", 2, "v2"),
    ]
    assert changes(connection, "CHANGES FROM VERSION 1 WITH (mode = 'upserts')", words) == [("insert", 2, "new"), ("insert", 11, "v11"), ("insert", 13, "v13")]


@pytest.mark.parametrize("way", ["SELECT count(*)", "SELECT count(id)", "SELECT count(DISTINCT _change_type)"])
def test_of_rows_that_went_upserts_show_none(connection: Any, place: Path, way: str) -> None:
    DeltaTable(place).delete()
    assert connection.execute(f"{way} FROM t CHANGES FROM VERSION 5 WITH (mode = 'upserts')").fetchone() == (0,)
    assert connection.execute(f"{way} FROM t CHANGES FROM VERSION 5 WITH (mode = 'net')").fetchone() == ((1 if "DISTINCT" in way else 5),)


def test_pruning_of_a_feed(connection: Any) -> None:
    cursor = connection.execute("SELECT id FROM t CHANGES FROM VERSION 0 WHERE id > 10 AND _commit_version <= 1")
    assert sorted(cursor.fetchall()) == [(11,), (12,), (13,)]
    assert (cursor.scan_stats.files_kept, cursor.scan_stats.dropped_by_partition, cursor.scan_stats.dropped_by_statistics) == (1, 4, 1)
    plan = "\n".join(connection.execute("EXPLAIN PRUNING SELECT id FROM t CHANGES FROM VERSION 0 WHERE _commit_version = 9").fetch_arrow_table()[0].to_pylist())
    assert "t: delta version 0 to 4, committed" in plan
    assert "6 changed in the range" in plan
    assert "_commit_version = 9 against _commit_version in [0, 0]" in plan


def test_counts_of_commits_that_only_add_come_from_metadata(connection: Any, place: Path) -> None:
    for file in place.glob("*.parquet"):
        file.unlink()
    assert connection.execute("SELECT _change_type, count(*) FROM t CHANGES FROM VERSION 0 TO VERSION 1 GROUP BY 1").fetchall() == [("insert", 6)]


def test_times_are_those_of_time_travel(connection: Any) -> None:
    times = connection.execute("SELECT DISTINCT epoch(_commit_timestamp) FROM t CHANGES FROM VERSION 1 TO VERSION 2".replace("epoch", "to_unixtime")).fetchall()
    assert sorted(times) == [(FIRST_S + HOUR_S,), (FIRST_S + 2 * HOUR_S,)]
    with_time = "SELECT count(*) FROM t CHANGES FROM VERSION 0 WHERE _commit_timestamp > TIMESTAMP '2026-01-01T01:30:00Z'"
    assert connection.execute(with_time).fetchone() == (3,)


def test_columns_of_a_feed(connection: Any, place: Path) -> None:
    DeltaTable(place).alter.add_columns([Field("extra", "integer", nullable=True)])
    write_deltalake(place, rows(20).append_column("extra", pa.array([7], pa.int32())), mode="append")
    assert connection.execute("SELECT * FROM t CHANGES FROM VERSION 1 TO VERSION 1").fetch_arrow_table().column_names[:3] == ["id", "v", "_change_type"]
    assert connection.execute("SELECT DISTINCT extra FROM t CHANGES FROM VERSION 1 TO VERSION 1").fetchall() == [(None,)]
    assert connection.execute("SELECT id, extra FROM t CHANGES FROM VERSION 1 WHERE extra IS NOT NULL").fetchall() == [(20, 7)]
    described = connection.execute("DESCRIBE t CHANGES FROM VERSION 1").fetch_arrow_table()["column_name"].to_pylist()
    assert described == ["id", "v", "extra", "_change_type", "_commit_version", "_commit_timestamp"]


def test_a_column_made_anew_with_another_type(connection: Any, place: Path) -> None:
    write_deltalake(place, pa.table({"id": ["a"], "v": ["b"]}), mode="overwrite", schema_mode="overwrite")
    with pytest.raises(errors.UnsupportedFeatureError, match=r'column "id".*int64 in version 0, string'):
        changes(connection, "CHANGES FROM VERSION 0")
    assert changes(connection, "CHANGES FROM VERSION 0 TO VERSION 4") == FEED


def test_other_partition_columns_inside_the_range(connection: Any, place: Path) -> None:
    write_deltalake(place, rows(2, 40), mode="overwrite", schema_mode="overwrite", partition_by=["v"])
    write_deltalake(place, rows(41), mode="append", partition_by=["v"])
    found = Counter(changes(connection, "CHANGES FROM VERSION 0", "_change_type, v"))
    assert (found["insert", "v41"], found["insert", "v2"], found["delete", "v2"], found["delete", "new"]) == (1, 2, 1, 1)
    assert changes(connection, "CHANGES FROM VERSION 0 WHERE v = 'v40'") == [("insert", 5, 40)]
    assert changes(connection, "CHANGES FROM VERSION 0 WHERE v = 'new'") == [("delete", 5, 2), ("insert", 2, 2)]


def test_files_and_commits_that_are_gone(connection: Any, place: Path) -> None:
    DeltaTable(place).vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    with pytest.raises(errors.ExpiredVersionError, match=r"versions 1 to 3 can no longer be told.*vacuumed"):
        changes(connection, "CHANGES FROM VERSION 1 TO VERSION 3")
    DeltaTable(place).create_checkpoint()
    for version in (0, 1, 2):
        (place / "_delta_log" / f"{version:020}.json").unlink()
    with pytest.raises(errors.ExpiredVersionError, match=r"changes of version 1 can no longer be told.*oldest commit that is left is 3, the latest 6"):
        changes(connection, "CHANGES FROM VERSION 1")
    assert changes(connection, "CHANGES FROM VERSION 4") == []


def test_removed_files_that_only_their_removal_tells_of(connection: Any, place: Path) -> None:
    """The commit before the range is gone, and with it what tells that its checkpoint was ever the table's state."""
    DeltaTable(place, version=1).create_checkpoint()
    for version in (0, 1):
        (place / "_delta_log" / f"{version:020}.json").unlink()
    assert changes(connection, "CHANGES FROM VERSION 2") == [r for r in FEED if r[1] >= 2]


def test_a_table_with_columns_of_the_feeds_names(tmp_path: Path) -> None:
    write_deltalake(tmp_path / "t", pa.table({"_Change_Type": ["x"]}))
    with lakesql.connect(tables={"t": str(tmp_path / "t")}) as connection, pytest.raises(errors.UnsupportedFeatureError, match="_change_type"):
        connection.execute("SELECT * FROM t CHANGES FROM VERSION 0")


def test_files_added_again_bring_no_rows(connection: Any, place: Path) -> None:
    commit = place / "_delta_log" / f"{5:020}.json"
    actions = [json.loads(line) for v in range(5) for line in (place / "_delta_log" / f"{v:020}.json").read_text(encoding="utf-8").splitlines()]
    live = [a for a in actions if "add" in a][-1]
    live["add"] |= {"dataChange": True, "stats": None}
    commit.write_text(json.dumps(live), encoding="utf-8")
    assert changes(connection, "CHANGES FROM VERSION 5") == []


def test_formats_without_feeds_say_so(connection: Any) -> None:
    with pytest.raises(errors.SqlError, match="has no changes"):
        connection.execute('SELECT * FROM "t$files" CHANGES FROM VERSION 0')
