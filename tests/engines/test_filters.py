"""pyarrow's filter expressions as predicates: never true of fewer rows than the expression."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pruning_oracle import Engine, satisfied

from lakesql.engines.arrow.filters import columns_of, predicates_of
from lakesql.predicate import And, Constant, Opaque, Or, Predicate

SCHEMA = pa.schema(
    [
        ("a", pa.int64()),
        ("f", pa.float64()),
        ("s", pa.string()),
        ("d", pa.date32()),
        ("t", pa.timestamp("us", "UTC")),
        ("n", pa.decimal128(10, 2)),
        ("b", pa.bool_()),
        ("r", pa.struct([("x", pa.int32())])),
        ('odd " name) == (', pa.int64()),
    ]
)
A, F, S = pc.field("a"), pc.field("f"), pc.field("s")


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        (A == 5, ["a = 5"]),
        (pc.scalar(5) < A, ["a > 5"]),
        ((A > 1) & (S == "it's") & ~(A == 3), ["a > 1", "s = 'it''s'", "a <> 3"]),
        ((A > 1) | (S < 'x" or (a'), ["a > 1 OR s < 'x\" or (a'"]),
        (~((A > 1) & A.is_valid()), ["a <= 1 OR a IS NULL"]),
        (A.isin([1, 2]), ["a IN (1, 2)"]),
        (~A.isin([1, 2]), ["a NOT IN (1, 2) OR a IS NULL"]),
        (A.isin([1, None]), ["a IN (1) OR a IS NULL"]),
        (~A.isin([1, None]), ["a NOT IN (1)", "a IS NOT NULL"]),
        (A.is_null(), ["a IS NULL"]),
        (~S.is_null(), ["s IS NOT NULL"]),
        (pc.starts_with(S, "ab"), ["s LIKE 'ab%'"]),
        (pc.field("d") >= pa.scalar(datetime.date(2026, 1, 2)), ["d >= DATE '2026-01-02'"]),
        (pc.field("t") < pa.scalar(datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)), ["t < TIMESTAMP '2026-01-02 00:00:00.000000Z'"]),
        (pc.field("n") == pa.scalar(Decimal("1.5")), ["n = 1.50"]),
        (pc.field("b"), ["b = TRUE"]),
        (~pc.field("b"), ["b = FALSE"]),
        (pc.field(("r", "x")) > pa.scalar(3, pa.int32()), ["r.x > 3"]),
        (pc.field('odd " name) == (') > 3, ['odd " name) == ( > 3']),
        (F > 1.5, ["f > 1.5"]),
        (pc.scalar(False), ["FALSE"]),
    ],
)
def test_what_is_understood(expression: pc.Expression, told: list[str]) -> None:
    assert [str(p) for p in predicates_of(expression, SCHEMA)] == told


@pytest.mark.parametrize(
    "expression",
    [
        A * 2 > 4,
        A.cast(pa.string()) == "4",
        F == 0.0,
        float("nan") > F,
        ~(F > 1.5),  # true of NaN, which is above 1.5 in SQL
        F.isin([1.0]),
        F.is_null(nan_is_null=True),
        pa.scalar(2.5) == A,
        pa.scalar(1 << 63, pa.uint64()) == A,
        pc.field("t") < pa.scalar(datetime.datetime(2026, 1, 2)),
        pc.field("unknown") == 3,
        pc.field("r").is_null(),
        pc.match_like(S, "a_"),
        pc.starts_with(S, "ab", ignore_case=True),
    ],
)
def test_what_is_not_prunes_nothing(expression: Any) -> None:
    found = predicates_of(expression & (A > 1), SCHEMA)
    assert [isinstance(p, Opaque) for p in found] == [True, False]


def test_columns() -> None:
    assert columns_of((A * 2 > 4) | pc.field(("r", "x")).is_null()) == {"a", "r"}
    assert columns_of(pc.scalar(True)) == frozenset()


ROWS = pa.table(
    {
        "a": pa.array([None, -1, 0, 1, 2, 5, 2**62, 3]),
        "f": pa.array([0.0, None, float("nan"), -0.0, 1.0, float("inf"), 2.5, -1.0]),
        "s": pa.array(["", "a", None, "ab", "b", "it's", "b", "a"]),
    }
)

leaves = st.one_of(
    st.builds(lambda op, v: op(A, v), st.sampled_from([pc.equal, pc.not_equal, pc.less, pc.greater_equal]), st.sampled_from([-1, 0, 1, 2, 7])),
    st.builds(lambda op, v: op(F, v), st.sampled_from([pc.equal, pc.not_equal, pc.less, pc.greater]), st.sampled_from([0.0, 1.0, 2.5, float("nan")])),
    st.builds(lambda op, v: op(S, v), st.sampled_from([pc.equal, pc.less_equal, pc.greater]), st.sampled_from(["", "a", "ab"])),
    st.builds(lambda f: f.is_null(), st.sampled_from([A, F, S])),
    st.builds(lambda v: A.isin(v), st.lists(st.sampled_from([None, 0, 1, 2]), min_size=1, max_size=3)),
    st.builds(lambda v: pc.starts_with(S, v), st.sampled_from(["", "a", "ab"])),
)
expressions = st.recursive(
    leaves,
    lambda inner: st.one_of(st.builds(lambda a, b: a & b, inner, inner), st.builds(lambda a, b: a | b, inner, inner), st.builds(lambda a: ~a, inner)),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(expressions)
def test_no_row_is_lost(expression: pc.Expression) -> None:
    """Rows for which pyarrow finds the expression true satisfy the predicates, whichever way zeros are signed."""
    rows = ROWS.append_column("row", pa.array(range(len(ROWS))))
    for row in pads.dataset(rows).to_table(filter=expression)["row"].to_pylist():
        values = {(name,): ROWS.column(name)[row] for name in ROWS.column_names}
        for signed in (True, False):
            for predicate in predicates_of(expression, ROWS.schema):
                assert satisfied(_known(predicate), values, Engine(signed, cuts_to_zero=False, rounds=True)) is True, (row, str(predicate))


def _known(predicate: Predicate) -> Predicate:
    """What pruning makes of it: whatever is not understood may be true."""
    match predicate:
        case Opaque():
            return Constant(True)
        case And(parts):
            return And(tuple(map(_known, parts)))
        case Or(parts):
            return Or(tuple(map(_known, parts)))
        case _:
            return predicate
