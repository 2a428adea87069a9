"""Two snapshots of one Iceberg table, to be compared: Comparison of `table.py`.

A file has the same rows in both under the same deletes. Columns are one by their field ids, at every depth; of two types the wider counts, whichever snapshot
has it. Rows are known by row ids where all files that differ have them. Source: Iceberg table spec, "Schema Evolution", "Row Lineage".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa

from lakesql.errors import InternalError, UnsupportedFeatureError
from lakesql.formats.iceberg.change_files import differing, narrowed
from lakesql.formats.iceberg.hidden import ROW_ID
from lakesql.formats.iceberg.scan import IcebergFiles
from lakesql.formats.iceberg.schema import Schema
from lakesql.formats.iceberg.types import UNKNOWN, Field, ListOf, MapOf, Primitive, Struct, Type
from lakesql.table import FileSet, Mask

if TYPE_CHECKING:
    from lakesql.formats.iceberg.snapshot import IcebergSnapshot


@dataclass(frozen=True)
class IcebergComparison:
    """See Comparison."""

    before: IcebergSnapshot
    after: IcebergSnapshot

    def differing(self, before: FileSet, after: FileSet) -> tuple[Mask, Mask]:
        """See Comparison."""
        return differing(_own(before), _own(after))

    def identity(self, before: FileSet, after: FileSet) -> tuple[str, ...]:
        """See Comparison."""
        there = all(ROW_ID in s.hidden.names and ROW_ID not in s.schema.names for s in (self.before, self.after))
        return (ROW_ID,) if there and not any(_own(f).entries.column("first_row_id").null_count for f in (before, after)) else ()

    def narrowed(self, files: FileSet, mask: Mask) -> FileSet:
        """See Comparison."""
        return narrowed(_own(files), mask)


def comparison(before: IcebergSnapshot, after: IcebergSnapshot) -> IcebergComparison:
    """Two snapshots under the second's columns. Raises UnsupportedFeatureError for a column of two types of which none is the wider one."""
    names = f"snapshot {before.version}", f"snapshot {after.version}"
    schema = Schema(after.table_schema.id, _reconciled(after.table_schema.fields, before.table_schema.fields, names))
    return IcebergComparison(before.with_schema(schema), after.with_schema(schema))


def _own(files: FileSet) -> IcebergFiles:
    if not isinstance(files, IcebergFiles):
        raise InternalError("a comparison of Iceberg snapshots was given files of another format")
    return files


def _reconciled(fields: tuple[Field, ...], others: tuple[Field, ...], names: tuple[str, str]) -> tuple[Field, ...]:
    """The fields, those that the others have too with the wider of both types."""
    known = {f.id: f for f in others}
    return tuple(replace(f, type=_wider(f.type, known[f.id].type, f.name, names)) if f.id in known else f for f in fields)


def _wider(type_: Type, other: Type, name: str, names: tuple[str, str]) -> Type:
    match type_, other:
        case Primitive(), Primitive():
            if type_.name == other.name or _promotes(other, type_):
                return type_
            if _promotes(type_, other):
                return other
        case Struct(fields), Struct(others):
            return Struct(_reconciled(fields, others, names))
        case ListOf(element), ListOf(theirs):
            return ListOf(replace(element, type=_wider(element.type, theirs.type, name, names)))
        case MapOf(key, value), MapOf(their_key, their_value):
            key = replace(key, type=_wider(key.type, their_key.type, name, names))
            return MapOf(key, replace(value, type=_wider(value.type, their_value.type, name, names)))
        case Primitive(name=spelled), _ if spelled == UNKNOWN:
            return other
        case _, Primitive(name=spelled) if spelled == UNKNOWN:
            return type_
    raise UnsupportedFeatureError(
        f'column "{name}" is {other} in {names[0]} and {type_} in {names[1]}: no type holds the values of both',
        feature="differences across a change of type that is no promotion",
        hint="compare queries that cast it: SELECT ... EXCEPT ALL SELECT ...",
    )


def _promotes(old: Primitive, new: Primitive) -> bool:
    """Whether the spec lets a column's type become another."""
    if old.name == UNKNOWN or new.name in _PROMOTIONS.get(old.name, ()):
        return True
    a, b = old.arrow, new.arrow
    return pa.types.is_decimal(a) and pa.types.is_decimal(b) and bool(a.scale == b.scale and a.precision <= b.precision)


_PROMOTIONS = {"int": ("long",), "float": ("double",), "date": ("timestamp", "timestamp_ns")}
