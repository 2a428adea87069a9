"""Log replay: which files are active, whatever the order of actions, and what a new commit costs."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.delta.log_maker import LOG, START_US, Action, Log, add, metadata, parquet, paths, protocol, remove, schema_text, vector
from lakesql.errors import MissingFileError, UnsupportedFeatureError
from lakesql.formats.delta.replay import MemoryBlock
from lakesql.formats.delta.states import States
from lakesql.storage import CachedStorage
from lakesql.table import AtVersion, Latest, ScanRequest

DV1, DV2 = vector("first", 1), vector("second", 2)


def vectors(log: Log) -> dict[str, str | None]:
    files = log.table.snapshot(Latest()).files
    found = files.column("deletionVector").to_pylist()
    return dict(zip(files.column("path").to_pylist(), [v and v["pathOrInlineDv"] for v in found], strict=True))


# Keys ----------------------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [0, 1])
def test_a_new_vector_and_the_removal_of_the_old_one_in_either_order(order: int) -> None:
    actions = [add("f", dv=DV2), remove("f", dv=DV1)]
    log = Log().create(add("f", dv=DV1)).commit(*(actions if order else reversed(actions)))
    assert vectors(log) == {"f": "second"}


def test_a_first_vector_replaces_the_file_without_one() -> None:
    log = Log().create(add("f"), add("g")).commit(add("f", dv=DV1), remove("f"))
    assert vectors(log) == {"f": "first", "g": None}


def test_a_vector_that_goes_again() -> None:
    log = Log().create(add("f", dv=DV1)).commit(add("f"), remove("f", dv=DV1))
    assert vectors(log) == {"f": None}


@pytest.mark.parametrize(("first", "second", "same"), [(1, 1, True), (1, 2, False), (None, None, True), (None, 1, False)])
def test_the_offset_is_part_of_a_vectors_identity(first: int | None, second: int | None, same: bool) -> None:
    log = Log().create(add("f", dv=vector("v", offset=first))).commit(remove("f", dv=vector("v", offset=second)))
    assert log.paths() == ([] if same else ["f"])


def test_an_add_of_an_active_file_replaces_it() -> None:
    log = Log().create(add("f", rows=1)).commit(add("f", rows=2))
    files = log.table.snapshot(Latest()).files
    assert len(files) == 1
    assert json.loads(next(files.parts[0].block.stats_texts())[0].as_py()) == {"numRecords": 2}


def test_a_file_may_come_back() -> None:
    log = Log().create(add("f")).commit(remove("f")).commit(add("f"))
    assert (log.paths(0), log.paths(1), log.paths(2)) == (["f"], [], ["f"])


def test_an_add_and_a_remove_of_one_key_in_one_commit_leave_the_file() -> None:
    assert Log().create().commit(remove("f"), add("f")).paths() == ["f"]
    assert Log().create().commit(add("f"), remove("f")).paths() == ["f"]


def test_two_adds_of_one_key_in_one_commit_are_one_file() -> None:
    assert Log().create(add("f", rows=1), add("f", rows=2)).paths() == ["f"]


def test_a_remove_of_what_is_not_there_is_nothing() -> None:
    assert Log().create(add("f")).commit(remove("other"), remove("f", dv=DV1)).paths() == ["f"]


def test_removes_in_a_checkpoint_cancel_nothing() -> None:
    log = Log().create()
    log.checkpoint(0, protocol(), metadata(), remove("f"), add("f"), add("g", dv=DV1), remove("g"))
    assert log.paths() == ["f", "g"]


def test_commits_strike_files_out_of_a_checkpoint_by_key() -> None:
    log = Log().create()
    log.checkpoint(0, protocol(), metadata(), add("a", dv=DV1), add("b", dv=DV1), add("c"), add("d"))
    log.commit(remove("a", dv=DV1), remove("b", dv=DV2), remove("c"), add("d", dv=DV2), remove("d"))
    assert vectors(log) == {"b": "first", "d": "second"}


# Protocol, metadata and the rest -------------------------------------------------------------------------------------------------------------------


def test_the_newest_protocol_and_metadata_of_a_version_count() -> None:
    log = Log().create().commit(metadata(schema_text(id="long", later="string"))).commit(protocol(features=["quantumLayout"]))
    assert log.table.snapshot(AtVersion("0")).schema.names == ["id"]
    assert log.table.snapshot(AtVersion("1")).schema.names == ["id", "later"]
    with pytest.raises(UnsupportedFeatureError, match=r"quantumLayout.*version 2"):
        log.table.snapshot(Latest())


def test_a_version_before_a_feature_was_dropped_needs_it() -> None:
    log = Log().commit(protocol(features=["quantumLayout"]), metadata()).commit(protocol())
    assert log.table.snapshot(Latest()).version == "1"
    with pytest.raises(UnsupportedFeatureError, match="quantumLayout"):
        log.table.snapshot(AtVersion("0"))


def test_data_files_that_are_no_parquet() -> None:
    action = metadata()
    action["metaData"]["format"]["provider"] = "orc"
    with pytest.raises(UnsupportedFeatureError, match="orc"):
        Log().commit(protocol(), action).paths()


def test_transactions_and_domains() -> None:
    log = Log().create({"txn": {"appId": "a", "version": 9}}, {"txn": {"appId": "b", "version": 1}}, {"domainMetadata": {"domain": "d", "configuration": "1"}})
    log.commit({"txn": {"appId": "a", "version": 3}}, {"domainMetadata": {"domain": "e", "configuration": "2", "removed": False}})
    log.commit({"domainMetadata": {"domain": "d", "configuration": "", "removed": True}})
    others = log.table.snapshot(Latest()).state.others.get()
    assert {a: t["version"] for a, t in others.txns.items()} == {"a": 3, "b": 1}
    assert {d: c["configuration"] for d, c in others.domains.items()} == {"e": "2"}


# Staying up to date --------------------------------------------------------------------------------------------------------------------------------


def test_a_new_commit_costs_one_listing_and_that_commit() -> None:
    log = Log().create(*(add(f"f{i}") for i in range(50)))
    log.checkpoint(0, protocol(), metadata(), *(add(f"f{i}") for i in range(50)))
    table = log.table
    request = ScanRequest(("id",))
    assert table.snapshot(Latest()).scan(request).report.kept_files == 50
    log.commit(remove("f1"), add("g"))
    log.storage.reads.clear()
    log.storage.lists.clear()
    assert table.snapshot(Latest()).scan(request).report.kept_files == 50
    assert log.storage.reads == {f"{LOG}/{1:020}.json": 1}
    assert log.storage.lists == {LOG: 1}


def test_nothing_new_costs_one_listing() -> None:
    log = Log().create(add("f")).commit(add("g"))
    table = log.table
    first = table.snapshot(Latest())
    first.files.column("path")
    log.storage.reads.clear()
    log.storage.lists.clear()
    assert table.snapshot(Latest()) is first
    assert (log.storage.reads, log.storage.lists) == ({}, {LOG: 1})


def test_a_new_commit_is_seen_without_the_files_having_been_read() -> None:
    log = Log().create(add("f"))
    table = log.table
    table.snapshot(Latest())
    log.commit(add("g"))
    table.snapshot(Latest())
    log.commit(remove("f"))
    assert paths(table) == ["g"]


def test_more_commits_than_are_kept() -> None:
    log = Log().create(add("f0"))
    for number in range(1, 700):
        log.commit(add(f"f{number}"))
    assert len(log.paths()) == 700
    assert sum(log.storage.reads.values()) == 700 + 1  # and the hint


def test_an_older_snapshot_keeps_its_files() -> None:
    log = Log().create(add("f"))
    log.checkpoint(0, protocol(), metadata(), add("f"), add("x"))
    table = log.table
    old = table.snapshot(Latest())
    log.commit(remove("f"), add("g"))
    new = table.snapshot(Latest())
    assert sorted(new.files.column("path").to_pylist()) == ["g", "x"]
    assert sorted(old.files.column("path").to_pylist()) == ["f", "x"]


def test_schema_changes_are_seen() -> None:
    log = Log().create()
    table = log.table
    assert table.snapshot(Latest()).schema.names == ["id"]
    log.commit(metadata(schema_text(other="string")))
    assert table.snapshot(Latest()).schema.names == ["other"]


def test_many_commits_do_not_pile_up_blocks() -> None:
    log = Log().create(add("f0"))
    table = log.table
    for number in range(1, 100):
        log.commit(add(f"f{number}"), remove(f"f{number - 50}"))
        table.snapshot(Latest())
    state = table.snapshot(Latest()).state
    blocks = state.files.get()
    assert len(paths(table)) == 50
    assert len(blocks) <= 34
    assert all(isinstance(b.block, MemoryBlock) for b in blocks)


def test_a_table_made_anew_at_the_same_place_is_another_table() -> None:
    log = Log().create(add("old"), id="first")
    log.storage.modified_us[f"{LOG}/{0:020}.json"] = START_US
    states = States(CachedStorage(log.storage), log.root)
    assert states.at(None).metadata.id == "first"
    again = Log().create(add("new"), id="other")
    log.storage.files, log.storage.modified_us = again.storage.files, {f"{LOG}/{0:020}.json": START_US + 5}
    state = states.at(None)
    assert state.metadata.id == "other"
    assert [p for b in state.files.get() for p in b.column("path").to_pylist()] == ["new"]


def test_a_table_made_anew_with_more_commits() -> None:
    log = Log().create(add("a"), id="first").commit(add("b"))
    table = log.table
    assert paths(table) == ["a", "b"]
    again = Log().create(add("x"), id="other").commit(add("yy")).commit(add("z"))
    log.storage.files, log.storage.modified_us = again.storage.files, {p: m + 1 for p, m in again.storage.modified_us.items()}
    assert paths(table) == ["x", "yy", "z"]


def test_a_file_cleaned_up_between_listing_and_reading_is_looked_for_again() -> None:
    log = Log().create(add("a")).commit(add("b")).commit(add("c"))
    storage = log.storage
    whole_read = storage.read
    raced = False

    def read(path: str) -> bytes:
        nonlocal raced
        if path.endswith(f"{1:020}.json") and not raced:
            raced = True
            storage.files[f"{LOG}/{2:020}.checkpoint.parquet"] = parquet([protocol(), metadata(), add("a"), add("b"), add("c")])
            del storage.files[f"{LOG}/{0:020}.json"], storage.files[path]
            raise MissingFileError("gone", path=path)
        return whole_read(path)

    storage.read = read  # type: ignore[method-assign]
    assert log.paths() == ["a", "b", "c"]


# Random logs against a plain replay ----------------------------------------------------------------------------------------------------------------


def plain_replay(commits: list[list[Action]]) -> list[tuple[str, Any]]:
    """The protocol's rules, word by word."""
    live: dict[tuple[str, Any], bool] = {}
    for commit in commits:
        for name in ("remove", "add"):
            for action in commit:
                if name in action:
                    fields = action[name]
                    key = (fields["path"], fields.get("deletionVector", {}).get("pathOrInlineDv"))
                    live[key] = name == "add"
    return sorted((key for key, is_live in live.items() if is_live), key=str)


