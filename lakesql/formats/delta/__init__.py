"""Delta Lake, as its protocol describes it up to reader version 3.

    log.py, hint.py          names in _delta_log/ -> the files that make a version
    commits.py, actions.py   commits -> changes; add actions as columns
    checkpoint.py            checkpoints -> blocks of lazily read columns
    replay.py, states.py     changes on top of a checkpoint -> the state of a version, kept and brought up to date
    snapshot.py              a version: schema, scan (scan.py, file_bounds.py), relation (relate.py)
    timeline.py, table.py    which version: by number, by time
    metadata.py              the table's own tables: history, files, ...

The rest decodes single things: schema.py, features.py, partition.py, stats.py, deletion_vectors.py, paths.py.
"""

from __future__ import annotations

from collections.abc import Mapping

from lakesql.formats import markers
from lakesql.formats.delta.table import DeltaTable
from lakesql.storage import Storage


class DeltaFormat:
    """See Format."""

    name = "delta"

    def evidence(self, storage: Storage, location: str) -> str | None:
        """See Format."""
        return markers.delta(storage, location)

    def open(self, storage: Storage, location: str, options: Mapping[str, str]) -> DeltaTable:
        """See Format."""
        return DeltaTable(storage, location, options)


FORMAT = DeltaFormat()
