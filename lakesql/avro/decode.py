"""Avro files -> Arrow tables, by the engine's own reader: the one module of this package that imports DataFusion, when the first file is read.

What DataFusion 55 must be helped with:

- A record without fields (the partition of an unpartitioned table) is an error. It takes no bytes, so a copy of the file does not speak of it.
- A file that was cut off is read without its end: `container.row_count` finds that first, and the rows that come are counted.
- Records that end before their block does make it spin for ever. Decoding has a deadline; the thread that spins is given up.
- Numbers of more than 64 bits are errors; `plain.py` reads such a file if it is small.
- Rows come in the file's order from one partition only, so each file is its own scan, and files are read side by side.

Local files are read in place. Files of object stores come through the storage, whose size limit and errors hold, and are put down in a temporary folder while
they are decoded.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias, TypeVar

import orjson
import pyarrow as pa

from lakesql.avro.container import WRAPPED, Content, Header, Known, header_bytes, header_of, row_count
from lakesql.avro.matching import Match, Struct, plan, shaped
from lakesql.avro.plain import MAX_BYTES, Unreadable, records
from lakesql.errors import Error, MetadataError
from lakesql.location import engine_url, is_local
from lakesql.storage import Storage

Wanted: TypeAlias = "pa.Schema | Callable[[Header], pa.Schema]"
"""The columns to read, or what makes them of a file's header."""

_BATCH_ROWS = 65_536
_DEADLINE_S = 30.0
_BYTES_PER_S = 1 << 20
"""A thirtieth of what a slow machine decodes."""

T = TypeVar("T")

_held_schemas: Known[pa.Schema] = Known()
_sound_schemas: Known[tuple[Any, bytes]] = Known()
_plans: Known[Struct] = Known()


def read_header(storage: Storage, path: str) -> Header:
    """What a file says of itself. Raises MetadataError, MissingFileError, UnsupportedFeatureError."""
    with Content(storage, path) as content:
        return header_of(content)


def count(storage: Storage, path: str) -> int:
    """How many records a file has, without decoding one. Raises as `read`."""
    with Content(storage, path) as content:
        return row_count(content, header_of(content))


def read(storage: Storage, path: str, wanted: Wanted, match: Match = Match.NAME, *, immutable: bool = False) -> pa.Table:
    """The wanted columns of every record, in the order of the file; a field the file lacks is null. immutable: it is metadata under a name of its own that is
    never rewritten, and may be kept on disk.

    Types may be wider than the file's, or other units; timestamps are taken as UTC or as local time, as the wanted type says. Raises MetadataError for a file
    that is no sound Avro container or does not fit, MissingFileError for one that is gone, UnsupportedFeatureError for a codec that is not read.
    """
    with Content(storage, path, immutable) as content:
        header = header_of(content)
        rows = row_count(content, header)
        schema = wanted(header) if callable(wanted) else wanted
        if rows == 0:
            return schema.empty_table()
        asked = pa.schema([pa.field(WRAPPED, pa.struct(list(schema)))]) if header.wrapped else schema
        sound, _ = _sound(header)
        table = _read(content, header, sound, asked, match, rows)
    return _unwrapped(table, schema, path) if header.wrapped else table


def _read(content: Content, header: Header, sound: Any, schema: pa.Schema, match: Match, rows: int) -> pa.Table:
    """The file in place, or a copy of it where its header must say something else."""
    path = content.path
    read_ = _Reading(path, content, header, sound, schema, match, rows)
    if sound == header.schema and is_local(path):
        return read_.table(path)
    with tempfile.TemporaryDirectory(prefix="lakesql-avro-") as folder:
        copy = os.path.join(folder, "copy.avro")
        with open(copy, "wb") as out:
            out.write(header_bytes(header, sound))
            for at in range(header.size_bytes, content.size_bytes, 8 << 20):
                out.write(content.read(at, min(8 << 20, content.size_bytes - at)))
        return read_.table(copy)


def _unwrapped(table: pa.Table, schema: pa.Schema, path: str) -> pa.Table:
    """The fields of records that were a union with null. Raises MetadataError for a record that is null."""
    records = _one(table.column(WRAPPED))
    if records.null_count:
        raise MetadataError(f'"{path}" holds a record that is null')
    return pa.table(records.flatten(), schema=schema)


def read_all(storage: Storage, paths: Sequence[str], wanted: Wanted, match: Match = Match.NAME) -> list[pa.Table]:
    """`read` of several files side by side, in the order of `paths`. The first error, in that order, is raised."""
    if len(paths) <= 1:
        return [read(storage, path, wanted, match) for path in paths]
    workers = min(len(paths), os.cpu_count() or 1) if is_local(paths[0]) else min(len(paths), 16)
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(lambda path: read(storage, path, wanted, match), paths))


