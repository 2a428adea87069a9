"""Where a table's files are now: the paths its metadata names -> paths as storage names them, for tables at their place and for tables that were moved.

Metadata names files by absolute paths. Where the table's folder is not the `location` of its metadata, the table was moved or copied, and paths below the old
location are looked up below the new one; so are paths that name it by another scheme or host (`hdfs://nn/x`, `file:/x`, `/x`), or relative to a working
directory nobody knows. Whether the files came along is found out once for each folder, by looking for one of them.

Delete files name data files by path as well, sometimes under another prefix than the manifests do. Both are resolved here, so they meet. Source: Iceberg
table spec, "Scan Planning"; the prefixes are what writers do.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from lakesql.location import SCHEMES, is_local
from lakesql.storage import Storage

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(/*)")
_LEVELS_UP = 3
"""How far above the table its files are looked for."""
_PROBES = 96
"""Places tried for one file."""


class Places:
    """The files of one table. Thread-safe."""

    def __init__(self, storage: Storage, root: str, location: str) -> None:
        """root: where the table's folder is. location: as its metadata has it."""
        self._storage = storage
        self.root = root
        self._location = normal_path(location)
        self.is_moved = self._location != normal_path(root)
        self._came_along: dict[str, bool] = {}
        self._moves: list[tuple[str, str]] = []
        self._lock = threading.RLock()

    def resolve(self, path: str) -> str:
        """Where one file is."""
        found: str = self.resolve_all(pa.array([path], pa.string()))[0].as_py()
        return found

    def resolve_all(self, paths: pa.Array) -> pa.Array:
        """Where these files are; nulls stay null. A file that is found nowhere is named at its most likely place."""
        if not len(paths):
            return paths
        paths = _normal(paths)
        if not self.is_moved:
            return paths
        prefix = f"{self._location}/"
        under = pc.fill_null(pc.starts_with(paths, prefix), False)
        if pc.all(under).as_py():
            return self._under(paths, prefix)
        placed = pc.replace_with_mask(paths, under, self._under(paths.filter(under), prefix))
        elsewhere = pc.and_(pc.invert(under), paths.is_valid())
        return pc.replace_with_mask(placed, elsewhere, self._elsewhere(paths.filter(elsewhere)))

    def _under(self, paths: pa.Array, prefix: str) -> pa.Array:
        """Paths below the old location, each top folder decided by its first file."""
        moved = pc.binary_replace_slice(paths, 0, len(prefix.encode()), f"{self.root}/")
        rest = pc.binary_replace_slice(paths, 0, len(prefix.encode()), "")
        folders = pc.dictionary_encode(pc.list_element(pc.split_pattern(rest, "/", max_splits=1), 0))
        stays = []
        for code, folder in enumerate(folders.dictionary.to_pylist()):
            first = pc.index(folders.indices, pa.scalar(code, folders.indices.type)).as_py()
            if not self._came(folder, moved[first].as_py(), paths[first].as_py()):
                stays.append(folder)
        if not stays:
            return moved
        stay = pc.is_in(folders.dictionary.take(folders.indices), pa.array(stays, pa.string()))
        return pc.if_else(stay, paths, moved)

    def _came(self, folder: str, new: str, old: str) -> bool:
        """Whether the files of a top folder are at the new place: they are, unless one of them is at the old place alone."""
        with self._lock:
            if folder not in self._came_along:
                self._came_along[folder] = self._is_there(new) or not self._is_there(old)
            return self._came_along[folder]

    def _elsewhere(self, paths: pa.Array) -> pa.Array:
        """Paths outside the old location: as they are where a file is there, else by the end of their path below the new place."""
        folders = pc.dictionary_encode(pc.replace_substring_regex(paths, "[^/]*$", ""))
        ends = []
        for code, folder in enumerate(folders.dictionary.to_pylist()):
            first = pc.index(folders.indices, pa.scalar(code, folders.indices.type)).as_py()
            old, new = self._move_of(paths[first].as_py(), folder)
            ends.append(new + folder[len(old) :])
        new_folders = pa.array(ends, pa.string()).take(folders.indices)
        return pc.binary_join_element_wise(new_folders, pc.replace_substring_regex(paths, "^.*/", ""), "")

    def _move_of(self, path: str, folder: str) -> tuple[str, str]:
        with self._lock:
            for old, new in self._moves:
                if folder.startswith(old):
                    return old, new
            found = next(((old, new) for old, new in self._candidates(path) if self._is_there(new + path[len(old) :])), (folder, folder))
            self._moves.append(found)
            self._moves.sort(key=lambda move: -len(move[0]))
            return found

    def _candidates(self, path: str) -> Iterator[tuple[str, str]]:
        """What paths may begin with, and what with instead: nothing changed first, then the longest end of the path, below the table and the folders above
        it.
        """
        folder = path.rpartition("/")[0] + "/"
        yield folder, folder
        above = [self.root]
        for _ in range(_LEVELS_UP):
            parent = above[-1].rpartition("/")[0]
            if not parent or parent.endswith("/"):
                break
            above.append(parent)
        starts = [path[: i + 1] for i, c in enumerate(path) if c == "/"]
        if not path.startswith("/"):
            starts.insert(0, "")
        tried = 0
        for old in starts:
            for new in above:
                tried += 1
                if tried > _PROBES:
                    return
                yield old, f"{new}/"

    def _is_there(self, path: str) -> bool:
        """Whether there is such a file. A table on a local disk does not ask the object store it was copied from: there may be no way to reach it."""
        if not path.startswith("/") and (is_local(path) or is_local(self.root)):
            return False
        return self._storage.size(path) is not None


