"""S3, GCS and Azure through obstore (the extra `lakesql[cloud]`), which also does the retries. obstore is imported here and nowhere else, and only when a
first path needs it.

Errors name the path and say what the store said, in one line and without secrets.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from types import TracebackType
from typing import Any

import pyarrow as pa

from lakesql.errors import ConfigError, Error, MissingFileError, StorageError
from lakesql.location import Kind, Place, place
from lakesql.storage import DEFAULT_FILE_LIMIT_BYTES, Entry, check_range, check_size, denied, listing_order, missing, sort_key
from lakesql.store_options import Options

_PAGE = 1000
_HOPS = 16
"""Folders a listing steps over one by one before it asks for everything at once."""

_RETRY = {"max_retries": 5, "retry_timeout": timedelta(seconds=60)}
_LAST = "\U0010ffff"
_REFUSED = re.compile(r"status code: 40[13]\b")
_CODE = re.compile(r"<Code>(\w{1,60})</Code>")
_QUERY = re.compile(r"(?<=\S)\?\S*")


class ObjectStorage:
    """The objects of one bucket. Paths may use any spelling of its scheme. Keys with empty, `.` or `..` segments cannot be read."""

    def __init__(self, at: Place, options: Options, file_limit_bytes: int = DEFAULT_FILE_LIMIT_BYTES) -> None:
        """at: any place in the bucket; options: resolved, as `stores` makes them. Raises ConfigError where the store cannot be set up."""
        self._options = options
        self._file_limit_bytes = file_limit_bytes
        self._url = at.store
        self._obstore = _imported(at.store)
        try:
            self._store = _opened(self._obstore, at, options)
        except Exception as error:
            raise ConfigError(f"cannot set up the store {at.store}: {_said(error, options)}", hint=f'see [storage."{at.store}"] in lakesql.toml') from None

    def __repr__(self) -> str:
        return f"ObjectStorage({self._url})"

    def list(self, folder: str, *, start_after: str | None = None) -> Iterator[Entry]:
        """See Storage. Lazy: a page of 1,000 keys at a time; keys below a folder are stepped over."""
        at = place(folder)
        key = at.key.strip("/")
        prefix = f"{key}/" if key else ""
        after = (start_after or "").encode()
        offset = f"{prefix}{start_after}" if start_after else None
        last = b""
        for _ in range(_HOPS):
            held: Entry | None = None  # an empty object, until it is known not to be the marker of the folder that follows it
            inside: str | None = None
            for meta in self._keys(folder, key, offset):
                name, slash, _ = meta["path"][len(prefix) :].partition("/")
                if slash:
                    inside = name
                    break
                if held is not None:
                    yield held
                held = None
                last = name.encode()
                if last > after:
                    entry = _entry(f"{at.root}{prefix}{name}", meta)
                    if entry.size_bytes == 0:
                        held = entry
                    else:
                        yield entry
            if held is not None and held.name != inside:
                yield held
            if inside is None:
                return
            last = f"{inside}/".encode()
            offset = f"{prefix}{inside}/{_LAST}"
            if inside.encode() > after:
                yield Entry(f"{at.root}{prefix}{inside}", 0, 0, True)
        yield from (e for e in self._children(folder, at, key) if e.name.encode() > after and sort_key(e) > last)

    def read(self, path: str) -> bytes:
        """See Storage."""
        with self._mapped(path, "read"):
            result = self._obstore.get(self._store, place(path).key)
            check_size(path, result.meta["size"], self._file_limit_bytes)
            return bytes(result.bytes())

    def read_range(self, path: str, offset: int, length: int) -> bytes:
        """See Storage."""
        if offset < 0 or not 0 < length <= self._file_limit_bytes:
            check_range(path, offset, length, self._size_or_fail(path))
            check_size(path, length, self._file_limit_bytes)
        if length == 0:
            return b""
        try:
            with self._mapped(path, "read"):
                content = bytes(self._obstore.get_range(self._store, place(path).key, start=offset, length=length))
        except StorageError:
            size_bytes = self.size(path)  # stores word a range beyond the end differently, so it is not told by the text
            if size_bytes is not None:
                check_range(path, offset, length, size_bytes)
            raise
        check_range(path, offset, length, offset + len(content))
        return content

    def size(self, path: str) -> int | None:
        """See Storage."""
        key = place(path).key
        if not key.strip("/"):
            return None
        try:
            with self._mapped(path, "look at"):
                return int(self._obstore.head(self._store, key)["size"])
        except MissingFileError:
            return None

    def open(self, path: str) -> pa.NativeFile:
        """See Storage."""
        size_bytes = self._size_or_fail(path)
        return pa.PythonFile(RangedFile(lambda offset, length: self.read_range(path, offset, length), size_bytes), mode="r")

    def _size_or_fail(self, path: str) -> int:
        size_bytes = self.size(path)
        if size_bytes is None:
            raise missing(path)
        return size_bytes

    def _keys(self, folder: str, key: str, offset: str | None) -> Iterator[dict[str, Any]]:
        """Every key below a folder after `offset`, in order."""
        with self._mapped(folder, "list"):
            pages = iter(self._obstore.list(self._store, key or None, offset=offset, chunk_size=_PAGE))
        while True:
            with self._mapped(folder, "list"):
                page = next(pages, None)
            if page is None:
                return
            yield from page

    def _children(self, folder: str, at: Place, key: str) -> Iterator[Entry]:
        """All direct children at once."""
        with self._mapped(folder, "list"):
            found = self._obstore.list_with_delimiter(self._store, key or None)
        prefix = f"{key}/" if key else ""
        folders = [Entry(at.root + p.rstrip("/"), 0, 0, True) for p in found["common_prefixes"]]
        markers = {f.path for f in folders}
        files = [_entry(at.root + m["path"], m) for m in found["objects"] if len(m["path"]) > len(prefix)]
        return listing_order(folders + [f for f in files if f.size_bytes or f.path not in markers])

    def _mapped(self, path: str, action: str) -> _Mapped:
        return _Mapped(self._url, self._options, path, action)


class RangedFile(io.RawIOBase):
    """A file object over `read_range`, for pyarrow.PythonFile: every read is one request, which is how columnar readers like it."""

    def __init__(self, read_range: Callable[[int, int], bytes], size_bytes: int) -> None:
        self._read_range = read_range
        self._size_bytes = size_bytes
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = max(0, offset + (0, self._at, self._size_bytes)[whence])
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        left = max(0, self._size_bytes - self._at)
        length = left if size is None or size < 0 else min(size, left)
        content = self._read_range(self._at, length) if length else b""
        self._at += len(content)
        return content

    def readall(self) -> bytes:
        return self.read()

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        content = self.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)


class _Mapped:
    """Raises lakesql's error for one of obstore's; never chained to it, because its text may hold signed URLs."""

    def __init__(self, url: str, options: Options, path: str, action: str) -> None:
        self._url = url
        self._options = options
        self._path = path
        self._action = action

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is None or isinstance(error, Error) or not (isinstance(error, Exception) or type(error).__name__ == "PanicException"):
            return
        text = str(error)
        code = _CODE.search(text)
        if isinstance(error, PermissionError) or type(error).__name__ in ("PermissionDeniedError", "UnauthenticatedError") or _REFUSED.search(text):
            hint = f"the store says {code[1]}" if code else None
            raise denied(self._path, self._action, hint=hint) from None
        if code and code[1] in ("NoSuchBucket", "ContainerNotFound"):
            raise StorageError(f'cannot {self._action} "{self._path}": there is no bucket {self._url}') from None
        if isinstance(error, FileNotFoundError) or type(error).__name__ == "NotFoundError":
            raise missing(self._path) from None
        hint = f'the bucket is in another region: set region under [storage."{self._url}"] in lakesql.toml' if "redirect" in text.lower() else None
        raise StorageError(f'cannot {self._action} "{self._path}": {_said(error, self._options)}', hint=hint) from None


def _said(error: BaseException, options: Options) -> str:
    """The first line of an error's text, short, without secrets and without the queries of URLs, which may be signatures."""
    lines = (line.strip() for line in options.masked(str(error)).splitlines())
    return _QUERY.sub("", next((line for line in lines if line), type(error).__name__))[:300]


