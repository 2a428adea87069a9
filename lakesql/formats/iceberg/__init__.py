"""Apache Iceberg, as its specification describes format versions 1 to 3.

metadata_file.py, metadata.py     which metadata file, and what is in it; schema.py, types.py, spec.py, name_mapping.py, defaults.py: its parts
travel.py, table.py               which snapshot, read with which schema
places.py                         paths in metadata -> where files are, for tables that were moved too
manifest_list.py, manifest.py     manifests and their entries as columns, kept within limits; metrics.py, single_values.py: bounds of one column
entries.py                        entries of many manifests, with what they inherit
scan.py                           predicates -> files: candidates.py, partition_bounds.py, buckets.py
deletes.py                        which delete files concern which data files; delete_rows.py, deletion_vectors.py, keys.py, equality_bounds.py: what they say
snapshot.py, relate.py            a snapshot; how its rows come out of its files; hidden.py: columns beside the table's own
metadata_tables/                  the table's own tables: history, files, ...
"""

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


FORMAT = IcebergFormat()
