"""Where a table or file is, as text: what users write, made absolute, taken apart, and spelled for an engine.

A location is an absolute local path (`/lake/orders`) or a URL of an object store (`s3://bucket/orders`). It is never percent-encoded and has no slash at its
end. Only `file:` URLs and `engine_url` know percent-encoding.
"""

from __future__ import annotations

import enum
import os
import re
from dataclasses import dataclass
from pathlib import PurePath
from urllib.parse import quote, unquote, urlsplit

from lakesql.errors import ConfigError, UnsupportedFeatureError

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_FILE_URL = re.compile(r"file:/", re.IGNORECASE)


class Kind(enum.Enum):
    """The kinds of store there are; the value is the one spelling engines are given."""

    LOCAL = "file"
    S3 = "s3"
    GCS = "gs"
    AZURE = "az"


SCHEMES = {
    "s3": Kind.S3,
    "s3a": Kind.S3,
    "s3n": Kind.S3,
    "gs": Kind.GCS,
    "gcs": Kind.GCS,
    "az": Kind.AZURE,
    "azure": Kind.AZURE,
    "abfs": Kind.AZURE,
    "abfss": Kind.AZURE,
    "wasb": Kind.AZURE,
    "wasbs": Kind.AZURE,
}
"""Every spelling of a scheme, and the store it means."""


@dataclass(frozen=True)
class Place:
    """A location taken apart.

    bucket: S3 or GCS bucket or Azure container, "" for local files. account: the Azure account where the URL names it, else "". key: the path below the
    bucket, without slash at its start; for local files the absolute path. root: the location's text up to the key (`s3a://bucket/`), "" for local files, so
    that root + key is the text.
    """

    kind: Kind
    bucket: str
    account: str
    key: str
    root: str

    @property
    def store(self) -> str:
        """One text per store, whatever spelling was used: `s3://bucket`, `az://account.container`; `file://` for local files."""
        host = f"{self.account}.{self.bucket}" if self.account else self.bucket
        return f"{self.kind.value}://{host}"


def place(path: str) -> Place:
    """Takes a location apart. Raises UnsupportedFeatureError for a scheme lakesql does not read, ConfigError for a URL that names no bucket.

    >>> place("abfss://raw@acme.dfs.core.windows.net/lake/t").store
    'az://acme.raw'
    """
    found = _SCHEME.match(path)
    if found is None:
        return Place(Kind.LOCAL, "", "", path, "")
    scheme = found[1].lower()
    if scheme not in SCHEMES:
        known = ", ".join(f"{s}://" for s in ("file", *SCHEMES))
        raise UnsupportedFeatureError(f'cannot read "{path}": lakesql reads no {scheme}:// paths', feature=f"{scheme}:// paths", hint=f"it reads {known}")
    authority, _, key = path[found.end() :].partition("/")
    container, at, host = authority.rpartition("@")
    if SCHEMES[scheme] is Kind.AZURE and at:
        bucket, account = container, host.split(".", 1)[0]
    else:
        bucket, account = authority, ""
    if not bucket or "@" in bucket or ":" in bucket:
        # Never echoed: user:password@host is a thing people write, and the password may hold a slash.
        raise ConfigError(f"a {scheme}:// path must name a bucket: {scheme}://bucket/path")
    return Place(SCHEMES[scheme], bucket, account, key, f"{path[: found.end()]}{authority}/")


def is_local(path: str) -> bool:
    """Whether a location is on a local disk."""
    return _SCHEME.match(path) is None


def absolute(text: str | os.PathLike[str], base: str | None = None) -> str:
    """The location a user means by `text`: relative to the folder `base` (default: the working directory); `~`, `file:` URLs and store URLs are understood.

    Raises ConfigError for text that can be no location.

    >>> absolute("../items/", base="/lake/shop")
    '/lake/items'
    >>> absolute("file:///lake/a%20b")
    '/lake/a b'
    """
    spelled = os.fspath(text) if isinstance(text, os.PathLike) else text
    if not isinstance(spelled, str) or not spelled.strip() or "\0" in spelled:
        raise ConfigError(f"{spelled!r} is no path", hint="give a directory, a file or a URL such as s3://bucket/path")
    if not isinstance(text, PurePath):
        if _FILE_URL.match(spelled):
            parts = urlsplit(spelled)
            if parts.netloc not in ("", "localhost"):
                raise ConfigError(f'"{spelled}" names the host "{parts.netloc}"; file URLs are local', hint="write file:///path")
            return os.path.abspath(unquote(spelled[len("file:") + (2 + len(parts.netloc) if spelled[5:7] == "//" else 0) :]))
        if _SCHEME.match(spelled):
            return spelled.rstrip("/")
    expanded = os.path.expanduser(spelled)
    if base is not None and _SCHEME.match(base) and not os.path.isabs(expanded):
        return f"{base}/{spelled}".rstrip("/")
    return os.path.abspath(os.path.join(base or os.getcwd(), expanded))


def join(folder: str, *names: str) -> str:
    """folder and names, with one slash between each."""
    return "/".join((folder.rstrip("/"), *names))


def engine_url(path: str) -> str:
    """The URL by which an engine reads a data file: one spelling per store, the rest percent-encoded.

    >>> engine_url("/lake/a b/c=100%.parquet")
    'file:///lake/a%20b/c%3D100%25.parquet'
    """
    at = place(path)
    return f"{at.store}/{quote(at.key.lstrip('/'), safe='/')}"
