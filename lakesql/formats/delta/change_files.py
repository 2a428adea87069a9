"""Commits of a range -> the pieces that its changes are told by: which rows of which files a commit took away, brought in, or recorded.

What a commit does to files is judged by the files there were before it: an add of a file that is there already (new statistics) brings no rows, and a file that
stays under another deletion vector lost or regained the rows in which the vectors differ. Source: Delta protocol, "Action Reconciliation", "Change Data Files".
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lakesql.errors import ExpiredVersionError
from lakesql.formats.delta.actions import ADD_FIELDS, Key, vector_ids
from lakesql.formats.delta.blocks import Block, MemoryBlock
from lakesql.formats.delta.change_actions import CommitFiles
from lakesql.formats.delta.replay import ActiveFiles
from lakesql.formats.delta.selection import Part, Selection


class Kind(enum.IntEnum):
    """What a piece is; the order is that of pieces."""

    INSERT = 0
    """All rows of a file came."""
    DELETE = 1
    """All rows of a file went."""
    MOVED = 2
    """Rows of a file went or came back: those in which two deletion vectors differ."""
    RECORDED = 3
    """The rows of a change file, which say themselves what they are."""


@dataclass(frozen=True)
class Pieces:
    """Pieces in the order of `files`; every array has an entry for each.

    files: INSERT and DELETE: the file with the deletion vector it has; MOVED: with the later vector; RECORDED: the change file. old_vectors: the earlier vector
    of MOVED. versions: the commits. epochs: the version whose metadata the file was written under, as far as its partition columns go.
    """

    files: Selection
    kinds: npt.NDArray[np.int8]
    versions: npt.NDArray[np.int64]
    epochs: npt.NDArray[np.int64]
    old_vectors: pa.Array


@dataclass(frozen=True)
class _Ref:
    """An add action: a row of a block."""

    block: int
    row: int


@dataclass(frozen=True)
class _Piece:
    kind: Kind
    ref: _Ref
    version: int
    epoch: int
    old: _Ref | None = None


@dataclass
class Walk:
    """Goes through the commits of a range. before: the active files at the version before it, None where they can no longer be told; log: for messages."""

    commits: Sequence[CommitFiles]
    before: ActiveFiles | None
    log: str
    partitioned: bool
    _blocks: list[Block] = field(default_factory=list)
    _tables: list[pa.Table] = field(default_factory=list)
    _rows: int = 0
    _live: dict[Key, _Ref] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._blocks = [b.block for b in self.before or ()]
        touched = {path for c in self.commits for path, _ in (*c.add_keys, *c.remove_keys)}
        self._live = dict(self._found(touched))

    def raw(self, recorded: Iterable[int]) -> Pieces:
        """The pieces of each commit by itself. recorded: versions whose change files, where they have any, tell their changes."""
        recording = frozenset(recorded)
        pieces: list[_Piece] = []
        for commit in self.commits:
            gone, come = self._step(commit)
            if commit.version in recording:
                start = self._append(commit.cdc)
                pieces += [_Piece(Kind.RECORDED, self._ref(start + n), commit.version, commit.version) for n in range(commit.cdc.num_rows)]
            else:
                pieces += _told([(k, r, commit.version) for k, r in gone], [(k, r, commit.version) for k, r in come])
        return self._pieces(pieces)

    def net(self) -> Pieces:
        """The pieces of the range as a whole: what came and went again inside it cancels, file by file."""
        balance: dict[Key, int] = {}
        last: dict[tuple[Key, int], tuple[_Ref, int]] = {}
        for commit in self.commits:
            gone, come = self._step(commit)
            for files, sign in ((gone, -1), (come, 1)):
                for key, ref in files:
                    balance[key] = balance.get(key, 0) + sign
                    last[key, sign] = ref, commit.version
        left = {sign: [(key, *last[key, sign]) for key, total in balance.items() if total * sign > 0] for sign in (-1, 1)}
        return self._pieces(_told(left[-1], left[1]))

    def _step(self, commit: CommitFiles) -> tuple[list[tuple[Key, _Ref]], list[tuple[Key, _Ref]]]:
        """The files that a commit took away and brought in, with all their rows; those that only moved rows about are left out. The files there are go on to
        what they are after it.
        """
        start = self._append(commit.adds)
        adds = {key: (self._ref(start + n), changes) for n, (key, changes) in enumerate(zip(commit.add_keys, commit.add_changes, strict=True))}
        gone, come = [], []
        for n, (key, changes) in enumerate(zip(commit.remove_keys, commit.remove_changes, strict=True)):
            if key in adds:
                continue  # of an add and a remove of one key the add stands
            ref = self._live.pop(key, None)
            if ref is None and self.before is None:
                ref = self._orphan(commit, n) if changes else None
            if ref is not None and changes:
                gone.append((key, ref))
        for key, (ref, changes) in adds.items():
            if key not in self._live and changes:
                come.append((key, ref))
            self._live[key] = ref
        return gone, come

    def _orphan(self, commit: CommitFiles, row: int) -> _Ref:
        """A removed file of which only its remove tells."""
        table = commit.removes.slice(row, 1)
        if self.partitioned and not table["partitionValues"][0].is_valid:
            raise ExpiredVersionError(
                f"changes of version {commit.version} can no longer be told: {self.log} does not say any more which partition the file "
                f"{table['path'][0].as_py()}, removed in it, was in",
                hint="commits and checkpoints before it were cleaned up; ask for a range that begins later",
            )
        return self._ref(self._append(table))

    def _found(self, paths: set[str]) -> Iterator[tuple[Key, _Ref]]:
        """Which of these files are among those before the range."""
        wanted = pa.array(sorted(paths), pa.string())
        for number, live in enumerate(self.before or ()):
            column = live.column("path")
            hits = np.flatnonzero(np.asarray(pc.is_in(column, value_set=wanted)))
            if len(hits):
                rows = live.rows[hits]
                ids = vector_ids(live.block.column("deletionVector").take(pa.array(rows))).to_pylist()
                for path, id_, row in zip(column.take(pa.array(hits)).to_pylist(), ids, rows.tolist(), strict=True):
                    yield (path, id_), _Ref(number, row)

    def _append(self, table: pa.Table) -> int:
        start = self._rows
        self._tables.append(table)
        self._rows += table.num_rows
        return start

    def _ref(self, row: int) -> _Ref:
        """A row of the block that is made of the range's own actions, the last one."""
        return _Ref(len(self._blocks), row)

    def _pieces(self, pieces: list[_Piece]) -> Pieces:
        own = pa.concat_tables(self._tables) if self._tables else pa.schema(list(ADD_FIELDS.items())).empty_table()
        blocks = [*self._blocks, MemoryBlock(own)]
        pieces.sort(key=lambda p: (p.kind, p.ref.block, p.ref.row))
        parts = []
        start = 0
        for end in range(1, len(pieces) + 1):
            first = pieces[start]
            same = end < len(pieces) and (pieces[end].kind, pieces[end].ref.block) == (first.kind, first.ref.block)
            # A part's rows ascend: a file that went, came back and went again is there twice.
            if not same or pieces[end].ref.row == pieces[end - 1].ref.row:
                parts.append(Part(blocks[first.ref.block], np.array([p.ref.row for p in pieces[start:end]], np.int64)))
                start = end
        vectors = [None if p.old is None else blocks[p.old.block].column("deletionVector")[p.old.row].as_py() for p in pieces]
        return Pieces(
            Selection(tuple(parts)),
            np.array([p.kind for p in pieces], np.int8),
            np.array([p.version for p in pieces], np.int64),
            np.array([p.epoch for p in pieces], np.int64),
            pa.array(vectors, ADD_FIELDS["deletionVector"]),
        )


def _told(gone: list[tuple[Key, _Ref, int]], come: list[tuple[Key, _Ref, int]]) -> list[_Piece]:
    """Pieces of files that went and came; a path once on either side is a file whose deletion vector changed."""
    left, right = _by_path(gone), _by_path(come)
    moved = {path for path in left.keys() & right.keys() if len(left[path]) == len(right[path]) == 1}
    pieces = []
    for path in moved:
        (_, old, _), (_, new, version) = left[path][0], right[path][0]
        pieces.append(_Piece(Kind.MOVED, new, version, version, old))
    pieces += [_Piece(Kind.DELETE, ref, version, version - 1) for key, ref, version in gone if key[0] not in moved]
    pieces += [_Piece(Kind.INSERT, ref, version, version) for key, ref, version in come if key[0] not in moved]
    return pieces


def _by_path(files: list[tuple[Key, _Ref, int]]) -> dict[str, list[tuple[Key, _Ref, int]]]:
    found: dict[str, list[tuple[Key, _Ref, int]]] = {}
    for file in files:
        found.setdefault(file[0][0], []).append(file)
    return found
