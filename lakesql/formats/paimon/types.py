"""Paimon's types: out of schema JSON, and as Arrow types.

Atomic types are SQL text (`DECIMAL(10, 2) NOT NULL`), nested ones objects (`{"type": "ARRAY", "element": ...}`); fields of a ROW carry ids of their own.
Source: Paimon, DataTypeJsonParser and "Data Types".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from lakesql.errors import MetadataError, UnsupportedFeatureError
from lakesql.relation import VARIANT_AS_JSON

FIELD_ID = b"PARQUET:field_id"
_DEEPEST = 64
_MOST_FIELDS = 100_000
_LONGEST = 2**31 - 1


@dataclass(frozen=True)
class DataType:
    """A type. root: its name in Paimon's type algebra, one spelling each (STRING is VARCHAR, BYTES is VARBINARY, TIMESTAMP_LTZ for both spellings of it).

    length: of CHAR, VARCHAR, BINARY, VARBINARY and VECTOR. precision: of DECIMAL, TIME and timestamps; scale: of DECIMAL. children: the fields of a ROW;
    else `element`, or `key` and `value`, whose ids mean nothing.
    """

    root: str
    nullable: bool = True
    length: int | None = None
    precision: int | None = None
    scale: int | None = None
    children: tuple[DataField, ...] = ()

    def __str__(self) -> str:
        """As Paimon writes it: `DECIMAL(10, 2) NOT NULL`."""
        return _text(self) + ("" if self.nullable else " NOT NULL")

    @property
    def is_nested(self) -> bool:
        """Whether values consist of other values."""
        return bool(self.children)

    def same(self, other: DataType) -> bool:
        """Whether both are the same type, nullability, names and descriptions of nested fields aside."""
        return self.bare == other.bare

    @property
    def bare(self) -> DataType:
        """The type with everything nullable and without texts for readers."""
        children = tuple(replace(c, type=c.type.bare, description=None) for c in self.children)
        return replace(self, nullable=True, children=children)


@dataclass(frozen=True)
class DataField:
    """A column, or a field of a ROW."""

    id: int
    name: str
    type: DataType
    description: str | None = field(default=None, compare=False)


def parse_field(json: Any, source: str, next_id: Callable[[], int], depth: int = 0) -> DataField:
    """A field out of schema JSON. next_id: for fields without ids, which very old schemas have. Raises MetadataError, UnsupportedFeatureError."""
    if not isinstance(json, dict) or not isinstance(json.get("name"), str):
        raise MetadataError(f"{source}: a field is an object with a name, not {_short(json)}")
    name, given, description = json["name"], json.get("id"), json.get("description")
    if given is not None and (not isinstance(given, int) or isinstance(given, bool) or abs(given) > _LONGEST):
        raise MetadataError(f'{source}: the id of field "{name}" is a number, not {_short(given)}')
    id_ = next_id() if given is None else given
    return DataField(
        id_, name, parse_type(json.get("type"), f'{source}, field "{name}"', next_id, depth), description if isinstance(description, str) else None
    )


def parse_type(json: Any, source: str, next_id: Callable[[], int] = lambda: 0, depth: int = 0) -> DataType:
    """A type out of schema JSON. source: for messages. Raises MetadataError for what is no type, UnsupportedFeatureError for one that is not known."""
    if depth > _DEEPEST:
        raise MetadataError(f"{source}: types nest more than {_DEEPEST} deep")
    if isinstance(json, str):
        return _atomic(json, source)
    if not isinstance(json, dict) or not isinstance(json.get("type"), str):
        raise MetadataError(f"{source}: a type is text or an object with a type, not {_short(json)}")
    root, _, rest = json["type"].strip().partition(" ")
    root, nullable = root.upper(), "NOT NULL" not in rest.upper()

    def part(key: str) -> DataField:
        return DataField(-1, key, parse_type(json.get(key), f"{source}.{key}", next_id, depth + 1))

    match root:
        case "ARRAY" | "MULTISET":
            return DataType(root, nullable, children=(part("element"),))
        case "MAP":
            return DataType(root, nullable, children=(part("key"), part("value")))
        case "VECTOR":
            length = json.get("length")
            if not isinstance(length, int) or isinstance(length, bool) or not 0 < length <= 1 << 20:
                raise MetadataError(f"{source}: the length of a VECTOR is a number from 1 to {1 << 20}, not {_short(length)}")
            return DataType(root, nullable, length=length, children=(part("element"),))
        case "ROW":
            fields = json.get("fields")
            if not isinstance(fields, list) or not 0 < len(fields) <= _MOST_FIELDS:
                raise MetadataError(f"{source}: the fields of a ROW are a list of 1 to {_MOST_FIELDS} fields, not {_short(fields)}")
            return DataType(root, nullable, children=tuple(parse_field(f, source, next_id, depth + 1) for f in fields))
        case _:
            return _atomic(json["type"], source)


# Atomic types --------------------------------------------------------------------------------------------------------------------------------------

_ATOMIC = re.compile(
    r"\s*([A-Z_]+(?:\s+PRECISION)?)\s*(?:\(\s*(\d{1,10})\s*(?:,\s*(\d{1,10})\s*)?\))?\s*(WITH(?:OUT)?\s+(?:LOCAL\s+)?TIME\s+ZONE)?\s*(NOT\s+NULL|NULL)?\s*"
)
_ALIASES = {"INTEGER": "INT", "DOUBLE PRECISION": "DOUBLE", "DEC": "DECIMAL", "NUMERIC": "DECIMAL"}
_PLAIN = ("BOOLEAN", "TINYINT", "SMALLINT", "INT", "BIGINT", "FLOAT", "DOUBLE", "DATE", "VARIANT", "BLOB")
_SIZED = ("CHAR", "VARCHAR", "BINARY", "VARBINARY")


def _atomic(text: str, source: str) -> DataType:
    found = _ATOMIC.fullmatch(text.upper())
    if found is None:
        raise _unknown(text, source)
    root, first, second, zone = " ".join(found[1].split()), found[2], found[3], " ".join((found[4] or "").split())
    root, nullable = _ALIASES.get(root, root), not (found[5] or "").startswith("NOT")
    numbers = [int(n) for n in (first, second) if n is not None]
    if root in ("STRING", "BYTES") and not numbers and not zone:
        return DataType("VARCHAR" if root == "STRING" else "VARBINARY", nullable, length=_LONGEST)
    if root in ("TIME", "TIMESTAMP", "TIMESTAMP_LTZ") and len(numbers) < 2:
        local = root == "TIMESTAMP_LTZ" or zone == "WITH LOCAL TIME ZONE"
        precision = _within(numbers[0] if numbers else (0 if root == "TIME" else 6), 0, 9, f"the precision of {text}", source)
        if zone == "WITH TIME ZONE" or (local and root == "TIME"):
            raise _unknown(text, source)
        return DataType("TIMESTAMP_LTZ" if local else root, nullable, precision=precision)
    if zone:
        raise _unknown(text, source)
    if root == "DECIMAL":
        precision = _within(numbers[0] if numbers else 10, 1, 38, f"the precision of {text}", source)
        return DataType(root, nullable, precision=precision, scale=_within(numbers[1] if len(numbers) > 1 else 0, 0, precision, f"the scale of {text}", source))
    if root in _SIZED and len(numbers) < 2:
        return DataType(root, nullable, length=_within(numbers[0] if numbers else 1, 0, _LONGEST, f"the length of {text}", source))
    if root in _PLAIN and not numbers:
        return DataType(root, nullable)
    raise _unknown(text, source)


def _within(value: int, least: int, most: int, what: str, source: str) -> int:
    if not least <= value <= most:
        raise MetadataError(f"{source}: {what} is a number from {least} to {most}")
    return value


def _unknown(text: str, source: str) -> UnsupportedFeatureError:
    return UnsupportedFeatureError(
        f"{source}: lakesql does not know the type {text[:100]}", feature=f"type {text[:100]}", hint=f"it reads {', '.join(_PLAIN + _SIZED)} and others"
    )


def _text(type_: DataType) -> str:
    match type_.root:
        case "VARCHAR" | "VARBINARY" if type_.length == _LONGEST:
            return "STRING" if type_.root == "VARCHAR" else "BYTES"
        case "CHAR" | "VARCHAR" | "BINARY" | "VARBINARY":
            return f"{type_.root}({type_.length})"
        case "DECIMAL":
            return f"DECIMAL({type_.precision}, {type_.scale})"
        case "TIME" | "TIMESTAMP":
            return f"{type_.root}({type_.precision})"
        case "TIMESTAMP_LTZ":
            return f"TIMESTAMP({type_.precision}) WITH LOCAL TIME ZONE"
        case "ROW":
            return f"ROW<{', '.join(f'`{c.name}` {c.type}' for c in type_.children)}>"
        case "VECTOR":
            return f"VECTOR<{type_.children[0].type}, {type_.length}>"
        case "ARRAY" | "MULTISET" | "MAP":
            return f"{type_.root}<{', '.join(str(c.type) for c in type_.children)}>"
        case _:
            return type_.root


# Arrow ---------------------------------------------------------------------------------------------------------------------------------------------

_ARROW: Mapping[str, pa.DataType] = {
    "BOOLEAN": pa.bool_(),
    "TINYINT": pa.int8(),
    "SMALLINT": pa.int16(),
    "INT": pa.int32(),
    "BIGINT": pa.int64(),
    "FLOAT": pa.float32(),
    "DOUBLE": pa.float64(),
    "DATE": pa.date32(),
    "TIME": pa.time32("ms"),
    "CHAR": pa.string(),
    "VARCHAR": pa.string(),
    "BINARY": pa.binary(),
    "VARBINARY": pa.binary(),
    "VARIANT": pa.string(),
    "BLOB": pa.large_binary(),
}


def arrow_type(type_: DataType) -> pa.DataType:
    """The Arrow type of a type's values, everything nullable. Timestamps are milliseconds up to precision 3, microseconds up to 6, else nanoseconds;
    variants are JSON text.
    """
    match type_.root:
        case "DECIMAL":
            return pa.decimal128(type_.precision or 10, type_.scale or 0)
        case "TIMESTAMP" | "TIMESTAMP_LTZ":
            return pa.timestamp(timestamp_unit(type_), tz="UTC" if type_.root == "TIMESTAMP_LTZ" else None)
        case "ARRAY":
            return pa.list_(_part(type_, 0, "element"))
        case "VECTOR":
            return pa.list_(_part(type_, 0, "element"), type_.length or 1)
        case "MAP":
            return pa.map_(_part(type_, 0, "key", nullable=False), _part(type_, 1, "value"))
        case "MULTISET":
            return pa.map_(_part(type_, 0, "key", nullable=False), pa.field("value", pa.int32()))
        case "ROW":
            return pa.struct([arrow_field(c) for c in type_.children])
        case _:
            return _ARROW[type_.root]


def arrow_field(column: DataField) -> pa.Field:
    """The Arrow field of a column: nullable, since Paimon's writers store nulls in NOT NULL columns; its id and its description in the metadata."""
    metadata = {FIELD_ID: str(column.id).encode(), **_marks(column.type)}
    if column.description:
        metadata[b"comment"] = column.description.encode()
    return pa.field(column.name, arrow_type(column.type), metadata=metadata)


def timestamp_unit(type_: DataType) -> str:
    """The Arrow unit that holds every value of a timestamp type."""
    precision = type_.precision or 0
    return "ms" if precision <= 3 else "us" if precision <= 6 else "ns"


def _part(type_: DataType, index: int, name: str, *, nullable: bool = True) -> pa.Field:
    inner = type_.children[index].type
    return pa.field(name, arrow_type(inner), nullable, metadata=_marks(inner) or None)


def _marks(type_: DataType) -> dict[bytes, bytes]:
    return dict(VARIANT_AS_JSON) if type_.root == "VARIANT" else {}


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"
