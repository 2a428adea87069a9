"""One rewrite by itself on one statement: for the doctests of the rewrites, and to try one out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pyarrow as pa

from lakesql.sql.columns import resolve
from lakesql.sql.edits import Edit, apply
from lakesql.sql.parse import parse
from lakesql.sql.rewrites.context import Context, Replacement
from lakesql.sql.scopes import columns_of


def example(text: str, rewrite: Callable[[Context], Iterator[Edit]], hidden: frozenset[str] = frozenset(), **columns: Any) -> str:
    """The text after one rewrite. Every table is `__t1`, `__t2`, ... and has the same columns, given by name with pyarrow's name for the type, or a dict
    for a struct."""
    statement = parse(text)
    schema = columns_of(pa.schema([pa.field(name, _type(given)) for name, given in columns.items()]))
    replacements = {m: Replacement(f"__t{i}") for i, m in enumerate(statement.mentions, 1)}
    known = dict.fromkeys(statement.mentions, schema) if columns else {}
    resolution = resolve(statement.outline, {}, known, dict.fromkeys(statement.mentions, hidden))
    return apply(statement.text, statement.body, rewrite(Context(statement, replacements, resolution))).text


def _type(given: Any) -> pa.DataType:
    if isinstance(given, pa.DataType):
        return given
    if isinstance(given, Mapping):
        return pa.struct([pa.field(name, _type(inner)) for name, inner in given.items()])
    return pa.type_for_alias(given)
