"""Columns whose names, types and order changed since a file was written: found by id, cast by Java's rules."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lakesql.errors import EngineError, UnsupportedFeatureError
from lakesql.formats.paimon.casts import can_cast, cast
from lakesql.formats.paimon.types import arrow_type
from lakesql.table import Latest

from .reading import rows_of, table_at
from .rows import type_of
from .table_maker import TableMaker

NAN, INFINITY = float("nan"), float("inf")
MOMENT = dt.datetime(2024, 1, 2, 3, 4, 5, 678_900)


@pytest.mark.parametrize(
    ("held", "wanted", "values", "made"),
    [
        # Integers keep their low bits.
        ("BIGINT", "INT", [2**32 + 5, -(2**31) - 1, None, 7], [5, 2**31 - 1, None, 7]),
        ("INT", "TINYINT", [128, -129, 256, 3], [-128, 127, 0, 3]),
        ("INT", "BIGINT", [2**31 - 1, -1], [2**31 - 1, -1]),
        ("BIGINT", "DOUBLE", [2**53 + 1], [float(2**53)]),
        ("INT", "FLOAT", [16_777_217], [16_777_216.0]),
        # Floating point is cut towards zero and held within the range, that of int for narrower types.
        ("DOUBLE", "INT", [1.9, -1.9, 3e9, -3e9, NAN, INFINITY, -INFINITY], [1, -1, 2**31 - 1, -(2**31), 0, 2**31 - 1, -(2**31)]),
        ("DOUBLE", "BIGINT", [1e30, -1e30, 2.5], [2**63 - 1, -(2**63), 2]),
        ("DOUBLE", "TINYINT", [300.7, 1e10], [44, -1]),
        ("DOUBLE", "FLOAT", [1e300, 0.1], [INFINITY, float(pa.scalar(0.1, pa.float32()).as_py())]),
        # Decimals round half away from zero, and are null where they do not fit.
        ("DECIMAL(10, 3)", "DECIMAL(5, 2)", [Decimal("1.235"), Decimal("-1.235"), Decimal("999.999"), Decimal("9999.000")], ["1.24", "-1.24", None, None]),
        ("DECIMAL(10, 2)", "INT", [Decimal("1.99"), Decimal("-1.99")], [1, -1]),
        ("DECIMAL(20, 0)", "INT", [Decimal(2**32 + 5)], [5]),
        ("DECIMAL(10, 2)", "DOUBLE", [Decimal("1.25")], [1.25]),
        ("INT", "DECIMAL(5, 2)", [123, 1000, -7], ["123.00", None, "-7.00"]),
        ("DOUBLE", "DECIMAL(5, 2)", [1.005, 2.345, 1e9], ["1.01", "2.35", None]),
        ("DECIMAL(38, 0)", "DECIMAL(38, 10)", [Decimal("9" * 28), Decimal("9" * 29)], ["9" * 28 + ".0000000000", None]),
        # Booleans.
        ("INT", "BOOLEAN", [0, 1, -7, None], [False, True, True, None]),
        ("DECIMAL(5, 2)", "BOOLEAN", [Decimal("0.00"), Decimal("0.50"), Decimal("1.00")], [False, False, True]),
        ("BOOLEAN", "INT", [True, False], [1, 0]),
        ("BOOLEAN", "DECIMAL(3, 1)", [True, False], ["1.0", "0.0"]),
        ("STRING", "BOOLEAN", ["yes", "nO", "T", "f", "1", "0"], [True, False, True, False, True, False]),
        # To text.
        ("BOOLEAN", "STRING", [True, False, None], ["true", "false", None]),
        ("INT", "STRING", [-7], ["-7"]),
        ("DOUBLE", "STRING", [1e10, 0.5, 100.0, NAN, -0.0], ["1.0E10", "0.5", "100.0", "NaN", "-0.0"]),
        ("FLOAT", "STRING", [0.1], ["0.1"]),
        ("DECIMAL(10, 2)", "STRING", [Decimal("1.50")], ["1.50"]),
        ("DATE", "STRING", [dt.date(2024, 1, 2)], ["2024-01-02"]),
        ("TIME(3)", "STRING", [dt.time(1, 2, 3, 400_000)], ["01:02:03.4"]),
        ("TIMESTAMP(6)", "STRING", [MOMENT], ["2024-01-02 03:04:05.678900"]),
        ("TIMESTAMP(3)", "STRING", [MOMENT.replace(microsecond=0)], ["2024-01-02 03:04:05.000"]),
        ("STRING", "VARCHAR(2)", ["abc", "a", "äöü"], ["ab", "a", "äö"]),
        ("STRING", "CHAR(3)", ["a", "abcd"], ["a  ", "abc"]),
        ("INT", "VARCHAR(2)", [12345], ["12"]),
        # From text.
        ("STRING", "INT", ["7", "-7", "+7", "7.9"], [7, -7, 7, 7]),
        ("STRING", "DECIMAL(5, 2)", ["1.005", "1e2", "123456"], ["1.01", "100.00", None]),
        ("STRING", "DOUBLE", [" 1.5 ", "NaN", "1e3"], [1.5, NAN, 1000.0]),
        ("STRING", "DATE", ["2024-1-2", "2024-01-02 03:04:05"], [dt.date(2024, 1, 2)] * 2),
        ("STRING", "TIME(3)", ["1:2:3.4", "12:00"], [dt.time(1, 2, 3, 400_000), dt.time(12)]),
        ("STRING", "TIMESTAMP(3)", ["2024-01-02 03:04:05.678900", "2024-01-02"], [MOMENT.replace(microsecond=678_000), dt.datetime(2024, 1, 2)]),
        ("STRING", "BYTES", ["é"], ["é".encode()]),
        # Bytes.
        ("BYTES", "BINARY(2)", [b"abc", b"a"], [b"ab", b"a\0"]),
        ("BYTES", "STRING", [b"ab"], ["ab"]),
        # Times.
        ("TIMESTAMP(9)", "TIMESTAMP(3)", [pa.scalar(-1, pa.timestamp("ns"))], [dt.datetime(1969, 12, 31, 23, 59, 59, 999_000)]),
        ("TIMESTAMP(6)", "TIMESTAMP(4)", [MOMENT.replace(microsecond=678_987)], [MOMENT.replace(microsecond=678_900)]),
        ("TIMESTAMP(6)", "DATE", [MOMENT, dt.datetime(1969, 12, 31, 23)], [dt.date(2024, 1, 2), dt.date(1969, 12, 31)]),
        ("TIMESTAMP(6)", "TIME(3)", [MOMENT], [dt.time(3, 4, 5, 678_000)]),
        ("DATE", "TIMESTAMP(3)", [dt.date(2024, 1, 2)], [dt.datetime(2024, 1, 2)]),
        ("TIMESTAMP(3)", "BIGINT", [dt.datetime(1970, 1, 1, 0, 0, 7)], [7]),
        ("INT", "TIMESTAMP(3)", [7], [dt.datetime(1970, 1, 1, 0, 0, 7)]),
    ],
)
def test_casts(held: str, wanted: str, values: Sequence[Any], made: Sequence[Any]) -> None:
    source, target = type_of(held), type_of(wanted)
    assert can_cast(source, target)
    array = pa.array([v.value if isinstance(v, pa.Scalar) else v for v in values], arrow_type(source))
    found = cast(array, source, target)
    assert found.type == arrow_type(target)
    wanted_values = [Decimal(m) if isinstance(m, str) and target.root == "DECIMAL" else m for m in made]
    assert [repr(v) for v in found.to_pylist()] == [repr(v) for v in wanted_values]
    # Of a part of an array that does not begin at its beginning.
    assert [repr(v) for v in cast(pa.concat_arrays([array, array]).slice(len(array)), source, target).to_pylist()] == [repr(v) for v in wanted_values]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [(" 8 ", "INT"), ("", "BIGINT"), ("300", "TINYINT"), ("maybe", "BOOLEAN"), ("2024-13-01", "DATE"), ("x", "TIMESTAMP(3)"), ("x", "DECIMAL(3, 0)")],
)
def test_texts_that_are_no_such_value(text: str, wanted: str) -> None:
    with pytest.raises(EngineError, match="is no "):
        cast(pa.array([text]), type_of("STRING"), type_of(wanted))


@pytest.mark.parametrize(
    ("held", "wanted"), [("DATE", "INT"), ("BYTES", "INT"), ("INT", "BYTES"), ("BOOLEAN", "DATE"), ("VARIANT", "STRING"), ("DOUBLE", "DATE")]
)
def test_types_that_are_not_cast(held: str, wanted: str) -> None:
    assert not can_cast(type_of(held), type_of(wanted))


def test_nested_values_by_id() -> None:
    from lakesql.formats.paimon.types import parse_type

    held = parse_type(
        {"type": "ROW", "fields": [{"id": 1, "name": "a", "type": "INT"}, {"id": 2, "name": "b", "type": {"type": "ARRAY", "element": "INT"}}]}, ""
    )
    fields = [
        {"id": 2, "name": "a", "type": {"type": "ARRAY", "element": "STRING"}},
        {"id": 3, "name": "c", "type": "DATE"},
        {"id": 1, "name": "b", "type": "BIGINT"},
    ]
    wanted = parse_type({"type": "ROW", "fields": fields}, "")
    array = pa.array([{"a": 9, "b": [9]}, {"a": 1, "b": [1, None]}, None, {"a": None, "b": None}, {"a": 2, "b": []}], arrow_type(held)).slice(1)
    made = cast(array, held, wanted)
    made.validate(full=True)
    assert made.to_pylist() == [{"a": ["1", None], "c": None, "b": 1}, None, {"a": None, "c": None, "b": None}, {"a": [], "c": None, "b": 2}]


def test_maps_by_their_parts() -> None:
    from lakesql.formats.paimon.types import parse_type

    held, wanted = (parse_type({"type": "MAP", "key": "INT", "value": v}, "") for v in ("INT", "STRING"))
    array = pa.array([[(0, 0)], [(1, 2), (3, None)], None, []], arrow_type(held)).slice(1)
    made = cast(array, held, wanted)
    made.validate(full=True)
    assert made.to_pylist() == [[(1, "2"), (3, None)], None, []]


# In tables -----------------------------------------------------------------------------------------------------------------------------------------


def test_time_travel_takes_the_snapshots_schema_and_current_reads_the_newest(tmp_path: Path) -> None:
    """Even one that came after the snapshot; and after a rollback the snapshot's is an older one."""
    maker = TableMaker(tmp_path, {"a": "INT", "b": "STRING"}, options={"bucket": "-1"})
    maker.commit([maker.write([{"a": 1, "b": "x"}])])
    maker.evolve([("b", "STRING", 1), ("renamed", "BIGINT", 0), ("c", "INT", None)])
    assert rows_of(tmp_path) == [{"b": "x", "renamed": 1, "c": None}]
    assert rows_of(tmp_path, "SELECT * FROM t VERSION AS OF 1") == [{"a": 1, "b": "x"}]
    maker.commit([maker.write([{"b": "y", "renamed": 2**40, "c": 3}])])
    maker.commit([], schemaId=0)
    assert rows_of(tmp_path, "SELECT * FROM t VERSION AS OF 3 ORDER BY a") == [{"a": 0, "b": "y"}, {"a": 1, "b": "x"}]
    assert rows_of(tmp_path, "SELECT renamed FROM t ORDER BY renamed") == [{"renamed": 1}, {"renamed": 2**40}]


