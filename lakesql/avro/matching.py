"""The wanted Arrow schema against what a file holds: which of its fields to ask for, and how to bring what comes back into the wanted shape.

Fields are found by name, or by the `field-id` that Iceberg's writers put on them; those not wanted are not decoded, those not there are null. Widths and
units may differ: values are cast, and one that does not fit is an error. An Avro map and an array of key/value records (how maps with other keys than text
are written) are one and the same.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lakesql.errors import MetadataError

FIELD_ID = b"PARQUET:field_id"
"""Where a wanted field says its id, as in schemas read from Parquet."""


class Match(enum.Enum):
    """How wanted fields are found."""

    NAME = "name"
    """By name at every level."""
    ID = "id"
    """By `FIELD_ID`; by name where the wanted field has none, and in files whose fields have none at all."""


@dataclass(frozen=True)
class Leaf:
    """A value taken as it is held."""

    type: pa.DataType


@dataclass(frozen=True)
class Struct:
    """A record: for every wanted field the held one's name and how to take it, None where it is not held. asked: what must be read of it."""

    children: tuple[tuple[str, Held] | None, ...]
    asked: tuple[pa.Field, ...]


@dataclass(frozen=True)
class ListOf:
    """An array."""

    element: Held
    asked: pa.DataType


@dataclass(frozen=True)
class MapOf:
    """A map, or an array of records of two fields."""

    key: Held
    value: Held
    asked: pa.DataType


Held = Leaf | Struct | ListOf | MapOf


def plan(schema: Any, held: pa.Schema, wanted: pa.Schema, match: Match, path: str) -> Struct:
    """What to read of a file. schema: the writer's; held: the Arrow schema the decoder makes of it, field by field. Raises MetadataError where shapes do not
    fit.
    """
    named = dict(_named(schema))
    by_id = match is Match.ID and any(field_ids(schema))
    return _Planner(named, by_id, path).record(list(wanted), schema, list(held), "")


def shaped(columns: Sequence[pa.Array], names: Sequence[str], node: Struct, wanted: pa.Schema, row_count: int, path: str) -> pa.Table:
    """What was read, as the wanted schema. Raises MetadataError for a value that does not fit its type."""
    by_name = dict(zip(names, columns, strict=True))
    arrays = []
    for field, child in zip(wanted, node.children, strict=True):
        try:
            arrays.append(pa.nulls(row_count, field.type) if child is None else _shape(by_name[child[0]], child[1], field.type))
        except pa.ArrowException as error:
            raise MetadataError(f'"{path}": field {field.name} does not hold values of {field.type}: {error}') from error
    return pa.table(arrays, schema=wanted)


def field_ids(schema: Any) -> Iterator[int]:
    """Every field id in a writer's schema, at any depth; an id may occur more than once."""
    if isinstance(schema, list):
        for branch in schema:
            yield from field_ids(branch)
    elif isinstance(schema, dict):
        for field in _fields(schema):
            id_ = field.get("field-id")
            if isinstance(id_, int):
                yield id_
            yield from field_ids(field.get("type"))
        for key in ("items", "values"):
            yield from field_ids(schema.get(key))
        if isinstance(schema.get("type"), (dict, list)):
            yield from field_ids(schema["type"])


def legal_name(name: str) -> str:
    """The name as Avro allows it: letters, digits and underscores; others as `_x` and their code.

    >>> legal_name("a b")
    'a_x20b'
    """
    start = f"_{name}" if name[:1].isdigit() else name
    return re.sub(r"[^A-Za-z0-9_]", lambda found: f"_x{ord(found[0]):X}", start)


@dataclass(frozen=True)
class _Planner:
    named: dict[str, Any]
    by_id: bool
    path: str

    def record(self, wanted: Sequence[pa.Field], schema: Any, held: Sequence[pa.Field], at: str) -> Struct:
        fields = _fields(schema)
        if len(fields) != len(held):
            raise MetadataError(f'"{self.path}": record {at or "at the top"} has {len(fields)} fields, of which {len(held)} could be understood')
        children: list[tuple[str, Held] | None] = []
        asked: dict[str, pa.DataType] = {}
        for want in wanted:
            index = self._find(want, fields)
            if index is None or pa.types.is_null(held[index].type):
                children.append(None)
                continue
            child = self._value(want.type, fields[index].get("type"), held[index].type, f"{at}.{want.name}" if at else want.name)
            children.append((held[index].name, child))
            asked[held[index].name] = _asked(child)
        if not asked and at and (known := [f for f in held if not pa.types.is_nested(f.type) and not pa.types.is_null(f.type)]):
            asked[known[0].name] = known[0].type  # so that null records stay null
        return Struct(tuple(children), tuple(pa.field(name, type_) for name, type_ in asked.items()))

    def _find(self, want: pa.Field, fields: Sequence[dict[str, Any]]) -> int | None:
        id_ = (want.metadata or {}).get(FIELD_ID)
        if self.by_id and id_ is not None:
            return next((i for i, f in enumerate(fields) if f.get("field-id") == int(id_)), None)
        names = [f.get("name") for f in fields]
        return next((names.index(name) for name in (want.name, legal_name(want.name)) if name in names), None)

    def _value(self, wanted: pa.DataType, schema: Any, held: pa.DataType, at: str) -> Held:
        schema = self._resolved(schema)
        t = pa.types
        if t.is_struct(wanted) and t.is_struct(held):
            return self.record(list(wanted), schema, list(held), at)
        if t.is_map(wanted) and t.is_map(held):
            value = self._value(wanted.item_type, schema.get("values"), held.item_type, at)
            return MapOf(Leaf(held.key_type), value, pa.map_(held.key_type, _asked(value)))
        if (t.is_map(wanted) or t.is_list(wanted)) and t.is_list(held):
            items = self._resolved(schema.get("items"))
            if t.is_list(wanted):
                element = self._value(wanted.value_type, items, held.value_type, at)
                return ListOf(element, pa.list_(_asked_field(held.value_field, element)))
            pair = held.value_type
            if t.is_struct(pair) and pair.num_fields == 2 and len(_fields(items)) == 2:
                key, value = (
                    self._value(w, f.get("type"), pair.field(i).type, at)
                    for i, (w, f) in enumerate(zip((wanted.key_type, wanted.item_type), _fields(items), strict=True))
                )
                entry = pa.struct([_asked_field(pair.field(0), key), _asked_field(pair.field(1), value)])
                return MapOf(key, value, pa.list_(held.value_field.with_type(entry)))
        if t.is_nested(wanted) or t.is_nested(held):
            raise MetadataError(f'"{self.path}": field {at} is {_short(held)} where {_short(wanted)} was expected')
        return Leaf(held)

    def _resolved(self, schema: Any) -> dict[str, Any]:
        """A type without its nullable wrapping, names looked up."""
        for _ in range(8):
            if isinstance(schema, list):
                schema = next((s for s in schema if s != "null"), "null")
            elif isinstance(schema, str) and schema in self.named:
                return self.named[schema]  # type: ignore[no-any-return]
            elif isinstance(schema, dict) and isinstance(schema.get("type"), (dict, list)):
                schema = schema["type"]
            else:
                break
        return schema if isinstance(schema, dict) else {"type": schema}


