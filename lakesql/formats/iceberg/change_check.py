"""How long the changes of a range of snapshots can be told: until one that they need may expire.

A snapshot may expire once it is older than its branch's `max-snapshot-age-ms`, unless it is one of the branch's `min-snapshots-to-keep` newest; what a tag or a
branch names stays as long as they do. Source: Iceberg table spec, "Snapshot Retention Policy", and the table properties `history.expire.*`.
"""

from __future__ import annotations

from collections.abc import Sequence

from lakesql.formats.iceberg.metadata import MAIN, Ref, SnapshotInfo, TableMetadata

_AGE, _KEPT = "history.expire.max-snapshot-age-ms", "history.expire.min-snapshots-to-keep"
_DEFAULTS = {_AGE: 432_000_000, _KEPT: 1}
_MILLISECOND_US = 1000


def expiry(metadata: TableMetadata, chosen: Sequence[SnapshotInfo], *, raw: bool) -> tuple[int | None, str | None]:
    """When a snapshot that the range needs may expire first, microseconds UTC, and which. raw: each of them is needed, and not the two ends alone."""
    if not chosen:
        return None, None
    before = None if chosen[0].parent_id is None else metadata.snapshot(chosen[0].parent_id)
    needed = [*([] if before is None else [before]), *(chosen if raw else chosen[-1:])]
    found = [(at, s.id, why) for s in needed for at, why in [_expires(metadata, s)] if at is not None]
    if not found:
        return None, None
    at_ms, id_, why = min(found)
    return at_ms * _MILLISECOND_US, f"snapshot {id_} ({why})"


def _expires(metadata: TableMetadata, info: SnapshotInfo) -> tuple[int | None, str]:
    """When the snapshot may expire, in milliseconds, None for one that is kept; and the setting that says so. What keeps it longest counts."""
    age = _setting(metadata, _AGE)
    latest: tuple[int, str] = (info.timestamp_ms + age, f"{_AGE} = {age}")
    branches = [r for r in metadata.refs.values() if r.kind == "branch"]
    if all(r.name != MAIN for r in branches) and metadata.current_snapshot_id is not None:
        branches.append(Ref(MAIN, "branch", metadata.current_snapshot_id))
    for ref in metadata.refs.values():
        if ref.kind == "tag" and ref.snapshot_id == info.id:
            if ref.max_ref_age_ms is None:
                return None, ""
            latest = max(latest, (info.timestamp_ms + ref.max_ref_age_ms, f"tag {ref.name}, max-ref-age-ms = {ref.max_ref_age_ms}"))
    for ref in branches:
        place = _place(metadata, ref.snapshot_id, info.id)
        if place is not None and place < (ref.min_snapshots_to_keep or _setting(metadata, _KEPT)):
            return None, ""
        if place is not None and ref.max_snapshot_age_ms is not None:
            latest = max(latest, (info.timestamp_ms + ref.max_snapshot_age_ms, f"branch {ref.name}, max-snapshot-age-ms = {ref.max_snapshot_age_ms}"))
    return latest


def _place(metadata: TableMetadata, head: int, wanted: int) -> int | None:
    """How many snapshots of a branch are newer, None for one that is not of it."""
    place, info = 0, metadata.snapshot(head)
    while info is not None:
        if info.id == wanted:
            return place
        place, info = place + 1, None if info.parent_id is None else metadata.snapshot(info.parent_id)
    return None


def _setting(metadata: TableMetadata, name: str) -> int:
    text = metadata.properties.get(name, "").strip()
    return int(text) if text.isdigit() else _DEFAULTS[name]
