"""The range of a term in every candidate: bounds that were checked, in a few storage types that Arrow compares by value.

Storage is int64 for integers, booleans, dates, times and timestamps (uint64 for uint64), double for floats, decimal128(38, s) or decimal256(76, s) for
decimals and large_binary for text and bytes, whose order is that of the bytes. What has no order that pruning knows keeps only its null counts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from lakesql.errors import InternalError
from lakesql.pruning.bounds import Bounds, Mask


@dataclass(frozen=True)
class Range:
    """What is known about a term's values, per candidate.

    type: the term's logical type, None where nothing is known of it. lower, upper: storage arrays, null = unknown, no NaN; every value that is neither null
    nor NaN lies between them. no_nulls, all_null, empty: proofs about the candidate's rows; False is unknown. nans: NaN may be among the values. sharp:
    lower = upper proves that value; False where bounds may be cut. reason: why there are no bounds at all, None where there may be.
    """

    type: pa.DataType | None
    lower: pa.Array
    upper: pa.Array
    no_nulls: Mask
    all_null: Mask
    empty: Mask
    nans: Mask
    sharp: bool
    reason: str | None = None

    @cached_property
    def pinned(self) -> Mask:
        """Every value that is not null is `lower`."""
        if not self.sharp:
            return np.zeros(len(self.lower), dtype=bool)
        return proved(pc.equal(self.lower, self.upper)) & ~self.nans

    def without_bounds(self, reason: str) -> Range:
        """The same rows, of whose values nothing is known but whether they are null."""
        unknown = pa.nulls(len(self.lower), pa.int64())
        return replace(self, type=None, lower=unknown, upper=unknown, sharp=False, reason=reason)

    def with_bounds(self, type_: pa.DataType, lower: pa.Array, upper: pa.Array, *, sharp: bool | None = None) -> Range:
        """The same rows under an order-keeping function that is null for null alone."""
        is_float = types.is_floating(type_)
        return replace(
            self, type=type_, lower=lower, upper=upper, nans=self.nans if is_float else np.zeros_like(self.nans), sharp=self.sharp if sharp is None else sharp
        )


def proved(answers: pa.Array) -> Mask:
    """True where a comparison of bounds is true; unknown bounds (null) prove nothing."""
    mask: Mask = pc.fill_null(answers, False).to_numpy(zero_copy_only=False)
    return mask


def nothing_known(length: int, reason: str) -> Range:
    """A column without statistics."""
    no = np.zeros(length, dtype=bool)
    unknown = pa.nulls(length, pa.int64())
    return Range(None, unknown, unknown, no, no, no, no, sharp=False, reason=reason)


def range_of(bounds: Bounds, length: int, column: str) -> Range:
    """The range of a plain column. Raises InternalError where the arrays do not have one entry per candidate."""
    for name in ("lower", "upper", "null_count", "row_count", "nan_count"):
        array = getattr(bounds, name)
        if array is not None and len(array) != length:
            raise InternalError(f'bounds of column "{column}": {name} has {len(array)} entries for {length} candidates')
    row_count, null_count = _counts(bounds.row_count), _counts(bounds.null_count)
    empty = proved(pc.equal(row_count, 0))
    no_lower = bounds.lower.is_null().to_numpy(zero_copy_only=False)
    no_upper = bounds.upper.is_null().to_numpy(zero_copy_only=False)
    if bounds.constant:
        no_nulls, all_null = ~no_lower, no_lower
    else:
        no_nulls = proved(pc.equal(null_count, 0))
        # A candidate of nulls alone has no bounds; where it has, the metadata contradicts itself and proves nothing.
        all_null = proved(pc.equal(null_count, row_count)) & no_lower & no_upper & ~no_nulls
    logical = _plain_type(bounds.lower.type)
    lower = storage_array(bounds.lower)
    upper = lower if bounds.constant else storage_array(bounds.upper)
    no = np.zeros(length, dtype=bool)
    if lower is None or upper is None or lower.type != upper.type:
        reason = f"the type {logical} has no order that pruning knows" if not types.is_null(logical) else f"no bounds for column {column}"
        return replace(nothing_known(length, reason), no_nulls=no_nulls, all_null=all_null, empty=empty)
    nans = no
    if types.is_floating(lower.type):
        lower_is_nan, upper_is_nan = proved(pc.is_nan(lower)), proved(pc.is_nan(upper))
        if bounds.constant:
            nans = lower_is_nan
        elif bounds.nan_count is None:
            nans = ~no
        else:
            nans = ~proved(pc.equal(_counts(bounds.nan_count), 0)) | lower_is_nan | upper_is_nan
        lower, upper = without(lower, lower_is_nan), without(upper, upper_is_nan)
    crossed = proved(pc.greater(lower, upper))
    if crossed.any():
        lower, upper = without(lower, crossed), without(upper, crossed)
    sharp = bounds.constant or bounds.exact or not types.is_large_binary(lower.type)
    return Range(logical, lower, upper, no_nulls, all_null, empty, nans, sharp)


def without(array: pa.Array, mask: Mask) -> pa.Array:
    """The array with null where mask is true."""
    if not mask.any():
        return array
    return pc.if_else(pa.array(mask), pa.scalar(None, array.type), array)


def storage_array(array: pa.Array) -> pa.Array | None:
    """The values of a logical array in its storage type; None where the type has no order that pruning knows."""
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if types.is_dictionary(array.type):
        array = array.dictionary_decode()
    type_ = array.type
    if types.is_uint64(type_):
        return array
    if (
        types.is_integer(type_)
        or types.is_boolean(type_)
        or types.is_date64(type_)
        or types.is_timestamp(type_)
        or types.is_time64(type_)
        or types.is_duration(type_)
    ):
        return array.cast(pa.int64())
    if types.is_date32(type_) or types.is_time32(type_):
        return array.cast(pa.int32()).cast(pa.int64())
    if types.is_floating(type_):
        return array.cast(pa.float64())
    if types.is_decimal(type_):
        wide = pa.decimal256(76, type_.scale) if types.is_decimal256(type_) else pa.decimal128(38, type_.scale)
        return array.cast(wide)
    if is_text(type_):
        return array.cast(pa.large_string()).cast(pa.large_binary())
    if is_bytes(type_):
        return array.cast(pa.binary()).cast(pa.large_binary()) if types.is_fixed_size_binary(type_) else array.cast(pa.large_binary())
    return None


def is_text(type_: pa.DataType) -> bool:
    """Text, in any of Arrow's layouts."""
    return bool(types.is_string(type_) or types.is_large_string(type_) or types.is_string_view(type_))


def is_bytes(type_: pa.DataType) -> bool:
    """Binary, in any of Arrow's layouts."""
    return bool(types.is_binary(type_) or types.is_large_binary(type_) or types.is_fixed_size_binary(type_) or types.is_binary_view(type_))


def _plain_type(type_: pa.DataType) -> pa.DataType:
    return type_.value_type if types.is_dictionary(type_) else type_


def _counts(array: pa.Array) -> pa.Array:
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    return array.cast(pa.int64())
