"""Edits of a text, and the way back from the edited text to the original."""

from __future__ import annotations

import bisect
from collections.abc import Iterable
from dataclasses import dataclass

from lakesql.errors import InternalError
from lakesql.sql.scopes import Columns
from lakesql.sql.tokens import Span


@dataclass(frozen=True)
class Edit:
    """Put `text` in place of `span`; an empty span inserts."""

    span: Span
    text: str


@dataclass(frozen=True)
class Rendered:
    """A statement's text for the engine.

    origins: for stretches of `text` in order, where each begins, where in the user's text it comes from, and whether it is the user's own, character by
    character. columns: what the query gives, where that could be told; for a view, what its mentions have.
    """

    text: str
    origins: tuple[tuple[int, int, bool], ...] = ()
    columns: Columns | None = None

    def __str__(self) -> str:
        return self.text

    def to_source(self, position: int) -> int:
        """The place in the user's text for one in the engine's: the same character, or the start of what was replaced."""
        index = bisect.bisect_right(self.origins, position, key=lambda origin: origin[0]) - 1
        if index < 0:
            return 0
        start, source, copied = self.origins[index]
        return source + (position - start if copied else 0)


def apply(text: str, body: Span, edits: Iterable[Edit]) -> Rendered:
    """The part `body` of the text, edited. Edits that lie outside of it are left out; insertions at one place keep their order. Raises InternalError for
    edits that overlap.

    >>> r = apply("SELECT a FROM t", Span(0, 15), [Edit(Span(14, 15), '"x"'), Edit(Span(8, 8), " AS b")])
    >>> r.text, r.to_source(r.text.index("FROM"))
    ('SELECT a AS b FROM "x"', 9)
    """
    parts: list[str] = []
    origins: list[tuple[int, int, bool]] = []
    length, position = 0, body.start

    def add(part: str, source: int, copied: bool) -> None:
        nonlocal length
        if part:
            parts.append(part)
            origins.append((length, source, copied))
            length += len(part)

    for edit in sorted(edits, key=lambda e: (e.span.start, e.span.end)):
        if edit.span.start < body.start or edit.span.end > body.end:
            continue
        if edit.span.start < position:
            raise InternalError(f"two rewrites of the same text: {edit.span.of(text)!r}")
        add(text[position : edit.span.start], position, True)
        add(edit.text, edit.span.start, False)
        position = edit.span.end
    add(text[position : body.end], position, True)
    return Rendered("".join(parts), tuple(origins))
