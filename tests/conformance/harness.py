"""Reads one corpus read through lakesql's public API and judges what comes back.

A table is given by its path alone, as a user would give it. One connection serves all reads of a case, so that the suite is quick; the last few stay open.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import lakesql
from lakesql import errors

from . import datasets, gaps, refusals
from .cases import Case, Read, corpus, load
from .judge import difference

FORMATS_ON = frozenset({"delta", "iceberg", "paimon"})
"""Formats that lakesql reads; the others' cases are counted and skipped."""

ENGINES = ("datafusion", datasets.ENGINE)
"""Engines the suite runs on; ids of reads on any but the first end in `@engine`."""

ALL_DATASETS = "LAKESQL_ALL_DATASETS"
"""Set in the environment, all plain scans run through datasets, and not some of each case alone."""

OPEN_CONNECTIONS = 8


@dataclass(frozen=True)
class Suite:
    """The cases at hand. whole: whether they are the whole corpus; waiting: cases and reads by format that is not on."""

    root: Path
    whole: bool
    cases: tuple[Case, ...]

    @property
    def reads(self) -> Iterator[tuple[Case, Read]]:
        """Every read of the formats that are on."""
        return ((case, read) for case in self.cases if case.format in FORMATS_ON for read in case.reads)

    def reads_of(self, engine: str) -> Iterator[tuple[Case, Read]]:
        """Those that an engine is asked for."""
        if engine != datasets.ENGINE:
            return self.reads
        scans = [(case, read) for case, read in self.reads if datasets.plain_scan(read) is not None]
        return iter(scans if os.environ.get(ALL_DATASETS) else datasets.representative(scans))

    @property
    def waiting(self) -> dict[str, tuple[int, int]]:
        """The number of cases and reads of every format that is not on."""
        off = sorted({case.format for case in self.cases} - FORMATS_ON)
        return {f: (sum(c.format == f for c in self.cases), sum(len(c.reads) for c in self.cases if c.format == f)) for f in off}


def suite() -> Suite:
    """The corpus, or what is bundled of it. Raises ValueError for a gap that matches nothing, or an expected error no rule covers."""
    root, whole = corpus()
    found = Suite(root, whole, tuple(load(root)))
    lost = [gap.reads for gap in gaps.unmatched(found.cases)] if whole else []
    if lost:
        raise ValueError(f"gaps.py lists reads that do not exist: {', '.join(lost)}")
    for _, read in found.reads:
        if read.error is not None and not read.is_changes:
            refusals.classes_of(read.error)
    return found


class WrongRows(AssertionError):
    """The answer differs from the expected one, or there is one where an error was due."""


class WrongRefusal(AssertionError):
    """An error of lakesql's was due and came, but not the right one, or not with the words it needs."""


class Connections:
    """Open connections by case and engine, the least recently used closed first. scratch: where packed cases are unpacked."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._datasets = datasets.Datasets(scratch)
        self._open: OrderedDict[tuple[str, str], Any] = OrderedDict()

    def to(self, case: Case, engine: str) -> Any:
        """The connection that has the case's table as `t`."""
        key = (case.name, engine)
        if key not in self._open:
            place = case.unpacked(self._scratch) / case.table
            self._open[key] = lakesql.connect(tables={"t": str(place)}, engine=engine)
        self._open.move_to_end(key)
        while len(self._open) > OPEN_CONNECTIONS:
            self._open.popitem(last=False)[1].close()
        return self._open[key]

    def close(self) -> None:
        """Closes all of them."""
        while self._open:
            self._open.popitem()[1].close()

    def check(self, case: Case, read: Read, engine: str) -> None:
        """Runs the read. Raises WrongRows, WrongRefusal, or the lakesql.Error that a read raised where rows were due."""
        if read.error is not None:
            self._check_refused(case, read, engine)
            return
        assert read.expected is not None
        expected = pq.ParquetFile(case.unpacked(self._scratch) / read.expected).read()
        actual = self._rows(case, read, engine)
        if read.kind == "json":
            actual, expected = json_values(actual), json_values(expected)
        found = difference(actual, expected, ordered=read.is_ordered)
        if found is not None:
            raise WrongRows(f"{read.sql}\n{found}")

    def _rows(self, case: Case, read: Read, engine: str) -> pa.Table:
        if engine == datasets.ENGINE:
            scan = datasets.plain_scan(read)
            assert scan is not None, read.sql
            return self._datasets.rows(case, scan)
        with contextlib.closing(self.to(case, engine).cursor()) as cursor:
            cursor.execute(read.sql)
            return cursor.fetch_arrow_table()

    def _check_refused(self, case: Case, read: Read, engine: str) -> None:
        assert read.error is not None
        try:
            rows = self._rows(case, read, engine)
        except errors.Error as error:
            found = refusals.complaint(error, read.error, read.sql)
            if found is not None:
                raise WrongRefusal(f"{read.sql}\n{found}") from error
        else:
            raise WrongRows(f"{read.sql}\n{rows.num_rows} rows instead of the error {read.error!r}")


def json_values(table: pa.Table) -> pa.Table:
    """The table with every text column's JSON in one spelling: keys sorted, no blanks, numbers as Python writes them."""
    columns = []
    for column in table.columns:
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type) or pa.types.is_string_view(column.type):
            spelled = [None if text is None else json.dumps(json.loads(text), sort_keys=True, separators=(",", ":")) for text in column.to_pylist()]
            column = pa.chunked_array([pa.array(spelled, pa.string())])
        columns.append(column)
    return pa.table(columns, names=table.column_names)
