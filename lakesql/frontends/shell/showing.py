"""Batches -> where the shell sends them: the screen, a pager, a file, another program.

On a screen no more rows are taken than are counted, and the statement is stopped: what a footer says was read is what was read.
"""

from __future__ import annotations

import io
import itertools
import os
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import BinaryIO, TextIO

import pyarrow as pa

from lakesql.errors import ConfigError
from lakesql.frontends.footer import Facts, facts_of
from lakesql.frontends.output import FileOutput, Output
from lakesql.frontends.render import FORMATS, PLAN, Format, Screen, format_of_file, renderer
from lakesql.frontends.render.plan_tree import plan_tree
from lakesql.frontends.render.table import COUNTED_ROWS, Table
from lakesql.frontends.shell.client import RemoteResult
from lakesql.frontends.shell.state import Kept, State

KEPT_BYTES = 64 << 20
"""No more of a result is kept for `last` than this."""

_SHORT_ROWS = 40


@dataclass
class Terminal:
    """The screen the shell is on. Sizes are asked for each time: it may be resized. page: whether pagers are used; before_write: clears the way."""

    stdout: TextIO
    page: bool = True
    before_write: Callable[[], None] = lambda: None

    @property
    def columns(self) -> int:
        return self._size()[0]

    @property
    def lines(self) -> int:
        return self._size()[1]

    def write(self, text: str) -> None:
        self.before_write()
        self.stdout.write(text)
        self.stdout.flush()

    def _size(self) -> tuple[int, int]:
        with suppress(OSError, ValueError):
            return tuple(os.get_terminal_size(self.stdout.fileno()))  # type: ignore[return-value]
        return tuple(shutil.get_terminal_size())  # type: ignore[return-value]


def show(result: RemoteResult, state: State, terminal: Terminal, *, output: str | None, is_plan: bool, is_endless: bool = False) -> Facts:
    """Writes the rows of a planned result. output: a path or `|command`, None for the screen. Raises what the statement raises, and ConfigError."""
    target = output if output is not None else state.output
    if target is not None:
        if target.startswith("|"):
            terminal.before_write()
            result.on_wait = lambda: None  # the screen is the program's
        rows = _write_all(result, target, state)
        return facts_of(result.tables or (), rows, result.elapsed_seconds, result.progress)
    if is_endless:
        return _show_as_it_comes(result, state, terminal)
    kept, rows, complete = _take(result)
    facts = facts_of(result.tables or (), rows, result.elapsed_seconds, result.progress, complete=complete)
    state.last = Kept(result.schema, kept, facts)
    show_kept(state, terminal, is_plan=is_plan)
    return facts


def show_kept(state: State, terminal: Terminal, *, is_plan: bool = False, whole: bool = False) -> None:
    """The last result on the screen; whole: every row that was kept, and every column."""
    last = state.last
    if last is None:
        return
    format_ = PLAN if is_plan else FORMATS[state.option("format")]
    cap = sum(b.num_rows for b in last.batches) if whole else int(state.option("rows"))
    screen = None if whole or format_.name not in ("table", "vertical") else Screen(terminal.columns, cap)
    if format_.name == "table" and _is_expanded(state, last, terminal):
        format_ = FORMATS["vertical"]
    tree = _tree(last, terminal) if is_plan and not whole else None
    if tree is not None:
        _page("".join(f"{line}\n" for line in tree), state, terminal, whole=False, is_short=False)
        return
    out = io.BytesIO()
    made = renderer(format_, out, screen, state.null_text)
    made.begin(last.schema)
    for batch in last.batches:
        if not made.write(batch):
            break
    for words in made.end():
        out.write(f"note: {words}\n".encode())
    if whole and not last.facts.complete:
        out.write(f"the first {cap:,} rows, which is as far as the statement was run: \\o writes all rows to a file\n".encode())
    is_short = format_.name == "table" and not whole and cap <= _SHORT_ROWS  # its head may scroll away: that is less in the way than a pager for each query
    _page(out.getvalue().decode(), state, terminal, whole=whole, is_short=is_short)


def _tree(last: Kept, terminal: Terminal) -> list[str] | None:
    """The plan of EXPLAIN ANALYZE as a tree; None for other plans, and with VERBOSE, which gives several."""
    rows = [row for batch in last.batches for row in batch.to_pylist()]
    if len(rows) != 1 or rows[0].get("plan_type") != "Plan with Metrics":
        return None
    return plan_tree(rows[0]["plan"], last.facts.tables, terminal.columns)


