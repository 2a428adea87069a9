"""What equals what: rows as numbers, equal where the rows are, over whole columns at once.

Null equals null; floating-point values are equal where their bits are, and NaN equals NaN; nested values are compared whole.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lakesql.engines.arrow.values import undictionaried

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_BITS = {pa.float16(): pa.int16(), pa.float32(): pa.int32(), pa.float64(): pa.int64()}


def codes(columns: Sequence[pa.ChunkedArray | pa.Array], count: int) -> Ints:
    """For each of `count` rows a number, the same for rows that are equal in all columns; from 0, without gaps."""
    found = np.zeros(count, np.int64)
    for number, column in enumerate(columns):
        here = _codes(_one(column))
        found = here if number == 0 else _dense(found * (int(here.max(initial=0)) + 1) + here)
    return found


def _one(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    array = pa.concat_arrays(array.chunks) if isinstance(array, pa.ChunkedArray) else array
    plain = {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}.get(array.type)
    return undictionaried(array if plain is None else array.cast(plain))


def _dense(values: npt.NDArray[np.generic]) -> Ints:
    _, found = np.unique(values, return_inverse=True)
    numbers: Ints = found.astype(np.int64)
    return numbers


def _codes(array: pa.Array) -> Ints:
    t, type_ = pa.types, array.type
    if t.is_null(type_) or not len(array):
        return np.zeros(len(array), np.int64)
    if t.is_struct(type_):
        children = [array.is_valid(), *array.flatten()]
        return codes(children, len(array))
    if t.is_map(type_):
        entries = [array.keys, array.items]
        start, end = array.offsets[0].as_py(), array.offsets[-1].as_py()
        inside = codes([e.slice(start, end - start) for e in entries], end - start)
        return _of_lists(array, pc.subtract(array.offsets, start).to_numpy(zero_copy_only=False), inside)
    if t.is_list(type_) or t.is_large_list(type_) or t.is_fixed_size_list(type_):
        lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
        items = array.flatten()
        return _of_lists(array, np.concatenate(([0], np.cumsum(lengths))), codes([items], len(items)))
    if type_ in _BITS:
        nan = pa.scalar(float("nan"), type_)
        array = pc.if_else(pc.is_nan(array), nan, array).view(_BITS[type_])
    encoded = pc.dictionary_encode(array, null_encoding="encode")
    numbers: Ints = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return numbers


def _of_lists(array: pa.Array, offsets: npt.NDArray[np.integer], items: Ints) -> Ints:
    """Lists of numbers are equal where their bytes are; what stands where a list is null counts for nothing."""
    content = pa.py_buffer(np.ascontiguousarray(items, np.int64))
    places = pa.py_buffer(np.ascontiguousarray(offsets * 8, np.int64))
    texts = pa.Array.from_buffers(pa.large_binary(), len(array), [None, places, content])
    found = _codes(texts)
    found[array.is_null().to_numpy(zero_copy_only=False)] = len(array)
    return found


class KeySet:
    """The keys of some rows, to look others up among them."""

    def __init__(self, rows: pa.Table, key: Sequence[str]) -> None:
        self._key = list(key)
        self._rows = rows.select(self._key)
        self._sorted: Ints | None = None
        if len(self._key) == 1 and _is_plain(self._rows.column(0)):
            self._sorted = np.unique(_numbers(self._rows.column(0)))

    def __len__(self) -> int:
        return int(self._rows.num_rows)

    def has(self, batch: pa.RecordBatch) -> Mask:
        """Which rows of the batch have one of the keys."""
        if not len(self):
            return np.zeros(batch.num_rows, bool)
        if self._sorted is not None and _is_plain(batch.column(self._key[0])):
            numbers = _numbers(batch.column(self._key[0]))
            at = np.searchsorted(self._sorted, numbers)
            found: Mask = self._sorted[np.minimum(at, len(self._sorted) - 1)] == numbers
            return found
        found_codes = together([self._rows.column(k) for k in self._key], [batch.column(k) for k in self._key], len(self), batch.num_rows)
        there = np.zeros(int(found_codes.max(initial=0)) + 1, bool)
        there[found_codes[: len(self)]] = True
        among: Mask = there[found_codes[len(self) :]]
        return among


def together(first: Sequence[pa.ChunkedArray], second: Sequence[pa.Array], first_count: int, second_count: int) -> Ints:
    """Codes of the rows of both, the first's before the second's."""
    columns = []
    for left, right in zip(first, second, strict=True):
        right = undictionaried(right)
        left = left.cast(right.type) if left.type != right.type else left
        columns.append(pa.chunked_array([*left.chunks, right], right.type))
    return codes(columns, first_count + second_count)


def _is_plain(column: pa.ChunkedArray | pa.Array) -> bool:
    t, type_ = pa.types, column.type
    return not column.null_count and (t.is_signed_integer(type_) or t.is_date32(type_) or t.is_timestamp(type_))


def _numbers(column: pa.ChunkedArray | pa.Array) -> Ints:
    type_ = column.type
    if pa.types.is_timestamp(type_):
        column = column.cast(pa.int64())
    elif pa.types.is_date32(type_):
        column = column.cast(pa.int32())
    numbers: Ints = column.to_numpy(zero_copy_only=False) if isinstance(column, pa.Array) else column.to_numpy()
    return numbers.astype(np.int64)
