"""Changes in the words of other engines: each with its own bounds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa
import pytest
from formats.iceberg.table_maker import TableMaker

import lakesql


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Any]:
    """`t`, a Delta table: version n adds id n, 3 deletes id 1; `u`, an Iceberg table of two snapshots."""
    for n in range(3):
        deltalake.write_deltalake(tmp_path / "t", pa.table({"id": pa.array([n], pa.int64())}), mode="append")
    deltalake.DeltaTable(tmp_path / "t").delete("id = 1")
    maker = TableMaker(tmp_path / "u", [("id", "long")])
    for n in range(2):
        maker.commit([maker.data_file({"id": [n]})])
    maker.write()
    with lakesql.connect(tables={"t": str(tmp_path / "t"), "u": str(tmp_path / "u")}) as connection:
        yield connection


def told(lake: Any, what: str) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = lake.execute(f"SELECT _change_type, id FROM {what} ORDER BY 2, 1").fetchall()
    return found


def test_snowflake_s_bounds_are_states(lake: Any) -> None:
    clause = "t CHANGES (INFORMATION => DEFAULT)"
    assert told(lake, f"{clause} AT (VERSION => 0) END (VERSION => 1)") == [("insert", 1)]
    assert told(lake, f"{clause} BEFORE (VERSION => 1) END (VERSION => 2)") == [("insert", 1), ("insert", 2)]
    assert told(lake, f"{clause} AT (VERSION => 0)") == [("insert", 2)]  # 1 came and went: changes are net
    assert told(lake, f"{clause} AT (VERSION => 3)") == []
    assert told(lake, f"{clause} BEFORE (TIMESTAMP => '1999-01-01'::TIMESTAMP)") == [("insert", 0), ("insert", 2)]


@pytest.mark.parametrize("table", ["t", "u"])
def test_after_the_last_commit_snowflake_s_changes_are_none(lake: Any, table: str) -> None:
    for state in ("AT (OFFSET => 3600 * 24)", "BEFORE (OFFSET => 86400)", "AT (TIMESTAMP => now() + INTERVAL '1' DAY)"):
        assert told(lake, f"{table} CHANGES (INFORMATION => DEFAULT) {state}") == []
    assert len(told(lake, f"{table} CHANGES (INFORMATION => DEFAULT) AT (OFFSET => -86400 * 30000)")) == 2


def test_append_only_shows_inserts_alone(lake: Any) -> None:
    for clause in ("CHANGES (INFORMATION => APPEND_ONLY) AT (VERSION => 0)", "CHANGES FROM VERSION 0 EXCLUSIVE WITH (mode = 'appends')"):
        assert told(lake, f"t {clause}") == [("insert", 1), ("insert", 2)]
    cursor = lake.execute("SELECT count(*) FROM t CHANGES FROM VERSION 0 WITH (mode = 'appends')")
    assert cursor.fetchone() == (3,)
    assert lake.execute("SELECT count(*) FROM u CHANGES (INFORMATION => APPEND_ONLY) AT (OFFSET => -1e9)").fetchone() == (2,)


def test_trino_s_start_is_left_out(lake: Any) -> None:
    assert told(lake, "TABLE(system.table_changes('t', 1, 2))") == [("insert", 2)]
    assert told(lake, "TABLE(system.table_changes(table_name => 't', since_version => 1)) AS c") == [("delete", 1), ("insert", 2)]
    first, second = (row[0] for row in lake.execute('SELECT snapshot_id FROM "u$snapshots" ORDER BY committed_at, 1').fetchall())
    assert told(lake, f"TABLE(system.table_changes(table_name => 'u', start_snapshot_id => {first}, end_snapshot_id => {second}))") == [("insert", 1)]
    assert told(lake, "TABLE(table_changes('t', 1, 2))") == [("insert", 1), ("insert", 2)]
