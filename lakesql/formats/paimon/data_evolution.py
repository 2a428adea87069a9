"""Tables whose files may hold some of the columns of rows that other files hold: which files belong together, what is known of them, and how their rows are
put together.

Rows have ids, and files with the same rows the same range of them: a row group. Of a column the newest file that has it counts; large values lie in files
of their own, each with one column of part of the rows. What a group's oldest whole file is called, its deletion vector is under. Pruning looks at groups:
at the bounds of the file that counts for a column. Source: Paimon, DataEvolutionSplitRead, DataEvolutionFileStoreScan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakesql.errors import MetadataError, UnsupportedFeatureError
from lakesql.formats.paimon.blobs import NULL, OLDER, read_blobs
from lakesql.formats.paimon.entries import Indices, Mask, Selection
from lakesql.formats.paimon.relate import ROW, ROW_TRACKING, Reader, Wanted
from lakesql.formats.paimon.scan import Listed, Source, buckets_of, file_table, file_vectors, live_files, partition_columns
from lakesql.formats.paimon.statistics import constant, file_bounds, partition_values
from lakesql.formats.paimon.types import DataField, arrow_type
from lakesql.predicate import ColumnPath
from lakesql.pruning import Bounds, prune
from lakesql.relation import Batches, Beside, Col, Project, Relation, Union, Value
from lakesql.storage import Storage
from lakesql.table import Drop, FileSet, ScanReport, ScanRequest

# Scanning ------------------------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Groups:
    """Files by row group. files: all of them; of: each file's group, counted from 0; anchors: for each group its oldest whole file; special: files of one
    column of part of the rows.
    """

    source: Source
    files: Selection
    of: Indices
    anchors: Indices
    special: Mask

    @staticmethod
    def found(source: Source, files: Selection) -> Groups:
        """Puts files with the same rows together. Raises MetadataError for rows that are in no whole file."""
        count = len(files)
        names = files.column("_FILE_NAME")
        special: Mask = np.asarray(pc.or_(pc.ends_with(names, ".blob"), pc.match_substring(names, ".vector.")))
        starts, rows, apart = files.numbers("_FIRST_ROW_ID", -1), files.numbers("_ROW_COUNT"), buckets_of(files)
        order = np.lexsort((special, starts, apart))
        fresh = np.ones(count, bool)
        if count:
            limits = np.unique(np.concatenate([starts, starts + rows]), return_inverse=True)[1].reshape(-1)
            begins, ends = (apart * (2 * count + 2) + side for side in (limits[:count], limits[count:]))
            fresh[1:] = (begins[order][1:] >= np.maximum.accumulate(ends[order])[:-1]) | (apart[order][1:] != apart[order][:-1]) | (starts[order][1:] < 0)
        of = np.empty(count, np.int64)
        of[order] = np.cumsum(fresh) - 1
        total = int(of.max(initial=-1)) + 1
        by_age = np.lexsort((files.numbers("_MAX_SEQUENCE_NUMBER"), special, of))
        anchors = by_age[np.unique(of[by_age], return_index=True)[1]] if count else np.zeros(0, np.int64)
        if special[anchors].any() or len(anchors) != total:
            name = names[int(anchors[special[anchors]][0])].as_py()
            raise MetadataError(f"{source.paths.root}: no file has the rows that {name} has a column of")
        return Groups(source, files, of, anchors, special)

    def __len__(self) -> int:
        return len(self.anchors)

    def bounds(self, column: ColumnPath) -> Bounds | None:
        """See pruning.Candidates: of groups."""
        field = self.source.schema.by_name.get(column[0]) if len(column) == 1 else None
        if field is None:
            return None
        if field.name in self.source.schema.partition_keys:
            return constant(partition_values(self.files, self.source.schema)[field.name].take(pa.array(self.anchors)))
        rows = self.files.column("_ROW_COUNT").take(pa.array(self.anchors))
        counts, whole = self.winners(field)
        found = file_bounds(self.files, self.source.described, field, exact=False)
        known = pa.array(whole)
        at = pa.array(np.maximum(counts, 0))
        lower, upper, null_count = (pc.if_else(known, a.take(at), pa.scalar(None, a.type)) for a in (found.lower, found.upper, found.null_count))
        return Bounds(lower, upper, pc.if_else(pa.array(counts < 0), rows, null_count), rows, null_count_exact=False)

    def winners(self, field: DataField) -> tuple[Indices, Mask]:
        """For each group the file whose values of the column count, -1 where none has it; and whether that file has all rows of the group."""
        has = self._has(field)
        newest = np.lexsort((self.files.numbers("_MAX_SEQUENCE_NUMBER"), self.special & has, has, self.of))
        last = np.searchsorted(self.of[newest], np.arange(len(self)), side="right") - 1
        winners = newest[last] if len(newest) else np.zeros(0, np.int64)
        return np.where(has[winners], winners, -1), has[winners] & ~self.special[winners]

    def narrow(self, keep: Mask) -> Groups:
        """See pruning.Narrowable: of groups."""
        mask: Mask = keep[self.of]
        numbers = np.cumsum(keep) - 1
        places = np.cumsum(mask) - 1
        return Groups(self.source, self.files.narrow(mask), numbers[self.of[mask]], places[self.anchors[keep]], self.special[mask])

    def _has(self, field: DataField) -> Mask:
        """Which files have the column: all of their schema, or those that are listed."""
        has = np.zeros(len(self.files), bool)
        ids, listed = self.files.numbers("_SCHEMA_ID"), self.files.column("_WRITE_COLS")
        for schema_id in np.unique(ids).tolist():
            held = self.source.described.schema_of(schema_id).by_id.get(field.id)
            if held is None:
                continue
            mine = ids == schema_id
            whole = listed.is_null().to_numpy(zero_copy_only=False)
            parents = pc.list_parent_indices(listed).filter(pc.equal(pc.list_flatten(listed), held.name)).to_numpy()
            named = np.zeros(len(has), bool)
            named[parents] = True
            has |= mine & (whole | named)
        return has


def _places(groups: Groups) -> Indices:
    """A number for each file's first row, unique over all groups: ids say where in its group a row is, and may be the same in other buckets."""
    starts, rows = groups.files.numbers("_FIRST_ROW_ID"), groups.files.numbers("_ROW_COUNT")
    first = np.full(len(groups), 2**62)
    np.minimum.at(first, groups.of, starts)
    extents = np.zeros(len(groups), np.int64)
    np.maximum.at(extents, groups.of, starts + rows - first[groups.of])
    bases = np.cumsum(extents) - extents
    places: Indices = bases[groups.of] + starts - first[groups.of]
    return places


