"""Which of two formats at one place is the table, and which is metadata that the table keeps for other readers.

Delta's UniForm, Paimon's Iceberg compatibility and Apache XTable write a second format's metadata over the same data files. Where the copy or the table says
so itself, the format written from is the table, and the copy is no evidence. Nothing else decides: two formats that do not speak of each other stay
ambiguous, and so does metadata that cannot be read.

This module looks at the newest metadata file of a format and at a few of its keys; what the files mean is for the formats' readers.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator
from itertools import islice
from typing import Any, Protocol, TypeVar

from lakesql.errors import MetadataError, MissingFileError
from lakesql.formats.markers import ICEBERG_METADATA
from lakesql.location import join
from lakesql.storage import Storage

_XTABLE = "XTABLE_METADATA"
_UNIFORM = "delta-version"
_LARGEST_BYTES = 64 << 20
"""Metadata larger than this is not looked into."""


class _Named(Protocol):
    @property
    def format(self) -> str: ...


E = TypeVar("E", bound=_Named)


def without_derived(storage: Storage, location: str, found: tuple[E, ...]) -> tuple[E, ...]:
    """The evidence that is left when formats derived from another one in `found` are taken away; `found` itself where none says that it is derived."""
    names = {e.format for e in found}
    copies = set[str]()
    for name, sources in _SOURCES.items():
        if name in names and any(source != name and source in names for source in sources(storage, location)):
            copies.add(name)
    if "paimon" in names and "iceberg" in names and _paimon_keeps_iceberg(storage, location):
        copies.add("iceberg")
    left = tuple(e for e in found if e.format not in copies)
    return left or found


def _iceberg_sources(storage: Storage, location: str) -> Iterator[str]:
    """UniForm and XTable sign the table's properties; newer XTable signs the snapshot's summary instead."""
    names = [e.name for e in islice(storage.list(join(location, "metadata")), 100_000) if ICEBERG_METADATA.fullmatch(e.name)]
    newest = max(names, key=_number, default=None)
    content = _json(storage, join(location, "metadata", newest)) if newest else None
    signed = [_get(content, "properties")]
    current = _get(content, "current-snapshot-id")
    snapshots = _get(content, "snapshots")
    signed += [_get(s, "summary") for s in snapshots if _get(s, "snapshot-id") == current] if isinstance(snapshots, list) else []
    for properties in signed:
        if _get(properties, _UNIFORM) is not None:
            yield "delta"
        yield from _xtable_source(_get(properties, _XTABLE))


def _delta_sources(storage: Storage, location: str) -> Iterator[str]:
    """XTable signs the table's configuration or the commit's tags in the newest commit."""
    log = join(location, "_delta_log")
    commits = [e.path for e in islice(storage.list(log), 100_000) if re.fullmatch(r"\d{20}\.json", e.name)]
    for line in (_read(storage, commits[-1]) or b"").splitlines()[:1000] if commits else ():
        if _XTABLE.encode() in line:
            action = _parsed(line)
            yield from _xtable_source(_get(action, "metaData", "configuration", _XTABLE))
            yield from _xtable_source(_get(action, "commitInfo", "tags", _XTABLE))


def _hudi_sources(storage: Storage, location: str) -> Iterator[str]:
    """UniForm and XTable sign the newest commit's extra metadata (JSON: both write table version 6 or older)."""
    timeline = join(location, ".hoodie")
    commits = [e.path for e in islice(storage.list(timeline), 100_000) if re.fullmatch(r"\d+\.(commit|replacecommit)", e.name)]
    extra = _get(_json(storage, commits[-1]), "extraMetadata") if commits else None
    if _get(extra, _UNIFORM) is not None:
        yield "delta"
    yield from _xtable_source(_get(extra, _XTABLE))


_SOURCES = {"iceberg": _iceberg_sources, "delta": _delta_sources, "hudi": _hudi_sources}


def _paimon_keeps_iceberg(storage: Storage, location: str) -> bool:
    """Whether the newest schema asks for Iceberg metadata beside the table. Source: Paimon, IcebergOptions."""
    schemas = [e for e in islice(storage.list(join(location, "schema"), start_after="schema-"), 100_000) if re.fullmatch(r"schema-\d+", e.name)]
    newest = max(schemas, key=lambda e: _number(e.name), default=None)
    kept = _get(_json(storage, newest.path), "options", "metadata.iceberg.storage") if newest else None
    return isinstance(kept, str) and kept.lower() != "disabled"


def _xtable_source(text: object) -> Iterator[str]:
    source = _get(_parsed(text.encode()), "sourceTableFormat") if isinstance(text, str) else None
    if isinstance(source, str):
        yield source.lower()


def _number(name: str) -> int:
    """The number in names such as v3.metadata.json, 00003-uuid.metadata.json, schema-3; -1 where there is none."""
    digits = re.match(r"(?:v|schema-)?(\d{1,18})", name)
    return int(digits[1]) if digits else -1


def _json(storage: Storage, path: str) -> Any:
    content = _read(storage, path)
    if content is not None and path.removesuffix(".metadata.json").endswith(".gz"):
        try:
            content = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16).decompress(content, _LARGEST_BYTES)
        except zlib.error:
            return None
    return None if content is None else _parsed(content)


def _read(storage: Storage, path: str) -> bytes | None:
    """The file, None where it is gone or too large to look into."""
    size_bytes = storage.size(path)
    if size_bytes is None or size_bytes > _LARGEST_BYTES:
        return None
    try:
        return storage.read(path)
    except (MissingFileError, MetadataError):
        return None


def _parsed(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _get(value: object, *keys: str) -> Any:
    """The value under nested keys, None where there is none."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value
