"""Variant values as bytes -> JSON text. Source: Parquet, "Variant Binary Encoding".

Values of one level of nesting are decoded together: a `Values` is a set of places in one buffer, each the beginning of a value. Objects and arrays give the
places of their children, whose texts are made first and joined then. Every place is checked to lie within its row's bytes before it is read; what does not is
a DataFileError.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lakesql.errors import DataFileError
from lakesql.variant.text import quoted, scalar_texts

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

PRIMITIVE, SHORT_STRING, OBJECT, ARRAY = range(4)
MAX_DEPTH = 200
"""Levels of nesting; more is hostile."""

_NULL, _TRUE, _FALSE, _BINARY, _STRING, _UUID = 0, 1, 2, 15, 16, 20
_FIXED: dict[int, tuple[int, pa.DataType]] = {
    3: (1, pa.int8()),
    4: (2, pa.int16()),
    5: (4, pa.int32()),
    6: (8, pa.int64()),
    7: (8, pa.float64()),
    11: (4, pa.date32()),
    12: (8, pa.timestamp("us", "UTC")),
    13: (8, pa.timestamp("us")),
    14: (4, pa.float32()),
    17: (8, pa.time64("us")),
    18: (8, pa.timestamp("ns", "UTC")),
    19: (8, pa.timestamp("ns")),
    20: (16, pa.binary(16)),
}
"""Primitive types of fixed width: bytes, and the type they are in Arrow's layout."""
_DECIMALS = {8: 4, 9: 8, 10: 16}
"""Bytes of a decimal's unscaled value, after one byte of scale."""


@dataclass(frozen=True)
class Dictionaries:
    """The metadata of every row: its field names. data: all rows' metadata; starts: where each name list's bytes begin; offsets_at: where its offsets do."""

    data: Bytes
    offsets_at: Ints
    widths: Ints
    counts: Ints
    starts: Ints
    ends: Ints

    @staticmethod
    def of(metadata: pa.Array) -> Dictionaries:
        """metadata: binary, one per row; null (a row without a value) counts as empty."""
        data, at, ends = _buffer(metadata)
        there = at < ends
        if not there.all():
            # An empty dictionary in place of nothing, so that rows without a value need no care below.
            at, ends, data = np.where(there, at, len(data)), np.where(there, ends, len(data) + 3), np.append(data, np.array([1, 0, 0], np.uint8))
        headers = data[at]
        if (headers & 15 != 1).any():
            raise DataFileError(f"a variant's metadata has version {int(headers[headers & 15 != 1][0]) & 15}; expected 1")
        widths = (headers >> 6).astype(np.int64) + 1
        counts = _unsigned(data, at + 1, widths, ends)
        offsets_at = at + 1 + widths
        starts = offsets_at + (counts + 1) * widths
        _check(starts <= ends, "a variant's metadata ends within its list of names")
        return Dictionaries(data, offsets_at, widths, counts, starts, ends)

    def names(self, rows: Ints, ids: Ints) -> pa.Array:
        """The name of field `ids[i]` in row `rows[i]`."""
        _check(ids < self.counts[rows], "a variant names a field that its metadata lacks")
        widths, ends = self.widths[rows], self.ends[rows]
        places = self.offsets_at[rows] + ids * widths
        first, last = _unsigned(self.data, places, widths, ends), _unsigned(self.data, places + widths, widths, ends)
        starts = self.starts[rows]
        _check((first <= last) & (starts + last <= ends), "a variant's metadata has a name outside its bytes")
        return _texts(self.data, starts + first, last - first)


@dataclass(frozen=True)
class Values:
    """Places of values. at: where each begins; ends: before what it must end; rows: the row it belongs to, for its names."""

    data: Bytes
    at: Ints
    ends: Ints
    rows: Ints

    @staticmethod
    def of(values: pa.Array) -> Values:
        """One value per entry of a binary column without nulls."""
        data, at, ends = _buffer(values)
        _check(at < ends, "a variant has no bytes")
        return Values(data, at, ends, np.arange(len(at), dtype=np.int64))

    def __len__(self) -> int:
        return len(self.at)

    def take(self, chosen: Ints | npt.NDArray[np.bool_]) -> Values:
        """The chosen ones."""
        return Values(self.data, self.at[chosen], self.ends[chosen], self.rows[chosen])

    def in_rows(self, rows: Ints) -> Values:
        """The same places, belonging to other rows."""
        return Values(self.data, self.at, self.ends, rows)

    @property
    def kinds(self) -> Ints:
        """PRIMITIVE, SHORT_STRING, OBJECT or ARRAY."""
        return (self.data[self.at] & 3).astype(np.int64)


