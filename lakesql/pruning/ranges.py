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
from lakesql.pruning.bounds import Bounds, Mask, solid


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

    def with_bounds(self, type_: pa.DataType, lower: pa.Array, upper: pa.Array) -> Range:
        """The same rows under an order-keeping function that is null for null alone."""
        nans = self.nans if types.is_floating(type_) else np.zeros_like(self.nans)
        return replace(self, type=type_, lower=lower, upper=upper, nans=nans)


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
    """The range of a plain column. Raises InternalError where the arrays do not fit each other or the candidates."""
    lower, upper, null_count, row_count, nan_count = _checked(bounds, length, column)
    logical = lower.type
    no_lower, no_upper = _is_null(lower), _is_null(upper)
    empty = proved(pc.equal(row_count, 0))
    if bounds.constant:
        upper, no_nulls, all_null = lower, ~no_lower, no_lower
    else:
        no_nulls = proved(pc.equal(null_count, 0))
        # A candidate of nulls alone has no bounds; where it has, the metadata contradicts itself and proves nothing.
        all_null = proved(pc.equal(null_count, row_count)) & no_lower & no_upper & ~no_nulls
    unknown = replace(nothing_known(length, ""), no_nulls=no_nulls, all_null=all_null, empty=empty)
    stored_lower, stored_upper = storage_array(lower), storage_array(upper)
    if stored_lower is None or stored_upper is None:
        return replace(
            unknown, reason=f"no bounds for column {column}" if types.is_null(logical) else f"values of type {logical} have no order that pruning knows"
        )
    lower, upper, nans = stored_lower, stored_upper, np.zeros(length, dtype=bool)
    if types.is_floating(logical):
        is_nan = proved(pc.is_nan(lower)) | proved(pc.is_nan(upper))
        nans = is_nan if bounds.constant else is_nan | (~proved(pc.equal(nan_count, 0)) if nan_count is not None else True)
        lower, upper = without(lower, is_nan), without(upper, is_nan)
    crossed = proved(pc.greater(lower, upper))
    lower, upper = without(lower, crossed), without(upper, crossed)
    sharp = bounds.constant or bounds.exact or not types.is_large_binary(lower.type)
    reason = f"no bounds for column {column}" if length and lower.null_count == upper.null_count == length and not all_null.any() else None
    return Range(logical, lower, upper, no_nulls, all_null, empty, nans, sharp, reason)


def _checked(bounds: Bounds, length: int, column: str) -> tuple[pa.Array, pa.Array, pa.Array, pa.Array, pa.Array | None]:
    """The five arrays, each in one piece."""
    given = {name: getattr(bounds, name) for name in ("lower", "upper", "null_count", "row_count", "nan_count")}
    for name, array in given.items():
        if array is None and name == "nan_count":
            continue
        if len(array) != length:
            raise InternalError(f'bounds of column "{column}": {name} has {len(array)} entries for {length} candidates')
        array = solid(array)
        if name.endswith("_count") and types.is_null(array.type):
            array = array.cast(pa.int64())
        if name.endswith("_count") and not types.is_int64(array.type):
            raise InternalError(f'bounds of column "{column}": {name} is {array.type}, not int64')
        given[name] = array
    lower, upper = given["lower"], given["upper"]
    if types.is_null(lower.type) or types.is_null(upper.type):
        lower, upper = (array.cast(upper.type if types.is_null(lower.type) else lower.type) for array in (lower, upper))
    if lower.type != upper.type:
        raise InternalError(f'bounds of column "{column}": lower is {lower.type}, upper is {upper.type}')
    return lower, upper, given["null_count"], given["row_count"], given["nan_count"]


def _is_null(array: pa.Array) -> Mask:
    mask: Mask = array.is_null().to_numpy(zero_copy_only=False)
    return mask


def without(array: pa.Array, mask: Mask) -> pa.Array:
    """The array with null where mask is true."""
    if not mask.any():
        return array
    return pc.if_else(pa.array(mask), pa.scalar(None, array.type), array)


def storage_array(array: pa.Array) -> pa.Array | None:
    """The values of a logical array in its storage type; None where the type has no order that pruning knows."""
    type_ = array.type
    if types.is_uint64(type_):
        return array
    if types.is_date32(type_) or types.is_time32(type_):
        return array.cast(pa.int32()).cast(pa.int64())
    if types.is_integer(type_) or types.is_boolean(type_) or types.is_temporal(type_):
        return None if types.is_interval(type_) else array.cast(pa.int64())
    if types.is_floating(type_):
        return array.cast(pa.float64())
    if types.is_decimal(type_):
        return array.cast(decimal_storage(type_))
    if is_text(type_):
        return array.cast(pa.large_string()).cast(pa.large_binary())
    if is_bytes(type_):
        return array.cast(pa.binary()).cast(pa.large_binary()) if types.is_fixed_size_binary(type_) else array.cast(pa.large_binary())
    return None


def decimal_storage(type_: pa.DataType) -> pa.DataType:
    """The decimal type with the same scale that holds every decimal of this one."""
    return pa.decimal256(76, type_.scale) if types.is_decimal256(type_) else pa.decimal128(38, type_.scale)


def is_text(type_: pa.DataType) -> bool:
    """Text, in any of Arrow's layouts."""
    return bool(types.is_string(type_) or types.is_large_string(type_) or types.is_string_view(type_))


def is_bytes(type_: pa.DataType) -> bool:
    """Binary, in any of Arrow's layouts."""
    return bool(types.is_binary(type_) or types.is_large_binary(type_) or types.is_fixed_size_binary(type_) or types.is_binary_view(type_))
