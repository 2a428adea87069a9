"""What a shell can be told to do differently, and what it keeps from one statement to the next. No terminal here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from lakesql import sql
from lakesql.errors import ConfigError, Error, did_you_mean
from lakesql.frontends.footer import Facts
from lakesql.frontends.render import FORMATS

CHOICES: dict[str, tuple[str, ...]] = {
    "expanded": ("off", "on", "auto"),
    "pager": ("auto", "off", "on"),
    "timing": ("on", "off"),
    "mode": ("emacs", "vi"),
    "theme": ("auto", "dark", "light", "none"),
    "format": tuple(name for name, f in FORMATS.items() if not f.binary),
    "on_error": ("continue", "stop"),
}
"""The shell's own options that have a few values, the default first."""

OPTIONS: dict[str, str] = {
    "expanded": "whether rows are shown one below the other: off, on, or auto, where a row is wider than the screen",
    "format": "how rows are written: " + ", ".join(CHOICES["format"]),
    "mode": "keys for editing: emacs or vi",
    "null": "what stands for null on the screen",
    "on_error": "whether \\i goes on after a statement that failed: continue or stop",
    "pager": "what is taller than the screen goes through $PAGER: auto; never: off; everything: on",
    "rows": "how many rows are shown on the screen",
    "theme": "colours: auto, dark, light, none",
    "timing": "whether a line about time and files follows each statement: on or off",
}
"""The shell's own options, with their meaning: `\\set` without a colon, and [shell] in the configuration."""

_PLAIN = {"null": "NULL", "rows": "40"}
"""What the other options begin with."""


@dataclass(frozen=True)
class Kept:
    """The last result, as far as its rows were taken."""

    schema: pa.Schema
    batches: Sequence[pa.RecordBatch]
    facts: Facts


@dataclass
class State:
    """variables: by name, bound where a statement has :name. output: where rows go instead of the screen: a path, or `|command`. last_sql: the statement before
    this one. saved: named queries."""

    options: dict[str, str] = field(default_factory=lambda: {name: CHOICES[name][0] if name in CHOICES else _PLAIN[name] for name in OPTIONS})
    variables: dict[str, Any] = field(default_factory=dict)
    output: str | None = None
    last: Kept | None = None
    last_sql: str = ""

    def option(self, name: str) -> str:
        """An option's value."""
        return self.options[name]

    @property
    def null_text(self) -> str | None:
        """What stands for null; None for what each format has by itself."""
        text = self.options["null"]
        return None if text == _PLAIN["null"] else text

    def set_option(self, name: str, value: str) -> None:
        """Changes an option. Raises ConfigError."""
        if name not in OPTIONS:
            raise ConfigError(f'the shell has no option "{name}"', hint=did_you_mean(name, OPTIONS))
        if name in CHOICES and value not in CHOICES[name]:
            raise ConfigError(f'{name} is one of {", ".join(CHOICES[name])}, not "{value}"', hint=did_you_mean(value, CHOICES[name]))
        if name == "rows" and not (value.isdecimal() and 0 < int(value) <= 100_000):
            raise ConfigError(f'rows is a whole number from 1, not "{value}"')
        self.options[name] = value

    def bound(self, text: str) -> Sequence[Any] | Mapping[str, Any] | None:
        """The variables that a statement names, as its parameters. What is missing is left to be said by whoever runs it."""
        try:
            keys = {p.key for p in sql.parse(text).placeholders}
        except Error:
            return None
        numbers = [str(number) for number in range(1, len(keys) + 1)]
        if keys and keys == set(numbers) and keys <= self.variables.keys():
            return [self.variables[number] for number in numbers]
        return {k: self.variables[k] for k in keys if k in self.variables} or None


def switched(value: str, argument: str, choices: Sequence[str]) -> str:
    """What a command such as `\\x` makes of an option: what it says, or the other of off and on."""
    return argument or ("on" if value == "off" else "off") if "off" in choices else argument or value
