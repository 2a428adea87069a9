"""Keys -> the text to run: editing, highlighting, completion, history.

Enter submits where a statement ends with `;` outside quotes and comments, or where a command stands; else it begins a new line. Alt-Enter submits in any case.
Ctrl-R looks through history: what is typed is matched letter by letter.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion, ThreadedCompleter
from prompt_toolkit.cursor_shapes import ModalCursorShapeConfig
from prompt_toolkit.document import Document
from prompt_toolkit.enums import EditingMode
from prompt_toolkit.filters import Condition, has_focus
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import History
from prompt_toolkit.input import Input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.lexers import Lexer
from prompt_toolkit.output import ColorDepth, Output
from prompt_toolkit.styles import BaseStyle, Style

from lakesql import sql
from lakesql.errors import SqlError
from lakesql.frontends.completion_menu import Menu
from lakesql.frontends.shell.state import State
from lakesql.sql.keywords import CALL_WORDS, CLAUSE_WORDS, ENGINE_WORDS, JOIN_WORDS, QUERY_STARTS
from lakesql.sql.tokens import Token, TokenKind, tokenize, words

PROMPT, MORE = "lakesql> ", "      -> "
_SHOWN_MATCHES = 200
_KEYWORDS = (
    CLAUSE_WORDS
    | ENGINE_WORDS
    | JOIN_WORDS
    | CALL_WORDS
    | QUERY_STARTS
    | words(
        "AS AND OR NOT NULL IS LIKE ILIKE BETWEEN BY ASC DESC DISTINCT THEN WHEN ELSE CAST TRUE FALSE OF VERSION TIMESTAMP CHANGES SHOW DESCRIBE SET CREATE "
        "REPLACE DROP IF RECURSIVE OVER PARTITION ROWS RANGE NULLS FIRST LAST HISTORY TABLES SCHEMAS CATALOGS COLUMNS PRUNING DIFF TAIL DATE"
    )
)

_DARK = {
    "keyword": "#5fafff bold",
    "string": "#87d787",
    "number": "#d7af5f",
    "comment": "#8a8a8a italic",
    "parameter": "#d787d7",
    "command": "#ffaf5f",
    "prompt": "#5fafff",
}
_LIGHT = {
    "keyword": "#005faf bold",
    "string": "#006700",
    "number": "#875f00",
    "comment": "#6c6c6c italic",
    "parameter": "#870087",
    "command": "#af5f00",
    "prompt": "#005faf",
}
_MENU = {"completion-menu.meta.completion": "italic", "completion-menu.meta.completion.current": "italic"}
THEMES: dict[str, dict[str, str]] = {
    "dark": {f"sql.{k}": v for k, v in _DARK.items()} | _MENU,
    "light": {f"sql.{k}": v for k, v in _LIGHT.items()}
    | _MENU
    | {
        "completion-menu": "bg:#e4e4e4 #000000",
        "completion-menu.completion.current": "bg:#005faf #ffffff",
        "completion-menu.meta.completion": "bg:#d0d0d0 #303030",
    },
    "none": {},
}


def theme_of(name: str, environment: dict[str, str] | Any = os.environ) -> str:
    """The theme that a setting means here: NO_COLOR wins over all; auto looks at COLORFGBG, which terminals set to `foreground;background`.

    >>> theme_of("auto", {}), theme_of("auto", {"COLORFGBG": "0;15"}), theme_of("light", {"NO_COLOR": "1"})
    ('dark', 'light', 'none')
    """
    if environment.get("NO_COLOR") or environment.get("TERM") == "dumb":
        return "none"
    if name != "auto":
        return name
    background = environment.get("COLORFGBG", "").rpartition(";")[2]
    return "light" if background in ("7", "15") else "dark"


class SqlLexer(Lexer):
    """Colours by lakesql's own tokens, over the whole text: a string may span lines."""

    def lex_document(self, document: Document) -> Callable[[int], StyleAndTextTuples]:
        lines: list[StyleAndTextTuples] = [[]]
        for style, text in coloured(document.text):
            for i, part in enumerate(text.split("\n")):
                if i:
                    lines.append([])
                lines[-1].append((style, part))
        return lambda number: lines[number] if number < len(lines) else []


