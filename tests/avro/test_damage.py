"""Damaged and hostile Avro files: each an error that names the file, soon, and never fewer rows than there were."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from lakesql import avro
from lakesql.avro import decode
from lakesql.errors import Error, MetadataError
from lakesql.storage import LocalStorage

from .writer import SYNC, block, container, encoded, header, varint

SCHEMA = {
    "type": "record",
    "name": "r",
    "fields": [{"name": "id", "type": "int"}, {"name": "s", "type": "string"}, {"name": "l", "type": {"type": "array", "items": "long"}}],
}
RECORDS = [{"id": n, "s": f"row {n}", "l": [n] * (n % 4)} for n in range(50)]
WANTED = pa.schema([("id", pa.int32()), ("l", pa.list_(pa.int64()))])


def reading(folder: Path, content: bytes) -> pa.Table:
    path = folder / "damaged.avro"
    path.write_bytes(content)
    return avro.read(LocalStorage(), str(path), WANTED)


@pytest.mark.parametrize("codec", ["null", "deflate"])
def test_cut_off_anywhere(tmp_path: Path, codec: str) -> None:
    whole = container(SCHEMA, RECORDS, codec=codec, per_block=10)
    start = len(header(SCHEMA, codec=codec))
    for length in {*range(1, start, 7), *range(start + 1, len(whole), 5)}:
        if length - start in _block_ends(whole[start:]):
            continue
        with pytest.raises(MetadataError, match=r"damaged\.avro"):
            reading(tmp_path, whole[:length])


def _block_ends(body: bytes) -> set[int]:
    ends, at = set(), 0
    while (at := body.find(SYNC, at)) >= 0:
        at += len(SYNC)
        ends.add(at)
    return ends


def test_a_sync_marker_that_differs(tmp_path: Path) -> None:
    whole = container(SCHEMA, RECORDS)
    with pytest.raises(MetadataError, match="sync marker"):
        reading(tmp_path, whole[:-1] + b"\xff")


def test_a_block_that_says_more_records_than_it_has(tmp_path: Path) -> None:
    body = b"".join(encoded(SCHEMA, r) for r in RECORDS)
    with pytest.raises(MetadataError, match=r"damaged\.avro"):
        reading(tmp_path, header(SCHEMA) + block(len(RECORDS) + 1, body))


def test_a_block_that_says_fewer_records_than_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The decoder never comes back from such a block."""
    monkeypatch.setattr(decode, "_DEADLINE_S", 0.5)
    body = b"".join(encoded(SCHEMA, r) for r in RECORDS)
    with pytest.raises(MetadataError, match="records do not fill their blocks"):
        reading(tmp_path, header(SCHEMA) + block(len(RECORDS) - 1, body))


@pytest.mark.parametrize(("count", "size"), [(-1, 4), (5, -4), (2**62, 4), (5, 2**40)])
def test_blocks_of_impossible_sizes(tmp_path: Path, count: int, size: int) -> None:
    with pytest.raises(MetadataError, match=r"damaged\.avro"):
        reading(tmp_path, header(SCHEMA) + varint(count) + varint(size) + b"\0\0\0\0" + SYNC)


def test_headers_of_impossible_sizes(tmp_path: Path) -> None:
    for content in (varint(2**40), varint(1) + varint(2**40), varint(1) + varint(-5), b"\xff" * 40):
        with pytest.raises(MetadataError, match=r"damaged\.avro"):
            reading(tmp_path, b"Obj\x01" + content)


def test_schemas_that_are_none(tmp_path: Path) -> None:
    deep: object = "int"
    for _ in range(300):
        deep = {"type": "array", "items": deep}
    for schema in (
        "int",
        {"type": "record", "name": "r", "fields": [{"name": "id", "type": deep}]},
        {"type": "record", "name": "r", "fields": 5},
        {"type": "record", "name": "r", "fields": [{"name": "id", "type": "nonsense"}]},
    ):
        with pytest.raises(MetadataError, match=r"damaged\.avro"):
            reading(tmp_path, header(schema) + block(1, b"\0\0\0\0"))


def test_bytes_changed_gives_an_error_or_as_many_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "_DEADLINE_S", 0.5)
    whole = container(SCHEMA, RECORDS[:6], codec="deflate", per_block=3)
    for at in range(0, len(whole), 2):
        for change in (0x01, 0x80):
            damaged = bytearray(whole)
            damaged[at] ^= change
            try:
                rows = reading(tmp_path, bytes(damaged)).num_rows
            except Error:
                continue
            assert rows == 6
