"""The shell's loop: a text is read, told into statements and a command, and run; errors are said, and the next text is read. Nothing shows a traceback."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from prompt_toolkit.input import Input
from prompt_toolkit.output import Output

from lakesql import sql
from lakesql.config import Config
from lakesql.errors import ConfigError, DataError, Error, ParameterError
from lakesql.frontends.completion_menu import Menu
from lakesql.frontends.completion_scope import TableRef
from lakesql.frontends.footer import Facts, footer_json, footer_line
from lakesql.frontends.options import Options
from lakesql.frontends.progress import ProgressLine
from lakesql.frontends.shell import commands
from lakesql.frontends.shell.client import Client, RemoteResult
from lakesql.frontends.shell.history import FileHistory, SavedQueries, state_folder
from lakesql.frontends.shell.reading import Reader, ShellCompleter, command_in
from lakesql.frontends.shell.showing import Terminal, show
from lakesql.frontends.shell.state import State
from lakesql.frontends.shell.worker import Opening
from lakesql.frontends.targets import configuration, place_of
from lakesql.frontends.words import Words

_OPENING_SECONDS = 5.0
"""How long the prompt waits for the session; a lake that takes longer to open is waited for by the first statement."""


class Shell:
    """One shell. pending: a text that is to be edited next."""

    def __init__(self, options: Options, *, input: Input | None = None, output: Output | None = None) -> None:
        self.options = options
        self.state = State()
        self.config: Config = configuration(options)
        for name, value in self.config.shell.options.items():
            self.state.set_option(name, value)
        self.state.variables.update(options.parameters or {})
        if options.format.name != "table":
            self.state.set_option("format", options.format.name)
        self.terminal = Terminal(sys.stdout)
        self.words = Words(sys.stderr, quiet=options.quiet, debug=options.debug)
        self.history = FileHistory(state_folder() / "history.jsonl")
        self.saved = SavedQueries(state_folder() / "queries.json")
        self.pending = ""
        self.depth = 0
        self.client = Client(opening_of(options))
        self.menu = Menu(self.client.names, on_change=lambda: self.reader.refresh())
        completer = ShellCompleter(self.menu, self._command_words, self.history)
        self.reader = Reader(self.state, completer, self.history, input=input, output=output)

    def run(self) -> int:
        """Until the user leaves; the exit code. Raises what opening the session raised."""
        try:
            self.client.wait(_OPENING_SECONDS)
            if not self.options.quiet:
                self.say(f"lakesql on {self.client.opening.target or self.config.source or 'no lake'}. \\? lists the commands, Tab completes, \\q leaves.")
            self.menu.prepare()
            while True:
                try:
                    text, self.pending = self.reader.read(self.pending), ""
                except KeyboardInterrupt:
                    continue
                except EOFError:
                    return 0
                try:
                    self.submit(text)
                except EOFError:
                    return 0
                except KeyboardInterrupt:
                    continue
        finally:
            self.history.trim()
            self.menu.close()
            self.client.close()

    def submit(self, text: str) -> bool:
        """Runs what was read: statements, or a command with or without SQL before it. Whether all went well. Raises EOFError to leave."""
        text = text.strip()
        found = command_in(text)
        if found is None:
            return self.run_script(text, remember=True)
        before, command = found
        self.history.add(text)
        return self._guarded(lambda: commands.run(self, command, before))

    # Statements ------------------------------------------------------------------------------------------------------------------------------------

    def run_script(self, text: str, *, output: str | None = None, remember: bool = False, source: str | None = None) -> bool:
        """Runs the statements of a text in order, up to the first that fails - or all of them, if that is wanted of a file. Whether all went well."""
        try:
            spans = sql.split(text)
        except Error as error:
            if remember:
                self.history.add(text)
            self.words.error(error)
            return False
        went_well = True
        for span in spans:
            statement = span.of(text)
            if remember:
                self.history.add(statement + ";")
            place = None if source is None else f"{source}:{text.count(chr(10), 0, span.start) + 1}"
            if not self.run_sql(statement, output=output, place=place):
                went_well = False
                if source is None or self.state.option("on_error") == "stop":
                    return False
        return went_well

    def run_sql(self, text: str, *, output: str | None = None, place: str | None = None, is_endless: bool | None = None) -> bool:
        """Runs one statement and shows its rows and footer. Whether it went well; errors and cancellation are said."""
        self.state.last_sql = text
        return self._guarded(lambda: self._run(text, output, text.lstrip()[:5].upper() == "TAIL " if is_endless is None else is_endless), place)

    def _run(self, text: str, output: str | None, is_endless: bool) -> None:
        result = self.client.run(text, self.state.bound(text), self.options.timeout_seconds)
        line = ProgressLine(None if self.options.quiet or is_endless else sys.stderr)
        started = time.monotonic()

        def waiting() -> None:
            line.show(result.elapsed_seconds, result.tables, result.progress)

        result.on_wait, self.terminal.before_write = waiting, line.wipe
        try:
            facts = self._shown(result, line, text, output, is_endless)
        except KeyboardInterrupt:
            line.wipe()
            result.cancel()
            self.say(f"cancelled after {time.monotonic() - started:.1f} s")
            raise
        except BaseException:  # whatever it is, a closed pipe too: the statement must not run on, and it goes on
            line.wipe()
            result.cancel()
            raise
        if self.state.option("timing") == "on" and not self.options.quiet:
            self.say(footer_line(facts))
        if self.options.stats:
            self.words.say(footer_json(facts))

    def _shown(self, result: RemoteResult, line: ProgressLine, text: str, output: str | None, is_endless: bool) -> Facts:
        planned = result.planned()
        statement = sql.parse(text)
        if not planned.returns_rows:
            for _ in result.batches():
                pass
            self.menu.forget()
            facts = Facts(None, result.elapsed_seconds)
        else:
            is_plan = statement.kind in (sql.Kind.EXPLAIN, sql.Kind.EXPLAIN_PRUNING)
            facts = show(result, self.state, self.terminal, output=output, is_plan=is_plan, is_endless=is_endless)
        line.wipe()
        self.terminal.before_write = lambda: None
        for notice in planned.notices:
            self.words.notice(notice)
        return facts

    def single_row(self, text: str) -> tuple[list[str], list[Any]]:
        """The names and values of a statement's one row. Raises DataError where there are none, or more."""
        result = self.client.run(text, self.state.bound(text), self.options.timeout_seconds)
        result.planned()
        batches = []
        try:
            for batch in result.batches():
                batches.append(batch)
                if sum(b.num_rows for b in batches) > 1:
                    break
        finally:
            result.stop()
        rows = [row for batch in batches for row in batch.to_pylist()]
        if len(rows) != 1:
            raise DataError(f"\\gset takes one row, and there are {'more' if rows else 'none'}")
        self.state.last_sql = text
        return list(rows[0]), list(rows[0].values())

    def include(self, path: str) -> None:
        """Runs a file: statements, and commands on lines of their own. Raises ConfigError."""
        if self.depth >= 8:
            raise ConfigError("files include each other more than 8 deep")
        try:
            with open(os.path.expanduser(path), encoding="utf-8-sig") as file:
                text = file.read()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f'cannot read "{path}": {getattr(error, "strerror", None) or "it is not UTF-8 text"}') from error
        self.depth += 1
        try:
            for piece, line in pieces(text):
                if piece.lstrip().startswith("\\"):
                    went_well = self._guarded(lambda piece=piece: commands.run(self, piece.strip(), ""))
                else:
                    went_well = self.run_script("\n" * line + piece, source=path)
                if not went_well and self.state.option("on_error") == "stop":
                    return
        finally:
            self.depth -= 1

    def details(self, table: str) -> list[str]:
        """What `\\d+` says of a table before its columns."""
        mention = sql.parse(f"DESCRIBE {table}").mentions
        if len(mention) != 1:
            raise ConfigError("name one table")
        found: list[str] = self.client.ask("details", TableRef(mention[0].name or (), mention[0].path))
        return found

    # The shell itself ------------------------------------------------------------------------------------------------------------------------------

    def connect(self, target: str | None) -> None:
        """Another lake in place of this one. Raises what opening it raises; then nothing has changed."""
        opening = opening_of(self.options, target)
        other = Client(opening)
        try:
            other.wait(60)
        except BaseException:  # whatever it is, Ctrl-C too: no worker process stays behind, and it goes on
            other.close()
            raise
        before, self.client = self.client, other
        before.close()
        self.menu.close()
        self.menu = Menu(other.names, on_change=self.reader.refresh)
        self.reader.completer.use(self.menu)
        self.menu.prepare()
        self.say(f"connected to {opening.target or self.config.source or 'no lake'}")

    def about(self) -> Iterator[str]:
        """What the shell is connected to."""
        yield f"target: {self.client.opening.target or self.config.source or 'none'}"
        yield f"configuration: {self.config.source or 'none'}"
        yield f"history: {self.history.path}"
        for name in self.config.shell.connections:
            yield f"connection: {name}"

    def say(self, text: str) -> None:
        """Words for the screen, without a character that a terminal would obey."""
        self.terminal.write(Words.harmless(text) + "\n")

    def _guarded(self, action: Any, place: str | None = None) -> bool:
        """Whether the action went well; what was wrong with it is said. Raises EOFError to leave, and KeyboardInterrupt, to forget the rest of a text."""
        try:
            result = action()
        except EOFError:
            raise
        except Error as error:
            if isinstance(error, ParameterError) and error.hint is None:
                error.hint = "\\set NAME VALUE gives a variable its value"
            self.words.error(error, place)
            return False
        except OSError as error:
            self.words.error(ConfigError(f"{error.strerror or error}"), place)
            return False
        except Exception as error:
            self.words.error(error, place)
            return False
        return result is not False

    def _command_words(self, before: str) -> list[tuple[str, int, str]]:
        def tables() -> list[str]:
            return [c.text for c in self.menu.complete("SELECT * FROM ", 14) if c.kind == "table"]

        with suppress(Error):
            return list(commands.offered(before, self.state.variables, self.saved.all(), tables))
        return []


def pieces(text: str) -> Iterator[tuple[str, int]]:
    """A file's statements and the commands between them, each with the line it begins on, from 0. A command is a line that begins with a backslash where no
    statement is open."""
    held: list[str] = []
    first = 0
    for number, line in enumerate(text.splitlines(keepends=True)):
        so_far = "".join(held)
        if line.lstrip().startswith("\\") and (not so_far.strip() or sql.is_complete(so_far)):
            if so_far.strip():
                yield so_far, first
            yield line, number
            held = []
            continue
        if not held:
            first = number
        held.append(line)
    if "".join(held).strip():
        yield "".join(held), first


def opening_of(options: Options, target: str | None = None) -> Opening:
    """How the session is opened. target: instead of the one of the options."""
    where, as_of = place_of(options, target)
    return Opening(where, as_of, options.config)


def run(options: Options) -> int:
    """The shell on this process's terminal."""
    return Shell(options).run()
