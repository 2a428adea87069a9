"""The command line over the double: what goes where, exit codes, formats, files."""

from __future__ import annotations

import io
import json
import os
import stat
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakesql import errors
from lakesql.frontends import cli
from lakesql.frontends.options import parse
from lakesql.result import PinnedSnapshot, Result, ScanStats, TableScanStats
from lakesql.table import ScanReport

from .conftest import Ran, Stream, run_main
from .doubles import FakeSession, failing_after, result_of

Run = Callable[..., Ran]

TWO = pa.table({"n": [1, 2]})
CSV = b"n\n1\n2\n"


@pytest.fixture(autouse=True)
def answers(fake: FakeSession) -> dict[str, Any]:
    fake.answers |= {"SELECT 1": lambda _: TWO, "SELECT 2": lambda _: TWO, "SET a = 1": None}
    return fake.answers


# SQL in --------------------------------------------------------------------------------------------------------------------------------------------------


def test_command(run: Run, fake: FakeSession) -> None:
    assert run("-c", "SELECT 1", "--format", "csv") == Ran(0, CSV, "")
    assert fake.closed


def test_several_sources_run_in_order(run: Run, fake: FakeSession, tmp_path: Path) -> None:
    script = tmp_path / "s.sql"
    script.write_text("\ufeffSELECT 2;\n")
    ran = run("-c", "SELECT 1; SET a = 1", "-f", str(script), "-c", "SELECT 1", "--format", "csv")
    assert ran == Ran(0, b"\n".join([CSV] * 3), "")
    assert [text for text, _ in fake.log] == ["SELECT 1", "SET a = 1", "SELECT 2", "SELECT 1"]


def test_standard_input(run: Run) -> None:
    assert run("--format", "csv", stdin="SELECT 1") == Ran(0, CSV, "")
    assert run("--format", "csv", "-f", "-", stdin="SELECT 1") == Ran(0, CSV, "")
    assert run("--format", "csv", "-c", "SELECT 1", stdin="SELECT 2; what is this") == Ran(0, CSV, "")


def test_without_sql_there_is_a_hint(run: Run) -> None:
    for stdin in (None, "", " \n"):
        ran = run("lake", stdin=stdin)
        assert (ran.code, ran.out) == (2, b"")
        assert ran.err.startswith("usage: lakesql")
        assert "-c" in ran.err


def test_empty_commands_are_fine(run: Run) -> None:
    assert run("-c", "") == Ran(0, b"", "")
    assert run("-c", " ; -- nothing") == Ran(0, b"", "")


@pytest.mark.parametrize("name", ["missing.sql", "folder", "latin.sql", "nul\0.sql"])
def test_files_that_cannot_be_read(run: Run, tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "latin.sql").write_bytes(b"SELECT '\xe9'")
    ran = run("-f", str(tmp_path / name))
    assert (ran.code, ran.out) == (2, b"")
    assert ran.err.startswith("error: cannot read")


# Parameters ----------------------------------------------------------------------------------------------------------------------------------------------


def with_parameters(given: dict[str, str]) -> list[str]:
    return [word for name, text in given.items() for word in ("--param", f"{name}={text}")]


def test_parameters_are_values(run: Run, fake: FakeSession) -> None:
    given = {
        "i": "12",
        "f": "1.5",
        "b": "true",
        "n": "null",
        "q": '"12"',
        "t": "2026-01-03",
        "x": "'; drop table t",
        "l": "[1]",
        "nan": "NaN",
        "e": "",
        "g": "1e999",
    }
    text = "SELECT " + ", ".join(f":{name}" for name in given)
    fake.answers[text] = lambda _: TWO
    assert run("-c", text, *with_parameters(given)).code == 0
    assert fake.log == [(text, given | {"i": 12, "f": 1.5, "b": True, "n": None, "q": "12"})]


def test_each_statement_gets_the_parameters_it_names(run: Run, fake: FakeSession) -> None:
    given = {"a": "1", "b": "2", "1": "x", "2": "y"}
    fake.answers |= dict.fromkeys(("SELECT :a", "SELECT $b, :a", "SELECT ?, ?", "SELECT $2, $1", "SELECT $2", "SELECT ':a'", "SELECT :c"))
    assert run("-c", "; ".join(fake.answers), *with_parameters(given)).err == ""
    expected = [None, None, None, {"a": 1}, {"b": 2, "a": 1}, ["x", "y"], ["x", "y"], {"2": "y"}, None, None]
    assert [parameters for _, parameters in fake.log] == expected


