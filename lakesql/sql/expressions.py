"""Tokens -> expressions, flat.

The one thing that must be right here is whether an operand or an operator is due, since that tells a column called `day` from the unit in `INTERVAL '1'
DAY`, a table from the second half of EXTRACT(.. FROM ..), and an alias from the rest of an expression. An expression ends before the first word that can
neither continue nor begin an operand there.
"""

from __future__ import annotations

from lakesql.sql.cursor import Cursor, as_name
from lakesql.sql.outline import (
    Call,
    Cast,
    Constant,
    Expression,
    FieldAccess,
    Group,
    Item,
    Literal,
    Name,
    Operator,
    Piece,
    Query,
    Reference,
    TypeName,
    Wildcard,
)
from lakesql.sql.tokens import Span, TokenKind, words

QUERY_STARTS = frozenset(("SELECT", "WITH", "FROM", "VALUES", "TABLE"))
CLAUSE_WORDS = words(
    "SELECT FROM WHERE GROUP HAVING ORDER LIMIT OFFSET FETCH UNION INTERSECT EXCEPT MINUS WINDOW QUALIFY ON USING JOIN INNER LEFT RIGHT FULL CROSS NATURAL INTO"
)
"""Words that begin another part of a query and so cannot begin an operand."""

_ALSO_NAMES = words("LIMIT OFFSET FETCH WINDOW QUALIFY MINUS LEFT RIGHT FULL CROSS INNER NATURAL INTO")
"""Those of them that are column names where an operand must come."""
_NO_ITEM_ALIAS = CLAUSE_WORDS | words("FOR SORT CLUSTER DISTRIBUTE WITH LATERAL")
_CLOSERS = frozenset((")", "]", "}", ",", ";"))
_PREFIX_WORDS = words("NOT DISTINCT ALL ANY SOME EXISTS CASE WHEN THEN ELSE GROUPING")
_TRIM_WORDS = words("BOTH LEADING TRAILING")
_CONSTANT_WORDS = words("NULL TRUE FALSE DEFAULT CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP LOCALTIME LOCALTIMESTAMP CURRENT_USER")
_INFIX_WORDS = words("AND OR XOR LIKE ILIKE RLIKE REGEXP GLOB BETWEEN IN DIV MOD OVERLAPS ESCAPE MATCH")
_NEGATABLE = words("LIKE ILIKE RLIKE REGEXP BETWEEN IN SIMILAR")
_TESTS = words("NULL TRUE FALSE UNKNOWN NORMALIZED JSON")
_CASTS = frozenset(("CAST", "TRY_CAST", "SAFE_CAST"))
_CALL_WORDS = words("FROM FOR PLACING IN TO USING SEPARATOR ON LIMIT ORDER RETURNING")
"""Words between the operands of EXTRACT, SUBSTRING, TRIM, OVERLAY, POSITION, CEIL, array_agg and their like."""
_UNITS = frozenset(
    (w + s) for w in words("YEAR QUARTER MONTH WEEK DAY HOUR MINUTE SECOND MILLISECOND MICROSECOND NANOSECOND CENTURY DECADE MILLENNIUM") for s in ("", "S")
)
_TYPE_WORDS = words(
    "DATE TIME TIMESTAMP TIMESTAMPTZ TIMESTAMP_NTZ TIMESTAMP_LTZ DATETIME DECIMAL NUMERIC DEC BIGNUMERIC TINYINT SMALLINT INT INTEGER BIGINT REAL "
    "FLOAT DOUBLE BOOLEAN VARCHAR CHAR STRING TEXT BINARY VARBINARY BYTEA JSON UUID"
)
"""Types whose name before a string makes a constant."""
_NESTED_TYPES = words("ARRAY LIST MAP STRUCT ROW")
_FRAMES = frozenset(("ROWS", "RANGE", "GROUPS"))


