"""Which literal is compared with which column, and which columns with each other: what typed literals are typed by.

Only whole sides count: in `a + b = 1.5` the literal is compared with a sum, and typed only where the sum's type is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from lakesql.sql.columns import Resolution
from lakesql.sql.outline import Expression, Group, Literal, Operator, Piece
from lakesql.sql.term_types import term_type
from lakesql.sql.tokens import Span, words

_COMPARING = frozenset(("=", "==", "<>", "!=", "<", "<=", ">", ">=", "<=>", "IS DISTINCT FROM", "IS NOT DISTINCT FROM"))
_BETWEEN = frozenset(("BETWEEN", "BETWEEN SYMMETRIC", "BETWEEN ASYMMETRIC"))
_SEPARATING = _COMPARING | _BETWEEN | words("AND OR XOR NOT IN CASE WHEN THEN ELSE END LIKE ILIKE RLIKE SIMILAR REGEXP DISTINCT ALL ANY SOME EXISTS")


@dataclass(frozen=True, eq=False)
class ColumnSide:
    """A side of known type: a column, a field of one, a cast, or arithmetic and functions on them."""

    span: Span
    type: pa.DataType


@dataclass(frozen=True, eq=False)
class LiteralSide:
    """A side that is a literal; sign: the + or - before it, which span includes."""

    span: Span
    literal: Literal
    sign: Operator | None = None


Side = ColumnSide | LiteralSide


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two sides that are compared, in text order but for BETWEEN, IN and CASE, where left is what is tested."""

    left: Side
    right: Side

    def literal_sides(self) -> Iterator[tuple[ColumnSide, LiteralSide]]:
        """The column and the literal it is compared with, if it is such a comparison."""
        for one, other in ((self.left, self.right), (self.right, self.left)):
            if isinstance(one, ColumnSide) and isinstance(other, LiteralSide):
                yield one, other

    def column_sides(self) -> Iterator[tuple[ColumnSide, ColumnSide]]:
        """Both columns, each way round, if two columns are compared."""
        if isinstance(self.left, ColumnSide) and isinstance(self.right, ColumnSide):
            yield self.left, self.right
            yield self.right, self.left


def comparisons(resolution: Resolution) -> Iterator[Comparison]:
    """Every comparison of the statement of which both sides are columns or literals."""
    for expression in resolution.expressions:
        if len(expression.pieces) > 2:
            yield from _compared(expression, resolution)


def _compared(expression: Expression, resolution: Resolution) -> Iterator[Comparison]:
    sides, operators = _sides(expression)
    known = [_side(s, resolution) for s in sides]
    tested: Side | None = None  # what CASE tests
    for i, operator in enumerate(operators):
        left, right = known[i], known[i + 1]
        if operator == "CASE":
            tested = right
        elif operator == "END":
            tested = None
        elif operator == "WHEN" and tested is not None:
            yield from _pair(tested, right)
        elif operator in _COMPARING:
            yield from _pair(left, right)
        elif operator in _BETWEEN:
            # NOT stands between the column and BETWEEN as an operator of its own, with nothing after it.
            column = known[i - 1] if not sides[i] and i and operators[i - 1] == "NOT" else left
            yield from _pair(column, right)
            if i + 1 < len(operators) and operators[i + 1] == "AND":
                yield from _pair(column, known[i + 2])
        elif operator == "IN":
            column = known[i - 1] if not sides[i] and i and operators[i - 1] == "NOT" else left
            group = sides[i + 1][0] if len(sides[i + 1]) == 1 else None
            if isinstance(group, Group):
                for part in group.parts:
                    yield from _pair(column, _side(part.pieces, resolution)) if column is not None else ()


def _sides(expression: Expression) -> tuple[list[list[Piece]], list[str]]:
    """The pieces between separating operators, one list more than there are operators."""
    sides: list[list[Piece]] = [[]]
    operators = []
    for piece in expression.pieces:
        if isinstance(piece, Operator) and (piece.text in _SEPARATING or piece.text.startswith("IS ")):
            operators.append(piece.text)
            sides.append([])
        else:
            sides[-1].append(piece)
    return sides, operators


def _side(pieces: Sequence[Piece], resolution: Resolution) -> Side | None:
    """A side that is a literal or has a known type, brackets around it aside; None for any other."""
    if not pieces:
        return None
    first, last = pieces[0], pieces[-1]
    if isinstance(last, Literal):
        if len(pieces) == 1:
            return LiteralSide(last.span, last)
        if len(pieces) == 2 and isinstance(first, Operator) and first.text in ("-", "+"):
            return LiteralSide(Span(first.span.start, last.span.end), last, first)
    if len(pieces) == 1 and isinstance(first, Group) and len(first.parts) == 1 and first.opener == "(":
        return _side(first.parts[0].pieces, resolution)
    type_ = term_type(pieces, resolution.types)
    return ColumnSide(Span(first.span.start, last.span.end), type_) if type_ is not None else None


def _pair(left: Side | None, right: Side | None) -> Iterator[Comparison]:
    if left is not None and right is not None:
        yield Comparison(left, right)
