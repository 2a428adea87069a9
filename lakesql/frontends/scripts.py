"""SQL as the command line was given it -> the statements to run, each with its place and its parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

from lakesql.errors import ConfigError, Error, did_you_mean
from lakesql.frontends.options import Source

if TYPE_CHECKING:
    from lakesql import sql

Parameters = Sequence[Any] | Mapping[str, Any] | None

STANDARD_INPUT = "-"


@dataclass(frozen=True)
class Script:
    """SQL as it was given. path: of the file it came from, for the places of errors; None where it came from none."""

    text: str
    path: str | None = None

    def place(self, position: int) -> str | None:
        """`file:line:column` of a character; None where the text came from no file."""
        if self.path is None:
            return None
        before = self.text[:position]
        return f"{self.path}:{before.count(chr(10)) + 1}:{position - before.rfind(chr(10))}"


@dataclass(frozen=True)
class Step:
    """One statement of a script.

    start: where it begins in the script's text; parameters: those of the command line that it names; is_plan: whether it asks for a query plan.
    """

    text: str
    script: Script
    start: int
    parameters: Parameters = None
    is_plan: bool = False


class ScriptError(Exception):
    """A script that cannot be told into statements; the cause is the SqlError, its position one in the script."""

    def __init__(self, script: Script) -> None:
        super().__init__(script.path)
        self.script = script


def read_scripts(sources: Sequence[Source], stdin: TextIO | None) -> list[Script] | None:
    """The SQL of these sources, in order, or else of standard input; None where that is a terminal or holds nothing. Raises ConfigError."""
    if sources:
        return [Script(s.text) if s.text is not None else _read(s.path or STANDARD_INPUT, stdin) for s in sources]
    if stdin is None or stdin.isatty():
        return None
    script = _read(STANDARD_INPUT, stdin)
    return [script] if script.text.strip() else None


def steps_of(scripts: Sequence[Script], parameters: Mapping[str, Any] | None) -> list[Step]:
    """The statements of all scripts. What is wrong inside one of them is left to be found when it runs, after those before it.

    Raises ScriptError, and ConfigError for a parameter that no statement names.
    """
    from lakesql import sql  # loads the parser, which --help need not wait for

    steps = []
    named: set[str] = set()
    all_read = True
    for script in scripts:
        try:
            spans = sql.split(script.text)
        except Error as error:
            raise ScriptError(script) from error
        for span in spans:
            text = span.of(script.text)
            statement = _statement(text)
            if statement is None:
                all_read = False
                steps.append(Step(text, script, span.start, parameters or None))
                continue
            keys = frozenset(p.key for p in statement.placeholders)
            named |= keys
            is_plan = statement.kind in (sql.Kind.EXPLAIN, sql.Kind.EXPLAIN_PRUNING)
            steps.append(Step(text, script, span.start, _bound(parameters or {}, keys), is_plan))
    unused = [name for name in parameters or () if name not in named]
    if unused and all_read:
        hint = did_you_mean(unused[0], named) or "no statement has a placeholder: write one as :NAME"
        raise ConfigError(f'no statement names the parameter "{unused[0]}"', hint=hint)
    return steps


def _statement(text: str) -> sql.Statement | None:
    """The statement; None where it cannot be read, which running it will say better."""
    from lakesql import sql

    try:
        return sql.parse(text)
    except Error:
        return None


def _bound(parameters: Mapping[str, Any], keys: frozenset[str]) -> Parameters:
    """The parameters a statement names: by name, or in order where it numbers them. None for none."""
    numbers = [str(number) for number in range(1, len(keys) + 1)]
    if keys and keys == set(numbers) and keys <= parameters.keys():
        return [parameters[number] for number in numbers]
    return {name: value for name, value in parameters.items() if name in keys} or None


def _read(path: str, stdin: TextIO | None) -> Script:
    try:
        if path == STANDARD_INPUT:
            if stdin is None:
                raise ConfigError("cannot read standard input: it is closed")
            return Script(stdin.read(), "<stdin>")
        with open(path, encoding="utf-8-sig") as file:
            return Script(file.read(), path)
    except UnicodeDecodeError as error:
        raise ConfigError(f'cannot read "{path}": it is not UTF-8 text') from error
    except (OSError, ValueError) as error:
        raise ConfigError(f'cannot read "{path}": {getattr(error, "strerror", None) or error}') from error
