"""Where bytes come from: one small interface over local disks and object stores. Only metadata passes through here; engines read data files themselves.

A path is text: an absolute local path (`/lake/orders/_delta_log/0.json`) or a URL (`s3://bucket/orders/...`). Paths are joined with `/`, never percent-encoded.

Here are the interface, local files, a cache for files that never change, and a double for tests. `object_storage.py` reads S3, GCS and Azure; `stores.py`
picks by path.
"""

from __future__ import annotations

import errno
import io
import os
import stat
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from lakesql.errors import AccessDeniedError, MetadataError, MissingFileError, StorageError

DEFAULT_FILE_LIMIT_BYTES = 2 << 30
"""No metadata file is read whole above this size, unless configured otherwise."""


@dataclass(frozen=True)
class Entry:
    """A file or folder in a listing. path: whole, as the listing's prefix is spelled; modified_us: microseconds UTC, 0 for folders."""

    path: str
    size_bytes: int
    modified_us: int
    is_folder: bool = False

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rstrip("/").rsplit("/", 1)[-1]


class Storage(Protocol):
    """Reads metadata files. Raises MissingFileError, AccessDeniedError, StorageError, naming the path."""

    def list(self, folder: str, *, start_after: str | None = None) -> Iterator[Entry]:
        """The direct children of a folder in byte order of their names, those after the name `start_after` only. A folder that is not there has none.

        As object stores have it, a folder sorts as its name followed by a slash. Take the first few of a long listing without fear: it is lazy where the
        store allows.
        """
        ...

    def read(self, path: str) -> bytes:
        """The whole file. Raises MetadataError for one above the size limit."""
        ...

    def read_range(self, path: str, offset: int, length: int) -> bytes:
        """length bytes from offset; fewer is an error."""
        ...

    def size(self, path: str) -> int | None:
        """The file's size in bytes, None where it is not there."""
        ...

    def open(self, path: str) -> pa.NativeFile:
        """Random access for readers of columnar metadata (checkpoints)."""
        ...


def read_immutable(storage: Storage, path: str, entry: Entry | None = None) -> bytes:
    """The whole file, which the caller knows is never rewritten under its name. Cached where `storage` has a cache.

    Without `entry` the name itself must be one of a kind, as those of manifests and deletion vectors with their random ids are. A numbered name (a commit, a
    snapshot) is there again with other content when its table is dropped and made anew; it is cached only together with its listing's entry, by size and time.
    """
    return storage.read_immutable(path, entry) if isinstance(storage, CachedStorage) else storage.read(path)


def read_kept(storage: Storage, path: str) -> bytes:
    """The whole file, of which the caller keeps what it decodes of it: as `read_immutable`, but kept on disk alone where `storage` does so."""
    return storage.read_kept(path) if isinstance(storage, CachedStorage) else storage.read(path)


class Shelf(Protocol):
    """Where files that never change are kept from one process to the next (`disk_cache.py`). entry: as for `read_immutable`."""

    def get(self, path: str, entry: Entry | None = None) -> bytes | None:
        """The file's content, None where it is not kept."""
        ...

    def put(self, path: str, entry: Entry | None, content: bytes) -> None:
        """Keeps the content, if there is room."""
        ...


