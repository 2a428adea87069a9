"""Random predicates over random columns, as SQL: everything that may prune a file, and some of what may not.

A predicate is rendered twice from one tree: with plain literals for lakesql and with typed ones for the oracle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from .values import BY_NAME, NULL, Kind, Literal

OPERATORS = ("=", "<>", "<", "<=", ">", ">=")
UNITS = ("second", "minute", "hour", "day", "week", "month", "quarter", "year")


@dataclass(frozen=True)
class Sql:
    """A piece of SQL text with literals in it."""

    parts: tuple[str | Literal, ...]

    def text(self, *, typed: bool) -> str:
        """The SQL with every literal in the one spelling or the other."""
        return "".join(p if isinstance(p, str) else p.typed if typed else p.plain for p in self.parts)


def sql(*parts: str | Literal | Sql) -> Sql:
    """Pieces put together."""
    flat: list[str | Literal] = []
    for part in parts:
        flat.extend(part.parts if isinstance(part, Sql) else (part,))
    return Sql(tuple(flat))


@dataclass(frozen=True)
class Column:
    """A column, or a field of one, as SQL names it."""

    name: str
    kind: Kind


def literals(kind: Kind) -> st.SearchStrategy[Literal]:
    """A value a row may hold, or one beside them; now and then NULL."""
    values = st.sampled_from(kind.values + kind.probes).map(kind.literal)
    return st.one_of(*[values] * 12, st.just(NULL))


def leaves(columns: Sequence[Column], nested: Sequence[str]) -> st.SearchStrategy[Sql]:
    """Predicates without AND, OR, NOT. nested: columns that only null tests apply to."""
    by_column = [_leaf(column) for column in columns]
    pairs = [(a, b) for a in columns for b in columns if a.kind.name == b.kind.name and a.kind.has_order]
    others = [st.sampled_from(["TRUE", "FALSE", "NULL", "1 = 0", "rid >= 0"]).map(sql)]
    if nested:
        others.append(st.builds(lambda c, n: sql(f"{c} IS {n}NULL"), st.sampled_from(nested), st.sampled_from(["", "NOT "])))
    if pairs:
        others.append(st.builds(lambda p, o: sql(f"{p[0].name} {o} {p[1].name}"), st.sampled_from(pairs), st.sampled_from(OPERATORS)))
    return st.one_of(*by_column * 3, *others)


def _leaf(column: Column) -> st.SearchStrategy[Sql]:
    name, kind = column.name, column.kind
    value, negated = literals(kind), st.sampled_from(["", "NOT "])
    forms: list[st.SearchStrategy[Sql]] = [st.builds(lambda n: sql(f"{name} IS {n}NULL"), negated)]
    if kind.name == "bool":
        forms += [st.sampled_from([name, f"NOT {name}", f"{name} IS TRUE", f"{name} IS NOT FALSE", f"{name} = TRUE", f"{name} <> TRUE"]).map(sql)]
    if kind.has_order:
        forms += [st.builds(lambda o, v: sql(f"{name} {o} ", v), st.sampled_from(OPERATORS), value)] * 4
        forms += [st.builds(lambda o, v: sql(v, f" {o} {name}"), st.sampled_from(OPERATORS), value)]
        forms += [st.builds(lambda n, a, b: sql(f"{name} {n}BETWEEN ", a, " AND ", b), negated, value, value)]
    if kind.has_order and kind.name != "binary":
        # Under a function a literal's type is the engine's: DataFusion 55 finds no common type for X'...' and the views it reads binary columns
        # as, and its doubles overflow wide decimals. Pruning is what is tried here, so the type is said.
        forms += [st.builds(lambda v, w: sql("coalesce(", name, ", ", v.typed, ") = ", w.typed), value, value)]
    forms += [st.builds(lambda n, vs: _in(name, n, vs), negated, st.lists(value, min_size=1, max_size=5))]
    if kind.name == "string":
        patterns = st.sampled_from(["a%", "%", "%b", "a_b%", "a\\_b%", "100%", "it''s%", "A%", "lakehouse%", "é%", "日%", "ab", ""])
        forms += [st.builds(lambda n, p: sql(f"{name} {n}LIKE '{p}'"), negated, patterns)] * 2
        forms += [st.builds(lambda v: sql(f"upper({name}) = ", v), value)]
    if kind.name in ("instant", "wall"):
        forms += [st.builds(lambda o, v: sql(f"CAST({name} AS DATE) {o} ", v), st.sampled_from(OPERATORS), literals(BY_NAME["date"]))]
        forms += [st.builds(lambda u, o, v: sql(f"date_trunc('{u}', {name}) {o} ", v), st.sampled_from(UNITS), st.sampled_from(OPERATORS), value)]
    if kind.name in ("byte", "short", "int", "long"):
        forms += [st.builds(lambda t, o, v: sql(f"CAST({name} AS {t}) {o} ", v), st.sampled_from(["BIGINT", "DOUBLE"]), st.sampled_from(OPERATORS), value)]
    if kind.name == "int":
        forms += [st.builds(lambda o, v: sql(f"CAST({name} AS BIGINT) + 1 {o} ", v), st.sampled_from(OPERATORS), value)]
    return st.one_of(*forms)


def _in(name: str, negated: str, values: list[Literal]) -> Sql:
    listed: list[Any] = []
    for value in values:
        listed += [", ", value]
    return sql(f"{name} {negated}IN (", *listed[1:], ")")


def predicates(columns: Sequence[Column], nested: Sequence[str]) -> st.SearchStrategy[Sql]:
    """Leaves under up to three levels of AND, OR and NOT."""

    def combine(inner: st.SearchStrategy[Sql]) -> st.SearchStrategy[Sql]:
        both = st.builds(lambda o, a, b: sql("(", a, f" {o} ", b, ")"), st.sampled_from(["AND", "OR"]), inner, inner)
        return st.one_of(both, st.builds(lambda a: sql("NOT (", a, ")"), inner))

    return st.recursive(leaves(columns, nested), combine, max_leaves=4)
