"""Rows within lists, kept by a key: in the order of a Java hash map."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lakesql.engines.nested_rows import collect, nested_partial_update, nested_update
from lakesql.relation import MergeRule

Hash = Callable[[int], int]


def rule(function: str, hash_: Hash | None, **options: str) -> MergeRule:
    """A rule over rows with the fields i (the key) and v."""
    digest = None if hash_ is None else lambda values: (repr(values).encode(), hash_(values[0]))
    return MergeRule("c", function, (("nested-key", "i"), *options.items()), (), digest)


def rows(*keys: int) -> list[dict[str, Any]]:
    return [{"i": k, "v": f"v{k}"} for k in keys]


def keys(found: Any) -> list[int]:
    return [r["i"] for r in found]


@pytest.mark.parametrize(
    ("hash_", "added", "given"),
    [
        (lambda k: k, (3, 1, 17, 2), [1, 17, 2, 3]),  # 17 is in the bin of 1, behind it
        (lambda k: k, (17, 3, 1, 2), [17, 1, 2, 3]),
        (lambda k: k, (*range(16, 3, -1),), list(range(4, 17))),  # the thirteenth key makes it 32 bins, where 16 is no longer in the bin of 0
        (lambda k: k, (*range(16, 4, -1),), [16, *range(5, 16)]),
        (lambda k: k << 16, (2, 1, 18), [1, 2, 18]),  # the high half counts
        (lambda k: -k, (1, 2, 3), [1, 2, 3]),  # negative hashes: -1 ^ 0xffff is bin 0, ...
        (lambda k: k << 4, (4, 1, 3, 2), [4, 1, 3, 2]),  # one bin
        (lambda k: k << 4, (*range(8, 0, -1),), [*range(8, 0, -1)]),
        (lambda k: k << 4, (*range(9, 0, -1),), [8, 6, 4, 2, 9, 7, 5, 3, 1]),  # the ninth of a bin makes it 32
        (None, (3, 1, 17, 2), [3, 1, 17, 2]),
    ],
)
def test_order(hash_: Hash | None, added: tuple[int, ...], given: list[int]) -> None:
    for function in (nested_update(rule("nested_update", hash_))[0], nested_partial_update(rule("nested_partial_update", hash_))):
        assert keys(function(None, rows(*added))) == given


def test_the_stored_order_is_the_next_ones() -> None:
    """Each step makes a map of its own, out of the rows as the last one gave them."""
    merge, back = nested_update(rule("nested_update", lambda k: k % 16))
    held = merge(merge(None, rows(33, 17)), rows(1, 2))
    assert keys(held) == [33, 17, 1, 2]
    held = back(held, rows(17))
    assert keys(held) == [33, 1, 2]
    assert keys(merge(held, rows(17))) == [33, 1, 17, 2]


def test_a_row_that_is_replaced_stays_where_it_is() -> None:
    merge, _ = nested_update(rule("nested_update", lambda k: 5))
    assert merge(rows(1, 2), [{"i": 1, "v": "new"}]) == [{"i": 1, "v": "new"}, *rows(2)]


def test_a_limit_counts_keys_and_keeps_those_that_are_there() -> None:
    merge, _ = nested_update(rule("nested_update", lambda k: k, **{"count-limit": "2"}))
    assert keys(merge(rows(5, 6), [*rows(1), {"i": 5, "v": "new"}])) == [5, 6]
    assert keys(merge(rows(5, 6, 7), rows(1))) == [5, 6, 7]


def test_bytes_tell_keys_apart() -> None:
    """0.0 and -0.0 are two keys, as their bytes are."""
    digest = lambda values: (repr(values).encode(), 0)  # noqa: E731 - a function of one expression
    merge, _ = nested_update(MergeRule("c", "nested_update", (("nested-key", "i"),), (), digest))
    assert len(merge(None, [{"i": 0.0}, {"i": -0.0}, {"i": 0.0}])) == 2


def test_elements_kept_once() -> None:
    """In the order of a Java hash set where their hashes are known, else as they came."""
    distinct = (("distinct", "true"),)
    merge, _ = collect(MergeRule("c", "collect", distinct, (), lambda values: (repr(values).encode(), values[0] or 0)))
    assert merge(None, [33, 1, 17, None, 1]) == [None, 33, 1, 17]
    assert merge([33, 1], [2, 17]) == [33, 1, 17, 2]
    assert merge([1], None) == [1]
    assert merge(None, None) is None
    plain, _ = collect(MergeRule("c", "collect", distinct))
    assert plain([[3]], [[1], [3], [1]]) == [[3], [1]]
    appended, back = collect(MergeRule("c", "collect"))
    assert appended([1], [1, 2]) == [1, 1, 2]
    assert back([1, 1, 2], [1]) == [1, 2]
