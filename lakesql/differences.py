"""Differences between any two states, as a Snapshot of `table.py`: what takes the first state's rows to the second's. Of one table, or of two of any formats.

    one table     a format's `comparison` says under which columns both states are read, which files have the same rows in both, and what rows are known by
    two tables    columns are matched by name, and every file is read

The rows are the multiset difference of both states: of equal rows as many vanish as both have. Where rows are known by a key or by ids, what is left of one
row is told as the two images of an update. Columns: the second state's, then `_change_type`.

Pruning: rows that vanish must be found on both sides, so files are dropped by what rows hold and never by the change type; rows that are paired may look
different on the other side, so then they are dropped by their key alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakesql.changes import CHANGE_TYPE, COLUMNS, DELETE, INSERT, POSTIMAGE, PREIMAGE, key_columns
from lakesql.errors import Error, InternalError, MissingFileError, SqlError, UnsupportedFeatureError
from lakesql.matching import by_name
from lakesql.predicate import Predicate, columns_of, conjuncts
from lakesql.relation import Batches, Col, FirstNonNull, Mapped, Project, Relation, RowChanges, Union, Value
from lakesql.table import Comparison, Drop, FileSet, ScanReport, ScanRequest, Snapshot

_WORD = COLUMNS.field(CHANGE_TYPE)


@dataclass(frozen=True)
class DiffRequest:
    """What a statement asks of two states. key: columns that identify a row, None for what the format knows of identity; updates: False never pairs images,
    True is an error where nothing tells them, None pairs them where something does.
    """

    key: tuple[str, ...] | None = None
    updates: bool | None = None


@dataclass(frozen=True)
class DifferenceFiles(FileSet):
    """The files of both states that may hold rows the other has not. identity: the columns that pair rows, perhaps hidden ones. apart: all files
    in which the states differ, of both, whatever predicates dropped; none where files that both have are read as well.
    """

    before: FileSet | None = field(default=None, repr=False, compare=False)
    after: FileSet | None = field(default=None, repr=False, compare=False)
    identity: tuple[str, ...] = ()
    apart: tuple[FileSet, ...] = field(default=(), repr=False, compare=False)


class Difference:
    """See Snapshot. Raises SqlError for a key or for pairs that cannot be given, UnsupportedFeatureError for columns that have no type in common."""

    def __init__(self, before: Snapshot, after: Snapshot, request: DiffRequest, location: str, names: tuple[str, str]) -> None:
        """location: of the second table, for messages; names: what the statement calls the two tables."""
        self._compared = compare(before, after, names)
        self._version = f"{before.version} to {after.version}" if names[0] == names[1] else f"{before.version} to {names[1]} {after.version}"
        self._location = location
        self._request = request
        self._own: pa.Schema = self._compared.after.schema
        if CHANGE_TYPE in (n.lower() for n in self._own.names):
            raise UnsupportedFeatureError(
                f'the table at {location} has a column "{CHANGE_TYPE}" of its own, which a difference needs for itself',
                feature="differences over such a column",
            )
        self.schema: pa.Schema = pa.schema([*self._own, _WORD])
        self.hidden: pa.Schema = pa.schema([])
        self._key = key_columns(request.key, self._own) if request.key is not None else ()
        self.notices: tuple[str, ...] = tuple(dict.fromkeys(n for s in (self._compared.before, self._compared.after) for n in getattr(s, "notices", ())))

    @property
    def version(self) -> str:
        """See Snapshot: both states."""
        return self._version

    @property
    def committed_at_us(self) -> int | None:
        """See Snapshot: when the second was committed."""
        return self._compared.after.committed_at_us

    def scan(self, request: ScanRequest) -> DifferenceFiles:
        """See Snapshot. Without pruning all files of both states are read, those too that both have."""
        every = ScanRequest(tuple(self._own.names), prune=request.prune)
        whole = (self._compared.before.scan(every), self._compared.after.scan(every))
        masks = self._compared.differing(*whole)
        apart = tuple(self._compared.narrowed(f, m) for f, m in zip(whole, masks, strict=True))
        identity = self._identity(*apart)
        wanted = self._usable(request.predicates, identity) if request.prune else ()
        sides: Sequence[FileSet] = apart if request.prune else whole
        scans: Sequence[FileSet] = ()
        if wanted:
            pruned = [self._pruned(s, f, wanted) for s, f in zip((self._compared.before, self._compared.after), apart, strict=True)]
            sides, scans = [p[0] for p in pruned], [p[1] for p in pruned]
        total = sum(int(m.sum()) for m in masks) if request.prune else sum(f.files.num_rows for f in whole)
        total_bytes = _sum([f.files["size_bytes"] for f in (apart if request.prune else whole)])
        metadata_files = sum(f.report.metadata_files for f in whole)
        counts = _Counts(total, total_bytes, metadata_files, request.prune)
        return replace(_together(sides[0], sides[1], identity, counts, scans), apart=apart if request.prune else ())

    def relate(self, files: FileSet, columns: Sequence[str]) -> Relation:
        """See Snapshot."""
        if not isinstance(files, DifferenceFiles) or files.before is None or files.after is None:
            raise InternalError("a difference was given files of something else")
        names = [c for c in columns if c in self._own.names]
        shown = (*names, CHANGE_TYPE)
        sides = [(f, word) for f, word in ((files.before, DELETE), (files.after, INSERT)) if f.files.num_rows]
        if not sides:
            return Batches.of(pa.schema([*(self._own.field(n) for n in names), _WORD]).empty_table())
        if len(sides) == 1:
            return self._told(files, *sides[0], names)
        extra = [i for i in files.identity if i not in self._own.names]
        inner = (*self._own.names, *extra)
        rows = Union(tuple(self._told(files, *side, inner) for side in sides))
        changes: Relation = RowChanges(rows, inner, CHANGE_TYPE, (), (), files.identity)
        if extra:
            changes = _equal_gone(changes, self._own.names)
        return Project(changes, shown, tuple(Col(n) for n in shown))

    def _told(self, files: DifferenceFiles, side: FileSet, word: str, names: Sequence[str]) -> Relation:
        """The rows of one side, with the change that they are; where the format tells them apart, without those that both states have."""
        state, other = (self._compared.before, 1) if word == DELETE else (self._compared.after, 0)
        rows = getattr(self._compared, "rows", None)
        relation = state.relate(side, names) if rows is None or not files.apart else rows(state, side, files.apart[other], names)
        return Project(relation, (*names, CHANGE_TYPE), (*(Col(n) for n in names), Value(pa.scalar(word, _WORD.type))))

    def explain_missing(self, error: MissingFileError) -> Error:
        """See Snapshot: by the state whose file it is."""
        explained: list[Error] = [error]
        for snapshot in (self._compared.before, self._compared.after):
            explain = getattr(snapshot, "explain_missing", None)
            explained.append(error if explain is None else explain(error))
        # An expired version explains more than a table that lost a file, which either state would say of the other's.
        return next((e for e in explained if type(e) is not MissingFileError), next((e for e in explained if e is not error), error))

    def _identity(self, before: FileSet, after: FileSet) -> tuple[str, ...]:
        """By what rows are paired. Raises SqlError where that is asked for and not known."""
        if self._request.updates is False or self._key:
            return self._key
        known = self._compared.identity(before, after)
        if not known and self._request.updates:
            raise SqlError(
                f"updates = true, but nothing tells which rows of {self._location} are one in both states", hint="name the columns that identify a row: ON (id)"
            )
        return known

    def _usable(self, predicates: Sequence[Predicate], identity: tuple[str, ...]) -> tuple[Predicate, ...]:
        """The predicates by which files may be dropped on both sides alike. An equality of floating-point keys is not one of values, so those drop nothing."""
        usable = set(self._own.names)
        if identity:
            types = {f.name: f.type for f in self._own}
            usable = {n for n in identity if n in types and not pa.types.is_floating(types[n]) and not pa.types.is_nested(types[n])}
        return tuple(p for whole in predicates for p in conjuncts(whole) if (paths := columns_of(p)) and all(path[0] in usable for path in paths))

    def _pruned(self, snapshot: Snapshot, apart: FileSet, predicates: tuple[Predicate, ...]) -> tuple[FileSet, FileSet]:
        """Of the files that differ, those that may hold wanted rows; and the whole scan, which knows why others were dropped."""
        found = snapshot.scan(ScanRequest(tuple(self._own.names), predicates))
        mask = np.asarray(pc.is_in(found.files["path"], value_set=_flat(apart.files["path"])))
        return self._compared.narrowed(found, mask), found


def compare(before: Snapshot, after: Snapshot, names: tuple[str, str]) -> Comparison:
    """Two states, as they are compared: by the format's own rules where they are of one table, else by the names of columns."""
    comparison = getattr(after, "comparison", None)
    found: Comparison | None = None if comparison is None else comparison(before)
    return found if found is not None else by_name(before, after, names)


