"""Every error lakesql raises, in one tree rooted in the PEP 249 classes.

    Warning
    Error                               sqlstate, hint
    ├── InterfaceError                  the program used lakesql wrongly
    │   └── ConfigError                 lakesql.toml, a setting, an option
    └── DatabaseError
        ├── ProgrammingError
        │   ├── SqlError                the SQL text: line, column, marked fragment
        │   │   ├── UnknownTableError
        │   │   ├── UnknownColumnError
        │   │   ├── UnknownFunctionError
        │   │   └── ParameterError
        │   ├── NotATableError          a place that holds no table we know
        │   ├── AmbiguousTableError     a place that holds tables of two formats
        │   ├── NoSuchVersionError      a version, tag or time the table never had
        │   └── ConsumerError           a named consumer that is not there, or has nothing to advance to
        ├── OperationalError
        │   ├── StorageError            the store did not answer as asked
        │   │   ├── MissingFileError
        │   │   └── AccessDeniedError
        │   ├── CatalogError            a catalog service did not answer as asked
        │   │   └── CatalogAccessError  it refuses the credentials
        │   ├── ExpiredVersionError     the version existed; its files are gone
        │   ├── ConsumerConflictError   someone else moved the consumer meanwhile
        │   ├── RecreatedTableError     another table stands where the position's table was
        │   ├── ChangedColumnsError     a table's columns changed while it was followed
        │   ├── QueryTimeoutError
        │   └── QueryCancelledError
        ├── DataError
        │   ├── MetadataError           the table's metadata contradicts its specification
        │   ├── DataFileError           a data or delete file does not hold what the metadata says
        │   └── EngineError             a value the engine cannot compute with
        ├── IntegrityError
        ├── InternalError               lakesql itself is at fault: please report
        └── NotSupportedError
            └── UnsupportedFeatureError a feature of a format that lakesql does not read

The class tells who must act. Messages are lower case and say what, where (file, version, column), what was expected, and what exists instead;
`hint` says what to do. Secrets in URLs are hidden in both, and in the line that is marked. Nothing
here knows anything else of lakesql.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from lakesql.hidden import hidden


class Warning(Exception):
    """Important notes; PEP 249."""


class Error(Exception):
    """The root of every error lakesql raises; PEP 249.

    sqlstate: five characters, as SQL:2023 and PostgreSQL assign them. hint: what the reader can do, or None. query: what was executed, None where nothing
    was; position: the character of it, from 0, at which the fault begins, None where that is not known; candidates: names that there are instead.
    """

    sqlstate = "HY000"
    query: str | None = None
    position: int | None = None
    candidates: tuple[str, ...] = ()

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        self.message = hidden(message)
        self.hint = None if hint is None else hidden(hint)
        super().__init__(self.message)

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\nhint: {self.hint}"


class InterfaceError(Error):
    """lakesql was called in a way it does not allow, e.g. on a closed cursor."""

    sqlstate = "HY010"


class ConfigError(InterfaceError):
    """A configuration file, setting or command-line option is wrong."""

    sqlstate = "F0000"


class DatabaseError(Error):
    """PEP 249's root of everything that concerns the tables."""


class ProgrammingError(DatabaseError):
    """The request is wrong: the SQL, a name, a version, a parameter."""

    sqlstate = "42000"


class SqlError(ProgrammingError):
    """The SQL text is wrong.

    line and column count from 1 and point at the first character at fault, None where the place is not known; `sql` is the text as given, length the number of
    characters at fault. Until the place is known, engine_position is the line and column an engine gave for its own text, and name the name at fault, where
    there is one.
    """

    sqlstate = "42601"
    engine_position: tuple[int, int] | None = None
    name: str = ""

    def __init__(
        self,
        message: str,
        *,
        sql: str | None = None,
        position: int | None = None,
        length: int = 1,
        hint: str | None = None,
        candidates: Iterable[str] = (),
    ) -> None:
        self.sql = sql
        self.position = position
        self.candidates = tuple(candidates)
        self.length = max(1, length)
        self.line: int | None = None
        self.column: int | None = None
        if sql is not None and position is not None:
            before = sql[:position]
            self.line = before.count("\n") + 1
            self.column = position - (before.rfind("\n") + 1) + 1
        super().__init__(message, hint=hint)

    def move_to(self, sql: str, start: int) -> None:
        """Places the error in a longer text, which holds its own from the character `start` on. One without a place stays without."""
        if self.position is not None:
            SqlError.__init__(self, self.message, sql=sql, position=start + self.position, length=self.length, hint=self.hint, candidates=self.candidates)

    def __str__(self) -> str:
        parts = [self.message]
        if self.sql is not None and self.line is not None and self.column is not None:
            text = hidden(self.sql).split("\n")[self.line - 1].replace("\t", " ")
            marks = "^" * max(1, min(self.length, len(text) - self.column + 1))
            lead = f"LINE {self.line}: "
            parts += [f"{lead}{text}", " " * (len(lead) + self.column - 1) + marks]
        if self.hint is not None:
            parts.append(f"hint: {self.hint}")
        return "\n".join(parts)


