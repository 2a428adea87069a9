"""Apache Iceberg, as its specification describes format versions 1 to 3."""

from __future__ import annotations

from collections.abc import Mapping

from lakesql.formats import markers
from lakesql.formats.iceberg.table import IcebergTable
from lakesql.storage import Storage


class IcebergFormat:
    """See Format."""

    name = "iceberg"

    def evidence(self, storage: Storage, location: str) -> str | None:
        """See Format."""
        return markers.iceberg(storage, location)

    def open(self, storage: Storage, location: str, options: Mapping[str, str]) -> IcebergTable:
        """See Format."""
        return IcebergTable(storage, location, options)
