"""From a name or a path in a statement to an open Table.

`Catalogs` holds what a session can name: names given in Python, catalogs from lakesql.toml or from a directory, and any path. Opened tables are kept, so that
the next statement finds their metadata warm; a Table sees new commits by itself.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice

from lakesql import formats
from lakesql.catalogs.base import Catalog, TableEntry, match
from lakesql.catalogs.config import ConfigCatalog, CorrectedCatalog
from lakesql.catalogs.directory import DirectoryCatalog
from lakesql.catalogs.iceberg import IcebergCatalog
from lakesql.catalogs.recent import Recent
from lakesql.config import ICEBERG_CATALOGS, CatalogConfig, Config, TableConfig, load_config, own_file
from lakesql.errors import ConfigError, Error, SqlError, UnknownTableError, did_you_mean
from lakesql.location import absolute, is_local
from lakesql.storage import CachedStorage, Storage
from lakesql.stores import Stores
from lakesql.table import Table

__all__ = ["Catalog", "Catalogs", "TableEntry"]

_KEPT_TABLES = 256
_LISTED_NAMES = 10_000
"""How many names are looked at to say what a misspelled one might be."""

_Found = tuple[str, TableEntry]
"""A table with the name of its catalog, "" where it has none."""


class Catalogs:
    """Everything a session can name.

    given: names that need no catalog, first in line. default_catalog and default_schema: what names of one or two parts are under; the only catalog, and its
    own default schema, where they are None. config: the configuration in force, for whoever needs its other parts. Safe to use from several threads.
    """

    def __init__(
        self,
        storage: Storage,
        catalogs: Sequence[Catalog] = (),
        given: Mapping[str, TableEntry] | None = None,
        *,
        default_catalog: str | None = None,
        default_schema: str | None = None,
        config: Config | None = None,
    ) -> None:
        self.storage = storage
        self.config = config or Config()
        self.catalogs = {c.name: c for c in catalogs}
        self.given = dict(given or {})
        if default_catalog is not None and default_catalog not in self.catalogs:
            raise ConfigError(f'the default catalog "{default_catalog}" is not there', hint=did_you_mean(default_catalog, self.catalogs))
        only = next(iter(self.catalogs.values())) if len(self.catalogs) == 1 else None
        self._default = only if default_catalog is None else self.catalogs[default_catalog]
        self._default_schema = default_schema or (self._default.default_schema if self._default else None)
        self._names: Recent[tuple[str, ...], TableEntry] = Recent()
        self._formats: Recent[str, str] = Recent()
        self._open: OrderedDict[tuple[object, ...], Table] = OrderedDict()
        self._places: dict[str, str] = {}
        self._lock = threading.Lock()

    @classmethod
    def for_target(
        cls,
        target: str | os.PathLike[str] | None = None,
        tables: Mapping[str, str | os.PathLike[str]] | None = None,
        config: Config | str | os.PathLike[str] | None = None,
    ) -> Catalogs:
        """What a session on `target` can name.

        target: None for the configuration's catalogs; a configuration file, or a directory that holds lakesql.toml; a table, named as its directory is and
        `t`; or a directory of tables, the catalog `lake`. tables: names for paths. config: see `config.load_config`; catalogs it has stay nameable beside the
        target's. Raises ConfigError, NotATableError.
        """
        base = config if isinstance(config, Config) else load_config(target, config)
        given = {name: TableConfig(absolute(path)) for name, path in (tables or {}).items()}
        if target is None or (base.source is not None and base.source == own_file(target)):
            return cls._of(base, given)
        location = absolute(target)
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
            config=config,
        )

    # Names ---------------------------------------------------------------------------------------------------------------------------------------------

    def resolve(self, parts: Sequence[str]) -> Table:
        """The table a name means; see `find`. Names of tables in object stores are remembered for a minute; local ones are looked up each time."""
        return self._resolved(parts, {})

    def _resolved(self, parts: Sequence[str], seen: dict[str, TableEntry]) -> Table:
        entry = self._names.get(tuple(parts), lambda: self.find(parts), lambda found: is_local(found.location) or bool(found.identity))
        if entry.identity:
            entry = seen.setdefault(entry.identity, entry)
            self._moved(entry)
        return self._opened(entry.location, entry.format, entry.options)

    def _moved(self, entry: TableEntry) -> None:
        """Lets go of what is held of a table where it was before: it is not asked for there again."""
        with self._lock:
            before = self._places.get(entry.identity)
            self._places[entry.identity] = entry.location
            if before is not None and before != entry.location:
                for key in [k for k in self._open if k[0] == before]:
                    del self._open[key]

    def resolve_within(self, parts: Sequence[str], seen: dict[str, TableEntry]) -> tuple[Table, tuple[str, ...]]:
        """The table a name means, and what of the name is about something inside it: (`db.t`, `snapshots`) of `db.t.snapshots`.

        seen: a statement's tables that move with each commit, by identity: each is where it was when the statement first named it.

        A name that is a table's whole wins. What follows one must be a metadata table of it, a table it holds (`branch_x`), or both (`branch_x.files`). Raises
        as `find` does; where a table is there and the rest means nothing in it, the UnknownTableError says what it has.
        """
        try:
            return self._resolved(parts, seen), ()
        except UnknownTableError as error:
            unknown = error
        for length in (len(parts) - 1, len(parts) - 2):
            if length < 1:
                break
            try:
                table = self._resolved(parts[:length], seen)
            except UnknownTableError:
                continue
            rest = tuple(parts[length:])
            if _is_within(table, rest):
                return table, rest
            name, inner = ".".join(parts[:length]), ".".join(rest)
            raise UnknownTableError(
                f'there is no table "{".".join(parts)}", and {table.format} table "{name}" has no metadata table "{inner}"',
                candidates=table.metadata_names,
                hint=did_you_mean(inner, table.metadata_names),
            )
        raise unknown

    def find(self, parts: Sequence[str]) -> TableEntry:
        """Where the table is that a name means.

        catalog.schema.table; schema.table in the default catalog, or catalog.table in the catalog's default schema; table: a name given in Python or under
        [tables], then the default schema of the default catalog, then the only table of that name anywhere. Names match exactly first, then in any case.
        A schema of several levels is named level by level: catalog.a.b.table is in the schema `a.b`. format.path, as in delta."/some/path", is a path whose
        format is said. Raises SqlError with the candidates where a name means several tables, UnknownTableError where it means none.
        """
        match tuple(parts):
            case (name,):
                found = self._find_given(name) or self._find_default(name) or self._find_anywhere(name)
            case (first, name):
                found = self._find_two(first, name)
            case (first, *levels, name):
                found = [(c.name, e) for c in self._catalogs_named(first) if (e := c.find(".".join(levels), name)) is not None]
                if not found and self._default is not None and (entry := self._default.find(".".join((first, *levels)), name)) is not None:
                    found = [(self._default.name, entry)]
            case _:
                raise SqlError("a table's name has at least one part")
        if not found:
            raise self._unknown(parts)
        if len({e.location for _, e in found}) > 1:
            names = sorted(".".join(p for p in (catalog, e.schema, e.name) if p) for catalog, e in found)
            raise SqlError(f'"{".".join(parts)}" could be {" or ".join(names)}', candidates=names, hint="name its catalog and schema as well")
        return found[0][1]

    def tables(self, within: str | None = None) -> Iterator[tuple[str, TableEntry]]:
        """Every table with the name of its catalog ("" for names given in Python or under [tables]), lazily. within: only those of the catalogs or schemas of
        that name; `catalog.schema` is one of a catalog's. Other catalogs are not asked.
        """
        if within is None:
            yield from (("", entry) for entry in self.given.values())
        named = () if within is None else match(within, self.catalogs)
        for catalog in self.catalogs.values():
            if within is None or catalog.name in named:
                yield from ((catalog.name, entry) for entry in catalog.tables())
            elif not named:
                inside = within[len(catalog.name) + 1 :] if within.lower().startswith(f"{catalog.name.lower()}.") else within
                yield from ((catalog.name, entry) for entry in catalog.tables(inside))

    def schemas(self) -> Iterator[tuple[str, str]]:
        """Every schema with the name of its catalog, lazily."""
        return ((catalog.name, schema) for catalog in self.catalogs.values() for schema in catalog.schemas())

    def close(self) -> None:
        """Lets go of the connections of catalogs that have any."""
        for catalog in self.catalogs.values():
            close = getattr(catalog, "close", None)
            if close is not None:
                close()

    # Paths ---------------------------------------------------------------------------------------------------------------------------------------------

    def open_path(self, path: str | os.PathLike[str], format: str | None = None) -> Table:
        """The table at a path; format: None to recognise it. Raises NotATableError, AmbiguousTableError, UnsupportedFeatureError."""
        return self._opened(absolute(path), format, {})

    def _opened(self, location: str, format: str | None, options: Mapping[str, str]) -> Table:
        """The table at a location, the same object each time it is asked for in the same way."""
        if format is None:
            name = self._formats.get(location, lambda: formats.recognise(self.storage, location).format, lambda _: is_local(location))
        else:
            name = formats.check_name(format)
        key = (location, name, tuple(sorted(options.items())))
        with self._lock:
            table = self._open.get(key)
            if table is not None:
                self._open.move_to_end(key)
                return table
        opened = formats.load(name).open(self.storage, location, {**self.config.reader.formats.get(name, {}), **options})
        with self._lock:
            table = self._open.setdefault(key, opened)
            while len(self._open) > _KEPT_TABLES:
                self._open.popitem(last=False)
        return table

    # Finding -------------------------------------------------------------------------------------------------------------------------------------------

    def _find_given(self, name: str) -> list[_Found]:
        return [("", self.given[n]) for n in match(name, self.given)]

    def _find_default(self, name: str) -> list[_Found]:
        if self._default is None or self._default_schema is None:
            return []
        entry = self._default.find(self._default_schema, name)
        return [] if entry is None else [(self._default.name, entry)]

    def _find_anywhere(self, name: str) -> list[_Found]:
        """Every table of this name: in exact case if there are such, else in any."""
        named = [(c, e) for c in self.catalogs.values() for e in c.tables() if match(name, [e.name])]
        exact = [(c, e) for c, e in named if e.name == name] or named
        placed = [(c.name, e if e.location else c.find(e.schema, e.name)) for c, e in exact]
        return [(c, e) for c, e in placed if e is not None]

    def _find_two(self, first: str, name: str) -> list[_Found]:
        schemas = [self._default] if self._default else list(self.catalogs.values())
        found = [(c.name, e) for c in schemas if (e := c.find(first, name)) is not None]
        named = self._catalogs_named(first)
        if not found:
            found = [(c.name, e) for c in named if c.default_schema is not None and (e := c.find(c.default_schema, name)) is not None]
        if not found and not named and first.lower() in formats.TITLES and not self._find_given(first) and not self._find_default(first):
            found = [("", TableEntry("", name, absolute(name), first.lower()))]
        return found

    def _catalogs_named(self, name: str) -> list[Catalog]:
        return [self.catalogs[n] for n in match(name, self.catalogs)]

    def _near(self, parts: Sequence[str]) -> Iterator[tuple[str, TableEntry]]:
        """Tables a misspelled name might be: all of them, of services only those in the schema it names."""
        yield from (("", entry) for entry in self.given.values())
        for catalog in self.catalogs.values():
            schema = ".".join(parts[1:-1] if len(parts) > 2 else parts[:-1]) or catalog.default_schema
            if not _is_remote(catalog):
                yield from ((catalog.name, entry) for entry in catalog.tables())
            elif schema is not None:
                with suppress(Error):  # the table is unknown whatever a service says now
                    yield from [(catalog.name, entry) for entry in catalog.tables(schema)]

    def _missing_schema(self, parts: Sequence[str]) -> tuple[str, str | None] | None:
        """What to say where a service is named that has no such schema, and what it has."""
        named = self._catalogs_named(parts[0]) if len(parts) > 2 else []
        remote = [c for c in named or ([self._default] if self._default and len(parts) > 1 else []) if _is_remote(c)]
        schema = ".".join(parts[1:-1] if named else parts[:-1])
        with suppress(Error):
            known = [s for c in remote for s in c.schemas()]
            if remote and not match(schema, known) and not match(parts[0], self.catalogs if len(parts) == 2 else ()):
                return f'catalog "{remote[0].name}" has no schema "{schema}"', did_you_mean(schema, known)
        return None

    def _unknown(self, parts: Sequence[str]) -> UnknownTableError:
        """What the name might have been, out of the names that end like it."""
        name = ".".join(parts)
        known = []
        for catalog, entry in islice(self._near(parts), _LISTED_NAMES):
            full = [p for p in (catalog, entry.schema, entry.name) if p]
            known.append(".".join(full[-len(parts) :]))
            if len(parts) == 2 and catalog and entry.schema == self.catalogs[catalog].default_schema:
                known.append(f"{catalog}.{entry.name}")
        if missing := self._missing_schema(parts):
            return UnknownTableError(f'there is no table "{name}": {missing[0]}', candidates=known[:20], hint=missing[1])
        hint = did_you_mean(name, known)
        if "/" in name:
            hint = f"a path is written in single quotes: '{name}'"
        elif not known and not self.catalogs:
            hint = "no catalog is configured: name a table by its path, 'some/dir', or connect to a directory of tables"
        return UnknownTableError(f'there is no table "{name}"', candidates=known[:20], hint=hint)


def _is_remote(catalog: Catalog) -> bool:
    """Whether listing a catalog costs requests to a service."""
    return getattr(catalog, "is_remote", False)


def _is_within(table: Table, rest: tuple[str, ...]) -> bool:
    """Whether the rest of a name means something in a table: one of its metadata tables, a table it holds, or that one's metadata table."""
    if rest[0].lower() in table.metadata_names and len(rest) == 1:
        return True
    view = table.view(rest[0])
    return view is not None and (len(rest) == 1 or rest[1].lower() in view.metadata_names)


def _catalog(config: CatalogConfig, storage: Storage) -> Catalog:
    if config.type in ICEBERG_CATALOGS:
        return IcebergCatalog(config.name, config.type, storage, config.properties, default_schema=config.schema, remote_name=config.remote_name)
    listed = ConfigCatalog(config.name, [TableEntry(s, n, t.path, t.format, t.options) for (s, n), t in config.tables.items()], config.schema)
    if config.path is None:
        return listed
    directory = DirectoryCatalog(config.name, storage, config.path, config.schema or "default", config.format)
    return CorrectedCatalog(directory, listed) if config.tables else directory


def _storage(config: Config) -> Storage:
    """One storage for all of a session's tables, whatever store their paths are in."""
    stores = Stores(config.storage, config.reader.metadata_file_limit_bytes)
    reader = config.reader
    if reader.metadata_folder is None:
        return CachedStorage(stores, reader.metadata_cache_bytes)
    from lakesql.disk_cache import DiskCache  # seldom asked for

    return CachedStorage(stores, reader.metadata_cache_bytes, DiskCache(reader.metadata_folder, reader.metadata_folder_bytes, stores.identity))
