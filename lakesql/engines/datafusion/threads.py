"""The engine's threads, which all sessions of a process share.

DataFusion starts one for each core. A join that was cancelled goes on in as many as it has partitions, for as long as 20 s (it does not look up between two
rows), and where that is all of them the next statement, however small, waits for it. So there are more threads than cores: the spare ones sleep until they are
needed, and then the operating system shares the cores out.
"""

from __future__ import annotations

import os
import sys
from functools import cache

from datafusion import SessionContext

_THREADS_PER_CORE = 3
"""Room for two such joins and the statement that comes after them."""
_VARIABLE = "TOKIO_WORKER_THREADS"
"""What DataFusion's runtime takes the number from, once, when it starts."""


@cache
def start() -> None:
    """Starts the threads, unless another user of DataFusion in this process has; a number that the environment gives is kept."""
    if _VARIABLE in os.environ:
        return
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    os.environ[_VARIABLE] = str(_THREADS_PER_CORE * cores)
    try:
        SessionContext().sql("SELECT 1")  # planning runs there
    finally:
        del os.environ[_VARIABLE]
