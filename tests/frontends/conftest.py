"""Golden files, and ways to run front ends in the test's own process."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lakesql.frontends import cli
from lakesql.frontends.render import FORMATS, Screen, renderer

from .doubles import FakeSession

GOLDEN = Path(__file__).parent / "golden"

Golden = Callable[[str, bytes], None]


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """golden(name, content): the content is what the file holds, byte for byte; --regenerate writes it."""

    def check(name: str, content: bytes) -> None:
        path = GOLDEN / name
        if request.config.getoption("regenerate"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        assert path.exists(), f"there is no golden file {name}: make it with --regenerate, and read it"
        assert content == path.read_bytes()

    return check


def rendered(format_name: str, table: pa.Table, screen: Screen | None = None, batch_rows: int = 2) -> bytes:
    """A table in an output format, in batches of a few rows."""
    return rendered_with_words(format_name, table, screen, batch_rows)[0]


def rendered_with_words(format_name: str, table: pa.Table, screen: Screen | None = None, batch_rows: int = 2) -> tuple[bytes, tuple[str, ...]]:
    """The same, and what the renderer has to say."""
    out = io.BytesIO()
    rows = renderer(FORMATS[format_name], out, screen)
    rows.begin(table.schema)
    for batch in table.to_batches(max_chunksize=batch_rows):
        if not rows.write(batch):
            break
    words = rows.end()
    return out.getvalue(), words


class Stream(io.TextIOWrapper):
    """A text stream over memory, that may say it is a terminal."""

    def __init__(self, content: bytes = b"", terminal: bool = False) -> None:
        super().__init__(io.BytesIO(content), encoding="utf-8", newline="")
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


@dataclass(frozen=True)
class Ran:
    """What a run of the command line did."""

    code: int
    out: bytes
    err: str


@pytest.fixture
def fake() -> FakeSession:
    return FakeSession()


@pytest.fixture
def run(fake: FakeSession, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """run(*argv, stdin=None, terminal=False): the command line over the double. stdin: None is a terminal nobody types on."""
    monkeypatch.setattr(cli, "_session", lambda options: fake)

    def runner(*argv: str, stdin: str | None = None, terminal: bool = False) -> Ran:
        return run_main(argv, stdin=stdin, terminal=terminal)

    return runner


def run_main(argv: Any, stdin: str | None = None, terminal: bool = False) -> Ran:
    """The command line in this process. terminal: whether standard output is one."""
    given = Stream(terminal=True) if stdin is None else Stream(stdin.encode())
    out, err = Stream(terminal=terminal), Stream()
    code = cli.main(list(argv), given, out, err)
    out.flush()
    return Ran(code, out.buffer.getvalue(), err.buffer.getvalue().decode())  # type: ignore[attr-defined]
