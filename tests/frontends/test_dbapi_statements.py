"""Statements 32 to 43 of what the DB-API promises, over the sample lake: interrupts, errors, several results, threads, versions."""

from __future__ import annotations

import collections
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import deltalake
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import lakesql

LAKE = str(Path(__file__).parents[2] / "catalog")


@pytest.fixture(scope="module")
def connection() -> Iterator[lakesql.Connection]:
    with lakesql.connect(LAKE) as opened:
        yield opened


SCRIPT = f"""
import os, signal, sys, threading, time, lakesql
with lakesql.connect({LAKE!r}) as connection:
    for _ in range(5):
        sent = []
        timer = threading.Timer(0.1, lambda: (sent.append(time.monotonic()), os.kill(os.getpid(), signal.SIGINT)))
        timer.start()
        try:
            connection.execute("SELECT a.watch_ms FROM impressions a, impressions b").fetchall()
        except KeyboardInterrupt:
            print(time.monotonic() - sent[0])
        assert connection.execute("SELECT 42").fetchall() == [(42,)]
    sys.stdout.flush()
    os._exit(0)
"""


def test_sigint_reaches_a_script() -> None:
    ran = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    waits = [float(line) for line in ran.stdout.split()]
    assert len(waits) == 5
    assert max(waits) < 10  # 0.01 on an idle machine


@pytest.mark.parametrize("name", ["cancel", "adbc_cancel", "interrupt"])
@pytest.mark.parametrize("whose", ["cursor", "connection"])
def test_cancel(connection: lakesql.Connection, whose: str, name: str) -> None:
    cursor = connection.execute("SELECT a.watch_ms FROM impressions a, impressions b")
    assert cursor.fetchone() is not None
    threading.Timer(0.05, getattr(cursor if whose == "cursor" else connection, name)).start()
    with pytest.raises(lakesql.OperationalError) as caught:
        collections.deque(cursor, maxlen=0)
    assert caught.value.sqlstate == "57014"
    assert connection.execute("SELECT 42").fetchall() == [(42,)]


def test_parameters_that_do_not_match_name_both_sides(connection: lakesql.Connection) -> None:
    for text, given, words in (
        ("SELECT ?, ?", [1], "2 parameters and 1 is given"),
        ("SELECT ?", [1, 2], "1 parameter and 2 are given"),
        ("SELECT :a", {"b": 1}, '":a": given parameter: "b"'),
        ("SELECT ?; SELECT ?", [1], "2 parameters and 1 are given"),
        ("SELECT :a; SELECT :b", {"a": 1, "b": 2, "c": 3}, '"c"'),
    ):
        with pytest.raises(lakesql.ProgrammingError, match=words) as caught:
            connection.execute(text, given)  # type: ignore[arg-type]
        assert caught.value.sqlstate == "07001"


PIECES = """SELECT FROM WHERE impressions slot day nope 'a' ? ( ) , * = + 1 GROUP BY ORDER JOIN ON abs( count(*) UNION WITH AS x AND NOT CASE NULL ; :: . [ ]
LIMIT VERSION OF device EXISTS IN OVER VALUES"""


def test_bad_statements_raise_only_pep_249s_errors(connection: lakesql.Connection) -> None:
    chosen = random.Random(7)
    pieces = PIECES.split()
    failed: list[tuple[str, lakesql.Error]] = []
    while len(failed) < 500:
        text = " ".join(("SELECT", *chosen.choices(pieces, k=chosen.randint(1, 8)), chosen.choice(("", "FROM impressions"))))
        with connection.cursor() as cursor:
            try:
                cursor.execute(text)
            except lakesql.Error as error:
                failed.append((text, error))
    for text, error in failed:
        assert len(error.sqlstate) == 5, text
        assert error.query == text
        assert not isinstance(error, lakesql.InternalError), (text, error)
        assert error.position is None or 0 <= error.position <= len(text), text
        assert isinstance(error.candidates, tuple)
    unplaced = [text for text, error in failed if error.position is None and isinstance(error, lakesql.SqlError)]
    assert not unplaced


def test_places_count_in_what_was_executed(connection: lakesql.Connection) -> None:
    for text in (" \n SELECT nope FROM impressions", "SELECT 1;\n SELECT nope FROM impressions"):
        with pytest.raises(lakesql.UnknownColumnError) as caught:
            connection.execute(text)
        assert caught.value.query == text
        assert caught.value.position == text.index("nope")
        assert (caught.value.line, caught.value.column) == (2, text.split("\n")[1].index("nope") + 1)


def test_what_is_missing_is_named(tmp_path: Path, connection: lakesql.Connection) -> None:
    deltalake.write_deltalake(str(tmp_path / "t"), pa.table({"a": [1]}))
    for file in (tmp_path / "t").glob("*.parquet"):
        file.unlink()
    with pytest.raises(lakesql.Error, match=r"\.parquet"):
        connection.execute(f"SELECT a FROM '{tmp_path}/t'").fetchall()
    with pytest.raises(lakesql.NotATableError, match=str(tmp_path / "none")):
        connection.execute(f"SELECT a FROM '{tmp_path}/none'")


