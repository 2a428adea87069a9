"""A conjunction over candidates: what is kept, what matches whole, and why the rest was dropped.

Conjuncts on partition columns alone come first; candidates they leave are narrowed before any other bounds are asked for, so formats decode statistics of
survivors only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lakesql.errors import InternalError
from lakesql.predicate import And, ColumnPath, Constant, IsNull, Opaque, Or, Predicate, column_of, columns_of, conjuncts, literal
from lakesql.pruning.bounds import Bounds, Candidates, Mask, Narrowable
from lakesql.pruning.evaluate import Masks, evaluate
from lakesql.pruning.ranges import Range, nothing_known, range_of

_LONGEST_TEXT = 60


@dataclass(frozen=True, eq=False)
class Verdict:
    """What pruning found, one entry per candidate.

    keep: some row may satisfy every predicate. all_match: kept, and metadata proves that every row does. dropped_by_partition: candidates that conjuncts on
    partition columns alone drop; dropped_by_statistics: all others dropped. unusable: leaves that decided nothing, as text, and why.
    """

    keep: Mask
    all_match: Mask
    dropped_by_partition: int
    dropped_by_statistics: int
    unusable: tuple[tuple[str, str], ...]
    _dropped_by: npt.NDArray[np.int32] = field(repr=False)
    _steps: tuple[_Step, ...] = field(repr=False)

    def reasons(self, indices: Sequence[int]) -> list[tuple[str, str]]:
        """For each of these dropped candidates the predicate that dropped it and the bounds that prove it, as text. Raises InternalError for one that
        was kept.
        """
        found = []
        for index in indices:
            step_number = int(self._dropped_by[index])
            if step_number < 0:
                raise InternalError(f"candidate {index} was kept: there is no reason for dropping it")
            found.append(self._steps[step_number].reason(int(index)))
        return found


@dataclass(frozen=True, eq=False)
class _Step:
    """A conjunct as it was tested. rows: the candidates it was tested on, ascending."""

    predicate: Predicate
    rows: npt.NDArray[np.int64]
    bounds: dict[ColumnPath, Bounds]

    def reason(self, candidate: int) -> tuple[str, str]:
        place = int(np.searchsorted(self.rows, candidate))
        null_tests = _null_tests(self.predicate)
        shown = [_bound_text(path, bounds, place, path in null_tests) for path, bounds in sorted(self.bounds.items())]
        return str(self.predicate), ", ".join(shown) or "true for no row"


def prune(candidates: Candidates, predicates: Sequence[Predicate], *, partition_columns: frozenset[ColumnPath] = frozenset()) -> Verdict:
    """Tests a conjunction of predicates on every candidate.

    partition_columns: columns that have one value per candidate. Asks each column's bounds once, of the candidates still alive where `candidates` is
    Narrowable. Raises InternalError where bounds do not have one entry per candidate.

    >>> from lakesql.predicate import Column, Compare, Op
    >>> from lakesql.pruning.bounds import TableBounds
    >>> counts = pa.array([10, 10])
    >>> files = TableBounds({("id",): Bounds(pa.array([1, 5]), pa.array([4, 9]), pa.array([0, 0]), counts)}, 2)
    >>> verdict = prune(files, [Compare(Column(("id",)), Op.LT, pa.scalar(5))])
    >>> verdict.keep.tolist(), verdict.all_match.tolist(), verdict.reasons([1])
    ([True, False], [True, False], [('id < 5', 'id in [5, 9]')])
    """
    parts = [part for predicate in predicates for part in conjuncts(predicate)]
    by_partition = [part for part in parts if columns_of(part) <= partition_columns]
    by_statistics = [part for part in parts if not columns_of(part) <= partition_columns]
    trial = _Trial(candidates)
    for part in by_partition:
        trial.test(part)
    for part in by_statistics:
        trial.test_weaker(part, weaken(part, partition_columns))
    dropped_by_partition = trial.dropped_count
    for part in by_statistics:
        if trial.dropped_count == len(candidates):
            break
        trial.narrow_for(part)
        trial.test(part)
    keep = trial.dropped_by < 0
    unusable = [(str(leaf), leaf.reason) for part in parts for leaf in _opaque_leaves(part)] + trial.unusable
    return Verdict(
        keep=keep,
        all_match=trial.all_match & keep,
        dropped_by_partition=dropped_by_partition,
        dropped_by_statistics=trial.dropped_count - dropped_by_partition,
        unusable=tuple(dict.fromkeys(unusable)),
        _dropped_by=trial.dropped_by,
        _steps=tuple(trial.steps),
    )


def weaken(predicate: Predicate, columns: frozenset[ColumnPath]) -> Predicate:
    """What the predicate says about these columns alone: true wherever it may be true.

    >>> from lakesql.predicate import Column, Compare, Op
    >>> def on(day, id): return And((Compare(Column(("day",)), Op.EQ, pa.scalar(day)), Compare(Column(("id",)), Op.LT, pa.scalar(id))))
    >>> str(weaken(Or((on(1, 5), on(2, 7))), frozenset({("day",)})))
    'day = 1 OR day = 2'
    """
    match predicate:
        case And(parts):
            telling = tuple(p for p in (weaken(part, columns) for part in parts) if p != Constant(True))
            return Constant(True) if not telling else telling[0] if len(telling) == 1 else And(telling)
        case Or(parts):
            weaker = tuple(weaken(part, columns) for part in parts)
            return Constant(True) if Constant(True) in weaker else Or(weaker)
        case _:
            return predicate if columns_of(predicate) <= columns else Constant(True)


def _opaque_leaves(predicate: Predicate) -> Iterator[Opaque]:
    match predicate:
        case And(parts) | Or(parts):
            for part in parts:
                yield from _opaque_leaves(part)
        case Opaque():
            yield predicate


class _Trial:
    """The state of one `prune`: the candidates still looked at, and what is decided so far."""

    def __init__(self, candidates: Candidates) -> None:
        self.candidates = candidates
        self.rows: npt.NDArray[np.int64] = np.arange(len(candidates), dtype=np.int64)
        self.dropped_by: npt.NDArray[np.int32] = np.full(len(candidates), -1, dtype=np.int32)
        self.all_match: Mask = np.ones(len(candidates), dtype=bool)
        self.dropped_count = 0
        self.unusable: list[tuple[str, str]] = []
        self.steps: list[_Step] = []
        self._bounds: dict[ColumnPath, Bounds | None] = {}
        self._ranges: dict[ColumnPath, Range] = {}

    def test(self, predicate: Predicate) -> None:
        """Drops what the conjunct proves to hold no matching row, and notes where every row matches."""
        masks = self._evaluate(predicate, predicate)
        self.all_match[self.rows] &= masks.always

    def test_weaker(self, predicate: Predicate, weaker: Predicate) -> None:
        """Drops what a weaker predicate rules out, in the name of the conjunct it follows from."""
        if weaker != Constant(True):
            self._evaluate(predicate, weaker)

    def narrow_for(self, predicate: Predicate) -> None:
        """Forgets the dropped candidates, where the conjunct needs bounds of them that are still to be decoded."""
        alive = self.dropped_by[self.rows] < 0
        if alive.all() or not isinstance(self.candidates, Narrowable) or columns_of(predicate) <= self._bounds.keys():
            return
        self.candidates = self.candidates.narrow(alive)
        self.rows = self.rows[alive]
        if len(self.candidates) != len(self.rows):
            raise InternalError(f"narrowing to {len(self.rows)} candidates gave {len(self.candidates)}")
        self._bounds = {path: None if bounds is None else bounds.narrow(alive) for path, bounds in self._bounds.items()}
        self._ranges.clear()

    def _evaluate(self, name: Predicate, predicate: Predicate) -> Masks:
        masks = evaluate(predicate, len(self.rows), self._range, self._complain)
        fresh = ~masks.maybe & (self.dropped_by[self.rows] < 0)
        self.dropped_by[self.rows[fresh]] = len(self.steps)
        self.dropped_count += int(np.count_nonzero(fresh))
        used = {path: bounds for path in columns_of(predicate) if (bounds := self._bounds.get(path)) is not None}
        self.steps.append(_Step(name, self.rows, used))
        return masks

    def _range(self, column: ColumnPath) -> Range:
        if column not in self._ranges:
            name = ".".join(column)
            if column not in self._bounds:
                self._bounds[column] = self.candidates.bounds(column)
            bounds, length = self._bounds[column], len(self.rows)
            self._ranges[column] = nothing_known(length, f"no statistics for column {name}") if bounds is None else range_of(bounds, length, name)
        return self._ranges[column]

    def _complain(self, predicate: Predicate, reason: str) -> None:
        self.unusable.append((str(predicate), reason))


# Reasons as text -----------------------------------------------------------------------------------------------------------------------------------


def _null_tests(predicate: Predicate) -> frozenset[ColumnPath]:
    match predicate:
        case IsNull(term):
            return frozenset((column_of(term),))
        case And(parts) | Or(parts):
            return frozenset[ColumnPath]().union(*(_null_tests(part) for part in parts))
        case _:
            return frozenset()


def _bound_text(path: ColumnPath, bounds: Bounds, index: int, with_nulls: bool) -> str:
    name = ".".join(path)
    lower, upper = bounds.lower[index], bounds.upper[index]
    if bounds.constant:
        return f"{name} = {_short(lower)}" if lower.is_valid else f"{name} IS NULL"
    if bounds.row_count[index].as_py() == 0:
        return "0 rows"
    null_count = bounds.null_count[index].as_py()
    shown = [f"{name} has no nulls"] if with_nulls and null_count == 0 else []
    if lower.is_valid and upper.is_valid:
        shown.insert(0, f"{name} in [{_short(lower)}, {_short(upper)}]")
    elif lower.is_valid:
        shown.insert(0, f"{name} >= {_short(lower)}")
    elif upper.is_valid:
        shown.insert(0, f"{name} <= {_short(upper)}")
    elif null_count is not None and null_count == bounds.row_count[index].as_py():
        return f"{name} IS NULL in every row"
    return ", ".join(shown) or f"bounds of {name} unknown"


def _short(value: pa.Scalar) -> str:
    text = literal(value)
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 1] + "…"
