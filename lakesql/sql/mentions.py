"""Tokens -> mentions: a table's name, its clauses and its alias."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from lakesql.sql.clauses import ClauseReader
from lakesql.sql.cursor import as_name
from lakesql.sql.keywords import NO_TABLE_ALIAS
from lakesql.sql.outline import Cte, Name, Relation, Select
from lakesql.sql.statement import AtClause, ChangesClause, Mention
from lakesql.sql.tokens import Span, Token, TokenKind, Tokens, tokenize


class MentionReader(ClauseReader):
    """Reads tables, and notes each mention. ctes: the WITH queries in scope, whose names hide tables."""

    def __init__(self, source: Tokens) -> None:
        super().__init__(source)
        self.mentions: list[Mention] = []
        self.ctes: Mapping[str, Cte] = {}

    def mention(self) -> Mention:
        """Reads a table's name with its clauses, where no query is (DESCRIBE t)."""
        select = Select()
        self.table(select)
        return self.mentions[-1]

    def table(self, select: Select) -> None:
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

    def noted_call(self, select: Select, mention: Mention, start: int) -> None:
        """Notes a table that a function's call gives, which begins at `start` and is all of the mention, and its alias."""
        span = self.since(start)
        mention = replace(mention, span=span, name_span=span, changes=None if mention.changes is None else replace(mention.changes, span=span))
        relation = Relation(None)
        self._read_alias(relation)
        alias = relation.alias
        if alias is not None:
            mention = replace(mention, alias=alias.folded, alias_span=alias.span)
        self.mentions.append(mention)
        select.relations.append(Relation(mention, alias, relation.columns, self.since(start)))

    def mention_in(self, token: Token, span: Span) -> Mention:
        """The table that a text names or whose path it is, as a mention that is not noted yet."""
        if "/" in token.value or "\\" in token.value:
            return self.mention_of(token.value, (), None, span)
        inner = ClauseReader(tokenize(token.value))
        names = inner.dotted("a table") if inner.token.is_name else ()
        if not inner.at_end or not names:
            raise self.error("expected a table's name or path in these quotes", token)
        return self.mention_of(None, names, None, span)

    def mention_of(self, path: str | None, names: tuple[Name, ...], at: AtClause | None, span: Span) -> Mention:
        """A mention of a table, which is all of `span`, not noted yet."""
        name, quoted, metadata = _parts(names, at)
        if path is not None:
            path, metadata = _path_parts(path)
        return Mention(span, span, name, quoted, path, metadata, at)

    def aliased(self, select: Select, relation: Relation) -> None:
        self._read_alias(relation)
        select.relations.append(relation)

    def names(self) -> tuple[Name, ...]:
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
        return self.ctes.get(names[0].folded) if path is None and len(names) == 1 else None

    def _versioned_cte(self, cte: Cte, clause: AtClause | ChangesClause | None) -> Exception:
        assert clause is not None
        token = next(t for t in self.tokens if t.end > clause.span.start)
        return self.error(
            f'"{cte.name.text}" is a WITH query, which has no versions', token, hint="give the version to the table inside it, or another name to the query"
        )

    def _read_alias(self, relation: Relation) -> None:
        if self.accept("AS"):
            relation.alias = self.name("an alias")
        elif self.token.is_name and self.token.key not in NO_TABLE_ALIAS and not self.token.text.startswith("@") and not self.at("PARTITION", "("):
            relation.alias = as_name(self.take())
        if relation.alias is not None and self.at("("):
            relation.columns = self.names()


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
