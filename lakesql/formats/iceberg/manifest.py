"""Manifests -> columns, as they stand in the file: nothing inherited, nothing left out. Source: Iceberg table spec, "Manifests".

A manifest is never rewritten, so what was decoded is kept by its path, up to a stated size: entries first, and the metrics of those columns that predicates
named. Values that depend on the list a manifest is in (sequence numbers, row ids) are made in `entries.py` each time, as two lists may give one manifest
different ones.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

import pyarrow as pa
import pyarrow.compute as pc

from lakesql import avro
from lakesql.errors import MetadataError, MissingFileError
from lakesql.formats.iceberg.metrics import MAPS, PRUNING_MAPS, ColumnMetrics, column_metrics
from lakesql.formats.iceberg.schema import Schema
from lakesql.formats.iceberg.spec import PartitionSpec, value_type
from lakesql.formats.iceberg.types import FIELD_ID
from lakesql.location import is_local
from lakesql.storage import Storage

EXISTING, ADDED, DELETED = 0, 1, 2

ENTRIES_BYTES = 512 << 20
"""How much of decoded manifests is kept, over all tables of a session: entries and the metrics of single columns."""
MAPS_BYTES = 128 << 20
"""How much of whole metric maps is kept, which serve columns that were not asked for before."""

ENTRY_FIELDS = {"status": (0, pa.int32()), "snapshot_id": (1, pa.int64()), "sequence_number": (3, pa.int64()), "file_sequence_number": (4, pa.int64())}
FILE_FIELDS: dict[str, tuple[int, pa.DataType]] = {
    "content": (134, pa.int32()),
    "file_path": (100, pa.string()),
    "file_format": (101, pa.string()),
    "record_count": (103, pa.int64()),
    "file_size_in_bytes": (104, pa.int64()),
    "equality_ids": (135, pa.list_(pa.field("element", pa.int32()))),
    "first_row_id": (142, pa.int64()),
    "referenced_data_file": (143, pa.string()),
    "content_offset": (144, pa.int64()),
    "content_size_in_bytes": (145, pa.int64()),
}
"""What scans need of a file; nothing else is decoded for them."""
MORE_FIELDS: dict[str, tuple[int, pa.DataType]] = {
    "key_metadata": (131, pa.binary()),
    "split_offsets": (132, pa.list_(pa.field("element", pa.int64()))),
    "sort_order_id": (140, pa.int32()),
}
"""What metadata tables show beside."""

_PARTITION_ID = 102
_AVRO_TYPES: dict[str, pa.DataType] = {
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "bytes": pa.binary(),
    "string": pa.string(),
}

V = TypeVar("V")


@dataclass(frozen=True)
class ManifestFile:
    """A row of a manifest list, as far as its entries depend on it.

    length_bytes: as the list has it, None where it does not say; spec: how its files are divided; schemas: where the types of partition values come from.
    """

    path: str
    length_bytes: int | None
    content: int
    spec: PartitionSpec
    sequence_number: int
    added_snapshot_id: int | None
    first_row_id: int | None
    schemas: tuple[Schema, ...] = field(repr=False)

    @cached_property
    def key(self) -> Hashable:
        """What its decoded columns are kept under: the file, which no table made anew at this place writes alike, and the types its partition values are read
        in.
        """
        return self.path, self.length_bytes, self.added_snapshot_id, tuple((f.id, f.name, str(value_type(f, self.schemas))) for f in self.spec.fields)


@dataclass(frozen=True)
class RawManifest:
    """The entries of one manifest, one array per field. partition: by partition field id."""

    rows: int
    columns: Mapping[str, pa.Array]
    partition: Mapping[int, pa.Array]

    @property
    def nbytes(self) -> int:
        """What it takes in memory."""
        return sum(a.nbytes for a in (*self.columns.values(), *self.partition.values()))

    @cached_property
    def live(self) -> pa.Array | None:
        """The rows that are not deleted, None where all are live."""
        status = self.columns["status"]
        deleted = pc.equal(status, DELETED)
        return pc.indices_nonzero(pc.invert(deleted)) if pc.any(deleted).as_py() else None


class Manifests:
    """Decoded manifests of one storage, kept within limits. Thread-safe; a manifest that two threads ask for at once is decoded twice, which harms nobody."""

    def __init__(self, storage: Storage, entries_bytes: int = ENTRIES_BYTES, maps_bytes: int = MAPS_BYTES) -> None:
        self._storage = storage
        self._entries: Kept[RawManifest] = Kept(entries_bytes)
        self._columns: Kept[ColumnMetrics] = Kept(entries_bytes)
        self._maps: Kept[dict[str, pa.Array]] = Kept(maps_bytes)

    @property
    def nbytes(self) -> int:
        """What is held now."""
        return self._entries.nbytes + self._columns.nbytes + self._maps.nbytes

    def entries(self, files: Sequence[ManifestFile], *, columns: Sequence[int] = ()) -> list[RawManifest]:
        """The entries of these manifests, in order, read side by side. columns: field ids whose metrics will be asked for, decoded on the way.

        Raises MissingFileError, MetadataError, UnsupportedFeatureError, of the first manifest in order that has one.
        """
        return _side_by_side(lambda f: self._entries_of(f, columns), files)

    def metrics(self, files: Sequence[ManifestFile], column: int) -> list[ColumnMetrics]:
        """The metrics of a column in each of these manifests."""
        return _side_by_side(lambda f: self._metrics_of(f, column), files)

    def maps(self, files: Sequence[ManifestFile]) -> list[dict[str, pa.Array]]:
        """All of MAPS and MORE_FIELDS of these manifests, which are not kept: for metadata tables."""
        return _side_by_side(lambda f: self._decode(f, {}, {**MORE_FIELDS, **_map_fields(MAPS)})[0], files)

    def _entries_of(self, file: ManifestFile, columns: Sequence[int]) -> RawManifest:
        raw = self._entries.get(file.key)
        missing = [c for c in columns if self._columns.get((file.key, c)) is None]
        if raw is not None and (not missing or self._maps.get(file.key) is not None):
            for column in missing:
                self._metrics_of(file, column)
            return raw
        maps = _map_fields(PRUNING_MAPS) if missing else {}
        decoded, partition = self._decode(file, ENTRY_FIELDS, {**FILE_FIELDS, **maps})
        metrics = {name: decoded.pop(name) for name in maps}
        if maps:
            decoded = {name: _owned(a) for name, a in decoded.items()}
            partition = {id_: _owned(a) for id_, a in partition.items()}
        status = decoded["status"]
        raw = RawManifest(len(status), _checked(decoded, file.path), partition)
        self._entries.put(file.key, raw, raw.nbytes)
        if metrics:
            self._keep_metrics(file, metrics, missing)
        return raw

    def _metrics_of(self, file: ManifestFile, column: int) -> ColumnMetrics:
        found = self._columns.get((file.key, column))
        if found is None:
            maps = self._maps.get(file.key)
            if maps is None:
                maps = self._decode(file, {}, _map_fields(PRUNING_MAPS))[0]
            found = self._keep_metrics(file, maps, [column])[column]
        return found

    def _keep_metrics(self, file: ManifestFile, maps: dict[str, pa.Array], columns: Iterable[int]) -> dict[int, ColumnMetrics]:
        self._maps.put(file.key, maps, sum(a.nbytes for a in maps.values()))
        found = {}
        for column in columns:
            found[column] = column_metrics(maps, column)
            self._columns.put((file.key, column), found[column], found[column].nbytes)
        return found

    def _decode(
        self, file: ManifestFile, entry: Mapping[str, tuple[int, pa.DataType]], data_file: Mapping[str, tuple[int, pa.DataType]]
    ) -> tuple[dict[str, pa.Array], dict[int, pa.Array]]:
        """Fields of the entries, and the partition values by id where entry fields are asked for."""
        with_partition = bool(entry)

        def wanted(header: avro.Header) -> pa.Schema:
            partition = _partition_fields(file, header) if with_partition and file.spec.fields else None
            return _schema(tuple(entry), tuple(data_file), partition)

        try:
            table = avro.read(self._storage, file.path, wanted, avro.Match.ID, immutable=True)
        except MissingFileError as error:
            raise MissingFileError(
                f'a manifest of the snapshot is missing: there is no file "{file.path}"', path=file.path, hint="it was deleted or not copied with the table"
            ) from error
        files = _one(table.column("data_file"))
        columns = {name: _one(table.column(name)) for name in entry} | {name: files.field(name) for name in data_file}
        values = files.field("partition") if with_partition and file.spec.fields else None
        partition = {} if values is None else {int(f.metadata[FIELD_ID]): _child(values, i) for i, f in enumerate(values.type)}
        return columns, partition


_of_storage: WeakKeyDictionary[Storage, Manifests] = WeakKeyDictionary()
_of_storage_lock = threading.Lock()


def manifests_of(storage: Storage) -> Manifests:
    """The decoded manifests of a storage, shared by all its tables."""
    with _of_storage_lock:
        if storage not in _of_storage:
            _of_storage[storage] = Manifests(storage)
        return _of_storage[storage]


class Kept(Generic[V]):
    """Values by key, the least recently used dropped beyond a limit in bytes. Thread-safe."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._values: OrderedDict[Hashable, tuple[V, int]] = OrderedDict()
        self._lock = threading.Lock()
        self.nbytes = 0

    def get(self, key: Hashable) -> V | None:
        with self._lock:
            found = self._values.get(key)
            if found is None:
                return None
            self._values.move_to_end(key)
            return found[0]

    def put(self, key: Hashable, value: V, size_bytes: int) -> None:
        with self._lock:
            earlier = self._values.pop(key, None)
            self._values[key] = (value, size_bytes)
            self.nbytes += size_bytes - (earlier[1] if earlier else 0)
            while self.nbytes > self._limit_bytes and self._values:
                _, (_, dropped) = self._values.popitem(last=False)
                self.nbytes -= dropped


