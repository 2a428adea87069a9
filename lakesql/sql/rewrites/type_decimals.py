"""Decimals: the engine reads `1.5` as a double, and compares a decimal column with it as doubles or overflows; a literal of a decimal type compares
exactly."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pyarrow as pa

from lakesql.sql.comparisons import LiteralSide
from lakesql.sql.edits import Edit
from lakesql.sql.rewrites.context import Context, string

_MAX_PRECISION = 38
_MAX_WIDE_PRECISION = 76
_INTEGER_DIGITS = 18
"""Whole numbers of so many digits are 64-bit integers to the engine, which compare exactly."""


def type_decimals(context: Context) -> Iterator[Edit]:
    """A number that is compared with a decimal column -> the same number in a decimal type that holds it.

    >>> from lakesql.sql.rewrites.example import example
    >>> import pyarrow as pa
    >>> example("SELECT * FROM t WHERE d = -2342342.23423 AND f > 1.5", type_decimals, d=pa.decimal128(12, 5), f="float64")
    "SELECT * FROM t WHERE d = CAST('-2342342.23423' AS DECIMAL(12, 5)) AND f > 1.5"
    """
    done = set()
    for comparison in context.comparisons:
        for column, constant in comparison.literal_sides():
            sql = _typed(column.type, constant)
            if sql is not None and constant.literal not in done:
                done.add(constant.literal)
                yield Edit(constant.span, sql)


def _typed(type_: pa.DataType, constant: LiteralSide) -> str | None:
    literal = constant.literal
    if literal.is_string or not (pa.types.is_decimal128(type_) or pa.types.is_decimal256(type_)):
        return None
    text = literal.value
    if text.startswith("0x") or (text.isdecimal() and len(text) <= _INTEGER_DIGITS):
        return None
    value = Decimal(text).copy_negate() if constant.sign is not None and constant.sign.text == "-" else Decimal(text)
    return decimal_literal(value, type_.precision, type_.scale)


def decimal_literal(value: Decimal, precision: int, scale: int) -> str:
    """A decimal for the engine that compares with every value of decimal(precision, scale) as `value` does.

    In the column's own type where that holds it, so that statistics can be compared as they are; else in the smallest that does. A number with more
    digits than the widest type holds becomes one that is as far from every value of the column as need be: the first beyond its range, or the middle of
    the gap between two of its values.

    >>> decimal_literal(Decimal("1.5"), 12, 5)
    "CAST('1.5' AS DECIMAL(12, 5))"
    >>> decimal_literal(Decimal("-1e400"), 12, 5)
    "CAST('-10000000' AS DECIMAL(8, 0))"
    >>> decimal_literal(Decimal("1e-100"), 12, 5)
    "CAST('0.000005' AS DECIMAL(13, 6))"
    """
    whole = precision - scale
    value, places = _without_trailing_zeros(value)
    beyond = max(whole, value.adjusted() + 1 if value else 0)
    if beyond > whole and beyond + max(places, scale) > _MAX_WIDE_PRECISION:
        return _cast(Decimal(10) ** whole * (1 if value > 0 else -1), whole + 1, 0, whole, scale)
    if places > _MAX_WIDE_PRECISION - beyond:
        digits = format(value.copy_abs(), "f").partition(".")
        below = Decimal(f"{digits[0]}.{digits[2][:scale]}5")
        return _cast(below.copy_sign(value), precision + 1, scale + 1, whole, scale)
    if places <= scale and beyond == whole:
        return _cast(value, precision, scale, whole, scale)
    return _cast(value, beyond + places, places, whole, scale)


def _without_trailing_zeros(value: Decimal) -> tuple[Decimal, int]:
    """The same number, exactly, with as few digits after the point as there can be, and how many those are. Decimal.normalize would round."""
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)  # a literal is finite
    if not value:
        return Decimal(0), 0
    while exponent < 0 and digits[-1] == 0:
        digits, exponent = digits[:-1], exponent + 1
    return Decimal((sign, digits, exponent)), max(0, -exponent)


def _cast(value: Decimal, precision: int, scale: int, whole: int, column_scale: int) -> str:
    """CAST to decimal(precision, scale); to the type that holds the column's values too where that takes more than 38 digits, lest the engine overflows
    in finding it."""
    both_whole, both_scale = max(precision - scale, whole), max(scale, column_scale)
    if both_whole + both_scale > _MAX_PRECISION:
        precision, scale = both_whole + both_scale, both_scale
    return f"CAST({string(format(value, 'f'))} AS DECIMAL({max(precision, 1)}, {scale}))"
