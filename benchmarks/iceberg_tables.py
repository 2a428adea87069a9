"""Iceberg tables for the benchmarks: TPC-H `lineitem` sorted by ship date in 200 files, and 10,000,000 rows with a key, both written by pyiceberg; and beside
each the same data files with deletes, which pyiceberg does not write: their manifests and metadata are written here.

    lineitem    clean; `positions` (version 2, a position delete file for each data file), `vectors` (version 3, deletion vectors in one Puffin file): one row
                in a hundred of every file
    events      clean; `equality` (version 2, one equality delete file of 100,000 keys, spread over all files)

Tables with deletes name the clean table's data files and its manifest, so all that differs is what is deleted. Source: Iceberg table spec, "Manifests",
"Delete Formats"; Puffin spec, "deletion-vector-v1".
"""

from __future__ import annotations

import copy
import json
import shutil
import struct
import uuid
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fastavro
import lineitem
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyroaring

DELETED_SHARE = 100
EVENTS, EVENT_FILES, DELETED_KEYS = 10_000_000, 20, 100_000
NOW_MS = 1_790_000_000_000
SNAPSHOT = 7_000_000_000_000_000_001
POSITION_IDS = {"file_path": 2147483546, "pos": 2147483545}
VECTOR_MAGIC = b"\xd1\xd3\x39\x64"


@dataclass(frozen=True)
class IcebergLineitem:
    """The three tables, each by its newest metadata file; about: the files of the clean one, as `lineitem.py` describes them."""

    clean: Path
    positions: Path
    vectors: Path
    about: lineitem.Lineitem


def build_lineitem(data: Path, scale: float) -> IcebergLineitem:
    """The tables below `data`, made where they are not there yet; the rows are those of the Delta table."""
    home = data / f"iceberg-lineitem-sf{scale:g}"
    if not (home / "done").exists():
        shutil.rmtree(home, ignore_errors=True)
        source = lineitem.build(data, scale)
        write_clean(home / "clean", "lineitem", (pq.read_table(f.path) for f in source.files))
        clean = Clean(home / "clean")
        with_positions(clean, home / "positions")
        with_vectors(clean, home / "vectors")
        (home / "done").touch()
    files = tuple(sorted((lineitem.described(p) for p in (home / "clean").rglob("*.parquet")), key=lambda f: (f.first_day, f.last_day)))
    clean, positions, vectors = (newest(home / name) for name in ("clean", "positions", "vectors"))
    return IcebergLineitem(clean, positions, vectors, lineitem.Lineitem(home / "clean", home / "vectors", files))


def build_events(data: Path) -> tuple[Path, Path]:
    """The metadata files of the table of events without and with equality deletes."""
    home = data / "iceberg-events"
    if not (home / "done").exists():
        shutil.rmtree(home, ignore_errors=True)
        write_clean(home / "clean", "events", _events())
        with_equality(Clean(home / "clean"), home / "equality")
        (home / "done").touch()
    return newest(home / "clean"), newest(home / "equality")


def newest(table: Path) -> Path:
    """The metadata file of the highest number."""
    return max((table / "metadata").glob("*.metadata.json"), key=lambda p: int(p.name.lstrip("v").partition("-")[0].partition(".")[0]))


def _events() -> Iterable[pa.Table]:
    """Files of events in the order of their ids, which are odd, so that keys can also miss."""
    random = np.random.default_rng(3)
    per_file = EVENTS // EVENT_FILES
    kinds = pa.array(["view", "click", "like", "share", "follow"])
    for k in range(EVENT_FILES):
        ids = np.arange(k * per_file, (k + 1) * per_file, dtype=np.int64) * 2 + 1
        kind = kinds.take(pa.array(random.integers(0, 5, per_file)))
        yield pa.table({"event_id": ids, "user_id": random.integers(0, 10**6, per_file), "amount": random.random(per_file), "kind": kind})


def write_clean(place: Path, name: str, parts: Iterable[pa.Table]) -> None:
    """A table written by pyiceberg in one commit, one data file a part."""
    from pyiceberg.catalog.sql import SqlCatalog
    from pyiceberg.io.pyarrow import _dataframe_to_data_files as data_files

    place.mkdir(parents=True)
    catalog = SqlCatalog("benchmarks", uri="sqlite:///:memory:", warehouse=place.as_uri())
    catalog.create_namespace("benchmarks")
    table, transaction, append = None, None, None
    for part in parts:
        if table is None:
            properties = {"write.parquet.compression-codec": "snappy", "write.data.path": f"{place.as_uri()}/data"}
            table = catalog.create_table(f"benchmarks.{name}", part.schema, location=place.as_uri(), properties=properties)
            transaction = table.transaction()
            append = transaction.update_snapshot().fast_append()
        for file in data_files(table.metadata, part, table.io):
            append.append_data_file(file)
    if table is None:
        raise ValueError("a table needs a part")
    append.commit()
    transaction.commit_transaction()


