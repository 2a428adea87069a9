"""The process that holds the shell's session: it answers messages until the shell goes away.

    shell -> worker     ("run", text, parameters, timeout), ("more",), ("stop",), ("ask", number, method, arguments), ("close",)
    worker -> shell     ("ready", None) or ("failed", error), then for each run: ("planned", Planned) | ("batch", bytes) | ("progress", counts) |
                        ("end", counts) | ("error", error); and ("answer", number, value, is_error) for each ask

One statement runs at a time, in a thread; no more batches are sent than the shell has asked for. After a statement that was stopped, the process watches
itself: an engine that goes on working for nobody is ended by ending the process, which the shell notices.
"""

from __future__ import annotations

import io
import os
import pickle
import signal
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, fields
from multiprocessing.connection import Connection
from typing import Any

import pyarrow as pa

from lakesql import errors
from lakesql.frontends.completion_names import SessionNames
from lakesql.frontends.footer import TableFacts, tables_of
from lakesql.result import Result, ScanProgress

BATCHES_AHEAD = 2
"""How many batches are sent before the shell asks for more."""
SETTLE_SECONDS = 1.5
"""How long a stopped statement may go on taking the processor."""
_PROGRESS_SECONDS = 0.25
_SAMPLE_SECONDS = 0.2
_IDLE_SHARE = 0.2


@dataclass(frozen=True)
class Opening:
    """How the session is opened: the arguments of Session.open, as plain data."""

    target: str | None = None
    as_of: str | None = None
    config: str | None = None


@dataclass(frozen=True)
class Planned:
    """A statement that is about to give rows."""

    schema: bytes
    returns_rows: bool
    tables: tuple[TableFacts, ...]
    notices: tuple[str, ...]


class Worker:
    """See the module. connection: to the shell."""

    def __init__(self, connection: Connection, opening: Opening) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        self._opening = opening
        self._credits = threading.Semaphore(0)
        self._stopped = threading.Event()
        self._running = threading.Event()
        """Whether a statement runs that nobody has stopped."""
        self._result: Result | None = None
        self._thread: threading.Thread | None = None

    def serve(self) -> None:
        """Answers until the shell closes, or is gone."""
        from lakesql.session import Session  # loads the engine

        try:
            self._session = Session.open(self._opening.target, as_of=self._opening.as_of, config=self._opening.config)
        except Exception as error:
            self._send("failed", packed(error))
            return
        self._names = SessionNames(self._session)
        self._send("ready", None)
        while True:
            try:
                message = self._connection.recv()
            except (EOFError, OSError):
                return
            match message:
                case ("run", text, parameters, timeout):
                    self._start(text, parameters, timeout)
                case ("more",):
                    self._credits.release()
                case ("stop",):
                    self._stop()
                case ("ask", number, method, arguments):
                    threading.Thread(target=self._answer, args=(number, method, arguments), daemon=True).start()
                case _:
                    return

    def _send(self, *message: Any) -> None:
        with self._sending, suppress(OSError):
            self._connection.send(message)

    def _start(self, text: str, parameters: Any, timeout: float | None) -> None:
        if self._thread is not None:
            self._thread.join()
        self._stopped, self._credits, self._result = threading.Event(), threading.Semaphore(BATCHES_AHEAD), None
        self._running.set()
        self._thread = threading.Thread(target=self._work, args=(text, parameters, timeout, self._stopped, self._credits), daemon=True)
        self._thread.start()

    def _stop(self) -> None:
        stopped = self._stopped
        if stopped.is_set():
            return
        stopped.set()
        self._running.clear()
        self._credits.release()
        self._session.cancel()
        result = self._result
        if result is not None:
            result.leave_out()  # batches are sent ahead of what the shell takes
            result.close()
        threading.Thread(target=self._settle, daemon=True).start()

    def _settle(self) -> None:
        """Ends the process if the engine does not come to rest. What another statement takes meanwhile is its own: the watch goes on when it has ended."""
        left = SETTLE_SECONDS
        while left > 0:
            before, started = time.process_time(), time.monotonic()
            time.sleep(_SAMPLE_SECONDS)
            if self._running.is_set():
                continue
            elapsed = time.monotonic() - started
            left -= elapsed
            if (time.process_time() - before) / elapsed < _IDLE_SHARE:
                self._send("settled", None)
                return
        os._exit(0)

    def _work(self, text: str, parameters: Any, timeout: float | None, stopped: threading.Event, credits_: threading.Semaphore) -> None:
        ended = threading.Event()
        try:
            result = self._result = self._session.execute(text, parameters)
            self._send("planned", Planned(result.schema.serialize().to_pybytes(), result.returns_rows, tables_of(result), result.notices))
            threading.Thread(target=self._tell_progress, args=(result, ended), daemon=True).start()
            for batch in result:
                credits_.acquire()
                if stopped.is_set():
                    break
                self._send("batch", encoded(batch))
            counts = result.progress()
            if stopped.is_set():
                result.close()
            self._over(stopped, ended)
            self._send("end", counts)
        except BaseException as error:
            self._over(stopped, ended)
            if stopped.is_set():  # what a statement that was given up says of that is of no interest; how far it came is
                given_up = self._result
                self._send("end", None if given_up is None else given_up.progress())
            else:
                self._send("error", packed(error))

    def _over(self, stopped: threading.Event, ended: threading.Event) -> None:
        ended.set()
        if not stopped.is_set():
            self._running.clear()

    def _tell_progress(self, result: Result, ended: threading.Event) -> None:
        while not ended.wait(_PROGRESS_SECONDS):
            counts = result.progress()
            if counts is not None and not ended.is_set():
                self._send("progress", counts)

    def _answer(self, number: int, method: str, arguments: tuple[Any, ...]) -> None:
        try:
            self._send("answer", number, getattr(self._names, method)(*arguments), False)
        except Exception as error:
            self._send("answer", number, packed(error), True)


