"""EXPLAIN ANALYZE as a tree: over the sample lake through the engine, and of texts that are no such plan."""

from __future__ import annotations

import re

import pytest

from lakesql import sample
from lakesql.frontends.footer import tables_of
from lakesql.frontends.render.plan_tree import plan_tree
from lakesql.frontends.render.table import width_of
from lakesql.session import Session

QUERY = """
EXPLAIN ANALYZE SELECT category, count(*) FROM impressions i JOIN items t ON i.item_id = t.item_id
WHERE i.day = '2026-11-20' AND watch_ms > 60000 AND lower(device.os) = 'ios' AND watch_ms % 2 = 0 GROUP BY 1"""


@pytest.mark.parametrize("columns", [60, 100, 200])
def test_a_tree_within_the_screen(columns: int) -> None:
    """Statement 23."""
    session = Session.open(str(sample.lake()))
    result = session.execute(QUERY)
    plan = result.table().column("plan")[0].as_py()
    session.close()
    lines = plan_tree(plan, tables_of(result), columns)
    assert lines is not None
    text = "\n".join(lines)
    assert max(map(width_of, lines)) <= columns
    assert re.search(r"Aggregate .* rows +[\d.]+\S+$", text, re.M)
    assert re.search(r"└─ .*HashJoin", text)
    assert re.search(r"Scan \d+\+? files?, ", text)
    assert re.search(r"without 33 dele", text)
    assert "impressions@16: 2 of 9 files (6 skipped by partition, 1 " in text
    assert "not used for pruning: " in text
    assert "Coalesce" not in text


@pytest.mark.parametrize("plan", ["", "something else", "Filter: a > 1"])
def test_other_texts_are_not_understood(plan: str) -> None:
    assert plan_tree(plan, [], 80) is None
