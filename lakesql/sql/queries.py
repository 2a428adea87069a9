"""Tokens -> queries: their blocks, and every place in them where a table stands.

WITH names hide tables where they are in scope: in the WITH queries that follow, in the query's body and everything nested in it; a recursive one in
itself too.
"""

from __future__ import annotations

from collections.abc import Mapping

from lakesql.sql.clauses import ClauseReader
from lakesql.sql.cursor import as_name
from lakesql.sql.expressions import QUERY_STARTS
from lakesql.sql.outline import Cte, Expression, Name, Query, Reference, Relation, Select
from lakesql.sql.statement import AtClause, ChangesClause, Mention, TableFunction
from lakesql.sql.tokens import Span, Token, TokenKind, words

SET_OPERATIONS = frozenset(("UNION", "INTERSECT", "EXCEPT", "MINUS"))
OWN_FUNCTIONS = frozenset(("table_changes",))
"""Table functions that lakesql answers itself; the engine has the others."""

_JOIN_WORDS = words("NATURAL INNER LEFT RIGHT FULL OUTER CROSS SEMI ANTI ASOF GLOBAL POSITIONAL")
_NO_ALIAS = (
    _JOIN_WORDS
    | SET_OPERATIONS
    | words(
        "ON USING JOIN WHERE GROUP HAVING ORDER LIMIT OFFSET FETCH WINDOW QUALIFY SELECT FROM WITH FOR LATERAL TABLESAMPLE SAMPLE SORT CLUSTER DISTRIBUTE "
        "PIVOT UNPIVOT MATCH_RECOGNIZE MATCH_CONDITION RETURNING SET VALUES INTO APPLY TO STORED PARTITIONED OPTIONS CONNECT START PREWHERE AS"
    )
)
_LIST_CLAUSES = frozenset((("GROUP", "BY"), ("ORDER", "BY"), ("SORT", "BY"), ("CLUSTER", "BY"), ("DISTRIBUTE", "BY")))


