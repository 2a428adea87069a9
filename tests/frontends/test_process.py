"""The program as its users start it: in a process of its own, over the sample lake."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import deltalake
import pexpect
import pyarrow as pa
import pytest

HEAVY = ("datafusion", "pyarrow", "numpy", "prompt_toolkit", "wcwidth", "orjson")


def lakesql(*argv: str, timeout: float = 60, **options: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-m", "lakesql", *argv], capture_output=True, timeout=timeout, check=False, **options)  # type: ignore[call-overload,no-any-return]


def loaded_by(code: str) -> set[str]:
    """The heavy modules that running this code loads."""
    script = f"import sys\n{code}\nprint(*[m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, timeout=60)
    return set(ran.stderr.decode().split())


@pytest.mark.parametrize(
    "code",
    [
        "import lakesql; lakesql.paramstyle, lakesql.Error",
        "from lakesql.frontends.cli import main; assert main(['--help']) == 0",
        "from lakesql.frontends.cli import main; assert main(['--version']) == 0",
        "from lakesql.frontends.cli import main; assert main(['--nope'], stderr=open('/dev/null', 'w')) == 2",
        "from lakesql.frontends.cli import main; assert main(['--format', 'nope'], stderr=open('/dev/null', 'w')) == 2",
        "from lakesql.frontends.cli import main; assert main([], stdin=open('/dev/null'), stderr=open('/dev/null', 'w')) == 2",
    ],
)
def test_what_needs_nothing_heavy_loads_nothing_heavy(code: str) -> None:
    assert loaded_by(code) == set()


def test_names_load_what_they_need_and_no_engine() -> None:
    assert "datafusion" not in loaded_by("import lakesql; lakesql.NUMBER, lakesql.Date")
    assert "prompt_toolkit" not in loaded_by("import lakesql; lakesql.connect")


def test_sample_lake() -> None:
    ran = lakesql("--sample", "-c", "SELECT count(*) AS n FROM impressions VERSION AS OF 3", "--format", "json", "--stats")
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == [{"n": 4000}]
    assert json.loads(ran.stderr)["tables"][0]["version"] == "3"


def test_standard_input_and_formats_in_a_pipe() -> None:
    ran = lakesql("--sample", "--format", "arrow", input=b"SELECT * FROM impressions LIMIT 7;\n")
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert pa.ipc.open_stream(ran.stdout).read_all().num_rows == 7


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (("--sample", "-c", "SELECT usr FROM impressions"), 1, b"user_id"),
        (("--sample", "-c", "SELECT * FROM impresions"), 1, b"impressions"),
        (("--sample", "-c", "SELECT 1; SELCT 2"), 1, b"SELCT"),
        (("--sample", "-c", "SELECT 'a"), 1, b"LINE 1"),
        (("--sample", "-c", "SELECT * FROM impressions VERSION AS OF 99"), 1, b"99"),
        (("--sample", "-c", "SELECT :x"), 1, b"x"),
        (("--config", "/no/such.toml", "-c", "SELECT 1"), 2, b"/no/such.toml"),
        (("--sample", "-f", "/no/such.sql"), 2, b"/no/such.sql"),
        (("--bogus",), 2, b"--bogus"),
    ],
    ids=str,
)
def test_errors(argv: tuple[str, ...], code: int, words: bytes) -> None:
    ran = lakesql(*argv)
    assert ran.returncode == code
    assert words in ran.stderr
    assert b"Traceback" not in ran.stderr


def test_a_broken_table_is_the_lakes_fault(tmp_path: Path) -> None:
    log = tmp_path / "t" / "_delta_log"
    log.mkdir(parents=True)
    (log / "00000000000000000000.json").write_text("{not json")
    ran = lakesql(str(tmp_path / "t"), "-c", f"SELECT * FROM '{tmp_path}/t'")
    assert (ran.returncode, ran.stdout) == (3, b"")
    assert b"00000000000000000000.json" in ran.stderr
    assert b"Traceback" not in ran.stderr


ENDLESS = "SELECT max(a.watch_ms % 7 + b.watch_ms % 11 + c.watch_ms % 13) FROM impressions a, impressions b, impressions c WHERE a.slot <> b.slot + c.slot"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_the_query_and_leave_no_file(tmp_path: Path, number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "lakesql", "--sample", "-c", ENDLESS, "-o", str(tmp_path / "f.csv")], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    deadline = time.monotonic() + 30
    while not list(tmp_path.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    sent = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert time.monotonic() - sent < 10  # 0.5 on an idle machine; the join itself would take minutes
    assert process.returncode == (130 if number is signal.SIGINT else 143)
    assert out == b""
    assert err.startswith(b"cancelled after") if number is signal.SIGINT else err == b""
    assert list(tmp_path.iterdir()) == []


def test_timeout() -> None:
    ran = lakesql("--sample", "--timeout", "0.5", "-c", ENDLESS)
    assert (ran.returncode, ran.stdout) == (4, b"")
    assert ran.stderr == b"error 57014: the statement ran longer than the 0.5 s it was given\n"


def test_a_pipe_nobody_reads_to_the_end() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "lakesql", "--sample", "-c", "SELECT a.* FROM impressions a, impressions b", "--format", "csv"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline().startswith(b"impression_id,")
    process.stdout.close()
    assert process.wait(30) == 0
    assert process.stderr.read() == b""
    process.stderr.close()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_full_disk() -> None:
    with open("/dev/full", "wb") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "lakesql", "--sample", "-c", "SELECT 1", "--format", "csv"], stdout=full, stderr=subprocess.PIPE, check=False, timeout=60
        )
    assert ran.returncode == 3
    assert ran.stderr.startswith(b"error 58030: cannot write to standard output")


def test_closed_streams() -> None:
    program = f"{sys.executable} -m lakesql"
    assert subprocess.run(f"{program} <&-", shell=True, check=False, capture_output=True, timeout=60).returncode == 2
    assert subprocess.run(f"{program} --sample -c 'SELECT 1' >&-", shell=True, check=False, capture_output=True, timeout=60).returncode == 3
    assert subprocess.run(f"{program} --sample -c 'SELECT 1' 2>&-", shell=True, check=False, stdout=subprocess.PIPE, timeout=60).returncode == 0


def test_a_real_terminal(tmp_path: Path) -> None:
    """Through a pseudo-terminal of 60 columns: the table fits, and says what it leaves out."""
    pty, fcntl, termios = pytest.importorskip("pty"), pytest.importorskip("fcntl"), pytest.importorskip("termios")
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    argv = [sys.executable, "-m", "lakesql", "--sample", "-c", "SELECT * FROM impressions"]
    process = subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, env=environment)
    os.close(theirs)
    shown = b""
    while True:
        try:
            read = os.read(ours, 65_536)
        except OSError:  # the terminal is gone when the program is
            break
        if not read:
            break
        shown += read
    os.close(ours)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, b"")
    lines = shown.decode().replace("\r\n", "\n").splitlines()
    assert lines[-1] == "40 of 1,000+ rows, 9 columns (4 shown)"
    assert max(map(len, lines)) <= 60


@pytest.mark.parametrize(("row_count", "version"), [(40, 1), (60, None), (3_000, None)])
def test_rows_left_out_by_a_screen_are_not_read(tmp_path: Path, row_count: int, version: int | None) -> None:
    """A consumer does not move past rows that were read for a terminal and not shown there; into a pipe all are written."""
    table = tmp_path / "lake" / "t"
    deltalake.write_deltalake(str(table), pa.table({"a": [0]}))
    env = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state"), "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    created = lakesql(str(table.parent), "-c", "CREATE CONSUMER 'c' ON t FROM LATEST", env=env)
    assert created.returncode == 0, created.stderr
    deltalake.write_deltalake(str(table), pa.table({"a": range(row_count)}), mode="append")
    steps = ["-c", "SELECT a FROM t CHANGES SINCE CONSUMER 'c'", "-c", "ADVANCE CONSUMER 'c'"]
    child = pexpect.spawn(sys.executable, ["-m", "lakesql", str(table.parent), *steps], env=env, encoding="utf-8", dimensions=(60, 100), timeout=60)
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == (0 if version is not None else 1)
    assert ("was not fetched to its end" in (child.before or "")) is (version is None)
    if version is None:
        piped = lakesql(str(table.parent), *steps, "--format", "csv", env=env)
        assert (piped.returncode, piped.stdout.count(b"\n")) == (0, row_count + 1), piped.stderr
