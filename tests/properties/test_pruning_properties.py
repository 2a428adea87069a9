"""The two laws of pruning, on random columns of every type, random metadata and random predicates, against `pruning_oracle`:

    a candidate with a row that satisfies the predicates is kept
    where `all_match` is true, every row satisfies them

LAKESQL_PROPERTY_PRUNINGS=n tries n cases a law instead of the usual number, and other ones at every run.
"""

from __future__ import annotations

import itertools
import math
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pruning_oracle import CannotCompute, Engine, Row, compared, decimal_of, is_text, key, satisfied, value_of
from pyarrow import types

from lakesql.predicate import And, Cast, Column, ColumnPath, Compare, Constant, In, IsNull, Op, Opaque, Or, Predicate, StartsWith, Term, Truncate, literal
from lakesql.pruning import Bounds, Candidates, TableBounds, Verdict, prune

ASKED = os.environ.get("LAKESQL_PROPERTY_PRUNINGS")
CASES = int(ASKED or 260)
tried = settings(max_examples=CASES, derandomize=ASKED is None, deadline=None, database=None, suppress_health_check=list(HealthCheck))

# Values of every type ------------------------------------------------------------------------------------------------------------------------------


def _near(*edges: int) -> st.SearchStrategy[int]:
    return st.builds(int.__add__, st.sampled_from(edges), st.integers(-2, 2))


def _integers(bits: int, signed: bool) -> st.SearchStrategy[int]:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    edges = [e for e in (0, 2**24, 2**53, -(2**53), low, high) if low <= e <= high]
    return (st.integers(-3, 12) | _near(*edges) | st.integers(low, high)).map(lambda n: min(max(n, low), high))


def _decimals(precision: int, scale: int) -> st.SearchStrategy[Decimal]:
    most = 10**precision - 1
    units = st.integers(-30, 30) | st.sampled_from([most, -most, most - 1, 5 * 10 ** min(scale, precision - 1)]) | st.integers(-most, most)
    return units.map(lambda n: decimal_of(min(max(n, -most), most), scale))


def _floats(width: int) -> st.SearchStrategy[float]:
    usual = [0.0, -0.0, 1.0, -1.0, math.nan, math.inf]
    odd = [-math.inf, 5e-324, -5e-324, 1e-40, 2.0**53, 2.0**24, 1.5]

    def held(x: float) -> float:
        """The value the type holds; NaN without its sign: the engine sorts the negative one below every number, which no metadata tells apart."""
        with np.errstate(over="ignore"):
            return math.nan if math.isnan(x) else float(np.dtype(f"f{width // 8}").type(x))

    return (st.sampled_from(usual) | st.sampled_from(odd) | st.floats(width=width)).map(held)


def _instants(type_: pa.DataType) -> st.SearchStrategy[int]:
    tick = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[type_.unit]
    seconds = st.integers(-3, 3).map(lambda d: d * 86_400) | st.sampled_from([951_782_400, 4_102_444_800, -62_135_596_800, 253_402_300_799])
    return (st.builds(lambda s, d: s * tick + d, seconds, st.integers(-2, 2) | st.integers(0, 90_000 * tick)) | _near(0, 2**63 - 1, -(2**63))).map(
        lambda n: min(max(n, -(2**63)), 2**63 - 1)
    )


_CHARACTERS = "aab\x7f\u00e9\ud7ff\ue000\uffff\U0001f600\U0010ffff"
_TEXTS = st.text(_CHARACTERS, max_size=4) | st.builds(
    str.__add__, st.sampled_from(["a" * 15, "a" * 31, "a" * 16, "\U0010ffff" * 16]), st.text(_CHARACTERS, max_size=3)
)
_BYTES = st.binary(max_size=3) | st.builds(bytes.__add__, st.sampled_from([b"\xff" * 15, b"a" * 16]), st.binary(max_size=3))

