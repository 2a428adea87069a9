"""A table whose partitions are in two branches: those that the first branch has come from there, all others from the second.

A partition is in a branch if the branch has files of it, whatever a statement's predicates leave of those: a filter on values must not bring the other
branch's rows of the same partition back. Source: Paimon, FallbackReadFileStoreTable.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from lakesql.errors import Error, MetadataError, MissingFileError
from lakesql.formats.paimon.options import Options
from lakesql.formats.paimon.scan import live_files
from lakesql.formats.paimon.schemas import TableSchema
from lakesql.formats.paimon.snapshot import PaimonSnapshot
from lakesql.predicate import Predicate, columns_of, conjuncts
from lakesql.relation import Relation, Union
from lakesql.table import Drop, FileSet, ScanReport, ScanRequest

_BRANCH = "second"


class FallbackSnapshot:
    """See Snapshot. first: the branch that comes first; current: the one that is asked, whose version and schema are the whole's."""

    def __init__(self, current: PaimonSnapshot, first: PaimonSnapshot, second: PaimonSnapshot) -> None:
        _check_alike(first.table_schema, second.table_schema, current.place.root)
        self.current, self.first, self.second = current, first, second
        self.schema, self.hidden = current.schema, current.hidden

    @property
    def version(self) -> str:
        """See Snapshot."""
        return self.current.version

    @property
    def committed_at_us(self) -> int | None:
        """See Snapshot."""
        return self.current.committed_at_us

    @property
    def options(self) -> Options:
        """The options in force."""
        return self.current.options

    def scan(self, request: ScanRequest) -> FileSet:
        """See Snapshot."""
        first, second = self.first.scan(request), self.second.scan(request)
        there = live_files(self.first.source, self._on_partitions(request.predicates), every_bucket=True).files.partitions[0]
        own = pc.invert(pc.is_in(second.files["partition"], there)).combine_chunks()
        covered = second.files.num_rows - (pc.sum(own).as_py() or 0)
        return _together(first, _filtered(second, own), covered)

    def relate(self, files: FileSet, columns: Sequence[str]) -> Relation:
        """See Snapshot."""
        parts = []
        for snapshot, is_second in ((self.first, False), (self.second, True)):
            mask = pc.equal(files.files[_BRANCH], is_second).combine_chunks()
            constants = files.constants.filter(mask) if files.constants.num_columns else files.constants
            part = FileSet(files.files.filter(mask).drop_columns([_BRANCH]), constants, files.live_rows.filter(mask), files.all_match, files.report)
            parts.append(snapshot.relate(part, columns))
        return Union(tuple(parts))

    def explain_missing(self, error: MissingFileError) -> Error:
        """See Snapshot."""
        return self.current.explain_missing(error)

    def _on_partitions(self, predicates: Sequence[Predicate]) -> list[Predicate]:
        keys = frozenset((n,) for n in self.first.table_schema.partition_keys)
        return [p for whole in predicates for p in conjuncts(whole) if columns_of(p) <= keys]


def _check_alike(first: TableSchema, second: TableSchema, root: str) -> None:
    """Refuses branches with other columns, as Paimon does."""
    columns = [[(f.name, f.type.bare) for f in s.fields] for s in (first, second)]
    if columns[0] != columns[1] or first.partition_keys != second.partition_keys:
        raise MetadataError(
            f"{root}: the branches that scan.fallback-branch or scan.primary-branch puts together have different columns",
            hint="read one of them: t$branch_NAME",
        )


def _filtered(files: FileSet, mask: pa.Array) -> FileSet:
    """The files where mask is true; their report is that of all."""

    def extremes(column: str) -> tuple[pa.Array, pa.Array, pa.Array] | None:
        found = files.extremes(column)
        return None if found is None else (found[0].filter(mask), found[1].filter(mask), found[2].filter(mask))

    constants = files.constants.filter(mask) if files.constants.num_columns else files.constants
    return FileSet(files.files.filter(mask), constants, files.live_rows.filter(mask), files.all_match, files.report, extremes)


def _together(first: FileSet, second: FileSet, covered: int) -> FileSet:
    """Both, marked. covered: files of the second whose partitions the first has, which are no part of the table."""
    marked = [s.files.append_column(_BRANCH, pa.array([is_second] * s.files.num_rows, pa.bool_())) for s, is_second in ((first, False), (second, True))]
    a, b = first.report, second.report

    def both(left: int | None, right: int | None) -> int | None:
        return None if left is None or right is None else left + right

    report = ScanReport(
        metadata_files=a.metadata_files + b.metadata_files,
        metadata_skipped=a.metadata_skipped + b.metadata_skipped,
        total_files=a.total_files + b.total_files - covered,
        dropped_by_partition=a.dropped_by_partition + b.dropped_by_partition,
        dropped_by_statistics=a.dropped_by_statistics + b.dropped_by_statistics,
        kept_files=a.kept_files + b.kept_files - covered,
        total_bytes=None if covered else both(a.total_bytes, b.total_bytes),
        kept_bytes=sum(pc.sum(m["size_bytes"]).as_py() or 0 for m in marked),
        kept_rows=both(_sum(first.live_rows), _sum(second.live_rows)),
        unused=tuple(dict.fromkeys((*a.unused, *b.unused))),
        drops=lambda limit: _drops(a, b, limit),
    )
    return FileSet(
        files=pa.concat_tables(marked),
        constants=pa.concat_tables([first.constants, second.constants]) if first.constants.num_columns else first.constants,
        live_rows=pa.concat_arrays([first.live_rows, second.live_rows]),
        all_match=first.all_match and second.all_match,
        report=report,
        extremes=lambda column: _extremes(first, second, column),
    )


def _sum(values: pa.Array) -> int | None:
    """The sum, None where a value is unknown."""
    return None if values.null_count else pc.sum(values).as_py() or 0


def _drops(first: ScanReport, second: ScanReport, limit: int | None) -> list[Drop]:
    found = first.drops(limit)
    return found + second.drops(None if limit is None else limit - len(found)) if limit is None or len(found) < limit else found


def _extremes(first: FileSet, second: FileSet, column: str) -> tuple[pa.Array, pa.Array, pa.Array] | None:
    left, right = first.extremes(column), second.extremes(column)
    if left is None or right is None:
        return None
    lower, upper, nulls = (pa.concat_arrays([x, y]) for x, y in zip(left, right, strict=True))
    return lower, upper, nulls
