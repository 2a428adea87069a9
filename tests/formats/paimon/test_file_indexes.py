"""File indexes: hashes of the writer, containers, what bloom filters and bitmaps prove, and where they are asked."""

from __future__ import annotations

import datetime as dt
import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lakesql
from lakesql.errors import MetadataError
from lakesql.formats.paimon.file_indexes import Bitmap, Index, read_container, rules_out, value_hash, xxhash64
from lakesql.formats.paimon.types import DataField
from lakesql.predicate import And, Column, Compare, In, IsNull, Op, Or, Predicate, StartsWith, literal
from lakesql.table import Latest, ScanRequest

from .reading import rows_of, table_at
from .rows import type_of
from .table_maker import TableMaker

# Writers -------------------------------------------------------------------------------------------------------------------------------------------


def utf(text: str) -> bytes:
    return struct.pack(">H", len(text.encode())) + text.encode()


def container(indexes: dict[str, dict[str, bytes | None]]) -> bytes:
    """As FileIndexFormat writes it."""
    size = 8 + 4 + 4 + 4 + 4 + sum(len(utf(c)) + 4 + sum(len(utf(k)) + 8 for k in kinds) for c, kinds in indexes.items())
    head, body = struct.pack(">i", len(indexes)), b""
    for column, kinds in indexes.items():
        head += utf(column) + struct.pack(">i", len(kinds))
        for kind, content in kinds.items():
            head += utf(kind) + struct.pack(">ii", -1 if content is None else size + len(body), len(content or b""))
            body += content or b""
    return struct.pack(">qii", 1493475289347502, 1, size) + head + struct.pack(">i", 0) + body


def bloom(values: Sequence[Any], type_: str, bits: int = 1024, functions: int = 3) -> bytes:
    """As BloomFilterFileIndex writes it."""
    content = bytearray(bits // 8)
    for value in values:
        hash_ = value_hash(value, type_of(type_))
        assert hash_ is not None
        low, high = (int.from_bytes(struct.pack(">Q", hash_)[i : i + 4], "big", signed=True) for i in (4, 0))
        for i in range(1, functions + 1):
            combined = (low + i * high + 2**31) % 2**32 - 2**31
            place = (~combined if combined < 0 else combined) % bits
            content[place // 8] |= 1 << place % 8
    return struct.pack(">i", functions) + bytes(content)


def bitmap(values: Sequence[Any], pack: Any, version: int, per_block: int = 2) -> bytes:
    """As BitmapFileIndex writes it, but for the bitmaps themselves."""
    rows = list(values)
    there = sorted({pack(v) for v in rows if v is not None})
    has_null = None in rows
    head = struct.pack(">biib", version, len(rows), len(there), has_null) + (struct.pack(">i", -1) if has_null else b"")
    if version == 1:
        return head + b"".join(v + struct.pack(">i", -2) for v in there)
    head += struct.pack(">i", 8) if has_null else b""
    blocks = [there[i : i + per_block] for i in range(0, len(there), per_block)]
    bodies = [struct.pack(">i", len(b)) + b"".join(v + struct.pack(">ii", -2, -1) for v in b) for b in blocks]
    heads = b"".join(b[0] + struct.pack(">i", sum(map(len, bodies[:n]))) for n, b in enumerate(blocks))
    return head + struct.pack(">i", len(blocks)) + heads + struct.pack(">i", sum(map(len, bodies))) + b"".join(bodies)


def text(value: str) -> bytes:
    return struct.pack(">i", len(value.encode())) + value.encode()


def number(value: int) -> bytes:
    return struct.pack(">i", value)


# Hashes --------------------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "hash_"),
    [
        (b"", 0xEF46DB3751D8E999),
        (b"a", 0xD24EC4F1A98C6E5B),
        (b"abc", 0x44BC2CF5AD770999),
        (b"0123456789abcdef", 0x5C5B90C34E376D0B),
        (b"The quick brown fox jumps over the lazy dog", 0x0B242D361FDA71BC),
    ],
)
def test_xxhash64(data: bytes, hash_: int) -> None:
    """Values of the reference implementation for seed 0."""
    assert xxhash64(data) == hash_


def java_mixed(key: int) -> int:
    """FastHash.getLongHash step by step, each cut to 64 bits as Java does."""

    def cut(value: int) -> int:
        return (value + 2**63) % 2**64 - 2**63

    key = cut(cut(~key) + cut(key << 21))
    key = key ^ (key >> 24)
    key = cut(cut(key + cut(key << 3)) + cut(key << 8))
    key = key ^ (key >> 14)
    key = cut(cut(key + cut(key << 2)) + cut(key << 4))
    key = key ^ (key >> 28)
    return cut(key + cut(key << 31)) % 2**64


@settings(max_examples=300)
@given(st.integers(-(2**63), 2**63 - 1))
def test_hashes_of_numbers(value: int) -> None:
    assert value_hash(value, type_of("BIGINT")) == java_mixed(value)


def test_what_is_hashed() -> None:
    assert value_hash(1.5, type_of("DOUBLE")) == java_mixed(0x3FF8000000000000)
    assert value_hash(1.5, type_of("FLOAT")) == java_mixed(0x3FC00000)
    assert value_hash(7, type_of("TIMESTAMP(3)")) == java_mixed(7)
    assert value_hash(7, type_of("TIMESTAMP(6)")) == java_mixed(7)
    assert value_hash(-1, type_of("TIMESTAMP(9)")) == java_mixed(-1)
    assert value_hash("é", type_of("STRING")) == xxhash64("é".encode())
    assert value_hash(True, type_of("BOOLEAN")) is None


# Proofs --------------------------------------------------------------------------------------------------------------------------------------------


A = Column(("a",))


def proves(index: bytes | None, kind: str, type_: str, predicate: Predicate) -> bool:
    held = DataField(0, "stored", type_of(type_))
    return rules_out([Index("stored", kind, index)], predicate, {"a": held}) is not None


def equals(value: Any, type_: pa.DataType | None = None) -> Compare:
    return Compare(A, Op.EQ, pa.scalar(value, type_))


def test_bloom_filters() -> None:
    index = bloom([1, 5], "INT")
    assert proves(index, "bloom-filter", "INT", equals(7))
    assert not proves(index, "bloom-filter", "INT", equals(5))
    assert not proves(index, "bloom-filter", "INT", equals(5, pa.int64()))
    assert proves(index, "bloom-filter", "INT", In(A, pa.array([7, 8])))
    assert not proves(index, "bloom-filter", "INT", In(A, pa.array([7, 1])))
    assert proves(index, "bloom-filter", "INT", And((equals(7), IsNull(Column(("b",))))))
    assert proves(index, "bloom-filter", "INT", Or((equals(7), equals(8))))
    for kept in (Or((equals(7), IsNull(A))), IsNull(A), Compare(A, Op.NE, pa.scalar(7)), Compare(A, Op.GT, pa.scalar(7)), equals(2**40), equals(1.5)):
        assert not proves(index, "bloom-filter", "INT", kept)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(max_size=50), max_size=20), st.text(max_size=50))
