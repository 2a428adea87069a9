"""Which states a table has: hints that lie, holes, files of writers that failed, tags, branches, times, watermarks; and how options name them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lakesql.errors import ConfigError, ExpiredVersionError, MetadataError, NoSuchVersionError, UnsupportedFeatureError
from lakesql.formats.paimon import FORMAT
from lakesql.formats.paimon.json_files import JsonFile
from lakesql.formats.paimon.merging import check_functions, merged
from lakesql.formats.paimon.options import Options
from lakesql.formats.paimon.schemas import parse_schema
from lakesql.formats.paimon.snapshots import Timeline
from lakesql.storage import MemoryStorage
from lakesql.table import AtTime, AtVersion, Latest

SCHEMA = {
    "version": 3,
    "id": 0,
    "fields": [{"id": 0, "name": "k", "type": "INT"}],
    "highestFieldId": 0,
    "partitionKeys": [],
    "primaryKeys": [],
    "options": {},
    "timeMillis": 0,
}


def snapshot(id_: int, **changes: Any) -> str:
    """A snapshot's content, committed id_ seconds after 1970."""
    content = {
        "version": 3,
        "id": id_,
        "schemaId": 0,
        "baseManifestList": "manifest-list-base",
        "deltaManifestList": "manifest-list-delta",
        "commitUser": "somebody",
        "commitIdentifier": 1,
        "commitKind": "APPEND",
        "timeMillis": id_ * 1000,
        "somethingNew": {"ignored": True},
    }
    return json.dumps({k: v for k, v in {**content, **changes}.items() if v is not None})


def stored(*ids: int, latest: str | None = None, options: dict[str, str] | None = None, **files: str) -> MemoryStorage:
    """A table's metadata with these snapshots. files: more of them, `/` spelled `__`."""
    found = {f"t/snapshot/snapshot-{i}": snapshot(i) for i in ids} | {"t/schema/schema-0": json.dumps({**SCHEMA, "options": options or {}})}
    found |= {f"t/{n.replace('__', '/')}": c for n, c in files.items()}
    return MemoryStorage(found | ({"t/snapshot/LATEST": latest} if latest is not None else {}))


def newest(storage: MemoryStorage) -> int | None:
    found = Timeline(storage, "t").latest()
    return None if found is None else found.id


# Which snapshot is the newest ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hint", ["3", " 3\n", "2", "9", "x", "", "-1", "1" * 200])
def test_hints_are_only_hints(hint: str) -> None:
    assert newest(stored(1, 2, 3, latest=hint)) == 3


def test_without_hints() -> None:
    assert newest(stored(9, 10, 11)) == 11
    assert newest(stored()) is None


def test_a_good_hint_saves_the_listing() -> None:
    storage = stored(1, 2, 3, latest="3")
    assert newest(storage) == 3
    assert "t/snapshot" not in storage.lists


def test_holes_and_temporary_files() -> None:
    storage = stored(2, 5, latest="4")
    storage.files |= {f"t/snapshot/{n}": b"" for n in ("snapshot-6-d9f.tmp", "snapshot-7d9f6b2a", ".snapshot-8.swp", "snapshot-", "EARLIEST", "snapshot-9.tmp")}
    timeline = Timeline(storage, "t")
    assert timeline.ids() == [2, 5]
    assert newest(storage) == 5
    assert [s.id for s in timeline.all()] == [2, 5]


def test_old_and_new_fields() -> None:
    """Version 0.2 wrote the commit's number as text; no watermark is a number of its own."""
    storage = stored()
    storage.files["t/snapshot/snapshot-1"] = snapshot(
        1, version=None, commitIdentifier="9223372036854775807", watermark=-(2**63), logOffsets={"0": 1}, nextRowId=7
    ).encode()
    found = Timeline(storage, "t").get(1)
    assert (found.commit_identifier, found.watermark, found.next_row_id) == (2**63 - 1, None, 7)


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        ("", MetadataError, "is empty"),
        (snapshot(1)[:50], MetadataError, "is no JSON"),
        (snapshot(1, version=4), UnsupportedFeatureError, "has version 4"),
        (snapshot(2), MetadataError, "says that it is snapshot 2"),
        (snapshot(1, schemaId=None), MetadataError, "schemaId must be a whole number; it is missing"),
        (snapshot(1, baseManifestList=None), MetadataError, "baseManifestList must be a text; it is missing"),
        (snapshot(1, baseManifestList="../../etc/passwd"), MetadataError, "is no file name"),
        (snapshot(1, indexManifest="a/b"), MetadataError, "is no file name"),
        (snapshot(1, timeMillis=2**70), MetadataError, "timeMillis"),
        (snapshot(1, commitKind=3), MetadataError, "commitKind must be a text"),
    ],
)
def test_snapshots_that_are_refused(content: str, error: type[Exception], message: str) -> None:
    storage = stored()
    storage.files["t/snapshot/snapshot-1"] = content.encode()
    with pytest.raises(error, match=message):
        Timeline(storage, "t").latest()


