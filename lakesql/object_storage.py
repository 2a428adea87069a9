"""S3, GCS and Azure through obstore (the extra `lakesql[cloud]`), which also does the retries. obstore is imported here and nowhere else, and only when a
first path needs it.

Errors name the path and say what the store said, in one line and without secrets.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, NoReturn

import pyarrow as pa

from lakesql.errors import ConfigError, Error, StorageError
from lakesql.location import Kind, Place, join, place
from lakesql.storage import DEFAULT_FILE_LIMIT_BYTES, Entry, RangedFile, check_range, check_size, denied, listing_order, missing
from lakesql.store_options import Options

_PAGE = 1000
_HOPS = 16
"""Folders a listing steps over one by one before it asks for everything at once."""

_RETRY = {"max_retries": 5, "retry_timeout": timedelta(seconds=60)}
_LAST = "\U0010ffff"


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
        except Error:
            raise
        except Exception as error:
            raise ConfigError(f"cannot set up the store {at.store}: {self._said(error)}", hint=f'see [storage."{at.store}"] in lakesql.toml') from None

    def __repr__(self) -> str:
        return f"ObjectStorage({self._url})"

    def list(self, folder: str, *, start_after: str | None = None) -> Iterator[Entry]:
        """See Storage. Lazy: a page of 1,000 keys at a time; keys below a folder are stepped over."""
        at = place(folder)
        key = at.key.strip("/")
        prefix = f"{key}/" if key else ""
        offset = f"{prefix}{start_after}" if start_after else None
        last = ""
        for _ in range(_HOPS):
            inside: str | None = None
            for meta in self._keys(folder, key, offset):
                name, slash, _ = meta["path"][len(prefix) :].partition("/")
                if not name or (start_after is not None and name.encode() <= start_after.encode() and not slash):
                    continue
                if slash:
                    inside = name
                    break
                last = name
                yield _entry(join(at.root + key, name) if key else at.root + name, meta)
            if inside is None:
                return
            last = f"{inside}/"
            offset = f"{prefix}{inside}/{_LAST}"
            if start_after is None or inside.encode() > start_after.encode():
                yield Entry(at.root + prefix + inside, 0, 0, True)
        for entry in self._children(folder, at, key):
            if (entry.name + "/" * entry.is_folder).encode() > last.encode() and (start_after is None or entry.name.encode() > start_after.encode()):
                yield entry

    def read(self, path: str) -> bytes:
        """See Storage."""
        try:
            result = self._obstore.get(self._store, place(path).key)
            check_size(path, result.meta["size"], self._file_limit_bytes)
            return bytes(result.bytes())
        except Exception as error:
            self._fail(error, path, "read")

    def read_range(self, path: str, offset: int, length: int) -> bytes:
        """See Storage."""
        if offset < 0 or not 0 < length <= self._file_limit_bytes:
            check_range(path, offset, length, self._size_or_fail(path))
            check_size(path, length, self._file_limit_bytes)
        if length == 0:
            return b""
        try:
            content = bytes(self._obstore.get_range(self._store, place(path).key, start=offset, length=length))
        except Exception as error:
            size_bytes = self.size(path)
            if size_bytes is not None:  # stores word a range beyond the end differently, so it is not told by its text
                check_range(path, offset, length, size_bytes)
            self._fail(error, path, "read")
        check_range(path, offset, length, offset + len(content))
        return content

    def size(self, path: str) -> int | None:
        """See Storage."""
        key = place(path).key
        if not key.strip("/"):
            return None
        try:
            return int(self._obstore.head(self._store, key)["size"])
        except FileNotFoundError:
            return None
        except Exception as error:
            self._fail(error, path, "look at")

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
        try:
            for page in self._obstore.list(self._store, key or None, offset=offset, chunk_size=_PAGE):
                yield from page
        except Exception as error:
            self._fail(error, folder, "list")

    def _children(self, folder: str, at: Place, key: str) -> Iterator[Entry]:
        """All direct children at once."""
        try:
            found = self._obstore.list_with_delimiter(self._store, key or None)
        except Exception as error:
            self._fail(error, folder, "list")
        prefix = f"{key}/" if key else ""
        folders = [Entry(at.root + p.rstrip("/"), 0, 0, True) for p in found["common_prefixes"]]
        return listing_order(folders + [_entry(at.root + m["path"], m) for m in found["objects"] if len(m["path"]) > len(prefix)])

    def _fail(self, error: Exception, path: str, action: str) -> NoReturn:
        """Raises lakesql's error for one of obstore's; never chained to it, because its text may hold signed URLs."""
        match error:
            case Error():
                raise error
            case FileNotFoundError():
                raise missing(path) from None
            case PermissionError():
                raise denied(path, action) from None
        name = type(error).__name__
        said = self._said(error)
        if name in ("PermissionDeniedError", "UnauthenticatedError"):
            raise denied(path, action) from None
        if name == "NotFoundError":
            raise missing(path) from None
        hint = None
        if "redirect" in said.lower() or "PermanentRedirect" in said:
            hint = f'the bucket is in another region: set region under [storage."{self._url}"] in lakesql.toml'
        raise StorageError(f'cannot {action} "{path}": {said}', hint=hint) from None

    def _said(self, error: Exception) -> str:
        """The first line of an error's text, short and without secrets."""
        first = next((line.strip() for line in self._options.masked(str(error)).splitlines() if line.strip()), type(error).__name__)
        return first.partition("?")[0][:300] if "://" in first else first[:300]


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
