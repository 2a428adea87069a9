"""Which files of a log make a version: names, hints, gaps, and how few requests it takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from formats.delta.log_maker import LOG, Log, add, metadata, parquet, protocol, remove
from lakesql.errors import ExpiredVersionError, MetadataError, NoSuchVersionError, NotATableError
from lakesql.formats.delta import hint
from lakesql.formats.delta.hint import Hint, checksum_of, parse_hint, read_hint
from lakesql.formats.delta.log import CheckpointKind, Segment, list_log, oldest_readable, segment_for
from lakesql.storage import LocalStorage, MemoryStorage

UUID = "3a0d65cd-4056-49b8-937b-95f9e3ee90e5"


def segment(log: Log, version: int | None = None) -> Segment:
    return segment_for(log.storage, log.folder, version, read_hint(log.storage, log.folder))


def versions(found: Segment) -> tuple[int | None, list[tuple[int, int]]]:
    return found.checkpoint.version if found.checkpoint else None, [(d.first, d.last) for d in found.deltas]


def grown(count: int) -> Log:
    log = Log().create(add("f0"))
    for number in range(1, count):
        log.commit(add(f"f{number}"))
    return log


# Names ---------------------------------------------------------------------------------------------------------------------------------------------


def test_only_whole_names_count() -> None:
    log = grown(2)
    for name in (
        ".00000000000000000002.json.crc",
        "00000000000000000002.json.tmp",
        "x00000000000000000002.json",
        "0000000000000000002.json",
        "000000000000000000002.json",
        "00000000000000000001.checkpoint.parquet.crc",
        "00000000000000000001.checkpoint.not-a-uuid.parquet",
        "00000000000000000001.checkpoint.0000000001.0000000002.33321cc1-9c55-4d1f-8511-fafe6d2e1133.parquet",
        "_sidecars/00000000000000000009.json",
        "_staged_commits/00000000000000000002.3a0d65cd-4056-49b8-937b-95f9e3ee90e5.json",
        "99999999999999999999.json",
    ):
        log.file(name, "{}")
    assert versions(segment(log)) == (None, [(0, 0), (1, 1)])


def test_a_folder_of_a_commits_name_is_no_commit() -> None:
    log = grown(1)
    log.file("00000000000000000001.json/x", "{}")
    assert segment(log).version == 0


def test_an_empty_checkpoint_is_not_there() -> None:
    log = grown(3).file(f"{2:020}.checkpoint.parquet", b"")
    assert versions(segment(log)) == (None, [(0, 0), (1, 1), (2, 2)])


def test_a_multi_part_checkpoint_needs_all_its_parts() -> None:
    log = grown(3)
    for part in (1, 2):
        log.file(f"{1:020}.checkpoint.{part:010}.{3:010}.parquet", b"x")
    assert versions(segment(log))[0] is None
    log.file(f"{1:020}.checkpoint.{3:010}.{3:010}.parquet", b"x")
    found = segment(log)
    assert versions(found) == (1, [(2, 2)])
    assert found.checkpoint is not None
    assert [e.name.split(".")[2] for e in found.checkpoint.files] == ["0000000001", "0000000002", "0000000003"]


def test_parts_of_different_checkpoints_do_not_mix() -> None:
    log = grown(2)
    log.file(f"{1:020}.checkpoint.{1:010}.{2:010}.parquet", b"x").file(f"{1:020}.checkpoint.{2:010}.{3:010}.parquet", b"x")
    assert versions(segment(log))[0] is None


def test_of_several_checkpoints_at_one_version_the_choice_is_fixed() -> None:
    log = grown(2).file(f"{1:020}.checkpoint.parquet", b"x")
    for count in (1, 2):
        for part in range(1, count + 1):
            log.file(f"{1:020}.checkpoint.{part:010}.{count:010}.parquet", b"x")
    found = segment(log).checkpoint
    assert found is not None
    assert (found.kind, len(found.files)) == (CheckpointKind.MULTI_PART, 2)
    for first in "1f":
        log.file(f"{1:020}.checkpoint.{first}a0d65cd-4056-49b8-937b-95f9e3ee90e5.json", b"x")
    found = segment(log).checkpoint
    assert found is not None
    assert found.files[0].name.startswith(f"{1:020}.checkpoint.f")


# Hints ---------------------------------------------------------------------------------------------------------------------------------------------


def test_a_hint_spares_the_listing_of_older_commits() -> None:
    log = grown(12).file(f"{10:020}.checkpoint.parquet", b"x").hint(10)
    found = segment(log)
    assert versions(found) == (10, [(11, 11)])
    assert log.storage.lists == {LOG: 1}


def test_a_newer_checkpoint_than_the_hints_is_found() -> None:
    log = grown(12).file(f"{5:020}.checkpoint.parquet", b"x").file(f"{10:020}.checkpoint.parquet", b"x").hint(5)
    assert versions(segment(log)) == (10, [(11, 11)])


@pytest.mark.parametrize("hinted", [7, 11, 400])
def test_a_hint_at_a_checkpoint_that_is_gone_costs_a_listing(hinted: int) -> None:
    log = grown(12).file(f"{3:020}.checkpoint.parquet", b"x").hint(hinted)
    assert versions(segment(log)) == (3, [(v, v) for v in range(4, 12)])


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"version": -1}', b'{"version": "10"}', b'{"version": 1e300}', b'{"version":10,"version":10}', b"\xff"]
)
def test_a_hint_that_is_no_hint_is_ignored(content: bytes) -> None:
    log = grown(12).file(f"{3:020}.checkpoint.parquet", b"x").file("_last_checkpoint", content)
    assert read_hint(log.storage, log.folder) is None
    assert versions(segment(log))[0] == 3


def test_the_specifications_checksum_example() -> None:
    text = '{"k0":"\'v 0\'", "checksum": "adsaskfljadfkjadfkj", "k1":{"k2": 2, "k3": ["v3", [1, 2], {"k4": "v4", "k5": ["v5", "v6", "v7"]}]}}'
    raw = json.loads(text, parse_int=lambda digits: _as_number(digits))
    assert checksum_of(raw) == "6a92d155a59bf2eecbd4b4ec7fd1f875"


def _as_number(digits: str) -> Any:
    return hint._Number(digits)


def signed(fields: dict[str, Any]) -> bytes:
    """A hint with its checksum."""
    return json.dumps(fields | {"checksum": checksum_of(json.loads(json.dumps(fields), parse_int=_as_number))}).encode()


def test_a_hint_that_contradicts_its_checksum_is_ignored() -> None:
    assert parse_hint(signed({"version": 4, "size": 10})) == Hint(4)
    assert parse_hint(signed({"version": 4, "size": 10}).replace(b"10", b"11")) is None


def test_the_hint_names_a_v2_checkpoints_sidecars() -> None:
    name = f"{4:020}.checkpoint.{UUID}.json"
    listed = {"version": 4, "v2Checkpoint": {"path": name, "sidecarFiles": [{"path": "a.parquet", "sizeInBytes": 7}]}}
    assert parse_hint(signed(listed)) == Hint(4, name, (("a.parquet", 7),))
    assert parse_hint(json.dumps(listed).encode()) == Hint(4, name, None)
    assert parse_hint(signed({"version": 4, "v2Checkpoint": {"path": name}})) == Hint(4, name, None)


# Versions ------------------------------------------------------------------------------------------------------------------------------------------


def test_below_the_hint_an_older_checkpoint_is_looked_for() -> None:
    log = Log().create()
    for version in range(1, 2500):
        log.commit(version=version)
    for version in (700, 2400):
        log.file(f"{version:020}.checkpoint.parquet", b"x")
    log.hint(2400)
    found = segment(log, 2300)
    assert versions(found)[0] == 700
    assert len(found.deltas) == 1600
    assert segment(log, 2).checkpoint is None


def test_a_version_above_the_latest() -> None:
    with pytest.raises(NoSuchVersionError, match="no such version 9: the table has versions 0 to 2"):
        segment(grown(3), 9)


def test_a_version_whose_commits_were_cleaned_up() -> None:
    log = grown(12).file(f"{10:020}.checkpoint.parquet", b"x").hint(10).drop(*range(7))
    for version in (0, 6, 7, 9):
        with pytest.raises(
            ExpiredVersionError, match=f"version {version} can no longer be read: its commits are gone.*oldest version that can be read is 10, the latest 11"
        ):
            segment(log, version)
    assert segment(log, 10).deltas == ()


def test_a_checkpoint_whose_own_commit_is_gone_serves_the_latest_version_alone() -> None:
    log = grown(6).file(f"{5:020}.checkpoint.parquet", b"x").drop(*range(6))
    assert (segment(log).version, segment(log).commit) == (5, None)
    with pytest.raises(ExpiredVersionError):
        segment(log, 5)
    assert oldest_readable(list_log(log.storage, log.folder, 0)) is None


@pytest.mark.parametrize("asked", [None, 0, 1, 2, 3, 4])
def test_a_gap_is_an_error_even_above_the_version(asked: int | None) -> None:
    with pytest.raises(MetadataError, match="commit 2 is missing"):
        segment(grown(5).drop(2), asked)


def test_a_gap_that_a_checkpoint_covers_is_none() -> None:
    log = grown(9).file(f"{6:020}.checkpoint.parquet", b"x").drop(3)
    assert versions(segment(log)) == (6, [(7, 7), (8, 8)])
    assert segment(log, 1).version == 1
    with pytest.raises(MetadataError, match="commit 3 is missing"):
        segment(log, 4)


def test_commits_that_do_not_begin_at_0_and_no_checkpoint() -> None:
    with pytest.raises(MetadataError, match="commit 0 is missing"):
        segment(grown(3).drop(0))


def test_a_log_without_commits() -> None:
    with pytest.raises(NotATableError, match="holds no commit"):
        segment_for(MemoryStorage({f"{LOG}/_last_checkpoint": "{}"}), LOG, None, None)


# Compacted commits ---------------------------------------------------------------------------------------------------------------------------------


def test_the_longest_compaction_inside_the_range_replaces_commits() -> None:
    log = grown(9)
    for first, last in ((1, 2), (1, 4), (1, 20), (5, 6), (6, 8)):
        log.file(f"{first:020}.{last:020}.compacted.json", "{}")
    assert versions(segment(log)) == (None, [(0, 0), (1, 4), (5, 6), (7, 7), (8, 8)])
    assert versions(segment(log, 3)) == (None, [(0, 0), (1, 2), (3, 3)])


def test_compacted_commits_give_the_same_files() -> None:
    plain = grown(4).commit(remove("f1"), add("g"))
    compacted = grown(4).commit(remove("f1"), add("g"))
    compacted.file(f"{1:020}.{4:020}.compacted.json", "".join(json.dumps(a) + "\n" for a in (add("f2"), add("f3"), add("g"), remove("f1"))))
    # Read in place of the commits: they could be anything.
    for version in (2, 3):
        compacted.file(f"{version:020}.json", json.dumps(add("wrong")))
    assert plain.paths() == compacted.paths() == ["f0", "f2", "f3", "g"]


# Damage --------------------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"  \n", "empty"),
        (b"not json", "not JSON"),
        (b'{"add":{"path":"f","size":1', "ends early"),
        (b'{"commitInfo":{"operation":"WRITE"}}\n{"add":{"path"', "ends early"),
        (b"[1]", "expected a JSON object"),
        (b'{"add": 5}', "expected add to be a JSON object"),
        (b'{"add":{"size":1}}', "no path"),
        (b'{"add":{"path":5}}', "add.path"),
        (b'{"add":{"path":"f","size":"big"}}', "add.size"),
        (b'{"add":{"path":"f","size":-1}}', "negative size"),
        (b'{"add":{"path":"f","size":99999999999999999999}}', "add.size"),
        (b'{"add":{"path":"f","partitionValues":["a"]}}', "add.partitionValues"),
        (b'{"add":{"path":"f","deletionVector":"x"}}', "add.deletionVector"),
        (b'{"txn":{"version":1}}', "appId"),
        (b'{"metaData":{"id":"x"}}', "no schema"),
    ],
)
def test_a_damaged_commit_is_an_error_that_names_it(content: bytes, words: str) -> None:
    log = grown(1).file(f"{1:020}.json", content)
    with pytest.raises(MetadataError, match=words) as caught:
        log.paths()
    assert f"{1:020}.json" in str(caught.value)


def test_a_commit_may_be_laid_out_in_any_way() -> None:
    pretty = json.dumps(add("f1"), indent=2) + "\n" + json.dumps(add("f2")) + json.dumps({"unknownAction": {"a": 1}})
    log = Log().create(add("f0")).file(f"{1:020}.json", b"\xef\xbb\xbf" + pretty.encode())
    assert log.paths() == ["f0", "f1", "f2"]


def test_unknown_actions_and_fields_are_ignored() -> None:
    log = Log().create(add("f0", someField={"x": 1}), {"futureAction": {"y": 2}})
    log.commit({"beside": [1], **add("f1")}, {"cdc": {"path": "c", "partitionValues": {}, "size": 1, "dataChange": False}})
    assert log.paths() == ["f0", "f1"]


def test_numbers_that_are_no_json_in_a_commit_info() -> None:
    log = Log().create(add("f0"))
    log.file(f"{1:020}.json", b'{"commitInfo":{"metrics":{"a":NaN,"b":123456789012345678901234567890}}}\n' + json.dumps(add("f1")).encode())
    assert log.paths() == ["f0", "f1"]


def test_a_log_of_longer_lines_than_a_megabyte() -> None:
    fields = {f"column_{i}": "string" for i in range(40_000)}
    schema = json.dumps({"type": "struct", "fields": [{"name": n, "type": t, "nullable": True, "metadata": {}} for n, t in fields.items()]})
    log = Log().commit(protocol(), metadata(schema), add("f"))
    assert log.paths() == ["f"]


def test_local_files(tmp_path: Path) -> None:
    folder = tmp_path / "_delta_log"
    folder.mkdir()
    log = grown(3)
    for path, content in log.storage.files.items():
        (folder / path.rsplit("/", 1)[-1]).write_bytes(content)
    (folder / f"{1:020}.checkpoint.parquet").write_bytes(parquet([protocol(), metadata(), add("f0"), add("f1")]))
    assert versions(segment_for(LocalStorage(), str(folder), None, None)) == (1, [(2, 2)])
