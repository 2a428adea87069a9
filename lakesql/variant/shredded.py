"""A variant column as Parquet holds it -> JSON text: what was shredded into typed columns is put together with what was left as bytes.

At every place - the column itself, a field of a shredded object, an element of a shredded array - a pair (value, typed_value) tells which it is: bytes,
typed, both (an object of which some fields are typed), or neither (a field that is not there). Source: Parquet, "Variant Shredding".
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lakesql.errors import DataFileError
from lakesql.variant.binary import MAX_DEPTH, OBJECT, Dictionaries, Ints, Values, children_of, joined, value_texts
from lakesql.variant.text import quoted, scalar_texts

Mask = npt.NDArray[np.bool_]


def to_json(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """The JSON text of each variant in a column of structs of `metadata`, `value` and, perhaps, `typed_value`, in any order; null where the struct is null.

    Raises DataFileError for a struct without these fields, and for bytes that are no variant.
    """
    if isinstance(column, pa.ChunkedArray):
        return pa.concat_arrays([to_json(chunk) for chunk in column.chunks]) if column.num_chunks else pa.array([], pa.string())
    if not pa.types.is_struct(column.type) or column.type.get_field_index("metadata") < 0 or not {"value", "typed_value"} & _names(column.type):
        raise DataFileError(f"a variant column has the type {column.type}; expected a struct of metadata, value and perhaps typed_value")
    there = np.asarray(column.is_valid())
    present = column if there.all() else column.filter(pa.array(there))
    texts = pa.array([], pa.string())
    if len(present):
        dictionaries = Dictionaries.of(pc.struct_field(present, "metadata"))
        made = _Place(dictionaries, np.arange(len(present), dtype=np.int64), present, 0).texts()
        texts = pc.fill_null(made, "null")  # neither value nor typed_value: only fields may be absent
    if there.all():
        return texts
    places = np.cumsum(there) - 1
    return texts.take(pa.array(places, mask=~there))


class _Place:
    """One place of the schema in many rows: the pair (value, typed_value) of each. rows: where each entry's field names are."""

    def __init__(self, dictionaries: Dictionaries, rows: Ints, pairs: pa.Array, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise DataFileError(f"a shredded variant is nested more than {MAX_DEPTH} levels deep")
        self._dictionaries = dictionaries
        self._rows = rows
        self._depth = depth
        self._count = len(pairs)
        self._value = _field(pairs, "value")
        self._typed = _field(pairs, "typed_value")

    def texts(self) -> pa.Array:
        """The text of each entry; null where nothing is there."""
        typed = _valid(self._typed, self._count)
        raw = _valid(self._value, self._count)
        made = pa.nulls(self._count, pa.string())
        for mask, make in ((raw & ~typed, self._raw_texts), (typed, self._typed_texts)):
            if mask.all():
                return make(np.arange(self._count, dtype=np.int64))
            if mask.any():
                made = pc.replace_with_mask(made, pa.array(mask), make(np.flatnonzero(mask)))
        return made

    def _raw_texts(self, chosen: Ints) -> pa.Array:
        assert self._value is not None
        return value_texts(self._values(chosen), self._dictionaries)

    def _values(self, chosen: Ints) -> Values:
        assert self._value is not None
        return Values.of(self._value.take(pa.array(chosen))).in_rows(self._rows[chosen])

    def _typed_texts(self, chosen: Ints) -> pa.Array:
        assert self._typed is not None
        typed = self._typed.take(pa.array(chosen))
        if pa.types.is_struct(typed.type):
            return self._objects(chosen, typed)
        if pa.types.is_list(typed.type) or pa.types.is_large_list(typed.type):
            return self._arrays(chosen, typed)
        return scalar_texts(typed)

    def _arrays(self, chosen: Ints, typed: pa.Array) -> pa.Array:
        lengths = np.asarray(pc.list_value_length(typed)).astype(np.int64)
        owners = np.repeat(np.arange(len(chosen)), lengths)
        elements = _Place(self._dictionaries, self._rows[chosen][owners], typed.flatten(), self._depth + 1)
        return joined(pc.fill_null(elements.texts(), "null"), owners, len(chosen), "[]")

    def _objects(self, chosen: Ints, typed: pa.Array) -> pa.Array:
        """Fields in the order of their names, as an object in bytes has them."""
        owners: list[Any] = []
        names: list[Any] = []
        texts: list[Any] = []
        for index in range(typed.type.num_fields):
            field = _Place(self._dictionaries, self._rows[chosen], pc.struct_field(typed, [index]), self._depth + 1).texts()
            there = np.flatnonzero(np.asarray(field.is_valid()))
            owners.append(there)
            names.append(pa.repeat(typed.type.field(index).name, len(there)))
            texts.append(field.take(pa.array(there)))
        for column, rest in zip((owners, names, texts), self._left_over(chosen), strict=True):
            column.append(rest)
        owner, name, text = np.concatenate(owners), pa.concat_arrays(names), pa.concat_arrays(texts)
        order = np.lexsort((_ranks(name), owner))
        members = pc.binary_join_element_wise(quoted(name), text, ":").take(pa.array(order))
        return joined(members, owner[order], len(chosen), "{}")

    def _left_over(self, chosen: Ints) -> tuple[Ints, pa.Array, pa.Array]:
        """Fields that were not shredded: owner, name and text of each."""
        partly = np.flatnonzero(_valid(self._value, self._count)[chosen])
        nothing = pa.array([], pa.string())
        if not len(partly):
            return np.empty(0, np.int64), nothing, nothing
        values = self._values(chosen[partly])
        if (values.kinds != OBJECT).any():
            raise DataFileError("a shredded variant has both typed fields and a value that is no object")
        children = children_of(values, OBJECT)
        assert children.ids is not None
        names = self._dictionaries.names(children.values.rows, children.ids)
        return partly[children.owners], names, value_texts(children.values, self._dictionaries, 1)


def _ranks(names: pa.Array) -> Ints:
    """The place of each name among the distinct ones, in the order of Java's strings: by UTF-16 units."""
    encoded = names.dictionary_encode()
    distinct = encoded.dictionary.to_pylist()
    ranks = np.empty(len(distinct), np.int64)
    ranks[sorted(range(len(distinct)), key=lambda i: distinct[i].encode("utf-16-be"))] = np.arange(len(distinct))
    found: Ints = ranks[np.asarray(encoded.indices)] if len(distinct) else np.empty(0, np.int64)
    return found


def _field(pairs: pa.Array, name: str) -> pa.Array | None:
    if not pa.types.is_struct(pairs.type):
        raise DataFileError(f"a shredded variant's field has the type {pairs.type}; expected a struct of value and typed_value")
    return pc.struct_field(pairs, name) if name in _names(pairs.type) else None


def _valid(column: pa.Array | None, count: int) -> Mask:
    return np.zeros(count, bool) if column is None else np.asarray(column.is_valid())


def _names(type_: pa.DataType) -> set[str]:
    return {type_.field(i).name for i in range(type_.num_fields)}
