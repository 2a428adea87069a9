"""A version as sessions use it: what a scan keeps and knows, what its relation says, and what a missing file means."""

from __future__ import annotations

import datetime as dt
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from formats.delta.log_maker import LOG, ROOT, Log, add, metadata, protocol, remove, schema_text, vector
from formats.delta.test_deletion_vectors import portable
from lakesql.errors import DataFileError, ExpiredVersionError, MetadataError, MissingFileError, UnsupportedFeatureError
from lakesql.formats.delta import FORMAT
from lakesql.formats.delta.snapshot import DeltaSnapshot
from lakesql.predicate import Column, Compare, Op, Predicate
from lakesql.relation import (
    VARIANT_AS_JSON,
    Batches,
    Col,
    ColumnMatch,
    Files,
    FirstNonNull,
    Project,
    Relabel,
    Relation,
    Sum,
    Union,
    Value,
    WithoutPositions,
)
from lakesql.storage import MemoryStorage
from lakesql.table import AtVersion, FileSet, Latest, ScanRequest


def latest(log: Log) -> DeltaSnapshot:
    return log.table.snapshot(Latest())


def stats(rows: int, **bounds: tuple[Any, Any, int]) -> str:
    """Statistics of columns: least, greatest, nulls."""
    return json.dumps(
        {
            "numRecords": rows,
            "minValues": {n: b[0] for n, b in bounds.items()},
            "maxValues": {n: b[1] for n, b in bounds.items()},
            "nullCount": {n: b[2] for n, b in bounds.items()},
        }
    )


def compare(name: str, op: Op, value: Any, type_: pa.DataType | None = None) -> Predicate:
    return Compare(Column((name,)), op, pa.scalar(value, type_))


def scan(log: Log, *predicates: Predicate, columns: tuple[str, ...] = ("id",), prune: bool = True) -> FileSet:
    return latest(log).scan(ScanRequest(columns, predicates, prune))


def kept(files: FileSet) -> list[str]:
    return sorted(p.removeprefix(f"{ROOT}/") for p in files.files["path"].to_pylist())


# Scans ---------------------------------------------------------------------------------------------------------------------------------------------


def by_day() -> Log:
    log = Log().commit(protocol(), metadata(schema_text(id="long", day="date"), ["day"]))
    for number in range(4):
        day = f"2024-01-0{number // 2 + 1}"
        log.commit(add(f"day={day}/f{number}", partition={"day": day}, stats=stats(10, id=(number * 10, number * 10 + 9, 0))))
    return log


def test_partitions_come_first_then_statistics() -> None:
    files = scan(by_day(), compare("day", Op.EQ, dt.date(2024, 1, 2)), compare("id", Op.LT, 30))
    assert kept(files) == ["day=2024-01-02/f2"]
    report = files.report
    assert (report.total_files, report.dropped_by_partition, report.dropped_by_statistics, report.kept_files) == (4, 2, 1, 1)
    assert (report.total_bytes, report.kept_bytes, report.total_rows, report.kept_rows) == (400, 100, 40, 10)
    assert report.metadata_files == 5
    assert files.all_match
    drops = report.drops(None)
    assert [(d.path.rsplit("/", 1)[-1], d.predicate, d.bound) for d in drops] == [
        ("f0", "day = DATE '2024-01-02'", "day = DATE '2024-01-01'"),
        ("f1", "day = DATE '2024-01-02'", "day = DATE '2024-01-01'"),
        ("f3", "id < 30", "id in [30, 39]"),
    ]
    assert report.drops(1) == drops[:1]


def test_pruning_off_keeps_all_and_claims_nothing() -> None:
    files = scan(by_day(), compare("id", Op.EQ, 5), prune=False)
    assert len(kept(files)) == 4
    assert not files.all_match
    assert scan(by_day()).all_match


def test_constants_are_the_partition_columns_typed_and_in_the_files_order() -> None:
    files = scan(by_day())
    assert files.constants.schema == pa.schema([("day", pa.date32())])
    days = dict(zip(files.files["path"].to_pylist(), files.constants["day"].to_pylist(), strict=True))
    assert all(str(day) in path for path, day in days.items())


