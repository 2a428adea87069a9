"""Context -> candidates, never waiting for a catalog longer than it is told to.

What the catalog says is asked for in one background thread and kept; what is kept is offered at once, however old, and asked for again when it is. A first
answer that is not there within the patience of the caller is missing from the menu, and `on_change` says when it has come.
"""

from __future__ import annotations

import os
import queue
import re
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from lakesql.frontends import completion as ask
from lakesql.frontends.completion_names import ColumnName, FunctionName, TableName, VersionName
from lakesql.frontends.completion_scope import Source, TableRef
from lakesql.sql.keywords import CLAUSE_WORDS, ENGINE_WORDS
from lakesql.sql.outline import quoted

_FRESH_SECONDS = 10.0
_KEPT_ANSWERS = 2000
_LOOSE_LIMIT = 5000
"""Names are matched letter by letter among at most so many; more are matched by their beginning, or a part."""
_PATHS_LIMIT = 500
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*\Z")


class Names(Protocol):
    """What completion_names.SessionNames has; here or in another process. Calls may block and raise."""

    def tables(self) -> list[TableName]: ...
    def columns(self, ref: TableRef) -> list[ColumnName]: ...
    def system_tables(self, ref: TableRef) -> list[str]: ...
    def versions(self, ref: TableRef) -> list[VersionName]: ...
    def functions(self) -> list[FunctionName]: ...
    def settings(self) -> list[tuple[str, str]]: ...
    def setting_values(self, name: str) -> list[str]: ...


@dataclass(frozen=True)
class Candidate:
    """A text that may replace what stands from start to the cursor. label: what the menu shows; kind: column, table, system, ...; about: type, time, format."""

    text: str
    start: int
    kind: str
    about: str = ""
    label: str = ""


