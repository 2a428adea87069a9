"""pyarrow's filter expressions -> predicates.

An expression is taken apart in the form in which pyarrow pickles it: a record batch whose schema's metadata lists calls, fields and literals in prefix order,
with repeated keys, and whose columns hold the literals and the options of calls. That form has exact names and typed values, which text has not.

A predicate may be true of more rows than the expression, never of fewer. The two disagree on NaN, which predicates sort above every number and pyarrow
compares with nothing, so what is said of floating-point columns is used where that does no harm.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lakesql.predicate import FLIPPED, And, Column, ColumnPath, Compare, Constant, In, IsNull, Op, Opaque, Or, Predicate, StartsWith, conjuncts, negate

_OPS = {"equal": Op.EQ, "not_equal": Op.NE, "less": Op.LT, "less_equal": Op.LE, "greater": Op.GT, "greater_equal": Op.GE}
_MATCH, _SKIP = 0, 1


def predicates_of(expression: pc.Expression | None, schema: pa.Schema) -> tuple[Predicate, ...]:
    """Conjuncts that every row satisfies for which the expression over columns of `schema` is true; what is not understood is Opaque."""
    if expression is None:
        return ()
    try:
        found = _Reading(schema, str(expression)).predicate(_parsed(expression), True)
    except _Unknown as reason:
        found = Opaque(str(expression), str(reason))
    return tuple(conjuncts(found))


def columns_of(expression: pc.Expression) -> frozenset[str] | None:
    """The columns that an expression reads; None where that cannot be told."""
    try:
        return frozenset(_fields(_parsed(expression)))
    except _Unknown:
        return None


class _Unknown(Exception):
    """The expression is beyond what is known here."""


@dataclass(frozen=True)
class _Field:
    path: ColumnPath


@dataclass(frozen=True)
class _Literal:
    value: pa.Scalar


@dataclass(frozen=True)
class _Call:
    name: str
    arguments: tuple[_Node, ...]
    options: dict[str, Any] | None
    option_values: pa.Scalar | None = None


_Node = _Field | _Literal | _Call


def _fields(node: _Node) -> Iterator[str]:
    match node:
        case _Field(path):
            yield path[0]
        case _Call(arguments=arguments):
            for argument in arguments:
                yield from _fields(argument)


# Taking apart --------------------------------------------------------------------------------------------------------------------------------------


def _parsed(expression: pc.Expression) -> _Node:
    try:
        content = expression.__reduce__()[1][0]
        with pa.ipc.open_file(content) as reader:
            batch = reader.get_batch(0)
    except (pa.ArrowException, AttributeError, IndexError, TypeError) as error:
        raise _Unknown(f"pyarrow does not pickle it: {error}") from error
    entries = _metadata(batch.schema)
    node, end = _node(entries, 0, batch)
    if end != len(entries):
        raise _Unknown("pyarrow pickles it in another form")
    return node


def _node(entries: list[tuple[str, str]], at: int, batch: pa.RecordBatch) -> tuple[_Node, int]:
    if at >= len(entries):
        raise _Unknown("pyarrow pickles it in another form")
    key, value = entries[at]
    if key == "field_ref":
        return _Field((value,)), at + 1
    if key == "nested_field_ref":
        count = int(value)
        inner = entries[at + 1 : at + 1 + count]
        if len(inner) != count or not inner or any(k != "field_ref" for k, _ in inner):
            raise _Unknown("it names a field by its place")
        return _Field(tuple(v for _, v in inner)), at + 1 + count
    if key == "literal":
        return _Literal(batch.column(int(value))[0]), at + 1
    if key != "call":
        raise _Unknown("pyarrow pickles it in another form")
    arguments: list[_Node] = []
    options: pa.Scalar | None = None
    at += 1
    while at < len(entries) and entries[at][0] != "end":
        if entries[at][0] == "options":
            options, at = batch.column(int(entries[at][1]))[0], at + 1
        else:
            argument, at = _node(entries, at, batch)
            arguments.append(argument)
    if at >= len(entries) or entries[at][1] != value:
        raise _Unknown("pyarrow pickles it in another form")
    plain = None if options is None else {n: options[n] for n in options.type.names}
    return _Call(value, tuple(arguments), plain), at + 1


class _ArrowSchema(ctypes.Structure):
    """The beginning of the C data interface's ArrowSchema."""

    _fields_ = [("format", ctypes.c_char_p), ("name", ctypes.c_char_p), ("metadata", ctypes.c_void_p)]


def _metadata(schema: pa.Schema) -> list[tuple[str, str]]:
    """All of a schema's metadata in order: pyarrow's own mapping drops repeated keys. Source: the Arrow C data interface, ArrowSchema.metadata."""
    capsule = schema.__arrow_c_schema__()
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    place = _ArrowSchema.from_address(pointer(capsule, b"arrow_schema")).metadata
    if not place:
        raise _Unknown("pyarrow pickles it in another form")
    at = 4
    texts: list[str] = []
    for _ in range(2 * ctypes.c_int32.from_address(place).value):
        length = ctypes.c_int32.from_address(place + at).value
        texts.append(ctypes.string_at(place + at + 4, length).decode())
        at += 4 + length
    return list(zip(texts[::2], texts[1::2], strict=True))


# Meaning -------------------------------------------------------------------------------------------------------------------------------------------


