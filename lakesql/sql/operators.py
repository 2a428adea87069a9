"""Tokens -> what may stand where an operator is due: symbols, keywords, casts, subscripts, windows and filters."""

from __future__ import annotations

from lakesql.sql.cursor import as_name
from lakesql.sql.keywords import CALL_WORDS
from lakesql.sql.operands import OperandReader
from lakesql.sql.outline import Expression, FieldAccess, Group, Operator, Piece, TypeName
from lakesql.sql.tokens import TokenKind, words

_INFIX_WORDS = words("AND OR XOR LIKE ILIKE RLIKE REGEXP GLOB BETWEEN IN DIV MOD OVERLAPS ESCAPE MATCH")
_NEGATABLE = words("LIKE ILIKE RLIKE REGEXP BETWEEN IN SIMILAR")
_TESTS = words("NULL TRUE FALSE UNKNOWN NORMALIZED JSON")
_FRAMES = words("ROWS RANGE GROUPS")


class OperatorReader(OperandReader):
    """Reads operators and what belongs to the operand before them."""

    def expressions(self, *, ordering: bool = False) -> list[Expression]:
        """Reads expressions between commas."""
        found = [self.expression(ordering=ordering)]
        while self.accept(","):
            found.append(self.expression(ordering=ordering))
        return found

    def operator(self, pieces: list[Piece], *, ordering: bool, in_call: bool, in_case: bool) -> bool | None:
        """Takes one piece where an operator is due: whether an operand is due after it, None where the expression ends."""
        token, key = self.token, self.token.key
        if token.kind is TokenKind.WORD:
            return self._word_operator(pieces, ordering=ordering, in_call=in_call, in_case=in_case)
        if token.kind is not TokenKind.SYMBOL:
            return None
        if key == "::":
            self.take()
            type_ = self.type_name()
            pieces.append(TypeName(type_.text, self.since(token.start)))
            return False
        if key in ("[", "(", "{"):
            pieces.append(self.group())
            return False
        if key == "." and self.ahead().is_name:
            self.take()
            pieces.append(FieldAccess(as_name(self.take()), self.since(token.start)))
            return False
        pieces.append(Operator(key, self.take().span))
        return True

    def _word_operator(self, pieces: list[Piece], *, ordering: bool, in_call: bool, in_case: bool) -> bool | None:
        start, key, following = self.token.start, self.token.key, self.ahead().key

        def took(count: int, operand_follows: bool) -> bool:
            text = " ".join(self.ahead(i).key for i in range(count))
            self.index += count
            pieces.append(Operator(text, self.since(start)))
            return operand_follows

        if key == "IS":
            negated = 1 if following == "NOT" else 0
            test = self.ahead(1 + negated).key
            if test == "DISTINCT" and self.ahead(2 + negated).key == "FROM":
                return took(3 + negated, True)
            return took(2 + negated if test in _TESTS else 1 + negated, test not in _TESTS)
        if key == "NOT" and following in _NEGATABLE:
            return took(1, False)
        if key in _INFIX_WORDS:
            return took(2 if key == "BETWEEN" and following in ("SYMMETRIC", "ASYMMETRIC") else 1, True)
        if (key, following) in (("SIMILAR", "TO"), ("ORDER", "BY")) and (key == "SIMILAR" or in_call):
            return took(2, True)
        if key == "AT" and following == "TIME" and self.ahead(2).key == "ZONE":
            return took(3, True)
        if key == "COLLATE":
            took(1, False)
            self.dotted("a collation")
            return False
        if in_case and key in ("WHEN", "THEN", "ELSE", "END"):
            return took(1, key != "END")
        if key == "OVER" and (following == "(" or self.ahead().is_name):
            took(1, False)
            if self.at("("):
                pieces.append(self.window())
            else:
                self.take()
            return False
        if (key == "FILTER" and following == "(") or (key == "WITHIN" and following == "GROUP"):
            took(1 if key == "FILTER" else 2, False)
            pieces.append(self._filter())
            return False
        if key in ("IGNORE", "RESPECT") and following == "NULLS":
            return took(2, False)
        if key in ("ISNULL", "NOTNULL"):
            return took(1, False)
        if (ordering or in_call) and key in ("ASC", "DESC"):
            return took(1, False)
        if (ordering or in_call) and key == "NULLS" and following in ("FIRST", "LAST"):
            return took(2, False)
        if in_call and key == "AS" and self.ahead().is_name:  # struct(x AS name)
            took(1, False)
            self.take()
            return False
        if in_call and key in CALL_WORDS:
            return took(1, True)
        return None

    def window(self) -> Group:
        """The brackets of OVER or WINDOW: PARTITION BY, ORDER BY and a frame, whose words are no names."""
        opener = self.expect("(", "here")
        parts: list[Expression] = []
        with self.nested():
            while not self.at(")") and not self.at_end:
                if self.accept("PARTITION", "BY") or self.accept("ORDER", "BY"):
                    parts += self.expressions(ordering=True)
                elif self.at_any(_FRAMES):
                    while not self.at(")") and not self.at_end:
                        self.skip_brackets() if self.at("(") else self.take()
                else:
                    self.take()
        self.close(opener.start)
        return Group("(", tuple(parts), self.since(opener.start))

    def _filter(self) -> Group:
        """`(WHERE condition)` or `(ORDER BY ...)`."""
        opener = self.expect("(", "here")
        parts: list[Expression] = []
        with self.nested():
            if self.accept("WHERE"):
                parts.append(self.expression())
            elif self.accept("ORDER", "BY"):
                parts += self.expressions(ordering=True)
        self.close(opener.start)
        return Group("(", tuple(parts), self.since(opener.start))