def without_empty_records(schema: Any) -> Any:
    """The schema without record fields that take no bytes because their type is a record without fields; where such a record is no field, it is called null.

    >>> without_empty_records({"type": "record", "name": "e", "fields": [{"name": "p", "type": {"type": "record", "name": "r", "fields": []}}]})["fields"]
    []
    """
    if isinstance(schema, list):
        return [without_empty_records(branch) for branch in schema]
    if not isinstance(schema, dict):
        return schema
    if _is_empty(schema):
        return "null"
    sound = {key: without_empty_records(value) if key in ("type", "items", "values") else value for key, value in schema.items()}
    fields = schema.get("fields")
    if isinstance(fields, list):
        sound["fields"] = [without_empty_records(f) for f in fields if not (isinstance(f, dict) and _is_empty(f.get("type")))]
    return sound


def _is_empty(schema: Any) -> bool:
    return isinstance(schema, dict) and schema.get("type") == "record" and schema.get("fields") == []


@dataclass(frozen=True)
class _Reading:
    """One file as it is read. schema: the writer's, without empty records; rows: how many there must be."""

    path: str
    content: Content
    header: Header
    schema: Any
    wanted: pa.Schema
    match: Match
    rows: int

    def table(self, place: str) -> pa.Table:
        """The wanted columns of the file at `place`, which is, or is a copy of, the one that is read."""
        held = self._mapped(lambda: _held(_sound(self.header)[1], place))
        key = (self.header.schema_text, self.wanted.serialize().to_pybytes(), self.match)  # schemas compare without their field ids
        node = _plans.get(key, lambda: plan(self.schema, held, self.wanted, self.match, self.path))
        if not node.asked:
            return shaped([], [], node, self.wanted, self.rows, self.path)
        asked = pa.schema(list(node.asked))
        try:
            seconds = _DEADLINE_S + self.content.size_bytes / _BYTES_PER_S
            table = self._mapped(lambda: pa.Table.from_batches(_within(lambda: _scan(place, asked), seconds, self.path), asked))
        except MetadataError:
            plainly = self._plainly(asked)
            if plainly is None:
                raise
            table = plainly
        if table.num_rows != self.rows:
            raise MetadataError(f'"{self.path}": its blocks hold {table.num_rows:,} records; they say {self.rows:,}')
        return shaped([_one(column) for column in table.columns], asked.names, node, self.wanted, self.rows, self.path)

    def _plainly(self, asked: pa.Schema) -> pa.Table | None:
        """What the fast decoder refused, read one by one where the file is small; None where it cannot be read so either."""
        if self.content.size_bytes > MAX_BYTES:
            return None
        try:
            found = records(self.content, self.header)
            return pa.table([pa.array([record[f.name] for record in found], f.type) for f in asked], schema=asked)
        except (Unreadable, KeyError, TypeError, AttributeError, ValueError, ArithmeticError, pa.ArrowException):
            return None

    def _mapped(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except (Error, KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError):
            raise
        except BaseException as error:  # a panic of the decoder is no Exception
            raise MetadataError(f'"{self.path}" cannot be decoded: {_words(error)}', hint="the file is damaged, or its header does not describe it") from error


def _scan(place: str, asked: pa.Schema) -> list[pa.RecordBatch]:
    batches: list[pa.RecordBatch] = _context().read_avro(engine_url(place), schema=asked, file_extension="").collect()
    return batches


def _held(schema: bytes, place: str) -> pa.Schema:
    """The Arrow schema the decoder makes of a writer's schema, asked once for each."""
    return _held_schemas.get(schema, lambda: _context().read_avro(engine_url(place), file_extension="").schema())


def _sound(header: Header) -> tuple[Any, bytes]:
    """The schema that is decoded by, without empty records; and as JSON."""

    def make() -> tuple[Any, bytes]:
        sound = without_empty_records(header.stored)
        return sound, orjson.dumps(sound)

    return _sound_schemas.get((header.schema_text, header.wrapped), make)


@cache
def _context() -> Any:
    from datafusion import SessionConfig, SessionContext  # slow to load, and not needed until a file is read

    settings = {"datafusion.execution.target_partitions": "1", "datafusion.execution.batch_size": str(_BATCH_ROWS)}
    return SessionContext(SessionConfig(settings))


def _within(work: Callable[[], T], seconds: float, path: str) -> T:
    """The result of work, in a thread that is given up after so many seconds. Raises MetadataError then."""
    done: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(work())
        except BaseException as error:  # carried to the caller's thread
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True, name="lakesql-avro")
    thread.start()
    thread.join(seconds)
    if failed:
        raise failed[0]
    if not done:
        raise MetadataError(f'"{path}" could not be decoded in {seconds:.0f} s: its records do not fill their blocks', hint="the file is damaged")
    return done[0]


def _one(column: pa.ChunkedArray) -> pa.Array:
    if column.num_chunks == 1:  # combining would copy it
        return column.chunk(0)
    combined = column.combine_chunks()
    return combined.chunk(0) if isinstance(combined, pa.ChunkedArray) else combined


def _words(error: BaseException) -> str:
    return str(error).replace("DataFusion error: ", "").replace("Arrow error: ", "").split("\n")[0][:300]
