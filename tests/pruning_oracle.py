"""Predicates one row at a time, in exact Python numbers: what pruning is held against. Shares nothing with the code it judges.

Engines differ in a few corners, so a law about pruning is tried under each of them: `Engine` says which corner cases apply.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pyarrow as pa
from pyarrow import types

from lakesql.predicate import And, Cast, Column, ColumnPath, Compare, Constant, In, IsNull, Op, Or, Predicate, StartsWith, Term, Truncate

Row = Mapping[ColumnPath, pa.Scalar]

NANOSECONDS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
DAY = 86_400 * 10**9


class CannotCompute(Exception):
    """The engine would refuse the row: an overflow, or types that do not compare."""


@dataclass(frozen=True)
class Engine:
    """signed_zeros: -0.0 < 0.0. cuts_to_zero: casts to coarser timestamps cut towards 1970. rounds: a number compares with a float as a double."""

    signed_zeros: bool
    cuts_to_zero: bool
    rounds: bool


def satisfied(predicate: Predicate, row: Row, engine: Engine) -> bool | None:
    """The predicate's value for the row, None for null. Raises CannotCompute."""
    match predicate:
        case And(parts):
            values = [satisfied(p, row, engine) for p in parts]
            return False if False in values else None if None in values else True
        case Or(parts):
            values = [satisfied(p, row, engine) for p in parts]
            return True if True in values else None if None in values else False
        case Constant(value):
            return value
        case IsNull(term, negated):
            return value_of(term, row, engine).is_valid == negated
        case Compare(term, op, literal):
            value = value_of(term, row, engine)
            return compared(value, op, literal, engine) if value.is_valid else None
        case In(term, listed, negated):
            value = value_of(term, row, engine)
            return None if not value.is_valid else any(compared(value, Op.EQ, v, engine) for v in listed) != negated
        case StartsWith(term, prefix, negated):
            value = value_of(term, row, engine)
            if not is_text(value.type):
                raise CannotCompute(f"LIKE on {value.type}")
            return None if not value.is_valid else value.as_buffer().to_pybytes().startswith(prefix.encode()) != negated
    raise CannotCompute(str(predicate))


def compared(value: pa.Scalar, op: Op, literal: pa.Scalar, engine: Engine) -> bool:
    """value op literal; neither is null."""
    left, right = key(value, engine), key(literal, engine)
    if left[0] != right[0] or (left[0] == "instant" and {zone(value), zone(literal)} == {None, "local"}):
        raise CannotCompute(f"{value.type} {op.value} {literal.type}")
    if engine.rounds and left[0] == "number" and (types.is_floating(value.type) or types.is_floating(literal.type)):
        left, right = key(pa.scalar(as_double(value)), engine), key(pa.scalar(as_double(literal)), engine)
    answers = {
        Op.EQ: left == right,
        Op.NE: left != right,
        Op.LT: left < right,
        Op.LE: left <= right,
        Op.GT: left > right,
        Op.GE: left >= right,
    }
    return answers[op]


def key(value: pa.Scalar, engine: Engine) -> tuple[Any, ...]:
    """A tuple that sorts as the value does among values it compares with; the first entry names those."""
    type_ = value.type
    if types.is_boolean(type_):
        return ("boolean", value.as_py())
    if types.is_integer(type_) or types.is_decimal(type_):
        return ("number", 0, Fraction(value.as_py()), 1)
    if types.is_floating(type_):
        number = float(value.as_py())
        if math.isnan(number):
            return ("number", 2, 0, 1)
        if math.isinf(number):
            return ("number", int(math.copysign(1, number)), 0, 1)
        return ("number", 0, Fraction(number), math.copysign(1, number) if number == 0 and engine.signed_zeros else 1)
    if is_text(type_):
        return ("text", value.as_buffer().to_pybytes())
    if types.is_binary(type_) or types.is_large_binary(type_) or types.is_fixed_size_binary(type_) or types.is_binary_view(type_):
        return ("binary", value.as_buffer().to_pybytes())
    if types.is_time(type_):
        return ("time", value.value * NANOSECONDS[type_.unit])
    if types.is_duration(type_):
        return ("duration", value.value * NANOSECONDS[type_.unit])
    if types.is_date(type_) or types.is_timestamp(type_):
        return ("instant", value.value * tick(type_))
    raise CannotCompute(str(type_))


def zone(value: pa.Scalar) -> str | None:
    """UTC, local, or None for dates and timestamps without zone."""
    tz = value.type.tz if types.is_timestamp(value.type) else None
    return "local" if tz not in (None, "UTC") else tz


def as_double(value: pa.Scalar) -> float:
    """The nearest double."""
    number = value.as_py()
    if isinstance(number, float):
        return number
    exact = Fraction(number)
    return exact.numerator / exact.denominator


