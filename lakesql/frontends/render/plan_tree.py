"""EXPLAIN ANALYZE as a tree that fits a screen: each step with its rows and time, each scan with what was skipped, and why predicates did not help.

    Aggregate by category, count(*)                           6 rows    61 µs
    └─ HashJoin Inner on item_id = item_id                  130 rows   157 µs
       ├─ Scan 24 files, 391.6 KB                           346 rows   1.2 ms
       └─ without 33 deleted rows                           135 rows    30 µs

Steps that only pass rows on are left out. Times are the engine's own, summed over threads; what it says of a step is read from its text, and a text that is not
understood is shown as it is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from lakesql.frontends.footer import TableFacts
from lakesql.frontends.render.cells import visible
from lakesql.frontends.render.table import cut, padding, width_of

_STEP = re.compile(r"( *)(\w+?)(?:Exec)?(?:: (.*?))?,? *metrics=\[(.*)\]$")
_PASSING = frozenset(("CoalescePartitions", "CoalesceBatches", "Repartition", "Cooperative", "Projection"))
_PLACE = re.compile(r"@\d+")
_PRUNED = re.compile(r"(\d+)(?: [KM])? total → (\d+)(?: [KM])? matched")
_PRUNING = {
    "files_ranges_pruned_statistics": "files by statistics",
    "row_groups_pruned_statistics": "row groups by statistics",
    "row_groups_pruned_bloom_filter": "row groups by bloom filters",
    "page_index_pages_pruned": "pages by statistics",
    "limit_pruned_row_groups": "row groups by the limit",
}
_LEAST_TEXT = 20


@dataclass
class _Step:
    name: str
    detail: str
    metrics: dict[str, str]
    children: list[_Step] = field(default_factory=list)


def plan_tree(plan: str, tables: Sequence[TableFacts], columns: int) -> list[str] | None:
    """The lines of the tree, at most `columns` cells wide; then what is known of each table. None for a plan that is not understood."""
    root = _read(plan)
    if root is None:
        return None
    rows: list[tuple[str, str, str]] = []
    for step in root.children:
        _walk(step, "", "", rows)
    counts, times = max(width_of(r[1]) for r in rows), max(width_of(r[2]) for r in rows)
    room = max(_LEAST_TEXT, columns - counts - times - 4)
    width = min(room, max(width_of(r[0]) for r in rows))
    lines = [f"{padding(cut(text, width), width, 1)}  {padding(count, counts, 0)}  {padding(time, times, 0)}".rstrip() for text, count, time in rows]
    return [*lines, *(cut(line, max(_LEAST_TEXT, columns)) for table in tables for line in _table_lines(table))]


def _read(plan: str) -> _Step | None:
    """The steps as a tree, those that only pass rows on left out."""
    root = _Step("", "", {})
    open_steps: list[tuple[int, _Step]] = [(-1, root)]
    for line in plan.rstrip("\n").split("\n"):
        found = _STEP.fullmatch(line)
        if found is None:
            return None
        depth = len(found[1])
        while open_steps[-1][0] >= depth:
            open_steps.pop()
        parent = open_steps[-1][1]
        if found[2] in _PASSING:
            open_steps.append((depth, parent))
            continue
        metrics = dict(m.partition("=")[::2] for m in re.split(r", (?=\w+=)", found[4]) if "=" in m)
        step = _Step(found[2], found[3] or "", metrics)
        parent.children.append(step)
        open_steps.append((depth, step))
    return root if root.children else None


def _walk(step: _Step, lead: str, below: str, rows: list[tuple[str, str, str]]) -> None:
    count = step.metrics.get("output_rows", "")
    rows.append((visible(lead + _text(step)), f"{count} rows" if count else "", step.metrics.get("elapsed_compute", "")))
    notes = _notes(step)
    for note in notes:
        rows.append((f"{below}{'│ ' if step.children else '  '} {note}", "", ""))
    for i, child in enumerate(step.children):
        is_last = i == len(step.children) - 1
        _walk(child, below + ("└─ " if is_last else "├─ "), below + ("   " if is_last else "│  "), rows)


def _text(step: _Step) -> str:
    """What a step does, in few words."""
    detail = _PLACE.sub("", step.detail)
    match step.name:
        case "DataSource" if "file_groups" in detail:
            groups = detail.partition("]]}")[0] + "]"
            files = len(re.findall(r"\.\w+(?=[,\]:])", groups))
            more = "+" if ", ..." in groups else ""
            predicate = re.search(r", predicate=(.*?)(?:, dynamic_rg_pruning|, pruning_predicate|, required_guarantees|$)", detail)
            size = step.metrics.get("bytes_scanned", "")
            return f"Scan {files}{more} file{'' if files == 1 and not more else 's'}, {size} bytes" + (f", where {predicate[1]}" if predicate else "")
        case "DataSource":
            return "Rows in memory"
        case "HashJoin" if "__lakesql_position" in detail or "__lakesql_key" in detail:
            return f"without {step.metrics.get('build_input_rows', '?')} deleted rows"
        case "HashJoin" | "SortMergeJoin" | "NestedLoopJoin":
            kind = re.search(r"join_type=(\w+)", detail)
            on = re.search(r"on=\[(.*?)\](?:,|$)", detail)
            condition = re.search(r"filter=(.*?)(?:, projection=|$)", detail)
            keys = re.sub(r"\((\S+), (\S+?)\)", r"\1 = \2", on[1]) if on else ""
            return " ".join(p for p in (step.name, kind[1] if kind else "", f"on {keys}" if keys else "", f"if {condition[1]}" if condition else "") if p)
        case "Aggregate":
            mode = re.search(r"mode=(\w+)", detail)
            by = re.search(r"gby=\[(.*?)\], aggr", detail)
            functions = re.search(r"aggr=\[(.*?)\]$", detail)
            keys = re.sub(r"(\S+) as \1", r"\1", by[1]) if by else ""
            return f"Aggregate {mode[1] if mode else ''}" + (f" by {keys}" if keys else "") + (f": {functions[1]}" if functions else "")
        case "Filter":
            return f"Filter {detail.partition(', projection=')[0]}"
    return f"{step.name} {detail}".rstrip()


def _notes(step: _Step) -> list[str]:
    """What a scan left out while it read."""
    found = []
    for metric, what in _PRUNING.items():
        pruned = _PRUNED.fullmatch(step.metrics.get(metric, ""))
        if pruned is not None and int(pruned[1]) > int(pruned[2]):
            found.append(f"skipped {int(pruned[1]) - int(pruned[2]):,} of {int(pruned[1]):,} {what}")
    return found


def _table_lines(table: TableFacts) -> list[str]:
    if table.files_total is None:
        return []
    skipped = f"{table.skipped_by_partition:,} skipped by partition, {table.skipped_by_statistics:,} by statistics"
    lines = [f"{table.name}@{table.version}: {table.files_kept:,} of {table.files_total:,} files ({skipped})"]
    return [*lines, *(f"  not used for pruning: {predicate}: {reason}" for predicate, reason in table.unused)]
