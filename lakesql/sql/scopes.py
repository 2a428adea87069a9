"""What a name can mean at one place of a query: relations with their columns, and the rules by which a name finds one.

Names are matched as the engine does, unquoted ones in lower case; where that finds nothing, without regard to case if that leaves one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from lakesql.sql.outline import Expression, Literal, Name, Relation, Wildcard
from lakesql.sql.statement import Mention


@dataclass(frozen=True)
class Column:
    """A column of a relation; type None where it is not known. An expression without an alias has the name "", by which nothing finds it."""

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


@dataclass(frozen=True)
class Scope:
    """What names can mean at one place: relations, select aliases (where those are visible), and what is outside."""

    sources: Sequence[Source]
    parent: Scope | None
    aliases: tuple[Column, ...] = ()


# Names ---------------------------------------------------------------------------------------------------------------------------------------------


def qualified(names: tuple[Name, ...], scope: Scope) -> Meaning | None:
    """`t.c`, `s.t.c`, `k.s.t.c` with fields after the column; the longest qualifier that leads to a column wins."""
    for count in range(min(len(names) - 1, 4), 0, -1):
        for source in _called(names[:count], scope.sources):
            if source.columns is None:
                return Meaning(source, names[:count], names[count:], (names[count].folded,), None)
            column = match(names[count], source.columns)
            if column is not None:
                return _meaning(source, names[:count], names[count:], column)
    return None


def unqualified(names: tuple[Name, ...], scope: Scope) -> Meaning | None:
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


def nearest(qualifier: tuple[Name, ...], scope: Scope) -> Source | None:
    """The relation that `t.*` means, from the inside out."""
    at: Scope | None = scope
    while at is not None:
        found = _called(qualifier, at.sources)
        if found:
            return found[0]
        at = at.parent
    return None


def match(name: Name, columns: Columns) -> Column | None:
    """The column of this name: exactly, or without regard to case where that leaves one."""
    for column in columns:
        if column.name == name.folded:
            return column
    if name.quoted:
        return None
    close = [c for c in columns if c.name.casefold() == name.text.casefold()]
    return close[0] if len(close) == 1 else None


def _meaning(source: Source | None, qualifier: tuple[Name, ...], names: tuple[Name, ...], column: Column) -> Meaning:
    """A column and the fields below it, as far as types tell."""
    path, type_ = [column.name], column.type
    for name in names[1:]:
        below = match(name, fields_of(type_))
        path.append(below.name if below is not None else name.folded)
        type_ = below.type if below is not None else None
    return Meaning(source, qualifier, names, tuple(path), type_)


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


def fields_of(type_: pa.DataType | None) -> Columns:
    if type_ is None or not pa.types.is_struct(type_):
        return ()
    return tuple(Column(type_.field(i).name, type_.field(i).type) for i in range(type_.num_fields))


def element(type_: pa.DataType | None, parts: tuple[Expression, ...]) -> pa.DataType | None:
    """The type of `value[key]`."""
    if type_ is None or len(parts) != 1:
        return None
    if pa.types.is_list(type_) or pa.types.is_large_list(type_) or pa.types.is_fixed_size_list(type_):
        return type_.value_type
    if pa.types.is_map(type_):
        return type_.item_type
    key = parts[0].pieces[0] if len(parts[0].pieces) == 1 else None
    if isinstance(key, Literal) and key.is_string:
        return next((c.type for c in fields_of(type_) if c.name == key.value), None)
    return None


def renamed(columns: Columns | None, names: tuple[Name, ...]) -> Columns | None:
    """Columns under an alias' names, as many as it gives."""
    if columns is None:
        return tuple(Column(n.folded) for n in names) or None
    return tuple(Column(n.folded, c.type) for n, c in zip(names, columns, strict=False)) + columns[len(names) :]


def all_shown(sources: Iterable[Source], merged: Collection[str] = (), *, natural: bool = False) -> Columns | None:
    """What `*` over these relations gives. merged: columns that joins by USING show once, as NATURAL ones do all that are common."""
    columns: list[Column] = []
    for source in sources:
        if source.shown is None:
            return None
        seen = {c.name for c in columns}
        columns += [c for c in source.shown if c.name not in seen or not (natural or c.name in merged)]
    return tuple(columns)


def starred(star: Wildcard, shown: Columns) -> list[Column]:
    """What `*` gives, less what it leaves out; what it replaces has a type that is not known."""
    out = {r.names[-1].text.casefold() for r in star.excluded}
    replaced = {i.alias.text.casefold() for i in star.replaced if i.alias is not None}
    return [Column(c.name, None if c.name.casefold() in replaced else c.type) for c in shown if c.name.casefold() not in out]


def common(outputs: list[Columns | None]) -> Columns | None:
    """The columns of a set operation: the first operand's names, and types where all agree."""
    first = outputs[0] if outputs else None
    if first is None:
        return None
    others = outputs[1:]
    if not others:
        return first
    return tuple(Column(c.name, c.type if all(o is not None and i < len(o) and o[i].type == c.type for o in others) else None) for i, c in enumerate(first))
