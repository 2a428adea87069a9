"""Deletion vectors: what the log says of one, and the rows it deletes."""

from __future__ import annotations

import random
import struct
import uuid
import zlib
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyroaring
import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.delta.corpus_log import commits, delta_tables
from formats.delta.unhurried import unhurried
from lakesql.errors import AccessDeniedError, DataFileError, MissingFileError, StorageError, UnsupportedFeatureError
from lakesql.formats.delta import z85
from lakesql.formats.delta.deletion_vectors import MAX_BYTES, MAX_POSITIONS, NATIVE_MAGIC, PORTABLE_MAGIC, DvDescriptor, decode, file_path, unique_id
from lakesql.storage import CachedStorage, LocalStorage, MemoryStorage, Storage

ROOT = "/lake/t"
ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
NAME = uuid.UUID("d2c639aa-8816-431a-aaf6-d3fe2512ff61")
ENCODED = "^-aqEH.-t@S}K{vb[*k^"
FILE = f"{ROOT}/deletion_vector_{NAME}.bin"


def portable(positions: Iterable[int]) -> bytes:
    bitmap = pyroaring.BitMap64(positions)
    bitmap.run_optimize()
    return struct.pack("<I", PORTABLE_MAGIC) + bitmap.serialize()


def native(positions: Iterable[int]) -> bytes:
    ordered = sorted(positions)
    parts = []
    for high in range((ordered[-1] >> 32) + 1):
        part = pyroaring.BitMap([p & 0xFFFFFFFF for p in ordered if p >> 32 == high]).serialize()
        parts.append(struct.pack("<I", len(part)) + part)
    return struct.pack("<II", NATIVE_MAGIC, len(parts)) + b"".join(parts)


def framed(*blobs: bytes) -> tuple[bytes, list[int]]:
    """A file that holds the blobs, and their offsets."""
    data, offsets = b"\x01", []
    for blob in blobs:
        offsets.append(len(data))
        data += struct.pack(">I", len(blob)) + blob + struct.pack(">I", zlib.crc32(blob))
    return data, offsets


def encoded(blob: bytes) -> str:
    """Z85 as Spark writes it: filled up with zeros."""
    padded = blob + bytes(-len(blob) % 4)
    text = ""
    for (number,) in struct.iter_unpack(">I", padded):
        text += "".join(ALPHABET[number // 85**n % 85] for n in (4, 3, 2, 1, 0))
    return text


def stored(blob: bytes, cardinality: int, **changes: object) -> DvDescriptor:
    fields = {"storage_type": "u", "path_or_inline": ENCODED, "offset": 1, "size_bytes": len(blob), "cardinality": cardinality}
    return DvDescriptor(**(fields | changes))  # type: ignore[arg-type]


def positions_of(descriptor: DvDescriptor, storage: Storage, rows: int | None = None) -> list[int]:
    found = decode(descriptor, table_root=ROOT, storage=storage, physical_rows=rows)
    assert found.dtype == np.int64
    return [int(p) for p in found]


SETS = st.sets(st.integers(0, 200_000) | st.integers(2**32 - 10, 2**32 + 10) | st.integers(0, 2**40), min_size=1, max_size=300)
RUNS = st.tuples(st.integers(0, 2**33), st.integers(1, 70_000)).map(lambda run: set(range(run[0], run[0] + run[1])))


@unhurried
@given(SETS | RUNS, st.sampled_from([portable, native]))
def test_any_set_of_rows_comes_back(rows: set[int], form: object) -> None:
    if form is native and max(rows) > 2**36:
        rows = {r % 2**36 for r in rows}
    blob = form(rows)  # type: ignore[operator]
    data, _ = framed(blob)
    expected = sorted(rows)
    assert positions_of(stored(blob, len(rows)), MemoryStorage({FILE: data}), max(rows) + 1) == expected
    inline = DvDescriptor("i", encoded(blob), None, len(blob), len(rows))
    assert positions_of(inline, MemoryStorage()) == expected


def test_where_a_vector_of_the_table_lies() -> None:
    assert z85.decode(ENCODED) == NAME.bytes
    assert file_path(stored(b"", 1), ROOT) == FILE
    assert file_path(stored(b"", 1), ROOT + "/") == FILE
    assert file_path(stored(b"", 1, path_or_inline="ab" + ENCODED), ROOT) == f"{ROOT}/ab/deletion_vector_{NAME}.bin"
    assert file_path(stored(b"", 1), "s3://bucket/t") == f"s3://bucket/t/deletion_vector_{NAME}.bin"


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:/old/d%20v/x.bin", "/old/d v/x.bin"),
        ("file:///old/d%2520v/x.bin", "/old/d%20v/x.bin"),
        ("/old/x.bin", "/old/x.bin"),
        ("s3a://bucket/x.bin", "s3://bucket/x.bin"),
        ("file:/lake/t/x.bin", "/lake/t/x.bin"),
    ],
)
def test_where_a_vector_of_another_table_lies(uri: str, path: str) -> None:
    descriptor = stored(b"", 1, storage_type="p", path_or_inline=uri)
    assert file_path(descriptor, ROOT) == path
    assert file_path(descriptor, ROOT, lambda p: p.replace("/old", "/new")) == path.replace("/old", "/new")


