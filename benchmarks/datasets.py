"""DuckDB over `lakesql.dataset` on lineitem with one row in a hundred deleted, beside DuckDB over pyarrow's own dataset of the same files without deletes.

    python benchmarks/datasets.py --data DIR [--scale 1] [--repetitions 5]

Each repetition opens its datasets anew, planning included.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import duckdb
import lineitem
import pyarrow.dataset as pads
from measure import Row, medians, progress, table

import lakesql

QUERIES = {
    "Q1": """SELECT l_returnflag, l_linestatus, sum(l_quantity), sum(l_extendedprice), sum(l_extendedprice * (1 - l_discount)), min(l_discount), count(*)
             FROM rows WHERE l_shipdate <= DATE '1998-09-02' GROUP BY 1, 2 ORDER BY 1, 2""",
    "Q6": """SELECT sum(l_extendedprice * l_discount) FROM rows
             WHERE l_shipdate >= DATE '1994-01-01' AND l_shipdate < DATE '1995-01-01' AND l_discount BETWEEN 0.05 AND 0.07 AND l_quantity < 24""",
    "one day": "SELECT count(*), sum(l_quantity) FROM rows WHERE l_shipdate = DATE '1995-03-15'",
    "every column": "SELECT count(l_comment), max(l_shipmode), max(l_orderkey), max(l_partkey), max(l_shipinstruct) FROM rows",
}
PYARROW, CLEAN, DELETED = "pyarrow, no deletes", "lakesql, no deletes", "lakesql, 1 % deleted"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--repetitions", type=int, default=5)
    arguments = parser.parse_args()
    tables = lineitem.build(arguments.data, arguments.scale)
    files = [str(f.path) for f in tables.files]

    def over(opened: Callable[[], pads.Dataset], sql: str) -> Callable[[], object]:
        def run() -> object:
            rows = opened()  # noqa: F841  # DuckDB finds it by its name
            return duckdb.connect().execute(sql).fetchall()

        return run

    subjects: dict[str, Callable[[], pads.Dataset]] = {
        PYARROW: lambda: pads.dataset(files),
        CLEAN: lambda: lakesql.dataset(str(tables.clean)),
        DELETED: lambda: lakesql.dataset(str(tables.vectored)),
    }
    rows = []
    for name, sql in QUERIES.items():
        progress(name)
        assert over(subjects[CLEAN], sql)() == over(subjects[PYARROW], sql)(), name
        rows.append(Row(name, medians({s: over(d, sql) for s, d in subjects.items()}, warm_up=1, repetitions=arguments.repetitions)))
    print(table(f"DuckDB over lineitem, scale {arguments.scale:g}", rows, PYARROW))


if __name__ == "__main__":
    main()
