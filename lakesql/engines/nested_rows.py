"""`nested_update`, `nested_partial_update` and `collect`: lists of rows merged by a key within the rows, lists of elements. See relation.MergeRule.

What is kept by a key, or once, comes in the order in which a Java hash map gives it, which is known where the rule tells bytes and hashes (MergeRule.hashed);
else in the order it was added. Source: Paimon, FieldNestedUpdateAgg, FieldNestedPartialUpdateAgg, FieldCollectAgg; OpenJDK, java.util.HashMap.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from lakesql.errors import EngineError
from lakesql.relation import MergeRule

Row = dict[str, Any]
Rows = list[Row] | None
Merge = Callable[[Any, Any], Any]

_BINS, _LOAD, _TREE_BIN, _TREE_BINS = 16, 0.75, 8, 64


def nested_update(rule: MergeRule) -> tuple[Merge, Merge]:
    """What adds rows, and what takes them back."""
    keys = _Keys(rule)

    def merge(held: Rows, value: Rows) -> Rows:
        if value is None:
            return held
        if not keys.fields:
            there = [r for r in held or () if r is not None]
            if held is not None and len(held) >= keys.limit:
                return held
            return there + [r for r in value if r is not None][: keys.limit - len(held or ())]
        found = _HashMap()
        for rows, limited in ((held or (), False), (value, True)):
            for row in rows:
                key = keys.of(row)
                if key is None:
                    continue
                if key in found.rows:
                    if not keys.sequence or not keys.is_older(row, found.rows[key]):
                        found.rows[key] = row
                elif not limited or len(found.rows) < keys.limit:
                    found.add(key, row)
        return found.values()

    def back(held: Rows, value: Rows) -> Rows:
        if held is None or value is None:
            return held
        if not keys.fields:
            return [r for r in held if r is not None and r not in value]
        found = _HashMap()
        for row in held:
            found.put(keys.of(row), row)
        for row in value:
            found.rows.pop(keys.of(row), None)
        return found.values()

    return merge, back


def nested_partial_update(rule: MergeRule) -> Merge:
    """What adds rows."""
    keys = _Keys(rule)

    def merge(held: Rows, value: Rows) -> Rows:
        if value is None:
            return held
        found = _HashMap()
        for row in (*(held or ()), *value):
            key = keys.of(row)
            if key is not None:
                if key not in found.rows:
                    found.add(key, dict.fromkeys(row))
                found.rows[key].update((n, v) for n, v in row.items() if v is not None)
        return found.values()

    return merge


def collect(rule: MergeRule) -> tuple[Merge, Merge]:
    """What appends elements, and what takes them out."""
    distinct = dict(rule.options).get("distinct", "").lower() == "true"

    def merge(held: list[Any] | None, value: list[Any] | None) -> list[Any] | None:
        if held is None and value is None:
            return None
        if not distinct:
            return held + value if held is not None and value is not None else value if held is None else held
        if rule.hashed is not None:
            found = _HashMap()
            for element in (*(held or ()), *(value or ())):
                found.keep(_Digest(*rule.hashed((element,))), element)
            return found.values()
        unlike: list[Any] = list(held or ())
        unlike += [e for i, e in enumerate(value or ()) if e not in unlike and e not in (value or ())[:i]]
        return unlike

    def back(held: list[Any] | None, value: list[Any] | None) -> list[Any] | None:
        if held is None or not value:
            return held
        gone, left = list(value), []
        for element in held:
            if element in gone:
                gone.remove(element)
            else:
                left.append(element)
        return left

    return merge, back


def frozen(value: Any) -> Any:
    """A value that can be looked up: lists and structs as tuples."""
    if isinstance(value, dict):
        return tuple((k, frozen(v)) for k, v in value.items())
    return tuple(frozen(v) for v in value) if isinstance(value, list | tuple) else value


class _Keys:
    """The rule's options: which fields are a row's key, and what becomes of rows whose key holds null."""

    def __init__(self, rule: MergeRule) -> None:
        options = dict(rule.options)
        self.rule = rule
        self.fields = tuple(n.strip() for n in options.get("nested-key", "").split(",") if n.strip())
        self.strategy = options.get("nested-key-null-strategy", "merge").lower()
        self.sequence = tuple(n.strip() for n in options.get("nested-sequence-field", "").split(",") if n.strip())
        self.limit = int(options.get("count-limit", 2**31 - 1))

    def of(self, row: Row | None) -> Hashable | None:
        """A row's key; None for a row that is left out."""
        if row is None:
            return None
        values = tuple(row[n] for n in self.fields)
        if None in values and self.strategy != "merge":
            if self.strategy == "error":
                raise EngineError(f"column {self.rule.column}: a nested key holds null")
            return None
        if self.rule.hashed is None:
            return _Unordered(frozen(values))
        return _Digest(*self.rule.hashed(values))

    def is_older(self, row: Row, other: Row) -> bool:
        """Whether the row's sequence fields are below the other's, null being below all."""
        pairs = [(row[n], other[n]) for n in self.sequence]
        return [(v is not None, v if v is not None else 0) for v, _ in pairs] < [(v is not None, v if v is not None else 0) for _, v in pairs]


class _Unordered(tuple[Any, ...]):
    """A key whose hash in Java is not known."""


class _Digest(tuple[bytes, int]):
    """A key's bytes and hash."""

    def __new__(cls, raw: bytes, hash_: int) -> _Digest:
        return super().__new__(cls, (raw, hash_))


class _HashMap:
    """Values by key, given in the order of a Java HashMap: by bin, and within a bin as they were added. There are 16 bins, and twice as many each time more
    than three quarters as many keys are there, or a bin holds more than eight keys and there are fewer than 64 bins. (Java turns such bins of larger maps into
    trees; a good hash does not make any.)
    """

    def __init__(self) -> None:
        self.rows: dict[Any, Any] = {}
        self._bins = _BINS

    def add(self, key: Any, row: Any) -> None:
        """A key that is not there."""
        self.rows[key] = row
        if isinstance(key, _Digest):
            if self._bins < _TREE_BINS and sum(self._bin(k) == self._bin(key) for k in self.rows) > _TREE_BIN:
                self._bins *= 2
            if len(self.rows) > _LOAD * self._bins:
                self._bins *= 2

    def put(self, key: Any, row: Any) -> None:
        """A key that may be there; None is left out."""
        if key is None:
            return
        if key in self.rows:
            self.rows[key] = row
        else:
            self.add(key, row)

    def keep(self, key: Any, row: Any) -> None:
        """A key that stays as it is where it is there."""
        if key not in self.rows:
            self.add(key, row)

    def values(self) -> list[Any]:
        """All rows."""
        if not all(isinstance(k, _Digest) for k in self.rows):
            return list(self.rows.values())
        return [self.rows[k] for k in sorted(self.rows, key=self._bin)]

    def _bin(self, key: _Digest) -> int:
        hash_ = key[1] & 0xFFFFFFFF
        return (hash_ ^ hash_ >> 16) & (self._bins - 1)
