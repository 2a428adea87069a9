"""Tables drawn with box characters, names and types on top, numbers to the right.

    ┌────────┬─────────┐
    │   id   │  name   │
    │ bigint │ varchar │
    ├────────┼─────────┤
    │      1 │ a       │
    │      2 │ NULL    │
    └────────┴─────────┘

Into a file or pipe everything is written: the first rows are held to size the columns, later rows stream, and a cell that is wider than its column pushes the
frame out rather than lose text. On a screen the table fits the width, cells and columns are cut where they must be, only the first and last rows are shown -
the first alone, where the last were not waited for - and a last line says what is missing.
"""

from __future__ import annotations

from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
from wcwidth import wcswidth, wcwidth

from lakesql.frontends.render import Renderer, Screen
from lakesql.frontends.render.cells import NULL, CellText, content, non_finite_words, pieces, visible
from lakesql.frontends.render.layout import ELIDED, Layout, fit
from lakesql.frontends.render.scalars import TEXT
from lakesql.frontends.types import is_number, plain_type, sql_type_name

_SIZING_ROWS = 8192
"""Rows held to size the columns of a table that is not for a screen."""

COUNTED_ROWS = 1000
"""On a screen, rows are counted this far to say how many are not shown."""
_GAP = "⋮"


def make(name: str, out: BinaryIO, screen: Screen | None) -> Renderer:
    """The renderer of `table`."""
    return Table(out, screen)


class Table:
    """See Renderer."""

    def __init__(self, out: BinaryIO, screen: Screen | None = None) -> None:
        self._out = out
        self._screen = screen
        self._text = CellText()
        self.null_text = NULL
        self._held: list[list[pa.Array]] = []
        self._held_rows = 0
        self._beyond: list[pa.RecordBatch] = []
        self._row_count = 0
        self._layout: Layout | None = None

    def begin(self, schema: pa.Schema) -> None:
        self._names = [visible(name) for name in schema.names]
        self._types = [visible(sql_type_name(type_).lower()) for type_ in schema.types]
        self._right = [is_number(plain_type(type_)) for type_ in schema.types]

    def write(self, batch: pa.RecordBatch) -> bool:
        if self._screen is not None:
            self._row_count += batch.num_rows
            wanted = batch.slice(0, self._screen.row_cap - self._held_rows)
            if wanted.num_rows:
                self._hold(wanted)
            if wanted.num_rows < batch.num_rows:
                self._beyond.append(batch.slice(wanted.num_rows))
            return self._row_count < max(COUNTED_ROWS, self._screen.row_cap + 1)
        for piece in pieces(batch):
            if self._layout is not None:
                self._write_rows(self._texts(piece), self._layout)
                continue
            self._hold(piece)
            if self._held_rows >= _SIZING_ROWS:
                self._write_held()
        return True

    @property
    def is_cut(self) -> bool:
        """Whether columns were left out for want of room."""
        return self._layout is not None and None in self._layout.columns

    def end(self) -> tuple[str, ...]:
        layout = self._layout or self._write_held()
        self._write_frame(layout, "└", "┴", "┘")
        missing = self._missing_words(layout)
        if missing:
            self._out.write(f"{missing}\n".encode())
        return non_finite_words(self._text.non_finite)

    def _texts(self, batch: pa.RecordBatch) -> list[pa.Array]:
        return [self._text.seen(column, self.null_text) for column in batch.columns]

    def _hold(self, batch: pa.RecordBatch) -> None:
        self._held.append(self._texts(batch))
        self._held_rows += batch.num_rows

    def _write_held(self) -> Layout:
        """Sizes the columns by what is held, and writes the head and what is held."""
        tail = self._tail()
        natural = [max(width_of(name), width_of(kind)) for name, kind in zip(self._names, self._types, strict=True)]
        for held in (*self._held, tail):
            natural = [max(width, _widest(texts)) for width, texts in zip(natural, held, strict=True)] if held else natural
        layout = self._layout = fit(natural, None if self._screen is None else self._screen.columns)
        self._write_frame(layout, "┌", "┬", "┐")
        for heads in (self._names, self._types):
            cells = [cut(ELIDED if index is None else heads[index], width) for index, width in zip(layout.columns, layout.widths, strict=True)]
            centred = [padding(cell, width, 2) for cell, width in zip(cells, layout.widths, strict=True)]
            self._out.write(("│" + "│".join(f" {cell} " for cell in centred) + "│\n").encode())
        self._write_frame(layout, "├", "┼", "┤")
        for held in self._held:
            self._write_rows(held, layout)
        if tail:
            gap = [padding(_GAP, width, 2) for width in layout.widths]
            self._out.write(("│" + "│".join(f" {cell} " for cell in gap) + "│\n").encode())
            self._write_rows(tail, layout)
        self._held = []
        return layout

    def _tail(self) -> list[pa.Array]:
        """The last rows, where there are more than fit and all have come; the second half of those held makes room for them."""
        if not self._beyond or self._row_count >= COUNTED_ROWS:
            return []
        assert self._screen is not None
        head, last = self._screen.row_cap - self._screen.row_cap // 2, self._screen.row_cap // 2
        rows = pa.Table.from_batches(self._beyond)
        held = [pa.concat_arrays([h[i] for h in self._held]) for i in range(rows.num_columns)]
        own = [
            self._text.seen(pa.concat_arrays(c.chunks) if c.num_chunks else c.combine_chunks(), self.null_text)
            for c in rows.slice(max(0, rows.num_rows - last)).columns
        ]
        own = [pa.concat_arrays([h, o])[-last:] if last else o[:0] for h, o in zip(held, own, strict=True)]
        self._held = [[h[:head] for h in held]]
        return own

    def _write_rows(self, texts: list[pa.Array], layout: Layout) -> None:
        if not texts:
            return
        columns = []
        for index, width in zip(layout.columns, layout.widths, strict=True):
            if index is None:
                columns.append(pa.array([ELIDED] * len(texts[0]), TEXT))
            else:
                columns.append(_padded(texts[index], width, self._right[index], cutting=self._screen is not None))
        rows = pc.binary_join_element_wise(*columns, pa.scalar(" │ ", TEXT))
        lines = pc.binary_join_element_wise(pa.scalar("│ ", TEXT), rows, pa.scalar(" │\n", TEXT), pa.scalar("", TEXT))
        self._out.write(content(lines))

    def _write_frame(self, layout: Layout, left: str, middle: str, right: str) -> None:
        self._out.write((left + middle.join("─" * (width + 2) for width in layout.widths) + right + "\n").encode())

    def _missing_words(self, layout: Layout) -> str:
        if self._screen is None:
            return ""
        parts = []
        if self._row_count > self._held_rows:
            counted = f"{self._row_count:,}" if self._row_count < COUNTED_ROWS else f"{COUNTED_ROWS:,}+"
            parts.append(f"{self._held_rows:,} of {counted} rows")
        if None in layout.columns:
            parts.append(f"{len(self._names):,} columns ({len(layout.columns) - 1} shown)")
        return ", ".join(parts)


