"""A Delta table of a million files, made of its log alone: planning reads nothing else, and no data file exists.

    python benchmarks/million.py DIR [--files 1000000] [--partitions 1000] [--stats struct|json]

Sixteen columns with least, greatest and null count each, partitioned by `day` (2023-06-01 and on, files/partitions files a day). File i holds event ids 10^15
+ i * 10^6 and up, a slice of its day in `ts`, and a random range of everything else; `country` and `payload` are cut to sixteen characters, as writers cut
them. All values depend on i alone. The log is a V2 checkpoint at version 100 with sidecars of 50,000 files, then ten commits that each rewrite ten files, so
that commits and checkpoint must be put together.

Texts are built as byte matrices, one row a file and every value in a fixed width, because a million rows of JSON in Python would take longer than reading them.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import shutil
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

PER_SIDECAR = 50_000
CHECKPOINT_VERSION, COMMITS_AFTER, REWRITTEN_PER_COMMIT = 100, 10, 10
FIRST_DAY = dt.date(2023, 6, 1)
EPOCH_DAY = (FIRST_DAY - dt.date(1970, 1, 1)).days
DAY_MS = 86_400_000
NOW_MS = 1_790_000_000_000

FIRST_EVENT_ID, EVENTS_PER_FILE = 10**15, 10**6


@dataclass(frozen=True)
class Column:
    """A column of the table: its Delta type, its Arrow type, and the range its bounds are drawn from: least values below `low`, greatest below `high`."""

    name: str
    delta: str
    arrow: pa.DataType
    low: tuple[int, int] = (0, 0)
    high: tuple[int, int] = (0, 0)
    scale: int = 0


COLUMNS = (
    Column("event_id", "long", pa.int64()),
    Column("user_id", "long", pa.int64(), (10**9, 5 * 10**9), (5 * 10**9, 10**10)),
    Column("ts", "timestamp", pa.timestamp("us", "UTC")),
    Column("day", "date", pa.date32()),
    Column("country", "string", pa.string()),
    Column("amount", "double", pa.float64(), (100, 1_000), (100_000, 1_000_000), 2),
    Column("payload", "string", pa.string()),
    Column("likes", "integer", pa.int32(), (0, 10), (1_000, 10_000)),
    Column("shares", "integer", pa.int32(), (0, 10), (100, 1_000)),
    Column("watch_ms", "long", pa.int64(), (1, 10), (600_000, 1_000_000)),
    Column("position", "integer", pa.int32(), (0, 10), (10, 100)),
    Column("bid", "double", pa.float64(), (100, 1_000), (1_000, 10_000), 2),
    Column("score", "float", pa.float32(), (100, 400), (400, 1_000), 2),
    Column("latency_ms", "integer", pa.int32(), (10, 100), (10_000, 100_000)),
    Column("device_id", "long", pa.int64(), (10**17, 2 * 10**17), (9 * 10**17, 10**18)),
    Column("app_version", "integer", pa.int32(), (100, 200), (200, 300)),
)
LEAST_COUNTRIES = (b"Antigua and Barb", b"Bosnia and Herze", b"Burkina Faso, We", b"Central African ", b"Dominican Republ")
GREATEST_COUNTRIES = (b"Trinidad and Toc", b"Turks and Caicot", b"United Arab Emis", b"United Kingdom p", b"United States og")
NOT_NULL = ("event_id", "ts", "day")

# Bytes in columns ----------------------------------------------------------------------------------------------------------------------------------


def mixed(ids: np.ndarray, salt: int) -> np.ndarray:
    """A well mixed 63-bit number for every id (splitmix64)."""
    with np.errstate(over="ignore"):
        z = ids.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(salt) * np.uint64(0xD1B54A32D192ED03)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return ((z ^ (z >> np.uint64(31))) >> np.uint64(1)).astype(np.int64)


def matrix(rows: int, parts: list[bytes | np.ndarray]) -> np.ndarray:
    """Parts side by side as uint8[rows, width]: bytes stand on every row, matrices are taken as they are."""
    blocks = [np.broadcast_to(np.frombuffer(p, np.uint8), (rows, len(p))) if isinstance(p, bytes) else p for p in parts]
    return np.concatenate(blocks, axis=1)


def decimal_digits(values: np.ndarray, width: int | None = None) -> np.ndarray:
    """Whole numbers as text of one width: that of the greatest where none is given, which every value must then fill."""
    width = width or len(str(int(values.max())))
    return ((values.astype(np.int64)[:, None] // 10 ** np.arange(width - 1, -1, -1, dtype=np.int64)) % 10 + ord("0")).astype(np.uint8)


def hexadecimal(values: np.ndarray, width: int) -> np.ndarray:
    """The low bits of numbers as hexadecimal text."""
    return np.frombuffer(b"0123456789abcdef", np.uint8)[(values[:, None] >> (4 * np.arange(width - 1, -1, -1, dtype=np.int64))) & 15]


def dates(days: np.ndarray) -> np.ndarray:
    """Days since 1970 as 2023-06-01."""
    distinct, place = np.unique(days, return_inverse=True)
    texts = [(dt.date(1970, 1, 1) + dt.timedelta(days=int(day))).isoformat().encode() for day in distinct]
    return np.frombuffer(b"".join(texts), np.uint8).reshape(-1, 10)[place]


def instants(milliseconds: np.ndarray) -> np.ndarray:
    """Milliseconds since 1970 as 2023-06-01T00:00:00.000Z."""
    rest = milliseconds % DAY_MS
    clock = [decimal_digits(rest // 3_600_000, 2), b":", decimal_digits(rest // 60_000 % 60, 2), b":", decimal_digits(rest // 1000 % 60, 2)]
    return matrix(len(milliseconds), [dates(milliseconds // DAY_MS), b"T", *clock, b".", decimal_digits(rest % 1000, 3), b"Z"])


def uuids(ids: np.ndarray, salt: int) -> np.ndarray:
    """A UUID's text for every id."""
    a, b = mixed(ids, salt), mixed(ids, salt + 1)
    groups = [hexadecimal(a, 8), b"-", hexadecimal(a >> 32, 4), b"-4", hexadecimal(b, 3), b"-9", hexadecimal(b >> 12, 3), b"-", hexadecimal(b >> 16, 12)]
    return matrix(len(ids), groups)


