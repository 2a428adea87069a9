"""The relations that are in scope at a place of an unfinished statement, read from tokens.

Each is a table, or derived - a subquery, a WITH query, VALUES - whose outputs are told from its own select list and relations. A `Source` is a plan for
finding columns, not the columns: those need a catalog.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lakesql.sql.keywords import CLAUSE_WORDS, JOIN_WORDS, NO_TABLE_ALIAS, SET_OPERATIONS
from lakesql.sql.outline import fold
from lakesql.sql.tokens import Token, TokenKind

_QUERY_WORDS = frozenset(("SELECT", "WITH", "FROM", "VALUES"))
_DEPTH_LIMIT = 16
"""Levels of queries that are looked into."""


@dataclass(frozen=True)
class TableRef:
    """A table as a statement names it: parts without quotes, `$metadata` included; or a path. at: the version or time its clause names, as its words."""

    name: tuple[str, ...]
    path: str | None = None
    at: str | None = None


@dataclass(frozen=True)
class Output:
    """A column of a derived relation, or several. name: "" for an expression without one; all_of: relations whose columns it stands for; like: the relations
    where the column of name `column` has its type."""

    name: str = ""
    all_of: tuple[Source, ...] = ()
    like: tuple[Source, ...] = ()
    column: str = ""


@dataclass(frozen=True)
class Source:
    """A relation in scope. name: what qualifies its columns, "" where nothing does; table: where it is one; else its outputs. columns: an alias' list."""

    name: str
    table: TableRef | None = None
    outputs: tuple[Output, ...] = ()
    columns: tuple[str, ...] = ()

    def is_called(self, names: Sequence[str]) -> bool:
        """Whether a qualifier means this relation."""
        if len(names) == 1:
            return fold(names[0]) == fold(self.name)
        own = [] if self.table is None else [fold(n) for n in self.table.name]
        return bool(own) and fold(self.name) == own[-1] and own[-len(names) :] == [fold(n) for n in names]


Ctes = Mapping[str, Source]


def sources_at(tokens: Sequence[Token], at: int) -> list[Source]:
    """The relations whose columns may be named at tokens[at], innermost query first. Relations that stand after the place count as well."""
    found: list[Source] = []
    _Walk(tokens).scope(0, len(tokens), at, {}, found, 0)
    return found


