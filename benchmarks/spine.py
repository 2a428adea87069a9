"""How fast is lakesql on Delta tables, and next to what? One table of medians and ratios, everything measured in the same run.

    .venv/bin/pip install '.[bench]'
    .venv/bin/python benchmarks/spine.py                                   everything; 1-2 GB under benchmarks/data, which git ignores
    .venv/bin/python benchmarks/spine.py --only queries,vectors --scale 0.1
    .venv/bin/python benchmarks/spine.py --only million --files 100000

Parts, each to be picked by --only:

queries    (lakesql keeps the plan of a text it has run; "planned anew" is lakesql asked in a new text each time.)
           TPC-H lineitem (tpchgen-cli) sorted by ship date in 200 files: Q1, Q6, a top-10, one day, one row, count(*). lakesql against DataFusion by hand
           over the very files that a perfect reader keeps, deltalake's QueryBuilder, polars, and DuckDB (delta_scan where its extension is installed, else
           its Parquet reader over the same files).
planning   the same table warm: EXPLAIN of the one-day query in lakesql against DataFusion's planning of it over the kept file alone; the difference is what
           lakesql adds.
vectors    the same questions on a copy whose files all carry a deletion vector of one row in a hundred, against the clean table.
million    a table of 1,000,000 files made of its log alone (`million.py`), with statistics as a struct and as JSON: seconds and peak memory of a new process
           that plans a scan of one day (a partition) and of one event id (a column), then of the same questions with other values in the same session, then
           after one more commit.

Ratios in brackets are an engine's time over lakesql's: 2.00x means lakesql takes half as long. The machine matters little to them, the other engines'
versions do: they are printed. Every engine's answer is compared with lakesql's before anything is timed. Nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import engines
import lineitem
import million
import pyarrow as pa
from measure import Row, medians, progress, table

HERE = Path(__file__).parent
FIRST, LAST = dt.date(1992, 1, 1), dt.date(1998, 12, 31)
DAY = dt.date(1995, 3, 15)


@dataclass(frozen=True)
class Question:
    """A statement over `lineitem` and the ship dates it is about: only files that cover them need be read."""

    name: str
    sql: str
    first_day: dt.date = FIRST
    last_day: dt.date = LAST


Q1 = """
SELECT l_returnflag, l_linestatus, sum(l_quantity) AS sum_qty, sum(l_extendedprice) AS sum_base_price, sum(l_extendedprice * (1 - l_discount)) AS
sum_disc_price,
       sum(l_extendedprice * (1 - l_discount) * (1 + l_tax)) AS sum_charge, avg(l_quantity) AS avg_qty, avg(l_extendedprice) AS avg_price, avg(l_discount) AS
       avg_disc, count(*) AS count_order
