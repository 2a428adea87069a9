"""Answers that cost requests to a store, kept for a short while."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

KEPT_SECONDS = 60.0
_KEPT = 1024


class Recent(Generic[K, V]):
    """Answers by question, each good for `KEPT_SECONDS`. Two threads may compute the same answer at once; errors are not kept."""

    def __init__(self) -> None:
        self._answers: dict[K, tuple[float, V]] = {}

    def get(self, key: K, compute: Callable[[], V], cheap: Callable[[V], bool]) -> V:
        """The answer kept, or a new one; one that is `cheap` to compute again is not kept."""
        kept = self._answers.get(key)
        if kept is not None and time.monotonic() < kept[0]:
            return kept[1]
        answer = compute()
        if not cheap(answer):
            if len(self._answers) >= _KEPT:
                self._answers = {}
            self._answers[key] = (time.monotonic() + KEPT_SECONDS, answer)
        return answer