def _side_by_side(work: Callable[[ManifestFile], V], files: Sequence[ManifestFile]) -> list[V]:
    if len(files) <= 1:
        return [work(f) for f in files]
    with ThreadPoolExecutor(min(len(files), (os.cpu_count() or 1) if is_local(files[0].path) else 16)) as pool:
        return list(pool.map(work, files))


def _checked(columns: dict[str, pa.Array], path: str) -> dict[str, pa.Array]:
    """The entries' columns, with what must be there checked, and what version 1 does not have filled in."""
    for name in ("status", "file_path", "file_format"):
        if columns[name].null_count:
            raise MetadataError(f'manifest "{path}" has entries without a {name}')
    columns["content"] = pc.fill_null(columns["content"], 0)
    columns["file_format"] = pc.utf8_lower(columns["file_format"])
    bad = pc.invert(
        pc.and_(pc.is_in(columns["status"], pa.array([EXISTING, ADDED, DELETED], pa.int32())), pc.is_in(columns["content"], pa.array([0, 1, 2], pa.int32())))
    )
    if pc.any(bad).as_py():
        raise MetadataError(f'manifest "{path}" has entries of a status or content that is not 0, 1 or 2')
    return columns


@lru_cache(maxsize=256)
def _schema(entry: tuple[str, ...], data_file: tuple[str, ...], partition: tuple[tuple[str, pa.DataType, int], ...] | None) -> pa.Schema:
    """What is read of a manifest: these fields of its entries and of their files. Manifests of one table share few."""
    fields = [_with_id(n, _ALL_FIELDS[n][1], _ALL_FIELDS[n][0]) for n in data_file]
    if partition is not None:
        fields.append(_with_id("partition", pa.struct([_with_id(*f) for f in partition]), _PARTITION_ID))
    return pa.schema([*(_with_id(n, ENTRY_FIELDS[n][1], ENTRY_FIELDS[n][0]) for n in entry), _with_id("data_file", pa.struct(fields), 2)])


