"""Bounds in their binary form -> Arrow arrays, whole columns at a time. Source: Iceberg table spec, Appendix D, "Binary single-value serialization".

The length of a value says which type it was written in: a bound of four bytes in a column of long is from when the column was int. What has no length its
type can have, and NaN, is unknown: null. Texts and bytes may be cut, and are then bounds all the same.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Bytes = npt.NDArray[np.uint8]

_PER_DAY = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
_DECIMAL_BYTES = 16


def decode(values: pa.BinaryArray, type_: pa.DataType) -> pa.Array:
    """Bounds of a column of this Arrow type; null where they are null or do not decode. Bounds of fixed bytes come as plain binary, since they may be cut."""
    t = pa.types
    if t.is_string(type_) or t.is_binary(type_) or t.is_fixed_size_binary(type_):
        return values.view(pa.string()) if t.is_string(type_) else values
    if t.is_boolean(type_):
        return pc.not_equal(_numbers(values, {1: lambda b: b.view(np.uint8)}, np.uint8), 0)
    if t.is_int32(type_) or t.is_date32(type_):
        return _numbers(values, {4: lambda b: b.view("<i4")}, np.int32).view(type_)
    if t.is_int64(type_) or t.is_time64(type_):
        return _numbers(values, {8: lambda b: b.view("<i8"), 4: lambda b: b.view("<i4")}, np.int64).view(type_)
    if t.is_timestamp(type_):
        return _numbers(values, {8: lambda b: b.view("<i8"), 4: lambda b: _days(b, type_.unit)}, np.int64).view(type_)
    if t.is_float32(type_):
        return _no_nan(_numbers(values, {4: lambda b: b.view("<f4")}, np.float32))
    if t.is_float64(type_):
        return _no_nan(_numbers(values, {8: lambda b: b.view("<f8"), 4: lambda b: b.view("<f4")}, np.float64))
    if t.is_decimal128(type_):
        return _decimals(values, type_)
    return pa.nulls(len(values), type_)


def has_bounds(type_: pa.DataType) -> bool:
    """Whether bounds of a column of this type mean anything to pruning."""
    return not pa.types.is_nested(type_) and not pa.types.is_null(type_)


def _numbers(values: pa.BinaryArray, readers: dict[int, Callable[[Bytes], np.ndarray]], dtype: type) -> pa.Array:
    """Values read by the number of their bytes; others are null."""
    starts, lengths, data = _parts(values)
    numbers: np.ndarray = np.zeros(len(values), dtype)
    known = np.zeros(len(values), np.bool_)
    for width, read in readers.items():
        chosen = lengths == width
        if chosen.any():
            known |= chosen
            numbers[chosen] = read(_gathered(data, starts[chosen], width))
    return pa.array(numbers, mask=~known)


def _days(values: Bytes, unit: str) -> np.ndarray:
    """Days, as bounds of a date column that became one of timestamps; what does not fit is the nearest that does."""
    most = (2**63 - 1) // _PER_DAY[unit]
    return np.clip(values.view("<i4").astype(np.int64), -most, most) * _PER_DAY[unit]


def _no_nan(numbers: pa.Array) -> pa.Array:
    return pc.if_else(pc.is_nan(numbers), pa.scalar(None, numbers.type), numbers)


def _decimals(values: pa.BinaryArray, type_: pa.DataType) -> pa.Array:
    """Unscaled, big-endian, in as few bytes as it takes -> sixteen little-endian ones."""
    starts, lengths, data = _parts(values)
    whole = np.zeros((len(values), _DECIMAL_BYTES), np.uint8)
    known = (lengths >= 1) & (lengths <= _DECIMAL_BYTES)
    for width in np.unique(lengths[known]).tolist():
        chosen = lengths == width
        digits = _gathered(data, starts[chosen], width).reshape(-1, width)
        part = np.where(digits[:, :1] & 0x80, np.uint8(0xFF), np.uint8(0)).repeat(_DECIMAL_BYTES, axis=1)
        part[:, :width] = digits[:, ::-1]
        whole[chosen] = part
    validity = pa.array(known).buffers()[1] if not known.all() else None
    return pa.Array.from_buffers(type_, len(values), [validity, pa.py_buffer(whole.tobytes())])


def _parts(values: pa.BinaryArray) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Bytes]:
    """Where each value starts, how long it is (-1: null), and the bytes of all."""
    _, offsets_buffer, data_buffer = values.buffers()
    offsets = (
        np.frombuffer(offsets_buffer, np.int32)[values.offset : values.offset + len(values) + 1].astype(np.int64) if offsets_buffer else np.zeros(1, np.int64)
    )
    lengths = np.diff(offsets)
    if values.null_count:
        lengths = np.where(values.is_valid().to_numpy(zero_copy_only=False), lengths, -1)
    return offsets[:-1], lengths, np.frombuffer(data_buffer, np.uint8) if data_buffer else np.zeros(0, np.uint8)


def _gathered(data: Bytes, starts: npt.NDArray[np.int64], width: int) -> Bytes:
    """The bytes of values of one width, one after another."""
    if len(starts) and (starts[-1] - starts[0]) == (len(starts) - 1) * width and (len(starts) == 1 or (np.diff(starts) == width).all()):
        return data[starts[0] : starts[0] + len(starts) * width]
    gathered: Bytes = data[starts[:, None] + np.arange(width)].reshape(-1)
    return gathered