def coloured(text: str) -> Iterator[tuple[str, str]]:
    """The text in pieces with their styles."""
    if text.lstrip().startswith("\\"):
        yield "class:sql.command", text
        return
    try:
        tokens: tuple[Token, ...] = tokenize(text).tokens[:-1]
        end = len(text)
    except SqlError as error:
        end = error.position or 0
        tokens = tokenize(text[:end]).tokens[:-1] if end else ()
    position = 0
    for token in tokens:
        yield from _between(text[position : token.start])
        yield _style(token), token.text
        position = token.end
    yield from _between(text[position:end])
    if end < len(text):  # a string or comment that is still open
        yield "class:sql.comment" if text.startswith("/*", end) else "class:sql.string", text[end:]


def _between(text: str) -> Iterator[tuple[str, str]]:
    if text:
        yield ("class:sql.comment" if text.strip() else ""), text


def _style(token: Token) -> str:
    match token.kind:
        case TokenKind.STRING:
            return "class:sql.string"
        case TokenKind.NUMBER:
            return "class:sql.number"
        case TokenKind.PLACEHOLDER:
            return "class:sql.parameter"
        case TokenKind.WORD if token.key in _KEYWORDS:
            return "class:sql.keyword"
    return "class:sql.command" if token.key == "\\" else ""


def command_in(text: str) -> tuple[str, str] | None:
    """A text as the SQL before a command and the command from its backslash on; None where it has none outside quotes and comments.

    >>> command_in("SELECT 1 \\\\g out.csv"), command_in("SELECT '\\\\g'")
    (('SELECT 1', '\\\\g out.csv'), None)
    """
    if text.lstrip().startswith("\\"):
        return "", text.strip()
    at = text.find("\\")
    while at >= 0:
        try:
            tokens = tokenize(text[:at]).tokens
        except SqlError:
            tokens = ()
        is_outside = bool(tokens) and "--" not in text[tokens[-2].end if len(tokens) > 1 else 0 : at].rpartition("\n")[2]
        if is_outside and (text[at + 1 : at + 2].isalpha() or text[at + 1 : at + 2] in ("?", "!")):
            return text[:at].strip().rstrip(";").strip(), text[at:].strip()
        at = text.find("\\", at + 1)
    return None


def is_whole(text: str) -> bool:
    """Whether Enter may submit a text: nothing, a command, or statements up to a `;`."""
    if not text.strip():
        return True
    found = command_in(text)
    return sql.is_complete(text) if found is None else "\n" not in found[1] or found[0] != ""


class ShellCompleter(Completer):
    """Completion of SQL by the session's menu, of commands by their names, and of history while Ctrl-R searches it."""

    def __init__(self, menu: Menu, commands: Callable[[str], Iterable[tuple[str, int, str]]], history: History) -> None:
        self.searching = False
        self._menu = menu
        self._commands = commands
        self._history = history

    def use(self, menu: Menu) -> None:
        """Another session's names from now on."""
        self._menu = menu

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        before = document.text_before_cursor
        if self.searching:
            for entry in fuzzy(before, self._history.get_strings()):
                yield Completion(entry, -len(before), display=re.sub(r"\s+", " ", entry)[:200])
            return
        if before.lstrip().startswith("\\"):
            for text, start, about in self._commands(before):
                yield Completion(text, start - len(before), display_meta=about)
            return
        cursor = document.cursor_position
        patience = 0.03 if not complete_event.completion_requested else 0.3
        for c in self._menu.complete(document.text, cursor, patience):
            if c.text != before[c.start :]:
                yield Completion(c.text, c.start - cursor, display=c.label or c.text, display_meta=c.about or c.kind)


def fuzzy(typed: str, entries: Iterable[str]) -> list[str]:
    """The entries that hold the letters of what was typed, in order, the closest together and the newest first."""
    letters = re.compile(".*?".join(map(re.escape, typed.lower())), re.S)
    found = []
    for age, entry in enumerate(dict.fromkeys(reversed(list(entries)))):
        match = letters.search(entry.lower())
        if match is not None:
            found.append((match.end() - match.start(), age, entry))
    return [entry for _, _, entry in sorted(found)[:_SHOWN_MATCHES]]


