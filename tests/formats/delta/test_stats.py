"""Statistics of both forms as bounds: what is known and what is not, and what writers do to extremes."""

from __future__ import annotations

import datetime as dt
import json
import math
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from formats.delta.stats_forms import DECIMAL, UTC, WALL, from_json, from_struct, instants, micros, none_deleted, pairs, text
from lakesql.formats.delta.stats import json_bounds, json_bounds_of, num_records_json, struct_bounds

# What is known, and what is not --------------------------------------------------------------------------------------------------------------------


def test_everything_of_a_column() -> None:
    bounds = from_json([text(1, 5, 2), text(-3, 7, 0, rows=4)], pa.int32())
    assert bounds is not None
    assert pairs(bounds) == [(1, 5), (-3, 7)]
    assert bounds.null_count.to_pylist() == [2, 0]
    assert bounds.row_count.to_pylist() == [10, 4]
    assert bounds.exact
    assert bounds.null_count_exact
    assert not bounds.constant


@pytest.mark.parametrize("missing", [None, "", "{}", " ", "null", "[]", "7", "{", '{"numRecords":', "x" * 100, "{}{}", '{"minValues":{"c":1}}{', "}{"])
def test_texts_that_say_nothing(missing: str | None) -> None:
    bounds = from_json([text(1, 5), missing, text(2, 6)], pa.int32())
    assert pairs(bounds) == [(1, 5), (None, None), (2, 6)]
    assert bounds is not None
    assert bounds.row_count.to_pylist() == [10, None, 10]
    assert from_json([missing, missing], pa.int32()) is None


@pytest.mark.parametrize(
    "stats",
    [
        {"numRecords": 3},
        {"numRecords": 3, "minValues": {}, "maxValues": {}, "nullCount": {}},
        {"numRecords": 3, "minValues": {"other": 1}, "maxValues": None},
        {"numRecords": 3, "minValues": [1], "maxValues": 7, "nullCount": "c"},
        {"minValues": {"c": {"d": 1}}, "maxValues": {"c": None}},
    ],
)
def test_a_column_without_statistics(stats: dict[str, Any]) -> None:
    assert from_json([json.dumps(stats)], pa.int32()) is None
    assert num_records_json(pa.array([json.dumps(stats)])).to_pylist() == [stats.get("numRecords")]


def test_no_files() -> None:
    assert from_json([], pa.int32()) is None
    assert from_struct([], pa.int32(), pa.int32()) is None
    assert num_records_json(pa.array([], pa.string())).to_pylist() == []
    assert json_bounds(pa.nulls(2), ("c",), pa.int32(), deletion_vectors=none_deleted(2)) is None


def test_names_with_dots_and_nested_names() -> None:
    stats = {"numRecords": 1, "minValues": {"a.b": 1, "a": {"b": 2, "b.c": {"d": 3}}}, "maxValues": {"a.b": 1, "a": {"b": 2, "b.c": {"d": 3}}}}
    struct = pa.array([stats])
    for path, value in ((("a.b",), 1), (("a", "b"), 2), (("a", "b.c", "d"), 3)):
        assert pairs(from_json([json.dumps(stats)], pa.int64(), path)) == [(value, value)]
        assert pairs(struct_bounds(struct, path, pa.int64(), deletion_vectors=none_deleted(1))) == [(value, value)]
    for path in (("a", "b", "c"), ("a.b.c",), ("a",), ("a", "b.c")):
        assert from_json([json.dumps(stats)], pa.int64(), path) is None
        assert struct_bounds(struct, path, pa.int64(), deletion_vectors=none_deleted(1)) is None


def test_several_columns_at_once_are_each_as_if_alone() -> None:
    texts = [json.dumps({"numRecords": i, "minValues": {"a": i, "b": f"x{i}", "s": {"d": 1.5}}, "nullCount": {"a": 0, "l": 2}}) for i in range(5)]
    columns = [
        (("a",), pa.int64()),
        (("b",), pa.string()),
        (("s", "d"), pa.float64()),
        (("l",), pa.list_(pa.int8())),
        (("s",), pa.struct([])),
        (("a",), pa.int64()),
    ]
    together = json_bounds_of(pa.array(texts), columns, deletion_vectors=none_deleted(5))
    assert together == [from_json(texts, type_, path) for path, type_ in columns]
    assert [b is not None for b in together] == [True, True, True, True, False, True]


