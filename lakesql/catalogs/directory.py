"""A directory of tables as a catalog.

    lake/items/_delta_log/...            items, in the default schema
    lake/shop/orders/metadata/...        orders, in the schema shop
    lake/shop.db/carts/schema/...        carts, in the schema shop: Hive's and Paimon's spelling
    lake/vectors.lance/_versions/...     vectors: Lance's spelling

A child that holds a table's marker files is a table and is not looked into further; one that does not is a schema, and its children with markers are tables.
Nothing is looked for below that, so links that point back up lead nowhere. Names that begin with `.` or `_` are never tables or schemas.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from lakesql import formats
from lakesql.catalogs.base import TableEntry, match, schemas_of
from lakesql.errors import SqlError
from lakesql.formats.markers import MARKERS
from lakesql.location import is_local, join
from lakesql.storage import Storage

_SCHEMA_ENDING = ".db"
_TABLE_ENDING = ".lance"
_AT_ONCE = 16
"""How many places of an object store are looked at together."""


class DirectoryCatalog:
    """The tables below a directory. format: of every one of them, None to look at each; default_schema: what those directly below the directory are under."""

    def __init__(self, name: str, storage: Storage, location: str, default_schema: str = "default", format: str | None = None) -> None:
        self._name = name
        self._storage = storage
        self.location = location
        self._default_schema = default_schema
        self._format = format

    @property
    def name(self) -> str:
        return self._name

    @property
    def default_schema(self) -> str:
        return self._default_schema

    def schemas(self) -> Iterator[str]:
        """See Catalog."""
        return schemas_of(self.tables())

    def tables(self, schema: str | None = None) -> Iterator[TableEntry]:
        """See Catalog; in the order of the listing, one look at each child's markers."""
        for child, entry in self._entries(self.location, self._default_schema):
            inside = child.removesuffix(_SCHEMA_ENDING)
            if entry is not None:
                if schema is None or match(schema, [self._default_schema]):
                    yield entry
            elif schema is None or match(schema, [inside]):
                yield from (e for _, e in self._entries(join(self.location, child), inside) if e is not None)

    def find(self, schema: str, name: str) -> TableEntry | None:
        """See Catalog. A table under its exact name costs a look at its markers and no listing."""
        folders = [join(self.location, s) for s in (schema, schema + _SCHEMA_ENDING) if _is_plain(schema)]
        exact = [(self.location, schema)] if schema == self._default_schema else []
        for folder, spelled in exact + [(f, schema) for f in folders]:
            for child in (name, name + _TABLE_ENDING) if _is_plain(name) else ():
                entry = self._entry(join(folder, child), spelled, child)
                if entry is not None:
                    return entry
        return self._find_any_case(schema, name)

    def _find_any_case(self, schema: str, name: str) -> TableEntry | None:
        """The one table whose name differs in case alone. Only children with such names are looked at."""
        folders = [(self.location, self._default_schema)] if match(schema, [self._default_schema]) else []
        for child in self._children(self.location):
            if match(schema, [child.removesuffix(_SCHEMA_ENDING)]):
                folders.append((join(self.location, child), child.removesuffix(_SCHEMA_ENDING)))
        found: dict[tuple[str, str], TableEntry] = {}
        for folder, spelled in folders:
            for child in self._children(folder):
                if match(name, [child, child.removesuffix(_TABLE_ENDING)]):
                    entry = self._entry(join(folder, child), spelled, child)
                    if entry is not None:
                        found.setdefault((entry.schema, entry.name), entry)
        if len(found) > 1:
            names = [f"{self._name}.{s}.{n}" for s, n in sorted(found)]
            raise SqlError(f'"{schema}.{name}" could be {" or ".join(names)}', candidates=names, hint="write the name in quotes, in its exact case")
        return next(iter(found.values()), None)

    def _entries(self, folder: str, schema: str) -> Iterator[tuple[str, TableEntry | None]]:
        """Each child folder with its table, None where it is none."""

        def look(child: str) -> tuple[str, TableEntry | None]:
            return child, self._entry(join(folder, child), schema, child)

        if is_local(folder):
            yield from map(look, self._children(folder))
            return
        children = list(self._children(folder))
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="lakesql-catalog") as pool:
            yield from pool.map(look, children)

    def _children(self, folder: str) -> Iterator[str]:
        return (e.name for e in self._storage.list(folder) if e.is_folder and _is_plain(e.name))

    def _entry(self, location: str, schema: str, child: str) -> TableEntry | None:
        """The table at a location, None where there is none, or none of the catalog's format."""
        if self._format is not None:
            found: tuple[str, ...] = (self._format,) if MARKERS[self._format](self._storage, location) else ()
        else:
            found = tuple(e.format for e in formats.evidence(self._storage, location))
        if not found:
            return None
        only = found[0] if len(found) == 1 else None
        return TableEntry(schema, child.removesuffix(_TABLE_ENDING) if only == "lance" else child, location, only)


def _is_plain(name: str) -> bool:
    """Whether a name can be a child's: no way out of the directory, nothing hidden."""
    return bool(name) and name[0] not in "._" and "/" not in name and "\\" not in name and "\0" not in name
