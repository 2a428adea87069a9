"""The reads of the corpus that are plain scans, through `lakesql.dataset`: `SELECT columns FROM t`, of a version or changes, under simple conditions.

What SQL says is said to pyarrow: columns as names, conditions as filter expressions. Reads that say more are left to the engines that run SQL.
"""

from __future__ import annotations

import datetime
import re
from collections import OrderedDict
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

import lakesql

from .cases import Case, Read

ENGINE = "arrow"

OPEN_DATASETS = 8

_NAME = r'(?:[A-Za-z_]\w*|"[^"]+")'
_LITERAL = r"(?:(?:DATE |TIMESTAMP |X)?'(?:[^']|'')*'|-?\d+(?:\.\d+)?|true|false)"
_CONDITION = re.compile(
    rf"(?P<column>{_NAME})\s*(?:(?P<op><>|!=|<=|>=|=|<|>)\s*(?P<value>{_LITERAL})|IS\s+(?P<not>NOT\s+)?(?P<null>NULL)"
    rf"|IN\s*\((?P<values>{_LITERAL}(?:\s*,\s*{_LITERAL})*)\)|BETWEEN\s+(?P<low>{_LITERAL})\s+AND\s+(?P<high>{_LITERAL})|LIKE\s+'(?P<prefix>[^'%_\\]+)%')",
    re.IGNORECASE,
)
_SCAN = re.compile(
    rf"SELECT\s+(?P<columns>\*|count\(\*\)|{_NAME}(?:\s*,\s*{_NAME})*)\s+FROM\s+(?P<name>t|\"t\$\w+\")"
    r"(?:\s+VERSION AS OF (?P<version>\d+|'[^']*')|\s+TIMESTAMP AS OF '(?P<at>[^']*)'|\s+CHANGES (?P<changes>FROM .*?))?"
    r"(?:\s+WHERE\s+(?P<where>.*))?",
    re.IGNORECASE | re.DOTALL,
)
_OPS: dict[str, Any] = {
    "=": lambda a, b: a == b,
    "<>": lambda a, b: a != b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


@dataclass(frozen=True)
class PlainScan:
    """A read in parts. conditions: all of them hold."""

    name: str
    columns: str
    options: tuple[tuple[str, Any], ...]
    conditions: tuple[re.Match[str], ...]


def representative(scans: list[tuple[Case, Read]]) -> list[tuple[Case, Read]]:
    """Of plain scans, those that run by default: of each case the first of a state, of changes, under conditions, and of an error."""
    seen: set[tuple[str, bool, bool, bool]] = set()
    chosen = []
    for case, read in scans:
        kind = (case.name, read.is_changes, " WHERE " in read.sql, read.error is not None)
        if kind not in seen:
            seen.add(kind)
            chosen.append((case, read))
    return chosen


def plain_scan(read: Read) -> PlainScan | None:
    """The read in parts, None where it is more than a scan."""
    found = _SCAN.fullmatch(read.sql.strip())
    if found is None or read.kind == "bytes":
        return None
    conditions: list[re.Match[str]] = []
    rest = (found["where"] or "").strip()
    while rest:
        condition = _CONDITION.match(rest)
        if condition is None:
            return None
        conditions.append(condition)
        rest = rest[condition.end() :].strip()
        if rest:
            joined = re.match(r"AND\s+", rest, re.IGNORECASE)
            if joined is None:
                return None
            rest = rest[joined.end() :]
    options: list[tuple[str, Any]] = []
    if found["version"] is not None:
        options.append(("version", found["version"].strip("'") if found["version"].startswith("'") else int(found["version"])))
    if found["at"] is not None:
        options.append(("at", found["at"]))
    if found["changes"] is not None:
        options.append(("changes", found["changes"]))
    return PlainScan(found["name"].strip('"'), found["columns"], tuple(options), tuple(conditions))


class Datasets:
    """Datasets of cases by what they are opened at, the least recently used dropped first. scratch: where packed cases are unpacked."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._open: OrderedDict[tuple[Any, ...], Any] = OrderedDict()

    def rows(self, case: Case, scan: PlainScan) -> pa.Table:
        """What the scan gives."""
        found = self._dataset(case, scan)
        schema = pa.schema([*found.schema, *found.hidden])
        where: Any = None
        for condition in scan.conditions:
            expression = _expression(condition, schema)
            where = expression if where is None else where & expression
        if scan.columns.lower() == "count(*)":
            return pa.table({"count": pa.array([found.count_rows(filter=where)], pa.int64())})
        names = [_column(n.strip(), schema) for n in scan.columns.split(",")] if scan.columns != "*" else found.schema.names
        table = found.to_table(columns=names, filter=where)
        assert table.column_names == names
        return table

    def _dataset(self, case: Case, scan: PlainScan) -> Any:
        key = (case.name, scan.name, scan.options)
        if key not in self._open:
            place = case.unpacked(self._scratch) / case.table
            self._open[key] = lakesql.dataset(scan.name, target=str(place), **dict(scan.options))
        self._open.move_to_end(key)
        while len(self._open) > OPEN_DATASETS:
            self._open.popitem(last=False)
        return self._open[key]


def _column(name: str, schema: pa.Schema) -> str:
    """The table's name for a column that SQL names."""
    if name.startswith('"'):
        return name.strip('"')
    return name if name in schema.names else next((n for n in schema.names if n.lower() == name.lower()), name)


def _expression(condition: re.Match[str], schema: pa.Schema) -> Any:
    name = _column(condition["column"], schema)
    field, type_ = pc.field(name), schema.field(name).type
    if condition["null"]:
        return field.is_valid() if condition["not"] else field.is_null()
    if condition["prefix"]:
        return pc.starts_with(field, condition["prefix"])
    if condition["values"]:
        return field.isin(pa.array([_value(v, type_).as_py() for v in re.findall(_LITERAL, condition["values"], re.IGNORECASE)], type_))
    if condition["low"]:
        return (field >= _value(condition["low"], type_)) & (field <= _value(condition["high"], type_))
    compared = _OPS[condition["op"]](field, _value(condition["value"], type_))
    return compared | pc.is_nan(field) if condition["op"] in (">", ">=") and pa.types.is_floating(type_) else compared  # NaN is above all numbers in SQL


def _value(text: str, type_: pa.DataType) -> pa.Scalar:
    """A literal as the column's type has it, or as its own where it does not fit."""
    if text[-1] != "'":
        if text.lower() in ("true", "false"):
            return pa.scalar(text.lower() == "true")
        number: Any = Decimal(text) if pa.types.is_decimal(type_) else float(text) if "." in text or pa.types.is_floating(type_) else int(text)
        return pa.scalar(number, type_ if not isinstance(number, float) or pa.types.is_floating(type_) else pa.float64())
    kind, quoted = text.split("'", 1)
    content = quoted[:-1].replace("''", "'")
    match kind.strip().upper():
        case "DATE":
            return pa.scalar(datetime.date.fromisoformat(content)).cast(type_)
        case "TIMESTAMP":
            moment = datetime.datetime.fromisoformat(content)
            if pa.types.is_timestamp(type_) and type_.tz is not None:
                moment = moment.replace(tzinfo=moment.tzinfo or datetime.UTC)
            return pa.scalar(moment, pa.timestamp("us", type_.tz if pa.types.is_timestamp(type_) else None)).cast(type_)
        case "X":
            return pa.scalar(bytes.fromhex(content), type_)
    if pa.types.is_date(type_):
        return pa.scalar(datetime.date.fromisoformat(content), type_)
    if pa.types.is_time(type_):
        return pa.scalar(datetime.time.fromisoformat(content), type_)
    return pa.scalar(content).cast(type_) if pa.types.is_timestamp(type_) else pa.scalar(content)
