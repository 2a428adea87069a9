"""What CHECK CHANGES is told of a Paimon table: when clean-up may take away what a range of changes needs.

Source: Paimon, ExpireSnapshotsImpl, ExpireChangelogImpl, CoreOptions (`snapshot.*` and `changelog.*`); durations: TimeUtils.parseDuration.
"""

from __future__ import annotations

import re

from lakesql.formats.paimon.change_range import CommitRange, Commits
from lakesql.formats.paimon.options import Options

_UNITS_MS = {
    **dict.fromkeys(("", "ms", "milli", "millis", "millisecond", "milliseconds"), 1.0),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1e3),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 6e4),
    **dict.fromkeys(("h", "hour", "hours"), 36e5),
    **dict.fromkeys(("d", "day", "days"), 864e5),
    **dict.fromkeys(("µs", "micro", "micros", "microsecond", "microseconds"), 1e-3),
    **dict.fromkeys(("ns", "nano", "nanos", "nanosecond", "nanoseconds"), 1e-6),
}
_HOUR_MS = 3_600_000
_FEWEST, _MOST = 10, 2**31 - 1
"""How many snapshots are kept at least and at most, where nothing else is said."""


def expiry(commits: Commits, versions: CommitRange, options: Options, recorded: frozenset[int], *, raw: bool) -> tuple[int | None, str | None]:
    """When something that the range needs may expire first, microseconds UTC, and what, by which setting; None for what newer commits must come for.

    recorded: commits that are told by their changelogs alone. raw: each commit of the range is needed, and not the states at its two ends alone.
    """
    if not versions.ids:
        return None, None
    told = range(versions.first, versions.last + 1) if raw else range(versions.last, versions.last + 1)
    states = {i for told_id in told if told_id not in recorded or not raw for i in (told_id - 1, told_id)} | (set() if raw else {versions.first - 1})
    found = [_expires(commits, i, options, changelog=False) for i in sorted(states) if i > 0 and not _is_tagged(commits, i)]
    found += [_expires(commits, i, options, changelog=True) for i in told if raw and i in recorded]
    known = [f for f in found if f is not None]
    if not known:
        return None, None
    at_ms, what = min(known)
    return at_ms * 1000, what


def _is_tagged(commits: Commits, id_: int) -> bool:
    return commits.snapshot(id_) is None and commits.state(id_) is not None


def _expires(commits: Commits, id_: int, options: Options, *, changelog: bool) -> tuple[int, str] | None:
    """When the snapshot, or its changelog where that outlives it, may be removed, in milliseconds; None as long as no newer commits come."""
    fewest, _ = _number(options, "num-retained.min", _FEWEST, changelog=changelog)
    most, most_name = _number(options, "num-retained.max", _MOST, changelog=changelog)
    newer = (0 if commits.latest is None else commits.latest.id) - id_
    found = commits.state(id_) or commits.timeline.changelog(id_)
    if found is None or newer < fewest:
        return None
    what = f"snapshot {id_}" if not changelog else f"the changelog of snapshot {id_}"
    if newer >= most:
        return found.time_ms, f"{what} ({most_name} = {most})"
    text, name = _text(options, "time-retained", changelog=changelog)
    return found.time_ms + (_HOUR_MS if text is None else _duration_ms(text)), f"{what} ({name} = {text or '1 h'})"


def _text(options: Options, name: str, *, changelog: bool) -> tuple[str | None, str]:
    """A setting of changelogs, else of snapshots; and how it is called."""
    own = options.text(f"changelog.{name}") if changelog else None
    return (own, f"changelog.{name}") if own is not None else (options.text(f"snapshot.{name}"), f"snapshot.{name}")


def _number(options: Options, name: str, default: int, *, changelog: bool) -> tuple[int, str]:
    text, full = _text(options, name, changelog=changelog)
    return (default if text is None else options.number(full, default)), full


def _duration_ms(text: str) -> int:
    """A duration as Flink and Paimon spell it, `1 h`, `30min`; without a unit milliseconds. What is none counts as an hour, the default."""
    found = re.fullmatch(r"\s*(\d+)\s*([a-zµ]*)\s*", text.lower())
    return _HOUR_MS if found is None or found[2] not in _UNITS_MS else int(int(found[1]) * _UNITS_MS[found[2]])
