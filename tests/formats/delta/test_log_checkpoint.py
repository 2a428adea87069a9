"""Checkpoints: every form there is, read leaf by leaf, and what happens to those that are not what they say."""

from __future__ import annotations

import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from formats.delta.log_maker import ADD, CHECKPOINT, LOG, ROOT, Action, Log, add, metadata, parquet, protocol, remove, vector
from formats.delta.test_log import signed
from lakesql.errors import MetadataError, MissingFileError
from lakesql.formats.delta.checkpoint import CheckpointReader
from lakesql.formats.delta.log import Checkpoint, CheckpointKind
from lakesql.table import Latest

UUID = "3a0d65cd-4056-49b8-937b-95f9e3ee90e5"
HEAD = [protocol(), metadata()]


def with_checkpoint(version: int, name: str, content: bytes) -> Log:
    """A log of which nothing but the checkpoint is left, so that nothing else can tell of the files."""
    log = Log()
    log.version = version
    return log.file(name, content)


def sidecar(name: str) -> Action:
    return {"sidecar": {"path": name, "sizeInBytes": 1, "modificationTime": 1}}


def lines(*actions: Action) -> bytes:
    return "".join(json.dumps(a) + "\n" for a in actions).encode()


# Forms ---------------------------------------------------------------------------------------------------------------------------------------------


def test_classic() -> None:
    rows = [*HEAD, add("a"), remove("gone"), add("b", dv=vector("x")), {"txn": {"appId": "app", "version": 7}}]
    log = with_checkpoint(3, f"{3:020}.checkpoint.parquet", parquet(rows))
    assert log.paths() == ["a", "b"]


def test_multi_part() -> None:
    log = with_checkpoint(3, f"{3:020}.checkpoint.{1:010}.{2:010}.parquet", parquet([*HEAD, add("a")]))
    log.file(f"{3:020}.checkpoint.{2:010}.{2:010}.parquet", parquet([add("b"), remove("c")]))
    assert log.paths() == ["a", "b"]


@pytest.mark.parametrize("name", [f"{3:020}.checkpoint.{UUID}.parquet", f"{3:020}.checkpoint.parquet"])
def test_v2_with_sidecars_under_either_name(name: str) -> None:
    log = with_checkpoint(3, name, parquet([*HEAD, {"checkpointMetadata": {"version": 3}}, sidecar("one.parquet"), sidecar("two%20more.parquet")]))
    log.file("_sidecars/one.parquet", parquet([add("a"), remove("r")], columns=["add", "remove"]))
    log.file("_sidecars/two more.parquet", parquet([add("b")], columns=["add"]))
    assert log.paths() == ["a", "b"]


def test_v2_as_json_with_and_without_sidecars() -> None:
    log = with_checkpoint(3, f"{3:020}.checkpoint.{UUID}.json", lines(*HEAD, {"checkpointMetadata": {"version": 3}}, add("a"), sidecar("one.parquet")))
    log.file("_sidecars/one.parquet", parquet([add("b")]))
    assert log.paths() == ["a", "b"]


def test_the_hint_spares_the_main_file_of_a_v2_checkpoint() -> None:
    name = f"{0:020}.checkpoint.{UUID}.json"
    log = Log().create(add("a")).file(name, lines(*HEAD, sidecar("one.parquet"))).file("_sidecars/one.parquet", parquet([add("a")]))
    log.commit(*HEAD, add("b"))
    log.file("_last_checkpoint", signed({"version": 0, "v2Checkpoint": {"path": name, "sidecarFiles": [{"path": "one.parquet", "sizeInBytes": 1}]}}))
    assert log.paths() == ["a", "b"]
    assert f"{LOG}/{name}" not in log.storage.reads
    log.hint(0, v2Checkpoint={"path": name, "sizeInBytes": 1})
    assert log.paths() == ["a", "b"]
    assert f"{LOG}/{name}" in log.storage.reads
    log.file("_last_checkpoint", signed({"version": 0, "v2Checkpoint": {"path": "another", "sidecarFiles": [{"path": "other.parquet", "sizeInBytes": 1}]}}))
    assert log.paths() == ["a", "b"]


def test_a_sidecars_folder_in_its_path_is_not_believed() -> None:
    log = with_checkpoint(3, f"{3:020}.checkpoint.{UUID}.json", lines(*HEAD, sidecar("s3://old/place/_delta_log/_sidecars/one.parquet")))
    log.file("_sidecars/one.parquet", parquet([add("b")]))
    assert log.paths() == ["b"]


def test_commits_after_a_checkpoint_count() -> None:
    log = with_checkpoint(3, f"{3:020}.checkpoint.parquet", parquet([*HEAD, add("a"), add("b")]))
    log.commit(remove("a"), add("c"), {"txn": {"appId": "app", "version": 2}})
    assert log.paths() == ["b", "c"]
    assert log.table.metadata("transactions", Latest()).load().to_pylist()[0]["version"] == 2  # type: ignore[union-attr]


