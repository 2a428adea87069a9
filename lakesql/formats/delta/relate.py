"""Kept files -> the relation that gives their rows under logical names and types.

    Project                                 logical names; nested fields relabelled; void columns as nulls; row ids put together
      └─ Union
           ├─ Files                         files without deletion vectors
           └─ WithoutPositions              files with one
                ├─ Files                    and the row's position in its file
                └─ Batches                  positions, decoded when the query runs

Inside Files everything has its physical name, but for columns that come from the log (partition columns, row tracking), which get names no column of a file
has. Source: Delta protocol, "Column Mapping", "Deletion Vectors", "Row Tracking", "Variant Data Type".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakesql.formats.delta.deletion_vectors import DvDescriptor
from lakesql.formats.delta.features import Features
from lakesql.formats.delta.schema import ColumnInfo, ColumnMapping, TableSchema
from lakesql.formats.delta.variants import as_text
from lakesql.relation import (
    AtPositions,
    Batches,
    Col,
    ColumnMatch,
    Expression,
    Files,
    FirstNonNull,
    Project,
    Relabel,
    Relation,
    Sum,
    Union,
    Value,
    WithoutPositions,
)

FILE_PATH, ROW_INDEX, ROW_ID, ROW_COMMIT_VERSION = "_file_path", "_file_row_index", "_row_id", "_row_commit_version"
HIDDEN = pa.schema([(FILE_PATH, pa.string()), (ROW_INDEX, pa.int64()), (ROW_ID, pa.int64()), (ROW_COMMIT_VERSION, pa.int64())])
"""Columns that exist beside the table's own: the data file and the row's place in it; row ids and the version that wrote the row, with row tracking alone."""

DELETES = pa.schema([("path", pa.string()), ("position", pa.int64())])
Decode = Callable[[DvDescriptor, int | None], np.ndarray]
"""A deletion vector and the file's physical rows, where known -> the deleted positions."""


@dataclass(frozen=True)
class Layout:
    """What a relation is made for: the table's schema and features, which columns are partition columns, and the wanted columns by their logical names.

    given: wanted columns that are no table's but come with the files: a constant each, or what is said of positions. held: wanted columns that the files hold
    beside the table's, such as the change type in change files.
    """

    schema: TableSchema
    features: Features
    partition_columns: frozenset[str]
    columns: tuple[str, ...]
    given: frozenset[str] = frozenset()
    held: pa.Schema = pa.schema([])  # noqa: RUF009 (a schema never changes)

    @property
    def infos(self) -> dict[str, ColumnInfo]:
        """The wanted columns of the table, by name."""
        by_name = {c.name: c for c in self.schema.columns}
        return {name: by_name[name] for name in self.columns if name in by_name}

    @property
    def wants_row_index(self) -> bool:
        """Whether the position of a row in its file is needed for the columns alone."""
        return self._is_hidden(ROW_INDEX) or self._is_hidden(ROW_ID)

    @property
    def wants_row_tracking(self) -> bool:
        """Whether row ids or commit versions are wanted."""
        return self._is_hidden(ROW_ID) or self._is_hidden(ROW_COMMIT_VERSION)

    def _is_hidden(self, name: str) -> bool:
        """A table's own column of a hidden column's name hides it."""
        return name in self.columns and name not in self.infos


def relation_of(layout: Layout, files: pa.Table, constants: pa.Table, decode: Decode) -> Relation:
    """The rows of `files` with `layout.columns`, in that order.

    files: path, size_bytes, then the private columns of `scan.py`. constants: partition columns under their logical names, one row per file.
    """
    names = _Names(layout, constants)
    with_vectors = np.asarray(pc.fill_null(pc.greater(pc.struct_field(files["deletion_vector"], "cardinality"), 0), False))
    inputs = []
    for chosen, has_vectors in ((~with_vectors, False), (with_vectors, True)):
        if chosen.any() or not (has_vectors or with_vectors.any()):
            mask = pa.array(chosen)
            inputs.append(_rows(layout, names, files.filter(mask), constants.filter(mask) if constants.num_columns else constants, has_vectors, decode))
    return inputs[0] if len(inputs) == 1 else Union(tuple(inputs))


