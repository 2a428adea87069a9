"""Typed values -> JSON text, as Spark's `to_json` prints a variant: numbers bare, dates and timestamps quoted with a blank between day and time, binary as
base64.

Doubles are printed as Java does (`1.0`, `1.0E10`), decimals without trailing zeros, infinities and NaN bare (Spark does so, though JSON has no word for them).
"""

from __future__ import annotations

import base64
import decimal
import uuid
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lakesql.errors import DataFileError

_SHORT_ESCAPES = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}
_CONTROLS = {chr(code): _SHORT_ESCAPES.get(chr(code), f"\\u{code:04X}") for code in range(32)}


def scalar_texts(values: pa.Array) -> pa.Array:
    """The JSON text of each value of a column that is not nested; null where it is null. Raises DataFileError for a type no variant has.

    >>> scalar_texts(pa.array([1.5, 1e10, None])).to_pylist()
    ['1.5', '1.0E10', None]
    """
    t = pa.types
    type_ = values.type
    if isinstance(values, pa.ExtensionArray):
        return scalar_texts(values.storage)
    if t.is_dictionary(type_):
        return scalar_texts(values.dictionary_decode())
    if t.is_boolean(type_) or t.is_integer(type_):
        return values.cast(pa.string())
    if t.is_string(type_) or t.is_large_string(type_) or t.is_string_view(type_):
        return quoted(values.cast(pa.string()))
    if t.is_floating(type_):
        return _java_floats(values)
    if t.is_decimal(type_):
        return _plain_decimals(values)
    if t.is_date(type_):
        return _in_quotes(values.cast(pa.date32()).cast(pa.string()))
    if t.is_timestamp(type_):
        local = values.cast(pa.int64()).cast(pa.timestamp(type_.unit)).cast(pa.string())
        return _in_quotes(_without_zeros(local), "+00:00" if type_.tz else "")
    if t.is_time(type_):
        return _in_quotes(_without_zeros(values.cast(pa.string())))
    if t.is_fixed_size_binary(type_) and type_.byte_width == 16:
        return _in_quotes(_each(values, lambda raw: str(uuid.UUID(bytes=raw))))
    if t.is_binary(type_) or t.is_large_binary(type_) or t.is_binary_view(type_) or t.is_fixed_size_binary(type_):
        return _in_quotes(_each(values, lambda raw: base64.b64encode(raw).decode()))
    if t.is_null(type_):
        return values.cast(pa.string())
    raise DataFileError(f"a shredded variant holds values of type {type_}, which variants do not have")


def quoted(texts: pa.Array) -> pa.Array:
    """Texts as JSON strings.

    >>> quoted(pa.array(['say "hi"', "two\\nlines"])).to_pylist()
    ['"say \\\\"hi\\\\""', '"two\\\\nlines"']
    """
    special = pc.fill_null(pc.match_substring_regex(texts, '["\\\\\\x00-\\x1f]'), False)
    if pc.any(special).as_py():
        odd = texts.filter(special)
        for character, escape in {"\\": "\\\\", '"': '\\"', **_CONTROLS}.items():
            odd = pc.replace_substring(odd, character, escape)
        texts = pc.replace_with_mask(texts, special, odd)
    return _in_quotes(texts)


def _in_quotes(texts: pa.Array, after: str = "") -> pa.Array:
    return pc.binary_join_element_wise('"', texts, f'{after}"', "")


def _without_zeros(texts: pa.Array) -> pa.Array:
    """Clock times without the zeros at the end of a second's fraction."""
    return pc.replace_substring_regex(texts, r"\.?0*$", "") if _have_fractions(texts) else texts


def _have_fractions(texts: pa.Array) -> bool:
    return bool(pc.any(pc.match_substring(texts, ".")).as_py())


def _plain_decimals(values: pa.Array) -> pa.Array:
    texts = values.cast(pa.string())
    scientific = pc.fill_null(pc.match_substring_regex(texts, "[eE]"), False)
    if pc.any(scientific).as_py():
        texts = pc.replace_with_mask(texts, scientific, _each(values.filter(scientific), lambda number: format(number, "f")))
    fractions = pc.fill_null(pc.match_substring(texts, "."), False)
    return pc.if_else(fractions, pc.replace_substring_regex(texts, r"\.?0+$", ""), texts)


def _java_floats(values: pa.Array) -> pa.Array:
    """As Double.toString and Float.toString print: plain from 1e-3 to 1e7, else a digit, a point, digits, E and the exponent."""
    size = pc.abs(values)
    plain = pc.or_(pc.and_(pc.greater_equal(size, 1e-3), pc.less(size, 1e7)), pc.equal(size, 0.0))
    plain = pc.fill_null(plain, True)
    texts = values.cast(pa.string())
    texts = pc.if_else(pc.match_substring(texts, "."), texts, pc.binary_join_element_wise(texts, ".0", ""))
    if pc.all(plain).as_py():
        return texts
    odd = pc.invert(plain)
    shortest = values.filter(odd).cast(pa.string())
    return pc.replace_with_mask(texts, odd, _each(shortest, _java_float))


def _java_float(shortest: str) -> str:
    number = float(shortest)
    if number != number or number in (float("inf"), float("-inf")):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(number)]
    sign, digits, exponent = decimal.Decimal(shortest).normalize().as_tuple()
    assert isinstance(exponent, int)
    text = "".join(map(str, digits))
    return f"{'-' if sign else ''}{text[0]}.{text[1:] or '0'}E{exponent + len(text) - 1}"


def _each(values: pa.Array, make: Callable[[Any], str]) -> pa.Array:
    """Text of values that no kernel prints, each distinct one once."""
    encoded = values.dictionary_encode()
    texts = pa.array([make(value) for value in encoded.dictionary.to_pylist()], pa.string())
    return texts.take(encoded.indices)
