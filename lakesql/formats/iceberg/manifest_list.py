"""A snapshot's manifests: its manifest list, or the manifests that old metadata lists itself. Source: Iceberg table spec, "Manifest Lists".

Columns are found by field id, as names differ between writers. A count that is null means "maybe some", never zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lakesql import avro
from lakesql.errors import MetadataError, MissingFileError
from lakesql.formats.iceberg.metadata import SnapshotInfo
from lakesql.formats.iceberg.places import Places
from lakesql.formats.iceberg.types import FIELD_ID
from lakesql.storage import Storage

DATA, DELETES = 0, 1

_SUMMARY = {"contains_null": (509, pa.bool_()), "contains_nan": (518, pa.bool_()), "lower_bound": (510, pa.binary()), "upper_bound": (511, pa.binary())}
_FIELDS = {
    "manifest_path": (500, pa.string()),
    "manifest_length": (501, pa.int64()),
    "partition_spec_id": (502, pa.int32()),
    "content": (517, pa.int32()),
    "sequence_number": (515, pa.int64()),
    "min_sequence_number": (516, pa.int64()),
    "added_snapshot_id": (503, pa.int64()),
    "added_files_count": (504, pa.int32()),
    "existing_files_count": (505, pa.int32()),
    "deleted_files_count": (506, pa.int32()),
    "added_rows_count": (512, pa.int64()),
    "existing_rows_count": (513, pa.int64()),
    "deleted_rows_count": (514, pa.int64()),
    "key_metadata": (519, pa.binary()),
    "first_row_id": (520, pa.int64()),
}


def _with_id(name: str, type_: pa.DataType, id_: int) -> pa.Field:
    return pa.field(name, type_, metadata={FIELD_ID: str(id_)})


_SUMMARIES = pa.list_(pa.field("element", pa.struct([_with_id(n, t, i) for n, (i, t) in _SUMMARY.items()])))
SCHEMA = pa.schema([*(_with_id(n, t, i) for n, (i, t) in _FIELDS.items()), _with_id("partitions", _SUMMARIES, 507)])
"""A manifest list as it is read: the spec's names, without defaults."""


@dataclass(frozen=True)
class Manifests:
    """Manifests as rows. table: the columns of SCHEMA with `path`, where storage has the file; content, sequence_number and spec id are never null.

    source: the file that lists them, for messages.
    """

    table: pa.Table
    source: str

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def column(self, name: str) -> pa.Array:
        """A column as one array."""
        column = self.table.column(name)
        return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()

    def where(self, mask: npt.NDArray[np.bool_]) -> Manifests:
        """The manifests where mask is true."""
        return self if mask.all() else Manifests(self.table.filter(pa.array(mask)), self.source)

    def of_content(self, content: int) -> Manifests:
        """Those of data files, or those of delete files."""
        return self.where(np.asarray(pc.equal(self.column("content"), content)))

    @property
    def may_have_live_files(self) -> npt.NDArray[np.bool_]:
        """Whether a manifest may list files that are part of the snapshot; null counts are no proof that it does not."""
        none = pc.and_(pc.equal(self.column("added_files_count"), 0), pc.equal(self.column("existing_files_count"), 0))
        return ~np.asarray(pc.fill_null(none, False))


def read_manifests(storage: Storage, places: Places, snapshot: SnapshotInfo, metadata_path: str) -> Manifests:
    """The manifests of a snapshot, none of them opened but for those of old metadata without a list. Raises MissingFileError, MetadataError,
    UnsupportedFeatureError.
    """
    if snapshot.manifest_list is None:
        return _inline(storage, places, snapshot, metadata_path)
    path = places.resolve(snapshot.manifest_list)
    try:
        table = avro.read(storage, path, SCHEMA, avro.Match.ID, immutable=True)
    except MissingFileError as error:
        raise MissingFileError(
            f'the manifest list of snapshot {snapshot.id} is gone: there is no file "{path}"',
            path=path,
            hint="it was deleted, as by expiring snapshots, while the metadata still names it; other snapshots may be whole",
        ) from error
    return Manifests(_checked(table, places, path), path)


def _checked(table: pa.Table, places: Places, source: str) -> pa.Table:
    paths = table.column("manifest_path").combine_chunks()
    if paths.null_count:
        raise MetadataError(f'manifest list "{source}" has {paths.null_count} rows without a manifest_path')
    defaults = {"content": pa.scalar(DATA, pa.int32()), "sequence_number": pa.scalar(0, pa.int64()), "partition_spec_id": pa.scalar(0, pa.int32())}
    for name, default in defaults.items():
        index = table.schema.get_field_index(name)
        table = table.set_column(index, table.schema.field(index), pc.fill_null(table.column(name), default))
    if table.num_rows and not pc.all(pc.is_in(table.column("content"), pa.array([DATA, DELETES], pa.int32()))).as_py():
        raise MetadataError(f'manifest list "{source}" has manifests of a content that is neither 0 (data) nor 1 (deletes)')
    return table.append_column("path", places.resolve_all(paths))


def _inline(storage: Storage, places: Places, snapshot: SnapshotInfo, metadata_path: str) -> Manifests:
    """Manifests listed by the metadata itself: without summaries, all of data files; the spec stands in their headers."""
    paths = places.resolve_all(pa.array(snapshot.manifests, pa.string()))
    headers = [avro.read_header(storage, path) for path in paths.to_pylist()]
    rows = pa.table({"manifest_path": pa.array(snapshot.manifests, pa.string())})
    for name in SCHEMA.names[1:]:
        rows = rows.append_column(SCHEMA.field(name), pa.nulls(len(paths), SCHEMA.field(name).type))
    spec_ids = pa.array([_spec_id(h.metadata.get("partition-spec-id"), p) for h, p in zip(headers, snapshot.manifests, strict=True)], pa.int32())
    for name, values in (("partition_spec_id", spec_ids), ("added_snapshot_id", pa.array([_int64(snapshot.id)] * len(paths), pa.int64()))):
        rows = rows.set_column(rows.schema.get_field_index(name), SCHEMA.field(name), values)
    return Manifests(_checked(rows, places, metadata_path), metadata_path)


def _spec_id(spelled: bytes | None, path: str) -> int:
    text = (spelled or b"0").strip()
    if not text.isdigit() or len(text) > 9:
        raise MetadataError(f'manifest "{path}" has the partition-spec-id {text[:40]!r} in its header; expected a whole number')
    return int(text)


def _int64(number: int) -> int | None:
    return number if -(2**63) <= number < 2**63 else None


def summaries(manifests: Manifests, position: int) -> dict[str, pa.Array]:
    """The summaries of the partition field at a position in the spec, by the names of _SUMMARY; null where a manifest has none."""
    lists: pa.ListArray = manifests.column("partitions")
    lengths = np.asarray(lists.value_lengths().fill_null(0))
    starts = np.concatenate(([0], np.cumsum(lengths)[:-1])) if len(lengths) else np.zeros(0, np.int64)
    at = pa.array(starts + position, pa.int64(), mask=lengths <= position)
    elements = lists.flatten()
    return {name: elements.field(name).take(at) for name in _SUMMARY}


def listed_paths(paths: Sequence[str]) -> str:
    """A few paths for a message."""
    return ", ".join(paths[:3]) + (", ..." if len(paths) > 3 else "")
