"""The rewrites: what of a user's SQL the engine would not understand as meant, and how to write it so that it does. Their order does not matter."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lakesql.sql.edits import Edit
from lakesql.sql.rewrites.bracket_fields import bracket_fields
from lakesql.sql.rewrites.context import Context
from lakesql.sql.rewrites.hide_columns import hide_columns
from lakesql.sql.rewrites.limit_fetched import limit_fetched
from lakesql.sql.rewrites.match_case import match_case
from lakesql.sql.rewrites.name_fields import name_fields
from lakesql.sql.rewrites.number_placeholders import number_placeholders
from lakesql.sql.rewrites.replace_tables import replace_tables
from lakesql.sql.rewrites.say_select import say_select
from lakesql.sql.rewrites.shorten_qualifiers import shorten_qualifiers
from lakesql.sql.rewrites.spell_types import spell_types
from lakesql.sql.rewrites.type_decimals import type_decimals
from lakesql.sql.rewrites.type_times import type_times
from lakesql.sql.rewrites.type_timestamps import type_timestamps

ALL: tuple[Callable[[Context], Iterator[Edit]], ...] = (
    replace_tables,
    shorten_qualifiers,
    match_case,
    name_fields,
    bracket_fields,
    hide_columns,
    say_select,
    limit_fetched,
    type_decimals,
    type_timestamps,
    type_times,
    spell_types,
    number_placeholders,
)
