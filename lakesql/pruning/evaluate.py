"""A predicate over ranges -> two masks: whether some row of a candidate may satisfy it, and whether every row does.

Null rows satisfy no comparison. NaN sorts above every number, and where NaN may hide nothing is proved of every row; the sign of zero decides nothing,
because engines differ in whether 0.0 equals -0.0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from lakesql.predicate import And, ColumnPath, Compare, Constant, In, IsNull, Op, Opaque, Or, Predicate, StartsWith
from lakesql.pruning.bounds import Mask
from lakesql.pruning.places import Place, Places, place, places
from lakesql.pruning.ranges import Range, is_text, proved
from lakesql.pruning.terms import range_of_term

Complain = Callable[[Predicate, str], None]
"""Told each leaf that bounds cannot decide, and why."""


@dataclass(frozen=True)
class Masks:
    """maybe: False proves that no row is satisfied. always: True proves that every row is."""

    maybe: Mask
    always: Mask


def evaluate(predicate: Predicate, length: int, column_range: Callable[[ColumnPath], Range], complain: Complain) -> Masks:
    """The masks of a predicate over `length` candidates."""
    match predicate:
        case And(parts):
            masks = [evaluate(p, length, column_range, complain) for p in parts]
            return Masks(np.logical_and.reduce([m.maybe for m in masks]), np.logical_and.reduce([m.always for m in masks]))
        case Or(parts):
            masks = [evaluate(p, length, column_range, complain) for p in parts]
            return Masks(np.logical_or.reduce([m.maybe for m in masks]), np.logical_or.reduce([m.always for m in masks]))
        case Constant(value):
            return _everywhere(length, maybe=value is True, always=value is True)
        case Opaque():
            return _everywhere(length, maybe=True, always=False)
        case IsNull(term, negated):
            values = range_of_term(term, column_range)
            if values.reason is not None and not (values.no_nulls | values.all_null).any():
                complain(predicate, values.reason)
            some, every = (~values.all_null, values.no_nulls) if negated else (~values.no_nulls, values.all_null)
            return Masks(some & ~values.empty, every | values.empty)
        case Compare(term) | In(term) | StartsWith(term):
            values = range_of_term(term, column_range)
            answer = _compared(predicate, values)
            if isinstance(answer, str):
                complain(predicate, answer)
                answer = _everywhere(length, maybe=True, always=False)
            elif length and values.nans.all() and answer.maybe.all() and _holds_for_nan(predicate):
                complain(predicate, "NaN, which sorts above every number, may be among the values")
            return Masks(answer.maybe & ~values.all_null & ~values.empty, (answer.always & values.no_nulls & ~values.nans) | values.empty)


def _everywhere(length: int, *, maybe: bool, always: bool) -> Masks:
    return Masks(np.full(length, maybe), np.full(length, always))


def _compared(predicate: Compare | In | StartsWith, values: Range) -> Masks | str:
    """The masks of a leaf over rows that are neither null nor NaN, but maybe counts NaN in; or why there are none."""
    if values.type is None or values.reason is not None:
        return values.reason or "nothing is known of its values"
    match predicate:
        case Compare(_, op, value):
            at = place(value, values.type)
            return _incomparable(value.type, values.type) if at is None else _compare(values, op, at)
        case In(_, listed, negated):
            found = places(listed, values.type)
            if found is None:
                return _incomparable(listed.type, values.type)
            return _not_in(values, found, complete=listed.null_count == 0) if negated else _in(values, found)
        case StartsWith(_, prefix, negated):
            if not is_text(values.type):
                return f"LIKE on {values.type} is not followed"
            return _starts_with(values, prefix, negated)


def _holds_for_nan(predicate: Predicate) -> bool:
    return (isinstance(predicate, Compare) and predicate.op in (Op.GT, Op.GE, Op.NE)) or (isinstance(predicate, In) and predicate.negated)


def _incomparable(literal: pa.DataType, values: pa.DataType) -> str:
    return "compared with NaN or null" if literal == values else f"{literal} does not compare with {values} without loss"


def _compare(values: Range, op: Op, at: Place) -> Masks:
    length = len(values.lower)
    if at.floor is None:
        beyond = {Op.GT, Op.GE, Op.NE} if at.side < 0 else {Op.LT, Op.LE, Op.NE}
        masks = _everywhere(length, maybe=op in beyond, always=op in beyond)
    else:
        if not at.exact:
            op = {Op.LT: Op.LE, Op.GE: Op.GT}.get(op, op)
            if op in (Op.EQ, Op.NE):
                return _everywhere(length, maybe=op is Op.NE, always=op is Op.NE)
        masks = _compare_exact(values, op, at.floor)
    if op in (Op.GT, Op.GE, Op.NE):
        return Masks(masks.maybe | values.nans, masks.always)
    return masks


def _compare_exact(values: Range, op: Op, at: pa.Scalar) -> Masks:
    lower, upper = values.lower, values.upper
    if types.is_floating(at.type) and at.as_py() == 0.0:
        # With the sign of zero undecided, what is strict may hold at zero and what is not may fail there.
        match op:
            case Op.LT | Op.LE:
                return Masks(~proved(pc.greater(lower, at)), proved(pc.less(upper, at)))
            case Op.GT | Op.GE:
                return Masks(~proved(pc.less(upper, at)), proved(pc.greater(lower, at)))
            case Op.EQ:
                return Masks(~proved(pc.greater(lower, at)) & ~proved(pc.less(upper, at)), np.zeros(len(lower), dtype=bool))
            case Op.NE:
                return Masks(np.ones(len(lower), dtype=bool), proved(pc.greater(lower, at)) | proved(pc.less(upper, at)))
    match op:
        case Op.LT:
            return Masks(~proved(pc.greater_equal(lower, at)), proved(pc.less(upper, at)))
        case Op.LE:
            return Masks(~proved(pc.greater(lower, at)), proved(pc.less_equal(upper, at)))
        case Op.GT:
            return Masks(~proved(pc.less_equal(upper, at)), proved(pc.greater(lower, at)))
        case Op.GE:
            return Masks(~proved(pc.less(upper, at)), proved(pc.greater_equal(lower, at)))
        case Op.EQ | Op.NE:
            outside = proved(pc.greater(lower, at)) | proved(pc.less(upper, at))
            is_it = values.pinned & proved(pc.equal(lower, at))
            return Masks(~outside, is_it) if op is Op.EQ else Masks(~is_it, outside)


def _in(values: Range, listed: Places) -> Masks:
    hit = _some_between(listed.values, values.lower, values.upper)
    return Masks((hit | values.nans) if listed.has_nan else hit, hit & values.pinned & ~_at_zero(values))


def _not_in(values: Range, listed: Places, *, complete: bool) -> Masks:
    hit = _some_between(listed.values, values.lower, values.upper)
    never = hit & values.pinned & ~_at_zero(values)
    return Masks(~never, ~hit if complete else np.zeros_like(hit))


def _at_zero(values: Range) -> Mask:
    if not types.is_floating(values.lower.type):
        return np.zeros(len(values.lower), dtype=bool)
    return proved(pc.equal(values.lower, 0.0))


def _starts_with(values: Range, prefix: str, negated: bool) -> Masks:
    """Texts with a prefix are those from the prefix up to the next byte string of its length; no byte of UTF-8 is 0xFF, so there is one."""
    if not prefix:
        return _everywhere(len(values.lower), maybe=not negated, always=not negated)
    start = prefix.encode("utf-8")
    first = pa.scalar(start, pa.large_binary())
    beyond = pa.scalar(start[:-1] + bytes((start[-1] + 1,)), pa.large_binary())
    outside = proved(pc.less(values.upper, first)) | proved(pc.greater_equal(values.lower, beyond))
    inside = proved(pc.greater_equal(values.lower, first)) & proved(pc.less(values.upper, beyond))
    return Masks(~inside, outside) if negated else Masks(~outside, inside)


# Lists ---------------------------------------------------------------------------------------------------------------------------------------------


def _some_between(listed: pa.Array, lower: pa.Array, upper: pa.Array) -> Mask:
    """Whether one of the sorted values lies in [lower, upper]; an unknown bound limits nothing."""
    if len(listed) == 0:
        return np.zeros(len(lower), dtype=bool)
    first = _first_at_or_above(listed, lower)
    found = first < len(listed)
    candidate = listed.take(pa.array(np.minimum(first, len(listed) - 1)))
    return found & ~proved(pc.greater(candidate, upper))


def _first_at_or_above(listed: pa.Array, bounds: pa.Array) -> npt.NDArray[np.int64]:
    """For each bound the index of the first sorted value that is not below it: 0 where the bound is unknown, the list's length where there is none."""
    if types.is_integer(listed.type) or types.is_floating(listed.type):
        unknown = bounds.is_null().to_numpy(zero_copy_only=False)
        filled = pc.fill_null(bounds, 0).to_numpy(zero_copy_only=False)
        return np.where(unknown, 0, np.searchsorted(listed.to_numpy(), filled, side="left"))
    low = np.zeros(len(bounds), dtype=np.int64)
    high = np.full(len(bounds), len(listed), dtype=np.int64)
    for _ in range(len(listed).bit_length()):
        middle = (low + high) // 2
        open_ = low < high
        below = proved(pc.less(listed.take(pa.array(np.minimum(middle, len(listed) - 1))), bounds))
        low = np.where(open_ & below, middle + 1, low)
        high = np.where(open_ & ~below, middle, high)
    return low
