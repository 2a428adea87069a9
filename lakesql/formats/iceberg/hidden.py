"""Columns that exist beside the table's own. Source: Iceberg table spec, "Reserved Field IDs", "Row Lineage".

_file                           the data file, as the manifest names it
_pos                            the row's place in it, from 0, deleted rows counted
_spec_id, _partition            how the file is partitioned: a struct with the fields of all specs, those of others null
_row_id                         version 3: the row's identity, kept when it is rewritten; null for rows of files from before the table was upgraded
_last_updated_sequence_number   version 3: the sequence number of the commit that last changed the row
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from lakesql.formats.iceberg.entries import Entries
from lakesql.formats.iceberg.metadata import TableMetadata
from lakesql.formats.iceberg.partition_bounds import cast_or_none
from lakesql.formats.iceberg.spec import value_type

FILE, POS, SPEC_ID, PARTITION = "_file", "_pos", "_spec_id", "_partition"
ROW_ID, LAST_UPDATED = "_row_id", "_last_updated_sequence_number"
ROW_ID_FIELD, LAST_UPDATED_FIELD = 2147483540, 2147483539
"""Ids of the columns that hold row ids and sequence numbers in data files, where they are written down."""

_LINEAGE_VERSION = 3


def hidden_schema(metadata: TableMetadata) -> pa.Schema:
    """The hidden columns that a table has."""
    fields = [pa.field(FILE, pa.string()), pa.field(POS, pa.int64()), pa.field(SPEC_ID, pa.int32())]
    partition = unified_partition(metadata)
    if partition.num_fields:
        fields.append(pa.field(PARTITION, _plain(partition)))
    if metadata.format_version >= _LINEAGE_VERSION:
        fields += [pa.field(ROW_ID, pa.int64()), pa.field(LAST_UPDATED, pa.int64())]
    return pa.schema(fields)


def unified_partition(metadata: TableMetadata) -> pa.DataType:
    """The struct of all partition fields there ever were, by id, each under its newest name."""
    found: dict[int, pa.Field] = {}
    for spec_id in sorted(metadata.specs):
        for field in metadata.specs[spec_id].fields:
            type_ = value_type(field, metadata.newest_schemas)
            if type_ is not None:
                found[field.id] = pa.field(field.name, type_)
    names: set[str] = set()
    fields = []
    for field_id, arrow in sorted(found.items()):
        name = arrow.name if arrow.name not in names else f"{arrow.name}_{field_id}"
        names.add(name)
        fields.append(arrow.with_name(name).with_metadata({b"PARQUET:field_id": str(field_id).encode()}))
    return pa.struct(fields)


def partition_structs(entries: Entries, type_: pa.DataType) -> pa.Array:
    """The partition tuple of every entry, as a struct of `unified_partition`; a value of another type, under an id that was used twice, is null."""
    columns = []
    for index in range(type_.num_fields):
        field = type_.field(index)
        columns.append(_values(entries, int(field.metadata[b"PARQUET:field_id"]), field.type))
    if not columns:
        return pa.nulls(len(entries), type_)
    return pa.StructArray.from_arrays(columns, fields=[type_.field(i) for i in range(type_.num_fields)])


def _values(entries: Entries, field_id: int, type_: pa.DataType) -> pa.Array:
    pieces: list[pa.Array] = []
    for part in entries.parts:
        stored = part.raw.partition.get(field_id)
        cast = None if stored is None else cast_or_none(part.take(stored), type_)
        pieces.append(pa.nulls(len(part), type_) if cast is None else cast)
    return pa.concat_arrays(pieces) if pieces else pa.array([], type_)


def is_hidden(name: str, columns: Sequence[str]) -> bool:
    """Whether a name is that of a hidden column; a table's own column of that name comes first."""
    return name in (FILE, POS, SPEC_ID, PARTITION, ROW_ID, LAST_UPDATED) and name not in columns


def _plain(type_: pa.DataType) -> pa.DataType:
    return pa.struct([pa.field(type_.field(i).name, type_.field(i).type) for i in range(type_.num_fields)])
