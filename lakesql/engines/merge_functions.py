"""The functions of merge rules, one column at a time over many keys: see relation.MergeRule for what each means, engines/merging.py for who calls them.

`Places` carry, for each key, the row whose value is stored; `Numbers` carry values of numbers and truths; `Objects` carry values in Python, for functions
on texts, lists, maps and bitmaps, which only keys with several rows pay for. Source: Paimon, package org.apache.paimon.mergetree.compact.aggregate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import ROUND_HALF_UP, Context, Decimal, Inexact, InvalidOperation
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lakesql.engines import java_bitmaps, nested_rows
from lakesql.engines.nested_rows import frozen
from lakesql.errors import EngineError, UnsupportedFeatureError, did_you_mean
from lakesql.relation import MergeRule

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


class Column(Protocol):
    """One column's stored values. keys and rows go together; a key occurs once in a call."""

    def set(self, keys: Ints, rows: Ints) -> None:
        """Stores the rows' values as they are."""
        ...

    def clear(self, keys: Ints) -> None:
        """Stores null, as at the start."""
        ...

    def add(self, keys: Ints, rows: Ints) -> None:
        """Adds the rows' values behind what is stored."""
        ...

    def add_older(self, keys: Ints, rows: Ints) -> None:
        """Adds the rows' values in front of what is stored."""
        ...

    def take_back(self, keys: Ints, rows: Ints) -> None:
        """Takes the rows' values back."""
        ...

    def result(self) -> pa.Array:
        """What is stored for each key."""
        ...


def column_of(rule: MergeRule, values: pa.Array, size: int) -> Column:
    """The column of a rule, null for each of `size` keys. values: of all rows. Raises UnsupportedFeatureError for a function that is not known, or not for
    this type.
    """
    make = _COLUMNS.get(rule.function)
    if make is None:
        raise UnsupportedFeatureError(
            f'column {rule.column} is merged by "{rule.function}", which is not known',
            feature=f"aggregate function {rule.function}",
            hint=did_you_mean(rule.function, _COLUMNS),
        )
    return make(rule, values, size)


def refused(rule: MergeRule) -> EngineError:
    """The error for a row that takes back what a function cannot give back."""
    return EngineError(
        f'column {rule.column}: "{rule.function}" cannot take a value back, and a row of the table asks it to',
        hint=f"fields.{rule.column}.ignore-retract = true, in the table's options, leaves the value as it is",
    )


def _ignores(rule: MergeRule) -> bool:
    return dict(rule.options).get("ignore-retract") == "true"


# One of the rows' own values -----------------------------------------------------------------------------------------------------------------------


class _Places:
    """The row whose value is stored, -1 for null."""

    def __init__(self, rule: MergeRule, values: pa.Array, size: int) -> None:
        self.rule, self.values = rule, values
        self.valid: Mask = values.is_valid().to_numpy(zero_copy_only=False)
        self.at: Ints = np.full(size, -1, np.int64)

    def set(self, keys: Ints, rows: Ints) -> None:
        self.at[keys] = rows

    def clear(self, keys: Ints) -> None:
        self.at[keys] = -1

    def add(self, keys: Ints, rows: Ints) -> None:
        self.at[keys] = rows

    def add_older(self, keys: Ints, rows: Ints) -> None:
        """Nothing: what is stored is newer."""

    def take_back(self, keys: Ints, rows: Ints) -> None:
        if not _ignores(self.rule):
            self.at[keys] = -1

    def result(self) -> pa.Array:
        return self.values.take(pa.array(np.maximum(self.at, 0), mask=self.at < 0)) if len(self.values) else pa.nulls(len(self.at), self.values.type)

    def is_null(self, keys: Ints) -> Mask:
        """Whether null is stored."""
        at = self.at[keys]
        return (at < 0) | ~self.valid[at]


class _Key(_Places):
    def take_back(self, keys: Ints, rows: Ints) -> None:
        self.at[keys] = rows


