"""Pruning across types: literals of another type than the column's, casts and date_trunc."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from pruning_cases import EQ, GE, GT, LT, X, bounds, compare, table, verdicts, words

from lakesql.predicate import Cast, Compare, In, IsNull, Truncate
from lakesql.pruning import prune

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
