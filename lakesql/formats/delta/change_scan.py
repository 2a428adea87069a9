"""Pieces of a range + what a statement needs -> those that may tell wanted changes. Reads the log alone.

A row on both sides of a commit must be found on both, or what vanishes would show: so pieces whose rows are compared are dropped by what rows hold alone, and
pieces whose rows are paired by nothing but their commit, since an image's other half may look different.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lakesql.changes import CHANGE_TYPE, COLUMNS, COMMIT_TIMESTAMP, COMMIT_VERSION, DELETE, INSERT
from lakesql.formats.delta.change_files import Kind, Pieces
from lakesql.formats.delta.file_bounds import Column
from lakesql.formats.delta.replay import Rows
from lakesql.formats.delta.scan import FileCandidates, Source, file_set, partition_paths, wanted_statistics
from lakesql.formats.delta.selection import Selection
from lakesql.predicate import ColumnPath, columns_of
from lakesql.pruning import Bounds, prune
from lakesql.table import FileSet, ScanRequest

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Told:
    """Pieces, and how they are taken. open: rows are compared with those of the other side; paired: and what is left is paired by identity. by_commit: rows of
    one commit are compared, else those of the whole range. all_shown: every row that is left is shown, and not the added ones alone.
    """

    pieces: Pieces
    open: Mask
    paired: Mask
    by_commit: bool
    all_shown: bool = True

    @property
    def change_types(self) -> pa.Array:
        """The change type of all rows of a piece, null where it is not one or not known yet."""
        kinds = pa.array(self.pieces.kinds)
        whole = pc.if_else(pc.equal(kinds, int(Kind.INSERT)), INSERT, pc.if_else(pc.equal(kinds, int(Kind.DELETE)), DELETE, pa.scalar(None, pa.string())))
        return pc.if_else(pa.array(self.open), pa.scalar(None, pa.string()), whole)

    def times(self, by_version: Mapping[int, int]) -> pa.Array:
        """The commit time of each piece."""
        return pa.array([by_version[v] for v in self.pieces.versions.tolist()], COLUMNS.field(COMMIT_TIMESTAMP).type)


def scan_pieces(
    source: Source, told: Told, request: ScanRequest, times: Mapping[int, int] | None, partition_columns: Mapping[int, frozenset[str]], log_files: int
) -> FileSet:
    """The pieces that may tell wanted changes. times: by version, where they are wanted. partition_columns: by epoch; only what is one in all of them is a
    constant of files. `FileSet.files` has one more column, `piece`: which of the pieces it is.
    """
    always = frozenset.intersection(*partition_columns.values()) if partition_columns else frozenset(p.name for p in source.partitions)
    source = replace(source, partitions=tuple(c for c in source.schema.columns if c.name in always))
    pieces = told.pieces
    verdict = None
    if request.prune and request.predicates:
        own = [p for p in request.predicates if not any(path[0] in COLUMNS.names for path in columns_of(p))]
        candidates = _Candidates(source, pieces.files, told, times, wanted_statistics(source, own), np.arange(len(pieces.kinds)))
        constant = partition_paths(source) | {(COMMIT_VERSION,), (COMMIT_TIMESTAMP,), (CHANGE_TYPE,)}
        verdict = prune(candidates, request.predicates, partition_columns=constant)
    found = file_set(source, pieces.files, verdict, request, log_files)
    kept = np.arange(len(pieces.kinds)) if verdict is None else np.flatnonzero(verdict.keep)
    whole = np.isin(pieces.kinds[kept], (Kind.INSERT, Kind.DELETE)) & ~told.open[kept] & told.all_shown
    everything = bool(whole.all())
    columns = {name: found.constants[name] for name in found.constants.column_names}
    if everything:
        rows = pa.array(kept, pa.int64())
        columns |= {CHANGE_TYPE: told.change_types.take(rows), COMMIT_VERSION: pa.array(pieces.versions[kept], pa.int64())}
        if times is not None:
            columns[COMMIT_TIMESTAMP] = told.times(times).take(rows)
    live = pc.if_else(pa.array(whole), found.live_rows, pa.scalar(None, pa.int64()))
    return replace(
        found,
        files=found.files.append_column("piece", pa.array(kept, pa.int64())),
        constants=pa.table(columns),
        live_rows=live,
        all_match=found.all_match and everything,
        report=replace(found.report, scope="changed in the range", kept_rows=found.report.kept_rows if everything else None, total_rows=None),
        extremes=found.extremes if everything else lambda column: None,
    )


class _Candidates(FileCandidates):
    """Pieces as pruning asks for them. rows: which of the pieces these are."""

    def __init__(self, source: Source, files: Selection, told: Told, times: Mapping[int, int] | None, together: Sequence[Column], rows: Rows) -> None:
        super().__init__(source, files, together)
        self._told = told
        self._times = times
        self._rows = rows

    def bounds(self, column: ColumnPath) -> Bounds | None:
        """See pruning.Candidates."""
        rows = pa.array(self._rows)
        if column == (CHANGE_TYPE,):
            return self._same(self._told.change_types.take(rows))
        if column[0] in (COMMIT_VERSION, COMMIT_TIMESTAMP):
            if not self._told.by_commit:
                return None
            if column[0] == COMMIT_VERSION:
                return self._same(pa.array(self._told.pieces.versions[self._rows]))
            return self._same(self._told.times(self._times).take(rows)) if self._times is not None else None
        found = super().bounds(column)
        paired = self._told.paired[self._rows]
        return found if found is None or not paired.any() else _unknown_where(found, paired)

    def _same(self, values: pa.Array) -> Bounds:
        """Bounds of a column without nulls, unknown where `values` is null."""
        ones = pa.array(np.ones(len(values), np.int64))
        return Bounds(values, values, pa.array(np.zeros(len(values), np.int64)), ones)

    def narrow(self, mask: Mask) -> _Candidates:
        """See pruning.Narrowable."""
        return _Candidates(self._source, self._files.narrow(mask), self._told, self._times, self._together, self._rows[mask])


def _unknown_where(bounds: Bounds, mask: Mask) -> Bounds:
    hidden = pa.array(mask | (bounds.constant and pa.types.is_floating(bounds.lower.type)))  # a NaN is a bound of constants alone

    def shown(values: pa.Array) -> pa.Array:
        return pc.if_else(hidden, pa.scalar(None, values.type), values)

    nan_count = None if bounds.nan_count is None else shown(bounds.nan_count)
    lower, upper, nulls, rows = (shown(v) for v in (bounds.lower, bounds.upper, bounds.null_count, bounds.row_count))
    return replace(bounds, lower=lower, upper=upper, null_count=nulls, row_count=rows, nan_count=nan_count, constant=False)
