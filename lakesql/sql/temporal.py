"""Types by their SQL names, and dates and times in literals: what their text says, as far as their type depends on it."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pyarrow as pa

_INSTANT = re.compile(
    r"\s*(?P<date>\d{4,}-\d{1,2}-\d{1,2})"
    r"(?:[ T](?P<time>\d{1,2}(?::\d{1,2}(?::\d{1,2}(?:\.(?P<fraction>\d+))?)?)?)?)?"
    r"\s*(?P<zone>[Zz]|[+-]\d{1,2}(?::?\d{2})?|[A-Za-z][\w/+-]*)?\s*"
)
_MIDNIGHT = re.compile(r"[0:.]*")
_NANOSECOND_YEARS = range(1678, 2262)
"""Whole years that a 64-bit count of nanoseconds since 1970 reaches."""


@dataclass(frozen=True)
class InstantText:
    """A date, perhaps with a time and a zone. digits: of the fraction of a second."""

    date: str
    is_midnight: bool
    is_date: bool
    digits: int
    has_zone: bool

    @property
    def fits_nanoseconds(self) -> bool:
        """Whether a timestamp of nanoseconds can hold it."""
        return int(self.date.partition("-")[0]) in _NANOSECOND_YEARS


def read_instant(text: str) -> InstantText | None:
    """What a text says that is an instant or a date; None for any other, which the engine will judge.

    >>> read_instant("2026-01-31 12:00:00.5Z")
    InstantText(date='2026-01-31', is_midnight=False, is_date=False, digits=1, has_zone=True)
    """
    found = _INSTANT.fullmatch(text)
    if found is None:
        return None
    time, zone = found["time"] or "", found["zone"]
    return InstantText(found["date"], _MIDNIGHT.fullmatch(time) is not None, not time and zone is None, len(found["fraction"] or ""), zone is not None)


TIMESTAMP_TYPES = frozenset(("TIMESTAMP", "TIMESTAMP WITHOUT TIME ZONE", "TIMESTAMP_NTZ", "DATETIME"))
ZONED_TYPES = frozenset(("TIMESTAMP WITH TIME ZONE", "TIMESTAMP WITH LOCAL TIME ZONE", "TIMESTAMPTZ", "TIMESTAMP_LTZ"))
TIME_TYPES = frozenset(("TIME", "TIME WITHOUT TIME ZONE"))
MICROSECONDS = "TIMESTAMP(6)"
ZONED_MICROSECONDS = "TIMESTAMP(6) WITH TIME ZONE"


def engine_type(type_: str) -> str | None:
    """A type's name for the engine, where its own reading of the name would be nanoseconds or unknown to it; None for any other type.

    >>> engine_type("TIMESTAMP"), engine_type("TIMESTAMP(3)"), engine_type("TIMESTAMPTZ")
    ('TIMESTAMP(6)', None, 'TIMESTAMP(6) WITH TIME ZONE')
    """
    if type_ in TIMESTAMP_TYPES:
        return MICROSECONDS
    return ZONED_MICROSECONDS if type_ in ZONED_TYPES else None


_DECIMAL = re.compile(r"(?:DECIMAL|NUMERIC|DEC)\((\d{1,2})(?:,(\d{1,2}))?\)")


def named_type(type_: str) -> pa.DataType | None:
    """The type that a cast to `type_` gives once it is rendered, for those that decide how literals are read beside it.

    >>> named_type("TIMESTAMP"), named_type("DECIMAL(12,5)"), named_type("VARCHAR")
    (TimestampType(timestamp[us]), Decimal128Type(decimal128(12, 5)), None)
    """
    engine = engine_type(type_) or type_
    if engine in (MICROSECONDS, ZONED_MICROSECONDS):
        return pa.timestamp("us", tz="UTC" if engine == ZONED_MICROSECONDS else None)
    if type_ == "DATE":
        return pa.date32()
    if type_ in TIME_TYPES:
        return pa.time64("us")
    found = _DECIMAL.fullmatch(type_)
    if found is None or not 1 <= int(found[1]) <= 38 or int(found[2] or 0) > int(found[1]):
        return None
    return pa.decimal128(int(found[1]), int(found[2] or 0))