VALUES: dict[pa.DataType, st.SearchStrategy[Any]] = {
    **{getattr(pa, f"int{bits}")(): _integers(bits, True) for bits in (8, 16, 32, 64)},
    **{getattr(pa, f"uint{bits}")(): _integers(bits, False) for bits in (8, 16, 32, 64)},
    pa.float16(): _floats(16),
    pa.float32(): _floats(32),
    pa.float64(): _floats(64),
    **{pa.decimal128(p, s): _decimals(p, s) for p, s in ((5, 2), (9, 9), (18, 0), (38, 10), (38, 0))},
    pa.decimal256(50, 3): _decimals(50, 3),
    pa.bool_(): st.booleans(),
    pa.date32(): st.integers(-5, 40) | _near(0, 2**31 - 3, -(2**31) + 3, 10_957),
    pa.date64(): st.integers(-3, 3).map(lambda d: d * 86_400_000),
    **{t: _instants(t) for t in (pa.timestamp("us"), pa.timestamp("us", "UTC"), pa.timestamp("ns"), pa.timestamp("ms", "UTC"), pa.timestamp("s"))},
    pa.timestamp("us", "America/New_York"): _instants(pa.timestamp("us")),
    pa.time32("ms"): st.integers(0, 86_399_999),
    pa.time64("us"): st.integers(0, 5_000),
    **dict.fromkeys((pa.string(), pa.large_string(), pa.string_view()), _TEXTS),
    **dict.fromkeys((pa.binary(), pa.large_binary(), pa.binary_view()), _BYTES),
    pa.binary(2): st.binary(min_size=2, max_size=2),
}
TYPES = list(VALUES)
FAMILIES = [
    [t for t in TYPES if types.is_integer(t)],
    [t for t in TYPES if types.is_floating(t)],
    [t for t in TYPES if types.is_decimal(t)],
    [t for t in TYPES if types.is_timestamp(t) or types.is_date(t)],
    [t for t in TYPES if is_text(t)],
    [t for t in TYPES if not (types.is_integer(t) or types.is_floating(t) or types.is_decimal(t) or types.is_timestamp(t) or types.is_date(t) or is_text(t))],
]
A_TYPE = st.sampled_from(FAMILIES).flatmap(st.sampled_from)
COMPARABLE = [FAMILIES[0] + FAMILIES[1] + FAMILIES[2], FAMILIES[3], FAMILIES[4]]
ORDER = Engine(signed_zeros=True, cuts_to_zero=False, rounds=False)


def scalars(type_: pa.DataType) -> st.SearchStrategy[pa.Scalar]:
    """Values of the type, none of them null."""
    return VALUES[type_].map(lambda value: pa.scalar(value, type_))


# Candidates ----------------------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Data:
    """rows: per candidate, its rows; bounds: what the metadata says about them."""

    rows: list[list[Row]]
    bounds: TableBounds
    types: dict[ColumnPath, pa.DataType]
    partition: frozenset[ColumnPath]

    def __repr__(self) -> str:
        """Scalars as SQL: Arrow's own text fails on dates beyond the calendar."""
        rows = [[{".".join(path): literal(v) for path, v in row.items()} for row in part] for part in self.rows]
        known = {
            ".".join(path): (
                b.lower.type,
                [[literal(a[i]) for a in (b.lower, b.upper, b.null_count, b.row_count)] for i in range(len(self.rows))],
                b.constant,
                b.exact,
            )
            for path, b in self.bounds.columns.items()
        }
        return f"rows {rows}\nbounds {known}"


@dataclass(frozen=True)
class Case:
    """Data, a conjunction and an engine to judge it by."""

    of: Data
    predicates: list[Predicate]
    engine: Engine

    def __repr__(self) -> str:
        return f"{self.of!r}\n{[str(p) for p in self.predicates]}\n{self.engine}"


PATHS: list[ColumnPath] = [("a",), ("b",), ("s", "x"), ("p",)]


