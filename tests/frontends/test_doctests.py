"""The examples in the docstrings of front ends."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import lakesql.frontends

MODULES = sorted(m.name for m in pkgutil.walk_packages(lakesql.frontends.__path__, "lakesql.frontends."))


@pytest.mark.parametrize("name", [*MODULES, "lakesql.renames"])
def test_examples(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0
