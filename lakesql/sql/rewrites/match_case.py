"""Identifiers: the engine takes unquoted names in lower case and then wants them exact, where lake engines find `Op` whichever way it is written; and it
takes some names of columns for keywords."""

from __future__ import annotations

from collections.abc import Iterator

from lakesql.sql.edits import Edit
from lakesql.sql.keywords import ENGINE_WORDS
from lakesql.sql.outline import fold, quoted
from lakesql.sql.rewrites.context import Context


def match_case(context: Context) -> Iterator[Edit]:
    """An unquoted name that means a column or struct field whose name is not in lower case, or is a keyword to the engine -> that name, quoted.

    >>> from lakesql.sql.rewrites.example import example
    >>> example("SELECT op, max(OP) AS op FROM t WHERE st.FIELD > 1", match_case, Op="int64", st={"Field": "int64"})
    'SELECT "Op", max("Op") AS op FROM t WHERE st."Field" > 1'
    >>> example("SELECT interval FROM t", match_case, interval="int64")
    'SELECT "interval" FROM t'
    """
    for meaning in context.resolution.meanings.values():
        for name, true in zip(meaning.names, meaning.path, strict=False):
            if not name.quoted and (fold(name.text) != true or name.text.upper() in ENGINE_WORDS):
                yield Edit(name.span, quoted(true))
