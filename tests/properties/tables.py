"""Random Delta tables: any columns, several commits, partitions, deletes by rewriting or by deletion vector, and statistics that are whole, partial, wide
or absent.

deltalake writes them; what it does not write itself (deletion vectors, damaged statistics) is put into the log afterwards, as the protocol describes it.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import deltalake
import pyarrow as pa
import pyarrow.parquet as pq
import pyroaring
from hypothesis import strategies as st

from .predicates import Column
from .values import BY_NAME, KINDS, LIST, STRUCT, Kind

Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
PORTABLE_MAGIC = 1681511377

STATISTICS = ("kept", "absent", "empty", "no minimum", "no maximum", "no null counts", "no row count", "wide")


@dataclass(frozen=True)
class Spec:
    """What to write. batches: the rows of each commit, without `rid`, which counts all rows from 0; rewritten, vectored: rids deleted in the two ways.

    statistics: what is done to each commit's; indexed: delta.dataSkippingNumIndexedCols; checkpoint: whether one is written before the deletion vectors.
    """

    kinds: tuple[Kind, ...]
    nested: tuple[str, ...]
    partition_by: tuple[str, ...]
    batches: tuple[tuple[dict[str, Any], ...], ...]
    rewritten: frozenset[int]
    vectored: frozenset[int]
    statistics: tuple[str, ...]
    indexed: int
    checkpoint: bool

    @property
    def schema(self) -> pa.Schema:
        """rid, c0, c1, ..., then the struct `s` and the list `l` where there are any."""
        nested = [pa.field(n, STRUCT if n == "s" else LIST) for n in self.nested]
        return pa.schema([pa.field("rid", pa.int64()), *(pa.field(f"c{i}", kind.type) for i, kind in enumerate(self.kinds)), *nested])

    @property
    def columns(self) -> tuple[Column, ...]:
        """What predicates may name: every column of a simple type, and the struct's fields."""
        fields = (Column("s['n']", BY_NAME["int"]), Column("s['s']", BY_NAME["string"])) if "s" in self.nested else ()
        return tuple(Column(f"c{i}", kind) for i, kind in enumerate(self.kinds)) + fields

    def commits(self) -> list[pa.Table]:
        """The rows of each commit."""
        tables, first = [], 0
        for batch in self.batches:
            rows = [{"rid": first + i, **row} for i, row in enumerate(batch)]
            first += len(batch)
            tables.append(pa.Table.from_pylist(rows, schema=self.schema))
        return tables

    def live(self) -> pa.Table:
        """The rows that are not deleted. Fields of a struct that is null are null, as they are in a file; engines do not look at the struct for that."""
        rows = pa.concat_tables(self.commits()).combine_chunks()
        if "s" in self.nested:
            structs = rows["s"].combine_chunks()
            masked = pa.StructArray.from_arrays(structs.flatten(), fields=list(STRUCT), mask=structs.is_null())
            rows = rows.set_column(rows.column_names.index("s"), rows.schema.field("s"), masked)
        dead = self.rewritten | self.vectored
        return rows.filter(pa.array([rid not in dead for rid in rows["rid"].to_pylist()], pa.bool_()))


@st.composite
def specs(draw: st.DrawFn, *, partitioned: bool, vectors: bool, damaged: bool) -> Spec:
    """Tables of two to four columns in one to four commits, each of few distinct values, so that bounds are narrow enough to prune by."""
    kinds = tuple(draw(st.lists(st.sampled_from(KINDS), min_size=2, max_size=4)))
    nested = tuple(draw(st.lists(st.sampled_from(["s", "l"]), unique=True, max_size=2)))
    names = [f"c{i}" for i in range(len(kinds))]
    partition_by = tuple(draw(st.lists(st.sampled_from(names), unique=True, min_size=1, max_size=2))) if partitioned else ()
    batches = tuple(draw(st.lists(_batch(kinds, nested, partition_by), min_size=1, max_size=4)))
    count = sum(len(batch) for batch in batches)
    deleted = st.frozensets(st.integers(0, max(0, count - 1)), max_size=6) if count else st.just(frozenset())
    return Spec(
        kinds,
        nested,
        partition_by,
        batches,
        rewritten=draw(st.one_of(st.just(frozenset()), deleted)),
        vectored=draw(deleted) if vectors else frozenset(),
        statistics=tuple(draw(st.sampled_from(STATISTICS)) for _ in batches) if damaged else ("kept",) * len(batches),
        indexed=draw(st.sampled_from([-1, -1, 0, 2])) if damaged else -1,
        checkpoint=draw(st.booleans()),
    )


@st.composite
def _batch(draw: st.DrawFn, kinds: tuple[Kind, ...], nested: tuple[str, ...], partition_by: tuple[str, ...]) -> tuple[dict[str, Any], ...]:
    values: dict[str, st.SearchStrategy[Any]] = {f"c{i}": draw(_few(kind, f"c{i}" in partition_by)) for i, kind in enumerate(kinds)}
    for name in nested:
        if name == "s":
            fields = {"n": draw(_few(BY_NAME["int"])), "s": draw(_few(BY_NAME["string"]))}
            values[name] = st.one_of(st.none(), st.fixed_dictionaries(fields))
        else:
            values[name] = st.one_of(st.none(), st.lists(st.integers(0, 3), max_size=2))
    return tuple(draw(st.lists(st.fixed_dictionaries(values), max_size=8)))


