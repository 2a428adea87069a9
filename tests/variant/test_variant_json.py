"""Variants as JSON text: every type, every nesting, plain and shredded, and bytes that are no variant."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import struct
import uuid
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conformance.cases import corpus
from hypothesis import given, settings
from hypothesis import strategies as st

from lakesql.errors import DataFileError
from lakesql.variant import to_json
from lakesql.variant.text import quoted, scalar_texts
from variant.variant_maker import Sized, column, encode

UTC = dt.UTC


def text(value: Any, *, wide: bool = False) -> str:
    (found,) = to_json(column([value], wide=wide)).to_pylist()
    assert isinstance(found, str)
    return found


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize(
    ("value", "json_text"),
    [
        (..., "null"),
        (True, "true"),
        (False, "false"),
        (-1, "-1"),
        (300, "300"),
        (-(2**31), "-2147483648"),
        (2**63 - 1, "9223372036854775807"),
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (1.5, "1.5"),
        (100.0, "100.0"),
        (0.001, "0.001"),
        (0.0001, "1.0E-4"),
        (9999999.0, "9999999.0"),
        (1e7, "1.0E7"),
        (-1.25e300, "-1.25E300"),
        (float("nan"), "NaN"),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
        (Sized(14, struct.pack("<f", 0.1)), "0.1"),
        (Sized(14, struct.pack("<f", 1.5e20)), "1.5E20"),
        (Decimal("1.250"), "1.25"),
        (Decimal("-0.5"), "-0.5"),
        (Decimal("0.000000"), "0"),
        (Decimal("100"), "100"),
        (Decimal("0.0000000001"), "0.0000000001"),
        (Decimal("12345678901234567890.123456789"), "12345678901234567890.123456789"),
        (dt.date(2024, 2, 29), '"2024-02-29"'),
        (dt.datetime(2024, 1, 1, tzinfo=UTC), '"2024-01-01 00:00:00+00:00"'),
        (dt.datetime(2024, 1, 1, 12, 30, 5, 120_000, tzinfo=UTC), '"2024-01-01 12:30:05.12+00:00"'),
        (dt.datetime(1969, 12, 31, 23, 59, 59, 999_999), '"1969-12-31 23:59:59.999999"'),
        (Sized(18, struct.pack("<q", 1)), '"1970-01-01 00:00:00.000000001+00:00"'),
        (Sized(19, struct.pack("<q", 10**9)), '"1970-01-01 00:00:01"'),
        (dt.time(1, 2, 3), '"01:02:03"'),
        (b"\x00\xff", '"AP8="'),
        (b"", '""'),
        (uuid.UUID(int=5), '"00000000-0000-0000-0000-000000000005"'),
        ("", '""'),
        ("a" * 63, '"' + "a" * 63 + '"'),
        ("a" * 64, '"' + "a" * 64 + '"'),
        ('quote " and \\ and \n\t\x01', '"quote \\" and \\\\ and \\n\\t\\u0001"'),
        ("€😀", '"€😀"'),
        ([], "[]"),
        ({}, "{}"),
        ([1, None, "x", [True]], '[1,null,"x",[true]]'),
        ({"b": 1, "a": {"c": []}}, '{"a":{"c":[]},"b":1}'),
        ({'k"': 1}, '{"k\\"":1}'),
        (list(range(300)), json.dumps(list(range(300)), separators=(",", ":"))),
    ],
)
def test_values(value: Any, json_text: str, wide: bool) -> None:
    assert text(value, wide=wide) == json_text


def test_columns_keep_their_rows_apart() -> None:
    values: list[Any] = [{"a": 1}, None, {"b": [1, {"a": 2}]}, ..., [], "x", None, {"a": None, "z": "y" * 100}]
    array = column(values)
    expected = ['{"a":1}', None, '{"b":[1,{"a":2}]}', "null", "[]", '"x"', None, '{"a":null,"z":"' + "y" * 100 + '"}']
    assert to_json(array).to_pylist() == expected
    assert to_json(array[2:6]).to_pylist() == expected[2:6]
    assert to_json(pa.chunked_array([array, array[:1]])).to_pylist() == [*expected, expected[0]]
    assert to_json(array[:0]).to_pylist() == []
    assert to_json(pa.chunked_array([], array.type)).to_pylist() == []


def test_fields_in_any_order() -> None:
    metadata, value = encode({"a": 1})
    array = pa.array([{"value": value, "metadata": metadata}], pa.struct([("value", pa.binary()), ("metadata", pa.binary())]))
    assert to_json(array).to_pylist() == ['{"a":1}']
    views = array.cast(pa.struct([("value", pa.large_binary()), ("metadata", pa.binary())]))
    assert to_json(views).to_pylist() == ['{"a":1}']


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.text(st.characters(exclude_categories=["Cs"]), max_size=70)),
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), inner, max_size=5)),
    max_leaves=20,
)


@settings(deadline=None)
@given(st.lists(JSON, min_size=1, max_size=6), st.booleans())
def test_any_json_comes_back(values: list[Any], wide: bool) -> None:
    texts = to_json(column([... if v is None else v for v in values], wide=wide)).to_pylist()
    assert [json.loads(t, parse_int=int) for t in texts] == values


@settings(deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_doubles_come_back(value: float) -> None:
    assert float(text(value)) == value
    assert ("E" in text(value)) == (value != 0 and not 1e-3 <= abs(value) < 1e7)


@settings(deadline=None)
@given(st.decimals(allow_nan=False, allow_infinity=False, places=10, min_value=-(10**27), max_value=10**27))
def test_decimals_come_back(value: Decimal) -> None:
    found = text(value)
    assert Decimal(found) == value
    assert "E" not in found


# Shredded ------------------------------------------------------------------------------------------------------------------------------------------


def shredded(typed: pa.DataType, rows: list[Any]) -> pa.Array:
    """rows: (metadata, value, typed_value) or None."""
    type_ = pa.struct([("metadata", pa.binary()), ("value", pa.binary()), ("typed_value", typed)])
    return pa.array([None if r is None else dict(zip(("metadata", "value", "typed_value"), r, strict=True)) for r in rows], type_)


def pair(type_: pa.DataType) -> pa.DataType:
    return pa.struct([("value", pa.binary()), ("typed_value", type_)])


EMPTY = encode(None)[0]


def raw(value: Any) -> bytes:
    return encode(value)[1]


def test_a_shredded_number() -> None:
    array = shredded(pa.int64(), [(EMPTY, None, 5), (EMPTY, raw("text"), None), None, (EMPTY, None, None), (EMPTY, raw(None), None)])
    assert to_json(array).to_pylist() == ["5", '"text"', None, "null", "null"]


@pytest.mark.parametrize(
    ("type_", "value", "json_text"),
    [
        (pa.bool_(), True, "true"),
        (pa.int8(), -3, "-3"),
        (pa.float32(), 0.5, "0.5"),
        (pa.float64(), 1e300, "1.0E300"),
        (pa.decimal128(7, 6), decimal.Decimal("2.000000"), "2"),
        (pa.string(), 'a"b', '"a\\"b"'),
        (pa.large_string(), "x", '"x"'),
        (pa.binary(), b"\x00\xff", '"AP8="'),
        (pa.binary(16), uuid.UUID(int=1).bytes, f'"{uuid.UUID(int=1)}"'),
        (pa.date32(), dt.date(1969, 12, 31), '"1969-12-31"'),
        (pa.timestamp("us", "UTC"), dt.datetime(2024, 1, 1, tzinfo=UTC), '"2024-01-01 00:00:00+00:00"'),
        (pa.timestamp("us"), dt.datetime(2024, 1, 1, 0, 0, 0, 500_000), '"2024-01-01 00:00:00.5"'),
        (pa.time64("us"), dt.time(10), '"10:00:00"'),
    ],
)
def test_shredded_types(type_: pa.DataType, value: Any, json_text: str) -> None:
    assert to_json(shredded(type_, [(EMPTY, None, value)])).to_pylist() == [json_text]


def test_a_shredded_object_and_what_is_left_of_it() -> None:
    typed = pa.struct([("b", pair(pa.string())), ("a", pair(pa.int32()))])
    metadata, rest = encode({"0": 1, "aa": {"x": 2}, "z": None})
    rows = [
        (EMPTY, None, {"b": {"value": None, "typed_value": "s"}, "a": {"value": None, "typed_value": 1}}),
        (metadata, rest, {"b": {"value": None, "typed_value": "s"}, "a": {"value": None, "typed_value": 1}}),
        (EMPTY, None, {"b": {"value": raw(7), "typed_value": None}, "a": {"value": None, "typed_value": None}}),
        (EMPTY, None, {"b": {"value": None, "typed_value": None}, "a": {"value": None, "typed_value": None}}),
        (EMPTY, raw([1]), None),
        (EMPTY, None, {"b": {"value": raw(None), "typed_value": None}, "a": {"value": None, "typed_value": None}}),
    ]
    assert to_json(shredded(typed, rows)).to_pylist() == [
        '{"a":1,"b":"s"}',
        '{"0":1,"a":1,"aa":{"x":2},"b":"s","z":null}',
        '{"b":7}',
        "{}",
        "[1]",
        '{"b":null}',
    ]


def test_names_are_in_the_order_of_javas_strings() -> None:
    typed = pa.struct([("\U0001f600", pair(pa.int32())), ("\ufffd", pair(pa.int32())), ("a", pair(pa.int32()))])
    one = {"value": None, "typed_value": 1}
    array = shredded(typed, [(EMPTY, None, {"\U0001f600": one, "\ufffd": one, "a": one})])
    assert to_json(array).to_pylist() == ['{"a":1,"\U0001f600":1,"\ufffd":1}']


def test_a_shredded_array() -> None:
    typed = pa.list_(pair(pa.struct([("x", pair(pa.int32()))])))
    metadata, other = encode({"y": 1})
    element = {"value": None, "typed_value": {"x": {"value": None, "typed_value": 4}}}
    rows = [
        (EMPTY, None, [element, {"value": raw("s"), "typed_value": None}, {"value": raw(None), "typed_value": None}]),
        (EMPTY, None, []),
        (metadata, None, [{"value": other, "typed_value": None}]),
        (EMPTY, raw(True), None),
        (EMPTY, None, [{"value": None, "typed_value": None}]),
    ]
    assert to_json(shredded(typed, rows)).to_pylist() == ['[{"x":4},"s",null]', "[]", '[{"y":1}]', "true", "[null]"]


def test_a_file_may_shred_everything() -> None:
    type_ = pa.struct([("metadata", pa.binary()), ("typed_value", pa.int64())])
    assert to_json(pa.array([{"metadata": EMPTY, "typed_value": 1}, None], type_)).to_pylist() == ["1", None]


def test_real_files() -> None:
    root, whole = corpus()
    if not whole:
        pytest.skip("THE CORPUS IS NOT HERE (LAKESQL_CORPUS, or ../shared/corpus beside the checkout): no real variant was read")
    folder = root / "iceberg" / "gen-variant-shredded"
    texts = {t for file in (folder / "table").rglob("*.parquet") for t in _texts(file)}
    expected = pq.ParquetFile(folder / "expected" / "variant_as_json.parquet").read()["v"].to_pylist()
    assert expected
    assert set(expected) <= texts


def _texts(file: Path) -> list[str | None]:
    table = pq.ParquetFile(file).read()
    found: list[str | None] = to_json(table["v"]).to_pylist() if "v" in table.column_names else []
    return found


# Damage --------------------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [{"a": [1, {"b": "text" * 30}], "c": Decimal("1.5"), "d": 2.5}, "x" * 100, [1, 2, 3], dt.date(2024, 1, 1)])
def test_no_piece_of_a_variant_is_read_beyond_its_end(value: Any) -> None:
    metadata, whole = encode(value)
    type_ = column([]).type
    for cut in range(len(whole)):
        with pytest.raises(DataFileError):
            to_json(pa.array([{"metadata": metadata, "value": whole[:cut]}, {"metadata": metadata, "value": whole}], type_))


@settings(deadline=None)
@given(st.binary(max_size=60), st.binary(max_size=30))
def test_any_bytes_are_a_variant_or_an_error_of_ours(value: bytes, metadata: bytes) -> None:
    array = pa.array([{"metadata": b"\x01\x01\x00\x01a" + metadata, "value": value}], column([]).type)
    with suppress(DataFileError):
        to_json(array)
    with suppress(DataFileError):
        to_json(pa.array([{"metadata": metadata, "value": raw({})}], column([]).type))


def test_members_that_share_bytes_are_refused() -> None:
    bomb = bytes([3, 200]) + bytes(200) + bytes([5]) + b"\x03\x00\x00\x00\x00"
    with pytest.raises(DataFileError, match="two members at one place"):
        to_json(pa.array([{"metadata": EMPTY, "value": bomb}], column([]).type))


def test_absurd_counts_are_refused_before_memory_is_taken() -> None:
    huge = bytes([3 | 1 << 4]) + (2**31 - 1).to_bytes(4, "little")
    with pytest.raises(DataFileError):
        to_json(pa.array([{"metadata": EMPTY, "value": huge}], column([]).type))


def test_nesting_without_end_is_refused() -> None:
    value: Any = 1
    for _ in range(150):
        value = [value]
    assert text(value) == "[" * 150 + "1" + "]" * 150
    for _ in range(100):
        value = [value]
    with pytest.raises(DataFileError, match="levels deep"):
        text(value)


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        (b"\x02\x00\x00", "version 2"),
        (b"\x01\x05\x00", "ends within"),
        (b"\x01\x00\x00", "names a field that its metadata lacks"),
        (b"\x01\x01\x00\x09a", "outside"),
    ],
)
def test_metadata_that_is_none(metadata: bytes, words: str) -> None:
    with pytest.raises(DataFileError, match=words):
        to_json(pa.array([{"metadata": metadata, "value": raw({"a": 1})}], column([]).type))


def test_text_that_is_not_utf_8() -> None:
    with pytest.raises(DataFileError, match="UTF-8"):
        to_json(pa.array([{"metadata": EMPTY, "value": bytes([1 | 1 << 2, 255])}], column([]).type))


def test_types_that_are_not_known() -> None:
    with pytest.raises(DataFileError, match="type 40"):
        text(Sized(40, b""))
    with pytest.raises(DataFileError, match="duration"):
        scalar_texts(pa.array([1], pa.duration("s")))


@pytest.mark.parametrize("type_", [pa.int64(), pa.struct([("value", pa.binary())]), pa.struct([("metadata", pa.binary())])])
def test_columns_that_hold_no_variants(type_: pa.DataType) -> None:
    with pytest.raises(DataFileError, match="expected a struct of metadata"):
        to_json(pa.array([None], type_))


def test_shredded_columns_of_no_sense() -> None:
    typed = pa.struct([("a", pair(pa.int32()))])
    row = (EMPTY, raw(5), {"a": {"value": None, "typed_value": 1}})
    with pytest.raises(DataFileError, match="no object"):
        to_json(shredded(typed, [row]))
    with pytest.raises(DataFileError, match="expected a struct of value"):
        to_json(shredded(pa.struct([("a", pa.int32())]), [(EMPTY, None, {"a": 1})]))


def test_quoting() -> None:
    texts = ['"', "\\", "\b\f\r", "\x1f", "plain", None, "/", "\x7f"]
    assert quoted(pa.array(texts)).to_pylist() == ['"\\""', '"\\\\"', '"\\b\\f\\r"', '"\\u001F"', '"plain"', None, '"/"', '"\x7f"']
