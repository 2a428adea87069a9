"""Bounds of columns out of manifest entries, as pruning asks for them.

Statistics of a file are two rows, least and greatest values, over the columns of the schema the file was written with, or over some of them
(`_VALUE_STATS_COLS`: null means all, an empty list none). A column of today is found there by its field id; one that the file never had is null in every
row. Where its type has changed since, bounds are believed only for integers made wider. Keys have statistics of their own. Source: Paimon,
SimpleStatsEvolution, CastExecutors.castLiteralsWithEvolution.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakesql.formats.paimon.binary_row import Rows
from lakesql.formats.paimon.entries import Block, Indices, Mask, Part, Selection
from lakesql.formats.paimon.schemas import TableSchema
from lakesql.formats.paimon.types import DataField, DataType, arrow_type
from lakesql.predicate import ColumnPath
from lakesql.pruning import Bounds

INTEGERS = ("TINYINT", "SMALLINT", "INT", "BIGINT")
"""Integer types, narrow to wide."""

_EXACT = (*INTEGERS, "DATE")
"""Types whose bounds are values that occur; texts are cut, and the others may be."""


@dataclass(frozen=True, eq=False)
class Described:
    """A table's schema of today and those its files were written with."""

    schema: TableSchema
    schema_of: Callable[[int], TableSchema]


@dataclass(frozen=True, eq=False)
class FileBounds:
    """Files as pruning asks for them: partition columns have one value per file; the rest has bounds.

    keys: take bounds of key columns from key statistics. exact: bounds and null counts are those of the rows a read gives, since no row of the files is
    deleted.
    """

    files: Selection
    described: Described
    keys: bool = False
    exact: bool = True

    def __len__(self) -> int:
        return len(self.files)

    def bounds(self, column: ColumnPath) -> Bounds | None:
        """See pruning.Candidates."""
        field = self.described.schema.by_name.get(column[0]) if len(column) == 1 else None
        if field is None:
            return None
        if field.name in self.described.schema.partition_keys:
            return constant(self.partition_values[field.name])
        kind = "_KEY_STATS" if self.keys and field in self.described.schema.trimmed_primary_key else "_VALUE_STATS"
        return file_bounds(self.files, self.described, field, kind, exact=self.exact)

    def narrow(self, mask: Mask) -> FileBounds:
        """See pruning.Narrowable."""
        return FileBounds(self.files.narrow(mask), self.described, self.keys, self.exact)

    @cached_property
    def partition_values(self) -> dict[str, pa.Array]:
        """The value of each partition column for every file."""
        return partition_values(self.files, self.described.schema)


def partition_values(files: Selection, schema: TableSchema) -> dict[str, pa.Array]:
    """The value of each partition column for every file, under its name."""
    blobs, codes = files.partitions
    return {name: values.take(pa.array(codes)) for name, values in decode_partitions(blobs, schema).items()}


def decode_partitions(blobs: pa.Array, schema: TableSchema) -> dict[str, pa.Array]:
    """The values in partition rows, by column. Raises MetadataError."""
    if not schema.partition_keys:
        return {}
    rows = Rows.of(blobs, len(schema.partition_keys), "the partition of a manifest entry")
    return {f.name: rows.column(i, f.type) for i, f in enumerate(schema.partition_fields)}


def constant(values: pa.Array) -> Bounds:
    """Bounds of a column with one value per file; how many rows a file has does not matter, since all are null or none is."""
    one = pa.array(np.ones(len(values), np.int64))
    return Bounds(values, values, values.is_null().cast(pa.int64()), one, constant=True)


def file_bounds(files: Selection, described: Described, field: DataField, kind: str = "_VALUE_STATS", *, exact: bool = True) -> Bounds:
    """Bounds of a column over all files. kind: `_VALUE_STATS` or `_KEY_STATS`."""
    type_ = arrow_type(field.type)

    def decoded(part: Part) -> pa.Array:
        bounds = _block_bounds(part.block, described, field, kind)
        columns = [part.take(c) for c in (bounds.lower, bounds.upper, bounds.null_count, bounds.row_count)]
        return pa.StructArray.from_arrays(columns, names=["lower", "upper", "null_count", "row_count"])

    struct = files.gather(decoded, pa.struct([("lower", type_), ("upper", type_), ("null_count", pa.int64()), ("row_count", pa.int64())]))
    lower, upper, null_count, row_count = struct.flatten()
    return Bounds(lower, upper, null_count, row_count, null_count_exact=exact, exact=exact and field.type.root in _EXACT)


def manifest_bounds(lists: pa.Table, schema: TableSchema, column: str) -> Bounds | None:
    """Bounds of a partition column over manifests, given as rows of a manifest list."""
    if column not in schema.partition_keys:
        return None
    field, index = schema.by_name[column], schema.partition_keys.index(column)
    lower, upper, null_count = _columns(lists["_PARTITION_STATS"].combine_chunks(), index, len(schema.partition_keys), field.type, arrow_type(field.type))
    return Bounds(lower, upper, null_count, pc.add(lists["_NUM_ADDED_FILES"], lists["_NUM_DELETED_FILES"]).combine_chunks())


# Blocks --------------------------------------------------------------------------------------------------------------------------------------------


