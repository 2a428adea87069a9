"""File indexes: what a bloom filter or a bitmap index of a data file says about the values of a column.

A container has the indexes of one data file, within its manifest entry or in a file beside it (`.index`): a head that names columns and kinds of indexes, and
their bytes. All numbers are big-endian.

    bloom-filter     says which values are not there; texts and bytes by xxHash64, other values by Thomas Wang's hash of their bits
    bitmap           names every value there is, in two layouts of which the second has blocks of sorted values

Other kinds are left unread. An index proves, or says nothing. Source: Paimon, FileIndexFormat, BloomFilterFileIndex, BitmapFileIndexMeta.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lakesql.errors import MetadataError
from lakesql.formats.paimon.buckets import allowed_values
from lakesql.formats.paimon.types import DataField, DataType
from lakesql.predicate import And, Compare, Constant, In, IsNull, Op, Or, Predicate, StartsWith, columns_of

BLOOM, BITMAP = "bloom-filter", "bitmap"
KINDS = (BLOOM, BITMAP)
"""Kinds of indexes that are read."""

_MAGIC, _VERSION = 1493475289347502, 1
_HEAD_BYTES, _MOST_ITEMS = 16, 100_000
_64 = 0xFFFFFFFFFFFFFFFF


@dataclass(frozen=True)
class Index:
    """One index of a column. content: None where the column had nothing to put into it."""

    column: str
    kind: str
    content: bytes | None


def read_container(raw: bytes, source: str) -> tuple[Index, ...]:
    """The indexes of a container. source: for messages. Raises MetadataError."""
    try:
        magic, version, head = struct.unpack_from(">qii", raw)
        if magic != _MAGIC:
            raise MetadataError(f"{source} is no file index")
        if version != _VERSION:
            raise MetadataError(f"{source} is a file index of version {version}; lakesql reads version {_VERSION}")
        if not _HEAD_BYTES <= head <= len(raw):
            raise MetadataError(f"{source}: the head of the file index has {head:,} bytes, the whole of it {len(raw):,}")
        reader = _Reader(raw[:head], _HEAD_BYTES)
        found = []
        for _ in range(reader.count()):
            column = reader.text()
            for _ in range(reader.count()):
                kind, start, length = reader.text(), reader.int32(), reader.int32()
                if start != -1 and not (head <= start and 0 <= length <= len(raw) - start):
                    raise MetadataError(f"{source}: the {kind} index of {column} is at bytes {start:,} to {start + length:,} of {len(raw):,}")
                found.append(Index(column, kind, None if start == -1 else raw[start : start + length]))
    except (struct.error, UnicodeDecodeError, IndexError) as error:
        raise MetadataError(f"{source}: the head of the file index is damaged: {error}") from error
    return tuple(found)


class _Reader:
    """Numbers and texts one after the other. Raises struct.error, IndexError, UnicodeDecodeError at a wrong place."""

    def __init__(self, raw: bytes, at: int) -> None:
        self.raw, self.at = raw, at

    def take(self, length: int) -> bytes:
        """The next bytes."""
        if not 0 <= length <= len(self.raw) - self.at:
            raise IndexError(f"{length:,} bytes asked for, {len(self.raw) - self.at:,} left")
        self.at += length
        return self.raw[self.at - length : self.at]

    def int32(self) -> int:
        """A number of four bytes."""
        return int.from_bytes(self.take(4), "big", signed=True)

    def count(self) -> int:
        """A number of things to come."""
        found = self.int32()
        if not 0 <= found <= _MOST_ITEMS:
            raise IndexError(f"{found:,} things announced")
        return found

    def text(self) -> str:
        """A text behind its length in two bytes."""
        return self.take(int.from_bytes(self.take(2), "big")).decode()


# What an index proves ------------------------------------------------------------------------------------------------------------------------------


def rules_out(indexes: Sequence[Index], predicate: Predicate, columns: Mapping[str, DataField]) -> str | None:
    """What proves that the file has no row that satisfies the predicate, in words; None where nothing does.

    columns: by today's name, as the file has them; those that are not listed are not looked up. Raises MetadataError.
    """
    match predicate:
        case And(parts):
            return next((why for p in parts if (why := rules_out(indexes, p, columns)) is not None), None)
        case Or(parts):
            found = [rules_out(indexes, p, columns) for p in parts]
            return None if None in found else found[0]
        case Constant(value):
            return None if value else "nothing"
        case _:
            return _leaf(indexes, predicate, columns)


def can_decide(predicate: Predicate, columns: Sequence[str]) -> bool:
    """Whether indexes of some columns may say something about the predicate."""
    return any(len(c) == 1 and c[0] in columns for c in columns_of(predicate))


def _leaf(indexes: Sequence[Index], predicate: Predicate, columns: Mapping[str, DataField]) -> str | None:
    read = columns_of(predicate)
    path = next(iter(read)) if len(read) == 1 else ()
    held = columns.get(path[0]) if len(path) == 1 else None
    if held is None or held.type.root == "CHAR":  # whose values some writers fill up with blanks
        return None
    today = DataField(held.id, path[0], held.type)
    for index in indexes:
        if index.column == held.name and _proves(index, predicate, today):
            return f"{index.kind} index of {path[0]}"
    return None


def _proves(index: Index, predicate: Predicate, column: DataField) -> bool:
    """Whether one index proves that no row satisfies the predicate."""
    if index.content is None:
        return _of_nothing(predicate)
    if index.kind not in KINDS:
        return False
    wanted = allowed_values(predicate, column)
    if index.kind == BLOOM:
        return wanted is not None and all(v is not None and not _may_hold(index.content, v, column.type) for v in wanted)
    if column.type.root not in _KEY_SIZES:
        return False
    values = Bitmap.read(index.content, column.type)
    if wanted is not None:
        return not any(values.holds(v) for v in wanted)
    match predicate:
        case IsNull(negated=True):
            return values.count == 0
        case _ if column.type.root.startswith("TIMESTAMP") and (column.type.precision or 0) > 6:
            return False  # instants that differ have one value
        case Compare(term, Op.NE, value):
            others = allowed_values(Compare(term, Op.EQ, value), column)
        case In(term, given, True):
            others = allowed_values(In(term, given), column)
        case _:
            return False
    return others is not None and values.count == sum(values.holds(v) for v in others)


def _of_nothing(predicate: Predicate) -> bool:
    """Whether a column without any value satisfies nothing of this."""
    match predicate:
        case Compare(op=op):
            return op is not Op.NE
        case In(negated=negated) | StartsWith(negated=negated):
            return not negated
        case IsNull(negated=negated):
            return negated
        case _:
            return False


# Bloom filters -------------------------------------------------------------------------------------------------------------------------------------


def _may_hold(content: bytes, value: Any, type_: DataType) -> bool:
    hash_ = value_hash(value, type_)
    bits = 8 * (len(content) - 4)
    if hash_ is None or bits <= 0:
        return True
    functions = int.from_bytes(content[:4], "big", signed=True)
    low, high = _signed(hash_ & 0xFFFFFFFF, 32), _signed(hash_ >> 32, 32)
    for i in range(1, min(functions, 1000) + 1):
        combined = _signed((low + i * high) & 0xFFFFFFFF, 32)
        place = (combined if combined >= 0 else ~combined) % bits
        if not content[4 + (place >> 3)] >> (place & 7) & 1:
            return False
    return True


def value_hash(value: Any, type_: DataType) -> int | None:
    """A value's hash in 64 bits, None for types that have none. value: temporal ones as numbers of their Arrow type's unit."""
    match type_.root:
        case "CHAR" | "VARCHAR":
            return xxhash64(value.encode())
        case "BINARY" | "VARBINARY":
            return xxhash64(value)
        case "TINYINT" | "SMALLINT" | "INT" | "BIGINT" | "DATE" | "TIME":
            return _mixed(value)
        case "FLOAT":
            return _mixed(struct.unpack(">i", struct.pack(">f", value))[0])
        case "DOUBLE":
            return _mixed(struct.unpack(">q", struct.pack(">d", value))[0])
        case "TIMESTAMP" | "TIMESTAMP_LTZ":
            return _mixed(_instant(value, type_))
        case _:
            return None


def _instant(value: int, type_: DataType) -> int:
    """Milliseconds up to a precision of 3, else microseconds."""
    return value // 1000 if (type_.precision or 0) > 6 else value


def _mixed(key: int) -> int:
    """Thomas Wang's hash of 64 bits, shifts to the right with the sign."""
    key = _signed((~key + (key << 21)) & _64, 64)
    key ^= key >> 24
    key = _signed((key + (key << 3) + (key << 8)) & _64, 64)
    key ^= key >> 14
    key = _signed((key + (key << 2) + (key << 4)) & _64, 64)
    key ^= key >> 28
    return (key + (key << 31)) & _64


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) else value


