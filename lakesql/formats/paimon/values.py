"""Values as Java writes them: in the paths of partitions, and in texts that Paimon makes of numbers, dates and times. Source: java.lang, java.time,
Paimon's cast rules.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa

from lakesql.formats.paimon.types import DataType

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)


def double_text(value: float, *, single: bool = False) -> str:
    """A floating-point number as Java's Double.toString or, single, Float.toString writes it.

    >>> double_text(1e10), double_text(0.5), double_text(100.0), double_text(1e-5), double_text(3.4e38, single=True)
    ('1.0E10', '0.5', '100.0', '1.0E-5', '3.4E38')
    """
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0:
        return "-0.0" if math.copysign(1, value) < 0 else "0.0"
    text = _shortest_single(value) if single else repr(abs(value))
    digits, exponent = _digits(text)
    sign = "-" if value < 0 else ""
    if 1e-3 <= abs(value) < 1e7:
        whole, part = (digits[:exponent], digits[exponent:]) if exponent > 0 else ("0", "0" * -exponent + digits)
        return f"{sign}{whole.ljust(exponent, '0') if exponent > 0 else whole}.{part or '0'}"
    return f"{sign}{digits[0]}.{digits[1:] or '0'}E{exponent - 1}"


def _shortest_single(value: float) -> str:
    scalar = pa.scalar(abs(value), pa.float32())
    return str(next(t for t in (f"{scalar.as_py():.{n}g}" for n in range(1, 10)) if pa.scalar(float(t), pa.float32()) == scalar))


def _digits(text: str) -> tuple[str, int]:
    """Significant digits, and how many of them are before the point."""
    mantissa, _, exponent = text.lower().partition("e")
    whole, _, part = mantissa.partition(".")
    point = len(whole) + int(exponent or 0)
    digits = whole + part
    stripped = digits.lstrip("0")
    return stripped.rstrip("0") or "0", point - (len(digits) - len(stripped))


def date_text(day: int) -> str:
    """Days since 1970 as `2024-01-31`; years beyond 1 to 9999 as Java's LocalDate has them."""
    return _moment(day * 86_400_000_000)[:10] if -719_162 <= day <= 2_932_896 else str(day)


def time_text(millis: int, precision: int = 3) -> str:
    """Milliseconds of a day as `12:34:56.7`: digits of the fraction up to the precision, the first always there, zeros behind it cut."""
    seconds, part = divmod(millis % 86_400_000, 1000)
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    fraction = f"{part:03}"[: min(precision, 3)].rstrip("0") or "0"
    return f"{text}.{fraction}" if precision else text


def iso_timestamp(value: int, per_second: int) -> str:
    """A timestamp in ticks as Java's LocalDateTime.toString: `2024-01-01T00:00`, seconds and groups of three digits of the fraction where they are not zero."""
    seconds, ticks = divmod(value, per_second)
    text = _moment(seconds * 1_000_000).replace(" ", "T")
    nanos = ticks * (1_000_000_000 // per_second)
    if nanos:
        fraction = f"{nanos:09}"
        while fraction.endswith("000"):
            fraction = fraction[:-3]
        return f"{text}.{fraction}"
    return text[:-3] if text.endswith(":00") else text


def sql_timestamp(value: int, per_second: int, precision: int) -> str:
    """A timestamp in ticks as Paimon casts it to text: `2024-01-01 00:00:00.5`, digits of the fraction up to the precision at least.

    Source: Paimon, DateTimeUtils.formatTimestamp.
    """
    seconds, ticks = divmod(value, per_second)
    fraction = f"{ticks * (1_000_000_000 // per_second):09}"
    kept = fraction.rstrip("0").ljust(precision, "0")
    return _moment(seconds * 1_000_000) + (f".{kept}" if kept else "")


def _moment(us: int) -> str:
    try:
        return (_EPOCH + timedelta(microseconds=us)).strftime("%Y-%m-%d %H:%M:%S").rjust(19, "0")
    except OverflowError:
        return f"{us} microseconds since 1970"


PER_SECOND = {"s": 1, "ms": 1000, "us": 1_000_000, "ns": 1_000_000_000}


def legacy_text(value: pa.Scalar, type_: DataType) -> str:
    """A partition value as Java's toString of what Paimon holds in memory: dates and times are numbers."""
    if type_.root in ("DATE", "TIME"):
        return str(value.value)
    if type_.root.startswith("TIMESTAMP"):
        return iso_timestamp(value.value, PER_SECOND[value.type.unit])
    return cast_text(value, type_)


_CASTS: dict[str, Callable[[Any], str]] = {
    "BOOLEAN": lambda v: "true" if v else "false",
    "FLOAT": lambda v: double_text(v, single=True),
    "DOUBLE": double_text,
    "DECIMAL": lambda v: format(Decimal(v), "f"),
}


def cast_text(value: pa.Scalar, type_: DataType) -> str:
    """A value as Paimon casts it to text; timestamps with local time zone in UTC."""
    if type_.root == "DATE":
        return date_text(value.value)
    if type_.root == "TIME":
        return time_text(value.value, type_.precision or 0)
    if type_.root.startswith("TIMESTAMP"):
        return sql_timestamp(value.value, PER_SECOND[value.type.unit], type_.precision or 0)
    python = value.as_py()
    if isinstance(python, bytes):
        return python.decode("utf-8", "replace")
    return _CASTS.get(type_.root, str)(python)
