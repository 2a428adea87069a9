"""Statistics against the values they sum up: no value is outside its bounds, however the writer wrote them down."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from formats.delta.corpus_log import commits, delta_tables
from formats.delta.stats_forms import UTC, WALL, from_json, from_struct, instants, micros, pairs, text
from formats.delta.unhurried import unhurried
from lakesql.errors import Error
from lakesql.formats.delta.features import check_protocol
from lakesql.formats.delta.schema import TableSchema, parse_schema
from lakesql.formats.delta.stats import json_bounds_of, num_records_json, struct_bounds
from lakesql.pruning import Bounds


def milliseconds(moment: dt.datetime, utc: bool) -> str:
    return moment.isoformat(timespec="milliseconds") + ("Z" if utc else "")


@unhurried
@given(st.lists(st.datetimes(), min_size=1), st.booleans())
def test_no_instant_is_outside_its_bounds(moments: list[dt.datetime], utc: bool) -> None:
    stats = text(milliseconds(min(moments), utc), milliseconds(max(moments), utc))
    low, high = instants(from_json([stats], UTC if utc else WALL))
    assert low <= micros(min(moments).isoformat())
    assert micros(max(moments).isoformat()) <= high


@unhurried
@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
def test_no_float_is_outside_its_bounds_before_or_after_it_was_widened(numbers: list[float]) -> None:
    def shortest(number: float) -> str:
        return pa.array([number], pa.float32()).cast(pa.string())[0].as_py().replace("nan", "NaN")  # type: ignore[no-any-return]

    stats = f'{{"numRecords":1,"minValues":{{"c":{shortest(min(numbers))}}},"maxValues":{{"c":{shortest(max(numbers))}}}}}'
    for type_ in (pa.float32(), pa.float64()):
        ((low, high),) = pairs(from_json([stats], type_))
        assert low <= min(numbers)
        assert max(numbers) <= high


@unhurried
@given(st.lists(st.decimals(allow_nan=False, allow_infinity=False, min_value=Decimal("-1e24"), max_value=Decimal("1e24"), places=8), min_size=1), st.booleans())
def test_no_decimal_is_outside_its_bounds_exact_or_through_doubles(numbers: list[Decimal], exact: bool) -> None:
    def written(number: Decimal) -> str:
        return f"{number:f}" if exact else repr(float(number.scaleb(8)) / 10.0**8)

    stats = f'{{"numRecords":1,"minValues":{{"c":{written(min(numbers))}}},"maxValues":{{"c":{written(max(numbers))}}}}}'
    ((low, high),) = pairs(from_json([stats], pa.decimal128(38, 8)))
    assert low <= min(numbers)
    assert max(numbers) <= high


def cut(word: str, upper: bool) -> str:
    """As Spark cuts: 32 UTF-16 units, no half pair, and a character on top of the greatest."""
    units = word.encode("utf-16-le", "surrogatepass")
    if len(units) <= 64:
        return word
    end = 64 - 2 if 0xD8 <= units[63] < 0xDC else 64
    prefix, rest = units[:end].decode("utf-16-le"), units[end:].decode("utf-16-le")
    return prefix + ("\x7f" if ord(rest[0]) < 0x7F else "\U0010ffff") if upper else prefix


@unhurried
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), min_size=1))
def test_no_text_is_outside_its_bounds(words: list[str]) -> None:
    stats = text(cut(min(words, key=str.encode), False), cut(max(words, key=str.encode), True))
    ((low, high),) = pairs(from_json([stats], pa.string()))
    assert low.encode() <= min(w.encode() for w in words)
    assert max(w.encode() for w in words) <= high.encode()


@unhurried
@given(
    st.lists(st.tuples(st.integers(-128, 127), st.integers(-128, 127), st.integers(0, 9)) | st.none(), min_size=1),
    st.sampled_from([pa.int8(), pa.int64(), pa.float64(), pa.float32(), pa.decimal128(10, 2), pa.decimal128(38, 4)]),
)
def test_both_forms_say_the_same(rows: list[tuple[int, int, int] | None], type_: pa.DataType) -> None:
    struct = from_struct([r and (*r, 9, None) for r in rows], pa.int16(), type_)
    texts = [r and text(*r, rows=9) for r in rows]
    assert from_json(texts, type_) == struct


# The corpus ----------------------------------------------------------------------------------------------------------------------------------------


class Checked:
    """Counts what was compared, by the end of it."""

    def __init__(self) -> None:
        self.bounds = self.exact = self.counts = 0

    def column(self, values: pa.Array, bounds: Bounds, row: int) -> None:
        """Compares the values of a column in one file with its bounds."""
        if bounds.row_count[row].is_valid:
            assert bounds.row_count[row].as_py() == len(values)
        if bounds.null_count[row].is_valid and bounds.null_count_exact:
            assert bounds.null_count[row].as_py() == values.null_count
            self.counts += 1
        values = values.drop_null()
        if pa.types.is_floating(values.type):
            values = values.filter(pc.invert(pc.is_nan(values)))
        if not len(values):
            return
        extremes = pc.min_max(values)
        for bound, extreme, holds in ((bounds.lower[row], extremes["min"], pc.less_equal), (bounds.upper[row], extremes["max"], pc.greater_equal)):
            if bound.is_valid:
                assert holds(bound, extreme).as_py()
                assert bound == extreme or not bounds.exact
                self.bounds += 1
                self.exact += bounds.exact


def leaves(logical: Any, physical: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], pa.DataType]]:
    """Every column and struct field by its physical path, and its logical type."""
    for i in range(physical.num_fields if isinstance(physical, pa.DataType) else len(physical)):
        here = (*path, physical.field(i).name)
        if pa.types.is_struct(logical.field(i).type):
            yield from leaves(logical.field(i).type, physical.field(i).type, here)
        else:
            yield here, logical.field(i).type


def data_file(table: Path, add: dict[str, Any]) -> pa.Table | None:
    file = table / unquote(add["path"])
    return pq.ParquetFile(file, coerce_int96_timestamp_unit="us").read() if file.exists() else None


def values_of(data: pa.Table, path: tuple[str, ...], type_: pa.DataType) -> pa.Array | None:
    """A column of a data file as its type is now; None where the file lacks it, or it is of a kind that has no order here."""
    if path[0] not in data.column_names:
        return None
    values = pa.chunked_array(data.column(path[0])).combine_chunks()
    for name in path[1:]:
        if not pa.types.is_struct(values.type) or values.type.get_field_index(name) < 0:
            return None
        values = pc.struct_field(values, [values.type.get_field_index(name)])
    if isinstance(values, pa.ChunkedArray) or pa.types.is_nested(values.type) or pa.types.is_binary(values.type) or pa.types.is_null(values.type):
        return None
    return values.cast(type_)


def schema_of(commit: Any) -> TableSchema | None:
    if commit.metadata is None or commit.protocol is None or "schemaString" not in commit.metadata:
        return None
    try:
        features = check_protocol(commit.protocol, commit.metadata.get("configuration") or {}, version=commit.version, location="t")
    except Error:
        return None
    return parse_schema(commit.metadata["schemaString"], source="t", mapping=features.column_mapping)


def test_json_statistics_of_the_corpus_hold_for_its_files() -> None:
    checked = Checked()
    for table in delta_tables():
        for commit in commits(table):
            adds = [a["add"] for a in commit.actions if a.get("add")]
            schema = schema_of(commit)
            if schema is None or not any(a.get("stats") for a in adds):
                continue
            files = [data_file(table, a) for a in adds]
            texts = pa.array([a.get("stats") for a in adds], pa.string())
            columns = list(leaves(schema.logical, schema.physical))
            found = json_bounds_of(texts, columns, deletion_vectors=pa.array(["deletionVector" in a for a in adds]))
            for (path, type_), bounds in zip(columns, found, strict=True):
                for row, data in enumerate(files):
                    values = None if data is None or bounds is None else values_of(data, path, type_)
                    if values is not None and bounds is not None:
                        checked.column(values, bounds, row)
            assert num_records_json(texts).to_pylist() == [json.loads(t).get("numRecords") if t else None for t in texts.to_pylist()]
    assert checked.bounds > 3000
    assert checked.exact > 500
    assert checked.counts > 1000


def test_struct_statistics_of_the_corpus_hold_for_its_files() -> None:
    checked = Checked()
    for table in delta_tables():
        *_, last = [None, *commits(table)]
        schema = None if last is None else schema_of(last)
        for file in (table / "_delta_log").rglob("*.parquet") if schema is not None else ():
            try:
                adds = pq.ParquetFile(file, coerce_int96_timestamp_unit="us").read(columns=["add"])
            except (pa.ArrowException, OSError):
                continue
            if not adds.num_columns or not len(adds):
                continue
            column = adds.column("add").combine_chunks()
            column = column.filter(column.is_valid())
            names = [f.name for f in column.type]
            if "stats_parsed" not in names or not len(column):
                continue
            stats = pc.struct_field(column, [names.index("stats_parsed")])
            vectors = pc.struct_field(column, [names.index("deletionVector")]).is_valid() if "deletionVector" in names else pa.array([False] * len(column))
            files = [data_file(table, {"path": p}) for p in pc.struct_field(column, [names.index("path")]).to_pylist()]
            for path, type_ in leaves(schema.logical, schema.physical):
                bounds = struct_bounds(stats, path, type_, deletion_vectors=vectors)
                for row, data in enumerate(files):
                    values = None if data is None or bounds is None else values_of(data, path, type_)
                    if values is not None and bounds is not None:
                        checked.column(values, bounds, row)
    assert checked.bounds > 200
    assert checked.counts > 50
