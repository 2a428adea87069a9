"""Tokens -> what may stand where an operand is due: names, calls, constants, brackets, and the words before an operand."""

from __future__ import annotations

from lakesql.sql.cursor import as_name
from lakesql.sql.keywords import ALSO_NAMES, CALL_WORDS, CLAUSE_WORDS
from lakesql.sql.outline import Call, Cast, Constant, Expression, Group, Literal, Name, Operator, Piece, Reference, Wildcard
from lakesql.sql.tokens import Span, TokenKind, words
from lakesql.sql.type_names import TypeReader

_TRIM_WORDS = words("BOTH LEADING TRAILING")
_CONSTANT_WORDS = words("NULL TRUE FALSE DEFAULT CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP LOCALTIME LOCALTIMESTAMP CURRENT_USER")
_CASTS = words("CAST TRY_CAST SAFE_CAST")
_UNITS = frozenset(
    (w + s) for w in words("YEAR QUARTER MONTH WEEK DAY HOUR MINUTE SECOND MILLISECOND MICROSECOND NANOSECOND CENTURY DECADE MILLENNIUM") for s in ("", "S")
)


class OperandReader(TypeReader):
    """Reads operands. What reads whole expressions is a subclass, since each holds the other."""

    def expression(self, *, ordering: bool = False, in_call: bool = False) -> Expression:
        """Reads an expression."""
        raise NotImplementedError

    def group(self, *, in_call: bool = False) -> Group:
        """Reads brackets and what they hold."""
        raise NotImplementedError

    def wildcard(self, qualifier: tuple[Name, ...], star: Span) -> Wildcard:
        """Reads what follows a `*`."""
        raise NotImplementedError

    def operand(self, pieces: list[Piece], *, in_call: bool, in_case: bool) -> bool:
        """Takes one piece where an operand is due; whether one still is. Takes nothing where the expression ends."""
        token = self.token
        key = token.key
        match token.kind:
            case TokenKind.STRING | TokenKind.NUMBER:
                self.take()
                pieces.append(self.cast_literal(Literal("", token.kind is TokenKind.STRING, token.value, token.span)))
                return False
            case TokenKind.PLACEHOLDER:
                pieces.append(Constant(self.take().span))
                return False
            case TokenKind.QUOTED:
                pieces.append(self._named())
                return False
            case TokenKind.WORD:
                return self._word_operand(pieces, in_call=in_call, in_case=in_case)
        if key in ("(", "[", "{"):
            pieces.append(self.group())
            return False
        self.take()
        if key == "*":
            pieces.append(self.wildcard((), token.span))
            return False
        pieces.append(Operator(key, token.span))
        return True

    def _word_operand(self, pieces: list[Piece], *, in_call: bool, in_case: bool) -> bool:
        token, key, following = self.token, self.token.key, self.ahead()
        if self._begins_clause(in_call):
            return True
        if key in ("ORDER", "PARTITION", "GROUPING") and following.key in ("BY", "SETS"):
            self.index += 2
            pieces.append(Operator(f"{key} {following.key}", self.since(token.start)))
            return True
        if (in_case and key == "END") or (in_call and key in CALL_WORDS and key not in ALSO_NAMES):
            pieces.append(Operator(key, self.take().span))
            return key != "END"
        if self._is_prefix(in_call=in_call, in_case=in_case):
            pieces.append(Operator(key, self.take().span))
            return True
        if key in _CONSTANT_WORDS and following.key != ".":
            self.take()
            if self.at("("):
                self.group()
            pieces.append(Constant(self.since(token.start)))
            return False
        if key in _CASTS and following.key == "(":
            pieces.append(self._cast())
            return False
        if key == "EXTRACT" and following.key == "(":
            pieces.append(self._extract())
            return False
        if key == "INTERVAL" and self._begins_interval():
            pieces.append(self._interval())
            return False
        typed = self.typed_literal()
        pieces.append(typed if typed is not None else self._named())
        return False

    def _begins_clause(self, in_call: bool) -> bool:
        """Whether the next word ends the expression although an operand is due."""
        key, following = self.token.key, self.ahead().key
        if key in ("ORDER", "GROUP") and following == "BY":
            return not in_call
        return key in CLAUSE_WORDS and key not in ALSO_NAMES and following != "." and not (in_call and key in CALL_WORDS)

    def _is_prefix(self, *, in_call: bool, in_case: bool) -> bool:
        """Whether the next word stands before an operand, and is none."""
        key, following = self.token.key, self.ahead().key
        if key in ("NOT", "CASE"):
            return following != "."
        if key in ("WHEN", "THEN", "ELSE"):
            return in_case
        if key in ("ALL", "ANY", "SOME", "EXISTS"):
            return following == "(" or (in_call and key == "ALL" and following not in (",", ")", "."))
        if key == "DISTINCT":
            return following not in (",", ")", ".")
        if key in _TRIM_WORDS:
            return in_call and following not in (".", ",", ")")
        return key in ("ARRAY", "MAP", "STRUCT") and following in ("[", "{")

    def _named(self) -> Piece:
        """A dotted name: a reference, a call, or `t.*`."""
        start = self.token.start
        names = self.dotted("a name")
        if self.at("("):
            arguments = self.group(in_call=True)
            text = _only_string(arguments)
            if text is not None and len(names) == 1 and names[0].folded == "to_timestamp":
                return Literal("TIMESTAMP", True, text, self.since(start))
            return Call(names, arguments, self.since(start))
        if self.at(".", "*"):
            self.take()
            return self.wildcard(names, self.take().span)
        return Reference(names, self.since(start))

    def _cast(self) -> Piece:
        """`CAST(expression AS type)`, read as a literal where it casts one string or number."""
        start, name = self.token.start, self.take().key
        opener = self.take()
        with self.nested():
            expression = self.expression()
            as_token = self.expect("AS", f"in {name}")
            type_ = self.type_name()
            while not self.at(")") and not self.at_end:  # FORMAT '...' and the like
                self.take()
        if not self.at(")"):
            raise self.error('no closing ) for this "("', opener)
        self.take()
        text = _plain_string(expression)
        if name == "CAST" and text is not None:
            return Literal(type_.text, True, text, self.since(start), type_.span)
        return Cast(name, expression, as_token.span, type_, self.since(start))

    def _extract(self) -> Piece:
        """`EXTRACT(field FROM expression)`, the field being no column; also the call with a comma."""
        start = self.token.start
        name = as_name(self.take())
        opener = self.take()
        with self.nested():
            pieces: list[Piece] = []
            if not self.at(")"):
                field = self.take()
                pieces.append(Operator(field.key or field.text, field.span))
            parts = []
            if self.at("FROM"):
                pieces.append(Operator("FROM", self.take().span))
            elif self.accept(","):
                parts.append(Expression(tuple(pieces), self.since(opener.end)))
                pieces = []
            rest = self.expression()
            parts.append(Expression((*pieces, *rest.pieces), self.since(opener.end)))
        if not self.at(")"):
            raise self.error(f'expected ) for the "(" of EXTRACT, found {self.shown()}')
        self.take()
        return Call((name,), Group("(", tuple(parts), self.since(opener.start)), self.since(start))

    def _begins_interval(self) -> bool:
        following = self.ahead()
        return following.kind in (TokenKind.STRING, TokenKind.NUMBER, TokenKind.PLACEHOLDER) or following.key in ("-", "(")

    def _interval(self) -> Piece:
        start = self.take().start
        self.accept("-")
        if self.at("("):
            self.group()
        else:
            self.take()
        self._unit()
        if self.at("TO") and self.ahead().key in _UNITS:
            self.take()
            self._unit()
        return Constant(self.since(start), is_interval=True)

    def _unit(self) -> None:
        if self.at_any(_UNITS):
            self.take()
            if self.at("(") and self.ahead().kind is TokenKind.NUMBER:
                self.group()


def _plain_string(expression: Expression) -> str | None:
    """The content of an expression that is a plain string."""
    only = expression.pieces[0] if len(expression.pieces) == 1 else None
    return only.value if isinstance(only, Literal) and only.is_string and not only.type else None


def _only_string(arguments: Group) -> str | None:
    """The content of arguments that are one plain string."""
    return _plain_string(arguments.parts[0]) if len(arguments.parts) == 1 and arguments.query is None else None