def test_a_file_without_statistics_is_kept_and_its_rows_are_unknown() -> None:
    unknown = (add("b"), add("c", stats="{}"), add("d", stats=""), add("e", stats="nonsense"), add("f", stats=5))
    files = scan(Log().create(add("a", stats=stats(5, id=(1, 2, 0))), *unknown), compare("id", Op.GT, 100))
    assert kept(files) == ["b", "c", "d", "e", "f"]
    assert files.live_rows.to_pylist() == [None] * 5
    assert files.report.kept_rows is None
    assert files.extremes("id") is None


def test_live_rows_are_physical_rows_less_deleted_ones() -> None:
    files = scan(Log().create(add("a", rows=10), add("b", rows=10, dv=vector("v", 3)), add("c", dv=vector("v", 3)), add("d", rows=2, dv=vector("v", 3))))
    assert dict(zip(kept(files), files.live_rows.to_pylist(), strict=True)) == {"a": 10, "b": 7, "c": None, "d": None}


def test_statistics_of_a_checkpoint_typed_or_text() -> None:
    log = Log().create()
    rows = [add("a", stats=stats(5, id=(1, 2, 0))), add("b", stats=stats(5, id=(10, 20, 0))), add("c")]
    log.checkpoint(0, protocol(), metadata(), *rows).commit(add("d", stats=stats(1, id=(1, 1, 0))))
    files = scan(log, compare("id", Op.GE, 10))
    assert kept(files) == ["b", "c"]
    assert dict(zip(kept(files), files.live_rows.to_pylist(), strict=True)) == {"b": 5, "c": None}


def test_json_is_parsed_for_the_files_that_are_left_and_once() -> None:
    log = Log().commit(protocol(), metadata(schema_text(id="long", p="long"), ["p"]))
    adds = [add(f"f{i}", partition={"p": str(i % 10)}, stats=stats(1, id=(i, i, 0))) for i in range(100)]
    log.commit(*adds)
    snapshot = latest(log)
    one = snapshot.scan(ScanRequest(("id",), (compare("p", Op.EQ, 3), compare("id", Op.EQ, 13))))
    assert kept(one) == ["f13"]
    (part,) = snapshot.files.parts
    (decoded,) = [v for k, v in part.block.cache.items() if isinstance(k, tuple) and k[0] == "bounds" and k[1][0] == ("id",)]
    assert int(np.count_nonzero(decoded.known)) == 10  # type: ignore[attr-defined]
    two = snapshot.scan(ScanRequest(("id",), (compare("id", Op.EQ, 57),)))
    assert kept(two) == ["f57"]
    assert decoded.known.all()  # type: ignore[attr-defined]


def test_threads_share_what_is_decoded() -> None:
    """Scans of one snapshot from several threads: every row's statistics are known afterwards, and each scan keeps the right file."""
    log = Log().create(*(add(f"f{i}", stats=stats(1, id=(i, i, 0))) for i in range(200)))
    snapshot = latest(log)

    def one(number: int) -> list[str]:
        return kept(snapshot.scan(ScanRequest(("id",), (compare("id", Op.EQ, number),))))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, range(200))) == [[f"f{i}"] for i in range(200)]


def test_bounds_of_renamed_columns_are_found_by_their_physical_names() -> None:
    schema = json.dumps(
        {
            "type": "struct",
            "fields": [
                {
                    "name": "new",
                    "type": {"type": "struct", "fields": [mapped("inner", "long", 2, "i-2")]},
                    "nullable": True,
                    "metadata": {"delta.columnMapping.id": 1, "delta.columnMapping.physicalName": "c-1"},
                },
                mapped("p", "integer", 3, "p-3"),
            ],
        }
    )
    log = Log().commit(protocol(2, 5), metadata(schema, ["p"], delta__columnMapping__mode="name"))
    bounds = {"c-1": {"i-2": 5}}
    statistics = {"numRecords": 1, "minValues": bounds, "maxValues": bounds, "nullCount": {"c-1": {"i-2": 0}}}
    log.commit(add("f", partition={"p-3": "7"}, stats=json.dumps(statistics)))
    predicate = Compare(Column(("new", "inner")), Op.EQ, pa.scalar(6))
    assert kept(scan(log, predicate, columns=("new",))) == []
    assert kept(scan(log, compare("p", Op.EQ, 7, pa.int32()), columns=("new",))) == ["f"]


