"""How wide a table's columns are drawn, and which of them, when the screen is too narrow for all."""

from __future__ import annotations

from dataclasses import dataclass

ELIDED = "…"
"""Stands for what is left out: columns, or the end of a cell."""

_LEAST_WIDTH = 12
"""No column is made narrower than this to make room for others."""


@dataclass(frozen=True)
class Layout:
    """The columns drawn, by index, and their widths in cells. A None among the indexes is the place of those left out."""

    columns: tuple[int | None, ...]
    widths: tuple[int, ...]


def fit(natural: list[int], screen_columns: int | None) -> Layout:
    """The layout of columns that would like `natural` widths.

    As many columns as fit, from both ends; then as wide as there is room, narrow ones first. Each costs three cells of frame, and the table one more.

    >>> fit([4, 40], 30)
    Layout(columns=(0, 1), widths=(4, 19))
    >>> fit([10, 10, 10, 10], 40)
    Layout(columns=(0, None, 3), widths=(10, 1, 10))
    """
    count = len(natural)
    if screen_columns is None or sum(natural) + 3 * count + 1 <= screen_columns:
        return Layout(tuple(range(count)), tuple(natural))
    least = [min(width, _LEAST_WIDTH) for width in natural]
    shown = next((c for k in range(count, 1, -1) if _width(c := _ends(count, k), least) <= screen_columns), _ends(count, 1))
    kept = [index for index in shown if index is not None]
    frame = _width(shown, [0] * count)
    widths = _spread([natural[index] for index in kept], [least[index] for index in kept], screen_columns - frame)
    by_column = dict(zip(kept, widths, strict=True))
    return Layout(shown, tuple(len(ELIDED) if index is None else by_column[index] for index in shown))


def _ends(count: int, kept: int) -> tuple[int | None, ...]:
    """`kept` of `count` columns, from both ends, and the gap between."""
    if kept == count:
        return tuple(range(count))
    head = (kept + 1) // 2
    return (*range(head), None, *range(count - (kept - head), count))


def _width(columns: tuple[int | None, ...], widths: list[int]) -> int:
    return sum(len(ELIDED) if index is None else widths[index] for index in columns) + 3 * len(columns) + 1


def _spread(natural: list[int], least: list[int], room: int) -> list[int]:
    """The widest limit on all columns that keeps them within the room; of what is left over, a cell each to the first that want one."""
    limit = 1
    while sum(_limited(natural, least, limit + 1)) <= room and limit < room:
        limit += 1
    widths = _limited(natural, least, limit)
    spare = room - sum(widths)
    for index, width in enumerate(widths):
        more = max(0, min(1, spare, natural[index] - width))
        widths[index] += more
        spare -= more
    return widths if sum(widths) <= room or len(widths) > 1 else [max(1, room)]


def _limited(natural: list[int], least: list[int], limit: int) -> list[int]:
    return [min(n, max(small, limit)) for n, small in zip(natural, least, strict=True)]
