"""Changes of hand-made tables: what was recorded, what must be compared, Paimon's own tables of changes, and bounds that mean nothing.

The law that a version and its changes are the next version is tried in tests/properties.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import lakesql
from lakesql.errors import ConfigError, Error, ExpiredVersionError, NoSuchVersionError, SqlError, UnsupportedFeatureError

from .reading import rows_of
from .table_maker import DataFile, TableMaker, _entry

INSERT, BEFORE, AFTER, DELETE = range(4)
COLUMNS = {"k": "INT NOT NULL", "v": "STRING"}


def maker(root: Path, **options: str) -> TableMaker:
    """A table with a key, in one bucket."""
    return TableMaker(root, COLUMNS, ("k",), options={"bucket": "1", **{n.replace("_", "-"): v for n, v in options.items()}})


def write(table: TableMaker, *rows: tuple[int, int, str | None], level: int = 0) -> DataFile:
    """A file of rows, each a kind, a key and a value."""
    return table.write([{"k": k, "v": v} for _, k, v in rows], kinds=[kind for kind, _, _ in rows], level=level)


def commit(table: TableMaker, added: Sequence[DataFile], deleted: Sequence[DataFile] = (), *, log: Sequence[DataFile] = (), kind: str = "APPEND") -> int:
    """A snapshot, perhaps with a changelog."""
    more: dict[str, Any] = {"changelogManifestList": table._list([table._manifest([_entry(0, f) for f in log])])} if log else {}
    return table.commit(added, deleted, kind=kind, **more)


def told(root: Path, text: str) -> list[tuple[Any, ...]]:
    """The rows of a statement, sorted."""
    return sorted((tuple(r.values()) for r in rows_of(root, text)), key=repr)


def merged(root: Path) -> TableMaker:
    """Snapshots: 1 two rows; 2 an update and a delete; 3 a compaction; 4 a row that comes back, tagged."""
    table = maker(root)
    first = write(table, (INSERT, 1, "a"), (INSERT, 2, "b"))
    second = write(table, (AFTER, 1, "a2"), (DELETE, 2, "b"))
    commit(table, [first])
    table.tag("one")
    commit(table, [second])
    commit(table, [write(table, (AFTER, 1, "a2"), level=5)], [first, second], kind="COMPACT")
    commit(table, [write(table, (INSERT, 2, "again"))])
    table.tag("four")
    return table


def test_changes_of_a_merged_table(tmp_path: Path) -> None:
    merged(tmp_path)
    assert told(tmp_path, "SELECT k, v, _change_type, _commit_version FROM t CHANGES FROM VERSION 1") == [
        (1, "a", "insert", 1),
        (1, "a", "update_preimage", 2),
        (1, "a2", "update_postimage", 2),
        (2, "again", "insert", 4),
        (2, "b", "delete", 2),
        (2, "b", "insert", 1),
    ]
    net = "SELECT k, v, _change_type FROM t CHANGES FROM VERSION 'one' EXCLUSIVE TO VERSION 'four' WITH (mode = 'net')"
    images = [(1, "a", "update_preimage"), (1, "a2", "update_postimage"), (2, "again", "update_postimage"), (2, "b", "update_preimage")]
    assert told(tmp_path, net) == images
    upserts = net.replace("'net'", "'upserts'")
    assert told(tmp_path, upserts) == images[1:3]
    assert told(tmp_path, "SELECT k FROM table_changes('t', 3, 3)") == []
    assert told(tmp_path, "SELECT count(*) FROM t CHANGES FROM VERSION 3 EXCLUSIVE TO VERSION 3") == [(0,)]
    instant = "SELECT k, _change_type FROM t CHANGES FROM TIMESTAMP '2023-11-14 22:13:24Z' TO TIMESTAMP '2023-11-14 22:13:30Z'"
    assert told(tmp_path, instant) == [(2, "insert")]


def test_the_audit_log_of_a_state_keeps_kinds_and_deletes(tmp_path: Path) -> None:
    merged(tmp_path)
    assert told(tmp_path, 'SELECT * FROM "t$audit_log" VERSION AS OF 2') == [("+U", 1, "a2"), ("-D", 2, "b")]
    assert told(tmp_path, 'SELECT * FROM "t$audit_log"') == [("+I", 2, "again"), ("+U", 1, "a2")]
    assert told(tmp_path, 'SELECT * FROM "t$binlog" VERSION AS OF 1') == [("+I", [1], ["a"]), ("+I", [2], ["b"])]


def test_increments_between_snapshots_and_tags(tmp_path: Path) -> None:
    merged(tmp_path)
    delta = [("+I", 2, "again"), ("+U", 1, "a2"), ("-D", 2, "b")]
    assert told(tmp_path, "SELECT * FROM \"t$audit_log\" /*+ OPTIONS('incremental-between'='1,4') */") == delta
    assert told(tmp_path, "SELECT * FROM t /*+ OPTIONS('incremental-between'='1,4') */") == [(1, "a2"), (2, "again")]
    assert told(tmp_path, "SELECT * FROM paimon_incremental_query('t', 1, 4) q WHERE q.k = 2") == [(2, "again")]
    assert told(tmp_path, "SELECT * FROM paimon_incremental_query('t$audit_log', 'one', 'four')") == [("+I", 2, "again"), ("+U", 1, "a2")]
    gone = "SELECT * FROM \"t$audit_log\" /*+ OPTIONS('incremental-between'='1,3', 'incremental-between-scan-mode'='diff') */"
    assert told(tmp_path, gone) == [("+U", 1, "a2"), ("-D", 2, "b")]
    times = "paimon_incremental_between_timestamp('t', 1700000001000, 1700000003000)"
    assert told(tmp_path, f"SELECT * FROM {times}") == [(1, "a2")]
    assert told(tmp_path, "SELECT * FROM t /*+ OPTIONS('incremental-between'='0,1') */") == [(1, "a"), (2, "b")]


def test_an_increment_to_an_automatic_tag(tmp_path: Path) -> None:
    table = merged(tmp_path)
    for name, snapshot in (("2026-01-01", 1), ("2026-01-02", 3)):
        table.tag(name, snapshot)
    assert told(tmp_path, "SELECT * FROM paimon_incremental_to_auto_tag('t', '2026-01-02')") == [(1, "a2")]
    assert told(tmp_path, "SELECT * FROM paimon_incremental_to_auto_tag('t', '2026-01-01')") == []
    with pytest.raises(NoSuchVersionError, match="2026-01-03"):
        told(tmp_path, "SELECT * FROM paimon_incremental_to_auto_tag('t', '2026-01-03')")


def recorded(root: Path) -> TableMaker:
    """A table that records what is written: 1 an insert, updated twice in 2; 3 another, of which only the old row is recorded."""
    table = maker(root, changelog_producer="input")
    table.options["table-read.sequence-number.enabled"] = "true"
    table.evolve([(f.name, str(f.type), f.id) for f in table.fields], table.options)
    commit(table, [write(table, (INSERT, 1, "a"))], log=[write(table, (INSERT, 1, "a"))])
    log = table.write([{"k": 1, "v": v} for v in ("a", "b", "b", "c")], kinds=[BEFORE, AFTER, BEFORE, AFTER])
    commit(table, [write(table, (AFTER, 1, "c"))], log=[log])
    commit(table, [write(table, (INSERT, 7, None))], log=[write(table, (BEFORE, 3, "x"), (INSERT, 7, None))])
    return table


def test_recorded_changes_are_given_as_they_were_recorded(tmp_path: Path) -> None:
    recorded(tmp_path)
    text = "SELECT v, _change_type FROM t CHANGES FROM VERSION 2 TO VERSION 2"
    assert told(tmp_path, text) == [("a", "update_preimage"), ("b", "update_postimage"), ("b", "update_preimage"), ("c", "update_postimage")]
    assert told(tmp_path, f"{text} WITH (updates = false)") == [("a", "delete"), ("b", "delete"), ("b", "insert"), ("c", "insert")]
    assert told(tmp_path, 'SELECT count(*) FROM "t$changes"') == [(7,)]


def test_the_binlog_has_both_images_in_one_row(tmp_path: Path) -> None:
    recorded(tmp_path)
    text = "SELECT rowkind, k, v FROM \"t$binlog\" /*+ OPTIONS('incremental-between'='0,3') */"
    assert told(tmp_path, text) == [("+I", [1], ["a"]), ("+I", [7], [None]), ("+U", [1, 1], ["a", "b"]), ("+U", [1, 1], ["b", "c"]), ("-U", [3], ["x"])]


def test_sequence_numbers_where_the_table_asks_for_them(tmp_path: Path) -> None:
    recorded(tmp_path)
    rows = rows_of(tmp_path, 'SELECT * FROM "t$audit_log"')
    assert list(rows[0]) == ["rowkind", "_SEQUENCE_NUMBER", "k", "v"]
    assert all(isinstance(r["_SEQUENCE_NUMBER"], int) for r in rows)


def test_what_several_rows_made_is_an_insert(tmp_path: Path) -> None:
    table = maker(tmp_path, merge_engine="partial-update", **{"partial-update.remove-record-on-delete": "true"})
    commit(table, [write(table, (AFTER, 1, "a"), (AFTER, 2, "b"), (AFTER, 3, "c"))])
    commit(table, [write(table, (AFTER, 1, None), (DELETE, 2, "b"))])
    assert told(tmp_path, 'SELECT rowkind, k FROM "t$audit_log"') == [("+I", 1), ("+U", 3), ("-D", 2)]


def test_a_changelog_outlives_its_snapshot(tmp_path: Path) -> None:
    table = recorded(tmp_path)
    (tmp_path / "changelog").mkdir()
    for number in (1, 2):
        shutil.move(tmp_path / "snapshot" / f"snapshot-{number}", tmp_path / "changelog" / f"changelog-{number}")
    assert told(tmp_path, "SELECT v, _commit_version FROM t CHANGES FROM VERSION 1 TO VERSION 1") == [("a", 1)]
    assert told(tmp_path, 'SELECT count(*) FROM "t$changes"') == [(7,)]
    assert table.snapshot_id == 3
    with pytest.raises(ExpiredVersionError, match="snapshot 1"):
        told(tmp_path, "SELECT * FROM t CHANGES FROM VERSION 2 WITH (mode = 'net')")


def test_an_append_is_told_without_the_state_before_it(tmp_path: Path) -> None:
    table = TableMaker(tmp_path, COLUMNS, options={"bucket": "-1"})
    for number in range(3):
        table.commit([table.write([{"k": number, "v": "x"}])])
    (tmp_path / "snapshot" / "snapshot-1").unlink()
    assert told(tmp_path, 'SELECT k, _commit_version FROM "t$changes"') == [(1, 2), (2, 3)]
    with lakesql.connect(tables={"t": str(tmp_path)}) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT _change_type, count(*) FROM t CHANGES FROM VERSION 2 GROUP BY 1")
        assert cursor.fetchall() == [("insert", 2)]
        [line] = [r[0] for r in cursor.execute("EXPLAIN PRUNING SELECT _change_type FROM t CHANGES FROM VERSION 2 WHERE k = 2").fetchall() if "kept" in r[0]]
        assert "1 kept" in line


BAD: Mapping[str, tuple[str, type[Error], str]] = {
    "unknown end": ("SELECT * FROM t CHANGES FROM VERSION 1 TO VERSION 55", NoSuchVersionError, "snapshot 55 does not exist"),
    "unknown start": ("SELECT * FROM t CHANGES FROM VERSION 9", NoSuchVersionError, "snapshot 9"),
    "reversed": ("SELECT * FROM t CHANGES FROM VERSION 3 TO VERSION 2", NoSuchVersionError, "before it begins"),
    "unknown tag": ("SELECT * FROM t CHANGES FROM VERSION 'oen'", NoSuchVersionError, '"oen"'),
    "future": ("SELECT * FROM t CHANGES FROM TIMESTAMP '2030-01-01'", NoSuchVersionError, "2030-01-01"),
    "past": ("SELECT * FROM t CHANGES FROM VERSION 1 TO TIMESTAMP '2000-01-01'", NoSuchVersionError, "2000-01-01"),
    "column of no key": ("SELECT * FROM t CHANGES FROM VERSION 1 WITH (key = (q))", SqlError, '"q"'),
    "changes of changes": ('SELECT * FROM "t$audit_log" CHANGES FROM VERSION 1', SqlError, "one of changes already"),
    "reversed increment": ("SELECT * FROM paimon_incremental_query('t', 3, 2)", NoSuchVersionError, "older"),
    "increment beyond": ("SELECT * FROM paimon_incremental_query('t', 3, 9)", NoSuchVersionError, "snapshot 9"),
    "increment of words": ("SELECT * FROM paimon_incremental_query('t', 'one', 'fuor')", NoSuchVersionError, "fuor"),
    "one bound": ("SELECT * FROM t /*+ OPTIONS('incremental-between'='3') */", ConfigError, "a comma"),
    "mode": ("SELECT * FROM t /*+ OPTIONS('incremental-between'='1,2', 'incremental-between-scan-mode'='all') */", ConfigError, "'all'"),
    "increment of a state": ("SELECT * FROM t /*+ OPTIONS('incremental-between'='1,2') */ VERSION AS OF 1", ConfigError, "give one"),
    "not a literal": ("SELECT * FROM paimon_incremental_query('t', 1 + 1, 3)", SqlError, ","),
    "too few": ("SELECT * FROM paimon_incremental_query('t', 1)", SqlError, "a table and 2 values"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_ranges_are_named(what: str, tmp_path: Path) -> None:
    merged(tmp_path)
    text, error, words = BAD[what]
    with pytest.raises(error) as refusal:
        rows_of(tmp_path, text)
    assert words in str(refusal.value)


def test_pairs_need_an_identity(tmp_path: Path) -> None:
    table = TableMaker(tmp_path, COLUMNS, options={"bucket": "-1"})
    table.commit([table.write([{"k": 1, "v": "x"}])])
    with pytest.raises(SqlError, match="neither a primary key nor row ids"):
        rows_of(tmp_path, "SELECT * FROM t CHANGES FROM VERSION 1 WITH (updates = true)")


def test_few_changed_keys_of_many_rows(tmp_path: Path) -> None:
    """The rows that a small file is merged with are compared for its keys alone."""
    table = TableMaker(tmp_path, {**COLUMNS, "p": "INT"}, ("k", "p"), ("p",), {"bucket": "1"})
    table.commit([table.write([{"k": k, "v": "x", "p": p} for k in range(100)], level=5) for p in (1, 2)])
    table.commit([table.write([{"k": 50, "v": "y", "p": 1}, {"k": 99, "v": "x", "p": 1}, {"k": 7, "v": None, "p": 1}], kinds=[AFTER, AFTER, DELETE])])
    wanted = [(7, "x", 1, "delete"), (50, "x", 1, "update_preimage"), (50, "y", 1, "update_postimage")]
    assert told(tmp_path, "SELECT k, v, p, _change_type FROM t CHANGES FROM VERSION 2") == sorted(wanted, key=repr)
    assert told(tmp_path, "SELECT _change_type FROM t CHANGES FROM VERSION 2 WHERE k = 7") == [("delete",)]
    assert told(tmp_path, "SELECT count(*) FROM t CHANGES FROM VERSION 2 WHERE p = 2") == [(0,)]
    assert told(tmp_path, "SELECT v FROM t CHANGES FROM VERSION 2 WITH (mode = 'upserts')") == [("y",)]


def test_changes_of_a_branch_are_its_own(tmp_path: Path) -> None:
    table = merged(tmp_path)
    branch = tmp_path / "branch" / "branch-dev"
    for folder in ("schema", "snapshot"):
        shutil.copytree(tmp_path / folder, branch / folder)
    for number in (3, 4):
        (branch / "snapshot" / f"snapshot-{number}").unlink()
    (branch / "snapshot" / "LATEST").write_text("2")
    assert table.snapshot_id == 4
    assert told(tmp_path, "SELECT k, _commit_version FROM \"t$branch_dev\" CHANGES FROM VERSION 1 EXCLUSIVE WHERE _change_type = 'delete'") == [(2, 2)]
    assert told(tmp_path, 'SELECT * FROM "t$branch_dev$audit_log"') == [("+U", 1, "a2"), ("-D", 2, "b")]
    table.options["scan.fallback-branch"] = "dev"
    table.evolve([(f.name, str(f.type), f.id) for f in table.fields], table.options)
    for text in ("SELECT * FROM t CHANGES FROM VERSION 1", 'SELECT * FROM "t$audit_log"'):
        with pytest.raises(UnsupportedFeatureError, match="two branches, main and dev"):
            told(tmp_path, text)
