"""Random Iceberg tables: any columns, several commits, specs that change between them, deletes of all three kinds, metrics that are whole, cut or absent.

Transforms are computed here once more, by the spec's words and in Python's own numbers; hashes alone come from `buckets.py`, which has the spec's test values.
"""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st
from properties.predicates import Column
from properties.values import BY_NAME, Kind

from lakesql.formats.iceberg.buckets import hashed_bytes, murmur3

from .table_maker import TableMaker, unscaled

TYPES = {
    "int": "int",
    "long": "long",
    "float": "float",
    "double": "double",
    "money": "decimal(9, 2)",
    "wide": "decimal(38, 10)",
    "bool": "boolean",
    "string": "string",
    "binary": "binary",
    "date": "date",
    "instant": "timestamptz",
    "wall": "timestamp",
}
"""The kinds of `properties.values` that Iceberg has, by their names there."""

METRICS = ("whole", "cut", "absent", "no null counts", "no NaN counts", "no bounds", "no record count")
_EPOCH = dt.datetime(1970, 1, 1)
_WIDTHS = {"truncate[3]": 3, "truncate[10]": 10}


@dataclass(frozen=True)
class Spec:
    """What to write. batches: the rows of each commit, without `rid`, which counts all rows from 0; transforms: of each commit's spec, (column, transform);
    metrics: what is done to each commit's. positioned, vectored, keyed: rids deleted in the three ways, in the last commits.
    """

    kinds: tuple[Kind, ...]
    batches: tuple[tuple[dict[str, Any], ...], ...]
    transforms: tuple[tuple[tuple[str, str], ...], ...]
    metrics: tuple[str, ...]
    positioned: frozenset[int]
    vectored: frozenset[int]
    keyed: frozenset[int]

    @property
    def columns(self) -> tuple[Column, ...]:
        """What predicates may name."""
        return tuple(Column(f"c{i}", kind) for i, kind in enumerate(self.kinds))

    @property
    def nested(self) -> tuple[str, ...]:
        """Columns that only null tests apply to."""
        return ()

    @property
    def schema(self) -> pa.Schema:
        """rid, c0, c1, ..."""
        return pa.schema([pa.field("rid", pa.int64()), *(pa.field(f"c{i}", kind.type) for i, kind in enumerate(self.kinds))])

    def live(self) -> pa.Table:
        """The rows that are not deleted."""
        dead = self.positioned | self.vectored | self.keyed
        flat = [row for batch in self.batches for row in batch]
        rows = [{"rid": rid, **row} for rid, row in enumerate(flat) if rid not in dead]
        return pa.Table.from_pylist(rows, schema=self.schema)


@st.composite
def specs(draw: st.DrawFn, *, partitioned: bool, deletes: bool, damaged: bool) -> Spec:
    """Tables of two to four columns in one to four commits, each of few distinct values, so that bounds are narrow enough to prune by."""
    kinds = tuple(BY_NAME[n] for n in draw(st.lists(st.sampled_from(sorted(TYPES)), min_size=2, max_size=4)))
    batches = tuple(draw(st.lists(_batch(kinds), min_size=1, max_size=4)))
    count = sum(len(b) for b in batches)
    some = st.frozensets(st.integers(0, max(0, count - 1)), max_size=4) if count and deletes else st.just(frozenset())
    return Spec(
        kinds,
        batches,
        transforms=tuple(draw(_transforms(kinds)) if partitioned else () for _ in batches),
        metrics=tuple(draw(st.sampled_from(METRICS)) if damaged else "whole" for _ in batches),
        positioned=draw(some),
        vectored=draw(some),
        keyed=draw(some),
    )


@st.composite
def _batch(draw: st.DrawFn, kinds: tuple[Kind, ...]) -> tuple[dict[str, Any], ...]:
    pools = {f"c{i}": draw(_few(kind)) for i, kind in enumerate(kinds)}
    return tuple(draw(st.lists(st.fixed_dictionaries(pools), max_size=8)))


def _few(kind: Kind) -> st.SearchStrategy[st.SearchStrategy[Any]]:
    pool = st.lists(st.sampled_from(kind.values), min_size=1, max_size=3)
    return st.builds(lambda values, nulls: st.sampled_from([*values, *([None] * nulls)]), pool, st.sampled_from([0, 0, 1, 4]))


@st.composite
def _transforms(draw: st.DrawFn, kinds: tuple[Kind, ...]) -> tuple[tuple[str, str], ...]:
    """One or two fields of columns that can have them."""
    choices = [(f"c{i}", t) for i, kind in enumerate(kinds) for t in _possible(kind)]
    return tuple(draw(st.lists(st.sampled_from(choices), unique=True, min_size=0, max_size=2)))


def _possible(kind: Kind) -> list[str]:
    possible = ["identity", "void"]
    if kind.name in ("int", "long", "money", "wide", "string", "binary"):
        possible += ["truncate[3]", "truncate[10]"]
    if kind.name not in ("float", "double", "bool"):
        possible.append("bucket[3]")
    if kind.name in ("date", "instant", "wall"):
        possible += ["year", "month", "day"] + ([] if kind.name == "date" else ["hour"])
    return possible