def _block_bounds(block: Block, described: Described, field: DataField, kind: str) -> Bounds:
    """Bounds of a column over all of a block's entries, decoded once."""
    key = (kind, field.id, field.name, field.type, described.schema.id)
    found = block.cache.get(key)
    if found is None:
        found = block.cache[key] = _decoded(block, described, field, kind)
    assert isinstance(found, Bounds)
    return found


def _decoded(block: Block, described: Described, field: DataField, kind: str) -> Bounds:
    rows, counts = block.table.num_rows, block.column("_ROW_COUNT")
    wanted = arrow_type(field.type)
    pieces: list[tuple[Indices, list[pa.Array]]] = []
    for layout, chosen in _layouts(block, kind):
        pieces.append((chosen, _piece(block, described, field, kind, layout, chosen, wanted)))
    if len(pieces) == 1 and len(pieces[0][0]) == rows:
        lower, upper, null_count = pieces[0][1]
    else:
        order = pa.array(np.argsort(np.concatenate([c for c, _ in pieces]))) if pieces else pa.array([], pa.int64())
        columns = [pa.concat_arrays([p[i] for _, p in pieces]) if pieces else pa.array([], wanted) for i in range(3)]
        lower, upper, null_count = (c.take(order) for c in columns)
    return Bounds(lower, upper, null_count, counts)


@dataclass(frozen=True)
class _Layout:
    """What statistics of some entries are over. columns: names in the file's schema, None for all of it."""

    schema_id: int
    columns: tuple[str, ...] | None


def _layouts(block: Block, kind: str) -> Sequence[tuple[_Layout, Indices]]:
    """The layouts of a block's statistics, and the entries that have each."""
    if ("layouts", kind) in block.cache:
        found: Sequence[tuple[_Layout, Indices]] = block.cache["layouts", kind]
        return found
    ids = block.column("_SCHEMA_ID").to_numpy(zero_copy_only=False)
    if kind == "_KEY_STATS":
        names, texts = np.zeros(len(ids), np.int64), [None]
    else:
        # Files that hold some of the columns have statistics of those, where no list says otherwise.
        listed = pc.coalesce(block.column("_VALUE_STATS_COLS"), block.column("_WRITE_COLS"))
        joined = pc.dictionary_encode(pc.binary_join(pc.if_else(listed.is_valid(), listed, pa.scalar(None, listed.type)), "\0"), null_encoding="encode")
        names, texts = joined.indices.to_numpy(zero_copy_only=False).astype(np.int64), joined.dictionary.to_pylist()
    both = np.stack([ids, names])
    distinct, codes = np.unique(both, axis=1, return_inverse=True) if len(ids) else (both, np.zeros(0, np.int64))
    codes = codes.reshape(-1)
    layouts = []
    for number, (schema_id, name) in enumerate(distinct.T.tolist()):
        text = texts[name]
        columns = None if text is None else tuple(text.split("\0")) if text else ()
        layouts.append((_Layout(schema_id, columns), np.flatnonzero(codes == number)))
    block.cache["layouts", kind] = layouts
    return layouts


def _piece(block: Block, described: Described, field: DataField, kind: str, layout: _Layout, chosen: Indices, wanted: pa.DataType) -> list[pa.Array]:
    """Least value, greatest value and null count for entries of one layout."""
    held_schema = described.schema_of(layout.schema_id)
    held = held_schema.by_id.get(field.id)
    unknown = [pa.nulls(len(chosen), wanted), pa.nulls(len(chosen), wanted)]
    if held is None:
        return [*unknown, block.column("_ROW_COUNT").take(pa.array(chosen))]
    columns = [f.name for f in (held_schema.trimmed_primary_key if kind == "_KEY_STATS" else held_schema.fields)] if layout.columns is None else layout.columns
    if held.name not in columns or not comparable(held.type, field.type):
        return [*unknown, pa.nulls(len(chosen), pa.int64())]
    stats = block.column(kind)
    stats = stats if len(chosen) == len(stats) else stats.take(pa.array(chosen))
    return _columns(stats, list(columns).index(held.name), len(columns), held.type, wanted)


def comparable(held: DataType, wanted: DataType) -> bool:
    """Whether what is known of values of one type holds for what a read makes of them in the other."""
    if held.same(wanted):
        return True
    return held.root in INTEGERS and wanted.root in INTEGERS and INTEGERS.index(held.root) <= INTEGERS.index(wanted.root)


def _columns(stats: pa.Array, index: int, arity: int, held: DataType, wanted: pa.DataType) -> list[pa.Array]:
    """Least and greatest values of field `index` as `wanted`, and its null counts. Rows that are not of this arity say nothing."""
    lows, highs, counts = stats.flatten()
    lower, upper = (Rows.of(b, arity, "statistics of a file", strict=False).column(index, held, strict=False) for b in (lows, highs))
    if held.root == "CHAR":
        lower = pc.utf8_rtrim(lower, " ")  # blanks at the end are kept by some file formats, and not by others
    if lower.type != wanted:
        lower, upper = lower.cast(wanted), upper.cast(wanted)
    return [lower, upper, _element(counts, index)]


def _element(lists: pa.Array, index: int) -> pa.Array:
    """Element `index` of each list, null where there is none."""
    offsets = lists.offsets.to_numpy(zero_copy_only=False).astype(np.int64)
    there = lists.is_valid().to_numpy(zero_copy_only=False) & (np.diff(offsets) > index)
    return lists.values.take(pa.array(np.where(there, offsets[:-1] + index, 0), mask=~there))
