"""How fast is lakesql on changes of tables, and next to what? One table of medians and ratios a part, everything measured in the same run.

    .venv/bin/pip install '.[bench]'
    .venv/bin/python benchmarks/changes.py                                everything; 3-4 GB under benchmarks/data, which git ignores
    .venv/bin/python benchmarks/changes.py --only last,recorded,net --rows 1000000
    .venv/bin/python benchmarks/changes.py --only memory --feed-rows 10000000

Parts, each to be picked by --only:

last       a Delta and an Iceberg table of 1,000 files whose last commit rewrote one of them for ten rows. The changes of that commit: bytes that the process
           reads (/proc/self/io, so metadata too) over bytes of the data files that the commit added and removed, and the time of EXPLAIN. Both in a
           session that knows the table, in a new text each time, so that no plan is used twice.
recorded   100 commits that update 1 % of a Delta table's rows each, recorded in change files: lakesql against deltalake's load_cdf.
net        the same commits, not recorded: `net`, which compares the state before with the one after, against DataFusion reading each data file once: those
           that lakesql compares ("files compared"), and all that the commits added or removed ("files changed").
memory     a feed of very many rows of one column in a new process, batch after batch: rows that were inserted, rows out of change files, and rows that are
           compared since the commit rewrote every file. Seconds, rows, and the peak of resident memory.

Ratios in brackets are an engine's time over lakesql's: 2.00x means lakesql takes half as long. Nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import change_tables
import engines
from measure import Row, medians, progress, table

HERE = Path(__file__).parent
FILES, ROWS_PER_FILE = 1000, 20_000


@dataclass(frozen=True)
class Options:
    """The command line."""

    data: Path
    rows: int
    feed_rows: int
    repetitions: int
    warm_up: int


class Feed:
    """A session of lakesql that reads the table `t`, in a new text each time."""

    def __init__(self, place: Path, memory_limit_bytes: int | None = None) -> None:
        import lakesql
        from lakesql.config import Config, EngineConfig

        config = Config(engine=EngineConfig(memory_limit_bytes=memory_limit_bytes))
        self._connection = lakesql.connect(tables={"t": str(place)}, config=config)
        self._number = 0

    def drain(self, sql: str) -> int:
        """How many rows the statement gives; they are read batch by batch and let go."""
        self._number += 1
        with contextlib.closing(self._connection.cursor()) as cursor:
            cursor.execute(f"{sql} -- {self._number}")
            return sum(batch.num_rows for batch in cursor.fetch_record_batch())


def bytes_read() -> int:
    """What this process has read so far, from caches or not. Linux alone tells."""
    return int(next(line for line in Path("/proc/self/io").read_text().splitlines() if line.startswith("rchar")).split()[1])


def drained(batches: Iterable[Any]) -> int:
    """The rows of a stream of batches, of whatever library."""
    return sum(batch.num_rows for batch in batches)


# Parts ---------------------------------------------------------------------------------------------------------------------------------------------


def last(options: Options) -> str:
    """The last commit of many files."""
    from pyiceberg.table import StaticTable

    lines = [f"| last commit of {FILES:,} files | rows | planning ms | all ms | bytes read | bytes changed | |", "|" + " --- |" * 7]
    delta, delta_bytes = change_tables.delta_last_commit(options.data, FILES, ROWS_PER_FILE)
    iceberg, iceberg_bytes = change_tables.iceberg_last_commit(options.data, FILES, ROWS_PER_FILE)
    newest = StaticTable.from_metadata(iceberg.as_uri()).current_snapshot().snapshot_id
    for name, place, changed, version in (("Delta", delta, delta_bytes, "1"), ("Iceberg", iceberg, iceberg_bytes, str(newest))):
        progress(name)
        feed, sql = Feed(place), f"SELECT * FROM t CHANGES FROM VERSION {version}"
        runs = {"plan": lambda feed=feed, sql=sql: feed.drain(f"EXPLAIN {sql}"), "all": lambda feed=feed, sql=sql: feed.drain(sql)}
        taken = medians(runs, warm_up=options.warm_up, repetitions=options.repetitions)
        start = bytes_read()
        rows = feed.drain(sql)
        read = bytes_read() - start
        lines.append(f"| {name} | {rows:,} | {taken['plan']:.1f} | {taken['all']:.1f} | {read:,} | {changed:,} | {read / changed:.2f}x |")
    return "\n".join(lines)


def recorded(options: Options) -> str:
    """Change files, against deltalake."""
    from deltalake import DeltaTable

    place = change_tables.delta_history(options.data, options.rows, feed=True)
    feed, theirs = Feed(place), DeltaTable(str(place))
    end = theirs.version()
    start = end - change_tables.COMMITS + 1
    rows = []
    for subject, first in (("100 commits", start), ("last 10 commits", end - 9), ("last commit", end)):
        sql = f"SELECT * FROM t CHANGES FROM VERSION {first}"
        runs = {
            "lakesql": lambda sql=sql: feed.drain(sql),
            "deltalake": lambda first=first: drained(DeltaTable(str(place)).load_cdf(starting_version=first)),
            "deltalake, opened": lambda first=first: drained(theirs.load_cdf(starting_version=first)),
        }
        found = {name: run() for name, run in runs.items()}
        if len(set(found.values())) > 1:
            raise SystemExit(f"the feeds disagree: {found}")
        row = Row(subject, remarks=[f"{found['lakesql']:,} rows"])
        row.milliseconds = medians(runs, warm_up=options.warm_up, repetitions=options.repetitions)
        rows.append(row)
    return table("recorded changes, warm", rows, "lakesql")


def net(options: Options) -> str:
    """The difference over many commits."""
    from deltalake import DeltaTable

    place = change_tables.delta_history(options.data, options.rows, feed=False)
    states = [set(DeltaTable(str(place), version=v).file_uris()) for v in (0, change_tables.COMMITS)]
    feed, sql = Feed(place), "SELECT * FROM t CHANGES FROM VERSION 0 EXCLUSIVE WITH (mode = 'net'{more})"
    compared = sorted(states[0] ^ states[1])
    changed = sorted(set(map(str, place.glob("*.parquet"))) - (states[0] & states[1]))
    ours, keyed = sql.format(more=""), sql.format(more=", key = (id)")
    runs = {
        "lakesql": lambda: feed.drain(ours),
        "lakesql, by key": lambda: feed.drain(keyed),
        "files compared": _listed(compared, options.data / "kept" / "changes-compared"),
        "files changed": _listed(changed, options.data / "kept" / "changes-changed"),
    }
    counts = {name: run() for name, run in runs.items()}
    row = Row("100 commits of 1 %", remarks=[f"{name}: {count:,} rows" for name, count in counts.items()])
    row.milliseconds = medians(runs, warm_up=options.warm_up, repetitions=options.repetitions)
    for name, of in (("files compared", row.milliseconds["files compared"]), ("files changed", row.milliseconds["files changed"])):
        row.remarks.append(f"lakesql takes {row.milliseconds['lakesql'] / of:.2f}x the {name}, by key {row.milliseconds['lakesql, by key'] / of:.2f}x")
    return table(f"net, {options.rows:,} rows", [row], "lakesql")


def _listed(files: list[str], scratch: Path) -> Callable[[], int]:
    """Reads all rows of these files, by DataFusion."""
    import datafusion
    import pyarrow.parquet as pq

    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    for file in files:
        os.link(file, scratch / Path(file).name)
    context = datafusion.SessionContext()
    context.register_parquet("t", str(scratch), schema=pq.read_schema(files[0]))  # writers differ in kinds of strings
    return lambda: sum(b.to_pyarrow().num_rows for b in context.sql("SELECT * FROM t").execute_stream())


def memory(options: Options) -> str:
    """Feeds of very many rows, in new processes."""
    lines = [f"| feed of {options.feed_rows:,} rows | rows | seconds | peak MB | |", "|" + " --- |" * 5]
    for kind, more in (("inserted", {}), ("recorded", {}), ("compared", {}), ("compared", {"memory_limit_bytes": 512 << 20})):
        place = change_tables.narrow(options.data, options.feed_rows, kind)
        done = subprocess.run([sys.executable, __file__, "--stream", str(place), json.dumps(more)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            lines.append(f"| {kind} | - | - | - | failed: {(done.stderr.strip().splitlines() or ['?'])[-1][:200]} |")
            continue
        found = json.loads(done.stdout)
        said = ", ".join(f"{k} = {v}" for k, v in more.items())
        lines.append(f"| {kind} | {found['rows']:,} | {found['seconds']:.1f} | {found['peak_mb']:,.0f} | {said} |")
        progress(lines[-1])
    return "\n".join(lines)


def stream(place: Path, more: dict[str, Any]) -> None:
    """One feed, in this process; what it took, as JSON."""
    start = time.perf_counter()
    newest = max(int(p.stem) for p in (place / "_delta_log").glob("*.json"))
    rows = Feed(place, **more).drain(f"SELECT * FROM t CHANGES FROM VERSION {newest}")
    # Not getrusage: a new process begins with the peak of the one that started it.
    peak = int(next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")).split()[1]) / 1024
    print(json.dumps({"rows": rows, "seconds": time.perf_counter() - start, "peak_mb": peak}))


PARTS: dict[str, Callable[[Options], str]] = {"last": last, "recorded": recorded, "net": net, "memory": memory}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts to run, with commas: {', '.join(PARTS)}")
    parser.add_argument("--data", type=Path, default=HERE / "data", help="where the tables are built, once")
    parser.add_argument("--rows", type=int, default=10_000_000, help="rows of the table with 100 commits; a multiple of 100")
    parser.add_argument("--feed-rows", type=int, default=100_000_000, help="rows of the feeds whose memory is measured; millions")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--warm-up", type=int, default=2)
    parser.add_argument("--stream", nargs=2, metavar=("TABLE", "OPTIONS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.stream:
        stream(Path(arguments.stream[0]), json.loads(arguments.stream[1]))
        return
    chosen = arguments.only.split(",")
    unknown = [part for part in chosen if part not in PARTS]
    if unknown:
        parser.error(f"no part is called {', '.join(unknown)}; there are {', '.join(PARTS)}")
    options = Options(arguments.data.resolve(), arguments.rows, arguments.feed_rows, arguments.repetitions, arguments.warm_up)
    options.data.mkdir(parents=True, exist_ok=True)
    print(f"{engines.versions()}; {os.cpu_count()} cores; {options.repetitions} repetitions\n")
    for part in chosen:
        progress(part)
        load = os.getloadavg()[0]
        print(f"{PARTS[part](options)}\n\nload average before: {load:.2f}\n", flush=True)


if __name__ == "__main__":
    main()
