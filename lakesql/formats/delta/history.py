"""The history of a table: what each commit's commitInfo says of itself, in the columns of DESCRIBE HISTORY.

commitInfo is free-form and optional, so nothing in it is relied upon: what is missing or of another kind is null. Source: PROTOCOL.md, "Commit Provenance
Information".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import orjson
import pyarrow as pa

from lakesql.formats.delta.json_lines import decode, parse_actions

_INT64_MAX = 2**63 - 1


def history_rows(commits: Iterable[tuple[int, bytes, int]]) -> pa.Table:
    """One row per commit, in the order given. commits: version, the commit file's content, and the commit's time in microseconds UTC.

    timestamp is that time, the one time travel goes by, not the writer's own clock in commitInfo. operationParameters, operationMetrics, job and notebook are
    JSON text, as writers agree neither on their keys nor on the types of their values. Raises MetadataError, naming the version, for a commit that is not
    JSON.
    """
    rows = [(version, time_us, _commit_info(data, f"commit {version}")) for version, data, time_us in commits]
    columns = {"version": pa.array([r[0] for r in rows], pa.int64()), "timestamp": pa.array([r[1] for r in rows], pa.timestamp("us", tz="UTC"))}
    for name, (type_, value) in _COLUMNS.items():
        columns[name] = pa.array([value(info.get(name)) for _, _, info in rows], type_)
    return pa.table(columns)


def _commit_info(data: bytes, source: str) -> dict[str, Any]:
    """The commit's commitInfo, empty where it has none. Only lines that may hold it are parsed: the rest of a commit can be very long."""
    start = data.find(_KEY)
    while start >= 0:
        begin, end = data.rfind(b"\n", 0, start) + 1, data.find(b"\n", start)
        end = len(data) if end < 0 else end
        try:
            action = decode(data[begin:end])
        except ValueError:  # an object over several lines, or damage
            return next((info for a in parse_actions(data, source=source) if (info := _info(a)) is not None), {})
        if (info := _info(action)) is not None:
            return info
        start = data.find(_KEY, end)
    return {}


def _info(action: Any) -> dict[str, Any] | None:
    info = action.get("commitInfo") if isinstance(action, dict) else None
    return info if isinstance(info, dict) else None


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else _json(value)


def _json(value: Any) -> str | None:
    if value is None:
        return None
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # an integer beyond 64 bits
        finite = json.loads(json.dumps(value), parse_constant=lambda word: None)
        return json.dumps(finite, ensure_ascii=False, separators=(",", ":"))


def _integer(value: Any) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and -_INT64_MAX <= value <= _INT64_MAX else None


def _boolean(value: Any) -> bool | None:
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower())
    return value if isinstance(value, bool) else None


_KEY = b'"commitInfo"'
_COLUMNS: dict[str, tuple[pa.DataType, Callable[[Any], Any]]] = {
    "userId": (pa.string(), _text),
    "userName": (pa.string(), _text),
    "operation": (pa.string(), _text),
    "operationParameters": (pa.string(), _json),
    "job": (pa.string(), _json),
    "notebook": (pa.string(), _json),
    "clusterId": (pa.string(), _text),
    "readVersion": (pa.int64(), _integer),
    "isolationLevel": (pa.string(), _text),
    "isBlindAppend": (pa.bool_(), _boolean),
    "operationMetrics": (pa.string(), _json),
    "userMetadata": (pa.string(), _text),
    "engineInfo": (pa.string(), _text),
}
