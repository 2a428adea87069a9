"""A range as asked for -> the versions it means, with their commits.

Bounds by time reach from the first commit that is not before the start to the last that is not after the end.
"""

from __future__ import annotations

from dataclasses import dataclass

from lakesql.changes import ChangesRequest, Edge
from lakesql.errors import ExpiredVersionError, MetadataError, NoSuchVersionError
from lakesql.formats.delta.features import Features
from lakesql.formats.delta.log import Listing, list_log, oldest_readable
from lakesql.formats.delta.timeline import Timeline, instant_text
from lakesql.storage import Storage
from lakesql.table import AtTime, AtVersion

_LOOK_BACK = 100
"""Versions listed before a range, for their times; see Timeline."""


@dataclass(frozen=True)
class VersionRange:
    """Versions first..last, both of them in it; none where first = last + 1. listing: the log from some versions before."""

    first: int
    last: int
    listing: Listing

    @property
    def versions(self) -> range:
        """The versions in order."""
        return range(self.first, self.last + 1)

    def __str__(self) -> str:
        return f"{self.first} to {self.last}" if self.first <= self.last else f"after {self.last}"


class Bounds:
    """Resolves the bounds of ranges over one table. number: a version as written -> its number, or NoSuchVersionError."""

    def __init__(self, storage: Storage, log: str, timeline: Timeline, latest: int, features: Features) -> None:
        self._storage = storage
        self._log = log
        self._timeline = timeline
        self._latest = latest
        self._features = features

    def resolve(self, request: ChangesRequest, first: int | None, last: int | None) -> VersionRange:
        """The range. first, last: the versions that the edges name by number, None for edges by time or none.

        Raises NoSuchVersionError for a start beyond the latest version or after an end, and for instants that no commit answers; ExpiredVersionError where
        commits of the range are gone, MetadataError where one is missing in the middle.
        """
        start = self._start(request.start, first)
        end = self._end(request.end, last)
        if _is_reversed(request, start, end):
            raise NoSuchVersionError(
                f"no changes from {_text(request.start)} to {_text(request.end)}: the range ends at version {end}, before it begins at {start}",
                hint="give the lower bound first",
            )
        return self._listed(start, max(end, start - 1))

    def _start(self, edge: Edge | None, number: int | None) -> int:
        if edge is None:
            listing = list_log(self._storage, self._log, 0)
            oldest = oldest_readable(listing) or 0
            anchor = listing.anchor(oldest)
            # The state before a commit is known where a checkpoint lies below it; one at its own version tells the state after it alone.
            return oldest + 1 if oldest and anchor is not None and anchor.version == oldest else oldest
        if number is not None:
            if number > self._latest:
                raise NoSuchVersionError(f"no such version {number} to begin changes at: the latest is {self._latest}")
            return number + 1 if edge.exclusive else number
        at = edge.at
        assert isinstance(at, AtTime)
        times = self._times()
        found = next((v for v, us in times.items() if us > at.instant_us or (us == at.instant_us and not edge.exclusive)), None)
        if found is None:
            if at.or_latest or (edge.exclusive and times[self._latest] == at.instant_us):
                return self._latest + 1
            raise NoSuchVersionError(
                f"no changes from {at.text} on: the last commit, version {self._latest}, was made at {instant_text(times[self._latest])}",
                hint="changes begin at the first commit that is not before the start",
            )
        return found

    def _end(self, edge: Edge | None, number: int | None) -> int:
        if edge is None:
            return self._latest
        if number is not None:
            return min(number - 1 if edge.exclusive else number, self._latest)
        at = edge.at
        assert isinstance(at, AtTime)
        times = self._times()
        found = next((v for v, us in reversed(times.items()) if us < at.instant_us or (us == at.instant_us and not edge.exclusive)), None)
        if found is None:
            oldest = min(times)
            error = ExpiredVersionError if oldest else NoSuchVersionError
            raise error(f"no changes up to {at.text}: the first commit that is left, version {oldest}, was made at {instant_text(times[oldest])}")
        return found

    def _times(self) -> dict[int, int]:
        """The commit time of every version that is left, ascending."""
        listing = list_log(self._storage, self._log, 0)
        versions = sorted(v for v in listing.commits if v <= self._latest)
        if not versions:
            raise ExpiredVersionError(f"no commit of {self._log} is left to tell its time")
        return dict(zip(versions, self._timeline.times(versions, listing, self._features), strict=True))

    def _listed(self, first: int, last: int) -> VersionRange:
        listing = list_log(self._storage, self._log, max(0, first - _LOOK_BACK), max(first, last))
        for version in range(first, last + 1):
            if version not in listing.commits:
                raise self._missing(version)
        return VersionRange(first, last, listing)

    def _missing(self, version: int) -> Exception:
        commits = list_log(self._storage, self._log, 0).commits
        oldest = min(commits, default=None)
        if oldest is None or version < oldest:
            left = "no commit is left" if oldest is None else f"the oldest commit that is left is {oldest}, the latest {self._latest}"
            return ExpiredVersionError(f"changes of version {version} can no longer be told: its commit is gone (cleaned up from the log); {left}")
        return MetadataError(
            f"commit {version} is missing: {self._log} has later commits but no {version:020}.json", hint="the log was copied in part or a file was deleted"
        )


def _is_reversed(request: ChangesRequest, start: int, end: int) -> bool:
    """Whether the bounds, taken as if none were exclusive, are in the wrong order."""
    first, last = request.start, request.end
    if first is not None and last is not None and isinstance(first.at, AtTime) and isinstance(last.at, AtTime):
        return first.at.instant_us > last.at.instant_us
    follows = first is not None and (first.exclusive or (isinstance(first.at, AtTime) and first.at.or_latest))
    return start - follows > end + (last is not None and last.exclusive)


def _text(edge: Edge | None) -> str:
    if edge is None:
        return "the oldest"
    at = edge.at
    named = f"version {at.text}" if isinstance(at, AtVersion) else at.text
    return named + (" (exclusive)" if edge.exclusive else "")
