"""A primary-key table's merge engine and options -> the node that merges rows of one key, and what it must read to do so.

Options say of columns how they are merged; what they mean is defined in relation.MergeRule, whose words are Paimon's. Source: Paimon, DeduplicateMergeFunction,
PartialUpdateMergeFunction, AggregateMergeFunction and their factories.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lakesql.errors import MetadataError, UnsupportedFeatureError, did_you_mean
from lakesql.formats.paimon.java_hashes import row_hash, value_hash
from lakesql.formats.paimon.options import MergeEngine, Options
from lakesql.formats.paimon.schemas import TableSchema
from lakesql.formats.paimon.types import DataField
from lakesql.relation import LatestByKey, MergeByKey, MergeRule, Relation, Retract, Run

SEQUENCE, KIND, DELETED = "sequence'", "kind'", "deleted'"
"""Technical columns of the rows that are merged: the writers' numbers; the kinds of rows; whether they take back."""

FUNCTIONS: Mapping[str, str] = {
    **{
        n: n
        for n in (
            *("sum", "product", "max", "min", "last_value", "last_non_null_value", "first_value", "first_non_null_value", "bool_and", "bool_or"),
            *("listagg", "collect", "merge_map", "merge_map_with_keytime", "nested_update", "nested_partial_update", "rbm32", "rbm64"),
        )
    },
    "first_not_null_value": "first_non_null_value",
}
"""Aggregate functions, by the names options know them by."""

_NUMBERS = ("TINYINT", "SMALLINT", "INT", "BIGINT", "FLOAT", "DOUBLE", "DECIMAL")
_TAKES: Mapping[str, Sequence[str]] = {
    **dict.fromkeys(("sum", "product"), _NUMBERS),
    **dict.fromkeys(("bool_and", "bool_or"), ("BOOLEAN",)),
    **dict.fromkeys(("rbm32", "rbm64"), ("VARBINARY",)),
    **dict.fromkeys(("collect", "nested_update", "nested_partial_update"), ("ARRAY",)),
    **dict.fromkeys(("merge_map", "merge_map_with_keytime"), ("MAP",)),
    "listagg": ("VARCHAR",),
}
"""The types that functions are for; others are for all, or judged by the engine. Source: Paimon, factories of FieldAggregator."""

_KNOWN_ONLY = ("hll_sketch", "theta_sketch")
_OPTIONS = {
    "listagg": {"list-agg-delimiter": "delimiter", "distinct": "distinct"},
    "collect": {"distinct": "distinct"},
    "merge_map_with_keytime": {"ts-field": "ts-field"},
    "nested_update": {n: n for n in ("nested-key", "nested-key-null-strategy", "nested-sequence-field", "count-limit")},
    "nested_partial_update": {n: n for n in ("nested-key", "nested-key-null-strategy")},
}
"""Options `fields.<column>.<name>` of functions, and what rules call them."""


@dataclass(frozen=True)
class Plan:
    """How rows are merged. columns: what the rows must have; kinds: whether their kinds are asked for, and not only whether they take back; keeps_retracts:
    whether rows that take back come at all.
    """

    columns: tuple[str, ...]
    key: tuple[str, ...]
    order: tuple[tuple[str, bool], ...]
    rules: tuple[MergeRule, ...] = ()
    retract: Retract = Retract.REFUSE
    deletes_remove: bool = False
    needs_insert: bool = False
    keeps_retracts: bool = True

    @property
    def kinds(self) -> bool:
        """Whether the kinds of rows are asked for."""
        return bool(self.rules)

    def relation(self, bulk: Relation, newer: Relation, group: tuple[str, ...], *, settled: bool, distinct: bool) -> Relation:
        """The merged rows.

        bulk: of runs that have each key once; newer: of all others; group: a column that is part of the key. settled: the bulk is older than all others;
        distinct: all rows of a key have numbers of their own.
        """
        runs, key = (Run(bulk, 0), Run(newer, 1)), (*group, *self.key)
        if self.rules:
            return MergeByKey(runs, key, self.order, self.rules, KIND, self.retract, self.deletes_remove, self.needs_insert, unique=frozenset((0,)))
        by_number_alone = len(self.order) == 1
        order = (*self.order, (DELETED, False))
        return LatestByKey(runs, key, order, DELETED, frozenset((0,)), age_first=settled and by_number_alone, distinct=SEQUENCE if distinct else None)


