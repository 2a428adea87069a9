"""A writer that commits, and a consumer that is killed and started again at random: no row is lost, none is there twice.

LAKESQL_SOAK_SECONDS=300 with `-m scale` is the soak of five minutes.
"""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

import lakesql

PROCESSES = Path(__file__).parent / "soaking.py"


def started(*argv: str, words: Path) -> subprocess.Popen[bytes]:
    """One of the processes. words: the file for its standard error; positions of consumers are kept beside it."""
    environment = {**os.environ, "XDG_STATE_HOME": str(words.parent / "state"), "PYTHONWARNINGS": "ignore"}
    with words.open("wb") as file:
        return subprocess.Popen([sys.executable, str(PROCESSES), *argv], env=environment, stdout=subprocess.DEVNULL, stderr=file)


def kept_rows(output: Path) -> list[int]:
    if not output.exists():
        return []
    with closing(sqlite3.connect(output, timeout=30)) as kept:
        is_made = kept.execute("SELECT 1 FROM sqlite_master WHERE name = 'rows'").fetchone() is not None
        return [r[0] for r in kept.execute("SELECT id FROM rows")] if is_made else []


def until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "nothing came of it in time"
        time.sleep(0.1)


@pytest.mark.parametrize("format_", ["delta", "iceberg"])
@pytest.mark.parametrize("seconds", [5, pytest.param(int(os.environ.get("LAKESQL_SOAK_SECONDS") or 20), marks=pytest.mark.scale)])
def test_no_row_is_lost_or_repeated(tmp_path: Path, format_: str, seconds: int, record_property: Callable[[str, object], None]) -> None:
    if format_ == "iceberg":
        pytest.importorskip("pyiceberg")
    place, output, words, told = tmp_path / "t", tmp_path / "output.db", tmp_path / "writer.txt", tmp_path / "consumer.txt"
    writer = started("write", format_, str(place), str(seconds), words=words)
    with lakesql.connect(tables={"t": str(place)}) as lake:

        def ids() -> list[int]:
            try:
                return [int(r[0]) for r in lake.execute("SELECT id FROM t").fetchall()]
            except (lakesql.NotATableError, lakesql.MissingFileError):
                return []

        try:
            until(lambda: bool(ids()) or writer.poll() is not None, 60)
            kills = 0
            while writer.poll() is None:
                consumer = started("consume", format_, str(place), str(output), words=told)
                time.sleep(0.5 + 2.5 * random.random())
                assert consumer.poll() is None, told.read_text()
                consumer.kill()
                consumer.wait()
                kills += 1
            assert writer.returncode == 0, words.read_text()
            expected = sorted(ids())
            assert expected == list(range(len(expected)))
            consumer = started("consume", format_, str(place), str(output), words=told)
            try:
                until(lambda: len(kept_rows(output)) >= len(expected), 60)
                time.sleep(0.5)
            finally:
                consumer.kill()
                consumer.wait()
            assert sorted(kept_rows(output)) == expected
            record_property("rows", len(expected))
            record_property("kills", kills)
            print(f"{format_}: {len(expected)} rows, consumer killed {kills} times")
        finally:
            writer.kill()
            writer.wait()