def rows_at(layout: Layout, files: pa.Table, constants: pa.Table, positions: Callable[[str], Batches], told: str) -> Relation:
    """Of the rows of `files`, whatever their deletion vectors, those at some positions, with `layout.columns` in that order.

    positions: given the name of its third column, which is what is given for the column `told`, the `positions` of AtPositions.
    """
    names = _Names(layout, constants)
    return names.project(AtPositions(_placed(layout, names, files, constants), positions(names.given(told)), names.path, names.index))


def rows_hidden(layout: Layout, files: pa.Table, constants: pa.Table, vectors: pa.Array, decode: Decode) -> Relation:
    """Of `files` the rows that other deletion vectors, one for each and null for none, hide and their own do not, with `layout.columns` in that order."""
    names = _Names(layout, constants)
    positions = Batches(DELETES, lambda: _newly_hidden(files, vectors, decode))
    return names.project(AtPositions(_placed(layout, names, files, constants), positions, names.path, names.index))


def _newly_hidden(files: pa.Table, vectors: pa.Array, decode: Decode) -> pa.Table:
    found = [DELETES.empty_table()]
    columns = (files["path"], files["deletion_vector"].to_pylist(), vectors.to_pylist(), files["physical_rows"].to_pylist())
    for path, own, other, count in zip(*columns, strict=True):
        here, there = (np.empty(0, np.int64) if v is None else decode(descriptor_of(v), count) for v in (own, other))
        positions = np.setdiff1d(there, here)
        found.append(pa.table([pa.repeat(path, len(positions)), pa.array(positions, pa.int64())], schema=DELETES))
    return pa.concat_tables(found)


def _placed(layout: Layout, names: _Names, files: pa.Table, constants: pa.Table) -> Files:
    """All rows of files with their places, whatever their deletion vectors."""
    return Files(
        files=files.select(["path", "size_bytes"]),
        schema=names.file_schema,
        match=ColumnMatch.BY_ID if layout.features.column_mapping is ColumnMapping.ID else ColumnMatch.BY_NAME,
        constants=names.constants(files, constants),
        file_path=names.path,
        row_index=names.index,
    )


def _rows(layout: Layout, names: _Names, files: pa.Table, constants: pa.Table, has_vectors: bool, decode: Decode) -> Relation:
    path_name = names.path if has_vectors or FILE_PATH in names.hidden else None
    index_name = names.index if has_vectors or layout.wants_row_index else None
    source = Files(
        files=files.select(["path", "size_bytes"]),
        schema=names.file_schema,
        match=ColumnMatch.BY_ID if layout.features.column_mapping is ColumnMapping.ID else ColumnMatch.BY_NAME,
        constants=names.constants(files, constants),
        file_path=path_name,
        row_index=index_name,
    )
    if not has_vectors:
        return names.project(source)
    assert path_name is not None
    assert index_name is not None
    deletes = Batches(DELETES, lambda: _positions(files, decode))
    return names.project(WithoutPositions(source, deletes, path_name, index_name))


def _positions(files: pa.Table, decode: Decode) -> pa.Table:
    """All deleted positions of the files, as the columns of DELETES."""
    codes, positions = [], []
    for number, (vector, physical_rows) in enumerate(zip(files["deletion_vector"].to_pylist(), files["physical_rows"].to_pylist(), strict=True)):
        found = decode(descriptor_of(vector), physical_rows)
        codes.append(np.full(len(found), number, np.int32))
        positions.append(found)
    paths = pa.DictionaryArray.from_arrays(pa.array(np.concatenate(codes)), files["path"].combine_chunks()).cast(pa.string())
    return pa.table([paths, pa.array(np.concatenate(positions), pa.int64())], schema=DELETES)


