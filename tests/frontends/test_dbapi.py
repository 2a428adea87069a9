"""PEP 249, over the double: what it demands, and what lakesql chose where it leaves a choice."""

from __future__ import annotations

import datetime as dt
import pickle
import threading
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

import lakesql
from lakesql.errors import StorageError
from lakesql.frontends.cursor import Cursor
from lakesql.frontends.dbapi import Connection
from lakesql.frontends.typecodes import TypeCode
from lakesql.result import Result

from .doubles import FakeSession, failing_after, result_of
from .tables import TYPES

FIVE = pa.table({"n": [1, 2, 3, 4, 5], "s": ["a", "b", None, "d", "e"]})
ROWS = [(1, "a"), (2, "b"), (3, None), (4, "d"), (5, "e")]


@pytest.fixture
def session() -> FakeSession:
    return FakeSession({"five": lambda _: FIVE, "types": lambda _: TYPES, "set": None, "none": lambda _: FIVE.slice(0, 0)})


@pytest.fixture
def connection(session: FakeSession) -> Iterator[Connection]:
    with Connection(session) as opened:  # type: ignore[arg-type]
        yield opened


@pytest.fixture
def cursor(connection: Connection) -> Cursor:
    return connection.cursor()


# The module ------------------------------------------------------------------------------------------------------------------------------------------------


def test_module_constants_and_names() -> None:
    assert (lakesql.apilevel, lakesql.threadsafety, lakesql.paramstyle) == ("2.0", 2, "qmark")
    for name in lakesql.__all__:
        assert getattr(lakesql, name) is not None
    assert set(lakesql.__all__) <= set(dir(lakesql))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        lakesql.nothing  # noqa: B018


def test_exception_tree() -> None:
    assert issubclass(lakesql.InterfaceError, lakesql.Error)
    assert issubclass(lakesql.DatabaseError, lakesql.Error)
    for name in ("DataError", "OperationalError", "IntegrityError", "InternalError", "ProgrammingError", "NotSupportedError"):
        assert issubclass(getattr(lakesql, name), lakesql.DatabaseError)
        assert getattr(Connection, name) is getattr(lakesql, name)
    assert issubclass(lakesql.Warning, Exception)


def test_type_constructors() -> None:
    assert lakesql.Date(2026, 1, 3) == dt.date(2026, 1, 3)
    assert lakesql.Time(6, 30, 0) == dt.time(6, 30)
    assert lakesql.Timestamp(2026, 1, 3, 6, 30, 0) == dt.datetime(2026, 1, 3, 6, 30)
    assert lakesql.Binary(b"\x00") == b"\x00"
    ticks = dt.datetime(2026, 1, 3, 6, 30, 15).timestamp()
    assert lakesql.DateFromTicks(ticks) == dt.date(2026, 1, 3)
    assert lakesql.TimeFromTicks(ticks) == dt.time(6, 30, 15)
    assert lakesql.TimestampFromTicks(ticks) == dt.datetime(2026, 1, 3, 6, 30, 15)


# Connections -----------------------------------------------------------------------------------------------------------------------------------------------


def test_closing(session: FakeSession) -> None:
    connection = Connection(session)  # type: ignore[arg-type]
    cursor = connection.execute("five")
    connection.close()
    connection.close()
    assert session.closed
    assert connection.closed
    assert cursor.closed
    for use in (
        connection.cursor,
        connection.commit,
        connection.rollback,
        connection.cancel,
        connection.__enter__,
        lambda: connection.execute("five"),
        lambda: cursor.execute("five"),
        cursor.fetchone,
        cursor.fetchall,
        cursor.fetch_arrow_table,
        cursor.cancel,
        lambda: cursor.setinputsizes([]),
        lambda: cursor.snapshots,
        lambda: next(cursor),
    ):
        with pytest.raises(lakesql.InterfaceError, match="is closed"):
            use()
    cursor.close()


