"""Metadata tables about commits and the log's files: history, snapshots, schema_history, cdc_files, tombstones, log_files, checkpoints, checksum.

They reach from the oldest commit left in the log to the version they are asked at, newest first. Source: Delta protocol, "Commit Provenance Information",
"Version Checksum File", "Delta Log Entries".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lakesql.errors import MetadataError, MissingFileError
from lakesql.formats.delta.actions import file_columns, keys_of, text_pairs
from lakesql.formats.delta.commits import read_actions
from lakesql.formats.delta.history import history_rows
from lakesql.formats.delta.json_lines import decode
from lakesql.formats.delta.log import Listing, list_log
from lakesql.formats.delta.paths import full_paths
from lakesql.formats.delta.replay import READING_THREADS, in_parallel
from lakesql.formats.delta.snapshot import DeltaSnapshot
from lakesql.formats.delta.stats import num_records_json
from lakesql.relation import Batches
from lakesql.storage import read_immutable

_INSTANT = pa.timestamp("us", tz="UTC")
_SOME_COMMITS = 64
"""Commits held in memory at once."""


def history(snapshot: DeltaSnapshot) -> Batches:
    """One row per commit: version, time, and what commitInfo says (see `history.py`)."""
    return Batches(history_rows([]).schema, lambda: history_rows(_commits(snapshot)))


def snapshots(snapshot: DeltaSnapshot) -> Batches:
    """One row per version: when and by what it was made, and what it did to the table's files.

    added_rows: live rows of the added files, null where a file's statistics do not say; removed_bytes: null where a remove does not say; data_change: false for
    commits that only arrange data anew.
    """
    schema = pa.schema(
        [
            ("version", pa.int64()),
            ("committed_at", _INSTANT),
            ("operation", pa.string()),
            ("added_files", pa.int64()),
            ("removed_files", pa.int64()),
            ("change_files", pa.int64()),
            ("added_rows", pa.int64()),
            ("added_bytes", pa.int64()),
            ("removed_bytes", pa.int64()),
            ("data_change", pa.bool_()),
            ("schema_change", pa.bool_()),
        ]
    )

    def rows(commits: Iterable[tuple[int, bytes, int]]) -> pa.Table:
        return pa.Table.from_pylist([{"version": v, "committed_at": t, **_summary(data, f"commit {v}")} for v, data, t in commits], schema=schema)

    return Batches(schema, lambda: rows(_commits(snapshot)))


def schema_history(snapshot: DeltaSnapshot) -> Batches:
    """One row per commit that set the table's metadata: its schema (JSON text as in the log), partition columns and properties from then on."""
    schema = pa.schema(
        [
            ("version", pa.int64()),
            ("committed_at", _INSTANT),
            ("table_id", pa.string()),
            ("schema", pa.string()),
            ("partition_columns", pa.list_(pa.string())),
            ("properties", pa.map_(pa.string(), pa.string())),
        ]
    )

    def rows(commits: Iterable[tuple[int, bytes, int]]) -> pa.Table:
        found = []
        for version, data, time_us in commits:
            source = f"commit {version}"
            for _, fields in read_actions(data, source, frozenset({"metaData"})):
                pairs = text_pairs(fields.get("configuration"), source, "metaData.configuration")
                columns = [str(c) for c in fields.get("partitionColumns") or []]
                found.append((version, time_us, _text(fields.get("id")), _text(fields.get("schemaString")), columns, sorted(pairs.items())))
        return pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in found], schema=schema)

    return Batches(schema, lambda: rows(_commits(snapshot)))


def cdc_files(snapshot: DeltaSnapshot) -> Batches:
    """One row per change data file that a commit recorded."""
    schema = pa.schema([("version", pa.int64()), ("committed_at", _INSTANT), ("path", pa.string()), ("size_bytes", pa.int64())])
    location = snapshot.source.location

    def rows(commits: Iterable[tuple[int, bytes, int]]) -> pa.Table:
        tables = [schema.empty_table()]
        for version, data, time_us in commits:
            actions = [fields for _, fields in read_actions(data, f"commit {version}", frozenset({"cdc"}))]
            paths, sizes = file_columns(actions, ("path", "size"), location, f"commit {version}", "cdc")
            count = len(actions)
            columns = [pa.repeat(pa.scalar(version, pa.int64()), count), pa.repeat(pa.scalar(time_us, _INSTANT), count), full_paths(paths, location), sizes]
            tables.append(pa.table(columns, schema=schema))
        return pa.concat_tables(tables)

    return Batches(schema, lambda: rows(_commits(snapshot)))


