"""Bounds of chosen files, for pruning and for answers from metadata: partition values and statistics, decoded once per block and kept there.

Typed statistics are decoded for a whole block, since that costs next to nothing; JSON ones for the chosen files alone, all asked columns in one pass. A file
whose typed statistics say nothing is looked up in its JSON. Source: Delta protocol, "Per-file Statistics", "Partition Value Serialization".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lakesql.formats.delta.blocks import Block, concat, map_values
from lakesql.formats.delta.partition import decode_partition_values
from lakesql.formats.delta.selection import Part, Selection
from lakesql.formats.delta.stats import json_bounds_of, num_records_json, struct_bounds
from lakesql.pruning import Bounds

Mask = npt.NDArray[np.bool_]
Column = tuple[tuple[str, ...], pa.DataType]
"""A column's physical path, and its logical type."""

_COUNTS: Column = ((), pa.null())
"""Stands for numRecords alone."""

_CHEAP_TEXTS = 20_000
"""JSON texts that are read for a number that is merely nice to have."""


def partition_values(files: Selection, physical_name: str, type_: pa.DataType, *, column: str, source: str) -> pa.Array:
    """The value of a partition column in each file. Raises MetadataError for a text that is no value of the type."""

    def decoded(part: Part) -> pa.Array:
        key = ("partition", physical_name, type_)
        if key not in part.block.cache:
            texts = map_values(part.block.column("partitionValues"), physical_name)
            part.block.cache[key] = decode_partition_values(texts, type_, column=column, source=source)
        values: pa.Array = part.block.cache[key]
        return part.take(values)

    return files.gather(decoded, type_)


def statistics(files: Selection, wanted: Column, together: Sequence[Column] = ()) -> Bounds:
    """Bounds of a column in each file; unknown is null. together: columns that will be asked for as well, decoded in the same pass.

    Deletion vectors are taken into account: with one among the files, bounds are no extremes and null counts no counts.
    """
    found = _gathered(files, wanted, together)
    if has_deletion_vectors(files):
        found = replace(found, null_count_exact=False, exact=False)
    return found


def physical_rows(files: Selection) -> pa.Array:
    """The rows of each file before deletes: int64, null where unknown."""
    return _gathered(files, _COUNTS, ()).row_count


def physical_rows_if_cheap(files: Selection) -> pa.Array | None:
    """`physical_rows`, or None where that would have to read many JSON texts first."""
    unread = 0
    for part in files.parts:
        with part.block.lock:
            decoded = _struct_decoded(part.block, _COUNTS)
        unread += int(np.count_nonzero(~(decoded.known if part.rows is None else decoded.known[part.rows])))
    return physical_rows(files) if unread <= _CHEAP_TEXTS else None


def deleted_rows(files: Selection) -> pa.Array:
    """The cardinality of each file's deletion vector: int64, 0 without one."""
    return pc.fill_null(pc.struct_field(files.column("deletionVector"), "cardinality"), 0)


def has_deletion_vectors(files: Selection) -> bool:
    """Whether any of the files has one."""
    vectors = files.column("deletionVector")
    return bool(vectors.null_count < len(vectors))


@dataclass
class _Decoded:
    """What is known of one column in a block. bounds: one entry per row of the block, null where not looked at yet; known: which rows were looked at."""

    bounds: Bounds
    known: Mask


def _gathered(files: Selection, wanted: Column, together: Sequence[Column]) -> Bounds:
    type_ = wanted[1]
    flags: list[Bounds] = []

    def decoded(part: Part) -> pa.Array:
        bounds = _decode(part, wanted, together)
        flags.append(bounds)
        columns = [bounds.lower, bounds.upper, bounds.null_count, bounds.row_count]
        return pa.StructArray.from_arrays([part.take(c) for c in columns], names=["lower", "upper", "null_count", "row_count"])

    struct = files.gather(decoded, pa.struct([("lower", type_), ("upper", type_), ("null_count", pa.int64()), ("row_count", pa.int64())]))
    arrays = {field.name: pc.struct_field(struct, field.name) for field in struct.type}
    return Bounds(**arrays, null_count_exact=all(b.null_count_exact for b in flags), exact=all(b.exact for b in flags))


def _decode(part: Part, wanted: Column, together: Sequence[Column]) -> Bounds:
    """Bounds of `wanted` over the part's block, known for the part's rows at least."""
    with part.block.lock:
        decoded = _struct_decoded(part.block, wanted)
        if not (decoded.known.all() if part.rows is None else decoded.known[part.rows].all()):
            # Row counts come with every column, and each scan asks for those of the files it keeps.
            _add_json(part, list(dict.fromkeys((wanted, *together, _COUNTS))))
        return decoded.bounds


def _struct_decoded(block: Block, column: Column) -> _Decoded:
    """What is known of a column, typed statistics at least."""
    key = ("bounds", column)
    if key not in block.cache:
        block.cache[key] = _from_struct(block, column)
    decoded = block.cache[key]
    assert isinstance(decoded, _Decoded)
    return decoded


