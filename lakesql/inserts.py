"""Of a range of changes the inserted rows alone, as a Snapshot of `table.py`: for readers who follow a table that only grows (`mode = 'appends'`).

Rows that were inserted and went again later in the range are shown; updates are not, as far as they are told as such.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa

from lakesql.changes import CHANGE_TYPE, INSERT, only
from lakesql.errors import Error, MissingFileError
from lakesql.predicate import Column, Compare, Op
from lakesql.relation import Col, Project, Relation
from lakesql.table import FileSet, ScanRequest, Snapshot

_INSERTED = Compare(Column((CHANGE_TYPE,)), Op.EQ, pa.scalar(INSERT))


class Inserts:
    """See Snapshot. feed: the changes, all of them."""

    def __init__(self, feed: Snapshot) -> None:
        self._feed = feed
        self.schema, self.hidden = feed.schema, feed.hidden
        self.notices: tuple[str, ...] = getattr(feed, "notices", ())

    @property
    def version(self) -> str:
        """See Snapshot."""
        return self._feed.version

    @property
    def committed_at_us(self) -> int | None:
        """See Snapshot."""
        return self._feed.committed_at_us

    def scan(self, request: ScanRequest) -> FileSet:
        """See Snapshot: without files all of whose rows are of another kind."""
        columns = tuple(dict.fromkeys((*request.columns, CHANGE_TYPE)))
        found = self._feed.scan(replace(request, columns=columns, predicates=(*request.predicates, _INSERTED)))
        if found.all_match:
            return found
        return replace(found, live_rows=pa.nulls(found.files.num_rows, pa.int64()))

    def relate(self, files: FileSet, columns: Sequence[str]) -> Relation:
        """See Snapshot."""
        names = tuple(dict.fromkeys((*columns, CHANGE_TYPE)))
        rows = only(self._feed.relate(files, names), names, (INSERT,))
        return Project(rows, tuple(columns), tuple(Col(n) for n in columns))

    def explain_missing(self, error: MissingFileError) -> Error:
        """See Snapshot."""
        explain = getattr(self._feed, "explain_missing", None)
        explained: Error = error if explain is None else explain(error)
        return explained
