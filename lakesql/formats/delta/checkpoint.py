"""A checkpoint's content, read as it is needed: the few actions that are no files at once, the files as blocks of lazily read columns.

    main file(s) --protocol, metaData, txn, domainMetadata, sidecar--> SmallActions
    main file(s) and sidecars --add--> blocks

Whether a checkpoint keeps its files in sidecars is seen from its rows, never from its name. Removes in it are VACUUM's business and are not read for replay.
Source: Delta protocol, "Checkpoints", "V1 Spec", "V2 Spec".
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakesql.errors import MetadataError, MissingFileError
from lakesql.formats.delta.actions import ADD_FIELDS, Metadata, adds_table, metadata_of
from lakesql.formats.delta.blocks import Block, MemoryBlock, PathInStats, concat
from lakesql.formats.delta.commits import read_actions
from lakesql.formats.delta.hint import HINT_NAME, Hint
from lakesql.formats.delta.log import Checkpoint
from lakesql.formats.delta.parquet_actions import ActionsFile
from lakesql.formats.delta.paths import normal_paths
from lakesql.storage import Storage, read_immutable

SIDECAR_FOLDER = "_sidecars"

_SMALL = {"protocol": "minReaderVersion", "metaData": "id", "txn": "appId", "domainMetadata": "domain", "sidecar": "path"}
"""The actions that are no files, and a field that tells in which row groups they are."""
_BLOCK_ROWS = 50_000
_TEXT_ROWS = 16_384
"""Rows of JSON statistics held at once."""


@dataclass(frozen=True)
class SmallActions:
    """The actions of a checkpoint that are no files. sidecars: names in `_sidecars/`."""

    protocol: dict[str, Any] | None
    metadata: Metadata | None
    txns: dict[str, dict[str, Any]] = field(default_factory=dict)
    domains: dict[str, dict[str, Any]] = field(default_factory=dict)
    sidecars: tuple[str, ...] = ()


class CheckpointReader:
    """One checkpoint.

    Opening reads nothing; what was read is kept. Every method raises MetadataError for a checkpoint that is not one, MissingFileError for a lost sidecar.
    """

    def __init__(self, storage: Storage, log: str, root: str, checkpoint: Checkpoint, hint: Hint | None = None) -> None:
        """hint: `_last_checkpoint`, which may list the sidecars, so that the main file need not be read for them."""
        self._storage = storage
        self._log = log
        self._root = root
        self.checkpoint = checkpoint
        self._main = [ActionsFile(storage, e.path) for e in checkpoint.files if e.name.endswith(".parquet")]
        is_meant = hint is not None and hint.v2_name == checkpoint.files[0].name
        self._hinted = tuple(_sidecar_name(path, HINT_NAME) for path, _ in hint.sidecars or ()) if hint is not None and is_meant else ()

    @property
    def files_read(self) -> int:
        """How many files the checkpoint consists of."""
        return len(self.checkpoint.files) + len(self._sidecars)

    @property
    def _sidecars(self) -> tuple[str, ...]:
        return self._hinted or self.small.sidecars

    @cached_property
    def small(self) -> SmallActions:
        """The actions that are no files."""
        collected: dict[str, list[dict[str, Any]]] = {name: [] for name in _SMALL}
        for file in self._main:
            for group in range(file.row_groups):
                for name, rows in _small_rows(file, group):
                    collected[name] += rows
        for name, fields in self._json_actions:
            if name in collected:
                collected[name].append(fields)
        source = self.checkpoint.files[0].path
        return SmallActions(
            protocol=collected["protocol"][-1] if collected["protocol"] else None,
            metadata=metadata_of(collected["metaData"][-1], source) if collected["metaData"] else None,
            txns={str(t.get("appId")): t for t in collected["txn"]},
            domains={str(d.get("domain")): d for d in collected["domainMetadata"]},
            sidecars=tuple(_sidecar_name(s.get("path"), source) for s in collected["sidecar"]),
        )

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """The checkpoint's files. They are all in the main file or all in sidecars, so where the hint lists these, the main file is left alone."""
        main = [] if self._hinted else self._main
        parquet = [*main, *(ActionsFile(self._storage, f"{self._log}/{SIDECAR_FOLDER}/{name}") for name in self._sidecars)]
        blocks: list[Block] = []
        for file in parquet:
            try:
                blocks += _blocks_of(file, self._root)
            except MissingFileError as error:
                raise MissingFileError(f"{error.message}; checkpoint {self.checkpoint.files[0].path} names it", path=file.path, hint=error.hint) from error
        adds = [] if self._hinted else [fields for name, fields in self._json_actions if name == "add"]
        if adds:
            blocks.append(MemoryBlock(adds_table(adds, self._root, self.checkpoint.files[0].path)))
        return tuple(blocks)

    @cached_property
    def _json_actions(self) -> list[tuple[str, dict[str, Any]]]:
        found: list[tuple[str, dict[str, Any]]] = []
        for entry in self.checkpoint.files:
            if entry.name.endswith(".json"):
                found += read_actions(read_immutable(self._storage, entry.path, entry), entry.path, frozenset({*_SMALL, "add"}))
        return found