class Menu:
    """The candidates of one session. on_change: called, in the background thread, when an answer has come that a menu lacked."""

    def __init__(self, names: Names, *, on_change: Callable[[], None] = lambda: None) -> None:
        self._names = names
        self._on_change = on_change
        self._answers: dict[Hashable, tuple[float, Any]] = {}
        self._asked: dict[Hashable, threading.Event] = {}
        self._queue: queue.SimpleQueue[tuple[Hashable, Callable[[], Any]] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def complete(self, text: str, cursor: int, patience_seconds: float = 0.03) -> list[Candidate]:
        """The candidates at a place of a text, the best first. patience_seconds: how long answers that are not known yet may be waited for, in all."""
        context = ask.complete_context(text, cursor)
        until = time.monotonic() + patience_seconds
        found: dict[tuple[str, str], Candidate] = {}
        for want in context.wants:
            for candidate in self._candidates(want, context, until):
                found.setdefault((candidate.text, candidate.kind), candidate)
        return matching(context.prefix, list(found.values()))

    def prepare(self) -> None:
        """Asks for what is always wanted: tables and functions."""
        self._get("tables", self._names.tables, 0)
        self._get("functions", self._names.functions, 0)

    def forget(self) -> None:
        """Names may mean something else now: views or settings have changed."""
        with self._lock:
            self._answers = {k: (0.0, a) for k, (_, a) in self._answers.items()}

    def close(self) -> None:
        """Ends the background thread."""
        self._queue.put(None)

    # Candidates ------------------------------------------------------------------------------------------------------------------------------------

    def _candidates(self, want: ask.Want, context: ask.Context, until: float) -> Iterator[Candidate]:
        start, quote = context.start, context.quote
        match want:
            case ask.Columns(sources):
                for source in sources:
                    for column in self._columns(source, until):
                        yield Candidate(spelled(column.name, quote), start, "column", column.type, column.name)
            case ask.Aliases(names):
                yield from (Candidate(spelled(name, quote), start, "alias") for name in names)
            case ask.Tables(within):
                yield from self._tables(within, start, quote, until)
            case ask.SystemTables(table, is_quoted):
                inner: list[str] = self._get(("system", table), lambda: self._names.system_tables(table), until) or []
                yield from (Candidate(word + ('"' if is_quoted else ""), start, "system", "system", word) for word in inner)
            case ask.Versions(table, is_quoted):
                yield from (_version(v, start, quote) for v in self._versions(table, until))
            case ask.Times(table, _):
                for v in self._versions(table, until):
                    if v.time and v.kind == "snapshot":
                        yield Candidate(v.time + "'" if quote else f"'{v.time}'", start, "time", " ".join((v.text, v.operation)).strip(), v.time)
            case ask.Functions(only_tables):
                functions: list[FunctionName] = self._get("functions", self._names.functions, until) or []
                for f in functions:
                    if (f.kind == "TABLE") == only_tables:
                        yield Candidate(f.name + "(", start, "function", f.signature, f.name)
            case ask.Settings(None):
                yield from (Candidate(name, start, "setting", meaning) for name, meaning in self._names.settings())
            case ask.Settings(name):
                yield from (Candidate(value, start, "value") for value in self._names.setting_values(name or ""))
            case ask.Keywords(words):
                lower = context.prefix != "" and context.prefix == context.prefix.lower()
                yield from (Candidate(w.lower() if lower else w, start, "keyword") for w in words if not quote)
            case ask.Paths():
                yield from (Candidate(path, start, "path", "", path) for path in _local_paths(context.prefix))

    def _columns(self, source: Source, until: float, depth: int = 0) -> list[ColumnName]:
        """The columns of a relation, as far as they are known by then."""
        if depth > 8:
            return []
        if source.table is not None:
            ref = source.table
            found: list[ColumnName] = list(self._get(("columns", ref), lambda: self._names.columns(ref), until) or ())
        else:
            found = []
            for output in source.outputs:
                if output.all_of:
                    found += (c for inner in output.all_of for c in self._columns(inner, until, depth + 1))
                elif output.name or source.columns:
                    kinds = (c.type for s in output.like for c in self._columns(s, until, depth + 1) if c.name == output.column)
                    found.append(ColumnName(output.name, next(kinds, "")))
        renamed = [ColumnName(name, found[i].type if i < len(found) else "") for i, name in enumerate(source.columns)]
        return renamed + [c for c in found[len(renamed) :] if c.name]

    def _tables(self, within: tuple[str, ...], start: int, quote: str, until: float) -> Iterator[Candidate]:
        tables: list[TableName] = self._get("tables", self._names.tables, until) or []
        wanted = tuple(w.casefold() for w in within)
        spaces: dict[str, str] = {}
        for t in tables:
            path = tuple(p.casefold() for p in (t.catalog, *t.schema.split(".")) if p)
            if wanted in ((), path, path[1:]):
                yield Candidate(spelled(t.name, quote), start, "table", t.format if t.format in ("view", "table") else f"{t.format} table", t.name)
            if t.catalog and not wanted:
                spaces.setdefault(t.catalog, "catalog")
            if t.schema and (not wanted or wanted == (t.catalog.casefold(),)):
                spaces.setdefault(t.schema, "schema")
        yield from (Candidate(spelled(name, quote), start, kind, kind, name) for name, kind in spaces.items())

    def _versions(self, table: TableRef, until: float) -> list[VersionName]:
        return self._get(("versions", table), lambda: self._names.versions(table), until) or []

    # Answers ---------------------------------------------------------------------------------------------------------------------------------------

    def _get(self, key: Hashable, load: Callable[[], Any], until: float) -> Any:
        """What is known, asked for again where that is old; what becomes known until then, else None."""
        now = time.monotonic()
        with self._lock:
            known = self._answers.get(key)
            asked = self._asked.get(key)
            if asked is None and (known is None or now - known[0] > _FRESH_SECONDS):
                asked = self._asked[key] = threading.Event()
                self._queue.put((key, load))
                self._work_in_background()
        if known is None and asked is not None and asked.wait(max(0.0, until - now)):
            with self._lock:
                known = self._answers.get(key)
        return None if known is None else known[1]

    def _work_in_background(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="lakesql completion", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        while (job := self._queue.get()) is not None:
            key, load = job
            try:
                answer = load()
            except Exception:  # of catalogs and stores, any kind: what cannot be looked up is not offered, the thread lives on, running the statement says why
                answer = None
            with self._lock:
                if len(self._answers) >= _KEPT_ANSWERS:
                    self._answers.clear()
                changed = self._answers.get(key, (0, None))[1] != answer
                self._answers[key] = (time.monotonic(), answer)
                self._asked.pop(key).set()
            if changed:
                self._on_change()


def matching(prefix: str, candidates: Iterable[Candidate]) -> list[Candidate]:
    """The candidates that match what was typed: those that begin so first, then those that hold it, then those that hold its letters in order.

    >>> [c.text for c in matching("cu", [Candidate("country", 0, "column"), Candidate("customer", 0, "column"), Candidate("x", 0, "column")])]
    ['customer', 'country']
    """
    every = list(candidates)
    if not prefix:
        return every
    wanted = prefix.casefold()
    begins, holds, loose = [], [], []
    letters = re.compile(".*?".join(map(re.escape, wanted))) if len(every) <= _LOOSE_LIMIT else None
    for candidate in every:
        name = (candidate.label or candidate.text).casefold()
        if name.startswith(wanted):
            begins.append(candidate)
        elif wanted in name:
            holds.append(candidate)
        elif letters is not None and candidate.kind != "keyword" and name[:1] == wanted[:1] and letters.match(name):
            loose.append(candidate)
    return begins + holds + loose


def spelled(name: str, quote: str = "") -> str:
    """A name as it may be written: in quotes where it must be, or where a quote is open already.

    >>> spelled("day"), spelled("Order"), spelled("a b"), spelled("day", '"')
    ('day', '"Order"', '"a b"', 'day"')
    """
    if quote:
        return name.replace(quote, quote * 2) + quote
    return name if _PLAIN.match(name) and name.upper() not in CLAUSE_WORDS | ENGINE_WORDS else quoted(name)


def _local_paths(typed: str) -> list[str]:
    """Directories and files of this machine that begin so; nothing for other stores, which would have to be asked."""
    head, slash, last = typed.rpartition("/")
    if "://" in typed:
        return []
    try:
        with os.scandir(os.path.expanduser(head + slash) or ".") as entries:
            found = [(e.name, e.is_dir()) for e in entries if e.name.startswith(last) and (last or not e.name.startswith("."))]
    except OSError:
        return []
    return sorted(head + slash + name + ("/" if is_folder else "") for name, is_folder in found)[:_PATHS_LIMIT]


def _version(version: VersionName, start: int, quote: str) -> Candidate:
    """Ids as numbers, names in quotes."""
    text = version.text + quote if quote else version.text if version.text.isdecimal() else f"'{version.text}'"
    about = " ".join(part for part in (version.time, version.operation, "" if version.kind == "snapshot" else version.kind) if part)
    return Candidate(text, start, "version", about, version.text)
