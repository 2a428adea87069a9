"""Which bucket a key is in: rows of the bucket key as bytes, their hash, and the buckets that a predicate leaves.

A predicate that pins every column of the bucket key by `=` or IN names the only buckets its rows can be in. Literals take the column's type first: the hash
is over bytes. How many buckets there are is each manifest entry's own, since partitions are rescaled one by one. Source: Paimon, BucketSelector,
DefaultBucketFunction, ModBucketFunction, HiveBucketFunction.
"""

from __future__ import annotations

import enum
import itertools
import math
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lakesql.formats.paimon.binary_row import fixed_bytes, null_bytes
from lakesql.formats.paimon.types import DataField, DataType, arrow_type
from lakesql.predicate import Cast, Column, Compare, In, IsNull, Op, Or, Predicate, Term, conjuncts

MOST_KEYS = 1000
"""Combinations of values that are looked up, as in Paimon itself; more of them prune nothing."""

_SEED = 42
_32 = 0xFFFFFFFF
_DIGITS = Context(prec=80)


class BucketFunction(enum.Enum):
    """How keys are spread over buckets: the values of the option `bucket-function.type`."""

    DEFAULT = "default"
    MOD = "mod"
    HIVE = "hive"


@dataclass(frozen=True)
class BucketKey:
    """The columns of a table's bucket key, in order, and the function over them."""

    columns: tuple[DataField, ...]
    function: BucketFunction = BucketFunction.DEFAULT

    def pinned(self, predicates: Sequence[Predicate]) -> Buckets | None:
        """The buckets that rows satisfying all predicates can be in; None where the predicates do not pin the whole key."""
        values = [_pinned_values(predicates, column) for column in self.columns]
        if not values or any(v is None for v in values) or math.prod(len(v or ()) for v in values) > MOST_KEYS:
            return None
        keys = list(itertools.product(*(v or () for v in values)))
        hashes = [self._hash(key) for key in keys]
        return Buckets(tuple(h for h in hashes if h is not None), self.function) if None not in hashes else None

    def _hash(self, key: tuple[Any, ...]) -> int | None:
        """What the number of buckets divides; None where this key's hash is not known."""
        types = [c.type for c in self.columns]
        match self.function:
            case BucketFunction.DEFAULT:
                row = encode(key, types)
                return None if row is None else murmur3(row)
            case BucketFunction.MOD:
                single = len(types) == 1 and types[0].root in ("INT", "BIGINT") and key[0] is not None
                return int(key[0]) if single else None
            case BucketFunction.HIVE:
                return hive_hash(key, types)


@dataclass(frozen=True)
class Buckets:
    """Hashes of keys, before they are cut to a number of buckets."""

    hashes: tuple[int, ...]
    function: BucketFunction

    def of(self, total: int) -> frozenset[int]:
        """The buckets among `total`."""
        return frozenset(self._bucket(h, total) for h in self.hashes)

    def keep(self, buckets: npt.NDArray[np.int64], totals: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Which entries may hold one of the keys: by bucket and by the number of buckets when they were written, which is not positive where buckets mean
        something else.
        """
        kept = (totals <= 0) | (buckets < 0)
        for total in np.unique(totals[~kept]).tolist():
            kept |= (totals == total) & np.isin(buckets, list(self.of(total)))
        return kept

    def _bucket(self, hash_: int, total: int) -> int:
        return hash_ % total if self.function is BucketFunction.MOD else abs(hash_) % total


# Literals ------------------------------------------------------------------------------------------------------------------------------------------


def _pinned_values(predicates: Iterable[Predicate], column: DataField) -> list[Any] | None:
    """The values that the predicates allow the column, as Python has them; None where they allow any."""
    for predicate in predicates:
        for part in conjuncts(predicate):
            values = allowed_values(part, column)
            if values is not None:
                return list(dict.fromkeys(values))
    return None


def allowed_values(predicate: Predicate, column: DataField) -> list[Any] | None:
    """The values that one predicate allows the column, None among them for null; None where it allows others too, or none that the column's type has."""
    match predicate:
        case Compare(term, Op.EQ, value) if _is(term, column):
            return _typed([value], column.type)
        case In(term, values, False) if _is(term, column) and len(values) <= MOST_KEYS:
            return _typed(list(values), column.type)
        case IsNull(term, False) if _is(term, column):
            return [None]
        case Or(parts):
            found = [allowed_values(p, column) for p in parts]
            return None if any(f is None for f in found) else [v for f in found for v in f or ()]
        case _:
            return None


def _is(term: Term, column: DataField) -> bool:
    """Whether a term is the column itself, or an integer column made wider, which compares alike."""
    if isinstance(term, Cast) and pa.types.is_integer(term.type) and pa.types.is_integer(arrow_type(column.type)):
        return _is(term.term, column)
    return isinstance(term, Column) and term.path == (column.name,)


def _typed(values: Sequence[pa.Scalar], type_: DataType) -> list[Any] | None:
    """Literals in the column's type; None where one does not fit it exactly, or equals values of other bytes (both zeros and NaN of floating point)."""
    wanted, typed = arrow_type(type_), []
    for value in values:
        try:
            cast = value.cast(wanted)
            if not value.is_valid or not cast.cast(value.type).equals(value):
                return None
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OverflowError):
            return None
        if pa.types.is_floating(wanted) and (math.isnan(cast.as_py()) or cast.as_py() == 0):
            return None
        typed.append(bare(cast))
    return typed


