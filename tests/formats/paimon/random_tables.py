"""Random Paimon tables: upserts, deletes, compactions, files moved up, buckets rescaled, vectors, schema changes; with what every snapshot must read as.

The table is kept as its files and their records by field id, so that what a read must give follows from merge_model.py, key by key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

from lakesql.formats.paimon.buckets import murmur3

from .merge_model import DELETE, INSERT, UPDATE_AFTER, UPDATE_BEFORE, Model, Record
from .rows import row, type_of
from .table_maker import DataFile, TableMaker

KEYS, TEXTS = range(40), ["", "a", "a long text, not inline", "zz", "\x7f", "é"]
ENGINES = {
    "deduplicate": {},
    "deduplicate by a column": {"sequence.field": "v"},
    "deduplicate by a column, descending": {"sequence.field": "v", "sequence.field.sort-order": "descending"},
    "deduplicate, deletes ignored": {"ignore-delete": "true"},
    "deletion vectors": {"deletion-vectors.enabled": "true"},
    "first-row": {"merge-engine": "first-row", "ignore-delete": "true"},
    "partial-update": {"merge-engine": "partial-update", "ignore-delete": "true"},
    "partial-update, deletes remove": {"merge-engine": "partial-update", "partial-update.remove-record-on-delete": "true"},
    "partial-update, groups": {"merge-engine": "partial-update", "fields.g.sequence-group": "v,s", "fields.v.aggregate-function": "sum"},
    "aggregation": {"merge-engine": "aggregation", "fields.v.aggregate-function": "sum", "fields.s.aggregate-function": "last_value"},
    "aggregation, deletes remove": {"merge-engine": "aggregation", "aggregation.remove-record-on-delete": "true"},
    "append": {},
}
NO_RETRACTS = ("append", "first-row")


@dataclass(frozen=True)
class Column:
    """A column at one time. id: the same through renames."""

    name: str
    type: str
    id: int


@dataclass(frozen=True)
class Held:
    """A live file with its records by key; values by field id. deleted: positions in the file's order."""

    file: DataFile
    records: tuple[tuple[Any, Record], ...]
    place: tuple[Any, int]
    level: int
    deleted: frozenset[int] = frozenset()

    def live(self) -> Iterator[tuple[Any, Record]]:
        """Records that no vector deletes."""
        return (r for i, r in enumerate(self.records) if i not in self.deleted)


@dataclass(frozen=True)
class State:
    """What a snapshot must read as."""

    snapshot: int
    columns: tuple[Column, ...]
    rows: tuple[Mapping[int, Any], ...]

    def named(self, columns: Sequence[Column] | None = None) -> list[dict[str, Any]]:
        """The rows under the snapshot's names, or those of other columns, which it may not have."""
        return [{c.name: r.get(c.id) for c in columns or self.columns} for r in self.rows]


