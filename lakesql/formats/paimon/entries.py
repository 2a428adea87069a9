"""The entries of manifests as columns, and which of the files they add are live.

A block is one manifest, decoded once and kept: manifests never change, and most of a new snapshot's were those of the one before. Which entries are live is
a matter of the manifests looked at: a file is live that one of them adds and none deletes. Files are told apart by all that makes their identity, never by
name alone, since a file that moves up the tree is deleted and added again under its name. Source: Paimon, FileEntry.Identifier, FileEntry.mergeEntries.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lakesql.formats.paimon.binary_row import distinct
from lakesql.formats.paimon.manifests import ADD, DELETE, ENTRY, read_list, read_manifests
from lakesql.location import join
from lakesql.relation import distinct_rows
from lakesql.storage import Storage

Mask = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]

_KEPT_BYTES = 1 << 30
_KEPT_LISTS = 32
_IDENTITY = ("_PARTITION", "_BUCKET", "_LEVEL", "_FILE_NAME", "_EXTRA_FILES", "_EMBEDDED_FILE_INDEX", "_EXTERNAL_PATH")

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, eq=False)
class Block:
    """The entries of one manifest: a table of ENTRY. cache: for whoever decodes its columns, under keys of their own."""

    table: pa.Table
    cache: dict[Any, Any] = field(default_factory=dict, repr=False)

    def column(self, name: str) -> pa.Array:
        """A column of ENTRY in one piece."""
        chunked = self.table[name]
        return chunked.chunk(0) if chunked.num_chunks == 1 else pa.concat_arrays(chunked.chunks) if chunked.num_chunks else pa.array([], chunked.type)

    @cached_property
    def partitions(self) -> tuple[pa.Array, Indices]:
        """The distinct partitions, as bytes, and each entry's number among them."""
        return distinct(self.column("_PARTITION"))


@dataclass(frozen=True, eq=False)
class Part:
    """Entries of one block, by ascending place; None: all of them."""

    block: Block
    rows: Indices | None

    def __len__(self) -> int:
        return self.block.table.num_rows if self.rows is None else len(self.rows)

    def take(self, whole: pa.Array) -> pa.Array:
        """The part's entries of an array over the whole block."""
        return whole if self.rows is None else whole.take(pa.array(self.rows))


@dataclass(frozen=True, eq=False)
class Selection:
    """Files in the order of their parts. No part is empty."""

    parts: tuple[Part, ...]

    def __len__(self) -> int:
        return self._starts[-1]

    def narrow(self, mask: Mask) -> Selection:
        """The files where mask is true."""
        if mask.all():
            return self
        parts = []
        for part, start in zip(self.parts, self._starts, strict=False):
            chosen = mask[start : start + len(part)]
            if chosen.all():
                parts.append(part)
            elif chosen.any():
                parts.append(Part(part.block, np.flatnonzero(chosen) if part.rows is None else part.rows[chosen]))
        return Selection(tuple(parts))

    def take(self, indices: Indices) -> Selection:
        """The files at these places, which ascend."""
        mask = np.zeros(len(self), bool)
        mask[indices] = True
        return self.narrow(mask)

    def column(self, name: str) -> pa.Array:
        """A column of ENTRY over all files."""
        if name not in self._columns:
            self._columns[name] = self.gather(lambda part: part.take(part.block.column(name)), ENTRY.field(name).type)
        return self._columns[name]

    def numbers(self, name: str, missing: int = 0) -> Indices:
        """A column of whole numbers over all files, with `missing` for null."""
        found: Indices = pc.fill_null(self.column(name).cast(pa.int64()), missing).to_numpy(zero_copy_only=False)
        return found

    def gather(self, make: Callable[[Part], pa.Array], type_: pa.DataType) -> pa.Array:
        """What `make` gives for each part, in one array. Parts are worked on side by side."""
        made = in_parallel(make, self.parts)
        return made[0] if len(made) == 1 else pa.concat_arrays(made) if made else pa.array([], type_)

    @cached_property
    def partitions(self) -> tuple[pa.Array, Indices]:
        """The distinct partitions, as bytes, and each file's number among them."""
        found: dict[bytes, int] = {}
        codes = []
        for part in self.parts:
            blobs, numbers = part.block.partitions
            places = np.array([found.setdefault(b, len(found)) for b in blobs.to_pylist()], np.int64)
            codes.append(places[numbers if part.rows is None else numbers[part.rows]])
        everything = np.concatenate(codes) if codes else np.zeros(0, np.int64)
        used, places = np.unique(everything, return_inverse=True)
        blobs = pa.array(list(found), pa.binary())
        return blobs.take(pa.array(used)), places

    @cached_property
    def _columns(self) -> dict[str, pa.Array]:
        return {}

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *np.cumsum([len(p) for p in self.parts], dtype=np.int64).tolist()]


