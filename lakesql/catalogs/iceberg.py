"""An Iceberg catalog - REST, SQL, Hive or Glue - as a catalog of lakesql's: pyiceberg says which namespaces and tables there are, where a table's metadata file
is, and with which credentials its files are read; lakesql reads the rest itself.

Nothing is asked before a name needs it, and pyiceberg (the extra `lakesql[iceberg-catalogs]`) is not imported before that. Each statement asks for a table's
metadata file again, since every commit makes a new one. A namespace of several levels is one schema, its levels joined by dots: `a.b`.

Errors say what the catalog said in one line, without secrets; what they were made from is not kept, because its text may hold some.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from lakesql.catalogs.base import TableEntry, match
from lakesql.catalogs.io_properties import store_options
from lakesql.errors import CatalogAccessError, CatalogError, ConfigError, Error, NotATableError, SqlError
from lakesql.location import Kind, place
from lakesql.storage import Storage
from lakesql.store_options import Properties
from lakesql.stores import looked_up, router

if TYPE_CHECKING:
    from lakesql.catalogs.pyiceberg_catalogs import Loaded

TITLES = {"rest": "REST", "sql": "SQL", "hive": "Hive", "glue": "Glue"}
"""The types of catalogs, as configuration spells them and as people do."""

_UNKNOWN = {"NoSuchTableError", "NoSuchNamespaceError", "NoSuchIdentifierError"}
_REFUSED = {"UnauthorizedError", "ForbiddenError", "AuthorizationExpiredError", "OAuthError", "NoCredentialsError", "PartialCredentialsError"}
_REFUSED_CODES = re.compile(r"\((AccessDenied\w*|UnrecognizedClientException|InvalidClientTokenId|ExpiredToken\w*|InvalidSignatureException)\)")
_LOGINS = re.compile(r"(?<=://)[^/@\s]+@|\?\S*|(?i:bearer )\S+")
_LONGEST = 300

T = TypeVar("T")


class IcebergCatalog:
    """See Catalog. Thread-safe: one request at a time.

    remote_name: what the catalog calls itself, where that matters (SQL). properties: pyiceberg's; references in them are looked up when it is first used.
    """

    is_remote = True

    def __init__(
        self, name: str, kind: str, storage: Storage, properties: Properties, *, default_schema: str | None = None, remote_name: str | None = None
    ) -> None:
        self._name = name
        self._kind = kind
        self._storage = storage
        self._properties = properties
        self._remote_name = remote_name or name
        self._default_schema = default_schema
        self._resolved = Properties()
        self._connected: Any = None
        self._lent: dict[str, tuple[str, ...]] = {}
        self._lock = threading.RLock()

    def __repr__(self) -> str:
        return f"IcebergCatalog({self._name}, {self._kind})"

    @property
    def name(self) -> str:
        return self._name

    @property
    def default_schema(self) -> str | None:
        return self._default_schema

    def schemas(self) -> Iterator[str]:
        """See Catalog; a level at a time."""
        return (".".join(n) for n in self._namespaces(()))

    def tables(self, schema: str | None = None) -> Iterator[TableEntry]:
        """See Catalog. A request per namespace, none per table: where a table is, `find` says."""
        wanted = None if schema is None else set(match(schema, self.schemas()))
        for namespace in self._namespaces(()):
            spelled = ".".join(namespace)
            if wanted is None or spelled in wanted:
                yield from (TableEntry(spelled, name, "", "iceberg") for name in self._tables_of(namespace))

    def find(self, schema: str, name: str) -> TableEntry | None:
        """See Catalog. An exact name costs one request; another, the lists of names."""
        if not schema or not name:
            return None
        namespace = tuple(schema.split("."))
        loaded = self._loaded(namespace, name) if all(namespace) else None
        if loaded is not None:
            return self._entry(namespace, name, loaded)
        found = [(s, n) for s in match(schema, self.schemas()) for n in match(name, self._tables_of(tuple(s.split("."))))]
        if len(found) > 1:
            names = [f"{self._name}.{s}.{n}" for s, n in sorted(found)]
            raise SqlError(f'"{schema}.{name}" could be {" or ".join(names)}', candidates=names, hint="write the name in quotes, in its exact case")
        if not found or found[0] == (schema, name):
            return None
        namespace, name = tuple(found[0][0].split(".")), found[0][1]
        loaded = self._loaded(namespace, name)
        return None if loaded is None else self._entry(namespace, name, loaded)

    def close(self) -> None:
        """Lets go of connections; the next name makes new ones."""
        with self._lock:
            connected, self._connected = self._connected, None
            if connected is not None:
                connected.close()

    # Asking --------------------------------------------------------------------------------------------------------------------------------------

    def _namespaces(self, parent: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        """Every namespace, each before those inside it, in the order of their names."""
        for namespace in sorted(self._ask(lambda c: c.list_namespaces(parent), "list its namespaces") or ()):
            yield tuple(namespace)
            if self._kind in ("rest", "sql"):  # the others have one level
                yield from self._namespaces(tuple(namespace))

    def _tables_of(self, namespace: tuple[str, ...]) -> list[str]:
        found = self._ask(lambda c: c.list_tables(namespace), f"list the tables of {'.'.join(namespace)}")
        return sorted(identifier[-1] for identifier in found or ())

    def _loaded(self, namespace: tuple[str, ...], name: str) -> Loaded | None:
        return self._ask(lambda c: c.load_table((*namespace, name)), f"load {'.'.join(namespace)}.{name}")

    def _ask(self, request: Callable[[Any], T], what: str) -> T | None:
        """The answer; None where there is no such table or namespace. Raises CatalogError, ConfigError, NotATableError."""
        failed: Error
        with self._lock:
            try:
                if self._connected is None:
                    self._connected = self._connect()
                return request(self._connected)
            except Error as error:
                failed = error
            except Exception as error:
                if type(error).__name__ in _UNKNOWN:
                    return None
                failed = self._failure(error, what)
        # Raised out here, so that nothing of the other library's error goes with it.
        raise failed

    def _connect(self) -> Any:
        try:
            from lakesql.catalogs import pyiceberg_catalogs
        except ImportError as error:
            raise self._lacking(error) from None
        self._resolved = Properties({k: looked_up(k, v, f"catalog {self._name}") for k, v in self._properties.items()})
        try:
            return pyiceberg_catalogs.connect(self._kind, self._remote_name, self._resolved)
        except ImportError as error:
            raise self._lacking(error) from None

    def _lacking(self, error: ImportError) -> ConfigError:
        return ConfigError(
            f'catalog "{self._name}" is of type {self._kind}, which needs pyiceberg and what it needs for {TITLES[self._kind]} catalogs: {self._said(error)}',
            hint="pip install 'lakesql[iceberg-catalogs]'",
        )

    def _failure(self, error: Exception, what: str) -> Error:
        """The error to raise in place of one of pyiceberg's or of a library below it."""
        kind, said = type(error).__name__, self._said(error)
        title = f'{TITLES[self._kind]} catalog "{self._name}"'
        if kind == "NoSuchIcebergTableError":
            return NotATableError(f"{title}: {said}")
        if kind in _REFUSED or _REFUSED_CODES.search(str(error)):
            return CatalogAccessError(f"{title} refuses access: {said}", hint=f"see the credentials under [catalogs.{self._name}] in lakesql.toml")
        if isinstance(error, OSError) or "Transport" in kind or "Connect" in kind or "Timeout" in kind or kind == "OperationalError":
            return CatalogError(f"{title} does not answer: {said}", hint=f"see the address under [catalogs.{self._name}] in lakesql.toml")
        return CatalogError(f"{title} did not {what}: {said}")

    def _said(self, error: BaseException) -> str:
        """The first line of an error's text, short, with whatever may be secret replaced."""
        text = _LOGINS.sub("***", self._resolved.masked(self._properties.masked(str(error))))
        line = next((line.strip() for line in text.splitlines() if line.strip()), "")
        return f"{line[:_LONGEST]} ({type(error).__name__})" if line else type(error).__name__

    # Places --------------------------------------------------------------------------------------------------------------------------------------

    def _entry(self, namespace: tuple[str, ...], name: str, loaded: Loaded) -> TableEntry:
        """Where the table is now; its files can be read from here on."""
        schema = ".".join(namespace)
        identity = f"{self._name}.{schema}.{name}"
        location = _location(loaded.metadata_location)
        self._lend(identity, location, loaded)
        return TableEntry(schema, name, location, "iceberg", {"place": "as-written"}, identity)

    def _lend(self, identity: str, location: str, loaded: Loaded) -> None:
        """Lends the table's files what the catalog says of their stores: credentials for a prefix below it, all else below the table's own places."""
        stores = router(self._storage)
        at = place(location)
        if stores is None or at.kind is Kind.LOCAL:
            return
        own = [location.rpartition("/")[0].removesuffix("/metadata"), *loaded.places]
        loans = {p: store_options(loaded.properties, place(p), identity) for p in own if _is_of(p, at.kind)}
        for prefix, credentials in sorted(loaded.credentials.items(), key=lambda c: len(c[0])):
            options = store_options({**loaded.properties, **credentials}, at, identity)
            loans |= dict.fromkeys([prefix.rstrip("/")] if _is_of(prefix, at.kind) else own, options)
        with self._lock:
            for old in self._lent.pop(identity, ()):
                if old not in loans:
                    stores.lend(old, {})
            self._lent[identity] = tuple(loans)
            for where, options in loans.items():
                stores.lend(where, options)


def _location(text: str) -> str:
    """A metadata file's location: local ones as plain paths, since writers do not encode them."""
    found = re.match(r"file:/*", text)
    return text if found is None else f"/{text[found.end() :]}"


def _is_of(text: str, kind: Kind) -> bool:
    """Whether a text is a place in stores of a kind: prefixes of credentials may be a scheme alone, or of another store."""
    try:
        return place(text).kind is kind
    except Error:
        return False
