"""Rows taken away by position or key, and rows of one key made one.

What is held in memory: positions and keys of deletes; of merges all rows of the newer runs, and those rows of the oldest run whose key is in a newer one - or
all rows, where the oldest run does not promise that its keys are there once; of `Beside` all inputs but the first. Everything else streams.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakesql.engines.arrow.keys import Ints, KeySet, Mask, codes, together
from lakesql.engines.arrow.stream import Once, Part, Stream, batch_of, conforming, gathered, taken
from lakesql.engines.arrow.values import undictionaried
from lakesql.engines.merge_functions import FUNCTIONS
from lakesql.engines.merging import AGE, KEPT, fold, ranks
from lakesql.errors import EngineError, UnsupportedFeatureError, did_you_mean
from lakesql.relation import AtPositions, Beside, LatestByKey, MergeByKey, WithKeys, WithoutKeys, WithoutPositions

_LOOKED_UP = 1 << 17

# Positions -----------------------------------------------------------------------------------------------------------------------------------------


class _Places:
    """Rows of `table` (path, position, ...) by file: sorted positions, and the number of each one's row."""

    def __init__(self, table: pa.Table) -> None:
        paths = table.column("path")
        encoded = (paths if pa.types.is_dictionary(paths.type) else pc.dictionary_encode(paths)).unify_dictionaries().combine_chunks()
        encoded = encoded if isinstance(encoded, pa.Array) else encoded.chunk(0) if encoded.num_chunks else pa.array([], pa.string()).dictionary_encode()
        numbers = encoded.indices.to_numpy(zero_copy_only=False)
        positions = table.column("position").to_numpy()
        order = np.lexsort((positions, numbers))
        edges = np.searchsorted(numbers[order], np.arange(len(encoded.dictionary) + 1))
        self._of: dict[str, tuple[Ints, Ints]] = {}
        for at, path in enumerate(encoded.dictionary.to_pylist()):
            rows = order[edges[at] : edges[at + 1]]
            self._of[path] = (positions[rows], rows)

    def of(self, path: str) -> tuple[Ints, Ints] | None:
        """Positions in a file, and the rows that told them; None where there are none."""
        return self._of.get(path)


def without_positions(node: WithoutPositions, rows: Stream, deletes: Stream) -> Stream:
    """See relation.WithoutPositions."""
    places = Once(lambda: _Places(deletes.table()))
    return rows.each(lambda batch: _kept(batch, ~_found(batch, node.file_path, node.row_index, places())[0]))


def at_positions(node: AtPositions, rows: Stream, positions: pa.Table) -> Stream:
    """See relation.AtPositions."""
    places = Once(lambda: _Places(positions))
    told = positions.select(positions.column_names[2:])
    schema = pa.schema([*rows.schema, *told.schema])

    def chosen(batch: pa.RecordBatch) -> pa.RecordBatch:
        there, where = _found(batch, node.file_path, node.row_index, places())
        left = batch.filter(pa.array(there))
        further = taken(told, where[there]).combine_chunks()
        columns = [c.combine_chunks() if isinstance(c, pa.ChunkedArray) else c for c in further.columns]
        return batch_of([*left.columns, *(pa.concat_arrays(c.chunks) if isinstance(c, pa.ChunkedArray) else c for c in columns)], schema.names, left.num_rows)

    return rows.each(chosen, schema)


def _found(batch: pa.RecordBatch, file_path: str, row_index: str, places: _Places) -> tuple[Mask, Ints]:
    """Which rows of a batch are at one of the places, and the number of the row that told it."""
    count = batch.num_rows
    there, where = np.zeros(count, bool), np.zeros(count, np.int64)
    paths = batch.column(file_path)
    encoded = paths if pa.types.is_dictionary(paths.type) else pc.dictionary_encode(paths)
    positions = batch.column(row_index).to_numpy(zero_copy_only=False)
    one = len(encoded.dictionary) == 1
    numbers = None if one else encoded.indices.to_numpy(zero_copy_only=False)
    for number, path in enumerate(encoded.dictionary.to_pylist()):
        known = places.of(path)
        if known is None or not count:
            continue
        rows = slice(None) if numbers is None else np.flatnonzero(numbers == number)
        here = positions[rows]
        if not len(here):
            continue
        low, high = np.searchsorted(known[0], here.min()), np.searchsorted(known[0], here.max(), side="right")
        sought, tellers = known[0][low:high], known[1][low:high]
        if not len(sought):
            continue
        if one and int(here[-1]) - int(here[0]) == count - 1 and bool((np.diff(here) == 1).all()):
            there[sought - here[0]] = True
            where[sought - here[0]] = tellers
            continue
        at = np.minimum(np.searchsorted(sought, here), len(sought) - 1)
        there[rows] = sought[at] == here
        where[rows] = tellers[at]
    return there, where


def _kept(batch: pa.RecordBatch, mask: Mask) -> pa.RecordBatch:
    return batch if bool(mask.all()) else batch.filter(pa.array(mask))


# Keys ----------------------------------------------------------------------------------------------------------------------------------------------


