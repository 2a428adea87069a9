"""Rows of a relation by the plainest means: pyarrow and Python, row by row where that is simplest. The tests' own reading of `relation.py`, for relations of
small tables.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.orc as orc
import pyarrow.parquet as pq

from lakesql import avro
from lakesql.errors import DataFileError, MissingFileError
from lakesql.relation import (
    VARIANT_AS_JSON,
    Batches,
    CastTo,
    Col,
    ColumnMatch,
    Expression,
    FileFormat,
    Files,
    Filter,
    FirstNonNull,
    Mapped,
    Project,
    Relabel,
    Relation,
    Sum,
    Union,
    Value,
    WithoutKeys,
    WithoutPositions,
    default_of,
)
from lakesql.storage import Storage
from lakesql.variant import to_json

ID = b"PARQUET:field_id"


def rows(relation: Relation, storage: Storage) -> pa.Table:
    """The relation's rows."""
    match relation:
        case Files():
            return _files(relation, storage)
        case Batches(schema, load):
            return load().cast(schema)
        case Project(input_, names, expressions):
            table = rows(input_, storage)
            if not names:  # a table without columns does not say how many rows it has
                return pa.table({"": pa.nulls(table.num_rows)})
            return pa.table([_value(e, table) for e in expressions], names=list(names))
        case Filter(input_, where):
            table = rows(input_, storage)
            return table.filter(table[where])
        case Union(inputs):
            return pa.concat_tables([rows(i, storage) for i in inputs], promote_options="none")
        case WithoutPositions(input_, deletes, file_path, row_index):
            gone = set(zip(*(rows(deletes, storage)[n].to_pylist() for n in ("path", "position")), strict=True))
            table = rows(input_, storage)
            there = [key not in gone for key in zip(table[file_path].to_pylist(), table[row_index].to_pylist(), strict=True)]
            return table.filter(pa.array(there, pa.bool_()))
        case WithoutKeys(input_, deletes, on, newer):
            return _without_keys(rows(input_, storage), rows(deletes, storage), on, newer)
        case _:
            raise AssertionError(f"no plain reading of {type(relation).__name__}")


def _value(expression: Expression, table: pa.Table) -> pa.Array:
    match expression:
        case Col(name):
            return _one(table[name])
        case Value(scalar):
            return pa.nulls(table.num_rows, scalar.type) if not scalar.is_valid else pa.repeat(scalar, table.num_rows)
        case CastTo(inner, type_):
            return _value(inner, table).cast(type_)
        case Relabel(inner, type_):
            return _value(inner, table).view(type_)
        case FirstNonNull(inputs):
            return pc.coalesce(*(_value(i, table) for i in inputs))
        case Sum(left, right):
            return pc.add(_value(left, table), _value(right, table))
        case Mapped(inner, function, type_):
            made = function(_value(inner, table))
            assert made.type == type_, (made.type, type_)
            return made
    raise AssertionError(expression)


# Deletes by key ------------------------------------------------------------------------------------------------------------------------------------------


def _without_keys(table: pa.Table, deletes: pa.Table, on: Sequence[str], newer: tuple[str, str] | None) -> pa.Table:
    newest: dict[tuple[Any, ...], int] = defaultdict(lambda: -1)
    sequences = deletes[newer[1]].to_pylist() if newer else [1] * deletes.num_rows
    for key, sequence in zip(_keys(deletes, on), sequences, strict=True):
        newest[key] = max(newest[key], sequence)
    own = table[newer[0]].to_pylist() if newer else [0] * table.num_rows
    return table.filter(pa.array([newest.get(key, -1) <= sequence for key, sequence in zip(_keys(table, on), own, strict=True)], pa.bool_()))


def _keys(table: pa.Table, on: Sequence[str]) -> list[tuple[Any, ...]]:
    if not table.num_rows:
        return []
    return list(zip(*([_plain(v) for v in table[name]] for name in on), strict=True))


def _plain(value: pa.Scalar) -> Any:
    """Equal where keys are equal: floats by their bits with one NaN, the rest by value."""
    if not value.is_valid:
        return None
    if pa.types.is_floating(value.type):
        number = value.as_py()
        return "NaN" if number != number else (number, str(number))
    return value.value if pa.types.is_timestamp(value.type) else value.as_py()


# Files ---------------------------------------------------------------------------------------------------------------------------------------------------


