"""Fields after brackets: the engine takes `.x` after a name alone."""

from __future__ import annotations

from collections.abc import Iterator

from lakesql.sql.edits import Edit
from lakesql.sql.rewrites.context import Context, string


def bracket_fields(context: Context) -> Iterator[Edit]:
    """`xs[1].name` -> `xs[1]['name']`, and so after any bracket.

    >>> from lakesql.sql.rewrites.example import example
    >>> example("SELECT (st).Name.x, f(y).z FROM t", bracket_fields, st={"Name": {"x": "int64"}})
    "SELECT (st)['Name']['x'], f(y)['z'] FROM t"
    """
    for access, name in context.resolution.fields.items():
        yield Edit(access.span, f"[{string(name)}]")