FILES = st.sampled_from(["a", "b", "c", "p=1/d", "p=2/d"])
VECTORS = st.sampled_from([None, vector("x"), vector("y")])
ACTIONS = st.builds(lambda make, path, dv: make(path, dv=dv), st.sampled_from([add, remove]), FILES, VECTORS)


@settings(max_examples=60, deadline=None)
@given(commits=st.lists(st.lists(ACTIONS, max_size=6), min_size=1, max_size=8), seed=st.integers(0, 2**32))
def test_random_logs(commits: list[list[Action]], seed: int) -> None:
    rng = random.Random(seed)
    log = Log().create()
    growing = log.table
    for number, commit in enumerate(commits, 1):
        log.commit({"commitInfo": {}}, *commit)
        expected = plain_replay(commits[:number])
        if rng.random() < 0.3:
            rows = [add(path, dv=None if dv is None else vector(dv)) for path, dv in expected]
            log.checkpoint(number, protocol(), metadata(), *rows, hint=rng.random() < 0.7)
        if rng.random() < 0.5:
            assert keys(growing, None) == expected
        assert keys(log.table, rng.randrange(number + 1)) is not None
    for version in range(len(commits) + 1):
        assert keys(log.table, version) == plain_replay(commits[:version])
    assert keys(growing, None) == plain_replay(commits)


def keys(table: Any, version: int | None) -> list[tuple[str, Any]]:
    files = table.snapshot(Latest() if version is None else AtVersion(str(version))).files
    found = files.column("deletionVector").to_pylist()
    return sorted(zip(files.column("path").to_pylist(), [v and v["pathOrInlineDv"] for v in found], strict=True), key=str)
