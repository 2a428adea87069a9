"""Metadata tables about data files: files, partitions, deletion_vectors. Whole columns at a time; nothing is read of the files themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakesql.formats.delta.actions import TEXT_MAP, vector_ids
from lakesql.formats.delta.deletion_vectors import file_path
from lakesql.formats.delta.file_bounds import Column, deleted_rows, partition_values, physical_rows, statistics
from lakesql.formats.delta.relate import descriptor_of
from lakesql.formats.delta.scan import live_rows, places
from lakesql.formats.delta.selection import Selection
from lakesql.formats.delta.snapshot import DeltaSnapshot
from lakesql.relation import Batches, distinct_rows

_INSTANT = pa.timestamp("us", tz="UTC")


def files(snapshot: DeltaSnapshot) -> Batches:
    """One row per active file.

    partition: its values, where the table is partitioned. physical_rows: rows in the file; live_rows: after deletes; null where statistics do not say.
    bounds: per column that has statistics its least and greatest value as far as pruning believes them, and the number of nulls; nested fields are called by
    their dotted path.
    """
    fields = [pa.field("path", pa.string()), pa.field("size_bytes", pa.int64())]
    fields += [pa.field("partition", _partition_type(snapshot))] if snapshot.partitions else []
    fields += [
        pa.field("live_rows", pa.int64()),
        pa.field("physical_rows", pa.int64()),
        pa.field("deleted_rows", pa.int64()),
        pa.field("deletion_vector", pa.string()),
        pa.field("modified_at", _INSTANT),
        pa.field("base_row_id", pa.int64()),
        pa.field("default_row_commit_version", pa.int64()),
        pa.field("clustering_provider", pa.string()),
        pa.field("tags", TEXT_MAP),
    ]
    leaves = _leaves(snapshot)
    if leaves:
        fields.append(pa.field("bounds", pa.struct([pa.field(name, _bounds_type(column[1])) for name, column in leaves.items()])))
    schema = pa.schema(fields)

    def load() -> pa.Table:
        chosen = snapshot.files
        columns: dict[str, Any] = {
            "path": places(snapshot.source, chosen),
            "size_bytes": chosen.column("size"),
            "live_rows": live_rows(chosen),
            "physical_rows": physical_rows(chosen),
            "deleted_rows": deleted_rows(chosen),
            "deletion_vector": vector_ids(chosen.column("deletionVector")),
            "modified_at": _instants(chosen.column("modificationTime")),
            "base_row_id": chosen.column("baseRowId"),
            "default_row_commit_version": chosen.column("defaultRowCommitVersion"),
            "clustering_provider": chosen.column("clusteringProvider"),
            "tags": chosen.column("tags"),
        }
        if snapshot.partitions:
            columns["partition"] = _partition(snapshot, chosen)
        if leaves:
            columns["bounds"] = _bounds(chosen, leaves)
        return pa.table([columns[name] for name in schema.names], schema=schema)

    return Batches(schema, load)


def partitions(snapshot: DeltaSnapshot) -> Batches:
    """One row per distinct combination of partition values, with what its files hold; one row for a table that is not partitioned."""
    fields = [pa.field("partition", _partition_type(snapshot))] if snapshot.partitions else []
    fields += [pa.field(n, pa.int64()) for n in ("files", "size_bytes", "live_rows")] + [pa.field("last_modified", _INSTANT)]
    schema = pa.schema(fields)

    def load() -> pa.Table:
        chosen = snapshot.files
        constants = pa.table({p.name: _values(snapshot, chosen, p.name) for p in snapshot.partitions})
        codes, groups, count = distinct_rows(constants, len(chosen))
        modified = _instants(chosen.column("modificationTime"))
        columns: list[pa.Array] = [
            pa.array(np.bincount(codes, minlength=count), pa.int64()),
            _summed(codes, count, chosen.column("size")),
            _summed(codes, count, live_rows(chosen)),
            _latest(codes, count, modified),
        ]
        if snapshot.partitions:
            type_ = schema.field("partition").type
            values = [groups.column(p.name).combine_chunks() for p in snapshot.partitions]
            columns.insert(0, pa.StructArray.from_arrays([_one(v, f.type) for v, f in zip(values, type_, strict=True)], fields=list(type_)))
        return pa.table(columns, schema=schema)

    return Batches(schema, load)


def deletion_vectors(snapshot: DeltaSnapshot) -> Batches:
    """One row per deletion vector: the data file it belongs to, where it is stored (vector_path is null for inline ones), and how many rows it deletes."""
    schema = pa.schema(
        [
            ("path", pa.string()),
            ("storage_type", pa.string()),
            ("vector_path", pa.string()),
            ("offset", pa.int32()),
            ("size_bytes", pa.int32()),
            ("cardinality", pa.int64()),
            ("physical_rows", pa.int64()),
        ]
    )

    def load() -> pa.Table:
        chosen = snapshot.files
        chosen = chosen.narrow(np.asarray(chosen.column("deletionVector").is_valid()))
        vectors = chosen.column("deletionVector")
        columns = [places(snapshot.source, chosen), pc.struct_field(vectors, "storageType")]
        descriptors = [descriptor_of(v) for v in vectors.to_pylist()]
        location, place = snapshot.source.location, snapshot.source.moved.place
        columns.append(pa.array([None if d.storage_type == "i" else file_path(d, location, place) for d in descriptors], pa.string()))
        columns += [pc.struct_field(vectors, name) for name in ("offset", "sizeInBytes", "cardinality")]
        return pa.table([*columns, physical_rows(chosen)], schema=schema)

    return Batches(schema, load)


def detail_of_files(snapshot: DeltaSnapshot) -> dict[str, int | None]:
    """Number, bytes and live rows of the active files."""
    chosen = snapshot.files
    rows = live_rows(chosen)
    return {
        "files": len(chosen),
        "size_bytes": pc.sum(chosen.column("size")).as_py() or 0,
        "live_rows": None if rows.null_count else pc.sum(rows).as_py() or 0,
    }


def _leaves(snapshot: DeltaSnapshot) -> dict[str, Column]:
    """Columns that can have statistics, by dotted logical path: primitive ones, also inside structs, that are no partition columns."""
    found: dict[str, Column] = {}

    def walk(field: pa.Field, path: tuple[str, ...]) -> None:
        if pa.types.is_struct(field.type) and (field.metadata or {}).get(b"delta.type") != b"variant":
            for index in range(field.type.num_fields):
                walk(field.type.field(index), (*path, field.type.field(index).name))
        elif not pa.types.is_nested(field.type) and not pa.types.is_null(field.type):
            column = snapshot.source.column(path)
            if column is not None:
                found[".".join(path)] = column

    partitions_ = {p.name for p in snapshot.partitions}
    for field in snapshot.table_schema.logical:
        if field.name not in partitions_:
            walk(field, (field.name,))
    return found


def _bounds_type(type_: pa.DataType) -> pa.DataType:
    return pa.struct([("lower", type_), ("upper", type_), ("null_count", pa.int64())])


def _bounds(chosen: Selection, leaves: dict[str, Column]) -> pa.Array:
    together = list(leaves.values())
    arrays = []
    for column in leaves.values():
        found = statistics(chosen, column, together)
        arrays.append(pa.StructArray.from_arrays([found.lower, found.upper, found.null_count], fields=list(_bounds_type(column[1]))))
    fields = [pa.field(name, _bounds_type(column[1])) for name, column in leaves.items()]
    return pa.StructArray.from_arrays(arrays, fields=fields)


def _partition_type(snapshot: DeltaSnapshot) -> pa.DataType:
    return pa.struct([(p.name, p.logical_type) for p in snapshot.partitions])


def _partition(snapshot: DeltaSnapshot, chosen: Selection) -> pa.Array:
    return pa.StructArray.from_arrays([_values(snapshot, chosen, p.name) for p in snapshot.partitions], fields=list(_partition_type(snapshot)))


def _values(snapshot: DeltaSnapshot, chosen: Selection, name: str) -> pa.Array:
    info = snapshot.source.partition(name)
    assert info is not None
    return partition_values(chosen, info.physical_name, info.logical_type, column=info.name, source=snapshot.source.log)


def _summed(codes: np.ndarray, count: int, values: pa.Array) -> pa.Array:
    """Sums per group; null for a group with a null in it."""
    sums, unknown = np.zeros(count, np.int64), np.zeros(count, bool)
    np.add.at(sums, codes, np.asarray(pc.fill_null(values, 0)))
    np.logical_or.at(unknown, codes, np.asarray(values.is_null()))
    return pa.array(sums, mask=unknown)


def _latest(codes: np.ndarray, count: int, instants: pa.Array) -> pa.Array:
    """The greatest instant per group; null where there is none."""
    least = np.iinfo(np.int64).min
    latest = np.full(count, least, np.int64)
    np.maximum.at(latest, codes, np.asarray(pc.fill_null(instants.cast(pa.int64()), least)))
    return pa.array(latest, pa.int64(), mask=latest == least).cast(_INSTANT)


def _instants(milliseconds: pa.Array) -> pa.Array:
    """Milliseconds as instants; null for numbers no calendar holds."""
    sane = pc.and_(pc.greater(milliseconds, -(2**53)), pc.less(milliseconds, 2**53))
    known = pc.if_else(sane, milliseconds, pa.scalar(None, pa.int64()))
    return pc.multiply(known, 1000).cast(_INSTANT)


def _one(column: pa.Array | pa.ChunkedArray, type_: pa.DataType) -> pa.Array:
    return column if isinstance(column, pa.Array) else pa.array([], type_)
