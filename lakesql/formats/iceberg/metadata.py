"""The table metadata file: JSON of format versions 1 to 3 -> what a reader needs of it. Source: Iceberg table spec, "Table Metadata and Snapshots".

Snapshots are many and few are asked for, so each is checked when it is looked up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import orjson

from lakesql.errors import MetadataError, UnsupportedFeatureError
from lakesql.formats.iceberg.checked import mapping, objects, optional_whole, text, whole
from lakesql.formats.iceberg.name_mapping import NameMapping, parse_name_mapping
from lakesql.formats.iceberg.schema import Schema, parse_schema
from lakesql.formats.iceberg.spec import PartitionSpec, parse_field_list, parse_spec

NEWEST_VERSION = 3
MAIN = "main"


@dataclass(frozen=True)
class SnapshotInfo:
    """One snapshot as the metadata has it. manifest_list: None where `manifests` lists them itself (version 1). schema_id, first_row_id: None where not
    given.
    """

    id: int
    parent_id: int | None
    sequence_number: int
    timestamp_ms: int
    manifest_list: str | None
    manifests: tuple[str, ...]
    schema_id: int | None
    first_row_id: int | None
    summary: Mapping[str, str] | None = field(hash=False)

    @property
    def operation(self) -> str | None:
        """append, replace, overwrite or delete; None without a summary."""
        return None if self.summary is None else self.summary.get("operation", "overwrite")


@dataclass(frozen=True)
class Ref:
    """A named snapshot. kind: branch or tag."""

    name: str
    kind: str
    snapshot_id: int
    min_snapshots_to_keep: int | None = None
    max_snapshot_age_ms: int | None = None
    max_ref_age_ms: int | None = None


@dataclass(frozen=True)
class LogEntry:
    """An entry of the snapshot log: which snapshot became current, and when."""

    timestamp_ms: int
    snapshot_id: int


@dataclass(frozen=True)
class TableMetadata:
    """One state of a table's metadata.

    path: the file it was read from. location: as the file has it. schemas and specs: all there are, by id. snapshot_log: in the order of the file.
    metadata_log: earlier files, (timestamp in ms, path). raw_snapshots: as in the file, by id.
    """

    path: str
    format_version: int
    uuid: str | None
    location: str
    last_updated_ms: int
    last_sequence_number: int
    schemas: Mapping[int, Schema] = field(hash=False)
    current_schema_id: int
    specs: Mapping[int, PartitionSpec] = field(hash=False)
    default_spec_id: int
    properties: Mapping[str, str] = field(hash=False)
    current_snapshot_id: int | None
    raw_snapshots: Mapping[int, Mapping[str, Any]] = field(hash=False, repr=False)
    refs: Mapping[str, Ref] = field(hash=False)
    snapshot_log: tuple[LogEntry, ...] = field(repr=False)
    metadata_log: tuple[tuple[int, str], ...] = field(repr=False)

    @property
    def schema(self) -> Schema:
        """The current schema."""
        return self.schemas[self.current_schema_id]

    def schema_of(self, id_: int | None) -> Schema:
        """The schema a snapshot names, the current one where it names none. Raises MetadataError for an id that is not there."""
        if id_ is None:
            return self.schema
        if id_ not in self.schemas:
            raise MetadataError(f"{self.path}: a snapshot has schema {id_}, which is not there; there are {_listed(self.schemas)}")
        return self.schemas[id_]

    @cached_property
    def newest_schemas(self) -> tuple[Schema, ...]:
        """All schemas, the current one first, then the others from the newest id down: where a field id that was dropped is looked for."""
        others = sorted((s for s in self.schemas.values() if s.id != self.current_schema_id), key=lambda s: -s.id)
        return (self.schema, *others)

    def spec(self, id_: int, source: str) -> PartitionSpec:
        """A spec by id. Raises MetadataError, naming `source`, for one that is not there."""
        if id_ not in self.specs:
            raise MetadataError(f"{source} is of partition spec {id_}, which {self.path} does not have; it has {_listed(self.specs)}")
        return self.specs[id_]

    def snapshot(self, id_: int) -> SnapshotInfo | None:
        """The snapshot of that id, None where there is none. Raises MetadataError for one that is not sound."""
        raw = self.raw_snapshots.get(id_)
        return None if raw is None else _snapshot(raw, self.path)

    @property
    def snapshots(self) -> Iterator[SnapshotInfo]:
        """Every snapshot, in the order of the file."""
        return (_snapshot(raw, self.path) for raw in self.raw_snapshots.values())

    @property
    def current(self) -> SnapshotInfo | None:
        """The current snapshot, None for a table without one. Raises MetadataError where it is not there."""
        if self.current_snapshot_id is None:
            return None
        found = self.snapshot(self.current_snapshot_id)
        if found is None:
            raise MetadataError(f"{self.path}: the current snapshot {self.current_snapshot_id} is not among its {len(self.raw_snapshots)} snapshots")
        return found

    def ancestors(self, id_: int | None) -> Iterator[int]:
        """The snapshot's id and those of its parents, newest first, as far as they are known."""
        seen: set[int] = set()
        while id_ is not None and id_ in self.raw_snapshots and id_ not in seen:
            seen.add(id_)
            yield id_
            id_ = optional_whole(self.raw_snapshots[id_], "parent-snapshot-id", self.path)

    @cached_property
    def name_mapping(self) -> NameMapping | None:
        """How columns of files without field ids are called, None where the table does not say."""
        mapping_text = self.properties.get("schema.name-mapping.default")
        return None if mapping_text is None else parse_name_mapping(mapping_text, self.path)


