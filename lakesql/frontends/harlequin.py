"""harlequin's adapter: `harlequin -a lakesql TARGET` and `hsql -a lakesql TARGET`, over the DB-API.

The catalog is a tree of catalogs, schemas, tables, their columns, and their metadata tables by the names SQL gives them (`orders$snapshots`). It is read as
it is opened, from catalogs and metadata alone. Source: harlequin 2.17, `harlequin.adapter` and `harlequin.catalog`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from harlequin.adapter import HarlequinAdapter, HarlequinConnection, HarlequinCursor
from harlequin.autocomplete.completion import HarlequinCompletion
from harlequin.catalog import Catalog, CatalogItem, CatalogSearchKind, CatalogSearchResult, InteractiveCatalogItem
from harlequin.exception import HarlequinConfigError, HarlequinConnectionError, HarlequinQueryError
from harlequin.options import AbstractOption, PathOption, TextOption

from lakesql.errors import Error, QueryCancelledError

if TYPE_CHECKING:
    import pyarrow as pa

    from lakesql.frontends.completion_names import SessionNames, TableName
    from lakesql.frontends.cursor import Cursor
    from lakesql.frontends.dbapi import Connection

_SHORT_TYPES = {
    "BOOLEAN": "t/f",
    "TINYINT": "#",
    "SMALLINT": "#",
    "INTEGER": "#",
    "BIGINT": "##",
    "UTINYINT": "#",
    "USMALLINT": "#",
    "UINTEGER": "#",
    "UBIGINT": "##",
    "HALF": "#.#",
    "REAL": "#.#",
    "DOUBLE": "#.#",
    "DECIMAL": "#.#",
    "VARCHAR": "s",
    "UUID": "uid",
    "BLOB": "b",
    "DATE": "d",
    "TIME": "t",
    "TIMESTAMP": "ts",
    "TIMESTAMPTZ": "tsz",
    "INTERVAL": "|-|",
    "ARRAY": "[]",
    "STRUCT": "{}",
    "MAP": "{m}",
}
_FUNCTION_PRIORITY = 1000
"""harlequin's own for functions."""


class LakesqlCursor(HarlequinCursor):
    """A statement that returns rows; its rows are taken as Arrow."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self._columns = [(column.name, short_type(str(column.type_code))) for column in cursor.description or ()]  # asked for after the last row, too
        self._limit: int | None = None

    def columns(self) -> list[tuple[str, str]]:
        """Names and short types, in order."""
        return self._columns

    def set_limit(self, limit: int) -> LakesqlCursor:
        self._limit = limit
        return self

    def fetchall(self) -> pa.Table | None:
        """The rows that are left, up to the limit: no more are read. None where the statement was cancelled. Raises HarlequinQueryError."""
        import pyarrow as pa

        try:
            if self._limit is None:
                return self._cursor.fetch_arrow_table()
            reader = self._cursor.fetch_record_batch()
            batches, left = [], self._limit
            while left > 0 and (batch := next(reader, None)) is not None:
                batches.append(batch.slice(0, left))
                left -= batches[-1].num_rows
            self._cursor.close()
            return pa.Table.from_batches(batches, schema=reader.schema)
        except QueryCancelledError:
            return None
        except Error as error:
            raise _query_error(error) from error


class LakesqlConnection(HarlequinConnection):
    """A connection, which harlequin's threads share."""

    def __init__(self, connection: Connection, init_message: str = "") -> None:
        self.connection = connection
        self.init_message = init_message

    @property
    def names(self) -> SessionNames:
        from lakesql.frontends.completion_names import SessionNames

        return SessionNames(self.connection.session)

    def execute(self, query: str) -> LakesqlCursor | None:
        """The cursor of a statement that returns rows, else None. Raises HarlequinQueryError."""
        try:
            cursor = self.connection.execute(query)
        except Error as error:
            raise _query_error(error) from error
        if cursor.description is None:
            cursor.close()
            return None
        return LakesqlCursor(cursor)

    def cancel(self) -> None:
        """Stops what runs; its rows are then None."""
        self.connection.cancel()

    def get_catalog(self) -> Catalog:
        return Catalog(items=list(self._roots()))

    def search_catalog(self, term: str, kind: CatalogSearchKind = "all") -> list[CatalogSearchResult]:
        """Items whose label contains the term. Columns and metadata tables are asked of every table; one that cannot be opened has none."""
        wanted = {"relations": RelationItem, "columns": ColumnItem}.get(kind, CatalogItem)
        return [
            CatalogSearchResult(item, parents) for item, parents in _walk(self._roots(), ()) if term.lower() in item.label.lower() and isinstance(item, wanted)
        ]

    def get_completions(self) -> list[HarlequinCompletion]:
        """The engine's functions."""
        return [HarlequinCompletion(f.name, "agg" if f.kind == "AGGREGATE" else "fn", f.name, _FUNCTION_PRIORITY) for f in self.names.functions()]

    def close(self) -> None:
        self.connection.close()

    def _roots(self) -> Iterator[CatalogItem]:
        """Catalogs with their schemas and these with their tables; tables given by name and views, which are in no catalog, stand beside them."""
        catalogs: dict[str, dict[str, list[TableName]]] = {}
        for table in self.names.tables():
            catalogs.setdefault(table.catalog, {}).setdefault(table.schema, []).append(table)
        for catalog, schemas in sorted(catalogs.items()):
            items = [item for schema, tables in sorted(schemas.items()) for item in self._schema(catalog, schema, tables)]
            if catalog:
                yield GroupItem(_quoted(catalog), _quoted(catalog), catalog, "cat", children=items)
            else:
                yield from items

    def _schema(self, catalog: str, schema: str, tables: list[TableName]) -> list[CatalogItem]:
        items: list[CatalogItem] = [
            RelationItem.of(self, tuple(part for part in (catalog, schema, t.name) if part), "v" if t.format == "view" else "t") for t in sorted(tables)
        ]
        if not schema:
            return items
        name = _quoted(*(part for part in (catalog, schema) if part))
        return [GroupItem(name, name, schema, "sch", children=items)]


