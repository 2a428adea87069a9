"""Relations -> DataFrames.

    Files               one native scan; per-file constants as literals over a few groups of files, or by a join on the file's name
    WithoutPositions    an anti-join on (file name, row index), both of which the Parquet source supplies
    Project             expressions
    Counted             literals over rows without columns

A per-file constant costs nothing where few files differ (a union of scans) and about 7 ns a row by a join where many do; `UNION_LIMIT` is where planning the
union starts to cost more (benchmarks/).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache

import pyarrow as pa
import pyarrow.compute as pc
from datafusion import DataFrame, Expr, SessionContext, col, lit, udf
from datafusion import functions as f

from lakesql.engines.datafusion.merge import latest_by_key, unfiltered, with_keys, without_keys, without_positions
from lakesql.engines.datafusion.merge_rules import beside, mapped, merge_by_key
from lakesql.engines.datafusion.plan import Scans
from lakesql.engines.datafusion.row_changes import row_changes
from lakesql.engines.datafusion.stores import ObjectStores
from lakesql.engines.decoded import decode, files_schema
from lakesql.engines.layouts import Footers, Layout, group_by_layout, needs_layouts
from lakesql.engines.shape import holds_struct, needs_shaping, nulls_inward, plain, shaped
from lakesql.errors import DataFileError, InternalError, MissingFileError, UnsupportedFeatureError
from lakesql.location import is_local, place
from lakesql.relation import (
    AtPositions,
    Batches,
    Beside,
    CastTo,
    Col,
    Counted,
    Deferred,
    Expression,
    FileFormat,
    Files,
    Filter,
    FirstNonNull,
    LatestByKey,
    ListOf,
    Mapped,
    MergeByKey,
    OneOf,
    Project,
    Relabel,
    Relation,
    RowChanges,
    Scanned,
    Sum,
    Union,
    Value,
    WithKeys,
    WithoutKeys,
    WithoutPositions,
    default_of,
    distinct_rows,
)
from lakesql.storage import Storage

UNION_LIMIT = 16
_FILE = "__lakesql_file"
_KEY = "__lakesql_key"
_NAME = "__lakesql_name"
_POSITION = "__lakesql_position"
_REPARTITIONS = 4
"""Only a bare file_row_index() or input_file_name() is pushed into the source; merged into an expression above it, it could not be evaluated. A repartitioning
keeps the two projections apart."""
_STAT_THREADS = 16
_numbers = itertools.count(1)
_ROWS_PER_BATCH = 8192
_BLANK_ROWS = 1 << 26


class Lowering:
    """Lowers the relations of one statement into a session context.

    stores: where files are, as the context knows it. suspects: receives a line for each file whose size is not what metadata says: no error yet,
    but the first thing to know if one cannot be read. fields_are_read: the statement reaches into structs. required: the paths that were looked for, with the
    sizes that metadata promises; bytes_held: what the frames keep in memory; borrows: files are reached by options
    that were lent for this statement.

    Row positions and file names come from the source alone: `file_row_index()` above a filter cannot be evaluated, and filters are pushed below it. Either the
    optimiser moves it down again (its leaf rules; asks_source says that they are needed), or filters must be kept above (merge.unfiltered), and the source
    prunes nothing: the way for statements that reach into structs, which those rules get wrong.
    """

    def __init__(
        self,
        context: SessionContext,
        scans: Scans,
        storage: Storage,
        footers: Footers,
        stores: ObjectStores,
        suspects: list[str],
        *,
        fields_are_read: bool,
    ) -> None:
        self._context = context
        self._scans = scans
        self._storage = storage
        self._footers = footers
        self._stores = stores
        self._suspects = suspects
        self._fields_are_read = fields_are_read
        self.asks_source = False
        self.required: list[tuple[Sequence[str], Sequence[int | None]]] = []
        self.bytes_held = 0
        self.borrows = False

    def frame(self, relation: Relation) -> DataFrame:
        """The relation's rows, lazily. Checks that data files are there; Batches are loaded here."""
        match relation:
            case Files():
                return self._files(relation)
            case Batches(schema, load):
                return self._table(_conforming(load(), schema))
            case Counted():
                return self._counted(relation)
            case Deferred(_, make):
                return self.frame(make())
            case Project(input_, names, expressions):
                frame = self.frame(input_)
                return frame.select(*(_named(_expression(e, frame), e, n) for n, e in zip(names, expressions, strict=True)))
            case Filter(input_, where):
                return self.frame(input_).filter(column(where))
            case Union(inputs):
                return self._union([self.frame(i) for i in inputs])
            case WithoutPositions():
                return self._without_positions(relation)
            case AtPositions():
                return self._at_positions(relation)
            case RowChanges():
                return row_changes(self._context, relation, self.frame(relation.input))
            case WithoutKeys():
                return without_keys(self._context, relation, self.frame)
            case WithKeys():
                return with_keys(self._context, relation, self.frame)
            case LatestByKey():
                return latest_by_key(self._context, relation, self.frame)
            case MergeByKey():
                return merge_by_key(self._context, relation, self.frame)
            case Beside():
                return beside(self._context, relation, self.frame)
            case Scanned():
                raise InternalError("a dataset of another library cannot be lowered by this engine yet")
            case _:
                raise InternalError(f"{type(relation).__name__} cannot be lowered by this engine yet")

    # Files ---------------------------------------------------------------------------------------------------------------------------------------

    def _files(self, files: Files, key: str | None = None) -> DataFrame:
        """key: name of one more column, the file's name as the engine knows it: a cheaper join key than the path, for which a text is made per row."""
        paths = files.files.column("path").to_pylist()
        if not paths:
            schema = files_schema(files)
            return self._table((schema if key is None else schema.append(pa.field(key, pa.string()))).empty_table())
        self._require(paths, files.files.column("size_bytes").to_pylist())
        if files.format is not FileFormat.PARQUET:
            return self._decoded(files, paths, key)
        stores = {} if all(p.startswith("/") for p in paths) else self._by_store(paths)
        if len(stores) > 1:
            if key is not None and len({engine_name(p) for p in paths}) < len(paths):
                raise UnsupportedFeatureError("files of one table are in several stores under one name, and rows of them are deleted", feature="such tables")
            return self._union([self._files_of_one_store(_part(files, rows), [paths[r] for r in rows], key) for rows in stores.values()])
        return self._files_of_one_store(files, paths, key)

    def _by_store(self, paths: Sequence[str]) -> dict[str, list[int]]:
        """Which files are in which store: a scan asks one store for all its files, and would miss or mistake those of others."""
        stores: dict[str, list[int]] = {}
        for number, path in enumerate(paths):
            stores.setdefault(self._stores.root(path), []).append(number)
        return stores

    def _files_of_one_store(self, files: Files, paths: list[str], key: str | None) -> DataFrame:
        if needs_layouts(files):
            return self._files_by_layout(files, paths, key)
        return self._group(files, list(range(len(paths))), paths, None, key)

    def _decoded(self, files: Files, paths: list[str], key: str | None) -> DataFrame:
        """Files of formats whose rows the engine cannot number."""
        if key is None:
            counted = files if files_schema(files).names else replace(files, row_index=_POSITION)  # rows without columns would have no number
            return self._table(decode(self._storage, counted))
        path = files.file_path or key
        table = decode(self._storage, replace(files, file_path=path))
        spelled = pc.dictionary_encode(table.column(path)).combine_chunks()
        names = pa.DictionaryArray.from_arrays(spelled.indices, pa.array([engine_name(p) for p in spelled.dictionary.to_pylist()], pa.string()))
        rest = table if files.file_path is not None else table.drop_columns([key])
        return self._table(rest.append_column(key, names.cast(pa.string())))

    def _files_by_layout(self, files: Files, paths: list[str], key: str | None) -> DataFrame:
        frames = []
        for layout, rows in group_by_layout(files, paths, self._footers.schemas(paths)):
            frames.append(self._group(files, rows, [paths[r] for r in rows], layout, key))
        return self._union(frames)

    def _group(self, files: Files, rows: list[int], paths: list[str], layout: Layout | None, key: str | None) -> DataFrame:
        """The files at `rows`, which share a layout (None: that of the node itself), with constants, path and row index as the node asks."""
        constants = files.constants.take(pa.array(rows)) if files.constants is not None else None
        for field in layout.lacks if layout is not None else ():
            if files.absent is not None and field.name in files.absent.column_names:
                values = files.absent.column(field.name).take(pa.array(rows))
                constants = pa.table({field.name: values}) if constants is None else constants.append_column(field.name, values)
        extra = [f.file_row_index().alias(files.row_index)] if files.row_index is not None else []
        prefix = None if files.file_path is None else common_prefix(paths)
        if prefix is not None and key is None:
            extra.append(f.input_file_name().alias(_NAME))
        elif prefix is None and files.file_path is not None:
            path_column = pa.table({files.file_path: pa.array(paths, pa.string())})
            constants = path_column if constants is None else constants.append_column(files.file_path, path_column.column(0))
        names = files_schema(files).names
        if key is not None:
            extra.append(f.input_file_name().alias(key))
            names = [*names, key]

        def read(paths: Sequence[str], extra: Sequence[Expr]) -> DataFrame:
            """The scan; paths are put together above it, since only a bare name comes from the source."""
            frame = self._read(paths, files, layout, extra, bool(extra))
            if prefix is None or files.file_path is None:
                return frame
            path = f.concat(lit(prefix), column(key or _NAME)).alias(files.file_path)
            return frame.select(*(column(n) for n in frame.schema().names if n != _NAME), path)

        if constants is None or constants.num_columns == 0:
            return _ordered(read(paths, extra), names)
        codes, distinct, groups = distinct_rows(constants, len(paths))
        if groups <= UNION_LIMIT:
            frames = []
            for number in range(groups):
                chosen = [p for p, c in zip(paths, codes.tolist(), strict=True) if c == number]
                literals = [literal(distinct.column(n)[number]).alias(n) for n in distinct.column_names]
                frames.append(_ordered(read(chosen, [*literals, *extra]), names))
            return self._union(frames)
        known = constants.append_column(_FILE, pa.array([engine_name(p) for p in paths], pa.string()))
        scan = read(paths, [*extra, f.input_file_name().alias(_FILE + "_here")])
        joined = self._table(known).join(scan, how="inner", left_on=[_FILE], right_on=[_FILE + "_here"])
        return _ordered(joined, names)

    def _read(self, paths: Sequence[str], files: Files, layout: Layout | None, extra: Sequence[Expr], told_by_source: bool) -> DataFrame:
        """A scan of files with the node's columns and `extra` expressions. told_by_source: some of those only the source can evaluate."""
        held = _plain(files.schema) if layout is None else _plain(layout.held)
        scan = self._scan(paths, held).select(*(column(n) for n in held.names), *extra)
        if told_by_source:
            self.asks_source = True
            scan = unfiltered(self._context, scan) if self._fields_are_read else scan
            scan = scan.repartition(_REPARTITIONS)
        others = [column(n) for n in scan.schema().names[len(held) :]]
        if layout is not None:
            columns = [_as_wanted(h, w) for h, w in zip(layout.held, layout.wanted, strict=True)]
            given = set() if files.absent is None else set(files.absent.column_names)
            defaults = [_default(x) for x in layout.lacks if x.name not in given]
            scan = scan.select(*columns, *defaults, *others)
        if self._fields_are_read and any(holds_struct(x.type) for x in files.schema):
            scan = scan.select(*(_with_nulls_inward(x) for x in scan.schema()))
        return scan

    def _scan(self, paths: Sequence[str], schema: pa.Schema) -> DataFrame:
        root = self._stores.root(paths[0])
        self.borrows = self.borrows or root not in ("", place(paths[0]).store)
        return self._scans.files(self._stores.urls(root, paths), as_views(schema))

    def _require(self, paths: Sequence[str], expected: Sequence[int | None]) -> None:
        self.required.append((paths, expected))
        self._suspects += require(self._storage, paths, expected)

    # Deletes -------------------------------------------------------------------------------------------------------------------------------------

    def _without_positions(self, node: WithoutPositions) -> DataFrame:
        input_ = node.input
        if not isinstance(input_, Files) or not isinstance(node.deletes, Batches):
            deletes = self.frame(node.deletes).select(column("path").cast(pa.string()).alias(_FILE), column("position").alias(_POSITION))
            return without_positions(self._context, self.frame(input_), deletes, {node.file_path: _FILE, node.row_index: _POSITION})
        rows = _conforming(node.deletes.load(), node.deletes.schema)
        if input_.files.num_rows == 1:
            positions = rows.filter(pc.equal(rows.column("path"), input_.files.column("path")[0])).select(["position"]).rename_columns([_POSITION])
            return without_positions(self._context, self._files(input_), self._table(positions), {node.row_index: _POSITION})
        joined = without_positions(self._context, self._files(input_, key=_KEY), self._table(_by_engine_name(rows)), {_KEY: _FILE, node.row_index: _POSITION})
        return _ordered(joined, files_schema(input_).names)

    def _at_positions(self, node: AtPositions) -> DataFrame:
        """The positions stand on the left, where a hash join builds its table."""
        rows = _conforming(node.positions.load(), node.positions.schema)
        told = rows.schema.names[2:]
        if isinstance(node.input, Files):
            frame, key, names = self._files(node.input, key=_KEY), _KEY, files_schema(node.input).names
            rows = _by_engine_name(rows)
        else:
            frame, key = self.frame(node.input), node.file_path
            names, rows = frame.schema().names, rows.rename_columns([_FILE, _POSITION, *told])
        joined = self._table(rows).join(frame, how="inner", left_on=[_FILE, _POSITION], right_on=[key, node.row_index])
        return _ordered(joined, [*names, *told])

    # Rows in memory ------------------------------------------------------------------------------------------------------------------------------

    def _counted(self, counted: Counted) -> DataFrame:
        """Few groups become literals over rows without columns, which the optimiser counts without reading; many become small batches used again and again."""
        groups = counted.groups
        absent = [n for n in counted.schema.names if n not in groups.column_names]
        nulls = [literal(pa.scalar(None, plain(counted.schema.field(n).type))).alias(n) for n in absent]
        counts = counted.row_counts.to_pylist()
        if not any(counts):
            return self._table(_plain(counted.schema).empty_table())
        if len(counts) <= UNION_LIMIT:
            frames = []
            for number, count in enumerate(counts):
                if count == 0:  # the engine would take the literal for the group's least and greatest value all the same
                    continue
                literals = [literal(groups.column(n)[number]).alias(n) for n in groups.column_names]
                blank = self._context.read_batches(_blank(count))
                frames.append(_ordered(blank.select(*literals, *nulls), counted.schema.names))
            return self._union(frames)
        batches = []
        for number, count in enumerate(counts):
            row = groups.slice(number, 1)
            columns = [pa.repeat(c[0], min(count, _ROWS_PER_BATCH)) for c in row.columns] if count else []
            if count:
                full = pa.RecordBatch.from_arrays(columns, schema=groups.schema)
                self.bytes_held += full.nbytes
                batches += [full] * (count // full.num_rows)
                if rest := count % full.num_rows:
                    batches.append(full.slice(0, rest))
        return _ordered(self._context.read_batches(batches).select(*(column(n) for n in groups.column_names), *nulls), counted.schema.names)

    def _table(self, table: pa.Table) -> DataFrame:
        self.bytes_held += table.nbytes
        batches = table.to_batches() or [pa.RecordBatch.from_arrays([pa.array([], type=x.type) for x in table.schema], schema=table.schema)]
        return self._context.read_batches(batches)

    def _union(self, frames: Sequence[DataFrame]) -> DataFrame:
        if not frames:
            raise InternalError("a union of nothing")
        whole = frames[0]
        for frame in frames[1:]:
            whole = whole.union(frame)
        return whole


def require(storage: Storage, paths: Sequence[str], expected: Sequence[int | None]) -> list[str]:
    """Looks for files: a listing over one that is not there, or is empty, gives no rows and no error. A line for each whose size is not the expected one."""
    if is_local(paths[0]):
        sizes = [storage.size(p) for p in paths]
    else:
        with ThreadPoolExecutor(min(_STAT_THREADS, len(paths))) as pool:
            sizes = list(pool.map(storage.size, paths))
    suspects = []
    for path, size, promised in zip(paths, sizes, expected, strict=True):
        if size is None:
            raise MissingFileError(f"data file {path} is not there", path=path)
        if size == 0:
            raise DataFileError(f"data file {path} is empty", hint="it was not written whole, or has been overwritten")
        if promised is not None and size != promised:
            suspects.append(f"{path} has {size} bytes, where the metadata says {promised}")
    return suspects


def _part(files: Files, rows: list[int]) -> Files:
    """Some of a node's files."""
    chosen = pa.array(rows)
    constants = None if files.constants is None else files.constants.take(chosen)
    return replace(files, files=files.files.take(chosen), constants=constants, absent=None if files.absent is None else files.absent.take(chosen))


def _blank(count: int) -> list[pa.RecordBatch]:
    """That many rows of nothing. Even nulls take a bit each, so what goes beyond a batch's rows is that batch again."""
    whole = pa.record_batch({_FILE: pa.nulls(min(count, _BLANK_ROWS))})
    times, rest = divmod(count, _BLANK_ROWS)
    return [whole] * times + ([whole.slice(0, rest)] if rest or not times else [])


def _by_engine_name(rows: pa.Table) -> pa.Table:
    """Positions in files, whose first two columns are `path` and `position`, with the names that the engine has for the files, and under our own names."""
    given = rows.column("path")
    paths = (given if pa.types.is_dictionary(given.type) else pc.dictionary_encode(given)).unify_dictionaries().combine_chunks()
    names = pa.array([engine_name(p) for p in paths.dictionary.to_pylist()], pa.string())
    known = pa.DictionaryArray.from_arrays(paths.indices, names)
    return rows.set_column(0, "path", known).rename_columns([_FILE, _POSITION, *rows.schema.names[2:]])


def common_prefix(paths: Sequence[str]) -> str | None:
    """What stands before the engine's name in every path; None where paths differ in it."""
    prefixes = {p[: len(p) - len(n)] if p.endswith(n := engine_name(p)) else None for p in paths}
    return prefixes.pop() if len(prefixes) == 1 else None


def engine_name(path: str) -> str:
    """What `input_file_name()` gives for a path: the key within its store, not encoded."""
    return place(path).key.lstrip("/")


def column(name: str) -> Expr:
    """A column by its exact name; DataFusion would take dots and capitals apart."""
    quoted = name.replace('"', '""')
    return col(f'"{quoted}"')


def as_views(schema: pa.Schema) -> pa.Schema:
    """Top-level text and bytes as views, which the engine reads faster."""
    views = {pa.string(): pa.string_view(), pa.binary(): pa.binary_view()}
    return pa.schema([pa.field(x.name, views.get(x.type, x.type)) for x in schema])


def _plain(schema: pa.Schema) -> pa.Schema:
    return pa.schema([pa.field(x.name, plain(x.type)) for x in schema])


def _ordered(frame: DataFrame, names: Sequence[str]) -> DataFrame:
    return frame.select(*(column(n) for n in names))


def _conforming(table: pa.Table, schema: pa.Schema) -> pa.Table:
    if table.schema.names != schema.names:
        raise InternalError(f"a metadata table gave columns {table.schema.names} instead of {schema.names}")
    return table.cast(schema)


def literal(scalar: pa.Scalar) -> Expr:
    """A constant of the scalar's type; DataFusion takes nulls of nested types only by a cast."""
    return lit(scalar) if scalar.is_valid else _null().cast(scalar.type)


@cache
def _null() -> Expr:
    return lit(None)  # made once: each time, datafusion-python looks for a library that may not be there


def _named(value: Expr, expression: Expression, name: str) -> Expr:
    """The value under its name; a column that keeps its name is left alone, since an optimiser rule trips over `x AS x`."""
    return value if expression == Col(name) else value.alias(name)


def _expression(expression: Expression, input_: DataFrame) -> Expr:
    match expression:
        case Col(name):
            return column(name)
        case Value(scalar):
            return literal(scalar)
        case CastTo(inner, type_):
            return _expression(inner, input_).cast(type_)
        case Relabel(inner, type_):
            value = _expression(inner, input_)
            return _relabel(value, input_.select(value).schema().field(0).type, type_)
        case FirstNonNull(inputs):
            return f.coalesce(*(_expression(i, input_) for i in inputs))
        case Sum(left, right):
            return _expression(left, input_) + _expression(right, input_)
        case OneOf(inner, values):
            value = _expression(inner, input_)
            return f.in_list(value, [literal(v) for v in values]) & value.is_not_null()  # coalesce() in a filter would compute it in a projection of its own
        case Mapped(inner, function, type_):
            value = _expression(inner, input_)
            return mapped(value, input_.select(value).schema().field(0).type, function, type_)
        case ListOf(inputs):
            return f.make_array(*(_expression(i, input_) for i in inputs))


def _as_wanted(held: pa.Field, wanted: pa.Field) -> Expr:
    """A column of files, as the relation gives it."""
    type_, value = plain(wanted.type), column(held.name)
    held_type = plain(held.type)
    if needs_shaping(held, wanted):
        name = f"lakesql_shaped_{next(_numbers)}"
        return udf(lambda array: shaped(array, held, wanted).view(type_), [held_type], type_, "immutable", name)(value).alias(wanted.name)
    if held.name == wanted.name and held_type == type_:
        return value
    return _relabel(value, held_type, type_).alias(wanted.name)


def _with_nulls_inward(held: pa.Field) -> Expr:
    """A column whose structs' fields are null where the structs are; see shape.nulls_inward."""
    value = column(held.name)
    if not holds_struct(held.type):
        return value
    return udf(nulls_inward, [held.type], held.type, "immutable", f"lakesql_nulls_{next(_numbers)}")(value).alias(held.name)


def _default(wanted: pa.Field) -> Expr:
    """A column that a group of files lacks."""
    value = default_of(wanted)
    return literal(pa.scalar(None, plain(wanted.type)) if value is None else value).alias(wanted.name)


def _relabel(value: Expr, held: pa.DataType, wanted: pa.DataType) -> Expr:
    """The value under other field names; the layout is the same, so no data is copied."""
    if held == wanted:
        return value
    return udf(lambda array: array.view(wanted), [held], wanted, "immutable", f"relabel_{abs(hash((held, wanted)))}")(value)
