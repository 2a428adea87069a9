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
from collections.abc import Callable, Hashable, Iterator, Sequence
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
from lakesql.formats.iceberg.deletes import FILE_PATH_ID, POS_ID, DeleteFiles, Deletes, Ints, Mask, latest_by_code
from lakesql.formats.iceberg.deletion_vectors import Vector, decode
from lakesql.formats.iceberg.manifest import Kept
from lakesql.formats.iceberg.places import Places
from lakesql.formats.iceberg.types import FIELD_ID
from lakesql.location import is_local
from lakesql.storage import CachedStorage, Storage

ROWS = pa.schema([("path", pa.dictionary(pa.int32(), pa.string())), ("position", pa.int64())])
_WANTED = pa.schema([pa.field("file_path", pa.string(), metadata={FIELD_ID: str(FILE_PATH_ID)}), pa.field("pos", pa.int64(), metadata={FIELD_ID: str(POS_ID)})])
_BATCH_ROWS = 1 << 18
_REMOTE_READERS = 16
_KEPT_BYTES = 64 << 20
"""How much of decoded position delete files is kept, over all tables of a session."""
_KEPT_ROWS = 1 << 18
"""Position delete files of more rows are read anew each time, piece by piece."""

Found = tuple[np.ndarray, Ints]
"""The numbers of data files, and a position for each."""

_of_storage: WeakKeyDictionary[CachedStorage, Kept[_Decoded]] = WeakKeyDictionary()
_of_storage_lock = threading.Lock()
_NO_POSITION = np.iinfo(np.int64).min


def deleted_rows(storage: Storage, places: Places, deletes: Deletes) -> pa.Table:
    """The deleted rows of the data files of `deletes`, as ROWS; a row may come twice. Raises DataFileError, MissingFileError, of the first that has one."""
    found = _found(storage, places, deletes)
    if not found:
        return ROWS.empty_table()
    codes = pa.array(np.concatenate([data_files for data_files, _ in found]))
    positions = pa.array(np.concatenate([at for _, at in found]), pa.int64())
    return pa.table([pa.DictionaryArray.from_arrays(codes, deletes.paths), positions], schema=ROWS)


def count_deleted(storage: Storage, places: Places, deletes: Deletes, record_count: Ints) -> Ints:
    """How many of the rows of each data file are deleted by position, each row counted once. record_count: how many rows the files have, none unknown.

    Raises as `deleted_rows` does.
    """
    found = _found(storage, places, deletes)
    counts = np.zeros(len(deletes.paths), np.int64)
    if not found:
        return counts
    data_files, positions = np.concatenate([f for f, _ in found]), np.concatenate([at for _, at in found])
    inside = (positions >= 0) & (positions < record_count[data_files])
    data_files, positions = data_files[inside], positions[inside]
    order = np.lexsort((positions, data_files))
    data_files, positions = data_files[order], positions[order]
    first = np.ones(len(order), np.bool_)
    first[1:] = (data_files[1:] != data_files[:-1]) | (positions[1:] != positions[:-1])
    counted: Ints = np.bincount(data_files[first], minlength=len(counts)).astype(np.int64)
    return counted


def _found(storage: Storage, places: Places, deletes: Deletes) -> list[Found]:
    """The data files and positions that delete files name, in pieces."""
    work = [partial(_from_vector, storage, deletes, n) for n in np.flatnonzero(deletes.vector >= 0).tolist()]
    chosen = np.flatnonzero(_concern_any(deletes))
    files = deletes.positions.take(chosen)
    keys = _keys(files) if (kept := _kept_of(storage)) is not None else []
    small = pc.less_equal(pc.fill_null(files.record_count, 0), _KEPT_ROWS).to_pylist() if kept is not None else [False] * len(files)
    decoded: dict[int, _Decoded] = {}
    for n in range(len(files)):
        known = kept.get(keys[n]) if kept is not None and small[n] else None
        if known is not None:
            decoded[n] = known
        elif kept is not None and small[n]:
            work.append(partial(_decode, storage, files, n, kept, keys[n], decoded))
        else:
            work.append(partial(_from_large_file, storage, places, deletes, files, n))
    found: list[Found] = []
    if work:
        local = is_local(deletes.paths[0].as_py())
        with ThreadPoolExecutor(min(len(work), (os.cpu_count() or 1) if local else _REMOTE_READERS)) as pool:
            found = [pair for pairs in pool.map(lambda each: each(), work) for pair in pairs]
    if decoded:
        numbers = sorted(decoded)
        found.append(_among(places, deletes, files.take(np.array(numbers, np.int64)), [decoded[n] for n in numbers]))
    return found


def _keys(files: DeleteFiles) -> list[Hashable]:
    """What each delete file is kept under: its name is one of a kind, and no file made anew in its place has its size and number."""
    columns = (files.path.to_pylist(), files.format.to_pylist(), files.size_bytes.to_pylist(), files.sequence.tolist())
    return list(zip(*columns, strict=True))


def _concern_any(deletes: Deletes) -> Mask:
    """Which position delete files may name one of the data files: not older than it, and it has no vector."""
    files, touched = deletes.positions, deletes.has_positions
    concerned = np.zeros(len(files), np.bool_)
    if not len(files) or not touched.any():
        return concerned
    place = _places_of(files.named, deletes.paths)
    named = np.flatnonzero(place >= 0)
    concerned[named] = touched[place[named]] & (deletes.sequence[place[named]] <= files.sequence[named])
    many = np.flatnonzero(files.named.is_null().to_numpy(zero_copy_only=False))
    if len(many):
        oldest = -latest_by_code(deletes.codes[touched], -deletes.sequence[touched], files.codes[many], absent=-(2**62))
        concerned[many] = files.sequence[many] >= oldest
    return concerned


