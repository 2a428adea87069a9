"""The table schema: Delta's JSON -> two Arrow schemas, one as users see it and one as data files have it.

Both have the same columns in the same order and shape, and differ in names (column mapping) alone, so fields correspond by position at every depth.
Everything is nullable at every depth (map keys excepted, where Arrow forbids it): files and schemas disagree about it. Source: PROTOCOL.md, "Schema
Serialization Format" and "Column Mapping".
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa

from lakesql.errors import MetadataError, UnsupportedFeatureError
from lakesql.formats.delta.json_lines import decode
from lakesql.formats.delta.types import VARIANT, can_widen, primitive
from lakesql.predicate import ColumnPath

MAX_DEPTH = 100
"""Levels of nesting a schema may have; deeper ones are refused as hostile."""


class ColumnMapping(enum.Enum):
    """How columns are found in data files."""

    NONE = "none"
    NAME = "name"
    ID = "id"


@dataclass(frozen=True)
class ColumnInfo:
    """A top-level column. void: the column itself is void, hence in no file. variant: it is, or holds at any depth, a variant. metadata: the field's, as
    parsed from JSON."""

    name: str
    physical_name: str
    logical_type: pa.DataType
    physical_type: pa.DataType
    void: bool
    variant: bool
    metadata: Mapping[str, Any]


@dataclass(frozen=True)
class TableSchema:
    """A table's schema at one version.

    logical: names as users know them; with column mapping, field ids as `PARQUET:field_id` in the metadata of struct fields. physical: names as data files
    and statistics have them, ids only in mode ID; elements of lists, keys and values of maps have neither. Both carry under `delta.type`, `geo.crs` and
    `geo.edges` what Arrow's types do not say of intervals and geometries. columns: one per field, in order.
    """

    logical: pa.Schema
    physical: pa.Schema
    columns: tuple[ColumnInfo, ...]

    def column(self, name: str) -> ColumnInfo | None:
        """The column of this name, ignoring case where no column has it exactly; None where there is none."""
        index = _index(self._by_name, name)
        return None if index is None else self.columns[index]

    def physical_path(self, path: ColumnPath) -> tuple[str, ...] | None:
        """A column and struct fields below it, by their names in files and statistics; None where the path leads nowhere, or through a list or map."""
        index = _index(self._by_name, path[0]) if path else None
        if index is None:
            return None
        names = [self.columns[index].physical_name]
        logical, physical = self.columns[index].logical_type, self.columns[index].physical_type
        for name in path[1:]:
            if not pa.types.is_struct(logical):
                return None
            fields = {logical.field(i).name: i for i in range(logical.num_fields)}
            index = _index(fields, name)
            if index is None:
                return None
            names.append(physical.field(index).name)
            logical, physical = logical.field(index).type, physical.field(index).type
        return tuple(names)

    @cached_property
    def _by_name(self) -> dict[str, int]:
        return {c.name: i for i, c in enumerate(self.columns)}


def parse_schema(schema_string: str, *, source: str, mapping: ColumnMapping) -> TableSchema:
    """The schema in a metaData action's `schemaString`. `source` names the file or version in errors.

    Raises MetadataError for text that is no schema: bad JSON, missing or repeated names (ignoring case), a field without its physical name or id under column
    mapping, nesting beyond MAX_DEPTH; UnsupportedFeatureError for a type, or a change of type, that lakesql does not read, naming the column.
    """
    if not isinstance(schema_string, str):
        raise MetadataError(f"{source}: the table metadata has no schema; expected the JSON text of a struct type in schemaString")
    try:
        root = decode(schema_string)
    except ValueError as error:
        raise MetadataError(f"{source}: schemaString is not JSON ({error}); expected the text of a struct type, found {schema_string[:80]!r}") from error
    if not isinstance(root, dict) or root.get("type") != "struct":
        raise MetadataError(f"{source}: schemaString holds no struct type, but {schema_string[:80]!r}")
    reader = _Reader(source, mapping)
    fields = reader.fields(root, ())
    return TableSchema(pa.schema([f.logical for f in fields]), pa.schema([f.physical for f in fields]), tuple(_column(f) for f in fields))


@dataclass(frozen=True)
class _Type:
    """A type under both names, what its field's metadata shall say beside, and whether it is or holds a variant."""

    logical: pa.DataType
    physical: pa.DataType
    notes: Mapping[str, str]
    variant: bool


