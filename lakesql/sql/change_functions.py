"""Tokens -> changes asked for by functions, each with the bounds of the engine that has it.

table_changes('t', a[, b])                                   Spark, Databricks: both included; numbers are versions, texts are times
TABLE(system.table_changes('s', 't', a[, b]))                Trino: after a, up to b; also with names: schema_name, table_name, start_snapshot_id,
                                                             end_snapshot_id, since_version, and with a catalog before `system`
paimon_incremental_query('t', a, b) and its kind             Paimon: the table with the scan option that says so
"""

from __future__ import annotations

from dataclasses import replace

from lakesql.sql.differences import DiffReader
from lakesql.sql.outline import Name, Select
from lakesql.sql.statement import AtClause, AtKind, ChangesClause, Mention
from lakesql.sql.tokens import Span, Token, TokenKind

INCREMENTS = {
    "paimon_incremental_query": ("incremental-between", 2),
    "paimon_incremental_between_timestamp": ("incremental-between-timestamp", 2),
    "paimon_incremental_to_auto_tag": ("incremental-to-auto-tag", 1),
}
"""Paimon's functions, each with the scan option that it stands for and how many values that takes."""

TABLE_CHANGES, _SYSTEM, _HUDI = "table_changes", "system", "hudi_table_changes"

_TRINO_NAMES = ("schema_name", "table_name", "start_snapshot_id", "end_snapshot_id")
_SINCE = "since_version"


