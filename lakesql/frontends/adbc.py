"""What ADBC asks of a connection beside PEP 249: which tables there are, and their columns, as Arrow in ADBC's own layout.

Source: ADBC's adbc.h, AdbcConnectionGetObjects.
"""

from __future__ import annotations

import re
from typing import Any

import pyarrow as pa

from lakesql.errors import Error, ProgrammingError
from lakesql.frontends.types import sql_type_name
from lakesql.session import Session

DEPTHS = ("all", "catalogs", "db_schemas", "tables", "columns")

_TEXT, _SHORT, _INT, _FLAG = pa.string(), pa.int16(), pa.int32(), pa.bool_()
_USAGE = pa.struct([("fk_catalog", _TEXT), ("fk_db_schema", _TEXT), pa.field("fk_table", _TEXT, False), pa.field("fk_column_name", _TEXT, False)])
_CONSTRAINT = pa.struct(
    [
        ("constraint_name", _TEXT),
        pa.field("constraint_type", _TEXT, False),
        pa.field("constraint_column_names", pa.list_(_TEXT), False),
        ("constraint_column_usage", pa.list_(_USAGE)),
    ]
)
_COLUMN = pa.struct(
    [
        pa.field("column_name", _TEXT, False),
        ("ordinal_position", _INT),
        ("remarks", _TEXT),
        ("xdbc_data_type", _SHORT),
        ("xdbc_type_name", _TEXT),
        ("xdbc_column_size", _INT),
        ("xdbc_decimal_digits", _SHORT),
        ("xdbc_num_prec_radix", _SHORT),
        ("xdbc_nullable", _SHORT),
        ("xdbc_column_def", _TEXT),
        ("xdbc_sql_data_type", _SHORT),
        ("xdbc_datetime_sub", _SHORT),
        ("xdbc_char_octet_length", _INT),
        ("xdbc_is_nullable", _TEXT),
        ("xdbc_scope_catalog", _TEXT),
        ("xdbc_scope_schema", _TEXT),
        ("xdbc_scope_table", _TEXT),
        ("xdbc_is_autoincrement", _FLAG),
        ("xdbc_is_generatedcolumn", _FLAG),
    ]
)
_TABLE = pa.struct(
    [
        pa.field("table_name", _TEXT, False),
        pa.field("table_type", _TEXT, False),
        ("table_columns", pa.list_(_COLUMN)),
        ("table_constraints", pa.list_(_CONSTRAINT)),
    ]
)
_SCHEMA = pa.struct([("db_schema_name", _TEXT), ("db_schema_tables", pa.list_(_TABLE))])
OBJECTS = pa.schema([("catalog_name", _TEXT), ("catalog_db_schemas", pa.list_(_SCHEMA))])


def info() -> dict[str | int, Any]:
    """What the driver is, by ADBC's names."""
    import lakesql

    return {"vendor_name": "lakesql", "vendor_version": lakesql.__version__, "driver_name": "lakesql", "driver_version": lakesql.__version__}


def objects(session: Session, depth: str, catalog: str | None, db_schema: str | None, table_name: str | None, column_name: str | None) -> pa.Table:
    """Catalogs, schemas, tables and columns, as deep as `depth` says, filtered by LIKE patterns. Tables given by name are in the catalog ""."""
    if depth not in DEPTHS:
        raise ProgrammingError(f'no depth is called "{depth}"', hint=f"there are {', '.join(DEPTHS)}")
    level = DEPTHS.index("columns" if depth == "all" else depth)
    found: dict[str, dict[str, list[str]]] = {name: {} for name in session.catalogs.catalogs if _matches(name, catalog)}
    if level > 1:
        for owner, schema in session.catalogs.schemas():
            if owner in found and _matches(schema, db_schema):
                found[owner].setdefault(schema, [])
        for owner, entry in session.catalogs.tables():
            if _matches(owner, catalog) and _matches(entry.schema, db_schema) and _matches(entry.name, table_name):
                found.setdefault(owner, {}).setdefault(entry.schema, []).append(entry.name)
    rows = [
        {
            "catalog_name": owner,
            "catalog_db_schemas": None
            if level == 1
            else [
                {
                    "db_schema_name": schema,
                    "db_schema_tables": None if level == 2 else [_table(session, (owner, schema, name), level == 4, column_name) for name in sorted(names)],
                }
                for schema, names in sorted(schemas.items())
            ],
        }
        for owner, schemas in sorted(found.items())
    ]
    return pa.Table.from_pylist(rows, schema=OBJECTS)


def table_schema(session: Session, table_name: str, catalog: str | None = None, db_schema: str | None = None) -> pa.Schema:
    """The Arrow schema of a table's rows; none of them is read."""
    parts = [*(p for p in (catalog, *(db_schema or "").split(".")) if p), table_name]
    result = session.execute("SELECT * FROM " + ".".join('"' + p.replace('"', '""') + '"' for p in parts))
    result.close()
    return result.schema


def _table(session: Session, named: tuple[str, str, str], with_columns: bool, pattern: str | None) -> dict[str, Any]:
    columns = None
    if with_columns:
        owner, schema, name = named
        try:
            columns = [_column(i, f) for i, f in enumerate(table_schema(session, name, owner, schema), 1) if _matches(f.name, pattern)]
        except Error:  # one table that cannot be read hides none of the others: its columns are not known
            columns = None
    return {"table_name": named[2], "table_type": "TABLE", "table_columns": columns, "table_constraints": None}


def _column(position: int, field: pa.Field) -> dict[str, Any]:
    return {
        "column_name": field.name,
        "ordinal_position": position,
        "xdbc_type_name": sql_type_name(field.type),
        "xdbc_nullable": int(field.nullable),
        "xdbc_is_nullable": "YES" if field.nullable else "NO",
    }


def _matches(name: str, pattern: str | None) -> bool:
    if pattern is None:
        return True
    return re.fullmatch("".join(".*" if c == "%" else "." if c == "_" else re.escape(c) for c in pattern), name, re.DOTALL) is not None
