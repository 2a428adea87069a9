"""Files of a snapshot as columns: entries of several manifests, with everything they inherit from the lists their manifests are in.

Inheritance comes before any choice of entries, as row ids count the entries before: a deleted entry counts nothing, one with its own id neither. Source:
Iceberg table spec, "Sequence Number Inheritance", "First Row ID Inheritance".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lakesql.formats.iceberg.manifest import DELETED, ENTRY_FIELDS, FILE_FIELDS, ManifestFile, Manifests, RawManifest
from lakesql.formats.iceberg.metrics import ColumnMetrics
from lakesql.formats.iceberg.spec import PartitionSpec

Rows = npt.NDArray[np.int64]
"""Positions in a manifest, ascending."""

_TYPES = {**{n: t for n, (_, t) in ENTRY_FIELDS.items()}, **{n: t for n, (_, t) in FILE_FIELDS.items()}}


@dataclass(frozen=True)
class Part:
    """Entries of one manifest; rows: which ones, None for all."""

    file: ManifestFile
    raw: RawManifest
    rows: Rows | None

    def __len__(self) -> int:
        return self.raw.rows if self.rows is None else len(self.rows)

    def take(self, whole: pa.Array) -> pa.Array:
        """The part's entries of an array over the whole manifest."""
        return whole if self.rows is None else whole.take(pa.array(self.rows))

    def column(self, name: str) -> pa.Array:
        """A field of the entries, inherited where the manifest leaves it out."""
        return self.take(self._inherited(name))

    def _inherited(self, name: str) -> pa.Array:
        stored = self.raw.columns[name]
        match name:
            case "snapshot_id" if self.file.added_snapshot_id is not None:
                return pc.fill_null(stored, self.file.added_snapshot_id)
            case "sequence_number" | "file_sequence_number":
                # An entry that is kept from an earlier manifest has its own number; where a writer left it out there is nothing better than the manifest's.
                return pc.fill_null(stored, self.file.sequence_number)
            case "first_row_id":
                return self._first_row_ids
            case _:
                return stored

    @cached_property
    def _first_row_ids(self) -> pa.Array:
        stored = self.raw.columns["first_row_id"]
        start = self.file.first_row_id
        if start is None:
            return pa.nulls(len(stored), pa.int64())
        status = self.raw.columns["status"].to_numpy()
        needs = stored.is_null().to_numpy(zero_copy_only=False) & (status != DELETED)
        counts = np.where(needs, pc.fill_null(self.raw.columns["record_count"], 0).to_numpy(zero_copy_only=False), 0)
        given = pa.array(start + np.cumsum(counts) - counts, pa.int64())
        return pc.if_else(pa.array(needs), given, stored)


@dataclass(frozen=True)
class Entries:
    """Entries in the order of their parts, those of one spec side by side. No part is empty."""

    parts: tuple[Part, ...]

    @staticmethod
    def read(manifests: Manifests, files: Sequence[ManifestFile], *, columns: Sequence[int] = (), only_live: bool = True) -> Entries:
        """The entries of these manifests, deleted ones left out unless they are wanted. columns: field ids whose metrics will be asked for."""
        ordered = sorted(files, key=lambda f: f.spec.id)
        raws = manifests.entries(ordered, columns=columns)
        parts = []
        for file, raw in zip(ordered, raws, strict=True):
            live = raw.live if only_live else None
            part = Part(file, raw, None if live is None else live.to_numpy().astype(np.int64))
            if len(part):
                parts.append(part)
        return Entries(tuple(parts))

    def __len__(self) -> int:
        return int(self._starts[-1])

    def narrow(self, mask: npt.NDArray[np.bool_]) -> Entries:
        """The entries where mask is true."""
        if mask.all():
            return self
        parts = []
        for part, start in zip(self.parts, self._starts, strict=False):
            chosen = mask[start : start + len(part)]
            if chosen.all():
                parts.append(part)
            elif chosen.any():
                parts.append(Part(part.file, part.raw, np.flatnonzero(chosen) if part.rows is None else part.rows[chosen]))
        return Entries(tuple(parts))

    def take(self, indices: npt.NDArray[np.int64]) -> Entries:
        """The entries at these positions, which ascend."""
        mask = np.zeros(len(self), np.bool_)
        mask[indices] = True
        return self.narrow(mask)

    def column(self, name: str) -> pa.Array:
        """A field of every entry: those of ENTRY_FIELDS and FILE_FIELDS, inherited ones filled in."""
        return concat([part.column(name) for part in self.parts], _TYPES[name])

    @property
    def spec_ids(self) -> pa.Array:
        """The id of each entry's partition spec."""
        return self.per_part(lambda part: part.file.spec.id, pa.int32())

    @property
    def specs(self) -> tuple[PartitionSpec, ...]:
        """The specs there are, by id."""
        return tuple({part.file.spec.id: part.file.spec for part in self.parts}.values())

    def of_spec(self, spec_id: int) -> Entries:
        """Those of one spec."""
        return Entries(tuple(p for p in self.parts if p.file.spec.id == spec_id))

    def partition(self, field_id: int, type_: pa.DataType) -> pa.Array:
        """The values of one partition field; null where an entry's spec does not have it, or its manifest."""
        pieces = []
        for part in self.parts:
            values = part.raw.partition.get(field_id)
            pieces.append(pa.nulls(len(part), type_) if values is None else part.take(values).cast(type_))
        return concat(pieces, type_)

    def metrics(self, manifests: Manifests, column: int) -> ColumnMetrics:
        """The metrics of a column of every entry, by its field id."""
        found = manifests.metrics([part.file for part in self.parts], column)
        pieces = [m if p.rows is None else m.take(pa.array(p.rows)) for p, m in zip(self.parts, found, strict=True)]

        def whole(of: Callable[[ColumnMetrics], pa.Array], type_: pa.DataType) -> pa.Array:
            return concat([of(piece) for piece in pieces], type_)

        return ColumnMetrics(
            whole(lambda m: m.value_count, pa.int64()),
            whole(lambda m: m.null_count, pa.int64()),
            whole(lambda m: m.nan_count, pa.int64()),
            whole(lambda m: m.lower, pa.binary()),
            whole(lambda m: m.upper, pa.binary()),
        )

    def per_part(self, value: Callable[[Part], int | None], type_: pa.DataType) -> pa.Array:
        """One value for all entries of a part."""
        return concat([pa.repeat(pa.scalar(value(part), type_), len(part)) for part in self.parts], type_)

    @cached_property
    def _starts(self) -> Rows:
        return np.concatenate(([0], np.cumsum([len(p) for p in self.parts], dtype=np.int64))) if self.parts else np.zeros(1, np.int64)


