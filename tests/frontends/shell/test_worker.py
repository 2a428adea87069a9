"""The worker process: what crosses to it and back, and what a new one is told."""

from __future__ import annotations

import pickle
import threading
import time

import pyarrow as pa
import pytest

from lakesql import errors
from lakesql.frontends.completion_scope import TableRef
from lakesql.frontends.shell.worker import Opening, decoded, encoded, packed, unpacked

from .conftest import SharedClient


@pytest.fixture
def client(workers: dict[Opening, SharedClient]) -> SharedClient:
    """The shared process on the sample lake."""
    from lakesql import sample

    opening = Opening(str(sample.lake()), None, None)
    if opening not in workers:
        workers[opening] = SharedClient(opening)
    return workers[opening]


@pytest.mark.parametrize(
    "error",
    [
        errors.UnknownColumnError("no column", sql="select x", position=7, length=1, hint="there are: y"),
        errors.MissingFileError("gone", path="/a/b"),
        errors.UnsupportedFeatureError("not read", feature="x"),
        errors.QueryCancelledError("cancelled"),
    ],
)
def test_errors_cross_whole(error: errors.Error) -> None:
    again = unpacked(pickle.loads(pickle.dumps(packed(error))))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


def test_what_is_no_error_of_lakesql_is_told_as_such() -> None:
    assert isinstance(unpacked(packed(ValueError("odd"))), errors.InternalError)


def test_batches_cross_whole() -> None:
    batch = pa.record_batch({"a": pa.array(["x", "y", "x"]).dictionary_encode(), "b": [[1], None, []]}).slice(1)
    (again,) = decoded(encoded(batch))
    assert again.equals(batch)


def test_rows_come_no_faster_than_they_are_taken_and_stop(client: SharedClient) -> None:
    result = client.run("select value from range(1000000000)")
    result.planned()
    batches = result.batches()
    taken = sum(next(batches).num_rows for _ in range(3))
    before = client.pid
    result.stop()
    assert taken > 0
    again = client.run("select 1")
    again.planned()
    assert sum(b.num_rows for b in again.batches()) == 1
    assert client.pid == before


def test_errors_come_and_the_process_stays(client: SharedClient) -> None:
    before = client.pid
    with pytest.raises(errors.UnknownColumnError, match="nosuch"):
        client.run("select nosuch from users").planned()
    assert client.pid == before


def test_names_are_answered_while_a_statement_runs(client: SharedClient) -> None:
    result = client.run("select value from range(1000000000)")
    result.planned()
    assert "handle" in [c.name for c in client.names.columns(TableRef(("users",)))]
    result.stop()


def test_settings_and_views_are_told_to_a_new_process(client: SharedClient) -> None:
    for text in ("set lakesql.prune = off", "create view seven as select 7 as n", "create view gone as select 1 as n", "drop view gone"):
        result = client.run(text)
        result.planned()
        list(result.batches())
    assert list(client.views) == ["seven"]
    before = client.pid
    client._process.kill()
    deadline = time.monotonic() + 20
    while client.pid == before and time.monotonic() < deadline:
        threading.Event().wait(0.05)
    result = client.run("select n from seven")
    result.planned()
    assert [b.to_pylist() for b in result.batches()] == [[{"n": 7}]]
    assert [t.name for t in client.names.tables() if t.format == "view"] == ["seven"]
    client.close()
