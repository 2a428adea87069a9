"""The DB-API over the sample lake: the real session under it."""

from __future__ import annotations

import collections
import datetime as dt
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

import lakesql

LAKE = str(Path(__file__).parents[2] / "catalog")


@pytest.fixture(scope="module")
def connection() -> Iterator[lakesql.Connection]:
    with lakesql.connect(LAKE) as opened:
        yield opened


def test_rows_and_description(connection: lakesql.Connection) -> None:
    cursor = connection.execute("SELECT impression_id, day, ts, liked, device FROM impressions ORDER BY impression_id LIMIT 1")
    assert cursor.description is not None
    assert [(c.name, str(c.type_code)) for c in cursor.description] == [
        ("impression_id", "BIGINT"),
        ("day", "DATE"),
        ("ts", "TIMESTAMPTZ"),
        ("liked", "BOOLEAN"),
        ("device", "STRUCT"),
    ]
    row = cursor.fetchone()
    assert row is not None
    assert [type(value) for value in row] == [int, dt.date, dt.datetime, bool, dict]
    assert row[2].tzinfo is dt.UTC
    assert cursor.fetchone() is None
    assert cursor.rowcount == 1


@pytest.mark.parametrize(
    ("clause", "parameters"),
    [
        ("slot = ? AND user_id > ? AND '?' <> '%s' -- ?", [2, 500]),
        ("slot = $1 AND user_id > $2", (2, 500)),
        ("slot = :slot AND user_id > :user AND 'x'::varchar = 'x'", {"slot": 2, "user": 500}),
        ("slot = $slot AND user_id > $user", {"slot": 2, "user": 500}),
    ],
)
def test_parameters(connection: lakesql.Connection, clause: str, parameters: object) -> None:
    (literal,) = connection.execute("SELECT count(*) FROM impressions WHERE slot = 2 AND user_id > 500").fetchall()
    assert connection.execute(f"SELECT count(*) FROM impressions WHERE {clause}", parameters).fetchall() == [literal]  # type: ignore[arg-type]
    assert literal[0] > 0


def test_values_are_bound_and_never_pasted(connection: lakesql.Connection) -> None:
    for value in ("'; DROP TABLE impressions; --", "a\x00b", "", "é👩‍👩‍👧", "\\", "$1 ? :x"):
        assert connection.execute("SELECT ? AS v", [value]).fetchall() == [(value,)]
    moment = dt.datetime(2026, 1, 3, 6, 30, 0, 123_456, dt.UTC)
    assert connection.execute("SELECT count(*) FROM impressions WHERE ts > ?", [moment]).fetchone() == (9908,)
    assert connection.execute("SELECT count(*) FROM impressions WHERE day = ?", [dt.date(2026, 11, 19)]).fetchone() != (0,)


def test_versions_and_stats(connection: lakesql.Connection) -> None:
    cursor = connection.execute("SELECT count(*) FROM impressions VERSION AS OF 3")
    assert cursor.fetchall() == [(4000,)]
    (snapshot,) = cursor.snapshots
    assert (snapshot.name, snapshot.format, snapshot.version) == ("impressions", "delta", "3")
    assert snapshot.committed_at is not None
    assert cursor.scan_stats.files_total >= cursor.scan_stats.files_kept > 0
    with lakesql.connect(LAKE, as_of=3) as then:
        assert then.execute("SELECT count(*) FROM impressions").fetchall() == [(4000,)]


def test_tables_by_name() -> None:
    with lakesql.connect(tables={"seen": f"{LAKE}/impressions"}) as connection:
        assert connection.execute("SELECT count(*) FROM seen").fetchall() == [(9908,)]
        with pytest.raises(lakesql.UnknownTableError):
            connection.execute("SELECT count(*) FROM sean")


def test_arrow(connection: lakesql.Connection) -> None:
    cursor = connection.execute("SELECT impression_id, device FROM impressions")
    first = cursor.fetchone()
    rest = cursor.fetch_arrow_table()
    assert first is not None
    assert rest.num_rows == 9907
    assert first[0] not in rest["impression_id"].to_pylist()
    reader = connection.execute("SELECT * FROM impressions").fetch_record_batch()
    assert isinstance(reader, pa.RecordBatchReader)
    assert sum(batch.num_rows for batch in reader) == 9908
    assert pa.table(connection.execute("SELECT 1 AS one")).to_pydict() == {"one": [1]}


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("", lakesql.SqlError),
        ("SELCT 1", lakesql.DatabaseError),
        ("SELECT 'a", lakesql.SqlError),
        ("SELECT (1", lakesql.SqlError),
        ("SELECT 1; SELEC 2", lakesql.SqlError),
        ("SELECT nope FROM impressions", lakesql.UnknownColumnError),
        ("SELECT * FROM nope", lakesql.UnknownTableError),
        ("SELECT no_such_function(1)", lakesql.ProgrammingError),
        ("SELECT CAST('x' AS INT)", lakesql.DatabaseError),
        ("SELECT 1 % 0", lakesql.DatabaseError),
        ("SELECT ?", lakesql.ParameterError),
        ("SELECT * FROM '/no/such/place'", lakesql.DatabaseError),
        ("INSERT INTO impressions VALUES (1)", lakesql.DatabaseError),
    ],
    ids=str,
)
def test_errors_are_pep249s(connection: lakesql.Connection, statement: str, kind: type[Exception]) -> None:
    with pytest.raises(kind) as caught:
        connection.execute(statement).fetchall()
    assert isinstance(caught.value, lakesql.Error)
    assert not isinstance(caught.value, lakesql.InternalError)
    assert len(caught.value.sqlstate) == 5


def test_the_connection_survives_its_errors(connection: lakesql.Connection) -> None:
    cursor = connection.cursor()
    for _ in range(3):
        with pytest.raises(lakesql.Error):
            cursor.execute("SELECT nope")
        assert cursor.execute("SELECT 42").fetchall() == [(42,)]


LONG = "SELECT a.watch_ms FROM impressions a, impressions b"


def test_cancel(connection: lakesql.Connection) -> None:
    for cancel in (lambda cursor: cursor.cancel(), lambda cursor: cursor.connection.cancel()):
        cursor = connection.execute(LONG)
        assert cursor.fetchone() is not None
        threading.Timer(0.2, cancel, [cursor]).start()
        started = time.monotonic()
        with pytest.raises(lakesql.QueryCancelledError) as caught:
            collections.deque(cursor, maxlen=0)
        assert caught.value.sqlstate == "57014"
        assert time.monotonic() - started < 10
    assert connection.execute("SELECT 42").fetchall() == [(42,)]


def test_rows_stream(connection: lakesql.Connection) -> None:
    """Of the product's 98 million rows the first come without the others."""
    with connection.execute(LONG) as cursor:
        assert len(cursor.fetchmany(20_000)) == 20_000
        assert cursor.rowcount == -1


def test_threads_share_a_connection(connection: lakesql.Connection) -> None:
    wrong: list[object] = []

    def ask(slot: int) -> None:
        try:
            for _ in range(5):
                rows = connection.execute("SELECT DISTINCT slot FROM impressions WHERE slot = ?", [slot]).fetchall()
                if rows != [(slot,)]:
                    wrong.append(rows)
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=ask, args=(slot,)) for slot in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_statements_without_rows(connection: lakesql.Connection) -> None:
    cursor = connection.execute("SET lakesql.prune = on")
    assert cursor.description is None
    with pytest.raises(lakesql.ProgrammingError):
        cursor.fetchall()
