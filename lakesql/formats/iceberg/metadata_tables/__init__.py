"""Iceberg's own metadata tables, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from lakesql.relation import Relation
from lakesql.table import At

if TYPE_CHECKING:
    from lakesql.formats.iceberg.table import IcebergTable

METADATA_TABLES: dict[str, Callable[[IcebergTable, At], Relation]] = {}
"""What makes each table's rows, which are loaded when the statement runs."""
