"""Metadata files of object stores that never change, kept in a folder from one process to the next: at most so many bytes of them, those used last.

Many processes may use one folder at once. A file is written under a name of its own and then renamed, so that nobody sees half of it; it begins with a checksum
of its key and content, so that what is damaged, cut off or somebody else's is thrown away and read anew from the store. Names say nothing: they are hashes.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress

from lakesql.errors import ConfigError
from lakesql.storage import Entry

_MAGIC = b"lakesql1"
_HEAD_BYTES = len(_MAGIC) + hashlib.sha256().digest_size
_UNFINISHED = ".unfinished-"
_ABANDONED_SECONDS = 3600
"""An unfinished file that is older was left behind by a process that ended."""
_LEFT = 0.9
"""How full the folder is after files were removed to make room."""


class DiskCache:
    """`storage.Shelf` in a folder. Thread-safe.

    limit_bytes: of all files together; it may be passed by what other processes add until the next of them looks. identity: a text for a path that no other
    file has, None for a path whose files are not kept. Raises ConfigError where the folder cannot be made or written.
    """

    def __init__(self, folder: str, limit_bytes: int, identity: Callable[[str], str | None]) -> None:
        self.folder = folder
        self.limit_bytes = limit_bytes
        self._identity = identity
        self._lock = threading.Lock()
        self._warned = False
        try:
            os.makedirs(folder, mode=0o700, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise ConfigError(f'metadata files cannot be kept in "{folder}": {error.strerror or error}', hint="see [reader] metadata_folder") from error
        self._size_bytes = sum(size for _, size, _ in self._files())

    def get(self, path: str, entry: Entry | None = None) -> bytes | None:
        """The file's content, None where it is not kept."""
        key = self._key(path, entry)
        if key is None:
            return None
        name = self._name(key)
        try:
            with open(name, "rb") as file:
                stored = file.read()
        except OSError:  # not there, or removed by another process, or not readable: the store has it
            return None
        content = stored[_HEAD_BYTES:]
        if stored[:_HEAD_BYTES] != _head(key, content):
            with suppress(OSError):
                os.unlink(name)
            return None
        with suppress(OSError):
            os.utime(name)  # used just now
        return content

    def put(self, path: str, entry: Entry | None, content: bytes) -> None:
        """Keeps the content, unless it is more than a quarter of the limit. A folder that cannot be written any more is told by a warning, once."""
        key = self._key(path, entry)
        if key is None or len(content) > self.limit_bytes // 4:
            return
        try:
            self._write(self._name(key), _head(key, content), content)
        except OSError as error:
            if not self._warned:
                self._warned = True
                warnings.warn(f'metadata files are not kept in "{self.folder}" any more: {error.strerror or error}', RuntimeWarning, stacklevel=2)
            return
        with self._lock:
            self._size_bytes += _HEAD_BYTES + len(content)
            if self._size_bytes > self.limit_bytes:
                self._size_bytes = self._make_room()

    def _write(self, name: str, head: bytes, content: bytes) -> None:
        handle, unfinished = tempfile.mkstemp(prefix=_UNFINISHED, dir=self.folder)
        try:
            with open(handle, "wb") as file:
                file.write(head)
                file.write(content)
            os.replace(unfinished, name)
        except BaseException:  # whatever it is, Ctrl-C too: no half of a file stays behind, and it goes on
            with suppress(OSError):
                os.unlink(unfinished)
            raise

    def _make_room(self) -> int:
        """Removes the files used longest ago; how many bytes are left. What other processes added is found here."""
        files = sorted(self._files())
        total = sum(size for _, size, _ in files)
        abandoned = time.time_ns() - _ABANDONED_SECONDS * 10**9
        for used_ns, size, name in files:
            unfinished = os.path.basename(name).startswith(_UNFINISHED)
            if used_ns < abandoned if unfinished else total > self.limit_bytes * _LEFT:
                with suppress(FileNotFoundError):  # another process was faster
                    os.unlink(name)
                total -= size
        return total

    def _files(self) -> list[tuple[int, int, str]]:
        """When each file was used last (ns), its bytes, its name."""
        found = []
        with os.scandir(self.folder) as children:
            for child in children:
                with suppress(FileNotFoundError):
                    status = child.stat(follow_symlinks=False)
                    found.append((status.st_mtime_ns, status.st_size, child.path))
        return found

    def _key(self, path: str, entry: Entry | None) -> bytes | None:
        identity = self._identity(path)
        if identity is None:
            return None
        return f"{identity}\0{'' if entry is None else f'{entry.size_bytes} {entry.modified_us}'}".encode()

    def _name(self, key: bytes) -> str:
        return os.path.join(self.folder, hashlib.sha256(key).hexdigest())


def _head(key: bytes, content: bytes) -> bytes:
    """What stands before a content: it tells that this is the key's, whole."""
    digest = hashlib.sha256(len(key).to_bytes(8, "little") + key)
    digest.update(content)
    return _MAGIC + digest.digest()
