"""MergeByKey, Beside and Mapped, as SQL over frames and functions over arrays.

    MergeByKey      rows of the oldest run whose key no newer run has are given as they are; the others are merged, with those of the newer runs: by the
    engine's own aggregates where all rules
                    are simple, else by `engines/merging.py` over the rows of each key, collected into a list
    Beside          left joins on the one column
    Mapped          a function over arrays, which the optimiser does not see through

Simple are rules whose result the engine computes exactly as they mean it: first and last values, least and greatest, truths, sums of whole numbers (as
decimals, so that an overflow is seen). Floating-point numbers are not: their sums depend on the order, and NaN on who compares.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping

import pyarrow as pa
import pyarrow.compute as pc
from datafusion import DataFrame, Expr, SessionContext, col, udf

from lakesql.engines.datafusion.merge import over, quoted, same
from lakesql.engines.merge_functions import FUNCTIONS, refused
from lakesql.engines.merging import KEPT, fold, retraction_refused
from lakesql.errors import EngineError, UnsupportedFeatureError, did_you_mean
from lakesql.relation import Beside, MergeByKey, MergeRule, Relation, Retract

_AGE = "__lakesql_age"
_ROWS = "__lakesql_rows"
_TAKES_BACK = "__lakesql_takes_back"
_REFUSED = "__lakesql_refused"
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
    parts = [f"SELECT {_columns(node)}, {n} AS {_AGE} FROM {{run{n}}}" for n in range(len(runs))]
    if runs[0].age not in node.unique:
        return _merged(context, " UNION ALL ".join(parts), node, schema, frames)
    alone = f"SELECT {_rule_columns(node)} FROM ({parts[0]}) AS __b WHERE {_adds(node, '__b')}"
    if len(runs) == 1:
        return over(context, alone, frames)
    newer = " UNION ALL ".join(parts[1:])
    keys = f"SELECT {', '.join(quoted(k) for k in node.key)} FROM ({newer})"
    exists = f"EXISTS (SELECT 1 FROM ({keys}) AS __n WHERE {' AND '.join(same(f'__b.{quoted(k)}', f'__n.{quoted(k)}') for k in node.key)})"
    contenders = f"{newer} UNION ALL SELECT __b.* FROM ({parts[0]}) AS __b WHERE {exists}"
    merged = _merged(context, contenders, node, schema, frames)
    untouched = over(context, f"{alone} AND NOT {exists}", frames)
    return untouched.union(merged)


def plain_array(array: pa.Array) -> pa.Array:
    """Texts and bytes that the engine keeps as views in their plain types."""
    return array.cast(plain_type(array.type)) if array.type != plain_type(array.type) else array


def plain_type(type_: pa.DataType) -> pa.DataType:
    """The type with texts and bytes plain, at the top."""
    return {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}.get(type_, type_)


def _merged(context: SessionContext, rows: str, node: MergeByKey, schema: pa.Schema, frames: Mapping[str, DataFrame]) -> DataFrame:
    if all(_is_simple(rule, schema.field(rule.column).type) for rule in node.rules) and not node.deletes_remove:
        return _aggregated(context, rows, node, schema, frames)
    return _folded(context, rows, node, schema, frames)


# The engine's own aggregates -----------------------------------------------------------------------------------------------------------------------


def _is_simple(rule: MergeRule, type_: pa.DataType) -> bool:
    if rule.group or rule.function not in _SIMPLE or pa.types.is_nested(type_):
        return False
    if rule.function in ("min", "max"):
        return not (pa.types.is_floating(type_) or pa.types.is_boolean(type_))
    return rule.function != "sum" or pa.types.is_integer(type_)


def _aggregated(context: SessionContext, rows: str, node: MergeByKey, schema: pa.Schema, frames: Mapping[str, DataFrame]) -> DataFrame:
    takes_back = "FALSE" if node.kind is None else f"{quoted(node.kind)} IN (1, 3)"
    given = f"SELECT *, {takes_back} AS {_TAKES_BACK} FROM ({rows})"
    if node.retract is Retract.SKIP:
        given = f"SELECT * FROM ({given}) WHERE NOT {_TAKES_BACK}"
    values = [f"{_value(rule, node)} AS {quoted(rule.column)}" for rule in node.rules]
    having = [f"NOT (count(*) = 1 AND bool_or({_TAKES_BACK}))"]
    if node.needs_insert:
        having.append(f"bool_or(NOT {_TAKES_BACK})")
    grouped = f"FROM ({given}) GROUP BY {', '.join(quoted(k) for k in node.key)} HAVING {' AND '.join(having)}"
    frame = over(context, f"SELECT {', '.join(values)}, count(*) > 1 AND bool_or({_TAKES_BACK}) AS {_REFUSED} {grouped}", frames)
    refusing = [r for r in node.rules if r.function in _REFUSING and not _ignores(r)]
    if node.kind is not None and (node.retract is Retract.REFUSE or (node.retract is Retract.BY_RULE and refusing)):
        error = retraction_refused() if node.retract is Retract.REFUSE else refused(refusing[0])
        frame = frame.filter(udf(_refuser(error), [pa.bool_()], pa.bool_(), "volatile", f"lakesql_refuse_{next(_numbers)}")(col(_REFUSED)))
    return frame.select(*(_typed(rule, schema) for rule in node.rules))


def _value(rule: MergeRule, node: MergeByKey) -> str:
    """A simple rule as an aggregate."""
    column, order = quoted(rule.column), f"ORDER BY {_order(node)}"
    added = f"FILTER (WHERE NOT {_TAKES_BACK})"
    some = f"FILTER (WHERE {column} IS NOT NULL AND NOT {_TAKES_BACK})"
    given = f"CASE WHEN {_TAKES_BACK} THEN NULL ELSE {column} END"
    number = f"CAST({column} AS DECIMAL(20, 0))"
    ignores = _ignores(rule)
    match rule.function:
        case "key":
            return column if rule.column in node.key else f"last_value({column} {order})"
        case "last_value":
            return f"last_value({column} {order}) {added}" if ignores else f"last_value({given} {order})"
        case "last_non_null_value":
            return f"last_value({column} {order}) {some}" if ignores else f"last_value({given} {order}) FILTER (WHERE {column} IS NOT NULL)"
        case "first_value":
            return f"first_value({column} {order}) {added}"
        case "first_non_null_value":
            return f"first_value({column} {order}) {some}"
        case "sum":
            return f"sum({number}) {added}" if ignores else f"sum(CASE WHEN {_TAKES_BACK} THEN -{number} ELSE {number} END)"
        case _:
            return f"{rule.function}({column}) {added}"


def _typed(rule: MergeRule, schema: pa.Schema) -> Expr:
    """A merged column in its own type; a sum that does not fit is an error."""
    value = col(f'"{rule.column.replace(chr(34), chr(34) * 2)}"')
    return value.cast(schema.field(rule.column).type).alias(rule.column) if rule.function == "sum" else value


def _refuser(error: EngineError) -> Callable[[pa.Array], pa.Array]:
    def refuse(flags: pa.Array) -> pa.Array:
        if pc.any(flags).as_py():
            raise error
        return pc.invert(flags)

    return refuse


# Rows of a key in a list ---------------------------------------------------------------------------------------------------------------------------


def _folded(context: SessionContext, rows: str, node: MergeByKey, schema: pa.Schema, frames: Mapping[str, DataFrame]) -> DataFrame:
    names = [*(r.column for r in node.rules), *([node.kind] if node.kind is not None else [])]
    struct = ", ".join(f"{_text(n)}, {quoted(n)}" for n in names)
    sql = f"SELECT array_agg(named_struct({struct}) ORDER BY {_order(node)}) AS {_ROWS} FROM ({rows}) GROUP BY {', '.join(quoted(k) for k in node.key)}"
    lists = over(context, sql, frames)
    merged = pa.struct([*(pa.field(r.column, plain_type(schema.field(r.column).type)) for r in node.rules), pa.field(KEPT, pa.bool_())])
    held = lists.schema().field(0).type
    function = udf(lambda array: fold(array, node).cast(merged), [held], merged, "immutable", f"lakesql_merge_{next(_numbers)}")
    structs = lists.select(function(col(_ROWS)).alias(_ROWS))
    return structs.filter(col(_ROWS)[KEPT]).select(*(col(_ROWS)[r.column].alias(r.column) for r in node.rules))


# Text ----------------------------------------------------------------------------------------------------------------------------------------------


def _order(node: MergeByKey) -> str:
    """The node's order, oldest first: null is older than any value in either direction; among equals, rows that take back come first."""
    parts = [f"{quoted(c)} {'ASC' if ascending else 'DESC'} NULLS FIRST" for c, ascending in node.order]
    if node.kind is not None:
        parts.append(f"({quoted(node.kind)} IN (0, 2)) ASC")
    return ", ".join([*parts, f"{_AGE} ASC"])


def _columns(node: MergeByKey) -> str:
    """Every column that the node reads."""
    names = dict.fromkeys([*(r.column for r in node.rules), *node.key, *(c for c, _ in node.order), *([node.kind] if node.kind is not None else [])])
    return ", ".join(quoted(n) for n in names)


def _rule_columns(node: MergeByKey) -> str:
    return ", ".join(quoted(r.column) for r in node.rules)


def _adds(node: MergeByKey, alias: str) -> str:
    """Whether a row that is alone is one of the table's."""
    return "TRUE" if node.kind is None else f"{alias}.{quoted(node.kind)} IN (0, 2)"


def _text(value: str) -> str:
    """A text as SQL has it, braces kept from `format`."""
    doubled = value.replace("'", "''").replace("{", "{{").replace("}", "}}")
    return f"'{doubled}'"


def _ignores(rule: MergeRule) -> bool:
    return dict(rule.options).get("ignore-retract") == "true"


_SIMPLE = frozenset(("key", "last_value", "last_non_null_value", "first_value", "first_non_null_value", "min", "max", "bool_and", "bool_or", "sum"))
_REFUSING = frozenset(("first_value", "first_non_null_value", "min", "max", "bool_and", "bool_or"))
"""Simple functions that cannot take a value back."""
