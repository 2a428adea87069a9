"""Delta tables of the corpus, read naively: for tests of decoders against what real writers wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from conformance.cases import corpus


@dataclass(frozen=True)
class Commit:
    """One commit file: its actions, and the metaData and protocol in force after it (None before the first)."""

    table: Path
    version: int
    data: bytes = field(repr=False)
    actions: list[dict[str, Any]] = field(repr=False)
    metadata: dict[str, Any] | None
    protocol: dict[str, Any] | None


def delta_tables() -> list[Path]:
    """The folders of all Delta tables; skips the test where the corpus is not there."""
    root, whole = corpus()
    if not whole:
        pytest.skip("THE CORPUS IS NOT HERE (LAKESQL_CORPUS, or ../shared/corpus beside the checkout): decoders were not tried on real tables")
    tables = sorted(log.parent for case in (root / "delta").iterdir() for log in (case / "table").rglob("_delta_log"))
    assert len(tables) > 100
    return tables


def commits(table: Path) -> Iterator[Commit]:
    """The commits of a table in order; files that are not one JSON action a line are left out."""
    metadata = protocol = None
    for file in sorted((table / "_delta_log").glob("[0-9]*.json")):
        if not file.stem.isdigit() or len(file.stem) != 20:
            continue
        data = file.read_bytes()
        try:
            actions = [json.loads(line) for line in data.splitlines() if line.strip()]
        except ValueError:
            continue
        for action in actions:
            metadata, protocol = action.get("metaData") or metadata, action.get("protocol") or protocol
        yield Commit(table, int(file.stem), data, actions, metadata, protocol)


def case_name(table: Path) -> str:
    """The case a table belongs to."""
    return table.parts[table.parts.index("delta") + 1]