def test_parameters_nobody_names_are_mistakes(run: Run, fake: FakeSession) -> None:
    fake.answers["SELECT :day"] = None
    ran = run("-c", "SELECT :day", "--param", "day=1", "--param", "dya=1")
    assert (ran.code, fake.log) == (2, [])
    assert ran.err == 'error: no statement names the parameter "dya"\nhint: did you mean "day"?\n'
    assert "write one as :NAME" in run("-c", "SELECT 1", "--param", "day=1").err


@pytest.mark.parametrize("word", ["x", "=1", "a b=1", "", ":x=1"])
def test_parameters_have_names(run: Run, word: str) -> None:
    ran = run("-c", "SELECT 1", "--param", word)
    assert (ran.code, ran.out) == (2, b"")
    assert "NAME=VALUE" in ran.err


# Exit codes ----------------------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.SqlError("no", sql="SELECT 1", position=0), 1),
        (errors.UnknownTableError("no"), 1),
        (errors.NoSuchVersionError("no"), 1),
        (errors.NotATableError("no"), 1),
        (errors.EngineError("no"), 1),
        (errors.NotSupportedError("no"), 1),
        (errors.InternalError("no"), 1),
        (RuntimeError("no"), 1),
        (errors.ConfigError("no"), 2),
        (errors.InterfaceError("no"), 2),
        (errors.StorageError("no"), 3),
        (errors.MissingFileError("no", path="/p"), 3),
        (errors.MetadataError("no"), 3),
        (errors.DataFileError("no"), 3),
        (errors.ExpiredVersionError("no"), 3),
        (errors.UnsupportedFeatureError("no", feature="f"), 3),
        (errors.QueryTimeoutError("no"), 4),
        (errors.QueryCancelledError("no"), 130),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_exit_codes(run: Run, answers: dict[str, Any], tmp_path: Path, error: Exception, code: int) -> None:
    answers["BAD"] = lambda _: error
    answers["BAD LATE"] = lambda _: failing_after(TWO, error)
    script = tmp_path / "s.sql"
    script.write_text("BAD")
    for arguments, stdin in ((("-c", "BAD"), None), (("-f", str(script)), None), ((), "BAD"), (("-c", "BAD LATE", "--format", "json"), None)):
        ran = run(*arguments, stdin=stdin)
        assert ran.code == code
        assert "no" in ran.err
        assert "error" in ran.err
        assert "Traceback" not in ran.err
    assert "Traceback" in run("-c", "BAD", "--debug").err


def test_the_first_error_ends_the_run(run: Run, fake: FakeSession) -> None:
    ran = run("-c", "SELECT 1; BAD; SELECT 2", "--format", "csv")
    assert (ran.code, ran.out) == (1, CSV)
    assert [text for text, _ in fake.log] == ["SELECT 1", "BAD"]


def test_errors_in_files_have_places(run: Run, answers: dict[str, Any], tmp_path: Path) -> None:
    script = tmp_path / "s.sql"
    script.write_text("SELECT 1;\n\n  BAD\n     THING;\nSELECT 2")
    text = "BAD\n     THING"
    answers[text] = lambda _: errors.UnknownColumnError('no column "THING"', sql=text, position=9, length=5, hint='did you mean "thin"?')
    ran = run("-f", str(script))
    assert ran.err == f'{script}:4:6: error 42703: no column "THING"\nLINE 2:      THING\n             ^^^^^\nhint: did you mean "thin"?\n'
    answers[text] = lambda _: errors.MetadataError("broken")
    assert run("-f", str(script)).err == f"{script}:3:3: error XX001: broken\n"
    assert run(stdin=script.read_text()).err == "<stdin>:3:3: error XX001: broken\n"
    assert run("-c", script.read_text()).err == "error XX001: broken\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--nope",), "--nope"),
        (("a", "b"), "b"),
        (("--format", "jsno"), 'did you mean "json"'),
        (("-c",), "-c"),
        (("--timeout", "0"), "seconds"),
        (("--timeout", "soon"), "seconds"),
        (("--timeout", "nan"), "seconds"),
        (("lake", "--sample"), "--sample"),
        (("-c", "SELECT 1", "-o", "/no/such/folder/f.csv"), "/no/such/folder/f.csv"),
        (("-c", "SELECT 1", "-o", "/"), "directory"),
        (("-c", "SELECT 1; SELECT 2", "--format", "json"), "one result"),
        (("-c", "SELECT 1", "-c", "SELECT 2", "--format", "parquet"), "one result"),
        (("-c", "SELECT 1; SELECT 2", "-o", "f.arrow"), "one result"),
    ],
    ids=str,
)
def test_wrong_use(run: Run, fake: FakeSession, arguments: tuple[str, ...], words: str) -> None:
    ran = run(*arguments)
    assert (ran.code, ran.out) == (2, b"")
    assert ran.err.startswith("error: ")
    assert words in ran.err
    assert fake.log == []


