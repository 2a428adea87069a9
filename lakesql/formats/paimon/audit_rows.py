"""Rows with their kinds: what a state, a commit's files or a changelog hold, with the rows that take others back.

Of a state the newest row of each key stands, one that takes back too, as long as no compaction removed it; where rows are merged, what several made is an
insert. Source: Paimon, AuditLogTable, MergeFileSplitRead with forceKeepDelete, IncrementalDiffSplitRead.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from lakesql.changes import CHANGE_TYPE, DELETE, INSERT
from lakesql.formats.paimon import data_evolution
from lakesql.formats.paimon.merging import DELETED, KIND, SEQUENCE, merged
from lakesql.formats.paimon.relate import GROUP, TAKES_BACK, Reader, Wanted, keys_are_apart, relation_of
from lakesql.formats.paimon.scan import MERGED, MIXED, RAW
from lakesql.formats.paimon.snapshot import PaimonSnapshot
from lakesql.relation import Col, Filter, LatestByKey, MergeByKey, MergeRule, OneOf, Project, Relation, RowChanges, Run, Union, Value, WithoutKeys
from lakesql.table import FileSet

ADDS = pa.array([0, 2], pa.int8())
_INSERT, _DELETE = (pa.scalar(kind, pa.int8()) for kind in (0, 3))
_ADDS = "adds a row'"


def recorded_rows(snapshot: PaimonSnapshot, files: FileSet, columns: Sequence[str], *, placed: bool = False) -> Relation:
    """Every row of these files: columns, the writers' number, the kind; placed: and its place among all rows. Tables without a key have inserts alone."""
    table = files.files
    if not snapshot.source.has_key:
        return _inserts(snapshot, files, columns)
    if placed:
        counts = table["row_count"].to_numpy()
        table = table.append_column("place", pa.array((counts + 1).cumsum() - counts - 1, pa.int64()))  # a place is left free after each file
    wanted = Wanted(tuple(columns), keyed=True, kinds=True, retracts=True, placed=placed, stored_kinds=True)
    return Reader(snapshot.source, tuple(columns)).rows(table, files.constants, wanted)


def state_rows(snapshot: PaimonSnapshot, files: FileSet, columns: Sequence[str]) -> Relation:
    """The rows of a state, as recorded_rows has them."""
    source, table = snapshot.source, files.files
    if not source.has_key:
        return _inserts(snapshot, files, columns)
    reader = Reader(source, tuple(columns))
    shown = (*columns, SEQUENCE, KIND)
    merge = table["merge"].to_numpy()
    keeps = merged(source.schema, source.options, columns).keeps_retracts
    parts = []
    for how in (RAW, MERGED, MIXED):
        mask = pa.array(merge == how)
        chosen, constants = table.filter(mask), files.constants.filter(mask) if files.constants.num_columns else files.constants
        if how == RAW and (chosen.num_rows or not len(merge)):
            parts.append(reader.rows(chosen, constants, Wanted(tuple(columns), keyed=True, kinds=True, retracts=keeps, stored_kinds=True)))
        elif how != RAW and chosen.num_rows:
            parts.append(_merged(reader, chosen, constants))
    rows = parts[0] if len(parts) == 1 else Union(tuple(only(p, shown) for p in parts))
    return only(rows, shown)