# Reading little ------------------------------------------------------------------------------------------------------------------------------------


def test_small_actions_in_any_row_group() -> None:
    rows = [add("a0"), add("a1"), *HEAD, *(remove(f"r{i}") for i in range(8)), {"txn": {"appId": "x", "version": 1}}, *(add(f"a{i}") for i in range(2, 4))]
    log = with_checkpoint(3, f"{3:020}.checkpoint.parquet", parquet(rows, row_group_size=2))
    assert log.paths() == ["a0", "a1", "a2", "a3"]
    assert list(log.table.snapshot(Latest()).state.others.get().txns) == ["x"]


def test_row_groups_are_put_together() -> None:
    rows = [*HEAD, *(add(f"a{i}") for i in range(40))]
    log = with_checkpoint(3, f"{3:020}.checkpoint.parquet", parquet(rows, row_group_size=2))
    assert len(log.table.snapshot(Latest()).files.parts) == 1


def test_a_checkpoint_is_opened_only_when_it_is_asked() -> None:
    log = Log().create(add("a"))
    log.checkpoint(0, *HEAD, add("a")).commit(protocol(), metadata(), add("b"))
    snapshot = log.table.snapshot(Latest())
    assert snapshot.version == "1"
    assert not any("checkpoint.parquet" in path for path in log.storage.reads)
    assert len(snapshot.files) == 2


def test_columns_whose_names_hold_dots_are_told_apart() -> None:
    stats = pa.struct(
        [
            ("numRecords", pa.int64()),
            ("minValues", pa.struct([("a.b", pa.int64()), ("a", pa.struct([("b", pa.int64())]))])),
            ("maxValues", pa.struct([("a.b", pa.int64()), ("a", pa.struct([("b", pa.int64())]))])),
        ]
    )
    type_ = pa.struct([*CHECKPOINT["add"], ("stats_parsed", stats)])
    row = {"path": "f", "size": 1, "stats_parsed": {"numRecords": 3, "minValues": {"a.b": 1, "a": {"b": 10}}, "maxValues": {"a.b": 2, "a": {"b": 20}}}}
    sink = io.BytesIO()
    pq.write_table(pa.table({"add": pa.array([row], type_)}), sink)
    log = with_checkpoint(0, f"{0:020}.checkpoint.parquet", sink.getvalue())
    entry = next(log.storage.list(LOG))
    reader = CheckpointReader(log.storage, LOG, ROOT, Checkpoint(0, CheckpointKind.CLASSIC, (entry,)))
    (block,) = reader.blocks
    for path, value in ((("a.b",), 1), (("a", "b"), 10)):
        found = block.stats_struct(path)
        assert found is not None
        least = found[0]["minValues"]
        for name in path:
            least = least[name]
        assert least.as_py() == value


# Other writers' layouts ----------------------------------------------------------------------------------------------------------------------------


def test_columns_may_lack_or_have_other_widths_and_encodings() -> None:
    type_ = pa.struct([("path", pa.large_string()), ("size", pa.int32()), ("partitionValues", pa.map_(pa.string(), pa.large_string()))])
    rows = [None, {"path": "a", "size": 5, "partitionValues": [("p", "1")]}, {"path": "b", "size": None, "partitionValues": None}]
    table = pa.table({"add": pa.array(rows, type_), "protocol": pa.array([HEAD[0]["protocol"], None, None], CHECKPOINT["protocol"])})
    sink = io.BytesIO()
    pq.write_table(table, sink)
    log = with_checkpoint(0, f"{0:020}.checkpoint.parquet", sink.getvalue()).commit(metadata(), version=1)
    assert log.paths() == ["a", "b"]
    files = log.table.snapshot(Latest()).files
    assert files.column("size").to_pylist() == [5, None]
    assert files.column("partitionValues").to_pylist() == [[("p", "1")], None]
    assert files.column("deletionVector").null_count == 2


def test_unknown_columns_are_ignored() -> None:
    type_ = pa.struct([*ADD.items(), ("newField", pa.int8())])
    table = pa.table({"add": pa.array([{"path": "a", "size": 1, "newField": 1}], type_), "newAction": pa.array([{"x": 1}])})
    sink = io.BytesIO()
    pq.write_table(table, sink)
    log = with_checkpoint(0, f"{0:020}.checkpoint.parquet", sink.getvalue()).commit(protocol(), metadata(), version=1)
    assert log.paths() == ["a"]


# Damage --------------------------------------------------------------------------------------------------------------------------------------------