def tombstones(snapshot: DeltaSnapshot) -> Batches:
    """One row per file that commits left in the log removed and that is not part of this version: VACUUM's candidates. version: the commit that removed it."""
    schema = pa.schema([("version", pa.int64()), ("path", pa.string()), ("removed_at", _INSTANT), ("size_bytes", pa.int64()), ("data_change", pa.bool_())])
    location = snapshot.source.location

    def rows(commits: Iterable[tuple[int, bytes, int]]) -> pa.Table:
        found: dict[Any, dict[str, Any] | None] = {}
        for version, data, _ in commits:  # newest first: the first word on a file counts
            source = f"commit {version}"
            actions = list(read_actions(data, source, frozenset({"add", "remove"})))
            columns = file_columns([fields for _, fields in actions], ("path", "deletionVector"), location, source, "remove")
            commit: dict[Any, dict[str, Any] | None] = {}
            for key, (name, fields) in zip(keys_of(*columns), actions, strict=True):
                if name == "add":
                    commit[key] = None
                elif key not in commit:
                    commit[key] = {
                        "version": version,
                        "path": full_paths(pa.array([key[0]]), location)[0].as_py(),
                        "removed_at": _milliseconds(fields.get("deletionTimestamp")),
                        "size_bytes": _integer(fields.get("size")),
                        "data_change": fields.get("dataChange") is not False,
                    }
            found = commit | found
        return pa.Table.from_pylist([row for row in found.values() if row is not None], schema=schema)

    return Batches(schema, lambda: rows(_commits(snapshot)))


def log_files(snapshot: DeltaSnapshot) -> Batches:
    """One row per file of the log up to this version: commits, checkpoints and their parts, compacted commits, checksums."""
    schema = pa.schema([("version", pa.int64()), ("kind", pa.string()), ("name", pa.string()), ("size_bytes", pa.int64()), ("modified_at", _INSTANT)])

    def load() -> pa.Table:
        listing = _listing(snapshot)
        found = [(v, "commit", e) for v, e in listing.commits.items()] + [(v, "checksum", e) for v, e in listing.checksums.items()]
        found += [(v, "checkpoint", e) for v, c in listing.checkpoints.items() for e in c.files]
        found += [(d.last, "compacted", d.entry) for deltas in listing.compactions.values() for d in deltas]
        kept = sorted((f for f in found if f[0] <= snapshot.state.version), key=lambda f: f[2].name)
        return pa.Table.from_pylist(
            [{"version": v, "kind": kind, "name": e.name, "size_bytes": e.size_bytes, "modified_at": e.modified_us} for v, kind, e in kept], schema=schema
        )

    return Batches(schema, load)


def checkpoints(snapshot: DeltaSnapshot) -> Batches:
    """One row per complete checkpoint up to this version; of several at one version the one that is read."""
    schema = pa.schema([("version", pa.int64()), ("kind", pa.string()), ("files", pa.int64()), ("size_bytes", pa.int64()), ("modified_at", _INSTANT)])

    def load() -> pa.Table:
        found = [c for v, c in sorted(_listing(snapshot).checkpoints.items()) if v <= snapshot.state.version]
        return pa.Table.from_pylist(
            [
                {
                    "version": c.version,
                    "kind": c.kind.name.lower(),
                    "files": len(c.files),
                    "size_bytes": sum(e.size_bytes for e in c.files),
                    "modified_at": max(e.modified_us for e in c.files),
                }
                for c in found
            ],
            schema=schema,
        )

    return Batches(schema, load)


