"""What rows of one key become, record by record in plain Python: Paimon's merge functions read out of its Java code, as a model for the engine's whole
columns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

INSERT, UPDATE_BEFORE, UPDATE_AFTER, DELETE = 0, 1, 2, 3


@dataclass(frozen=True)
class Record:
    """A row of a file. number: the writers'; values: without the key."""

    number: int
    kind: int
    values: Mapping[str, Any]

    @property
    def takes_back(self) -> bool:
        """Whether it is the old side of an update, or a delete."""
        return self.kind in (UPDATE_BEFORE, DELETE)


class RetractError(Exception):
    """A row that takes back where that is refused."""


@dataclass(frozen=True)
class Model:
    """A table's merge engine. functions: by column, for aggregations and within groups; groups: ordering columns to protected ones; order: of rows, before
    their numbers.
    """

    engine: str
    columns: Sequence[str]
    functions: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[tuple[str, ...], tuple[str, ...]] = field(default_factory=dict)
    order: Callable[[Record], Any] = lambda record: 0
    ignore_retract: frozenset[str] = frozenset()
    ignore_delete: bool = False
    remove_on_delete: bool = False
    remove_on_group: frozenset[str] = frozenset()

    def merge(self, records: Sequence[Record]) -> Record | None:
        """What all records of a key make, whatever order they come in; None for nothing at all."""
        ordered = sorted(records, key=lambda r: (self.order(r), r.number, not r.takes_back))
        if len(ordered) == 1:
            return ordered[0]
        if self.engine == "deduplicate":
            kept = [r for r in ordered if not (self.ignore_delete and r.takes_back)]
            return kept[-1] if kept else None
        return (_Aggregation if self.engine == "aggregation" else _PartialUpdate)(self).fold(ordered)

    def row(self, records: Sequence[Record]) -> Mapping[str, Any] | None:
        """The row a read gives, None where it gives none."""
        merged = self.merge(records)
        return None if merged is None or merged.takes_back else merged.values


class _Aggregation:
    def __init__(self, model: Model) -> None:
        self.model = model
        self.row: dict[str, Any] = dict.fromkeys(model.columns)
        self.fields = {c: _aggregator(model.functions.get(c, "last_non_null_value"), c in model.ignore_retract) for c in model.columns}

    def fold(self, records: Sequence[Record]) -> Record:
        deleted = False
        for record in records:
            deleted = self.model.remove_on_delete and record.kind == DELETE
            if deleted:
                self.row = dict.fromkeys(self.model.columns)
                continue
            for column, aggregator in self.fields.items():
                step = aggregator.retract if record.takes_back else aggregator.add
                self.row[column] = step(self.row[column], record.values.get(column))
        return Record(records[-1].number, DELETE if deleted else INSERT, dict(self.row))


class _PartialUpdate:
    def __init__(self, model: Model) -> None:
        self.model = model
        self.row: dict[str, Any] = dict.fromkeys(model.columns)
        self.group_of = {c: ordering for ordering, protected in model.groups.items() for c in (*ordering, *protected)}
        self.fields = {c: _aggregator(f, c in model.ignore_retract) for c, f in model.functions.items()}
        self.deleted = self.inserted = False

    def fold(self, records: Sequence[Record]) -> Record:
        last = records[-1].number
        for record in records:
            self.deleted = False
            if record.takes_back:
                self._take_back(record)
            else:
                self._add(record)
                self.inserted = True
        return Record(last, DELETE if self.deleted or not self.inserted else INSERT, dict(self.row))

    def _newer(self, record: Record, ordering: tuple[str, ...]) -> bool | None:
        """Whether the record's group is not below the stored one; None where it is empty."""
        given = [record.values.get(c) for c in ordering]
        if all(v is None for v in given):
            return None
        stored = [self.row[c] for c in ordering]
        return _nulls_first(given) >= _nulls_first(stored)

    def _add(self, record: Record) -> None:
        verdicts = {ordering: self._newer(record, ordering) for ordering in self.model.groups}
        for column in self.model.columns:
            value, ordering, aggregator = record.values.get(column), self.group_of.get(column), self.fields.get(column)
            if ordering is None:
                if aggregator is not None:
                    self.row[column] = aggregator.add(self.row[column], value)
                elif value is not None:
                    self.row[column] = value
            elif verdicts[ordering] is None:
                continue
            elif verdicts[ordering]:
                self.row[column] = value if aggregator is None or column in ordering else aggregator.add(self.row[column], value)
            elif aggregator is not None and column not in ordering:
                self.row[column] = aggregator.add_older(self.row[column], value)

    def _take_back(self, record: Record) -> None:
        if self.model.ignore_delete:
            return
        if self.model.groups:
            self._take_back_groups(record)
        elif self.model.remove_on_delete:
            if record.kind == DELETE:
                self.deleted = True
                self.row = dict.fromkeys(self.model.columns)
        else:
            raise RetractError

    def _take_back_groups(self, record: Record) -> None:
        verdicts = {ordering: self._newer(record, ordering) for ordering in self.model.groups}
        for ordering, newer in verdicts.items():
            if newer and record.kind == DELETE and set(ordering) & self.model.remove_on_group:
                self.deleted = True
                self.row = dict.fromkeys(self.model.columns)
                return
        for column, ordering in self.group_of.items():
            newer, aggregator = verdicts[ordering], self.fields.get(column)
            if newer is None:
                continue
            if column in ordering:
                if newer:
                    self.row[column] = record.values.get(column)
            elif aggregator is not None:
                self.row[column] = aggregator.retract(self.row[column], record.values.get(column))
            elif newer:
                self.row[column] = None


