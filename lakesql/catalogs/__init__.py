"""From a name or a path in a statement to an open Table.

`Catalogs` holds what a session can name: names given in Python, catalogs from lakesql.toml or from a directory, and any path. Opened tables are kept, so that
the next statement finds their metadata warm; a Table sees new commits by itself.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from lakesql import config as configuration
from lakesql import formats
from lakesql.catalogs.base import Catalog, TableEntry, match
from lakesql.catalogs.config import ConfigCatalog
from lakesql.catalogs.directory import DirectoryCatalog
from lakesql.config import CatalogConfig, Config, TableConfig
from lakesql.errors import ConfigError, SqlError, UnknownTableError, did_you_mean
from lakesql.location import absolute, is_local, join
from lakesql.storage import CachedStorage, Storage
from lakesql.stores import Stores
from lakesql.table import Table

__all__ = ["Catalog", "Catalogs", "TableEntry"]

_KEPT_TABLES = 256
_LISTED_NAMES = 10_000
"""How many names are looked at to say what a misspelled one might be."""


class Catalogs:
    """Everything a session can name.

    given: names that need no catalog, first in line. default_catalog and default_schema: what names of one or two parts are under; the only catalog, and its
    own default schema, where they are None. Safe to use from several threads.
    """

    def __init__(
        self,
        storage: Storage,
        catalogs: Sequence[Catalog] = (),
        given: Mapping[str, TableEntry] | None = None,
        *,
        default_catalog: str | None = None,
        default_schema: str | None = None,
        reader_options: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        self.storage = storage
        self.catalogs = {c.name: c for c in catalogs}
        self.given = dict(given or {})
        if default_catalog is not None and default_catalog not in self.catalogs:
            raise ConfigError(f'the default catalog "{default_catalog}" is not there', hint=did_you_mean(default_catalog, self.catalogs))
        only = next(iter(self.catalogs.values())) if len(self.catalogs) == 1 else None
        self._default = only if default_catalog is None else self.catalogs[default_catalog]
        self._default_schema = default_schema or (self._default.default_schema if self._default else None)
        self._reader_options = dict(reader_options or {})
        self._open: OrderedDict[tuple[object, ...], Table] = OrderedDict()
        self._lock = threading.Lock()

    @classmethod
    def for_target(
        cls,
        target: str | os.PathLike[str] | None = None,
        tables: Mapping[str, str | os.PathLike[str]] | None = None,
        config: Config | None = None,
    ) -> Catalogs:
        """What a session on `target` can name.

        target: None for the configuration's catalogs; a configuration file, or a directory that holds lakesql.toml; a table, named as its directory is and
        `t`; or a directory of tables, the catalog `lake`. config: its stores always apply; its catalogs stay nameable beside the target's if it was given,
        while one that was merely found (None) gives none to a session on another target. tables: names for paths. Raises ConfigError, NotATableError.
        """
        found = configuration.find() if config is None else config
        given = {name: TableConfig(absolute(path)) for name, path in (tables or {}).items()}
        if target is None:
            return cls._of(found, given)
        location = absolute(target)
        file = _configuration_file(location)
        if file is not None:
            return cls._of(configuration.load(file), given)
        base = found if config is not None else found.without_names()
        storage = _storage(base)
        if formats.evidence(storage, location):
            name = location.rsplit("/", 1)[-1].removesuffix(".lance")
            return cls._of(base, {"t": TableConfig(location), name: TableConfig(location), **given}, storage=storage)
        lake = DirectoryCatalog("lake", storage, location)
        if next(lake.tables(), None) is None:
            formats.recognise(storage, location)  # says what is there instead, and what was looked for
        return cls._of(base, given, first=lake, storage=storage)

    @classmethod
    def _of(cls, config: Config, given: Mapping[str, TableConfig], *, first: Catalog | None = None, storage: Storage | None = None) -> Catalogs:
        storage = storage or _storage(config)
        catalogs = [_catalog(c, storage) for c in config.catalogs if first is None or c.name != first.name]
        named = {name: TableEntry("", name, t.path, t.format, t.options) for name, t in {**config.tables, **given}.items()}
        return cls(
            storage,
            [first, *catalogs] if first else catalogs,
            named,
            default_catalog=first.name if first else config.session.catalog,
            default_schema=None if first else config.session.schema,
            reader_options=config.reader.formats,
        )

    # Names ---------------------------------------------------------------------------------------------------------------------------------------------

    def resolve(self, parts: Sequence[str]) -> Table:
        """The table a name means; see `find`."""
        entry = self.find(parts)
        return self._opened(entry.location, entry.format, entry.options)

    def find(self, parts: Sequence[str]) -> TableEntry:
        """Where the table is that a name of one to three parts means.

        catalog.schema.table; schema.table in the default catalog, or catalog.table in the catalog's default schema; table: a name given in Python or under
        [tables], then the default schema of the default catalog, then the only table of that name anywhere. Names match exactly first, then in any case.
        format.path, as in delta."/some/path", is a path whose format is said. Raises SqlError with the candidates where a name means several tables,
        UnknownTableError where it means none.
        """
        match tuple(parts):
            case (name,):
                found = self._find_given(name) or self._find_default(name) or self._find_anywhere(name)
            case (first, name):
                found = self._find_two(first, name)
            case (first, schema, name):
                found = [e for c in self._catalogs_named(first) if (e := c.find(schema, name)) is not None]
            case _:
                raise SqlError(f'"{".".join(parts)}" has {len(parts)} parts; a table is named by catalog.schema.table, or less')
        return _only(parts, found) if found else self._unknown(parts)

    def tables(self) -> Iterator[tuple[str, TableEntry]]:
        """Every table with the name of its catalog ("" for names given in Python or under [tables]), lazily."""
        yield from (("", entry) for entry in self.given.values())
        for catalog in self.catalogs.values():
            yield from ((catalog.name, entry) for entry in catalog.tables())

    # Paths ---------------------------------------------------------------------------------------------------------------------------------------------

    def open_path(self, path: str | os.PathLike[str], format: str | None = None) -> Table:
        """The table at a path; format: None to recognise it. Raises NotATableError, AmbiguousTableError, UnsupportedFeatureError."""
        return self._opened(absolute(path), format, {})

    def _opened(self, location: str, format: str | None, options: Mapping[str, str]) -> Table:
        """The table at a location, the same object each time it is asked for in the same way."""
        key = (location, format, tuple(sorted(options.items())))
        with self._lock:
            table = self._open.get(key)
            if table is not None:
                self._open.move_to_end(key)
                return table
        name = formats.check_name(format) if format is not None else formats.recognise(self.storage, location).format
        opened = formats.load(name).open(self.storage, location, {**self._reader_options.get(name, {}), **options})
        with self._lock:
            table = self._open.setdefault(key, opened)
            while len(self._open) > _KEPT_TABLES:
                self._open.popitem(last=False)
        return table

    # Finding -------------------------------------------------------------------------------------------------------------------------------------------

    def _find_given(self, name: str) -> list[TableEntry]:
        return [self.given[n] for n in match(name, self.given)]

    def _find_default(self, name: str) -> list[TableEntry]:
        if self._default is None or self._default_schema is None:
            return []
        entry = self._default.find(self._default_schema, name)
        return [] if entry is None else [entry]

    def _find_anywhere(self, name: str) -> list[TableEntry]:
        """Every table of this name: in exact case if there are such, else in any."""
        named = [e for c in self.catalogs.values() for e in c.tables() if match(name, [e.name])]
        return [e for e in named if e.name == name] or named

    def _find_two(self, first: str, name: str) -> list[TableEntry]:
        catalogs = [self._default] if self._default else list(self.catalogs.values())
        found = [e for c in catalogs if (e := c.find(first, name)) is not None]
        if not found:
            found = [e for c in self._catalogs_named(first) if c.default_schema is not None and (e := c.find(c.default_schema, name)) is not None]
        if not found and first.lower() in formats.TITLES and not self._catalogs_named(first):
            found = [TableEntry("", name, absolute(name), first.lower())]
        return found

    def _catalogs_named(self, name: str) -> list[Catalog]:
        return [self.catalogs[n] for n in match(name, self.catalogs)]

    def _unknown(self, parts: Sequence[str]) -> TableEntry:
        """Raises: what the name might have been, out of the names that end like it."""
        name = ".".join(parts)
        known = []
        for catalog, entry in islice(self.tables(), _LISTED_NAMES):
            full = [p for p in (catalog, entry.schema, entry.name) if p]
            known.append(".".join(full[-len(parts) :]))
        if not known and not self.catalogs:
            hint: str | None = "no catalog is configured: name a table by its path, 'some/dir', or connect to a directory of tables"
        else:
            hint = did_you_mean(name, known)
        if "/" in name or is_local(name) is False:
            hint = f"a path is written in single quotes: '{name}'"
        raise UnknownTableError(f'there is no table "{name}"', candidates=known[:20], hint=hint)


def _only(parts: Sequence[str], found: list[TableEntry]) -> TableEntry:
    if len({e.location for e in found}) == 1:
        return found[0]
    names = sorted(".".join(p for p in (e.schema, e.name) if p) + f" ({e.location})" for e in found)
    raise SqlError(f'"{".".join(parts)}" could be {" or ".join(names)}', candidates=names, hint="name its catalog and schema as well")


def _catalog(config: CatalogConfig, storage: Storage) -> Catalog:
    listed = [TableEntry(s, n, t.path, t.format, t.options) for (s, n), t in config.tables.items()]
    if config.path is None:
        return ConfigCatalog(config.name, listed)
    directory = DirectoryCatalog(config.name, storage, config.path, config.schema, config.format)
    return _Corrected(directory, ConfigCatalog(config.name, listed)) if listed else directory


class _Corrected:
    """A directory of tables, some of them said by hand: those win."""

    def __init__(self, directory: Catalog, listed: Catalog) -> None:
        self._directory = directory
        self._listed = listed

    @property
    def name(self) -> str:
        return self._directory.name

    @property
    def default_schema(self) -> str | None:
        return self._directory.default_schema

    def tables(self) -> Iterator[TableEntry]:
        listed = list(self._listed.tables())
        said = {(e.schema, e.name) for e in listed}
        yield from listed
        yield from (e for e in self._directory.tables() if (e.schema, e.name) not in said)

    def find(self, schema: str, name: str) -> TableEntry | None:
        return self._listed.find(schema, name) or self._directory.find(schema, name)


def _configuration_file(location: str) -> str | None:
    """The configuration file a target means, None where it means tables."""
    if not is_local(location):
        return None
    inside = join(location, configuration.FILE_NAME)
    if os.path.isfile(inside):
        return inside
    return location if location.endswith(".toml") and not os.path.isdir(location) else None


def _storage(config: Config) -> Storage:
    """One storage for all of a session's tables, whatever store their paths are in."""
    stores = Stores(config.storage, config.reader.metadata_file_limit_bytes)
    return CachedStorage(stores, config.reader.metadata_cache_bytes)
