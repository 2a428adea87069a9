"""The examples in the docstrings: every rewrite shows what it makes of what."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import lakesql.sql
from lakesql.sql import rewrites

MODULES = sorted(m.name for m in pkgutil.walk_packages(lakesql.sql.__path__, "lakesql.sql."))


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_every_rewrite_is_one_function_in_one_file_and_shows_an_example() -> None:
    files = {m.name for m in pkgutil.iter_modules(rewrites.__path__)} - {"context", "example"}
    assert {r.__name__ for r in rewrites.ALL} == files
    for rewrite in rewrites.ALL:
        assert rewrite.__module__ == f"lakesql.sql.rewrites.{rewrite.__name__}"
        assert ">>> example(" in (rewrite.__doc__ or "")
