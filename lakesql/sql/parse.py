"""Text -> Statement: which kind of statement it is, what it mentions, and which part of it the engine is given."""

from __future__ import annotations

from lakesql.errors import SqlError
from lakesql.sql.feeds import FeedReader
from lakesql.sql.outline import Query, fold, quoted
from lakesql.sql.statement import ConsumerClause, Kind, Mention, Statement, TailClause, View
from lakesql.sql.tokens import Part, Span, TokenKind, Tokens, part, statements, tokenize, words

_QUERY_WORDS = frozenset(("SELECT", "WITH", "FROM", "VALUES", "TABLE", "("))
_WRITE_WORDS = words(
    "COPY INSERT UPDATE DELETE MERGE CREATE DROP ALTER TRUNCATE REPLACE OPTIMIZE VACUUM RESTORE REFRESH MSCK ANALYZE CALL LOAD UNLOAD EXPORT IMPORT "
    "GRANT REVOKE"
)


def parse(text: str) -> Statement:
    """The one statement of a text; comments and semicolons around it do not matter. Raises SqlError for none, for several, and for text that cannot be read.

    >>> s = parse("SELECT o.id FROM shop.orders VERSION AS OF 12 AS o")
    >>> s.kind, s.mentions[0].name, s.mentions[0].at.text, s.mentions[0].alias
    (<Kind.QUERY: 'query'>, ('shop', 'orders'), '12', 'o')
    """
    source = tokenize(text)
    parts = statements(source)
    if not parts:
        raise SqlError("there is no statement here", sql=text, position=0 if text else None)
    if len(parts) > 1:
        raise SqlError("one statement is expected, and here a second begins", sql=text, position=parts[1].span.start, hint="run them one after another")
    return _parse(source, parts[0])


def parse_script(text: str) -> list[Statement]:
    """The statements of a text, perhaps none. Raises SqlError as parse does; its text and places are those of the statement at fault."""
    source = tokenize(text)
    return [_parse(source, which) for which in statements(source)]


def _parse(source: Tokens, which: Part) -> Statement:
    return _StatementReader(part(source, which), which.span.start).read()