@dataclass(frozen=True)
class Children:
    """The children of objects or arrays: in order of their owners (numbers in the Values they came from), and of the fields or elements within one. ids: of
    field names, None for arrays."""

    owners: Ints
    values: Values
    ids: Ints | None


def value_texts(values: Values, dictionaries: Dictionaries, depth: int = 0) -> pa.Array:
    """The JSON text of each value. Raises DataFileError for bytes that are no variant."""
    if depth > MAX_DEPTH:
        raise DataFileError(f"a variant is nested more than {MAX_DEPTH} levels deep")
    kinds = values.kinds
    made = _Assembly(len(values))
    for kind, decode in ((PRIMITIVE, _primitives), (SHORT_STRING, _short_strings)):
        chosen = np.flatnonzero(kinds == kind)
        if len(chosen):
            made.add(chosen, decode(values.take(chosen)))
    for kind in (OBJECT, ARRAY):
        chosen = np.flatnonzero(kinds == kind)
        if len(chosen):
            children = children_of(values.take(chosen), kind)
            texts = value_texts(children.values, dictionaries, depth + 1)
            if children.ids is not None:
                texts = pc.binary_join_element_wise(quoted(dictionaries.names(children.values.rows, children.ids)), texts, ":")
            made.add(chosen, joined(texts, children.owners, len(chosen), "{}" if kind == OBJECT else "[]"))
    return made.whole()


def children_of(values: Values, kind: int) -> Children:
    """The children of values that are all objects, or all arrays."""
    info = (values.data[values.at] >> 2).astype(np.int64)
    offset_widths = (info & 3) + 1
    if kind == OBJECT:
        id_widths, large = ((info >> 2) & 3) + 1, (info >> 4) & 1
    else:
        id_widths, large = np.zeros(len(info), np.int64), (info >> 2) & 1
    count_widths = np.where(large == 1, 4, 1)
    counts = _unsigned(values.data, values.at + 1, count_widths, values.ends)
    ids_at = values.at + 1 + count_widths
    offsets_at = ids_at + counts * id_widths
    starts = offsets_at + (counts + 1) * offset_widths
    _check(starts <= values.ends, "a variant's object or array ends within its own header")
    if int(counts.sum()) > int((values.ends - values.at).sum()):
        raise DataFileError("a variant's object or array has more members than bytes")
    owners = np.repeat(np.arange(len(counts)), counts)
    number = np.arange(len(owners)) - np.repeat(np.cumsum(counts) - counts, counts)
    ends = values.ends[owners]
    widths = offset_widths[owners]
    offsets = _unsigned(values.data, offsets_at[owners] + number * widths, widths, ends)
    at = starts[owners] + offsets
    last = starts + _unsigned(values.data, offsets_at + counts * offset_widths, offset_widths, values.ends)
    _check(last <= values.ends, "a variant's object or array ends outside its bytes")
    _check(at < last[owners], "a variant's object or array has a member outside its bytes")
    limits = _limits(owners, at, last[owners])
    ids = _unsigned(values.data, ids_at[owners] + number * id_widths[owners], id_widths[owners], ends) if kind == OBJECT else None
    return Children(owners, Values(values.data, at, limits, values.rows[owners]), ids)


def _limits(owners: Ints, at: Ints, last: Ints) -> Ints:
    """Where each member must end: at the next member's beginning.

    Members that share bytes, which no writer makes, could multiply without end from level to level.
    """
    order = np.lexsort((at, owners))
    begin, owner = at[order], owners[order]
    same = np.append(owner[1:] == owner[:-1], False)
    following = np.append(begin[1:], 0)
    _check(~same | (following > begin), "a variant's object or array has two members at one place")
    limits = np.empty(len(at), np.int64)
    limits[order] = np.where(same, following, last[order])
    return limits


def joined(texts: pa.Array, owners: Ints, count: int, brackets: str) -> pa.Array:
    """One text per owner: its members' texts with commas between, in brackets. owners ascend."""
    offsets = np.searchsorted(owners, np.arange(count + 1)).astype(np.int32)
    lists = pa.ListArray.from_arrays(pa.array(offsets), texts)
    return pc.binary_join_element_wise(brackets[0], pc.binary_join(lists, ","), brackets[1], "")


