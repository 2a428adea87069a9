"""How fast is lakesql on Paimon tables, and next to what? Tables of medians and ratios, everything of a part measured in the same run.

    .venv/bin/python benchmarks/paimon.py --pypaimon OTHER/bin/python      everything; 1-2 GB under benchmarks/data, which git ignores
    .venv/bin/python benchmarks/paimon.py --pypaimon OTHER/bin/python --only merge,keys --rows 1000000
    .venv/bin/python benchmarks/paimon.py --only million --files 100000

pypaimon writes the tables, and is measured; it pins older libraries (pyarrow below 20), so it is given by an interpreter of an environment of its own:
`python -m venv OTHER && OTHER/bin/pip install pypaimon`.

Parts, each to be picked by --only, and what each promises:

merge        a table of 10 M rows in a compacted level, and a tenth as many newer versions in five runs: a full aggregate costs at most 5 times the same
             aggregate by DataFusion over the same files unmerged, and at most a fifth of pypaimon's read of the same columns
compacted    the same level without newer runs: at most 1.05 times DataFusion's time over its files
keys         a filter on the key of a table of 256 buckets reads one bucket
partitions   one day of a table of 1,000 days plans in under 50 ms, warm
million      a table of 1,000,000 files made of its manifests alone (`million_paimon.py`): seconds and peak memory of a new process that plans a scan of one
             day (a partition) and of one event id (a column), then of the same questions with other values: under 6 s on 2 cores, 1 s, and 2 GB

Answers are compared before anything is timed. Nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import engines
import million
import million_paimon
import pyarrow as pa
from measure import Row, medians, progress, table
from spine import same

HERE = Path(__file__).parent
DATABASE = "bench.db"
SUMS = "SELECT country, count(quantity) AS n, sum(quantity) AS quantities, sum(price) AS prices"
AGGREGATES = {
    "three columns": f"{SUMS} FROM t GROUP BY country",
    "all columns": f"{SUMS}, sum(k) AS ks, count(note) AS notes, count(at) AS ats FROM t GROUP BY country",
}
FIRST_DAY = dt.date(2023, 6, 1)


@dataclass(frozen=True)
class Options:
    """The command line. pypaimon: an interpreter that has it."""

    data: Path
    rows: int
    files: int
    repetitions: int
    warm_up: int
    pypaimon: str | None


class Lakesql:
    """One table, asked again and again in one session."""

    def __init__(self, place: Path) -> None:
        import lakesql

        self._connection = lakesql.connect(tables={"t": str(place)})

    def run(self, sql: str) -> pa.Table:
        """All rows of the answer."""
        with contextlib.closing(self._connection.cursor()) as cursor:
            cursor.execute(sql)
            return cursor.fetch_arrow_table()

    def pruning(self, sql: str) -> str:
        """What EXPLAIN PRUNING says."""
        return "\n".join(self.run(f"EXPLAIN PRUNING {sql}")["plan"].to_pylist())

    def files(self, where: str = "TRUE") -> pa.Table:
        """Rows of the metadata table of files."""
        return self.run(f'SELECT * FROM "t$files" WHERE {where}')


class ByHand:
    """DataFusion with a listing table over data files, none of them merged."""

    def __init__(self, files: list[str], scratch: Path) -> None:
        import datafusion

        scratch.mkdir(parents=True, exist_ok=True)
        for number, file in enumerate(files):
            with contextlib.suppress(FileExistsError):
                os.link(file, scratch / f"{number:05}-{Path(file).name}")
        self._context = datafusion.SessionContext()
        self._context.register_parquet("t", str(scratch))

    def run(self, sql: str) -> pa.Table:
        """All rows of the answer."""
        return self._context.sql(sql).to_arrow_table()


def built(options: Options, kind: str, rows: int) -> Path:
    """A table that pypaimon has written."""
    place = options.data / DATABASE / f"{kind}_{rows}"
    if not (options.data / f"{kind}_{rows}.done").exists():
        if options.pypaimon is None:
            raise SystemExit(f"the table {kind} is not there yet: --pypaimon names an interpreter that has pypaimon, to write it")
        progress(f"writing {kind}, {rows:,} rows")
        subprocess.run([options.pypaimon, str(HERE / "paimon_tables.py"), kind, str(options.data), "--rows", str(rows)], check=True)
    return place


# Merging -------------------------------------------------------------------------------------------------------------------------------------------


def merge(options: Options) -> str:
    """A tenth of the rows have newer versions."""
    return _aggregates(options, "merge", 5.0, 1)


def compacted(options: Options) -> str:
    """No row has."""
    return _aggregates(options, "compacted", 1.05, 3)


def _aggregates(options: Options, kind: str, promised: float, pypaimon_reads: int) -> str:
    place = built(options, kind, options.rows)
    ours = Lakesql(place)
    files = ours.files()["file_path"].to_pylist()
    hand = ByHand(files, options.data / "raw" / place.name)
    rows = []
    for name, sql in AGGREGATES.items():
        answer = ours.run(sql)
        if kind == "compacted" and not same(answer, hand.run(sql)):
            raise SystemExit("DataFusion answers otherwise")
        runs: dict[str, Callable[[], object]] = {"lakesql": lambda q=sql: ours.run(q), "files unmerged": lambda q=sql: hand.run(q)}
        row = Row(f"{kind}, {name}", medians(runs, warm_up=options.warm_up, repetitions=options.repetitions))
        ratio = row.milliseconds["lakesql"] / row.milliseconds["files unmerged"]
        row.remarks.append(f"{ratio:.2f}x the files unmerged, at most {promised}x promised")
        if options.pypaimon is not None:
            columns = ["all"] if name == "all columns" else []
            command = [options.pypaimon, str(HERE / "paimon_tables.py"), "read", str(options.data), place.name, str(pypaimon_reads), *columns]
            read = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            theirs = pa.table(dict(zip(answer.column_names, map(list, zip(*read["answer"], strict=True)), strict=True)))
            if not same(theirs, answer):
                raise SystemExit("pypaimon answers otherwise")
            row.milliseconds["pypaimon's read"] = sorted(read["seconds"])[len(read["seconds"]) // 2] * 1000
        row.remarks.append(f"{len(files)} files")
        rows.append(row)
    return table(f"full aggregates of {options.rows:,} keys, warm", rows, "lakesql")


# Planning ------------------------------------------------------------------------------------------------------------------------------------------


def keys(options: Options) -> str:
    """One bucket of 256."""
    place = built(options, "buckets", options.rows // 4)
    ours = Lakesql(place)
    row = Row("one key of 256 buckets")
    sql = f"SELECT * FROM t WHERE k = {options.rows // 8}"
    found = ours.run(sql)
    if found["k"].to_pylist() != [options.rows // 8]:
        raise SystemExit(f"the key was not found once: {found}")
    row.milliseconds = medians({"lakesql": lambda: ours.run(sql)}, warm_up=options.warm_up, repetitions=options.repetitions)
    row.remarks.append(_counts(ours.pruning(sql)))
    return table("a filter on the key", [row], "lakesql")


def partitions(options: Options) -> str:
    """One day of a thousand."""
    place = built(options, "partitions", options.rows // 10)
    ours = Lakesql(place)
    days = [FIRST_DAY + dt.timedelta(days=n) for n in range(200, 900, 7)]
    sql = "SELECT count(k) AS n, sum(quantity) AS quantities FROM t WHERE day = DATE '{}'"
    for day in days[:2]:
        if ours.run(sql.format(day))["n"].to_pylist() != [options.rows // 10_000]:
            raise SystemExit(f"{day} has other rows")
    turn = iter(days * 100)
    runs: dict[str, Callable[[], object]] = {"lakesql": lambda: ours.run(f"EXPLAIN {sql.format(next(turn))}")}
    row = Row("plan of one day of 1,000", medians(runs, warm_up=options.warm_up, repetitions=4 * options.repetitions))
    row.remarks += ["each with another day; under 50 ms promised", _counts(ours.pruning(sql.format(days[5])))]
    return table("planning, warm", [row], "lakesql")


def _counts(pruning: str) -> str:
    """How many files are kept, of how many."""
    kept, there = re.search(r"([\d,]+) kept", pruning), re.search(r"([\d,]+) data files|data files[^\d]*([\d,]+)", pruning)
    return f"{kept[1] if kept else '?'} files kept of {(there[1] or there[2]) if there else '?'}"


def million_files(options: Options) -> str:
    """New processes on a table that is all manifests."""
    place = options.data / f"million-{options.files}"
    if not (place / "snapshot" / "LATEST").exists():
        progress(f"writing {options.files:,} files")
        million_paimon.build(place, files=options.files)
    event = million.FIRST_EVENT_ID + 12_345 % options.files * million.EVENTS_PER_FILE
    questions = {
        "one day": [f"day = DATE '{million.FIRST_DAY + dt.timedelta(days=d)}'" for d in (100, 200, 300, 400)],
        "one event": [f"event_id = {event + k * 2 * million.EVENTS_PER_FILE}" for k in range(4)],
    }
    lines = [f"| {options.files:,} files | cold s | repeated s | peak MB | files kept |", "|" + " --- |" * 5]
    for subject, predicates in questions.items():
        command = [sys.executable, str(HERE / "cold.py"), "lakesql", str(place), *predicates]
        found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        seconds, repeated = found["seconds"], sorted(found["seconds"][1:])
        lines.append(f"| {subject} | {seconds[0]:.2f} | {repeated[len(repeated) // 2]:.2f} | {found['peak_mb']:,.0f} | {found['kept'][0]:,} |")
    return "\n".join(lines)


PARTS: dict[str, Callable[[Options], str]] = {
    "merge": merge,
    "compacted": compacted,
    "keys": keys,
    "partitions": partitions,
    "million": million_files,
}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts to run, with commas: {', '.join(PARTS)}")
    parser.add_argument("--data", type=Path, default=HERE / "data" / "paimon", help="where the tables are built, once")
    parser.add_argument("--rows", type=int, default=10_000_000, help="rows of the table that is merged")
    parser.add_argument("--files", type=int, default=1_000_000, help="files of the table that is all manifests; a multiple of 1000")
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--warm-up", type=int, default=2)
    parser.add_argument("--pypaimon", help="an interpreter that has pypaimon")
    arguments = parser.parse_args()
    chosen = arguments.only.split(",")
    unknown = [part for part in chosen if part not in PARTS]
    if unknown:
        parser.error(f"no part is called {', '.join(unknown)}; there are {', '.join(PARTS)}")
    options = Options(arguments.data.resolve(), arguments.rows, arguments.files, arguments.repetitions, arguments.warm_up, arguments.pypaimon)
    options.data.mkdir(parents=True, exist_ok=True)
    print(f"{engines.versions()}; {os.cpu_count()} cores; {options.repetitions} repetitions\n")
    for part in chosen:
        progress(part)
        print(PARTS[part](options) + "\n", flush=True)


if __name__ == "__main__":
    main()
