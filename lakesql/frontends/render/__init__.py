"""Results as bytes: one module per output format, all over one text rule per type (`scalars.py`, `json_text.py`, `cells.py`).

    schema, batches -> Renderer -> bytes

A renderer takes batches as they come and holds no more of them than its format needs: `table` the first rows, to size its columns; `parquet` one row group.
Nothing here loads pyarrow until a renderer is made, so that the command line can check its options first.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Protocol

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Screen:
    """A terminal to write on. columns: its width in cells, None where it does not say; row_cap: no more rows than this are shown."""

    columns: int | None = None
    row_cap: int = 40


class Renderer(Protocol):
    """Writes one result: begin, write any number of times, end. Raises Error classes of lakesql, and OSError when the output cannot be written."""

    def begin(self, schema: pa.Schema) -> None: ...

    def write(self, batch: pa.RecordBatch) -> bool:
        """False when no more rows are wanted."""
        ...

    def end(self) -> tuple[str, ...]:
        """Completes the output. What the reader of it should know, in words: for the error stream, not part of the output."""
        ...


@dataclass(frozen=True)
class Format:
    """An output format. endings: of file names that mean it; binary: never for a screen; one_result: an output holds one result only."""

    name: str
    module: str
    endings: tuple[str, ...]
    binary: bool = False
    one_result: bool = False


FORMATS: dict[str, Format] = {
    f.name: f
    for f in (
        Format("table", "table", (".txt",)),
        Format("vertical", "vertical", ()),
        Format("csv", "csv", (".csv",)),
        Format("json", "json", (".json",), one_result=True),
        Format("jsonl", "json", (".jsonl", ".ndjson")),
        Format("markdown", "markdown", (".md",)),
        Format("arrow", "columnar", (".arrow", ".arrows"), binary=True, one_result=True),
        Format("parquet", "columnar", (".parquet",), binary=True, one_result=True),
    )
}

PLAN = Format("plan", "plan", ())
"""What `table` becomes for EXPLAIN. Not a format to ask for."""


def format_of_file(path: str) -> Format | None:
    """The format the ending of a file's name means, None where it means none."""
    return next((f for f in FORMATS.values() if path.lower().endswith(f.endings)), None)


NULL_TEXT_FORMATS = ("table", "vertical", "csv")
"""The formats in which something else can stand for null."""


def renderer(format_: Format, out: BinaryIO, screen: Screen | None = None, null_text: str | None = None) -> Renderer:
    """A renderer of one result. screen: the terminal behind `out`, None for files and pipes. null_text: what stands for null, in NULL_TEXT_FORMATS."""
    made: Renderer = importlib.import_module(f"{__name__}.{format_.module}").make(format_.name, out, screen)
    if null_text is not None and format_.name in NULL_TEXT_FORMATS:
        made.null_text = null_text  # type: ignore[attr-defined]
    return made