def without_keys(node: WithoutKeys, rows: Stream, deletes: Stream) -> Stream:
    """See relation.WithoutKeys."""
    gone = Once(lambda: _Gone(node, deletes.table()))

    def read(part: Part) -> Callable[[], Iterator[pa.RecordBatch]]:
        return lambda: (_kept(b, ~gone().hits(b)) for b in gathered(part.read(), min(len(gone()), 1 << 20)))

    return Stream(rows.schema, tuple(Part(read(p), p.path) for p in rows.parts))


def with_keys(node: WithKeys, rows: Stream, keys: Stream) -> Stream:
    """See relation.WithKeys."""
    wanted = Once(lambda: KeySet(keys.table(), node.on))

    def read(part: Part) -> Callable[[], Iterator[pa.RecordBatch]]:
        return lambda: (_kept(b, wanted().has(b)) for b in gathered(part.read(), min(len(wanted()), 1 << 20)))

    return Stream(rows.schema, tuple(Part(read(p), p.path) for p in rows.parts))


class _Gone:
    """The deletes of WithoutKeys."""

    def __init__(self, node: WithoutKeys, deletes: pa.Table) -> None:
        self._node, self._deletes = node, deletes
        self._keys = KeySet(deletes, node.on) if node.newer is None else None

    def __len__(self) -> int:
        return int(self._deletes.num_rows)

    def hits(self, batch: pa.RecordBatch) -> Mask:
        if self._keys is not None:
            return self._keys.has(batch)
        if not len(self):
            return np.zeros(batch.num_rows, bool)
        assert self._node.newer is not None
        ours, theirs = self._node.newer
        on = self._node.on
        found = together([self._deletes.column(k) for k in on], [batch.column(k) for k in on], len(self), batch.num_rows)
        newest = np.full(int(found.max(initial=0)) + 1, np.iinfo(np.int64).min)
        np.maximum.at(newest, found[: len(self)], self._deletes.column(theirs).to_numpy())
        older: Mask = newest[found[len(self) :]] > batch.column(ours).to_numpy(zero_copy_only=False)
        return older


def latest_by_key(node: LatestByKey, runs: Sequence[Stream]) -> Stream:
    """See relation.LatestByKey. runs: the node's, the oldest first."""
    schema = runs[0].schema
    ages = sorted(run.age for run in node.runs)

    def shown(table: pa.Table) -> pa.Table:
        return table if node.drop is None else table.filter(pc.invert(pc.fill_null(table.column(node.drop), False)))

    def latest(tables: Sequence[tuple[pa.Table, int]]) -> Iterator[pa.RecordBatch]:
        yield from shown(_latest(node, schema, tables)).to_batches()

    if ages[0] not in node.unique:
        return Stream(schema, (Part(lambda: latest([(run.table(), age) for age, run in enumerate(runs)])),))
    if len(runs) == 1:
        return runs[0].each(lambda batch: shown(pa.Table.from_batches([conforming(batch, schema)])).combine_chunks().to_batches()[0]) if node.drop else runs[0]
    settled = not node.order or node.age_first

    def read() -> Iterator[pa.RecordBatch]:
        newer = [(run.table(), age) for age, run in enumerate(runs[1:], 1)]
        keys = KeySet(pa.concat_tables([t.select(list(node.key)) for t, _ in newer]), node.key)
        touched: list[pa.RecordBatch] = []
        for batch in _alone(runs[0], keys, None if settled else touched):
            yield from shown(pa.Table.from_batches([conforming(batch, schema)])).to_batches()
        yield from latest([*newer, (pa.Table.from_batches(touched, schema=schema), 0)])

    return Stream(schema, (Part(read),))


def _alone(bulk: Stream, keys: KeySet, touched: list[pa.RecordBatch] | None) -> Iterator[pa.RecordBatch]:
    """The rows of the oldest run whose key no newer run has; the others are put into `touched`."""
    for batch in gathered(bulk.batches(), min(max(len(keys), 1), 1 << 20)):
        found = keys.has(batch)
        if touched is not None and found.any():
            touched.append(conforming(batch.filter(pa.array(found)), bulk.schema))
        yield _kept(batch, ~found)


def _latest(node: LatestByKey, schema: pa.Schema, tables: Sequence[tuple[pa.Table, int]]) -> pa.Table:
    """Of rows with the age of their run, the newest one of each key."""
    rows = pa.concat_tables([t for t, _ in tables])
    if not rows.num_rows:
        return rows
    age = np.concatenate([np.full(t.num_rows, age) for t, age in tables])
    order = [_ranked(rows.column(c), ascending) for c, ascending in node.order]
    decisive = [age, *order] if node.age_first else [*order, age]
    key = codes([rows.column(k) for k in node.key], rows.num_rows)
    sorted_ = np.lexsort((*reversed(decisive), key))
    last = np.append(key[sorted_][1:] != key[sorted_][:-1], True)
    return taken(rows, np.sort(sorted_[last]))


