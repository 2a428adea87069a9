"""The marker files by which a table format is recognised at a place. One look each: a few requests, no file is read, no listing is walked to its end."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from itertools import islice

from lakesql.location import is_local, join
from lakesql.storage import Entry, Storage

DESCRIPTIONS = {
    "delta": "_delta_log/",
    "iceberg": "metadata/*.metadata.json",
    "paimon": "schema/schema-N",
    "hudi": ".hoodie/hoodie.properties",
    "lance": "_versions/*.manifest",
}
"""What is looked for, in words."""

ICEBERG_METADATA = re.compile(r".+\.metadata\.json(\.gz)?|.+\.gz\.metadata\.json")
"""Names of Iceberg's table metadata files, plain and compressed."""

_PAIMON_SCHEMA = re.compile(r"schema-\d+")


def delta(storage: Storage, location: str) -> str | None:
    """Anything in the log's folder; whether the log is sound is the reader's to say. Source: Delta protocol, File Types."""
    # Most logs have one of these two, and asking for a file costs less than listing a long log.
    for name in ("_last_checkpoint", "00000000000000000000.json"):
        if storage.size(join(location, "_delta_log", name)) is not None:
            return "_delta_log/"
    return "_delta_log/" if _first(storage, location, "_delta_log", lambda e: True) else None


def iceberg(storage: Storage, location: str) -> str | None:
    """A table metadata file in `metadata/`, or one named by the location itself. Source: Iceberg table spec, Table Metadata."""
    if ICEBERG_METADATA.fullmatch(location.rsplit("/", 1)[-1]):
        return location.rsplit("/", 1)[-1] if storage.size(location) is not None else None
    hint = "metadata/version-hint.text"
    if storage.size(join(location, hint)) is not None:
        return hint
    return _first(storage, location, "metadata", lambda e: ICEBERG_METADATA.fullmatch(e.name) is not None)


def paimon(storage: Storage, location: str) -> str | None:
    """A schema file, with or without a snapshot: Paimon counts a folder with one as a table. Source: Paimon, FileSystemCatalog."""
    if storage.size(join(location, "schema/schema-0")) is not None:
        return "schema/schema-0"
    return _first(storage, location, "schema", lambda e: _PAIMON_SCHEMA.fullmatch(e.name) is not None, start_after="schema-")


def hudi(storage: Storage, location: str) -> str | None:
    """The table's properties, or the copy that is there while they are written anew. Source: Hudi, HoodieTableConfig."""
    for marker in (".hoodie/hoodie.properties", ".hoodie/hoodie.properties.backup"):
        if storage.size(join(location, marker)) is not None:
            return marker
    return None


def lance(storage: Storage, location: str) -> str | None:
    """A version's manifest. Source: Lance table format, Manifest."""
    return _first(storage, location, "_versions", lambda e: e.name.endswith(".manifest"))


MARKERS: dict[str, Callable[[Storage, str], str | None]] = {"delta": delta, "iceberg": iceberg, "paimon": paimon, "hudi": hudi, "lance": lance}
"""Each format's look for its marker: the marker relative to the location, or None."""


def is_folder(storage: Storage, location: str) -> bool:
    """Whether a folder is there, as far as the store can say: object stores have no empty folders."""
    return os.path.isdir(location) if is_local(location) else any(True for _ in islice(storage.list(location), 1))


def _first(storage: Storage, location: str, folder: str, wanted: Callable[[Entry], bool], start_after: str | None = None) -> str | None:
    for entry in storage.list(join(location, folder), start_after=start_after):
        if not entry.is_folder and wanted(entry):
            return f"{folder}/{entry.name}"
    return None
