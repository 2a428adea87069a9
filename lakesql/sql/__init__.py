"""The SQL stage: text -> Statement, and Statement + what the session resolved -> the engine's text.

    parse("SELECT ... FROM t VERSION AS OF 3 ...")          Statement: kind, mentions, placeholders
      session resolves each mention
    render(statement, {mention: Replacement(...)}, ...)     Rendered: the user's SQL with tables, placeholders, names and literals as the engine takes them

DataFusion judges the grammar. Here only what lakesql must know is read: where tables stand, lakesql's own clauses, names and typed literals. Nothing here
opens a table.
"""

from lakesql.sql.blame import blamed, place_engines
from lakesql.sql.edits import Rendered
from lakesql.sql.outline import quoted
from lakesql.sql.parameters import bind_parameters
from lakesql.sql.parse import parse, parse_script
from lakesql.sql.positions import at, error_position, identifiers, locate, place, source_position, subject
from lakesql.sql.render import render
from lakesql.sql.rewrites.context import Replacement
from lakesql.sql.scopes import Column
from lakesql.sql.statement import (
    Action,
    AtClause,
    AtKind,
    ChangesClause,
    ConsumerClause,
    Kind,
    Mention,
    Placeholder,
    StartClause,
    Statement,
    TailClause,
    View,
)
from lakesql.sql.tokens import Span, is_complete, split

__all__ = [
    "Action",
    "AtClause",
    "AtKind",
    "ChangesClause",
    "Column",
    "ConsumerClause",
    "Kind",
    "Mention",
    "Placeholder",
    "Rendered",
    "Replacement",
    "Span",
    "StartClause",
    "Statement",
    "TailClause",
    "View",
    "at",
    "bind_parameters",
    "blamed",
    "error_position",
    "identifiers",
    "is_complete",
    "locate",
    "parse",
    "parse_script",
    "place",
    "place_engines",
    "quoted",
    "render",
    "source_position",
    "split",
    "subject",
]