def test_several_statements(connection: lakesql.Connection) -> None:
    cursor = connection.execute("SELECT ? AS a; SELECT ? AS b, ? AS c;", [1, 2, 3])
    assert cursor.fetchall() == [(1,)]
    assert cursor.nextset() is True
    assert cursor.description is not None
    assert [c.name for c in cursor.description] == ["b", "c"]
    assert cursor.fetchall() == [(2, 3)]
    assert cursor.nextset() is None
    with pytest.raises(lakesql.ProgrammingError):
        cursor.fetchone()
    cursor.execute("SELECT :x AS a; SELECT :y AS b, ';' AS c", {"x": 1, "y": 2})
    assert (cursor.nextset(), cursor.fetchall()) == (True, [(2, ";")])
    with pytest.raises(lakesql.SqlError):
        connection.execute("SELECT 1; SELEC 2")


@pytest.mark.parametrize("text", ["SELECT ?", "INSERT INTO impressions VALUES (?)", "DELETE FROM impressions WHERE slot = ?"])
def test_executemany_says_why_not(connection: lakesql.Connection, text: str) -> None:
    with pytest.raises(lakesql.NotSupportedError, match=r"return no rows|lakesql reads"):
        connection.cursor().executemany(text, [[1], [2]])


def test_frames(connection: lakesql.Connection) -> None:
    text = "SELECT day, count(*) AS n FROM impressions GROUP BY day ORDER BY day"
    table = connection.execute(text).fetch_arrow_table()
    assert connection.execute(text).fetch_arrow() == table
    assert connection.execute(text).to_arrow_table() == table
    assert connection.execute(text).to_arrow_reader().read_all() == table
    assert pd.DataFrame(table.to_pandas()).equals(connection.execute(text).fetch_df())
    assert connection.execute(text).fetch_polars().equals(pl.DataFrame(table))
    assert connection.cursor().adbc_execute_schema(text) == table.schema
    with pytest.raises(lakesql.NotSupportedError):
        connection.cursor().adbc_ingest("t", table)


def test_one_state_while_a_writer_commits(tmp_path: Path) -> None:
    place = str(tmp_path / "t")
    deltalake.write_deltalake(place, pa.table({"a": [1]}))
    time.sleep(0.01)
    with lakesql.connect(place, as_of=datetime.now(UTC)) as connection:
        for _ in range(3):
            deltalake.write_deltalake(place, pa.table({"a": [1]}), mode="append")
            cursor = connection.execute("SELECT count(*) FROM t")
            assert cursor.fetchall() == [(1,)]
            assert [s.version for s in cursor.snapshots] == ["0"]


def test_eight_threads_share_a_connection(connection: lakesql.Connection) -> None:
    wrong: list[object] = []

    def ask(which: int) -> None:
        try:
            for number in range(60):
                rows = connection.execute("SELECT ? + 0, ? || 'x'", [number, str(which)]).fetchall()
                if rows != [(number, f"{which}x")]:
                    wrong.append(rows)
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=ask, args=(which,)) for which in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_adbc_s_metadata(connection: lakesql.Connection) -> None:
    known = connection.adbc_get_objects(depth="columns", table_name_filter="impress%").read_all().to_pylist()
    (catalog,) = [c for c in known if c["catalog_name"] == "lake"]
    (schema,) = [s for s in catalog["catalog_db_schemas"] if s["db_schema_tables"]]
    (table,) = schema["db_schema_tables"]
    described = connection.execute("SELECT * FROM impressions").description
    assert described is not None
    assert (schema["db_schema_name"], table["table_name"]) == ("clips", "impressions")
    assert [c["column_name"] for c in table["table_columns"]] == [c.name for c in described]
    assert table["table_columns"][0]["xdbc_type_name"] == "BIGINT"
    for depth, deepest in (("catalogs", None), ("db_schemas", None), ("tables", None)):
        rows = connection.adbc_get_objects(depth=depth).read_all().to_pylist()
        assert "lake" in [r["catalog_name"] for r in rows]
        assert (rows[0]["catalog_db_schemas"] is deepest) == (depth == "catalogs")
    assert connection.adbc_get_table_schema("impressions", db_schema_filter="clips").field("impression_id").type == pa.int64()
    assert connection.adbc_get_info()["vendor_name"] == "lakesql"
    with pytest.raises(lakesql.ProgrammingError, match="no depth"):
        connection.adbc_get_objects(depth="deep")
    with pytest.raises(lakesql.UnknownTableError):
        connection.adbc_get_table_schema("nope")


STREAMED = f"""
import re, lakesql
with lakesql.connect({LAKE!r}) as connection:
    cursor = connection.execute("SELECT a.watch_ms, a.impression_id FROM impressions a, (SELECT 1 FROM impressions LIMIT 1010) b")
    assert sum(batch.num_rows for batch in cursor.fetch_record_batch()) == 9908 * 1010
print(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])  # ru_maxrss is at least that of the process this was forked from
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is on Linux alone")
def test_ten_million_rows_stream_in_little_memory() -> None:
    ran = subprocess.run([sys.executable, "-c", STREAMED], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) < 500_000