@pytest.mark.parametrize("type_", [pa.list_(pa.int8()), pa.map_(pa.string(), pa.int8()), pa.binary(), pa.null()])
def test_types_without_bounds_keep_their_null_counts(type_: pa.DataType) -> None:
    bounds = from_json([text("x", "y", 3)], type_)
    assert bounds is not None
    assert bounds.null_count.to_pylist() == [3]
    assert pairs(bounds) == [(None, None)]


def test_any_form_of_string_column() -> None:
    texts = [text(i, i) for i in range(6)]
    for array in (
        pa.chunked_array([texts[:2], texts[2:]]),
        pa.array(texts, pa.large_string()),
        pa.array(["x", *texts, "y"]).slice(1, 6),
        pa.chunked_array([texts, []]),
    ):
        assert pairs(json_bounds(array, ("c",), pa.int64(), deletion_vectors=none_deleted(6))) == [(i, i) for i in range(6)]


# Counts --------------------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "nulls", "expected"),
    [
        (10, 10, (10, 10)),
        (10, 0, (10, 0)),
        (10, 11, (10, None)),
        (10, -1, (10, None)),
        (-1, 0, (None, 0)),
        (None, 5, (None, 5)),
        ("10", 2, (None, 2)),
        (10.0, 2.0, (10, 2)),
        (10.5, 2.5, (None, None)),
        (2**70, 2**64, (None, None)),
        (True, False, (None, None)),
        ([1], {"a": 1}, (None, None)),
    ],
)
def test_counts(rows: Any, nulls: Any, expected: tuple[int | None, int | None]) -> None:
    bounds = from_json([text(1, 5, nulls, rows), text(1, 5, 1, 2)], pa.int32())
    assert bounds is not None
    assert (bounds.row_count[0].as_py(), bounds.null_count[0].as_py()) == expected
    assert (bounds.row_count[1].as_py(), bounds.null_count[1].as_py()) == (2, 1)
    assert num_records_json(pa.array([text(rows=rows), None])).to_pylist() == [expected[0], None]


@pytest.mark.parametrize(
    ("tight", "deleted", "exact"), [(None, False, True), (True, False, True), (False, False, False), (True, True, False), (None, True, False)]
)
def test_wide_bounds_and_deletion_vectors(tight: bool | None, deleted: bool, exact: bool) -> None:
    more = {} if tight is None else {"tightBounds": tight}
    texts = pa.array([text(1, 5), text(1, 5, **more), None])
    vectors = pa.array([False, deleted, False])
    found = json_bounds(texts, ("c",), pa.int64(), deletion_vectors=vectors)
    assert found is not None
    assert (found.exact, found.null_count_exact) == (exact, exact)
    assert pairs(found)[:2] == [(1, 5), (1, 5)]


@pytest.mark.parametrize(
    ("type_", "value", "exact"),
    [
        (pa.int8(), 1, True),
        (pa.int64(), 1, True),
        (pa.date32(), "2020-01-01", True),
        (pa.string(), "a", False),
        (pa.float64(), 1.5, False),
        (DECIMAL, 1.5, False),
        (WALL, "2020-01-01T00:00:00", False),
        (UTC, "2020-01-01T00:00:00Z", False),
        (pa.bool_(), True, False),
    ],
)
def test_only_integers_and_dates_are_exact(type_: pa.DataType, value: Any, exact: bool) -> None:
    found = from_json([text(value, value)], type_)
    assert found is not None
    assert found.exact is exact
    assert None not in pairs(found)[0]