def test_bloom_filters_never_hide_what_is_there(values: list[str], other: str) -> None:
    index = bloom(values, "STRING")
    for value in values:
        assert not proves(index, "bloom-filter", "STRING", equals(value))
    if proves(index, "bloom-filter", "STRING", equals(other)):
        assert other not in values


@pytest.mark.parametrize("version", [1, 2])
def test_bitmaps(version: int) -> None:
    texts = bitmap(["x", "y", "x", "zz", None], text, version)
    numbers = bitmap([-1, 5, 7], number, version)
    assert proves(texts, "bitmap", "STRING", equals("z"))
    assert not proves(texts, "bitmap", "STRING", equals("zz"))
    assert not proves(texts, "bitmap", "STRING", IsNull(A))
    assert proves(numbers, "bitmap", "INT", IsNull(A))
    assert proves(numbers, "bitmap", "DATE", equals(dt.date(1970, 1, 1)))
    assert not proves(numbers, "bitmap", "DATE", equals(dt.date(1969, 12, 31)))
    assert proves(numbers, "bitmap", "INT", In(A, pa.array([-1, 5, 7, 9]), True))
    assert not proves(numbers, "bitmap", "INT", In(A, pa.array([-1, 5]), True))
    one = bitmap(["x", None, "x"], text, version)
    assert proves(one, "bitmap", "STRING", Compare(A, Op.NE, pa.scalar("x")))
    assert not proves(one, "bitmap", "STRING", Compare(A, Op.NE, pa.scalar("y")))
    nothing = bitmap([None, None], text, version)
    assert proves(nothing, "bitmap", "STRING", IsNull(A, True))
    assert not proves(one, "bitmap", "STRING", IsNull(A, True))


def test_values_that_bitmaps_do_not_tell_apart() -> None:
    """Below microseconds instants are one value; blanks at the end of CHAR are kept by some writers."""
    index = bitmap([1], lambda v: struct.pack(">q", v), 2)
    assert not proves(index, "bitmap", "TIMESTAMP(9)", Compare(A, Op.NE, pa.scalar(1000, pa.timestamp("ns"))))
    assert proves(index, "bitmap", "TIMESTAMP(9)", equals(5000, pa.timestamp("ns")))
    assert not proves(bitmap(["ab  "], text, 2), "bitmap", "CHAR(4)", equals("ab"))


