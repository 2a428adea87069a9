"""The session context: how DataFusion is set up, and the two things asked of it, bind and run."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import pyarrow as pa
from datafusion import DataFrame, RuntimeEnvBuilder, SessionConfig, SessionContext, SQLOptions, lit
from datafusion import functions as f

from lakesql.engines import Bound
from lakesql.engines.datafusion import threads
from lakesql.engines.datafusion.bound import read_plan, source_is_asked
from lakesql.engines.datafusion.faults import interrupt_in, translate
from lakesql.engines.datafusion.host import Host
from lakesql.engines.datafusion.lower import Lowering, as_views, column, require
from lakesql.engines.datafusion.plan import INT96_UNIT, Scans
from lakesql.engines.datafusion.stores import ObjectStores
from lakesql.engines.datafusion.stream import PlannedFrame, Stream, naming
from lakesql.engines.layouts import Footers
from lakesql.errors import InternalError
from lakesql.relation import Relation
from lakesql.storage import Storage

_LEAF_PUSHDOWN = "datafusion.optimizer.enable_leaf_expression_pushdown"
"""Moves file_row_index() below filters, to the source; see lower.Lowering."""
_STATISTICS = "datafusion.execution.collect_statistics"
"""Reads footers while planning, and so knows how many rows files have, and their extremes: a join builds the smaller side (200,000 against 6 million rows:
0.26 s for 4.1 s), and the first rows of an order are looked for in the files that may hold them, not in the order of the list (10 of 6 million: a third of
the time).
"""
_TIME_ZONE = "datafusion.execution.time_zone"
_PARTITIONS = "datafusion.execution.target_partitions"
_FILTERS = "datafusion.execution.parquet.pushdown_filters"
"""Decodes the columns of predicates first, and of the others only what is asked for: worth it for the few rows of a lookup, not for half a table."""
_SETTINGS = {
    # A file whose statistics say min = max is read as that constant, although Parquet statistics leave NaN out; and footers need not be read to plan.
    _STATISTICS: "false",
    INT96_UNIT: "us",
    # Otherwise a scalar subquery hides its scans from `bind`.
    "datafusion.optimizer.enable_physical_uncorrelated_scalar_subquery": "false",
    # The rules that move field access down give wrong rows: SELECT a, s['b'] FROM (SELECT -a AS a, s FROM t) WHERE a < -1 gives a, not -a.
    _LEAF_PUSHDOWN: "false",
    # A delete set or a table of constants is built once and shared, rather than both sides of its join shuffled, while it is at most this large.
    "datafusion.optimizer.hash_join_single_partition_threshold": str(64 << 20),
    "datafusion.optimizer.hash_join_single_partition_threshold_rows": "1000000",
    _TIME_ZONE: "UTC",
}
_FOREIGN = {**{n: v for n, v in _SETTINGS.items() if n != _TIME_ZONE}, _FILTERS: "false"}
"""What a caller's context needs too while a statement is planned; its time zone is its own affair."""

_SMALL_FILES, _SMALL_BYTES = 2, 4 << 20
"""So little is read sooner by one thread: handing it to others and back takes longer (one day of a sorted table: 1.3 ms for 1.7)."""
_KEPT_BYTES = 4 << 20
"""A planned statement that holds more in memory (delete sets, decoded files) is not worth keeping."""