# Tables with deletes -------------------------------------------------------------------------------------------------------------------------------


class Clean:
    """A table that pyiceberg wrote in one commit: its metadata, the row of its manifest list, the Avro schemas of both, and the entries."""

    def __init__(self, place: Path) -> None:
        self.metadata = json.loads(newest(place).read_text())
        self.list_schema, (self.manifest,) = _avro(_local(self.metadata["snapshots"][-1]["manifest-list"]))
        self.entry_schema, entries = _avro(_local(self.manifest["manifest_path"]))
        self.files: list[dict[str, Any]] = [e["data_file"] for e in entries]
        self.schema = next(s for s in self.metadata["schemas"] if s["schema-id"] == self.metadata["current-schema-id"])

    def field_id(self, name: str) -> int:
        """The id of a column."""
        return int(next(f["id"] for f in self.schema["fields"] if f["name"] == name))


def _local(uri: str) -> Path:
    return Path(uri.removeprefix("file://"))


def _avro(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    with path.open("rb") as file:
        reader = fastavro.reader(file)
        records = list(reader)
        schema = json.loads(reader.metadata["avro.schema"])
    return schema, records


def with_positions(clean: Clean, place: Path) -> None:
    """Version 2: a position delete file for each data file."""
    folder = place / "data"
    folder.mkdir(parents=True)
    deletes = []
    for number, (file, positions) in enumerate(_deleted(clean.files)):
        rows = pa.table(
            [pa.array([file["file_path"]] * len(positions)), pa.array(positions)],
            schema=pa.schema([pa.field(n, t, False, {"PARQUET:field_id": str(POSITION_IDS[n])}) for n, t in (("file_path", pa.string()), ("pos", pa.int64()))]),
        )
        path = folder / f"deletes-{number:05}.parquet"
        pq.write_table(rows, path)
        name = file["file_path"].encode()
        bounds = [{"key": POSITION_IDS["file_path"], "value": name}]
        deletes.append(_delete_file(path, len(positions), content=1, lower_bounds=bounds, upper_bounds=bounds, referenced_data_file=file["file_path"]))
    _write(clean, place, 2, deletes)


def with_vectors(clean: Clean, place: Path) -> None:
    """Version 3: deletion vectors, all in one Puffin file."""
    folder = place / "data"
    folder.mkdir(parents=True)
    path = folder / "vectors.puffin"
    content, deletes, blobs = bytearray(b"PFA1"), [], []
    for file, positions in _deleted(clean.files):
        body = VECTOR_MAGIC + pyroaring.BitMap64(positions.tolist()).serialize()
        blob = struct.pack(">I", len(body)) + body + struct.pack(">I", zlib.crc32(body))
        place_of = {"content_offset": len(content), "content_size_in_bytes": len(blob)}
        blobs.append(_blob(place_of, file["file_path"], len(positions)))
        deletes.append(_delete_file(path, len(positions), content=1, file_format="PUFFIN", referenced_data_file=file["file_path"], **place_of))
        content += blob
    footer = json.dumps({"blobs": blobs, "properties": {}}).encode()
    content += b"PFA1" + footer + struct.pack("<I", len(footer)) + bytes(4) + b"PFA1"
    path.write_bytes(content)
    for delete in deletes:
        delete["file_size_in_bytes"] = len(content)
    _write(clean, place, 3, deletes)


def _blob(place: dict[str, int], data_file: str, count: int) -> dict[str, Any]:
    return {
        "type": "deletion-vector-v1",
        "fields": [2147483645],
        "snapshot-id": -1,
        "sequence-number": -1,
        "offset": place["content_offset"],
        "length": place["content_size_in_bytes"],
        "properties": {"referenced-data-file": data_file, "cardinality": str(count)},
    }


def with_equality(clean: Clean, place: Path) -> None:
    """Version 2: one equality delete file of keys from all over the table."""
    folder = place / "data"
    folder.mkdir(parents=True)
    keys = np.sort(np.random.default_rng(4).choice(EVENTS, DELETED_KEYS, replace=False).astype(np.int64)) * 2 + 1
    id_ = clean.field_id("event_id")
    path = folder / "deletes.parquet"
    pq.write_table(pa.table([pa.array(keys)], schema=pa.schema([pa.field("event_id", pa.int64(), metadata={"PARQUET:field_id": str(id_)})])), path)
    bounds = [[{"key": id_, "value": struct.pack("<q", k)}] for k in (int(keys[0]), int(keys[-1]))]
    _write(clean, place, 2, [_delete_file(path, len(keys), content=2, equality_ids=[id_], lower_bounds=bounds[0], upper_bounds=bounds[1])])


def _deleted(files: Sequence[dict[str, Any]]) -> Iterable[tuple[dict[str, Any], np.ndarray]]:
    """For each file one row in a hundred, at random."""
    random = np.random.default_rng(1)
    for file in files:
        rows = file["record_count"]
        yield file, np.sort(random.choice(rows, size=max(1, rows // DELETED_SHARE), replace=False)).astype(np.int64)


def _delete_file(path: Path, count: int, **over: Any) -> dict[str, Any]:
    size = path.stat().st_size if path.exists() else 0
    return {"file_path": path.as_uri(), "file_format": "PARQUET", "partition": {}, "record_count": count, "file_size_in_bytes": size, **over}


def _write(clean: Clean, place: Path, version: int, deletes: list[dict[str, Any]]) -> None:
    """A table of the clean one's data files and these deletes, committed behind them."""
    folder = place / "metadata"
    folder.mkdir()
    manifest = folder / "deletes-m0.avro"
    header = {"schema": json.dumps(clean.schema), "partition-spec": "[]", "partition-spec-id": "0", "format-version": str(version), "content": "deletes"}
    entries = [{"status": 1, "snapshot_id": SNAPSHOT, "sequence_number": 2, "file_sequence_number": 2, "data_file": d} for d in deletes]
    _container(manifest, _with_delete_fields(clean.entry_schema), entries, header)
    listed = clean.manifest | {
        "manifest_path": manifest.as_uri(),
        "manifest_length": manifest.stat().st_size,
        "content": 1,
        "sequence_number": 2,
        "min_sequence_number": 2,
        "added_snapshot_id": SNAPSHOT,
        "added_files_count": len(deletes),
        "added_rows_count": sum(d["record_count"] for d in deletes),
    }
    manifest_list = folder / f"snap-{SNAPSHOT}.avro"
    parent = clean.metadata["snapshots"][-1]
    about = {"snapshot-id": str(SNAPSHOT), "parent-snapshot-id": str(parent["snapshot-id"]), "sequence-number": "2", "format-version": str(version)}
    _container(manifest_list, clean.list_schema, [clean.manifest, listed], about)
    snapshot = {
        "snapshot-id": SNAPSHOT,
        "parent-snapshot-id": parent["snapshot-id"],
        "sequence-number": 2,
        "timestamp-ms": NOW_MS,
        "manifest-list": manifest_list.as_uri(),
        "summary": {"operation": "delete"},
        "schema-id": clean.schema["schema-id"],
        **({"first-row-id": 0, "added-rows": 0} if version >= 3 else {}),
    }
    metadata = clean.metadata | {
        "format-version": version,
        "table-uuid": str(uuid.uuid5(uuid.NAMESPACE_URL, place.as_uri())),
        "location": place.as_uri(),
        "last-sequence-number": 2,
        "last-updated-ms": NOW_MS,
        "current-snapshot-id": SNAPSHOT,
        "snapshots": [snapshot],
        "snapshot-log": [{"snapshot-id": SNAPSHOT, "timestamp-ms": NOW_MS}],
        "metadata-log": [],
        "refs": {"main": {"snapshot-id": SNAPSHOT, "type": "branch"}},
        "properties": {},
        **({"next-row-id": 0} if version >= 3 else {}),
    }
    (folder / "v1.metadata.json").write_text(json.dumps(metadata))
    (folder / "version-hint.text").write_text("1")


def _with_delete_fields(entry: dict[str, Any]) -> dict[str, Any]:
    """The schema of entries with the fields that only delete files have; ids of columns are int, as the spec has them, where pyiceberg has long."""
    schema = copy.deepcopy(entry)
    data_file = next(f for f in schema["fields"] if f["name"] == "data_file")["type"]
    equality = next(f for f in data_file["fields"] if f["name"] == "equality_ids")
    equality["type"] = ["null", {"type": "array", "items": "int", "element-id": 136}]
    names = {f["name"] for f in data_file["fields"]}
    more = (("referenced_data_file", "string", 143), ("content_offset", "long", 144), ("content_size_in_bytes", "long", 145))
    data_file["fields"] += [{"name": n, "type": ["null", t], "default": None, "field-id": i} for n, t, i in more if n not in names]
    return schema


def _container(path: Path, schema: dict[str, Any], records: list[dict[str, Any]], metadata: dict[str, str]) -> None:
    with path.open("wb") as file:
        fastavro.writer(file, fastavro.parse_schema(schema), records, codec="deflate", metadata=metadata)