def test_transactions(connection: Connection) -> None:
    connection.commit()
    with pytest.raises(lakesql.NotSupportedError):
        connection.rollback()


def test_forgotten_connections_warn(session: FakeSession) -> None:
    forgotten = [Connection(session)]  # type: ignore[list-item]
    with pytest.warns(ResourceWarning, match="never closed"):
        forgotten.clear()  # CPython finalises it here
    assert session.closed


def test_a_closed_cursor_leaves_the_connection_open(connection: Connection) -> None:
    with connection.cursor() as cursor:
        cursor.execute("five")
    with pytest.raises(lakesql.InterfaceError, match="the cursor is closed"):
        cursor.fetchone()
    cursor.close()
    assert connection.execute("five").fetchall() == ROWS


# Fetching --------------------------------------------------------------------------------------------------------------------------------------------------


def test_fetching(cursor: Cursor) -> None:
    assert cursor.execute("five") is cursor
    assert cursor.fetchone() == (1, "a")
    assert cursor.fetchmany() == [(2, "b")]
    assert cursor.fetchmany(2) == [(3, None), (4, "d")]
    assert cursor.fetchmany(0) == []
    assert cursor.fetchall() == [(5, "e")]
    assert (cursor.fetchone(), cursor.fetchmany(3), cursor.fetchall()) == (None, [], [])


def test_arraysize(cursor: Cursor) -> None:
    assert cursor.arraysize == 1
    cursor.arraysize = 3
    cursor.execute("five")
    assert [len(cursor.fetchmany()) for _ in range(3)] == [3, 2, 0]
    with pytest.raises(lakesql.ProgrammingError):
        cursor.fetchmany(-1)


def test_iterating(cursor: Cursor) -> None:
    assert list(cursor.execute("five")) == ROWS
    cursor.execute("five")
    assert next(cursor) == ROWS[0]
    assert list(cursor) == ROWS[1:]


def test_rowcount_and_rownumber(cursor: Cursor) -> None:
    assert (cursor.rowcount, cursor.rownumber) == (-1, None)
    cursor.execute("five")
    assert (cursor.rowcount, cursor.rownumber) == (-1, 0)
    cursor.fetchmany(3)
    assert (cursor.rowcount, cursor.rownumber) == (-1, 3)
    cursor.fetchall()
    assert (cursor.rowcount, cursor.rownumber) == (5, 5)
    cursor.execute("none")
    assert cursor.fetchone() is None
    assert cursor.rowcount == 0
    assert cursor.execute("set").rowcount == -1


def test_fetching_without_rows_to_fetch(cursor: Cursor) -> None:
    for prepare in (lambda: None, lambda: cursor.execute("set")):
        prepare()
        assert cursor.description is None
        for fetch in (cursor.fetchone, cursor.fetchmany, cursor.fetchall, cursor.fetch_arrow_table, cursor.fetch_record_batch, lambda: iter(cursor)):
            with pytest.raises(lakesql.ProgrammingError, match="no rows to fetch"):
                fetch()


def test_a_failed_statement_leaves_no_rows_of_the_one_before(cursor: Cursor) -> None:
    cursor.execute("five")
    with pytest.raises(lakesql.ProgrammingError):
        cursor.execute("wrong")
    with pytest.raises(lakesql.ProgrammingError):
        cursor.fetchone()


def test_parameters_are_handed_on(cursor: Cursor, session: FakeSession) -> None:
    cursor.execute("five", [1])
    cursor.execute("five", {"a": 1})
    assert session.log == [("five", [1]), ("five", {"a": 1})]
    with pytest.raises(lakesql.ProgrammingError, match="a statement is a str"):
        cursor.execute(b"five")  # type: ignore[arg-type]


def test_executemany(cursor: Cursor, session: FakeSession) -> None:
    cursor.executemany("set", [[1], [2]])
    assert session.log == [("set", [1]), ("set", [2])]
    with pytest.raises(lakesql.NotSupportedError, match="return no rows"):
        cursor.executemany("five", [[1], [2]])
    assert cursor.description is None


