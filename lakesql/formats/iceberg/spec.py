"""Partition specs: how a table's files are divided, one spec for every way it ever was. Source: Iceberg table spec, "Partitioning"."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa

from lakesql.errors import MetadataError
from lakesql.formats.iceberg.checked import objects, optional_whole, text
from lakesql.formats.iceberg.schema import Schema
from lakesql.formats.iceberg.types import FIELD_ID, Field, Primitive

_PARAMETER = re.compile(r"(bucket|truncate)\[\s*(\d{1,10})\s*\]")
_FIRST_FIELD_ID = 1000


class Kind(enum.Enum):
    """What a transform does."""

    IDENTITY = "identity"
    BUCKET = "bucket"
    TRUNCATE = "truncate"
    YEAR = "year"
    MONTH = "month"
    DAY = "day"
    HOUR = "hour"
    VOID = "void"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Transform:
    """text: as the spec in the metadata has it; parameter: N of bucket[N], W of truncate[W], else 0."""

    kind: Kind
    text: str
    parameter: int = 0

    def result_type(self, source: pa.DataType | None) -> pa.DataType | None:
        """The Arrow type of the transformed values; None where it is not known. source: None where the source column is not known any more."""
        match self.kind:
            case Kind.BUCKET | Kind.YEAR | Kind.MONTH | Kind.HOUR:
                return pa.int32()
            case Kind.DAY:
                return pa.date32()
            case Kind.IDENTITY | Kind.TRUNCATE | Kind.VOID:
                return source
            case Kind.UNKNOWN:
                return None


@dataclass(frozen=True)
class PartitionField:
    """One value of the partition tuple. source_ids: field ids of what it is made from, mostly one."""

    source_ids: tuple[int, ...]
    id: int
    name: str
    transform: Transform

    @property
    def source_id(self) -> int | None:
        """The field it is made from, None where it is made from several."""
        return self.source_ids[0] if len(self.source_ids) == 1 else None


@dataclass(frozen=True)
class PartitionSpec:
    """How files are divided. fields: in the order of the tuple."""

    id: int
    fields: tuple[PartitionField, ...]

    @cached_property
    def is_unpartitioned(self) -> bool:
        """Whether there are no values, or void ones only."""
        return all(f.transform.kind is Kind.VOID for f in self.fields)


def parse_transform(spelled: str) -> Transform:
    """A transform by its name; one that is not known is `UNKNOWN`, never an error, as the spec wants it.

    >>> parse_transform("bucket[16]")
    Transform(kind=<Kind.BUCKET: 'bucket'>, text='bucket[16]', parameter=16)
    """
    name = spelled.strip().lower()
    if found := _PARAMETER.fullmatch(name):
        parameter = int(found[2])
        return Transform(Kind(found[1]), spelled, parameter) if 0 < parameter < 2**31 else Transform(Kind.UNKNOWN, spelled)
    if name in ("identity", "year", "month", "day", "hour", "void"):
        return Transform(Kind(name), spelled)
    return Transform(Kind.UNKNOWN, spelled)


def parse_spec(raw: Mapping[str, Any], source: str) -> PartitionSpec:
    """A spec in JSON, as in `partition-specs`. Raises MetadataError."""
    id_ = optional_whole(raw, "spec-id", source) or 0
    where = f"{source}, partition spec {id_}"
    return PartitionSpec(id_, tuple(_field(f, position, where) for position, f in enumerate(objects(raw, "fields", where))))


def parse_field_list(raw: Any, source: str, id_: int = 0) -> PartitionSpec:
    """A bare list of fields, as version 1 and manifest headers have it; an object with `fields` is taken too."""
    if isinstance(raw, dict):
        return parse_spec({"spec-id": id_, **raw}, source)
    return parse_spec({"spec-id": id_, "fields": raw}, source)


def source_field(schemas: Sequence[Schema], partition: PartitionField) -> Field | None:
    """The column a partition field is made from, in the first of the schemas that has it; None where none has."""
    if partition.source_id is None:
        return None
    return next((s.by_id[partition.source_id] for s in schemas if partition.source_id in s.by_id), None)


def partition_type(spec: PartitionSpec, schemas: Sequence[Schema]) -> pa.DataType:
    """The struct of a spec's values, fields in order and with their ids; a value whose type is not known is left out."""
    fields = []
    for field in spec.fields:
        type_ = value_type(field, schemas)
        if type_ is not None:
            fields.append(pa.field(field.name, type_, metadata={FIELD_ID: str(field.id)}))
    return pa.struct(fields)


def value_type(field: PartitionField, schemas: Sequence[Schema]) -> pa.DataType | None:
    """The Arrow type of one value of the tuple, None where it is not known: unknown transforms, columns that are in no schema."""
    column = source_field(schemas, field)
    source = column.type.arrow if column is not None and isinstance(column.type, Primitive) else None
    type_ = field.transform.result_type(source)
    return None if type_ is None or pa.types.is_null(type_) else type_


def _field(raw: Mapping[str, Any], position: int, source: str) -> PartitionField:
    name = text(raw, "name", source)
    many = raw.get("source-ids")
    if isinstance(many, list) and many and all(isinstance(i, int) for i in many):
        sources = tuple(many)
    else:
        one = optional_whole(raw, "source-id", source)
        if one is None:
            raise MetadataError(f"{source}: field {name} has no source-id")
        sources = (one,)
    id_ = optional_whole(raw, "field-id", source)
    return PartitionField(sources, _FIRST_FIELD_ID + position if id_ is None else id_, name, parse_transform(text(raw, "transform", source)))
