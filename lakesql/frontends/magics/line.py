"""What stands behind a magic -> a Request. Pure text: nothing here knows IPython or opens anything.

    %sql [options] [NAME <<] SQL
    %%sql [options] [NAME | NAME <<] [SQL]
    SQL

A name alone on the first line of a cell keeps the result under it, and shows it; `NAME <<` keeps it and shows nothing. Options come first, as
`--limit 5` or `--limit=5`; `--` and a blank begin a comment of SQL, as ever.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from lakesql.errors import ConfigError, did_you_mean

OPTIONS: dict[str, str] = {
    "--as-of": "read every table at this version or time, unless the statement says otherwise; or the name of an earlier result: at the versions it read",
    "--connection": "run it on this connection instead of the current one; `%lakesql list` lists them",
    "--limit": "rows shown, at most",
    "--timeout": "stop the statement after so many seconds",
    "--pandas": "give a pandas DataFrame instead of a result",
    "--polars": "give a polars DataFrame instead of a result",
    "--arrow": "give a pyarrow Table instead of a result",
    "--no-progress": "show no progress",
    "--traceback": "show the traceback of an error",
}
"""Every option, with its meaning."""

_FLAGS = frozenset(("--pandas", "--polars", "--arrow", "--no-progress", "--traceback"))
_OPTION = re.compile(r"\s*(--[A-Za-z][\w-]*)(=|\s+|$)")
_VALUE = re.compile(r"""\s*(?:'([^']*)'|"([^"]*)"|(\S+))""")
_ASSIGNED = re.compile(r"\s*([^\W\d]\w*)\s*<<(.*)", re.DOTALL)
_NAME_AND_OPTIONS = re.compile(r"\s*([^\W\d]\w*)\s*(?=--[A-Za-z]|$)")


@dataclass(frozen=True)
class Request:
    """What a magic asks for. name: of the variable that keeps the result; silent: nothing is shown; frame: "pandas", "polars", "arrow" or None for what the
    configuration says; timeout_seconds, limit: None likewise.
    """

    sql: str
    name: str | None = None
    silent: bool = False
    as_of: str | None = None
    connection: str | None = None
    limit: int | None = None
    timeout_seconds: float | None = None
    frame: str | None = None
    progress: bool = True
    traceback: bool = False


def parse(line: str, cell: str | None = None) -> Request:
    """The request of a line magic, or with `cell` of a cell magic. Raises ConfigError for an option that is none, or has no value, or a wrong one.

    >>> parse("--limit 5 x << SELECT 1")
    Request(sql='SELECT 1', name='x', silent=True, as_of=None, connection=None, limit=5, timeout_seconds=None, frame=None, progress=True, traceback=False)
    >>> parse("orders", "SELECT 1").name
    'orders'
    """
    request, line = _with_options(Request(""), line)
    if cell is not None and (named := _NAME_AND_OPTIONS.match(line)):
        request, line = _with_options(replace(request, name=named[1]), line[named.end() :])
        if line.strip():
            raise ConfigError(f'"{line.strip()}" stands behind the name and the options', hint="SQL begins on the next line of the cell")
    elif assigned := _ASSIGNED.fullmatch(line):
        request, line = replace(request, name=assigned[1], silent=True), assigned[2]
    if cell is None:
        return replace(request, sql=line.strip())
    return replace(request, sql=f"{line.lstrip()}\n{cell}" if line.strip() else cell)


def _with_options(request: Request, line: str) -> tuple[Request, str]:
    """The request with the options that the line begins with, and the rest of the line."""
    while found := _OPTION.match(line):
        request, line = _with_option(request, found[1], line[found.end() :], glued=found[2] == "=")
    return request, line


def _with_option(request: Request, option: str, rest: str, *, glued: bool) -> tuple[Request, str]:
    if option not in OPTIONS:
        raise ConfigError(f"there is no option {option}", hint=did_you_mean(option, OPTIONS))
    if option in _FLAGS:
        if glued:
            raise ConfigError(f"{option} takes no value")
        match option:
            case "--no-progress":
                return replace(request, progress=False), rest
            case "--traceback":
                return replace(request, traceback=True), rest
        return replace(request, frame=option.removeprefix("--")), rest
    found = _VALUE.match(rest)
    if found is None:
        raise ConfigError(f"{option} needs a value")
    value, rest = next(g for g in found.groups() if g is not None), rest[found.end() :]
    match option:
        case "--as-of":
            return replace(request, as_of=value), rest
        case "--connection":
            return replace(request, connection=value), rest
        case "--limit":
            return replace(request, limit=_count(option, value)), rest
    return replace(request, timeout_seconds=_seconds(option, value)), rest


def _count(option: str, text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise ConfigError(f'{option} takes a whole number, not "{text}"')
    return int(text)


def _seconds(option: str, text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?", text) or float(text) <= 0:
        raise ConfigError(f'{option} takes seconds, not "{text}"')
    return float(text)
