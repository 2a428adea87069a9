"""Placeholders: the engine knows `$1` and `$name` alone."""

from __future__ import annotations

from collections.abc import Iterator

from lakesql.sql.edits import Edit
from lakesql.sql.rewrites.context import Context


def number_placeholders(context: Context) -> Iterator[Edit]:
    """`?` -> `$1`, `:name` -> `$name`, but for those in clauses that the engine is not given.

    >>> from lakesql.sql.rewrites.example import example
    >>> example("SELECT ? FROM t VERSION AS OF ? WHERE a = ?", number_placeholders)
    'SELECT $1 FROM t VERSION AS OF ? WHERE a = $3'
    >>> example("SELECT ? FROM table_changes('t', ?)", number_placeholders)
    "SELECT $1 FROM table_changes('t', ?)"
    """
    clauses = [clause for mention in context.statement.mentions for clause in (mention.name_span, *mention.clauses)]
    for placeholder in context.statement.placeholders:
        inside = any(c.start <= placeholder.span.start < c.end for c in clauses)
        if placeholder.span.of(context.text) != f"${placeholder.key}" and not inside:
            yield Edit(placeholder.span, f"${placeholder.key}")
