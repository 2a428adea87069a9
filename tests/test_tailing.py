"""TAIL, as a statement and as a command: what it gives, how it ends, and what it lives through."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa
import pytest

import lakesql
from lakesql.storage import LocalStorage


def commit(place: Path, *ids: int, mode: Any = "append", **more: Any) -> None:
    deltalake.write_deltalake(str(place), pa.table({"id": pa.array(ids, pa.int64()), **more}), mode=mode, schema_mode="merge")


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Versions 0, 1 and 2, each with one row."""
    place = tmp_path / "lake" / "orders"
    for number in range(3):
        commit(place, number)
    return place


@pytest.fixture
def lake(table: Path) -> Iterator[lakesql.Connection]:
    with lakesql.connect(str(table.parent)) as connection:
        connection.execute("SET lakesql.poll_interval = 0.02")
        yield connection


def told(lake: lakesql.Connection, text: str, parameters: Any = None) -> list[tuple[int, int]]:
    """(id, version) of a tail that ends."""
    cursor = lake.execute(text, parameters)
    names = [c[0] for c in cursor.description or ()]
    return [(r[names.index("id")], r[names.index("_commit_version")]) for r in cursor.fetchall()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("TAIL orders FROM EARLIEST WITH (follow = false)", [(0, 0), (1, 1), (2, 2)]),
        ("TAIL orders FROM VERSION 1 WITH (follow = false)", [(1, 1), (2, 2)]),
        ('TAIL lake."default".orders AS o FROM VERSION 1 EXCLUSIVE WHERE o.id > 0 WITH (follow = false)', [(2, 2)]),
        ("TAIL orders FROM TIMESTAMP '2001-01-01' WHERE id <> 1 WITH (follow = false, key = (id))", [(0, 0), (2, 2)]),
        ("TAIL orders FROM LATEST WITH (follow = false)", []),
        ("TAIL orders WITH (follow = false)", []),
    ],
)
def test_a_tail_that_ends(lake: lakesql.Connection, text: str, expected: list[tuple[int, int]]) -> None:
    assert told(lake, text) == expected


def test_parameters(lake: lakesql.Connection, table: Path) -> None:
    assert told(lake, "TAIL orders FROM VERSION ? WHERE id < ? WITH (follow = false)", [1, 2]) == [(1, 1)]
    assert told(lake, "TAIL orders FROM EARLIEST WHERE id = :id WITH (follow = false)", {"id": 2}) == [(2, 2)]
    assert told(lake, f"TAIL '{table}' FROM VERSION 2 WITH (follow = false)") == [(2, 2)]


def test_new_commits_come_whole_and_in_order(lake: lakesql.Connection, table: Path) -> None:
    cursor = lake.execute("TAIL orders FROM LATEST")

    def write() -> None:
        for number in range(3, 8):
            commit(table, number, number + 100)

    writer = threading.Thread(target=write)
    writer.start()
    rows = [cursor.fetchone() for _ in range(10)]
    writer.join()
    assert [r[2] for r in rows if r] == [v for v in range(3, 8) for _ in range(2)]
    assert sorted(r[0] for r in rows if r) == sorted([*range(3, 8), *range(103, 108)])
    threading.Timer(0.1, cursor.cancel).start()
    with pytest.raises(lakesql.QueryCancelledError, match="FROM VERSION 7 EXCLUSIVE"):
        cursor.fetchone()


def test_cancelled_with_its_connection(lake: lakesql.Connection) -> None:
    cursor = lake.execute("TAIL orders")
    threading.Timer(0.1, lake.cancel).start()
    with pytest.raises(lakesql.QueryCancelledError):
        cursor.fetchone()


def test_a_consumer_advances_to_what_was_taken(lake: lakesql.Connection, table: Path) -> None:
    cursor = lake.execute("TAIL orders SINCE CONSUMER 'train'")
    assert cursor.fetchone()[0] == 0  # type: ignore[index]
    lake.execute("ADVANCE CONSUMER 'train'")  # the commit may have more rows: nothing moves
    assert lake.execute("SHOW CONSUMERS").fetchall() == []
    assert cursor.fetchone()[0] == 1  # type: ignore[index]
    lake.execute("ADVANCE CONSUMER 'train'")
    assert cursor.fetchone()[0] == 2  # type: ignore[index]
    lake.execute("ADVANCE CONSUMER 'train'")
    assert lake.execute("SHOW CONSUMERS").fetch_arrow_table()["position"].to_pylist() == ["1"]
    cursor.close()
    assert told(lake, "TAIL orders SINCE CONSUMER 'train' WITH (follow = false)") == [(2, 2)]
    lake.execute("ADVANCE CONSUMER 'train'")
    assert told(lake, "TAIL orders SINCE CONSUMER 'train' WITH (follow = false)") == []


def test_columns_that_change_end_it(lake: lakesql.Connection, table: Path) -> None:
    cursor = lake.execute("TAIL orders FROM VERSION 2")
    commit(table, 3, more=pa.array(["x"]))
    assert cursor.fetchone()[0] == 2  # type: ignore[index]
    with pytest.raises(lakesql.ChangedColumnsError, match="version 3: more is new") as caught:
        cursor.fetchone()
    assert "FROM VERSION 2 EXCLUSIVE" in str(caught.value.hint)
    assert told(lake, "TAIL orders FROM VERSION 2 EXCLUSIVE WITH (follow = false)") == [(3, 3)]


