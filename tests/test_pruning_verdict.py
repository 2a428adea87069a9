"""Conjunctions: what is asked of candidates and when, what is reported, and what happens to bounds that break their contract."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pruning_cases import EQ, GT, LT, NE, ROWS, X, bounds, compare, table, verdicts, words

from lakesql.errors import InternalError
from lakesql.predicate import And, Column, Compare, Constant, In, IsNull, Op, Opaque, Or, Predicate, StartsWith, Truncate, negate
from lakesql.pruning import Bounds, TableBounds, prune
from lakesql.pruning.bounds import Mask

# Trees ---------------------------------------------------------------------------------------------------------------------------------------------


def test_and_or() -> None:
    x = bounds([(1, 4), (5, 9), (20, 30)], pa.int64())
    low, high = Compare(X, LT, pa.scalar(5)), Compare(X, GT, pa.scalar(10))
    assert verdicts(Or((low, high)), x) == ["all", "drop", "all"]
    assert verdicts(And((low, high)), x) == ["drop", "drop", "drop"]
    assert verdicts(negate(Or((low, high))), x) == ["drop", "all", "drop"]


def test_constants() -> None:
    x = bounds([(1, 4)], pa.int64())
    assert verdicts(Constant(True), x) == ["all"]
    assert verdicts(Constant(False), x) == ["drop"]
    assert verdicts(Constant(None), x) == ["drop"]
    assert verdicts(Or((Constant(None), Compare(X, LT, pa.scalar(5)))), x) == ["all"]
    assert prune(table(x=x), [Constant(False)]).reasons([0]) == [("FALSE", "true for no row")]


def test_opaque_keeps_and_is_reported_once() -> None:
    x = bounds([(1, 4)], pa.int64())
    odd = Opaque("x % 2 = 1", "arithmetic", (("x",),))
    verdict = prune(table(x=x), [Or((odd, Compare(X, GT, pa.scalar(9)))), And((odd, Compare(X, LT, pa.scalar(9))))])
    assert words(verdict) == ["keep"]
    assert verdict.unusable == (("x % 2 = 1", "arithmetic"),)


def test_no_predicates_keep_everything() -> None:
    verdict = prune(table(x=bounds([(1, 4)], pa.int64())), [])
    assert words(verdict) == ["all"]
    assert verdict.unusable == ()


def test_no_candidates() -> None:
    verdict = prune(TableBounds({}, 0), [Compare(X, EQ, pa.scalar(1)), Opaque("f(x)", "a function")])
    assert len(verdict.keep) == len(verdict.all_match) == verdict.dropped_by_partition == verdict.dropped_by_statistics == 0
    assert verdict.unusable == (("f(x)", "a function"),)


# The conjunction -----------------------------------------------------------------------------------------------------------------------------------

DAY, ID = Column(("day",)), Column(("id",))
PARTITION = frozenset({("day",)})


class Recorded:
    """Candidates that note what was asked of them, and can be narrowed."""

    def __init__(self, inner: TableBounds, asked: list[tuple[str, int]]) -> None:
        self._inner, self._asked = inner, asked

    def __len__(self) -> int:
        return len(self._inner)

    def bounds(self, column: tuple[str, ...]) -> Bounds | None:
        self._asked.append((".".join(column), len(self._inner)))
        return self._inner.bounds(column)

    def narrow(self, mask: Mask) -> Recorded:
        return Recorded(self._inner.narrow(mask), self._asked)


def lake() -> TableBounds:
    """Four files over two days."""
    day = pa.array([1, 1, 2, 2], pa.int32()).cast(pa.date32())
    counts = pa.array([ROWS] * 4, pa.int64())
    return table(day=Bounds(day, day, pa.nulls(4, pa.int64()), counts, constant=True), id=bounds([(1, 4), (5, 9), (1, 4), (5, 9)], pa.int64()))


def on(day: int, op: Op, id_: int) -> And:
    return And((Compare(DAY, EQ, pa.scalar(day, pa.date32())), Compare(ID, op, pa.scalar(id_))))


def test_partition_columns_come_first_and_statistics_of_survivors_alone() -> None:
    asked: list[tuple[str, int]] = []
    verdict = prune(Recorded(lake(), asked), [Compare(ID, LT, pa.scalar(5)), Compare(DAY, EQ, pa.scalar(2, pa.date32()))], partition_columns=PARTITION)
    assert words(verdict) == ["drop", "drop", "all", "drop"]
    assert (verdict.dropped_by_partition, verdict.dropped_by_statistics) == (2, 1)
    assert asked == [("day", 4), ("id", 2)]
    assert verdict.reasons([3, 0]) == [("id < 5", "id in [5, 9]"), ("day = DATE '1970-01-03'", "day = DATE '1970-01-02'")]


def test_what_a_mixed_conjunct_says_of_partitions_drops_before_statistics() -> None:
    asked: list[tuple[str, int]] = []
    mixed = Or((on(2, LT, 5), on(3, GT, 5)))
    verdict = prune(Recorded(lake(), asked), [mixed], partition_columns=PARTITION)
    assert words(verdict) == ["drop", "drop", "all", "drop"]
    assert (verdict.dropped_by_partition, verdict.dropped_by_statistics) == (2, 1)
    assert asked == [("day", 4), ("id", 2)]
    assert verdict.reasons([0]) == [(str(mixed), "day = DATE '1970-01-02'")]


def test_nothing_is_decoded_when_nothing_is_left() -> None:
    asked: list[tuple[str, int]] = []
    verdict = prune(Recorded(lake(), asked), [Compare(DAY, EQ, pa.scalar(9, pa.date32())), Compare(ID, LT, pa.scalar(5))], partition_columns=PARTITION)
    assert words(verdict) == ["drop"] * 4
    assert asked == [("day", 4)]


def test_columns_are_asked_once() -> None:
    asked: list[tuple[str, int]] = []
    prune(Recorded(lake(), asked), [on(2, LT, 5), Compare(ID, GT, pa.scalar(0)), Compare(DAY, NE, pa.scalar(0, pa.date32()))], partition_columns=PARTITION)
    assert asked == [("day", 4), ("id", 2)]


def test_later_columns_are_decoded_for_what_earlier_ones_leave() -> None:
    asked: list[tuple[str, int]] = []
    files = table(a=bounds([(1, 1), (2, 2), (3, 3)], pa.int64()), b=bounds([(1, 1), (2, 2), (3, 3)], pa.int64()))
    a, b = Column(("a",)), Column(("b",))
    verdict = prune(Recorded(files, asked), [Compare(a, GT, pa.scalar(1)), Compare(b, LT, pa.scalar(3)), Compare(a, LT, pa.scalar(9))])
    assert words(verdict) == ["drop", "all", "drop"]
    assert asked == [("a", 3), ("b", 2)]
    assert verdict.reasons([0, 2]) == [("a > 1", "a in [1, 1]"), ("b < 3", "b in [3, 3]")]


def test_columns_without_statistics_are_named() -> None:
    verdict = prune(lake(), [Compare(X, EQ, pa.scalar(1)), IsNull(X), Compare(ID, LT, pa.scalar(5))])
    assert words(verdict) == ["keep", "drop", "keep", "drop"]
    assert verdict.unusable == (("x = 1", "no statistics for column x"), ("x IS NULL", "no statistics for column x"))


def test_reasons_name_nulls_and_cut_long_texts() -> None:
    files = table(x=bounds([("a" * 100, "b" * 100), (None, None)], pa.string(), nulls=[0, ROWS]))
    verdict = prune(files, [Or((IsNull(X), Compare(X, EQ, pa.scalar("c"))))])
    assert words(verdict) == ["drop", "all"]
    bound = verdict.reasons([0])[0][1]
    assert bound == f"x in ['{'a' * 58}…, '{'b' * 58}…], x has no nulls"
    assert prune(files, [IsNull(X, negated=True)]).reasons([1]) == [("x IS NOT NULL", "x IS NULL in every row")]
    one_sided = table(x=bounds([(5, None), (None, 1)], pa.int64()))
    verdict = prune(one_sided, [Compare(X, EQ, pa.scalar(3))])
    assert [bound for _, bound in verdict.reasons([0, 1])] == ["x >= 5", "x <= 1"]


def test_a_kept_candidate_has_no_reason() -> None:
    with pytest.raises(InternalError, match="candidate 0 was kept"):
        prune(lake(), []).reasons([0])


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"lower": pa.array([1])}, "lower has 1 entries for 2 candidates"),
        ({"nan_count": pa.array([1])}, "nan_count has 1 entries for 2 candidates"),
        ({"upper": pa.array(["a", "b"])}, "lower is int64, upper is string"),
        ({"null_count": pa.array([1.0, 2.0])}, "null_count is double, not int64"),
    ],
)
def test_bounds_that_break_their_contract_are_our_own_fault(broken: dict[str, pa.Array], message: str) -> None:
    sound = {"lower": pa.array([1, 2]), "upper": pa.array([1, 2]), "null_count": pa.array([0, 0]), "row_count": pa.array([1, 1])}
    with pytest.raises(InternalError, match=message):
        prune(TableBounds({("x",): Bounds(**{**sound, **broken})}, 2), [Compare(X, EQ, pa.scalar(1))])


def test_chunked_and_encoded_bounds_are_taken() -> None:
    text = pa.chunked_array([pa.array(["a"]), pa.array(["c"])]).dictionary_encode()
    counts = pa.chunked_array([pa.array([0]), pa.array([0])])
    x = Bounds(text, text, counts, pa.chunked_array([pa.array([1]), pa.array([1])]))
    assert compare(GT, "b", x) == ["drop", "all"]
    assert x.narrow(np.array([False, True])).lower.to_pylist() == ["c"]


def test_pruning_a_hundred_thousand_candidates_takes_no_loop() -> None:
    """Python's own calls are counted, not time: they must not grow with the candidates."""
    import sys

    def calls(count: int) -> int:
        starts = np.arange(count, dtype=np.int64)
        zeros, rows = pa.array(np.zeros(count, np.int64)), pa.array(np.full(count, ROWS))
        text = pa.array(starts).cast(pa.string())
        files = table(
            id=Bounds(pa.array(starts), pa.array(starts + 9), zeros, rows),
            ts=Bounds(pa.array(starts, pa.timestamp("us")), pa.array(starts, pa.timestamp("us")), zeros, rows),
            name=Bounds(text, text, zeros, rows),
        )
        seen = 0

        def count_calls(*_: Any) -> None:
            nonlocal seen
            seen += 1

        predicates: Sequence[Predicate] = [
            Compare(ID, GT, pa.scalar(5)),
            In(ID, pa.array(range(0, 100, 7))),
            Compare(Truncate("month", Column(("ts",))), EQ, pa.scalar(dt.datetime(1970, 1, 1))),
            StartsWith(Column(("name",)), "1"),
            In(Column(("name",)), pa.array(["1", "10"])),
        ]
        sys.setprofile(count_calls)
        try:
            prune(files, predicates)
        finally:
            sys.setprofile(None)
        return seen

    assert calls(100_000) < 1.1 * calls(1_000)
