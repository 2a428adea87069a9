"""CSV as RFC 4180 has it: a header line, fields quoted where they must be, quotes doubled. Null is an empty field, empty text is `""`.

Lines end with a line feed alone, as in every text file around them; RFC 4180 says carriage return and line feed, its readers take both.
"""

from __future__ import annotations

from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types as is_

from lakesql.frontends.render import Renderer, Screen
from lakesql.frontends.render.cells import CellText, content, non_finite_words, pieces
from lakesql.frontends.render.scalars import TEXT
from lakesql.frontends.types import is_number


def make(name: str, out: BinaryIO, screen: Screen | None) -> Renderer:
    """The renderer of `csv`: the same bytes on screens and in files."""
    return Csv(out)


class Csv:
    """See Renderer."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._text = CellText()
        self.null_text = ""

    def begin(self, schema: pa.Schema) -> None:
        names = [quoted(pa.array([name], TEXT)) for name in schema.names]
        self._out.write(content(_lines(names, 1)))

    def write(self, batch: pa.RecordBatch) -> bool:
        for piece in pieces(batch):
            self._out.write(content(_lines([self._fields(column) for column in piece.columns], piece.num_rows, self._null())))
        return True

    def end(self) -> tuple[str, ...]:
        return non_finite_words(self._text.non_finite)

    def _null(self) -> str:
        """What stands for null, as a field."""
        text: str = quoted(pa.array([self.null_text], TEXT))[0].as_py() if self.null_text else ""
        return text

    def _fields(self, values: pa.Array) -> pa.Array:
        texts = self._text.of(values)
        return texts if is_number(values.type) or is_.is_boolean(values.type) else quoted(texts)


def quoted(texts: pa.Array) -> pa.Array:
    """Text in quotes where CSV needs them, as empty text does to differ from null, which stays null.

    >>> quoted(pa.array(["a", "1,5", "", None], TEXT)).to_pylist()
    ['a', '"1,5"', '""', None]
    """
    needed = pc.fill_null(pc.match_substring_regex(texts, r'[",\r\n]|^$'), False)
    if not needed.true_count:
        return texts
    quote = pa.scalar('"', TEXT)
    return pc.if_else(needed, pc.binary_join_element_wise(quote, pc.replace_substring(texts, '"', '""'), quote, pa.scalar("", TEXT)), texts)


def _lines(columns: list[pa.Array], count: int, null: str = "") -> pa.Array:
    if not columns:
        return pa.array(["\n"] * count, TEXT)
    rows = pc.binary_join_element_wise(*columns, pa.scalar(",", TEXT), null_handling="replace", null_replacement=null)
    return pc.binary_join_element_wise(rows, pa.scalar("", TEXT), pa.scalar("\n", TEXT))
