"""Tables as a user reads them: hints on any mention, views, branches, change feeds that are refused, kinds of tables and values of every type."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lakesql
from lakesql.errors import ConfigError, Error, NoSuchVersionError, UnknownTableError, UnsupportedFeatureError

from .reading import rows_of
from .table_maker import TableMaker

KEYED = {"k": "INT NOT NULL", "v": "INT"}


def with_history(tmp_path: Path) -> TableMaker:
    """Three snapshots, a tag of the first, a branch of the second; one row on the top level, newer ones below."""
    maker = TableMaker(tmp_path, KEYED, ["k"])
    maker.commit([maker.write([{"k": 1, "v": 1}], level=5)], watermark=100)
    maker.tag("early")
    maker.commit([maker.write([{"k": 1, "v": 2}, {"k": 2, "v": 2}])], watermark=200)
    branch = tmp_path / "branch" / "branch-dev"
    for folder in ("schema", "snapshot"):
        shutil.copytree(tmp_path / folder, branch / folder)
    maker.commit([maker.write([{"k": 3, "v": 3}])], watermark=-(2**63))
    return maker


STATES = {1: [(1, 1)], 2: [(1, 2), (2, 2)], 3: [(1, 2), (2, 2), (3, 3)]}


def pairs(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return sorted(tuple(r.values()) for r in rows)


# Hints and views -----------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hint", "state"),
    [
        ("'scan.snapshot-id'='2'", 2),
        ("'scan.tag-name' = 'early'", 1),
        ("'scan.timestamp-millis'='1700000001500'", 1),
        ("'scan.timestamp'='2023-11-14 22:13:22'", 2),
        ("'scan.watermark'='100'", 1),
        ("'scan.watermark'='101'", 2),
        ("'scan.version'='early'", 1),
        ("'scan.version'='watermark-150'", 2),
        ("'branch'='dev'", 2),
        ("'branch'='dev', 'scan.snapshot-id'='1'", 1),
        ("'scan.mode'='latest-full'", 3),
        ("'read.batch-size'='1'", 3),
    ],
)
def test_hints(hint: str, state: int, tmp_path: Path) -> None:
    with_history(tmp_path)
    assert pairs(rows_of(tmp_path, f"SELECT * FROM t /*+ OPTIONS({hint}) */")) == STATES[state]
    assert rows_of(tmp_path, f"SELECT count(*) AS n FROM t /*+ OPTIONS({hint}) */ AS x WHERE x.k > 0") == [{"n": len(STATES[state])}]


def test_a_hint_is_of_its_mention_alone(tmp_path: Path) -> None:
    with_history(tmp_path)
    sql = "SELECT a.k, a.v AS was, b.v AS is FROM t /*+ OPTIONS('scan.snapshot-id'='1') */ a JOIN t b ON a.k = b.k"
    assert rows_of(tmp_path, sql) == [{"k": 1, "was": 1, "is": 2}]
    sql = "WITH old AS (SELECT * FROM t /*+ OPTIONS('scan.tag-name'='early') */) SELECT (SELECT count(*) FROM old) AS was, count(*) AS is FROM t"
    assert rows_of(tmp_path, sql) == [{"was": 1, "is": 3}]


@pytest.mark.parametrize(
    ("hint", "error"),
    [
        ("'scan.snapshot-id'='9'", NoSuchVersionError),
        ("'scan.tag-name'='late'", NoSuchVersionError),
        ("'scan.watermark'='201'", NoSuchVersionError),
        ("'scan.timestamp-millis'='1'", NoSuchVersionError),
        ("'scan.snapshot-id'='1', 'scan.tag-name'='early'", ConfigError),
        ("'scan.snapshot_id'='1'", ConfigError),
        ("'bucket'='2'", ConfigError),
        ("'branch'='nope'", NoSuchVersionError),
        ("'scan.file-creation-time-millis'='1'", UnsupportedFeatureError),
    ],
)
def test_hints_that_are_refused(hint: str, error: type[Error], tmp_path: Path) -> None:
    with_history(tmp_path)
    with pytest.raises(error):
        rows_of(tmp_path, f"SELECT * FROM t /*+ OPTIONS({hint}) */")


@pytest.mark.parametrize(
    ("mention", "state"),
    [
        ('"t$branch_dev"', 2),
        ('"t$branch_dev" VERSION AS OF 1', 1),
        ('"t$branch_main"', 3),
        ("t VERSION AS OF 'dev'", 2),
        ("t VERSION AS OF 'early'", 1),
        ("t@v2", 2),
        ("t TIMESTAMP AS OF '2023-11-14 22:13:22'", 2),
        ("t VERSION AS OF 'watermark-150'", 2),
        ('"t$ro"', 1),
        ('"t$RO"', 1),
        ('"t$ro" VERSION AS OF 2', 1),
        ("\"t$ro\" /*+ OPTIONS('scan.snapshot-id'='1') */", 1),
    ],
)
def test_mentions(mention: str, state: int, tmp_path: Path) -> None:
    with_history(tmp_path)
    assert pairs(rows_of(tmp_path, f"SELECT * FROM {mention}")) == STATES[state]


def test_metadata_of_a_branch_and_of_a_version(tmp_path: Path) -> None:
    with_history(tmp_path)
    count = "SELECT count(*) AS n FROM"
    assert rows_of(tmp_path, f'{count} "t$branch_dev$snapshots"') == [{"n": 2}]
    assert rows_of(tmp_path, f'{count} "t$branch_dev$files"') == [{"n": 2}]
    assert rows_of(tmp_path, f"{count} \"t$files\" VERSION AS OF 'early'") == [{"n": 1}]


def test_a_name_that_is_no_metadata_table(tmp_path: Path) -> None:
    with_history(tmp_path)
    with pytest.raises(UnknownTableError) as refusal:
        rows_of(tmp_path, 'SELECT * FROM "t$file"')
    assert "files" in (refusal.value.hint or "")


def test_a_warehouse(tmp_path: Path) -> None:
    """Its databases are folders `x.db`."""
    with_history(tmp_path / "shop.db" / "orders")
    (tmp_path / "lakesql.toml").write_text(f'[catalogs.lake]\ntype = "directory"\npath = "{tmp_path}"\n')
    with lakesql.connect(config=tmp_path / "lakesql.toml") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM lake.shop.orders VERSION AS OF 2")
        assert cursor.fetchall() == [(2,)]


# Kinds of tables -----------------------------------------------------------------------------------------------------------------------------------


def test_files_without_copies_of_the_key(tmp_path: Path) -> None:
    """Thin mode leaves `_KEY_` columns out."""
    maker = TableMaker(tmp_path, KEYED, ["k"], options={"bucket": "1", "data-file.thin-mode": "true"})
    maker.commit([maker.write([{"k": 1, "v": 1}, {"k": 2, "v": 1}], level=5), maker.write([{"k": 2, "v": 2}])])
    for file in (tmp_path / "bucket-0").iterdir():
        pq.write_table(pq.read_table(file).drop_columns(["_KEY_k"]), file)
    assert pairs(rows_of(tmp_path)) == [(1, 1), (2, 2)]


def test_rows_of_a_later_snapshot_are_newer_whatever_their_writer_says(tmp_path: Path) -> None:
    """`sequence.snapshot-ordering`: the number of a row that was appended is its snapshot's, which stands in its file's entry."""
    for ordered, wanted in (("true", [(1, 2)]), ("false", [(1, 1)])):
        maker = TableMaker(tmp_path / ordered, KEYED, ["k"], options={"bucket": "1", "sequence.snapshot-ordering": ordered})
        numbers = {"true": (1, 2), "false": (90, 10)}[ordered]
        for row, (value, own) in enumerate(((1, 90), (2, 10))):
            number = {"_MIN_SEQUENCE_NUMBER": numbers[row], "_MAX_SEQUENCE_NUMBER": numbers[row]}
            maker.commit([maker.write([{"k": 1, "v": value}], sequence=[own], meta=number)])
        assert pairs(rows_of(tmp_path / ordered)) == wanted


@pytest.mark.parametrize("bucket", ["-1", "-2", "2"])
def test_keys_across_partitions_and_buckets_of_every_kind(bucket: str, tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, {"p": "STRING", **KEYED}, ["k"], ["p"], {"bucket": bucket})
    files = [maker.write([{"p": p, "k": k, "v": k}], bucket=b, total_buckets=2 if bucket == "2" else -1) for p, k, b in (("x", 1, 0), ("y", 2, 1), ("y", 3, 0))]
    maker.commit(files)
    assert pairs(rows_of(tmp_path, "SELECT k, v FROM t")) == [(1, 1), (2, 2), (3, 3)]


VALUES: dict[str, Any] = {
    "BOOLEAN": True,
    "TINYINT": -7,
    "SMALLINT": 300,
    "INT": 70_000,
    "BIGINT": 2**40,
    "FLOAT": 1.5,
    "DOUBLE": -2.25,
    "DECIMAL(5, 2)": Decimal("12.34"),
    "DECIMAL(38, 10)": Decimal("1234567890123456789.0123456789"),
    "CHAR(3)": "abc",
    "STRING": "é",
    "BYTES": b"\0\1",
    "DATE": dt.date(2024, 2, 29),
    "TIME(0)": dt.time(1, 2, 3),
    "TIME(3)": dt.time(1, 2, 3, 4000),
    "TIMESTAMP(0)": dt.datetime(2024, 1, 1, 1, 2, 3),
    "TIMESTAMP(3)": dt.datetime(2024, 1, 1, 1, 2, 3, 4000),
    "TIMESTAMP(6)": dt.datetime(1969, 12, 31, 23, 59, 59, 999_999),
    "TIMESTAMP_LTZ(3)": dt.datetime(2024, 1, 1, 1, 2, 3, 4000, dt.UTC),
    "TIMESTAMP(6) WITH LOCAL TIME ZONE": dt.datetime(2024, 1, 1, 1, 2, 3, 4, dt.UTC),
}
NESTED: dict[str, tuple[Any, Any]] = {
    "a": ({"type": "ARRAY", "element": "INT"}, [1, None]),
    "m": ({"type": "MAP", "key": "STRING", "value": "INT"}, [("x", 1)]),
    "u": ({"type": "MULTISET", "element": "STRING"}, [("x", 2)]),
    "r": ({"type": "ROW", "fields": [{"id": 50, "name": "x", "type": "DATE"}]}, {"x": dt.date(2024, 1, 1)}),
}


@pytest.mark.parametrize("keyed", [True, False])
def test_values_of_every_type(keyed: bool, tmp_path: Path) -> None:
    """As they are, null, found by a filter, and merged."""
    names = {f"c{i}": t for i, t in enumerate(VALUES)}
    columns = {"k": "INT NOT NULL", **names, **{n: t for n, (t, _) in NESTED.items()}}
    maker = TableMaker(tmp_path, columns, ["k"] if keyed else (), options={"bucket": "1" if keyed else "-1"})
    full = {"k": 1, **{n: VALUES[t] for n, t in names.items()}, **{n: v for n, (_, v) in NESTED.items()}}
    empty = dict.fromkeys(columns) | {"k": 2}
    if keyed:
        maker.commit([maker.write([{"k": 1}, {"k": 2}], level=5), maker.write([full])])
    else:
        maker.commit([maker.write([full, {"k": 2}])])
    assert rows_of(tmp_path, "SELECT * FROM t ORDER BY k") == [full, empty]
    for name in names:
        assert rows_of(tmp_path, f"SELECT k FROM t WHERE {name} IS NOT NULL") == [{"k": 1}]
        assert rows_of(tmp_path, f"SELECT a.k FROM t a JOIN t b ON a.{name} = b.{name} WHERE a.k = 1") == [{"k": 1}]


NUMBER_5 = {"metadata": b"\x01\0\0", "value": b"\x0c\x05"}
TEXT_HI = {"metadata": b"\x01\0\0", "value": b"\x09hi"}


@pytest.mark.parametrize("engine", ["append", "deduplicate", "partial-update", "aggregation"])
def test_variants_are_json(engine: str, tmp_path: Path) -> None:
    """Files hold two binary fields; rows hold text, merged or not."""
    keyed = engine != "append"
    options = {"bucket": "1", "merge-engine": engine} if keyed else {"bucket": "-1"}
    maker = TableMaker(tmp_path, {"k": "INT NOT NULL", "v": "VARIANT"}, ["k"] if keyed else (), options=options)
    one = maker.write([{"k": 1}, {"k": 2}], level=5 if keyed else 0, stats=False)
    two = maker.write([{"k": 2}, {"k": 3}] if keyed else [{"k": 3}], stats=False)
    type_ = pa.struct([("value", pa.binary()), ("metadata", pa.binary())])
    for file, values in ((one, [NUMBER_5, NUMBER_5]), (two, [TEXT_HI, None] if keyed else [None])):
        path = tmp_path / "bucket-0" / file.name
        table = pq.read_table(path)
        pq.write_table(table.set_column(table.column_names.index("v"), "v", pa.array(values, type_)), path)
    maker.commit([one, two])
    assert pairs(rows_of(tmp_path)) == [(1, "5"), (2, '"hi"' if keyed else "5"), (3, None)]
    assert rows_of(tmp_path, "SELECT k FROM t WHERE v = '5' ORDER BY k") == ([{"k": 1}] if keyed else [{"k": 1}, {"k": 2}])


# Bad input -----------------------------------------------------------------------------------------------------------------------------------------


def changed(tmp_path: Path, file: str, **changes: Any) -> None:
    """A JSON file with other values."""
    path = tmp_path / file
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        ("schema/schema-0", {"version": 4}, "version 4"),
        ("snapshot/snapshot-3", {"version": 4}, "version 4"),
        ("schema/schema-0", {"options": {"bucket": "1", "merge-engine": "dedupe"}}, 'merge engine "dedupe"'),
        ("schema/schema-0", {"options": {"bucket": "1", "merge-engine": "aggregation", "fields.v.aggregate-function": "summ"}}, 'merged by "summ"'),
        ("schema/schema-0", {"options": {"bucket": "1", "merge-engine": "aggregation", "fields.v.aggregate-function": "rbm64"}}, "not for such values"),
        ("schema/schema-0", {"fields": [{"id": 0, "name": "k", "type": "GEOMETRY"}]}, "GEOMETRY"),
    ],
)
def test_what_is_not_known_is_refused_by_name(file: str, changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with_history(tmp_path)
    changed(tmp_path, file, **changes)
    with pytest.raises(Error, match=message):
        rows_of(tmp_path)


def test_a_snapshot_whose_schema_is_gone(tmp_path: Path) -> None:
    """As it is now the table is read by its newest schema; as it was, by one that is not there."""
    with_history(tmp_path)
    changed(tmp_path, "snapshot/snapshot-2", schemaId=7)
    assert pairs(rows_of(tmp_path)) == STATES[3]
    with pytest.raises(Error, match=r"schema.7"):
        rows_of(tmp_path, "SELECT * FROM t VERSION AS OF 2")


@pytest.mark.parametrize("sql", ["SELECT * FROM t", "SELECT count(v) AS n FROM t WHERE k > 0", "SELECT max(v) AS v FROM t"])
def test_data_files_cut_short_give_no_rows_at_all(sql: str, tmp_path: Path) -> None:
    with_history(tmp_path)
    file = max((tmp_path / "bucket-0").iterdir(), key=lambda p: p.stat().st_mtime_ns)
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(Error):
        rows_of(tmp_path, sql)