FROM lineitem WHERE l_shipdate <= DATE '1998-09-02'
GROUP BY l_returnflag, l_linestatus ORDER BY l_returnflag, l_linestatus"""
Q6 = """
SELECT sum(l_extendedprice * l_discount) AS revenue FROM lineitem
WHERE l_shipdate >= DATE '1994-01-01' AND l_shipdate < DATE '1995-01-01' AND l_discount BETWEEN 0.05 AND 0.07 AND l_quantity < 24"""
TOP_10 = "SELECT l_orderkey, l_linenumber, l_extendedprice FROM lineitem ORDER BY l_extendedprice DESC, l_orderkey, l_linenumber LIMIT 10"
ONE_DAY = (
    f"SELECT l_shipmode, count(*) AS n, sum(l_extendedprice) AS price FROM lineitem WHERE l_shipdate = DATE '{DAY}' GROUP BY l_shipmode ORDER BY l_shipmode"
)
COUNT = "SELECT count(*) AS n FROM lineitem"


def questions(table: lineitem.Lineitem) -> list[Question]:
    """The six questions; the one row is picked from the data."""
    import pyarrow.parquet as pq

    row = pq.read_table(table.covering(DAY, DAY)[0], filters=[("l_shipdate", "=", DAY)]).slice(0, 1).to_pylist()[0]
    one_row = f"SELECT * FROM lineitem WHERE l_shipdate = DATE '{DAY}' AND l_orderkey = {row['l_orderkey']} AND l_linenumber = {row['l_linenumber']}"
    return [
        Question("Q1", Q1, FIRST, dt.date(1998, 9, 2)),
        Question("Q6", Q6, dt.date(1994, 1, 1), dt.date(1994, 12, 31)),
        Question("top-10", TOP_10),
        Question("one day", ONE_DAY, DAY, DAY),
        Question("one row", one_row, DAY, DAY),
        Question("count(*)", COUNT),
    ]


@dataclass(frozen=True)
class Options:
    """The command line."""

    data: Path
    scale: float
    files: int
    repetitions: int
    warm_up: int


# queries, planning, vectors ------------------------------------------------------------------------------------------------------------------------


def queries(options: Options) -> str:
    """Every engine on the clean table."""
    tables = lineitem.build(options.data, options.scale)
    ours = engines.Lakesql(tables.clean)
    all_files = [f.path for f in tables.files]
    peers = present(
        lambda: engines.LakesqlAnew(tables.clean),
        lambda: engines.Deltalake(tables.clean),
        lambda: engines.Polars(tables.clean),
        lambda: engines.DuckDB(tables.clean, all_files),
    )
    rows = []
    for number, question in enumerate(questions(tables)):
        kept = tables.covering(question.first_day, question.last_day)
        hand = engines.ByHand(kept, options.data / "kept" / f"{options.scale:g}-{number}")
        rows.append(compared(question, [ours, hand, *peers], options))
        rows[-1].remarks.append(f"{len(kept)} of {len(all_files)} files")
    return table("warm, clean table", rows, ours.name)


def planning(options: Options) -> str:
    """What lakesql adds to DataFusion's own planning."""
    tables = lineitem.build(options.data, options.scale)
    ours = engines.Lakesql(tables.clean)
    hand = engines.ByHand(tables.covering(DAY, DAY), options.data / "kept" / f"{options.scale:g}-planning")
    row = Row("plan of one day")
    row.milliseconds = medians(
        {ours.name: lambda: ours.run(f"EXPLAIN {ONE_DAY}"), hand.name: lambda: hand.plan(ONE_DAY)}, warm_up=options.warm_up, repetitions=4 * options.repetitions
    )
    row.remarks.append(f"lakesql adds {row.milliseconds[ours.name] - row.milliseconds[hand.name]:.1f} ms over 200 files")
    return table("planning, warm", [row], ours.name)


def vectors(options: Options) -> str:
    """The table with deletion vectors against the clean one, in lakesql and in those that read them."""
    tables = lineitem.build(options.data, options.scale)
    clean, ours = engines.Lakesql(tables.clean), engines.Lakesql(tables.vectored)
    peers = present(lambda: engines.Deltalake(tables.vectored), lambda: engines.Polars(tables.vectored), lambda: engines.DuckDB(tables.vectored, None))
    rows = []
    for question in questions(tables):
        row = compared(question, [ours, *peers], options)
        again = medians(
            {"vectors": lambda q=question: ours.run(q.sql), "clean": lambda q=question: clean.run(q.sql)}, warm_up=1, repetitions=options.repetitions
        )
        row.remarks.append(f"lakesql: {again['vectors'] / again['clean']:.2f}x its clean table ({again['vectors']:.1f} / {again['clean']:.1f} ms)")
        rows.append(row)
    return table("warm, deletion vectors on 1 % of rows of every file", rows, ours.name)


def present(*makers: Callable[[], engines.Engine]) -> list[engines.Engine]:
    """The engines that can be had; the others are named on stderr."""
    found = [engines.opened(make) for make in makers]
    for absent in (f for f in found if isinstance(f, engines.Absent)):
        progress(f"left out: {absent}")
    return [f for f in found if not isinstance(f, engines.Absent)]


def compared(question: Question, candidates: Sequence[engines.Engine], options: Options) -> Row:
    """The question's row. The first engine's answer is the measure of the others'; one that fails or answers otherwise is not timed, and the remark says
    why.
    """
    row, fit = Row(question.name), {}
    expected = candidates[0].run(question.sql)
    for engine in candidates:
        try:
            answer = engine.run(question.sql)
        except Exception as error:  # whatever another engine raises, the others are still to be measured
            row.remarks.append(f"{engine.name} failed: {str(error).splitlines()[0][:80]}")
            continue
        if same(answer, expected):
            fit[engine.name] = engine
        else:
            row.remarks.append(f"{engine.name} answers otherwise")
    progress(f"{question.name}: {', '.join(fit)}")
    runs = {name: (lambda engine=engine: engine.run(question.sql)) for name, engine in fit.items()}
    row.milliseconds = medians(runs, warm_up=options.warm_up, repetitions=options.repetitions)
    return row


