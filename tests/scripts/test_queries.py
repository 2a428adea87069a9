"""Every file of `queries/` runs over the sample lake and answers as the file beside it says; the tour prints what its golden file holds.

A question about a table whose format lakesql does not read yet must be refused by that format's name, and then waits for it; the day the format is there,
its answer counts.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import lakesql
from lakesql import errors

ROOT = Path(__file__).parents[2]
QUERIES, LAKE = ROOT / "queries", ROOT / "catalog"
QUESTIONS = sorted(p for p in QUERIES.glob("*.sql") if p.name != "tour.sql")
TABLES = json.loads((LAKE / "lake.json").read_text(encoding="utf-8"))["tables"]
DAYS = [(name, table["format"], day) for name, table in TABLES.items() for day in table["days"]]
CHANGES = json.loads((LAKE / "lake.json").read_text(encoding="utf-8"))["changes_day_2_to_3"]
FEEDS = frozenset(("delta", "iceberg", "paimon"))
"""Formats whose changes are read."""
CUTS = {cut["day"]: cut for cut in json.loads((LAKE / "lake.json").read_text(encoding="utf-8"))["cuts"]}


@pytest.fixture(scope="module")
def lake() -> Iterator[Any]:
    with lakesql.connect(str(LAKE)) as connection:
        yield connection


@pytest.fixture(scope="module")
def waiting(lake: Any) -> frozenset[str]:
    """The formats that are not read yet: each says so itself, by name."""
    formats = set()
    for name, table in TABLES.items():
        try:
            lake.execute(f"SELECT * FROM {name} LIMIT 0").fetchall()
        except errors.UnsupportedFeatureError as error:
            if table["format"] not in str(error).lower():
                raise
            formats.add(table["format"])
    return frozenset(formats)


def test_delta_is_read(waiting: frozenset[str]) -> None:
    assert "delta" not in waiting


@pytest.mark.parametrize("file", QUESTIONS, ids=lambda file: file.stem)
def test_question(file: Path, lake: Any, waiting: frozenset[str]) -> None:
    sql = file.read_text(encoding="utf-8")
    assert sql.startswith("-- "), "a question begins with a comment that asks it"
    needs = formats_of(sql) & waiting
    if needs:
        with pytest.raises(errors.UnsupportedFeatureError) as refused:
            lake.execute(sql).fetchall()
        assert any(name in str(refused.value).lower() for name in needs)
        pytest.skip(f"waits for {', '.join(sorted(needs))}")
    assert as_csv(lake.execute(sql).fetch_arrow_table()) == file.with_suffix(".expected.csv").read_text(encoding="utf-8")


def formats_of(sql: str) -> set[str]:
    """The formats of the sample tables a statement names."""
    code = re.sub(r"--[^\n]*|'[^']*'", " ", sql)
    return {table["format"] for name, table in TABLES.items() if re.search(rf"(?:FROM|JOIN)\s+{name}\b", code)}


def as_csv(table: pa.Table) -> str:
    """The rows as CSV: dates in ISO form, nothing for null."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.column_names)
    for row in table.to_pylist():
        writer.writerow([v.isoformat() if isinstance(v, (dt.date, dt.datetime)) else v for v in row.values()])
    return text.getvalue()


def test_questions_have_answers() -> None:
    assert [p.name for p in QUESTIONS if not p.with_suffix(".expected.csv").exists()] == []
    assert len(QUESTIONS) >= 20


def test_questions_are_the_lake_s_own() -> None:
    for theirs in sorted((LAKE / "questions").glob("*.sql")):
        assert (QUERIES / theirs.name).read_text(encoding="utf-8").rstrip().rstrip(";") == theirs.read_text(encoding="utf-8").rstrip()


@pytest.mark.parametrize(("name", "format_", "day"), [pytest.param(*d, id=f"{d[0]}-day{d[2]['day']}") for d in DAYS])
def test_rows_of_each_day(name: str, format_: str, day: dict[str, Any], lake: Any, waiting: frozenset[str]) -> None:
    if format_ in waiting:
        pytest.skip(f"waits for {format_}")
    version = day["version"] if isinstance(day["version"], int) else f"'{day['version']}'"
    assert lake.execute(f"SELECT count(*) FROM {name} VERSION AS OF {version}").fetchall() == [(day["rows"],)]
    by_clock = f"SELECT count(*) FROM {name} TIMESTAMP AS OF '{CUTS[day['day']]['at']}'"
    if format_ == "delta" and day["day"] == max(CUTS):
        with pytest.raises(errors.NoSuchVersionError, match="after the last commit"):
            lake.execute(by_clock)
        return
    asked = lake.execute(by_clock)
    assert asked.fetchall() == [(day["rows"],)]
    assert [s.version for s in asked.snapshots] == [str(day["version"])]


@pytest.mark.parametrize(("name", "mode"), [(name, mode) for name, known in CHANGES.items() for mode in ("net", "raw") if mode in known])
def test_changes_of_the_third_day(name: str, mode: str, lake: Any, waiting: frozenset[str]) -> None:
    table = TABLES[name]
    start, end = (next(d["version"] for d in table["days"] if d["day"] == day) for day in (2, 3))
    first, last = (v if isinstance(v, int) else f"'{v}'" for v in (start, end))
    options = f"WITH (mode = 'net', key = ({', '.join(table['key'])}))" if mode == "net" else ""
    sql = f"SELECT _change_type, count(*) FROM {name} CHANGES FROM VERSION {first} EXCLUSIVE TO VERSION {last} {options} GROUP BY 1"
    if table["format"] in waiting or table["format"] not in FEEDS:
        with pytest.raises(errors.NotSupportedError, match=f"(?i){table['format']}"):
            lake.execute(sql)
        return
    assert dict(lake.execute(sql).fetchall()) == {word: count for word, count in CHANGES[name][mode].items() if count}


# The tour ------------------------------------------------------------------------------------------------------------------------------------------


def run_cli(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The installed command line in a process of its own, in the checkout's folder."""
    command = [str(Path(sys.executable).with_name("lakesql")), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=120)


def portable(text: str) -> str:
    """The tour's output without the place of the sample lake, which also sets the width of columns: rules and blanks are cut to one character."""
    text = re.sub(r"[^\s│]*/catalog(?=/)", "<lake>", text)
    return re.sub(r"─+", "─", re.sub(r" +", " ", text))


def test_tour(request: pytest.FixtureRequest) -> None:
    done = run_cli("--sample", "-f", "queries/tour.sql")
    assert done.returncode == 0, done.stderr
    told = portable(done.stdout)
    golden = QUERIES / "tour.expected.txt"
    if request.config.getoption("regenerate"):
        golden.write_text(told, encoding="utf-8")
    assert told == golden.read_text(encoding="utf-8")


def test_csv_of_the_command_line() -> None:
    done = run_cli("--sample", "-f", "queries/17_watch_time_by_day.sql", "--format", "csv")
    assert (done.returncode, done.stdout) == (0, (QUERIES / "17_watch_time_by_day.expected.csv").read_text(encoding="utf-8"))
