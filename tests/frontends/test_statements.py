"""What the command line must pass, over the sample lake: errors, exit codes, exact values, formats recognised. Statements have the numbers of their list."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import pyarrow as pa
import pytest

from lakesql import sample
from lakesql.frontends import cli

from .conftest import Ran, Stream

LAKE = str(sample.lake())


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory without tables or configuration."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    monkeypatch.delenv("LAKESQL_CONFIG", raising=False)
    return tmp_path


def lakesql(*argv: str, stdin: str | None = None) -> Ran:
    """The command line in this process, without a terminal."""
    out, err = Stream(), Stream()
    code = cli.main(list(argv), Stream(stdin.encode()) if stdin is not None else Stream(terminal=True), out, err)
    out.flush()
    return Ran(code, out.buffer.getvalue(), err.buffer.getvalue().decode())  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("sql", "code", "line", "mark", "hint"),
    [
        ("select watch_m from impressions", "42703", 1, "watch_m", 'did you mean "watch_ms"?'),
        ("select 1 from impresions", "42P01", 1, "impresions", 'did you mean "impressions"?'),
        ("selct 1", "42601", 1, "selct", 'did you mean "SELECT"?'),
        ("select\n1,\n2,\n3,\n4,\n5,\nwatch_m,\n8\nfrom impressions", "42703", 7, "watch_m", 'did you mean "watch_ms"?'),
        ("select abz(watch_ms) from impressions", "42883", 1, "abz", 'did you mean "abs"?'),
    ],
)
def test_errors_say_what_and_where(sql: str, code: str, line: int, mark: str, hint: str) -> None:
    """Statement 2: a code, the line, a caret under the name, what was meant; nothing on standard output, exit 1."""
    ran = lakesql(LAKE, "-c", sql)
    assert (ran.code, ran.out) == (1, b"")
    lines = ran.err.splitlines()
    assert lines[0].startswith(f"error {code}")
    shown = next((i for i, text in enumerate(lines) if text.startswith(f"LINE {line}: ")), None)
    assert shown is not None, ran.err
    assert lines[shown + 1].index("^") == lines[shown].index(mark)
    assert lines[shown + 1].count("^") == len(mark)
    assert hint in ran.err


FAILING = [
    ("select 1", [], 0),
    ("select nosuch", [], 1),
    ("selct", [], 1),
    ("select 1 from nosuch", [], 1),
    ("select 'open", [], 1),
    ("select cast('x' as int)", [], 1),
    ("delete from impressions", [], 1),
    ("select * from impressions version as of 99", [], 1),
    ("select 1", ["--format", "nosuch"], 2),
    ("select 1; select 2", ["--format", "json"], 2),
    ("select 1", ["--timeout", "no"], 2),
    ("select * from ratings", [], 3),
]


@pytest.mark.parametrize("way", ["-c", "-f", "stdin"])
@pytest.mark.parametrize(("sql", "options", "code"), FAILING)
def test_exit_codes_are_the_same_from_everywhere(sql: str, options: list[str], code: int, way: str, elsewhere: Path) -> None:
    """Statement 3; 4 and 130 are tried in a process of their own, which the join of those tests does not outlive."""
    if way == "-f":
        (elsewhere / "s.sql").write_text(sql)
    given = {"-c": ["-c", sql], "-f": ["-f", "s.sql"], "stdin": []}[way]
    ran = lakesql(LAKE, *given, *options, stdin=sql if way == "stdin" else None)
    assert ran.code == code, ran.err
    assert "Traceback" not in ran.err


def test_json_is_strict_and_exact() -> None:
    """Statement 15: NaN, Infinity, 2^63-1, decimals, bytes."""
    sql = "select 'nan'::double a, 'inf'::double b, 9223372036854775807 c, cast('12345678901234567890123456789.123456789' as decimal(38, 9)) d, x'00ff' e"
    ran = lakesql("-c", sql, "--format", "json")
    (row,) = json.loads(ran.out, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"), parse_float=str)
    assert (row["a"], row["b"], row["c"]) == (None, None, 2**63 - 1)
    assert row["d"] == "12345678901234567890123456789.123456789"
    assert isinstance(row["e"], str)
    assert "written as null" in ran.err


def test_expired_versions_and_those_that_never_were(elsewhere: Path) -> None:
    """Statement 21: which is the oldest kept, which is nearest, and the tags."""
    shutil.copytree(Path(LAKE) / "users", elsewhere / "users")
    for number in (1, 2, 3):
        for file in (elsewhere / "users" / "snapshot").glob(f"snapshot-{number}"):
            file.unlink()
    earliest = elsewhere / "users" / "snapshot" / "EARLIEST"
    if earliest.exists():
        earliest.write_text("4")
    ran = lakesql(str(elsewhere / "users"), "-c", "select * from users version as of 1")
    assert ran.code in (1, 3)
    assert "4" in ran.err
    assert "day-1" in ran.err


@pytest.mark.parametrize(("table", "rows"), [("impressions", 9908), ("items", 346), ("users", 1628)])
def test_a_path_is_a_table_of_whatever_format(table: str, rows: int) -> None:
    """Statement 22, for the formats that are read: none is named."""
    ran = lakesql("-c", f"select count(*) as n from '{LAKE}/{table}'", "--format", "json")
    assert json.loads(ran.out) == [{"n": rows}], ran.err


def test_two_formats_in_one_folder(elsewhere: Path) -> None:
    """Statement 22: the evidence is listed."""
    shutil.copytree(Path(LAKE) / "impressions" / "_delta_log", elsewhere / "both" / "_delta_log")
    shutil.copytree(Path(LAKE) / "users" / "snapshot", elsewhere / "both" / "snapshot")
    shutil.copytree(Path(LAKE) / "users" / "schema", elsewhere / "both" / "schema")
    ran = lakesql("-c", f"select * from '{elsewhere / 'both'}'")
    assert ran.code == 1
    assert "_delta_log" in ran.err
    assert "schema" in ran.err


def test_variables_of_the_command_line_are_values() -> None:
    """Statement 25."""
    ran = lakesql("-c", "select :x as x", "-v", "x='; drop table t", "--format", "json")
    assert json.loads(ran.out) == [{"x": "'; drop table t"}]


def test_a_broken_script_names_its_place(elsewhere: Path) -> None:
    """Statement 24."""
    (elsewhere / "s.sql").write_text("select 1 as a;\n\n\n\n\n\nselect 1 from nosuch;\nselect 3 as c;\n")
    ran = lakesql("-f", "s.sql", "--format", "csv")
    assert (ran.code, ran.out) == (1, b"a\n1\n")
    assert ran.err.startswith("s.sql:7:15: error 42P01")
    ran = lakesql("-f", "s.sql", "--format", "csv", "--on-error", "continue")
    assert (ran.code, ran.out) == (1, b"a\n1\n\nc\n3\n")


def test_arrow_in_a_pipe_keeps_types() -> None:
    """Statement 14."""
    ran = lakesql("-c", "select cast(1.5 as decimal(38, 9)) d, [named_struct('a', 1)] xs", "--format", "arrow")
    read = pa.ipc.open_stream(io.BytesIO(ran.out)).read_all()
    assert read.schema.field("d").type == pa.decimal128(38, 9)
    assert read.column("xs").to_pylist() == [[{"a": 1}]]
