"""Which column of which relation a name means, where schemas tell: the scopes of a query, walked once.

Names are matched as the engine does, unquoted ones in lower case; where that finds nothing, without regard to case if that leaves one. What cannot be
told has no Meaning, and rewrites leave it alone: the engine will judge it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from lakesql.sql.outline import (
    Call,
    Cast,
    Cte,
    Expression,
    FieldAccess,
    Group,
    Item,
    Literal,
    Name,
    Piece,
    Query,
    Reference,
    Relation,
    Select,
    TypeName,
    Wildcard,
)
from lakesql.sql.statement import Mention
from lakesql.sql.temporal import named_type
from lakesql.sql.tokens import words


@dataclass(frozen=True)
class Column:
    """A column of a relation; type None where it is not known."""

    name: str
    type: pa.DataType | None = None


Columns = tuple[Column, ...]


@dataclass(frozen=True, eq=False)
class Source:
    """A relation in scope. name: what the engine's text calls it, None where it has no name; columns: None where they are not known; hidden: those `*`
    leaves out."""

    relation: Relation
    name: str | None
    columns: Columns | None
    hidden: frozenset[str] = frozenset()

    @property
    def shown(self) -> Columns | None:
        """The columns that `*` gives."""
        return None if self.columns is None else tuple(c for c in self.columns if c.name not in self.hidden)


@dataclass(frozen=True)
class Meaning:
    """What a reference means. qualifier and names: its parts before the column, and from the column on; path: the column's and fields' true names, as
    many as could be told."""

    source: Source | None
    qualifier: tuple[Name, ...]
    names: tuple[Name, ...]
    path: tuple[str, ...]
    type: pa.DataType | None

    @property
    def is_field(self) -> bool:
        """Whether it reaches into a struct."""
        return len(self.names) > 1


@dataclass
class Resolution:
    """What was found. stars: the relations a wildcard stands for; fields: true names of fields accessed after brackets; types: of columns and what is
    reached from them; selects: every block, inner ones after outer ones' relations; outputs: the columns of the whole query, None where they are not
    known."""

    meanings: dict[Reference, Meaning] = field(default_factory=dict)
    stars: dict[Wildcard, tuple[Source, ...]] = field(default_factory=dict)
    fields: dict[FieldAccess, str] = field(default_factory=dict)
    types: dict[Piece, pa.DataType] = field(default_factory=dict)
    sources: dict[Relation, Source] = field(default_factory=dict)
    queries: list[Query] = field(default_factory=list)
    selects: list[Select] = field(default_factory=list)
    expressions: list[Expression] = field(default_factory=list)
    outputs: Columns | None = None


def resolve(
    query: Query | None,
    names: Mapping[Mention, str],
    columns: Mapping[Mention, Columns],
    hidden: Mapping[Mention, Collection[str]],
) -> Resolution:
    """The meanings of a query's names. names: what each mention is called where it has no alias; columns: of the mentions whose columns are known."""
    resolver = _Resolver(names, columns, hidden)
    if query is not None:
        resolver.found.outputs = resolver.query(query, None)
    return resolver.found


_KEEPING_TYPE = words("MIN MAX SUM ABS COALESCE")


@dataclass(frozen=True)
class _Scope:
    """What names can mean at one place: relations, select aliases (where those are visible), and what is outside."""

    sources: Sequence[Source]
    parent: _Scope | None
    aliases: tuple[Column, ...] = ()


