"""Which snapshot an AS OF means, and which schema it is read with. Source: Iceberg table spec, "Snapshots", "Snapshot References"; Spark for the schemas.

    asked for                      snapshot                                                      schema
    nothing, or a branch           the branch's head; main's is the current snapshot             the table's current one
    a tag                          the tag's                                                     the snapshot's own
    an id                          any in the metadata, staged and rolled back ones too          the snapshot's own
    an instant                     what the snapshot log says was current then                   the snapshot's own

A text of digits is an id first, a name then. The snapshot log tells what readers saw, rollbacks included; by the ancestors of today's snapshot the answer may
be another, which is then said. Of two log entries at one instant the later counts; an instant before the log is an error, one after it means the last entry.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import dataclass

from lakesql.errors import ExpiredVersionError, NoSuchVersionError, did_you_mean
from lakesql.formats.iceberg.metadata import LogEntry, SnapshotInfo, TableMetadata
from lakesql.formats.iceberg.schema import Schema
from lakesql.table import At, AtTime, AtVersion, Latest

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Choice:
    """A snapshot, None for a table without one, and the schema to read it with. notices: what the user should know of the choice."""

    snapshot: SnapshotInfo | None
    schema: Schema
    notices: tuple[str, ...] = ()


def choose(metadata: TableMetadata, at: At) -> Choice:
    """The snapshot `at` means. Raises NoSuchVersionError, ExpiredVersionError."""
    match at:
        case Latest():
            return Choice(metadata.current, metadata.schema)
        case AtVersion():
            return _by_version(metadata, at.text.strip())
        case AtTime():
            return _by_time(metadata, at)


def instant_text(us: int) -> str:
    """An instant as ISO 8601 in UTC; beyond the calendar, its number."""
    try:
        return (_EPOCH + dt.timedelta(microseconds=us)).isoformat(sep=" ", timespec="milliseconds").replace("+00:00", "Z")
    except OverflowError:
        return f"{us} us since 1970"


def _by_version(metadata: TableMetadata, text: str) -> Choice:
    if re.fullmatch(r"[+-]?\d{1,25}", text):
        found = metadata.snapshot(int(text))
        if found is not None:
            return Choice(found, metadata.schema_of(found.schema_id))
    ref = metadata.refs.get(text)
    if ref is not None:
        found = metadata.snapshot(ref.snapshot_id)
        if found is None:
            raise ExpiredVersionError(f"{ref.kind} {text} is of snapshot {ref.snapshot_id}, which is not in the metadata any more ({metadata.path})")
        return Choice(found, metadata.schema if ref.kind == "branch" else metadata.schema_of(found.schema_id))
    if re.fullmatch(r"[+-]?\d{1,25}", text):
        raise _no_snapshot(metadata, int(text))
    raise NoSuchVersionError(
        f'no such version "{text}": the table has no such branch or tag, and snapshot ids are numbers ({metadata.path})',
        hint=did_you_mean(text, metadata.refs) or "the table has no branches or tags",
    )


def _no_snapshot(metadata: TableMetadata, id_: int) -> NoSuchVersionError | ExpiredVersionError:
    """The error for a snapshot that is not there; one that others name as their parent, or the log as once current, was there."""
    snapshots = list(metadata.snapshots)
    children = [s for s in snapshots if s.parent_id == id_]
    logged = [e for e in metadata.snapshot_log if e.snapshot_id == id_]
    if children or logged:
        later = min((s for s in snapshots if not logged or s.timestamp_ms >= logged[0].timestamp_ms), key=lambda s: s.timestamp_ms, default=None)
        nearest = min(children, key=lambda s: s.timestamp_ms) if children else later
        after = f"; the nearest after it is {nearest.id}" if nearest is not None else ""
        return ExpiredVersionError(f"snapshot {id_} has expired: its metadata is gone from {metadata.path}{after}", hint=_kept(metadata, snapshots))
    return NoSuchVersionError(f"no such snapshot {id_}: it has expired, or the table never had it ({metadata.path})", hint=_kept(metadata, snapshots))


def _kept(metadata: TableMetadata, snapshots: Iterable[SnapshotInfo]) -> str:
    """What there is instead: the oldest kept snapshot, the latest, and the tags."""
    ordered = sorted(snapshots, key=lambda s: s.timestamp_ms)
    if not ordered:
        return "the table has no snapshots"
    shown = [f"the oldest kept is {ordered[0].id} ({instant_text(ordered[0].timestamp_ms * 1000)})", f"the latest {ordered[-1].id}"]
    tags = [r.name for r in metadata.refs.values() if r.kind == "tag"]
    if tags:
        shown.append(f"tags: {', '.join(sorted(tags)[:10])}{', ...' if len(tags) > 10 else ''}")
    return f"{len(ordered)} snapshots are kept: {', '.join(shown)}"


def _by_time(metadata: TableMetadata, at: AtTime) -> Choice:
    entry = _logged(metadata, at)
    found = metadata.snapshot(entry.snapshot_id)
    if found is None:
        raise ExpiredVersionError(
            f"snapshot {entry.snapshot_id}, which was current at {at.text}, has expired ({metadata.path})", hint=_kept(metadata, metadata.snapshots)
        )
    return Choice(found, metadata.schema_of(found.schema_id), _disagreement(metadata, found, at))


def _logged(metadata: TableMetadata, at: AtTime) -> LogEntry:
    """The last entry of the log that is not after the instant."""
    log = metadata.snapshot_log
    if not log:
        raise NoSuchVersionError(f"no state at {at.text} is known: the table has no snapshot log ({metadata.path})", hint="ask for a snapshot by its id")
    earlier = [e for e in log if e.timestamp_ms * 1000 <= at.instant_us]
    if not earlier:
        first = min(e.timestamp_ms for e in log) * 1000
        raise NoSuchVersionError(
            f"no snapshot at or before {at.text} is known: the table's snapshot log begins at {instant_text(first)} ({metadata.path})",
            hint="earlier states were never there, or have expired",
        )
    latest_ms = max(e.timestamp_ms for e in earlier)
    return [e for e in earlier if e.timestamp_ms == latest_ms][-1]


def _disagreement(metadata: TableMetadata, found: SnapshotInfo, at: AtTime) -> tuple[str, ...]:
    """A word where the history of today's snapshot says something else than the log."""
    by_ancestry = None
    for id_ in metadata.ancestors(metadata.current_snapshot_id):
        info = metadata.snapshot(id_)
        if info is not None and info.timestamp_ms * 1000 <= at.instant_us:
            by_ancestry = info
            break
    if by_ancestry is None or by_ancestry.id == found.id:
        return ()
    return (
        f"at {at.text} snapshot {found.id} was current, by the snapshot log; it was rolled back or replaced since: today's history has {by_ancestry.id} then",
    )