@dataclass
class World:
    """A table and its history so far."""

    root: Path
    random: Random
    flavour: str
    columns: list[Column] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    states: list[State] = field(default_factory=list)
    number: int = 0

    def __post_init__(self) -> None:
        random = self.random
        self.partitioned = random.random() < 0.5
        self.buckets = {p: random.choice([1, 2, 5]) for p in ((None, "", "x") if self.partitioned else ("",))}
        names = {"k": "INT NOT NULL", "j": "STRING NOT NULL", "v": "INT", "s": "STRING", "g": "INT", **({"p": "STRING"} if self.partitioned else {})}
        self.columns = [Column(n, t, i) for i, (n, t) in enumerate(names.items())]
        self.own = len(names)
        options = {"bucket": "5", **ENGINES[self.flavour]}
        self.appends = self.flavour == "append"
        self.unaware = self.appends and random.random() < 0.5
        keys = () if self.appends else (*(("p",) if self.partitioned else ()), "k", "j")
        if self.unaware:
            options["bucket"] = "-1"
            self.buckets = dict.fromkeys(self.buckets, -1)
        elif self.appends:
            options["bucket-key"] = "k,j"
        self.maker = TableMaker(self.root, names, keys, ("p",) if self.partitioned else (), options)
        self.maker._folder = lambda values, bucket: self._folder(values, bucket)  # type: ignore[method-assign]
        self.hides = self.flavour in ("first-row", "deletion vectors")

    # Steps ---------------------------------------------------------------------------------------------------------------------------------------

    def step(self) -> None:
        """One more commit."""
        steps = [self._write] * 5 + [self._compact] * 3 + [self._move_up] * 2 + [self._evolve, self._rescale]
        if self.flavour in ("append", "deletion vectors"):
            steps += [self._delete_positions] * 2
        self.random.choice(steps)()

    def _write(self) -> None:
        """A batch of new records, in a file for each bucket."""
        random = self.random
        taken: dict[tuple[Any, int], dict[Any, Record]] = {}
        for _ in range(random.randint(1, 12)):
            key = (random.choice(list(self.buckets)), random.choice(KEYS), random.choice(TEXTS[:3]))
            self.number += 1
            kinds = [INSERT] if self.flavour in NO_RETRACTS else [INSERT, UPDATE_AFTER, INSERT, DELETE, UPDATE_BEFORE]
            kind = random.choice(kinds)
            if kind == UPDATE_BEFORE and self.flavour == "partial-update, deletes remove":
                kind = DELETE  # such an old row alone is left out, where Paimon forgets that its key was deleted
            values = {c.id: v for c in self.columns if c.id not in self._keys(key) and (v := self._value(c)) is not None}
            place = (key[0], self._bucket(key))
            taken.setdefault(place, {})[key] = Record(self.number, kind, values)
        self._commit([self._file(place, records.items(), 0) for place, records in taken.items()], [])

    def _compact(self) -> None:
        """Some runs of a bucket become one, on a level above."""
        here = self._some_place()
        if not here:
            return
        runs = sorted(here, key=lambda h: (h.level, -max((r.number for _, r in h.records), default=0)))
        full = self.appends or self.random.random() < 0.5
        upto = 5 if full else self.random.choice(sorted({h.level for h in runs} | {1}))
        chosen = [h for h in runs if h.level <= upto]
        level = 0 if self.appends else max(upto, 1)
        if not chosen or (len(chosen) == 1 and chosen[0].level == level):
            return
        if self.appends:
            rows = [r for h in chosen for r in h.live()]
            self._commit([self._file(here[0].place, rows, 0)] if rows else [], chosen, kind="COMPACT")
            return
        merged = self._merged([r for h in chosen for r in h.live()])
        above = [h for h in runs if h.level > level]
        kept = [(k, r) for k, r in merged if (above and not self.hides) or not r.takes_back]
        if self.flavour == "first-row":
            known = {k for h in above for k, _ in h.records}
            kept = [(k, r) for k, r in kept if k not in known]
        if self.flavour == "deletion vectors":
            self._replace({k for k, _ in merged}, above)
        kept.sort(key=lambda r: (r[0][1], r[0][2]))
        size = self.random.choice([3, 100])
        self._commit([self._file(chosen[0].place, kept[i : i + size], level) for i in range(0, len(kept), size)], chosen, kind="COMPACT")

    def _replace(self, keys: set[Any], files: Sequence[Held]) -> None:
        """Marks the rows of keys as deleted in files of levels above, as compaction does for deletion vectors."""
        for one in files:
            gone = {i for i, (k, _) in enumerate(one.records) if k in keys}
            self.held[self.held.index(one)] = replace(one, deleted=one.deleted | gone)

    def _move_up(self) -> None:
        """A file whose keys no other has moves to a higher level under its own name."""
        if self.appends or not self.held:
            return
        one = self.random.choice(self.held)
        keys = [(k[1], k[2]) for k, _ in one.records]
        others = [[(k[1], k[2]) for k, _ in h.records] for h in self.held if h.place == one.place and h is not one]
        if one.level == 5 or any(min(keys) <= max(o) and min(o) <= max(keys) for o in others) or any(r.takes_back for _, r in one.records):
            return
        if self.flavour == "deletion vectors" or one.deleted:
            return
        moved = Held(one.file.at_level(5), one.records, one.place, 5)
        self._commit([moved], [one], kind="COMPACT")

    def _delete_positions(self) -> None:
        """More positions of some files."""
        able = [h for h in self.held if len(h.records) > len(h.deleted) and (self.appends or h.level > 0)]
        if not able:
            return
        one = self.random.choice(able)
        left = [i for i in range(len(one.records)) if i not in one.deleted]
        gone = self.random.sample(left, self.random.randint(1, len(left)))
        self.held[self.held.index(one)] = replace(one, deleted=one.deleted | set(gone))
        self._commit([], [], kind="OVERWRITE")

    def _rescale(self) -> None:
        """A partition's rows in another number of buckets; merged as a reader would."""
        partition = self.random.choice(list(self.buckets))
        old = [h for h in self.held if h.place[0] == partition]
        if not self.unaware:
            self.buckets[partition] = self.random.choice([1, 2, 3, 5])
        live = [r for h in old for r in h.live() if not (self.hides and h.level == 0)]
        rows = live if self.appends else [(k, r) for k, r in self._merged(live) if not r.takes_back]
        by_bucket: dict[int, list[tuple[Any, Record]]] = {}
        for key, record in rows:
            by_bucket.setdefault(self._bucket(key), []).append((key, record))
        level = 0 if self.appends else 5 if self.hides else self.random.choice([0, 5])
        self._commit([self._file((partition, b), r, level) for b, r in by_bucket.items()], old, kind="OVERWRITE")

    def _evolve(self) -> None:
        """Columns renamed, added, dropped, made wider, swapped."""
        random, columns = self.random, list(self.columns)
        free = [c for c in columns if c.id >= self.own]
        fixed = len(columns)
        what = random.choice(["add", "rename", "drop", "widen", "swap"])
        highest = self.maker._highest
        if what == "add":
            columns.insert(random.randint(0, fixed), Column(f"c{highest + 1}", random.choice(["INT", "STRING"]), highest + 1))
        elif what == "drop" and free:
            columns.remove(random.choice(free))
        elif what == "rename" and free:
            old = random.choice(free)
            columns[columns.index(old)] = Column(f"{old.name}r", old.type, old.id)
        elif what == "swap" and len(free) > 1:
            one, two = random.sample(free, 2)
            columns[columns.index(one)], columns[columns.index(two)] = Column(two.name, one.type, one.id), Column(one.name, two.type, two.id)
        elif what == "widen" and (narrow := [c for c in free if c.type == "INT"]):
            old = random.choice(narrow)
            columns[columns.index(old)] = Column(old.name, "BIGINT", old.id)
        self.columns = columns
        self.maker.evolve([(c.name, c.type, None if c.id > highest else c.id) for c in columns])

    # Parts of steps ------------------------------------------------------------------------------------------------------------------------------

    def _commit(self, added: Sequence[Held], gone: Sequence[Held], kind: str = "APPEND") -> None:
        self.held = [h for h in self.held if h not in gone] + list(added)
        vectors = {h.file.name: (h.file, sorted(h.deleted)) for h in self.held if h.deleted}
        self.maker.commit([h.file for h in added], [h.file for h in gone], kind=kind, vectors=vectors or None, wide=self.random.random() < 0.5)
        self.states.append(State(self.maker.snapshot_id, tuple(self.columns), tuple(self._rows())))

    def _rows(self) -> Iterator[Mapping[int, Any]]:
        live = [r for h in self.held if not (self.hides and h.level == 0) for r in h.live()]
        found = live if self.appends else [(k, r) for k, r in self._merged(live) if not r.takes_back]
        for key, record in found:
            yield {**record.values, **self._keys(key)}

    def _merged(self, records: Sequence[tuple[Any, Record]]) -> list[tuple[Any, Record]]:
        by_key: dict[Any, list[Record]] = {}
        for key, record in records:
            by_key.setdefault(key, []).append(record)
        model = self._model()
        return [(k, m) for k, r in by_key.items() if (m := model.merge(r)) is not None]

    def _model(self) -> Model:
        options, ids = ENGINES[self.flavour], [c.id for c in self.columns]
        every = sorted({*ids, *(i for h in self.held for _, r in h.records for i in r.values)} - set(self._keys(("", 0, ""))))
        name = options.get("merge-engine", "deduplicate")
        functions = {2: "sum"} if "fields.v.aggregate-function" in options else {}
        if "fields.s.aggregate-function" in options:
            functions[3] = "last_value"
        descends = "descending" in self.flavour

        def by_column(record: Record) -> Any:
            value = record.values.get(2)
            return (0, 0) if value is None else (1, -value if descends else value)

        return Model(
            engine=name if name != "first-row" else "deduplicate",
            columns=every,
            functions=functions,
            groups={(4,): (2, 3)} if "fields.g.sequence-group" in options else {},
            order=by_column if "sequence.field" in options else (lambda r: -r.number if name == "first-row" else 0),
            ignore_delete="ignore-delete" in options,
            remove_on_delete="deletes remove" in self.flavour,
        )

    def _file(self, place: tuple[Any, int], records: Any, level: int) -> Held:
        listed = list(records)
        listed.sort(key=lambda r: (r[0][1], r[0][2]) if not self.appends else 0)
        names = {c.id: c.name for c in self.columns}
        rows = [{**{names[i]: v for i, v in r.values.items() if i in names}, **{names[i]: v for i, v in self._keys(k).items()}} for k, r in listed]
        statistics = self.random.random() < 0.8
        written = self.maker.write(
            rows,
            level=level,
            sequence=[r.number for _, r in listed],
            kinds=[r.kind for _, r in listed],
            bucket=place[1],
            total_buckets=self.buckets[place[0]],
            stats=statistics,
            meta={"_DELETE_ROW_COUNT": None} if self.random.random() < 0.2 else None,
        )
        return Held(written, tuple(listed), place, level)

    def _keys(self, key: Any) -> dict[int, Any]:
        """The values of a key by field id."""
        return {0: key[1], 1: key[2], **({5: key[0]} if self.partitioned else {})}

    def _value(self, column: Column) -> Any:
        if self.random.random() < 0.3:
            return None
        return self.random.choice(TEXTS) if column.type == "STRING" else self.random.randint(-9, 9)

    def _bucket(self, key: Any) -> int:
        if self.unaware:
            return 0
        hashed = murmur3(row([key[1], key[2]], [type_of("INT"), type_of("STRING")])[4:])
        return abs(hashed) % self.buckets[key[0]]

    def _folder(self, values: Mapping[str, Any], bucket: int) -> Path:
        inside = [f"p={values['p'] or '__DEFAULT_PARTITION__'}"] if self.partitioned else []
        return self.root.joinpath(*inside, f"bucket-{bucket}")

    def _some_place(self) -> list[Held]:
        places = sorted({h.place for h in self.held}, key=repr)
        chosen = self.random.choice(places) if places else None
        return [h for h in self.held if h.place == chosen]
