"""Kept pieces -> relations of their rows: a feed's columns, with the change type of every row.

    Project(columns, _change_type, _commit_version, _commit_timestamp)
      └─ Union
           ├─ ...                   whole files that came or went, as a state's are read; change type, version and time are constants of a file
           ├─ AtPositions           files whose deletion vector changed, at the positions in which the two differ
           └─ Files                 change files, which hold the change type

A file may be in a range more than once, and constants are told apart by a file's path: so each relation of files has a path once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lakesql.changes import CHANGE_TYPE, COLUMNS, COMMIT_TIMESTAMP, COMMIT_VERSION, DELETE, INSERT, POSTIMAGE, PREIMAGE
from lakesql.formats.delta.change_files import Kind
from lakesql.formats.delta.change_scan import Told
from lakesql.formats.delta.file_bounds import partition_values
from lakesql.formats.delta.relate import DELETES, Layout, descriptor_of, relation_of, rows_at
from lakesql.formats.delta.snapshot import DeltaSnapshot
from lakesql.relation import Batches, Col, Expression, Mapped, Project, Relation, Union

Mask = npt.NDArray[np.bool_]
_RECORDED = pa.schema([COLUMNS.field(CHANGE_TYPE)])


@dataclass(frozen=True)
class FeedRows:
    """Makes the relations of one scan. files: FileSet.files of `change_scan.py`; times: by version, None where nobody asks; partition_columns: by epoch.

    split_updates: recorded images are given as a delete and an insert.
    """

    end: DeltaSnapshot
    told: Told
    files: pa.Table
    times: Mapping[int, int] | None
    partition_columns: Mapping[int, frozenset[str]]
    split_updates: bool

    def kept(self, pieces: Mask) -> Mask:
        """Which rows of `files` are among these pieces."""
        return pieces[self._pieces]

    def settled(self, names: Sequence[str]) -> Relation | None:
        """The rows of all pieces that are compared with nothing."""
        return self.of(self.kept(~self.told.open), names)

    def of(self, chosen: Mask, names: Sequence[str]) -> Relation | None:
        """The rows of the chosen files, as names and COLUMNS; None for no files."""
        kinds, epochs = self.told.pieces.kinds[self._pieces], self.told.pieces.epochs[self._pieces]
        groups: dict[tuple[bool, bool, frozenset[str], int], list[int]] = {}
        seen: dict[tuple[str, bool, bool], int] = {}
        paths = self.files["path"].to_pylist()
        for row in np.flatnonzero(chosen).tolist():
            how = (kinds[row] == Kind.MOVED, kinds[row] == Kind.RECORDED)
            layer = seen.get((paths[row], *how), 0)
            seen[(paths[row], *how)] = layer + 1
            groups.setdefault((*how, self.partition_columns[int(epochs[row])], layer), []).append(row)
        parts = [self._group(np.array(rows), moved, recorded, partitions, names) for (moved, recorded, partitions, _), rows in groups.items()]
        return None if not parts else parts[0] if len(parts) == 1 else Union(tuple(parts))

    def only(self, rows: Relation, names: Sequence[str]) -> Relation:
        """Of the rows, these columns and COLUMNS."""
        wanted = (*names, *COLUMNS.names)
        return Project(rows, wanted, tuple(Col(n) for n in wanted))

    def union(self, parts: Sequence[Relation | None], names: Sequence[str]) -> Relation:
        """All of the parts; no rows where there is none."""
        there = [p for p in parts if p is not None]
        if not there:
            schema = pa.schema([self.end.schema.field(n) for n in names])
            return Batches.of(pa.schema([*schema, *COLUMNS]).empty_table())
        return there[0] if len(there) == 1 else Union(tuple(there))

    def _group(self, rows: npt.NDArray[np.int64], moved: bool, recorded: bool, partitions: frozenset[str], names: Sequence[str]) -> Relation:
        taken = pa.array(rows)
        pieces = self._pieces[rows]
        files = self.files.take(taken)
        constants = self._constants(pieces, partitions, names, with_type=not (moved or recorded))
        given = frozenset(COLUMNS.names) - (_RECORDED_NAMES if recorded else frozenset())
        columns = (*names, *COLUMNS.names)
        layout = Layout(self.end.table_schema, self.end.features, partitions, columns, given, _RECORDED if recorded else pa.schema([]))
        if moved:
            return rows_at(layout, files, constants, lambda name: self._moves(pieces, files, name), CHANGE_TYPE)
        relation = relation_of(layout, files, constants, self.end.decode)
        return self._split(relation, columns) if recorded and self.split_updates else relation

    def _constants(self, pieces: npt.NDArray[np.int64], partitions: frozenset[str], names: Sequence[str], *, with_type: bool) -> pa.Table:
        """One row per file: partition columns that are wanted, then the feed's own."""
        files = self.told.pieces.files.take(pieces)
        columns: dict[str, pa.Array] = {}
        for name in names:
            info = self.end.table_schema.column(name)
            if name in partitions and info is not None:
                source = f"{self.end.states.log}, an add action"
                columns[name] = partition_values(files, info.physical_name, info.logical_type, column=name, source=source)
        if with_type:
            inserts = pa.array(self.told.pieces.kinds[pieces] == Kind.INSERT)
            columns[CHANGE_TYPE] = pc.if_else(inserts, INSERT, DELETE)
        columns[COMMIT_VERSION] = pa.array(self.told.pieces.versions[pieces], pa.int64())
        moments = pa.nulls(len(pieces), COLUMNS.field(COMMIT_TIMESTAMP).type) if self.times is None else self.told.times(self.times).take(pa.array(pieces))
        columns[COMMIT_TIMESTAMP] = moments
        return pa.table(columns)

    def _moves(self, pieces: npt.NDArray[np.int64], files: pa.Table, name: str) -> Batches:
        """The positions in which the vectors of each file differ, and what became of their rows."""
        schema = pa.schema([*DELETES, (name, pa.string())])
        taken = pa.array(pieces)

        def load() -> pa.Table:
            old_vectors = self.told.pieces.old_vectors.take(taken).to_pylist()
            found = []
            for path, old, new, count in zip(files["path"], old_vectors, files["deletion_vector"].to_pylist(), files["physical_rows"].to_pylist(), strict=True):
                before, after = (np.empty(0, np.int64) if v is None else self.end.decode(descriptor_of(v), count) for v in (old, new))
                for positions, word in ((np.setdiff1d(after, before), DELETE), (np.setdiff1d(before, after), INSERT)):
                    columns = [pa.repeat(path, len(positions)), pa.array(positions, pa.int64()), pa.repeat(word, len(positions))]
                    found.append(pa.table(columns, schema=schema))
            return pa.concat_tables(found)

        return Batches(schema, load)

    def _split(self, rows: Relation, columns: Sequence[str]) -> Relation:
        told: Expression = Mapped(Col(CHANGE_TYPE), _without_images, pa.string())
        return Project(rows, tuple(columns), tuple(told if n == CHANGE_TYPE else Col(n) for n in columns))

    @property
    def _pieces(self) -> npt.NDArray[np.int64]:
        """Which piece each row of `files` is."""
        return np.asarray(self.files["piece"])


_RECORDED_NAMES = frozenset(_RECORDED.names)


def _without_images(words: pa.Array) -> pa.Array:
    words = words.cast(pa.string())
    return pc.if_else(pc.equal(words, PREIMAGE), DELETE, pc.if_else(pc.equal(words, POSTIMAGE), INSERT, words))