def write(spec: Spec, place: Path) -> None:
    """The table at `place`."""
    maker = TableMaker(place, [("rid", "long"), *((f"c{i}", TYPES[k.name]) for i, k in enumerate(spec.kinds))], version=3)
    first = 0
    homes: dict[int, tuple[dict[str, Any], int]] = {}
    for batch, transforms, how in zip(spec.batches, spec.transforms, spec.metrics, strict=True):
        maker.partition_by(list(transforms))
        groups: dict[str, list[int]] = {}
        tuples = {}
        for number, row in enumerate(batch):
            values = [_transformed(row[c], t, spec.kinds[int(c[1:])]) for c, t in transforms]
            key = repr([math.copysign(1, v) if v == 0 and isinstance(v, float) else "NaN" if v != v else v for v in values])
            groups.setdefault(key, []).append(number)
            tuples[key] = values
        files = []
        for key, numbers in groups.items():
            table = pa.Table.from_pylist([{"rid": first + n, **batch[n]} for n in numbers], schema=spec.schema)
            made = _damaged(maker.data_file({n: _plain(table[n]) for n in table.column_names}, partition=[_stored(v) for v in tuples[key]]), how)
            files.append(made)
            homes |= {first + n: (made, position) for position, n in enumerate(numbers)}
        maker.commit(files)
        first += len(batch)
    _delete(maker, spec, homes)


def _delete(maker: TableMaker, spec: Spec, homes: dict[int, tuple[dict[str, Any], int]]) -> None:
    """Position deletes first, as a vector takes their place; then vectors, with what those said; then keys, over all partitions."""
    by_path: dict[str, set[int]] = {}
    files = {file["file_path"]: file for file, _ in homes.values()}
    positioned = [(homes[r][0]["file_path"], homes[r][1], r) for r in sorted(spec.positioned)]
    added = []
    for path, position, _ in positioned:
        file = files[path]
        by_path.setdefault(path, set()).add(position)
        added.append(maker.position_deletes([(path, position)], partition=list(file["partition"].values()), spec_id=file["_spec_id"]))
    if added:
        maker.commit(added)
    touched: dict[str, set[int]] = {}
    for rid in spec.vectored:
        file, position = homes[rid]
        touched.setdefault(file["file_path"], set(by_path.get(file["file_path"], ()))).add(position)
    if touched:
        maker.commit([maker.vector(files[path], positions) for path, positions in touched.items()])
    if spec.keyed:
        maker.partition_by([])
        maker.commit([maker.equality_deletes({"rid": sorted(spec.keyed)}, [maker.field_id("rid")])])


def _damaged(file: dict[str, Any], how: str) -> dict[str, Any]:
    match how:
        case "absent":
            return file | dict.fromkeys(("value_counts", "null_value_counts", "nan_value_counts", "lower_bounds", "upper_bounds"))
        case "no null counts":
            return file | {"null_value_counts": []}
        case "no NaN counts":
            return file | {"nan_value_counts": None}
        case "no bounds":
            return file | {"lower_bounds": [], "upper_bounds": None}
        case "no record count":
            return file | {"record_count": -1}
        case "cut":
            return file | {
                "lower_bounds": [_cut(b) for b in file["lower_bounds"]],
                "upper_bounds": [c for b in file["upper_bounds"] if (c := _raised(b)) is not None],
            }
    return file


def _cut(entry: dict[str, Any]) -> dict[str, Any]:
    """A text of more than 16 bytes cut at a whole character; other bounds are shorter."""
    content: bytes = entry["value"]
    return entry if len(content) <= 16 else entry | {"value": content[:16].decode("utf-8", "ignore").encode()}


def _raised(entry: dict[str, Any]) -> dict[str, Any] | None:
    content: bytes = entry["value"]
    if len(content) <= 16:
        return entry
    kept = content[:16].decode("utf-8", "ignore")
    while kept:
        if ord(kept[-1]) < 0x10FFFF:
            return entry | {"value": (kept[:-1] + chr(ord(kept[-1]) + 1)).encode()}
        kept = kept[:-1]
    return None


# Transforms, in plain words ------------------------------------------------------------------------------------------------------------------------------


def _transformed(value: Any, transform: str, kind: Kind) -> Any:
    if value is None or transform == "void":
        return None
    if transform == "identity":
        return value
    if transform.startswith("bucket"):
        content = hashed_bytes(pa.scalar(value, kind.type))
        assert content is not None
        return (murmur3(content) & 0x7FFFFFFF) % 3
    if transform.startswith("truncate"):
        width = _WIDTHS[transform]
        if isinstance(value, (str, bytes)):
            return value[:width]
        if isinstance(value, Decimal):
            scale = kind.type.scale
            whole = unscaled(value, scale)
            return Decimal(f"{whole - whole % width}E-{scale}") if abs(whole - width) < 10**kind.type.precision else value
        return max(value - value % width, -(2 ** (kind.type.bit_width - 1)))
    moment = value.replace(tzinfo=None) if isinstance(value, dt.datetime) else dt.datetime.combine(value, dt.time())
    match transform:
        case "year":
            return moment.year - 1970
        case "month":
            return (moment.year - 1970) * 12 + moment.month - 1
        case "day":
            return (moment - _EPOCH) // dt.timedelta(days=1)
        case _:
            return (moment - _EPOCH) // dt.timedelta(hours=1)


def _stored(value: Any) -> Any:
    """A partition value as the maker takes it: dates and instants as numbers."""
    if isinstance(value, dt.datetime):
        return (value.replace(tzinfo=None) - _EPOCH) // dt.timedelta(microseconds=1)
    if isinstance(value, dt.date):
        return (value - _EPOCH.date()).days
    return value


def _plain(column: pa.ChunkedArray) -> list[Any]:
    return list(column.to_pylist())
