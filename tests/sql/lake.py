"""A table with a column of every type that a rewrite cares about, and DataFusion over it: what the engine makes of rendered text."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa
from datafusion import SessionConfig, SessionContext

from lakesql import sql

ROWS = pa.table(
    {
        "id": pa.array([1, 2, 3], pa.int64()),
        "Op": ["insert", "Update", None],
        "d": pa.array([Decimal("-2342342.23423"), Decimal("1.50000"), None], pa.decimal128(12, 5)),
        "wide": pa.array([Decimal("9" * 38), Decimal(1), Decimal(0)], pa.decimal128(38, 0)),
        "f": pa.array([1.5, float("nan"), 1e300], pa.float64()),
        "ts": pa.array([datetime(1, 1, 1), datetime(2020, 1, 1, 12), datetime(9999, 12, 31, 23, 59, 59, 999999)], pa.timestamp("us")),
        "tz": pa.array([datetime(1, 1, 1), datetime(2020, 1, 1, 12), datetime(9999, 12, 31, 23, 59, 59, 999999)], pa.timestamp("us", tz="UTC")),
        "ns": pa.array([datetime(1700, 1, 1), datetime(2020, 1, 1, 12), datetime(2261, 12, 31)], pa.timestamp("ns")),
        "dt": pa.array([date(1, 1, 1), date(2020, 1, 1), date(9999, 12, 31)], pa.date32()),
        "tm": pa.array([time(0), time(6, 30), time(23, 59, 59, 999999)], pa.time64("us")),
        "st": pa.array([{"b": 1, "C": {"X": 1, "id": 4}}, {"b": 2, "C": {"X": 2, "id": 5}}, None]),
        "xs": pa.array([[{"Name": "a"}], [{"Name": "b"}], None]),
        "_row_id": pa.array([7, 8, 9], pa.int64()),
    }
)


class Engine:
    """DataFusion with ROWS as `__t`. time_zone: of the session."""

    def __init__(self, time_zone: str = "UTC", rows: pa.Table = ROWS) -> None:
        self._context = SessionContext(SessionConfig({"datafusion.execution.time_zone": time_zone}))
        self._context.from_arrow(rows, "__t")
        self._schema = rows.schema

    def render(self, text: str, hidden: Collection[str] = ()) -> tuple[sql.Statement, sql.Rendered]:
        """The statement, and its text with every mention read from ROWS."""
        statement = sql.parse(text)
        mentions = statement.mentions
        return statement, sql.render(
            statement,
            {m: sql.Replacement("__t") for m in mentions},
            schemas=dict.fromkeys(mentions, self._schema),
            hidden=dict.fromkeys(mentions, hidden),
        )

    def rows(self, text: str, parameters: Sequence[Any] | None = None, hidden: Collection[str] = ()) -> pa.Table:
        """What the statement gives."""
        statement, rendered = self.render(text, hidden)
        return self.run(rendered.text, sql.bind_parameters(statement, parameters))

    def run(self, text: str, parameters: dict[str, Any] | None = None) -> pa.Table:
        """What a text of the engine's own gives."""
        return self._context.sql(text, param_values=parameters or None).to_arrow_table()