def concat(pieces: Sequence[pa.Array], type_: pa.DataType) -> pa.Array:
    """The pieces as one array of the type."""
    if not pieces:
        return pa.array([], type_)
    return pieces[0] if len(pieces) == 1 else pa.concat_arrays([p if p.type == type_ else p.cast(type_) for p in pieces])


def partition_codes(groups: Iterable[Entries]) -> list[npt.NDArray[np.int64]]:
    """For each of several Entries a number per entry, equal where spec and partition tuple are: values compare by bits, null equals null, NaN equals NaN."""
    listed = list(groups)
    lengths = [len(g) for g in listed]
    whole = Entries(tuple(p for g in listed for p in g.parts))
    codes = whole.spec_ids.to_numpy(zero_copy_only=False).astype(np.int64) if len(whole) else np.zeros(0, np.int64)
    fields = {f.id: f for spec in {p.file.spec.id: p.file.spec for p in whole.parts}.values() for f in spec.fields}
    for field_id in fields:
        codes = combined(codes, whole, field_id)
    ends = np.cumsum([0, *lengths]).tolist()
    return [codes[a:b] for a, b in pairwise(ends)]


def combined(codes: npt.NDArray[np.int64], entries: Entries, field_id: int) -> npt.NDArray[np.int64]:
    """The codes, told apart by one more partition field as well."""
    pieces = [part.take(values) if (values := part.raw.partition.get(field_id)) is not None else pa.nulls(len(part)) for part in entries.parts]
    types = {piece.type for piece in pieces if not pa.types.is_null(piece.type)}
    if not types:
        return codes
    # One id may mean two things in tables of version 1, whose specs were all numbered from 1000; the spec's id is part of the code, so text will do to compare.
    type_ = types.pop() if len(types) == 1 else pa.binary()
    values = concat([_comparable(piece, type_) for piece in pieces], _storage(type_))
    encoded = pc.dictionary_encode(values, null_encoding="encode")
    return np.unique(codes * (len(encoded.dictionary) + 1) + encoded.indices.to_numpy(zero_copy_only=False), return_inverse=True)[1].astype(np.int64)


def _comparable(piece: pa.Array, type_: pa.DataType) -> pa.Array:
    if pa.types.is_null(piece.type):
        return piece.cast(_storage(type_))
    if pa.types.is_binary(type_) and piece.type != type_:
        return pc.cast(piece.cast(pa.string()) if not pa.types.is_fixed_size_binary(piece.type) else piece, pa.binary())
    if pa.types.is_floating(type_):
        same = pc.if_else(pc.is_nan(piece), pa.scalar(float("nan"), type_), piece)
        return same.view(_storage(type_))
    return piece


def _storage(type_: pa.DataType) -> pa.DataType:
    if pa.types.is_floating(type_):
        return pa.int64() if type_.bit_width == 64 else pa.int32()
    return type_
