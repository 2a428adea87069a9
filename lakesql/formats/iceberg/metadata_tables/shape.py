"""What the table is made of, from its metadata file alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pyarrow as pa

from lakesql.formats.iceberg.metadata_tables.rows import lazily
from lakesql.formats.iceberg.types import Field, ListOf, MapOf, Struct
from lakesql.relation import Batches
from lakesql.table import At

if TYPE_CHECKING:
    from lakesql.formats.iceberg.table import IcebergTable


def schema(table: IcebergTable, at: At) -> Batches:
    """One row per column of the snapshot's schema, in order. initial_default: JSON text."""
    fields = [
        ("position", pa.int32()),
        ("name", pa.string()),
        ("type", pa.string()),
        ("nullable", pa.bool_()),
        ("field_id", pa.int32()),
        ("comment", pa.string()),
        ("initial_default", pa.string()),
    ]

    def make() -> list[tuple[Any, ...]]:
        columns = table.snapshot(at).table_schema.fields
        return [(n, c.name, type_text(c), not c.required, c.id, c.comment, _json(c.default)) for n, c in enumerate(columns)]

    return lazily(fields, make)


def properties(table: IcebergTable, at: At) -> Batches:
    """The table's properties, by name."""
    return lazily([("name", pa.string()), ("value", pa.string())], lambda: sorted(table.current_metadata().properties.items()))


def specs(table: IcebergTable, at: At) -> Batches:
    """One row per field of every partition spec; an unpartitioned one has a row without a field."""
    fields = [
        ("spec_id", pa.int32()),
        ("is_default", pa.bool_()),
        ("position", pa.int32()),
        ("name", pa.string()),
        ("transform", pa.string()),
        ("source_ids", pa.list_(pa.int32())),
        ("field_id", pa.int32()),
    ]

    def make() -> list[tuple[Any, ...]]:
        metadata = table.current_metadata()
        rows: list[tuple[Any, ...]] = []
        for spec in metadata.specs.values():
            is_default = spec.id == metadata.default_spec_id
            rows += [(spec.id, is_default, n, f.name, f.transform.text, list(f.source_ids), f.id) for n, f in enumerate(spec.fields)]
            if not spec.fields:
                rows.append((spec.id, is_default, None, None, None, None, None))
        return rows

    return lazily(fields, make)


def type_text(field: Field) -> str:
    """The type as Iceberg's documentation writes it."""
    match field.type:
        case Struct(fields):
            return f"struct<{', '.join(f'{f.name}: {type_text(f)}' for f in fields)}>"
        case ListOf(element):
            return f"list<{type_text(element)}>"
        case MapOf(key, value):
            return f"map<{type_text(key)}, {type_text(value)}>"
        case _:
            return str(field.type)


def _json(value: Any) -> str | None:
    return None if value is None else orjson.dumps(value).decode()
