"""The files of a log: their names, and which of them make a version (the log segment). Lists and sorts; opens no file but `_last_checkpoint`.

    hint -> Listing (what is there) -> Segment (what to read for version N: one checkpoint or none, then the commits after it)

Names are accepted by full match alone, on direct children of `_delta_log/` (sidecars may look like checkpoints). Source: Delta protocol, "Delta Log Entries",
"Checkpoints", "Log Compaction Files".
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from lakesql.errors import ExpiredVersionError, MetadataError, NoSuchVersionError, NotATableError
from lakesql.formats.delta.hint import Hint
from lakesql.storage import Entry, Storage

LOG_FOLDER = "_delta_log"

_COMMIT = re.compile(r"(\d{20})\.json")
_CHECKSUM = re.compile(r"(\d{20})\.crc")
_COMPACTED = re.compile(r"(\d{20})\.(\d{20})\.compacted\.json")
_CLASSIC = re.compile(r"(\d{20})\.checkpoint\.parquet")
_PART = re.compile(r"(\d{20})\.checkpoint\.(\d{10})\.(\d{10})\.parquet")
_UUID = re.compile(r"(\d{20})\.checkpoint\.[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\.(?:json|parquet)")
_LARGEST_VERSION = 2**63 - 1
_WINDOW = 1000
"""Versions listed at once while looking backwards for a checkpoint."""


class CheckpointKind(enum.IntEnum):
    """How a checkpoint's files are named; of several at one version the highest is read. What a file holds is decided by its content, never by this."""

    CLASSIC = 0
    MULTI_PART = 1
    UUID = 2


@dataclass(frozen=True)
class Checkpoint:
    """A complete checkpoint: all its files are there and none is empty."""

    version: int
    kind: CheckpointKind
    files: tuple[Entry, ...]

    @property
    def rank(self) -> tuple[int, int, str]:
        """Orders the checkpoints of one version, the one to read last. They are equivalent; the order makes the choice the same everywhere."""
        return self.kind, len(self.files), self.files[0].name


@dataclass(frozen=True)
class Delta:
    """A file of actions: commit `first` (= `last`), or the compacted commits first..last (without their commitInfo and cdc)."""

    first: int
    last: int
    entry: Entry


@dataclass
class Listing:
    """What `_delta_log/` holds from version `start` on, by version."""

    start: int
    commits: dict[int, Entry] = field(default_factory=dict)
    checksums: dict[int, Entry] = field(default_factory=dict)
    checkpoints: dict[int, Checkpoint] = field(default_factory=dict)
    compactions: dict[int, list[Delta]] = field(default_factory=dict)

    @property
    def latest(self) -> int | None:
        """The highest version that a commit or a checkpoint names."""
        return max((*self.commits, *self.checkpoints), default=None)

    def anchor(self, version: int) -> Checkpoint | None:
        """The newest complete checkpoint at or below `version`."""
        below = [v for v in self.checkpoints if v <= version]
        return self.checkpoints[max(below)] if below else None


@dataclass(frozen=True)
class Segment:
    """The files that make one version. deltas: ascending, contiguous from just above the checkpoint (or from 0) to `version`. commit: commit `version`
    itself, None where only a checkpoint of it is left; checksum: its .crc file."""

    version: int
    checkpoint: Checkpoint | None
    deltas: tuple[Delta, ...]
    commit: Entry | None
    checksum: Entry | None


def list_log(storage: Storage, log: str, start: int, stop: int | None = None) -> Listing:
    """The log's files of versions start..stop (None: to the end). One listing from an offset, ended before `_sidecars/` and `_staged_commits/` are reached."""
    listing = Listing(start)
    parts: dict[tuple[int, int], dict[int, Entry]] = {}
    singles: list[Checkpoint] = []
    for entry in storage.list(log, start_after=f"{start:020}" if start else None):
        name = entry.name
        if name[0] > "9":
            break
        if stop is not None and name[:20].isdigit() and int(name[:20]) > stop:
            break
        if not entry.is_folder:
            _place(entry, listing, parts, singles)
    for (version, count), files in parts.items():
        if len(files) == count:
            singles.append(Checkpoint(version, CheckpointKind.MULTI_PART, tuple(files[n] for n in range(1, count + 1))))
    for checkpoint in sorted(singles, key=lambda c: c.rank):
        listing.checkpoints[checkpoint.version] = checkpoint
    return listing


def segment_for(storage: Storage, log: str, version: int | None, hint: Hint | None) -> Segment:
    """The segment of a version, None for the latest.

    The hint only says where to start looking. Raises NoSuchVersionError above the latest version, ExpiredVersionError for versions that were cleaned up,
    MetadataError naming the first commit missing in the middle, NotATableError for a log without commits.
    """
    for listing in _listings(storage, log, version, hint):
        latest = listing.latest
        if latest is None:
            continue
        target = latest if version is None else version
        if target > latest:
            raise _no_such(storage, log, target, latest)
        checkpoint = listing.anchor(target)
        if checkpoint is None and listing.start > 0:
            continue
        return _segment(storage, log, listing, target, checkpoint, asked=version is not None)
    raise NotATableError(f"{log} holds no commit and no complete checkpoint", hint="a Delta table's log begins with 00000000000000000000.json")


