"""A range as asked for -> the commits whose changes it means, oldest first, and the state at its end.

Commits are snapshots, and before them the changelogs that outlived their snapshots (`changelog/changelog-N`), which tell what was recorded and no state. A
number beyond the latest snapshot is an error, as it is for Paimon's own incremental reads. Source: Paimon, SnapshotManager, ChangelogManager.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from lakesql.changes import ChangesRequest, Edge
from lakesql.errors import ExpiredVersionError, MetadataError, NoSuchVersionError, did_you_mean
from lakesql.formats.paimon.snapshots import SnapshotFile, Timeline, instant_text
from lakesql.table import AtTime, AtVersion


@dataclass(frozen=True)
class Commits:
    """All that a table, or a branch, tells of its commits at one moment. latest: the newest snapshot, None where there is none."""

    timeline: Timeline
    latest: SnapshotFile | None

    @cached_property
    def ids(self) -> list[int]:
        """The numbers of all commits that are left, ascending."""
        last = 0 if self.latest is None else self.latest.id
        return sorted(i for i in {*self.timeline.ids(), *self.timeline.changelog_ids()} if i <= last)

    @cached_property
    def oldest(self) -> int:
        """The number of the oldest commit that is left; 1 where there is none."""
        return self.ids[0] if self.ids else 1

    def get(self, id_: int) -> SnapshotFile:
        """A commit: its snapshot or changelog. Raises ExpiredVersionError, NoSuchVersionError."""
        found = self.snapshot(id_) or self.timeline.changelog(id_)
        if found is not None:
            return found
        if id_ in self.ids:
            return self.timeline.get(id_)  # it expired meanwhile
        if self.ids and self.oldest < id_ < self.ids[-1]:
            raise MetadataError(f"snapshot {id_} of {self.timeline.root} is missing: there are older and newer ones", hint="the table was copied in part")
        return self.timeline.get(id_)

    def snapshot(self, id_: int) -> SnapshotFile | None:
        """The snapshot of that number, None where it is gone."""
        if id_ not in self._read:
            self._read[id_] = self.latest if self.latest is not None and self.latest.id == id_ else self.timeline.find(id_)
        return self._read[id_]

    def state(self, id_: int) -> SnapshotFile | None:
        """The state of that number, by its snapshot or by a tag of it; None where it is gone."""
        return self.snapshot(id_) or self._tagged.get(id_)

    @cached_property
    def _tagged(self) -> dict[int, SnapshotFile]:
        found = (self.timeline.tag(name) for name in self.timeline.tag_names())
        return {tag.id: tag for tag in found if tag is not None}

    @cached_property
    def _read(self) -> dict[int, SnapshotFile | None]:
        return {}


@dataclass(frozen=True)
class CommitRange:
    """Commits first..last, both of them in it; none where first = last + 1. end: the state whose schema the feed has."""

    first: int
    last: int
    end: SnapshotFile | None

    @property
    def ids(self) -> range:
        """Their numbers, in order."""
        return range(self.first, self.last + 1)

    def __str__(self) -> str:
        return f"{self.first} to {self.last}" if self.first <= self.last else f"after {self.last}"


def resolve(commits: Commits, request: ChangesRequest, told_alone: Callable[[SnapshotFile], bool]) -> CommitRange:
    """The range. told_alone: whether a commit's changes can be told without the state before it.

    Raises NoSuchVersionError for bounds that name no snapshot, instants that no commit answers and bounds in the wrong order; ExpiredVersionError where commits
    of the range are gone.
    """
    latest = 0 if commits.latest is None else commits.latest.id
    start = _start(commits, request.start, latest, told_alone)
    end = _end(commits, request.end, latest)
    if _is_reversed(request, start, end):
        raise NoSuchVersionError(
            f"no changes from {_text(request.start)} to {_text(request.end)}: the range ends at snapshot {end}, before it begins at {start}",
            hint="give the lower bound first",
        )
    last = max(end, start - 1)
    return CommitRange(start, last, commits.state(last) or _tag_of(commits, request.end) or (commits.get(last) if last > 0 else None))


def number_of(commits: Commits, text: str, quoted: bool = True) -> int:
    """The number of the snapshot that a version, a tag or `branch@number` names; commits that are gone have numbers too. Raises NoSuchVersionError."""
    text = text.strip().rpartition("@")[2] if text.strip().rpartition("@")[2].isdigit() else text.strip()
    is_number = text.isdigit() and len(text) < 19
    tag = commits.timeline.tag(text) if quoted or not is_number else None
    if tag is not None:
        return tag.id
    if not is_number:
        raise NoSuchVersionError(
            f'no such tag: "{text}", to be a bound of changes',
            hint=did_you_mean(text, commits.timeline.tag_names()) or 'bounds are numbers of snapshots, or tags; of a branch "t$branch_x" has the changes',
        )
    number = int(text)
    latest = 0 if commits.latest is None else commits.latest.id
    if number > latest:
        raise NoSuchVersionError(f"no such version: snapshot {number} does not exist", hint=f"the latest snapshot is {latest}")
    return number


def _tag_of(commits: Commits, edge: Edge | None) -> SnapshotFile | None:
    return commits.timeline.tag(edge.at.text) if edge is not None and isinstance(edge.at, AtVersion) else None


def _start(commits: Commits, edge: Edge | None, latest: int, told_alone: Callable[[SnapshotFile], bool]) -> int:
    if edge is None:
        return _first_told(commits, latest, told_alone)
    if isinstance(edge.at, AtVersion):
        number = number_of(commits, edge.at.text, edge.at.quoted)
        return max(number + 1 if edge.exclusive else number, 1)
    at = edge.at
    found = next((i for i in commits.ids if _within(commits.get(i), edge, after=True)), None)
    if found is None:
        newest = None if commits.latest is None else commits.latest.time_ms * 1000
        if newest is None or at.or_latest or (edge.exclusive and newest == at.instant_us):
            return latest + 1
        raise NoSuchVersionError(f"no changes from {at.text} on: the last snapshot, {latest}, was made at {instant_text(newest // 1000)}")
    oldest_ms = commits.get(commits.oldest).time_ms
    if found == commits.oldest > 1 and oldest_ms * 1000 != at.instant_us:
        raise ExpiredVersionError(
            f"changes from {at.text} on can no longer be told: the oldest snapshot that is left, {found}, was made at {instant_text(oldest_ms)}",
            hint="ask for a range that begins later",
        )
    return found


def _first_told(commits: Commits, latest: int, told_alone: Callable[[SnapshotFile], bool]) -> int:
    """The first commit from which on every one can be told: as far back as the table tells."""
    states, first = {0, *commits.timeline.ids()}, latest + 1
    for id_ in reversed(commits.ids):
        if id_ != first - 1 or not (id_ - 1 in states or told_alone(commits.get(id_))):
            break
        first = id_
    return first


def _end(commits: Commits, edge: Edge | None, latest: int) -> int:
    if edge is None:
        return latest
    if isinstance(edge.at, AtVersion):
        number = number_of(commits, edge.at.text, edge.at.quoted)
        return number - 1 if edge.exclusive else number
    found = next((i for i in reversed(commits.ids) if _within(commits.get(i), edge, after=False)), None)
    if found is None:
        error = ExpiredVersionError if commits.oldest > 1 else NoSuchVersionError
        told = f"the oldest snapshot that is left, {commits.oldest}, was made at {instant_text(commits.get(commits.oldest).time_ms)}" if commits.ids else ""
        raise error(f"no changes up to {edge.at.text}: {told or 'the table has no snapshot'}")
    return found


def _within(commit: SnapshotFile, edge: Edge, *, after: bool) -> bool:
    assert isinstance(edge.at, AtTime)
    us = commit.time_ms * 1000
    beyond = us > edge.at.instant_us if after else us < edge.at.instant_us
    return beyond or (us == edge.at.instant_us and not edge.exclusive)


def _is_reversed(request: ChangesRequest, start: int, end: int) -> bool:
    """Whether the bounds, taken as if none were exclusive, are in the wrong order."""
    first, last = request.start, request.end
    if first is not None and last is not None and isinstance(first.at, AtTime) and isinstance(last.at, AtTime):
        return first.at.instant_us > last.at.instant_us
    return start - (first is not None and first.exclusive) > end + (last is not None and last.exclusive)


def _text(edge: Edge | None) -> str:
    if edge is None:
        return "the oldest"
    named = f"snapshot {edge.at.text}" if isinstance(edge.at, AtVersion) else edge.at.text
    return named + (" (exclusive)" if edge.exclusive else "")
