"""A choice of active files: blocks, and rows of each. What pruning narrows and what relations are made of; its columns are read when they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lakesql.formats.delta.actions import ADD_FIELDS
from lakesql.formats.delta.blocks import Block, concat
from lakesql.formats.delta.replay import ActiveFiles, Rows, in_parallel


@dataclass(frozen=True)
class Part:
    """Rows of one block, ascending; None: all of it."""

    block: Block
    rows: Rows | None

    def __len__(self) -> int:
        return self.block.rows if self.rows is None else len(self.rows)

    def take(self, whole: pa.Array) -> pa.Array:
        """The part's entries of an array over the whole block."""
        return whole if self.rows is None else whole.take(pa.array(self.rows))


@dataclass(frozen=True)
class Selection:
    """Files in the order of their parts. No part is empty."""

    parts: tuple[Part, ...]

    @staticmethod
    def of(files: ActiveFiles) -> Selection:
        """All of these files."""
        return Selection(tuple(Part(b.block, b.live) for b in files))

    def __len__(self) -> int:
        return self._starts[-1]

    def narrow(self, mask: npt.NDArray[np.bool_]) -> Selection:
        """The files where mask is true."""
        parts = []
        for part, start in zip(self.parts, self._starts, strict=False):
            chosen = mask[start : start + len(part)]
            if chosen.all():
                parts.append(part)
            elif chosen.any():
                parts.append(Part(part.block, np.flatnonzero(chosen) if part.rows is None else part.rows[chosen]))
        return Selection(tuple(parts))

    def take(self, indices: npt.NDArray[np.int64]) -> Selection:
        """The files at these positions, which ascend."""
        mask = np.zeros(len(self), bool)
        mask[indices] = True
        return self.narrow(mask)

    def column(self, name: str) -> pa.Array:
        """A field of ADD_FIELDS of every file."""
        return self.gather(lambda part: part.take(part.block.column(name)), ADD_FIELDS[name])

    def gather(self, make: Callable[[Part], pa.Array], type_: pa.DataType) -> pa.Array:
        """What `make` gives for each part, in one array. Parts are worked on side by side."""
        return concat(in_parallel(make, self.parts), type_)

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *np.cumsum([len(p) for p in self.parts]).tolist()]
