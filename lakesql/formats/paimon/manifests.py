"""Manifest lists, manifests and index manifests -> Arrow tables, whatever they are kept as.

Avro today; Parquet and ORC are common in tables of older versions, so the first bytes decide. Fields are found by name: writers of different versions have
fewer or more of them, and a field that a file lacks is null. Source: Paimon, ManifestFileMeta, ManifestEntry, DataFileMeta, IndexManifestEntry.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from lakesql import avro
from lakesql.errors import MetadataError, MissingFileError, UnsupportedFeatureError
from lakesql.storage import Storage

STATS = pa.struct([("_MIN_VALUES", pa.binary()), ("_MAX_VALUES", pa.binary()), ("_NULL_COUNTS", pa.list_(pa.int64()))])
"""Bounds of the columns of a file, or of the partitions of a manifest: two rows, and the number of nulls in each column."""

LIST = pa.schema(
    [
        ("_VERSION", pa.int32()),
        ("_FILE_NAME", pa.string()),
        ("_FILE_SIZE", pa.int64()),
        ("_NUM_ADDED_FILES", pa.int64()),
        ("_NUM_DELETED_FILES", pa.int64()),
        ("_PARTITION_STATS", STATS),
        ("_SCHEMA_ID", pa.int64()),
        ("_MIN_BUCKET", pa.int32()),
        ("_MAX_BUCKET", pa.int32()),
        ("_MIN_LEVEL", pa.int32()),
        ("_MAX_LEVEL", pa.int32()),
        ("_MIN_ROW_ID", pa.int64()),
        ("_MAX_ROW_ID", pa.int64()),
    ]
)
"""A manifest list: one row per manifest."""

_FILE = pa.schema(
    [
        ("_FILE_NAME", pa.string()),
        ("_FILE_SIZE", pa.int64()),
        ("_ROW_COUNT", pa.int64()),
        ("_MIN_KEY", pa.binary()),
        ("_MAX_KEY", pa.binary()),
        ("_KEY_STATS", STATS),
        ("_VALUE_STATS", STATS),
        ("_MIN_SEQUENCE_NUMBER", pa.int64()),
        ("_MAX_SEQUENCE_NUMBER", pa.int64()),
        ("_SCHEMA_ID", pa.int64()),
        ("_LEVEL", pa.int32()),
        ("_EXTRA_FILES", pa.list_(pa.string())),
        ("_CREATION_TIME", pa.timestamp("ms")),
        ("_DELETE_ROW_COUNT", pa.int64()),
        ("_EMBEDDED_FILE_INDEX", pa.binary()),
        ("_FILE_SOURCE", pa.int32()),
        ("_VALUE_STATS_COLS", pa.list_(pa.string())),
        ("_EXTERNAL_PATH", pa.string()),
        ("_FIRST_ROW_ID", pa.int64()),
        ("_WRITE_COLS", pa.list_(pa.string())),
    ]
)
_ENTRY_HEAD = [("_VERSION", pa.int32()), ("_KIND", pa.int32()), ("_PARTITION", pa.binary()), ("_BUCKET", pa.int32()), ("_TOTAL_BUCKETS", pa.int32())]
_ENTRY = pa.schema([*_ENTRY_HEAD, ("_FILE", pa.struct(list(_FILE)))])
ENTRY = pa.schema([*_ENTRY_HEAD, *_FILE])
"""A manifest: one row per file added (`_KIND` 0) or deleted (1)."""

INDEX = pa.schema(
    [
        ("_VERSION", pa.int32()),
        ("_KIND", pa.int32()),
        ("_PARTITION", pa.binary()),
        ("_BUCKET", pa.int32()),
        ("_INDEX_TYPE", pa.string()),
        ("_FILE_NAME", pa.string()),
        ("_FILE_SIZE", pa.int64()),
        ("_ROW_COUNT", pa.int64()),
        ("_DELETIONS_VECTORS_RANGES", pa.list_(pa.struct([("f0", pa.string()), ("f1", pa.int32()), ("f2", pa.int32()), ("_CARDINALITY", pa.int64())]))),
        ("_EXTERNAL_PATH", pa.string()),
        (
            "_GLOBAL_INDEX",
            pa.struct(
                [
                    ("_ROW_RANGE_START", pa.int64()),
                    ("_ROW_RANGE_END", pa.int64()),
                    ("_INDEX_FIELD_ID", pa.int32()),
                    ("_EXTRA_FIELD_IDS", pa.list_(pa.int32())),
                    ("_INDEX_META", pa.binary()),
                ]
            ),
        ),
    ]
)
"""An index manifest: one row per index file; the whole of its snapshot's."""

ADD, DELETE = 0, 1

_TOGETHER = 16
"""Manifests that are decoded side by side: what decoding takes beside its result is taken for no more of them at once."""


def read_list(storage: Storage, path: str) -> pa.Table:
    """A manifest list as LIST. Raises MissingFileError, MetadataError, UnsupportedFeatureError."""
    [table] = _read(storage, [path], LIST)
    return _checked(table, path, "manifest list", 2, ("_FILE_NAME",))


