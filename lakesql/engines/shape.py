"""Columns as files hold them -> as relations give them, where that takes more than other names: variants become JSON text, fields that a file lacks their
default.

At any depth of nesting, array by array; shared by engines. The decoding of variants itself is `lakesql.variant`.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from lakesql.relation import VARIANT_AS_JSON, default_of

UNSHREDDED = pa.struct([pa.field("metadata", pa.binary()), pa.field("value", pa.binary())])
"""What a variant is read as from a file that lacks it."""

_ABSENT = {b"lakesql.absent": b"true"}


def absent(name: str, type_: pa.DataType) -> pa.Field:
    """A field that stands for one the file lacks."""
    return pa.field(name, type_, metadata=_ABSENT)


def is_absent(held: pa.Field) -> bool:
    """Whether the field is one made by `absent`."""
    return (held.metadata or {}).get(b"lakesql.absent") == b"true"


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
    if is_variant(wanted) or (is_absent(held) and default_of(wanted) is not None):
        return True
    return any(needs_shaping(h, w) for h, w in zip(children(held.type), children(wanted.type), strict=False))


def shaped(array: pa.Array, held: pa.Field, wanted: pa.Field) -> pa.Array:
    """`array`, which is laid out as `held`, laid out as `wanted`; fields correspond by position. Names stay as they were.

    Raises DataFileError for bytes that are no variant.
    """
    from lakesql.variant import to_json  # decoding needs more than most statements do

    if is_absent(held) and (value := default_of(wanted)) is not None:
        return pa.repeat(value, len(array))
    if is_variant(wanted):
        return to_json(array)
    if not needs_shaping(held, wanted):
        return array
    type_ = held.type
    if pa.types.is_struct(type_):
        pairs = zip(children(type_), children(wanted.type), strict=True)
        arrays = [shaped(array.field(i), h, w) for i, (h, w) in enumerate(pairs)]
        fields = [pa.field(f.name, a.type) for f, a in zip(children(type_), arrays, strict=True)]
        return pa.StructArray.from_arrays(arrays, fields=fields, mask=array.is_null())
    if pa.types.is_list(type_):
        items = shaped(array.flatten(), type_.value_field, wanted.type.value_field)
        return pa.ListArray.from_arrays(_offsets(array), items, mask=array.is_null())
    start, end = array.offsets[0].as_py(), array.offsets[-1].as_py()
    items = shaped(array.items.slice(start, end - start), type_.item_field, wanted.type.item_field)
    return pa.MapArray.from_arrays(_offsets(array), array.keys.slice(start, end - start), items, mask=array.is_null())


def children(type_: pa.DataType) -> list[pa.Field]:
    """The fields of a nested type, none of any other."""
    return [type_.field(i) for i in range(type_.num_fields)] if pa.types.is_nested(type_) else []


def _offsets(array: pa.Array) -> pa.Array:
    """Offsets into the array's own items, whatever slice of a longer array it is; nulls have no items."""
    lengths = pc.subtract(array.offsets[1:], array.offsets[:-1])
    return pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(pc.if_else(array.is_valid(), lengths, 0)).cast(pa.int32())])
