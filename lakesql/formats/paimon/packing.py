"""Rows of a changelog -> rows of `t$binlog`: an update's old row and the new one after it in one, each value in a list.

    packed(rows)        Union
                          ├─ new rows of updates, Beside the old row at the place before: [old, new], or [new] alone
                          ├─ old rows of updates without a new one at the place behind: [old]
                          └─ all others: [value]

Source: Paimon, PackChangelogReader.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from lakesql.formats.paimon.merging import KIND, SEQUENCE
from lakesql.formats.paimon.relate import ROW
from lakesql.relation import Beside, Col, Expression, Filter, ListOf, OneOf, Project, Relation, Sum, Union, Value

_OLD, _NEW, _OTHERS = pa.array([1], pa.int8()), pa.array([2], pa.int8()), pa.array([0, 3], pa.int8())
_FLAG, _BEFORE, _IS_PAIR = "is of these kinds'", "before' ", "is a pair'"
_ONE, _MINUS_ONE = pa.scalar(1, pa.int64()), pa.scalar(-1, pa.int64())


def single(rows: Relation, names: Sequence[str]) -> Relation:
    """Each row by itself. Output: names as lists, the writers' number, the kind."""
    shown = (*names, SEQUENCE, KIND)
    return Project(rows, shown, (*(ListOf((Col(n),)) for n in names), Col(SEQUENCE), Col(KIND)))


def packed(rows: Relation, names: Sequence[str]) -> Relation:
    """Updates in one row. rows: names, the writers' number, the kind, and the place of each row, those of a file one after the other. Output: as single."""
    every = (*names, SEQUENCE, KIND, ROW)
    old, new = _of_kind(rows, every, _OLD), _of_kind(rows, every, _NEW)
    shown = (*names, SEQUENCE, KIND)
    told = {n: f"{_BEFORE}{n}" for n in (*names, SEQUENCE, KIND)}
    behind = Project(old, (ROW, *told.values()), (Sum(Col(ROW), Value(_ONE)), *(Col(n) for n in told)))
    pairs = Beside((new, behind), ROW)
    whole = _where(pairs, (*every, *told.values()), OneOf(Col(told[KIND]), _OLD))
    alone = _where(pairs, (*every, *told.values()), OneOf(Col(told[KIND]), _OLD), holds=False)
    listed = Project(whole, shown, (*(ListOf((Col(told[n]), Col(n))) for n in names), Col(told[SEQUENCE]), Col(KIND)))
    before = Project(new, (ROW, _IS_PAIR), (Sum(Col(ROW), Value(_MINUS_ONE)), Col(KIND)))
    left = _where(Beside((old, before), ROW), (*every, _IS_PAIR), OneOf(Col(_IS_PAIR), _NEW), holds=False)
    return Union((listed, *(single(part, names) for part in (alone, left, _of_kind(rows, every, _OTHERS)))))


def _of_kind(rows: Relation, names: Sequence[str], kinds: pa.Array) -> Relation:
    return _where(rows, names, OneOf(Col(KIND), kinds))


def _where(rows: Relation, names: Sequence[str], condition: Expression, *, holds: bool = True) -> Relation:
    """The rows for which the condition holds, or does not; names alone."""
    flagged = Project(rows, (*names, _FLAG), (*(Col(n) for n in names), condition))
    if not holds:
        number = pa.array([False])
        flagged = Project(flagged, (*names, _FLAG), (*(Col(n) for n in names), OneOf(Col(_FLAG), number)))
    return Project(Filter(flagged, _FLAG), tuple(names), tuple(Col(n) for n in names))
