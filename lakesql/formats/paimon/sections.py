"""Which files of a primary-key table must be merged, and in what order they are.

A tree's bucket is a few sorted runs: every file of level 0 is one, and all files of a higher level together. Keys occur once in a run. Files whose key
ranges touch form a section; a file that is alone in its section needs no merging, and its rows are the table's. Ranges are compared as values, in the order
of the writers' comparator. Source: Paimon, IntervalPartition, MergeTreeSplitGenerator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lakesql.formats.paimon.binary_row import Rows
from lakesql.formats.paimon.entries import Indices, Mask, Selection
from lakesql.formats.paimon.statistics import Described, comparable
from lakesql.formats.paimon.types import arrow_type


@dataclass(frozen=True, eq=False)
class Sections:
    """One entry per file. number: its section's, counted over all groups. alone: no other file has keys in its range. bulk: of the oldest run of its
    section. settled: every row of the section's bulk is older, by the writers' numbers, than every other row of the section. distinct: no two
    rows of a key in the section have the same number.
    """

    number: Indices
    alone: Mask
    bulk: Mask
    settled: Mask
    distinct: Mask


def sections(files: Selection, groups: Indices, described: Described) -> Sections:
    """The sections of files, within each group (one bucket of one partition)."""
    count = len(files)
    levels, low, high = files.numbers("_LEVEL"), *_key_ranks(files, described)
    order = np.lexsort((high, low, groups))
    group, first, last = groups[order], low[order], high[order]
    apart = 2 * count + 4
    reach = np.maximum.accumulate(group * apart + last) if count else last
    starts = np.ones(count, bool)
    starts[1:] = (group[1:] != group[:-1]) | (group[1:] * apart + first[1:] > reach[:-1])
    section = np.empty(count, np.int64)
    section[order] = np.cumsum(starts) - 1
    sizes = np.bincount(section, minlength=1)
    bulk = _oldest_run(section, levels, files)
    return Sections(section, sizes[section] == 1, bulk, _settled(section, bulk, files), _distinct(section, levels, files))


def _oldest_run(section: Indices, levels: Indices, files: Selection) -> Mask:
    """Files of each section's oldest run: those of its highest level, or the oldest file of level 0."""
    count = len(section)
    top = np.zeros(count + 1, np.int64)
    np.maximum.at(top, section, levels)
    on_top = levels == top[section]
    oldest = np.lexsort((files.numbers("_MAX_SEQUENCE_NUMBER"), files.numbers("_MIN_SEQUENCE_NUMBER"), -levels, section))
    first = np.zeros(count, bool)
    first[oldest[np.unique(section[oldest], return_index=True)[1]]] = True
    bulk: Mask = np.where(levels > 0, on_top, on_top & first)
    return bulk


def _settled(section: Indices, bulk: Mask, files: Selection) -> Mask:
    """Whether the writers' numbers in a section's bulk are all below those in its other runs: not so where writers that knew nothing of each other met."""
    highest = np.full(len(section) + 1, -(2**63))
    lowest = np.full(len(section) + 1, 2**63 - 1)
    np.maximum.at(highest, section[bulk], files.numbers("_MAX_SEQUENCE_NUMBER", 2**63 - 1)[bulk])
    np.minimum.at(lowest, section[~bulk], files.numbers("_MIN_SEQUENCE_NUMBER", -(2**63))[~bulk])
    settled: Mask = (highest < lowest)[section]
    return settled


def _distinct(section: Indices, levels: Indices, files: Selection) -> Mask:
    """Whether the numbers of a section's runs do not overlap; within a run keys occur once."""
    count = len(section)
    if not count:
        return np.zeros(0, bool)
    run_of = np.where(levels > 0, -levels, np.arange(count) + 1)
    runs = np.unique(np.stack([section, run_of]), axis=1, return_inverse=True)[1].reshape(-1)
    low, high, where = np.full(count, 2**63 - 1), np.full(count, -(2**63)), np.zeros(count, np.int64)
    np.minimum.at(low, runs, files.numbers("_MIN_SEQUENCE_NUMBER", -(2**63)))
    np.maximum.at(high, runs, files.numbers("_MAX_SEQUENCE_NUMBER", 2**63 - 1))
    where[runs] = section
    total = int(runs.max()) + 1
    order = np.lexsort((low[:total], where[:total]))
    clash = (where[order][1:] == where[order][:-1]) & (low[order][1:] <= high[order][:-1])
    apart = np.ones(count, bool)
    apart[where[order][1:][clash]] = False
    distinct: Mask = apart[section]
    return distinct


def _key_ranks(files: Selection, described: Described) -> tuple[Indices, Indices]:
    """The ranks of each file's least and greatest key among all of them. Files whose keys cannot be compared get the whole range."""
    fields = described.schema.trimmed_primary_key
    count = len(files)
    schema_ids = files.numbers("_SCHEMA_ID")
    known = np.zeros(count, bool)
    columns = [pa.nulls(2 * count, arrow_type(f.type)) for f in fields]
    for schema_id in np.unique(schema_ids).tolist():
        chosen = np.flatnonzero(schema_ids == schema_id)
        held = described.schema_of(schema_id)
        stored = [next((i for i, k in enumerate(held.trimmed_primary_key) if k.id == f.id), None) for f in fields]
        if None in stored or not all(comparable(held.trimmed_primary_key[i].type, f.type) for i, f in zip(stored, fields, strict=True) if i is not None):
            continue
        rows = []
        for name in ("_MIN_KEY", "_MAX_KEY"):
            rows.append(Rows.of(files.column(name).take(pa.array(chosen)), len(held.trimmed_primary_key), "a key in a manifest", strict=False))
        known[chosen] = ~(rows[0].absent | rows[1].absent)
        at = np.concatenate([chosen, chosen + count])
        mask = np.zeros(2 * count, bool)
        mask[at] = True
        for number, (index, field) in enumerate(zip(stored, fields, strict=True)):
            assert index is not None
            values = [r.column(index, held.trimmed_primary_key[index].type, strict=False).cast(arrow_type(field.type)) for r in rows]
            columns[number] = pc.replace_with_mask(columns[number], pa.array(mask), pa.concat_arrays(values))
    ranks = dense_ranks(columns, 2 * count) + 1
    most = int(ranks.max(initial=0)) + 1
    low, high = np.where(known, ranks[:count], 0), np.where(known, ranks[count:], most)
    return np.minimum(low, high), np.maximum(low, high)


def dense_ranks(columns: Sequence[pa.Array], count: int) -> npt.NDArray[np.int64]:
    """The rank of each row among the distinct rows, by the columns in order; nulls come first, both zeros are equal."""
    ranks = np.zeros(count, np.int64)
    for column in columns:
        values = column.cast(pa.int8()) if pa.types.is_boolean(column.type) else column
        # NaN is ranked above every number, as in Java, and null above that.
        here = pc.rank(values, sort_keys="ascending", tiebreaker="dense").to_numpy(zero_copy_only=False).astype(np.int64)
        here[column.is_null().to_numpy(zero_copy_only=False)] = 0
        _, ranks = np.unique(ranks * (int(here.max(initial=0)) + 1) + here, return_inverse=True)
    return ranks
