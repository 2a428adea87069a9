"""Query plans as the text they are: what `table` makes of EXPLAIN, whose cells hold many lines and lose their meaning in a box.

    logical_plan                                    EXPLAIN PRUNING has one column, and no headings
      Projection: impressions.day
        TableScan: impressions projection=[day]

Nothing is cut, on screens neither. Controls are made visible; line ends stay.
"""

from __future__ import annotations

from typing import BinaryIO

import pyarrow as pa

from lakesql.frontends.render import Renderer, Screen
from lakesql.frontends.render.cells import CellText, visible


def make(name: str, out: BinaryIO, screen: Screen | None) -> Renderer:
    """The renderer of plans."""
    return Plan(out)


class Plan:
    """See Renderer."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._text = CellText()
        self._started = False

    def begin(self, schema: pa.Schema) -> None:
        pass

    def write(self, batch: pa.RecordBatch) -> bool:
        columns = [self._text.of(column).to_pylist() for column in batch.columns]
        for *headings, plan in zip(*columns, strict=True):
            lines = [visible(line) for line in (plan or "").rstrip("\n").split("\n")]
            if headings:
                title = [*([""] if self._started else []), visible(" ".join(h or "" for h in headings))]
                lines = title + [f"  {line}".rstrip(" ") for line in lines]
            self._out.write("".join(f"{line}\n" for line in lines).encode())
            self._started = True
        return True

    def end(self) -> tuple[str, ...]:
        return ()
