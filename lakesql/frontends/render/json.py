"""JSON: `json` is one array of objects, one object a line; `jsonl` is the objects alone, one a line. `json_text.py` says what values look like."""

from __future__ import annotations

from typing import BinaryIO

import pyarrow as pa

from lakesql.frontends.render import Renderer, Screen
from lakesql.frontends.render.cells import content, non_finite_words, pieces
from lakesql.frontends.render.json_text import JsonText, distinct_names


def make(name: str, out: BinaryIO, screen: Screen | None) -> Renderer:
    """The renderer of `json` or `jsonl`: the same bytes on screens and in files."""
    return Json(out) if name == "json" else JsonLines(out)


class JsonLines:
    """See Renderer."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._text = JsonText()
        self._names: list[str] = []
        self._renamed = False

    def begin(self, schema: pa.Schema) -> None:
        self._names = distinct_names(schema.names)
        self._renamed = self._names != schema.names

    def write(self, batch: pa.RecordBatch) -> bool:
        for piece in pieces(batch):
            self._out.write(content(self._text.rows(piece, self._names, "\n")))
        return True

    def end(self) -> tuple[str, ...]:
        renamed = ("columns of the same name are numbered, because an object must not repeat a name",) if self._renamed else ()
        return renamed + non_finite_words(self._text.non_finite)


class Json(JsonLines):
    """See Renderer."""

    _started = False

    def write(self, batch: pa.RecordBatch) -> bool:
        for piece in pieces(batch):
            rows = content(self._text.rows(piece, self._names, ",\n"))[:-2]
            self._out.write(b",\n" if self._started else b"[\n")
            self._out.write(rows)
            self._started = True
        return True

    def end(self) -> tuple[str, ...]:
        self._out.write(b"\n]\n" if self._started else b"[]\n")
        return super().end()
