"""One line of progress below a cell, for statements that run longer than a second. It is an output like any other, renewed in place, and no widget.

When the statement ends, the result takes its place if the cell shows it; else the footer does. So a saved notebook has no trace of it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from IPython.display import display

from lakesql.frontends.render import html

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from lakesql.frontends.magics.results import QueryResult

PATIENCE_SECONDS = 1.0
BETWEEN_SECONDS = 0.25


class Progress:
    """The line of one statement. Nothing is shown where it is not enabled, or the statement ends soon. shell: whose cell it stands below."""

    def __init__(self, shell: InteractiveShell, *, enabled: bool) -> None:
        self._shell = shell
        self._enabled = enabled
        self._started = time.monotonic()
        self._handle: Any = None
        self._renewed_at = -BETWEEN_SECONDS

    def renew(self, result: QueryResult | None = None) -> None:
        """Called while the statement is planned (None), or its rows are awaited."""
        now = time.monotonic() - self._started
        if not self._enabled or now < PATIENCE_SECONDS or now - self._renewed_at < BETWEEN_SECONDS:
            return
        self._renewed_at = now
        self._show(f"planning, {now:.1f} s" if result is None else result.progress_line(now))

    def finished(self, result: QueryResult) -> None:
        """The rows are there: the line becomes the footer, and what the cell shows of the result takes its place."""
        if self._handle is None:
            return
        handle, shell, cell = self._handle, self._shell, self._shell.execution_count
        self._show(result.footer)

        def placed(bundle: dict[str, str]) -> bool:
            if shell.execution_count != cell:
                return False
            handle.update(bundle, raw=True)
            return True

        result.placed = placed

    def clear(self) -> None:
        """Leaves nothing of the line."""
        self._enabled = False
        if self._handle is not None:
            self._handle.update({"text/plain": ""}, raw=True)

    def _show(self, text: str) -> None:
        bundle = {"text/plain": text, "text/html": html.footer_line(text)}
        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)