def scan(source: Source, request: ScanRequest) -> FileSet:
    """See scan.scan, for these tables."""
    predicates = request.predicates if request.prune else ()
    return scan_files(source, live_files(source, predicates), request)


def scan_files(source: Source, listed: Listed, request: ScanRequest) -> FileSet:
    """As scan, of files that are listed already: of a row group all or none."""
    predicates = request.predicates if request.prune else ()
    groups = Groups.found(source, listed.files)
    kept, verdict = groups, None
    if predicates:
        verdict = prune(groups, predicates, partition_columns=partition_columns(source))
        kept = groups.narrow(verdict.keep)
    files = kept.files
    vectors = file_vectors(source, files)
    table = _table(kept, vectors)
    deleted = pc.if_else(vectors.is_valid(), pc.struct_field(vectors, "cardinality"), pa.scalar(0, pa.int64()))
    is_anchor = np.zeros(len(files), bool)
    is_anchor[kept.anchors] = True
    live = pc.if_else(pa.array(is_anchor), pc.subtract(files.column("_ROW_COUNT"), deleted), pa.scalar(0, pa.int64()))
    values = partition_values(files, source.schema)
    report = _report(groups, kept, listed, live)
    if verdict is not None:
        per_partition = int(np.isin(groups.of, np.flatnonzero(~verdict.keep)).sum()) if not verdict.dropped_by_statistics else 0
        dropped = len(groups.files) - len(files)
        report = replace(
            report,
            dropped_by_partition=report.dropped_by_partition + per_partition,
            dropped_by_statistics=dropped - per_partition,
            unused=verdict.unusable,
            drops=lambda limit: _drops(groups, verdict.keep, verdict.reasons, limit),
        )
    return FileSet(
        files=table,
        constants=pa.table(values) if values else pa.table({}),
        live_rows=live,
        all_match=bool(verdict.all_match[verdict.keep].all()) if verdict is not None else not request.predicates,
        report=report,
        extremes=lambda column: (
            (values[column], values[column], pc.if_else(values[column].is_null(), live, pa.scalar(0, pa.int64()))) if column in values else None
        ),
    )