class _Sequence(_Key):
    pass


class _LastNonNull(_Places):
    def add(self, keys: Ints, rows: Ints) -> None:
        some = self.valid[rows]
        self.at[keys[some]] = rows[some]

    def add_older(self, keys: Ints, rows: Ints) -> None:
        some = self.valid[rows] & self.is_null(keys)
        self.at[keys[some]] = rows[some]

    def take_back(self, keys: Ints, rows: Ints) -> None:
        if not _ignores(self.rule):
            self.at[keys[self.valid[rows]]] = -1


class _First(_Places):
    """The first value, or the first that is not null."""

    def __init__(self, rule: MergeRule, values: pa.Array, size: int) -> None:
        super().__init__(rule, values, size)
        self.started: Mask = np.zeros(size, bool)
        self.null_counts = rule.function == "first_value"

    def add(self, keys: Ints, rows: Ints) -> None:
        fresh = ~self.started[keys] & (self.valid[rows] | self.null_counts)
        self.at[keys[fresh]] = rows[fresh]
        self.started[keys[fresh]] = True

    def add_older(self, keys: Ints, rows: Ints) -> None:
        # As Paimon has it: an older null replaces a first value that is not null, and what is older than a row that only took back is not taken for the first.
        fresh = ~self.started[keys]
        taken = ~fresh if self.null_counts else ~fresh | self.is_null(keys)
        self.at[keys[taken]] = rows[taken]
        self.started[keys[fresh & ~taken]] = True

    def take_back(self, keys: Ints, rows: Ints) -> None:
        if not _ignores(self.rule) and len(keys):
            raise refused(self.rule)


class _Extreme(_Places):
    """The least or greatest value, by rank."""

    def __init__(self, rule: MergeRule, values: pa.Array, size: int) -> None:
        super().__init__(rule, values, size)
        bare = values.cast(pa.int8()) if pa.types.is_boolean(values.type) else values
        self.ranks = (
            pc.rank(bare, sort_keys="ascending", tiebreaker="dense").to_numpy(zero_copy_only=False).astype(np.int64) if len(values) else np.zeros(0, np.int64)
        )
        if rule.function == "min":
            self.ranks = -self.ranks

    def add(self, keys: Ints, rows: Ints) -> None:
        held = self.at[keys]
        better = self.valid[rows] & (self.is_null(keys) | (self.ranks[rows] > self.ranks[np.maximum(held, 0)]))
        self.at[keys[better]] = rows[better]

    def add_older(self, keys: Ints, rows: Ints) -> None:
        self.add(keys, rows)

    def take_back(self, keys: Ints, rows: Ints) -> None:
        if not _ignores(self.rule) and len(keys):
            raise refused(self.rule)


class _Kind(_Places):
    """What the merged row is: the kind of a key's only row, 0 where several made it, 3 where nothing is left of it."""

    def __init__(self, rule: MergeRule, values: pa.Array, size: int) -> None:
        super().__init__(rule, values, size)
        self.kinds = values.to_numpy(zero_copy_only=False).astype(np.int8)
        self.stored = np.zeros(size, np.int8)

    def set(self, keys: Ints, rows: Ints) -> None:
        self.stored[keys] = self.kinds[rows]

    def clear(self, keys: Ints) -> None:
        self.stored[keys] = 3

    def add(self, keys: Ints, rows: Ints) -> None:
        self.stored[keys] = 0

    def take_back(self, keys: Ints, rows: Ints) -> None:
        self.stored[keys] = 0

    def result(self) -> pa.Array:
        return pa.array(self.stored, self.values.type)


# Numbers and truths --------------------------------------------------------------------------------------------------------------------------------


