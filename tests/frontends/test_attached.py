"""lakesql in another program's DataFusion session."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from datafusion import SessionConfig, SessionContext, udf
from deltalake import DeltaTable, write_deltalake

import lakesql

SETTINGS = "SELECT name, value FROM information_schema.df_settings ORDER BY name"


@pytest.fixture
def lake(tmp_path: Path) -> str:
    """Orders 1 to 3 in version 0, 4 in version 1, without 2 in version 2."""
    place = str(tmp_path / "lake" / "orders")
    write_deltalake(place, pa.table({"Id": [1, 2, 3], "price": [1.5, 2.5, float("nan")], "day": ["a", "a", "b"]}), partition_by=["day"])
    write_deltalake(place, pa.table({"Id": [4], "price": [4.0], "day": ["c"]}), mode="append")
    DeltaTable(place).delete("Id = 2")
    return str(tmp_path / "lake")


@pytest.fixture
def ctx() -> SessionContext:
    return SessionContext(SessionConfig().with_information_schema(True).set("datafusion.execution.parquet.pushdown_filters", "true"))


def ids(frame: Any) -> list[Any]:
    return sorted(row["id"] for row in frame.to_pylist())


def tables(ctx: SessionContext) -> list[Any]:
    rows: list[Any] = ctx.sql("SELECT table_catalog, table_schema, table_name FROM information_schema.tables ORDER BY 1, 2, 3").to_pylist()
    return rows


def test_versions_changes_and_metadata(ctx: SessionContext, lake: str) -> None:
    with lakesql.attach(ctx, lake) as attached:
        assert ids(attached.sql("SELECT id AS id FROM orders")) == [1, 3, 4]
        assert attached.snapshots[0].version == "2"
        assert ids(attached.sql("SELECT id AS id FROM orders VERSION AS OF 0")) == [1, 2, 3]
        assert ids(attached.sql("SELECT Id AS id FROM orders CHANGES FROM VERSION 2 WHERE _change_type = 'delete'")) == [2]
        assert len(attached.sql('SELECT version FROM "orders$history"').to_pylist()) == 3
        assert ids(attached.sql("SELECT Id AS id FROM orders WHERE Id > ?", [2])) == [3, 4]


def test_what_a_statement_reads_is_pruned(ctx: SessionContext, lake: str) -> None:
    with lakesql.attach(ctx, lake) as attached:
        frame = attached.sql("SELECT Id AS id FROM orders WHERE day = 'c'")
        assert attached.scan_stats.files_kept == 1
        assert attached.scan_stats.dropped_by_partition == 2
        assert ids(frame.filter("id > 0")) == [4]


def test_tables_views_and_functions_of_the_context_stand_next_to_it(ctx: SessionContext, lake: str) -> None:
    ctx.register_record_batches("names", [pa.table({"Id": [1, 4], "name": ["one", "four"]}).to_batches()])
    ctx.sql("CREATE VIEW long_names AS SELECT * FROM names WHERE length(name) > 3")
    ctx.register_udf(udf(lambda x: pa.array([v.as_py() * 10 for v in x]), [pa.int64()], pa.int64(), "immutable", name="tenfold"))
    with lakesql.attach(ctx, lake) as attached:
        joined = attached.sql('SELECT o.Id AS id, n.name, tenfold(o.Id) AS ten FROM orders o JOIN long_names n ON o.Id = n."Id"')
        assert joined.to_pylist() == [{"id": 4, "name": "four", "ten": 40}]
        assert attached.sql("SELECT * FROM names WHERE id = 1").to_pylist() == [{"Id": 1, "name": "one"}]
        assert attached.sql("WITH names AS (SELECT 7 AS id) SELECT * FROM names").to_pylist() == [{"id": 7}]


def test_nothing_stays_behind(ctx: SessionContext, lake: str) -> None:
    before = tables(ctx), ctx.sql(SETTINGS).to_pylist()
    with lakesql.attach(ctx, lake) as attached:
        frame = attached.sql("SELECT Id AS id FROM orders ORDER BY id LIMIT 1")
        with pytest.raises(lakesql.UnknownColumnError):
            attached.sql("SELECT nothing FROM orders")
        assert ids(frame) == [1]
        attached.sql("SHOW TABLES").collect()
    assert (tables(ctx), ctx.sql(SETTINGS).to_pylist()) == before


def test_a_context_that_hides_its_settings_goes_on_hiding_them(lake: str) -> None:
    ctx = SessionContext(SessionConfig().with_information_schema(False))
    with lakesql.attach(ctx, lake) as attached:
        assert ids(attached.sql("SELECT Id AS id FROM orders")) == [1, 3, 4]
    with pytest.raises(Exception, match="information_schema"):
        ctx.sql(SETTINGS)


def test_settings_hold_as_the_caller_changes_them(ctx: SessionContext, lake: str) -> None:
    """Nan sorts above every number only where row-group statistics are not believed, whatever the context says."""
    with lakesql.attach(ctx, lake) as attached:
        ctx.sql("SET datafusion.execution.collect_statistics = 'true'")
        ctx.sql("SET datafusion.execution.target_partitions = '3'")
        assert ids(attached.sql("SELECT Id AS id FROM orders WHERE price > 4")) == [3]
        said = {r["name"]: r["value"] for r in ctx.sql(SETTINGS).to_pylist()}
        assert said["datafusion.execution.collect_statistics"] == "true"
        assert said["datafusion.execution.target_partitions"] == "3"


def test_a_name_of_both_is_an_error(ctx: SessionContext, lake: str) -> None:
    ctx.register_record_batches("orders", [pa.table({"x": [1]}).to_batches()])
    with lakesql.attach(ctx, lake) as attached:
        with pytest.raises(lakesql.SqlError, match=r"could be the table at .* or one of the session itself") as caught:
            attached.sql("SELECT * FROM orders")
        assert caught.value.position == 14
        assert attached.sql("SELECT * FROM datafusion.public.orders").to_pylist() == [{"x": 1}]
        assert ids(attached.sql("SELECT Id AS id FROM orders VERSION AS OF 1")) == [1, 2, 3, 4]


def test_names_that_nobody_knows(ctx: SessionContext, lake: str) -> None:
    with lakesql.attach(ctx, lake) as attached, pytest.raises(lakesql.UnknownTableError, match='no table "order"'):
        attached.sql('SELECT * FROM "order"')


def test_as_of_and_what_needs_no_engine(ctx: SessionContext, lake: str) -> None:
    with lakesql.attach(ctx, lake, as_of=0) as attached:
        assert ids(attached.sql("SELECT Id AS id FROM orders")) == [1, 2, 3]
        assert [r["table"] for r in attached.sql("SHOW TABLES").to_pylist()] == ["orders"]
        assert attached.sql("SHOW TABLES LIKE 'no%'").to_pylist() == []
        attached.sql("CREATE VIEW cheap AS SELECT * FROM orders WHERE price < 2")
        assert ids(attached.sql("SELECT Id AS id FROM cheap")) == [1]
    with pytest.raises(lakesql.NotSupportedError, match="lakesql reads"), lakesql.attach(ctx, lake) as attached:
        attached.sql("INSERT INTO orders VALUES (1)")


def test_what_was_changed_and_what_differs(ctx: SessionContext, lake: str) -> None:
    with lakesql.attach(ctx, lake) as attached:
        assert ids(attached.sql("SELECT Id AS id FROM DIFF(orders, 0, 2)")) == [2, 4]
        assert len(attached.sql("DIFF orders VERSION 0, VERSION 2").to_pylist()) == 2
        with pytest.raises(lakesql.NotSupportedError, match="TAIL has no end"):
            attached.sql("TAIL orders")