def mapped(name: str, type_: str, id_: int, physical: str) -> dict[str, Any]:
    return {"name": name, "type": type_, "nullable": True, "metadata": {"delta.columnMapping.id": id_, "delta.columnMapping.physicalName": physical}}


def test_text_in_another_collation_is_not_pruned() -> None:
    with_collations = protocol(features=[])
    with_collations["protocol"]["writerFeatures"] = ["collations-preview"]
    for actions, expected in ((protocol(features=[]), []), (with_collations, ["f"])):
        log = Log().commit(actions, metadata(schema_text(id="long", s="string")), add("f", stats=stats(1, s=("a", "b", 0))))
        assert kept(scan(log, compare("s", Op.EQ, "z"), columns=("s",))) == expected


# Answers from metadata -----------------------------------------------------------------------------------------------------------------------------


def test_extremes_of_whole_numbers_and_dates() -> None:
    log = Log().commit(protocol(), metadata(schema_text(id="long", d="date", t="timestamp", s="string", x="double", p="integer"), ["p"]))
    instant = "2024-01-01T00:00:00Z"
    whole = stats(5, id=(1, 9, 1), d=("2024-01-01", "2024-02-01", 0), t=(instant, instant, 0), s=("a", "b", 0), x=(1.0, 2.0, 0))
    log.commit(add("a", partition={"p": "1"}, stats=whole))
    log.commit(add("b", partition={}, stats=json.dumps({"numRecords": 3, "nullCount": {"id": 3, "d": 3}})))
    files = scan(log)
    assert extremes(files, "id") == ([1, None], [9, None], [1, 3])
    assert extremes(files, "d") == ([dt.date(2024, 1, 1), None], [dt.date(2024, 2, 1), None], [0, 3])
    assert extremes(files, "p") == ([1, None], [1, None], [0, 3])
    assert [files.extremes(n) for n in ("t", "s", "x", "nothing")] == [None] * 4


def extremes(files: FileSet, name: str) -> tuple[list[Any], list[Any], list[Any]]:
    found = files.extremes(name)
    assert found is not None
    return found[0].to_pylist(), found[1].to_pylist(), found[2].to_pylist()


@pytest.mark.parametrize(
    "action",
    [
        add("b", dv=vector("v", 1), stats=stats(5, id=(1, 9, 0))),
        add("b", stats=stats(5, id=(1, 9, 0))[:-1] + ', "tightBounds": false}'),
        add("b", stats=json.dumps({"numRecords": 5, "minValues": {"id": 1}, "maxValues": {"id": 2}})),
        add("b", stats=json.dumps({"numRecords": 5, "nullCount": {"id": 0}})),
        add("b"),
    ],
)
def test_no_extremes_where_one_file_does_not_tell_them_exactly(action: Any) -> None:
    log = Log().create(add("a", stats=stats(5, id=(1, 9, 0))), action)
    assert scan(log).extremes("id") is None


def test_a_null_count_between_the_extremes_means_nothing_with_a_vector() -> None:
    """Pruning must believe 0 and all, nothing else."""
    log = Log().create(add("a", dv=vector("v", 4), stats=stats(5, id=(1, 9, 4))))
    predicate = Compare(Column(("id",)), Op.EQ, pa.scalar(5))
    assert kept(scan(log, predicate)) == ["a"]


# Relations -----------------------------------------------------------------------------------------------------------------------------------------


def relation(log: Log, *columns: str) -> Relation:
    snapshot = latest(log)
    return snapshot.relate(snapshot.scan(ScanRequest(columns)), columns)


def test_a_plain_table() -> None:
    found = relation(Log().create(add("f"), schema=schema_text(id="long", s="string")), "s")
    assert isinstance(found, Project)
    assert (found.names, found.expressions) == (("s",), (Col("s"),))
    assert isinstance(found.input, Files)
    assert found.input.schema == pa.schema([("s", pa.string())])
    assert (found.input.match, found.input.constants, found.input.file_path, found.input.row_index) == (ColumnMatch.BY_NAME, None, None, None)
    assert found.input.files.column_names == ["path", "size_bytes"]


