"""What needs a real terminal: cancelling, progress, resizing, colours, a worker that dies. `lakesql` runs as its own process on a pseudo-terminal."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

JOIN = "select count(*) from range(1000000) a join range(1000000) b on a.value * 7 < b.value % 11"
PROMPT = "lakesql>"

Start = Callable[..., "pexpect.spawn[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """start(*argv, **environment): a shell on a terminal of 40 lines and 100 columns, at its prompt."""
    running: list[pexpect.spawn[str]] = []

    def run(*argv: str, **environment: str) -> pexpect.spawn[str]:
        env = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state"), "PROMPT_TOOLKIT_NO_CPR": "1", "TERM": "xterm-256color", "PAGER": "cat", **environment}
        env["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p)
        child = pexpect.spawn(sys.executable, ["-m", "lakesql", *argv], env=env, encoding="utf-8", dimensions=(40, 100), timeout=60)
        running.append(child)
        child.expect_exact(PROMPT)
        return child

    yield run
    for child in running:
        child.close(force=True)


def workers_of(child: pexpect.spawn[str]) -> list[int]:
    """The processes that a shell has started."""
    listing = subprocess.run(["ps", "-o", "pid=", "--ppid", str(child.pid)], capture_output=True, text=True, check=False).stdout
    return [int(line) for line in listing.split()]


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_join_is_cancelled_and_leaves_no_core_burning(start: Start) -> None:
    """Statement 1; settings and views outlive the process that had to be ended."""
    child = start("--sample")
    child.send("create view five as select 5 as five;\r")
    child.expect_exact("0.")
    child.expect_exact(PROMPT)
    child.send("set lakesql.time_zone = 'Asia/Tokyo';\r")
    child.expect_exact(PROMPT)
    (before,) = workers_of(child)
    child.send(f"{JOIN};\r")
    child.expect(r"\d\.\d s")  # its progress
    child.sendintr()
    child.expect(r"cancelled after \d+\.\d s")
    child.expect_exact(PROMPT, timeout=5)
    child.send("select 41 + 1 as answer;\r")
    child.expect_exact(" 42 ")
    child.expect_exact(PROMPT)
    deadline = time.monotonic() + 30
    while before in (left := workers_of(child)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert before not in left
    assert len(left) == 1
    taken = cpu_seconds(left[0])
    time.sleep(1)
    assert cpu_seconds(left[0]) - taken < 0.5
    child.send("select five + 2 as seven from five;\r")
    child.expect_exact(" 7 ")
    child.send("show lakesql.time_zone;\r")
    child.expect_exact("Asia/Tokyo")
    child.expect_exact(PROMPT)
    child.send("\\q\r")
    child.expect(pexpect.EOF)
    child.wait()
    assert child.exitstatus == 0
    assert "Traceback" not in (child.before or "")


def test_a_worker_that_dies_is_replaced(start: Start) -> None:
    child = start("--sample")
    child.send("select 1 as one;\r")
    child.expect_exact("1 row")
    os.kill(workers_of(child)[0], 9)
    child.send("select 40 + 2 as answer;\r")
    child.expect([r"│ +42 │", "the process that ran the statement ended"])
    child.send("select 43 as answer;\r")
    child.expect(r"│ +43 │")


def test_ctrl_c_at_the_prompt_and_resizing(start: Start) -> None:
    """Statement 30: a resized terminal has its prompt redrawn, and tables fit it."""
    child = start("--sample")
    child.send("select nonsense")
    child.sendintr()
    child.expect_exact(PROMPT)
    child.setwinsize(24, 60)
    time.sleep(0.3)
    columns = ", ".join(f"'text' as column_{i}" for i in range(20))
    child.send(f"select {columns};\r")
    child.expect_exact("20 columns (")
    assert child.before is not None
    widths = [len(line.strip("\r")) for line in re.findall(r"┌[─┬]+┐", child.before)]
    assert max(widths) <= 60


def test_no_color(start: Start) -> None:
    """Statement 30: NO_COLOR means none; else keywords have one."""

    def shown(**environment: str) -> str:
        child = start("--sample", **environment)
        child.send("select 'a' as b;")
        time.sleep(0.5)
        child.send("\r")
        child.expect_exact("1 row")
        return child.before or ""

    colour = re.compile(r"\x1b\[[\d;]*(?:38;5|38;2|3[1-7]|9[1-7])[\d;]*m")
    assert colour.search(shown())
    assert not colour.search(shown(NO_COLOR="1"))


def test_progress_is_shown_and_wiped(start: Start, tmp_path: Path) -> None:
    """Statement 5: files and bytes of total, files skipped, rows a second, and no trace afterwards."""
    lake = tmp_path / "lake" / "numbers"
    for day in range(4):
        write_deltalake(lake, pa.table({"day": [day] * 200_000, "n": range(200_000)}), partition_by=["day"], mode="append")
    child = start(str(tmp_path / "lake"))
    child.send("select count(*) from numbers a join numbers b on a.n * 7 < b.n % 11 where a.day > 0 and b.day > 0;\r")
    child.expect(r"\d\.\d s · \d of 6 files · .* of .* · [\d,]+ rows/s · 2 skipped")
    child.sendintr()
    child.expect_exact("cancelled after")
    assert (child.before or "").endswith("\r\x1b[2K")
    child.expect_exact(PROMPT)


def test_tail_shows_new_rows_and_ends_with_ctrl_c(start: Start, tmp_path: Path) -> None:
    """Statement 26."""
    table = tmp_path / "lake" / "t"
    write_deltalake(table, pa.table({"a": [1]}))
    child = start(str(tmp_path / "lake"))
    child.send("\\tail t\r")
    time.sleep(2)
    write_deltalake(table, pa.table({"a": [770077]}), mode="append")
    child.expect_exact(" 770077 ")
    child.sendintr()
    child.expect_exact("cancelled after")
    child.expect_exact(PROMPT)
    child.send("select 42;\r")
    child.expect(r"│ +42 │")


def test_progress_of_the_command_line(tmp_path: Path) -> None:
    """Statements 4 and 5: on a terminal, also without the shell; nothing off one, and none of it among the rows."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    arguments = ["-m", "lakesql", "-c", JOIN, "--timeout", "3"]
    child = pexpect.spawn(sys.executable, arguments, env=env, encoding="utf-8", dimensions=(40, 100), timeout=60)
    child.expect(r"\d\.\d s")
    child.expect_exact("ran longer")
    child.expect(pexpect.EOF)
    ran = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=env, cwd=tmp_path, check=False)
    assert ran.returncode == 4  # statement 29; its pipes are closed, so nothing that it started is left
    assert ran.stdout == ""
    assert "\x1b" not in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


