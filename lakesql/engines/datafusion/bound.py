"""An optimised plan -> what each scan needs: columns, predicates, and whether extremes and counts would do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from lakesql.engines import Bound, BoundScan
from lakesql.engines.datafusion.expressions import to_predicate
from lakesql.predicate import Constant, Predicate, columns_of, conjuncts

_ORDERING_NODES = frozenset(("Sort", "Join", "Window"))


@dataclass(frozen=True)
class Hints:
    """What lowering and planning want to know of a statement.

    sensitive: by table, floating-point columns whose row-group statistics must not decide anything. reads_fields: it reaches into structs or maps.
    statistics_help: statistics of files make a better plan: it joins, and the smaller side can be told, or it wants the first rows of an order, and files that
    may hold them are read before others. It reads no floating-point column, for which those statistics would be taken for the truth.
    """

    sensitive: Mapping[str, frozenset[str]]
    reads_fields: bool = False
    statistics_help: bool = False


@dataclass
class _Usage:
    """What has been seen of one table so far."""

    columns: set[str] = field(default_factory=set)
    predicates: list[tuple[Predicate, ...]] = field(default_factory=list)
    extremes: list[frozenset[str] | None] = field(default_factory=list)


def read_plan(plan: Any, tables: Mapping[str, pa.Schema]) -> Bound:
    """What the optimised logical `plan` needs of each of `tables`. A table the plan does not scan needs no columns."""
    usages = {name: _Usage() for name in tables}
    ordering = helped = False
    for node, above in _walk(plan, ()):
        variant = node.to_variant()
        kind = type(variant).__name__
        if kind in _ORDERING_NODES or (kind == "Aggregate" and _takes_extremes(variant)):
            ordering = True
        helped = helped or kind == "Join" or (kind == "Sort" and variant.get_fetch_val() is not None)
        if kind == "TableScan" and variant.table_name() in usages:
            _note_scan(usages[variant.table_name()], variant, above, tables[variant.table_name()])
    scans = {name: _summary(usage, tables[name]) for name, usage in usages.items()}
    sensitive = {name: _sensitive(scan, tables[name], ordering) for name, scan in scans.items()}
    floats = any(pa.types.is_floating(tables[name].field(c).type) for name, scan in scans.items() for c in scan.columns)
    return Bound(scans, Hints(sensitive, reads_fields="get_field(" in plan.display_indent(), statistics_help=helped and not floats))


def source_is_asked(plan: Any) -> bool:
    """Whether every row position and file name in the optimised logical `plan` is right above the scan that can tell it. A filter whose parts the optimiser
    computes once, in a projection of their own, stays between.
    """
    for node, _ in _walk(plan, ()):
        text = node.display()
        if ("file_row_index()" in text or "input_file_name()" in text) and type(node.inputs()[0].to_variant()).__name__ != "TableScan":
            return False
    return True


def _walk(plan: Any, above: tuple[Any, ...]) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Every node with those above it, nearest first. Iterative: plans of many unions are deep."""
    stack = [(plan, above)]
    while stack:
        node, parents = stack.pop()
        yield node, parents
        stack.extend((child, (node, *parents[:8])) for child in node.inputs())


def _note_scan(usage: _Usage, scan: Any, above: tuple[Any, ...], schema: pa.Schema) -> None:
    projection = scan.projection()
    usage.columns.update(schema.names if projection is None else (name for _, name in projection))
    parts = tuple(c for f in scan.filters() for c in conjuncts(to_predicate(f, schema)) if c != Constant(True))
    usage.predicates.append(parts)
    usage.columns.update(path[0] for p in parts for path in columns_of(p))
    usage.extremes.append(_only_extremes(above))


def _only_extremes(above: tuple[Any, ...]) -> frozenset[str] | None:
    """The columns of the aggregate right above a scan, where only their extremes and counts matter."""
    for node in above:
        variant = node.to_variant()
        kind = type(variant).__name__
        if kind == "SubqueryAlias" or (kind == "Projection" and all(e.variant_name() == "Column" for e in variant.projections())):
            continue
        if kind == "Aggregate" and not variant.group_by_exprs():
            return _extreme_columns(variant)
        return None
    return None


def _takes_extremes(aggregate: Any) -> bool:
    """Whether the engine may turn the aggregate into a filter that tightens as it runs: it does so for min and max."""
    return any(e.canonical_name().removeprefix("CAST(").startswith(("min(", "max(")) for e in aggregate.aggregate_exprs())


def _extreme_columns(aggregate: Any) -> frozenset[str] | None:
    """The columns of min, max and count(column); empty where only rows are counted, None where anything else is computed."""
    columns = set()
    for expression in aggregate.aggregate_exprs():
        while expression.variant_name() == "Alias":
            expression = expression.to_variant().expr()
        if expression.variant_name() != "AggregateFunction":
            return None
        function = expression.to_variant()
        if function.is_distinct() or "FILTER (" in expression.canonical_name() or function.aggregate_type() not in ("min", "max", "count"):
            return None
        for argument in function.args():
            if argument.variant_name() == "Column":
                columns.add(argument.to_variant().name())
            elif argument.variant_name() != "Literal" or function.aggregate_type() != "count" or argument.python_value().as_py() is None:
                return None
    return frozenset(columns)


def _summary(usage: _Usage, schema: pa.Schema) -> BoundScan:
    columns = tuple(n for n in schema.names if n in usage.columns)
    if not usage.predicates:
        return BoundScan(columns)
    first, others = usage.predicates[0], usage.predicates[1:]
    common = tuple(p for i, p in enumerate(first) if p not in first[:i] and all(p in other for other in others))
    extremes = usage.extremes[0] if len(usage.extremes) == 1 else None
    return BoundScan(columns, common, extremes)


def _sensitive(scan: BoundScan, schema: pa.Schema, ordering: bool) -> frozenset[str]:
    """Floating-point columns that row-group statistics must not decide on: NaN is in no Parquet statistic, yet sorts above every number.

    Those in predicates, and all that are read where the plan sorts, joins or takes extremes: there DataFusion makes predicates of its own while it runs.
    """
    filtered = {path[0] for p in scan.predicates for path in columns_of(p)}
    return frozenset(n for n in scan.columns if pa.types.is_floating(schema.field(n).type) and (ordering or n in filtered))