class _Assembly:
    """An array put together from parts that say which entries they are."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._places: list[Ints] = []
        self._parts: list[pa.Array] = []

    def add(self, places: Ints, part: pa.Array) -> None:
        self._places.append(places)
        self._parts.append(part)

    def whole(self) -> pa.Array:
        if not self._parts:
            return pa.array([], pa.string())
        order = np.empty(self._count, np.int64)
        order[np.concatenate(self._places)] = np.arange(self._count)
        return pa.concat_arrays(self._parts).take(pa.array(order))


def _primitives(values: Values) -> pa.Array:
    types = (values.data[values.at] >> 2).astype(np.int64)
    made = _Assembly(len(values))
    for type_id in np.unique(types).tolist():
        chosen = np.flatnonzero(types == type_id)
        made.add(chosen, _of_type(type_id, values.take(chosen)))
    return made.whole()


def _of_type(type_id: int, values: Values) -> pa.Array:
    count = len(values)
    if type_id in (_NULL, _TRUE, _FALSE):
        return pa.repeat({_NULL: "null", _TRUE: "true", _FALSE: "false"}[type_id], count)
    if type_id in _FIXED:
        width, type_ = _FIXED[type_id]
        raw = _raw(values.data, values.at + 1, width, values.ends)
        return scalar_texts(pa.Array.from_buffers(type_, count, [None, pa.py_buffer(raw)]))
    if type_id in _DECIMALS:
        return _decimals(values, _DECIMALS[type_id])
    if type_id in (_STRING, _BINARY):
        lengths = _unsigned(values.data, values.at + 1, np.full(count, 4), values.ends)
        starts = values.at + 5
        _check(starts + lengths <= values.ends, "a variant's text ends outside its bytes")
        if type_id == _STRING:
            return quoted(_texts(values.data, starts, lengths))
        return scalar_texts(_slices(values.data, starts, lengths, pa.binary()))
    raise DataFileError(f"a variant holds a value of type {type_id}, which is not known")


def _decimals(values: Values, width: int) -> pa.Array:
    _check(values.at + 2 + width <= values.ends, "a variant's decimal ends outside its bytes")
    scales = values.data[values.at + 1].astype(np.int64)
    _check(scales <= 38, "a variant's decimal has a scale above 38")
    narrow = _raw(values.data, values.at + 2, width, values.ends)
    wide = np.where(narrow[:, -1:] >= 128, np.uint8(255), np.uint8(0)).repeat(16, axis=1)
    wide[:, :width] = narrow
    made = _Assembly(len(values))
    for scale in np.unique(scales).tolist():
        chosen = np.flatnonzero(scales == scale)
        made.add(chosen, scalar_texts(pa.Array.from_buffers(pa.decimal128(38, scale), len(chosen), [None, pa.py_buffer(np.ascontiguousarray(wide[chosen]))])))
    return made.whole()


def _short_strings(values: Values) -> pa.Array:
    lengths = (values.data[values.at] >> 2).astype(np.int64)
    _check(values.at + 1 + lengths <= values.ends, "a variant's text ends outside its bytes")
    return quoted(_texts(values.data, values.at + 1, lengths))


def _buffer(column: pa.Array) -> tuple[Bytes, Ints, Ints]:
    """A binary column's bytes, and where each entry begins and ends in them."""
    column = column.cast(pa.binary())
    _, offsets, data = column.buffers()
    edges = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1].astype(np.int64)
    return (np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8)), edges[:-1], edges[1:]


def _unsigned(data: Bytes, at: Ints, widths: Ints, ends: Ints) -> Ints:
    """Little-endian unsigned numbers of 0 to 4 bytes."""
    _check(at + widths <= ends, "a variant ends within a number")
    numbers = np.zeros(len(at), np.int64)
    for byte in range(int(widths.max(initial=0))):
        wide = widths > byte
        numbers[wide] |= data[at[wide] + byte].astype(np.int64) << (8 * byte)
    return numbers


def _raw(data: Bytes, at: Ints, width: int, ends: Ints) -> Bytes:
    """`width` bytes from each place, as rows of a matrix."""
    _check(at + width <= ends, "a variant ends within a value")
    found: Bytes = np.ascontiguousarray(data[at[:, None] + np.arange(width)])
    return found


def _texts(data: Bytes, starts: Ints, lengths: Ints) -> pa.Array:
    texts = _slices(data, starts, lengths, pa.string())
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid as error:
        raise DataFileError("a variant holds a text that is not UTF-8") from error
    return texts


def _slices(data: Bytes, starts: Ints, lengths: Ints, type_: pa.DataType) -> pa.Array:
    """Pieces of a buffer as an array of text or bytes."""
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    if offsets[-1] >= 2**31:
        raise DataFileError("variants of one batch hold more than 2 GB of text")
    places = np.repeat(starts - offsets[:-1], lengths) + np.arange(offsets[-1])
    return pa.Array.from_buffers(type_, len(starts), [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(data[places])])


def _check(fine: npt.NDArray[np.bool_], what: str) -> None:
    if not fine.all():
        raise DataFileError(what)