class _Numbers:
    """Values made by an operation on two of them, null being nothing."""

    def __init__(self, rule: MergeRule, values: pa.Array, size: int) -> None:
        self.rule, self.values = rule, values
        self.stored = pa.nulls(size, values.type)

    def set(self, keys: Ints, rows: Ints) -> None:
        self._store(keys, self._of(rows))

    def clear(self, keys: Ints) -> None:
        self._store(keys, pa.nulls(len(keys), self.values.type))

    def add(self, keys: Ints, rows: Ints) -> None:
        held, value = self._held(keys), self._of(rows)
        self._store(keys, self._either(held, value, self.both))

    def add_older(self, keys: Ints, rows: Ints) -> None:
        self.add(keys, rows)

    def take_back(self, keys: Ints, rows: Ints) -> None:
        if not _ignores(self.rule) and len(keys):
            self._give(keys, rows)

    def result(self) -> pa.Array:
        return self.stored

    def both(self, held: pa.Array, value: pa.Array) -> pa.Array:
        """The operation on values that are there."""
        raise NotImplementedError

    def _give(self, keys: Ints, rows: Ints) -> None:
        raise refused(self.rule)

    def _held(self, keys: Ints) -> pa.Array:
        return self.stored.take(pa.array(keys))

    def _of(self, rows: Ints) -> pa.Array:
        return self.values.take(pa.array(rows))

    def _store(self, keys: Ints, values: pa.Array) -> None:
        if len(keys):
            mask = np.zeros(len(self.stored), bool)
            mask[keys] = True
            self.stored = pc.replace_with_mask(self.stored, pa.array(mask), values.take(pa.array(np.argsort(keys, kind="stable"))))

    def _either(self, held: pa.Array, value: pa.Array, both: Callable[[pa.Array, pa.Array], pa.Array]) -> pa.Array:
        """both of the two; the one that is there where the other is not."""
        try:
            return pc.coalesce(both(held, value), held, value)
        except pa.ArrowInvalid as error:
            raise EngineError(f"column {self.rule.column}: {self.rule.function} overflows {self.values.type}") from error


class _Truths(_Numbers):
    def both(self, held: pa.Array, value: pa.Array) -> pa.Array:
        return pc.and_(held, value) if self.rule.function == "bool_and" else pc.or_(held, value)


class _Sum(_Numbers):
    def both(self, held: pa.Array, value: pa.Array) -> pa.Array:
        return pc.add_checked(held, value)

    def _give(self, keys: Ints, rows: Ints) -> None:
        held, value = self._held(keys), self._of(rows)
        try:
            self._store(keys, pc.coalesce(pc.subtract_checked(held, value), held, pc.negate_checked(value)))
        except pa.ArrowInvalid as error:
            raise EngineError(f"column {self.rule.column}: {self.rule.function} overflows {self.values.type}") from error


class _Product(_Numbers):
    def both(self, held: pa.Array, value: pa.Array) -> pa.Array:
        return pc.multiply_checked(held, value)

    def _give(self, keys: Ints, rows: Ints) -> None:
        held, value = self._held(keys), self._of(rows)
        divide = pc.divide if pa.types.is_floating(held.type) else pc.divide_checked
        try:
            self._store(keys, pc.coalesce(divide(held, value), held))
        except pa.ArrowInvalid as error:
            raise EngineError(f"column {self.rule.column}: a product is divided by {error}") from error


# Values in Python ----------------------------------------------------------------------------------------------------------------------------------

Merge = Callable[[Any, Any], Any]


