"""Casts and date_trunc applied to ranges: the range of `CAST(ts AS DATE)` from that of ts.

Every function here keeps the order, so bounds map to bounds. Where the engine may round otherwise than we do, the mapped bounds are moved outward by more
than the difference; where a bound does not fit the target type, both become unknown: nothing wraps.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from lakesql.predicate import Cast, Column, ColumnPath, Term, Truncate
from lakesql.pruning.bounds import Mask
from lakesql.pruning.places import NANOSECONDS, is_utc
from lakesql.pruning.ranges import Range, is_bytes, is_text, proved, without

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_INT64_MAX = 2**63 - 1
_SUBDAY_NANOSECONDS = {"microsecond": 10**3, "millisecond": 10**6, "second": 10**9, "minute": 60 * 10**9, "hour": 3600 * 10**9, "day": 86_400 * 10**9}
_MONTHS = {"month": 1, "quarter": 3, "year": 12}


def range_of_term(term: Term, column_range: Callable[[ColumnPath], Range]) -> Range:
    """The range of a term, from the range of its column; without bounds, and with the reason, where the term's function is not one we can follow."""
    match term:
        case Column(path):
            return column_range(path)
        case Cast(inner, type_):
            return cast(range_of_term(inner, column_range), type_)
        case Truncate(unit, inner):
            return truncate(range_of_term(inner, column_range), unit)


def cast(values: Range, to: pa.DataType) -> Range:
    """The range of CAST(x AS to)."""
    source = values.type
    if source is None or source == to:
        return values
    if types.is_dictionary(to):
        to = to.value_type
    if (is_text(source) and is_text(to)) or (is_bytes(source) and is_bytes(to)):
        return values.with_bounds(to, values.lower, values.upper)
    result: Range | None = None
    if types.is_integer(source):
        if types.is_integer(to):
            result = _integer_to_integer(values, to)
        elif types.is_decimal(to):
            result = _integer_to_decimal(values, to)
        elif types.is_float64(to):
            result = _integer_to_double(values, to)
    elif types.is_floating(source) and types.is_floating(to) and to.bit_width >= source.bit_width:
        result = values.with_bounds(to, values.lower, values.upper)
    elif types.is_decimal(source):
        if types.is_decimal(to):
            result = _decimal_to_decimal(values, source, to)
        elif types.is_float64(to):
            result = _decimal_to_double(values, to)
    elif _is_instant(source) and _is_instant(to):
        result = _instant_to_instant(values, source, to)
    elif types.is_time(source) and types.is_time(to):
        result = _rescale(values, to, NANOSECONDS[source.unit], NANOSECONDS[to.unit])
    return values.without_bounds(f"a cast from {source} to {to} is not followed") if result is None else result


