"""A statement in a thread of its own, so that the one that waits can hear Ctrl-C and the clock.

Some of the engine's operators do not stop when told to, and planning may wait for a store: the one who waits here goes on at once in any case.
"""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from lakesql.errors import QueryTimeoutError

if TYPE_CHECKING:
    import pyarrow as pa

    from lakesql.result import Result
    from lakesql.session import Session

_HELD_BATCHES = 2
_LISTEN_SECONDS = 0.25
_GRACE_SECONDS = 0.2
"""How long a stopped statement is waited for."""


class Running:
    """One statement of a session that runs nothing else. As a context manager it stops the statement at the end, whatever the reason.

    on_wait: called a few times a second while there is nothing to do but wait.
    timeout_seconds: counts from the start to the last row. Errors of the statement are raised by `result` and `batches`; QueryTimeoutError too.
    """

    def __init__(self, session: Session, text: str, parameters: Sequence[Any] | Mapping[str, Any] | None, timeout_seconds: float | None) -> None:
        self.on_wait: Callable[[], None] = lambda: None
        self._session = session
        self._text = text
        self._parameters = parameters
        self._timeout_seconds = timeout_seconds
        self._handed: queue.Queue[Any] = queue.Queue(_HELD_BATCHES)
        self._stopped = threading.Event()
        self._started = time.monotonic()
        self._thread = threading.Thread(target=self._work, name="lakesql statement", daemon=True)
        self._thread.start()

    @property
    def elapsed_seconds(self) -> float:
        return time.monotonic() - self._started

    def result(self) -> Result:
        """The statement's result, once it is planned. Call it once, before `batches`; the rows come from there."""
        planned: Result = self._next()
        return planned

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows."""
        while (batch := self._next()) is not _END:
            yield batch

    def stop(self) -> None:
        """Stops the statement, if it still runs, and waits a moment for it to end."""
        self._stopped.set()
        if self._thread.is_alive():
            self._session.cancel()
            self._thread.join(_GRACE_SECONDS)

    def __enter__(self) -> Running:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.stop()

    def _next(self) -> Any:
        while True:
            left = math.inf if self._timeout_seconds is None else max(0.0, self._timeout_seconds - self.elapsed_seconds)
            try:
                # Woken now and then, because Ctrl-C does not wake every wait: the signal may be some other thread's.
                handed = self._handed.get(timeout=min(left, _LISTEN_SECONDS))
            except queue.Empty:
                if left <= _LISTEN_SECONDS:
                    raise QueryTimeoutError(f"the statement ran longer than the {self._timeout_seconds:g} s it was given") from None
                self.on_wait()
                continue
            if isinstance(handed, _Failure):
                raise handed.error
            return handed

    def _work(self) -> None:
        try:
            result = self._session.execute(self._text, self._parameters)
            if not self._hand(result):
                result.close()
                return
            for batch in result:
                if not self._hand(batch):
                    return
            self._hand(_END)
        except BaseException as error:
            self._hand(_Failure(error))

    def _hand(self, value: object) -> bool:
        """Whether it was taken: False when nobody waits any more."""
        while not self._stopped.is_set():
            try:
                self._handed.put(value, timeout=0.1)
                return True
            except queue.Full:
                pass
        return False


class _Failure:
    def __init__(self, error: BaseException) -> None:
        self.error = error


_END = object()