def test_a_vector_elsewhere_is_read_where_it_was_moved_to() -> None:
    blob = portable([3])
    storage = MemoryStorage({"/new/x.bin": framed(blob)[0]})
    descriptor = stored(blob, 1, storage_type="p", path_or_inline="file:///old/x.bin")
    assert list(decode(descriptor, table_root=ROOT, storage=storage, physical_rows=4, resolve=lambda p: p.replace("/old", "/new"))) == [3]
    with pytest.raises(MissingFileError, match=r"/old/x.bin"):
        decode(descriptor, table_root=ROOT, storage=storage, physical_rows=4)


@pytest.mark.parametrize("cached", [False, True])
def test_many_vectors_in_one_file(cached: bool) -> None:
    blobs = [portable([i, i + 7]) for i in range(20)]
    data, offsets = framed(*blobs)
    inner = MemoryStorage({FILE: data})
    storage = CachedStorage(inner) if cached else inner
    for i, offset in enumerate(offsets):
        assert positions_of(stored(blobs[i], 2, offset=offset), storage, 100) == [i, i + 7]
    assert inner.reads[FILE] == (1 if cached else 20)


def test_a_missing_offset_is_the_first_place() -> None:
    blob = portable([5])
    assert positions_of(stored(blob, 1, offset=None), MemoryStorage({FILE: framed(blob)[0]})) == [5]


@pytest.mark.parametrize("descriptor", [stored(b"", 0), DvDescriptor("i", "", None, 0, 0), DvDescriptor("u", "gone", None, -1, 0)])
def test_an_empty_vector_is_not_read(descriptor: DvDescriptor) -> None:
    assert positions_of(descriptor, MemoryStorage(), 10) == []


