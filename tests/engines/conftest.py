"""A DataFusion engine over local files, and a way to run SQL over relations: as that engine lowers them, and as the engine on pyarrow alone streams them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pyarrow as pa
import pytest

from lakesql.engines.arrow.narrowing import settled
from lakesql.engines.arrow.plan import plan
from lakesql.engines.datafusion.engine import DataFusionEngine
from lakesql.relation import Batches, Relation
from lakesql.storage import LocalStorage

Runner = Callable[..., pa.Table]


@pytest.fixture(scope="session")
def engine() -> DataFusionEngine:
    return DataFusionEngine(LocalStorage(), target_partitions=2)


@pytest.fixture(params=["datafusion", "arrow"])
def run(engine: DataFusionEngine, request: pytest.FixtureRequest) -> Runner:
    """run(sql, {"t": (schema, relation)}) -> all rows. arrow: the SQL runs over what that engine made of the relations."""

    def runner(sql: str, tables: Mapping[str, tuple[pa.Schema, Relation]], parameters: Mapping[str, object] | None = None) -> pa.Table:
        if request.param == "arrow":
            tables = {n: (s, streamed(r, s)) for n, (s, r) in tables.items()}
        bound = engine.bind(sql, {n: s for n, (s, _) in tables.items()}, parameters or {})
        rows = engine.run(sql, {n: r for n, (_, r) in tables.items()}, bound, parameters or {})
        return pa.Table.from_batches(list(rows), schema=rows.schema)

    return runner


def streamed(relation: Relation, schema: pa.Schema) -> Batches:
    """The rows of a relation, as the engine on pyarrow gives them."""
    storage = LocalStorage()
    stream = plan(storage, settled(storage, relation))
    assert stream.schema.names == schema.names
    return Batches.of(stream.table().cast(schema))