def merged(schema: TableSchema, options: Options, columns: Sequence[str]) -> Plan:
    """How rows of one key are merged where a statement reads `columns`. Raises UnsupportedFeatureError, MetadataError."""
    key = tuple(f.name for f in schema.trimmed_primary_key)
    for name in options.sequence_fields:
        if name not in schema.by_name:
            raise MetadataError(f'sequence.field names "{name}", which is no column; there are {", ".join(list(schema.by_name)[:20])}')
    order = (*((name, options.sequence_ascending) for name in options.sequence_fields), (SEQUENCE, True))
    needed = tuple(dict.fromkeys((*key, *options.sequence_fields, *columns)))
    match options.merge_engine:
        case MergeEngine.DEDUPLICATE | MergeEngine.FIRST_ROW:
            return Plan(needed, key, order, keeps_retracts=not options.ignores_deletes)
        case MergeEngine.AGGREGATION:
            return _aggregation(schema, options, needed, key, order)
        case MergeEngine.PARTIAL_UPDATE:
            return _partial_update(schema, options, needed, key, order)


def check_functions(schema: TableSchema, options: Options) -> None:
    """Refuses a table whose options name an aggregate function there is not. Raises UnsupportedFeatureError."""
    if schema.primary_keys and options.merge_engine in (MergeEngine.AGGREGATION, MergeEngine.PARTIAL_UPDATE):
        for column in schema.by_name.values():
            function = _function(options, column.name)
            if function is not None and column.name not in schema.primary_keys:
                _check_type(column, function)


def _check_type(column: DataField, function: str) -> None:
    """Refuses a function of values that the column has not. Raises MetadataError."""
    roots = _TAKES.get(function)
    type_ = column.type
    fits = roots is None or type_.root in roots
    if function.startswith("nested_"):
        fits = fits and type_.children[0].type.root == "ROW"
    elif function == "merge_map_with_keytime":
        fits = fits and type_.children[1].type.root == "ROW"
    if not fits:
        raise MetadataError(f'column {column.name} is {type_} and is merged by "{function}", which is not for such values')


def aggregate_function(options: Options, column: str) -> str | None:
    """The aggregate function that options give a column, None for none."""
    return options.text(f"fields.{column}.aggregate-function", "fields.default-aggregate-function")


# Aggregation ---------------------------------------------------------------------------------------------------------------------------------------


def _aggregation(schema: TableSchema, options: Options, columns: tuple[str, ...], key: tuple[str, ...], order: tuple[tuple[str, bool], ...]) -> Plan:
    removes = options.flag("aggregation.remove-record-on-delete")

    def rule(column: DataField) -> MergeRule:
        if column.name in options.sequence_fields:
            return _rule(options, column, "last_value", stays=removes)
        if column.name in schema.primary_keys:
            return MergeRule(column.name, "key")
        return _rule(options, column, _function(options, column.name) or "last_non_null_value", stays=removes)

    rules = tuple(rule(schema.by_name[c]) for c in columns)
    return Plan(columns, key, order, rules, Retract.BY_RULE, deletes_remove=removes)


def _function(options: Options, column: str) -> str | None:
    """The function of a column by its one name."""
    name = aggregate_function(options, column)
    if name is None:
        return None
    if name not in FUNCTIONS:
        if name in _KNOWN_ONLY:
            raise UnsupportedFeatureError(
                f'column {column} is merged by "{name}", which lakesql does not compute',
                feature=f"aggregate function {name}",
                hint="compact the table, or leave the column out",
            )
        raise UnsupportedFeatureError(
            f'column {column} is merged by "{name}", which is no aggregate function lakesql knows',
            feature=f"aggregate function {name}",
            hint=did_you_mean(name, FUNCTIONS),
        )
    return FUNCTIONS[name]


