"""Paimon's own tables of changes, as Snapshots of `table.py`: `t$audit_log`, `t$binlog`, and a table read by `incremental-between`.

    t               with such an option: the table's columns, of rows that add something
    t$audit_log     `rowkind` (+I, -U, +U, -D), `_SEQUENCE_NUMBER` where the table asks for it, then the table's columns; without such an option the rows of a
                    state, and deletes that no compaction removed yet
    t$binlog        the same, but every column of the table is a list: the images before and after of an update, else one value

Source: Paimon, AuditLogTable, BinlogTable, PackChangelogReader.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from lakesql.errors import Error, InternalError, MissingFileError, UnsupportedFeatureError
from lakesql.formats.paimon.audit_rows import adding, difference_rows, only, recorded_rows, state_rows
from lakesql.formats.paimon.change_files import Differing, appended, chosen, chosen_records, differing, recorded
from lakesql.formats.paimon.incremental import How, Increment
from lakesql.formats.paimon.merging import KIND, SEQUENCE
from lakesql.formats.paimon.packing import packed, single
from lakesql.formats.paimon.relate import ROW
from lakesql.formats.paimon.snapshot import PaimonSnapshot
from lakesql.formats.paimon.snapshots import SnapshotFile
from lakesql.predicate import Predicate, columns_of
from lakesql.relation import Batches, Col, Expression, Mapped, Project, Relation, Union
from lakesql.table import FileSet, ScanReport, ScanRequest

ROW_KIND, SEQUENCE_NUMBER = "rowkind", "_SEQUENCE_NUMBER"
_KINDS = pa.array(["+I", "-U", "+U", "-D"])


class Form(enum.Enum):
    """How changes are shown; see the module."""

    PLAIN = "plain"
    AUDIT_LOG = "audit_log"
    BINLOG = "binlog"


@dataclass(frozen=True, eq=False)
class _Piece:
    """Files of one commit or state. is_before: of the state that a difference starts from."""

    snapshot: PaimonSnapshot
    files: FileSet
    is_before: bool = False


@dataclass(frozen=True)
class LogFiles(FileSet):
    """The files of all pieces."""

    pieces: tuple[_Piece, ...] = field(default=(), repr=False, compare=False)


class PaimonLog:
    """See Snapshot. state: what is read, or the newest state in whose columns an increment is read; of: a commit's state in these columns."""

    def __init__(self, state: PaimonSnapshot, form: Form, increment: Increment | None, of: Callable[[SnapshotFile], PaimonSnapshot]) -> None:
        self._state, self._form, self._increment, self._of = state, form, increment, of
        table = state.table_schema.arrow
        numbered = form is not Form.PLAIN and bool(state.table_schema.primary_keys) and state.options.flag("table-read.sequence-number.enabled")
        special = [pa.field(ROW_KIND, pa.string()), *([pa.field(SEQUENCE_NUMBER, pa.int64())] if numbered else [])] if form is not Form.PLAIN else []
        taken = next((f.name for f in special if f.name in table.names), None)
        if taken is not None:
            raise UnsupportedFeatureError(
                f'{state.place.root} has a column "{taken}" of its own, which ${form.value} needs for itself', feature=f"${form.value} over such a column"
            )
        own = [pa.field(f.name, pa.list_(f.type)) for f in table] if form is Form.BINLOG else list(table)
        self.schema: pa.Schema = pa.schema([*special, *own])
        self.hidden: pa.Schema = pa.schema([])

    @property
    def version(self) -> str:
        """See Snapshot: the state's, or the increment's range."""
        return self._state.version if self._increment is None else self._increment.text

    @property
    def committed_at_us(self) -> int | None:
        """See Snapshot."""
        return self._state.committed_at_us

    def scan(self, request: ScanRequest) -> LogFiles:
        """See Snapshot."""
        names = self._state.table_schema.by_name if self._form is not Form.BINLOG else {}
        own = tuple(p for p in request.predicates if all(path[0] in names for path in columns_of(p)) and columns_of(p))
        pieces, total, metadata_files = self._pieces(own, request)
        kept = [p for p in pieces if p.files.files.num_rows]
        schema = pa.schema([("path", pa.string()), ("size_bytes", pa.int64())])
        files = pa.concat_tables([schema.empty_table(), *(p.files.files.select(schema.names).cast(schema) for p in kept)])
        reports = [p.files.report for p in pieces]
        by_partition = sum(r.dropped_by_partition for r in reports)
        report = ScanReport(
            metadata_files=metadata_files,
            metadata_skipped=sum(r.metadata_skipped for r in reports),
            total_files=total,
            dropped_by_partition=by_partition,
            dropped_by_statistics=total - by_partition - files.num_rows,
            kept_files=files.num_rows,
            kept_bytes=None if files["size_bytes"].null_count else pc.sum(files["size_bytes"]).as_py() or 0,
            scope="in the table" if self._increment is None else "changed in the range",
            drops=lambda limit: [d for r in reports for d in r.drops(limit)][:limit],
        )
        return LogFiles(files, pa.table({}), pa.nulls(files.num_rows, pa.int64()), False, report, pieces=tuple(kept))

    def relate(self, files: FileSet, columns: Sequence[str]) -> Relation:
        """See Snapshot."""
        if not isinstance(files, LogFiles):
            raise InternalError("a Paimon change log was given files of another")
        names = [n for n in columns if n in self._state.table_schema.by_name]
        if not files.pieces:
            return Batches.of(pa.schema([self.schema.field(n) for n in columns]).empty_table())
        if self._how is How.DIFF:
            return self._shown(self._difference(files.pieces), names, columns)
        packs = self._form is Form.BINLOG and self._increment is not None and self._state.source.has_key
        parts = []
        for piece in files.pieces:
            if self._increment is None:
                parts.append(self._shown(state_rows(piece.snapshot, piece.files, names), names, columns))
            elif packs:
                rows = recorded_rows(piece.snapshot, piece.files, names, placed=True)
                parts.append(self._named(packed(only(rows, (*names, SEQUENCE, KIND, ROW)), names), names, columns))
            else:
                parts.append(self._shown(only(recorded_rows(piece.snapshot, piece.files, names), (*names, SEQUENCE, KIND)), names, columns))
        return parts[0] if len(parts) == 1 else Union(tuple(parts))

    def explain_missing(self, error: MissingFileError) -> Error:
        """See Snapshot."""
        return self._state.explain_missing(error)

    @property
    def _how(self) -> How | None:
        return None if self._increment is None else self._increment.how

    def _pieces(self, predicates: tuple[Predicate, ...], request: ScanRequest) -> tuple[list[_Piece], int, int]:
        """The files that may hold wanted rows, how many there are, and how many metadata files say so."""
        wanted = ScanRequest(request.columns, predicates, request.prune)
        increment = self._increment
        if increment is None:
            files = self._state.scan(wanted)
            return [_Piece(self._state, files)], files.report.total_files, files.report.metadata_files
        if increment.how is How.DIFF:
            return self._states(increment, wanted)
        pieces, total, read = [], 0, 0
        for commit in increment.commits:
            snapshot = self._of(commit)
            found = self._written(commit, snapshot, increment.how)
            if found is not None:
                choose = chosen_records(snapshot.source, found.come, wanted) if snapshot.source.has_key else chosen(snapshot, found.come, wanted)
                pieces.append(_Piece(snapshot, choose))
                total, read = total + len(found.come), read + found.metadata_files
        return pieces, total, read

    def _written(self, commit: SnapshotFile, snapshot: PaimonSnapshot, how: How) -> Differing | None:
        """The files with what a commit wrote, or recorded."""
        if how is How.CHANGELOG:
            listed = commit.changelog_manifest_list
            return recorded(snapshot.source, listed) if listed is not None and commit.commit_kind != "OVERWRITE" else None
        return appended(snapshot) if commit.commit_kind == "APPEND" else None

    def _states(self, increment: Increment, request: ScanRequest) -> tuple[list[_Piece], int, int]:
        assert increment.after is not None
        before, after = None if increment.before is None else self._of(increment.before), self._of(increment.after)
        found = differing(before, after)
        keys = self._state.table_schema.primary_keys
        told = tuple(p for p in request.predicates if {path[0] for path in columns_of(p)} <= set(keys)) if keys else request.predicates
        request = ScanRequest(request.columns, told, request.prune)
        pieces = []
        for snapshot, files, is_before in ((before, found.gone, True), (after, found.come, False)):
            if snapshot is not None and len(files):
                pieces.append(_Piece(snapshot, chosen(snapshot, files, request), is_before))
        return pieces, len(found.gone) + len(found.come), found.metadata_files

    def _difference(self, pieces: Sequence[_Piece]) -> Relation:
        every = tuple(f.name for f in self._state.table_schema.fields)
        schema = self._state.table_schema
        fields = [*(schema.arrow.field(n) for n in every), pa.field(SEQUENCE, pa.int64()), pa.field(KIND, pa.int8())]
        sides: list[Relation] = []
        for is_before in (True, False):
            piece = next((p for p in pieces if p.is_before is is_before), None)
            nothing = Batches.of(pa.schema([f.remove_metadata() for f in fields]).empty_table())
            sides.append(nothing if piece is None else state_rows(piece.snapshot, piece.files, every))
        return difference_rows(sides[0], sides[1], every, schema.primary_keys)

    def _shown(self, rows: Relation, names: Sequence[str], columns: Sequence[str]) -> Relation:
        """Rows that stand for themselves, as the form has them. names: the table's columns among `columns`."""
        if self._form is Form.PLAIN:
            return adding(only(rows, (*names, SEQUENCE, KIND)), names)
        return self._named(single(rows, names) if self._form is Form.BINLOG else rows, names, columns)

    def _named(self, rows: Relation, names: Sequence[str], columns: Sequence[str]) -> Relation:
        special: dict[str, Expression] = {ROW_KIND: Mapped(Col(KIND), _texts, pa.string()), SEQUENCE_NUMBER: Col(SEQUENCE)}
        shown = (*names, *(c for c in columns if c in special and c not in names))
        return Project(rows, shown, tuple(Col(n) if n in names else special[n] for n in shown))


def _texts(kinds: pa.Array) -> pa.Array:
    return _KINDS.take(kinds)
