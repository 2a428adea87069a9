"""Statistics as JSON text: odd texts, many texts, and the same answers as a slow reading gives."""

from __future__ import annotations

import datetime as dt
import json
import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from formats.delta.stats_forms import DECIMAL, from_json, pairs, text
from formats.delta.unhurried import unhurried


@pytest.mark.parametrize(
    "odd",
    [
        '{\n  "numRecords": 10,\n  "minValues": {"c": 3},\n  "maxValues": {"c": 4}\n}',
        ' {"numRecords":10,"minValues":{"c":3},"maxValues":{"c":4}} ',
        '{"numRecords":10,"minValues":{"c":3},"maxValues":{"c":4},"x":NaN}',
        '{"numRecords":10,"minValues":{"c":3},"maxValues":{"c":4},"x":' + "9" * 500 + "}",
        '{"numRecords":10,"minValues":{"c":3},"maxValues":{"c":4},"x":"' + "y" * 3_000_000 + '"}',
        '{"numRecords":10,"minValues":{"c":3},"maxValues":{"c":4},"x":"\\ud800"}',
        '{"numRecords":10,"minValues":{"c":3,"d":"}{\\"\\n"},"maxValues":{"c":4}}',
        '{"numRecords":10,"minValues":{"c":3},"maxValues":{"c":4},"x":1e400}',
    ],
)
def test_texts_that_are_odd_but_mean_something(odd: str) -> None:
    texts: list[str | None] = [text(1, 5), odd, text(2, 6), None]
    assert pairs(from_json(texts, pa.int64())) == [(1, 5), (3, 4), (2, 6), (None, None)]


@pytest.mark.parametrize(
    "odd",
    [
        '{"minValues":{"c":3,"c":1},"numRecords":10}',
        '{"minValues":{"c":3}} {"minValues":{"c":3}}',
        '{"minValues":{"c":3}}\n{"minValues":{"c":3}}',
        '{"minValues":{"c":3}}x',
        "{'minValues':{'c':3}}",
        '{"minValues":{"c":3}',
        '{"minValues":{"c":+3}}',
        '{"minValues":' + "[" * 50_000 + "]" * 50_000 + "}",
    ],
)
def test_texts_that_mean_nothing_certain(odd: str) -> None:
    texts: list[str | None] = [text(1, 5), odd, text(2, 6)]
    assert pairs(from_json(texts, pa.int64())) == [(1, 5), (None, None), (2, 6)]


def test_texts_that_are_whole_only_together_are_none() -> None:
    """Two halves of one object in two texts, and two objects in the next, give as many rows as texts: they must not be taken for those of the texts."""
    halves = ['{"minValues":{"c":1},"maxValues":{', '"c":1}}', '{"minValues":{"c":7}}{"minValues":{"c":8}}', "", text(2, 2)]
    assert pairs(from_json(list(halves), pa.int64())) == [(None, None)] * 4 + [(2, 2)]
    braces = ['{"minValues":{"c":1}}{"x":"}', '{"}', text(2, 2)]
    assert pairs(from_json(list(braces), pa.int64())) == [(None, None)] * 2 + [(2, 2)]


def test_many_texts_with_a_few_odd_ones_come_back_in_order() -> None:
    texts: list[str | None] = [text(i, i + 1, pad="x" * 200) for i in range(60_000)]
    for at in (0, 777, 30_000, 59_999):
        texts[at] = f'{{"numRecords":10,"minValues":{{"c":{at}.0}},"maxValues":{{"c":{at + 1}}},"x":NaN}}'
    texts[5] = None
    bounds = from_json(texts, pa.int64())
    assert bounds is not None
    assert bounds.lower.to_pylist() == [None if i == 5 else i for i in range(60_000)]
    assert bounds.upper.to_pylist() == [None if i == 5 else i + 1 for i in range(60_000)]


def test_nan_as_text_in_every_file_is_no_slow_path() -> None:
    texts: list[str | None] = [text(float(i), "NaN") for i in range(60_000)]
    bounds = from_json(texts, pa.float32())
    assert bounds is not None
    assert bounds.lower.null_count == 0
    assert bounds.upper.null_count == 60_000


# Against a slow reading of the same texts ----------------------------------------------------------------------------------------------------------

NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70).map(str),
    st.integers(-200, 200).map(str),
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.sampled_from(["0E-10", "-0.0", "7.0", "1e3", "99999999.99", "99999999.995", "NaN", "Infinity", "-Infinity", "1e400"]),
)
VALUES = st.one_of(
    NUMBERS,
    st.sampled_from(
        ['"2024-02-29"', '"2024-02-30"', '"NaN"', '"Infinity"', '"2000-01-01T00:00:00.123Z"', '"a"', '""', "true", "false", "null", "{}", "[1]", '"1.5"']
    ),
    st.text(max_size=5).map(json.dumps),
)
TEXTS = st.one_of(
    st.none(),
    st.sampled_from(["", "{}", "null", "{", '{"minValues":{"c":1,"c":2}}', "[]", '{"minValues":3,"maxValues":{"c":[]}}']),
    st.builds(
        lambda low, high, nulls, rows, tail: f'{{"numRecords":{rows},"minValues":{{"c":{low}}},"maxValues":{{"c":{high}}},"nullCount":{{"c":{nulls}}}}}{tail}',
        VALUES,
        VALUES,
        NUMBERS,
        NUMBERS,
        st.sampled_from(["", "", "", " ", "\n", "x"]),
    ),
)
TYPES = st.sampled_from([pa.int8(), pa.int64(), pa.bool_(), pa.string(), pa.date32(), pa.float64(), pa.float32(), DECIMAL, pa.decimal128(38, 4)])