def test_a_table_made_anew_ends_it(lake: lakesql.Connection, table: Path) -> None:
    cursor = lake.execute("TAIL orders FROM VERSION 2")
    cursor.fetchone()
    shutil.rmtree(table)
    for number in range(5):
        commit(table, number)
    with pytest.raises(lakesql.RecreatedTableError, match="made anew while it was followed"):
        cursor.fetchone()


def test_expired_versions(lake: lakesql.Connection, table: Path) -> None:
    stopped, skipped = lake.execute("TAIL orders FROM VERSION 0"), lake.execute("TAIL orders FROM VERSION 0 WITH (on_expired = 'skip')")
    stopped.fetchone()
    skipped.fetchone()
    commit(table, 3)
    deltalake.DeltaTable(table).create_checkpoint()
    commit(table, 4)
    for version in range(3):
        (table / "_delta_log" / f"{version:020}.json").unlink()
    with lakesql.connect(str(table.parent)) as again:
        again.execute("CREATE CONSUMER c ON orders FROM LATEST")
        rows = told(again, "TAIL orders FROM EARLIEST WITH (follow = false)")
        assert rows == [(4, 4)]
    with pytest.raises(lakesql.ExpiredVersionError):
        list(stopped)
    version = skipped.fetchone()[2]  # type: ignore[index]
    assert version > 1
    assert all(any(f"version {lost}" in n and "lost" in n for n in skipped.notices) for lost in range(1, version) if lost < 3)


class Flaky:
    """Makes reads of a store fail for a while."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.failures = 0
        self.asked = 0
        for name in ("read", "list"):
            monkeypatch.setattr(LocalStorage, name, self._failing(getattr(LocalStorage, name)))

    def _failing(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            self.asked += 1
            if self.failures:
                self.failures -= 1
                raise lakesql.StorageError("the store is away")
            return method(*arguments, **more)

        return call


def test_a_store_that_is_away_for_a_while(lake: lakesql.Connection, table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cursor = lake.execute("TAIL orders FROM VERSION 2")
    assert cursor.fetchone()[0] == 2  # type: ignore[index]
    store = Flaky(monkeypatch)
    store.failures = 3
    commit(table, 3)
    commit(table, 4)
    assert [cursor.fetchone()[0] for _ in range(2)] == [3, 4]  # type: ignore[index]
    assert cursor.notices[0] == "the store is away; trying again in 0.02 s"
    assert any(n.startswith("the store answers again") for n in cursor.notices)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("TAIL orders WITH (follow = 3)", "follow"),
        ("TAIL orders WITH (on_expired = 'never')", "on_expired"),
        ("TAIL orders WITH (nothing = 3)", "no option"),
        ("TAIL orders WHERE", "expected a condition"),
        ("TAIL orders FROM VERSION 1 TO VERSION 2", "nothing more"),
        ("TAIL orders@v3", "name the table alone"),
        ('TAIL "orders$files"', "metadata table"),
        ("TAIL orders WHERE nothing = 3", "nothing"),
    ],
)
def test_what_cannot_be_followed(lake: lakesql.Connection, text: str, error: str) -> None:
    with pytest.raises(lakesql.SqlError, match=error):
        lake.execute(text)


# The command -------------------------------------------------------------------------------------------------------------------------------------------


def command(*argv: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "lakesql", "tail", *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_the_command_ends_at_the_latest_version(table: Path) -> None:
    out, err = command(str(table), "--from", "1", "--format", "csv").communicate(timeout=60)
    assert [line.split(b",")[:3] for line in out.splitlines()] == [
        [b"id", b"_change_type", b"_commit_version"],
        [b"1", b"insert", b"1"],
        [b"2", b"insert", b"2"],
    ]
    assert err == b"to go on: --from 'VERSION 2 EXCLUSIVE'\n"


def test_the_command_follows_until_it_is_interrupted(table: Path) -> None:
    tail = command("orders", str(table.parent), "--consumer", "c", "--follow", "--poll", "0.05")
    assert tail.stdout is not None
    lines = [json.loads(tail.stdout.readline()) for _ in range(3)]
    commit(table, 3, more=pa.array(["x"]))
    lines.append(json.loads(tail.stdout.readline()))
    assert [(n["id"], n["_commit_version"]) for n in lines] == [(0, 0), (1, 1), (2, 2), (3, 3)]
    assert lines[3]["more"] == "x"
    time.sleep(0.3)
    tail.send_signal(signal.SIGINT)
    out, err = tail.communicate(timeout=60)
    assert (tail.returncode, out, err) == (130, b"", b"to go on: --from 'VERSION 3 EXCLUSIVE'\n")
    with lakesql.connect(str(table.parent)) as lake:
        assert lake.execute("SHOW CONSUMERS").fetch_arrow_table()["position"].to_pylist() == ["3"]


def test_wrong_use_of_the_command(table: Path) -> None:
    for argv in ([], ["orders", "--format", "parquet"], ["orders", "--from", "1", "--consumer", "c"], ["orders", "--nope"]):
        tail = command(*argv)
        _, err = tail.communicate(timeout=60)
        assert (tail.returncode, err[:7]) == (2, b"error: "), argv
