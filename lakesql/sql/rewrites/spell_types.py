"""Types: names that lake engines have and this engine does not know."""

from __future__ import annotations

from collections.abc import Iterator

from lakesql.sql.edits import Edit
from lakesql.sql.outline import Cast, Literal, TypeName
from lakesql.sql.rewrites.context import Context

_SPELLINGS = {
    "BINARY": "BYTEA",
    "VARBINARY": "BYTEA",
    "LONG": "BIGINT",
    "SHORT": "SMALLINT",
    "BYTE": "TINYINT",
}


def spell_types(context: Context) -> Iterator[Edit]:
    """`CAST(x AS BINARY)` -> `CAST(x AS BYTEA)`, and the like.

    >>> from lakesql.sql.rewrites.example import example
    >>> example("SELECT x::long, CAST('ab' AS BINARY), TRY_CAST(y AS Byte) FROM t", spell_types)
    "SELECT x::BIGINT, CAST('ab' AS BYTEA), TRY_CAST(y AS TINYINT) FROM t"
    """
    for expression in context.resolution.expressions:
        for piece in expression.pieces:
            match piece:
                case TypeName(text, span) if text in _SPELLINGS:
                    yield Edit(span, f"::{_SPELLINGS[text]}")
                case Cast(type=type_) if type_.text in _SPELLINGS:
                    yield Edit(type_.span, _SPELLINGS[type_.text])
                case Literal(type=type_, type_span=span) if span is not None and type_ in _SPELLINGS:
                    yield Edit(span, _SPELLINGS[type_])