class _Reading:
    """Predicates over the columns of a schema. text: the whole expression, for messages."""

    def __init__(self, schema: pa.Schema, text: str) -> None:
        self._schema = schema
        self._text = text

    def predicate(self, node: _Node, holds: bool) -> Predicate:
        """What is true wherever the node is true, or, with holds = False, wherever NOT of it is."""
        try:
            return self._predicate(node, holds)
        except _Unknown as reason:
            return Opaque(_shown(node) if holds else f"NOT {_shown(node)}", str(reason), tuple((f,) for f in _fields(node)))

    def _predicate(self, node: _Node, holds: bool) -> Predicate:
        match node:
            case _Literal(value):
                if value.is_valid and not pa.types.is_boolean(value.type):
                    raise _Unknown("it is no condition")
                return Constant(None if not value.is_valid else bool(value.as_py()) is holds)
            case _Field():
                return self._compared(Op.EQ, node, pa.scalar(holds))
            case _Call("and_kleene" | "or_kleene" as name, arguments):
                parts = tuple(self.predicate(a, holds) for a in arguments)
                return And(parts) if (name == "and_kleene") is holds else Or(parts)
            case _Call("invert", (inner,)):
                return self._predicate(inner, not holds)
            case _Call(name, (_Field() as field, _Literal(value))) if name in _OPS:
                return self._compared(_OPS[name] if holds else _negated(_OPS[name]), field, value, inverted=not holds)
            case _Call(name, (_Literal(value), _Field() as field)) if name in _OPS:
                op = FLIPPED[_OPS[name]]
                return self._compared(op if holds else _negated(op), field, value, inverted=not holds)
            case _Call("is_null", (_Field() as field,), options) if options is None or not options["nan_is_null"].as_py():
                self._type(field)
                return IsNull(Column(field.path), negated=not holds)
            case _Call("is_valid", (_Field() as field,)):
                self._type(field)
                return IsNull(Column(field.path), negated=holds)
            case _Call("is_in", (_Field() as field,), options) if options is not None:
                return self._in(field, options, holds)
            case _Call("starts_with", (_Field() as field,), options) if options is not None and not options["ignore_case"].as_py():
                if not _is_text(self._type(field)):
                    raise _Unknown("it is about bytes")
                return StartsWith(Column(field.path), options["pattern"].as_py(), negated=not holds)
            case _Call(name):
                raise _Unknown(f"{name} says nothing about bounds")

    def _compared(self, op: Op, field: _Field, value: pa.Scalar, *, inverted: bool = False) -> Predicate:
        type_ = self._type(field)
        if not value.is_valid:
            return Constant(None)
        fitting = _fitting(value, type_)
        if pa.types.is_floating(type_) and (inverted or fitting.as_py() == 0 or math.isnan(fitting.as_py())):
            raise _Unknown("NaN and zeros compare otherwise there")
        return Compare(Column(field.path), op, fitting)

    def _in(self, field: _Field, options: dict[str, Any], holds: bool) -> Predicate:
        type_ = self._type(field)
        behaviour = options["null_matching_behavior"].as_py()
        if pa.types.is_floating(type_) or behaviour not in (_MATCH, _SKIP):
            raise _Unknown("its nulls and NaN match otherwise")
        values = options["value_set"].values
        fitting = [_fitting(v, type_) for v in values if v.is_valid]
        wanted = pa.array([v.as_py() for v in fitting], type_) if not fitting else pa.concat_arrays([pa.repeat(v, 1) for v in fitting])
        with_null = behaviour == _MATCH and values.null_count > 0
        column = Column(field.path)
        among = In(column, wanted, negated=not holds)
        if holds:
            return Or((among, IsNull(column))) if with_null else among
        return And((among, IsNull(column, negated=True))) if with_null else Or((among, IsNull(column)))  # null is in no list, and NOT of that is true

    def _type(self, field: _Field) -> pa.DataType:
        type_: Any = pa.struct(list(self._schema))
        for name in field.path:
            if not pa.types.is_struct(type_) or type_.names.count(name) != 1:
                raise _Unknown("it names no column")
            type_ = type_.field(name).type
        if pa.types.is_nested(type_):
            raise _Unknown("it compares nested values")
        return type_


def _negated(op: Op) -> Op:
    found = negate(Compare(Column(("",)), op, pa.scalar(0)))
    assert isinstance(found, Compare)
    return found.op


def _is_text(type_: pa.DataType) -> bool:
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_))


def _fitting(value: pa.Scalar, type_: pa.DataType) -> pa.Scalar:
    """The literal in the column's type, where both compare the same way."""
    t = pa.types
    if value.type == type_:
        return value
    if t.is_dictionary(value.type):
        return _fitting(value.value, type_)
    alike = (
        (_is_text(value.type) and _is_text(type_))
        or (_is_number(value.type) and _is_number(type_))
        or (t.is_date(value.type) and t.is_date(type_))
        or (t.is_timestamp(value.type) and t.is_timestamp(type_) and (value.type.tz is None) == (type_.tz is None))
        or (t.is_integer(value.type) and t.is_floating(type_) and abs(value.as_py()) < 1 << 23)
        or (t.is_float32(type_) and t.is_float64(value.type))
        or (_is_bytes(value.type) and _is_bytes(type_))
    )
    if alike:
        with suppress(pa.ArrowException):
            fitting = value.cast(type_)
            if fitting.cast(value.type).equals(value):
                return fitting
    raise _Unknown(f"a value of {value.type} is compared with {type_}")


def _is_number(type_: pa.DataType) -> bool:
    return bool(pa.types.is_integer(type_) or pa.types.is_decimal(type_))


def _is_bytes(type_: pa.DataType) -> bool:
    return bool(pa.types.is_binary(type_) or pa.types.is_large_binary(type_))


def _shown(node: _Node) -> str:
    match node:
        case _Field(path):
            return ".".join(path)
        case _Literal(value):
            return str(value)
        case _Call(name, arguments):
            return f"{name}({', '.join(map(_shown, arguments))})"
