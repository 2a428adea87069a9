"""One commit of the log as a change feed reads it: the files it took away and brought in, whether that changed rows, and its change files.

Replay (`actions.py`) asks what a commit leaves; a feed asks what it did, so removes keep their fields and every file its `dataChange`. Source: Delta protocol,
"Actions", "Change Data Files".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from lakesql.formats.delta.actions import Key, Metadata, adds_table, file_columns, keys_of, metadata_of
from lakesql.formats.delta.commits import read_actions

_WANTED = frozenset({"add", "remove", "cdc", "metaData", "protocol"})


@dataclass(frozen=True)
class CommitFiles:
    """What one commit did. adds, removes, cdc: tables of ADD_FIELDS, as far as the actions have them; the keys and whether rows were changed in their order.

    Removes often have neither partition values nor a size. metadata and protocol: where the commit has them.
    """

    version: int
    adds: pa.Table
    add_keys: tuple[Key, ...]
    add_changes: tuple[bool, ...]
    removes: pa.Table
    remove_keys: tuple[Key, ...]
    remove_changes: tuple[bool, ...]
    cdc: pa.Table
    metadata: Metadata | None
    protocol: dict[str, Any] | None


def read_commit(content: bytes, version: int, root: str, source: str) -> CommitFiles:
    """The commit in these bytes. Raises MetadataError."""
    found: dict[str, list[dict[str, Any]]] = {"add": [], "remove": [], "cdc": []}
    metadata, protocol = None, None
    for name, fields in read_actions(content, source, _WANTED):
        match name:
            case "metaData":
                metadata = metadata_of(fields, source)
            case "protocol":
                protocol = fields
            case _:
                found[name].append(fields)
    adds, removes = adds_table(found["add"], root, source), adds_table(found["remove"], root, source)
    cdc = adds_table([_without_deletes(c) for c in found["cdc"]], root, source)
    return CommitFiles(
        version,
        adds,
        tuple(keys_of(adds["path"], adds["deletionVector"])),
        tuple(_changes(a) for a in found["add"]),
        removes,
        tuple(keys_of(*file_columns(found["remove"], ("path", "deletionVector"), root, source, "remove"))),
        tuple(_changes(r) for r in found["remove"]),
        cdc,
        metadata,
        protocol,
    )


def _changes(fields: Mapping[str, Any]) -> bool:
    """Whether the action changes rows; compaction and clustering say that they do not."""
    return fields.get("dataChange") is not False


def _without_deletes(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name in ("path", "partitionValues", "size")}
