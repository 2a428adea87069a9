"""One engine, one table of very many files, in a process of its own: seconds to the first answer, to later ones, and the peak of memory.

    python benchmarks/cold.py ENGINE TABLE PREDICATE [PREDICATE ...]      prints one JSON object

Engines whose names end in -iceberg read the table as Iceberg, lakesql finds out itself.

The first predicate is timed from before the engine is imported, the others as repeated questions of one session with other values. Every engine plans a
scan of the table under the predicate and says how many data files are left; no data file exists, so none can be read. --append writes a commit of one file
before the last predicate and takes it away again.
"""

from __future__ import annotations

import time

START = time.perf_counter()

import argparse  # noqa: E402 - the clock starts before anything is imported
import contextlib  # noqa: E402
import json  # noqa: E402
import re  # noqa: E402
import resource  # noqa: E402
import sys  # noqa: E402
from collections.abc import Callable, Iterator  # noqa: E402
from pathlib import Path  # noqa: E402

sys.path.insert(0, str(Path(__file__).parent))

Plan = Callable[[str], int | None]


metadata_files: list[int] = []
"""How many metadata files each question took, where the engine says so."""


def lakesql(table: Path) -> Plan:
    """EXPLAIN PRUNING, which opens, prunes and lists."""
    import lakesql

    connection = lakesql.connect(tables={"t": str(table)})

    def plan(predicate: str) -> int:
        with contextlib.closing(connection.cursor()) as cursor:
            cursor.execute(f"EXPLAIN PRUNING SELECT * FROM t WHERE {predicate}")
            lines = "\n".join(cursor.fetch_arrow_table()["plan"].to_pylist())
        kept = re.search(r"([\d,]+) kept", lines)
        if kept is None:
            raise SystemExit(f"no count of kept files in:\n{lines}")
        read = re.search(r"metadata +([\d,]+) files? read", lines)
        if read is not None:
            metadata_files.append(int(read[1].replace(",", "")))
        return int(kept[1].replace(",", ""))

    return plan


def deltalake(table: Path) -> Plan:
    """The table opened, then its file list under the predicate."""
    import deltalake

    opened = deltalake.DeltaTable(str(table))
    return lambda predicate: len(opened.file_uris(file_pruning_predicate=re.sub(r"\bDATE '", "'", predicate)))


def duckdb(table: Path) -> Plan:
    """EXPLAIN of delta_scan, which plans the scan; it does not say how many files are left."""
    from engines import Absent, duckdb_connection

    connection, has_delta = duckdb_connection()
    if not has_delta:
        raise Absent("duckdb's delta extension is not installed")

    def plan(predicate: str) -> None:
        connection.execute(f"EXPLAIN SELECT * FROM delta_scan('{table}') WHERE {predicate}").fetchall()

    return plan


def polars(table: Path) -> Plan:
    """The lazy scan's optimised plan."""
    import polars as pl

    context = pl.SQLContext(t=pl.scan_delta(str(table)))

    def plan(predicate: str) -> None:
        context.execute(f"SELECT * FROM t WHERE {predicate}", eager=False).explain()

    return plan


def pyiceberg(table: Path) -> Plan:
    """The table opened, then its files under the predicate."""
    from iceberg_tables import newest
    from pyiceberg.table import StaticTable

    opened = StaticTable.from_metadata(newest(table).as_uri())
    return lambda predicate: sum(1 for _ in opened.scan(row_filter=re.sub(r"\bDATE '", "'", predicate)).plan_files())


def duckdb_iceberg(table: Path) -> Plan:
    """EXPLAIN of iceberg_scan, which plans the scan; it does not say how many files are left."""
    from iceberg_engines import duckdb_connection
    from iceberg_tables import newest

    connection, metadata = duckdb_connection(), newest(table)

    def plan(predicate: str) -> None:
        connection.execute(f"EXPLAIN SELECT * FROM iceberg_scan('{metadata}') WHERE {predicate}").fetchall()

    return plan


def polars_iceberg(table: Path) -> Plan:
    """The lazy scan's optimised plan, which resolves the scan's files."""
    import polars as pl
    from iceberg_tables import newest

    context = pl.SQLContext(t=pl.scan_iceberg(str(newest(table))))

    def plan(predicate: str) -> None:
        context.execute(f"SELECT * FROM t WHERE {predicate}", eager=False).explain()

    return plan


ENGINES = {
    "lakesql": lakesql,
    "deltalake": deltalake,
    "duckdb": duckdb,
    "polars": polars,
    "pyiceberg-iceberg": pyiceberg,
    "duckdb-iceberg": duckdb_iceberg,
    "polars-iceberg": polars_iceberg,
}


@contextlib.contextmanager
def appended(table: Path) -> Iterator[None]:
    """One more commit while the context lasts."""
    from million import write_commit

    log = table / "_delta_log"
    last = max(int(p.stem) for p in log.glob("*.json") if p.stem.isdigit())
    add = {"path": "day=2023-06-01/part-new.parquet", "partitionValues": {"day": "2023-06-01"}, "size": 1000, "modificationTime": 0, "dataChange": True}
    commit = write_commit(log, last + 1, [{"commitInfo": {"timestamp": 1_790_000_100_000}}, {"add": add | {"stats": '{"numRecords":1}'}}])
    try:
        yield
    finally:
        commit.unlink()


def peak_mb() -> float:
    """The most memory the process ever held. What the system counts as such is at first what the process that started it held, so Linux is asked itself."""
    with contextlib.suppress(OSError):
        held = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
        if held is not None:
            return int(held[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine", choices=list(ENGINES))
    parser.add_argument("table", type=Path)
    parser.add_argument("predicates", nargs="+")
    parser.add_argument("--append", action="store_true")
    arguments = parser.parse_args()
    plan = ENGINES[arguments.engine](arguments.table)
    seconds: list[float] = []
    kept: list[int | None] = []
    start = START
    for place, predicate in enumerate(arguments.predicates):
        is_last = place == len(arguments.predicates) - 1
        with appended(arguments.table) if arguments.append and is_last else contextlib.nullcontext():
            start = start if place == 0 else time.perf_counter()
            kept.append(plan(predicate))
            seconds.append(time.perf_counter() - start)
    print(json.dumps({"seconds": seconds, "kept": kept, "peak_mb": peak_mb(), "metadata_files": metadata_files[0] if metadata_files else None}))


if __name__ == "__main__":
    main()