@st.composite
def data(draw: st.DrawFn) -> Data:
    """Up to four columns and four candidates of up to five rows; column p has one value per candidate."""
    chosen = {path: draw(A_TYPE) for path in draw(st.lists(st.sampled_from(PATHS), min_size=1, max_size=3, unique=True))}
    row_counts = draw(st.lists(st.integers(0, 5), min_size=1, max_size=4))
    columns: dict[ColumnPath, list[list[pa.Scalar]]] = {}
    bounds: dict[ColumnPath, Bounds] = {}
    for path, type_ in chosen.items():
        constant = path == ("p",)
        pool = draw(st.lists(scalars(type_), min_size=1, max_size=4))
        value = st.sampled_from([*pool, pa.scalar(None, type_)])
        if constant:
            columns[path] = [[draw(value)] * n for n in row_counts]
        else:
            columns[path] = [draw(st.lists(value, min_size=n, max_size=n)) for n in row_counts]
        if draw(st.integers(0, 11)):
            bounds[path] = draw(metadata(type_, columns[path], constant))
    rows = [[{path: values[i][j] for path, values in columns.items()} for j in range(n)] for i, n in enumerate(row_counts)]
    return Data(rows, TableBounds(bounds, len(row_counts)), chosen, frozenset({("p",)}))


@st.composite
def metadata(draw: st.DrawFn, type_: pa.DataType, columns: list[list[pa.Scalar]], constant: bool) -> Bounds:
    """True things about the values, some of them left out or blurred as writers do."""
    if constant and all(columns):
        value = pa.array([values[0] for values in columns], type_)
        counts = pa.array([len(values) if draw(st.booleans()) else None for values in columns], pa.int64())
        return Bounds(value, value, pa.nulls(len(columns), pa.int64()), counts, constant=True)
    exact, counts_exact, nans_known = draw(st.booleans()), draw(st.booleans()), draw(st.booleans())
    blur = cut_of(type_, draw) if not exact else (lambda low, high: (low, high))
    found = [describe(draw, type_, values, blur, counts_exact) for values in columns]
    lower, upper, null_counts, row_counts, nan_counts = zip(*found, strict=True)
    return Bounds(
        pa.array(lower, type_),
        pa.array(upper, type_),
        pa.array(null_counts, pa.int64()),
        pa.array(row_counts, pa.int64()),
        nan_count=pa.array(nan_counts, pa.int64()) if nans_known else None,
        null_count_exact=counts_exact,
        exact=exact,
    )


Blur = Callable[[pa.Scalar, pa.Scalar], tuple[pa.Scalar | None, pa.Scalar | None]]


def describe(draw: st.DrawFn, type_: pa.DataType, values: list[pa.Scalar], blur: Blur, counts_exact: bool) -> tuple[Any, ...]:
    """Lower, upper, nulls, rows and NaNs of one candidate's values; None is unknown."""
    present = [v for v in values if v.is_valid]
    numbers = sorted((v for v in present if not _is_nan(v)), key=lambda v: key(v, ORDER))
    lower, upper = blur(numbers[0], numbers[-1]) if numbers else (None, None)
    hidden = draw(st.integers(0, 15))
    null_count = len(values) - len(present)
    if not counts_exact and 0 < null_count < len(values):
        null_count = draw(st.integers(1, len(values) - 1))
    return (
        None if hidden == 1 else lower,
        None if hidden == 2 else upper,
        None if hidden == 3 else null_count,
        None if hidden == 4 else len(values),
        None if hidden == 5 else len(present) - len(numbers),
    )


def _is_nan(value: pa.Scalar) -> bool:
    return bool(types.is_floating(value.type)) and math.isnan(float(value.as_py()))


