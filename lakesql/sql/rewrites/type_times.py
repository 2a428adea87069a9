"""Times of day: to the engine TIME means nanoseconds, which it does not compare with a column of microseconds."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pyarrow as pa

from lakesql.sql.edits import Edit
from lakesql.sql.outline import Cast, Literal
from lakesql.sql.rewrites.context import Context, string
from lakesql.sql.temporal import TIME_TYPES
from lakesql.sql.tokens import Span

_UNITS = {"s": ("Time32(Second)", 0), "ms": ("Time32(Millisecond)", 3), "us": ("Time64(Microsecond)", 6), "ns": ("Time64(Nanosecond)", 9)}


def type_times(context: Context) -> Iterator[Edit]:
    """`TIME '06:30'` -> a time of microseconds, or of the unit of the column it is compared with; `CAST(x AS TIME)` likewise.

    >>> from lakesql.sql.rewrites.example import example
    >>> example("SELECT * FROM t WHERE tm < TIME '06:30'", type_times, tm="time64[us]")
    "SELECT * FROM t WHERE tm < arrow_cast('06:30', 'Time64(Microsecond)')"
    """
    units: dict[Literal, str] = {}
    for comparison in context.comparisons:
        for column, constant in comparison.literal_sides():
            if pa.types.is_time(column.type):
                units[constant.literal] = column.type.unit
    for expression in context.resolution.expressions:
        for piece in expression.pieces:
            if isinstance(piece, Literal) and piece.type in TIME_TYPES:
                target, digits = _UNITS[units.get(piece, "us")]
                if _digits(piece.value) <= digits:
                    yield Edit(piece.span, f"arrow_cast({string(piece.value)}, '{target}')")
            elif isinstance(piece, Cast) and piece.name == "CAST" and piece.type.text in TIME_TYPES:
                yield Edit(Span(piece.span.start, piece.span.start + len("CAST")), "arrow_cast")
                yield Edit(Span(piece.as_span.start, piece.type.span.end), ", 'Time64(Microsecond)'")


def _digits(text: str) -> int:
    """How many digits of a second a text has."""
    found = re.search(r"\.(\d+)", text)
    return len(found[1]) if found is not None else 0
