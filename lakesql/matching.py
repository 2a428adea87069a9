"""Two states whose columns are matched by name, as a Comparison of `table.py`: states of two tables, of whatever formats.

The result has the second's columns. One that the first has not is null there; one that the second has not is left out, which a notice says. A column whose
types differ takes the type that holds every value of both, or is refused by its name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from lakesql.errors import Error, MissingFileError, UnsupportedFeatureError
from lakesql.predicate import columns_of
from lakesql.relation import CastTo, Col, Expression, Project, Relabel, Relation, Value
from lakesql.table import FileSet, Mask, ScanRequest, Snapshot


@dataclass(frozen=True)
class ByName:
    """See Comparison: every file may differ, and nothing is known of identity."""

    before: Snapshot
    after: Snapshot

    def differing(self, before: FileSet, after: FileSet) -> tuple[Mask, Mask]:
        """See Comparison."""
        return np.ones(before.files.num_rows, bool), np.ones(after.files.num_rows, bool)

    def identity(self, before: FileSet, after: FileSet) -> tuple[str, ...]:
        """See Comparison."""
        return ()

    def narrowed(self, files: FileSet, mask: Mask) -> FileSet:
        """See Comparison: all of them, since none is left out."""
        return files


def by_name(before: Snapshot, after: Snapshot, names: tuple[str, str]) -> ByName:
    """Both under the second's columns. names: what the statement calls the tables. Raises UnsupportedFeatureError, naming a column without a common type."""
    pairs = [(f, _named(before.schema, f.name)) for f in after.schema]
    columns = [f if own is None else f.with_type(_common_of(own, f, names)) for f, own in pairs]
    known = {own.name for _, own in pairs if own is not None}
    absent = [n for n in before.schema.names if n not in known]
    notices = (f"columns that {names[1]} has not are left out: {', '.join(absent[:10])}",) if absent else ()
    schema = pa.schema(columns)
    return ByName(
        MatchedSnapshot(before, schema, tuple(None if own is None else own.name for _, own in pairs), notices),
        MatchedSnapshot(after, schema, tuple(f.name for f in after.schema)),
    )


class MatchedSnapshot:
    """See Snapshot: a state under other names and wider types. own: for each column of `schema` the state's own one, None where it is null throughout."""

    def __init__(self, inner: Snapshot, schema: pa.Schema, own: tuple[str | None, ...], notices: tuple[str, ...] = ()) -> None:
        self._inner = inner
        self._own = dict(zip(schema.names, own, strict=True))
        self.schema = schema
        self.hidden: pa.Schema = pa.schema([])
        self.notices = (*getattr(inner, "notices", ()), *notices)

    @property
    def version(self) -> str:
        """See Snapshot."""
        return self._inner.version

    @property
    def committed_at_us(self) -> int | None:
        """See Snapshot."""
        return self._inner.committed_at_us

    def scan(self, request: ScanRequest) -> FileSet:
        """See Snapshot. Predicates on columns that have another name or type here drop nothing."""
        usable = tuple(p for p in request.predicates if all(self._is_as_told(path[0]) for path in columns_of(p)))
        own = tuple(o for c in request.columns if (o := self._own.get(c)) is not None)
        found = self._inner.scan(replace(request, columns=own, predicates=usable))
        return found if usable == request.predicates else replace(found, all_match=False)

    def relate(self, files: FileSet, columns: Sequence[str]) -> Relation:
        """See Snapshot."""
        own = list(dict.fromkeys(o for c in columns if (o := self._own[c]) is not None))
        return Project(self._inner.relate(files, own), tuple(columns), tuple(self._expression(c) for c in columns))

    def explain_missing(self, error: MissingFileError) -> Error:
        """See Snapshot."""
        explain = getattr(self._inner, "explain_missing", None)
        explained: Error = error if explain is None else explain(error)
        return explained

    def _is_as_told(self, name: str) -> bool:
        own = self._own.get(name)
        return own == name and self._inner.schema.field(own).type == self.schema.field(name).type

    def _expression(self, name: str) -> Expression:
        own, wanted = self._own[name], self.schema.field(name).type
        if own is None:
            return Value(pa.scalar(None, wanted))
        held = self._inner.schema.field(own).type
        if held == wanted:
            return Col(own)
        return Relabel(Col(own), wanted) if pa.types.is_nested(held) else CastTo(Col(own), wanted)


