"""Output formats: golden files byte for byte, agreement between formats, and what each promises."""

from __future__ import annotations

import csv
import io
import json
import math
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakesql.errors import NotSupportedError
from lakesql.frontends.render import FORMATS, Screen, format_of_file
from lakesql.frontends.render.cells import NULL, visible
from lakesql.frontends.types import sql_type_name

from .conftest import Golden, rendered, rendered_with_words
from .tables import CASES, EMPTY, FLOATS, NESTED, TEXT, TWICE, TYPES, WIDE

TEXT_FORMATS = ("table", "csv", "json", "jsonl", "markdown")


@pytest.mark.parametrize("format_name", TEXT_FORMATS)
@pytest.mark.parametrize("case", CASES)
def test_golden(case: str, format_name: str, golden: Golden) -> None:
    golden(f"{case}.{FORMATS[format_name].endings[0].lstrip('.')}", rendered(format_name, CASES[case]))


@pytest.mark.parametrize("case", CASES)
def test_vertical_golden(case: str, golden: Golden) -> None:
    golden(f"{case}.vertical.txt", rendered("vertical", CASES[case]))


@pytest.mark.parametrize("case", CASES)
def test_arrow_golden(case: str, golden: Golden) -> None:
    content = rendered("arrow", CASES[case])
    if int(pa.__version__.split(".")[0]) >= 26:  # earlier ones lay out the schema of maps differently
        golden(f"{case}.arrow", content)
    read = pa.ipc.open_stream(content).read_all()
    assert read.schema.names == CASES[case].schema.names
    if case != "floats":  # NaN differs from itself
        assert read == CASES[case].cast(read.schema)


@pytest.mark.parametrize("case", [c for c in CASES if c not in ("twice", "floats")])
def test_parquet_keeps_rows_and_types(case: str) -> None:
    """Not compared as bytes: the file names the version of the library that wrote it."""
    table = CASES[case]
    read = pq.read_table(io.BytesIO(rendered("parquet", table)))
    assert read.cast(table.schema) == table
    assert read.schema.types == [pa.string() if type_ == pa.string_view() else type_ for type_ in table.schema.types]


def test_parquet_makes_row_groups_of_useful_size() -> None:
    table = pa.table({"i": pa.array(range(300_000))})
    file = pq.ParquetFile(io.BytesIO(rendered("parquet", table, batch_rows=1000)))
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [131_000 + 1000, 131_000 + 1000, 36_000]


def test_parquet_refuses_what_it_cannot_hold() -> None:
    table = pa.table({"wait": pa.array([(1, 2, 3)], pa.month_day_nano_interval())})
    with pytest.raises(NotSupportedError, match='"wait" is INTERVAL'):
        rendered("parquet", table)


# Agreement ---------------------------------------------------------------------------------------------------------------------------------------------


def table_cells(content: bytes) -> list[list[str]]:
    """The cells of a drawn table, without the names and types on top."""
    lines = content.decode().splitlines()
    return [[cell.strip(" ") for cell in line[1:-1].split("│")] for line in lines[4:-1]]


@pytest.mark.parametrize("case", ["types", "nested", "twice"])
def test_table_csv_and_json_agree_cell_for_cell(case: str) -> None:
    table = CASES[case]
    shown = table_cells(rendered("table", table))
    fields = list(csv.reader(io.StringIO(rendered("csv", table).decode())))[1:]
    objects = json.loads(rendered("json", table), parse_float=lambda text: text, parse_int=lambda text: text)
    assert len(shown) == len(fields) == len(objects) == table.num_rows
    for shown_row, csv_row, row in zip(shown, fields, objects, strict=True):
        for cell, field, value, type_ in zip(shown_row, csv_row, row.values(), table.schema.types, strict=True):
            if value is None:
                assert (cell, field) == (NULL, "")
                continue
            assert cell == field
            if pa.types.is_nested(type_):
                assert json.loads(field, parse_float=str, parse_int=str) == value
            else:
                assert field == ({True: "true", False: "false"}[value] if isinstance(value, bool) else value)


