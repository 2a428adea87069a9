"""The relation algebra: how rows come out of files. The one thing formats say to engines.

A format builds a tree of these nodes for a pruned set of files; an engine (`engines/`) lowers the tree to its own plan. Nodes are frozen and hold no
engine's and no format's words. Row order is never promised. A column of a node is named by its `schema`; names are unique within a node.

    Project(id, day)                        a Delta table with one deletion vector, partitioned by day
      └─ WithoutPositions
           ├─ Files(3 files, id; day constant per file; file path and row index kept)
           └─ Batches(path, position)       the positions that are deleted

Expressions of `Project` are as few as formats need: a column, a constant, a cast, a relabelling of nested fields, the first non-null, a sum, one of several
values, a function of the format's own.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    import pyarrow.dataset  # brings pandas along where that is installed: an eighth of a second


class FileFormat(enum.Enum):
    """What a data file is."""

    PARQUET = "parquet"
    AVRO = "avro"
    ORC = "orc"


class ColumnMatch(enum.Enum):
    """How columns of `Files.schema` are found in a file."""

    BY_NAME = "name"
    """By exact name, nested fields too."""
    BY_ID = "id"
    """By `PARQUET:field_id` in the field's metadata, nested fields too; a file without any ids falls back to names only where the node says so. A wanted
    field that has no id itself (row ids that a writer put down) is found by name."""


VARIANT_AS_JSON = {b"lakesql.variant": b"json"}
"""Metadata of a text field of `Files.schema`, at any depth, that the files hold as a variant."""

WRITERS_CLOCK = {b"lakesql.instant": b"writers_clock"}
"""Metadata of an instant of `Files.schema`, at any depth, that ORC files hold as if its digits in UTC were the wall clock where the file was written."""

DEFAULT = b"lakesql.default"
"""Key in the metadata of a field of `Files.schema`, at any depth: the value it has in files that lack it; see `with_default`."""

# Expressions ---------------------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Col:
    """A column of the input, by name."""

    name: str


@dataclass(frozen=True)
class Value:
    """One constant for every row, null included; the scalar's type is the column's type."""

    scalar: pa.Scalar


@dataclass(frozen=True)
class CastTo:
    """The input's value in another type; a value that does not fit is an error, never null. Nested types cast child by child, structs by name."""

    input: Expression
    type: pa.DataType


@dataclass(frozen=True)
class Relabel:
    """The same nested value under another type that differs in field names alone: fields correspond by position, at every depth."""

    input: Expression
    type: pa.DataType


@dataclass(frozen=True)
class FirstNonNull:
    """The first of the inputs that is not null, as in SQL COALESCE."""

    inputs: tuple[Expression, ...]


@dataclass(frozen=True)
class Sum:
    """left + right, both int64; null where either is."""

    left: Expression
    right: Expression


@dataclass(frozen=True)
class OneOf:
    """Whether the input is one of the values, none of which is null; false for null."""

    input: Expression
    values: pa.Array


@dataclass(frozen=True)
class Mapped:
    """What `function` makes of the input: as many values of `type`, each depending on its own input alone. For what a format computes and no engine knows,
    such as its own casts; an engine sees nothing of it, so no predicate passes through. The function is given arrays of plain types (no views, no
    dictionaries) and may raise EngineError.
    """

    input: Expression
    function: Callable[[pa.Array], pa.Array] = field(compare=False)
    type: pa.DataType


@dataclass(frozen=True)
class ListOf:
    """A list of the inputs' values, in their order, nulls among them; the inputs have one type."""

    inputs: tuple[Expression, ...]


Expression = Col | Value | CastTo | Relabel | FirstNonNull | Sum | OneOf | Mapped | ListOf

