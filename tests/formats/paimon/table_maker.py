"""A writer of small Paimon tables: data files by pyarrow, manifests and snapshots by hand, so that every field can be set as a test needs it.

It writes what it is told - runs at any level, deletion vectors, schemas that change - and keeps no model of what a read must give.
"""

from __future__ import annotations

import datetime as dt
import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pyroaring
from avro.writer import container

from lakesql.formats.paimon.types import DataField, DataType, arrow_type, parse_type

from .rows import row

_OPTIONAL_LONG = ["null", "long"]


def _record(name: str, *fields: tuple[str, Any]) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": [{"name": n, "type": t} for n, t in fields]}


def _stats(name: str) -> dict[str, Any]:
    return _record(name, ("_MIN_VALUES", "bytes"), ("_MAX_VALUES", "bytes"), ("_NULL_COUNTS", ["null", {"type": "array", "items": _OPTIONAL_LONG}]))


_TEXTS = {"type": "array", "items": "string"}
_LIST = _record(
    "ManifestFileMeta",
    *(("_VERSION", "int"), ("_FILE_NAME", "string"), ("_FILE_SIZE", "long"), ("_NUM_ADDED_FILES", "long"), ("_NUM_DELETED_FILES", "long")),
    *(("_PARTITION_STATS", _stats("PartitionStats")), ("_SCHEMA_ID", "long")),
    *((n, ["null", "int"]) for n in ("_MIN_BUCKET", "_MAX_BUCKET", "_MIN_LEVEL", "_MAX_LEVEL")),
)
_FILE = _record(
    "DataFileMeta",
    *(("_FILE_NAME", "string"), ("_FILE_SIZE", "long"), ("_ROW_COUNT", "long"), ("_MIN_KEY", "bytes"), ("_MAX_KEY", "bytes")),
    *(("_KEY_STATS", _stats("KeyStats")), ("_VALUE_STATS", _stats("ValueStats"))),
    *(("_MIN_SEQUENCE_NUMBER", "long"), ("_MAX_SEQUENCE_NUMBER", "long"), ("_SCHEMA_ID", "long"), ("_LEVEL", "int"), ("_EXTRA_FILES", _TEXTS)),
    *(("_DELETE_ROW_COUNT", _OPTIONAL_LONG), ("_EMBEDDED_FILE_INDEX", ["null", "bytes"]), ("_FILE_SOURCE", ["null", "int"])),
    *(("_VALUE_STATS_COLS", ["null", _TEXTS]), ("_EXTERNAL_PATH", ["null", "string"]), ("_FIRST_ROW_ID", _OPTIONAL_LONG), ("_WRITE_COLS", ["null", _TEXTS])),
)
_ENTRY = _record(
    "ManifestEntry", ("_VERSION", "int"), ("_KIND", "int"), ("_PARTITION", "bytes"), ("_BUCKET", "int"), ("_TOTAL_BUCKETS", "int"), ("_FILE", _FILE)
)
_RANGE = _record("Range", ("f0", "string"), ("f1", "int"), ("f2", "int"), ("_CARDINALITY", _OPTIONAL_LONG))
_INDEX = _record(
    "IndexManifestEntry",
    *(("_VERSION", "int"), ("_KIND", "int"), ("_PARTITION", "bytes"), ("_BUCKET", "int"), ("_INDEX_TYPE", "string"), ("_FILE_NAME", "string")),
    *(("_FILE_SIZE", "long"), ("_ROW_COUNT", "long"), ("_DELETIONS_VECTORS_RANGES", ["null", {"type": "array", "items": _RANGE}])),
)


@dataclass(frozen=True)
class DataFile:
    """A data file that was written. meta: as a manifest has it, fields free to be changed."""

    partition: bytes
    bucket: int
    total_buckets: int
    meta: dict[str, Any]

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.meta["_FILE_NAME"])

    def at_level(self, level: int) -> DataFile:
        """The same file, moved up the tree."""
        return self.changed({"_LEVEL": level})

    def changed(self, meta: Mapping[str, Any]) -> DataFile:
        """The same file with other metadata."""
        return DataFile(self.partition, self.bucket, self.total_buckets, {**self.meta, **meta})


