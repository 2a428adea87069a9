"""The dialect under SQLAlchemy's suite: lakesql's, with a lake that deltalake writes.

The suite makes its tables with CREATE TABLE and INSERT, and lakesql writes nothing. So these two and DROP TABLE are taken out of SQLAlchemy's hands here, as
its own objects, and done by deltalake in the directory that lakesql reads. Every other statement, and every row that comes back, is lakesql's own.
"""

from __future__ import annotations

import itertools
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy import pool
from sqlalchemy.sql import ddl, elements

from lakesql.frontends.sqlalchemy import LakesqlDialect

_NUMBERS = itertools.count(1)


class SuiteDialect(LakesqlDialect):
    """One session per connection: a table that is dropped and made again at the same place is another table."""

    supports_statement_cache = True
    lake: Path

    @classmethod
    def get_pool_class(cls, url: Any) -> type[pool.Pool]:
        return pool.NullPool

    def create_connect_args(self, url: Any) -> Any:
        type(self).lake = Path(url.database)
        return super().create_connect_args(url)

    def do_execute(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        if not self._wrote(context):
            super().do_execute(cursor, statement, parameters, context)

    def do_execute_no_params(self, cursor: Any, statement: str, context: Any = None) -> None:
        if not self._wrote(context):
            super().do_execute_no_params(cursor, statement, context)

    def do_executemany(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        if not self._wrote(context):
            super().do_executemany(cursor, statement, parameters, context)

    def _wrote(self, context: Any) -> bool:
        compiled = getattr(context, "compiled", None)
        match getattr(compiled, "statement", None):
            case ddl.CreateTable(element=table):
                self._append(table, [])
            case ddl.DropTable(element=table):
                shutil.rmtree(self.lake / table.name)
            case ddl.SetTableComment() | ddl.SetColumnComment() | ddl.CreateIndex() | ddl.DropIndex():
                pass
            case sa.Delete(table=table, whereclause=None):
                deltalake.DeltaTable(str(self.lake / table.name)).delete()
            case sa.Insert(table=table) as insert if insert.select is None and not insert._returning:
                self._append(table, [self._row(table, insert, given) for given in context.compiled_parameters])
            case _:
                return False
        return True

    def _row(self, table: sa.Table, insert: sa.Insert, given: dict[str, Any]) -> dict[str, Any]:
        row = {}
        said = insert._values or {}
        for column in table.c:
            value = given.get(column.key)
            written = said.get(column, said.get(column.key))
            if column.key not in given and isinstance(written, elements.BindParameter):
                value = written.value  # a literal that is written into the text
            if value is None and column.key not in given and column is table.autoincrement_column:
                value = next(_NUMBERS)
            bound = column.type.dialect_impl(self).bind_processor(self)
            row[column.name] = bound(value) if bound is not None else value
        return row

    def _append(self, table: sa.Table, rows: list[dict[str, Any]]) -> None:
        for column in table.c:
            arrow = _arrow(column.type)
            for row in rows:
                if row.get(column.name) is not None and (pa.types.is_decimal(arrow) or pa.types.is_floating(arrow)):
                    row[column.name] = Decimal(str(row[column.name])) if pa.types.is_decimal(arrow) else float(row[column.name])
        schema = pa.schema([pa.field(c.name, _arrow(c.type), bool(c.nullable), {"comment": c.comment} if c.comment else None) for c in table.c])
        deltalake.write_deltalake(str(self.lake / table.name), pa.Table.from_pylist(rows, schema=schema), mode="append")


def _arrow(type_: Any) -> pa.DataType:
    """The Arrow type that deltalake is given for a column."""
    if isinstance(type_, sa.types.TypeDecorator):
        return _arrow(type_.impl_instance)
    if isinstance(type_, sa.SmallInteger):
        return pa.int16()
    if isinstance(type_, sa.BigInteger):
        return pa.int64()
    if isinstance(type_, sa.Integer):
        return pa.int32()
    if isinstance(type_, sa.Float):
        return pa.float64()
    if isinstance(type_, sa.Numeric):
        return pa.decimal128(type_.precision or 38, type_.scale or 0 if type_.precision else 10)
    if isinstance(type_, sa.Boolean):
        return pa.bool_()
    if isinstance(type_, sa.DateTime):
        return pa.timestamp("us", tz="UTC" if type_.timezone else None)
    if isinstance(type_, sa.Date):
        return pa.date32()
    if isinstance(type_, sa.LargeBinary):
        return pa.binary()
    return pa.string()
