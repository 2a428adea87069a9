"""Tokens -> differences of two states: the statement `DIFF ...`, and the relation `DIFF(...)` in FROM.

    DIFF [STAT] t [state] [, [u] [state]] [ON (key)] [WITH (updates = false)] [STAT]
    DIFF(t, a[, b]), DIFF(t, [a,] u[, b]), with `key => (a, b)`, `updates => false`; DIFF_STAT(...) in the same ways

A state is `VERSION x`, `TIMESTAMP x`, or any clause that may follow a table's name. Inside brackets a number or text alone is a version, tag or branch. A
second state without a table is of the first one; where no second is named at all, it is the table as it stands.
"""

from __future__ import annotations

from dataclasses import replace

from lakesql.sql.clauses import TIME_WORDS, VERSION_WORDS
from lakesql.sql.mentions import MentionReader
from lakesql.sql.outline import Relation, Select
from lakesql.sql.statement import AtClause, AtKind, DiffClause, Mention
from lakesql.sql.tokens import Token, TokenKind, words

DIFF, DIFF_STAT = "diff", "diff_stat"
"""The relations that are read here."""

_Options = tuple[tuple[str, str | bool | tuple[str, ...]], ...]
_STATE_WORDS = VERSION_WORDS | TIME_WORDS
_AFTER_A_NAME = words("ON WITH STAT WHERE GROUP HAVING ORDER LIMIT OFFSET FETCH UNION") | {",", ")", ".", ";"}
"""What follows VERSION or TIMESTAMP where that is a table's name; so does the text's end."""


