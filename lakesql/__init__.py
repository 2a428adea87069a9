"""lakesql: SQL over lakehouse tables, with versions, changes and pruning.

    import lakesql

    with lakesql.connect("path/to/lake") as connection:
        for row in connection.execute("SELECT * FROM orders WHERE day = ?", [day]):
            ...

This module is a PEP 249 driver. Importing it loads the errors and nothing more; engine, Arrow and all else come with the first name that needs them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from lakesql.errors import (
    AccessDeniedError,
    AmbiguousTableError,
    CatalogAccessError,
    CatalogError,
    ChangedColumnsError,
    ConfigError,
    ConsumerConflictError,
    ConsumerError,
    DatabaseError,
    DataError,
    DataFileError,
    EngineError,
    Error,
    ExpiredVersionError,
    IntegrityError,
    InterfaceError,
    InternalError,
    MetadataError,
    MissingFileError,
    NoSuchVersionError,
    NotATableError,
    NotSupportedError,
    OperationalError,
    ParameterError,
    ProgrammingError,
    QueryCancelledError,
    QueryTimeoutError,
    RecreatedTableError,
    SqlError,
    StorageError,
    UnknownColumnError,
    UnknownFunctionError,
    UnknownTableError,
    UnsupportedFeatureError,
    Warning,
)

if TYPE_CHECKING:
    from lakesql.config import Config
    from lakesql.frontends.attached import Attached, attach
    from lakesql.frontends.cursor import Cursor
    from lakesql.frontends.dataset import Dataset, dataset
    from lakesql.frontends.dbapi import Connection, connect
    from lakesql.frontends.typecodes import (
        BINARY,
        DATETIME,
        NUMBER,
        ROWID,
        STRING,
        Binary,
        Date,
        DateFromTicks,
        Time,
        TimeFromTicks,
        Timestamp,
        TimestampFromTicks,
    )
    from lakesql.result import PinnedSnapshot, Result, ScanStats
    from lakesql.session import Session

    __version__: str

apilevel = "2.0"
threadsafety = 2
paramstyle = "qmark"

_TYPE_CODES = "lakesql.frontends.typecodes"
_PLACES = {
    "Attached": "lakesql.frontends.attached",
    "BINARY": _TYPE_CODES,
    "DATETIME": _TYPE_CODES,
    "NUMBER": _TYPE_CODES,
    "ROWID": _TYPE_CODES,
    "STRING": _TYPE_CODES,
    "Binary": _TYPE_CODES,
    "Config": "lakesql.config",
    "Connection": "lakesql.frontends.dbapi",
    "Cursor": "lakesql.frontends.cursor",
    "Dataset": "lakesql.frontends.dataset",
    "Date": _TYPE_CODES,
    "DateFromTicks": _TYPE_CODES,
    "PinnedSnapshot": "lakesql.result",
    "Result": "lakesql.result",
    "ScanStats": "lakesql.result",
    "Session": "lakesql.session",
    "Time": _TYPE_CODES,
    "TimeFromTicks": _TYPE_CODES,
    "Timestamp": _TYPE_CODES,
    "TimestampFromTicks": _TYPE_CODES,
    "attach": "lakesql.frontends.attached",
    "connect": "lakesql.frontends.dbapi",
    "dataset": "lakesql.frontends.dataset",
}
"""Names that are loaded when they are first used, and the modules they come from."""

__all__ = [
    "BINARY",
    "DATETIME",
    "NUMBER",
    "ROWID",
    "STRING",
    "AccessDeniedError",
    "AmbiguousTableError",
    "Attached",
    "Binary",
    "CatalogAccessError",
    "CatalogError",
    "ChangedColumnsError",
    "Config",
    "ConfigError",
    "Connection",
    "ConsumerConflictError",
    "ConsumerError",
    "Cursor",
    "DataError",
    "DataFileError",
    "DatabaseError",
    "Dataset",
    "Date",
    "DateFromTicks",
    "EngineError",
    "Error",
    "ExpiredVersionError",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "MetadataError",
    "MissingFileError",
    "NoSuchVersionError",
    "NotATableError",
    "NotSupportedError",
    "OperationalError",
    "ParameterError",
    "PinnedSnapshot",
    "ProgrammingError",
    "QueryCancelledError",
    "QueryTimeoutError",
    "RecreatedTableError",
    "Result",
    "ScanStats",
    "Session",
    "SqlError",
    "StorageError",
    "Time",
    "TimeFromTicks",
    "Timestamp",
    "TimestampFromTicks",
    "UnknownColumnError",
    "UnknownFunctionError",
    "UnknownTableError",
    "UnsupportedFeatureError",
    "Warning",
    "__version__",
    "apilevel",
    "attach",
    "connect",
    "dataset",
    "paramstyle",
    "threadsafety",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib import metadata  # slow to load

        try:
            value: Any = metadata.version("lakesql")
        except metadata.PackageNotFoundError:  # a checkout on sys.path
            value = "0+unknown"
    elif name in _PLACES:
        value = getattr(importlib.import_module(_PLACES[name]), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def load_ipython_extension(ipython: Any) -> None:
    """`%load_ext lakesql` in a notebook: `%sql`, `%%sql`, `%lakesql`."""
    from lakesql.frontends.magics.magic import load  # loads the engine and IPython's magics

    load(ipython)


def unload_ipython_extension(ipython: Any) -> None:
    """`%unload_ext lakesql`."""
    from lakesql.frontends.magics.magic import unload

    unload(ipython)


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
