"""Struct fields: the engine names `st.b` in a select list `t.st[b]`; everyone else names it `b`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pyarrow as pa

from lakesql.sql.columns import Resolution
from lakesql.sql.edits import Edit
from lakesql.sql.outline import FieldAccess, Group, Item, Literal, Reference, Select, Wildcard, quoted
from lakesql.sql.rewrites.context import Context
from lakesql.sql.tokens import Span


def name_fields(context: Context) -> Iterator[Edit]:
    """A select item that is a field of a struct column gets the field's name, or the whole path where another item has that name already.

    >>> from lakesql.sql.rewrites.example import example
    >>> example("SELECT id, st.b, st['c'], st.id FROM t", name_fields, id="int64", st={"b": "int64", "c": "int64", "id": "int64"})
    'SELECT id, st.b AS "b", st[\\'c\\'] AS "c", st.id AS "st.id" FROM t'
    """
    for select in context.resolution.selects:
        paths = {item: path for item in select.items if item.alias is None and (path := _path(context.resolution, item)) is not None}
        taken = Counter(path[-1] for path in paths.values())
        taken.update(_other_names(context.resolution, select, set(paths)))
        for item, path in paths.items():
            alias = path[-1] if taken[path[-1]] == 1 else ".".join(path)
            yield Edit(Span(item.expression.span.end, item.expression.span.end), f" AS {quoted(alias)}")


def _path(resolution: Resolution, item: Item) -> tuple[str, ...] | None:
    """The names from a struct column down to the field an item is; None for any other item."""
    first, *others = item.expression.pieces or (None,)
    if isinstance(first, Group) and first.opener == "(" and len(first.parts) == 1 and len(first.parts[0].pieces) == 1:
        first = first.parts[0].pieces[0]
    meaning = resolution.meanings.get(first) if isinstance(first, Reference) else None
    if meaning is None or (meaning.source is None and meaning.type is None):
        return None
    path, type_ = list(meaning.path), meaning.type
    for piece in others:
        key = _key(resolution, piece, type_)
        if key is None:
            return None
        path.append(key)
        type_ = resolution.types.get(piece)
    return tuple(path) if len(path) > 1 else None


def _key(resolution: Resolution, piece: object, type_: pa.DataType | None) -> str | None:
    """The field that `.x` or `['x']` takes out of a struct."""
    if type_ is None or not pa.types.is_struct(type_):
        return None
    if isinstance(piece, FieldAccess):
        return resolution.fields.get(piece)
    if isinstance(piece, Group) and piece.opener == "[" and len(piece.parts) == 1 and len(piece.parts[0].pieces) == 1:
        key = piece.parts[0].pieces[0]
        return key.value if isinstance(key, Literal) and key.is_string else None
    return None


def _other_names(resolution: Resolution, select: Select, named: set[Item]) -> Iterator[str]:
    """The names that the other items give."""
    for item in select.items:
        piece = item.expression.pieces[0] if len(item.expression.pieces) == 1 else None
        if item in named:
            continue
        if item.alias is not None:
            yield item.alias.folded
        elif isinstance(piece, Reference):
            meaning = resolution.meanings.get(piece)
            yield meaning.path[-1] if meaning is not None else piece.names[-1].folded
        elif isinstance(piece, Wildcard):
            yield from (c.name for s in resolution.stars.get(piece, ()) for c in s.shown or ())