class Number(str):
    """A number's own text."""


def slowly(stats: str | None, type_: pa.DataType) -> tuple[Any, Any, Any, Any]:
    """Lower, upper, nulls and rows of one text, exactly and without Arrow's reader. Words JSON does not know count as numbers that no type but floats has."""

    def unique(found: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(found)) < len(found):
            raise ValueError("a key repeats")
        return dict(found)

    try:
        tree = json.loads(stats or "{}", parse_int=Number, parse_float=Number, parse_constant=Number, object_pairs_hook=unique)
    except ValueError:
        tree = {}
    tree = tree if isinstance(tree, dict) else {}

    def leaf(*path: str) -> Any:
        at: Any = tree
        for key in path:
            at = at.get(key) if isinstance(at, dict) else None
        return at

    rows, nulls = count(leaf("numRecords")), count(leaf("nullCount", "c"))
    if rows is not None and nulls is not None and nulls > rows:
        nulls = None
    return bound(leaf("minValues", "c"), type_, upper=False), bound(leaf("maxValues", "c"), type_, upper=True), nulls, rows


def count(value: Any) -> int | None:
    number = whole(value)
    return number if number is not None and 0 <= number < 2**63 else None


def whole(value: Any) -> int | None:
    if not isinstance(value, Number) or not value.lstrip("-")[:1].isdigit() or "e" in value.lower():
        return None
    number = Decimal(value)
    return int(number) if number == number.to_integral_value() and len(value.split(".")[0]) <= 20 else None


def bound(value: Any, type_: Any, *, upper: bool) -> Any:
    if pa.types.is_boolean(type_):
        return value if isinstance(value, bool) else None
    if pa.types.is_string(type_):
        if not isinstance(value, str) or isinstance(value, Number):
            return None
        return value[:-1] + "\U0010ffff" if upper and value.endswith("\ufffd") else value
    if pa.types.is_date(type_):
        try:
            return dt.date.fromisoformat(value) if isinstance(value, str) and not isinstance(value, Number) and len(value) == 10 else None
        except ValueError:
            return None
    if pa.types.is_integer(type_):
        number = whole(value)
        return number if number is not None and -(2 ** (type_.bit_width - 1)) <= number < 2 ** (type_.bit_width - 1) else None
    if pa.types.is_floating(type_):
        return float_bound(value, type_, upper)
    return decimal_bound(value, type_, upper)


def float_bound(value: Any, type_: pa.DataType, upper: bool) -> float | None:
    if not isinstance(value, Number):
        return None
    number = float(value)
    if not math.isfinite(number):
        return None
    single = pa.array([str(value)]).cast(pa.float32())[0].as_py()
    if pa.types.is_float32(type_):
        number = single
    elif math.isfinite(single):
        single = pa.scalar(number, pa.float64()).cast(pa.float32(), safe=False).as_py()
        number = number if not math.isfinite(single) else max(number, single) if upper else min(number, single)
    if not math.isfinite(number):
        return None
    return (0.0 if upper else -0.0) if number == 0 else number


def decimal_bound(value: Any, type_: Any, upper: bool) -> Decimal | None:
    if not isinstance(value, str) or not value.lstrip("+-")[:1].isdigit() or len(value) > 200:
        return None
    try:
        number = Decimal(value)
    except ArithmeticError:
        return None
    limit = 10**type_.precision
    shifted = number.scaleb(type_.scale) if number.adjusted() < 60 else Decimal(limit)
    unscaled = int(shifted.to_integral_value(ROUND_CEILING if upper else ROUND_FLOOR))
    if abs(number) >= 10 ** (type_.precision - type_.scale) or abs(unscaled) >= limit:
        return None
    if abs(unscaled) >= 10**15:
        moved = math.ceil(abs(unscaled) * 2.0**-49)
        if abs(float(unscaled)) + moved >= 0.9999e38:
            return None
        unscaled += moved if upper else -moved
    return None if abs(unscaled) >= limit else Decimal(unscaled).scaleb(-type_.scale)


def same(found: Any, expected: Any) -> bool:
    if isinstance(found, float) and isinstance(expected, float):
        return found == expected and math.copysign(1, found) == math.copysign(1, expected)
    return bool(found == expected)


@settings(unhurried, max_examples=400)
@given(st.lists(TEXTS, min_size=1, max_size=12), TYPES)
@example(['{"numRecords":1,"minValues":{"c":99999999.995},"maxValues":{"c":99999999.995},"nullCount":{"c":0}}'], DECIMAL)
def test_the_same_as_a_slow_reading(texts: list[str | None], type_: pa.DataType) -> None:
    expected = [slowly(t, type_) for t in texts]
    bounds = from_json(texts, type_)
    if bounds is None:
        assert all(e[:3] == (None, None, None) for e in expected)
        return
    for i, wanted in enumerate(expected):
        found = (bounds.lower[i].as_py(), bounds.upper[i].as_py(), bounds.null_count[i].as_py(), bounds.row_count[i].as_py())
        assert all(same(f, w) for f, w in zip(found, wanted, strict=True)), (texts[i], found, wanted)
