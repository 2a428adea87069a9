"""A Paimon table of a million files, made of its manifests alone: what `million.py` is for Delta, with the same files, columns and bounds.

    python benchmarks/million_paimon.py DIR [--files 1000000] [--partitions 1000]

An append table partitioned by `day`; manifests of 10,000 files in the order of days, all but the last in the base list. Every value of a column is encoded in
one width, so that a manifest is a byte matrix, filled column by column.
"""

from __future__ import annotations

import argparse
import json
import shutil
import struct
import time
from pathlib import Path
from typing import Any

import million
import numpy as np
import pyarrow as pa
from million import COLUMNS, NOW_MS, Column, Files, matrix

PER_MANIFEST = 10_000
SNAPSHOT = 100
TYPES = {"long": "BIGINT", "integer": "INT", "double": "DOUBLE", "float": "FLOAT", "string": "STRING", "date": "DATE"} | {
    "timestamp": "TIMESTAMP(6) WITH LOCAL TIME ZONE"
}
YES, NO = b"\x02", b"\x00"
"""The branches of a union with null."""
Parts = list[bytes | np.ndarray]

# Avro ----------------------------------------------------------------------------------------------------------------------------------------------


def number(value: int) -> bytes:
    """A whole number, as Avro has it."""
    z, out = (value << 1) ^ (value >> 63), b""
    while z > 127:
        out, z = out + bytes([z & 127 | 128]), z >> 7
    return out + bytes([z])


def numbers(values: np.ndarray) -> np.ndarray:
    """Numbers that all take as many bytes as the greatest."""
    z = values.astype(np.int64) << 1
    width = len(number(int(values.max())))
    if width > 1 and int(z.min()) < 1 << 7 * (width - 1):
        raise ValueError("the values take different widths")
    out = (z[:, None] >> (7 * np.arange(width))) & 127
    out[:, :-1] |= 128
    return out.astype(np.uint8)


def sized(rows: bytes | np.ndarray) -> Parts:
    """Bytes or text, with their length in front."""
    return [number(len(rows) if isinstance(rows, bytes) else rows.shape[1]), rows]


def container(schema: dict[str, Any], blocks: list[tuple[int, bytes]]) -> bytes:
    """An Avro file of blocks: how many records, and their bytes."""
    codec, mark = pa.Codec("zstd"), b"lakesql-bench-01"
    meta = {b"avro.schema": json.dumps(schema).encode(), b"avro.codec": b"zstandard"}
    parts = [b"Obj\x01", number(len(meta)), *(piece for k, v in meta.items() for piece in (*sized(k), *sized(v))), NO, mark]
    for count, raw in blocks:
        packed = codec.compress(raw, asbytes=True)
        parts += [number(count), number(len(packed)), packed, mark]
    return b"".join(bytes(p) for p in parts)


def record(name: str, *fields: tuple[str, Any]) -> dict[str, Any]:
    """A record's schema; a field's type in a list of one is optional."""
    listed = [{"name": n, "type": ["null", *t], "default": None} if isinstance(t, list) else {"name": n, "type": t} for n, t in fields]
    return {"type": "record", "name": name, "fields": listed}


def stats(name: str) -> dict[str, Any]:
    """The schema of statistics."""
    return record(name, ("_MIN_VALUES", "bytes"), ("_MAX_VALUES", "bytes"), ("_NULL_COUNTS", [{"type": "array", "items": ["null", "long"]}]))


TEXTS = {"type": "array", "items": "string"}
FILE = record(
    "record_FILE",
    *(("_FILE_NAME", "string"), ("_FILE_SIZE", "long"), ("_ROW_COUNT", "long"), ("_MIN_KEY", "bytes"), ("_MAX_KEY", "bytes")),
    *(("_KEY_STATS", stats("KEY_STATS")), ("_VALUE_STATS", stats("VALUE_STATS")), ("_MIN_SEQUENCE_NUMBER", "long"), ("_MAX_SEQUENCE_NUMBER", "long")),
    *(("_SCHEMA_ID", "long"), ("_LEVEL", "int"), ("_EXTRA_FILES", TEXTS), ("_CREATION_TIME", [{"type": "long", "logicalType": "timestamp-millis"}])),
    *(("_DELETE_ROW_COUNT", ["long"]), ("_EMBEDDED_FILE_INDEX", ["bytes"]), ("_FILE_SOURCE", ["int"]), ("_VALUE_STATS_COLS", [TEXTS])),
    *(("_EXTERNAL_PATH", ["string"]), ("_FIRST_ROW_ID", ["long"]), ("_WRITE_COLS", [TEXTS])),
)
ENTRY = record("record", ("_VERSION", "int"), ("_KIND", "int"), ("_PARTITION", "bytes"), ("_BUCKET", "int"), ("_TOTAL_BUCKETS", "int"), ("_FILE", FILE))
LISTED = record(
    "record",
    *(("_VERSION", "int"), ("_FILE_NAME", "string"), ("_FILE_SIZE", "long"), ("_NUM_ADDED_FILES", "long"), ("_NUM_DELETED_FILES", "long")),
    *(("_PARTITION_STATS", stats("PARTITION_STATS")), ("_SCHEMA_ID", "long")),
    *((n, ["int"]) for n in ("_MIN_BUCKET", "_MAX_BUCKET", "_MIN_LEVEL", "_MAX_LEVEL")),
)

# Rows of statistics --------------------------------------------------------------------------------------------------------------------------------