@dataclass(frozen=True)
class _Counts:
    """What a scan looked at. apart: only files that differ were counted."""

    files: int
    bytes: int | None
    metadata_files: int
    apart: bool


def _together(before: FileSet, after: FileSet, identity: tuple[str, ...], counts: _Counts, whole: Sequence[FileSet]) -> DifferenceFiles:
    """One FileSet of two. whole: the scans that predicates pruned, none where nothing was."""
    schema = pa.schema([("path", pa.string()), ("size_bytes", pa.int64())])
    files = pa.concat_tables([schema.empty_table(), *(f.files.select(schema.names).cast(schema) for f in (before, after))])
    both = before.files.num_rows > 0 and after.files.num_rows > 0
    live = pa.nulls(files.num_rows, pa.int64()) if both else pa.concat_arrays([_flat(f.live_rows).cast(pa.int64()) for f in (before, after)])
    kept_paths = frozenset(files["path"].to_pylist()) if whole else frozenset()

    def drops(limit: int | None) -> list[Drop]:
        return [d for f in whole for d in f.report.drops(None) if d.path not in kept_paths][:limit]

    return DifferenceFiles(
        files=files,
        constants=pa.table({}),
        live_rows=live,
        all_match=False,
        report=ScanReport(
            metadata_files=counts.metadata_files,
            metadata_skipped=0,
            total_files=counts.files,
            dropped_by_partition=0,
            dropped_by_statistics=counts.files - files.num_rows,
            kept_files=files.num_rows,
            total_bytes=counts.bytes,
            kept_bytes=_sum([files["size_bytes"]]),
            kept_rows=_sum([live]),
            scope="that one state has and the other has not" if counts.apart else "in both states",
            drops=drops,
        ),
        before=before,
        after=after,
        identity=identity,
    )


