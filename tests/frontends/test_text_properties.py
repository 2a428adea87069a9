"""Laws of the text rules, tried on random values of random nested types."""

from __future__ import annotations

import csv
import io
import json
import re
from html import unescape
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from lakesql.frontends.render import html
from lakesql.frontends.render.cells import visible
from lakesql.frontends.render.json_text import JsonText
from lakesql.frontends.values import python_values

from .conftest import rendered

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SCALARS: list[tuple[pa.DataType, st.SearchStrategy[Any]]] = [
    (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    (pa.float64(), st.floats(allow_nan=False, allow_infinity=False)),
    (pa.bool_(), st.booleans()),
    (pa.string(), TEXTS),
    (pa.large_string(), TEXTS),
]


def typed(depth: int) -> st.SearchStrategy[tuple[pa.DataType, st.SearchStrategy[Any]]]:
    """A type, and values of it with nulls at every level."""
    scalar = st.sampled_from(SCALARS).map(lambda pair: (pair[0], st.none() | pair[1]))
    if depth == 0:
        return scalar
    inner = typed(depth - 1)
    lists = inner.map(lambda pair: (pa.list_(pair[0]), st.none() | st.lists(pair[1], max_size=3)))
    fixed = inner.map(lambda pair: (pa.list_(pair[0], 2), st.none() | st.lists(pair[1], min_size=2, max_size=2)))
    structs = st.lists(st.tuples(TEXTS, inner), min_size=1, max_size=3, unique_by=lambda field: field[0]).map(
        lambda fields: (
            pa.struct([(name, type_) for name, (type_, _) in fields]),
            st.none() | st.fixed_dictionaries({name: values for name, (_, values) in fields}),
        )
    )
    maps = inner.map(lambda pair: (pa.map_(pa.string(), pair[0]), st.none() | st.dictionaries(TEXTS, pair[1], max_size=3).map(lambda d: list(d.items()))))
    return scalar | lists | fixed | structs | maps


ARRAYS = typed(2).flatmap(lambda pair: st.tuples(st.lists(pair[1], max_size=5), st.integers(0, 5)).map(lambda v: pa.array(v[0], pair[0]).slice(v[1])))


def as_json(value: Any, type_: pa.DataType) -> Any:
    """What JSON makes of a Python value: maps become objects."""
    if value is None:
        return None
    if pa.types.is_map(type_):
        return {key: as_json(item, type_.item_type) for key, item in value}
    if pa.types.is_struct(type_):
        return {field.name: as_json(value[field.name], field.type) for field in type_}
    if pa.types.is_list(type_) or pa.types.is_fixed_size_list(type_):
        return [as_json(item, type_.value_type) for item in value]
    return value


@settings(max_examples=200, deadline=None)
@given(ARRAYS)
def test_json_reads_back_as_the_values(values: pa.Array) -> None:
    texts = JsonText().of(values).to_pylist()
    assert [json.loads(text) for text in texts] == [as_json(value, values.type) for value in values.to_pylist()]


@settings(max_examples=100, deadline=None)
@given(ARRAYS)
def test_cells_of_notebooks_say_what_files_say(values: pa.Array) -> None:
    """HTML agrees cell for cell with `table`, and through it with CSV and JSON: the same text, in quotes or escaped where the format must."""
    rows = pa.table({"v": values})
    markup = re.findall(r'<td style="([^"]*)">(.*?)</td>', html.table(rows.schema, rows), re.DOTALL)
    shown = [unescape(text) for _, text in markup]
    assert shown == [text for (text,) in html.cells(rows)]
    assert [style.endswith("#888") for style, _ in markup] == values.is_null().to_pylist()
    records = list(csv.reader(io.StringIO(rendered("csv", rows).decode(), newline="")))[1:] if len(rows) else []
    objects = json.loads(rendered("json", rows))
    for text, record, item in zip(shown, records, objects, strict=True):
        if item["v"] is None:
            assert (text, record) == ("NULL", [] if not record else [""])
            continue
        assert text == (f'"{record[0]}"' if record[0] == "NULL" and isinstance(item["v"], str) else visible(record[0]))
        if isinstance(item["v"], str):
            assert record[0] == item["v"]
        elif not isinstance(item["v"], float):
            assert json.loads(record[0]) == item["v"]
    if len(rows):
        lines = rendered("table", rows).decode().split("\n")[4:-2]
        assert [line[2:-2].strip() for line in lines] == [text.strip() for text in shown]


@settings(max_examples=200, deadline=None)
@given(ARRAYS)
def test_python_values_are_pyarrows(values: pa.Array) -> None:
    assert python_values(values) == values.to_pylist()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.none() | TEXTS, st.none() | TEXTS), max_size=5))
def test_csv_reads_back_as_the_text(rows: list[tuple[str | None, str | None]]) -> None:
    table = pa.table({"a": pa.array([a for a, _ in rows], pa.string()), "b": pa.array([b for _, b in rows], pa.string())})
    read = list(csv.reader(io.StringIO(rendered("csv", table).decode(), newline="")))
    assert read[1:] == [[a or "", b or ""] for a, b in rows]
    assert [row["a"] for row in json.loads(rendered("json", table))] == [a for a, _ in rows]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.none() | TEXTS, max_size=5))
def test_tables_have_straight_edges(texts: list[str | None]) -> None:
    from wcwidth import wcswidth

    lines = rendered("table", pa.table({"t": pa.array(texts, pa.string()), "n": pa.array(range(len(texts)))})).decode().split("\n")
    assert lines.pop() == ""
    assert len(lines) == 5 + len(texts)
    widths = {wcswidth(line) for line in lines}
    assert len(widths) == 1
    assert -1 not in widths
