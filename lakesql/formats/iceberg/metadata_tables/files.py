"""Files and manifest entries, from manifests, as columns throughout.

A file stands here as its manifest names it. Bounds are shown twice: as maps of bytes, and under `readable_metrics` by column and in the column's type.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakesql.formats.iceberg import hidden
from lakesql.formats.iceberg.entries import Entries, concat
from lakesql.formats.iceberg.manifest import MORE_FIELDS, ManifestFile
from lakesql.formats.iceberg.manifest_list import DATA, DELETES
from lakesql.formats.iceberg.metadata import TableMetadata
from lakesql.formats.iceberg.metadata_tables.manifests import snapshots_of
from lakesql.formats.iceberg.metrics import MAPS, value_of
from lakesql.formats.iceberg.scan import Source
from lakesql.formats.iceberg.schema import Schema
from lakesql.formats.iceberg.single_values import decode, has_bounds
from lakesql.formats.iceberg.types import VARIANT, Primitive
from lakesql.relation import Batches
from lakesql.table import At, Latest

if TYPE_CHECKING:
    from lakesql.formats.iceberg.table import IcebergTable

_COUNTS = {"column_size": "column_sizes", "value_count": "value_counts", "null_value_count": "null_value_counts", "nan_value_count": "nan_value_counts"}
_BOUNDS = {"lower_bound": "lower_bounds", "upper_bound": "upper_bounds"}
_ENTRY = [("status", pa.int32()), ("snapshot_id", pa.int64()), ("sequence_number", pa.int64()), ("file_sequence_number", pa.int64())]


def files(table: IcebergTable, at: At) -> Batches:
    """Data and delete files that are part of the snapshot."""
    return _files(table, lambda: _of_snapshot(table, at, (DATA, DELETES)))


def data_files(table: IcebergTable, at: At) -> Batches:
    """Data files that are part of the snapshot."""
    return _files(table, lambda: _of_snapshot(table, at, (DATA,)))


def delete_files(table: IcebergTable, at: At) -> Batches:
    """Delete files that are part of the snapshot."""
    return _files(table, lambda: _of_snapshot(table, at, (DELETES,)))


def all_files(table: IcebergTable, at: At) -> Batches:
    """Data and delete files of every snapshot; a file comes once for each manifest that lists it."""
    return _files(table, lambda: _of_all(table, (DATA, DELETES)))


def all_data_files(table: IcebergTable, at: At) -> Batches:
    """Data files of every snapshot."""
    return _files(table, lambda: _of_all(table, (DATA,)))


def all_delete_files(table: IcebergTable, at: At) -> Batches:
    """Delete files of every snapshot."""
    return _files(table, lambda: _of_all(table, (DELETES,)))


def entries(table: IcebergTable, at: At) -> Batches:
    """Every entry of the snapshot's manifests, deleted ones too."""
    return _entries(table, lambda: _of_snapshot(table, at, (DATA, DELETES)))


def all_entries(table: IcebergTable, at: At) -> Batches:
    """Every entry of the manifests of all snapshots, each manifest once."""
    return _entries(table, lambda: _of_all(table, (DATA, DELETES)))


@dataclass(frozen=True)
class Listed:
    """Manifests, and what their files are of."""

    source: Source
    manifests: Sequence[ManifestFile]

    def entries(self, *, only_live: bool) -> Entries:
        """What they list."""
        return Entries.read(self.source.manifests, self.manifests, only_live=only_live)


def _of_snapshot(table: IcebergTable, at: At, contents: tuple[int, ...]) -> Listed:
    source = table.snapshot(at).source
    return Listed(source, [f for f in source.files_of(source.manifest_rows) if f.content in contents])


def _of_all(table: IcebergTable, contents: tuple[int, ...]) -> Listed:
    found: dict[str, ManifestFile] = {}
    for snapshot in snapshots_of(table):
        for file in snapshot.source.files_of(snapshot.manifest_rows):
            if file.content in contents:
                found.setdefault(file.path, file)
    return Listed(table.snapshot(Latest()).source, list(found.values()))


def _files(table: IcebergTable, find: Callable[[], Listed]) -> Batches:
    metadata = table.current_metadata()
    schema = pa.schema([*file_fields(metadata), pa.field("readable_metrics", readable_type(metadata.schema))])

    def load() -> pa.Table:
        listed = find()
        found = listed.entries(only_live=True)
        maps = _maps(listed.source, found)
        columns = _file_columns(metadata, found, maps)
        return pa.table([*columns, _readable(metadata.schema, maps, len(found))], schema=schema)

    return Batches(schema, load)


def _entries(table: IcebergTable, find: Callable[[], Listed]) -> Batches:
    metadata = table.current_metadata()
    file = pa.struct(file_fields(metadata, with_spec=False))
    schema = pa.schema([*_ENTRY, pa.field("data_file", file), pa.field("readable_metrics", readable_type(metadata.schema))])

    def load() -> pa.Table:
        listed = find()
        found = listed.entries(only_live=False)
        maps = _maps(listed.source, found)
        columns = _file_columns(metadata, found, maps, with_spec=False)
        struct = pa.StructArray.from_arrays(columns, fields=list(file))
        return pa.table([*(found.column(n) for n, _ in _ENTRY), struct, _readable(metadata.schema, maps, len(found))], schema=schema)

    return Batches(schema, load)


# The columns of a file -----------------------------------------------------------------------------------------------------------------------------------


