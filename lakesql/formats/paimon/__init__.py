"""Apache Paimon, as its versions 0.2 to 2.1 write it.

schemas.py, types.py, options.py    schema files: columns, keys, options
snapshots.py, points.py             snapshot files, tags, branches -> the state a read is of
manifests.py, entries.py            manifests of every kind -> live files as columns
binary_row.py, statistics.py        rows in bytes -> partitions, keys, bounds
scan.py, buckets.py, sections.py    which files may matter, and which must be merged
relate.py, merging.py, evolution.py, casts.py    how rows come out of them
deletion_vectors.py, paths.py, values.py         single things
change_range.py, change_files.py, change_feed.py    a range of changes, as rows
incremental.py, audit_log.py, audit_rows.py, packing.py    Paimon's own tables of changes
snapshot.py, table.py               Snapshot and Table
"""

from __future__ import annotations

from collections.abc import Mapping

from lakesql.formats import markers
from lakesql.formats.paimon.table import PaimonTable
from lakesql.storage import Storage


class PaimonFormat:
    """See Format."""

    name = "paimon"

    def evidence(self, storage: Storage, location: str) -> str | None:
        """See Format."""
        return markers.paimon(storage, location)

    def open(self, storage: Storage, location: str, options: Mapping[str, str]) -> PaimonTable:
        """See Format."""
        return PaimonTable(storage, location, options)


FORMAT = PaimonFormat()
