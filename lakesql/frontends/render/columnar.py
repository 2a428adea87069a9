"""Arrow IPC streams and Parquet files: the values themselves, types and nesting intact, for the next program.

Text and bytes are written in their plain layout, since few readers know Arrow's views yet.
"""

from __future__ import annotations

from typing import BinaryIO

import pyarrow as pa
from pyarrow import types as is_

from lakesql.errors import NotSupportedError
from lakesql.frontends.render import Renderer, Screen
from lakesql.frontends.types import sql_type_name

_ROW_GROUP_ROWS = 131_072
_ROW_GROUP_BYTES = 128 << 20


def make(name: str, out: BinaryIO, screen: Screen | None) -> Renderer:
    """The renderer of `arrow` or `parquet`."""
    return ArrowStream(out) if name == "arrow" else Parquet(out)


class ArrowStream:
    """See Renderer."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = Counted(out)

    def begin(self, schema: pa.Schema) -> None:
        self._schema = portable_schema(schema)
        self._writer = pa.ipc.new_stream(self._out, self._schema)

    def write(self, batch: pa.RecordBatch) -> bool:
        self._writer.write_batch(batch.cast(self._schema))
        return True

    def end(self) -> tuple[str, ...]:
        self._writer.close()
        return ()


class Parquet:
    """See Renderer. Holds rows until a row group of them is together."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = Counted(out)
        self._rows: list[pa.RecordBatch] = []
        self._row_count = 0
        self._size_bytes = 0

    def begin(self, schema: pa.Schema) -> None:
        import pyarrow.parquet  # slow to load, and only this format needs it

        self._schema = portable_schema(schema)
        for field in self._schema:
            _check_parquet_type(field.name, field.type)
        self._writer = pyarrow.parquet.ParquetWriter(self._out, self._schema, compression="zstd")

    def write(self, batch: pa.RecordBatch) -> bool:
        for start in range(0, batch.num_rows, _ROW_GROUP_ROWS):
            part = batch.slice(start, _ROW_GROUP_ROWS).cast(self._schema)
            self._rows.append(part)
            self._row_count += part.num_rows
            self._size_bytes += part.nbytes
            if self._row_count >= _ROW_GROUP_ROWS or self._size_bytes >= _ROW_GROUP_BYTES:
                self._write_row_group()
        return True

    def end(self) -> tuple[str, ...]:
        if self._rows:
            self._write_row_group()
        self._writer.close()
        return ()

    def _write_row_group(self) -> None:
        self._writer.write_table(pa.Table.from_batches(self._rows, self._schema), row_group_size=self._row_count)
        self._rows, self._row_count, self._size_bytes = [], 0, 0


class Counted:
    """A file to write to that knows its position by counting, as pipes do not. pyarrow asks for the position; it must not close what is not its own."""

    closed = False

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._position = 0

    def write(self, data: bytes) -> int:
        view = memoryview(data)
        self._out.write(view)
        self._position += view.nbytes
        return view.nbytes

    def tell(self) -> int:
        return self._position

    def flush(self) -> None:
        self._out.flush()

    def close(self) -> None:
        self._out.flush()

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False


def portable_schema(schema: pa.Schema) -> pa.Schema:
    """The schema with text and bytes in their plain layout, nested fields too."""
    return pa.schema([field.with_type(_portable(field.type)) for field in schema], schema.metadata)


def _portable(type_: pa.DataType) -> pa.DataType:
    if is_.is_string_view(type_):
        return pa.string()
    if is_.is_binary_view(type_):
        return pa.binary()
    if is_.is_list(type_):
        return pa.list_(_portable_field(type_.value_field))
    if is_.is_large_list(type_):
        return pa.large_list(_portable_field(type_.value_field))
    if is_.is_fixed_size_list(type_):
        return pa.list_(_portable_field(type_.value_field), type_.list_size)
    if is_.is_struct(type_):
        return pa.struct([_portable_field(field) for field in type_])
    if is_.is_map(type_):
        return pa.map_(_portable_field(type_.key_field), _portable_field(type_.item_field), keys_sorted=type_.keys_sorted)
    return type_


def _portable_field(field: pa.Field) -> pa.Field:
    return field.with_type(_portable(field.type))


def _check_parquet_type(name: str, type_: pa.DataType) -> None:
    if is_.is_interval(type_) or is_.is_run_end_encoded(type_) or is_.is_union(type_) or is_.is_list_view(type_) or is_.is_large_list_view(type_):
        raise NotSupportedError(f'column "{name}" is {sql_type_name(type_)}, which Parquet files cannot hold', hint="CAST it, to VARCHAR for example")
    for index in range(type_.num_fields):
        _check_parquet_type(name, type_.field(index).type)
