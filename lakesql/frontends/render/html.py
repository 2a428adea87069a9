"""Tables as HTML, for notebooks: names and types on top, numbers to the right, nulls grey. Every text is escaped; nothing in a table's data is markup.

Cells say what they say in `table`: controls are visible, and the text NULL is quoted to tell it from null. Very long cells are cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import pyarrow as pa

from lakesql.frontends.render.cells import CellText, visible
from lakesql.frontends.render.layout import ELIDED
from lakesql.frontends.types import is_number, plain_type, sql_type_name

CELL_CHARACTERS = 2_000
"""What is shown of a cell's text: a page of a book."""

_GREY = "color:#888"
_CELL = "padding:2px 8px;white-space:pre-wrap;vertical-align:top"


def table(schema: pa.Schema, rows: pa.Table, notes: Sequence[str] = (), footer: str = "") -> str:
    """The table of `rows`, which have this schema; below it the notes, one a line, and the footer in small grey letters."""
    aligned = ["right" if is_number(plain_type(type_)) else "left" for type_ in schema.types]
    names = "".join(f'<th style="{_CELL};text-align:{side}">{_text(visible(name))}</th>' for name, side in zip(schema.names, aligned, strict=True))
    kinds = "".join(
        f'<th style="{_CELL};text-align:{side};font-weight:normal;font-size:85%;{_GREY}">{_text(visible(sql_type_name(type_).lower()))}</th>'
        for type_, side in zip(schema.types, aligned, strict=True)
    )
    head = f"<thead><tr>{names}</tr><tr>{kinds}</tr></thead>"
    return _block(f'<table style="border-collapse:collapse">{head}<tbody>{"".join(_rows(rows, aligned))}</tbody></table>', notes, footer)


def preformatted(text: str, notes: Sequence[str] = (), footer: str = "") -> str:
    """Text whose lines and blanks mean something, such as a plan."""
    return _block(f"<pre>{_text(text)}</pre>", notes, footer)


def footer_line(text: str) -> str:
    """A line of small grey letters; "" for no text."""
    return f'<div style="font-size:85%;{_GREY}">{_text(visible(text))}</div>' if text else ""


def cells(rows: pa.Table) -> list[list[str]]:
    """The text of each cell, row by row, as people read it: not yet escaped, not yet cut."""
    text = CellText()
    columns = [[t for chunk in column.chunks for t in text.seen(chunk).to_pylist()] for column in rows.columns]
    return [list(row) for row in zip(*columns, strict=True)] if columns else [[] for _ in range(rows.num_rows)]


def _block(content: str, notes: Sequence[str], footer: str) -> str:
    below = "".join(f'<div style="font-size:90%">{_text(visible(note))}</div>' for note in notes)
    return f'<div class="lakesql" style="overflow-x:auto">{content}{below}{footer_line(footer)}</div>'


def _rows(rows: pa.Table, aligned: Sequence[str]) -> list[str]:
    nulls = [column.is_null().to_pylist() for column in rows.columns]
    made = []
    for number, row in enumerate(cells(rows)):
        tds = [
            f'<td style="{_CELL};text-align:{side}{";" + _GREY if nulls[index][number] else ""}">{_text(_cut(cell))}</td>'
            for index, (cell, side) in enumerate(zip(row, aligned, strict=True))
        ]
        made.append(f"<tr>{''.join(tds)}</tr>")
    return made


def _cut(text: str) -> str:
    return text if len(text) <= CELL_CHARACTERS else text[:CELL_CHARACTERS] + ELIDED


def _text(text: str) -> str:
    return escape(text, quote=True)