_P1, _P2, _P3, _P4, _P5 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5


def xxhash64(data: bytes) -> int:
    """xxHash64 with seed 0.

    >>> f"{xxhash64(b''):x}", f"{xxhash64(b'abc'):x}"
    ('ef46db3751d8e999', '44bc2cf5ad770999')
    """
    at, size = 0, len(data)
    if size >= 32:
        lanes = [(_P1 + _P2) & _64, _P2, 0, -_P1 & _64]
        while at <= size - 32:
            for lane, word in enumerate(struct.unpack_from("<4Q", data, at)):
                lanes[lane] = _round(lanes[lane], word)
            at += 32
        h = sum(_turned(v, b) for v, b in zip(lanes, (1, 7, 12, 18), strict=True)) & _64
        for lane in lanes:
            h = ((h ^ _round(0, lane)) * _P1 + _P4) & _64
    else:
        h = _P5
    h = (h + size) & _64
    while at <= size - 8:
        h = (_turned(h ^ _round(0, int.from_bytes(data[at : at + 8], "little")), 27) * _P1 + _P4) & _64
        at += 8
    if at <= size - 4:
        h = (_turned(h ^ int.from_bytes(data[at : at + 4], "little") * _P1 & _64, 23) * _P2 + _P3) & _64
        at += 4
    for byte in data[at:]:
        h = _turned(h ^ byte * _P5 & _64, 11) * _P1 & _64
    h = (h ^ h >> 33) * _P2 & _64
    h = (h ^ h >> 29) * _P3 & _64
    return h ^ h >> 32


