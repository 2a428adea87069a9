"""The rules of pruning, one by one. `tests/properties/test_pruning_properties.py` holds the whole of it against an oracle.

Each rule is a table of candidates and what a predicate makes of them: `drop` (no row matches), `all` (every row does), `keep` (some may).
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from lakesql.errors import InternalError
from lakesql.predicate import And, Cast, Column, Compare, Constant, In, IsNull, Op, Opaque, Or, Predicate, StartsWith, Term, Truncate, negate
from lakesql.pruning import Bounds, TableBounds, prune
from lakesql.pruning.bounds import Mask
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


# Literals of other types ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("literal", "below", "equal", "above"),
    [
        (pa.scalar(Decimal("4.5")), "all", "drop", "drop"),
        (pa.scalar(4.5), "all", "drop", "drop"),
        (pa.scalar(Decimal("5.0"), pa.decimal128(38, 1)), "keep", "keep", "drop"),
        (pa.scalar(5, pa.uint8()), "keep", "keep", "drop"),
        (pa.scalar(2**64 - 1, pa.uint64()), "all", "drop", "drop"),
        (pa.scalar(-1, pa.int8()), "drop", "drop", "all"),
        (pa.scalar(Decimal("1e30"), pa.decimal128(38, 0)), "all", "drop", "drop"),
        (pa.scalar(Decimal("-1e30"), pa.decimal128(38, 0)), "drop", "drop", "all"),
        (pa.scalar(2.0**53), "keep", "keep", "keep"),
        (pa.scalar(-0.0), "keep", "keep", "keep"),
        (pa.scalar(np.float32(2.0**24), pa.float32()), "keep", "keep", "keep"),
        (pa.scalar(math.inf), "keep", "keep", "keep"),
        (pa.scalar("5"), "keep", "keep", "keep"),
    ],
)
def test_integers_against_other_numbers(literal: pa.Scalar, below: str, equal: str, above: str) -> None:
    x = bounds([(0, 5)], pa.int64())
    if below == "all" and literal.as_py() < 5:
        x = bounds([(0, 4)], pa.int64())
    assert compare(LT, literal, x) == [below]
    assert compare(EQ, literal, x) == [equal]
    assert compare(GT, literal, x) == [above]


def test_integers_beyond_doubles_are_not_rounded() -> None:
    x = bounds([(2**53 + 1, 2**53 + 1)], pa.int64())
    assert compare(EQ, 2**53, x) == ["drop"]
    assert compare(EQ, float(2**53), x) == ["keep"], "an engine that compares as doubles finds them equal"
    assert compare(GT, pa.scalar(Decimal(2**53), pa.decimal128(20, 0)), x) == ["all"]


def test_decimals_of_different_scales() -> None:
    x = bounds([(Decimal("1.25"), Decimal("1.25"))], pa.decimal128(5, 2))
    assert compare(EQ, Decimal("1.250"), x) == ["all"]
    assert compare(EQ, Decimal("1.251"), x) == ["drop"]
    assert compare(LT, Decimal("1.2500001"), x) == ["all"]
    assert compare(LT, Decimal("1.2499999"), x) == ["drop"]
    assert compare(EQ, 1, x) == ["drop"]
    assert compare(GT, pa.scalar(Decimal("1e37"), pa.decimal128(38, 0)), x) == ["drop"]
    assert compare(EQ, 1.25, x) == ["keep"], "a float among decimals is rounded by somebody"


def test_floats_against_literals_they_cannot_hold() -> None:
    x = bounds([(0.1, 0.1)], pa.float64(), nan_count=pa.array([0], pa.int64()))
    assert compare(EQ, Decimal("0.1"), x) == ["keep"]
    assert compare(EQ, Decimal("0.5"), x) == ["drop"]
    assert compare(EQ, 2**53 + 1, x) == ["keep"]
    single = bounds([(np.float32(0.1), np.float32(0.1))], pa.float32(), nan_count=pa.array([0], pa.int64()))
    assert compare(EQ, 0.1, single) == ["keep"]
    assert compare(EQ, float(np.float32(0.1)), single) == ["all"]


def test_timestamps_of_different_units_and_zones() -> None:
    second = dt.datetime(2026, 1, 1, 0, 0, 1)
    x = bounds([(second, second)], pa.timestamp("us", "UTC"))
    nanoseconds = int(second.replace(tzinfo=dt.UTC).timestamp()) * 10**9
    assert compare(EQ, pa.scalar(nanoseconds, pa.timestamp("ns", "UTC")), x) == ["all"]
    assert compare(EQ, pa.scalar(nanoseconds + 1, pa.timestamp("ns", "UTC")), x) == ["drop"]
    assert compare(LT, pa.scalar(nanoseconds + 1, pa.timestamp("ns", "UTC")), x) == ["all"]
    assert compare(GE, pa.scalar(nanoseconds + 1, pa.timestamp("ns")), x) == ["drop"], "without a zone is UTC"
    assert compare(EQ, pa.scalar(nanoseconds, pa.timestamp("ns", "Europe/Paris")), x) == ["all"], "an instant is an instant"
    assert compare(EQ, pa.scalar(2**62, pa.timestamp("s")), x) == ["drop"], "no overflow"
    paris = bounds([(second, second)], pa.timestamp("us", "Europe/Paris"))
    assert compare(EQ, pa.scalar(0, pa.timestamp("s")), paris) == ["keep"], "local time is not known"


def test_dates_against_timestamps() -> None:
    x = bounds([(dt.date(2026, 1, 1), dt.date(2026, 1, 1))], pa.date32())
    assert compare(LT, dt.datetime(2026, 1, 1, 0, 0, 1), x) == ["all"]
    assert compare(GE, dt.datetime(2026, 1, 1, 0, 0, 1), x) == ["drop"]
    assert compare(EQ, dt.datetime(2026, 1, 1), x) == ["all"]
    hours = bounds([(dt.datetime(2026, 1, 1, 5), dt.datetime(2026, 1, 1, 6))], pa.timestamp("us"))
    assert compare(GT, dt.date(2026, 1, 1), hours) == ["all"]
    assert compare(EQ, pa.scalar(dt.date(2026, 1, 1), pa.date64()), hours) == ["drop"]


def test_incomparable_types_keep_and_say_so() -> None:
    verdict = prune(table(x=bounds([(1, 2)], pa.int64())), [Compare(X, EQ, pa.scalar("1")), In(X, pa.array(["1"]))])
    assert words(verdict) == ["keep"]
    assert verdict.unusable == (
        ("x = '1'", "string does not compare with int64 without loss"),
        ("x IN ('1')", "string does not compare with int64 without loss"),
    )


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


# Terms ---------------------------------------------------------------------------------------------------------------------------------------------


def test_a_timestamp_as_date_floors() -> None:
    day = Cast(X, pa.date32())
    for unit, per_second in (("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)):
        x = bounds([(-1, -1), (0, 86_400 * per_second - 1), (86_400 * per_second, 86_400 * per_second)], pa.timestamp(unit, "UTC"))
        assert compare(EQ, pa.scalar(-1, pa.date32()), x, day) == ["all", "drop", "drop"]
        assert compare(EQ, pa.scalar(0, pa.date32()), x, day) == ["drop", "all", "drop"]
        assert compare(GT, dt.date(1970, 1, 1), x, day) == ["drop", "drop", "all"]


def test_the_ends_of_time() -> None:
    year_9999 = dt.datetime(9999, 12, 31, 23, 59, 59)
    x = bounds([(dt.datetime(1, 1, 1), year_9999), (year_9999, year_9999)], pa.timestamp("us"))
    assert compare(EQ, dt.date(9999, 12, 31), x, Cast(X, pa.date32())) == ["keep", "all"]
    nanoseconds = Cast(X, pa.timestamp("ns"))
    assert compare(GT, dt.datetime(2020, 1, 1), x, nanoseconds) == ["keep", "keep"], "beyond nanoseconds: unknown, not wrapped"
    assert compare(EQ, year_9999, x) == ["keep", "all"]
    edge = bounds([(-(2**63), 2**63 - 1)], pa.timestamp("us"))
    for unit in ("second", "day", "week", "month", "quarter", "year"):
        assert compare(GT, dt.datetime(2020, 1, 1), edge, Truncate(unit, X)) == ["keep"]
        assert compare(LT, dt.datetime(2020, 1, 1), edge, Truncate(unit, X)) == ["keep"]


def test_coarser_units_cover_both_ways_of_cutting() -> None:
    x = bounds([(-1_500_000, -1_500_000), (1_500_000, 1_500_000)], pa.timestamp("us"))
    seconds = Cast(X, pa.timestamp("s"))
    assert compare(EQ, pa.scalar(-1, pa.timestamp("s")), x, seconds) == ["keep", "drop"]
    assert compare(EQ, pa.scalar(-2, pa.timestamp("s")), x, seconds) == ["keep", "drop"]
    assert compare(EQ, pa.scalar(1, pa.timestamp("s")), x, seconds) == ["drop", "all"]


@pytest.mark.parametrize(
    ("unit", "start"),
    [
        ("microsecond", dt.datetime(2024, 8, 15, 13, 45, 30, 123456)),
        ("millisecond", dt.datetime(2024, 8, 15, 13, 45, 30, 123000)),
        ("second", dt.datetime(2024, 8, 15, 13, 45, 30)),
        ("minute", dt.datetime(2024, 8, 15, 13, 45)),
        ("hour", dt.datetime(2024, 8, 15, 13)),
        ("day", dt.datetime(2024, 8, 15)),
        ("week", dt.datetime(2024, 8, 12)),
        ("month", dt.datetime(2024, 8, 1)),
        ("quarter", dt.datetime(2024, 7, 1)),
        ("year", dt.datetime(2024, 1, 1)),
    ],
)
def test_date_trunc(unit: str, start: dt.datetime) -> None:
    moment = dt.datetime(2024, 8, 15, 13, 45, 30, 123456)
    x = bounds([(moment, moment)], pa.timestamp("us", "UTC"))
    assert compare(EQ, start, x, Truncate(unit, X)) == ["all"]
    assert compare(LT, start, x, Truncate(unit, X)) == ["drop"]
    if unit in ("week", "month", "quarter", "year"):
        days = bounds([(moment.date(), moment.date())], pa.date32())
        assert compare(EQ, start, days, Truncate(unit, X)) == ["all"]


def test_date_trunc_before_1970() -> None:
    moment = dt.datetime(1969, 11, 3, 5)
    x = bounds([(moment, moment)], pa.timestamp("ms"))
    for unit, start in (
        ("day", dt.datetime(1969, 11, 3)),
        ("week", dt.datetime(1969, 11, 3)),
        ("quarter", dt.datetime(1969, 10, 1)),
        ("year", dt.datetime(1969, 1, 1)),
    ):
        assert compare(EQ, start, x, Truncate(unit, X)) == ["all"]


def test_casts_to_doubles_move_what_they_round() -> None:
    x = bounds([(2**53 + 1, 2**53 + 1), (7, 7)], pa.int64())
    double = Cast(X, pa.float64())
    assert compare(EQ, float(2**53), x, double) == ["keep", "drop"]
    assert compare(EQ, float(2**53 + 2), x, double) == ["keep", "drop"]
    assert compare(EQ, 7.0, x, double) == ["drop", "all"]
    assert compare(GT, 7.5, x, double) == ["all", "drop"]
    tenth = bounds([(Decimal("0.1"), Decimal("0.1"))], pa.decimal128(5, 1))
    assert compare(EQ, 0.1, tenth, double) == ["keep"]
    assert compare(LT, 0.100001, tenth, double) == ["all"], "a cast decimal is no NaN"
    assert compare(GT, 0.100001, tenth, double) == ["drop"]


def test_casts_to_decimals() -> None:
    x = bounds([(1, 4), (5, 999), (5, 1000)], pa.int64())
    assert compare(GE, Decimal("4.5"), x, Cast(X, pa.decimal128(10, 1))) == ["drop", "all", "all"]
    assert compare(GE, Decimal("4.5"), x, Cast(X, pa.decimal128(4, 1))) == ["drop", "all", "keep"], "1000 does not fit: unknown"
    big = bounds([(2**63 - 1, 2**63 - 1)], pa.int64())
    for type_ in (pa.decimal128(38, 18), pa.decimal128(38, 19), pa.decimal256(76, 40)):
        assert compare(EQ, pa.scalar(Decimal(2**63 - 1), pa.decimal128(20, 0)), big, Cast(X, type_)) == ["all"]
    scaled = bounds([(Decimal("1.25"), Decimal("1.25"))], pa.decimal128(5, 2))
    assert compare(EQ, Decimal("1.25000"), scaled, Cast(X, pa.decimal128(10, 5))) == ["all"]
    assert compare(EQ, Decimal("1.3"), scaled, Cast(X, pa.decimal128(5, 1))) == ["keep"], "rounded one way or the other"
    assert compare(EQ, Decimal("1.4"), scaled, Cast(X, pa.decimal128(5, 1))) == ["drop"]


def test_a_decimal_rounded_up_to_one_more_digit() -> None:
    most = Decimal("9999999999999999999999999999.9999999999")
    x = bounds([(most, most)], pa.decimal128(38, 10))
    assert compare(EQ, pa.scalar(Decimal(10**28), pa.decimal128(38, 0)), x, Cast(X, pa.decimal128(38, 0))) == ["keep"]


def test_casts_between_integers() -> None:
    x = bounds([(1, 4), (300, 400)], pa.int64())
    assert compare(GT, 5, x, Cast(X, pa.uint8())) == ["drop", "keep"], "what does not fit is unknown, never wrapped"
    assert compare(GT, 5, x, Cast(X, pa.uint64())) == ["drop", "all"]
    negative = bounds([(-5, 4)], pa.int64())
    assert compare(GT, 5, negative, Cast(X, pa.uint64())) == ["keep"]
    top = bounds([(2**63, 2**64 - 1)], pa.uint64())
    assert compare(LT, 0, top, Cast(X, pa.int64())) == ["keep"]
    assert compare(LT, 0, top) == ["drop"]


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (pa.int64(), pa.string()),
        (pa.string(), pa.int64()),
        (pa.float64(), pa.int64()),
        (pa.float64(), pa.float32()),
        (pa.decimal128(5, 2), pa.int32()),
        (pa.timestamp("us", "Europe/Paris"), pa.date32()),
        (pa.date32(), pa.timestamp("us", "Europe/Paris")),
    ],
)
def test_casts_that_may_change_the_order_are_not_followed(source: pa.DataType, target: pa.DataType) -> None:
    value = {"string": "5", "decimal128(5, 2)": Decimal(5)}.get(str(source), 5)
    verdict = prune(table(x=bounds([(value, value)], source)), [IsNull(Cast(X, target), negated=True), Compare(Cast(X, target), EQ, pa.scalar(None, target))])
    assert words(verdict) == ["keep"]
    assert [reason for _, reason in verdict.unusable] == [f"a cast from {source} to {target} is not followed"]
    assert verdicts(IsNull(Cast(X, target)), bounds([(value, value)], source)) == ["drop"], "null for null alone"


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
