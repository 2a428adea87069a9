"""Active files as columns: a block is some hundreds to some ten thousand add actions whose fields are read when they are asked for, and kept.

Blocks never change; which of their rows are live is the state's business (`replay.py`). So one block serves every version that has its files, and what was
decoded from it once stays decoded. A block in memory is here; those of checkpoints are in `checkpoint.py`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakesql.formats.delta.actions import ADD_FIELDS

PathInStats = tuple[str, ...]
"""A column's physical path inside statistics."""


class Block(Protocol):
    """Add actions as columns. Every array has `rows` entries; asking twice reads once."""

    @property
    def rows(self) -> int: ...

    def column(self, name: str) -> pa.Array:
        """A field of ADD_FIELDS but `stats`; null where an action lacks it."""
        ...

    def stats_texts(self) -> Iterator[pa.Array]:
        """The JSON statistics in row order, in pieces that fit in memory; not kept. Nothing where no row has any."""
        ...

    def stats_struct(self, path: PathInStats) -> pa.Array | None:
        """The typed statistics of one column as a struct like stats_parsed that holds this column alone (the empty path: numRecords alone); None where there
        are none. Not kept.
        """
        ...

    @property
    def cache(self) -> dict[object, object]:
        """For whoever decodes the block's columns: what it made of them, under a key of its own."""
        ...

    @property
    def lock(self) -> threading.Lock:
        """To be held while something in `cache` is changed."""
        ...


class MemoryBlock:
    """Add actions of commits: a table of ADD_FIELDS."""

    def __init__(self, table: pa.Table) -> None:
        self._columns = {name: _one(table[name]) for name in ADD_FIELDS}
        self.rows = table.num_rows
        self.cache: dict[object, object] = {}
        self.lock = threading.Lock()

    def column(self, name: str) -> pa.Array:
        """See Block."""
        return self._columns[name]

    def stats_texts(self) -> Iterator[pa.Array]:
        """See Block."""
        texts = self._columns["stats"]
        if texts.null_count < len(texts):
            yield texts

    def stats_struct(self, path: PathInStats) -> pa.Array | None:
        """See Block: commits hold JSON alone."""
        return None

    def take(self, rows: np.ndarray | None) -> pa.Table:
        """The rows as a table of ADD_FIELDS, all of them for None."""
        table = pa.table(self._columns)
        return table if rows is None else table.take(pa.array(rows))


def map_values(maps: pa.Array, key: str) -> pa.Array:
    """What each map of text holds under `key`: null where the map is null, lacks the key, or holds null for it. A repeated key's last value counts."""
    rows = len(maps)
    keys, items = maps.keys, maps.items
    offsets = np.asarray(maps.offsets)
    hits = np.flatnonzero(np.asarray(pc.fill_null(pc.equal(keys, key), False)))
    hits = hits[(hits >= offsets[0]) & (hits < offsets[-1])]
    owners = np.searchsorted(offsets, hits, side="right") - 1
    at = np.full(rows, -1, np.int64)
    at[owners] = hits
    if maps.null_count:
        at[~np.asarray(maps.is_valid())] = -1
    return items.take(pa.array(at, mask=at < 0))


def concat(arrays: Sequence[pa.Array], type_: pa.DataType) -> pa.Array:
    """One array of all; an empty one of `type_` for none."""
    return pa.concat_arrays(arrays) if arrays else pa.array([], type_)


def _one(column: pa.ChunkedArray) -> pa.Array:
    combined = column.combine_chunks()
    return combined if isinstance(combined, pa.Array) else concat(combined.chunks, column.type)
