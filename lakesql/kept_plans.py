"""Plans of statements that were run before: the same text over the same snapshots is not planned again.

Dashboards, notebooks and training loops send the same statement again and again, and planning is most of what a small answer costs. A plan is kept under the
text, its parameters and the session's settings. Before it is used every table is asked for its snapshot anew, so a commit is seen at once, and the engine
looks for the data files again.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

PLANS_KEPT = 32
_READS_CLOCK = re.compile(r"\b(now|today|current_\w+|localtime\w*)\b", re.IGNORECASE)
"""Functions that the engine replaces by their value when it plans."""
_PLAIN = frozenset((int, float, str, bool, bytes, type(None), date, time, timedelta, Decimal, UUID))


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
