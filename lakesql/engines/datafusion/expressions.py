"""DataFusion expressions -> predicates.

Only what means exactly the same becomes a predicate; the rest is `Opaque`, with the reason EXPLAIN PRUNING prints. The optimiser has already folded
constants, so literals arrive as literals of the engine's types.
"""

from __future__ import annotations

import re
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lakesql.predicate import (
    FLIPPED,
    And,
    Cast,
    Column,
    ColumnPath,
    Compare,
    Constant,
    In,
    IsNull,
    Op,
    Opaque,
    Or,
    Predicate,
    StartsWith,
    Term,
    Truncate,
    negate,
)

_COMPARISONS = {"=": Op.EQ, "!=": Op.NE, "<>": Op.NE, "<": Op.LT, "<=": Op.LE, ">": Op.GT, ">=": Op.GE}
_TRUNCATABLE = frozenset(("microsecond", "millisecond", "second", "minute", "hour", "day", "week", "month", "quarter", "year"))
_MAX_DEPTH = 200


class _Unusable(Exception):
    """Why an expression cannot be a term or literal."""


def to_predicate(expression: Any, schema: pa.Schema) -> Predicate:
    """A boolean DataFusion `Expr` over a table of `schema`, as a predicate that is true, false and null for the same rows."""
    return _predicate(expression, schema, 0)


def _predicate(expression: Any, schema: pa.Schema, depth: int) -> Predicate:
    if depth > _MAX_DEPTH:
        return _opaque(expression, schema, "nested too deeply")
    kind = expression.variant_name()
    try:
        if kind == "BinaryExpr":
            return _binary(expression, schema, depth)
        if kind == "Not":
            return negate(_predicate(expression.rex_call_operands()[0], schema, depth + 1))
        if kind in ("IsNull", "IsNotNull"):
            return IsNull(_term(expression.rex_call_operands()[0], schema), negated=kind == "IsNotNull")
        if kind == "InList":
            return _in_list(expression, schema)
        if kind == "Between":
            return _between(expression, schema)
        if kind == "Like":
            return _like(expression, schema)
        if kind in ("IsTrue", "IsFalse", "IsNotTrue", "IsNotFalse", "IsUnknown", "IsNotUnknown"):
            return _truth(kind, expression, schema)
        if kind == "Literal":
            return _constant(expression)
        if kind == "ScalarFunction" and expression.rex_call_operator() == "starts_with":
            term, prefix = expression.rex_call_operands()
            return StartsWith(_term(term, schema), _text(prefix))
        if kind == "Alias":
            return _predicate(expression.to_variant().expr(), schema, depth + 1)
        term = _term(expression, schema)
        return Compare(term, Op.EQ, pa.scalar(True))
    except _Unusable as reason:
        return _opaque(expression, schema, str(reason))


def _binary(expression: Any, schema: pa.Schema, depth: int) -> Predicate:
    left, right = expression.rex_call_operands()
    operator = expression.rex_call_operator()
    if operator in ("AND", "OR"):
        parts = (_predicate(left, schema, depth + 1), _predicate(right, schema, depth + 1))
        return And(parts) if operator == "AND" else Or(parts)
    if operator in _COMPARISONS:
        op = _COMPARISONS[operator]
        if _is_literal(left) and not _is_literal(right):
            left, right, op = right, left, FLIPPED[op]
        term, value = _term(left, schema), _literal(right)
        return Compare(term, op, value) if value.is_valid else Constant(None)
    if operator in ("IS DISTINCT FROM", "IS NOT DISTINCT FROM"):
        if _is_literal(left):
            left, right = right, left
        term, value = _term(left, schema), _literal(right)
        if not value.is_valid:
            return IsNull(term, negated=operator == "IS DISTINCT FROM")
        distinct = Or((IsNull(term), And((IsNull(term, negated=True), Compare(term, Op.NE, value)))))
        return distinct if operator == "IS DISTINCT FROM" else negate(distinct)
    raise _Unusable(f"operator {operator} is not used for pruning")


def _in_list(expression: Any, schema: pa.Schema) -> Predicate:
    variant = expression.to_variant()
    term = _term(variant.expr(), schema)
    values = [_literal(v) for v in variant.list()]
    if any(not v.is_valid for v in values):
        raise _Unusable("a list with NULL")
    if len({v.type for v in values}) != 1:
        raise _Unusable("a list of mixed types")
    return In(term, pa.array([v.as_py() for v in values] if not _needs_exact(values[0].type) else values, values[0].type), variant.negated())


def _needs_exact(type_: pa.DataType) -> bool:
    """Python values of these types lose digits or the range."""
    return bool(pa.types.is_temporal(type_) or pa.types.is_decimal(type_))


