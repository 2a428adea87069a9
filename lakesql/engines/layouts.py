"""Which columns a Parquet file really has, for columns that are found by field id, and for variants, whose shredding is each file's own.

A file's own names may differ from the names a relation reads under: after a rename, or when another format wrote it. Files are grouped by layout; within a
group one name in the file stands for each wanted column. Footers are read here, for the files that pruning kept, and remembered: a data file never changes.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from lakesql.engines.shape import children, holds_default, holds_variant, is_variant, placed, plain
from lakesql.errors import DataFileError
from lakesql.relation import ColumnMatch, Files
from lakesql.storage import Storage

FIELD_ID = b"PARQUET:field_id"
_FOOTERS_KEPT = 4096
_READERS = 8


@dataclass(frozen=True)
class Layout:
    """How one group of files holds the wanted columns, those it has at all: `held` names and types them as the files do, `wanted` is what they become, in
    the same order. Variants keep the struct type the files give them; fields inside structs are `shape.placed`. lacks:
    the wanted columns that the files have not.
    """

    held: pa.Schema
    wanted: pa.Schema
    lacks: tuple[pa.Field, ...]


class Footers:
    """Arrow schemas of Parquet files, by path; least recently used ones are forgotten."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._kept: OrderedDict[str, pa.Schema] = OrderedDict()
        self._lock = threading.Lock()

    def schemas(self, paths: Sequence[str]) -> list[pa.Schema]:
        """One schema per path, in order. Raises DataFileError, MissingFileError."""
        with self._lock:
            missing = [p for p in paths if p not in self._kept]
        if missing:
            with ThreadPoolExecutor(min(_READERS, len(missing))) as pool:
                fresh = dict(zip(missing, pool.map(self._read, missing), strict=True))
        else:
            fresh = {}
        with self._lock:
            self._kept.update(fresh)
            found = [fresh[p] if p in fresh else self._kept[p] for p in paths]
            while len(self._kept) > _FOOTERS_KEPT:
                self._kept.popitem(last=False)
        return found

    def _read(self, path: str) -> pa.Schema:
        with self._storage.open(path) as file:
            try:
                return pq.read_schema(file)
            except (pa.ArrowException, OSError) as error:
                raise DataFileError(f"{path} is no readable Parquet file: {error}") from error


def needs_layouts(files: Files) -> bool:
    """Whether what a node reads depends on what is in each file, beyond missing columns being null."""
    by_id = files.match is ColumnMatch.BY_ID and len(files.schema) > 0
    return by_id or files.absent is not None or any(holds_variant(x) or holds_default(x) for x in files.schema)


def group_by_layout(files: Files, paths: Sequence[str], schemas: Sequence[pa.Schema]) -> list[tuple[Layout, list[int]]]:
    """The layouts among the files of a node, each with the positions of its files in `paths`.

    Raises DataFileError for a file without field ids where columns are found by id and the node says of no other way.
    """
    layouts: dict[bytes, Layout] = {}
    groups: dict[bytes, list[int]] = {}
    for position, (path, schema) in enumerate(zip(paths, schemas, strict=True)):
        footer = schema.remove_metadata().serialize().to_pybytes()
        if footer not in layouts:
            layouts[footer] = layout_of(path, files, schema)
        groups.setdefault(footer, []).append(position)
    merged: list[tuple[Layout, list[int]]] = []
    for footer, positions in groups.items():
        same = next((m for m in merged if m[0] == layouts[footer]), None)
        if same is None:
            merged.append((layouts[footer], positions))
        else:
            same[1].extend(positions)
    return merged


Find = Callable[[pa.Field, Sequence[pa.Field]], pa.Field | None]
"""Which of the held fields of one level is the wanted one."""


def layout_of(path: str, files: Files, held: pa.Schema) -> Layout:
    """How a file whose columns are `held` serves the node. Raises DataFileError."""
    find, below = _finders(path, files, held)
    without_ids = files.match is ColumnMatch.BY_ID and find is not _by_id
    given = set(files.absent.column_names) if files.absent is not None and without_ids else set()
    present, wanted, lacks = [], [], []
    for field in files.schema:
        found = None if field.name in given else find(field, list(held))
        if found is None or _has_nothing_of(field, found, below):
            lacks.append(field)
        else:
            present.append(pa.field(found.name, _match_field(field, found, below)))
            wanted.append(field)
    if len({f.name for f in present}) < len(present):
        raise DataFileError(f"{path}: one column of the file stands for two of the table")
    return Layout(pa.schema(present), pa.schema(wanted), tuple(lacks))