class ChangeFunctionReader(DiffReader):
    """Reads functions that give changes."""

    def change_function(self, select: Select, names: tuple[Name, ...], start: int) -> bool:
        """Reads the function of this name, whose bracket comes next, where it is one of changes; whether it was. start: where the call begins."""
        name = names[-1].folded
        if name == TABLE_CHANGES and len(names) == 1:
            self._table_changes(select, start)
        elif name == TABLE_CHANGES and len(names) <= 3 and names[-2].folded == _SYSTEM:
            self.noted_call(select, self._trino_changes(names[:-2], start), start)
        elif name in INCREMENTS:
            self._increment(select, start, name)
        elif name == _HUDI and len(names) == 1:
            raise self.error("hudi_table_changes is not supported: Hudi tables are not read yet", self.tokens[self.index - 1])
        else:
            return False
        return True

    def wrapped_change_function(self, select: Select, start: int) -> bool:
        """`TABLE(system.table_changes(...))`, taken where it comes next; whether it did."""
        before = self.index
        self.index += 2
        names = self.dotted("a table function") if self.token.is_name else ()
        if not names or not self.at("(") or names[-1].folded != TABLE_CHANGES or len(names) > 3 or (len(names) > 1 and names[-2].folded != _SYSTEM):
            self.index = before
            return False
        inner = self.token.start
        if len(names) == 1:
            mention = self._spark_changes(inner)
        else:
            mention = self._trino_changes(names[:-2], inner)
        self.close(start)
        self.noted_call(select, mention, start)
        return True

    def check_changes(self) -> None:
        """`CHECK CHANGES t [range]`: the table and its range, which may be spelled as in queries or begin with FROM, as one mention."""
        self.index += 2
        if self.at("TABLE_CHANGES", "("):
            start = self.take().start
            self._table_changes(Select(), start)
            return
        mention = self.mention()
        if self.at("FROM"):
            if mention.changes is not None or mention.at is not None:
                raise self.error("a table takes one version, time or range of changes")
            changes = self.range_clause(self.token.start)
            self.mentions[-1] = replace(mention, span=self.since(mention.span.start), changes=changes)

    def _table_changes(self, select: Select, start: int) -> None:
        self.noted_call(select, self._spark_changes(start), start)

    def _spark_changes(self, start: int) -> Mention:
        """`('t', a[, b])`: `t CHANGES FROM a [TO b]`."""
        self.take()
        if self.token.kind is not TokenKind.STRING:
            raise self.error(f"expected a table's name in quotes, found {self.shown()}")
        name = self.take()
        self.expect(",", "after the table's name")
        edges = [self._edge()]
        if self.accept(","):
            edges.append(self._edge())
        if not self.at(")"):
            raise self.error(f"expected ) after the range, found {self.shown()}", hint="table_changes takes a table, a start and perhaps an end")
        self.take()
        span = self.since(start)
        clause = ChangesClause(edges[0], edges[1] if len(edges) > 1 else None, start_exclusive=False, end_exclusive=False, options=(), span=span)
        return replace(self.mention_in(name, span), changes=clause)

    def _increment(self, select: Select, start: int, function: str) -> None:
        """`paimon_incremental_query('t', a, b)` and its kind: the table with a scan option, its values being literals."""
        option, count = INCREMENTS[function]
        self.take()
        if self.token.kind is not TokenKind.STRING:
            raise self.error(f"expected a table's name in quotes, found {self.shown()}")
        name = self.take()
        values: list[str] = []
        for _ in range(count):
            self.expect(",", f"after the {'table' if not values else 'start'}: {function} takes a table and {count} value{'s' if count > 1 else ''}")
            if self.token.kind not in (TokenKind.STRING, TokenKind.NUMBER):
                raise self.error(f"expected a number or a text, found {self.shown()}", hint=f"{function} takes literals")
            values.append(self.take().value.strip())
        if not self.at(")"):
            raise self.error(f"expected ) after the values, found {self.shown()}", hint=f"{function} takes a table and {count} value{'s' if count > 1 else ''}")
        self.take()
        mention = replace(self.mention_in(name, self.since(start)), options=((option, ",".join(values)),))
        self.noted_call(select, mention, start)

    def _trino_changes(self, catalog: tuple[Name, ...], start: int) -> Mention:
        """`('s', 't', a[, b])`, or with names: `s.t CHANGES FROM VERSION a EXCLUSIVE [TO VERSION b]`."""
        opener = self.take()
        given: dict[str, Token | AtClause] = {}
        while not self.at(")"):
            self._trino_argument(given)
            if not self.accept(",") and not self.at(")"):
                raise self.error(f"expected , or ) after this argument, found {self.shown()}", opener if self.at_end else None)
        closer = self.take()
        table, first = given.get("table_name"), given.get(_SINCE, given.get("start_snapshot_id"))
        if not isinstance(table, Token):
            raise self.error("table_changes needs a table's name", closer, hint="write table_changes('schema', 'table', start, end)")
        if not isinstance(first, AtClause):
            raise self.error("table_changes needs the version that changes begin after", closer, hint='"t$changes" gives all that the table tells')
        last, schema = given.get("end_snapshot_id"), given.get("schema_name")
        span = self.since(start)
        if isinstance(schema, Token) or catalog:
            names = (*catalog, *(_named(t) for t in (schema, table) if isinstance(t, Token)))
            mention = self.mention_of(None, names, None, span)
        else:
            mention = self.mention_in(table, span)
        clause = ChangesClause(first, last if isinstance(last, AtClause) else None, start_exclusive=True, end_exclusive=False, options=(), span=span)
        return replace(mention, changes=clause)

    def _trino_argument(self, given: dict[str, Token | AtClause]) -> None:
        """One argument, with its name or by its place: texts are names, the table's last, and what follows are versions."""
        at = self.token
        if self.token.is_name and self.ahead().key == "=>":
            name = self.take().value.lower()
            self.take()
            if name not in (*_TRINO_NAMES, _SINCE):
                raise self.error(f'table_changes has no argument "{name}"', at, hint=f"it has {', '.join((*_TRINO_NAMES, _SINCE))}")
        elif self.token.kind is TokenKind.STRING and "start_snapshot_id" not in given:
            if "table_name" in given:
                given["schema_name"] = given.pop("table_name")
            name = "table_name"
        else:
            name = "end_snapshot_id" if "start_snapshot_id" in given else "start_snapshot_id"
        if name in given or (name == _SINCE and "start_snapshot_id" in given):
            raise self.error(f"table_changes is given {name} twice, or too many arguments", at)
        if name not in ("schema_name", "table_name"):
            given[name] = self._point(AtKind.VERSION, self.token.start)
        elif self.token.kind is TokenKind.STRING:
            given[name] = self.take()
        else:
            raise self.error(f"expected a name in quotes, found {self.shown()}")

    def _edge(self) -> AtClause:
        kind = AtKind.TIMESTAMP if self.token.kind is TokenKind.STRING or self.token.key in ("TIMESTAMP", "DATE") else AtKind.VERSION
        return self._point(kind, self.token.start)


def _named(token: Token) -> Name:
    """A text as the name it holds, in any case."""
    return Name(token.value, False, Span(token.start, token.end))