def parse_metadata(content: bytes, path: str) -> TableMetadata:
    """The metadata in a file's bytes. Raises MetadataError for what is no metadata, UnsupportedFeatureError for a newer format version."""
    try:
        raw = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise MetadataError(
            f'table metadata "{path}" is no complete JSON: {error}',
            hint="the file was not written or copied whole; an earlier metadata file may be named instead",
        ) from error
    if not isinstance(raw, dict):
        raise MetadataError(f'table metadata "{path}" is no JSON object, but {str(raw)[:60]!r}')
    version = whole(raw, "format-version", path)
    if not 1 <= version <= NEWEST_VERSION:
        raise UnsupportedFeatureError(
            f"format version {version} is not supported: lakesql reads Iceberg tables of versions 1 to {NEWEST_VERSION} ({path})",
            feature=f"Iceberg format version {version}",
        )
    schemas, current_schema_id = _schemas(raw, path)
    current = optional_whole(raw, "current-snapshot-id", path)
    current = None if current == -1 else current
    return TableMetadata(
        path=path,
        format_version=version,
        uuid=raw.get("table-uuid") if isinstance(raw.get("table-uuid"), str) else None,
        location=text(raw, "location", path).rstrip("/"),
        last_updated_ms=whole(raw, "last-updated-ms", path, 0),
        last_sequence_number=whole(raw, "last-sequence-number", path, 0),
        schemas=schemas,
        current_schema_id=current_schema_id,
        specs=_specs(raw, path),
        default_spec_id=whole(raw, "default-spec-id", path, 0),
        properties={k: v if isinstance(v, str) else str(v) for k, v in mapping(raw, "properties", path).items()},
        current_snapshot_id=current,
        raw_snapshots={whole(s, "snapshot-id", path): s for s in objects(raw, "snapshots", path)},
        refs=_refs(raw, current, path),
        snapshot_log=tuple(LogEntry(whole(e, "timestamp-ms", path), whole(e, "snapshot-id", path)) for e in objects(raw, "snapshot-log", path)),
        metadata_log=tuple((whole(e, "timestamp-ms", path), text(e, "metadata-file", path)) for e in objects(raw, "metadata-log", path)),
    )


def _schemas(raw: Mapping[str, Any], path: str) -> tuple[dict[int, Schema], int]:
    """`schemas` where there are any; the one `schema` of old tables else."""
    listed = objects(raw, "schemas", path)
    if listed:
        schemas = {s.id: s for s in (parse_schema(r, path) for r in listed)}
        current = whole(raw, "current-schema-id", path)
    else:
        only = parse_schema(mapping(raw, "schema", path), path)
        schemas, current = {only.id: only}, only.id
    if current not in schemas:
        raise MetadataError(f"{path}: the current schema {current} is not there; there are {_listed(schemas)}")
    return schemas, current


def _specs(raw: Mapping[str, Any], path: str) -> dict[int, PartitionSpec]:
    listed = objects(raw, "partition-specs", path)
    if listed:
        return {s.id: s for s in (parse_spec(r, path) for r in listed)}
    return {0: parse_field_list(raw.get("partition-spec") or [], path)}


def _refs(raw: Mapping[str, Any], current: int | None, path: str) -> dict[str, Ref]:
    """The refs; `main` is the current snapshot where they do not say."""
    refs = {}
    for name, ref in mapping(raw, "refs", path).items():
        if not isinstance(ref, dict) or ref.get("type") not in ("branch", "tag"):
            raise MetadataError(f"{path}: ref {name} is {str(ref)[:80]!r}; expected a branch or a tag")
        refs[name] = Ref(
            name,
            ref["type"],
            whole(ref, "snapshot-id", path),
            optional_whole(ref, "min-snapshots-to-keep", path),
            optional_whole(ref, "max-snapshot-age-ms", path),
            optional_whole(ref, "max-ref-age-ms", path),
        )
    if current is not None and MAIN not in refs:
        refs[MAIN] = Ref(MAIN, "branch", current)
    return refs


def _snapshot(raw: Mapping[str, Any], path: str) -> SnapshotInfo:
    id_ = whole(raw, "snapshot-id", path)
    where = f"{path}, snapshot {id_}"
    if raw.get("key-id") is not None:
        raise UnsupportedFeatureError(f"{where} is encrypted; lakesql reads no encrypted tables", feature="Iceberg table encryption")
    manifests = raw.get("manifests")
    listed = tuple(m for m in manifests if isinstance(m, str)) if isinstance(manifests, list) else ()
    manifest_list = None if raw.get("manifest-list") is None else text(raw, "manifest-list", where)
    if manifest_list is None and manifests is None:
        raise MetadataError(f"{where} has neither a manifest list nor manifests")
    summary = raw.get("summary")
    return SnapshotInfo(
        id=id_,
        parent_id=optional_whole(raw, "parent-snapshot-id", where),
        sequence_number=whole(raw, "sequence-number", where, 0),
        timestamp_ms=whole(raw, "timestamp-ms", where),
        manifest_list=manifest_list,
        manifests=listed,
        schema_id=optional_whole(raw, "schema-id", where),
        first_row_id=optional_whole(raw, "first-row-id", where),
        summary={str(k): v if isinstance(v, str) else str(v) for k, v in summary.items()} if isinstance(summary, dict) else None,
    )


def _listed(ids: Mapping[int, object]) -> str:
    shown = sorted(ids)
    return ", ".join(map(str, shown[:10])) + (", ..." if len(shown) > 10 else "")
