"""A table as a pyarrow Dataset: `lakesql.dataset("shop.orders")`, for DuckDB, Polars, pandas, DataFusion and whatever else scans those.

Each scan is planned by lakesql from metadata (filters prune files and row groups), its rows are made by the engine on pyarrow alone (`engines/arrow`), and
pyarrow applies the whole filter again. Everything that is to be known before rows are read is read when the scanner is made, on a thread of its own: the
program that scans may be one whose engine lakesql reads metadata with.

Rows stream. What is held in memory: positions and keys of deletes; of tables merged by key the rows of all files but those that promise each key once, and the
rows of those whose key is changed elsewhere; of change feeds that are told by comparing files, these files; Avro data files.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
from pyarrow import fs

from lakesql.config import Config
from lakesql.engines.arrow.filters import columns_of, predicates_of
from lakesql.engines.arrow.narrowing import narrowed, settled
from lakesql.engines.arrow.plan import plan
from lakesql.engines.arrow.stream import Part, batches_of, conforming
from lakesql.errors import ChangedColumnsError, MissingFileError, NotSupportedError, UnknownColumnError, did_you_mean
from lakesql.frontends.seam import mapped
from lakesql.opened import Opened, Point, Range, Reference
from lakesql.predicate import Opaque, Predicate
from lakesql.relation import Relation
from lakesql.result import PinnedSnapshot

T = TypeVar("T")

_FRAGMENTS = 16


def dataset(
    ref: str,
    *,
    version: str | int | None = None,
    at: Point | None = None,
    changes: Range | None = None,
    target: str | None = None,
    config: str | Config | None = None,
) -> Dataset:
    """A table, pinned to the version it has now or had then, as a pyarrow Dataset.

    ref: a path, or a name as in SQL (`shop.orders`, `orders$snapshots`). version: as in VERSION AS OF; at: an instant; changes: the rows of a range of changes,
    (first version or instant, last one or None), both included, or the words that follow CHANGES in SQL. target, config: what names are looked up in, as for
    `connect`. Raises ConfigError, UnknownTableError, NotATableError, NoSuchVersionError, ExpiredVersionError, MetadataError, UnsupportedFeatureError.
    """
    with mapped():
        reference = Reference.of(ref, version, at, changes, target, config)
        return Dataset(_apart(lambda: Opened.open(reference)))


def _reopened(reference: Reference, schema: pa.Schema, where: pc.Expression | None) -> Dataset:
    """A dataset in another process, at the version that it was pinned to. Raises ChangedColumnsError."""
    with mapped():
        opened = _apart(lambda: Opened.open(reference))
        if not opened.schema.equals(schema):
            raise ChangedColumnsError(f"the columns of {reference.ref} are not those that it was opened with", hint="open it anew")
        return Dataset(opened, where)


class Dataset(pads.UnionDataset):  # type: ignore[misc]  # pyarrow's classes have no types
    """What `dataset` gives.

    Its own methods plan every scan. Underneath, for pyarrow's C++, lies a dataset that refuses to be read, so that nothing that goes past these methods takes
    it for empty.
    """

    def __init__(self, opened: Opened, where: pc.Expression | None = None) -> None:
        guard = pads.ParquetFileFormat().make_fragment(opened.snapshot.location, fs.PyFileSystem(_Refusing()))
        schema = opened.schema
        super().__init__(schema, [pads.FileSystemDataset([guard], schema, pads.ParquetFileFormat(), fs.PyFileSystem(_Refusing()))])
        self._opened = opened
        self._where = where

    @property
    def snapshots(self) -> tuple[PinnedSnapshot, ...]:
        """The table that is read, with its version."""
        return (self._opened.snapshot,)

    @property
    def schema(self) -> pa.Schema:
        """The table's columns."""
        return self._opened.schema

    @property
    def hidden(self) -> pa.Schema:
        """Columns that no scan has unless it names them, such as row ids."""
        return pa.schema(list(self._opened.known)[len(self.schema) :])

    @property
    def partition_expression(self) -> pc.Expression:
        """Nothing is known of all rows but the dataset's own filter."""
        return pc.scalar(True) if self._where is None else self._where

    @property
    def children(self) -> list[Any]:
        """None: the dataset is no union of others."""
        return []

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopened, (self._opened.reference, self.schema, self._where)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """All rows, for whatever knows the Arrow PyCapsule interface."""
        return self.scanner().to_reader().__arrow_c_stream__(requested_schema)

    def __repr__(self) -> str:
        found = self._opened.snapshot
        return f"<lakesql.Dataset {found.name} {found.version}>"

    def filter(self, expression: pc.Expression) -> Dataset:
        """The rows that satisfy the expression, and the filters so far."""
        return Dataset(self._opened, _both(self._where, expression))

    def scanner(self, columns: Any = None, filter: pc.Expression | None = None, **options: Any) -> pads.Scanner:
        """As pyarrow's: columns are names, or expressions by name; the filter prunes files and row groups, and is applied whole. options: batch_size and others
        of pyarrow's scanners.
        """
        with mapped():
            whole = _both(self._where, filter)
            needed = self._needed(columns, whole)
            rows = self._rows(needed, predicates_of(whole, self._opened.known))
        return rows.scanner(needed, columns, whole, options)

    def get_fragments(self, filter: pc.Expression | None = None) -> Iterator[Fragment]:
        """Shares of the rows that may satisfy the filter: each to be scanned once, all with the same columns, at once where that is wanted."""
        with mapped():
            whole = _both(self._where, filter)
            rows = self._rows(self.schema.names, predicates_of(whole, self._opened.known))
            count = min(_FRAGMENTS, max(1, len(rows.parts(tuple(self.schema.names)))))
            return iter([Fragment(self, rows, self._where, number, count) for number in range(count)])

    def to_table(self, columns: Any = None, filter: pc.Expression | None = None, **options: Any) -> pa.Table:
        """All rows."""
        return self.scanner(columns, filter, **options).to_table()

    def to_batches(self, columns: Any = None, filter: pc.Expression | None = None, **options: Any) -> Iterator[pa.RecordBatch]:
        """The rows as they come."""
        batches: Iterator[pa.RecordBatch] = self.scanner(columns, filter, **options).to_batches()
        return batches

    def head(self, num_rows: int, columns: Any = None, filter: pc.Expression | None = None, **options: Any) -> pa.Table:
        """Some rows, at most `num_rows`."""
        return self.scanner(columns, filter, **options).head(num_rows)

    def take(self, indices: Any, columns: Any = None, filter: pc.Expression | None = None, **options: Any) -> pa.Table:
        """Rows by their place in a scan, whose order is not promised from one to the next."""
        return self.to_table(columns, filter, **options).take(indices)

    def count_rows(self, filter: pc.Expression | None = None, **options: Any) -> int:
        """How many rows there are; from metadata alone where that tells."""
        if _both(self._where, filter) is None:
            with mapped():
                known = _apart(self._opened.count)
            if known is not None:
                return known
        return int(self.scanner([], filter, **options).count_rows())

    def sort_by(self, sorting: Any, **options: Any) -> pads.Dataset:
        """All rows, in memory, in order."""
        return pads.dataset(self.to_table(**options).sort_by(sorting))

    def join(self, right_dataset: pads.Dataset, *arguments: Any, **options: Any) -> pads.Dataset:
        """As pyarrow's, over all rows in memory."""
        return pads.dataset(self.to_table()).join(_plain(right_dataset), *arguments, **options)

    def join_asof(self, right_dataset: pads.Dataset, *arguments: Any, **options: Any) -> pads.Dataset:
        """As pyarrow's, over all rows in memory."""
        return pads.dataset(self.to_table()).join_asof(_plain(right_dataset), *arguments, **options)

    def replace_schema(self, schema: pa.Schema) -> Any:
        """The dataset itself, where its columns are those. Other columns are not offered."""
        if schema.equals(self.schema):
            return self
        raise NotSupportedError("the columns of a table are its own", hint="cast them in the scan: columns={'a': pc.field('a').cast(...)}")

    def _needed(self, columns: Any, where: pc.Expression | None) -> list[str]:
        """The columns that a scan reads, at least one; hidden ones can be named."""
        names = self._opened.known.names
        wanted = self.schema.names if columns is None else columns
        read: set[str] = set()
        for expression in (*(wanted.values() if isinstance(wanted, Mapping) else map(pc.field, wanted)), *(() if where is None else (where,))):
            found = columns_of(expression)
            if found is None:
                return list(names)
            read |= found
        for name in read - set(names):
            raise UnknownColumnError(f'there is no column "{name}"', candidates=names, hint=did_you_mean(name, names))
        return [n for n in names if n in read] or names[:1]

    def _rows(self, columns: Sequence[str], predicates: Sequence[Predicate]) -> _Rows:
        opened = self._opened
        useful = tuple(p for p in predicates if not isinstance(p, Opaque))

        def planned() -> _Rows:
            return _Rows(opened, settled(opened.storage, opened.scan(columns, useful)), useful)

        return _apart(planned)


