"""Random histories of a Delta table: what deltalake writes, then commits that it does not write itself (deletion vectors that grow and shrink, updates by
deletion vector), put into the log as the protocol describes them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import deltalake
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from .tables import inline_vector

SCHEMA = pa.schema([("id", pa.int64()), ("v", pa.float64()), ("p", pa.string()), ("s", pa.struct([("n", pa.int64())])), ("l", pa.list_(pa.string()))])
IDS = range(6)
Row = dict[str, Any]
Step = tuple[Any, ...]

rows = st.fixed_dictionaries(
    {
        "id": st.sampled_from(IDS),
        "v": st.sampled_from([None, 0.0, -0.0, float("nan"), 1.5]),
        "p": st.sampled_from([None, "a", "b c"]),
        "s": st.sampled_from([None, {"n": None}, {"n": 1}]),
        "l": st.sampled_from([None, [], ["x", None]]),
    }
)
batches = st.lists(rows, min_size=1, max_size=6)
ids = st.sampled_from(IDS)
written = st.one_of(
    st.tuples(st.just("append"), batches),
    st.tuples(st.just("overwrite"), batches),
    st.tuples(st.just("delete"), ids),
    st.tuples(st.just("update"), ids, st.sampled_from([0.0, 7.5])),
    st.tuples(st.just("merge"), ids),
    st.just(("optimize",)),
    st.tuples(st.just("restore"), st.integers(1, 3)),
    st.tuples(st.just("record"), st.booleans()),
    st.just(("add column",)),
)
by_hand = st.one_of(
    st.tuples(st.just("hide"), ids),
    st.tuples(st.just("show"), ids),
    st.tuples(st.just("replace"), ids),
    st.tuples(st.just("rearrange")),
)


@dataclass(frozen=True)
class History:
    """The steps of a table's life. recording: whether it records changes from the start."""

    partitioned: bool
    recording: bool
    first: list[Row]
    steps: list[Step]


histories = st.builds(
    History,
    st.booleans(),
    st.booleans(),
    batches,
    st.tuples(st.lists(written, min_size=2, max_size=4), st.lists(by_hand, max_size=3)).map(lambda both: [*both[0], *both[1]]),
)


def write(history: History, place: Path) -> None:
    """The table at `place`, which does not exist yet; a step that finds nothing to do makes no version."""
    configuration = {"delta.enableChangeDataFeed": "true" if history.recording else "false"}
    partition_by = ["p"] if history.partitioned else None
    deltalake.write_deltalake(place, table_of(history.first), partition_by=partition_by, configuration=configuration)
    for step in history.steps:
        _BY_NAME[step[0]](place, *step[1:])


def table_of(batch: list[Row]) -> pa.Table:
    return pa.Table.from_pylist(batch, schema=SCHEMA)


def _append(place: Path, batch: list[Row]) -> None:
    deltalake.write_deltalake(place, table_of(batch), mode="append", schema_mode="merge")


def _overwrite(place: Path, batch: list[Row]) -> None:
    deltalake.write_deltalake(place, table_of(batch), mode="overwrite", schema_mode="merge")


def _delete(place: Path, id_: int) -> None:
    deltalake.DeltaTable(place).delete(f"id = {id_}")


def _update(place: Path, id_: int, value: float) -> None:
    deltalake.DeltaTable(place).update({"v": str(value)}, predicate=f"id = {id_}")


def _merge(place: Path, id_: int) -> None:
    source = table_of([{"id": id_, "v": 3.25, "p": "a", "s": {"n": 2}, "l": []}, {"id": 9, "v": None, "p": "b c", "s": None, "l": None}]).select(
        ["id", "v", "p"]
    )
    merge = deltalake.DeltaTable(place).merge(source, "t.id = s.id", source_alias="s", target_alias="t")
    merge.when_matched_update({"v": "s.v"}).when_not_matched_insert({"id": "s.id", "v": "s.v", "p": "s.p"}).execute()


def _optimize(place: Path) -> None:
    deltalake.DeltaTable(place).optimize.compact()


def _restore(place: Path, back: int) -> None:
    table = deltalake.DeltaTable(place)
    if table.version() > 0:
        table.restore(max(0, table.version() - back))


def _record(place: Path, on: bool) -> None:
    deltalake.DeltaTable(place).alter.set_table_properties({"delta.enableChangeDataFeed": "true" if on else "false"})


def _add_column(place: Path) -> None:
    if "extra" not in [f.name for f in deltalake.DeltaTable(place).schema().fields]:
        deltalake.DeltaTable(place).alter.add_columns([deltalake.Field("extra", "integer", nullable=True)])


# Commits by hand -----------------------------------------------------------------------------------------------------------------------------------


def _hide(place: Path, id_: int) -> None:
    """Rows of the id vanish behind deletion vectors."""
    _commit(place, [pair for add in _active(place) for pair in _with_vector(add, _hidden(add) | set(_positions(place, add, id_)))])


