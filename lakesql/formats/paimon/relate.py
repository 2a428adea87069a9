"""Kept files -> the relation that gives their rows under the names and types of the snapshot's schema.

    Union
      ├─ rows of files that are the table's as they are
      ├─ LatestByKey or MergeByKey        files of which all newer runs are newer, row by row, than the bulk
      └─ LatestByKey or MergeByKey        the others that are merged

and the rows of files, wherever they occur:

    Union                                 one part for each schema, file format, and way to be read
      └─ Filter                           rows that take something back, where there may be some
           └─ Project                     names and types of today
                └─ WithoutPositions       where files have deletion vectors
                     ├─ Files
                     └─ Batches           positions, decoded when the query runs

All buckets that need merging are in one relation: a key is in one bucket alone, or the bucket is part of the key. Source: Paimon, MergeFileSplitRead,
RawFileSplitRead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakesql.errors import UnsupportedFeatureError
from lakesql.formats.paimon.deletion_vectors import POSITIONS, positions
from lakesql.formats.paimon.evolution import stored
from lakesql.formats.paimon.merging import DELETED, KIND, SEQUENCE, merged
from lakesql.formats.paimon.scan import MERGED, MIXED, RAW, Source
from lakesql.formats.paimon.schemas import TableSchema
from lakesql.formats.paimon.types import arrow_type
from lakesql.relation import Batches, Col, Expression, FileFormat, Files, Filter, FirstNonNull, OneOf, Project, Relation, Sum, Union, Value, WithoutPositions

ROW_ID, SEQUENCE_NUMBER = "_ROW_ID", "_SEQUENCE_NUMBER"
ROW_TRACKING = pa.schema([(ROW_ID, pa.int64()), (SEQUENCE_NUMBER, pa.int64())])
"""Columns that tables with row tracking have beside their own."""

VALUE_KIND = "_VALUE_KIND"
TAKES_BACK = pa.array([1, 3], pa.int8())
"""Kinds of rows that take something back: an update's old row, and a deleted one."""

FORMATS = {"parquet": FileFormat.PARQUET, "orc": FileFormat.ORC, "avro": FileFormat.AVRO}


def relation_of(source: Source, files: pa.Table, constants: pa.Table, columns: Sequence[str]) -> Relation:
    """The rows of `files` with `columns`, in that order. files: as `scan.file_table` has them; constants: partition columns, one row per file."""
    reader = Reader(source, tuple(columns))
    merge = files["merge"].to_numpy()
    parts = []
    for kind in (RAW, MERGED, MIXED):
        mask = pa.array(merge == kind)
        if kind == RAW and ((merge == RAW).any() or not len(merge)):
            parts.append(reader.rows(files.filter(mask), _filter(constants, mask), reader.plain))
        elif kind != RAW and (merge == kind).any():
            parts.append(_merged(reader, files.filter(mask), _filter(constants, mask), settled=kind == MERGED))
    return parts[0] if len(parts) == 1 else Union(tuple(parts))


def _merged(reader: Reader, files: pa.Table, constants: pa.Table, *, settled: bool) -> Relation:
    plan = merged(reader.source.schema, reader.source.options, reader.columns)
    grouped = not keys_are_apart(reader.source, files)
    runs = []
    bulk = files["bulk"].to_numpy()
    for chosen in (bulk, ~bulk):
        mask = pa.array(chosen)
        runs.append(reader.rows(files.filter(mask), _filter(constants, mask), Wanted(plan.columns, True, grouped, plan.kinds, plan.keeps_retracts)))
    distinct = pc.all(files["distinct"]).as_py() and not reader.source.options.flag("sequence.snapshot-ordering")
    node = plan.relation(runs[0], runs[1], (GROUP,) if grouped else (), settled=settled, distinct=distinct)
    return Project(node, reader.columns, tuple(Col(c) for c in reader.columns))


def keys_are_apart(source: Source, files: pa.Table) -> bool:
    """Whether a key, without its bucket, is in one bucket alone: there is but one, or the table is not partitioned and all files count as many."""
    if pc.count_distinct(files["group"]).as_py() == 1:
        return True
    totals = pc.unique(files["total_buckets"]).to_pylist()
    return not source.schema.partition_keys and len(totals) == 1 and (totals[0] or 0) > 0


GROUP, ADDS, ROW = "bucket'", "adds'", "row'"
"""Names of technical columns: what tells buckets apart in rows that are merged; whether a row adds something; the
row's place among all that are put together."""


