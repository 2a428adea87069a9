"""Python objects out of Arrow values: every type, and the rule for what Python's types cannot hold."""

from __future__ import annotations

import datetime as dt
import uuid
import zoneinfo
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from lakesql.errors import DataError
from lakesql.frontends.values import python_rows, python_values

from .tables import CASES, DAY, INSTANT

MOMENT = dt.datetime(2026, 1, 3, 6, 30, 0, 123_456)
NEW_YORK = zoneinfo.ZoneInfo("America/New_York")


@pytest.mark.parametrize(
    ("type_", "stored", "expected"),
    [
        (pa.bool_(), True, True),
        (pa.int64(), 2**63 - 1, 2**63 - 1),
        (pa.uint64(), 2**64 - 1, 2**64 - 1),
        (pa.float64(), 0.1, 0.1),
        (pa.decimal128(10, 2), Decimal("12.50"), Decimal("12.50")),
        (pa.string(), "é", "é"),
        (pa.string_view(), "é", "é"),
        (pa.binary(), b"\x00", b"\x00"),
        (pa.binary_view(), b"\x00", b"\x00"),
        (pa.binary(2), b"ab", b"ab"),
        (pa.date32(), DAY, DAY),
        (pa.date64(), DAY, DAY),
        (pa.time32("s"), 5, dt.time(0, 0, 5)),
        (pa.time32("ms"), 5, dt.time(0, 0, 0, 5000)),
        (pa.time64("us"), 86_399_999_999, dt.time(23, 59, 59, 999_999)),
        (pa.time64("ns"), 5000, dt.time(0, 0, 0, 5)),
        (pa.timestamp("s"), INSTANT // 1_000_000, MOMENT.replace(microsecond=0)),
        (pa.timestamp("ms"), INSTANT // 1000, MOMENT.replace(microsecond=123_000)),
        (pa.timestamp("us"), INSTANT, MOMENT),
        (pa.timestamp("us"), -1, dt.datetime(1969, 12, 31, 23, 59, 59, 999_999)),
        (pa.timestamp("ns"), INSTANT * 1000, MOMENT),
        (pa.timestamp("ns"), -1000, dt.datetime(1969, 12, 31, 23, 59, 59, 999_999)),
        (pa.timestamp("us", "UTC"), INSTANT, MOMENT.replace(tzinfo=dt.UTC)),
        (pa.timestamp("us", "+02:00"), INSTANT, MOMENT.replace(tzinfo=dt.UTC)),
        (pa.timestamp("us", "America/New_York"), INSTANT, MOMENT.replace(tzinfo=dt.UTC)),
        (pa.timestamp("us", "No/Such_Zone"), INSTANT, MOMENT.replace(tzinfo=dt.UTC)),
        (pa.duration("s"), -5, dt.timedelta(seconds=-5)),
        (pa.duration("ns"), 5000, dt.timedelta(microseconds=5)),
        (pa.month_day_nano_interval(), (1, 2, 3), pa.MonthDayNano((1, 2, 3))),
        (pa.list_(pa.int8()), [1, None], [1, None]),
        (pa.list_(pa.int8(), 2), [1, None], [1, None]),
        (pa.list_view(pa.int8()), [1, None], [1, None]),
        (pa.list_(pa.list_(pa.date32())), [[DAY], None, []], [[DAY], None, []]),
        (pa.struct([("a", pa.timestamp("ns"))]), {"a": INSTANT * 1000}, {"a": MOMENT}),
        (pa.struct([]), {}, {}),
        (pa.map_(pa.string(), pa.int8()), [("a", 1), ("b", None)], [("a", 1), ("b", None)]),
        (pa.map_(pa.struct([("x", pa.int8())]), pa.int8()), [({"x": 1}, 1)], [({"x": 1}, 1)]),
    ],
    ids=str,
)
def test_each_type(type_: pa.DataType, stored: Any, expected: Any) -> None:
    values = pa.array([None, stored, None, stored], type_)
    assert python_values(values) == [None, expected, None, expected]
    assert python_values(values.slice(1, 2)) == [expected, None]
    assert python_values(values.slice(4)) == []
    assert type(python_values(values)[1]) is type(expected)
    assert python_values(pa.array([stored], type_)) == [expected]


def test_encodings_do_not_show() -> None:
    assert python_values(pa.array(["a", None, "a"]).dictionary_encode()) == ["a", None, "a"]
    assert python_values(pa.RunEndEncodedArray.from_arrays([2, 3], ["a", None])) == ["a", "a", None]
    assert python_values(pa.ExtensionArray.from_storage(pa.uuid(), pa.array([uuid.UUID(int=5).bytes, None], pa.binary(16)))) == [uuid.UUID(int=5), None]
    assert python_values(pa.nulls(2)) == [None, None]


def test_zones_are_the_types_own() -> None:
    (value,) = python_values(pa.array([INSTANT], pa.timestamp("us", "America/New_York")))
    assert value.tzinfo == NEW_YORK
    assert value.hour == 1
    (value,) = python_values(pa.array([INSTANT], pa.timestamp("us", "-03:30")))
    assert value.utcoffset() == dt.timedelta(hours=-3, minutes=-30)


@pytest.mark.parametrize(
    ("type_", "stored", "expected"),
    [
        (pa.date32(), -719_529, np.datetime64("-0001-12-31")),
        (pa.date32(), 2_932_897, np.datetime64("10000-01-01")),
        (pa.timestamp("us"), 253_402_300_800_000_000, np.datetime64("10000-01-01T00:00:00", "us")),
        (pa.timestamp("us", "America/New_York"), 253_402_300_800_000_000, np.datetime64("10000-01-01T00:00:00", "us")),
        (pa.timestamp("ns"), 1, np.datetime64(1, "ns")),
        (pa.timestamp("ns", "UTC"), -1, np.datetime64(-1, "ns")),
        (pa.time64("ns"), 1, np.timedelta64(1, "ns")),
        (pa.duration("ns"), 1, np.timedelta64(1, "ns")),
        (pa.duration("s"), 2**62, np.timedelta64(2**62, "s")),
    ],
    ids=str,
)
def test_what_python_cannot_hold_is_numpys(type_: pa.DataType, stored: Any, expected: Any) -> None:
    value, null = python_values(pa.array([stored, None], type_))
    assert value == expected
    assert value.dtype == expected.dtype
    assert null is None


def test_year_9999_in_a_zone_stays_the_same_instant() -> None:
    last = 253_402_300_799_000_000
    (value,) = python_values(pa.array([last], pa.timestamp("us", "Asia/Tokyo")))
    assert value == dt.datetime(9999, 12, 31, 23, 59, 59, tzinfo=dt.UTC)


def test_the_one_number_nobody_can_hold_is_an_error() -> None:
    with pytest.raises(DataError, match="too far in the past"):
        python_values(pa.array([-(2**63)], pa.timestamp("us")))


@pytest.mark.parametrize("case", [c for c in CASES if c not in ("floats", "types")])
def test_rows_are_pyarrows(case: str) -> None:
    table = CASES[case]
    rows = [row for batch in table.to_batches() for row in python_rows(batch)]
    assert rows == list(zip(*(column.to_pylist() for column in table.columns), strict=True))