def _rule(options: Options, column: DataField, function: str, *, stays: bool = False, group: tuple[str, ...] = ()) -> MergeRule:
    found = {}
    for option, meaning in _OPTIONS.get(function, {}).items():
        value = options.text(f"fields.{column.name}.{option}")
        if value is not None:
            found[meaning] = options.values[f"fields.{column.name}.{option}"] if meaning == "delimiter" else value
    if options.flag(f"fields.{column.name}.ignore-retract"):
        found["ignore-retract"] = "true"
    if stays and not column.type.nullable:
        found["stays"] = "true"
    return MergeRule(column.name, function, tuple(sorted(found.items())), group, _hash(column, function, found))


def _hash(column: DataField, function: str, options: Mapping[str, str]) -> Callable[[tuple[Any, ...]], tuple[bytes, int]] | None:
    """How what a function keeps of a column's lists is hashed: rows by their keys, and elements that are kept once."""
    if column.type.root != "ARRAY":
        return None
    element = column.type.children[0].type
    if function == "collect":
        return value_hash(element) if options.get("distinct", "").lower() == "true" else None
    names = [n.strip() for n in options.get("nested-key", "").split(",") if n.strip()]
    fields = {f.name: f.type for f in element.children}
    for name in names:
        if name not in fields:
            raise MetadataError(f'fields.{column.name}.nested-key names "{name}", which is no field; there are {", ".join(list(fields)[:20])}')
    return row_hash([fields[n] for n in names]) if names else None


# Partial update ------------------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Group:
    """A sequence group: the columns that order it, and those it protects."""

    ordering: tuple[str, ...]
    protected: tuple[str, ...]


def _partial_update(schema: TableSchema, options: Options, columns: tuple[str, ...], key: tuple[str, ...], order: tuple[tuple[str, bool], ...]) -> Plan:
    groups = _groups(schema, options)
    of_column = {c: g for g in groups for c in (*g.ordering, *g.protected)}
    removing = options.names("partial-update.remove-record-on-sequence-group")
    removes = options.flag("partial-update.remove-record-on-delete")
    asked = [*columns, *(c for g in groups if set(g.ordering) & set(removing) for c in g.ordering)]
    needed = tuple(dict.fromkeys((*asked, *(c for n in asked if n in of_column for c in of_column[n].ordering))))

    def rule(column: DataField) -> MergeRule:
        name, group = column.name, of_column.get(column.name)
        if name in schema.primary_keys:
            return MergeRule(name, "key")
        if group is not None and name in group.ordering:
            return MergeRule(name, "sequence", (("removes", "true"),) if name in removing else (), group.ordering)
        function = _function(options, name)
        if group is not None:
            return _rule(options, column, function or "replace", group=group.ordering)
        if function not in (None, "last_non_null_value"):
            raise MetadataError(
                f"column {name} is merged by {function}, which partial-update tables do within a sequence group alone",
                hint="put it in one: fields.<column>.sequence-group",
            )
        return _rule(options, column, "last_non_null_value", stays=removes)

    rules = tuple(rule(schema.by_name[c]) for c in needed)
    retract = Retract.BY_RULE if groups else Retract.SKIP if removes else Retract.REFUSE
    return Plan(needed, key, order, rules, retract, deletes_remove=removes, needs_insert=True, keeps_retracts=not options.ignores_deletes)


def _groups(schema: TableSchema, options: Options) -> list[_Group]:
    """The sequence groups that options define. Raises MetadataError where they name what is no column, or one twice."""
    groups, seen = [], dict[str, str]()
    for option, value in options.values.items():
        if not (option.startswith("fields.") and option.endswith(".sequence-group")):
            continue
        ordering = tuple(n.strip() for n in option.removeprefix("fields.").removesuffix(".sequence-group").split(","))
        protected = tuple(n.strip() for n in value.split(",") if n.strip())
        for name in (*ordering, *protected):
            if name not in schema.by_name:
                raise MetadataError(f'option "{option}" names "{name}", which is no column; there are {", ".join(list(schema.by_name)[:20])}')
            if name in schema.primary_keys:
                raise MetadataError(f'option "{option}" puts the key column "{name}" in a sequence group')
        for name in protected:
            if name in seen:
                raise MetadataError(f'column "{name}" is in the sequence groups of two options: "{seen[name]}" and "{option}"')
            seen[name] = option
        groups.append(_Group(ordering, protected))
    return groups
