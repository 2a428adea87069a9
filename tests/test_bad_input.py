"""Whatever is wrong with a lake, a statement or a setting: an error of its own kind that says what to do, an exit code that says whose fault it is, never a
traceback, never a part of the answer.
"""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

import lakesql
from lakesql import errors
from lakesql.frontends.cli import main

Damage = Callable[[Path], None]


def lake(folder: Path) -> Path:
    """A Delta table of three commits, a checkpoint at the second, a file each."""
    place = folder / "orders"
    for start in (0, 10, 20):
        write_deltalake(place, pa.table({"id": pa.array(range(start, start + 10), pa.int64()), "name": [f"n{i}" for i in range(10)]}), mode="append")
        if start == 10:
            DeltaTable(place).create_checkpoint()
    return place


def cli(*argv: str) -> tuple[int, str, str]:
    out, err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), io.StringIO()
    code = main(argv, io.StringIO(""), out, err)
    out.flush()
    return code, out.buffer.getvalue().decode(), err.getvalue()  # type: ignore[attr-defined]


def fails(place: Path | str, sql: str, kind: type[errors.Error], code: int, *words: str) -> None:
    """Through Python an error of that kind, through the command line its exit code; both say all of the words."""
    with lakesql.connect(tables={"orders": str(place)}) as connection, pytest.raises(kind) as caught:
        connection.execute(sql).fetchall()
    assert type(caught.value) is not errors.InternalError
    got, out, err = cli(str(place), "-c", sql.replace("orders", "t"), "--format", "csv")
    for text in (str(caught.value), err):
        assert not [w for w in words if w not in text.replace("t$", "orders$")]
    assert (got, out) == (code, "")
    assert "Traceback" not in err


def commit(place: Path, version: int) -> Path:
    return place / "_delta_log" / f"{version:020}.json"


def data_files(place: Path) -> list[Path]:
    return sorted(place.glob("*.parquet"))


def rewrite(path: Path, change: Callable[[dict[str, object]], None]) -> None:
    """Changes the actions of a commit."""
    actions = [json.loads(line) for line in path.read_text().splitlines()]
    for action in actions:
        change(action)
    path.write_text("\n".join(json.dumps(a) for a in actions))


# Places --------------------------------------------------------------------------------------------------------------------------------------------------


def test_no_such_place(tmp_path: Path) -> None:
    fails(tmp_path / "nowhere", "SELECT * FROM orders", errors.NotATableError, 1, "nowhere", "there is nothing")


def test_an_empty_folder(tmp_path: Path) -> None:
    fails(tmp_path, "SELECT * FROM orders", errors.NotATableError, 1, "it is empty", "_delta_log")


def test_a_place_of_two_formats(tmp_path: Path) -> None:
    place = lake(tmp_path)
    (place / "metadata").mkdir()
    (place / "metadata" / "v1.metadata.json").write_text("{}")
    fails(place, "SELECT * FROM orders", errors.AmbiguousTableError, 1, "Delta", "Iceberg", "v1.metadata.json")


# The log -------------------------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda p: commit(p, 2).write_bytes(commit(p, 2).read_bytes()[:-40]), ["00000000000000000002.json", "line"]),
        (lambda p: commit(p, 2).write_text("this is no JSON"), ["00000000000000000002.json"]),
        (lambda p: commit(p, 2).write_text(""), ["00000000000000000002.json", "empty"]),
        (lambda p: (commit(p, 1).unlink(), shutil.rmtree(p / "_delta_log" / "_none", ignore_errors=True), remove_checkpoint(p)), ["commit 1"]),
        (lambda p: checkpoint_without(p, "metaData"), ["metadata"]),
        (lambda p: rewrite(commit(p, 2), lambda a: a.get("add", {}).update(size="many")), ["size"]),
        (lambda p: rewrite(commit(p, 2), lambda a: a.get("add", {}).update(size=-5)), ["size"]),
        (lambda p: rewrite(commit(p, 2), lambda a: a.get("add", {}).update(path="../../../../etc/passwd%00")), ["path"]),
    ],
    ids=["cut", "text", "empty", "gap", "checkpoint", "size-text", "size-negative", "path"],
)
def test_a_damaged_log(tmp_path: Path, damage: Damage, words: list[str]) -> None:
    place = lake(tmp_path)
    damage(place)
    fails(place, "SELECT * FROM orders", errors.DatabaseError, 3, *words)


def remove_checkpoint(place: Path) -> None:
    for file in (place / "_delta_log").glob("*checkpoint*"):
        file.unlink()