def _table(groups: Groups, vectors: pa.Array) -> pa.Table:
    """scan.file_table, with the group of each file, whether it is special, and the newest number of its group for all of it."""
    files = groups.files
    table = file_table(groups.source, files, groups.of, vectors)
    newest = np.full(len(groups), -(2**63))
    np.maximum.at(newest, groups.of, files.numbers("_MAX_SEQUENCE_NUMBER"))
    own = table["most_sequence"]
    anchors = np.zeros(len(files), bool)
    anchors[groups.anchors] = True
    table = table.set_column(table.column_names.index("most_sequence"), "most_sequence", pa.array(newest[groups.of] if len(files) else [], pa.int64()))
    return (
        table.set_column(table.column_names.index("section"), "section", pa.array(groups.of))
        .append_column("sequence", own)
        .append_column("special", pa.array(groups.special))
        .append_column("anchor", pa.array(anchors))
        .append_column("columns", files.column("_WRITE_COLS"))
        .append_column("place", pa.array(_places(groups)))
    )


def _report(groups: Groups, kept: Groups, listed: Listed, live: pa.Array) -> ScanReport:
    total, sizes = len(groups.files), kept.files.column("_FILE_SIZE")
    return ScanReport(
        metadata_files=listed.lists,
        metadata_skipped=listed.skipped,
        total_files=total + listed.skipped_files,
        dropped_by_partition=listed.skipped_files,
        dropped_by_statistics=0,
        kept_files=len(kept.files),
        total_bytes=None if listed.skipped_files else pc.sum(groups.files.column("_FILE_SIZE")).as_py() or 0,
        kept_bytes=pc.sum(sizes).as_py() or 0,
        kept_rows=None if live.null_count else pc.sum(live).as_py() or 0,
    )


def _drops(groups: Groups, keep: Mask, reasons: object, limit: int | None) -> list[Drop]:
    dropped = np.flatnonzero(~keep[groups.of])[:limit]
    paths = groups.source.paths.data_files(groups.files.take(dropped)).to_pylist()
    found = reasons(groups.of[dropped].tolist())  # type: ignore[operator]
    return [Drop(path, predicate, bound) for path, (predicate, bound) in zip(paths, found, strict=True)]


# Rows ----------------------------------------------------------------------------------------------------------------------------------------------


def relation_of(source: Source, files: pa.Table, constants: pa.Table, columns: Sequence[str]) -> Relation:
    """See relate.relation_of, for these tables: row groups whose files are alike are read together."""
    reader = Reader(source, tuple(columns))
    if not files.num_rows:
        return reader.rows(files, constants, reader.plain)
    shapes: dict[tuple[object, ...], list[_Group]] = {}
    for group in _groups(source, files, reader.columns):
        shapes.setdefault(group.shape, []).append(group)
    parts = [_rows(reader, files, constants, groups) for groups in shapes.values()]
    return parts[0] if len(parts) == 1 else Union(tuple(parts))


@dataclass(frozen=True, eq=False)
class _Group:
    """A row group as it is read. parts: files, by their rows in the table, each with the columns it gives, the first one with all rows and the deletion
    vector; blobs: for columns that lie in special files, those files.
    """

    files: list[dict[str, object]]
    parts: list[tuple[int, tuple[str, ...]]]
    special: dict[str, list[int]]

    @cached_property
    def shape(self) -> tuple[object, ...]:
        """Groups of one shape are read alike."""
        first = self.files[self.parts[0][0]]
        described = [(self.files[i]["schema_id"], self.files[i]["format"], columns) for i, columns in self.parts]
        return (
            *described,
            first["vector"] is not None,
            tuple((c, str(self.files[f[0]]["format"]), self.files[f[0]]["schema_id"]) for c, f in self.special.items()),
        )


_SHAPING = ("group", "schema_id", "format", "vector", "special", "anchor", "sequence", "columns", "row_count", "first_row_id")


def _groups(source: Source, files: pa.Table, columns: tuple[str, ...]) -> list[_Group]:
    rows = files.select(list(_SHAPING)).to_pylist()
    members: dict[int, list[int]] = {}
    for number, row in enumerate(rows):
        members.setdefault(row["group"], []).append(number)
    wanted = [c for c in columns if c in source.schema.by_name and c not in source.schema.partition_keys]
    return [_group(source, rows, numbers, wanted) for numbers in members.values()]


