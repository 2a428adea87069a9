"""The corpus through a table's public objects, without an engine: schemas, row counts from the log alone, and that every version opens."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from conformance.cases import Read, corpus, load

from formats.delta.corpus_log import delta_tables
from lakesql.errors import Error
from lakesql.formats.delta.snapshot import DeltaSnapshot
from lakesql.formats.delta.table import DeltaTable
from lakesql.storage import LocalStorage, MemoryStorage
from lakesql.table import At, AtVersion, Latest, ScanRequest

WHOLE = re.compile(r"SELECT \* FROM t(?: VERSION AS OF (\d+))?")


def reads() -> Iterator[tuple[Path, DeltaTable, Read, At]]:
    """Reads of whole versions."""
    root, whole = corpus()
    if not whole:
        pytest.skip("THE CORPUS IS NOT HERE (LAKESQL_CORPUS, or ../shared/corpus beside the checkout): no real table was opened")
    for case in load(root):
        if case.format == "delta":
            table = DeltaTable(LocalStorage(), str(case.folder / case.table), {})
            for read in case.reads:
                found = WHOLE.fullmatch(read.sql)
                if found is not None:
                    yield case.folder, table, read, AtVersion(found[1]) if found[1] else Latest()


def test_schemas_and_row_counts() -> None:
    counted = 0
    for folder, table, read, at in reads():
        if read.expected is None:
            continue
        snapshot = table.snapshot(at)
        answer = pq.ParquetFile(folder / read.expected)
        assert snapshot.schema.names == answer.schema_arrow.names, read.id
        files = snapshot.scan(ScanRequest(tuple(snapshot.schema.names)))
        snapshot.relate(files, snapshot.schema.names)
        if files.live_rows.null_count == 0:
            counted += 1
            assert sum(files.live_rows.to_pylist()) == answer.metadata.num_rows, read.id
    assert counted > 300


def test_versions_that_cannot_be_read_are_errors_of_ours() -> None:
    refused = 0
    for _, table, read, at in reads():
        if read.error is None or "data file" in read.error:
            continue
        with pytest.raises(Error):
            table.snapshot(at)
        refused += 1
    assert refused > 50


def test_logs_that_grow_under_an_open_table() -> None:
    """A table kept open while its log is written again, commit by commit, sees at each what a table opened then sees."""
    steps = 0
    for folder in delta_tables():
        storage = MemoryStorage()
        kept = DeltaTable(storage, "/t", {})
        files = sorted((f for f in (folder / "_delta_log").rglob("*") if f.is_file()), key=lambda f: (version_of(f.name), "checkpoint" in f.name))
        if not files or not any(version_of(f.name) == 0 for f in files):
            continue
        for file in files:
            name = file.relative_to(folder / "_delta_log")
            storage.files[f"/t/_delta_log/{name}"] = file.read_bytes()
            if not re.fullmatch(r"\d{20}\.json", file.name):
                continue
            try:
                expected = keys(DeltaTable(storage, "/t", {}).snapshot(Latest()))
            except Error:
                continue
            assert keys(kept.snapshot(Latest())) == expected, file
            steps += 1
    assert steps > 300


def version_of(name: str) -> int:
    """The version in a log file's name; sidecars and hints, which may be there before they are needed, come first."""
    return int(name[:20]) if name[:20].isdigit() else -1


def keys(snapshot: DeltaSnapshot) -> list[tuple[str, str | None]]:
    vectors = snapshot.files.column("deletionVector").to_pylist()
    return sorted(zip(snapshot.files.column("path").to_pylist(), [None if v is None else str(v) for v in vectors], strict=True), key=str)
