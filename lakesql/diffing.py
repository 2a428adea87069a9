"""Step 3 for a mention of a difference: its two states, opened, and what of them was asked for: the rows that differ, or the difference in numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from lakesql import sql
from lakesql.diff_stat import stat
from lakesql.differences import Difference, DiffRequest
from lakesql.errors import SqlError, did_you_mean
from lakesql.relation import Batches
from lakesql.table import Snapshot, Table

if TYPE_CHECKING:
    from lakesql.resolving import Pinned, Resolver


def opened(resolver: Resolver, mention: sql.Mention, parameters: Mapping[str, Any], pinned: Pinned) -> tuple[Table, Difference | Batches]:
    """The first table, and the difference that a mention asks for. Raises SqlError beside what opening a table raises."""
    assert mention.diff is not None
    before, table = _state(resolver, mention, parameters, pinned)
    after, second = _state(resolver, mention.diff.other, parameters, pinned)
    names = str(mention), str(mention.diff.other)
    if mention.diff.stat:
        if mention.diff.options:
            raise SqlError("a difference in numbers pairs no rows: it takes no key and no options")
        return table, stat(before, after, names)
    return table, Difference(before, after, _request(mention.diff.options), second.location, names)


def _state(resolver: Resolver, mention: sql.Mention, parameters: Mapping[str, Any], pinned: Pinned) -> tuple[Snapshot, Table]:
    if resolver.view_of(mention) is not None:
        raise SqlError(f'"{mention}" is a view, which has no states to compare', hint="SELECT ... EXCEPT ALL SELECT ... compares queries")
    table, inside, metadata = resolver.named(mention, pinned.entries)
    if metadata is not None:
        raise SqlError(f'"{mention}" has no states to compare: it is itself a table of metadata or of changes')
    return pinned.snapshot(table, inside, mention.options, resolver.at_of(mention, parameters, table)), table


def _request(options: tuple[tuple[str, str | bool | tuple[str, ...]], ...]) -> DiffRequest:
    """What the options ask for. Raises SqlError."""
    given: dict[str, str | bool | tuple[str, ...]] = {}
    for name, value in options:
        if name not in _CHECKS:
            raise SqlError(f'differences have no option "{name}"', hint=did_you_mean(name, _CHECKS))
        if name in given:
            raise SqlError(f'the option "{name}" is given twice')
        given[name] = _CHECKS[name](value)
    if "key" in given and given.get("updates") is False:
        raise SqlError("key says what updates are told by, and updates = false asks for none")
    return DiffRequest(**given)  # type: ignore[arg-type]  # checked one by one


def _key(value: str | bool | tuple[str, ...]) -> tuple[str, ...]:
    if isinstance(value, bool):
        raise SqlError(f"key is {value!r}; expected columns in brackets, as in key = (a, b)")
    return (value,) if isinstance(value, str) else value


def _updates(value: str | bool | tuple[str, ...]) -> bool:
    if not isinstance(value, bool):
        raise SqlError(f"updates is {value!r}; expected true or false")
    return value


_CHECKS: Mapping[str, Callable[[str | bool | tuple[str, ...]], bool | tuple[str, ...]]] = {"key": _key, "updates": _updates}
