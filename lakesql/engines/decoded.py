"""Data files that engines do not read natively with their row positions - ORC and Avro - as Arrow tables, whole file by whole file. Shared by engines.

ORC is read by pyarrow, Avro by `lakesql.avro`. Only the wanted columns are decoded; what is decoded is held in memory.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakesql.engines.layouts import FIELD_ID, Layout, field_id, layout_of
from lakesql.engines.orc_footer import OrcFooter, read_footer
from lakesql.engines.orc_times import corrected
from lakesql.engines.shape import nulls_inward, plain, shaped
from lakesql.errors import DataFileError, MetadataError
from lakesql.relation import ColumnMatch, FileFormat, Files, default_of
from lakesql.storage import Storage

_ORC_IDS = (b"iceberg.id", b"paimon.id")


def decode(storage: Storage, files: Files) -> pa.Table:
    """All rows of the node's files, as the node describes its output: columns, constants, path, row index.

    Raises DataFileError, MissingFileError.
    """
    paths = files.files.column("path").to_pylist()
    with ThreadPoolExecutor(min(os.cpu_count() or 1, max(1, len(paths)))) as pool:
        tables = list(pool.map(lambda row: _file(storage, files, paths[row], row), range(len(paths))))
    return pa.concat_tables(tables) if tables else files_schema(files).empty_table()


def files_schema(files: Files) -> pa.Schema:
    """The columns a Files node gives, in order."""
    fields = [pa.field(x.name, plain(x.type)) for x in files.schema]
    if files.constants is not None:
        fields += list(files.constants.schema)
    if files.file_path is not None:
        fields.append(pa.field(files.file_path, pa.string()))
    if files.row_index is not None:
        fields.append(pa.field(files.row_index, pa.int64()))
    return pa.schema(fields)


def _file(storage: Storage, files: Files, path: str, row: int) -> pa.Table:
    layout, held, count = _orc(storage, path, files) if files.format is FileFormat.ORC else _avro(storage, path, files)
    columns = {}
    for name, held_field, wanted in zip(held.column_names, layout.held, layout.wanted, strict=True):
        columns[wanted.name] = _fitted(held.column(name), held_field, wanted, path)
    for field in layout.lacks:
        value = files.absent.column(field.name)[row] if files.absent is not None and field.name in files.absent.column_names else default_of(field)
        columns[field.name] = _repeated(value, plain(field.type), count)
    constants = files.constants
    if constants is not None:
        columns |= {n: _repeated(constants.column(n)[row], constants.schema.field(n).type, count) for n in constants.column_names}
    if files.file_path is not None:
        columns[files.file_path] = _repeated(pa.scalar(path), pa.string(), count)
    if files.row_index is not None:
        columns[files.row_index] = pa.array(np.arange(count))
    schema = files_schema(files)
    return pa.table([columns[n] for n in schema.names], schema=schema)


def _orc(storage: Storage, path: str, files: Files) -> tuple[Layout, pa.Table, int]:
    from pyarrow import orc  # few tables have any

    with storage.open(path) as source:
        footer = read_footer(source)
        source.seek(0)
        try:
            file = orc.ORCFile(source)
            held = pa.schema([_with_id(f) for f in file.schema])
            layout = layout_of(path, files, held)
            _check(path, layout, footer)
            rows = file.read(columns=[f.name for f in layout.held]) if len(layout.held) else None
            count = file.nrows
        except (pa.ArrowException, OSError) as error:
            raise DataFileError(f"{path} is no readable ORC file: {error}") from error
    if rows is None:
        return layout, pa.table({}), count
    columns = {h.name: corrected(rows.column(h.name), footer, w) for h, w in zip(layout.held, layout.wanted, strict=True)}
    return layout, pa.table(columns), count


def _check(path: str, layout: Layout, footer: OrcFooter | None) -> None:
    """Refuses what pyarrow would not: it ends the process over a map with a null key, and wraps timestamps that nanoseconds do not reach."""
    if footer is None:
        return
    if footer.null_keys and any(_holds(f.type, pa.types.is_map) for f in layout.held):
        raise DataFileError(f"{path}: a map has a key that is null", hint="Arrow has no such maps: read other columns")
    if footer.beyond_ns and any(_holds(f.type, pa.types.is_timestamp) for f in layout.held):
        raise DataFileError(f"{path}: a timestamp is outside the years 1677 to 2262, beyond which ORC's are not read", hint="read other columns")


def _holds(type_: pa.DataType, is_kind: Callable[[pa.DataType], bool]) -> bool:
    return is_kind(type_) or (pa.types.is_nested(type_) and any(_holds(type_.field(i).type, is_kind) for i in range(type_.num_fields)))


def _with_id(field: pa.Field) -> pa.Field:
    """The field with its id where everyone looks for it; ORC keeps ids among a type's attributes, at every depth."""
    type_ = field.type
    if pa.types.is_struct(type_):
        type_ = pa.struct([_with_id(type_.field(i)) for i in range(type_.num_fields)])
    elif pa.types.is_list(type_):
        type_ = pa.list_(_with_id(type_.value_field))
    elif pa.types.is_map(type_):
        type_ = pa.map_(_with_id(type_.key_field).with_nullable(False), _with_id(type_.item_field))
    metadata = field.metadata or {}
    ids = [metadata[key] for key in _ORC_IDS if key in metadata]
    return pa.field(field.name, type_, field.nullable, metadata={FIELD_ID: ids[0]} if ids else None)


