"""Finds the corpus and loads its cases; what a case holds is said in the corpus' README.

The whole corpus is at LAKESQL_CORPUS, or at `../shared/corpus` beside the checkout. Where neither is there, the bundled tenth in `cases/` stands in for
it. Both have one layout; a bundled case may keep its table and answers packed in `files.tar.xz` beside its `case.json`, and may leave reads out, which
keep their number.
"""

from __future__ import annotations

import json
import os
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BUNDLED = Path(__file__).parent / "cases"
PACKED = "files.tar.xz"
_BESIDE = Path(__file__).parents[3] / "shared" / "corpus"


@dataclass(frozen=True)
class Read:
    """One SQL text over the table `t`: the rows it must return, as a file below the case's folder, or what its error must be about.

    id: `format/case/n`, n being its place among the case's reads (`vN` among those of variant columns). kind: rows, error, json or bytes - the last two
    give variant columns as JSON text or as the struct of their two binary fields.
    """

    id: str
    sql: str
    kind: str
    expected: str | None
    error: str | None

    @property
    def is_changes(self) -> bool:
        """Whether it asks for a range of changes rather than for a state."""
        return re.search(r"\bCHANGES\s+FROM\b", self.sql) is not None

    @property
    def is_ordered(self) -> bool:
        """Whether the order of the rows counts."""
        return re.search(r"\bORDER\s+BY\b", self.sql, re.IGNORECASE) is not None


@dataclass(frozen=True)
class Case:
    """One table and its reads. name: `format/case`; table: its place below the folder."""

    name: str
    format: str
    features: tuple[str, ...]
    folder: Path
    table: str
    reads: tuple[Read, ...] = field(repr=False)

    @property
    def is_packed(self) -> bool:
        """Whether table and answers must be unpacked before they can be read."""
        return (self.folder / PACKED).exists()

    def unpacked(self, scratch: Path) -> Path:
        """The folder that holds table and answers: the case's own, or one below `scratch`, filled at the first call."""
        if not self.is_packed:
            return self.folder
        place = scratch / self.name
        if not place.exists():
            place.mkdir(parents=True)
            with tarfile.open(self.folder / PACKED) as archive:
                archive.extractall(place, filter="data")
        return place


def corpus() -> tuple[Path, bool]:
    """The root of the cases to run, and whether it is the whole corpus. LAKESQL_CORPUS set to a place without cases means the bundled tenth."""
    place = Path(os.environ.get("LAKESQL_CORPUS") or _BESIDE)
    if place.is_dir() and any(place.glob("*/*/case.json")):
        return place, True
    return BUNDLED, False


def load(root: Path) -> Iterator[Case]:
    """Every case below `root`, by format and name."""
    for file in sorted(root.glob("*/*/case.json")):
        yield _case(file.parent, json.loads(file.read_text(encoding="utf-8")))


def _case(folder: Path, raw: dict[str, Any]) -> Case:
    name = f"{folder.parent.name}/{folder.name}"
    reads = []
    for key, mark in (("reads", ""), ("variant_reads", "v")):
        for n, read in enumerate(raw.get(key, [])):
            kind, expected = _answer(read)
            if kind is not None:
                reads.append(Read(f"{name}/{mark}{n}", read["sql"], kind, expected, read.get("error")))
    return Case(name, raw["format"], tuple(raw["features"]), folder, raw["table"], tuple(reads))


def _answer(read: dict[str, Any]) -> tuple[str | None, str | None]:
    """How a read is judged, and the file it is judged by; None for one left out of the bundle."""
    for key, kind in (("expected", "rows"), ("as_json", "json"), ("as_bytes", "bytes")):
        if key in read:
            return kind, read[key]
    return ("error", None) if "error" in read else (None, None)
