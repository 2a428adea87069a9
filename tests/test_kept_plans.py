"""Statements that are run again: planned once, and right all the same when something has changed in between."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from lakesql.engines.datafusion.engine import DataFusionEngine
from lakesql.errors import MissingFileError
from lakesql.kept import Kept
from lakesql.kept_plans import key_of, reads_clock
from lakesql.session import Session

ROWS = pa.table({"id": pa.array([1, 2, 3], pa.int64()), "name": ["a", "b", "c"]})


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The texts that the engine has bound."""
    texts: list[str] = []
    bind = DataFusionEngine.bind

    def noted(self: DataFusionEngine, sql: str, *rest: Any) -> Any:
        texts.append(sql)
        return bind(self, sql, *rest)

    monkeypatch.setattr(DataFusionEngine, "bind", noted)
    return texts


@pytest.fixture
def table(tmp_path: Path) -> Path:
    write_deltalake(tmp_path / "t", ROWS)
    return tmp_path / "t"


@pytest.fixture
def session(table: Path) -> Session:
    return Session.open(tables={"t": str(table)})


def rows(session: Session, sql: str, parameters: Any = None) -> list[dict[str, Any]]:
    return session.execute(sql, parameters).table().to_pylist()


def test_planned_once(session: Session, planned: list[str]) -> None:
    answers = [session.execute("SELECT id FROM t WHERE id > 1 ORDER BY id") for _ in range(3)]
    assert [a.table().to_pylist() for a in answers] == [[{"id": 2}, {"id": 3}]] * 3
    assert [(a.snapshots, a.scan_stats.files_kept) for a in answers] == [(answers[0].snapshots, 1)] * 3
    assert len(planned) == 1


def test_a_commit_is_seen(session: Session, table: Path, planned: list[str]) -> None:
    sql = "SELECT count(*) AS n, max(id) AS top FROM t"
    assert rows(session, sql) == [{"n": 3, "top": 3}]
    write_deltalake(table, pa.table({"id": pa.array([9], pa.int64()), "name": ["z"]}), mode="append")
    assert rows(session, sql) == [{"n": 4, "top": 9}]
    assert rows(session, sql) == [{"n": 4, "top": 9}]
    DeltaTable(table).delete("id = 9")
    assert session.execute(sql).snapshots[0].version == "2"
    assert rows(session, sql) == [{"n": 3, "top": 3}]
    assert rows(session, "SELECT count(*) AS n FROM t VERSION AS OF 1") == [{"n": 4}]
    assert len(planned) == 4


def test_a_table_made_anew_is_seen(session: Session, table: Path) -> None:
    assert len(rows(session, "SELECT * FROM t")) == 3
    shutil.rmtree(table)
    write_deltalake(table, pa.table({"other": ["x"]}))
    assert rows(session, "SELECT * FROM t") == [{"other": "x"}]


def test_a_file_that_has_gone_is_an_error_again(session: Session, table: Path) -> None:
    assert len(rows(session, "SELECT * FROM t")) == 3
    for file in table.glob("*.parquet"):
        file.unlink()
    for _ in range(2):
        with pytest.raises(MissingFileError, match="parquet"):
            rows(session, "SELECT * FROM t")


def test_settings_and_views_are_part_of_it(session: Session, planned: list[str]) -> None:
    session.execute("CREATE VIEW v AS SELECT id FROM t WHERE id < 2")
    assert rows(session, "SELECT * FROM v") == [{"id": 1}]
    session.execute("CREATE OR REPLACE VIEW v AS SELECT id FROM t WHERE id > 2")
    assert rows(session, "SELECT * FROM v") == [{"id": 3}]
    before = len(planned)
    assert rows(session, "SELECT * FROM v") == [{"id": 3}]
    assert len(planned) == before
    session.execute("SET lakesql.prune = off")
    assert session.execute("SELECT * FROM v").scan_stats.files_total == 1
    assert len(planned) == before + 1


def test_parameters_are_told_apart_by_type(session: Session) -> None:
    for value in (1, 1.0, True, "1", Decimal("1.0"), Decimal("1.00"), None, b"1", date(2026, 1, 1), 0.0, -0.0):
        for _ in range(2):
            (found,) = rows(session, "SELECT $1 AS v FROM t LIMIT 1", [value])
            assert repr(found["v"]) == repr(value)


def test_what_cannot_be_told_apart_has_no_key() -> None:
    assert key_of("SELECT $1", [object()], ()) is None
    assert key_of("SELECT $1", [datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=1)))], ()) is None
    assert key_of("SELECT $1", [datetime(2026, 1, 1, tzinfo=UTC)], ()) is not None
    assert key_of("SELECT $1", {"1": 2}, ()) != key_of("SELECT $1", [2], ())
    assert key_of("SELECT 1", None, ("on",)) != key_of("SELECT 1", None, ("off",))


@pytest.mark.parametrize("call", ["now()", "current_timestamp", "current_date", "CURRENT_TIME()", "today()"])
def test_a_clock_is_read_every_time(session: Session, planned: list[str], call: str) -> None:
    assert reads_clock(f"SELECT {call}")
    for number in range(1, 3):
        rows(session, f"SELECT id FROM t WHERE {call} IS NOT NULL")
        assert len(planned) == number


def test_chance_is_tried_every_time(session: Session) -> None:
    assert len({rows(session, "SELECT random() AS r FROM t LIMIT 1")[0]["r"] for _ in range(3)}) == 3


def test_results_of_one_plan_are_their_own(session: Session) -> None:
    first, second = (session.execute("SELECT id FROM t ORDER BY id") for _ in range(2))
    first.close()
    assert second.table().column("id").to_pylist() == [1, 2, 3]


def test_used_longest_ago_goes_first() -> None:
    kept: Kept[str] = Kept(2)
    kept.put("a", "A")
    kept.put("b", "B")
    assert kept.get("a") == "A"
    assert kept.of("c", lambda: "C") == "C"
    assert (kept.get("a"), kept.get("b"), kept.of("c", lambda: "other")) == ("A", None, "C")
    kept.drop("a")
    assert kept.get("a") is None