def texts(rows: np.ndarray) -> pa.Array:
    """The rows of a byte matrix as Arrow strings."""
    count, width = rows.shape
    offsets = np.arange(count + 1, dtype=np.int32) * width
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(rows)))


# What is on record about files ---------------------------------------------------------------------------------------------------------------------


class Files:
    """Everything the log says of the files `ids`. bounds: name -> (least, greatest), as whole numbers (scaled where the column has a scale) or byte
    matrices.
    """

    def __init__(self, ids: np.ndarray, per_day: int) -> None:
        self.ids, self.count = ids, len(ids)
        self.day = (EPOCH_DAY + ids // per_day).astype(np.int32)
        self.rows = 900_000 + mixed(ids, 1) % 100_000
        self.size = 120_000_000 + mixed(ids, 2) % 14_000_000
        start = self.day.astype(np.int64) * DAY_MS + ids % per_day * (DAY_MS // per_day)
        events = FIRST_EVENT_ID + ids * EVENTS_PER_FILE
        self.bounds: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        for k, column in enumerate(COLUMNS):
            draw = [lo + mixed(ids, 10 + 2 * k + side) % max(1, hi - lo) for side, (lo, hi) in enumerate((column.low, column.high))]
            self.bounds[column.name] = (draw[0], draw[1])
        self.bounds |= {
            "event_id": (events, events + self.rows - 1),
            "ts": (start, start + DAY_MS // per_day - 1),
            "country": (_chosen(LEAST_COUNTRIES, ids, 80), _chosen(GREATEST_COUNTRIES, ids, 81)),
            "payload": (hexadecimal(mixed(ids, 82) >> 8, 16), matrix(self.count, [b"f", hexadecimal(mixed(ids, 83), 15)])),
        }
        self.nulls = {c.name: np.zeros(self.count, np.int64) if c.name in NOT_NULL else 10 + mixed(ids, 90 + k) % 50 for k, c in enumerate(COLUMNS)}

    def paths(self, salt: int = 40) -> pa.Array:
        """One path a file; another salt gives another generation of files."""
        return texts(matrix(self.count, [b"day=", dates(self.day), b"/part-00000-", uuids(self.ids, salt), b".c000.snappy.parquet"]))

    def json_statistics(self) -> pa.Array:
        """The statistics as Delta's JSON text."""
        columns = [c for c in COLUMNS if c.name != "day"]
        parts: list[bytes | np.ndarray] = [b'{"numRecords":', decimal_digits(self.rows)]
        for side, label in enumerate((b"minValues", b"maxValues")):
            parts += [b',"', label, b'":{']
            for k, column in enumerate(columns):
                parts += [b"," * (k > 0), b'"' + column.name.encode() + b'":', *_json_value(column, self.bounds[column.name][side])]
            parts += [b"}"]
        parts += [b',"nullCount":{']
        for k, column in enumerate(columns):
            nulls = self.nulls[column.name]
            parts += [b"," * (k > 0), b'"' + column.name.encode() + b'":', decimal_digits(nulls) if nulls.any() else b"0"]
        return texts(matrix(self.count, [*parts, b'},"tightBounds":true}']))

    def struct_statistics(self) -> pa.Array:
        """The statistics as Delta's `stats_parsed`."""
        columns = [c for c in COLUMNS if c.name != "day"]
        fields = [pa.field(c.name, c.arrow) for c in columns]
        sides = [pa.StructArray.from_arrays([_arrow_value(c, self.bounds[c.name][side]) for c in columns], fields=fields) for side in (0, 1)]
        nulls = pa.StructArray.from_arrays([pa.array(self.nulls[c.name]) for c in columns], names=[c.name for c in columns])
        tight = pa.array(np.ones(self.count, bool))
        return pa.StructArray.from_arrays(
            [pa.array(self.rows), *sides, nulls, tight], names=["numRecords", "minValues", "maxValues", "nullCount", "tightBounds"]
        )


def _chosen(words: tuple[bytes, ...], ids: np.ndarray, salt: int) -> np.ndarray:
    return np.frombuffer(b"".join(words), np.uint8).reshape(len(words), -1)[mixed(ids, salt) % len(words)]


def _json_value(column: Column, values: np.ndarray) -> list[bytes | np.ndarray]:
    if column.delta == "string":
        return [b'"', values, b'"']
    if column.delta == "timestamp":
        return [b'"', instants(values), b'"']
    if column.scale:
        whole = 10**column.scale
        return [decimal_digits(values // whole), b".", decimal_digits(values % whole, column.scale)]
    return [decimal_digits(values)]


def _arrow_value(column: Column, values: np.ndarray) -> pa.Array:
    if column.delta == "string":
        return texts(values)
    if column.delta == "timestamp":
        return pa.array(values * 1000).cast(column.arrow)
    return pa.array(values / 10**column.scale if column.scale else values).cast(column.arrow)


# The log -------------------------------------------------------------------------------------------------------------------------------------------

TEXT_MAP = pa.map_(pa.string(), pa.string())
REMOVE = pa.struct([("path", pa.string()), ("deletionTimestamp", pa.int64()), ("dataChange", pa.bool_())])
ADD = {
    "path": pa.string(),
    "partitionValues": TEXT_MAP,
    "size": pa.int64(),
    "modificationTime": pa.int64(),
    "dataChange": pa.bool_(),
    "stats": pa.string(),
    "tags": TEXT_MAP,
}
FORMAT = pa.struct([("provider", pa.string()), ("options", TEXT_MAP)])
ACTIONS = {
    "protocol": {
        "minReaderVersion": pa.int32(),
        "minWriterVersion": pa.int32(),
        "readerFeatures": pa.list_(pa.string()),
        "writerFeatures": pa.list_(pa.string()),
    },
    "metaData": {
        "id": pa.string(),
        "name": pa.string(),
        "description": pa.string(),
        "format": FORMAT,
        "schemaString": pa.string(),
        "partitionColumns": pa.list_(pa.string()),
        "configuration": TEXT_MAP,
        "createdTime": pa.int64(),
    },
    "checkpointMetadata": {"version": pa.int64(), "tags": TEXT_MAP},
    "sidecar": {"path": pa.string(), "sizeInBytes": pa.int64(), "modificationTime": pa.int64(), "tags": TEXT_MAP},
    "add": ADD,
    "txn": {"appId": pa.string(), "version": pa.int64(), "lastUpdated": pa.int64()},
}


def build(place: Path, *, files: int = 1_000_000, partitions: int = 1000, struct: bool = True) -> None:
    """Writes the log anew. files is a multiple of partitions."""
    if files % partitions:
        raise ValueError("files must be a multiple of partitions")
    shutil.rmtree(place, ignore_errors=True)
    log = place / "_delta_log"
    (log / "_sidecars").mkdir(parents=True)
    per_day = files // partitions
    sidecars = [_sidecar(log, number, chunk, struct) for number, chunk in enumerate(_chunks(files, per_day))]
    _checkpoint(log, files, sidecars, struct)
    _commits(log, files, per_day)


def _chunks(files: int, per_day: int) -> Iterator[Files]:
    for first in range(0, files, PER_SIDECAR):
        yield Files(np.arange(first, min(files, first + PER_SIDECAR), dtype=np.int64), per_day)


def _sidecar(log: Path, number: int, files: Files, struct: bool) -> dict[str, Any]:
    offsets = pa.array(np.arange(files.count + 1, dtype=np.int32))
    days = pa.MapArray.from_arrays(offsets, pa.array(["day"]).take(pa.array(np.zeros(files.count, np.int64))), texts(dates(files.day)))
    fields = {
        "path": files.paths(),
        "partitionValues": days,
        "size": pa.array(files.size),
        "modificationTime": pa.array(np.full(files.count, NOW_MS)),
        "dataChange": pa.array(np.zeros(files.count, bool)),
        "tags": pa.nulls(files.count, TEXT_MAP),
    }
    if struct:
        fields["stats_parsed"] = files.struct_statistics()
        fields["partitionValues_parsed"] = pa.StructArray.from_arrays([pa.array(files.day).cast(pa.date32())], names=["day"])
    else:
        fields["stats"] = files.json_statistics()
    adds = pa.StructArray.from_arrays(list(fields.values()), names=list(fields))
    path = log / "_sidecars" / f"{uuid.UUID(int=number)}.parquet"
    pq.write_table(pa.table({"add": adds, "remove": pa.nulls(files.count, REMOVE)}), path, compression="snappy")
    return {"path": path.name, "sizeInBytes": path.stat().st_size, "modificationTime": NOW_MS, "tags": None}


def _checkpoint(log: Path, files: int, sidecars: list[dict[str, Any]], struct: bool) -> None:
    schema = {"type": "struct", "fields": [{"name": c.name, "type": c.delta, "nullable": True, "metadata": {}} for c in COLUMNS]}
    configuration = {
        "delta.checkpointPolicy": "v2",
        "delta.checkpoint.writeStatsAsJson": str(not struct).lower(),
        "delta.checkpoint.writeStatsAsStruct": str(struct).lower(),
    }
    metadata = {
        "id": str(uuid.UUID(int=10**6)),
        "format": {"provider": "parquet", "options": []},
        "schemaString": json.dumps(schema),
        "partitionColumns": ["day"],
        "configuration": list(configuration.items()),
        "createdTime": NOW_MS,
    }
    protocol = {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["v2Checkpoint"], "writerFeatures": ["v2Checkpoint"]}
    first: list[dict[str, Any]] = [{"checkpointMetadata": {"version": CHECKPOINT_VERSION}}, {"protocol": protocol}, {"metaData": metadata}]
    rows = first + [{"sidecar": s} for s in sidecars]
    columns = {name: pa.array([row.get(name) for row in rows], pa.struct(list(fields.items()))) for name, fields in ACTIONS.items()}
    path = log / f"{CHECKPOINT_VERSION:020}.checkpoint.{uuid.UUID(int=10**6 + 1)}.parquet"
    pq.write_table(pa.table(columns | {"remove": pa.nulls(len(rows), REMOVE)}), path, compression="snappy")
    hint = {"version": CHECKPOINT_VERSION, "size": files + len(rows), "sizeInBytes": path.stat().st_size + sum(s["sizeInBytes"] for s in sidecars)}
    (log / "_last_checkpoint").write_text(json.dumps(hint | {"numOfAddFiles": files}))


def _commits(log: Path, files: int, per_day: int) -> None:
    count = min(COMMITS_AFTER * REWRITTEN_PER_COMMIT, files)
    chosen = Files(np.arange(count, dtype=np.int64) * (files // count), per_day)
    before, after, statistics, days = (a.to_pylist() for a in (chosen.paths(), chosen.paths(42), chosen.json_statistics(), texts(dates(chosen.day))))
    for k in range(COMMITS_AFTER):
        lines: list[dict[str, Any]] = [{"commitInfo": {"timestamp": NOW_MS + k, "operation": "OPTIMIZE", "operationParameters": {}}}]
        for i in range(k * count // COMMITS_AFTER, (k + 1) * count // COMMITS_AFTER):
            both = {"partitionValues": {"day": days[i]}, "size": int(chosen.size[i]), "dataChange": False}
            lines.append({"remove": {"path": before[i], "deletionTimestamp": NOW_MS, "extendedFileMetadata": True, **both}})
            lines.append({"add": {"path": after[i], "modificationTime": NOW_MS, "stats": statistics[i], **both}})
        write_commit(log, CHECKPOINT_VERSION + 1 + k, lines)


def write_commit(log: Path, version: int, actions: list[dict[str, Any]]) -> Path:
    """One commit of the log, one action a line."""
    path = log / f"{version:020}.json"
    path.write_text("".join(json.dumps(a) + "\n" for a in actions))
    return path


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("place", type=Path)
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--partitions", type=int, default=1000)
    parser.add_argument("--stats", choices=["struct", "json"], default="struct")
    arguments = parser.parse_args()
    start = time.perf_counter()
    build(arguments.place, files=arguments.files, partitions=arguments.partitions, struct=arguments.stats == "struct")
    size = sum(p.stat().st_size for p in arguments.place.rglob("*") if p.is_file())
    print(f"{arguments.files:,} files in {arguments.partitions} days: {size / 1e6:.0f} MB of log in {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main()
