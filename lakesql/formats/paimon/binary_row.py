"""BinaryRow: many rows of one arity in, columns out, whole columns at a time.

Partitions, keys, bounds and bucket keys in manifests are rows in this form:

    4 bytes     arity, big-endian; everything below is little-endian, offsets count from here
    null area   one byte for the kind of row, then a bit per field; whole words of 8 bytes
    8 per field the value itself, or where in the tail it is
    tail        texts, bytes, decimals of more than 18 digits, timestamps of more than 3

`Rows` keeps the bytes and decodes a column when it is asked for. Bytes are untrusted: every offset is checked before it is followed. Source: Paimon,
BinaryRow, BinaryRowWriter, MemorySegmentUtils.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lakesql.errors import MetadataError
from lakesql.formats.paimon.types import DataType, arrow_type, timestamp_unit

Mask = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

_ARITY_BYTES = 4
_MOST_FIELDS = 100_000
_LEAST_TICK, _MOST_TICK = -(2**63), 2**63 - 1


def fixed_bytes(arity: int) -> int:
    """The size of a row's null area and slots."""
    return null_bytes(arity) + 8 * arity


def null_bytes(arity: int) -> int:
    """The size of the null area, the byte for the row's kind included."""
    return (arity + 63 + 8) // 64 * 8


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of one arity. starts, lengths: where each row is in `data`, behind its arity; absent: rows that are not there at all. source: for messages."""

    data: npt.NDArray[np.uint8]
    starts: Ints
    lengths: Ints
    absent: Mask
    arity: int
    source: str

    @staticmethod
    def of(blobs: pa.Array | pa.ChunkedArray, arity: int, source: str, *, strict: bool = True) -> Rows:
        """The rows in a binary array, whose nulls are absent rows.

        strict: raises MetadataError for a row of another arity, or too short for its fields; otherwise such rows are absent too.
        """
        if not 0 <= arity <= _MOST_FIELDS:
            raise MetadataError(f"{source}: a row of {arity} fields")
        array = _large(blobs)
        absent = array.is_null().to_numpy(zero_copy_only=False)
        offsets = np.frombuffer(array.buffers()[1], np.int64, len(array) + 1, array.offset * 8) if len(array) else np.zeros(1, np.int64)
        buffer = array.buffers()[2]
        data = np.frombuffer(buffer, np.uint8) if buffer is not None and buffer.size else np.zeros(0, np.uint8)
        starts, lengths = offsets[:-1].astype(np.int64), np.diff(offsets)
        short = (lengths < _ARITY_BYTES + fixed_bytes(arity)) & ~absent
        if short.any() and strict:
            size = int(lengths[short][0])
            raise MetadataError(f"{source}: a row of {arity} fields has at least {_ARITY_BYTES + fixed_bytes(arity)} bytes, not {size}")
        absent = absent | short
        here = np.flatnonzero(~absent)
        found = _words(data, 4)[starts[here]].astype("<u4").byteswap() if len(here) else np.zeros(0, np.uint32)
        other = here[found != arity]
        if len(other) and strict:
            raise MetadataError(f"{source}: expected a row of {arity} fields, found one of {int(found[found != arity][0])}")
        if len(other):
            absent[other] = True
        return Rows(data, np.where(absent, 0, starts + _ARITY_BYTES), np.where(absent, 0, lengths - _ARITY_BYTES), absent, arity, source)

    def __len__(self) -> int:
        return len(self.starts)

    def take(self, indices: Ints) -> Rows:
        """The rows at these places."""
        return Rows(self.data, self.starts[indices], self.lengths[indices], self.absent[indices], self.arity, self.source)

    def nulls(self, index: int) -> Mask:
        """Where field `index` is null; absent rows are."""
        bit = index + 8
        flags = np.ones(len(self), bool)
        here = self._present
        flags[here] = (self.data[self.starts[here] + (bit >> 3)] >> (bit & 7)) & 1
        return flags

    def column(self, index: int, type_: DataType, *, strict: bool = True) -> pa.Array:
        """The values of field `index` as Arrow has the type; all null for nested types, which rows of metadata never hold.

        strict: False gives null for timestamps that Arrow cannot hold, where they are an error otherwise. Raises MetadataError.
        """
        wanted = arrow_type(type_)
        if not 0 <= index < self.arity:
            raise MetadataError(f"{self.source}: there is no field {index} in a row of {self.arity}")
        if type_.is_nested or type_.root in ("VARIANT", "BLOB"):
            return pa.nulls(len(self), wanted)
        nulls = self.nulls(index)
        slots = self._slots(index)
        match type_.root:
            case "BOOLEAN":
                return pa.array((slots & 0xFF) != 0, mask=nulls)
            case "TINYINT" | "SMALLINT" | "INT" | "BIGINT" | "FLOAT" | "DOUBLE" | "DATE" | "TIME":
                return _plain(slots, wanted, nulls)
            case "TIMESTAMP" | "TIMESTAMP_LTZ":
                return self._timestamps(slots, type_, nulls, strict)
            case "DECIMAL":
                return self._decimals(slots, type_, nulls)
            case _:
                return self._texts(index, slots, wanted, nulls)

    @cached_property
    def _present(self) -> npt.NDArray[Any]:
        return np.flatnonzero(~self.absent)

    def _slots(self, index: int) -> npt.NDArray[np.uint64]:
        """The eight bytes of field `index` in every row; 0 for absent rows."""
        here = self._present
        if len(here) == len(self):
            return _words(self.data, 8)[self.starts + self._slot(index)] if len(self) else np.zeros(0, np.uint64)
        slots = np.zeros(len(self), np.uint64)
        if len(here):
            slots[here] = _words(self.data, 8)[self.starts[here] + self._slot(index)]
        return slots

    def _slot(self, index: int) -> int:
        return null_bytes(self.arity) + 8 * index

    def _inside(self, offsets: Ints, sizes: Ints, nulls: Mask, what: str) -> None:
        """Refuses pieces that begin before the tail or end behind their row."""
        wrong = ~nulls & ((offsets < fixed_bytes(self.arity)) | (offsets + sizes > self.lengths))
        if wrong.any():
            at = int(np.flatnonzero(wrong)[0])
            raise MetadataError(f"{self.source}: {what} of {int(sizes[at])} bytes at {int(offsets[at])} is outside its row of {int(self.lengths[at])} bytes")

    def _texts(self, index: int, slots: npt.NDArray[np.uint64], wanted: pa.DataType, nulls: Mask) -> pa.Array:
        """Texts and bytes: up to seven in the slot itself, longer ones in the tail."""
        inline = (slots >> np.uint64(63)) == 1
        sizes = np.where(inline, (slots >> np.uint64(56)) & np.uint64(0x7F), slots & np.uint64(0xFFFFFFFF)).astype(np.int64)
        offsets = np.where(inline, np.uint64(self._slot(index)), slots >> np.uint64(32)).astype(np.int64)
        if (inline & ~nulls & (sizes > 7)).any():
            raise MetadataError(f"{self.source}: a value within its slot has more than 7 bytes")
        self._inside(offsets, sizes, nulls | inline, "a value")
        binary = _gather(self.data, self.starts + offsets, np.where(nulls, 0, sizes), nulls)
        if pa.types.is_binary(wanted):
            return binary.cast(wanted)
        try:
            return binary.cast(pa.large_string()).cast(wanted)
        except pa.ArrowInvalid as error:
            raise MetadataError(f"{self.source}: a text that is not UTF-8") from error

    def _timestamps(self, slots: npt.NDArray[np.uint64], type_: DataType, nulls: Mask, strict: bool) -> pa.Array:
        unit, wanted = timestamp_unit(type_), arrow_type(type_)
        if unit == "ms":
            return pa.array(slots.view(np.int64), pa.int64(), mask=nulls).cast(wanted)
        offsets, nanos = (slots >> np.uint64(32)).astype(np.int64), (slots & np.uint64(0xFFFFFFFF)).astype(np.int64)
        self._inside(offsets, np.full(len(self), 8), nulls, "a timestamp")
        if (~nulls & (nanos > 999_999)).any():
            raise MetadataError(f"{self.source}: {int(nanos[~nulls & (nanos > 999_999)][0]):,} nanoseconds within a millisecond")
        millis = np.zeros(len(self), np.int64)
        here = ~nulls
        millis[here] = _words(self.data, 8)[self.starts[here] + offsets[here]].view(np.int64)
        per_milli, part = (1000, nanos // 1000) if unit == "us" else (1_000_000, nanos)
        beyond = here & ((millis > _MOST_TICK // per_milli - 1) | (millis < _LEAST_TICK // per_milli + 1))
        if beyond.any() and strict:
            raise MetadataError(f"{self.source}: a {type_} of {int(millis[beyond][0]):,} milliseconds since 1970 is beyond what 64 bits hold")
        return pa.array(np.where(beyond, 0, millis) * per_milli + part, pa.int64(), mask=nulls | beyond).cast(wanted)

    def _decimals(self, slots: npt.NDArray[np.uint64], type_: DataType, nulls: Mask) -> pa.Array:
        wide = np.zeros((len(self), 2), np.int64)
        if (type_.precision or 0) <= 18:
            wide[:, 0] = np.where(nulls, 0, slots.view(np.int64))
            wide[:, 1] = wide[:, 0] >> 63
        else:
            self._big_integers(slots, nulls, wide)
        flags = pa.array(~nulls).buffers()[1]
        array = pa.Array.from_buffers(arrow_type(type_), len(self), [flags, pa.py_buffer(wide)])
        try:
            array.validate(full=True)
        except pa.ArrowInvalid as error:
            raise MetadataError(f"{self.source}: a value does not fit {type_}") from error
        return array

    def _big_integers(self, slots: npt.NDArray[np.uint64], nulls: Mask, wide: npt.NDArray[np.int64]) -> None:
        """Fills `wide` with integers of up to 16 bytes, big-endian in the tail."""
        offsets, sizes = (slots >> np.uint64(32)).astype(np.int64), (slots & np.uint64(0xFFFFFFFF)).astype(np.int64)
        wrong = ~nulls & ((sizes < 1) | (sizes > 16))
        if wrong.any():
            raise MetadataError(f"{self.source}: a decimal of {int(sizes[wrong][0])} bytes, where 1 to 16 are possible")
        self._inside(offsets, sizes, nulls, "a decimal")
        here = np.flatnonzero(~nulls)
        if not len(here):
            return
        first, size = (self.starts + offsets)[here], sizes[here]
        sign = np.where(self.data[first] & 0x80, 0xFF, 0).astype(np.uint8)
        place = np.arange(16)[None, :]
        at = np.maximum(first[:, None] + size[:, None] - 1 - place, first[:, None])
        whole = np.where(place < size[:, None], self.data[at], sign[:, None]).astype(np.uint8)
        wide[here] = np.ascontiguousarray(whole).view("<i8")


def _large(blobs: pa.Array | pa.ChunkedArray) -> pa.Array:
    if isinstance(blobs, pa.ChunkedArray):
        blobs = blobs.cast(pa.large_binary()).combine_chunks()
    return blobs if pa.types.is_large_binary(blobs.type) else blobs.cast(pa.large_binary())


def _words(data: npt.NDArray[np.uint8], width: int) -> npt.NDArray[Any]:
    """Every run of `width` bytes as an unsigned integer, by where it begins: a view, from which fancy indexing takes what it is asked for."""
    return np.ndarray(max(len(data) - width + 1, 0), f"<u{width}", data, strides=(1,)) if len(data) >= width else np.zeros(0, f"<u{width}")


def _plain(slots: npt.NDArray[np.uint64], wanted: pa.DataType, nulls: Mask) -> pa.Array:
    """Numbers in the low bytes of their slots."""
    width = wanted.bit_width // 8
    values = np.ascontiguousarray(slots.view(np.uint8).reshape(-1, 8)[:, :width]).view(f"<{'f' if pa.types.is_floating(wanted) else 'i'}{width}").reshape(-1)
    if pa.types.is_date(wanted) or pa.types.is_time(wanted):
        return pa.array(values, pa.int32(), mask=nulls).cast(wanted)
    return pa.array(values, wanted, mask=nulls)


def _gather(data: npt.NDArray[np.uint8], starts: Ints, sizes: Ints, nulls: Mask) -> pa.Array:
    """Pieces of data as a binary array."""
    offsets = np.zeros(len(starts) + 1, np.int64)
    np.cumsum(sizes, out=offsets[1:])
    moved = np.repeat(starts - offsets[:-1], sizes)
    moved += np.arange(offsets[-1])
    return pa.Array.from_buffers(pa.large_binary(), len(starts), [pa.array(~nulls).buffers()[1], pa.py_buffer(offsets), pa.py_buffer(data[moved])])


def distinct(blobs: pa.Array | pa.ChunkedArray) -> tuple[pa.Array, Ints]:
    """The distinct byte strings of an array without nulls, and for each entry its number among them. Partitions repeat; they are decoded once each."""
    encoded = pc.dictionary_encode(_large(blobs))
    return encoded.dictionary, encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
