"""Paimon's JSON files: one object each, read whole and taken apart with errors that name the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from lakesql.errors import MetadataError
from lakesql.storage import Entry, Storage, read_immutable

_MOST = 2**63 - 1


@dataclass(frozen=True)
class JsonFile:
    """A JSON object and the file it is from. Its accessors raise MetadataError where a key is not of the kind that is asked for."""

    path: str
    content: Mapping[str, Any]

    @staticmethod
    def read(storage: Storage, path: str, entry: Entry | None = None) -> JsonFile:
        """The file's object. entry: from a listing, which lets an unchanged file come from the cache. Raises MissingFileError, MetadataError."""
        return JsonFile.parse(path, read_immutable(storage, path, entry) if entry is not None else storage.read(path))

    @staticmethod
    def parse(path: str, raw: bytes) -> JsonFile:
        """The object that the bytes spell. Raises MetadataError."""
        try:
            content = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            what = "is empty" if not raw.strip() else f"is no JSON: {error}"
            raise MetadataError(
                f'"{path}" {what}', hint="the file was not written whole, or has been damaged; an older version may still be readable"
            ) from error
        if not isinstance(content, dict):
            raise MetadataError(f'"{path}" holds {type(content).__name__} where an object is expected')
        return JsonFile(path, content)

    def number(self, key: str) -> int:
        """A whole number that must be there."""
        value = self.optional_number(key)
        if value is None:
            raise self._wrong(key, "a whole number", None)
        return value

    def optional_number(self, key: str) -> int | None:
        """A whole number, None where it is absent or null."""
        value = self.content.get(key)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or abs(value) > _MOST + 1:
            raise self._wrong(key, "a whole number", value)
        return value

    def text(self, key: str) -> str:
        """A text that must be there."""
        value = self.optional_text(key)
        if value is None:
            raise self._wrong(key, "a text", None)
        return value

    def optional_text(self, key: str) -> str | None:
        """A text, None where it is absent or null."""
        value = self.content.get(key)
        if value is not None and not isinstance(value, str):
            raise self._wrong(key, "a text", value)
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts; empty where it is absent."""
        value = self.content.get(key) or []
        if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
            raise self._wrong(key, "a list of texts", value)
        return tuple(value)

    def text_map(self, key: str) -> dict[str, str]:
        """An object of texts; empty where it is absent. Numbers and booleans count as the text they are written as."""
        value = self.content.get(key) or {}
        if not isinstance(value, dict):
            raise self._wrong(key, "an object of texts", value)
        return {k: v if isinstance(v, str) else orjson.dumps(v).decode() for k, v in value.items() if v is not None}

    def _wrong(self, key: str, wanted: str, value: Any) -> MetadataError:
        found = "it is missing" if value is None else f"it is {repr(value)[:60]}"
        return MetadataError(f'"{self.path}": {key} must be {wanted}; {found}')


def file_name(name: str, source: str) -> str:
    """A bare file name out of metadata. Raises MetadataError for one that leads elsewhere."""
    if not name or "/" in name or "\\" in name or "\0" in name or name in (".", ".."):
        raise MetadataError(f"{source}: {name!r} is no file name")
    return name