# What writers do to extremes -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type_", "given", "expected"),
    [
        (pa.int8(), "127", 127),
        (pa.int8(), "128", None),
        (pa.int16(), "-32769", None),
        (pa.int32(), "7.0", 7),
        (pa.int32(), "7.5", None),
        (pa.int32(), "7e0", None),
        (pa.int64(), "9223372036854775807", 2**63 - 1),
        (pa.int64(), "9223372036854775808", None),
        (pa.int64(), "9" * 10_000, None),
        (pa.int32(), '"7"', None),
        (pa.int32(), "true", None),
        (pa.int32(), "NaN", None),
        (pa.bool_(), "true", True),
        (pa.bool_(), "1", None),
        (pa.bool_(), '"true"', None),
        (pa.string(), '"a"', "a"),
        (pa.string(), "5", None),
        (pa.string(), '"\\ud83d\\ude00"', "\U0001f600"),
        (pa.string(), '"\\ud83d"', None),
        (pa.string(), '"a\\u0000b"', "a\x00b"),
        (pa.date32(), '"2024-02-29"', dt.date(2024, 2, 29)),
        (pa.date32(), '"2024-02-30"', None),
        (pa.date32(), '"2024-2-9"', dt.date(2024, 2, 9)),
        (pa.date32(), "19000", None),
        (DECIMAL, "1.5", Decimal("1.50")),
        (DECIMAL, "0E-10", Decimal("0.00")),
        (DECIMAL, "7", Decimal("7.00")),
        (DECIMAL, "1e3", Decimal("1000.00")),
        (DECIMAL, "99999999.99", Decimal("99999999.99")),
        (DECIMAL, "100000000", None),
        (DECIMAL, "1e400", None),
        (DECIMAL, "NaN", None),
        (DECIMAL, "true", None),
        (pa.float64(), '"NaN"', None),
        (pa.float64(), "NaN", None),
        (pa.float64(), '"Infinity"', None),
        (pa.float64(), '"-Infinity"', None),
        (pa.float64(), "1e400", None),
        (pa.float32(), "1e39", None),
        (pa.float64(), "1.5", 1.5),
        (pa.float64(), '"1.5"', None),
        (pa.float32(), "0.1", 0.10000000149011612),
    ],
)
def test_one_value_leaves_the_others_alone(type_: pa.DataType, given: str, expected: Any) -> None:
    """As minimum and as maximum, between two texts that Arrow reads at once."""
    odd = f'{{"numRecords":10,"minValues":{{"c":{given}}},"maxValues":{{"c":{given}}},"nullCount":{{"c":4}}}}'
    plain = '{"numRecords":10,"nullCount":{"c":1}}'
    bounds = from_json([plain, odd, plain], type_)
    assert pairs(bounds) == [(None, None), (expected, expected), (None, None)]
    assert bounds is not None
    assert bounds.null_count.to_pylist() == [1, 4, 1]


@pytest.mark.parametrize(
    ("lower", "upper"),
    [("0.0", "0.0"), ("-0.0", "-0.0"), ("0", "0"), ("0.0", "-0.0")],
)
def test_zeros_are_the_outer_ones(lower: str, upper: str) -> None:
    stats = f'{{"numRecords":10,"minValues":{{"c":{lower}}},"maxValues":{{"c":{upper}}}}}'
    for type_ in (pa.float32(), pa.float64()):
        ((low, high),) = pairs(from_json([stats], type_))
        assert (math.copysign(1, low), math.copysign(1, high)) == (-1, 1)
        ((low, high),) = pairs(from_struct([(float(lower), float(upper), 0, 10, None)], type_, type_))
        assert (math.copysign(1, low), math.copysign(1, high)) == (-1, 1)


def test_floats_in_structs() -> None:
    rows = [(math.nan, math.nan, 0, 10, None), (-math.inf, math.inf, 0, 10, None), (1.5, 2.5, 0, 10, None), None]
    assert pairs(from_struct(rows, pa.float64(), pa.float64())) == [(None, None), (-math.inf, math.inf), (1.5, 2.5), (None, None)]


@pytest.mark.parametrize("number", [0.1, 0.7, 16777217.0, 1e-46, 3.3])
def test_a_double_that_may_have_been_a_float(number: float) -> None:
    """0.1 as text of a single-precision value is 0.10000000149 once the column is double."""
    single = pa.scalar(number, pa.float64()).cast(pa.float32(), safe=False).as_py()
    ((low, high),) = pairs(from_json([text(number, number)], pa.float64()))
    assert low == min(number, single)
    assert high == max(number, single)
    assert pairs(from_struct([(number, number, 0, 10, None)], pa.float64(), pa.float64())) == [(low, high)]


@pytest.mark.parametrize(
    ("type_", "lower", "upper", "expected"),
    [
        (UTC, "2000-01-01T00:00:00.000Z", "2000-01-01T00:00:00.123Z", ("2000-01-01T00:00:00", "2000-01-01T00:00:00.123999")),
        (UTC, "2000-01-01T00:00:00.000-08:00", "2000-01-01T00:00:00.000+05:30", ("2000-01-01T08:00:00", "1999-12-31T18:30:00.000999")),
        (UTC, "2000-01-01T00:00:00.123456Z", "2000-01-01T00:00:00.123456Z", ("2000-01-01T00:00:00.123456", "2000-01-01T00:00:00.123456")),
        (UTC, "1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z", ("1969-12-31T23:59:59.998001", "1969-12-31T23:59:59.999999")),
        (WALL, "2013-07-05T17:01:00.123", "2013-07-05T17:01:00.123", ("2013-07-05T17:01:00.123", "2013-07-05T17:01:00.123999")),
        (WALL, "2013-07-05 17:01:00.123456", "2013-07-05 17:01:00.5", ("2013-07-05T17:01:00.123456", "2013-07-05T17:01:00.500999")),
        (WALL, "2024-09-09", "2024-09-09", ("2024-09-09T00:00:00", "2024-09-09T00:00:00.000999")),
        (UTC, "0001-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z", ("0000-12-31T23:59:59.999001", "9999-12-31T23:59:59.999999")),
    ],
)
def test_timestamps_are_cut_to_milliseconds(type_: pa.DataType, lower: str, upper: str, expected: tuple[str, str]) -> None:
    low = -62135596800000999 + 0 if expected[0].startswith("0000") else micros(expected[0])
    assert instants(from_json([text(lower, upper)], type_)) == (low, micros(expected[1]))


