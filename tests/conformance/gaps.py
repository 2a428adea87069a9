"""Reads that do not pass yet, each with its reason. Strict: a listed read that passes fails the suite until it is taken off, and an entry that matches no
read is an error at collection.

kind: `notimpl` is ours to do, `notyet` waits for someone else (a library, a specification), `never` is refused on purpose. A listed read must still be
*refused*: it may raise a `lakesql.Error`, but rows that differ from the expected ones, or an error of another sort, fail the suite whatever is listed
here. Only `answers=True` allows a wrong answer - for an expected answer that is itself in doubt - and the reason says so.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from .cases import Case, Read

Kind = Literal["notimpl", "notyet", "never"]


@dataclass(frozen=True)
class Gap:
    """Some reads and why they fail.

    reads: a pattern over read ids, e.g. `delta/gen-x/3`, `delta/gen-*/*`, or `feature:WORD` for all reads of cases with the word. engine: the only one that
    fails, None for all.
    """

    reads: str
    kind: Kind
    reason: str
    answers: bool = False
    engine: str | None = None

    def covers(self, case: Case, read: Read) -> bool:
        """Whether the read is one of these."""
        if self.reads.startswith("feature:"):
            return self.reads.removeprefix("feature:") in case.features
        return fnmatch.fnmatchcase(read.id, self.reads)


CHANGES = Gap("reads that ask for changes", "notimpl", "change feeds of this format are not read yet")
CHANGES_READ = frozenset({"delta", "iceberg", "paimon"})
"""Formats whose change feeds are read."""
CHANGE_WORDS = ("$audit_log", "$binlog", "'incremental-")
"""Other ways than CHANGES to ask for them."""

GAPS: tuple[Gap, ...] = (
    *(
        Gap(
            f"iceberg/dremio-partitionednation/{n}",
            "notyet",
            "the footers type a list of 64-bit integers as 16-bit ones; the engine's Parquet reader refuses them",
            engine="datafusion",
        )
        for n in (0, 2, 3, 4)
    ),
    *(
        Gap(
            f"iceberg/gen-lineage-orc/{n}",
            "never",
            "the expected answer takes no row ids from ORC files, where Spark wrote the id 0 for each of four rows; "
            "the specification and Impala's answers take them",
            answers=True,
        )
        for n in range(8, 15)
    ),
    *(
        Gap(f"iceberg/gen-timestamp-ns/{n}", "notyet", "an ORC file with timestamps beyond the years that pyarrow's reader keeps apart")
        for n in (0, 3, 4, 5, 6, 7, 8)
    ),
    Gap("iceberg/unitycatalog-marksheet_uniform/3", "never", "the folder is a Delta table too, and is read as one; its versions are not Iceberg's"),
    *(
        Gap(f"iceberg/{case}/v1", "never", "variants are given as JSON text, not as their two binary fields", answers=True)
        for case in ("gen-variant-shredded", "gen-variant-unshredded")
    ),
)


def gap_of(case: Case, read: Read, engine: str = "datafusion") -> Gap | None:
    """The first gap that covers the read on the engine, None where it must pass."""
    asks_for_changes = read.is_changes or any(word in read.sql for word in CHANGE_WORDS)
    if asks_for_changes and case.format not in CHANGES_READ:
        return CHANGES
    return next((gap for gap in GAPS if gap.engine in (None, engine) and gap.covers(case, read)), None)


def unmatched(cases: Iterable[Case]) -> Iterator[Gap]:
    """Entries that cover none of the reads: mistyped, or out of date."""
    reads = [(case, read) for case in cases for read in case.reads]
    return (gap for gap in GAPS if not any(gap.covers(case, read) for case, read in reads))