def cut_of(type_: pa.DataType, draw: st.DrawFn) -> Blur:
    """How a writer keeps less than the true extremes."""
    if is_text(type_):
        cut = draw(st.sampled_from([delta_cut, iceberg_cut]))
        return lambda low, high: tuple(None if t is None else pa.scalar(t, type_) for t in cut(low.as_py(), high.as_py()))  # type: ignore[return-value]
    if types.is_binary(type_) or types.is_large_binary(type_) or types.is_binary_view(type_):
        return lambda low, high: tuple(None if b is None else pa.scalar(b, type_) for b in bytes_cut(low.as_py(), high.as_py()))  # type: ignore[return-value]
    wider = draw(st.lists(scalars(type_).filter(lambda v: not _is_nan(v)), min_size=2, max_size=2))

    def widen(low: pa.Scalar, high: pa.Scalar) -> tuple[pa.Scalar, pa.Scalar]:
        return min(low, wider[0], key=lambda v: key(v, ORDER)), max(high, wider[1], key=lambda v: key(v, ORDER))

    return widen


def delta_cut(low: str, high: str) -> tuple[str, str | None]:
    """The first 32 characters; the upper bound gets a character that sorts after what was cut, or is left out."""
    if len(high) <= 32:
        return low[:32], high
    for end in range(32, min(len(high), 64)):
        if high[end] < "\x7f":
            return low[:32], high[:end] + "\x7f"
        if high[end] < "\U0010ffff":
            return low[:32], high[:end] + "\U0010ffff"
    return low[:32], None


def iceberg_cut(low: str, high: str) -> tuple[str, str | None]:
    """The first 16 code points; the last one of the upper bound that can be raised is, and the rest goes."""
    if len(high) <= 16:
        return low[:16], high
    for end in range(15, -1, -1):
        point = ord(high[end]) + 1
        point = 0xE000 if point == 0xD800 else point
        if point <= 0x10FFFF:
            return low[:16], high[:end] + chr(point)
    return low[:16], None


def bytes_cut(low: bytes, high: bytes) -> tuple[bytes, bytes | None]:
    """The first 16 bytes, likewise."""
    if len(high) <= 16:
        return low[:16], high
    kept = high[:16].rstrip(b"\xff")
    return low[:16], kept[:-1] + bytes((kept[-1] + 1,)) if kept else None


# Predicates ----------------------------------------------------------------------------------------------------------------------------------------

_UNITS = ["microsecond", "millisecond", "second", "minute", "hour", "day", "week", "month", "quarter", "year"]


def casts_of(type_: pa.DataType) -> list[pa.DataType]:
    """Types that predicate.Cast names for this one, and some that it does not."""
    if types.is_integer(type_):
        return [pa.int64(), pa.uint64(), pa.int32(), pa.float64(), pa.decimal128(20, 0), pa.decimal128(38, 18), pa.decimal256(60, 30), pa.decimal128(3, 1)]
    if types.is_decimal(type_):
        return [pa.float64(), pa.decimal128(38, 10), pa.decimal128(10, 1), pa.decimal128(38, 0), pa.decimal256(76, 20)]
    if types.is_floating(type_):
        return [pa.float64()]
    if types.is_date32(type_) or types.is_timestamp(type_):
        return [pa.date32(), pa.timestamp("s"), pa.timestamp("ms"), pa.timestamp("us", "UTC"), pa.timestamp("ns")]
    if types.is_time(type_):
        return [pa.time64("us"), pa.time64("ns"), pa.time32("s")]
    return [pa.string_view()] if is_text(type_) else [type_]


def draw_term(draw: st.DrawFn, path: ColumnPath, type_: pa.DataType, depths: Sequence[int] = (0, 0, 0, 1, 1, 2)) -> Term:
    """The column, now and then under one or two functions."""
    term: Term = Column(path)
    for _ in range(draw(st.sampled_from(depths))):
        if (types.is_timestamp(type_) or types.is_date32(type_)) and draw(st.booleans()):
            term = Truncate(draw(st.sampled_from(_UNITS)), term)
        else:
            type_ = draw(st.sampled_from(casts_of(type_)))
            term = Cast(term, type_)
    return term