def _between(expression: Any, schema: pa.Schema) -> Predicate:
    variant = expression.to_variant()
    term, low, high = _term(variant.expr(), schema), _literal(variant.low()), _literal(variant.high())
    if not low.is_valid or not high.is_valid:
        raise _Unusable("a bound that is NULL")
    inside = And((Compare(term, Op.GE, low), Compare(term, Op.LE, high)))
    return negate(inside) if variant.negated() else inside


def _like(expression: Any, schema: pa.Schema) -> Predicate:
    variant = expression.to_variant()
    if type(variant).__name__ == "ILike" or " ILIKE " in expression.canonical_name():
        raise _Unusable("a pattern that ignores case is not used for pruning")
    term = _term(variant.expr(), schema)
    pattern, escape = _text(variant.pattern()), variant.escape_char() or "\\"
    prefix, rest = _split_pattern(pattern, escape)
    exact = Compare(term, Op.EQ, pa.scalar(prefix)) if rest == "" else StartsWith(term, prefix)
    if rest in ("", "%"):
        return negate(exact) if variant.negated() else exact
    if variant.negated() or not prefix:
        raise _Unusable("only a fixed beginning of a pattern is used for pruning")
    return And((exact, _opaque(expression, schema, "the pattern beyond its fixed beginning")))


def _split_pattern(pattern: str, escape: str) -> tuple[str, str]:
    """A LIKE pattern's fixed beginning, unescaped, and what follows it.

    >>> _split_pattern(r"a\\_b%c", "\\\\")
    ('a_b', '%c')
    """
    fixed: list[str] = []
    at = 0
    while at < len(pattern):
        character = pattern[at]
        if character in "%_":
            break
        if character == escape and at + 1 < len(pattern):
            at += 1
            character = pattern[at]
        fixed.append(character)
        at += 1
    return "".join(fixed), pattern[at:]


def _truth(kind: str, expression: Any, schema: pa.Schema) -> Predicate:
    """IS [NOT] TRUE | FALSE | UNKNOWN of a boolean column; each is true or false, never null."""
    term = _term(expression.rex_call_operands()[0], schema)
    null = IsNull(term)
    if kind in ("IsUnknown", "IsNotUnknown"):
        return IsNull(term, negated=kind == "IsNotUnknown")
    wanted = Compare(term, Op.EQ, pa.scalar(kind in ("IsTrue", "IsNotTrue")))
    holds = And((IsNull(term, negated=True), wanted))
    return holds if kind in ("IsTrue", "IsFalse") else Or((null, negate(wanted)))


def _constant(expression: Any) -> Predicate:
    value = expression.python_value().as_py()
    return Constant(None if value is None else bool(value))


# Terms ---------------------------------------------------------------------------------------------------------------------------------------------


def _term(expression: Any, schema: pa.Schema) -> Term:
    kind = expression.variant_name()
    if kind == "Column":
        return Column((expression.to_variant().name(),))
    if kind == "Alias":
        return _term(expression.to_variant().expr(), schema)
    if kind in ("Cast", "TryCast"):
        input_ = _term(expression.rex_call_operands()[0], schema)
        target = _cast_type(expression.canonical_name())
        source = _type_of(input_, schema)
        if not _keeps_order(source, target):
            raise _Unusable(f"a cast from {source} to {target} may change the order")
        return Cast(input_, target)
    if kind == "ScalarFunction":
        name, operands = expression.rex_call_operator(), expression.rex_call_operands()
        if name == "get_field":
            inner = _term(operands[0], schema)
            if not isinstance(inner, Column):
                raise _Unusable("a field of a computed value")
            return Column(inner.path + tuple(_text(o) for o in operands[1:]))
        if name == "date_trunc" and len(operands) == 2:
            unit = _text(operands[0]).lower()
            inner = _term(operands[1], schema)
            if unit in _TRUNCATABLE and pa.types.is_timestamp(_type_of(inner, schema)):
                return Truncate(unit, inner)
        raise _Unusable(f"function {name} is not used for pruning")
    if kind == "Literal":
        raise _Unusable("a constant on both sides")
    raise _Unusable(f"an expression ({kind}) over columns is not used for pruning")


def _type_of(term: Term, schema: pa.Schema) -> pa.DataType:
    match term:
        case Cast(type=type_):
            return type_
        case Truncate(term=inner):
            return _type_of(inner, schema)
        case Column(path):
            type_ = schema.field(path[0]).type
            for name in path[1:]:
                if not pa.types.is_struct(type_) or type_.get_field_index(name) < 0:
                    raise _Unusable(f"{name} is not a struct field")
                type_ = type_.field(name).type
            return type_


