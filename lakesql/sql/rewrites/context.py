"""What a rewrite may look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from lakesql.sql.columns import Resolution
from lakesql.sql.comparisons import Comparison, comparisons
from lakesql.sql.scopes import Columns
from lakesql.sql.statement import Mention, Statement


@dataclass(frozen=True)
class Replacement:
    """What stands for a mention in the engine's text: an identifier, quoted where it must be, or a subquery in brackets.

    alias: what to call it where the user gave no alias; None for the mention's own name. columns: of a subquery (`Rendered.columns`), where they are known.
    """

    sql: str
    alias: str | None = None
    columns: Columns | None = None


@dataclass(frozen=True)
class Context:
    """A statement, its replacements, and what its names mean."""

    statement: Statement
    replacements: Mapping[Mention, Replacement]
    resolution: Resolution

    @cached_property
    def comparisons(self) -> tuple[Comparison, ...]:
        """What the statement compares with what."""
        return tuple(comparisons(self.resolution))

    @property
    def text(self) -> str:
        """The user's text."""
        return self.statement.text


def string(text: str) -> str:
    """A string for the engine.

    >>> string("it's")
    "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"