def _few(kind: Kind, partition: bool = False) -> st.SearchStrategy[st.SearchStrategy[Any]]:
    """One to three values of the kind, with or without nulls."""
    pool = st.lists(st.sampled_from([v for v in kind.values if not partition or kind.can_partition(v)]), min_size=1, max_size=3)
    return st.builds(lambda values, nulls: st.sampled_from([*values, *([None] * nulls)]), pool, st.sampled_from([0, 0, 1, 4]))


def write(spec: Spec, place: Path) -> None:
    """The table at `place`, which does not exist yet."""
    configuration = {"delta.dataSkippingNumIndexedCols": str(spec.indexed)}
    for table, statistics in zip(spec.commits(), spec.statistics, strict=True):
        deltalake.write_deltalake(place, table, mode="append", partition_by=list(spec.partition_by) or None, configuration=configuration)
        if statistics != "kept":
            _rewrite_statistics(_last_commit(place), statistics)
    if spec.rewritten:
        deltalake.DeltaTable(place).delete(f"rid IN ({', '.join(map(str, sorted(spec.rewritten)))})")
    if spec.checkpoint:
        deltalake.DeltaTable(place).create_checkpoint()
    if spec.vectored:
        _delete_by_vector(place, spec.vectored)


def _last_commit(place: Path) -> Path:
    return max(p for p in (place / "_delta_log").glob("*.json") if p.stem.isdigit())


def _rewrite_statistics(commit: Path, how: str) -> None:
    actions = [json.loads(line) for line in commit.read_text(encoding="utf-8").splitlines()]
    for action in actions:
        if "add" in action and action["add"].get("stats"):
            action["add"]["stats"] = _damaged(json.loads(action["add"]["stats"]), how)
    commit.write_text("\n".join(json.dumps(a) for a in actions), encoding="utf-8")


def _damaged(statistics: dict[str, Any], how: str) -> str | None:
    if how == "absent":
        return None
    edits: dict[str, Callable[[], Any]] = {
        "empty": statistics.clear,
        "no minimum": lambda: statistics.pop("minValues", None),
        "no maximum": lambda: statistics.pop("maxValues", None),
        "no null counts": lambda: statistics.pop("nullCount", None),
        "no row count": lambda: statistics.pop("numRecords", None),
        "wide": lambda: statistics.update(tightBounds=False),
    }
    edits[how]()
    return json.dumps(statistics)


def _delete_by_vector(place: Path, rids: frozenset[int]) -> None:
    """One commit that gives every file holding some of the rows a deletion vector.

    Files without a row count keep their rows: the protocol asks for the count.
    """
    table = deltalake.DeltaTable(place)
    adds, protocol = _active_adds(place), table.protocol()
    readers = sorted({*(protocol.reader_features or ()), "deletionVectors"})
    writers = sorted({*(protocol.writer_features or ()), "deletionVectors"})
    actions: list[dict[str, Any]] = [{"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": readers, "writerFeatures": writers}}]
    for add in adds:
        statistics = json.loads(add.get("stats") or "{}")
        in_file = pq.ParquetFile(place / unquote(add["path"])).read(columns=["rid"])["rid"].to_pylist()
        positions = [i for i, rid in enumerate(in_file) if rid in rids]
        if positions:
            statistics = {"numRecords": len(in_file), **statistics, "tightBounds": False}
            actions.append({"remove": {"path": add["path"], "dataChange": True, "deletionTimestamp": 0}})
            actions.append({"add": {**add, "dataChange": True, "stats": json.dumps(statistics), "deletionVector": inline_vector(positions)}})
    commit = place / "_delta_log" / f"{table.version() + 1:020}.json"
    commit.write_text("\n".join(json.dumps(a) for a in actions), encoding="utf-8")


def _active_adds(place: Path) -> list[dict[str, Any]]:
    active: dict[str, dict[str, Any]] = {}
    for commit in sorted(p for p in (place / "_delta_log").glob("*.json") if p.stem.isdigit()):
        for line in commit.read_text(encoding="utf-8").splitlines():
            action = json.loads(line)
            if "add" in action:
                active[action["add"]["path"]] = action["add"]
            elif "remove" in action:
                active.pop(action["remove"]["path"], None)
    return list(active.values())


def inline_vector(positions: list[int]) -> dict[str, Any]:
    """A deletion vector that stands in the log itself. Source: Delta protocol, Deletion Vector Format."""
    blob = struct.pack("<I", PORTABLE_MAGIC) + pyroaring.BitMap64(positions).serialize()
    return {"storageType": "i", "pathOrInlineDv": z85(blob), "sizeInBytes": len(blob), "cardinality": len(positions)}


def z85(data: bytes) -> str:
    """Bytes as Z85 text, padded with zeros to a multiple of four."""
    padded = data + b"\0" * (-len(data) % 4)
    words = struct.unpack(f">{len(padded) // 4}I", padded)
    return "".join(Z85[word // 85**power % 85] for word in words for power in (4, 3, 2, 1, 0))
