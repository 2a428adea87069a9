"""harlequin's adapter over the sample lake: in this process, and as `hsql -a lakesql`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

pytest.importorskip("harlequin")

from harlequin.adapter import HarlequinAdapter
from harlequin.exception import HarlequinConfigError, HarlequinConnectionError, HarlequinQueryError

from lakesql.frontends.harlequin import LakesqlAdapter, LakesqlConnection, short_type

ROOT = Path(__file__).parents[2]
LAKE = str(ROOT / "catalog")
TOO_MUCH = "SELECT a.value FROM range(1000000) a JOIN range(1000000) b ON a.value * 7 < b.value % 11"


@pytest.fixture(scope="module")
def connection() -> Iterator[LakesqlConnection]:
    made = LakesqlAdapter([LAKE], read_only=True, unexpected=1).connect()
    yield made
    made.close()


def test_it_is_whole() -> None:
    assert issubclass(LakesqlAdapter, HarlequinAdapter)
    assert LakesqlAdapter.IMPLEMENTS_CANCEL
    assert LakesqlAdapter.IMPLEMENTS_READ_ONLY
    assert LakesqlAdapter.IMPLEMENTS_CATALOG_SEARCH
    assert [option.name for option in LakesqlAdapter.ADAPTER_OPTIONS] == ["as-of", "config"]


def test_columns_and_rows(connection: LakesqlConnection) -> None:
    cursor = connection.execute("SELECT 1 AS a, 'x' AS b, CAST(1.5 AS DECIMAL(9, 2)) AS c, [1] AS d, TIMESTAMP '2026-01-01' AS e, true AS f")
    assert cursor is not None
    assert cursor.columns() == [("a", "##"), ("b", "s"), ("c", "#.#"), ("d", "[]"), ("e", short_type("TIMESTAMP")), ("f", "t/f")]
    rows = cursor.fetchall()
    assert rows is not None
    assert rows.select(["a", "b"]).to_pylist() == [{"a": 1, "b": "x"}]
    assert len(cursor.columns()) == 6


@pytest.mark.parametrize("limit", [0, 1, 500, 9907, 9908, 20_000])
def test_limits(connection: LakesqlConnection, limit: int) -> None:
    cursor = connection.execute("SELECT item_id FROM impressions")
    assert cursor is not None
    rows = cursor.set_limit(limit).fetchall()
    assert isinstance(rows, pa.Table)
    assert rows.num_rows == min(limit, 9908)
    assert rows.column_names == ["item_id"]


def test_no_limit_and_no_rows(connection: LakesqlConnection) -> None:
    everything, nothing = connection.execute("SELECT slot FROM impressions"), connection.execute("SELECT slot FROM impressions WHERE false")
    assert everything is not None
    assert nothing is not None
    assert everything.fetchall().num_rows == 9908
    assert nothing.fetchall().column_names == ["slot"]


def test_a_statement_without_rows(connection: LakesqlConnection) -> None:
    assert connection.execute("SET lakesql.prune = on") is None


def test_errors_are_harlequins(connection: LakesqlConnection) -> None:
    with pytest.raises(HarlequinQueryError) as unknown:
        connection.execute("SELECT slto FROM impressions")
    assert 'did you mean "slot"' in unknown.value.msg
    late = connection.execute("SELECT CAST(CAST(user_id AS VARCHAR) || 'x' AS INT) FROM impressions")
    assert late is not None
    with pytest.raises(HarlequinQueryError):
        late.fetchall()


def test_nothing_is_written(connection: LakesqlConnection, tmp_path: Path) -> None:
    for statement in ("INSERT INTO impressions VALUES (1)", f"COPY (SELECT 1) TO '{tmp_path}/x.csv'", "DROP TABLE impressions"):
        with pytest.raises(HarlequinQueryError):
            connection.execute(statement)
    assert not list(tmp_path.iterdir())


def test_wrong_configurations(tmp_path: Path) -> None:
    with pytest.raises(HarlequinConfigError):
        LakesqlAdapter([LAKE, LAKE])
    with pytest.raises(HarlequinConnectionError):
        LakesqlAdapter([str(tmp_path / "nothing")]).connect()


def test_an_earlier_state() -> None:
    connection = LakesqlAdapter([LAKE], as_of="3").connect()
    cursor = connection.execute("SELECT count(*) AS n FROM impressions")
    assert cursor is not None
    assert cursor.fetchall().to_pylist() == [{"n": 4000}]
    connection.close()


def test_what_a_cache_is_called_by_tells_nothing() -> None:
    url = "s3://bucket/t?aws_secret_access_key=hunter2hunter2"
    first = LakesqlAdapter([url]).connection_id
    assert first == LakesqlAdapter([url]).connection_id != LakesqlAdapter([url], as_of="3").connection_id
    assert "hunter2" not in first
    assert "bucket" not in first


def test_cancel_from_another_thread(connection: LakesqlConnection) -> None:
    cursor = connection.execute(
        TOO_MUCH.replace("a.value FROM", "count(*) AS n FROM").replace(" JOIN range(1000000) b ON a.value * 7 < b.value % 11", ", range(1000000) b")
    )
    assert cursor is not None
    found: list[Any] = ["running"]
    thread = threading.Thread(target=lambda: found.append(cursor.fetchall()))
    thread.start()
    for _ in range(200):  # until it really runs: cancelling then stops it, whenever that is
        connection.cancel()
        thread.join(0.05)
        if not thread.is_alive():
            break
    assert found == ["running", None]
    again = connection.execute("SELECT 42 AS n")
    assert again is not None
    assert again.fetchall().to_pylist() == [{"n": 42}]


def test_the_catalog(connection: LakesqlConnection) -> None:
    (lake,) = connection.get_catalog().items
    (clips,) = lake.children
    tables = {item.label: item for item in clips.children}
    assert (lake.label, clips.label) == ("lake", "clips")
    impressions = tables["impressions"]
    children = {item.label: item for item in impressions.fetch_children()}
    assert children["slot"].type_name
    assert children["slot"].query_name == '"slot"'
    history = children["impressions$history"]
    assert history.type_label == "sys"
    assert [c.label for c in history.fetch_children()]
    for item in (impressions, history):  # what is put into the editor can be run
        cursor = connection.execute(f"SELECT * FROM {item.query_name} LIMIT 1")
        assert cursor is not None
        assert cursor.fetchall().num_rows == 1


def test_a_table_that_cannot_be_opened_hides_no_other(tmp_path: Path) -> None:
    (tmp_path / "broken" / "_delta_log").mkdir(parents=True)
    (tmp_path / "broken" / "_delta_log" / "00000000000000000000.json").write_text("{")
    (tmp_path / "good").symlink_to(ROOT / "catalog" / "impressions")
    connection = LakesqlAdapter([str(tmp_path)]).connect()
    assert [r.item.label for r in connection.search_catalog("slot")] == ["slot"]
    assert {"broken", "good"} <= {r.item.label for r in connection.search_catalog("", "relations")}
    connection.close()


@pytest.mark.parametrize(
    ("term", "kind", "wanted"), [("CLIPS", "all", {"clips"}), ("slot", "columns", {"slot"}), ("ions$hist", "relations", {"impressions$history"})]
)
def test_search(connection: LakesqlConnection, term: str, kind: Any, wanted: set[str]) -> None:
    found = connection.search_catalog(term, kind)
    assert {result.item.label for result in found} == wanted
    assert all(result.parents[0] == "lake" for result in found)


def test_functions_are_completed(connection: LakesqlConnection) -> None:
    found = {c.label: c for c in connection.get_completions()}
    assert found["upper"].value == "upper"
    assert found["sum"].type_label == "agg"


@pytest.fixture
def hsql(tmp_path: Path) -> Any:
    """Runs hsql with the adapter's entry point, whether or not this checkout is installed."""
    (tmp_path / "ep-0.dist-info").mkdir()
    (tmp_path / "ep-0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: ep\nVersion: 0\n")
    (tmp_path / "ep-0.dist-info" / "entry_points.txt").write_text("[harlequin.adapter]\nlakesql = lakesql.frontends.harlequin:LakesqlAdapter\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path), str(ROOT))), "HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path)}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        code = "from importlib.metadata import entry_points as e; [hsql] = e(group='console_scripts', name='hsql'); hsql.load()()"
        return subprocess.run(
            [sys.executable, "-c", code, "-a", "lakesql", *arguments, LAKE], capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=100
        )

    return run


def test_hsql(hsql: Any) -> None:
    done = hsql("-r", "--json", "-c", "SELECT count(*) AS n FROM impressions")
    assert (done.returncode, json.loads(done.stdout)) == (0, [{"n": 9908}]), done.stderr
    found = hsql("--json", "--catalog-search", "impressions$h")
    assert [row["path"] for row in json.loads(found.stdout)] == ["lake.clips.impressions.impressions$history"], found.stderr
    wrong = hsql("-c", "SELECT slto FROM impressions")
    assert wrong.returncode == 1
    assert 'did you mean "slot"' in wrong.stderr


def test_hsql_stops_a_join_in_time(hsql: Any) -> None:
    done = hsql("--timeout", "1", "-c", TOO_MUCH.replace("a.value FROM", "count(*) FROM"))
    assert done.returncode == 4, done.stderr
