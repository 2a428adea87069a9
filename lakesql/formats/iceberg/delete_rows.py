"""Position delete files and deletion vectors -> (path, position) of deleted rows, for the data files a statement reads. Source: Iceberg table spec, "Position
Delete Files".

Read when the statement runs, never while it is planned. A delete file may name far more data files than are read: rows are kept only for those, batch by
batch, so a large delete file takes no more memory than what it says of them. Paths are matched as `places.py` resolves them; a null path names nothing.

Delete files are never rewritten. Where the storage keeps files that are not, small ones are kept as they were decoded: opening two hundred of them takes
longer than reading the data that they are about.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from weakref import WeakKeyDictionary

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lakesql import avro
from lakesql.errors import DataFileError, MetadataError, MissingFileError, UnsupportedFeatureError
from lakesql.formats.iceberg.deletes import FILE_PATH_ID, POS_ID, DeleteFiles, Deletes, Ints
from lakesql.formats.iceberg.deletion_vectors import Vector, decode
from lakesql.formats.iceberg.manifest import Kept
from lakesql.formats.iceberg.places import Places
from lakesql.formats.iceberg.types import FIELD_ID
from lakesql.location import is_local
from lakesql.storage import CachedStorage, Storage

ROWS = pa.schema([("path", pa.string()), ("position", pa.int64())])
_WANTED = pa.schema([pa.field("file_path", pa.string(), metadata={FIELD_ID: str(FILE_PATH_ID)}), pa.field("pos", pa.int64(), metadata={FIELD_ID: str(POS_ID)})])
_BATCH_ROWS = 1 << 18
_REMOTE_READERS = 16
_KEPT_BYTES = 64 << 20
"""How much of decoded position delete files is kept, over all tables of a session."""
_KEPT_ROWS = 1 << 18
"""Position delete files of more rows are read anew each time, piece by piece."""

Found = tuple[np.ndarray, Ints]
"""The numbers of data files, and a position for each."""

_of_storage: WeakKeyDictionary[CachedStorage, Kept[tuple[_Piece, ...]]] = WeakKeyDictionary()
_of_storage_lock = threading.Lock()


def deleted_rows(storage: Storage, places: Places, deletes: Deletes) -> pa.Table:
    """The deleted rows of the data files of `deletes`, as ROWS; a row may come twice. Raises DataFileError, MissingFileError, of the first that has one."""
    with_vector = np.flatnonzero(deletes.vector >= 0).tolist()
    work = [partial(_from_vector, storage, deletes, n) for n in with_vector] + [
        partial(_from_file, storage, places, deletes, n) for n in range(len(deletes.positions))
    ]
    if not work:
        return ROWS.empty_table()
    local = is_local(deletes.paths[0].as_py())
    with ThreadPoolExecutor(min(len(work), (os.cpu_count() or 1) if local else _REMOTE_READERS)) as pool:
        found = [pair for pairs in pool.map(lambda each: each(), work) for pair in pairs]
    if not found:
        return ROWS.empty_table()
    codes = pa.array(np.concatenate([data_files for data_files, _ in found]))
    positions = pa.array(np.concatenate([at for _, at in found]), pa.int64())
    return pa.table([pa.DictionaryArray.from_arrays(codes, deletes.paths).cast(pa.string()), positions], schema=ROWS)


def read_positions(storage: Storage, path: str, format_: str, each: Callable[[pa.Table], None]) -> None:
    """Every row of a position delete file, in pieces of file_path and pos. Raises DataFileError, MissingFileError, UnsupportedFeatureError."""
    try:
        for piece in _PIECES[format_](storage, path) if format_ in _PIECES else _unknown(path, format_):
            each(piece)
    except MissingFileError as error:
        raise MissingFileError(
            f'a delete file of the snapshot is missing: there is no file "{path}"', path=path, hint="without it deleted rows would come back; restore the file"
        ) from error
    except (pa.ArrowException, MetadataError, OSError) as error:
        raise DataFileError(f'position delete file "{path}" cannot be read: {error}') from error


def _from_vector(storage: Storage, deletes: Deletes, data_file: int) -> list[Found]:
    """The positions of a data file that has a vector."""
    vectors, at = deletes.vectors, int(deletes.vector[data_file])
    vector = Vector(
        vectors.path[at].as_py(),
        vectors.offset[at].as_py(),
        vectors.length[at].as_py(),
        vectors.record_count[at].as_py(),
        deletes.source_paths[data_file].as_py(),
    )
    positions = decode(vector, storage)
    return [(np.full(len(positions), data_file, np.int32), positions)]


def _from_file(storage: Storage, places: Places, deletes: Deletes, number: int) -> list[Found]:
    """The data files and positions that a position delete file names, among those it concerns."""
    file = deletes.positions.take(np.array([number], np.int64))
    concerned = _concerned(deletes, file)
    if not len(concerned):
        return []
    rows = _Rows(places, file.source_path[0].as_py(), deletes.paths.take(pa.array(concerned)), concerned)
    path, format_ = file.path[0].as_py(), file.format[0].as_py()
    kept = _kept_of(storage) if (file.record_count[0].as_py() or 0) <= _KEPT_ROWS else None
    if kept is None:
        read_positions(storage, path, format_, lambda piece: rows.keep(_encoded(piece)))
        return rows.found
    key = (path, format_, file.size_bytes[0].as_py(), int(file.sequence[0]))
    pieces = kept.get(key)
    if pieces is None:
        read: list[_Piece] = []
        read_positions(storage, path, format_, lambda piece: read.append(_encoded(piece)))
        pieces = tuple(read)
        size_bytes = sum(each.nbytes for each in pieces)
        if size_bytes <= _KEPT_BYTES // 16:  # the manifest may have promised fewer rows
            kept.put(key, pieces, size_bytes)
    for piece in pieces:
        rows.keep(piece)
    return rows.found


def _kept_of(storage: Storage) -> Kept[tuple[_Piece, ...]] | None:
    """What is kept for a storage; None for one that keeps no files either."""
    if not isinstance(storage, CachedStorage):
        return None
    with _of_storage_lock:
        if storage not in _of_storage:
            _of_storage[storage] = Kept(_KEPT_BYTES)
        return _of_storage[storage]


@dataclass(frozen=True)
class _Piece:
    """Rows of a position delete file: a place among paths for each, null where it has no path, and a position."""

    place: pa.Array
    paths: pa.Array
    positions: pa.Array

    @property
    def nbytes(self) -> int:
        """What it takes in memory."""
        return int(self.place.nbytes + self.paths.nbytes + self.positions.nbytes)


def _encoded(piece: pa.Table) -> _Piece:
    paths = pc.dictionary_encode(_one(piece.column("file_path")))
    return _Piece(paths.indices, paths.dictionary, _one(piece.column("pos")))


class _Rows:
    """Rows of one position delete file that name a data file it concerns. wanted: paths of those; numbers: theirs among all data files."""

    def __init__(self, places: Places, name: str, wanted: pa.Array, numbers: Ints) -> None:
        self.found: list[Found] = []
        self._places = places
        self._name = name
        self._wanted = wanted
        self._numbers = numbers

    def keep(self, piece: _Piece) -> None:
        """Takes what is wanted of a piece."""
        place = pc.index_in(self._places.resolve_all(piece.paths), value_set=self._wanted).take(piece.place)
        hit = place.is_valid()
        positions = piece.positions.filter(hit)
        if positions.null_count:
            raise DataFileError(f'position delete file "{self._name}" has rows without a position')
        rows = self._numbers[place.filter(hit).to_numpy(zero_copy_only=False).astype(np.int64)]
        self.found.append((rows.astype(np.int32), positions.to_numpy(zero_copy_only=False).astype(np.int64)))


def _concerned(deletes: Deletes, file: DeleteFiles) -> Ints:
    """The data files that one position delete file may name: not newer than it, without a vector, and its own or those of its partition."""
    eligible = deletes.has_positions & (deletes.sequence <= file.sequence[0])
    if file.named[0].is_valid:
        eligible &= np.asarray(pc.equal(deletes.paths, file.named[0]))
    else:
        eligible &= deletes.codes == file.codes[0]
    return np.flatnonzero(eligible)


def _parquet(storage: Storage, path: str) -> Iterator[pa.Table]:
    with storage.open(path) as opened, pq.ParquetFile(opened) as file:
        names = _names(file.schema_arrow, path)
        for batch in file.iter_batches(_BATCH_ROWS, columns=names):
            yield _piece(batch, names)


def _orc(storage: Storage, path: str) -> Iterator[pa.Table]:
    from pyarrow import orc  # not in every build of pyarrow, and seldom needed

    with storage.open(path) as opened:
        file = orc.ORCFile(opened)
        names = _names(file.schema, path)
        for stripe in range(file.nstripes):
            yield _piece(file.read_stripe(stripe, columns=names), names)


def _avro(storage: Storage, path: str) -> Iterator[pa.Table]:
    yield avro.read(storage, path, _WANTED, avro.Match.ID)


def _unknown(path: str, format_: str) -> Iterator[pa.Table]:
    raise UnsupportedFeatureError(f'position delete files of format {format_[:40]} are not supported: "{path}"', feature=f"{format_[:40]} delete files")


_PIECES = {"parquet": _parquet, "orc": _orc, "avro": _avro}


def _names(schema: pa.Schema, path: str) -> list[str]:
    """What the two columns are called in the file: by their reserved ids, else by their names."""
    found = []
    for field in _WANTED:
        wanted_id = field.metadata[FIELD_ID]
        by_id = [f.name for f in schema if wanted_id in ((f.metadata or {}).get(FIELD_ID), (f.metadata or {}).get(b"iceberg.id"))]
        names = by_id or [f.name for f in schema if f.name == field.name]
        if not names:
            raise DataFileError(f'position delete file "{path}" has no column {field.name}, but {", ".join(schema.names[:10])}')
        found.append(names[0])
    return found


def _piece(batch: pa.RecordBatch, names: list[str]) -> pa.Table:
    return pa.table([batch.column(batch.schema.get_field_index(n)).cast(f.type) for n, f in zip(names, _WANTED, strict=True)], schema=_WANTED)


def _one(column: pa.ChunkedArray) -> pa.Array:
    if column.num_chunks == 1:  # combining would copy it
        return column.chunk(0)
    combined = column.combine_chunks()
    return combined.chunk(0) if isinstance(combined, pa.ChunkedArray) else combined