def test_columns_with_nothing_to_index() -> None:
    for predicate in (equals(1), Compare(A, Op.LT, pa.scalar(1)), In(A, pa.array([1])), IsNull(A, True), StartsWith(A, "x")):
        assert proves(None, "bsi", "INT", predicate)
    for predicate in (IsNull(A), Compare(A, Op.NE, pa.scalar(1)), In(A, pa.array([1]), True)):
        assert not proves(None, "bsi", "INT", predicate)


def test_indexes_that_are_not_read() -> None:
    assert not proves(b"whatever", "range-bitmap", "INT", equals(1))
    assert not proves(bitmap([1], number, 2), "bitmap", "DECIMAL(5, 2)", equals(2))


# Containers ----------------------------------------------------------------------------------------------------------------------------------------


def test_containers() -> None:
    raw = container({"a": {"bloom-filter": b"xyz", "bitmap": None}, "é": {"bitmap": b""}})
    assert read_container(raw, "test") == (Index("a", "bloom-filter", b"xyz"), Index("a", "bitmap", None), Index("é", "bitmap", b""))


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "is damaged"),
        (b"\0" * 40, "is no file index"),
        (struct.pack(">qii", 1493475289347502, 2, 24) + bytes(8), "is a file index of version 2"),
        (struct.pack(">qii", 1493475289347502, 1, 2**30) + bytes(8), "the head of the file index has"),
        (container({"a": {"bitmap": b"xyz"}})[:-1], "the bitmap index of a is at bytes"),
        (struct.pack(">qii", 1493475289347502, 1, 24) + struct.pack(">ii", 2**30, 0), "things announced"),
        (struct.pack(">qii", 1493475289347502, 1, 24) + struct.pack(">iHH", 1, 60_000, 0), "is damaged"),
    ],
)
def test_damaged_containers(raw: bytes, message: str) -> None:
    with pytest.raises(MetadataError, match=message):
        read_container(raw, "test")


@pytest.mark.parametrize(
    "content",
    [b"", b"\3" + bytes(9), bitmap(["x"], text, 1)[:-6], bitmap(["x"], text, 2)[:-10], struct.pack(">biib", 1, 5, 2**30, 0), struct.pack(">biib", 1, 5, 1, 0)],
)
def test_damaged_bitmaps(content: bytes) -> None:
    with pytest.raises(MetadataError, match="bitmap index"):
        Bitmap.read(content, type_of("STRING"))


# In tables -----------------------------------------------------------------------------------------------------------------------------------------


def kept(maker: TableMaker, *predicates: Predicate, **options: str) -> list[str]:
    snapshot = table_at(maker.root).with_options({k.replace("_", "-"): v for k, v in options.items()}).snapshot(Latest())
    return sorted(Path(p).name for p in snapshot.scan(ScanRequest(tuple(snapshot.schema.names), predicates)).files["path"].to_pylist())


def test_files_that_their_indexes_rule_out(tmp_path: Path) -> None:
    """Within the manifest or beside the data; names are those of the file's schema."""
    maker = TableMaker(tmp_path, {"a": "INT", "b": "STRING"}, options={"bucket": "-1"})
    rows = [{"a": 1, "b": "x"}, {"a": 9, "b": "y"}]
    inside = maker.write(rows, meta={"_EMBEDDED_FILE_INDEX": container({"a": {"bloom-filter": bloom([1, 9], "INT")}})})
    beside = maker.write(rows)
    beside = beside.changed({"_EXTRA_FILES": [f"{beside.name}.row", f"{beside.name}.index"]})
    (tmp_path / "bucket-0" / f"{beside.name}.index").write_bytes(container({"b": {"bitmap": bitmap(["x", "y"], text, 2)}}))
    plain = maker.write(rows)
    maker.commit([inside, beside, plain])
    assert kept(maker, equals(5)) == sorted([beside.name, plain.name])
    assert kept(maker, equals(9)) == sorted([inside.name, beside.name, plain.name])
    assert kept(maker, Compare(Column(("b",)), Op.EQ, pa.scalar("xx"))) == sorted([inside.name, plain.name])
    assert kept(maker, equals(5), **{"file-index.read.enabled": "false"}) == sorted([inside.name, beside.name, plain.name])
    found = table_at(tmp_path).snapshot(Latest()).scan(ScanRequest(("a",), (equals(5),)))
    assert [(d.predicate, d.bound) for d in found.report.drops(None)] == [("a = 5", "bloom-filter index of a")]
    assert found.report.dropped_by_statistics == 1
    maker.evolve([("renamed", "INT", 0), ("a", "STRING", 1)])
    assert kept(maker, Compare(Column(("renamed",)), Op.EQ, pa.scalar(5))) == sorted([beside.name, plain.name])
    assert kept(maker, equals("xx")) == sorted([inside.name, plain.name])
    maker.evolve([("renamed", "BIGINT", 0), ("a", "STRING", 1)])
    assert kept(maker, Compare(Column(("renamed",)), Op.EQ, pa.scalar(5))) == sorted([inside.name, beside.name, plain.name])
    (tmp_path / "bucket-0" / f"{beside.name}.index").unlink()
    assert kept(maker, equals("xx")) == sorted([inside.name, beside.name, plain.name])
    assert len(rows_of(tmp_path, "SELECT * FROM t WHERE a = 'x'")) == 3


