"""Actions as values: what a commit changes, and the columns of its add actions.

Files are columns (`ADD_FIELDS`), never objects: a commit's adds become one Arrow table, and a checkpoint's are read as such. Field names are the protocol's.
Source: Delta protocol, "Actions".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lakesql.errors import MetadataError, UnsupportedFeatureError
from lakesql.formats.delta.commits import read_actions
from lakesql.formats.delta.deletion_vectors import unique_id
from lakesql.formats.delta.paths import normal_paths

TEXT_MAP = pa.map_(pa.string(), pa.string())
DELETION_VECTOR = pa.struct(
    [("storageType", pa.string()), ("pathOrInlineDv", pa.string()), ("offset", pa.int32()), ("sizeInBytes", pa.int32()), ("cardinality", pa.int64())]
)
ADD_FIELDS: dict[str, pa.DataType] = {
    "path": pa.string(),
    "partitionValues": TEXT_MAP,
    "size": pa.int64(),
    "modificationTime": pa.int64(),
    "deletionVector": DELETION_VECTOR,
    "baseRowId": pa.int64(),
    "defaultRowCommitVersion": pa.int64(),
    "stats": pa.string(),
    "tags": TEXT_MAP,
    "clusteringProvider": pa.string(),
}
"""The fields of add that are read, and their types. `path` is in the normal form of `paths.py`."""

Key = tuple[str, str | None]
"""A logical file: its normal path, and the id of its deletion vector or None."""


@dataclass(frozen=True)
class Metadata:
    """The metaData action. partition_columns: logical names; configuration: the table's properties; created_ms: milliseconds UTC."""

    id: str
    name: str | None
    description: str | None
    schema_string: str
    partition_columns: tuple[str, ...]
    configuration: dict[str, str]
    created_ms: int | None


@dataclass(frozen=True)
class Change:
    """What one commit (or a run of compacted ones) does to the table: the adds it leaves with their keys in the same order, and every key it speaks of.

    protocol: the action as read; txns: by application id; domains: by name, removed ones too (`removed` is true in them).
    """

    adds: pa.Table
    add_keys: tuple[Key, ...]
    keys: frozenset[Key]
    protocol: dict[str, Any] | None = None
    metadata: Metadata | None = None
    txns: dict[str, dict[str, Any]] = field(default_factory=dict)
    domains: dict[str, dict[str, Any]] = field(default_factory=dict)


def read_change(content: bytes, root: str, source: str) -> Change:
    """The change a commit's bytes describe. Order inside a commit has no meaning; of an add and a remove of one key the add stands. Raises MetadataError."""
    adds: list[dict[str, Any]] = []
    removes: list[dict[str, Any]] = []
    protocol, metadata = None, None
    txns: dict[str, dict[str, Any]] = {}
    domains: dict[str, dict[str, Any]] = {}
    for name, fields in read_actions(content, source):
        match name:
            case "add":
                adds.append(fields)
            case "remove":
                removes.append(fields)
            case "protocol":
                protocol = fields
            case "metaData":
                metadata = metadata_of(fields, source)
            case "txn":
                txns[_text(fields, "appId", source)] = fields
            case "domainMetadata":
                domains[_text(fields, "domain", source)] = fields
    table = adds_table(adds, root, source)
    added = keys_of(table["path"], table["deletionVector"])
    if len(set(added)) < len(added):
        last = sorted({key: row for row, key in enumerate(added)}.values())
        table = table.take(pa.array(last, pa.int64()))
        added = [added[row] for row in last]
    removed = keys_of(*file_columns(removes, ("path", "deletionVector"), root, source, "remove"))
    return Change(table, tuple(added), frozenset((*added, *removed)), protocol, metadata, txns, domains)


def adds_table(adds: list[dict[str, Any]], root: str, source: str) -> pa.Table:
    """Add actions as a table of ADD_FIELDS. Raises MetadataError for a field of the wrong type, a missing or bad path, a negative size."""
    columns = file_columns(adds, tuple(ADD_FIELDS), root, source, "add")
    table = pa.table(dict(zip(ADD_FIELDS, columns, strict=True)))
    if len(adds) and (pc.min(table["size"]).as_py() or 0) < 0:
        raise MetadataError(f"{source}: an add action has a negative size")
    return table