# Versions, times, watermarks -----------------------------------------------------------------------------------------------------------------------


def test_snapshots_by_number() -> None:
    timeline = Timeline(stored(3, 5, tag__tag_x=snapshot(1)), "t")
    assert timeline.get(5).id == 5
    for number in (0, 6):
        with pytest.raises(NoSuchVersionError, match="there are snapshots 3 to 5"):
            timeline.get(number)
    with pytest.raises(ExpiredVersionError, match="the oldest that is left is 3"):
        timeline.get(2)
    with pytest.raises(NoSuchVersionError, match="nothing was committed"):
        Timeline(stored(), "t").get(1)


def test_an_expired_snapshot_that_a_tag_keeps() -> None:
    storage = stored(3)
    storage.files["t/tag/tag-release"] = snapshot(1, tagCreateTime=[2024, 1, 2, 3, 4, 5, 6], tagTimeRetained=86400.0).encode()
    timeline = Timeline(storage, "t")
    kept = timeline.tag("release")
    assert kept is not None
    assert kept.id == 1
    with pytest.raises(ExpiredVersionError, match="AS OF 'release'"):
        timeline.get(1)


def test_snapshots_by_time() -> None:
    timeline = Timeline(stored(2, 3, 5), "t")
    found = [timeline.at_time(ms, "then").id for ms in (2000, 2999, 3000, 4999, 5000, 10**15)]
    assert found == [2, 2, 3, 3, 5, 5]
    with pytest.raises(NoSuchVersionError, match="the oldest snapshot is 2"):
        timeline.at_time(1999, "then")


def test_snapshots_by_watermark() -> None:
    """The first one at or above it; snapshots without one are passed over."""
    storage = stored()
    for id_, mark in ((1, None), (2, 10), (3, None), (4, 10), (5, 20), (6, None)):
        storage.files[f"t/snapshot/snapshot-{id_}"] = snapshot(id_, watermark=mark).encode()
    timeline = Timeline(storage, "t")
    assert [timeline.at_watermark(m).id for m in (-5, 10, 11, 20)] == [2, 2, 5, 5]
    with pytest.raises(NoSuchVersionError, match="the highest is 20, of snapshot 5"):
        timeline.at_watermark(21)
    with pytest.raises(NoSuchVersionError, match="no snapshot has one"):
        Timeline(stored(1, 2), "t").at_watermark(1)


# What SQL and options ask for ----------------------------------------------------------------------------------------------------------------------


def with_history(**options: str) -> Any:
    """A table of five snapshots with tags and a branch. options: the table's own, `.` spelled `_`."""
    storage = stored(1, 2, 3, 4, 5, options={k.replace("_", ".", 1).replace("_", "-"): v for k, v in options.items()})
    storage.files |= {
        "t/tag/tag-two": snapshot(2).encode(),
        "t/tag/tag-3": snapshot(1).encode(),
        "t/branch/branch-dev/schema/schema-0": json.dumps(SCHEMA).encode(),
        "t/branch/branch-dev/snapshot/snapshot-1": snapshot(1).encode(),
        "t/branch/branch-dev/snapshot/snapshot-7": snapshot(7).encode(),
        "t/branch/branch-dev/tag/tag-two": snapshot(7).encode(),
    }
    storage.files["t/snapshot/snapshot-4"] = snapshot(4, commitKind="COMPACT", commitIdentifier=6, watermark=99).encode()
    return FORMAT.open(storage, "t", {})


def version(at: Any, **options: str) -> str:
    table = with_history().with_options({"scan." + k.replace("_", "-"): v for k, v in options.items()})
    return str(table.snapshot(at).version)


@pytest.mark.parametrize(
    ("text", "quoted", "wanted"),
    [("3", False, "3"), ("3", True, "1"), ("two", True, "2"), ("two", False, "2"), ("dev", True, "dev@7"), ("main", True, "5"), ("watermark-50", True, "4")],
)
def test_versions(text: str, quoted: bool, wanted: str) -> None:
    """Tags come before numbers where the version is text, numbers where it is none; then watermarks and branches."""
    assert version(AtVersion(text, quoted)) == wanted


