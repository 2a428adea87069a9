"""The text rule of each type, on its own."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from lakesql.frontends.footer import size_text
from lakesql.frontends.render.cells import CellText
from lakesql.frontends.render.json_text import JsonText
from lakesql.frontends.render.scalars import interval_text
from lakesql.frontends.types import sql_type_name

FAR_US = 253_402_300_800_000_000  # 10000-01-01


@pytest.mark.parametrize(
    ("type_", "stored", "text"),
    [
        (pa.float64(), 1.0, "1.0"),
        (pa.float64(), -0.0, "-0.0"),
        (pa.float64(), 1e20, "1e+20"),
        (pa.float64(), 1e7, "10000000.0"),
        (pa.float64(), 123456789012345678.0, "1.2345678901234568e+17"),
        (pa.float64(), math.nan, "NaN"),
        (pa.float64(), -math.inf, "-Infinity"),
        (pa.float32(), 0.1, "0.1"),
        (pa.float16(), np.float16(1.5), "1.5"),
        (pa.decimal128(38, 9), Decimal("0.000000001"), "0.000000001"),
        (pa.decimal128(38, 9), Decimal(0), "0.000000000"),
        (pa.decimal128(38, 9), Decimal("-1.5"), "-1.500000000"),
        (pa.decimal128(10, 10), Decimal("-0.0000000001"), "-0.0000000001"),
        (pa.decimal128(5, -2), Decimal(100), "100"),
        (pa.decimal128(5, -2), Decimal(0), "0"),
        (pa.decimal256(76, 70), Decimal("1E-70"), "0." + "0" * 69 + "1"),
        (pa.decimal64(18, 7), Decimal("-0.0000001"), "-0.0000001"),
        (pa.decimal32(5, 2), Decimal("1.20"), "1.20"),
        (pa.date32(), -719_529, "-0001-12-31"),
        (pa.date32(), 2_932_897, "10000-01-01"),
        (pa.timestamp("us"), 0, "1970-01-01T00:00:00"),
        (pa.timestamp("us"), 1_000, "1970-01-01T00:00:00.001"),
        (pa.timestamp("us"), 100_000, "1970-01-01T00:00:00.100"),
        (pa.timestamp("us"), 1, "1970-01-01T00:00:00.000001"),
        (pa.timestamp("ns"), 1_000, "1970-01-01T00:00:00.000001"),
        (pa.timestamp("ns"), 10, "1970-01-01T00:00:00.000000010"),
        (pa.timestamp("s"), 10, "1970-01-01T00:00:10"),
        (pa.timestamp("us"), FAR_US, "10000-01-01T00:00:00"),
        (pa.timestamp("us"), FAR_US + 1_000, "10000-01-01T00:00:00.001"),
        (pa.timestamp("us"), -(2**63), "-290308-12-21T19:59:05.224192"),
        (pa.timestamp("s"), -(2**63), "-292277022657-01-27T08:29:52"),
        (pa.timestamp("us", "UTC"), FAR_US, "10000-01-01T00:00:00Z"),
        (pa.timestamp("us", "+05:30"), 0, "1970-01-01T05:30:00+05:30"),
        (pa.timestamp("us", "America/New_York"), 0, "1969-12-31T19:00:00-05:00"),
        (pa.timestamp("us", "No/Such_Zone"), 0, "1970-01-01T00:00:00Z"),
        (pa.time32("s"), 60, "00:01:00"),
        (pa.time64("ns"), 1, "00:00:00.000000001"),
        (pa.duration("s"), 90_061, "PT25H1M1S"),
        (pa.duration("ms"), -5, "PT-0.005S"),
        (pa.month_day_nano_interval(), (14, -3, -1_500_000_000), "P1Y2M-3DT-1.5S"),
        (pa.binary(2), b"\xde\xad", "dead"),
        (pa.large_binary(), b"", ""),
        (pa.map_(pa.date32(), pa.int8()), [(0, 1)], '{"1970-01-01":1}'),
        (pa.map_(pa.list_(pa.int8()), pa.int8()), [([1], None)], '[{"key":[1],"value":null}]'),
        (pa.struct([("a", pa.struct([("b", pa.null())]))]), {"a": {"b": None}}, '{"a":{"b":null}}'),
        (pa.list_(pa.string(), 2), ["a", None], '["a",null]'),
        (pa.list_view(pa.string()), ['"', "\x01"], '["\\"","\\u0001"]'),
    ],
    ids=str,
)
def test_text(type_: pa.DataType, stored: Any, text: str) -> None:
    values = pa.array([None, stored, None, stored, stored], type_)
    for part in (values, values.slice(1), values.slice(1, 2), values.slice(5)):
        assert CellText().of(part).to_pylist() == [None if not v.is_valid else text for v in part]
    assert len(JsonText().of(values)) == 5


@pytest.mark.parametrize(
    ("parts", "text"),
    [((0, 0, 0), "PT0S"), ((12, 0, 0), "P1Y"), ((-13, 1, 0), "P-1Y-1M1D"), ((0, 0, 3_600_000_000_001), "PT1H0.000000001S"), ((0, 0, -60_000_000_000), "PT-1M")],
)
def test_intervals(parts: tuple[int, int, int], text: str) -> None:
    assert interval_text(*parts) == text


def test_text_that_is_not_utf8_is_an_error_not_bad_output() -> None:
    broken = pa.Array.from_buffers(pa.string(), 1, pa.array([b"\xff\xfe"]).buffers())
    with pytest.raises(pa.ArrowInvalid):
        JsonText().of(broken)


@pytest.mark.parametrize(
    ("type_", "name"),
    [
        (pa.timestamp("ns", "UTC"), "TIMESTAMPTZ(9)"),
        (pa.time32("ms"), "TIME(3)"),
        (pa.large_string(), "VARCHAR"),
        (pa.binary(16), "BLOB"),
        (pa.dictionary(pa.int8(), pa.decimal128(5, 1)), "DECIMAL(5,1)"),
        (pa.list_(pa.struct([("a", pa.int8()), ("b", pa.list_view(pa.date32()))])), "STRUCT(a TINYINT, b DATE[])[]"),
        (pa.map_(pa.string_view(), pa.uuid()), "MAP(VARCHAR, UUID)"),
        (pa.duration("s"), "INTERVAL"),
    ],
    ids=str,
)
def test_sql_type_names(type_: pa.DataType, name: str) -> None:
    assert sql_type_name(type_) == name


def test_sizes() -> None:
    assert [size_text(n) for n in (0, 1023, 1024, 5 << 30, 1 << 62)] == ["0 B", "1023 B", "1.0 KiB", "5.0 GiB", "4096.0 PiB"]
