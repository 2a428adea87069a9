"""Plans of statements that were run before: the same text over the same snapshots is not planned again.

Dashboards, notebooks and training loops send the same statement again and again, and planning is most of what a small answer costs. A plan is kept under the
text, its parameters and the session's settings. Before it is used every table is asked for its snapshot anew, so a commit is seen at once, and the engine
looks for the data files again.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Generic, TypeVar
from uuid import UUID

_KEPT = 32
_READS_CLOCK = re.compile(r"\b(now|today|current_\w+|localtime\w*)\b", re.IGNORECASE)
"""Functions that the engine replaces by their value when it plans."""
_PLAIN = frozenset((int, float, str, bool, bytes, type(None), date, time, timedelta, Decimal, UUID))

P = TypeVar("P")


class KeptPlans(Generic[P]):
    """The plans used last, by key. Safe to use from several threads."""

    def __init__(self, limit: int = _KEPT) -> None:
        self._limit = limit
        self._plans: OrderedDict[Hashable, P] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable | None) -> P | None:
        """The plan under the key; None for none, and for the key None."""
        if key is None:
            return None
        with self._lock:
            plan = self._plans.get(key)
            if plan is not None:
                self._plans.move_to_end(key)
            return plan

    def put(self, key: Hashable, plan: P) -> None:
        """Keeps a plan, in place of the one used longest ago where there are too many."""
        with self._lock:
            self._plans[key] = plan
            self._plans.move_to_end(key)
            while len(self._plans) > self._limit:
                self._plans.popitem(last=False)

    def drop(self, key: Hashable) -> None:
        """Forgets a plan."""
        with self._lock:
            self._plans.pop(key, None)


def key_of(text: str, parameters: Sequence[Any] | Mapping[str, Any] | None, settings: Hashable) -> Hashable | None:
    """What a plan is kept under; None where parameters are of types that cannot be told apart by their text.

    Values are told apart by type and text: 1, 1.0 and True are equal to Python, and give different statements.
    """
    if parameters is None:
        given: tuple[tuple[Any, Any], ...] = ()
    elif isinstance(parameters, Mapping):
        given = tuple(parameters.items())
    elif isinstance(parameters, tuple | list):
        given = tuple(enumerate(parameters))
    else:
        return None
    if not all(_is_plain(value) for _, value in given):
        return None
    return (text, type(parameters), tuple((name, type(value), repr(value)) for name, value in given), settings)


def reads_clock(text: str) -> bool:
    """Whether a statement may hold the time at which it was planned. Words count wherever they stand: too many plans are not kept rather than one too few."""
    return _READS_CLOCK.search(text) is not None


def _is_plain(value: Any) -> bool:
    return type(value) in _PLAIN or (type(value) is datetime and value.tzinfo in (None, UTC))
