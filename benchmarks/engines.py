"""The engines that are measured, each behind one small interface, each opened once and then asked again and again, as a session would.

An engine that cannot be had, or cannot read a table, says so by `Absent`; the benchmark prints a dash for it.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa


class Absent(Exception):
    """This engine is not installed, or does not read this."""


class Engine(Protocol):
    """Runs SQL over one table called `lineitem`. name: as the table of results prints it."""

    name: str

    def run(self, sql: str) -> pa.Table:
        """All rows of the answer."""
        ...


class Lakesql:
    """lakesql, the table given by its path."""

    name = "lakesql"

    def __init__(self, table: Path) -> None:
        import lakesql

        self._connection = lakesql.connect(tables={"lineitem": str(table)})

    def run(self, sql: str) -> pa.Table:
        with contextlib.closing(self._connection.cursor()) as cursor:
            cursor.execute(sql)
            return cursor.fetch_arrow_table()


class LakesqlAnew(Lakesql):
    """lakesql asked in another text each time, so that no plan is used twice."""

    name = "lakesql, planned anew"

    def __init__(self, table: Path) -> None:
        super().__init__(table)
        self._number = 0

    def run(self, sql: str) -> pa.Table:
        self._number += 1
        return super().run(f"{sql} -- {self._number}")


class ByHand:
    """DataFusion with a listing table over the files a perfect reader keeps, registered beforehand: what lakesql's own cost is measured against."""

    name = "datafusion by hand"

    def __init__(self, files: list[Path], scratch: Path) -> None:
        import datafusion

        scratch.mkdir(parents=True, exist_ok=True)
        for file in files:
            with contextlib.suppress(FileExistsError):
                os.link(file, scratch / file.name)
        self._context = datafusion.SessionContext()
        self._context.register_parquet("lineitem", str(scratch))

    def run(self, sql: str) -> pa.Table:
        return self._context.sql(sql).to_arrow_table()

    def plan(self, sql: str) -> None:
        """Planning alone."""
        self._context.sql(sql).execution_plan()


class Deltalake:
    """delta-rs with its own DataFusion."""

    name = "deltalake"

    def __init__(self, table: Path) -> None:
        import deltalake

        self._builder = deltalake.QueryBuilder().register("lineitem", deltalake.DeltaTable(str(table)))

    def run(self, sql: str) -> pa.Table:
        return pa.table(self._builder.execute(sql).read_all())


class Polars:
    """polars' lazy scan of the table, asked in SQL."""

    name = "polars"

    def __init__(self, table: Path) -> None:
        import polars as pl

        self._context = pl.SQLContext(lineitem=pl.scan_delta(str(table)))

    def run(self, sql: str) -> pa.Table:
        return self._context.execute(sql, eager=True).to_arrow()


class DuckDB:
    """DuckDB's delta_scan, or its Parquet reader over the files where the extension cannot be had; then deletion vectors are beyond it."""

    name = "duckdb"

    def __init__(self, table: Path, files: list[Path] | None) -> None:
        self._connection, has_delta = duckdb_connection()
        if has_delta:
            self.name = "duckdb delta_scan"
            self._connection.execute(f"CREATE VIEW lineitem AS FROM delta_scan('{table}')")
        elif files is not None:
            self.name = "duckdb read_parquet"
            listed = ", ".join(f"'{f}'" for f in files)
            self._connection.execute(f"CREATE VIEW lineitem AS FROM read_parquet([{listed}])")
        else:
            raise Absent("duckdb's delta extension is not installed")

    def run(self, sql: str) -> pa.Table:
        return pa.table(self._connection.sql(sql))


def duckdb_connection() -> tuple[Any, bool]:
    """A DuckDB connection, and whether delta_scan is there: loaded, or from the wheel `duckdb-ext-delta` of the same version. Raises Absent."""
    try:
        import duckdb
    except ImportError as error:
        raise Absent("duckdb is not installed") from error
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    with contextlib.suppress(ImportError):
        import duckdb_ext

        for file in (f for place in duckdb_ext.__path__ for f in Path(place).glob(f"extensions/v{duckdb.__version__}/*/delta.duckdb_extension")):
            connection.execute(f"LOAD '{file}'")
            return connection, True
    try:
        connection.execute("SET autoinstall_known_extensions = false")
        connection.execute("LOAD delta")
    except duckdb.Error:
        return connection, False
    return connection, True


def opened(make: Callable[[], Engine]) -> Engine | Absent:
    """The engine, or why it is not there."""
    try:
        return make()
    except ImportError as error:
        return Absent(f"{error.name} is not installed")
    except Absent as absent:
        return absent


def versions() -> str:
    """What is installed, in one line."""
    found = []
    for name in ("lakesql", "datafusion", "deltalake", "polars", "duckdb", "pyarrow"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found.append(f"{name} {importlib.metadata.version(name)}")
    return ", ".join(found)
