"""BinaryRow decoded: every type and layout against an encoder, and bytes that are wrong."""

from __future__ import annotations

import contextlib
import struct

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakesql.errors import MetadataError
from lakesql.formats.paimon.binary_row import Rows, distinct

from .rows import TYPES, expected, plain, row, type_of, values_of


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_every_value_of_every_type_comes_back(data: st.DataObject) -> None:
    types = data.draw(st.lists(st.sampled_from(TYPES), min_size=1, max_size=5))
    rows = data.draw(st.lists(st.tuples(*(values_of(t) for t in types)), max_size=5))
    absent = data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)))
    blobs = pa.array([None if gone else row(r, types) for r, gone in zip(rows, absent, strict=True)], pa.binary())
    decoded = Rows.of(blobs, len(types), "test")
    for i, type_ in enumerate(types):
        wanted = [None if gone else expected(r[i], type_) for r, gone in zip(rows, absent, strict=True)]
        assert plain(decoded.column(i, type_)) == wanted


@pytest.mark.parametrize("arity", [1, 55, 56, 57, 119, 120, 121])
def test_the_null_area_grows_by_whole_words(arity: int) -> None:
    types = [type_of("INT")] * arity
    values = [i if i % 3 else None for i in range(arity)]
    decoded = Rows.of(pa.array([row(values, types)]), arity, "test")
    assert [decoded.column(i, types[i]).to_pylist()[0] for i in range(arity)] == values


def test_rows_of_no_fields_and_no_rows() -> None:
    assert len(Rows.of(pa.array([row([], [])]), 0, "test")) == 1
    assert Rows.of(pa.array([], pa.binary()), 3, "test").column(1, type_of("STRING")).to_pylist() == []


def test_slices_chunks_and_views_are_read_alike() -> None:
    types = [type_of("STRING"), type_of("BIGINT")]
    blobs = pa.array([row([str(i) * i, i], types) for i in range(10)], pa.binary())
    chunked = pa.chunked_array([blobs.slice(2, 3), blobs.slice(7, 2)])
    for given_ in (chunked, chunked.cast(pa.large_binary()), chunked.cast(pa.binary_view()), blobs.take(pa.array([2, 3, 4, 7, 8]))):
        decoded = Rows.of(given_, 2, "test")
        assert decoded.column(1, types[1]).to_pylist() == [2, 3, 4, 7, 8]
        assert decoded.column(0, types[0]).to_pylist() == ["22", "333", "4444", "7777777", "88888888"]
        assert decoded.take(np.array([4, 0])).column(1, types[1]).to_pylist() == [8, 2]


def test_nulls_are_told_before_the_slot_is_read() -> None:
    """A null decimal or timestamp keeps an offset in its slot."""
    types = [type_of("DECIMAL(38, 0)"), type_of("TIMESTAMP(9)")]
    blob = row([None, None], types)
    assert struct.unpack_from("<q", blob, 4 + 8)[0] != 0
    decoded = Rows.of(pa.array([blob]), 2, "test")
    assert [decoded.column(i, t).to_pylist() for i, t in enumerate(types)] == [[None], [None]]


def test_timestamps_before_1970_floor() -> None:
    decoded = Rows.of(pa.array([row([(-1, 999_999)], [type_of("TIMESTAMP(9)")])]), 1, "test")
    assert plain(decoded.column(0, type_of("TIMESTAMP(9)"))) == [-1]


def test_a_timestamp_beyond_64_bits_is_unknown_or_refused() -> None:
    type_ = type_of("TIMESTAMP(9)")
    decoded = Rows.of(pa.array([row([(253_402_300_799_999, 0)], [type_])]), 1, "test")
    assert decoded.column(0, type_, strict=False).to_pylist() == [None]
    with pytest.raises(MetadataError, match="beyond what 64 bits hold"):
        decoded.column(0, type_)


def test_nested_fields_have_no_values() -> None:
    types = [type_of("INT"), type_of("INT")]
    nested = type_of({"type": "ARRAY", "element": "INT"})  # type: ignore[arg-type]
    assert Rows.of(pa.array([row([1, 2], types)]), 2, "test").column(1, nested).to_pylist() == [None]


def _patched(blob: bytes, at: int, piece: bytes) -> pa.Array:
    return pa.array([blob[:at] + piece + blob[at + len(piece) :]])


TEXT = type_of("STRING")
LONG_TEXT = row(["x" * 20], [TEXT])


@pytest.mark.parametrize(
    ("blobs", "type_", "message"),
    [
        (pa.array([b"\0\0\0"]), TEXT, "at least 20 bytes, not 3"),
        (pa.array([row([1, 2], [type_of("INT")] * 2)]), TEXT, "expected a row of 1 fields, found one of 2"),
        (_patched(LONG_TEXT, 12, struct.pack("<Q", 16 << 32 | 1 << 31)), TEXT, "outside its row"),
        (_patched(LONG_TEXT, 12, struct.pack("<Q", 0xFFFFFFF << 32 | 5)), TEXT, "outside its row"),
        (_patched(LONG_TEXT, 12, struct.pack("<Q", 8 << 32 | 10)), TEXT, "outside its row"),
        (_patched(LONG_TEXT, 12, b"abcdefg\xff"), TEXT, "more than 7 bytes"),
        (pa.array([row([b"\xff\xfe"], [type_of("BYTES")])]), TEXT, "not UTF-8"),
        (_patched(row([(0, 0)], [type_of("TIMESTAMP(6)")]), 12, struct.pack("<Q", 16 << 32 | 1_000_000)), type_of("TIMESTAMP(6)"), "1,000,000 nanoseconds"),
        (_patched(row([(0, 0)], [type_of("TIMESTAMP(6)")]), 12, struct.pack("<Q", 24 << 32)), type_of("TIMESTAMP(6)"), "outside its row"),
        (_patched(row([5], [type_of("DECIMAL(38, 0)")]), 12, struct.pack("<Q", 16 << 32 | 17)), type_of("DECIMAL(38, 0)"), "17 bytes"),
        (_patched(row([5], [type_of("DECIMAL(38, 0)")]), 12, struct.pack("<Q", 16 << 32)), type_of("DECIMAL(38, 0)"), "0 bytes"),
        (pa.array([row([1000], [type_of("DECIMAL(18, 0)")])]), type_of("DECIMAL(3, 0)"), "does not fit DECIMAL"),
    ],
)
def test_wrong_bytes_are_named_errors(blobs: pa.Array, type_: object, message: str) -> None:
    with pytest.raises(MetadataError, match=message):
        Rows.of(blobs, 1, "manifest m-1").column(0, type_)  # type: ignore[arg-type]


def test_a_field_that_is_not_there() -> None:
    with pytest.raises(MetadataError, match="no field 1"):
        Rows.of(pa.array([row([1], [type_of("INT")])]), 1, "test").column(1, type_of("INT"))


@settings(max_examples=200, deadline=None)
@given(st.binary(min_size=20, max_size=60), st.sampled_from(TYPES))
def test_no_bytes_bring_it_down(blob: bytes, type_: object) -> None:
    """Whatever the bytes: a value or a MetadataError."""
    with contextlib.suppress(MetadataError):
        Rows.of(pa.array([b"\0\0\0\1" + blob]), 1, "test").column(0, type_)  # type: ignore[arg-type]


def test_distinct_partitions() -> None:
    found, codes = distinct(pa.chunked_array([pa.array([b"b", b"a"]), pa.array([b"b"])]))
    assert found.to_pylist() == [b"b", b"a"]
    assert codes.tolist() == [0, 1, 0]
