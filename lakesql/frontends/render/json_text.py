"""Values as JSON text (RFC 8259), whole columns at a time: the rows of `json` and `jsonl`, and what nested values look like in every other format.

Booleans and numbers are bare, with every digit they have: 64-bit integers and decimals are exact JSON numbers, and readers that hold numbers as doubles
should ask for CAST(x AS VARCHAR). NaN and the infinities, which JSON has not, are null, and counted. Everything else is a string holding the text that
`scalars.py` gives it. A struct is an object, a list an array; a map is an object where its keys are scalars, else an array of {"key": ..., "value": ...}.
"""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types as is_

from lakesql.frontends.render.scalars import TEXT, scalar_texts
from lakesql.frontends.types import is_list, is_number, is_text

_COMMON_ESCAPES = (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t"))
# DEL and the C1 controls need no escape in JSON, but a terminal may obey them.
_RARE = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x{9f}]"
_RARE_CHARACTER = re.compile("[\x00-\x1f\x7f-\x9f]")


class JsonText:
    """Makes JSON text of arrays. non_finite: how many NaNs and infinities became null so far."""

    def __init__(self) -> None:
        self.non_finite = 0

    def of(self, values: pa.Array) -> pa.Array:
        """The JSON text of each value, `null` for null: an array without nulls."""
        values = decoded(values)
        if is_list(values.type):
            texts = self._lists(values, pc.fill_null(pc.list_value_length(values), 0), self.of(pc.list_flatten(values)), "[", "]")
        elif is_.is_struct(values.type):
            texts = self._structs(values)
        elif is_.is_map(values.type):
            texts = self._maps(values)
        else:
            texts = self._scalars(values)
        return pc.fill_null(texts, "null")

    def rows(self, batch: pa.RecordBatch, names: list[str], end: str) -> pa.Array:
        """One object per row, each followed by `end`."""
        return _objects([(json_string(name), self.of(column)) for name, column in zip(names, batch.columns, strict=True)], batch.num_rows, end)

    def _scalars(self, values: pa.Array) -> pa.Array:
        texts = scalar_texts(values)
        if is_.is_floating(values.type):
            finite = pc.fill_null(pc.is_finite(values), True)
            self.non_finite += len(values) - finite.true_count
            return pc.if_else(finite, texts, pa.scalar(None, TEXT))
        if is_number(values.type) or is_.is_boolean(values.type):
            return texts
        return _quoted(escaped(texts) if is_text(values.type) else texts)

    def _structs(self, values: pa.Array) -> pa.Array:
        names = distinct_names([field.name for field in values.type])
        children = [(json_string(name), self.of(child)) for name, child in zip(names, values.flatten(), strict=True)]
        texts = _objects(children, len(values), "")
        return pc.if_else(values.is_valid(), texts, pa.scalar(None, TEXT)) if values.null_count else texts

    def _maps(self, values: pa.Array) -> pa.Array:
        entry = pa.struct([pa.field("key", values.type.key_type, nullable=False), pa.field("value", values.type.item_type)])
        entries = values.cast(pa.list_(entry))
        lengths = pc.fill_null(pc.list_value_length(entries), 0)
        flat = pc.list_flatten(entries)
        keys = decoded(flat.field(0))
        if is_list(keys.type) or is_.is_struct(keys.type) or is_.is_map(keys.type):
            return self._lists(values, lengths, self.of(flat), "[", "]")
        quoted = _quoted(escaped(scalar_texts(keys)))
        return self._lists(values, lengths, pc.binary_join_element_wise(quoted, self.of(flat.field(1)), _text(":")), "{", "}")

    def _lists(self, values: pa.Array, lengths: pa.Array, items: pa.Array, left: str, right: str) -> pa.Array:
        offsets = np.concatenate(([0], np.cumsum(np.asarray(lengths), dtype=np.int64)))
        joined = pc.binary_join(pa.LargeListArray.from_arrays(pa.array(offsets), items), _text(","))
        texts = pc.binary_join_element_wise(_text(left), joined, _text(right), _text(""))
        return pc.if_else(values.is_valid(), texts, pa.scalar(None, TEXT)) if values.null_count else texts


def escaped(texts: pa.Array) -> pa.Array:
    """Text with everything escaped that must not stand in a JSON string."""
    for character, escape in _COMMON_ESCAPES:
        texts = pc.replace_substring(texts, character, escape)
    rare = pc.fill_null(pc.match_substring_regex(texts, _RARE), False)
    if rare.true_count:
        replaced = pa.array([_RARE_CHARACTER.sub(lambda m: f"\\u{ord(m[0]):04x}", text) for text in texts.filter(rare).to_pylist()], TEXT)
        texts = pc.replace_with_mask(texts, rare, replaced)
    return texts


def json_string(text: str) -> str:
    """One text as a JSON string.

    >>> print(json_string('say "a"'))
    "say \\"a\\""
    """
    return f'"{escaped(pa.array([text], TEXT))[0].as_py()}"'


def distinct_names(names: list[str]) -> list[str]:
    """The names, with a number after each that was there before: an object must not repeat a name.

    >>> distinct_names(["id", "name", "id"])
    ['id', 'name', 'id_2']
    """
    taken = set(names)
    seen: set[str] = set()
    distinct = []
    for name in names:
        number, unique = 1, name
        while unique in seen or (number > 1 and unique in taken):
            number += 1
            unique = f"{name}_{number}"
        seen.add(unique)
        distinct.append(unique)
    return distinct


def decoded(values: pa.Array) -> pa.Array:
    """The same values without dictionary, run-end or extension encoding (but UUIDs stay)."""
    while True:
        if is_.is_dictionary(values.type):
            values = values.dictionary_decode()
        elif is_.is_run_end_encoded(values.type):
            values = pc.run_end_decode(values)
        elif isinstance(values, pa.ExtensionArray) and not isinstance(values.type, pa.UuidType):
            values = values.storage
        else:
            return values


def _objects(fields: list[tuple[str, pa.Array]], count: int, end: str) -> pa.Array:
    if not fields:
        return pa.array(["{}" + end] * count, TEXT)
    parts: list[pa.Array | pa.Scalar] = []
    for number, (name, texts) in enumerate(fields):
        parts += [_text(f"{',' if number else '{'}{name}:"), texts]
    return pc.binary_join_element_wise(*parts, _text("}" + end), _text(""))


def _quoted(texts: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(_text('"'), texts, _text('"'), _text(""))


def _text(text: str) -> pa.Scalar:
    return pa.scalar(text, TEXT)
