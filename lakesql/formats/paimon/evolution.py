"""A column of today, out of files that were written with another schema: found by field id, renamed, cast by Paimon's rules, or null.

Names mean nothing across schemas: a column that was dropped and another that was added under its name are two. Source: Paimon, SchemaEvolutionUtil.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from lakesql.errors import UnsupportedFeatureError
from lakesql.formats.paimon.casts import can_cast, cast
from lakesql.formats.paimon.schemas import TableSchema
from lakesql.formats.paimon.types import DataField, DataType, arrow_field, arrow_type
from lakesql.relation import Col, Expression, Mapped, Value


@dataclass(frozen=True)
class Stored:
    """How a column comes out of files. field: what to read of them, None where they do not have it; expression: what to make of that."""

    field: pa.Field | None
    expression: Expression


def stored(column: DataField, held: TableSchema, file_format: str) -> Stored:
    """How a column comes out of files of the schema `held`. Raises UnsupportedFeatureError where its type became one that it is not cast to."""
    found = held.by_id.get(column.id)
    if found is None:
        return Stored(None, Value(pa.scalar(None, arrow_type(column.type))))
    field, value = _read_as(found, file_format)
    if not found.type.same(column.type):
        if not can_cast(found.type, column.type):
            raise UnsupportedFeatureError(
                f"column {column.name} is {column.type} and was {found.type} in schema {held.id}; lakesql does not cast these",
                feature=f"cast of {found.type} to {column.type}",
            )
        value = Mapped(value, _caster(found.type, column.type), arrow_type(column.type))
    return Stored(field, value)


def _read_as(column: DataField, file_format: str) -> tuple[pa.Field, Expression]:
    """What to read of a file for one of its own columns."""
    return arrow_field(column), Col(column.name)


def _caster(held: DataType, wanted: DataType) -> Callable[[pa.Array], pa.Array]:
    return lambda array: cast(array, held, wanted)