def _files(files: Files, storage: Storage) -> pa.Table:
    pieces = []
    for number, path in enumerate(files.files["path"].to_pylist()):
        if storage.size(path) is None:
            raise MissingFileError(f"data file {path} is not there", path=path)
        held = _read(path, files, storage)
        absent = {} if files.absent is None else {n: files.absent[n][number] for n in files.absent.column_names}
        arrays = _columns(files, held, absent, path)
        if files.constants is not None:
            arrays |= {
                n: pa.repeat(files.constants[n][number], held.num_rows)
                if files.constants[n][number].is_valid
                else pa.nulls(held.num_rows, files.constants[n].type)
                for n in files.constants.column_names
            }
        if files.file_path is not None:
            arrays[files.file_path] = pa.repeat(pa.scalar(path), held.num_rows)
        if files.row_index is not None:
            arrays[files.row_index] = pa.array(range(held.num_rows), pa.int64())
        pieces.append(pa.table(arrays or {"": pa.nulls(held.num_rows)}))
    if pieces:
        return pa.concat_tables(pieces)
    fields = [pa.field(f.name, bare(f.type)) for f in files.schema]
    fields += list(files.constants.schema) if files.constants is not None else []
    fields += [pa.field(n, t) for n, t in ((files.file_path, pa.string()), (files.row_index, pa.int64())) if n is not None]
    return pa.schema(fields).empty_table()


def _read(path: str, files: Files, storage: Storage) -> pa.Table:
    match files.format:
        case FileFormat.PARQUET:
            return pq.ParquetFile(path, coerce_int96_timestamp_unit="us").read()
        case FileFormat.ORC:
            file = orc.ORCFile(path)
            return _with_orc_ids(file.read())
        case FileFormat.AVRO:
            schema = _avro_schema(avro.read_header(storage, path).schema)
            return avro.read(storage, path, schema, avro.Match.NAME)


def _columns(files: Files, held: pa.Table, absent: Mapping[str, pa.Scalar], path: str) -> dict[str, pa.Array]:
    fields = list(held.schema)
    has_ids = any(_has_ids(f) for f in fields)
    arrays = {}
    for position, field in enumerate(files.schema):
        find = _finder(files, has_ids, path)
        index = _index(field, fields, find)
        if index is None or (not has_ids and field.name in absent):
            if field.name in absent:
                value = absent[field.name]
                arrays[field.name] = pa.nulls(held.num_rows, bare(field.type)) if not value.is_valid else pa.repeat(value, held.num_rows)
            else:
                arrays[field.name] = _default(field, held.num_rows)
        else:
            arrays[field.name] = _shaped(_one(held.column(index)), field, find)
        del position
    return arrays


def _finder(files: Files, has_ids: bool, path: str) -> Any:
    def id_of(field: pa.Field) -> int | None:
        text = (field.metadata or {}).get(ID)
        return None if text is None else int(text)

    def find(field: pa.Field, among: Sequence[pa.Field], top: bool = True) -> int | None:
        if files.match is ColumnMatch.BY_NAME or id_of(field) is None:
            return next((i for i, f in enumerate(among) if f.name == field.name), None)
        if has_ids:
            return next((i for i, f in enumerate(among) if id_of(f) == id_of(field)), None)
        if files.fallback_names is not None:
            return next((i for i, f in enumerate(among) if f.name in files.fallback_names.get(id_of(field), ())), None)
        if files.fallback_by_position and top:
            return id_of(field) - 1 if id_of(field) <= len(among) else None
        if files.fallback_by_name or files.fallback_by_position:
            return next((i for i, f in enumerate(among) if f.name == field.name), None)
        raise DataFileError(f"{path} has no field ids")

    return find


def _index(field: pa.Field, among: Sequence[pa.Field], find: Any) -> int | None:
    """Where the field is among the held ones; a struct that shares no field with the held one is not there."""
    index = find(field, among)
    if index is not None and pa.types.is_struct(field.type) and pa.types.is_struct(among[index].type):
        below = list(among[index].type)
        if all(_index(child, below, lambda f, a, top=False: find(f, a, False)) is None for child in field.type):
            return None
    return index


def _shaped(array: pa.Array, field: pa.Field, find: Any) -> pa.Array:
    if (field.metadata or {}).items() >= VARIANT_AS_JSON.items():
        return to_json(array)
    type_ = field.type
    if pa.types.is_struct(type_):
        held = [array.type.field(i) for i in range(array.type.num_fields)]
        children = []
        for child in type_:
            index = _index(child, held, lambda f, a, top=False: find(f, a, top))
            values = _default(child, len(array)) if index is None else _shaped(pc.struct_field(array, [index]), child, find)
            children.append(values)
        return pa.StructArray.from_arrays(children, names=[f.name for f in type_], mask=array.is_null())
    if pa.types.is_list(type_):
        wanted = bare(type_)
        lists = [None if not v.is_valid else _shaped(_of(v.values, array.type.value_type), type_.value_field, find).to_pylist() for v in array]
        return pa.array(lists, wanted)
    if pa.types.is_map(type_):
        maps = []
        for v in array:
            if not v.is_valid:
                maps.append(None)
                continue
            pairs = v.values
            keys = _shaped(_of(pairs.field(0), array.type.key_type), type_.key_field, find).to_pylist()
            maps.append(list(zip(keys, _shaped(_of(pairs.field(1), array.type.item_type), type_.item_field, find).to_pylist(), strict=True)))
        return pa.array(maps, bare(type_))
    if pa.types.is_timestamp(type_) and pa.types.is_timestamp(array.type):
        return array.cast(pa.timestamp(type_.unit, array.type.tz)).view(pa.int64()).view(type_)
    if pa.types.is_fixed_size_binary(type_) and pa.types.is_binary(array.type):
        return pa.array(array.to_pylist(), type_)
    if pa.types.is_time(type_) and pa.types.is_integer(array.type):
        return array.cast(pa.int64()).cast(type_)
    return array.cast(type_)