class CheckpointBlock:
    """Some row groups of a checkpoint file; see Block. Rows without an add are left out of every column."""

    def __init__(self, file: ActionsFile, groups: tuple[int, ...], root: str) -> None:
        self._file = file
        self._groups = groups
        self._root = root
        self._columns: dict[str, pa.Array] = {}
        self.cache: dict[object, object] = {}
        self.lock = threading.Lock()

    @property
    def rows(self) -> int:
        """See Block."""
        return self._present[0]

    def column(self, name: str) -> pa.Array:
        """See Block."""
        if name not in self._columns:
            self._columns[name] = self._read_paths() if name == "path" else self._read_column(name)
        return self._columns[name]

    def stats_texts(self) -> Iterator[pa.Array]:
        """See Block."""
        if self._file.type_of(("add", "stats")) is None:
            return
        kept, at = self._present[1], 0
        for batch in self._file.read_pieces(self._groups, ("add", "stats"), _TEXT_ROWS):
            texts = _as_type(pc.struct_field(batch.column(0), "stats"), pa.string(), self._file.path, "stats")
            yield texts if kept is None else texts.filter(kept[at : at + len(texts)])
            at += len(texts)

    def stats_struct(self, path: PathInStats) -> pa.Array | None:
        """See Block."""
        stats = ("add", "stats_parsed")
        if self._file.type_of(stats) is None:
            return None
        wanted = [(*stats, "numRecords"), (*stats, "tightBounds"), *((*stats, kind, *path) for kind in ("minValues", "maxValues", "nullCount") if path)]
        if not any(self._file.type_of(p) is not None for p in wanted):
            return None
        return self._kept(_checked_text(pc.struct_field(self._add(wanted), "stats_parsed"), self._file.path, "stats_parsed"))

    @cached_property
    def _present(self) -> tuple[int, pa.Array | None]:
        """The number of adds, and which rows of the file they are (None: all). Read off add.size, the smallest column that every add has."""
        add = self._add([("add", "size" if self._file.type_of(("add", "size")) is not None else "path")])
        return len(add) - add.null_count, add.is_valid() if add.null_count else None

    def _read_paths(self) -> pa.Array:
        if self._file.type_of(("add", "path")) is None:
            raise MetadataError(
                f"checkpoint file {self._file.path} lacks the column add.path", hint="it is no Delta checkpoint, or was written by a faulty program"
            )
        texts = self._read_column("path")
        if texts.null_count:
            raise MetadataError(f"checkpoint file {self._file.path}: an add action has no path")
        return normal_paths(texts, self._root, source=self._file.path)

    def _read_column(self, name: str) -> pa.Array:
        if self._file.type_of(("add", name)) is None:
            return pa.nulls(self.rows, ADD_FIELDS[name])
        column = self._kept(pc.struct_field(self._add([("add", name)]), name))
        return _as_type(column, ADD_FIELDS[name], self._file.path, name)

    def _add(self, paths: list[tuple[str, ...]]) -> pa.Array:
        column = self._file.read(self._groups, paths).column(0).combine_chunks()
        return column if isinstance(column, pa.Array) else concat(column.chunks, column.type)

    def _kept(self, column: pa.Array) -> pa.Array:
        kept = self._present[1]
        return column if kept is None else column.filter(kept)


