"""Bounds of partition values as text, as Java's transforms write them for people. Source: Iceberg's Transform.toHumanString."""

from __future__ import annotations

import base64
import uuid
from typing import Any

import numpy as np
import pyarrow as pa

from lakesql.formats.iceberg.single_values import decode
from lakesql.formats.iceberg.spec import Kind, Transform


def bounds_as_text(values: pa.BinaryArray, type_: pa.DataType, transform: Transform) -> list[str | None]:
    """Each bound in words; None for one that is null or does not decode."""
    decoded = decode(values, type_)
    if transform.kind in (Kind.YEAR, Kind.MONTH, Kind.DAY, Kind.HOUR):
        numbers = decoded.cast(pa.int32()) if pa.types.is_date32(decoded.type) else decoded
        return [None if v is None else _period(v, transform.kind) for v in numbers.to_pylist()]
    return [_text(v) for v in decoded]


def _period(value: int, kind: Kind) -> str:
    unit = {Kind.YEAR: "Y", Kind.MONTH: "M", Kind.DAY: "D", Kind.HOUR: "h"}[kind]
    return str(np.array(value, np.int64).astype(f"datetime64[{unit}]")).replace("T", "-")


def _text(value: pa.Scalar) -> str | None:
    type_ = value.type
    if not value.is_valid:
        return None
    if pa.types.is_string(type_) or pa.types.is_binary(type_) or pa.types.is_fixed_size_binary(type_):
        content: bytes = value.as_buffer().to_pybytes()
        if pa.types.is_string(type_):
            return content.decode("utf-8", "replace")
        return str(uuid.UUID(bytes=content)) if len(content) == 16 and pa.types.is_fixed_size_binary(type_) else base64.b64encode(content).decode()
    if pa.types.is_temporal(type_):
        try:
            return str(value.cast(pa.string()).as_py()).replace(" ", "T")
        except pa.ArrowException:
            return str(value.value)
    plain: Any = value.as_py()
    return str(plain).lower() if isinstance(plain, bool) else str(plain)