def test_versions_that_are_not_there() -> None:
    with pytest.raises(NoSuchVersionError, match='no such tag or branch: "tow"') as refusal:
        version(AtVersion("tow", True))
    assert "two" in (refusal.value.hint or "")
    with pytest.raises(NoSuchVersionError):
        version(AtVersion("../../t/tag/tag-two", True))


def test_times() -> None:
    assert version(AtTime(3_500_000, "then")) == "3"
    assert version(AtTime(10**12, "then", or_latest=True)) == "5"


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"snapshot_id": "3"}, "3"),
        ({"tag_name": "two"}, "2"),
        ({"timestamp_millis": "2500"}, "2"),
        ({"timestamp": "1970-01-01 00:00:03"}, "3"),
        ({"watermark": "7"}, "4"),
        ({"version": "two"}, "2"),
        ({"version": "4"}, "4"),
        ({"version": "3"}, "1"),
        ({"mode": "compacted-full"}, "4"),
        ({"mode": "latest-full"}, "5"),
        ({"mode": "from-snapshot", "snapshot_id": "2"}, "2"),
    ],
)
def test_options_that_name_a_state(options: dict[str, str], wanted: str) -> None:
    assert version(Latest(), **options) == wanted


def test_compacted_snapshots_of_full_compactions() -> None:
    table = with_history().with_options({"scan.mode": "compacted-full", "full-compaction.delta-commits": "4"})
    assert table.snapshot(Latest()).version == "5"  # the COMPACT one is of commit 6


