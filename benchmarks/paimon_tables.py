"""Paimon tables written and read by pypaimon, for `paimon.py`. It runs under an interpreter that has pypaimon, which pins older libraries than lakesql is used
with; so it imports nothing of lakesql.

    PYTHON benchmarks/paimon_tables.py merge|compacted|buckets|partitions WAREHOUSE [--rows N]     writes one table, unless it is there
    PYTHON benchmarks/paimon_tables.py read WAREHOUSE TABLE REPETITIONS [all]                      times reads, prints one JSON object

merge        orders by key: N rows in a compacted level and a tenth as many newer versions of random ones in five runs
compacted    the first of those alone
buckets      256 buckets
partitions   1,000 days, a file each

pypaimon does not compact. What it writes in key order is a compacted level in all but its number, which is set before the commit.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

DATABASE = "bench"
RUNS, BUCKETS, MANY_BUCKETS, DAYS, TOP_LEVEL = 5, 4, 256, 1000, 5
FIRST_DAY = dt.date(2023, 6, 1)
COLUMNS = ("country", "quantity", "price")
"""What the smaller aggregate reads; the other reads all columns."""
SCHEMA = pa.schema(
    [
        pa.field("k", pa.int64(), nullable=False),
        ("country", pa.string()),
        ("quantity", pa.int32()),
        ("price", pa.float64()),
        ("note", pa.string()),
        ("at", pa.timestamp("us")),
    ]
)
_COUNTRIES = pa.array([f"country {n:02}" for n in range(40)])


def orders(keys: np.ndarray, seed: int) -> pa.Table:
    """Rows of the keys, random by the seed."""
    random = np.random.default_rng(seed)
    count = len(keys)
    return pa.table(
        [
            pa.array(keys),
            _COUNTRIES.take(pa.array(random.integers(0, len(_COUNTRIES), count))),
            pa.array(random.integers(1, 100, count).astype(np.int32)),
            pa.array(random.integers(100, 100_000, count) / 100),
            pc.binary_join_element_wise("note", pa.array(random.integers(0, 10_000, count)).cast(pa.string()), "-"),
            pa.array(1_700_000_000_000_000 + random.integers(0, 10**12, count)).cast(pa.timestamp("us")),
        ],
        schema=SCHEMA,
    )


def base(rows: int) -> Iterator[pa.Table]:
    """All keys in order."""
    step = 1_000_000
    for start in range(0, rows, step):
        yield orders(np.arange(start, min(start + step, rows)), start)


def newer(rows: int, run: int) -> pa.Table:
    """A run of newer versions."""
    count = rows // 10 // RUNS
    return orders(np.random.default_rng(1_000_000 + run).choice(rows, count, replace=False), 2_000_000 + run)


def write(table, parts: Iterator[pa.Table], level: int = 0) -> None:
    """One commit of the parts, on a level."""
    builder = table.new_batch_write_builder()
    writer, commit = builder.new_write(), builder.new_commit()
    for part in parts:
        writer.write_arrow(part)
    messages = writer.prepare_commit()
    for message in messages:
        for file in message.new_files:
            file.level = level
    commit.commit(messages)
    writer.close()
    commit.close()


def build(kind: str, warehouse: Path, rows: int) -> None:
    """Writes a table, unless it is there."""
    from pypaimon import CatalogFactory, Schema

    finished = warehouse / f"{kind}_{rows}.done"
    if finished.exists():
        return
    catalog = CatalogFactory.create({"warehouse": str(warehouse)})
    catalog.create_database(DATABASE, True)
    options = {"bucket": str(MANY_BUCKETS if kind == "buckets" else BUCKETS), "file.format": "parquet", "metadata.stats-mode": "truncate(16)"}
    schema, keys, partitions = SCHEMA, ["k"], []
    if kind == "partitions":
        schema, keys, partitions, options = SCHEMA.append(pa.field("day", pa.date32())), [], ["day"], {"bucket": "-1", "metadata.stats-mode": "truncate(16)"}
    name = f"{DATABASE}.{kind}_{rows}"
    catalog.drop_table(name, True)
    catalog.create_table(name, Schema.from_pyarrow_schema(schema, primary_keys=keys, partition_keys=partitions, options=options), False)
    table = catalog.get_table(name)
    if kind == "partitions":
        for start in range(0, DAYS, 100):
            write(table, (_of_day(start + n, rows // DAYS) for n in range(100)))
    else:
        write(table, base(rows), TOP_LEVEL)
    for run in range(RUNS if kind == "merge" else 0):
        write(table, iter([newer(rows, run)]))
    finished.touch()


def _of_day(number: int, rows: int) -> pa.Table:
    day = FIRST_DAY + dt.timedelta(days=number)
    part = orders(np.arange(number * rows, (number + 1) * rows), number)
    return part.append_column(pa.field("day", pa.date32()), pa.array([day] * rows, pa.date32()))


def read(warehouse: Path, name: str, repetitions: int, *, every: bool) -> None:
    """Seconds of each read of an aggregate's columns, and what the last one gave, by country: rows, quantities, prices; of every column, also keys, notes and
    times.
    """
    from pypaimon import CatalogFactory

    table = CatalogFactory.create({"warehouse": str(warehouse)}).get_table(f"{DATABASE}.{name}")
    seconds = []
    for _ in range(repetitions):
        start = time.perf_counter()
        builder = table.new_read_builder().with_projection(SCHEMA.names if every else list(COLUMNS))
        found = builder.new_read().to_arrow(builder.new_scan().plan().splits())
        seconds.append(time.perf_counter() - start)
    wanted = [("quantity", "count"), ("quantity", "sum"), ("price", "sum"), *([("k", "sum"), ("note", "count"), ("at", "count")] if every else [])]
    sums = found.group_by("country").aggregate(wanted)
    answer = sorted(zip(*(sums[c].to_pylist() for c in ("country", *(f"{c}_{f}" for c, f in wanted))), strict=True))
    print(json.dumps({"seconds": seconds, "answer": answer}))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["merge", "compacted", "buckets", "partitions", "read"])
    parser.add_argument("warehouse", type=Path)
    parser.add_argument("more", nargs="*")
    parser.add_argument("--rows", type=int, default=10_000_000)
    arguments = parser.parse_args()
    if arguments.what == "read":
        name, repetitions, *more = arguments.more
        read(arguments.warehouse, name, int(repetitions), every=bool(more))
    else:
        build(arguments.what, arguments.warehouse, arguments.rows)


if __name__ == "__main__":
    main()