def _partition_fields(file: ManifestFile, header: avro.Header) -> tuple[tuple[str, pa.DataType, int], ...]:
    """Name, type and id of the partition values; types of transforms that are not known are the file's own, as values are only compared with each other."""
    fields = []
    for part in file.spec.fields:
        type_ = value_type(part, file.schemas) or _avro_type(header.schema, part.id, part.name)
        if type_ is not None:
            fields.append((part.name, type_, part.id))
    return tuple(fields)


def _avro_type(schema: Any, id_: int, name: str) -> pa.DataType | None:
    """The Arrow type of a field in a writer's schema, None for one that is not there or no plain value."""
    for field_ in _avro_fields(schema):
        if field_.get("field-id") == id_ or ("field-id" not in field_ and field_.get("name") == name):
            branches = field_.get("type")
            plain = next((b for b in branches if b != "null"), None) if isinstance(branches, list) else branches
            kind = plain.get("type") if isinstance(plain, dict) else plain
            if kind == "fixed" and isinstance(plain, dict) and isinstance(plain.get("size"), int):
                return pa.binary(plain["size"]) if plain.get("logicalType") != "decimal" else None
            return _AVRO_TYPES.get(kind) if isinstance(kind, str) else None
    return None


def _avro_fields(schema: Any) -> Iterable[dict[str, Any]]:
    if isinstance(schema, list):
        for branch in schema:
            yield from _avro_fields(branch)
    elif isinstance(schema, dict):
        for field_ in schema.get("fields") or ():
            if isinstance(field_, dict):
                yield field_
                yield from _avro_fields(field_.get("type"))


def _map_fields(names: Iterable[str]) -> dict[str, tuple[int, pa.DataType]]:
    fields = {}
    for name in names:
        id_, type_ = MAPS[name]
        fields[name] = (id_, pa.list_(pa.field("element", pa.struct([pa.field("key", pa.int32()), pa.field("value", type_)]))))
    return fields


_ALL_FIELDS: Mapping[str, tuple[int, pa.DataType]] = {**FILE_FIELDS, **MORE_FIELDS, **_map_fields(MAPS)}


def _with_id(name: str, type_: pa.DataType, id_: int) -> pa.Field:
    return pa.field(name, type_, metadata={FIELD_ID: str(id_)})


def _child(array: pa.StructArray, index: int) -> pa.Array:
    """A struct's field, null where the struct is."""
    return pc.struct_field(array, [index]) if array.null_count else array.field(index)


def _owned(array: pa.Array) -> pa.Array:
    """A copy. What the decoder gives is one piece of memory, of which an array holds all as long as it lives: entries would keep metric maps ten times their
    size that no limit counts.
    """
    return pa.concat_arrays([array, array[:0]])  # concatenating one array alone does not copy it


def _one(column: pa.ChunkedArray) -> pa.Array:
    if column.num_chunks == 1:  # combining would copy it
        return column.chunk(0)
    combined = column.combine_chunks()
    return combined.chunk(0) if isinstance(combined, pa.ChunkedArray) else combined
