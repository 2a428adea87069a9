"""The rows of data files: one part per file.

Parquet is read batch by batch; row groups that a predicate rules out are skipped where a file holds the column in the very type. ORC is decoded file by file.
Avro files are settled before (`narrowing.settled`): decoding them takes another engine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
import pyarrow.parquet as pq

from lakesql.engines.arrow.stream import NUMBERED, Part, Stream, batch_of
from lakesql.engines.arrow.values import cast, repeated
from lakesql.engines.decoded import decode, files_schema
from lakesql.engines.layouts import Layout, layout_of
from lakesql.engines.shape import nulls_inward, plain, shaped
from lakesql.errors import DataFileError, InternalError
from lakesql.predicate import Column, Compare, In, IsNull, Op, Predicate, StartsWith
from lakesql.relation import FileFormat, Files, default_of
from lakesql.storage import Storage

_BATCH_ROWS = 1 << 17
_COMPARED = {
    Op.EQ: lambda a, b: a == b,
    Op.LT: lambda a, b: a < b,
    Op.LE: lambda a, b: a <= b,
    Op.GT: lambda a, b: a > b,
    Op.GE: lambda a, b: a >= b,
}


def files_stream(storage: Storage, files: Files, predicates: Sequence[Predicate]) -> Stream:
    """See relation.Files. predicates: conjuncts over its columns that every row of use satisfies."""
    schema = files_schema(files)
    paths = files.files.column("path").to_pylist()
    if files.format is FileFormat.AVRO:
        raise InternalError("Avro files were not settled")
    read = _parquet if files.format is FileFormat.PARQUET else _orc
    return Stream(schema, tuple(_part(read, storage, files, row, path, tuple(predicates)) for row, path in enumerate(paths)))


def _part(read: object, storage: Storage, files: Files, row: int, path: str, predicates: tuple[Predicate, ...]) -> Part:
    return Part(lambda: read(storage, files, row, path, predicates), path)  # type: ignore[operator]


def _orc(storage: Storage, files: Files, row: int, path: str, predicates: tuple[Predicate, ...]) -> Iterator[pa.RecordBatch]:
    one = pa.array([row])
    constants = None if files.constants is None else files.constants.take(one)
    absent = None if files.absent is None else files.absent.take(one)
    alone = replace(files, files=files.files.take(one), constants=constants, absent=absent)
    yield from decode(storage, alone if files_schema(alone).names else replace(alone, row_index=NUMBERED)).to_batches()


def _parquet(storage: Storage, files: Files, row: int, path: str, predicates: tuple[Predicate, ...]) -> Iterator[pa.RecordBatch]:
    with storage.open(path) as source:
        try:
            file = _opened(source, "us")
            layout = layout_of(path, files, file.schema_arrow)
            if _wants_nanoseconds(file, layout):
                source.seek(0)
                file = _opened(source, "ns")
                layout = layout_of(path, files, file.schema_arrow)
            if len(set(file.schema_arrow.names)) < len(file.schema_arrow.names):
                raise DataFileError(f"{path}: two columns of the file have one name")
            wanted = _pushed(predicates, layout, file.schema_arrow)
            groups = range(file.metadata.num_row_groups) if wanted is None else _groups(source, wanted)
            starts = np.cumsum([0, *(file.metadata.row_group(g).num_rows for g in range(file.metadata.num_row_groups))]).tolist()
            for group in groups:
                start = starts[group]
                for batch in _batches(file, group, layout.held.names, starts[group + 1] - start):
                    yield _row_batch(batch, layout, files, row, path, start)
                    start += batch.num_rows
        except (pa.ArrowException, OSError) as error:
            raise DataFileError(f"{path} cannot be read as the table's columns: {error}") from error


def _opened(source: pa.NativeFile, unit: str) -> pq.ParquetFile:
    """The file; unit: of timestamps of 96 bits."""
    return pq.ParquetFile(source, coerce_int96_timestamp_unit=unit, arrow_extensions_enabled=False)


def _wants_nanoseconds(file: pq.ParquetFile, layout: Layout) -> bool:
    """Whether the timestamps of 96 bits in the file are wanted in nanoseconds, which reach from 1677 to 2262 only."""
    held = [file.schema.column(i) for i in range(len(file.schema))]
    wide = {c.path for c in held if c.physical_type == "INT96"}
    units = {w.type.unit for h, w in zip(layout.held, layout.wanted, strict=True) if h.name in wide and pa.types.is_timestamp(w.type)}
    return units == {"ns"}


def _batches(file: pq.ParquetFile, group: int, names: list[str], count: int) -> Iterator[pa.RecordBatch]:
    if names:
        yield from file.iter_batches(_BATCH_ROWS, row_groups=[group], columns=names)
        return
    for start in range(0, count, _BATCH_ROWS):
        yield batch_of((), (), min(_BATCH_ROWS, count - start))


def _row_batch(batch: pa.RecordBatch, layout: Layout, files: Files, row: int, path: str, start: int) -> pa.RecordBatch:
    """A batch of the file as the node gives it. start: the position of its first row."""
    count = batch.num_rows
    columns = {w.name: _fitted(batch.column(h.name), h, w) for h, w in zip(layout.held, layout.wanted, strict=True)}
    for field in layout.lacks:
        value = files.absent.column(field.name)[row] if files.absent is not None and field.name in files.absent.column_names else default_of(field)
        columns[field.name] = repeated(value, plain(field.type), count)
    if files.constants is not None:
        columns |= {f.name: repeated(files.constants.column(f.name)[row], f.type, count) for f in files.constants.schema}
    if files.file_path is not None:
        columns[files.file_path] = pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int32)), pa.array([path], pa.string()))
    if files.row_index is not None:
        columns[files.row_index] = pa.array(np.arange(start, start + count))
    names = files_schema(files).names
    return batch_of([columns[n] for n in names], names, count)


def _fitted(array: pa.Array, held_: pa.Field, wanted: pa.Field) -> pa.Array:
    """A column of the file in the type that the relation gives it."""
    type_ = plain(wanted.type)
    array = nulls_inward(shaped(cast(array, plain(held_.type)), held_, wanted))
    return array if array.type == type_ else array.view(type_)


# Row groups ----------------------------------------------------------------------------------------------------------------------------------------


def _groups(source: pa.NativeFile, wanted: pc.Expression) -> list[int]:
    """The row groups whose statistics allow rows that satisfy the expression."""
    fragment = pads.ParquetFileFormat().make_fragment(source)
    return [g.id for g in fragment.subset(filter=wanted).row_groups]


def _pushed(predicates: Sequence[Predicate], layout: Layout, held_: pa.Schema) -> pc.Expression | None:
    """What of the predicates can be asked of the file's statistics, over the names that the file has."""
    names = {w.name: h.name for h, w in zip(layout.held, layout.wanted, strict=True) if held_.field(h.name).type == plain(w.type) and _is_ranked(w.type)}
    found = [e for p in predicates if (e := _pushed_one(p, names)) is not None]
    if not found:
        return None
    whole = found[0]
    for expression in found[1:]:
        whole = whole & expression
    return whole


def _pushed_one(predicate: Predicate, names: dict[str, str]) -> pc.Expression | None:
    match predicate:
        case Compare(Column((name,)), op, value) if name in names and op in _COMPARED:
            return _COMPARED[op](pc.field(names[name]), value)
        case In(Column((name,)), values, False) if name in names:
            return pc.field(names[name]).isin(values)
        case IsNull(Column((name,)), negated) if name in names:
            return pc.field(names[name]).is_valid() if negated else pc.field(names[name]).is_null()
        case StartsWith(Column((name,)), prefix, False) if name in names:
            return pc.field(names[name]) >= pa.scalar(prefix)
        case _:
            return None


def _is_ranked(type_: pa.DataType) -> bool:
    """Whether statistics of the type say what is there; of floating-point columns they leave out NaN."""
    t = pa.types
    return bool(t.is_integer(type_) or t.is_string(type_) or t.is_date32(type_) or t.is_timestamp(type_))
