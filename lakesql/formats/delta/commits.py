"""A file of actions as text (commit, compacted commits, JSON checkpoint) -> the actions a reader wants.

The fast way: one action a line, its name read off the line's start, wanted lines alone parsed. Files that are laid out otherwise go to `json_lines`. Unknown
actions are ignored, as the protocol asks. Source: Delta protocol, "Delta Log Entries", "Actions".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from lakesql.errors import MetadataError
from lakesql.formats.delta.json_lines import parse_actions

Action = tuple[str, dict[str, Any]]
"""The action's name and its fields."""

KNOWN = frozenset({"add", "remove", "metaData", "protocol", "txn", "domainMetadata", "commitInfo", "cdc", "sidecar", "checkpointMetadata"})
REPLAYED = frozenset({"add", "remove", "metaData", "protocol", "txn", "domainMetadata"})
"""The actions a table's state is made of."""

_PREFIX = b'{"'


def read_actions(content: bytes, source: str, wanted: frozenset[str] = REPLAYED) -> Iterator[Action]:
    """The wanted actions in file order.

    source names the file in errors. Raises MetadataError for an empty file, one that is no JSON, or an action that is no object.
    """
    for entry in _objects(content, source, wanted):
        for name in wanted & entry.keys():
            fields = entry[name]
            if isinstance(fields, dict):
                yield name, fields
            elif fields is not None:
                raise MetadataError(f"{source}: expected {name} to be a JSON object, found {str(fields)[:60]!r}")


def first_action(content: bytes, source: str) -> Action | None:
    """The first action, where `content` is the beginning of a commit; None where it ends before the action does."""
    line, _newline, _ = content.lstrip().partition(b"\n")
    try:
        orjson.loads(line)
    except ValueError:
        return None
    return next(read_actions(line, source, KNOWN), ("", {}))


def _objects(content: bytes, source: str, wanted: frozenset[str]) -> list[dict[str, Any]]:
    unwanted = KNOWN - wanted
    entries: list[dict[str, Any]] = []
    seen = False
    for line in content.split(b"\n"):
        name = line[2 : line.find(b'"', 2)] if line.startswith(_PREFIX) else b""
        if name.decode("latin-1") in unwanted and line.rstrip().endswith(b"}}"):
            seen = True
            continue
        if not line.strip():
            continue
        try:
            entry = orjson.loads(line)
        except ValueError:
            return parse_actions(content, source=source)
        if not isinstance(entry, dict):
            return parse_actions(content, source=source)
        seen = True
        entries.append(entry)
    return entries if seen else parse_actions(content, source=source)
