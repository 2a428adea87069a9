"""Named consumers: what is read, when their position moves and when it does not, and what is wrong with a position."""

from __future__ import annotations

import os
import shutil
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa
import pytest

import lakesql


def commit(place: Path, *ids: int, mode: Any = "append") -> None:
    deltalake.write_deltalake(str(place), pa.table({"id": pa.array(ids, pa.int64())}), mode=mode)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "lakesql" / "consumers.db"


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
        yield connection


def ids(lake: lakesql.Connection, clause: str = "CHANGES SINCE CONSUMER 'train'") -> list[int]:
    return [r[0] for r in lake.execute(f"SELECT id FROM orders {clause} ORDER BY 1").fetchall()]


def shown(lake: lakesql.Connection, of: str = "") -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = lake.execute(f"SHOW CONSUMERS {of}").fetch_arrow_table().to_pylist()
    return rows


def test_reads_what_came_since_it_was_advanced(lake: lakesql.Connection, table: Path) -> None:
    assert ids(lake) == [0, 1, 2]
    assert ids(lake) == [0, 1, 2]
    assert lake.execute("ADVANCE CONSUMER 'train'").notices == (f'consumer "train" stands at 2 in {table}',)
    assert ids(lake) == []
    commit(table, 3)
    commit(table, 4)
    assert ids(lake, "CHANGES SINCE CONSUMER 'train' TO VERSION 3") == [3]
    lake.execute("ADVANCE CONSUMER 'train' ON orders")
    assert ids(lake) == [4]


def test_a_commit_made_while_reading_comes_next(lake: lakesql.Connection, table: Path) -> None:
    cursor = lake.execute("SELECT id FROM orders CHANGES SINCE CONSUMER 'train'")
    commit(table, 3)
    assert len(cursor.fetchall()) == 3
    commit(table, 4)
    lake.execute("ADVANCE CONSUMER 'train'")
    assert ids(lake) == [3, 4]


def test_not_advanced_before_the_last_row(lake: lakesql.Connection) -> None:
    with pytest.raises(lakesql.ConsumerError, match="has read nothing"):
        lake.execute("ADVANCE CONSUMER 'train'")
    cursor = lake.execute("SELECT * FROM orders CHANGES SINCE CONSUMER 'train'")
    cursor.fetchone()
    with pytest.raises(lakesql.ConsumerError, match="not fetched to its end"):
        lake.execute("ADVANCE CONSUMER 'train'")
    cursor.fetchall()
    lake.execute("ADVANCE CONSUMER 'train'")
    with pytest.raises(lakesql.ConsumerError, match="has read nothing"):
        lake.execute("ADVANCE CONSUMER 'train'")


def test_a_read_that_failed_moves_nothing(lake: lakesql.Connection) -> None:
    ids(lake)
    with pytest.raises(lakesql.EngineError):
        lake.execute("SELECT 1 / (id - id) FROM orders CHANGES SINCE CONSUMER 'train'").fetchall()
    with pytest.raises(lakesql.ConsumerError, match="not fetched to its end"):
        lake.execute("ADVANCE CONSUMER 'train'")


def test_explain_reads_nothing(lake: lakesql.Connection) -> None:
    lake.execute("EXPLAIN PRUNING SELECT * FROM orders CHANGES SINCE CONSUMER 'train'").fetchall()
    lake.execute("EXPLAIN SELECT * FROM orders CHANGES SINCE CONSUMER 'train'").fetchall()
    with pytest.raises(lakesql.ConsumerError, match="has read nothing"):
        lake.execute("ADVANCE CONSUMER 'train'")


def test_of_two_that_share_a_consumer_one_fails(lake: lakesql.Connection, table: Path) -> None:
    with lakesql.connect(str(table.parent)) as other:
        assert ids(lake) == ids(other) == [0, 1, 2]
        other.execute("ADVANCE CONSUMER 'train'")
        with pytest.raises(lakesql.ConsumerConflictError, match="it now stands at 2"):
            lake.execute("ADVANCE CONSUMER 'train'")
        assert ids(lake) == []
        lake.execute("DROP CONSUMER 'train'")
        assert ids(other) == [0, 1, 2]


def test_many_at_once_get_each_commit_once(lake: lakesql.Connection, table: Path) -> None:
    got: list[int] = []
    lock = threading.Lock()

    def work() -> None:
        with lakesql.connect(str(table.parent)) as own:
            for _ in range(6):
                rows = ids(own)
                try:
                    own.execute("ADVANCE CONSUMER 'train'")
                except lakesql.ConsumerConflictError:
                    continue
                with lock:
                    got.extend(rows)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(3, 9):
        commit(table, number)
    for thread in threads:
        thread.join()
    got += ids(lake)
    assert sorted(got) == list(range(9))