def _asked(node: Held) -> pa.DataType:
    match node:
        case Leaf(type_):
            return type_
        case Struct(_, asked):
            return pa.struct(list(asked))
        case ListOf(_, asked) | MapOf(_, _, asked):
            return asked


def _asked_field(held: pa.Field, node: Held) -> pa.Field:
    return held.with_type(_asked(node))


def _shape(array: pa.Array, node: Held, wanted: pa.DataType) -> pa.Array:
    match node:
        case Leaf():
            return _cast(array, wanted)
        case Struct(children):
            fields = list(wanted)
            parts = []
            for field, child in zip(fields, children, strict=True):
                parts.append(pa.nulls(len(array), field.type) if child is None else _shape(array.field(child[0]), child[1], field.type))
            mask = array.is_null() if array.null_count else None
            return (
                pa.StructArray.from_arrays(parts, fields=[f.with_nullable(True) for f in fields], mask=mask).cast(wanted)
                if parts
                else _without_fields(array, wanted)
            )
        case ListOf(element):
            return _with_offsets(array, wanted, lambda values: _shape(values, element, wanted.value_type))
        case MapOf(key, value):
            return _map(array, key, value, wanted)


def _cast(array: pa.Array, wanted: pa.DataType) -> pa.Array:
    if array.type == wanted:
        return array
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_date32(wanted) and pa.types.is_integer(array.type):
        return array.cast(pa.int32()).cast(wanted)
    if pa.types.is_timestamp(array.type) and pa.types.is_timestamp(wanted):  # always UTC in Avro; whether it is local time, the wanted type knows
        return array.cast(pa.timestamp(wanted.unit, array.type.tz)).view(pa.int64()).view(wanted)
    return array.cast(wanted)


def _without_fields(array: pa.Array, wanted: pa.DataType) -> pa.Array:
    return pa.Array.from_buffers(wanted, len(array), [array.is_valid().buffers()[1] if array.null_count else None], children=[])


def _with_offsets(array: pa.ListArray, wanted: pa.DataType, shape: Any) -> pa.Array:
    if array.offset:
        array = pc.take(array, pa.array(range(len(array))))
    values = shape(array.values)
    return pa.Array.from_buffers(wanted, len(array), array.buffers()[:2], null_count=array.null_count, children=[values])


def _map(array: pa.Array, key: Held, value: Held, wanted: pa.MapType) -> pa.Array:
    def entries(values: pa.Array) -> pa.Array:
        keys, items = _shape(values.field(0), key, wanted.key_type), _shape(values.field(1), value, wanted.item_type)
        return pa.StructArray.from_arrays([keys, items], fields=[wanted.key_field, wanted.item_field])

    if array.offset:
        array = pc.take(array, pa.array(range(len(array))))
    pairs = pa.StructArray.from_arrays([array.keys, array.items], names=["key", "value"]) if pa.types.is_map(array.type) else array.values
    return pa.Array.from_buffers(wanted, len(array), array.buffers()[:2], null_count=array.null_count, children=[entries(pairs)])


def _fields(schema: Any) -> list[dict[str, Any]]:
    fields = schema.get("fields") if isinstance(schema, dict) else None
    return [f for f in fields if isinstance(f, dict)] if isinstance(fields, list) else []


def _named(schema: Any) -> Iterator[tuple[str, Any]]:
    """Every named type defined in a schema."""
    if isinstance(schema, list):
        for branch in schema:
            yield from _named(branch)
    elif isinstance(schema, dict):
        if isinstance(schema.get("name"), str) and schema.get("type") in ("record", "fixed", "enum"):
            yield schema["name"], schema
            if isinstance(schema.get("namespace"), str):
                yield f"{schema['namespace']}.{schema['name']}", schema
        for child in (*_fields(schema), schema.get("items"), schema.get("values"), schema.get("type")):
            if isinstance(child, (dict, list)):
                yield from _named(
                    child.get("type") if isinstance(child, dict) and "name" in child and child.get("type") not in ("record", "fixed", "enum") else child
                )


def _short(type_: pa.DataType) -> str:
    text = str(type_)
    return text if len(text) <= 60 else f"{text[:60]}..."
