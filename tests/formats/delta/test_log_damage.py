"""Damaged logs: whatever bytes change, a table is read whole or refused by an error of ours."""

from __future__ import annotations

import json
from contextlib import suppress

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.delta.log_maker import LOG, Log, add, metadata, parquet, protocol, remove, schema_text, vector
from formats.delta.test_log import signed
from lakesql.errors import Error
from lakesql.formats.delta.table import DeltaTable
from lakesql.predicate import Column, Compare, IsNull, Op
from lakesql.relation import Batches
from lakesql.storage import MemoryStorage
from lakesql.table import Latest, ScanRequest

UUID = "3a0d65cd-4056-49b8-937b-95f9e3ee90e5"


def whole() -> dict[str, bytes]:
    stats = json.dumps({"numRecords": 9, "minValues": {"id": 1, "s": "a"}, "maxValues": {"id": 5, "s": "b"}, "nullCount": {"id": 0, "s": 1}})
    head = [protocol(features=["deletionVectors", "v2Checkpoint"]), metadata(schema_text(id="long", s="string", day="date"), ["day"])]
    adds = [add(f"f{i}", partition={"day": "2024-01-01"}, stats=stats, dv=vector("v", 2) if i % 2 else None) for i in range(5)]
    log = Log().commit(*head, *adds)
    log.file(f"{0:020}.checkpoint.{UUID}.parquet", parquet([*head, {"sidecar": {"path": "s.parquet", "sizeInBytes": 1, "modificationTime": 1}}]))
    log.file("_sidecars/s.parquet", parquet(adds)).file("_last_checkpoint", signed({"version": 0, "size": 7}))
    log.commit({"commitInfo": {"operation": "DELETE"}}, remove("f0"), add("g", partition={"day": None}, stats=stats))
    return dict(log.storage.files)


FILES = whole()


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(FILES)), st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=3), st.integers(0, 3)), min_size=1, max_size=4), st.booleans())
def test_any_damage(name: str, changes: list[tuple[float, bytes, int]], cut: bool) -> None:
    content = bytearray(FILES[name])
    for place, replacement, length in changes:
        at = int(place * len(content))
        content[at : at + length] = replacement
    files = FILES | {name: bytes(content[: len(content) // 2] if cut else content)}
    table = DeltaTable(MemoryStorage(files), LOG.removesuffix("/_delta_log"), {})
    with suppress(Error):
        read_everything(table)


def read_everything(table: DeltaTable) -> None:
    snapshot = table.snapshot(Latest())
    name = snapshot.schema.names[0]
    for predicate in (IsNull(Column((name,))), Compare(Column((name,)), Op.GT, pa.scalar(3))):
        files = snapshot.scan(ScanRequest(tuple(snapshot.schema.names), (predicate,)))
        snapshot.relate(files, snapshot.schema.names)
        files.report.drops(None)
        files.extremes(name)
    for metadata_name in table.metadata_names:
        relation = table.metadata(metadata_name, Latest())
        assert isinstance(relation, Batches)
        relation.load().validate(full=True)
