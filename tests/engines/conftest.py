"""A DataFusion engine over local files, and a way to run SQL over relations."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pyarrow as pa
import pytest

from lakesql.engines.datafusion.engine import DataFusionEngine
from lakesql.relation import Relation
from lakesql.storage import LocalStorage

Runner = Callable[..., pa.Table]


@pytest.fixture(scope="session")
def engine() -> DataFusionEngine:
    return DataFusionEngine(LocalStorage(), target_partitions=2)


@pytest.fixture
def run(engine: DataFusionEngine) -> Runner:
    """run(sql, {"t": (schema, relation)}) -> all rows."""

    def runner(sql: str, tables: Mapping[str, tuple[pa.Schema, Relation]], parameters: Mapping[str, object] | None = None) -> pa.Table:
        bound = engine.bind(sql, {n: s for n, (s, _) in tables.items()}, parameters or {})
        rows = engine.run(sql, {n: r for n, (_, r) in tables.items()}, bound, parameters or {})
        return pa.Table.from_batches(list(rows), schema=rows.schema)

    return runner
