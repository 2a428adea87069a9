"""Text -> tokens, as DataFusion's own tokenizer cuts it, with the place of each token in the text.

Blanks and comments are left out, but for optimizer hints (`/*+ ... */`), which are kept aside by the token that follows them. Nothing is decided here
that needs grammar: a keyword is a word like any other. What differs from the engine's tokenizer: `:name` is a placeholder, `@?` an operator.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from lakesql.errors import SqlError


@dataclass(frozen=True, order=True)
class Span:
    """A stretch of text: characters start to end, end not included."""

    start: int
    end: int

    def of(self, text: str) -> str:
        """The text it covers."""
        return text[self.start : self.end]


NOWHERE = Span(0, 0)
"""The span of what stands nowhere in the text."""


def words(text: str) -> frozenset[str]:
    """A set of keywords."""
    return frozenset(text.split())


class TokenKind(enum.Enum):
    """What a token is, as far as its spelling says."""

    WORD = "word"
    QUOTED = "quoted identifier"
    STRING = "string"
    NUMBER = "number"
    PLACEHOLDER = "placeholder"
    SYMBOL = "symbol"
    END = "end of the statement"


class Token(NamedTuple):
    """A token. key: what grammar compares: a word in upper case, a symbol as it is, "" for anything else."""

    kind: TokenKind
    text: str
    start: int
    end: int
    key: str = ""

    @property
    def span(self) -> Span:
        """Where it stands."""
        return Span(self.start, self.end)

    @property
    def value(self) -> str:
        """A string's or quoted identifier's content, quotes and doubled quotes removed; any other token's text.

        >>> tokenize('SELECT "a""b"').tokens[1].value
        'a"b'
        """
        if self.kind is TokenKind.QUOTED:
            return self.text[1:-1].replace(self.text[0] * 2, self.text[0])
        if self.kind is TokenKind.STRING:
            return _string_value(self.text)
        return self.text

    @property
    def is_name(self) -> bool:
        """Whether it can be an identifier, or a part of one."""
        return self.kind is TokenKind.WORD or self.kind is TokenKind.QUOTED


@dataclass(frozen=True)
class Tokens:
    """The tokens of a text, END last. hints: optimizer hints by the index of the token that follows them."""

    text: str
    tokens: tuple[Token, ...]
    hints: dict[int, tuple[Token, ...]] = field(default_factory=dict)


def tokenize(text: str) -> Tokens:
    """The tokens of a text. Raises SqlError, with the place, for a string, quoted identifier or comment that does not end."""
    tokens: list[Token] = []
    hints: dict[int, tuple[Token, ...]] = {}
    position = 0
    while position < len(text):
        if found := _COMMON.match(text, position):
            group = found.lastgroup or ""
            if group != "blank":
                token_text = found[0]
                key = token_text.upper() if group == "word" else token_text if group == "symbol" else ""
                tokens.append(Token(_COMMON_KINDS[group], token_text, position, found.end(), key))
            position = found.end()
        elif text.startswith("/*", position):
            end = _comment_end(text, position)
            if text.startswith("/*+", position):
                hints[len(tokens)] = (*hints.get(len(tokens), ()), Token(TokenKind.SYMBOL, text[position:end], position, end))
            position = end
        else:
            tokens.append(_token(text, position, tokens[-1] if tokens else None))
            position = tokens[-1].end
    tokens.append(Token(TokenKind.END, "", len(text), len(text)))
    return Tokens(text, tuple(tokens), hints)


def split(text: str) -> list[Span]:
    """The statements of a script: from the first token of each to its last, hints after it included and semicolons left out. Raises SqlError as tokenize
    does.

    >>> [s.of("a; -- ;\\n b") for s in split("a; -- ;\\n b")]
    ['a', 'b']
    """
    return [part.span for part in statements(tokenize(text))]


@dataclass(frozen=True)
class Part:
    """The tokens from first to last, last not included, that make one statement of a text, and the place of it."""

    first: int
    last: int
    span: Span


def statements(source: Tokens) -> list[Part]:
    """The parts of a text between semicolons, empty ones left out; hints after a statement's last token are its own."""
    parts = []
    first = 0
    for i, token in enumerate(source.tokens):
        if token.key == ";" or token.kind is TokenKind.END:
            if i > first:
                end = max(source.tokens[i - 1].end, *(h.end for h in source.hints.get(i, ())), 0)
                parts.append(Part(first, i, Span(source.tokens[first].start, end)))
            first = i + 1
    return parts


def part(source: Tokens, which: Part) -> Tokens:
    """One statement's tokens by themselves, with places that count from its own start."""
    start, end = which.span.start, which.span.end

    def moved(token: Token) -> Token:
        return Token(token.kind, token.text, token.start - start, token.end - start, token.key)

    tokens = source.tokens[which.first : which.last]
    hints = {i - which.first: tuple(moved(h) for h in h_) for i, h_ in source.hints.items() if which.first < i <= which.last}
    end_token = Token(TokenKind.END, "", end - start, end - start)
    return Tokens(source.text[start:end], (*(tokens if start == 0 else map(moved, tokens)), end_token), hints)


def is_complete(text: str) -> bool:
    """Whether a text ends with a semicolon that closes a statement, comments after it aside.

    >>> is_complete("SELECT ';"), is_complete("SELECT 1; -- done")
    (False, True)
    """
    try:
        tokens = tokenize(text).tokens
    except SqlError:
        return False
    return len(tokens) > 1 and tokens[-2].key == ";"


