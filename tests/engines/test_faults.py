"""DataFusion's messages, raised for real, as lakesql's errors."""

from __future__ import annotations

import pyarrow as pa
import pytest

from lakesql import errors
from lakesql.engines.datafusion.engine import DataFusionEngine
from lakesql.engines.datafusion.faults import interrupt_in, translate
from lakesql.relation import Batches

ROWS = pa.table({"id": [1, 2], "name": ["a", "b"]})


def run(engine: DataFusionEngine, sql: str) -> None:
    list(engine.run(sql, {"t": Batches.of(ROWS)}, engine.bind(sql, {"t": ROWS.schema}, {}), {}))


@pytest.mark.parametrize(
    ("sql", "kind", "words"),
    [
        ("SELECT nope FROM t", errors.UnknownColumnError, '"nope"'),
        ("SELECT naem FROM t", errors.UnknownColumnError, 'did you mean "name"?'),
        ("SELECT t.naem FROM t", errors.UnknownColumnError, 'did you mean "name"?'),
        ("SELECT * FROM nope", errors.UnknownTableError, '"nope"'),
        ("SELECT * FROM t WHERE id = = 3", errors.SqlError, "xpected"),
        ("SELECT id FROM t GROUP BY name", errors.SqlError, "GROUP BY"),
        ("SELECT nofunc(id) FROM t", errors.SqlError, "nofunc"),
        ("SELECT $1 + id FROM t", errors.ParameterError, "$1"),
        ("SELECT id / 0 FROM t", errors.EngineError, "zero"),
        ("SELECT CAST(name AS INT) FROM t", errors.EngineError, "Cannot cast string 'a'"),
        ("SELECT t.id FROM t JOIN t AS u ON t.id = u.id WHERE id = 1", errors.SqlError, "mbiguous"),
        ("COPY (SELECT 1) TO 'x.parquet'", errors.Error, "COPY"),
        ("CREATE TABLE x AS SELECT 1", errors.Error, "DDL"),
    ],
)
def test_translated(engine: DataFusionEngine, sql: str, kind: type[errors.Error], words: str) -> None:
    with pytest.raises(kind) as caught:
        run(engine, sql)
    assert words in str(caught.value)
    assert "DataFusion error" not in str(caught.value)


def test_lakesql_errors_pass() -> None:
    own = errors.MetadataError("x")
    assert translate(own) is own


def test_a_running_statement_can_be_cancelled(engine: DataFusionEngine) -> None:
    sql = "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b"
    rows = engine.run(sql, {}, engine.bind(sql, {}, {}), {})
    rows.close()
    with pytest.raises(errors.QueryCancelledError):
        list(rows)


def test_errors_of_functions_the_engine_calls() -> None:
    for raised in (errors.EngineError('a "quoted" value\nis bad'), errors.DataFileError("it's cut"), ValueError("plain")):
        text = f'Execution error: PyErr {{ type: {type(raised)}, value: {raised!r}, traceback: Some("Traceback") }}'
        got = translate(Exception(text))
        assert type(got) is (errors.EngineError if isinstance(raised, ValueError) else type(raised))
        assert got.message == str(raised)


def test_ctrl_c_within_a_call_of_the_engine_is_still_ctrl_c() -> None:
    """Native code that logs through Python may come back with a result and an exception both, which Python makes a SystemError of."""
    wrapped = SystemError("returned a result with an exception set")
    wrapped.__cause__ = stop = KeyboardInterrupt()
    assert interrupt_in(wrapped) is stop
    wrapped.__cause__ = ValueError("x")
    assert interrupt_in(wrapped) is None
    assert interrupt_in(ValueError("x")) is None
