"""Short ways to read a hand-made table, as the tests do all the time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from lakesql.formats.iceberg.scan import IcebergFiles
from lakesql.formats.iceberg.table import IcebergTable
from lakesql.predicate import Column, Compare, In, IsNull, Op, Predicate
from lakesql.storage import LocalStorage, Storage
from lakesql.table import At, AtTime, AtVersion, Latest, ScanRequest

from .reference import rows

OPERATORS = {op.value: op for op in Op}
NOW = Latest()


def opened(place: Path | str, storage: Storage | None = None) -> IcebergTable:
    """The table at a place."""
    return IcebergTable(storage or LocalStorage(), str(place), {})


def scanned(table: IcebergTable | Path, *predicates: Predicate, columns: Sequence[str] = (), at: At = NOW, prune: bool = True) -> IcebergFiles:
    """The files a scan keeps."""
    opened_ = table if isinstance(table, IcebergTable) else opened(table)
    return opened_.snapshot(at).scan(ScanRequest(tuple(columns), predicates, prune=prune))


def read(table: IcebergTable | Path, columns: Sequence[str], *predicates: Predicate, at: At = NOW) -> list[tuple[Any, ...]]:
    """The rows of the files a scan keeps, deletes applied, predicates not, in any order but sorted."""
    opened_ = table if isinstance(table, IcebergTable) else opened(table)
    snapshot = opened_.snapshot(at)
    files = snapshot.scan(ScanRequest(tuple(columns), predicates))
    found = rows(snapshot.relate(files, columns), opened_.storage)
    assert found.column_names == list(columns)
    return sorted(zip(*(c.to_pylist() for c in found.columns), strict=True), key=lambda row: [_order(v) for v in row])


def _order(value: Any) -> tuple[int, float, str]:
    if value is None:
        return 0, 0, ""
    return (1, value, "") if isinstance(value, (int, float)) else (2, 0, str(value))


def names(files: IcebergFiles) -> list[str]:
    """The kept files by their last name."""
    return sorted(p.rsplit("/", 1)[-1].removesuffix(".parquet") for p in files.files["path"].to_pylist())


def where(column: str, operator: str, value: Any, type_: pa.DataType | None = None) -> Predicate:
    """`column operator value`; a list is an IN, None a null test (= for IS NULL, <> for IS NOT NULL)."""
    term = Column(tuple(column.split(".")))
    if value is None:
        return IsNull(term, negated=operator == "<>")
    if isinstance(value, list):
        return In(term, pa.array(value, type_), negated=operator == "<>")
    return Compare(term, OPERATORS[operator], pa.scalar(value, type_))


def version(text: object) -> AtVersion:
    """A state by id or name."""
    return AtVersion(str(text))


def time(text: str) -> AtTime:
    """A state by instant."""
    instant = dt.datetime.fromisoformat(text)
    return AtTime(int(instant.timestamp() * 1_000_000), text)
