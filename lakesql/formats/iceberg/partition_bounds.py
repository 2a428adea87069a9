"""Partition values, and their summaries in manifest lists -> bounds of the columns they were made from.

A partition value is a statement about a column: `month = 650` says that it lies between 2024-03-01 and 2024-03-31. Put so, pruning needs no projection of
predicates through transforms: casts, date_trunc, ranges and IN are tested against such bounds as against any. Only hashes say nothing of their column's
order; see `buckets.py`.

Source: Iceberg table spec, "Partition Transforms". Bounds may be too wide, never too narrow: Iceberg before 0.11 gave years, months, days and hours before
1970 one too high.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lakesql.formats.iceberg.spec import Kind, Transform
from lakesql.pruning import Bounds

Ints = npt.NDArray[np.int64]

_TEMPORAL = {Kind.YEAR: "Y", Kind.MONTH: "M", Kind.DAY: "D", Kind.HOUR: "h"}
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_SECONDS_A_DAY = 86_400


def tells_order(transform: Transform) -> bool:
    """Whether values of the transform give bounds of their column."""
    return transform.kind in (Kind.IDENTITY, Kind.TRUNCATE, *_TEMPORAL)


def value_bounds(transform: Transform, values: pa.Array, source: pa.DataType) -> Bounds | None:
    """Bounds of the source column from one partition value per file; None where the transform does not tell.

    A null value means that the column is null in all rows; a bucket says no more than that.
    """
    one = pa.array(np.ones(len(values), np.int64))
    nulls = values.is_null().cast(pa.int64())
    if transform.kind is Kind.IDENTITY:
        exact = cast_or_none(values, source)
        return None if exact is None else Bounds(exact, exact, nulls, one, constant=True)
    if transform.kind is Kind.BUCKET:
        unknown = pa.nulls(len(values), source)
        return Bounds(unknown, unknown, nulls, one)
    if not tells_order(transform):
        return None
    lower, upper = source_range(transform, values, values, source)
    return Bounds(lower, upper, nulls, one)


def bucket_bounds(values: pa.Array) -> Bounds:
    """Bounds of a bucket itself, from one value per file."""
    one = pa.array(np.ones(len(values), np.int64))
    return Bounds(values, values, values.is_null().cast(pa.int64()), one, constant=True)


def summary_bounds(transform: Transform, lower: pa.Array, upper: pa.Array, flags: Mapping[str, pa.Array], source: pa.DataType | None) -> Bounds | None:
    """Bounds of the source column from the summaries of manifests; of the bucket itself where source is None.

    lower, upper: of the transform's values, null where not known. flags: contains_null and contains_nan. Row counts are made up: 2, of which 0, 1 or 2 are
    null.
    """
    is_float = pa.types.is_floating(lower.type)
    bare = lower.is_null()
    if is_float:
        bare = pc.and_(bare, pc.fill_null(pc.invert(flags["contains_nan"]), False))
    some = pc.if_else(bare, pa.scalar(2, pa.int64()), pa.scalar(1, pa.int64()))
    nulls = pc.if_else(flags["contains_null"], some, pa.scalar(0, pa.int64()))
    two = pa.array(np.full(len(lower), 2, np.int64))
    nans = pc.if_else(flags["contains_nan"], pa.scalar(None, pa.int64()), pa.scalar(0, pa.int64())) if is_float else None
    if source is None:
        return Bounds(lower, upper, nulls, two, null_count_exact=False)
    if transform.kind is Kind.BUCKET:
        unknown = pa.nulls(len(lower), source)
        return Bounds(unknown, unknown, nulls, two, null_count_exact=False)
    if not tells_order(transform):
        return None
    low, high = source_range(transform, lower, upper, source)
    return Bounds(low, high, nulls, two, nan_count=nans, null_count_exact=False)


def source_range(transform: Transform, lower: pa.Array, upper: pa.Array, source: pa.DataType) -> tuple[pa.Array, pa.Array]:
    """The least and the greatest value of the source type that the transform takes to something in [lower, upper]; null where not known."""
    unknown = pa.nulls(len(lower), source)
    if transform.kind in _TEMPORAL:
        low = _instants(lower, transform.kind, source, last=False)
        high = _instants(upper, transform.kind, source, last=True)
        return low, high
    low_cast, high_cast = cast_or_none(lower, source), cast_or_none(upper, source)
    low = unknown if low_cast is None else low_cast
    high = unknown if high_cast is None else high_cast
    if transform.kind is Kind.TRUNCATE:
        high = _last_truncated(high, transform.parameter)
    return low if low.type == high.type else low.cast(high.type), high


def tighter(first: Bounds, second: Bounds) -> Bounds:
    """What both say of one column: the greater lower bound, the lesser upper one, and whichever counts are known."""
    if first.constant or second.constant:
        return first if first.constant else second
    lower = _pick(first.lower, second.lower, greater=True)
    upper = _pick(first.upper, second.upper, greater=False)
    if lower is None or upper is None:
        return first
    # Partition values know only whether all rows are null or none is; of two answers that one which is a proof holds.
    proof = pc.or_(pc.equal(second.null_count, 0), pc.equal(second.null_count, second.row_count))
    known_first = pc.fill_null(pc.or_(pc.equal(first.null_count, 0), pc.equal(first.null_count, first.row_count)), False)
    use_second = pc.and_(pc.fill_null(proof, False), pc.invert(known_first))
    return Bounds(
        lower,
        upper,
        pc.if_else(use_second, second.null_count, first.null_count),
        pc.if_else(use_second, second.row_count, first.row_count),
        nan_count=first.nan_count if first.nan_count is not None else second.nan_count,
        null_count_exact=False,
        exact=False,
    )


def cast_or_none(values: pa.Array, type_: pa.DataType) -> pa.Array | None:
    """The values in another type, None where one does not fit."""
    if values.type == type_:
        return values
    try:
        if pa.types.is_fixed_size_binary(type_) and pa.types.is_binary(values.type):
            return values  # bounds may be shorter; both compare byte by byte
        return values.cast(type_)
    except pa.ArrowException:
        return None


# Years, months, days, hours ----------------------------------------------------------------------------------------------------------------------------


def _instants(values: pa.Array, kind: Kind, source: pa.DataType, *, last: bool) -> pa.Array:
    """The first instant of a period, or the last; null where the value or the instant is out of reach."""
    if not (pa.types.is_date32(source) or pa.types.is_timestamp(source)):
        return pa.nulls(len(values), source)
    known = values.is_valid().to_numpy(zero_copy_only=False)
    numbers: Ints = pc.fill_null(values.cast(pa.int32()) if pa.types.is_date32(values.type) else values, 0).to_numpy(zero_copy_only=False).astype(np.int64)
    if last:
        numbers = numbers + 1
    else:
        numbers = numbers - (numbers <= 0)
    seconds, known = _seconds(numbers, kind, known)
    per_second = 1 if pa.types.is_date32(source) else _PER_SECOND[source.unit]
    most = (2**63 - 1) // per_second
    known = known & (np.abs(seconds) < most)
    ticks = np.where(known, seconds, 0) * per_second - (1 if last and not pa.types.is_date32(source) else 0)
    if pa.types.is_date32(source):
        days = (ticks - 1) // _SECONDS_A_DAY if last else ticks // _SECONDS_A_DAY
        known = known & (np.abs(days) < 2**31)
        return pa.array(np.where(known, days, 0).astype(np.int32), mask=~known).view(source)
    return pa.array(ticks, pa.int64(), mask=~known).view(source)


def _seconds(numbers: Ints, kind: Kind, known: npt.NDArray[np.bool_]) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """The second at which a period starts, and where that is known."""
    if kind in (Kind.DAY, Kind.HOUR):
        return numbers * (_SECONDS_A_DAY if kind is Kind.DAY else 3600), known
    within = np.abs(numbers) < 10**7  # years and months that calendars can count in seconds
    start = np.where(within, numbers, 0).astype(f"datetime64[{_TEMPORAL[kind]}]").astype("datetime64[D]").astype(np.int64)
    return start * _SECONDS_A_DAY, known & within


# Truncation ------------------------------------------------------------------------------------------------------------------------------------------


def _last_truncated(values: pa.Array, width: int) -> pa.Array:
    """The greatest value that is cut to a given one."""
    t, type_ = pa.types, values.type
    if t.is_integer(type_):
        limits = np.iinfo(type_.to_pandas_dtype())
        numbers = pc.fill_null(values, 0).to_numpy(zero_copy_only=False).astype(object if type_.bit_width == 64 else np.int64)
        if type_.bit_width == 64:  # near the end of the type the sum does not fit
            big = pc.greater(values, pa.scalar(limits.max - width, type_))
            summed = pc.add(pc.if_else(big, pa.scalar(0, type_), values), pa.scalar(width - 1, type_))
            return pc.if_else(big, pa.scalar(limits.max, type_), summed)
        return pa.array(np.minimum(numbers + width - 1, limits.max).astype(type_.to_pandas_dtype()), mask=values.is_null().to_numpy(zero_copy_only=False))
    if t.is_decimal128(type_):
        if type_.precision > 36 or len(str(width)) > type_.precision:
            return pa.nulls(len(values), type_)
        wide = pa.decimal128(type_.precision + 1, type_.scale)
        step = pa.scalar(Decimal(width - 1).scaleb(-type_.scale), wide)
        return pc.add(values.cast(wide), step).cast(pa.decimal128(38, type_.scale))
    if t.is_string(type_):
        # No byte of UTF-8 is 0xFF, so a text with this prefix sorts before the prefix and that byte; a text shorter than the width was not cut.
        cut = pc.greater_equal(pc.utf8_length(values), width)
        beyond = pc.binary_join_element_wise(values.cast(pa.binary()), pa.scalar(b"\xff"), pa.scalar(b"")).view(pa.string())
        return pc.if_else(pc.fill_null(cut, False), beyond, values)
    if t.is_binary(type_) or t.is_fixed_size_binary(type_):
        encoded = pc.dictionary_encode(values)
        ends = [v if v is None or len(v) < width else _after_prefix(v) for v in encoded.dictionary.to_pylist()]
        return pa.array(ends, pa.binary()).take(encoded.indices)
    return pa.nulls(len(values), type_)


def _after_prefix(prefix: bytes) -> bytes | None:
    """The least bytes that sort after all that begin with a prefix; None where there are none."""
    kept = prefix.rstrip(b"\xff")
    return kept[:-1] + bytes([kept[-1] + 1]) if kept else None


def _pick(first: pa.Array, second: pa.Array, *, greater: bool) -> pa.Array | None:
    """Of two bounds the better one, entry by entry; None where they do not compare."""
    if first.type != second.type:
        cast = cast_or_none(second, first.type)
        if cast is None or cast.type != first.type:
            return None
        second = cast
    if pa.types.is_fixed_size_binary(first.type):
        return first
    better = pc.greater(second, first) if greater else pc.less(second, first)
    return pc.if_else(pc.or_kleene(pc.fill_null(better, False), first.is_null()), second, first)