def read_manifests(storage: Storage, paths: Sequence[str]) -> list[pa.Table]:
    """Manifests as ENTRY, each in one piece, in the order of `paths`; files are read side by side. Raises as read_list."""
    tables: list[pa.Table] = []
    for start in range(0, len(paths), _TOGETHER):
        group = paths[start : start + _TOGETHER]
        tables += map(_entries, group, _read(storage, group, _ENTRY))
    return tables


def _entries(path: str, nested: pa.Table) -> pa.Table:
    """A manifest as ENTRY."""
    file = _one(nested["_FILE"])
    if file.null_count:
        raise MetadataError(f'"{path}": an entry names no file')
    table = pa.table([_one(nested[f.name]) for f in _ENTRY if f.name != "_FILE"] + file.flatten(), schema=ENTRY)
    needed = ("_KIND", "_PARTITION", "_BUCKET", "_FILE_NAME", "_FILE_SIZE", "_ROW_COUNT", "_SCHEMA_ID", "_LEVEL")
    _checked(table, path, "manifest", 2, needed)
    kinds = pc.unique(table["_KIND"]).to_pylist()
    if not set(kinds) <= {ADD, DELETE}:
        raise MetadataError(f'"{path}": an entry is of kind {next(k for k in kinds if k not in (ADD, DELETE))}; kinds are 0 (added) and 1 (deleted)')
    return table


def read_index_manifest(storage: Storage, path: str) -> pa.Table:
    """An index manifest as INDEX, deleted entries left out. Raises as read_list."""
    [table] = _read(storage, [path], INDEX)
    _checked(table, path, "index manifest", 1, ("_KIND", "_PARTITION", "_BUCKET", "_INDEX_TYPE", "_FILE_NAME"))
    return table.filter(pc.equal(table["_KIND"], ADD))


def _checked(table: pa.Table, path: str, what: str, version: int, needed: Sequence[str]) -> pa.Table:
    for name in needed:
        if table[name].null_count:
            raise MetadataError(f'"{path}": an entry of this {what} has no {name}')
    wrong = table.filter(pc.not_equal(pc.fill_null(table["_VERSION"], version), version))
    if wrong.num_rows:
        found = wrong["_VERSION"][0].as_py()
        raise UnsupportedFeatureError(f'"{path}" has entries of version {found}; lakesql reads {what}s of version {version}', feature=f"{what} version {found}")
    return table


# Kinds of files ------------------------------------------------------------------------------------------------------------------------------------


def _read(storage: Storage, paths: Sequence[str], schema: pa.Schema) -> list[pa.Table]:
    """Each file as `schema`. A list's files are mostly of one kind, and Avro ones are decoded side by side."""
    readers = [_reader(storage, path) for path in paths]
    if all(r is None for r in readers):
        return [t.combine_chunks() for t in avro.read_all(storage, paths, schema)]
    return [avro.read(storage, p, schema) if r is None else _columnar(storage, p, r, schema) for p, r in zip(paths, readers, strict=True)]


def _reader(storage: Storage, path: str) -> Callable[[pa.NativeFile], pa.Table] | None:
    """What reads a file that is not Avro, by its first bytes."""
    size = storage.size(path)
    if size is None:
        raise MissingFileError(
            f'there is no manifest file "{path}"', path=path, hint="metadata was deleted outside Paimon, or the snapshot expired while it was read"
        )
    magic = storage.read_range(path, 0, min(size, 4))
    if magic == b"PAR1":
        return _parquet
    return _orc if magic[:3] == b"ORC" else None


def _parquet(file: pa.NativeFile) -> pa.Table:
    import pyarrow.parquet as pq  # only old tables need it

    return pq.ParquetFile(file).read()


def _orc(file: pa.NativeFile) -> pa.Table:
    import pyarrow.orc as orc  # only old tables need it

    return orc.ORCFile(file).read()


def _columnar(storage: Storage, path: str, read: Callable[[pa.NativeFile], pa.Table], schema: pa.Schema) -> pa.Table:
    try:
        with storage.open(path) as file:
            table = read(file)
        return pa.table([_as(_one(table[f.name]) if f.name in table.column_names else None, f.type, table.num_rows) for f in schema], schema=schema)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise MetadataError(f'"{path}" cannot be decoded: {str(error)[:300]}', hint="the file is damaged, or was not written whole") from error


def _as(array: pa.Array | None, type_: pa.DataType, length: int) -> pa.Array:
    """The array as another type, fields of structs by name."""
    if array is None:
        return pa.nulls(length, type_)
    if pa.types.is_struct(type_):
        held = {array.type.field(i).name: child for i, child in enumerate(array.flatten())}
        children = [_as(held.get(f.name), f.type, len(array)) for f in type_]
        return pa.StructArray.from_arrays(children, fields=list(type_), mask=array.is_null())
    if pa.types.is_list(type_):
        values = _as(array.flatten(), type_.value_type, len(array.flatten()))
        lengths = pc.fill_null(pc.list_value_length(array), 0)
        offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(lengths).cast(pa.int32())])
        return pa.ListArray.from_arrays(offsets, values, mask=array.is_null()).cast(type_)
    return array.cast(type_) if array.type != type_ else array


def _one(column: pa.ChunkedArray) -> pa.Array:
    combined = column.combine_chunks()
    return combined if isinstance(combined, pa.Array) else combined.chunk(0) if combined.num_chunks else pa.array([], column.type)