class UnknownTableError(SqlError):
    """No catalog knows the table."""

    sqlstate = "42P01"


class UnknownColumnError(SqlError):
    """No table of the statement has the column."""

    sqlstate = "42703"


class UnknownFunctionError(SqlError):
    """No function is called so."""

    sqlstate = "42883"


class ParameterError(SqlError):
    """Parameters given and placeholders in the text do not match."""

    sqlstate = "07001"


class NotATableError(ProgrammingError):
    """The place holds nothing that looks like a lakehouse table."""

    sqlstate = "42P01"


class AmbiguousTableError(ProgrammingError):
    """The place holds the marks of more than one table format."""

    sqlstate = "42P09"


class NoSuchVersionError(ProgrammingError):
    """The table never had this version, tag, branch, or a state at this time."""

    sqlstate = "22023"


class ConsumerError(ProgrammingError):
    """No consumer has this name, or its last read was not fetched to its end."""

    sqlstate = "55000"


class OperationalError(DatabaseError):
    """Something outside lakesql's control failed."""

    sqlstate = "58000"


class StorageError(OperationalError):
    """The store did not do what was asked of it."""

    sqlstate = "58030"


class MissingFileError(StorageError):
    """A file is not there; `path` names it."""

    sqlstate = "58P01"

    def __init__(self, message: str, *, path: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.path = path


class AccessDeniedError(StorageError):
    """The store refuses access to a file; `path` names it."""

    sqlstate = "42501"

    def __init__(self, message: str, *, path: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.path = path


class CatalogError(OperationalError):
    """A catalog service is not there, or did not do what was asked of it."""

    sqlstate = "08000"


class CatalogAccessError(CatalogError):
    """The service refuses who asks, or what they ask for."""

    sqlstate = "28000"


class ExpiredVersionError(OperationalError):
    """The version existed, but its metadata or data files have been removed."""

    sqlstate = "72000"


class ConsumerConflictError(OperationalError):
    """A consumer's position is not the one that was read from: another program, or another connection, moved it."""

    sqlstate = "40001"


class RecreatedTableError(OperationalError):
    """The table that a position is of was made anew at its place; versions of the old one mean nothing there."""

    sqlstate = "72001"


class ChangedColumnsError(OperationalError):
    """The columns of a table changed while it was followed, and rows of both kinds do not fit into one result."""

    sqlstate = "72002"


class QueryTimeoutError(OperationalError):
    """The statement ran longer than it was allowed to."""

    sqlstate = "57014"


class QueryCancelledError(OperationalError):
    """The statement was cancelled by its user."""

    sqlstate = "57014"


class DataError(DatabaseError):
    """Something stored is not what it should be."""

    sqlstate = "22000"


class MetadataError(DataError):
    """A table's metadata is unreadable or contradicts the format's specification; the message names the file."""

    sqlstate = "XX001"


class DataFileError(DataError):
    """A data or delete file does not hold what the metadata promises; the message names the file."""

    sqlstate = "XX002"


class EngineError(DataError):
    """The engine refused to compute a value: overflow, a cast that fails, division by zero."""

    sqlstate = "22000"


class IntegrityError(DatabaseError):
    """PEP 249; lakesql writes nothing, so it raises none."""

    sqlstate = "23000"


class InternalError(DatabaseError):
    """lakesql broke one of its own promises; please report."""

    sqlstate = "XX000"


class NotSupportedError(DatabaseError):
    """lakesql does not do this."""

    sqlstate = "0A000"


class UnsupportedFeatureError(NotSupportedError):
    """The table uses a feature of its format that lakesql does not read; `feature` names it."""

    def __init__(self, message: str, *, feature: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.feature = feature


def did_you_mean(name: str, names: Iterable[str]) -> str | None:
    """A hint that names the closest of `names`, or lists a few of them; None where there are none.

    >>> did_you_mean("pirce", ["id", "price"])
    'did you mean "price"?'
    """
    known = sorted(set(names))
    if not known:
        return None
    by_lower = {n.lower(): n for n in known}
    close = difflib.get_close_matches(name.lower(), list(by_lower), n=1, cutoff=0.6)
    if close:
        return f'did you mean "{by_lower[close[0]]}"?'
    shown = ", ".join(known[:10]) + (f" and {len(known) - 10} more" if len(known) > 10 else "")
    return f"there are: {shown}"