# Leaves --------------------------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Files:
    """The rows of data files, every physical row once.

    files: one row per file: `path` string (as `storage` names it), `size_bytes` int64. schema: the columns to read, as they are called inside the
    files; a column or nested field that a file lacks is null there, a narrower type is widened. constants: columns that have one value per file; one
    row per file, in the order of `files`, names not in `schema`. file_path / row_index: names under which the file's path (the very text of `files.path`)
    and the row's 0-based position in its file (before any filter) are added, or None.

    Fields a file lacks: where `absent` has a column of that name, its value for that file, null included (one row per file, in the order of `files`); else the
    field's default (`default_of`), for a field of a struct only in rows where the struct is there; else null. A file has a column or lacks it as a whole, so a
    null that a file holds stays null; a struct none of whose wanted fields is in the file counts as lacking, at any depth.

    Files without field ids, read BY_ID, at most one of these being given: fallback_by_name reads them by name; fallback_names by the names listed for a field's
    id, at its own level, where a field that is not listed is in no such file; fallback_by_position takes the column with id n from the n-th column of the file,
    counted from 1, and fields below it by name. Without any of them such a file is an error. `absent` comes before the fallback: a column it has is not
    looked for in a file without ids.

    Variants: a field marked VARIANT_AS_JSON is in the files a struct of `metadata`, `value` and, where shredded, `typed_value` of a type that each file
    chooses, its fields found by name. It is read with all of them and given as the JSON text that `lakesql.variant.to_json` makes of it.

    Output: `schema`'s columns, then `constants`' columns, then the path (string), then the position (int64). Raises DataFileError for a file that cannot be
    read as `schema`, MissingFileError for one that is gone.
    """

    files: pa.Table
    schema: pa.Schema
    format: FileFormat = FileFormat.PARQUET
    match: ColumnMatch = ColumnMatch.BY_NAME
    constants: pa.Table | None = None
    file_path: str | None = None
    row_index: str | None = None
    fallback_by_name: bool = False
    fallback_names: Mapping[int, tuple[str, ...]] | None = field(default=None, hash=False)
    fallback_by_position: bool = False
    absent: pa.Table | None = None


@dataclass(frozen=True)
class Batches:
    """Rows held in memory or made on demand: metadata tables, small delete sets, decoded log blocks.

    load is called at most once per lowering, after planning, and returns a table of exactly `schema`.
    """

    schema: pa.Schema
    load: Callable[[], pa.Table]

    @staticmethod
    def of(table: pa.Table) -> Batches:
        """The rows of a table that is there already."""
        return Batches(table.schema, lambda: table)


@dataclass(frozen=True)
class Counted:
    """Rows known by number alone, with the same values in each: what a query needs that reads no column of the data files, or their extremes alone.

    groups: one row per distinct combination of values, perhaps without columns; row_counts: int64, one per group, and so their number. Output: `schema`;
    each row of groups repeated row_counts times. Columns of `schema` that groups lacks must not be read.
    """

    schema: pa.Schema
    groups: pa.Table
    row_counts: pa.Array


@dataclass(frozen=True)
class Deferred:
    """A relation of `schema` that planning cannot know, since what it depends on (delete files) is read when the statement is run.

    make is called at most once per lowering, after planning.
    """

    schema: pa.Schema
    make: Callable[[], Relation] = field(compare=False)


@dataclass(frozen=True)
class Scanned:
    """The rows of a pyarrow Dataset that another library serves."""

    dataset: pyarrow.dataset.Dataset


# Operators -----------------------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Project:
    """One output column per expression, named by `names`."""

    input: Relation
    names: tuple[str, ...]
    expressions: tuple[Expression, ...]


@dataclass(frozen=True)
class Filter:
    """The rows for which the boolean column `where` is true; the column itself is kept."""

    input: Relation
    where: str


@dataclass(frozen=True)
class Union:
    """All rows of all inputs, duplicates kept; inputs have the same column names and types in the same order."""

    inputs: tuple[Relation, ...]


@dataclass(frozen=True)
class WithoutPositions:
    """The input's rows but those whose (file path, row index) `deletes` lists.

    input has both columns, under the names `file_path` and `row_index`; deletes has `path` string (or a dictionary) and `position` int64, in any order,
    repeats allowed.
    Source: Delta deletion vectors, Iceberg position deletes and deletion vectors, Paimon deletion vectors.
    """

    input: Relation
    deletes: Relation
    file_path: str
    row_index: str


@dataclass(frozen=True)
class AtPositions:
    """The input's rows whose (file path, row index) `positions` lists, each with the further columns of `positions`.

    input has both columns, under the names `file_path` and `row_index`; positions has `path` string and `position` int64, a place at most once, then columns
    of names the input has not. Output: the input's columns, then those. Source: rows that a deletion vector came to hide, or to show again.
    """

    input: Relation
    positions: Batches
    file_path: str
    row_index: str


@dataclass(frozen=True)
class WithoutKeys:
    """The input's rows but those that equal a row of `deletes` in all columns `on`; null equals null. Floating-point values are equal where their bits are, and
    NaN equals NaN: 0.0 and -0.0 differ.

    newer: names of an int64 column in input and in deletes; a delete then hits only rows whose number is strictly lower. Source: Iceberg equality deletes (data
    sequence numbers).
    """

    input: Relation
    deletes: Relation
    on: tuple[str, ...]
    newer: tuple[str, str] | None = None


@dataclass(frozen=True)
class WithKeys:
    """The input's rows that equal a row of `keys` in all columns `on`, compared as in WithoutKeys; keys may repeat. Source: what a commit may have changed in a
    table whose rows are merged by key.
    """

    input: Relation
    keys: Relation
    on: tuple[str, ...]