@pytest.mark.parametrize("format_name", ["arrow", "parquet"])
def test_binary_formats_stay_off_terminals(run: Run, fake: FakeSession, format_name: str) -> None:
    ran = run("-c", "SELECT 1", "--format", format_name, terminal=True)
    assert (ran.code, ran.out, fake.log) == (2, b"", [])
    assert "terminal" in ran.err
    assert run("-c", "SELECT 1", "--format", format_name).code == 0


# Rows out ------------------------------------------------------------------------------------------------------------------------------------------------


def test_each_format_reaches_standard_output(run: Run) -> None:
    assert json.loads(run("-c", "SELECT 1", "--format", "json").out) == [{"n": 1}, {"n": 2}]
    assert run("-c", "SELECT 1", "--format", "jsonl").out == b'{"n":1}\n{"n":2}\n'
    assert run("-c", "SELECT 1", "--format", "markdown").out == b"| n |\n| ---: |\n| 1 |\n| 2 |\n"
    assert run("-c", "SELECT 1").out.decode().startswith("┌")
    assert pa.ipc.open_stream(run("-c", "SELECT 1", "--format", "arrow").out).read_all() == TWO
    assert pq.read_table(io.BytesIO(run("-c", "SELECT 1", "--format", "parquet").out)) == TWO


@pytest.mark.parametrize("format_name", ["table", "csv", "jsonl", "markdown"])
def test_several_results_have_a_blank_line_between(run: Run, format_name: str) -> None:
    one = run("-c", "SELECT 1", "--format", format_name).out
    assert run("-c", "SELECT 1; SET a = 1; SELECT 2", "--format", format_name).out == one + b"\n" + one


def test_plans_are_text_and_not_a_table(run: Run, answers: dict[str, Any]) -> None:
    answers["EXPLAIN SELECT 1"] = lambda _: pa.table({"plan_type": ["logical\x1b", "physical"], "plan": ["Project\n  Scan a\x07\n", "Exec"]})
    answers["EXPLAIN PRUNING SELECT 1"] = lambda _: pa.table({"plan": ["t: version 3", "  kept  " + "x" * 200]})
    for terminal in (False, True):
        ran = run("-c", "EXPLAIN SELECT 1; EXPLAIN PRUNING SELECT 1", terminal=terminal)
        assert ran.out.decode() == "logical\\x1b\n  Project\n    Scan a\\x07\n\nphysical\n  Exec\n\nt: version 3\n  kept  " + "x" * 200 + "\n"
    assert run("-c", "EXPLAIN PRUNING SELECT 1", "--format", "csv").out.startswith(b"plan\nt: version 3\n")