def test_a_statement_of_the_command_line_that_runs_too_long(tmp_path: Path) -> None:
    """Statement 29: exit code 4, soon."""
    started = time.monotonic()
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    ran = subprocess.run([sys.executable, "-m", "lakesql", "-c", JOIN, "--timeout", "1"], capture_output=True, text=True, env=env, cwd=tmp_path, check=False)
    assert ran.returncode == 4
    assert "ran longer than the 1 s" in ran.stderr
    assert time.monotonic() - started < 20


def test_a_lake_that_cannot_be_opened_ends_the_shell(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "XDG_STATE_HOME": str(tmp_path)}
    child = pexpect.spawn(sys.executable, ["-m", "lakesql", str(tmp_path / "nowhere")], env=env, encoding="utf-8", timeout=30)
    child.expect(pexpect.EOF)
    child.wait()
    assert child.exitstatus in (1, 2, 3)
    assert "nowhere" in (child.before or "")
    assert "Traceback" not in (child.before or "")


def test_rows_of_a_pipe_are_kept_whole(tmp_path: Path) -> None:
    """Statement 14: types survive a pipe and a file."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    sql = "select cast(1.5 as decimal(38, 9)) as d, to_timestamp('2026-01-02T03:04:05Z') as t, [named_struct('a', 1)] as xs"
    command = [sys.executable, "-m", "lakesql", "-c", sql]
    ran = subprocess.run([*command, "--format", "arrow"], capture_output=True, env=env, cwd=tmp_path, check=True)
    piped = pa.ipc.open_stream(ran.stdout).read_all()
    subprocess.run([*command, "-o", "f.parquet"], env=env, cwd=tmp_path, check=True)
    assert pq.read_table(tmp_path / "f.parquet").schema.field("d").type == piped.schema.field("d").type == pa.decimal128(38, 9)
    assert pa.types.is_timestamp(piped.schema.field("t").type)
    two = subprocess.run([*command[:-1], "select 1; select 2", "-o", "two.parquet"], capture_output=True, env=env, cwd=tmp_path, check=False)
    assert (two.returncode, (tmp_path / "two.parquet").exists()) == (2, False)
