"""A place in a statement's tokens: looking ahead, taking words, and saying what is wrong where."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lakesql.errors import SqlError
from lakesql.sql.outline import Name
from lakesql.sql.statement import Placeholder
from lakesql.sql.tokens import Span, Token, TokenKind, Tokens

_DEPTH_LIMIT = 64
"""Levels of brackets; the engine's own parser stops at 50 levels of its grammar."""


class Cursor:
    """Reads tokens in order. Words are compared in upper case; quoted identifiers equal no word."""

    def __init__(self, source: Tokens) -> None:
        self.text = source.text
        self.tokens = source.tokens
        self.hints = dict(source.hints)
        self.placeholders = placeholders_of(source)
        self.index = 0
        self._depth = 0

    @property
    def token(self) -> Token:
        """The next token."""
        return self.tokens[self.index]

    @property
    def at_end(self) -> bool:
        """Whether no token is left."""
        return self.token.kind is TokenKind.END

    @property
    def previous(self) -> Token:
        """The token taken last."""
        return self.tokens[max(self.index - 1, 0)]

    def ahead(self, count: int = 1) -> Token:
        """The token `count` after the next."""
        return self.tokens[min(self.index + count, len(self.tokens) - 1)]

    def take(self) -> Token:
        """Takes the next token; the end can be taken any number of times."""
        token = self.token
        if token.kind is not TokenKind.END:
            self.index += 1
        return token

    def at(self, *keys: str) -> bool:
        """Whether these words or symbols come next, in this order."""
        if self.tokens[self.index].key != keys[0]:
            return False
        return len(keys) == 1 or all(self.ahead(i).key == key for i, key in enumerate(keys))

    def at_any(self, keys: frozenset[str]) -> bool:
        """Whether one of these comes next."""
        return self.token.key in keys

    def accept(self, *keys: str) -> bool:
        """Takes these words or symbols if they come next, in this order."""
        if not self.at(*keys):
            return False
        self.index += len(keys)
        return True

    def expect(self, key: str, where: str) -> Token:
        """Takes this word or symbol. Raises SqlError where another comes."""
        if self.token.key != key:
            raise self.error(f"expected {key} {where}, found {self.shown()}")
        return self.take()

    def name(self, what: str) -> Name:
        """Takes an identifier. Raises SqlError where none comes."""
        if not self.token.is_name:
            raise self.error(f"expected {what}, found {self.shown()}")
        return as_name(self.take())

    def dotted(self, what: str) -> tuple[Name, ...]:
        """Takes `a.b.c`."""
        names = [self.name(what)]
        while self.at(".") and self.ahead().is_name:
            self.take()
            names.append(self.name(what))
        return tuple(names)

    def shown(self) -> str:
        """The next token, for messages."""
        return self.token.kind.value if self.at_end else f'"{self.token.text}"'

    def error(self, message: str, token: Token | None = None, *, hint: str | None = None) -> SqlError:
        """An SqlError at a token, the next one by default."""
        at = token or self.token
        return SqlError(message, sql=self.text, position=at.start, length=at.end - at.start, hint=hint)

    def ignored(self, what: str, hint: str) -> SqlError:
        """An SqlError for what the engine would read and then leave out, so that its rows would be wrong."""
        return self.error(f"{what} is not supported", hint=hint)

    def since(self, start: int) -> Span:
        """From a place in the text to the end of the token taken last."""
        return Span(start, max(start, self.previous.end))

    def engine_text(self, span: Span) -> str:
        """A part of the text with its placeholders as the engine spells them."""
        parts, position = [], span.start
        for placeholder in self.placeholders:
            if span.start <= placeholder.span.start < span.end:
                parts += [self.text[position : placeholder.span.start], f"${placeholder.key}"]
                position = placeholder.span.end
        return "".join(parts) + self.text[position : span.end]

    def close(self, start: int) -> None:
        """Takes a closing bracket. start: of what it closes, for the error."""
        if not self.at(")"):
            raise self.error(f"expected ) here, found {self.shown()}", hint=f'it closes what begins with "{self.text[start : start + 20]}"')
        self.take()

    def skip_brackets(self) -> None:
        """Takes a bracket and everything up to the one that closes it."""
        depth = 0
        while not self.at_end:
            key = self.take().key
            depth += 1 if key in _OPENERS else -1 if key in _CLOSERS else 0
            if depth == 0:
                return

    @contextmanager
    def nested(self) -> Iterator[None]:
        """One level deeper. Raises SqlError beyond the limit."""
        if self._depth >= _DEPTH_LIMIT:
            raise self.error(f"brackets are nested more than {_DEPTH_LIMIT} deep")
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1


def as_name(token: Token) -> Name:
    """A word or quoted identifier as a name."""
    return Name(token.value, token.kind is TokenKind.QUOTED, token.span)


def placeholders_of(source: Tokens) -> tuple[Placeholder, ...]:
    """The placeholders of a text, in its order; each `?` gets the next number from 1."""
    found = []
    marks = 0
    for token in source.tokens:
        if token.kind is TokenKind.PLACEHOLDER:
            style, key = token.text[0], token.text[1:]
            if style == "?" and not key:
                marks += 1
                key = str(marks)
            found.append(Placeholder(token.span, key, style))
    return tuple(found)


_OPENERS = frozenset("([{")
_CLOSERS = frozenset(")]}")
