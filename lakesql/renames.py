"""Columns under names they once had: what an unknown column is called now, and since when."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from lakesql.errors import Error, UnknownColumnError
from lakesql.result import instant
from lakesql.table import Table

SchemaState = tuple[str, int | None, Mapping[str, str]]
"""What a schema is called, when it came (microseconds UTC, None where nothing says), and its columns' names by ids that stay."""


def explain(error: UnknownColumnError, tables: Iterable[Table]) -> None:
    """Gives the error a hint, where a column of one of the tables had the name that is unknown. What cannot be read of a table's past is left out."""
    name = error.name.rsplit(".", 1)[-1]
    for table in tables:
        states = getattr(table, "schema_states", None)
        if states is None or not name:
            continue
        try:
            hint = renamed(name, states())
        except Error:
            continue
        if hint is not None:
            error.hint = hint
            return


def renamed(name: str, states: Sequence[SchemaState]) -> str | None:
    """What to say of a name that a column had before. states: a table's schemas, the oldest first, the current one last.

    >>> renamed("amt", [("schema 0", None, {"1": "amt"}), ("schema 4", 1_770_768_000_000_000, {"1": "amount"})])
    'renamed to "amount" in schema 4 (2026-02-11)'
    """
    if not states:
        return None
    current = states[-1][2]
    wanted = name.casefold()
    for _, _, columns in reversed(states[:-1]):
        for id_, known in columns.items():
            if known.casefold() == wanted and id_ in current and current[id_].casefold() != wanted:
                label, when_us, _ = _first_so_named(id_, current[id_], states)
                when = instant(when_us)
                return f'renamed to "{current[id_]}" in {label}' + (f" ({when:%Y-%m-%d})" if when is not None else "")
    return None


def _first_so_named(id_: str, name: str, states: Sequence[SchemaState]) -> SchemaState:
    """The state since which a column has its name."""
    first = states[-1]
    for state in reversed(states):
        if state[2].get(id_) != name:
            break
        first = state
    return first