def _entry(path: str, meta: dict[str, Any]) -> Entry:
    modified = meta["last_modified"]
    return Entry(path, int(meta["size"]), int(modified.timestamp()) * 1_000_000 + modified.microsecond)


def _imported(url: str) -> Any:
    try:
        import obstore  # an optional extra
        import obstore.store
    except ImportError as error:
        raise ConfigError(f"reading {url} needs the package obstore, which is not installed", hint="pip install 'lakesql[cloud]'") from error
    return obstore


def _opened(obstore: Any, at: Place, options: Options) -> Any:
    """obstore's store for a bucket; what is not among the options it takes from the environment."""
    named = {key: options[key] for key in options}
    allow_http = options.flag("allow_http")
    common: dict[str, Any] = {"retry_config": _RETRY, "client_options": {"allow_http": allow_http, "user_agent": "lakesql"}}
    match at.kind:
        case Kind.S3:
            plain = ("endpoint", "region", "access_key_id", "secret_access_key", "session_token")
            config: dict[str, Any] = {key: named[key] for key in plain if key in named}
            if options.flag("anonymous"):
                config["skip_signature"] = True
            if options.flag("virtual_hosted"):
                config["virtual_hosted_style_request"] = True
            return obstore.store.S3Store(at.bucket, config=config, **common)
        case Kind.GCS:
            config = {"service_account": named["service_account"]} if "service_account" in named else {}
            return obstore.store.GCSStore(at.bucket, config=config, **common)
        case Kind.AZURE:
            keys = {
                "account": "account_name",
                "access_key": "account_key",
                "sas_token": "sas_key",
                "bearer_token": "token",
                "client_id": "client_id",
                "client_secret": "client_secret",
                "tenant_id": "tenant_id",
            }
            config = {theirs: named[ours] for ours, theirs in keys.items() if ours in named}
            if options.flag("emulator"):
                config["use_emulator"] = True
            return obstore.store.AzureStore(at.bucket, config=config, **common)
    raise ConfigError(f"{at.store} is no object store")
