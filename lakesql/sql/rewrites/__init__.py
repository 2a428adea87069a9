"""The rewrites: what of a user's SQL the engine would not understand as meant, and how to write it so that it does. Their order does not matter."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lakesql.sql.edits import Edit
from lakesql.sql.rewrites.context import Context
from lakesql.sql.rewrites.match_case import match_case
from lakesql.sql.rewrites.number_placeholders import number_placeholders
from lakesql.sql.rewrites.replace_tables import replace_tables
from lakesql.sql.rewrites.shorten_qualifiers import shorten_qualifiers

ALL: tuple[Callable[[Context], Iterator[Edit]], ...] = (replace_tables, shorten_qualifiers, match_case, number_placeholders)