def normal_path(path: str) -> str:
    """A path in the one form this module compares: `file:` and unknown schemes are dropped with their host, spellings of known stores made one.

    >>> normal_path("file:///lake/t"), normal_path("hdfs://nn:8020/lake/t"), normal_path("s3a://b/t"), normal_path("./lake/t")
    ('/lake/t', '/lake/t', 's3://b/t', 'lake/t')
    """
    found = _SCHEME.match(path)
    if found is None:
        return path.removeprefix("./")
    scheme = found[1].lower()
    if scheme in SCHEMES and len(found[2]) >= 2:
        return f"{_SPELLED.get(scheme, scheme)}{path[len(found[1]) :]}"
    rest = path[found.end() :]
    if scheme == "file" or len(found[2]) != 2:
        return f"/{rest}"
    return f"/{rest.partition('/')[2]}"


_SPELLED = {"s3a": "s3", "s3n": "s3", "gcs": "gs"}


def _normal(paths: pa.Array) -> pa.Array:
    """`normal_path` of every path, quickly: those of a table begin alike."""
    first = next((p.as_py() for p in paths if p.is_valid), None)
    if first is None:
        return paths
    if first.startswith("/") and pc.all(pc.fill_null(pc.starts_with(paths, "/"), True)).as_py():
        return paths
    found = _SCHEME.match(first)
    if found is not None and (found[1] in SCHEMES or found[1] == "file"):
        head = found[0] if found[1] in SCHEMES else f"{found[1]}:{found[2]}"
        if pc.all(pc.fill_null(pc.starts_with(paths, head), True)).as_py() and (found[1] in SCHEMES or not _more_slashes(paths, head)):
            old = len(head.encode())
            return pc.binary_replace_slice(paths, 0, old, f"{_SPELLED.get(found[1], found[1])}:{found[2]}" if found[1] in SCHEMES else "/")
    encoded = pc.dictionary_encode(paths)
    return pa.array([None if p is None else normal_path(p) for p in encoded.dictionary.to_pylist()], pa.string()).take(encoded.indices)


def _more_slashes(paths: pa.Array, head: str) -> bool:
    return bool(pc.any(pc.starts_with(paths, f"{head}/")).as_py())
