"""The outline of a query: its blocks, relations and expressions, as far as lakesql must understand them to find and replace names and literals.

It is no syntax tree: precedence is not kept, and what DataFusion's grammar would refuse passes, since DataFusion reads the text again. An expression is
the flat list of its pieces in text order; only what stands in brackets nests. `a + b.c = -1.5 AND f(x)` is

    Reference(a)  Operator(+)  Reference(b.c)  Operator(=)  Operator(-)  Literal(1.5)  Operator(AND)  Call(f, (x))

Nodes are compared by identity, so that they can be keys.
"""

from __future__ import annotations

import string
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lakesql.sql.tokens import NOWHERE, Span

if TYPE_CHECKING:
    from lakesql.sql.statement import Mention

_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def fold(name: str) -> str:
    """An unquoted identifier as the engine takes it: ASCII letters in lower case.

    >>> fold("DÉjà")
    'dÉjà'
    """
    return name.translate(_LOWER)


def quoted(name: str) -> str:
    """An identifier for the engine, case and all.

    >>> quoted('a"b')
    '"a""b"'
    """
    return '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True, eq=False)
class Name:
    """An identifier, or one part of a dotted one. text: quotes removed."""

    text: str
    quoted: bool
    span: Span

    @property
    def folded(self) -> str:
        """As the engine takes it."""
        return self.text if self.quoted else fold(self.text)


# Pieces of expressions -----------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Reference:
    """A column, perhaps qualified and perhaps with struct fields after it; which part is which takes schemas to know."""

    names: tuple[Name, ...]
    span: Span


@dataclass(frozen=True, eq=False)
class Literal:
    """A constant written as one. type: "" for a plain string or number, else the type's words in upper case (`DATE '...'`, `CAST('...' AS DATE)`,
    `'...'::DATE`, and TIMESTAMP for to_timestamp('...')); type_span: where they stand.

    is_string: whether a string is at its heart; value: that string's content, or the number's text.
    """

    type: str
    is_string: bool
    value: str
    span: Span
    type_span: Span | None = None


@dataclass(frozen=True, eq=False)
class Constant:
    """A constant that no rewrite needs to look into: TRUE, NULL, CURRENT_DATE, a placeholder, an interval."""

    span: Span
    is_interval: bool = False


@dataclass(frozen=True, eq=False)
class Operator:
    """A symbol or a keyword between operands; text in upper case."""

    text: str
    span: Span


@dataclass(frozen=True, eq=False)
class Group:
    """Brackets. opener: `(`, `[` or `{`; parts: between commas; query: instead of parts, what a subquery holds."""

    opener: str
    parts: tuple[Expression, ...]
    span: Span
    query: Query | None = None


@dataclass(frozen=True, eq=False)
class Call:
    """A function and its arguments."""

    names: tuple[Name, ...]
    arguments: Group
    span: Span


@dataclass(frozen=True, eq=False)
class Cast:
    """`CAST(expression AS type)`; name: CAST or TRY_CAST; as_span: the word AS."""

    name: str
    expression: Expression
    as_span: Span
    type: TypeName
    span: Span


@dataclass(frozen=True, eq=False)
class TypeName:
    """A type's words, in upper case with single blanks, brackets included; after `::` a piece of its own."""

    text: str
    span: Span


@dataclass(frozen=True, eq=False)
class FieldAccess:
    """`.name` after something that is no name: `f(x).name`, `(st).name`, `xs[1].name`. span begins at the dot."""

    name: Name
    span: Span


@dataclass(frozen=True, eq=False)
class Wildcard:
    """`*` or `t.*` with its EXCEPT, EXCLUDE, REPLACE and RENAME. star: the `*` itself; excluded: names that user's lists leave out; in_list: the place
    before the closing bracket of an EXCEPT list, None without one; after: the place where an EXCEPT list would stand."""

    qualifier: tuple[Name, ...]
    star: Span
    span: Span
    excluded: tuple[Reference, ...] = ()
    in_list: int | None = None
    after: int = 0
    replaced: tuple[Item, ...] = ()


Piece = Reference | Literal | Constant | Operator | Group | Call | Cast | TypeName | FieldAccess | Wildcard


@dataclass(frozen=True, eq=False)
class Expression:
    """An expression, flat."""

    pieces: tuple[Piece, ...]
    span: Span


# Queries -------------------------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Item:
    """One expression of a select list, with its alias."""

    expression: Expression
    alias: Name | None
    span: Span


@dataclass(eq=False)
class Cte:
    """A WITH query. query is None while it is being read, as a recursive one is by itself."""

    name: Name
    columns: tuple[Name, ...] = ()
    query: Query | None = None


@dataclass(eq=False)
class Relation:
    """One member of a FROM clause. source: None for table functions, UNNEST and the like, whose columns are not known; columns: an alias' column list."""

    source: Mention | Query | Cte | None
    alias: Name | None = None
    columns: tuple[Name, ...] = ()
    span: Span = NOWHERE


@dataclass(eq=False)
class Select:
    """One SELECT, VALUES or TABLE block. using: the columns of joins by USING, which `*` shows once; natural: whether a join is NATURAL.

    conditions: WHERE, ON, table functions' arguments; after: GROUP BY, HAVING, QUALIFY, WINDOW and, on the last block of a query, ORDER BY and LIMIT,
    where select aliases are visible. from_first: where FROM stands in a block that begins with it and has no SELECT; table: where the word TABLE stands
    in `TABLE t`.
    """

    items: list[Item] = field(default_factory=list)
    relations: list[Relation] = field(default_factory=list)
    conditions: list[Expression] = field(default_factory=list)
    using: list[Reference] = field(default_factory=list)
    natural: bool = False
    after: list[Expression] = field(default_factory=list)
    from_first: int | None = None
    table: Span | None = None


@dataclass(eq=False)
class Query:
    """WITH queries, then blocks joined by set operations.

    order: ORDER BY over a set operation; fetch: the place of `FETCH FIRST n ROWS ONLY`, and of its n where it has one.
    """

    ctes: list[Cte] = field(default_factory=list)
    operands: list[Select | Query] = field(default_factory=list)
    order: list[Expression] = field(default_factory=list)
    fetch: tuple[Span, Span | None] | None = None
    span: Span = NOWHERE
