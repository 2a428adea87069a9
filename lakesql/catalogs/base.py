"""What a catalog is: names, and where the tables behind them are. Listing and finding read no table metadata beyond marker files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class TableEntry:
    """A table a catalog knows. schema and name: as they are spelled there. format: None where the place itself must say. options: for the format's reader.

    location: "" in listings of catalogs that say where a table is only when it is asked for. identity: where the location changes with every commit, a text
    that stays; "" for tables that stay in their place.
    """

    schema: str
    name: str
    location: str
    format: str | None = None
    options: Mapping[str, str] = field(default_factory=dict, hash=False)
    identity: str = ""


class Catalog(Protocol):
    """A namespace of schemas and tables.

    Names are matched exactly first, then without regard to case where that leaves one; several that differ in case alone are an SqlError that lists them.
    """

    @property
    def name(self) -> str: ...

    @property
    def default_schema(self) -> str | None:
        """The schema meant where none is named; None where the catalog has no such thing."""
        ...

    def schemas(self) -> Iterator[str]:
        """Every schema, lazily; where schemas are but a part of tables' names, those of tables."""
        ...

    def tables(self, schema: str | None = None) -> Iterator[TableEntry]:
        """Every table, lazily; the order is the catalog's. schema: only those in it, its name matched as names are. Unreadable corners raise StorageError."""
        ...

    def find(self, schema: str, name: str) -> TableEntry | None:
        """The table of this name, None where there is none."""
        ...


def schemas_of(tables: Iterable[TableEntry]) -> Iterator[str]:
    """The schemas of some tables, each once."""
    return iter(dict.fromkeys(t.schema for t in tables))


def match(name: str, names: Iterable[str]) -> tuple[str, ...]:
    """The names that `name` means: itself where it is one of them, else those that differ in case alone.

    >>> match("Items", ["items", "ITEMS", "users"])
    ('ITEMS', 'items')
    """
    known = set(names)
    if name in known:
        return (name,)
    folded = name.casefold()
    return tuple(sorted(n for n in known if n.casefold() == folded))
