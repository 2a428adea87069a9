"""Values that the log keeps as text: partition values, and dates and times in statistics.

The usual spellings are read by Arrow on whole columns; whatever is left, text by text: other writers' zones, signs, exponents and years. Nothing goes through
floating point but floats. Source: PROTOCOL.md, "Partition Value Serialization" and "Per-file Statistics".
"""

from __future__ import annotations

import decimal
import re
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lakesql.formats.delta.calendar import days_from_civil

_INT64 = (-(2**63), 2**63 - 1)
_DIGITS = decimal.Context(prec=200)
_LONGEST = 200
"""Characters a number's text may have; far beyond every type's digits."""

_PATTERNS: list[tuple[Callable[[pa.DataType], bool], str]] = [
    (pa.types.is_boolean, r"^(?i:true|false)$"),
    (pa.types.is_integer, r"^-?[0-9]{1,18}$"),
    (pa.types.is_floating, r"^[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?|NaN|Infinity)$"),
    (pa.types.is_decimal, r"^[+-]?0*[0-9]{0,WHOLE}(?:\.[0-9]{1,38})?$"),
    (pa.types.is_date, r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"),
    (pa.types.is_timestamp, r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?Z?$"),
]
_INTEGER = re.compile(r"[+-]?[0-9]{1,20}(?:\.0*)?")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,9})?")
_SPECIAL = re.compile(r"([+-]?)(nan|inf|infinity)", re.IGNORECASE)
_INSTANT = re.compile(
    r"([+-]?[0-9]{4,6})-([0-9]{1,2})-([0-9]{1,2})"
    r"(?:[ T]([0-9]{1,2}):([0-9]{1,2})(?::([0-9]{1,2})(?:\.([0-9]{1,9}))?)?\s*(Z|UTC|GMT|[+-][0-9]{1,2}(?::?[0-9]{2})?)?)?"
)


def readable(type_: pa.DataType) -> bool:
    """Whether `read` knows the type."""
    return any(is_kind(type_) for is_kind, _ in _PATTERNS)


def read(texts: pa.Array, type_: Any, *, rounding: str | None = None) -> pa.Array:
    """The values of `texts` (string) in `type_`: null where a text is null, is not of the type, or does not fit it.

    type_: boolean, integer, float, decimal128, date32 or timestamp in microseconds. Timestamps: a text without a zone is UTC; where the type has no zone, a
    text's may only be UTC; fractions beyond microseconds are cut. Decimals must be exact in the type's scale, unless `rounding` (a constant of `decimal`)
    says how to fit them.
    """
    pattern = next(p for is_kind, p in _PATTERNS if is_kind(type_))
    if pa.types.is_decimal(type_):  # Arrow does not notice when a number of too many digits overflows
        pattern = pattern.replace("WHOLE", str(type_.precision - type_.scale))
    usual = pc.fill_null(pc.match_substring_regex(texts, pattern), False)
    try:
        values = _usual(texts if pc.all(usual).as_py() else pc.if_else(usual, texts, pa.scalar(None, texts.type)), type_)
    except pa.ArrowInvalid:  # one text in the usual form that does not fit, such as the 31st of April
        usual = pa.repeat(pa.scalar(False), len(texts))
        values = pa.nulls(len(texts), type_)
    unusual = pc.and_(pc.invert(usual), texts.is_valid())
    if not pc.any(unusual).as_py():
        return values
    return pc.replace_with_mask(values, unusual, _unusual(texts.filter(unusual).to_pylist(), type_, rounding))


def _usual(texts: pa.Array, type_: pa.DataType) -> pa.Array:
    """Texts that match their type's pattern, or null. Raises ArrowInvalid where one does not fit."""
    if pa.types.is_boolean(type_):
        return pc.equal(pc.ascii_lower(texts), "true")
    if pa.types.is_timestamp(type_):
        return _instants(pc.ascii_rtrim(texts, "Z"), type_)
    return texts.cast(type_)


