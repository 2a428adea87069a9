"""CHECK CHANGES: whether a range of changes can still be told, from what, at which cost, and for how long. No data file is read; each is looked for.

A range that cannot be told is an answer here, and no error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakesql import sql
from lakesql.changes import ChangesRequest, Mode, Source, Told
from lakesql.errors import Error, ExpiredVersionError, MissingFileError, NoSuchVersionError, SqlError, UnsupportedFeatureError
from lakesql.result import PinnedSnapshot, Result, instant, of_table
from lakesql.storage import Storage
from lakesql.table import FileSet, ScanRequest, Snapshot, Table

if TYPE_CHECKING:
    from lakesql.session import Session

SCHEMA = pa.schema(
    [
        ("answerable", pa.bool_()),
        ("reason", pa.string()),
        ("answerable_from", pa.string()),
        ("versions", pa.string()),
        ("source", pa.string()),
        ("exact", pa.bool_()),
        ("files", pa.int64()),
        ("bytes", pa.int64()),
        ("missing_files", pa.int64()),
        ("expires_at", pa.timestamp("us", "UTC")),
        ("expires_first", pa.string()),
    ]
)
"""answerable_from: the first version from which on the rest of the range can be told, null where that is not known. exact: each change is known as it was
made, and not by comparing rows alone. missing_files: data files that are gone. expires_at: when clean-up may take away what the range needs, at the earliest.
"""

_LOOKING_THREADS = 16


class Feed(Snapshot, Protocol):
    """A range of changes that says how it is told."""

    def told(self, files: FileSet) -> Told: ...


@dataclass(frozen=True)
class _Gone:
    """Files of a range that are not there. first: one of them; rows: all, by their place in the scan."""

    first: str
    rows: tuple[int, ...]


def check(session: Session, statement: sql.Statement, parameters: Mapping[str, Any]) -> Result:
    """The answer to CHECK CHANGES: one row, as SCHEMA. Raises SqlError for a statement that makes no sense, and what opening the table raises."""
    mention = statement.mentions[0]
    with sql.at(statement, mention.name_span):
        table, metadata = session.resolver.table_of(mention)
        if mention.diff is not None or (mention.at is not None and metadata is None) or (metadata or "changes").lower() != "changes":
            raise SqlError(f"{mention} names no range of changes", hint="write CHECK CHANGES t FROM VERSION a TO VERSION b")
        request = session.resolver.requested(mention, table, parameters)
    read: Callable[[ChangesRequest], Feed] = table.changes  # type: ignore[attr-defined]  # requested() has looked
    try:
        feed = read(request)
        files = feed.scan(ScanRequest(tuple(feed.schema.names)))
    except (NoSuchVersionError, ExpiredVersionError, UnsupportedFeatureError) as error:
        since = _oldest(read, request) if isinstance(error, ExpiredVersionError) else None
        return of_table(_row(answerable=False, reason=error.message, answerable_from=since))
    told = feed.told(files) if hasattr(feed, "told") else None
    gone = _look_for(session.catalogs.storage, files)
    facts: dict[str, Any] = {
        "answerable": gone is None,
        "versions": feed.version,
        "files": files.files.num_rows,
        "bytes": files.report.kept_bytes,
        "missing_files": 0 if gone is None else len(gone.rows),
    }
    if gone is not None:
        facts["reason"] = _why(feed, gone)
        facts["answerable_from"] = None if told is None or request.mode is not Mode.RAW else _after(told, gone.rows)
    if told is not None:
        facts["source"] = ", ".join(s.value for s in told.sources) or None
        facts["exact"] = Source.COMPARED not in told.sources
        facts["expires_at"], facts["expires_first"] = told.expires_at_us, told.expires
    return of_table(_row(**facts), snapshots=(_pinned(mention, table, feed),))


def _row(**facts: Any) -> pa.Table:
    return pa.Table.from_arrays([pa.array([facts.get(f.name)], f.type) for f in SCHEMA], schema=SCHEMA)


def _oldest(read: Callable[[ChangesRequest], Feed], request: ChangesRequest) -> str | None:
    """The first version whose changes the table still tells."""
    try:
        feed = read(replace(request, start=None))
        files = feed.scan(ScanRequest(tuple(feed.schema.names)))
        versions = feed.told(files).versions if hasattr(feed, "told") else ()
    except Error:
        return None  # it is asked as a help alone: the range's own error has been told
    return str(versions[0]) if versions else None


def _look_for(storage: Storage, files: FileSet) -> _Gone | None:
    """Whether every data file is there."""
    paths: list[str] = files.files["path"].to_pylist()
    with ThreadPoolExecutor(_LOOKING_THREADS) as pool:
        sizes = list(pool.map(storage.size, paths))
    rows = tuple(n for n, size in enumerate(sizes) if size is None)
    return _Gone(paths[rows[0]], rows) if rows else None


def _why(feed: Snapshot, gone: _Gone) -> str:
    """Why a file is not there, in the format's words."""
    error = MissingFileError(f"data file {gone.first} is not there", path=gone.first)
    explain = getattr(feed, "explain_missing", None)
    explained: Error = error if explain is None else explain(error)
    return explained.message


def _after(told: Told, rows: Sequence[int]) -> str | None:
    """The first version after all that need files which are gone."""
    needing = set(pc.unique(told.of.take(pa.array(np.array(rows, np.int64)))).to_pylist())
    last = max(n for n, version in enumerate(told.versions) if version in needing)
    return str(told.versions[last + 1]) if last + 1 < len(told.versions) else None


def _pinned(mention: sql.Mention, table: Table, feed: Snapshot) -> PinnedSnapshot:
    return PinnedSnapshot(str(mention), table.location, table.format, feed.version, instant(feed.committed_at_us))
