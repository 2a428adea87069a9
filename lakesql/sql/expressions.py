"""Tokens -> expressions, flat, and select lists.

The one thing that must be right here is whether an operand or an operator is due, since that tells a column called `day` from the unit in `INTERVAL '1'
DAY`, a table from the second half of EXTRACT(.. FROM ..), and an alias from the rest of an expression. An expression ends before the first word that can
neither continue nor begin an operand there.
"""

from __future__ import annotations

from lakesql.sql.keywords import NO_ITEM_ALIAS, QUERY_STARTS, SET_OPERATIONS
from lakesql.sql.operators import OperatorReader
from lakesql.sql.outline import Expression, Group, Item, Literal, Name, Operator, Piece, Query, Reference, Wildcard
from lakesql.sql.tokens import Span, TokenKind

_CLOSING = frozenset((")", "]", "}"))
_ENDING = _CLOSING | {",", ";"}
_PLAIN = (TokenKind.STRING, TokenKind.NUMBER)


class ExpressionReader(OperatorReader):
    """Reads expressions; what reads queries is its subclass, since each holds the other."""

    def query(self) -> Query:
        """Reads a query, up to what cannot belong to it."""
        raise NotImplementedError

    def expression(self, *, ordering: bool = False, in_call: bool = False) -> Expression:
        """Reads an expression; empty where none begins. ordering: ASC, DESC and NULLS FIRST are part of it; in_call: words between arguments are."""
        start = self.token.start
        pieces: list[Piece] = []
        operand_due = True
        cases = 0
        while not self.at_end and self.token.key not in _ENDING:
            before = self.index
            if operand_due:
                operand_due = self.operand(pieces, in_call=in_call, in_case=cases > 0)
            else:
                follows = self.operator(pieces, ordering=ordering, in_call=in_call, in_case=cases > 0)
                if follows is None:
                    break
                operand_due = follows
            if self.index == before:
                break
            if pieces and isinstance(pieces[-1], Operator):
                cases += {"CASE": 1, "END": -1}.get(pieces[-1].text, 0)
        return Expression(tuple(pieces), self.since(start) if self.index and pieces else Span(start, start))

    def group(self, *, in_call: bool = False) -> Group:
        """Reads brackets of any kind and what they hold."""
        opener = self.take()
        closer = {"(": ")", "[": "]", "{": "}"}[opener.key]
        with self.nested():
            if opener.key == "(" and self._begins_query():
                query = self.query()
                parts: list[Expression] = []
            else:
                query, parts = None, self._parts(closer, in_call)
            while self.token.key != closer and not self.at_end and self.token.key not in _CLOSING:
                # The rest of `((SELECT ..) UNION ..)`, or what the grammar here has no words for; the engine will say whether it is right.
                if self.at_any(SET_OPERATIONS):
                    self.take()
                parts.append(self._subquery() if self._begins_query() else self.expression(in_call=True))
                if self.token.key != closer and self.token.key not in _CLOSING:
                    self.take()
        if self.at_end:
            raise self.error(f'no closing {closer} for this "{opener.text}"', opener)
        if self.token.key != closer:
            raise self.error(f'expected {closer} for the "{opener.text}" before, found {self.shown()}')
        self.take()
        return Group(opener.key, tuple(parts), self.since(opener.start), query)

    def _subquery(self) -> Expression:
        query = self.query()
        return Expression((Group("", (), query.span, query),), query.span)

    def _begins_query(self) -> bool:
        key, following = self.token.key, self.ahead()
        if key == "VALUES":
            return following.key == "("
        if key == "TABLE":
            return following.is_name
        return key in QUERY_STARTS and following.key not in (".", "::", ")")

    def _parts(self, closer: str, in_call: bool) -> list[Expression]:
        parts: list[Expression] = []
        if self.token.key == closer:
            return parts
        parts.append(self._part(in_call, closer))
        while self.accept(","):
            parts.append(self._part(in_call, closer))
        return parts

    def _part(self, in_call: bool, closer: str) -> Expression:
        """An argument. The name of a named argument (`name => value`) or of a field in braces (`{name: value}`) is no column."""
        token = self.token
        if token.kind in _PLAIN and self.tokens[self.index + 1].key in _ENDING:  # most of a long list
            self.index += 1
            literal = Literal("", token.kind is TokenKind.STRING, token.value, token.span)
            return Expression((literal,), literal.span)
        if token.is_name and (self.ahead().key in ("=>", ":=") or (closer == "}" and self.ahead().key == ":")):
            self.index += 2
        return self.expression(in_call=in_call, ordering=in_call)

    def items(self) -> list[Item]:
        """Reads a select list."""
        found = [self._item()]
        while self.accept(","):
            if self.at("FROM") and self.ahead().key != ".":  # a trailing comma
                break
            found.append(self._item())
        return found

    def _item(self) -> Item:
        start = self.token.start
        expression = self.expression()
        alias: Name | None = None
        if self.at("AS"):
            self.take()
            if self.token.is_name or self.token.kind is TokenKind.STRING:
                alias = self._alias_name()
        elif expression.pieces and (self.token.is_name or self.token.kind is TokenKind.STRING) and not self.at_any(NO_ITEM_ALIAS):
            alias = self._alias_name()
        return Item(expression, alias, self.since(start))

    def _alias_name(self) -> Name:
        token = self.take()
        return Name(token.value, token.kind is not TokenKind.WORD, token.span)

    def wildcard(self, qualifier: tuple[Name, ...], star: Span) -> Wildcard:
        """`*` and what it leaves out or replaces. A `*` that multiplies never comes here: it stands where an operator is due."""
        start = qualifier[0].span.start if qualifier else star.start
        excluded: list[Reference] = []
        replaced: list[Item] = []
        in_list: int | None = None
        after = star.end
        if self.at("ILIKE") and self.ahead().kind is TokenKind.STRING:
            raise self.ignored("* ILIKE", "name the columns")
        if self.at("EXCLUDE"):
            self.take()
            excluded += self._excluded()
            after = self.previous.end
        if self.at("EXCEPT", "(") and self.ahead(2).key not in QUERY_STARTS | {"("}:
            self.take()
            excluded += self._excluded()
            in_list = self.previous.start
        if self.at("REPLACE", "("):
            self.index += 2
            replaced = self.items()
            self.close(star.start)
        if self.at("RENAME") and (self.ahead().key == "(" or self.ahead().is_name):
            self.take()
            if self.at("("):
                self.skip_brackets()
            else:
                self.index += 3
        return Wildcard(qualifier, star, self.since(start), tuple(excluded), in_list, after, tuple(replaced))

    def _excluded(self) -> list[Reference]:
        if not self.accept("("):
            names = self.dotted("a column")
            return [Reference(names, self.since(names[0].span.start))]
        found = []
        while self.token.is_name:
            names = self.dotted("a column")
            found.append(Reference(names, self.since(names[0].span.start)))
            self.accept(",")
        self.close(found[0].span.start if found else self.previous.start)
        return found