class Manifests:
    """The manifests of one table, decoded once each and kept up to a size. Thread-safe. folder: the table's `manifest/`."""

    def __init__(self, storage: Storage, folder: str, kept_bytes: int = _KEPT_BYTES) -> None:
        self._storage = storage
        self.folder = folder
        self._kept_bytes = kept_bytes
        self._blocks: OrderedDict[str, Block] = OrderedDict()
        self._lists: OrderedDict[str, pa.Table] = OrderedDict()
        self._sizes: dict[str, int] = {}
        self._lock = threading.Lock()

    def blocks(self, names: Sequence[str]) -> list[Block]:
        """The manifests of these names, in their order."""
        with self._lock:
            known = {n: self._blocks[n] for n in names if n in self._blocks}
            for name in known:
                self._blocks.move_to_end(name)
        missing = list(dict.fromkeys(n for n in names if n not in known))
        for name, table in zip(missing, read_manifests(self._storage, [join(self.folder, n) for n in missing]), strict=True):
            known[name] = Block(table)
            self._keep(name, known[name])
        return [known[n] for n in names]

    def manifest_list(self, name: str) -> pa.Table:
        """The manifest list of this name, as LIST."""
        with self._lock:
            known = self._lists.get(name)
        if known is None:
            known = read_list(self._storage, join(self.folder, name))
            with self._lock:
                self._lists[name] = known
                while len(self._lists) > _KEPT_LISTS:
                    self._lists.popitem(last=False)
        return known

    def live(self, names: Sequence[str]) -> Selection:
        """The files that these manifests leave: added by one, deleted by none."""
        return live_files(self.blocks(names))

    def _keep(self, name: str, block: Block) -> None:
        with self._lock:
            self._blocks[name] = block
            self._sizes[name] = block.table.nbytes
            total = sum(self._sizes.values())
            while total > self._kept_bytes and len(self._blocks) > 1:
                oldest, _ = self._blocks.popitem(last=False)
                total -= self._sizes.pop(oldest)


def live_files(blocks: Sequence[Block]) -> Selection:
    """The files that the blocks add and do not delete."""
    added = [np.asarray(pc.equal(b.column("_KIND"), ADD)) for b in blocks]
    deleted = [identity(b.table.filter(pc.equal(b.table["_KIND"], DELETE))) for b, a in zip(blocks, added, strict=True) if not a.all()]
    if deleted:
        gone = pa.concat_tables(deleted)
        names = pc.unique(gone["_FILE_NAME"])
        for block, adds in zip(blocks, added, strict=True):
            suspects = np.flatnonzero(adds & np.asarray(pc.is_in(block.column("_FILE_NAME"), names)))
            if len(suspects):
                adds[suspects[are_in(identity(block.table.take(pa.array(suspects))), gone)]] = False
    parts = (Part(b, None if a.all() else np.flatnonzero(a)) for b, a in zip(blocks, added, strict=True))
    return Selection(tuple(p for p in parts if len(p)))


def identity(entries: pa.Table) -> pa.Table:
    """All that tells one file from another, one row per entry; lists become text."""
    columns = {n: entries[n] for n in _IDENTITY}
    columns["_EXTRA_FILES"] = pc.binary_join(entries["_EXTRA_FILES"], "\0")
    return pa.table(columns)


def are_in(rows: pa.Table, others: pa.Table) -> Mask:
    """Which rows equal one of the others; null equals null."""
    both = pa.concat_tables([rows, others]).combine_chunks()
    codes, _, _ = distinct_rows(both, both.num_rows)
    return np.isin(codes[: rows.num_rows], codes[rows.num_rows :])


def in_parallel(work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """The work's result for every item, several at once: decoding releases the interpreter. The first error is raised."""
    if len(items) < 4:
        return [work(item) for item in items]
    with ThreadPoolExecutor(min(len(items), os.cpu_count() or 1, 8)) as pool:
        return list(pool.map(work, items))
