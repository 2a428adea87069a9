"""What a command line's target means: a place, the sample lake, or the name of a connection of the configuration, where no file is called so."""

from __future__ import annotations

import os
import re

from lakesql.config import Config, load_config
from lakesql.frontends.options import Options

_NAME = re.compile(r"[\w.-]+")


def place_of(options: Options, target: str | None = None) -> tuple[str | None, str | None]:
    """The target and the state of its tables that a session is opened with. target: instead of the one of the options. Raises ConfigError."""
    if options.sample and target is None:
        from lakesql import sample

        return str(sample.lake()), options.as_of
    wanted = target if target is not None else options.target
    if wanted is not None and _NAME.fullmatch(wanted) and not os.path.exists(wanted):
        connection = configuration(options).shell.connections.get(wanted)
        if connection is not None:
            return connection.target, options.as_of if options.as_of is not None else connection.as_of
    return wanted, options.as_of


def configuration(options: Options) -> Config:
    """The configuration of the command line. Raises ConfigError."""
    return load_config(None if options.sample else options.target, options.config)
