"""What `Cursor.execute` is given -> its statements, each with its parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lakesql.errors import ParameterError

Parameters = Sequence[Any] | Mapping[str, Any]


def statements_of(operation: str, parameters: Parameters | None) -> list[tuple[str, Parameters | None, int]]:
    """The statements of a text, in order, each with where it begins; one, as it is, where it holds no more.

    Parameters are shared out: of a mapping each statement gets those it names, of a sequence as many as it has `?`. Raises SqlError for text that cannot be
    told into statements, ParameterError where parameters are left over or too few.
    """
    if ";" not in operation.rstrip().removesuffix(";"):
        return [(operation, parameters, 0)]
    from lakesql import sql

    parsed = sql.parse_script(operation)
    if len(parsed) < 2:
        return [(operation, parameters, 0)]
    if not parameters:
        return [(s.text, None, s.offset) for s in parsed]
    names = [list(dict.fromkeys(p.key for p in s.placeholders)) for s in parsed]
    if isinstance(parameters, Mapping):
        unused = set(parameters) - {n for named in names for n in named}
        if unused:
            raise ParameterError(f'no statement has a placeholder for parameter "{min(map(str, unused))}"')
        return [(s.text, {n: parameters[n] for n in named if n in parameters} or None, s.offset) for s, named in zip(parsed, names, strict=True)]
    needed = sum(map(len, names))
    if needed != len(parameters):
        raise ParameterError(f"the {len(parsed)} statements have {needed} parameters and {len(parameters)} are given")
    shared: list[tuple[str, Parameters | None, int]] = []
    start = 0
    for statement, named in zip(parsed, names, strict=True):
        shared.append((statement.text, list(parameters[start : start + len(named)]) or None, statement.offset))
        start += len(named)
    return shared