def test_timestamps_are_of_the_sessions_zone() -> None:
    table = with_history()
    at = table.with_options({"scan.timestamp": "1970-01-01 01:00:03"}, "Europe/Berlin")
    assert at.snapshot(Latest()).version == "3"
    assert table.with_options({"scan.timestamp": "1970-01-01T00:00:03+00:00"}, "Europe/Berlin").snapshot(Latest()).version == "3"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"snapshot_id": "3", "tag_name": "two"}, ConfigError, "name two states"),
        ({"snapshot_id": "three"}, ConfigError, "is a whole number"),
        ({"snapshot_id": "9"}, NoSuchVersionError, "there are snapshots 1 to 5"),
        ({"tag_name": "three"}, NoSuchVersionError, "no such tag"),
        ({"timestamp": "yesterday"}, ConfigError, "write it as"),
        ({"timestamp_millis": "5"}, NoSuchVersionError, "no snapshot at or before"),
        ({"watermark": "100"}, NoSuchVersionError, "the highest is 99"),
        ({"mode": "incremental"}, UnsupportedFeatureError, "scan.mode = incremental"),
        ({"mode": "compacted-full", "snapshot_id": "3"}, ConfigError, "does not go with scan.mode"),
        ({"creation_time_millis": "3"}, UnsupportedFeatureError, "scan.creation-time-millis asks for files by"),
        ({"file_creation_time_millis": "3"}, UnsupportedFeatureError, "scan.file-creation-time-millis asks for files by"),
        ({"snapshotid": "3"}, ConfigError, 'no option "scan.snapshotid"'),
        ({"bucket": "3"}, ConfigError, 'no option "scan.bucket"'),
    ],
)
def test_options_that_are_refused(options: dict[str, str], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        version(Latest(), **options)


def test_a_state_is_named_once() -> None:
    table = with_history().with_options({"scan.snapshot-id": "3"})
    with pytest.raises(ConfigError, match="name two states"):
        table.snapshot(AtVersion("2"))
    # An instant for the whole lake gives way to what one table is asked for.
    assert table.snapshot(AtTime(2_000_000, "then", or_latest=True)).version == "3"


def test_metadata_has_no_changes() -> None:
    for option in ("incremental-between", "incremental-between-timestamp", "incremental-to-auto-tag"):
        with pytest.raises(ConfigError, match="asks for changes"):
            with_history().with_options({option: "1,3"}).metadata("files", Latest())


@pytest.mark.parametrize(("option", "value"), [("bucket", "7"), ("merge-engine", "aggregation"), ("path", "/elsewhere"), ("data-file.path-directory", "x")])
def test_options_that_belong_to_the_table(option: str, value: str) -> None:
    with pytest.raises(ConfigError, match="belongs to the table"):
        with_history().with_options({option: value}).snapshot(Latest())


def test_options_that_are_the_tables_unless_it_says_otherwise() -> None:
    with pytest.raises(ConfigError, match="belongs to the table"):
        with_history().with_options({"deletion-vectors.enabled": "true"}).snapshot(Latest())
    with_history().with_options({"deletion-vectors.enabled": "false", "ignore-delete": "true"}).snapshot(Latest())
    with_history(**{"deletion-vectors.modifiable": "true"}).with_options({"deletion-vectors.enabled": "true"}).snapshot(Latest())
    with pytest.raises(ConfigError, match="cannot be taken back"):
        with_history(**{"ignore-delete": "true"}).with_options({"ignore-delete": "false"}).snapshot(Latest())


@pytest.mark.parametrize("option", ["scan.parallelism", "scan.max-splits-per-task", "scan.infer-parallelism", "read.batch-size", "scan.plan-sort-partition"])
def test_options_that_say_how_are_let_through(option: str) -> None:
    assert with_history().with_options({option: "1"}).snapshot(Latest()).version == "5"


def test_options_of_the_table_itself() -> None:
    """A table may say by its own options which state is read; those of the read come first."""
    table = with_history(scan_snapshot_id="2")
    assert table.snapshot(Latest()).version == "2"
    assert table.with_options({"scan.snapshot-id": "3"}).snapshot(Latest()).version == "3"


def test_branches() -> None:
    table = with_history()
    branch = table.view("branch_dev")
    assert branch is not None
    assert branch.snapshot(Latest()).version == "dev@7"
    assert branch.snapshot(AtVersion("1")).version == "dev@1"
    assert branch.snapshot(AtVersion("two", True)).version == "dev@7"
    assert table.with_options({"branch": "dev"}).snapshot(Latest()).version == "dev@7"
    assert table.with_options({"branch": "main"}).snapshot(Latest()).version == "5"
    with pytest.raises(NoSuchVersionError, match='there is no branch "dve"') as refusal:
        table.with_options({"branch": "dve"}).snapshot(Latest())
    assert "dev" in (refusal.value.hint or "")


@pytest.mark.parametrize(
    ("options", "feature"),
    [
        ({"type": "format-table"}, "format-table"),
        ({"type": "object-table"}, "object-table"),
        ({"chain-table.enabled": "true"}, "chain-table"),
        ({"query-auth.enabled": "true"}, "query-auth"),
        ({"postpone.merge-on-read": "true"}, "postpone"),
        ({"fields.m.map.storage-layout": "shared-shredding"}, "map.storage-layout"),
    ],
)
def test_tables_that_would_be_read_in_part(options: dict[str, str], feature: str) -> None:
    table = FORMAT.open(stored(1, options=options), "t", {})
    with pytest.raises(UnsupportedFeatureError, match=feature):
        table.snapshot(Latest())


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"merge-engine": "newest"}, UnsupportedFeatureError, 'merge engine "newest"'),
        ({"sequence.field.sort-order": "up"}, MetadataError, "ascending or descending"),
        ({"deletion-vectors.enabled": "yes"}, MetadataError, "true or false"),
        ({"bucket": "many"}, MetadataError, "whole number"),
        ({"bucket-function.type": "crc"}, UnsupportedFeatureError, 'bucket function "crc"'),
        ({"merge-engine": "aggregation", "fields.v.aggregate-function": "median"}, UnsupportedFeatureError, 'merged by "median"'),
        ({"merge-engine": "aggregation", "fields.v.aggregate-function": "hll_sketch"}, UnsupportedFeatureError, "does not compute"),
        *(
            ({"merge-engine": "aggregation", "fields.v.aggregate-function": f}, MetadataError, f'v is INT and is merged by "{f}"')
            for f in ("bool_and", "rbm32", "rbm64", "collect", "nested_update", "nested_partial_update", "merge_map", "merge_map_with_keytime", "listagg")
        ),
        ({"merge-engine": "partial-update", "fields.x.sequence-group": "v"}, MetadataError, 'names "x"'),
        ({"merge-engine": "partial-update", "fields.v.sequence-group": "k"}, MetadataError, "key column"),
        ({"sequence.field": "x"}, MetadataError, 'names "x"'),
    ],
)
def test_options_that_are_not_followed(options: dict[str, str], error: type[Exception], message: str) -> None:

    content = {**SCHEMA, "fields": [*SCHEMA["fields"], {"id": 1, "name": "v", "type": "INT"}], "primaryKeys": ["k"], "options": options}  # type: ignore[misc]
    schema, given = parse_schema(JsonFile.parse("schema-0", json.dumps(content).encode())), Options(options)

    def follow() -> None:
        _ = (given.merge_engine, given.sequence_ascending, given.deletion_vectors, given.bucket, given.bucket_function)
        check_functions(schema, given)
        merged(schema, given, ("k", "v"))

    with pytest.raises(error, match=message):
        follow()