def test_no_files_give_no_rows() -> None:
    found = relation(Log().create(), "id")
    assert isinstance(found, Project)
    assert isinstance(found.input, Files)
    assert found.input.files.num_rows == 0


def test_files_with_vectors_are_read_apart() -> None:
    found = relation(Log().create(add("a"), add("b", dv=vector("v")), add("c", dv=vector("w", 0)), schema=schema_text(id="long")), "id")
    assert isinstance(found, Union)
    clean, deleted = found.inputs
    assert isinstance(clean, Project)
    assert isinstance(clean.input, Files)
    assert [p.rsplit("/", 1)[-1] for p in clean.input.files["path"].to_pylist()] == ["a", "c"]
    assert (clean.input.file_path, clean.input.row_index) == (None, None)
    assert isinstance(deleted, Project)
    node = deleted.input
    assert isinstance(node, WithoutPositions)
    assert isinstance(node.input, Files)
    assert (node.file_path, node.row_index) == (node.input.file_path, node.input.row_index)
    assert isinstance(node.deletes, Batches)
    assert node.deletes.schema.names == ["path", "position"]


def test_deleted_positions_are_decoded_when_the_query_runs() -> None:
    blob = portable([1, 4])
    log = Log().commit(protocol(features=["deletionVectors"]), metadata())
    inline = {"storageType": "i", "pathOrInlineDv": z85(blob), "sizeInBytes": len(blob), "cardinality": 2}
    log.commit(add("a", rows=9, dv=inline), add("b", rows=3, dv=inline))
    found = relation(log, "id")
    assert isinstance(found, Project)
    assert isinstance(found.input, WithoutPositions)
    assert isinstance(found.input.deletes, Batches)
    with pytest.raises(DataFileError, match="rows"):  # position 4 of three rows
        found.input.deletes.load()
    log.commit(remove("b", dv=inline))
    found = relation(log, "id")
    assert isinstance(found, Project)
    assert isinstance(found.input, WithoutPositions)
    assert isinstance(found.input.deletes, Batches)
    assert found.input.deletes.load().to_pydict() == {"path": [f"{ROOT}/a"] * 2, "position": [1, 4]}


