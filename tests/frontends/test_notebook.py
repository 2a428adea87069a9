"""Notebooks in a real kernel: what is saved, what fails, and what Stop does."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

import lakesql

ROOT = Path(lakesql.__file__).parents[1]
LAKE = Path(__file__).parents[2] / "catalog"

# The engine cannot stop a join that has begun a batch; this one holds the cores for seconds after it was told to.
ENDLESS = "select count(*) from range(300000) a join range(300000) b on a.value*7 < b.value%11"
SLOW = "select count(*) from range(60000) a join range(20000) b on a.value*7 < b.value%11 where a.value + b.value > 7"


class Kernel:
    """A kernel that runs cells, one after another."""

    def __init__(self, client: NotebookClient) -> None:
        self.client = client

    def run(self, source: str, *, may_fail: bool = False) -> Any:
        """The cell as it would be saved. Raises CellExecutionError where it fails and may not."""
        cell = nbformat.v4.new_code_cell(source)
        cell.metadata["tags"] = ["raises-exception"] if may_fail else []
        self.client.nb.cells.append(cell)
        return self.client.execute_cell(cell, len(self.client.nb.cells) - 1)

    def interrupt_in(self, seconds: float) -> threading.Timer:
        """Stop, pressed after so many seconds."""

        def press() -> None:
            done = self.client.km.interrupt_kernel()  # type: ignore[union-attr]
            if asyncio.iscoroutine(done):
                asyncio.run(done)

        timer = threading.Timer(seconds, press)
        timer.start()
        return timer


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    home = tmp_path_factory.mktemp("home")
    set_to = {"PYTHONPATH": str(ROOT), "IPYTHONDIR": str(home), "JUPYTER_PLATFORM_DIRS": "1", "XDG_CONFIG_HOME": str(home), "PYTHONWARNINGS": "default"}
    before = {name: os.environ.get(name) for name in set_to}
    os.environ.update(set_to)
    client = NotebookClient(nbformat.v4.new_notebook(), timeout=120, kernel_name="python3")
    try:
        with client.setup_kernel(cwd=str(home)):
            made = Kernel(client)
            made.run(f"%load_ext lakesql\n%lakesql open {LAKE}")
            yield made
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)


def test_a_cell_is_saved_as_html_and_text(kernel: Kernel) -> None:
    """48, 53: the types in a saved notebook."""
    (output,) = kernel.run("%%sql\nSELECT '<img src=x onerror=alert(1)>' AS i, value FROM range(1000000000)").outputs
    assert output.output_type == "execute_result"
    assert set(output.data) == {"text/html", "text/plain"}
    assert "&lt;img" in output.data["text/html"]
    assert "<img" not in output.data["text/html"]
    assert output.data["text/html"].count("<td ") == 40
    assert "first 20 rows" in output.data["text/plain"]


def test_a_cell_that_fails(kernel: Kernel) -> None:
    """51."""
    with pytest.raises(CellExecutionError):
        kernel.run("%%sql\nSELECT dya FROM impressions")
    (output,) = kernel.run("%%sql\nSELECT dya FROM impressions", may_fail=True).outputs
    assert output.output_type == "error"
    assert output.ename == "UnknownColumnError"
    assert (
        "\n".join(output.traceback)
        == 'error 42703: no column is called "dya"\nLINE 1: SELECT dya FROM impressions\n               ^^^\nhint: did you mean "day"?'
    )


def test_only_the_footer_is_left_of_progress(kernel: Kernel) -> None:
    """54: patience is shortened, so that no machine is too fast for the statement."""
    kernel.run("from lakesql.frontends.magics import progress\nprogress.PATIENCE_SECONDS = 0.05")
    shown = kernel.run(f"%sql {SLOW}").outputs
    kept = kernel.run(f"%sql x << {SLOW}").outputs
    assert [o.output_type for o in (*shown, *kept)] == ["display_data", "display_data"]
    assert shown[0].data["text/plain"].startswith("┌")
    assert kept[0].data["text/plain"].startswith("1 row, ")
    for output in (*shown, *kept):
        assert not any("running" in text or "planning" in text for text in output.data.values())
    assert "None" in kernel.run("import sys; print(sys.modules.get('ipywidgets'))").outputs[0].text


def test_stop(kernel: Kernel) -> None:
    """47: the cell ends at once, with one line, and the kernel goes on. The engine may be busy with the join for a while, so the next cell is Python."""
    timer = kernel.interrupt_in(2.0)
    started = time.monotonic()
    cell = kernel.run(f"%%sql\n{ENDLESS}", may_fail=True)
    seconds = time.monotonic() - started
    timer.join()
    assert seconds < 10  # the statement would take minutes
    (error,) = (o for o in cell.outputs if o.output_type == "error")
    assert len(error.traceback) == 1
    assert error.traceback[0].startswith("cancelled after ")
    assert "\n" not in error.traceback[0]
    assert all(o.data == {"text/plain": ""} for o in cell.outputs if o.output_type == "display_data")
    (output,) = kernel.run("6 * 7").outputs
    assert output.data["text/plain"] == "42"
    (output,) = kernel.run("%sql SELECT 43 AS answer").outputs
    assert "43" in output.data["text/plain"]
