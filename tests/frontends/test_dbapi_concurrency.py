"""Stopping statements, sharing connections, reading while others write."""

from __future__ import annotations

import collections
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

import lakesql

LAKE = str(Path(__file__).parents[2] / "catalog")
JOIN = "SELECT count(*) FROM generate_series(1, 1000000) a JOIN generate_series(1, 1000000) b ON a.value * 7 < b.value % 11"
"""A join that would run for long, and that the engine itself does not stop."""
AT_ONCE_SECONDS = 1.0
_TIMES = 250
"""How often each thread asks."""


@pytest.fixture
def connection() -> Iterator[lakesql.Connection]:
    with lakesql.connect(LAKE) as opened:
        yield opened


# Stopping ------------------------------------------------------------------------------------------------------------------------------------------------

SCRIPT = f"""
import os, signal, sys, threading, time
import lakesql
connection = lakesql.connect()
cursor = connection.execute({JOIN!r})
stops = {{"signal": lambda: os.kill(os.getpid(), signal.SIGINT), "cursor": cursor.cancel, "connection": connection.cancel}}
def stop():
    print(time.monotonic())
    stops[sys.argv[1]]()
threading.Timer(0.5, stop).start()
try:
    cursor.fetchall()
except (KeyboardInterrupt, lakesql.OperationalError) as error:
    print(time.monotonic(), type(error).__name__, getattr(error, "sqlstate", None))
print(*connection.execute("SELECT 42").fetchone(), time.monotonic(), flush=True)
os._exit(0)  # the join may hold its threads for as long as it likes
"""


@pytest.mark.parametrize(
    ("how", "error"),
    [("signal", ["KeyboardInterrupt", "None"]), ("cursor", ["QueryCancelledError", "57014"]), ("connection", ["QueryCancelledError", "57014"])],
)
def test_a_join_that_the_engine_does_not_stop_is_left_at_once(how: str, error: list[str]) -> None:
    """And the connection is of use at once: the engine has threads that the join does not hold."""
    ran = subprocess.run([sys.executable, "-c", SCRIPT, how], capture_output=True, text=True, check=True, timeout=60)
    sent, raised, *raised_error, answer, answered = ran.stdout.split()
    assert float(raised) - float(sent) < AT_ONCE_SECONDS
    assert (raised_error, answer) == (error, "42")
    assert float(answered) - float(raised) < 5 * AT_ONCE_SECONDS


CANCELS: dict[str, Callable[[lakesql.Cursor], None]] = {
    "cursor.cancel": lambda cursor: cursor.cancel(),
    "cursor.adbc_cancel": lambda cursor: cursor.adbc_cancel(),
    "cursor.interrupt": lambda cursor: cursor.interrupt(),
    "connection.cancel": lambda cursor: cursor.connection.cancel(),
    "connection.adbc_cancel": lambda cursor: cursor.connection.adbc_cancel(),
    "connection.interrupt": lambda cursor: cursor.connection.interrupt(),
}


@pytest.mark.parametrize("name", CANCELS)
def test_cancelling_is_an_operational_error(connection: lakesql.Connection, name: str) -> None:
    """The product of the lake's largest table with itself, which would go on for minutes. This one the engine does stop: nothing runs on beside the tests."""
    cursor = connection.execute("SELECT a.watch_ms FROM impressions a, impressions b")
    assert cursor.fetchone() is not None
    threading.Timer(0.05, CANCELS[name], [cursor]).start()
    with pytest.raises(lakesql.OperationalError) as caught:
        collections.deque(cursor, maxlen=0)
    assert caught.value.sqlstate == "57014"
    assert connection.execute("SELECT 42").fetchall() == [(42,)]
    with pytest.raises(lakesql.OperationalError):
        cursor.fetchall()  # what was cut off never looks complete
    assert cursor.rowcount == -1
    assert cursor.execute("SELECT 43").fetchall() == [(43,)]


# Sharing -------------------------------------------------------------------------------------------------------------------------------------------------


def test_eight_threads_share_a_connection(connection: lakesql.Connection) -> None:
    """Each asks many times: different statements, parameters, tables and ways of taking rows, with a wrong statement now and then."""
    counts = dict(connection.execute("SELECT slot, count(*) FROM impressions GROUP BY slot").fetchall())

    def ask(thread: int) -> int:
        right = 0
        for i in range(_TIMES):
            n = thread * _TIMES + i
            if i % 50 == 0:
                slot = sorted(counts)[n // 50 % len(counts)]
                right += connection.execute("SELECT count(*) FROM impressions WHERE slot = ?", [slot]).fetchone() == (counts[slot],)
            elif i % 50 == 1:
                with pytest.raises(lakesql.UnknownColumnError, match=f"nope{n}"):
                    connection.execute(f"SELECT nope{n} FROM impressions")
                right += 1
            elif i % 2:
                right += connection.execute("SELECT ? AS n", [n]).fetch_arrow_table().to_pydict() == {"n": [n]}
            else:
                right += connection.execute("SELECT :a + :b", {"a": n, "b": thread}).fetchall() == [(n + thread,)]
        return right

    assert lakesql.threadsafety == 2
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(ask, range(8))) == [_TIMES] * 8


# While others write ------------------------------------------------------------------------------------------------------------------------------------------


def test_as_of_stays_while_others_commit(tmp_path: Path) -> None:
    place = tmp_path / "orders"
    for n in range(3):
        write_deltalake(place, pa.table({"n": pa.array([n] * 10, pa.int64())}), mode="append")
    stop = threading.Event()
    committed: list[int] = []

    def write() -> None:
        while not stop.is_set():
            write_deltalake(place, pa.table({"n": pa.array([100], pa.int64())}), mode="append")
            committed.append(1)

    writer = threading.Thread(target=write)
    with lakesql.connect(str(tmp_path), as_of=2) as then, lakesql.connect(str(tmp_path)) as now:
        writer.start()
        try:
            seen = set()
            while len(committed) < 5:
                cursor = then.execute("SELECT count(*), max(n) FROM orders")
                seen.add((cursor.fetchone(), tuple(s.version for s in cursor.snapshots)))
                # within one statement both mentions are of one snapshot, whatever is committed meanwhile
                cursor = now.execute("SELECT (SELECT count(*) FROM orders) - (SELECT count(*) FROM orders)")
                assert cursor.fetchone() == (0,)
                assert len({s.version for s in cursor.snapshots}) == 1
        finally:
            stop.set()
            writer.join()
        assert seen == {((30, 2), ("2",))}
        assert now.execute("SELECT count(*) FROM orders").fetchone() == (30 + len(committed),)
