"""How the changes of a range of versions are known, and how long they will be: changes.Told, from the log alone.

A commit may be cleaned up once it is older than the log's retention; a change file, and a file that left the table, once that was longer ago than the retention
of deleted files.
Source: Delta protocol, "Metadata Cleanup", and Delta Lake's table properties of these names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lakesql.changes import Source, Told
from lakesql.formats.delta.change_files import Kind

if TYPE_CHECKING:
    from lakesql.formats.delta import change_scan
    from lakesql.formats.delta.change_range import VersionRange
    from lakesql.formats.delta.snapshot import DeltaSnapshot

_LOG, _FILES = "delta.logRetentionDuration", "delta.deletedFileRetentionDuration"
_DEFAULTS = {_LOG: "interval 30 days", _FILES: "interval 1 week"}
_UNITS_US = {
    "microsecond": 1,
    "millisecond": 1000,
    "second": 1_000_000,
    "minute": 60_000_000,
    "hour": 3_600_000_000,
    "day": 86_400_000_000,
    "week": 604_800_000_000,
}
_PART = re.compile(r"(\d+)\s+([a-z]+?)s?(?:\s+|$)")


def told_by(
    told: change_scan.Told, versions: VersionRange, times: Mapping[int, int], end: DeltaSnapshot, pieces: npt.NDArray[np.int64], *, has_key: bool
) -> Told:
    """See the module. times: microseconds by version. pieces: those that are looked at, by their place in `told`."""
    kinds, of = told.pieces.kinds[pieces], told.pieces.versions[pieces]
    compared = told.open[pieces]
    known = told.paired[pieces] & (not has_key)
    found = [
        (Source.RECORDED, kinds == Kind.RECORDED),
        (Source.IDENTITY, compared & known),
        (Source.FILES, ~compared & (kinds != Kind.RECORDED)),
        (Source.COMPARED, compared & ~known),
    ]
    limits = []
    if len(versions.versions):
        settings = {n: end.states.at(None).metadata.configuration.get(n, d) for n, d in _DEFAULTS.items()}
        limits.append((times[versions.first], f"commit {versions.first}", _LOG))
        left = (kinds != Kind.INSERT) | ~_is_active(told, pieces, end)
        if left.any():
            version = int(of[left].min())
            limits.append((times[version], f"files that left the table, or recorded changes, in version {version}", _FILES))
        dated = [(at + d, what, name) for at, what, name in limits if (d := _duration_us(settings[name])) is not None]
        if dated:
            at, what, name = min(dated)
            return Told(tuple(versions.versions), pa.array(of, pa.int64()), _there(found), at, f"{what} ({name} = {settings[name]})")
    return Told(tuple(versions.versions), pa.array(of, pa.int64()), _there(found))


def _there(found: list[tuple[Source, npt.NDArray[np.bool_]]]) -> tuple[Source, ...]:
    return tuple(source for source, mask in found if mask.any())


def _is_active(told: change_scan.Told, pieces: npt.NDArray[np.int64], end: DeltaSnapshot) -> npt.NDArray[np.bool_]:
    """Which pieces' files the latest version still has."""
    paths = told.pieces.files.column("path").take(pa.array(pieces))
    found = np.zeros(len(pieces), bool)
    for block in end.states.at(None).files.get():
        found |= np.asarray(pc.is_in(paths, value_set=block.column("path")))
    return found


def _duration_us(text: str) -> int | None:
    """An interval as Delta's table properties have it; None for one that cannot be read.

    >>> _duration_us("interval 1 day 12 hours") == 36 * 3_600_000_000
    True
    """
    spelled = re.sub(r"^interval\s+", "", text.strip().lower())
    parts = list(_PART.finditer(spelled))
    if not parts or "".join(p[0] for p in parts) != spelled or any(p[2] not in _UNITS_US for p in parts):
        return None
    return sum(int(p[1]) * _UNITS_US[p[2]] for p in parts)
