"""Hidden columns: a statement that reads one by name makes it a column of its table, and `*` must not show it for that."""

from __future__ import annotations

from collections.abc import Iterator

from lakesql.errors import SqlError
from lakesql.sql.edits import Edit
from lakesql.sql.outline import Select, Wildcard, quoted
from lakesql.sql.rewrites.context import Context
from lakesql.sql.scopes import Source
from lakesql.sql.tokens import Span


def hide_columns(context: Context) -> Iterator[Edit]:
    """`*` -> `* EXCEPT (hidden)` in select lists, for the relations it covers.

    >>> from lakesql.sql.rewrites.example import example
    >>> example("SELECT *, _row_id FROM t WHERE 2 * a > 1", hide_columns, hidden=frozenset(["_row_id"]), a="int64", _row_id="int64")
    'SELECT * EXCEPT ("_row_id"), _row_id FROM t WHERE 2 * a > 1'
    """
    for select in context.resolution.selects:
        for item in select.items:
            star = item.expression.pieces[0] if item.expression.pieces else None
            if isinstance(star, Wildcard):
                yield from _hidden(context, select, star, context.resolution.stars.get(star, ()))


def shown_star(context: Context, select: Select) -> str:
    """The `*` of a block that has none of its own."""
    sources = [context.resolution.sources[r] for r in select.relations]
    names = _names(sources)
    return f"* EXCEPT ({', '.join(map(quoted, names))})" if names else "*"


def _hidden(context: Context, select: Select, star: Wildcard, sources: tuple[Source, ...]) -> Iterator[Edit]:
    names = _names(sources)
    excluded = {r.names[-1].text.casefold() for r in star.excluded}
    names = [n for n in names if n.casefold() not in excluded]
    if not names:
        return
    if len(sources) > 1 and any(_is_ambiguous(n, sources) for n in names):
        yield _apart(context, select, star, sources)
    elif star.in_list is not None:
        yield Edit(Span(star.in_list, star.in_list), "".join(f", {quoted(n)}" for n in names))
    else:
        yield Edit(Span(star.after, star.after), f" EXCEPT ({', '.join(map(quoted, names))})")


def _apart(context: Context, select: Select, star: Wildcard, sources: tuple[Source, ...]) -> Edit:
    """`*` over several relations, one by one, since EXCEPT takes a name that only one of them has."""
    if select.natural or select.using or star.excluded or star.replaced or any(s.name is None for s in sources):
        shown = ", ".join(quoted(n) for n in _names(sources))
        raise SqlError(
            f"* over several tables cannot leave out {shown}, which more than one of them has",
            sql=context.text,
            position=star.star.start,
            hint="name the columns, or write t.* for each table",
        )
    return Edit(
        star.star, ", ".join(f"{quoted(s.name or '')}.*" + (f" EXCEPT ({', '.join(map(quoted, _names([s])))})" if _names([s]) else "") for s in sources)
    )


def _names(sources: list[Source] | tuple[Source, ...]) -> list[str]:
    """The hidden columns that these relations have here, in their order."""
    return list(dict.fromkeys(c.name for s in sources for c in s.columns or () if c.name in s.hidden))


def _is_ambiguous(name: str, sources: tuple[Source, ...]) -> bool:
    return sum(s.columns is None or any(c.name == name for c in s.columns) for s in sources) > 1
