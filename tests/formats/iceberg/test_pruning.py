"""Which files a scan keeps: by summaries, by partition tuples through every transform, by metrics; and what it must not conclude."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lakesql.predicate import Cast, Column, Compare, Op, Or, StartsWith, Truncate

from .reading import names, opened, scanned, version, where
from .table_maker import TableMaker, bound

US = pa.timestamp("us")


def by_transform(root: Path, type_: Any, transform: str, values: list[Any], stored: list[Any], *, one_manifest: bool = True) -> TableMaker:
    """A table with one file per value, without metrics, so that partition tuples alone tell. stored: their partition values."""
    maker = TableMaker(root, [("id", "long"), ("x", type_)], partition=[("x", transform)])
    files = [maker.data_file({"id": [n], "x": [v]}, partition=[s], metrics=()) for n, (v, s) in enumerate(zip(values, stored, strict=True))]
    for group in [files] if one_manifest else [[f] for f in files]:
        maker.commit(group)
    return maker


def kept(root: Path, *predicates: Any) -> list[int]:
    """The numbers of the kept files, from 0."""
    return sorted(int(n.removeprefix("file-")) for n in names(scanned(root, *predicates)))


DAYS = [dt.date(2024, 1, 31), dt.date(2024, 2, 1), None, dt.date(1969, 12, 31)]


def ordinal(day: dt.date | None) -> int | None:
    return None if day is None else (day - dt.date(1970, 1, 1)).days


@pytest.mark.parametrize("one_manifest", [True, False])
@pytest.mark.parametrize(
    ("type_", "transform", "values", "stored", "predicate", "expected"),
    [
        ("date", "identity", DAYS, [ordinal(d) for d in DAYS], ("=", dt.date(2024, 2, 1)), [1]),
        ("date", "identity", DAYS, [ordinal(d) for d in DAYS], ("=", None), [2]),
        ("date", "identity", DAYS, [ordinal(d) for d in DAYS], ("<>", None), [0, 1, 3]),
        ("date", "identity", DAYS, [ordinal(d) for d in DAYS], ("<>", dt.date(2024, 2, 1)), [0, 3]),
        ("date", "day", DAYS, [ordinal(d) for d in DAYS], (">", dt.date(2024, 1, 31)), [1]),
        ("date", "month", DAYS, [648, 649, None, -1], (">=", dt.date(2024, 2, 1)), [1]),
        ("date", "month", DAYS, [648, 649, None, -1], ("=", dt.date(2024, 1, 1)), [0]),
        ("date", "year", DAYS, [54, 54, None, -1], ("<", dt.date(2024, 1, 1)), [3]),
        ("date", "void", DAYS, [None] * 4, ("=", dt.date(2024, 2, 1)), [0, 1, 2, 3]),
        ("date", "void", DAYS, [None] * 4, ("<>", None), [0, 1, 2, 3]),
        ("int", "truncate[10]", [5, 15, None, -5], [0, 10, None, -10], (">", 14), [1]),
        ("int", "truncate[10]", [5, 15, None, -5], [0, 10, None, -10], ("<", 0), [3]),
        ("int", "truncate[10]", [5, 15, None, -5], [0, 10, None, -10], ("=", [7, 8]), [0]),
        ("string", "truncate[2]", ["apple", "avocado", None, "a"], ["ap", "av", None, "a"], ("=", "avx"), [1]),
        ("string", "truncate[2]", ["apple", "avocado", None, "a"], ["ap", "av", None, "a"], (">", "az"), []),
        ("string", "truncate[2]", ["apple", "avocado", None, "a"], ["ap", "av", None, "a"], ("<", "ap"), [3]),
        ("decimal(9, 2)", "truncate[100]", [Decimal("10.65"), Decimal("-0.05"), None], [Decimal("10.00"), Decimal("-1.00"), None], ("<", Decimal("0.00")), [1]),
        ("boolean", "identity", [True, False, None], [True, False, None], ("=", True), [0]),
        ("string", "zorder[3]", ["a", "b"], ["q", "r"], ("=", "a"), [0, 1]),
    ],
)
def test_through_transforms(
    tmp_path: Path, type_: str, transform: str, values: list[Any], stored: list[Any], predicate: tuple[str, Any], expected: list[int], one_manifest: bool
) -> None:
    maker = by_transform(tmp_path, type_, transform, values, stored, one_manifest=one_manifest)
    arrow = maker.arrow().field("x").type
    assert [n - 1 for n in _numbers(tmp_path, where("x", *predicate, arrow))] == expected


def _numbers(root: Path, *predicates: Any) -> list[int]:
    """The kept files by the order they were made in; manifests between them count, so names are looked up."""
    everything = sorted(names(scanned(root)), key=lambda n: int(n.removeprefix("file-")))
    return [everything.index(n) + 1 for n in sorted(names(scanned(root, *predicates)), key=lambda n: int(n.removeprefix("file-")))]


def test_buckets(tmp_path: Path) -> None:
    """34 hashes to 2017239379."""
    bucket = 2017239379 % 16
    maker = by_transform(tmp_path, "long", "bucket[16]", [34, 35, None], [bucket, (bucket + 1) % 16, None], one_manifest=False)
    assert _numbers(tmp_path, where("x", "=", 34)) == [1]
    assert _numbers(tmp_path, where("x", "=", [34, 34])) == [1]
    assert _numbers(tmp_path, where("x", "<>", 34)) == [1, 2]
    assert _numbers(tmp_path, where("x", ">", 34)) == [1, 2]
    assert _numbers(tmp_path, Or((where("x", "=", 34), where("id", "=", 2)))) == [1, 2, 3]
    report = scanned(maker.root, where("x", "=", 34)).report
    assert (report.total_files, report.metadata_skipped) == (3, 2)


def test_expressions_over_columns(tmp_path: Path) -> None:
    """A tuple is a statement about the column, so casts and date_trunc are followed."""
    day = 86_400_000_000
    by_transform(tmp_path, "timestamp", "hour", [0, 5 * day, None], [0, 120, None])
    x = Column(("x",))
    assert _numbers(tmp_path, Compare(Cast(x, pa.date32()), Op.EQ, pa.scalar(dt.date(1970, 1, 6)))) == [2]
    assert _numbers(tmp_path, Compare(Truncate("month", x), Op.LT, pa.scalar(dt.datetime(1970, 1, 1), US))) == [1]
    assert _numbers(tmp_path, Compare(Truncate("day", x), Op.GT, pa.scalar(dt.datetime(1970, 1, 2), US))) == [2]


def test_prefixes(tmp_path: Path) -> None:
    by_transform(tmp_path, "string", "truncate[3]", ["apple", "apricot", "ap", "b"], ["app", "apr", "ap", "b"])
    x = Column(("x",))
    assert _numbers(tmp_path, StartsWith(x, "apr")) == [2]
    assert _numbers(tmp_path, StartsWith(x, "apricots")) == [2]
    assert _numbers(tmp_path, StartsWith(x, "a")) == [1, 2, 3]
    assert _numbers(tmp_path, StartsWith(x, "a", negated=True)) == [4]


def test_specs_speak_for_their_own_files(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, [("id", "long"), ("x", "int")], partition=[("x", "identity")])
    maker.commit([maker.data_file({"id": [0], "x": [5]}, partition=[5], metrics=())])
    maker.partition_by([("x", "truncate[10]")])
    maker.commit([maker.data_file({"id": [1], "x": [5]}, partition=[0], metrics=()), maker.data_file({"id": [2], "x": [15]}, partition=[10], metrics=())])
    maker.partition_by([])
    maker.commit([maker.data_file({"id": [3], "x": [5]}, metrics=())])
    five = pa.int32()
    assert _numbers(tmp_path, where("x", "=", 5, five)) == [1, 2, 4]
    assert _numbers(tmp_path, where("x", "=", 6, five)) == [2, 4]
    assert _numbers(tmp_path, where("x", "=", 16, five)) == [3, 4]


def test_ids_that_mean_two_things(tmp_path: Path) -> None:
    """Version 1 numbered the fields of every spec from 1000."""
    maker = TableMaker(tmp_path, [("id", "long"), ("x", "int"), ("s", "string")], partition=[("x", "identity")], version=1)
    maker.commit([maker.data_file({"id": [0], "x": [1], "s": ["a"]}, partition=[1], metrics=())])
    maker.partition_by([{"source-id": 3, "field-id": 1000, "name": "s", "transform": "identity"}])
    maker.commit([maker.data_file({"id": [1], "x": [1], "s": ["1"]}, partition=["1"], metrics=())])
    assert _numbers(tmp_path, where("x", "=", 2, pa.int32())) == [2]
    assert _numbers(tmp_path, where("s", "=", "b")) == [1]
    assert names(scanned(tmp_path, columns=["_partition"])) == ["file-1", "file-3"]


def test_a_source_column_that_is_gone(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, [("id", "long"), ("x", "int")], partition=[("x", "identity")])
    maker.commit([maker.data_file({"id": [0], "x": [1]}, partition=[1])])
    maker.partition_by([])
    maker.evolve([("id", "long")])
    maker.commit([maker.data_file({"id": [1]})])
    assert names(scanned(tmp_path, where("id", "=", 1))) == ["file-3"]
    assert names(scanned(tmp_path, where("x", "=", 2, pa.int32()), at=version(101))) == []


def test_names_of_directories_mean_nothing(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, [("id", "long"), ("s", "string")], partition=[("s", "identity")])
    maker.commit(
        [
            maker.data_file({"id": [0], "s": ["b"]}, partition=["b"], name="data/s=a/one.parquet", metrics=()),
            maker.data_file({"id": [1], "s": ["null"]}, partition=["null"], name="data/s=null/two.parquet", metrics=()),
        ]
    )
    assert names(scanned(tmp_path, where("s", "=", "b"))) == ["one"]
    assert names(scanned(tmp_path, where("s", "=", None))) == []
    assert names(scanned(tmp_path, where("s", "=", "null"))) == ["two"]


# Metrics -------------------------------------------------------------------------------------------------------------------------------------------------


def with_metrics(root: Path, type_: Any, *files: list[Any], **over: Any) -> TableMaker:
    maker = TableMaker(root, [("x", type_)])
    maker.commit([maker.data_file({"x": values}, **over) for values in files])
    return maker


@pytest.mark.parametrize(
    ("type_", "low", "high", "probe", "expected"),
    [
        ("int", [1, 2], [5, 9], 4, []),
        ("int", [1, 2], [5, 9], 9, [2]),
        ("long", [-(2**63)], [2**63 - 1], 2**63 - 1, [2]),
        ("decimal(38, 10)", [Decimal("-3.25")], [Decimal("0.25"), Decimal("1e20")], Decimal("-3.25"), [1]),
        ("date", [dt.date(1960, 1, 1)], [dt.date(2020, 1, 1)], dt.date(1960, 1, 1), [1]),
        ("time", [dt.time(1)], [dt.time(2)], dt.time(2), [2]),
        ("timestamp", [dt.datetime(1960, 1, 1)], [dt.datetime(2020, 1, 1)], dt.datetime(2020, 1, 1), [2]),
        ("binary", [b"\x00"], [b"\xff"], b"\xff", [2]),
        ("fixed[2]", [b"\x00\x01"], [b"\xff\x00"], b"\xff\x00", [2]),
        ("string", ["a", "b"], ["é", "日"], "z", []),
        ("boolean", [False], [True], True, [2]),
        ("uuid", [uuid.UUID(int=1).bytes], [uuid.UUID(int=5).bytes], uuid.UUID(int=5).bytes, [2]),
    ],
)
def test_bounds_of_every_type(tmp_path: Path, type_: str, low: list[Any], high: list[Any], probe: Any, expected: list[int]) -> None:
    maker = with_metrics(tmp_path, type_, low, high)
    assert kept(tmp_path, where("x", "=", probe, maker.arrow().field("x").type)) == expected


def test_nested_fields_have_metrics_by_id(tmp_path: Path) -> None:
    struct_ = {"type": "struct", "fields": [{"id": 11, "name": "a", "type": "int"}]}
    maker = TableMaker(tmp_path, [{"id": 1, "name": "s", "type": struct_}])
    over = {
        "value_counts": [{"key": 11, "value": 1}],
        "null_value_counts": [{"key": 11, "value": 0}],
        "lower_bounds": [{"key": 11, "value": b"\x05\0\0\0"}],
        "upper_bounds": [{"key": 11, "value": b"\x05\0\0\0"}],
    }
    maker.commit([maker.data_file({"s": [{"a": 5}]}, **over)])
    assert kept(tmp_path, where("s.a", "=", 5, pa.int32())) == [1]
    assert kept(tmp_path, where("s.a", "=", 6, pa.int32())) == []
    assert kept(tmp_path, where("s", "=", None)) == [1]


def test_bounds_from_before_the_column_was_widened(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, [("a", "int"), ("b", "float"), ("c", "date")], version=3)
    maker.commit([maker.data_file({"a": [5], "b": [1.5], "c": [10]})])
    maker.evolve([("a", "long"), ("b", "double"), ("c", "timestamp")])
    maker.write()
    assert kept(tmp_path, where("a", ">", 5)) == []
    assert kept(tmp_path, where("a", "=", 5)) == [1]
    assert kept(tmp_path, where("b", ">", 1.5)) == []
    assert kept(tmp_path, where("c", "=", dt.datetime(1970, 1, 11), US)) == [1]
    assert kept(tmp_path, where("c", ">", dt.datetime(1970, 1, 12), US)) == []


def test_what_is_not_there_is_unknown(tmp_path: Path) -> None:
    """No map, no key in a map, no NaN count, an unknown number of rows."""
    with_metrics(tmp_path, "double", [1.0], [None], nan_value_counts=None)
    x = pa.float64()
    assert kept(tmp_path, where("x", "=", 5.0, x)) == []
    assert kept(tmp_path, where("x", ">", 5.0, x)) == [1]  # NaN may be there and sorts above
    for number, missing in enumerate(("null_value_counts", "value_counts", "lower_bounds", "upper_bounds")):
        place = tmp_path / str(number)
        maker = TableMaker(place, [("x", "double")])
        maker.commit([maker.data_file({"x": [1.0]}, **{missing: []}), maker.data_file({"x": [1.0]}, record_count=-1)])
        assert len(kept(place, where("x", "=", None))) == (1 if missing == "null_value_counts" else 0)
        assert kept(place, where("x", "=", 1.0, x)) == [1, 2]


def test_nan_sorts_above_every_number(tmp_path: Path) -> None:
    with_metrics(tmp_path, "double", [1.0, float("nan")], [2.0], [float("nan")])
    x = pa.float64()
    assert kept(tmp_path, where("x", ">", 5.0, x)) == [1, 3]
    assert 2 not in kept(tmp_path, where("x", "<", 0.5, x))
    assert {1, 3} <= set(kept(tmp_path, where("x", "=", float("nan"), x)))


def test_zeros_are_equal(tmp_path: Path) -> None:
    with_metrics(tmp_path, "double", [0.0], [-0.0])
    for zero in (0.0, -0.0):
        assert kept(tmp_path, where("x", "=", zero, pa.float64())) == [1, 2]
        assert kept(tmp_path, where("x", ">=", zero, pa.float64())) == [1, 2]


def test_bounds_that_were_cut(tmp_path: Path) -> None:
    """Lower at or below, upper at or above, and no upper bound where there is none."""
    over = {"lower_bounds": [{"key": 1, "value": b"aaaa"}], "upper_bounds": [{"key": 1, "value": b"aaab"}]}
    with_metrics(tmp_path, "string", ["aaaaXYZ"], **over)
    assert kept(tmp_path, where("x", "=", "aaaaXYZ")) == [1]
    assert kept(tmp_path, where("x", ">", "aaab")) == []
    files = scanned(tmp_path, where("x", ">=", "aaaa"))
    assert files.all_match
    assert not scanned(tmp_path, where("x", "=", "aaaa")).all_match
    assert files.extremes("x") is None
    endless = TableMaker(tmp_path / "endless", [("x", "binary")])
    endless.commit([endless.data_file({"x": [b"\xff" * 20]}, lower_bounds=[{"key": 1, "value": b"\xff" * 16}], upper_bounds=[])])
    assert kept(endless.root, where("x", "=", b"\xff" * 20, pa.binary())) == [1]


def test_equal_bounds_are_no_proof_of_one_value(tmp_path: Path) -> None:
    """Text may have been cut to what both begin with; with nulls or NaN there are other rows besides."""
    with_metrics(tmp_path, "string", ["aaaa1", "aaaa2"], lower_bounds=[{"key": 1, "value": b"aaaa"}], upper_bounds=[{"key": 1, "value": b"aaaa"}])
    assert kept(tmp_path, where("x", "<>", "aaaa")) == [1]
    numbers = tmp_path / "numbers"
    with_metrics(numbers, "long", [5, 5], [5, None])
    assert kept(numbers, where("x", "<>", 5)) == []
    assert scanned(numbers, where("x", "=", 5)).all_match is False


def test_uuids_whose_writer_sorts_signed(tmp_path: Path) -> None:
    """Java's least uuid is the greatest by its bytes: a lower bound above the upper one says nothing."""
    low, high = uuid.UUID(int=1 << 127).bytes, uuid.UUID(int=5).bytes
    with_metrics(tmp_path, "uuid", [low, high], lower_bounds=[{"key": 1, "value": low}], upper_bounds=[{"key": 1, "value": high}])
    assert kept(tmp_path, where("x", "=", uuid.UUID(int=(1 << 127) + 9).bytes, pa.binary(16))) == [1]


