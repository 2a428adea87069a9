"""The predicate tree: its text, negation and the columns it reads."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pyarrow as pa
import pytest
from pruning_oracle import Engine, satisfied

from lakesql.predicate import (
    FLIPPED,
    And,
    Cast,
    Column,
    Compare,
    Constant,
    In,
    IsNull,
    Op,
    Opaque,
    Or,
    Predicate,
    StartsWith,
    Truncate,
    column_of,
    columns_of,
    conjuncts,
    literal,
    negate,
)

A, B, S = Column(("a",)), Column(("b",)), Column(("s", "x"))
LEAVES: list[Predicate] = [
    *(Compare(A, op, pa.scalar(5)) for op in Op),
    In(A, pa.array([4, 5])),
    In(A, pa.array([4, 5]), negated=True),
    IsNull(A),
    IsNull(A, negated=True),
    Constant(True),
    Constant(False),
    Constant(None),
]


@pytest.mark.parametrize(
    ("predicate", "text"),
    [
        (Compare(S, Op.GE, pa.scalar(5)), "s.x >= 5"),
        (Compare(Cast(A, pa.date32()), Op.EQ, pa.scalar(dt.date(2026, 1, 2))), "CAST(a AS date32[day]) = DATE '2026-01-02'"),
        (Compare(Truncate("month", A), Op.LT, pa.scalar(dt.datetime(2026, 1, 1))), "date_trunc('month', a) < TIMESTAMP '2026-01-01 00:00:00.000000'"),
        (In(A, pa.array([1, 2]), negated=True), "a NOT IN (1, 2)"),
        (In(A, pa.array(range(7))), "a IN (0, 1, 2, 3, 4, ... 2 more)"),
        (StartsWith(A, "it's"), "a LIKE 'it''s%'"),
        (StartsWith(A, "50%_x", negated=True), "a NOT LIKE '50\\%\\_x%'"),
        (IsNull(A), "a IS NULL"),
        (And((IsNull(A), Or((IsNull(B), Constant(None))))), "a IS NULL AND (b IS NULL OR NULL)"),
        (Or((IsNull(A), And((IsNull(B), Constant(False))))), "a IS NULL OR (b IS NULL AND FALSE)"),
        (Opaque("a % 2 = 1", "arithmetic", (("a",),)), "a % 2 = 1"),
    ],
)
def test_text(predicate: Predicate, text: str) -> None:
    assert str(predicate) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (pa.scalar(None, pa.int64()), "NULL"),
        (pa.scalar(True), "TRUE"),
        (pa.scalar(-1.5), "-1.5"),
        (pa.scalar(float("nan")), "nan"),
        (pa.scalar(Decimal("1.50")), "1.50"),
        (pa.scalar("é", pa.string_view()), "'é'"),
        (pa.scalar("x", pa.large_string()), "'x'"),
        (pa.scalar(b"\x00\xff"), "X'00FF'"),
        (pa.scalar(b"\x00\xff", pa.binary(2)), "X'00FF'"),
        (pa.scalar(b"\x01", pa.binary_view()), "X'01'"),
        (pa.scalar(0, pa.date64()), "DATE '1970-01-01'"),
        (pa.scalar(2**31 - 1, pa.date32()), "DATE '<value out of range: 2147483647>'"),
        (pa.scalar(1, pa.timestamp("ns", "UTC")), "TIMESTAMP '1970-01-01 00:00:00.000000001Z'"),
        (pa.scalar(2**63 - 1, pa.timestamp("s")), "TIMESTAMP '<value out of range: 9223372036854775807>'"),
        (pa.scalar(0, pa.timestamp("s", "No/Where")), "TIMESTAMP '0'"),
        (pa.scalar(1, pa.time64("ns")), "TIME '00:00:00.000000001'"),
        (pa.scalar(7, pa.duration("ms")), "7 ms"),
        (pa.array(["a", None]).dictionary_encode()[0], "'a'"),
        (pa.array(["a", None]).dictionary_encode()[1], "NULL"),
    ],
)
def test_literals_never_fail(value: pa.Scalar, text: str) -> None:
    assert literal(value) == text


def test_text_that_is_no_utf8_is_shown() -> None:
    broken = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xff")])
    assert literal(broken[0]) == "'\N{REPLACEMENT CHARACTER}'"


@pytest.mark.parametrize("value", [3, 4, 5, 6, None])
def test_negation_is_exact(value: int | None) -> None:
    """NOT of true is false, of false true, of null null, for every leaf and for trees of two."""
    row = {("a",): pa.scalar(value, pa.int64())}
    engine = Engine(False, False, False)
    trees: list[Predicate] = [*LEAVES, *(node((one, other)) for node in (And, Or) for one in LEAVES for other in LEAVES)]
    for tree in trees:
        holds = satisfied(tree, row, engine)
        assert satisfied(negate(tree), row, engine) is (None if holds is None else not holds), str(tree)
        assert negate(negate(tree)) == tree


def test_negation_of_text_and_opaque() -> None:
    assert negate(StartsWith(A, "x")) == StartsWith(A, "x", negated=True)
    assert negate(Opaque("f(a)", "a function", (("a",),))) == Opaque("NOT (f(a))", "a function", (("a",),))


def test_flipped_operators() -> None:
    for op in Op:
        assert FLIPPED[FLIPPED[op]] is op
        assert satisfied(Compare(A, op, pa.scalar(5)), {("a",): pa.scalar(3)}, Engine(False, False, False)) is satisfied(
            Compare(A, FLIPPED[op], pa.scalar(3)), {("a",): pa.scalar(5)}, Engine(False, False, False)
        )


def test_conjuncts_are_flat() -> None:
    one, two, three = IsNull(A), IsNull(B), Or((IsNull(A), IsNull(B)))
    assert list(conjuncts(And((one, And((two, three)))))) == [one, two, three]
    assert list(conjuncts(three)) == [three]


def test_long_chains_are_flat() -> None:
    """An engine's `a = 0 OR a = 1 OR ...` comes as pairs in pairs; nothing here may recurse as deep as it is long."""
    chain: Predicate = Compare(A, Op.EQ, pa.scalar(0))
    for value in range(1, 2000):
        chain = Or((chain, Compare(A, Op.EQ, pa.scalar(value))))
    assert isinstance(chain, Or)
    assert len(chain.parts) == 2000
    assert len(list(conjuncts(negate(chain)))) == 2000
    assert columns_of(chain) == {("a",)}
    assert str(chain).endswith("a = 1998 OR a = 1999")


def test_columns() -> None:
    assert column_of(Truncate("day", Cast(S, pa.timestamp("us")))) == ("s", "x")
    assert columns_of(And((IsNull(A), Or((StartsWith(B, "x"), In(S, pa.array([1]))))))) == {("a",), ("b",), ("s", "x")}
    assert columns_of(Constant(True)) == frozenset()
    assert columns_of(Opaque("f(a, b)", "a function", (("a",), ("b",)))) == {("a",), ("b",)}
