"""Schema files, `schema/schema-N`: a table's columns, keys and options at one time. Source: Paimon, SchemaSerializer, TableSchema, SchemaManager."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

from lakesql.errors import MetadataError, NotATableError, UnsupportedFeatureError
from lakesql.formats.paimon.json_files import JsonFile
from lakesql.formats.paimon.types import DataField, arrow_field, parse_field
from lakesql.location import join
from lakesql.storage import Entry, Storage

_NAME = re.compile(r"schema-(\d{1,18})")
_NEWEST_VERSION = 3
_MOST_COLUMNS = 50_000


@dataclass(frozen=True)
class TableSchema:
    """One schema. id: its number; fields: its columns in order; options: as the file has them, with what old versions left to defaults."""

    id: int
    fields: tuple[DataField, ...]
    partition_keys: tuple[str, ...]
    primary_keys: tuple[str, ...]
    options: Mapping[str, str]
    comment: str | None = None
    time_ms: int | None = None
    highest_field_id: int = -1
    raw: Mapping[str, object] | None = None

    @cached_property
    def arrow(self) -> pa.Schema:
        """The columns as Arrow fields, with ids and comments."""
        return pa.schema([arrow_field(f) for f in self.fields])

    @cached_property
    def by_name(self) -> dict[str, DataField]:
        """Columns by name."""
        return {f.name: f for f in self.fields}

    @cached_property
    def by_id(self) -> dict[int, DataField]:
        """Columns by field id."""
        return {f.id: f for f in self.fields}

    @cached_property
    def partition_fields(self) -> tuple[DataField, ...]:
        """The partition columns, in the order of the keys."""
        return tuple(self.by_name[n] for n in self.partition_keys)

    @cached_property
    def trimmed_primary_key(self) -> tuple[DataField, ...]:
        """The primary key without partition columns; the whole key where nothing else would be left."""
        trimmed = tuple(self.by_name[n] for n in self.primary_keys if n not in self.partition_keys)
        return trimmed or tuple(self.by_name[n] for n in self.primary_keys)

    @cached_property
    def bucket_key(self) -> tuple[DataField, ...]:
        """The columns that choose a row's bucket."""
        named = [n.strip() for n in self.options.get("bucket-key", "").split(",") if n.strip()]
        unknown = [n for n in named if n not in self.by_name]
        if unknown:
            raise MetadataError(f'schema {self.id}: bucket-key names "{unknown[0]}", which is no column; there are {", ".join(list(self.by_name)[:20])}')
        return tuple(self.by_name[n] for n in named) or self.trimmed_primary_key


def parse_schema(file: JsonFile) -> TableSchema:
    """A schema out of its file. Raises MetadataError, UnsupportedFeatureError."""
    source, version = f'"{file.path}"', file.optional_number("version") or 1
    if version > _NEWEST_VERSION:
        raise UnsupportedFeatureError(
            f"{source} has version {version}; lakesql reads schemas up to version {_NEWEST_VERSION}", feature=f"schema version {version}"
        )
    listed = file.content.get("fields")
    if not isinstance(listed, list) or len(listed) > _MOST_COLUMNS:
        raise MetadataError(f"{source}: fields must be a list of at most {_MOST_COLUMNS} columns")
    ids = iter(range(1 << 31))
    fields = tuple(parse_field(f, source, lambda: next(ids)) for f in listed)
    options = file.text_map("options")
    if version <= 1:
        options.setdefault("bucket", "1")
    if version <= 2:
        options.setdefault("file.format", "orc")
    schema = TableSchema(
        id=file.number("id"),
        fields=fields,
        partition_keys=file.texts("partitionKeys"),
        primary_keys=file.texts("primaryKeys"),
        options=options,
        comment=file.optional_text("comment"),
        time_ms=file.optional_number("timeMillis"),
        highest_field_id=file.optional_number("highestFieldId") or -1,
        raw=file.content,
    )
    _check(schema, source)
    return schema


def _check(schema: TableSchema, source: str) -> None:
    if len(schema.by_name) != len(schema.fields):
        names = [f.name for f in schema.fields]
        raise MetadataError(f'{source}: two columns are called "{next(n for n in names if names.count(n) > 1)}"')
    if len(schema.by_id) != len(schema.fields):
        raise MetadataError(f"{source}: two columns have the same id")
    for what, keys in (("partitionKeys", schema.partition_keys), ("primaryKeys", schema.primary_keys)):
        for name in keys:
            if name not in schema.by_name:
                raise MetadataError(f'{source}: {what} names "{name}", which is no column; there are {", ".join(list(schema.by_name)[:20])}')
    nested = next((f.name for f in schema.partition_fields if f.type.is_nested or f.type.root in ("VARIANT", "BLOB")), None)
    if nested is not None:
        raise MetadataError(f'{source}: partition column "{nested}" is of type {schema.by_name[nested].type}')


class Schemas:
    """The schema files of a table, or of one of its branches; each is parsed once. root: the folder that has `schema/`."""

    def __init__(self, storage: Storage, root: str) -> None:
        self._storage = storage
        self.folder = join(root, "schema")
        self._parsed: dict[tuple[int, int, int], TableSchema] = {}
        self._lock = threading.Lock()

    def now(self) -> SchemaSet:
        """The schemas there are at this moment; one listing. Raises NotATableError where there is none."""
        found = ((_NAME.fullmatch(e.name), e) for e in self._storage.list(self.folder, start_after="schema-") if not e.is_folder)
        entries = {int(m[1]): e for m, e in found if m is not None}
        if not entries:
            raise NotATableError(f'"{self.folder}" has no schema: expected files called schema-0, schema-1, ...')
        return SchemaSet(self, entries)

    def parsed(self, id_: int, entry: Entry) -> TableSchema:
        """The schema in a listed file. A number that was used again, by a table made anew, is told apart by size and time."""
        key = (id_, entry.size_bytes, entry.modified_us)
        with self._lock:
            known = self._parsed.get(key)
        if known is not None:
            return known
        schema = parse_schema(JsonFile.read(self._storage, entry.path, entry))
        if schema.id != id_:
            raise MetadataError(f'"{entry.path}" says that it is schema {schema.id}')
        with self._lock:
            self._parsed[key] = schema
        return schema


@dataclass(frozen=True)
class SchemaSet:
    """The schemas that were there at one moment."""

    _schemas: Schemas
    _entries: Mapping[int, Entry]

    def latest(self) -> TableSchema:
        """The schema with the highest number."""
        return self.get(max(self._entries))

    def get(self, id_: int) -> TableSchema:
        """The schema of that number. Raises MetadataError with the numbers there are."""
        entry = self._entries.get(id_)
        if entry is None:
            numbers = f"{min(self._entries)} to {max(self._entries)}"
            raise MetadataError(
                f"there is no schema {id_} in {self._schemas.folder}; there are {numbers}", hint="the table was copied in part, or its metadata damaged"
            )
        return self._schemas.parsed(id_, entry)

    def all(self) -> list[TableSchema]:
        """Every schema, by number."""
        return [self.get(n) for n in sorted(self._entries)]
