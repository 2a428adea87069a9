"""Joins and merges by key, as SQL over frames: what DataFrames cannot say (null-safe equality, joins with a further condition).

    WithoutKeys     an anti-join with IS NOT DISTINCT FROM, which DataFusion runs as one hash join whose nulls are equal
    LatestByKey     bulk ANTI JOIN newer keys UNION ALL latest(newer): ten times faster than a window over everything, where little is newer

The parentheses around each equality are needed: DataFusion 55 parses `a IS NOT DISTINCT FROM b AND c` as `a IS NOT DISTINCT FROM (b AND c)`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence

import pyarrow as pa
from datafusion import DataFrame, SessionContext

from lakesql.relation import LatestByKey, Relation, WithoutKeys

_AGE = "__lakesql_age"
_RANK = "__lakesql_rank"
_numbers = itertools.count(1)


def without_keys(context: SessionContext, node: WithoutKeys, lower: Callable[[Relation], DataFrame]) -> DataFrame:
    """See relation.WithoutKeys."""
    rows, deletes = lower(node.input), lower(node.deletes)
    types = {x.name: x.type for x in rows.schema()}
    matches = [same(f"__d.{quoted(k)}", f"__i.{quoted(k)}") for k in node.on]
    # The engine finds 0.0 and -0.0 equal when it joins; their inverses are not.
    floats = [quoted(k) for k in node.on if pa.types.is_floating(types[k])]
    matches += [same(f"(1.0 / __d.{k})", f"(1.0 / __i.{k})") for k in floats]
    if node.newer is not None:
        row, delete = node.newer
        matches.append(f"__d.{quoted(delete)} > __i.{quoted(row)}")
    return anti_join(context, rows, deletes, matches)


def without_positions(context: SessionContext, rows: DataFrame, deletes: DataFrame, on: Mapping[str, str]) -> DataFrame:
    """The rows that no row of `deletes` equals in the columns `on` (ours: theirs), which hold no nulls."""
    return anti_join(context, rows, deletes, [f"__d.{quoted(theirs)} = __i.{quoted(ours)}" for ours, theirs in on.items()])


def anti_join(context: SessionContext, rows: DataFrame, deletes: DataFrame, matches: Sequence[str]) -> DataFrame:
    """The rows `__i` for which no row `__d` of deletes makes all of `matches` true. The deletes stand on the left, where a hash join builds its table: how
    many rows a scan has is not known to the optimiser, and with the sides exchanged it would hold the whole table in memory (6 million rows: 1.2 s against
    0.37 s).
    """
    return over(context, f"SELECT __i.* FROM {{deletes}} AS __d RIGHT ANTI JOIN {{rows}} AS __i ON {' AND '.join(matches)}", {"rows": rows, "deletes": deletes})


def unfiltered(context: SessionContext, rows: DataFrame) -> DataFrame:
    """The rows, in a way that no filter above is moved below: nothing is moved past a numbering of rows that somebody reads."""
    columns = ", ".join(quoted(n) for n in rows.schema().names)
    numbered = f"SELECT {columns}, row_number() OVER (ROWS UNBOUNDED PRECEDING) AS {_RANK} FROM {{rows}}"
    return over(context, f"SELECT {columns} FROM ({numbered}) WHERE {_RANK} > 0", {"rows": rows})


def latest_by_key(context: SessionContext, node: LatestByKey, lower: Callable[[Relation], DataFrame]) -> DataFrame:
    """See relation.LatestByKey."""
    runs = sorted(node.runs, key=lambda r: r.age)
    frames = {f"run{n}": lower(run.input) for n, run in enumerate(runs)}
    names = frames["run0"].schema().names
    columns = ", ".join(quoted(n) for n in names)
    parts = [f"SELECT {columns}, {n} AS {_AGE} FROM {{run{n}}}" for n in range(len(runs))]
    if runs[0].age not in node.unique:
        merged = _latest(" UNION ALL ".join(parts), node, columns)
    elif len(runs) == 1:
        merged = parts[0]
    else:
        newer = " UNION ALL ".join(parts[1:])
        same_key = " AND ".join(same(f"__b.{quoted(k)}", f"__n.{quoted(k)}") for k in node.key)
        keys = f"SELECT {', '.join(quoted(k) for k in node.key)} FROM ({newer})"
        exists = f"EXISTS (SELECT 1 FROM ({keys}) AS __n WHERE {same_key})"
        bulk = f"SELECT __b.* FROM ({parts[0]}) AS __b WHERE"
        # Where age decides first, or alone, a newer run always wins; else a row of the bulk may.
        contenders = f"{newer} UNION ALL {bulk} {exists}" if node.order and not node.age_first else newer
        merged = f"{bulk} NOT {exists} UNION ALL {_latest(contenders, node, columns)}"
    kept = "" if node.drop is None else f" WHERE {quoted(node.drop)} IS NOT TRUE"
    return over(context, f"SELECT {columns} FROM ({merged}){kept}", frames)


def _latest(rows: str, node: LatestByKey, columns: str) -> str:
    # Null is older than any value in either direction, so it comes last among the newest-first.
    order = [f"{quoted(c)} {'DESC' if ascending else 'ASC'} NULLS LAST" for c, ascending in node.order]
    order.insert(0 if node.age_first else len(order), f"{_AGE} DESC")
    key = ", ".join(quoted(k) for k in node.key)
    # Without a frame of rows the engine refuses an order by bytes.
    window = f"PARTITION BY {key} ORDER BY {', '.join(order)} ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW"
    ranked = f"SELECT *, row_number() OVER ({window}) AS {_RANK} FROM ({rows})"
    return f"SELECT {columns}, {_AGE} FROM ({ranked}) WHERE {_RANK} = 1"


def over(context: SessionContext, sql: str, frames: Mapping[str, DataFrame]) -> DataFrame:
    """`sql` with each `{name}` standing for a frame."""
    names = {name: f"__lakesql_input_{next(_numbers)}" for name in frames}
    try:
        for name, frame in frames.items():
            context.register_view(names[name], frame)
        return context.sql(sql.format(**names))
    finally:
        for name in names.values():
            context.deregister_table(name)


def same(left: str, right: str) -> str:
    """Null-safe equality."""
    return f"({left} IS NOT DISTINCT FROM {right})"


def quoted(name: str) -> str:
    """An identifier that stands for itself alone, braces kept from `format`."""
    doubled = name.replace('"', '""').replace("{", "{{").replace("}", "}}")
    return f'"{doubled}"'
