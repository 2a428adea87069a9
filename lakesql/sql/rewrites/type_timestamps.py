"""Timestamps: to the engine TIMESTAMP means nanoseconds, which end in 2262, so that '9999-12-31' and '0001-01-01' overflow; lake tables count
microseconds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

from lakesql.sql.comparisons import ColumnSide, comparisons
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
    literals: dict[Literal, str] = {}
    casts: dict[Span, str] = {}
    for comparison in comparisons(context.resolution):
        for column, constant in comparison.literal_sides():
            if constant.literal not in literals and constant.sign is None:
                compared = _compared(column, constant.literal)
                if compared is None:
                    continue
                literals[constant.literal] = compared.literal
                if compared.column is not None:
                    casts[column.span] = compared.column
        for one, other in comparison.column_sides():
            if pa.types.is_date(one.type) and pa.types.is_timestamp(other.type):
                casts[one.span] = MICROSECONDS
    for span, type_ in casts.items():
        yield Edit(Span(span.start, span.start), "CAST(")
        yield Edit(Span(span.end, span.end), f" AS {type_})")
    yield from _typed(context, literals)


@dataclass(frozen=True)
class _Compared:
    """What becomes of a literal, and of the column it is compared with: its type, if it must be cast."""

    literal: str
    column: str | None = None


def _typed(context: Context, literals: Mapping[Literal, str]) -> Iterator[Edit]:
    """Every literal and cast: by what it is compared with, else by its own text alone."""
    for expression in context.resolution.expressions:
        for piece in expression.pieces:
            match piece:
                case Literal():
                    sql = literals.get(piece) or _free(piece)
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


def _compared(column: ColumnSide, literal: Literal) -> _Compared | None:
    """What a literal becomes beside a column of a date or timestamp type; None where the column does not decide it."""
    instant = read_instant(literal.value) if literal.is_string else None
    if instant is None:
        return None
    is_timestamp = literal.type in TIMESTAMP_TYPES or literal.type in ZONED_TYPES
    if pa.types.is_timestamp(column.type) and (is_timestamp or literal.type == "" or (literal.type == "DATE" and instant.is_date)):
        type_ = ZONED_MICROSECONDS if column.type.tz or literal.type in ZONED_TYPES else MICROSECONDS
        beyond = column.type.unit == "ns" and not instant.fits_nanoseconds
        return _Compared(f"{_with_digits(type_, instant.digits)} {string(literal.value)}", type_ if beyond else None)
    if pa.types.is_date(column.type) and is_timestamp:
        if instant.is_midnight and not instant.has_zone and literal.type not in ZONED_TYPES:
            return _Compared(f"DATE {string(instant.date)}")
        free = _free(literal)
        return _Compared(free, MICROSECONDS) if free is not None else None
    return None


def _type(text: str, span: Span, mark: str) -> Iterator[Edit]:
    type_ = engine_type(text)
    if type_ is not None:
        yield Edit(span, mark + type_)


def _is_nanoseconds(context: Context, pieces: tuple[object, ...]) -> bool:
    """Whether a cast is of a column that counts nanoseconds, which it would cut."""
    meaning = context.resolution.meanings.get(pieces[0]) if len(pieces) == 1 and isinstance(pieces[0], Reference) else None
    return meaning is not None and meaning.type is not None and pa.types.is_timestamp(meaning.type) and meaning.type.unit == "ns"
