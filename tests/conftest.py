"""Options of the whole test suite."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--regenerate", action="store_true", help="write golden files anew instead of comparing with them; read the change as a diff")
    parser.addoption("--conformance-report", action="store_true", help="close with a table of the conformance suite by feature word")