@dataclass(frozen=True)
class Run:
    """One sorted run of a merge: its rows, and its place in age (a higher number is newer)."""

    input: Relation
    age: int


@dataclass(frozen=True)
class LatestByKey:
    """The newest row of every key, over all runs; keys compare null-safe.

    order: columns that decide which row is newest, most significant first, each with True for ascending (a higher value is newer); null is older than any
    value in either direction; ties go to the run with the higher age. drop: a boolean column; a newest row where it is true vanishes, and with it its key. A
    run whose keys are known to be unique within it says so by `unique`, which lets an engine anti-join it instead of sorting. age_first: every row of a run is
    newer than any row of its key in a run of lower age, whatever `order` says of them, which then decides within a run alone. distinct: an int64 column without
    nulls in which all rows of a key differ, so that its value names the newest one. Source: Paimon deduplicate tables, Hudi merge-on-read.
    """

    runs: tuple[Run, ...]
    key: tuple[str, ...]
    order: tuple[tuple[str, bool], ...] = ()
    drop: str | None = None
    unique: frozenset[int] = field(default_factory=frozenset)
    age_first: bool = False
    distinct: str | None = None


@dataclass(frozen=True)
class MergeRule:
    """How one column's values of one key become one.

    A key's rows are taken oldest first; `stored` is what they have made so far, null at first. A row adds its value or takes it back (MergeByKey.kind).

    | function | a value is added | a value is taken back |
    |---|---|---|
    | key | stored is the value | the same |
    | kind | of MergeByKey.kind alone: a key's only row keeps it, else 0, or 3 for a row that a delete has emptied | the same |
    | last_value | stored is the value, null too | stored is null |
    | last_non_null_value | stored is the value unless that is null | stored is null unless the value is null |
    | first_value | the first value stays, null too | refused |
    | first_non_null_value | the first value that is not null stays | refused |
    | sum | the sum; null adds nothing; a decimal beyond its precision is null above 18 digits | subtracts, from nothing as if it were 0 |
    | product | the product; null changes nothing | divides what is stored; integers are cut |
    | min, max | as SQL has them; NaN is above every number | refused |
    | bool_and, bool_or | as SQL has them | refused |
    | listagg | texts joined by `delimiter` (","); null and blank ones are left out; `distinct`: parts that are there already too | refused |
    | collect | elements appended; `distinct`: those not there yet, of stored and value | each element removes one that equals it |
    | merge_map | the value's entries over the stored ones | entries of its keys are removed |
    | merge_map_with_keytime | an entry replaces one whose time, field `ts-field`, is null or lower as text; a null entry removes | refused |
    | nested_update | rows are appended, up to `count-limit`; with `nested-key`, rows of that key are replaced [1] | equal rows, or those of the key, go |
    | nested_partial_update | rows of the same `nested-key` take the value's fields that are not null | refused |
    | rbm32, rbm64 | the union of serialised Roaring bitmaps | refused |
    | replace | of a group alone: stored is the value, null too | stored is null |
    | sequence | of a group alone, for its ordering columns: stored is the value | the same; with `removes`, a delete empties the whole row |

    [1] if not older by `nested-sequence-field`; `nested-key-null-strategy` says what becomes of rows whose key holds null: merge, ignore, error. A row that
    a delete has emptied vanishes if nothing comes after. `ts-field` is the last field where none is named.

    options: by name, values as text. `ignore-retract` = true: what is taken back changes nothing, also where the function refuses. `stays` = true: the
    column keeps the value of a row that empties the rest (MergeByKey.deletes_remove). An engine refuses a function it does not know by its name, and
    "refused" where a key has such a row and others.

    hashed: bytes and hash, by its values, of a nested key or of an element that `collect` keeps once; what is kept by it comes in the order of a Java hash map.
    Without one, in no promised order.

    group: the columns by which a group of columns is ordered for itself, whatever the order of rows: rows in which all of them are null leave the group
    alone; a row whose values in them, compared one after the other with null below all, are not below the stored ones changes the group as above. An older
    one changes nothing with `replace` and `sequence`; with other functions its value is added in front of the stored one (so first_value takes it and
    last_value does not), or taken back all the same.
    """

    column: str
    function: str
    options: tuple[tuple[str, str], ...] = ()
    group: tuple[str, ...] = ()
    hashed: Callable[[tuple[Any, ...]], tuple[bytes, int]] | None = field(default=None, compare=False)


class Retract(enum.Enum):
    """What rows that take something back do in MergeByKey, where their key has other rows."""

    REFUSE = "refuse"
    """They are an error."""
    SKIP = "skip"
    """Nothing."""
    BY_RULE = "by rule"
    """Each column's rule says; columns of no group stay as they are where the node has groups."""


