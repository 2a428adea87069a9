"""Two snapshots of one Iceberg table, to be compared: Comparison of `table.py`.

A file has the same rows in both under the same deletes; where others concern it, and all of them by position, rows differ at those. Columns are one by their
field ids, at every depth; of two types the wider counts, whichever snapshot has it. Rows are known by row ids where all files that differ have them. Source:
Iceberg table spec, "Schema Evolution", "Row Lineage".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakesql.errors import InternalError, UnsupportedFeatureError
from lakesql.formats.iceberg.change_files import differing, narrowed
from lakesql.formats.iceberg.delete_rows import ROWS, deleted_rows
from lakesql.formats.iceberg.hidden import FILE, POS, ROW_ID
from lakesql.formats.iceberg.scan import IcebergFiles, Source
from lakesql.formats.iceberg.schema import Schema
from lakesql.formats.iceberg.types import UNKNOWN, Field, ListOf, MapOf, Primitive, Struct, Type
from lakesql.relation import AtPositions, Batches, Col, Project, Relation, Union
from lakesql.table import FileSet, Mask, Snapshot

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

    def rows(self, state: Snapshot, files: FileSet, others: FileSet, columns: Sequence[str]) -> Relation:
        """See Comparison: of a file that both snapshots have, and that no equality delete concerns, the rows at positions which the other alone deletes."""
        own, mine, theirs = self.before if state is self.before else self.after, _own(files), _own(others)
        shared = np.asarray(pc.is_in(_flat(mine.files["path"]), value_set=_flat(theirs.files["path"]).filter(pa.array(_positional(theirs)))))
        moved: Mask = shared & _positional(mine)
        if not moved.any() or not {FILE, POS} <= set(own.hidden.names) - set(own.schema.names):
            return own.relate(mine, columns)
        both = narrowed(mine, moved)
        other = narrowed(theirs, np.asarray(pc.is_in(_flat(theirs.files["path"]), value_set=_flat(both.files["path"]))))
        found = _at(own, both, other, columns)
        return found if moved.all() else Union((own.relate(narrowed(mine, ~moved), columns), found))


def comparison(before: IcebergSnapshot, after: IcebergSnapshot) -> IcebergComparison:
    """Two snapshots under the second's columns. Raises UnsupportedFeatureError for a column of two types of which none is the wider one."""
    names = f"snapshot {before.version}", f"snapshot {after.version}"
    schema = Schema(after.table_schema.id, _reconciled(after.table_schema.fields, before.table_schema.fields, names))
    return IcebergComparison(before.with_schema(schema), after.with_schema(schema))


def _own(files: FileSet) -> IcebergFiles:
    if not isinstance(files, IcebergFiles):
        raise InternalError("a comparison of Iceberg snapshots was given files of another format")
    return files


def _flat(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values


def _positional(files: IcebergFiles) -> Mask:
    """The files that no equality delete concerns: of their rows those are gone that stand at deleted positions."""
    assert files.deletes is not None
    found: Mask = np.ones(files.files.num_rows, bool)
    for equality in files.deletes.equality:
        found = found & ~equality.hit
    return found


def _at(state: IcebergSnapshot, files: IcebergFiles, others: IcebergFiles, columns: Sequence[str]) -> Relation:
    """The rows of files, all of which the other side has as well, that the deletes there hide and those here do not."""
    deletes = files.deletes
    assert deletes is not None
    bare = replace(deletes, vector=np.full(len(deletes.vector), -1, np.int64), has_positions=np.zeros(len(deletes.vector), bool), equality=())
    places = tuple(n for n in (FILE, POS) if n not in columns)
    rows = state.relate(replace(files, deletes=bare), (*columns, *places))
    positions = Batches(ROWS, lambda: _newly_hidden(state.source, files, others))
    return Project(AtPositions(rows, positions, FILE, POS), tuple(columns), tuple(Col(n) for n in columns))


def _newly_hidden(source: Source, files: IcebergFiles, others: IcebergFiles) -> pa.Table:
    """Positions that are deleted there and not here, as ROWS; files by what `_file` shows."""
    here, there = (deleted_rows(source.storage, source.places, f.deletes) for f in (files, others) if f.deletes is not None)
    apart = there.group_by(ROWS.names).aggregate([]).join(here.group_by(ROWS.names).aggregate([]), ROWS.names, join_type="left anti")
    assert files.deletes is not None
    shown = files.deletes.source_paths.take(pc.index_in(_flat(apart["path"]), value_set=files.deletes.paths))
    return pa.table([shown, apart["position"]], schema=ROWS)


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