def truncate(values: Range, unit: str) -> Range:
    """The range of date_trunc(unit, x), in UTC; of x's own type."""
    type_ = values.type
    if type_ is None:
        return values
    if not (types.is_date32(type_) or (types.is_timestamp(type_) and is_utc(type_.tz))):
        return values.without_bounds(f"date_trunc of {type_} is not followed")
    tick = NANOSECONDS["day"] if types.is_date32(type_) else NANOSECONDS[type_.unit]
    if unit in _SUBDAY_NANOSECONDS:
        step = _SUBDAY_NANOSECONDS[unit] // tick
        if step <= 1:
            return values
        return _mapped(values, type_, lambda x: x - x % step)
    per_day = NANOSECONDS["day"] // tick
    if unit == "week":
        monday = 3 * per_day  # 1970-01-01 was a Thursday
        return _mapped(values, type_, lambda x: x - (x % (7 * per_day) + monday) % (7 * per_day))
    if unit in _MONTHS:
        return _mapped(values, type_, lambda x: _month_start(x // per_day, _MONTHS[unit]) * per_day)
    return values.without_bounds(f"date_trunc does not know the unit '{unit}'")


def _month_start(days: Ints, months: int) -> Ints:
    month = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    return (month - month % months).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)


# int64 bounds --------------------------------------------------------------------------------------------------------------------------------------


def _ints(array: pa.Array) -> Ints:
    """Storage values, 0 where unknown."""
    filled: Ints = pc.fill_null(array, 0).to_numpy(zero_copy_only=False)
    return filled


def _known(array: pa.Array) -> Mask:
    mask: Mask = array.is_valid().to_numpy(zero_copy_only=False)
    return mask


def _mapped(values: Range, type_: pa.DataType, function: Callable[[Ints], Ints]) -> Range:
    """Bounds under a function that never goes up; a result above its argument has wrapped around and is unknown."""
    mapped = []
    for bound in (values.lower, values.upper):
        before = _ints(bound)
        after = function(before)
        mapped.append(pa.array(after, pa.int64(), mask=~_known(bound) | (after > before)))
    return values.with_bounds(type_, *mapped)


def _fitting(values: Range, type_: pa.DataType, lower: pa.Array, upper: pa.Array, misfit: Mask) -> Range:
    """Bounds, unknown on both sides where one of them does not fit the type: the engine cannot compute the cast there, so nothing is proved by it."""
    return values.with_bounds(type_, without(lower, misfit), without(upper, misfit))


def _outside(array: pa.Array, least: int, most: int) -> Mask:
    """Storage integers outside [least, most], which may lie beyond the storage type."""
    unsigned = types.is_uint64(array.type)
    low, high = (0, 2**64 - 1) if unsigned else (-(2**63), _INT64_MAX)
    outside = np.zeros(len(array), dtype=bool)
    if least > low:
        outside |= proved(pc.less(array, pa.scalar(min(least, high), array.type)))
    if most < high:
        outside |= proved(pc.greater(array, pa.scalar(max(most, low), array.type)))
    return outside


def _integer_to_integer(values: Range, to: pa.DataType) -> Range:
    limits = np.iinfo(to.to_pandas_dtype())
    least, most = int(limits.min), int(limits.max)
    misfit = _outside(values.lower, least, most) | _outside(values.upper, least, most)
    storage = pa.uint64() if types.is_uint64(to) else pa.int64()
    lower, upper = without(values.lower, misfit), without(values.upper, misfit)
    return values.with_bounds(to, lower.cast(storage), upper.cast(storage))


def _integer_to_decimal(values: Range, to: pa.DataType) -> Range | None:
    if to.scale < 0 or to.scale > 56:
        return None
    # Arrow wants room for every digit an int64 (19) or uint64 (20) may have.
    storage = pa.decimal128(38, to.scale) if to.scale <= 18 and not types.is_decimal256(to) else pa.decimal256(76, to.scale)
    most = 10 ** (to.precision - to.scale) - 1
    misfit = _outside(values.lower, -most, most) | _outside(values.upper, -most, most)
    logical = to if storage.bit_width == 128 else pa.decimal256(76, to.scale)
    return _fitting(values, logical, values.lower.cast(storage), values.upper.cast(storage), misfit)


def _integer_to_double(values: Range, to: pa.DataType) -> Range:
    """Integers up to 2**53 are doubles; the others are rounded, and moved outward by one."""

    def convert(bound: pa.Array, direction: float) -> pa.Array:
        number = _ints(bound).astype(np.float64)
        moved = np.where(np.abs(number) >= 2.0**53, np.nextafter(number, direction), number)
        return pa.array(moved, pa.float64(), mask=~_known(bound))

    return values.with_bounds(to, convert(values.lower, -np.inf), convert(values.upper, np.inf))


# Decimals ------------------------------------------------------------------------------------------------------------------------------------------


def _decimal_to_decimal(values: Range, source: pa.DataType, to: pa.DataType) -> Range | None:
    """Values stay in the source's scale, which compares just as well; fewer digits after the point round there, downwards and upwards."""
    if to.scale < 0 or source.scale < 0:
        return None
    lower, upper = values.lower, values.upper
    if to.scale < source.scale:
        if types.is_decimal256(source):
            return None
        # 9.99 rounds to 10.0: one digit more than the source may have room for.
        source = pa.decimal256(76, source.scale)
        lower = pc.round(lower.cast(source), ndigits=to.scale, round_mode="down")
        upper = pc.round(upper.cast(source), ndigits=to.scale, round_mode="up")
    whole_digits = to.precision - to.scale
    misfit = _beyond(lower, whole_digits) | _beyond(upper, whole_digits)
    return _fitting(values, source, lower, upper, misfit)


def _beyond(array: pa.Array, whole_digits: int) -> Mask:
    """Decimals with more than this many digits before the point."""
    if whole_digits >= array.type.precision - array.type.scale:
        return np.zeros(len(array), dtype=bool)
    limit = pa.scalar(Decimal((0, (1,), max(whole_digits, 0))), array.type)
    return proved(pc.greater_equal(pc.abs(array), limit))


def _decimal_to_double(values: Range, to: pa.DataType) -> Range:
    """Engines divide an integer by a power of ten, each step rounded; 2**-48 of the value is more than all steps together."""

    def convert(bound: pa.Array, direction: float) -> pa.Array:
        number: Floats = pc.fill_null(bound.cast(pa.float64()), 0.0).to_numpy(zero_copy_only=False)
        moved = number + np.copysign(np.abs(number) * 2.0**-48, direction)
        return pa.array(moved, pa.float64(), mask=~_known(bound))

    return values.with_bounds(to, convert(values.lower, -1.0), convert(values.upper, 1.0))


# Dates and timestamps ------------------------------------------------------------------------------------------------------------------------------


def _is_instant(type_: pa.DataType) -> bool:
    return bool(types.is_date32(type_) or types.is_timestamp(type_))


def _instant_to_instant(values: Range, source: pa.DataType, to: pa.DataType) -> Range | None:
    zones = [type_.tz if types.is_timestamp(type_) else None for type_ in (source, to)]
    if not (is_utc(zones[0]) and is_utc(zones[1])) and (zones[0] is None or zones[1] is None):
        return None
    if types.is_date32(to):
        per_day = NANOSECONDS["day"] // NANOSECONDS[source.unit]
        lower, upper = (pa.array(_ints(b) // per_day, pa.int64(), mask=~_known(b)) for b in (values.lower, values.upper))
        misfit = _outside(lower, -(2**31), 2**31 - 1) | _outside(upper, -(2**31), 2**31 - 1)
        return _fitting(values, to, lower, upper, misfit)
    from_tick = NANOSECONDS["day"] if types.is_date32(source) else NANOSECONDS[source.unit]
    return _rescale(values, to, from_tick, NANOSECONDS[to.unit])


def _rescale(values: Range, to: pa.DataType, from_tick: int, to_tick: int) -> Range:
    if from_tick >= to_tick:
        factor = from_tick // to_tick
        most = _INT64_MAX // factor
        misfit = _outside(values.lower, -most, most) | _outside(values.upper, -most, most)
        lower, upper = (pa.array(np.where(misfit, 0, _ints(b)) * factor, pa.int64(), mask=~_known(b)) for b in (values.lower, values.upper))
        return _fitting(values, to, lower, upper, misfit)
    # Coarser: DataFusion cuts towards zero, others towards the past. The range covers both.
    factor = to_tick // from_tick
    low = pa.array(_ints(values.lower) // factor, pa.int64(), mask=~_known(values.lower))
    before = _ints(values.upper)
    cut = before // factor + ((before < 0) & (before % factor != 0))
    return values.with_bounds(to, low, pa.array(cut, pa.int64(), mask=~_known(values.upper)))
