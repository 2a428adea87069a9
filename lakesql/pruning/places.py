"""Where a literal lies among the values of another type, exactly: no comparison is ever decided by rounding.

`x < 2.5` for an integer x is `x <= 2`; `ts >= TIMESTAMP '... 10.0000005'` for microseconds is `ts > ... 10.000000`. So a literal becomes the greatest value
of the column's storage type that is not above it, and whether it is that value; a literal beyond all of them is below or above everything.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from lakesql.pruning.bounds import solid
from lakesql.pruning.ranges import decimal_storage, is_bytes, is_text, proved, storage_array

NANOSECONDS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1, "day": 86_400 * 10**9}
"""Nanoseconds in a unit of Arrow's temporal types."""

_UTC = {"utc", "etc/utc", "z", "zulu", "gmt", "+00:00", "-00:00", "+0000", "+00"}


@dataclass(frozen=True)
class Place:
    """floor: the greatest storage value not above the literal, None where there is none (side -1) or where every value is below it (side 1). exact:
    floor is the literal.
    """

    floor: pa.Scalar | None
    exact: bool = True
    side: int = 0


@dataclass(frozen=True)
class Places:
    """Literals as sorted storage values without repeats; those that no value of the type can equal are left out. has_nan: the list had one."""

    values: pa.Array
    has_nan: bool = False


def place(value: pa.Scalar, type_: pa.DataType) -> Place | None:
    """Where the literal lies among the values of the logical type; None where the two do not compare without loss.

    >>> place(pa.scalar(2.5), pa.int32())
    Place(floor=<pyarrow.Int64Scalar: 2>, exact=False, side=0)
    """
    if types.is_dictionary(value.type):
        value = value.value
    if not value.is_valid:
        return None
    if is_text(type_) or is_bytes(type_):
        if not (is_text(value.type) if is_text(type_) else is_bytes(value.type)):
            return None
        return Place(pa.scalar(value.as_buffer().to_pybytes(), pa.large_binary()))
    if types.is_boolean(type_) or types.is_boolean(value.type):
        return Place(pa.scalar(int(value.as_py()), pa.int64())) if type_ == value.type else None
    if types.is_floating(type_):
        return _among_floats(value, type_)
    if types.is_integer(type_):
        number = _rational(value, whole=True)
        return None if number is None else _among_integers(number, pa.uint64() if types.is_uint64(type_) else pa.int64())
    if types.is_decimal(type_):
        number = _rational(value, whole=False)
        return None if number is None else _among_decimals(number, type_)
    tick = _ticks(type_)
    value_tick = _ticks(value.type)
    if tick is None or value_tick is None or tick[0] != value_tick[0] or not _zones_agree(type_, value.type):
        return None
    return _among_integers(Fraction(value.value * value_tick[1], tick[1]), pa.int64())


def places(values: pa.Array, type_: pa.DataType) -> Places | None:
    """The literals of a list among the values of the logical type; None where they do not compare without loss. Nulls are left out."""
    values = solid(values).drop_null()
    stored, storage = storage_array(values), storage_array(pa.array([], type_))
    if stored is None or storage is None:
        return None
    alike = values.type == type_ or (types.is_integer(values.type) and types.is_integer(type_)) or (is_text(values.type) and is_text(type_))
    has_nan = False
    if not (alike and stored.type == storage.type):
        found = [place(value, type_) for value in values]
        if any(at is None for at in found):
            return None
        stored = pa.array([at.floor.as_py() for at in found if at is not None and at.exact and at.floor is not None], storage.type)
    elif types.is_floating(type_):
        nan = proved(pc.is_nan(stored))
        has_nan = bool(nan.any())
        stored = stored.filter(pa.array(~nan))
    stored = stored.unique()
    return Places(stored.take(pc.sort_indices(stored)), has_nan)


def is_utc(zone: str | None) -> bool:
    """The zone is UTC by any of its names; a timestamp without zone counts as UTC, as table formats write it."""
    return zone is None or zone.lower() in _UTC


def _among_floats(value: pa.Scalar, type_: pa.DataType) -> Place | None:
    """Only a literal that the type itself can hold: engines round any other, one way or the other."""
    if types.is_floating(value.type):
        number = float(value.as_py())
    else:
        exact = _rational(value, whole=False)
        if exact is None or abs(exact) > 2**53:
            return None
        number = float(exact)
        if Fraction(number) != exact:
            return None
    with np.errstate(over="ignore"):  # a literal beyond the type becomes infinity, which is not it
        held = float(np.dtype(f"f{type_.bit_width // 8}").type(number))
    return Place(pa.scalar(number, pa.float64())) if held == number else None


def _rational(value: pa.Scalar, *, whole: bool) -> Fraction | None:
    """The number as a fraction. A float stands among integers only where they convert to it without loss, and never among decimals, which it would
    round.
    """
    if types.is_integer(value.type) or types.is_decimal(value.type):
        return Fraction(value.as_py())
    if whole and types.is_floating(value.type):
        number = float(value.as_py())
        mantissa_bits = {16: 11, 32: 24, 64: 53}[value.type.bit_width]
        negative_zero = number == 0 and math.copysign(1, number) < 0  # an engine may find it below the integer's 0.0
        if math.isfinite(number) and abs(number) < 2**mantissa_bits and not negative_zero:
            return Fraction(number)
    return None


def _among_integers(number: Fraction, storage: pa.DataType) -> Place:
    limits = np.iinfo(np.uint64 if types.is_uint64(storage) else np.int64)
    floor = math.floor(number)
    if floor < limits.min:
        return Place(None, exact=False, side=-1)
    if floor > limits.max:
        return Place(None, exact=False, side=1)
    return Place(pa.scalar(floor, storage), exact=number.denominator == 1)


def _among_decimals(number: Fraction, type_: pa.DataType) -> Place:
    digits = 76 if types.is_decimal256(type_) else 38
    scaled = number * Fraction(10) ** type_.scale
    floor = math.floor(scaled)
    if floor <= -(10**digits):
        return Place(None, exact=False, side=-1)
    if floor >= 10**digits:
        return Place(None, exact=False, side=1)
    sign, digit_tuple, _ = Decimal(floor).as_tuple()
    return Place(pa.scalar(Decimal((sign, digit_tuple, -type_.scale)), decimal_storage(type_)), exact=scaled.denominator == 1)


def _ticks(type_: pa.DataType) -> tuple[str, int] | None:
    """What a temporal type counts, and the nanoseconds of one tick."""
    if types.is_date32(type_):
        return "instant", NANOSECONDS["day"]
    if types.is_date64(type_):
        return "instant", NANOSECONDS["ms"]
    if types.is_timestamp(type_):
        return "instant", NANOSECONDS[type_.unit]
    if types.is_time(type_):
        return "time", NANOSECONDS[type_.unit]
    if types.is_duration(type_):
        return "duration", NANOSECONDS[type_.unit]
    return None


def _zones_agree(left: pa.DataType, right: pa.DataType) -> bool:
    """Instants compare whatever their zones; a date or a timestamp without zone compares with an instant only where local time is UTC."""
    zones = [type_.tz if types.is_timestamp(type_) else None for type_ in (left, right)]
    return (zones[0] is not None and zones[1] is not None) or (is_utc(zones[0]) and is_utc(zones[1]))
