"""Manifests, from manifest lists: no manifest is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakesql.formats.iceberg.manifest_list import DATA, summaries
from lakesql.formats.iceberg.manifest_list import Manifests as ManifestRows
from lakesql.formats.iceberg.metadata import TableMetadata
from lakesql.formats.iceberg.metadata_tables.text import bounds_as_text
from lakesql.formats.iceberg.spec import value_type
from lakesql.formats.iceberg.travel import Choice
from lakesql.relation import Batches
from lakesql.table import At

if TYPE_CHECKING:
    from lakesql.formats.iceberg.snapshot import IcebergSnapshot
    from lakesql.formats.iceberg.table import IcebergTable

_SUMMARY = pa.struct([("contains_null", pa.bool_()), ("contains_nan", pa.bool_()), ("lower_bound", pa.string()), ("upper_bound", pa.string())])
_COUNTS = ("added", "existing", "deleted")
MANIFESTS = pa.schema(
    [
        ("content", pa.int32()),
        ("path", pa.string()),
        ("length", pa.int64()),
        ("partition_spec_id", pa.int32()),
        ("added_snapshot_id", pa.int64()),
        *((f"{c}_data_files_count", pa.int32()) for c in _COUNTS),
        *((f"{c}_delete_files_count", pa.int32()) for c in _COUNTS),
        ("partition_summaries", pa.list_(_SUMMARY)),
    ]
)
ALL_MANIFESTS = pa.schema([*MANIFESTS, pa.field("reference_snapshot_id", pa.int64()), pa.field("key_metadata", pa.binary())])


def manifests(table: IcebergTable, at: At) -> Batches:
    """The snapshot's manifests."""

    def load() -> pa.Table:
        snapshot = table.snapshot(at)
        return _rows(snapshot.metadata, snapshot.manifest_rows)

    return Batches(MANIFESTS, load)


def all_manifests(table: IcebergTable, at: At) -> Batches:
    """The manifests of every snapshot, one row for each snapshot that lists one."""

    def load() -> pa.Table:
        pieces = []
        for snapshot in snapshots_of(table):
            rows = _rows(snapshot.metadata, snapshot.manifest_rows)
            id_ = snapshot.info.id if snapshot.info is not None and -(2**63) <= snapshot.info.id < 2**63 else None
            rows = rows.append_column("reference_snapshot_id", pa.array([id_] * rows.num_rows, pa.int64()))
            pieces.append(rows.append_column("key_metadata", snapshot.manifest_rows.column("key_metadata")))
        return pa.concat_tables(pieces) if pieces else ALL_MANIFESTS.empty_table()

    return Batches(ALL_MANIFESTS, load)


def snapshots_of(table: IcebergTable) -> list[IcebergSnapshot]:
    """Every snapshot the metadata lists."""
    metadata = table.current_metadata()
    return [table.of(metadata, Choice(info, metadata.schema)) for info in metadata.snapshots]


def _rows(metadata: TableMetadata, rows: ManifestRows) -> pa.Table:
    is_data = pc.equal(rows.column("content"), DATA)
    zero = pa.scalar(0, pa.int32())
    columns = {
        "content": rows.column("content"),
        "path": rows.column("manifest_path"),
        "length": rows.column("manifest_length"),
        "partition_spec_id": rows.column("partition_spec_id"),
        "added_snapshot_id": rows.column("added_snapshot_id"),
        **{f"{c}_data_files_count": pc.if_else(is_data, rows.column(f"{c}_files_count"), zero) for c in _COUNTS},
        **{f"{c}_delete_files_count": pc.if_else(is_data, zero, rows.column(f"{c}_files_count")) for c in _COUNTS},
        "partition_summaries": _summaries(metadata, rows),
    }
    return pa.table(columns, schema=MANIFESTS)


def _summaries(metadata: TableMetadata, rows: ManifestRows) -> pa.Array:
    """The summaries of every manifest, bounds as text: each by the types of its own spec."""
    lists: pa.ListArray = rows.column("partitions")
    lengths = np.asarray(lists.value_lengths().fill_null(0)).astype(np.int64)
    flat = lists.flatten()
    texts = {"lower_bound": np.full(len(flat), None, object), "upper_bound": np.full(len(flat), None, object)}
    starts = np.concatenate(([0], np.cumsum(lengths)))[:-1] if len(lengths) else np.zeros(0, np.int64)
    spec_ids = rows.column("partition_spec_id").to_numpy()
    for spec_id in np.unique(spec_ids).tolist():
        spec = metadata.spec(spec_id, f'manifest list "{rows.source}"')
        for position, field in enumerate(spec.fields):
            chosen = (spec_ids == spec_id) & (lengths > position)
            type_ = value_type(field, metadata.newest_schemas)
            if type_ is None or not chosen.any():
                continue
            found = summaries(rows.where(chosen), position)
            for name, into in texts.items():
                into[starts[chosen] + position] = bounds_as_text(found[name], type_, field.transform)
    values = pa.StructArray.from_arrays(
        [flat.field("contains_null"), flat.field("contains_nan"), *(pa.array(t, pa.string()) for t in texts.values())], fields=list(_SUMMARY)
    )
    return pa.ListArray.from_arrays(pa.array(np.concatenate((starts, [len(flat)])), pa.int32()), values)