def _round(lane: int, word: int) -> int:
    return _turned((lane + word * _P2) & _64, 31) * _P1 & _64


def _turned(value: int, bits: int) -> int:
    return (value << bits | value >> (64 - bits)) & _64


# Bitmaps -------------------------------------------------------------------------------------------------------------------------------------------

_KEY_SIZES = {
    "BOOLEAN": 1,
    "TINYINT": 1,
    "SMALLINT": 2,
    "INT": 4,
    "DATE": 4,
    "TIME": 4,
    "BIGINT": 8,
    "FLOAT": 4,
    "DOUBLE": 8,
    "TIMESTAMP": 8,
    "TIMESTAMP_LTZ": 8,
    "CHAR": -1,
    "VARCHAR": -1,
}
"""How many bytes a value has; -1: as many as the four before it say."""


@dataclass(frozen=True)
class Bitmap:
    """What a bitmap index knows. count: how many distinct values there are, nulls aside; has_null: whether there are nulls; values: the values there are, as
    bytes; instants below microseconds are cut.
    """

    count: int
    has_null: bool
    values: frozenset[bytes]
    type: DataType

    @staticmethod
    def read(content: bytes, type_: DataType) -> Bitmap:
        """The index of a column of that type. Raises MetadataError."""
        try:
            version, rows, count, has_null = struct.unpack_from(">biib", content)
            if version not in (1, 2):
                raise MetadataError(f"a bitmap index has version {version}; lakesql reads versions 1 and 2")
            reader = _Reader(content, 10 + (4 * version if has_null else 0))
            values = _first_layout(reader, count, type_) if version == 1 else _second_layout(reader, type_)
        except (struct.error, IndexError) as error:
            raise MetadataError(f"a bitmap index is damaged: {error}") from error
        if len(values) != count or count > rows:
            raise MetadataError(f"a bitmap index over {rows:,} rows says that it has {count:,} values, and has {len(values):,}")
        return Bitmap(count, bool(has_null), values, type_)

    def holds(self, value: Any) -> bool:
        """Whether the value, or null, is there."""
        return self.has_null if value is None else _key(value, self.type) in self.values


def _first_layout(reader: _Reader, count: int, type_: DataType) -> frozenset[bytes]:
    return frozenset(_values(reader, count, type_, 4))


def _second_layout(reader: _Reader, type_: DataType) -> frozenset[bytes]:
    blocks = reader.int32()
    _values(reader, blocks, type_, 4)
    reader.int32()  # how long all blocks are
    return frozenset(v for _ in range(blocks) for v in _values(reader, reader.int32(), type_, 8))


def _values(reader: _Reader, count: int, type_: DataType, behind: int) -> list[bytes]:
    """Values with some bytes behind each."""
    if not 0 <= count <= len(reader.raw):
        raise IndexError(f"{count:,} values announced")
    size, found = _KEY_SIZES[type_.root], []
    for _ in range(count):
        found.append(reader.take(reader.int32() if size < 0 else size))
        reader.take(behind)
    return found


_PACKED = {"BOOLEAN": ">?", "TINYINT": ">b", "SMALLINT": ">h", "INT": ">i", "DATE": ">i", "TIME": ">i", "BIGINT": ">q", "FLOAT": ">f", "DOUBLE": ">d"}


def _key(value: Any, type_: DataType) -> bytes:
    if type_.root in ("CHAR", "VARCHAR"):
        return bytes(value.encode())
    return struct.pack(">q", _instant(value, type_)) if type_.root.startswith("TIMESTAMP") else struct.pack(_PACKED[type_.root], value)
