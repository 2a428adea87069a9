"""The table formats lakesql knows: recognising them by their marker files, and loading the one that reads a table.

Every format is known by its markers (`markers.py`), also those whose reader is not there: their tables are listed, and opening one is an error that names the
format. A format's module is imported when its first table is opened.
"""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass

from lakesql.errors import AmbiguousTableError, ConfigError, NotATableError, UnsupportedFeatureError, did_you_mean
from lakesql.formats import markers
from lakesql.formats.derived import without_derived
from lakesql.storage import Storage
from lakesql.table import Format

TITLES = {
    "delta": "Delta Lake",
    "iceberg": "Apache Iceberg",
    "paimon": "Apache Paimon",
    "hudi": "Apache Hudi",
    "lance": "Lance",
}
"""The formats' names, as configuration and SQL spell them, and as people do."""

FORMATS = {name: f"lakesql.formats.{name}" for name in TITLES}
"""Where each format's reader is, or will be."""


@dataclass(frozen=True)
class Evidence:
    """A format, and the marker file or folder that shows it, relative to the table's location."""

    format: str
    marker: str

    def __str__(self) -> str:
        return f"{TITLES[self.format]} ({self.marker})"


def check_name(name: str) -> str:
    """name in lower case, if it is a format. Raises ConfigError otherwise."""
    if name.lower() not in TITLES:
        raise ConfigError(f'unknown table format "{name}"', hint=did_you_mean(name, TITLES))
    return name.lower()


def load(name: str) -> Format:
    """The reader of a format. Raises UnsupportedFeatureError for one that is recognised only, ConfigError for a name that is no format."""
    module = FORMATS[check_name(name)]
    if importlib.util.find_spec(module) is not None:
        found = getattr(importlib.import_module(module), "FORMAT", None)
        if found is not None:
            return found  # type: ignore[no-any-return]
    readable = ", ".join(TITLES[n] for n in FORMATS if importlib.util.find_spec(FORMATS[n]) is not None)
    title = TITLES[name.lower()]
    raise UnsupportedFeatureError(f"reading {title} tables is not supported yet", feature=f"{title} tables", hint=f"lakesql reads {readable}")


def evidence(storage: Storage, location: str) -> tuple[Evidence, ...]:
    """Every format whose markers are at `location`; metadata that one format keeps for another's readers (UniForm, XTable, Paimon's for Iceberg) is no
    evidence.
    """
    found = tuple(Evidence(name, marker) for name, look in markers.MARKERS.items() if (marker := look(storage, location)) is not None)
    return without_derived(storage, location, found) if len(found) > 1 else found


def recognise(storage: Storage, location: str) -> Evidence:
    """The one format of the table at `location`. Raises NotATableError where there is none, AmbiguousTableError where there are several."""
    found = evidence(storage, location)
    if len(found) == 1:
        return found[0]
    if not found:
        raise NotATableError(f'"{location}" holds no table: {_holdings(storage, location)}', hint=f"looked for {_looked_for()}")
    first = found[0].format
    raise AmbiguousTableError(
        f'"{location}" holds the marks of more than one table format: {", ".join(map(str, found))}',
        hint=f'name the format: {first}."{location}" in SQL, or format = "{first}" in lakesql.toml',
    )


def _looked_for() -> str:
    return ", ".join(f"{what} ({TITLES[name]})" for name, what in markers.DESCRIPTIONS.items())


def _holdings(storage: Storage, location: str) -> str:
    """What a place that is no table is instead, in a few words."""
    if storage.size(location) is not None:
        return "it is a file"
    names: list[str] = []
    for entry in storage.list(location):
        if len(names) == 5:
            names.append("...")
            break
        names.append(f"{entry.name}/" if entry.is_folder else entry.name)
    if names:
        return f"it has {', '.join(names)}"
    return "it is empty" if markers.is_folder(storage, location) else "there is nothing at this place"