def z85(blob: bytes) -> str:
    alphabet = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
    padded = blob + bytes(-len(blob) % 4)
    text = ""
    for at in range(0, len(padded), 4):
        number = int.from_bytes(padded[at : at + 4], "big")
        text += "".join(alphabet[number // 85**power % 85] for power in (4, 3, 2, 1, 0))
    return text


def test_partition_columns_come_from_the_log_under_names_no_column_has() -> None:
    log = Log().commit(protocol(), metadata(schema_text(p="string", **{"partition p": "long"}), ["p"]), add("f", partition={"p": "x"}))
    found = relation(log, "partition p", "p")
    assert isinstance(found, Project)
    assert isinstance(found.input, Files)
    assert found.input.schema.names == ["partition p"]
    assert found.input.constants is not None
    (name,) = found.input.constants.column_names
    assert name.lower() not in ("p", "partition p")
    assert found.expressions == (Col("partition p"), Col(name))


def test_renamed_columns_and_nested_fields() -> None:
    nested = {"name": "s", "type": {"type": "struct", "fields": [mapped("inner", "long", 2, "i-2")]}, "nullable": True}
    nested["metadata"] = {"delta.columnMapping.id": 1, "delta.columnMapping.physicalName": "c-1"}
    schema = json.dumps({"type": "struct", "fields": [nested, mapped("b", "long", 3, "a")]})
    for mode, match in (("name", ColumnMatch.BY_NAME), ("id", ColumnMatch.BY_ID)):
        log = Log().commit(protocol(2, 5), metadata(schema, delta__columnMapping__mode=mode), add("f"))
        found = relation(log, "b", "s")
        assert isinstance(found, Project)
        assert isinstance(found.input, Files)
        assert (found.input.match, found.input.fallback_by_name) == (match, False)
        assert found.input.schema.names == ["a", "c-1"]
        assert found.expressions == (Col("a"), Relabel(Col("c-1"), pa.struct([("inner", pa.int64())])))
        ids = [(f.metadata or {}).get(b"PARQUET:field_id") for f in found.input.schema]
        assert ids == ([b"3", b"1"] if mode == "id" else [None, None])


def test_void_columns_are_never_looked_for() -> None:
    found = relation(Log().create(add("f"), schema=schema_text(id="long", nothing="void")), "nothing", "id")
    assert isinstance(found, Project)
    assert isinstance(found.input, Files)
    assert found.input.schema.names == ["id"]
    assert found.expressions == (Value(pa.scalar(None, pa.null())), Col("id"))


def test_variants_are_text() -> None:
    log = Log().commit(protocol(features=["variantType"]), metadata(schema_text(v="variant")), add("f"))
    assert latest(log).schema.field("v").type == pa.string()
    found = relation(log, "v")
    assert isinstance(found, Project)
    assert isinstance(found.input, Files)
    field = found.input.schema.field("v")
    assert field.type == pa.string()
    assert all(field.metadata[k] == v for k, v in VARIANT_AS_JSON.items())
    assert found.expressions == (Col("v"),)


def test_nested_variants_are_text() -> None:
    deep = {"type": "array", "elementType": {"type": "map", "keyType": "string", "valueType": "variant", "valueContainsNull": True}, "containsNull": True}
    log = Log().commit(protocol(features=["variantType"]), metadata(schema_text(v=deep)), add("f"))
    assert latest(log).schema.field("v").type == pa.list_(pa.field("element", pa.map_(pa.string(), pa.string())))


def tracked(**more: str) -> Log:
    features = {"minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": ["rowTracking", "domainMetadata"]}
    return Log().commit({"protocol": features}, metadata(delta__enableRowTracking="true", **more))


def test_row_ids() -> None:
    log = tracked(delta__rowTracking__materializedRowIdColumnName="_rid", delta__rowTracking__materializedRowCommitVersionColumnName="_rcv")
    log.commit(add("f", baseRowId=100, defaultRowCommitVersion=1))
    found = relation(log, "_row_id", "_row_commit_version")
    assert isinstance(found, Project)
    assert isinstance(found.input, Files)
    assert found.input.schema == pa.schema([("_rid", pa.int64()), ("_rcv", pa.int64())])
    base, written = found.input.constants.column_names  # type: ignore[union-attr]
    assert found.input.constants.to_pydict() == {base: [100], written: [1]}  # type: ignore[union-attr]
    index = found.input.row_index
    assert index is not None
    assert found.expressions == (FirstNonNull((Col("_rid"), Sum(Col(base), Col(index)))), FirstNonNull((Col("_rcv"), Col(written))))


def test_commit_versions_alone_need_no_row_index() -> None:
    found = relation(tracked().commit(add("f", baseRowId=0, defaultRowCommitVersion=1)), "_row_commit_version")
    assert isinstance(found, Project)
    assert isinstance(found.input, Files)
    assert found.input.row_index is None


@pytest.mark.parametrize("name", ["_row_id", "_row_commit_version"])
def test_row_ids_without_row_tracking(name: str) -> None:
    log = Log().create(add("f"))
    for version in ("0", None):
        snapshot = log.table.snapshot(Latest() if version is None else AtVersion(version))
        assert name in snapshot.hidden.names
        with pytest.raises(UnsupportedFeatureError, match="row tracking is not enabled in version 0"):
            snapshot.scan(ScanRequest((name,)))


def test_a_column_of_a_hidden_columns_name() -> None:
    found = relation(Log().create(add("f"), schema=schema_text(_row_id="string")), "_row_id")
    assert isinstance(found, Project)
    assert found.expressions == (Col("_row_id"),)


def test_file_path_and_row_index() -> None:
    found = relation(Log().create(add("f")), "_file_path", "_file_row_index", "id")
    assert isinstance(found, Project)
    assert isinstance(found.input, Files)
    assert found.expressions == (Col(found.input.file_path or ""), Col(found.input.row_index or ""), Col("id"))


# Errors --------------------------------------------------------------------------------------------------------------------------------------------


def test_a_partition_column_that_is_no_column() -> None:
    with pytest.raises(MetadataError, match='partition column "nope" is not in the schema; it has id'):
        latest(Log().create(add("f"), partitions=["nope"]))


def test_a_partition_value_of_another_type() -> None:
    log = Log().commit(protocol(), metadata(schema_text(id="long", p="integer"), ["p"]), add("f", partition={"p": "x"}))
    with pytest.raises(MetadataError, match="partition value 'x' of column p"):
        scan(log)


def missing(log: Log, version: str, path: str) -> Exception:
    snapshot = log.table.snapshot(AtVersion(version))
    return snapshot.explain_missing(MissingFileError("gone", path=path))


def test_a_missing_file_of_an_old_version_was_vacuumed() -> None:
    log = Log().create(add("a"), add("b")).commit(add("a", dv=vector("v")), remove("a")).commit(remove("a", dv=vector("v")))
    for version in ("0", "1"):
        error = missing(log, version, f"{ROOT}/a")
        assert isinstance(error, ExpiredVersionError)
        assert f"data files of version {version} are gone (vacuumed)" in str(error)
        assert "version 2" in str(error)


def test_a_missing_file_that_the_table_still_has() -> None:
    log = Log().create(add("a"), add("b")).commit(remove("a"))
    for version in ("0", "1"):
        error = missing(log, version, f"{ROOT}/b")
        assert isinstance(error, MissingFileError)
        assert "a data file that the log names is missing" in str(error)
        assert f"{ROOT}/b" in str(error)


def test_a_missing_file_of_somebody_else() -> None:
    error = MissingFileError("gone", path="/other/t/x")
    assert latest(Log().create(add("a"))).explain_missing(error) is error


def test_a_missing_vector_of_an_old_version() -> None:
    log = Log().create(add("a", dv=vector("v"))).commit(remove("a", dv=vector("v")))
    assert isinstance(missing(log, "0", f"{ROOT}/deletion_vector_x.bin"), ExpiredVersionError)
    assert isinstance(missing(log, "1", f"{ROOT}/deletion_vector_x.bin"), MissingFileError)


# The format ----------------------------------------------------------------------------------------------------------------------------------------


def test_evidence() -> None:
    assert FORMAT.evidence(MemoryStorage({f"{LOG}/x": ""}), ROOT)
    assert FORMAT.evidence(MemoryStorage({f"{ROOT}/x": ""}), ROOT) is None
    assert FORMAT.open(MemoryStorage(), ROOT, {}).location == ROOT


def test_opening_reads_nothing() -> None:
    log = Log().create(add("f"))
    table = log.table
    assert (log.storage.reads, log.storage.lists) == ({}, {})
    assert table.format == "delta"


def test_comments_are_in_the_schema() -> None:
    schema = json.dumps({"type": "struct", "fields": [{"name": "id", "type": "long", "nullable": True, "metadata": {"comment": "the key"}}]})
    assert latest(Log().create(schema=schema)).schema.field("id").metadata[b"comment"] == b"the key"


def test_planning_reads_no_data_file() -> None:
    log = by_day()
    log.checkpoint(4, protocol(), metadata(schema_text(id="long", day="date"), ["day"]), add("day=2024-01-01/f", partition={"day": "2024-01-01"}))
    snapshot = latest(log)
    files = snapshot.scan(ScanRequest(("id", "day"), (compare("id", Op.GT, 3),)))
    snapshot.relate(files, ("id", "day"))
    assert all(path.startswith(LOG) for path in log.storage.reads)


def test_a_table_in_a_bucket() -> None:
    root = "s3://bucket/lake/t"
    log = Log(root).create(add("f0"), schema=schema_text(id="long"))
    log.checkpoint(0, protocol(), metadata(), add("f0", stats=stats(3, id=(1, 2, 0)))).commit(add("s3a://bucket/lake/t/f1"), add("s3://other/f2"))
    files = latest(log).scan(ScanRequest(("id",), (compare("id", Op.GT, 0),)))
    assert files.files["path"].to_pylist() == [f"{root}/f0", f"{root}/f1", "s3://other/f2"]
    assert files.live_rows.to_pylist() == [3, None, None]