def descriptor_of(vector: dict[str, object]) -> DvDescriptor:
    """A row of an add's deletionVector as a descriptor."""
    offset, size, cardinality = vector["offset"], vector["sizeInBytes"], vector["cardinality"]
    return DvDescriptor(
        str(vector["storageType"]),
        str(vector["pathOrInlineDv"] or ""),
        offset if isinstance(offset, int) else None,
        size if isinstance(size, int) else 0,
        cardinality if isinstance(cardinality, int) else 0,
    )


class _Names:
    """What everything is called between the files and the projection."""

    def __init__(self, layout: Layout, constants: pa.Table) -> None:
        self._layout = layout
        infos = layout.infos
        self.hidden = frozenset(n for n in layout.columns if n in HIDDEN.names and n not in infos)
        stored = [n for n, c in infos.items() if n not in layout.partition_columns and not c.void]
        physical = {f.name: f for f in layout.schema.physical}
        fields = [as_text(physical[infos[n].physical_name]) for n in stored]
        fields += [pa.field(n, pa.int64()) for n in self._materialized() if n not in {f.name for f in fields}]
        fields += list(layout.held)
        self.file_schema = pa.schema(fields)
        taken = {f.name.lower() for f in fields}
        self._partitions = {n: _fresh(f"partition {n}", taken) for n in infos if n in layout.partition_columns}
        self._partitions |= {n: _fresh(f"given {n}", taken) for n in layout.columns if n in layout.given}
        self._base_row_id = _fresh("base row id", taken)
        self._commit_version = _fresh("row commit version", taken)
        self.path = _fresh("file path", taken)
        self.index = _fresh("row index", taken)
        self._constants_schema = constants.schema

    def constants(self, files: pa.Table, constants: pa.Table) -> pa.Table | None:
        """The per-file constants that the projection needs."""
        columns = {name: constants[logical] for logical, name in self._partitions.items() if logical in constants.column_names}
        if ROW_ID in self.hidden:
            columns[self._base_row_id] = files["base_row_id"]
        if ROW_COMMIT_VERSION in self.hidden:
            columns[self._commit_version] = files["row_commit_version"]
        return pa.table(columns) if columns else None

    def given(self, name: str) -> str:
        """What the input calls a column of `layout.given`."""
        return self._partitions[name]

    def project(self, input_: Relation) -> Relation:
        """The wanted columns under their logical names."""
        return Project(input_, self._layout.columns, tuple(self._expression(n) for n in self._layout.columns))

    def _expression(self, name: str) -> Expression:
        if name in self._partitions:
            return Col(self._partitions[name])
        if name in self._layout.held.names:
            return Col(name)
        info = self._layout.infos.get(name)
        if info is None:
            return self._hidden_expression(name)
        if info.void:
            return Value(pa.scalar(None, info.logical_type))
        logical = as_text(self._layout.schema.logical.field(self._layout.schema.logical.get_field_index(name))).type
        physical = self.file_schema.field(info.physical_name).type
        return Col(info.physical_name) if logical == physical else Relabel(Col(info.physical_name), logical)

    def _hidden_expression(self, name: str) -> Expression:
        if name == FILE_PATH:
            return Col(self.path)
        if name == ROW_INDEX:
            return Col(self.index)
        features = self._layout.features
        if name == ROW_ID:
            implied: Expression = Sum(Col(self._base_row_id), Col(self.index))
            return FirstNonNull((Col(features.materialized_row_id), implied)) if features.materialized_row_id else implied
        implied = Col(self._commit_version)
        return FirstNonNull((Col(features.materialized_row_commit_version), implied)) if features.materialized_row_commit_version else implied

    def _materialized(self) -> Iterable[str]:
        """Columns of data files that hold row ids and commit versions where they were written down; files may lack them."""
        features = self._layout.features
        wanted: Sequence[tuple[str, str | None]] = ((ROW_ID, features.materialized_row_id), (ROW_COMMIT_VERSION, features.materialized_row_commit_version))
        return [column for name, column in wanted if name in self.hidden and column]


def _fresh(name: str, taken: set[str]) -> str:
    """A name that no column has, ignoring case; it is taken then."""
    while name.lower() in taken:
        name += "'"
    taken.add(name.lower())
    return name