@dataclass
class TableMaker:
    """A table at `root`. columns: name to type, as schemas spell them."""

    root: Path
    columns: Mapping[str, Any]
    primary_keys: Sequence[str] = ()
    partition_keys: Sequence[str] = ()
    options: dict[str, str] = field(default_factory=lambda: {"bucket": "1"})
    fields: list[DataField] = field(init=False)
    schema_id: int = field(init=False, default=-1)
    snapshot_id: int = field(init=False, default=0)
    manifests: list[dict[str, Any]] = field(init=False, default_factory=list)
    _highest: int = field(init=False, default=-1)
    _counter: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        for folder in ("schema", "snapshot", "manifest", "index"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        self.evolve([(n, t, None) for n, t in self.columns.items()])

    # Schemas -------------------------------------------------------------------------------------------------------------------------------------

    def evolve(self, columns: Sequence[tuple[str, Any, int | None]], options: dict[str, str] | None = None) -> None:
        """A new schema: columns as (name, type, id), where no id makes a new column."""
        described = []
        for name, type_, id_ in columns:
            if id_ is None:
                self._highest += 1
                id_ = self._highest
            described.append({"id": id_, "name": name, "type": type_})
        self.fields = [DataField(d["id"], d["name"], parse_type(d["type"], "test")) for d in described]
        self.options = self.options if options is None else options
        self.schema_id += 1
        content = {
            "version": 3,
            "id": self.schema_id,
            "fields": described,
            "highestFieldId": self._highest,
            "partitionKeys": list(self.partition_keys),
            "primaryKeys": list(self.primary_keys),
            "options": self.options,
            "timeMillis": 1_700_000_000_000 + self.schema_id,
        }
        (self.root / "schema" / f"schema-{self.schema_id}").write_text(json.dumps(content))

    def field(self, name: str) -> DataField:
        """A column of the newest schema."""
        return next(f for f in self.fields if f.name == name)

    @property
    def key(self) -> list[DataField]:
        """The primary key without partition columns."""
        trimmed = [self.field(n) for n in self.primary_keys if n not in self.partition_keys]
        return trimmed or [self.field(n) for n in self.primary_keys]

    # Data files ----------------------------------------------------------------------------------------------------------------------------------

    def write(
        self,
        rows: Sequence[Mapping[str, Any]],
        *,
        level: int = 0,
        sequence: Sequence[int] | None = None,
        kinds: Sequence[int] | None = None,
        bucket: int = 0,
        total_buckets: int | None = None,
        stats: bool = True,
        meta: Mapping[str, Any] | None = None,
    ) -> DataFile:
        """Writes a file of rows, which are of one partition; those of a table with a primary key are sorted by it here. sequence: their numbers; kinds: 0
        to 3.
        """
        order = list(range(len(rows)))
        if self.primary_keys:
            order.sort(key=lambda i: tuple(_sortable(rows[i][k.name]) for k in self.key))
        numbers = [sequence[i] if sequence else self._next() for i in order] if self.primary_keys else [0] * len(rows)
        kind = [kinds[i] if kinds else 0 for i in order]
        table = self._table([rows[i] for i in order], numbers, kind)
        partition = row(
            [_binary(rows[0].get(n), self.field(n).type) if rows else None for n in self.partition_keys], [self.field(n).type for n in self.partition_keys]
        )
        name = f"data-{self.schema_id}-{self._next()}.parquet"
        folder = self._folder(rows[0] if rows else {}, bucket)
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, folder / name)
        keys = [f.type for f in self.key] if self.primary_keys else []
        ends = [rows[order[0]], rows[order[-1]]] if rows and self.primary_keys else [{}, {}]
        edges = [row([_binary(e.get(f.name), f.type) for f in self.key], keys) for e in ends] if self.primary_keys else [row([], [])] * 2
        found = {
            "_FILE_NAME": name,
            "_FILE_SIZE": (folder / name).stat().st_size,
            "_ROW_COUNT": len(rows),
            "_MIN_KEY": edges[0],
            "_MAX_KEY": edges[1],
            "_KEY_STATS": self._bounds(rows, self.key) if self.primary_keys else _nothing(),
            "_VALUE_STATS": self._bounds(rows, self.fields) if stats else _nothing(),
            "_MIN_SEQUENCE_NUMBER": min(numbers, default=0),
            "_MAX_SEQUENCE_NUMBER": max(numbers, default=0),
            "_SCHEMA_ID": self.schema_id,
            "_LEVEL": level,
            "_EXTRA_FILES": [],
            "_DELETE_ROW_COUNT": sum(k in (1, 3) for k in kind),
            "_EMBEDDED_FILE_INDEX": None,
            "_FILE_SOURCE": 0,
            "_VALUE_STATS_COLS": None if stats else [],
            "_EXTERNAL_PATH": None,
            "_FIRST_ROW_ID": None,
            "_WRITE_COLS": None,
        }
        total = int(self.options.get("bucket", "-1")) if total_buckets is None else total_buckets
        return DataFile(partition, bucket, total, {**found, **(meta or {})})

    def _table(self, rows: Sequence[Mapping[str, Any]], sequence: Sequence[int], kinds: Sequence[int]) -> pa.Table:
        columns: dict[str, pa.Array] = {}
        if self.primary_keys:
            columns |= {f"_KEY_{f.name}": pa.array([r[f.name] for r in rows], arrow_type(f.type)) for f in self.key}
            columns["_SEQUENCE_NUMBER"] = pa.array(sequence, pa.int64())
            columns["_VALUE_KIND"] = pa.array(kinds, pa.int8())
        columns |= {f.name: pa.array([r.get(f.name) for r in rows], arrow_type(f.type)) for f in self.fields}
        return pa.table(columns)

    def _bounds(self, rows: Sequence[Mapping[str, Any]], fields: Sequence[DataField]) -> dict[str, Any]:
        types, sides = [f.type for f in fields], ([], [])
        counts = []
        for column in fields:
            values = [r.get(column.name) for r in rows]
            some = [v for v in values if v is not None and not (isinstance(v, float) and v != v)]
            known = bool(some) and not column.type.is_nested
            for side, pick in zip(sides, (min, max), strict=True):
                side.append(_binary(pick(some), column.type) if known else None)
            counts.append(sum(v is None for v in values))
        return {"_MIN_VALUES": row(sides[0], types), "_MAX_VALUES": row(sides[1], types), "_NULL_COUNTS": counts}

    def _folder(self, values: Mapping[str, Any], bucket: int) -> Path:
        parts = [f"{n}={values[n]}" for n in self.partition_keys]
        return self.root.joinpath(*parts, f"bucket-{bucket}")

    # Commits -------------------------------------------------------------------------------------------------------------------------------------

    def commit(
        self,
        added: Sequence[DataFile] = (),
        deleted: Sequence[DataFile] = (),
        *,
        kind: str = "APPEND",
        vectors: Mapping[str, tuple[DataFile, Sequence[int]]] | None = None,
        wide: bool = False,
        counted: bool = True,
        **more: Any,
    ) -> int:
        """A snapshot with files added and deleted. vectors: by any name files and their deleted positions, all of the snapshot's; wide: as bitmaps of 64 bits;
        counted: the index manifest says how many. more: of the snapshot itself. Returns its number.
        """
        self.snapshot_id += 1
        base = list(self.manifests)
        entries = [_entry(0, f) for f in added] + [_entry(1, f) for f in deleted]
        delta = [self._manifest(entries)] if entries else []
        self.manifests = base + delta
        content = {
            "version": 3,
            "id": self.snapshot_id,
            "schemaId": self.schema_id,
            "baseManifestList": self._list(base),
            "deltaManifestList": self._list(delta),
            "commitUser": "test",
            "commitIdentifier": self.snapshot_id,
            "commitKind": kind,
            "timeMillis": 1_700_000_000_000 + self.snapshot_id * 1000,
            "totalRecordCount": 0,
            "deltaRecordCount": 0,
            **({"indexManifest": self._index(vectors, wide, counted)} if vectors else {}),
            **more,
        }
        (self.root / "snapshot" / f"snapshot-{self.snapshot_id}").write_text(json.dumps(content))
        (self.root / "snapshot" / "LATEST").write_text(str(self.snapshot_id))
        return self.snapshot_id

    def tag(self, name: str, snapshot: int | None = None) -> None:
        """A tag of a snapshot, by default the newest."""
        (self.root / "tag").mkdir(exist_ok=True)
        content = (self.root / "snapshot" / f"snapshot-{snapshot or self.snapshot_id}").read_text()
        (self.root / "tag" / f"tag-{name}").write_text(content)

    def _manifest(self, entries: Sequence[dict[str, Any]]) -> dict[str, Any]:
        name = f"manifest-{self._next()}"
        raw = container(_ENTRY, entries)
        (self.root / "manifest" / name).write_bytes(raw)
        types = [self.field(n).type for n in self.partition_keys]
        nothing = row([None] * len(types), types)
        buckets, levels = [e["_BUCKET"] for e in entries], [e["_FILE"]["_LEVEL"] for e in entries]
        return {
            "_VERSION": 2,
            "_FILE_NAME": name,
            "_FILE_SIZE": len(raw),
            "_NUM_ADDED_FILES": sum(e["_KIND"] == 0 for e in entries),
            "_NUM_DELETED_FILES": sum(e["_KIND"] == 1 for e in entries),
            "_PARTITION_STATS": {"_MIN_VALUES": nothing, "_MAX_VALUES": nothing, "_NULL_COUNTS": [None] * len(types)},
            "_SCHEMA_ID": self.schema_id,
            "_MIN_BUCKET": min(buckets),
            "_MAX_BUCKET": max(buckets),
            "_MIN_LEVEL": min(levels),
            "_MAX_LEVEL": max(levels),
        }

    def _list(self, manifests: Sequence[dict[str, Any]]) -> str:
        name = f"manifest-list-{self._next()}"
        (self.root / "manifest" / name).write_bytes(container(_LIST, manifests))
        return name

    def _index(self, vectors: Mapping[Any, tuple[DataFile, Sequence[int]]], wide: bool, counted: bool) -> str:
        content, entries = bytearray(b"\1"), []
        index_name, name = f"index-{self._next()}", f"index-manifest-{self._next()}"
        for file, positions in vectors.values():
            body = vector_bytes(positions, wide=wide)
            found = {"f0": file.name, "f1": len(content), "f2": len(body) + (8 if wide else 0), "_CARDINALITY": len(set(positions)) if counted else None}
            content += struct.pack(">i", len(body)) + body + struct.pack(">I", zlib.crc32(body))
            entries.append(
                {
                    "_VERSION": 1,
                    "_KIND": 0,
                    "_PARTITION": file.partition,
                    "_BUCKET": file.bucket,
                    "_INDEX_TYPE": "DELETION_VECTORS",
                    "_FILE_NAME": index_name,
                    "_FILE_SIZE": 0,
                    "_ROW_COUNT": 1,
                    "_DELETIONS_VECTORS_RANGES": [found],
                }
            )
        (self.root / "index" / index_name).write_bytes(bytes(content))
        (self.root / "manifest" / name).write_bytes(container(_INDEX, entries))
        return name

    def _next(self) -> int:
        self._counter += 1
        return self._counter


