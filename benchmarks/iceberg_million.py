"""An Iceberg table of a million files, made of its metadata alone: planning reads nothing else, and no data file exists.

    python benchmarks/iceberg_million.py DIR [--files 1000000] [--partitions 1000] [--per-manifest 10000]

The files are those of `million.py`: sixteen columns with value and null counts and both bounds, partitioned by `day`. Manifests hold files in order, so that
each covers some days. All values are chosen so that their encodings have one width: a manifest is then a byte matrix, filled column by column.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
import uuid
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import pyarrow as pa
from million import COLUMNS, NOW_MS, Column, Files, dates, matrix, uuids

PER_MANIFEST, ROWS_PER_BLOCK = 10_000, 500
SNAPSHOT = 4_358_109_269_898_770_001
DAY_ID = 1 + next(k for k, c in enumerate(COLUMNS) if c.name == "day")
PRESENT, NULL = b"\x02", b"\0"
"""Branches of a union with null: the value follows, or there is none."""
END = b"\0"
"""No further block of an array."""

Parts = list[bytes | np.ndarray]


def build(place: Path, *, files: int = 1_000_000, partitions: int = 1000, per_manifest: int = PER_MANIFEST) -> None:
    """Writes the metadata anew. files is a multiple of partitions."""
    if files % partitions:
        raise ValueError("files must be a multiple of partitions")
    shutil.rmtree(place, ignore_errors=True)
    folder = place / "metadata"
    folder.mkdir(parents=True)
    header = {
        "schema": json.dumps(SCHEMA),
        "schema-id": "0",
        "partition-spec": json.dumps(SPEC),
        "partition-spec-id": "0",
        "format-version": "2",
        "content": "data",
    }
    listed = []
    for first in range(0, files, per_manifest):
        about = Files(np.arange(first, min(files, first + per_manifest), dtype=np.int64), files // partitions)
        path = folder / f"{uuid.UUID(int=1)}-m{len(listed)}.avro"
        _container(path, header, entries(about, f"{place.resolve().as_uri()}/data/day="))
        days = [int(d).to_bytes(4, "little") for d in (about.day.min(), about.day.max())]
        listed.append(
            {
                "manifest_path": path.resolve().as_uri(),
                "manifest_length": path.stat().st_size,
                "partition_spec_id": 0,
                "content": 0,
                "sequence_number": 8,
                "min_sequence_number": 7,
                "added_snapshot_id": SNAPSHOT,
                "added_files_count": 0,
                "existing_files_count": about.count,
                "deleted_files_count": 0,
                "added_rows_count": 0,
                "existing_rows_count": int(about.rows.sum()),
                "deleted_rows_count": 0,
                "partitions": [{"contains_null": False, "contains_nan": False, "lower_bound": days[0], "upper_bound": days[1]}],
                "key_metadata": None,
            }
        )
    manifest_list = folder / f"snap-{SNAPSHOT}.avro"
    with manifest_list.open("wb") as file:
        about_list = {"snapshot-id": str(SNAPSHOT), "parent-snapshot-id": "null", "sequence-number": "8", "format-version": "2"}
        fastavro.writer(file, fastavro.parse_schema(LIST_SCHEMA), listed, codec="deflate", metadata=about_list)
    (folder / "v1.metadata.json").write_text(json.dumps(_metadata(place, manifest_list)))
    (folder / "version-hint.text").write_text("1")


def entries(files: Files, prefix: str) -> np.ndarray:
    """The entries as uint8[files, width], in the encoding of ENTRY_SCHEMA."""
    path_bytes = len(prefix) + 10 + len("/00000-") + 36 + len(".parquet")
    path: Parts = [_varint(path_bytes), prefix.encode(), dates(files.day), b"/00000-", uuids(files.ids, 40), b".parquet"]
    start: Parts = [_varint(0), PRESENT, _varint(SNAPSHOT - 1), PRESENT, _varint(7), PRESENT, _varint(7), _varint(0), *path, _varint(7), b"PARQUET"]
    known: Parts = [PRESENT, _varints(files.day, 3), _varints(files.rows, 3), _varints(files.size, 4)]
    counts = [
        _map(lambda k, _: [_varints(files.size // (14 + k % 5), 4)]),
        _map(lambda *_: [_varints(files.rows, 3)]),
        _map(lambda _, c: [_varints(files.nulls[c.name], 1)]),
        _map(lambda *_: [_varint(0)], [k for k, c in enumerate(COLUMNS) if pa.types.is_floating(c.arrow)]),
    ]
    bounds = [_map(lambda _, c, side=side: _bound(c, files.bounds[c.name][side] if c.name != "day" else files.day)) for side in (0, 1)]
    end: Parts = [NULL, PRESENT, _varint(1), _varint(4), END, NULL, PRESENT, _varint(0)]  # key_metadata, split_offsets, equality_ids, sort_order_id
    return matrix(files.count, [*start, *known, *(part for map_ in (*counts, *bounds) for part in map_), *end])


def _map(value: Callable[[int, Column], Parts], chosen: Sequence[int] = tuple(range(len(COLUMNS)))) -> Parts:
    """A map from field id to a value for each of these columns."""
    return [PRESENT, _varint(len(chosen)), *(part for k in chosen for part in (_varint(k + 1), *value(k, COLUMNS[k]))), END]


def _bound(column: Column, values: np.ndarray) -> Parts:
    """Bounds in their binary single-value form, with their length. values: as Files.bounds has them."""
    if column.delta == "string":
        return [_varint(values.shape[1]), values]
    if column.delta == "timestamp":
        values = values * 1000
    type_ = {"double": "<f8", "float": "<f4", "integer": "<i4", "date": "<i4"}.get(column.delta, "<i8")
    raw = (values / 10**column.scale if column.scale else values).astype(type_)
    return [_varint(raw.itemsize), np.ascontiguousarray(raw).view(np.uint8).reshape(len(raw), -1)]


def _varint(number: int) -> bytes:
    """One Avro long."""
    rest, out = number << 1 if number >= 0 else (-number << 1) - 1, bytearray()
    while rest > 127:
        out.append(rest & 127 | 128)
        rest >>= 7
    return bytes(out + bytes([rest]))


def _varints(numbers: np.ndarray, width: int) -> np.ndarray:
    """Avro longs, none below zero, that all take `width` bytes."""
    doubled = numbers.astype(np.int64) << 1
    least = 1 << 7 * (width - 1) if width > 1 else 0
    if int(doubled.min()) < least or int(doubled.max()) >= 1 << 7 * width:
        raise ValueError(f"numbers between {numbers.min()} and {numbers.max()} do not all take {width} bytes")
    out = (doubled[:, None] >> (7 * np.arange(width))) & 127
    out[:, :-1] |= 128
    return out.astype(np.uint8)


def _container(path: Path, header: dict[str, str], rows: np.ndarray) -> None:
    """An Avro container of these rows, deflated."""
    sync = bytes(range(16))
    said = {"avro.schema": json.dumps(ENTRY_SCHEMA), "avro.codec": "deflate", **header}
    text = lambda value: _varint(len(value.encode())) + value.encode()  # noqa: E731
    with path.open("wb") as out:
        out.write(b"Obj\x01" + _varint(len(said)) + b"".join(text(k) + text(v) for k, v in said.items()) + END + sync)
        for block in _blocks(rows):
            squeeze = zlib.compressobj(6, zlib.DEFLATED, -15)
            body = squeeze.compress(block.tobytes()) + squeeze.flush()
            out.write(_varint(len(block)) + _varint(len(body)) + body + sync)


def _blocks(rows: np.ndarray) -> Iterator[np.ndarray]:
    for first in range(0, len(rows), ROWS_PER_BLOCK):
        yield rows[first : first + ROWS_PER_BLOCK]


# Schemas -------------------------------------------------------------------------------------------------------------------------------------------

_TYPES = {"integer": "int", "timestamp": "timestamptz"}
SCHEMA = {
    "type": "struct",
    "schema-id": 0,
    "fields": [{"id": k + 1, "name": c.name, "required": False, "type": _TYPES.get(c.delta, c.delta)} for k, c in enumerate(COLUMNS)],
}
SPEC = [{"name": "day", "transform": "identity", "source-id": DAY_ID, "field-id": 1000}]


def _plain(name: str, type_: Any, id_: int) -> dict[str, Any]:
    return {"name": name, "type": type_, "field-id": id_}


def _nullable(name: str, type_: Any, id_: int) -> dict[str, Any]:
    return {"name": name, "type": ["null", type_], "default": None, "field-id": id_}


def _pairs(key: int, value: int, type_: str) -> dict[str, Any]:
    pair = {"type": "record", "name": f"k{key}_v{value}", "fields": [_plain("key", "int", key), _plain("value", type_, value)]}
    return {"type": "array", "logicalType": "map", "items": pair}


DATA_FILE = {
    "type": "record",
    "name": "r2",
    "fields": [
        _plain("content", "int", 134),
        _plain("file_path", "string", 100),
        _plain("file_format", "string", 101),
        _plain("partition", {"type": "record", "name": "r102", "fields": [_nullable("day", {"type": "int", "logicalType": "date"}, 1000)]}, 102),
        _plain("record_count", "long", 103),
        _plain("file_size_in_bytes", "long", 104),
        _nullable("column_sizes", _pairs(117, 118, "long"), 108),
        _nullable("value_counts", _pairs(119, 120, "long"), 109),
        _nullable("null_value_counts", _pairs(121, 122, "long"), 110),
        _nullable("nan_value_counts", _pairs(138, 139, "long"), 137),
        _nullable("lower_bounds", _pairs(126, 127, "bytes"), 125),
        _nullable("upper_bounds", _pairs(129, 130, "bytes"), 128),
        _nullable("key_metadata", "bytes", 131),
        _nullable("split_offsets", {"type": "array", "items": "long", "element-id": 133}, 132),
        _nullable("equality_ids", {"type": "array", "items": "int", "element-id": 136}, 135),
        _nullable("sort_order_id", "int", 140),
    ],
}
ENTRY_SCHEMA = {
    "type": "record",
    "name": "manifest_entry",
    "fields": [
        _plain("status", "int", 0),
        _nullable("snapshot_id", "long", 1),
        _nullable("sequence_number", "long", 3),
        _nullable("file_sequence_number", "long", 4),
        _plain("data_file", DATA_FILE, 2),
    ],
}
_SUMMARY = {
    "type": "record",
    "name": "r508",
    "fields": [
        _plain("contains_null", "boolean", 509),
        _nullable("contains_nan", "boolean", 518),
        _nullable("lower_bound", "bytes", 510),
        _nullable("upper_bound", "bytes", 511),
    ],
}
LIST_SCHEMA = {
    "type": "record",
    "name": "manifest_file",
    "fields": [
        _plain("manifest_path", "string", 500),
        _plain("manifest_length", "long", 501),
        _plain("partition_spec_id", "int", 502),
        _plain("content", "int", 517),
        _plain("sequence_number", "long", 515),
        _plain("min_sequence_number", "long", 516),
        _plain("added_snapshot_id", "long", 503),
        _plain("added_files_count", "int", 504),
        _plain("existing_files_count", "int", 505),
        _plain("deleted_files_count", "int", 506),
        _plain("added_rows_count", "long", 512),
        _plain("existing_rows_count", "long", 513),
        _plain("deleted_rows_count", "long", 514),
        _nullable("partitions", {"type": "array", "items": _SUMMARY, "element-id": 508}, 507),
        _nullable("key_metadata", "bytes", 519),
    ],
}


def _metadata(place: Path, manifest_list: Path) -> dict[str, Any]:
    snapshot = {
        "sequence-number": 8,
        "snapshot-id": SNAPSHOT,
        "timestamp-ms": NOW_MS,
        "summary": {"operation": "replace"},
        "manifest-list": manifest_list.resolve().as_uri(),
        "schema-id": 0,
    }
    return {
        "format-version": 2,
        "table-uuid": str(uuid.UUID(int=3)),
        "location": place.resolve().as_uri(),
        "last-sequence-number": 8,
        "last-updated-ms": NOW_MS,
        "last-column-id": len(COLUMNS),
        "current-schema-id": 0,
        "schemas": [SCHEMA],
        "default-spec-id": 0,
        "partition-specs": [{"spec-id": 0, "fields": SPEC}],
        "last-partition-id": 1000,
        "default-sort-order-id": 0,
        "sort-orders": [{"order-id": 0, "fields": []}],
        "properties": {},
        "current-snapshot-id": SNAPSHOT,
        "refs": {"main": {"snapshot-id": SNAPSHOT, "type": "branch"}},
        "snapshots": [snapshot],
        "snapshot-log": [{"timestamp-ms": NOW_MS, "snapshot-id": SNAPSHOT}],
        "metadata-log": [],
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("place", type=Path)
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--partitions", type=int, default=1000)
    parser.add_argument("--per-manifest", type=int, default=PER_MANIFEST)
    arguments = parser.parse_args()
    start = time.perf_counter()
    build(arguments.place, files=arguments.files, partitions=arguments.partitions, per_manifest=arguments.per_manifest)
    size = sum(p.stat().st_size for p in arguments.place.rglob("*") if p.is_file())
    print(f"{arguments.files:,} files in {arguments.partitions} days: {size / 1e6:.0f} MB of metadata in {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main()
