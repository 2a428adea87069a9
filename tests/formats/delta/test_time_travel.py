"""Versions by number and by time: the right clock, the right bounds, and errors that say what can be asked for."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from formats.delta.log_maker import START_US, Action, Log, add, metadata, parquet, protocol
from lakesql.errors import ConfigError, ExpiredVersionError, MetadataError, NoSuchVersionError, UnsupportedFeatureError
from lakesql.formats.delta.table import DeltaTable
from lakesql.formats.delta.timeline import instant_text
from lakesql.table import AtTime, AtVersion, Latest

HOUR = 3_600_000_000


def at(instant_us: int, or_latest: bool = False) -> AtTime:
    return AtTime(instant_us, instant_text(instant_us), or_latest)


def version(log: Log, instant_us: int, or_latest: bool = False) -> int:
    return int(log.table.snapshot(at(instant_us, or_latest)).version)


def grown(count: int) -> Log:
    log = Log().create(add("f0"))
    for number in range(1, count):
        log.commit(add(f"f{number}"))
    return log


def ict(count: int, first: int = 0, **configuration: str) -> Log:
    """Commits an hour apart by their own record, in file times that say the contrary."""
    features = {"minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": ["inCommitTimestamp"]}
    log = Log()
    for number in range(count):
        info: Action = {"commitInfo": {"operation": "WRITE"}}
        if number >= first:
            info["commitInfo"]["inCommitTimestamp"] = (START_US + number * HOUR) // 1000
        actions = [info, add(f"f{number}")]
        if number == 0:
            actions += [{"protocol": features}, metadata(delta__enableInCommitTimestamps="true", **configuration)]
        log.commit(*actions, at_us=START_US + (number * HOUR if number < first else 10_000 * HOUR - number * HOUR))
    return log


# By number -----------------------------------------------------------------------------------------------------------------------------------------


def test_versions() -> None:
    log = grown(4)
    assert [log.paths(v) for v in range(4)] == [[f"f{i}" for i in range(v + 1)] for v in range(4)]
    assert log.table.snapshot(Latest()).version == "3"
    assert log.table.snapshot(AtVersion(" 2 ")).version == "2"


@pytest.mark.parametrize("text", ["release", "1.5", "-1", "", "1e3", "٣", "99999999999999999999"])
def test_what_is_no_version(text: str) -> None:
    with pytest.raises(NoSuchVersionError, match="no such version"):
        grown(2).table.snapshot(AtVersion(text, quoted=True))


def test_a_version_above_the_latest_says_what_there_is() -> None:
    with pytest.raises(NoSuchVersionError, match="no such version 7: the table has versions 0 to 2"):
        grown(3).table.snapshot(AtVersion("7"))


def test_a_version_before_the_oldest_says_which_that_is() -> None:
    log = grown(12).file(f"{10:020}.checkpoint.parquet", parquet([protocol(), metadata(), add("x")])).drop(*range(10))
    with pytest.raises(ExpiredVersionError, match=r"version 4 can no longer be read.*oldest version that can be read is 10"):
        log.table.snapshot(AtVersion("4"))


def test_a_table_of_a_catalog_is_refused_by_path() -> None:
    log = Log().commit(protocol(features=["catalogManaged", "inCommitTimestamp"]), metadata())
    log.file(f"_staged_commits/{1:020}.3a0d65cd-4056-49b8-937b-95f9e3ee90e5.json", json.dumps(add("staged")))
    with pytest.raises(UnsupportedFeatureError, match="managed by a catalog"):
        log.table.snapshot(Latest())


# By file times -------------------------------------------------------------------------------------------------------------------------------------


def test_file_times() -> None:
    log = grown(3)
    for instant_us, expected in ((START_US, 0), (START_US + HOUR - 1, 0), (START_US + HOUR, 1), (START_US + 2 * HOUR, 2)):
        assert version(log, instant_us) == expected
    assert log.table.snapshot(AtVersion("1")).committed_at_us == START_US + HOUR


def test_before_the_first_and_after_the_last_commit() -> None:
    log = grown(3)
    with pytest.raises(NoSuchVersionError, match=r"is before the first commit: version 0 was committed at 2023-11-14 22:13:20\.000 UTC") as before:
        version(log, START_US - 1000)
    assert "2023-11-15 00:13:20.000 UTC (version 2)" in str(before.value)
    with pytest.raises(NoSuchVersionError, match=r"is after the last commit: version 2 was committed at 2023-11-15 00:13:20\.000 UTC"):
        version(log, START_US + 2 * HOUR + 1000)
    assert version(log, START_US + 900 * HOUR, or_latest=True) == 2


def test_file_times_that_do_not_rise_are_moved_up() -> None:
    log = Log().create(add("f0"))
    for number, hours in ((1, 5), (2, 3), (3, 3), (4, 6)):
        log.commit(add(f"f{number}"), at_us=START_US + hours * HOUR)
    assert version(log, START_US + 5 * HOUR) == 1
    assert version(log, START_US + 5 * HOUR + 1000) == 2
    assert version(log, START_US + 5 * HOUR + 2000) == 3
    assert version(log, START_US + 4 * HOUR) == 0
    assert log.table.snapshot(AtVersion("3")).committed_at_us == START_US + 5 * HOUR + 2000


def test_file_times_count_milliseconds() -> None:
    log = Log().create(add("f0"), id="x").commit(add("f1"), at_us=START_US + HOUR + 999)
    assert version(log, START_US + HOUR) == 1


def test_commits_cleaned_up_before_the_instant() -> None:
    log = grown(12).file(f"{10:020}.checkpoint.parquet", parquet([protocol(), metadata(), add("x")])).drop(*range(8))
    assert version(log, START_US + 10 * HOUR) == 10
    with pytest.raises(ExpiredVersionError, match="before the first commit that is left in the log: version 10"):
        version(log, START_US + 9 * HOUR)


# By the commits' own record ------------------------------------------------------------------------------------------------------------------------


def test_recorded_times_ignore_file_times() -> None:
    log = ict(6)
    for number in range(6):
        assert version(log, START_US + number * HOUR) == number
        assert log.table.snapshot(AtVersion(str(number))).committed_at_us == START_US + number * HOUR
    assert version(log, START_US + 3 * HOUR - 1) == 2


@pytest.mark.parametrize(("instant_us", "words"), [(START_US - 1000, "before the first commit"), (START_US + 5 * HOUR + 1000, "after the last commit")])
def test_recorded_times_have_bounds(instant_us: int, words: str) -> None:
    with pytest.raises(NoSuchVersionError, match=words):
        version(ict(6), instant_us)


def test_a_search_reads_few_commits_and_little_of_them() -> None:
    log = ict(64)
    table = log.table
    table.snapshot(Latest())
    log.storage.reads.clear()
    assert table.snapshot(at(START_US + 20 * HOUR)).version == "20"
    heads = {path for path, count in log.storage.reads.items() if count}
    assert len(heads) <= 21 + 9


def test_recording_switched_on_later() -> None:
    enabled = START_US + 3 * HOUR
    log = ict(6, 3, delta__inCommitTimestampEnablementVersion="3", delta__inCommitTimestampEnablementTimestamp=str(enabled // 1000))
    assert [version(log, START_US + n * HOUR) for n in range(6)] == [0, 1, 2, 3, 4, 5]
    assert version(log, enabled - 1) == 2
    assert [log.table.snapshot(AtVersion(str(n))).committed_at_us for n in (2, 3)] == [START_US + 2 * HOUR, enabled]


def test_a_commit_info_longer_than_the_head_that_is_read() -> None:
    log = ict(1)
    info = {"commitInfo": {"operationParameters": {"x": "y" * 10_000}, "inCommitTimestamp": (START_US + HOUR) // 1000}}
    log.commit(info, add("g"), at_us=0)
    assert version(log, START_US + HOUR) == 1


@pytest.mark.parametrize("recorded", [None, "soon", True, -1, 10**20])
def test_a_commit_without_a_usable_record(recorded: object) -> None:
    log = ict(2).commit({"commitInfo": {"inCommitTimestamp": recorded}}, add("g"))
    with pytest.raises(MetadataError, match=r"00002\.json: in-commit timestamps are on, but commitInfo.inCommitTimestamp is"):
        version(log, START_US)
    assert log.table.snapshot(Latest()).committed_at_us is None


def test_instants_as_text() -> None:
    instant = dt.datetime(2026, 11, 24, 1, 33, 6, 744_000, dt.UTC)
    assert instant_text(int(instant.timestamp() * 1000) * 1000) == "2026-11-24 01:33:06.744 UTC"
    assert instant_text(1) == "1970-01-01 00:00:00.000001 UTC"


# By the writers' clocks, on request ----------------------------------------------------------------------------------------------------------------


def copied() -> Log:
    """A table that was copied: file times say when, in no order."""
    log = Log()
    for number in range(4):
        head = [protocol(), metadata()] if number == 0 else []
        log.commit({"commitInfo": {"timestamp": (START_US + number * HOUR) // 1000}}, *head, add(f"f{number}"), at_us=START_US + 1000 * HOUR - number)
    return log


def by_writers(log: Log) -> DeltaTable:
    return DeltaTable(log.storage, log.root, {"commit_times": "commit_info"})


def test_the_writers_clock() -> None:
    table = by_writers(copied())
    assert table.snapshot(at(START_US + 2 * HOUR)).version == "2"
    assert table.snapshot(AtVersion("1")).committed_at_us == START_US + HOUR
    with pytest.raises(NoSuchVersionError, match="before the first commit"):
        copied().table.snapshot(at(START_US + 2 * HOUR))


def test_the_writers_clock_where_a_writer_had_none() -> None:
    log = copied().commit(add("g"))
    with pytest.raises(MetadataError, match=r"the option commit_times is commit_info, but commitInfo.timestamp is None"):
        by_writers(log).snapshot(at(START_US))


def test_recorded_times_need_no_other_clock() -> None:
    log = ict(3)
    assert by_writers(log).snapshot(at(START_US + HOUR)).version == "1"


@pytest.mark.parametrize(
    ("options", "words"), [({"commit_time": "file"}, 'did you mean "commit_times"'), ({"commit_times": "mtime"}, "expected file or commit_info")]
)
def test_options_that_are_none(options: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        DeltaTable(Log().storage, "/lake/t", options)


def test_notices() -> None:
    log = Log().create(delta__coordinatedCommits__commitCoordinator_preview="x")
    assert log.table.snapshot(Latest()).notices == ()
    log = Log().commit(protocol(), {"metaData": metadata()["metaData"] | {"configuration": {"delta.coordinatedCommits.commitCoordinator-preview": "dynamodb"}}})
    assert "may be stale" in log.table.snapshot(Latest()).notices[0]