def _nulls_first(values: Sequence[Any]) -> list[tuple[bool, Any]]:
    return [(v is not None, v if v is not None else 0) for v in values]


# Aggregators ---------------------------------------------------------------------------------------------------------------------------------------


class _Aggregator:
    """agg, aggReversed and retract of a FieldAggregator."""

    def __init__(self, agg: Callable[[Any, Any], Any], retract: Callable[[Any, Any], Any] | None, ignores: bool) -> None:
        self.add, self._retract, self._ignores = agg, retract, ignores

    def add_older(self, stored: Any, value: Any) -> Any:
        return self.add(value, stored)

    def retract(self, stored: Any, value: Any) -> Any:
        if self._ignores:
            return stored
        if self._retract is None:
            raise RetractError
        return self._retract(stored, value)


class _First(_Aggregator):
    def __init__(self, *, nulls: bool, ignores: bool) -> None:
        super().__init__(self._agg, None, ignores)
        self._nulls, self._started = nulls, False

    def _agg(self, stored: Any, value: Any) -> Any:
        if not self._started and (self._nulls or value is not None):
            self._started = True
            return value
        return stored


def _either(both: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda a, b: b if a is None else a if b is None else both(a, b)


def _minus(stored: Any, value: Any) -> Any:
    if stored is None or value is None:
        return (None if value is None else -value) if stored is None else stored
    return stored - value


def _listagg(stored: str | None, value: str | None) -> str | None:
    if value is None or not value.strip():
        return stored
    return value if stored is None or not stored.strip() else f"{stored},{value}"


def _collect(stored: list[Any] | None, value: list[Any] | None) -> list[Any] | None:
    if stored is None or value is None:
        return value if stored is None else stored
    return stored + value


def _uncollect(stored: list[Any] | None, value: list[Any] | None) -> list[Any] | None:
    if stored is None or not value:
        return stored
    gone = list(value)
    left = []
    for element in stored:
        if element in gone:
            gone.remove(element)
        else:
            left.append(element)
    return left


def _aggregator(function: str, ignores: bool) -> _Aggregator:
    if function in ("first_value", "first_non_null_value"):
        return _First(nulls=function == "first_value", ignores=ignores)
    if function == "collect":
        found = _Aggregator(_collect, _uncollect, ignores)
        found.add_older = found.add  # type: ignore[method-assign]
        return found
    agg, retract = _FUNCTIONS[function]
    return _Aggregator(agg, retract, ignores)


_FUNCTIONS: dict[str, tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any] | None]] = {
    "last_value": (lambda a, b: b, lambda a, b: None),
    "last_non_null_value": (lambda a, b: a if b is None else b, lambda a, b: a if b is None else None),
    "sum": (_either(lambda a, b: a + b), _minus),
    "max": (_either(max), None),
    "min": (_either(min), None),
    "bool_and": (_either(lambda a, b: a and b), None),
    "bool_or": (_either(lambda a, b: a or b), None),
    "listagg": (_listagg, None),
}
