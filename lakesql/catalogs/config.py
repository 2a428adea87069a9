"""A catalog of tables that are written down one by one: `[catalogs.NAME.tables.SCHEMA.TABLE]` in lakesql.toml, or a dict given in Python."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lakesql.catalogs.base import Catalog, TableEntry, match, schemas_of
from lakesql.errors import SqlError


class ConfigCatalog:
    """Tables by name, held in memory. default_schema: the one schema there is, or the one that is called `default`, unless given."""

    def __init__(self, name: str, tables: Iterable[TableEntry], default_schema: str | None = None) -> None:
        self._name = name
        self._tables = {(t.schema, t.name): t for t in tables}
        schemas = {schema for schema, _ in self._tables}
        only = next(iter(schemas)) if len(schemas) == 1 else None
        self._default_schema = default_schema or ("default" if "default" in schemas else only)

    @property
    def name(self) -> str:
        return self._name

    @property
    def default_schema(self) -> str | None:
        return self._default_schema

    def schemas(self) -> Iterator[str]:
        """See Catalog."""
        return schemas_of(self.tables())

    def tables(self, schema: str | None = None) -> Iterator[TableEntry]:
        """See Catalog; in the order they were given."""
        wanted = None if schema is None else match(schema, {s for s, _ in self._tables})
        return (t for t in self._tables.values() if wanted is None or t.schema in wanted)

    def find(self, schema: str, name: str) -> TableEntry | None:
        """See Catalog."""
        exact = self._tables.get((schema, name))
        if exact is not None:
            return exact
        found = [(s, n) for s in match(schema, {s for s, _ in self._tables}) for n in match(name, {n for t, n in self._tables if t == s})]
        if len(found) > 1:
            names = [f"{self._name}.{s}.{n}" for s, n in sorted(found)]
            raise SqlError(f'"{schema}.{name}" could be {" or ".join(names)}', candidates=names, hint="write the name in quotes, in its exact case")
        return self._tables[found[0]] if found else None


class CorrectedCatalog:
    """A directory of tables, some of them said by hand: those win. Its schemas are both catalogs' schemas."""

    def __init__(self, directory: Catalog, listed: ConfigCatalog) -> None:
        self._directory = directory
        self._listed = listed

    @property
    def name(self) -> str:
        return self._directory.name

    @property
    def default_schema(self) -> str | None:
        return self._directory.default_schema

    def schemas(self) -> Iterator[str]:
        """See Catalog."""
        return schemas_of(self.tables())

    def tables(self, schema: str | None = None) -> Iterator[TableEntry]:
        """See Catalog; those said by hand come first."""
        said = {(e.schema, e.name) for e in self._listed.tables()}
        yield from self._listed.tables(schema)
        yield from (e for e in self._directory.tables(schema) if (e.schema, e.name) not in said)

    def find(self, schema: str, name: str) -> TableEntry | None:
        """See Catalog."""
        return self._listed.find(schema, name) or self._directory.find(schema, name)
