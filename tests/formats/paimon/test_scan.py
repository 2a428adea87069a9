"""Which files a scan keeps: identities, statistics of every layout, partitions, buckets, levels, and what may be left out where rows are merged."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lakesql.predicate import Column, Compare, In, IsNull, Op, Predicate
from lakesql.table import At, AtVersion, FileSet, Latest, ScanRequest

from .reading import rows_of, table_at
from .table_maker import DataFile, TableMaker

LATEST = Latest()


def scanned(maker: TableMaker, *predicates: Predicate, at: At = LATEST, prune: bool = True, options: dict[str, str] | None = None) -> FileSet:
    """A scan of the table for all its columns."""
    snapshot = table_at(maker.root).with_options(options or {}).snapshot(at)
    return snapshot.scan(ScanRequest(tuple(snapshot.schema.names), predicates, prune))


def kept(maker: TableMaker, *predicates: Predicate, at: At = LATEST, prune: bool = True) -> list[str]:
    """The names of the files it keeps, sorted."""
    return sorted(Path(p).name for p in scanned(maker, *predicates, at=at, prune=prune).files["path"].to_pylist())


def names(*files: DataFile) -> list[str]:
    return sorted(f.name for f in files)


def compare(name: str, op: Op, value: Any, type_: pa.DataType | None = None) -> Compare:
    return Compare(Column((name,)), op, pa.scalar(value, type_))


def equals(name: str, value: Any) -> Compare:
    return compare(name, Op.EQ, value)


def appending(tmp_path: Path, columns: dict[str, Any], **options: str) -> TableMaker:
    return TableMaker(tmp_path, columns, options={"bucket": "-1", **options})


# Live files ----------------------------------------------------------------------------------------------------------------------------------------


def keyed(tmp_path: Path, columns: dict[str, Any] | None = None, **options: str) -> TableMaker:
    return TableMaker(
        tmp_path, columns or {"k": "INT NOT NULL", "v": "INT"}, ["k"], options={"bucket": "1", **{k.replace("_", "-"): v for k, v in options.items()}}
    )


def test_a_file_that_moves_up_keeps_its_name(tmp_path: Path) -> None:
    """It is deleted at one level and added at another; told by its name alone, it would be gone."""
    maker = keyed(tmp_path)
    file = maker.write([{"k": 1, "v": 10}])
    maker.commit([file])
    maker.commit([file.at_level(5)], [file], kind="COMPACT")
    assert kept(maker) == [file.name]
    maker.commit([], [file.at_level(5)])
    assert kept(maker) == []
    assert kept(maker, at=AtVersion("2")) == [file.name]


def test_one_name_in_two_partitions(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, {"p": "STRING", "k": "INT"}, partition_keys=["p"], options={"bucket": "-1"})
    one = maker.write([{"p": "a", "k": 1}])
    two = maker.write([{"p": "b", "k": 2}], meta={"_FILE_NAME": one.name})
    (tmp_path / "p=b" / "bucket-0").rename(tmp_path / "p=b" / "moved")
    (tmp_path / "p=b" / "bucket-0").mkdir()
    next((tmp_path / "p=b" / "moved").iterdir()).rename(tmp_path / "p=b" / "bucket-0" / one.name)
    maker.commit([one, two])
    maker.commit([], [one])
    assert rows_of(tmp_path) == [{"p": "b", "k": 2}]


def test_what_else_tells_files_apart(tmp_path: Path) -> None:
    """Index files beside a file, an index within its entry, a place of its own."""
    maker = appending(tmp_path, {"k": "INT"})
    file = maker.write([{"k": 1}])
    maker.commit([file])
    for change in ({"_EXTRA_FILES": ["x.index"]}, {"_EMBEDDED_FILE_INDEX": b"x"}, {"_EXTERNAL_PATH": "file:///x"}, {"_LEVEL": 1}):
        maker.commit([], [file.changed(change)])
    assert kept(maker) == [file.name]


def test_deleted_entries_may_have_no_statistics(tmp_path: Path) -> None:
    """They count all the same, whatever the predicates are."""
    maker = appending(tmp_path, {"k": "INT"})
    file, other = maker.write([{"k": 1}]), maker.write([{"k": 1}])
    maker.commit([file, other])
    nothing = {"_MIN_VALUES": b"", "_MAX_VALUES": b"", "_NULL_COUNTS": None}
    maker.commit([], [file.changed({"_VALUE_STATS": nothing})])
    assert kept(maker, equals("k", 1)) == [other.name]


# Statistics ----------------------------------------------------------------------------------------------------------------------------------------


def test_statistics_of_all_columns_of_none_and_of_some(tmp_path: Path) -> None:
    """A missing list means all columns, an empty one none."""
    maker = appending(tmp_path, {"a": "INT", "b": "INT", "c": "STRING"})
    row = {"a": 1, "b": 2, "c": "x"}
    every, none = maker.write([row]), maker.write([row], stats=False)
    bounds = maker._bounds([row], [maker.field("c"), maker.field("a")])
    some = maker.write([row], meta={"_VALUE_STATS": bounds, "_VALUE_STATS_COLS": ["c", "a"]})
    maker.commit([every, none, some])
    assert kept(maker, equals("a", 1)) == names(every, none, some)
    assert kept(maker, equals("a", 9)) == names(none)
    assert kept(maker, equals("b", 9)) == names(none, some)
    assert kept(maker, equals("c", "y")) == names(none)
    assert kept(maker, equals("a", 9), prune=False) == names(every, none, some)


def test_nulls(tmp_path: Path) -> None:
    maker = appending(tmp_path, {"a": "INT"})
    nulls, some, full = maker.write([{"a": None}]), maker.write([{"a": None}, {"a": 3}]), maker.write([{"a": 3}])
    unknown = maker.write([{"a": 3}], meta={"_VALUE_STATS": {**full.meta["_VALUE_STATS"], "_NULL_COUNTS": None}})
    maker.commit([nulls, some, full, unknown])
    column = Column(("a",))
    assert kept(maker, IsNull(column)) == names(nulls, some, unknown)
    assert kept(maker, IsNull(column, True)) == names(some, full, unknown)
    assert kept(maker, equals("a", 3)) == names(some, full, unknown)
    assert kept(maker, compare("a", Op.NE, 3)) == []
    assert kept(maker, In(column, pa.array([1, 2]))) == []
    assert kept(maker, In(column, pa.array([1, 3]))) == names(some, full, unknown)


def test_bounds_without_values_are_not_nulls(tmp_path: Path) -> None:
    """A writer leaves them out where it cannot cut a long text; null counts say that there are values."""
    maker = appending(tmp_path, {"c": "STRING"})
    file = maker.write([{"c": "\U0010ffff" * 20}])
    nothing = maker._bounds([{"c": None}], maker.fields)
    file = file.changed({"_VALUE_STATS": {**nothing, "_NULL_COUNTS": [0]}})
    maker.commit([file])
    assert kept(maker, equals("c", "a")) == [file.name]


def test_cut_texts(tmp_path: Path) -> None:
    """Bounds of 16 characters, the upper one made higher."""
    maker = appending(tmp_path, {"c": "STRING"})
    file = maker.write([{"c": "a" * 20}, {"c": "b" * 20}])
    bounds = maker._bounds([{"c": "a" * 16}, {"c": "b" * 15 + "c"}], maker.fields)
    file = file.changed({"_VALUE_STATS": bounds})
    maker.commit([file])
    for value, there in (("a" * 20, True), ("b" * 20, True), ("a" * 15, False), ("b" * 15 + "c", True), ("c", False)):
        assert kept(maker, equals("c", value)) == ([file.name] if there else [])
    assert kept(maker, compare("c", Op.NE, "a" * 16)) == [file.name]


def test_not_a_number_is_in_no_bound(tmp_path: Path) -> None:
    maker = appending(tmp_path, {"x": "DOUBLE"})
    nan, mixed = maker.write([{"x": float("nan")}]), maker.write([{"x": 1.0}, {"x": float("nan")}])
    strange = maker._bounds([{"x": float("inf")}, {"x": float("-inf")}], maker.fields)
    nan = nan.changed({"_VALUE_STATS": {**strange, "_NULL_COUNTS": [0]}})
    maker.commit([nan, mixed])
    assert len(rows_of(tmp_path, "SELECT x FROM t WHERE x > 5")) == 2
    assert len(rows_of(tmp_path, "SELECT x FROM t WHERE x <> 1.0")) == 2
    assert rows_of(tmp_path, "SELECT x FROM t WHERE x < 5") == [{"x": 1.0}]


def test_zeros_of_both_signs(tmp_path: Path) -> None:
    maker = appending(tmp_path, {"x": "DOUBLE"})
    maker.commit([maker.write([{"x": -0.0}]), maker.write([{"x": 0.0}])])
    wanted = len([x for x in (-0.0, 0.0) if x == 0.0])
    assert len(rows_of(tmp_path, "SELECT x FROM t WHERE x = 0.0")) in (1, wanted)
    assert len(rows_of(tmp_path, "SELECT x FROM t WHERE x <= 0.0")) == wanted


def test_blanks_at_the_end_of_char(tmp_path: Path) -> None:
    """Some files keep them, so neither spelling of a bound proves anything about the other."""
    maker = appending(tmp_path, {"c": "CHAR(4)"})
    file = maker.write([{"c": "ab"}])
    padded = maker._bounds([{"c": "ab  "}], maker.fields)
    file = file.changed({"_VALUE_STATS": padded})
    maker.commit([file])
    assert kept(maker, equals("c", "ab")) == [file.name]
    assert rows_of(tmp_path, "SELECT c FROM t WHERE c = 'ab'") == [{"c": "ab"}]


# Statistics of older schemas -----------------------------------------------------------------------------------------------------------------------


def test_columns_are_found_by_id(tmp_path: Path) -> None:
    maker = appending(tmp_path, {"a": "INT", "b": "INT"})
    old = maker.write([{"a": 1, "b": 2}])
    maker.commit([old])
    maker.evolve([("b", "INT", 0), ("a", "INT", 1)])
    new = maker.write([{"b": 7, "a": 8}])
    maker.commit([new])
    assert kept(maker, equals("b", 1)) == [old.name]
    assert kept(maker, equals("b", 2)) == []
    assert kept(maker, equals("a", 8)) == [new.name]
    assert rows_of(tmp_path, "SELECT a, b FROM t WHERE a = 2") == [{"a": 2, "b": 1}]
    assert rows_of(tmp_path, "SELECT a, b FROM t VERSION AS OF 1 WHERE a = 1") == [{"a": 1, "b": 2}]


def test_a_column_that_files_do_not_have_is_null(tmp_path: Path) -> None:
    """Also one that was dropped and added again under its name."""
    maker = appending(tmp_path, {"a": "INT", "b": "INT"})
    old = maker.write([{"a": 1, "b": 2}])
    maker.commit([old])
    maker.evolve([("a", "INT", 0), ("b", "INT", None), ("c", "STRING", None)])
    for name, value in (("b", 2), ("c", "x")):
        assert kept(maker, equals(name, value)) == []
        assert kept(maker, IsNull(Column((name,)))) == [old.name]
    assert rows_of(tmp_path) == [{"a": 1, "b": None, "c": None}]
    assert rows_of(tmp_path, "SELECT * FROM t WHERE b IS NULL") == [{"a": 1, "b": None, "c": None}]


def test_bounds_of_another_type(tmp_path: Path) -> None:
    """Integers made wider keep theirs. Others say nothing: a wide integer made narrow wraps around."""
    maker = appending(tmp_path, {"a": "INT", "b": "BIGINT", "c": "INT"})
    file = maker.write([{"a": 1, "b": 2**32 + 5, "c": 7}])
    maker.commit([file])
    maker.evolve([("a", "BIGINT", 0), ("b", "INT", 1), ("c", "STRING", 2)])
    assert kept(maker, compare("a", Op.EQ, 2, pa.int64())) == []
    assert kept(maker, compare("a", Op.EQ, 1, pa.int64())) == [file.name]
    assert kept(maker, equals("b", 5)) == [file.name]
    assert kept(maker, equals("c", "7")) == [file.name]
    assert rows_of(tmp_path, "SELECT * FROM t WHERE b = 5 AND c = '7'") == [{"a": 1, "b": 5, "c": "7"}]


# Partitions ----------------------------------------------------------------------------------------------------------------------------------------


def partitioned(tmp_path: Path, type_: str, *values: Any) -> tuple[TableMaker, list[DataFile]]:
    maker = TableMaker(tmp_path, {"p": type_, "k": "INT"}, partition_keys=["p"], options={"bucket": "-1"})
    spelled = {None: "__DEFAULT_PARTITION__", "": "__DEFAULT_PARTITION__", " ": "__DEFAULT_PARTITION__", dt.date(2024, 1, 1): "19723", True: "true"}
    maker._folder = lambda row, bucket: tmp_path / f"p={spelled.get(row['p'], row['p'])}" / f"bucket-{bucket}"  # type: ignore[method-assign]
    files = [maker.write([{"p": v, "k": n}]) for n, v in enumerate(values)]
    maker.commit(files)
    return maker, files


def test_null_and_blank_partitions_share_a_folder(tmp_path: Path) -> None:
    maker, (null, empty, blank, text) = partitioned(tmp_path, "STRING", None, "", " ", "x")
    assert kept(maker, IsNull(Column(("p",)))) == [null.name]
    assert kept(maker, equals("p", "")) == [empty.name]
    assert kept(maker, equals("p", " ")) == [blank.name]
    assert kept(maker, compare("p", Op.NE, "x")) == names(empty, blank)
    assert rows_of(tmp_path, "SELECT p, k FROM t ORDER BY k") == [{"p": p, "k": k} for k, p in enumerate((None, "", " ", "x"))]
    assert text.name not in kept(maker, In(Column(("p",)), pa.array(["", " "])))


def test_dates_are_numbers_in_paths(tmp_path: Path) -> None:
    maker, _ = partitioned(tmp_path, "DATE", dt.date(2024, 1, 1))
    assert rows_of(tmp_path, "SELECT p FROM t WHERE p = DATE '2024-01-01'") == [{"p": dt.date(2024, 1, 1)}]
    assert kept(maker, compare("p", Op.GT, dt.date(2024, 1, 1))) == []


def test_partition_columns_need_not_be_in_files(tmp_path: Path) -> None:
    """Files that came from Hive lack them; their values are those of the manifest."""
    import pyarrow.parquet as pq

    _, [file] = partitioned(tmp_path, "STRING", "x")
    path = tmp_path / "p=x" / "bucket-0" / file.name
    pq.write_table(pq.read_table(path, partitioning=None).drop_columns(["p"]), path)
    assert rows_of(tmp_path) == [{"p": "x", "k": 0}]


def test_manifests_of_other_partitions_stay_unread(tmp_path: Path) -> None:
    maker, _ = partitioned(tmp_path, "INT", 1)
    second = maker.write([{"p": 2, "k": 5}])
    for manifest in maker.manifests:
        _bound(maker, manifest, 1)
    maker.commit([second])
    _bound(maker, maker.manifests[-1], 2)
    third = maker.write([{"p": 1, "k": 6}])
    maker.commit([third])  # bounds unknown
    report = scanned(maker, equals("p", 2)).report
    assert (report.kept_files, report.metadata_skipped, report.metadata_files) == (1, 1, 4)
    assert kept(maker, equals("p", 2)) == [second.name]


def _bound(maker: TableMaker, manifest: dict[str, Any], value: int) -> None:
    from .rows import row

    edge = row([value], [maker.field("p").type])
    manifest["_PARTITION_STATS"] = {"_MIN_VALUES": edge, "_MAX_VALUES": edge, "_NULL_COUNTS": [0]}


# Buckets -------------------------------------------------------------------------------------------------------------------------------------------


def test_each_entry_knows_its_number_of_buckets(tmp_path: Path) -> None:
    """What the option says today holds for new files alone."""
    from lakesql.formats.paimon.buckets import murmur3

    from .rows import row, type_of

    def bucket(key: int, total: int) -> int:
        return abs(murmur3(row([key], [type_of("INT")])[4:])) % total

    maker = keyed(tmp_path, bucket="4")
    maker.options["bucket"] = "4"
    old = {k: maker.write([{"k": k, "v": 0}], bucket=bucket(k, 7), total_buckets=7, level=5) for k in range(8)}
    new = {k: maker.write([{"k": k, "v": 0}], bucket=bucket(k, 4), total_buckets=4, level=5) for k in range(8, 16)}
    maker.commit([*old.values(), *new.values()])
    for key, file in (old | new).items():
        assert kept(maker, equals("k", key)) == [file.name]
        found = scanned(maker, equals("k", key)).report
        assert found.dropped_by_partition > 0
    assert kept(maker, In(Column(("k",)), pa.array([1, 9]))) == names(old[1], new[9])


def test_dynamic_buckets_are_not_hashed(tmp_path: Path) -> None:
    maker = keyed(tmp_path, bucket="-1")
    files = [maker.write([{"k": 1, "v": 0}], bucket=b, total_buckets=-1, stats=False, meta={"_KEY_STATS": _unknown(maker)}, level=5) for b in range(3)]
    maker.commit(files)
    assert kept(maker, equals("k", 1)) == names(*files)


def _unknown(maker: TableMaker) -> dict[str, Any]:
    return {**maker._bounds([{f.name: None for f in maker.key}], maker.key), "_NULL_COUNTS": [None] * len(maker.key)}


def test_postponed_rows_are_not_read(tmp_path: Path) -> None:
    maker = keyed(tmp_path, bucket="-2")
    maker._folder = lambda row, bucket: tmp_path / ("bucket-postpone" if bucket == -2 else f"bucket-{bucket}")  # type: ignore[method-assign]
    maker.commit([maker.write([{"k": 1, "v": 1}], bucket=-2, total_buckets=-2), maker.write([{"k": 2, "v": 2}], bucket=0, total_buckets=1)])
    assert rows_of(tmp_path) == [{"k": 2, "v": 2}]
    assert rows_of(tmp_path, "SELECT count(*) AS n FROM t") == [{"n": 1}]


# Rows that are merged ------------------------------------------------------------------------------------------------------------------------------


def test_statistics_of_values_do_not_bring_old_versions_back(tmp_path: Path) -> None:
    maker = keyed(tmp_path)
    old = maker.write([{"k": 1, "v": 10}, {"k": 2, "v": 20}], level=5)
    new = maker.write([{"k": 1, "v": 99}])
    apart = maker.write([{"k": 50, "v": 10}], level=5)
    maker.commit([old, new, apart])
    assert rows_of(tmp_path, "SELECT * FROM t WHERE v = 10") == [{"k": 50, "v": 10}]
    assert kept(maker, equals("v", 10)) == names(old, new, apart)
    # No file of the first section has such a value, so all of it can go; the one apart by itself.
    assert kept(maker, equals("v", 55)) == []
    assert kept(maker, compare("v", Op.GT, 20)) == names(old, new)


def test_statistics_of_keys_are_those_of_every_version(tmp_path: Path) -> None:
    maker = keyed(tmp_path)
    old = maker.write([{"k": 1, "v": 10}, {"k": 5, "v": 20}], level=5)
    new = maker.write([{"k": 3, "v": 99}])
    maker.commit([old, new])
    assert kept(maker, equals("k", 5)) == [old.name]
    assert kept(maker, equals("k", 3)) == names(old, new)
    assert rows_of(tmp_path, "SELECT * FROM t WHERE k = 5 AND v > 0") == [{"k": 5, "v": 20}]


@pytest.mark.parametrize("engine", ["partial-update", "aggregation"])
def test_what_a_merge_makes_is_in_no_statistics(tmp_path: Path, engine: str) -> None:
    maker = keyed(tmp_path, merge_engine=engine, **{"fields.v.aggregate-function": "sum"} if engine == "aggregation" else {})
    old, new = maker.write([{"k": 1, "v": 10}], level=5), maker.write([{"k": 1, "v": 20}])
    apart = maker.write([{"k": 9, "v": 10}], level=5)
    maker.commit([old, new, apart])
    assert kept(maker, equals("v", 30)) == names(old, new)
    assert rows_of(tmp_path, "SELECT * FROM t WHERE v = 30") == ([{"k": 1, "v": 30}] if engine == "aggregation" else [])


def test_one_level_is_one_run(tmp_path: Path) -> None:
    """Its files are pruned one by one and counted."""
    maker = keyed(tmp_path)
    one, two = maker.write([{"k": 1, "v": 10}], level=5), maker.write([{"k": 2, "v": 20}], level=5)
    maker.commit([one, two])
    found = scanned(maker, equals("v", 10))
    assert [Path(p).name for p in found.files["path"].to_pylist()] == [one.name]
    assert scanned(maker).live_rows.to_pylist() == [1, 1]
    assert scanned(maker, compare("v", Op.LT, 15)).all_match is False or found.report.kept_files == 1


@pytest.mark.parametrize("options", [{"deletion-vectors.enabled": "true"}, {"merge-engine": "first-row"}])
def test_level_0_is_hidden(tmp_path: Path, options: dict[str, str]) -> None:
    maker = TableMaker(tmp_path, {"k": "INT NOT NULL", "v": "INT"}, ["k"], options={"bucket": "1", **options})
    fresh = maker.write([{"k": 1, "v": 10}])
    maker.commit([fresh])
    assert rows_of(tmp_path) == []
    assert rows_of(tmp_path, "SELECT count(*) AS n FROM t") == [{"n": 0}]
    maker.commit([fresh.at_level(3)], [fresh], kind="COMPACT")
    maker.commit([maker.write([{"k": 1, "v": 11}])])
    assert rows_of(tmp_path) == [{"k": 1, "v": 10}]


def test_vectors_that_are_merged_on_reads_show_level_0(tmp_path: Path) -> None:
    options = {"bucket": "1", "deletion-vectors.enabled": "true", "deletion-vectors.merge-on-read": "true"}
    maker = TableMaker(tmp_path, {"k": "INT NOT NULL", "v": "INT"}, ["k"], options=options)
    maker.commit([maker.write([{"k": 1, "v": 10}], level=5), maker.write([{"k": 1, "v": 11}])])
    assert rows_of(tmp_path) == [{"k": 1, "v": 11}]


def test_what_is_compacted_alone(tmp_path: Path) -> None:
    maker = keyed(tmp_path, num_sorted_run__compaction_trigger="2")
    maker.evolve([("k", "INT NOT NULL", 0), ("v", "INT", 1)], {"bucket": "1", "num-sorted-run.compaction-trigger": "2"})
    maker.commit([maker.write([{"k": 1, "v": 10}], level=2), maker.write([{"k": 2, "v": 20}], level=1), maker.write([{"k": 1, "v": 11}])])
    assert rows_of(tmp_path, 'SELECT * FROM "t$ro"') == [{"k": 1, "v": 10}]
    assert rows_of(tmp_path, "SELECT * FROM t ORDER BY k") == [{"k": 1, "v": 11}, {"k": 2, "v": 20}]


# Counts --------------------------------------------------------------------------------------------------------------------------------------------


def test_rows_are_counted_only_where_they_are_known(tmp_path: Path) -> None:
    maker = keyed(tmp_path)
    alone = maker.write([{"k": 1, "v": 1}, {"k": 2, "v": 1}], level=5)
    deletes = maker.write([{"k": 10, "v": 1}, {"k": 11, "v": 1}], kinds=[0, 3])
    unknown = maker.write([{"k": 20, "v": 1}], meta={"_DELETE_ROW_COUNT": None})
    merged = [maker.write([{"k": 30, "v": 1}]), maker.write([{"k": 30, "v": 2}])]
    maker.commit([alone, deletes, unknown, *merged])
    found = scanned(maker)
    counts = dict(zip((Path(p).name for p in found.files["path"].to_pylist()), found.live_rows.to_pylist(), strict=True))
    assert counts == {alone.name: 2, deletes.name: None, unknown.name: None, **{m.name: None for m in merged}}
    assert rows_of(tmp_path, "SELECT count(*) AS n FROM t") == [{"n": 5}]


def test_what_pypaimon_says_of_deletes_is_not_relied_upon(tmp_path: Path) -> None:
    """It counts none in files of level 0, whatever it writes: alone in their range, and merged."""
    maker = keyed(tmp_path)
    none = {"_DELETE_ROW_COUNT": 0}
    alone = maker.write([{"k": 1, "v": 1}, {"k": 2, "v": 1}], kinds=[0, 3], meta=none)
    bulk = maker.write([{"k": 10, "v": 1}, {"k": 11, "v": 1}], level=5)
    newer = maker.write([{"k": 10, "v": 2}, {"k": 12, "v": 2}], kinds=[3, 0], meta=none)
    maker.commit([bulk, newer, alone])
    assert rows_of(tmp_path, "SELECT k FROM t ORDER BY k") == [{"k": 1}, {"k": 11}, {"k": 12}]
    assert rows_of(tmp_path, "SELECT count(*) AS n, max(k) AS k FROM t WHERE k < 12") == [{"n": 2, "k": 11}]
    assert rows_of(tmp_path, "SELECT count(*) AS n FROM t") == [{"n": 3}]


def test_rows_that_vectors_delete_are_not_counted(tmp_path: Path) -> None:
    maker = appending(tmp_path, {"k": "INT"})
    one, two = maker.write([{"k": n} for n in range(5)]), maker.write([{"k": n} for n in range(5)])
    maker.commit([one, two], vectors={"a": (one, [0, 4])})
    assert sorted(scanned(maker).live_rows.to_pylist()) == [3, 5]
    assert rows_of(tmp_path, "SELECT count(*) AS n, min(k) AS low, max(k) AS high FROM t") == [{"n": 8, "low": 0, "high": 4}]


def test_the_total_that_snapshots_tell_is_not_used(tmp_path: Path) -> None:
    maker = keyed(tmp_path)
    maker.commit([maker.write([{"k": 1, "v": 1}]), maker.write([{"k": 1, "v": 2}])], totalRecordCount=2)
    assert rows_of(tmp_path, "SELECT count(*) AS n FROM t") == [{"n": 1}]


def test_reasons(tmp_path: Path) -> None:
    """Each file left out has the predicate that proved it, and by what."""
    maker = TableMaker(tmp_path, {"p": "INT", "k": "INT NOT NULL"}, ["p", "k"], ["p"], {"bucket": "2"})
    maker.commit([maker.write([{"p": p, "k": k}], bucket=b, level=5) for p, k, b in ((1, 1, 0), (1, 2, 1), (2, 3, 0))])
    report = scanned(maker, equals("p", 1), equals("k", 7)).report
    drops = report.drops(None)
    assert report.total_files == 3
    assert report.kept_files + len(drops) == 3
    assert {d.predicate for d in drops} <= {"p = 1", "k = 7", "bucket key (k)"}
    assert report.drops(1) == drops[:1]
    assert json.dumps([d.bound for d in drops])
