"""The text of values that are no lists, structs or maps: one rule per type, for every output format.

| type | text |
|---|---|
| boolean | `true`, `false` |
| integer | digits |
| float | shortest text that reads back as the same value, with a point or an exponent: `1.0`, `1e+20`; `NaN`, `Infinity`, `-Infinity` |
| decimal | digits with the type's scale, never an exponent: `0.000000001` |
| date | `2026-01-03`; other years than 0000 to 9999 with a sign or more digits |
| time, timestamp | ISO 8601: `06:30:00`, `2026-01-03T06:30:00`; the fraction has 0, 3, 6 or 9 digits, as few as say it all |
| timestamp with a time zone | the zone's wall clock and offset, `2026-01-03T06:30:00+01:00`; `Z` in UTC; in UTC too where the zone is not known here |
| interval, duration | ISO 8601: `P1Y2M3DT4H5M6.5S`; `PT0S` where nothing is left |
| binary | hexadecimal digits, lower case: `deadbeef` |
| UUID | `123e4567-e89b-12d3-a456-426614174000` |
| text | itself |

All arrays made here are `large_string`, so that no batch is too large for them.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types as is_

from lakesql.errors import NotSupportedError
from lakesql.frontends.types import is_bytes, is_text, is_uuid, sql_type_name

TEXT = pa.large_string()
_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_DAY_SECONDS = 86_400
_YEAR_0_SECONDS, _YEAR_10000_SECONDS = -62_167_219_200, 253_402_300_800
_FIXED_OFFSET = re.compile(r"([+-])(\d\d):(\d\d)")
_EXPONENT_BELOW = 6
"""Arrow gives decimals an exponent only where more fractional digits than this allow leading zeros."""


def scalar_texts(values: pa.Array) -> pa.Array:
    """The text of each value, null for null. Raises NotSupportedError for a type that has no rule."""
    type_ = values.type
    if is_text(type_):
        return pc.cast(pc.cast(values, pa.large_binary()), TEXT)  # by way of bytes, because that checks that they are UTF-8
    if is_.is_boolean(type_) or is_.is_integer(type_) or is_.is_null(type_):
        return pc.cast(values, TEXT)
    if is_.is_floating(type_):
        return _float_texts(values)
    if is_.is_decimal(type_):
        return _decimal_texts(values)
    if is_.is_date(type_):
        return _moment_texts(pc.cast(pc.cast(values, pa.date32()), pa.int32()), "D")
    if is_.is_timestamp(type_):
        return _timestamp_texts(values)
    if is_.is_time(type_):
        return _short_fraction(pc.cast(values, TEXT))
    if is_bytes(type_):
        return _hex_texts(values)
    if is_uuid(type_):
        return pc.replace_substring_regex(_hex_texts(values.storage), r"(.{8})(.{4})(.{4})(.{4})(.{12})", r"\1-\2-\3-\4-\5")
    if is_.is_duration(type_):
        seconds = _PER_SECOND[type_.unit]
        return _each(values.cast(pa.int64()), lambda count: interval_text(0, 0, count * (_PER_SECOND["ns"] // seconds)))
    if is_.is_interval(type_):
        return _each(values, lambda parts: interval_text(parts.months, parts.days, parts.nanoseconds))
    raise NotSupportedError(f"values of type {sql_type_name(type_)} have no text", hint="CAST the column to a type that has one")


def interval_text(months: int, days: int, nanoseconds: int) -> str:
    """ISO 8601's duration; each part has its own sign.

    >>> interval_text(14, 3, -1_500_000_000)
    'P1Y2M3DT-1.5S'
    """
    years, months = int(months / 12), months - 12 * int(months / 12)
    sign, rest = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    seconds, nanoseconds = divmod(rest, _PER_SECOND["ns"])
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    all_seconds = f"{seconds}.{nanoseconds:09}".rstrip("0").rstrip(".") if nanoseconds else str(seconds)
    date = "".join(f"{count}{unit}" for count, unit in ((years, "Y"), (months, "M"), (days, "D")) if count)
    time = "".join(f"{sign}{count}{unit}" for count, unit in ((hours, "H"), (minutes, "M"), (all_seconds, "S")) if count not in (0, "0"))
    return f"P{date}{'T' if time else ''}{time}" if date or time else "PT0S"


def _float_texts(values: pa.Array) -> pa.Array:
    if is_.is_float16(values.type):
        numbers = values.to_numpy(zero_copy_only=False).astype(np.float32)  # older pyarrow cannot cast them
        values = pa.array(numbers, mask=np.asarray(values.is_null()))
    texts = pc.replace_substring_regex(pc.cast(values, TEXT), r"^(-?\d+)$", r"\1.0")
    if pc.all(pc.is_finite(values)).as_py() is False:
        texts = pc.if_else(pc.is_nan(values), "NaN", texts)
        texts = pc.if_else(pc.is_inf(values), pc.if_else(pc.greater(values, pa.scalar(0, values.type)), "Infinity", "-Infinity"), texts)
    return texts.cast(TEXT)


def _decimal_texts(values: pa.Array) -> pa.Array:
    scale = values.type.scale
    if 0 <= scale <= _EXPONENT_BELOW:
        return pc.cast(values, TEXT)
    # the same integers, read with scale 0, never get an exponent
    digits = pc.cast(pa.Array.from_buffers(_with_scale_0(values.type), len(values), values.buffers(), -1, values.offset), TEXT)
    if scale < 0:
        return pc.if_else(pc.equal(digits, "0"), digits, pc.binary_join_element_wise(digits, _text("0" * -scale), _text("")))
    sign = pc.if_else(pc.starts_with(digits, "-"), "-", "").cast(TEXT)
    padded = pc.ascii_lpad(pc.ascii_ltrim(digits, "-"), scale + 1, "0")
    point = pc.utf8_slice_codeunits(padded, 0, -scale), pc.utf8_slice_codeunits(padded, -scale)
    return pc.binary_join_element_wise(pc.binary_join_element_wise(sign, point[0], _text("")), point[1], _text("."))


def _with_scale_0(type_: pa.DataType) -> pa.DataType:
    make = {32: pa.decimal32, 64: pa.decimal64, 128: pa.decimal128, 256: pa.decimal256}[type_.bit_width]
    return make(type_.precision, 0)


def _timestamp_texts(values: pa.Array) -> pa.Array:
    unit, zone = values.type.unit, values.type.tz
    instants = values.cast(pa.int64())
    if zone is not None and (fixed := _FIXED_OFFSET.fullmatch(zone)):
        minutes = int(f"{fixed[1]}1") * (int(fixed[2]) * 60 + int(fixed[3]))
        return _moment_texts(pc.add(instants, minutes * 60 * _PER_SECOND[unit]), unit, "Z" if minutes == 0 else zone)
    if zone is None or zone.upper() in ("UTC", "Z", "ETC/UTC"):
        offset = "" if zone is None else "Z"
        return _moment_texts(instants, unit, offset)
    try:
        wall_clock = pc.local_timestamp(values).cast(pa.int64())
    except pa.ArrowInvalid:  # no such zone in this machine's database; the instant is certain all the same
        return _moment_texts(instants, unit, "Z")
    minutes = pc.divide(pc.subtract(wall_clock, instants), 60 * _PER_SECOND[unit])
    return _moment_texts(wall_clock, unit, _offset_texts(minutes))


def _offset_texts(minutes: pa.Array) -> pa.Array:
    """`+01:00` for 60."""
    distinct = pc.unique(minutes)
    texts = [None if m is None else f"{'-' if m < 0 else '+'}{abs(m) // 60:02}:{abs(m) % 60:02}" for m in distinct.to_pylist()]
    return pa.array(texts, TEXT).take(pc.index_in(minutes, distinct))


def _moment_texts(counts: pa.Array, unit: str, offset: pa.Array | str = "") -> pa.Array:
    """Days, seconds or parts of them since 1970, as ISO 8601."""
    limits = pc.min_max(counts).as_py()
    per_second = 1 / _DAY_SECONDS if unit == "D" else _PER_SECOND[unit]
    usual = limits["min"] is None or (limits["min"] >= _YEAR_0_SECONDS * per_second and limits["max"] < _YEAR_10000_SECONDS * per_second)
    if usual:
        arrow_type = pa.date32() if unit == "D" else pa.timestamp(unit)
        texts = pc.replace_substring(pc.cast(counts.cast(arrow_type), TEXT), " ", "T")
    else:  # Arrow has no text for distant years; numpy has, for all
        texts = _distant_moment_texts(counts, unit)
    if unit != "D":
        texts = _short_fraction(texts)
    return pc.binary_join_element_wise(texts, _text(offset) if isinstance(offset, str) else offset, _text("")) if offset != "" else texts


def _distant_moment_texts(counts: pa.Array, unit: str) -> pa.Array:
    """By day and time of day: only a day never meets the number that numpy takes for null."""
    per_day = 1 if unit == "D" else _DAY_SECONDS * _PER_SECOND[unit]
    days, rest = np.divmod(np.asarray(counts.fill_null(0)).astype(np.int64), per_day)
    dates = pa.array(np.datetime_as_string(days.astype("datetime64[D]")), pa.string(), mask=np.asarray(counts.is_null())).cast(TEXT)
    dates = pc.replace_substring_regex(dates, r"^-(\d{3})-", r"-0\1-")  # numpy counts the sign among the four places
    if unit == "D":
        return dates
    times = pa.array(rest, pa.int64()) if unit in ("us", "ns") else pa.array(rest, pa.int32())
    clock = pa.time64(unit) if unit in ("us", "ns") else pa.time32(unit)
    return pc.binary_join_element_wise(dates, pc.cast(times.cast(clock), TEXT), _text("T"))


def _short_fraction(texts: pa.Array) -> pa.Array:
    """Fractions of a second without the groups of three zeros they end with."""
    texts = pc.replace_substring_regex(texts, r"\.0+$", "")
    return pc.replace_substring_regex(texts, r"(\.(?:\d{3})+?)(?:000)+$", r"\1")


_HEX = np.frombuffer(b"".join(b"%02x" % byte for byte in range(256)), dtype="<u2")


def _hex_texts(values: pa.Array) -> pa.Array:
    values = pc.cast(values, pa.large_binary())
    _, offsets, content = values.buffers()
    starts = np.frombuffer(offsets, np.int64)[values.offset : values.offset + len(values) + 1]
    octets = np.frombuffer(content, np.uint8)[starts[0] : starts[-1]] if content is not None else np.empty(0, np.uint8)
    digits = _HEX[octets].tobytes()
    valid = None if values.null_count == 0 else pc.cast(values.is_valid(), pa.bool_()).buffers()[1]
    return pa.Array.from_buffers(TEXT, len(values), [valid, pa.py_buffer((starts - starts[0]) * 2), pa.py_buffer(digits)])


def _each(values: pa.Array, text_of: Any) -> pa.Array:
    """One call per value: for types too rare in results to deserve more."""
    return pa.array([None if v is None else text_of(v) for v in values.to_pylist()], TEXT)


def _text(text: str) -> pa.Scalar:
    return pa.scalar(text, TEXT)