class DataFusionEngine:
    """`engines.Engine` on one SessionContext, its own or the caller's.

    storage: for footers and existence checks. memory_limit_bytes: spills beyond it, None for no limit. allow_write: lets COPY TO and DDL through.
    """

    def __init__(
        self,
        storage: Storage,
        *,
        context: SessionContext | None = None,
        memory_limit_bytes: int | None = None,
        target_partitions: int | None = None,
        batch_size: int | None = None,
        time_zone: str = "UTC",
        allow_write: bool = False,
    ) -> None:
        self._context = context or _new_context(memory_limit_bytes, target_partitions, batch_size, time_zone)
        self.host = None if context is None else Host(context)
        """Tables and settings of a caller's context; None where it is our own."""
        self._partitions = None if context is not None else target_partitions or 0  # 0: as many as there are cores; None: the caller's own affair
        self._stores = ObjectStores(self._context, storage)
        self._storage = storage
        self._scans = Scans(self._context)
        self._footers = Footers(storage)
        self._options = SQLOptions().with_allow_ddl(allow_write).with_allow_dml(allow_write).with_allow_statements(False)
        self._lock = threading.Lock()

    def bind(self, sql: str, tables: Mapping[str, pa.Schema], parameters: Mapping[str, Any]) -> Bound:
        with self._lock, _translated(), self._set_up(look=True):
            views = {name: as_views(schema) for name, schema in tables.items()}
            frames = {name: self._scans.placeholder(name, schema) for name, schema in views.items()}
            with self._registered(frames):
                return read_plan(self._plan(sql, parameters).optimized_logical_plan(), views)

    def prepare(self, sql: str, relations: Mapping[str, Relation], bound: Bound, parameters: Mapping[str, Any]) -> PlannedFrame:
        suspects: list[str] = []
        with self._lock, _translated(suspects), self._set_up():
            fields_are_read = bound.hints.reads_fields
            frame, lowering = self._planned(sql, relations, bound, parameters, suspects, fields_are_read=fields_are_read)
            if lowering.asks_source and not fields_are_read and not source_is_asked(frame.optimized_logical_plan()):
                suspects.clear()
                frame, lowering = self._planned(sql, relations, bound, parameters, suspects, fields_are_read=True)
            required = tuple(lowering.required)

            def look_again() -> list[str]:
                return [line for paths, sizes in required for line in require(self._storage, paths, sizes)]

            return PlannedFrame(frame, plain(frame.schema()), suspects, look_again, repeatable=lowering.bytes_held <= _KEPT_BYTES and not lowering.borrows)

    def functions(self) -> tuple[tuple[str, str, str, str], ...]:
        """Every function once: name, kind (SCALAR, AGGREGATE, WINDOW, TABLE), how it is called, what it does."""
        listing = SessionContext(SessionConfig().with_information_schema(True)).sql("SHOW FUNCTIONS").to_arrow_table()
        found: dict[str, tuple[str, str, str, str]] = {}
        for row in listing.to_pylist():
            name = row["function_name"]
            found.setdefault(name, (name, row["function_type"], row["syntax_example"] or f"{name}(...)", row["description"] or ""))
        return tuple(found[name] for name in sorted(found))

    def run(self, sql: str, relations: Mapping[str, Relation], bound: Bound, parameters: Mapping[str, Any]) -> Stream:
        return self.prepare(sql, relations, bound, parameters).run()

    def _planned(
        self, sql: str, relations: Mapping[str, Relation], bound: Bound, parameters: Mapping[str, Any], suspects: list[str], *, fields_are_read: bool
    ) -> tuple[DataFrame, Lowering]:
        """The statement over its tables, and what lowered them. Where the source alone can tell something, the optimiser is left to move that down to it."""
        lowering = self._lowering(suspects, fields_are_read=fields_are_read)
        frames = {name: _guarded(lowering.frame(r), bound.hints.sensitive.get(name, frozenset())) for name, r in relations.items()}
        changed = {}
        if lowering.asks_source and not fields_are_read:
            changed[_LEAF_PUSHDOWN] = ("true", "false")
        if bound.hints.statistics_help:
            changed[_STATISTICS] = ("true", "false")
        if _is_small(lowering):
            if self._partitions is not None:
                changed[_PARTITIONS] = ("1", str(self._partitions))
            if not lowering.asks_source and any(s.predicates for s in bound.scans.values()):
                changed[_FILTERS] = ("true", "false")
        with self._registered(frames), self._changed(changed):
            return self._plan(sql, parameters), lowering

    def frame(self, relation: Relation) -> DataFrame:
        """The relation as a DataFrame of this context."""
        suspects: list[str] = []
        with self._lock, _translated(suspects), self._set_up():
            return self._lowering(suspects, fields_are_read=True).frame(relation)

    def _lowering(self, suspects: list[str], *, fields_are_read: bool) -> Lowering:
        return Lowering(self._context, self._scans, self._storage, self._footers, self._stores, suspects, fields_are_read=fields_are_read)

    def evaluate(self, expression: str, parameters: Mapping[str, Any]) -> pa.Scalar:
        with _translated():
            table = self._plan(f"SELECT {expression}", parameters).to_arrow_table()
            if table.num_rows != 1:
                raise InternalError(f"{expression} gave {table.num_rows} values")
            return table.column(0)[0]

    def _set_up(self, *, look: bool = False) -> AbstractContextManager[None]:
        """A caller's context planned with as our own would be: its own settings come back afterwards."""
        return nullcontext() if self.host is None else self.host.settings(_FOREIGN, (INT96_UNIT, _FILTERS), look=look)

    @contextmanager
    def _changed(self, settings: Mapping[str, tuple[str, str]]) -> Iterator[None]:
        """Settings and what they are meanwhile and afterwards: a planned statement keeps the settings it was planned with."""
        try:
            for name, (value, _) in settings.items():
                self._context.sql(f"SET {name} = {value}")
            yield
        finally:
            for name, (_, value) in settings.items():
                self._context.sql(f"SET {name} = {value}")

    def _plan(self, sql: str, parameters: Mapping[str, Any]) -> DataFrame:
        return self._context.sql(sql, options=self._options, param_values=dict(parameters) or None)

    @contextmanager
    def _registered(self, frames: Mapping[str, DataFrame]) -> Iterator[None]:
        """The frames under their names while a statement is planned; a planned statement keeps what it needs of them."""
        registered = []
        try:
            for name, frame in frames.items():
                self._context.register_view(name, frame)
                registered.append(name)
            yield
        finally:
            for name in registered:
                self._context.deregister_table(name)


