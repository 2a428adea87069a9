"""Parameters against placeholders."""

from __future__ import annotations

from typing import Any

import pytest

from lakesql.errors import ParameterError
from lakesql.sql import bind_parameters, parse


@pytest.mark.parametrize(
    ("sql", "given", "bound"),
    [
        ("SELECT 1", None, {}),
        ("SELECT 1", [], {}),
        ("SELECT 1", {}, {}),
        ("SELECT ?, ?", [1, "a"], {"1": 1, "2": "a"}),
        ("SELECT $2, $1, $1", (1, 2), {"1": 1, "2": 2}),
        ("SELECT $a, $b, $a", {"a": 1, "b": None}, {"a": 1, "b": None}),
        ("SELECT :a", {"a": 1}, {"a": 1}),
        ("SELECT $1", {"1": 5}, {"1": 5}),
        ("SELECT '?', a::b", None, {}),
    ],
)
def test_bound(sql: str, given: Any, bound: dict[str, Any]) -> None:
    assert bind_parameters(parse(sql), given) == bound


@pytest.mark.parametrize(
    ("sql", "given", "message"),
    [
        ("SELECT ?, ?", [1], "has 2 parameters and 1 is given"),
        ("SELECT ?", [1, 2], "has 1 parameter and 2 are given"),
        ("SELECT ?", None, "has 1 parameter and 0 are given"),
        ("SELECT 1", [1], "has 0 parameters and 1 is given"),
        ("SELECT $2", [1, 2], "no placeholder takes parameter \\$1"),
        ("SELECT $a", {"b": 1}, 'no parameter is given for "\\$a": given parameter: "b"'),
        ("SELECT :a", {}, 'no parameter is given for ":a": none is given'),
        ("SELECT $a", {"a": 1, "b": 2}, 'given parameter: "b", and the statement has no such placeholder'),
        ("SELECT :a", [1], "given by name, and the parameters are a sequence"),
        ("SELECT :a", None, 'no parameter is given for ":a"'),
        ("SELECT ?, :a", [1], "two styles"),
        ("SELECT ?", "x", "must be a sequence or a mapping, not str"),
        ("SELECT ?", 5, "must be a sequence or a mapping, not int"),
    ],
)
def test_errors_name_both_sides(sql: str, given: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message) as caught:
        bind_parameters(parse(sql), given)
    assert caught.value.sqlstate == "07001"


def test_the_caret_is_at_the_placeholder() -> None:
    with pytest.raises(ParameterError) as caught:
        bind_parameters(parse("SELECT 1,\n  :who"), {"what": 1})
    assert (caught.value.line, caught.value.column) == (2, 3)
    assert ":who\n          ^^^^" in str(caught.value)
