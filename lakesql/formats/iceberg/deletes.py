"""Which delete files concern which data files. Source: Iceberg table spec, "Scan Planning", "Delete Formats".

    what                 concerns a data file                                                              that is
    deletion vector      whose path it names; at most one each, in place of all position delete files      not newer than it
    position deletes     whose path it names or may name, of the same spec and partition                   not newer than it
    equality deletes     of the same spec and partition, or all if its own spec has no partitions          older than it

Newer and older are told by data sequence numbers. What a delete file holds is read when the statement runs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lakesql.errors import MetadataError
from lakesql.formats.iceberg.entries import Entries, partition_codes
from lakesql.formats.iceberg.equality_bounds import may_meet
from lakesql.formats.iceberg.manifest_list import Manifests as ManifestRows

if TYPE_CHECKING:
    from lakesql.formats.iceberg.scan import Source

Mask = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

POSITIONS, EQUALITY = 1, 2
"""Contents of delete files."""

FILE_PATH_ID, POS_ID = 2147483546, 2147483545
"""Reserved field ids of the columns of position delete files."""


@dataclass(frozen=True)
class DeleteFiles:
    """Delete files, one entry each in every array. path: where storage has them; source_path: as the manifest names them; codes: of spec and partition, to
    compare with those of data files; named: the data file they are about, where they say so.
    """

    path: pa.Array
    source_path: pa.Array
    format: pa.Array
    size_bytes: pa.Array
    record_count: pa.Array
    sequence: Ints
    codes: Ints
    named: pa.Array
    offset: pa.Array
    length: pa.Array

    def __len__(self) -> int:
        return len(self.path)

    def take(self, rows: Ints | Mask) -> DeleteFiles:
        """Some of them."""
        at = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        chosen = pa.array(at, pa.int64())
        arrays = {n: getattr(self, n).take(chosen) for n in ("path", "source_path", "format", "size_bytes", "record_count", "named", "offset", "length")}
        return replace(self, sequence=self.sequence[at], codes=self.codes[at], **arrays)


@dataclass(frozen=True)
class EqualitySet:
    """Equality deletes that compare the same columns. ids: their field ids, ascending; everywhere: they concern all partitions; hit: the data files they may
    concern.
    """

    ids: tuple[int, ...]
    everywhere: bool
    files: DeleteFiles
    hit: Mask


@dataclass(frozen=True)
class Deletes:
    """What concerns the kept data files.

    paths: where they are; source_paths: as the manifests name them; sequence: theirs; codes: of spec and partition, where there are deletes to compare them
    with. vectors: deletion vectors; vector: for each data file its place among them, -1 without one. positions: position delete files; has_positions: whether
    one of them may name the data file, which has no vector. equality: by key columns.
    """

    paths: pa.Array
    source_paths: pa.Array
    sequence: Ints
    codes: Ints
    vectors: DeleteFiles
    vector: Ints
    positions: DeleteFiles
    has_positions: Mask
    equality: tuple[EqualitySet, ...]
    manifests_read: int

    def narrow(self, mask: Mask) -> Deletes:
        """For the data files where mask is true."""
        chosen = pa.array(mask)
        return replace(
            self,
            paths=self.paths.filter(chosen),
            source_paths=self.source_paths.filter(chosen),
            sequence=self.sequence[mask],
            codes=self.codes[mask],
            vector=self.vector[mask],
            has_positions=self.has_positions[mask],
            equality=tuple(replace(e, hit=e.hit[mask]) for e in self.equality),
        )

    def live_rows(self, record_count: pa.Array) -> pa.Array:
        """The rows each data file gives: null where delete files must be read to know, or the writer did not count."""
        unknown = self.has_positions.copy()
        for deletes in self.equality:
            unknown |= deletes.hit
        dropped = np.zeros(len(self.paths), np.int64)
        with_vector = self.vector >= 0
        dropped[with_vector] = self.vectors.record_count.to_numpy(zero_copy_only=False)[self.vector[with_vector]]
        live = pc.subtract(record_count, pa.array(dropped))
        return pc.if_else(pc.or_(pa.array(unknown), pc.less(live, 0)), pa.scalar(None, pa.int64()), live)


def find_deletes(source: Source, kept: Entries, rows: ManifestRows) -> Deletes:
    """The deletes that concern kept data files. rows: manifests of delete files that may list one. Raises MetadataError for deletes that contradict each
    other.
    """
    paths = kept.column("file_path")
    files = source.files_of(rows)
    entries = Entries.read(source.manifests, files, columns=[FILE_PATH_ID]) if files else Entries(())
    sequence = kept.column("sequence_number").to_numpy(zero_copy_only=False).astype(np.int64)
    resolved = source.places.resolve_all(paths)
    if not len(entries):
        return _none(resolved, paths, sequence, len(files))
    codes, delete_codes = partition_codes([kept, entries])
    found = _delete_files(source, entries, delete_codes)
    content = entries.column("content").to_numpy(zero_copy_only=False)
    is_vector = (content == POSITIONS) & np.asarray(pc.equal(found.format, "puffin"))
    vectors = found.take(is_vector)
    vector = _vectors_of(resolved, sequence, vectors)
    positions = found.take((content == POSITIONS) & ~is_vector)
    positions, has_positions = _positions_of(resolved, codes, sequence, positions)
    return Deletes(
        paths=resolved,
        source_paths=paths,
        sequence=sequence,
        codes=codes,
        vectors=vectors,
        vector=vector,
        positions=positions,
        has_positions=has_positions & (vector < 0),
        equality=_equality_sets(source, kept, codes, sequence, entries.narrow(content == EQUALITY), found.take(content == EQUALITY)),
        manifests_read=len(files),
    )


def _none(resolved: pa.Array, paths: pa.Array, sequence: Ints, manifests_read: int) -> Deletes:
    """No deletes: most tables' case, and small scans should not pay for the others."""
    codes, vector, untouched = np.zeros(len(paths), np.int64), np.full(len(paths), -1, np.int64), np.zeros(len(paths), np.bool_)
    return Deletes(resolved, paths, sequence, codes, _no_files(), vector, _no_files(), untouched, (), manifests_read)


