"""JSON as it is found in Delta logs: one action a line as a rule, and everything else that writers have done.

Commits, compacted logs and JSON checkpoints hold one action per line, and orjson reads those. Real logs also hold a byte order mark, one object over several
lines, several objects on one line, NaN and Infinity as bare words, integers beyond 64 bits and halves of surrogate pairs; the standard library reads these.
What is no JSON at all, or ends early, is an error that names the file and the line: half a commit is not a commit. Source: PROTOCOL.md, "Delta Log Entries".
"""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

from lakesql.errors import MetadataError

_BOM = b"\xef\xbb\xbf"
_HALF_PAIR = re.compile("[\ud800-\udfff]")
_LONG_INTEGER = 40
"""Digits that an integer of any use has at most; the standard library refuses (or takes very long over) thousands of them."""


def parse_actions(data: bytes, *, source: str) -> list[dict[str, Any]]:
    """The JSON objects of a commit, a compacted log or a JSON checkpoint, in the order of the file.

    Blank lines are skipped. Integers beyond 64 bits may arrive as floats; halves of surrogate pairs arrive as U+FFFD. `source` names the file in errors.
    Raises MetadataError for an empty file (a writer creates a commit whole, so an empty one is damage, not absence), for text that is not JSON or ends early,
    and for values that are not objects.
    """
    if data.startswith(_BOM):
        data = data[len(_BOM) :]
    actions: list[dict[str, Any]] = []
    start = 0
    while start < len(data):
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        line = data[start:end]
        if line.strip():
            try:
                action = decode(line)
            except ValueError:
                actions += _objects(data, start, source)
                break
            actions.append(_object(action, source, data, start))
        start = end + 1
    if not actions:
        raise MetadataError(
            f"{source} is empty; expected one JSON action per line", hint="the file was cut off or never written; restore it from a copy of the log"
        )
    return actions


def decode(text: bytes | str) -> Any:
    """One JSON value, read exactly by orjson or else tolerantly; raises ValueError where it is neither (the caller names the file).

    Tolerated: NaN and Infinity as bare words (floats), integers beyond 64 bits, halves of surrogate pairs (U+FFFD). Nesting deeper than the interpreter bears
    is a ValueError.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        pass
    try:
        return _whole_pairs(_DECODER.decode(text if isinstance(text, str) else text.decode()))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _objects(data: bytes, start: int, source: str) -> list[dict[str, Any]]:
    """The objects from `start` on, wherever they begin and end: for files whose lines are no JSON of their own."""
    try:
        text = data[start:].decode()
    except UnicodeDecodeError as error:
        raise MetadataError(f"{source}, line {_line(data, start + error.start)}: not UTF-8 text; expected one JSON action per line") from error
    objects = []
    position = _after_space(text, 0)
    while position < len(text):
        try:
            value, end = _DECODER.raw_decode(text, position)
        except (json.JSONDecodeError, RecursionError) as error:
            raise _not_json(error, text, position, source, before=data.count(b"\n", 0, start)) from error
        objects.append(_object(_whole_pairs(value), source, data, start))
        position = _after_space(text, end)
    return objects


def _not_json(error: json.JSONDecodeError | RecursionError, text: str, begin: int, source: str, before: int) -> MetadataError:
    """The error for the object of `text` that starts at `begin`; before: how many lines of the file precede `text`."""
    line = before + text.count("\n", 0, begin) + 1
    if isinstance(error, RecursionError):
        return MetadataError(f"{source}, line {line}: the JSON is nested too deeply")
    if not text[error.pos :].strip() or "Unterminated" in error.msg:
        hint = "the file was cut off; restore it from a copy of the log, or read an earlier version"
        return MetadataError(f"{source}, line {line}: the JSON ends early", hint=hint)
    return MetadataError(f"{source}, line {before + error.lineno}: not JSON ({error.msg}); expected one JSON action per line")


def _object(value: Any, source: str, data: bytes, start: int) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise MetadataError(f"{source}, line {_line(data, start)}: expected a JSON object that holds an action, found {json.dumps(value)[:60]}")
    return value


def _line(data: bytes, position: int) -> int:
    return data.count(b"\n", 0, position) + 1


def _after_space(text: str, position: int) -> int:
    while position < len(text) and text[position] in " \t\r\n":
        position += 1
    return position


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _LONG_INTEGER else float(digits)


def _whole_pairs(value: Any) -> Any:
    """The value with every half of a surrogate pair replaced: no UTF-8 text, hence no path and no column name, can hold one."""
    if isinstance(value, str):
        return _HALF_PAIR.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_whole_pairs(k): _whole_pairs(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_whole_pairs(v) for v in value]
    return value


_DECODER = json.JSONDecoder(parse_int=_integer)