def _ranked(column: pa.ChunkedArray, ascending: bool) -> Ints:
    """How new each value is: null is below all."""
    values = column.combine_chunks()
    values = pa.concat_arrays(values.chunks) if isinstance(values, pa.ChunkedArray) else values
    found = ranks([undictionaried(values)], len(values))
    empty = values.is_null().to_numpy(zero_copy_only=False)
    return found if ascending else np.where(empty, -1, int(found.max(initial=0)) - found)


def merge_by_key(node: MergeByKey, runs: Sequence[Stream]) -> Stream:
    """See relation.MergeByKey. runs: the node's, the oldest first."""
    for rule in node.rules:
        if rule.function not in FUNCTIONS:
            raise UnsupportedFeatureError(
                f'column {rule.column} is merged by "{rule.function}", which is not known',
                feature=f"aggregate function {rule.function}",
                hint=did_you_mean(rule.function, FUNCTIONS),
            )
    ages = sorted(run.age for run in node.runs)
    whole, names = runs[0].schema, [r.column for r in node.rules]
    schema = pa.schema([whole.field(n) for n in names])

    def alone(batch: pa.RecordBatch) -> pa.RecordBatch:
        batch = conforming(batch, whole)
        if node.kind is not None and not node.keeps_removed:
            batch = batch.filter(pc.is_in(batch.column(node.kind), value_set=pa.array([0, 2], batch.column(node.kind).type)))
        return batch.select(names)

    if ages[0] not in node.unique:
        return Stream(schema, (Part(lambda: _folded(node, schema, [(run.table(), age) for age, run in enumerate(runs)])),))
    if len(runs) == 1:
        return runs[0].each(alone, schema)

    def read() -> Iterator[pa.RecordBatch]:
        newer = [(run.table(), age) for age, run in enumerate(runs[1:], 1)]
        keys = KeySet(pa.concat_tables([t.select(list(node.key)) for t, _ in newer]), node.key)
        touched: list[pa.RecordBatch] = []
        for batch in _alone(runs[0], keys, touched):
            yield alone(batch)
        yield from _folded(node, schema, [*newer, (pa.Table.from_batches(touched, schema=whole), 0)])

    return Stream(schema, (Part(read),))


def _folded(node: MergeByKey, schema: pa.Schema, tables: Sequence[tuple[pa.Table, int]]) -> Iterator[pa.RecordBatch]:
    """The merged row of each key."""
    names = list(dict.fromkeys([*(r.column for r in node.rules), *(c for c, _ in node.order), *([node.kind] if node.kind is not None else []), *node.key]))
    rows = pa.concat_tables([t.select(names) for t, _ in tables])
    if not rows.num_rows:
        return
    age = np.concatenate([np.full(t.num_rows, age, np.int64) for t, age in tables])
    key = codes([rows.column(k) for k in node.key], rows.num_rows)
    order = np.argsort(key, kind="stable")
    ordered = taken(rows, order).append_column(AGE, pa.array(age[order]))
    arrays = [pa.concat_arrays(c.chunks) for c in ordered.columns]
    structs = pa.StructArray.from_arrays(arrays, names=ordered.column_names)
    starts = np.flatnonzero(np.append(True, key[order][1:] != key[order][:-1]))
    lists = pa.ListArray.from_arrays(pa.array(np.append(starts, len(order)), pa.int32()), structs)
    merged = fold(lists, node)
    kept = merged.filter(merged.field(KEPT))
    columns = [kept.field(f.name) if kept.field(f.name).type == f.type else kept.field(f.name).cast(f.type) for f in schema]
    yield pa.RecordBatch.from_arrays(columns, schema=schema)


def beside(node: Beside, inputs: Sequence[Stream]) -> Stream:
    """See relation.Beside."""
    schema = pa.schema([*inputs[0].schema, *(f for i in inputs[1:] for f in i.schema if f.name != node.on)])
    others = Once(lambda: [_sorted(i.table(), node.on) for i in inputs[1:]])

    def put(batch: pa.RecordBatch) -> pa.RecordBatch:
        columns = list(batch.columns)
        on = batch.column(node.on).to_numpy(zero_copy_only=False)
        for numbers, table in others():
            at = np.searchsorted(numbers, on)
            there = np.zeros(len(on), bool) if not len(numbers) else numbers[np.minimum(at, len(numbers) - 1)] == on
            rows = table.take(pa.array(np.where(there, at, 0), pa.int64(), mask=~there))
            columns += [pa.concat_arrays(c.chunks) if c.num_chunks else pa.nulls(len(on), c.type) for c in rows.columns]
        return batch_of(columns, schema.names, batch.num_rows)

    return inputs[0].each(put, schema)


def _sorted(table: pa.Table, on: str) -> tuple[Ints, pa.Table]:
    """The rows by the column, and the column; rows with one value twice are refused, since they would be lost."""
    numbers = table.column(on).to_numpy()
    order = np.argsort(numbers, kind="stable")
    numbers = numbers[order]
    if len(numbers) and bool((numbers[1:] == numbers[:-1]).any()):
        raise EngineError(f"two rows have one number in {on}")
    return numbers, taken(table.drop_columns([on]), order).combine_chunks()