def difference_rows(before: Relation, after: Relation, columns: Sequence[str], key: Sequence[str]) -> Relation:
    """What is new in a state, with the kinds it has there, and as deletes the rows of keys that are gone; columns: all of the table's. Both are state_rows.

    Without a key rows are compared whole, one for one.
    """
    sides = []
    for rows, word in ((before, DELETE), (after, INSERT)):
        names = (*columns, SEQUENCE, KIND, _ADDS, CHANGE_TYPE)
        sides.append(Project(rows, names, (*(Col(c) for c in names[:-2]), OneOf(Col(KIND), ADDS), Value(pa.scalar(word)))))
    left = RowChanges(Union(tuple(sides)), (*columns, _ADDS), CHANGE_TYPE, (), (SEQUENCE, KIND))
    shown = (*columns, SEQUENCE, KIND)
    new = only(_where(left, CHANGE_TYPE, pa.array([INSERT])), shown)
    old = _where(_where(left, CHANGE_TYPE, pa.array([DELETE])), KIND, ADDS)
    gone = WithoutKeys(only(old, shown), new, tuple(key)) if key else only(old, shown)
    return Union((new, Project(gone, shown, (*(Col(c) for c in (*columns, SEQUENCE)), Value(_DELETE)))))


def adding(rows: Relation, columns: Sequence[str]) -> Relation:
    """Of the rows, those that add something."""
    return only(_where(rows, KIND, ADDS), columns)


def only(rows: Relation, columns: Sequence[str]) -> Relation:
    """These columns alone."""
    return Project(rows, tuple(columns), tuple(Col(c) for c in columns))


def _where(rows: Relation, column: str, values: pa.Array) -> Relation:
    """The rows whose column has one of the values, with a flag that says so."""
    names = _names_of(rows)
    flag = "is one of'"
    while flag in names:
        flag += "'"
    return Filter(Project(rows, (*names, flag), (*(Col(n) for n in names), OneOf(Col(column), values))), flag)


def _names_of(rows: Relation) -> tuple[str, ...]:
    match rows:
        case Project(names=names):
            return names
        case Filter(input=inner):
            return _names_of(inner)
        case RowChanges(columns=columns, change=change, within=within, carried=carried):
            return (*columns, change, *within, *carried)
        case Union(inputs=inputs):
            return _names_of(inputs[0])
        case _:
            raise TypeError(f"rows are filtered where their columns are named, not out of {type(rows).__name__}")


def _inserts(snapshot: PaimonSnapshot, files: FileSet, columns: Sequence[str]) -> Relation:
    relate = data_evolution.relation_of if snapshot.evolves else relation_of
    rows = relate(snapshot.source, files.files, files.constants, columns)
    return Project(rows, (*columns, SEQUENCE, KIND), (*(Col(c) for c in columns), Value(pa.scalar(None, pa.int64())), Value(_INSERT)))


def _merged(reader: Reader, files: pa.Table, constants: pa.Table) -> Relation:
    """As relate merges them, with kinds and numbers, and rows that take back where they are the newest."""
    source = reader.source
    plan = merged(source.schema, source.options, reader.columns)
    grouped = not keys_are_apart(source, files)
    key = (*((GROUP,) if grouped else ()), *plan.key)
    names = (*plan.columns, SEQUENCE, *((GROUP,) if grouped else ()), KIND)
    runs = []
    bulk = files["bulk"].to_numpy()
    for age, chosen in enumerate((bulk, ~bulk)):
        mask = pa.array(chosen)
        wanted = Wanted(plan.columns, True, grouped, True, plan.keeps_retracts, stored_kinds=True)
        rows = reader.rows(files.filter(mask), constants.filter(mask) if constants.num_columns else constants, wanted)
        runs.append(Run(Project(rows, (*names, DELETED), (*(Col(n) for n in names), OneOf(Col(KIND), TAKES_BACK))), age))
    first = frozenset((0,))
    node: Relation
    if plan.rules:
        rules = (*plan.rules, MergeRule(SEQUENCE, "key"), MergeRule(KIND, "kind"))
        node = MergeByKey(tuple(runs), key, plan.order, rules, KIND, plan.retract, plan.deletes_remove, plan.needs_insert, first, keeps_removed=True)
    else:
        distinct = pc.all(files["distinct"]).as_py() and not source.options.flag("sequence.snapshot-ordering")
        node = LatestByKey(tuple(runs), key, (*plan.order, (DELETED, False)), None, first, distinct=SEQUENCE if distinct else None)
    return node
