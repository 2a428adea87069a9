"""Reads of small tables through the engine, without SQL's parser: rows of a snapshot as dictionaries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lakesql
from lakesql.formats.paimon import FORMAT
from lakesql.formats.paimon.table import PaimonTable
from lakesql.storage import LocalStorage


def table_at(root: Path, options: Mapping[str, str] | None = None) -> PaimonTable:
    """The table at a place."""
    return FORMAT.open(LocalStorage(), str(root), options or {})


def rows_of(root: Path, sql: str = "SELECT * FROM t") -> list[dict[str, Any]]:
    """What a statement over the table `t` gives."""
    with lakesql.connect(tables={"t": str(root)}) as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        found: list[dict[str, Any]] = cursor.fetch_arrow_table().to_pylist()
        return found


def sorted_rows(rows: Sequence[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    """Rows in an order of their own, for comparison."""
    return sorted((tuple(sorted(r.items())) for r in rows), key=repr)