class DiffReader(MentionReader):
    """Reads differences, each as one mention of its first table."""

    def begins_diff(self) -> bool:
        """Whether a DIFF statement comes next, and not a table or column of that name."""
        return self.at("DIFF") and (self.ahead().is_name or self.ahead().kind is TokenKind.STRING)

    def diff_statement(self) -> Select:
        """All of `DIFF ...` up to the clauses of queries (WHERE, ORDER BY), as a block that selects everything of the difference."""
        verb = self.take()
        stat = self.at("STAT") and self._stat_is_prefix()
        if stat:
            self.take()
        select = Select(table=self.since(verb.start))
        start = self.token.start
        first = self._diff_operand()
        second: Mention | None = None
        if self.accept(","):
            here = self.token.start
            state = self._diff_state()
            second = self._diff_operand() if state is None else replace(first, at=state, span=self.since(here))
        elif first.at is None:
            raise self.error("a difference is of two states; only one is named", hint="write DIFF t VERSION 3, VERSION 7 or DIFF t, u")
        options = self._diff_options()
        stat = self.accept("STAT") or stat
        self._note_diff(select, first, second, options, stat, start)
        return select

    def diff_relation(self, select: Select, name: str, start: int) -> None:
        """`DIFF(...)` from its bracket on, with its alias. name: DIFF or DIFF_STAT."""
        opener = self.take()
        first = self._diff_operand(in_text=True)
        second: Mention | None = None
        states = [first.at] if first.at is not None else []
        others: list[AtClause] = []
        options: _Options = ()
        while self.accept(","):
            at = self.token
            if self.token.is_name and self.ahead().key == "=>":
                options = (*options, self._diff_option())
            elif self._diff_is_table():
                if second is not None:
                    raise self.error("a difference is of two states; here a third table begins", at)
                second = self._diff_operand(in_text=True)
                others += [second.at] if second.at is not None else []
            else:
                (states if second is None else others).append(self._diff_argument())
                if len(states) > (2 if second is None else 1) or len(others) > 1:
                    raise self.error("a difference is of two states; this is one too many", at)
        options = (*options, *self._diff_options())
        stat = self.accept("STAT") or name == DIFF_STAT
        if not self.at(")"):
            raise self.error(f"expected , or ) in {name.upper()}(...), found {self.shown()}", opener if self.at_end else None)
        self.take()
        if second is not None and len(states) > 1:
            raise self.error("a table has one state in a difference", self.previous, hint=f"write {name.upper()}(t, a, u, b)")
        if second is None and not states:
            raise self.error("a difference is of two states; only one is named", self.previous, hint=f"write {name.upper()}(t, 3, 7) or {name.upper()}(t, u)")
        first = replace(first, at=states[0] if states else None)
        if second is not None:
            second = replace(second, at=others[0] if others else None)
        elif len(states) > 1:
            second = replace(first, at=states[1])
        self._note_diff(select, first, second, options, stat, start)

    # Parts ---------------------------------------------------------------------------------------------------------------------------------------

    def _note_diff(self, select: Select, first: Mention, second: Mention | None, options: _Options, stat: bool, start: int) -> None:
        """Notes the mention and its alias."""
        span = self.since(start)
        clause = DiffClause(second or replace(first, at=None), stat, options, span)
        relation = Relation(None)
        if select.table is None:
            self._read_alias(relation)
        alias = relation.alias
        mention = replace(
            first,
            span=span,
            name_span=span,
            diff=clause,
            alias=alias.folded if alias is not None else None,
            alias_span=alias.span if alias is not None else None,
        )
        self.mentions.append(mention)
        select.relations.append(Relation(mention, alias, relation.columns, self.since(start)))

    def _diff_operand(self, *, in_text: bool = False) -> Mention:
        """A table with its state. in_text: a text is a table's name too, and not only a path."""
        token = self.token
        if token.kind is not TokenKind.STRING and not token.is_name:
            raise self.error(f"expected a table to compare, found {self.shown()}")
        if in_text and token.kind is TokenKind.STRING and not _is_path(token):
            self.take()
            mention = self.mention_in(token, token.span)
            options = self.hint_options()
            at: AtClause | None = None
        else:
            path, names, at = self._table_name()
            if path is None and len(names) == 1 and names[0].folded in self.ctes:
                raise self.error(f'"{names[0].text}" is a WITH query, which has no states to compare', token, hint="EXCEPT ALL compares queries")
            options = self.hint_options()
            mention = self.mention_of(path, names, at, self.since(token.start))
        if at is None:
            at = self._diff_state()
        return replace(mention, at=at, options=options + self.hint_options(), span=self.since(token.start))

    def _diff_state(self) -> AtClause | None:
        """A state's clause, None where none comes."""
        found = self.at_clause()
        return self._bound() if found is None and self._at_state() else found

    def _at_state(self) -> bool:
        """Whether VERSION or TIMESTAMP comes next, and not as a table's name."""
        after = self.ahead()
        return self.at_any(_STATE_WORDS) and after.kind is not TokenKind.END and after.key not in _AFTER_A_NAME

    def _diff_argument(self) -> AtClause:
        """A state inside brackets: `3`, `'tag'`, `TIMESTAMP '...'`, an expression that is an instant."""
        found = self._diff_state()
        if found is not None:
            return found
        is_time = self.token.key == "DATE" or self.token.is_name
        if not is_time and self.token.kind not in (TokenKind.NUMBER, TokenKind.STRING, TokenKind.PLACEHOLDER) and not self.at("-"):
            raise self.error(f"expected a version, an instant or a table, found {self.shown()}")
        return self._point(AtKind.TIMESTAMP if is_time else AtKind.VERSION, self.token.start)

    def _diff_is_table(self) -> bool:
        """Whether an argument is a table, and not a state."""
        if self.token.kind is TokenKind.STRING:
            return _is_path(self.token)
        if not self.token.is_name or self.ahead().key == "(" or (self.token.key == "DATE" and self.ahead().kind is TokenKind.STRING):
            return False
        return not self._at_state()

    def _stat_is_prefix(self) -> bool:
        """Whether the word that comes next stands before a table's name, and is not itself one."""
        after = self.ahead()
        return after.kind is TokenKind.STRING or (after.is_name and after.key not in _STATE_WORDS | {"FOR", "AT", "ON", "WITH", "WHERE"})

    def _diff_options(self) -> _Options:
        """`ON (a, b)` and `WITH (...)`."""
        options: _Options = ()
        if self.accept("ON"):
            options = (("key", tuple(n.folded for n in self.names())),)
        if self.at("WITH", "("):
            options = (*options, *self._options())
        return options

    def _diff_option(self) -> tuple[str, str | bool | tuple[str, ...]]:
        name = self.name("an option's name").folded
        self.take()
        return name, self._option_value()


def _is_path(token: Token) -> bool:
    return "/" in token.value or "\\" in token.value
