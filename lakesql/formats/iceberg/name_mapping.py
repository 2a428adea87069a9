"""Name mapping: how the columns of files without field ids are called. Source: Iceberg table spec, "Column Projection", "Name Mapping"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from lakesql.errors import MetadataError
from lakesql.formats.iceberg.types import MAX_DEPTH


@dataclass(frozen=True)
class NameMapping:
    """names: for every field id, at any depth, the names it may have in a file, at its own level. A field that is not listed is in no such file."""

    names: Mapping[int, tuple[str, ...]] = field(hash=False)


def parse_name_mapping(spelled: str, source: str) -> NameMapping:
    """The mapping in the property `schema.name-mapping.default`. Raises MetadataError for text that is none."""
    try:
        raw = orjson.loads(spelled)
    except orjson.JSONDecodeError as error:
        raise MetadataError(f"{source}: schema.name-mapping.default is no JSON: {error}") from error
    names: dict[int, tuple[str, ...]] = {}
    _collect(raw, names, source, 0)
    return NameMapping(names)


def _collect(raw: Any, names: dict[int, tuple[str, ...]], source: str, depth: int) -> None:
    if not isinstance(raw, list) or depth > MAX_DEPTH:
        raise MetadataError(f"{source}: schema.name-mapping.default is {str(raw)[:60]!r}; expected a list of fields")
    for entry in raw:
        listed, id_ = (entry.get("names"), entry.get("field-id")) if isinstance(entry, dict) else (None, None)
        if not isinstance(listed, list) or not all(isinstance(n, str) for n in listed):
            raise MetadataError(f"{source}: schema.name-mapping.default has the entry {str(entry)[:60]!r}, which lists no names")
        if isinstance(id_, int) and not isinstance(id_, bool) and listed:  # without an id the names are of columns the table does not have
            names[id_] = (*names.get(id_, ()), *listed)
        if entry.get("fields") is not None:
            _collect(entry["fields"], names, source, depth + 1)
