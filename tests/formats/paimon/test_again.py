"""A Paimon table asked again in the same words: nothing is planned anew where nothing is new, and what is new is seen."""

from __future__ import annotations

from pathlib import Path

from lakesql.session import Session
from lakesql.table import Latest

from .table_maker import TableMaker


def test_the_same_state_is_the_same_object(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, {"a": "INT", "b": "INT"}, options={"bucket": "-1"})
    maker.commit([maker.write([{"a": 1, "b": 2}])])
    table = Session.open().catalogs.open_path(str(tmp_path))
    first = table.snapshot(Latest())
    assert table.snapshot(Latest()) is first
    maker.commit([maker.write([{"a": 3, "b": 4}])])
    assert table.snapshot(Latest()) is not first
    ro = table.view("ro")
    assert ro is not None
    assert ro.snapshot(Latest()) is not table.snapshot(Latest())


def test_commits_and_schemas_are_seen(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, {"a": "INT", "b": "INT"}, options={"bucket": "-1"})
    maker.commit([maker.write([{"a": 1, "b": 2}])])
    session = Session.open(tables={"t": str(tmp_path)})

    def rows() -> list[dict[str, object]]:
        return [session.execute("SELECT * FROM t ORDER BY a").table().to_pylist() for _ in range(2)][1]

    assert rows() == [{"a": 1, "b": 2}]
    maker.commit([maker.write([{"a": 3, "b": 4}])])
    assert rows() == [{"a": 1, "b": 2}, {"a": 3, "b": 4}]
    maker.evolve([("a", "INT", 0), ("c", "INT", None)])  # no snapshot comes with a change of schema
    assert rows() == [{"a": 1, "c": None}, {"a": 3, "c": None}]
    assert session.execute("SELECT * FROM t VERSION AS OF 1").table().to_pylist() == [{"a": 1, "b": 2}]
    maker.evolve([("a", "INT", 0), ("c", "INT", 2)], options={"bucket": "-1", "scan.snapshot-id": "1"})
    assert rows() == [{"a": 1, "b": 2}]
