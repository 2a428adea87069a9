"""Which snapshot a read is of: a version as SQL names it, an instant, or options such as `scan.snapshot-id`. Source: Paimon, TimeTravelUtil,
CoreOptions.StartupMode.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from lakesql.errors import ConfigError, NoSuchVersionError, UnsupportedFeatureError, did_you_mean
from lakesql.formats.paimon.options import ASKING, BY_CREATION, INCREMENTAL, SCAN_POINTS, Options
from lakesql.formats.paimon.snapshots import SnapshotFile, Timeline
from lakesql.table import At, AtTime, AtVersion, Latest

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = ("default", "latest-full", "full", "latest", "from-snapshot", "from-snapshot-full", "from-timestamp")
_WATERMARK = re.compile(r"watermark-(-?\d{1,19})")
_NUMBER = re.compile(r"\d{1,18}")


@dataclass(frozen=True)
class Point:
    """A state of a table. snapshot: None where it has none yet; travelled: whether an older state was asked for, which is read with its own schema; branch:
    None for main.
    """

    snapshot: SnapshotFile | None
    timeline: Timeline
    travelled: bool = False
    branch: str | None = None


def point_of(timeline: Timeline, at: At, options: Options, given: Mapping[str, str], time_zone: str) -> Point:
    """The state `at`; where that is the latest, the one that options name. given: those of this read alone, which come before an instant for the whole lake.

    timeline: of the table's own folder. Raises NoSuchVersionError, ExpiredVersionError, ConfigError, UnsupportedFeatureError.
    """
    named = next((n for n in (*SCAN_POINTS, *INCREMENTAL) if n in given), None)
    if named is not None:
        if isinstance(at, AtVersion) or (isinstance(at, AtTime) and not at.or_latest):
            raise ConfigError(f"option {named} and AS OF {at} name two states of a table; give one")
        at = Latest()
    name = options.text("branch")
    branch = None if name in (None, "main") else name
    if branch is not None:
        timeline = branch_of(timeline, branch)
    match at:
        case AtVersion():
            return _version(timeline, at.text.strip(), at.quoted, branch)
        case AtTime():
            latest = timeline.latest()
            if latest is not None and at.instant_us >= latest.time_ms * 1000:
                return Point(latest, timeline, True, branch)
            return Point(timeline.at_time(at.instant_us // 1000, at.text), timeline, True, branch)
        case Latest():
            return _by_options(timeline, options, time_zone, branch)


def branch_of(timeline: Timeline, name: str) -> Timeline:
    """A branch's own snapshots. Raises NoSuchVersionError with the branches there are."""
    found = timeline.branch(name)
    if found is None:
        raise NoSuchVersionError(f'there is no branch "{name}"', hint=did_you_mean(name, [*timeline.branch_names(), "main"]))
    return found


def _version(timeline: Timeline, text: str, quoted: bool, branch: str | None) -> Point:
    """Tags come before numbers, as in Paimon; bare digits are never a tag's name."""
    is_number = _NUMBER.fullmatch(text) is not None
    tag = timeline.tag(text) if quoted or not is_number else None
    if tag is not None:
        return Point(tag, timeline, True, branch)
    if is_number:
        return Point(timeline.get(int(text)), timeline, True, branch)
    if found := _WATERMARK.fullmatch(text):
        return Point(timeline.at_watermark(int(found[1])), timeline, True, branch)
    other = timeline.branch(text) if branch is None else None
    if other is not None:
        return Point(other.latest(), other, branch=text if text != "main" else None)
    names = [*timeline.tag_names(), *timeline.branch_names()]
    raise NoSuchVersionError(f'no such tag or branch: "{text}"', hint=did_you_mean(text, names) or "the table has neither; versions are numbers of snapshots")


def _by_options(timeline: Timeline, options: Options, time_zone: str, branch: str | None) -> Point:
    incremental = next((n for n in ASKING if n in options.values), None)
    if incremental is not None:
        raise ConfigError(f"option {incremental} asks for changes, of which this table has none", hint='t, "t$audit_log" and "t$binlog" take it')
    created = next((n for n in BY_CREATION if n in options.values), None)
    if created is not None:
        raise UnsupportedFeatureError(
            f"option {created} asks for files by the time of their creation, which lakesql does not read",
            feature=created,
            hint="scan.timestamp-millis gives the table as it was at an instant",
        )
    given = [n for n in SCAN_POINTS if n in options.values]
    if len(given) > 1:
        raise ConfigError(f"options {' and '.join(given)} name two states of a table; give one")
    mode = (options.text("scan.mode", "log.scan") or "default").lower()
    if not given:
        return Point(_by_mode(timeline, options, mode), timeline, mode == "compacted-full", branch)
    if mode not in _LATEST:
        raise ConfigError(f"option {given[0]} does not go with scan.mode = {mode}")
    return Point(_named(timeline, given[0], options.text(given[0]) or "", time_zone), timeline, True, branch)


def _named(timeline: Timeline, option: str, text: str, time_zone: str) -> SnapshotFile:
    match option:
        case "scan.snapshot-id":
            return timeline.get(_number(option, text))
        case "scan.tag-name":
            tag = timeline.tag(text)
            if tag is None:
                raise NoSuchVersionError(f'no such tag: "{text}"', hint=did_you_mean(text, timeline.tag_names()))
            return tag
        case "scan.timestamp-millis":
            return timeline.at_time(_number(option, text), f"{text} milliseconds since 1970")
        case "scan.timestamp":
            return timeline.at_time(instant_ms(option, text, time_zone), text)
        case "scan.watermark":
            return timeline.at_watermark(_number(option, text))
        case _:
            found = _version(timeline, text, True, "any")
            assert found.snapshot is not None
            return found.snapshot


def _by_mode(timeline: Timeline, options: Options, mode: str) -> SnapshotFile | None:
    if mode in _LATEST:
        return timeline.latest()
    if mode != "compacted-full":
        raise UnsupportedFeatureError(
            f"scan.mode = {mode} is not read by lakesql", feature=f"scan.mode {mode}", hint=f"it reads {', '.join(_LATEST)} and compacted-full"
        )
    every = options.number("full-compaction.delta-commits", 1)
    for id_ in reversed(timeline.ids()):
        found = timeline.get(id_)
        if found.commit_kind == "COMPACT" and (every <= 1 or found.commit_identifier % every == 0):
            return found
    return timeline.latest()


def _number(option: str, text: str) -> int:
    if not re.fullmatch(r"-?\d{1,18}", text.strip()):
        raise ConfigError(f"option {option} is {text!r}; it is a whole number")
    return int(text)


def instant_ms(option: str, text: str, time_zone: str) -> int:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise ConfigError(f"option {option} is {text!r}", hint="write it as 2026-01-31 12:00:00") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo(time_zone))
    return (moment - _EPOCH) // timedelta(milliseconds=1)
