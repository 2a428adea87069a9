"""What a table's protocol asks of a reader: every feature is read, ignored because it binds writers alone, or refused by name.

The protocol is checked at the version being read: features are added and dropped, so an old version can need more, or less, than the latest one. Source:
PROTOCOL.md, "Table Features" and "Valid Feature Names in Table Features".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lakesql.errors import MetadataError, UnsupportedFeatureError
from lakesql.formats.delta.schema import ColumnMapping

READABLE = frozenset(
    {
        "columnMapping",
        "deletionVectors",
        "geospatial",  # read as WKB bytes
        "geospatial-dev",
        "timestampNtz",
        "timestampWithoutTimezone",  # an early name of timestampNtz that is found in the wild
        "typeWidening",
        "typeWidening-preview",
        "v2Checkpoint",
        "vacuumProtocolCheck",  # binds VACUUM; every catalog-managed table lists it
        "variantShredding",
        "variantShredding-preview",
        "variantType",
        "variantType-preview",
    }
)
"""Names in `readerFeatures` that do not stop a read."""

_CATALOG = frozenset({"catalogManaged", "catalogOwned-preview"})
_STALE = ("coordinatedCommits-preview", "managedCommits-dev", "managedCommit-dev")
_REDIRECT = ("redirectReaderWriter-preview", "redirectReaderWriter")


@dataclass(frozen=True)
class Features:
    """What a reader has to heed at one version of a table.

    column_mapping: NONE unless both the protocol and the property say so. materialized_row_id, materialized_row_commit_version: columns of data files that
    hold row ids and commit versions where they were written down, None without row tracking. ict_*: from which version and instant (milliseconds UTC) commits
    carry their own time; None: from the first. collations: text statistics may follow another order than UTF-8. variant_shredding: data files may hold
    variants in pieces. warnings: for the user.
    """

    column_mapping: ColumnMapping
    deletion_vectors: bool
    row_tracking: bool
    materialized_row_id: str | None
    materialized_row_commit_version: str | None
    in_commit_timestamps: bool
    ict_enablement_version: int | None
    ict_enablement_timestamp_ms: int | None
    collations: bool
    warnings: tuple[str, ...]
    variant_shredding: bool = False


def check_protocol(protocol: Mapping[str, Any], configuration: Mapping[str, str], *, version: int, location: str) -> Features:
    """The features that matter to a reader, or an error for the first reason not to read.

    protocol: the `protocol` action; configuration: the metaData's, values are strings. version, location: for messages. Raises UnsupportedFeatureError for a
    reader version above 3, reader version 3 without its list, a catalog-managed table, and any reader feature that is not in READABLE; MetadataError for
    values that are no protocol.
    """
    where = f"table {location}, version {version}"
    reader_version = _reader_version(protocol, where)
    reader = _names(protocol, "readerFeatures", where)
    writer = _names(protocol, "writerFeatures", where) or ()
    if reader_version == 3 and reader is None:
        raise UnsupportedFeatureError(
            f"reader protocol version 3 comes without a list of reader features: {where}",
            feature="reader protocol version 3 without readerFeatures",
            hint="the table's protocol action is damaged: it must list readerFeatures (an empty list will do)",
        )
    reader = reader or ()
    _refuse_unreadable(reader, configuration, where)
    listed = frozenset(reader) | frozenset(writer)
    mapping, warnings = _column_mapping(configuration, reader_version == 2 or "columnMapping" in listed, where)
    row_tracking = "rowTracking" in listed and _is_true(configuration, "delta.enableRowTracking")
    ict = bool(listed & {"inCommitTimestamp", "inCommitTimestamp-preview"}) and _is_true(configuration, "delta.enableInCommitTimestamps")
    return Features(
        column_mapping=mapping,
        deletion_vectors="deletionVectors" in listed,
        row_tracking=row_tracking,
        materialized_row_id=configuration.get("delta.rowTracking.materializedRowIdColumnName") if row_tracking else None,
        materialized_row_commit_version=configuration.get("delta.rowTracking.materializedRowCommitVersionColumnName") if row_tracking else None,
        in_commit_timestamps=ict,
        ict_enablement_version=_integer(configuration, "delta.inCommitTimestampEnablementVersion", where) if ict else None,
        ict_enablement_timestamp_ms=_integer(configuration, "delta.inCommitTimestampEnablementTimestamp", where) if ict else None,
        collations=bool(listed & {"collations", "collations-preview"}),
        warnings=(*warnings, *_staleness(listed, configuration, location)),
        variant_shredding=bool(listed & {"variantShredding", "variantShredding-preview"}),
    )


def _refuse_unreadable(reader: tuple[str, ...], configuration: Mapping[str, str], where: str) -> None:
    refused = [name for name in reader if name not in READABLE]
    if not refused:
        return
    for name in refused:
        if name in _CATALOG:
            raise UnsupportedFeatureError(
                f"the table is managed by a catalog, which must be asked: {where} (reader feature {name})",
                feature=name,
                hint="name the table through its catalog; the files at its path alone do not say which commits are part of it",
            )
        if name in _REDIRECT:
            target = configuration.get("delta.redirectReaderWriter-preview") or configuration.get("delta.redirectReaderWriter") or "not stated"
            raise UnsupportedFeatureError(
                f"reader feature {name} is not supported: {where} redirects readers to another table ({target})", feature=name, hint="query that table instead"
            )
    names = ", ".join(refused)
    raise UnsupportedFeatureError(
        f"reader feature{'s' if len(refused) > 1 else ''} {names} {'are' if len(refused) > 1 else 'is'} not supported: {where} requires "
        f"{'them' if len(refused) > 1 else 'it'} of every reader",
        feature=refused[0],
        hint="read a version from before the feature was switched on, or drop it with ALTER TABLE ... DROP FEATURE in the engine that writes the table",
    )


def _reader_version(protocol: Mapping[str, Any], where: str) -> int:
    version = protocol.get("minReaderVersion")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise MetadataError(f"protocol of {where}: minReaderVersion is {version!r}; expected an integer of at least 1")
    if version > 3:
        raise UnsupportedFeatureError(
            f"reader protocol version {version} is not supported: {where} requires it of every reader; versions 1 to 3 are supported",
            feature=f"reader protocol version {version}",
            hint="read a version from before the upgrade, or use a later release of lakesql",
        )
    return version


def _names(protocol: Mapping[str, Any], key: str, where: str) -> tuple[str, ...] | None:
    names = protocol.get(key)
    if names is None:
        return None
    if not isinstance(names, list | tuple) or not all(isinstance(n, str) for n in names):
        raise MetadataError(f"protocol of {where}: {key} is {str(names)[:80]!r}; expected a list of feature names")
    return tuple(names)


def _column_mapping(configuration: Mapping[str, str], supported: bool, where: str) -> tuple[ColumnMapping, tuple[str, ...]]:
    """The mode, honoured only where the protocol knows it; a list of writer features that names it counts too, as tables with Iceberg compatibility have it."""
    text = configuration.get("delta.columnMapping.mode") or "none"
    try:
        mode = ColumnMapping(str(text).strip().lower())
    except ValueError as error:
        raise MetadataError(f"metadata of {where}: delta.columnMapping.mode is {text!r}; expected none, name or id") from error
    if mode is ColumnMapping.NONE or supported:
        return mode, ()
    return ColumnMapping.NONE, (f"{where}: delta.columnMapping.mode is {mode.value}, which the table's protocol does not support; columns are found by name",)


def _staleness(listed: frozenset[str], configuration: Mapping[str, str], location: str) -> tuple[str, ...]:
    coordinator = configuration.get("delta.coordinatedCommits.commitCoordinator-preview") or configuration.get("delta.managedCommit.commitOwner-dev")
    if not coordinator and listed.isdisjoint(_STALE):
        return ()
    by = f" by {coordinator}" if coordinator else ""
    return (f"commits of table {location} are coordinated{by}: the newest ones may not be in its log yet, so the answer may be stale",)


def _is_true(configuration: Mapping[str, str], key: str) -> bool:
    return str(configuration.get(key, "")).strip().lower() == "true"


def _integer(configuration: Mapping[str, str], key: str, where: str) -> int | None:
    text = configuration.get(key)
    if text is None:
        return None
    digits = str(text).strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
        raise MetadataError(f"metadata of {where}: {key} is {str(text)[:40]!r}; expected a whole number")
    return int(digits)
