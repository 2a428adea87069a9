"""Tokens -> the members of FROM: tables, subqueries, functions, and how they are joined."""

from __future__ import annotations

from lakesql.sql.change_functions import ChangeFunctionReader
from lakesql.sql.cursor import as_name
from lakesql.sql.differences import DIFF, DIFF_STAT
from lakesql.sql.keywords import JOIN_WORDS, NO_TABLE_ALIAS, QUERY_STARTS, SET_OPERATIONS
from lakesql.sql.outline import Reference, Relation, Select
from lakesql.sql.tokens import Token, TokenKind


class RelationReader(ChangeFunctionReader):
    """Reads FROM."""

    def sources(self, select: Select) -> None:
        self._joined(select)
        while self.accept(","):
            if self.token.key in NO_TABLE_ALIAS and self.token.key != "LATERAL" and not self.ahead().is_name:  # a trailing comma
                return
            self._joined(select)

    def factor(self, select: Select) -> None:
        """One table, subquery, function or bracketed join."""
        start = self.token.start
        self.accept("LATERAL")
        if self.at("("):
            self._bracketed(select, start)
        elif self.token.kind is TokenKind.STRING:
            self.table(select)
        elif self.at("TABLE", "(") and self.wrapped_change_function(select, start):
            pass
        elif self.at("TABLE", "(") or self.at("VALUES", "("):
            self.take()
            select.conditions += self.group(in_call=True).parts
            self.aliased(select, Relation(None, span=self.since(start)))
        elif self.token.is_name:
            self._named_factor(select, start)
        else:
            raise self.error(f"expected a table, found {self.shown()}")
        if self.at("TABLESAMPLE") or (self.at("SAMPLE") and (self.ahead().key == "(" or self.ahead().kind is TokenKind.NUMBER)):
            raise self.ignored(self.token.key, "filter or limit the rows instead")
        if self.at("PARTITION", "("):
            raise self.ignored("PARTITION (...)", "write the partition as a condition in WHERE")

    def _joined(self, select: Select) -> None:
        """One member of FROM with its joins."""
        self.factor(select)
        while True:
            if self.at("LATERAL", "VIEW"):
                self._lateral_view(select)
            elif self._join_words(select):
                self.factor(select)
                self._join_condition(select)
            else:
                return

    def _join_words(self, select: Select) -> bool:
        ahead = 0
        while self.ahead(ahead).key in JOIN_WORDS:
            ahead += 1
        if self.ahead(ahead).key not in ("JOIN", "APPLY"):
            return False
        select.natural |= any(self.ahead(i).key == "NATURAL" for i in range(ahead))
        self.index += ahead + 1
        return True

    def _join_condition(self, select: Select) -> None:
        if self.accept("MATCH_CONDITION"):
            select.conditions += self.group().parts
        if self.accept("ON"):
            select.conditions.append(self.expression())
        elif self.at("USING", "("):
            self.take()
            select.using += [Reference((name,), name.span) for name in self.names()]

    def _bracketed(self, select: Select, start: int) -> None:
        ahead = 1
        while self.ahead(ahead).key == "(":
            ahead += 1
        opener = self.take()
        if self.ahead(ahead - 1).key in QUERY_STARTS and (ahead == 1 or self._query_in_brackets()):
            query = self.query()
            self._closing(opener)
            self.aliased(select, Relation(query, span=self.since(start)))
            return
        with self.nested():
            self._joined(select)
        self._closing(opener)
        if self.at("AS") or (self.token.is_name and self.token.key not in NO_TABLE_ALIAS):
            # The join's alias hides its members' names; whose columns they are is no longer known.
            self.aliased(select, Relation(None, span=self.since(start)))

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
        if self.at("(") and self.change_function(select, names, start):
            return
        if self.at("(") and len(names) == 1 and names[0].folded in (DIFF, DIFF_STAT):
            self.diff_relation(select, names[0].folded, start)
            return
        if self.at("("):
            select.conditions += self.group(in_call=True).parts
            self.aliased(select, Relation(None, span=self.since(start)))
            return
        self.index = before
        self.table(select)

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
