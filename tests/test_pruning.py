"""The rules of pruning, one by one; `tests/properties/test_pruning_properties.py` holds the whole of it against an oracle."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from pruning_cases import EQ, GE, GT, LE, LT, NE, ROWS, X, bounds, compare, table, verdicts, words

from lakesql.predicate import Column, Compare, In, IsNull, Op, Opaque, StartsWith
from lakesql.pruning import Bounds, prune

# Comparisons ---------------------------------------------------------------------------------------------------------------------------------------

FIVES = [(1, 4), (5, 5), (3, 7), (6, 9), (None, 4), (6, None), (None, None)]


@pytest.mark.parametrize(
    ("op", "expected"),
    [
        (LT, ["all", "drop", "keep", "drop", "all", "drop", "keep"]),
        (LE, ["all", "all", "keep", "drop", "all", "drop", "keep"]),
        (EQ, ["drop", "all", "keep", "drop", "drop", "drop", "keep"]),
        (NE, ["all", "drop", "keep", "all", "all", "all", "keep"]),
        (GE, ["drop", "all", "keep", "all", "drop", "all", "keep"]),
        (GT, ["drop", "drop", "keep", "all", "drop", "all", "keep"]),
    ],
)
@pytest.mark.parametrize(
    "type_", [pa.int8(), pa.int64(), pa.uint8(), pa.uint64(), pa.float32(), pa.float64(), pa.decimal128(5, 2), pa.date32(), pa.timestamp("us")]
)
def test_an_operator_against_bounds(op: Op, expected: list[str], type_: pa.DataType) -> None:
    known_nans = {"nan_count": pa.array([0] * len(FIVES), pa.int64())} if pa.types.is_floating(type_) else {}
    assert compare(op, pa.scalar(5, type_), bounds(FIVES, type_, **known_nans)) == expected


def test_nulls_satisfy_no_comparison() -> None:
    x = bounds([(5, 5), (5, 5), (None, None), (None, None)], pa.int64(), nulls=[3, None, ROWS, None])
    assert compare(EQ, 5, x) == ["keep", "keep", "drop", "keep"]
    assert compare(NE, 5, x) == ["drop", "drop", "drop", "keep"]
    assert compare(NE, 6, x) == ["keep", "keep", "drop", "keep"]


def test_a_candidate_without_rows_is_dropped_by_any_test() -> None:
    x = bounds([(None, None)], pa.int64(), rows=0)
    for predicate in (Compare(X, EQ, pa.scalar(1)), IsNull(X), IsNull(X, negated=True), In(X, pa.array([1]), negated=True)):
        assert verdicts(predicate, x) == ["drop"]
    assert prune(table(x=x), [IsNull(X)]).reasons([0]) == [("x IS NULL", "0 rows")]
    assert words(prune(table(x=x), [Opaque("f(x)", "a function", (("x",),))])) == ["keep"]


def test_contradicting_metadata_proves_nothing() -> None:
    crossed = bounds([(9, 1)], pa.int64())
    assert compare(EQ, 100, crossed) == ["keep"]
    assert compare(LT, 100, crossed) == ["keep"]
    nulls_with_bounds = bounds([(1, 2)], pa.int64(), nulls=ROWS)
    assert verdicts(IsNull(X), nulls_with_bounds) == ["keep"]
    assert compare(EQ, 1, nulls_with_bounds) == ["keep"]
    more_nulls_than_rows = bounds([(None, None)], pa.int64(), nulls=ROWS + 1)
    assert verdicts(IsNull(X, negated=True), more_nulls_than_rows) == ["keep"]


@pytest.mark.parametrize(("negated", "expected"), [(False, ["drop", "keep", "all", "keep", "keep"]), (True, ["all", "keep", "drop", "keep", "keep"])])
def test_is_null(negated: bool, expected: list[str]) -> None:
    x = bounds([(1, 2), (1, 2), (None, None), (1, 2), (None, None)], pa.int64(), nulls=[0, 3, ROWS, None, 3])
    assert verdicts(IsNull(X, negated), x) == expected


def test_inexact_null_counts_mean_only_their_extremes() -> None:
    x = bounds([(1, 2), (1, 2), (None, None)], pa.int64(), nulls=[0, 3, ROWS], null_count_exact=False)
    assert verdicts(IsNull(X), x) == ["drop", "keep", "all"]


def test_unknown_row_count_leaves_nulls_undecided() -> None:
    assert verdicts(IsNull(X, negated=True), bounds([(None, None)], pa.int64(), nulls=ROWS, rows=None)) == ["keep"]


def test_columns_without_order_still_have_nulls() -> None:
    struct = pa.struct([("a", pa.int64())])
    x = Bounds(pa.nulls(2, struct), pa.nulls(2, struct), pa.array([0, ROWS], pa.int64()), pa.array([ROWS, ROWS], pa.int64()))
    verdict = prune(table(x=x), [IsNull(X)])
    assert words(verdict) == ["drop", "all"]
    assert verdict.unusable == ()


def test_struct_fields() -> None:
    field = Column(("s", "a"))
    files = table(s__a=bounds([(1, 4), (5, 9)], pa.int64(), nulls=[0, 2]))
    verdict = prune(files, [Compare(field, LT, pa.scalar(5))])
    assert words(verdict) == ["all", "drop"]
    assert verdict.reasons([1]) == [("s.a < 5", "s.a in [5, 9]")]
    assert words(prune(files, [IsNull(field)])) == ["drop", "keep"]
    assert prune(files, [IsNull(Column(("s",)))]).unusable == (("s IS NULL", "no statistics for column s"),)


# Constants of a candidate --------------------------------------------------------------------------------------------------------------------------


def test_partition_values() -> None:
    value = pa.array([1, 5, None, 9])
    unknown = pa.nulls(4, pa.int64())
    x = Bounds(value, value, unknown, unknown, constant=True)
    assert compare(EQ, 5, x) == ["drop", "all", "drop", "drop"]
    assert compare(NE, 5, x) == ["all", "drop", "drop", "all"]
    assert verdicts(In(X, pa.array([1, 9])), x) == ["all", "drop", "drop", "all"]
    assert verdicts(In(X, pa.array([1, 9]), negated=True), x) == ["drop", "all", "drop", "drop"]
    assert verdicts(IsNull(X), x) == ["drop", "drop", "all", "drop"]
    verdict = prune(table(x=x), [Compare(X, EQ, pa.scalar(5))])
    assert verdict.reasons([0, 2]) == [("x = 5", "x = 1"), ("x = 5", "x IS NULL")]


def test_a_partition_value_of_nan_is_no_null() -> None:
    value = pa.array([math.nan, 1.0, None])
    x = Bounds(value, value, pa.nulls(3, pa.int64()), pa.nulls(3, pa.int64()), constant=True)
    assert compare(GT, 5.0, x) == ["keep", "drop", "drop"]
    assert compare(EQ, 1.0, x) == ["keep", "all", "drop"]
    assert verdicts(IsNull(X), x) == ["drop", "drop", "all"]


@pytest.mark.parametrize("type_", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())])
def test_text_partitions(type_: pa.DataType) -> None:
    value = pa.array(["", "é", "z", None]).cast(type_) if pa.types.is_dictionary(type_) else pa.array(["", "é", "z", None], type_)
    x = Bounds(value, value, pa.nulls(4, pa.int64()), pa.nulls(4, pa.int64()), constant=True)
    assert compare(EQ, "", x) == ["all", "drop", "drop", "drop"]
    assert compare(GT, "z", x) == ["drop", "all", "drop", "drop"], "é sorts after z by its bytes"
    assert verdicts(StartsWith(X, "é"), x) == ["drop", "all", "drop", "drop"]
    assert prune(table(x=x), [Compare(X, EQ, pa.scalar("é"))]).reasons([0, 2]) == [("x = 'é'", "x = ''"), ("x = 'é'", "x = 'z'")]


# Floats --------------------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("op", "unknown_nans", "no_nans"),
    [(LT, "drop", "drop"), (LE, "drop", "drop"), (EQ, "drop", "drop"), (NE, "keep", "all"), (GE, "keep", "all"), (GT, "keep", "all")],
)
def test_nan_sorts_above_every_number(op: Op, unknown_nans: str, no_nans: str) -> None:
    assert compare(op, -1.0, bounds([(1.0, 2.0)], pa.float64())) == [unknown_nans]
    some = bounds([(1.0, 2.0)] * 3, pa.float64(), nan_count=pa.array([0, None, 1], pa.int64()))
    assert compare(op, -1.0, some) == [no_nans, unknown_nans, unknown_nans]


def test_greater_than_prunes_floats_only_without_nan() -> None:
    assert compare(GT, 5.0, bounds([(1.0, 2.0)], pa.float64())) == ["keep"]
    assert compare(GT, 5.0, bounds([(1.0, 2.0)], pa.float64(), nan_count=pa.array([0], pa.int64()))) == ["drop"]
    assert compare(LT, 5.0, bounds([(1.0, 2.0)], pa.float64())) == ["keep"]
    assert compare(LT, 5.0, bounds([(1.0, 2.0)], pa.float64(), nan_count=pa.array([0], pa.int64()))) == ["all"]
    told = prune(table(x=bounds([(1.0, 2.0)], pa.float64())), [Compare(X, GT, pa.scalar(5.0))]).unusable
    assert told == (("x > 5.0", "NaN, which sorts above every number, may be among the values"),)


def test_nan_as_a_literal_decides_nothing() -> None:
    x = bounds([(1.0, 2.0)], pa.float64(), nan_count=pa.array([0], pa.int64()))
    for op in Op:
        assert compare(op, math.nan, x) == ["keep"]
    assert verdicts(In(X, pa.array([math.nan, 7.0])), bounds([(1.0, 2.0)], pa.float64())) == ["keep"]
    assert verdicts(In(X, pa.array([math.nan, 7.0])), x) == ["drop"]
    assert verdicts(In(X, pa.array([math.nan, 7.0]), negated=True), x) == ["all"]


@pytest.mark.parametrize("literal", [0.0, -0.0])
@pytest.mark.parametrize("bound", [0.0, -0.0])
def test_the_sign_of_zero_drops_nothing(literal: float, bound: float) -> None:
    zeros = bounds([(bound, bound)], pa.float64(), nan_count=pa.array([0], pa.int64()))
    for op in Op:
        assert compare(op, literal, zeros) == ["keep"]
    assert verdicts(In(X, pa.array([literal])), zeros) == ["keep"]
    assert verdicts(In(X, pa.array([literal]), negated=True), zeros) == ["keep"]
    below = bounds([(-2.0, -1.0)], pa.float64(), nan_count=pa.array([0], pa.int64()))
    assert [compare(op, literal, below) for op in (LT, LE, EQ, NE, GE, GT)] == [["all"], ["all"], ["drop"], ["all"], ["drop"], ["drop"]]


def test_only_what_holds_for_nan_is_said_to_be_spoilt_by_it() -> None:
    files = table(x=bounds([(1.0, 2.0)], pa.float64()))
    assert prune(files, [Compare(X, LT, pa.scalar(5.0)), In(X, pa.array([1.5]))]).unusable == ()
    assert prune(files, [Compare(X, EQ, pa.scalar(math.nan))]).unusable == (("x = nan", "compared with NaN or null"),)
    assert len(prune(files, [Compare(X, NE, pa.scalar(5.0)), In(X, pa.array([1.5]), negated=True)]).unusable) == 2


def test_infinities_and_subnormals_are_numbers() -> None:
    x = bounds([(-math.inf, -1.0), (5e-324, math.inf)], pa.float64(), nan_count=pa.array([0, 0], pa.int64()))
    assert compare(GT, 0.0, x) == ["drop", "all"]
    assert compare(EQ, math.inf, x) == ["drop", "keep"]
    assert compare(LE, math.inf, x) == ["all", "all"]


def test_nan_among_the_bounds_is_no_bound() -> None:
    x = bounds([(1.0, math.nan)], pa.float64(), nan_count=pa.array([0], pa.int64()))
    assert compare(GT, 100.0, x) == ["keep"]
    assert compare(LT, 0.5, x) == ["keep"], "a writer that lets NaN into one bound is not trusted with the other"


def test_halves() -> None:
    x = bounds([(np.float16(1), np.float16(2))], pa.float16())
    assert compare(LT, pa.scalar(np.float16(1), pa.float16()), x) == ["drop"]
    assert compare(LT, 1e300, x) == ["keep"], "a literal the type cannot hold decides nothing"


# Text and bytes ------------------------------------------------------------------------------------------------------------------------------------


def test_text_sorts_by_its_bytes_in_utf8() -> None:
    x = bounds([("\uffff", "\U0001f600")], pa.string())
    assert compare(LT, "\uffff", x) == ["drop"]
    assert compare(GT, "\uffff", x) == ["keep"]
    assert compare(LE, "\U0001f600", x) == ["all"], "UTF-16 would sort the emoji first"


def test_cut_bounds_never_pin_a_value() -> None:
    cut = bounds([("abc", "abc")], pa.string())
    assert compare(EQ, "abc", cut) == ["keep"]
    assert compare(NE, "abc", cut) == ["keep"]
    assert verdicts(In(X, pa.array(["abc"]), negated=True), cut) == ["keep"]
    whole = bounds([("abc", "abc")], pa.string(), exact=True)
    assert compare(EQ, "abc", whole) == ["all"]
    assert compare(NE, "abc", whole) == ["drop"]
    assert compare(EQ, b"abc", bounds([(b"abc", b"abc")], pa.binary())) == ["keep"]
    assert compare(EQ, "abd", cut) == ["drop"], "cut bounds are still bounds"


@pytest.mark.parametrize(
    ("prefix", "like", "not_like"),
    [
        ("ab", ["keep", "all", "all", "drop", "drop", "keep", "keep"], ["keep", "drop", "drop", "all", "all", "keep", "keep"]),
        ("", ["all"] * 7, ["drop"] * 7),
        ("abcdefgh", ["keep", "drop", "drop", "drop", "drop", "keep", "keep"], ["keep", "all", "all", "all", "all", "keep", "keep"]),
    ],
)
def test_a_fixed_beginning(prefix: str, like: list[str], not_like: list[str]) -> None:
    x = bounds([("a", "b"), ("ab", "abc"), ("aba", "abb"), ("ac", "b"), ("", "aa"), (None, "b"), ("a", None)], pa.string())
    assert verdicts(StartsWith(X, prefix), x) == like
    assert verdicts(StartsWith(X, prefix, negated=True), x) == not_like


def test_like_and_nulls() -> None:
    x = bounds([("ab", "abc"), (None, None)], pa.string(), nulls=[1, ROWS])
    assert verdicts(StartsWith(X, ""), x) == ["keep", "drop"]
    assert verdicts(StartsWith(X, "ab"), x) == ["keep", "drop"]
    assert verdicts(StartsWith(X, "ab", negated=True), x) == ["drop", "drop"]


def test_like_is_for_text_alone() -> None:
    verdict = prune(table(x=bounds([(1, 2)], pa.int64())), [StartsWith(X, "9")])
    assert words(verdict) == ["keep"]
    assert verdict.unusable == (("x LIKE '9%'", "LIKE on int64 is not followed"),)
    assert verdicts(StartsWith(X, "9"), bounds([(b"1", b"2")], pa.binary())) == ["keep"]


def test_a_prefix_that_ends_in_the_last_character() -> None:
    x = bounds([("a\U0010ffffb", "a\U0010ffffc"), ("b", "c")], pa.string())
    assert verdicts(StartsWith(X, "a\U0010ffff"), x) == ["all", "drop"]


@pytest.mark.parametrize("type_", [pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(2)])
def test_bytes_sort_unsigned(type_: pa.DataType) -> None:
    x = bounds([(b"\x01\x00", b"\x7f\xff"), (b"\x80\x00", b"\xff\xff")], type_)
    assert compare(GE, pa.scalar(b"\x80", pa.binary()), x) == ["drop", "all"]


# Other types ---------------------------------------------------------------------------------------------------------------------------------------


def test_booleans() -> None:
    x = bounds([(False, False), (False, True), (True, True), (None, None)], pa.bool_())
    assert compare(EQ, True, x) == ["drop", "keep", "all", "keep"]
    assert compare(NE, True, x) == ["all", "keep", "drop", "keep"]
    assert compare(EQ, 1, x) == ["keep"] * 4, "an integer is no boolean"


@pytest.mark.parametrize("type_", [pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns"), pa.duration("us")])
def test_times(type_: pa.DataType) -> None:
    second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[type_.unit]
    x = bounds([(second, 2 * second), (3 * second, 4 * second)], type_)
    literal = pa.scalar(2_500_000_000, pa.time64("ns")) if not pa.types.is_duration(type_) else pa.scalar(2_500, pa.duration("ms"))
    assert compare(LT, literal, x) == ["all", "drop"]


def test_types_without_order_are_kept_and_named() -> None:
    lists = pa.list_(pa.int64())
    x = Bounds(pa.array([[1]], lists), pa.array([[2]], lists), pa.array([0]), pa.array([ROWS]))
    verdict = prune(table(x=x), [Compare(X, EQ, pa.scalar([5], lists))])
    assert words(verdict) == ["keep"]
    assert "no order that pruning knows" in verdict.unusable[0][1]


def test_bounds_of_the_null_type_are_unknown() -> None:
    verdict = prune(table(x=Bounds(pa.nulls(1), pa.nulls(1), pa.nulls(1), pa.nulls(1))), [Compare(X, EQ, pa.scalar(1))])
    assert words(verdict) == ["keep"]
    assert verdict.unusable == (("x = 1", "no bounds for column x"),)
    half = Bounds(pa.nulls(1), pa.array([5]), pa.array([0]), pa.array([ROWS]))
    assert compare(GT, 5, half) == ["drop"]


# Lists ---------------------------------------------------------------------------------------------------------------------------------------------

LISTED = [(1, 4), (5, 5), (6, 9), (10, 12), (None, 4), (11, None), (None, None)]


@pytest.mark.parametrize("type_", [pa.int64(), pa.uint64(), pa.float64(), pa.decimal128(9, 3), pa.decimal256(50, 3), pa.date32()])
def test_lists(type_: pa.DataType) -> None:
    known_nans = {"nan_count": pa.array([0] * len(LISTED), pa.int64())} if pa.types.is_floating(type_) else {}
    x = bounds(LISTED, type_, **known_nans)
    listed = pa.array([10, 5, 5], type_)
    assert verdicts(In(X, listed), x) == ["drop", "all", "drop", "keep", "drop", "drop", "keep"]
    assert verdicts(In(X, listed, negated=True), x) == ["all", "drop", "all", "keep", "all", "all", "keep"]


def test_lists_of_text() -> None:
    x = bounds([("a", "c"), ("d", "d"), ("e", "z"), (None, "c"), ("e", None)], pa.string(), exact=True)
    assert verdicts(In(X, pa.array(["d", "b"])), x) == ["keep", "all", "drop", "keep", "drop"]
    assert verdicts(In(X, pa.array(["d", "b"]), negated=True), x) == ["keep", "drop", "all", "keep", "all"]


def test_lists_of_another_type() -> None:
    x = bounds([(1, 4), (5, 5)], pa.int32())
    assert verdicts(In(X, pa.array([Decimal("4.5"), Decimal("5.0")])), x) == ["drop", "all"]
    assert verdicts(In(X, pa.array([5, 2**40])), x) == ["drop", "all"]
    assert verdicts(In(X, pa.array(["5"])), x) == ["keep", "keep"]


def test_lists_with_null_or_nothing() -> None:
    x = bounds([(1, 4), (5, 5)], pa.int64())
    assert verdicts(In(X, pa.array([5, None])), x) == ["drop", "all"]
    assert verdicts(In(X, pa.array([7, None]), negated=True), x) == ["keep", "keep"], "null in the list: never true, here not even proved"
    assert verdicts(In(X, pa.array([], pa.int64())), x) == ["drop", "drop"]
    assert verdicts(In(X, pa.array([], pa.int64()), negated=True), x) == ["all", "all"]


def test_a_long_list_is_searched() -> None:
    count, step = 50_000, 10
    starts = np.arange(count, dtype=np.int64) * step
    x = Bounds(pa.array(starts), pa.array(starts + step - 1), pa.array(np.zeros(count, np.int64)), pa.array(np.full(count, ROWS)))
    wanted = np.arange(0, count * step, 1001)
    for listed, column in ((pa.array(wanted), x), (pa.array(wanted).cast(pa.decimal128(38, 0)), _as(x, pa.decimal128(38, 2)))):
        keep = prune(table(x=column), [In(X, listed)]).keep
        assert np.flatnonzero(keep).tolist() == sorted({int(w) // step for w in wanted})


def _as(x: Bounds, type_: pa.DataType) -> Bounds:
    return Bounds(x.lower.cast(type_), x.upper.cast(type_), x.null_count, x.row_count)
