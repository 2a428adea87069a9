"""Reading a TOML file with manners: each key is asked for by name and type, and what is wrong is said with file, line, key and the nearest name there is."""

from __future__ import annotations

import math
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from lakesql.errors import ConfigError, did_you_mean
from lakesql.location import absolute

_UNITS = {"": 1, "k": 1, "m": 2, "g": 3, "t": 4}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?", re.IGNORECASE)


@dataclass(frozen=True)
class TomlFile:
    """A file's path and text."""

    source: str
    text: str

    @property
    def folder(self) -> str:
        """The directory relative paths in the file start from."""
        return os.path.dirname(self.source)

    def line(self, path: tuple[str, ...]) -> int | None:
        """The line, from 1, on which a key or table is written; None where it cannot be told. Text inside multi-line strings may be taken for keys."""
        table: tuple[str, ...] = ()
        best: int | None = None
        for number, line in enumerate(self.text.splitlines(), 1):
            stripped = line.strip()
            if stripped.startswith("["):
                table = _header(stripped) or table
                here = table
            else:
                key = _key(stripped)
                if not key:
                    continue
                here = table + key
            if here == path:
                return number
            # An inline table, or a header that goes deeper: the key is somewhere on this line or below it.
            if best is None and ((path[: len(here)] == here and "{" in stripped) or here[: len(path)] == path):
                best = number
        return best


