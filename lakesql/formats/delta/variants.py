"""Variant columns in a table's schema: read and shown as JSON text. Source: Delta protocol, "Variant Data Type"."""

from __future__ import annotations

import pyarrow as pa

from lakesql.relation import VARIANT_AS_JSON

_TYPE_NOTE = b"delta.type"
_VARIANT = b"variant"


def as_text(field: pa.Field) -> pa.Field:
    """The field with every variant in it, at any depth, turned into text marked `VARIANT_AS_JSON`; other fields stay as they are."""
    metadata = field.metadata or {}
    if metadata.get(_TYPE_NOTE) == _VARIANT:
        return pa.field(field.name, pa.string(), field.nullable, {**metadata, **VARIANT_AS_JSON})
    type_ = field.type
    if pa.types.is_struct(type_):
        return field.with_type(pa.struct([as_text(type_.field(i)) for i in range(type_.num_fields)]))
    if pa.types.is_list(type_):
        return field.with_type(pa.list_(as_text(type_.value_field)))
    if pa.types.is_map(type_):
        return field.with_type(pa.map_(as_text(type_.key_field), as_text(type_.item_field)))
    return field


def with_text(schema: pa.Schema) -> pa.Schema:
    """The schema with `as_text` of every field."""
    return pa.schema([as_text(field) for field in schema], schema.metadata)
