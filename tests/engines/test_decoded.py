"""ORC and Avro data files, with positions, constants, renames and defaults, as Parquet files have them."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.orc as orc
import pytest

from lakesql.errors import DataFileError, MissingFileError
from lakesql.relation import Batches, Col, ColumnMatch, FileFormat, Files, Project, Value, WithoutPositions, with_default

from .conftest import Runner

SCHEMA = pa.schema([("id", pa.int64()), ("s", pa.struct([("x", pa.int32())])), ("ts", pa.timestamp("us"))])
ROWS = pa.table(
    {"id": [1, 2, None], "s": [{"x": 1}, None, {"x": None}], "ts": [dt.datetime(2026, 1, 1, 12, 0, 0, 123456), None, dt.datetime(1969, 1, 1)]}, schema=SCHEMA
)


def orc_file(folder: Path, name: str, table: pa.Table) -> str:
    orc.write_table(table, folder / name)
    return str(folder / name)


def avro_file(folder: Path, name: str, ids: list[int]) -> str:
    """One block of {id: long}, written byte by byte: longs of Avro are zigzag varints."""

    def long(value: int) -> bytes:
        number, out = (value << 1) ^ (value >> 63), bytearray()
        while number > 127:
            out.append(number & 127 | 128)
            number >>= 7
        return bytes([*out, number])

    def text(value: bytes) -> bytes:
        return long(len(value)) + value

    schema = json.dumps({"type": "record", "name": "r", "fields": [{"name": "id", "type": "long", "field-id": 1}]}).encode()
    body = b"".join(long(i) for i in ids)
    sync = b"0123456789abcdef"
    header = b"Obj\x01" + long(1) + text(b"avro.schema") + text(schema) + long(0) + sync
    (folder / name).write_bytes(header + long(len(ids)) + text(body) + sync)
    return str(folder / name)


def files(*paths: str) -> pa.Table:
    return pa.table({"path": pa.array(paths, pa.string()), "size_bytes": pa.array([Path(p).stat().st_size for p in paths], pa.int64())})


def test_orc(tmp_path: Path, run: Runner) -> None:
    path = orc_file(tmp_path, "f.orc", ROWS)
    got = run("SELECT * FROM t WHERE id IS NOT NULL ORDER BY id", {"t": (SCHEMA, Files(files(path), SCHEMA, FileFormat.ORC))})
    assert got.to_pylist() == ROWS.slice(0, 2).to_pylist()
    assert run("SELECT count(*) AS n FROM t", {"t": (SCHEMA, Files(files(path), SCHEMA, FileFormat.ORC))}).to_pylist() == [{"n": 3}]


@pytest.mark.parametrize("format_", [FileFormat.ORC, FileFormat.AVRO])
def test_positions_paths_constants_and_defaults(tmp_path: Path, run: Runner, format_: FileFormat) -> None:
    if format_ is FileFormat.ORC:
        paths = [orc_file(tmp_path, f"f{i}.orc", pa.table({"id": pa.array([i * 10, i * 10 + 1])})) for i in range(2)]
    else:
        paths = [avro_file(tmp_path, f"f{i}.avro", [i * 10, i * 10 + 1]) for i in range(2)]
    added = with_default(pa.field("added", pa.int32()), pa.scalar(7, pa.int32()))
    node = Files(
        files(*paths),
        pa.schema([pa.field("id", pa.int64()), added, pa.field("region", pa.string())]),
        format_,
        constants=pa.table({"day": ["a", "b"]}),
        file_path="f",
        row_index="r",
        absent=pa.table({"region": pa.array(["eu", None], pa.string())}),
    )
    schema = pa.schema([("id", pa.int64()), ("added", pa.int32()), ("region", pa.string()), ("day", pa.string()), ("f", pa.string()), ("r", pa.int64())])
    got = run("SELECT * FROM t ORDER BY id", {"t": (schema, node)}).to_pylist()
    assert [tuple(r.values()) for r in got] == [
        (0, 7, "eu", "a", paths[0], 0),
        (1, 7, "eu", "a", paths[0], 1),
        (10, 7, None, "b", paths[1], 0),
        (11, 7, None, "b", paths[1], 1),
    ]
    deletes = Batches.of(pa.table({"path": paths, "position": pa.array([0, 1], pa.int64())}))
    rows = Files(files(*paths), pa.schema([]), format_)
    assert run(
        "SELECT count(*) AS n FROM t", {"t": (pa.schema([("id", pa.int64())]), Project(rows, ("id",), (Value(pa.scalar(None, pa.int64())),)))}
    ).to_pylist() == [{"n": 4}]
    left = Project(WithoutPositions(node, deletes, "f", "r"), ("id",), (Col("id"),))
    assert run("SELECT id FROM t ORDER BY id", {"t": (pa.schema([("id", pa.int64())]), left)}).column("id").to_pylist() == [1, 10]


def test_avro_columns_by_id(tmp_path: Path, run: Runner) -> None:
    path = avro_file(tmp_path, "f.avro", [5])
    wanted = pa.schema([pa.field("renamed", pa.int64(), metadata={"PARQUET:field_id": "1"})])
    got = run("SELECT * FROM t", {"t": (pa.schema([("renamed", pa.int64())]), Files(files(path), wanted, FileFormat.AVRO, ColumnMatch.BY_ID))})
    assert got.to_pylist() == [{"renamed": 5}]


@pytest.mark.parametrize("format_", [FileFormat.ORC, FileFormat.AVRO])
def test_damage(tmp_path: Path, run: Runner, format_: FileFormat) -> None:
    bad = tmp_path / "bad"
    bad.write_bytes(b"neither of them, whatever its name says")
    ids = pa.schema([("id", pa.int64())])
    with pytest.raises(DataFileError, match="bad"):
        run("SELECT * FROM t", {"t": (ids, Files(files(str(bad)), ids, format_))})
    table = files(str(bad))
    bad.unlink()
    with pytest.raises(MissingFileError):
        run("SELECT * FROM t", {"t": (ids, Files(table, ids, format_))})