class LocalStorage:
    """Files on local disks. Symbolic links are followed; hidden files are listed; what is no regular file (pipes, devices) is never read.

    Names that are not UTF-8 are left out of listings, because no table's metadata can name them.
    """

    def __init__(self, file_limit_bytes: int = DEFAULT_FILE_LIMIT_BYTES) -> None:
        self._file_limit_bytes = file_limit_bytes

    def list(self, folder: str, *, start_after: str | None = None) -> Iterator[Entry]:
        """See Storage."""
        try:
            with os.scandir(folder) as children:
                found = sorted((_order(c.name, is_folder), is_folder, c) for c in children if _is_text(c.name) for is_folder in (_is_folder(c),))
        except (FileNotFoundError, NotADirectoryError):
            return
        except (OSError, ValueError) as error:
            raise _local_error(error, folder, "list") from error
        after = None if start_after is None else os.fsencode(start_after)
        prefix = folder.rstrip("/")
        for _, is_folder, child in found:
            name = child.name
            if after is not None and os.fsencode(name) <= after:
                continue
            if is_folder:
                yield Entry(f"{prefix}/{name}", 0, 0, True)
                continue
            try:
                status = child.stat()
            except FileNotFoundError:  # removed since the listing, or a dangling link
                continue
            except OSError as error:
                if error.errno == errno.ELOOP:  # a link that leads to itself is as good as dangling
                    continue
                raise _local_error(error, child.path, "look at") from error
            yield Entry(f"{prefix}/{name}", status.st_size, status.st_mtime_ns // 1000)

    def read(self, path: str) -> bytes:
        """See Storage."""
        with _local_file(path) as file:
            size_bytes = os.fstat(file.fileno()).st_size
            check_size(path, size_bytes, self._file_limit_bytes)
            try:
                return file.readall()
            except OSError as error:
                raise _local_error(error, path, "read") from error

    def read_range(self, path: str, offset: int, length: int) -> bytes:
        """See Storage."""
        with _local_file(path) as file:
            size_bytes = os.fstat(file.fileno()).st_size
            check_range(path, offset, length, size_bytes)
            try:
                file.seek(offset)
                content = file.read(length)
            except OSError as error:
                raise _local_error(error, path, "read") from error
        check_range(path, offset, length, offset + len(content))
        return content

    def size(self, path: str) -> int | None:
        """See Storage."""
        try:
            status = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError) as error:
            raise _local_error(error, path, "look at") from error
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    def open(self, path: str) -> pa.NativeFile:
        """See Storage. Not memory-mapped: a mapped file that is cut short while it is read ends the process."""
        with _local_file(path):
            pass
        try:
            return pa.OSFile(path, "rb")
        except OSError as error:
            raise _local_error(error, path, "open") from error


class MemoryStorage:
    """Files held in a dict: a double for tests. `reads` counts read, read_range and open calls by path; `lists` counts listings by folder."""

    def __init__(self, files: Mapping[str, bytes | str] | None = None, file_limit_bytes: int = DEFAULT_FILE_LIMIT_BYTES) -> None:
        self.files: dict[str, bytes] = {p: c.encode() if isinstance(c, str) else c for p, c in (files or {}).items()}
        self.modified_us: dict[str, int] = {}
        self.denied: set[str] = set()
        self.reads: dict[str, int] = {}
        self.lists: dict[str, int] = {}
        self._file_limit_bytes = file_limit_bytes

    def list(self, folder: str, *, start_after: str | None = None) -> Iterator[Entry]:
        """See Storage."""
        prefix = folder.rstrip("/")
        self.lists[prefix] = self.lists.get(prefix, 0) + 1
        self._check(prefix)
        children: dict[tuple[str, bool], Entry] = {}
        for path, content in self.files.items():
            if path.startswith(prefix + "/"):
                name, slash, _ = path[len(prefix) + 1 :].partition("/")
                child = f"{prefix}/{name}"
                children[name, bool(slash)] = Entry(child, 0, 0, True) if slash else Entry(child, len(content), self.modified_us.get(path, 0))
        for (name, _), entry in sorted(children.items(), key=lambda c: _order(*c[0])):
            if start_after is None or name.encode() > start_after.encode():
                yield entry

    def read(self, path: str) -> bytes:
        """See Storage."""
        content = self._content(path)
        check_size(path, len(content), self._file_limit_bytes)
        return content

    def read_range(self, path: str, offset: int, length: int) -> bytes:
        """See Storage."""
        content = self._content(path)
        check_range(path, offset, length, len(content))
        return content[offset : offset + length]

    def size(self, path: str) -> int | None:
        """See Storage."""
        self._check(path)
        return len(self.files[path]) if path in self.files else None

    def open(self, path: str) -> pa.NativeFile:
        """See Storage."""
        return pa.BufferReader(self._content(path))

    def _content(self, path: str) -> bytes:
        self._check(path)
        self.reads[path] = self.reads.get(path, 0) + 1
        if path not in self.files:
            raise missing(path)
        return self.files[path]

    def _check(self, path: str) -> None:
        if path in self.denied:
            raise denied(path)