def test_what_is_no_parquet() -> None:
    log = with_checkpoint(3, f"{3:020}.checkpoint.parquet", b"PAR1 nothing of the sort")
    with pytest.raises(MetadataError, match=r"checkpoint file .*cannot be read"):
        log.paths()


def test_a_checkpoint_cut_short() -> None:
    whole = parquet([*HEAD, add("a")])
    log = with_checkpoint(3, f"{3:020}.checkpoint.parquet", whole[: len(whole) // 2])
    with pytest.raises(MetadataError, match="cannot be read"):
        log.paths()


def test_a_checkpoint_whose_data_is_damaged() -> None:
    content = bytearray(parquet([*HEAD, *(add(f"file-{i}") for i in range(500))]))
    content[200:3000] = bytes(2800)
    log = with_checkpoint(3, f"{3:020}.checkpoint.parquet", bytes(content))
    with pytest.raises(MetadataError):
        log.paths()


def test_text_that_is_not_utf_8() -> None:
    rows = parquet([*HEAD, add("file-with-a-name")])
    log = with_checkpoint(3, f"{3:020}.checkpoint.parquet", rows.replace(b"file-with-a-name", b"file-with-\xffxname"))
    with pytest.raises(MetadataError, match=r"add\.path holds what is no string"):
        log.paths()


def test_a_checkpoint_without_paths() -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table({"add": pa.array([{"size": 1}], pa.struct([("size", pa.int64())]))}), sink)
    log = with_checkpoint(0, f"{0:020}.checkpoint.parquet", sink.getvalue()).commit(protocol(), metadata(), version=1)
    with pytest.raises(MetadataError, match=r"lacks the column add\.path"):
        log.paths()


def test_a_checkpoint_with_an_add_of_another_shape() -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table({"add": pa.array([{"path": 5, "size": "x"}])}), sink)
    log = with_checkpoint(0, f"{0:020}.checkpoint.parquet", sink.getvalue()).commit(protocol(), metadata(), version=1)
    with pytest.raises(MetadataError, match=r"add\.size is string; expected int64"):
        log.table.snapshot(Latest()).files.column("size")


@pytest.mark.parametrize(("rows", "words"), [([protocol(), add("a")], "holds no table metadata"), ([metadata(), add("a")], "holds no protocol")])
def test_a_checkpoint_without_protocol_or_metadata(rows: list[Action], words: str) -> None:
    log = with_checkpoint(3, f"{3:020}.checkpoint.parquet", parquet(rows))
    with pytest.raises(MetadataError, match=words):
        log.paths()


def test_a_sidecar_that_is_gone() -> None:
    log = with_checkpoint(3, f"{3:020}.checkpoint.{UUID}.json", lines(*HEAD, sidecar("lost.parquet")))
    with pytest.raises(MissingFileError, match=r"lost\.parquet"):
        log.paths()


@pytest.mark.parametrize("name", ["", "..", "a/", "%2e%2e", "x%2Fy", None])
def test_a_sidecar_that_would_lie_elsewhere(name: str | None) -> None:
    action: Action = {"sidecar": {"path": name, "sizeInBytes": 1, "modificationTime": 1}}
    log = with_checkpoint(3, f"{3:020}.checkpoint.{UUID}.json", lines(*HEAD, action))
    with pytest.raises(MetadataError, match="names a sidecar"):
        log.paths()


# Checksum files ------------------------------------------------------------------------------------------------------------------------------------


def test_a_checksum_file_spares_the_checkpoint() -> None:
    log = Log().create(add("a")).checkpoint(0, *HEAD, add("a")).commit(add("b"))
    crc = {"tableSizeBytes": 200, "numFiles": 2, "protocol": protocol()["protocol"], "metadata": metadata()["metaData"]}
    log.file(f"{1:020}.crc", json.dumps(crc))
    snapshot = log.table.snapshot(Latest())
    assert snapshot.schema.names == ["id"]
    assert not any("checkpoint.parquet" in path for path in log.storage.reads)
    assert sorted(snapshot.files.column("path").to_pylist()) == ["a", "b"]


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"protocol": 5, "metadata": 6}', '{"protocol": {}, "metadata": {"schemaString": 1}}'])
def test_a_checksum_file_that_is_none_is_no_error(content: str) -> None:
    log = Log().create(add("a")).checkpoint(0, *HEAD, add("a")).commit(add("b")).file(f"{1:020}.crc", content)
    assert log.paths() == ["a", "b"]


def test_the_commits_own_word_wins_over_the_checksum_file() -> None:
    log = Log().create(add("a"))
    log.file(f"{0:020}.crc", json.dumps({"protocol": protocol(reader=9)["protocol"], "metadata": metadata(id="other")["metaData"]}))
    assert log.table.snapshot(Latest()).state.metadata.id == "a-table"