def _from_struct(block: Block, column: Column) -> _Decoded:
    """What typed statistics say, for every row of the block."""
    path, type_ = column
    nothing = pa.nulls(block.rows, pa.int64())
    unknown = pa.nulls(block.rows, type_)
    bounds = Bounds(unknown, unknown, nothing, nothing, null_count_exact=True, exact=True)
    struct = block.stats_struct(path)
    if struct is None:
        return _Decoded(bounds, np.zeros(block.rows, bool))
    if column == _COUNTS:
        bounds = replace(bounds, row_count=_counts(struct))
    else:
        found = struct_bounds(struct, path, type_, deletion_vectors=_none_deleted(block.rows))
        if found is not None:
            bounds = found
    said = [a.is_valid() for a in (bounds.lower, bounds.upper, bounds.null_count, bounds.row_count)]
    return _Decoded(bounds, np.asarray(pc.or_(pc.or_(said[0], said[1]), pc.or_(said[2], said[3]))))


def _counts(struct: pa.Array) -> pa.Array:
    """numRecords out of typed statistics."""
    if struct.type.get_field_index("numRecords") < 0:
        return pa.nulls(len(struct), pa.int64())
    counts = pc.struct_field(struct, "numRecords")
    return counts.cast(pa.int64()) if pa.types.is_integer(counts.type) else pa.nulls(len(struct), pa.int64())


def _add_json(part: Part, columns: Sequence[Column]) -> None:
    """Decodes JSON statistics of the part's rows that are not known yet, for all the columns in one pass."""
    block = part.block
    entries = [_struct_decoded(block, column) for column in columns]
    open_rows = np.zeros(block.rows, bool)
    open_rows[slice(None) if part.rows is None else part.rows] = True
    open_rows &= ~np.logical_and.reduce([e.known for e in entries])
    pieces: list[list[Bounds]] = [[] for _ in columns]
    covered = np.zeros(block.rows, bool)
    start, end = 0, int(np.flatnonzero(open_rows)[-1]) + 1
    for texts in block.stats_texts():
        if start >= end:
            break
        rows = np.flatnonzero(open_rows[start : start + len(texts)])
        if len(rows):
            chosen = texts if len(rows) == len(texts) else texts.take(pa.array(rows))
            for number, bounds in enumerate(_parse(chosen, columns)):
                pieces[number].append(bounds)
            covered[start + rows] = True
        start += len(texts)
    for entry, found in zip(entries, pieces, strict=True):
        # A row that typed statistics told of keeps what they said, though another column made it be read again.
        fresh = covered & ~entry.known
        if fresh.any():
            entry.bounds = _scattered(entry.bounds, fresh, found, covered)
        entry.known = entry.known | open_rows


def _parse(texts: pa.Array, columns: Sequence[Column]) -> list[Bounds]:
    """Bounds of each column out of the texts."""
    if list(columns) == [_COUNTS]:
        nothing = pa.nulls(len(texts), pa.int64())
        return [Bounds(pa.nulls(len(texts), pa.null()), pa.nulls(len(texts), pa.null()), nothing, num_records_json(texts))]
    real = [c for c in columns if c != _COUNTS]
    found = json_bounds_of(texts, real, deletion_vectors=_none_deleted(len(texts)))
    nothing = pa.nulls(len(texts), pa.int64())
    parsed = dict(zip(real, found, strict=True))
    bounds = []
    for column in columns:
        known = parsed.get(column)
        bounds.append(known or Bounds(pa.nulls(len(texts), column[1]), pa.nulls(len(texts), column[1]), nothing, _row_counts(found, nothing), exact=True))
    return bounds


def _row_counts(found: Sequence[Bounds | None], nothing: pa.Array) -> pa.Array:
    return next((b.row_count for b in found if b is not None), nothing)


def _scattered(bounds: Bounds, fresh: Mask, pieces: Sequence[Bounds], covered: Mask) -> Bounds:
    """bounds with the rows `fresh` taken from the pieces, which hold the rows `covered` in order."""
    mask, chosen = pa.array(fresh), pa.array(fresh[covered])

    def merged(name: str) -> pa.Array:
        old: pa.Array = getattr(bounds, name)
        new = concat([getattr(p, name) for p in pieces], old.type).filter(chosen)
        return new if len(new) == len(old) else old if pa.types.is_null(old.type) else pc.replace_with_mask(old, mask, new)

    return Bounds(
        lower=merged("lower"),
        upper=merged("upper"),
        null_count=merged("null_count"),
        row_count=merged("row_count"),
        null_count_exact=bounds.null_count_exact and all(p.null_count_exact for p in pieces),
        exact=bounds.exact and all(p.exact for p in pieces),
    )


def _none_deleted(count: int) -> pa.Array:
    return pa.array(np.zeros(count, bool))