def vector_bytes(positions: Sequence[int], *, wide: bool = False) -> bytes:
    """A deletion vector's magic and bitmap."""
    if wide:
        return struct.pack("<i", 1681511377) + pyroaring.BitMap64(positions).serialize()
    return struct.pack(">i", 1581511376) + pyroaring.BitMap(positions).serialize()


def _entry(kind: int, file: DataFile) -> dict[str, Any]:
    return {"_VERSION": 2, "_KIND": kind, "_PARTITION": file.partition, "_BUCKET": file.bucket, "_TOTAL_BUCKETS": file.total_buckets, "_FILE": file.meta}


def _nothing() -> dict[str, Any]:
    return {"_MIN_VALUES": row([], []), "_MAX_VALUES": row([], []), "_NULL_COUNTS": []}


def _sortable(value: Any) -> Any:
    return (value is not None, value if value is not None else 0)


def _binary(value: Any, type_: DataType) -> Any:
    """A value as rows.row takes it."""
    if isinstance(value, Decimal):
        return int(value.scaleb(type_.scale or 0))
    if isinstance(value, dt.datetime):
        us = (value.replace(tzinfo=dt.UTC) - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)
        return us // 1000, us % 1000 * 1000
    if isinstance(value, dt.date):
        return value.toordinal() - 719_163
    if isinstance(value, dt.time):
        return ((value.hour * 60 + value.minute) * 60 + value.second) * 1000 + value.microsecond // 1000
    if isinstance(value, bool):
        return int(value)
    return value