def file_fields(metadata: TableMetadata, *, with_spec: bool = True) -> list[pa.Field]:
    """What is shown of a file; partition is left out where no spec has a field."""
    partition = plain_partition(metadata)
    maps = [pa.field(name, pa.map_(pa.int32(), type_)) for name, (_, type_) in MAPS.items()]
    return [
        pa.field("content", pa.int32()),
        pa.field("file_path", pa.string()),
        pa.field("file_format", pa.string()),
        *([pa.field("spec_id", pa.int32())] if with_spec else []),
        *([pa.field("partition", partition)] if partition.num_fields else []),
        pa.field("record_count", pa.int64()),
        pa.field("file_size_in_bytes", pa.int64()),
        *maps,
        pa.field("key_metadata", pa.binary()),
        pa.field("split_offsets", pa.list_(pa.int64())),
        pa.field("equality_ids", pa.list_(pa.int32())),
        pa.field("sort_order_id", pa.int32()),
        pa.field("first_row_id", pa.int64()),
        pa.field("referenced_data_file", pa.string()),
        pa.field("content_offset", pa.int64()),
        pa.field("content_size_in_bytes", pa.int64()),
    ]


def plain_partition(metadata: TableMetadata) -> pa.DataType:
    """The struct of all partition fields, without ids."""
    type_ = hidden.unified_partition(metadata)
    return pa.struct([pa.field(type_.field(i).name, type_.field(i).type) for i in range(type_.num_fields)])


def partition_column(metadata: TableMetadata, found: Entries) -> pa.Array:
    """The tuples of these files, as `plain_partition`."""
    type_ = hidden.unified_partition(metadata)
    structs = hidden.partition_structs(found, type_)
    return pa.StructArray.from_arrays([structs.field(i) for i in range(type_.num_fields)], fields=list(plain_partition(metadata)))


def _file_columns(metadata: TableMetadata, found: Entries, maps: dict[str, pa.Array], *, with_spec: bool = True) -> list[pa.Array]:
    columns = []
    for field in file_fields(metadata, with_spec=with_spec):
        match field.name:
            case "spec_id":
                column = found.spec_ids
            case "partition":
                column = partition_column(metadata, found)
            case "file_format":
                column = pc.utf8_upper(found.column("file_format"))
            case name if name in MAPS:
                column = _as_map(maps[name], field.type)
            case name if name in MORE_FIELDS:
                column = maps[name]
            case name:
                column = found.column(name)
        columns.append(column if column.type == field.type else column.cast(field.type))
    return columns


def _maps(source: Source, found: Entries) -> dict[str, pa.Array]:
    """The metric maps of these files, and MORE_FIELDS."""
    decoded = source.manifests.maps([part.file for part in found.parts])
    types = {**{n: pa.list_(pa.struct([("key", pa.int32()), ("value", t)])) for n, (_, t) in MAPS.items()}, **{n: t for n, (_, t) in MORE_FIELDS.items()}}
    return {name: concat([part.take(maps[name]) for part, maps in zip(found.parts, decoded, strict=True)], type_) for name, type_ in types.items()}


def _as_map(lists: pa.ListArray, type_: pa.DataType) -> pa.Array:
    """Lists of key and value as a map; an entry whose key is null, which no map may have, is left out with its map."""
    if lists.offset:
        lists = lists.take(pa.array(np.arange(len(lists))))
    keys, items = lists.values.field(0), lists.values.field(1)
    if keys.null_count:
        return pa.nulls(len(lists), type_)
    entries_ = pa.StructArray.from_arrays([keys, items], fields=[type_.key_field, type_.item_field])
    return pa.Array.from_buffers(type_, len(lists), lists.buffers()[:2], null_count=lists.null_count, children=[entries_])


# Metrics by column ---------------------------------------------------------------------------------------------------------------------------------------


def _leaves(schema: Schema) -> list[tuple[str, int, Primitive]]:
    """Columns and nested fields with metrics, by whole name: id and type."""
    found = []
    for id_, chain in schema.chains.items():
        type_ = chain[-1].type
        if isinstance(type_, Primitive) and type_.name != VARIANT and has_bounds(type_.arrow):
            found.append((".".join(f.name for f in chain), id_, type_))
    return sorted(found)


def readable_type(schema: Schema) -> pa.DataType:
    """The type of `readable_metrics`: a struct with one struct per column."""
    return pa.struct([pa.field(name, _metrics_type(type_.arrow)) for name, _, type_ in _leaves(schema)])


def _metrics_type(type_: pa.DataType) -> pa.DataType:
    return pa.struct([*((name, pa.int64()) for name in _COUNTS), *((name, type_) for name in _BOUNDS)])


def _readable(schema: Schema, maps: dict[str, pa.Array], count: int) -> pa.Array:
    leaves = _leaves(schema)
    if not leaves:
        return pa.nulls(count, readable_type(schema))
    columns = []
    for _, id_, type_ in leaves:
        counts = [value_of(maps[name], id_) for name in _COUNTS.values()]
        bounds = [_typed(decode(value_of(maps[name], id_), type_.arrow), type_.arrow) for name in _BOUNDS.values()]
        columns.append(pa.StructArray.from_arrays([*counts, *bounds], fields=list(_metrics_type(type_.arrow))))
    return pa.StructArray.from_arrays(columns, fields=list(readable_type(schema)))


def _typed(bounds: pa.Array, type_: pa.DataType) -> pa.Array:
    """Bounds as values of the column's type that can be shown: text that is text, bytes of the right number."""
    if pa.types.is_string(type_):
        try:
            bounds.validate(full=True)
        except pa.ArrowInvalid:
            return pa.array([None if b is None else b.decode("utf-8", "replace") for b in bounds.view(pa.binary()).to_pylist()], type_)
        return bounds
    if pa.types.is_fixed_size_binary(type_):
        fits = pc.equal(pc.binary_length(bounds), type_.byte_width)
        return pc.if_else(pc.fill_null(fits, False), bounds, pa.scalar(None, pa.binary())).cast(type_)
    return bounds
