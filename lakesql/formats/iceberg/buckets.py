"""The bucket transform: hashes of literals, and predicates on buckets that follow from predicates on their column. Source: Iceberg table spec, Appendix B.

    id = 5     becomes    id = 5 AND "bucket[16](id)" = 3

which says the same of every row, and lets files be told apart by the bucket in their partition tuple. Only equality follows through a hash; ranges and `<>`
do not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from lakesql.predicate import And, Cast, Column, ColumnPath, Compare, In, Op, Or, Predicate, Term

_MOST_LITERALS = 20_000
"""Literals of one IN that are hashed, one by one."""
_MASK = 0xFFFFFFFF


@dataclass(frozen=True)
class Bucketed:
    """A column that some files are bucketed by. path: what predicates on its bucket call it; count: N of bucket[N]."""

    column: ColumnPath
    path: ColumnPath
    count: int
    type: pa.DataType


def bucket_path(column: ColumnPath, count: int) -> ColumnPath:
    """What a bucket is called in predicates: no column has such a name by chance, and one that does could only keep too much."""
    return (f"bucket[{count}]({'.'.join(column)})", "")


def with_buckets(predicate: Predicate, buckets: Mapping[ColumnPath, Iterable[Bucketed]]) -> Predicate:
    """The predicate with what follows for buckets; buckets: by column."""
    match predicate:
        case And(parts):
            return And(tuple(with_buckets(p, buckets) for p in parts))
        case Or(parts):
            return Or(tuple(with_buckets(p, buckets) for p in parts))
        case Compare(term, Op.EQ, value):
            follows = [
                Compare(Column(b.path), Op.EQ, pa.scalar(n, pa.int32())) for b in _of(term, buckets) if (n := bucket_of(value, b.type, b.count)) is not None
            ]
            return And((predicate, *follows)) if follows else predicate
        case In(term, values, False) if len(values) <= _MOST_LITERALS:
            follows_in = [In(Column(b.path), pa.array(sorted(s), pa.int32())) for b in _of(term, buckets) if (s := _buckets_of(values, b)) is not None]
            return And((predicate, *follows_in)) if follows_in else predicate
        case _:
            return predicate


def bucket_of(value: pa.Scalar, type_: pa.DataType, count: int) -> int | None:
    """The bucket of a literal compared with a column of this type; None where it is no value of the type, or the type has no hash."""
    try:
        held = value if value.type == type_ else value.cast(type_)
        if held.type != value.type and not _same(held, value):
            return None
    except pa.ArrowException:
        return None
    content = hashed_bytes(held)
    return None if content is None else (murmur3(content) & 0x7FFFFFFF) % count


def hashed_bytes(value: pa.Scalar) -> bytes | None:
    """What is hashed of a value; None for types without a hash. Dates are hashed as longs, whatever the spec's table says: its own test value comes from
    that.
    """
    t, type_ = pa.types, value.type
    if not value.is_valid:
        return None
    if t.is_integer(type_):
        return int(value.as_py()).to_bytes(8, "little", signed=True)
    if t.is_date32(type_) or t.is_time64(type_):
        return int(value.value).to_bytes(8, "little", signed=True)
    if t.is_timestamp(type_) and type_.unit in ("us", "ns"):
        return int(value.value // (1000 if type_.unit == "ns" else 1)).to_bytes(8, "little", signed=True)
    if t.is_decimal128(type_):
        sign, digits, exponent = value.as_py().as_tuple()  # not by arithmetic, which rounds to 28 digits
        unscaled: int = int("".join(map(str, digits))) * 10 ** (exponent + type_.scale) * (-1 if sign else 1)
        return unscaled.to_bytes(max(1, (unscaled + (unscaled < 0)).bit_length() // 8 + 1), "big", signed=True)
    if t.is_string(type_) or t.is_binary(type_) or t.is_fixed_size_binary(type_):
        content: bytes = value.as_buffer().to_pybytes()
        return content
    return None


def murmur3(content: bytes) -> int:
    """MurmurHash3, x86, 32 bits, seed 0, as an unsigned number.

    >>> murmur3((34).to_bytes(8, "little")), murmur3(b"iceberg")
    (2017239379, 1210000089)
    """
    state, length = 0, len(content)
    for at in range(0, length & ~3, 4):
        state ^= _mixed(int.from_bytes(content[at : at + 4], "little"))
        state = (((state << 13) | (state >> 19)) * 5 + 0xE6546B64) & _MASK
    if tail := content[length & ~3 :]:
        state ^= _mixed(int.from_bytes(tail, "little"))
    state ^= length
    state = ((state ^ (state >> 16)) * 0x85EBCA6B) & _MASK
    state = ((state ^ (state >> 13)) * 0xC2B2AE35) & _MASK
    return state ^ (state >> 16)


def _mixed(block: int) -> int:
    block = (block * 0xCC9E2D51) & _MASK
    block = ((block << 15) | (block >> 17)) & _MASK
    return (block * 0x1B873593) & _MASK


def _of(term: Term, buckets: Mapping[ColumnPath, Iterable[Bucketed]]) -> list[Bucketed]:
    """The buckets of the column a term stands for: itself, or a cast that changes no value's hash."""
    if isinstance(term, Column):
        return list(buckets.get(term.path, ()))
    if isinstance(term, Cast) and isinstance(term.term, Column) and pa.types.is_integer(term.type):
        return [b for b in buckets.get(term.term.path, ()) if pa.types.is_integer(b.type)]
    return []


def _buckets_of(values: pa.Array, bucketed: Bucketed) -> set[int] | None:
    """The buckets of all literals; None where one of them has none."""
    found = {bucket_of(value, bucketed.type, bucketed.count) for value in values}
    return None if None in found else {n for n in found if n is not None}


def _same(held: pa.Scalar, value: pa.Scalar) -> bool:
    """Whether a cast kept the value: it comes back."""
    back: Any = held.cast(value.type)
    return bool(back.equals(value))