def _take(result: RemoteResult) -> tuple[list[pa.RecordBatch], int, bool]:
    """The first rows of a result, how many they are, and whether they are all."""
    kept: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in result.batches():
        kept.append(batch)
        rows += batch.num_rows
        size += batch.nbytes
        if rows > COUNTED_ROWS or size > KEPT_BYTES:
            result.stop()
            room = max(0, COUNTED_ROWS - (rows - batch.num_rows))
            kept[-1] = batch.slice(0, room)
            return kept, rows - batch.num_rows + kept[-1].num_rows, False
    return kept, rows, True


def _is_expanded(state: State, last: Kept, terminal: Terminal) -> bool:
    if state.option("expanded") != "auto":
        return state.option("expanded") == "on"
    table = Table(io.BytesIO(), Screen(terminal.columns, int(state.option("rows"))))
    table.begin(last.schema)
    for batch in last.batches:
        if not table.write(batch):
            break
    table.end()
    return table.is_cut


def _show_as_it_comes(result: RemoteResult, state: State, terminal: Terminal) -> Facts:
    """Each batch as a table of its own, at once: for statements that never end."""
    rows = 0
    for batch in result.batches():
        out = io.BytesIO()
        made = renderer(FORMATS[state.option("format")], out, Screen(terminal.columns, max(1, batch.num_rows)), state.null_text)
        made.begin(result.schema)
        made.write(batch)
        made.end()
        terminal.write(out.getvalue().decode())
        rows += batch.num_rows
    return facts_of(result.tables or (), rows, result.elapsed_seconds, result.progress)


def _write_all(result: RemoteResult, target: str, state: State) -> int:
    """Every row into a file or a program; how many there were."""
    format_ = _format_for(target, state)
    rows = 0
    with _opened(target) as out:
        batches = result.batches()
        first = next(batches, None)  # what fails at once leaves no file behind
        made = renderer(format_, out, None, state.null_text)  # type: ignore[arg-type]
        made.begin(result.schema)
        for batch in itertools.chain([] if first is None else [first], batches):
            made.write(batch)
            rows += batch.num_rows
        made.end()
    return rows


def _format_for(target: str, state: State) -> Format:
    if not target.startswith("|"):
        return format_of_file(target) or FORMATS[state.option("format")]
    return FORMATS["vertical"] if state.option("format") == "table" and state.option("expanded") == "on" else FORMATS[state.option("format")]


@contextmanager
def _opened(target: str) -> Iterator[BinaryIO | Output]:
    """A file that appears when it is complete, or a program's input."""
    if not target.startswith("|"):
        file = FileOutput(os.path.expanduser(target))
        try:
            yield file
            file.complete()
        finally:
            file.discard()
        return
    command = target[1:].strip()
    if not command:
        raise ConfigError("no program is named after |")
    program = subprocess.Popen(command, shell=True, stdin=subprocess.PIPE)
    assert program.stdin is not None
    try:
        with suppress(BrokenPipeError):
            yield program.stdin  # type: ignore[misc]
    finally:
        with suppress(BrokenPipeError):
            program.stdin.close()
        program.wait()


def _page(text: str, state: State, terminal: Terminal, *, whole: bool, is_short: bool) -> None:
    """Writes text to the screen, by way of a pager where it is taller than that - or wider, where it was not cut."""
    too_tall = text.count("\n") >= terminal.lines and not is_short
    too_wide = whole and any(len(line) > terminal.columns for line in text.split("\n", 8)[:8])
    wanted = state.option("pager") == "on" or (state.option("pager") == "auto" and (too_tall or too_wide))
    command = os.environ.get("LAKESQL_PAGER") or os.environ.get("PAGER") or ("less -SRXF" if shutil.which("less") else "")
    if not (wanted and terminal.page and command):
        terminal.write(text)
        return
    if shlex.split(command)[0].rsplit("/", 1)[-1] == "less" and "LESS" not in os.environ:
        command = f"LESS=-SRXF {command}"
    terminal.before_write()
    try:
        subprocess.run(command, shell=True, input=text.encode(), check=False)
    except (OSError, BrokenPipeError):
        terminal.write(text)


def is_color(stream: TextIO) -> bool:
    """Whether colours may be written there."""
    return stream.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


__all__ = ["Terminal", "is_color", "show", "show_kept"]
