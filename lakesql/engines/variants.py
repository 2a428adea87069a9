"""Columns that hold variants, turned into JSON text, at any depth of nesting. Shared by engines; the decoding itself is `lakesql.variant`."""

from __future__ import annotations

import pyarrow as pa

from lakesql.relation import VARIANT_AS_JSON

UNSHREDDED = pa.struct([pa.field("metadata", pa.binary()), pa.field("value", pa.binary())])
"""What a file that lacks the column is read as."""


def is_variant(field: pa.Field) -> bool:
    """Whether the field itself is a variant to be given as JSON text."""
    metadata = field.metadata or {}
    return all(metadata.get(key) == value for key, value in VARIANT_AS_JSON.items())


def holds_variant(field: pa.Field) -> bool:
    """Whether the field, or one inside it, is a variant."""
    type_ = field.type
    return is_variant(field) or (pa.types.is_nested(type_) and any(holds_variant(type_.field(i)) for i in range(type_.num_fields)))


def as_json(array: pa.Array, wanted: pa.Field) -> pa.Array:
    """`array`, laid out as `wanted` but for its variants, with each of them as JSON text. Fields correspond by position. Raises DataFileError for bytes that are no variant."""
    from lakesql.variant import to_json  # decoding needs more than most statements do

    if is_variant(wanted):
        return to_json(array)
    if not holds_variant(wanted):
        return array
    type_ = wanted.type
    if pa.types.is_struct(type_):
        children = [as_json(array.field(i), type_.field(i)) for i in range(type_.num_fields)]
        return pa.StructArray.from_arrays(children, fields=[pa.field(type_.field(i).name, c.type) for i, c in enumerate(children)], mask=array.is_null())
    if pa.types.is_list(type_):
        items = as_json(array.flatten(), type_.value_field)
        return pa.ListArray.from_arrays(_offsets(array), items, mask=array.is_null())
    entries = array.offsets
    start, end = entries[0].as_py(), entries[-1].as_py()
    keys = array.keys.slice(start, end - start)
    items = as_json(array.items.slice(start, end - start), type_.item_field)
    return pa.MapArray.from_arrays(_offsets(array), keys, items, mask=array.is_null())


def _offsets(array: pa.Array) -> pa.Array:
    """Offsets into the array's flattened items, whatever slice of a longer array it is, nulls without items."""
    lengths = array.value_lengths() if pa.types.is_list(array.type) else pa.compute.subtract(array.offsets[1:], array.offsets[:-1])
    filled = pa.compute.fill_null(pa.compute.if_else(array.is_valid(), lengths, 0), 0)
    return pa.concat_arrays([pa.array([0], pa.int32()), pa.compute.cumulative_sum(filled).cast(pa.int32())])
