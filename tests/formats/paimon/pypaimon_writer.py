"""A table written by pypaimon, step by step, as JSON on stdin says; prints the number of the newest snapshot after each step.

It runs under an interpreter that has pypaimon, so it imports nothing of lakesql or of these tests. A step is a list:

    ["write", names, rows]          a batch; types are those of the schema. Rows of a table with `rowkind.field` say their kind there
    ["replace", names, rows]        all rows anew, on the top level: what a full compaction leaves, which pypaimon itself does not do
    ["alter", changes]              each ["add", name, type], ["rename", old, new], ["drop", name] or ["type", name, type]
    ["update", names, rows]         columns of rows that are there, the first being `_ROW_ID`
    ["delete", ids]                 rows by `_ROW_ID`
    ["tag", name]                   of the newest snapshot
"""

from __future__ import annotations

import json
import sys
from typing import Any

import pyarrow as pa
from pypaimon import CatalogFactory, Schema
from pypaimon.schema.data_types import AtomicType, PyarrowFieldParser
from pypaimon.schema.schema_change import SchemaChange

NAME = "default.t"
TOP_LEVEL = 5
TYPES = {"INT": pa.int32(), "BIGINT": pa.int64(), "STRING": pa.string()}


def main() -> None:
    """See the module."""
    task = json.load(sys.stdin)
    catalog = CatalogFactory.create({"warehouse": task["warehouse"]})
    catalog.create_database("default", True)
    fields = [pa.field(n, TYPES[t], nullable=n not in task["primary_keys"]) for n, t in task["columns"]]
    schema = Schema.from_pyarrow_schema(pa.schema(fields), primary_keys=task["primary_keys"], partition_keys=task["partition_keys"], options=task["options"])
    catalog.create_table(NAME, schema, False)
    after = []
    for step in task["steps"]:
        run(catalog, step)
        newest = catalog.get_table(NAME).snapshot_manager().get_latest_snapshot()
        after.append(0 if newest is None else newest.id)
    json.dump(after, sys.stdout)


def run(catalog: Any, step: list[Any]) -> None:
    """One step."""
    table = catalog.get_table(NAME)
    match step:
        case ["write", names, rows]:
            write(table, table.new_batch_write_builder(), names, rows, 0)
        case ["replace", names, rows]:
            write(table, table.new_batch_write_builder().overwrite(), names, rows, TOP_LEVEL if table.is_primary_key_table else 0)
        case ["alter", changes]:
            catalog.alter_table(NAME, [change(*c) for c in changes])
        case ["update", names, rows]:
            builder = table.new_batch_write_builder()
            update = builder.new_update().with_update_type(names[1:])
            commit(builder, update.update_by_arrow_with_row_id(arrow(table, names, rows)))
        case ["delete", ids]:
            builder = table.new_batch_write_builder()
            commit(builder, builder.new_update().delete_by_row_id(ids))
        case ["tag", name]:
            table.create_tag(name)
        case _:
            raise ValueError(f"no such step: {step}")


def write(table: Any, builder: Any, names: list[str], rows: list[list[Any]], level: int) -> None:
    """A commit of rows, on a level."""
    writer = builder.new_write()
    writer.write_arrow(arrow(table, names, rows))
    messages = writer.prepare_commit()
    for message in messages:
        for file in message.new_files:
            file.level = level
    commit(builder, messages)
    writer.close()


def commit(builder: Any, messages: list[Any]) -> None:
    """A commit."""
    committer = builder.new_commit()
    committer.commit(messages)
    committer.close()


def arrow(table: Any, names: list[str], rows: list[list[Any]]) -> pa.Table:
    """Rows with the types of the table's schema."""
    types = {f.name: f for f in PyarrowFieldParser.from_paimon_schema(table.table_schema.fields)}
    chosen = [types[n] if n in types else pa.field(n, pa.int64()) for n in names]
    return pa.table([pa.array([r[i] for r in rows], f.type) for i, f in enumerate(chosen)], schema=pa.schema(chosen))


def change(what: str, name: str, more: str = "") -> SchemaChange:
    """A change of the schema."""
    match what:
        case "add":
            return SchemaChange.add_column(name, AtomicType(more))
        case "rename":
            return SchemaChange.rename_column(name, more)
        case "drop":
            return SchemaChange.drop_column(name)
        case _:
            return SchemaChange.update_column_type(name, AtomicType(more))


if __name__ == "__main__":
    main()
