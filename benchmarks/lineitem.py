"""TPC-H `lineitem` as Delta tables: sorted by ship date in 200 files, and the same files with a deletion vector on one row in a hundred of each.

The data comes from tpchgen-cli. The logs are written here, from the files' own statistics, so that every reader sees one commit and nothing depends on a
writer's version.
"""

from __future__ import annotations

import datetime as dt
import decimal
import itertools
import json
import os
import shutil
import struct
import subprocess
import sys
import sysconfig
import uuid
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyroaring

FILES = 200
DELETED_SHARE = 100
NOW_MS = 1_790_000_000_000
PORTABLE_MAGIC = 1681511377
Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
VECTORS = uuid.UUID("6c8a4f30-0d52-4a5e-9d4b-1f2e3a4b5c6d")


@dataclass(frozen=True)
class DataFile:
    """A data file and the days it covers."""

    path: Path
    rows: int
    first_day: dt.date
    last_day: dt.date


@dataclass(frozen=True)
class Lineitem:
    """The two tables. files: those of the clean one, in order of ship date; the other has files of the same names."""

    clean: Path
    vectored: Path
    files: tuple[DataFile, ...]

    def covering(self, first_day: dt.date, last_day: dt.date) -> list[Path]:
        """The files that may hold rows shipped in these days, both included: what a perfect reader keeps."""
        return [f.path for f in self.files if f.first_day <= last_day and f.last_day >= first_day]


def build(data: Path, scale: float) -> Lineitem:
    """The tables below `data`, made where they are not there yet."""
    home = data / f"lineitem-sf{scale:g}"
    clean, vectored = home / "clean", home / "vectored"
    if not (vectored / "_delta_log").exists():
        shutil.rmtree(home, ignore_errors=True)
        clean.mkdir(parents=True)
        rows = _generated(home / "generated", scale)
        adds = [_data_file(clean, number, part) for number, part in enumerate(_parts(rows))]
        write_log(clean, rows.schema, adds)
        for add in adds:
            _link(clean / add["path"], vectored / add["path"])
        write_log(vectored, rows.schema, _with_vectors(vectored, adds), features=("deletionVectors",))
        shutil.rmtree(home / "generated")
    return Lineitem(clean, vectored, tuple(described(p) for p in sorted(clean.glob("*.parquet"))))


def _generated(place: Path, scale: float) -> pa.Table:
    generator = Path(sysconfig.get_path("scripts")) / "tpchgen-cli"
    subprocess.run([str(generator), "parquet", "-s", f"{scale:g}", "--tables", "lineitem", "--output-dir", str(place)], check=True, stdout=sys.stderr)
    rows = pa.concat_tables(pq.read_table(p) for p in sorted(place.rglob("*.parquet")))
    types = [pa.string() if pa.types.is_string_view(f.type) or pa.types.is_large_string(f.type) else f.type for f in rows.schema]
    rows = rows.cast(pa.schema([pa.field(f.name, t) for f, t in zip(rows.schema, types, strict=True)]))
    return rows.sort_by([("l_shipdate", "ascending"), ("l_orderkey", "ascending"), ("l_linenumber", "ascending")])


def _parts(rows: pa.Table) -> list[pa.Table]:
    edges = [rows.num_rows * k // FILES for k in range(FILES + 1)]
    return [rows.slice(a, b - a).combine_chunks() for a, b in itertools.pairwise(edges)]


def _data_file(table: Path, number: int, rows: pa.Table) -> dict[str, Any]:
    path = table / f"part-{number:05}.snappy.parquet"
    pq.write_table(rows, path, compression="snappy", row_group_size=rows.num_rows)
    bounds = {name: pc.min_max(rows[name]) for name in rows.column_names}
    statistics = {
        "numRecords": rows.num_rows,
        "minValues": {name: _json(value["min"].as_py()) for name, value in bounds.items()},
        "maxValues": {name: _json(value["max"].as_py()) for name, value in bounds.items()},
        "nullCount": {name: rows[name].null_count for name in rows.column_names},
    }
    size = path.stat().st_size
    return {"path": path.name, "partitionValues": {}, "size": size, "modificationTime": NOW_MS, "dataChange": True, "stats": json.dumps(statistics)}


def _json(value: Any) -> Any:
    if isinstance(value, dt.date):
        return value.isoformat()
    return float(value) if isinstance(value, decimal.Decimal) else value


def described(path: Path) -> DataFile:
    """What the footer of a file says."""
    metadata = pq.read_metadata(path)
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    column = metadata.schema.names.index("l_shipdate")
    days = [g.column(column).statistics for g in groups]
    return DataFile(path, metadata.num_rows, min(s.min for s in days), max(s.max for s in days))


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


# The log -------------------------------------------------------------------------------------------------------------------------------------------


def write_log(table: Path, schema: pa.Schema, adds: list[dict[str, Any]], *, features: tuple[str, ...] = ()) -> None:
    """Version 0 of the table, with these files. features: reader features it needs."""
    log = table / "_delta_log"
    log.mkdir(parents=True)
    protocol: dict[str, Any] = {"minReaderVersion": 1, "minWriterVersion": 2}
    if features:
        protocol = {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": list(features), "writerFeatures": list(features)}
    fields = [{"name": f.name, "type": _delta_type(f.type), "nullable": True, "metadata": {}} for f in schema]
    metadata = {
        "id": str(uuid.uuid5(VECTORS, table.name)),
        "format": {"provider": "parquet", "options": {}},
        "schemaString": json.dumps({"type": "struct", "fields": fields}),
        "partitionColumns": [],
        "configuration": {},
        "createdTime": NOW_MS,
    }
    actions = [{"protocol": protocol}, {"metaData": metadata}, *({"add": add} for add in adds)]
    (log / f"{0:020}.json").write_text("".join(json.dumps(a) + "\n" for a in actions))


def _delta_type(type_: pa.DataType) -> str:
    if pa.types.is_decimal(type_):
        return f"decimal({type_.precision},{type_.scale})"
    return {pa.int64(): "long", pa.int32(): "integer", pa.string(): "string", pa.date32(): "date", pa.float64(): "double"}[type_]


# Deletion vectors. Source: Delta protocol, Deletion Vector Format ------------------------------------------------------------------------------------


def _with_vectors(table: Path, adds: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The files with one row in a hundred deleted, at random; all vectors stand in one file."""
    random = np.random.default_rng(1)
    content, vectored = bytearray(b"\x01"), []
    for add in adds:
        rows = json.loads(add["stats"])["numRecords"]
        positions = random.choice(rows, size=max(1, rows // DELETED_SHARE), replace=False)
        blob = struct.pack("<I", PORTABLE_MAGIC) + pyroaring.BitMap64(positions.tolist()).serialize()
        vector = {"storageType": "u", "pathOrInlineDv": z85(VECTORS.bytes), "offset": len(content), "sizeInBytes": len(blob), "cardinality": len(positions)}
        content += struct.pack(">I", len(blob)) + blob + struct.pack(">I", zlib.crc32(blob))
        statistics = json.loads(add["stats"]) | {"tightBounds": False}
        vectored.append(add | {"stats": json.dumps(statistics), "deletionVector": vector})
    (table / f"deletion_vector_{VECTORS}.bin").write_bytes(content)
    return vectored


def z85(data: bytes) -> str:
    """Bytes, a multiple of four of them, as Z85 text."""
    words = struct.unpack(f">{len(data) // 4}I", data)
    return "".join(Z85[word // 85**power % 85] for word in words for power in (4, 3, 2, 1, 0))
