"""Kept files -> the relation that gives their rows, deletes applied, under the names of the schema that is read.

    Union                                   files that differ in format, in deletes, or in what their partition tuple says of a column
      └─ Project                            the wanted columns, row ids put together, keys dropped again
           └─ WithoutKeys                   one for each set of key columns of equality deletes, and for those that concern all partitions
                ├─ WithoutPositions         deletion vectors and position deletes
                │    ├─ Files               columns by field id; sequence number and partition of each file where keys need them
                │    └─ Batches             positions, read when the query runs
                └─ Project(Files)           the delete files

Source: Iceberg table spec, "Column Projection", "Delete Formats", "Row Lineage".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lakesql.errors import UnsupportedFeatureError
from lakesql.formats.iceberg import hidden
from lakesql.formats.iceberg.defaults import initial_default
from lakesql.formats.iceberg.delete_rows import ROWS, deleted_rows
from lakesql.formats.iceberg.deletes import DeleteFiles, Deletes, EqualitySet
from lakesql.formats.iceberg.entries import Entries, partition_codes
from lakesql.formats.iceberg.keys import Key, cut, expression, find_keys, with_key
from lakesql.formats.iceberg.partition_bounds import cast_or_none
from lakesql.formats.iceberg.scan import IcebergFiles, Source
from lakesql.formats.iceberg.types import FIELD_ID, UNKNOWN, Field, ListOf, MapOf, Primitive, Struct, arrow_field, arrow_type
from lakesql.relation import (
    Batches,
    Col,
    ColumnMatch,
    Expression,
    FileFormat,
    Files,
    FirstNonNull,
    Mapped,
    Project,
    Relation,
    Sum,
    Union,
    Value,
    WithoutKeys,
    WithoutPositions,
    with_default,
)

Mask = npt.NDArray[np.bool_]


def relation_of(source: Source, files: IcebergFiles, columns: Sequence[str]) -> Relation:
    """The rows of `files` with these columns, in this order. Reads no data file."""
    plan = _Plan(source, files, tuple(columns))
    groups = [_Group(plan, chosen) for chosen in plan.groups()]
    inputs = [group.relation() for group in groups]
    return inputs[0] if len(inputs) == 1 else Union(tuple(inputs))


@dataclass(frozen=True)
class _Plan:
    """What all groups of files share."""

    source: Source
    files: IcebergFiles
    columns: tuple[str, ...]

    @property
    def entries(self) -> Entries:
        return self.files.entries

    @property
    def deletes(self) -> Deletes:
        assert self.files.deletes is not None
        return self.files.deletes

    @cached_property
    def own(self) -> dict[str, Field]:
        """The wanted columns that are the table's, by name."""
        return {n: f for n in self.columns if (f := self.source.schema.column(n)) is not None}

    @cached_property
    def stored(self) -> dict[str, Field]:
        """Those that data files may hold."""
        return {n: f for n, f in self.own.items() if not (isinstance(f.type, Primitive) and f.type.name == UNKNOWN)}

    def wants(self, *names: str) -> bool:
        """Whether one of these hidden columns is wanted."""
        return any(n in self.columns and n not in self.own for n in names)

    def groups(self) -> Iterator[Mask]:
        """The files, divided so that one Files node serves each group."""
        count = len(self.entries)
        if not count:
            yield np.zeros(0, np.bool_)
            return
        codes = pc.dictionary_encode(self.entries.column("file_format")).indices.to_numpy(zero_copy_only=False).astype(np.int64)
        deletes = self.deletes
        parts: list[np.ndarray] = [deletes.has_positions | (deletes.vector >= 0), *(e.hit for e in deletes.equality)]
        if any(name in self.source.partitioning.identities(spec) for spec in self.entries.specs for name in self.key_columns | set(self.own)):
            parts.append(self.entries.spec_ids.to_numpy(zero_copy_only=False))
        if self.wants(hidden.ROW_ID, hidden.LAST_UPDATED):
            parts.append(self.entries.column("first_row_id").is_null().to_numpy(zero_copy_only=False))
        for part in parts:
            _, number = np.unique(part, return_inverse=True)
            _, codes = np.unique(codes * (int(number.max()) + 1) + number, return_inverse=True)
        for code in range(int(codes.max()) + 1):
            yield codes == code

    @cached_property
    def key_columns(self) -> set[str]:
        """Names of the schema's columns that equality deletes compare."""
        ids = {i for e in self.deletes.equality for i in e.ids}
        return {chain[0].name for i in ids if (chain := self.source.schema.chains.get(i)) is not None}