@dataclass(frozen=True)
class Wanted:
    """What rows of files are to have.

    columns: of the table. keyed: for merging, with the writers' numbers and whether rows take back. grouped: the bucket as a number. kinds: the kinds of
    rows themselves. retracts: whether rows that take back come at all. placed: the place of a row among all of its row groups.
    stored_kinds: with kinds, whether inserts are told from new rows of updates.
    """

    columns: tuple[str, ...]
    keyed: bool = False
    grouped: bool = False
    kinds: bool = False
    retracts: bool = False
    placed: bool = False
    stored_kinds: bool = False


@dataclass(frozen=True, eq=False)
class Reader:
    """Makes relations of files. columns: what the statement reads."""

    source: Source
    columns: tuple[str, ...]

    @cached_property
    def plain(self) -> Wanted:
        """Rows as the statement reads them."""
        return Wanted(self.columns)

    def rows(self, files: pa.Table, constants: pa.Table, wanted: Wanted) -> Relation:
        """The rows of files, every deleted one left out; where they are not to be merged, those that take back too."""
        parts = [self._part(part, _filter(constants, mask), wanted) for part, mask in _alike(files, wanted)]
        return parts[0] if len(parts) == 1 else Union(tuple(parts)) if parts else _nothing(self, wanted)

    def _part(self, files: pa.Table, constants: pa.Table, wanted: Wanted) -> Relation:
        """Files of one schema and format that are read in one way."""
        first = {n: files[n][0].as_py() for n in ("schema_id", "format", "takes_back")}
        file_format = _format(first["format"], files)
        held = self.source.described.schema_of(first["schema_id"])
        names = _Names(held.arrow.names)
        fields: dict[str, pa.Field] = {}
        values: dict[str, pa.ChunkedArray] = {}
        output: dict[str, Expression] = {}
        takes_back, has_vectors = first["takes_back"], files["vector"].null_count < len(files)
        for name in wanted.columns:
            output[name] = self._column(name, held, first["format"], names, fields, values, files, constants)
        has_kinds = takes_back or (wanted.kinds and wanted.stored_kinds)
        if has_kinds:
            fields[VALUE_KIND] = pa.field(VALUE_KIND, pa.int8())
        if wanted.keyed:
            output[SEQUENCE] = self._sequence(files, names, fields, values)
        if wanted.placed:
            names.index_used = True
            output[ROW] = Sum(Col(names.constant(values, "place", files["place"])), Col(names.index))
        if wanted.grouped:
            output[GROUP] = Col(names.constant(values, "bucket", files["group"]))
        if wanted.kinds:
            output[KIND] = Col(VALUE_KIND) if has_kinds else Value(pa.scalar(0, pa.int8()))
        elif wanted.keyed:
            output[DELETED] = OneOf(Col(VALUE_KIND), TAKES_BACK) if takes_back else Value(pa.scalar(False))
        scan = Files(
            files=files.select(["path", "size_bytes"]),
            schema=pa.schema(list(fields.values())),
            format=file_format,
            constants=pa.table(values) if values else None,
            file_path=names.path if has_vectors else None,
            # Files without any column say how many rows they have by their places.
            row_index=names.index if has_vectors or names.index_used or not (fields or values) else None,
        )
        relation: Relation = scan
        if has_vectors:
            relation = WithoutPositions(scan, Batches(POSITIONS, lambda: self._deleted(files)), names.path, names.index)
        if takes_back and not wanted.retracts:
            kept = Project(relation, (*output, ADDS), (*output.values(), OneOf(Col(VALUE_KIND), pa.array([0, 2], pa.int8()))))
            return Project(Filter(kept, ADDS), tuple(output), tuple(Col(c) for c in output))
        return Project(relation, tuple(output), tuple(output.values()))

    def _column(
        self,
        name: str,
        held: TableSchema,
        file_format: str,
        names: _Names,
        fields: dict[str, pa.Field],
        values: dict[str, pa.ChunkedArray],
        files: pa.Table,
        constants: pa.Table,
    ) -> Expression:
        """A column of the table, or one that row tracking adds."""
        column = self.source.schema.by_name.get(name)
        if column is None:
            return self._tracked(name, names, fields, values, files)
        if name in self.source.schema.partition_keys:
            return Col(names.constant(values, f"partition {name}", constants[name]))
        found = stored(column, held, file_format, writers_clock=self.source.options.writers_clock)
        if found.field is not None:
            fields[found.field.name] = found.field
        return found.expression

    def _tracked(self, name: str, names: _Names, fields: dict[str, pa.Field], values: dict[str, pa.ChunkedArray], files: pa.Table) -> Expression:
        """Row ids and numbers: written down in files that were rewritten, else told by the file and the row's place in it."""
        _read(fields, name, pa.int64())
        if name == SEQUENCE_NUMBER:
            return FirstNonNull((Col(name), Col(names.constant(values, "most sequence", files["most_sequence"]))))
        names.index_used = True
        return FirstNonNull((Col(name), Sum(Col(names.constant(values, "first row id", files["first_row_id"])), Col(names.index))))

    def _sequence(self, files: pa.Table, names: _Names, fields: dict[str, pa.Field], values: dict[str, pa.ChunkedArray]) -> Expression:
        """The writers' number of a row; that of its snapshot, where snapshots order rows."""
        if self.source.options.flag("sequence.snapshot-ordering") and pc.all(files["is_appended"]).as_py():
            return Col(names.constant(values, "least sequence", files["least_sequence"]))
        return Col(_read(fields, SEQUENCE_NUMBER, pa.int64()))

    def _deleted(self, files: pa.Table) -> pa.Table:
        return positions(self.source.paths.storage, files["path"].to_pylist(), files["vector"].combine_chunks(), files["row_count"].to_pylist())


