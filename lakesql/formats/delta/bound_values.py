"""Least and greatest values as statistics give them -> bounds that are safe to prune by.

What writers put down is not always the true extreme: timestamps are cut to milliseconds, decimals may have been floats on their way, floats may have been
narrower when they were written, and texts are cut. Each is moved outward as far as it can be off, or made unknown. Source: PROTOCOL.md, "Per-file
Statistics"; and what writers do.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lakesql.formats.delta import texts as reading

_MILLISECOND_US = 1000
_DOUBLE_KEEPS = 10**15
"""Integers below this have the same digits after a way through a double."""
_DOUBLE_ERROR = 2.0**-49
"""The relative error of a decimal that was converted to a double, scaled and printed, with room."""
_OLD_TIE_BREAKER, _TIE_BREAKER = "\ufffd", "\U0010ffff"


def bounded(type_: pa.DataType) -> bool:
    """Whether bounds of the type are used: numbers, booleans, text, dates and timestamps."""
    is_kind = (
        pa.types.is_boolean,
        pa.types.is_integer,
        pa.types.is_floating,
        pa.types.is_decimal128,
        pa.types.is_string,
        pa.types.is_date32,
        pa.types.is_timestamp,
    )
    return any(kind(type_) for kind in is_kind)


def outward(values: pa.Array, type_: pa.DataType, *, upper: bool) -> pa.Array:
    """Bounds in `type_` from least values (upper: greatest values) of any type that holds them; null where unknown, out of range or of a type that does not
    fit.

    values may have the type the column had before it was widened, or text for dates and timestamps. NaN becomes unknown, -0.0 and 0.0 the outer of the two.
    Raises nothing: an unknown bound prunes nothing.
    """
    unknown = pa.nulls(len(values), type_)
    if not bounded(type_) or values.null_count == len(values):
        return unknown
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    given = values.type
    try:
        if pa.types.is_boolean(type_):
            return values if pa.types.is_boolean(given) else unknown
        if pa.types.is_string(type_):
            return _text(values, upper) if _is_text(given) else unknown
        if pa.types.is_integer(type_):
            return _integers(values, type_) if pa.types.is_integer(given) else unknown
        if pa.types.is_floating(type_):
            return _floats(values, type_, upper) if pa.types.is_integer(given) or pa.types.is_floating(given) else unknown
        if pa.types.is_decimal(type_):
            return _decimals(values, type_, upper) if pa.types.is_integer(given) or pa.types.is_decimal128(given) else unknown
        if _is_text(given):
            values = reading.read(values.cast(pa.string()), type_)
        if pa.types.is_date(type_):
            return values if pa.types.is_date32(values.type) else values.cast(pa.date32()) if pa.types.is_date64(values.type) else unknown
        return _timestamps(values, type_, upper) if pa.types.is_temporal(values.type) and not pa.types.is_time(values.type) else unknown
    except (pa.ArrowException, ValueError):  # one value overflows: none is used
        return unknown


def _text(values: pa.Array, upper: bool) -> pa.Array:
    """Cut texts are bounds as they stand: a prefix sorts first, and the greatest one got a last character that sorts after what was cut off.

    Older writers appended U+FFFD and compared UTF-16 units, by which it sorts after characters beyond U+FFFF; by UTF-8 bytes it does not.
    """
    texts = values.cast(pa.string())
    return pc.replace_substring_regex(texts, _OLD_TIE_BREAKER + "$", _TIE_BREAKER) if upper else texts


def _integers(values: pa.Array, type_: Any) -> pa.Array:
    if pa.types.is_unsigned_integer(values.type):
        values = pc.if_else(pc.less_equal(values, pa.scalar(2**63 - 1, pa.uint64())), values, pa.scalar(None, values.type)).cast(pa.int64())
    low, high = pa.scalar(-(2 ** (type_.bit_width - 1)), pa.int64()), pa.scalar(2 ** (type_.bit_width - 1) - 1, pa.int64())
    wide = values.cast(pa.int64())
    fits = pc.and_(pc.greater_equal(wide, low), pc.less_equal(wide, high))
    return pc.if_else(fits, wide, pa.scalar(None, pa.int64())).cast(type_)


def _floats(values: pa.Array, type_: pa.DataType, upper: bool) -> pa.Array:
    """Doubles are moved to the nearest single-precision number if that lies further out.

    A column that was single-precision has statistics as the shortest text of that, such as 0.1, while its values are 0.10000000149 when read as doubles.
    """
    wide = values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    out = np.inf if upper else -np.inf
    with np.errstate(over="ignore", invalid="ignore"):
        if pa.types.is_integer(values.type):  # beyond 2^53 the nearest double may lie on the wrong side
            wide = np.where(np.abs(wide) >= 2.0**53, np.nextafter(wide, out), wide)
        narrow = wide.astype(np.float32)
        if pa.types.is_float32(type_):
            inside = narrow.astype(np.float64) < wide if upper else narrow.astype(np.float64) > wide
            bounds = np.where(inside, np.nextafter(narrow, np.float32(out)), narrow)
        else:
            single = np.where(np.isfinite(narrow), narrow.astype(np.float64), wide)
            bounds = np.maximum(wide, single) if upper else np.minimum(wide, single)
        bounds = np.where(bounds == 0, bounds.dtype.type(0.0 if upper else -0.0), bounds)
    return pa.array(bounds, type_, mask=np.isnan(bounds) | ~values.is_valid().to_numpy(zero_copy_only=False))


def _decimals(values: pa.Array, type_: Any, upper: bool) -> pa.Array:
    """Digits beyond the type's scale are rounded outward; numbers of more digits than a double keeps are moved by what a double may be off, since some
    writers put decimals down as doubles."""
    if pa.types.is_integer(values.type):
        values = _integers(values, pa.int64()).cast(pa.decimal128(19, 0))
    values = values.cast(pa.decimal128(38, values.type.scale))
    whole_digits = type_.precision - type_.scale  # checked before any cast: Arrow does not notice when a number of too many digits overflows
    if whole_digits < 38 - values.type.scale:
        values = _within(values, whole_digits)
    if values.type.scale > type_.scale:
        values = pc.round(values, ndigits=type_.scale, round_mode="up" if upper else "down")
    values = _widened(values.cast(pa.decimal128(38, type_.scale)), upper)
    return _within(values, whole_digits).cast(type_) if whole_digits < 38 - type_.scale else values.cast(type_)


def _within(values: pa.Array, whole_digits: int) -> pa.Array:
    """Numbers with at most so many digits before the point; null for others."""
    limit = pa.scalar(Decimal(10) ** whole_digits, values.type)
    return pc.if_else(pc.less(pc.abs(values), limit), values, pa.scalar(None, values.type))


def _widened(values: pa.Array, upper: bool) -> pa.Array:
    """Decimals of 38 digits, the long ones moved outward; null where that leaves the range. 128-bit integers are two 64-bit ones here, the lower first."""
    limbs = np.frombuffer(values.buffers()[1], "<u8").reshape(-1, 2)[values.offset : values.offset + len(values)]
    low, high = limbs[:, 0], limbs[:, 1].view(np.int64)
    size = np.abs(high.astype(np.float64) * 2.0**64 + low.astype(np.float64))
    error = np.where(size >= _DOUBLE_KEEPS, np.ceil(size * _DOUBLE_ERROR), 0.0)
    error_high = np.floor(error / 2.0**64)
    error_low = (error - error_high * 2.0**64).astype(np.uint64)
    with np.errstate(over="ignore"):
        moved_low = low + error_low if upper else low - error_low
        carry = moved_low < low if upper else moved_low > low
        step = error_high.astype(np.int64) + carry
        moved_high = high + step if upper else high - step
    moved = np.column_stack((moved_low, moved_high.view(np.uint64)))
    valid = values.is_valid().to_numpy(zero_copy_only=False) & (size + error < 0.9999 * 10.0**38)
    return pa.Array.from_buffers(values.type, len(values), [_bits(valid), pa.py_buffer(np.ascontiguousarray(moved))])


def _bits(valid: npt.NDArray[np.bool_]) -> pa.Buffer:
    return pa.py_buffer(np.packbits(valid, bitorder="little"))


def _timestamps(values: pa.Array, type_: pa.DataType, upper: bool) -> pa.Array:
    """Microseconds, moved by up to a millisecond where they are whole ones: writers cut them. Before 1970, cutting may have gone either way."""
    if pa.types.is_date(values.type):
        values = values.cast(pa.timestamp("ms"))
    valid = values.is_valid().to_numpy(zero_copy_only=False)
    ticks = pc.fill_null(values.view(pa.int64()), 0).to_numpy()
    if values.type.unit == "ns":
        micros = -(-ticks // 1000) if upper else ticks // 1000
    else:
        factor = {"s": 1_000_000, "ms": 1000, "us": 1}[values.type.unit]
        valid = valid & (np.abs(ticks.astype(np.float64)) < 2.0**62 / factor)
        micros = np.where(valid, ticks, 0) * factor
    valid = valid & (np.abs(micros.astype(np.float64)) < 2.0**62)
    cut = micros % _MILLISECOND_US == 0
    if upper:
        micros = micros + np.where(cut, _MILLISECOND_US - 1, 0)
    else:
        micros = micros - np.where(cut & (micros < 0), _MILLISECOND_US - 1, 0)
    return pa.array(micros, pa.int64(), mask=~valid).view(type_)


def _is_text(type_: Any) -> bool:
    return any(kind(type_) for kind in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view))
