"""Metadata tables made of manifests: files, file_key_ranges, file_indexes, partitions, buckets, manifests, table_indexes. Whole columns at a time; data
files are not looked at.

Files of all levels and buckets are listed, those too that reads do not see. Values are texts as Paimon makes them: rows of partitions in braces, keys in
brackets, statistics by column.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakesql.formats.paimon.binary_row import Rows
from lakesql.formats.paimon.entries import Selection, in_parallel
from lakesql.formats.paimon.index_files import containers, described_indexes
from lakesql.formats.paimon.manifests import INDEX, read_index_manifest
from lakesql.formats.paimon.options import Options
from lakesql.formats.paimon.paths import formats_of
from lakesql.formats.paimon.scan import Source, live_files, manifest_lists
from lakesql.formats.paimon.schemas import TableSchema
from lakesql.formats.paimon.snapshot import PaimonSnapshot
from lakesql.formats.paimon.statistics import file_bounds, manifest_bounds
from lakesql.formats.paimon.types import DataField, DataType
from lakesql.formats.paimon.values import legacy_text
from lakesql.location import join
from lakesql.relation import Batches

_TIME = pa.timestamp("ms")
_PARTITION = ("partition", pa.string())
_KEYS = [
    *(_PARTITION, ("bucket", pa.int32()), ("file_path", pa.string()), ("file_format", pa.string()), ("schema_id", pa.int64()), ("level", pa.int32())),
    *(("record_count", pa.int64()), ("file_size_in_bytes", pa.int64()), ("min_key", pa.string()), ("max_key", pa.string())),
]
FILES = pa.schema(
    [
        *_KEYS,
        *(("null_value_counts", pa.string()), ("min_value_stats", pa.string()), ("max_value_stats", pa.string()), ("min_sequence_number", pa.int64())),
        *(("max_sequence_number", pa.int64()), ("creation_time", _TIME), ("deleteRowCount", pa.int64()), ("file_source", pa.string())),
        *(("first_row_id", pa.int64()), ("write_cols", pa.list_(pa.string()))),
    ]
)
KEY_RANGES = pa.schema([*_KEYS, ("first_row_id", pa.int64())])
PARTITIONS = pa.schema(
    [
        *(_PARTITION, ("record_count", pa.int64()), ("file_size_in_bytes", pa.int64()), ("file_count", pa.int64()), ("last_update_time", _TIME)),
        *(("total_buckets", pa.int32()), ("deleted_record_count", pa.int64())),
    ]
)
BUCKETS = pa.schema(
    [
        _PARTITION,
        ("bucket", pa.int32()),
        ("record_count", pa.int64()),
        ("file_size_in_bytes", pa.int64()),
        ("file_count", pa.int64()),
        ("last_update_time", _TIME),
    ]
)
MANIFESTS = pa.schema(
    [
        *(("file_name", pa.string()), ("file_size", pa.int64()), ("num_added_files", pa.int64()), ("num_deleted_files", pa.int64()), ("schema_id", pa.int64())),
        *(("min_partition_stats", pa.string()), ("max_partition_stats", pa.string()), ("min_row_id", pa.int64()), ("max_row_id", pa.int64())),
    ]
)
INDEXES = pa.schema(
    [
        *(_PARTITION, ("bucket", pa.int32()), ("index_type", pa.string()), ("file_name", pa.string()), ("file_size", pa.int64()), ("row_count", pa.int64())),
        ("dv_ranges", INDEX.field("_DELETIONS_VECTORS_RANGES").type),
        *(("row_range_start", pa.int64()), ("row_range_end", pa.int64()), ("index_field_id", pa.int32()), ("index_field_name", pa.string())),
    ]
)
FILE_INDEXES = pa.schema(
    [
        *(_PARTITION, ("bucket", pa.int32()), ("file_path", pa.string()), ("file_size_in_bytes", pa.int64()), ("record_count", pa.int64())),
        *(("schema_id", pa.int64()), ("column_name", pa.string()), ("index_type", pa.string()), ("storage_type", pa.string())),
        *(("index_file_path", pa.string()), ("index_size_in_bytes", pa.int64()), ("index_container_size_in_bytes", pa.int64()), ("is_empty", pa.bool_())),
    ]
)
_SOURCES = pa.array(["APPEND", "COMPACT"])


def files(snapshot: PaimonSnapshot) -> Batches:
    """One row per live file."""

    def load() -> pa.Table:
        source, found = _everything(snapshot)
        columns = _keys(source, found)
        stats = {f.name: file_bounds(found, source.described, f) for f in source.schema.fields}
        columns["null_value_counts"] = _named({n: s.null_count.cast(pa.string()) for n, s in stats.items()}, len(found))
        for name, side in (("min_value_stats", "lower"), ("max_value_stats", "upper")):
            columns[name] = _named({n: texts(getattr(s, side), source.schema.by_name[n].type) for n, s in stats.items()}, len(found))
        columns["min_sequence_number"] = found.column("_MIN_SEQUENCE_NUMBER")
        columns["max_sequence_number"] = found.column("_MAX_SEQUENCE_NUMBER")
        columns["creation_time"] = found.column("_CREATION_TIME")
        columns["deleteRowCount"] = found.column("_DELETE_ROW_COUNT")
        known = found.column("_FILE_SOURCE")
        columns["file_source"] = _SOURCES.take(pc.if_else(pc.and_(pc.greater_equal(known, 0), pc.less(known, 2)), known, pa.scalar(None, known.type)))
        columns["first_row_id"] = found.column("_FIRST_ROW_ID")
        columns["write_cols"] = found.column("_WRITE_COLS")
        return pa.table([columns[n] for n in FILES.names], schema=FILES)

    return Batches(FILES, load)


def file_key_ranges(snapshot: PaimonSnapshot) -> Batches:
    """One row per live file: where it is, and its keys."""

    def load() -> pa.Table:
        source, found = _everything(snapshot)
        columns = {**_keys(source, found), "first_row_id": found.column("_FIRST_ROW_ID")}
        return pa.table([columns[n] for n in KEY_RANGES.names], schema=KEY_RANGES)

    return Batches(KEY_RANGES, load)


def partitions(snapshot: PaimonSnapshot) -> Batches:
    """One row per partition that has files, sorted. total_buckets: of its newest file; 0 where buckets are not counted."""

    def load() -> pa.Table:
        source, found = _everything(snapshot)
        grouped = _grouped(source, found, ["partition"])
        grouped = grouped.append_column("deleted_record_count", grouped["deletes_sum"])
        names = {
            "record_count": "rows_sum",
            "file_size_in_bytes": "bytes_sum",
            "file_count": "rows_count",
            "last_update_time": "created_max",
            "total_buckets": "buckets_max",
        }
        return pa.table([grouped[names.get(n, n)].cast(PARTITIONS.field(n).type) for n in PARTITIONS.names], schema=PARTITIONS)

    return Batches(PARTITIONS, load)


def buckets(snapshot: PaimonSnapshot) -> Batches:
    """One row per bucket of a partition that has files, sorted."""

    def load() -> pa.Table:
        source, found = _everything(snapshot)
        grouped = _grouped(source, found, ["partition", "bucket"])
        names = {"record_count": "rows_sum", "file_size_in_bytes": "bytes_sum", "file_count": "rows_count", "last_update_time": "created_max"}
        return pa.table([grouped[names.get(n, n)].cast(BUCKETS.field(n).type) for n in BUCKETS.names], schema=BUCKETS)

    return Batches(BUCKETS, load)


def manifests(snapshot: PaimonSnapshot) -> Batches:
    """One row per manifest of the snapshot."""

    def load() -> pa.Table:
        source = snapshot.source
        if source.snapshot is None:
            return MANIFESTS.empty_table()
        lists = manifest_lists(source)
        sides: dict[str, list[pa.Array]] = {"lower": [], "upper": []}
        for field in source.schema.partition_fields:
            bounds = manifest_bounds(lists, source.schema, field.name)
            for side, found in sides.items():
                found.append(texts(getattr(bounds, side), field.type))
        columns = {
            "file_name": lists["_FILE_NAME"],
            "file_size": lists["_FILE_SIZE"],
            "num_added_files": lists["_NUM_ADDED_FILES"],
            "num_deleted_files": lists["_NUM_DELETED_FILES"],
            "schema_id": lists["_SCHEMA_ID"],
            "min_partition_stats": _enclosed(sides["lower"], "{", "}", lists.num_rows),
            "max_partition_stats": _enclosed(sides["upper"], "{", "}", lists.num_rows),
            "min_row_id": lists["_MIN_ROW_ID"],
            "max_row_id": lists["_MAX_ROW_ID"],
        }
        return pa.table([columns[n] for n in MANIFESTS.names], schema=MANIFESTS)

    return Batches(MANIFESTS, load)


def table_indexes(snapshot: PaimonSnapshot) -> Batches:
    """One row per index file of the snapshot: deletion vectors, hash indexes of dynamic buckets, global indexes."""

    def load() -> pa.Table:
        source = snapshot.source
        name = source.snapshot.index_manifest if source.snapshot is not None else None
        if name is None:
            return INDEXES.empty_table()
        index = read_index_manifest(source.paths.storage, join(source.paths.manifests, name)).combine_chunks()
        ranges = index["_GLOBAL_INDEX"].combine_chunks()
        ids = pc.struct_field(ranges, "_INDEX_FIELD_ID")
        columns = {
            "partition": _partition_texts(index["_PARTITION"].combine_chunks(), source.schema),
            "bucket": index["_BUCKET"],
            "index_type": index["_INDEX_TYPE"],
            "file_name": index["_FILE_NAME"],
            "file_size": index["_FILE_SIZE"],
            "row_count": index["_ROW_COUNT"],
            "dv_ranges": index["_DELETIONS_VECTORS_RANGES"],
            "row_range_start": pc.struct_field(ranges, "_ROW_RANGE_START"),
            "row_range_end": pc.struct_field(ranges, "_ROW_RANGE_END"),
            "index_field_id": ids,
            "index_field_name": pa.array([f.name if (f := source.schema.by_id.get(i)) is not None else None for i in ids.to_pylist()], pa.string()),
        }
        return pa.table([columns[n] for n in INDEXES.names], schema=INDEXES)

    return Batches(INDEXES, load)


def file_indexes(snapshot: PaimonSnapshot) -> Batches:
    """One row per index of a column that a live data file has, in its manifest entry or in a file beside it."""

    def load() -> pa.Table:
        source, found = _everything(snapshot)
        held = containers(source.paths, found)
        rows = []
        for number, (size, indexes) in enumerate(in_parallel(lambda c: described_indexes(source.paths, c), held)):
            for index in indexes:
                rows.append((number, index.column, index.kind, len(index.content or b""), size, index.content is None))
        at = pa.array([r[0] for r in rows], pa.int64())
        keys = _keys(source, found.take(np.array([c.file for c in held], np.int64)))
        columns = {
            **{n: keys[n].take(at) for n in FILE_INDEXES.names if n in keys},
            "column_name": [r[1] for r in rows],
            "index_type": [r[2] for r in rows],
            "storage_type": pa.array(["EMBEDDED" if c.path is None else "FILE" for c in held], pa.string()).take(at),
            "index_file_path": pa.array([c.path for c in held], pa.string()).take(at),
            "index_size_in_bytes": [r[3] for r in rows],
            "index_container_size_in_bytes": [r[4] for r in rows],
            "is_empty": [r[5] for r in rows],
        }
        return pa.table([columns[n] for n in FILE_INDEXES.names], schema=FILE_INDEXES)

    return Batches(FILE_INDEXES, load)


def _everything(snapshot: PaimonSnapshot) -> tuple[Source, Selection]:
    """Every live file, whether reads see it or not."""
    source = snapshot.source
    visible = {**source.options.values, "deletion-vectors.enabled": "false", "merge-engine": "deduplicate"}
    whole = replace(source, options=Options(visible), top_only=False)
    return source, live_files(whole, every_bucket=True).files


def _keys(source: Source, found: Selection) -> dict[str, pa.Array]:
    """Where files are, and their keys."""
    return {
        "partition": _partition_texts(found.column("_PARTITION"), source.schema),
        "bucket": found.column("_BUCKET"),
        "file_path": source.paths.data_files(found),
        "file_format": formats_of(found.column("_FILE_NAME")),
        "schema_id": found.column("_SCHEMA_ID"),
        "level": found.column("_LEVEL"),
        "record_count": found.column("_ROW_COUNT"),
        "file_size_in_bytes": found.column("_FILE_SIZE"),
        "min_key": _key_texts(source, found, "_MIN_KEY"),
        "max_key": _key_texts(source, found, "_MAX_KEY"),
    }


def _grouped(source: Source, found: Selection, by: list[str]) -> pa.Table:
    table = pa.table(
        {
            "partition": _partition_texts(found.column("_PARTITION"), source.schema),
            "bucket": found.column("_BUCKET"),
            "rows": found.column("_ROW_COUNT"),
            "bytes": found.column("_FILE_SIZE"),
            "created": found.column("_CREATION_TIME"),
            "buckets": pc.fill_null(found.column("_TOTAL_BUCKETS"), 0),
            "deletes": found.column("_DELETE_ROW_COUNT"),
        }
    )
    sums = [("rows", "sum"), ("rows", "count"), ("bytes", "sum"), ("created", "max"), ("buckets", "max"), ("deletes", "sum")]
    return table.group_by(by).aggregate(sums).sort_by([(n, "ascending") for n in by])


# Texts ---------------------------------------------------------------------------------------------------------------------------------------------


def texts(values: pa.Array, type_: DataType) -> pa.Array:
    """Values as Java writes what Paimon holds of them; null for null."""
    if type_.root in ("TINYINT", "SMALLINT", "INT", "BIGINT"):
        return values.cast(pa.string())
    encoded = pc.dictionary_encode(values)
    return pa.array([legacy_text(v, type_) if v.is_valid else None for v in encoded.dictionary], pa.string()).take(encoded.indices)


def _partition_texts(blobs: pa.Array, schema: TableSchema) -> pa.Array:
    encoded = pc.dictionary_encode(blobs)
    return _row_texts(encoded.dictionary, schema.partition_fields, "{", "}").take(encoded.indices)


def _key_texts(source: Source, found: Selection, name: str) -> pa.Array:
    """Keys in brackets, by the schemas of their files; null for tables without a key."""
    result = pa.nulls(len(found), pa.string())
    if not source.has_key:
        return result
    ids = found.numbers("_SCHEMA_ID")
    for schema_id in np.unique(ids).tolist():
        mask = pa.array(ids == schema_id)
        fields = source.described.schema_of(schema_id).trimmed_primary_key
        result = pc.replace_with_mask(result, mask, _row_texts(found.column(name).filter(mask), fields, "[", "]"))
    return result


def _row_texts(blobs: pa.Array, fields: tuple[DataField, ...], start: str, end: str) -> pa.Array:
    rows = Rows.of(blobs, len(fields), "a row in a manifest")
    return _enclosed([texts(rows.column(i, f.type, strict=False), f.type) for i, f in enumerate(fields)], start, end, len(blobs))


def _enclosed(columns: list[pa.Array], start: str, end: str, length: int) -> pa.Array:
    if not columns:
        return pa.array([start + end] * length, pa.string())
    joined = pc.binary_join_element_wise(*columns, ", ", null_handling="replace", null_replacement="null")
    return pc.binary_join_element_wise(start, joined, end, "")


def _named(columns: dict[str, pa.Array], length: int) -> pa.Array:
    """Values by the names of their columns, sorted: `{a=1, b=null}`."""
    parts = [pc.binary_join_element_wise(f"{n}=", pc.fill_null(columns[n], "null"), "") for n in sorted(columns)]
    return _enclosed(parts, "{", "}", length)
