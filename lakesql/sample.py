"""Where the sample lake is: `catalog/` at the top of a checkout, inside the package in an installed wheel."""

from __future__ import annotations

from pathlib import Path

from lakesql.config import FILE_NAME
from lakesql.errors import ConfigError

_PACKAGE = Path(__file__).parent


def lake() -> Path:
    """The sample lake's directory, which holds its lakesql.toml. Raises ConfigError where it was left out of the installation."""
    return _found("catalog", FILE_NAME)


def queries() -> Path:
    """The directory of example queries over the sample lake. Raises ConfigError as `lake` does."""
    return _found("queries", "")


def _found(name: str, marker: str) -> Path:
    for place in (_PACKAGE / "_sample" / name, _PACKAGE.parent / name):
        if (place / marker).exists():
            return place
    raise ConfigError(f"this installation of lakesql has no sample lake: {name}/ is not there", hint="install lakesql from a wheel, or run it in a checkout")
