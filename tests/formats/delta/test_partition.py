"""Partition values out of the log's texts."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Context, Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from formats.delta.corpus_log import case_name, commits, delta_tables
from formats.delta.unhurried import unhurried
from lakesql.errors import Error, MetadataError
from lakesql.formats.delta.calendar import days_from_civil
from lakesql.formats.delta.features import check_protocol
from lakesql.formats.delta.partition import decode_partition_values
from lakesql.formats.delta.schema import parse_schema

UTC, WALL = pa.timestamp("us", "UTC"), pa.timestamp("us")
DECIMAL = pa.decimal128(10, 2)
CONTEXT = Context(prec=200)


def decode(texts: list[str | None], type_: pa.DataType) -> pa.Array:
    values = decode_partition_values(pa.array(texts, pa.string()), type_, column="p", source="version 3")
    assert values.type == type_
    assert len(values) == len(texts)
    return values


def micros(text: str) -> int:
    moment = dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)
    return (moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("type_", "text", "value"),
    [
        (pa.int8(), "-128", -128),
        (pa.int16(), "+7", 7),
        (pa.int32(), " 12 ", 12),
        (pa.int32(), "2021.0", 2021),
        (pa.int64(), "9223372036854775807", 2**63 - 1),
        (pa.int64(), "-9223372036854775808", -(2**63)),
        (pa.int64(), "007", 7),
        (pa.bool_(), "true", True),
        (pa.bool_(), "FALSE", False),
        (pa.bool_(), " True", True),
        (pa.float64(), "1.0E10", 1e10),
        (pa.float64(), "-Infinity", -math.inf),
        (pa.float64(), "inf", math.inf),
        (pa.float64(), "1.5d", 1.5),
        (pa.float64(), "0.1", 0.1),
        (pa.float64(), ".5", 0.5),
        (pa.float64(), "4.9E-324", 5e-324),
        (pa.float32(), "0.1", 0.10000000149011612),
        (pa.float32(), "3.4028235E38", 3.4028234663852886e38),
        (DECIMAL, "1", Decimal("1.00")),
        (DECIMAL, "1E3", Decimal("1000.00")),
        (DECIMAL, "0E-10", Decimal("0.00")),
        (DECIMAL, "0E-999999999", Decimal("0.00")),
        (DECIMAL, "1.500", Decimal("1.50")),
        (DECIMAL, "-0.01", Decimal("-0.01")),
        (DECIMAL, "-2342342.23", Decimal("-2342342.23")),
        (pa.decimal128(38, 10), "-9999999999999999999999999999.9999999999", Decimal("-9999999999999999999999999999.9999999999")),
        (pa.date32(), "2024-02-29", dt.date(2024, 2, 29)),
        (pa.date32(), "0001-01-01", dt.date(1, 1, 1)),
        (pa.date32(), "9999-12-31", dt.date(9999, 12, 31)),
        (pa.date32(), "2024-1-5", dt.date(2024, 1, 5)),
        (pa.date32(), "2024-02-29 00:00:00", dt.date(2024, 2, 29)),
        (pa.string(), "", ""),
        (pa.string(), "__HIVE_DEFAULT_PARTITION__", "__HIVE_DEFAULT_PARTITION__"),
        (pa.string(), "a%20b/ü", "a%20b/ü"),
        (pa.binary(), "", b""),
        (pa.binary(), "\u0001ü", b"\x01\xc3\xbc"),
    ],
)
def test_values(type_: pa.DataType, text: str, value: Any) -> None:
    assert decode([text, None, text], type_).to_pylist() == [value, None, value]


@pytest.mark.parametrize("text", ["NaN", "nan", "-NaN"])
def test_nan(text: str) -> None:
    assert math.isnan(decode([text], pa.float64())[0].as_py())


def test_negative_zero_stays() -> None:
    assert math.copysign(1, decode(["-0.0"], pa.float64())[0].as_py()) == -1


@pytest.mark.parametrize(
    ("type_", "text", "instant"),
    [
        (UTC, "2021-09-08 11:11:11", "2021-09-08T11:11:11"),
        (UTC, "2021-09-08 11:11:11.5", "2021-09-08T11:11:11.5"),
        (UTC, "1883-11-18T12:00:00.500000Z", "1883-11-18T12:00:00.5"),
        (UTC, "2000-01-01T00:00:00.000-08:00", "2000-01-01T08:00:00"),
        (UTC, "2000-01-01T00:00:00+0530", "1999-12-31T18:30:00"),
        (UTC, "2000-01-01 00:00:00 UTC", "2000-01-01T00:00:00"),
        (UTC, "2000-01-01 10:30", "2000-01-01T10:30:00"),
        (UTC, "2000-01-01", "2000-01-01T00:00:00"),
        (UTC, "0001-01-01 00:00:00", "0001-01-01T00:00:00"),
        (UTC, "9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999"),
        (UTC, "1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999"),
        (UTC, "2000-01-01 10:00:00.123456789", "2000-01-01T10:00:00.123456"),
        (WALL, "2013-07-05 17:01:00.123456", "2013-07-05T17:01:00.123456"),
        (WALL, "2013-07-05T17:01:00", "2013-07-05T17:01:00"),
        (WALL, "2024-09-09", "2024-09-09T00:00:00"),
        (WALL, "2021-09-08T11:11:11Z", "2021-09-08T11:11:11"),
    ],
)
def test_instants(type_: pa.DataType, text: str, instant: str) -> None:
    assert decode([text], type_).view(pa.int64()).to_pylist() == [micros(instant)]


def test_years_beyond_pythons() -> None:
    assert decode(["10000-01-01", "-0001-12-31"], pa.date32()).view(pa.int32()).to_pylist() == [2932897, -719529]
    assert decode(["+10000-01-01 00:00:01"], UTC).view(pa.int64()).to_pylist() == [2932897 * 86_400_000_000 + 1_000_000]


@pytest.mark.parametrize(
    ("type_", "text"),
    [
        (pa.int8(), "128"),
        (pa.int32(), "1.5"),
        (pa.int32(), "0x10"),
        (pa.int32(), "1e3"),
        (pa.int64(), "9223372036854775808"),
        (pa.int64(), "٣"),
        (pa.bool_(), "1"),
        (pa.bool_(), "yes"),
        (pa.float64(), "1_0"),
        (pa.float64(), "0x1p3"),
        (pa.float64(), "one"),
        (DECIMAL, "1.005"),
        (DECIMAL, "123456789"),
        (DECIMAL, "1E999999999"),
        (DECIMAL, "1E-999999999"),
        (DECIMAL, "NaN"),
        (DECIMAL, "1,5"),
        (DECIMAL, "9" * 100_000),
        (pa.date32(), "2023-02-29"),
        (pa.date32(), "2024-13-01"),
        (pa.date32(), "01/02/2024"),
        (pa.date32(), "2024-02-28 01:00:00"),
        (pa.date32(), "20240228"),
        (UTC, "2024-02-30 00:00:00"),
        (UTC, "2024-02-28 24:00:00"),
        (UTC, "2024-02-28 23:60:00"),
        (UTC, "2024-02-28 00:00:00 Europe/Berlin"),
        (UTC, "1709078400000"),
        (UTC, "+999999-01-01 00:00:00"),
        (WALL, "2021-09-08T11:11:11+01:00"),
        (WALL, "now"),
    ],
)
def test_a_text_that_is_no_value_is_an_error_that_names_it(type_: pa.DataType, text: str) -> None:
    with pytest.raises(MetadataError, match=r"version 3: partition value .* of column p is no ") as caught:
        decode(["", None, text], type_)
    assert repr(text[:80]) in str(caught.value)


def test_one_odd_text_among_many_leaves_the_others_alone() -> None:
    assert decode(["2024-01-01", "2024-1-2", None, "2024-01-03"], pa.date32()).to_pylist() == [
        dt.date(2024, 1, 1),
        dt.date(2024, 1, 2),
        None,
        dt.date(2024, 1, 3),
    ]
    with pytest.raises(MetadataError, match=r"'2024-04-31'"):
        decode(["2024-04-30", "2024-04-31"], pa.date32())


@pytest.mark.parametrize("type_", [pa.int8(), pa.int64(), pa.float32(), pa.float64(), DECIMAL, pa.bool_(), pa.date32(), UTC, WALL])
def test_the_empty_text_is_null_but_for_text(type_: pa.DataType) -> None:
    assert decode(["", None], type_).to_pylist() == [None, None]


def test_void_and_absent_columns() -> None:
    assert decode(["x", None], pa.null()).to_pylist() == [None, None]
    assert decode([], pa.int32()).to_pylist() == []
    assert decode([None, None], DECIMAL).to_pylist() == [None, None]
    assert decode_partition_values(pa.nulls(2), pa.int8(), column="p", source="v").type == pa.int8()


@pytest.mark.parametrize(
    "texts", [pa.chunked_array([["1"], ["2", None]]), pa.array(["1", "2", None]).dictionary_encode(), pa.array(["1", "2", None], pa.large_string())]
)
def test_any_form_of_string_column(texts: Any) -> None:
    assert decode_partition_values(texts, pa.int32(), column="p", source="v").to_pylist() == [1, 2, None]


@pytest.mark.parametrize("type_", [pa.list_(pa.int8()), pa.struct([("a", pa.int8())])])
def test_nested_types_are_no_partition_columns(type_: pa.DataType) -> None:
    with pytest.raises(MetadataError, match=r"column p of type .* is a partition column"):
        decode(["1"], type_)


def test_distinct_texts_are_decoded_once() -> None:
    texts = pa.array([f"2024-01-{1 + i % 28:02}" for i in range(200_000)])
    assert decode_partition_values(texts, pa.date32(), column="p", source="v").value_counts().field("counts").to_pylist()[0] == 200_000 // 28 + 1


@unhurried
@given(st.lists(st.none() | st.dates()))
def test_dates_come_back(days: list[dt.date | None]) -> None:
    assert decode([None if d is None else d.isoformat() for d in days], pa.date32()).to_pylist() == days


@unhurried
@given(st.dates())
def test_the_calendar_is_pythons_where_that_reaches(day: dt.date) -> None:
    assert days_from_civil(day.year, day.month, day.day) == day.toordinal() - 719_163


@unhurried
@given(st.datetimes(), st.sampled_from([" ", "T"]), st.integers(-18 * 60, 18 * 60))
def test_instants_come_back(moment: dt.datetime, blank: str, offset_minutes: int) -> None:
    expected = micros(moment.isoformat())
    wall = moment.isoformat(sep=blank)
    sign, (hours, minutes) = "-" if offset_minutes < 0 else "+", divmod(abs(offset_minutes), 60)
    assert decode([wall], WALL).view(pa.int64()).to_pylist() == [expected]
    assert decode([f"{wall}Z"], UTC).view(pa.int64()).to_pylist() == [expected]
    assert decode([f"{wall}{sign}{hours:02}:{minutes:02}"], UTC).view(pa.int64()).to_pylist() == [expected - offset_minutes * 60_000_000]


@unhurried
@given(st.decimals(min_value=-99_999_999, max_value=99_999_999, places=2), st.integers(0, 5))
@example(Decimal("0.00"), 0)
def test_decimals_come_back_in_every_form(number: Decimal, zeros: int) -> None:
    forms = [f"{number:f}" + "0" * zeros, f"{number:E}", str(number.normalize())]
    assert decode(list(forms), DECIMAL).to_pylist() == [number] * 3


@unhurried
@given(st.floats(allow_nan=False))
def test_doubles_come_back(number: float) -> None:
    text = repr(number).replace("inf", "Infinity").replace("e", "E")
    assert decode([text], pa.float64()).to_pylist() == [number]


@unhurried
@given(st.text(max_size=12), st.sampled_from([pa.int16(), pa.float32(), DECIMAL, pa.bool_(), pa.date32(), UTC, WALL]))
def test_no_text_breaks_it(text: str, type_: pa.DataType) -> None:
    try:
        value = decode([text], type_)
    except MetadataError:
        return
    value.validate(full=True)


def test_every_partition_value_of_the_corpus() -> None:
    columns = 0
    for table in delta_tables():
        for commit in commits(table):
            adds = [a["add"] for a in commit.actions if a.get("add")]
            if not adds or commit.metadata is None or commit.protocol is None or "schemaString" not in commit.metadata:
                continue
            try:
                features = check_protocol(commit.protocol, commit.metadata.get("configuration") or {}, version=0, location="t")
            except Error:
                continue
            schema = parse_schema(commit.metadata["schemaString"], source="t", mapping=features.column_mapping)
            for name in commit.metadata["partitionColumns"]:
                column = schema.column(name)
                assert column is not None
                texts = pa.array([a["partitionValues"].get(column.physical_name) for a in adds], pa.string())
                values = decode_partition_values(texts, column.logical_type, column=name, source=str(table))
                assert values.null_count == sum(t is None or (t == "" and not pa.types.is_string(column.logical_type)) for t in texts.to_pylist())
                columns += 1
    assert columns > 150


def test_values_of_a_table_are_those_the_engine_returns() -> None:
    table = next(t for t in delta_tables() if case_name(t) == "gen-partition-types")
    *_, last = commits(table)
    assert last.metadata is not None
    answer = max((pq.ParquetFile(f).read() for f in (table.parent / "expected").glob("*.parquet")), key=lambda t: (t.num_columns, t.num_rows))
    adds = [a["add"] for c in commits(table) for a in c.actions if a.get("add")]
    for field in answer.schema:
        if field.name != "id":
            values = decode_partition_values(pa.array([a["partitionValues"][field.name] for a in adds], pa.string()), field.type, column=field.name, source="t")
            assert {str(v) for v in values.to_pylist()} == {str(v) for v in answer.column(field.name).to_pylist()}


@unhurried
@given(
    st.integers(-(10**38) + 1, 10**38 - 1), st.integers(0, 38), st.sampled_from(["", ".0", ".5", "E3", "E20", "E-2"]), st.integers(1, 38), st.integers(0, 38)
)
def test_decimals_of_any_size_are_right_or_refused(digits: int, cut: int, tail: str, precision: int, scale: int) -> None:
    """Arrow's own casts overflow without a word where a number has too many digits for the type."""
    number = f"{digits // 10**cut}{tail}"
    type_ = pa.decimal128(precision, min(scale, precision))
    fits = abs(Decimal(number)) < 10 ** (type_.precision - type_.scale) and CONTEXT.remainder(Decimal(number).scaleb(type_.scale, CONTEXT), 1) == 0
    try:
        assert decode([number, None], type_).to_pylist() == [Decimal(number), None]
    except MetadataError:
        assert not fits
    else:
        assert fits
