"""Rows in Python -> metadata tables, for tables that have few."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from lakesql.relation import Batches

INSTANT = pa.timestamp("us", "UTC")
TEXTS = pa.map_(pa.string(), pa.string())


def lazily(fields: Sequence[tuple[str, pa.DataType]], make: Callable[[], list[tuple[Any, ...]]]) -> Batches:
    """A table of these columns, whose rows `make` gives when the statement runs."""
    schema = pa.schema(list(fields))

    def load() -> pa.Table:
        rows = make()
        columns = list(zip(*rows, strict=True)) if rows else [() for _ in fields]
        return pa.table([pa.array(column, type_) for column, (_, type_) in zip(columns, fields, strict=True)], schema=schema)

    return Batches(schema, load)


def instant(ms: int) -> int | None:
    """Milliseconds as microseconds; None for what no calendar has."""
    return ms * 1000 if abs(ms) < 2**53 else None


def long(number: int | None) -> int | None:
    """A number as a column of long can hold it; None for one that it cannot: ids are any number in JSON."""
    return number if number is not None and -(2**63) <= number < 2**63 else None