def _group(source: Source, rows: list[dict[str, object]], numbers: list[int], wanted: list[str]) -> _Group:
    anchor = next(n for n in numbers if rows[n]["anchor"])
    whole = sorted((n for n in numbers if not rows[n]["special"]), key=lambda n: (rows[n]["sequence"], n != anchor), reverse=True)
    for number in whole:
        if any(rows[number][k] != rows[anchor][k] for k in ("row_count", "first_row_id")):
            raise MetadataError(f"{source.paths.root}: files with rows from {rows[anchor]['first_row_id']} on do not have the same rows")
    given: dict[int, list[str]] = {}
    special: dict[str, list[int]] = {}
    for name in wanted:
        field = source.schema.by_name[name]
        apart = [n for n in numbers if rows[n]["special"] and _has(source, rows[n], field)]
        owner = next((n for n in whole if _has(source, rows[n], field)), None)
        if apart:
            special[name] = apart
        elif owner is not None:
            given.setdefault(owner, []).append(name)
    # A vector is found by the anchor's name, so the anchor is read where there is one, if only for the places of its rows.
    base = anchor if rows[anchor]["vector"] is not None or not given else max(given, key=lambda n: (len(given[n]), n))
    parts = [(base, tuple(given.get(base, ()))), *((n, tuple(c)) for n, c in sorted(given.items(), key=lambda g: tuple(g[1])) if n != base)]
    return _Group(rows, parts, special)


def _has(source: Source, row: dict[str, object], field: DataField) -> bool:
    held = source.described.schema_of(row["schema_id"]).by_id.get(field.id)  # type: ignore[arg-type]
    return held is not None and (row["columns"] is None or held.name in row["columns"])  # type: ignore[operator]


def _rows(reader: Reader, files: pa.Table, constants: pa.Table, groups: list[_Group]) -> Relation:
    """The rows of groups of one shape."""
    first = groups[0]
    own = [c for c in reader.columns if c in reader.source.schema.partition_keys or c in first.parts[0][1] or c in ROW_TRACKING.names]
    alone = len(first.parts) == 1 and not first.special
    inputs = []
    for place, (_, given) in enumerate(first.parts):
        at = pa.array([g.parts[place][0] for g in groups])
        kept = constants.take(at) if constants.num_columns else constants
        names = tuple(own) if place == 0 else given
        inputs.append(reader.rows(files.take(at), kept, Wanted(names, placed=not alone)))
    for column in first.special:
        numbers = [n for g in groups for n in g.special[column]]
        inputs.append(_special(reader, files.take(pa.array(numbers)), column))
    there = {*own, *(c for _, given in first.parts[1:] for c in given), *first.special}
    node = inputs[0] if alone else Beside(tuple(inputs), ROW)
    absent = {c: Value(pa.scalar(None, arrow_type(reader.source.schema.by_name[c].type))) for c in reader.columns if c not in there}
    return Project(node, reader.columns, tuple(absent.get(c, Col(c)) for c in reader.columns))


def _special(reader: Reader, files: pa.Table, column: str) -> Relation:
    """A column that lies in files of its own, with the places of its rows."""
    if files["format"][0].as_py() != "blob":
        starts, rows = files["place"].to_numpy(), files["row_count"].to_numpy()
        order = np.argsort(starts)
        if (starts[order][1:] < (starts + rows)[order][:-1]).any():
            raise UnsupportedFeatureError(f"column {column} has values in two vector files at once", feature="vector files that overlap")
        return reader.rows(files, pa.table({}), Wanted((column,), placed=True))
    type_ = arrow_type(reader.source.schema.by_name[column].type)
    schema = pa.schema([pa.field(ROW, pa.int64()), pa.field(column, type_)])
    ordered = files.sort_by([("sequence", "ascending")]).select(["path", "place", "row_count"]).to_pylist()
    return Batches(schema, lambda: _blobs(reader.source.paths.storage, ordered, schema))


def _blobs(storage: Storage, files: Sequence[dict[str, object]], schema: pa.Schema) -> pa.Table:
    """Places of rows and values of blob files, given oldest first: a newer value replaces an older one, unless it says that the older one stays."""
    found: dict[int, bytes | None] = {}
    for file in files:
        start, rows = file["place"], file["row_count"]
        assert isinstance(start, int)
        assert isinstance(rows, int)
        for place, value in enumerate(read_blobs(storage, str(file["path"]), rows)):
            if value != OLDER:
                found[start + place] = None if value == NULL else value  # type: ignore[assignment]
    return pa.table([pa.array(list(found), pa.int64()), pa.array(list(found.values()), schema.field(1).type)], schema=schema)