def _equal_gone(changes: Relation, names: Sequence[str]) -> Relation:
    """Changes told by hidden ids, without rows that went and came under another id but are equal in all columns. The images of updates stay."""
    image = "image"
    while image in names:
        image += "'"
    marked = Project(
        changes,
        (*names, image, CHANGE_TYPE),
        (*(Col(n) for n in names), Mapped(Col(CHANGE_TYPE), _images, pa.string()), Mapped(Col(CHANGE_TYPE), _sides, pa.string())),
    )
    left = RowChanges(marked, (*names, image), CHANGE_TYPE)
    return Project(left, (*names, CHANGE_TYPE), (*(Col(n) for n in names), FirstNonNull((Col(image), Col(CHANGE_TYPE)))))


def _images(words: pa.Array) -> pa.Array:
    """The words that are images of updates, null for others."""
    return pc.if_else(pc.is_in(words, value_set=pa.array([PREIMAGE, POSTIMAGE])), words.cast(pa.string()), pa.scalar(None, pa.string()))


def _sides(words: pa.Array) -> pa.Array:
    """Which side each row is of."""
    return pc.if_else(pc.is_in(words, value_set=pa.array([INSERT, POSTIMAGE])), pa.scalar(INSERT), pa.scalar(DELETE))


def _flat(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values


def _sum(parts: Sequence[pa.Array | pa.ChunkedArray]) -> int | None:
    """The sum of all values, None where one is unknown."""
    return None if any(p.null_count for p in parts) else sum(pc.sum(p).as_py() or 0 for p in parts)