def encoded(batch: pa.RecordBatch) -> bytes:
    """A batch as an Arrow stream of its own."""
    out = io.BytesIO()
    with pa.ipc.new_stream(out, batch.schema) as writer:
        writer.write_batch(batch)
    return out.getvalue()


def decoded(data: bytes) -> list[pa.RecordBatch]:
    """The batches of `encoded`."""
    return list(pa.ipc.open_stream(data))


def packed(error: BaseException) -> tuple[str, str, dict[str, Any]]:
    """An error as plain data: the name of its class in lakesql.errors, its message, its attributes. What is no error of lakesql becomes an InternalError."""
    if not isinstance(error, errors.Error):
        text = f"{type(error).__name__}: {error}"
        error = errors.InternalError(text, hint="this is a fault of lakesql: please report it")
    known = next(c for c in type(error).__mro__ if getattr(errors, c.__name__, None) is c)
    return known.__name__, error.message, {k: v for k, v in vars(error).items() if _is_plain(v)}


def unpacked(error: tuple[str, str, dict[str, Any]]) -> errors.Error:
    """The error of `packed`."""
    name, message, attributes = error
    made: errors.Error = getattr(errors, name).__new__(getattr(errors, name))
    made.args = (message,)
    vars(made).update(attributes)
    return made


def _is_plain(value: object) -> bool:
    try:
        pickle.dumps(value)
    except Exception:
        return False
    return isinstance(value, str | int | float | bool | tuple | list | dict | None)


def main(descriptor: int, opening: dict[str, Any]) -> None:
    """Runs a worker on an open socket."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    worker = Worker(Connection(descriptor), Opening(**opening))
    try:
        worker.serve()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(0)  # threads of the engine may still be at work: they are not waited for


def arguments(opening: Opening) -> dict[str, Any]:
    """An Opening as the arguments of `main`."""
    return {f.name: getattr(opening, f.name) for f in fields(opening)}


__all__ = ["Opening", "Planned", "ScanProgress", "Worker", "arguments", "decoded", "main", "packed", "unpacked"]
