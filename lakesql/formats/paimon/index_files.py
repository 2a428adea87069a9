"""Where the indexes of data files are - in manifest entries or in files beside the data - and what they prove of files that are still looked at.

Files beside the data cost a read each, so they are read only where a predicate asks for a column that may have an index, and where few data files are left.
Source: Paimon, FileIndexEvaluator, DataFilePathFactory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from lakesql.errors import MissingFileError
from lakesql.formats.paimon.entries import Selection, in_parallel
from lakesql.formats.paimon.file_indexes import Index, can_decide, read_container, rules_out
from lakesql.formats.paimon.paths import Paths
from lakesql.formats.paimon.statistics import Described
from lakesql.formats.paimon.types import DataField
from lakesql.predicate import Predicate, conjuncts
from lakesql.storage import read_immutable

SUFFIX = ".index"
_MOST_READ = 256


@dataclass(frozen=True)
class Container:
    """The place of one data file's indexes. path: of the file beside it, None for those in its manifest entry; raw: these."""

    file: int
    path: str | None
    raw: bytes | None

    def read(self, paths: Paths) -> bytes:
        """Its bytes. Raises MissingFileError."""
        if self.raw is not None:
            return self.raw
        assert self.path is not None
        return read_immutable(paths.storage, self.path)

    @property
    def name(self) -> str:
        """For messages."""
        return f'"{self.path}"' if self.path is not None else "the file index in a manifest entry"


def containers(paths: Paths, files: Selection) -> list[Container]:
    """The containers of all files that have one, in the order of the files."""
    embedded, extra = files.column("_EMBEDDED_FILE_INDEX"), files.column("_EXTRA_FILES")
    found = [Container(int(i), None, embedded[int(i)].as_py()) for i in np.flatnonzero(embedded.is_valid().to_numpy(zero_copy_only=False))]
    beside = pc.list_parent_indices(extra)
    names = pc.list_flatten(extra)
    there = pc.ends_with(names, SUFFIX)
    at, names = beside.filter(there).to_numpy(), names.filter(there).to_pylist()
    if len(at):
        inside = {c.file for c in found}
        chosen, first = np.unique(at, return_index=True)
        folders = [p.rpartition("/")[0] for p in paths.data_files(files.take(chosen)).to_pylist()]
        found += [Container(int(i), f"{f}/{names[n]}", None) for i, n, f in zip(chosen, first.tolist(), folders, strict=True) if int(i) not in inside]
    return sorted(found, key=lambda c: c.file)


def index_proofs(paths: Paths, files: Selection, described: Described, predicates: Sequence[Predicate]) -> Mapping[int, tuple[str, str]] | None:
    """Of files whose indexes prove that they hold no wanted row: the predicate, and what proves it; None where no index was looked at. Raises MetadataError."""
    own = [f.name for f in described.schema.fields if f.name not in described.schema.partition_keys]
    asked = [p for whole in predicates for p in conjuncts(whole) if can_decide(p, own)]
    if not asked or (files.column("_EMBEDDED_FILE_INDEX").null_count == len(files) and not len(pc.list_flatten(files.column("_EXTRA_FILES")))):
        return None
    known = containers(paths, files)
    outside = {c.file for c in known if c.raw is None}
    if len(outside) > _MOST_READ:
        known = [c for c in known if c.raw is not None]
    schema_ids = files.numbers("_SCHEMA_ID")
    columns = {i: _columns(described, i) for i in np.unique(schema_ids[[c.file for c in known]]).tolist()} if known else {}

    def proof(container: Container) -> tuple[str, str] | None:
        try:
            indexes = read_container(container.read(paths), container.name)
        except MissingFileError:
            return None  # it would only have told what need not be read
        for predicate in asked:
            why = rules_out(indexes, predicate, columns[int(schema_ids[container.file])])
            if why is not None:
                return str(predicate), why
        return None

    found = in_parallel(proof, known)
    return {c.file: p for c, p in zip(known, found, strict=True) if p is not None}


def _columns(described: Described, schema_id: int) -> dict[str, DataField]:
    """Columns as files of a schema have them, by today's names, where their type is still the same."""
    held = described.schema_of(schema_id).by_id
    return {f.name: held[f.id] for f in described.schema.fields if f.id in held and held[f.id].type.same(f.type)}


def described_indexes(paths: Paths, container: Container) -> tuple[int, tuple[Index, ...]]:
    """How many bytes a container has, and its indexes."""
    raw = container.read(paths)
    return len(raw), read_container(raw, container.name)
