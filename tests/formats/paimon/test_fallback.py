"""Tables whose partitions are in two branches."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lakesql.errors import MetadataError, NoSuchVersionError

from .reading import rows_of
from .table_maker import TableMaker


def branched(tmp_path: Path, main: Sequence[dict[str, Any]], other: Sequence[dict[str, Any]], columns: dict[str, str] | None = None) -> TableMaker:
    """A table with rows in main and in branch `dev`, whose data and manifests are in the table's folders."""
    options = {"bucket": "-1", "scan.fallback-branch": "dev"}
    maker = TableMaker(tmp_path, {"p": "STRING", "k": "INT"}, partition_keys=["p"], options=options)
    _commit(maker, main)
    branch = TableMaker(tmp_path / "branch" / "branch-dev", columns or {"p": "STRING", "k": "INT"}, partition_keys=["p"], options={"bucket": "-1"})
    branch._counter = 1000  # names of their own
    _commit(branch, other)
    for folder in ("manifest", *(p.name for p in branch.root.iterdir() if p.name.startswith("p="))):
        shutil.copytree(branch.root / folder, tmp_path / folder, dirs_exist_ok=True)
        shutil.rmtree(branch.root / folder)
    return maker


def _commit(maker: TableMaker, rows: Sequence[dict[str, Any]]) -> None:
    partitions = sorted({r["p"] for r in rows})
    maker.commit([maker.write([r for r in rows if r["p"] == p]) for p in partitions])


def test_partitions_that_main_lacks(tmp_path: Path) -> None:
    branched(tmp_path, [{"p": "a", "k": 1}], [{"p": "a", "k": 10}, {"p": "b", "k": 20}])
    assert rows_of(tmp_path, "SELECT * FROM t ORDER BY p") == [{"p": "a", "k": 1}, {"p": "b", "k": 20}]
    assert rows_of(tmp_path, "SELECT count(*) AS n FROM t") == [{"n": 2}]
    assert rows_of(tmp_path, "SELECT * FROM t WHERE p = 'b'") == [{"p": "b", "k": 20}]
    assert rows_of(tmp_path, "SELECT max(k) AS m, min(p) AS p FROM t") == [{"m": 20, "p": "a"}]


def test_a_filter_does_not_bring_the_other_branchs_rows_back(tmp_path: Path) -> None:
    """A partition is there although pruning left no file of it."""
    branched(tmp_path, [{"p": "a", "k": 1}], [{"p": "a", "k": 10}])
    assert rows_of(tmp_path, "SELECT * FROM t WHERE k = 10") == []
    assert rows_of(tmp_path, "SELECT * FROM t WHERE k = 10 AND p = 'a'") == []
    assert rows_of(tmp_path, "SELECT * FROM t WHERE k = 1") == [{"p": "a", "k": 1}]


def test_each_branch_has_its_own_schemas(tmp_path: Path) -> None:
    """The number in a branch's file is of the branch's schemas: here ids differ under one number."""
    branched(tmp_path, [{"p": "a", "k": 1}], [{"p": "b", "k": 20, "x": 5}], {"p": "STRING", "x": "INT", "k": "INT"})
    assert rows_of(tmp_path, 'SELECT * FROM "t$branch_dev"') == [{"p": "b", "x": 5, "k": 20}]
    assert rows_of(tmp_path, "SELECT * FROM t VERSION AS OF 'dev'") == [{"p": "b", "x": 5, "k": 20}]
    with pytest.raises(MetadataError, match="have different columns"):
        rows_of(tmp_path)


def test_a_fallback_that_is_not_there(tmp_path: Path) -> None:
    branched(tmp_path, [{"p": "a", "k": 1}], [{"p": "b", "k": 2}])
    shutil.rmtree(tmp_path / "branch")
    with pytest.raises(NoSuchVersionError, match='no branch "dev"'):
        rows_of(tmp_path)


def test_time_travel(tmp_path: Path) -> None:
    maker = branched(tmp_path, [{"p": "a", "k": 1}], [{"p": "b", "k": 20}])
    maker._counter = 5000
    maker.commit([maker.write([{"p": "b", "k": 3}])])
    assert rows_of(tmp_path, "SELECT * FROM t ORDER BY p") == [{"p": "a", "k": 1}, {"p": "b", "k": 3}]
    assert rows_of(tmp_path, "SELECT * FROM t VERSION AS OF 1 ORDER BY p") == [{"p": "a", "k": 1}, {"p": "b", "k": 20}]


def test_a_branch_and_the_table_in_one_statement(tmp_path: Path) -> None:
    branched(tmp_path, [{"p": "a", "k": 1}], [{"p": "a", "k": 10}, {"p": "b", "k": 20}])
    for branch in ("t.branch_dev", '"t$branch_dev"'):
        assert rows_of(tmp_path, f"SELECT d.k AS d, n.k AS n FROM {branch} d JOIN t n ON n.p = d.p ORDER BY d.k") == [{"d": 10, "n": 1}, {"d": 20, "n": 20}]
