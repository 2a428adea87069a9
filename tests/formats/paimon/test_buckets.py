"""Bucket keys: their bytes, their hashes, and which buckets predicates leave."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakesql.formats.paimon.buckets import MOST_KEYS, BucketFunction, BucketKey, encode, hive_hash, murmur3
from lakesql.formats.paimon.java_hashes import row_hash, value_hash
from lakesql.formats.paimon.types import DataField, parse_type
from lakesql.predicate import And, Cast, Column, Compare, In, IsNull, Op, Or, Predicate

from .rows import TYPES, expected, row, type_of, values_of


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_bytes_are_those_of_the_writer(data: st.DataObject) -> None:
    types = data.draw(st.lists(st.sampled_from(TYPES), min_size=1, max_size=5))
    values = data.draw(st.tuples(*(values_of(t) for t in types)))
    found = encode([expected(v, t) for v, t in zip(values, types, strict=True)], types)
    if found is not None:
        # Digits below the type's precision are not kept.
        cut = [
            (v[0], v[1] // 1000 * 1000) if v is not None and t.root.startswith("TIMESTAMP") and t.precision in (4, 6) else v
            for v, t in zip(values, types, strict=True)
        ]
        assert found == row(cut, types)[4:]


def test_nulls_whose_bytes_are_not_known_are_not_encoded() -> None:
    assert encode([None], [type_of("DECIMAL(20, 0)")]) is None
    assert encode([None], [type_of("TIMESTAMP(6)")]) is None
    assert encode([None], [type_of("INT")]) is not None


def test_nulls_that_java_keeps_room_for() -> None:
    types = [type_of(t) for t in ("DECIMAL(20, 0)", "STRING", "TIMESTAMP(6)", "INT", "DECIMAL(5, 2)")]
    values = (None, "longer than seven", None, None, None)
    digest = row_hash(types)
    assert digest is not None
    raw, hash_ = digest(values)
    assert raw == row(values, types)[4:]
    assert hash_ == murmur3(raw)


def test_values_as_arrow_gives_them_to_python() -> None:
    types = [type_of(t) for t in ("DATE", "TIMESTAMP(3)", "TIMESTAMP_LTZ(6)", "DECIMAL(5, 2)", "BYTES", "BOOLEAN")]
    at = dt.datetime(2024, 1, 2, 3, 4, 5, 678_000)
    digest = row_hash(types)
    assert digest is not None
    raw, _ = digest((dt.date(1970, 1, 3), at, at.replace(tzinfo=dt.UTC), Decimal("1.25"), b"ab", True))
    ms = 1_704_164_645_678
    assert raw == row((2, (ms, 0), (ms, 0), 125, b"ab", 1), types)[4:]
    assert row_hash([type_of("INT"), parse_type({"type": "ARRAY", "element": "INT"}, "test")]) is None


@pytest.mark.parametrize(
    ("type_", "value", "hash_"),
    [
        ("BOOLEAN", True, 1231),
        ("TINYINT", -1, -1),
        ("INT", 2**31 - 1, 2**31 - 1),
        ("DATE", dt.date(1970, 1, 3), 2),
        ("BIGINT", 2**32 + 5, 4),
        ("BIGINT", -1, 0),
        ("DOUBLE", 1.0, 1072693248),
        ("DOUBLE", -0.0, -(2**31)),
        ("FLOAT", 1.0, 1065353216),
        ("DECIMAL(5, 2)", Decimal("1.25"), 31 * 125 + 2),
        ("DECIMAL(5, 2)", Decimal("-1.25"), -31 * 125 + 2),
        ("DECIMAL(30, 0)", Decimal(2**32 + 7), 31 * (31 + 7)),
        ("TIMESTAMP(3)", dt.datetime(1970, 1, 1, 0, 0, 1), 31_000),
        ("TIMESTAMP(6)", dt.datetime(1970, 1, 1, 0, 0, 0, 1001), 31 + 1000),
        ("TIMESTAMP(6)", dt.datetime(1969, 12, 31, 23, 59, 59, 999_999), 999_000),
        ("INT", None, 0),
    ],
)
def test_hashes_of_java(type_: str, value: Any, hash_: int) -> None:
    """Of java.lang's classes, BigDecimal and Paimon's Timestamp, worked out from their definitions."""
    digest = value_hash(type_of(type_))
    assert digest is not None
    assert digest((value,))[1] == hash_


def test_which_values_are_equal_to_java() -> None:
    doubles = value_hash(type_of("DOUBLE"))
    assert doubles is not None
    assert doubles((0.0,))[0] != doubles((-0.0,))[0]
    assert doubles((float("nan"),)) == doubles((float("nan"),))
    texts = value_hash(type_of("STRING"))
    assert texts is not None
    assert texts(("",)) != texts((None,))
    assert value_hash(type_of("BYTES")) is None


@pytest.mark.parametrize(("words", "hash_"), [(b"", 142593372), (bytes(4), 933211791), (b"abcd", -396302900), (bytes(range(24)), 1105661046)])
def test_murmur3(words: bytes, hash_: int) -> None:
    """Values of the reference implementation for seed 42."""
    assert murmur3(words) == hash_


def test_hive_hash() -> None:
    assert hive_hash(["abc"], [type_of("STRING")]) == 96354
    assert hive_hash([-1, 2], [type_of("INT"), type_of("BIGINT")]) == (31 * -1 + 2) & 0x7FFFFFFF
    assert hive_hash([1.0], [type_of("DOUBLE")]) is None


def _key(*types: str, function: BucketFunction = BucketFunction.DEFAULT) -> BucketKey:
    return BucketKey(tuple(DataField(i, "abc"[i], type_of(t)) for i, t in enumerate(types)), function)


def _eq(name: str, value: Any, type_: pa.DataType | None = None) -> Compare:
    return Compare(Column((name,)), Op.EQ, pa.scalar(value, type_))


def _bucket(values: list[Any], types: list[str], total: int) -> int:
    hash_ = murmur3(row(values, [type_of(t) for t in types])[4:])
    return abs(hash_) % total


@pytest.mark.parametrize(
    ("type_", "literal", "raw"),
    [
        ("INT", pa.scalar(7, pa.int64()), 7),
        ("BIGINT", pa.scalar(7, pa.int32()), 7),
        ("TINYINT", pa.scalar(-3, pa.int64()), -3),
        ("STRING", pa.scalar("a longer text"), "a longer text"),
        ("STRING", pa.scalar("short", pa.string_view()), "short"),
        ("BYTES", pa.scalar(b"\1\2"), b"\1\2"),
        ("DATE", pa.scalar(dt.date(1969, 12, 31)), -1),
        ("DECIMAL(10, 2)", pa.scalar(Decimal("1.50")), 150),
        ("DECIMAL(30, 2)", pa.scalar(Decimal("-1.5")), -150),
        ("TIMESTAMP(3)", pa.scalar(1500, pa.timestamp("us")), None),
        ("TIMESTAMP(3)", pa.scalar(1000, pa.timestamp("us")), (1, 0)),
        ("TIMESTAMP(6)", pa.scalar(-1, pa.timestamp("ns")), None),
        ("TIMESTAMP(6)", pa.scalar(-1000, pa.timestamp("ns")), (-1, 999_000)),
        ("DOUBLE", pa.scalar(1.5), 1.5),
        ("DOUBLE", pa.scalar(0.0), None),
        ("DOUBLE", pa.scalar(float("nan")), None),
        ("INT", pa.scalar(2**40), None),
        ("INT", pa.scalar(1.5), None),
    ],
)
def test_literals_take_the_columns_type(type_: str, literal: pa.Scalar, raw: Any) -> None:
    found = _key(type_).pinned([Compare(Column(("a",)), Op.EQ, literal)])
    if raw is None:
        assert found is None
    else:
        assert found is not None
        assert found.of(1000) == {_bucket([raw], [type_], 1000)}


def test_every_column_of_the_key_must_be_pinned() -> None:
    key = _key("INT", "STRING")
    assert key.pinned([_eq("a", 1)]) is None
    assert key.pinned([]) is None
    found = key.pinned([And((_eq("a", 1), In(Column(("b",)), pa.array(["x", "y"]))))])
    assert found is not None
    assert found.of(97) == {_bucket([1, t], ["INT", "STRING"], 97) for t in "xy"}


def test_what_pins_a_column() -> None:
    key = _key("INT")
    wider = Compare(Cast(Column(("a",)), pa.int64()), Op.EQ, pa.scalar(5, pa.int64()))
    either = Or((_eq("a", 5), In(Column(("a",)), pa.array([6, 7]))))
    for predicate, values in ((wider, [5]), (either, [5, 6, 7]), (IsNull(Column(("a",))), [None])):
        found = key.pinned([predicate])
        assert found is not None
        assert found.of(1000) == {_bucket([v], ["INT"], 1000) for v in values}
    not_pinning: list[Predicate] = [
        Compare(Column(("a",)), Op.LT, pa.scalar(5)),
        In(Column(("a",)), pa.array([5]), negated=True),
        Or((_eq("a", 5), _eq("b", 5))),
        Compare(Column(("a", "x")), Op.EQ, pa.scalar(5)),
        Compare(Cast(Column(("a",)), pa.float64()), Op.EQ, pa.scalar(5.0)),
        In(Column(("a",)), pa.array(range(MOST_KEYS + 1))),
    ]
    for predicate in not_pinning:
        assert key.pinned([predicate]) is None


def test_entries_are_kept_by_their_own_number_of_buckets() -> None:
    found = _key("INT", function=BucketFunction.MOD).pinned([_eq("a", -3)])
    assert found is not None
    buckets, totals = np.array([2, 1, 0, -2, 1, 3]), np.array([5, 5, -1, -2, 2, 0])
    assert found.keep(buckets, totals).tolist() == [True, False, True, True, True, True]


def test_mod_needs_one_integer() -> None:
    assert _key("STRING", function=BucketFunction.MOD).pinned([_eq("a", "x")]) is None
