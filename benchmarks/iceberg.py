"""How fast is lakesql on Iceberg tables, and next to what? One table of medians and ratios a part, everything measured in the same run.

    .venv/bin/pip install '.[bench]'
    .venv/bin/python benchmarks/iceberg.py                                 everything; 2-3 GB under benchmarks/data, which git ignores
    .venv/bin/python benchmarks/iceberg.py --only queries,deletes --scale 0.1
    .venv/bin/python benchmarks/iceberg.py --only million --files 100000

Parts, each to be picked by --only:

queries    TPC-H lineitem sorted by ship date in 200 files, written by pyiceberg: Q1, Q6, a top-10, one day, one row, count(*). lakesql against DataFusion by
           hand over the very files that a perfect reader keeps, DuckDB's iceberg_scan, ClickHouse (chdb), polars and daft.
deletes    the same questions with one row in a hundred of every file deleted: by position delete files (version 2) and by deletion vectors (version 3),
           against the clean table.
equality   10,000,000 rows in 20 files, and an equality delete file of 100,000 keys, against the clean table.
decoding   the entries of a table of 100,000 files with both bounds of 16 columns: columns in lakesql, records in fastavro, objects in pyiceberg.
million    a table of 1,000,000 files made of its metadata alone (`iceberg_million.py`): seconds and peak memory of a new process that plans a scan of one
           event id (a column) and of one day (a partition), then the same questions with other values in the same session.
manifests  the same files in 1,000 manifests: a predicate on the partition column in a new process, and how many metadata files it reads.

Ratios in brackets are an engine's time over lakesql's: 2.00x means lakesql takes half as long. Every engine's answer is compared with lakesql's before anything
is timed. The load average printed at the head of a part should be near 0: nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import engines
import iceberg_engines
import iceberg_million
import iceberg_tables
import million
from measure import Row, medians, progress, table
from spine import Question, compared, present, questions

HERE = Path(__file__).parent
DECODED_FILES, MANY_MANIFESTS = 100_000, 1000


@dataclass(frozen=True)
class Options:
    """The command line."""

    data: Path
    scale: float
    files: int
    repetitions: int
    warm_up: int
    patience_s: float


def peers(metadata: Path) -> list[engines.Engine]:
    """The other engines, as far as they are installed and open the table."""
    makers = (iceberg_engines.DuckDB, iceberg_engines.Chdb, iceberg_engines.Polars, iceberg_engines.Daft)
    return present(*((lambda make=make: make(metadata)) for make in makers))


# Rows ----------------------------------------------------------------------------------------------------------------------------------------------


def queries(options: Options) -> str:
    """Every engine on the clean table."""
    tables = iceberg_tables.build_lineitem(options.data, options.scale)
    ours, others = engines.Lakesql(tables.clean), peers(tables.clean)
    rows = []
    for number, question in enumerate(questions(tables.about)):
        kept = tables.about.covering(question.first_day, question.last_day)
        hand = engines.ByHand(kept, options.data / "kept" / f"iceberg-{options.scale:g}-{number}")
        rows.append(compared(question, [ours, hand, *others], options))
        rows[-1].remarks.append(f"{len(kept)} of {len(tables.about.files)} files")
    return table("warm, clean table", rows, ours.name)


def deletes(options: Options) -> str:
    """Position deletes and deletion vectors."""
    tables = iceberg_tables.build_lineitem(options.data, options.scale)
    subjects = (("position deletes", tables.positions), ("deletion vectors", tables.vectors))
    return "\n\n".join(
        _against_clean(f"warm, {name} on 1 % of rows of every file", tables.clean, changed, questions(tables.about), options) for name, changed in subjects
    )


EVENT_QUESTIONS = [
    Question("totals", "SELECT count(*) AS n, sum(user_id) AS users, max(amount) AS most FROM lineitem"),
    Question("by kind", "SELECT kind, count(*) AS n, avg(amount) AS mean FROM lineitem GROUP BY kind ORDER BY kind"),
    Question("rare", "SELECT count(*) AS n FROM lineitem WHERE amount > 0.999"),
    Question("with key", "SELECT max(event_id) AS last, min(amount) AS least FROM lineitem WHERE kind = 'like'"),
    Question("one event", f"SELECT * FROM lineitem WHERE event_id = {iceberg_tables.EVENTS + 1}"),
]


def equality(options: Options) -> str:
    """Equality deletes."""
    clean, changed = iceberg_tables.build_events(options.data)
    return _against_clean(f"warm, {iceberg_tables.DELETED_KEYS:,} equality deletes, {iceberg_tables.EVENTS:,} rows", clean, changed, EVENT_QUESTIONS, options)


def _against_clean(title: str, clean: Path, changed: Path, asked: list[Question], options: Options) -> str:
    """Every engine on a table with deletes, and lakesql against itself on the clean table."""
    base, ours, others = engines.Lakesql(clean), engines.Lakesql(changed), peers(changed)
    rows = []
    for question in asked:
        row = compared(question, [ours, *others], options)
        runs = {"deleted": lambda q=question: ours.run(q.sql), "clean": lambda q=question: base.run(q.sql)}
        again = medians(runs, warm_up=1, repetitions=options.repetitions)
        row.remarks.insert(0, f"lakesql: {again['deleted'] / again['clean']:.2f}x its clean table ({again['deleted']:.1f} / {again['clean']:.1f} ms)")
        rows.append(row)
    return table(title, rows, ours.name)


# Metadata ------------------------------------------------------------------------------------------------------------------------------------------


def decoding(options: Options) -> str:
    """All entries with all bounds, as columns and as records."""
    import fastavro
    from pyiceberg.io.pyarrow import PyArrowFileIO
    from pyiceberg.table import StaticTable

    from lakesql.formats.iceberg.manifest import Manifests
    from lakesql.formats.iceberg.single_values import decode
    from lakesql.formats.iceberg.table import IcebergTable
    from lakesql.storage import LocalStorage
    from lakesql.table import Latest

    place = _metadata_only(options, DECODED_FILES, 100, iceberg_million.PER_MANIFEST)
    storage = LocalStorage()
    source = IcebergTable(storage, str(place), {}).snapshot(Latest()).source
    manifests = source.files_of(source.manifest_rows)
    columns = {f.id: f for f in source.schema.fields}

    def ours() -> list[list[object]]:
        """Entries, and counts and bounds of every column in its own type."""
        decoded = Manifests(storage)
        raws = decoded.entries(manifests, columns=list(columns))
        bounds = {i: [(decode(m.lower, f.type.arrow), decode(m.upper, f.type.arrow)) for m in decoded.metrics(manifests, i)] for i, f in columns.items()}
        return [[r.columns["file_path"] for r in raws], *([lower for lower, _ in pairs] for pairs in bounds.values())]

    def by_fastavro() -> list[dict[str, object]]:
        records = []
        for manifest in manifests:
            with open(manifest.path, "rb") as file:
                records += list(fastavro.reader(file))
        return records

    io = PyArrowFileIO()
    loaded = StaticTable.from_metadata(iceberg_tables.newest(place).as_uri())

    def by_pyiceberg() -> list[object]:
        listed = loaded.current_snapshot().manifests(io)
        return [entry for manifest in listed for entry in manifest.fetch_manifest_entry(io)]

    paths, first = (_flat(pieces) for pieces in ours()[:2])
    records, objects = by_fastavro(), by_pyiceberg()
    expected = [r["data_file"]["file_path"] for r in records]
    least = [int.from_bytes(next(b["value"] for b in r["data_file"]["lower_bounds"] if b["key"] == 1), "little") for r in records]
    if paths != expected or paths != [e.data_file.file_path for e in objects] or first != least:
        raise SystemExit("the decoders disagree")
    del records, objects, expected, least, paths, first
    row = Row(f"{DECODED_FILES:,} entries, {len(manifests)} manifests")
    row.milliseconds = medians({"lakesql": ours, "fastavro": by_fastavro, "pyiceberg": by_pyiceberg}, warm_up=0, repetitions=3)
    row.remarks.append("lakesql reads manifests side by side and decodes all bounds to their types; the others leave them bytes")
    return table("decoding manifests with bounds of 16 columns", [row], "lakesql")


def _flat(pieces: list[object]) -> list[object]:
    return [value for piece in pieces for value in piece.to_pylist()]  # type: ignore[attr-defined]


def million_files(options: Options) -> str:
    """New processes on a table that is all metadata."""
    place = _metadata_only(options, options.files, 1000, iceberg_million.PER_MANIFEST)
    lines = [f"| {options.files:,} files | engine | cold s | repeated s | peak MB | files kept | metadata files |", "|" + " --- |" * 7]
    event = million.FIRST_EVENT_ID + 12_345 % options.files * million.EVENTS_PER_FILE
    events = [f"event_id = {event + k * 2 * million.EVENTS_PER_FILE}" for k in range(4)]
    for subject, predicates in (("one event", events), ("one day", _days())):
        for engine in ("lakesql", "pyiceberg", "duckdb", "polars"):
            lines.append(f"| {subject} | {engine} | {_cold(engine, place, predicates, options)} |")
            progress(lines[-1])
    return "\n".join(lines)


def manifests(options: Options) -> str:
    """A predicate on the partition column of very many manifests."""
    place = _metadata_only(options, options.files, 1000, max(1, options.files // MANY_MANIFESTS))
    lines = [f"| {options.files:,} files in {MANY_MANIFESTS:,} manifests | engine | cold s | repeated s | peak MB | files kept | metadata files |"]
    lines.append("|" + " --- |" * 7)
    for engine in ("lakesql", "pyiceberg", "duckdb", "polars"):
        lines.append(f"| one day | {engine} | {_cold(engine, place, _days(), options)} |")
        progress(lines[-1])
    return "\n".join(lines)


def _days() -> list[str]:
    return [f"day = DATE '{million.FIRST_DAY + dt.timedelta(days=d)}'" for d in (100, 200, 300, 400)]


def _metadata_only(options: Options, files: int, partitions: int, per_manifest: int) -> Path:
    place = options.data / f"iceberg-{files}-{partitions}-{per_manifest}"
    if not (place / "metadata" / "version-hint.text").exists():
        progress(f"writing {files:,} files in manifests of {per_manifest:,}")
        iceberg_million.build(place, files=files, partitions=partitions, per_manifest=per_manifest)
    return place


def _cold(engine: str, place: Path, predicates: list[str], options: Options) -> str:
    """The cells of one engine."""
    command = [sys.executable, str(HERE / "cold.py"), f"{engine}-iceberg" if engine != "lakesql" else engine, str(place), *predicates]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=options.patience_s, check=False)
    except subprocess.TimeoutExpired:
        return f"the four questions take over {options.patience_s:g} | - | - | - | -"
    if done.returncode != 0:
        return f"failed: {(done.stderr.strip().splitlines() or ['?'])[-1][:100]} | - | - | - | -"
    found = json.loads(done.stdout)
    repeated = sorted(found["seconds"][1:])
    kept = "-" if found["kept"][0] is None else f"{found['kept'][0]:,}"
    read = found.get("metadata_files") or "-"
    return f"{found['seconds'][0]:.2f} | {repeated[len(repeated) // 2]:.2f} | {found['peak_mb']:,.0f} | {kept} | {read}"


PARTS: dict[str, Callable[[Options], str]] = {
    "queries": queries,
    "deletes": deletes,
    "equality": equality,
    "decoding": decoding,
    "million": million_files,
    "manifests": manifests,
}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts to run, with commas: {', '.join(PARTS)}")
    parser.add_argument("--data", type=Path, default=HERE / "data", help="where the tables are built, once")
    parser.add_argument("--scale", type=float, default=1.0, help="TPC-H scale factor")
    parser.add_argument("--files", type=int, default=1_000_000, help="files of the table that is all metadata; a multiple of 1000")
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--warm-up", type=int, default=2)
    parser.add_argument("--patience-s", type=float, default=300, help="how long an engine may plan on the table that is all metadata")
    arguments = parser.parse_args()
    chosen = arguments.only.split(",")
    unknown = [part for part in chosen if part not in PARTS]
    if unknown:
        parser.error(f"no part is called {', '.join(unknown)}; there are {', '.join(PARTS)}")
    options = Options(arguments.data.resolve(), arguments.scale, arguments.files, arguments.repetitions, arguments.warm_up, arguments.patience_s)
    options.data.mkdir(parents=True, exist_ok=True)
    print(f"{iceberg_engines.versions()}; {os.cpu_count()} cores; TPC-H scale {options.scale:g}; {options.repetitions} repetitions\n")
    for part in chosen:
        progress(part)
        load = os.getloadavg()[0]
        print(f"{PARTS[part](options)}\n\nload average before: {load:.2f}\n", flush=True)


if __name__ == "__main__":
    main()
