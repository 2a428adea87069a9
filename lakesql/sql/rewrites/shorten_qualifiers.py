"""Qualifiers: what stands before a column becomes the one name its relation has in the engine's text."""

from __future__ import annotations

from collections.abc import Iterator

from lakesql.sql.edits import Edit
from lakesql.sql.outline import Name, quoted
from lakesql.sql.rewrites.context import Context
from lakesql.sql.scopes import Source
from lakesql.sql.tokens import Span


def shorten_qualifiers(context: Context) -> Iterator[Edit]:
    """`lake.shop.orders.id` -> `"orders".id`; a single name that is right stays.

    >>> from lakesql.sql.rewrites.example import example
    >>> example("SELECT shop.orders.id, orders.id FROM lake.shop.orders", shorten_qualifiers)
    'SELECT "orders".id, orders.id FROM lake.shop.orders'
    """
    for meaning in context.resolution.meanings.values():
        if meaning.source is not None and meaning.qualifier:
            yield from _shortened(meaning.qualifier, meaning.source)
    for star, sources in context.resolution.stars.items():
        if star.qualifier and sources:
            yield from _shortened(star.qualifier, sources[0])


def _shortened(qualifier: tuple[Name, ...], source: Source) -> Iterator[Edit]:
    if source.name is not None and (len(qualifier) > 1 or qualifier[0].folded != source.name):
        yield Edit(Span(qualifier[0].span.start, qualifier[-1].span.end), quoted(source.name))
