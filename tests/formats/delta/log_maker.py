"""Delta logs made by hand, in memory: for tests of what a log means."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lakesql.formats.delta.table import DeltaTable
from lakesql.storage import MemoryStorage
from lakesql.table import AtVersion, Latest

ROOT = "/lake/t"
LOG = f"{ROOT}/_delta_log"
START_US = 1_700_000_000_000_000

TEXT_MAP = pa.map_(pa.string(), pa.string())
VECTOR = pa.struct(
    [("storageType", pa.string()), ("pathOrInlineDv", pa.string()), ("offset", pa.int32()), ("sizeInBytes", pa.int32()), ("cardinality", pa.int64())]
)
ADD = {
    "path": pa.string(),
    "partitionValues": TEXT_MAP,
    "size": pa.int64(),
    "modificationTime": pa.int64(),
    "dataChange": pa.bool_(),
    "stats": pa.string(),
    "deletionVector": VECTOR,
    "baseRowId": pa.int64(),
    "defaultRowCommitVersion": pa.int64(),
}
CHECKPOINT = {
    "protocol": pa.struct(
        [
            ("minReaderVersion", pa.int32()),
            ("minWriterVersion", pa.int32()),
            ("readerFeatures", pa.list_(pa.string())),
            ("writerFeatures", pa.list_(pa.string())),
        ]
    ),
    "metaData": pa.struct(
        [
            ("id", pa.string()),
            ("format", pa.struct([("provider", pa.string()), ("options", TEXT_MAP)])),
            ("schemaString", pa.string()),
            ("partitionColumns", pa.list_(pa.string())),
            ("configuration", TEXT_MAP),
            ("createdTime", pa.int64()),
        ]
    ),
    "add": pa.struct(list(ADD.items())),
    "remove": pa.struct([("path", pa.string()), ("deletionTimestamp", pa.int64()), ("dataChange", pa.bool_()), ("deletionVector", VECTOR)]),
    "txn": pa.struct([("appId", pa.string()), ("version", pa.int64()), ("lastUpdated", pa.int64())]),
    "domainMetadata": pa.struct([("domain", pa.string()), ("configuration", pa.string()), ("removed", pa.bool_())]),
    "sidecar": pa.struct([("path", pa.string()), ("sizeInBytes", pa.int64()), ("modificationTime", pa.int64()), ("tags", TEXT_MAP)]),
    "checkpointMetadata": pa.struct([("version", pa.int64()), ("tags", TEXT_MAP)]),
}
"""The columns of a checkpoint, by action."""

Action = dict[str, Any]


def schema_text(**columns: Any) -> str:
    """A schemaString; a column's type as Delta names it."""
    return json.dumps({"type": "struct", "fields": [{"name": n, "type": t, "nullable": True, "metadata": {}} for n, t in columns.items()]})


def protocol(reader: int = 1, writer: int = 2, features: Sequence[str] | None = None) -> Action:
    fields: dict[str, Any] = {"minReaderVersion": reader, "minWriterVersion": writer}
    if features is not None:
        fields |= {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": list(features), "writerFeatures": list(features)}
    return {"protocol": fields}


def metadata(schema: str | None = None, partitions: Sequence[str] = (), id: str = "a-table", **configuration: str) -> Action:
    return {
        "metaData": {
            "id": id,
            "format": {"provider": "parquet", "options": {}},
            "schemaString": schema if schema is not None else schema_text(id="long"),
            "partitionColumns": list(partitions),
            "configuration": {k.replace("__", "."): v for k, v in configuration.items()},
            "createdTime": START_US // 1000,
        }
    }


def add(path: str, rows: int | None = None, dv: Action | None = None, partition: dict[str, str | None] | None = None, size: int = 100, **fields: Any) -> Action:
    action: dict[str, Any] = {"path": path, "partitionValues": partition or {}, "size": size, "modificationTime": 1_700_000_000_000, "dataChange": True}
    if rows is not None:
        action["stats"] = json.dumps({"numRecords": rows})
    if dv is not None:
        action["deletionVector"] = dv
    return {"add": action | fields}


def remove(path: str, dv: Action | None = None, **fields: Any) -> Action:
    return {"remove": {"path": path, "deletionTimestamp": 1_700_000_000_000, "dataChange": True} | ({"deletionVector": dv} if dv else {}) | fields}


def vector(name: str, cardinality: int = 1, offset: int | None = 1) -> Action:
    """The descriptor of a deletion vector that nobody decodes."""
    return {"storageType": "u", "pathOrInlineDv": name, "offset": offset, "sizeInBytes": 40, "cardinality": cardinality}


class Log:
    """A table's log, grown commit by commit."""

    def __init__(self, root: str = ROOT) -> None:
        self.root = root
        self.folder = f"{root}/_delta_log"
        self.storage = MemoryStorage()
        self.version = -1

    def commit(self, *actions: Action, version: int | None = None, at_us: int | None = None) -> Log:
        """The next commit, or one of a given version; an hour after the one before it."""
        self.version = self.version + 1 if version is None else version
        return self.file(f"{self.version:020}.json", "".join(json.dumps(a) + "\n" for a in actions), at_us)

    def create(self, *actions: Action, **options: Any) -> Log:
        """The first commit of a plain table."""
        return self.commit(protocol(), metadata(**options), *actions)

    def file(self, name: str, content: bytes | str, at_us: int | None = None) -> Log:
        path = f"{self.folder}/{name}"
        self.storage.files[path] = content.encode() if isinstance(content, str) else content
        self.storage.modified_us[path] = START_US + self.version * 3_600_000_000 if at_us is None else at_us
        return self

    def drop(self, *versions: int) -> Log:
        """Cleans commits up."""
        for version in versions:
            del self.storage.files[f"{self.folder}/{version:020}.json"]
        return self

    def checkpoint(self, version: int, *actions: Action, hint: bool = True, name: str | None = None) -> Log:
        self.file(name or f"{version:020}.checkpoint.parquet", parquet(actions))
        return self.hint(version) if hint else self

    def hint(self, version: int, **fields: Any) -> Log:
        return self.file("_last_checkpoint", json.dumps({"version": version, "size": 1} | fields))

    @property
    def table(self) -> DeltaTable:
        return DeltaTable(self.storage, self.root, {})

    def paths(self, version: int | None = None) -> list[str]:
        """The active files, by their normal paths, sorted."""
        return paths(self.table, version)


def paths(table: DeltaTable, version: int | None = None) -> list[str]:
    snapshot = table.snapshot(Latest() if version is None else AtVersion(str(version)))
    return sorted(snapshot.files.column("path").to_pylist())


def parquet(actions: Sequence[Action], row_group_size: int | None = None, columns: Sequence[str] | None = None) -> bytes:
    """Actions as a checkpoint file."""
    names = columns or list(CHECKPOINT)
    table = pa.table({name: pa.array([_plain(a.get(name)) for a in actions], CHECKPOINT[name]) for name in names})
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=row_group_size)
    return sink.getvalue()


def _plain(value: Any) -> Any:
    """Objects that are maps as lists of pairs, for pyarrow."""
    if not isinstance(value, dict):
        return value
    return {k: list(v.items()) if k in ("partitionValues", "configuration", "options", "tags") and v is not None else _plain(v) for k, v in value.items()}