def test_inline_text_is_cut_to_its_size_or_ends_in_a_padded_group() -> None:
    blob = portable([1, 5, 9])
    assert len(blob) % 4
    assert positions_of(DvDescriptor("i", encoded(blob), None, len(blob), 3), MemoryStorage()) == [1, 5, 9]
    tail = blob[len(blob) // 4 * 4 :]
    number = int.from_bytes(tail, "big")
    group = "#" * (4 - len(tail)) + "".join(ALPHABET[number // 85**n % 85] for n in range(len(tail), -1, -1))
    assert positions_of(DvDescriptor("i", encoded(blob)[:-5] + group, None, len(blob), 3), MemoryStorage()) == [1, 5, 9]


def test_real_inline_vectors() -> None:
    one = DvDescriptor("i", "^Bg9^0rr910000000000iXQKl0rr91000005c8Xg2(<@9", None, 34, 1)
    four = DvDescriptor("i", "^Bg9^0rr910000000000iXQKl0rr91000935c8Xg000931onP9", None, 40, 4)
    many = DvDescriptor("i", "^Bg9^0rr910000000000iXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L", None, 44, 6)
    assert len(positions_of(one, MemoryStorage())) == 1
    assert len(positions_of(four, MemoryStorage())) == 4
    assert positions_of(many, MemoryStorage()) == [3, 4, 7, 11, 18, 29]


@unhurried
@given(st.binary(max_size=40))
def test_z85(data: bytes) -> None:
    assert z85.decode(encoded(data))[: len(data)] == data


@pytest.mark.parametrize("text", ["abcd", "abcd~", "####0", "#####", "%nSc1", "abcdé", "####00000", "#00000abcd", "##zzz", "ab\x00cd"])
def test_text_that_is_not_z85(text: str) -> None:
    with pytest.raises(ValueError):
        z85.decode(text)
    with pytest.raises(DataFileError, match=r"is not Z85 text"):
        decode(DvDescriptor("i", text, None, 4, 1), table_root=ROOT, storage=MemoryStorage(), physical_rows=None)


BLOB = portable([1, 2, 3, 90])
DATA = framed(BLOB)[0]


@pytest.mark.parametrize(
    ("data", "changes", "message"),
    [
        (b"\x02" + DATA[1:], {}, "format version 2; expected 1"),
        (DATA, {"size_bytes": len(BLOB) - 1}, f"the file gives it {len(BLOB)} bytes, the log {len(BLOB) - 1}"),
        (DATA[:20] + b"\xff" + DATA[21:], {}, "its checksum does not match"),
        (DATA[:-1] + bytes([DATA[-1] ^ 1]), {}, "its checksum does not match"),
        (DATA[:-1], {}, f"cut off: it has {len(DATA) - 1} bytes"),
        (b"", {}, "cut off: it has 0 bytes"),
        (DATA, {"offset": 5}, "cut off"),
        (DATA, {"offset": 0}, "behind the file's version byte"),
        (DATA, {"offset": -3}, "behind the file's version byte"),
        (DATA, {"size_bytes": 0}, "gives it 0 bytes"),
        (DATA, {"size_bytes": -5}, "gives it -5 bytes"),
        (DATA, {"size_bytes": MAX_BYTES + 1}, "the log gives it 1,073,741,825 bytes"),
        (DATA, {"size_bytes": MAX_BYTES}, "cut off"),
        (DATA, {"cardinality": 5}, "lists 4 rows; the log says 5"),
        (DATA, {"cardinality": -1}, "the log gives it -1 rows"),
        (DATA, {"cardinality": MAX_POSITIONS + 1}, "the log gives it 268,435,457 rows"),
        (DATA, {"path_or_inline": "short"}, "names no file"),
        (DATA, {"path_or_inline": "~" * 20}, "names no file"),
        (DATA, {"path_or_inline": "../../etc" + ENCODED}, "leads out of the table's folder"),
        (DATA, {"path_or_inline": "/etc" + ENCODED}, "leads out of the table's folder"),
    ],
)
@pytest.mark.parametrize("cached", [False, True])
def test_what_does_not_agree_is_an_error(data: bytes, changes: dict[str, Any], message: str, cached: bool) -> None:
    inner = MemoryStorage({FILE: data})
    with pytest.raises(DataFileError, match=message) as caught:
        positions_of(replace(stored(BLOB, 4), **changes), CachedStorage(inner) if cached else inner)
    assert ROOT in str(caught.value)


def test_rows_beyond_the_data_file() -> None:
    storage = MemoryStorage({FILE: DATA})
    assert positions_of(stored(BLOB, 4), storage, 91) == [1, 2, 3, 90]
    with pytest.raises(DataFileError, match=f'"{FILE}" at byte 1 lists row 90 of a data file with 90 rows'):
        positions_of(stored(BLOB, 4), storage, 90)


def broken(blob: bytes, cardinality: int = 1) -> DvDescriptor:
    return DvDescriptor("i", encoded(blob), None, len(blob), cardinality)


@pytest.mark.parametrize(
    ("blob", "message"),
    [
        (b"", "begins with None"),
        (b"\x00\x01\x02\x03" + bytes(8), "begins with 50462976; expected 1681511377"),
        (struct.pack(">I", PORTABLE_MAGIC) + bytes(8), "little-endian"),
        (struct.pack("<I", PORTABLE_MAGIC), "does not hold a Roaring bitmap"),
        (struct.pack("<IQ", PORTABLE_MAGIC, 2**60), "does not hold a Roaring bitmap"),
        (portable([1])[:-1], "does not hold a Roaring bitmap"),
        (struct.pack("<IQ", PORTABLE_MAGIC, 0), "lists 0 rows"),
        (struct.pack("<II", NATIVE_MAGIC, 2**31), "does not hold a Roaring bitmap"),
        (struct.pack("<III", NATIVE_MAGIC, 1, 2**31), "does not hold a Roaring bitmap"),
        (native([1, 2]), "more than 1 rows"),
    ],
)
def test_blobs_that_are_no_bitmap(blob: bytes, message: str) -> None:
    with pytest.raises(DataFileError, match=rf"the inline deletion vector .*{message}"):
        positions_of(broken(blob), MemoryStorage())


def test_an_inline_text_shorter_than_its_size() -> None:
    with pytest.raises(DataFileError, match=r"has 36 bytes; the log says 99"):
        positions_of(DvDescriptor("i", encoded(portable([1])), None, 99, 1), MemoryStorage())


def test_a_run_of_billions_is_not_spread_out() -> None:
    full = pyroaring.BitMap64()
    full.add_range(0, 2**33)
    full.run_optimize()
    with pytest.raises(DataFileError, match=r"lists 8,589,934,592 rows; the log says 3"):
        positions_of(broken(struct.pack("<I", PORTABLE_MAGIC) + full.serialize(), 3), MemoryStorage())


def test_positions_beyond_the_sign() -> None:
    with pytest.raises(DataFileError, match=r"lists row 18,446,744,073,709,551,615"):
        positions_of(broken(portable([2**64 - 1])), MemoryStorage())


@pytest.mark.parametrize("form", [portable, native])
def test_damaged_bitmaps_never_escape(form: object) -> None:
    """Bytes changed at random, in a frame whose checksum says that they are right: an error, or rows in order and as many as said."""
    dice = random.Random(7)
    rows = {*range(0, 9000, 3), *range(100_000, 180_000), 2**32 + 5}
    sound = form(rows)  # type: ignore[operator]
    for _ in range(400):
        blob = bytearray(sound)
        for _ in range(dice.randint(1, 3)):
            blob[dice.choice([dice.randrange(60), dice.randrange(len(blob))])] = dice.randrange(256)
        data, _ = framed(bytes(blob[: dice.choice([len(blob), dice.randrange(len(blob))])] or b"\0"))
        try:
            found = positions_of(stored(bytes(len(data) - 9), len(rows)), MemoryStorage({FILE: data}), 2**33)
        except DataFileError:
            continue
        assert len(found) == len(rows)
        assert found == sorted(set(found))


@pytest.mark.parametrize("storage_type", ["r", "", "x"])
def test_other_kinds_are_refused(storage_type: str) -> None:
    with pytest.raises(UnsupportedFeatureError, match=rf"storage type '{storage_type}' are not supported; known are u, p and i"):
        positions_of(stored(BLOB, 4, storage_type=storage_type), MemoryStorage())


def test_the_stores_own_errors_come_through() -> None:
    denied = MemoryStorage({FILE: DATA})
    denied.denied.add(FILE)
    with pytest.raises(AccessDeniedError):
        positions_of(stored(BLOB, 4), denied)
    with pytest.raises(MissingFileError):
        positions_of(stored(BLOB, 4), MemoryStorage())

    class Broken(MemoryStorage):
        def read_range(self, path: str, offset: int, length: int) -> bytes:
            raise StorageError(f'the store is down: "{path}"')

    with pytest.raises(StorageError, match=r"the store is down"):
        positions_of(stored(BLOB, 4), Broken({FILE: DATA}))


def test_unique_ids() -> None:
    ids = unique_id(pa.array(["u", "i", None, "p"]), pa.array(["ab", "cd", None, "s3://x"]), pa.array([1, None, None, 45], pa.int32()))
    assert ids.to_pylist() == ["uab@1", "icd", None, "ps3://x@45"]
    assert unique_id(*(pa.array([], t) for t in (pa.string(), pa.string(), pa.int32()))).to_pylist() == []


def test_every_vector_of_the_corpus() -> None:
    seen: set[tuple[str, DvDescriptor]] = set()
    storage = CachedStorage(LocalStorage())
    for table in delta_tables():
        for commit in commits(table):
            for action in commit.actions:
                file = action.get("add") or action.get("remove") or {}
                vector = file.get("deletionVector")
                if not vector:
                    continue
                descriptor = DvDescriptor(vector["storageType"], vector["pathOrInlineDv"], vector.get("offset"), vector["sizeInBytes"], vector["cardinality"])
                found = decode(descriptor, table_root=str(table), storage=storage, physical_rows=None, resolve=lambda p, t=table: beside(p, t))
                assert len(found) == vector["cardinality"]
                assert (np.diff(found) > 0).all()
                seen.add((str(table), descriptor))
    assert len(seen) > 120


def beside(path: str, table: object) -> str:
    """The source of a clone lies beside the clone."""
    return str(table).replace("/clone", "/source") + path[path.rindex("/") :]
