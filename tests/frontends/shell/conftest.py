"""A shell in the test's own process: keys come from a pipe, and what it writes is kept."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from lakesql.frontends.options import parse
from lakesql.frontends.shell import loop
from lakesql.frontends.shell.client import Client
from lakesql.frontends.shell.loop import Shell
from lakesql.frontends.shell.worker import Opening

Typed = Callable[..., str]


class SharedClient(Client):
    """A worker process that outlives its shell: starting one takes most of a second. What a shell has changed is undone at its end."""

    def close(self) -> None:
        for view in list(self.views):
            self._done(f'DROP VIEW IF EXISTS "{view}"')
        if self.settings:
            self._done("SET lakesql.prune = on")
            self._done("SET lakesql.time_zone = 'UTC'")
        self.settings, self.views = {}, {}

    def _done(self, text: str) -> None:
        result = self.run(text)
        result.planned()
        assert list(result.batches()) == []


@pytest.fixture(scope="session")
def workers() -> Iterator[dict[Opening, SharedClient]]:
    """The processes that tests share."""
    clients: dict[Opening, SharedClient] = {}
    yield clients
    for client in clients.values():
        Client.close(client)


@pytest.fixture(autouse=True)
def shared(workers: dict[Opening, SharedClient], monkeypatch: pytest.MonkeyPatch) -> None:
    """Shells of these tests take a process that is there."""

    def client(opening: Opening) -> Client:
        if opening not in workers:
            workers[opening] = SharedClient(opening)
        return workers[opening]

    monkeypatch.setattr(loop, "Client", client)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Directories of the test's own for history and configuration."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("LAKESQL_CONFIG", "NO_COLOR", "COLORFGBG", "PAGER", "LAKESQL_PAGER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("LINES", "40")
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Session:
    """A shell that can be typed at. `typed(keys)` types them, leaves, and gives what was written; `shell` is there meanwhile and after."""

    def __init__(self, *argv: str) -> None:
        self.argv = argv
        self.shell: Shell | None = None

    def typed(self, keys: str) -> str:
        out = io.StringIO()
        before = sys.stdout, sys.stderr
        with ExitStack() as stack:
            pipe = stack.enter_context(create_pipe_input())
            pipe.send_text(keys + "\n\\q\n")
            sys.stdout = sys.stderr = out
            try:
                self.shell = Shell(parse(self.argv), input=pipe, output=DummyOutput())
                self.shell.terminal.page = False
                self.shell.run()
            finally:
                sys.stdout, sys.stderr = before
        return out.getvalue()


@pytest.fixture
def typed() -> Typed:
    """typed(keys, *argv): what a shell on the sample lake writes."""

    def run(keys: str, *argv: str) -> str:
        return Session(*(argv or ("--sample",)), "--quiet").typed(keys)

    return run
