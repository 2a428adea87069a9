"""Parameters: what a program gives against what the text asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lakesql.errors import ParameterError, did_you_mean
from lakesql.sql.statement import Placeholder, Statement

_STYLES = {"?": "?", "$": "$1 or $name", ":": ":name"}


def bind_parameters(statement: Statement, parameters: Sequence[Any] | Mapping[str, Any] | None) -> dict[str, Any]:
    """The engine's named values: a sequence is numbered from "1"; a mapping is taken by name.

    Raises ParameterError, naming both sides, where what is given and what is asked for differ, and for placeholders of two styles in one statement.
    """
    placeholders = statement.placeholders
    for placeholder in placeholders:
        if placeholder.style != placeholders[0].style:
            raise _error(
                statement, placeholder, f'placeholders of two styles in one statement: "{_STYLES[placeholders[0].style]}" and "{_STYLES[placeholder.style]}"'
            )
    if parameters is None:
        given: dict[str, Any] = {}
    elif isinstance(parameters, Mapping):
        given = {str(k): v for k, v in parameters.items()}
    elif isinstance(parameters, Sequence) and not isinstance(parameters, str | bytes | bytearray):
        given = {str(i): value for i, value in enumerate(parameters, 1)}
    else:
        raise ParameterError(f"parameters must be a sequence or a mapping, not {type(parameters).__name__}", hint="write (value,) for one parameter")
    wanted = dict.fromkeys(p.key for p in placeholders)
    if isinstance(parameters, Mapping):
        return _by_name(statement, wanted, given)
    return _by_number(statement, wanted, given)


def _by_name(statement: Statement, wanted: Mapping[str, None], given: dict[str, Any]) -> dict[str, Any]:
    for placeholder in statement.placeholders:
        if placeholder.key not in given:
            raise _error(
                statement,
                placeholder,
                f'no parameter is given for "{placeholder.span.of(statement.text)}": {_listed(given)}',
                did_you_mean(placeholder.key, given),
            )
    unused = [k for k in given if k not in wanted]
    if unused:
        raise ParameterError(f"{_listed(unused)}, and the statement has no such placeholder", hint=did_you_mean(unused[0], wanted) or "it has none")
    return given


def _by_number(statement: Statement, wanted: Mapping[str, None], given: dict[str, Any]) -> dict[str, Any]:
    for placeholder in statement.placeholders:
        if placeholder.style == ":" or not placeholder.key.isdecimal():
            if not given:
                raise _error(statement, placeholder, f'no parameter is given for "{placeholder.span.of(statement.text)}"')
            raise _error(
                statement, placeholder, f'"{placeholder.span.of(statement.text)}" is given by name, and the parameters are a sequence', "give a mapping"
            )
    needed = max((int(k) for k in wanted), default=0)
    if needed != len(given):
        at = statement.placeholders[-1] if needed > len(given) else None
        raise _error(statement, at, f"the statement has {needed} {_parameters(needed)} and {len(given)} {'is' if len(given) == 1 else 'are'} given")
    unused = sorted(set(given) - set(wanted), key=int)
    if unused:
        raise _error(statement, None, f"no placeholder takes parameter {', '.join('$' + n for n in unused)} of {len(given)}")
    return given


def _parameters(count: int) -> str:
    return "parameter" if count == 1 else "parameters"


def _listed(names: Mapping[str, Any] | Sequence[str]) -> str:
    return f"given {_parameters(len(names))}: " + ", ".join(f'"{n}"' for n in names) if names else "none is given"


def _error(statement: Statement, at: Placeholder | None, message: str, hint: str | None = None) -> ParameterError:
    if at is None:
        return ParameterError(message, hint=hint)
    return ParameterError(message, sql=statement.text, position=at.span.start, length=at.span.end - at.span.start, hint=hint)
