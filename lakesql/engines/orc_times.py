"""Timestamps of ORC files as they were meant, where pyarrow reads them otherwise.

Seconds and nanoseconds are stored apart. For times before 1970 the seconds are cut towards zero, and readers take one off again where there are a million
nanoseconds or more. Whether a time is before 1970 is asked of the writer's clock; pyarrow asks after it has turned the writer's clock into ours, and so is
a second off near 1970 for writers outside UTC. Source: ORC, TreeReaderFactory.TimestampTreeReader; ORC C++, TimestampColumnReader.
"""

from __future__ import annotations

import re
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from lakesql.engines.orc_footer import OrcFooter
from lakesql.relation import WRITERS_CLOCK

_SECOND_NS = 1_000_000_000
_FIXED = re.compile(r"(?:GMT|UTC)([+-])(\d{1,2})(?::?(\d{2}))?")


def corrected(column: pa.ChunkedArray, footer: OrcFooter | None, wanted: pa.Field) -> pa.ChunkedArray:
    """A column with the timestamps in it as they were meant. wanted: the field that is read, which may say WRITERS_CLOCK."""
    if footer is None or not _has_timestamps(column.type) or all(s.zone in (None, "UTC", "GMT") for s in footer.stripes):
        return column
    zones = {s.zone for s in footer.stripes if s.rows}
    pieces, at = [], 0
    for stripe in footer.stripes if len(zones) > 1 else ():
        pieces += [_corrected(chunk, stripe.zone, wanted) for chunk in column.slice(at, stripe.rows).chunks]
        at += stripe.rows
    if len(zones) == 1:
        pieces = [_corrected(chunk, next(iter(zones)), wanted) for chunk in column.chunks]
    return pa.chunked_array(pieces, column.type)


def _has_timestamps(type_: pa.DataType) -> bool:
    return pa.types.is_timestamp(type_) or (pa.types.is_nested(type_) and any(_has_timestamps(type_.field(i).type) for i in range(type_.num_fields)))


def _corrected(array: pa.Array, zone: str | None, wanted: pa.Field) -> pa.Array:
    type_ = array.type
    if not _has_timestamps(type_) or zone is None:
        return array
    if pa.types.is_timestamp(type_):
        if type_.tz is None:
            return _near_epoch(array, zone)
        marked = (wanted.metadata or {}).items() >= WRITERS_CLOCK.items()
        return _on_writers_clock(array, zone) if marked else array
    if pa.types.is_struct(type_):
        fields = {wanted.type.field(i).name: wanted.type.field(i) for i in range(wanted.type.num_fields)} if pa.types.is_struct(wanted.type) else {}
        children = [_corrected(c, zone, fields.get(f.name, f)) for c, f in zip(array.flatten(), type_, strict=True)]
        return pa.StructArray.from_arrays(children, fields=list(type_), mask=array.is_null())
    if array.offset:
        array = array.take(pa.array(np.arange(len(array))))
    if pa.types.is_list(type_):
        values = _corrected(array.values, zone, wanted.type.value_field if pa.types.is_list(wanted.type) else type_.value_field)
        return pa.Array.from_buffers(type_, len(array), array.buffers()[:2], null_count=array.null_count, children=[values])
    is_map = pa.types.is_map(wanted.type)
    keys = _corrected(array.keys, zone, wanted.type.key_field if is_map else type_.key_field)
    items = _corrected(array.items, zone, wanted.type.item_field if is_map else type_.item_field)
    entries = pa.StructArray.from_arrays([keys, items], fields=[type_.key_field, type_.item_field])
    return pa.Array.from_buffers(type_, len(array), array.buffers()[:2], null_count=array.null_count, children=[entries])


def _near_epoch(array: pa.Array, zone: str) -> pa.Array:
    """Wall-clock times: whether a second is taken off depends on the writer's clock, which is `offset` ahead of UTC."""
    offset = _offset_at_epoch(zone)
    if offset == 0:
        return array
    raw = array.view(pa.int64())
    nulls = raw.is_null().to_numpy(zero_copy_only=False)
    values = raw.fill_null(0).to_numpy(zero_copy_only=False)
    seconds, nanos = np.divmod(values, _SECOND_NS)
    stored = np.where(seconds < 0, seconds + 1, seconds)
    meant = np.where(stored - offset < 0, stored - 1, stored)
    return pa.array(np.where(nanos > 999_999, meant * _SECOND_NS + nanos, values), pa.int64(), mask=nulls).view(array.type)


def _on_writers_clock(array: pa.Array, zone: str) -> pa.Array:
    """Instants whose digits in UTC were taken for the writer's wall clock: the writer's wall clock says what they are."""
    try:
        local = pa.compute.local_timestamp(array.cast(pa.timestamp(array.type.unit, tz=zone)))
    except pa.ArrowInvalid:
        return array
    return local.view(pa.int64()).view(array.type)


def _offset_at_epoch(zone: str) -> int:
    """Seconds that a zone was ahead of UTC in 1970; 0 for one that is not known."""
    if found := _FIXED.fullmatch(zone):
        seconds = int(found[2]) * 3600 + int(found[3] or 0) * 60
        return seconds if found[1] == "+" else -seconds
    try:
        offset = datetime(1970, 1, 1, tzinfo=ZoneInfo(zone)).utcoffset()
    except (OSError, ValueError, KeyError):  # no such zone
        return 0
    return int(offset.total_seconds()) if offset is not None else 0