def binary_rows(count: int, slots: Parts) -> np.ndarray:
    """Rows of Paimon's BinaryRow. A slot of eight bytes or fewer is a value; of more, what stands in its low half and then what goes into the tail."""
    arity = len(slots)
    head = (arity + 63 + 8) // 64 * 8
    place, fixed, tail = head + 8 * arity, [struct.pack(">i", arity), bytes(head)], []
    for slot in slots:
        width = slot.shape[1]
        if width <= 8:
            fixed += [slot, bytes(8 - width)]
        else:
            fixed += [slot[:, :4], struct.pack("<i", place)]
            tail.append(slot[:, 4:])
            place += width - 4
    return matrix(count, fixed + tail)


def slot(column: Column, values: np.ndarray) -> np.ndarray:
    """A column's values for `binary_rows`."""
    count = len(values)
    if column.delta == "string":
        return matrix(count, [struct.pack("<i", values.shape[1]), values])
    if column.delta == "timestamp":  # milliseconds in the tail; none of the nanoseconds within one
        return matrix(count, [bytes(4), values.astype("<i8").view(np.uint8).reshape(count, 8)])
    scaled = values / 10**column.scale if column.scale else values
    type_ = {"long": "<i8", "integer": "<i4", "date": "<i4", "double": "<f8", "float": "<f4"}[column.delta]
    return np.ascontiguousarray(scaled.astype(type_)).view(np.uint8).reshape(count, -1)


def entries(files: Files) -> tuple[np.ndarray, np.ndarray]:
    """A manifest's records, a row each, and the files' partitions."""
    bounds = files.bounds | {"day": (files.day, files.day)}
    partition = binary_rows(files.count, [slot(next(c for c in COLUMNS if c.name == "day"), files.day)])
    low, high = (binary_rows(files.count, [slot(c, bounds[c.name][side]) for c in COLUMNS]) for side in (0, 1))
    nulls = [part for c in COLUMNS for part in (YES, numbers(files.nulls[c.name]))]
    name = matrix(files.count, [b"data-", million.uuids(files.ids, 40), b"-0.parquet"])
    empty = bytes(12)
    parts: Parts = [number(2), number(0), *sized(partition), number(0), number(-1), *sized(name), numbers(files.size), numbers(files.rows)]
    parts += [*sized(empty) * 4, YES, NO, *sized(low), *sized(high), YES, number(len(COLUMNS)), *nulls, NO]
    parts += [number(0), number(0), number(0), number(0), NO, YES, number(NOW_MS), YES, number(0), NO, YES, number(0), NO, NO, NO, NO]
    return matrix(files.count, parts), partition


# The table -----------------------------------------------------------------------------------------------------------------------------------------


def build(place: Path, *, files: int = 1_000_000, partitions: int = 1000) -> None:
    """Writes the metadata anew. files is a multiple of partitions."""
    if files % partitions:
        raise ValueError("files must be a multiple of partitions")
    shutil.rmtree(place, ignore_errors=True)
    for folder in ("snapshot", "schema", "manifest"):
        (place / folder).mkdir(parents=True)
    fields = [{"id": i, "name": c.name, "type": TYPES[c.delta]} for i, c in enumerate(COLUMNS)]
    options = {"bucket": "-1", "metadata.stats-mode": "truncate(16)"}
    schema = {"version": 3, "id": 0, "fields": fields, "highestFieldId": len(fields) - 1, "partitionKeys": ["day"], "primaryKeys": []}
    (place / "schema" / "schema-0").write_text(json.dumps(schema | {"options": options, "timeMillis": NOW_MS}))
    listed = []
    for count, first in enumerate(range(0, files, PER_MANIFEST)):
        chunk = Files(np.arange(first, min(files, first + PER_MANIFEST), dtype=np.int64), files // partitions)
        listed.append(_manifest(place, f"manifest-{count}", chunk))
    names = [f"manifest-list-{n}" for n in (0, 1)]
    for name, part in zip(names, (listed[:-1], listed[-1:]), strict=True):
        (place / "manifest" / name).write_bytes(container(LISTED, [(len(part), b"".join(part))] if part else []))
    snapshot = {
        "version": 3,
        "id": SNAPSHOT,
        "schemaId": 0,
        "baseManifestList": names[0],
        "deltaManifestList": names[1],
        "commitUser": "benchmark",
        "commitIdentifier": SNAPSHOT,
        "commitKind": "APPEND",
        "timeMillis": NOW_MS,
        "totalRecordCount": 0,
        "deltaRecordCount": 0,
    }
    (place / "snapshot" / f"snapshot-{SNAPSHOT}").write_text(json.dumps(snapshot))
    for hint in ("LATEST", "EARLIEST"):
        (place / "snapshot" / hint).write_text(str(SNAPSHOT))


def _manifest(place: Path, name: str, files: Files) -> bytes:
    """Writes a manifest; its record in a list."""
    rows, partition = entries(files)
    raw = container(ENTRY, [(files.count, rows.tobytes())])
    (place / "manifest" / name).write_bytes(raw)
    ends = [*sized(partition[0].tobytes()), *sized(partition[-1].tobytes()), YES, number(1), YES, number(0), NO]
    parts = [number(2), *sized(name.encode()), number(len(raw)), number(files.count), number(0), *ends, number(0), *[YES, number(0)] * 4]
    return b"".join(bytes(p) for p in parts)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("place", type=Path)
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--partitions", type=int, default=1000)
    arguments = parser.parse_args()
    start = time.perf_counter()
    build(arguments.place, files=arguments.files, partitions=arguments.partitions)
    size = sum(p.stat().st_size for p in arguments.place.rglob("*") if p.is_file())
    print(f"{arguments.files:,} files in {arguments.partitions} days: {size / 1e6:.0f} MB of metadata in {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main()
