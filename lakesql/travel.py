"""Which state of a table a statement means: the text of its AS OF clause -> table.At."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pyarrow as pa

from lakesql.errors import ConfigError, SqlError
from lakesql.table import At, AtTime, AtVersion

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COMPACT = re.compile(r"\d{17}")
_HINT = "write an instant such as '2026-01-31 12:00:00' or '2026-01-31T12:00:00Z', a date, seconds since 1970, or an expression of type timestamp"


def at_version(text: str, *, quoted: bool) -> AtVersion:
    """A version, tag or branch as written."""
    return AtVersion(text, quoted)


def at_time(text: str, time_zone: str) -> AtTime:
    """An instant written as text: ISO 8601 with a blank or T, a date alone (its first moment), or yyyyMMddHHmmssSSS (Delta's `t@2026...`).

    Text without an offset is in time_zone. Raises SqlError.
    """
    spelled = text.strip()
    try:
        if _COMPACT.fullmatch(spelled):
            moment = datetime.strptime(spelled[:14], "%Y%m%d%H%M%S") + timedelta(milliseconds=int(spelled[14:]))
        else:
            moment = datetime.fromisoformat(re.sub(r"\s+UTC$", "Z", spelled))
    except ValueError as error:
        raise SqlError(f"{text!r} is no instant", hint=_HINT) from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone(time_zone))
    return AtTime((moment - _EPOCH) // timedelta(microseconds=1), text)


def at_seconds(text: str) -> AtTime:
    """An instant written as a bare number: seconds since 1970-01-01 UTC, as Spark reads it."""
    return AtTime(int(float(text) * 1_000_000), text)


def at_expression(text: str, evaluate: Callable[[str], pa.Scalar], time_zone: str) -> AtTime:
    """An instant written as an expression that reads no table, e.g. `current_timestamp() - INTERVAL '1' DAY`. Raises SqlError for one of another type."""
    value = evaluate(text)
    type_ = value.type
    if not value.is_valid:
        raise SqlError(f"{text} is NULL, not an instant", hint=_HINT)
    if pa.types.is_timestamp(type_):
        us = value.cast(pa.timestamp("us", tz=type_.tz), safe=False).value
        if type_.tz is None:
            us -= int(zone(time_zone).utcoffset(_EPOCH.replace(tzinfo=None) + timedelta(microseconds=us)).total_seconds()) * 1_000_000  # type: ignore[union-attr]
        return AtTime(us, text)
    if pa.types.is_date(type_):
        return at_time(value.as_py().isoformat(), time_zone)
    if pa.types.is_string(type_) or pa.types.is_string_view(type_):
        return at_time(value.as_py(), time_zone)
    if pa.types.is_integer(type_):
        return at_seconds(str(value.as_py()))
    raise SqlError(f"{text} is of type {type_}, not an instant", hint=_HINT)


def at_default(value: str | int | datetime | date | None, time_zone: str) -> At | None:
    """`as_of` of a connection: a datetime, date or instant as text is a time; an int is a version. None leaves tables at their latest state.

    One instant cuts through many tables, and some have no commit after it: there it means the latest state.
    """
    if value is None:
        return None
    if isinstance(value, bool):
        raise ConfigError(f"as_of={value!r} is neither an instant nor a version")
    if isinstance(value, int):
        return AtVersion(str(value))
    if isinstance(value, datetime | date):
        return replace(at_time(value.isoformat(), time_zone), or_latest=True)
    if re.fullmatch(r"\d{1,16}", value.strip()):
        return AtVersion(value.strip())
    try:
        return replace(at_time(value, time_zone), or_latest=True)
    except SqlError:
        return AtVersion(value, quoted=True)


def zone(name: str) -> ZoneInfo:
    """The time zone of that name. Raises ConfigError."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigError(f'no time zone is called "{name}"', hint='write a name such as "UTC" or "Europe/Berlin"') from error
