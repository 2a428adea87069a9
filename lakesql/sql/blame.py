"""Whose fault it is: the words of an engine's complaint that has no place of its own, looked for in the statement it is about.

    Invalid function 'cuont'                                   the name `cuont`
    There isn't a common type to coerce Utf8 = Int64           the operator `=`
    UNION queries have different number of columns             the keyword UNION
    Expected: an expression, found: EOF                        after the last word

A guess that points beside the fault would be worse than none, so only what stands in the text is pointed at, and the most telling rule comes first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lakesql.errors import Error, OperationalError, SqlError, UnknownColumnError, UnknownTableError
from lakesql.sql.edits import Rendered
from lakesql.sql.outline import fold
from lakesql.sql.positions import locate, place, source_position
from lakesql.sql.statement import Statement
from lakesql.sql.tokens import Span, Token, TokenKind, tokenize

_NAME = r"[\w$]+"
_FUNCTION = re.compile(
    rf"[Ff]unction '(?P<a>{_NAME})'|call to '(?P<b>{_NAME})'|^'(?P<c>{_NAME})' does not support"
    rf"|'(?P<d>{_NAME})\([^']*' is nested|argument types '(?P<e>{_NAME})\("
)
_OPERATOR = re.compile(r"[Oo]perator '(?P<a>[^'\w\s]+|NOT)'|(?:expression|operation|coerce) [A-Z]\w*(?:\([^()]*\))? (?P<b>[^\w\s]{1,3}|AND|OR) [A-Z]\w*")
_CLAUSES = (
    (re.compile(r"^(UNION|INTERSECT|EXCEPT)\b"), None),
    (re.compile(r"^Order by\b"), "ORDER"),
    (re.compile(r"\bLIMIT\b"), "LIMIT"),
    (re.compile(r"\bOFFSET\b"), "OFFSET"),
    (re.compile(r"^HAVING\b"), "HAVING"),
    (re.compile(r"\bvalues list\b"), "VALUES"),
    (re.compile(r"\bLIKE expression\b"), "LIKE"),
    (re.compile(r"^array_element\b"), "["),
    (re.compile(r"\b(?:filter|predicate|WHERE)\b"), "WHERE"),
    (re.compile(r"\bGROUP BY\b"), "GROUP"),
    (re.compile(r"\bJOIN\b|\bjoin\b"), "JOIN"),
    (re.compile(r"\b(?:OVER|[Ww]indow)\b"), "OVER"),
    (re.compile(r"\b[Ss]ubquery\b"), "("),
)
_QUOTED = re.compile(r"'([^'\n]+)'|\"([^\"\n]+)\"")
_DOTTED = re.compile(rf"(?<![\w(]){_NAME}(?:\.{_NAME})+")
_PLAIN = re.compile(r"(?:named|field|qualifier|type|column|variable) ([\w$.]+)")


def blamed(statement: Statement, error: Error) -> Span | None:
    """The stretch of the statement's text that an error of the engine is about; None where nothing of it can be found there."""
    if isinstance(error, SqlError) and error.name:
        return locate(statement, error.name) or _word(statement, error.name, tokenize(statement.text).tokens)
    if isinstance(error, UnknownColumnError | UnknownTableError):
        return None
    tokens = tokenize(statement.text).tokens
    return next((span for span in _candidates(statement, error.message, tokens) if span is not None), None)


def place_engines(error: Error, statement: Statement, rendered: Rendered) -> None:
    """Tells an error of the engine, about the rendered text of a statement, where in the user's text it belongs, if that can be told."""
    if not isinstance(error, SqlError):
        span = None if isinstance(error, OperationalError) else blamed(statement, error)
        if span is not None:
            error.query, error.position = statement.text, span.start
    elif error.sql is None:
        if error.engine_position is not None:
            position = source_position(rendered, *error.engine_position)
            span = None if position is None else Span(position, position + 1)
        else:
            span = blamed(statement, error)
        if span is not None:
            place(error, statement, span)


def _candidates(statement: Statement, message: str, tokens: tuple[Token, ...]) -> Iterator[Span | None]:
    """From the most telling rule to the least."""
    if message.endswith("found: EOF"):
        end = len(statement.text)
        yield Span(end, end + 1)
    if found := _FUNCTION.search(message):
        yield _call(next(g for g in found.groups() if g), tokens)
    if found := _OPERATOR.search(message):
        yield _key(found["a"] or found["b"], tokens)
    for pattern, keyword in _CLAUSES[:5]:
        if found := pattern.search(message):
            yield _key(keyword or found[0], tokens)
    for found in _QUOTED.finditer(message):
        yield _word(statement, found[1] or found[2], tokens)
    for found in (*_DOTTED.finditer(message), *_PLAIN.finditer(message)):
        yield _word(statement, found[1] if found.re is _PLAIN else found[0], tokens)
    for found in _DOTTED.finditer(message):
        yield _word(statement, found[0].rsplit(".", 1)[0], tokens)
    for found in re.finditer(rf"^({_NAME})(?:\(\))? ", message):
        yield _call(found[1], tokens)
    for pattern, keyword in _CLAUSES[5:]:
        if found := pattern.search(message):
            yield _key(keyword or found[0], tokens)


def _word(statement: Statement, words: str, tokens: tuple[Token, ...]) -> Span | None:
    """A literal of this content, or a name: all of it, or the last part of a dotted one."""
    for token in tokens:
        if token.kind in (TokenKind.STRING, TokenKind.NUMBER) and token.value == words:
            return token.span
    name = words.split("(")[0].strip() if re.fullmatch(r"[\w$.\" ]+\(.*", words, re.DOTALL) else words
    return locate(statement, name) if re.fullmatch(r"[\w$.\" ]+", name) else None


def _call(name: str, tokens: tuple[Token, ...]) -> Span | None:
    """A function where it is called, else where its name stands."""
    named = [i for i, t in enumerate(tokens) if t.is_name and fold(t.value) == fold(name)]
    called = [i for i in named if tokens[i + 1].key == "("]
    return tokens[(called or named)[0]].span if named else None


def _key(key: str, tokens: tuple[Token, ...]) -> Span | None:
    """A keyword or a symbol. The first, and none where another as good follows."""
    spans = [t.span for t in tokens if t.key == key]
    return spans[0] if len(spans) == 1 or (spans and key.isalpha()) else None