def _of(values: pa.Array, type_: pa.DataType) -> pa.Array:
    return values if values.type == type_ else values.cast(type_)


def _default(field: pa.Field, count: int) -> pa.Array:
    value = default_of(field)
    return pa.nulls(count, bare(field.type)) if value is None else pa.repeat(value, count).cast(bare(field.type))


def bare(type_: pa.DataType) -> pa.DataType:
    """The type without metadata on its fields."""
    if pa.types.is_struct(type_):
        return pa.struct([pa.field(f.name, bare(f.type)) for f in type_])
    if pa.types.is_list(type_):
        return pa.list_(pa.field("item", bare(type_.value_type)))
    if pa.types.is_map(type_):
        return pa.map_(bare(type_.key_type), bare(type_.item_type))
    return type_


def _has_ids(field: pa.Field) -> bool:
    children = [field.type.field(i) for i in range(field.type.num_fields)] if pa.types.is_nested(field.type) else []
    return ID in (field.metadata or {}) or any(_has_ids(c) for c in children)


def _one(column: pa.ChunkedArray) -> pa.Array:
    combined = column.combine_chunks()
    return combined.chunk(0) if isinstance(combined, pa.ChunkedArray) else combined


# Ids of ORC and Avro -------------------------------------------------------------------------------------------------------------------------------------


def _with_orc_ids(table: pa.Table) -> pa.Table:
    return pa.table(
        [_one(c).cast(_orc_field(f).type) for c, f in zip(table.columns, table.schema, strict=True)], schema=pa.schema([_orc_field(f) for f in table.schema])
    )


def _orc_field(field: pa.Field) -> pa.Field:
    type_ = field.type
    if pa.types.is_struct(type_):
        type_ = pa.struct([_orc_field(f) for f in type_])
    elif pa.types.is_list(type_):
        type_ = pa.list_(_orc_field(type_.value_field))
    elif pa.types.is_map(type_):
        type_ = pa.map_(_orc_field(type_.key_field), _orc_field(type_.item_field))
    id_ = (field.metadata or {}).get(b"iceberg.id")
    return pa.field(field.name, type_, field.nullable, {ID: id_} if id_ is not None else None)


def _avro_schema(schema: Any) -> pa.Schema:
    return pa.schema([_avro_field(f["name"], f["type"], f.get("field-id")) for f in schema["fields"]])


def _avro_field(name: str, schema: Any, id_: int | None, nullable: bool = True) -> pa.Field:
    return pa.field(name, _avro_type(schema), nullable, None if id_ is None else {ID: str(id_)})


def _avro_type(schema: Any) -> pa.DataType:
    if isinstance(schema, list):
        return _avro_type(next(s for s in schema if s != "null"))
    if isinstance(schema, str):
        return {
            "boolean": pa.bool_(),
            "int": pa.int32(),
            "long": pa.int64(),
            "float": pa.float32(),
            "double": pa.float64(),
            "string": pa.string(),
            "bytes": pa.binary(),
        }[schema]
    kind, logical = schema["type"], schema.get("logicalType")
    if kind == "record":
        return pa.struct([_avro_field(f["name"], f["type"], f.get("field-id")) for f in schema["fields"]])
    if kind == "array" and logical == "map":
        key, value = schema["items"]["fields"]
        return pa.map_(_avro_field("key", key["type"], key.get("field-id"), False), _avro_field("value", value["type"], value.get("field-id")))
    if kind == "array":
        return pa.list_(_avro_field("element", schema["items"], schema.get("element-id")))
    if kind == "map":
        return pa.map_(_avro_field("key", "string", schema.get("key-id"), False), _avro_field("value", schema["values"], schema.get("value-id")))
    if logical == "decimal":
        return pa.decimal128(schema["precision"], schema.get("scale", 0))
    if logical == "date":
        return pa.date32()
    if logical == "time-micros":
        return pa.time64("us")
    if logical in ("timestamp-micros", "timestamp-nanos"):
        return pa.timestamp("us" if "micros" in logical else "ns", "UTC" if schema.get("adjust-to-utc") else None)
    if kind == "fixed":
        return pa.binary(schema["size"])
    return _avro_type(kind)


def as_json(table: pa.Table) -> str:
    """The table as text, for messages."""
    return json.dumps(table.to_pylist(), default=str)[:2000]
