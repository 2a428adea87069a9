"""Tables that pypaimon wrote: after every step of random histories, every snapshot reads as a model in plain Python says.

pypaimon pins older libraries (2.1 wants pyarrow below 20, cachetools below 6, fsspec below 2026), so it is no part of the `test` extra: it writes under an
interpreter of its own, which LAKESQL_PYPAIMON names:

    python -m venv /somewhere && /somewhere/bin/pip install pypaimon
    LAKESQL_PYPAIMON=/somewhere/bin/python pytest tests/formats/paimon/test_pypaimon.py

Without one, the tests use pypaimon where it is installed beside lakesql, and are skipped where it is not. LAKESQL_PROPERTY_TABLES=n tries n tables a flavour.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest

import lakesql

from .random_tables import KEYS, TEXTS, Column
from .test_random_tables import check, in_order

WRITER = Path(__file__).with_name("pypaimon_writer.py")
PYTHON = os.environ.get("LAKESQL_PYPAIMON") or (sys.executable if importlib.util.find_spec("pypaimon") else None)
TABLES = int(os.environ.get("LAKESQL_PROPERTY_TABLES") or 3)
STEPS = 14

pytestmark = pytest.mark.skipif(PYTHON is None, reason="LAKESQL_PYPAIMON names no interpreter that has pypaimon")

ENGINES: dict[str, dict[str, str]] = {
    "deduplicate": {"rowkind.field": "op"},
    "deduplicate by a column": {"rowkind.field": "op", "sequence.field": "v"},
    "partial-update": {"merge-engine": "partial-update"},
    "aggregation": {"merge-engine": "aggregation", "fields.v.aggregate-function": "sum", "fields.s.aggregate-function": "last_value"},
    "append": {},
    "data evolution": {"row-tracking.enabled": "true", "data-evolution.enabled": "true", "deletion-vectors.enabled": "true"},
}
K, J, V, S, OP, P = range(6)
"""Field ids."""


@dataclass
class Record:
    """A row that was written: values by field id. Where rows have ids, the place in the history is the id."""

    values: dict[int, Any]
    gone: bool = False


@dataclass
class History:
    """Random steps and what is to be read after each. current: rows by key, or in the order they were appended."""

    random: Random
    flavour: str
    partitioned: bool
    columns: list[Column] = field(init=False)
    current: dict[Any, Record] = field(default_factory=dict)
    steps: list[list[Any]] = field(default_factory=list)
    states: list[tuple[list[Column], list[dict[int, Any]]]] = field(default_factory=list)
    _next_id: int = 6

    def __post_init__(self) -> None:
        self.columns = [Column("k", "INT", K), Column("j", "STRING", J), Column("v", "INT", V), Column("s", "STRING", S)]
        if "rowkind.field" in ENGINES[self.flavour]:
            self.columns.append(Column("op", "STRING", OP))
        if self.partitioned:
            self.columns.append(Column("p", "STRING", P))
        self.first = list(self.columns)

    @property
    def keyed(self) -> bool:
        """Whether rows have a primary key."""
        return self.flavour not in ("append", "data evolution")

    @property
    def options(self) -> dict[str, str]:
        """Of the table."""
        buckets = self.random.choice(["1", "2", "3"]) if self.keyed else "-1"
        return {"bucket": buckets, "file.format": self.random.choice(["parquet", "parquet", "orc", "avro"]), **ENGINES[self.flavour]}

    def step(self) -> None:
        """Something happens to the table."""
        able = [self._write] * 4 + [self._alter]
        if self.current and self.flavour != "data evolution":
            able.append(self._replace)
        if self.flavour == "data evolution" and self._live():
            able += [self._update, self._delete]
        self.random.choice(able)()
        self.states.append((list(self.columns), [dict(r.values) for r in self.current.values() if not r.gone]))

    def _live(self) -> list[int]:
        return [i for i, r in self.current.items() if not r.gone]

    def _write(self) -> None:
        random, rows = self.random, []
        for key in sorted({(random.choice(KEYS), random.choice(TEXTS[:3]), random.choice("ab")) for _ in range(random.randint(1, 8))}):
            values = {c.id: self._value(c) for c in self.columns} | {K: key[0], J: key[1]} | ({P: key[2]} if self.partitioned else {})
            if self.flavour.startswith("deduplicate"):
                values[OP] = random.choice(["+I", "+I", "+U", "-D"])
            rows.append(values)
            self._take(key if self.partitioned else key[:2], values)
        self._batch("write", rows)

    def _take(self, key: Any, values: dict[int, Any]) -> None:
        """What a row that was written makes of the table."""
        if not self.keyed:
            self.current[len(self.current)] = Record(dict(values))
            return
        held = self.current.setdefault(key, Record({}))
        if self.flavour == "partial-update":
            held.values |= {i: v for i, v in values.items() if v is not None or i not in held.values}
        elif self.flavour == "aggregation":
            added = {i: v for i, v in values.items() if i == S or v is not None or i not in held.values}
            if values[V] is not None and held.values.get(V) is not None:
                added[V] = held.values[V] + values[V]
            held.values |= added
        elif self.flavour == "deduplicate by a column" and held.values and _nulls_first(values[V]) < _nulls_first(held.values[V]):
            return
        else:
            self.current[key] = Record(dict(values), gone=values[OP] == "-D")

    def _replace(self) -> None:
        """What is there becomes the table's bulk; what was deleted is forgotten."""
        rows = [r.values for r in self.current.values() if not r.gone]
        if not rows or (self.partitioned and {r[P] for r in rows} != {r.values[P] for r in self.current.values()}):
            return  # an overwrite leaves partitions alone that it has no row of
        self.current = {k: r for k, r in self.current.items() if not r.gone}
        self._batch("replace", [r | ({OP: "+I"} if OP in r else {}) for r in rows])
        for record in self.current.values():
            if OP in record.values:
                record.values[OP] = "+I"

    def _update(self) -> None:
        chosen = [c for c in self.columns if c.id not in (K, J, P)]
        column = self.random.choice(chosen)
        ids = self.random.sample(self._live(), min(3, len(self._live())))
        values = [[i, self._value(column)] for i in sorted(ids)]
        self.steps.append(["update", ["_ROW_ID", column.name], values])
        for i, value in values:
            self.current[i].values[column.id] = value

    def _delete(self) -> None:
        ids = self.random.sample(self._live(), min(2, len(self._live())))
        self.steps.append(["delete", sorted(ids)])
        for i in ids:
            self.current[i].gone = True

    def _alter(self) -> None:
        """Columns added, renamed, dropped, made wider."""
        free = [c for c in self.columns if c.id > P]
        named = [c for c in self.columns if c.id in (V, S)] if not (ENGINES[self.flavour].keys() & {"sequence.field", "fields.v.aggregate-function"}) else []
        what = self.random.choice(["add", "rename", "drop", "type"])
        if what == "rename" and (free or named):
            old = self.random.choice(free + named)
            fresh = Column(f"{old.name}r", old.type, old.id)
            self.steps.append(["alter", [["rename", old.name, fresh.name]]])
            self.columns[self.columns.index(old)] = fresh
        elif what == "drop" and free:
            old = self.random.choice(free)
            self.steps.append(["alter", [["drop", old.name]]])
            self.columns.remove(old)
            for record in self.current.values():
                record.values.pop(old.id, None)
        elif what == "type" and (narrow := [c for c in free + named if c.type == "INT"]):
            old = self.random.choice(narrow)
            self.steps.append(["alter", [["type", old.name, "BIGINT"]]])
            self.columns[self.columns.index(old)] = Column(old.name, "BIGINT", old.id)
        else:
            fresh = Column(f"c{self._next_id}", self.random.choice(["INT", "STRING"]), self._next_id)
            self._next_id += 1
            self.steps.append(["alter", [["add", fresh.name, fresh.type]]])
            self.columns.append(fresh)

    def _batch(self, what: str, rows: list[dict[int, Any]]) -> None:
        self.steps.append([what, [c.name for c in self.columns], [[r.get(c.id) for c in self.columns] for r in rows]])

    def _value(self, column: Column) -> Any:
        if self.random.random() < 0.3:
            return None
        return self.random.choice(TEXTS) if column.type == "STRING" else self.random.randint(-9, 9)