class Section:
    """One table of the file. Every method that takes a key answers None (or its empty value) where the key is not there, and raises ConfigError for a wrong
    type.
    """

    def __init__(self, file: TomlFile, path: tuple[str, ...], values: Mapping[str, Any]) -> None:
        self.file = file
        self.path = path
        self.values = values
        self.known: set[str] = set()

    def text(self, key: str) -> str | None:
        """A text that is not empty."""
        value = self._value(key)
        if value is None or (isinstance(value, str) and value):
            return value
        raise self.error(f"{key} must be a text", key)

    def choice(self, key: str, choices: Iterable[str]) -> str | None:
        """One of some words, in any case; the word in lower case."""
        value = self.text(key)
        if value is not None and value.lower() not in choices:
            raise self.error(f'{key} must be one of {", ".join(choices)}, not "{value}"', key, hint=did_you_mean(value, choices))
        return None if value is None else value.lower()

    def location(self, key: str) -> str | None:
        """A path or URL, made absolute from the file's directory."""
        value = self.text(key)
        try:
            return None if value is None else absolute(value, self.file.folder)
        except ConfigError as error:
            raise self.error(f"{key}: {error.message}", key, hint=error.hint) from error

    def flag(self, key: str) -> bool:
        """true or false; False where it is not there."""
        value = self._value(key)
        if value is None or isinstance(value, bool):
            return bool(value)
        raise self.error(f"{key} must be true or false", key)

    def count(self, key: str) -> int | None:
        """A whole number from 1."""
        value = self._value(key)
        if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
            return value
        raise self.error(f"{key} must be a whole number from 1", key)

    def seconds(self, key: str) -> float | None:
        """A number of seconds above 0."""
        value = self._value(key)
        if value is None:
            return None
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0 and math.isfinite(value):
            return float(value)
        raise self.error(f"{key} must be a number of seconds above 0", key)

    def size(self, key: str) -> int | None:
        """A number of bytes, or a text such as "4GB" (1 GB and 1 GiB are both 2^30 bytes)."""
        value = self._value(key)
        if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
            return value
        parts = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
        if parts is None:
            raise self.error(f'{key} must be a size such as "4GB", or a number of bytes', key)
        return int(float(parts[1]) * 1024 ** ({**_UNITS, "": 0}[parts[2].lower()]))

    def instant(self, key: str) -> str | None:
        """A text, or a TOML date or time, as text."""
        value = self._value(key)
        return value.isoformat() if isinstance(value, (date, datetime)) else self.text(key)

    def texts(self) -> Mapping[str, str]:
        """All keys of this table: texts, numbers and true/false, each as text."""
        found = {}
        for key, value in self.values.items():
            if not isinstance(value, (str, int, float)):
                raise self.error(f"{key} must be a text, a number, true or false", key)
            found[key] = str(value).lower() if isinstance(value, bool) else str(value)
        self.known.update(found)
        return found

    def flat_texts(self) -> Mapping[str, str]:
        """As `texts`, with the keys of tables inside joined by dots: TOML reads `s3.endpoint = "x"` as a table `s3`."""
        found = {}
        for key, value in self.values.items():
            if isinstance(value, dict):
                inner = Section(self.file, (*self.path, key), value)
                found.update({f"{key}.{name}": text for name, text in inner.flat_texts().items()})
                self.known.add(key)
            else:
                found.update(Section(self.file, self.path, {key: value}).texts())
        self.known.update(self.values)
        return found

    def section(self, key: str) -> Section:
        """The table under a key, an empty one where it is not there."""
        value = self._value(key)
        if value is not None and not isinstance(value, dict):
            raise self.error(f"{key} must be a table: [{'.'.join(map(_quoted, (*self.path, key)))}]", key)
        return Section(self.file, (*self.path, key), value or {})

    def sections(self, key: str, *, shorthand: str | None = None) -> Iterator[Section]:
        """The tables under a key, each under a name of the user's; with `shorthand`, a text instead of a table is a table with that one key."""
        return self.section(key).all_sections(shorthand=shorthand)

    def all_sections(self, *, shorthand: str | None = None) -> Iterator[Section]:
        """Every key of this table is the name of another."""
        for name, value in self.values.items():
            if shorthand is not None and isinstance(value, str):
                value = {shorthand: value}
            if not isinstance(value, dict):
                raise self.error(f"{name} must be a table", name)
            yield Section(self.file, (*self.path, name), value)

    def finish(self) -> None:
        """Raises ConfigError for a key that nobody asked for."""
        for key in self.values:
            if key not in self.known:
                raise self.unknown(key, self.known)

    def unknown(self, key: str, known: Iterable[str]) -> ConfigError:
        """The error for a key nobody knows."""
        where = f" in [{'.'.join(map(_quoted, self.path))}]" if self.path else ""
        return self.error(f'unknown key "{key}"{where}', key, hint=did_you_mean(key, known))

    def error(self, message: str, key: str | None = None, *, hint: str | None = None) -> ConfigError:
        """An error about a key of this table, or about the table."""
        path = self.path if key is None else (*self.path, key)
        line = self.file.line(path)
        place = f"{self.file.source}, line {line}" if line else self.file.source
        about = f"[{'.'.join(map(_quoted, self.path))}] " if key is None and self.path else ""
        return ConfigError(f"{place}: {about}{message}", hint=hint)

    def _value(self, key: str) -> Any:
        self.known.add(key)
        return self.values.get(key)


def _header(line: str) -> tuple[str, ...] | None:
    """The path of a table header, read by the TOML parser itself."""
    for end in (m.end() for m in re.finditer("]", line)):
        try:
            return _only_path(tomllib.loads(line[:end]))
        except tomllib.TOMLDecodeError:
            continue
    return None


def _key(line: str) -> tuple[str, ...] | None:
    """The path of the key a line begins with."""
    for end in (m.start() for m in re.finditer("=", line)):
        try:
            return _only_path(tomllib.loads(line[:end] + "= 0"))
        except tomllib.TOMLDecodeError:
            continue
    return None


def _only_path(values: Any) -> tuple[str, ...]:
    path: tuple[str, ...] = ()
    while isinstance(values, (dict, list)) and values:
        if isinstance(values, list):
            values = values[0]
            continue
        key = next(iter(values))
        path, values = (*path, key), values[key]
    return path


def _quoted(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else f'"{key}"'