def test_sizes_are_ignored(cursor: Cursor) -> None:
    cursor.setinputsizes([lakesql.STRING, 25])
    cursor.setoutputsize(1000)
    cursor.setoutputsize(1000, 0)


# Description -----------------------------------------------------------------------------------------------------------------------------------------------


def test_description(cursor: Cursor) -> None:
    description = cursor.execute("types").description
    assert description is not None
    assert all(len(column) == 7 for column in description)
    by_name = {column[0]: column for column in description}
    assert by_name["dec"][1:] == ("DECIMAL", None, None, 10, 2, True)
    assert by_name["ts"][1:] == ("TIMESTAMP", None, None, None, 6, True)
    assert by_name["tz"][1] == "TIMESTAMPTZ"
    groups = {
        lakesql.NUMBER: {"b", "i8", "i64", "u64", "f32", "f64", "dec", "dec38"},
        lakesql.STRING: {"s", "id"},
        lakesql.BINARY: {"bin"},
        lakesql.DATETIME: {"d", "t", "ts", "ts_ns", "tz", "tz_ny"},
        lakesql.ROWID: set(),
    }
    for group, names in groups.items():
        assert {name for name, column in by_name.items() if column[1] == group} == names
        assert {name for name, column in by_name.items() if group == column[1]} == names


def test_type_codes_are_three_things_at_once() -> None:
    code = TypeCode(pa.decimal128(10, 2))
    assert code == lakesql.NUMBER
    assert code != lakesql.STRING
    assert isinstance(code, str)
    assert code == "DECIMAL"
    assert code.arrow == pa.decimal128(10, 2)
    assert {code: 1}["DECIMAL"] == 1  # type: ignore[index]
    assert (copy := pickle.loads(pickle.dumps(code))) == code
    assert copy.arrow == code.arrow
    assert repr(lakesql.NUMBER) == "NUMBER"
    assert lakesql.NUMBER != lakesql.STRING
    assert lakesql.NUMBER != "DECIMAL"
    assert len({lakesql.NUMBER, lakesql.STRING, lakesql.BINARY, lakesql.DATETIME, lakesql.ROWID}) == 5


# Arrow -----------------------------------------------------------------------------------------------------------------------------------------------------


def test_arrow_takes_what_rows_left(cursor: Cursor) -> None:
    for taken in range(6):
        cursor.execute("five")
        assert cursor.fetchmany(taken) == ROWS[:taken]
        assert cursor.fetch_arrow_table() == FIVE.slice(taken)
        assert cursor.rowcount == 5
        assert cursor.fetchall() == []
        assert cursor.fetch_arrow_table() == FIVE.slice(0, 0)


def test_rows_take_what_arrow_left(cursor: Cursor) -> None:
    reader = cursor.execute("five").fetch_record_batch()
    assert reader.schema == FIVE.schema
    assert reader.read_next_batch().num_rows == 2
    assert cursor.fetchone() == (3, None)
    assert reader.read_next_batch().to_pylist() == [{"n": 4, "s": "d"}]
    assert cursor.fetchall() == [(5, "e")]
    with pytest.raises(StopIteration):
        reader.read_next_batch()


def test_a_reader_does_not_outlive_its_statement(cursor: Cursor) -> None:
    reader = cursor.execute("five").fetch_record_batch()
    reader.read_next_batch()
    cursor.execute("five")
    with pytest.raises(lakesql.InterfaceError, match="another statement"):
        reader.read_next_batch()
    assert cursor.fetchall() == ROWS


def test_arrow_capsule(cursor: Cursor) -> None:
    assert pa.table(cursor.execute("five")) == FIVE
    assert pa.RecordBatchReader.from_stream(cursor.execute("five")).read_all() == FIVE