def _avro(storage: Storage, path: str, files: Files) -> tuple[Layout, pa.Table, int]:
    from lakesql import avro  # decodes by the engine's reader; few tables have any

    try:
        header = avro.read_header(storage, path)
        by_id = files.match is ColumnMatch.BY_ID
        known = {f.get("name") if not by_id or "field-id" not in f else f["field-id"] for f in header.schema.get("fields", ())}
        present = [f for f in files.schema if (field_id(f) if by_id and field_id(f) is not None else f.name) in known]
        wanted = pa.schema([pa.field(f.name, plain(f.type) if not by_id else f.type, metadata=f.metadata) for f in present])
        rows = avro.read(storage, path, wanted, avro.Match.ID if by_id else avro.Match.NAME)
    except MetadataError as error:
        raise DataFileError(error.message, hint=error.hint) from error
    names = {f.name for f in present}
    held = pa.schema([pa.field(f.name, plain(f.type)) for f in present])
    layout = Layout(held, pa.schema(present), tuple(f for f in files.schema if f.name not in names))
    return layout, rows, rows.num_rows if present else avro.count(storage, path)


def _fitted(column: pa.ChunkedArray, held: pa.Field, wanted: pa.Field, path: str) -> pa.ChunkedArray:
    """A column as it was decoded, in the type the relation gives it."""
    type_ = plain(wanted.type)
    try:
        chunks = [nulls_inward(_cast(shaped(_cast(chunk, plain(held.type)), held, wanted), type_)) for chunk in column.chunks]
    except pa.ArrowException as error:
        raise DataFileError(f"{path}: column {wanted.name} cannot be read as {type_}: {error}") from error
    return pa.chunked_array(chunks, type_)


def _cast(array: pa.Array, type_: pa.DataType) -> pa.Array:
    """ORC and Avro keep times finer or as numbers: digits below the wanted unit are cut, towards the past."""
    t = pa.types
    if array.type == type_:
        return array
    if t.is_timestamp(type_) and t.is_timestamp(array.type):
        unit = {"s": "second", "ms": "millisecond", "us": "microsecond", "ns": "nanosecond"}[type_.unit]
        return pc.floor_temporal(array, unit=unit).cast(type_)
    if t.is_nested(type_) and t.is_nested(array.type) and array.type.num_fields == type_.num_fields and _same_layout(array.type, type_):
        return array.view(type_)
    return array.cast(type_)


def _same_layout(held: pa.DataType, wanted: pa.DataType) -> bool:
    if not pa.types.is_nested(held):
        return bool(held == wanted)
    if held.id != wanted.id or held.num_fields != wanted.num_fields:
        return False
    return all(_same_layout(held.field(i).type, wanted.field(i).type) for i in range(held.num_fields))


def _repeated(value: pa.Scalar | None, type_: pa.DataType, count: int) -> pa.Array:
    return pa.nulls(count, type_) if value is None or not value.is_valid else pa.repeat(value, count).cast(type_)
