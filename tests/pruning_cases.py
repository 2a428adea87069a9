"""Small tables of bounds, and what a predicate makes of each candidate: `drop` (no row matches), `all` (every row does), `keep` (some may)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from lakesql.predicate import Column, Compare, Op, Predicate, Term
from lakesql.pruning import Bounds, TableBounds, prune
from lakesql.pruning.verdict import Verdict

X = Column(("x",))
LT, LE, EQ, NE, GE, GT = Op.LT, Op.LE, Op.EQ, Op.NE, Op.GE, Op.GT
ROWS = 10


def bounds(pairs: Iterable[tuple[Any, Any]], type_: pa.DataType, *, nulls: int | list[int | None] | None = 0, rows: int | None = ROWS, **more: Any) -> Bounds:
    """Bounds from (lower, upper) pairs; the same counts for all unless a list is given."""
    lower, upper = zip(*pairs, strict=True)
    null_counts = nulls if isinstance(nulls, list) else [nulls] * len(lower)
    return Bounds(pa.array(lower, type_), pa.array(upper, type_), pa.array(null_counts, pa.int64()), pa.array([rows] * len(lower), pa.int64()), **more)


def table(**columns: Bounds) -> TableBounds:
    return TableBounds({tuple(name.split("__")): b for name, b in columns.items()}, len(next(iter(columns.values())).lower))


def words(verdict: Verdict) -> list[str]:
    return ["all" if every else "keep" if some else "drop" for some, every in zip(verdict.keep, verdict.all_match, strict=True)]


def verdicts(predicate: Predicate, x: Bounds) -> list[str]:
    return words(prune(table(x=x), [predicate]))


def compare(op: Op, value: Any, x: Bounds, term: Term = X) -> list[str]:
    return verdicts(Compare(term, op, value if isinstance(value, pa.Scalar) else pa.scalar(value)), x)