def bare(value: pa.Scalar) -> Any:
    """A scalar as bytes are made of it: dates, times and timestamps as their numbers."""
    if pa.types.is_temporal(value.type):
        return value.value
    return value.as_py()


# Bytes ---------------------------------------------------------------------------------------------------------------------------------------------

FIXED: dict[str, str] = {
    "BOOLEAN": "<?",
    "TINYINT": "<b",
    "SMALLINT": "<h",
    "INT": "<i",
    "DATE": "<i",
    "TIME": "<i",
    "BIGINT": "<q",
    "FLOAT": "<f",
    "DOUBLE": "<d",
}


def encode(values: Sequence[Any], types: Sequence[DataType], *, reserves: bool = False) -> bytes | None:
    """A row as BinaryRow bytes behind the arity. values: temporal ones as numbers of their Arrow type's unit. None where a null's bytes depend on the
    writer. reserves: it is Java's, which keeps room for wide decimals and timestamps that are null.
    """
    arity = len(types)
    nulls, slots, tail = bytearray(null_bytes(arity)), bytearray(), bytearray()
    for index, (value, type_) in enumerate(zip(values, types, strict=True)):
        at = fixed_bytes(arity) + len(tail)
        if value is None:
            room = 16 if type_.root == "DECIMAL" and (type_.precision or 0) > 18 else 8 if _is_wide_timestamp(type_) else 0
            if room and not reserves:
                return None
            nulls[(index + 8) >> 3] |= 1 << ((index + 8) & 7)
            slots += struct.pack("<Q", at << 32 if room else 0)
            tail += bytes(room)
        elif type_.root in FIXED:
            slots += struct.pack(FIXED[type_.root], value).ljust(8, b"\0")
        elif type_.root == "DECIMAL":
            unscaled = int(Decimal(value).scaleb(type_.scale or 0, _DIGITS))
            if (type_.precision or 0) <= 18:
                slots += struct.pack("<q", unscaled)
            else:
                digits = unscaled.to_bytes((unscaled if unscaled >= 0 else ~unscaled).bit_length() // 8 + 1, "big", signed=True)
                slots += struct.pack("<Q", at << 32 | len(digits))
                tail += digits.ljust(16, b"\0")
        elif type_.root.startswith("TIMESTAMP"):
            precision = type_.precision or 0
            if precision <= 3:
                slots += struct.pack("<q", value)
            else:
                millis, part = divmod(value, 1000 if precision <= 6 else 1_000_000)
                slots += struct.pack("<Q", at << 32 | (part * 1000 if precision <= 6 else part))
                tail += struct.pack("<q", millis)
        else:
            raw = value.encode() if isinstance(value, str) else bytes(value)
            if len(raw) <= 7:
                slots += raw.ljust(7, b"\0") + bytes((0x80 | len(raw),))
            else:
                slots += struct.pack("<Q", at << 32 | len(raw))
                tail += raw + bytes(-len(raw) % 8)
    return bytes(nulls + slots + tail)


def _is_wide_timestamp(type_: DataType) -> bool:
    return type_.root.startswith("TIMESTAMP") and (type_.precision or 0) > 3


def murmur3(words: bytes) -> int:
    """MurmurHash3 (x86, 32 bits, seed 42), as a signed number; bytes behind the last whole word of four are mixed in one by one, each as a signed number.
    Source: Paimon, MurmurHashUtils.hashBytes.
    """
    h, whole = _SEED, len(words) // 4 * 4
    for k in (*(k for (k,) in struct.iter_unpack("<I", words[:whole])), *(b - 256 if b > 127 else b for b in words[whole:])):
        k = k * 0xCC9E2D51 & _32
        k = (k << 15 | k >> 17) & _32
        h ^= k * 0x1B873593 & _32
        h = (h << 13 | h >> 19) & _32
        h = (h * 5 + 0xE6546B64) & _32
    h ^= len(words)
    h = (h ^ h >> 16) * 0x85EBCA6B & _32
    h = (h ^ h >> 13) * 0xC2B2AE35 & _32
    return signed(h ^ h >> 16)


_HIVE: dict[str, Callable[[Any], int]] = {
    "BOOLEAN": int,
    "TINYINT": int,
    "SMALLINT": int,
    "INT": int,
    "DATE": int,
    "TIME": int,
    "BIGINT": lambda v: (v ^ (v >> 32)) & _32,
    "CHAR": lambda v: _bytes_hash(v.encode()),
    "VARCHAR": lambda v: _bytes_hash(v.encode()),
    "BINARY": lambda v: _bytes_hash(v),
    "VARBINARY": lambda v: _bytes_hash(v),
}


def hive_hash(values: Sequence[Any], types: Sequence[DataType]) -> int | None:
    """Hive's hash of a row, cut to 31 bits; None for types whose hash is not followed."""
    h = 0
    for value, type_ in zip(values, types, strict=True):
        if type_.root not in _HIVE:
            return None
        h = (31 * h + (0 if value is None else _HIVE[type_.root](value))) & _32
    return h & 0x7FFFFFFF


def _bytes_hash(raw: bytes) -> int:
    h = 0
    for byte in raw:
        h = (31 * h + (byte - 256 if byte > 127 else byte)) & _32
    return h


def signed(value: int) -> int:
    """32 bits as Java has them."""
    return value - (1 << 32) if value & 0x80000000 else value