def _instants(texts: pa.Array, type_: pa.DataType) -> pa.Array:
    """Wall-clock texts as instants, their zone taken to be UTC."""
    return texts.cast(pa.timestamp("us")).view(type_)


def _unusual(texts: list[str], type_: pa.DataType, rounding: str | None) -> pa.Array:
    if pa.types.is_floating(type_):
        return pa.array([_float(t) for t in texts], pa.string()).cast(type_)
    if pa.types.is_decimal(type_):
        return pa.array([_exact_decimal(t, type_, rounding) for t in texts], type_)
    if pa.types.is_integer(type_):
        low, high = -(2 ** (type_.bit_width - 1)), 2 ** (type_.bit_width - 1) - 1
        return pa.array([i if (i := _whole(t)) is not None and low <= i <= high else None for t in texts], type_)
    if pa.types.is_date(type_):
        return pa.array([_days(t) for t in texts], pa.int32()).view(type_)
    if pa.types.is_timestamp(type_):
        return pa.array([_instant(t, zoned=type_.tz is not None) for t in texts], pa.int64()).view(type_)
    return pa.array([{"true": True, "false": False}.get(t.strip().lower()) for t in texts], pa.bool_())


def _exact_decimal(text: str, type_: Any, rounding: str | None) -> decimal.Decimal | None:
    """A number's text as a decimal of the type's scale; None where it is no number, has more digits than fit, or is not exact and `rounding` is None."""
    text = text.strip()
    if len(text) > _LONGEST or not _NUMBER.fullmatch(text):
        return None
    number = decimal.Decimal(text)
    if not number:
        return decimal.Decimal(0)
    if number.adjusted() >= type_.precision - type_.scale:
        return None
    if number.adjusted() < -2 * _LONGEST:  # so small that only its sign matters
        number = decimal.Decimal(1).scaleb(-2 * _LONGEST).copy_sign(number)
    fitted = number.quantize(decimal.Decimal(1).scaleb(-type_.scale), rounding=rounding or decimal.ROUND_DOWN, context=_DIGITS)
    if rounding is None and fitted != number:
        return None
    return fitted if fitted.adjusted() < type_.precision - type_.scale or not fitted else None


def _whole(text: str) -> int | None:
    text = text.strip()
    return int(text.split(".")[0]) if _INTEGER.fullmatch(text) else None


def _float(text: str) -> str | None:
    """The text as Arrow reads it: Java's suffixes f and d removed, NaN and infinity in any case."""
    text = text.strip()
    if len(text) > _LONGEST:
        return None
    if match := _SPECIAL.fullmatch(text):
        return match[1] + match[2].lower()
    bare = text[:-1] if text[-1:] in "fFdD" else text
    return bare if _NUMBER.fullmatch(bare) else None


def _days(text: str) -> int | None:
    instant = _instant(text, zoned=False)
    return None if instant is None or instant % 86_400_000_000 else instant // 86_400_000_000


def _instant(text: str, *, zoned: bool) -> int | None:
    """Microseconds since 1970-01-01 UTC."""
    match = _INSTANT.fullmatch(text.strip())
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(g or 0) for g in match.groups()[:6])
    days = days_from_civil(year, month, day)
    if days is None or hour > 23 or minute > 59 or second > 59:
        return None
    offset_minutes = _offset_minutes(match[8])
    if offset_minutes is None or (offset_minutes and not zoned):
        return None
    fraction_us = int((match[7] or "").ljust(6, "0")[:6])
    instant = (((days * 24 + hour) * 60 + minute - offset_minutes) * 60 + second) * 1_000_000 + fraction_us
    return instant if _INT64[0] <= instant <= _INT64[1] else None


def _offset_minutes(zone: str | None) -> int | None:
    if zone is None or zone in ("Z", "UTC", "GMT"):
        return 0
    digits = zone[1:].replace(":", "")
    hours, minutes = int(digits[:2]), int(digits[2:] or 0)
    if hours > 18 or minutes > 59:
        return None
    return (hours * 60 + minutes) * (-1 if zone[0] == "-" else 1)