@pytest.mark.parametrize(
    ("leaf", "type_", "value", "expected"),
    [
        (pa.timestamp("us", "UTC"), UTC, 1_000, (1_000, 1_999)),
        (pa.timestamp("us"), UTC, 1_001, (1_001, 1_001)),
        (pa.timestamp("ms"), WALL, 7, (7_000, 7_999)),
        (pa.timestamp("s", "UTC"), WALL, 7, (7_000_000, 7_000_999)),
        (pa.timestamp("ns"), UTC, 1_001_500, (1_001, 1_002)),
        (pa.timestamp("ns"), UTC, -1_001_500, (-1_002, -1_001)),
        (pa.date32(), WALL, 1, (86_400_000_000, 86_400_000_999)),
    ],
)
def test_timestamps_in_structs(leaf: pa.DataType, type_: pa.DataType, value: int, expected: tuple[int, int]) -> None:
    fields = [("minValues", pa.struct([("c", leaf)])), ("maxValues", pa.struct([("c", leaf)]))]
    array = pa.array([value], pa.int32() if pa.types.is_date32(leaf) else pa.int64()).view(leaf)
    inner = pa.StructArray.from_arrays([array], fields=[pa.field("c", leaf)])
    struct = pa.StructArray.from_arrays([inner, inner], names=[f[0] for f in fields])
    assert instants(struct_bounds(struct, ("c",), type_, deletion_vectors=none_deleted(1))) == expected


def test_timestamps_at_the_end_of_time() -> None:
    ends = pa.array([2**63 - 1, -(2**63), 0], pa.int64()).view(UTC)
    inner = pa.StructArray.from_arrays([ends], names=["c"])
    bounds = struct_bounds(pa.StructArray.from_arrays([inner, inner], names=["minValues", "maxValues"]), ("c",), UTC, deletion_vectors=none_deleted(3))
    assert bounds is not None
    assert bounds.upper.view(pa.int64()).to_pylist() == [None, None, 999]


def test_cut_texts_stay_as_they_are_but_for_old_tie_breakers() -> None:
    assert pairs(from_json([text("a" * 32, "a" * 32 + "\x7f")], pa.string())) == [("a" * 32, "a" * 32 + "\x7f")]
    assert pairs(from_json([text("", "é" * 32 + "\U0010ffff")], pa.string())) == [("", "é" * 32 + "\U0010ffff")]
    ((low, high),) = pairs(from_json([text("x\ufffd", "x" * 32 + "\ufffd")], pa.string()))
    assert low == "x\ufffd"
    assert high.encode() > ("x" * 32 + "\U0001f600").encode()


@pytest.mark.parametrize(
    ("number", "type_"),
    [
        (Decimal("12345678901234567.89"), pa.decimal128(20, 2)),
        (Decimal("9" * 28 + ".5"), pa.decimal128(38, 5)),
        (Decimal("-0.123456789012345678"), pa.decimal128(38, 18)),
    ],
)
def test_decimals_that_were_doubles_on_their_way(number: Decimal, type_: pa.DataType) -> None:
    written = repr(float(number))
    stats = f'{{"numRecords":1,"minValues":{{"c":{written}}},"maxValues":{{"c":{written}}}}}'
    ((low, high),) = pairs(from_json([stats], type_))
    assert low <= number <= high
    assert abs(high - low) <= abs(number) * Decimal("1e-14")


def test_short_decimals_are_not_moved() -> None:
    assert pairs(from_json([text(1.25, -99999999.99)], DECIMAL)) == [(Decimal("1.25"), Decimal("-99999999.99"))]
    assert pairs(from_json(['{"minValues":{"c":1.239},"maxValues":{"c":1.231}}'], DECIMAL)) == [(Decimal("1.23"), Decimal("1.24"))]
    assert pairs(from_json(['{"minValues":{"c":-1.231},"maxValues":{"c":-1.239}}'], DECIMAL)) == [(Decimal("-1.24"), Decimal("-1.23"))]


