"""Tables as pyarrow datasets, and the programs that scan those."""

from __future__ import annotations

import gc
import pickle
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
import pytest
from datafusion import SessionContext
from deltalake import DeltaTable, write_deltalake

import lakesql

ROWS = 1000


@pytest.fixture
def lake(tmp_path: Path) -> str:
    """Orders of three days in version 0, one file a day; 4 more in version 1; in version 2 none with Id = 2."""
    place = str(tmp_path / "lake" / "orders")
    ids = list(range(ROWS))
    prices = [float("nan") if i % 100 == 7 else i / 4 for i in ids]
    days = [f"2026-01-0{i % 3 + 1}" for i in ids]
    write_deltalake(place, pa.table({"Id": ids, "price": prices, "day": days, "s": [f"n{i:04}" for i in ids]}), partition_by=["day"])
    write_deltalake(place, pa.table({"Id": [5000], "price": [4.0], "day": ["2026-01-04"], "s": [None]}), mode="append")
    DeltaTable(place).delete("Id = 2")
    return str(tmp_path / "lake")


@pytest.fixture
def orders(lake: str) -> Any:
    return lakesql.dataset("orders", target=lake)


def ids(table: Any) -> list[Any]:
    return sorted(table.column("Id").to_pylist())


def test_it_is_a_dataset(orders: Any) -> None:
    assert isinstance(orders, pads.Dataset)
    assert orders.schema == pa.schema([("Id", pa.int64()), ("price", pa.float64()), ("day", pa.string()), ("s", pa.string())])
    assert ids(orders.to_table()) == sorted([*(i for i in range(ROWS) if i != 2), 5000])
    assert orders.count_rows() == ROWS
    assert orders.count_rows(filter=pc.field("Id") < 10) == 9
    assert orders.filter(pc.field("Id") < 10).count_rows() == 9
    assert ids(orders.filter(pc.field("Id") < 10).filter(pc.field("Id") > 7).to_table(columns=["Id"])) == [8, 9]
    assert orders.head(3).num_rows == 3
    assert sum(b.num_rows for b in orders.to_batches(columns=["s"])) == ROWS
    assert orders.to_table(columns={"twice": pc.field("Id") * 2}, filter=pc.field("Id") == 3).to_pydict() == {"twice": [6]}
    assert orders.to_table(columns=[]).num_rows == ROWS
    assert orders.scanner(columns=["Id"]).projected_schema.names == ["Id"]
    assert orders.snapshots[0].version == "2"


def test_states_and_changes(lake: str) -> None:
    path = f"{lake}/orders"
    assert lakesql.dataset(path, version=0).count_rows() == ROWS
    made = lakesql.dataset(path, version=1).snapshots[0].committed_at
    assert lakesql.dataset("orders", target=lake, at=made).count_rows() == ROWS + 1
    deleted = lakesql.dataset(path, changes=(2, None)).to_table(filter=pc.field("_change_type") == "delete")
    assert ids(deleted) == [2]
    assert lakesql.dataset(path, changes="FROM VERSION 1 TO VERSION 2 WITH (mode = 'net')").count_rows() == 2
    assert lakesql.dataset("orders$history", target=lake).to_table().num_rows == 3