class _Rows:
    """A planned scan."""

    def __init__(self, opened: Opened, relation: Relation, predicates: tuple[Predicate, ...]) -> None:
        self._opened = opened
        self._relation = relation
        self._predicates = predicates
        self._parts: dict[tuple[str, ...], tuple[Part, ...]] = {}
        self._lock = threading.Lock()

    def parts(self, columns: tuple[str, ...]) -> tuple[Part, ...]:
        """The parts of a scan of these columns, always the same."""
        with self._lock:
            if columns not in self._parts:
                self._parts[columns] = plan(self._opened.storage, narrowed(self._relation, columns), self._predicates).parts
            return self._parts[columns]

    def scanner(
        self, needed: Sequence[str], columns: Any, where: pc.Expression | None, options: Mapping[str, Any], share: tuple[int, int] = (0, 1)
    ) -> pads.Scanner:
        """A scanner of the parts, or of those whose number is share[0] modulo share[1]."""
        schema = pa.schema([self._opened.known.field(n) for n in needed])
        columns = self._opened.schema.names if columns is None else columns
        parts = self.parts(tuple(needed))[share[0] :: share[1]]
        return pads.Scanner.from_batches(self._batches(parts, schema), schema=schema, columns=columns, filter=where, **options)

    def _batches(self, parts: Sequence[Part], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        try:
            with mapped():
                for batch in batches_of(parts):
                    yield conforming(batch, schema)
        except MissingFileError as error:
            raise self._opened.explained(error) from error


class Fragment:
    """A share of a dataset's rows; scanned as pyarrow's fragments are."""

    def __init__(self, owner: Dataset, rows: _Rows, where: pc.Expression | None, number: int, count: int) -> None:
        self._owner, self._rows, self._where, self._share = owner, rows, where, (number, count)

    @property
    def physical_schema(self) -> pa.Schema:
        """The table's columns."""
        return self._owner.schema

    @property
    def partition_expression(self) -> pc.Expression:
        """As the dataset's."""
        return self._owner.partition_expression

    def scanner(self, schema: pa.Schema | None = None, columns: Any = None, filter: pc.Expression | None = None, **options: Any) -> pads.Scanner:
        """As the dataset's scanner, over this share; the filter prunes what it can of row groups."""
        whole = _both(self._where, filter)
        needed = self._owner._needed(columns, whole)
        for name in needed:
            if name not in self.physical_schema.names:
                raise UnknownColumnError(f'fragments have no hidden column "{name}"', hint="scan the dataset itself", candidates=self.physical_schema.names)
        return self._rows.scanner(needed, columns, whole, options, self._share)

    def to_table(self, **options: Any) -> pa.Table:
        """Its rows."""
        return self.scanner(**options).to_table()

    def to_batches(self, **options: Any) -> Iterator[pa.RecordBatch]:
        """Its rows as they come."""
        batches: Iterator[pa.RecordBatch] = self.scanner(**options).to_batches()
        return batches

    def head(self, num_rows: int, **options: Any) -> pa.Table:
        """Some of its rows."""
        return self.scanner(**options).head(num_rows)

    def count_rows(self, **options: Any) -> int:
        """How many rows it has."""
        return int(self.scanner(columns=[], **options).count_rows())


def _both(first: pc.Expression | None, second: pc.Expression | pa.Scalar | None) -> pc.Expression | None:
    """The conjunction. DataFusion gives a condition that it has folded as a bare value."""
    second = pc.scalar(second) if isinstance(second, pa.Scalar) else second
    return second if first is None else first if second is None else first & second


def _plain(other: pads.Dataset) -> pads.Dataset:
    return pads.dataset(other.to_table()) if isinstance(other, Dataset) else other


def _apart(work: Callable[[], T]) -> T:
    """What `work` gives, done on another thread: the one that asks may belong to an engine that reads metadata for lakesql, and waits for itself."""
    found: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            found.append(work())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run, name="lakesql-plan")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return found[0]


class _Refusing(fs.FileSystemHandler):  # type: ignore[misc]  # pyarrow's classes have no types
    """A file system on which nothing can be read."""

    def _refused(self, *_: Any, **__: Any) -> Any:
        raise NotSupportedError("the dataset is read by its own scanner alone", hint="pass dataset.scanner() or dataset.to_batches() instead of the dataset")

    get_type_name = partial(str, "lakesql")

    def normalize_path(self, path: str) -> str:
        """As it is."""
        return path

    get_file_info = get_file_info_selector = create_dir = delete_dir = delete_dir_contents = delete_root_dir_contents = delete_file = _refused
    move = copy_file = open_input_stream = open_input_file = open_output_stream = open_append_stream = _refused
