"""One native Parquet scan over an explicit list of files.

Python registers one path per listing table, but DataFusion's serialised plans have a repeated `paths` field. So: let DataFusion plan a scan of the first
file, replace the paths in the serialised plan, and let DataFusion read it back. The descriptor below names only the fields that change; protobuf keeps the
rest as unknown fields. Field numbers: datafusion-proto 55, `LogicalPlanNode` and `ListingTableScanNode`; hence the pin on DataFusion's major version.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from functools import cache
from typing import Any

import pyarrow as pa
from datafusion import DataFrame, LogicalPlan, SessionContext
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_FIELD = descriptor_pb2.FieldDescriptorProto
_NOWHERE = "file:///lakesql/placeholder.parquet"
_TEMPLATES_KEPT = 256
INT96_UNIT = "datafusion.execution.parquet.coerce_int96"
"""What INT96 timestamps are read as: microseconds, whose years are all there are, but for columns that ask for nanoseconds."""


class Scans:
    """Scans of Parquet files in one session context. Serialised scans are kept by schema: making one costs a quarter of a millisecond."""

    def __init__(self, context: SessionContext) -> None:
        self._context = context
        self._kept: OrderedDict[pa.Schema, bytes] = OrderedDict()

    def files(self, urls: Sequence[str], schema: pa.Schema) -> DataFrame:
        """All rows of the Parquet files at `urls`, read as `schema`; footers are read when the statement is planned, not here."""
        return self._listing(urls, schema, None)

    def placeholder(self, name: str, schema: pa.Schema) -> DataFrame:
        """A scan called `name` that can be planned but never run. Listing tables take every predicate as inexact, so an optimised plan shows them all."""
        return self._listing([_NOWHERE], schema, name)

    def _listing(self, urls: Sequence[str], schema: pa.Schema, name: str | None) -> DataFrame:
        message = _plan_message().FromString(self._template(schema))
        scan = message.listing
        del scan.paths[:]
        scan.paths.extend(urls)
        scan.file_extension = ""
        if name is not None:
            scan.table.bare.table = name
        return self._context.create_dataframe_from_logical_plan(LogicalPlan.from_bytes(self._context, message.SerializeToString()))

    def _template(self, schema: pa.Schema) -> bytes:
        """A serialised scan of one file as `schema`; the file need not exist."""
        plan = self._kept.get(schema)
        if plan is None:
            finer = any(_is_nanoseconds(x.type) for x in schema)
            if finer:
                self._context.sql(f"SET {INT96_UNIT} = 'ns'")
            try:
                plan = self._kept[schema] = self._context.read_parquet(_NOWHERE, schema=schema, file_extension="").logical_plan().to_bytes()
            finally:
                if finer:
                    self._context.sql(f"SET {INT96_UNIT} = 'us'")
            while len(self._kept) > _TEMPLATES_KEPT:
                self._kept.popitem(last=False)
        return plan


def _is_nanoseconds(type_: pa.DataType) -> bool:
    if pa.types.is_nested(type_):
        return any(_is_nanoseconds(type_.field(i).type) for i in range(type_.num_fields))
    return bool(pa.types.is_timestamp(type_) and type_.unit == "ns")


@cache
def _plan_message() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="lakesql_plan.proto", package="lakesql", syntax="proto3")

    def message(name: str, *fields: tuple[str, int, str | None, bool]) -> None:
        entry = file.message_type.add(name=name)
        for field, number, kind, repeated in fields:
            added = entry.field.add(name=field, number=number)
            added.label = _FIELD.LABEL_REPEATED if repeated else _FIELD.LABEL_OPTIONAL
            added.type = _FIELD.TYPE_STRING if kind is None else _FIELD.TYPE_MESSAGE
            if kind is not None:
                added.type_name = f".lakesql.{kind}"

    message("Plan", ("listing", 1, "Listing", False))
    message("Listing", ("paths", 2, None, True), ("file_extension", 3, None, False), ("table", 14, "TableReference", False))
    message("TableReference", ("bare", 1, "BareTable", False))
    message("BareTable", ("table", 1, None, False))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("lakesql.Plan"))
