"""Absolute paths of a table that was moved: where the files they name lie now.

Shallow clones and converted tables name files by absolute paths, which stay as they were when the whole is copied elsewhere. A file that is not at its named
place is looked for under the table's folder and the folders above it, by the end of its path, and is taken only if it has the size that the log gives. What
was found for one file of a folder holds for the folder. Relative paths never come here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from lakesql.location import place
from lakesql.storage import Storage

_LEVELS_UP = 3
"""How far above the table files are looked for; a clone and its source usually lie side by side."""

_PROBES = 64
"""Places tried for one file."""


@dataclass(frozen=True)
class _Move:
    """Paths that begin with `old` begin with `new` now; equal where nothing was moved."""

    old: str
    new: str


class Moved:
    """What is known of one table's absolute paths."""

    def __init__(self, storage: Storage, root: str) -> None:
        self._storage = storage
        self._root = root
        self._moves: list[_Move] = []

    def places(self, paths: pa.Array, sizes: pa.Array) -> pa.Array:
        """Where these files are now. paths: absolute, in normal form; sizes: as the log has them. A file that is found nowhere keeps its path."""
        self._learn(paths, sizes)
        placed = paths
        settled = pa.repeat(pa.scalar(False), len(paths))
        for move in self._moves:
            concerned = pc.and_not(pc.starts_with(paths, move.old), settled)
            settled = pc.or_(settled, concerned)
            if move.old != move.new:
                placed = pc.if_else(concerned, pc.binary_join_element_wise(move.new, pc.utf8_slice_codeunits(paths, len(move.old)), ""), placed)
        return placed

    def place(self, path: str) -> str:
        """Where one file of unknown size is now, such as a deletion vector's."""
        known = self._known(path)
        if known is not None:
            return known.new + path[len(known.old) :]
        move = self._find(path, None)
        if move is None:
            return path
        self._moves.append(move)
        return move.new + path[len(move.old) :]

    def named(self, path: str) -> str:
        """The path by which the log names a file that `places` or `place` gave; the path itself where nothing was moved."""
        move = next((m for m in self._moves if m.old != m.new and path.startswith(m.new)), None)
        return path if move is None else move.old + path[len(move.new) :]

    @property
    def is_used(self) -> bool:
        """Whether the table has absolute paths, as far as it was looked at."""
        return bool(self._moves)

    def _learn(self, paths: pa.Array, sizes: pa.Array) -> None:
        folders = pc.replace_substring_regex(paths, "(/[^/=]+=[^/]*)*/[^/]*$", "")
        unknown = pc.dictionary_encode(folders)
        for code, folder in enumerate(unknown.dictionary.to_pylist()):
            if self._known(f"{folder}/") is not None:
                continue
            first = pc.index(unknown.indices, pa.scalar(code, unknown.indices.type)).as_py()
            move = self._find(paths[first].as_py(), sizes[first].as_py())
            moved = move is not None and move.old != move.new
            self._moves.append(move if move is not None and moved else _Move(f"{folder}/", f"{folder}/"))

    def _known(self, path: str) -> _Move | None:
        return next((m for m in self._moves if path.startswith(m.old)), None)

    def _find(self, path: str, size_bytes: int | None) -> _Move | None:
        """The move that leads to a file that is there; None where there is none."""
        for old, new in self._candidates(path):
            there = self._storage.size(new + path[len(old) :])
            if there is not None and (size_bytes is None or there == size_bytes):
                return _Move(old, new)
        return None

    def _candidates(self, path: str) -> Iterator[tuple[str, str]]:
        """Prefixes of a path and what may stand for them now: the path as it is, then the longest end of it below the nearest folder."""
        folder = path.rpartition("/")[0] + "/"
        yield folder, folder
        at = place(path)
        starts = [at.root + at.key[: i + 1] for i, c in enumerate(at.key) if c == "/"]
        above = [self._root]
        for _ in range(_LEVELS_UP):
            parent = above[-1].rpartition("/")[0]
            if not parent or parent.endswith("/"):
                break
            above.append(parent)
        tried = 0
        for old in [at.root, *starts] if at.root else starts:
            for new in above:
                tried += 1
                if tried > _PROBES:
                    return
                yield old, f"{new}/"
