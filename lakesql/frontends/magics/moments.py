"""`--as-of` in a notebook: a version, an instant, or an earlier result, whose versions the statement reads again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from lakesql import sql
from lakesql.errors import NotSupportedError, ParameterError, SqlError
from lakesql.frontends.magics.results import QueryResult
from lakesql.result import PinnedSnapshot

if TYPE_CHECKING:
    from lakesql.session import Session

Moment = str | int | datetime | tuple[PinnedSnapshot, ...]
"""What a connection's `as_of` takes, or the versions of an earlier result."""

_BRANCH = "branch_"


def moment_of(text: str, namespace: Mapping[str, Any]) -> Moment:
    """What the option's text means: the variable of that name, where there is one that holds a result, its snapshots, a time or a version; else itself."""
    value = namespace.get(text)
    if isinstance(value, QueryResult):
        return value.snapshots
    if isinstance(value, tuple) and value and all(isinstance(part, PinnedSnapshot) for part in value):
        return value
    if isinstance(value, str | int | datetime) and not isinstance(value, bool):
        return value
    if isinstance(value, date):
        return value.isoformat()
    if value is not None and text.isidentifier():
        raise ParameterError(f'"{text}" is of type {type(value).__name__}, and --as-of takes a result, a version or a time')
    return text


def pinned(text: str, session: Session, snapshots: tuple[PinnedSnapshot, ...]) -> str:
    """The statement, each table of it at the version that an earlier result read. A mention with a version of its own keeps it.

    Raises SqlError for a table that the result did not read, or read at more than one version; NotSupportedError for views and open ranges of changes.
    """
    statement = sql.parse(text)
    insertions = []
    for mention in statement.mentions:
        if mention.at is not None:
            continue
        if mention.changes is not None:
            if mention.changes.end is None:
                raise NotSupportedError(f"the changes of {mention} have no end, which --as-of cannot give them", hint="write TO VERSION")
            continue
        with sql.at(statement, mention.name_span):
            version = _version(mention, session, snapshots)
        if version is not None:
            insertions.append((mention.name_span.end, f" VERSION AS OF {version if version.isdecimal() else _quoted(version)}"))
    for position, words in sorted(insertions, reverse=True):
        text = text[:position] + words + text[position:]
    return text


def _version(mention: sql.Mention, session: Session, snapshots: tuple[PinnedSnapshot, ...]) -> str | None:
    """The version that the result read of a mention's table; None where the name itself says which state is meant."""
    name = str(mention)
    if name.lower() in {view.lower() for view in session.resolver.views}:
        raise NotSupportedError(f'"{name}" is a view, and --as-of cannot run views at the versions of a result', hint="name its tables instead")
    table, _ = session.resolver.table_of(mention)
    if getattr(table, "names_state", False):
        return None
    states = [s for s in snapshots if s.version]
    found = {s.version for s in states if s.name == name}
    if not found and _BRANCH not in name.lower():  # branches number their versions by themselves
        found = {s.version for s in states if s.location == table.location and _BRANCH not in s.name.lower()}
    if not found:
        read = ", ".join(dict.fromkeys(s.name for s in states)) or "no table"
        raise SqlError(f'the result did not read "{name}", so it has no version of it', hint=f"it read {read}; VERSION AS OF names a version")
    if len(found) > 1:
        raise SqlError(f'the result read "{name}" at several versions: {", ".join(sorted(found))}', hint="VERSION AS OF names one of them")
    return found.pop()


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
