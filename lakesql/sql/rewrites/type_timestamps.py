"""Timestamps: to the engine TIMESTAMP means nanoseconds, which end in 2262, so that '9999-12-31' and '0001-01-01' overflow; lake tables count
microseconds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pyarrow as pa

from lakesql.sql.comparisons import ColumnSide
from lakesql.sql.edits import Edit
from lakesql.sql.outline import Cast, Literal, Reference, TypeName
from lakesql.sql.rewrites.context import Context, string
from lakesql.sql.temporal import MICROSECONDS, TIMESTAMP_TYPES, ZONED_MICROSECONDS, ZONED_TYPES, engine_type, read_instant
from lakesql.sql.tokens import Span


def type_timestamps(context: Context) -> Iterator[Edit]:
    """TIMESTAMP -> TIMESTAMP(6), in literals and casts; texts and dates compared with a timestamp column -> TIMESTAMP(6) literals, with time zone where
    the column has one.

    More than six digits of a second keep nanoseconds. A literal whose text has a zone or offset is an instant. What is compared with a column of type
    date is a date, where it can be; elsewhere the column is cast.

    >>> from lakesql.sql.rewrites.example import example
    >>> example("SELECT x::TIMESTAMP FROM t WHERE ts < '0001-01-02' AND d > TIMESTAMP '1600-01-01 00:00:00'", type_timestamps, ts="timestamp[us]", d="date32")
    "SELECT x::TIMESTAMP(6) FROM t WHERE ts < TIMESTAMP(6) '0001-01-02' AND d > DATE '1600-01-01'"
    """
    pairs = [(column, constant.literal) for c in context.comparisons for column, constant in c.literal_sides() if constant.sign is None]
    casts = {one.span: MICROSECONDS for c in context.comparisons for one, other in c.column_sides() if _is_date_beside_timestamp(one, other)}
    casts |= {column.span: type_ for column, literal in pairs if (type_ := _needed_cast(column, literal)) is not None}
    for span, type_ in casts.items():
        yield Edit(Span(span.start, span.start), "CAST(")
        yield Edit(Span(span.end, span.end), f" AS {type_})")
    literals: dict[Literal, str] = {}
    for column, literal in pairs:
        sql = _beside_date(literal, column.span in casts) if pa.types.is_date(column.type) else _beside_timestamp(column, literal)
        if sql is not None:
            literals.setdefault(literal, sql)
    yield from (Edit(literal.span, sql) for literal, sql in literals.items())
    yield from _typed(context, literals)


def _typed(context: Context, literals: Mapping[Literal, str]) -> Iterator[Edit]:
    """The other literals, by their own text alone, and casts."""
    for expression in context.resolution.expressions:
        for piece in expression.pieces:
            match piece:
                case Literal() if piece not in literals:
                    sql = _free(piece)
                    if sql is not None:
                        yield Edit(piece.span, sql)
                case TypeName(text, span):
                    yield from _type(text, span, "::")
                case Cast(expression=inner, type=type_) if not _is_nanoseconds(context, inner.pieces):
                    yield from _type(type_.text, type_.span, "")


def _free(literal: Literal) -> str | None:
    """A timestamp literal by its own text alone."""
    type_ = engine_type(literal.type)
    instant = read_instant(literal.value)
    if type_ is None or instant is None:
        return None
    if instant.has_zone:
        type_ = ZONED_MICROSECONDS
    return f"{_with_digits(type_, instant.digits)} {string(literal.value)}"


def _with_digits(type_: str, digits: int) -> str:
    return type_ if digits <= 6 else type_.replace("(6)", "(9)")


def _is_timestamp_literal(literal: Literal) -> bool:
    return literal.type in TIMESTAMP_TYPES or literal.type in ZONED_TYPES


def _is_date_beside_timestamp(one: ColumnSide, other: ColumnSide) -> bool:
    return bool(pa.types.is_date(one.type) and pa.types.is_timestamp(other.type))


def _needed_cast(column: ColumnSide, literal: Literal) -> str | None:
    """The type a column must be cast to, to be compared with a literal without overflow: dates with times of day, nanoseconds with what is beyond them."""
    instant = read_instant(literal.value) if literal.is_string else None
    if instant is None:
        return None
    if pa.types.is_date(column.type):
        is_date = instant.is_midnight and not instant.has_zone and literal.type not in ZONED_TYPES
        return MICROSECONDS if _is_timestamp_literal(literal) and not is_date else None
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns" and not instant.fits_nanoseconds:
        return ZONED_MICROSECONDS if column.type.tz else MICROSECONDS
    return None


def _beside_date(literal: Literal, is_cast: bool) -> str | None:
    """A literal beside a column of dates: a timestamp where the column is cast to one, else a date."""
    instant = read_instant(literal.value) if literal.is_string else None
    if instant is None:
        return None
    if is_cast and literal.type in ("", "DATE"):
        return f"{MICROSECONDS} {string(instant.date)}" if instant.is_date or literal.type == "DATE" else None
    return f"DATE {string(instant.date)}" if _is_timestamp_literal(literal) and not is_cast else None


def _beside_timestamp(column: ColumnSide, literal: Literal) -> str | None:
    """A literal beside a column of timestamps: a timestamp, with time zone where the column has one."""
    instant = read_instant(literal.value) if literal.is_string and pa.types.is_timestamp(column.type) else None
    if instant is None or not (_is_timestamp_literal(literal) or literal.type == "" or (literal.type == "DATE" and instant.is_date)):
        return None
    type_ = ZONED_MICROSECONDS if column.type.tz or literal.type in ZONED_TYPES else MICROSECONDS
    return f"{_with_digits(type_, instant.digits)} {string(literal.value)}"


def _type(text: str, span: Span, mark: str) -> Iterator[Edit]:
    type_ = engine_type(text)
    if type_ is not None:
        yield Edit(span, mark + type_)


def _is_nanoseconds(context: Context, pieces: tuple[object, ...]) -> bool:
    """Whether a cast is of a column that counts nanoseconds, which it would cut."""
    meaning = context.resolution.meanings.get(pieces[0]) if len(pieces) == 1 and isinstance(pieces[0], Reference) else None
    return meaning is not None and meaning.type is not None and pa.types.is_timestamp(meaning.type) and meaning.type.unit == "ns"
