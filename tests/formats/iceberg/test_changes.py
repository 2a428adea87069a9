"""Changes between snapshots: a snapshot and the changes after it are the later snapshot, with every kind of delete; ranges and what cannot be answered."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from properties.test_changes_properties import rows_of
from properties.test_rows_same_with_pruning import connections

import lakesql
from lakesql import errors
from lakesql.changes import DELETE, INSERT, POSTIMAGE, PREIMAGE

from .random_tables import Spec, specs, write
from .table_maker import TableMaker

TABLES = 4
OPTIONS = ("", "WITH (updates = false)", "WITH (key = (rid))", "WITH (mode = 'net')", "WITH (mode = 'net', key = (rid))")


def test_a_snapshot_and_its_changes_are_the_next_one(tmp_path: Path) -> None:
    numbers, seen = itertools.count(), Counter[str]()

    @settings(max_examples=TABLES, derandomize=True, phases=[Phase.generate], deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(specs(partitioned=True, deletes=True, damaged=False))
    def law(spec: Spec) -> None:
        place = tmp_path / str(next(numbers))
        write(spec, place)
        with connections(place) as both:
            snapshots = ids(both[0])
            names = ", ".join(spec.schema.names)
            turn = itertools.cycle(OPTIONS)
            for (x, a), (y, b) in itertools.combinations(enumerate(snapshots), 2):
                for options in OPTIONS if y == x + 1 else (next(turn),):
                    found = [feed(c, names, f"CHANGES FROM VERSION {a} EXCLUSIVE TO VERSION {b} {options}") for c in both]
                    told = f"{spec}\n{a} to {b} {options}"
                    assert found[0] == found[1], told
                    before, after = (Counter(rows_of(both[1].execute(f"SELECT {names} FROM t VERSION AS OF {v}").fetch_arrow_table())) for v in (a, b))
                    taken = Counter({row: n for (word, row), n in found[0].items() if word in (DELETE, PREIMAGE)})
                    added = Counter({row: n for (word, row), n in found[0].items() if word in (INSERT, POSTIMAGE)})
                    assert before + added == after + taken, told
                    assert "net" not in options or (added, taken) == (after - before, before - after), told
                    seen.update(word for word, _ in found[0])
                    filtered = Counter({k: n for k, n in found[0].items() if int(k[1][0]) < 3})
                    for connection in both:
                        assert feed(connection, names, f"CHANGES FROM VERSION {a} EXCLUSIVE TO VERSION {b} {options} WHERE rid < 3") == filtered, told

    law()
    assert {INSERT, DELETE} <= seen.keys()


def feed(connection: Any, names: str, clause: str) -> Counter[Any]:
    """(change type, row) and how often."""
    return Counter((row[0], row[1:]) for row in rows_of(connection.execute(f"SELECT _change_type, {names} FROM t {clause}").fetch_arrow_table()))


def ids(connection: Any) -> list[int]:
    """The ids of the table's snapshots, oldest first."""
    found = connection.execute('SELECT snapshot_id FROM "t$snapshots" ORDER BY committed_at, snapshot_id').fetchall()
    return [row[0] for row in found]


@pytest.fixture
def table(tmp_path: Path) -> TableMaker:
    """Snapshots of one row each, ids in a column `id`."""
    maker = TableMaker(tmp_path / "t", [("id", "long")])
    for n in range(3):
        maker.commit([maker.data_file({"id": [n]})])
    maker.write()
    return maker


@pytest.fixture
def connection(table: TableMaker, tmp_path: Path) -> Iterator[Any]:
    with lakesql.connect(tables={"t": str(tmp_path / "t")}) as opened:
        yield opened


def test_ranges(connection: Any) -> None:
    first, second, third = ids(connection)
    for clause, wanted in (
        (f"CHANGES FROM VERSION {first}", [0, 1, 2]),
        (f"CHANGES FROM VERSION {first} EXCLUSIVE TO VERSION {second}", [1]),
        (f"CHANGES FROM VERSION {second} TO VERSION {third} EXCLUSIVE", [1]),
        (f"CHANGES FROM VERSION {third} EXCLUSIVE", []),
        ("CHANGES FROM TIMESTAMP '1970-01-01'", [0, 1, 2]),
    ):
        cursor = connection.execute(f"SELECT id FROM t {clause} ORDER BY 1")
        assert [r[0] for r in cursor.fetchall()] == wanted, clause
    assert connection.execute('SELECT count(*) FROM "t$changes"').fetchone() == (3,)
    assert connection.execute(f"SELECT id FROM t CHANGES FROM VERSION {first} WHERE _commit_version = {second}").fetchall() == [(1,)]


def test_ranges_that_cannot_be_answered(connection: Any) -> None:
    first, _, third = ids(connection)
    with pytest.raises(errors.NoSuchVersionError, match="is not an ancestor"):
        connection.execute(f"SELECT * FROM t CHANGES FROM VERSION {third} TO VERSION {first}")
    with pytest.raises(errors.NoSuchVersionError, match="no such snapshot 77"):
        connection.execute("SELECT * FROM t CHANGES FROM VERSION 77")
    with pytest.raises(errors.NoSuchVersionError, match="the last snapshot"):
        connection.execute("SELECT * FROM t CHANGES FROM TIMESTAMP '2999-01-01'")
    with pytest.raises(errors.NoSuchVersionError, match="no changes up to"):
        connection.execute(f"SELECT * FROM t CHANGES FROM VERSION {first} TO TIMESTAMP '1969-01-01'")


def test_changes_that_lead_to_a_branch(table: TableMaker, connection: Any) -> None:
    first, second, _ = ids(connection)
    table.refs["side"] = {"type": "branch", "snapshot-id": second}
    table.write()
    assert connection.execute(f'SELECT id FROM "t$branch_side" CHANGES FROM VERSION {first} EXCLUSIVE').fetchall() == [(1,)]
    assert connection.execute("SELECT count(*) FROM t CHANGES FROM VERSION ? TO VERSION 'side'", [str(first)]).fetchone() == (2,)


def test_of_rows_that_went_upserts_show_none(table: TableMaker, connection: Any) -> None:
    gone = table.commit(keep=False, operation="delete")
    table.write()
    for mode, rows in (("raw", 3), ("net", 3), ("upserts", 0)):
        assert connection.execute(f"SELECT count(*) FROM t CHANGES FROM VERSION {gone} WITH (mode = '{mode}')").fetchone() == (rows,)


def test_pruning_of_a_feed(connection: Any) -> None:
    cursor = connection.execute('SELECT id FROM "t$changes" WHERE id = 2')
    assert cursor.fetchall() == [(2,)]
    assert (cursor.scan_stats.files_kept, cursor.scan_stats.files_total) == (1, 3)
    plan = connection.execute('EXPLAIN PRUNING SELECT id FROM "t$changes" WHERE id = 2').fetch_arrow_table()[0].to_pylist()
    assert any("id = 2 against id in [0, 0]" in line for line in plan)