class Reader:
    """Reads one text after another. `read` raises EOFError on Ctrl-D and KeyboardInterrupt on Ctrl-C, as prompt-toolkit does."""

    def __init__(self, state: State, completer: ShellCompleter, history: History, *, input: Input | None = None, output: Output | None = None) -> None:
        self._state = state
        self.completer = completer
        self.history = history
        self.session: PromptSession[str] = PromptSession(
            message=self._message,
            multiline=True,
            prompt_continuation=lambda width, number, wrapped: [("class:sql.prompt", MORE if not wrapped else " " * width)],
            lexer=SqlLexer(),
            completer=ThreadedCompleter(completer),
            complete_while_typing=True,
            history=history,
            key_bindings=self._keys(),
            cursor=ModalCursorShapeConfig(),
            include_default_pygments_style=False,
            enable_open_in_editor=True,
            reserve_space_for_menu=6,
            input=input,
            output=output,
        )

    def read(self, default: str = "") -> str:
        """The next text."""
        self.completer.searching = False
        theme = theme_of(self._state.option("theme"))
        self.session.style = _styles(theme)
        self.session.editing_mode = EditingMode.VI if self._state.option("mode") == "vi" else EditingMode.EMACS
        self.session.color_depth = ColorDepth.DEPTH_1_BIT if theme == "none" else None
        # Entries are added one for each statement, by the loop.
        return self.session.prompt(default=default)

    def refresh(self) -> None:
        """Opens the menu again with what has become known; from any thread."""
        app = self.session.app
        loop = app.loop
        if app.is_running and loop is not None:

            def again() -> None:
                buffer = app.current_buffer
                if not buffer.document.text_before_cursor.strip():
                    return
                if buffer.complete_state is None or buffer.complete_state.complete_index is None:
                    buffer.start_completion(select_first=False)

            loop.call_soon_threadsafe(again)

    def _message(self) -> StyleAndTextTuples:
        return [("class:sql.prompt", "(search) " if self.completer.searching else PROMPT)]

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()
        in_text = has_focus("DEFAULT_BUFFER")
        searching = Condition(lambda: self.completer.searching)

        @keys.add("enter", filter=in_text & searching, eager=True)
        def take(event: KeyPressEvent) -> None:
            buffer = event.current_buffer
            chosen = buffer.complete_state.current_completion.text if buffer.complete_state and buffer.complete_state.current_completion else None
            matches = [chosen] if chosen else fuzzy(buffer.document.text_before_cursor, self.history.get_strings())
            self.completer.searching = False
            buffer.cancel_completion()
            if matches:
                buffer.document = Document(matches[0], len(matches[0]))

        @keys.add("c-g", filter=in_text & searching, eager=True)
        @keys.add("c-c", filter=in_text & searching, eager=True)
        def leave(event: KeyPressEvent) -> None:
            self.completer.searching = False
            event.current_buffer.cancel_completion()

        @keys.add("enter", filter=in_text & ~searching)
        def enter(event: KeyPressEvent) -> None:
            buffer = event.current_buffer
            state = buffer.complete_state
            if state is not None and state.current_completion is not None:
                buffer.complete_state = None
            elif is_whole(buffer.text):
                buffer.validate_and_handle()
            else:
                buffer.newline(copy_margin=False)

        @keys.add("escape", "enter", filter=in_text)
        def force(event: KeyPressEvent) -> None:
            event.current_buffer.validate_and_handle()

        @keys.add("c-r", filter=in_text, eager=True)
        def search(event: KeyPressEvent) -> None:
            self.completer.searching = True
            event.current_buffer.start_completion(select_first=False)

        return keys


def _styles(theme: str) -> BaseStyle:
    return Style.from_dict(THEMES[theme])


__all__ = ["MORE", "PROMPT", "Reader", "ShellCompleter", "SqlLexer", "coloured", "command_in", "fuzzy", "is_whole", "theme_of"]