def test_filters_prune(orders: Any, lake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from lakesql.storage import LocalStorage

    opened: list[str] = []
    open_file = LocalStorage.open
    monkeypatch.setattr(LocalStorage, "open", lambda self, path: (opened.append(path), open_file(self, path))[1])

    def files(where: Any) -> int:
        opened.clear()
        orders.to_table(columns=["s"], filter=where)
        return len({p for p in opened if p.endswith(".parquet")})

    assert files(None) == 4
    assert files(pc.field("day") == "2026-01-02") == 1
    assert files(pc.field("Id") > 4000) == 1
    assert files((pc.field("Id") > 4000) & (pc.field("price") * 2 > 0)) == 1
    assert files(pc.field("s").is_null()) == 1
    assert files(pc.field("day").isin(["2026-01-02", "2026-01-04"])) == 2
    assert files(~pc.field("day").isin(["2026-01-02", "2026-01-04"])) == 2
    assert files(pc.field("Id") * 2 > 8000) == 4
    opened.clear()
    orders.count_rows()
    assert not any(p.endswith(".parquet") for p in opened)


def test_duckdb_and_polars_prune(orders: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    duckdb, polars = pytest.importorskip("duckdb"), pytest.importorskip("polars")
    from lakesql.storage import LocalStorage

    opened: set[str] = set()
    open_file = LocalStorage.open
    monkeypatch.setattr(LocalStorage, "open", lambda self, path: (opened.add(path), open_file(self, path))[1])
    duckdb.connect().sql("SELECT Id FROM orders WHERE day = '2026-01-02'").fetchall()
    assert len([p for p in opened if p.endswith(".parquet")]) == 1
    opened.clear()
    polars.scan_pyarrow_dataset(orders).filter(polars.col("day") == "2026-01-02").select("Id").collect()
    assert len([p for p in opened if p.endswith(".parquet")]) == 1
    opened.clear()
    context = SessionContext()
    context.register_dataset("orders", orders)
    context.sql("SELECT \"Id\" FROM orders WHERE day = '2026-01-02'").collect()
    assert len([p for p in opened if p.endswith(".parquet")]) == 1


def test_streams_and_shares(orders: Any) -> None:
    assert ids(pa.table(orders)) == ids(orders.to_table())
    shares = list(orders.get_fragments(pc.field("Id") < 900))
    assert len(shares) > 1
    assert sum(s.count_rows() for s in shares) == ROWS - 1  # the file with Id = 5000 alone is left out
    assert sorted(i for s in shares for i in s.to_table(columns=["Id"], filter=pc.field("Id") < 3)["Id"].to_pylist()) == [0, 1]
    with pytest.raises(lakesql.UnknownColumnError):
        shares[0].to_table(columns=["nothing"])


def test_a_scan_that_is_left_ends(orders: Any) -> None:
    before = threading.active_count()
    batches = iter(orders.to_batches())
    next(batches)
    del batches
    gc.collect()
    deadline = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before


def test_delta_needs_no_other_engine(lake: str) -> None:
    code = f"import sys, lakesql; print(lakesql.dataset('{lake}/orders').to_table().num_rows, 'datafusion' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout.split() == [b"1000", b"False"]


def test_reopened_elsewhere_at_the_same_version(orders: Any, lake: str) -> None:
    again = pickle.dumps(orders.filter(pc.field("Id") < 10))
    write_deltalake(f"{lake}/orders", pa.table({"Id": [3], "price": [4.0], "day": ["2026-01-04"], "s": [None]}), mode="append")
    code = "import pickle, sys; d = pickle.load(sys.stdin.buffer); print(d.count_rows(), d.snapshots[0].version)"
    done = subprocess.run([sys.executable, "-c", code], input=again, capture_output=True, check=True)
    assert done.stdout.split() == [b"9", b"2"]
    feed = pickle.loads(pickle.dumps(lakesql.dataset(f"{lake}/orders", changes=(3, None))))
    write_deltalake(f"{lake}/orders", pa.table({"Id": [3], "price": [4.0], "day": ["2026-01-04"], "s": [None]}), mode="append")
    assert feed.count_rows() == pickle.loads(pickle.dumps(feed)).count_rows() == 1


def test_another_table_at_its_place_is_refused(lake: str) -> None:
    again = pickle.dumps(lakesql.dataset("orders", target=lake, version=0))
    kept = pickle.dumps(lakesql.dataset("orders", target=lake))
    shutil.rmtree(f"{lake}/orders/_delta_log")
    write_deltalake(f"{lake}/orders", pa.table({"Id": [3], "price": [4.0], "day": ["2026-01-04"], "s": ["x"]}))
    for pickled in (again, kept):
        with pytest.raises(lakesql.RecreatedTableError):
            pickle.loads(pickled)


def test_what_is_wrong_has_a_name(orders: Any, lake: str) -> None:
    with pytest.raises(lakesql.UnknownColumnError, match='no column "id"'):
        orders.to_table(columns=["id"])
    with pytest.raises(lakesql.UnknownTableError):
        lakesql.dataset("nothing", target=lake)
    with pytest.raises(lakesql.NoSuchVersionError):
        lakesql.dataset("orders", target=lake, version=77)
    with pytest.raises(lakesql.ParameterError):
        lakesql.dataset("orders", target=lake, version=1, at="2026-01-01")
    with pytest.raises(lakesql.NotSupportedError):
        orders.replace_schema(pa.schema([("Id", pa.int8())]))
    for file in Path(lake).rglob("day=2026-01-03/*.parquet"):
        file.unlink()
    with pytest.raises(lakesql.MissingFileError):
        orders.to_table()


def test_what_goes_past_its_methods_is_refused(orders: Any, tmp_path: Path) -> None:
    with pytest.raises(lakesql.NotSupportedError, match="own scanner"):
        pads.Scanner.from_dataset(orders).to_table()
    with pytest.raises(lakesql.NotSupportedError, match="own scanner"):
        pads.dataset([orders, orders]).to_table()
    pads.write_dataset(orders, tmp_path / "copy", format="parquet")
    assert pads.dataset(tmp_path / "copy").count_rows() == ROWS


def test_joins_and_order(orders: Any) -> None:
    other = pads.dataset(pa.table({"Id": [1, 5000], "x": ["a", "b"]}))
    assert orders.join(other, "Id", join_type="inner").to_table().num_rows == 2
    assert orders.sort_by([("Id", "descending")]).head(1)["Id"].to_pylist() == [5000]


def test_duckdb(orders: Any) -> None:
    duckdb = pytest.importorskip("duckdb")
    connection = duckdb.connect()
    assert connection.sql("SELECT count(*) FROM orders").fetchall() == [(ROWS,)]
    assert connection.sql("SELECT Id FROM orders WHERE day = '2026-01-02' AND Id BETWEEN 3 AND 9 ORDER BY 1").fetchall() == [(4,), (7,)]
    assert connection.sql("SELECT max(Id) FROM orders WHERE s IS NOT NULL AND Id IN (4, 5, 5000)").fetchall() == [(5,)]
    connection.close()


def test_polars(orders: Any) -> None:
    polars = pytest.importorskip("polars")
    lazy = polars.scan_pyarrow_dataset(orders)
    assert lazy.select(polars.len()).collect().item() == ROWS
    assert lazy.filter((polars.col("Id") < 10) & (polars.col("day") == "2026-01-02")).select("Id").sort("Id").collect()["Id"].to_list() == [1, 4, 7]
    assert polars.from_arrow(orders.to_table(columns=["Id"])).height == ROWS


def test_pandas(orders: Any) -> None:
    pandas = pytest.importorskip("pandas")
    frame = orders.to_table(filter=pc.field("Id") < 10).to_pandas(types_mapper=pandas.ArrowDtype)
    assert len(frame) == 9
    assert str(frame["Id"].dtype) == "int64[pyarrow]"


def test_datafusion(orders: Any) -> None:
    context = SessionContext()
    context.register_dataset("orders", orders)
    assert context.sql("SELECT count(*) AS n FROM orders").to_pylist() == [{"n": ROWS}]
    found = context.sql('SELECT "Id" FROM orders WHERE day = \'2026-01-02\' AND "Id" BETWEEN 3 AND 9 ORDER BY 1').to_pylist()
    assert found == [{"Id": 4}, {"Id": 7}]
