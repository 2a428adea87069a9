"""Branches, tags and metadata tables by name, in every spelling, wherever a table may stand; and the schema each is read with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lakesql
from lakesql.config import parse
from lakesql.errors import NoSuchVersionError, SqlError, UnknownTableError

from .table_maker import TableMaker


@pytest.fixture
def maker(tmp_path: Path) -> TableMaker:
    """lake/db/t: 101 with one row and the columns id, old; 102 with a second row and the columns id, new. Branch `Audit-1` and tag `start` are at 101."""
    made = TableMaker(tmp_path / "lake/db/t", [("id", "long"), ("old", "string")])
    made.commit([made.data_file({"id": [1], "old": ["a"]})])
    made.refs |= {"Audit-1": {"snapshot-id": 101, "type": "branch"}, "start": {"snapshot-id": 101, "type": "tag"}}
    made.evolve([("id", "long"), {"id": 2, "name": "new", "required": False, "type": "string"}])
    made.commit([made.data_file({"id": [2], "new": ["b"]})])
    return made


@pytest.fixture
def lake(maker: TableMaker) -> Iterator[Any]:
    with lakesql.connect(str(maker.root.parents[1])) as connection:
        yield connection


def rows(lake: Any, sql: str) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = lake.execute(sql).fetchall()
    return found


@pytest.mark.parametrize("name", ["db.t.{}", "lake.db.t.{}", '"db"."t".{}', "DB.T.{}", "t.{}"])
def test_branches_and_tags(lake: Any, name: str) -> None:
    assert rows(lake, f"SELECT id, old FROM {name.format('tag_start')}") == [(1, "a")]
    assert rows(lake, "SELECT id, new FROM " + name.format('"branch_Audit-1"')) == [(1, "a")]
    assert len(rows(lake, f"SELECT * FROM {name.format('branch_main')}")) == 2
    assert rows(lake, f"SELECT old FROM {name.format('snapshot_id_101')}") == [("a",)]


def test_every_spelling_means_the_same(lake: Any) -> None:
    for branch in ("t VERSION AS OF 'Audit-1'", '"t$branch_Audit-1"', 't."branch_Audit-1"', "t /*+ OPTIONS('branch'='Audit-1') */"):
        assert rows(lake, f"SELECT * FROM {branch}") == [(1, "a")]
        assert lake.execute(f"SELECT * FROM {branch}").description[1][0] == "new"
    for tag in ("t VERSION AS OF 'start'", '"t$tag_start"', "t.tag_start", "t/*+ OPTIONS('tag'='start') */"):
        assert lake.execute(f"SELECT * FROM {tag}").description[1][0] == "old"


def test_wherever_a_table_may_stand(lake: Any) -> None:
    assert rows(lake, "SELECT n.id FROM t n LEFT JOIN t.tag_start p ON p.id = n.id WHERE p.id IS NULL") == [(2,)]
    assert rows(lake, "SELECT tag_start.old, t.new FROM t.tag_start JOIN t ON t.id = tag_start.id") == [("a", "a")]
    assert rows(lake, "WITH w AS (SELECT * FROM db.t.tag_start) SELECT count(*) FROM w") == [(1,)]
    assert rows(lake, "SELECT count(*) FROM t WHERE id IN (SELECT id FROM t.tag_start)") == [(1,)]
    assert rows(lake, "SELECT (SELECT count(*) FROM t.tag_start) AS a, count(*) AS b FROM t") == [(1, 2)]
    lake.execute("CREATE VIEW v AS SELECT id FROM t.tag_start")
    assert rows(lake, "SELECT * FROM v UNION ALL SELECT id FROM t.branch_main ORDER BY id") == [(1,), (1,), (2,)]
    assert [r[0] for r in rows(lake, "DESCRIBE t.tag_start")] == ["id", "old"]
    assert [r[0] for r in rows(lake, "SHOW COLUMNS FROM t.branch_main")] == ["id", "new"]
    assert "version 101" in "\n".join(r[0] for r in rows(lake, "EXPLAIN PRUNING SELECT * FROM t.tag_start")).replace("snapshot", "version")


@pytest.mark.parametrize("name", ["snapshots", "history", "refs", "files", "manifests", "entries", "all_files", "metadata_log_entries", "partitions"])
def test_metadata_tables_have_three_spellings(lake: Any, name: str) -> None:
    first = lake.execute(f'SELECT * FROM "t${name}"').fetch_arrow_table()
    assert first.num_rows > 0
    for spelled in (f"t.{name}", f"db.t.{name}", f"lake.db.t.{name.upper()}", f'db."t".{name}', f'db."t${name}"'):
        assert lake.execute(f"SELECT * FROM {spelled}").fetch_arrow_table().equals(first)


def test_metadata_tables_take_time_travel_in_each_spelling(lake: Any) -> None:
    for spelled in ('"t$files"', "t.files", "db.t.files"):
        for clause in ("VERSION AS OF 101", "VERSION AS OF 'start'", "TIMESTAMP AS OF '2023-11-14 22:14:30'"):
            assert rows(lake, f"SELECT count(*) FROM {spelled} {clause}") == [(1,)]
        assert rows(lake, f"SELECT count(*) FROM {spelled}") == [(2,)]
    for spelled in ("t.tag_start.files", '"t$tag_start$files"', 't."branch_Audit-1".files'):
        assert rows(lake, f"SELECT count(*) FROM {spelled}") == [(1,)]
    assert rows(lake, "SELECT count(*) FROM t.files f JOIN t.files VERSION AS OF 101 p ON p.file_path = f.file_path") == [(1,)]


def test_a_real_table_of_the_name_wins(lake: Any, maker: TableMaker) -> None:
    other = TableMaker(maker.root.parents[1] / "t/snapshots", [("x", "int")])
    other.commit([other.data_file({"x": [7]})])
    assert rows(lake, "SELECT * FROM t.snapshots") == [(7,)]
    assert len(rows(lake, "SELECT * FROM db.t.snapshots")) == 2


def test_a_table_whose_path_is_named(lake: Any, maker: TableMaker) -> None:
    assert rows(lake, f'SELECT old FROM iceberg."{maker.root}".tag_start') == [("a",)]
    assert rows(lake, f'SELECT count(*) FROM iceberg."{maker.root}".snapshots') == [(2,)]
    assert rows(lake, f"SELECT old FROM '{maker.root}$tag_start'") == [("a",)]


def test_the_session_s_instant_leaves_named_states_alone(maker: TableMaker, tmp_path: Path) -> None:
    config = parse('[session]\nas_of = "2023-11-14T22:14:30Z"', str(tmp_path / "lakesql.toml"))
    with lakesql.connect(tables={"t": str(maker.root)}, config=config) as lake:
        assert len(rows(lake, "SELECT * FROM t")) == 1
        assert len(rows(lake, "SELECT * FROM t.branch_main")) == 2
        assert len(rows(lake, "SELECT * FROM t VERSION AS OF 102")) == 2


def test_names_that_mean_nothing(lake: Any) -> None:
    with pytest.raises(UnknownTableError, match=r'table "db\.t" has no metadata table "snapshot"') as caught:
        rows(lake, "SELECT * FROM db.t.snapshot")
    assert 'did you mean "snapshots"' in str(caught.value)
    assert "LINE 1: SELECT * FROM db.t.snapshot" in str(caught.value)
    with pytest.raises(UnknownTableError, match=r'there is no table "db\.nope\.snapshots"'):
        rows(lake, "SELECT * FROM db.nope.snapshots")
    with pytest.raises(NoSuchVersionError, match=r'"nope".*no such branch or tag'):
        rows(lake, "SELECT * FROM t.branch_nope")
    with pytest.raises(NoSuchVersionError, match="named already"):
        rows(lake, "SELECT * FROM t.tag_start VERSION AS OF 102")
    for sql in ("SELECT * FROM t.tag_start.nope", "SELECT * FROM t.snapshots.files", "SELECT * FROM t.files.x.y"):
        with pytest.raises(UnknownTableError):
            rows(lake, sql)
    with pytest.raises(SqlError, match=r'no table "w\.snapshots"'):
        rows(lake, "WITH w AS (SELECT 1) SELECT * FROM w.snapshots")
