"""Where bytes come from: one small interface over local disks and object stores. Only metadata passes through here; engines read data files themselves.

A path is text: an absolute local path (`/lake/orders/_delta_log/0.json`) or a URL (`s3://bucket/orders/...`). Paths are joined with `/`, never percent-encoded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa


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
        """The direct children of a folder in byte order of their names, those after the name `start_after` only. A folder that is not there has none."""
        ...

    def read(self, path: str) -> bytes:
        """The whole file."""
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
