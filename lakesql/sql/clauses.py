"""The clauses that are lakesql's own: versions, times, ranges of changes and reader options after a table's name."""

from __future__ import annotations

import re
from dataclasses import replace

from lakesql.sql.expressions import ExpressionReader
from lakesql.sql.keywords import CLAUSE_WORDS
from lakesql.sql.outline import Call, Cast, Expression, Group
from lakesql.sql.statement import AtClause, AtKind, ChangesClause
from lakesql.sql.tokens import Span, Token, TokenKind

VERSION_WORDS = frozenset(("VERSION", "SYSTEM_VERSION"))
TIME_WORDS = frozenset(("TIMESTAMP", "SYSTEM_TIME", "SYSTEM_TIMESTAMP"))
_INFORMATION = {"DEFAULT": "net", "APPEND_ONLY": "appends"}
"""Modes, by what Snowflake calls them."""
_SUFFIX = re.compile(r"@(?:[vV](\d+)|(\d{17}))$")
_OPTION = re.compile(r"\s*('(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|[\w.-]+)\s*=\s*('(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|[^\s,)]+)\s*(,|$)")
_HINT = re.compile(r"/\*\+\s*OPTIONS\s*\((.*)\)\s*\*/", re.I | re.S)


class ClauseReader(ExpressionReader):
    """Reads the clauses that may follow a table's name."""

    def at_clause(self) -> AtClause | None:
        """`[FOR] VERSION | TIMESTAMP AS OF x`, `FOR SYSTEM_TIME AS OF x`, `AT (VERSION => x)`; None where none of them comes."""
        start = self.token.start
        if self.at("AT", "(") and self.ahead(2).key in ("VERSION", "TIMESTAMP") and self.ahead(3).key == "=>":
            kind = AtKind[self.ahead(2).key]
            self.index += 4
            clause = self._point(kind, start)
            if not self.at(")"):
                raise self.error(f"expected ) after the {kind.value}, found {self.shown()}")
            self.take()
            return AtClause(clause.kind, clause.text, clause.is_literal, clause.quoted, self.since(start))
        skipped = 1 if self.at("FOR") else 0
        key = self.ahead(skipped).key
        if key in VERSION_WORDS | TIME_WORDS and self.ahead(skipped + 1).key == "AS" and self.ahead(skipped + 2).key == "OF":
            self.index += skipped + 3
            return self._point(AtKind.VERSION if key in VERSION_WORDS else AtKind.TIMESTAMP, start)
        if skipped and key in VERSION_WORDS | TIME_WORDS:
            raise self.error(f"expected AS OF after FOR {key}", self.ahead(2), hint="ranges are written CHANGES FROM VERSION a TO VERSION b")
        return None

    def changes_clause(self) -> ChangesClause | None:
        """`CHANGES FROM ...` or `CHANGES (INFORMATION => ...) ...`, or None where neither comes."""
        if self.at("CHANGES", "(") and self.ahead(2).key == "INFORMATION":
            return self._information()
        if self.at("CHANGES", "SINCE") and self.ahead(2).key == "CONSUMER":
            return self._since_consumer()
        if not (self.at("CHANGES", "FROM") and self.ahead(2).key in VERSION_WORDS | TIME_WORDS):
            return None
        start = self.token.start
        self.take()
        return self.range_clause(start)

    def range_clause(self, start: int) -> ChangesClause:
        """The part of CHANGES that begins with FROM, which comes next. start: where the clause begins."""
        self.take()
        if not self.at_any(VERSION_WORDS | TIME_WORDS):
            raise self.error(f"expected VERSION or TIMESTAMP after FROM, found {self.shown()}")
        first = self._bound()
        first_exclusive = self._exclusive()
        last, last_exclusive = self._changes_end()
        options = self._options() if self.at("WITH", "(") else ()
        return ChangesClause(first, last, first_exclusive, last_exclusive, options, self.since(start))

    def _information(self) -> ChangesClause:
        """`CHANGES (INFORMATION => DEFAULT | APPEND_ONLY) AT | BEFORE (TIMESTAMP | OFFSET | VERSION => x) [END (...)]`: Snowflake's. Bounds are states: changes
        follow the state AT x, or the one BEFORE x, and lead to the one at the END.
        """
        start = self.token.start
        self.index += 3
        self.expect("=>", "after INFORMATION")
        mode = _INFORMATION.get(self.token.key)
        if mode is None:
            raise self.error(f"INFORMATION is DEFAULT or APPEND_ONLY, not {self.shown()}")
        self.take()
        self.close(start)
        if not self.at("AT", "(") and not self.at("BEFORE", "("):
            raise self.error(f"expected AT (...) or BEFORE (...), from which on changes are wanted, found {self.shown()}")
        first_exclusive = self.at("AT")
        first = self._bracketed_state()
        last = self._bracketed_state() if self.at("END", "(") else None
        return ChangesClause(first, last, first_exclusive, False, (("mode", mode),), self.since(start), of_states=True)

    def _bracketed_state(self) -> AtClause:
        """`AT (kind => x)` and its like."""
        start = self.token.start
        self.index += 2
        kind = self.take()
        if kind.key in ("STATEMENT", "STREAM"):
            raise self.error(
                f"{kind.key} => is not supported: lakes know no {kind.key.lower()}s", kind, hint="TIMESTAMP =>, OFFSET => or VERSION => name a state"
            )
        if kind.key not in ("TIMESTAMP", "OFFSET", "VERSION"):
            raise self.error("expected TIMESTAMP, OFFSET or VERSION", kind)
        self.expect("=>", f"after {kind.key}")
        clause = self._offset_state(start) if kind.key == "OFFSET" else self._point(AtKind[kind.key], start)
        if not self.at(")"):
            raise self.error(f"expected ) after the {kind.key.lower()}, found {self.shown()}")
        self.take()
        return replace(clause, span=self.since(start))

    def _offset_state(self, start: int) -> AtClause:
        """So many seconds from now, as an instant."""
        first = self.token
        expression = self.expression()
        if not expression.pieces or _holds_query(expression):
            raise self.error("expected a number of seconds, below zero for the past", first)
        text = f"to_timestamp(date_part('epoch', now()) + ({self.engine_text(expression.span)}))"
        return AtClause(AtKind.TIMESTAMP, text, is_literal=False, quoted=False, span=self.since(start))

    def _changes_end(self) -> tuple[AtClause | None, bool]:
        """`TO VERSION b [EXCLUSIVE]`, if it comes."""
        if not self.accept("TO"):
            return None, False
        if not self.at_any(VERSION_WORDS | TIME_WORDS):
            raise self.error(f"expected VERSION or TIMESTAMP after TO, found {self.shown()}")
        return self._bound(), self._exclusive()

    def _since_consumer(self) -> ChangesClause:
        """`CHANGES SINCE CONSUMER 'name' [TO ...] [WITH (...)]`."""
        start = self.token.start
        self.index += 3
        name = self.consumer_name()
        last, last_exclusive = self._changes_end()
        options = self._options() if self.at("WITH", "(") else ()
        return ChangesClause(None, last, False, last_exclusive, options, self.since(start), consumer=name)

    def consumer_name(self) -> str:
        """A consumer's name: a text, or an identifier."""
        if self.token.kind is TokenKind.STRING:
            name = self.take().value
        else:
            name = self.name("a consumer's name in quotes").folded
        if not name.strip():
            raise self.error("a consumer needs a name", self.previous)
        return name

    def suffix(self, token: Token) -> AtClause | None:
        """`@v3` or `@20240101000000000` at the end of a word."""
        found = _SUFFIX.search(token.text)
        if found is None or token.kind is not TokenKind.WORD:
            return None
        span = Span(token.start + found.start(), token.end)
        if found[1] is not None:
            return AtClause(AtKind.VERSION, found[1], is_literal=True, quoted=False, span=span)
        return AtClause(AtKind.TIMESTAMP, found[2], is_literal=True, quoted=True, span=span)

    def hint_options(self) -> tuple[tuple[str, str], ...]:
        """The options of a hint that stands before the next token. Each is read once. Raises SqlError for one that cannot be read; hints of other names
        say nothing."""
        options = []
        for hint in self.hints.pop(self.index, ()):
            found = _HINT.fullmatch(hint.text)
            rest = found[1].strip() if found is not None else ""
            while rest:
                option = _OPTION.match(rest)
                if option is None:
                    raise self.error("these options cannot be read", hint, hint="write /*+ OPTIONS('name' = 'value', ...) */")
                options.append((_unquoted(option[1]), _unquoted(option[2])))
                rest = rest[option.end() :]
        return tuple(options)

    def _bound(self) -> AtClause:
        start = self.token.start
        return self._point(AtKind.VERSION if self.take().key in VERSION_WORDS else AtKind.TIMESTAMP, start)

    def _exclusive(self) -> bool:
        if self.accept("EXCLUSIVE"):
            return True
        self.accept("INCLUSIVE")
        return False

    def _point(self, kind: AtKind, start: int) -> AtClause:
        """A version or time, up to where its expression ends."""
        first = self.token
        literal = self._literal(kind)
        if literal is not None:
            text, quoted = literal
            return AtClause(kind, text, is_literal=True, quoted=quoted, span=self.since(start))
        expression = self.expression()
        if not expression.pieces or first.key in CLAUSE_WORDS:
            raise self.error(f"expected a {kind.value}, found {first.text or self.shown()}", first)
        if _holds_query(expression):
            raise self.error(f"a {kind.value} cannot come from a query", first, hint="run the query first and give its value as a parameter")
        return AtClause(kind, self.engine_text(expression.span), is_literal=False, quoted=False, span=self.since(start))

    def _literal(self, kind: AtKind) -> tuple[str, bool] | None:
        """A literal that is all of the point: text and whether it was a string. Takes nothing where an expression follows."""
        before = self.index
        found: tuple[str, bool] | None = None
        if kind is AtKind.TIMESTAMP and self.token.key in ("TIMESTAMP", "DATE") and self.ahead().kind is TokenKind.STRING:
            self.take()
        sign = "-" if self.accept("-") else ""
        if self.token.kind is TokenKind.NUMBER:
            found = (sign + self.take().text, False)
        elif self.token.kind is TokenKind.STRING and not sign:
            found = (self.take().value, True)
        elif kind is AtKind.VERSION and self.token.is_name and not sign and not self.at_any(CLAUSE_WORDS) and self.ahead().key not in ("(", "."):
            found = (self.take().value, True)  # a tag or branch written bare
        if found is None or (self.token.kind is TokenKind.SYMBOL and self.token.key not in (")", ",", ";")):
            self.index = before
            return None
        return found

    def _options(self) -> tuple[tuple[str, str | bool | tuple[str, ...]], ...]:
        """`WITH (name = value, ...)`."""
        self.index += 2
        options: list[tuple[str, str | bool | tuple[str, ...]]] = []
        while not self.at(")"):
            name = self.name("an option's name")
            self.expect("=", f"after the option {name.text}")
            options.append((name.text.lower(), self._option_value()))
            if not self.accept(",") and not self.at(")"):
                raise self.error(f"expected , or ) after the option {name.text}, found {self.shown()}")
        self.take()
        return tuple(options)

    def _option_value(self) -> str | bool | tuple[str, ...]:
        if self.accept("("):
            names = [self.name("a column").folded]
            while self.accept(","):
                names.append(self.name("a column").folded)
            self.expect(")", "after the columns")
            return tuple(names)
        token = self.take()
        if token.key in ("TRUE", "FALSE"):
            return token.key == "TRUE"
        if token.kind in (TokenKind.SYMBOL, TokenKind.END, TokenKind.PLACEHOLDER):
            raise self.error("expected an option's value", token)
        return token.value


def _holds_query(expression: Expression) -> bool:
    """Whether a subquery stands anywhere in an expression."""
    for piece in expression.pieces:
        match piece:
            case Group(query=query, parts=parts) | Call(arguments=Group(query=query, parts=parts)):
                if query is not None or any(_holds_query(part) for part in parts):
                    return True
            case Cast(expression=inner):
                if _holds_query(inner):
                    return True
    return False


def _unquoted(text: str) -> str:
    return text[1:-1].replace(text[0] * 2, text[0]) if text[:1] in ("'", '"') else text
