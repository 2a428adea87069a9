"""Log replay: from a checkpoint and the commits after it to the active files of a version, as blocks and which of their rows are live.

A file is the pair (path, deletion vector id); the newest action on a pair wins, and order inside a commit has no meaning. Only what commits touched is looked
at file by file; checkpoints are columns, from which touched rows are struck out. A state shares its blocks with the states before it, so that a new commit
costs that commit. Source: Delta protocol, "Action Reconciliation".
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lakesql.formats.delta.actions import ADD_FIELDS, Change, Key, Metadata, vector_ids
from lakesql.formats.delta.blocks import Block, MemoryBlock

Rows = npt.NDArray[np.int64]
"""Positions in a block, ascending."""

T = TypeVar("T")
U = TypeVar("U")

READING_THREADS = 16
"""Small files asked for at once: stores answer slowly, and many at a time."""

DECODING_THREADS = min(8, max(4, os.cpu_count() or 1))
"""Blocks decoded at once: each needs memory of its own."""

_MEMORY_BLOCKS = 32
"""Blocks of commits that a state keeps apart; beyond, their live rows are put together."""


@dataclass(frozen=True)
class LiveBlock:
    """A block and the rows of it that are active files; None: all."""

    block: Block
    live: Rows | None = None

    @property
    def count(self) -> int:
        """How many files are live."""
        return self.block.rows if self.live is None else len(self.live)

    def column(self, name: str) -> pa.Array:
        """A field of the live files."""
        column = self.block.column(name)
        return column if self.live is None else column.take(pa.array(self.live))

    @property
    def rows(self) -> Rows:
        """The live rows."""
        return np.arange(self.block.rows, dtype=np.int64) if self.live is None else self.live

    def without(self, keys: Touched) -> LiveBlock:
        """The block without the files that `keys` speaks of."""
        hits = np.flatnonzero(np.asarray(pc.is_in(self.block.column("path"), value_set=keys.paths)))
        if not len(hits):
            return self
        paths = self.block.column("path").take(pa.array(hits)).to_pylist()
        vectors = self.block.column("deletionVector").take(pa.array(hits))
        struck = [row for row, key in zip(hits.tolist(), zip(paths, vector_ids(vectors).to_pylist(), strict=True), strict=True) if key in keys.keys]
        live = np.setdiff1d(self.rows, np.array(struck, np.int64), assume_unique=True) if struck else self.live
        return LiveBlock(self.block, live)


class Touched:
    """The keys that newer commits speak of: whatever older blocks say of them counts no more."""

    def __init__(self, keys: Iterable[Key]) -> None:
        self.keys = frozenset(keys)
        self.paths = pa.array(sorted({path for path, _ in self.keys}), pa.string())

    def __len__(self) -> int:
        return len(self.keys)


@dataclass(frozen=True)
class Tail:
    """What commits after a checkpoint amount to: the newest word on everything they speak of. domains: removed ones are in it, with `removed` true."""

    adds: pa.Table
    touched: Touched
    protocol: dict[str, Any] | None = None
    metadata: Metadata | None = None
    txns: dict[str, dict[str, Any]] = field(default_factory=dict)
    domains: dict[str, dict[str, Any]] = field(default_factory=dict)


def reconcile(changes: Sequence[Change]) -> Tail:
    """The tail of commits given oldest first."""
    tables: list[pa.Table] = []
    seen: set[Key] = set()
    protocol, metadata = None, None
    txns: dict[str, dict[str, Any]] = {}
    domains: dict[str, dict[str, Any]] = {}
    for change in reversed(changes):
        fresh = [row for row, key in enumerate(change.add_keys) if key not in seen]
        if fresh:
            tables.append(change.adds if len(fresh) == change.adds.num_rows else change.adds.take(pa.array(fresh)))
        seen |= change.keys
        protocol = protocol or change.protocol
        metadata = metadata or change.metadata
        txns = change.txns | txns
        domains = change.domains | domains
    tables.reverse()
    return Tail(pa.concat_tables(tables) if tables else pa.schema(list(ADD_FIELDS.items())).empty_table(), Touched(seen), protocol, metadata, txns, domains)


class Lazy(Generic[T]):
    """A value made when it is first asked for. What made it is then forgotten, so that a chain of states keeps no older one alive."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make: Callable[[], T] | None = make
        self._value: T | None = None

    def get(self) -> T:
        """The value."""
        make = self._make
        if make is not None:
            self._value = make()
            self._make = None
        return self._value  # type: ignore[return-value]  # set before _make is forgotten

    def then(self, work: Callable[[T], U]) -> Lazy[U]:
        """What `work` makes of the value: at once where the value is there, else when asked for."""
        if self._make is None:
            made = work(self.get())
            return Lazy(lambda: made)
        return Lazy(lambda: work(self.get()))


ActiveFiles = tuple[LiveBlock, ...]
"""The active files of a version; no block in it is without live rows."""


def files_after(files: ActiveFiles, tail: Tail) -> ActiveFiles:
    """The active files once the commits of `tail` came on top."""
    blocks = list(files)
    if len(tail.touched):
        in_parallel(lambda b: b.block.column("path"), blocks)
        blocks = [b.without(tail.touched) for b in blocks]
    if tail.adds.num_rows:
        blocks.append(LiveBlock(MemoryBlock(tail.adds)))
    return tuple(b for b in _put_together(blocks) if b.count)


@dataclass(frozen=True)
class State:
    """A version of the table: its protocol and metadata, its files and the rest, the last three read when asked for.

    protocol: the action as read; log_files: how many files of the log are needed for it.
    """

    version: int
    protocol: dict[str, Any]
    metadata: Metadata
    files: Lazy[ActiveFiles] = field(repr=False)
    others: Lazy[Others] = field(repr=False)
    log_files: Lazy[int] = field(repr=False)

    def after(self, version: int, tail: Tail, log_files: int) -> State:
        """The state once commits up to `version` came on top."""
        return replace(
            self,
            version=version,
            protocol=tail.protocol or self.protocol,
            metadata=tail.metadata or self.metadata,
            files=self.files.then(lambda files: files_after(files, tail)),
            others=self.others.then(lambda others: others.after(tail)),
            log_files=self.log_files.then(lambda count: count + log_files),
        )


@dataclass(frozen=True)
class Others:
    """Actions that are neither files nor schema: txn by application, domainMetadata by domain (removed ones are not in it)."""

    txns: dict[str, dict[str, Any]]
    domains: dict[str, dict[str, Any]]

    def after(self, tail: Tail) -> Others:
        """These, once the commits of `tail` came on top."""
        domains = {name: d for name, d in (self.domains | tail.domains).items() if d.get("removed") is not True}
        return Others(self.txns | tail.txns, domains)


def in_parallel(work: Callable[[T], U], items: Sequence[T], threads: int = DECODING_THREADS) -> list[U]:
    """What the work makes of each item, in order; several at once, since reading and decoding Parquet releases the interpreter. The first error is raised."""
    if len(items) < 2:
        return [work(item) for item in items]
    with ThreadPoolExecutor(min(len(items), threads)) as pool:
        return list(pool.map(work, items))


def _put_together(blocks: list[LiveBlock]) -> list[LiveBlock]:
    memory = [b for b in blocks if isinstance(b.block, MemoryBlock)]
    if len(memory) <= _MEMORY_BLOCKS:
        return blocks
    tables = [b.block.take(b.live) for b in memory if isinstance(b.block, MemoryBlock)]
    return [*(b for b in blocks if not isinstance(b.block, MemoryBlock)), LiveBlock(MemoryBlock(pa.concat_tables(tables)))]