def width_of(text: str) -> int:
    """Cells the text takes on a screen; it holds no controls."""
    return len(text) if text.isascii() else max(0, wcswidth(text))


def _is_ascii(texts: pa.Array) -> bool:
    return bytes(content(texts)).isascii()


def _widest(texts: pa.Array) -> int:
    if _is_ascii(texts):
        return pc.max(pc.binary_length(texts)).as_py() or 0
    return max(width_of(text) for text in texts.to_pylist())


def _padded(texts: pa.Array, width: int, right: bool, cutting: bool) -> pa.Array:
    """Each text filled up to the width with spaces; cut where it is wider, if that is allowed."""
    if _is_ascii(texts) and not (cutting and _widest(texts) > width):
        return (pc.ascii_lpad if right else pc.ascii_rpad)(texts, width, " ")
    cells = [cut(text, width) if cutting else text for text in texts.to_pylist()]
    return pa.array([padding(cell, width, 0 if right else 1) for cell in cells], TEXT)


def padding(text: str, width: int, place: int) -> str:
    """The text with spaces before it (place 0), behind it (1), or around it (2)."""
    spaces = max(0, width - width_of(text))
    before = {0: spaces, 1: 0, 2: spaces // 2}[place]
    return " " * before + text + " " * (spaces - before)


def cut(text: str, width: int) -> str:
    """The text, or as much of its beginning as fits with a mark that it goes on."""
    begin = text[: 8 * width + 8]  # enough for any cluster of characters, and no more work than that for a very long text
    if len(begin) == len(text) and width_of(text) <= width:
        return text
    text = begin
    room, end = width - len(ELIDED), 0
    while end < len(text) and width_of(text[: end + 1]) <= room:
        end += 1
    while 0 < end < len(text) and wcwidth(text[end]) == 0:  # a mark on the last character belongs to it: both go
        end -= 1
    return text[:end] + ELIDED