def test_summaries_that_are_inverted_or_missing(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, [("x", "uuid")], partition=[("x", "identity")])
    value = uuid.UUID(int=7).bytes
    file = maker.data_file({"x": [value]}, partition=[value], metrics=())
    entry = {"status": 1, "snapshot_id": 101, "data_file": file}
    summary = {
        "contains_null": False,
        "contains_nan": None,
        "lower_bound": bound(pa.scalar(uuid.UUID(int=1 << 127).bytes)),
        "upper_bound": bound(pa.scalar(uuid.UUID(int=3).bytes)),
    }
    for number, partitions in enumerate(([summary], None, [])):
        maker.snapshot(101 + number, [maker.manifest([entry], partitions=partitions)])
        assert len(names(scanned(tmp_path, where("x", "=", value, pa.binary(16))))) == 1
        assert names(scanned(tmp_path, where("x", "=", uuid.UUID(int=8).bytes, pa.binary(16)))) == []


def test_nanoseconds_of_orc_files(tmp_path: Path) -> None:
    """Java writes microseconds there."""
    maker = TableMaker(tmp_path, [("x", "timestamp_ns")], version=3)
    value = 1_709_210_096_123_456_789
    over = {
        "lower_bounds": [{"key": 1, "value": (value // 1000).to_bytes(8, "little")}],
        "upper_bounds": [{"key": 1, "value": (value // 1000).to_bytes(8, "little")}],
    }
    maker.commit([maker.data_file({"x": [value]}, file_format="ORC", **over), maker.data_file({"x": [5]})])
    assert len(kept(tmp_path, where("x", ">", pa.scalar(value - 1, pa.timestamp("ns"))))) == 1


# What a scan says ----------------------------------------------------------------------------------------------------------------------------------------


def test_all_match_and_the_null_partition(tmp_path: Path) -> None:
    """NULL <> 7 is not true: a proof that every row matches must not count rows without a value."""
    maker = by_transform(tmp_path, "int", "identity", [7, 8, None], [7, 8, None])
    files = scanned(maker.root, where("x", "<>", 7, pa.int32()))
    assert (files.all_match, files.live_rows.to_pylist()) == (True, [1])
    assert not scanned(maker.root, where("id", ">", 0)).all_match
    assert scanned(maker.root).all_match


def test_the_funnel(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, [("id", "long"), ("p", "int")], partition=[("p", "identity")])
    for p in range(4):
        maker.commit([maker.data_file({"id": [p * 10 + n], "p": [p]}, partition=[p]) for n in range(3)])
    report = scanned(tmp_path, where("p", "<", 3, pa.int32()), where("id", "=", 11)).report
    assert (report.metadata_skipped, report.metadata_files) == (1, 5)
    assert (report.total_files, report.dropped_by_partition, report.dropped_by_statistics, report.kept_files) == (12, 3, 8, 1)
    assert (report.kept_rows, report.total_rows) == (1, None)
    drops = report.drops(None)
    assert len(drops) == 8
    assert all(d.predicate == "id = 11" and d.bound.startswith("id in [") for d in drops)
    assert len(report.drops(2)) == 2
    mixed = scanned(tmp_path, Or((where("p", "=", 1, pa.int32()), where("id", "=", 5)))).report
    assert (mixed.metadata_skipped, mixed.dropped_by_partition, mixed.dropped_by_statistics, mixed.kept_files) == (0, 0, 9, 3)
    everything = scanned(tmp_path).report
    assert (everything.total_files, everything.kept_files, everything.total_rows, everything.kept_rows) == (12, 12, 12, 12)
    assert everything.total_bytes == everything.kept_bytes


def test_pruning_can_be_switched_off(tmp_path: Path) -> None:
    maker = by_transform(tmp_path, "int", "identity", [7, 8], [7, 8])
    assert len(scanned(maker.root, where("x", "=", 7, pa.int32()), prune=False).files) == 2


def test_predicates_that_decide_nothing_say_why(tmp_path: Path) -> None:
    with_metrics(tmp_path, "int", [1], metrics=())
    report = scanned(tmp_path, where("x", "=", 5, pa.int32())).report
    assert report.unused == (("x = 5", "no statistics for column x"),) or report.unused[0][0] == "x = 5"


def test_a_predicate_on_partitions_opens_no_other_manifest(tmp_path: Path) -> None:
    maker = TableMaker(tmp_path, [("id", "long"), ("p", "int")], partition=[("p", "identity")])
    for p in range(5):
        maker.commit([maker.data_file({"id": [p], "p": [p]}, partition=[p])])
    for row in maker.manifests:
        if row["partitions"][0]["lower_bound"] != (3).to_bytes(4, "little"):
            Path(row["manifest_path"]).unlink()
    assert len(names(scanned(opened(tmp_path), where("p", "=", 3, pa.int32())))) == 1