def _keeps_order(source: pa.DataType, target: pa.DataType) -> bool:
    """Whether CAST(source AS target) is monotone and never null or an error for a value; see predicate.Cast."""
    t = pa.types
    if source == target or (_is_text(source) and _is_text(target)):
        return True
    if t.is_integer(source):
        if t.is_integer(target):
            wider = target.bit_width > source.bit_width or (target.bit_width == source.bit_width and t.is_signed_integer(source) == t.is_signed_integer(target))
            return bool(wider and (t.is_signed_integer(target) or t.is_unsigned_integer(source)))
        digits = {8: 3, 16: 5, 32: 10, 64: 20}[source.bit_width]
        return bool(t.is_float64(target) or (t.is_decimal(target) and target.precision - target.scale >= digits))
    if t.is_decimal(source):
        wider = t.is_decimal(target) and target.scale >= source.scale and target.precision - target.scale >= source.precision - source.scale
        return bool(t.is_float64(target) or wider)
    if t.is_float32(source):
        return bool(t.is_float64(target))
    if t.is_date32(source):
        return bool(t.is_timestamp(target) and target.unit != "ns")
    if t.is_timestamp(source):
        coarser = ("s", "ms", "us", "ns").index
        utc = source.tz in (None, "UTC", "+00:00", "Z")
        return bool(utc and (t.is_date32(target) or (t.is_timestamp(target) and coarser(target.unit) <= coarser(source.unit))))
    return False


def _is_text(type_: pa.DataType) -> bool:
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_))


_SIMPLE_TYPES = {
    "Boolean": pa.bool_(),
    "Int8": pa.int8(),
    "Int16": pa.int16(),
    "Int32": pa.int32(),
    "Int64": pa.int64(),
    "UInt8": pa.uint8(),
    "UInt16": pa.uint16(),
    "UInt32": pa.uint32(),
    "UInt64": pa.uint64(),
    "Float32": pa.float32(),
    "Float64": pa.float64(),
    "Utf8": pa.string(),
    "LargeUtf8": pa.string(),
    "Utf8View": pa.string(),
    "Date32": pa.date32(),
}


def _cast_type(text: str) -> pa.DataType:
    """The target type in the text of a cast, as DataFusion prints it: `CAST(t.x AS Decimal128(20, 2))`."""
    name = text[text.rindex(" AS ") + 4 : -1]
    if name in _SIMPLE_TYPES:
        return _SIMPLE_TYPES[name]
    if decimal := re.fullmatch(r"Decimal(128|256)\((\d+), ?(-?\d+)\)", name):
        make = pa.decimal128 if decimal[1] == "128" else pa.decimal256
        return make(int(decimal[2]), int(decimal[3]))
    if time := re.fullmatch(r'Timestamp\((s|ms|us|µs|ns)(?:, "([^"]*)")?\)', name):
        return pa.timestamp(time[1].replace("µ", "u"), tz=time[2])
    raise _Unusable(f"a cast to {name} is not used for pruning")


# Literals ------------------------------------------------------------------------------------------------------------------------------------------


def _is_literal(expression: Any) -> bool:
    kind = expression.variant_name()
    return kind == "Literal" or (kind in ("Cast", "TryCast") and _is_literal(expression.rex_call_operands()[0]))


def _literal(expression: Any) -> pa.Scalar:
    """The constant's value; text and bytes in their plain types."""
    kind = expression.variant_name()
    if kind in ("Cast", "TryCast") and _is_literal(expression):
        value = _literal(expression.rex_call_operands()[0])
        try:
            return pc.cast(value, _cast_type(expression.canonical_name()), safe=True)
        except pa.ArrowException as error:
            raise _Unusable("a constant that its type cannot hold") from error
    if kind != "Literal":
        raise _Unusable("both sides read columns" if kind == "Column" else "compared with a computed value")
    value = expression.python_value()
    if not isinstance(value, pa.Scalar):
        value = pa.scalar(value)
    if pa.types.is_dictionary(value.type):
        value = value.value
    if _is_text(value.type):
        return value.cast(pa.string())
    if pa.types.is_large_binary(value.type) or pa.types.is_binary_view(value.type):
        return value.cast(pa.binary())
    return value


def _text(expression: Any) -> str:
    value = _literal(expression)
    if not value.is_valid or not pa.types.is_string(value.type):
        raise _Unusable("a pattern, unit or field name that is no constant text")
    text: str = value.as_py()
    return text


def _opaque(expression: Any, schema: pa.Schema, reason: str) -> Opaque:
    return Opaque(expression.canonical_name(), reason, tuple(_columns(expression, schema)))


def _columns(expression: Any, schema: pa.Schema) -> list[ColumnPath]:
    """The columns an expression reads; its own text is searched where DataFusion's Python cannot take it apart."""
    try:
        if expression.variant_name() == "Column":
            return [(expression.to_variant().name(),)]
        return sorted({c for o in expression.rex_call_operands() for c in _columns(o, schema)}) if expression.variant_name() != "Literal" else []
    except Exception:  # any kind of expression may be refused; over-reporting columns only affects what EXPLAIN says
        text = expression.canonical_name()
        return [(n,) for n in schema.names if n in text]
