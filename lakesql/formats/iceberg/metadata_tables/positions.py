"""Deleted positions of the snapshot, out of its position delete files and deletion vectors. The one metadata table that reads more than manifests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakesql.formats.iceberg.delete_rows import read_positions
from lakesql.formats.iceberg.deletes import POSITIONS
from lakesql.formats.iceberg.deletion_vectors import Vector, decode
from lakesql.formats.iceberg.entries import Entries
from lakesql.formats.iceberg.manifest_list import DELETES
from lakesql.formats.iceberg.metadata import TableMetadata
from lakesql.formats.iceberg.metadata_tables.files import partition_column, plain_partition
from lakesql.relation import Batches
from lakesql.table import At

if TYPE_CHECKING:
    from lakesql.formats.iceberg.scan import Source
    from lakesql.formats.iceberg.table import IcebergTable

_VECTORS_VERSION = 3


def position_deletes(table: IcebergTable, at: At) -> Batches:
    """One row per deleted position. row: the deleted row, which no writer stores any more, so null; content_offset and size: where a deletion vector is."""
    schema = _schema(table.current_metadata())

    def load() -> pa.Table:
        source = table.snapshot(at).source
        files = [f for f in source.files_of(source.manifest_rows) if f.content == DELETES]
        found = Entries.read(source.manifests, files)
        found = found.narrow(np.asarray(pc.equal(found.column("content"), POSITIONS)) if len(found) else np.zeros(0, np.bool_))
        return _rows(source, found, schema)

    return Batches(schema, load)


def _schema(metadata: TableMetadata) -> pa.Schema:
    partition = plain_partition(metadata)
    return pa.schema(
        [
            ("file_path", pa.string()),
            ("pos", pa.int64()),
            ("row", pa.struct([pa.field(f.name, f.type) for f in metadata.schema.arrow])),
            *([("partition", partition)] if partition.num_fields else []),
            ("spec_id", pa.int32()),
            ("delete_file_path", pa.string()),
            *([("content_offset", pa.int64()), ("content_size_in_bytes", pa.int64())] if metadata.format_version >= _VECTORS_VERSION else []),
        ]
    )


def _rows(source: Source, found: Entries, schema: pa.Schema) -> pa.Table:
    """The positions of each delete file, beside what its manifest says of it."""
    names = ("file_path", "file_format", "referenced_data_file", "content_offset", "content_size_in_bytes", "record_count")
    columns = [found.column(name) for name in names]
    places = source.places.resolve_all(columns[0])
    pieces: list[pa.Table] = []
    numbers: list[np.ndarray] = []
    for number, (path, format_, named, offset, length, records) in enumerate(zip(*(c.to_pylist() for c in columns), strict=True)):
        before = len(pieces)
        if format_ == "puffin":
            vector = Vector(places[number].as_py(), offset, length, records, named or path)
            at = decode(vector, source.storage)
            pieces.append(pa.table({"file_path": pa.array([named] * len(at), pa.string()), "pos": pa.array(at, pa.int64())}))
        else:
            read_positions(source.storage, places[number].as_py(), format_, pieces.append)
        numbers += [np.full(p.num_rows, number, np.int64) for p in pieces[before:]]
    if not pieces:
        return schema.empty_table()
    rows = pa.concat_tables(pieces)
    of = pa.array(np.concatenate(numbers))
    made = {
        "file_path": rows["file_path"],
        "pos": rows["pos"],
        "row": pa.nulls(rows.num_rows, schema.field("row").type),
        "spec_id": found.spec_ids.take(of),
        "delete_file_path": columns[0].take(of),
        "content_offset": columns[3].take(of),
        "content_size_in_bytes": columns[4].take(of),
    }
    if "partition" in schema.names:
        made["partition"] = partition_column(source.metadata, found).take(of)
    return pa.table([made[name] for name in schema.names], schema=schema)
