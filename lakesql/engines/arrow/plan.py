"""Settled relations -> streams."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import pyarrow as pa

from lakesql.engines.arrow.changes import row_changes
from lakesql.engines.arrow.files import files_stream
from lakesql.engines.arrow.merges import at_positions, beside, latest_by_key, merge_by_key, with_keys, without_keys, without_positions
from lakesql.engines.arrow.stream import Part, Stream, batch_of, conforming, held
from lakesql.engines.arrow.values import evaluated, repeated
from lakesql.engines.shape import plain
from lakesql.errors import InternalError
from lakesql.predicate import Column, Compare, In, IsNull, Predicate, StartsWith
from lakesql.relation import (
    AtPositions,
    Batches,
    Beside,
    Col,
    Counted,
    Deferred,
    Files,
    Filter,
    LatestByKey,
    MergeByKey,
    Project,
    Relation,
    RowChanges,
    Scanned,
    Union,
    WithKeys,
    WithoutKeys,
    WithoutPositions,
)
from lakesql.storage import Storage

_COUNTED_ROWS = 1 << 16

Predicates = tuple[Predicate, ...]


def plan(storage: Storage, relation: Relation, predicates: Sequence[Predicate] = ()) -> Stream:
    """The rows of a relation, which `narrowing.settled` has settled. predicates: conjuncts that every row of use satisfies; others may come or not.

    Raises MissingFileError, DataFileError, EngineError, UnsupportedFeatureError.
    """
    return _Planning(storage).stream(relation, tuple(predicates))


class _Planning:
    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def stream(self, relation: Relation, predicates: Predicates = ()) -> Stream:
        match relation:
            case Files():
                return files_stream(self._storage, relation, predicates)
            case Batches():
                return held(relation.load())
            case Counted():
                return _counted(relation)
            case Deferred():
                raise InternalError("a deferred relation was not settled")
            case Scanned(dataset):
                return Stream(dataset.schema, (Part(lambda: iter(dataset.to_batches())),))
            case Project():
                return self._projected(relation, predicates)
            case Filter(input_, where):
                return self.stream(input_, predicates).each(lambda batch: batch.filter(batch.column(where)))
            case Union(inputs):
                return _united([self.stream(i, predicates) for i in inputs])
            case WithoutPositions(input_, deletes):
                return without_positions(relation, self.stream(input_, predicates), self.stream(deletes))
            case AtPositions(input_, positions):
                return at_positions(relation, self.stream(input_, predicates), positions.load())
            case WithoutKeys(input_, deletes):
                return without_keys(relation, self.stream(input_, predicates), self.stream(deletes))
            case WithKeys(input_, keys):
                return with_keys(relation, self.stream(input_, predicates), self.stream(keys))
            case LatestByKey(runs, key) | MergeByKey(runs, key):
                below = _only(predicates, key)
                streams = [self.stream(r.input, below) for r in sorted(runs, key=lambda r: r.age)]
                return latest_by_key(relation, streams) if isinstance(relation, LatestByKey) else merge_by_key(relation, streams)
            case Beside(inputs):
                return beside(relation, [self.stream(i) for i in inputs])
            case RowChanges(input_, columns, _, within, _, key):
                return row_changes(relation, self.stream(input_, _only(predicates, (*key, *within) if key else (*columns, *within))))
            case _:
                raise InternalError(f"{type(relation).__name__} is no relation that is known")

    def _projected(self, node: Project, predicates: Predicates) -> Stream:
        named = {n: e.name for n, e in zip(node.names, node.expressions, strict=True) if isinstance(e, Col)}
        input_ = self.stream(node.input, tuple(_renamed(predicates, named)))

        def project(batch: pa.RecordBatch) -> pa.RecordBatch:
            return batch_of([evaluated(e, batch) for e in node.expressions], node.names, batch.num_rows)

        empty = batch_of([pa.array([], f.type) for f in input_.schema], input_.schema.names, 0)
        return input_.each(project, project(empty).schema if node.names else pa.schema([]))


def _united(inputs: Sequence[Stream]) -> Stream:
    if not inputs:
        raise InternalError("a union of nothing")
    schema = inputs[0].schema
    same = [i if i.schema.equals(schema) else i.each(lambda batch: conforming(batch, schema), schema) for i in inputs]
    return Stream(schema, tuple(part for i in same for part in i.parts))


def _counted(counted: Counted) -> Stream:
    """Columns that groups lack are not read; they are null."""
    groups = counted.groups
    schema = pa.schema([pa.field(f.name, plain(f.type)) for f in counted.schema])

    def read() -> Iterator[pa.RecordBatch]:
        for number, total in enumerate(counted.row_counts.to_pylist()):
            for start in range(0, total, _COUNTED_ROWS):
                count = min(_COUNTED_ROWS, total - start)
                values = [groups.column(f.name)[number] if f.name in groups.column_names else None for f in schema]
                yield batch_of([repeated(v, f.type, count) for v, f in zip(values, schema, strict=True)], schema.names, count)

    return Stream(schema, (Part(read),))


# Predicates further down ---------------------------------------------------------------------------------------------------------------------------


def _only(predicates: Predicates, columns: Sequence[str]) -> Predicates:
    """Those that read one of these columns alone."""
    return tuple(p for p in predicates if isinstance(p, Compare | In | IsNull | StartsWith) and isinstance(p.term, Column) and p.term.path[0] in columns)


def _renamed(predicates: Predicates, names: Mapping[str, str]) -> Iterator[Predicate]:
    """The predicates over the names that columns have below; those over other terms are left out."""
    for p in predicates:
        if isinstance(p, Compare | In | IsNull | StartsWith) and isinstance(p.term, Column) and p.term.path[0] in names:
            yield replace(p, term=Column((names[p.term.path[0]], *p.term.path[1:])))
