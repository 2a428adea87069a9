"""Values out of parsed JSON, checked: every one that is not what it should be is an error that names the file, the place in it, and what was found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakesql.errors import MetadataError


def whole(raw: Mapping[str, Any], key: str, source: str, default: int | None = None) -> int:
    """A whole number; `default` where the key is missing or null and a default is given. Raises MetadataError."""
    value = raw.get(key)
    if value is None and default is not None:
        return default
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong(source, key, value, "a whole number")
    return value


def optional_whole(raw: Mapping[str, Any], key: str, source: str) -> int | None:
    """A whole number, None where the key is missing or null. Raises MetadataError."""
    return None if raw.get(key) is None else whole(raw, key, source)


def text(raw: Mapping[str, Any], key: str, source: str, default: str | None = None) -> str:
    """A text; `default` where the key is missing or null and a default is given. Raises MetadataError."""
    value = raw.get(key)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise _wrong(source, key, value, "a text")
    return value


def objects(raw: Mapping[str, Any], key: str, source: str) -> list[dict[str, Any]]:
    """A list of objects, empty where the key is missing or null. Raises MetadataError."""
    value = raw.get(key)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise _wrong(source, key, value, "a list of objects")
    return value


def mapping(raw: Mapping[str, Any], key: str, source: str) -> dict[str, Any]:
    """An object, empty where the key is missing or null. Raises MetadataError."""
    value = raw.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _wrong(source, key, value, "an object")
    return value


def _wrong(source: str, key: str, value: object, expected: str) -> MetadataError:
    return MetadataError(f"{source}: {key} is {'missing' if value is None else repr(value)[:80]}; expected {expected}")
