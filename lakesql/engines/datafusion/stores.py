"""DataFusion's own object stores for data files, registered per bucket as the first file of it is read."""

from __future__ import annotations

import threading

from datafusion import SessionContext

from lakesql.storage import Storage


class ObjectStores:
    """The stores registered with one session context."""

    def __init__(self, context: SessionContext, storage: Storage) -> None:
        self._context = context
        self._storage = storage
        self._known: set[str] = set()
        self._lock = threading.Lock()

    def require(self, path: str) -> None:
        """Makes the store of `path` readable; local files need nothing."""
