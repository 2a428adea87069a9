"""Which metadata file is the table's newest, found by path alone, and its bytes. Source: Iceberg table spec, "File System Tables"; Java's
HadoopTableOperations.

A hint with a number is probed forward, since hints are often stale; without one the highest number of the folder wins, compared as a number. Two files of one
number cannot be told apart (one is a commit that failed), so they are an error that names both. Tables of catalogs are better named by their metadata file.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence

from lakesql.errors import MetadataError, MissingFileError, NotATableError
from lakesql.formats.markers import ICEBERG_METADATA
from lakesql.location import join
from lakesql.storage import Storage

METADATA_FOLDER = "metadata"
HINT = "version-hint.text"

_SUFFIXES = (".metadata.json", ".gz.metadata.json", ".metadata.json.gz")
_NUMBER = re.compile(r"v?(\d{1,18})(?=[-.]|$)")
_LARGEST_HINT_BYTES = 4096
_LARGEST_METADATA_BYTES = 2 << 30
"""What a metadata file may have once it is decompressed."""


def is_metadata_file(location: str) -> bool:
    """Whether a location names a metadata file rather than a table's folder."""
    return ICEBERG_METADATA.fullmatch(location.rsplit("/", 1)[-1]) is not None


def table_root(location: str) -> str:
    """The folder of the table whose folder or metadata file this is."""
    if not is_metadata_file(location):
        return location
    folder = location.rpartition("/")[0]
    return folder.removesuffix(f"/{METADATA_FOLDER}") or "/"


def newest(storage: Storage, location: str) -> str:
    """The path of the newest metadata file. Raises NotATableError where there is none, MetadataError where two claim to be it."""
    if is_metadata_file(location):
        return location
    hint = _hint(storage, location)
    if hint.isascii() and hint.isdigit() and len(hint) <= 18:
        found = _probe(storage, location, int(hint))
        if found is not None:
            return found
    return _highest(storage, location, hint)


def read(storage: Storage, path: str) -> bytes:
    """The JSON of a metadata file, decompressed where its first bytes say gzip, whatever its name. Raises MissingFileError, MetadataError."""
    try:
        content = storage.read(path)
    except MissingFileError as error:
        raise MissingFileError(f'table metadata "{path}" is not there', path=path) from error
    if not content.startswith(b"\x1f\x8b"):
        return content
    inflate = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        plain = inflate.decompress(content, _LARGEST_METADATA_BYTES)
    except zlib.error as error:
        raise MetadataError(f'table metadata "{path}" is damaged: it does not decompress ({error})') from error
    if not inflate.eof:
        what = f"has more than {_LARGEST_METADATA_BYTES:,} bytes" if inflate.unconsumed_tail else "is cut off"
        raise MetadataError(f'table metadata "{path}" {what}')
    return plain


def version_number(name: str) -> int:
    """The number in `v3.metadata.json` or `00003-<uuid>.metadata.json`; -1 where there is none."""
    found = _NUMBER.match(name)
    return int(found[1]) if found else -1


def _hint(storage: Storage, location: str) -> str:
    """The text of the version hint, empty where there is none."""
    path = join(location, METADATA_FOLDER, HINT)
    size = storage.size(path)
    if size is None or size > _LARGEST_HINT_BYTES:
        return ""
    try:
        return storage.read(path).decode("utf-8", "replace").strip()
    except MissingFileError:  # a writer replaces it by deleting it first
        return ""


def _probe(storage: Storage, location: str, number: int) -> str | None:
    """The highest of the versions from `number` on that are there without a gap; None where that one is not."""
    found = None
    while (there := next(_versions(storage, location, number), None)) is not None:
        found, number = there, number + 1
    if found is not None:
        names = [path.rsplit("/", 1)[-1] for path in _versions(storage, location, number - 1)]
        if len(names) > 1:
            raise _claimed(location, number - 1, names)
    return found


def _versions(storage: Storage, location: str, number: int) -> Iterator[str]:
    """The files of one version, by the names it may have."""
    paths = (join(location, METADATA_FOLDER, f"v{number}{suffix}") for suffix in _SUFFIXES)
    return (path for path in paths if storage.size(path) is not None)


def _highest(storage: Storage, location: str, hint: str) -> str:
    folder = join(location, METADATA_FOLDER)
    names = [e.name for e in storage.list(folder) if not e.is_folder and ICEBERG_METADATA.fullmatch(e.name)]
    if not names:
        raise NotATableError(
            f'"{location}" holds no Iceberg table: there is no metadata file in {METADATA_FOLDER}/', hint="looked for metadata/*.metadata.json"
        )
    number = max(version_number(n) for n in names)
    highest = [n for n in names if version_number(n) == number]
    hinted = [n for n in highest if hint and _stem(n) == _stem(hint)]
    if len(highest) > 1 and not hinted:
        raise _claimed(location, number, highest)
    return join(folder, hinted[0] if hinted else highest[0])


def _claimed(location: str, number: int, names: Sequence[str]) -> MetadataError:
    """The error for a version that several files claim to be."""
    return MetadataError(
        f'"{location}" has {len(names)} metadata files of version {number}: {", ".join(sorted(names)[:4])}; one of them is a commit that failed',
        hint="name the right one instead of the folder, as the table's catalog has it",
    )


def _stem(name: str) -> str:
    for suffix in (".gz.metadata.json", ".metadata.json.gz", ".metadata.json"):
        if name.endswith(suffix):
            return name.removesuffix(suffix)
    return name
