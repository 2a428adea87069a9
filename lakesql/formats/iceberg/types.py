"""Iceberg's types: JSON -> a small tree with field ids, and its Arrow form. Source: Iceberg table spec, "Schemas and Data Types", Appendix C.

What Arrow's types do not say stands in the metadata of Arrow fields: the field id (`PARQUET:field_id`), and under `iceberg.type` the name of a type that is
another in Arrow (uuid, variant, geometry, geography); `geo.crs` and `geo.edges` as GeoArrow has them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from lakesql.errors import MetadataError, UnsupportedFeatureError
from lakesql.relation import VARIANT_AS_JSON

FIELD_ID = b"PARQUET:field_id"
MAX_DEPTH = 64
"""Levels of nesting a schema may have; deeper ones are refused as hostile."""

VARIANT, UNKNOWN = "variant", "unknown"

_PLAIN = {
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", "UTC"),
    "timestamp_ns": pa.timestamp("ns"),
    "timestamptz_ns": pa.timestamp("ns", "UTC"),
    "string": pa.string(),
    "binary": pa.binary(),
    "uuid": pa.binary(16),
    UNKNOWN: pa.null(),
    VARIANT: pa.string(),
}
_DECIMAL = re.compile(r"decimal\(\s*(\d{1,3})\s*,\s*(\d{1,3})\s*\)")
_FIXED = re.compile(r"fixed\[\s*(\d{1,9})\s*\]")
_GEOMETRY = re.compile(r"geometry(?:\(\s*(?P<crs>[^,()]*)\s*\))?")
_GEOGRAPHY = re.compile(r"geography(?:\(\s*(?P<crs>[^,()]*?)\s*(?:,\s*(?P<edges>\w+)\s*)?\))?")


@dataclass(frozen=True)
class Primitive:
    """A type without parts. name: as the spec spells it, blanks removed; arrow: its Arrow type; notes: what the Arrow field says beside."""

    name: str
    arrow: pa.DataType
    notes: Mapping[bytes, bytes] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Struct:
    """Named fields."""

    fields: tuple[Field, ...]

    def __str__(self) -> str:
        return "struct"


@dataclass(frozen=True)
class ListOf:
    """Elements, themselves a field with an id."""

    element: Field

    def __str__(self) -> str:
        return "list"


@dataclass(frozen=True)
class MapOf:
    """Keys and values, each a field with an id."""

    key: Field
    value: Field

    def __str__(self) -> str:
        return "map"


Type = Primitive | Struct | ListOf | MapOf


@dataclass(frozen=True)
class Field:
    """A field of a struct, the element of a list, the key or value of a map. default: the raw JSON of `initial-default`, None where there is none."""

    id: int
    name: str
    type: Type
    required: bool = False
    default: Any = field(default=None, hash=False)
    comment: str | None = None

    @property
    def children(self) -> tuple[Field, ...]:
        """The fields one level down."""
        match self.type:
            case Struct(fields):
                return fields
            case ListOf(element):
                return (element,)
            case MapOf(key, value):
                return (key, value)
            case _:
                return ()


def parse_fields(raw: Any, source: str, path: str = "", depth: int = 0) -> tuple[Field, ...]:
    """The fields of a struct in JSON. `source` and `path` name the file and the column in errors.

    Raises MetadataError for what is no struct, UnsupportedFeatureError for a type that lakesql does not read, naming the column.
    """
    fields = raw.get("fields") if isinstance(raw, dict) else None
    if not isinstance(fields, list):
        raise MetadataError(f"{source}: {f'column {path}' if path else 'the schema'} is no struct with fields, but {str(raw)[:60]!r}")
    parsed = tuple(_field(f, source, path, depth) for f in fields)
    names = [f.name for f in parsed]
    if len(set(names)) < len(names):
        repeated = sorted({n for n in names if names.count(n) > 1})
        raise MetadataError(f"{source}: {f'column {path} has fields' if path else 'the schema has columns'} of one name: {', '.join(repeated[:5])}")
    return parsed


def parse_type(raw: Any, source: str, path: str, depth: int = 0) -> Type:
    """A type in JSON: a name, or an object. Raises as `parse_fields`."""
    if depth > MAX_DEPTH:
        raise MetadataError(f"{source}: column {path[:60]} is nested more than {MAX_DEPTH} levels deep")
    if isinstance(raw, dict):
        match raw.get("type"):
            case "struct":
                return Struct(parse_fields(raw, source, path, depth + 1))
            case "list":
                return ListOf(_part(raw, "element", source, path, depth + 1))
            case "map":
                return MapOf(_part(raw, "key", source, path, depth + 1), _part(raw, "value", source, path, depth + 1))
    if not isinstance(raw, str):
        raise MetadataError(f"{source}: column {path} has the type {str(raw)[:60]!r}; expected a type's name, a struct, a list or a map")
    known = primitive(raw)
    if known is None:
        raise UnsupportedFeatureError(
            f"type {raw[:60]} is not supported: column {path}, {source}",
            feature=f"type {raw[:60]}",
            hint="read a snapshot from before the column was added, or drop the column in the engine that writes the table",
        )
    return known


def primitive(name: str) -> Primitive | None:
    """The type of this name, None where the spec has none.

    >>> primitive("decimal(9, 2)").arrow
    Decimal128Type(decimal128(9, 2))
    """
    spelled = name.strip()
    if spelled in _PLAIN:
        notes = {b"iceberg.type": spelled.encode()} if spelled in ("uuid", VARIANT) else {}
        return Primitive(spelled, _PLAIN[spelled], {**notes, **VARIANT_AS_JSON} if spelled == VARIANT else notes)
    if found := _DECIMAL.fullmatch(spelled):
        precision, scale = int(found[1]), int(found[2])
        return Primitive(f"decimal({precision}, {scale})", pa.decimal128(precision, scale)) if 1 <= precision <= 38 and scale <= precision else None
    if found := _FIXED.fullmatch(spelled):
        return Primitive(f"fixed[{int(found[1])}]", pa.binary(int(found[1])) if int(found[1]) else pa.binary())
    if found := _GEOMETRY.fullmatch(spelled) or _GEOGRAPHY.fullmatch(spelled):
        kind, parts = spelled.partition("(")[0], found.groupdict()
        notes = {b"iceberg.type": kind.encode(), b"geo.crs": (parts["crs"] or "OGC:CRS84").strip("\"' ").encode()}
        if kind == "geography":
            notes[b"geo.edges"] = (parts["edges"] or "spherical").encode()
        return Primitive(spelled, pa.binary(), notes)
    return None


def arrow_type(type_: Type) -> pa.DataType:
    """The Arrow type, nested fields with their ids and all nullable, but for the keys of maps, where Arrow forbids it."""
    match type_:
        case Primitive(_, arrow):
            return arrow
        case Struct(fields):
            return pa.struct([arrow_field(f) for f in fields])
        case ListOf(element):
            return pa.list_(arrow_field(element))
        case MapOf(key, value):
            return pa.map_(arrow_field(key).with_nullable(False), arrow_field(value))


def arrow_field(of: Field) -> pa.Field:
    """The Arrow field: nullable, with its id and notes in the metadata."""
    notes = dict(of.type.notes) if isinstance(of.type, Primitive) else {}
    return pa.field(of.name, arrow_type(of.type), metadata={**notes, FIELD_ID: str(of.id).encode()})


def _field(raw: Any, source: str, path: str, depth: int) -> Field:
    name, id_ = (raw.get("name"), raw.get("id")) if isinstance(raw, dict) else (None, None)
    if not isinstance(name, str) or not isinstance(id_, int) or isinstance(id_, bool):
        raise MetadataError(f"{source}: {f'column {path} has a field' if path else 'the schema has a column'} without name or id: {str(raw)[:80]!r}")
    whole = f"{path}.{name}" if path else name
    comment = raw.get("doc")
    return Field(
        id_,
        name,
        parse_type(raw.get("type"), source, whole, depth),
        raw.get("required") is True,
        raw.get("initial-default"),
        comment if isinstance(comment, str) and comment else None,
    )


def _part(raw: Mapping[str, Any], part: str, source: str, path: str, depth: int) -> Field:
    """The element of a list, the key or value of a map."""
    id_ = raw.get(f"{part}-id")
    if not isinstance(id_, int) or isinstance(id_, bool):
        raise MetadataError(f"{source}: column {path} has no {part}-id, but {str(id_)[:40]!r}")
    return Field(id_, part, parse_type(raw.get(part), source, f"{path}.{part}", depth), part == "key" or raw.get(f"{part}-required") is True)
