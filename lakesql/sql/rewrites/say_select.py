"""SELECT left unsaid: the engine has no `TABLE t`, and gives no columns for a lone `FROM t`."""

from __future__ import annotations

from collections.abc import Iterator

from lakesql.sql.edits import Edit
from lakesql.sql.rewrites.context import Context
from lakesql.sql.rewrites.hide_columns import shown_star
from lakesql.sql.tokens import Span


def say_select(context: Context) -> Iterator[Edit]:
    """`TABLE t` and `FROM t` -> `SELECT * FROM t`.

    >>> from lakesql.sql.rewrites.example import example
    >>> example("(TABLE t) UNION ALL FROM u WHERE a = 1", say_select)
    '(SELECT * FROM t) UNION ALL SELECT * FROM u WHERE a = 1'
    """
    for select in context.resolution.selects:
        if select.table is not None:
            yield Edit(select.table, f"SELECT {shown_star(context, select)} FROM")
        elif select.from_first is not None:
            yield Edit(Span(select.from_first, select.from_first), f"SELECT {shown_star(context, select)} ")