def test_a_terminal_gets_the_same_csv_and_a_shorter_table(run: Run, answers: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    answers["MANY"] = lambda _: pa.table({"n": range(50), "t": ["some text"] * 50})
    assert run("-c", "MANY", "--format", "csv", terminal=True).out == run("-c", "MANY", "--format", "csv").out
    monkeypatch.setenv("COLUMNS", "12")
    lines = run("-c", "MANY", terminal=True).out.decode().splitlines()
    assert lines[-1] == "40 of 50 rows, 2 columns (1 shown)"
    assert max(map(len, lines[:-1])) <= 12
    assert len(run("-c", "MANY").out.decode().splitlines()) == 55


def test_a_terminal_takes_no_more_rows_than_it_shows(run: Run, fake: FakeSession, answers: dict[str, Any]) -> None:
    answers["ENDLESS"] = lambda _: fake.endless(pa.record_batch({"n": range(100)}))
    ran = run("-c", "ENDLESS", terminal=True)
    assert ran.code == 0
    assert ran.out.decode().splitlines()[-1] == "40 of 1,000+ rows"
    assert fake.cancelled.is_set()


def test_a_reader_that_leaves_is_no_error(run: Run, fake: FakeSession, answers: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    class Left(io.BytesIO):
        def write(self, data: Any) -> int:
            raise BrokenPipeError(32, "Broken pipe")

    answers["ENDLESS"] = lambda _: fake.endless(pa.record_batch({"n": range(100)}))
    for format_name in ("csv", "table", "json", "arrow", "parquet"):
        fake.cancelled.clear()
        out = Stream()
        monkeypatch.setattr(out, "_left", Left(), raising=False)
        err = Stream()
        code = cli.main(["-c", "SELECT 1", "--format", format_name], Stream(terminal=True), _Over(Left()), err)
        err.flush()
        assert (code, err.buffer.getvalue()) == (0, b"")  # type: ignore[attr-defined]


class _Over(Stream):
    """A text stream over a given binary one."""

    def __init__(self, binary: Any) -> None:
        super().__init__()
        self._binary = binary

    @property
    def buffer(self) -> Any:  # type: ignore[override]
        return self._binary


def test_a_full_disk_is_an_error(run: Run) -> None:
    class Full(io.BytesIO):
        def write(self, data: Any) -> int:
            raise OSError(28, "No space left on device")

    for format_name in ("csv", "table", "json", "arrow", "parquet"):
        err = Stream()
        code = cli.main(["-c", "SELECT 1", "--format", format_name], Stream(terminal=True), _Over(Full()), err)
        err.flush()
        assert code == 3
        assert err.buffer.getvalue() == b"error 58030: cannot write to standard output: No space left on device\n"  # type: ignore[attr-defined]


# Files out -----------------------------------------------------------------------------------------------------------------------------------------------


def test_a_file_gets_the_rows(run: Run, tmp_path: Path) -> None:
    for name, content in (("f.csv", CSV), ("f.dat", run("-c", "SELECT 1").out), ("f.jsonl", b'{"n":1}\n{"n":2}\n')):
        assert run("-c", "SELECT 1", "-o", str(tmp_path / name)) == Ran(0, b"", "")
        assert (tmp_path / name).read_bytes() == content
    assert run("-c", "SELECT 1", "-o", str(tmp_path / "f.csv"), "--format", "json").code == 0
    assert json.loads((tmp_path / "f.csv").read_bytes()) == [{"n": 1}, {"n": 2}]
    assert run("-c", "SELECT 1", "-o", str(tmp_path / "f.parquet")).code == 0
    assert pq.read_table(tmp_path / "f.parquet") == TWO
    assert sorted(p.name for p in tmp_path.iterdir()) == ["f.csv", "f.dat", "f.jsonl", "f.parquet"]


def test_files_appear_only_when_complete(run: Run, answers: dict[str, Any], tmp_path: Path) -> None:
    answers["BAD LATE"] = lambda _: failing_after(TWO, errors.EngineError("no"))
    for name in ("f.csv", "f.json", "f.parquet", "f.arrow", "f.md"):
        ran = run("-c", "BAD LATE", "-o", str(tmp_path / name))
        assert (ran.code, ran.err) == (1, "error 22000: no\n")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "f.csv").write_text("before")
    assert run("-c", "SELECT 1; BAD LATE", "-o", str(tmp_path / "f.csv")).code == 1
    assert [p.read_text() for p in tmp_path.iterdir()] == ["before"]
    assert run("-c", "SET a = 1", "-o", str(tmp_path / "f.csv")).code == 0
    assert [p.read_text() for p in tmp_path.iterdir()] == ["before"]


def test_files_keep_their_place_and_mode(run: Run, tmp_path: Path) -> None:
    target, link = tmp_path / "real.csv", tmp_path / "link.csv"
    target.write_text("before")
    target.chmod(0o640)
    link.symlink_to(target)
    run("-c", "SELECT 1", "-o", str(link))
    assert link.is_symlink()
    assert target.read_bytes() == CSV
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    mask = os.umask(0)
    os.umask(mask)
    run("-c", "SELECT 1", "-o", str(tmp_path / "new.csv"))
    assert stat.S_IMODE((tmp_path / "new.csv").stat().st_mode) == 0o666 & ~mask


def test_devices_are_written_as_they_are(run: Run) -> None:
    assert run("-c", "SELECT 1", "-o", os.devnull) == Ran(0, b"", "")
    assert not Path(os.devnull).is_file()


# Words ---------------------------------------------------------------------------------------------------------------------------------------------------


def test_notices(run: Run, answers: dict[str, Any]) -> None:
    answers["NOTED"] = lambda _: result_of(pa.table({"f": [float("nan")]}), notices=("one file was skipped\x1b[2J",))
    ran = run("-c", "NOTED", "--format", "jsonl")
    assert ran == Ran(0, b'{"f":null}\n', "note: one file was skipped\\x1b[2J\nnote: 1 NaN or infinite value written as null: JSON has no such numbers\n")
    assert run("-c", "NOTED", "--format", "jsonl", "--quiet").err == ""
    assert run("-c", "BAD", "--quiet").err != ""


def test_stats(run: Run, answers: dict[str, Any]) -> None:
    report = ScanReport(2, 0, 240, 200, 37, 3, 1 << 30, 12 << 20)
    bare = ScanReport(2, 0, 1, 0, 0, 1)
    answers["READ"] = lambda _: Result(
        TWO.schema,
        iter(TWO.to_batches()),
        snapshots=(
            PinnedSnapshot("orders", "/o", "delta", "8123", datetime(2026, 1, 3, 6, 30, tzinfo=UTC)),
            PinnedSnapshot("c", "/c", "iceberg", "9", None),
            PinnedSnapshot("orders$files", "/o", "delta", "", None),
        ),
        scan_stats=ScanStats((TableScanStats("orders", report), TableScanStats("c", bare))),
    )
    ran = run("-c", "READ", "--stats", "--format", "csv")
    assert ran.out == CSV
    (line,) = ran.err.splitlines()
    told = json.loads(line)
    assert told.pop("elapsed_s") >= 0
    tables = told.pop("tables")
    assert told == {
        "rows": 2,
        "complete": True,
        "files_total": 241,
        "files_kept": 4,
        "files_read": None,
        "skipped_by_partition": 200,
        "skipped_by_statistics": 37,
        "bytes_read": None,
    }
    assert [(t["name"], t["format"], t["version"], t["committed_at"], t["files_kept"]) for t in tables] == [
        ("orders", "delta", "8123", "2026-01-03T06:30:00Z", 3),
        ("c", "iceberg", "9", None, 1),
        ("orders$files", "delta", "", None, None),
    ]
    assert json.loads(run("-c", "SET a = 1", "--stats").err)["rows"] is None


def test_on_error_continue_runs_the_rest_and_still_fails(run: Run, answers: dict[str, Any]) -> None:
    """Statement 24."""
    answers["BAD"] = lambda _: errors.StorageError("gone")
    answers["ROWS"] = lambda _: TWO
    ran = run("-c", "ROWS; BAD; nosuch; ROWS", "--on-error", "continue", "--format", "csv")
    assert ran.code == 3
    assert ran.out == CSV + b"\n" + CSV
    assert ran.err.count("error ") == 2
    assert run("-c", "ROWS; BAD; ROWS", "--format", "csv").out == CSV


def test_null_string(run: Run, answers: dict[str, Any]) -> None:
    """Statement 16: what stands for null, and nothing else."""
    answers["N"] = lambda _: pa.table({"a": [None, "", "x"]})
    assert run("-c", "N", "--format", "csv").out == b'a\n\n""\nx\n'
    assert run("-c", "N", "--format", "csv", "--null-string", "(none), really").out == b'a\n"(none), really"\n""\nx\n'
    assert "(none)" in run("-c", "N", "--null-string", "(none)").out.decode()
    assert run("-c", "N", "--format", "json", "--null-string", "-").code == 2


def test_data_in_errors_cannot_command_the_terminal(run: Run, answers: dict[str, Any]) -> None:
    answers["BAD"] = lambda _: errors.MetadataError('no file "a\x1b]0;x\x07\u202e\ud800"')
    ran = run("-c", "BAD")
    assert ran.err == 'error XX001: no file "a\\x1b]0;x\\x07\\u202e\\ud800"\n'


def test_values_that_cannot_be_written(run: Run, answers: dict[str, Any]) -> None:
    broken = pa.Array.from_buffers(pa.string(), 1, pa.array([b"\xff\xfe"]).buffers())
    answers["BROKEN"] = lambda _: Result(pa.schema([("t", pa.string())]), iter([pa.record_batch({"t": broken})]))
    for format_name in ("csv", "json", "jsonl", "table", "markdown"):
        ran = run("-c", "BROKEN", "--format", format_name)
        assert ran.code == 1
        assert ran.err.startswith(f"error 22000: the rows cannot be written as {format_name}")


# Time ----------------------------------------------------------------------------------------------------------------------------------------------------


def test_timeout(run: Run, fake: FakeSession, answers: dict[str, Any], tmp_path: Path) -> None:
    batch = TWO.to_batches()[0]
    answers["STUCK"] = lambda _: fake.stuck(batch)
    answers["STUCK PLANNING"] = lambda _: fake.cancelled.wait(30)
    answers["ENDLESS"] = lambda _: fake.endless(batch)
    for text in ("STUCK", "STUCK PLANNING", "ENDLESS"):
        fake.cancelled.clear()
        started = time.monotonic()
        ran = run("-c", text, "--timeout", "0.1", "-o", str(tmp_path / "f.csv"))
        assert time.monotonic() - started < 2
        assert ran == Ran(4, b"", "error 57014: the statement ran longer than the 0.1 s it was given\n")
        assert fake.cancelled.is_set()
    assert list(tmp_path.iterdir()) == []
    assert run("-c", "SELECT 1", "--timeout", "30").code == 0


def test_interrupt(run: Run, fake: FakeSession, answers: dict[str, Any], tmp_path: Path) -> None:
    import _thread
    import threading

    answers["STUCK"] = lambda _: fake.stuck(TWO.to_batches()[0])
    threading.Timer(0.2, _thread.interrupt_main).start()
    ran = run("-c", "STUCK; SELECT 1", "-o", str(tmp_path / "f.csv"))
    assert (ran.code, ran.out) == (130, b"")
    assert ran.err.startswith("cancelled after 0.")
    assert fake.cancelled.is_set()
    assert list(tmp_path.iterdir()) == []
    assert [text for text, _ in fake.log] == ["STUCK"]


# Options ------------------------------------------------------------------------------------------------------------------------------------------------


def test_options_reach_the_session(monkeypatch: pytest.MonkeyPatch, fake: FakeSession) -> None:
    from lakesql.session import Session

    opened: list[Any] = []

    def open_(target: Any, **keywords: Any) -> FakeSession:
        opened.append((target, keywords))
        return fake

    monkeypatch.setattr(Session, "open", open_)
    assert run_main(["-c", "SELECT 1", "lake/", "--as-of", "2026-01-03", "--config", "c.toml"]).code == 0
    assert opened == [("lake/", {"as_of": "2026-01-03", "config": "c.toml"})]
    assert run_main(["--sample", "-c", "SELECT 1"]).code == 0
    assert Path(opened[1][0], "lakesql.toml").exists()


def test_help_and_version() -> None:
    for arguments in (["--help"], ["-h"], ["lake", "--help"], ["--help", "--sample", "x"]):
        ran = run_main(arguments)
        assert (ran.code, ran.err) == (0, "")
        assert ran.out.startswith(b"usage: lakesql")
    ran = run_main(["--version"])
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(b"lakesql 0")


def test_help_names_every_option_and_fits_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    from lakesql.frontends.options import help_text

    monkeypatch.setenv("COLUMNS", "80")
    text = help_text()
    for (
        option
    ) in "TARGET -c -f --format -o --as-of --param --timeout --sample --config --stats --quiet --debug --version --help -v --on-error --null-string".split():  # noqa: SIM905
        assert option in text
    assert [line for line in text.splitlines() if len(line) > 88] == []


def test_target_may_stand_anywhere() -> None:
    for argv in (["lake", "-c", "q"], ["-c", "q", "lake"], ["--format", "csv", "lake", "-c", "q"]):
        options = parse(argv)
        assert (options.target, options.sources[0].text) == ("lake", "q")