class _Objects:
    """Values made by a function of two of them. back: takes the second out of the first, None where that is refused. older: what comes in front, by default
    the same with sides changed.
    """

    def __init__(self, rule: MergeRule, values: pa.Array, size: int, merge: Merge, back: Merge | None = None, older: Merge | None = None) -> None:
        self.rule, self.values = rule, values
        self.merge, self.back = merge, back
        self.older = older or (lambda held, value: merge(value, held))
        self.stored: list[Any] = [None] * size

    def set(self, keys: Ints, rows: Ints) -> None:
        for key, value in zip(keys.tolist(), self._of(rows), strict=True):
            self.stored[key] = value

    def clear(self, keys: Ints) -> None:
        for key in keys.tolist():
            self.stored[key] = None

    def add(self, keys: Ints, rows: Ints) -> None:
        self._each(keys, rows, self.merge)

    def add_older(self, keys: Ints, rows: Ints) -> None:
        self._each(keys, rows, self.older)

    def take_back(self, keys: Ints, rows: Ints) -> None:
        if _ignores(self.rule) or not len(keys):
            return
        if self.back is None:
            raise refused(self.rule)
        self._each(keys, rows, self.back)

    def result(self) -> pa.Array:
        try:
            return pa.array(self.stored, self.values.type)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
            raise EngineError(f"column {self.rule.column}: {self.rule.function} overflows {self.values.type}") from error

    def _of(self, rows: Ints) -> list[Any]:
        found: list[Any] = self.values.take(pa.array(rows)).to_pylist()
        return found

    def _each(self, keys: Ints, rows: Ints, merge: Merge) -> None:
        for key, value in zip(keys.tolist(), self._of(rows), strict=True):
            self.stored[key] = merge(self.stored[key], value)


_EXACT = Context(prec=80, rounding=ROUND_HALF_UP)
_DIVIDE = Context(prec=80, rounding=ROUND_HALF_UP, traps=[Inexact, InvalidOperation])


def _decimals(rule: MergeRule, values: pa.Array, size: int) -> Column:
    """Sums and products of decimals: beyond the precision null above 18 digits; below, an error, since the number would be none of the type."""
    scale, precision = values.type.scale, values.type.precision
    step, limit = Decimal((0, (1,), -scale)), Decimal((0, (1,), precision - scale))

    def fitted(value: Decimal) -> Decimal | None:
        rounded = value.quantize(step, context=_EXACT)
        if abs(rounded) < limit:
            return rounded
        if precision <= 18:
            raise EngineError(f"column {rule.column}: {rule.function} is {rounded}, which is no {values.type}")
        return None

    def merge(held: Decimal | None, value: Decimal | None) -> Decimal | None:
        if held is None or value is None:
            return value if held is None else held
        return fitted(_EXACT.add(held, value) if rule.function == "sum" else _EXACT.multiply(held, value))

    def back(held: Decimal | None, value: Decimal | None) -> Decimal | None:
        if rule.function == "sum":
            return held if value is None else -value if held is None else fitted(_EXACT.subtract(held, value))
        if held is None or value is None:
            return held
        try:
            return fitted(_DIVIDE.divide(held, value))
        except (Inexact, InvalidOperation, ZeroDivisionError) as error:
            raise EngineError(f"column {rule.column}: {held} cannot be divided by {value} exactly, to take it back from a product") from error

    return _Objects(rule, values, size, merge, back)


def _listagg(rule: MergeRule, values: pa.Array, size: int) -> Column:
    options = dict(rule.options)
    delimiter, distinct = options.get("delimiter", ","), options.get("distinct", "").lower() == "true"

    def merge(held: str | None, value: str | None) -> str | None:
        if value is None or not value.strip():
            return held
        if held is None or not held.strip():
            return value
        if not distinct:
            return held + delimiter + value
        there, parts = set(held.split(delimiter) if delimiter else (held,)), [held]
        for part in value.split(delimiter) if delimiter else (value,):
            if part.strip() and part not in there:
                there.add(part)
                parts.append(part)
        return delimiter.join(parts)

    return _Objects(rule, values, size, merge)


def _collect(rule: MergeRule, values: pa.Array, size: int) -> Column:
    merge, back = nested_rows.collect(rule)
    return _Objects(rule, values, size, merge, back, older=merge)


Entries = list[tuple[Any, Any]]


