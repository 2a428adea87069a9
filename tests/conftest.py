"""What the whole suite shares: its options, and property tests that try the same examples at every run.

`--hypothesis-profile=default` tries others.
"""

from __future__ import annotations

import pytest
from conformance.summary import pytest_terminal_summary as pytest_terminal_summary
from hypothesis import HealthCheck, settings

settings.register_profile("steady", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")


LONG = ("properties", "test_random_tables.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long comes first, so that no worker is left with it when the others have nothing to do any more."""
    items.sort(key=lambda item: not any(part in LONG for part in item.path.parts))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--regenerate", action="store_true", help="write golden files anew instead of comparing with them; read the change as a diff")
    parser.addoption("--conformance-report", action="store_true", help="close with a table of the conformance suite by feature word")