class _Resolver:
    """Walks a query from the outside in."""

    def __init__(self, names: Mapping[Mention, str], columns: Mapping[Mention, Columns], hidden: Mapping[Mention, Collection[str]]) -> None:
        self.found = Resolution()
        self._names = names
        self._columns = columns
        self._hidden = hidden
        self._ctes: dict[Cte, Columns | None] = {}

    # Queries -------------------------------------------------------------------------------------------------------------------------------------

    def query(self, query: Query, parent: _Scope | None) -> Columns | None:
        self.found.queries.append(query)
        for cte in query.ctes:
            self._ctes[cte] = tuple(Column(n.folded) for n in cte.columns) or None  # what a recursive one sees of itself
            inner = self.query(cte.query, parent) if cte.query is not None else None
            self._ctes[cte] = _renamed(inner, cte.columns)
        outputs = [self._operand(operand, parent) for operand in query.operands]
        common = _common(outputs)
        if query.order:
            scope = _Scope((Source(Relation(None), None, common),), parent)
            self._visit_all(query.order, scope)
        return common

    def _operand(self, operand: Select | Query, parent: _Scope | None) -> Columns | None:
        return self.query(operand, parent) if isinstance(operand, Query) else self._select(operand, parent)

    def _select(self, select: Select, parent: _Scope | None) -> Columns | None:
        self.found.selects.append(select)
        sources: list[Source] = []
        for relation in select.relations:
            source = self._source(relation, select, _Scope(tuple(sources), parent))
            self.found.sources[relation] = source
            sources.append(source)
        scope = _Scope(sources, parent)
        for item in select.items:
            self._visit(item.expression, scope)
        self._visit_all(select.conditions, scope)
        for reference in select.using:
            self._refer(reference, scope)
        outputs = self._outputs(select, sources)
        aliases = tuple(Column(i.alias.folded, self._type_of(i)) for i in select.items if i.alias is not None)
        self._visit_all(select.after, _Scope(sources, parent, aliases))
        return outputs

    def _source(self, relation: Relation, select: Select, scope: _Scope) -> Source:
        alias = relation.alias.folded if relation.alias is not None else None
        match relation.source:
            case Mention() as mention:
                columns = _renamed(self._columns.get(mention), relation.columns)
                return Source(relation, alias or self._engine_name(mention, select), columns, frozenset(self._hidden.get(mention, ())))
            case Cte() as cte:
                return Source(relation, alias or cte.name.folded, _renamed(self._ctes.get(cte), relation.columns))
            case Query() as query:
                return Source(relation, alias, _renamed(self.query(query, scope), relation.columns))
        return Source(relation, alias, tuple(Column(n.folded) for n in relation.columns) or None)

    def _engine_name(self, mention: Mention, select: Select) -> str:
        """The mention's own name, made longer where another table of the block has the same."""
        name = self._names.get(mention, mention.own_name)
        others = [r.source for r in select.relations if isinstance(r.source, Mention) and r.source is not mention and r.alias is None]
        if mention.name is None or not any(self._names.get(o, o.own_name) == name for o in others):
            return name
        return ".".join((*mention.name[:-1], name))

    def _outputs(self, select: Select, sources: list[Source]) -> Columns | None:
        if not select.items:
            # VALUES has columns column1, column2, ...: of no use here.
            return _all_shown(sources) if select.relations else None
        outputs: list[Column] = []
        for item in select.items:
            pieces = item.expression.pieces
            if len(pieces) == 1 and isinstance(pieces[0], Wildcard):
                shown = _all_shown(self.found.stars.get(pieces[0], ()))
                if shown is None:
                    return None
                outputs += _starred(pieces[0], shown)
            elif item.alias is not None:
                outputs.append(Column(item.alias.folded, self._type_of(item)))
            elif len(pieces) == 1 and isinstance(pieces[0], Reference):
                meaning = self.found.meanings.get(pieces[0])
                name = meaning.path[-1] if meaning is not None else pieces[0].names[-1].folded
                outputs.append(Column(name, self._type_of(item)))
        return tuple(outputs)

    def _type_of(self, item: Item) -> pa.DataType | None:
        return self._type(item.expression)

    # Expressions ---------------------------------------------------------------------------------------------------------------------------------

    def _visit_all(self, expressions: Iterable[Expression], scope: _Scope) -> None:
        for expression in expressions:
            self._visit(expression, scope)

    def _visit(self, expression: Expression, scope: _Scope) -> None:
        self.found.expressions.append(expression)
        type_: pa.DataType | None = None
        for piece in expression.pieces:
            type_ = self._visit_piece(piece, type_, scope)
            if type_ is not None:
                self.found.types[piece] = type_

    def _visit_piece(self, piece: Piece, before: pa.DataType | None, scope: _Scope) -> pa.DataType | None:
        """The type of a piece, where it is known; before: of the one it follows, which brackets and dots reach into."""
        match piece:
            case Reference():
                meaning = self._refer(piece, scope)
                return meaning.type if meaning is not None else None
            case Group("[", parts):
                self._visit_all(parts, scope)
                return _element(before, parts)
            case FieldAccess(name):
                true = _match(name, _fields(before))
                self.found.fields[piece] = true.name if true is not None else name.folded
                return true.type if true is not None else None
            case Group():
                self._visit_group(piece, scope)
                return self._only(piece.parts)
            case Call(names, arguments):
                self._visit_group(arguments, scope)
                return self._called(names, arguments)
            case Cast(expression=inner, type=type_):
                self._visit(inner, scope)
                return named_type(type_.text)
            case TypeName(text):
                return named_type(text)
            case Wildcard():
                self._star(piece, scope)
        return None

    def _visit_group(self, group: Group, scope: _Scope) -> None:
        if group.query is not None:
            self.query(group.query, scope)
        self._visit_all(group.parts, scope)

    def _only(self, parts: tuple[Expression, ...]) -> pa.DataType | None:
        """The type of `(st)`, so that `(st).a` finds its field."""
        return self._type(parts[0]) if len(parts) == 1 else None

    def _type(self, expression: Expression) -> pa.DataType | None:
        """The type of an expression that is_reached from one operand."""
        return self.found.types.get(expression.pieces[-1]) if is_reached(expression.pieces) else None

    def _called(self, names: tuple[Name, ...], arguments: Group) -> pa.DataType | None:
        """The type of a function that keeps its arguments'; sums of decimals have the largest precision there is."""
        function = names[-1].text.upper()
        if function == "DATE_TRUNC" and len(arguments.parts) == 2:
            truncated = self._type(arguments.parts[1])
            return truncated if truncated is not None and pa.types.is_timestamp(truncated) else None
        types = {self._type(part) for part in arguments.parts if not _is_whole_number(part)}
        if len(types) != 1 or function not in _KEEPING_TYPE:
            return None
        (type_,) = types
        if function == "SUM":
            return pa.decimal128(38, type_.scale) if type_ is not None and pa.types.is_decimal128(type_) else None
        return type_

    def _star(self, star: Wildcard, scope: _Scope) -> None:
        if star.qualifier:
            self.found.stars[star] = tuple(_nearest(star.qualifier, scope))
        else:
            self.found.stars[star] = tuple(scope.sources)
        inner = _Scope(self.found.stars[star], None)
        for reference in star.excluded:
            self._refer(reference, inner)
        for item in star.replaced:
            self._visit(item.expression, scope)

    def _refer(self, reference: Reference, scope: _Scope) -> Meaning | None:
        names = reference.names
        at: _Scope | None = scope
        while at is not None:
            meaning = _qualified(names, at) or _unqualified(names, at)
            if meaning is not None:
                self.found.meanings[reference] = meaning
                return meaning
            at = at.parent
        return None


