"""`lakesql://` for SQLAlchemy and pandas, and Arrow for polars, over the sample lake."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import deltalake
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import registry

import adbc_driver_lakesql.dbapi
import lakesql

LAKE = Path(__file__).parents[2] / "catalog"

for _name in ("lakesql", "lakesql.dbapi"):  # what the entry points say, for a checkout that is not installed
    registry.register(_name, "lakesql.frontends.sqlalchemy", "LakesqlDialect")


@pytest.fixture(scope="module")
def engine() -> Iterator[sa.Engine]:
    made = sa.create_engine(f"lakesql:///{LAKE}")
    yield made
    made.dispose()


@pytest.mark.parametrize("url", [f"lakesql:///{LAKE}", f"lakesql+dbapi:///{LAKE}"])
def test_both_names(url: str) -> None:
    made = sa.create_engine(url)
    with made.connect() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM impressions")).scalar_one() == 9908
    made.dispose()


@pytest.mark.parametrize("url", ["lakesql://host/x", "lakesql:///x?nope=1"])
def test_urls_that_mean_nothing(url: str) -> None:
    with pytest.raises(sa.exc.ArgumentError):
        sa.create_engine(url).connect()


def test_options_of_the_url() -> None:
    made = sa.create_engine(f"lakesql:///{LAKE}?as_of=3")
    with made.connect() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM impressions")).scalar_one() == 4000
    made.dispose()


def test_reflection(engine: sa.Engine) -> None:
    inspector = sa.inspect(engine)
    assert "clips" in inspector.get_schema_names()
    assert "impressions" in inspector.get_table_names("clips")
    assert inspector.has_table("impressions")
    assert not inspector.has_table("nope")
    columns = {c["name"]: c for c in inspector.get_columns("impressions", "clips")}
    assert isinstance(columns["impression_id"]["type"], sa.BIGINT)
    assert isinstance(columns["day"]["type"], sa.DATE)
    assert columns["ts"]["type"].timezone
    assert (inspector.get_pk_constraint("impressions")["constrained_columns"], inspector.get_foreign_keys("impressions")) == ([], [])
    with pytest.raises(sa.exc.NoSuchTableError):
        inspector.get_columns("nope")


def test_core_queries_over_a_reflected_table(engine: sa.Engine) -> None:
    t = sa.Table("impressions", sa.MetaData(), autoload_with=engine)
    with engine.connect() as connection:
        query = sa.select(t.c.day, sa.func.count().label("n")).where(t.c.slot == 2, t.c.user_id > 500).group_by(t.c.day).order_by(t.c.day).limit(2).offset(1)
        rows = connection.execute(query).all()
        told = connection.execute(sa.text("SELECT day, count(*) FROM impressions WHERE slot = 2 AND user_id > 500 GROUP BY day ORDER BY day LIMIT 2 OFFSET 1"))
        assert rows == told.all()
        assert len(rows) == 2
        assert isinstance(rows[0].day, dt.date)
        metadata = sa.Table("impressions$snapshots", sa.MetaData(), autoload_with=engine)
        assert connection.execute(sa.select(sa.func.count()).select_from(metadata)).scalar_one() > 0
        assert connection.execute(sa.select(sa.cast(sa.literal("1.50"), sa.Numeric(10, 2)))).scalar_one() == Decimal("1.50")


def test_names_that_need_quotes(tmp_path: Path) -> None:
    deltalake.write_deltalake(str(tmp_path / "Odd Name"), pa.table({"Select": [1], "a$b": ["x"], "_c": [True]}))
    made = sa.create_engine(f"lakesql:///{tmp_path}")
    t = sa.Table("Odd Name", sa.MetaData(), autoload_with=made)
    with made.connect() as connection:
        assert connection.execute(sa.select(t)).all() == [(1, "x", True)]
        assert connection.execute(sa.select(t.c["a$b"]).where(t.c["Select"] == 1, t.c["_c"])).all() == [("x",)]
    made.dispose()


def test_what_would_write_is_refused(engine: sa.Engine) -> None:
    t = sa.Table("impressions", sa.MetaData(), autoload_with=engine)
    with engine.connect() as connection:
        for statement in (t.insert().values(slot=1), t.delete(), t.update().values(slot=1)):
            with pytest.raises(sa.exc.NotSupportedError):
                connection.execute(statement)
        connection.rollback()


def test_views_of_the_connection(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE OR REPLACE VIEW seen AS SELECT day FROM impressions")
        inspector = sa.inspect(connection)
        assert inspector.get_view_names() == ["seen"]
        assert [c["name"] for c in inspector.get_columns("seen")] == ["day"]
        connection.exec_driver_sql("DROP VIEW seen")


def test_pandas_by_url() -> None:
    frame = pd.read_sql("SELECT day, count(*) AS n FROM impressions GROUP BY day ORDER BY day", f"lakesql:///{LAKE}")
    assert int(frame["n"].sum()) == 9908


def test_polars_takes_arrow(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_rows(*_: Any) -> Any:
        raise AssertionError("rows were fetched one by one")

    monkeypatch.setattr(lakesql.Cursor, "fetchall", no_rows)
    monkeypatch.setattr(lakesql.Cursor, "fetchmany", no_rows)
    with adbc_driver_lakesql.dbapi.connect(str(LAKE)) as connection:
        frame = pl.read_database("SELECT impression_id, device FROM impressions", connection)
    assert frame.height == 9908
    assert isinstance(frame.schema["device"], pl.Struct)
