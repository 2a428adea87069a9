"""Partitions, from manifests: how many files and rows each has. Deletes are counted, not applied."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakesql.formats.iceberg.deletes import EQUALITY, POSITIONS
from lakesql.formats.iceberg.entries import Entries
from lakesql.formats.iceberg.metadata import TableMetadata
from lakesql.formats.iceberg.metadata_tables.files import partition_column, plain_partition
from lakesql.formats.iceberg.metadata_tables.rows import INSTANT, instant, long
from lakesql.relation import Batches, distinct_rows
from lakesql.table import At

if TYPE_CHECKING:
    from lakesql.formats.iceberg.table import IcebergTable

_COUNTS = [
    ("record_count", pa.int64()),
    ("file_count", pa.int32()),
    ("total_data_file_size_in_bytes", pa.int64()),
    ("position_delete_record_count", pa.int64()),
    ("position_delete_file_count", pa.int32()),
    ("equality_delete_record_count", pa.int64()),
    ("equality_delete_file_count", pa.int32()),
]
_LAST = [("last_updated_at", INSTANT), ("last_updated_snapshot_id", pa.int64())]


def partitions(table: IcebergTable, at: At) -> Batches:
    """One row per partition of the snapshot, whatever specs its files are of; spec_id is that of the newest. An unpartitioned table has one row without those
    two columns.
    """
    metadata = table.current_metadata()
    partition = plain_partition(metadata)
    fields = [("partition", partition), ("spec_id", pa.int32())] if partition.num_fields else []
    schema = pa.schema([*fields, *_COUNTS, *_LAST])

    def load() -> pa.Table:
        source = table.snapshot(at).source
        found = Entries.read(source.manifests, source.files_of(source.manifest_rows))
        return _rows(metadata, found, schema)

    return Batches(schema, load)


def _rows(metadata: TableMetadata, found: Entries, schema: pa.Schema) -> pa.Table:
    if not len(found):
        return schema.empty_table()
    partitioned = "partition" in schema.names
    structs = partition_column(metadata, found) if partitioned else None
    keys = pa.table({str(i): structs.field(i) for i in range(structs.type.num_fields)}) if structs is not None else pa.table({})
    codes, _, count = distinct_rows(keys, len(found))
    content = found.column("content").to_numpy()
    records = pc.fill_null(found.column("record_count"), 0).to_numpy()
    sizes = pc.fill_null(found.column("file_size_in_bytes"), 0).to_numpy()

    def total(of: np.ndarray, where: np.ndarray) -> np.ndarray:
        summed = np.zeros(count, np.int64)
        np.add.at(summed, codes[where], of[where])
        return summed

    ones = np.ones(len(found), np.int64)
    data, positions, equality = content == 0, content == POSITIONS, content == EQUALITY
    counts = [total(records, data), total(ones, data), total(sizes, data)]
    counts += [total(records, positions), total(ones, positions), total(records, equality), total(ones, equality)]
    updated, last = _last_updated(metadata, found, codes, count)
    columns = {name: pa.array(values).cast(type_) for (name, type_), values in zip(_COUNTS, counts, strict=True)}
    columns |= {
        "last_updated_at": updated.take(last),
        "last_updated_snapshot_id": pc.if_else(updated.take(last).is_valid(), found.column("snapshot_id").take(last), None),
    }
    if structs is not None:
        columns |= {"partition": structs.take(last), "spec_id": found.spec_ids.take(last)}
    return pa.table([columns[name] for name in schema.names], schema=schema)


def _last_updated(metadata: TableMetadata, found: Entries, codes: np.ndarray, count: int) -> tuple[pa.Array, pa.Array]:
    """When each file's snapshot was committed, null where it has expired; and for each partition its file that came last."""
    known = [(long(s.id), instant(s.timestamp_ms)) for s in metadata.snapshots]
    ids = pa.array([i for i, _ in known], pa.int64())
    times = pa.array([t for _, t in known], pa.int64())
    place = pc.index_in(found.column("snapshot_id"), value_set=ids)
    updated = times.take(place)
    order = np.lexsort((pc.fill_null(updated, -(2**62)).to_numpy(zero_copy_only=False), codes))
    ends = np.searchsorted(codes[order], np.arange(count), side="right") - 1
    return updated.cast(INSTANT), pa.array(order[ends], pa.int64())