class _Walk:
    def __init__(self, tokens: Sequence[Token]) -> None:
        self.tokens = tokens
        self.close = _matching(tokens)

    def scope(self, first: int, last: int, at: int, outer: Ctes, found: list[Source], depth: int) -> None:
        """Adds the relations of the query between first and last that encloses `at`, its inner queries' before its own."""
        if depth > _DEPTH_LIMIT:
            return
        ctes, body = self.ctes(first, last, outer, depth)
        inner = self._enclosing(first, last, at)
        if inner is not None:
            known = ctes if inner[0] >= body else self._known_before(first, inner[0], last, outer, depth)
            self.scope(*inner, at, known, found, depth + 1)
            if inner[0] < body:
                return  # inside a WITH query, which sees nothing of the query around it
        start, end = self._operand(body, last, at)
        found += self.relations(start, end, ctes, depth)

    def outputs(self, first: int, last: int, outer: Ctes, depth: int) -> tuple[Output, ...]:
        """The columns that a query between first and last gives."""
        if depth > _DEPTH_LIMIT:
            return ()
        while first < last and self.tokens[first].key == "(" and self.close.get(first, last) == last - 1:
            first, last = first + 1, last - 1
        ctes, body = self.ctes(first, last, outer, depth)
        start, end = self._operand(body, last, body)
        if start < end and self.tokens[start].key == "(":
            return self.outputs(start + 1, self.close.get(start, end), ctes, depth + 1)
        if start < end and self.tokens[start].key == "VALUES":
            width = len(self._split(start + 2, self.close.get(start + 1, end))) if start + 1 < end else 0
            return tuple(Output(f"column{i + 1}") for i in range(width))
        sources = tuple(self.relations(start, end, ctes, depth))
        select = next((i for i in self._level(start, end) if self.tokens[i].key == "SELECT"), None)
        if select is None:
            return (Output(all_of=sources),)
        stop = next((i for i in self._level(select + 1, end) if self.tokens[i].key in ("FROM", "WHERE", "GROUP", "ORDER", "LIMIT", "HAVING")), end)
        begin = select + 1
        if begin < stop and self.tokens[begin].key in ("DISTINCT", "ALL"):
            begin += 1
        return tuple(self._output(a, b, sources) for a, b in self._split(begin, stop) if a < b)

    def ctes(self, first: int, last: int, outer: Ctes, depth: int) -> tuple[dict[str, Source], int]:
        """The WITH queries of a query, with those around it, and where its body begins."""
        known = dict(outer)
        while first < last and self.tokens[first].key in ("EXPLAIN", "ANALYZE", "VERBOSE", "PRUNING", "DESCRIBE"):
            first += 1
        if first >= last or self.tokens[first].key != "WITH":
            return known, first
        index = first + 1
        if index < last and self.tokens[index].key == "RECURSIVE":
            index += 1
        while index < last and self.tokens[index].is_name and self.tokens[index].key not in _QUERY_WORDS:
            name = _folded(self.tokens[index])
            index += 1
            columns: tuple[str, ...] = ()
            if index < last and self.tokens[index].key == "(":
                end = self.close.get(index, last)
                columns = self._names(index + 1, end)
                index = end + 1
            if index < last and self.tokens[index].key == "AS":
                index += 1
            if index >= last or self.tokens[index].key != "(":
                break
            end = min(self.close.get(index, last), last)
            known[name] = Source(name, None, self.outputs(index + 1, end, known, depth + 1), columns)
            index = end + 1
            if index < last and self.tokens[index].key == ",":
                index += 1
            else:
                break
        return known, index

    def relations(self, first: int, last: int, ctes: Ctes, depth: int) -> list[Source]:
        """The members of FROM of one SELECT."""
        found: list[Source] = []
        wanted = False
        index = first
        while index < last:
            token = self.tokens[index]
            if token.key in ("FROM", "JOIN") or (wanted and token.key == ","):
                wanted = True
                index = self._factor(index + 1, last, ctes, depth, found)
                continue
            if token.key in CLAUSE_WORDS and token.key not in JOIN_WORDS | {"ON", "USING", "JOIN"}:
                wanted = False
            index = self._after(index)
        return found

    # Pieces --------------------------------------------------------------------------------------------------------------------------------------

    def _factor(self, index: int, last: int, ctes: Ctes, depth: int, found: list[Source]) -> int:
        while index < last and self.tokens[index].key == "LATERAL":
            index += 1
        if index >= last:
            return index
        token = self.tokens[index]
        if token.key == "(":
            end = min(self.close.get(index, last), last)
            if index + 1 < end and self.tokens[index + 1].key in _QUERY_WORDS:
                name, columns, after = self._alias(end + 1, last)
                found.append(Source(name, None, self.outputs(index + 1, end, ctes, depth + 1), columns))
                return after
            inner = self._factor(index + 1, end, ctes, depth, found)
            found += self.relations(inner, end, ctes, depth)
            return end + 1
        if token.kind is TokenKind.STRING:
            ref, after = TableRef((), token.value), index + 1
            own = token.value.rstrip("/").rsplit("/", 1)[-1]
        elif token.is_name and token.key != "\0" and token.key not in CLAUSE_WORDS:
            parts, after = self._dotted(index, last)
            if after < last and self.tokens[after].key == "(":
                name, columns, after = self._alias(min(self.close.get(after, last), last) + 1, last)
                found.append(Source(name or parts[-1], None, (), columns))
                return after
            ref, own = TableRef(tuple(parts)), parts[-1].partition("@")[0]
            cte = ctes.get(fold(parts[0])) if len(parts) == 1 else None
            if cte is not None:
                name, columns, after = self._alias(after, last)
                found.append(Source(name or cte.name, None, cte.outputs, columns or cte.columns))
                return after
        else:
            return index
        at, after = self._clause(after, last)
        name, columns, after = self._alias(after, last)
        if at is None:
            at, after = self._clause(after, last)
        if not name:
            name, columns, after = self._alias(after, last)
        found.append(Source(name or own, TableRef(ref.name, ref.path, at), (), columns))
        return after

    def _clause(self, index: int, last: int) -> tuple[str | None, int]:
        """`[FOR] VERSION|TIMESTAMP AS OF value`, and where it ends."""
        start = index
        if index < last and self.tokens[index].key == "FOR":
            index += 1
        keys = [t.key for t in self.tokens[index : min(index + 3, last)]]
        if keys[1:] != ["AS", "OF"] or keys[0] not in ("VERSION", "TIMESTAMP", "SYSTEM_TIME", "SYSTEM_VERSION"):
            return None, start
        value = index + 3
        if value < last and self.tokens[value].key in ("TIMESTAMP", "DATE"):
            value += 1
        if value >= last or self.tokens[value].kind not in (TokenKind.NUMBER, TokenKind.STRING):
            return None, value
        kind = "VERSION" if keys[0].endswith("VERSION") else "TIMESTAMP"
        return f"{kind} AS OF {self.tokens[value].text}", value + 1

    def _alias(self, index: int, last: int) -> tuple[str, tuple[str, ...], int]:
        has_as = index < last and self.tokens[index].key == "AS"
        at = index + 1 if has_as else index
        if at >= last or not self.tokens[at].is_name or self.tokens[at].key == "\0" or (not has_as and self.tokens[at].key in NO_TABLE_ALIAS):
            return "", (), index
        if (
            self.tokens[at].key in ("VERSION", "TIMESTAMP", "CHANGES", "FOR", "AT")
            and at + 1 < last
            and self.tokens[at + 1].key in ("AS", "FROM", "VERSION", "(")
        ):
            return "", (), index
        name, columns, after = _folded(self.tokens[at]), tuple[str, ...](), at + 1
        if after < last and self.tokens[after].key == "(":
            end = min(self.close.get(after, last), last)
            columns, after = self._names(after + 1, end), end + 1
        return name, columns, after

    def _dotted(self, index: int, last: int) -> tuple[list[str], int]:
        parts = [_folded(self.tokens[index])]
        index += 1
        while index + 1 < last and self.tokens[index].key == "." and self.tokens[index + 1].is_name and self.tokens[index + 1].key != "\0":
            parts.append(_folded(self.tokens[index + 1]))
            index += 2
        return parts, index

    def _output(self, first: int, last: int, sources: tuple[Source, ...]) -> Output:
        tokens = self.tokens[first:last]
        if tokens[0].key == "*":
            return Output(all_of=sources)
        if len(tokens) >= 3 and tokens[1].key == "." and tokens[2].key == "*":
            return Output(all_of=tuple(s for s in sources if s.is_called([tokens[0].value]))[:1])
        is_path = all(t.is_name or t.key == "." for t in tokens) and all((t.key == ".") == (i % 2 == 1) for i, t in enumerate(tokens))
        if is_path:
            qualifier = [t.value for t in tokens[:-2] if t.is_name]
            like = tuple(s for s in sources if not qualifier or s.is_called(qualifier))
            return Output(_folded(tokens[-1]), like=like, column=_folded(tokens[-1]))
        if len(tokens) > 1 and tokens[-1].is_name and tokens[-1].key not in ("END", "\0") and tokens[-2].key != ".":
            inner = tokens[:-2] if tokens[-2].key == "AS" else tokens[:-1]
            simple = len(inner) in (1, 3) and inner[-1].is_name and (len(inner) == 1 or inner[1].key == ".")
            like = tuple(s for s in sources if len(inner) == 1 or s.is_called([inner[0].value])) if simple else ()
            return Output(_folded(tokens[-1]), like=like, column=_folded(inner[-1]) if simple else "")
        return Output()

    def _names(self, first: int, last: int) -> tuple[str, ...]:
        return tuple(_folded(self.tokens[a]) for a, b in self._split(first, last) if a < b and self.tokens[a].is_name)

    # Structure -----------------------------------------------------------------------------------------------------------------------------------

    def _after(self, index: int) -> int:
        """The place behind a token, or behind the bracket that it opens."""
        return self.close[index] + 1 if index in self.close else index + 1

    def _level(self, first: int, last: int) -> list[int]:
        """The places between first and last that stand in no bracket of their own."""
        places = []
        while first < last:
            places.append(first)
            first = self._after(first)
        return places

    def _split(self, first: int, last: int) -> list[tuple[int, int]]:
        """The stretches between commas."""
        cuts = [i for i in self._level(first, last) if self.tokens[i].key == ","]
        edges = [first, *(c + 1 for c in cuts)], [*cuts, last]
        return list(zip(*edges, strict=True))

    def _operand(self, first: int, last: int, at: int) -> tuple[int, int]:
        """The operand of UNION and its kind that holds `at`."""
        start = first
        for i in self._level(first, last):
            if self.tokens[i].key in SET_OPERATIONS and not (self.tokens[i].key == "EXCEPT" and self._in_list(i)):
                if i > at:
                    return start, i
                start = i + 1
        while start < last and self.tokens[start].key in ("ALL", "DISTINCT"):
            start += 1
        return start, last

    def _in_list(self, index: int) -> bool:
        """Whether an EXCEPT follows the star it takes columns from."""
        return index > 0 and self.tokens[index - 1].key == "*"

    def _enclosing(self, first: int, last: int, at: int) -> tuple[int, int] | None:
        """The content of the outermost bracket around `at` that holds a query."""
        for index in range(first, min(at, last)):
            end = self.close.get(index)
            if end is not None and index < at <= end:
                inner = index + 1
                while inner < end and self.tokens[inner].key == "(" and inner < at <= self.close.get(inner, end):
                    inner += 1
                if inner < end and self.tokens[inner].key in _QUERY_WORDS:
                    return inner, min(self.close.get(inner - 1, end), last)
        return None

    def _known_before(self, first: int, place: int, last: int, outer: Ctes, depth: int) -> dict[str, Source]:
        """The WITH queries that stand before a place among them."""
        return self.ctes(first, min(place - 1, last), outer, depth)[0]


def _matching(tokens: Sequence[Token]) -> dict[int, int]:
    """For each opening bracket the place of the one that closes it; the end of the tokens for those that nothing closes."""
    found: dict[int, int] = {}
    opened: list[int] = []
    for i, token in enumerate(tokens):
        if token.key in ("(", "["):
            opened.append(i)
        elif token.key in (")", "]") and opened:
            found[opened.pop()] = i
    for i in opened:
        found[i] = len(tokens)
    return found


def _folded(token: Token) -> str:
    return token.value if token.kind is TokenKind.QUOTED else fold(token.value)
