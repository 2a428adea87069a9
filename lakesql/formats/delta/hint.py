"""`_last_checkpoint`: where the newest checkpoint may be. A hint and no more: stale, torn or absent ones cost a longer listing, never a wrong answer.

Source: Delta protocol, "Last Checkpoint File", and "JSON checksum" for the md5 over its canonical form.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from lakesql.errors import MetadataError, MissingFileError
from lakesql.storage import Storage

HINT_NAME = "_last_checkpoint"
_LARGEST_VERSION = 2**63 - 1


@dataclass(frozen=True)
class Hint:
    """What `_last_checkpoint` says.

    sidecars: (path, size_bytes) of the V2 checkpoint `v2_name`; None where the hint does not list them (writers drop long
    lists) or has no checksum.
    """

    version: int
    v2_name: str | None = None
    sidecars: tuple[tuple[str, int], ...] | None = None


def read_hint(storage: Storage, log: str) -> Hint | None:
    """The hint, None where there is none that can be believed. A torn write is read once more, since some stores overwrite in two steps."""
    for _ in range(2):
        try:
            content = storage.read(f"{log}/{HINT_NAME}")
        except (MissingFileError, MetadataError):
            return None
        hint = parse_hint(content)
        if hint is not None:
            return hint
    return None


def parse_hint(content: bytes) -> Hint | None:
    """The hint in `content`; None where it is no JSON object, has no usable version, repeats a key, or contradicts its own checksum."""
    try:
        raw = json.loads(content, object_pairs_hook=_no_repeats, parse_int=_Number, parse_float=_Number, parse_constant=_Number)
    except (ValueError, RecursionError):
        return None
    if not isinstance(raw, dict) or not _checksum_holds(raw):
        return None
    version = _integer(raw.get("version"))
    if version is None:
        return None
    v2 = raw.get("v2Checkpoint")
    if not isinstance(v2, dict) or not isinstance(v2.get("path"), str):
        return Hint(version)
    # Only a signed list is believed: a wrong one would lose files.
    sidecars = _sidecars(v2.get("sidecarFiles")) if raw.get("checksum") is not None else None
    return Hint(version, v2["path"].rsplit("/", 1)[-1], sidecars)


def checksum_of(raw: dict[str, Any]) -> str:
    """md5 of the canonical text of a JSON object parsed by `parse_hint`'s rules, its own `checksum` left out."""
    pairs = sorted(_leaves({k: v for k, v in raw.items() if k != "checksum"}, ""))
    return hashlib.md5(b",".join(pairs), usedforsecurity=False).hexdigest()


class _Number(str):
    """A JSON number as it was written: the checksum is over the text."""


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({k for k, _ in pairs}) != len(pairs):
        raise ValueError("repeated key")
    return dict(pairs)


def _checksum_holds(raw: dict[str, Any]) -> bool:
    expected = raw.get("checksum")
    return expected is None or (isinstance(expected, str) and expected.lower() == checksum_of(raw))


def _leaves(value: Any, path: str) -> Iterator[bytes]:
    if isinstance(value, dict):
        for key, child in value.items():
            yield from _leaves(child, f"{path}+{_quoted(key)}" if path else _quoted(key))
    elif isinstance(value, list):
        for n, child in enumerate(value):
            yield from _leaves(child, f"{path}+{n}" if path else str(n))
    else:
        yield f"{path}={_scalar(value)}".encode()


def _scalar(value: Any) -> str:
    if isinstance(value, _Number):
        return str(value)
    if isinstance(value, str):
        return _quoted(value)
    return {None: "null", True: "true", False: "false"}[value]


def _quoted(text: str) -> str:
    return '"' + quote(text, safe="-._~", errors="surrogatepass") + '"'


def _integer(value: Any) -> int | None:
    if isinstance(value, _Number) and value.isdigit() and len(value) <= 19 and int(value) <= _LARGEST_VERSION:
        return int(value)
    return None


def _sidecars(value: Any) -> tuple[tuple[str, int], ...] | None:
    if not isinstance(value, list):
        return None
    found = []
    for item in value:
        size_bytes = _integer(item.get("sizeInBytes")) if isinstance(item, dict) else None
        if size_bytes is None or not isinstance(item.get("path"), str):
            return None
        found.append((item["path"], size_bytes))
    return tuple(found)
