"""Tokens -> queries: WITH, blocks, set operations, and what closes them.

WITH names hide tables where they are in scope: in the WITH queries that follow, in the query's body and everything nested in it; a recursive one in
itself too.
"""

from __future__ import annotations

from lakesql.sql.keywords import QUERY_STARTS, SET_OPERATIONS
from lakesql.sql.outline import Cte, Expression, Query, Select
from lakesql.sql.relations import RelationReader
from lakesql.sql.tokens import Span, TokenKind

_LIST_CLAUSES = frozenset((("SORT", "BY"), ("CLUSTER", "BY"), ("DISTRIBUTE", "BY")))


class QueryReader(RelationReader):
    """Reads queries."""

    def query(self) -> Query:
        outer = self.ctes
        query = Query()
        start = self.token.start
        with self.nested():
            if self.at("WITH"):
                self._with(query)
            self._body(query)
            self._tail(query)
        self.ctes = outer
        query.span = self.since(start)
        return query

    def begins_query(self) -> bool:
        """Whether a query comes next, brackets around its start aside."""
        ahead = 0
        while self.ahead(ahead).key == "(":
            ahead += 1
        return self.ahead(ahead).key in QUERY_STARTS or (not ahead and self.begins_diff())

    def _with(self, query: Query) -> None:
        self.take()
        recursive = self.accept("RECURSIVE")
        while True:
            cte = Cte(self.name("the name of a WITH query"))
            if self.at("("):
                cte.columns = self.names()
            self.expect("AS", f"after {cte.name.text}")
            self.accept("NOT")
            self.accept("MATERIALIZED")
            opener = self.expect("(", "before a WITH query")
            before = self.ctes
            if recursive:
                self.ctes = {**before, cte.name.folded: cte}
            cte.query = self.query()
            if not self.at(")"):
                raise self.error(f'expected ) for the "(" of {cte.name.text}, found {self.shown()}', None if not self.at_end else opener)
            self.take()
            self.ctes = {**before, cte.name.folded: cte}
            query.ctes.append(cte)
            if not self.accept(","):
                return

    def _body(self, query: Query) -> None:
        query.operands.append(self._block())
        while self.at_any(SET_OPERATIONS):
            self.take()
            if not self.accept("ALL"):
                self.accept("DISTINCT")
            self.accept("BY", "NAME")
            query.operands.append(self._block())

    def _block(self) -> Select | Query:
        match self.token.key:
            case "(":
                opener = self.take()
                inner = self.query()
                if not self.at(")"):
                    raise self.error(f"expected ) at the end of a subquery, found {self.shown()}", opener if self.at_end else None)
                self.take()
                return inner
            case "SELECT":
                return self._select()
            case "FROM":
                return self._from_first()
            case "VALUES":
                return self._values()
            case "TABLE":
                return self._table()
            case "DIFF" if self.begins_diff():
                difference = self.diff_statement()
                self._clauses(difference)
                return difference
        raise self.error(f"expected a query, found {self.shown()}", hint="a query begins with SELECT, WITH, FROM, VALUES, TABLE or a bracket")

    def _select(self) -> Select:
        select = Select()
        self._select_list(select)
        self._clauses(select)
        return select

    def _select_list(self, select: Select) -> None:
        self.take()
        if self.accept("DISTINCT"):
            if self.accept("ON"):
                select.after += self.group().parts
        else:
            self.accept("ALL")
        if self.at("TOP") and self.ahead().kind is TokenKind.NUMBER:
            self.index += 2
        select.items = self.items()
        if self.at("FROM"):
            self.take()
            self.sources(select)

    def _from_first(self) -> Select:
        """`FROM t [SELECT items]`: without SELECT all columns."""
        select = Select()
        start = self.take().start
        self.sources(select)
        if self.at("SELECT"):
            self._select_list(select)
        else:
            select.from_first = start
        self._clauses(select)
        return select

    def _values(self) -> Select:
        self.take()
        select = Select()
        while True:
            self.accept("ROW")
            if not self.at("("):
                raise self.error(f"expected ( after VALUES, found {self.shown()}")
            select.conditions += self.group().parts
            if not self.accept(","):
                return select

    def _table(self) -> Select:
        select = Select(table=self.take().span)
        self.factor(select)
        return select

    def _clauses(self, select: Select) -> None:
        """WHERE, GROUP BY, HAVING, WINDOW, QUALIFY, in any order: which order is right, the engine says."""
        while True:
            if self.accept("WHERE"):
                select.conditions.append(self.expression())
            elif self.at("GROUP", "BY"):
                self.index += 2
                self.accept("ALL")
                select.after += self.expressions()
                if self.at("WITH") and self.ahead().key in ("ROLLUP", "CUBE", "TOTALS"):
                    raise self.ignored(f"GROUP BY ... WITH {self.ahead().key}", "write GROUP BY ROLLUP (...), CUBE (...) or GROUPING SETS (...)")
            elif self.at("HAVING") or self.at("QUALIFY"):
                self.take()
                select.after.append(self.expression())
            elif (self.token.key, self.ahead().key) in _LIST_CLAUSES:
                self.index += 2
                select.after += self.expressions(ordering=True)
            elif self.at("WINDOW"):
                self._windows(select)
            else:
                return

    def _windows(self, select: Select) -> None:
        self.take()
        while self.token.is_name:
            self.take()
            self.expect("AS", "in WINDOW")
            if self.at("("):
                select.after.append(Expression((self.window(),), self.previous.span))
            else:
                self.take()
            if not self.accept(","):
                return

    def _tail(self, query: Query) -> None:
        """ORDER BY, LIMIT, OFFSET, FETCH, FOR."""
        only = query.operands[0] if len(query.operands) == 1 else None
        into = only.after if isinstance(only, Select) else query.order
        while True:
            if self.at("ORDER", "BY"):
                self.index += 2
                into += self.expressions(ordering=True)
            elif self.at("LIMIT") or self.at("OFFSET"):
                self.take()
                into += self.expressions()
                if self.at("ROW") or self.at("ROWS"):
                    self.take()
            elif self.at("FETCH") and self.ahead().key in ("FIRST", "NEXT"):
                query.fetch = self._fetch()
            elif self.at("FOR") and self.ahead().key in ("UPDATE", "SHARE", "READ"):
                self.index += 2
                self.accept("ONLY")
            else:
                return

    def _fetch(self) -> tuple[Span, Span | None]:
        """`FETCH FIRST [n] ROWS ONLY`."""
        start = self.token.start
        self.index += 2
        count = None if self.at("ROW") or self.at("ROWS") else self.take().span
        if not (self.accept("ROW") or self.accept("ROWS")):
            raise self.error(f"expected ROWS after FETCH FIRST, found {self.shown()}")
        self.expect("ONLY", "after FETCH FIRST ... ROWS")
        return self.since(start), count
