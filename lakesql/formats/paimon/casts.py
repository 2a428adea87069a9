"""Values of a column's former type -> its type of today, as Paimon's reader makes them.

Not SQL's rules: integers wrap, numbers with a fraction are cut towards zero, decimals round half away from zero and become null where they do not fit,
texts are cut to the length of a VARCHAR. Only a text that says nothing in its new type is an error. Times with local zone are taken as UTC. Source: Paimon,
package org.apache.paimon.casting.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakesql.errors import EngineError, UnsupportedFeatureError
from lakesql.formats.paimon.types import DataType, arrow_type
from lakesql.formats.paimon.values import PER_SECOND, cast_text

INTEGERS = ("TINYINT", "SMALLINT", "INT", "BIGINT")
FLOATS = ("FLOAT", "DOUBLE")
TEXTS = ("CHAR", "VARCHAR")
BYTES = ("BINARY", "VARBINARY")
TIMESTAMPS = ("TIMESTAMP", "TIMESTAMP_LTZ")

_DAY_MS = 86_400_000
_WIDE = Context(prec=80, rounding=ROUND_HALF_UP)

Cast = Callable[[pa.Array], pa.Array]


def cast(array: pa.Array, held: DataType, wanted: DataType) -> pa.Array:
    """Values of type `held` as type `wanted`, null for null. Raises EngineError for a text that is no such value, UnsupportedFeatureError for types that
    are not cast.
    """
    if held.same(wanted):
        return array
    if held.is_nested or wanted.is_nested:
        return _nested(array, held, wanted)
    rule = _rule(held, wanted)
    if rule is None:
        raise UnsupportedFeatureError(f"a column became {wanted} that was {held}; lakesql does not cast these", feature=f"cast of {held} to {wanted}")
    return rule(array)


def can_cast(held: DataType, wanted: DataType) -> bool:
    """Whether `cast` knows these types."""
    if held.same(wanted):
        return True
    if held.is_nested or wanted.is_nested:
        if held.root != wanted.root or held.length != wanted.length:
            return False
        if held.root == "ROW":
            by_id = {c.id: c for c in held.children}
            return all(can_cast(by_id[c.id].type, c.type) for c in wanted.children if c.id in by_id)
        return all(can_cast(h.type, w.type) for h, w in zip(held.children, wanted.children, strict=True))
    return _rule(held, wanted) is not None


def _nested(array: pa.Array, held: DataType, wanted: DataType) -> pa.Array:
    """Fields of rows by their ids, those that were not there null; elements, keys and values one by one."""
    if held.root != wanted.root:
        raise UnsupportedFeatureError(f"a column became {wanted} that was {held}; lakesql does not cast these", feature=f"cast of {held} to {wanted}")
    type_ = arrow_type(wanted)
    mask = array.is_null() if array.null_count else None
    if held.root == "ROW":
        parts = dict(zip((c.id for c in held.children), array.flatten(), strict=True))
        types = {c.id: c.type for c in held.children}
        children = [cast(parts[c.id], types[c.id], c.type) if c.id in parts else pa.nulls(len(array), arrow_type(c.type)) for c in wanted.children]
        return pa.StructArray.from_arrays(children, fields=list(type_), mask=mask)
    if held.root == "VECTOR":
        return pa.FixedSizeListArray.from_arrays(cast(array.flatten(), held.children[0].type, wanted.children[0].type), type=type_)
    offsets = array.offsets
    start, end = (offsets[0].as_py(), offsets[-1].as_py()) if len(offsets) else (0, 0)
    moved = pc.subtract(offsets, pa.scalar(start, offsets.type))
    if held.root == "ARRAY":
        values = cast(array.values.slice(start, end - start), held.children[0].type, wanted.children[0].type)
        return pa.Array.from_buffers(type_, len(array), [_validity(array), moved.buffers()[1]], children=[values])
    keys = cast(array.keys.slice(start, end - start), held.children[0].type, wanted.children[0].type)
    items = array.items.slice(start, end - start)
    items = cast(items, held.children[1].type, wanted.children[1].type) if held.root == "MAP" else items
    entries = pa.StructArray.from_arrays([keys, items], fields=[type_.key_field, type_.item_field])
    return pa.Array.from_buffers(type_, len(array), [_validity(array), moved.buffers()[1]], children=[entries])


def _validity(array: pa.Array) -> pa.Buffer | None:
    return array.is_valid().cast(pa.bool_()).buffers()[1] if array.null_count else None


# Which rule ----------------------------------------------------------------------------------------------------------------------------------------


def _rule(held: DataType, wanted: DataType) -> Cast | None:
    """What turns values of one atomic type into the other."""
    source, target, type_ = held.root, wanted.root, arrow_type(wanted)
    if source in (*INTEGERS, *FLOATS) and target in (*INTEGERS, *FLOATS):
        return lambda a: _number(a, type_)
    if source in (*INTEGERS, *FLOATS, "DECIMAL", "BOOLEAN") and target == "DECIMAL":
        return lambda a: _decimal(a, type_)
    if source == "DECIMAL" and target in INTEGERS:
        return lambda a: _number(_low_bits(a), type_)
    if source == "DECIMAL" and target in FLOATS:
        return lambda a: _each(a, float, pa.float64()).cast(type_)
    if target == "BOOLEAN" and source in (*INTEGERS, *FLOATS, "DECIMAL"):
        return lambda a: pc.not_equal(_low_bits(a) if source == "DECIMAL" else _number(a, pa.int64()), 0)
    if source == "BOOLEAN" and target in (*INTEGERS, *FLOATS):
        return lambda a: a.cast(pa.int8()).cast(type_)
    if target in TEXTS and source not in BYTES:
        return _to_text(held, wanted)
    if source in TEXTS:
        return _from_text(wanted)
    if source in BYTES:
        return {**dict.fromkeys(BYTES, lambda a: _fitted_bytes(a, wanted)), **dict.fromkeys(TEXTS, lambda a: _each(a, _utf8, pa.string()))}.get(target)
    return _temporal(held, wanted)


def _to_text(held: DataType, wanted: DataType) -> Cast | None:
    if held.root in TEXTS:
        return lambda a: _fitted(a, wanted)
    if held.root in (*INTEGERS, "BOOLEAN"):
        return lambda a: _fitted(a.cast(pa.string()), wanted)
    if held.root in (*FLOATS, "DECIMAL", "DATE", "TIME", *TIMESTAMPS):
        return lambda a: _fitted(_each_scalar(a, lambda s: cast_text(s, held), pa.string()), wanted)
    return None


def _from_text(wanted: DataType) -> Cast | None:
    type_ = arrow_type(wanted)
    parse = _PARSERS.get(wanted.root)
    if wanted.root in BYTES:
        return lambda a: _fitted_bytes(a.cast(pa.binary()), wanted)
    if wanted.root == "DECIMAL":
        return lambda a: _decimal_of(a, lambda t: _parsed(t, wanted, Decimal), type_)
    if wanted.root in TIMESTAMPS:
        per_second, keep = PER_SECOND[type_.unit], 10 ** (9 - (wanted.precision or 0))
        return lambda a: _each(a, lambda t: _parsed(t, wanted, lambda v: _timestamp(v, per_second, keep)), pa.int64()).cast(type_)
    if parse is None:
        return None
    stored = pa.int32() if wanted.root in ("DATE", "TIME") else type_
    return lambda a: _each(a, lambda t: _parsed(t, wanted, parse), stored).cast(type_)


def _temporal(held: DataType, wanted: DataType) -> Cast | None:
    source, target, type_ = held.root, wanted.root, arrow_type(wanted)
    if source in TIMESTAMPS and target in TIMESTAMPS:
        return lambda a: _retimed(a, wanted)
    if source == "DATE" and target in TIMESTAMPS:
        return lambda a: _ticks(pc.multiply(_raw(a), _DAY_MS), 1000, type_)
    if source == "TIME" and target in TIMESTAMPS:
        return lambda a: _ticks(_raw(a), 1000, type_)
    if source in TIMESTAMPS and target == "DATE":
        return lambda a: _floor(_raw(a), _DAY_MS * PER_SECOND[a.type.unit] // 1000).cast(pa.int32()).cast(type_)
    if source in TIMESTAMPS and target == "TIME":
        return lambda a: _remainder(_millis(a), _DAY_MS).cast(pa.int32()).cast(type_)
    if source in TIMESTAMPS and target in ("INT", "BIGINT"):
        return lambda a: _number(_floor(_raw(a), PER_SECOND[a.type.unit]), type_)
    if source in ("INT", "BIGINT") and target in TIMESTAMPS:
        return lambda a: _ticks(pc.multiply(a.cast(pa.int64()), 1000), 1000, type_)
    return None


# Numbers -------------------------------------------------------------------------------------------------------------------------------------------


def _number(array: pa.Array, type_: pa.DataType) -> pa.Array:
    """Java's conversions: integers keep their low bits; floating point is cut, held within the target's range (int's for narrower types), NaN is 0."""
    nulls = array.is_null().to_numpy(zero_copy_only=False)
    values = pc.fill_null(array, 0).to_numpy(zero_copy_only=False)
    target = type_.to_pandas_dtype()
    with np.errstate(over="ignore", invalid="ignore"):
        if pa.types.is_floating(type_):
            return pa.array(values.astype(target), type_, mask=nulls)
        if pa.types.is_floating(array.type):
            bits = 64 if pa.types.is_int64(type_) else 32
            least, most = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
            wide = values.astype(np.float64)
            cut = np.where(np.isnan(wide), 0.0, np.trunc(wide))
            inside = (cut > float(least)) & (cut < float(most))
            values = np.where(inside, np.where(inside, cut, 0).astype(np.int64), np.where(cut <= float(least), least, most).astype(np.int64))
        return pa.array(values.astype(target), type_, mask=nulls)


def _decimal(array: pa.Array, type_: pa.DataType) -> pa.Array:
    """Rounded half away from zero; null where too many digits are left."""
    if pa.types.is_floating(array.type):
        return _decimal_of(array, lambda v: _of_double(v, type_), type_)
    wide = array.cast(pa.int64()).cast(pa.decimal256(76, 0)) if not pa.types.is_decimal(array.type) else array.cast(pa.decimal256(76, array.type.scale))
    if wide.type.scale > type_.scale:
        wide = pc.round(wide, ndigits=type_.scale, round_mode="half_towards_infinity")
    wide = wide.cast(pa.decimal256(76, type_.scale))
    limit = pa.scalar(Decimal((0, (1,), type_.precision - type_.scale)), wide.type)
    fits = pc.less(pc.abs(wide), limit)
    return pc.if_else(fits, wide, pa.scalar(None, wide.type)).cast(type_)


def _decimal_of(array: pa.Array, parse: Callable[[Any], Decimal], type_: pa.DataType) -> pa.Array:
    def fitted(value: Any) -> Decimal | None:
        rounded = parse(value).quantize(Decimal((0, (1,), -type_.scale)), context=_WIDE)
        return rounded if abs(rounded) < Decimal((0, (1,), type_.precision - type_.scale)) else None

    return _each(array, fitted, type_)


def _of_double(value: float, type_: pa.DataType) -> Decimal:
    found = Decimal(repr(value))
    if not found.is_finite():
        raise EngineError(f"{value} is no {type_}")
    return found


def _low_bits(array: pa.Array) -> pa.Array:
    """Decimals cut to whole numbers, of which the low 64 bits are kept."""
    whole = pc.round(array.cast(pa.decimal256(76, array.type.scale)), ndigits=0, round_mode="towards_zero").cast(pa.decimal128(38, 0))
    words = (
        np.frombuffer(whole.buffers()[1], np.int64)[2 * whole.offset : 2 * (whole.offset + len(whole))].reshape(-1, 2)
        if len(whole)
        else np.zeros((0, 2), np.int64)
    )
    return pa.array(words[:, 0], pa.int64(), mask=whole.is_null().to_numpy(zero_copy_only=False))


# Texts and bytes -----------------------------------------------------------------------------------------------------------------------------------


def _fitted(array: pa.Array, wanted: DataType) -> pa.Array:
    """Texts cut to the type's length; those of CHAR filled up with blanks."""
    length = wanted.length or 0
    if length >= 2**31 - 1:
        return array
    cut = pc.utf8_slice_codeunits(array, 0, length)
    return pc.utf8_rpad(cut, length) if wanted.root == "CHAR" else cut


def _fitted_bytes(array: pa.Array, wanted: DataType) -> pa.Array:
    """Bytes cut to the type's length; those of BINARY filled up with zeros."""
    length = wanted.length or 0
    if length >= 2**31 - 1:
        return array
    return _each(array, lambda b: b[:length].ljust(length, b"\0") if wanted.root == "BINARY" else b[:length], pa.binary())


def _utf8(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _parsed(text: str, wanted: DataType, parse: Callable[[str], Any]) -> Any:
    try:
        return parse(text)
    except (ValueError, InvalidOperation, OverflowError) as error:
        raise EngineError(f"{text!r} is no {wanted.root}, which the column became", hint="the column was a text when the row was written") from error


_WHOLE = re.compile(r"([+-]?)(\d*)(?:\.(\d*))?")
_TRUE, _FALSE = frozenset(("t", "true", "y", "yes", "1")), frozenset(("f", "false", "n", "no", "0"))


def _integer(bits: int) -> Callable[[str], int]:
    """A whole number; a fraction is cut. Blanks are not allowed."""

    def parse(text: str) -> int:
        found = _WHOLE.fullmatch(text)
        if found is None or not text or text in "+-" or not text.isascii():
            raise ValueError(text)
        value = int(f"{found[1]}{found[2] or '0'}")
        if not -(2 ** (bits - 1)) <= value < 2 ** (bits - 1):
            raise OverflowError(text)
        return value

    return parse


def _boolean(text: str) -> bool:
    lower = text.lower()
    if lower not in _TRUE | _FALSE:
        raise ValueError(text)
    return lower in _TRUE


def _float(text: str) -> float:
    spelled = text.strip()
    if "_" in spelled or (spelled.lstrip("+-").lower() in ("nan", "inf", "infinity") and spelled.lstrip("+-") not in ("NaN", "Infinity")):
        raise ValueError(text)
    return float(spelled[:-1] if spelled[-1:] in "fFdD" and spelled[-2:-1].isdigit() else spelled)


_EPOCH_DAY = date(1970, 1, 1).toordinal()


def _date(text: str) -> int:
    """Days since 1970: a number of them, or year, month and day; what follows a blank is left out."""
    if text.isdigit() and text.isascii():
        return _integer(32)(text)
    parts = [p.strip() for p in text.partition(" ")[0].split("-")]
    if not 1 <= len(parts) <= 3 or not all(p.isdigit() for p in parts):
        raise ValueError(text)
    year, month, day = (int(p) for p in [*parts, "1", "1"][:3])
    return date(year, month, day).toordinal() - _EPOCH_DAY


def _time(text: str) -> int:
    """Milliseconds of a day."""
    if text.isdigit() and text.isascii():
        return _integer(32)(text)
    found = re.fullmatch(r"\s*(\d{1,9})(?:\s*:\s*(\d{1,9})(?:\s*:\s*(\d{1,9})(?:\.(\d*))?)?)?\s*", text)
    if found is None:
        raise ValueError(text)
    hour, minute, second = (int(found[i] or 0) for i in (1, 2, 3))
    return hour * 3_600_000 + minute * 60_000 + second * 1000 + int((found[4] or "").ljust(3, "0")[:3])


_MOMENT = re.compile(r"(\d{4,9})-(\d{1,2})-(\d{1,2})(?:[ T](\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d{0,9}))?)?)?")
_UNIX = datetime(1970, 1, 1, tzinfo=UTC)


def _timestamp(text: str, per_second: int, keep: int) -> int:
    """Ticks since 1970, without digits below the precision."""
    if text.isdigit() and text.isascii():
        return int(text)
    found = _MOMENT.fullmatch(text)
    if found is None:
        raise ValueError(text)
    year, month, day, hour, minute, second = (int(found[i] or 0) for i in range(1, 7))
    whole = int((datetime(year, month, day, hour, minute, second, tzinfo=UTC) - _UNIX).total_seconds())
    nanos = int((found[7] or "").ljust(9, "0")) // keep * keep
    return whole * per_second + nanos * per_second // 1_000_000_000


_PARSERS: dict[str, Callable[[str], Any]] = {
    "TINYINT": _integer(8),
    "SMALLINT": _integer(16),
    "INT": _integer(32),
    "BIGINT": _integer(64),
    "FLOAT": _float,
    "DOUBLE": _float,
    "BOOLEAN": _boolean,
    "DATE": _date,
    "TIME": _time,
}


# Dates and times -----------------------------------------------------------------------------------------------------------------------------------


def _raw(array: pa.Array) -> pa.Array:
    """The numbers that dates, times and timestamps are."""
    return array.view(pa.int32()).cast(pa.int64()) if array.type.bit_width == 32 else array.view(pa.int64())


def _millis(array: pa.Array) -> pa.Array:
    return _floor(_raw(array), PER_SECOND[array.type.unit] // 1000)


def _floor(array: pa.Array, divisor: int) -> pa.Array:
    nulls = array.is_null().to_numpy(zero_copy_only=False)
    return pa.array(pc.fill_null(array, 0).to_numpy(zero_copy_only=False) // divisor, pa.int64(), mask=nulls)


def _remainder(array: pa.Array, divisor: int) -> pa.Array:
    return pc.subtract(array, pc.multiply(_floor(array, divisor), divisor))


def _ticks(array: pa.Array, per_second: int, type_: pa.DataType) -> pa.Array:
    return pc.multiply_checked(array, PER_SECOND[type_.unit] // per_second).cast(type_)


def _retimed(array: pa.Array, wanted: DataType) -> pa.Array:
    """Another precision: digits below it are cut, towards the past."""
    type_ = arrow_type(wanted)
    held, target = PER_SECOND[array.type.unit], PER_SECOND[type_.unit]
    step = target // 10 ** (wanted.precision or 0)
    raw = _raw(array)
    try:
        scaled = pc.multiply_checked(raw, target // held) if target >= held else _floor(raw, held // target)
    except pa.ArrowInvalid as error:
        raise EngineError(f"a timestamp is beyond what {wanted} holds in 64 bits") from error
    if (wanted.precision or 0) in (0, 3, 6, 9) and step == 1:
        return scaled.cast(type_)
    return pc.multiply(_floor(scaled, step), step).cast(type_)


# Value by value ------------------------------------------------------------------------------------------------------------------------------------


def _each(array: pa.Array, make: Callable[[Any], Any], type_: pa.DataType) -> pa.Array:
    """make of every distinct value, in its place."""
    return _each_scalar(array, lambda s: make(s.as_py()), type_)


def _each_scalar(array: pa.Array, make: Callable[[pa.Scalar], Any], type_: pa.DataType) -> pa.Array:
    encoded = pc.dictionary_encode(array)
    made = pa.array([make(v) if v.is_valid else None for v in encoded.dictionary], type_)
    return made.take(encoded.indices)
