"""FETCH FIRST: the engine knows LIMIT alone."""

from __future__ import annotations

from collections.abc import Iterator

from lakesql.sql.edits import Edit
from lakesql.sql.rewrites.context import Context


def limit_fetched(context: Context) -> Iterator[Edit]:
    """`FETCH FIRST n ROWS ONLY` -> `LIMIT n`.

    >>> from lakesql.sql.rewrites.example import example
    >>> example("SELECT a FROM t ORDER BY a OFFSET 10 ROWS FETCH NEXT 5 ROWS ONLY", limit_fetched)
    'SELECT a FROM t ORDER BY a OFFSET 10 ROWS LIMIT 5'
    """
    for query in context.resolution.queries:
        if query.fetch is not None:
            place, count = query.fetch
            yield Edit(place, f"LIMIT {count.of(context.text) if count is not None else 1}")