def _finders(path: str, files: Files, held: pa.Schema) -> tuple[Find, Find]:
    """How columns are found in this file, and fields below them."""
    if files.match is ColumnMatch.BY_NAME:
        return _by_name, _by_name
    if not len(held) or any(_has_ids(f) for f in held):
        return _by_id, _by_id
    if files.fallback_names is not None:
        by_names = _ByNames(files.fallback_names)
        return by_names, by_names
    if files.fallback_by_position:
        return _by_position, _by_name
    if files.fallback_by_name:
        return _by_name, _by_name
    raise DataFileError(f"{path} has no field ids, but the table finds its columns by id")


def _by_name(field: pa.Field, held: Sequence[pa.Field]) -> pa.Field | None:
    return next((f for f in held if f.name == field.name), None)


def _by_id(field: pa.Field, held: Sequence[pa.Field]) -> pa.Field | None:
    id_ = field_id(field)
    return _by_name(field, held) if id_ is None else next((f for f in held if field_id(f) == id_), None)


def _by_position(field: pa.Field, held: Sequence[pa.Field]) -> pa.Field | None:
    id_ = field_id(field)
    return held[id_ - 1] if id_ is not None and 1 <= id_ <= len(held) else None


@dataclass(frozen=True)
class _ByNames:
    """Finds a field by any of the names listed for its id."""

    names: Mapping[int, tuple[str, ...]]

    def __call__(self, field: pa.Field, held: Sequence[pa.Field]) -> pa.Field | None:
        id_ = field_id(field)
        listed = self.names.get(id_, ()) if id_ is not None else (field.name,)
        return next((f for f in held if f.name in listed), None)


def _match(wanted: Sequence[pa.Field], held: Sequence[pa.Field], find: Find) -> list[pa.Field]:
    """Those of a struct's held fields that serve the wanted ones, in the wanted order. A struct of which nothing is wanted keeps one field: whether it is null
    must be read from something."""
    fields = []
    for position, field in enumerate(wanted):
        found = find(field, held)
        if found is not None and not _has_nothing_of(field, found, find):
            fields.append(placed(pa.field(found.name, _match_field(field, found, find)), position))
    return fields or [placed(pa.field(f.name, plain(f.type)), -1) for f in held[:1]]


def _has_nothing_of(wanted: pa.Field, held: pa.Field, find: Find) -> bool:
    """Whether a struct holds none of the wanted fields and none has a default: such a struct is taken for absent, as Spark takes it."""
    if not (pa.types.is_struct(wanted.type) and pa.types.is_struct(held.type)) or is_variant(wanted):
        return False
    return not any(find(f, children(held.type)) is not None or holds_default(f) for f in children(wanted.type))


def _match_field(wanted: pa.Field, held: pa.Field, find: Find) -> pa.DataType:
    if is_variant(wanted):
        return plain(held.type)
    return _match_type(wanted.type, held.type, find)


def _match_type(wanted: pa.DataType, held: pa.DataType, find: Find) -> pa.DataType:
    t = pa.types
    if t.is_struct(wanted) and t.is_struct(held):
        return pa.struct(_match(children(wanted), children(held), find))
    if t.is_list(wanted) and (t.is_list(held) or t.is_large_list(held)):
        return pa.list_(pa.field(held.value_field.name, _match_field(wanted.value_field, held.value_field, find)))
    if t.is_map(wanted) and t.is_map(held):
        return pa.map_(_match_field(wanted.key_field, held.key_field, find), _match_field(wanted.item_field, held.item_field, find))
    return plain(wanted)


def field_id(field: pa.Field) -> int | None:
    """The field's `PARQUET:field_id`, None without one."""
    text = (field.metadata or {}).get(FIELD_ID)
    return int(text) if text is not None and text.lstrip(b"-").isdigit() else None


def _has_ids(field: pa.Field) -> bool:
    return field_id(field) is not None or any(_has_ids(f) for f in children(field.type))
