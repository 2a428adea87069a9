"""Work of the engine in a thread of its own, while the notebook's own thread waits, hears Stop, and keeps the progress line up to date.

What does not stop when told to (a join in the engine, a store that does not answer) is left behind: who waits goes on at once.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from lakesql.errors import QueryTimeoutError

T = TypeVar("T")

_LISTEN_SECONDS = 0.1


class Clock:
    """Since when a statement runs, and until when it may."""

    def __init__(self, timeout_seconds: float | None = None) -> None:
        self.timeout_seconds = timeout_seconds
        self._started = time.monotonic()

    @property
    def elapsed_seconds(self) -> float:
        return time.monotonic() - self._started

    def check(self) -> None:
        """Raises QueryTimeoutError once the time is over."""
        if self.timeout_seconds is not None and self.elapsed_seconds > self.timeout_seconds:
            raise QueryTimeoutError(f"the statement ran longer than the {self.timeout_seconds:g} s it was given")


def wait_for(work: Callable[[], T], clock: Clock, *, tick: Callable[[], None] = lambda: None, left_behind: Callable[[T], object] = lambda value: None) -> T:
    """What `work` returns; its errors are raised here. tick: called about ten times a second. left_behind: given the value when nobody waits for it any more.

    Raises QueryTimeoutError, and KeyboardInterrupt as it comes.
    """
    done: queue.SimpleQueue[tuple[bool, Any]] = queue.SimpleQueue()
    lock = threading.Lock()
    abandoned = False

    def run() -> None:
        try:
            outcome: tuple[bool, Any] = (True, work())
        except BaseException as error:
            outcome = (False, error)
        with lock:
            if not abandoned:
                done.put(outcome)
                return
        if outcome[0]:
            left_behind(outcome[1])

    threading.Thread(target=run, name="lakesql cell", daemon=True).start()
    try:
        while True:
            try:
                succeeded, value = done.get(timeout=_LISTEN_SECONDS)
            except queue.Empty:
                clock.check()
                tick()
                continue
            break
    except BaseException:  # Stop, a time limit, a fault of tick: what still comes is left behind and let go of, and it goes on
        with lock:
            abandoned = True
        if not done.empty():  # it came between the two
            succeeded, value = done.get()
            if succeeded:
                left_behind(value)
        raise
    if not succeeded:
        raise value
    made: T = value
    return made
