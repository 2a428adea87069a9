"""SQLAlchemy's dialect `lakesql://`, over the DB-API.

    lakesql:///some/directory            what `connect` takes as its target: a table, a directory of tables, a lakesql.toml; absolute with four slashes
    lakesql://                           the configuration that is found
    lakesql:///lake?as_of=7&config=...   `connect`'s other arguments

Reflection asks catalogs and metadata alone: no data file is opened. Schemas are those of the default catalog; `catalog.schema` names one of another. What a
lake has no notion of (foreign keys, indexes, constraints) is empty, and so is the primary key: formats that know one do not tell it yet.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pyarrow as pa
from sqlalchemy import exc, types
from sqlalchemy.engine import URL, default, reflection
from sqlalchemy.sql import compiler
from sqlalchemy.sql.elements import BindParameter

from lakesql.errors import InterfaceError, UnknownTableError
from lakesql.frontends.dbapi import Connection
from lakesql.frontends.typecodes import TypeCode
from lakesql.session import Session

_PLAIN: dict[str, type[types.TypeEngine[Any]]] = {
    "BOOLEAN": types.BOOLEAN,
    "TINYINT": types.SMALLINT,
    "SMALLINT": types.SMALLINT,
    "INTEGER": types.INTEGER,
    "BIGINT": types.BIGINT,
    "UTINYINT": types.SMALLINT,
    "USMALLINT": types.INTEGER,
    "UINTEGER": types.BIGINT,
    "UBIGINT": types.NUMERIC,
    "HALF": types.REAL,
    "REAL": types.REAL,
    "DOUBLE": types.DOUBLE,
    "VARCHAR": types.VARCHAR,
    "UUID": types.Uuid,
    "BLOB": types.BLOB,
    "DATE": types.DATE,
    "TIME": types.TIME,
    "TIMESTAMP": types.TIMESTAMP,
    "INTERVAL": types.Interval,
    "STRUCT": types.JSON,
    "MAP": types.JSON,
    "NULL": types.NullType,
}


def type_of(arrow: pa.DataType) -> types.TypeEngine[Any]:
    """SQLAlchemy's type for a column of this Arrow type."""
    code = TypeCode(arrow)
    if code == "DECIMAL":
        return types.NUMERIC(arrow.precision, arrow.scale)
    if code == "TIMESTAMPTZ":
        return types.TIMESTAMP(timezone=True)
    if code == "ARRAY":
        return types.ARRAY(type_of(arrow.value_type))
    return _PLAIN.get(str(code), types.NullType)()


class LakesqlCompiler(compiler.SQLCompiler):
    """SQL as DataFusion takes it: LIMIT and OFFSET as PostgreSQL has them, which is the default, but never LIMIT -1."""

    def limit_clause(self, select: Any, **kw: Any) -> str:
        text = ""
        if select._limit_clause is not None:
            text += f"\n LIMIT {self.process(select._limit_clause, **kw)}"
        if select._offset_clause is not None:
            text += f"\n OFFSET {self.process(select._offset_clause, **kw)}"
        return text

    def for_update_clause(self, select: Any, **kw: Any) -> str:
        return ""

    def visit_concat_op_binary(self, binary: Any, operator: Any, **kw: Any) -> str:
        """A parameter has no type for the engine until it is cast, and `? || ?` would have none at all."""
        sides = (binary.left, binary.right)
        return " || ".join(f"CAST({text} AS VARCHAR)" if isinstance(side, BindParameter) else text for side in sides for text in (self.process(side, **kw),))

    def visit_mod_binary(self, binary: Any, operator: Any, **kw: Any) -> str:
        return f"{self.process(binary.left, **kw)} % {self.process(binary.right, **kw)}"


class LakesqlPreparer(compiler.IdentifierPreparer):
    """Names with capitals are quoted, as names with `$` are: unquoted ones are folded."""

    illegal_initial_characters = compiler.ILLEGAL_INITIAL_CHARACTERS | {"_"}


class LakesqlTypeCompiler(compiler.GenericTypeCompiler):
    """Types as CAST takes them."""

    def visit_uuid(self, type_: Any, **kw: Any) -> str:
        return "VARCHAR"

    def visit_DOUBLE(self, type_: Any, **kw: Any) -> str:
        return "DOUBLE"

    def visit_BLOB(self, type_: Any, **kw: Any) -> str:
        return "BYTEA"

    def visit_TIMESTAMP(self, type_: Any, **kw: Any) -> str:
        return "TIMESTAMP WITH TIME ZONE" if type_.timezone else "TIMESTAMP"

    visit_DATETIME = visit_TIMESTAMP


