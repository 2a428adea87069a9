"""The text of any cell: what CSV files, tables on screens and markdown show of a value. Scalars as `scalars.py` says, nested values as their JSON."""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types as is_

from lakesql.frontends.render.json_text import JsonText, decoded
from lakesql.frontends.render.scalars import TEXT, scalar_texts
from lakesql.frontends.types import is_list, is_text

NULL = "NULL"
"""What a null looks like where there is nothing else to tell it from text."""

PIECE_ROWS = 8192
"""Rows made into text at a time, so that memory follows this and not the size of a batch."""

# Controls, which terminals obey; marks that reorder what is around them or hide; line and paragraph separators; the zero-width no-break space.
_UNSEEN = r"[\x00-\x1f\x7f-\x{9f}\x{ad}\x{61c}\x{200b}\x{200e}\x{200f}\x{2028}-\x{202e}\x{2060}-\x{2069}\x{feff}\x{fff9}-\x{fffb}]"
_UNSEEN_CHARACTER = re.compile("[\x00-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]")
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


class CellText:
    """Makes cell text of arrays. non_finite: how many NaNs and infinities inside nested values became null so far."""

    def __init__(self) -> None:
        self._json = JsonText()

    @property
    def non_finite(self) -> int:
        return self._json.non_finite

    def of(self, values: pa.Array) -> pa.Array:
        """The text of each value, null for null."""
        values = decoded(values)
        if is_list(values.type) or is_.is_struct(values.type) or is_.is_map(values.type):
            texts = self._json.of(values)
            return pc.if_else(values.is_valid(), texts, pa.scalar(None, TEXT)) if values.null_count else texts
        return scalar_texts(values)

    def seen(self, values: pa.Array, null: str = NULL) -> pa.Array:
        """The text of each value fit for a screen: controls made visible, null as NULL or what it is to be, and that text in quotes to tell them apart."""
        texts = self.of(values)
        unseen = pc.fill_null(pc.match_substring_regex(texts, _UNSEEN), False)
        if unseen.true_count:
            texts = pc.replace_with_mask(texts, unseen, pa.array([visible(text) for text in texts.filter(unseen).to_pylist()], TEXT))
        if is_text(decoded(values).type):
            texts = pc.if_else(pc.equal(texts, pa.scalar(null, TEXT)), pa.scalar(f'"{null}"', TEXT), texts)
        return pc.fill_null(texts, null)


def visible(text: str) -> str:
    r"""The text with every character that a terminal would obey, or not show, written as an escape.

    >>> print(visible("red \x1b[31m\n"))
    red \x1b[31m\n
    """
    return _UNSEEN_CHARACTER.sub(_escape, text)


def non_finite_words(count: int) -> tuple[str, ...]:
    """What to say of NaNs and infinities that JSON text could not hold; nothing where there were none."""
    return (f"{count:,} NaN or infinite value{'s' if count > 1 else ''} written as null: JSON has no such numbers",) if count else ()


def pieces(batch: pa.RecordBatch) -> list[pa.RecordBatch]:
    """The batch in parts of at most PIECE_ROWS rows."""
    return [batch.slice(start, PIECE_ROWS) for start in range(0, batch.num_rows, PIECE_ROWS)]


def content(texts: pa.Array) -> memoryview:
    """All texts of an array without nulls, one behind the other, as UTF-8."""
    _, offsets, data = texts.buffers()
    ends = memoryview(offsets).cast("q")
    return memoryview(data)[ends[texts.offset] : ends[texts.offset + len(texts)]] if len(texts) else memoryview(b"")


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    code = ord(character)
    return _SHORT.get(character) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")