def test_where_a_consumer_begins(lake: lakesql.Connection, table: Path) -> None:
    for start, expected in (
        ("", [0, 1, 2]),
        ("FROM EARLIEST", [0, 1, 2]),
        ("FROM LATEST", []),
        ("FROM VERSION 1", [1, 2]),
        ("FROM VERSION 1 EXCLUSIVE", [2]),
        ("FROM TIMESTAMP '2001-01-01'", [0, 1, 2]),
        ("FROM VERSION 2 EXCLUSIVE", []),
    ):
        lake.execute(f"CREATE CONSUMER 'train' ON orders {start}")
        assert ids(lake) == expected, start
        lake.execute("DROP CONSUMER 'train'")
    lake.execute("CREATE CONSUMER 'train' ON orders FROM LATEST")
    with pytest.raises(lakesql.ConsumerError, match="there already"):
        lake.execute("CREATE CONSUMER 'train' ON orders")
    lake.execute("CREATE CONSUMER IF NOT EXISTS 'train' ON orders")
    commit(table, 3)
    assert ids(lake) == [3]


def test_advanced_and_reset_to_a_version(lake: lakesql.Connection) -> None:
    lake.execute("ADVANCE CONSUMER 'train' ON orders TO VERSION 0")
    assert ids(lake) == [1, 2]
    lake.execute("ADVANCE CONSUMER 'train' TO VERSION 1")
    with pytest.raises(lakesql.NoSuchVersionError, match=r"does not follow|before it begins"):
        lake.execute("ADVANCE CONSUMER 'train' TO VERSION 0")
    with pytest.raises(lakesql.NoSuchVersionError):
        lake.execute("ADVANCE CONSUMER 'train' TO VERSION 9")
    assert ids(lake) == [2]
    for to, expected in (("TO VERSION 0", [1, 2]), ("FROM VERSION 0", [0, 1, 2]), ("TO LATEST", []), ("", [0, 1, 2]), ("TO EARLIEST", [0, 1, 2])):
        lake.execute(f"RESET CONSUMER 'train' {to}")
        assert ids(lake) == expected, to


def test_show_consumers(lake: lakesql.Connection, table: Path, state: Path) -> None:
    assert shown(lake) == []
    assert not state.exists()
    lake.execute("CREATE CONSUMER 'train' ON orders FROM VERSION 0 EXCLUSIVE")
    lake.execute("CREATE CONSUMER other ON orders")
    other, train = shown(lake)
    assert [other["consumer"], other["position"], other["lag"]] == ["other", "before 0", 3]
    ids(lake)
    lake.execute("ADVANCE CONSUMER 'train'")
    commit(table, 3)
    (train,) = shown(lake, "LIKE 'tr%'")
    assert {k: train[k] for k in ("consumer", "kept_by", "table", "format", "position", "latest_version", "lag", "problem")} == {
        "consumer": "train",
        "kept_by": "lakesql",
        "table": str(table),
        "format": "delta",
        "position": "2",
        "latest_version": "3",
        "lag": 1,
        "problem": None,
    }
    assert train["committed_at"] <= train["advanced_at"]
    assert len(shown(lake, "ON orders")) == 2
    shutil.rmtree(table)
    assert all(r["problem"] for r in shown(lake))


def test_the_file_is_its_owner_s_and_not_in_the_lake(lake: lakesql.Connection, table: Path, state: Path) -> None:
    lake.execute("CREATE CONSUMER 'train' ON orders")
    assert stat.S_IMODE(os.stat(state).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(state.parent).st_mode) == 0o700
    lake.execute(f"SET lakesql.consumers = '{table / 'consumers.db'}'")
    with pytest.raises(lakesql.ConfigError, match="within the table"):
        lake.execute("CREATE CONSUMER 'train' ON orders")
    lake.execute(f"SET lakesql.consumers = '{state.parent / 'mine.db'}'")
    assert shown(lake) == []
    lake.execute("RESET lakesql.consumers")
    assert len(shown(lake)) == 1


def test_a_file_that_is_no_database(lake: lakesql.Connection, state: Path) -> None:
    state.parent.mkdir(parents=True)
    state.write_text("these are not the positions you are looking for")
    with pytest.raises(lakesql.OperationalError, match="did not answer"):
        ids(lake)


def test_a_table_made_anew(lake: lakesql.Connection, table: Path) -> None:
    ids(lake)
    lake.execute("ADVANCE CONSUMER 'train'")
    shutil.rmtree(table)
    for number in range(5):
        commit(table, number + 10)
    with lakesql.connect(str(table.parent)) as again:
        with pytest.raises(lakesql.RecreatedTableError, match="made anew"):
            ids(again)
        assert "made anew" in shown(again)[0]["problem"]
        again.execute("RESET CONSUMER 'train' ON orders")
        assert ids(again) == [10, 11, 12, 13, 14]


def test_a_position_that_expired(lake: lakesql.Connection, table: Path) -> None:
    lake.execute("CREATE CONSUMER 'train' ON orders FROM VERSION 0 EXCLUSIVE")
    lake.execute("CREATE CONSUMER 'early' ON orders")
    commit(table, 3)
    deltalake.DeltaTable(table).create_checkpoint()
    commit(table, 4)
    for version in range(3):
        (table / "_delta_log" / f"{version:020}.json").unlink()
    with lakesql.connect(str(table.parent)) as again:
        with pytest.raises(lakesql.ExpiredVersionError, match=r'"train" stands at before 1.*from version 1 on and before version 4 is lost') as caught:
            ids(again)
        assert "RESET CONSUMER 'train'" in str(caught.value.hint)
        with pytest.raises(lakesql.ExpiredVersionError, match='"early" stands at before 0'):
            ids(again, "CHANGES SINCE CONSUMER 'early'")
        again.execute("RESET CONSUMER 'train'")
        assert ids(again) == [4]


