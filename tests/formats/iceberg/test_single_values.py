"""Bounds in binary form, of every type and length."""

from __future__ import annotations

import datetime as dt
import struct
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from lakesql.formats.iceberg.single_values import decode


@pytest.mark.parametrize(
    ("type_", "content", "expected"),
    [
        (pa.bool_(), b"\0", False),
        (pa.bool_(), b"\x01", True),
        (pa.bool_(), b"\0\0", None),
        (pa.int32(), b"\xfe\xff\xff\xff", -2),
        (pa.int32(), b"\x01\0\0\0\0\0\0\0", None),
        (pa.int64(), b"\xfe\xff\xff\xff\xff\xff\xff\xff", -2),
        (pa.int64(), b"\xfe\xff\xff\xff", -2),  # written when the column was int
        (pa.date32(), struct.pack("<i", 19000), dt.date(2022, 1, 8)),
        (pa.timestamp("us"), struct.pack("<q", -1), dt.datetime(1969, 12, 31, 23, 59, 59, 999999)),
        (pa.timestamp("us"), struct.pack("<i", 1), dt.datetime(1970, 1, 2)),  # written when it was date
        (pa.time64("us"), struct.pack("<q", 1), dt.time(0, 0, 0, 1)),
        (pa.float32(), struct.pack("<f", 1.5), 1.5),
        (pa.float32(), struct.pack("<f", float("nan")), None),
        (pa.float64(), struct.pack("<d", -0.0), -0.0),
        (pa.float64(), struct.pack("<f", 1.5), 1.5),
        (pa.float64(), struct.pack("<d", float("nan")), None),
        (pa.decimal128(9, 2), b"\x19", Decimal("0.25")),
        (pa.decimal128(9, 2), b"\xfe\xbb", Decimal("-3.25")),
        (pa.decimal128(38, 0), (10**38 - 1).to_bytes(16, "big"), Decimal(10**38 - 1)),
        (pa.decimal128(38, 0), (-(10**38) + 1).to_bytes(16, "big", signed=True), Decimal(-(10**38) + 1)),
        (pa.decimal128(9, 2), b"", None),
        (pa.decimal128(9, 2), b"\0" * 17, None),
        (pa.string(), "é".encode(), "é"),
        (pa.string(), b"", ""),
        (pa.binary(), b"\xff\0", b"\xff\0"),
        (pa.binary(16), bytes(range(16)), bytes(range(16))),
    ],
)
def test_values(type_: pa.DataType, content: bytes, expected: Any) -> None:
    other = b"\x05" * 3  # of a length no number has, so that values do not lie side by side
    decoded = decode(pa.array([None, other, content, None, content], pa.binary()), type_)
    assert decoded.to_pylist()[2] == expected
    assert decoded.to_pylist()[4] == expected
    assert not decoded[0].is_valid
    assert decode(pa.array([content] * 3, pa.binary()).slice(1), type_).to_pylist() == [expected] * 2


def test_no_values_at_all() -> None:
    for type_ in (pa.int32(), pa.decimal128(9, 2), pa.string(), pa.timestamp("ns", "UTC")):
        assert len(decode(pa.array([], pa.binary()), type_)) == 0
        assert decode(pa.nulls(3, pa.binary()), type_).null_count == 3


def test_days_beyond_nanoseconds_do_not_wrap() -> None:
    far = decode(pa.array([struct.pack("<i", 2**31 - 1), struct.pack("<i", -(2**31))], pa.binary()), pa.timestamp("ns"))
    assert far[0].value > 2**62
    assert far[1].value < -(2**62)


def test_bytes_that_are_no_text_do_not_break() -> None:
    assert decode(pa.array([b"\xff\xfe"], pa.binary()), pa.string())[0].is_valid