def checksum(snapshot: DeltaSnapshot) -> Batches:
    """One row per number that the version's .crc file records: what it says, what replay of the log finds, and whether they agree. None without such a file."""
    schema = pa.schema([("name", pa.string()), ("recorded", pa.int64()), ("found", pa.int64()), ("agrees", pa.bool_())])

    def load() -> pa.Table:
        entry = _listing(snapshot).checksums.get(snapshot.state.version)
        recorded = _recorded(snapshot, entry.path) if entry is not None else {}
        files = snapshot.files
        vectors = files.column("deletionVector")
        found = {
            "numFiles": len(files),
            "tableSizeBytes": pc.sum(files.column("size")).as_py() or 0,
            "numDeletionVectorsOpt": len(vectors) - vectors.null_count,
            "numDeletedRecordsOpt": pc.sum(pc.struct_field(vectors, "cardinality")).as_py() or 0,
        }
        rows = [(name, number, found[name]) for name in found if (number := _integer(recorded.get(name))) is not None]
        return pa.Table.from_pylist([{"name": n, "recorded": r, "found": f, "agrees": r == f} for n, r, f in rows], schema=schema)

    return Batches(schema, load)


def _recorded(snapshot: DeltaSnapshot, path: str) -> dict[str, Any]:
    try:
        raw = decode(snapshot.states.storage.read(path))
    except MissingFileError:
        return {}
    except ValueError as error:
        raise MetadataError(f"{path} is not JSON") from error
    return raw if isinstance(raw, dict) else {}


def _listing(snapshot: DeltaSnapshot) -> Listing:
    return list_log(snapshot.states.storage, snapshot.states.log, 0, snapshot.state.version)


def _commits(snapshot: DeltaSnapshot) -> Iterable[tuple[int, bytes, int]]:
    """Version, content and time (microseconds) of the commits left, newest first; read a few at a time."""
    listing = _listing(snapshot)
    versions = sorted(listing.commits)
    times = dict(zip(versions, snapshot.timeline.times(versions, listing, snapshot.features), strict=True))
    versions.reverse()
    for start in range(0, len(versions), _SOME_COMMITS):
        chosen = versions[start : start + _SOME_COMMITS]
        contents = in_parallel(lambda entry: read_immutable(snapshot.states.storage, entry.path, entry), [listing.commits[v] for v in chosen], READING_THREADS)
        yield from ((v, content, times[v]) for v, content in zip(chosen, contents, strict=True))


def _summary(data: bytes, source: str) -> dict[str, Any]:
    adds: list[dict[str, Any]] = []
    removes: list[dict[str, Any]] = []
    operation, changes, schema_change = None, 0, False
    for name, fields in read_actions(data, source, frozenset({"add", "remove", "cdc", "commitInfo", "metaData"})):
        match name:
            case "add":
                adds.append(fields)
            case "remove":
                removes.append(fields)
            case "cdc":
                changes += 1
            case "metaData":
                schema_change = True
            case "commitInfo":
                operation = _text(fields.get("operation"))
    return {
        "operation": operation,
        "added_files": len(adds),
        "removed_files": len(removes),
        "change_files": changes,
        "added_rows": _live_rows(adds),
        "added_bytes": _sum(a.get("size") for a in adds),
        "removed_bytes": _sum(r.get("size") for r in removes),
        "data_change": any(a.get("dataChange") is not False for a in (*adds, *removes)),
        "schema_change": schema_change,
    }


def _live_rows(adds: list[dict[str, Any]]) -> int | None:
    texts = pa.array([a.get("stats") if isinstance(a.get("stats"), str) else None for a in adds], pa.string())
    deleted = [(a.get("deletionVector") or {}).get("cardinality", 0) if isinstance(a.get("deletionVector") or {}, dict) else None for a in adds]
    physical = _sum(num_records_json(texts).to_pylist())
    gone = _sum(deleted)
    return None if physical is None or gone is None else physical - gone


def _sum(values: Iterable[Any]) -> int | None:
    """The sum of whole numbers, None where one is missing."""
    total = 0
    for value in values:
        number = _integer(value)
        if number is None:
            return None
        total += number
    return total if total < 2**63 else None


def _integer(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63 else None


def _milliseconds(value: Any) -> int | None:
    number = _integer(value)
    return number * 1000 if number is not None and abs(number) < 2**53 else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