def checkpoint_without(place: Path, column: str) -> None:
    """The checkpoint alone, without one of its columns."""
    (file,) = (place / "_delta_log").glob("*.checkpoint.parquet")
    pq.write_table(pq.read_table(file).drop_columns([column]), file)
    commit(place, 0).unlink()
    commit(place, 1).unlink()


def test_an_unknown_reader_feature(tmp_path: Path) -> None:
    place = lake(tmp_path)
    protocol = {"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["quantumLayout"], "writerFeatures": ["quantumLayout"]}}
    commit(place, 3).write_text(json.dumps(protocol))
    fails(place, "SELECT * FROM orders", errors.UnsupportedFeatureError, 3, "quantumLayout")
    fails(place, "SELECT count(*) FROM orders", errors.UnsupportedFeatureError, 3, "quantumLayout")


# Data files ----------------------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["gone", "empty", "cut", "text"])
def test_a_damaged_data_file(tmp_path: Path, damage: str) -> None:
    place = lake(tmp_path)
    file = data_files(place)[0]
    content = file.read_bytes()
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes({"empty": b"", "cut": content[: len(content) // 2], "text": b"no parquet here, none at all"}[damage])
    fails(place, "SELECT * FROM orders", errors.DatabaseError, 3, file.name)


def test_a_version_whose_files_are_gone(tmp_path: Path) -> None:
    place = lake(tmp_path)
    DeltaTable(place).delete("id < 10")
    (place / json.loads(commit(place, 0).read_text().splitlines()[-1])["add"]["path"]).unlink()
    fails(place, "SELECT * FROM orders VERSION AS OF 0", errors.ExpiredVersionError, 3, "version 0")
    with lakesql.connect(tables={"orders": str(place)}) as connection:
        assert connection.execute("SELECT count(*) FROM orders").fetchall() == [(20,)]


# Statements ----------------------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "kind", "words"),
    [
        ("SELECT * FROM orders VERSION AS OF 99", errors.NoSuchVersionError, ["99", "0 to 2"]),
        ("SELECT * FROM orders TIMESTAMP AS OF '1999-01-01'", errors.NoSuchVersionError, ["1999-01-01", "before the first commit"]),
        ("SELECT * FROM orders TIMESTAMP AS OF 'yesterday'", errors.SqlError, ["yesterday", "instant"]),
        ("SELECT nmae FROM orders", errors.UnknownColumnError, ["LINE 1", "^^^^", 'did you mean "name"?']),
        ("SELECT * FROM ordres", errors.UnknownTableError, ["LINE 1", "^^^^^^"]),
        ("SELECT *\nFROM orders\nWHERE id = = 3", errors.SqlError, ["LINE 3", "^"]),
        ("SELECT * FROM orders WHERE id = ?", errors.ParameterError, ["1 parameter", "0 are given"]),
        ("SELECT 'never ends FROM orders", errors.SqlError, ["LINE 1"]),
        ('SELECT * FROM "orders$nothing"', errors.UnknownTableError, ["nothing"]),
        ("SELECT id / (id - id) FROM orders", errors.EngineError, ["zero"]),
        ("COPY (SELECT * FROM orders) TO 'out.parquet'", errors.NotSupportedError, ["turned off"]),
        ("DELETE FROM orders", errors.NotSupportedError, ["turned off"]),
        ("SELEC * FROM orders", errors.SqlError, ["SELEC"]),
    ],
)
def test_statements(tmp_path: Path, sql: str, kind: type[errors.Error], words: list[str]) -> None:
    fails(lake(tmp_path), sql, kind, 1, *words)


# Configuration -------------------------------------------------------------------------------------------------------------------------------------------


def test_an_unknown_configuration_key(tmp_path: Path) -> None:
    file = tmp_path / "lakesql.toml"
    file.write_text("[engine]\nmemory_limt = '4GB'\n")
    code, out, err = cli(str(file), "-c", "SELECT 1")
    assert (code, out) == (2, "")
    assert "memory_limt" in err
    assert "memory_limit" in err
    with pytest.raises(errors.ConfigError, match="memory_limt"):
        lakesql.connect(str(file))


@pytest.mark.parametrize(
    "argv", [["--format", "xml", "-c", "SELECT 1"], ["--frobnicate"], ["-f", "no such file.sql"], ["-c", "SELECT 1", "--param", "novalue"]]
)
def test_wrong_use(argv: list[str]) -> None:
    code, out, err = cli(*argv)
    assert (code, out) == (2, "")
    assert "Traceback" not in err
    assert err
