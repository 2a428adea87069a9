"""Tables: the engine's name for each mention, under the name the rest of the statement uses."""

from __future__ import annotations

from collections.abc import Iterator

from lakesql.errors import InternalError
from lakesql.sql.edits import Edit
from lakesql.sql.outline import quoted
from lakesql.sql.rewrites.context import Context
from lakesql.sql.statement import Mention


def replace_tables(context: Context) -> Iterator[Edit]:
    """`FROM shop.orders VERSION AS OF 12` -> `FROM __t1 AS "orders" `; `TABLE t` -> `SELECT * FROM __t1 AS "t"`; `FROM t` alone -> `SELECT * FROM __t1 AS
    "t"`.

    >>> from lakesql.sql.rewrites.example import example
    >>> example("SELECT * FROM shop.orders o FOR VERSION AS OF 12 WHERE o.x = 1", replace_tables)
    'SELECT * FROM __t1 o  WHERE o.x = 1'
    """
    named = {relation.source: source.name for relation, source in context.resolution.sources.items() if isinstance(relation.source, Mention)}
    for mention in context.statement.mentions:
        if mention not in context.replacements:
            raise InternalError(f"nothing stands for {mention}")
        replacement = context.replacements[mention]
        name = named.get(mention) or replacement.alias or mention.own_name
        sql = replacement.sql if mention.alias is not None else f"{replacement.sql} AS {quoted(name)}"
        yield Edit(mention.name_span, sql)
        yield from (Edit(clause, "") for clause in mention.clauses)
