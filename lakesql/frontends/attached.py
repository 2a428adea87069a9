"""lakesql inside another program's DataFusion session: `attach(ctx).sql(text)` gives a `datafusion.DataFrame` of that very session.

The statement is resolved, bound, pruned and lowered as in lakesql's own sessions, in the caller's context: next to tables of lakes stand the context's own
tables, views and functions. Nothing stays behind in it: no table, and its settings are as they were. Only the object stores that files in buckets are read
by stay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lakesql.frontends.seam import mapped
from lakesql.result import PinnedSnapshot, Result, ScanStats
from lakesql.session import Ready, Session

if TYPE_CHECKING:
    import datafusion

    from lakesql.config import Config


def attach(
    ctx: datafusion.SessionContext,
    target: str | None = None,
    *,
    tables: Mapping[str, str] | None = None,
    as_of: str | int | datetime | None = None,
    config: str | Config | None = None,
) -> Attached:
    """lakesql's SQL over the session `ctx`; target, tables, as_of and config as for `connect`. Raises ConfigError, NotATableError, AmbiguousTableError."""
    with mapped():
        return Attached(ctx, Session.open(target, tables=tables, as_of=as_of, engine="datafusion", config=config, context=ctx))


class Attached:
    """What `attach` gives. From several threads only where nobody else plans in the same context meanwhile."""

    def __init__(self, ctx: datafusion.SessionContext, session: Session) -> None:
        self.ctx = ctx
        self._session = session
        self._last: Ready | Result | None = None

    def sql(self, text: str, parameters: Sequence[Any] | Mapping[str, Any] | None = None) -> datafusion.DataFrame:
        """The statement as a lazy DataFrame of the context: it runs when it is collected, over the versions that are there now.

        A name that both the context and a lake have is an error; a table of the context's has no versions, changes or metadata tables. Raises SqlError and its
        kind, NoSuchVersionError, ExpiredVersionError, MetadataError, StorageError, UnsupportedFeatureError; running it raises DataFusion's own errors.
        """
        with mapped():
            planned = self._session.planned(text, parameters)
            self._last = planned
            if isinstance(planned, Result):
                return self.ctx.read_batches(list(planned) or [pa.RecordBatch.from_pylist([], schema=planned.schema)])
            frame: datafusion.DataFrame = planned.prepared.frame
            return frame

    @property
    def snapshots(self) -> tuple[PinnedSnapshot, ...]:
        """The tables that the last statement reads, each with its version."""
        return () if self._last is None else tuple(self._last.snapshots)

    @property
    def scan_stats(self) -> ScanStats:
        """What the last statement will read, and what it was spared."""
        return ScanStats(()) if self._last is None else self._last.scan_stats

    def close(self) -> None:
        """Lets go of catalogs. DataFrames that were made live on."""
        self._session.close()

    def __enter__(self) -> Attached:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