def test_text_agrees_but_for_what_screens_must_not_obey() -> None:
    texts = TEXT["text"].to_pylist()
    fields = [row[1] for row in list(csv.reader(io.StringIO(rendered("csv", TEXT).decode(), newline="")))[1:]]
    assert fields == ["" if t is None else t for t in texts]
    assert [row["text"] for row in json.loads(rendered("json", TEXT))] == texts
    shown = [line[1:-1].split(" │ ")[1].rstrip(" ") for line in rendered("table", TEXT).decode().splitlines()[4:-1]]
    assert shown == [NULL if t is None else f'"{NULL}"' if t == NULL else visible(t) for t in texts]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("format_name", TEXT_FORMATS)
def test_batches_make_no_difference(case: str, format_name: str) -> None:
    whole = rendered(format_name, CASES[case], batch_rows=1000)
    assert rendered(format_name, CASES[case], batch_rows=1) == whole


# Each format's promises ----------------------------------------------------------------------------------------------------------------------------------


def strictly(text: str | bytes) -> object:
    """JSON as a strict parser reads it: no NaN, no repeated names."""

    def no_constant(word: str) -> object:
        raise AssertionError(f"{word} is no JSON")

    def no_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
        assert len({name for name, _ in pairs}) == len(pairs), f"repeated names in {pairs}"
        return dict(pairs)

    return json.loads(text, parse_constant=no_constant, parse_float=Decimal, object_pairs_hook=no_repeats)


@pytest.mark.parametrize("case", CASES)
def test_json_is_valid_and_exact(case: str) -> None:
    table = CASES[case]
    rows = strictly(rendered("json", table))
    assert isinstance(rows, list)
    assert rows == [strictly(line) for line in rendered("jsonl", table).splitlines()]
    assert len(rows) == table.num_rows
    if case == "types":
        assert rows[1]["i64"] == 2**63 - 1
        assert rows[1]["u64"] == 2**64 - 1
        assert rows[1]["dec38"] == Decimal("-12345678901234567890123456789.123456789")
        assert rows[0]["ts_ns"] == "2026-01-03T06:30:00.123456789"
        assert rows[0]["bin"] == "00ff"


def test_json_without_nan_says_so_once() -> None:
    for format_name in ("json", "jsonl"):
        content, words = rendered_with_words(format_name, FLOATS)
        assert b"NaN" not in content
        assert words == ("8 NaN or infinite values written as null: JSON has no such numbers",)
    assert math.isinf(float(rendered("csv", FLOATS).decode().splitlines()[2].split(",")[0]))


def test_json_numbers_columns_of_the_same_name() -> None:
    content, words = rendered_with_words("jsonl", TWICE)
    assert strictly(content.splitlines()[0]) == {"id": 1, "name": "x", "id_2": 3}
    assert "same name" in words[0]
    assert rendered("csv", TWICE).splitlines()[0] == b"id,name,id"


def test_csv_tells_null_from_empty_text() -> None:
    table = pa.table({"a": ["", None], "b": [None, ""]})
    assert rendered("csv", table) == b'a,b\n"",\n,""\n'


def test_no_format_of_text_lets_a_terminal_obey_data() -> None:
    for format_name in ("table", "markdown", "json", "jsonl"):
        text = rendered(format_name, TEXT).decode()
        assert not [c for c in text if (ord(c) < 32 and c != "\n") or 0x7F <= ord(c) < 0xA0]


def test_names_of_columns_are_data_too() -> None:
    table = pa.table({"\x1b[2J\n": [1], 'a "b", | c': [2]})
    for format_name in ("table", "markdown", "json"):
        assert b"\x1b" not in rendered(format_name, table)
    assert json.loads(rendered("json", table)) == [{"\x1b[2J\n": 1, 'a "b", | c': 2}]
    assert next(csv.reader(io.StringIO(rendered("csv", table).decode(), newline=""))) == table.schema.names


def test_endings_mean_formats() -> None:
    assert {n: f.name for n in ("a.csv", "A.PARQUET", "x.json", "x.ndjson", "x.md", "x.dat") if (f := format_of_file(n))} == {
        "a.csv": "csv",
        "A.PARQUET": "parquet",
        "x.json": "json",
        "x.ndjson": "jsonl",
        "x.md": "markdown",
    }