def draw_literal(draw: st.DrawFn, term: Term, of: Data, path: ColumnPath) -> pa.Scalar:
    """Mostly a value the term takes, else one of its type or of a type that compares."""
    rows = [row for rows in of.rows for row in rows if row[path].is_valid]
    type_ = of.types[path]
    if rows and draw(st.integers(0, 3)):
        try:
            value = value_of(term, draw(st.sampled_from(rows)), ORDER)
            return value if draw(st.integers(0, 3)) else draw(neighbour(value))
        except CannotCompute:
            pass
    if isinstance(term, Cast) and term.type in VALUES:
        type_ = term.type
    family = next((f for f in COMPARABLE if type_ in f), [type_])
    return draw(scalars(draw(st.sampled_from([type_, *family]))))


def neighbour(value: pa.Scalar) -> st.SearchStrategy[pa.Scalar]:
    """The same value in another type, or one close by."""
    type_ = value.type
    if types.is_integer(type_):
        others = [pa.scalar(decimal_of(value.as_py() * 10 + d, 1), pa.decimal128(38, 1)) for d in (-1, 0, 1)]
        return st.sampled_from([*others, pa.scalar(float(value.as_py())), pa.scalar(value.as_py() // 2, pa.int64())])
    if types.is_timestamp(type_) or types.is_date32(type_):
        return st.sampled_from([pa.scalar(max(min(value.value + d, 2**31 - 1 if types.is_date32(type_) else 2**63 - 1), -(2**31)), type_) for d in (-1, 0, 1)])
    if types.is_floating(type_) and math.isfinite(float(value.as_py())):
        number = float(value.as_py())
        return st.sampled_from([pa.scalar(x) for x in (math.nextafter(number, -math.inf), number, math.nextafter(number, math.inf))])
    return st.just(value)


def draw_leaf(draw: st.DrawFn, of: Data) -> Predicate:
    """A test of one column, or a leaf without one."""
    path = draw(st.sampled_from(sorted(of.types)))
    term = draw_term(draw, path, of.types[path])
    kind = draw(st.sampled_from(["compare", "compare", "compare", "in", "null", "like", "other"]))
    if kind == "in":
        first, *more = [draw_literal(draw, term, of, path) for _ in range(draw(st.integers(1, 5)))]
        return In(term, pa.array([first, *(v for v in more if v.type == first.type)], first.type), draw(st.booleans()))
    if kind == "null":
        return IsNull(term, draw(st.booleans()))
    if kind == "like" and is_text(of.types[path]):
        value = draw_literal(draw, term, of, path).as_py()
        return StartsWith(term, value[: draw(st.integers(0, 18) | st.integers(30, 34))], draw(st.booleans()))
    if kind == "other":
        return draw(st.sampled_from([Constant(True), Constant(False), Constant(None), Opaque("f(a)", "a function", (path,))]))
    return Compare(term, draw(st.sampled_from(list(Op))), draw_literal(draw, term, of, path))


def draw_tree(draw: st.DrawFn, of: Data, depth: int = 2) -> Predicate:
    """Leaves under AND and OR."""
    node = draw(st.sampled_from([And, Or, None])) if depth else None
    if node is None:
        return draw_leaf(draw, of)
    return node(tuple(draw_tree(draw, of, depth - 1) for _ in range(draw(st.integers(2, 3)))))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """One or two trees over random data."""
    of = draw(data())
    predicates = [draw_tree(draw, of) for _ in range(draw(st.integers(1, 2)))]
    return Case(of, predicates, Engine(draw(st.booleans()), draw(st.booleans()), draw(st.booleans())))


A = ("a",)


@st.composite
def columns(draw: st.DrawFn) -> tuple[Data, list[Predicate], Engine]:
    """One column whose candidates are the small sets of a few values, with and without null; and every kind of leaf with literals near those values."""
    type_ = draw(A_TYPE)
    pool = draw(st.lists(scalars(type_), min_size=1, max_size=4))
    null = pa.scalar(None, type_)
    sets = [*([v] for v in pool), *([v, null] for v in pool), *(list(pair) for pair in itertools.combinations(pool, 2)), pool, [null], []]
    rows = [[{A: v} for v in values] for values in sets]
    of = Data(rows, TableBounds({A: draw(metadata(type_, sets, constant=False))}, len(sets)), {A: type_}, frozenset())
    tests: list[Predicate] = []
    for term in (Column(A), *(draw_term(draw, A, type_, (1, 1, 1, 2)) for _ in range(2))):
        listed = [draw_literal(draw, term, of, A) for _ in range(4)]
        tests += [Compare(term, op, value) for value in listed for op in Op]
        alike = [value for value in listed if value.type == listed[0].type]
        tests += [In(term, pa.array(values, listed[0].type), negated) for values in (alike, alike[:1]) for negated in (False, True)]
        tests += [IsNull(term, negated) for negated in (False, True)]
        if is_text(type_):
            ends = [draw(st.sampled_from([0, 1, 2, 15, 16, 17, 31, 32, 33])) for _ in pool]
            tests += [StartsWith(term, value.as_py()[:end], negated) for value, end in zip(pool, ends, strict=True) for negated in (False, True)]
    return of, tests, Engine(draw(st.booleans()), draw(st.booleans()), draw(st.booleans()))


# Laws ----------------------------------------------------------------------------------------------------------------------------------------------


def judge(of: Data, predicates: Sequence[Predicate], engine: Engine, verdict: Verdict) -> Counter[str]:
    """Asserts both laws for every candidate; counts what the verdict was worth."""
    seen: Counter[str] = Counter()
    answers: dict[tuple[int, ...], bool | str | None] = {}
    for i, rows in enumerate(of.rows):
        found = []
        for row in rows:
            same = tuple(id(value) for value in row.values())
            if same not in answers:
                answers[same] = answer(predicates, row, engine)
            found.append(answers[same])
        kept, every = bool(verdict.keep[i]), bool(verdict.all_match[i])
        assert kept or True not in found, f"candidate {i} dropped though a row matches: {Case(of, list(predicates), engine)}"
        assert not every or all(a in (True, "error") for a in found), f"candidate {i}: not every row matches: {Case(of, list(predicates), engine)}"
        seen["all" if every else "kept" if kept else "dropped"] += 1
        seen["needed" if True in found else "not needed"] += 1
    return seen


def answer(predicates: Sequence[Predicate], row: Row, engine: Engine) -> bool | str | None:
    """The conjunction's value for a row, `error` where the engine would refuse it; an opaque predicate may be anything, so it is tried as each."""
    try:
        return satisfied(And((*predicates, Constant(True))), row, engine)
    except CannotCompute:
        return "error"


def opened(predicate: Predicate, value: bool | None) -> Predicate:
    """The predicate with each opaque leaf a constant."""
    match predicate:
        case And(parts):
            return And(tuple(opened(p, value) for p in parts))
        case Or(parts):
            return Or(tuple(opened(p, value) for p in parts))
        case Opaque():
            return Constant(value)
        case _:
            return predicate


def test_leaves_keep_what_matches_and_prove_what_they_claim() -> None:
    seen: Counter[str] = Counter()

    @tried
    @given(columns())
    def law(case: tuple[Data, list[Predicate], Engine]) -> None:
        of, tests, engine = case
        other = Engine(not engine.signed_zeros, not engine.cuts_to_zero, not engine.rounds)
        for predicate in tests:
            verdict = prune(of.bounds, [predicate])
            for each in (engine, other):
                seen.update(judge(of, [predicate], each, verdict))

    law()
    assert seen["dropped"] > 0.6 * seen["not needed"], f"pruning hardly prunes: {seen}"
    assert seen["all"] > 0.1 * seen["needed"], f"hardly anything is proved: {seen}"


def test_trees_keep_what_matches_and_prove_what_they_claim() -> None:
    seen: Counter[str] = Counter()

    @tried
    @given(cases())
    def law(case: Case) -> None:
        of, predicates, engine = case.of, case.predicates, case.engine
        verdict = prune(of.bounds, predicates, partition_columns=of.partition)
        for value in (True, False, None):
            seen.update(judge(of, [opened(p, value) for p in predicates], engine, verdict))

    law()
    assert seen["dropped"] > seen["not needed"] / 4, f"pruning hardly prunes: {seen}"
    assert seen["all"] > CASES / 20, f"hardly anything is proved: {seen}"


class OneByOne:
    """Candidates that cannot be narrowed."""

    def __init__(self, bounds: TableBounds) -> None:
        self._bounds = bounds

    def __len__(self) -> int:
        return len(self._bounds)

    def bounds(self, column: ColumnPath) -> Bounds | None:
        return self._bounds.bounds(column)


@tried
@given(cases())
def test_narrowing_changes_nothing(case: Case) -> None:
    of, predicates = case.of, case.predicates
    plain: Candidates = OneByOne(of.bounds)
    narrowed = prune(of.bounds, predicates, partition_columns=of.partition)
    whole = prune(plain, predicates, partition_columns=of.partition)
    dropped = [int(i) for i in np.flatnonzero(~whole.keep)]
    assert narrowed.keep.tolist() == whole.keep.tolist()
    assert narrowed.all_match.tolist() == whole.all_match.tolist()
    assert (narrowed.dropped_by_partition, narrowed.dropped_by_statistics) == (whole.dropped_by_partition, whole.dropped_by_statistics)
    assert narrowed.reasons(dropped) == whole.reasons(dropped)
    assert len(dropped) == whole.dropped_by_partition + whole.dropped_by_statistics


@tried
@given(cases())
def test_a_candidate_is_judged_by_its_own_bounds(case: Case) -> None:
    """Each candidate alone gets the verdict it gets among the others, and in any order."""
    of, predicates = case.of, case.predicates
    together = prune(of.bounds, predicates)
    for i in range(len(of.bounds)):
        mask = np.arange(len(of.bounds)) == i
        alone = prune(of.bounds.narrow(mask), predicates)
        assert (alone.keep.tolist(), alone.all_match.tolist()) == ([together.keep[i]], [together.all_match[i]])


@tried
@given(cases())
def test_knowing_less_drops_no_more(case: Case) -> None:
    """Without bounds, counts or NaN counts nothing is dropped and nothing proved that was not before."""
    of, predicates = case.of, case.predicates
    full = prune(of.bounds, predicates, partition_columns=of.partition)
    unknown = pa.nulls(len(of.bounds), pa.int64())
    for path, bounds in of.bounds.columns.items():
        if bounds.constant:
            continue
        blank = pa.nulls(len(of.bounds), of.types[path])
        for less in (replace(bounds, nan_count=None), replace(bounds, null_count=unknown), replace(bounds, lower=blank, upper=blank)):
            poorer = prune(TableBounds({**of.bounds.columns, path: less}, len(of.bounds)), predicates, partition_columns=of.partition)
            assert not (~poorer.keep & full.keep).any()
            assert not (poorer.all_match & ~full.all_match & full.keep).any()


@tried
@given(A_TYPE.flatmap(lambda t: st.tuples(scalars(t), scalars(t))), st.sampled_from(list(Op)))
def test_operators_of_the_oracle_fit_together(pair: tuple[pa.Scalar, pa.Scalar], op: Op) -> None:
    """The judge is judged: each operator is the negation of another, and flips."""
    from lakesql.predicate import FLIPPED, Compare, negate

    left, right = pair
    negated = negate(Compare(Column(("a",)), op, right))
    assert isinstance(negated, Compare)
    for signed_zeros, rounds in itertools.product((False, True), repeat=2):
        engine = Engine(signed_zeros, False, rounds)
        assert compared(left, op, right, engine) != compared(left, negated.op, right, engine)
        assert compared(left, op, right, engine) == compared(right, FLIPPED[op], left, engine)