def oldest_readable(listing: Listing) -> int | None:
    """The lowest version that can be asked for: its own commit is there, and a checkpoint at or below it or all commits from 0. listing must start at 0."""
    if 0 in listing.commits:
        return 0
    for version in sorted(listing.commits):
        if listing.anchor(version) is not None:
            return version
    return None


def _place(entry: Entry, listing: Listing, parts: dict[tuple[int, int], dict[int, Entry]], singles: list[Checkpoint]) -> None:
    """Sorts one file in; names that match nothing are ignored, as the protocol asks."""
    name = entry.name
    if found := _COMMIT.fullmatch(name):
        if (version := int(found[1])) <= _LARGEST_VERSION:
            listing.commits[version] = entry
    elif found := _CHECKSUM.fullmatch(name):
        listing.checksums[int(found[1])] = entry
    elif entry.size_bytes == 0:
        return  # an empty checkpoint is one whose writer died
    elif found := _CLASSIC.fullmatch(name):
        singles.append(Checkpoint(int(found[1]), CheckpointKind.CLASSIC, (entry,)))
    elif found := _UUID.fullmatch(name):
        singles.append(Checkpoint(int(found[1]), CheckpointKind.UUID, (entry,)))
    elif found := _PART.fullmatch(name):
        part, count = int(found[2]), int(found[3])
        if 1 <= part <= count:
            parts.setdefault((int(found[1]), count), {})[part] = entry
    elif found := _COMPACTED.fullmatch(name):
        first, last = int(found[1]), int(found[2])
        if first < last:
            listing.compactions.setdefault(first, []).append(Delta(first, last, entry))


def _listings(storage: Storage, log: str, version: int | None, hint: Hint | None) -> Iterator[Listing]:
    """Listings to try, the cheapest first, the whole log last: no segment is ever made of what an outdated hint happens to point at."""
    if hint is not None and (version is None or hint.version <= version):
        yield list_log(storage, log, hint.version)
    elif hint is not None and version is not None:
        stop = hint.version
        for start in range(version - _WINDOW + 1, 0, -_WINDOW):
            yield list_log(storage, log, start, stop)
    yield list_log(storage, log, 0)


def _segment(storage: Storage, log: str, listing: Listing, target: int, checkpoint: Checkpoint | None, *, asked: bool) -> Segment:
    first = 0 if checkpoint is None else checkpoint.version + 1
    # Asked for by number, a version needs its own commit: a checkpoint alone tells neither when it was made nor that it was ever the latest.
    if asked and target not in listing.commits and (target < min(listing.commits, default=target + 1)):
        raise _expired(storage, log, target)
    if first <= target and first not in listing.commits and checkpoint is None and min(listing.commits) > 0:
        raise _expired(storage, log, target) if asked else _gap(log, 0)
    for version in range(first, target + 1):
        if version not in listing.commits:
            raise _gap(log, version)
    _check_after(listing, log, target)
    return Segment(target, checkpoint, _deltas(listing, first, target), listing.commits.get(target), listing.checksums.get(target))


def _check_after(listing: Listing, log: str, target: int) -> None:
    """A gap above the version means a log that lost files; only a later checkpoint makes it whole again."""
    above = sorted(v for v in listing.commits if v > target)
    for expected, version in enumerate(above, target + 1):
        if version != expected:
            if any(c > target and c >= version - 1 for c in listing.checkpoints):
                return
            raise _gap(log, expected)


def _deltas(listing: Listing, first: int, last: int) -> tuple[Delta, ...]:
    """Commits first..last, the longest compactions that lie inside put in their place."""
    deltas = []
    version = first
    while version <= last:
        fitting = [d for d in listing.compactions.get(version, ()) if d.last <= last and d.entry.size_bytes > 0]
        delta = max(fitting, key=lambda d: d.last, default=None) or Delta(version, version, listing.commits[version])
        deltas.append(delta)
        version = delta.last + 1
    return tuple(deltas)


def _gap(log: str, version: int) -> MetadataError:
    return MetadataError(
        f"commit {version} is missing: {log} has later commits but no {version:020}.json and no checkpoint that stands for it",
        hint="the log was copied in part or a file was deleted; restore the missing commit",
    )


def _no_such(storage: Storage, log: str, version: int, latest: int) -> NoSuchVersionError:
    oldest = oldest_readable(list_log(storage, log, 0))
    return NoSuchVersionError(f"no such version {version}: the table has versions {latest if oldest is None else oldest} to {latest}")


def _expired(storage: Storage, log: str, version: int) -> ExpiredVersionError:
    whole = list_log(storage, log, 0)
    oldest = oldest_readable(whole)
    there = (
        f"the oldest version that can be read is {oldest}, the latest {whole.latest}"
        if oldest is not None
        else f"only the latest version {whole.latest} can be read"
    )
    return ExpiredVersionError(f"version {version} can no longer be read: its commits are gone (cleaned up from the log); {there}")
