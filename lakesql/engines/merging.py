"""MergeByKey over rows that lie together: the rows of each key in a list, oldest first, become one row. Shared by engines.

Keys are merged side by side: first the oldest row of every key, then the second oldest of those that have one, and so on, so that each step is a few
operations on whole columns. Columns whose merged value is one of the rows' own (last_value, max, replace, ...) carry only its place; the others carry
values. What functions mean is said in relation.MergeRule. Source: Paimon, AggregateMergeFunction, PartialUpdateMergeFunction, ReducerMergeFunctionWrapper.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lakesql.engines.merge_functions import Column, column_of
from lakesql.errors import EngineError
from lakesql.relation import MergeByKey, MergeRule, Retract

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

AGE = "__lakesql_age"
"""The field of a row that says how old its run is: a higher number is newer."""

KEPT = "__lakesql_kept"
"""The field of `fold`'s result that says whether the row is one of the table's."""

_DELETE = 3


def fold(rows: pa.ListArray, node: MergeByKey) -> pa.StructArray:
    """The merged row of every list, with a field for each rule and KEPT.

    rows: lists of structs in any order, none empty, with the columns of rules and order, `node.kind` where there is one, and AGE. Raises EngineError for what
    rules refuse and for values that overflow.
    """
    offsets = rows.offsets.to_numpy(zero_copy_only=False).astype(np.int64)
    start, end = (int(offsets[0]), int(offsets[-1])) if len(offsets) else (0, 0)
    flat = rows.values.slice(start, end - start)
    fields = dict(zip((f.name for f in flat.type), map(_plain, flat.flatten()), strict=True))
    kinds = fields[node.kind].to_numpy(zero_copy_only=False) if node.kind is not None else np.zeros(len(flat), np.int8)
    return _Fold(node, fields, kinds, offsets - start).run()


def _sorted(node: MergeByKey, fields: dict[str, pa.Array], kinds: npt.NDArray[np.int8], counts: Ints) -> Ints:
    """The rows list by list, oldest first: null is older than any value in either direction; rows that tie are ordered by what they do, then by age."""
    keys: list[npt.NDArray[np.generic]] = [fields[AGE].to_numpy(zero_copy_only=False), np.isin(kinds, (0, 2))]
    for column, ascending in reversed(node.order):
        values = fields[column]
        if pa.types.is_integer(values.type) and not values.null_count:
            found = values.to_numpy(zero_copy_only=False)
            keys.append(found if ascending else ~found)
        else:
            found = ranks([values], len(values))
            keys.append(found if ascending else np.where(values.is_null().to_numpy(zero_copy_only=False), found, int(found.max(initial=0)) + 1 - found))
    keys.append(np.repeat(np.arange(len(counts)), counts))
    return np.lexsort(keys)


@dataclass(frozen=True, eq=False)
class _Group:
    """A sequence group. ranks: the order of each row's values in its ordering columns; empty: rows where all of them are null; stored: the rank of each
    key's stored values.
    """

    ranks: Ints
    empty: Mask
    stored: Ints
    columns: tuple[str, ...]
    removes: bool


class _Fold:
    def __init__(self, node: MergeByKey, fields: dict[str, pa.Array], kinds: npt.NDArray[np.int8], offsets: Ints) -> None:
        self.node, self.kinds, self.starts = node, kinds, offsets[:-1]
        self.counts = np.diff(offsets)
        self.order = _sorted(node, fields, kinds, self.counts)
        self.size = len(self.starts)
        self.rules: dict[str, MergeRule] = {r.column: r for r in node.rules}
        self.columns: dict[str, Column] = {r.column: column_of(r, fields[r.column], self.size) for r in node.rules}
        self.groups = [self._group(ordering, fields) for ordering in dict.fromkeys(r.group for r in node.rules if r.group)]
        self.ungrouped = [r.column for r in node.rules if not r.group]
        self.removed = np.zeros(self.size, bool)
        self.inserted = np.zeros(self.size, bool)

    def run(self) -> pa.StructArray:
        """All steps, and their result."""
        single = np.flatnonzero(self.counts == 1)
        for column in self.columns.values():
            column.set(single, self.order[self.starts[single]])
        self.inserted[single] = True
        self.removed[single] = np.isin(self.kinds[self.order[self.starts[single]]], (1, 3))
        for step in range(int(self.counts.max(initial=0))):
            keys = np.flatnonzero((self.counts > step) & (self.counts > 1))
            if len(keys):
                self._step(keys, self.order[self.starts[keys] + step])
        kept = ~self.removed & (self.inserted | (not self.node.needs_insert))
        if self.node.keeps_removed:
            for rule in self.node.rules:
                if rule.function == "kind":
                    self.columns[rule.column].clear(np.flatnonzero(~kept & (self.counts > 1)))
            kept = np.ones(self.size, bool)
        arrays = [self.columns[r.column].result() for r in self.node.rules]
        return pa.StructArray.from_arrays([*arrays, pa.array(kept)], names=[*(r.column for r in self.node.rules), KEPT])

    def _step(self, keys: Ints, rows: Ints) -> None:
        """One more row of each of these keys."""
        kinds = self.kinds[rows]
        takes_back = (kinds == 1) | (kinds == _DELETE)
        if takes_back.any():
            self._take_back(keys[takes_back], rows[takes_back], kinds[takes_back])
            keys, rows = keys[~takes_back], rows[~takes_back]
        self.removed[keys] = False
        self.inserted[keys] = True
        for name in self.ungrouped:
            self.columns[name].add(keys, rows)
        for group in self.groups:
            self._add_to(group, keys, rows)

    def _take_back(self, keys: Ints, rows: Ints, kinds: npt.NDArray[np.int8]) -> None:
        if self.node.deletes_remove:
            deleted = kinds == _DELETE
            self._remove(keys[deleted], rows[deleted])
            keys, rows, kinds = keys[~deleted], rows[~deleted], kinds[~deleted]
        if not len(keys) or self.node.retract is Retract.SKIP:
            return
        if self.node.retract is Retract.REFUSE:
            raise retraction_refused()
        removing = np.zeros(len(keys), bool)
        for group in self.groups:
            if group.removes:
                removing |= (kinds == _DELETE) & ~group.empty[rows] & (group.ranks[rows] >= group.stored[keys])
        self._remove(keys[removing], rows[removing])
        keys, rows = keys[~removing], rows[~removing]
        self.removed[keys] = False
        for name in self.ungrouped if not self.groups else ():
            self.columns[name].take_back(keys, rows)
        for group in self.groups:
            self._take_from(group, keys, rows)

    def _remove(self, keys: Ints, rows: Ints) -> None:
        """Empties all that is stored."""
        for name, column in self.columns.items():
            column.clear(keys)
            if dict(self.rules[name].options).get("stays") == "true" or self.rules[name].function == "key":
                column.set(keys, rows)
        for group in self.groups:
            group.stored[keys] = -1
        self.removed[keys] = True

    def _add_to(self, group: _Group, keys: Ints, rows: Ints) -> None:
        there = ~group.empty[rows]
        keys, rows = keys[there], rows[there]
        newer = group.ranks[rows] >= group.stored[keys]
        for name in group.columns:
            self.columns[name].add(keys[newer], rows[newer])
            self.columns[name].add_older(keys[~newer], rows[~newer])
        group.stored[keys[newer]] = group.ranks[rows[newer]]

    def _take_from(self, group: _Group, keys: Ints, rows: Ints) -> None:
        there = ~group.empty[rows]
        keys, rows = keys[there], rows[there]
        newer = group.ranks[rows] >= group.stored[keys]
        for name in group.columns:
            # What a plain column holds is newer than an older row and stays; aggregates take all rows in, and give all back.
            chosen = newer if self.rules[name].function in ("replace", "sequence") else np.ones(len(keys), bool)
            self.columns[name].take_back(keys[chosen], rows[chosen])
        group.stored[keys[newer]] = group.ranks[rows[newer]]

    def _group(self, ordering: tuple[str, ...], fields: dict[str, pa.Array]) -> _Group:
        ordered = [fields[c] for c in ordering]
        empty = np.logical_and.reduce([c.is_null().to_numpy(zero_copy_only=False) for c in ordered])
        columns = tuple(r.column for r in self.node.rules if r.group == ordering)
        removes = any(dict(r.options).get("removes") == "true" for r in self.node.rules if r.group == ordering)
        return _Group(ranks(ordered, len(self.kinds)), empty, np.full(self.size, -1), columns, removes)


def retraction_refused() -> EngineError:
    """The error for rows that take others back where nothing says what becomes of them."""
    return EngineError(
        "a row takes another back, and the table's options do not say what becomes of it",
        hint="ignore-delete, partial-update.remove-record-on-delete or sequence groups say so, in the options of the table",
    )


def ranks(columns: list[pa.Array], count: int) -> Ints:
    """The rank of each row among the distinct ones, by the columns in order; null is below all values, NaN above."""
    found = np.zeros(count, np.int64)
    for column in columns:
        values = column.cast(pa.int8()) if pa.types.is_boolean(column.type) else column
        here = pc.rank(values, sort_keys="ascending", tiebreaker="dense").to_numpy(zero_copy_only=False).astype(np.int64)
        here[column.is_null().to_numpy(zero_copy_only=False)] = 0
        _, found = np.unique(found * (int(here.max(initial=0)) + 1) + here, return_inverse=True)
    return found


def _plain(array: pa.Array) -> pa.Array:
    """Texts and bytes in their plain types, which every kernel takes."""
    plain = {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}.get(array.type)
    return array if plain is None else array.cast(plain)