class QueryReader(ClauseReader):
    """Reads queries, and notes mentions and lakesql's own table functions on the way."""

    mentions: list[Mention]
    functions: list[TableFunction]
    _ctes: Mapping[str, Cte]

    def start(self) -> None:
        """Forgets what was noted."""
        self.mentions, self.functions, self._ctes = [], [], {}

    def query(self) -> Query:
        outer = self._ctes
        query = Query()
        start = self.token.start
        with self.nested():
            if self.at("WITH"):
                self._with(query)
            self._body(query)
            self._tail(query)
        self._ctes = outer
        query.span = self.since(start)
        return query

    def begins_query(self) -> bool:
        """Whether a query comes next, brackets around its start aside."""
        ahead = 0
        while self.ahead(ahead).key == "(":
            ahead += 1
        return self.ahead(ahead).key in QUERY_STARTS

    # WITH ----------------------------------------------------------------------------------------------------------------------------------------

    def _with(self, query: Query) -> None:
        self.take()
        recursive = self.accept("RECURSIVE")
        while True:
            cte = Cte(self.name("the name of a WITH query"))
            if self.at("("):
                cte.columns = self._names()
            self.expect("AS", f"after {cte.name.text}")
            self.accept("NOT")
            self.accept("MATERIALIZED")
            opener = self.expect("(", "before a WITH query")
            before = self._ctes
            if recursive:
                self._ctes = {**before, cte.name.folded: cte}
            cte.query = self.query()
            if not self.at(")"):
                raise self.error(f'expected ) for the "(" of {cte.name.text}, found {self.shown()}', None if not self.at_end else opener)
            self.take()
            self._ctes = {**before, cte.name.folded: cte}
            query.ctes.append(cte)
            if not self.accept(","):
                return

    # Blocks and set operations -------------------------------------------------------------------------------------------------------------------

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
            self._from(select)

    def _from_first(self) -> Select:
        """`FROM t [SELECT items]`: without SELECT all columns."""
        select = Select()
        start = self.take().start
        self._from(select)
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
        self._factor(select)
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
            elif (self.token.key, self.ahead().key) in _LIST_CLAUSES and not self.at("ORDER"):
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

    # FROM ----------------------------------------------------------------------------------------------------------------------------------------

    def _from(self, select: Select) -> None:
        self._joined(select)
        while self.accept(","):
            if self.token.key in _NO_ALIAS and self.token.key != "LATERAL" and not self.ahead().is_name:  # a trailing comma
                return
            self._joined(select)

    def _joined(self, select: Select) -> None:
        """One member of FROM with its joins."""
        self._factor(select)
        while True:
            if self.at("LATERAL", "VIEW"):
                self._lateral_view(select)
            elif self._join_words(select):
                self._factor(select)
                self._join_condition(select)
            else:
                return

    def _join_words(self, select: Select) -> bool:
        ahead = 0
        while self.ahead(ahead).key in _JOIN_WORDS:
            ahead += 1
        if self.ahead(ahead).key not in ("JOIN", "APPLY"):
            return False
        select.names_merged |= any(self.ahead(i).key == "NATURAL" for i in range(ahead))
        self.index += ahead + 1
        return True

    def _join_condition(self, select: Select) -> None:
        if self.accept("MATCH_CONDITION"):
            select.conditions += self.group().parts
        if self.accept("ON"):
            select.conditions.append(self.expression())
        elif self.at("USING", "("):
            self.take()
            select.names_merged = True
            select.using += [Reference((name,), name.span) for name in self._names()]

    def _factor(self, select: Select) -> None:
        """One table, subquery, function or bracketed join."""
        start = self.token.start
        self.accept("LATERAL")
        if self.at("("):
            self._bracketed(select, start)
        elif self.token.kind is TokenKind.STRING:
            self._mention(select)
        elif self.at("TABLE", "(") or self.at("VALUES", "("):
            self.take()
            select.conditions += self.group(in_call=True).parts
            self._alias(select, Relation(None, span=self.since(start)))
        elif self.token.is_name:
            self._named_factor(select, start)
        else:
            raise self.error(f"expected a table, found {self.shown()}")
        if self.at("TABLESAMPLE") or (self.at("SAMPLE") and (self.ahead().key == "(" or self.ahead().kind is TokenKind.NUMBER)):
            raise self.ignored(self.token.key, "filter or limit the rows instead")
        if self.at("PARTITION", "("):
            raise self.ignored("PARTITION (...)", "write the partition as a condition in WHERE")

    def _bracketed(self, select: Select, start: int) -> None:
        ahead = 1
        while self.ahead(ahead).key == "(":
            ahead += 1
        opener = self.take()
        if self.ahead(ahead - 1).key in QUERY_STARTS and (ahead == 1 or self._query_in_brackets()):
            query = self.query()
            self._closing(opener)
            self._alias(select, Relation(query, span=self.since(start)))
            return
        with self.nested():
            self._joined(select)
        self._closing(opener)
        if self.at("AS") or (self.token.is_name and self.token.key not in _NO_ALIAS):
            # The join's alias hides its members' names; whose columns they are is no longer known.
            self._alias(select, Relation(None, span=self.since(start)))

    def _query_in_brackets(self) -> bool:
        """Whether the brackets that come next are a query's operand, `((SELECT ..) UNION ..)`, and not a joined subquery, `((SELECT ..) a JOIN b)`."""
        before = self.index
        while self.at("("):
            self.skip_brackets()
        after = self.token.key
        self.index = before
        return after in SET_OPERATIONS or after in (")", "ORDER", "LIMIT", "OFFSET", "FETCH")

    def _closing(self, opener: Token) -> None:
        if not self.at(")"):
            raise self.error(f'expected ) for the "(" of this FROM, found {self.shown()}', opener if self.at_end else None)
        self.take()

    def _named_factor(self, select: Select, start: int) -> None:
        before = self.index
        names = self.dotted("a table")
        if self.at("("):
            arguments = self.group(in_call=True)
            select.conditions += arguments.parts
            function = names[-1].folded
            if function in OWN_FUNCTIONS:
                self.functions.append(TableFunction(function, tuple(p.span.of(self.text) for p in arguments.parts), self.since(start)))
            self._alias(select, Relation(None, span=self.since(start)))
            return
        self.index = before
        self._mention(select)

    def _lateral_view(self, select: Select) -> None:
        self.index += 2
        self.accept("OUTER")
        select.conditions.append(self.expression())
        relation = Relation(None)
        if self.token.is_name and not self.at("AS"):
            relation.alias = as_name(self.take())
        if self.accept("AS"):
            columns = [self.name("a column")]
            while self.accept(","):
                columns.append(self.name("a column"))
            relation.columns = tuple(columns)
        select.relations.append(relation)

    # Tables --------------------------------------------------------------------------------------------------------------------------------------

    def mention(self) -> Mention:
        """Reads a table's name with its clauses, where no query is (DESCRIBE t)."""
        select = Select()
        self._mention(select)
        return self.mentions[-1]

    def _mention(self, select: Select) -> None:
        """A table's name, its clauses and its alias, in either order."""
        start = self.token.start
        path, names, at = self._table_name()
        name_span = self.since(start)
        clauses: list[Span] = []
        changes: ChangesClause | None = None
        options = self.hint_options()
        relation = Relation(None)
        end = name_span.end
        if at is not None:
            clauses.append(at.span)
        for _ in range(3):
            clause = self._clause(at, changes)
            if clause is None:
                if relation.alias is not None:
                    break
                self._read_alias(relation)
                options += self.hint_options()
                continue
            at = clause if isinstance(clause, AtClause) else at
            changes = clause if isinstance(clause, ChangesClause) else changes
            clauses.append(clause.span)
            options += self.hint_options()
            end = clause.span.end
        cte = self._cte(names, path)
        if cte is not None:
            if at is not None or changes is not None:
                raise self._versioned_cte(cte, at or changes)
            select.relations.append(Relation(cte, relation.alias, relation.columns, self.since(start)))
            return
        name, quoted, metadata = _parts(names, at)
        if path is not None:
            path, metadata = _path_parts(path)
        mention = Mention(
            Span(start, end),
            Span(start, at.span.start) if at is not None and at.span.end == name_span.end else name_span,
            name,
            quoted,
            path,
            metadata,
            at,
            changes,
            options,
            relation.alias.folded if relation.alias is not None else None,
            relation.alias.span if relation.alias is not None else None,
            tuple(clauses),
        )
        self.mentions.append(mention)
        select.relations.append(Relation(mention, relation.alias, relation.columns, self.since(start)))

    def _table_name(self) -> tuple[str | None, tuple[Name, ...], AtClause | None]:
        """A path, or a dotted name without its version; and that version."""
        path: str | None = None
        names: tuple[Name, ...] = ()
        if self.token.kind is TokenKind.STRING:
            path = self.take().value
        else:
            names = self.dotted("a table")
            at = self.suffix(self.previous)
            if at is not None:
                last = names[-1]
                bare = Name(last.text[: at.span.start - last.span.start], False, Span(last.span.start, at.span.start))
                return path, (*names[:-1], bare), at
        if self.token.start == self.previous.end and self.token.text.startswith("@"):
            at = self.suffix(self.token)
            if at is not None:
                self.take()
                return path, names, at
        return path, names, None

    def _clause(self, at: AtClause | None, changes: ChangesClause | None) -> AtClause | ChangesClause | None:
        token = self.token
        found = self.at_clause() or self.changes_clause()
        if found is not None and (at is not None or changes is not None):
            raise self.error("a table takes one version, time or range of changes", token)
        return found

    def _cte(self, names: tuple[Name, ...], path: str | None) -> Cte | None:
        return self._ctes.get(names[0].folded) if path is None and len(names) == 1 else None

    def _versioned_cte(self, cte: Cte, clause: AtClause | ChangesClause | None) -> Exception:
        assert clause is not None
        token = next(t for t in self.tokens if t.end > clause.span.start)
        return self.error(
            f'"{cte.name.text}" is a WITH query, which has no versions', token, hint="give the version to the table inside it, or another name to the query"
        )

    def _alias(self, select: Select, relation: Relation) -> None:
        self._read_alias(relation)
        select.relations.append(relation)

    def _read_alias(self, relation: Relation) -> None:
        if self.accept("AS"):
            relation.alias = self.name("an alias")
        elif self.token.is_name and self.token.key not in _NO_ALIAS and not self.token.text.startswith("@") and not self.at("PARTITION", "("):
            relation.alias = as_name(self.take())
        if relation.alias is not None and self.at("("):
            relation.columns = self._names()

    def _names(self) -> tuple[Name, ...]:
        """`(a, b)`, types after the names aside."""
        self.expect("(", "before a list of names")
        names = [self.name("a name")]
        while not self.at(")"):
            if self.at_end:
                raise self.error("this list of names does not end: no closing ) follows", self.tokens[self.index - 1])
            if self.accept(","):
                names.append(self.name("a name"))
            elif self.at("("):
                self.skip_brackets()
            else:
                self.take()
        self.take()
        return tuple(names)


def _parts(names: tuple[Name, ...], at: AtClause | None) -> tuple[tuple[str, ...] | None, tuple[bool, ...], str | None]:
    """A name's parts, whether each was quoted, and what follows the first `$` of the last."""
    if not names:
        return None, (), None
    last, dollar, metadata = names[-1].text.partition("$")
    parts = (*(n.text for n in names[:-1]), last or names[-1].text)
    return parts, tuple(n.quoted for n in names), metadata if dollar and last and metadata else None


def _path_parts(path: str) -> tuple[str, str | None]:
    """A path and what follows the first `$` of its last folder, where that looks like a metadata table."""
    head, slash, last = path.rstrip("/").rpartition("/")
    table, dollar, metadata = last.partition("$")
    if dollar and table and metadata.replace("_", "a").replace("$", "a").isalnum():
        return f"{head}{slash}{table}", metadata
    return path, None
