"""Where files are: the folders of partitions and buckets, built exactly as writers build them, and files that lie elsewhere.

Paths are only built, never taken apart: a null and a blank partition value share one folder, and dates are numbers in it. Source: Paimon,
FileStorePathFactory, PartitionPathUtils, InternalRowPartitionComputer, DataFilePathFactory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakesql.errors import UnsupportedFeatureError
from lakesql.formats.paimon.entries import Selection
from lakesql.formats.paimon.options import Options
from lakesql.formats.paimon.schemas import TableSchema
from lakesql.formats.paimon.statistics import decode_partitions
from lakesql.formats.paimon.values import cast_text, legacy_text
from lakesql.location import absolute, join, place
from lakesql.storage import Storage

_ESCAPED = re.compile(r"""[\x00-\x1f\x7f"#%'*/:=?\\{}\[\]^]""")
_COMPRESSED = ("gz", "bz2", "deflate", "snappy", "lz4", "zst")
_POSTPONED = -2
_LEVELS_UP = 3


@dataclass(frozen=True, eq=False)
class Paths:
    """The paths of one table's files. root: its folder."""

    storage: Storage
    root: str
    schema: TableSchema
    options: Options

    @property
    def manifests(self) -> str:
        """The folder of manifests and their lists."""
        return join(self.root, "manifest")

    def data_files(self, files: Selection) -> pa.Array:
        """The path of each data file, as storage names it."""
        blobs, codes = files.partitions
        folders = self._folders(blobs, codes, files.numbers("_BUCKET"))
        names = files.column("_FILE_NAME")
        built = pc.binary_join_element_wise(folders, names, "/")
        return self._with_external(built, files.column("_EXTERNAL_PATH"))

    def index_files(self, entries: pa.Table) -> pa.Array:
        """The path of each index file of an index manifest's entries."""
        names = entries["_FILE_NAME"].combine_chunks()
        if self.options.indexes_beside_data:
            blobs = pc.dictionary_encode(entries["_PARTITION"].combine_chunks())
            codes = blobs.indices.to_numpy(zero_copy_only=False).astype(np.int64)
            folders = self._folders(blobs.dictionary, codes, entries["_BUCKET"].combine_chunks().to_numpy(zero_copy_only=False))
            built = pc.binary_join_element_wise(folders, names, "/")
        else:
            built = pc.binary_join_element_wise(join(self.root, "index"), names, "/")
        return self._with_external(built, entries["_EXTERNAL_PATH"].combine_chunks())

    def partition_names(self, blobs: pa.Array) -> list[str]:
        """The folder of each partition, relative to the data folder: `dt=2024-01-01/hour=8`; empty without partition columns."""
        values = decode_partitions(blobs, self.schema)
        if not values:
            return [""] * len(blobs)
        text = legacy_text if self.options.legacy_partitions else cast_text
        columns = []
        for field in self.schema.partition_fields:
            if self.options.legacy_partitions and field.type.root in ("BINARY", "VARBINARY"):
                raise UnsupportedFeatureError(
                    f"{self.root}: the paths of partitions by {field.name} cannot be told: Paimon writes binary values as object addresses",
                    feature="binary partition columns with legacy names",
                )
            spelled = [text(v, field.type) if v.is_valid else "" for v in values[field.name]]
            columns.append([f"{escaped(field.name)}={escaped(self.options.default_partition if is_blank(t) else t)}" for t in spelled])
        return ["/".join(parts) for parts in zip(*columns, strict=True)]

    def _folders(self, blobs: pa.Array, codes: np.ndarray, buckets: np.ndarray) -> pa.Array:
        """The folder of each file's bucket; spelled once for each partition and bucket there is."""
        pairs, places = np.unique(np.stack([codes, buckets.astype(np.int64)]), axis=1, return_inverse=True)
        names = self.partition_names(blobs)
        base = join(self.root, self.options.data_directory) if self.options.data_directory else self.root
        folders = []
        for partition, bucket in pairs.T.tolist():
            name = names[partition]
            folders.append(join(base, *((name,) if name else ()), f"bucket-{'postpone' if bucket == _POSTPONED else bucket}"))
        return pa.array(folders, pa.string()).take(pa.array(places.reshape(-1), pa.int64()))

    def _with_external(self, built: pa.Array, external: pa.Array) -> pa.Array:
        if external.null_count == len(external):
            return built
        known: dict[str, str] = {}
        placed = [None if p is None else self._external(p, known) for p in external.to_pylist()]
        return pc.coalesce(pa.array(placed, pa.string()), built)

    def _external(self, path: str, known: dict[str, str]) -> str:
        """Where a file is now that metadata names by its whole path. What was found for one file of a folder holds for all of it."""
        folder, _, name = path.rpartition("/")
        if folder not in known:
            known[folder] = next((f for f in self._candidates(folder) if self.storage.size(f"{f}/{name}") is not None), _local(folder))
        return f"{known[folder]}/{name}"

    def _candidates(self, folder: str) -> Iterator[str]:
        """The folder itself, then the longest end of its path below the table's folder and those above: the table may have been moved, and the rest with it."""
        named = _local(folder)
        try:
            key = place(named).key
            yield named
        except UnsupportedFeatureError:
            key = named.partition("://")[2]
        parts = [p for p in key.split("/") if p]
        above = [self.root]
        for _ in range(_LEVELS_UP):
            parent = above[-1].rpartition("/")[0]
            if not parent or parent.endswith("/"):
                break
            above.append(parent)
        for start in range(len(parts)):
            for base in above:
                yield join(base, *parts[start:])


def formats_of(names: pa.Array) -> pa.Array:
    """The format of each data file by its name: the last extension, or the one before where that says how the file is compressed."""
    found = pc.extract_regex(names, rf"\.(?P<format>[^.]+?)(?:\.(?:{'|'.join(_COMPRESSED)}))?$")
    return pc.utf8_lower(pc.fill_null(pc.struct_field(found, "format"), ""))


def escaped(text: str) -> str:
    """A name or value as paths have it.

    >>> escaped("a b/c")
    'a b%2Fc'
    """
    return _ESCAPED.sub(lambda found: f"%{ord(found[0]):02X}", text)


def is_blank(text: str) -> bool:
    """Whether Java takes the text for nothing but white space."""
    return all(c in "\x1c\x1d\x1e\x1f\t\n\x0b\x0c\r" or (c.isspace() and c not in "\x85\xa0\u2007\u202f") for c in text)


def _local(folder: str) -> str:
    """A folder out of metadata: `file:` in any spelling is a local path."""
    if re.match(r"file:/", folder, re.IGNORECASE):
        return "/" + re.sub(r"^file:/+", "", folder, flags=re.IGNORECASE)
    return absolute(folder) if "://" in folder else folder
