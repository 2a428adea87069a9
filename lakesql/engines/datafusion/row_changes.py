"""Change feeds: the difference of rows taken away and rows added.

RowChanges      a hash aggregation over all columns, whose groups are what is left of equal rows; then windows over what is left alone, to pair updates
"""

from __future__ import annotations

import pyarrow as pa
from datafusion import DataFrame, SessionContext

from lakesql.engines.datafusion.merge import grouping, over, quoted
from lakesql.relation import RowChanges

_BALANCE, _COPIES = "__lakesql_balance", "__lakesql_copies"
_IS_TAKEN, _IS_ADDED = "__lakesql_is_taken", "__lakesql_is_added"
_TAKEN, _ADDED = "__lakesql_taken", "__lakesql_added"


def row_changes(context: SessionContext, node: RowChanges, rows: DataFrame) -> DataFrame:
    """See relation.RowChanges."""
    left = _left_over(context, node, rows)
    return _paired(context, node, left) if node.key else left


def _left_over(context: SessionContext, node: RowChanges, rows: DataFrame) -> DataFrame:
    schema: pa.Schema = rows.schema()
    change = quoted(node.change)
    compared = (*node.columns, *node.within)
    # The engine groups 0.0 with -0.0, and gives either for both: so what has a minus is told beside it, from below the grouping.
    floats = [n for n in compared if pa.types.is_floating(schema.field(n).type)]
    minus = {n: f"__lakesql_minus_{number}" for number, n in enumerate(floats)}
    told = "".join(f", (abs({quoted(n)}) = 0 AND 1.0 / {quoted(n)} < 0) AS {name}" for n, name in minus.items())
    selected = [f"{_with_its_minus(quoted(n), minus[n])} AS {quoted(n)}" if n in minus else quoted(n) for n in compared]
    selected.append(f"sum(CASE WHEN {change} = 'insert' THEN 1 ELSE -1 END) AS {_BALANCE}")
    for number, name in enumerate(node.carried):
        for side in ("insert", "delete"):
            selected.append(f"max({quoted(name)}) FILTER (WHERE {change} = '{side}') AS __lakesql_{side}_{number}")
    grouped = [*(quoted(n) for n in compared), *minus.values()]
    groups = f"SELECT {', '.join(selected)} FROM (SELECT *{told} FROM {{rows}}) GROUP BY {', '.join(grouped) or 'true'}"
    outputs = [quoted(n) for n in node.columns]
    outputs.append(f"CASE WHEN {_BALANCE} > 0 THEN 'insert' ELSE 'delete' END AS {change}")
    outputs += [quoted(n) for n in node.within]
    for number, name in enumerate(node.carried):
        outputs.append(f"CASE WHEN {_BALANCE} > 0 THEN __lakesql_insert_{number} ELSE __lakesql_delete_{number} END AS {quoted(name)}")
    names = ", ".join(quoted(n) for n in (*node.columns, node.change, *node.within, *node.carried))
    copies = f"SELECT {', '.join(outputs)}, unnest(range(0, abs({_BALANCE}))) AS {_COPIES} FROM ({groups}) WHERE {_BALANCE} <> 0"
    return over(context, f"SELECT {names} FROM ({copies})", {"rows": rows})


def _with_its_minus(value: str, minus: str) -> str:
    """A zero with the sign that `minus` tells, and any other number as it is. An aggregate such as first_value would take several times the grouping's time."""
    return f"CASE WHEN abs({value}) = 0 THEN CASE WHEN {minus} THEN -abs({value}) ELSE abs({value}) END ELSE {value} END"


def _paired(context: SessionContext, node: RowChanges, rows: DataFrame) -> DataFrame:
    schema: pa.Schema = rows.schema()
    change = quoted(node.change)
    window = f"OVER (PARTITION BY {', '.join(grouping((*node.within, *node.key), schema))})"
    # The words are told apart below the windows: within, the engine would do it once a partition, and most of those are a row or two.
    marks = ", ".join(f"CASE WHEN {change} = '{word}' THEN 1 END AS {name}" for word, name in (("delete", _IS_TAKEN), ("insert", _IS_ADDED)))
    counts = ", ".join(f"count({mark}) {window} AS {name}" for mark, name in ((_IS_TAKEN, _TAKEN), (_IS_ADDED, _ADDED)))
    whole = " AND ".join([f"{_TAKEN} = 1", f"{_ADDED} = 1", *(f"{quoted(k)} IS NOT NULL" for k in node.key)])
    image = f"CASE {change} WHEN 'delete' THEN 'update_preimage' ELSE 'update_postimage' END"
    words = {node.change: f"CASE WHEN {whole} THEN {image} ELSE {change} END AS {change}"}
    outputs = ", ".join(words.get(n, quoted(n)) for n in schema.names)
    return over(context, f"SELECT {outputs} FROM (SELECT *, {counts} FROM (SELECT *, {marks} FROM {{rows}}))", {"rows": rows})
