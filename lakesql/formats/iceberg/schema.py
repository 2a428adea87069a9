"""A table's schema at one version: columns found by name and by field id. Source: Iceberg table spec, "Schemas and Data Types"."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa

from lakesql.errors import MetadataError
from lakesql.formats.iceberg.types import Field, Struct, arrow_field, parse_fields
from lakesql.predicate import ColumnPath

_MOST_FIELDS = 1_000_000
"""Fields, nested ones counted, beyond which a schema is refused as hostile."""


@dataclass(frozen=True)
class Schema:
    """id: as snapshots name it; 0 where an old table gives none. fields: the columns in order."""

    id: int
    fields: tuple[Field, ...]

    @cached_property
    def arrow(self) -> pa.Schema:
        """The columns under their names, with ids and comments in the metadata."""
        return pa.schema([_described(f) for f in self.fields])

    @cached_property
    def by_id(self) -> Mapping[int, Field]:
        """Every field, at any depth."""
        return {chain[-1].id: chain[-1] for chain in self.chains.values()}

    @cached_property
    def chains(self) -> Mapping[int, tuple[Field, ...]]:
        """For every field id the fields on the way to it, from the column down."""
        found: dict[int, tuple[Field, ...]] = {}
        waiting: list[tuple[Field, ...]] = [(f,) for f in self.fields]
        while waiting:
            chain = waiting.pop()
            found[chain[-1].id] = chain
            waiting += [(*chain, child) for child in chain[-1].children]
        return found

    def column(self, name: str) -> Field | None:
        """The column of this exact name."""
        return self._by_name.get(name)

    def find(self, path: ColumnPath) -> Field | None:
        """A column, or the field of a struct below it, by names; None where the path leads nowhere or through a list or map."""
        field = self.column(path[0]) if path else None
        for name in path[1:]:
            if field is None or not isinstance(field.type, Struct):
                return None
            field = next((f for f in field.type.fields if f.name == name), None)
        return field

    def path_of(self, id_: int) -> ColumnPath | None:
        """The names that lead to a field; None for one that is not in the schema, or is in a list or map."""
        chain = self.chains.get(id_)
        if chain is None or not all(isinstance(f.type, Struct) for f in chain[:-1]):
            return None
        return tuple(f.name for f in chain)

    @cached_property
    def _by_name(self) -> Mapping[str, Field]:
        return {f.name: f for f in self.fields}


def parse_schema(raw: Mapping[str, Any], source: str) -> Schema:
    """A schema in JSON. Raises MetadataError, UnsupportedFeatureError, naming `source` and the column."""
    id_ = raw.get("schema-id", 0)
    if not isinstance(id_, int) or isinstance(id_, bool):
        raise MetadataError(f"{source}: schema-id is {str(id_)[:40]!r}; expected a whole number")
    schema = Schema(id_, parse_fields(raw, f"{source}, schema {id_}"))
    seen: dict[int, str] = {}
    for chain in _all_chains(schema.fields):
        name = ".".join(f.name for f in chain)
        other = seen.setdefault(chain[-1].id, name)
        if other != name:
            raise MetadataError(f"{source}, schema {id_}: columns {other} and {name} have one field id, {chain[-1].id}")
        if len(seen) > _MOST_FIELDS:
            raise MetadataError(f"{source}, schema {id_} has more than {_MOST_FIELDS:,} fields")
    return schema


def _all_chains(fields: Iterable[Field]) -> Iterable[tuple[Field, ...]]:
    waiting: list[tuple[Field, ...]] = [(f,) for f in fields]
    while waiting:
        chain = waiting.pop()
        yield chain
        waiting += [(*chain, child) for child in chain[-1].children]


def _described(field: Field) -> pa.Field:
    arrow = arrow_field(field)
    return arrow if field.comment is None else arrow.with_metadata({**arrow.metadata, b"comment": field.comment.encode("utf-8", "replace")})