def is_reached(pieces: Sequence[Piece]) -> bool:
    """Whether pieces are one operand and what is reached from it by dots, brackets and casts, so that the last piece's type is that of all."""
    return bool(pieces) and all(isinstance(p, FieldAccess | TypeName) or (isinstance(p, Group) and p.opener == "[") for p in pieces[1:])


# Matching ------------------------------------------------------------------------------------------------------------------------------------------


def _qualified(names: tuple[Name, ...], scope: _Scope) -> Meaning | None:
    """`t.c`, `s.t.c`, `k.s.t.c` with fields after the column; the longest qualifier that leads to a column wins."""
    for count in range(min(len(names) - 1, 4), 0, -1):
        for source in _called(names[:count], scope.sources):
            if source.columns is None:
                return Meaning(source, names[:count], names[count:], (names[count].folded,), None)
            column = _match(names[count], source.columns)
            if column is not None:
                return _meaning(source, names[:count], names[count:], column)
    return None


def _unqualified(names: tuple[Name, ...], scope: _Scope) -> Meaning | None:
    """A column of one of the relations: a name that is exact in one beats names that differ in case, and so does a select alias."""
    known = [(s, c) for s in scope.sources for c in s.columns or ()]
    exact = [(s, c) for s, c in known if c.name == names[0].folded]
    if exact:
        source, column = exact[0]
        types = {c.type for _, c in exact}
        return _meaning(source, (), names, column if len(types) == 1 else Column(column.name))
    if any(a.name == names[0].folded for a in scope.aliases):
        alias = next(a for a in scope.aliases if a.name == names[0].folded)
        return _meaning(None, (), names, alias)
    if names[0].quoted:
        return None
    close = [(s, c) for s, c in known if c.name.casefold() == names[0].text.casefold()]
    if len({c.name for _, c in close}) == 1:
        return _meaning(close[0][0], (), names, close[0][1] if len(close) == 1 else Column(close[0][1].name))
    if close:
        return None
    close_aliases = [a for a in scope.aliases if a.name.casefold() == names[0].text.casefold()]
    return _meaning(None, (), names, close_aliases[0]) if len({a.name for a in close_aliases}) == 1 else None


