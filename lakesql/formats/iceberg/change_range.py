"""A range as asked for -> the snapshots whose changes it means, oldest first: ancestors of one another, from the first to the last.

Bounds by time are resolved among the ancestors of the range's end, not by the snapshot log. Source: Iceberg table spec, "Snapshots"; Spark's changelog for the
meaning of bounds.
"""

from __future__ import annotations

from dataclasses import replace

from lakesql.changes import ChangesRequest, Edge
from lakesql.errors import ExpiredVersionError, NoSuchVersionError
from lakesql.formats.iceberg.metadata import SnapshotInfo, TableMetadata
from lakesql.formats.iceberg.travel import Choice, choose, instant_text
from lakesql.table import AtTime, AtVersion, Latest

_MILLISECOND_US = 1000


def resolve(metadata: TableMetadata, request: ChangesRequest) -> tuple[list[SnapshotInfo], Choice]:
    """The snapshots of the range, perhaps none, and the state at its end, whose schema the feed has.

    Raises NoSuchVersionError for bounds that name no snapshot, a start that is no ancestor of the end, and bounds in the wrong order; ExpiredVersionError
    where snapshots of the range are gone.
    """
    start, end = request.start, request.end
    last = choose(metadata, Latest() if end is None or isinstance(end.at, AtTime) else end.at)
    if last.snapshot is not None and last.snapshot.id == metadata.current_snapshot_id:
        last = Choice(last.snapshot, metadata.schema, last.notices)
    chain = _ancestry(metadata, last.snapshot)
    if end is not None and isinstance(end.at, AtTime):
        chain = _until(metadata, chain, end)
        last = Choice(chain[-1], metadata.schema_of(chain[-1].schema_id))
    first = _first(metadata, chain, start) if chain else 0
    chosen = chain[first:]
    if end is not None and not isinstance(end.at, AtTime) and end.exclusive:
        chosen = chosen[:-1]
    return chosen, last


def commits(metadata: TableMetadata, request: ChangesRequest) -> list[SnapshotInfo]:
    """The snapshots of the range. A start that was read up to and has expired since is found by the snapshot that names it as its parent. Raises as
    resolve; a start that nothing names any more is an ExpiredVersionError.
    """
    start = request.start
    if start is not None and isinstance(start.at, AtVersion) and start.at.text.isdecimal() and metadata.snapshot(int(start.at.text)) is None:
        id_ = int(start.at.text)
        child = next((s for s in metadata.snapshots if s.parent_id == id_), None) if start.exclusive else None
        if child is None:
            what = f"snapshot {id_}, and the one after it, are" if start.exclusive else f"snapshot {id_} is"
            raise ExpiredVersionError(f"{what} not in {metadata.path}: expired, or never there")
        request = replace(request, start=Edge(AtVersion(str(child.id))))
    return resolve(metadata, request)[0]


def _ancestry(metadata: TableMetadata, info: SnapshotInfo | None) -> list[SnapshotInfo]:
    """The snapshot and its ancestors that are left, oldest first."""
    found = []
    while info is not None:
        found.append(info)
        info = metadata.snapshot(info.parent_id) if info.parent_id is not None else None
    return found[::-1]


def _first(metadata: TableMetadata, chain: list[SnapshotInfo], edge: Edge | None) -> int:
    """Where in the chain the range begins."""
    if edge is None:
        return 0 if chain[0].parent_id is None or chain[0].operation == "append" else 1
    if isinstance(edge.at, AtTime):
        at = edge.at
        found = next((n for n, s in enumerate(chain) if _within(s, edge, after=True)), None)
        if found is not None:
            return found
        newest = chain[-1].timestamp_ms * _MILLISECOND_US
        if at.or_latest or (edge.exclusive and newest == at.instant_us):
            return len(chain)
        raise NoSuchVersionError(f"no changes from {at.text} on: the last snapshot, {chain[-1].id}, was made at {instant_text(newest)} ({metadata.path})")
    info = choose(metadata, edge.at).snapshot
    place = next((n for n, s in enumerate(chain) if info is not None and s.id == info.id), None)
    if place is None:
        name = edge.at.text
        raise NoSuchVersionError(
            f"snapshot {name} is not an ancestor of {chain[-1].id}, so no changes lead from the one to the other ({metadata.path})",
            hint="it is newer, or on another branch, or was rolled back; give the older one first",
        )
    return place + edge.exclusive


def _until(metadata: TableMetadata, chain: list[SnapshotInfo], edge: Edge) -> list[SnapshotInfo]:
    kept = [s for s in chain if _within(s, edge, after=False)]
    if not kept:
        at = edge.at
        gone = chain and chain[0].parent_id is not None
        error = ExpiredVersionError if gone else NoSuchVersionError
        oldest = (
            f"the oldest snapshot that is left, {chain[0].id}, was made at {instant_text(chain[0].timestamp_ms * _MILLISECOND_US)}"
            if chain
            else "there is no snapshot"
        )
        raise error(f"no changes up to {at.text}: {oldest} ({metadata.path})")
    return kept


def _within(info: SnapshotInfo, edge: Edge, *, after: bool) -> bool:
    assert isinstance(edge.at, AtTime)
    us = info.timestamp_ms * _MILLISECOND_US
    beyond = us > edge.at.instant_us if after else us < edge.at.instant_us
    return beyond or (us == edge.at.instant_us and not edge.exclusive)
