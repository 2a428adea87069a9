"""Two snapshots -> the data files in which their rows may differ: those that only one of them has, and those that other deletes concern.

Source: Iceberg table spec, "Scan Planning"; snapshots of operation `replace` hold the rows of their parents by definition and are never compared.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lakesql.formats.iceberg.deletes import DeleteFiles, Deletes
from lakesql.formats.iceberg.scan import IcebergFiles

Mask = npt.NDArray[np.bool_]


def differing(before: IcebergFiles, after: IcebergFiles) -> tuple[Mask, Mask]:
    """Which files of either snapshot have rows that the other may not have."""
    left, right = _marks(before), _marks(after)
    known_left, known_right = set(left), set(right)
    return np.array([m not in known_right for m in left], bool), np.array([m not in known_left for m in right], bool)


def narrowed(files: IcebergFiles, mask: Mask) -> IcebergFiles:
    """Some of the files."""
    assert files.deletes is not None
    chosen = pa.array(mask)
    return replace(
        files,
        files=files.files.filter(chosen),
        constants=files.constants.filter(chosen) if files.constants.num_columns else files.constants,
        live_rows=files.live_rows.filter(chosen),
        entries=files.entries.narrow(mask),
        deletes=files.deletes.narrow(mask),
    )


def added_by(files: IcebergFiles, snapshot_id: int) -> Mask:
    """The files that a snapshot added."""
    return np.asarray(pc.fill_null(pc.equal(files.entries.column("snapshot_id"), snapshot_id), False))


def _marks(files: IcebergFiles) -> list[Hashable]:
    """For each file its path and the delete files that concern it: rows of files that are equal in both are the same."""
    deletes = files.deletes
    assert deletes is not None
    found: list[Hashable] = []
    for row, path in enumerate(deletes.paths.to_pylist()):
        concerned: list[Hashable] = []
        if deletes.vector[row] >= 0:
            place = int(deletes.vector[row])
            vectors = deletes.vectors
            concerned.append((vectors.path[place].as_py(), vectors.offset[place].as_py()))
        if deletes.has_positions[row]:
            concerned.append(_names(deletes.positions, _may_name(deletes, row, path)))
        for equality in deletes.equality:
            if equality.hit[row]:
                newer = equality.files.sequence > deletes.sequence[row]
                here = newer if equality.everywhere else newer & (equality.files.codes == deletes.codes[row])
                concerned.append((equality.ids, _names(equality.files, here)))
        found.append((path, tuple(concerned)))
    return found


def _may_name(deletes: Deletes, row: int, path: str) -> Mask:
    """The position delete files that may name a data file."""
    positions = deletes.positions
    named = np.asarray(pc.fill_null(pc.equal(positions.named, path), False))
    nameless = np.asarray(positions.named.is_null()) & (positions.codes == deletes.codes[row])
    found: Mask = (named | nameless) & (positions.sequence >= deletes.sequence[row])
    return found


def _names(files: DeleteFiles, mask: Mask) -> frozenset[str]:
    return frozenset(files.path.filter(pa.array(mask)).to_pylist())
