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
    """Which files of either snapshot have rows that the other may not have. Files that no delete concerns are compared by their paths alone, all at once."""
    left, right = before.files["path"].combine_chunks(), after.files["path"].combine_chunks()
    marks_left, marks_right = _marks(before), _marks(after)
    changed = [path for path in marks_left.keys() | marks_right.keys() if marks_left.get(path) != marks_right.get(path)]
    suspects = pa.array(changed, pa.string())
    return _apart(left, right, suspects), _apart(right, left, suspects)


def _apart(paths: pa.Array, others: pa.Array, suspects: pa.Array) -> Mask:
    """Which paths are not among the others, or are suspects."""
    found: Mask = ~np.asarray(pc.is_in(paths, value_set=others)) | np.asarray(pc.is_in(paths, value_set=suspects))
    return found


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


def _marks(files: IcebergFiles) -> dict[str, Hashable]:
    """For each file that deletes concern, by its path, which do: under the same deletes it has the same rows in both snapshots."""
    deletes = files.deletes
    assert deletes is not None
    touched = (deletes.vector >= 0) | deletes.has_positions
    for equality in deletes.equality:
        touched = touched | equality.hit
    rows = np.flatnonzero(touched)
    return {path: _concerning(deletes, row, path) for row, path in zip(rows.tolist(), deletes.paths.take(pa.array(rows)).to_pylist(), strict=True)}


def _concerning(deletes: Deletes, row: int, path: str) -> Hashable:
    """The delete files that concern a data file, and places inside them."""
    found: list[Hashable] = []
    if deletes.vector[row] >= 0:
        place = int(deletes.vector[row])
        found.append((deletes.vectors.path[place].as_py(), deletes.vectors.offset[place].as_py()))
    if deletes.has_positions[row]:
        found.append(_names(deletes.positions, _may_name(deletes, row, path)))
    for equality in deletes.equality:
        if equality.hit[row]:
            newer = equality.files.sequence > deletes.sequence[row]
            here = newer if equality.everywhere else newer & (equality.files.codes == deletes.codes[row])
            found.append((equality.ids, _names(equality.files, here)))
    return tuple(found)


def _may_name(deletes: Deletes, row: int, path: str) -> Mask:
    """The position delete files that may name a data file."""
    positions = deletes.positions
    named = np.asarray(pc.fill_null(pc.equal(positions.named, path), False))
    nameless = np.asarray(positions.named.is_null()) & (positions.codes == deletes.codes[row])
    found: Mask = (named | nameless) & (positions.sequence >= deletes.sequence[row])
    return found


def _names(files: DeleteFiles, mask: Mask) -> frozenset[str]:
    return frozenset(files.path.filter(pa.array(mask)).to_pylist())