def test_huge_batches_become_rows_a_part_at_a_time(connection: Connection, session: FakeSession) -> None:
    table = pa.table({"n": pa.array(range(10_000))})
    session.answers["big"] = lambda _: result_of(table, batch_rows=10_000)
    cursor = connection.execute("big")
    assert cursor.fetchone() == (0,)
    assert cursor.rownumber == 1
    assert cursor.fetchmany(5000) == [(n,) for n in range(1, 5001)]
    assert cursor.rownumber == 5001
    assert cursor.fetch_arrow_table()["n"].to_pylist() == list(range(5001, 10_000))


# What the statement read, errors, threads --------------------------------------------------------------------------------------------------------------------


def test_about_the_last_statement(cursor: Cursor) -> None:
    with pytest.raises(lakesql.ProgrammingError, match="nothing has been executed"):
        _ = cursor.snapshots
    cursor.execute("five")
    assert [(s.name, s.version) for s in cursor.snapshots] == [("t", "7")]
    assert cursor.scan_stats.files_total == 0
    assert cursor.notices == ()


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (StorageError("the store said no"), StorageError),
        (pa.ArrowInvalid("bad"), lakesql.DataError),
        (pa.ArrowNotImplementedError("bad"), lakesql.DataError),
        (ValueError("bad"), lakesql.InternalError),
        (KeyError("bad"), lakesql.InternalError),
        (RecursionError("bad"), lakesql.InternalError),
    ],
    ids=repr,
)
def test_only_lakesqls_errors_come_out(connection: Connection, session: FakeSession, raised: Exception, expected: type[Exception]) -> None:
    session.answers["fails"] = lambda _: raised
    session.answers["fails late"] = lambda _: failing_after(FIVE, raised)
    with pytest.raises(expected, match=r"bad|said no") as caught:
        connection.execute("fails")
    assert isinstance(caught.value, lakesql.Error)
    for fetch in ("fetchall", "fetch_arrow_table"):
        cursor = connection.execute("fails late")
        assert cursor.fetchone() == ROWS[0]
        with pytest.raises(expected):
            getattr(cursor, fetch)()
        assert cursor.rowcount == -1
    reader = connection.execute("fails late").fetch_record_batch()
    with pytest.raises(expected):
        reader.read_all()


def test_cancelling_from_another_thread(connection: Connection, session: FakeSession) -> None:
    session.answers["endless"] = lambda _: session.endless(FIVE.to_batches()[0])
    for cancel in (lambda cursor: cursor.cancel(), lambda cursor: cursor.connection.cancel()):
        session.cancelled.clear()
        cursor = connection.execute("endless")
        threading.Timer(0.05, cancel, [cursor]).start()
        with pytest.raises(lakesql.QueryCancelledError):
            for _ in cursor:
                pass
    assert connection.execute("five").fetchall() == ROWS


def test_closing_stops_what_runs(connection: Connection, session: FakeSession) -> None:
    session.answers["endless"] = lambda _: session.endless(FIVE.to_batches()[0])
    with connection.execute("endless") as cursor:
        assert cursor.fetchone() == ROWS[0]
    assert session.cancelled.is_set()


def test_threads_share_a_connection(connection: Connection) -> None:
    wrong: list[Any] = []

    def ask() -> None:
        for _ in range(50):
            if connection.execute("five").fetchall() != ROWS:
                wrong.append(1)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_results_without_columns(connection: Connection, session: FakeSession) -> None:
    session.answers["bare"] = lambda _: Result(pa.schema([]), iter([pa.RecordBatch.from_struct_array(pa.array([{}, {}], pa.struct([])))]))
    assert connection.execute("bare").fetchall() == [(), ()]


def test_values_are_python_objects(cursor: Cursor) -> None:
    row = cursor.execute("types").fetchone()
    assert row is not None
    assert row[6] == Decimal("12.50")
    assert row[14] == dt.datetime(2026, 1, 3, 6, 30, 0, 123_456, dt.UTC)