class _Group:
    """Files that are read alike."""

    def __init__(self, plan: _Plan, chosen: Mask) -> None:
        self._plan = plan
        self._source = plan.source
        self._entries = plan.entries.narrow(chosen) if len(chosen) else plan.entries
        self._deletes = plan.deletes.narrow(chosen)
        self._files = plan.files.files.filter(pa.array(chosen))
        self._taken = {f.name.lower() for s in plan.source.metadata.schemas.values() for f in s.fields} | {n.lower() for n in plan.columns}
        self._equality = [e for e in self._deletes.equality if e.hit.any()]
        ids = sorted({i for e in self._equality for i in e.ids})
        self._keys = find_keys(ids, (plan.source.schema, *plan.source.metadata.newest_schemas), self._fresh, plan.source.metadata.path)
        self._columns = self._held_columns()
        self._names = {
            name: self._fresh(name)
            for name in ("file path", "row index", "sequence number", "partition code", "first row id", "spec id", "file number", "source path")
        }
        self._nested: dict[int, str] = {}
        self._lineage = {hidden.ROW_ID: self._fresh("row id"), hidden.LAST_UPDATED: self._fresh("last updated")}

    def relation(self) -> Relation:
        """See the module."""
        has_rows = len(self._entries) > 0
        positional = has_rows and bool((self._deletes.has_positions | (self._deletes.vector >= 0)).any())
        node: Relation = self._data_files(positional)
        if positional:
            storage, places, deletes = self._source.storage, self._source.places, self._deletes
            node = WithoutPositions(node, Batches(ROWS, lambda: deleted_rows(storage, places, deletes)), self._names["file path"], self._names["row index"])
        if self._keys:
            node = self._with_nested_keys(node)
            for equality in self._equality:
                node = self._without(node, equality)
        return Project(node, self._plan.columns, tuple(self._expression(n) for n in self._plan.columns))

    # Data files ------------------------------------------------------------------------------------------------------------------------------------

    def _data_files(self, positional: bool) -> Files:
        schema = [_read_field(f, self._source.metadata.path).with_name(name) for name, f in self._columns.items()]
        if self._has_row_ids:
            schema += [
                _with_id(self._lineage[n], i)
                for n, i in ((hidden.ROW_ID, hidden.ROW_ID_FIELD), (hidden.LAST_UPDATED, hidden.LAST_UPDATED_FIELD))
                if self._plan.wants(n)
            ]
        format_ = self._format
        return Files(
            files=self._files,
            schema=pa.schema(schema),
            format=format_,
            match=ColumnMatch.BY_ID,
            constants=self._constants(),
            file_path=self._names["file path"] if positional or (self._plan.wants(hidden.FILE) and self._paths_unchanged) else None,
            row_index=self._names["row index"] if positional or self._plan.wants(hidden.POS, hidden.ROW_ID) else None,
            absent=self._absent(),
            **_without_ids(self._source, format_),
        )

    @property
    def _format(self) -> FileFormat:
        if not len(self._entries):
            return FileFormat.PARQUET
        return FileFormat(self._entries.column("file_format")[0].as_py())

    @cached_property
    def _paths_unchanged(self) -> bool:
        return bool(self._deletes.paths.equals(self._deletes.source_paths))

    @cached_property
    def _has_row_ids(self) -> bool:
        """Whether the files' rows have ids at all; all files of a group have, or none."""
        wanted = self._plan.wants(hidden.ROW_ID, hidden.LAST_UPDATED)
        return wanted and len(self._entries) > 0 and self._entries.column("first_row_id").null_count == 0

    def _held_columns(self) -> dict[str, Field]:
        """What is read of the data files: wanted columns and keys, by their names in the relation. A key in a wanted struct is read with it."""
        columns = dict(self._plan.stored)
        by_id = {f.id: name for name, f in columns.items()}
        for key in self._keys.values():
            name = by_id.get(key.column.id)
            if name is None:
                name = key.name
                columns[name] = key.narrow
                by_id[key.column.id] = name
            else:
                columns[name] = with_key(columns[name], key.chain)
        return columns

    def _constants(self) -> pa.Table | None:
        columns: dict[str, pa.Array] = {}
        if self._equality or (self._has_row_ids and self._plan.wants(hidden.LAST_UPDATED)):
            columns[self._names["sequence number"]] = pa.array(self._deletes.sequence)
        if any(not e.everywhere for e in self._equality):
            columns[self._names["partition code"]] = pa.array(self._deletes.codes)
        if self._has_row_ids and self._plan.wants(hidden.ROW_ID):
            columns[self._names["first row id"]] = self._entries.column("first_row_id")
        if self._plan.wants(hidden.SPEC_ID):
            columns[self._names["spec id"]] = self._entries.spec_ids
        if self._plan.wants(hidden.PARTITION):
            columns[self._names["file number"]] = pa.array(self._partition_numbers)
        if self._plan.wants(hidden.FILE) and not self._paths_unchanged:
            columns[self._names["source path"]] = self._deletes.source_paths
        return pa.table(columns) if columns else None

    def _absent(self) -> pa.Table | None:
        """What the files' partition tuples say of columns, for files that lack them."""
        if not len(self._entries):
            return None
        specs = self._entries.specs
        identities = self._source.partitioning.identities(specs[0]) if len(specs) == 1 else {}
        by_id = {f.id: name for name, f in self._columns.items()}
        columns = {}
        for name, partition in identities.items():
            column = self._source.schema.column(name)
            held = by_id.get(column.id) if column is not None else None
            if column is None or held is None:
                continue
            values = cast_or_none(self._entries.partition(partition.field.id, partition.type), arrow_type(column.type))
            if values is not None:
                columns[held] = values
        return pa.table(columns) if columns else None

    # Equality deletes ------------------------------------------------------------------------------------------------------------------------------

    def _with_nested_keys(self, node: Relation) -> Relation:
        """The input with every key a column of its own; nothing is done where all are already."""
        nested = [k for k in self._keys.values() if len(k.chain) > 1]
        if not nested:
            return node
        assert isinstance(node, (Files, WithoutPositions))
        files = node if isinstance(node, Files) else node.input
        assert isinstance(files, Files)
        kept = [*files.schema.names, *(files.constants.column_names if files.constants is not None else ())]
        kept += [n for n in (files.file_path, files.row_index) if n is not None]
        fields = {name: arrow_field(f).type for name, f in self._columns.items()}
        taken = [self._fresh(f"nested {k.id}") for k in nested]
        self._nested = {k.id: name for k, name in zip(nested, taken, strict=True)}
        extra = [expression(k, self._column_of(k), fields[self._column_of(k)]) for k in nested]
        return Project(node, (*kept, *taken), (*(Col(n) for n in kept), *extra))

    def _column_of(self, key: Key) -> str:
        """The name of the column a key is in."""
        return next(name for name, f in self._columns.items() if f.id == key.column.id)

    def _key_name(self, key: Key) -> str:
        """What the key is called in the input of WithoutKeys."""
        return self._nested[key.id] if len(key.chain) > 1 else self._column_of(key)

    def _without(self, node: Relation, equality: EqualitySet) -> Relation:
        keys = [self._keys[i] for i in equality.ids]
        on = tuple(self._key_name(k) for k in keys)
        if not equality.everywhere:
            on = (*on, self._names["partition code"])
        sequence = self._names["sequence number"]
        formats = pc.unique(equality.files.format).to_pylist()
        deletes = [self._delete_files(equality, keys, on, equality.files.take(np.asarray(pc.equal(equality.files.format, f))), f) for f in formats]
        return WithoutKeys(node, deletes[0] if len(deletes) == 1 else Union(tuple(deletes)), on, newer=(sequence, sequence))

    def _delete_files(self, equality: EqualitySet, keys: list[Key], on: tuple[str, ...], files: DeleteFiles, format_: str) -> Relation:
        if format_ not in [f.value for f in FileFormat]:
            raise UnsupportedFeatureError(f"equality delete files of format {format_[:40]} are not supported", feature=f"{format_[:40]} delete files")
        columns: dict[str, Field] = {}
        places: dict[int, str] = {}
        for key in keys:
            name = places.setdefault(key.column.id, key.name)
            columns[name] = with_key(columns[name], key.chain) if name in columns else key.narrow
        constants = {self._names["sequence number"]: pa.array(files.sequence)}
        if not equality.everywhere:
            constants[self._names["partition code"]] = pa.array(files.codes)
        source = Files(
            files=pa.table({"path": files.path, "size_bytes": files.size_bytes}),
            schema=pa.schema([arrow_field(f).with_name(name) for name, f in columns.items()]),
            format=FileFormat(format_),
            match=ColumnMatch.BY_ID,
            constants=pa.table(constants),
            **_without_ids(self._source, FileFormat(format_)),
        )
        expressions = [expression(k, places[k.column.id], arrow_field(columns[places[k.column.id]]).type) for k in keys]
        rest = list(constants)
        names = (*on[: len(keys)], *rest)
        return Project(source, names, (*expressions, *(Col(n) for n in rest)))

    # The projection --------------------------------------------------------------------------------------------------------------------------------

    def _expression(self, name: str) -> Expression:
        field = self._plan.own.get(name)
        if field is not None:
            return cut(name, self._columns[name], field) if name in self._plan.stored else Value(pa.scalar(None, pa.null()))
        match name:
            case hidden.FILE:
                return Col(self._names["file path" if self._paths_unchanged else "source path"])
            case hidden.POS:
                return Col(self._names["row index"])
            case hidden.SPEC_ID:
                return Col(self._names["spec id"])
            case hidden.PARTITION:
                return self._partition()
            case hidden.ROW_ID if self._has_row_ids:
                return FirstNonNull((Col(self._lineage[name]), Sum(Col(self._names["first row id"]), Col(self._names["row index"]))))
            case hidden.LAST_UPDATED if self._has_row_ids:
                return FirstNonNull((Col(self._lineage[name]), Col(self._names["sequence number"])))
            case _:
                return Value(pa.scalar(None, pa.int64()))

    def _partition(self) -> Expression:
        """The tuple of the row's file: files with one tuple share a number, by which it is looked up."""
        type_ = hidden.unified_partition(self._source.metadata)
        numbers = self._partition_numbers
        _, first = np.unique(numbers, return_index=True)
        tuples = hidden.partition_structs(self._entries, type_).take(pa.array(first, pa.int64()))
        return Mapped(Col(self._names["file number"]), lambda values: tuples.take(values), type_)

    @cached_property
    def _partition_numbers(self) -> np.ndarray:
        """For each file the number of its partition tuple, from 0."""
        return np.unique(partition_codes([self._entries])[0], return_inverse=True)[1].astype(np.int64)

    def _fresh(self, name: str) -> str:
        """A name that no column has, ignoring case; it is taken then."""
        while name.lower() in self._taken:
            name += "'"
        self._taken.add(name.lower())
        return name


def _without_ids(source: Source, format_: FileFormat) -> dict[str, Any]:
    """How files without field ids are read: by the table's name mapping; else Parquet by position and the others by name, as Java does."""
    mapping = source.metadata.name_mapping
    if mapping is not None:
        return {"fallback_names": mapping.names}
    return {"fallback_by_position": True} if format_ is FileFormat.PARQUET else {"fallback_by_name": True}


def _read_field(field: Field, source: str) -> pa.Field:
    """The field as Files reads it: with the defaults of files from before it was added, at every depth."""
    match field.type:
        case Struct(fields):
            type_ = pa.struct([_read_field(f, source) for f in fields])
        case ListOf(element):
            type_ = pa.list_(_read_field(element, source))
        case MapOf(key, value):
            type_ = pa.map_(_read_field(key, source).with_nullable(False), _read_field(value, source))
        case _:
            type_ = arrow_type(field.type)
    arrow = arrow_field(field).with_type(type_)
    default = initial_default(field, source)
    return arrow if default is None else with_default(arrow, default)


def _with_id(name: str, id_: int) -> pa.Field:
    return pa.field(name, pa.int64(), metadata={FIELD_ID: str(id_)})