def _blocks_of(file: ActionsFile, root: str) -> Iterator[CheckpointBlock]:
    """Row groups, put together until a block is worth its overhead."""
    if file.type_of(("add",)) is None or not file.rows:
        return
    step = max(1, _BLOCK_ROWS * file.row_groups // file.rows)
    for start in range(0, file.row_groups, step):
        yield CheckpointBlock(file, tuple(range(start, min(start + step, file.row_groups))), root)


def _small_rows(file: ActionsFile, group: int) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The actions of one row group that are no files, as dicts, by name."""
    known = [name for name in _SMALL if pa.types.is_struct(file.type_of((name,)) or pa.null())]
    probes = [(name, _SMALL[name]) if file.type_of((name, _SMALL[name])) is not None else (name,) for name in known]
    if not probes:
        return
    probed = file.read([group], probes)
    there = [name for name in known if probed[name].null_count < len(probed[name])]
    if there:
        rows = file.read([group], [(name,) for name in there])
        for name in there:
            column = rows[name]
            yield name, _plain_rows(column.filter(column.is_valid()), file.path)


def _plain_rows(column: pa.ChunkedArray, path: str) -> list[dict[str, Any]]:
    try:
        rows: list[dict[str, Any]] = column.to_pylist()
    except (UnicodeDecodeError, ValueError, OverflowError) as error:
        raise MetadataError(f"checkpoint file {path} holds values that cannot be read: {error}") from error
    return rows


def _as_type(column: pa.Array, type_: pa.DataType, path: str, name: str) -> pa.Array:
    """A column of a checkpoint as the type this reader works with: encodings and widths differ between writers."""
    if column.type == type_:
        return _checked_text(column, path, name)
    try:
        if pa.types.is_struct(type_) and pa.types.is_struct(column.type):
            there = {column.type.field(i).name for i in range(column.type.num_fields)}
            children = [_as_type(pc.struct_field(column, f.name), f.type, path, name) if f.name in there else pa.nulls(len(column), f.type) for f in type_]
            return pa.StructArray.from_arrays(children, fields=list(type_), mask=column.is_null())
        if pa.types.is_map(type_) and pa.types.is_map(column.type):
            keys, items = (_as_type(part, pa.string(), path, name) for part in (column.keys, column.items))
            offsets = pa.array(np.asarray(column.offsets), mask=np.append(~np.asarray(column.is_valid()), False)) if column.null_count else column.offsets
            return pa.MapArray.from_arrays(offsets, keys, items)
        return _checked_text(column.cast(type_), path, name)
    except (pa.ArrowException, ValueError) as error:
        raise MetadataError(f"checkpoint file {path}: add.{name} is {column.type}; expected {type_}") from error


def _checked_text(column: pa.Array, path: str, name: str) -> pa.Array:
    """The column itself, if every text in it is UTF-8: Arrow does not look at that when it reads."""
    try:
        column.validate(full=True)
    except pa.ArrowInvalid as error:
        raise MetadataError(f"checkpoint file {path}: add.{name} holds what is no {column.type}: {error}") from error
    return column


def _sidecar_name(path: Any, source: str) -> str:
    """The file's name in `_sidecars/`; writers may give more of the path, which a moved table would make wrong."""
    name = unquote(path.rsplit("/", 1)[-1]) if isinstance(path, str) else ""
    if not name or "/" in name or "\0" in name or name in (".", ".."):
        raise MetadataError(f"{source} names a sidecar {path!r}; expected a file in {SIDECAR_FOLDER}/")
    return name