@dataclass(frozen=True)
class _Field:
    logical: pa.Field
    physical: pa.Field
    metadata: Mapping[str, Any]
    variant: bool


class _Reader:
    """Walks the JSON. `path`: names from the column down, for messages and depth."""

    def __init__(self, source: str, mapping: ColumnMapping) -> None:
        self._source = source
        self._mapping = mapping
        self._ids: dict[int, ColumnPath] = {}

    def fields(self, struct: dict[str, Any], path: ColumnPath) -> list[_Field]:
        """The fields of a struct type."""
        raw = struct.get("fields")
        if not isinstance(raw, list):
            raise self._bad(path, f"a struct's fields are {str(raw)[:60]!r}; expected a list")
        fields = [self._field(f, path) for f in raw]
        self._refuse_repeats([f.logical.name.lower() for f in fields], path, "two columns have one name, but for case: ")
        if self._mapping is not ColumnMapping.NONE:
            self._refuse_repeats([f.physical.name for f in fields], path, "two columns have one physical name: ")
        return fields

    def _field(self, raw: Any, path: ColumnPath) -> _Field:
        name = raw.get("name") if isinstance(raw, dict) else None
        if not isinstance(name, str):
            raise self._bad(path, f"a field has no name: {str(raw)[:60]!r}")
        path = (*path, name)
        metadata = raw.get("metadata") or {}
        if not isinstance(metadata, dict):
            raise self._bad(path, f"its metadata is {str(metadata)[:60]!r}; expected an object")
        type_ = self._type(raw.get("type"), path)
        self._check_changes(metadata.get("delta.typeChanges"), path)
        physical_name, field_id = self._mapped(metadata, path) if self._mapping is not ColumnMapping.NONE else (name, None)
        notes: dict[str, str] = dict(type_.notes)
        ids = {} if field_id is None else {"PARQUET:field_id": str(field_id)}
        physical_ids = ids if self._mapping is ColumnMapping.ID else {}
        return _Field(
            pa.field(name, type_.logical, metadata={**notes, **ids} or None),
            pa.field(physical_name, type_.physical, metadata={**notes, **physical_ids} or None),
            metadata,
            type_.variant,
        )

    def _type(self, raw: Any, path: ColumnPath) -> _Type:
        if len(path) > MAX_DEPTH:
            raise MetadataError(f"{self._source}: column {path[0]!r} is nested more than {MAX_DEPTH} levels deep")
        kind = raw.get("type") if isinstance(raw, dict) else raw
        if not isinstance(kind, str):
            raise self._bad(path, f"its type is {str(raw)[:60]!r}; expected a type's name or a struct, array or map")
        if isinstance(raw, dict):
            match kind:
                case "struct":
                    fields = self.fields(raw, path)
                    return _Type(pa.struct([f.logical for f in fields]), pa.struct([f.physical for f in fields]), {}, any(f.variant for f in fields))
                case "array":
                    element = self._type(raw.get("elementType"), (*path, "element"))
                    logical, physical = (pa.list_(_named("element", t, element)) for t in (element.logical, element.physical))
                    return _Type(logical, physical, {}, element.variant)
                case "map":
                    key, value = self._type(raw.get("keyType"), (*path, "key")), self._type(raw.get("valueType"), (*path, "value"))
                    return _Type(_map(key.logical, value.logical, key, value), _map(key.physical, value.physical, key, value), {}, key.variant or value.variant)
                case "udt" if "sqlType" in raw:  # Spark's user-defined types are stored as the type beneath
                    return self._type(raw["sqlType"], (*path, "udt"))
        try:
            known = primitive(kind)
        except ValueError as error:
            raise self._bad(path, f"its type is {kind}; {error}") from error
        if known is None:
            raise UnsupportedFeatureError(
                f"type {kind[:80]} is not supported: column {_dotted(path)}, {self._source}",
                feature=f"type {kind[:80]}",
                hint="read a version from before the column was added, or drop the column in the engine that writes the table",
            )
        return _Type(known.type, known.type, known.notes, known.type is VARIANT)

    def _mapped(self, metadata: Mapping[str, Any], path: ColumnPath) -> tuple[str, int | None]:
        """The physical name and the id of a field under column mapping."""
        name, field_id = metadata.get("delta.columnMapping.physicalName"), metadata.get("delta.columnMapping.id")
        if not isinstance(name, str):
            raise self._bad(path, f"column mapping is on, and its delta.columnMapping.physicalName is {name!r}; expected a name")
        if field_id is None and self._mapping is ColumnMapping.NAME:
            return name, None
        if not isinstance(field_id, int) or isinstance(field_id, bool) or not 0 <= field_id < 2**31:
            raise self._bad(path, f"column mapping is on, and its delta.columnMapping.id is {field_id!r}; expected a whole number")
        other = self._ids.setdefault(field_id, path)
        if other is not path and self._mapping is ColumnMapping.ID:
            raise self._bad(path, f"its delta.columnMapping.id {field_id} is that of column {_dotted(other)} as well")
        return name, field_id

    def _check_changes(self, changes: Any, path: ColumnPath) -> None:
        """Refuses a change of type by which old files could not be read as the schema says."""
        if changes is None:
            return
        if not isinstance(changes, list) or not all(isinstance(c, dict) and isinstance(c.get("fieldPath", ""), str) for c in changes):
            raise self._bad(path, f"its delta.typeChanges is {str(changes)[:60]!r}; expected a list of changes")
        for change in changes:
            old, new = change.get("fromType"), change.get("toType")
            if not (isinstance(old, str) and isinstance(new, str) and can_widen(old, new)):
                at = _dotted(path) + (f".{change['fieldPath']}" if change.get("fieldPath") else "")
                raise UnsupportedFeatureError(
                    f"the change of column {at} from {old!s:.40} to {new!s:.40} is not supported: {self._source}",
                    feature=f"type change from {old!s:.40} to {new!s:.40}",
                    hint="read a version from before the change, or have the engine that writes the table rewrite its old files",
                )

    def _refuse_repeats(self, names: list[str], path: ColumnPath, what: str) -> None:
        if len(set(names)) < len(names):
            repeated = [name for name, count in Counter(names).items() if count > 1]
            raise self._bad(path, f"{what}{', '.join(repeated[:5])}")

    def _bad(self, path: ColumnPath, what: str) -> MetadataError:
        return MetadataError(f"{self._source}: {f'column {_dotted(path)}' if path else 'the schema'}: {what}")


def _column(field: _Field) -> ColumnInfo:
    logical = field.logical
    return ColumnInfo(logical.name, field.physical.name, logical.type, field.physical.type, pa.types.is_null(logical.type), field.variant, field.metadata)


def _named(name: str, type_: pa.DataType, of: _Type) -> pa.Field:
    return pa.field(name, type_, metadata=dict(of.notes) or None)


def _map(key_type: pa.DataType, value_type: pa.DataType, key: _Type, value: _Type) -> pa.DataType:
    return pa.map_(_named("key", key_type, key).with_nullable(False), _named("value", value_type, value))


def _index(names: Mapping[str, int], name: str) -> int | None:
    """Where a name is: by exact match, else the one that differs in case (names are unique ignoring case)."""
    if name in names:
        return names[name]
    lower = name.lower()
    return next((i for n, i in names.items() if n.lower() == lower), None)


def _dotted(path: ColumnPath) -> str:
    return ".".join(path)