def _show(place: Path, id_: int) -> None:
    """Rows of the id come back, where vectors hide them; others of the same file may vanish at once."""
    actions = []
    for add in _active(place):
        shown = set(_positions(place, add, id_))
        if _hidden(add) & shown:
            actions += _with_vector(add, (_hidden(add) - shown) | set(_positions(place, add, (id_ + 1) % len(IDS))))
    _commit(place, actions)


def _replace(place: Path, id_: int) -> None:
    """Rows of the id are hidden, and stand in a new file, half of them as they were: an update by deletion vector."""
    actions = []
    for number, add in enumerate(_active(place)):
        chosen = sorted(set(_positions(place, add, id_)) - _hidden(add))
        if chosen:
            whole = pq.ParquetFile(place / unquote(add["path"])).read()
            taken = pa.concat_tables([whole.slice(i, 1) for i in chosen])
            changed = pa.array([9.75 if i % 2 else v for i, v in enumerate(taken["v"].to_pylist())], pa.float64())
            name = f"replaced-{len(list(place.glob('replaced-*')))}-{number}.parquet"
            pq.write_table(taken.set_column(taken.schema.get_field_index("v"), "v", changed), place / name)
            actions += _with_vector(add, _hidden(add) | set(chosen))
            size = (place / name).stat().st_size
            fresh = {k: add[k] for k in ("partitionValues", "modificationTime")}
            actions.append({"add": {**fresh, "path": name, "size": size, "dataChange": True, "stats": json.dumps({"numRecords": taken.num_rows})}})
    _commit(place, actions)


def _rearrange(place: Path) -> None:
    """All files are added again as they are, with new statistics: nothing happens to rows."""
    _commit(place, [{"add": {**add, "stats": None if n % 2 else add.get("stats"), "dataChange": True}} for n, add in enumerate(_active(place))])


def _commit(place: Path, actions: list[dict[str, Any]]) -> None:
    if not actions:
        return
    table = deltalake.DeltaTable(place)
    features = table.protocol()
    readers = sorted({*(features.reader_features or ()), "deletionVectors"})
    writers = sorted({*(features.writer_features or ()), "deletionVectors"})
    protocol = {"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": readers, "writerFeatures": writers}}
    commit = place / "_delta_log" / f"{table.version() + 1:020}.json"
    commit.write_text("\n".join(json.dumps(a) for a in [protocol, *actions]), encoding="utf-8")


def _with_vector(add: dict[str, Any], hidden: set[int]) -> list[dict[str, Any]]:
    if hidden == _hidden(add):
        return []
    remove = {k: add[k] for k in ("path", "deletionVector") if k in add} | {"dataChange": True, "deletionTimestamp": 0}
    statistics = {**json.loads(add.get("stats") or "{}"), "tightBounds": False}
    fresh = {k: v for k, v in add.items() if k not in ("deletionVector", "_hidden")} | {"dataChange": True, "stats": json.dumps(statistics)}
    if hidden:
        fresh["deletionVector"] = inline_vector(sorted(hidden))
        _VECTORS[fresh["deletionVector"]["pathOrInlineDv"]] = frozenset(hidden)
    return [{"remove": remove}, {"add": fresh}]


_VECTORS: dict[str, frozenset[int]] = {}
"""What the vectors hide that were written here."""


def _hidden(add: dict[str, Any]) -> set[int]:
    vector = add.get("deletionVector")
    return set() if vector is None else set(_VECTORS[vector["pathOrInlineDv"]])


def _positions(place: Path, add: dict[str, Any], id_: int) -> list[int]:
    values = pq.ParquetFile(place / unquote(add["path"])).read(columns=["id"])["id"].to_pylist()
    return [i for i, value in enumerate(values) if value == id_]


def _active(place: Path) -> list[dict[str, Any]]:
    """The add actions of the files there are."""
    live: dict[tuple[str, str | None], dict[str, Any]] = {}
    for commit in sorted((place / "_delta_log").glob("*.json")):
        actions = [json.loads(line) for line in commit.read_text(encoding="utf-8").splitlines() if line]
        for name in ("remove", "add"):
            for action in actions:
                if name in action:
                    file = action[name]
                    key = (file["path"], (file.get("deletionVector") or {}).get("pathOrInlineDv"))
                    live.pop(key, None)
                    if name == "add":
                        live[key] = file
    return list(live.values())


_BY_NAME = {
    "append": _append,
    "overwrite": _overwrite,
    "delete": _delete,
    "update": _update,
    "merge": _merge,
    "optimize": _optimize,
    "restore": _restore,
    "record": _record,
    "add column": _add_column,
    "hide": _hide,
    "show": _show,
    "replace": _replace,
    "rearrange": _rearrange,
}
