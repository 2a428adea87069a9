"""A column of today, out of files that were written with another schema: found by field id, renamed, cast by Paimon's rules, or null.

Names mean nothing across schemas: a column that was dropped and another that was added under its name are two. Source: Paimon, SchemaEvolutionUtil.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from lakesql.errors import UnsupportedFeatureError
from lakesql.formats.paimon.casts import can_cast, cast
from lakesql.formats.paimon.schemas import TableSchema
from lakesql.formats.paimon.types import DataField, DataType, arrow_field, arrow_type
from lakesql.relation import WRITERS_CLOCK, Col, Expression, Mapped, Value


@dataclass(frozen=True)
class Stored:
    """How a column comes out of files. field: what to read of them, None where they do not have it; expression: what to make of that."""

    field: pa.Field | None
    expression: Expression


def stored(column: DataField, held: TableSchema, file_format: str, *, writers_clock: bool) -> Stored:
    """How a column comes out of files of the schema `held`. writers_clock: what the table's ORC files hold of times with local zone.

    Raises UnsupportedFeatureError where its type became one that it is not cast to.
    """
    found = held.by_id.get(column.id)
    if found is None:
        return Stored(None, Value(pa.scalar(None, arrow_type(column.type))))
    field, value = _read_as(found, file_format, writers_clock)
    if not found.type.same(column.type):
        if not can_cast(found.type, column.type):
            raise UnsupportedFeatureError(
                f"column {column.name} is {column.type} and was {found.type} in schema {held.id}; lakesql does not cast these",
                feature=f"cast of {found.type} to {column.type}",
            )
        value = Mapped(value, _caster(found.type, column.type), arrow_type(column.type))
    return Stored(field, value)


def _read_as(column: DataField, file_format: str, writers_clock: bool) -> tuple[pa.Field, Expression]:
    """What to read of a file for one of its own columns. ORC's own CHAR fills up with blanks, which its readers take off again."""
    field, value = arrow_field(column), Col(column.name)
    if file_format == "orc" and writers_clock and _holds(column.type, "TIMESTAMP_LTZ"):
        field = _on_writers_clock(field)
    if file_format == "orc" and _holds(column.type, "CHAR"):
        return field, Mapped(value, lambda array: _without_blanks(array, column.type), field.type)
    return field, value


def _holds(type_: DataType, root: str) -> bool:
    return type_.root == root or any(_holds(c.type, root) for c in type_.children)


def _on_writers_clock(field: pa.Field) -> pa.Field:
    """The field with every instant in it marked WRITERS_CLOCK."""
    type_ = field.type
    if pa.types.is_timestamp(type_) and type_.tz is not None:
        return field.with_metadata({**(field.metadata or {}), **WRITERS_CLOCK})
    if pa.types.is_struct(type_):
        return field.with_type(pa.struct([_on_writers_clock(f) for f in type_]))
    if pa.types.is_map(type_):
        return field.with_type(pa.map_(_on_writers_clock(type_.key_field), _on_writers_clock(type_.item_field)))
    return field.with_type(pa.list_(_on_writers_clock(type_.value_field))) if pa.types.is_list(type_) else field


def _without_blanks(array: pa.Array, type_: DataType) -> pa.Array:
    """The array with the blanks at the end of every CHAR cut off."""
    if type_.root == "CHAR":
        return pc.utf8_rtrim(array, " ")
    if not _holds(type_, "CHAR"):
        return array
    if type_.root == "ROW":
        parts = [_without_blanks(a, c.type) for a, c in zip(array.flatten(), type_.children, strict=True)]
        return pa.StructArray.from_arrays(parts, fields=list(array.type), mask=array.is_null())
    if array.offset:
        array = array.take(pa.array(range(len(array))))
    if type_.root in ("ARRAY", "VECTOR"):
        values = _without_blanks(array.values, type_.children[0].type)
        return pa.Array.from_buffers(array.type, len(array), array.buffers()[: array.type.num_buffers], children=[values])
    items = _without_blanks(array.items, type_.children[1].type) if type_.root == "MAP" else array.items
    entries = pa.StructArray.from_arrays([_without_blanks(array.keys, type_.children[0].type), items], fields=[array.type.key_field, array.type.item_field])
    return pa.Array.from_buffers(array.type, len(array), array.buffers()[:2], children=[entries])


def _caster(held: DataType, wanted: DataType) -> Callable[[pa.Array], pa.Array]:
    return lambda array: cast(array, held, wanted)
