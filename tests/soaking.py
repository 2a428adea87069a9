"""Processes of the soak test: `soaking.py write FORMAT PLACE SECONDS` and `soaking.py consume FORMAT PLACE OUTPUT`.

The consumer keeps rows, and up to which version they go, in one SQLite transaction, and then advances; killed in between, it advances first when it is started
again. Everything it calls is public.
"""

from __future__ import annotations

import random
import sqlite3
import sys
import time
from itertools import count
from pathlib import Path

import pyarrow as pa

CONSUMER = "soak"


def rows(start: int, size: int) -> pa.Table:
    return pa.table({"id": pa.array(range(start, start + size), pa.int64())})


def write(format_: str, place: Path, seconds: float) -> None:
    """Commits of a few rows each, with ids in order, for so long."""
    append = _delta(place) if format_ == "delta" else _iceberg(place)
    end, start = time.monotonic() + seconds, 0
    for _ in count():
        size = random.randint(1, 20)
        append(rows(start, size))
        start += size
        if time.monotonic() > end:
            return
        time.sleep(random.random() * 0.05)


def consume(place: Path, output: Path) -> None:
    """Reads for ever what comes since the consumer was advanced."""
    import lakesql

    with sqlite3.connect(output, isolation_level=None, timeout=30) as kept, lakesql.connect(str(place)) as lake:
        kept.execute("CREATE TABLE IF NOT EXISTS rows (id INTEGER, version TEXT, kind TEXT)")
        kept.execute("CREATE TABLE IF NOT EXISTS position (version TEXT)")
        position = kept.execute("SELECT version FROM position").fetchone()
        if position is not None:
            lake.execute(f"ADVANCE CONSUMER '{CONSUMER}' ON t TO VERSION {position[0]}")
        while True:
            cursor = lake.execute(f"SELECT id, _commit_version, _change_type FROM t CHANGES SINCE CONSUMER '{CONSUMER}'")
            found = cursor.fetchall()
            if found:
                last = cursor.snapshots[0].version.split()[-1]
                kept.execute("BEGIN")
                kept.executemany("INSERT INTO rows VALUES (?, ?, ?)", [(i, str(v), k) for i, v, k in found])
                kept.execute("DELETE FROM position")
                kept.execute("INSERT INTO position VALUES (?)", (last,))
                kept.execute("COMMIT")
            lake.execute(f"ADVANCE CONSUMER '{CONSUMER}'")
            time.sleep(0.02)


def _delta(place: Path):  # type: ignore[no-untyped-def]
    import deltalake

    return lambda table: deltalake.write_deltalake(str(place), table, mode="append")


def _iceberg(place: Path):  # type: ignore[no-untyped-def]
    from pyiceberg.catalog.sql import SqlCatalog

    catalog = SqlCatalog("soak", uri=f"sqlite:///{place.parent / 'catalog.db'}", warehouse=f"file://{place.parent}")
    catalog.create_namespace_if_not_exists("s")
    return catalog.create_table("s.t", schema=rows(0, 1).schema, location=f"file://{place}").append


if __name__ == "__main__":
    if sys.argv[1] == "write":
        write(sys.argv[2], Path(sys.argv[3]), float(sys.argv[4]))
    else:
        consume(Path(sys.argv[3]), Path(sys.argv[4]))
