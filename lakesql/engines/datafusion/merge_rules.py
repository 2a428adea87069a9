"""MergeByKey, Beside and Mapped, as SQL over frames and functions over arrays."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pyarrow as pa
from datafusion import DataFrame, Expr, SessionContext, udf

from lakesql.engines.datafusion.merge import over, quoted
from lakesql.errors import InternalError
from lakesql.relation import Beside, MergeByKey, Relation

_numbers = itertools.count(1)


def mapped(value: Expr, held: pa.DataType, function: Callable[[pa.Array], pa.Array], type_: pa.DataType) -> Expr:
    """See relation.Mapped. held: the value's type in the engine."""
    return udf(lambda array: function(plain_array(array)), [held], type_, "immutable", f"lakesql_mapped_{next(_numbers)}")(value)


def beside(context: SessionContext, node: Beside, lower: Callable[[Relation], DataFrame]) -> DataFrame:
    """See relation.Beside."""
    frames = {f"part{n}": lower(input_) for n, input_ in enumerate(node.inputs)}
    on = quoted(node.on)
    names = [frames["part0"].schema().names] + [[n for n in frames[f"part{i}"].schema().names if n != node.on] for i in range(1, len(frames))]
    columns = ", ".join(f"p{i}.{quoted(n)}" for i, part in enumerate(names) for n in part)
    joins = " ".join(f"LEFT JOIN {{part{i}}} AS p{i} ON p0.{on} = p{i}.{on}" for i in range(1, len(frames)))
    return over(context, f"SELECT {columns} FROM {{part0}} AS p0 {joins}", frames)


def merge_by_key(context: SessionContext, node: MergeByKey, lower: Callable[[Relation], DataFrame]) -> DataFrame:
    """See relation.MergeByKey."""
    raise InternalError("merges by rule are not lowered yet")


def plain_array(array: pa.Array) -> pa.Array:
    """Texts and bytes that the engine keeps as views in their plain types."""
    if pa.types.is_string_view(array.type):
        return array.cast(pa.string())
    return array.cast(pa.binary()) if pa.types.is_binary_view(array.type) else array