@dataclass(frozen=True)
class MergeByKey:
    """One row per key, each column made by its rule from the key's rows in `order`; rows order as in LatestByKey, and among those that tie, the ones that
    take back come first.

    kind: an int8 column: 0 and 2 add a row, 1 and 3 take one back, 3 because it was deleted; None where all add. A key's only row is given as it is, and
    vanishes if it takes back. retract: what rows that take back do otherwise. deletes_remove: a row of kind 3 empties all that is stored, but for columns
    whose rule says `stays`; the key vanishes if it is the last. needs_insert: a key none of whose rows adds vanishes. unique: runs in which every key is
    there once. keeps_removed: a key that would vanish is given all the same; a rule `kind` tells it.

    Output: the columns of `rules`, in their order, key columns among them. Source: Paimon partial-update and aggregation tables.
    """

    runs: tuple[Run, ...]
    key: tuple[str, ...]
    order: tuple[tuple[str, bool], ...]
    rules: tuple[MergeRule, ...]
    kind: str | None = None
    retract: Retract = Retract.REFUSE
    deletes_remove: bool = False
    needs_insert: bool = False
    unique: frozenset[int] = field(default_factory=frozenset)
    keeps_removed: bool = False


@dataclass(frozen=True)
class Beside:
    """Rows put together from columns that lie in different places: for each row of the first input, the row of every other input that has the same value in
    column `on`.

    on: an int64 column of every input, without null, whose values occur once in an input. Where an input has no such row its columns are null. Output: the
    first input's columns, then those of the others without `on`; names are unique. Source: Paimon data evolution.
    """

    inputs: tuple[Relation, ...]
    on: str


@dataclass(frozen=True)
class RowChanges:
    """What rows taken away and rows added amount to: rows on both sides that are equal go, one for one, and what is left may be told as updates.

    change: a text column, `insert` for a row that was added, `delete` for one taken away. Two rows are equal where they are in all `columns` and all of
    `within`; null equals null, NaN equals NaN, 0.0 and -0.0 differ, nested values are compared whole. carried: columns that are not compared; of rows that
    are equal, and on the side that is left over, the greatest value stands. key: columns among `columns`, or none; where, within one value of `within`, one
    row alone is left taken away and one alone added that have the same key, none of its columns being null, they become `update_preimage` and
    `update_postimage`.

    Output: `columns`, then `change`, `within`, `carried`. Source: change feeds of commits that rewrite files.
    """

    input: Relation
    columns: tuple[str, ...]
    change: str
    within: tuple[str, ...] = ()
    carried: tuple[str, ...] = ()
    key: tuple[str, ...] = ()


Relation = (
    Files
    | Batches
    | Counted
    | Deferred
    | Scanned
    | Project
    | Filter
    | Union
    | WithoutPositions
    | AtPositions
    | WithoutKeys
    | WithKeys
    | LatestByKey
    | MergeByKey
    | Beside
    | RowChanges
)


def with_default(field_: pa.Field, value: pa.Scalar) -> pa.Field:
    """The field, saying in its metadata what it is in files that lack it; the scalar is of the field's type.

    >>> default_of(with_default(pa.field("a", pa.int32()), pa.scalar(7, pa.int32())))
    <pyarrow.Int32Scalar: 7>
    """
    sink = pa.BufferOutputStream()
    batch = pa.record_batch([pa.repeat(value, 1)], names=[""])
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return field_.with_metadata({**(field_.metadata or {}), DEFAULT: sink.getvalue().to_pybytes()})


def default_of(field_: pa.Field) -> pa.Scalar | None:
    """What the field is in files that lack it; None where it says nothing, and is null there."""
    content = (field_.metadata or {}).get(DEFAULT)
    if content is None:
        return None
    with pa.ipc.open_stream(content) as reader:
        return reader.read_all().column(0)[0]


def distinct_rows(constants: pa.Table, row_count: int) -> tuple[np.ndarray, pa.Table, int]:
    """The distinct rows of `constants`: for each row the number of its group, one row per group, and the number of groups; null equals null.

    row_count: how many rows there are, since a table without columns does not say; such rows are all one group.
    """
    codes = np.zeros(row_count, dtype=np.int64)
    for values in constants.columns if row_count else ():
        encoded = pc.dictionary_encode(values, null_encoding="encode")
        encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
        _, codes = np.unique(codes * (len(encoded.dictionary) + 1) + encoded.indices.to_numpy(zero_copy_only=False), return_inverse=True)
    if not constants.num_columns or not row_count:
        return codes, constants, min(row_count, 1)
    _, first = np.unique(codes, return_index=True)
    return codes, constants.take(pa.array(first)), len(first)
