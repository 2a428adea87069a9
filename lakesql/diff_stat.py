"""DIFF STAT: the difference of two states in numbers, from metadata alone.

    item      name     before   after    added   removed   detail
    rows               1000     1200     500     300                     live rows; added, removed: by files that one state alone has, and by deletes
    files              10       12       4       2
    bytes              81920    98304    40960   24576
    column    price                                        added DOUBLE
    column    qty                                          INT to BIGINT

One row for each column that was added, removed, renamed or given another type, none for the others. A number that metadata does not tell is null.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from lakesql.differences import compare
from lakesql.errors import UnsupportedFeatureError
from lakesql.matching import ByName, MatchedSnapshot
from lakesql.relation import Batches
from lakesql.table import Comparison, FileSet, ScanRequest, Snapshot
from lakesql.type_names import sql_type

SCHEMA = pa.schema(
    [
        ("item", pa.string()),
        ("name", pa.string()),
        *((n, pa.int64()) for n in ("before", "after", "added", "removed")),
        ("detail", pa.string()),
    ]
)

_Row = tuple[str, str | None, int | None, int | None, int | None, int | None, str | None]


def stat(before: Snapshot, after: Snapshot, names: tuple[str, str]) -> Batches:
    """The numbers, as SCHEMA; metadata is read when they are. names: what the statement calls the two tables."""
    return Batches(SCHEMA, lambda: _table([*_sizes(before, after, names), *columns_changed(before.schema, after.schema)]))


def columns_changed(before: pa.Schema, after: pa.Schema) -> Iterator[_Row]:
    """A row for each column that differs: by field ids where all columns of both have them, else by names."""
    by_id = _ids(before), _ids(after)
    known = {f.name: f.name for f in before} if by_id[0] is None or by_id[1] is None else by_id[0]
    keys = {f.name: f.name for f in after} if by_id[0] is None or by_id[1] is None else by_id[1]
    old = {key: before.field(name) for name, key in known.items()}
    new = {key: after.field(name) for name, key in keys.items()}
    for key, field in new.items():
        earlier = old.get(key)
        if earlier is None:
            yield _column(field.name, f"added {sql_type(field.type)}")
            continue
        told = [f"renamed from {earlier.name}"] if earlier.name != field.name else []
        if sql_type(earlier.type) != sql_type(field.type):
            told.append(f"{sql_type(earlier.type)} to {sql_type(field.type)}")
        if told:
            yield _column(field.name, ", ".join(told))
    yield from (_column(f.name, f"removed {sql_type(f.type)}") for key, f in old.items() if key not in new)


def _column(name: str, detail: str) -> _Row:
    return "column", name, None, None, None, None, detail


def _ids(schema: pa.Schema) -> dict[str, str] | None:
    """The field id of each column; None where one has none."""
    found = {f.name: (f.metadata or {}).get(b"PARQUET:field_id") for f in schema}
    return {n: i.decode() for n, i in found.items() if i is not None} if all(found.values()) else None


def _sizes(before: Snapshot, after: Snapshot, names: tuple[str, str]) -> Iterator[_Row]:
    compared = _comparison(before, after, names)
    every = [s.scan(ScanRequest(tuple(s.schema.names))) for s in (compared.before, compared.after)]
    masks = compared.differing(every[0], every[1])
    apart = [compared.narrowed(f, m) for f, m in zip(every, masks, strict=True)]
    fewer, more = _rows_apart(apart[0], apart[1])
    yield "rows", None, _sum(every[0].live_rows), _sum(every[1].live_rows), more, fewer, None
    alone = [_sizes_alone(apart[0], apart[1]), _sizes_alone(apart[1], apart[0])]
    yield "files", None, every[0].files.num_rows, every[1].files.num_rows, len(alone[1]), len(alone[0]), None
    sizes = [_sum(f.files["size_bytes"]) for f in every]
    yield "bytes", None, sizes[0], sizes[1], _sum(alone[1]), _sum(alone[0]), None


def _comparison(before: Snapshot, after: Snapshot, names: tuple[str, str]) -> Comparison:
    """As differences compare them; what has no type in common can be counted all the same."""
    try:
        return compare(before, after, names)
    except UnsupportedFeatureError:
        return ByName(*(MatchedSnapshot(s, s.schema, tuple(s.schema.names)) for s in (before, after)))


def _sizes_alone(files: FileSet, others: FileSet) -> pa.ChunkedArray:
    """The sizes of the files that the others have not."""
    return files.files.filter(pc.invert(pc.is_in(files.files["path"], value_set=pc.unique(others.files["path"]))))["size_bytes"]


def _rows_apart(before: FileSet, after: FileSet) -> tuple[int | None, int | None]:
    """How many rows files lost and won: all of theirs where one state alone has the file, else the difference that deletes make."""
    if any(f.live_rows.null_count for f in (before, after)):
        return None, None
    sides = [pa.table({"path": f.files["path"], "rows": f.live_rows}) for f in (before, after)]
    joined = sides[0].join(sides[1], "path", join_type="full outer", right_suffix=" after")
    grown = pc.subtract(pc.fill_null(joined["rows after"], 0), pc.fill_null(joined["rows"], 0))
    won, lost = (pc.sum(pc.max_element_wise(g, 0)).as_py() or 0 for g in (grown, pc.negate(grown)))
    return lost, won


def _sum(values: pa.Array | pa.ChunkedArray) -> int | None:
    return None if values.null_count else pc.sum(values).as_py() or 0


def _table(rows: Sequence[_Row]) -> pa.Table:
    return pa.Table.from_arrays([pa.array([r[i] for r in rows], f.type) for i, f in enumerate(SCHEMA)], schema=SCHEMA)
