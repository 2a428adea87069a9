"""Statement + what the session resolved -> the engine's text. The user's own SQL stays as it is but for the edits that the rewrites make.

Each rewrite is one function in one file of `rewrites/`; none sees another's edits, and no two touch the same characters.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping

import pyarrow as pa

from lakesql.sql import rewrites
from lakesql.sql.columns import resolve
from lakesql.sql.edits import Edit, Rendered, apply
from lakesql.sql.rewrites.context import Context, Replacement
from lakesql.sql.scopes import Columns, columns_of
from lakesql.sql.statement import Kind, Mention, Statement

REWRITES: tuple[Callable[[Context], Iterator[Edit]], ...] = rewrites.ALL


def render(
    statement: Statement,
    replacements: Mapping[Mention, Replacement],
    *,
    schemas: Mapping[Mention, pa.Schema] | None = None,
    hidden: Mapping[Mention, Collection[str]] | None = None,
) -> Rendered:
    """The text for the engine: of the query alone where the statement wraps one (EXPLAIN PRUNING, CREATE VIEW).

    replacements: one for every mention. schemas: the columns of each mention that has them, hidden ones that the statement reads included; without them
    names and literals stay as they are. hidden: those of a mention's columns that `*` must not show. Raises SqlError where a `*` cannot be told what to
    leave out.

    >>> from lakesql.sql.parse import parse
    >>> s = parse("SELECT Orders.Id FROM shop.orders VERSION AS OF 12")
    >>> render(s, {s.mentions[0]: Replacement("__t1")}, schemas={s.mentions[0]: pa.schema([("ID", pa.int64())])}).text
    'SELECT Orders."ID" FROM __t1 AS "orders" '
    """
    columns: dict[Mention, Columns] = {m: r.columns for m, r in replacements.items() if r.columns is not None}
    columns.update((m, columns_of(s)) for m, s in (schemas or {}).items())
    names = {m: r.alias or m.own_name for m, r in replacements.items()}
    resolution = resolve(statement.outline, names, columns, hidden or {})
    context = Context(statement, replacements, resolution)
    rendered = apply(statement.text, statement.body, itertools.chain.from_iterable(rewrite(context) for rewrite in REWRITES))
    if statement.kind is Kind.DESCRIBE_QUERY:
        rendered = _prefixed("DESCRIBE ", rendered)
    return Rendered(rendered.text, rendered.origins, resolution.outputs)


def _prefixed(prefix: str, rendered: Rendered) -> Rendered:
    shifted = tuple((start + len(prefix), source, copied) for start, source, copied in rendered.origins)
    return Rendered(prefix + rendered.text, ((0, shifted[0][1] if shifted else 0, False), *shifted))