def _meaning(source: Source | None, qualifier: tuple[Name, ...], names: tuple[Name, ...], column: Column) -> Meaning:
    """A column and the fields below it, as far as types tell."""
    path, type_ = [column.name], column.type
    for name in names[1:]:
        below = _match(name, _fields(type_))
        path.append(below.name if below is not None else name.folded)
        type_ = below.type if below is not None else None
    return Meaning(source, qualifier, names, tuple(path), type_)


def _match(name: Name, columns: Columns) -> Column | None:
    """The column of this name: exactly, or without regard to case where that leaves one."""
    for column in columns:
        if column.name == name.folded:
            return column
    if name.quoted:
        return None
    close = [c for c in columns if c.name.casefold() == name.text.casefold()]
    return close[0] if len(close) == 1 else None


def _nearest(qualifier: tuple[Name, ...], scope: _Scope) -> Iterator[Source]:
    at: _Scope | None = scope
    while at is not None:
        found = _called(qualifier, at.sources)
        if found:
            yield found[0]
            return
        at = at.parent


def _called(qualifier: tuple[Name, ...], sources: Sequence[Source]) -> list[Source]:
    """The relations a qualifier can mean, those that match in case first."""
    exact = [s for s in sources if _is_called(s, qualifier, exactly=True)]
    return exact or [s for s in sources if _is_called(s, qualifier, exactly=False)]


def _is_called(source: Source, qualifier: tuple[Name, ...], *, exactly: bool) -> bool:
    if len(qualifier) == 1 and source.name is not None and _same(qualifier[0], source.name, exactly):
        return True
    mention = source.relation.source
    if not isinstance(mention, Mention) or source.relation.alias is not None or mention.name is None:
        return False
    own = (*mention.name[:-1], mention.own_name)
    count = len(qualifier)
    return count <= len(own) and all(_same(q, part, exactly) for q, part in zip(qualifier, own[-count:], strict=True))


def _same(name: Name, text: str, exactly: bool) -> bool:
    return name.folded == text if exactly or name.quoted else name.text.casefold() == text.casefold()


# Columns -------------------------------------------------------------------------------------------------------------------------------------------


def columns_of(schema: pa.Schema) -> Columns:
    """A schema's columns."""
    return tuple(Column(f.name, f.type) for f in schema)


def _fields(type_: pa.DataType | None) -> Columns:
    if type_ is None or not pa.types.is_struct(type_):
        return ()
    return tuple(Column(type_.field(i).name, type_.field(i).type) for i in range(type_.num_fields))


def _is_whole_number(expression: Expression) -> bool:
    """Whether an argument changes no type beside a decimal."""
    return all(isinstance(p, Literal) and not p.is_string and p.value.isdecimal() for p in expression.pieces)


def _element(type_: pa.DataType | None, parts: tuple[Expression, ...]) -> pa.DataType | None:
    """The type of `value[key]`."""
    if type_ is None or len(parts) != 1:
        return None
    if pa.types.is_list(type_) or pa.types.is_large_list(type_) or pa.types.is_fixed_size_list(type_):
        return type_.value_type
    if pa.types.is_map(type_):
        return type_.item_type
    key = parts[0].pieces[0] if len(parts[0].pieces) == 1 else None
    if isinstance(key, Literal) and key.is_string:
        return next((c.type for c in _fields(type_) if c.name == key.value), None)
    return None


def _renamed(columns: Columns | None, names: tuple[Name, ...]) -> Columns | None:
    """Columns under an alias' names, as many as it gives."""
    if columns is None:
        return tuple(Column(n.folded) for n in names) or None
    return tuple(Column(n.folded, c.type) for n, c in zip(names, columns, strict=False)) + columns[len(names) :]


def _all_shown(sources: Iterable[Source]) -> Columns | None:
    columns: list[Column] = []
    for source in sources:
        if source.shown is None:
            return None
        columns += source.shown
    return tuple(columns)


def _starred(star: Wildcard, shown: Columns) -> list[Column]:
    """What `*` gives, less what it leaves out; what it replaces has a type that is not known."""
    out = {r.names[-1].text.casefold() for r in star.excluded}
    replaced = {i.alias.text.casefold() for i in star.replaced if i.alias is not None}
    return [Column(c.name, None if c.name.casefold() in replaced else c.type) for c in shown if c.name.casefold() not in out]


def _common(outputs: list[Columns | None]) -> Columns | None:
    """The columns of a set operation: the first operand's names, and types where all agree."""
    first = outputs[0] if outputs else None
    if first is None:
        return None
    others = outputs[1:]
    if not others:
        return first
    return tuple(Column(c.name, c.type if all(o is not None and i < len(o) and o[i].type == c.type for o in others) else None) for i, c in enumerate(first))
