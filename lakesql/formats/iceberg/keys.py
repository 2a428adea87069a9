"""Key columns of equality deletes: where they are in data files and in delete files, whether the statement reads them or not.

A key may be a field of a struct, renamed since, widened since, or dropped from the table: it is found by its id, in the schema that is read or else in any
the table had. A null struct makes its fields null. Source: Iceberg table spec, "Equality Delete Files".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from lakesql.errors import MetadataError, UnsupportedFeatureError
from lakesql.formats.iceberg.schema import Schema
from lakesql.formats.iceberg.types import Field, Primitive, Struct, arrow_type
from lakesql.relation import Col, Expression, Mapped


@dataclass(frozen=True)
class Key:
    """A key column. chain: the fields that lead to it, the column first; name: what it is called in the relation."""

    id: int
    chain: tuple[Field, ...]
    name: str

    @property
    def column(self) -> Field:
        """The column it is in."""
        return self.chain[0]

    @property
    def type(self) -> pa.DataType:
        """Its Arrow type."""
        return arrow_type(self.chain[-1].type)

    @property
    def narrow(self) -> Field:
        """The column with nothing but the way to the key."""
        field = self.chain[-1]
        for outer in reversed(self.chain[:-1]):
            field = replace(outer, type=Struct((field,)), default=None)
        return field


def find_keys(ids: Sequence[int], schemas: Sequence[Schema], fresh: Callable[[str], str], source: str) -> dict[int, Key]:
    """The key columns of these ids, in the first of the schemas that has them. Raises MetadataError for an id that no schema has, UnsupportedFeatureError for
    one in a list or map.
    """
    keys = {}
    for id_ in ids:
        chain = next((s.chains[id_] for s in schemas if id_ in s.chains), None)
        if chain is None:
            raise MetadataError(f"{source}: equality deletes compare field {id_}, which no schema of the table has")
        if not isinstance(chain[-1].type, Primitive) or not all(isinstance(f.type, Struct) for f in chain[:-1]):
            name = ".".join(f.name for f in chain)
            raise UnsupportedFeatureError(
                f"{source}: equality deletes compare {name}, a {chain[-1].type} or part of one", feature="equality deletes on lists and maps"
            )
        keys[id_] = Key(id_, chain, fresh(f"key {id_}"))
    return keys


def expression(key: Key, column: str, held: pa.DataType) -> Expression:
    """The key out of its column, which is called `column` and of type `held`."""
    if len(key.chain) == 1:
        return Col(column)
    path, type_ = [], held
    for field in key.chain[1:]:
        index = next(i for i in range(type_.num_fields) if _id(type_.field(i)) == field.id)
        path.append(index)
        type_ = type_.field(index).type
    return Mapped(Col(column), lambda values: pc.struct_field(values, path), key.type)


def with_key(column: Field, chain: Sequence[Field]) -> Field:
    """A column with the fields of the chain added to it, where it does not have them; chain: from the column down."""
    if len(chain) < 2 or not isinstance(column.type, Struct):
        return column
    fields = list(column.type.fields)
    place = next((i for i, f in enumerate(fields) if f.id == chain[1].id), None)
    if place is None:
        field = chain[-1]
        for outer in reversed(chain[1:-1]):
            field = replace(outer, type=Struct((field,)), default=None)
        taken = {f.name for f in fields}
        name = field.name
        while name in taken:
            name += "'"
        return replace(column, type=Struct((*fields, replace(field, name=name))))
    fields[place] = with_key(fields[place], chain[1:])
    return replace(column, type=Struct(tuple(fields)))


def cut(column: str, held: Field, wanted: Field) -> Expression:
    """A column without the fields that were added to it."""
    if held == wanted:
        return Col(column)
    type_ = arrow_type(wanted.type)
    return Mapped(Col(column), lambda values: _cut(values, held, wanted), type_)


def _cut(values: pa.Array, held: Field, wanted: Field) -> pa.Array:
    if held == wanted or not isinstance(held.type, Struct) or not isinstance(wanted.type, Struct):
        return values
    by_id: Mapping[int, int] = {f.id: i for i, f in enumerate(held.type.fields)}
    children = [_cut(values.field(by_id[f.id]), held.type.fields[by_id[f.id]], f) for f in wanted.type.fields]
    mask = values.is_null() if values.null_count else None
    return pa.StructArray.from_arrays(children, names=[f.name for f in wanted.type.fields], mask=mask)


def _id(field: pa.Field) -> int:
    return int((field.metadata or {}).get(b"PARQUET:field_id", b"-1"))
