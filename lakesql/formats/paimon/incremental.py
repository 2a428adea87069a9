"""Scan options that ask for what came between two snapshots, `incremental-between` and its kind -> which commits, or which two states.

A start is exclusive, an end inclusive. Two tags, and the scan mode diff, compare two states; else what commits wrote is read, out of their delta files or
changelogs. Source: Paimon, AbstractDataTableScan.createIncrementalStartingScanner, IncrementalDeltaStartingScanner, IncrementalDiffStartingScanner.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass

from lakesql.errors import ConfigError, ExpiredVersionError, NoSuchVersionError, did_you_mean
from lakesql.formats.paimon.change_range import Commits, number_of
from lakesql.formats.paimon.options import ASKING, Options
from lakesql.formats.paimon.points import instant_ms
from lakesql.formats.paimon.snapshots import SnapshotFile, instant_text

BETWEEN, BETWEEN_TIMES, TO_AUTO_TAG = ASKING

_AUTO_TAG = re.compile(r"\d{4}-?\d{2}-?\d{2}(?: ?\d{2})?")


class How(enum.Enum):
    """What an increment is made of."""

    DELTA = "delta"
    """The rows that appends wrote, not merged."""
    CHANGELOG = "changelog"
    """What changelogs recorded, but those of overwrites."""
    DIFF = "diff"
    """The rows of the second state that the first has not, and keys that it has and the second has not."""


@dataclass(frozen=True)
class Increment:
    """What is asked for. commits: for DELTA and CHANGELOG, oldest first; before, after: for DIFF, before None for a table without rows."""

    how: How
    text: str
    commits: tuple[SnapshotFile, ...] = ()
    before: SnapshotFile | None = None
    after: SnapshotFile | None = None


def increment_of(commits: Commits, options: Options, time_zone: str) -> Increment:
    """The increment that options ask for. Raises ConfigError for what cannot be read, NoSuchVersionError, ExpiredVersionError."""
    asked = [n for n in ASKING if n in options.values]
    if len(asked) != 1:
        raise ConfigError(f"options {' and '.join(asked)} ask for two increments of a table; give one")
    text = options.values[asked[0]]
    how = _how(options)
    if asked[0] == TO_AUTO_TAG:
        return _to_auto_tag(commits, text.strip())
    parts = [p.strip() for p in text.split(",")]
    if len(parts) != 2 or not all(parts):
        raise ConfigError(f"option {asked[0]} is {text!r}; it is a start and an end with a comma between them")
    if asked[0] == BETWEEN_TIMES:
        return _between_times(commits, parts[0], parts[1], how, time_zone)
    first, last = (commits.timeline.tag(p) for p in parts)
    if first is not None and last is not None and not options.flag("incremental-between-tag-to-snapshot"):
        _check_order(parts[0], first.id, parts[1], last.id)
        return Increment(How.DIFF, f"{parts[0]} to {parts[1]}", before=first, after=last)
    tagged = first is not None and last is not None
    lost = next((n for n, tag in ((parts[0], first), (parts[1], last)) if tag is None and not n.isdigit()), None)
    mixed = next((n for n in parts if not tagged and not n.isdigit()), None)
    if lost is not None or mixed is not None:
        what = f'no such tag: "{lost}"' if lost is not None else f'the other bound beside the tag "{mixed}" is none'
        known = did_you_mean(lost, commits.timeline.tag_names()) if lost is not None else None
        raise NoSuchVersionError(f"{what}; {BETWEEN} takes two tags or two numbers of snapshots", hint=known or "")
    start = first.id if tagged and first is not None else int(parts[0])
    end = last.id if tagged and last is not None else number_of(commits, parts[1])
    _check_order(parts[0], start, parts[1], end)
    if how is How.DIFF:
        return Increment(how, f"{start} to {end}", before=commits.timeline.get(start), after=commits.timeline.get(end))
    return _commits(commits, start, end, how)


def _how(options: Options) -> How:
    mode = (options.text("incremental-between-scan-mode") or "auto").lower()
    if mode == "auto":
        return How.DELTA if (options.text("changelog-producer") or "none").lower() == "none" else How.CHANGELOG
    if mode not in {h.value for h in How}:
        raise ConfigError(f"option incremental-between-scan-mode is {mode!r}; it is auto, delta, changelog or diff")
    return How(mode)


def _commits(commits: Commits, start: int, end: int, how: How) -> Increment:
    """What the commits after a start up to an end wrote."""
    if start < commits.oldest - 1:
        raise ExpiredVersionError(
            f"changes after snapshot {start} can no longer be told: the oldest that is left is {commits.oldest}",
            hint=f"{BETWEEN} may begin at {commits.oldest - 1}",
        )
    found = tuple(commits.get(i) for i in range(start + 1, end + 1))
    return Increment(how, f"{start + 1} to {end}" if found else f"after {end}", found)


def _between_times(commits: Commits, first: str, last: str, how: How, time_zone: str) -> Increment:
    start_ms, end_ms = (int(t) if t.isdigit() else instant_ms(BETWEEN_TIMES, t, time_zone) for t in (first, last))
    if end_ms < start_ms:
        raise NoSuchVersionError(f"no changes from {first} to {last}: the range ends before it begins", hint="give the lower bound first")
    nothing = Increment(how if how is not How.DIFF else How.DELTA, f"{first} to {last}")
    if commits.latest is None or start_ms == end_ms or start_ms > commits.latest.time_ms:
        return nothing
    times = {i: commits.get(i).time_ms for i in commits.ids}
    if end_ms < times[commits.oldest]:
        return nothing
    end = max(i for i, ms in times.items() if ms <= end_ms)
    before = [i for i, ms in times.items() if ms <= start_ms]
    start = max(before) if before else commits.oldest - 1
    if not before and start > 0:
        raise ExpiredVersionError(
            f"changes from {first} on can no longer be told: the oldest snapshot that is left, {commits.oldest}, was made at "
            f"{instant_text(times[commits.oldest])}",
            hint="ask for a range that begins later",
        )
    if how is How.DIFF:
        return Increment(how, f"{start} to {end}", before=commits.timeline.get(start) if start else None, after=commits.timeline.get(end))
    return _commits(commits, start, end, how)


def _to_auto_tag(commits: Commits, name: str) -> Increment:
    """From the automatic tag before this one; nothing where it is the first."""
    tag = commits.timeline.tag(name)
    if tag is None or not _AUTO_TAG.fullmatch(name):
        what = "no such tag" if tag is None else "not made automatically, by its name: tag"
        raise NoSuchVersionError(f'{what} "{name}"', hint=did_you_mean(name, commits.timeline.tag_names()) or "automatic tags are called 2026-01-31 or alike")
    times = {_digits(n): n for n in commits.timeline.tag_names() if _AUTO_TAG.fullmatch(n)}
    earlier = [t for t in times if t < _digits(name)]
    before = commits.timeline.tag(times[max(earlier)]) if earlier else None
    if before is None:
        return Increment(How.DELTA, f"to {name}")
    return Increment(How.DIFF, f"{times[max(earlier)]} to {name}", before=before, after=tag)


def _digits(name: str) -> str:
    """The period of an automatic tag, so that they sort as time does."""
    return re.sub(r"\D", "", name).ljust(10, "0")


def _check_order(first: str, start: int, last: str, end: int) -> None:
    if end < start:
        raise NoSuchVersionError(f"no changes from {first} to {last}: snapshot {end} is older than {start}", hint="give the lower bound first")


def asks(options: Mapping[str, str]) -> bool:
    """Whether options ask for an increment."""
    return any(n in options for n in ASKING)
