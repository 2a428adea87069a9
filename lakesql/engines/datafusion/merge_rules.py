"""MergeByKey, Beside and Mapped, as SQL over frames and functions over arrays.

    MergeByKey      rows of the oldest run whose key no newer run has are given as they are; the others are collected into a list for each key, with those
    of the newer runs, and merged by
                    `engines/merging.py`
    Beside          left joins on the one column
    Mapped          a function over arrays, which the optimiser does not see through

Lists are collected in no order, and sorted where they are merged: an ordered `array_agg` of structs costs DataFusion 55 a hundred times more (35 s for a
million rows).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace

import pyarrow as pa
from datafusion import DataFrame, Expr, SessionContext, col, udf

from lakesql.engines.datafusion.merge import grouping, over, quoted, touched, untouched
from lakesql.engines.merge_functions import FUNCTIONS
from lakesql.engines.merging import AGE, KEPT, fold
from lakesql.errors import UnsupportedFeatureError, did_you_mean
from lakesql.relation import Beside, MergeByKey, Relation

_ROWS = "__lakesql_rows"
_MERGED = "__lakesql_merged"
_numbers = itertools.count(1)


def mapped(value: Expr, held: pa.DataType, function: Callable[[pa.Array], pa.Array], type_: pa.DataType) -> Expr:
    """See relation.Mapped. held: the value's type in the engine."""
    return udf(lambda array: function(plain_array(array)), [held], type_, "immutable", f"lakesql_mapped_{next(_numbers)}")(value)


def beside(context: SessionContext, node: Beside, lower: Callable[[Relation], DataFrame]) -> DataFrame:
    """See relation.Beside."""
    frames = {f"part{n}": lower(input_) for n, input_ in enumerate(node.inputs)}
    on = quoted(node.on)
    names = [frames["part0"].schema().names] + [[n for n in frames[f"part{i}"].schema().names if n != node.on] for i in range(1, len(frames))]
    columns = ", ".join(f"__p{i}.{quoted(n)}" for i, part in enumerate(names) for n in part)
    joins = " ".join(f"LEFT JOIN {{part{i}}} AS __p{i} ON __p0.{on} = __p{i}.{on}" for i in range(1, len(frames)))
    return over(context, f"SELECT {columns} FROM {{part0}} AS __p0 {joins}", frames)


def merge_by_key(context: SessionContext, node: MergeByKey, lower: Callable[[Relation], DataFrame]) -> DataFrame:
    """See relation.MergeByKey."""
    for rule in node.rules:
        if rule.function not in FUNCTIONS:
            raise UnsupportedFeatureError(
                f'column {rule.column} is merged by "{rule.function}", which is not known',
                feature=f"aggregate function {rule.function}",
                hint=did_you_mean(rule.function, FUNCTIONS),
            )
    runs = sorted(node.runs, key=lambda r: r.age)
    frames = {f"run{n}": lower(run.input) for n, run in enumerate(runs)}
    schema: pa.Schema = frames["run0"].schema()
    parts = [f"SELECT {_columns(node)}, {n} AS {AGE} FROM {{run{n}}}" for n in range(len(runs))]
    if runs[0].age not in node.unique:
        return _merged(context, " UNION ALL ".join(parts), node, schema, frames)
    kept = "TRUE" if node.kind is None or node.keeps_removed else f"{quoted(node.kind)} IN (0, 2)"
    columns = ", ".join(quoted(r.column) for r in node.rules)
    if len(runs) == 1:
        return over(context, f"SELECT {columns} FROM ({parts[0]}) WHERE {kept}", frames)
    newer = " UNION ALL ".join(parts[1:])
    contenders = f"{newer} UNION ALL {touched(parts[0], newer, node.key, schema)}"
    alone = over(context, f"SELECT {columns} FROM ({untouched(parts[0], newer, node.key, schema)}) WHERE {kept}", frames)
    return alone.union(_merged(context, contenders, node, schema, frames))


def _merged(context: SessionContext, rows: str, node: MergeByKey, schema: pa.Schema, frames: Mapping[str, DataFrame]) -> DataFrame:
    """The rows of each key in a list, and what `fold` makes of it: once, which the optimiser keeps to for functions it takes for volatile alone. Columns of
    the key come from the grouping, where the optimiser sees them, and filters on them go below it; but for floating-point ones, whose -0.0 leaves it as 0.0.
    """
    grouped = [k for k in node.key if not pa.types.is_floating(schema.field(k).type)]
    outside = [r.column for r in node.rules if r.function == "key" and r.column in grouped]
    inside = replace(node, rules=tuple(r for r in node.rules if r.column not in outside))
    struct = ", ".join(f"{_text(n)}, {quoted(n)}" for n in (*_merged_names(inside), AGE))
    keys = ", ".join(quoted(k) for k in node.key)
    sql = f"SELECT {keys}, array_agg(named_struct({struct})) AS {_ROWS} FROM ({rows}) GROUP BY {', '.join(grouping(node.key, schema))}"
    lists = over(context, sql, frames)
    merged = pa.struct([*(pa.field(r.column, plain_type(schema.field(r.column).type)) for r in inside.rules), pa.field(KEPT, pa.bool_())])
    held = lists.schema().field(_ROWS).type
    function = udf(lambda array: fold(array, inside).cast(merged), [held], merged, "volatile", f"lakesql_merge_{next(_numbers)}")
    structs = lists.select(*(_column(k) for k in node.key), function(col(_ROWS)).alias(_MERGED))
    columns = [_column(r.column) if r.column in outside else col(_MERGED)[r.column].alias(r.column) for r in node.rules]
    return structs.filter(col(_MERGED)[KEPT]).select(*columns)


def _column(name: str) -> Expr:
    doubled = name.replace('"', '""')
    return col(f'"{doubled}"')


def _merged_names(node: MergeByKey) -> list[str]:
    """Every column that merging reads."""
    return list(dict.fromkeys([*(r.column for r in node.rules), *(c for c, _ in node.order), *([node.kind] if node.kind is not None else [])]))


def _columns(node: MergeByKey) -> str:
    return ", ".join(quoted(n) for n in dict.fromkeys([*_merged_names(node), *node.key]))


def _text(value: str) -> str:
    """A text as SQL has it, braces kept from `format`."""
    doubled = value.replace("'", "''").replace("{", "{{").replace("}", "}}")
    return f"'{doubled}'"


def plain_array(array: pa.Array) -> pa.Array:
    """Texts and bytes that the engine keeps as views in their plain types."""
    return array.cast(plain_type(array.type)) if array.type != plain_type(array.type) else array


def plain_type(type_: pa.DataType) -> pa.DataType:
    """The type with texts and bytes plain, at the top."""
    return {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}.get(type_, type_)