class GroupItem(CatalogItem):
    """A catalog or a schema."""


@dataclass
class ColumnItem(CatalogItem):
    """A column. type_name: as SQL writes it."""


@dataclass
class RelationItem(InteractiveCatalogItem[LakesqlConnection]):
    """A table, a view or a metadata table; what it has is asked for when it is opened."""

    name: tuple[str, ...] = ()

    @classmethod
    def of(cls, connection: LakesqlConnection, name: tuple[str, ...], type_label: str) -> RelationItem:
        text = _quoted(*name)
        return cls(qualified_identifier=text, query_name=text, label=name[-1], type_label=type_label, connection=connection, name=name)

    def fetch_children(self) -> Sequence[CatalogItem]:
        """Its columns, then its metadata tables; nothing where it cannot be opened, so that a broken table breaks no listing."""
        from lakesql.frontends.completion_scope import TableRef

        if self.connection is None:
            return []
        names, ref = self.connection.names, TableRef(self.name)
        try:
            columns = [
                ColumnItem(f"{self.qualified_identifier}.{_quoted(c.name)}", _quoted(c.name), c.name, short_type(c.type), type_name=c.type)
                for c in names.columns(ref)
            ]
            system = names.system_tables(ref) if self.type_label == "t" else []
        except Error:
            return []
        return [*columns, *(RelationItem.of(self.connection, (*self.name[:-1], f"{self.name[-1]}${word}"), "sys") for word in system)]


class LakesqlAdapter(HarlequinAdapter):
    """Lakehouse tables. Always read-only."""

    ADAPTER_OPTIONS: ClassVar[list[AbstractOption]] = [
        TextOption(name="as-of", description="A version or an instant at which every table is read, unless the statement says otherwise."),
        PathOption(name="config", description="A lakesql.toml, instead of the one that is found.", exists=True, dir_okay=False),
    ]
    IMPLEMENTS_CANCEL = True
    IMPLEMENTS_CATALOG_SEARCH = True
    IMPLEMENTS_READ_ONLY = True
    ADAPTER_DETAILS = "Reads lakehouse tables and never writes one. The connection string is a table, a directory of tables, or a lakesql.toml."

    def __init__(
        self, conn_str: Sequence[str], read_only: bool = False, as_of: str | None = None, config: str | os.PathLike[str] | None = None, **_: Any
    ) -> None:
        targets = [text for text in conn_str if text]
        if len(targets) > 1:
            raise HarlequinConfigError(
                "lakesql takes one connection string: a table, a directory of tables, or a lakesql.toml", title="lakesql cannot open this"
            )
        self._target = targets[0] if targets else None
        self._as_of = as_of or None
        self._config = None if not config else os.fspath(config)

    @property
    def connection_id(self) -> str:
        """The same for the same place and options, and nothing can be read in it: a URL may hold a secret."""
        place = self._target if self._target and "://" in self._target else os.path.abspath(self._target or "")
        return hashlib.sha256(repr((place, self._as_of, self._config)).encode()).hexdigest()

    def connect(self) -> LakesqlConnection:
        import lakesql

        try:
            return LakesqlConnection(lakesql.connect(self._target, as_of=self._as_of, config=self._config))
        except Error as error:
            raise HarlequinConnectionError(str(error), title="lakesql could not connect") from error


def short_type(name: str) -> str:
    """harlequin's short label for a type, as SQL names it, parameters or not."""
    return "[]" if name.endswith("[]") else _SHORT_TYPES.get(name.split("(")[0], "?")


def _walk(items: Iterable[CatalogItem], parents: tuple[str, ...]) -> Iterator[tuple[CatalogItem, tuple[str, ...]]]:
    """All items below and the labels above each. A metadata table's own columns are left out: they are the same for every table of a format."""
    for item in items:
        yield item, parents
        children = item.children
        if isinstance(item, RelationItem) and item.type_label != "sys":
            children = item.fetch_children()
        yield from _walk(children, (*parents, item.label))


def _quoted(*parts: str) -> str:
    from lakesql.sql.outline import quoted

    return ".".join(quoted(part) for part in parts)


def _query_error(error: Error) -> HarlequinQueryError:
    return HarlequinQueryError(str(error), title="lakesql could not run this")
