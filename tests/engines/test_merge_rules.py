"""MergeByKey against a model that goes record by record, every function and way to take back; Beside, Mapped and OneOf."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakesql.engines.datafusion.engine import DataFusionEngine
from lakesql.errors import EngineError, UnsupportedFeatureError
from lakesql.relation import Batches, Beside, Col, LatestByKey, Mapped, MergeByKey, MergeRule, OneOf, Project, Relation, Retract, Run
from lakesql.storage import MemoryStorage
from tests.formats.paimon.merge_model import Model, Record, RetractError

ENGINE = DataFusionEngine(MemoryStorage(), target_partitions=2)


def rows_of(relation: Relation) -> list[dict[str, Any]]:
    bound = ENGINE.bind("SELECT * FROM t", {"t": pa.schema([("x", pa.int64())])}, {})
    found: list[dict[str, Any]] = []
    for batch in ENGINE.run("SELECT * FROM t", {"t": relation}, bound, {}):
        found += batch.to_pylist()
    return found


TYPES: dict[str, pa.DataType] = {
    "n": pa.int32(),
    "s": pa.string(),
    "b": pa.bool_(),
    "l": pa.list_(pa.int64()),
    "g": pa.int64(),
    "h": pa.string(),
}
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "n": st.none() | st.integers(-5, 5),
    "s": st.none() | st.sampled_from(["", " ", "a", "b", "ab"]),
    "b": st.none() | st.booleans(),
    "l": st.none() | st.lists(st.integers(0, 2), max_size=3),
    "g": st.none() | st.integers(0, 3),
    "h": st.none() | st.sampled_from("xyz"),
}
FUNCTIONS = {
    "n": ("sum", "max", "min", "last_value", "last_non_null_value", "first_value", "first_non_null_value"),
    "s": ("listagg", "max", "last_value", "last_non_null_value", "first_value", "first_non_null_value"),
    "b": ("bool_and", "bool_or", "max", "last_non_null_value"),
    "l": ("collect", "last_value", "first_non_null_value"),
    "g": ("max", "last_value"),
    "h": ("last_non_null_value", "min"),
}


@st.composite
def runs_of(draw: Any, *, takes_back: bool) -> list[list[tuple[int, Record]]]:
    """Runs, the oldest first, each with a key once; numbers grow with runs."""
    kinds = st.sampled_from([0, 0, 0, 2, 1, 3]) if takes_back else st.sampled_from([0, 0, 2])
    runs, number = [], 0
    for _ in range(draw(st.integers(1, 6))):
        run = []
        for key in draw(st.lists(st.integers(0, 4), unique=True, max_size=5)):
            number += 1
            run.append((key, Record(number, draw(kinds), {c: draw(v) for c, v in VALUES.items()})))
        runs.append(run)
    return runs


def relation_of(runs: Sequence[Sequence[tuple[int, Record]]], rules: Sequence[MergeRule], **more: Any) -> MergeByKey:
    def batches(records: Sequence[tuple[int, Record]]) -> Batches:
        columns = {"k": pa.array([k for k, _ in records], pa.int64())}
        columns |= {c: pa.array([r.values[c] for _, r in records], t) for c, t in TYPES.items()}
        columns |= {"number": pa.array([r.number for _, r in records], pa.int64()), "kind": pa.array([r.kind for _, r in records], pa.int8())}
        return Batches.of(pa.table(columns))

    two = (Run(batches(runs[0]), 0), Run(batches([r for run in runs[1:] for r in run]), 1))
    return MergeByKey(two, ("k",), (("number", True),), (MergeRule("k", "key"), *rules), "kind", unique=frozenset((0,)), **more)


def expected(runs: Sequence[Sequence[tuple[int, Record]]], model: Model) -> list[dict[str, Any]]:
    by_key: dict[int, list[Record]] = {}
    for run in runs:
        for key, record in run:
            by_key.setdefault(key, []).append(record)
    found = {k: model.row(r) for k, r in by_key.items()}
    return [{"k": k, **{c: row[c] for c in model.columns}} for k, row in sorted(found.items()) if row is not None]


def agree(node: MergeByKey, runs: Sequence[Sequence[tuple[int, Record]]], model: Model) -> None:
    try:
        wanted = expected(runs, model)
    except RetractError:
        with pytest.raises(EngineError):
            rows_of(node)
        return
    assert sorted(rows_of(node), key=lambda r: r["k"]) == wanted


@settings(max_examples=120, deadline=None)
@given(runs_of(takes_back=True), st.data())
def test_aggregation(runs: list[list[tuple[int, Record]]], data: st.DataObject) -> None:
    functions = {c: data.draw(st.sampled_from(f)) for c, f in FUNCTIONS.items()}
    ignored = frozenset(data.draw(st.sets(st.sampled_from(list(FUNCTIONS)))))
    removes = data.draw(st.booleans())
    model = Model("aggregation", tuple(TYPES), functions, ignore_retract=ignored, remove_on_delete=removes)
    rules = [MergeRule(c, f, (("ignore-retract", "true"),) if c in ignored else ()) for c, f in functions.items()]
    agree(relation_of(runs, rules, retract=Retract.BY_RULE, deletes_remove=removes), runs, model)


@settings(max_examples=120, deadline=None)
@given(runs_of(takes_back=True), st.sampled_from(["refuse", "remove"]))
def test_partial_update(runs: list[list[tuple[int, Record]]], how: str) -> None:
    model = Model("partial-update", tuple(TYPES), remove_on_delete=how == "remove")
    if how == "remove" and any(r.kind == 1 for run in runs for _, r in run):
        return  # an update's old row alone is left out here, where Java forgets that the row was deleted
    retract = Retract.REFUSE if how == "refuse" else Retract.SKIP
    rules = [MergeRule(c, "last_non_null_value") for c in TYPES]
    agree(relation_of(runs, rules, retract=retract, deletes_remove=how == "remove", needs_insert=True), runs, model)


@settings(max_examples=200, deadline=None)
@given(runs_of(takes_back=True), st.data())
def test_sequence_groups(runs: list[list[tuple[int, Record]]], data: st.DataObject) -> None:
    ordering = data.draw(st.sampled_from([("g",), ("g", "h")]))
    protected = ("n", "s", "l") if ordering == ("g", "h") else ("n", "l")
    other: dict[tuple[str, ...], tuple[str, ...]] = {} if ordering == ("g", "h") else {("h",): ("b",)}
    functions = {c: data.draw(st.sampled_from(FUNCTIONS[c])) for c in protected if data.draw(st.booleans())}
    removing = frozenset(data.draw(st.sets(st.sampled_from(["g", "h"]), max_size=1)))
    groups = {ordering: protected, **other}
    model = Model("partial-update", tuple(TYPES), functions, groups, remove_on_group=removing)
    rules = []
    for column in TYPES:
        group = next((o for o, p in groups.items() if column in (*o, *p)), ())
        function = "sequence" if column in group else functions.get(column, "replace" if group else "last_non_null_value")
        rules.append(MergeRule(column, function, (("removes", "true"),) if column in group and column in removing else (), group))
    agree(relation_of(runs, rules, retract=Retract.BY_RULE, needs_insert=True), runs, model)


# Single functions ----------------------------------------------------------------------------------------------------------------------------------


def merged(function: str, values: Sequence[Any], type_: pa.DataType, kinds: Sequence[int] | None = None, options: Mapping[str, str] | None = None) -> Any:
    """What a column of one key becomes."""
    count = len(values)
    table = pa.table(
        {
            "k": pa.array([1] * count),
            "v": pa.array(values, type_),
            "number": pa.array(range(count), pa.int64()),
            "kind": pa.array(kinds or [0] * count, pa.int8()),
        }
    )
    rules = (MergeRule("v", function, tuple((options or {}).items())),)
    [row] = rows_of(MergeByKey((Run(Batches.of(table), 0),), ("k",), (("number", True),), rules, "kind", Retract.BY_RULE))
    return row["v"]


ROWS = pa.list_(pa.struct([("i", pa.int32()), ("s", pa.string())]))


def _rows(*pairs: tuple[int | None, str | None]) -> list[dict[str, Any]]:
    return [{"i": i, "s": s} for i, s in pairs]


@pytest.mark.parametrize(
    ("function", "values", "type_", "kinds", "options", "wanted"),
    [
        ("sum", [Decimal("1.25"), None, Decimal("2.50")], pa.decimal128(10, 2), None, {}, Decimal("3.75")),
        ("sum", [Decimal("9" * 38), Decimal("1"), Decimal("5")], pa.decimal128(38, 0), None, {}, Decimal("5")),
        ("sum", [1.5, 2.25], pa.float32(), [0, 3], {}, -0.75),
        ("sum", [None, 3], pa.int64(), [0, 3], {}, -3),
        ("product", [2, 3, None, 4], pa.int16(), None, {}, 24),
        ("product", [20, 3, 7], pa.int32(), [0, 0, 1], {}, 8),
        ("product", [-7, 2], pa.int32(), [0, 3], {}, -3),
        ("product", [Decimal("1.5"), Decimal("1.5")], pa.decimal128(10, 1), None, {}, Decimal("2.3")),
        ("max", [1.0, float("nan"), 2.0], pa.float64(), None, {}, "NaN"),
        ("min", [b"\x80", b"\x01"], pa.binary(), None, {}, b"\x01"),
        ("listagg", ["a", "", "b", "a"], pa.string(), None, {"delimiter": ";"}, "a;b;a"),
        ("listagg", ["a;b", "b;c", " "], pa.string(), None, {"delimiter": ";", "distinct": "true"}, "a;b;c"),
        ("collect", [["a"], None, ["a", "b"]], pa.list_(pa.string()), None, {"distinct": "true"}, ["a", "b"]),
        ("collect", [["a", "a", "b"], ["a"]], pa.list_(pa.string()), [0, 3], {}, ["a", "b"]),
        ("merge_map", [[("a", 1)], [("b", 2), ("a", 3)]], pa.map_(pa.string(), pa.int32()), None, {}, [("a", 3), ("b", 2)]),
        ("merge_map", [[("a", 1), ("b", 2)], [("a", 9)]], pa.map_(pa.string(), pa.int32()), [0, 3], {}, [("b", 2)]),
        ("nested_update", [_rows((1, "a")), _rows((2, "b"), (1, "c"))], ROWS, None, {}, _rows((1, "a"), (2, "b"), (1, "c"))),
        ("nested_update", [_rows((1, "a")), _rows((2, "b"), (1, "c"))], ROWS, None, {"nested-key": "i"}, _rows((1, "c"), (2, "b"))),
        ("nested_update", [_rows((1, "a"), (2, "b")), _rows((1, "x"))], ROWS, [0, 3], {"nested-key": "i"}, _rows((2, "b"))),
        ("nested_update", [_rows((1, "a"), (2, "b")), _rows((1, "x"), (2, "b"))], ROWS, [0, 3], {}, _rows((1, "a"))),
        ("nested_update", [_rows((1, "b")), _rows((1, "a"))], ROWS, None, {"nested-key": "i", "nested-sequence-field": "s"}, _rows((1, "b"))),
        ("nested_update", [_rows((1, "a")), _rows((2, "b"), (3, "c"))], ROWS, None, {"count-limit": "2"}, _rows((1, "a"), (2, "b"))),
        ("nested_update", [_rows((None, "a")), _rows((1, "b"))], ROWS, None, {"nested-key": "i", "nested-key-null-strategy": "ignore"}, _rows((1, "b"))),
        ("nested_partial_update", [_rows((1, "a")), _rows((1, None), (2, "b"))], ROWS, None, {"nested-key": "i"}, _rows((1, "a"), (2, "b"))),
        (
            "merge_map_with_keytime",
            [[("a", {"i": 1, "s": "05"})], [("a", {"i": 2, "s": "04"}), ("b", {"i": 3, "s": "01"})]],
            pa.map_(pa.string(), ROWS.value_type),
            None,
            {},
            [("a", {"i": 1, "s": "05"}), ("b", {"i": 3, "s": "01"})],
        ),
    ],
)
def test_functions(function: str, values: Sequence[Any], type_: pa.DataType, kinds: Sequence[int] | None, options: Mapping[str, str], wanted: Any) -> None:
    found = merged(function, values, type_, kinds, options)
    assert (str(found).replace("nan", "NaN") if wanted == "NaN" else found) == wanted


def test_bitmaps() -> None:
    pyroaring = pytest.importorskip("pyroaring")
    parts = [bytes(pyroaring.BitMap(p).serialize()) for p in ([1, 2], [2, 70_000])]
    assert list(pyroaring.BitMap.deserialize(merged("rbm32", parts, pa.binary()))) == [1, 2, 70_000]


@pytest.mark.parametrize(
    ("function", "values", "type_", "kinds", "message"),
    [
        ("sum", [2**31 - 1, 1], pa.int32(), None, "overflows int32"),
        ("sum", [127, 1], pa.int8(), None, "overflows int8"),
        ("sum", [Decimal("9"), Decimal("9")], pa.decimal128(1, 0), None, "no decimal128"),
        ("product", [2**62, 2], pa.int64(), None, "overflows int64"),
        ("product", [1, 0], pa.int64(), [0, 3], "divide"),
        ("product", [Decimal("1"), Decimal("3")], pa.decimal128(10, 2), [0, 3], "cannot be divided"),
        ("max", [1, 1], pa.int32(), [0, 3], '"max" cannot take a value back'),
        ("listagg", ["a", "b"], pa.string(), [0, 1], '"listagg" cannot take a value back'),
        ("rbm32", [b"x", b"y"], pa.binary(), None, "no Roaring bitmap"),
    ],
)
def test_refusals(function: str, values: Sequence[Any], type_: pa.DataType, kinds: Sequence[int] | None, message: str) -> None:
    with pytest.raises(EngineError, match=message):
        merged(function, values, type_, kinds)


def test_functions_that_are_not_known() -> None:
    with pytest.raises(UnsupportedFeatureError, match='"median"') as refusal:
        merged("median", [1, 2], pa.int32())
    assert refusal.value.feature == "aggregate function median"
    with pytest.raises((UnsupportedFeatureError, EngineError), match="there is no sum"):
        merged("sum", ["a", "b"], pa.string())


# Order ---------------------------------------------------------------------------------------------------------------------------------------------


def _ordered(order: tuple[tuple[str, bool], ...], rows: Sequence[tuple[Any, int, int, str]]) -> Any:
    table = pa.table(
        {
            "k": pa.array([1] * len(rows)),
            "o": pa.array([r[0] for r in rows], pa.int32()),
            "number": pa.array([r[1] for r in rows], pa.int64()),
            "kind": pa.array([r[2] for r in rows], pa.int8()),
            "v": pa.array([r[3] for r in rows]),
        }
    )
    node = MergeByKey((Run(Batches.of(table), 0),), ("k",), order, (MergeRule("v", "last_value"),), "kind", Retract.BY_RULE)
    return rows_of(node)[0]["v"]


@pytest.mark.parametrize(
    ("ascending", "rows", "wanted"),
    [
        (True, [(2, 1, 0, "high"), (1, 2, 0, "low")], "high"),
        (False, [(2, 1, 0, "high"), (1, 2, 0, "low")], "low"),
        (True, [(None, 9, 0, "null"), (-5, 1, 0, "some")], "some"),
        (False, [(None, 9, 0, "null"), (5, 1, 0, "some")], "some"),
        (True, [(1, 1, 0, "first"), (1, 2, 0, "second")], "second"),
        (True, [(1, 1, 0, "added"), (1, 1, 1, "taken")], "added"),
    ],
)
def test_order(ascending: bool, rows: Sequence[tuple[Any, int, int, str]], wanted: str) -> None:
    """Null is older in either direction; numbers decide next; of rows that tie, the one that adds is the newer."""
    assert _ordered((("o", ascending), ("number", True)), rows) == wanted


def test_keys_of_floating_point() -> None:
    values = [0.0, -0.0, float("nan"), None]
    bulk = pa.table({"k": pa.array(values), "number": pa.array([1, 2, 3, 4]), "kind": pa.array([0] * 4, pa.int8()), "v": pa.array(["old"] * 4)})
    newer = pa.table({"k": pa.array(values[1:]), "number": pa.array([5, 6, 7]), "kind": pa.array([0] * 3, pa.int8()), "v": pa.array(["new"] * 3)})
    runs = (Run(Batches.of(bulk), 0), Run(Batches.of(newer), 1))
    rules = (MergeRule("k", "key"), MergeRule("v", "last_value"))
    merged = MergeByKey(runs, ("k",), (("number", True),), rules, "kind", Retract.BY_RULE, unique=frozenset((0,)))
    latest = LatestByKey(runs, ("k",), (("number", True),), unique=frozenset((0,)), distinct="number")
    for node in (merged, latest, replace(latest, unique=frozenset())):
        assert sorted((str(r["k"]), r["v"]) for r in rows_of(node)) == [("-0.0", "new"), ("0.0", "old"), ("None", "new"), ("nan", "new")]


# Beside, Mapped, OneOf -----------------------------------------------------------------------------------------------------------------------------


def test_beside() -> None:
    first = Batches.of(pa.table({"at": pa.array([1, 2, 3]), "a": ["x", "y", "z"]}))
    second = Batches.of(pa.table({"b": [20, 30], "at": pa.array([2, 3])}))
    third = Batches.of(pa.table({"at": pa.array([3, 1, 9]), "c": [True, False, True]}))
    found = sorted(rows_of(Beside((first, second, third), "at")), key=lambda r: r["at"])
    assert found == [
        {"at": 1, "a": "x", "b": None, "c": False},
        {"at": 2, "a": "y", "b": 20, "c": None},
        {"at": 3, "a": "z", "b": 30, "c": True},
    ]


@pytest.mark.parametrize(
    ("values", "type_", "function", "wanted"),
    [
        (["a", None], pa.string(), pc.utf8_upper, ["A", None]),
        ([b"a", b"bb"], pa.binary(), pc.binary_length, [1, 2]),
        ([[1], None, []], pa.list_(pa.int64()), pc.list_value_length, [1, None, 0]),
    ],
)
def test_mapped(values: Sequence[Any], type_: pa.DataType, function: Callable[[pa.Array], pa.Array], wanted: Sequence[Any]) -> None:
    result = function(pa.array(values, type_)).type
    node = Project(Batches.of(pa.table({"v": pa.array(values, type_)})), ("w",), (Mapped(Col("v"), function, result),))
    assert [r["w"] for r in rows_of(node)] == wanted


def test_what_a_function_raises_is_told() -> None:
    def refuse(array: pa.Array) -> pa.Array:
        raise EngineError("' 8 ' is no INT")

    node = Project(Batches.of(pa.table({"v": [1]})), ("w",), (Mapped(Col("v"), refuse, pa.int32()),))
    with pytest.raises(EngineError, match="' 8 ' is no INT"):
        rows_of(node)


def test_one_of() -> None:
    node = Project(Batches.of(pa.table({"v": pa.array([0, 1, 3, None], pa.int8())})), ("w",), (OneOf(Col("v"), pa.array([1, 3], pa.int8())),))
    assert [r["w"] for r in rows_of(node)] == [False, True, True, False]
