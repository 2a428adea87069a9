"""Tab inside the magics: names of the connection's tables, columns, versions and functions, and none of Python's."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from IPython.core.completer import CompletionContext, SimpleCompletion, context_matcher

from lakesql.errors import Error
from lakesql.frontends.completion_menu import Candidate, Menu
from lakesql.frontends.magics.line import OPTIONS

PATIENCE_SECONDS = 0.5
"""How long a name that is not known yet is waited for: a notebook's menu is not renewed while it is open."""

_CELL = re.compile(r"\s*%%(?:lake)?sql\b")
_LINE = re.compile(r"\s*(?:[\w\s,]+=\s*)?%(?:lake)?sql\b")
_BEFORE_SQL = re.compile(r"""(?:\s*--[A-Za-z][\w-]*(?:(?:=|\s+)(?:'[^']*'|"[^"]*"|(?!-)\S+))?(?=\s))*\s*(?:[^\W\d]\w*\s*<<)?""")
_OPTION = re.compile(r"--[\w-]*$")
_FLAGS = re.compile(r"\s*--(?:pandas|polars|arrow|no-progress|traceback)(?=\s)")


@dataclass(frozen=True)
class Place:
    """The cursor in what stands behind a magic. text: all of it; cursor: in it; in_line: it is on the magic's own line, where options may stand."""

    text: str
    cursor: int
    in_line: bool


def place(full_text: str, cursor_line: int, cursor_column: int) -> Place | None:
    """Where the cursor is, if that is inside SQL of a magic.

    >>> place("%%sql x\\nSELECT o.\\nFROM orders o", 1, 9)
    Place(text='SELECT o.\\nFROM orders o', cursor=9, in_line=False)
    >>> place("y = 1\\nx = %sql SELECT ", 1, 16)
    Place(text=' SELECT ', cursor=8, in_line=True)
    """
    all_lines = full_text.split("\n")
    before = "\n".join(all_lines[:cursor_line])
    if found := _CELL.match(full_text):
        if cursor_line > full_text[: found.end()].count("\n"):
            first = full_text.find("\n", found.end()) + 1
            return Place(full_text[first:], len(before) + 1 + cursor_column - first, in_line=False)
    else:
        found = _LINE.match(all_lines[cursor_line])
    line = all_lines[cursor_line]
    if found is None:
        return None
    start = found.end() - (full_text[: found.end()].rfind("\n") + 1 if _CELL.match(full_text) else 0)
    return Place(line[start:], cursor_column - start, in_line=True) if cursor_column >= start else None


def matcher(menu: Callable[[], Menu]) -> Any:
    """A matcher for IPython's completer. menu: that of the current connection, which may raise lakesql's errors."""

    @context_matcher(identifier="lakesql")  # type: ignore[untyped-decorator]
    def lakesql_matcher(context: CompletionContext) -> dict[str, Any]:
        found = place(context.full_text, context.cursor_line, context.cursor_position)
        if found is None:
            return {"completions": []}
        options = _options(found) if found.in_line else None
        if options is not None:
            return options
        start = _sql_start(found.text) if found.in_line else 0
        try:
            candidates = menu().complete(found.text[start:], found.cursor - start, PATIENCE_SECONDS) if found.cursor >= start else []
        except Error:  # what is wrong with the connection is said when something is run
            candidates = []
        return _result(found.text[start : found.cursor], candidates)

    return lakesql_matcher


def _sql_start(text: str) -> int:
    """Where SQL begins on a magic's line."""
    start = 0
    while flag := _FLAGS.match(text, start):
        start = flag.end()
    found = _BEFORE_SQL.match(text, start)
    return start if found is None else found.end()


def _options(found: Place) -> dict[str, Any] | None:
    typed = _OPTION.search(found.text[: found.cursor])
    if typed is None or not re.fullmatch(r"(?:\s*(?:--\S+|\w\S*))*\s*", found.text[: typed.start()]) or re.search(r"\s(?:select|with)\s", found.text, re.I):
        return None
    completions = [SimpleCompletion(option, type="option") for option in OPTIONS if option.startswith(typed[0])]
    return {"completions": completions, "matched_fragment": typed[0], "suppress": True, "ordered": True}


def _result(before: str, candidates: list[Candidate]) -> dict[str, Any]:
    """IPython's form of the candidates: all of them replace the same text before the cursor."""
    if not candidates:
        return {"completions": [], "suppress": True}
    start = candidates[0].start
    completions = [SimpleCompletion(c.text, type=c.kind) for c in candidates if c.start == start]
    return {"completions": completions, "matched_fragment": before[start:], "suppress": True, "ordered": True}
