"""Columns as files hold them -> as relations give them, where that takes more than other names: variants become JSON text, fields that a file lacks their
default.

At any depth of nesting, array by array; shared by engines. The decoding of variants itself is `lakesql.variant`.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from lakesql.relation import VARIANT_AS_JSON, default_of

_AT = b"lakesql.at"


def placed(held: pa.Field, position: int) -> pa.Field:
    """A struct's field as a file holds it, marked with the position of the wanted field it serves; -1 serves none and is read for its struct's sake."""
    return held.with_metadata({_AT: str(position)})


def is_variant(wanted: pa.Field) -> bool:
    """Whether the field itself is a variant to be given as JSON text."""
    metadata = wanted.metadata or {}
    return all(metadata.get(key) == value for key, value in VARIANT_AS_JSON.items())


def holds_variant(wanted: pa.Field) -> bool:
    """Whether the field, or one inside it, is a variant."""
    return is_variant(wanted) or any(holds_variant(f) for f in children(wanted.type))


def holds_default(wanted: pa.Field) -> bool:
    """Whether the field, or one inside it, has a value of its own in files that lack it."""
    return default_of(wanted) is not None or any(holds_default(f) for f in children(wanted.type))


def needs_shaping(held: pa.Field, wanted: pa.Field) -> bool:
    """Whether `shaped` would change more than names."""
    if is_variant(wanted):
        return True
    held_children, wanted_children = children(held.type), children(wanted.type)
    if pa.types.is_struct(wanted.type) and _positions(held_children) != list(range(len(wanted_children))):
        return True
    return any(needs_shaping(h, w) for h, w in zip(held_children, wanted_children, strict=True))


def shaped(array: pa.Array, held: pa.Field, wanted: pa.Field) -> pa.Array:
    """`array`, which is laid out as `held`, laid out as `wanted`, but perhaps for names. Fields of structs correspond by `placed`, by position where none is
    marked.

    Raises DataFileError for bytes that are no variant.
    """
    from lakesql.variant import to_json  # decoding needs more than most statements do

    if is_variant(wanted):
        return to_json(array)
    if not needs_shaping(held, wanted):
        return array
    type_ = held.type
    if pa.types.is_struct(type_):
        held_at = {at: i for i, at in enumerate(_positions(children(type_)))}
        arrays = []
        for position, field in enumerate(children(wanted.type)):
            if position in held_at:
                arrays.append(shaped(array.field(held_at[position]), type_.field(held_at[position]), field))
            else:
                value = default_of(field)
                arrays.append(pa.nulls(len(array), plain(field.type)) if value is None else pa.repeat(value, len(array)))
        fields = [pa.field(f.name, a.type) for f, a in zip(children(wanted.type), arrays, strict=True)]
        return pa.StructArray.from_arrays(arrays, fields=fields, mask=array.is_null())
    if pa.types.is_list(type_):
        items = shaped(array.flatten(), type_.value_field, wanted.type.value_field)
        return pa.ListArray.from_arrays(_offsets(array), items, mask=array.is_null())
    start, end = array.offsets[0].as_py(), array.offsets[-1].as_py()
    items = shaped(array.items.slice(start, end - start), type_.item_field, wanted.type.item_field)
    return pa.MapArray.from_arrays(_offsets(array), array.keys.slice(start, end - start), items, mask=array.is_null())


def holds_struct(type_: pa.DataType) -> bool:
    """Whether there is a struct in the type, at any depth."""
    return bool(pa.types.is_struct(type_)) or any(holds_struct(f.type) for f in children(type_))


def nulls_inward(array: pa.Array) -> pa.Array:
    """The same values, with every field of a struct null where the struct is: a file whose struct may be null and its field may not has no nulls of its own to
    give the field, and an engine that takes the field alone sees whatever stands there.
    """
    type_ = array.type
    if not holds_struct(type_):
        return array
    if pa.types.is_struct(type_):
        fields = [pa.field(f.name, f.type) for f in children(type_)]
        return pa.StructArray.from_arrays([nulls_inward(child) for child in array.flatten()], fields=fields, mask=array.is_null())
    if pa.types.is_list(type_):
        return pa.ListArray.from_arrays(_offsets(array), nulls_inward(array.flatten()), type=type_, mask=array.is_null())
    start, end = array.offsets[0].as_py(), array.offsets[-1].as_py()
    items = nulls_inward(array.items.slice(start, end - start))
    return pa.MapArray.from_arrays(_offsets(array), array.keys.slice(start, end - start), items, type=type_, mask=array.is_null())


def plain(type_: pa.DataType) -> pa.DataType:
    """The type without metadata on its nested fields, every one nullable."""
    t = pa.types
    if t.is_struct(type_):
        return pa.struct([pa.field(f.name, plain(f.type)) for f in children(type_)])
    if t.is_list(type_):
        return pa.list_(pa.field(type_.value_field.name, plain(type_.value_type)))
    if t.is_map(type_):
        return pa.map_(plain(type_.key_type), plain(type_.item_type))
    return type_


def _positions(held: list[pa.Field]) -> list[int]:
    """For each field of a struct the wanted field it serves."""
    marks = [(f.metadata or {}).get(_AT) for f in held]
    return list(range(len(held))) if not any(marks) else [int(m or b"-1") for m in marks]


def children(type_: pa.DataType) -> list[pa.Field]:
    """The fields of a nested type, none of any other."""
    return [type_.field(i) for i in range(type_.num_fields)] if pa.types.is_nested(type_) else []


def _offsets(array: pa.Array) -> pa.Array:
    """Offsets into the array's own items, whatever slice of a longer array it is; nulls have no items."""
    lengths = pc.subtract(array.offsets[1:], array.offsets[:-1])
    return pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(pc.if_else(array.is_valid(), lengths, 0)).cast(pa.int32())])