def _is_small(lowering: Lowering) -> bool:
    """Whether a statement reads too little to be worth several threads. Sizes that are not known count as large; without files its work is all its own, and
    nothing is known of it.
    """
    sizes = [size for _, promised in lowering.required for size in promised]
    known = [size for size in sizes if size is not None]
    return 0 < len(known) == len(sizes) <= _SMALL_FILES and sum(known) + lowering.bytes_held <= _SMALL_BYTES


def plain(schema: pa.Schema) -> pa.Schema:
    """The schema with text and bytes in their plain types, at every depth; metadata of the engine's own removed."""
    return pa.schema([pa.field(x.name, _plain_type(x.type)) for x in schema])


def _plain_type(type_: pa.DataType) -> pa.DataType:
    t = pa.types
    if t.is_string_view(type_):
        return pa.string()
    if t.is_binary_view(type_):
        return pa.binary()
    if t.is_struct(type_):
        return pa.struct([pa.field(type_.field(i).name, _plain_type(type_.field(i).type)) for i in range(type_.num_fields)])
    if t.is_list(type_):
        return pa.list_(pa.field(type_.value_field.name, _plain_type(type_.value_type)))
    if t.is_map(type_):
        return pa.map_(_plain_type(type_.key_type), _plain_type(type_.item_type))
    return type_


def _guarded(frame: DataFrame, sensitive: frozenset[str]) -> DataFrame:
    """The frame with `nanvl(x, NaN)`, which is x, for columns whose row-group statistics must not be believed: the engine prunes by plain columns alone.

    A NaN with its sign set, which the engine would sort below every number, becomes the one that sorts above.
    """
    if not sensitive:
        return frame
    columns = []
    for field in frame.schema():
        value = column(field.name)
        columns.append(f.nanvl(value, lit(pa.scalar(math.nan, field.type))).alias(field.name) if field.name in sensitive else value)
    return frame.select(*columns)


def _new_context(memory_limit_bytes: int | None, target_partitions: int | None, batch_size: int | None, time_zone: str) -> SessionContext:
    threads.start()
    config = SessionConfig(dict(_SETTINGS) | {_TIME_ZONE: time_zone})
    if target_partitions is not None:
        config = config.with_target_partitions(target_partitions)
    if batch_size is not None:
        config = config.with_batch_size(batch_size)
    runtime = RuntimeEnvBuilder().with_disk_manager_os()
    if memory_limit_bytes is not None:
        runtime = runtime.with_fair_spill_pool(memory_limit_bytes)
    return SessionContext(config, runtime)


@contextmanager
def _translated(suspects: Sequence[str] = ()) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # datafusion-python raises bare Exception, ValueError and TypeError
        if (interrupt := interrupt_in(error)) is not None:
            raise interrupt from None
        raise naming(translate(error), suspects) from error
