"""Tokens -> types, and the constants that a type's name makes of a string."""

from __future__ import annotations

from lakesql.sql.cursor import Cursor
from lakesql.sql.outline import Literal, TypeName
from lakesql.sql.tokens import Span, TokenKind, words

_TYPE_WORDS = words(
    "DATE TIME TIMESTAMP TIMESTAMPTZ TIMESTAMP_NTZ TIMESTAMP_LTZ DATETIME DECIMAL NUMERIC DEC BIGNUMERIC TINYINT SMALLINT INT INTEGER BIGINT REAL "
    "FLOAT DOUBLE BOOLEAN VARCHAR CHAR STRING TEXT BINARY VARBINARY BYTEA JSON UUID"
)
"""Types whose name before a string makes a constant."""
_NESTED_TYPES = words("ARRAY LIST MAP STRUCT ROW")
_TAILS = words("PRECISION VARYING UNSIGNED")
_ZONE_WORDS = words("WITH WITHOUT LOCAL TIME ZONE")


class TypeReader(Cursor):
    """Reads types."""

    def type_name(self) -> TypeName:
        """Reads a type: its words, what they have in brackets, `[]`."""
        start = self.token.start
        if not self.token.is_name:
            return TypeName("", Span(start, start))
        first = self.take()
        said = [first.key or first.text]
        while self.at(".") and self.ahead().is_name:
            self.take()
            said[-1] += "." + self.take().text
        if self.at_any(_TAILS):
            said.append(self.take().key)
        if self.at("("):
            opened = self.token.start
            self.skip_brackets()
            said[-1] += "".join(self.text[opened : self.previous.end].split())
        if self.at("<") and first.key in _NESTED_TYPES:
            self._angle_brackets()
        if (self.at("WITH") or self.at("WITHOUT")) and self.ahead().key in ("TIME", "LOCAL"):
            while self.at_any(_ZONE_WORDS):
                said.append(self.take().key)
        while self.at("[") and (self.ahead().key == "]" or self.ahead(2).key == "]"):
            self.skip_brackets()
            said[-1] += "[]"
        return TypeName(" ".join(said), self.since(start))

    def typed_literal(self) -> Literal | None:
        """`TIMESTAMP '...'` and its like, or None where the word is something else."""
        if self.token.key not in _TYPE_WORDS:
            return None
        before, start = self.index, self.token.start
        type_ = self.type_name()
        if self.token.kind is not TokenKind.STRING:
            self.index = before
            return None
        value = self.take()
        return Literal(type_.text, True, value.value, self.since(start), type_.span)

    def cast_literal(self, literal: Literal) -> Literal:
        """The literal, with the type that `::` gives a plain string."""
        if literal.type or not literal.is_string or not self.at("::"):
            return literal
        self.take()
        type_ = self.type_name()
        return Literal(type_.text, True, literal.value, self.since(literal.span.start), type_.span)

    def _angle_brackets(self) -> None:
        """`<...>` of a nested type; `>>` closes two."""
        depth = 0
        while not self.at_end:
            key = self.take().key
            depth += {"<": 1, ">": -1, ">>": -2}.get(key, 0)
            if depth <= 0:
                return
