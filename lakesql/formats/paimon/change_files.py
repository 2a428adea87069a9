"""Two states of a table -> the files in which their rows may differ, together with all that these are merged or put together with.

Files are the same in both where all of their identity is, and their deletion vector. Where rows of several files are merged by key, a section of files whose
key ranges touch is looked at as a whole, over both states at once; where files hold some columns of the rows of others, a row group is. Source: Paimon,
FileEntry.Identifier, IntervalPartition.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakesql.formats.paimon import data_evolution, scan
from lakesql.formats.paimon.data_evolution import Groups
from lakesql.formats.paimon.deletion_vectors import VECTOR
from lakesql.formats.paimon.entries import Mask, Selection, are_in, identity
from lakesql.formats.paimon.manifests import ADD
from lakesql.formats.paimon.scan import Listed, Source, buckets_of, file_vectors, live_files
from lakesql.formats.paimon.sections import sections
from lakesql.formats.paimon.snapshot import PaimonSnapshot
from lakesql.formats.paimon.statistics import FileBounds, partition_values
from lakesql.pruning import prune
from lakesql.table import Drop, FileSet, ScanReport, ScanRequest


@dataclass(frozen=True, eq=False)
class Differing:
    """The files that matter of either state, and how many metadata files were read to know them. Where nothing went, or nothing came, the other is empty.

    changed: where rows are merged, the files that only one of the states has: no other key than theirs has other rows in the two.
    """

    gone: Selection
    come: Selection
    metadata_files: int
    changed: Selection | None = None


NOTHING = Selection(())


def added_alone(after: PaimonSnapshot) -> Differing | None:
    """What an append to a table without a key did, out of its own manifests; None where it is no such commit, or did more than add whole rows."""
    source = after.source
    commit = source.snapshot
    assert commit is not None
    if source.has_key or commit.commit_kind != "APPEND":
        return None
    entries, lists = _entries(source, commit.delta_manifest_list)
    if any(not np.asarray(pc.equal(p.block.column("_KIND"), ADD)).all() for p in entries.parts):
        return None
    if after.evolves and (entries.column("_WRITE_COLS").null_count < len(entries) or _is_part(entries).any()):
        return None
    return Differing(NOTHING, entries, lists)


def differing(before: PaimonSnapshot | None, after: PaimonSnapshot) -> Differing:
    """The files in which the rows of two states may differ. before: None for a table without rows."""
    new = live_files(after.source)
    if before is None:
        return Differing(NOTHING, new.files, new.lists)
    alone = added_alone(after) if _follows(before, after) else None
    if alone is not None:
        return alone
    old = live_files(before.source)
    left, right = (_identified(s.source, f.files) for s, f in ((before, old), (after, new)))
    gone, come = ~are_in(left, right), ~are_in(right, left)
    if not gone.any() and not come.any():
        return Differing(NOTHING, NOTHING, old.lists + new.lists)
    changed = Selection((*old.files.narrow(gone).parts, *new.files.narrow(come).parts)) if after.source.merges else None
    units = _units(after, old.files, new.files)
    if units is not None:
        touched = np.zeros(int(units.max(initial=-1)) + 1, bool)
        touched[units[np.concatenate([gone, come])]] = True
        gone, come = touched[units[: len(gone)]], touched[units[len(gone) :]]
    return Differing(old.files.narrow(gone), new.files.narrow(come), old.lists + new.lists, changed)


def recorded(source: Source, manifest_list: str) -> Differing:
    """The changelog files that a commit's list names."""
    entries, lists = _entries(source, manifest_list)
    return Differing(NOTHING, entries, lists)


def appended(snapshot: PaimonSnapshot) -> Differing:
    """The files that a commit added, by its own manifests."""
    commit = snapshot.source.snapshot
    assert commit is not None
    entries, lists = _entries(snapshot.source, commit.delta_manifest_list)
    return Differing(NOTHING, entries, lists)


def chosen(snapshot: PaimonSnapshot, files: Selection, request: ScanRequest) -> FileSet:
    """Of these files of a state those that may hold wanted rows, as a scan gives them."""
    listed = Listed(files, 0, 0, 0)
    return data_evolution.scan_files(snapshot.source, listed, request) if snapshot.evolves else scan.scan_files(snapshot.source, listed, request)


def chosen_records(source: Source, files: Selection, request: ScanRequest) -> FileSet:
    """As chosen, of files whose rows stand for themselves."""
    kept, drops = files, list[Drop]()
    if request.prune and request.predicates and len(files):
        verdict = prune(FileBounds(files, source.described, keys=True), request.predicates, partition_columns=scan.partition_columns(source))
        dropped = np.flatnonzero(~verdict.keep)
        reasons = verdict.reasons(dropped.tolist())
        paths = source.paths.data_files(files.take(dropped)).to_pylist()
        drops = [Drop(path, predicate, bound) for path, (predicate, bound) in zip(paths, reasons, strict=True)]
        kept = files.narrow(verdict.keep)
    vectors = pa.nulls(len(kept), VECTOR)
    values = partition_values(kept, source.schema)
    report = ScanReport(0, 0, len(files), 0, len(files) - len(kept), len(kept), drops=lambda limit: drops[:limit])
    table = scan.file_table(source, kept, buckets_of(kept), vectors)
    return FileSet(table, pa.table(values) if values else pa.table({}), kept.column("_ROW_COUNT"), False, report)


def _entries(source: Source, manifest_list: str) -> tuple[Selection, int]:
    """The files that the manifests of a list add, and how many metadata files say so."""
    names = source.manifests.manifest_list(manifest_list)["_FILE_NAME"].to_pylist()
    return source.manifests.live(names), 1 + len(names)


def _follows(before: PaimonSnapshot, after: PaimonSnapshot) -> bool:
    """Whether nothing lies between two states but what the manifests of the second say, since vectors are not among them."""
    one, two = before.point.snapshot, after.point.snapshot
    return one is not None and two is not None and one.id + 1 == two.id and one.index_manifest == two.index_manifest


def _identified(source: Source, files: Selection) -> pa.Table:
    """All that tells what rows a file gives, one row per file."""
    names = ("_PARTITION", "_BUCKET", "_LEVEL", "_FILE_NAME", "_EXTRA_FILES", "_EMBEDDED_FILE_INDEX", "_EXTERNAL_PATH")
    found = identity(pa.table({n: files.column(n) for n in names}))
    for name, column in zip(("path", "offset"), file_vectors(source, files).flatten()[:2], strict=True):
        found = found.append_column(name, column)
    return found


def _units(after: PaimonSnapshot, old: Selection, new: Selection) -> np.ndarray | None:
    """For each file of both states, one after the other, the number of those that it must be looked at with; None where it is looked at alone."""
    both = Selection((*old.parts, *new.parts))
    if after.evolves:
        return Groups.found(after.source, both).of
    if not after.source.merges:
        return None
    return sections(both, buckets_of(both), after.source.described).number


def _is_part(files: Selection) -> Mask:
    """Files of some columns, or of some rows' large values."""
    names = files.column("_FILE_NAME")
    found: Mask = np.asarray(pc.or_(pc.ends_with(names, ".blob"), pc.match_substring(names, ".vector.")))
    return found
