"""The shell's side of its worker process: runs statements there, asks it for names, and replaces it when it has to be ended.

What the session has learnt - settings that were SET, views that were made - is kept here as the statements that did it, and said again to a new process.
"""

from __future__ import annotations

import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

import pyarrow as pa

from lakesql import sql
from lakesql.errors import Error, InternalError, OperationalError, QueryTimeoutError
from lakesql.frontends.completion_menu import Names
from lakesql.frontends.completion_names import ColumnName, FunctionName, TableName, VersionName
from lakesql.frontends.completion_scope import TableRef
from lakesql.frontends.footer import TableFacts
from lakesql.frontends.shell.worker import Opening, Planned, arguments, decoded, unpacked
from lakesql.result import ScanProgress

ANSWER_SECONDS = 120.0
_LISTEN_SECONDS = 0.1
_KILL_SECONDS = 2.5
"""After so long a process that was told to stop is killed, whatever it says."""
_CODE = "import sys; sys.path[:] = {path!r}; from lakesql.frontends.shell.worker import main; main({descriptor}, {opening!r})"


class WorkerLost(OperationalError):
    """The process that ran the statement ended: the engine crashed, or something killed it."""


class _Process:
    """One worker process and the thread that listens to it."""

    def __init__(self, opening: Opening, on_gone: Callable[[_Process], None]) -> None:
        ours, theirs = socket.socketpair()
        code = _CODE.format(path=sys.path, descriptor=theirs.fileno(), opening=arguments(opening))
        # A session of its own: Ctrl-C on the terminal is the shell's to hear.
        self.popen = subprocess.Popen(
            [sys.executable, "-c", code], pass_fds=(theirs.fileno(),), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
        )
        theirs.close()
        self.connection = Connection(ours.detach())
        self.messages: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
        self.answers: dict[int, queue.SimpleQueue[tuple[Any, bool]]] = {}
        self.ready = threading.Event()
        self.settled = threading.Event()
        """Whether the engine has come to rest after a statement that was cancelled."""
        self.settled.set()
        self.taught = threading.Event()
        self.busy = False
        self.failure: Error | None = None
        self.gone = False
        self._on_gone = on_gone
        self._sending = threading.Lock()
        threading.Thread(target=self._listen, name="lakesql worker", daemon=True).start()

    def send(self, *message: Any) -> None:
        """Raises WorkerLost."""
        try:
            with self._sending:
                self.connection.send(message)
        except (OSError, ValueError) as error:
            raise _lost() from error

    def kill(self) -> None:
        """Ends the process now."""
        with suppress(OSError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            self.popen.wait(2)

    def _listen(self) -> None:
        while True:
            try:
                message = self.connection.recv()
            except (EOFError, OSError):
                break
            match message:
                case ("answer", number, value, is_error):
                    waiting = self.answers.pop(number, None)
                    if waiting is not None:
                        waiting.put((value, is_error))
                case ("ready", _):
                    self.ready.set()
                case ("settled", _):
                    self.settled.set()
                case ("failed", error):
                    self.failure = unpacked(error)
                    self.ready.set()
                case _:
                    self.messages.put(message)
        self.gone = True
        self.ready.set()
        self.settled.set()
        self.messages.put(("gone",))
        for waiting in list(self.answers.values()):
            waiting.put((None, True))
        self._on_gone(self)


class Client:
    """The session of a shell, in another process. One statement runs at a time; `names` may be asked from any thread meanwhile."""

    def __init__(self, opening: Opening) -> None:
        self.opening = opening
        self.settings: dict[str, str] = {}
        self.views: dict[str, str] = {}
        self.names: Names = _RemoteNames(self)
        self._numbers = iter(range(1, sys.maxsize))
        self._lock = threading.RLock()
        self._spare: _Process | None = None
        self._closed = False
        self._process = _Process(opening, self._when_gone)
        self._process.taught.set()

    @property
    def pid(self) -> int:
        """The process that holds the session now."""
        return self._process.popen.pid

    def wait(self, seconds: float) -> bool:
        """Whether the session is open by then. Raises what opening it raised."""
        process = self._process
        opened = process.ready.wait(seconds)
        if process.failure is not None:
            raise process.failure
        return opened

    def run(self, text: str, parameters: Any = None, timeout_seconds: float | None = None) -> RemoteResult:
        """Starts a statement. Errors of the session's opening, and of a process that is gone, are raised here; those of the statement by the result."""
        process = self._ready_process()
        process.busy = True
        process.send("run", text, parameters, timeout_seconds)
        return RemoteResult(self, process, text, timeout_seconds)

    def ask(self, method: str, *values: Any) -> Any:
        """The answer of a method of SessionNames in the worker. Raises what it raised, and EOFError where the process went away."""
        process = self._process
        if not process.ready.wait(ANSWER_SECONDS) or process.failure is not None:
            raise EOFError
        waiting: queue.SimpleQueue[tuple[Any, bool]] = queue.SimpleQueue()
        number = next(self._numbers)
        process.answers[number] = waiting
        process.send("ask", number, method, values)
        try:
            value, is_error = waiting.get(timeout=ANSWER_SECONDS)
        except queue.Empty:
            raise EOFError from None
        if is_error:
            raise EOFError if value is None else unpacked(value)
        return value

    def learn(self, text: str) -> None:
        """Keeps a statement that ran, if a new process must be told of it."""
        statement = sql.parse(text)
        if statement.kind is sql.Kind.SET:
            self.settings[(statement.argument or "").lower()] = text
        elif statement.kind is sql.Kind.CREATE_VIEW and statement.view is not None:
            self.views.pop(statement.view.name, None)
            self.views[statement.view.name] = text
        elif statement.kind is sql.Kind.DROP_VIEW and statement.view is not None:
            self.views.pop(statement.view.name, None)

    def open(self, opening: Opening) -> None:
        """Another session in place of this one; it starts anew, without what this one learnt."""
        before = self._process
        self.opening, self.settings, self.views = opening, {}, {}
        self._process = _Process(opening, self._when_gone)
        self._process.taught.set()
        before.kill()

    def close(self) -> None:
        """Ends the processes."""
        self._closed = True
        for process in (self._process, self._spare):
            if process is not None:
                process.kill()

    def give_up(self, process: _Process) -> None:
        """A statement was cancelled: its process is replaced unless it comes to rest soon. The new one is started at once, to be there when it is needed."""
        process.settled.clear()
        with self._lock:
            if self._spare is None and not self._closed:
                self._spare = _Process(self.opening, self._when_gone)

        def watch() -> None:
            process.settled.wait(_KILL_SECONDS)
            with self._lock:
                if process.gone or process.busy or not process.settled.is_set():
                    self._replace(process)
                elif self._spare is not None:
                    self._spare.kill()
                    self._spare = None

        threading.Thread(target=watch, name="lakesql watch", daemon=True).start()

    def _replace(self, process: _Process) -> None:
        """A new process in place of this one, unless that has been done."""
        process.kill()
        with self._lock:
            if self._process is process and not self._closed:
                self._process, self._spare = self._spare or _Process(self.opening, self._when_gone), None
                threading.Thread(target=self._teach, args=(self._process,), name="lakesql replay", daemon=True).start()

    def _when_gone(self, process: _Process) -> None:
        """A process ended without being asked: the engine would not rest, or crashed. One that could not open its session is not tried again."""
        if process is self._process and process.failure is None and process.ready.is_set():
            self._replace(process)

    def _teach(self, process: _Process) -> None:
        """Tells a new process what the old one had learnt."""
        try:
            if process.ready.wait(ANSWER_SECONDS) and process.failure is None:
                for text in (*self.settings.values(), *self.views.values()):
                    process.send("run", text, None, None)
                    while process.messages.get()[0] not in ("end", "error", "gone"):
                        pass
        except Error:
            return
        finally:
            process.taught.set()

    def _ready_process(self) -> _Process:
        """The process to run a statement in, once it is ready. One that has not come to rest is left behind."""
        with self._lock:
            process = self._process
            if process.failure is not None:
                raise process.failure
            if process.gone or process.busy or not process.settled.is_set():
                self._replace(process)
                process = self._process
        for event in (process.ready, process.taught):
            while not event.wait(_LISTEN_SECONDS):
                pass
        if process.failure is not None:
            raise process.failure
        return process


class RemoteResult:
    """A statement that runs in the worker. `planned` waits for its plan; `batches` gives rows; errors of the statement are raised by both.

    on_wait: called about ten times a second while there is nothing to do but wait. progress: the last that was heard; tables: None until the plan is there.
    """

    def __init__(self, client: Client, process: _Process, text: str, timeout_seconds: float | None) -> None:
        self.on_wait: Callable[[], None] = lambda: None
        self.progress: ScanProgress | None = None
        self.started = time.monotonic()
        self.tables: tuple[TableFacts, ...] | None = None
        self.complete = False
        self._client = client
        self._process = process
        self._text = text
        self._timeout_seconds = timeout_seconds
        self._over = False

    @property
    def elapsed_seconds(self) -> float:
        return time.monotonic() - self.started

    def planned(self) -> Planned:
        """Waits for the plan."""
        kind, value = self._next()
        if kind != "planned":
            raise InternalError(f"the worker said {kind} before a plan")
        self.tables = value.tables
        self.schema = pa.ipc.read_schema(pa.py_buffer(value.schema))
        found: Planned = value
        return found

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows. To leave before their end, call `stop`."""
        while True:
            kind, value = self._next()
            if kind == "end":
                self.complete = True
                self._client.learn(self._text)
                return
            yield from decoded(value)
            self._process.send("more")

    def stop(self) -> None:
        """Enough rows: ends the statement, and waits a moment for its last words."""
        if not self._over:
            self._process.send("stop")
            self._drain(1.0)
            if not self._over:
                self._client.give_up(self._process)

    def cancel(self) -> None:
        """Gives the statement up. Returns soon in any case; a process that goes on working for it is replaced."""
        if not self._over:
            with suppress(Error):
                self._process.send("stop")
            self._client.give_up(self._process)
            self._drain(0.3)

    def _drain(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._over and time.monotonic() < until:
            with suppress(queue.Empty, Error):
                self._handle(self._process.messages.get(timeout=0.05))

    def _next(self) -> tuple[str, Any]:
        while True:
            try:
                found = self._handle(self._process.messages.get(timeout=_LISTEN_SECONDS))
            except queue.Empty:
                self.on_wait()
                if self._timeout_seconds is not None and self.elapsed_seconds > self._timeout_seconds:
                    self.cancel()
                    raise QueryTimeoutError(f"the statement ran longer than the {self._timeout_seconds:g} s it was given") from None
                continue
            if found is not None:
                return found

    def _handle(self, message: tuple[Any, ...]) -> tuple[str, Any] | None:
        match message:
            case ("progress", counts):
                self.progress = counts
                return None
            case ("end", counts):
                self.progress = counts or self.progress
                self._end()
                return "end", None
            case ("error", error):
                self._end()
                raise unpacked(error)
            case ("gone",):
                self._end()
                raise _lost()
            case (kind, value):
                return kind, value
        raise InternalError(f"the worker said {message[0]}")

    def _end(self) -> None:
        self._over, self._process.busy = True, False


class _RemoteNames:
    """completion_menu.Names of the session in the worker."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def tables(self) -> list[TableName]:
        found: list[TableName] = self._client.ask("tables")
        return found

    def columns(self, ref: TableRef) -> list[ColumnName]:
        found: list[ColumnName] = self._client.ask("columns", ref)
        return found

    def system_tables(self, ref: TableRef) -> list[str]:
        found: list[str] = self._client.ask("system_tables", ref)
        return found

    def versions(self, ref: TableRef) -> list[VersionName]:
        found: list[VersionName] = self._client.ask("versions", ref)
        return found

    def functions(self) -> list[FunctionName]:
        found: list[FunctionName] = self._client.ask("functions")
        return found

    def settings(self) -> list[tuple[str, str]]:
        from lakesql.settings import DOCS

        return list(DOCS.items())

    def setting_values(self, name: str) -> list[str]:
        found: list[str] = self._client.ask("setting_values", name)
        return found


def _lost() -> WorkerLost:
    return WorkerLost("the process that ran the statement ended", hint="the session goes on in a new one; settings and views are kept")
