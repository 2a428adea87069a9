"""`lakesql.connect`, whose connections and cursors are classes of this module."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from lakesql.config import Config
from lakesql.frontends import dbapi
from lakesql.session import Session


class Connection(dbapi.Connection):
    """A lakesql connection that polars asks for Arrow."""


def connect(
    target: str | None = None,
    *,
    tables: Mapping[str, str] | None = None,
    as_of: str | int | datetime | None = None,
    engine: str | None = None,
    config: str | Config | None = None,
) -> Connection:
    """As `lakesql.connect`."""
    return Connection(Session.open(target, tables=tables, as_of=as_of, engine=engine, config=config))