def test_files_that_are_merged_are_kept(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, {"k": "INT NOT NULL", "a": "INT"}, ["k"])
    index = {"_EMBEDDED_FILE_INDEX": container({"a": {"bloom-filter": bloom([7], "INT")}})}
    old, new = maker.write([{"k": 1, "a": 5}, {"k": 2, "a": 4}], level=5), maker.write([{"k": 1, "a": 7}, {"k": 2, "a": 3}], meta=index)
    alone = maker.write([{"k": 9, "a": 7}], level=5, meta=index, stats=False)
    maker.commit([old, new, alone])
    assert kept(maker, equals(5)) == sorted([old.name, new.name])
    assert rows_of(tmp_path, "SELECT * FROM t WHERE a = 5") == []


def test_all_indexes_are_listed(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, {"a": "INT"}, options={"bucket": "-1"})
    inside = maker.write([{"a": 1}], meta={"_EMBEDDED_FILE_INDEX": container({"a": {"bloom-filter": b"abcd", "bitmap": None}})})
    beside = maker.write([{"a": 1}])
    beside = beside.changed({"_EXTRA_FILES": [f"{beside.name}.index"]})
    (tmp_path / "bucket-0" / f"{beside.name}.index").write_bytes(container({"a": {"bsi": b"abcdef"}}))
    maker.commit([inside, beside, maker.write([{"a": 2}])])
    found = rows_of(tmp_path, 'SELECT index_type, storage_type, index_size_in_bytes AS size, is_empty, index_file_path FROM "t$file_indexes"')
    assert [(r["index_type"], r["storage_type"], r["size"], r["is_empty"], r["index_file_path"] is None) for r in found] == [
        ("bloom-filter", "EMBEDDED", 4, False, True),
        ("bitmap", "EMBEDDED", 0, True, True),
        ("bsi", "FILE", 6, False, False),
    ]


CORPUS = Path(os.environ.get("LAKESQL_CORPUS") or Path(__file__).parents[3].parent / "shared" / "corpus") / "paimon"


@pytest.mark.parametrize("case", ["append_with_bloomfilter-orc", "append_with_bitmap-parquet", "gen-file-index-bloom", "gen-file-index-bitmap-bsi-separate"])
def test_indexes_of_java(case: str) -> None:
    """Every value that a file has is kept by its indexes, and some that no file has are not."""
    root = CORPUS / case / "table"
    if not root.is_dir():
        pytest.skip(f"the corpus is not at {CORPUS}; LAKESQL_CORPUS says where")
    with lakesql.connect(tables={"t": str(root)}) as connection, connection.cursor() as cursor:

        def read(sql: str) -> pa.Table:
            cursor.execute(sql)
            return cursor.fetch_arrow_table()

        rows = read("SELECT * FROM t")
        indexes = read("SELECT DISTINCT column_name AS c FROM \"t$file_indexes\" WHERE index_type IN ('bloom-filter', 'bitmap')")
        assert indexes.num_rows
        for name in indexes["c"].to_pylist():
            for value in rows[name].unique():
                if value.is_valid:
                    wanted = pc.sum(pc.equal(rows[name], value)).as_py()
                    assert read(f"SELECT count(*) AS n FROM t WHERE {name} = {literal(value)}")["n"].to_pylist() == [wanted], f"{name} = {literal(value)}"
    snapshot, name = table_at(root).snapshot(Latest()), indexes["c"][0].as_py()
    absent = pa.scalar("nowhere" if pa.types.is_string(rows.schema.field(name).type) else 123_456_789)
    assert snapshot.scan(ScanRequest((name,), (Compare(Column((name,)), Op.EQ, absent),))).report.kept_files == 0
