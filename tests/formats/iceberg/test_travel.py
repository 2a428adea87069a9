"""Which snapshot AS OF means, and which schema it is read with."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakesql.errors import ExpiredVersionError, MissingFileError, NoSuchVersionError
from lakesql.table import Latest

from .reading import opened, read, scanned, time, version, where
from .table_maker import TableMaker


@pytest.fixture
def maker(tmp_path: Path) -> TableMaker:
    """101 with one column; 102 after it was renamed and another added; a branch and a tag on 101; 103 rolled back to 102."""
    made = TableMaker(tmp_path, [("id", "long"), ("old", "string")])
    made.commit([made.data_file({"id": [1], "old": ["a"]})])
    made.refs |= {"audit": {"snapshot-id": 101, "type": "branch"}, "start": {"snapshot-id": 101, "type": "tag"}, "102": {"snapshot-id": 101, "type": "tag"}}
    made.evolve([("id", "long"), {"id": 2, "name": "new", "required": False, "type": "string"}, ("more", "int")])
    made.commit([made.data_file({"id": [2], "new": ["b"], "more": [5]})])
    made.commit([made.data_file({"id": [3], "new": ["c"], "more": [6]})])
    made.current = 102
    made.log.append({"timestamp-ms": made.log[-1]["timestamp-ms"] + 60_000, "snapshot-id": 102})
    made.write()
    return made


def names(maker: TableMaker, what: object) -> list[str]:
    return list(opened(maker.root).snapshot(version(what)).schema.names)


def test_schemas(maker: TableMaker) -> None:
    assert opened(maker.root).snapshot(Latest()).schema.names == ["id", "new", "more"]
    assert names(maker, 101) == ["id", "old"]
    assert names(maker, "start") == ["id", "old"]
    assert names(maker, "audit") == ["id", "new", "more"]
    assert names(maker, "main") == ["id", "new", "more"]


def test_rows_and_predicates_of_an_old_schema(maker: TableMaker) -> None:
    assert read(maker.root, ["id", "old"], where("old", "=", "a"), at=version(101)) == [(1, "a")]
    assert read(maker.root, ["id", "new", "more"], at=version("audit")) == [(1, "a", None)]
    assert len(scanned(maker.root, where("old", "=", "z"), at=version(101)).files) == 0


def test_digits_are_an_id_first_and_a_name_then(maker: TableMaker) -> None:
    assert opened(maker.root).snapshot(version(102)).version == "102"
    maker.refs["7"] = {"snapshot-id": 101, "type": "tag"}
    maker.write()
    assert opened(maker.root).snapshot(version(7)).version == "101"


def test_a_snapshot_that_was_rolled_back_is_still_there(maker: TableMaker) -> None:
    assert len(read(maker.root, ["id"], at=version(103))) == 3
    assert len(read(maker.root, ["id"])) == 2


def test_time_is_what_the_log_says(maker: TableMaker) -> None:
    """2023-11-14 22:13:20 UTC is the start; commits are a minute apart."""
    table = opened(maker.root)
    assert table.snapshot(time("2023-11-14T22:14:20+00:00")).version == "101"
    assert table.snapshot(time("2023-11-14T22:15:30+00:00")).version == "102"
    rolled_back = table.snapshot(time("2023-11-14T22:16:59+00:00"))
    assert rolled_back.version == "103"
    assert "rolled back" in rolled_back.notices[0]
    assert "102" in rolled_back.notices[0]
    assert table.snapshot(time("2100-01-01T00:00:00+00:00")).version == "102"
    assert table.snapshot(time("2100-01-01T00:00:00+00:00")).notices == ()


def test_a_staged_snapshot_is_in_no_time(maker: TableMaker) -> None:
    maker.snapshot(999, maker.manifests, current=False)
    assert opened(maker.root).snapshot(time("2100-01-01T00:00:00+00:00")).version == "102"
    assert opened(maker.root).snapshot(version(999)).version == "999"


def test_the_later_of_two_entries_at_one_instant(maker: TableMaker) -> None:
    maker.log.append({"timestamp-ms": maker.log[-1]["timestamp-ms"], "snapshot-id": 101})
    maker.write()
    assert opened(maker.root).snapshot(time("2100-01-01T00:00:00+00:00")).version == "101"


def test_before_the_log_and_without_one(maker: TableMaker) -> None:
    with pytest.raises(NoSuchVersionError, match=r"2001-01-01.* begins at 2023-11-14 22:14:20"):
        opened(maker.root).snapshot(time("2001-01-01T00:00:00+00:00"))
    maker.log.clear()
    maker.write()
    with pytest.raises(NoSuchVersionError, match="no snapshot log"):
        opened(maker.root).snapshot(time("2024-01-01T00:00:00+00:00"))


def test_expired_snapshots(maker: TableMaker) -> None:
    maker.snapshots = [s for s in maker.snapshots if s["snapshot-id"] != 101]
    maker.refs = {"kept": {"snapshot-id": 103, "type": "tag"}, "lost": {"snapshot-id": 101, "type": "tag"}}
    maker.write()
    with pytest.raises(ExpiredVersionError) as caught:
        opened(maker.root).snapshot(version(101))
    for words in ("snapshot 101 has expired", "nearest after it is 102", "oldest kept is 102", "tags: kept"):
        assert words in str(caught.value)
    with pytest.raises(ExpiredVersionError, match="tag lost is of snapshot 101"):
        opened(maker.root).snapshot(version("lost"))
    with pytest.raises(ExpiredVersionError, match=r"current at 2023-11-14T22:14:30"):
        opened(maker.root).snapshot(time("2023-11-14T22:14:30+00:00"))


def test_versions_that_never_were(maker: TableMaker) -> None:
    with pytest.raises(NoSuchVersionError, match="no such snapshot 12345"):
        opened(maker.root).snapshot(version(12345))
    with pytest.raises(NoSuchVersionError, match=r'"strat".*no such branch or tag') as caught:
        opened(maker.root).snapshot(version("strat"))
    assert 'did you mean "start"' in str(caught.value)


def test_ids_beyond_long_and_below_zero(maker: TableMaker) -> None:
    for odd in (9876543210123456789, -5):
        maker.snapshot(odd, maker.manifests, current=False)
        assert opened(maker.root).snapshot(version(odd)).version == str(odd)


def test_a_manifest_list_that_is_gone(maker: TableMaker) -> None:
    for file in (maker.root / "metadata").glob("snap-101-*"):
        file.unlink()
    with pytest.raises(MissingFileError, match="manifest list of snapshot 101 is gone"):
        read(maker.root, ["id"], at=version(101))
    assert len(read(maker.root, ["id"])) == 2


def test_states_by_name(maker: TableMaker) -> None:
    table = opened(maker.root)
    for name, expected in (("branch_audit", "101"), ("tag_start", "101"), ("snapshot_id_103", "103"), ("at_timestamp_1700000070000", "101")):
        view = table.view(name)
        assert view is not None
        assert view.snapshot(Latest()).version == expected
        assert view.location != table.location
    assert table.view("files") is None
    branch = table.view("branch_audit")
    assert branch is not None
    with pytest.raises(NoSuchVersionError, match="named already"):
        branch.snapshot(version(101))
    assert table.with_options({"snapshot-id": "103"}, "UTC").snapshot(Latest()).version == "103"
