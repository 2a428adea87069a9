"""The types of terms, as far as literals beside them depend on it: columns, what is reached from them, arithmetic on decimals and dates, functions.

A decimal type here bounds the values: no value of the term has more digits before or after the point than it says. Where the engine's own type is not
worth following, that is the widest there is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

from lakesql.sql.outline import Call, Constant, Expression, FieldAccess, Group, Literal, Operator, Piece, TypeName
from lakesql.sql.tokens import words

_PRECISION = 38
_KEEPING = words("MIN MAX ABS MEDIAN FIRST_VALUE LAST_VALUE ANY_VALUE TRUNC")
"""Functions of one argument whose values the argument's type holds."""
_WIDENING = words("SUM AVG COALESCE NULLIF GREATEST LEAST ROUND CEIL FLOOR TRUNC LEAD LAG NTH_VALUE")
"""Functions that give decimals for decimals, with more digits before the point, or timestamps for timestamps."""
_AFTER_CALL = words("OVER FILTER") | {"WITHIN GROUP", "IGNORE NULLS", "RESPECT NULLS"}
_ARITHMETIC = frozenset("+-*/%")


def term_type(pieces: Sequence[Piece], types: Mapping[Piece, pa.DataType]) -> pa.DataType | None:
    """The type of a term, None where it is not known. types: of its pieces."""
    term = _without_window(pieces)
    if is_reached(term):
        return types.get(term[-1])
    operands: list[list[Piece]] = [[]]
    operators = []
    for piece in term:
        if not isinstance(piece, Operator):
            operands[-1].append(piece)
        elif piece.text not in _ARITHMETIC:
            return None
        elif operands[-1]:
            operators.append(piece.text)
            operands.append([])
    return _arithmetic(operands, operators, types)


def is_reached(pieces: Sequence[Piece]) -> bool:
    """Whether pieces are one operand and what is reached from it by dots, brackets and casts, so that the last piece's type is that of all."""
    return (
        bool(pieces)
        and not isinstance(pieces[0], Operator)
        and all(isinstance(p, FieldAccess | TypeName) or (isinstance(p, Group) and p.opener == "[") for p in pieces[1:])
    )


def call_type(function: str, arguments: Sequence[Expression], types: Mapping[Piece, pa.DataType]) -> pa.DataType | None:
    """The type that a function gives, for those that keep a decimal a decimal and a timestamp a timestamp."""
    name = function.upper()
    if name in ("DATE_TRUNC", "DATE_BIN") and len(arguments) >= 2:
        truncated = term_type(arguments[1].pieces, types)
        return truncated if truncated is not None and pa.types.is_timestamp(truncated) else None
    known = {term_type(a.pieces, types) for a in arguments if not is_whole_number(a.pieces)}
    type_ = known.pop() if len(known) == 1 else None
    if type_ is None or (name in _KEEPING and len(arguments) == 1):
        return type_ if name in _KEEPING | _WIDENING else None
    if not pa.types.is_decimal128(type_):
        return type_ if name in _WIDENING and name != "SUM" else None
    if name == "AVG":
        return _wide(type_.scale + 4)
    return _wide(type_.scale) if name in _WIDENING else None


def is_whole_number(pieces: Sequence[Piece]) -> bool:
    """Whether a term is a whole number, which changes no type beside a decimal."""
    return len(pieces) == 1 and isinstance(pieces[0], Literal) and not pieces[0].is_string and pieces[0].value.isdecimal()


def _without_window(pieces: Sequence[Piece]) -> Sequence[Piece]:
    """A call without its OVER and FILTER, which do not change its type."""
    if len(pieces) < 2 or not isinstance(pieces[0], Call):
        return pieces
    belongs = all(isinstance(p, Group) or (isinstance(p, Operator) and p.text in _AFTER_CALL) for p in pieces[1:])
    return pieces[:1] if belongs and isinstance(pieces[1], Operator) else pieces


def _arithmetic(operands: Sequence[Sequence[Piece]], operators: Sequence[str], types: Mapping[Piece, pa.DataType]) -> pa.DataType | None:
    """Decimals with decimals and whole numbers; a date or timestamp with intervals, a date with whole numbers."""
    known = [types.get(o[-1]) if is_reached(o) else None for o in operands]
    others = [o for o, t in zip(operands, known, strict=True) if t is None]
    typed = [t for t in known if t is not None]
    if len(typed) == 1 and pa.types.is_temporal(typed[0]):
        is_date = pa.types.is_date(typed[0])
        moved = all(_is_interval(o) or (is_date and is_whole_number(o)) for o in others)
        return typed[0] if others and moved and set(operators) <= {"+", "-"} and not pa.types.is_time(typed[0]) else None
    scales = [t.scale for t in typed if pa.types.is_decimal128(t)]
    if not scales or not all(pa.types.is_decimal128(t) or pa.types.is_integer(t) for t in typed) or not all(is_whole_number(o) for o in others):
        return None
    if not operators:
        return typed[0]
    scale = sum(scales) if "*" in operators else max(scales)
    return _wide(scale + 4 * operators.count("/"))


def _is_interval(pieces: Sequence[Piece]) -> bool:
    return len(pieces) == 1 and isinstance(pieces[0], Constant) and pieces[0].is_interval


def _wide(scale: int) -> pa.DataType:
    return pa.decimal128(_PRECISION, min(scale, _PRECISION))