def file_columns(actions: list[dict[str, Any]], names: Iterable[str], root: str, source: str, action: str) -> list[pa.Array]:
    """The named fields of add, remove or cdc actions as columns, paths in normal form."""
    columns = []
    for name in names:
        values = _values(actions, name)
        try:
            column = pa.array(values, ADD_FIELDS[name])
        except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError, ValueError, OverflowError) as error:
            raise MetadataError(f"{source}: {action}.{name} is not what the protocol says it is: {str(error).splitlines()[0]}") from error
        if name == "path":
            if column.null_count:
                raise MetadataError(f"{source}: an action {action} has no path")
            column = normal_paths(column, root, source=source)
        columns.append(column)
    return columns


def keys_of(paths: pa.Array, vectors: pa.Array) -> list[Key]:
    """The keys of files given by normal path and deletion vector. Both may be chunked."""
    if len(paths) == 0:
        return []
    if vectors.null_count == len(vectors):
        return [(path, None) for path in paths.to_pylist()]
    return list(zip(paths.to_pylist(), vector_ids(vectors).to_pylist(), strict=True))


def vector_ids(vectors: pa.Array) -> pa.Array:
    """The unique id of each deletion vector of a DELETION_VECTOR column, null where there is none."""
    column = vectors.combine_chunks() if isinstance(vectors, pa.ChunkedArray) else vectors
    return unique_id(*(pc.struct_field(column, name) for name in ("storageType", "pathOrInlineDv", "offset")))


def metadata_of(fields: Mapping[str, Any], source: str) -> Metadata:
    """The metaData action, from JSON or from a checkpoint's row. Raises MetadataError where it has no schema, or fields of the wrong type."""
    format_ = fields.get("format")
    provider = format_.get("provider") if isinstance(format_, Mapping) else None
    if provider not in (None, "parquet"):
        raise UnsupportedFeatureError(f"{source}: the table's data files are {provider!r}, not parquet", feature=f"data files in {provider}")
    schema_string = fields.get("schemaString")
    if not isinstance(schema_string, str):
        raise MetadataError(f"{source}: the table metadata has no schema: metaData.schemaString is {schema_string!r}")
    columns = fields.get("partitionColumns") or []
    configuration = text_pairs(fields.get("configuration"), source, "metaData.configuration")
    if not isinstance(columns, list) or not all(isinstance(c, str) for c in columns):
        raise MetadataError(f"{source}: metaData.partitionColumns is {columns!r}; expected a list of column names")
    created = fields.get("createdTime")
    return Metadata(
        id=str(fields.get("id") or ""),
        name=fields.get("name"),
        description=fields.get("description"),
        schema_string=schema_string,
        partition_columns=tuple(columns),
        configuration={k: v for k, v in configuration.items() if v is not None},
        created_ms=created if isinstance(created, int) else None,
    )


def text_pairs(value: Any, source: str, what: str) -> dict[str, str | None]:
    """A map of text, given as a JSON object or as a checkpoint's list of pairs; numbers and booleans become their JSON text."""
    pairs = value.items() if isinstance(value, Mapping) else value or []
    try:
        return {str(k): _as_text(v) for k, v in pairs}
    except (TypeError, ValueError) as error:
        raise MetadataError(f"{source}: {what} is {value!r:.80}; expected names and texts") from error


def _as_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    raise TypeError(type(value))


def _values(actions: list[dict[str, Any]], name: str) -> list[Any]:
    """A field of every action, as pyarrow takes it."""
    values = [fields.get(name) for fields in actions]
    if name == "stats":
        # Statistics are a help and no more: whatever is no text is no statistics.
        return [value if isinstance(value, str) else None for value in values]
    if ADD_FIELDS[name] == TEXT_MAP:
        return [list(value.items()) if isinstance(value, dict) else value for value in values]
    return values


def _text(fields: Mapping[str, Any], key: str, source: str) -> str:
    value = fields.get(key)
    if not isinstance(value, str):
        raise MetadataError(f"{source}: {key} is {value!r}; expected text")
    return value