def _nulls_first(value: Any) -> tuple[bool, Any]:
    return (value is not None, value if value is not None else 0)


def written(history: History, place: Path) -> list[int]:
    """Has pypaimon write the table; the newest snapshot after each step."""
    keys = (["p"] if history.partitioned else []) + ["k", "j"] if history.keyed else []
    task = {
        "warehouse": str(place),
        "columns": [(c.name, c.type) for c in history.first],
        "primary_keys": keys,
        "partition_keys": ["p"] if history.partitioned else [],
        "options": history.options,
        "steps": history.steps,
    }
    assert PYTHON is not None
    done = subprocess.run([PYTHON, str(WRITER)], input=json.dumps(task), capture_output=True, text=True, check=False, env=_bare())
    assert done.returncode == 0, done.stderr[-3000:]
    found: list[int] = json.loads(done.stdout)
    return found


def _bare() -> dict[str, str]:
    """The environment without what is meant for this interpreter."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "COVERAGE"))}


@pytest.mark.parametrize("flavour", ENGINES)
@pytest.mark.parametrize("seed", range(TABLES))
def test_every_snapshot(flavour: str, seed: int, tmp_path: Path) -> None:
    random = Random(f"pypaimon {flavour} {seed}")
    history = History(random, flavour, partitioned=random.random() < 0.5 and flavour != "data evolution")  # ids would follow the partitions
    while len(history.states) < STEPS:
        history.step()
        if len(history.steps) < len(history.states):
            history.states.pop()
    snapshots = written(history, tmp_path)
    with lakesql.connect(tables={"t": str(tmp_path / "default.db" / "t")}) as connection, connection.cursor() as cursor:

        def rows(sql: str) -> list[dict[str, Any]]:
            cursor.execute(sql)
            found: list[dict[str, Any]] = cursor.fetch_arrow_table().to_pylist()
            return found

        for step, snapshot, (columns, state) in zip(history.steps, snapshots, history.states, strict=True):
            if snapshot and step[0] != "alter":  # a snapshot has the schema it was written with
                check(rows, f"t VERSION AS OF {snapshot}", named(state, columns), columns, random)
        check(rows, "t", named(history.states[-1][1], history.columns), history.columns, random)
        kept = {n: state for step, n, state in zip(history.steps, snapshots, history.states, strict=True) if n and step[0] != "alter"}
        kept[max(kept)] = (history.columns, kept[max(kept)][1])
        for (a, before), (b, after) in [*itertools.pairwise(kept.items()), *itertools.pairwise(list(kept.items())[::4])]:
            check_changes(rows, a, b, before[1], after[1], after[0])


def check_changes(rows: Callable[[str], list[dict[str, Any]]], a: int, b: int, before: list[dict[int, Any]], after: list[dict[int, Any]], columns: Any) -> None:
    """The changes of a range, raw and net, lead from one state to the other, in the columns of the second."""
    sides = [Counter(in_order(named(state, columns))) for state in (before, after)]
    names = ", ".join(c.name for c in columns)
    for options in ("", "WITH (mode = 'net')"):
        found = rows(f"SELECT _change_type AS change, {names} FROM t CHANGES FROM VERSION {a} EXCLUSIVE TO VERSION {b} {options}")
        added, taken = Counter[str](), Counter[str]()
        for row in found:
            (added if row.pop("change") in ("insert", "update_postimage") else taken).update(in_order([row]))
        assert sides[0] + added == sides[1] + taken, f"{a} to {b} {options}"
        assert not options or (added, taken) == (sides[1] - sides[0], sides[0] - sides[1]), f"{a} to {b} {options}"


def named(rows: list[dict[int, Any]], columns: list[Column]) -> list[dict[str, Any]]:
    """Rows by the columns' names."""
    return [{c.name: r.get(c.id) for c in columns} for r in rows]


@pytest.mark.parametrize("flavour", ["deduplicate", "data evolution"])
def test_tags(flavour: str, tmp_path: Path) -> None:
    history = History(Random(flavour), flavour, partitioned=False)
    while len(history.states) < 4:
        history._write()
        history.states.append((list(history.columns), [dict(r.values) for r in history.current.values() if not r.gone]))
    history.steps.insert(2, ["tag", "early"])
    written(history, tmp_path)
    with lakesql.connect(tables={"t": str(tmp_path / "default.db" / "t")}) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT * FROM t VERSION AS OF 'early'")
        columns, state = history.states[1]
        assert in_order(cursor.fetch_arrow_table().to_pylist()) == in_order(named(state, columns))