class _Names:
    """Names for what is no column of the files."""

    def __init__(self, taken: Sequence[str]) -> None:
        self._taken = {t.lower() for t in (*taken, VALUE_KIND, SEQUENCE_NUMBER, ROW_ID)}
        self.path, self.index = self._fresh("file path"), self._fresh("row index")
        self.index_used = False

    def constant(self, values: dict[str, pa.ChunkedArray], name: str, column: pa.ChunkedArray) -> str:
        """The name under which a value per file is added."""
        fresh = self._fresh(name)
        values[fresh] = column
        return fresh

    def _fresh(self, name: str) -> str:
        while name.lower() in self._taken:
            name += "'"
        self._taken.add(name.lower())
        return name


def _alike(files: pa.Table, wanted: Wanted) -> Iterator[tuple[pa.Table, pa.Array]]:
    """Files that are read in one way, and where they are: of one schema and format, all with deletion vectors or none, all with rows that may take back or
    none.
    """
    has_vector = files["vector"].combine_chunks().is_valid() if len(files) else pa.array([], pa.bool_())
    keys = [files["schema_id"].to_numpy(), pc.dictionary_encode(files["format"].combine_chunks()).indices.to_numpy(), has_vector.to_numpy(zero_copy_only=False)]
    keys += [
        files["takes_back"].to_numpy(zero_copy_only=False),
        pc.fill_null(files["is_appended"], False).to_numpy(zero_copy_only=False) if wanted.keyed else np.zeros(len(files)),
    ]
    codes = np.unique(np.stack([k.astype(np.int64) for k in keys]), axis=1, return_inverse=True)[1].reshape(-1) if len(files) else np.zeros(0, np.int64)
    for number in range(int(codes.max(initial=-1)) + 1):
        mask = pa.array(codes == number)
        yield files.filter(mask), mask


def _format(name: str, files: pa.Table) -> FileFormat:
    if name not in FORMATS:
        raise UnsupportedFeatureError(
            f"{files['path'][0].as_py()} is a {name or 'nameless'} file; lakesql reads parquet, orc and avro files",
            feature=f"data files in {name}",
            hint="read the table with Paimon itself",
        )
    return FORMATS[name]


def _nothing(reader: Reader, wanted: Wanted) -> Relation:
    """No rows."""
    fields = [pa.field(n, _type_of(reader.source, n)) for n in wanted.columns]
    technical = {SEQUENCE: pa.int64(), GROUP: pa.int64(), KIND: pa.int8(), DELETED: pa.bool_()}
    if wanted.placed:
        fields.append(pa.field(ROW, pa.int64()))
    if wanted.keyed:
        names = [SEQUENCE, *([GROUP] if wanted.grouped else []), KIND if wanted.kinds else DELETED]
        fields += [pa.field(n, technical[n]) for n in names]
    return Batches.of(pa.schema(fields).empty_table())


def _type_of(source: Source, name: str) -> pa.DataType:
    column = source.schema.by_name.get(name)
    return arrow_type(column.type) if column is not None else ROW_TRACKING.field(name).type


def _read(fields: dict[str, pa.Field], name: str, type_: pa.DataType) -> str:
    """Has a technical column of the files read."""
    fields[name] = pa.field(name, type_)
    return name


def _filter(table: pa.Table, mask: pa.Array) -> pa.Table:
    return table.filter(mask) if table.num_columns else table
