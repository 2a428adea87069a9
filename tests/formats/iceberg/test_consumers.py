"""Consumers of tables that pyiceberg writes: snapshot ids as positions, branches, snapshots that expire."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import lakesql

pytest.importorskip("pyiceberg")

pytestmark = pytest.mark.filterwarnings("ignore")  # pyiceberg's own


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    from pyiceberg.catalog.sql import SqlCatalog

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    catalog = SqlCatalog("test", uri=f"sqlite:///{tmp_path}/catalog.db", warehouse=f"file://{tmp_path}/warehouse")
    catalog.create_namespace("ns")
    yield catalog.create_table("ns.t", schema=rows(0).schema, location=f"file://{tmp_path}/t")
    catalog.engine.dispose()


@pytest.fixture
def lake(table: Any) -> Iterator[lakesql.Connection]:
    with lakesql.connect(tables={"t": table.location().removeprefix("file://")}) as connection:
        yield connection


def rows(*ids: int) -> pa.Table:
    return pa.table({"id": pa.array(ids, pa.int64())})


def ids(lake: lakesql.Connection, table: str = "t") -> list[int]:
    return sorted(r[0] for r in lake.execute(f'SELECT id FROM "{table}" CHANGES SINCE CONSUMER c').fetchall())


def remember_parent(table: Any, id_: int) -> None:
    """Lets the oldest snapshot name its parent, as other writers do when they expire that."""
    path = Path(table.metadata_location.removeprefix("file://"))
    metadata = json.loads(path.read_text())
    metadata["snapshots"][0]["parent-snapshot-id"] = id_
    path.write_text(json.dumps(metadata))


def test_from_the_first_snapshot_on(table: Any, lake: lakesql.Connection) -> None:
    assert ids(lake) == []
    lake.execute("ADVANCE CONSUMER c")
    lake.execute("CREATE CONSUMER d ON t FROM LATEST")
    for number in range(3):
        table.append(rows(number))
    assert ids(lake) == [0, 1, 2]
    lake.execute("ADVANCE CONSUMER c")
    assert ids(lake) == []
    table.append(rows(3))
    (c, d) = lake.execute("SHOW CONSUMERS").fetch_arrow_table().to_pylist()
    assert (c["lag"], c["latest_version"], c["committed_at"] is None) == (1, str(table.current_snapshot().snapshot_id), False)
    assert (d["position"], d["lag"]) == ("earliest", 4)
    assert [r[0] for r in lake.execute("TAIL t FROM EARLIEST WITH (follow = false)").fetchall()] == [0, 1, 2, 3]


def test_a_position_whose_own_snapshot_expired_goes_on(table: Any, lake: lakesql.Connection) -> None:
    for number in range(2):
        table.append(rows(number))
    assert ids(lake) == [0, 1]
    lake.execute("ADVANCE CONSUMER c")
    lake.execute("CREATE CONSUMER late ON t FROM EARLIEST")
    old = [s.snapshot_id for s in table.snapshots()]
    table.append(rows(2))
    table.maintenance.expire_snapshots().by_ids(old).commit()
    with pytest.raises(lakesql.ExpiredVersionError, match="and the one after it, are not in"):
        ids(lake)  # pyiceberg makes what is left forget its parent
    remember_parent(table, old[-1])
    assert ids(lake) == [2]
    with pytest.raises(lakesql.ExpiredVersionError, match='consumer "late" stands at before'):
        lake.execute("SELECT * FROM t CHANGES SINCE CONSUMER late").fetchall()


def test_a_consumer_made_before_the_first_snapshot_is_told_of_what_it_missed(table: Any, lake: lakesql.Connection) -> None:
    lake.execute("CREATE CONSUMER c ON t")
    for number in range(3):
        table.append(rows(number))
    table.maintenance.expire_snapshots().by_ids([table.snapshots()[0].snapshot_id]).commit()
    with pytest.raises(lakesql.ExpiredVersionError, match=r"earliest.*is lost to it"):
        ids(lake)


def test_branches_have_positions_of_their_own(table: Any, lake: lakesql.Connection) -> None:
    table.append(rows(0))
    table.manage_snapshots().create_branch(table.current_snapshot().snapshot_id, "side").commit()
    table.append(rows(1), branch="side")
    table.append(rows(2))
    assert ids(lake) == [0, 2]
    lake.execute("ADVANCE CONSUMER c")
    assert ids(lake, "t$branch_side") == [0, 1]
    lake.execute("ADVANCE CONSUMER c")
    assert ids(lake) == ids(lake, "t$branch_side") == []
    assert [r["lag"] for r in lake.execute("SHOW CONSUMERS").fetch_arrow_table().to_pylist()] == [0, 0]
