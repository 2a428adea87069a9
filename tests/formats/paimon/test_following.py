"""What is built on change feeds, over Paimon tables: consumers, tails, CHECK CHANGES, Snowflake's states."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lakesql

from .reading import rows_of
from .table_maker import TableMaker
from .test_changes import AFTER, DELETE, INSERT, commit, maker, write


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[lakesql.Connection]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with lakesql.connect(tables={"t": str(tmp_path / "t")}) as connection:
        yield connection


def grown(root: Path, **options: str) -> TableMaker:
    """Snapshots: 1 two rows; 2 an update and a delete; 3 a compaction."""
    table = maker(root, **options)
    first, second = write(table, (INSERT, 1, "a"), (INSERT, 2, "b")), write(table, (AFTER, 1, "a2"), (DELETE, 2, "b"))
    commit(table, [first])
    commit(table, [second])
    commit(table, [write(table, (AFTER, 1, "a2"), level=5)], [first, second], kind="COMPACT")
    return table


def since(lake: lakesql.Connection) -> list[Any]:
    rows = lake.execute("SELECT _commit_version, _change_type, k FROM t CHANGES SINCE CONSUMER 'c'").fetchall()
    return sorted(rows)


def test_a_consumer_reads_each_change_once(tmp_path: Path, lake: lakesql.Connection) -> None:
    table = grown(tmp_path / "t")
    assert since(lake) == [(1, "insert", 1), (1, "insert", 2), (2, "delete", 2), (2, "update_postimage", 1), (2, "update_preimage", 1)]
    lake.execute("ADVANCE CONSUMER 'c'")
    assert since(lake) == []
    commit(table, [write(table, (INSERT, 7, "new"))])
    assert since(lake) == [(4, "insert", 7)]


def test_a_tail_goes_on_with_new_snapshots(tmp_path: Path, lake: lakesql.Connection) -> None:
    table = grown(tmp_path / "t")
    lake.execute("SET lakesql.poll_interval = 0.05")
    cursor = lake.execute("TAIL t FROM VERSION 2 EXCLUSIVE")
    commit(table, [write(table, (INSERT, 7, "new"))])
    row = dict(zip([d[0] for d in cursor.description or ()], cursor.fetchone() or (), strict=True))
    assert (row["k"], row["_change_type"], row["_commit_version"]) == (7, "insert", 4)
    cursor.close()


@pytest.mark.parametrize(
    ("options", "expires"),
    [
        ({}, None),  # ten snapshots are kept
        ({"snapshot.num-retained.min": "1"}, "snapshot 1 (snapshot.time-retained = 1 h)"),
        ({"snapshot.num-retained.min": "1", "snapshot.time-retained": "2 d"}, "snapshot 1 (snapshot.time-retained = 2 d)"),
        ({"snapshot.num-retained.min": "1", "snapshot.num-retained.max": "2"}, "snapshot 1 (snapshot.num-retained.max = 2)"),
    ],
)
def test_what_a_range_takes_and_what_expires_first(tmp_path: Path, options: dict[str, str], expires: str | None) -> None:
    grown(tmp_path / "t", **options)
    (row,) = rows_of(tmp_path / "t", "CHECK CHANGES t FROM VERSION 2")
    assert row["answerable"]
    assert row["versions"] == "2 to 3"
    assert row["source"] == "row identity"
    assert row["exact"]
    assert row["files"] == 3  # the key's file before, and both of them after
    assert row["expires_first"] == expires


def test_an_expired_range_is_an_answer(tmp_path: Path) -> None:
    table = grown(tmp_path / "t")
    (table.root / "snapshot" / "snapshot-1").unlink()
    (row,) = rows_of(tmp_path / "t", "CHECK CHANGES t FROM VERSION 2")
    assert not row["answerable"]
    assert "snapshot 1" in row["reason"]


def test_states_after_the_last_commit_have_no_changes(tmp_path: Path) -> None:
    grown(tmp_path / "t")
    assert rows_of(tmp_path / "t", "SELECT * FROM t CHANGES (INFORMATION => DEFAULT) AT (TIMESTAMP => TIMESTAMP '2100-01-01')") == []
