"""Statistics as JSON text, one text per file -> Arrow columns of the few leaves that are asked for.

Arrow's JSON reader takes many texts at once and makes only the wanted leaves; it is exact (decimals never pass through floats) and strict. What it refuses is
tried again in ever smaller parts, down to single texts, which the standard library reads: literals that are no JSON, integers without end, keys that repeat,
values of another type. A text, or a leaf, that makes no sense is unknown: null. Nothing here raises for bad input, as statistics can only be missed, never
wrong, by being absent.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from lakesql.formats.delta import texts as reading

_CHUNK_BYTES = 16 << 20
"""Texts read in one go; bounds the memory that parsing takes beside its result."""
_BLOCK_BYTES = 1 << 20
"""What one thread parses at a time; fastest of 256 KB to 32 MB."""
_LONGEST_BYTES = 256 << 20
"""A longer text is no statistics of one file, and is left unread."""
_ONE_BY_ONE = 64
"""As many texts are no longer halved, but read singly."""
_NOT_FINITE = r':\s*"(?:NaN|[+-]?Infinity)"'
"""As JVM writers spell them. A quote inside a JSON string is escaped, so the pattern matches whole values only."""


@dataclass(frozen=True)
class Leaf:
    """A value in each text. path: keys from the outermost object on. type: int64, float32, float64, decimal128, bool or string; a JSON value of another kind
    is null.

    rounding: how a decimal with more digits than the type has is made to fit; a constant of `decimal`.
    """

    path: tuple[str, ...]
    type: pa.DataType
    rounding: str | None = None


def read_leaves(texts: pa.Array | pa.ChunkedArray, leaves: Sequence[Leaf]) -> list[pa.Array]:
    """The leaves of every text, each as an array of its type and of the texts' length; null where the text is null, lacks the leaf or does not make sense.

    No leaf's path may begin with another's. "NaN" and "Infinity" as text are null in a float leaf.
    """
    tree = _Tree.of(leaves)
    parts = [_read(chunk, leaves, tree) for chunk in _chunks(texts)]
    return [pa.concat_arrays([p[i] for p in parts]) if parts else pa.array([], leaf.type) for i, leaf in enumerate(leaves)]


@dataclass(frozen=True)
class _Tree:
    """The leaves as one schema for Arrow's reader, and where each leaf is in it: field numbers, since names may repeat or hold dots.

    decimals: which leaves are; doubles: those once more, to be read as doubles; None where there are none.
    """

    schema: pa.Schema
    places: tuple[tuple[int, ...], ...]
    has_floats: bool
    decimals: tuple[int, ...]
    doubles: _Tree | None

    @staticmethod
    def of(leaves: Sequence[Leaf]) -> _Tree:
        root: dict[str, Any] = {}
        for leaf in leaves:
            at = root
            for key in leaf.path[:-1]:
                at = at.setdefault(key, {})
            at[leaf.path[-1]] = leaf.type
        places = []
        for leaf in leaves:
            at, place = root, []
            for key in leaf.path:
                place.append(list(at).index(key))
                at = at[key]
            places.append(tuple(place))
        decimals = tuple(i for i, leaf in enumerate(leaves) if pa.types.is_decimal(leaf.type))
        doubles = _Tree.of([Leaf(leaves[i].path, pa.float64()) for i in decimals]) if decimals else None
        return _Tree(pa.schema(_fields(root)), tuple(places), any(pa.types.is_floating(leaf.type) for leaf in leaves), decimals, doubles)


def _fields(tree: dict[str, Any]) -> list[pa.Field]:
    return [pa.field(name, pa.struct(_fields(type_)) if isinstance(type_, dict) else type_) for name, type_ in tree.items()]


def _chunks(texts: pa.Array | pa.ChunkedArray) -> Iterator[pa.Array]:
    """The texts in parts of about _CHUNK_BYTES, as arrays of type string."""
    for array in texts.chunks if isinstance(texts, pa.ChunkedArray) else [texts]:
        if pa.types.is_null(array.type) or not len(array):
            yield array.cast(pa.string())
            continue
        lengths = pc.fill_null(pc.binary_length(array), 0).to_numpy()
        ends = np.cumsum(lengths, dtype=np.int64)
        start = before = 0
        while start < len(array):
            stop = max(start + 1, int(np.searchsorted(ends, before + _CHUNK_BYTES, side="right")))
            part = array.slice(start, stop - start)
            too_long = lengths[start:stop] > _LONGEST_BYTES
            yield (pc.if_else(pa.array(too_long), pa.scalar(None, part.type), part) if too_long.any() else part).cast(pa.string())
            start, before = stop, int(ends[stop - 1])


def _read(chunk: pa.Array, leaves: Sequence[Leaf], tree: _Tree) -> list[pa.Array]:
    """The leaves of one chunk. A text that does not begin and end as an object is read singly."""
    objects = pc.fill_null(pc.and_(pc.starts_with(chunk, "{"), pc.ends_with(chunk, "}")), False)
    odd = pc.and_(pc.invert(objects), pc.fill_null(pc.not_equal(chunk, ""), False))
    values = _halves(pc.if_else(objects, chunk, "{}"), leaves, tree)
    if not pc.any(odd).as_py():
        return values
    singly = _singly(chunk.filter(odd), leaves)
    return [pc.replace_with_mask(v, odd, s) for v, s in zip(values, singly, strict=True)]


def _halves(texts: pa.Array, leaves: Sequence[Leaf], tree: _Tree) -> list[pa.Array]:
    """Texts that begin with { and end with }, all at once where Arrow can, else in halves."""
    values = _checked(texts, tree)
    if values is None and tree.has_floats:
        values = _checked(pc.replace_substring_regex(texts, _NOT_FINITE, ":null"), tree)
    if values is not None:
        return values
    if len(texts) <= _ONE_BY_ONE:
        return _singly(texts, leaves)
    middle = len(texts) // 2
    first, second = _halves(texts[:middle], leaves, tree), _halves(texts[middle:], leaves, tree)
    return [pa.concat_arrays([a, b]) for a, b in zip(first, second, strict=True)]


def _checked(texts: pa.Array, tree: _Tree) -> list[pa.Array] | None:
    """The leaves, or None where Arrow cannot read them all, or reads one wrongly.

    Arrow does not notice when a decimal overflows as it is brought to its type's scale, and makes another number of it. That is far from what it reads as
    a double.
    """
    table = _at_once(texts, tree.schema)
    if table is None:
        return None
    values = [_leaf(table, place) for place in tree.places]
    if tree.doubles is not None:
        doubles = _checked(texts, tree.doubles)
        if doubles is None or not all(_agree(values[i], d) for i, d in zip(tree.decimals, doubles, strict=True)):
            return None
    return values


def _agree(decimals: pa.Array, doubles: pa.Array) -> bool:
    exact, near = decimals.cast(pa.float64()), pc.abs(doubles)
    return pc.all(pc.less_equal(pc.abs(pc.subtract(exact, doubles)), pc.multiply(near, 1e-9))).as_py() is not False


def _at_once(texts: pa.Array, schema: pa.Schema) -> pa.Table | None:
    """One row per text, or None where Arrow cannot read them all.

    The rows are the texts' own if there are as many: a text ends with }, which can be no part of a string, since a string holds no line break; the next
    begins with {, which can follow } only between two rows. So every text is one or more whole objects, and with as many rows as texts, each is one.
    """
    if not len(texts):
        return schema.empty_table()
    longest = pc.max(pc.binary_length(texts)).as_py()
    joined = pc.binary_join(pa.ListArray.from_arrays(pa.array([0, len(texts)], pa.int32()), texts), "\n")
    read_options = pyarrow.json.ReadOptions(block_size=max(_BLOCK_BYTES, 2 * longest + 2), use_threads=True)
    parse_options = pyarrow.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    try:
        table = pyarrow.json.read_json(pa.BufferReader(joined.buffers()[2]), read_options=read_options, parse_options=parse_options)
    except (pa.ArrowException, UnicodeDecodeError):
        return None
    return table.combine_chunks() if table.num_rows == len(texts) and table.schema.equals(schema) else None


def _leaf(table: pa.Table, place: tuple[int, ...]) -> pa.Array:
    column = table.column(place[0])
    array = column.chunk(0) if column.num_chunks else pa.array([], column.type)
    return pc.struct_field(array, list(place[1:])) if len(place) > 1 else array


def _singly(texts: pa.Array, leaves: Sequence[Leaf]) -> list[pa.Array]:
    """Text by text, by the standard library: slow, and right."""
    trees = [_tolerant(t) for t in texts.to_pylist()]
    return [_typed([_walk(t, leaf.path) for t in trees], leaf) for leaf in leaves]


class _Number(str):
    """A JSON number as its text, so that nothing is rounded."""


class _Repeated(ValueError):
    """A key stands twice in one object: nobody can say which is meant."""


def _tolerant(text: str | None) -> Any:
    try:
        return None if text is None else json.loads(text, parse_int=_Number, parse_float=_Number, parse_constant=_Number, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        return None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = dict(pairs)
    if len(keys) < len(pairs):
        raise _Repeated
    return keys


def _walk(tree: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree


def _typed(values: list[Any], leaf: Leaf) -> pa.Array:
    if pa.types.is_boolean(leaf.type):
        return pa.array([v if isinstance(v, bool) else None for v in values], leaf.type)
    if pa.types.is_string(leaf.type):
        return pa.array([v if isinstance(v, str) and not isinstance(v, _Number) and _is_text(v) else None for v in values], leaf.type)
    kinds = (str,) if pa.types.is_decimal(leaf.type) else (_Number,)
    return reading.read(pa.array([str(v) if isinstance(v, kinds) and v.isascii() else None for v in values], pa.string()), leaf.type, rounding=leaf.rounding)


def _is_text(value: str) -> bool:
    """Whether it can be text in UTF-8: half of a surrogate pair cannot."""
    return not any("\ud800" <= c <= "\udfff" for c in value)
