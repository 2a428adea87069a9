"""SQLAlchemy's pytest plugin, with the suite's dialect under the product's name."""

import re

import pytest
from sqlalchemy.dialects import registry

for _name in ("lakesql", "lakesql.dbapi"):
    registry.register(_name, "frontends.sqlalchemy_suite.dialect", "SuiteDialect")

pytest.register_assert_rewrite("sqlalchemy.testing.assertions")

from sqlalchemy.testing.plugin import pytestplugin as _plugin  # noqa: E402
from sqlalchemy.testing.plugin.pytestplugin import *  # noqa: E402, F403

from .requirements import LEFT_OUT  # noqa: E402

_LEFT_OUT = re.compile("|".join(name for names in LEFT_OUT.values() for name in names))


def pytest_collection_modifyitems(session, config, items):  # type: ignore[no-untyped-def]
    """SQLAlchemy's own, and then without LEFT_OUT."""
    _plugin.pytest_collection_modifyitems(session, config, items)
    kept, left = [], []
    for item in items:
        named = f"{item.cls.__name__.split('_lakesql')[0] if item.cls else ''}::{item.name}"
        (left if _LEFT_OUT.match(named) else kept).append(item)
    config.hook.pytest_deselected(items=left)
    items[:] = kept