def _merge_map(rule: MergeRule, values: pa.Array, size: int) -> Column:
    def merge(held: Entries | None, value: Entries | None) -> Entries | None:
        if held is None or value is None:
            return value if held is None else held
        return list({frozen(k): (k, v) for k, v in (*held, *value)}.values())

    def back(held: Entries | None, value: Entries | None) -> Entries | None:
        if held is None or not value:
            return held
        gone = {frozen(k) for k, _ in value}
        return [(k, v) for k, v in held if frozen(k) not in gone]

    return _Objects(rule, values, size, merge, back)


def _merge_map_with_keytime(rule: MergeRule, values: pa.Array, size: int) -> Column:
    item = values.type.item_type
    field = dict(rule.options).get("ts-field") or item.field(item.num_fields - 1).name

    def merge(held: Entries | None, value: Entries | None) -> Entries | None:
        if held is None or value is None:
            return value if held is None else held
        found = {frozen(k): (k, v) for k, v in held}
        for key, row in value:
            there = found.get(frozen(key))
            if row is None:
                found.pop(frozen(key), None)
            elif row[field] is not None and (there is None or there[1] is None or there[1][field] is None or str(row[field]) > str(there[1][field])):
                found[frozen(key)] = (key, row)
        return list(found.values())

    return _Objects(rule, values, size, merge)


def _nested_update(rule: MergeRule, values: pa.Array, size: int) -> Column:
    return _Objects(rule, values, size, *nested_rows.nested_update(rule))


def _nested_partial_update(rule: MergeRule, values: pa.Array, size: int) -> Column:
    return _Objects(rule, values, size, nested_rows.nested_partial_update(rule))


def _bitmaps(rule: MergeRule, values: pa.Array, size: int) -> Column:
    import pyroaring  # only tables of bitmaps need it

    def joined(held: bytes, value: bytes) -> bytes:
        if rule.function == "rbm64":
            return java_bitmaps.union(held, value)
        both = pyroaring.BitMap.deserialize(held) | pyroaring.BitMap.deserialize(value)
        both.run_optimize()
        return bytes(both.serialize())

    def merge(held: bytes | None, value: bytes | None) -> bytes | None:
        if held is None or value is None:
            return value if held is None else held
        try:
            return joined(held, value)
        except (ValueError, IndexError, MemoryError) as error:
            raise EngineError(f"column {rule.column}: a value is no Roaring bitmap: {error}") from error

    return _Objects(rule, values, size, merge)


def _arithmetic(numbers: Callable[[MergeRule, pa.Array, int], Column]) -> Callable[[MergeRule, pa.Array, int], Column]:
    def make(rule: MergeRule, values: pa.Array, size: int) -> Column:
        if pa.types.is_decimal(values.type):
            return _decimals(rule, values, size)
        if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type)):
            raise UnsupportedFeatureError(
                f"column {rule.column} is {values.type}, of which there is no {rule.function}", feature=f"{rule.function} of {values.type}"
            )
        return numbers(rule, values, size)

    return make


_COLUMNS: dict[str, Callable[[MergeRule, pa.Array, int], Column]] = {
    "key": _Key,
    "kind": _Kind,
    "sequence": _Sequence,
    "replace": _Places,
    "last_value": _Places,
    "last_non_null_value": _LastNonNull,
    "first_value": _First,
    "first_non_null_value": _First,
    "min": _Extreme,
    "max": _Extreme,
    "sum": _arithmetic(_Sum),
    "product": _arithmetic(_Product),
    "bool_and": _Truths,
    "bool_or": _Truths,
    "listagg": _listagg,
    "collect": _collect,
    "merge_map": _merge_map,
    "merge_map_with_keytime": _merge_map_with_keytime,
    "nested_update": _nested_update,
    "nested_partial_update": _nested_partial_update,
    "rbm32": _bitmaps,
    "rbm64": _bitmaps,
}

FUNCTIONS: Sequence[str] = tuple(_COLUMNS)
"""Every function that merges know."""
