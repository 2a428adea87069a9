"""Metrics of one column out of a manifest's maps from field id to value, for all its files at once. Source: Iceberg table spec, "Manifests", fields 108 to
110, 125, 128, 137.

A map is a list of key and value records; a key that is missing is unknown, never zero. Only the columns that predicates name are taken out, and remembered so.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

MAPS = {
    "column_sizes": (108, pa.int64()),
    "value_counts": (109, pa.int64()),
    "null_value_counts": (110, pa.int64()),
    "nan_value_counts": (137, pa.int64()),
    "lower_bounds": (125, pa.binary()),
    "upper_bounds": (128, pa.binary()),
}
"""The maps of a data file: their field ids and what they hold."""

PRUNING_MAPS = ("value_counts", "null_value_counts", "nan_value_counts", "lower_bounds", "upper_bounds")


@dataclass(frozen=True)
class ColumnMetrics:
    """What is known of one column of every file of a manifest, deleted ones too; null is unknown. Bounds are in their binary form."""

    value_count: pa.Array
    null_count: pa.Array
    nan_count: pa.Array
    lower: pa.Array
    upper: pa.Array

    @property
    def nbytes(self) -> int:
        """What it takes in memory."""
        return sum(a.nbytes for a in (self.value_count, self.null_count, self.nan_count, self.lower, self.upper))

    def take(self, rows: pa.Array) -> ColumnMetrics:
        """Those of some files."""
        return ColumnMetrics(*(a.take(rows) for a in (self.value_count, self.null_count, self.nan_count, self.lower, self.upper)))


def column_metrics(maps: dict[str, pa.Array], field_id: int) -> ColumnMetrics:
    """The metrics of a column. maps: PRUNING_MAPS, as lists of (key, value) structs."""
    return ColumnMetrics(*(value_of(maps[name], field_id) for name in PRUNING_MAPS))


def value_of(array: pa.ListArray, key: int) -> pa.Array:
    """For each map the value under a key, null where it has none; of a key that is there twice, the last."""
    keys, rows, values = _entries(array)
    at = np.flatnonzero(keys == key)
    places = np.full(len(array), -1, np.int64)
    places[rows[at]] = at
    return values.take(pa.array(places, mask=places < 0))


def keys_of(array: pa.ListArray) -> npt.NDArray[np.int32]:
    """Every key there is in the maps."""
    return np.unique(_entries(array)[0])


def _entries(array: pa.ListArray) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], pa.Array]:
    """The keys of all maps one after another, the map each is of, and the values."""
    lengths = array.value_lengths().fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    entries = array.flatten()  # without what null maps may hide
    keys = entries.field(0).fill_null(-1).to_numpy(zero_copy_only=False)
    return keys, np.repeat(np.arange(len(array), dtype=np.int64), lengths), entries.field(1)