class _StatementReader(FeedReader):
    """Reads one statement."""

    def __init__(self, source: Tokens, offset: int) -> None:
        super().__init__(source)
        self._offset = offset

    def read(self) -> Statement:
        match self.token.key:
            case key if key in _QUERY_WORDS or self.begins_diff():
                return self._query(Kind.QUERY, 0)
            case "EXPLAIN":
                return self._explain()
            case "DESCRIBE" | "DESC":
                return self._describe()
            case "SHOW" if self.ahead().key != "CONSUMERS":
                return self._show()
            case "SET":
                return self._set()
            case "RESET" if self.ahead().key != "CONSUMER":
                return self._reset()
            case _ if self.begins_consumer_statement():
                clause, like = self.consumer_statement()
                self._end("after this statement")
                return self._statement(Kind.CONSUMER, like=like, consumer=clause)
            case "TAIL" if self.begins_tail():
                tail = self.tail_statement()
                self._end("after this TAIL")
                return self._statement(Kind.TAIL, tail=tail)
            case "CREATE" if (view := self._created_view()) is not None:
                return view
            case "DROP" if self.ahead().key == "VIEW":
                return self._drop_view()
            case "CHECK" if self.ahead().key == "CHANGES":
                self.check_changes()
                self._end("after the range to check")
                return self._statement(Kind.CHECK_CHANGES)
            case "COPY":
                return self._copy()
            case key if key in _WRITE_WORDS:
                return self._statement(Kind.WRITE, verb=key)
        return self._statement(Kind.OTHER, verb=self.token.key or self.token.text)

    # Queries -------------------------------------------------------------------------------------------------------------------------------------

    def _query(self, kind: Kind, body_start: int, *, json: bool = False, view: View | None = None) -> Statement:
        """The rest of the text as a query. body_start: where the part for the engine begins."""
        outline = self.query()
        if not self.at_end:
            raise self.error(f"the query ends before {self.shown()}")
        return self._statement(kind, body=Span(body_start, len(self.text)), outline=outline, json=json, view=view)

    def _explain(self) -> Statement:
        verb = self.take()
        if self.at("PRUNING"):
            self.take()
            json = self._pruning_format()
            self._must_query("EXPLAIN PRUNING")
            return self._query(Kind.EXPLAIN_PRUNING, self.token.start, json=json)
        while self.at("ANALYZE") or self.at("VERBOSE"):
            self.take()
        if self.accept("FORMAT"):
            self.take()
        elif self.at("(") and not self.begins_query():
            self.skip_brackets()
        if not self.begins_query():
            raise self.error(f"expected a query to explain, found {self.shown()}")
        return self._query(Kind.EXPLAIN, verb.start)

    def _pruning_format(self) -> bool:
        if not self.at("(", "FORMAT"):
            return False
        self.index += 2
        format_ = self.take()
        if format_.value.upper() not in ("JSON", "TEXT"):
            raise self.error(f"EXPLAIN PRUNING has no format {format_.text}", format_, hint="it has JSON and TEXT")
        self.expect(")", "after the format")
        return format_.value.upper() == "JSON"

    def _must_query(self, what: str) -> None:
        if not self.begins_query():
            raise self.error(f"expected a query after {what}, found {self.shown()}")

    # DESCRIBE ------------------------------------------------------------------------------------------------------------------------------------

    def _describe(self) -> Statement:
        verb = self.take()
        if self.at("HISTORY") and not self._is_all_there_is():
            self.take()
            mention = self.mention()
            limit = self._limit()
            return self._ended(Kind.DESCRIBE_HISTORY, mention, limit=limit)
        if self.at("QUERY") and not self._is_all_there_is():
            self.take()
            self._must_query("DESCRIBE QUERY")
            return self._query(Kind.DESCRIBE_QUERY, self.token.start)
        if self.at("DETAIL") and not self._is_all_there_is():
            return self._statement(Kind.OTHER, verb=f"{verb.key} DETAIL")
        if self.begins_query() and not self.at("TABLE"):
            return self._query(Kind.DESCRIBE_QUERY, self.token.start)
        if self.at("TABLE") and not self._is_all_there_is():
            self.take()
        extended = (self.at("EXTENDED") or self.at("FORMATTED")) and not self._is_all_there_is()
        if extended:
            self.take()
        return self._ended(Kind.DESCRIBE, self.mention(), extended=extended)

    def _is_all_there_is(self) -> bool:
        """Whether the next word is the last, and so a table's name."""
        return self.ahead().kind is TokenKind.END or self.ahead().key == "."

    def _limit(self) -> int | None:
        if not self.accept("LIMIT"):
            return None
        token = self.take()
        if token.kind is not TokenKind.NUMBER or not token.text.isdecimal():
            raise self.error("expected a whole number after LIMIT", token)
        return int(token.text)

    def _ended(self, kind: Kind, mention: Mention, *, limit: int | None = None, extended: bool = False) -> Statement:
        self._end(f"after {mention}")
        return self._statement(kind, limit=limit, extended=extended)

    # SHOW and SET --------------------------------------------------------------------------------------------------------------------------------

    def _show(self) -> Statement:
        self.take()
        word = self.token.key
        if word in ("TABLES", "SCHEMAS", "DATABASES", "CATALOGS", "SNAPSHOTS"):
            self.take()
            kind = {"TABLES": Kind.SHOW_TABLES, "CATALOGS": Kind.SHOW_CATALOGS, "SNAPSHOTS": Kind.SHOW_SNAPSHOTS}.get(word, Kind.SHOW_SCHEMAS)
            within = ".".join(n.text for n in self.dotted("a catalog or schema")) if self.accept("IN") or self.accept("FROM") else None
            like = self._like()
            self._end(f"after SHOW {word}")
            return self._statement(kind, argument=within, like=like)
        if word == "COLUMNS":
            self.take()
            if not (self.accept("FROM") or self.accept("IN")):
                raise self.error(f"expected FROM and a table after SHOW COLUMNS, found {self.shown()}")
            return self._ended(Kind.SHOW_COLUMNS, self.mention())
        if word == "CREATE":
            return self._statement(Kind.OTHER, verb="SHOW CREATE")
        if self.at_end:
            raise self.error("expected what to show", hint="SHOW TABLES, SCHEMAS, CATALOGS, COLUMNS FROM t, ALL, or a setting's name")
        self.accept("VARIABLE")
        name = ".".join(n.text for n in self.dotted("a setting's name"))
        self._end("after the setting's name")
        return self._statement(Kind.SHOW_SETTINGS, argument=None if name.upper() == "ALL" else name)

    def _like(self) -> str | None:
        if self.accept("LIKE") or self.accept("ILIKE"):
            token = self.take()
            if token.kind is not TokenKind.STRING:
                raise self.error("expected a pattern in quotes after LIKE", token)
            return token.value
        return self.take().value if self.token.kind is TokenKind.STRING else None

    def _set(self) -> Statement:
        self.take()
        if self.at("TIME", "ZONE"):
            self.index += 2
            name = "time_zone"
            self.accept("=")
        else:
            name = ".".join(n.text for n in self.dotted("a setting's name"))
            if not self.accept("=") and not self.accept("TO"):
                raise self.error(f"expected = after {name}, found {self.shown()}")
        first = self.token
        if first.kind is TokenKind.END:
            raise self.error(f"expected a value for {name}")
        self.index = len(self.tokens) - 1
        value = first.value if self.previous is first else Span(first.start, self.previous.end).of(self.text)
        return self._statement(Kind.SET, argument=name, value=value)

    def _reset(self) -> Statement:
        self.take()
        if self.accept("TIME", "ZONE"):
            name = "time_zone"
        else:
            name = ".".join(n.text for n in self.dotted("a setting's name"))
        self._end("after the setting's name")
        return self._statement(Kind.RESET, argument=None if name.upper() == "ALL" else name)

    # Views and writes ----------------------------------------------------------------------------------------------------------------------------

    def _created_view(self) -> Statement | None:
        """`CREATE VIEW`, or None for another CREATE."""
        before = self.index
        self.take()
        replace = self.accept("OR", "REPLACE")
        if not self.accept("TEMP"):
            self.accept("TEMPORARY")
        if not self.accept("VIEW"):
            self.index = before
            return None
        if self.accept("IF", "NOT", "EXISTS"):
            raise self.error("CREATE VIEW IF NOT EXISTS is not supported", self.previous, hint="write CREATE OR REPLACE VIEW")
        name = self._view_name()
        columns = ", ".join(quoted(n.folded) for n in self.names()) if self.at("(") else ""
        self.expect("AS", "before the view's query")
        self._must_query("AS")
        start = self.token.start
        if self.placeholders:
            at = next(t for t in self.tokens if t.kind is TokenKind.PLACEHOLDER)
            raise self.error("a view takes no parameters", at, hint="write the value")
        query = self.text[start:]
        if columns:
            query = f"SELECT * FROM ({query}) AS {quoted(name)} ({columns})"
        return self._query(Kind.CREATE_VIEW, start, view=View(name, query, replace=replace))

    def _drop_view(self) -> Statement:
        self.index += 2
        if_exists = self.accept("IF", "EXISTS")
        name = self._view_name()
        self._end("after the view's name")
        return self._statement(Kind.DROP_VIEW, view=View(name, if_exists=if_exists))

    def _view_name(self) -> str:
        names = self.dotted("a view's name")
        if len(names) > 1:
            raise self.error("a view belongs to the session and has a name of one part", self.previous)
        return names[0].folded

    def _copy(self) -> Statement:
        """`COPY (query) TO ...` and `COPY t TO ...`."""
        self.take()
        outline: Query | None = None
        if self.begins_query() and self.at("("):
            opened = self.take().start
            outline = self.query()
            if not self.at(")"):
                raise self.error(f"expected ) after the query to copy, found {self.shown()}")
            outline.span = Span(opened, self.take().end)
        elif self.token.is_name:
            self.mention()
        return self._statement(Kind.WRITE, verb="COPY", outline=outline)

    def _end(self, where: str) -> None:
        if not self.at_end:
            raise self.error(f"expected nothing more {where}, found {self.shown()}")

    def _statement(
        self,
        kind: Kind,
        *,
        body: Span | None = None,
        outline: Query | None = None,
        verb: str = "",
        argument: str | None = None,
        value: str | None = None,
        like: str | None = None,
        limit: int | None = None,
        json: bool = False,
        extended: bool = False,
        view: View | None = None,
        consumer: ConsumerClause | None = None,
        tail: TailClause | None = None,
    ) -> Statement:
        return Statement(
            self.text,
            kind,
            body or Span(0, len(self.text)),
            tuple(self.mentions),
            self.placeholders,
            verb or fold(self.tokens[0].text).upper(),
            argument,
            value,
            like,
            limit,
            json,
            extended,
            view,
            self._offset,
            outline=outline,
            consumer=consumer,
            tail=tail,
        )
