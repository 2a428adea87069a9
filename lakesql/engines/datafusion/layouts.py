"""Which columns a Parquet file really has, for columns that are found by field id, and for variants, whose shredding is each file's own.

A file's own names may differ from the names a relation reads under: after a rename, or when another format wrote it. Files are grouped by layout; within a group one name in the
file stands for each wanted column. Footers are read here, for the files that pruning kept, and remembered: a data file never changes.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from lakesql.engines.variants import UNSHREDDED, is_variant
from lakesql.errors import DataFileError
from lakesql.relation import ColumnMatch
from lakesql.storage import Storage

FIELD_ID = b"PARQUET:field_id"
_FOOTERS_KEPT = 4096
_READERS = 8


@dataclass(frozen=True)
class Layout:
    """How one group of files holds the wanted columns: `schema` names them as the files do, in the wanted order; a column the files lack has a name they
    lack.
    """

    schema: pa.Schema


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
            except pa.ArrowException as error:
                raise DataFileError(f"{path} is no readable Parquet file: {error}") from error


def group_by_layout(
    paths: Sequence[str], wanted: pa.Schema, schemas: Sequence[pa.Schema], *, match: ColumnMatch, fallback_by_name: bool
) -> list[tuple[Layout, list[int]]]:
    """The layouts among the files, each with the positions of its files in `paths`.

    Raises DataFileError for a file without field ids where columns are found by id, unless fallback_by_name.
    """
    groups: dict[pa.Schema, list[int]] = {}
    by_footer: dict[bytes, pa.Schema] = {}
    for position, (path, schema) in enumerate(zip(paths, schemas, strict=True)):
        footer = schema.remove_metadata().serialize().to_pybytes()
        if footer not in by_footer:
            by_footer[footer] = _layout(path, wanted, schema, match, fallback_by_name)
        groups.setdefault(by_footer[footer], []).append(position)
    return [(Layout(schema), positions) for schema, positions in groups.items()]


def _layout(path: str, wanted: pa.Schema, held: pa.Schema, match: ColumnMatch, fallback_by_name: bool) -> pa.Schema:
    by_id = match is ColumnMatch.BY_ID
    if by_id and not any(_has_ids(f) for f in held):
        if not fallback_by_name and len(held):
            raise DataFileError(f"{path} has no field ids, but the table finds its columns by id")
        by_id = False
    return pa.schema(_match(list(wanted), list(held), by_id))


def _match(wanted: Sequence[pa.Field], held: Sequence[pa.Field], by_id: bool) -> list[pa.Field]:
    """The wanted fields under the names they have among the held ones; one that is not there gets a name nobody has."""
    known = {id_: f for f in held if (id_ := field_id(f)) is not None}
    by_name = {f.name: f for f in held}
    taken = set(by_name)
    fields = []
    for field in wanted:
        id_ = field_id(field) if by_id else None
        found = by_name.get(field.name) if id_ is None else known.get(id_)
        if found is not None:
            fields.append(pa.field(found.name, _match_field(field, found, by_id)))
            continue
        name = field.name
        while name in taken:
            name = f"{name} (absent)"
        taken.add(name)
        fields.append(pa.field(name, _absent(field)))
    return fields


def _absent(field: pa.Field) -> pa.DataType:
    """The type under which a field is read from files that lack it; all its values are null."""
    if is_variant(field):
        return UNSHREDDED
    type_ = field.type
    if pa.types.is_struct(type_):
        return pa.struct([pa.field(f.name, _absent(f)) for f in _children(type_)])
    if pa.types.is_list(type_):
        return pa.list_(pa.field(type_.value_field.name, _absent(type_.value_field)))
    if pa.types.is_map(type_):
        return pa.map_(_absent(type_.key_field), _absent(type_.item_field))
    return type_


def _match_field(wanted: pa.Field, held: pa.Field, by_id: bool) -> pa.DataType:
    if is_variant(wanted):
        return strip(held.type)
    return _match_type(wanted.type, held.type, by_id)


def _match_type(wanted: pa.DataType, held: pa.DataType, by_id: bool) -> pa.DataType:
    t = pa.types
    if t.is_struct(wanted) and t.is_struct(held):
        return pa.struct(_match(_children(wanted), _children(held), by_id))
    if t.is_list(wanted) and (t.is_list(held) or t.is_large_list(held)):
        return pa.list_(pa.field(held.value_field.name, _match_field(wanted.value_field, held.value_field, by_id)))
    if t.is_map(wanted) and t.is_map(held):
        return pa.map_(_match_field(wanted.key_field, held.key_field, by_id), _match_field(wanted.item_field, held.item_field, by_id))
    return strip(wanted)


def field_id(field: pa.Field) -> int | None:
    """The field's `PARQUET:field_id`, None without one."""
    text = (field.metadata or {}).get(FIELD_ID)
    return int(text) if text is not None and text.lstrip(b"-").isdigit() else None


def _has_ids(field: pa.Field) -> bool:
    return field_id(field) is not None or any(_has_ids(f) for f in _children(field.type))


def _children(type_: pa.DataType) -> list[pa.Field]:
    return [type_.field(i) for i in range(type_.num_fields)] if pa.types.is_nested(type_) else []


def strip(type_: pa.DataType) -> pa.DataType:
    """The type without metadata on its nested fields, every one nullable."""
    t = pa.types
    if t.is_struct(type_):
        return pa.struct([pa.field(f.name, strip(f.type)) for f in _children(type_)])
    if t.is_list(type_):
        return pa.list_(pa.field(type_.value_field.name, strip(type_.value_type)))
    if t.is_map(type_):
        return pa.map_(strip(type_.key_type), strip(type_.item_type))
    return type_
