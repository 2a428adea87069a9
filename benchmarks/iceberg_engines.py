"""The engines that read Iceberg, as `engines.py` has those for Delta: each opened once on a table's metadata file, then asked again and again."""

from __future__ import annotations

import contextlib
import importlib.metadata
import warnings
from pathlib import Path
from typing import Any

import pyarrow as pa
from engines import Absent


class Polars:
    """polars' lazy scan of the table, asked in SQL. It plans by pyiceberg where its own planner is not installed, and warns of that."""

    name = "polars"

    def __init__(self, metadata: Path) -> None:
        import polars as pl

        self._context = pl.SQLContext(lineitem=pl.scan_iceberg(str(metadata)))

    def run(self, sql: str) -> pa.Table:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self._context.execute(sql, eager=True).to_arrow()


class DuckDB:
    """DuckDB's iceberg_scan."""

    name = "duckdb iceberg_scan"

    def __init__(self, metadata: Path) -> None:
        self._connection = duckdb_connection()
        self._connection.execute(f"CREATE VIEW lineitem AS FROM iceberg_scan('{metadata}')")

    def run(self, sql: str) -> pa.Table:
        return pa.table(self._connection.sql(sql))


class Chdb:
    """ClickHouse's Iceberg engine, in a session of its own. It reads files below the working directory only."""

    name = "chdb"

    def __init__(self, metadata: Path) -> None:
        import chdb.session

        self._session = chdb.session.Session()
        place = metadata.parent.parent
        self._root = place.anchor
        self._table = f"lineitem_{abs(hash(place))}"  # a process has one database, which sessions share
        with contextlib.chdir(self._root):
            self._session.query("CREATE DATABASE IF NOT EXISTS bench ENGINE = Atomic")
            self._session.query(f"CREATE TABLE IF NOT EXISTS bench.{self._table} ENGINE = IcebergLocal('{place}')")

    def run(self, sql: str) -> pa.Table:
        with contextlib.chdir(self._root):
            answer = self._session.query(sql.replace("FROM lineitem", f"FROM bench.{self._table}"), "Arrow").bytes()
        with pa.ipc.open_file(pa.BufferReader(answer)) as reader:
            return reader.read_all()


class Daft:
    """daft's scan of the table as pyiceberg has loaded it."""

    name = "daft"

    def __init__(self, metadata: Path) -> None:
        import daft
        from pyiceberg.table import StaticTable

        self._daft = daft
        self._frame = daft.read_iceberg(StaticTable.from_metadata(metadata.as_uri()))

    def run(self, sql: str) -> pa.Table:
        return self._daft.sql(sql, lineitem=self._frame).to_arrow()


def duckdb_connection() -> Any:
    """A DuckDB connection with iceberg_scan: loaded, or from the wheels `duckdb-ext-avro` and `duckdb-ext-iceberg` of the same version. Raises Absent."""
    import duckdb

    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    connection.execute("SET autoinstall_known_extensions = false")
    with contextlib.suppress(ImportError):
        import duckdb_ext

        for name in ("avro", "iceberg"):
            for file in (f for place in duckdb_ext.__path__ for f in Path(place).glob(f"extensions/v{duckdb.__version__}/*/{name}.duckdb_extension")):
                connection.execute(f"LOAD '{file}'")
    try:
        connection.execute("LOAD iceberg")
    except duckdb.Error as error:
        raise Absent("duckdb's iceberg extension is not installed") from error
    return connection


def versions() -> str:
    """What is installed, in one line."""
    found = []
    for name in ("lakesql", "datafusion", "pyiceberg", "fastavro", "polars", "duckdb", "chdb-core", "daft", "pyarrow"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found.append(f"{name} {importlib.metadata.version(name)}")
    return ", ".join(found)