def test_names_that_wandered(tmp_path: Path) -> None:
    """Dropped and added again is another column; two that swapped names are still themselves."""
    maker = TableMaker(tmp_path, {"a": "INT", "b": "INT", "c": "INT"}, options={"bucket": "-1"})
    maker.commit([maker.write([{"a": 1, "b": 2, "c": 3}])])
    maker.evolve([("b", "INT", 0), ("a", "INT", 1), ("c", "INT", None)])
    maker.commit([maker.write([{"b": 10, "a": 20, "c": 30}])])
    assert rows_of(tmp_path, "SELECT * FROM t ORDER BY a") == [{"b": 1, "a": 2, "c": None}, {"b": 10, "a": 20, "c": 30}]
    assert rows_of(tmp_path, "SELECT a FROM t WHERE c IS NULL") == [{"a": 2}]


def test_a_cast_that_there_is_not(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, {"a": "DATE", "b": "INT"}, options={"bucket": "-1"})
    maker.commit([maker.write([{"a": dt.date(2024, 1, 1), "b": 1}])])
    maker.evolve([("a", "INT", 0), ("b", "INT", 1)])
    with pytest.raises(UnsupportedFeatureError, match="column a is INT and was DATE in schema 0"):
        rows_of(tmp_path)
    assert rows_of(tmp_path, "SELECT b FROM t") == [{"b": 1}]


def test_a_text_that_is_no_number_when_it_is_read(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, {"a": "STRING", "b": "INT"}, options={"bucket": "-1"})
    maker.commit([maker.write([{"a": " 8 ", "b": 1}])])
    maker.evolve([("a", "INT", 0), ("b", "INT", 1)])
    with pytest.raises(EngineError, match="' 8 ' is no INT"):
        rows_of(tmp_path)
    assert rows_of(tmp_path, "SELECT b FROM t") == [{"b": 1}]


def test_columns_are_nullable_whatever_they_say(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, {"a": "INT NOT NULL"}, options={"bucket": "-1"})
    maker.commit([maker.write([{"a": None}])])
    assert rows_of(tmp_path) == [{"a": None}]
    assert table_at(tmp_path).snapshot(Latest()).schema.field("a").nullable


def test_defaults_are_the_writers_alone(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, {"a": "INT"}, options={"bucket": "-1"})
    maker.commit([maker.write([{"a": 1}])])
    maker.evolve([("a", "INT", 0), ("b", "INT", None)], {"bucket": "-1", "fields.b.default-value": "5"})
    assert rows_of(tmp_path) == [{"a": 1, "b": None}]
