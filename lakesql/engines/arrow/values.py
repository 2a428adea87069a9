"""Expressions over a batch, and casts: the values of relation.Project's columns."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakesql.errors import EngineError
from lakesql.relation import CastTo, Col, Expression, FirstNonNull, ListOf, Mapped, OneOf, Relabel, Sum, Value

_UNITS = {"s": "second", "ms": "millisecond", "us": "microsecond", "ns": "nanosecond"}
_FINER = ("s", "ms", "us", "ns")


def evaluated(expression: Expression, batch: pa.RecordBatch) -> pa.Array:
    """The expression's value for every row. Raises EngineError for a value that does not fit."""
    match expression:
        case Col(name):
            return batch.column(name)
        case Value(scalar):
            return repeated(scalar, scalar.type, batch.num_rows)
        case CastTo(inner, type_):
            try:
                return cast(evaluated(inner, batch), type_)
            except pa.ArrowException as error:
                raise EngineError(f"a value does not fit {type_}: {error}") from error
        case Relabel(inner, type_):
            value = evaluated(inner, batch)
            return value if value.type == type_ else value.view(type_)
        case FirstNonNull(inputs):
            return pc.coalesce(*(undictionaried(evaluated(i, batch)) for i in inputs))
        case Sum(left, right):
            return pc.add(evaluated(left, batch), evaluated(right, batch))
        case OneOf(inner, values):
            value = undictionaried(evaluated(inner, batch))
            return pc.is_in(value, value_set=values if values.type == value.type else values.cast(value.type))
        case Mapped(inner, function, type_):
            value = function(undictionaried(evaluated(inner, batch)))
            value = value.combine_chunks() if isinstance(value, pa.ChunkedArray) else value
            return value if value.type == type_ else cast(value, type_)
        case ListOf(inputs):
            return _lists([undictionaried(evaluated(i, batch)) for i in inputs], batch.num_rows)


def undictionaried(array: pa.Array) -> pa.Array:
    """Texts that are held as dictionaries as plain ones."""
    return array.cast(array.type.value_type) if pa.types.is_dictionary(array.type) else array


def repeated(value: pa.Scalar | None, type_: pa.DataType, count: int) -> pa.Array:
    """One value for every row."""
    if value is None or not value.is_valid:
        return pa.nulls(count, type_)
    array = pa.repeat(value, count)
    return array if array.type == type_ else cast(undictionaried(array), type_)


def _lists(arrays: list[pa.Array], count: int) -> pa.Array:
    width = len(arrays)
    order = np.arange(count * width).reshape(width, count).T.ravel()
    return pa.ListArray.from_arrays(pa.array(np.arange(0, count * width + 1, width), pa.int32()), pa.concat_arrays(arrays).take(pa.array(order)))


def cast(array: pa.Array, type_: pa.DataType) -> pa.Array:
    """The values in another type: structs by their fields' names, missing ones null, lists and maps element by element. Digits of times below the wanted unit
    are cut, towards the past; integers become the nearest floating-point number. Raises pa.ArrowInvalid for a value that does not fit.
    """
    held, t = array.type, pa.types
    if held == type_:
        return array
    if t.is_dictionary(held):
        return cast(undictionaried(array), type_)
    if isinstance(array, pa.ExtensionArray):
        return cast(array.storage, type_)
    if t.is_struct(type_) and t.is_struct(held):
        there = {held.field(i).name: i for i in range(held.num_fields)}
        fields = [type_.field(i) for i in range(type_.num_fields)]
        arrays = [cast(array.field(there[f.name]), f.type) if f.name in there else pa.nulls(len(array), f.type) for f in fields]
        return pa.StructArray.from_arrays(arrays, fields=[f.with_nullable(True) for f in fields], mask=array.is_null()).cast(type_)
    if t.is_list(type_) and (t.is_list(held) or t.is_large_list(held) or t.is_fixed_size_list(held)):
        lengths = pc.fill_null(pc.list_value_length(array), 0).cast(pa.int64()).to_numpy(zero_copy_only=False)
        offsets = pa.array(np.concatenate(([0], np.cumsum(lengths))), pa.int32())
        return pa.ListArray.from_arrays(offsets, cast(array.flatten(), type_.value_type), type=type_, mask=array.is_null())
    if t.is_map(type_) and t.is_map(held):
        start, end = (array.offsets[0].as_py(), array.offsets[-1].as_py()) if len(array) else (0, 0)
        keys, items = (cast(a.slice(start, end - start), f) for a, f in ((array.keys, type_.key_type), (array.items, type_.item_type)))
        if array.null_count:
            lengths = pc.if_else(array.is_valid(), pc.subtract(array.offsets[1:], array.offsets[:-1]), 0).to_numpy(zero_copy_only=False)
            if int(lengths.sum()) == end - start:
                offsets = pa.array(np.concatenate(([0], np.cumsum(lengths))), pa.int32())
                return pa.MapArray.from_arrays(offsets, keys, items, type=type_, mask=array.is_null())
        else:
            return pa.MapArray.from_arrays(pc.subtract(array.offsets, start), keys, items, type=type_)
    if t.is_timestamp(type_) and t.is_timestamp(held):
        if _FINER.index(type_.unit) < _FINER.index(held.unit):
            array = pc.floor_temporal(array.view(pa.timestamp(held.unit)), unit=_UNITS[type_.unit])
        return array.view(pa.timestamp(held.unit)).cast(pa.timestamp(type_.unit)).view(type_)
    return pc.cast(array, options=pc.CastOptions(type_, allow_float_truncate=True, allow_time_truncate=True))