class CachedStorage:
    """Another storage, with the latest-used immutable files kept in memory: at most `limit_bytes` of them, none above a quarter of that. Thread-safe.

    Only `read_immutable` and `read_kept` (call them through the functions of those names) read from or fill the cache and the shelf, which may keep files on
    disk; everything else goes to `inner` each time.
    """

    def __init__(self, inner: Storage, limit_bytes: int = 256 << 20, shelf: Shelf | None = None) -> None:
        self.inner = inner
        self._shelf = shelf
        self.limit_bytes = limit_bytes
        self._files: OrderedDict[tuple[str, int, int], bytes] = OrderedDict()
        self._size_bytes = 0
        self._lock = threading.Lock()

    def read_immutable(self, path: str, entry: Entry | None = None) -> bytes:
        """The whole file, from memory if it was read before; see the function of this name."""
        key = (path, -1, -1) if entry is None else (path, entry.size_bytes, entry.modified_us)
        with self._lock:
            content = self._files.get(key)
            if content is not None:
                self._files.move_to_end(key)
                return content
        content = self.read_kept(path, entry)
        if len(content) <= self.limit_bytes // 4 and (entry is None or len(content) == entry.size_bytes):
            self._keep(key, content)
        return content

    def read_kept(self, path: str, entry: Entry | None = None) -> bytes:
        """The whole file, from the shelf if it was read before; see the function of this name."""
        if self._shelf is None:
            return self.inner.read(path)
        content = self._shelf.get(path, entry)
        if content is None:
            content = self.inner.read(path)
            if entry is None or len(content) == entry.size_bytes:
                self._shelf.put(path, entry, content)
        return content

    def list(self, folder: str, *, start_after: str | None = None) -> Iterator[Entry]:
        """See Storage."""
        return self.inner.list(folder, start_after=start_after)

    def read(self, path: str) -> bytes:
        """See Storage."""
        return self.inner.read(path)

    def read_range(self, path: str, offset: int, length: int) -> bytes:
        """See Storage."""
        return self.inner.read_range(path, offset, length)

    def size(self, path: str) -> int | None:
        """See Storage."""
        return self.inner.size(path)

    def open(self, path: str) -> pa.NativeFile:
        """See Storage."""
        return self.inner.open(path)

    @property
    def cached_bytes(self) -> int:
        """How much is held now."""
        return self._size_bytes

    def _keep(self, key: tuple[str, int, int], content: bytes) -> None:
        with self._lock:
            if key in self._files:
                return
            self._files[key] = content
            self._size_bytes += len(content)
            while self._size_bytes > self.limit_bytes:
                _, dropped = self._files.popitem(last=False)
                self._size_bytes -= len(dropped)


def listing_order(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Entries of one folder in the order `Storage.list` promises."""
    return iter(sorted(entries, key=sort_key))


def sort_key(entry: Entry) -> bytes:
    """What listings are ordered by: the name, of a folder with a slash after it."""
    return _order(entry.name, entry.is_folder)


def check_size(path: str, size_bytes: int, limit_bytes: int) -> None:
    """Raises MetadataError for a file that is too large to be metadata."""
    if size_bytes > limit_bytes:
        raise MetadataError(
            f'"{path}" has {size_bytes:,} bytes; metadata files are read up to {limit_bytes:,}',
            hint="if the file is sound, raise metadata_file_limit under [reader] in lakesql.toml",
        )


def check_range(path: str, offset: int, length: int, size_bytes: int) -> None:
    """Raises StorageError where a file of this size has no such bytes."""
    if offset < 0 or length < 0 or offset + length > size_bytes:
        raise StorageError(f'cannot read {length:,} bytes at {offset:,} of "{path}": it has {size_bytes:,} bytes')


def missing(path: str) -> MissingFileError:
    """The error for a file that is not there."""
    return MissingFileError(f'there is no file "{path}"', path=path)


def denied(path: str, action: str = "read", *, hint: str | None = None) -> AccessDeniedError:
    """The error for a file the store does not give us."""
    return AccessDeniedError(f'no permission to {action} "{path}"', path=path, hint=hint)


def _local_file(path: str) -> io.FileIO:
    """The open file. Opened without waiting, so that a pipe somebody planted under a metadata file's name cannot hang the reader."""
    try:
        file = io.FileIO(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb")
    except (OSError, ValueError) as error:
        raise _local_error(error, path, "read") from error
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise StorageError(f'cannot read "{path}": it is no regular file')
    return file


def _local_error(error: OSError | ValueError, path: str, action: str) -> StorageError:
    match error:
        case FileNotFoundError() | NotADirectoryError():
            return missing(path)
        case PermissionError():
            return denied(path, action)
        case IsADirectoryError():
            return StorageError(f'cannot {action} "{path}": it is a directory')
        case OSError():
            return StorageError(f'cannot {action} "{path}": {error.strerror or error}')
        case _:  # a NUL, a lone surrogate: no file can have such a name
            return StorageError(f"cannot {action} {path!r}: {error}")


def _order(name: str, is_folder: bool) -> bytes:
    return os.fsencode(f"{name}/" if is_folder else name)


def _is_folder(child: os.DirEntry[str]) -> bool:
    try:
        return child.is_dir()
    except OSError:  # told when the entry is looked at, if it is
        return False


def _is_text(name: str) -> bool:
    return name.isascii() or not any("\udc80" <= c <= "\udcff" for c in name)