def is_text(type_: pa.DataType) -> bool:
    """One of Arrow's text layouts."""
    return bool(types.is_string(type_) or types.is_large_string(type_) or types.is_string_view(type_))


def tick(type_: pa.DataType) -> int:
    """Nanoseconds of one unit of a date, time or timestamp."""
    if types.is_date32(type_):
        return DAY
    return NANOSECONDS["ms"] if types.is_date64(type_) else NANOSECONDS[type_.unit]


# Terms ---------------------------------------------------------------------------------------------------------------------------------------------


def value_of(term: Term, row: Row, engine: Engine) -> pa.Scalar:
    """The term's value for the row; null for null alone. Raises CannotCompute."""
    match term:
        case Column(path):
            return row[path]
        case Cast(inner, type_):
            value = value_of(inner, row, engine)
            return cast(value, type_, engine) if value.is_valid else pa.scalar(None, type_)
        case Truncate(unit, inner):
            value = value_of(inner, row, engine)
            return truncated(value, unit) if value.is_valid else value


def cast(value: pa.Scalar, to: pa.DataType, engine: Engine) -> pa.Scalar:
    """CAST(value AS to), the casts that predicate.Cast names."""
    source = value.type
    if source == to:
        return value
    if is_text(source) and is_text(to):
        return value.cast(to)
    if types.is_integer(source) or types.is_decimal(source):
        if types.is_integer(to) and types.is_integer(source):
            return made(value.as_py(), to)
        if types.is_float64(to):
            return pa.scalar(as_double(value))
        if types.is_decimal(to):
            scaled = Fraction(value.as_py()) * 10**to.scale
            units = math.floor(abs(scaled) + Fraction(1, 2)) * (1 if scaled >= 0 else -1)
            if abs(units) >= 10**to.precision:
                raise CannotCompute("overflow")
            return pa.scalar(decimal_of(units, to.scale), to)
    if types.is_floating(source) and types.is_float64(to):
        return pa.scalar(float(value.as_py()))
    if types.is_time(source) and types.is_time(to):
        return made(value.value * tick(source) // tick(to), to)
    if types.is_date32(source) or types.is_timestamp(source):
        if {zone(value), zone(pa.scalar(0, to))} == {None, "local"}:
            raise CannotCompute("local time")
        nanoseconds = value.value * tick(source)
        if types.is_date32(to):
            return made(nanoseconds // DAY, to)
        if types.is_timestamp(to):
            toward_zero = engine.cuts_to_zero and nanoseconds < 0
            return made(-(-nanoseconds // tick(to)) if toward_zero else nanoseconds // tick(to), to)
    raise CannotCompute(f"{source} to {to}")


def truncated(value: pa.Scalar, unit: str) -> pa.Scalar:
    """date_trunc(unit, value) in UTC."""
    if types.is_timestamp(value.type) and value.type.tz not in (None, "UTC"):
        raise CannotCompute("local time")
    nanoseconds = value.value * tick(value.type)
    fixed = {"microsecond": 10**3, "millisecond": 10**6, "second": 10**9, "minute": 60 * 10**9, "hour": 3600 * 10**9, "day": DAY}
    if unit in fixed:
        start = nanoseconds - nanoseconds % fixed[unit]
    elif unit == "week":
        days = nanoseconds // DAY
        start = (days - (days + 3) % 7) * DAY
    else:
        year, month = civil(nanoseconds // DAY)
        month = {"month": month, "quarter": month - (month - 1) % 3, "year": 1}[unit]
        start = days_from_civil(year, month) * DAY
    return made(start // tick(value.type), value.type)


def made(number: int, type_: pa.DataType) -> pa.Scalar:
    """The scalar that stores this integer."""
    try:
        return pa.scalar(number, type_)
    except (pa.ArrowInvalid, OverflowError) as error:
        raise CannotCompute("overflow") from error


def decimal_of(units: int, scale: int) -> Decimal:
    """units * 10**-scale, whatever the context's precision."""
    sign, digits, _ = Decimal(units).as_tuple()
    return Decimal((sign, digits, -scale))


def civil(days: int) -> tuple[int, int]:
    """Year and month of a day since 1970-01-01, proleptic Gregorian."""
    days += 719_468
    era, of_era = divmod(days, 146_097)
    year_of_era = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * of_year + 2) // 153
    month = shifted + 3 if shifted < 10 else shifted - 9
    return year_of_era + era * 400 + (month <= 2), month


def days_from_civil(year: int, month: int) -> int:
    """The first day of a month, since 1970-01-01."""
    year -= month <= 2
    era, year_of_era = divmod(year, 400)
    of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5
    return era * 146_097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + of_year - 719_468