def same(answer: pa.Table, expected: pa.Table) -> bool:
    """Whether two answers hold the same rows in any order, numbers to four digits (averages of decimals are rounded differently)."""
    if answer.num_rows != expected.num_rows or answer.num_columns != expected.num_columns:
        return False
    left, right = (sorted(zip(*([_comparable(v) for v in c.to_pylist()] for c in t.columns), strict=True), key=str) for t in (answer, expected))
    return all(
        math.isclose(a, b, rel_tol=1e-4) if isinstance(a, float) and isinstance(b, float) else a == b
        for x, y in zip(left, right, strict=True)
        for a, b in zip(x, y, strict=True)
    )


def _comparable(value: object) -> object:
    if hasattr(value, "__float__"):
        return float(value)
    return value.strip() if isinstance(value, str) else value


# million -------------------------------------------------------------------------------------------------------------------------------------------


def million_files(options: Options) -> str:
    """New processes on tables that are all log."""
    lines = [
        f"| {options.files:,} files | engine | cold s | repeated s | after a commit s | peak MB | files kept |",
        "|" + " --- |" * 7,
    ]
    event = million.FIRST_EVENT_ID + 12_345 % options.files * million.EVENTS_PER_FILE
    days = [f"day = DATE '{million.FIRST_DAY + dt.timedelta(days=d)}'" for d in (100, 200, 300, 400)]
    events = [f"event_id = {event + k * 2 * million.EVENTS_PER_FILE}" for k in range(4)]
    for statistics in ("struct", "json"):
        place = options.data / f"million-{options.files}-{statistics}"
        if not (place / "_delta_log" / "_last_checkpoint").exists():
            progress(f"writing {options.files:,} files with {statistics} statistics")
            million.build(place, files=options.files, struct=statistics == "struct")
        for subject, predicates in (("one day", days), ("one event", events)):
            for engine in ("lakesql", "deltalake", "duckdb"):
                lines.append(f"| {subject}, {statistics} statistics | {engine} | {_cold(engine, place, predicates)} |")
                progress(lines[-1])
    return "\n".join(lines)


def _cold(engine: str, place: Path, predicates: list[str]) -> str:
    """The cells of one engine. Deltalake's and polars' sessions hold one version: a commit asks for a new one, so theirs is left out."""
    append = ["--append"] if engine in ("lakesql", "duckdb") else []
    command = [sys.executable, str(HERE / "cold.py"), engine, str(place), *predicates, *append]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    except subprocess.TimeoutExpired:
        return "over 900 | - | - | - | -"
    if done.returncode != 0:
        return f"failed: {(done.stderr.strip().splitlines() or ['?'])[-1][:100]} | - | - | - | -"
    found = json.loads(done.stdout)
    seconds = found["seconds"]
    repeated = seconds[1:-1] if append else seconds[1:]
    after = f"{seconds[-1]:.2f}" if append else "-"
    kept = "-" if found["kept"][0] is None else f"{found['kept'][0]:,}"
    return f"{seconds[0]:.2f} | {sorted(repeated)[len(repeated) // 2]:.2f} | {after} | {found['peak_mb']:,.0f} | {kept}"


PARTS: dict[str, Callable[[Options], str]] = {"queries": queries, "planning": planning, "vectors": vectors, "million": million_files}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts to run, with commas: {', '.join(PARTS)}")
    parser.add_argument("--data", type=Path, default=HERE / "data", help="where the tables are built, once")
    parser.add_argument("--scale", type=float, default=1.0, help="TPC-H scale factor")
    parser.add_argument("--files", type=int, default=1_000_000, help="files of the table that is all log; a multiple of 1000")
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--warm-up", type=int, default=2)
    arguments = parser.parse_args()
    chosen = arguments.only.split(",")
    unknown = [part for part in chosen if part not in PARTS]
    if unknown:
        parser.error(f"no part is called {', '.join(unknown)}; there are {', '.join(PARTS)}")
    options = Options(arguments.data.resolve(), arguments.scale, arguments.files, arguments.repetitions, arguments.warm_up)
    options.data.mkdir(parents=True, exist_ok=True)
    print(f"{engines.versions()}; {os.cpu_count()} cores; TPC-H scale {options.scale:g}; {options.repetitions} repetitions\n")
    for part in chosen:
        progress(part)
        print(PARTS[part](options) + "\n", flush=True)


if __name__ == "__main__":
    main()
