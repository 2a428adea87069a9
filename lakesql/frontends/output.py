"""Where rows go: standard output, or a file that appears only when it is complete."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterator
from typing import BinaryIO, TextIO

from lakesql.errors import ConfigError, StorageError
from lakesql.frontends.render import Screen


class OutputError(StorageError):
    """Rows cannot be written: the disk is full, the place is gone."""


class Output:
    """Bytes on their way out. Use as `out` of a renderer; then `complete` or `discard`. write and flush raise BrokenPipeError when nobody reads, else
    OutputError."""

    screen: Screen | None = None

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file: BinaryIO | None = file
        self._name = name

    def write(self, data: bytes | memoryview) -> int:
        if self._file is not None:
            with self._mapped():
                self._file.write(data)
        return len(data)

    def flush(self) -> None:
        if self._file is not None:
            with self._mapped():
                self._file.flush()

    def complete(self) -> None:
        """Everything is written."""
        self.flush()

    def discard(self) -> None:
        """Nothing more is to be written; what still comes is dropped."""
        self._file = None

    @contextlib.contextmanager
    def _mapped(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            self._file = None
            raise
        except (OSError, ValueError) as error:
            raise OutputError(f"cannot write to {self._name}: {getattr(error, 'strerror', None) or error}") from error


class StandardOutput(Output):
    """Standard output, with the screen behind it if there is one."""

    def __init__(self, stdout: TextIO | None) -> None:
        if stdout is None:
            raise OutputError("standard output is closed")
        with contextlib.suppress(OSError, ValueError):
            stdout.flush()
        super().__init__(stdout.buffer, "standard output")
        self.screen = _screen(stdout)


class FileOutput(Output):
    """A file, written beside its place under another name and then renamed. Pipes and devices are written as they are.

    Raises ConfigError where no file can be made.
    """

    def __init__(self, path: str) -> None:
        self._path = os.path.realpath(path)
        self._temporary: str | None = None
        try:
            file = self._open()
        except OSError as error:
            raise ConfigError(f'cannot write "{path}": {error.strerror}') from error
        super().__init__(file, f'"{path}"')
        self._opened = file

    def complete(self) -> None:
        super().complete()
        with self._mapped():
            self._opened.close()
            if self._temporary is not None:
                os.replace(self._temporary, self._path)
        self._file = self._temporary = None

    def discard(self) -> None:
        super().discard()
        with contextlib.suppress(OSError):
            self._opened.close()
        if self._temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(self._temporary)
            self._temporary = None

    def _open(self) -> BinaryIO:
        try:
            status = os.stat(self._path)
        except FileNotFoundError:
            status = None
        if status is not None and not stat.S_ISREG(status.st_mode):
            return open(self._path, "wb")
        folder, name = os.path.split(self._path)
        handle, self._temporary = tempfile.mkstemp(prefix=f".{name}.", suffix=".part", dir=folder)
        os.fchmod(handle, stat.S_IMODE(status.st_mode) if status is not None else 0o666 & ~_umask())
        return os.fdopen(handle, "wb")


def _screen(stdout: TextIO) -> Screen | None:
    try:
        if not stdout.isatty():
            return None
        columns = int(os.environ.get("COLUMNS") or 0) or os.get_terminal_size(stdout.fileno()).columns
    except (OSError, ValueError):
        return Screen() if stdout.isatty() else None
    return Screen(columns if columns > 0 else None)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
