"""Tokens -> statements about named consumers, and TAIL.

CREATE CONSUMER [IF NOT EXISTS] 'name' ON t [FROM VERSION a [EXCLUSIVE] | FROM TIMESTAMP x | FROM EARLIEST | FROM LATEST]
ADVANCE CONSUMER 'name' [ON t] [TO VERSION b]
RESET CONSUMER 'name' [ON t] [TO | FROM ...]
DROP CONSUMER [IF EXISTS] 'name' [ON t]
SHOW CONSUMERS [ON t] [LIKE 'p%']
TAIL t [[AS] alias] [FROM ... | SINCE CONSUMER 'name'] [WHERE condition] [WITH (option = value, ...)]
"""

from __future__ import annotations

from lakesql.sql.outline import quoted
from lakesql.sql.queries import QueryReader
from lakesql.sql.statement import Action, ConsumerClause, StartClause, TailClause
from lakesql.sql.tokens import TokenKind

_ACTIONS = {a.name: a for a in Action if a is not Action.SHOW}
_AFTER_TABLE = frozenset(("FROM", "SINCE", "WHERE", "WITH"))


class FeedReader(QueryReader):
    """Reads these statements."""

    def begins_consumer_statement(self) -> bool:
        """Whether a statement about consumers comes next."""
        return (self.token.key in _ACTIONS and self.ahead().key == "CONSUMER") or self.at("SHOW", "CONSUMERS")

    def consumer_statement(self) -> tuple[ConsumerClause, str | None]:
        """The statement, and the pattern of its LIKE."""
        if self.accept("SHOW", "CONSUMERS"):
            self._on_table()
            return ConsumerClause(Action.SHOW), self._pattern()
        action = _ACTIONS[self.take().key]
        self.take()
        if_exists = self.accept("IF", "NOT", "EXISTS") if action is Action.CREATE else action is Action.DROP and self.accept("IF", "EXISTS")
        name = self.consumer_name()
        if not self._on_table() and action is Action.CREATE:
            raise self.error(f"expected ON and a table, found {self.shown()}", hint=f"write CREATE CONSUMER '{name}' ON t")
        return ConsumerClause(action, name, self._start_of(action), if_exists), None

    def begins_tail(self) -> bool:
        """Whether a TAIL statement comes next."""
        return self.ahead().is_name or self.ahead().kind is TokenKind.STRING

    def tail_statement(self) -> TailClause:
        """All of `TAIL ...`."""
        self.take()
        table = self._noted()
        alias = ""
        if self.accept("AS") or (self.token.is_name and self.token.key not in _AFTER_TABLE):
            alias = quoted(self.name("an alias").folded)
        begin = consumer = None
        if self.accept("SINCE"):
            self.expect("CONSUMER", "after SINCE")
            consumer = self.consumer_name()
        elif self.accept("FROM"):
            begin = self._start()
        condition = None
        if self.accept("WHERE"):
            condition = self.engine_text(self.expression().span)
            if not condition.strip():
                raise self.error(f"expected a condition after WHERE, found {self.shown()}")
        options = self._options() if self.at("WITH", "(") else ()
        return TailClause(table, alias, begin, consumer, condition, options)

    def _noted(self) -> str:
        """Takes a table's name, notes the mention, and gives its text."""
        start = self.token.start
        path, names, at = self._table_name()
        span = self.since(start)
        if at is not None:
            raise self.error("a version in the table's name means nothing here", self.previous, hint="name the table alone")
        self.mentions.append(self.mention_of(path, names, None, span))
        return span.of(self.text)

    def _on_table(self) -> bool:
        """`ON t`; whether it came."""
        if not self.accept("ON"):
            return False
        self._noted()
        return True

    def _start_of(self, action: Action) -> StartClause | None:
        if action is Action.CREATE:
            return self._start() if self.accept("FROM") else None
        if action is Action.RESET and self.accept("FROM"):
            return self._start()
        if action in (Action.ADVANCE, Action.RESET) and self.accept("TO"):
            if not self.at("VERSION") and action is Action.ADVANCE:
                raise self.error(f"expected VERSION after TO, found {self.shown()}")
            is_state = self.at("VERSION") or self.at("TIMESTAMP")
            found = self._start()
            return StartClause(found.point, exclusive=True) if is_state else found
        return None

    def _start(self) -> StartClause:
        """`VERSION a [EXCLUSIVE]`, `TIMESTAMP x [EXCLUSIVE]`, `EARLIEST`, `LATEST`."""
        if self.accept("EARLIEST"):
            return StartClause(None)
        if self.accept("LATEST"):
            return StartClause(None, latest=True)
        if not (self.at("VERSION") or self.at("TIMESTAMP")):
            raise self.error(f"expected VERSION, TIMESTAMP, EARLIEST or LATEST, found {self.shown()}")
        return StartClause(self._bound(), self._exclusive())

    def _pattern(self) -> str | None:
        if not (self.accept("LIKE") or self.accept("ILIKE")):
            return None
        token = self.take()
        if token.kind is not TokenKind.STRING:
            raise self.error("expected a pattern in quotes after LIKE", token)
        return token.value
