"""Tables as GitHub's Markdown has them, numbers to the right. What Markdown or HTML would read as markup is escaped; nulls are as in `table`."""

from __future__ import annotations

from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from lakesql.frontends.render import Renderer, Screen
from lakesql.frontends.render.cells import CellText, content, non_finite_words, pieces, visible
from lakesql.frontends.render.scalars import TEXT
from lakesql.frontends.types import is_number, plain_type


def make(name: str, out: BinaryIO, screen: Screen | None) -> Renderer:
    """The renderer of `markdown`: the same bytes on screens and in files."""
    return Markdown(out)


class Markdown:
    """See Renderer."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._text = CellText()

    def begin(self, schema: pa.Schema) -> None:
        names = [_escaped(pa.array([visible(name)], TEXT)) for name in schema.names]
        self._out.write(content(_rows(names)))
        self._out.write(b"|" + b"".join(b" ---: |" if is_number(plain_type(type_)) else b" --- |" for type_ in schema.types) + b"\n")

    def write(self, batch: pa.RecordBatch) -> bool:
        for piece in pieces(batch):
            self._out.write(content(_rows([_escaped(self._text.seen(column)) for column in piece.columns])))
        return True

    def end(self) -> tuple[str, ...]:
        return non_finite_words(self._text.non_finite)


def _escaped(texts: pa.Array) -> pa.Array:
    texts = pc.replace_substring_regex(texts, r"([\\|`*<\[~&])", r"\\\1")
    return pc.replace_substring_regex(texts, r"\b_|_\b", r"\\_")  # inside a word an underscore means nothing


def _rows(columns: list[pa.Array]) -> pa.Array:
    if not columns:
        return pa.array([], TEXT)
    rows = pc.binary_join_element_wise(*columns, pa.scalar(" | ", TEXT))
    return pc.binary_join_element_wise(pa.scalar("| ", TEXT), rows, pa.scalar(" |\n", TEXT), pa.scalar("", TEXT))
