"""One Parquet file of actions (checkpoint, part, sidecar): single leaves of it, for a few row groups at a time.

Only the file's totals are asked of its footer: what it says of single columns makes Arrow end the process where it is damaged. Leaves are chosen by their
position in the schema, because column names inside statistics may hold dots and then collide in Parquet's dotted paths. Every failure to read is a
MetadataError that names the file. Source: Delta protocol, "Checkpoint Schema".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property

import pyarrow as pa
import pyarrow.parquet as pq

from lakesql.errors import MetadataError
from lakesql.location import is_local
from lakesql.storage import Storage

Path = tuple[str, ...]


class ActionsFile:
    """A Parquet file whose top-level columns are actions. The footer is read once, at the first question; the file is open only while something is read."""

    def __init__(self, storage: Storage, path: str) -> None:
        self._storage = storage
        self.path = path

    @property
    def row_groups(self) -> int:
        """How many row groups there are."""
        groups: int = self._footer[0].num_row_groups
        return groups

    @property
    def rows(self) -> int:
        """How many rows there are."""
        rows: int = self._footer[0].num_rows
        return rows

    @property
    def schema(self) -> pa.Schema:
        """The file's schema."""
        schema: pa.Schema = self._footer[1]
        return schema

    def type_of(self, path: Path) -> pa.DataType | None:
        """The type at a path of field names, None where there is no such column or field."""
        found = self._leaves.get(path)
        return None if found is None else found[2]

    def read(self, groups: Sequence[int], paths: Iterable[Path]) -> pa.Table:
        """The columns at `paths`, nested as in the file, with nothing beside them. Paths that the file lacks are left out."""
        indices = self._indices(paths)
        with self._reader() as reader:
            return reader.reader.read_row_groups(list(groups), column_indices=indices, use_threads=False)

    def read_pieces(self, groups: Sequence[int], path: Path, rows: int) -> Iterator[pa.RecordBatch]:
        """As `read` of one path, at most `rows` rows at a time."""
        indices = self._indices([path])
        with self._reader() as reader:
            yield from reader.reader.iter_batches(rows, row_groups=list(groups), column_indices=indices, use_threads=False)

    @cached_property
    def _footer(self) -> tuple[pq.FileMetaData, pa.Schema]:
        with self._errors(), pq.ParquetFile(self._storage.open(self.path)) as reader:
            return reader.metadata, reader.schema_arrow

    @cached_property
    def _leaves(self) -> dict[Path, tuple[int, int, pa.DataType]]:
        """Every path of names -> the half-open range of leaf columns below it, and its type. Of columns that repeat a name the first counts."""
        found: dict[Path, tuple[int, int, pa.DataType]] = {}
        at = 0
        for field in self.schema:
            at = _number(field, (), at, found.setdefault)
        return found

    def _indices(self, paths: Iterable[Path]) -> list[int]:
        return sorted({index for path in paths if path in self._leaves for index in range(*self._leaves[path][:2])})

    @contextmanager
    def _reader(self) -> Iterator[pq.ParquetFile]:
        metadata = self._footer[0]
        with self._errors(), pq.ParquetFile(self._storage.open(self.path), metadata=metadata, pre_buffer=not is_local(self.path)) as reader:
            yield reader

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowException, OSError, ValueError, IndexError) as error:
            words = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise MetadataError(
                f"checkpoint file {self.path} cannot be read: {words}", hint="the file is damaged; delete it if an older checkpoint or the commits are there"
            ) from error


def _number(field: pa.Field, above: Path, at: int, note: Callable[[Path, tuple[int, int, pa.DataType]], object]) -> int:
    """Walks the leaves below a field in file order; returns the position after them."""
    path = (*above, field.name)
    start = at
    children = [field.type.field(i) for i in range(field.type.num_fields)] if _is_nested(field.type) else []
    for child in children:
        at = _number(child, path, at, note)
    at = at if children else at + 1
    note(path, (start, at, field.type))
    return at


def _is_nested(type_: pa.DataType) -> bool:
    return pa.types.is_nested(type_) and not pa.types.is_dictionary(type_)
