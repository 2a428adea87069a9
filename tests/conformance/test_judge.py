"""The judges themselves: what counts as the same rows, and as a useful error."""

from __future__ import annotations

import datetime as dt
import decimal
import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lakesql import errors

from . import refusals
from .cases import BUNDLED, corpus, load
from .judge import difference

SAME: list[tuple[str, Any, Any]] = [
    ("widths", pa.array([1, 2], pa.int8()), pa.array([2, 1], pa.int64())),
    ("nan", pa.array([float("nan"), 1.5]), pa.array([1.5, float("nan")], pa.float32())),
    ("zeros", pa.array([-0.0]), pa.array([0.0])),
    ("decimals", pa.array([decimal.Decimal("1.50")], pa.decimal128(9, 2)), pa.array([decimal.Decimal("1.5")], pa.decimal128(20, 1))),
    ("instants", pa.array([1_000], pa.timestamp("us", "UTC")), pa.array([1], pa.timestamp("ms", "Europe/Berlin"))),
    ("text", pa.array(["a", None]), pa.array([None, "a"], pa.large_string())),
    ("dictionary", pa.array(["a", "b"]).dictionary_encode(), pa.array(["a", "b"])),
    ("structs", pa.array([{"a": 1, "b": None}]), pa.array([{"a": 1, "b": None}], pa.struct([("a", pa.int16()), ("b", pa.string())]))),
    ("maps", pa.array([[("a", 1), ("b", 2)]], pa.map_(pa.string(), pa.int32())), pa.array([[("b", 2), ("a", 1)]], pa.map_(pa.string(), pa.int64()))),
]
OTHER: list[tuple[str, Any, Any]] = [
    ("repeats", pa.array([1, 1, 2]), pa.array([1, 2, 2])),
    ("wall against instant", pa.array([1], pa.timestamp("us")), pa.array([1], pa.timestamp("us", "UTC"))),
    ("null against empty", pa.array([None], pa.string()), pa.array([""])),
    ("text against binary", pa.array(["a"]), pa.array([b"a"])),
    ("lists in order", pa.array([[1, 2]]), pa.array([[2, 1]])),
    ("dates against instants", pa.array([dt.date(2020, 1, 1)]), pa.array([dt.datetime(2020, 1, 1)])),
]


@pytest.mark.parametrize(("left", "right"), [pytest.param(a, b, id=name) for name, a, b in SAME])
def test_same(left: Any, right: Any) -> None:
    a, b = pa.table({"c": left}), pa.table({"c": right})
    assert difference(a, b) is None
    assert difference(b, a) is None


@pytest.mark.parametrize(("left", "right"), [pytest.param(a, b, id=name) for name, a, b in OTHER])
def test_other(left: Any, right: Any) -> None:
    a, b = pa.table({"c": left}), pa.table({"c": right})
    assert difference(a, b) is not None
    assert difference(b, a) is not None


def test_order_and_names() -> None:
    up, down = pa.table({"c": [1, 2]}), pa.table({"c": [2, 1]})
    assert difference(up, down) is None
    assert difference(up, down, ordered=True) == "row 0 differs: [(1,)] instead of [(2,)] (2 rows, expected 2)"
    assert difference(up, up.rename_columns(["d"])) == "columns ['c'] instead of ['d']"


def _whole_corpus() -> Path:
    root, whole = corpus()
    if not whole:
        pytest.skip("THE CORPUS IS NOT HERE: nothing to compare the copies with")
    return root


def test_same_judgement_as_the_corpus() -> None:
    spec = importlib.util.spec_from_file_location("the_corpus", _whole_corpus() / "corpus.py")
    assert spec is not None
    assert spec.loader is not None
    theirs = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = theirs
    spec.loader.exec_module(theirs)
    for _, left, right in SAME + OTHER:
        a, b = pa.table({"c": left}), pa.table({"c": right})
        assert difference(a, b) == theirs.difference(a, b)


def test_bundled_cases_are_the_corpus() -> None:
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("choose_cases.py")), str(_whole_corpus()), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_bundled_cases_hold_every_word() -> None:
    whole = {(case.format, word) for case in load(_whole_corpus()) for word in case.features}
    assert {(case.format, word) for case in load(BUNDLED) for word in case.features} == whole


def test_bundle_is_small() -> None:
    sizes = [p.stat().st_size for p in BUNDLED.rglob("*") if p.is_file()]
    assert sum(sizes) < 10_000_000
    assert max(sizes) < 1 << 20


def test_every_expected_error_has_a_rule() -> None:
    for case in load(corpus()[0]):
        for read in case.reads:
            if read.error is not None and not read.is_changes:
                assert refusals.classes_of(read.error), read.id


REFUSED: list[tuple[str, str, errors.Error, bool]] = [
    ("no such version", "SELECT * FROM t VERSION AS OF 7", errors.NoSuchVersionError("the table has no version 7", hint="versions 0 to 4"), True),
    ("no such version", "SELECT * FROM t VERSION AS OF 7", errors.NoSuchVersionError("the table has no such version"), False),
    ("no such version", "SELECT * FROM t VERSION AS OF 7", errors.MetadataError("the table has no version 7"), False),
    ("commit 2 is missing", "SELECT * FROM t", errors.MetadataError("/t/_delta_log/00000000000000000002.json is missing"), True),
    ("commit 2 is missing", "SELECT * FROM t", errors.MetadataError("/t/_delta_log/00000000000000000012.json is missing"), False),
    ("reader feature quantumLayout is not supported", "", errors.UnsupportedFeatureError("quantumLayout is not read", feature="quantumLayout"), True),
    ("reader feature quantumLayout is not supported", "", errors.UnsupportedFeatureError("a feature is not read", feature="quantumLayout"), False),
    ("the log holds no protocol", "", errors.InternalError("no protocol"), False),
    ("the log holds no protocol", "", errors.MetadataError("KeyError: 'protocol'"), False),
    ("unknown type HOLOGRAM(3)", "", errors.UnsupportedFeatureError("type HOLOGRAM(3) of column v", feature="HOLOGRAM"), True),
    ("no column name; there is title", "", errors.UnknownColumnError('no column "name"'), True),
    (
        "the instant is before the first commit",
        "SELECT * FROM t TIMESTAMP AS OF '2026-11-24T01:33:06.743Z'",
        errors.NoSuchVersionError("nothing at 2026-11-24 01:33"),
        True,
    ),
]


@pytest.mark.parametrize(("expected", "sql", "error", "useful"), REFUSED)
def test_refusals(expected: str, sql: str, error: errors.Error, useful: bool) -> None:
    assert (refusals.complaint(error, expected, sql) is None) is useful
