"""Predicates as pruning understands them: a small tree over columns, free of any engine.

An engine turns its own expressions into this tree (`engines/`); `pruning.py` tests it against bounds. A predicate here is true, false or null for a
row, exactly as in SQL, and means the same as the engine's expression did; what cannot be said is `Opaque` and prunes nothing.

NOT has no node: `negate` pushes it into the leaves, which is exact in three-valued logic for every leaf there is.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

ColumnPath = tuple[str, ...]
"""A column's logical name, then the names of struct fields below it."""


class Op(enum.Enum):
    """Comparison operators, with the text SQL gives them."""

    EQ = "="
    NE = "<>"
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="


_NEGATED = {Op.EQ: Op.NE, Op.NE: Op.EQ, Op.LT: Op.GE, Op.GE: Op.LT, Op.GT: Op.LE, Op.LE: Op.GT}
FLIPPED = {Op.EQ: Op.EQ, Op.NE: Op.NE, Op.LT: Op.GT, Op.GT: Op.LT, Op.LE: Op.GE, Op.GE: Op.LE}
"""`5 < x` is `x > 5`."""


@dataclass(frozen=True)
class Column:
    """The value of a column, or of a field of a struct column (null where a struct on the way is null)."""

    path: ColumnPath

    def __str__(self) -> str:
        return ".".join(self.path)


@dataclass(frozen=True)
class Cast:
    """`CAST(term AS type)` where the cast never lowers the order: a <= b gives CAST(a) <= CAST(b), and null only for null.

    Integers to wider integers, decimals or doubles; decimals to doubles; float to double; dates to timestamps; timestamps to dates or to coarser units.
    """

    term: Term
    type: pa.DataType

    def __str__(self) -> str:
        return f"CAST({self.term} AS {self.type})"


@dataclass(frozen=True)
class Truncate:
    """`date_trunc(unit, term)` in UTC; unit is one of microsecond, millisecond, second, minute, hour, day, week, month, quarter, year."""

    unit: str
    term: Term

    def __str__(self) -> str:
        return f"date_trunc('{self.unit}', {self.term})"


Term = Column | Cast | Truncate
"""A column under functions that keep its order, so that bounds of the column give bounds of the term."""


@dataclass(frozen=True)
class Compare:
    """`term op value`. value is not null and has the term's type, or one that compares with it without loss."""

    term: Term
    op: Op
    value: pa.Scalar

    def __str__(self) -> str:
        return f"{self.term} {self.op.value} {literal(self.value)}"


@dataclass(frozen=True)
class In:
    """`term [NOT] IN (values)`. values holds no null (a null in the list makes the engine's expression Opaque)."""

    term: Term
    values: pa.Array
    negated: bool = False

    def __str__(self) -> str:
        shown = ", ".join(literal(v) for v in self.values[:5])
        more = f", ... {len(self.values) - 5} more" if len(self.values) > 5 else ""
        return f"{self.term} {'NOT ' if self.negated else ''}IN ({shown}{more})"


@dataclass(frozen=True)
class IsNull:
    """`term IS [NOT] NULL`: never null itself."""

    term: Term
    negated: bool = False

    def __str__(self) -> str:
        return f"{self.term} IS {'NOT ' if self.negated else ''}NULL"


@dataclass(frozen=True)
class StartsWith:
    """`term [NOT] LIKE 'prefix%'` on text, compared byte by byte in UTF-8."""

    term: Term
    prefix: str
    negated: bool = False

    def __str__(self) -> str:
        pattern = re.sub(r"([\\%_])", r"\\\1", self.prefix) + "%"
        return f"{self.term} {'NOT ' if self.negated else ''}LIKE {literal(pa.scalar(pattern))}"


