"""When versions were committed, and which version an instant means.

A table has one clock for each version: the commit's own record (`inCommitTimestamp`) from the version where that was switched on, before it the commit file's
modification time, moved up where it does not rise. An instant means the greatest version that is not later. Source: Delta protocol, "In-Commit Timestamps";
Spark's DeltaHistoryManager for the adjustment.
"""

from __future__ import annotations

import datetime as dt
import enum
import threading
from collections.abc import Sequence

from lakesql.errors import ExpiredVersionError, MetadataError, NoSuchVersionError
from lakesql.formats.delta.commits import first_action, read_actions
from lakesql.formats.delta.features import Features
from lakesql.formats.delta.log import Listing, list_log, oldest_readable
from lakesql.formats.delta.replay import READING_THREADS, in_parallel
from lakesql.storage import Entry, Storage
from lakesql.table import AtTime

_HEAD_BYTES = 4096
"""commitInfo comes first in a commit with in-commit timestamps, so that its beginning is enough as a rule."""

_IN_COMMIT, _WRITERS_CLOCK = "inCommitTimestamp", "timestamp"
_YEAR_10000_MS = 253402300800000
_MILLISECOND_US = 1000
_LOOK_BACK = 100
"""Versions looked at before the one asked for, so that adjusted times come out as they do from the table's start (as Spark does)."""
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class Clock(enum.Enum):
    """What tells the time of commits that carry no in-commit timestamp."""

    FILE = "file"
    """The commit file's modification time, as the protocol has it."""
    COMMIT_INFO = "commit_info"
    """The writer's own clock, `commitInfo.timestamp`: for tables that were copied, whose file times are those of the copying. Only by the user's choice."""


