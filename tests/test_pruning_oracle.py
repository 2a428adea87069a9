"""The judge is judged: `pruning_oracle` against the embedded engine, value by value, for every type, operator and function that keeps the order."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from pruning_oracle import CannotCompute, Engine, satisfied, value_of

from lakesql.predicate import Cast, Column, Compare, In, IsNull, Op, Predicate, StartsWith, Term, Truncate

datafusion = pytest.importorskip("datafusion")

DATAFUSION = Engine(signed_zeros=False, cuts_to_zero=True, rounds=True)
A = Column(("a",))
MOMENTS = [-86_400_000_001, -86_400_000_000, -1_500_000, -1, 0, 1, 1_500_000, 951_825_600_000_000, 1_723_729_530_123_456]

VALUES: dict[pa.DataType, list[Any]] = {
    pa.int8(): [-128, -1, 0, 1, 127],
    pa.int64(): [-(2**63), -(2**53) - 1, 0, 5, 2**53 + 1, 2**63 - 1],
    pa.uint64(): [0, 5, 2**53 + 1, 2**64 - 1],
    pa.float32(): [-math.inf, -1.5, -0.0, 0.0, 1.5, math.inf, math.nan],
    pa.float64(): [-math.inf, -1.5, -5e-324, -0.0, 0.0, 5e-324, 1.5, 1e300, math.inf, math.nan],
    pa.decimal128(5, 2): [Decimal("-999.99"), Decimal("-1.25"), Decimal("0.00"), Decimal("1.25"), Decimal("1.35"), Decimal("999.99")],
    pa.decimal128(38, 10): [Decimal("-1e27"), Decimal("0.1"), Decimal("1.0000000001")],
    pa.bool_(): [False, True],
    pa.date32(): [dt.date(1, 1, 1), dt.date(1969, 12, 31), dt.date(1970, 1, 1), dt.date(2024, 2, 29), dt.date(9999, 12, 31)],
    pa.timestamp("us"): MOMENTS,
    pa.timestamp("us", "UTC"): MOMENTS,
    pa.timestamp("ms"): [m // 1000 for m in MOMENTS],
    pa.string(): ["", "a", "ab", "b", "é", "\uffff", "\U0001f600"],
    pa.binary(): [b"", b"\x00", b"\x7f", b"\x80", b"\xff\xff"],
}
# To fewer digits after the point is left out: DataFusion 55 turns CAST(1.25 AS DECIMAL(6, 1)) = 1.3 into 1.25 = 1.30.
CASTS: dict[pa.DataType, list[pa.DataType]] = {
    pa.int8(): [pa.int64(), pa.float64(), pa.decimal128(10, 2)],
    pa.int64(): [pa.float64(), pa.decimal128(38, 10)],
    pa.uint64(): [pa.float64(), pa.decimal128(20, 0)],
    pa.float32(): [pa.float64()],
    pa.decimal128(5, 2): [pa.float64(), pa.decimal128(20, 4)],
    pa.timestamp("us"): [pa.date32(), pa.timestamp("s"), pa.timestamp("ms")],
    pa.timestamp("us", "UTC"): [pa.date32(), pa.timestamp("s", "UTC")],
    pa.timestamp("ms"): [pa.date32(), pa.timestamp("us")],
}
UNITS = ["millisecond", "second", "minute", "hour", "day", "week", "month", "quarter", "year"]


def terms(type_: pa.DataType) -> list[Term]:
    """The column and its functions."""
    truncated: list[Term] = [Truncate(unit, A) for unit in UNITS] if pa.types.is_timestamp(type_) else []
    return [A, *(Cast(A, to) for to in CASTS.get(type_, [])), *truncated]


def literals(term: Term, rows: list[pa.Scalar]) -> list[pa.Scalar]:
    """What the term itself takes."""
    return list({str(v): v for row in rows if row.is_valid for v in [value_of(term, {("a",): row}, DATAFUSION)]}.values())


def predicates(type_: pa.DataType, rows: list[pa.Scalar]) -> list[Predicate]:
    """Every operator on every pair of values, and the other leaves."""
    found: list[Predicate] = []
    for term in terms(type_):
        values = literals(term, rows)
        found += [Compare(term, op, value) for op in Op for value in values]
        found += [In(term, pa.array(values[1:3], values[0].type), negated) for negated in (False, True)]
        found += [IsNull(term), IsNull(term, negated=True)]
    if pa.types.is_string(type_):
        found += [StartsWith(A, prefix, negated) for prefix in ("", "a", "é") for negated in (False, True)]
    return found


def expression(part: Predicate | Term) -> Any:
    """The engine's expression."""
    functions = datafusion.functions
    match part:
        case Column(path):
            return datafusion.col(path[0])
        case Cast(term, type_):
            return expression(term).cast(type_)
        case Truncate(unit, term):
            return functions.date_trunc(unit, expression(term))
        case Compare(term, op, value):
            left, right = expression(term), datafusion.lit(value)
            return {
                Op.EQ: left == right,
                Op.NE: left != right,
                Op.LT: left < right,
                Op.LE: left <= right,
                Op.GT: left > right,
                Op.GE: left >= right,
            }[op]
        case In(term, listed, negated):
            return functions.in_list(expression(term), [datafusion.lit(v) for v in listed], negated)
        case IsNull(term, negated):
            return expression(term).is_not_null() if negated else expression(term).is_null()
        case StartsWith(term, prefix, negated):
            starts = functions.starts_with(expression(term), datafusion.lit(prefix))
            return ~starts if negated else starts
    raise AssertionError(part)


@pytest.mark.parametrize("type_", list(VALUES), ids=str)
def test_the_oracle_agrees_with_the_engine(type_: pa.DataType) -> None:
    rows = [*(pa.scalar(v, type_) for v in VALUES[type_]), pa.scalar(None, type_)]
    tests = predicates(type_, rows)
    context = datafusion.SessionContext()
    frame = context.create_dataframe([[pa.record_batch({"a": pa.array(rows, type_)})]])
    answers = frame.select(*(expression(p).alias(f"p{i}") for i, p in enumerate(tests))).to_arrow_table()
    for i, predicate in enumerate(tests):
        for row, answer in zip(rows, answers[f"p{i}"].to_pylist(), strict=True):
            try:
                assert satisfied(predicate, {("a",): row}, DATAFUSION) is answer, f"{predicate} for {row}"
            except CannotCompute:
                pytest.fail(f"the oracle cannot say {predicate} for {row}; the engine says {answer}")