def test_one_table_up_to_two_versions_in_one_statement(lake: lakesql.Connection) -> None:
    with pytest.raises(lakesql.SqlError, match="up to two versions"):
        lake.execute("SELECT 1 FROM orders CHANGES SINCE CONSUMER c TO VERSION 1 AS a JOIN orders CHANGES SINCE CONSUMER c TO VERSION 2 AS b ON a.id = b.id")


def test_two_tables_advance_together(lake: lakesql.Connection, table: Path) -> None:
    commit(table.parent / "items", 7)
    query = "SELECT id FROM orders CHANGES SINCE CONSUMER c UNION ALL SELECT id FROM items CHANGES SINCE CONSUMER c ORDER BY 1"
    assert [r[0] for r in lake.execute(query).fetchall()] == [0, 1, 2, 7]
    lake.execute("ADVANCE CONSUMER c")
    assert lake.execute(query).fetchall() == []
    assert {r["position"] for r in shown(lake)} == {"0", "2"}
    with pytest.raises(lakesql.ConsumerError, match="several tables"):
        lake.execute("RESET CONSUMER c")


@pytest.mark.parametrize(
    "text",
    [
        "CREATE CONSUMER 'x'",
        "CREATE CONSUMER '' ON orders",
        "ADVANCE CONSUMER 'x' TO TIMESTAMP '2020-01-01'",
        "RESET CONSUMER 'x' ON orders TO SOMEWHERE",
        "SHOW CONSUMERS LIKE x",
        "SELECT * FROM orders CHANGES SINCE CONSUMER",
        "DROP CONSUMER 'x' ON orders VERSION AS OF 3",
        "CREATE CONSUMER 'x' ON orders@v3",
    ],
)
def test_what_cannot_be_read(lake: lakesql.Connection, text: str) -> None:
    with pytest.raises(lakesql.SqlError):
        lake.execute(text)


def test_unknown_consumers(lake: lakesql.Connection) -> None:
    lake.execute("CREATE CONSUMER train ON orders")
    for text in ("DROP CONSUMER 'trian'", "RESET CONSUMER 'trian'"):
        with pytest.raises(lakesql.ConsumerError, match='no consumer "trian"') as caught:
            lake.execute(text)
        assert caught.value.hint == 'did you mean "train"?'
    lake.execute("DROP CONSUMER IF EXISTS 'trian'")


# One instant for all tables ------------------------------------------------------------------------------------------------------------------------------


def test_a_session_pinned_to_an_instant(lake: lakesql.Connection, table: Path) -> None:
    first, second = (r[0] for r in lake.execute('SELECT committed_at FROM "orders$snapshots" ORDER BY 1 LIMIT 2').fetchall())
    lake.execute(f"SET lakesql.as_of = '{second.isoformat()}'")
    assert ids(lake, "") == [0, 1]
    assert ids(lake, "CHANGES FROM VERSION 1") == [1]
    assert ids(lake, "VERSION AS OF 2") == [0, 1, 2]
    ((_, value, _),) = lake.execute("SHOW lakesql.as_of").fetchall()
    assert value == second.isoformat()
    (row,) = lake.execute("SHOW SNAPSHOTS").fetch_arrow_table().to_pylist()
    assert (row["table"], row["version"], row["committed_at"], row["as_of"], row["skew_seconds"]) == ("orders", "1", second, second, 0.0)
    lake.execute(f"SET lakesql.as_of = '{first.isoformat()}'")
    assert ids(lake, "") == [0]
    lake.execute("SET lakesql.as_of = '1999-01-01'")
    assert "1999" in lake.execute("SHOW SNAPSHOTS").fetch_arrow_table().to_pylist()[0]["problem"]
    for undo in ("RESET lakesql.as_of", "SET lakesql.as_of = DEFAULT", "RESET ALL", "SET as_of = latest"):
        lake.execute("SET lakesql.as_of = 0")
        assert ids(lake, "") == [0]
        lake.execute(undo)
        assert ids(lake, "") == [0, 1, 2]
    (row,) = lake.execute("SHOW SNAPSHOTS IN lake LIKE 'ord%'").fetch_arrow_table().to_pylist()
    assert (row["version"], row["as_of"], row["skew_seconds"]) == ("2", None, None)


def test_reset_goes_back_to_what_the_connection_began_with(table: Path) -> None:
    with lakesql.connect(str(table.parent), as_of=1) as lake:
        lake.execute("SET lakesql.as_of = latest")
        assert ids(lake, "") == [0, 1, 2]
        lake.execute("RESET lakesql.as_of")
        assert ids(lake, "") == [0, 1]
