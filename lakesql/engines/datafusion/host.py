"""A session context that is a caller's own: its tables, and its settings while one of our statements is planned in it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

import pyarrow as pa
from datafusion import SessionContext

from lakesql.engines.datafusion.faults import translate
from lakesql.errors import UnknownTableError

_INFORMATION = "datafusion.catalog.information_schema"


class Host:
    """The caller's side of a context."""

    def __init__(self, context: SessionContext) -> None:
        self._context = context
        self._known: dict[str, str | None] = {}

    def table(self, parts: Sequence[str]) -> tuple[str, pa.Schema] | None:
        """The table or view of the context that a name means, as its text names it and with its columns; None where it has none of that name.

        parts: in the case in which they are meant. Raises what is wrong with a view.
        """
        if len(parts) > 3:
            return None
        name = ".".join('"' + p.replace('"', '""') + '"' for p in parts)
        try:
            return name, self._context.sql(f"SELECT * FROM {name} LIMIT 0").schema()
        except Exception as error:
            translated = translate(error)
            if isinstance(translated, UnknownTableError) or "No table named" in str(error):
                return None
            raise translated from error

    @contextmanager
    def settings(self, wanted: Mapping[str, str], changed_within: Collection[str], *, look: bool) -> Iterator[None]:
        """Within it the settings have the values wanted; afterwards those and the ones that are changed within have the caller's values again.

        look: what the caller's values are is looked up, which takes 2 ms, rather than known from the last time: once for every statement.
        """
        if look or not self._known:
            self._known = self._values({*wanted, *changed_within})
        known = self._known
        try:
            for name, value in wanted.items():
                if known[name] != value:
                    self._context.sql(f"SET {name} = '{value}'")
            yield
        finally:
            for name, value_before in known.items():
                if name in changed_within or value_before != wanted[name]:
                    self._context.sql(f"RESET {name}" if value_before is None else f"SET {name} = '{value_before}'")

    def _values(self, names: Collection[str]) -> dict[str, str | None]:
        listed = ", ".join(f"'{n}'" for n in sorted(names))
        query = f"SELECT name, value FROM information_schema.df_settings WHERE name IN ({listed})"
        try:
            rows = self._context.sql(query).to_pylist()
        except Exception as error:
            if not isinstance(translate(error), UnknownTableError):
                raise
            # The context does not show its settings: it does for a moment.
            self._context.sql(f"SET {_INFORMATION} = 'true'")
            try:
                rows = self._context.sql(query).to_pylist()
            finally:
                self._context.sql(f"SET {_INFORMATION} = 'false'")
        return {row["name"]: row["value"] for row in rows}
