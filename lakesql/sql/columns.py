"""Which column of which relation a name means, where schemas tell: the scopes of a query, walked once.

What cannot be told has no Meaning, and rewrites leave it alone: the engine will judge it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
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
    Piece,
    Query,
    Reference,
    Relation,
    Select,
    TypeName,
    Wildcard,
)
from lakesql.sql.scopes import (
    Column,
    Columns,
    Meaning,
    Scope,
    Source,
    all_shown,
    common,
    element,
    fields_of,
    match,
    nearest,
    qualified,
    renamed,
    starred,
    unqualified,
)
from lakesql.sql.statement import Mention
from lakesql.sql.temporal import named_type
from lakesql.sql.term_types import call_type, term_type


@dataclass
class Resolution:
    """What was found. stars: the relations a wildcard stands for; fields: true names of fields accessed after brackets; types: of columns and what is
    reached from them; selects: every block, inner ones after outer ones' relations; expressions: all that hold more than a plain number or string;
    outputs: the columns of the whole query, None where they are not known."""

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


class _Resolver:
    """Walks a query from the outside in."""

    def __init__(self, names: Mapping[Mention, str], columns: Mapping[Mention, Columns], hidden: Mapping[Mention, Collection[str]]) -> None:
        self.found = Resolution()
        self._names = names
        self._columns = columns
        self._hidden = hidden
        self._ctes: dict[Cte, Columns | None] = {}

    # Queries -------------------------------------------------------------------------------------------------------------------------------------

    def query(self, query: Query, parent: Scope | None) -> Columns | None:
        self.found.queries.append(query)
        for cte in query.ctes:
            self._ctes[cte] = tuple(Column(n.folded) for n in cte.columns) or None  # what a recursive one sees of itself
            inner = self.query(cte.query, parent) if cte.query is not None else None
            self._ctes[cte] = renamed(inner, cte.columns)
        outputs = [self._operand(operand, parent) for operand in query.operands]
        shared = common(outputs)
        if query.order:
            scope = Scope((Source(Relation(None), None, shared),), parent)
            self._visit_all(query.order, scope)
        return shared

    def _operand(self, operand: Select | Query, parent: Scope | None) -> Columns | None:
        return self.query(operand, parent) if isinstance(operand, Query) else self._select(operand, parent)

    def _select(self, select: Select, parent: Scope | None) -> Columns | None:
        self.found.selects.append(select)
        sources: list[Source] = []
        for relation in select.relations:
            source = self._source(relation, select, Scope(tuple(sources), parent))
            self.found.sources[relation] = source
            sources.append(source)
        scope = Scope(sources, parent)
        for item in select.items:
            self._visit(item.expression, scope)
        self._visit_all(select.conditions, scope)
        for reference in select.using:
            self._refer(reference, scope)
        outputs = self._outputs(select, sources)
        aliases = tuple(Column(i.alias.folded, self._type_of(i)) for i in select.items if i.alias is not None)
        self._visit_all(select.after, Scope(sources, parent, aliases))
        return outputs

    def _source(self, relation: Relation, select: Select, scope: Scope) -> Source:
        alias = relation.alias.folded if relation.alias is not None else None
        match relation.source:
            case Mention() as mention:
                columns = renamed(self._columns.get(mention), relation.columns)
                return Source(relation, alias or self._engine_name(mention, select), columns, frozenset(self._hidden.get(mention, ())))
            case Cte() as cte:
                return Source(relation, alias or cte.name.folded, renamed(self._ctes.get(cte), relation.columns))
            case Query() as query:
                return Source(relation, alias, renamed(self.query(query, scope), relation.columns))
        return Source(relation, alias, tuple(Column(n.folded) for n in relation.columns) or None)

    def _engine_name(self, mention: Mention, select: Select) -> str:
        """The mention's own name, made longer where another table of the block has the same."""
        name = self._names.get(mention, mention.own_name)
        others = {self._plain_name(r) for r in select.relations if r.source is not mention}
        return name if mention.name is None or name not in others else ".".join((*mention.name[:-1], name))

    def _plain_name(self, relation: Relation) -> str | None:
        """What a relation would be called if no other had its name."""
        match relation.source:
            case _ if relation.alias is not None:
                return relation.alias.folded
            case Mention() as mention:
                return self._names.get(mention, mention.own_name)
            case Cte() as cte:
                return cte.name.folded
        return None

    def _outputs(self, select: Select, sources: list[Source]) -> Columns | None:
        """What a block gives, one column per expression; None where a `*` covers what is not known."""
        merged = {m.path[0] for r in select.using if (m := self.found.meanings.get(r)) is not None}
        if not select.items:
            # VALUES has columns column1, column2, ...: of no use here.
            return all_shown(sources, merged, natural=select.natural) if select.relations else None
        outputs: list[Column] = []
        for item in select.items:
            pieces = item.expression.pieces
            star = pieces[0] if len(pieces) == 1 else None
            if isinstance(star, Wildcard):
                covered = self.found.stars.get(star, ())
                shown = all_shown(covered, merged, natural=select.natural) if covered else None
                if shown is None:
                    return None
                outputs += starred(star, shown)
            else:
                outputs.append(Column(self._name_of(item), self._type_of(item)))
        return tuple(outputs)

    def _name_of(self, item: Item) -> str:
        """What an item is called; a struct field by its last name, as `name_fields` makes the engine call it."""
        if item.alias is not None:
            return item.alias.folded
        last = item.expression.pieces[-1] if item.expression.pieces else None
        if isinstance(last, Reference) and len(item.expression.pieces) == 1:
            meaning = self.found.meanings.get(last)
            return meaning.path[-1] if meaning is not None else last.names[-1].folded
        return ""

    def _type_of(self, item: Item) -> pa.DataType | None:
        return self._type(item.expression)

    # Expressions ---------------------------------------------------------------------------------------------------------------------------------

    def _visit_all(self, expressions: Iterable[Expression], scope: Scope) -> None:
        for expression in expressions:
            self._visit(expression, scope)

    def _visit(self, expression: Expression, scope: Scope) -> None:
        only = expression.pieces[0] if len(expression.pieces) == 1 else None
        if isinstance(only, Literal) and not only.type:
            return
        self.found.expressions.append(expression)
        type_: pa.DataType | None = None
        for piece in expression.pieces:
            type_ = self._visit_piece(piece, type_, scope)
            if type_ is not None:
                self.found.types[piece] = type_

    def _visit_piece(self, piece: Piece, before: pa.DataType | None, scope: Scope) -> pa.DataType | None:
        """The type of a piece, where it is known; before: of the one it follows, which brackets and dots reach into."""
        match piece:
            case Reference():
                meaning = self._refer(piece, scope)
                return meaning.type if meaning is not None else None
            case Group("[", parts):
                self._visit_all(parts, scope)
                return element(before, parts)
            case FieldAccess(name):
                true = match(name, fields_of(before))
                self.found.fields[piece] = true.name if true is not None else name.folded
                return true.type if true is not None else None
            case Group(query=Query() as query):
                outputs = self.query(query, scope)
                self._visit_all(piece.parts, scope)
                return outputs[0].type if outputs is not None and len(outputs) == 1 else None
            case Group():
                self._visit_all(piece.parts, scope)
                return self._only(piece)
            case Call(names, arguments):
                self._visit_group(arguments, scope)
                return call_type(names[-1].text, arguments.parts, self.found.types)
            case Cast(expression=inner, type=type_):
                self._visit(inner, scope)
                return named_type(type_.text)
            case TypeName(text):
                return named_type(text)
            case Wildcard():
                self._star(piece, scope)
        return None

    def _visit_group(self, group: Group, scope: Scope) -> None:
        if group.query is not None:
            self.query(group.query, scope)
        self._visit_all(group.parts, scope)

    def _only(self, group: Group) -> pa.DataType | None:
        """The type of `(st)`, so that `(st).a` finds its field."""
        return self._type(group.parts[0]) if len(group.parts) == 1 else None

    def _type(self, expression: Expression) -> pa.DataType | None:
        return term_type(expression.pieces, self.found.types)

    def _star(self, star: Wildcard, scope: Scope) -> None:
        if star.qualifier:
            source = nearest(star.qualifier, scope)
            self.found.stars[star] = () if source is None else (source,)
        else:
            self.found.stars[star] = tuple(scope.sources)
        inner = Scope(self.found.stars[star], None)
        for reference in star.excluded:
            self._refer(reference, inner)
        for item in star.replaced:
            self._visit(item.expression, scope)

    def _refer(self, reference: Reference, scope: Scope) -> Meaning | None:
        names = reference.names
        at: Scope | None = scope
        while at is not None:
            meaning = qualified(names, at) or unqualified(names, at)
            if meaning is not None:
                self.found.meanings[reference] = meaning
                return meaning
            at = at.parent
        return None
