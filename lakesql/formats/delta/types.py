"""Names of Delta types -> Arrow types, and which type may become which.

Only types that stand alone are here; structs, arrays and maps are `schema.py`'s. Source: PROTOCOL.md, "Primitive Types" and "Type Widening".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import pyarrow as pa

VARIANT = pa.struct([pa.field("metadata", pa.binary()), pa.field("value", pa.binary())])
"""A variant as its two binary fields; files may hold them in any order, and shredded ones hold more."""

_PLAIN = {
    "string": pa.string(),
    "long": pa.int64(),
    "integer": pa.int32(),
    "short": pa.int16(),
    "byte": pa.int8(),
    "float": pa.float32(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "binary": pa.binary(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "timestamp_ntz": pa.timestamp("us"),
    "void": pa.null(),
    "null": pa.null(),  # void's name in old versions of Spark
    "variant": VARIANT,
    "decimal": pa.decimal128(10, 0),
}
_DECIMAL = re.compile(r"decimal\(\s*(\d{1,3})\s*,\s*(-?\d{1,3})\s*\)")
_TEXT = re.compile(r"(?:char|varchar)\(\s*\d+\s*\)|string\s+collate\s+\S+", re.IGNORECASE)
_INTERVAL = re.compile(r"interval (?:(year|month)(?: to month)?|(?:day|hour|minute|second)(?: to (?:hour|minute|second))?)")
_GEO = re.compile(r"(geometry|geography)(?:\(\s*([^,()]*?)\s*(?:,\s*([^,()]*?)\s*)?\))?", re.IGNORECASE)

_WHOLE_DIGITS = {"byte": 3, "short": 5, "integer": 10, "long": 19}
_WIDER = {
    "byte": {"short", "integer", "long", "double"},
    "short": {"integer", "long", "double"},
    "integer": {"long", "double"},
    "float": {"double"},
    "date": {"timestamp_ntz"},
}


@dataclass(frozen=True)
class Primitive:
    """A type that stands alone. notes: field metadata that keeps what Arrow's type does not say (the coordinate system, the kind of interval, that a struct
    is a variant)."""

    type: pa.DataType
    notes: dict[str, str] = field(default_factory=dict)


def primitive(name: str) -> Primitive | None:
    """The Arrow type of a Delta type's name; None for a name that is not known. Raises ValueError for a decimal that no reader can hold.

    char, varchar and collated strings are strings. Intervals are raw numbers, as they are stored: months (int32) or microseconds (int64). geometry and
    geography are binary, in the well-known binary form.
    """
    plain = _PLAIN.get(name)
    if plain is not None:
        return Primitive(plain, {"delta.type": name} if plain is VARIANT else {})
    if match := _DECIMAL.fullmatch(name):
        return Primitive(_decimal(int(match[1]), int(match[2])))
    if _TEXT.fullmatch(name):
        return Primitive(pa.string())
    if match := _INTERVAL.fullmatch(name):
        return Primitive(pa.int32() if match[1] else pa.int64(), {"delta.type": name})
    if match := _GEO.fullmatch(name):
        notes = {"delta.type": name, "geo.encoding": "WKB"}
        if match[2]:
            notes["geo.crs"] = match[2]
        if match[1].lower() == "geography":
            notes["geo.edges"] = match[3] or "spherical"
        return Primitive(pa.binary(), notes)
    return None


def can_widen(old: str, new: str) -> bool:
    """Whether data files written as `old` can be read as `new`, by the protocol's rules for type widening.

    Decimals from integers are accepted with fewer digits than the protocol asks for, down to those that hold every integer of the type: preview tables have
    them.
    """
    if old == new or old in ("void", "null") or new in _WIDER.get(old, ()):
        return True
    target = _DECIMAL.fullmatch(new)
    if target is None:
        return False
    precision, scale = int(target[1]), int(target[2])
    if old in _WHOLE_DIGITS:
        return precision - scale >= _WHOLE_DIGITS[old]
    origin = _DECIMAL.fullmatch(old) or (_DECIMAL.fullmatch("decimal(10,0)") if old == "decimal" else None)
    return origin is not None and scale >= int(origin[2]) and precision - scale >= int(origin[1]) - int(origin[2])


def _decimal(precision: int, scale: int) -> pa.DataType:
    if not (1 <= precision <= 38 and 0 <= scale <= precision):
        raise ValueError("a decimal has 1 to 38 digits, and no more of them after the point than in all")
    return pa.decimal128(precision, scale)
