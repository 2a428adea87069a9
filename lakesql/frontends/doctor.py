"""What lakesql says of itself: versions, the configuration that applies and where each of its values is from. Secrets are in none of it."""

from __future__ import annotations

import json
import os
import platform
import re
import tomllib
from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import Any

from lakesql.config import FORMAT_NAMES, Config, load_config
from lakesql.errors import Error
from lakesql.toml_section import TomlFile

_LIBRARIES = ("datafusion", "pyarrow", "numpy", "orjson", "protobuf", "pyroaring")
_EXTRAS = {
    "cloud": "obstore",
    "iceberg-catalogs": "pyiceberg",
    "sqlalchemy": "sqlalchemy",
}
_SHOWN = re.compile(
    r"(engine|session|reader)\.[\w-]+|reader\.\w+\.[\w-]+|tables\.[^.]+(\.(path|format))?|catalogs\..*\.(type|path|schema|format|uri|warehouse|name)"
    r"|storage\..*\.(endpoint|region|profile|anonymous|allow_http|virtual_hosted|account|emulator|tenant_id)"
)
"""Keys whose values are shown; of the others only that they are set."""
_DEFAULTS = {
    "engine.name": "datafusion",
    "engine.memory_limit": None,
    "engine.target_partitions": None,
    "engine.batch_size": 8192,
    "engine.timeout": None,
    "engine.allow_write": False,
    "session.time_zone": "UTC",
    "session.as_of": None,
    "session.catalog": None,
    "session.schema": None,
    "reader.metadata_cache": "256MB",
    "reader.metadata_file_limit": "2GB",
}


def versions() -> dict[str, Any]:
    """Of lakesql, what it stands on and its extras; None for what is not installed. Looked up without loading any of it."""
    return {
        "lakesql": _version("lakesql"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        **{name: _version(name) for name in _LIBRARIES},
        "extras": {extra: _version(name) for extra, name in _EXTRAS.items()},
        "formats": list(FORMAT_NAMES),
    }


def examined(target: str | None, config: str | None) -> dict[str, Any]:
    """Versions, and the configuration that applies: its file, or what is wrong with it."""
    told = {"versions": versions(), "configuration": {"file": None, "error": None, "values": {}}}
    try:
        told["configuration"] |= {"file": (loaded := load_config(target, config)).source, "values": {key: value for key, value, _ in values_of(loaded)}}
    except Error as error:
        told["configuration"]["error"] = error.message
    home = os.path.expanduser("~")
    told["directories"] = {
        "config": os.path.join(os.environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config"), "lakesql"),
        "LAKESQL_CONFIG": os.environ.get("LAKESQL_CONFIG"),
    }
    return told


def values_of(config: Config) -> Iterator[tuple[str, Any, str]]:
    """Every value that applies: key, value (`***` where it may be a secret), and where it is from: `file:line`, or `default`."""
    given: dict[str, Any] = {}
    if config.source is not None:
        with open(config.source, encoding="utf-8") as opened:
            file = TomlFile(config.source, opened.read())
        for path, value in _flat(tomllib.loads(file.text)):
            given[".".join(path)] = True
            line = file.line(path)
            key = ".".join(path)
            shown = _masked(value) if _SHOWN.fullmatch(key) else "***"
            yield key, shown, f"{config.source}:{line}" if line else config.source
    for key, value in _DEFAULTS.items():
        if key not in given:
            yield key, value, "default"


def as_text(told: Mapping[str, Any], indent: str = "") -> str:
    """Nested values as lines of `key: value`."""
    lines = []
    for key, value in told.items():
        if isinstance(value, Mapping):
            lines += [f"{indent}{key}:", as_text(value, indent + "  ").rstrip("\n")] if value else []
        else:
            lines.append(f"{indent}{key}: {', '.join(value) if isinstance(value, list) else '-' if value is None else value}")
    return "\n".join(lines) + "\n"


def as_json(told: Mapping[str, Any]) -> str:
    return json.dumps(told, indent=2, default=str) + "\n"


def config_text(config: Config) -> str:
    """`lakesql config show`: a line per value, as TOML would have it, with its source."""
    lines = []
    for key, value, source in values_of(config):
        lines.append(f"# {key} is not set" if value is None else f"{key} = {json.dumps(value, default=str)}  # {source}")
    return "\n".join(lines) + "\n"


def _flat(values: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, (*path, key))
        else:
            yield (*path, key), value


def _masked(value: Any) -> Any:
    """The value, without users, passwords and queries in URLs."""
    return re.sub(r"\?\S*", "?***", re.sub(r"://[^/@]+@", "://***@", value)) if isinstance(value, str) else value


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
