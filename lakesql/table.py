"""What a table format gives the rest of lakesql: the protocols Table and Snapshot, and the FileSet that passes between scan and relate.

A format is one folder under `formats/` that offers `Format` in its `__init__`. It reads metadata through `storage`, prunes with `pruning`, and describes
rows with `relation`. It knows no engine, no SQL and no other format.

    Table --snapshot(at)--> Snapshot --scan(request)--> FileSet --relate(files, columns)--> Relation
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lakesql.predicate import Predicate
from lakesql.relation import Batches, Relation
from lakesql.storage import Storage

# Which state of a table ----------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Latest:
    """The table's current state."""

    def __str__(self) -> str:
        return "latest"


@dataclass(frozen=True)
class AtVersion:
    """A version in the format's own terms: a number, an instant, the name of a tag or branch. text: as the user gave it, quotes removed; quoted: whether it
    had any.
    """

    text: str
    quoted: bool = False

    def __str__(self) -> str:
        return f"version {self.text}"


@dataclass(frozen=True)
class AtTime:
    """The state at an instant: microseconds since 1970-01-01 UTC; text: as the user gave it, for messages.

    or_latest: an instant after the table's last commit means its latest state, where a format would refuse it: for one instant that cuts through a whole lake.
    """

    instant_us: int
    text: str
    or_latest: bool = False

    def __str__(self) -> str:
        return f"time {self.text}"


At = Latest | AtVersion | AtTime

# Scanning ------------------------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ScanRequest:
    """What a statement needs of a snapshot.

    columns: logical names, hidden ones included, in any order. predicates: conjuncts that every wanted row satisfies. prune: False reads every file, to
    prove that pruning changes no rows.
    """

    columns: tuple[str, ...]
    predicates: tuple[Predicate, ...] = ()
    prune: bool = True


@dataclass(frozen=True)
class Drop:
    """A data file left out: by which predicate, and the bound or partition value that proved it holds no such row."""

    path: str
    predicate: str
    bound: str


@dataclass(frozen=True)
class ScanReport:
    """The funnel of one scan, for EXPLAIN PRUNING and `scan_stats`. Counts of files; None where the metadata does not say.

    metadata_files: log, manifest and checkpoint files read for this snapshot; metadata_skipped: manifests left unread by their summaries. unused: predicates
    that decided nothing for want of bounds, with the reason. scope: which files total_files counts, in words. drops(limit) lists what was left out, at most
    `limit` (None: all), in the order of the file list.
    """

    metadata_files: int
    metadata_skipped: int
    total_files: int
    dropped_by_partition: int
    dropped_by_statistics: int
    kept_files: int
    total_bytes: int | None = None
    kept_bytes: int | None = None
    total_rows: int | None = None
    kept_rows: int | None = None
    unused: tuple[tuple[str, str], ...] = ()
    scope: str = "in the table"
    drops: Callable[[int | None], list[Drop]] = field(default=lambda limit: [], repr=False, compare=False)


@dataclass(frozen=True)
class FileSet:
    """The data files a scan keeps, one row per file in each table, in one order.

    files: `path` string (as storage names it), `size_bytes` int64, then the format's private columns, which only its `relate` reads.
    constants: columns that have one known value for all rows of a file, under their logical names and types (partition columns).
    live_rows: int64, the exact number of rows the file gives after its deletes; null where metadata does not say.
    all_match: True where metadata proves that every row of every kept file satisfies every predicate of the request.
    extremes(column): per file exact least and greatest value and the number of nulls of a column, (lower, upper, null_count), or None where they are not known
    to be exact for every file. A file without non-null values has null for both.
    count_rows: gives live_rows without nulls where delete files, but no data files, must be read to know; for when the statement is run. None where that is not
    enough.
    """

    files: pa.Table
    constants: pa.Table
    live_rows: pa.Array
    all_match: bool
    report: ScanReport
    extremes: Callable[[str], tuple[pa.Array, pa.Array, pa.Array] | None] = field(default=lambda column: None, repr=False, compare=False)
    count_rows: Callable[[], pa.Array] | None = field(default=None, repr=False, compare=False)


@runtime_checkable
class Snapshot(Protocol):
    """An immutable state of a table.

    version: the format's own name for it, as text. committed_at_us: microseconds UTC, None where the format does not say. schema: logical columns in order,
    every field nullable, field ids (where the format has them) as `PARQUET:field_id` in the field's metadata. hidden: columns that exist but are not part of
    `SELECT *` (row ids, file path).
    """

    @property
    def version(self) -> str: ...
    @property
    def committed_at_us(self) -> int | None: ...
    @property
    def schema(self) -> pa.Schema: ...
    @property
    def hidden(self) -> pa.Schema: ...

    def scan(self, request: ScanRequest) -> FileSet:
        """The files that may hold rows satisfying the predicates. Reads metadata only. Raises UnsupportedFeatureError, MetadataError, MissingFileError."""
        ...

    def relate(self, files: FileSet, columns: Sequence[str]) -> Relation:
        """How the rows of `files` come about, with at least the named columns under their logical names and types. Reads no data file."""
        ...

    # A snapshot may also offer
    #   explain_missing(error: MissingFileError) -> Error    the error to raise in place of one that an engine met while it read this snapshot's files: tells a
    #                                                        version whose files were cleaned up from a table that lost one. May read metadata.
    #   notices -> tuple[str, ...]                           what the user should know of this state, such as that the newest commits may be missing.
    #   comparison(before: Snapshot) -> Comparison | None    this state and an earlier or later one of the same table, or of another branch of it; None where
    #                                                        `before` is of another table. Raises UnsupportedFeatureError for columns that no type holds.
    # A range of changes may also offer
    #   told(files: FileSet) -> changes.Told                 how the changes in these files are known, and how long they will be. Reads metadata alone.