class LakesqlDialect(default.DefaultDialect):
    """Reads; what SQLAlchemy would write is refused by the DB-API."""

    name = "lakesql"
    driver = "dbapi"
    default_paramstyle = "qmark"
    statement_compiler = LakesqlCompiler
    preparer = LakesqlPreparer
    type_compiler_cls = LakesqlTypeCompiler
    supports_statement_cache = True
    supports_sane_rowcount = False
    supports_sane_multi_rowcount = False
    supports_native_boolean = True
    supports_native_decimal = True
    supports_native_uuid = False
    supports_default_values = False
    supports_empty_insert = False
    supports_multivalues_insert = True
    supports_alter = False
    supports_sequences = False
    supports_comments = True
    supports_schemas = True
    supports_views = True
    insert_returning = False
    postfetch_lastrowid = False
    max_identifier_length = 255

    @classmethod
    def import_dbapi(cls) -> ModuleType:
        import lakesql

        return lakesql

    def create_connect_args(self, url: URL) -> tuple[list[Any], dict[str, Any]]:
        """The target and the keyword arguments of `lakesql.connect`."""
        options = dict(url.query)
        unknown = set(options) - {"as_of", "config", "engine"}
        if unknown:
            raise exc.ArgumentError(f"lakesql:// takes as_of, config and engine, not {', '.join(sorted(unknown))}")
        if url.host or url.username or url.password:
            raise exc.ArgumentError("lakesql:// has no host and no user: write lakesql:///path, with four slashes for an absolute path")
        return [url.database or None], options

    def do_rollback(self, dbapi_connection: Any) -> None:
        """Nothing is ever pending."""

    def do_ping(self, dbapi_connection: Any) -> bool:
        return not dbapi_connection.closed

    def is_disconnect(self, e: Any, connection: Any, cursor: Any) -> bool:
        return isinstance(e, InterfaceError) and "is closed" in str(e)

    def _get_server_version_info(self, connection: Any) -> tuple[int, ...]:
        import lakesql

        return tuple(int(part) for part in lakesql.__version__.split(".")[:3] if part.isdecimal())

    def _get_default_schema_name(self, connection: Any) -> str | None:
        catalogs = _session(connection).catalogs
        first = next(iter(catalogs.catalogs.values()), None)
        return None if first is None else first.default_schema

    # Reflection ----------------------------------------------------------------------------------------------------------------------------------------

    @reflection.cache  # type: ignore[untyped-decorator]
    def get_schema_names(self, connection: Any, **kw: Any) -> list[str]:
        catalogs = _session(connection).catalogs
        several = len(catalogs.catalogs) > 1
        return sorted({f"{catalog}.{schema}" if several else schema for catalog, schema in catalogs.schemas()})

    @reflection.cache  # type: ignore[untyped-decorator]
    def get_table_names(self, connection: Any, schema: str | None = None, **kw: Any) -> list[str]:
        catalogs = _session(connection).catalogs
        if schema is None and (default_schema := self.default_schema_name) is not None:
            schema = default_schema
        found = {entry.name for _, entry in catalogs.tables(schema)}
        if schema == self.default_schema_name:
            found |= {entry.name for entry in catalogs.given.values()}
        return sorted(found)

    @reflection.cache  # type: ignore[untyped-decorator]
    def get_view_names(self, connection: Any, schema: str | None = None, **kw: Any) -> list[str]:
        return sorted(_session(connection).views) if schema in (None, self.default_schema_name) else []

    @reflection.cache  # type: ignore[untyped-decorator]
    def has_table(self, connection: Any, table_name: str, schema: str | None = None, **kw: Any) -> bool:
        try:
            self._describe(connection, table_name, schema)
        except exc.NoSuchTableError:
            return False
        return True

    @reflection.cache  # type: ignore[untyped-decorator]
    def get_columns(self, connection: Any, table_name: str, schema: str | None = None, **kw: Any) -> list[dict[str, Any]]:
        told = self._told(connection, table_name, schema)
        return [
            {
                "name": field.name,
                "type": type_of(field.type),
                "nullable": told.get(field.name, ("YES", None))[0] == "YES",
                "default": None,
                "autoincrement": False,
                "comment": told.get(field.name, ("YES", None))[1],
            }
            for field in self._describe(connection, table_name, schema)
        ]

    def _told(self, connection: Any, table_name: str, schema: str | None) -> dict[str, tuple[str, str | None]]:
        """What the table itself says of its columns: whether they may be null, and their comments. Nothing for a view."""
        session = _session(connection)
        if schema in (None, self.default_schema_name) and table_name in session.views:
            return {}
        try:
            rows = session.execute(f"DESCRIBE {_named(table_name, schema)}").table().to_pylist()
        except UnknownTableError as error:
            raise exc.NoSuchTableError(table_name) from error
        return {row["column_name"]: (row["is_nullable"], row["comment"]) for row in rows}

    def _describe(self, connection: Any, table_name: str, schema: str | None) -> pa.Schema:
        """The table's Arrow schema, from planning a statement that is not run. Raises NoSuchTableError."""
        try:
            result = _session(connection).execute(f"SELECT * FROM {_named(table_name, schema)}")
        except UnknownTableError as error:
            raise exc.NoSuchTableError(table_name) from error
        result.close()
        return result.schema

    def _nothing(self, connection: Any, table_name: str, schema: str | None) -> list[Any]:
        if not self.has_table(connection, table_name, schema):
            raise exc.NoSuchTableError(table_name)
        return []

    def get_pk_constraint(self, connection: Any, table_name: str, schema: str | None = None, **kw: Any) -> Any:
        return {"constrained_columns": self._nothing(connection, table_name, schema), "name": None}

    def get_foreign_keys(self, connection: Any, table_name: str, schema: str | None = None, **kw: Any) -> Any:
        return self._nothing(connection, table_name, schema)

    def get_indexes(self, connection: Any, table_name: str, schema: str | None = None, **kw: Any) -> Any:
        return self._nothing(connection, table_name, schema)

    def get_unique_constraints(self, connection: Any, table_name: str, schema: str | None = None, **kw: Any) -> Any:
        return self._nothing(connection, table_name, schema)

    def get_check_constraints(self, connection: Any, table_name: str, schema: str | None = None, **kw: Any) -> Any:
        return self._nothing(connection, table_name, schema)

    def get_table_comment(self, connection: Any, table_name: str, schema: str | None = None, **kw: Any) -> Any:
        self._nothing(connection, table_name, schema)
        return {"text": None}


def _named(table_name: str, schema: str | None) -> str:
    """The table's whole name as SQL."""
    parts = [*([] if schema is None else schema.split(".")), table_name]
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)


def _session(connection: Any) -> Session:
    """The session behind a SQLAlchemy connection."""
    opened = connection.connection.dbapi_connection
    assert isinstance(opened, Connection)
    return opened.session
