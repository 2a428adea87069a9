"""The notebook's variables in SQL: `{{name}}` stands for an identifier, `:name` and `$name` for a value that the engine binds. No value becomes text."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from lakesql import sql
from lakesql.errors import ParameterError, did_you_mean

# What quotes and comments hold is theirs: only braces outside of them are read.
_BRACES = re.compile(r"'(?:''|[^'])*'|\"(?:\"\"|[^\"])*\"|--[^\n]*|/\*.*?\*/|\{\{(?P<expression>.*?)\}\}", re.DOTALL)


def with_identifiers(text: str, evaluate: Callable[[str], Any]) -> str:
    """The SQL with each `{{expression}}` replaced by the identifier it names, in quotes: a str is one identifier, a tuple of them a name with dots.

    evaluate: the value of a Python expression in the notebook. Raises ParameterError for an expression that fails or gives something else.

    >>> with_identifiers("SELECT {{c}} FROM {{t}} -- {{t}}", {"c": 'a"b', "t": ("shop", "orders")}.get)
    'SELECT "a""b" FROM "shop"."orders" -- {{t}}'
    """

    def replaced(found: re.Match[str]) -> str:
        expression = found["expression"]
        if expression is None:
            return found[0]

        def wrong(message: str, hint: str | None = None) -> ParameterError:
            return ParameterError(message, sql=text, position=found.start(), length=len(found[0]), hint=hint)

        try:
            value = evaluate(expression.strip())
        except Exception as error:
            raise wrong(f"{found[0]} cannot be evaluated: {type(error).__name__}: {error}") from error
        parts = value if isinstance(value, tuple) else (value,)
        if not parts or not all(isinstance(part, str) and part for part in parts):
            hint = "a str is one identifier, a tuple of them a name with dots; for a value write :name"
            raise wrong(f"{found[0]} is of type {type(value).__name__}, and braces stand for identifiers alone", hint)
        return ".".join('"' + part.replace('"', '""') + '"' for part in parts)

    return _BRACES.sub(replaced, text)


def values_for(statement: sql.Statement, namespace: Mapping[str, Any]) -> dict[str, Any] | None:
    """The values of the statement's placeholders, by name; None where it has none. Raises ParameterError for a name the notebook does not have."""
    values = {}
    for placeholder in statement.placeholders:
        name = placeholder.key
        written = placeholder.span.of(statement.text)
        place: dict[str, Any] = {"sql": statement.text, "position": placeholder.span.start, "length": len(written)}
        if not name.isidentifier():
            raise ParameterError(f'"{written}" has no name, and a notebook binds by name', hint="write :name for the variable name", **place)
        if name not in namespace:
            known = [n for n in namespace if not n.startswith("_")]
            hint = did_you_mean(name, known)
            raise ParameterError(f'"{written}" is no variable of this notebook', hint=hint if hint and hint.startswith("did") else None, **place)
        values[name] = plain(namespace[name])
    return values or None


def plain(value: Any) -> Any:
    """A value as the engine takes it: a number of numpy as Python's own."""
    if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0:
        return value.item()
    return value