@cache
def _no_files() -> DeleteFiles:
    text, number, none = pa.array([], pa.string()), pa.array([], pa.int64()), np.zeros(0, np.int64)
    return DeleteFiles(text, text, text, number, number, none, none, text, number, number)


def _delete_files(source: Source, entries: Entries, codes: Ints) -> DeleteFiles:
    paths = entries.column("file_path")
    named = entries.column("referenced_data_file")
    missing = named.is_null()
    if pc.any(missing).as_py():
        metrics = entries.metrics(source.manifests, FILE_PATH_ID)
        one = pc.and_(pc.fill_null(pc.equal(metrics.lower, metrics.upper), False), missing)
        named = pc.if_else(one, metrics.lower.view(pa.string()), named)
    return DeleteFiles(
        path=source.places.resolve_all(paths),
        source_path=paths,
        format=entries.column("file_format"),
        size_bytes=entries.column("file_size_in_bytes"),
        record_count=entries.column("record_count"),
        sequence=entries.column("sequence_number").to_numpy(zero_copy_only=False).astype(np.int64),
        codes=codes,
        named=source.places.resolve_all(named),
        offset=entries.column("content_offset"),
        length=entries.column("content_size_in_bytes"),
    )


def _vectors_of(paths: pa.Array, sequence: Ints, vectors: DeleteFiles) -> Ints:
    """For each data file the deletion vector that names it."""
    if not len(vectors):
        return np.full(len(paths), -1, np.int64)
    if vectors.named.null_count:
        nameless = vectors.source_path.filter(vectors.named.is_null())[0].as_py()
        raise MetadataError(f'the deletion vector in "{nameless}" names no data file: its referenced_data_file is null')
    found = pc.index_in(paths, value_set=vectors.named)
    vector: Ints = pc.fill_null(found, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    if pc.count_distinct(vectors.named).as_py() < len(vectors):
        counted = pc.value_counts(vectors.named)
        twice = counted.field("values").filter(pc.greater(counted.field("counts"), 1))
        named = pc.is_in(twice, value_set=paths)
        if pc.any(named).as_py():
            raise MetadataError(f'data file "{twice.filter(named)[0].as_py()}" has more than one deletion vector; the spec allows one')
    older = (vector >= 0) & (vectors.sequence[vector] < sequence)
    if older.any():
        raise MetadataError(f'the deletion vector of data file "{paths[int(np.flatnonzero(older)[0])].as_py()}" is older than the file')
    return vector


def _positions_of(paths: pa.Array, codes: Ints, sequence: Ints, positions: DeleteFiles) -> tuple[DeleteFiles, Mask]:
    """The position delete files that concern a kept file, and which files they may concern."""
    touched = np.zeros(len(paths), np.bool_)
    if not len(positions) or not len(paths):
        return positions.take(np.zeros(len(positions), np.bool_)), touched
    single = positions.named.is_valid().to_numpy(zero_copy_only=False)
    wanted = np.zeros(len(positions), np.bool_)
    place = pc.fill_null(pc.index_in(positions.named, value_set=paths), -1).to_numpy(zero_copy_only=False).astype(np.int64)
    about = np.flatnonzero(single & (place >= 0))
    about = about[sequence[place[about]] <= positions.sequence[about]]
    wanted[about] = True
    touched[place[about]] = True
    many = np.flatnonzero(~single)
    if len(many):
        newest = latest_by_code(positions.codes[many], positions.sequence[many], codes)
        touched |= newest >= sequence
        oldest = -latest_by_code(codes, -sequence, positions.codes[many], absent=-(2**62))
        wanted[many] = positions.sequence[many] >= oldest
    return positions.take(wanted), touched


def latest_by_code(codes: Ints, sequence: Ints, of: Ints, absent: int = -1) -> Ints:
    """For each of `of` the greatest sequence number among those with its code; `absent` where there are none."""
    size = int(max(codes.max(initial=-1), of.max(initial=-1))) + 1
    greatest = np.full(size, absent, np.int64)
    np.maximum.at(greatest, codes, sequence)
    found: Ints = greatest[of]
    return found


def _equality_sets(source: Source, kept: Entries, codes: Ints, sequence: Ints, entries: Entries, files: DeleteFiles) -> tuple[EqualitySet, ...]:
    """Equality deletes by the columns they compare and by whether they concern all partitions; those that concern no kept file are left out."""
    if not len(entries) or not len(kept):
        return ()
    ids = [tuple(sorted(set(i))) if i else () for i in entries.column("equality_ids").to_pylist()]
    if () in ids:
        raise MetadataError(f'equality delete file "{files.source_path[ids.index(())].as_py()}" names no columns to compare')
    everywhere = np.concatenate([np.full(len(p), p.file.spec.is_unpartitioned) for p in entries.parts])
    sets = []
    for key in sorted({(i, bool(e)) for i, e in zip(ids, everywhere.tolist(), strict=True)}):
        rows = np.array([n for n, i in enumerate(ids) if (i, bool(everywhere[n])) == key], np.int64)
        found = _one_set(source, kept, codes, sequence, entries, files, rows, *key)
        if found is not None:
            sets.append(found)
    return tuple(sets)


def _one_set(
    source: Source, kept: Entries, codes: Ints, sequence: Ints, entries: Entries, files: DeleteFiles, rows: Ints, ids: tuple[int, ...], everywhere: bool
) -> EqualitySet | None:
    scope = np.zeros_like(codes) if everywhere else codes
    delete_scope = np.zeros(len(rows), np.int64) if everywhere else files.codes[rows]
    delete_sequence = files.sequence[rows]
    oldest = -latest_by_code(scope, -sequence, delete_scope, absent=-(2**62))
    concerned = delete_sequence > oldest
    concerned &= may_meet(source, kept, scope, entries.take(rows), delete_scope, ids)
    rows, delete_scope, delete_sequence = rows[concerned], delete_scope[concerned], delete_sequence[concerned]
    if not len(rows):
        return None
    hit = latest_by_code(delete_scope, delete_sequence, scope) > sequence
    return EqualitySet(ids, everywhere, files.take(rows), hit) if hit.any() else None