def common_type(left: pa.DataType, right: pa.DataType) -> pa.DataType | None:
    """The type that holds every value of both; None where there is none.

    >>> common_type(pa.int32(), pa.decimal128(5, 2)), common_type(pa.int64(), pa.string())
    (Decimal128Type(decimal128(12, 2)), None)
    """
    if left == right:
        return left
    if pa.types.is_nested(left) or pa.types.is_nested(right):
        return right if _same_shape(left, right) else None
    return _wider(left, right) or _wider(right, left)


def _wider(left: pa.DataType, right: pa.DataType) -> pa.DataType | None:
    """The common type of two, as far as the first is the simpler one."""
    t = pa.types
    if t.is_null(left):
        return right
    if t.is_integer(left) and t.is_integer(right):
        return _integers(left, right)
    if t.is_integer(left) and t.is_decimal(right):
        return _decimals(_DIGITS[left], 0, right.precision, right.scale)
    if t.is_decimal(left) and t.is_decimal(right):
        return _decimals(left.precision, left.scale, right.precision, right.scale)
    if t.is_integer(left) and t.is_floating(right):
        return pa.float64() if left.bit_width < 64 else None
    if t.is_floating(left) and t.is_floating(right):
        return pa.float64()
    if t.is_date(left) and t.is_timestamp(right):
        return right if right.tz is None else None
    if t.is_timestamp(left) and t.is_timestamp(right):
        finer = max(left.unit, right.unit, key=("s", "ms", "us", "ns").index)
        return pa.timestamp(finer, left.tz) if (left.tz is None) == (right.tz is None) and finer != "ns" else None
    for kinds, type_ in ((_TEXTS, pa.string()), (_BYTES, pa.binary())):
        if any(k(left) for k in kinds) and any(k(right) for k in kinds):
            return type_
    return None


_TEXTS = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
_BYTES = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary, pa.types.is_binary_view)
_DIGITS = {pa.int8(): 3, pa.int16(): 5, pa.int32(): 10, pa.int64(): 19, pa.uint8(): 3, pa.uint16(): 5, pa.uint32(): 10, pa.uint64(): 20}


def _integers(left: pa.DataType, right: pa.DataType) -> pa.DataType | None:
    signed = [pa.types.is_signed_integer(x) for x in (left, right)]
    if signed[0] == signed[1]:
        return left if left.bit_width > right.bit_width else right
    bits = max(x.bit_width if s else 2 * x.bit_width for x, s in zip((left, right), signed, strict=True))
    return {8: pa.int8(), 16: pa.int16(), 32: pa.int32(), 64: pa.int64()}.get(bits)


def _decimals(left_precision: int, left_scale: int, right_precision: int, right_scale: int) -> pa.DataType | None:
    scale = max(left_scale, right_scale)
    precision = max(left_precision - left_scale, right_precision - right_scale) + scale
    return pa.decimal128(precision, scale) if precision <= 38 else None


def _same_shape(left: pa.DataType, right: pa.DataType) -> bool:
    """Whether two types differ at most in what lists and maps call their parts: formats have names of their own for those."""
    t = pa.types
    if t.is_struct(left) and t.is_struct(right):
        return [f.name for f in left] == [f.name for f in right] and all(_same_shape(a.type, b.type) for a, b in zip(left, right, strict=True))
    if t.is_map(left) and t.is_map(right):
        return _same_shape(left.key_type, right.key_type) and _same_shape(left.item_type, right.item_type)
    if t.is_list(left) and t.is_list(right):
        return _same_shape(left.value_type, right.value_type)
    return bool(left == right)


def _named(schema: pa.Schema, name: str) -> pa.Field | None:
    """The column of that name: exactly, else the only one that differs in case."""
    found = [f for f in schema if f.name == name] or [f for f in schema if f.name.lower() == name.lower()]
    return found[0] if len(found) == 1 else None


def _common_of(before: pa.Field, after: pa.Field, names: tuple[str, str]) -> pa.DataType:
    found = common_type(before.type, after.type)
    if found is None:
        raise UnsupportedFeatureError(
            f'column "{after.name}" is {before.type} in {names[0]} and {after.type} in {names[1]}: no type holds the values of both',
            feature="differences of columns without a common type",
            hint="compare queries that cast it: SELECT ... EXCEPT ALL SELECT ...",
        )
    return found