Mask = npt.NDArray[np.bool_]


class Comparison(Protocol):
    """Two states of one table, to be compared. Both have one schema: the second's columns, followed by identity in the first, of types that hold the values of
    both.
    """

    @property
    def before(self) -> Snapshot: ...
    @property
    def after(self) -> Snapshot: ...

    def differing(self, before: FileSet, after: FileSet) -> tuple[Mask, Mask]:
        """Which files of either state, scanned whole, have rows that the other may not have. The files left out hold the same rows in both."""
        ...

    def identity(self, before: FileSet, after: FileSet) -> tuple[str, ...]:
        """The columns, perhaps hidden ones, by which each row of these files is known in both states; none where nothing is known."""
        ...

    def narrowed(self, files: FileSet, mask: Mask) -> FileSet:
        """Some of a scan's files: all of those, or none, that `differing` told together."""
        ...

    # A comparison may also offer
    #   rows(state: Snapshot, files: FileSet, others: FileSet, columns: Sequence[str]) -> Relation
    #                                                        of one state's files its rows that may not be in `others`, all files of the other state that
    #                                                        differ: as Snapshot.relate, but for rows that both have for certain.


@runtime_checkable
class Table(Protocol):
    """A table at a place. Opening one reads nothing until it is asked for a snapshot; a Table may be kept and asked again, and then sees new commits."""

    @property
    def location(self) -> str: ...
    @property
    def format(self) -> str: ...

    def snapshot(self, at: At) -> Snapshot:
        """The state `at`. Raises NoSuchVersionError, ExpiredVersionError, MetadataError, UnsupportedFeatureError."""
        ...

    def metadata(self, name: str, at: At) -> Batches:
        """The rows of a metadata table (`"t$name"`), without the `$`; loaded when lowered. Raises UnknownTableError with the names there are."""
        ...

    @property
    def metadata_names(self) -> tuple[str, ...]:
        """The metadata tables `metadata` knows, for completion and errors."""
        ...

    def view(self, name: str) -> Table | None:
        """Another table that this one holds under `"t$name"`: a branch (`branch_x`), a tag (`tag_x`), a read-optimised view (`ro`). None for a name that is
        none.
        """
        ...

    # A table may also offer
    #   changes(request: changes.ChangesRequest) -> Snapshot the changes of a range of versions, as rows to be scanned like a state's: its schema ends with
    #                                                        changes.COLUMNS, its version names the range. Raises NoSuchVersionError, ExpiredVersionError,
    #                                                        SqlError for a key or pairs that the table cannot give. Formats without it have no feed yet.
    #   commits(request: changes.ChangesRequest) -> changes.Commits
    #                                                        the versions that changes() would tell of, with its errors; a start that has expired but was
    #                                                        followed directly by a version that is left will do.
    #   identity() -> changes.Identity                       which table it is, for positions that are kept outside it.
    #   consumers() -> Sequence[tuple[str, str]]             consumers that the table itself keeps: their names, and the version each would read next.
    #   with_options(options: Mapping[str, str], time_zone: str) -> Table
    #                                                        the table as scan options ask for it (`/*+ OPTIONS('k'='v') */`), the state they name included;
    #                                                        instants without an offset are in time_zone. Raises SqlError for an option it does not know
    #                                                        or that contradicts.
    #   schema_states() -> Sequence[tuple[str, int | None, Mapping[str, str]]]
    #                                                        the table's schemas, the oldest first, the current one last: what each is called, when it came
    #                                                        (microseconds UTC), and its columns' names by ids that stay when a column is renamed.
    #   format_version -> int, sort_order -> str | None      what the table says of itself: the version of its specification, how writers are to sort.
    #   names_state -> bool                                  True where the name itself says which state is read, so that a session's default does not.


class Format(Protocol):
    """One table format, as `formats/` lists it."""

    name: str

    def evidence(self, storage: Storage, location: str) -> str | None:
        """The marker file or folder that shows a table of this format at `location`, relative to it; None where there is none."""
        ...

    def open(self, storage: Storage, location: str, options: Mapping[str, str]) -> Table:
        """The table at `location`. options: the format's own reader options from the configuration."""
        ...
