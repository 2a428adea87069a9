"""What tables were like along a range: metadata and protocol at each of its versions, and whether rows of one version can be given as another has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from lakesql.errors import UnsupportedFeatureError
from lakesql.formats.delta.actions import Metadata
from lakesql.formats.delta.change_actions import CommitFiles
from lakesql.formats.delta.features import Features, check_protocol
from lakesql.formats.delta.schema import TableSchema, parse_schema

_CHANGE_DATA_FEED = "delta.enableChangeDataFeed"


@dataclass(frozen=True)
class Epoch:
    """A stretch of versions with one metadata and one protocol. since: its first version."""

    since: int
    metadata: Metadata
    features: Features
    schema: TableSchema

    @property
    def records_changes(self) -> bool:
        """Whether commits write change files where their files alone would not tell the changes."""
        return self.metadata.configuration.get(_CHANGE_DATA_FEED, "").strip().lower() == "true"

    @property
    def partition_columns(self) -> frozenset[str]:
        """The physical names of the partition columns."""
        found = (self.schema.column(name) for name in self.metadata.partition_columns)
        return frozenset(c.physical_name for c in found if c is not None)


class Epochs:
    """The epochs of a range and of the version before it. first: metadata and protocol at that version, or at the range's first where that is not known."""

    def __init__(self, first: tuple[int, Metadata, dict[str, Any]], commits: Sequence[CommitFiles], location: str) -> None:
        since, metadata, protocol = first
        self._location = location
        self._epochs = [_epoch(since, metadata, protocol, location)]
        for commit in commits:
            if commit.metadata is not None or commit.protocol is not None:
                metadata, protocol = commit.metadata or metadata, commit.protocol or protocol
                self._epochs.append(_epoch(commit.version, metadata, protocol, location))

    def at(self, version: int) -> Epoch:
        """The epoch of a version of the range, or of the one before it."""
        return next((e for e in reversed(self._epochs) if e.since <= version), self._epochs[0])

    def check(self, version: int, end: TableSchema) -> None:
        """Raises UnsupportedFeatureError where a file of this version holds a column with values that the schema at the range's end cannot give."""
        epoch = self.at(version)
        now = {c.physical_name: c for c in end.columns}
        for column in epoch.schema.columns:
            later = now.get(column.physical_name)
            if later is not None and not widens(column.physical_type, later.physical_type):
                raise UnsupportedFeatureError(
                    f'column "{later.name}" of {self._location} was made anew inside the range: {column.physical_type} in version {version}, '
                    f"{later.physical_type} at the range's end",
                    feature="changes across a change of type that is no widening",
                    hint=f"ask for the changes up to version {version} and for later ones apart",
                )


def _epoch(since: int, metadata: Metadata, protocol: Mapping[str, Any], location: str) -> Epoch:
    features = check_protocol(protocol, metadata.configuration, version=since, location=location)
    schema = parse_schema(metadata.schema_string, source=f"{location}, version {since}", mapping=features.column_mapping)
    return Epoch(since, metadata, features, schema)


def widens(old: pa.DataType, new: pa.DataType) -> bool:
    """Whether every value of `old` is one of `new`: by a change of type that Delta knows, at any depth; fields of structs may come and go.

    >>> widens(pa.int32(), pa.int64()), widens(pa.int64(), pa.string())
    (True, False)
    """
    t = pa.types
    if old == new or t.is_null(old):
        return True
    if t.is_struct(old) and t.is_struct(new):
        later = {new.field(i).name: new.field(i).type for i in range(new.num_fields)}
        return all(old.field(i).name not in later or widens(old.field(i).type, later[old.field(i).name]) for i in range(old.num_fields))
    if t.is_map(old) and t.is_map(new):
        return widens(old.key_type, new.key_type) and widens(old.item_type, new.item_type)
    if t.is_list(old) and t.is_list(new):
        return widens(old.value_type, new.value_type)
    if t.is_integer(old):
        digits = {8: 3, 16: 5, 32: 10, 64: 19}[old.bit_width]
        if t.is_decimal(new):
            return bool(new.precision - new.scale >= digits)
        return bool(t.is_integer(new) and new.bit_width >= old.bit_width) or (t.is_float64(new) and old.bit_width <= 32)
    if t.is_decimal(old) and t.is_decimal(new):
        return bool(new.scale >= old.scale and new.precision - new.scale >= old.precision - old.scale)
    return bool(t.is_float32(old) and t.is_float64(new)) or bool(t.is_date32(old) and t.is_timestamp(new) and new.tz is None)