def test_large_results_stream() -> None:
    """More rows than a piece, in one batch: each is written once."""
    table = pa.table({"i": pa.array(range(20_000))})
    assert rendered("csv", table, batch_rows=20_000).split() == [b"i", *(str(i).encode() for i in range(20_000))]
    assert json.loads(rendered("json", table, batch_rows=20_000)) == [{"i": i} for i in range(20_000)]
    assert [row[0] for row in table_cells(rendered("table", table, batch_rows=20_000))] == [str(i) for i in range(20_000)]


def test_late_wide_cells_are_written_whole() -> None:
    table = pa.table({"t": ["x"] * 10_000 + ["a text wider than any before"]})
    assert rendered("table", table).decode().splitlines()[-2] == "│ a text wider than any before │"


# Screens -------------------------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [20, 40, 80, 200])
def test_screen_golden(columns: int, golden: Golden) -> None:
    golden(f"screen_{columns}.txt", rendered("table", WIDE, Screen(columns, row_cap=5)))


@pytest.mark.parametrize("columns", [6, 7, 10, 33, 80, 121])
@pytest.mark.parametrize("case", [*CASES, "wide"])
def test_tables_fit_the_screen_with_straight_edges(case: str, columns: int) -> None:
    from wcwidth import wcswidth

    lines = rendered("table", CASES.get(case, WIDE), Screen(columns)).decode().splitlines()
    box = [line for line in lines if line[0] in "┌│├└"]
    assert len({wcswidth(line) for line in box}) == 1
    assert wcswidth(box[0]) <= max(columns, 9)  # less than a letter and its frame cannot be drawn


def test_a_screen_says_what_it_does_not_show() -> None:
    def last(rows: int, screen: Screen) -> str:
        return rendered("table", pa.table({"a": range(rows), "b": ["text"] * rows, "c": ["text"] * rows}), screen).decode().splitlines()[-1]

    assert last(40, Screen(80)).startswith("└")
    assert last(41, Screen(80)) == "40 of 41 rows"
    assert last(999, Screen(80)) == "40 of 999 rows"
    assert last(5000, Screen(80)) == "40 of 1,000+ rows"
    assert last(5000, Screen(15)) == "40 of 1,000+ rows, 3 columns (1 shown)"
    assert last(10, Screen(None)).startswith("└")


def test_a_screen_takes_no_more_rows_than_it_counts() -> None:
    from lakesql.frontends.render.table import Table

    table = Table(io.BytesIO(), Screen(80))
    batch = pa.record_batch({"a": range(400)})
    table.begin(batch.schema)
    assert [table.write(batch) for _ in range(3)] == [True, True, False]


def test_empty_results_have_a_head() -> None:
    assert rendered("table", EMPTY).decode() == "┌────────┬─────────┐\n│   id   │  name   │\n│ bigint │ varchar │\n├────────┼─────────┤\n└────────┴─────────┘\n"
    assert rendered("csv", EMPTY) == b"id,name\n"
    assert rendered("json", EMPTY) == b"[]\n"
    assert rendered("jsonl", EMPTY) == b""


def test_null_is_told_from_text() -> None:
    cells = [row[0] for row in table_cells(rendered("table", pa.table({"t": [None, "NULL", '"NULL"', "null", ""]})))]
    assert cells == ["NULL", '"NULL"', '"NULL"', "null", ""]


def test_nested_values_render_as_their_json() -> None:
    row = json.loads(rendered("jsonl", NESTED).splitlines()[0])
    assert row == {
        "l": [1, None],
        "st": {"a": 1, "b": 'x"y'},
        "m": {"k": 1.5, "k 2": None},
        "deep": [{"at": ["2026-01-03"]}, None],
        "mi": {"1": "ab"},
    }


def test_types_of_every_column_are_named() -> None:
    head = rendered("table", TYPES).decode().splitlines()[2]
    assert [cell.strip() for cell in head[1:-1].split("│")] == [sql_type_name(type_).lower() for type_ in TYPES.schema.types]