class Timeline:
    """The commit times of one table. What commits say of their own time is kept: commits do not change."""

    def __init__(self, storage: Storage, log: str, clock: Clock = Clock.FILE) -> None:
        self._storage = storage
        self._log = log
        self._clock = clock
        self._recorded: dict[tuple[str, str, int, int], int] = {}
        self._lock = threading.Lock()

    def committed_at_us(self, version: int, features: Features) -> int | None:
        """The commit time of a version, microseconds UTC; None where its commit is gone or does not say. features: of that version or a later one."""
        start = version if _is_recorded(version, features) else max(0, version - _LOOK_BACK)
        listing = list_log(self._storage, self._log, start, version)
        if version not in listing.commits:
            return None
        try:
            return self.times([version], listing, features)[0]
        except MetadataError:
            # The version can be read without its time; whoever asks for a version by time gets the error.
            return None

    def times(self, versions: Sequence[int], listing: Listing, features: Features) -> list[int]:
        """The commit times of these versions, all of them in `listing`, which should begin some versions before the first."""
        adjusted = {} if all(_is_recorded(v, features) for v in versions) else self._adjusted(listing)
        return [self._record(v, listing.commits[v]) if _is_recorded(v, features) else adjusted[v] for v in versions]

    def version_at(self, at: AtTime, latest: int, features: Features) -> int:
        """The version that was the latest at an instant. features: of the latest version.

        Raises NoSuchVersionError for an instant before the first commit or after the last (unless `at` says that the latest will do), ExpiredVersionError
        where the commits of that time were cleaned up.
        """
        listing = list_log(self._storage, self._log, 0)
        oldest = oldest_readable(listing)
        if oldest is None:
            oldest = latest
        versions = [v for v in sorted(listing.commits) if oldest <= v <= latest]
        if not versions:
            raise ExpiredVersionError(f"no commit of {self._log} is left to tell its time", hint="ask for the table without AS OF")
        recorded = [v for v in versions if _is_recorded(v, features)]
        by_file = versions[: len(versions) - len(recorded)]
        if recorded and (not by_file or self._begins_before(at.instant_us, recorded[0], features, listing)):
            found = self._search(recorded, at.instant_us, listing)
        else:
            adjusted = self._adjusted(listing)
            found = max((v for v in by_file if adjusted[v] <= at.instant_us), default=None)
        first_us, last_us = self.times([versions[0], versions[-1]], listing, features)
        if found is None:
            raise self._before_first(at, versions[0], first_us, last_us, versions[-1])
        if at.instant_us > last_us and not at.or_latest:
            raise NoSuchVersionError(
                f"{at.text} is after the last commit: version {versions[-1]} was committed at {instant_text(last_us)}",
                hint=f"instants from {instant_text(first_us)} to {instant_text(last_us)} can be asked for; without AS OF the table's latest version is read",
            )
        return found

    def _begins_before(self, instant_us: int, first_recorded: int, features: Features, listing: Listing) -> bool:
        """Whether the instant falls into the time of recorded timestamps."""
        enabled_ms = features.ict_enablement_timestamp_ms
        enabled_us = enabled_ms * _MILLISECOND_US if enabled_ms is not None else self._record(first_recorded, listing.commits[first_recorded])
        return instant_us >= enabled_us

    def _search(self, versions: list[int], instant_us: int, listing: Listing) -> int | None:
        """The greatest version recorded at or before the instant. Recorded times rise with the version."""
        low, high = 0, len(versions)
        while low < high:
            middle = (low + high) // 2
            if self._record(versions[middle], listing.commits[versions[middle]]) <= instant_us:
                low = middle + 1
            else:
                high = middle
        return versions[low - 1] if low else None

    def _record(self, version: int, entry: Entry, field: str = _IN_COMMIT) -> int:
        """The commit's own time, by that field of commitInfo. Raises MetadataError where it has none."""
        key = (field, entry.path, entry.size_bytes, entry.modified_us)
        with self._lock:
            known = self._recorded.get(key)
        if known is None:
            known = _recorded_us(self._storage, entry, field)
            with self._lock:
                self._recorded[key] = known
        return known

    def _adjusted(self, listing: Listing) -> dict[int, int]:
        """The clock's times, moved up so that they rise by at least a millisecond from version to version."""
        versions = sorted(listing.commits)
        if self._clock is Clock.COMMIT_INFO:
            told = dict(zip(versions, in_parallel(lambda v: self._record(v, listing.commits[v], _WRITERS_CLOCK), versions, READING_THREADS), strict=True))
        else:
            # Delta's clock counts milliseconds; stores may give more digits.
            told = {v: listing.commits[v].modified_us // _MILLISECOND_US * _MILLISECOND_US for v in versions}
        times: dict[int, int] = {}
        earliest = 0
        for version in versions:
            times[version] = max(told[version], earliest)
            earliest = times[version] + _MILLISECOND_US
        return times

    def _before_first(self, at: AtTime, oldest: int, first_us: int, last_us: int, latest: int) -> Exception:
        words = f"{at.text} is before the first commit"
        known = f"instants from {instant_text(first_us)} (version {oldest}) to {instant_text(last_us)} (version {latest}) can be asked for"
        if oldest > 0:
            return ExpiredVersionError(
                f"{words} that is left in the log: version {oldest} was committed at {instant_text(first_us)}, earlier ones were cleaned up", hint=known
            )
        return NoSuchVersionError(f"{words}: version {oldest} was committed at {instant_text(first_us)}", hint=known)


def instant_text(instant_us: int) -> str:
    """An instant as messages show it: UTC, to the microsecond where it is not whole milliseconds."""
    when = _EPOCH + dt.timedelta(microseconds=instant_us)
    digits = "milliseconds" if instant_us % _MILLISECOND_US == 0 else "microseconds"
    return when.replace(tzinfo=None).isoformat(sep=" ", timespec=digits) + " UTC"


def _is_recorded(version: int, features: Features) -> bool:
    return features.in_commit_timestamps and version >= (features.ict_enablement_version or 0)


def _recorded_us(storage: Storage, entry: Entry, field: str) -> int:
    head = storage.read_range(entry.path, 0, min(_HEAD_BYTES, entry.size_bytes))
    action = first_action(head, entry.path)
    if action is None or action[0] != "commitInfo":
        infos = read_actions(storage.read(entry.path), entry.path, frozenset({"commitInfo"}))
        action = next(infos, None)
    recorded_ms = action[1].get(field) if action is not None else None
    if not isinstance(recorded_ms, int) or isinstance(recorded_ms, bool) or not 0 <= recorded_ms < _YEAR_10000_MS:
        why = "in-commit timestamps are on" if field == _IN_COMMIT else "the option commit_times is commit_info"
        raise MetadataError(f"{entry.path}: {why}, but commitInfo.{field} is {recorded_ms!r}", hint="ask for a version by number")
    return recorded_ms * _MILLISECOND_US
