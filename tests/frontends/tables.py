"""Results with all that makes formats stumble: the cases of the golden files."""

from __future__ import annotations

import datetime as dt
import math
import uuid
from decimal import Decimal

import pyarrow as pa

DAY = dt.date(2026, 1, 3)
INSTANT = 1_767_421_800_123_456  # 2026-01-03T06:30:00.123456Z

TYPES = pa.table(
    {
        "b": pa.array([True, False, None]),
        "i8": pa.array([-128, 127, None], pa.int8()),
        "i64": pa.array([-(2**63), 2**63 - 1, None]),
        "u64": pa.array([0, 2**64 - 1, None], pa.uint64()),
        "f32": pa.array([0.1, -0.0, None], pa.float32()),
        "f64": pa.array([1.0, 1e300, None]),
        "dec": pa.array([Decimal("12.50"), Decimal("-0.01"), None], pa.decimal128(10, 2)),
        "dec38": pa.array([Decimal("0.000000001"), Decimal("-12345678901234567890123456789.123456789"), None], pa.decimal128(38, 9)),
        "s": pa.array(["a", "", None], pa.string_view()),
        "bin": pa.array([b"\x00\xff", b"", None]),
        "d": pa.array([DAY, dt.date(9999, 12, 31), None]),
        "t": pa.array([dt.time(6, 30), dt.time(23, 59, 59, 999_999), None]),
        "ts": pa.array([INSTANT, INSTANT // 1_000_000 * 1_000_000, None], pa.timestamp("us")),
        "ts_ns": pa.array([INSTANT * 1000 + 789, 0, None], pa.timestamp("ns")),
        "tz": pa.array([INSTANT, -1_000_000, None], pa.timestamp("us", "UTC")),
        "tz_ny": pa.array([INSTANT, 1_783_000_000_000_000, None], pa.timestamp("us", "America/New_York")),
        "id": pa.ExtensionArray.from_storage(pa.uuid(), pa.array([uuid.UUID(int=2**127 + 5).bytes, uuid.UUID(int=0).bytes, None], pa.binary(16))),
    }
)

NESTED = pa.table(
    {
        "l": pa.array([[1, None], [], None]),
        "st": pa.array([{"a": 1, "b": 'x"y'}, {"a": None, "b": None}, None]),
        "m": pa.array([[("k", 1.5), ("k 2", None)], [], None], pa.map_(pa.string(), pa.float64())),
        "deep": pa.array([[{"at": [DAY]}, None], [{"at": None}], None], pa.list_(pa.struct([("at", pa.list_(pa.date32()))]))),
        "mi": pa.array([[(1, b"\xab")], [], None], pa.map_(pa.int32(), pa.binary())),
    }
)

TEXT = pa.table(
    {
        "n": pa.array(range(12)),
        "text": pa.array(
            [
                "plain",
                "NULL",
                "null",
                None,
                "",
                ' leading, comma; and "quotes"',
                "two\nlines\r\nand\ta tab",
                "\x1b[31mred\x1b[0m bell\x07 nul\x00 del\x7f c1\x9b",
                "日本語 한국어 ｗｉｄｅ",
                "👩‍👩‍👧 é \u202egnirts\u202c zero\u200bwidth",
                r"back\slash | pipe `code` *bold* _it_ snake_case <b>&amp;</b> [link](x)",
                "=1+1",
            ]
        ),
    }
)

FLOATS = pa.table({"f": pa.array([math.nan, math.inf, -math.inf, 5e-324, 0.1, None]), "l": pa.array([[math.nan, 1.0]] * 5 + [None])})

EMPTY = pa.table({"id": pa.array([], pa.int64()), "name": pa.array([], pa.string())})

TWICE = pa.table([pa.array([1, 2]), pa.array(["x", "y"]), pa.array([3, 4])], names=["id", "name", "id"])

WIDE = pa.table({f"column {number}": [f"the text of column {number} in row {row}" for row in range(100)] for number in range(30)})

CASES = {"types": TYPES, "nested": NESTED, "text": TEXT, "floats": FLOATS, "empty": EMPTY, "twice": TWICE}