def test_the_largest_decimals_are_unknown_rather_than_too_large() -> None:
    most = "9" * 38
    stats = f'{{"numRecords":1,"minValues":{{"c":-{most}}},"maxValues":{{"c":{most}}},"nullCount":{{"c":0}}}}'
    assert pairs(from_json([stats], pa.decimal128(38, 0))) == [(None, None)]


@pytest.mark.parametrize(
    ("leaf", "type_", "given", "expected"),
    [
        (pa.int8(), pa.int64(), (-128, 127), (-128, 127)),
        (pa.int64(), pa.int16(), (-5, 40_000), (-5, None)),
        (pa.uint64(), pa.int64(), (1, 2**63), (1, None)),
        (pa.int32(), pa.float64(), (-5, 7), (-5.0, 7.0)),
        (pa.float32(), pa.float64(), (0.5, 1.5), (0.5, 1.5)),
        (pa.int32(), pa.decimal128(12, 2), (-5, 7), (Decimal("-5.00"), Decimal("7.00"))),
        (pa.decimal128(10, 2), pa.decimal128(20, 5), (Decimal("-1.25"), Decimal("1.25")), (Decimal("-1.25"), Decimal("1.25"))),
        (pa.decimal128(20, 5), pa.decimal128(10, 2), (Decimal("1.239"), Decimal("1.231")), (Decimal("1.23"), Decimal("1.24"))),
        (pa.decimal256(60, 30), pa.decimal128(10, 2), (Decimal("1.239"), Decimal("1.231")), (None, None)),
        (pa.large_string(), pa.string(), ("a", "b"), ("a", "b")),
        (pa.string(), pa.date32(), ("2024-01-01", "nonsense"), (dt.date(2024, 1, 1), None)),
        (pa.date64(), pa.date32(), (dt.date(2024, 1, 1), dt.date(2024, 1, 2)), (dt.date(2024, 1, 1), dt.date(2024, 1, 2))),
        (pa.bool_(), pa.bool_(), (False, True), (False, True)),
        (pa.string(), pa.int32(), ("1", "2"), (None, None)),
        (pa.float64(), pa.int32(), (1.0, 2.0), (None, None)),
        (pa.float64(), pa.decimal128(10, 2), (1.0, 2.0), (None, None)),
        (pa.int32(), pa.string(), (1, 2), (None, None)),
        (pa.int32(), pa.bool_(), (0, 1), (None, None)),
        (pa.binary(), pa.binary(), (b"a", b"b"), (None, None)),
        (pa.time64("us"), UTC, (dt.time(1), dt.time(2)), (None, None)),
        (pa.null(), pa.int32(), (None, None), (None, None)),
    ],
)
def test_structs_of_another_type(leaf: pa.DataType, type_: pa.DataType, given: tuple[Any, Any], expected: tuple[Any, Any]) -> None:
    assert pairs(from_struct([(*given, 0, 10, None), None], leaf, type_)) == [expected, (None, None)]


def test_large_integers_as_doubles_stay_outside() -> None:
    ((low, high),) = pairs(from_struct([(2**53 + 1, 2**53 + 1, 0, 10, None)], pa.int64(), pa.float64()))
    assert low <= 2**53 + 1 <= high
    assert low < high


def test_a_chunked_struct_and_a_sliced_one() -> None:
    rows = [{"numRecords": i, "minValues": {"c": i}} for i in range(6)]
    struct = pa.array([*rows, None])
    for array in (pa.chunked_array([struct[:2], struct[2:]]), pa.chunked_array([struct])):
        bounds = struct_bounds(array, ("c",), pa.int32(), deletion_vectors=none_deleted(7))
        assert bounds is not None
        assert bounds.lower.to_pylist() == [0, 1, 2, 3, 4, 5, None]
    sliced = struct_bounds(struct.slice(2, 3), ("c",), DECIMAL, deletion_vectors=none_deleted(3))
    assert sliced is not None
    assert sliced.lower.to_pylist() == [2, 3, 4]


def test_names_that_repeat_in_a_struct_tell_nothing() -> None:
    inner = pa.StructArray.from_arrays([pa.array([1]), pa.array([2])], names=["c", "c"])
    assert struct_bounds(pa.StructArray.from_arrays([inner], names=["minValues"]), ("c",), pa.int64(), deletion_vectors=none_deleted(1)) is None