class ExpressionReader(Cursor):
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
        while not self.at_end and self.token.key not in _CLOSERS:
            before = self.index
            if operand_due:
                operand_due = self._operand(pieces, in_call=in_call, in_case=cases > 0)
            else:
                follows = self._operator(pieces, ordering=ordering, in_call=in_call, in_case=cases > 0)
                if follows is None:
                    break
                operand_due = follows
            if self.index == before:
                break
            if pieces and isinstance(pieces[-1], Operator):
                cases += {"CASE": 1, "END": -1}.get(pieces[-1].text, 0)
        return Expression(tuple(pieces), self.since(start) if self.index and pieces else Span(start, start))

    def expressions(self, *, ordering: bool = False) -> list[Expression]:
        """Reads expressions between commas."""
        found = [self.expression(ordering=ordering)]
        while self.accept(","):
            found.append(self.expression(ordering=ordering))
        return found

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
            while self.token.key != closer and not self.at_end and self.token.key not in (")", "]", "}"):
                # What the grammar here has no words for, or the rest of `((SELECT ..) UNION ..)`; the engine will say whether it is right.
                parts.append(self._subquery() if self._begins_query() else self.expression(in_call=True))
                if self.token.key != closer and self.token.key not in (")", "]", "}"):
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

    # Operands ------------------------------------------------------------------------------------------------------------------------------------

    def _operand(self, pieces: list[Piece], *, in_call: bool, in_case: bool) -> bool:
        """Takes one piece where an operand is due; whether one still is. Takes nothing where the expression ends."""
        token = self.token
        key = token.key
        match token.kind:
            case TokenKind.STRING | TokenKind.NUMBER:
                self.take()
                pieces.append(self._with_type(Literal("", token.kind is TokenKind.STRING, token.value, token.span)))
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
            pieces.append(self._wildcard((), token.span))
            return False
        pieces.append(Operator(key, token.span))
        return True

    def _word_operand(self, pieces: list[Piece], *, in_call: bool, in_case: bool) -> bool:
        token, key, following = self.token, self.token.key, self.ahead()
        if key in CLAUSE_WORDS and key not in _ALSO_NAMES and following.key != "." and not (in_call and key in _CALL_WORDS):
            return True
        if key in ("ORDER", "PARTITION") and following.key == "BY":
            self.index += 2
            pieces.append(Operator(f"{key} BY", self.since(token.start)))
            return True
        if (in_case and key == "END") or (in_call and key in _CALL_WORDS and key not in _ALSO_NAMES):
            pieces.append(Operator(key, self.take().span))
            return key != "END"
        if in_call and key in _TRIM_WORDS and following.key not in (".", ",", ")"):
            pieces.append(Operator(key, self.take().span))
            return True
        if key in _PREFIX_WORDS and following.key != ".":
            pieces.append(Operator(key, self.take().span))
            return True
        if key == "SETS" or (key in ("ARRAY", "MAP", "STRUCT") and following.key in ("[", "{")):
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
        typed = self._typed_literal()
        pieces.append(typed if typed is not None else self._named())
        return False

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
            return self._wildcard(names, self.take().span)
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
        return Constant(self.since(start))

    def _unit(self) -> None:
        if self.at_any(_UNITS):
            self.take()
            if self.at("(") and self.ahead().kind is TokenKind.NUMBER:
                self.group()

    def _typed_literal(self) -> Literal | None:
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

    def _with_type(self, literal: Literal) -> Literal:
        """The literal, with the type that `::` gives a plain string."""
        if literal.type or not literal.is_string or not self.at("::"):
            return literal
        self.take()
        type_ = self.type_name()
        return Literal(type_.text, True, literal.value, self.since(literal.span.start), type_.span)

    def type_name(self) -> TypeName:
        """Reads a type: its words, what they have in brackets, `[]`."""
        start = self.token.start
        words = []
        if not self.token.is_name:
            return TypeName("", Span(start, start))
        first = self.take()
        words.append(first.key or first.text)
        while self.at(".") and self.ahead().is_name:
            self.take()
            words[-1] += "." + self.take().text
        for tail in (("PRECISION",), ("VARYING",), ("UNSIGNED",)):
            if self.accept(*tail):
                words.append(tail[0])
        if self.at("("):
            opened = self.token.start
            self.skip_brackets()
            words[-1] += "".join(self.text[opened : self.previous.end].split())
        if self.at("<") and first.key in _NESTED_TYPES:
            self._angle_brackets()
        if self.at_any(frozenset(("WITH", "WITHOUT"))) and self.ahead().key in ("TIME", "LOCAL"):
            while self.at_any(frozenset(("WITH", "WITHOUT", "LOCAL", "TIME", "ZONE"))):
                words.append(self.take().key)
        while self.at("[") and (self.ahead().key == "]" or self.ahead(2).key == "]"):
            self.skip_brackets()
            words[-1] += "[]"
        return TypeName(" ".join(words), self.since(start))

    def _angle_brackets(self) -> None:
        """`<...>` of a nested type; `>>` closes two."""
        depth = 0
        while not self.at_end:
            key = self.take().key
            depth += {"<": 1, ">": -1, ">>": -2}.get(key, 0)
            if depth <= 0:
                return

    # Operators -----------------------------------------------------------------------------------------------------------------------------------

    def _operator(self, pieces: list[Piece], *, ordering: bool, in_call: bool, in_case: bool) -> bool | None:
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
        if in_call and key in _CALL_WORDS:
            return took(1, True)
        return None

    def _filter(self) -> Group:
        """`(WHERE condition)` or `(ORDER BY ...)`."""
        opener = self.expect("(", "here")
        parts: list[Expression] = []
        with self.nested():
            if self.accept("WHERE"):
                parts.append(self.expression())
            elif self.accept("ORDER", "BY"):
                parts += self.expressions(ordering=True)
        self._close(opener.start)
        return Group("(", tuple(parts), self.since(opener.start))

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
        self._close(opener.start)
        return Group("(", tuple(parts), self.since(opener.start))

    def _close(self, start: int) -> None:
        if not self.at(")"):
            raise self.error(f"expected ) here, found {self.shown()}", hint=f'it closes what begins with "{self.text[start : start + 20]}"')
        self.take()

    # Groups --------------------------------------------------------------------------------------------------------------------------------------

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
        if self.token.is_name and (self.ahead().key in ("=>", ":=") or (closer == "}" and self.ahead().key == ":")):
            self.index += 2
        return self.expression(in_call=in_call, ordering=in_call)

    # Select lists --------------------------------------------------------------------------------------------------------------------------------

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
        elif expression.pieces and (self.token.is_name or self.token.kind is TokenKind.STRING) and not self.at_any(_NO_ITEM_ALIAS):
            alias = self._alias_name()
        return Item(expression, alias, self.since(start))

    def _alias_name(self) -> Name:
        token = self.take()
        return Name(token.value, token.kind is not TokenKind.WORD, token.span)

    def _wildcard(self, qualifier: tuple[Name, ...], star: Span) -> Wildcard:
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
            self._close(star.start)
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
        self._close(found[0].span.start if found else self.previous.start)
        return found


def _plain_string(expression: Expression) -> str | None:
    """The content of an expression that is a plain string."""
    only = expression.pieces[0] if len(expression.pieces) == 1 else None
    return only.value if isinstance(only, Literal) and only.is_string and not only.type else None


def _only_string(arguments: Group) -> str | None:
    """The content of arguments that are one plain string."""
    return _plain_string(arguments.parts[0]) if len(arguments.parts) == 1 and arguments.query is None else None
