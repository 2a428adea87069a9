"""Values kept for the next time they are asked for: a few of them, those used last."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

V = TypeVar("V")


class Kept(Generic[V]):
    """The values used last, at most `limit` of them, by key. Thread-safe; of two threads that make one value at once, one does so in vain."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._values: OrderedDict[Hashable, V] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> V | None:
        """The value under the key, None where there is none."""
        with self._lock:
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            return self._values[key]

    def put(self, key: Hashable, value: V) -> None:
        """Keeps a value, in place of the one used longest ago where there are too many."""
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            while len(self._values) > self._limit:
                self._values.popitem(last=False)

    def drop(self, key: Hashable) -> None:
        """Forgets a value."""
        with self._lock:
            self._values.pop(key, None)

    def of(self, key: Hashable, make: Callable[[], V]) -> V:
        """The value under the key, made where it is not there."""
        found = self.get(key)
        if found is None:
            found = make()
            self.put(key, found)
        return found
