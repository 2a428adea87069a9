"""Tables with a history of changes, each built once: what `changes.py` measures. Rows have a key `id`, columns of random values, and `part`, a file each."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import iceberg_tables
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

CHANGED_ROWS = 10
COMMITS, UPDATED_OF_HUNDRED = 100, 1


def once(place: Path, build: Callable[[Path], None]) -> Path:
    """The folder, built if it is not there whole."""
    if not (place / "done").exists():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        build(place)
        (place / "done").touch()
    return place


def _parts(files: int, rows: int) -> Iterator[pa.Table]:
    """One table a file: ids in order, values at random."""
    random = np.random.default_rng(7)
    kinds = pa.array(["view", "click", "like", "share", "follow"])
    for part in range(files):
        ids = np.arange(part * rows, (part + 1) * rows, dtype=np.int64)
        values = {"user_id": random.integers(0, 10**6, rows), "amount": random.random(rows), "kind": kinds.take(pa.array(random.integers(0, 5, rows)))}
        yield pa.table({"id": ids, **values, "part": pa.repeat(pa.scalar(part, pa.int32()), rows)})


def _delta(place: Path, files: int, rows: int, *, feed: bool = False) -> None:
    """A Delta table of one file a part, in one commit; feed: with change files from then on."""
    from deltalake import CommitProperties, DeltaTable, convert_to_deltalake

    for part, table in enumerate(_parts(files, rows)):
        pq.write_table(table, place / f"part-{part:05}.parquet")
    convert_to_deltalake(str(place))
    if feed:
        DeltaTable(str(place)).alter.set_table_properties({"delta.enableChangeDataFeed": "true"}, commit_properties=CommitProperties())


def _update(table: object, predicate: str) -> None:
    table.update(updates={"amount": "amount + 1.0"}, predicate=predicate)  # type: ignore[attr-defined]


def delta_last_commit(data: Path, files: int, rows: int) -> tuple[Path, int]:
    """A table whose last commit rewrote one file to update a few rows, and the bytes of data files that commit added and removed."""
    from deltalake import DeltaTable

    def build(place: Path) -> None:
        _delta(place, files, rows)
        middle = files // 2 * rows
        _update(DeltaTable(str(place)), f"id >= {middle} AND id < {middle + CHANGED_ROWS}")

    place = once(data / f"changes-delta-{files}-{rows}", build)
    last = max((place / "_delta_log").glob("*.json"))
    actions = [json.loads(line) for line in last.read_text().splitlines()]
    changed = [(a.get("add") or a.get("remove")) for a in actions if "add" in a or "remove" in a]
    return place, sum(f["size"] for f in changed)


def iceberg_last_commit(data: Path, files: int, rows: int) -> tuple[Path, int]:
    """The same in Iceberg, where the last commit deleted a few rows: the metadata file, and the bytes of data files that commit added and removed."""
    from pyiceberg.catalog.sql import SqlCatalog
    from pyiceberg.expressions import And, GreaterThanOrEqual, LessThan
    from pyiceberg.table import StaticTable

    def build(place: Path) -> None:
        iceberg_tables.write_clean(place / "table", "changes", _parts(files, rows))
        catalog = SqlCatalog("again", uri="sqlite:///:memory:", warehouse=place.as_uri())
        catalog.create_namespace("again")
        table = catalog.register_table("again.changes", iceberg_tables.newest(place / "table").as_uri())
        middle = files // 2 * rows
        table.delete(And(GreaterThanOrEqual("id", middle), LessThan("id", middle + CHANGED_ROWS)))

    place = once(data / f"changes-iceberg-{files}-{rows}", build)
    newest = iceberg_tables.newest(place / "table")
    table = StaticTable.from_metadata(newest.as_uri())
    snapshot = table.current_snapshot()
    sizes = [
        {t.file.file_path: t.file.file_size_in_bytes for t in table.scan(snapshot_id=s).plan_files()}
        for s in (snapshot.parent_snapshot_id, snapshot.snapshot_id)
    ]
    return newest, sum((sizes[0] | sizes[1])[path] for path in sizes[0].keys() ^ sizes[1].keys())


def delta_history(data: Path, rows: int, *, feed: bool) -> Path:
    """A table of 100 files and 100 commits after it, each of which updates 1 % of the rows: every second one of two files chosen at random."""
    from deltalake import DeltaTable

    def build(place: Path) -> None:
        _delta(place, 100, rows // 100, feed=feed)
        random = np.random.default_rng(8)
        table = DeltaTable(str(place))
        for _ in range(COMMITS):
            first, second = random.choice(100, 2, replace=False).tolist()
            _update(table, f"part IN ({first}, {second}) AND id % 2 = {int(random.integers(0, 2))}")

    return once(data / f"changes-history-{rows}{'-feed' if feed else ''}", build)


def narrow(data: Path, rows: int, kind: str) -> Path:
    """A Delta table of one column, 1,000,000 rows a file. kind: "inserted" in its first commit; "recorded" as updated by change files of both images;
    "compared" where the second commit rewrote every file, a row in a hundred of it changed.
    """
    from deltalake import DeltaTable, convert_to_deltalake

    per_file = 1_000_000

    def write(path: Path, start: int, step: int, word: str | None = None) -> int:
        ids = np.arange(start, start + per_file, dtype=np.int64)
        if step:
            ids[::step] = -ids[::step] - 1
        columns = {"id": pa.array(ids)} | ({} if word is None else {"_change_type": pa.repeat(word, per_file)})
        pq.write_table(pa.table(columns), path, use_dictionary=["_change_type"] if word else False, column_encoding={"id": "DELTA_BINARY_PACKED"})
        return path.stat().st_size

    def build(place: Path) -> None:
        files = rows // per_file if kind == "inserted" else max(1, rows // per_file // 2)
        for number in range(files):
            write(place / f"part-{number:05}.parquet", number * per_file, 0)
        configuration = {"delta.enableChangeDataFeed": "true"} if kind == "recorded" else None
        convert_to_deltalake(str(place), configuration=configuration)
        if kind == "inserted":
            return
        told: list[dict[str, object]] = [{"commitInfo": {"timestamp": 1_760_000_000_000, "operation": "UPDATE"}}]
        (place / "_change_data").mkdir()
        for number in range(files):
            name, stamp = f"part-{number:05}.parquet", {"modificationTime": 1_760_000_000_000, "dataChange": True}
            size = write(place / f"again-{number:05}.parquet", number * per_file, 100)
            removed = {"path": name, "deletionTimestamp": 1_760_000_000_000, "dataChange": True, "partitionValues": {}, "size": (place / name).stat().st_size}
            told += [{"remove": removed}, {"add": {"path": f"again-{number:05}.parquet", "partitionValues": {}, "size": size, **stamp}}]
            for word, step in (("update_preimage", 0), ("update_postimage", 1)) if kind == "recorded" else ():
                change = f"_change_data/{word}-{number:05}.parquet"
                size = write(place / change, number * per_file, step, word)
                told.append({"cdc": {"path": change, "partitionValues": {}, "size": size, "dataChange": False}})
        version = DeltaTable(str(place)).version() + 1
        (place / "_delta_log" / f"{version:020}.json").write_text("\n".join(json.dumps(a) for a in told))

    return once(data / f"changes-narrow-{kind}-{rows}", build)