_COMMON = re.compile(
    r"(?P<blank>(?:\s+|--[^\n]*)+)"
    r"|(?P<word>(?!(?:[eExXbBnNrR]|[uU]&)')[^\W\d][\w@$#]*)"
    r"|(?P<symbol>[(),;+])"
    r"|(?P<number>\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)(?!\w)"
    r"|(?P<string>'[^']*(?:''[^']*)*')"
)
"""Tokens that neither what stands before nor what follows can make into something else; the others are left to `_token`."""
_COMMON_KINDS = {"word": TokenKind.WORD, "symbol": TokenKind.SYMBOL, "number": TokenKind.NUMBER, "string": TokenKind.STRING}
_COMMENT_MARK = re.compile(r"/\*|\*/")
_PREFIXED_STRING = re.compile(r"(?:[eExXbBnNrR]|[uU]&)(?=')")
_STRING = re.compile(r"'[^']*(?:''[^']*)*'")
_ESCAPE_STRING = re.compile(r"'(?:[^'\\]|''|\\.)*'", re.S)
_DOLLAR_TAG = re.compile(r"\$(?:[^\W\d]\w*)?\$")
_QUOTED = {'"': re.compile(r'"(?:[^"]|"")*"'), "`": re.compile(r"`(?:[^`]|``)*`")}
_NUMBER = re.compile(r"0x[0-9a-fA-F]+|(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_WORD = re.compile(r"(?:[^\W\d]|[#@](?=\w))[\w@$#]*")
_DOLLAR_PLACEHOLDER = re.compile(r"\$(?:\d+|[^\W\d]\w*)")
_COLON_PLACEHOLDER = re.compile(r":[^\W\d]\w*")
_MARK_PLACEHOLDER = re.compile(r"\?\d*")
_SYMBOL = re.compile(r"<=>|->>|->|\#>>|\#>|@>|<@|@\?|@@|::|:=|=>|<=|>=|<>|!=|==|\|\||&&|<<|>>|\^@|!~~\*|!~~|!~\*|!~|~~\*|~~|~\*|//|\*\*|.", re.S)


def _token(text: str, position: int, previous: Token | None) -> Token:
    char = text[position]
    adjacent_operand = previous is not None and previous.end == position and _ends_operand(previous)
    if char == "'" or _PREFIXED_STRING.match(text, position):
        return _string(text, position)
    if char in _QUOTED:
        return _matched(TokenKind.QUOTED, _QUOTED[char], text, position, "quoted identifier", char)
    if char == "$":
        tag = _DOLLAR_TAG.match(text, position)
        if tag is not None:
            return _dollar_string(text, position, tag[0])
    if (char.isdecimal() or (char == "." and not adjacent_operand)) and (found := _NUMBER.match(text, position)):
        return Token(TokenKind.NUMBER, found[0], position, found.end())
    if found := _WORD.match(text, position):
        return Token(TokenKind.WORD, found[0], position, found.end(), found[0].upper())
    if found := _placeholder(text, position, char, previous, adjacent_operand):
        return Token(TokenKind.PLACEHOLDER, found[0], position, found.end())
    found = _SYMBOL.match(text, position)
    assert found is not None  # the last alternative matches any character
    return Token(TokenKind.SYMBOL, found[0], position, found.end(), found[0])


def _placeholder(text: str, position: int, char: str, previous: Token | None, adjacent_operand: bool) -> re.Match[str] | None:
    if char == "$":
        return _DOLLAR_PLACEHOLDER.match(text, position)
    if char == ":" and not adjacent_operand and not text.startswith("::", position):
        return _COLON_PLACEHOLDER.match(text, position)
    if char == "?" and not (
        previous is not None and _ends_operand(previous) and text[position + 1 : position + 2] in ("|", "&") and text[position + 1 : position + 3] != "||"
    ):
        return _MARK_PLACEHOLDER.match(text, position)
    return None


def _ends_operand(token: Token) -> bool:
    return token.kind in (TokenKind.WORD, TokenKind.QUOTED, TokenKind.STRING) or token.key in (")", "]")


def _string(text: str, position: int) -> Token:
    prefix = _PREFIXED_STRING.match(text, position)
    quote = prefix.end() if prefix else position
    pattern = _ESCAPE_STRING if text[position] in "eE" else _STRING
    found = pattern.match(text, quote)
    if found is None:
        raise SqlError("this string does not end: no closing ' follows", sql=text, position=position)
    return Token(TokenKind.STRING, text[position : found.end()], position, found.end())


def _dollar_string(text: str, position: int, tag: str) -> Token:
    end = text.find(tag, position + len(tag))
    if end < 0:
        raise SqlError(f"this string does not end: no closing {tag} follows", sql=text, position=position, length=len(tag))
    return Token(TokenKind.STRING, text[position : end + len(tag)], position, end + len(tag))


def _matched(kind: TokenKind, pattern: re.Pattern[str], text: str, position: int, what: str, quote: str) -> Token:
    found = pattern.match(text, position)
    if found is None:
        raise SqlError(f"this {what} does not end: no closing {quote} follows", sql=text, position=position)
    if found.end() - position == 2:
        raise SqlError(f"a {what} must not be empty", sql=text, position=position, length=2)
    return Token(kind, found[0], position, found.end())


def _comment_end(text: str, position: int) -> int:
    """Where the comment that begins at position ends; comments nest, as in the engine."""
    depth = 0
    for mark in _comment_marks(text, position):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return mark.end()
    raise SqlError("this comment does not end: no closing */ follows", sql=text, position=position, length=2)


def _comment_marks(text: str, position: int) -> Iterator[re.Match[str]]:
    return _COMMENT_MARK.finditer(text, position)


_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


def _string_value(text: str) -> str:
    if text[0] == "$":
        tag = text[: text.index("$", 1) + 1]
        return text[len(tag) : -len(tag)]
    quote = text.index("'")
    content = text[quote + 1 : -1].replace("''", "'")
    if text[0] in "eE":
        return re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), content, flags=re.S)
    return content
