"""What a relation is made of when planning is over, and relations of fewer columns.

`settled` does what may call another engine: it makes deferred relations, loads rows in memory and decodes Avro files. What it gives can be narrowed and
streamed anywhere, as often as is wanted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pyarrow as pa

from lakesql.engines.arrow.stream import NUMBERED
from lakesql.engines.decoded import decode, files_schema
from lakesql.errors import InternalError
from lakesql.relation import (
    AtPositions,
    Batches,
    Beside,
    CastTo,
    Col,
    Counted,
    Deferred,
    Expression,
    FileFormat,
    Files,
    Filter,
    FirstNonNull,
    LatestByKey,
    ListOf,
    Mapped,
    MergeByKey,
    OneOf,
    Project,
    Relabel,
    Relation,
    RowChanges,
    Scanned,
    Sum,
    Union,
    Value,
    WithKeys,
    WithoutKeys,
    WithoutPositions,
)
from lakesql.storage import Storage


def settled(storage: Storage, relation: Relation) -> Relation:
    """The relation without anything that is left to be known. Raises MissingFileError, DataFileError, MetadataError."""
    match relation:
        case Files(format=FileFormat.AVRO):
            counted = relation if files_schema(relation).names else replace(relation, row_index=NUMBERED)  # rows without columns would have no number
            return Batches.of(decode(storage, counted))
        case Batches():
            return Batches.of(_loaded(relation))
        case Deferred(_, make):
            return settled(storage, make())
        case Project() | Filter() | RowChanges():
            return replace(relation, input=settled(storage, relation.input))
        case Union(inputs):
            return Union(tuple(settled(storage, i) for i in inputs))
        case WithoutPositions() | WithoutKeys():
            return replace(relation, input=settled(storage, relation.input), deletes=settled(storage, relation.deletes))
        case WithKeys():
            return replace(relation, input=settled(storage, relation.input), keys=settled(storage, relation.keys))
        case AtPositions():
            return replace(relation, input=settled(storage, relation.input), positions=Batches.of(_loaded(relation.positions)))
        case LatestByKey() | MergeByKey():
            return replace(relation, runs=tuple(replace(r, input=settled(storage, r.input)) for r in relation.runs))
        case Beside():
            return replace(relation, inputs=tuple(settled(storage, i) for i in relation.inputs))
        case Files() | Counted() | Scanned():
            return relation


def _loaded(batches: Batches) -> pa.Table:
    table = batches.load()
    if table.schema.names != batches.schema.names:
        raise InternalError(f"a metadata table gave columns {table.schema.names} instead of {batches.schema.names}")
    return table.cast(batches.schema)


def narrowed(relation: Relation, columns: Iterable[str]) -> Relation:
    """The relation with these columns, and perhaps others of its own."""
    wanted = frozenset(columns)
    match relation:
        case Files():
            return _files(relation, wanted)
        case Project(input_, names, expressions):
            kept = [(n, e) for n, e in zip(names, expressions, strict=True) if n in wanted]
            below = narrowed(input_, {c for _, e in kept for c in _read(e)})
            return Project(below, tuple(n for n, _ in kept), tuple(e for _, e in kept))
        case Filter(input_, where):
            return Filter(narrowed(input_, wanted | {where}), where)
        case Union(inputs):
            return Union(tuple(_exactly(narrowed(i, wanted), wanted) for i in inputs))
        case WithoutPositions(input_, _, file_path, row_index) | AtPositions(input_, _, file_path, row_index):
            return replace(relation, input=narrowed(input_, wanted | {file_path, row_index}))
        case WithoutKeys(input_, deletes, on, newer):
            ours, theirs = ((), ()) if newer is None else ((newer[0],), (newer[1],))
            return replace(relation, input=narrowed(input_, {*wanted, *on, *ours}), deletes=narrowed(deletes, {*on, *theirs}))
        case WithKeys(input_, keys, on):
            return replace(relation, input=narrowed(input_, wanted | set(on)), keys=narrowed(keys, on))
        case LatestByKey(runs, key, order, drop):
            needed = wanted.union(key, (c for c, _ in order), () if drop is None else (drop,))
            return replace(relation, runs=tuple(replace(r, input=_exactly(narrowed(r.input, needed), needed)) for r in runs))
        case Beside(inputs, on):
            first, *others = (_exactly(narrowed(i, wanted | {on}), wanted | {on}) for i in inputs)
            return Beside((first, *others), on)
        case _:
            return relation


def _files(files: Files, wanted: frozenset[str]) -> Files:
    constants = files.constants
    if constants is not None:
        kept = [n for n in constants.column_names if n in wanted]
        constants = constants.select(kept) if kept else None
    return replace(
        files,
        schema=pa.schema([f for f in files.schema if f.name in wanted]),
        constants=constants,
        file_path=files.file_path if files.file_path in wanted else None,
        row_index=files.row_index if files.row_index in wanted else None,
    )


def _exactly(relation: Relation, wanted: frozenset[str]) -> Relation:
    names = tuple(n for n in names_of(relation) if n in wanted)
    return relation if len(names) == len(names_of(relation)) else Project(relation, names, tuple(Col(n) for n in names))


def names_of(relation: Relation) -> list[str]:
    """The columns of a settled relation."""
    match relation:
        case Files():
            return list(files_schema(relation).names)
        case Batches(schema) | Counted(schema) | Deferred(schema):
            return list(schema.names)
        case Scanned(dataset):
            return list(dataset.schema.names)
        case Project(names=names):
            return list(names)
        case Filter(input_) | WithoutPositions(input_) | WithKeys(input_) | WithoutKeys(input_):
            return names_of(input_)
        case AtPositions(input_, positions):
            return [*names_of(input_), *positions.schema.names[2:]]
        case Union(inputs):
            return names_of(inputs[0])
        case LatestByKey(runs):
            return names_of(runs[0].input)
        case MergeByKey(rules=rules):
            return [r.column for r in rules]
        case Beside(inputs, on):
            return [*names_of(inputs[0]), *(n for i in inputs[1:] for n in names_of(i) if n != on)]
        case RowChanges(_, columns, change, within, carried):
            return [*columns, change, *within, *carried]


def _read(expression: Expression) -> frozenset[str]:
    """The columns that an expression reads."""
    match expression:
        case Col(name):
            return frozenset((name,))
        case Value():
            return frozenset()
        case CastTo(input_) | Relabel(input_) | OneOf(input_) | Mapped(input_):
            return _read(input_)
        case Sum(left, right):
            return _read(left) | _read(right)
        case FirstNonNull(inputs) | ListOf(inputs):
            return frozenset[str]().union(*(_read(i) for i in inputs))