@dataclass(frozen=True)
class And:
    """True where all are; `parts` has two or more, none of them an And: those given are taken apart."""

    parts: tuple[Predicate, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", tuple(p for part in self.parts for p in (part.parts if isinstance(part, And) else (part,))))

    def __str__(self) -> str:
        return " AND ".join(f"({p})" if isinstance(p, Or) else str(p) for p in self.parts)


@dataclass(frozen=True)
class Or:
    """True where one is; `parts` has two or more, none of them an Or: those given are taken apart."""

    parts: tuple[Predicate, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", tuple(p for part in self.parts for p in (part.parts if isinstance(part, Or) else (part,))))

    def __str__(self) -> str:
        return " OR ".join(f"({p})" if isinstance(p, And) else str(p) for p in self.parts)


@dataclass(frozen=True)
class Constant:
    """TRUE, FALSE or NULL (value None)."""

    value: bool | None

    def __str__(self) -> str:
        return {True: "TRUE", False: "FALSE", None: "NULL"}[self.value]


@dataclass(frozen=True)
class Opaque:
    """An expression pruning cannot use: its text, and the reason in words. columns: what it reads."""

    text: str
    reason: str
    columns: tuple[ColumnPath, ...] = ()

    def __str__(self) -> str:
        return self.text


Predicate = Compare | In | IsNull | StartsWith | And | Or | Constant | Opaque


def negate(predicate: Predicate) -> Predicate:
    """NOT predicate, pushed down to the leaves.

    >>> str(negate(And((IsNull(Column(("a",))), Compare(Column(("b",)), Op.LT, pa.scalar(3))))))
    'a IS NOT NULL OR b >= 3'
    """
    match predicate:
        case Compare(term, op, value):
            return Compare(term, _NEGATED[op], value)
        case In(term, values, negated):
            return In(term, values, not negated)
        case IsNull(term, negated):
            return IsNull(term, not negated)
        case StartsWith(term, prefix, negated):
            return StartsWith(term, prefix, not negated)
        case And(parts):
            return Or(tuple(negate(p) for p in parts))
        case Or(parts):
            return And(tuple(negate(p) for p in parts))
        case Constant(value):
            return Constant(None if value is None else not value)
        case Opaque(text, reason, columns):
            return Opaque(f"NOT ({text})", reason, columns)


def conjuncts(predicate: Predicate) -> Iterator[Predicate]:
    """The parts of a conjunction; a predicate that is none is its only part."""
    yield from predicate.parts if isinstance(predicate, And) else (predicate,)


def column_of(term: Term) -> ColumnPath:
    """The column a term reads."""
    while not isinstance(term, Column):
        term = term.term
    return term.path


def columns_of(predicate: Predicate) -> frozenset[ColumnPath]:
    """Every column the predicate reads."""
    match predicate:
        case And(parts) | Or(parts):
            return frozenset[ColumnPath]().union(*(columns_of(p) for p in parts))
        case Constant():
            return frozenset()
        case Opaque(columns=columns):
            return frozenset(columns)
        case Compare(term=term) | In(term=term) | IsNull(term=term) | StartsWith(term=term):
            return frozenset((column_of(term),))


def literal(value: pa.Scalar) -> str:
    """A value as SQL would write it, for messages and EXPLAIN. Never raises: bounds come from untrusted metadata and may hold what has no spelling.

    >>> literal(pa.scalar("it's")), literal(pa.scalar(0, pa.date32())), literal(pa.scalar(b"\\x01", pa.binary()))
    ("'it''s'", "DATE '1970-01-01'", "X'01'")
    """
    if pa.types.is_dictionary(value.type):
        value = value.value
    if not value.is_valid:
        return "NULL"
    type_ = value.type
    if pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_):
        text: str = value.as_buffer().to_pybytes().decode("utf-8", "replace")
        return "'" + text.replace("'", "''") + "'"
    if pa.types.is_timestamp(type_):
        return f"TIMESTAMP '{_spelled(value)}'"
    if pa.types.is_date(type_):
        return f"DATE '{_spelled(value)}'"
    if pa.types.is_time(type_):
        return f"TIME '{_spelled(value)}'"
    if pa.types.is_duration(type_):
        return f"{value.value} {type_.unit}"
    if pa.types.is_boolean(type_):
        return "TRUE" if value.as_py() else "FALSE"
    if pa.types.is_binary(type_) or pa.types.is_large_binary(type_) or pa.types.is_fixed_size_binary(type_) or pa.types.is_binary_view(type_):
        return f"X'{value.as_buffer().to_pybytes().hex().upper()}'"
    return str(value.as_py())


def _spelled(value: pa.Scalar) -> str:
    """A date or time in digits; its raw number where Arrow has none, as beyond the calendar or in an unknown time zone."""
    try:
        return str(value.cast(pa.string()).as_py())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return str(value.value)
