"""Partition transforms: hashes by the spec's own test values, and what a partition value says of its column."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from lakesql.formats.iceberg.buckets import Bucketed, bucket_of, bucket_path, hashed_bytes, murmur3, with_buckets
from lakesql.formats.iceberg.partition_bounds import source_range, value_bounds
from lakesql.formats.iceberg.spec import Kind, parse_transform
from lakesql.predicate import Cast, Column, Compare, In, Op, Or

US, NS = pa.timestamp("us"), pa.timestamp("ns")


@pytest.mark.parametrize(
    ("value", "type_", "expected"),
    [
        (34, pa.int32(), 2017239379),
        (34, pa.int64(), 2017239379),
        (Decimal("14.20"), pa.decimal128(9, 2), -500754589),
        (dt.date(2017, 11, 16), pa.date32(), -653330422),
        (dt.time(22, 31, 8), pa.time64("us"), -662762989),
        (dt.datetime(2017, 11, 16, 22, 31, 8), US, -2047944441),
        (dt.datetime(2017, 11, 16, 22, 31, 8, 1), US, -1207196810),
        (dt.datetime(2017, 11, 16, 22, 31, 8), NS, -2047944441),
        ("iceberg", pa.string(), 1210000089),
        (uuid.UUID("f79c3e09-677c-4bbd-a479-3f349cb785e7").bytes, pa.binary(16), 1488055340),
        (b"\x00\x01\x02\x03", pa.binary(4), -188683207),
        (b"\x00\x01\x02\x03", pa.binary(), -188683207),
    ],
)
def test_hashes_of_the_spec(value: Any, type_: pa.DataType, expected: int) -> None:
    """Appendix B, "Hash Specification"."""
    content = hashed_bytes(pa.scalar(value, type_))
    assert content is not None
    assert murmur3(content) == expected % 2**32


@pytest.mark.parametrize("number", [0, -1, 1, 127, 128, -128, -129, 255, 256, 2**63, -(2**63), 10**38 - 1])
def test_decimals_are_hashed_in_as_few_bytes_as_java_takes(number: int) -> None:
    expected = number.to_bytes((number if number >= 0 else ~number).bit_length() // 8 + 1, "big", signed=True)
    assert hashed_bytes(pa.scalar(Decimal(number), pa.decimal128(38, 0))) == expected
    assert hashed_bytes(pa.scalar(Decimal(f"{number}E-5"), pa.decimal128(38, 5))) == expected


def test_types_without_a_hash() -> None:
    assert hashed_bytes(pa.scalar(1.5)) is None
    assert hashed_bytes(pa.scalar(True)) is None


def test_a_literal_of_another_type_has_the_bucket_of_its_value_or_none() -> None:
    assert bucket_of(pa.scalar(5, pa.int64()), pa.int32(), 16) == bucket_of(pa.scalar(5, pa.int32()), pa.int32(), 16)
    assert bucket_of(pa.scalar(2**40), pa.int32(), 16) is None
    assert bucket_of(pa.scalar(1.5), pa.int64(), 16) is None
    assert bucket_of(pa.scalar(Decimal("1.50")), pa.decimal128(9, 1), 16) == bucket_of(pa.scalar(Decimal("1.5")), pa.decimal128(9, 1), 16)
    assert bucket_of(pa.scalar(Decimal("1.55")), pa.decimal128(9, 1), 16) is None


def test_only_equality_follows_through_a_hash() -> None:
    id_ = Column(("id",))
    buckets = {("id",): (Bucketed(("id",), bucket_path(("id",), 4), 4, pa.int64()),)}
    equal = Compare(id_, Op.EQ, pa.scalar(5))
    assert "bucket[4](id)" in str(with_buckets(equal, buckets))
    assert "bucket[4](id)" in str(with_buckets(Or((equal, equal)), buckets))
    assert "bucket[4](id)" in str(with_buckets(In(id_, pa.array([5, 6])), buckets))
    assert "bucket[4](id)" in str(with_buckets(Compare(Cast(id_, pa.int64()), Op.EQ, pa.scalar(5)), buckets))
    for same in (
        Compare(id_, Op.LT, pa.scalar(5)),
        Compare(id_, Op.NE, pa.scalar(5)),
        In(id_, pa.array([5]), negated=True),
        Compare(Cast(id_, pa.float64()), Op.EQ, pa.scalar(5.0)),
    ):
        assert with_buckets(same, buckets) == same


def range_of(transform: str, value: Any, type_: pa.DataType) -> tuple[Any, Any]:
    parsed = parse_transform(transform)
    held = pa.int32() if parsed.kind in (Kind.YEAR, Kind.MONTH, Kind.DAY, Kind.HOUR) else type_
    values = pa.array([value], held)
    lower, upper = source_range(parsed, values, values, type_)
    return _plain(lower[0]), _plain(upper[0])


def _plain(value: pa.Scalar) -> Any:
    if not value.is_valid:
        return None
    if pa.types.is_timestamp(value.type):
        return value.value
    return value.as_buffer().to_pybytes() if pa.types.is_string(value.type) else value.as_py()


HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US


@pytest.mark.parametrize(
    ("transform", "value", "type_", "expected"),
    [
        ("year", 54, pa.date32(), (dt.date(2024, 1, 1), dt.date(2024, 12, 31))),
        ("month", 650, pa.date32(), (dt.date(2024, 3, 1), dt.date(2024, 3, 31))),
        ("day", 5, pa.date32(), (dt.date(1970, 1, 6), dt.date(1970, 1, 6))),
        ("day", 5, US, (5 * DAY_US, 6 * DAY_US - 1)),
        ("hour", 5, US, (5 * HOUR_US, 6 * HOUR_US - 1)),
        ("hour", 5, NS, (5 * HOUR_US * 1000, 6 * HOUR_US * 1000 - 1)),
        # Iceberg before 0.11 wrote values before 1970 one too high.
        ("day", -1, US, (-2 * DAY_US, -1)),
        ("day", 0, US, (-DAY_US, DAY_US - 1)),
        ("year", 0, pa.date32(), (dt.date(1969, 1, 1), dt.date(1970, 12, 31))),
        ("year", 2**31 - 1, US, (None, None)),
        ("truncate[10]", 20, pa.int32(), (20, 29)),
        ("truncate[10]", -10, pa.int64(), (-10, -1)),
        ("truncate[10]", 2**31 - 8, pa.int32(), (2**31 - 8, 2**31 - 1)),
        ("truncate[10]", 2**63 - 8, pa.int64(), (2**63 - 8, 2**63 - 1)),
        ("truncate[50]", Decimal("10.50"), pa.decimal128(9, 2), (Decimal("10.50"), Decimal("10.99"))),
        ("truncate[50]", Decimal("10.50"), pa.decimal128(38, 2), (Decimal("10.50"), None)),
        ("truncate[3]", "abc", pa.string(), (b"abc", b"abc\xff")),
        ("truncate[3]", "ab", pa.string(), (b"ab", b"ab")),
        ("truncate[2]", "é日", pa.string(), ("é日".encode(), "é日".encode() + b"\xff")),
        ("truncate[2]", b"a\xff", pa.binary(), (b"a\xff", b"b")),
        ("truncate[2]", b"\xff\xff", pa.binary(), (b"\xff\xff", None)),
        ("truncate[2]", b"\xff", pa.binary(), (b"\xff", b"\xff")),
    ],
)
def test_what_a_value_says_of_its_column(transform: str, value: Any, type_: pa.DataType, expected: tuple[Any, Any]) -> None:
    assert range_of(transform, value, type_) == expected


def test_null_means_null_in_all_rows_but_under_void() -> None:
    for transform in ("identity", "truncate[3]"):
        bounds = value_bounds(parse_transform(transform), pa.array([None, 5], pa.int32()), pa.int32())
        assert bounds is not None
        assert bounds.null_count.to_pylist() == [1, 0]
        assert bounds.row_count.to_pylist() == [1, 1]
    hashed = value_bounds(parse_transform("bucket[4]"), pa.array([None, 3], pa.int32()), pa.int32())
    assert hashed is not None
    assert (hashed.lower.null_count, hashed.null_count.to_pylist()) == (2, [1, 0])
    for transform in ("void", "zorder", "truncate[0]"):
        assert value_bounds(parse_transform(transform), pa.array([None, 5], pa.int32()), pa.int32()) is None


@pytest.mark.parametrize("spelled", ["zorder", "bucket", "bucket[x]", "bucket[0]", "truncate[]", "", "years", "bucket[99999999999]"])
def test_transforms_that_are_not_known(spelled: str) -> None:
    assert parse_transform(spelled).kind is Kind.UNKNOWN


@pytest.mark.parametrize("spelled", ["Identity", "bucket[ 16 ]", "TRUNCATE[4]"])
def test_spellings(spelled: str) -> None:
    assert parse_transform(spelled).kind is not Kind.UNKNOWN
