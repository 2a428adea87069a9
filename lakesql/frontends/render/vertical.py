"""Rows one below the other, a line for each column: for rows that are wider than a screen.

    ─[ 1 ]─────────
    id   │ 1
    name │ a

On a screen values are cut to its width, and only the first rows are shown; a last line says what is missing.
"""

from __future__ import annotations

from typing import BinaryIO

import pyarrow as pa

from lakesql.frontends.render import Renderer, Screen
from lakesql.frontends.render.cells import NULL, CellText, non_finite_words, pieces, visible
from lakesql.frontends.render.table import COUNTED_ROWS, cut, padding, width_of

_HEAD_WIDTH = 40


def make(name: str, out: BinaryIO, screen: Screen | None) -> Renderer:
    """The renderer of `vertical`."""
    return Vertical(out, screen)


class Vertical:
    """See Renderer."""

    def __init__(self, out: BinaryIO, screen: Screen | None = None) -> None:
        self._out = out
        self._screen = screen
        self._text = CellText()
        self.null_text = NULL
        self._seen = 0
        self._written = 0

    def begin(self, schema: pa.Schema) -> None:
        names = [visible(name) for name in schema.names]
        width = max(map(width_of, names), default=0)
        self._names = [padding(name, width, 1) for name in names]
        room = None if self._screen is None or self._screen.columns is None else self._screen.columns
        self._value_width = None if room is None else max(1, room - width - 3)
        self._rule = _HEAD_WIDTH if room is None else room

    def write(self, batch: pa.RecordBatch) -> bool:
        self._seen += batch.num_rows
        if self._screen is not None:
            batch = batch.slice(0, self._screen.row_cap - self._written)
        for piece in pieces(batch):
            columns = [self._text.seen(column, self.null_text).to_pylist() for column in piece.columns]
            for row in range(piece.num_rows):
                self._written += 1
                head = f"─[ {self._written:,} ]"
                lines = [head + "─" * max(0, self._rule - len(head))]
                for name, values in zip(self._names, columns, strict=True):
                    value = values[row] if self._value_width is None else cut(values[row], self._value_width)
                    lines.append(f"{name} │ {value}".rstrip(" "))
                self._out.write("".join(f"{line}\n" for line in lines).encode())
        return self._screen is None or self._seen < max(COUNTED_ROWS, self._screen.row_cap + 1)

    def end(self) -> tuple[str, ...]:
        if self._seen > self._written:
            counted = f"{self._seen:,}" if self._seen < COUNTED_ROWS else f"{COUNTED_ROWS:,}+"
            self._out.write(f"{self._written:,} of {counted} rows\n".encode())
        elif not self._seen:
            self._out.write(b"no rows\n")
        return non_finite_words(self._text.non_finite)
