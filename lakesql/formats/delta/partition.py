"""Partition values: the texts in `partitionValues` -> Arrow values.

Only the log is asked; directory names and columns inside data files are not. Source: PROTOCOL.md, "Partition Value Serialization", with Spark's reading of
the empty string.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lakesql.errors import MetadataError
from lakesql.formats.delta import texts as reading


def decode_partition_values(texts: pa.Array | pa.ChunkedArray, type_: pa.DataType, *, column: str, source: str) -> pa.Array:
    """One partition column over many files. texts: strings, null where the key is missing. The result has `type_` and as many entries.

    A timestamp without a zone is UTC. Binary values are the characters' UTF-8 bytes. `""` is an empty string or binary value, and null for every other type,
    as Spark has it (the protocol's text says null for all). Each distinct text is decoded once. Raises MetadataError, naming column, text and `source`, for a
    text that is no value of the type or does not fit it, and for a type that cannot be a partition column's.
    """
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    if pa.types.is_null(type_) or pa.types.is_null(texts.type):
        return pa.nulls(len(texts), type_)
    encoded = texts if pa.types.is_dictionary(texts.type) else pc.dictionary_encode(texts)
    distinct = encoded.dictionary.cast(pa.string())
    return _decode(distinct, type_, column, source).take(encoded.indices)


def _decode(distinct: pa.Array, type_: pa.DataType, column: str, source: str) -> pa.Array:
    if _is_text(type_):
        return distinct.cast(type_)
    if not reading.readable(type_):
        raise MetadataError(f"{source}: column {column} of type {type_} is a partition column; values of that type cannot be partition values")
    given = pc.if_else(pc.equal(distinct, ""), pa.scalar(None, distinct.type), distinct)
    values = reading.read(given, type_)
    unread = pc.and_(given.is_valid(), values.is_null())
    if pc.any(unread).as_py():
        text = given.filter(unread)[0].as_py()
        raise MetadataError(
            f"{source}: partition value {text[:80]!r} of column {column} is no {type_}",
            hint="the table's schema and its log disagree: a partition column's type was changed, or a writer is at fault",
        )
    return values


def _is_text(type_: Any) -> bool:
    kinds = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    return any(is_kind(type_) for is_kind in kinds)