def _places_of(paths: pa.Array, among: pa.Array) -> Ints:
    """The place of each path among others, -1 where it is not there."""
    found: Ints = pc.fill_null(pc.index_in(paths, value_set=among), -1).to_numpy(zero_copy_only=False).astype(np.int64)
    return found


def _among(places: Places, deletes: Deletes, files: DeleteFiles, decoded: Sequence[_Decoded]) -> Found:
    """What decoded delete files say of the data files they concern, each data file's positions in order within one of them."""
    owner = np.repeat(np.arange(len(decoded)), [len(d.paths) for d in decoded])
    data_file = _places_of(places.resolve_all(pa.concat_arrays([d.paths for d in decoded])), deletes.paths)
    named = _places_of(files.named, deletes.paths)[owner]
    by_name = files.named.is_valid().to_numpy(zero_copy_only=False)[owner]
    hit = (data_file >= 0) & deletes.has_positions[data_file] & (deletes.sequence[data_file] <= files.sequence[owner])
    hit &= np.where(by_name, named == data_file, deletes.codes[data_file] == files.codes[owner])
    lengths = np.concatenate([d.lengths for d in decoded])
    positions = np.concatenate([d.positions for d in decoded])[np.repeat(hit, lengths)]
    if len(positions) and positions.min() == _NO_POSITION:
        nameless = next(n for n, d in enumerate(decoded) if len(d.positions) and d.positions.min() == _NO_POSITION)
        raise _no_position(files.source_path[nameless].as_py())
    return np.repeat(data_file[hit], lengths[hit]).astype(np.int32), positions


def _no_position(name: str) -> DataFileError:
    return DataFileError(f'position delete file "{name}" has rows without a position')


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


def _from_large_file(storage: Storage, places: Places, deletes: Deletes, files: DeleteFiles, number: int) -> list[Found]:
    """The data files and positions that a position delete file names, among those it concerns; only they are held."""
    file = files.take(np.array([number], np.int64))
    concerned = _concerned(deletes, file)
    rows = _Rows(places, file.source_path[0].as_py(), deletes.paths.take(pa.array(concerned)), concerned)
    read_positions(storage, file.path[0].as_py(), file.format[0].as_py(), rows.keep)
    return rows.found


def _decode(storage: Storage, files: DeleteFiles, number: int, kept: Kept[_Decoded], key: Hashable, into: dict[int, _Decoded]) -> list[Found]:
    """Decodes a position delete file, and keeps it."""
    pieces: list[pa.Table] = []
    read_positions(storage, files.path[number].as_py(), files.format[number].as_py(), pieces.append)
    decoded = into[number] = _Decoded.of(pa.concat_tables(pieces) if pieces else _WANTED.empty_table())
    if decoded.nbytes <= _KEPT_BYTES // 16:  # the manifest may have promised fewer rows
        kept.put(key, decoded, decoded.nbytes)
    return []


def _kept_of(storage: Storage) -> Kept[_Decoded] | None:
    """What is kept for a storage; None for one that keeps no files either."""
    if not isinstance(storage, CachedStorage):
        return None
    with _of_storage_lock:
        if storage not in _of_storage:
            _of_storage[storage] = Kept(_KEPT_BYTES)
        return _of_storage[storage]


@dataclass(frozen=True)
class _Decoded:
    """What a position delete file says. paths: the data files it names, as it spells them; lengths: how many positions each has; positions: those of the first,
    then those of the next, ascending, each once. A row without a position has _NO_POSITION.
    """

    paths: pa.Array
    lengths: Ints
    positions: Ints

    @staticmethod
    def of(rows: pa.Table) -> _Decoded:
        """The rows, of file_path and pos, in any order."""
        rows = rows.filter(rows.column("file_path").is_valid())
        encoded = _one(pc.dictionary_encode(rows.column("file_path")))
        code = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        position = pc.fill_null(rows.column("pos"), _NO_POSITION).to_numpy().astype(np.int64)
        if len(code) and not bool(((code[1:] > code[:-1]) | ((code[1:] == code[:-1]) & (position[1:] > position[:-1]))).all()):
            order = np.lexsort((position, code))
            code, position = code[order], position[order]
            first = np.ones(len(code), np.bool_)
            first[1:] = (code[1:] != code[:-1]) | (position[1:] != position[:-1])
            code, position = code[first], position[first]
        return _Decoded(encoded.dictionary, np.bincount(code, minlength=len(encoded.dictionary)).astype(np.int64), position)

    @property
    def nbytes(self) -> int:
        """What it takes in memory."""
        return int(self.paths.nbytes + self.lengths.nbytes + self.positions.nbytes)


class _Rows:
    """Rows of one position delete file that name a data file it concerns. wanted: paths of those; numbers: theirs among all data files."""

    def __init__(self, places: Places, name: str, wanted: pa.Array, numbers: Ints) -> None:
        self.found: list[Found] = []
        self._places = places
        self._name = name
        self._wanted = wanted
        self._numbers = numbers

    def keep(self, piece: pa.Table) -> None:
        """Takes what is wanted of a piece, of file_path and pos."""
        paths = _one(pc.dictionary_encode(piece.column("file_path")))
        place = pc.index_in(self._places.resolve_all(paths.dictionary), value_set=self._wanted).take(paths.indices)
        hit = place.is_valid()
        positions = _one(piece.column("pos")).filter(hit)
        if positions.null_count:
            raise _no_position(self._name)
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
