"""RowChanges: the difference of rows taken away and rows added. All rows of the input are held."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakesql.engines.arrow.keys import Ints, codes
from lakesql.engines.arrow.stream import Part, Stream, taken
from lakesql.engines.arrow.values import undictionaried
from lakesql.engines.merging import ranks
from lakesql.relation import RowChanges

_INSERT, _DELETE, _PREIMAGE, _POSTIMAGE = "insert", "delete", "update_preimage", "update_postimage"


def row_changes(node: RowChanges, rows: Stream) -> Stream:
    """See relation.RowChanges."""
    names = (*node.columns, node.change, *node.within, *node.carried)
    schema = pa.schema([rows.schema.field(n) for n in names])

    def read() -> Iterator[pa.RecordBatch]:
        yield from _differences(node, rows.table(), schema).to_batches()

    return Stream(schema, (Part(read),))


def _differences(node: RowChanges, rows: pa.Table, schema: pa.Schema) -> pa.Table:
    count = rows.num_rows
    if not count:
        return schema.empty_table()
    group = codes([rows.column(n) for n in (*node.columns, *node.within)], count)
    added = pc.equal(rows.column(node.change), _INSERT).to_numpy()
    groups = int(group.max()) + 1
    balance = np.bincount(group, np.where(added, 1.0, -1.0), groups).astype(np.int64)
    first = np.zeros(groups, np.int64)
    first[group[::-1]] = np.arange(count)[::-1]
    left = np.flatnonzero(balance)
    repeats = np.abs(balance[left])
    chosen = np.repeat(first[left], repeats)
    is_added = np.repeat(balance[left] > 0, repeats)
    columns = {n: taken(rows.select([n]), chosen).column(0) for n in (*node.columns, *node.within)}
    for name in node.carried:
        greatest = _greatest(rows.column(name), group * 2 + added, groups * 2)
        columns[name] = taken(rows.select([name]), greatest[np.repeat(left * 2 + (balance[left] > 0), repeats)]).column(0)
    paired = _paired(node, columns, is_added) if node.key and len(chosen) else np.zeros(len(chosen), bool)
    words = np.where(is_added, np.where(paired, 3, 1), np.where(paired, 2, 0))
    columns[node.change] = pa.array([_DELETE, _INSERT, _PREIMAGE, _POSTIMAGE]).take(pa.array(words))
    return pa.table([columns[n] for n in schema.names], schema=schema)


def _greatest(column: pa.ChunkedArray, group: Ints, groups: int) -> Ints:
    """For each group the number of a row with the greatest value; null is below all."""
    values = column.combine_chunks()
    values = pa.concat_arrays(values.chunks) if isinstance(values, pa.ChunkedArray) else values
    order = np.lexsort((ranks([undictionaried(values)], len(values)), group))
    found = np.zeros(groups, np.int64)
    found[group[order]] = order
    return found


def _paired(node: RowChanges, columns: dict[str, pa.ChunkedArray], added: np.ndarray) -> np.ndarray:
    """Which rows are the images of an update: of their key, the only one taken away and the only one added."""
    keys: Sequence[str] = (*node.within, *node.key)
    group = codes([columns[n] for n in keys], len(added))
    size = int(group.max()) + 1
    one = (np.bincount(group[added], minlength=size) == 1) & (np.bincount(group[~added], minlength=size) == 1)
    whole = np.ones(len(added), bool)
    for name in node.key:
        whole &= columns[name].is_valid().to_numpy()
    paired: np.ndarray = one[group] & whole
    return paired
